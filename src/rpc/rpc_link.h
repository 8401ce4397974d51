#ifndef FLETCH_RPC_RPC_LINK_H
#define FLETCH_RPC_RPC_LINK_H

/* A connection of gRPC that is bound to one of a socket: the inside of servers and channels. It
 * drives the machine with what the socket brings, and tells handlers of calls what the machine
 * says. It ends itself, when the socket is gone. */

#include "http2/http2_link.h"
#include "net/connection.h"
#include "rpc/rpc_method.h"

struct fletch_rpc_link;

/* Who has made it, told outside of the machine; may destroy nothing. */
struct fletch_rpc_link_owner {
    /* Server: NULL: no such method. */
    const struct fletch_rpc_method *(*find)(void *context, const char *path);
    /* The peer takes no new calls, or the connection has ended. NULL allowed. */
    void (*going_away)(void *context, struct fletch_rpc_link *link,
                       const struct fletch_error *cause);
    /* Client: the server has not looked at this call, of which something is kept. False: it ends.
     * NULL: it always does. */
    bool (*refused)(void *context, struct fletch_rpc_call *call);
    /* What is there is about to be sent: calls may be begun. NULL allowed. */
    void (*sending)(void *context);
    /* It is gone, and so are its calls. */
    void (*closed)(void *context, struct fletch_rpc_link *link);
};

struct fletch_rpc_link {
    struct fletch_http2_link siblings; /* for the owner's list */
    const struct fletch_rpc_link_owner *owner;
    void *context; /* the owner's */
    struct fletch_event_loop *loop;
    struct fletch_connection *connection; /* NULL: gone */
    struct fletch_grpc_connection *grpc;
    struct fletch_http2_connection *http2;
    struct fletch_allocator allocator;
    struct fletch_buffer_cache *cache;
    struct fletch_http2_link refused; /* calls that wait for room */
    size_t send_queue_bytes;
    struct fletch_socket_address peer; /* no bytes: not known */
    struct fletch_error cause;         /* of the end; OK: none is known */
    bool is_driven;                    /* in a turn, which sends what is there */
    bool is_held;                      /* wants no bytes before some of its own are gone */
};

struct fletch_rpc_pending;

struct fletch_rpc_call {
    struct fletch_rpc_link *link;       /* NULL: it has not begun */
    struct fletch_grpc_call *grpc;      /* the same */
    struct fletch_rpc_pending *pending; /* NULL: nothing is kept to begin it again */
    struct fletch_allocator allocator;
    struct fletch_buffer_cache *cache;
    const struct fletch_rpc_handler *handler;
    void *context;
    struct fletch_http2_link refused;
    bool is_ended; /* within its last call */
};

struct fletch_rpc_link_options {
    const struct fletch_rpc_link_owner *owner;
    void *context;
    struct fletch_event_loop *loop;
    int fd;
    const struct fletch_socket_address *peer;
    const struct fletch_grpc_options *grpc;
};

/* On failure the descriptor is the caller's. */
enum fletch_status fletch_rpc_link_create(const struct fletch_rpc_link_options *options,
                                          struct fletch_rpc_link **out_link,
                                          struct fletch_error *error);

/* Now, so not within its turn. */
void fletch_rpc_link_close(struct fletch_rpc_link *link, const struct fletch_error *cause);

/* Server: finishes its calls, and ends them for their handlers. Not within its turn. */
void fletch_rpc_link_fail_calls(struct fletch_rpc_link *link, const struct fletch_error *cause);

/* Lets calls that are there go on and takes no new ones; then it ends. */
void fletch_rpc_link_shutdown(struct fletch_rpc_link *link);

/* Something was done to its machine. */
void fletch_rpc_link_kick(struct fletch_rpc_link *link);

/* What connections have counted. */
struct fletch_rpc_counts {
    struct fletch_http2_statistics *http2;
    struct fletch_grpc_statistics *grpc;
};

/* Adds a link's to the sums, or those of all of an owner's list. */
void fletch_rpc_link_count(const struct fletch_rpc_link *link, struct fletch_rpc_counts sums);
void fletch_rpc_links_count(const struct fletch_http2_link *links, struct fletch_rpc_counts sums);

/* Begins a call, as a client. */
enum fletch_status fletch_rpc_link_call(struct fletch_rpc_link *link,
                                        const struct fletch_grpc_request *request,
                                        struct fletch_grpc_call **out_grpc,
                                        struct fletch_error *error);

/* Whether the server takes another call just now. */
bool fletch_rpc_link_has_room(const struct fletch_rpc_link *link);

/* A call of no link; NULL: no memory. */
struct fletch_rpc_call *fletch_rpc_call_make(const struct fletch_allocator *allocator,
                                             struct fletch_buffer_cache *cache,
                                             const struct fletch_rpc_handler *handler,
                                             void *context);

/* Makes it one of this link; and of none again, in the machine too. */
void fletch_rpc_call_attach(struct fletch_rpc_call *call, struct fletch_rpc_link *link,
                            struct fletch_grpc_call *grpc);
void fletch_rpc_call_detach(struct fletch_rpc_call *call);

/* Lets go of it, here and in the machine. */
void fletch_rpc_call_forget(struct fletch_rpc_call *call);

/* The same, and its handler is told. */
void fletch_rpc_call_end(struct fletch_rpc_call *call, const struct fletch_rpc_end *end);

#endif
