#ifndef FLETCH_MEMORY_BUFFER_POOL_H
#define FLETCH_MEMORY_BUFFER_POOL_H

/* Recycled blocks.
 *
 * Origin: J. Bonwick's magazines (a cache with two lists of each size before a common depot, "The
 * slab allocator", 1994 and 2001); blocks that are freed elsewhere go back to the cache that they
 * came from through a list of its own, as in mimalloc (D. Leijen et al., 2019).
 *
 * Roles: a cache has one owner at a time, which pops and pushes its lists with plain accesses. Any
 * thread pushes onto a cache's `returned` stack, which the owner takes. Any owner takes from and
 * gives to the depot. Progress: popping and pushing one's own list is wait-free; returning a block
 * is lock-free; so is refilling, but for what the system does when it is asked for memory. A thread
 * that stalls holds up nobody; what its cache holds cannot be trimmed meanwhile.
 *
 * Nothing that others push to is ever popped one by one, so there is no ABA; what a taker of the
 * depot does not need goes back. While it holds all of it, another one finds the depot empty and
 * may ask the system: memory is found a moment later, not twice used.
 *
 * Edges: those of memory/node_stack.h for blocks, bundles and regions, and
 *   E1: closer store_release(open) -> opener cas_strong_acquire(open): the lists are as they were
 *       left.
 *   E2: trimmer store_release(trimming) -> next trimmer cas_strong_acquire(trimming): the counts in
 *       regions.
 *   E3: opener cas_weak_release(caches) -> visitor load_acquire(caches): the cache is made.
 *
 * Reclamation: caches live until the pool is destroyed. A region is given back by the one trimmer,
 * once it has all its blocks in hand. */

#include <fletching/buffer_pool.h>

#include <stdbool.h>

#include "base/poison.h"
#include "base/process.h"
#include "memory/buffer.h"
#include "memory/buffer_region.h"

/* The free blocks of one class in a cache: two lists. When the first has grown by `half` blocks it
 * becomes the spare one, and a spare one that was there goes to the depot as a bundle. */
struct fletch_class_list {
    struct fletch_stack_node *first;
    struct fletch_stack_node *spare;
    uint32_t count;       /* of both */
    uint32_t spare_count; /* of the spare one */
    uint32_t low;         /* the least `count` since the last call of idle */
    uint32_t limit;       /* count at which the first list is full: spare_count + half */
    uint32_t half;        /* at least 1 */
};

/* Blocks of another cache, on their way back to it: several are returned by one compare-and-swap.
 * They wait for that no longer than until the next refill of this cache. */
struct fletch_outgoing {
    struct fletch_buffer_cache *owner;
    struct fletch_stack_node *first;
    struct fletch_stack_node *last;
    size_t bytes;
};

struct fletch_buffer_cache {
    struct fletch_buffer_pool *pool;
    uint32_t process; /* whose it is: base/process.h */
    struct fletch_outgoing outgoing;
    struct fletch_buffer_cache *next; /* in the pool's list, fixed */
    struct fletch_stack_node *taken;  /* from `returned`, not sorted into classes yet */
    struct fletch_class_list lists[FLETCH_SIZE_CLASSES];
    FLETCH_ISOLATED struct fletch_node_stack returned; /* closed while the cache is */
    _Atomic uint32_t open;
};

struct fletch_buffer_pool {
    struct fletch_region_source source;
    uint32_t process; /* as in the caches */
    size_t cache_bytes;
    _Atomic(struct fletch_buffer_cache *) caches; /* grows only */
    FLETCH_ISOLATED struct fletch_node_stack regions;
    _Atomic uint32_t trimming;
    _Atomic uint32_t generation; /* of calls of idle */
    _Atomic uint64_t mapped_bytes;
    _Atomic uint64_t mapped_bytes_peak;
    _Atomic uint64_t regions_made;
    _Atomic uint64_t regions_trimmed;
    _Atomic uint32_t regions_of_class[FLETCH_SIZE_CLASSES];
    FLETCH_ISOLATED struct fletch_node_stack depot[FLETCH_SIZE_CLASSES];
};

static inline struct fletch_buffer *fletch_buffer_of_node(struct fletch_stack_node *node)
{
    return (struct fletch_buffer *)(void *)((char *)node - offsetof(struct fletch_buffer, node));
}

/* Gives a chain of `count` free blocks of one class to all caches; NULL allowed. */
void fletch_buffer_pool_give(struct fletch_buffer_pool *pool, struct fletch_stack_node *first,
                             uint32_t count);

/* A free block when the cache's first list has none. NULL: no memory. */
struct fletch_buffer *fletch_buffer_cache_refill(struct fletch_buffer_cache *cache,
                                                 uint32_t size_class);

/* Makes the first list, which is full, the spare one. Out of line: seldom. */
void fletch_buffer_cache_overflow(struct fletch_buffer_cache *cache, uint32_t size_class);

/* The newest block of a first list that has one. */
static inline struct fletch_buffer *fletch_class_list_pop(struct fletch_class_list *list)
{
    struct fletch_stack_node *node = list->first;
    list->first = node->next;
    list->count--;
    if (list->count < list->low)
        list->low = list->count;
    return fletch_buffer_of_node(node);
}

/* A free block of the class, whose owner is `cache`, or NULL: no memory. */
static inline struct fletch_buffer *fletch_buffer_cache_pop(struct fletch_buffer_cache *cache,
                                                            uint32_t size_class)
{
    struct fletch_class_list *list = &cache->lists[size_class];
    if (list->first == NULL)
        return fletch_buffer_cache_refill(cache, size_class);
    struct fletch_buffer *block = fletch_class_list_pop(list);
    block->owner = cache;
    return block;
}

/* Takes a free block, which any thread may have had. */
static inline void fletch_buffer_cache_push(struct fletch_buffer_cache *cache,
                                            struct fletch_buffer *block)
{
    struct fletch_class_list *list = &cache->lists[block->size_class];
    block->node.next = list->first;
    list->first = &block->node;
    list->count++;
    if (__builtin_expect(list->count >= list->limit, 0))
        fletch_buffer_cache_overflow(cache, block->size_class);
}

/* Gives a free block back to a cache that is not the caller's, which is `cache` or NULL. */
void fletch_buffer_return(struct fletch_buffer_cache *cache, struct fletch_buffer *block);

/* Gives a free block back to the cache that it came from; `cache` is the caller's or NULL. */
static inline void fletch_buffer_recycle(struct fletch_buffer_cache *cache,
                                         struct fletch_buffer *block)
{
    fletch_poison(block->data, fletch_size_class_bytes(block->size_class));
    if (cache == block->owner)
        fletch_buffer_cache_push(cache, block);
    else
        fletch_buffer_return(cache, block);
}

#endif
