#include "support/flow_rows.h"

#include "arrow/column.h"
#include "base/random.h"
#include "support/schemas.h"

struct fletch_schema *flow_rows_schema(void)
{
    return schema_new("key=l! identity=l! sender=l! number=l! barrier=l! time=l!");
}

static struct fletch_batch *make(struct fletch_schema *schema, struct fletch_buffer_cache *cache,
                                 uint32_t row_count, int64_t **out_words)
{
    uint32_t columns = (uint32_t)fletch_schema_column_count(schema);
    size_t column_bytes = row_count * sizeof(int64_t);
    size_t bytes = row_count == 0 ? 1 : columns * column_bytes;
    struct fletch_batch_node nodes[FLOW_COLUMNS] = {{.length = row_count}};
    struct fletch_batch_span spans[2 * FLOW_COLUMNS] = {{.data = NULL}};
    struct fletch_buffer *buffer;
    if (fletch_buffer_allocate(cache, bytes, NULL, &buffer, NULL) != FLETCH_OK)
        return NULL;
    *out_words = (int64_t *)(void *)fletch_buffer_mutable_data(buffer);
    for (uint32_t c = 0; c < columns; c++) {
        nodes[c] = (struct fletch_batch_node){.length = row_count};
        spans[2 * c + 1] = (struct fletch_batch_span){
            (const uint8_t *)(*out_words + (size_t)c * row_count), column_bytes};
    }
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = row_count,
        .nodes = nodes,
        .spans = spans,
        .owners = &buffer,
        .node_count = columns,
        .span_count = 2 * columns,
        .owner_count = 1,
    };
    struct fletch_batch *batch;
    if (fletch_batch_create(cache, NULL, &parts, &batch, NULL) == FLETCH_OK)
        return batch;
    fletch_buffer_release(cache, buffer);
    fletch_schema_release(schema);
    return NULL;
}

struct fletch_batch *flow_rows_make(struct fletch_schema *schema, struct fletch_buffer_cache *cache,
                                    uint32_t row_count, int64_t **out_words)
{
    return make(schema, cache, row_count, out_words);
}

const int64_t *flow_rows_column(const struct fletch_batch *batch, enum flow_column column)
{
    struct fletch_column found = fletch_column_of(batch, batch->schema->columns[column]);
    return (const int64_t *)(const void *)found.spans[1].data + found.node->offset;
}

int64_t flow_rows_key(int64_t identity)
{
    struct fletch_random random = fletch_random_from_seed((uint64_t)identity);
    return fletch_random_below(&random, FLOW_KEYS);
}

struct fletch_batch *flow_rows_bounds(struct fletch_buffer_cache *cache, uint32_t partitions)
{
    int64_t *words;
    struct fletch_schema *schema = schema_new("key=l!");
    struct fletch_batch *bounds = make(schema, cache, partitions - 1, &words);
    for (uint32_t i = 0; bounds != NULL && i + 1 < partitions; i++)
        words[i] = (int64_t)(i + 1) * FLOW_KEYS / partitions;
    fletch_schema_release(schema);
    return bounds;
}
