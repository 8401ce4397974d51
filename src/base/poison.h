#ifndef FLETCH_BASE_POISON_H
#define FLETCH_BASE_POISON_H

#include <stddef.h>

/* Tells AddressSanitizer which memory nobody may touch just now, though it is mapped: what a pool
 * holds. Nothing in other builds. */
#ifdef __SANITIZE_ADDRESS__
void __asan_poison_memory_region(const void *memory, size_t bytes);
void __asan_unpoison_memory_region(const void *memory, size_t bytes);

static inline void fletch_poison(const void *memory, size_t bytes)
{
    __asan_poison_memory_region(memory, bytes);
}

static inline void fletch_unpoison(const void *memory, size_t bytes)
{
    __asan_unpoison_memory_region(memory, bytes);
}
#else
static inline void fletch_poison(const void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}

static inline void fletch_unpoison(const void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}
#endif

#endif
