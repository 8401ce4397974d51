#ifndef FLETCHING_ALLOCATOR_H
#define FLETCHING_ALLOCATOR_H

#include <stddef.h>

#include <fletching/export.h>

FLETCH_BEGIN_DECLS

/** Where the library takes memory from. Every function that takes an allocator copies these three
 *  words and accepts NULL for the default one (aligned_alloc and free). Both functions must be
 *  callable from any thread. */
struct fletch_allocator {
    /** Returns `bytes` bytes aligned to `alignment` (a power of two), or NULL. `bytes` > 0. */
    void *(*allocate)(void *context, size_t bytes, size_t alignment);
    /** Takes back what allocate returned, with the same numbers. */
    void (*release)(void *context, void *memory, size_t bytes, size_t alignment);
    void *context;
};

FLETCH_END_DECLS

#endif
