#include "partition/nested_copy.h"

#include "partition/bit_run.h"
#include "partition/index_gather.h"
#include "partition/nested_rewrite.h"
#include "partition/scatter_copy.h"

/* Each node is copied in a loop of its own over the ranges, which are those of one level: what
 * belongs to them below is made into ranges of the next. Recursion goes as deep as the schema,
 * which is bounded by FLETCH_SCHEMA_DEPTH_MAX. */

enum {
    STEP = FLETCH_GATHER_SLACK, /* bytes that are copied at once, also where fewer are wanted */
    LONG = 256,                 /* bytes from which on a call is worth its price */
    AHEAD = 8 /* ranges, which lie anywhere, of which the first line is fetched before */
};

static inline void prefetch_range(const uint8_t *from, const struct fletch_element_ranges *ranges,
                                  uint32_t index, size_t width)
{
    if (index + AHEAD < ranges->count)
        __builtin_prefetch(from + (size_t)ranges->ranges[index + AHEAD].first * width);
}

struct bytes {
    const uint8_t *data;
    size_t count;
};

/* Appends stretches of `from`, `width` bytes an element. There is room for a step behind the last
 * one; the source is not read past its end. */
static void copy_stretches(uint8_t *to, struct bytes from,
                           const struct fletch_element_ranges *ranges, size_t width)
{
    for (uint32_t i = 0; i < ranges->count; i++) {
        prefetch_range(from.data, ranges, i, width);
        size_t first = (size_t)ranges->ranges[i].first * width;
        size_t bytes = (size_t)ranges->ranges[i].count * width;
        if (bytes >= LONG || first + bytes + STEP > from.count) {
            memcpy(to, from.data + first, bytes);
        } else {
            memcpy(to, from.data + first, STEP);
            for (size_t at = STEP; at < bytes; at += STEP)
                memcpy(to + at, from.data + first + at, STEP);
        }
        to += bytes;
    }
}

/* ---- offsets ---- */

/* Eight at once, also where fewer are wanted: a loop of some few turns, each time another number, is
 * what the processor foresees worst. */
typedef int32_t eight_offsets __attribute__((vector_size(32)));

/* Writes the `count` offsets that stand behind `from` behind `to`, shifted. `is_padded`: as many as
 * are read at once can be read behind the last one. */
static inline void shift_offsets(uint8_t *to, const uint8_t *from, int64_t count, int32_t shift,
                                 bool is_padded)
{
    enum { EACH = 8 };
    int64_t done = 0;
    eight_offsets offsets;
    while (is_padded && done < count) {
        memcpy(&offsets, from + 4 * (done + 1), sizeof offsets);
        offsets += shift;
        memcpy(to + 4 * (done + 1), &offsets, sizeof offsets);
        done += EACH;
    }
    for (; done < count; done++) {
        int32_t offset;
        memcpy(&offset, from + 4 * (done + 1), sizeof offset);
        offset += shift;
        memcpy(to + 4 * (done + 1), &offset, sizeof offset);
    }
}

/* Writes where each element ends behind the offset that is there, and tells which elements or bytes
 * are meant below. */
static inline void copy_narrow_offsets(uint8_t *to, struct bytes from,
                                       const struct fletch_element_ranges *ranges,
                                       struct fletch_element_ranges *below)
{
    int32_t end;
    memcpy(&end, to, sizeof end);
    for (uint32_t i = 0; i < ranges->count; i++) {
        size_t first = 4 * (size_t)ranges->ranges[i].first;
        int64_t count = ranges->ranges[i].count;
        const uint8_t *next = from.data + first;
        int32_t start;
        int32_t last;
        prefetch_range(from.data, ranges, i, 4);
        memcpy(&start, next, sizeof start);
        memcpy(&last, next + 4 * count, sizeof last);
        shift_offsets(to, next, count, end - start, first + 4 * (size_t)count + STEP <= from.count);
        to += 4 * count;
        end += last - start;
        below->ranges[i] = (struct fletch_element_range){start, last - start};
        below->total += last - start;
    }
}

static inline void copy_wide_offsets(uint8_t *to, struct bytes from,
                                     const struct fletch_element_ranges *ranges,
                                     struct fletch_element_ranges *below)
{
    int64_t end;
    memcpy(&end, to, sizeof end);
    for (uint32_t i = 0; i < ranges->count; i++) {
        prefetch_range(from.data, ranges, i, 8);
        const uint8_t *next = from.data + 8 * ranges->ranges[i].first;
        int64_t start;
        memcpy(&start, next, sizeof start);
        int64_t shift = end - start;
        for (int64_t left = ranges->ranges[i].count; left > 0; left--) {
            next += 8;
            to += 8;
            memcpy(&end, next, sizeof end);
            end += shift;
            memcpy(to, &end, sizeof end);
        }
        below->ranges[i] = (struct fletch_element_range){start, end - shift - start};
        below->total += below->ranges[i].count;
    }
}

static void copy_offsets(const struct fletch_node_view *column,
                         const struct fletch_frame_builder *frame,
                         const struct fletch_element_ranges *ranges, int64_t at,
                         struct fletch_element_ranges *below)
{
    bool is_wide = fletch_view_has_wide_offsets(column);
    size_t width = is_wide ? 8 : 4;
    uint8_t *to = fletch_builder_region(frame, column->field->first_span + 1) + (size_t)at * width;
    size_t skipped = (size_t)column->offset * width;
    struct bytes from = {column->values + skipped,
                         column->batch->spans[column->field->first_span + 1].bytes - skipped};
    below->count = ranges->count;
    below->total = 0;
    if (is_wide)
        copy_wide_offsets(to, from, ranges, below);
    else
        copy_narrow_offsets(to, from, ranges, below);
}

static void copy_strings(const struct fletch_node_view *column,
                         const struct fletch_frame_builder *frame,
                         const struct fletch_element_ranges *ranges, int64_t at)
{
    struct fletch_element_ranges below;
    int64_t used = fletch_builder_start(frame, column->field, at);
    copy_offsets(column, frame, ranges, at, &below);
    if (below.total > 0)
        copy_stretches(fletch_builder_region(frame, column->field->first_span + 2) + used,
                       (struct bytes){column->bytes, column->byte_count}, &below, 1);
}

static void copy_list(const struct fletch_scatter *scatter,
                      const struct fletch_frame_builder *frame, uint32_t row,
                      const struct fletch_element_ranges *ranges, int64_t at)
{
    const struct fletch_node_view *column = &scatter->columns[row];
    struct fletch_element_ranges below;
    int64_t used = fletch_builder_start(frame, column->field, at);
    copy_offsets(column, frame, ranges, at, &below);
    if (below.total > 0)
        fletch_nested_copy(scatter, frame, row + 1, &below, used);
}

/* ---- values ---- */

static void copy_indices(const struct fletch_scatter *scatter,
                         const struct fletch_node_view *column, uint8_t *to,
                         const struct fletch_element_ranges *ranges)
{
    struct fletch_index_map map = {
        .byte_width = fletch_type_byte_width(&column->field->type),
        .remap = scatter->remaps[column->field->dictionary],
        .remap_count = scatter->remap_counts[column->field->dictionary],
    };
    for (uint32_t i = 0; i < ranges->count; i++) {
        map.indices =
            column->values + (size_t)(column->offset + ranges->ranges[i].first) * map.byte_width;
        fletch_index_copy(to, &map, (size_t)ranges->ranges[i].count);
        to += (size_t)ranges->ranges[i].count * map.byte_width;
    }
}

static void copy_values(const struct fletch_scatter *scatter, const struct fletch_node_view *column,
                        const struct fletch_frame_builder *frame,
                        const struct fletch_element_ranges *ranges, int64_t at)
{
    const struct fletch_field *field = column->field;
    size_t width = fletch_type_byte_width(&field->type);
    uint8_t *to = fletch_builder_region(frame, field->first_span + 1) + (size_t)at * width;
    if (width == 0)
        return;
    if (field->dictionary != FLETCH_NO_INDEX && scatter->remaps[field->dictionary] != NULL) {
        copy_indices(scatter, column, to, ranges);
        return;
    }
    size_t skipped = (size_t)column->offset * width;
    struct bytes from = {column->values + skipped,
                         column->batch->spans[field->first_span + 1].bytes - skipped};
    copy_stretches(to, from, ranges, width);
}

static void copy_bits(const struct fletch_node_view *column, const uint8_t *bits, uint8_t *to,
                      const struct fletch_element_ranges *ranges, int64_t at)
{
    for (uint32_t i = 0; i < ranges->count; i++) {
        size_t first = (size_t)(column->offset + ranges->ranges[i].first);
        size_t count = (size_t)ranges->ranges[i].count;
        fletch_bit_run_copy(to, (size_t)at, bits, first, count);
        at += ranges->ranges[i].count;
    }
}

/* ---- children that are aligned ---- */

static void copy_fixed_list(const struct fletch_scatter *scatter,
                            const struct fletch_frame_builder *frame, uint32_t row,
                            const struct fletch_element_ranges *ranges, int64_t at)
{
    int64_t size = scatter->columns[row].field->type.list_size;
    struct fletch_element_ranges below;
    fletch_ranges_multiply(ranges, size, &below);
    if (below.total > 0)
        fletch_nested_copy(scatter, frame, row + 1, &below, at * size);
}

static void copy_type_ids(const struct fletch_node_view *column,
                          const struct fletch_frame_builder *frame,
                          const struct fletch_element_ranges *ranges, int64_t at)
{
    uint32_t span = column->field->first_span;
    struct bytes from = {column->values + column->offset,
                         column->batch->spans[span].bytes - (size_t)column->offset};
    copy_stretches(fletch_builder_region(frame, span) + at, from, ranges, 1);
}

static void copy_children(const struct fletch_scatter *scatter,
                          const struct fletch_frame_builder *frame, uint32_t row,
                          const struct fletch_element_ranges *ranges, int64_t at)
{
    const struct fletch_field *fields = scatter->source.schema->fields;
    for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end)
        fletch_nested_copy(scatter, frame, child, ranges, at);
}

void fletch_nested_copy(const struct fletch_scatter *scatter,
                        const struct fletch_frame_builder *frame, uint32_t row,
                        const struct fletch_element_ranges *ranges, int64_t at)
{
    const struct fletch_node_view *column = &scatter->columns[row];
    uint32_t span = column->field->first_span;
    if (scatter->nodes[row].may_have_nulls &&
        fletch_scatter_prepare_validity(frame, column, at, ranges->total))
        copy_bits(column, column->validity, fletch_builder_region(frame, span), ranges, at);
    switch (scatter->nodes[row].rule) {
    case FLETCH_COPY_BITS:
        copy_bits(column, column->values, fletch_builder_region(frame, span + 1), ranges, at);
        break;
    case FLETCH_COPY_VALUES:
    case FLETCH_COPY_WIDE_VALUES:
        copy_values(scatter, column, frame, ranges, at);
        break;
    case FLETCH_COPY_STRINGS:
        copy_strings(column, frame, ranges, at);
        break;
    case FLETCH_COPY_LIST:
        copy_list(scatter, frame, row, ranges, at);
        break;
    case FLETCH_COPY_STRUCT:
        copy_children(scatter, frame, row, ranges, at);
        break;
    case FLETCH_COPY_FIXED_LIST:
        copy_fixed_list(scatter, frame, row, ranges, at);
        break;
    case FLETCH_COPY_SPARSE_UNION:
        copy_type_ids(column, frame, ranges, at);
        copy_children(scatter, frame, row, ranges, at);
        break;
    case FLETCH_COPY_DENSE_UNION:
        copy_type_ids(column, frame, ranges, at);
        fletch_rewrite_dense_union(scatter, frame, row, ranges, at);
        break;
    case FLETCH_COPY_VIEWS:
        fletch_rewrite_views(scatter, frame, row, ranges, at);
        break;
    case FLETCH_COPY_LIST_VIEW:
        fletch_rewrite_list_views(scatter, frame, row, ranges, at);
        break;
    case FLETCH_COPY_RUNS:
        fletch_rewrite_runs(scatter, frame, row, ranges, at);
        break;
    default:
        break;
    }
}
