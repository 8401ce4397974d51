#include "fuzz/feed_memory.h"

#include <stdlib.h>

#include "fuzz/fuzz_target.h"

static void *allocate(void *context, size_t bytes, size_t alignment)
{
    struct feed_memory *memory = context;
    memory->live_bytes += bytes;
    if (memory->live_bytes > memory->most_bytes)
        fuzz_stop(memory->name, "more memory than limits allow");
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void release(void *context, void *block, size_t bytes, size_t alignment)
{
    struct feed_memory *memory = context;
    (void)alignment;
    memory->live_bytes -= bytes;
    free(block);
}

void feed_memory_start(struct feed_memory *memory, const char *name, size_t block_bytes,
                       uint64_t message_bytes)
{
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    const struct fletch_account_options account = {
        .struct_size = sizeof account, .name = "messages", .limit_bytes = message_bytes};
    *memory = (struct feed_memory){
        .name = name, .most_bytes = block_bytes, .allocator = {allocate, release, memory}};
    if (fletch_buffer_pool_create(&options, NULL, &memory->pool, NULL) != FLETCH_OK ||
        fletch_buffer_cache_open(memory->pool, &memory->cache, NULL) != FLETCH_OK ||
        fletch_budget_create(&account, NULL, &memory->budget, NULL) != FLETCH_OK)
        fuzz_stop(name, "no pool");
    memory->account = fletch_budget_account(memory->budget);
}

void feed_memory_check(const struct feed_memory *memory)
{
    struct fletch_budget_statistics statistics = {.struct_size = sizeof statistics};
    fletch_account_statistics(memory->account, &statistics);
    if (memory->live_bytes != 0 || statistics.used_bytes != 0)
        fuzz_stop(memory->name, "memory did not come back");
}

void feed_memory_end(struct feed_memory *memory)
{
    feed_memory_check(memory);
    if (fletch_budget_destroy(memory->budget, NULL) != FLETCH_OK)
        fuzz_stop(memory->name, "a message is charged still");
    fletch_buffer_cache_close(memory->cache);
    if (fletch_buffer_pool_destroy(memory->pool, NULL) != FLETCH_OK)
        fuzz_stop(memory->name, "a buffer is missing");
}
