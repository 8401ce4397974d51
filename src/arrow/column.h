#ifndef FLETCH_ARROW_COLUMN_H
#define FLETCH_ARROW_COLUMN_H

/* One array of a batch: a row of its schema with the node and the spans that belong to it. What may
 * be relied on is in docs/ARROW.md, "Columns of a batch". */

#include "arrow/bitmap.h"
#include "arrow/schema.h"
#include "memory/batch.h"

struct fletch_column {
    const struct fletch_field *field;
    const struct fletch_batch_node *node;
    const struct fletch_batch_span *spans; /* field->span_count, as the layout of its type says */
};

/* The array of row `row` of the schema: a column if row is one of schema->columns[]. */
static inline struct fletch_column fletch_column_of(const struct fletch_batch *batch, uint32_t row)
{
    const struct fletch_field *field = &batch->schema->fields[row];
    return (struct fletch_column){field, &batch->nodes[row], batch->spans + field->first_span};
}

/* Whether element `index` is not null; the null type has none that is. */
static inline bool fletch_column_is_valid(const struct fletch_column *column, int64_t index)
{
    if (column->field->span_count == 0)
        return false;
    return column->spans[0].data == NULL ||
           fletch_bitmap_get(column->spans[0].data, column->node->offset + index);
}

/* Whether the spans of the array hold its offsets as int64. */
static inline bool fletch_column_is_wide(const struct fletch_column *column)
{
    return fletch_type_layout(&column->field->type)->spans[1] == FLETCH_SPAN_OFFSETS64;
}

/* Where element `index` of an array of strings, binaries or lists begins, and element index - 1
 * ends. The array is not empty; offsets are aligned. */
static inline int64_t fletch_column_offset(const struct fletch_column *column, int64_t index)
{
    const void *offsets = column->spans[1].data;
    index += column->node->offset;
    return fletch_column_is_wide(column) ? ((const int64_t *)offsets)[index]
                                         : ((const int32_t *)offsets)[index];
}

/* The largest length and the largest offset of an array: no sum of them, and no number of bits or
 * of bytes of offsets that comes of it, overflows. */
#define FLETCH_ELEMENTS_MAX (INT64_MAX / 512)

/* Bytes that elements 0 to `end` take in a span of this kind: what a span must have at least. Of
 * FLETCH_SPAN_BYTES only the offsets know: 0. UINT64_MAX stands for more than that. */
uint64_t fletch_span_bytes(const struct fletch_type *type, enum fletch_span_kind kind,
                           uint64_t end);

#endif
