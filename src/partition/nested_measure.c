#include "partition/nested_measure.h"

/* Recursion goes as deep as the schema, which is bounded by FLETCH_SCHEMA_DEPTH_MAX. */

/* ---- counting ---- */

static void count_children(const struct fletch_scatter *scatter, uint32_t row,
                           const struct fletch_element_ranges *ranges,
                           const struct fletch_element_counts *counts)
{
    const struct fletch_field *fields = scatter->source.schema->fields;
    for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end)
        fletch_nested_count(scatter, child, ranges, counts);
}

static void count_list(const struct fletch_scatter *scatter, uint32_t row,
                       const struct fletch_element_ranges *ranges,
                       const struct fletch_element_counts *counts)
{
    const struct fletch_node_view *column = &scatter->columns[row];
    struct fletch_element_ranges below;
    fletch_ranges_clear(&below);
    for (uint32_t i = 0; i < ranges->count; i++) {
        struct fletch_element_range range = fletch_view_extent(column, ranges->ranges[i]);
        if (range.count > 0)
            fletch_ranges_add(&below, range.first, range.count);
    }
    fletch_nested_count(scatter, row + 1, &below, counts);
}

static void count_list_view(const struct fletch_scatter *scatter, uint32_t row,
                            const struct fletch_element_ranges *ranges,
                            const struct fletch_element_counts *counts)
{
    struct fletch_element_ranges below;
    struct fletch_ranges_cursor cursor = fletch_ranges_cursor_of(ranges);
    while (fletch_ranges_of_list_view(&cursor, &scatter->columns[row], &below))
        fletch_nested_count(scatter, row + 1, &below, counts);
}

static void count_fixed_list(const struct fletch_scatter *scatter, uint32_t row,
                             const struct fletch_element_ranges *ranges,
                             const struct fletch_element_counts *counts)
{
    struct fletch_element_ranges below;
    fletch_ranges_multiply(ranges, scatter->columns[row].field->type.list_size, &below);
    fletch_nested_count(scatter, row + 1, &below, counts);
}

static void count_dense_union(const struct fletch_scatter *scatter, uint32_t row,
                              const struct fletch_element_ranges *ranges,
                              const struct fletch_element_counts *counts)
{
    const struct fletch_field *fields = scatter->source.schema->fields;
    struct fletch_element_ranges below;
    uint32_t member = 0;
    for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end) {
        struct fletch_ranges_cursor cursor = fletch_ranges_cursor_of(ranges);
        cursor.type_id = fields[row].type.type_ids[member++];
        while (fletch_ranges_of_member(&cursor, &scatter->columns[row], &below))
            fletch_nested_count(scatter, child, &below, counts);
    }
}

static void count_runs(const struct fletch_scatter *scatter, uint32_t row,
                       const struct fletch_element_ranges *ranges,
                       const struct fletch_element_counts *counts)
{
    struct fletch_element_ranges below;
    struct fletch_run_cursor cursor = fletch_run_cursor_of(&scatter->columns[row], ranges);
    struct fletch_run run;
    int64_t last = -1;
    fletch_ranges_clear(&below);
    while (fletch_run_next(&cursor, &run)) {
        if (run.index == last)
            continue;
        last = run.index;
        fletch_ranges_add(&below, run.index, 1);
        if (!fletch_ranges_are_full(&below))
            continue;
        counts->elements[row + 1] += below.total;
        fletch_nested_count(scatter, row + 2, &below, counts);
        fletch_ranges_clear(&below);
    }
    counts->elements[row + 1] += below.total;
    fletch_nested_count(scatter, row + 2, &below, counts);
}

static void count_view_bytes(const struct fletch_node_view *column,
                             const struct fletch_element_ranges *ranges, int64_t *bytes)
{
    for (uint32_t i = 0; i < ranges->count; i++) {
        int64_t end = ranges->ranges[i].first + ranges->ranges[i].count;
        for (int64_t at = ranges->ranges[i].first; at < end; at++) {
            struct fletch_string_view view = fletch_view_string(column, at);
            *bytes += view.bytes > FLETCH_VIEW_INLINE_BYTES ? view.bytes : 0;
        }
    }
}

static void count_bytes(const struct fletch_node_view *column,
                        const struct fletch_element_ranges *ranges, int64_t *bytes)
{
    for (uint32_t i = 0; i < ranges->count; i++)
        *bytes += fletch_view_extent(column, ranges->ranges[i]).count;
}

void fletch_nested_count(const struct fletch_scatter *scatter, uint32_t row,
                         const struct fletch_element_ranges *ranges,
                         const struct fletch_element_counts *counts)
{
    counts->elements[row] += ranges->total;
    if (ranges->total == 0)
        return;
    switch (scatter->nodes[row].rule) {
    case FLETCH_COPY_STRINGS:
        count_bytes(&scatter->columns[row], ranges, &counts->bytes[row]);
        break;
    case FLETCH_COPY_LIST:
        count_list(scatter, row, ranges, counts);
        break;
    case FLETCH_COPY_VIEWS:
        count_view_bytes(&scatter->columns[row], ranges, &counts->bytes[row]);
        break;
    case FLETCH_COPY_LIST_VIEW:
        count_list_view(scatter, row, ranges, counts);
        break;
    case FLETCH_COPY_FIXED_LIST:
        count_fixed_list(scatter, row, ranges, counts);
        break;
    case FLETCH_COPY_DENSE_UNION:
        count_dense_union(scatter, row, ranges, counts);
        break;
    case FLETCH_COPY_RUNS:
        count_runs(scatter, row, ranges, counts);
        break;
    case FLETCH_COPY_SPARSE_UNION:
    case FLETCH_COPY_STRUCT:
        count_children(scatter, row, ranges, counts);
        break;
    default:
        break;
    }
}

/* ---- what fits ---- */

void fletch_nested_note_use(const struct fletch_scatter *scatter,
                            const struct fletch_frame_builder *frame, uint32_t row)
{
    const struct fletch_schema *schema = scatter->source.schema;
    const struct fletch_element_counts *used = &scatter->used;
    uint32_t first = row;
    for (; row < schema->fields[first].end; row++) {
        const struct fletch_field *field = &schema->fields[row];
        int64_t above = row == first ? frame->row_count : used->elements[field->parent];
        used->elements[row] = fletch_builder_elements(frame, schema, row, above);
        used->bytes[row] = 0;
        if (scatter->nodes[row].rule == FLETCH_COPY_STRINGS)
            used->bytes[row] = fletch_builder_start(frame, field, used->elements[row]);
        else if (scatter->nodes[row].rule == FLETCH_COPY_VIEWS)
            used->bytes[row] = fletch_builder_tallies(frame)[row].bytes;
    }
}

bool fletch_nested_fits(const struct fletch_scatter *scatter, const struct fletch_frame_plan *plan,
                        uint32_t row)
{
    uint32_t end = scatter->source.schema->fields[row].end;
    bool is_over = false;
    for (; row < end; row++)
        is_over |= scatter->used.elements[row] > plan->element_capacity[row] ||
                   scatter->used.bytes[row] > plan->byte_capacity[row];
    return !is_over;
}

/* Counts rows in, if they fit; else nothing changes. */
static bool take_in(const struct fletch_scatter *scatter, const struct fletch_frame_plan *plan,
                    uint32_t row, const struct fletch_element_ranges *ranges)
{
    uint32_t nodes = scatter->source.schema->fields[row].end - row;
    size_t bytes = nodes * sizeof(int64_t);
    memcpy(scatter->kept.elements + row, scatter->used.elements + row, bytes);
    memcpy(scatter->kept.bytes + row, scatter->used.bytes + row, bytes);
    fletch_nested_count(scatter, row, ranges, &scatter->used);
    if (fletch_nested_fits(scatter, plan, row))
        return true;
    memcpy(scatter->used.elements + row, scatter->kept.elements + row, bytes);
    memcpy(scatter->used.bytes + row, scatter->kept.bytes + row, bytes);
    return false;
}

static struct fletch_element_ranges ranges_of(const struct fletch_nested_rows *rows, size_t first,
                                              size_t count)
{
    struct fletch_element_ranges ranges;
    fletch_ranges_clear(&ranges);
    for (size_t i = 0; i < count; i++)
        fletch_ranges_add(&ranges, rows->first_row + rows->order[first + i], 1);
    return ranges;
}

size_t fletch_nested_measure(struct fletch_scatter *scatter,
                             const struct fletch_frame_builder *frame, uint32_t row,
                             const struct fletch_nested_rows *rows)
{
    fletch_nested_note_use(scatter, frame, row);
    size_t taken = 0;
    size_t step = FLETCH_RANGES_MOST;
    while (taken < rows->count) {
        size_t left = rows->count - taken;
        size_t count = left < step ? left : step;
        struct fletch_element_ranges ranges = ranges_of(rows, taken, count);
        if (take_in(scatter, frame->plan, row, &ranges))
            taken += count;
        else if (count == 1)
            break;
        else
            step = (count + 1) / 2;
    }
    return taken;
}
