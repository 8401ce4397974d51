#ifndef FLETCH_GRPC_GRPC_CALL_H
#define FLETCH_GRPC_GRPC_CALL_H

/* One call of gRPC, of any of the four kinds: either side sends as many messages as it likes, in
 * its own time. The thread that drives the connection; nothing blocks. A call is the user's from
 * the event that told of it, or from being begun, until it is released. */

#include <fletching/buffer.h>

#include "http2/http2_stream.h"

struct fletch_grpc_call;

/* Names and values, without ':' names and those that gRPC keeps for itself. Values of names that
 * end in "-bin" are bytes here and base64 on the wire. */
struct fletch_grpc_metadata {
    const struct fletch_http2_field *fields;
    size_t count;
};

/* A message to be sent: its bytes are slices 1 to `slice_count` - 1; slice 0 is written by the
 * call. It stays where it is, with slices and bytes, until `done`, which is called exactly once, as
 * of struct fletch_http2_data. */
struct fletch_grpc_message {
    struct fletch_http2_data data; /* the call's */
    struct iovec *slices;
    uint32_t slice_count;
    uint8_t prefix[5]; /* the call's */
    void (*done)(struct fletch_grpc_message *message, bool is_sent);
};

/* Where a call's messages go that shall not become one buffer each: it is asked for the place of
 * each piece. A place is the call's until `filled` has told of all of it, or the call has ended for
 * its user, who may find a message begun then. A failure ends the call with its status and text. */
struct fletch_grpc_reader {
    /* A message of `bytes` > 0 bytes begins. */
    enum fletch_status (*begin)(void *context, struct fletch_grpc_call *call, size_t bytes,
                                struct fletch_error *error);
    /* The place of the next bytes: at least one, and no more than the message has left. */
    struct iovec (*place)(void *context, struct fletch_grpc_call *call);
    /* `bytes` more lie there. */
    enum fletch_status (*filled)(void *context, struct fletch_grpc_call *call, size_t bytes,
                                 struct fletch_error *error);
    void *context;
};

void fletch_grpc_call_set_context(struct fletch_grpc_call *call, void *context);
void *fletch_grpc_call_context(const struct fletch_grpc_call *call);

/* NULL: a buffer for each message, as at first. Before the first one begins: at once when the call
 * is there. It stays where it is as long as the call does. */
void fletch_grpc_call_set_reader(struct fletch_grpc_call *call,
                                 const struct fletch_grpc_reader *reader);

/* Queues a message. On failure it is the caller's still, and not done. RESOURCE_EXHAUSTED: what is
 * queued already fills `send_queue_bytes`; INVALID_ARGUMENT: more than 2^32 - 1 bytes;
 * FAILED_PRECONDITION: this side has ended the call, or the other one has. */
enum fletch_status fletch_grpc_call_send(struct fletch_grpc_call *call,
                                         struct fletch_grpc_message *message,
                                         struct fletch_error *error);

/* Bytes that are queued and not on their way yet. */
size_t fletch_grpc_call_queued_bytes(const struct fletch_grpc_call *call);

/* The client sends no more messages. Again, or when the call has ended: nothing. */
void fletch_grpc_call_half_close(struct fletch_grpc_call *call);

/* A message that an event told of is done with: the peer may send as much again. While one is not,
 * the peer stops once it has filled its window. */
void fletch_grpc_call_take(struct fletch_grpc_call *call);

/* The server's first answer, which otherwise goes before its first message. INVALID_ARGUMENT:
 * metadata; FAILED_PRECONDITION: it was sent, or the call has ended; RESOURCE_EXHAUSTED: no memory,
 * and the connection has failed. */
enum fletch_status fletch_grpc_call_respond(struct fletch_grpc_call *call,
                                            const struct fletch_grpc_metadata *metadata,
                                            struct fletch_error *error);

/* How a server ends a call. */
struct fletch_grpc_ending {
    enum fletch_status status;
    const char *text; /* NULL: none; cut at 1024 bytes */
    struct fletch_grpc_metadata metadata;
};

/* The server's last word, behind all that is queued. Errors as fletch_grpc_call_respond; without
 * memory the call is reset. */
enum fletch_status fletch_grpc_call_finish(struct fletch_grpc_call *call,
                                           const struct fletch_grpc_ending *ending,
                                           struct fletch_error *error);

/* Ends it now, on both sides; no event will come. What is queued is done, not sent. */
void fletch_grpc_call_cancel(struct fletch_grpc_call *call);

/* The user's no more. A call that has not ended is cancelled; what a server has finished is sent
 * first. */
void fletch_grpc_call_release(struct fletch_grpc_call *call);

#endif
