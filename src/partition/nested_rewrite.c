#include "partition/nested_rewrite.h"

/* Appends elements to a node that its parent does not count. */
static void append(const struct fletch_scatter *scatter, const struct fletch_frame_builder *frame,
                   uint32_t row, const struct fletch_element_ranges *ranges)
{
    struct fletch_frame_tally *tally = &fletch_builder_tallies(frame)[row];
    if (ranges->total == 0)
        return;
    fletch_nested_copy(scatter, frame, row, ranges, tally->elements);
    tally->elements += ranges->total;
}

/* Little-endian: the low bytes of a number are the number in a narrower type. */
static void put_number(uint8_t *numbers, size_t width, int64_t index, int64_t number)
{
    memcpy(numbers + (size_t)index * width, &number, width);
}

/* ---- views ---- */

void fletch_rewrite_views(const struct fletch_scatter *scatter,
                          const struct fletch_frame_builder *frame, uint32_t row,
                          const struct fletch_element_ranges *ranges, int64_t at)
{
    const struct fletch_node_view *column = &scatter->columns[row];
    struct fletch_frame_tally *tally = &fletch_builder_tallies(frame)[row];
    uint8_t *views = fletch_builder_region(frame, column->field->first_span + 1);
    uint8_t *bytes =
        fletch_builder_region(frame, scatter->source.schema->span_count + column->field->view);
    struct fletch_ranges_cursor cursor = fletch_ranges_cursor_of(ranges);
    int64_t element;
    while (fletch_ranges_next(&cursor, &element)) {
        struct fletch_string_view view = fletch_view_string(column, element);
        if (view.bytes > FLETCH_VIEW_INLINE_BYTES) {
            memcpy(bytes + tally->bytes, fletch_view_string_bytes(column, &view),
                   (size_t)view.bytes);
            view.buffer = 0;
            view.offset = (int32_t)tally->bytes;
            tally->bytes += view.bytes;
        }
        memcpy(views + (size_t)at++ * sizeof view, &view, sizeof view);
    }
}

/* ---- list views ---- */

static void write_lists(const struct fletch_scatter *scatter,
                        const struct fletch_frame_builder *frame, uint32_t row,
                        const struct fletch_element_ranges *ranges, int64_t at)
{
    const struct fletch_node_view *column = &scatter->columns[row];
    const struct fletch_field *field = column->field;
    size_t width = field->type.id == FLETCH_TYPE_LARGE_LIST_VIEW ? 8 : 4;
    uint8_t *starts = fletch_builder_region(frame, field->first_span + 1);
    uint8_t *sizes = fletch_builder_region(frame, field->first_span + 2);
    int64_t start = fletch_builder_tallies(frame)[row + 1].elements;
    struct fletch_ranges_cursor cursor = fletch_ranges_cursor_of(ranges);
    int64_t element;
    while (fletch_ranges_next(&cursor, &element)) {
        int64_t count = fletch_view_list(column, element).count;
        put_number(starts, width, at, start);
        put_number(sizes, width, at++, count);
        start += count;
    }
}

void fletch_rewrite_list_views(const struct fletch_scatter *scatter,
                               const struct fletch_frame_builder *frame, uint32_t row,
                               const struct fletch_element_ranges *ranges, int64_t at)
{
    struct fletch_element_ranges below;
    struct fletch_ranges_cursor cursor = fletch_ranges_cursor_of(ranges);
    write_lists(scatter, frame, row, ranges, at);
    while (fletch_ranges_of_list_view(&cursor, &scatter->columns[row], &below))
        append(scatter, frame, row + 1, &below);
}

/* ---- dense unions ---- */

void fletch_rewrite_dense_union(const struct fletch_scatter *scatter,
                                const struct fletch_frame_builder *frame, uint32_t row,
                                const struct fletch_element_ranges *ranges, int64_t at)
{
    const struct fletch_node_view *column = &scatter->columns[row];
    const struct fletch_field *fields = scatter->source.schema->fields;
    const struct fletch_type *type = &column->field->type;
    uint8_t *starts = fletch_builder_region(frame, column->field->first_span + 1);
    int64_t next[FLETCH_TYPE_IDS_MAX]; /* place of the type id's next element in its member */
    uint32_t child = row + 1;
    for (uint32_t i = 0; i < type->type_id_count; i++, child = fields[child].end)
        next[type->type_ids[i]] = fletch_builder_tallies(frame)[child].elements;
    struct fletch_ranges_cursor all = fletch_ranges_cursor_of(ranges);
    int64_t element;
    while (fletch_ranges_next(&all, &element))
        put_number(starts, 4, at++, next[column->values[column->offset + element]]++);
    child = row + 1;
    for (uint32_t i = 0; i < type->type_id_count; i++, child = fields[child].end) {
        struct fletch_element_ranges below;
        struct fletch_ranges_cursor cursor = fletch_ranges_cursor_of(ranges);
        cursor.type_id = type->type_ids[i];
        while (fletch_ranges_of_member(&cursor, column, &below))
            append(scatter, frame, child, &below);
    }
}

/* ---- runs ---- */

static void append_runs(const struct fletch_scatter *scatter,
                        const struct fletch_frame_builder *frame, uint32_t row,
                        struct fletch_element_ranges *values)
{
    append(scatter, frame, row + 2, values);
    fletch_ranges_clear(values);
}

void fletch_rewrite_runs(const struct fletch_scatter *scatter,
                         const struct fletch_frame_builder *frame, uint32_t row,
                         const struct fletch_element_ranges *ranges, int64_t at)
{
    const struct fletch_node_view *column = &scatter->columns[row];
    const struct fletch_field *ends = &scatter->source.schema->fields[row + 1];
    struct fletch_frame_tally *tally = &fletch_builder_tallies(frame)[row + 1];
    uint8_t *run_ends = fletch_builder_region(frame, ends->first_span + 1);
    size_t width = fletch_type_byte_width(&ends->type);
    struct fletch_element_ranges values;
    struct fletch_run_cursor cursor = fletch_run_cursor_of(column, ranges);
    struct fletch_run run;
    fletch_ranges_clear(&values);
    while (fletch_run_next(&cursor, &run)) {
        bool goes_on = tally->batch_number == scatter->batch_number && tally->run == run.index;
        at += run.count;
        if (!goes_on) {
            tally->batch_number = scatter->batch_number;
            tally->run = run.index;
            tally->elements++;
            fletch_ranges_add(&values, run.index, 1);
        }
        put_number(run_ends, width, tally->elements - 1, at);
        if (fletch_ranges_are_full(&values))
            append_runs(scatter, frame, row, &values);
    }
    append_runs(scatter, frame, row, &values);
}
