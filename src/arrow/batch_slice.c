#include <fletching/batch_slice.h>

#include <inttypes.h>

#include "arrow/schema.h"
#include "base/status.h"
#include "memory/batch.h"

/* The nodes `of` all rows, narrowed to some. What is not aligned with the rows stays: offsets,
 * starts or run ends above it say which of it is used. */
static void narrow_nodes(const struct fletch_batch *of, struct fletch_batch_node *nodes,
                         struct fletch_row_range rows)
{
    const struct fletch_schema *schema = of->schema;
    for (uint32_t row = 0; row < schema->field_count; row++) {
        const struct fletch_field *field = &schema->fields[row];
        struct fletch_batch_node *node = &nodes[row];
        bool is_all_null = node->null_count == node->length;
        int64_t skipped = rows.first;
        int64_t length = (int64_t)rows.count;
        if (field->parent != FLETCH_NO_INDEX) {
            const int64_t stride = fletch_schema_stride_of(schema, row);
            skipped = (nodes[field->parent].offset - of->nodes[field->parent].offset) * stride;
            length = nodes[field->parent].length * stride;
        }
        if (node->null_count != 0)
            node->null_count = is_all_null ? length : -1;
        node->offset += skipped;
        node->length = length;
        if (fletch_type_child_stride(&field->type) == FLETCH_CHILD_WHOLE)
            row = field->end - 1;
    }
}

enum fletch_status fletch_batch_slice(struct fletch_buffer_cache *cache,
                                      const struct fletch_batch *batch,
                                      struct fletch_row_range rows, struct fletch_batch **out_batch,
                                      struct fletch_error *error)
{
    if (batch->schema == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a batch without a schema cannot be cut");
    if (rows.first < 0 || rows.first > batch->row_count ||
        rows.count > (uint64_t)(batch->row_count - rows.first))
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "%zu rows from row %" PRId64 " on, of a batch of %" PRId64,
                                rows.count, rows.first, batch->row_count);
    struct fletch_batch_parts parts = fletch_batch_parts_of(batch);
    parts.row_count = (int64_t)rows.count;
    struct fletch_batch *slice;
    enum fletch_status status = fletch_batch_create(cache, NULL, &parts, &slice, error);
    if (status != FLETCH_OK)
        return status;
    fletch_batch_acquire_shared_parts(batch);
    for (uint32_t i = 0; i < batch->owner_count; i++)
        fletch_buffer_acquire_inline(batch->owners[i]);
    narrow_nodes(batch, slice->nodes, rows);
    *out_batch = slice;
    return FLETCH_OK;
}
