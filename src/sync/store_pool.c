#include "sync/store_pool.h"

#include "base/poison.h"

struct fletch_store_chunk {
    struct fletch_store_chunk *next;
    uint32_t capacity; /* blocks, carved or not */
    uint32_t free;     /* of those, found by the trimmer */
};

#define CHUNK_BYTES_ASKED ((size_t)FLETCH_STORE_CHUNK_BYTES - FLETCH_STORE_BLOCK_BYTES)
#define CHUNK_BYTES_CARVED (CHUNK_BYTES_ASKED - FLETCH_STORE_BLOCK_BYTES)

void fletch_store_pool_start(struct fletch_store_pool *pool,
                             const struct fletch_allocator *allocator)
{
    pool->allocator = allocator;
    for (size_t i = 0; i < FLETCH_STORE_BLOCK_SIZES; i++) {
        struct fletch_store_shelf *shelf = &pool->shelves[i];
        /* relaxed, all of these: nobody else knows the pool yet */
        store_relaxed(&shelf->stash, NULL);                        /* relaxed: as above */
        store_relaxed(&shelf->chunks, NULL);                       /* relaxed: as above */
        store_relaxed(&shelf->stashed, 0);                         /* relaxed: as above */
        store_relaxed(&shelf->blocks, 0);                          /* relaxed: as above */
        store_relaxed(&shelf->trim_from, FLETCH_STORE_TRIM_LEAST); /* relaxed: as above */
        store_relaxed(&shelf->trimming, 0);                        /* relaxed: as above */
        store_relaxed(&shelf->carvers, 0);                         /* relaxed: as above */
    }
}

static void release_chunk(const struct fletch_store_pool *pool, struct fletch_store_chunk *chunk)
{
    fletch_unpoison(chunk, CHUNK_BYTES_ASKED);
    fletch_release(pool->allocator, chunk, CHUNK_BYTES_ASKED, FLETCH_STORE_CHUNK_BYTES);
}

void fletch_store_pool_end(struct fletch_store_pool *pool)
{
    for (size_t i = 0; i < FLETCH_STORE_BLOCK_SIZES; i++) {
        struct fletch_store_chunk *chunk =
            exchange_acquire(&pool->shelves[i].chunks, NULL); /* E2 acquire */
        while (chunk != NULL) {
            struct fletch_store_chunk *next = chunk->next;
            release_chunk(pool, chunk);
            chunk = next;
        }
    }
}

void fletch_store_cache_start(struct fletch_store_cache *cache)
{
    for (size_t i = 0; i < FLETCH_STORE_BLOCK_SIZES; i++)
        cache->magazines[i] = (struct fletch_store_magazine){.first = NULL};
}

static size_t size_index(size_t bytes)
{
    return (bytes - 1) / FLETCH_STORE_BLOCK_BYTES;
}

/* ---- the stash ---- */

/* Pushes a chain of batches. */
static void push_batches(struct fletch_store_shelf *shelf, struct fletch_store_block *first,
                         struct fletch_store_block *last)
{
    /* relaxed: only linked to */
    struct fletch_store_block *newest = load_relaxed(&shelf->stash);
    do
        last->next_batch = newest;
    while (!cas_weak_release(&shelf->stash, &newest, first)); /* E1 release */
}

static struct fletch_store_block *pop_batch(struct fletch_store_shelf *shelf)
{
    /* relaxed: a hint; what is not seen is left for the next */
    if (load_relaxed(&shelf->stash) == NULL)
        return NULL;
    struct fletch_store_block *batch = exchange_acquire(&shelf->stash, NULL); /* E1 acquire */
    if (batch == NULL)
        return NULL;
    struct fletch_store_block *rest = batch->next_batch;
    struct fletch_store_block *nothing = NULL;
    fetch_sub_relaxed(&shelf->stashed, batch->count); /* relaxed: only says when to trim */
    if (rest != NULL && !cas_strong_release(&shelf->stash, &nothing, rest)) { /* E1 release */
        struct fletch_store_block *last = rest;
        while (last->next_batch != NULL)
            last = last->next_batch;
        push_batches(shelf, rest, last);
    }
    return batch;
}

/* ---- trimming ---- */

static struct fletch_store_chunk *chunk_of(const struct fletch_store_block *block)
{
    uintptr_t address = (uintptr_t)block & ~((uintptr_t)FLETCH_STORE_CHUNK_BYTES - 1);
    return (struct fletch_store_chunk *)address; // NOLINT
}

static bool is_free(const struct fletch_store_chunk *chunk)
{
    return chunk->free == chunk->capacity;
}

/* Counts free blocks in their chunks, and tells how many there are. */
static uint64_t count_free(const struct fletch_store_block *batch)
{
    uint64_t blocks = 0;
    for (; batch != NULL; batch = batch->next_batch) {
        blocks += batch->count;
        for (const struct fletch_store_block *block = batch; block != NULL; block = block->next)
            chunk_of(block)->free++;
    }
    return blocks;
}

/* Batches that are put together of blocks that stay. */
struct gathering {
    struct fletch_store_block *first; /* batch */
    struct fletch_store_block *last;  /* batch */
    uint64_t blocks;
};

static void gather(struct gathering *gathering, struct fletch_store_block *block)
{
    gathering->blocks++;
    if (gathering->first != NULL && gathering->first->count < FLETCH_STORE_BATCH_BLOCKS) {
        block->next = gathering->first->next;
        gathering->first->next = block;
        gathering->first->count++;
        return;
    }
    block->next = NULL;
    block->count = 1;
    block->next_batch = gathering->first;
    if (gathering->last == NULL)
        gathering->last = block;
    gathering->first = block;
}

/* The blocks of chunks that are not free. */
static struct gathering gather_staying(struct fletch_store_block *batch)
{
    struct gathering gathering = {.first = NULL};
    while (batch != NULL) {
        struct fletch_store_block *next_batch = batch->next_batch;
        struct fletch_store_block *block = batch;
        while (block != NULL) {
            struct fletch_store_block *next = block->next;
            if (!is_free(chunk_of(block)))
                gather(&gathering, block);
            block = next;
        }
        batch = next_batch;
    }
    return gathering;
}

/* Pushes a chain of chunks. */
static void push_chunks(struct fletch_store_shelf *shelf, struct fletch_store_chunk *first,
                        struct fletch_store_chunk *last)
{
    /* relaxed: only linked to */
    struct fletch_store_chunk *newest = load_relaxed(&shelf->chunks);
    do
        last->next = newest;
    while (!cas_weak_release(&shelf->chunks, &newest, first)); /* E2 release */
}

/* Gives the free chunks back, and forgets what was counted in the others. */
static void release_free_chunks(struct fletch_store_pool *pool, struct fletch_store_shelf *shelf)
{
    struct fletch_store_chunk *chunk = exchange_acquire(&shelf->chunks, NULL); /* E2 acquire */
    struct fletch_store_chunk *first = NULL, *last = NULL;
    while (chunk != NULL) {
        struct fletch_store_chunk *next = chunk->next;
        if (is_free(chunk)) {
            fetch_sub_relaxed(&shelf->blocks, chunk->capacity); /* relaxed: says when to trim */
            release_chunk(pool, chunk);
        } else {
            chunk->free = 0;
            chunk->next = first;
            last = last == NULL ? chunk : last;
            first = chunk;
        }
        chunk = next;
    }
    if (first != NULL)
        push_chunks(shelf, first, last);
}

/* How many blocks must lie in the stash for the next trimming, when `staying` do now: then seven
 * eighths of those that are out have come back. What caches keep never does. */
static uint64_t next_trim(struct fletch_store_shelf *shelf, uint64_t staying)
{
    uint64_t blocks = load_relaxed(&shelf->blocks); /* relaxed: only says when to trim */
    uint64_t kept =
        load_relaxed(&shelf->carvers) * FLETCH_STORE_KEPT_BLOCKS; /* relaxed: as above */
    uint64_t from = staying + FLETCH_STORE_BATCH_BLOCKS;
    if (blocks > staying + kept)
        from = blocks - kept - (blocks - kept - staying) / 8;
    return from > staying + FLETCH_STORE_BATCH_BLOCKS ? from : staying + FLETCH_STORE_BATCH_BLOCKS;
}

static void trim(struct fletch_store_pool *pool, struct fletch_store_shelf *shelf)
{
    if (exchange_acquire(&shelf->trimming, 1) != 0) /* E3 acquire */
        return;
    struct fletch_store_block *batch = exchange_acquire(&shelf->stash, NULL); /* E1 acquire */
    uint64_t taken = count_free(batch);
    struct gathering staying = gather_staying(batch);
    release_free_chunks(pool, shelf);
    fetch_sub_relaxed(&shelf->stashed, taken - staying.blocks); /* relaxed: says when to trim */
    if (staying.first != NULL)
        push_batches(shelf, staying.first, staying.last);
    store_relaxed(&shelf->trim_from, next_trim(shelf, staying.blocks)); /* relaxed: as above */
    store_release(&shelf->trimming, 0);                                 /* E3 release */
}

/* Pushes one batch. True: it is time to trim. */
static bool stash_batch(struct fletch_store_shelf *shelf, struct fletch_store_block *batch)
{
    uint32_t count = batch->count;
    push_batches(shelf, batch, batch);
    /* relaxed, all of these: they only say when to trim */
    uint64_t stashed = fetch_add_relaxed(&shelf->stashed, count) + count; /* relaxed: as above */
    uint64_t blocks = load_relaxed(&shelf->blocks);                       /* relaxed: as above */
    return stashed >= load_relaxed(&shelf->trim_from) &&                  /* relaxed: as above */
           stashed >= blocks / 2 && (int64_t)stashed > 0;
}

/* Pushes what a magazine has, so that it keeps no chunk from being given back. */
static void empty_magazine(struct fletch_store_shelf *shelf, struct fletch_store_magazine *magazine)
{
    if (magazine->full != NULL)
        (void)stash_batch(shelf, magazine->full);
    if (magazine->first != NULL) {
        magazine->first->count = magazine->count;
        (void)stash_batch(shelf, magazine->first);
    }
    magazine->full = magazine->first = NULL;
    magazine->count = 0;
}

/* ---- taking ---- */

static bool add_chunk(struct fletch_store_pool *pool, struct fletch_store_magazine *magazine,
                      size_t index)
{
    struct fletch_store_shelf *shelf = &pool->shelves[index];
    struct fletch_store_chunk *chunk =
        fletch_allocate(pool->allocator, CHUNK_BYTES_ASKED, FLETCH_STORE_CHUNK_BYTES);
    if (chunk == NULL)
        return false;
    chunk->capacity = (uint32_t)(CHUNK_BYTES_CARVED / ((index + 1) * FLETCH_STORE_BLOCK_BYTES));
    chunk->free = 0;
    if (magazine->carve == NULL)
        fetch_add_relaxed(&shelf->carvers, 1); /* relaxed: only says when to trim */
    magazine->carve = (char *)chunk + FLETCH_STORE_BLOCK_BYTES;
    magazine->carve_end = magazine->carve + CHUNK_BYTES_CARVED;
    fletch_poison(magazine->carve, CHUNK_BYTES_CARVED);
    fetch_add_relaxed(&shelf->blocks, chunk->capacity); /* relaxed: only says when to trim */
    push_chunks(shelf, chunk, chunk);
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
                            size_t index)
{
    struct fletch_store_magazine *magazine = &cache->magazines[index];
    size_t block_bytes = (index + 1) * FLETCH_STORE_BLOCK_BYTES;
    struct fletch_store_block *batch = magazine->full;
    magazine->full = NULL;
    magazine->count = 0;
    if (batch == NULL)
        batch = pop_batch(&pool->shelves[index]);
    if (batch != NULL) {
        magazine->first = batch->next;
        magazine->count = batch->count - 1;
        return batch;
    }
    void *block = carve(magazine, block_bytes);
    if (block == NULL && add_chunk(pool, magazine, index))
        block = carve(magazine, block_bytes);
    return block;
}

void *fletch_store_pool_take(struct fletch_store_pool *pool, struct fletch_store_cache *cache,
                             size_t bytes)
{
    size_t index = size_index(bytes);
    struct fletch_store_magazine *magazine = &cache->magazines[index];
    void *memory = magazine->first;
    if (__builtin_expect(memory != NULL, 1)) {
        magazine->first = magazine->first->next;
        magazine->count--;
    } else {
        memory = take_elsewhere(pool, cache, index);
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
    struct fletch_store_shelf *shelf = &pool->shelves[index];
    struct fletch_store_block *block = memory;
    fletch_poison(block + 1, (index + 1) * FLETCH_STORE_BLOCK_BYTES - sizeof *block);
    block->next = NULL;
    block->next_batch = NULL;
    block->count = 1;
    if (cache == NULL) {
        if (stash_batch(shelf, block))
            trim(pool, shelf);
        return;
    }
    struct fletch_store_magazine *magazine = &cache->magazines[index];
    bool due = false;
    if (magazine->count == FLETCH_STORE_BATCH_BLOCKS) {
        due = magazine->full != NULL && stash_batch(shelf, magazine->full);
        magazine->first->count = magazine->count;
        magazine->full = magazine->first;
        magazine->first = NULL;
        magazine->count = 0;
    }
    block->next = magazine->first;
    magazine->first = block;
    magazine->count++;
    if (__builtin_expect(due, 0)) {
        empty_magazine(shelf, magazine);
        trim(pool, shelf);
    }
}
