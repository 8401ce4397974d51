#ifndef FLETCH_RPC_RPC_CHANNEL_H
#define FLETCH_RPC_RPC_CHANNEL_H

/* A client of gRPC on one loop: docs/RPC.md. It keeps one connection to the first of its addresses
 * that answers, and makes a new one after a pause when that is lost. */

#include "net/connector.h"
#include "rpc/rpc_call.h"

struct fletch_rpc_channel;

#define FLETCH_RPC_CONNECT_TIMEOUT_NS UINT64_C(20000000000)
/* A connection that held so long was a good one: the next pause is a first one again. */
#define FLETCH_RPC_SETTLED_NS UINT64_C(1000000000)

/* Calls that wait at a time, and bytes of a call's messages of which copies are kept. */
#define FLETCH_RPC_WAITING_DEFAULT 10000
#define FLETCH_RPC_REPLAY_BYTES_DEFAULT ((size_t)256 << 10)

enum fletch_rpc_channel_state {
    FLETCH_RPC_CONNECTING,
    FLETCH_RPC_READY,  /* calls can be made; the server may not have said a word yet */
    FLETCH_RPC_WAITING /* until it connects again */
};

struct fletch_rpc_channel_options {
    struct fletch_event_loop *loop;
    const struct fletch_socket_address *addresses; /* a copy is kept */
    size_t address_count;                          /* 1 to FLETCH_CONNECTOR_ADDRESSES_MOST */
    const char *authority;                         /* stays where it is; NULL: "localhost" */
    uint64_t connect_timeout_ns;                   /* 0: the default */
    uint64_t pause_first_ns;                       /* net/backoff.h; 0: the default */
    uint64_t pause_most_ns;
    uint64_t seed;          /* of its jitter */
    uint64_t waiting_limit; /* of calls that wait; 0: the default */
    size_t replay_bytes;    /* of a call that waits, kept to be sent again; 0: the default */
    /* Another state; WAITING: why. Never from within another function of this folder. NULL
     * allowed. */
    void (*changed)(void *context, enum fletch_rpc_channel_state state,
                    const struct fletch_error *error);
    /* The server takes another call, perhaps again. Within a turn of the loop: begin none from it.
     * NULL allowed. */
    void (*room)(void *context);
    void *context;
    struct fletch_grpc_options grpc; /* `http2.cache`: of the loop's thread. Not `is_server` */
};

struct fletch_rpc_calling {
    const char *path;    /* "/package.Service/Method" */
    uint64_t timeout_ns; /* 0: none */
    struct fletch_grpc_metadata metadata;
    const struct fletch_rpc_handler *handler;
    void *context;                           /* the call's at first */
    const struct fletch_grpc_reader *reader; /* of its messages; NULL: a buffer for each */
    /* It waits, in turn and up to its deadline, until there is a connection and the server takes
     * another call; and when a server says that it has not looked at it, it is begun again, unless
     * more than `replay_bytes` have been sent. It can be used meanwhile as if it had begun. */
    bool waits;
};

struct fletch_rpc_channel_statistics {
    uint64_t connected;   /* connections that were made */
    uint64_t failed;      /* attempts to make one */
    uint64_t connections; /* now: one, and those whose server is going away */
    uint64_t calls;
    uint64_t waiting; /* of them, now */
    uint64_t retried; /* times that a call was refused, and waited to be begun again */
    /* Of all its connections, also those that are gone. */
    struct fletch_http2_statistics http2;
    struct fletch_grpc_statistics grpc;
};

/* Begins to connect. The loop's thread, or before it runs. INVALID_ARGUMENT: an option;
 * RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_rpc_channel_create(const struct fletch_rpc_channel_options *options,
                                             struct fletch_rpc_channel **out_channel,
                                             struct fletch_error *error);

/* Closes its connections; calls are ended by UNAVAILABLE. The loop's thread, or when it runs no
 * more; not from within a handler. NULL allowed. */
void fletch_rpc_channel_destroy(struct fletch_rpc_channel *channel);

enum fletch_rpc_channel_state fletch_rpc_channel_state(const struct fletch_rpc_channel *channel);

/* Whether it is ready, and the server takes another call. */
bool fletch_rpc_channel_has_room(const struct fletch_rpc_channel *channel);

/* Those that attempts go to from the next one on: a host may have moved. 1 to
 * FLETCH_CONNECTOR_ADDRESSES_MOST. The loop's thread. */
void fletch_rpc_channel_set_addresses(struct fletch_rpc_channel *channel,
                                      const struct fletch_socket_address *addresses,
                                      size_t address_count);

/* Begins a call, and does not block. UNAVAILABLE: not connected, with what went wrong last;
 * RESOURCE_EXHAUSTED: the server takes no more before one ends, or no memory; INVALID_ARGUMENT:
 * path or metadata. One that `waits`: RESOURCE_EXHAUSTED: too many wait already, or no memory; what
 * is wrong with its metadata may be told by its end. */
enum fletch_status fletch_rpc_channel_call(struct fletch_rpc_channel *channel,
                                           const struct fletch_rpc_calling *calling,
                                           struct fletch_rpc_call **out_call,
                                           struct fletch_error *error);

void fletch_rpc_channel_statistics(const struct fletch_rpc_channel *channel,
                                   struct fletch_rpc_channel_statistics *out_statistics);

#endif
