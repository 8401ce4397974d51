#ifndef FLETCH_SYNC_FAN_IN_H
#define FLETCH_SYNC_FAN_IN_H

/* Many registered producers, one consumer.
 *
 * Origin: see sync/lane_set.h, which has the lanes, and sync/spsc_ring.h, which has the ring of
 * each. Here the two meet: a push is a push into the lane, a look whether the lane is asleep, and a
 * look whether the consumer is. The consumer takes from one lane until run_limit elements have
 * come from it or it is empty, then gives the turn to the next: so fairness and runs are one
 * counter.
 *
 * The consumer sleeps on one eventcount, which each push asks after; a producer that waits for room
 * sleeps on its lane's own.
 *
 * Roles: each lane one producer, a thread at a time; one consumer, a thread at a time; any thread
 * registers, closes to new ones, asks. Progress: as in sync/lane_set.h, and the waiting calls wait.
 * A stalled or dead producer holds up nobody; behind a stalled consumer lanes run full.
 *
 * Edges: none of its own; those of sync/lane_set.h, sync/spsc_ring.h and sync/eventcount.h.
 *
 * Linearization: push and pop as in the lane; empty is not one moment: each lane was empty at some
 * moment of the call. Reclamation: none. */

#include <fletching/fan_in.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "sync/end_guard.h"
#include "sync/lane_set.h"

/* Written by the consumer only. */
struct fletch_fan_in_consumer {
    struct fletch_spsc_ring *ring; /* of the lane whose turn it is */
    uint64_t turn_end;             /* its position at which the turn is over */
    uint32_t source;               /* its number */
    _Atomic uint64_t emptys;       /* statistic */
    struct fletch_wait_history waits;
    struct fletch_end_guard guard;
};

struct fletch_fan_in {
    struct fletch_wait_policy policy;
    bool sleeps;
    uint32_t run_limit;
    struct fletch_lane_set set;
    FLETCH_ISOLATED struct fletch_eventcount elements; /* the consumer sleeps here */
    FLETCH_ISOLATED struct fletch_fan_in_consumer consumer;
};

/* Lets the positions of all lanes of a new fan-in begin at `start`: as
 * fletch_spsc_ring_restart_at. */
void fletch_fan_in_restart_at(struct fletch_fan_in *fan_in, uint64_t start);

#endif
