#include "partition/scatter_nested.h"

#include "partition/bit_run.h"
#include "partition/index_gather.h"
#include "partition/scatter_copy.h"

/* Elements of lists lie side by side, so what is below a list is copied in ranges. Recursion goes
 * as deep as the schema, which is bounded by FLETCH_SCHEMA_DEPTH_MAX. */

/* Writes where each element of the range ends, behind the offset that is there; returns where the
 * range begins in what the offsets count. */
static int64_t copy_offsets(const struct fletch_node_view *column, struct fletch_range_copy range)
{
    bool is_wide = fletch_view_has_wide_offsets(column);
    uint8_t *offsets = fletch_builder_region(range.frame, column->field->first_span + 1);
    int64_t from = fletch_view_start(column, range.from);
    int64_t shift = fletch_builder_start(range.frame, column->field, range.at) - from;
    for (int64_t i = 1; i <= range.count; i++) {
        int64_t wide = fletch_view_start(column, range.from + i) + shift;
        int32_t narrow = (int32_t)wide;
        if (is_wide)
            memcpy(offsets + 8 * (range.at + i), &wide, sizeof wide);
        else
            memcpy(offsets + 4 * (range.at + i), &narrow, sizeof narrow);
    }
    return from;
}

static void copy_string_range(const struct fletch_node_view *column, struct fletch_range_copy range)
{
    int64_t from = copy_offsets(column, range);
    int64_t to = fletch_builder_start(range.frame, column->field, range.at);
    int64_t end = fletch_builder_start(range.frame, column->field, range.at + range.count);
    uint8_t *bytes = fletch_builder_region(range.frame, column->field->first_span + 2);
    if (end > to)
        memcpy(bytes + to, column->bytes + from, (size_t)(end - to));
}

static void copy_list_range(const struct fletch_scatter *scatter,
                            const struct fletch_node_view *column, struct fletch_range_copy range)
{
    int64_t from = copy_offsets(column, range);
    int64_t to = fletch_builder_start(range.frame, column->field, range.at);
    int64_t end = fletch_builder_start(range.frame, column->field, range.at + range.count);
    struct fletch_range_copy below = {
        .frame = range.frame, .from = from, .count = end - to, .at = to};
    if (below.count > 0)
        fletch_scatter_copy_range(scatter, column->row + 1, below);
}

static void copy_value_range(const struct fletch_scatter *scatter,
                             const struct fletch_node_view *column, struct fletch_range_copy range)
{
    const struct fletch_field *field = column->field;
    size_t width = fletch_type_byte_width(&field->type);
    uint8_t *to =
        fletch_builder_region(range.frame, field->first_span + 1) + (size_t)range.at * width;
    if (width == 0)
        return;
    const uint8_t *from = column->values + (size_t)(column->offset + range.from) * width;
    if (field->dictionary == FLETCH_NO_INDEX || scatter->remaps[field->dictionary] == NULL) {
        memcpy(to, from, (size_t)range.count * width);
        return;
    }
    struct fletch_index_map map = {
        .byte_width = width,
        .remap = scatter->remaps[field->dictionary],
        .remap_count = scatter->remap_counts[field->dictionary],
    };
    static const uint16_t here[1] = {0};
    for (size_t i = 0; i < (size_t)range.count; i++) {
        map.indices = from + i * width;
        fletch_index_gather(to + i * width, &map, here, 1);
    }
}

void fletch_scatter_copy_range(const struct fletch_scatter *scatter, uint32_t row,
                               struct fletch_range_copy range)
{
    const struct fletch_node_view *column = &scatter->columns[row];
    const struct fletch_field *fields = scatter->source.schema->fields;
    size_t from = (size_t)(column->offset + range.from);
    if (scatter->nodes[row].may_have_nulls &&
        fletch_scatter_prepare_validity(range.frame, column, range.at, range.count))
        fletch_bit_run_copy(fletch_builder_region(range.frame, column->field->first_span),
                            (size_t)range.at, column->validity, from, (size_t)range.count);
    switch (scatter->nodes[row].rule) {
    case FLETCH_COPY_BITS:
        fletch_bit_run_copy(fletch_builder_region(range.frame, column->field->first_span + 1),
                            (size_t)range.at, column->values, from, (size_t)range.count);
        break;
    case FLETCH_COPY_VALUES:
    case FLETCH_COPY_WIDE_VALUES:
        copy_value_range(scatter, column, range);
        break;
    case FLETCH_COPY_STRINGS:
        copy_string_range(column, range);
        break;
    case FLETCH_COPY_LIST:
        copy_list_range(scatter, column, range);
        break;
    case FLETCH_COPY_STRUCT:
        for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end)
            fletch_scatter_copy_range(scatter, child, range);
        break;
    default:
        break;
    }
}
