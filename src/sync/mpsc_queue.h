#ifndef FLETCH_SYNC_MPSC_QUEUE_H
#define FLETCH_SYNC_MPSC_QUEUE_H

/* Bounded queue of any number of producers and one consumer.
 *
 * Origin: D. Vyukov's bounded queue (2010): a position is claimed by compare-and-swap on the tail,
 * and the slot's sequence tells when it has been filled. Different here: sequences only grow, room
 * is returned lazily (as in sync/spsc_ring.h), one claim can cover several slots, and the tail
 * carries the closed flag.
 *
 * Runs. A claim of n positions is published as one run: the sequence of its first slot becomes the
 * position behind its last one (a single element: position + 1), after all elements are in place;
 * the other slots keep what they had. A sequence above its slot's position thus says that elements
 * up to there are ready. One from an earlier lap is at most the slot's position, since a run is at
 * most as long as the ring: it says nothing. The consumer keeps the end of the run that it is in,
 * in the queue itself, so that a successor in another process goes on where it stopped.
 *
 * Roles: any number of producers, none of which registers; one consumer, a thread at a time.
 * Progress: push and close are lock-free (a failed compare-and-swap means that another push won);
 * pop is wait-free. Between its claim and its publication a producer holds up the consumer at its
 * position (answer HELD) and, once the queue is full behind it, the other producers (answer FULL);
 * if it dies there, that is for ever, and nothing else is affected. Producers that must not be able
 * to do that to each other need a ring for each.
 *
 * Positions count elements. They are kept doubled, in steps of FLETCH_MPSC_STEP, so that the lowest
 * bit of the tail is free for the closed flag and the numbers wrap at 2^64 by themselves: a claim
 * and the closing of the queue are ordered by one word.
 *
 * Edges:
 *   E1: producer store_release(sequence of the first slot) -> consumer load_acquire(the same): the
 *       elements of the run are in their slots.
 *   E2: consumer store_release(head_published) -> producer load_acquire(head_published): slots
 *       below that position have been read and may be written.
 *
 * Linearization: push at the compare-and-swap (its element becomes available at E1), close at the
 * fetch_or, pop at the load of E1 that finds the
 * element's run; full at the load of E2, empty, held and
 * closed at the load of the tail.
 *
 * ABA: a stale tail equals the tail again after 2^63 claims only. Reclamation: none, slots are
 * reused in place. */

#include <fletching/mpsc_queue.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "sync/end_guard.h"
#include "sync/ring.h"

/* One element in positions, and the flag below it. */
#define FLETCH_MPSC_STEP UINT64_C(2)
#define FLETCH_MPSC_CLOSED UINT64_C(1)

/* Written by the consumer only. */
struct fletch_mpsc_consumer {
    _Atomic uint64_t head;   /* position of the next element to pop */
    uint64_t run_end;        /* elements below this position are known to be there */
    uint64_t return_at;      /* at this position room is returned next */
    uint64_t missed_at;      /* where the last try found no element */
    _Atomic uint64_t emptys; /* statistic */
    struct fletch_wait_history waits;
    struct fletch_end_guard guard;
};

/* Written by producers when they find no room: away from everything else. */
struct fletch_mpsc_waiting {
    _Atomic uint64_t fulls; /* statistic; producers may lose each other's counts */
    struct fletch_wait_history waits;
};

struct fletch_mpsc_queue {
    FLETCH_ISOLATED struct fletch_ring_header header;
    uint64_t start;                        /* the first position */
    FLETCH_ISOLATED _Atomic uint64_t tail; /* position of the next claim, | FLETCH_MPSC_CLOSED */
    FLETCH_ISOLATED struct fletch_mpsc_consumer consumer;
    FLETCH_ISOLATED _Atomic uint64_t head_published; /* by the consumer */
    FLETCH_ISOLATED struct fletch_mpsc_waiting producers;
};

/* Lets the positions of a new, empty queue begin at `start`, an even number, so that tests can
 * begin just below the limit. */
void fletch_mpsc_queue_restart_at(struct fletch_mpsc_queue *queue, uint64_t start);

/* The two halves of a push, apart so that tests can stall or die between them. `*out_position` is
 * where the claim begins. */
enum fletch_answer fletch_mpsc_queue_claim(struct fletch_mpsc_queue *queue, size_t count,
                                           uint64_t *out_position);
void fletch_mpsc_queue_publish(struct fletch_mpsc_queue *queue, uint64_t position,
                               const void *elements, size_t count);

#endif
