#ifndef FLETCH_RPC_RPC_CALL_H
#define FLETCH_RPC_RPC_CALL_H

/* A call of gRPC over a socket, of a server (rpc_server.h) or a channel (rpc_channel.h):
 * docs/RPC.md.
 *
 * Life. A call ends exactly once: by fletch_rpc_call_finish (server) or fletch_rpc_call_cancel, or
 * by its handler's `ended`; it is gone when that returns, and no function of the handler is called
 * for it any more. That holds also where the connection is lost, the deadline has passed, or server
 * or channel are destroyed.
 *
 * Threads. All of this is for the thread of the loop to which server or channel belong, from
 * within a handler or not; nothing blocks. Other threads post a task to the loop. */

#include "grpc/grpc_connection.h"
#include "net/socket.h"

struct fletch_rpc_call;

/* How a call ended. */
struct fletch_rpc_end {
    enum fletch_status status;
    const char *text;  /* these: until `ended` returns */
    bool is_untouched; /* client: the server has not looked at it; safe to try again */
    struct fletch_grpc_metadata metadata; /* client: of the trailers */
};

/* What is told of a call. `context` is the call's. None is called from within another function of
 * this folder, but those that destroy. */
struct fletch_rpc_handler {
    /* Client: the server's first answer. NULL allowed. */
    void (*headers)(void *context, struct fletch_rpc_call *call,
                    const struct fletch_grpc_metadata *metadata);
    /* A message, whose reference is the callee's. NULL for the buffer: it is empty, or a reader has
     * it. The peer's pace follows fletch_rpc_call_take. */
    void (*message)(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                    size_t bytes);
    /* Server: the client sends no more. NULL allowed. */
    void (*half_closed)(void *context, struct fletch_rpc_call *call);
    /* A message was refused since too much was queued, and half of that is gone. NULL allowed. */
    void (*writable)(void *context, struct fletch_rpc_call *call);
    /* Client: the server's status, or what went wrong. Server: the client has cancelled it, its
     * deadline has passed, or the connection is lost. */
    void (*ended)(void *context, struct fletch_rpc_call *call, const struct fletch_rpc_end *end);
};

void fletch_rpc_call_set_context(struct fletch_rpc_call *call, void *context);
void *fletch_rpc_call_context(const struct fletch_rpc_call *call);

/* The call that a reader (struct fletch_grpc_reader) is asked for; it is of a method, or of one
 * call of a channel. It may set the call's context, and do nothing else with it. */
struct fletch_rpc_call *fletch_rpc_call_of(const struct fletch_grpc_call *grpc);

/* The other end's address, as net/socket.h writes it; "" where it is not known. */
struct fletch_socket_text fletch_rpc_call_peer(const struct fletch_rpc_call *call);

/* Queues a message; as fletch_grpc_call_send. RESOURCE_EXHAUSTED: too much is queued; `writable`
 * will be called. The message's `done` may send more, and no more than that. */
enum fletch_status fletch_rpc_call_send(struct fletch_rpc_call *call,
                                        struct fletch_grpc_message *message,
                                        struct fletch_error *error);

/* The same with a copy of `bytes` bytes: for small ones. */
enum fletch_status fletch_rpc_call_send_copy(struct fletch_rpc_call *call, const void *data,
                                             size_t bytes, struct fletch_error *error);

/* The same with a buffer's bytes. On success it owns the caller's reference. */
enum fletch_status fletch_rpc_call_send_buffer(struct fletch_rpc_call *call,
                                               struct fletch_buffer *buffer,
                                               struct fletch_error *error);

/* A message is done with: the peer may send as much again. */
void fletch_rpc_call_take(struct fletch_rpc_call *call);

/* Client: sends no more messages. */
void fletch_rpc_call_half_close(struct fletch_rpc_call *call);

/* Server: the first answer, which otherwise goes before the first message. Errors as
 * fletch_grpc_call_respond. */
enum fletch_status fletch_rpc_call_respond(struct fletch_rpc_call *call,
                                           const struct fletch_grpc_metadata *metadata,
                                           struct fletch_error *error);

/* Server: ends the call behind all that is queued. The call is gone, but with INVALID_ARGUMENT:
 * metadata. Other errors, after which the client gets no such status: FAILED_PRECONDITION: it had
 * ended already; RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_rpc_call_finish(struct fletch_rpc_call *call,
                                          const struct fletch_grpc_ending *ending,
                                          struct fletch_error *error);

/* Ends the call now, at the peer too; what is queued is dropped. The call is gone. */
void fletch_rpc_call_cancel(struct fletch_rpc_call *call);

#endif
