#ifndef FLETCH_FLIGHT_FLIGHT_STREAM_H
#define FLETCH_FLIGHT_FLIGHT_STREAM_H

/* A call of Flight: the half that one thread uses (fletching/flight_stream.h, flight_stream.c) and
 * the half of the loop that has the call of gRPC (flight_call.c). docs/FLIGHT.md.
 *
 * What they share are two inboxes, the eventcount on which the user sleeps, and five words:
 * `unsent` counts, and nothing is read on its word; `is_woken` and `is_cancelled` are flags that
 * only say that an inbox has, or will have, something; so is `is_over`, which says with a second
 * step that the end is in the user's inbox; `turns` hands the loop's task back to who posts it
 * next. All else that one half writes and the other reads goes with a node through an inbox. */

#include <fletching/flight_stream.h>
#include <fletching/validation.h>

#include "flight/flight_headers.h"
#include "flight/flight_intake.h"
#include "flight/flight_method.h"
#include "flight/flight_reader.h"
#include "flight/flight_status.h"
#include "flight/flight_writer.h"
#include "memory/shared.h"
#include "net/event_loop.h"
#include "net/socket.h"
#include "rpc/rpc_method.h"
#include "sync/inbox.h"
#include "sync/wait.h"

#define FLETCH_FLIGHT_WRITE_QUEUE_BYTES ((size_t)8 << 20)

/* So many messages fill a queue, whatever their bytes: more would be out of the processor's cache
 * before they are sent. */
enum { FLETCH_FLIGHT_QUEUED_MOST = 512 };

/* Of `is_over`: the end has been told. 1: it will be. */
enum { FLETCH_FLIGHT_END_TOLD = 2 };

/* Of all streams of a loop: written by its thread, read by any. */
struct fletch_flight_counters {
    _Atomic uint64_t calls;
    _Atomic uint64_t calls_now;
    _Atomic uint64_t received_bytes;
    _Atomic uint64_t sent_bytes;
};

/* How users of a client's or a server's streams wait, and what those have learned that are over. */
struct fletch_flight_waits {
    struct fletch_wait_policy policy;
    struct fletch_wait_history history;
};

/* Up to `spin_ns` before sleeping; 0: the default; FLETCH_OFF: not at all. */
static inline void fletch_flight_waits_start(struct fletch_flight_waits *waits, uint64_t spin_ns)
{
    waits->policy = (struct fletch_wait_policy){.strategy = FLETCH_WAIT_PARK};
    if (spin_ns != FLETCH_OFF)
        waits->policy = (struct fletch_wait_policy){
            .strategy = FLETCH_WAIT_ADAPTIVE,
            .spin_budget_ns = spin_ns == 0           ? FLETCH_SPIN_BUDGET_NS_DEFAULT
                              : spin_ns < UINT32_MAX ? spin_ns
                                                     : UINT32_MAX,
        };
    fletch_wait_history_start(&waits->history, &waits->policy);
}

struct fletch_flight_stream_options {
    const struct fletch_flight_method *method;
    bool is_server;
    struct fletch_event_loop *loop;
    struct fletch_buffer_cache *loop_cache; /* of the loop's thread */
    struct fletch_account *account;         /* NULL: nobody */
    const struct fletch_allocator *allocator;
    enum fletch_validation validation;
    size_t write_queue_bytes;  /* 0: the default */
    size_t peer_message_bytes; /* SIZE_MAX: the peer has no limit */
    bool peer_reads_deltas;
    struct fletch_flight_counters *counters; /* NULL: nobody counts */
    struct fletch_flight_waits *waits;
    /* Something has come for the user, there is room again, somebody has called wake, or the call
     * is over. The loop's thread, not from within a function of the stream. NULL allowed. */
    void (*happened)(void *context);
    /* The call is over, or there will be none: the last thing that the loop's half does for it. The
     * loop's thread. NULL allowed. */
    void (*over)(void *context);
    /* The user's half has ended, and its cache is free. The user's thread. NULL allowed. */
    void (*left)(void *context, struct fletch_buffer_cache *cache);
    void *context;
};

enum { FLETCH_FLIGHT_ENDED_BYTES = 512 };

/* How a call ended: written by the loop before the node that tells it. */
struct fletch_flight_ended {
    enum fletch_status status;
    char text[FLETCH_FLIGHT_ENDED_BYTES];
    struct fletch_flight_headers trailers;
};

/* The user's last word, in a block of the pool. */
struct fletch_flight_finish {
    struct fletch_flight_node node; /* first */
    struct fletch_buffer *block;    /* NULL: it lies in the stream */
    enum fletch_status status;
    const char *text;
    struct fletch_flight_bytes detail;
    struct fletch_flight_bytes detail_status; /* as google.rpc.Status */
};

/* The loop's thread alone. */
struct fletch_flight_loop_half {
    struct fletch_rpc_call *call; /* NULL: none yet, or over */
    struct fletch_loop_task task; /* posted by who puts a command into the empty inbox */
    struct fletch_flight_intake intake;
    struct fletch_inbox_node *held; /* commands that came before the call was there */
    struct fletch_inbox_node *held_last;
    uint32_t under_way;                 /* messages that gRPC has */
    uint32_t depth;                     /* of functions that may not end the stream */
    struct fletch_eventcount *listener; /* told of all that `waiting` is; NULL: none */
    bool is_attached;
    bool is_ended;
    bool awaits_task; /* the task is posted, or will be, and nothing else follows */
    bool has_responded;
};

/* The user's thread alone. */
struct fletch_flight_user_half {
    struct fletch_buffer_cache *cache;
    struct fletch_inbox_node *next;  /* taken, not looked at yet */
    struct fletch_flight_chain read; /* messages to be given back */
    struct fletch_flight_reader reader;
    struct fletch_flight_item item;
    bool has_item; /* that was read ahead */
    struct fletch_flight_writer writer;
    struct fletch_error failure; /* of reading; OK: none */
    struct fletch_flight_headers came;
    char *identity;
    struct fletch_socket_text peer;
    struct fletch_wait_history history;
    uint64_t deadline_ns;
    uint32_t armed_key;
    bool found_full;     /* the last write did */
    bool has_answer;     /* client: `answer` can be read */
    bool is_at_end;      /* all messages before it were taken */
    bool is_half_closed; /* the peer sends no more messages */
    bool has_end;        /* `ended` can be read */
    bool has_written;    /* headers are gone */
    bool has_begun;      /* so is the schema */
    bool is_finished;    /* this side writes no more */
    bool sends_whole;    /* batches are not split */
};

struct fletch_flight_stream {
    struct fletch_shared shared; /* first: the halves, and whoever else has a reference */
    struct fletch_flight_stream_options options;
    struct fletch_allocator allocator;
    struct fletch_flight_node half_closed, answered, end; /* to the user */
    struct fletch_flight_node wake, cancel, close;        /* to the loop */
    struct fletch_flight_node listen;                     /* the same, with `listener` */
    struct fletch_eventcount *listener;                   /* the user's, then the loop's */
    struct fletch_flight_finish finish;                   /* where there is no memory for one */
    struct fletch_flight_ended ended;                     /* the loop's, then the user's */
    struct fletch_flight_headers answer;                  /* the same: a client's headers */
    struct fletch_field_list headers, trailers;           /* the user's, then the loop's */
    FLETCH_ISOLATED struct fletch_inbox messages;         /* loop to user */
    struct fletch_eventcount waiting;
    _Atomic uint32_t is_over;
    FLETCH_ISOLATED struct fletch_inbox commands; /* anybody to loop */
    _Atomic uint64_t unsent;                      /* count and bytes: fletch_flight_unsent */
    _Atomic uint32_t is_woken;
    _Atomic uint32_t is_cancelled;
    _Atomic uint32_t turns; /* of the task: posted, or run */
    FLETCH_ISOLATED struct fletch_flight_loop_half loop;
    FLETCH_ISOLATED struct fletch_flight_user_half user;
};

/* What the other end sends, and what this one does. */
static inline const struct fletch_flight_side *
fletch_flight_peer_side(const struct fletch_flight_stream *stream)
{
    const struct fletch_flight_method *method = stream->options.method;
    return stream->options.is_server ? &method->client : &method->server;
}

static inline const struct fletch_flight_side *
fletch_flight_own_side(const struct fletch_flight_stream *stream)
{
    const struct fletch_flight_method *method = stream->options.method;
    return stream->options.is_server ? &method->server : &method->client;
}

/* `unsent`: messages in the upper 24 bits, bytes in the others. */
enum { FLETCH_FLIGHT_UNSENT_BITS = 40 };
static inline uint64_t fletch_flight_unsent(uint64_t count, uint64_t bytes)
{
    return count << FLETCH_FLIGHT_UNSENT_BITS | bytes;
}

/* Whether what is `unsent` is a queue's share of 1 / `parts`, but for two messages. */
static inline bool fletch_flight_fills(const struct fletch_flight_stream *stream, uint64_t unsent,
                                       unsigned parts)
{
    uint64_t bytes = unsent & (fletch_flight_unsent(1, 0) - 1);
    return unsent >= fletch_flight_unsent(2, 0) &&
           (bytes >= stream->options.write_queue_bytes / parts ||
            unsent >= fletch_flight_unsent(FLETCH_FLIGHT_QUEUED_MOST / parts, 0));
}

/* A stream with two references: of the loop's half, which lets go when the call has ended, and of
 * the user's half, the caller's. `cache`: of the user's thread; NULL: told by
 * fletch_flight_stream_use before it is needed. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_flight_stream_create(const struct fletch_flight_stream_options *options,
                                               struct fletch_buffer_cache *cache,
                                               struct fletch_flight_stream **out_stream,
                                               struct fletch_error *error);

/* The user's half ends; what it has not finished is cancelled. The stream is gone for it. */
void fletch_flight_stream_leave(struct fletch_flight_stream *stream);

/* The thread that uses it from here on has this cache. */
void fletch_flight_stream_use(struct fletch_flight_stream *stream,
                              struct fletch_buffer_cache *cache);

/* Has an eventcount told whenever something has come, there is room again, or the call is over; and
 * once now. It is of who waits for several streams, and outlives the client or server. Once. */
void fletch_flight_stream_listen(struct fletch_flight_stream *stream,
                                 struct fletch_eventcount *listener);

/* The peer is this library too: dictionaries may grow, and batches go whole whatever their size.
 * Before fletch_flight_stream_begin. */
void fletch_flight_stream_know_peer(struct fletch_flight_stream *stream);

/* Whether something may be written now: DONE, FULL or CLOSED. Who has found it full is told when
 * that is over, and nobody else writes meanwhile. */
enum fletch_answer fletch_flight_stream_room(struct fletch_flight_stream *stream);

/* Client: waits for the first answer, or the end. DONE, EMPTY. */
enum fletch_answer fletch_flight_stream_wait_answer(struct fletch_flight_stream *stream,
                                                    uint64_t timeout_ns);

/* User: the first message that came, or EMPTY, CLOSED; for requests. To be given back by
 * fletch_flight_stream_give_back. */
enum fletch_answer fletch_flight_stream_take(struct fletch_flight_stream *stream,
                                             uint64_t timeout_ns,
                                             struct fletch_flight_incoming **out_incoming,
                                             struct fletch_error *error);
void fletch_flight_stream_give_back(struct fletch_flight_stream *stream,
                                    struct fletch_flight_incoming *incoming);

/* Puts a command, or a list of them, into the inbox. False: the call is over, and they are the
 * caller's, linked as before. Any thread. */
bool fletch_flight_stream_command(struct fletch_flight_stream *stream,
                                  struct fletch_inbox_node *first);

#endif
