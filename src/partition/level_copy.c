#include "partition/level_copy.h"

#include "partition/bit_run.h"
#include "partition/index_gather.h"
#include "partition/scatter_copy.h"

/* A node of a segment. */
struct piece {
    const struct fletch_scatter *scatter;
    const struct fletch_frame_builder *frame;
    const struct fletch_node_view *column;
    const struct fletch_segment *segment;
    bool is_joined; /* the rows lie side by side, and so does all that is below them */
    int64_t at;     /* elements of the node that the frame had before */
};

/* The stretches of a level that are copied. */
struct stretches {
    const struct fletch_stretch *first;
    size_t count;
    struct fletch_stretch joined;
};

static void find_stretches(const struct piece *piece, uint32_t level, struct stretches *out_found)
{
    uint32_t count = piece->segment->count;
    const struct fletch_stretch *first =
        piece->scatter->levels[level].stretches + piece->segment->first;
    out_found->first = first;
    out_found->count = count;
    if (!piece->is_joined)
        return;
    uint32_t end = first[count - 1].first + first[count - 1].count;
    out_found->joined = (struct fletch_stretch){first->first, end - first->first};
    out_found->first = &out_found->joined;
    out_found->count = 1;
}

static uint32_t level_of(const struct piece *piece)
{
    return piece->scatter->nodes[piece->column->row].level;
}

static uint32_t level_below(const struct piece *piece)
{
    return piece->scatter->nodes[piece->column->row].below;
}

static uint8_t *region_of(const struct piece *piece, uint32_t span)
{
    return fletch_builder_region(piece->frame, piece->column->field->first_span + span);
}

/* ---- bits and values ---- */

static void copy_bits(const struct piece *piece, const uint8_t *bits, uint32_t span)
{
    struct stretches found;
    uint8_t *to = region_of(piece, span);
    int64_t at = piece->at;
    find_stretches(piece, level_of(piece), &found);
    for (size_t i = 0; i < found.count; i++) {
        size_t from = (size_t)piece->column->offset + found.first[i].first;
        fletch_bit_run_copy(to, (size_t)at, bits, from, found.first[i].count);
        at += found.first[i].count;
    }
}

static void copy_indices(const struct piece *piece, struct fletch_index_map map, uint8_t *to)
{
    struct stretches found;
    const uint8_t *indices = map.indices;
    find_stretches(piece, level_of(piece), &found);
    for (size_t i = 0; i < found.count; i++) {
        map.indices = indices + found.first[i].first * map.byte_width;
        fletch_index_copy(to, &map, found.first[i].count);
        to += found.first[i].count * map.byte_width;
    }
}

static void copy_values(const struct piece *piece)
{
    const struct fletch_scatter *scatter = piece->scatter;
    const struct fletch_node_view *column = piece->column;
    const struct fletch_field *field = column->field;
    size_t width = fletch_type_byte_width(&field->type);
    uint8_t *to = region_of(piece, 1) + (size_t)piece->at * width;
    size_t skipped = (size_t)column->offset * width;
    if (width == 0)
        return;
    if (field->dictionary != FLETCH_NO_INDEX && scatter->remaps[field->dictionary] != NULL) {
        struct fletch_index_map map = {
            .indices = column->values + skipped,
            .byte_width = width,
            .remap = scatter->remaps[field->dictionary],
            .remap_count = scatter->remap_counts[field->dictionary],
        };
        copy_indices(piece, map, to);
        return;
    }
    struct fletch_gather_elements source = {
        .bytes = column->values + skipped,
        .byte_count = column->batch->spans[field->first_span + 1].bytes - skipped,
        .byte_width = width,
    };
    struct stretches found;
    find_stretches(piece, level_of(piece), &found);
    scatter->kernels->stretches(to, &source, found.first, found.count);
}

/* ---- strings and lists ---- */

static void copy_offsets(const struct piece *piece)
{
    const struct fletch_node_view *column = piece->column;
    bool is_wide = fletch_view_has_wide_offsets(column);
    size_t width = is_wide ? 8 : 4;
    size_t skipped = (size_t)column->offset * width;
    struct stretches found;
    struct stretches below;
    struct fletch_gather_offsets_source source = {
        .offsets = column->values + skipped,
        .byte_count = column->batch->spans[column->field->first_span + 1].bytes - skipped,
        .has_wide_offsets = is_wide,
    };
    find_stretches(piece, level_of(piece), &found);
    find_stretches(piece, level_below(piece), &below);
    source.below = below.first;
    fletch_gather_shifted_offsets(region_of(piece, 1) + (size_t)piece->at * width, &source,
                                  found.first, found.count);
}

static void copy_bytes(const struct piece *piece)
{
    const struct fletch_node_view *column = piece->column;
    struct fletch_gather_elements source = {
        .bytes = column->bytes, .byte_count = column->byte_count, .byte_width = 1};
    struct stretches found;
    const struct fletch_level *level = &piece->scatter->levels[level_below(piece)];
    int64_t used = level->starts[piece->segment - piece->scatter->segments];
    find_stretches(piece, level_below(piece), &found);
    piece->scatter->kernels->stretches(region_of(piece, 2) + used, &source, found.first,
                                       found.count);
}

static int64_t count_of(const struct piece *piece)
{
    struct stretches found;
    int64_t count = 0;
    find_stretches(piece, level_of(piece), &found);
    for (size_t i = 0; i < found.count; i++)
        count += found.first[i].count;
    return count;
}

void fletch_level_copy(const struct fletch_scatter *scatter, const struct fletch_segment *segment,
                       uint32_t row, bool is_bytes)
{
    const struct fletch_scatter_node *node = &scatter->nodes[row];
    const struct fletch_stretch *rows = scatter->levels[0].stretches + segment->first;
    struct piece piece = {
        .scatter = scatter,
        .frame = &segment->frame,
        .column = &scatter->columns[row],
        .segment = segment,
        .is_joined = rows[segment->count - 1].first - rows[0].first == segment->count - 1,
        .at = scatter->levels[node->level].starts[segment - scatter->segments],
    };
    uint32_t level = is_bytes ? node->below : node->level;
    if (scatter->levels[level].block.count == 0) /* there may be no buffers */
        return;
    if (is_bytes) {
        copy_bytes(&piece);
        return;
    }
    if (node->may_have_nulls &&
        fletch_scatter_prepare_validity(piece.frame, piece.column, piece.at, count_of(&piece)))
        copy_bits(&piece, piece.column->validity, 0);
    switch (node->rule) {
    case FLETCH_COPY_BITS:
        copy_bits(&piece, piece.column->values, 1);
        break;
    case FLETCH_COPY_VALUES:
    case FLETCH_COPY_WIDE_VALUES:
        copy_values(&piece);
        break;
    case FLETCH_COPY_STRINGS:
        copy_offsets(&piece);
        break;
    case FLETCH_COPY_LIST:
        if (node->level > 0) /* those of rows were written when they were placed */
            copy_offsets(&piece);
        break;
    default:
        break;
    }
}
