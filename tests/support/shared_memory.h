#ifndef FLETCH_TESTS_SUPPORT_SHARED_MEMORY_H
#define FLETCH_TESTS_SUPPORT_SHARED_MEMORY_H

#include <stddef.h>

/* One piece of memory mapped twice, at different addresses; children inherit both mappings. */
struct shared_memory {
    void *first;
    void *second;
    size_t bytes;
};

/* Zeroed memory, aligned to a page. Both addresses are NULL where the system refuses. */
struct shared_memory shared_memory_map(size_t bytes);
void shared_memory_unmap(struct shared_memory *memory);

#endif
