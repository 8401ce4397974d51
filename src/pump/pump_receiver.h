#ifndef FLETCH_PUMP_PUMP_RECEIVER_H
#define FLETCH_PUMP_PUMP_RECEIVER_H

/* The side of a session that gets frames: a state machine without I/O, clock or threads of its own.
 * Messages of the sender come in by `take`, what is to be said to it goes out by `next`, frames go
 * to a sink, by way of an inlet for each producer. docs/PUMP.md.
 *
 * A frame that was offered gets credit from its partition before it is granted, so what comes is
 * pushed at once and nobody waits for a reader. What was accepted is told by a mark for each
 * channel; frames at or below it are dropped, a gap is asked for again. Marks, grants and the
 * answers to control outlive the connection. */

#include <fletching/allocator.h>
#include <fletching/answer.h>
#include <fletching/status.h>

#include <stdbool.h>
#include <stdint.h>

#include "pump/channel_map.h"
#include "pump/envelope.h"
#include "shuffle/inlet.h"

struct fletch_batch;

/* Where frames go: what struct fletch_inlet does, under its contracts. None of it blocks. */
struct fletch_pump_sink {
    enum fletch_status (*open)(void *context, uint32_t producer, uint32_t attempt, void **out_inlet,
                               struct fletch_error *error);
    enum fletch_answer (*reserve)(void *inlet, uint32_t partition, struct fletch_inlet_ask ask,
                                  struct fletch_inlet_credit *out_credit);
    void (*forget)(void *inlet, uint32_t partition);
    void (*give_back)(void *inlet, uint32_t partition, struct fletch_inlet_credit *credit);
    enum fletch_answer (*push)(void *inlet, const struct fletch_inlet_frame *frame);
    enum fletch_status (*check)(void *context, void *inlet, uint32_t partition,
                                struct fletch_error *error);
    enum fletch_status (*control)(void *inlet, const struct fletch_control_record *record,
                                  struct fletch_error *error);
    bool (*poll)(void *inlet, enum fletch_status *out_status, struct fletch_error *error);
    void (*lose)(void *inlet, const char *reason);
    void (*close)(void *inlet);
    void (*drop)(void *context, struct fletch_batch *batch); /* a reference to one */
    void *context;
};

enum fletch_receiver_state {
    FLETCH_RECEIVER_CUT,
    FLETCH_RECEIVER_OPEN,
    FLETCH_RECEIVER_LEAVING, /* BYE has come */
    FLETCH_RECEIVER_DONE,    /* and was answered */
    FLETCH_RECEIVER_FAILED
};

struct fletch_receiver_channel;
struct fletch_receiver_producer;

struct fletch_receiver_queue {
    struct fletch_receiver_channel *first;
    struct fletch_receiver_channel *last;
};

struct fletch_pump_receiver_counters {
    uint64_t frames_accepted;
    uint64_t bytes_accepted;
    uint64_t frames_duplicate; /* at or below their mark: dropped */
    uint64_t frames_dropped;   /* behind a gap, or refused */
    uint64_t frames_parked;    /* that came without an offer, and found no credit */
    uint64_t gaps;
    uint64_t controls_accepted;
};

struct fletch_pump_receiver {
    struct fletch_allocator allocator;
    struct fletch_pump_sink sink;
    enum fletch_receiver_state state;
    struct fletch_channel_map channels;
    struct fletch_receiver_channel *all;         /* newest first */
    struct fletch_receiver_queue asking;         /* that wait for credit */
    struct fletch_receiver_queue telling;        /* whose mark or grant has moved */
    struct fletch_receiver_queue refusing;       /* that have something to refuse */
    struct fletch_receiver_producer **producers; /* by number */
    struct fletch_receiver_producer *newest;
    uint32_t producer_limit;
    uint32_t partition_count;
    uint32_t answers_due; /* producers with an answer or a refusal to be told */
    uint32_t controls_waiting;
    uint32_t producers_known;
    uint32_t producers_ended; /* an end or an abort of theirs was accepted */
    uint64_t eager_bytes;     /* that may be here without credit; 0: none */
    uint64_t eager_held;      /* and are */
    bool must_complete;       /* an update says that all was told */
    bool is_short;            /* there was no memory for credit: look again soon */
    bool tells_failure;
    struct fletch_error failure;
    struct fletch_pump_receiver_counters counters;
};

struct fletch_pump_receiver_options {
    struct fletch_pump_sink sink;
    uint32_t producer_limit;
    uint32_t partition_count;
    uint64_t eager_bytes;
    const struct fletch_allocator *allocator;
};

/* RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_pump_receiver_init(struct fletch_pump_receiver *receiver,
                                             const struct fletch_pump_receiver_options *options,
                                             struct fletch_error *error);

/* Gives back credit and closes the inlets: a producer that has not ended is aborted. */
void fletch_pump_receiver_deinit(struct fletch_pump_receiver *receiver);

/* There is a connection, and both sides know each other: all that was accepted is told. */
void fletch_pump_receiver_resume(struct fletch_pump_receiver *receiver);

/* The connection is gone. What was granted stays granted. */
void fletch_pump_receiver_cut(struct fletch_pump_receiver *receiver);

/* A message of the sender; `batch`: that of a DATA, a reference that this takes whatever it
 * returns. INVALID_ARGUMENT: a message that it may not send, or not now: the session is broken;
 * RESOURCE_EXHAUSTED: no memory, the same. */
enum fletch_status fletch_pump_receiver_take(struct fletch_pump_receiver *receiver,
                                             const struct fletch_envelope *envelope,
                                             struct fletch_batch *batch,
                                             struct fletch_error *error);

/* Looks for credit and answers that have come. Before `next`. */
void fletch_pump_receiver_look(struct fletch_pump_receiver *receiver);

/* The next message; it counts as sent. False: there is none now. Texts in it are valid until the
 * next call of any function. */
bool fletch_pump_receiver_next(struct fletch_pump_receiver *receiver,
                               struct fletch_envelope *out_envelope);

/* A producer that is to come, though nothing of it has: it is one of those that can be lost. */
void fletch_pump_receiver_expect(struct fletch_pump_receiver *receiver, uint32_t number);

/* All producers that have not ended are lost. */
void fletch_pump_receiver_lose(struct fletch_pump_receiver *receiver, const char *reason);

/* The shuffle takes nothing more, which the sender is told. */
void fletch_pump_receiver_fail(struct fletch_pump_receiver *receiver,
                               const struct fletch_error *cause);

#endif
