#ifndef FLETCH_SYNC_END_GUARD_H
#define FLETCH_SYNC_END_GUARD_H

/* Catches two threads at one end of a ring: a programmer's error that would corrupt it silently. In
 * builds without FLETCH_CHECKS both calls are nothing. */

#include <stdint.h>

#include "base/assert.h"
#include "base/atomic.h"

struct fletch_end_guard {
    _Atomic uint32_t entered;
};

static inline void fletch_end_guard_enter(struct fletch_end_guard *guard)
{
    /* relaxed: it must not order what the ring itself leaves unordered */
    FLETCH_ASSERT(exchange_relaxed(&guard->entered, 1) == 0 && "two threads at one end of a ring");
    (void)guard;
}

static inline void fletch_end_guard_leave(struct fletch_end_guard *guard)
{
    /* relaxed: as above */
    FLETCH_ASSERT(exchange_relaxed(&guard->entered, 0) == 1 &&
                  "an end is left that was not entered");
    (void)guard;
}

#endif
