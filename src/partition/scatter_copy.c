#include "partition/scatter_copy.h"

#include "partition/bit_run.h"
#include "partition/index_gather.h"
#include "partition/level_copy.h"
#include "partition/nested_copy.h"

enum {
    SHORT_STRING = 12, /* of this mean length most strings fit into 16 bytes */
    LINE = 64,
    LINES_MOST = 32 /* that are fetched of a segment */
};

bool fletch_scatter_prepare_validity(const struct fletch_frame_builder *frame,
                                     const struct fletch_node_view *column, int64_t at,
                                     int64_t count)
{
    uint8_t *flag = &frame->data[column->row];
    if (column->validity == NULL && *flag == 0)
        return false;
    uint8_t *validity = fletch_builder_region(frame, column->field->first_span);
    if (*flag == 0) {
        fletch_bit_run_fill(validity, 0, (size_t)at);
        *flag = 1;
    }
    if (column->validity == NULL)
        fletch_bit_run_fill(validity, (size_t)at, (size_t)count);
    return column->validity != NULL;
}

/* A block that is being copied: the rows of a segment in it. */
struct copy {
    const struct fletch_scatter *scatter;
    const struct fletch_scatter_block *block;
    const struct fletch_node_view *column;
    const struct fletch_scatter_node *node;
    bool is_bytes; /* of strings in lists, whose offsets have been copied */
    fletch_gather_values *values;
    bool is_past_caches; /* that is where `values` writes whole lines */
    struct fletch_gather_strings strings;
};

/* What is left to be prefetched, and how much of it for each segment: buffers in which the rows of
 * a block lie side by side. */
enum { AHEAD_MOST = 12 };
struct ahead {
    uint32_t count;
    struct {
        const uint8_t *next;
        size_t left;
        size_t step;
    } parts[AHEAD_MOST];
};

static void copy_bits(const struct copy *copy, const struct fletch_segment *segment,
                      const uint8_t *bits, uint32_t span)
{
    struct fletch_gather_bits source = {
        .bits = bits,
        .first = (size_t)(copy->column->offset + copy->block->first_row),
    };
    copy->scatter->kernels->bits(fletch_builder_region(&segment->frame, span), segment->row,
                                 &source, copy->block->lists->order + segment->first,
                                 segment->count);
}

static void copy_values(const struct copy *copy, const struct fletch_segment *segment)
{
    const struct fletch_field *field = copy->column->field;
    size_t width = fletch_type_byte_width(&field->type);
    const uint16_t *order = copy->block->lists->order + segment->first;
    uint8_t *to =
        fletch_builder_region(&segment->frame, field->first_span + 1) + segment->row * width;
    const uint8_t *from = copy->column->values;
    if (from != NULL)
        from += (size_t)(copy->column->offset + copy->block->first_row) * width;
    bool is_remapped =
        field->dictionary != FLETCH_NO_INDEX && copy->scatter->remaps[field->dictionary] != NULL;
    if (is_remapped) {
        struct fletch_index_map map = {
            .indices = from,
            .byte_width = width,
            .remap = copy->scatter->remaps[field->dictionary],
            .remap_count = copy->scatter->remap_counts[field->dictionary],
        };
        fletch_index_gather(to, &map, order, segment->count);
    } else if (copy->node->rule == FLETCH_COPY_VALUES) {
        copy->values(to, from, order, segment->count);
    } else {
        struct fletch_gather_wide source = {.values = from, .byte_width = width};
        fletch_gather_wide_values(to, &source, order, segment->count);
    }
}

static void copy_strings(const struct copy *copy, const struct fletch_segment *segment)
{
    const struct fletch_field *field = copy->column->field;
    int64_t start = fletch_builder_start(&segment->frame, field, segment->row);
    copy->scatter->kernels->strings(
        fletch_builder_region(&segment->frame, field->first_span + 2) + start, &copy->strings,
        copy->block->lists->order + segment->first, segment->count);
}

/* A column with children: rows by rows, since what lies below them is copied in ranges. */
static void copy_nested(const struct copy *copy, const struct fletch_segment *segment)
{
    const uint16_t *order = copy->block->lists->order + segment->first;
    struct fletch_element_ranges ranges;
    int64_t at = segment->row;
    for (uint32_t i = 0; i < segment->count;) {
        fletch_ranges_clear(&ranges);
        while (i < segment->count && !fletch_ranges_are_full(&ranges))
            fletch_ranges_add(&ranges, copy->block->first_row + order[i++], 1);
        fletch_nested_copy(copy->scatter, &segment->frame, copy->column->row, &ranges, at);
        at += ranges.total;
    }
}

/* The same as below for a node that is copied by levels; how much it has there is reckoned by the
 * mean of the block. */
static void prefetch_stretches(const struct copy *copy, const struct fletch_segment *segment)
{
    const struct fletch_field *field = copy->column->field;
    const struct fletch_frame_builder *frame = &segment->frame;
    enum fletch_copy_rule rule = copy->node->rule;
    uint32_t level = copy->is_bytes ? copy->node->below : copy->node->level;
    size_t width = copy->is_bytes ? 1 : fletch_type_byte_width(&field->type);
    if (rule == FLETCH_COPY_LIST || (rule == FLETCH_COPY_STRINGS && !copy->is_bytes))
        width = fletch_view_has_wide_offsets(copy->column) ? 8 : 4;
    if (level == 0 || width == 0)
        return;
    const struct fletch_level *of = &copy->scatter->levels[level];
    const uint8_t *to = fletch_builder_region(frame, field->first_span + (copy->is_bytes ? 2 : 1)) +
                        (size_t)of->starts[segment - copy->scatter->segments] * width;
    size_t mean = (size_t)(of->block.count / copy->block->row_count) + 1;
    size_t bytes = segment->count * mean * width;
    for (size_t line = 0; line < bytes + LINE && line < LINES_MOST * LINE; line += LINE)
        __builtin_prefetch(to + line, 1, 3);
}

/* Where the next segment begins is fetched while this one is copied: with many partitions each lies
 * somewhere else. */
static void prefetch_target(const struct copy *copy, const struct fletch_segment *segment)
{
    const struct fletch_field *field = copy->column->field;
    const struct fletch_frame_builder *frame = &segment->frame;
    if (fletch_scatter_has_level(copy->scatter, copy->column->row)) {
        prefetch_stretches(copy, segment);
        return;
    }
    size_t at = segment->row * fletch_type_byte_width(&field->type);
    size_t bytes = segment->count * fletch_type_byte_width(&field->type);
    if (copy->node->rule == FLETCH_COPY_STRINGS) {
        at = (size_t)fletch_builder_start(frame, field, segment->row);
        bytes = (size_t)fletch_builder_start(frame, field, segment->row + segment->count) - at;
    } else if (copy->node->rule != FLETCH_COPY_VALUES) {
        return;
    }
    const uint8_t *to =
        fletch_builder_region(frame, field->first_span + field->span_count - 1) + at;
    if (copy->is_past_caches) { /* only the lines at both ends come to the cache */
        __builtin_prefetch(to, 1, 3);
        __builtin_prefetch(to + bytes, 1, 3);
        return;
    }
    for (size_t line = 0; line < bytes + LINE && line < LINES_MOST * LINE; line += LINE)
        __builtin_prefetch(to + line, 1, 3);
}

/* ---- what is read next ---- */

static void add_ahead(struct ahead *ahead, const struct copy *copy, const uint8_t *data,
                      size_t bytes)
{
    if (data == NULL || bytes == 0 || ahead->count == AHEAD_MOST)
        return;
    ahead->parts[ahead->count].next = data;
    ahead->parts[ahead->count].left = bytes;
    ahead->parts[ahead->count].step = bytes / copy->scatter->segment_count / LINE * LINE + LINE;
    ahead->count++;
}

/* The bytes of a column that the block will read. Offsets of strings of the top level have been
 * read when rows were placed. */
static void add_column_ahead(struct ahead *ahead, const struct copy *copy, uint32_t row,
                             struct fletch_element_range range)
{
    const struct fletch_node_view *column = &copy->scatter->columns[row];
    const struct fletch_field *fields = copy->scatter->source.schema->fields;
    size_t width = fletch_type_byte_width(&column->field->type);
    if (range.count == 0)
        return;
    switch (copy->scatter->nodes[row].rule) {
    case FLETCH_COPY_STRINGS:
        range = fletch_view_extent(column, range);
        if (column->bytes != NULL)
            add_ahead(ahead, copy, column->bytes + range.first, (size_t)range.count);
        break;
    case FLETCH_COPY_VALUES:
        if (column->values != NULL)
            add_ahead(ahead, copy, column->values + (size_t)(column->offset + range.first) * width,
                      (size_t)range.count * width);
        break;
    case FLETCH_COPY_LIST:
        add_column_ahead(ahead, copy, row + 1, fletch_view_extent(column, range));
        break;
    case FLETCH_COPY_STRUCT:
        for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end)
            add_column_ahead(ahead, copy, child, range);
        break;
    default:
        break;
    }
}

/* The same of a node that is copied by levels. */
static void add_stretches_ahead(struct ahead *ahead, const struct copy *copy, uint32_t row,
                                bool is_bytes)
{
    const struct fletch_node_view *column = &copy->scatter->columns[row];
    const struct fletch_scatter_node *node = &copy->scatter->nodes[row];
    struct fletch_element_range range =
        copy->scatter->levels[is_bytes ? node->below : node->level].block;
    size_t width = fletch_type_byte_width(&column->field->type);
    if (range.count == 0)
        return;
    if (is_bytes)
        add_ahead(ahead, copy, column->bytes + range.first, (size_t)range.count);
    else if (node->rule == FLETCH_COPY_VALUES)
        add_ahead(ahead, copy, column->values + (size_t)(column->offset + range.first) * width,
                  (size_t)range.count * width);
}

/* A segment's share of the column that comes next: it comes from memory while this one is copied
 * out of the cache. */
static void prefetch_ahead(struct ahead *ahead)
{
    for (uint32_t i = 0; i < ahead->count; i++) {
        size_t left = ahead->parts[i].left;
        size_t bytes = ahead->parts[i].step < left ? ahead->parts[i].step : left;
        for (size_t line = 0; line < bytes; line += LINE)
            __builtin_prefetch(ahead->parts[i].next + line, 0, 2);
        ahead->parts[i].next += bytes;
        ahead->parts[i].left -= bytes;
    }
}

static void copy_segment(const struct copy *copy, const struct fletch_segment *segment)
{
    if (fletch_scatter_has_level(copy->scatter, copy->column->row)) {
        fletch_level_copy(copy->scatter, segment, copy->column->row, copy->is_bytes);
        return;
    }
    if (fletch_copy_rule_is_ranged(copy->node->rule)) {
        copy_nested(copy, segment);
        return;
    }
    if (copy->node->may_have_nulls && fletch_scatter_prepare_validity(&segment->frame, copy->column,
                                                                      segment->row, segment->count))
        copy_bits(copy, segment, copy->column->validity, copy->column->field->first_span);
    switch (copy->node->rule) {
    case FLETCH_COPY_BITS:
        copy_bits(copy, segment, copy->column->values, copy->column->field->first_span + 1);
        break;
    case FLETCH_COPY_VALUES:
    case FLETCH_COPY_WIDE_VALUES:
        copy_values(copy, segment);
        break;
    case FLETCH_COPY_STRINGS:
        copy_strings(copy, segment);
        break;
    default:
        break;
    }
}

static void copy_column(struct copy *copy, struct ahead *ahead)
{
    const struct fletch_scatter *scatter = copy->scatter;
    copy->is_past_caches = false;
    if (copy->node->rule == FLETCH_COPY_VALUES) {
        const struct fletch_gather_kernels *kernels = scatter->kernels;
        copy->values =
            (scatter->is_streamed ? kernels->streamed : kernels->values)[copy->node->kernel];
        copy->is_past_caches = copy->values != kernels->values[copy->node->kernel];
    }
    if (copy->node->rule == FLETCH_COPY_STRINGS) {
        copy->strings = fletch_scatter_strings(copy->column, copy->block->first_row);
        double mean = scatter->seen.bytes[copy->column->row] / scatter->seen_rows;
        copy->strings.is_short = mean < SHORT_STRING;
    }
    for (uint32_t i = 0; i < scatter->segment_count; i++) {
        prefetch_ahead(ahead);
        if (i + 1 < scatter->segment_count)
            prefetch_target(copy, &scatter->segments[i + 1]);
        copy_segment(copy, &scatter->segments[i]);
    }
}

/* What is copied in one pass over the segments: a node, or the bytes of its strings. */
struct pass {
    uint32_t row;
    bool is_bytes;
};

static struct pass next_pass(const struct fletch_scatter *scatter, struct pass pass)
{
    const struct fletch_scatter_node *nodes = scatter->nodes;
    if (!pass.is_bytes && fletch_scatter_has_level(scatter, pass.row) &&
        nodes[pass.row].rule == FLETCH_COPY_STRINGS)
        return (struct pass){pass.row, true};
    uint32_t row = pass.row;
    do
        row++;
    while (row < scatter->source.schema->field_count && nodes[row].is_inner &&
           !fletch_scatter_has_level(scatter, row));
    return (struct pass){row, false};
}

void fletch_scatter_copy_segments(struct fletch_scatter *scatter,
                                  const struct fletch_scatter_block *block)
{
    struct copy copy = {.scatter = scatter, .block = block};
    struct fletch_element_range rows = {block->first_row, block->row_count};
    uint32_t count = scatter->source.schema->field_count;
    struct pass pass = {0, false};
    while (pass.row < count && scatter->segment_count > 0) {
        struct pass next = next_pass(scatter, pass);
        struct ahead ahead;
        ahead.count = 0;
        if (next.row < count && fletch_scatter_has_level(scatter, next.row))
            add_stretches_ahead(&ahead, &copy, next.row, next.is_bytes);
        else if (next.row < count)
            add_column_ahead(&ahead, &copy, next.row, rows);
        copy.column = &scatter->columns[pass.row];
        copy.node = &scatter->nodes[pass.row];
        copy.is_bytes = pass.is_bytes;
        copy_column(&copy, &ahead);
        pass = next;
    }
    if (scatter->is_streamed)
        scatter->kernels->flush();
    scatter->segment_count = 0;
}
