#ifndef FLETCH_BASE_ALLOCATOR_H
#define FLETCH_BASE_ALLOCATOR_H

#include <fletching/allocator.h>

#include <stdbool.h>

/* `allocator`, or the default one (aligned_alloc and free) for NULL. */
struct fletch_allocator fletch_allocator_or_default(const struct fletch_allocator *allocator);

/* Whether it is the default one, so that memory may as well come from the system's pages. */
bool fletch_allocator_is_default(const struct fletch_allocator *allocator);

/* `bytes` > 0, `alignment` a power of two. NULL: no memory. Given back with the same numbers. */
void *fletch_allocate(const struct fletch_allocator *allocator, size_t bytes, size_t alignment);
void fletch_release(const struct fletch_allocator *allocator, void *memory, size_t bytes,
                    size_t alignment);

/* A block that remembers its allocator and size, for objects that are made by a create function and
 * given back by a destroy function: `bytes` bytes aligned to FLETCH_INTERFERENCE_BYTES, or NULL. */
void *fletch_block_allocate(const struct fletch_allocator *allocator, size_t bytes);
void fletch_block_release(void *block);

#endif
