#include "memory/batch.h"

#include <string.h>

/* ---- making ---- */

static size_t view_spans_bytes(const struct fletch_batch_parts *parts)
{
    return parts->view_count == 0 ? 0 : (parts->view_count + (size_t)1) * sizeof *parts->view_spans;
}

/* The counts are 32 bits wide: no sum of theirs wraps. */
size_t fletch_batch_block_bytes(const struct fletch_batch_parts *parts)
{
    return sizeof(struct fletch_batch) + parts->node_count * sizeof *parts->nodes +
           parts->span_count * sizeof *parts->spans + parts->owner_count * sizeof *parts->owners +
           parts->dictionary_count * sizeof *parts->dictionaries + view_spans_bytes(parts);
}

/* Copies an array behind what lies there already; the elements of all but the last are multiples of
 * 8 bytes. */
static void *append(char **at, const void *elements, size_t bytes)
{
    void *copy = *at;
    if (bytes != 0)
        memcpy(copy, elements, bytes);
    *at += bytes;
    return copy;
}

static void end_without_cache(struct fletch_shared *shared)
{
    fletch_batch_end(NULL, (struct fletch_batch *)(void *)shared);
}

enum fletch_status fletch_batch_create(struct fletch_buffer_cache *cache,
                                       struct fletch_account *account,
                                       const struct fletch_batch_parts *parts,
                                       struct fletch_batch **out_batch, struct fletch_error *error)
{
    struct fletch_buffer *block;
    FLETCH_ASSERT(parts->row_count >= 0);
    enum fletch_status status =
        fletch_buffer_allocate(cache, fletch_batch_block_bytes(parts), account, &block, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_batch *batch = (struct fletch_batch *)(void *)block->data;
    char *at = (char *)(batch + 1);
    fletch_shared_init(&batch->shared, end_without_cache);
    batch->schema = parts->schema;
    batch->row_count = parts->row_count;
    batch->nodes = append(&at, parts->nodes, parts->node_count * sizeof *parts->nodes);
    batch->spans = append(&at, parts->spans, parts->span_count * sizeof *parts->spans);
    batch->owners = append(&at, parts->owners, parts->owner_count * sizeof *parts->owners);
    batch->dictionaries =
        append(&at, parts->dictionaries, parts->dictionary_count * sizeof *parts->dictionaries);
    batch->view_spans = append(&at, parts->view_spans, view_spans_bytes(parts));
    batch->metadata = parts->metadata;
    batch->block = block;
    batch->node_count = parts->node_count;
    batch->span_count = parts->span_count;
    batch->view_count = parts->view_count;
    batch->owner_count = parts->owner_count;
    batch->dictionary_count = parts->dictionary_count;
    *out_batch = batch;
    return FLETCH_OK;
}

struct fletch_batch_parts fletch_batch_parts_of(const struct fletch_batch *batch)
{
    return (struct fletch_batch_parts){
        .schema = batch->schema,
        .row_count = batch->row_count,
        .nodes = batch->nodes,
        .spans = batch->spans,
        .view_spans = batch->view_spans,
        .owners = batch->owners,
        .dictionaries = batch->dictionaries,
        .metadata = batch->metadata,
        .node_count = batch->node_count,
        .span_count = batch->span_count,
        .view_count = batch->view_count,
        .owner_count = batch->owner_count,
        .dictionary_count = batch->dictionary_count,
    };
}

void fletch_batch_acquire_shared_parts(const struct fletch_batch *batch)
{
    if (batch->schema != NULL)
        fletch_shared_acquire((struct fletch_shared *)(void *)batch->schema);
    for (uint32_t i = 0; i < batch->dictionary_count; i++)
        if (batch->dictionaries[i] != NULL)
            fletch_batch_acquire_inline(batch->dictionaries[i]);
    if (batch->metadata != NULL)
        fletch_buffer_acquire_inline(batch->metadata);
}

/* ---- ending ---- */

void fletch_batch_end(struct fletch_buffer_cache *cache, struct fletch_batch *batch)
{
    for (uint32_t i = 0; i < batch->owner_count; i++)
        fletch_buffer_release_inline(cache, batch->owners[i]);
    /* As deep as dictionaries are nested in the schema. */
    for (uint32_t i = 0; i < batch->dictionary_count; i++)
        fletch_batch_release(cache, batch->dictionaries[i]);
    if (batch->metadata != NULL)
        fletch_buffer_release_inline(cache, batch->metadata);
    if (batch->schema != NULL)
        fletch_shared_release((struct fletch_shared *)(void *)batch->schema);
    fletch_buffer_release_inline(cache, batch->block);
}

/* ---- using ---- */

struct fletch_batch *fletch_batch_acquire(struct fletch_batch *batch)
{
    return fletch_batch_acquire_inline(batch);
}

void fletch_batch_release(struct fletch_buffer_cache *cache, struct fletch_batch *batch)
{
    if (batch != NULL)
        fletch_batch_release_inline(cache, batch);
}

int64_t fletch_batch_row_count(const struct fletch_batch *batch)
{
    return batch->row_count;
}

const struct fletch_schema *fletch_batch_schema(const struct fletch_batch *batch)
{
    return batch->schema;
}

const struct fletch_buffer *fletch_batch_metadata(const struct fletch_batch *batch)
{
    return batch->metadata;
}

/* ---- charges ---- */

uint64_t fletch_batch_charge_bytes(const struct fletch_batch *batch)
{
    uint64_t bytes = fletch_buffer_charge_bytes(batch->block);
    for (uint32_t i = 0; i < batch->owner_count; i++)
        bytes += fletch_buffer_charge_bytes(batch->owners[i]);
    for (uint32_t i = 0; i < batch->dictionary_count; i++)
        if (batch->dictionaries[i] != NULL)
            bytes += fletch_batch_charge_bytes(batch->dictionaries[i]);
    if (batch->metadata != NULL)
        bytes += fletch_buffer_charge_bytes(batch->metadata);
    return bytes;
}

enum fletch_status fletch_batch_transfer(struct fletch_batch *batch, struct fletch_account *account,
                                         uint64_t timeout_ns, struct fletch_error *error)
{
    enum fletch_status status = fletch_buffer_transfer(batch->block, account, timeout_ns, error);
    if (status == FLETCH_OK && batch->metadata != NULL)
        status = fletch_buffer_transfer(batch->metadata, account, timeout_ns, error);
    for (uint32_t i = 0; i < batch->owner_count && status == FLETCH_OK; i++)
        status = fletch_buffer_transfer(batch->owners[i], account, timeout_ns, error);
    for (uint32_t i = 0; i < batch->dictionary_count && status == FLETCH_OK; i++)
        if (batch->dictionaries[i] != NULL)
            status = fletch_batch_transfer(batch->dictionaries[i], account, timeout_ns, error);
    return status;
}
