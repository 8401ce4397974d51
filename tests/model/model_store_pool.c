/* The store's pool: threads that take blocks and give them back, to each other's caches or without
 * one. Nobody has a block that another one has, what is written into one is there until it is given
 * back, and chunks are given back to the allocator only when nobody has a block of theirs.
 *
 * BLOCKS    that each thread takes, fills, and gives back, in each of ROUNDS
 * PRE       chunks of which one block lies in the stash before the threads start, and one is kept
 * ORPHANS   threads that give back without a cache
 * KEEPS     one thread keeps its last block until all is over */

#include "sync/store_pool.h"

#include "harness.h"

#ifndef BLOCKS
#define BLOCKS 1
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef PRE
#define PRE 0
#endif
#ifndef ORPHANS
#define ORPHANS 0
#endif
#ifndef KEEPS
#define KEEPS 0
#endif

enum { THREADS = 2 };

static struct fletch_allocator allocator;
static struct fletch_store_pool pool;
static struct fletch_store_cache caches[THREADS];
static int *kept[THREADS];

static int *take(struct fletch_store_cache *cache, int number)
{
    int *block = fletch_store_pool_take(&pool, cache, sizeof *block);
    harness_assert(block != NULL);
    *block = number;
    return block;
}

static void give(struct fletch_store_cache *cache, int *block, int number)
{
    harness_assert(*block == number);
    fletch_store_pool_give(&pool, cache, block, sizeof *block);
}

static void *run(void *argument)
{
    int index = (int)(intptr_t)argument;
    struct fletch_store_cache *cache = &caches[index];
    struct fletch_store_cache *gives = index >= THREADS - ORPHANS ? NULL : cache;
    int *blocks[BLOCKS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BLOCKS; i++)
            blocks[i] = take(cache, 100 * index + i);
        for (int i = 0; i < BLOCKS; i++) {
            if (KEEPS && index == 1 && round == ROUNDS - 1 && i == BLOCKS - 1)
                kept[index] = blocks[i];
            else
                give(gives, blocks[i], 100 * index + i);
        }
    }
    return NULL;
}

static void prepare(void)
{
    int *blocks[2 * PRE + 1];
    for (int i = 0; i < 2 * PRE; i++)
        blocks[i] = take(&caches[0], i);
    for (int i = 0; i < 2 * PRE; i += 2)
        give(NULL, blocks[i], i);
}

void harness(void)
{
    struct harness_thread threads[THREADS];
    allocator = fletch_allocator_or_default(NULL);
    fletch_store_pool_start(&pool, &allocator);
    for (int i = 0; i < THREADS; i++) {
        fletch_store_cache_start(&caches[i]);
        kept[i] = NULL;
    }
    /* Numbers that say when to trim, of which none is wrong. */
    harness_ignore(&pool.shelves[0].stashed, sizeof pool.shelves[0].stashed);
    harness_ignore(&pool.shelves[0].blocks, sizeof pool.shelves[0].blocks);
    harness_ignore(&pool.shelves[0].trim_from, sizeof pool.shelves[0].trim_from);
    harness_ignore(&pool.shelves[0].carvers, sizeof pool.shelves[0].carvers);
    prepare();
    for (int i = 0; i < THREADS; i++)
        harness_start(&threads[i], run, (void *)(intptr_t)i);
    for (int i = 0; i < THREADS; i++)
        harness_join(&threads[i]);
    for (int i = 0; i < THREADS; i++)
        if (kept[i] != NULL)
            give(&caches[i], kept[i], 100 * i + BLOCKS - 1);
    fletch_store_pool_end(&pool);
}
