#ifndef FLETCH_RPC_RPC_PENDING_H
#define FLETCH_RPC_RPC_PENDING_H

/* Calls of a channel that wait until they can be begun, and what is kept of them until the server
 * has looked at them, so that they can be begun again: request and messages. The inside of
 * channels. */

#include "net/timer_wheel.h"
#include "rpc/rpc_channel.h"
#include "rpc/rpc_link.h"

/* Those that wait, the oldest first. */
struct fletch_rpc_queue {
    struct fletch_event_loop *loop;
    struct fletch_allocator allocator;
    const struct fletch_rpc_channel_options *options; /* the channel's */
    struct fletch_http2_link calls;
    uint64_t count;
    uint64_t numbers; /* that were given out */
    /* The deadline of one has passed. */
    void (*expired)(void *context, struct fletch_rpc_call *call);
    void *context;
};

/* A call's, until it is settled: what becomes of it is no longer the channel's to decide. */
struct fletch_rpc_pending {
    struct fletch_rpc_queue *queue;
    struct fletch_rpc_call *call;
    const struct fletch_grpc_reader *reader;
    struct fletch_http2_link waiting; /* in the queue; alone: it has begun */
    uint64_t number;                  /* which places it in the queue, again too */
    struct fletch_timer deadline;     /* while it waits */
    uint64_t deadline_ns;
    struct fletch_field_list fields;   /* the path, then metadata */
    struct fletch_http2_link messages; /* all that were sent, in order */
    uint32_t under_way;                /* of them with the machine */
    size_t queued_bytes;               /* of them while it waits */
    size_t copied_bytes;
    bool is_half_closed;
    bool wants_room;        /* a message was refused */
    uint32_t refusals;      /* by servers */
    uint64_t not_before_ns; /* the end of a pause after a refusal */
    struct fletch_backoff backoff;
};

/* A call that is in no queue yet. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_rpc_pending_make(struct fletch_rpc_queue *queue,
                                           const struct fletch_rpc_calling *calling,
                                           struct fletch_rpc_pending **out_pending,
                                           struct fletch_error *error);

/* It waits, behind those that are older. */
void fletch_rpc_pending_wait(struct fletch_rpc_pending *pending);

/* Begins it, with all that has been sent. On failure it waits or does not, as before: errors as
 * fletch_rpc_link_call. */
enum fletch_status fletch_rpc_pending_begin(struct fletch_rpc_pending *pending,
                                            struct fletch_rpc_link *link,
                                            struct fletch_error *error);

/* Whether it may be begun. */
bool fletch_rpc_pending_is_due(const struct fletch_rpc_pending *pending, uint64_t now_ns);

/* A server has refused it: it waits again; from the second time on for a pause. */
void fletch_rpc_pending_take_back(struct fletch_rpc_pending *pending);

/* As fletch_grpc_call_send, whether it has begun or not. */
enum fletch_status fletch_rpc_pending_send(struct fletch_rpc_pending *pending,
                                           struct fletch_grpc_message *message,
                                           struct fletch_error *error);
void fletch_rpc_pending_half_close(struct fletch_rpc_pending *pending);

/* It will not be begun again: what is kept is given back, and what was not sent is done. It waits
 * no more, and the call has no `pending`. */
void fletch_rpc_pending_settle(struct fletch_rpc_pending *pending);

#endif
