#ifndef FLETCHING_WAIT_H
#define FLETCHING_WAIT_H

#include <stdint.h>

#include <fletching/export.h>

FLETCH_BEGIN_DECLS

/** A timeout that never comes. Timeouts are durations in nanoseconds of CLOCK_MONOTONIC; 0 means:
 *  look once, do not wait. */
#define FLETCH_NO_TIMEOUT UINT64_MAX

/** Value of an option that means "none", where 0 means "the default". */
#define FLETCH_OFF UINT64_MAX

/** FLETCH_WAIT_ADAPTIVE: the most that one wait spins before it parks, unless the option
 *  spin_budget_ns says otherwise. About what a wake-up costs, so that a wait costs at most about
 *  twice what the better of spinning and parking would have cost. */
#define FLETCH_SPIN_BUDGET_NS_DEFAULT UINT64_C(30000)

/** How a waiting call waits. SPIN, PAUSE and YIELD never sleep: a ring made with one of them has no
 *  descriptor for epoll loops, and pushing to it does not look for sleepers. */
enum fletch_wait_strategy {
    /** FLETCH_WAIT_ADAPTIVE. */
    FLETCH_WAIT_DEFAULT = 0,
    /** Looks again at once, for ever: lowest latency, a core of one's own. */
    FLETCH_WAIT_SPIN = 1,
    /** Looks again after the processor's PAUSE or YIELD: as FLETCH_WAIT_SPIN, and kinder to a
     *  sibling thread of the same core. */
    FLETCH_WAIT_PAUSE = 2,
    /** Spins with PAUSE for a budget that it learns from what waiting has lately cost, then parks:
     *  short waits end without a system call, long ones burn no processor. */
    FLETCH_WAIT_ADAPTIVE = 3,
    /** Looks a few times, then gives the processor away (sched_yield) between looks. */
    FLETCH_WAIT_YIELD = 4,
    /** Parks at once. */
    FLETCH_WAIT_PARK = 5
};

FLETCH_END_DECLS

#endif
