#ifndef FLETCH_SHUFFLE_COORDINATOR_H
#define FLETCH_SHUFFLE_COORDINATOR_H

/* What producers say to all partitions: barriers, watermarks, idleness, ends, aborts, new
 * producers. A state machine whose steps run in a serial (sync/serial.h), one at a time, so hardly
 * anything in it is atomic. It knows neither frames nor inboxes: what partitions are to be told
 * goes to a table of functions.
 *
 * An operation lies in its writer, who submits it and waits for its answer on the writer's
 * eventcount. Each is decided, then answered, then carried out. One that must wait (a barrier, when
 * too many are in flight) stays on the coordinator's list; its writer may give it up, and one of
 * both sides wins: what was given up is not told, but its producer has passed what is below it.
 *
 * Barriers. Each producer's ids increase; one that names a larger id has passed all smaller ones. A
 * barrier is in flight from the first producer that names it until all partitions have passed it.
 * Partitions hear of them in the order of ids. A smaller one that others have skipped already is
 * told all the same if a slot is free, and otherwise goes up in the next larger one, since its
 * producer must not wait for those that wait for it.
 *
 * Edges:
 *   E1: serial cas_weak_acq_rel(word) to DONE -> writer load_acquire(word),
 *       cas_weak_acquire_both(word): the answer.
 *   E2: serial store_release(word), fetch_and_release(word), cas_strong_release(word) -> writer
 *       load_acquire(word), cas_weak_acquire_both(word): the serial is done with the operation,
 *       which may be filled anew or freed; or with its task, which a give up submits again.
 *   E3: partition fetch_sub_acq_rel(unpassed) -> the last one's fetch_sub_acq_rel(unpassed): all
 *       nodes of the slot are free.
 *   E4: ticker exchange_acq_rel(tick_queued) finds 1 -> serial exchange_acq_rel(tick_queued, 0):
 *       the tick that is queued already sees the time.
 *   E5: serial exchange_acq_rel(tick_queued) to 0 -> ticker exchange_acq_rel(tick_queued) finds 0:
 *       the tick may be submitted again. */

#include <stdbool.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/eventcount.h>
#include <fletching/status.h>

#include "base/atomic.h"
#include "sync/serial.h"

enum fletch_control_kind {
    FLETCH_CONTROL_BARRIER,
    FLETCH_CONTROL_ABORT_BARRIER,
    FLETCH_CONTROL_WATERMARK,
    FLETCH_CONTROL_IDLE,
    FLETCH_CONTROL_END,
    FLETCH_CONTROL_ABORT,
    FLETCH_CONTROL_ADD_PRODUCER
};

enum fletch_control_state {
    FLETCH_CONTROL_STATE_IDLE,
    FLETCH_CONTROL_STATE_SUBMITTED,
    FLETCH_CONTROL_STATE_DONE,
    FLETCH_CONTROL_STATE_GIVEN_UP
};

/* The reason of an abort is cut to this. */
#define FLETCH_CONTROL_REASON_BYTES 256

struct fletch_control_operation {
    struct fletch_serial_task task; /* first */
    _Atomic uint32_t word;          /* state and marks */
    struct fletch_coordinator *coordinator;
    struct fletch_eventcount *sleeper; /* told of the answer, and when it may be used again */
    /* The question: its owner's while it is idle or done, the serial's otherwise. */
    enum fletch_control_kind kind;
    uint32_t producer;
    uint64_t barrier;
    int64_t watermark;
    const char *reason;       /* of an abort, or NULL; alive until it is answered */
    uint32_t wanted_producer; /* of a new producer: its number; 0: the next one */
    uint64_t now_ns;          /* of any kind: for what becomes idle by time */
    /* The answer. */
    enum fletch_status status;
    uint32_t added_producer;
    struct fletch_error error;
    /* The coordinator's: of those that wait. */
    bool listed;
    struct fletch_control_operation *next;
    struct fletch_control_operation *previous;
};

/* What partitions are told; called in the serial, must not block or fail. */
struct fletch_coordinator_outlet {
    /* All producers have passed `id`. `slot`: which of the barrier nodes of each partition, below
     * the barrier limit; each partition calls fletch_coordinator_pass for it once. `aborted`:
     * nobody is to be told of it, but rows behind it are held no longer. Ids increase. */
    void (*barrier)(void *context, uint64_t id, uint32_t slot, bool aborted);
    void (*watermark)(void *context, int64_t watermark); /* increase */
    /* Of the first producer that was aborted. `reason` is kept by the coordinator. */
    void (*lost)(void *context, uint32_t producer, const char *reason);
    void (*end)(void *context); /* all have ended, none was aborted */
    void *context;
};

struct fletch_coordinator_options {
    uint32_t producer_count;    /* at least 1 */
    uint32_t producer_limit;    /* producer_count: the set is fixed */
    uint32_t barrier_limit;     /* at least 1 */
    uint32_t partition_count;   /* at least 1 */
    uint64_t watermark_idle_ns; /* 0: never idle by time */
    uint64_t now_ns;
    struct fletch_allocator allocator; /* not the zero one */
    struct fletch_coordinator_outlet outlet;
};

struct fletch_coordinator;

/* RESOURCE_EXHAUSTED: no memory. The options were checked by the caller. */
enum fletch_status fletch_coordinator_create(const struct fletch_coordinator_options *options,
                                             struct fletch_coordinator **out_coordinator,
                                             struct fletch_error *error);

/* Nobody runs or submits operations any more. NULL allowed. */
void fletch_coordinator_destroy(struct fletch_coordinator *coordinator);

/* The serial in which it runs: a task that is submitted there after the last operation of a writer
 * was given up or done may free that writer. */
struct fletch_serial *fletch_coordinator_serial(struct fletch_coordinator *coordinator);

/* `sleeper`: NULL: the owner polls. */
void fletch_control_init(struct fletch_control_operation *operation,
                         struct fletch_coordinator *coordinator, uint32_t producer,
                         struct fletch_eventcount *sleeper);

/* Whether the operation may be filled and submitted (again): before the first time, when it was
 * answered, and soon after it was given up, of which the sleeper is told. Owner's. */
bool fletch_control_is_free(struct fletch_control_operation *operation);

/* Whether it is free and the serial is done with its sleeper too: both may be freed. Owner's. */
bool fletch_control_is_dropped(struct fletch_control_operation *operation);

/* Hands the question to the coordinator; it may be answered before the call returns. The operation
 * must be free. Owner's; does not block. */
void fletch_control_submit(struct fletch_control_operation *operation);

/* Whether there is an answer. Owner's. */
bool fletch_control_is_done(struct fletch_control_operation *operation);

/* True: given up, it has no effect, and is free soon. False: there is an answer. Owner's. */
bool fletch_control_give_up(struct fletch_control_operation *operation);

/* A partition's reader has passed the barrier of `slot`, or dropped its node. Once for each slot,
 * partition and barrier. Any thread; the last one runs the coordinator. */
void fletch_coordinator_pass(struct fletch_coordinator *coordinator, uint32_t slot);

/* Says what time it is, for producers that become idle by that: cheap when none is due. Any
 * thread. */
void fletch_coordinator_tick(struct fletch_coordinator *coordinator, uint64_t now_ns);

/* Statistics; any thread. */
struct fletch_coordinator_statistics {
    uint32_t producers;
    uint32_t producers_open;
    uint32_t producers_ended; /* aborted ones not counted */
    uint32_t barriers_in_flight;
    uint64_t watermarks_clamped;
    int64_t watermark; /* that was told last; INT64_MIN: none */
};
void fletch_coordinator_statistics(struct fletch_coordinator *coordinator,
                                   struct fletch_coordinator_statistics *out_statistics);

#endif
