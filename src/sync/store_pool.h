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
 *
 * Who takes from the stash takes all of it, keeps one batch and puts the rest back. Another that
 * comes meanwhile finds it empty and carves.
 *
 * Reclamation: chunks are kept until the pool ends, so the pool is as large as the most that was in
 * use at a time, and two batches for each cache. ABA: batches are pushed, and taken all at once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/atomic.h"

/* Blocks come in multiples of a line. */
enum {
    FLETCH_STORE_BLOCK_BYTES = 64,
    FLETCH_STORE_BLOCK_SIZES = 4,
    FLETCH_STORE_BATCH_BLOCKS = 128
};

/* What is larger has to come from the allocator: under the model checker everything, so that it
 * sees what is used after its end. */
#ifdef FLETCH_MODEL_CHECK
#define FLETCH_STORE_POOL_BYTES_MAX ((size_t)0)
#else
#define FLETCH_STORE_POOL_BYTES_MAX ((size_t)FLETCH_STORE_BLOCK_BYTES * FLETCH_STORE_BLOCK_SIZES)
#endif

/* A free block. The first of a batch in the stash leads to the next batch. */
struct fletch_store_block {
    struct fletch_store_block *next;
    struct fletch_store_block *next_batch;
};

struct fletch_store_chunk;

/* Free blocks of one size. */
struct fletch_store_magazine {
    struct fletch_store_block *first;
    struct fletch_store_block *full; /* a whole batch, or NULL */
    uint32_t count;                  /* from `first` on, at most: a batch may be short */
    uint32_t chunk_bytes;            /* of the last chunk, 0: none yet */
    char *carve;                     /* where the chunk is not carved yet */
    char *carve_end;
};

struct fletch_store_cache {
    struct fletch_store_chunk *chunks; /* all, newest first */
    struct fletch_store_magazine magazines[FLETCH_STORE_BLOCK_SIZES];
};

struct fletch_store_pool {
    FLETCH_ISOLATED _Atomic(struct fletch_store_block *) stash[FLETCH_STORE_BLOCK_SIZES];
};

void fletch_store_pool_start(struct fletch_store_pool *pool);

void fletch_store_cache_start(struct fletch_store_cache *cache);
/* Gives the chunks of a cache back. Nobody uses any block of them any more, nor the pool. */
void fletch_store_cache_end(struct fletch_store_cache *cache,
                            const struct fletch_allocator *allocator);

/* A block of `bytes` bytes, 1 to FLETCH_STORE_POOL_BYTES_MAX, that begins a line. NULL: no memory.
 * The cache's owner. */
void *fletch_store_pool_take(struct fletch_store_pool *pool, struct fletch_store_cache *cache,
                             const struct fletch_allocator *allocator, size_t bytes);

/* Takes a block back, with the same number. The cache's owner; or any thread, with NULL. */
void fletch_store_pool_give(struct fletch_store_pool *pool, struct fletch_store_cache *cache,
                            void *memory, size_t bytes);

#endif
