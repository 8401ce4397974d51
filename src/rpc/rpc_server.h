#ifndef FLETCH_RPC_RPC_SERVER_H
#define FLETCH_RPC_RPC_SERVER_H

/* A server of gRPC on one loop: docs/RPC.md. Several loops have a server each, which share a port
 * of TCP. */

#include "net/event_loop.h"
#include "net/socket.h"
#include "rpc/rpc_health.h"

struct fletch_rpc_server;

#define FLETCH_RPC_CONNECTIONS_DEFAULT 10000
#define FLETCH_RPC_LAST_WORD_NS UINT64_C(200000000)

struct fletch_rpc_server_options {
    struct fletch_event_loop *loop;
    struct fletch_socket_address address;    /* port 0: one that is free */
    bool shares_port;                        /* with servers of other loops */
    bool joins_port;                         /* of which this is not the first */
    int backlog;                             /* 0: as many as the system lets wait */
    const struct fletch_rpc_method *methods; /* stays where it is; other paths: UNIMPLEMENTED */
    size_t method_count;
    struct fletch_rpc_health *health; /* its methods are served too; NULL: none */
    uint32_t connection_limit;        /* more are closed at once. 0: the default */
    struct fletch_grpc_options grpc;  /* `http2.cache`: of the loop's thread. Not `is_server` */
};

struct fletch_rpc_server_statistics {
    uint64_t accepted;
    uint64_t refused;     /* beyond the limit, or without memory */
    uint64_t connections; /* now */
    uint64_t calls;       /* since it was created */
    uint64_t unknown;     /* of them without a method */
    /* Of all its connections, also those that are gone. */
    struct fletch_http2_statistics http2;
    struct fletch_grpc_statistics grpc;
};

/* Listens from here on. The loop's thread, or before it runs. Errors as fletch_listener_create and
 * fletch_grpc_connection_create. */
enum fletch_status fletch_rpc_server_create(const struct fletch_rpc_server_options *options,
                                            struct fletch_rpc_server **out_server,
                                            struct fletch_error *error);

/* Closes all connections; calls are ended by UNAVAILABLE. The loop's thread, or when it runs no
 * more; not from within a handler. NULL allowed. */
void fletch_rpc_server_destroy(struct fletch_rpc_server *server);

/* Where it listens, or listened. */
const struct fletch_socket_address *
fletch_rpc_server_address(const struct fletch_rpc_server *server);

/* No new connections and calls; calls that are there go on until `deadline_ns` (base/clock.h), when
 * they are finished by UNAVAILABLE; a connection that has not sent that FLETCH_RPC_LAST_WORD_NS
 * later is closed. Health: nothing is served. `drained` is called once, when the last connection is
 * gone, never from within this. Again: nothing. */
struct fletch_rpc_drain {
    uint64_t deadline_ns; /* FLETCH_NO_DEADLINE allowed */
    void (*drained)(void *context);
    void *context;
};
void fletch_rpc_server_drain(struct fletch_rpc_server *server,
                             const struct fletch_rpc_drain *drain);

void fletch_rpc_server_statistics(const struct fletch_rpc_server *server,
                                  struct fletch_rpc_server_statistics *out_statistics);

#endif
