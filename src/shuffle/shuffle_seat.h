#ifndef FLETCH_SHUFFLE_SHUFFLE_SEAT_H
#define FLETCH_SHUFFLE_SHUFFLE_SEAT_H

/* What of a writer others may still come to when it is closed: what it sleeps on, its operations at
 * the coordinator, the nodes of its frames. Lives as long as the shuffle.
 *
 * Edges:
 *   E1: writer cas_acq_rel(seats) -> load_acquire(seats), cas_acq_rel(seats) of other writers: the
 *       seats of the list, which only grows. */

#include "base/atomic.h"
#include "shuffle/announcement.h"
#include "shuffle/coordinator.h"
#include "shuffle/frame_pool.h"
#include "shuffle/shuffle.h"
#include "shuffle/sleeper.h"
#include "sync/eventcount.h"

enum fletch_seat_operation {
    FLETCH_SEAT_BARRIER,
    FLETCH_SEAT_EVENT, /* watermark, idle, barrier given up, producer added */
    FLETCH_SEAT_END,   /* end, abort */
    FLETCH_SEAT_ABORT,
    FLETCH_SEAT_OPERATIONS
};

struct fletch_shuffle_seat {
    struct fletch_shuffle_seat *next; /* fixed once it is on the list */
    uint32_t producer;
    struct fletch_control_operation operations[FLETCH_SEAT_OPERATIONS];
    bool is_shared; /* an inlet's, beside which the producer may have others */
    uint32_t attempt;
    struct fletch_spill_segment *segment; /* for statistics: a reference, or NULL */
    struct fletch_announcer announcer;    /* to other processes */
    struct fletch_sleeper *keeps;         /* a reference to what has `sleeper`, or NULL */
    char abort_reason[FLETCH_REASON_BYTES];
    struct fletch_eventcount *sleeper; /* what the writer sleeps on: `own`, or that of an owner who
                                          waits for other things too */
    FLETCH_ISOLATED struct fletch_eventcount own;
    struct fletch_frame_pool frames;
};

/* NULL: no memory. */
struct fletch_shuffle_seat *fletch_shuffle_seat_create(struct fletch_shuffle *shuffle,
                                                       uint32_t producer);

/* Ends a seat that never was on the list. NULL allowed. */
void fletch_shuffle_seat_destroy(struct fletch_shuffle_seat *seat);

/* From now on the owner sleeps on this one, of which a reference is taken. Before the seat is on
 * the list. */
void fletch_shuffle_seat_sleep_on(struct fletch_shuffle_seat *seat, struct fletch_sleeper *sleeper);

/* Its abort, to be submitted: once, so that the operation is free. `reason`: copied; NULL: none. */
struct fletch_control_operation *fletch_shuffle_seat_prepare_abort(struct fletch_shuffle_seat *seat,
                                                                   uint64_t now_ns,
                                                                   const char *reason);

/* Puts it on the shuffle's list. False: there is one of this producer. Lock-free. */
bool fletch_shuffle_seat_take(struct fletch_shuffle *shuffle, struct fletch_shuffle_seat *seat);

/* Whether somebody has been this producer. Any thread. */
bool fletch_shuffle_seat_is_taken(const struct fletch_shuffle *shuffle, uint32_t producer);

/* Wakes all writers that wait. Any thread. */
void fletch_shuffle_seats_notify(struct fletch_shuffle *shuffle);

/* Adds up what the writers have spilled and what of it is there. Any thread. */
void fletch_shuffle_seats_spilled(struct fletch_shuffle *shuffle,
                                  struct fletch_spill_statistics *out_statistics);

/* With the shuffle's last reference: ends the list, and the nodes of all frames. */
void fletch_shuffle_seats_free(struct fletch_shuffle *shuffle);

#endif
