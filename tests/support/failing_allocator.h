#ifndef FLETCH_TESTS_SUPPORT_FAILING_ALLOCATOR_H
#define FLETCH_TESTS_SUPPORT_FAILING_ALLOCATOR_H

#include <fletching/allocator.h>

#include <stdint.h>

/* An allocator that refuses the n-th request and counts bytes, for any number of blocks: it knows
 * none of them, as counting_allocator.h does. One thread at a time. */
struct failing_allocator {
    struct fletch_allocator allocator; /* to pass to the library */
    uint64_t requests;
    uint64_t fail_at; /* 0: never */
    uint64_t live_bytes;
    uint64_t failures;
};

/* It stays where it is from here on. */
void failing_allocator_start(struct failing_allocator *failing, uint64_t fail_at);

#endif
