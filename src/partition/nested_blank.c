#include "partition/nested_blank.h"

#include "partition/bit_run.h"

/* Recursion goes as deep as the schema, which is bounded by FLETCH_SCHEMA_DEPTH_MAX. */

bool fletch_nested_has_nulls(const struct fletch_schema *schema, uint32_t row)
{
    uint32_t top = row;
    for (uint32_t below = row; below < schema->fields[row].end; below++)
        if (fletch_type_is_union(schema->fields[below].type.id) &&
            schema->fields[below].type.type_id_count == 0)
            return false;
    while (schema->fields[top].type.id == FLETCH_TYPE_RUN_END_ENCODED)
        top += 2;
    return !fletch_type_is_union(schema->fields[top].type.id);
}

/* ---- counting ---- */

void fletch_nested_blank_count(const struct fletch_scatter *scatter, uint32_t row, int64_t count,
                               const struct fletch_element_counts *counts)
{
    const struct fletch_field *fields = scatter->source.schema->fields;
    int64_t stride = fletch_type_child_stride(&fields[row].type);
    counts->elements[row] += count;
    if (count == 0)
        return;
    if (scatter->nodes[row].rule == FLETCH_COPY_DENSE_UNION) {
        fletch_nested_blank_count(scatter, row + 1, count, counts);
    } else if (scatter->nodes[row].rule == FLETCH_COPY_RUNS) {
        counts->elements[row + 1]++;
        fletch_nested_blank_count(scatter, row + 2, 1, counts);
    } else if (stride != FLETCH_CHILD_WHOLE) {
        for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end)
            fletch_nested_blank_count(scatter, child, count * stride, counts);
    }
}

/* ---- appending ---- */

static void append_nulls(const struct fletch_frame_builder *frame, const struct fletch_field *field,
                         uint32_t row, struct fletch_element_range blanks)
{
    if (!fletch_type_has_validity(field->type.id))
        return;
    uint8_t *validity = fletch_builder_region(frame, field->first_span);
    if (frame->data[row] == 0)
        fletch_bit_run_fill(validity, 0, (size_t)blanks.first);
    frame->data[row] = 1;
    fletch_bit_run_clear(validity, (size_t)blanks.first, (size_t)blanks.count);
}

/* Zeros in span `span`, of `width` bytes an element. */
static void append_zeros(const struct fletch_frame_builder *frame, uint32_t span, size_t width,
                         struct fletch_element_range blanks)
{
    if (width != 0)
        memset(fletch_builder_region(frame, span) + (size_t)blanks.first * width, 0,
               (size_t)blanks.count * width);
}

/* Little-endian: the low bytes of a number are the number in a narrower type. */
static void put_number(uint8_t *numbers, size_t width, int64_t index, int64_t number)
{
    memcpy(numbers + (size_t)index * width, &number, width);
}

static void append_offsets(const struct fletch_frame_builder *frame,
                           const struct fletch_field *field, struct fletch_element_range blanks)
{
    size_t width = fletch_type_layout(&field->type)->spans[1] == FLETCH_SPAN_OFFSETS64 ? 8 : 4;
    int64_t end = fletch_builder_start(frame, field, blanks.first);
    for (int64_t i = 1; i <= blanks.count; i++)
        put_number(fletch_builder_region(frame, field->first_span + 1), width, blanks.first + i,
                   end);
}

static void append_below(const struct fletch_scatter *scatter,
                         const struct fletch_frame_builder *frame, uint32_t row, int64_t count)
{
    struct fletch_frame_tally *tally = &fletch_builder_tallies(frame)[row];
    fletch_nested_blank_append(scatter, frame, row,
                               (struct fletch_element_range){tally->elements, count});
    tally->elements += count;
}

static void append_type_ids(const struct fletch_frame_builder *frame,
                            const struct fletch_field *field, struct fletch_element_range blanks)
{
    memset(fletch_builder_region(frame, field->first_span) + blanks.first,
           (uint8_t)field->type.type_ids[0], (size_t)blanks.count);
}

/* Nulls of the first member. */
static void append_members(const struct fletch_scatter *scatter,
                           const struct fletch_frame_builder *frame, uint32_t row,
                           struct fletch_element_range blanks)
{
    const struct fletch_field *field = &scatter->source.schema->fields[row];
    int64_t start = fletch_builder_tallies(frame)[row + 1].elements;
    append_type_ids(frame, field, blanks);
    for (int64_t i = 0; i < blanks.count; i++)
        put_number(fletch_builder_region(frame, field->first_span + 1), 4, blanks.first + i,
                   start + i);
    append_below(scatter, frame, row + 1, blanks.count);
}

/* One run, that no other joins. */
static void append_run(const struct fletch_scatter *scatter,
                       const struct fletch_frame_builder *frame, uint32_t row,
                       struct fletch_element_range blanks)
{
    const struct fletch_field *ends = &scatter->source.schema->fields[row + 1];
    struct fletch_frame_tally *tally = &fletch_builder_tallies(frame)[row + 1];
    put_number(fletch_builder_region(frame, ends->first_span + 1),
               fletch_type_byte_width(&ends->type), tally->elements++, blanks.first + blanks.count);
    tally->batch_number = 0;
    append_below(scatter, frame, row + 2, 1);
}

static void append_children(const struct fletch_scatter *scatter,
                            const struct fletch_frame_builder *frame, uint32_t row,
                            struct fletch_element_range blanks)
{
    const struct fletch_field *fields = scatter->source.schema->fields;
    int64_t stride = fletch_type_child_stride(&fields[row].type);
    const struct fletch_element_range below = {blanks.first * stride, blanks.count * stride};
    for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end)
        fletch_nested_blank_append(scatter, frame, child, below);
}

void fletch_nested_blank_append(const struct fletch_scatter *scatter,
                                const struct fletch_frame_builder *frame, uint32_t row,
                                struct fletch_element_range blanks)
{
    const struct fletch_field *field = &scatter->source.schema->fields[row];
    size_t width = field->type.id == FLETCH_TYPE_LARGE_LIST_VIEW ? 8 : 4;
    if (blanks.count == 0)
        return;
    append_nulls(frame, field, row, blanks);
    switch (scatter->nodes[row].rule) {
    case FLETCH_COPY_BITS:
        fletch_bit_run_clear(fletch_builder_region(frame, field->first_span + 1),
                             (size_t)blanks.first, (size_t)blanks.count);
        break;
    case FLETCH_COPY_VALUES:
    case FLETCH_COPY_WIDE_VALUES:
        append_zeros(frame, field->first_span + 1, fletch_type_byte_width(&field->type), blanks);
        break;
    case FLETCH_COPY_VIEWS:
        append_zeros(frame, field->first_span + 1, sizeof(struct fletch_string_view), blanks);
        break;
    case FLETCH_COPY_STRINGS:
    case FLETCH_COPY_LIST:
        append_offsets(frame, field, blanks);
        break;
    case FLETCH_COPY_LIST_VIEW:
        append_zeros(frame, field->first_span + 1, width, blanks);
        append_zeros(frame, field->first_span + 2, width, blanks);
        break;
    case FLETCH_COPY_SPARSE_UNION:
        append_type_ids(frame, field, blanks);
        append_children(scatter, frame, row, blanks);
        break;
    case FLETCH_COPY_STRUCT:
    case FLETCH_COPY_FIXED_LIST:
        append_children(scatter, frame, row, blanks);
        break;
    case FLETCH_COPY_DENSE_UNION:
        append_members(scatter, frame, row, blanks);
        break;
    case FLETCH_COPY_RUNS:
        append_run(scatter, frame, row, blanks);
        break;
    default:
        break;
    }
}
