#ifndef FLETCH_MEMORY_SHARED_H
#define FLETCH_MEMORY_SHARED_H

/* A counted object: the first member of whatever is shared by references.
 *
 * Origin: reference counting, with the orders of std::shared_ptr.
 *
 * Roles: any number of threads, each of which owns the references that it acquires or drops.
 * Progress: wait-free. A thread that dies keeps its references for good.
 *
 * Edges:
 *   E1: fetch_sub_acq_rel(references) of one holder -> fetch_sub_acq_rel or load_acquire of the
 *       last one: whatever the others did with the object was done before it ends.
 *
 * Linearization: at the addition and the subtraction; of the last drop, at the load that finds 1.
 * Reclamation: a reference is only acquired by who has one, or under the protection of whoever
 * keeps one meanwhile, so nobody meets a count of zero. Wrap: 2^32 references to one object are a
 * programmer's error. */

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/atomic.h"

struct fletch_shared {
    _Atomic uint32_t references;
    void (*end)(struct fletch_shared *shared); /* called by whoever drops the last reference */
};

/* One reference, the caller's. */
static inline void fletch_shared_init(struct fletch_shared *shared,
                                      void (*end)(struct fletch_shared *shared))
{
    store_relaxed(&shared->references, 1); /* relaxed: nobody else knows the object yet */
    shared->end = end;
}

static inline void fletch_shared_acquire(struct fletch_shared *shared)
{
    /* relaxed: the caller's own reference keeps the object alive */
    uint32_t before = fetch_add_relaxed(&shared->references, 1);
    FLETCH_ASSERT(before > 0 && before < UINT32_MAX);
    (void)before;
}

/* Drops one. True: it was the last, and the caller ends the object. The count of an object that
 * nobody else refers to is not written: nobody could tell. */
static inline bool fletch_shared_drop(struct fletch_shared *shared)
{
    if (load_acquire(&shared->references) == 1) /* E1 acquire: the caller's is the only one left */
        return true;
    /* E1 release, E1 acquire */
    uint32_t before = fetch_sub_acq_rel(&shared->references, 1);
    FLETCH_ASSERT(before > 0);
    return before == 1;
}

static inline void fletch_shared_release(struct fletch_shared *shared)
{
    if (fletch_shared_drop(shared))
        shared->end(shared);
}

#endif
