#include "support/failing_allocator.h"

#include <stdlib.h>

static void *failing_allocate(void *context, size_t bytes, size_t alignment)
{
    struct failing_allocator *failing = context;
    failing->requests++;
    if (failing->requests == failing->fail_at) {
        failing->failures++;
        return NULL;
    }
    failing->live_bytes += bytes;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void failing_release(void *context, void *memory, size_t bytes, size_t alignment)
{
    struct failing_allocator *failing = context;
    (void)alignment;
    failing->live_bytes -= bytes;
    free(memory);
}

void failing_allocator_start(struct failing_allocator *failing, uint64_t fail_at)
{
    *failing = (struct failing_allocator){
        .allocator = {.allocate = failing_allocate, .release = failing_release, .context = failing},
        .fail_at = fail_at,
    };
}
