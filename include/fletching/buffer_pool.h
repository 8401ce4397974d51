#ifndef FLETCHING_BUFFER_POOL_H
#define FLETCHING_BUFFER_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** Where buffers come from and go back to: memory is recycled, last in first out, and the system is
 *  asked only when there is more in use than ever before.
 *
 *  Threads: a pool serves any number of threads. Each one that allocates opens a cache of its own;
 *  a cache belongs to one thread at a time and can be handed over. Nothing here blocks. In a child
 *  that was forked since, calls that return a status answer FAILED_PRECONDITION. */
struct fletch_buffer_pool;
struct fletch_buffer_cache;

/** Whether large regions ask the system for huge pages. */
enum fletch_huge_pages {
    FLETCH_HUGE_PAGES_AUTO = 0, /* where the system gives them */
    FLETCH_HUGE_PAGES_OFF = 1
};

/** Zero means default in every field. */
struct fletch_buffer_pool_options {
    size_t struct_size;
    enum fletch_huge_pages huge_pages;
    /** Bytes of free buffers of one size that one cache keeps for its thread, but at least one
     *  buffer; what is beyond goes where all caches find it. 0: FLETCH_CACHE_BYTES_DEFAULT. */
    size_t cache_bytes;
};

#define FLETCH_CACHE_BYTES_DEFAULT ((size_t)64 << 20)

/** Makes a pool, owned by the caller until fletch_buffer_pool_destroy. With an allocator all memory
 *  comes from it; without (NULL) the pages come from the system and the rest from the default
 *  allocator. RESOURCE_EXHAUSTED: no memory. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_buffer_pool_create(const struct fletch_buffer_pool_options *options,
                          const struct fletch_allocator *allocator,
                          struct fletch_buffer_pool **out_pool, struct fletch_error *error);

/** Gives everything back to the system. Nobody may use the pool or its caches any more; open caches
 *  are closed. FAILED_PRECONDITION: buffers are still referred to, tells how many and how large;
 *  the pool and these stay, its caches closed all the same, and it can be destroyed later. NULL
 *  allowed. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_buffer_pool_destroy(struct fletch_buffer_pool *pool, struct fletch_error *error);

/** A cache for the calling thread. RESOURCE_EXHAUSTED: no memory. Any thread; lock-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_buffer_cache_open(struct fletch_buffer_pool *pool, struct fletch_buffer_cache **out_cache,
                         struct fletch_error *error);

/** Gives its free buffers to all caches of the pool. Buffers in use that came from it stay valid.
 *  The thread that it belongs to; lock-free. NULL allowed. */
FLETCH_EXPORT void fletch_buffer_cache_close(struct fletch_buffer_cache *cache);

/** Gives to all caches what this one has not needed since the last call: for a thread that has
 *  nothing to do just now. The thread that it belongs to; lock-free. */
FLETCH_EXPORT void fletch_buffer_cache_idle(struct fletch_buffer_cache *cache);

/** Gives free memory back to the system: regions of which no buffer is in use, nor kept by another
 *  cache than `cache` (NULL allowed). Returns how many bytes that were; 0 also where another thread
 *  trims just now. Any thread, with a cache of its own. */
FLETCH_EXPORT size_t fletch_buffer_pool_trim(struct fletch_buffer_pool *pool,
                                             struct fletch_buffer_cache *cache);

/** The same for regions of which nothing was needed since the last call: to be called now and then,
 *  say once a second. */
FLETCH_EXPORT size_t fletch_buffer_pool_idle(struct fletch_buffer_pool *pool);

/** Counters of a pool. They may lag behind each other. */
struct fletch_pool_statistics {
    size_t struct_size;
    uint64_t mapped_bytes;      /* taken from the system and not given back */
    uint64_t mapped_bytes_peak; /* the most that this was */
    uint64_t regions_made;      /* times that the system was asked for memory */
    uint64_t regions_trimmed;   /* regions that were given back */
    uint64_t caches_open;
};

/** Writes the first `out_statistics->struct_size` bytes of them. Any thread; wait-free. */
FLETCH_EXPORT void fletch_buffer_pool_statistics(const struct fletch_buffer_pool *pool,
                                                 struct fletch_pool_statistics *out_statistics);

FLETCH_END_DECLS

#endif
