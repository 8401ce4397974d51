#ifndef FLETCH_SHUFFLE_ANNOUNCEMENT_H
#define FLETCH_SHUFFLE_ANNOUNCEMENT_H

/* What a writer says to partitions of other processes: control that goes to each outlet of the
 * shuffle, and is answered when all of them have.
 *
 * A writer numbers what it announces, and submits it to the coordinator's serial, in which all that
 * is shared about announcements lies: no lock-free part of its own. There each open outlet is given
 * a node for it, and each answer comes back as a task. When a producer's oldest announcements have
 * all their answers, the seat's *settled* number goes up to the last of them, and its writer is
 * woken. So a writer may stop waiting, and wait again later for the same number; what it has
 * announced goes on without it.
 *
 * Edges:
 *   E1: serial store_release(settled) -> writer load_acquire(settled): how it was answered. */

#include <stdbool.h>
#include <stdint.h>

#include <fletching/status.h>

#include "base/atomic.h"
#include "shuffle/control_record.h"
#include "sync/serial.h"

struct fletch_shuffle;
struct fletch_shuffle_seat;

struct fletch_announcement {
    struct fletch_serial_task task; /* first */
    struct fletch_shuffle *shuffle;
    struct fletch_shuffle_seat *seat;
    struct fletch_control_record record;
    bool is_embedded; /* in its seat, for control that must not want for memory */
    uint64_t number;
    /* The serial's. */
    uint32_t unanswered;
    struct fletch_error failure; /* the first one: OK: none */
    struct fletch_announcement *next;
};

/* A producer's end of announcing, in its seat. */
struct fletch_announcer {
    uint64_t announced;          /* the writer's: the number of the last one */
    _Atomic uint64_t settled;    /* how far all are answered */
    struct fletch_error failure; /* of the one that was settled last */
    /* The serial's. */
    struct fletch_announcement *oldest; /* that is not settled */
    struct fletch_announcement *newest;
    uint64_t handed; /* to outlets: the sequence of the last one */
    bool has_ended;
    bool has_aborted;
    struct fletch_channel_record *channels; /* of its end */
    uint32_t channel_count;
    struct fletch_announcement aborting; /* what an abort is announced by */
};

/* An announcement of the seat's producer, with room for its channels; NULL: no memory. What it says
 * is filled in by the caller. */
struct fletch_announcement *fletch_announcement_create(struct fletch_shuffle *shuffle,
                                                       struct fletch_shuffle_seat *seat,
                                                       enum fletch_control_kind kind);

/* Says it to all outlets; the announcement is gone. Returns its number. The producer's thread; does
 * not block. */
uint64_t fletch_announce(struct fletch_announcement *announcement);

/* Whether all up to `number` are answered. The producer's thread. */
static inline bool fletch_announcer_is_settled(const struct fletch_announcer *announcer,
                                               uint64_t number)
{
    return load_acquire(&announcer->settled) >= number; /* E1 acquire */
}

/* One outlet less to wait for, by its answer; `failure` NULL: it has accepted. In the serial. */
void fletch_announcement_answer(struct fletch_announcement *announcement,
                                const struct fletch_error *failure);

/* In the serial: nobody is to be waited for any more than there are. */
void fletch_announcer_settle(struct fletch_shuffle_seat *seat);

/* With the seat. */
void fletch_announcer_deinit(struct fletch_announcer *announcer);

#endif
