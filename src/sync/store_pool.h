#ifndef FLETCH_SYNC_STORE_POOL_H
#define FLETCH_SYNC_STORE_POOL_H

/* Memory for the partition store's small values: carved from chunks, and used again.
 *
 * Origin: J. Bonwick and J. Adams, "Magazines and Vmem" (2001): two batches of free blocks for each
 * thread, whole batches between threads.
 *
 * Roles: a cache belongs to one reader of an epoch; any number of threads, with a cache or without,
 * give blocks back. Progress: taking and giving are lock-free but for the allocator's part in a new
 * chunk.
 *
 * Edges:
 *   E1: giver cas_weak_release(stash) -> taker exchange_acquire(stash): the links of the blocks
 *       given, and whatever was done with them before.
 *   E2: carver cas_weak_release(chunks) -> trimmer exchange_acquire(chunks): the chunk's header.
 *   E3: trimmer store_release(trimming) -> next trimmer exchange_acquire(trimming): the numbers of
 *       free blocks in the chunks, which only the trimmer of the moment reads and writes.
 *
 * Who takes from the stash takes all of it, keeps one batch and puts the rest back. Another that
 * comes meanwhile finds it empty and carves.
 *
 * Trimming: who gives a batch when half of all blocks lie in the stash takes all of it, counts the
 * free blocks of each chunk, gives the chunks of which all are free back to the allocator, and puts
 * the rest back. The next time is when seven eighths of what was still out have come back too, so
 * that all the walks of a mass removal cost a few steps for each block. One thread at a time;
 * others go on.
 *
 * Reclamation: a chunk is given back by the trimmer that has all of its blocks in hand; blocks that
 * were never carved are missing there, so nobody carves from it. ABA: batches are pushed, and taken
 * all at once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/atomic.h"

/* Blocks come in multiples of a line. */
enum { FLETCH_STORE_BLOCK_BYTES = 64, FLETCH_STORE_BLOCK_SIZES = 4 };

/* Chunks are aligned to their size, so that a block tells its chunk; their last line is left to the
 * allocator, for which they would else not lie side by side. Below so many blocks in the stash
 * nobody trims. */
#ifdef FLETCH_MODEL_CHECK
enum { FLETCH_STORE_BATCH_BLOCKS = 1, FLETCH_STORE_CHUNK_BYTES = 256, FLETCH_STORE_TRIM_LEAST = 1 };
#else
enum {
    FLETCH_STORE_BATCH_BLOCKS = 128,
    FLETCH_STORE_CHUNK_BYTES = 16 << 10,
    FLETCH_STORE_TRIM_LEAST = 4096
};
#endif

/* What a cache may keep: two batches, and a chunk that it has not carved yet. */
enum {
    FLETCH_STORE_KEPT_BLOCKS =
        2 * FLETCH_STORE_BATCH_BLOCKS + FLETCH_STORE_CHUNK_BYTES / FLETCH_STORE_BLOCK_BYTES
};

/* What is larger has to come from the allocator: under the model checker everything, so that it
 * sees what is used after its end. */
#ifdef FLETCH_MODEL_CHECK
#define FLETCH_STORE_POOL_BYTES_MAX ((size_t)0)
#else
#define FLETCH_STORE_POOL_BYTES_MAX ((size_t)FLETCH_STORE_BLOCK_BYTES * FLETCH_STORE_BLOCK_SIZES)
#endif

/* A free block. The first of a batch in the stash leads to the next batch, and counts its own. */
struct fletch_store_block {
    struct fletch_store_block *next;
    struct fletch_store_block *next_batch;
    uint32_t count;
};

struct fletch_store_chunk;

/* Free blocks of one size. */
struct fletch_store_magazine {
    struct fletch_store_block *first;
    struct fletch_store_block *full; /* a whole batch, or NULL */
    uint32_t count;
    char *carve; /* where the chunk is not carved yet */
    char *carve_end;
};

struct fletch_store_cache {
    struct fletch_store_magazine magazines[FLETCH_STORE_BLOCK_SIZES];
};

/* What all caches share for one size. */
struct fletch_store_shelf {
    _Atomic(struct fletch_store_block *) stash;
    _Atomic(struct fletch_store_chunk *) chunks;
    _Atomic uint64_t stashed;   /* blocks in the stash, or nearly so many */
    _Atomic uint64_t blocks;    /* of all chunks */
    _Atomic uint64_t trim_from; /* in the stash */
    _Atomic uint64_t carvers;   /* caches that have carved, each of which keeps some */
    _Atomic uint32_t trimming;  /* somebody is */
};

struct fletch_store_pool {
    FLETCH_ISOLATED struct fletch_store_shelf shelves[FLETCH_STORE_BLOCK_SIZES];
    const struct fletch_allocator *allocator; /* fixed */
};

/* The allocator outlives the pool. */
void fletch_store_pool_start(struct fletch_store_pool *pool,
                             const struct fletch_allocator *allocator);
/* Gives all chunks back. Nobody uses any block of them any more, nor a cache. */
void fletch_store_pool_end(struct fletch_store_pool *pool);

void fletch_store_cache_start(struct fletch_store_cache *cache);

/* A block of `bytes` bytes, 1 to the largest size, that begins a line. NULL: no memory. The cache's
 * owner. */
void *fletch_store_pool_take(struct fletch_store_pool *pool, struct fletch_store_cache *cache,
                             size_t bytes);

/* Takes a block back, with the same number. The cache's owner; or any thread, with NULL. */
void fletch_store_pool_give(struct fletch_store_pool *pool, struct fletch_store_cache *cache,
                            void *memory, size_t bytes);

#endif
