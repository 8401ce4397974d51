#include "partition/list_measure.h"

/* Recursion goes as deep as the schema, which is bounded by FLETCH_SCHEMA_DEPTH_MAX. */

/* Notes how much of the node and of those below it the frame holds already. */
static void note_use(struct fletch_scatter *scatter, const struct fletch_frame_builder *frame,
                     uint32_t row, int64_t elements)
{
    const struct fletch_field *fields = scatter->source.schema->fields;
    scatter->used_elements[row] = elements;
    if (scatter->nodes[row].rule == FLETCH_COPY_STRUCT)
        for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end)
            note_use(scatter, frame, child, elements);
    else if (scatter->nodes[row].rule == FLETCH_COPY_LIST)
        note_use(scatter, frame, row + 1, fletch_builder_start(frame, &fields[row], elements));
    else if (scatter->nodes[row].rule == FLETCH_COPY_STRINGS)
        scatter->used_bytes[fields[row].first_span + 2] =
            fletch_builder_start(frame, &fields[row], elements);
}

static bool add_use(struct fletch_scatter *scatter, const struct fletch_frame_plan *plan,
                    uint32_t row, struct fletch_row_range range);

static bool add_use_of_children(struct fletch_scatter *scatter,
                                const struct fletch_frame_plan *plan, uint32_t row,
                                struct fletch_row_range range)
{
    const struct fletch_field *fields = scatter->source.schema->fields;
    for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end)
        if (!add_use(scatter, plan, child, range))
            return false;
    return true;
}

/* Adds elements of the batch to what is used. False: they do not fit. */
static bool add_use(struct fletch_scatter *scatter, const struct fletch_frame_plan *plan,
                    uint32_t row, struct fletch_row_range range)
{
    const struct fletch_node_view *column = &scatter->columns[row];
    enum fletch_copy_rule rule = scatter->nodes[row].rule;
    scatter->used_elements[row] += (int64_t)range.count;
    if (scatter->used_elements[row] > plan->element_capacity[row])
        return false;
    if (rule == FLETCH_COPY_STRUCT)
        return add_use_of_children(scatter, plan, row, range);
    if (range.count == 0 || (rule != FLETCH_COPY_LIST && rule != FLETCH_COPY_STRINGS))
        return true;
    int64_t start = fletch_view_start(column, range.first);
    int64_t length = fletch_view_start(column, range.first + (int64_t)range.count) - start;
    if (rule == FLETCH_COPY_LIST)
        return add_use(scatter, plan, row + 1, (struct fletch_row_range){start, (size_t)length});
    uint32_t span = column->field->first_span + 2;
    scatter->used_bytes[span] += length;
    return scatter->used_bytes[span] <= (int64_t)plan->regions[span].bytes;
}

static void write_offset(uint8_t *offsets, bool is_wide, size_t index, int64_t value)
{
    int32_t narrow = (int32_t)value;
    if (is_wide)
        memcpy(offsets + 8 * index, &value, sizeof value);
    else
        memcpy(offsets + 4 * index, &narrow, sizeof narrow);
}

size_t fletch_list_measure(struct fletch_scatter *scatter, const struct fletch_frame_builder *frame,
                           uint32_t row, const struct fletch_list_rows *rows)
{
    const struct fletch_node_view *column = &scatter->columns[row];
    bool is_wide = fletch_view_has_wide_offsets(column);
    uint8_t *offsets = fletch_builder_region(frame, column->field->first_span + 1);
    int64_t end = fletch_builder_start(frame, column->field, frame->row_count);
    note_use(scatter, frame, row + 1, end);
    for (size_t i = 0; i < rows->count; i++) {
        int64_t index = rows->first_row + rows->order[i];
        int64_t start = fletch_view_start(column, index);
        int64_t length = fletch_view_start(column, index + 1) - start;
        struct fletch_row_range range = {start, (size_t)length};
        if (!add_use(scatter, frame->plan, row + 1, range))
            return i;
        end += length;
        write_offset(offsets, is_wide, frame->row_count + i + 1, end);
    }
    return rows->count;
}
