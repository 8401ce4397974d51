#ifndef FLETCH_SHUFFLE_SLEEPER_H
#define FLETCH_SHUFFLE_SLEEPER_H

/* What an end of a medium sleeps on: an eventcount that is counted, since whoever has something to
 * tell may still come to it when the end is gone. Everything that can be told about a shuffle, or
 * about several, may go to one. */

#include "memory/shared.h"
#include "sync/eventcount.h"

struct fletch_sleeper {
    struct fletch_shared shared; /* first */
    FLETCH_ISOLATED struct fletch_eventcount eventcount;
};

/* One reference, the caller's. NULL: no memory. */
struct fletch_sleeper *fletch_sleeper_create(const struct fletch_allocator *allocator);

struct fletch_sleeper *fletch_sleeper_acquire(struct fletch_sleeper *sleeper);

/* NULL allowed. */
void fletch_sleeper_release(struct fletch_sleeper *sleeper);

#endif
