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
    const struct fletch_batch_span *spans;   /* field->span_count, as the layout of its type says */
    const struct fletch_batch_span *buffers; /* of views: what they point into; else NULL */
    uint32_t buffer_count;
};

/* The array of row `row` of the schema: a column if row is one of schema->columns[]. */
static inline struct fletch_column fletch_column_of(const struct fletch_batch *batch, uint32_t row)
{
    const struct fletch_field *field = &batch->schema->fields[row];
    struct fletch_column column = {
        .field = field, .node = &batch->nodes[row], .spans = batch->spans + field->first_span};
    if (field->view != FLETCH_NO_INDEX) {
        const uint32_t *ends = &batch->view_spans[field->view];
        column.buffers = batch->spans + ends[0];
        column.buffer_count = ends[1] - ends[0];
    }
    return column;
}

/* Whether element `index` is not null; the null type has none that is. Of unions and runs all are:
 * it is the elements of their children that may be null. */
static inline bool fletch_column_is_valid(const struct fletch_column *column, int64_t index)
{
    if (!fletch_type_has_validity(column->field->type.id))
        return column->field->type.id != FLETCH_TYPE_NULL;
    return column->spans[0].data == NULL ||
           fletch_bitmap_get(column->spans[0].data, column->node->offset + index);
}

/* Whether the spans of the array hold its offsets or starts as int64. */
static inline bool fletch_column_is_wide(const struct fletch_column *column)
{
    const uint8_t kind = fletch_type_layout(&column->field->type)->spans[1];
    return kind == FLETCH_SPAN_OFFSETS64 || kind == FLETCH_SPAN_STARTS64;
}

/* Element `index` of the span `span`, of int32 or int64 as the array is wide. */
static inline int64_t fletch_column_number(const struct fletch_column *column, uint32_t span,
                                           int64_t index)
{
    const void *numbers = column->spans[span].data;
    index += column->node->offset;
    return fletch_column_is_wide(column) ? ((const int64_t *)numbers)[index]
                                         : ((const int32_t *)numbers)[index];
}

/* Where element `index` of an array of strings, binaries or lists begins, and element index - 1
 * ends. Of list views and dense unions, where it begins. The array is not empty; offsets are
 * aligned. */
static inline int64_t fletch_column_offset(const struct fletch_column *column, int64_t index)
{
    return fletch_column_number(column, 1, index);
}

/* Some elements of an array that follow each other. */
struct fletch_element_range {
    int64_t first;
    int64_t count;
};

/* The elements of the child that element `index` of a list has, of whatever kind of list. */
static inline struct fletch_element_range fletch_column_elements(const struct fletch_column *column,
                                                                 int64_t index)
{
    const struct fletch_type *type = &column->field->type;
    if (type->id == FLETCH_TYPE_FIXED_SIZE_LIST)
        return (struct fletch_element_range){index * type->list_size, type->list_size};
    const int64_t first = fletch_column_offset(column, index);
    if (fletch_type_is_list_view(type->id))
        return (struct fletch_element_range){first, fletch_column_number(column, 2, index)};
    return (struct fletch_element_range){first, fletch_column_offset(column, index + 1) - first};
}

static inline const struct fletch_string_view *
fletch_column_view(const struct fletch_column *column, int64_t index)
{
    return (const struct fletch_string_view *)(const void *)column->spans[1].data +
           column->node->offset + index;
}

/* The bytes of element `index` of strings or binaries: with offsets, as views, or of a fixed size.
 * Views and the offsets are valid (level 2), and the element is not null if it is a view. */
struct fletch_batch_span fletch_column_bytes(const struct fletch_column *column, int64_t index);

/* The child of a union that has element `index`; below 0: none, which validation finds. */
static inline int fletch_column_member(const struct fletch_column *column, int64_t index)
{
    const int8_t *type_ids = (const int8_t *)column->spans[0].data;
    return fletch_type_member(&column->field->type, type_ids[column->node->offset + index]);
}

/* Where in that child it is. */
static inline int64_t fletch_column_member_index(const struct fletch_column *column, int64_t index)
{
    return column->field->type.id == FLETCH_TYPE_SPARSE_UNION ? index
                                                              : fletch_column_offset(column, index);
}

/* The end of run `run`, in elements of the array before any offset of that is counted.
 * `run_ends`: the first child of a run-end encoded array. */
int64_t fletch_column_run_end(const struct fletch_column *run_ends, int64_t run);

/* The run that has element `position`, counted as run ends are: the array's own offset and index.
 * The number of runs: none has. Takes time with the logarithm of that. */
int64_t fletch_column_find_run(const struct fletch_column *run_ends, int64_t position);

/* The elements of child `child` of row `row` that belong to some elements of the row's array, or at
 * least all of these: what else lies between the first and the last comes with them. Offsets are
 * valid (level 2). Of list views and dense unions in time with the number of elements. */
struct fletch_element_range fletch_column_range_below(const struct fletch_batch *batch,
                                                      uint32_t row, uint32_t child,
                                                      struct fletch_element_range elements);

/* The largest length and the largest offset of an array: no sum of them, and no number of bits or
 * of bytes of offsets that comes of it, overflows. */
#define FLETCH_ELEMENTS_MAX (INT64_MAX / 512)

/* Bytes that elements 0 to `end` take in a span of this kind: what a span must have at least. Of
 * FLETCH_SPAN_BYTES only the offsets know: 0. UINT64_MAX stands for more than that. */
uint64_t fletch_span_bytes(const struct fletch_type *type, enum fletch_span_kind kind,
                           uint64_t end);

#endif
