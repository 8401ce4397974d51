#ifndef FLETCH_ARROW_COLUMN_H
#define FLETCH_ARROW_COLUMN_H

/* One array of a batch: a row of its schema with the node and the spans that belong to it. What may
 * be relied on is in docs/ARROW.md, "Columns of a batch". */

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

/* Whether bit `index` of a bitmap is set. */
static inline bool fletch_bit_is_set(const uint8_t *bits, int64_t index)
{
    return (bits[index >> 3] >> (index & 7) & 1) != 0;
}

/* Whether element `index` is not null; the null type has none that is. */
static inline bool fletch_column_is_valid(const struct fletch_column *column, int64_t index)
{
    if (column->field->span_count == 0)
        return false;
    return column->spans[0].data == NULL ||
           fletch_bit_is_set(column->spans[0].data, column->node->offset + index);
}

/* Bits that are set among `count` from bit `first`. */
int64_t fletch_bits_count(const uint8_t *bits, int64_t first, int64_t count);

#endif
