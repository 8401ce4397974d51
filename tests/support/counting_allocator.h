#ifndef FLETCH_TESTS_SUPPORT_COUNTING_ALLOCATOR_H
#define FLETCH_TESTS_SUPPORT_COUNTING_ALLOCATOR_H

#include <fletching/allocator.h>

#include <stdint.h>

/* An allocator that counts, checks that each block comes back with the numbers it was asked with,
 * and can refuse the n-th request. One thread. */
enum { COUNTED_BLOCKS_MAX = 4096 };
struct counting_allocator {
    struct fletch_allocator allocator; /* to pass to the library; set by counting_allocator_start */
    uint64_t fail_at;                  /* refuse this request, counted from 1; 0: none */
    uint64_t requests;
    uint64_t released;
    uint64_t mismatched; /* releases of what was never given, or with other numbers */
    uint64_t live_bytes;
    struct {
        void *memory;
        size_t bytes;
        size_t alignment;
    } blocks[COUNTED_BLOCKS_MAX];
};

void counting_allocator_start(struct counting_allocator *counting, uint64_t fail_at);

#endif
