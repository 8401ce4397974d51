#ifndef FLETCH_MEMORY_BUFFER_H
#define FLETCH_MEMORY_BUFFER_H

/* Counted ranges of bytes. Who owns a header and the memory behind it: the block that it heads
 * belongs to the pool (memory/buffer_pool.h), which lends it from allocation to the last release.
 * Slices and foreign buffers are blocks of the smallest class, and keep what they refer to in it.
 *
 * Origin and edges of the count: memory/shared.h. The account of a buffer can be changed by any
 * holder of a reference, by compare-and-swap, so that the bytes are moved once; whoever drops the
 * last reference gives the charge back to the account that is written there then. */

#include <fletching/buffer.h>

#include "base/atomic.h"
#include "memory/budget.h"
#include "memory/node_stack.h"
#include "memory/shared.h"
#include "memory/size_class.h"

#define FLETCH_BUFFER_HEADER_BYTES 64

enum fletch_buffer_kind {
    FLETCH_BUFFER_OWN = 0,    /* the bytes are the block's */
    FLETCH_BUFFER_SLICE = 1,  /* the bytes are a part of a parent's */
    FLETCH_BUFFER_FOREIGN = 2 /* the bytes are somebody else's */
};

struct fletch_buffer {
    struct fletch_shared shared; /* first */
    uint8_t *data;
    union {
        size_t bytes;                  /* in use */
        struct fletch_stack_node node; /* free: to the next free block */
    };
    uint8_t kind; /* enum fletch_buffer_kind; OWN while free */
    uint8_t size_class;
    uint16_t generation;   /* first of a bundle in the depot: when it came there */
    uint32_t bundle_count; /* the same: blocks of the bundle */
    _Atomic(struct fletch_account *) account; /* charged, or NULL */
    union {
        struct fletch_buffer_cache *owner; /* in use: where the block goes back to */
        struct fletch_stack_node bundle;   /* first of a bundle in the depot: to the next bundle */
    };
    struct fletch_buffer_region *region;
};

#ifndef FLETCH_MODEL_CHECK
_Static_assert(sizeof(struct fletch_buffer) == FLETCH_BUFFER_HEADER_BYTES, "one line");
#endif

/* What a slice or a foreign buffer keeps behind its header, where others have their bytes. */
struct fletch_buffer_source {
    struct fletch_buffer *parent;        /* slice */
    struct fletch_foreign_memory memory; /* foreign */
};

_Static_assert(sizeof(struct fletch_buffer_source) <= FLETCH_BUFFER_ALIGNMENT,
               "fits the smallest class");

static inline struct fletch_buffer_source *
fletch_buffer_source_of(const struct fletch_buffer *buffer)
{
    return (struct fletch_buffer_source *)(void *)((char *)(uintptr_t)buffer +
                                                   FLETCH_BUFFER_HEADER_BYTES);
}

/* What a block of this class costs, header and all. */
static inline size_t fletch_buffer_block_bytes(uint32_t size_class)
{
    return fletch_size_class_bytes(size_class) + FLETCH_BUFFER_HEADER_BYTES;
}

/* The `end` of every buffer: without a cache. */
void fletch_buffer_end_shared(struct fletch_shared *shared);

/* Ends a buffer whose last reference has been dropped. */
void fletch_buffer_end(struct fletch_buffer_cache *cache, struct fletch_buffer *buffer);

static inline struct fletch_buffer *fletch_buffer_acquire_inline(struct fletch_buffer *buffer)
{
    fletch_shared_acquire(&buffer->shared);
    return buffer;
}

static inline void fletch_buffer_release_inline(struct fletch_buffer_cache *cache,
                                                struct fletch_buffer *buffer)
{
    if (fletch_shared_drop(&buffer->shared))
        fletch_buffer_end(cache, buffer);
}

#endif
