#ifndef FLETCH_PARTITION_NODE_VIEW_H
#define FLETCH_PARTITION_NODE_VIEW_H

/* A node of a batch as the kernels look at it: where its buffers are and what is in them. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <fletching/partition.h>

#include "arrow/column.h"
#include "memory/batch.h"

struct fletch_node_view {
    const struct fletch_batch *batch;
    const struct fletch_field *field;
    const uint8_t *validity; /* NULL: no nulls */
    const uint8_t *values; /* the first span but for a validity: values, bits, offsets, views … */
    const uint8_t *bytes;  /* the second: bytes of strings, sizes of list views, starts of unions */
    size_t byte_count;
    const struct fletch_batch_span *buffers; /* what views point into */
    uint32_t buffer_count;
    int64_t offset; /* of element 0 in validity and values */
    uint32_t row;
};

static inline struct fletch_node_view fletch_node_view_of(const struct fletch_batch *batch,
                                                          uint32_t row)
{
    const struct fletch_field *field = &batch->schema->fields[row];
    const struct fletch_batch_node *node = &batch->nodes[row];
    const struct fletch_batch_span *spans = batch->spans + field->first_span;
    struct fletch_node_view column = {
        .batch = batch, .field = field, .offset = node->offset, .row = row};
    const uint32_t first = fletch_type_has_validity(field->type.id) ? 1 : 0;
    if (first == 1 && node->null_count != 0)
        column.validity = spans[0].data;
    if (field->span_count > first)
        column.values = spans[first].data;
    if (field->span_count > first + 1) {
        column.bytes = spans[first + 1].data;
        column.byte_count = spans[first + 1].bytes;
    }
    if (field->view != FLETCH_NO_INDEX) {
        column.buffers = batch->spans + batch->view_spans[field->view];
        column.buffer_count = batch->view_spans[field->view + 1] - batch->view_spans[field->view];
    }
    return column;
}

static inline bool fletch_view_bit(const uint8_t *bits, int64_t index)
{
    return (bits[index >> 3] >> (index & 7) & 1) != 0;
}

static inline bool fletch_view_is_null(const struct fletch_node_view *column, int64_t index)
{
    return column->field->type.id == FLETCH_TYPE_NULL ||
           (column->validity != NULL && !fletch_view_bit(column->validity, column->offset + index));
}

static inline bool fletch_view_has_wide_offsets(const struct fletch_node_view *column)
{
    return fletch_type_layout(&column->field->type)->spans[1] == FLETCH_SPAN_OFFSETS64;
}

/* Where element `index` of a string, binary, list or map begins; that of the one behind the last
 * element is where it ends. */
static inline int64_t fletch_view_start(const struct fletch_node_view *column, int64_t index)
{
    int64_t at = column->offset + index;
    if (fletch_view_has_wide_offsets(column)) {
        int64_t start;
        memcpy(&start, column->values + 8 * at, sizeof start);
        return start;
    }
    int32_t start;
    memcpy(&start, column->values + 4 * at, sizeof start);
    return start;
}

/* The bytes or the elements of the child that elements of a string, binary, list or map have. */
static inline struct fletch_element_range fletch_view_extent(const struct fletch_node_view *column,
                                                             struct fletch_element_range elements)
{
    int64_t start = fletch_view_start(column, elements.first);
    int64_t end = fletch_view_start(column, elements.first + elements.count);
    return (struct fletch_element_range){start, end - start};
}

/* Element `index` of strings or binaries that are views; a null one is empty. */
static inline struct fletch_string_view fletch_view_string(const struct fletch_node_view *column,
                                                           int64_t index)
{
    struct fletch_string_view view = {.bytes = 0};
    if (!fletch_view_is_null(column, index))
        memcpy(&view, column->values + (size_t)(column->offset + index) * sizeof view, sizeof view);
    return view;
}

/* Where the bytes of a view lie that are too many to stand in it. */
static inline const uint8_t *fletch_view_string_bytes(const struct fletch_node_view *column,
                                                      const struct fletch_string_view *view)
{
    return column->buffers[view->buffer].data + view->offset;
}

/* Element `index` of a column of integers, sign- or zero-extended. */
int64_t fletch_view_integer(const struct fletch_node_view *column, int64_t index);

/* The dictionary's values, and which of them element `index`, which is not null, stands for. NULL:
 * none, which validation would have found. */
static inline const struct fletch_batch *
fletch_view_dictionary_value(const struct fletch_node_view *column, int64_t index, int64_t *out_at)
{
    const struct fletch_batch *values = column->batch->dictionaries[column->field->dictionary];
    *out_at = fletch_view_integer(column, index);
    return values != NULL && *out_at >= 0 && *out_at < values->row_count ? values : NULL;
}

#endif
