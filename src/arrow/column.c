#include "arrow/column.h"

uint64_t fletch_span_bytes(const struct fletch_type *type, enum fletch_span_kind kind, uint64_t end)
{
    const uint64_t width = fletch_type_byte_width(type);
    switch (kind) {
    case FLETCH_SPAN_VALIDITY:
    case FLETCH_SPAN_BITS:
        return (end + 7) / 8;
    case FLETCH_SPAN_VALUES:
        return width != 0 && end > UINT64_MAX / width ? UINT64_MAX : end * width;
    case FLETCH_SPAN_OFFSETS32:
        return (end + 1) * sizeof(int32_t);
    case FLETCH_SPAN_OFFSETS64:
        return (end + 1) * sizeof(int64_t);
    case FLETCH_SPAN_VIEWS:
        return end * sizeof(struct fletch_string_view);
    case FLETCH_SPAN_STARTS32:
    case FLETCH_SPAN_SIZES32:
        return end * sizeof(int32_t);
    case FLETCH_SPAN_STARTS64:
    case FLETCH_SPAN_SIZES64:
        return end * sizeof(int64_t);
    case FLETCH_SPAN_TYPE_IDS:
        return end;
    case FLETCH_SPAN_BYTES:
        break;
    }
    return 0;
}

struct fletch_batch_span fletch_column_bytes(const struct fletch_column *column, int64_t index)
{
    const struct fletch_type *type = &column->field->type;
    if (type->id == FLETCH_TYPE_FIXED_SIZE_BINARY) {
        const size_t width = (size_t)type->byte_width;
        const size_t at = (size_t)(column->node->offset + index) * width;
        return (struct fletch_batch_span){width == 0 ? NULL : column->spans[1].data + at, width};
    }
    if (!fletch_type_is_view(type->id)) {
        const int64_t first = fletch_column_offset(column, index);
        const size_t bytes = (size_t)(fletch_column_offset(column, index + 1) - first);
        return (struct fletch_batch_span){bytes == 0 ? NULL : column->spans[2].data + first, bytes};
    }
    const struct fletch_string_view *view = fletch_column_view(column, index);
    if (view->bytes <= FLETCH_VIEW_INLINE_BYTES)
        return (struct fletch_batch_span){(const uint8_t *)view + sizeof view->bytes,
                                          (size_t)view->bytes};
    return (struct fletch_batch_span){column->buffers[view->buffer].data + view->offset,
                                      (size_t)view->bytes};
}

/* ---- run ends ---- */

int64_t fletch_column_run_end(const struct fletch_column *run_ends, int64_t run)
{
    const void *values = run_ends->spans[1].data;
    run += run_ends->node->offset;
    switch (run_ends->field->type.id) {
    case FLETCH_TYPE_INT16:
        return ((const int16_t *)values)[run];
    case FLETCH_TYPE_INT32:
        return ((const int32_t *)values)[run];
    default:
        return ((const int64_t *)values)[run];
    }
}

int64_t fletch_column_find_run(const struct fletch_column *run_ends, int64_t position)
{
    int64_t low = 0;
    int64_t high = run_ends->node->length;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (fletch_column_run_end(run_ends, middle) > position)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- what belongs to some elements ---- */

/* From the first to the last that was added. */
static void extend(struct fletch_element_range *range, int64_t first, int64_t count)
{
    const int64_t end = first + count;
    const int64_t range_end = range->first + range->count;
    if (count == 0)
        return;
    if (range->count == 0) {
        *range = (struct fletch_element_range){first, count};
        return;
    }
    if (first < range->first)
        range->first = first;
    range->count = (end > range_end ? end : range_end) - range->first;
}

static struct fletch_element_range members_below(const struct fletch_column *column, uint32_t child,
                                                 struct fletch_element_range elements)
{
    const int8_t *type_ids = (const int8_t *)column->spans[0].data + column->node->offset;
    const int8_t type_id = column->field->type.type_ids[child];
    struct fletch_element_range below = {0, 0};
    for (int64_t i = elements.first; i < elements.first + elements.count; i++)
        if (type_ids[i] == type_id)
            extend(&below, fletch_column_offset(column, i), 1);
    return below;
}

static struct fletch_element_range list_views_below(const struct fletch_column *column,
                                                    struct fletch_element_range elements)
{
    struct fletch_element_range below = {0, 0};
    for (int64_t i = elements.first; i < elements.first + elements.count; i++) {
        const struct fletch_element_range element = fletch_column_elements(column, i);
        extend(&below, element.first, element.count);
    }
    return below;
}

static struct fletch_element_range runs_below(const struct fletch_batch *batch, uint32_t row,
                                              struct fletch_element_range elements)
{
    const struct fletch_column run_ends = fletch_column_of(batch, row + 1);
    const int64_t first = batch->nodes[row].offset + elements.first;
    const int64_t first_run = fletch_column_find_run(&run_ends, first);
    const int64_t last_run = fletch_column_find_run(&run_ends, first + elements.count - 1);
    return (struct fletch_element_range){first_run, last_run + 1 - first_run};
}

struct fletch_element_range fletch_column_range_below(const struct fletch_batch *batch,
                                                      uint32_t row, uint32_t child,
                                                      struct fletch_element_range elements)
{
    const struct fletch_column column = fletch_column_of(batch, row);
    const int64_t stride = fletch_type_child_stride(&column.field->type);
    if (elements.count == 0)
        return (struct fletch_element_range){0, 0};
    if (stride != FLETCH_CHILD_WHOLE)
        return (struct fletch_element_range){elements.first * stride, elements.count * stride};
    if (column.field->type.id == FLETCH_TYPE_DENSE_UNION)
        return members_below(&column, child, elements);
    if (column.field->type.id == FLETCH_TYPE_RUN_END_ENCODED)
        return runs_below(batch, row, elements);
    if (fletch_type_is_list_view(column.field->type.id))
        return list_views_below(&column, elements);
    const int64_t first = fletch_column_offset(&column, elements.first);
    const int64_t end = fletch_column_offset(&column, elements.first + elements.count);
    return (struct fletch_element_range){first, end - first};
}
