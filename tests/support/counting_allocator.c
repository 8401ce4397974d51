#include "support/counting_allocator.h"

#include <stdlib.h>
#include <string.h>

static void *counted_allocate(void *context, size_t bytes, size_t alignment)
{
    struct counting_allocator *counting = context;
    counting->requests++;
    if (counting->requests == counting->fail_at)
        return NULL;
    void *memory = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (memory == NULL)
        return NULL;
    memset(memory, 0xa5, bytes); /* nobody may count on zeros */
    for (size_t i = 0; i < COUNTED_BLOCKS_MAX; i++) {
        if (counting->blocks[i].memory != NULL)
            continue;
        counting->blocks[i].memory = memory;
        counting->blocks[i].bytes = bytes;
        counting->blocks[i].alignment = alignment;
        counting->live_bytes += bytes;
        return memory;
    }
    free(memory);
    return NULL;
}

static void counted_release(void *context, void *memory, size_t bytes, size_t alignment)
{
    struct counting_allocator *counting = context;
    counting->released++;
    for (size_t i = 0; i < COUNTED_BLOCKS_MAX; i++) {
        if (counting->blocks[i].memory != memory)
            continue;
        if (counting->blocks[i].bytes != bytes || counting->blocks[i].alignment != alignment)
            counting->mismatched++;
        counting->live_bytes -= counting->blocks[i].bytes;
        counting->blocks[i].memory = NULL;
        free(memory);
        return;
    }
    counting->mismatched++;
}

void counting_allocator_start(struct counting_allocator *counting, uint64_t fail_at)
{
    *counting = (struct counting_allocator){
        .allocator = {.allocate = counted_allocate,
                      .release = counted_release,
                      .context = counting},
        .fail_at = fail_at,
    };
}
