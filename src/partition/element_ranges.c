#include "partition/element_ranges.h"

void fletch_ranges_multiply(const struct fletch_element_ranges *ranges, int64_t size,
                            struct fletch_element_ranges *out_below)
{
    out_below->count = ranges->count;
    out_below->total = ranges->total * size;
    for (uint32_t i = 0; i < ranges->count; i++)
        out_below->ranges[i] = (struct fletch_element_range){ranges->ranges[i].first * size,
                                                             ranges->ranges[i].count * size};
}

struct fletch_ranges_cursor fletch_ranges_cursor_of(const struct fletch_element_ranges *ranges)
{
    return (struct fletch_ranges_cursor){.ranges = ranges};
}

/* ---- list views ---- */

/* Number `index` of a span of 32 or 64 bits each. */
static int64_t number_at(const uint8_t *numbers, bool is_wide, int64_t index)
{
    int64_t wide;
    int32_t narrow;
    if (is_wide) {
        memcpy(&wide, numbers + 8 * index, sizeof wide);
        return wide;
    }
    memcpy(&narrow, numbers + 4 * index, sizeof narrow);
    return narrow;
}

struct fletch_element_range fletch_view_list(const struct fletch_node_view *column, int64_t index)
{
    bool is_wide = column->field->type.id == FLETCH_TYPE_LARGE_LIST_VIEW;
    int64_t at = column->offset + index;
    if (fletch_view_is_null(column, index))
        return (struct fletch_element_range){0, 0};
    return (struct fletch_element_range){number_at(column->values, is_wide, at),
                                         number_at(column->bytes, is_wide, at)};
}

bool fletch_ranges_of_list_view(struct fletch_ranges_cursor *cursor,
                                const struct fletch_node_view *column,
                                struct fletch_element_ranges *out_below)
{
    int64_t element;
    fletch_ranges_clear(out_below);
    while (!fletch_ranges_are_full(out_below) && fletch_ranges_next(cursor, &element)) {
        struct fletch_element_range list = fletch_view_list(column, element);
        if (list.count > 0)
            fletch_ranges_add(out_below, list.first, list.count);
    }
    return out_below->count > 0;
}

/* ---- dense unions ---- */

int64_t fletch_view_member_index(const struct fletch_node_view *column, int64_t index)
{
    return number_at(column->bytes, false, column->offset + index);
}

bool fletch_ranges_of_member(struct fletch_ranges_cursor *cursor,
                             const struct fletch_node_view *column,
                             struct fletch_element_ranges *out_below)
{
    int64_t element;
    fletch_ranges_clear(out_below);
    while (!fletch_ranges_are_full(out_below) && fletch_ranges_next(cursor, &element)) {
        if ((int8_t)column->values[column->offset + element] == cursor->type_id)
            fletch_ranges_add(out_below, fletch_view_member_index(column, element), 1);
    }
    return out_below->count > 0;
}

/* ---- runs ---- */

struct fletch_run_cursor fletch_run_cursor_of(const struct fletch_node_view *column,
                                              const struct fletch_element_ranges *ranges)
{
    return (struct fletch_run_cursor){
        .ranges = ranges,
        .run_ends = fletch_column_of(column->batch, column->row + 1),
        .offset = column->offset,
        .run = -1,
    };
}

/* The run that has the element at `position`: that of the last stretch, the next one, or one that
 * is looked for. */
static int64_t run_of(const struct fletch_run_cursor *cursor, int64_t position)
{
    int64_t run = cursor->run;
    for (int step = 0; run >= 0 && step < 2; step++, run++) {
        if (run >= cursor->run_ends.node->length)
            break;
        bool is_behind = run == 0 || fletch_column_run_end(&cursor->run_ends, run - 1) <= position;
        if (is_behind && position < fletch_column_run_end(&cursor->run_ends, run))
            return run;
    }
    return fletch_column_find_run(&cursor->run_ends, position);
}

bool fletch_run_next(struct fletch_run_cursor *cursor, struct fletch_run *out_run)
{
    while (cursor->range < cursor->ranges->count &&
           cursor->done == cursor->ranges->ranges[cursor->range].count) {
        cursor->range++;
        cursor->done = 0;
    }
    if (cursor->range == cursor->ranges->count)
        return false;
    const struct fletch_element_range *range = &cursor->ranges->ranges[cursor->range];
    int64_t position = cursor->offset + range->first + cursor->done;
    cursor->run = run_of(cursor, position);
    int64_t left = range->count - cursor->done;
    int64_t end = fletch_column_run_end(&cursor->run_ends, cursor->run);
    out_run->index = cursor->run;
    out_run->count = end - position < left ? end - position : left;
    cursor->done += out_run->count;
    return true;
}
