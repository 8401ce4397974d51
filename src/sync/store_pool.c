#include "sync/store_pool.h"

#include "base/poison.h"

/* The first chunk of a size is small, each further one twice as large. */
enum { CHUNK_BYTES_LEAST = 4 << 10, CHUNK_BYTES_MOST = 64 << 10 };

struct fletch_store_chunk {
    struct fletch_store_chunk *next;
    size_t bytes;
};

void fletch_store_pool_start(struct fletch_store_pool *pool)
{
    for (size_t i = 0; i < FLETCH_STORE_BLOCK_SIZES; i++)
        store_relaxed(&pool->stash[i], NULL); /* relaxed: nobody else knows the pool yet */
}

void fletch_store_cache_start(struct fletch_store_cache *cache)
{
    *cache = (struct fletch_store_cache){.chunks = NULL};
}

void fletch_store_cache_end(struct fletch_store_cache *cache,
                            const struct fletch_allocator *allocator)
{
    struct fletch_store_chunk *chunk = cache->chunks;
    while (chunk != NULL) {
        struct fletch_store_chunk *next = chunk->next;
        fletch_unpoison(chunk, chunk->bytes);
        fletch_release(allocator, chunk, chunk->bytes, FLETCH_STORE_BLOCK_BYTES);
        chunk = next;
    }
}

static size_t size_index(size_t bytes)
{
    return (bytes - 1) / FLETCH_STORE_BLOCK_BYTES;
}

/* ---- the stash ---- */

/* Pushes a chain of batches. */
static void push_batches(_Atomic(struct fletch_store_block *) *stash,
                         struct fletch_store_block *first, struct fletch_store_block *last)
{
    /* relaxed: only linked to */
    struct fletch_store_block *newest = load_relaxed(stash);
    do
        last->next_batch = newest;
    while (!cas_weak_release(stash, &newest, first)); /* E1 release */
}

static struct fletch_store_block *pop_batch(_Atomic(struct fletch_store_block *) *stash)
{
    /* relaxed: a hint; what is not seen is left for the next */
    if (load_relaxed(stash) == NULL)
        return NULL;
    struct fletch_store_block *batch = exchange_acquire(stash, NULL); /* E1 acquire */
    struct fletch_store_block *rest = batch == NULL ? NULL : batch->next_batch;
    if (rest == NULL)
        return batch;
    struct fletch_store_block *nothing = NULL;
    if (!cas_strong_release(stash, &nothing, rest)) { /* E1 release */
        struct fletch_store_block *last = rest;
        while (last->next_batch != NULL)
            last = last->next_batch;
        push_batches(stash, rest, last);
    }
    return batch;
}

/* ---- taking ---- */

static bool add_chunk(struct fletch_store_cache *cache, struct fletch_store_magazine *magazine,
                      const struct fletch_allocator *allocator)
{
    size_t bytes = CHUNK_BYTES_LEAST;
    if (magazine->chunk_bytes != 0)
        bytes = magazine->chunk_bytes < CHUNK_BYTES_MOST ? 2 * (size_t)magazine->chunk_bytes
                                                         : CHUNK_BYTES_MOST;
    struct fletch_store_chunk *chunk = fletch_allocate(allocator, bytes, FLETCH_STORE_BLOCK_BYTES);
    if (chunk == NULL)
        return false;
    chunk->next = cache->chunks;
    chunk->bytes = bytes;
    cache->chunks = chunk;
    magazine->chunk_bytes = (uint32_t)bytes;
    magazine->carve = (char *)chunk + FLETCH_STORE_BLOCK_BYTES;
    magazine->carve_end = (char *)chunk + bytes;
    fletch_poison(magazine->carve, bytes - FLETCH_STORE_BLOCK_BYTES);
    return true;
}

static void *carve(struct fletch_store_magazine *magazine, size_t block_bytes)
{
    if ((size_t)(magazine->carve_end - magazine->carve) < block_bytes)
        return NULL;
    void *block = magazine->carve;
    magazine->carve += block_bytes;
    return block;
}

/* The magazine has no block: fills it from elsewhere, or carves one. */
static void *take_elsewhere(struct fletch_store_pool *pool, struct fletch_store_cache *cache,
                            const struct fletch_allocator *allocator, size_t index)
{
    struct fletch_store_magazine *magazine = &cache->magazines[index];
    size_t block_bytes = (index + 1) * FLETCH_STORE_BLOCK_BYTES;
    struct fletch_store_block *batch = magazine->full;
    magazine->full = NULL;
    magazine->count = 0;
    if (batch == NULL)
        batch = pop_batch(&pool->stash[index]);
    if (batch != NULL) {
        magazine->first = batch->next;
        magazine->count = FLETCH_STORE_BATCH_BLOCKS - 1;
        return batch;
    }
    void *block = carve(magazine, block_bytes);
    if (block == NULL && add_chunk(cache, magazine, allocator))
        block = carve(magazine, block_bytes);
    return block;
}

void *fletch_store_pool_take(struct fletch_store_pool *pool, struct fletch_store_cache *cache,
                             const struct fletch_allocator *allocator, size_t bytes)
{
    size_t index = size_index(bytes);
    struct fletch_store_magazine *magazine = &cache->magazines[index];
    void *memory = magazine->first;
    if (__builtin_expect(memory != NULL, 1)) {
        magazine->first = magazine->first->next;
        if (magazine->count != 0)
            magazine->count--;
    } else {
        memory = take_elsewhere(pool, cache, allocator, index);
        if (memory == NULL)
            return NULL;
    }
    /* The next to be taken: its line is on its way by then. */
    __builtin_prefetch(magazine->first, 1);
    fletch_unpoison(memory, (index + 1) * FLETCH_STORE_BLOCK_BYTES);
    return memory;
}

/* ---- giving ---- */

void fletch_store_pool_give(struct fletch_store_pool *pool, struct fletch_store_cache *cache,
                            void *memory, size_t bytes)
{
    size_t index = size_index(bytes);
    struct fletch_store_block *block = memory;
    fletch_poison(block + 1, (index + 1) * FLETCH_STORE_BLOCK_BYTES - sizeof *block);
    block->next = NULL;
    block->next_batch = NULL;
    if (cache == NULL) {
        push_batches(&pool->stash[index], block, block);
        return;
    }
    struct fletch_store_magazine *magazine = &cache->magazines[index];
    if (magazine->count == FLETCH_STORE_BATCH_BLOCKS) {
        if (magazine->full != NULL)
            push_batches(&pool->stash[index], magazine->full, magazine->full);
        magazine->full = magazine->first;
        magazine->first = NULL;
        magazine->count = 0;
    }
    block->next = magazine->first;
    magazine->first = block;
    magazine->count++;
}
