#ifndef FLETCH_MEMORY_BATCH_H
#define FLETCH_MEMORY_BATCH_H

/* A record batch as it lies in memory: flat, in the order of a walk through its schema, as Arrow's
 * IPC has it on the wire. One block of the pool holds the structure and its arrays; the count of
 * references (memory/shared.h) is for all of it, and nothing of it changes after creation. */

#include <fletching/batch.h>

#include <stddef.h>
#include <stdint.h>

#include "memory/buffer.h"
#include "memory/shared.h"

/* One for each field of the schema, children included, depth first; not for dictionaries. */
struct fletch_batch_node {
    int64_t length;
    int64_t null_count; /* -1: not known */
    int64_t offset;     /* in elements, of the first one in the spans */
};

/* One for each buffer of each field's layout, in the order of the Arrow format; behind them all the
 * data buffers of views, whose number differs from batch to batch. */
struct fletch_batch_span {
    const uint8_t *data; /* NULL: absent, which says of a validity that nothing is null */
    size_t bytes;
};

struct fletch_batch {
    struct fletch_shared shared;  /* first */
    struct fletch_schema *schema; /* begins with a struct fletch_shared; or NULL */
    int64_t row_count;
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans;
    const uint32_t
        *view_spans; /* for each view field the index of its first data buffer in spans; */
                     /* and one more, span_count. Without views nothing is there */
    struct fletch_buffer **owners;      /* keep the spans' bytes alive, each once */
    struct fletch_batch **dictionaries; /* one for each dictionary-encoded field, depth first: */
                                        /* batches of one column; NULL: none yet */
    struct fletch_buffer *metadata;     /* of the application, or NULL */
    struct fletch_buffer *block;        /* in which all of this lies */
    uint32_t node_count;
    uint32_t span_count; /* with data buffers of views */
    uint32_t view_count;
    uint32_t owner_count;
    uint32_t dictionary_count;
};

/* What a batch is made of. */
struct fletch_batch_parts {
    struct fletch_schema *schema;
    int64_t row_count;
    const struct fletch_batch_node *nodes;
    const struct fletch_batch_span *spans;
    const uint32_t *view_spans; /* view_count + 1; not looked at if that is 0 */
    struct fletch_buffer *const *owners;
    struct fletch_batch *const *dictionaries;
    struct fletch_buffer *metadata;
    uint32_t node_count;
    uint32_t span_count;
    uint32_t view_count;
    uint32_t owner_count;
    uint32_t dictionary_count;
};

/* Bytes of the block of a batch with so many nodes, spans, views, owners and dictionaries. */
size_t fletch_batch_block_bytes(const struct fletch_batch_parts *parts);

/* Makes a batch with one reference, the caller's. Copies the arrays, and on success takes the
 * caller's references: one to the schema, to each owner and dictionary, and to the metadata. On
 * failure all stay the caller's. Its block is charged to `account` (NULL: nobody). Errors as
 * fletch_buffer_allocate. */
enum fletch_status fletch_batch_create(struct fletch_buffer_cache *cache,
                                       struct fletch_account *account,
                                       const struct fletch_batch_parts *parts,
                                       struct fletch_batch **out_batch, struct fletch_error *error);

/* The parts that a batch consists of, for one that is to differ in some of them. */
struct fletch_batch_parts fletch_batch_parts_of(const struct fletch_batch *batch);

/* Takes the references that another batch of the same rows has to have to what is not rows: schema,
 * dictionaries and metadata. */
void fletch_batch_acquire_shared_parts(const struct fletch_batch *batch);

/* Ends a batch whose last reference has been dropped. */
void fletch_batch_end(struct fletch_buffer_cache *cache, struct fletch_batch *batch);

static inline struct fletch_batch *fletch_batch_acquire_inline(struct fletch_batch *batch)
{
    fletch_shared_acquire(&batch->shared);
    return batch;
}

static inline void fletch_batch_release_inline(struct fletch_buffer_cache *cache,
                                               struct fletch_batch *batch)
{
    if (fletch_shared_drop(&batch->shared))
        fletch_batch_end(cache, batch);
}

#endif
