#ifndef FLETCH_MEMORY_SHARED_H
#define FLETCH_MEMORY_SHARED_H

/* A counted object: the first member of what is counted.
 *
 * Edges:
 *   E1: releaser fetch_sub_acq_rel(references) -> last releaser fetch_sub_acq_rel(references): what
 *       each holder did with the object happened before its end. */

#include <stdint.h>

#include "base/atomic.h"

struct fletch_shared {
    _Atomic uint32_t references;
    void (*end)(struct fletch_shared *shared);
};

static inline void fletch_shared_init(struct fletch_shared *shared,
                                      void (*end)(struct fletch_shared *shared))
{
    atomic_init(&shared->references, 1);
    shared->end = end;
}

static inline void fletch_shared_acquire(struct fletch_shared *shared)
{
    /* relaxed: whoever acquires holds a reference already, and passes nothing on by it */
    fetch_add_relaxed(&shared->references, 1);
}

static inline void fletch_shared_release(struct fletch_shared *shared)
{
    /* E1 release and acquire: read by the last of these calls */
    if (fetch_sub_acq_rel(&shared->references, 1) == 1)
        shared->end(shared);
}

#endif
