#include "arrow/validate_extent.h"

#include <inttypes.h>

#include "arrow/validate_values.h"

/* What a column has left to stand for. */
struct extent {
    uint64_t elements;
    uint64_t steps;
};

/* Some elements of a row of a batch, each of which is there `times` times. */
struct shared_range {
    const struct fletch_batch *batch;
    uint32_t row;
    struct fletch_element_range elements;
    uint64_t times;
};

static bool count_in(struct extent *extent, const struct shared_range *range);

/* Whether nothing lies below a row that could be shared: its elements are what there is. */
static bool is_leaf(const struct fletch_schema *schema, uint32_t row)
{
    const struct fletch_field *field = &schema->fields[row];
    if (field->dictionary != FLETCH_NO_INDEX)
        return is_leaf(schema->dictionaries[field->dictionary].values, 0);
    return field->child_count == 0;
}

static bool count_below(struct extent *extent, const struct shared_range *above, uint32_t row,
                        struct fletch_element_range elements)
{
    const struct shared_range below = {above->batch, row, elements, above->times};
    return count_in(extent, &below);
}

static bool step(struct extent *extent)
{
    return extent->steps > 0 && extent->steps-- > 0;
}

/* ---- what elements share ---- */

static bool count_list_views(struct extent *extent, const struct shared_range *range)
{
    const struct fletch_column column = fletch_column_of(range->batch, range->row);
    const int64_t end = range->elements.first + range->elements.count;
    for (int64_t i = range->elements.first; i < end; i++)
        if (fletch_column_is_valid(&column, i) &&
            (!step(extent) ||
             !count_below(extent, range, range->row + 1, fletch_column_elements(&column, i))))
            return false;
    return true;
}

static bool count_members(struct extent *extent, const struct shared_range *range)
{
    const struct fletch_column column = fletch_column_of(range->batch, range->row);
    const int64_t end = range->elements.first + range->elements.count;
    for (int64_t i = range->elements.first; i < end; i++) {
        const uint32_t child = fletch_schema_child(range->batch->schema, range->row,
                                                   (uint32_t)fletch_column_member(&column, i));
        const struct fletch_element_range one = {fletch_column_member_index(&column, i), 1};
        if (!is_leaf(range->batch->schema, child) &&
            (!step(extent) || !count_below(extent, range, child, one)))
            return false;
    }
    return true;
}

static bool count_runs(struct extent *extent, const struct shared_range *range)
{
    const uint32_t values = fletch_schema_child(range->batch->schema, range->row, 1);
    const struct fletch_column run_ends = fletch_column_of(range->batch, range->row + 1);
    const int64_t offset = range->batch->nodes[range->row].offset;
    int64_t at = offset + range->elements.first;
    const int64_t end = at + range->elements.count;
    if (is_leaf(range->batch->schema, values))
        return true;
    for (int64_t run = fletch_column_find_run(&run_ends, at); at < end; run++) {
        const int64_t run_end = fletch_column_run_end(&run_ends, run);
        const int64_t next = run_end < end ? run_end : end;
        struct shared_range value = {range->batch, values, {run, 1}, range->times};
        if (!step(extent) ||
            __builtin_mul_overflow(value.times, (uint64_t)(next - at), &value.times) ||
            !count_in(extent, &value))
            return false;
        at = next;
    }
    return true;
}

/* Indices that point to no value are level 3's. */
static bool count_values(struct extent *extent, const struct shared_range *range)
{
    const struct fletch_column column = fletch_column_of(range->batch, range->row);
    const struct fletch_batch *values = range->batch->dictionaries[column.field->dictionary];
    const int64_t end = range->elements.first + range->elements.count;
    if (values == NULL || is_leaf(values->schema, 0))
        return true;
    for (int64_t i = range->elements.first; i < end; i++) {
        const int64_t index = fletch_validate_index(&column, i);
        const struct shared_range value = {values, 0, {index, 1}, range->times};
        if (index < 0 || index >= values->row_count || !fletch_column_is_valid(&column, i))
            continue;
        if (!step(extent) || !count_in(extent, &value))
            return false;
    }
    return true;
}

/* ---- all ---- */

/* Children whose elements nobody shares: those of a range follow each other. */
static bool count_children(struct extent *extent, const struct shared_range *range)
{
    const struct fletch_field *fields = range->batch->schema->fields;
    const struct fletch_field *field = &fields[range->row];
    for (uint32_t child = range->row + 1, i = 0; child < field->end; child = fields[child].end, i++)
        if (!count_below(extent, range, child,
                         fletch_column_range_below(range->batch, range->row, i, range->elements)))
            return false;
    return true;
}

/* Recurses as deep as the schema is, dictionaries counted. */
static bool count_in(struct extent *extent, const struct shared_range *range)
{
    const struct fletch_field *field = &range->batch->schema->fields[range->row];
    const uint64_t count = (uint64_t)range->elements.count;
    if (count == 0)
        return true;
    if (count > extent->elements / range->times)
        return false;
    extent->elements -= count * range->times;
    if (field->dictionary != FLETCH_NO_INDEX)
        return count_values(extent, range);
    if (fletch_type_is_list_view(field->type.id))
        return count_list_views(extent, range);
    if (field->type.id == FLETCH_TYPE_DENSE_UNION)
        return count_members(extent, range);
    if (field->type.id == FLETCH_TYPE_RUN_END_ENCODED)
        return count_runs(extent, range);
    return count_children(extent, range);
}

/* As many elements as the batch's memory can have with a bit for each. */
static uint64_t bits_of(const struct fletch_batch *batch)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < batch->span_count; i++)
        if (__builtin_add_overflow(bits, 8 * (uint64_t)batch->spans[i].bytes, &bits))
            return UINT64_MAX;
    return bits;
}

enum fletch_status fletch_validate_extent(const struct fletch_validated *validated)
{
    const struct fletch_batch *batch = validated->batch;
    const struct fletch_schema *schema = validated->schema;
    const uint64_t bits = bits_of(batch);
    const uint64_t rows = (uint64_t)batch->row_count;
    if (schema->column_count == 0 && rows > FLETCH_EXTENT_ELEMENTS_MAX)
        return fletch_error_set(validated->error, FLETCH_INVALID_ARGUMENT,
                                "batch of %" PRIu64 " rows without columns, expected at most "
                                "%" PRIu64,
                                rows, FLETCH_EXTENT_ELEMENTS_MAX);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const uint32_t row = schema->columns[i];
        const struct shared_range all = {batch, row, {0, batch->nodes[row].length}, 1};
        struct extent left = {FLETCH_EXTENT_ELEMENTS_MAX, FLETCH_EXTENT_STEPS_MAX};
        left.elements = bits > left.elements ? bits : left.elements;
        left.steps = bits > left.steps ? bits : left.steps;
        const struct extent most = left;
        if (count_in(&left, &all))
            continue;
        if (left.steps == 0)
            return fletch_validate_fail(validated, row,
                                        "what is nested is shared in more than %" PRIu64 " places",
                                        most.steps);
        return fletch_validate_fail(validated, row, "stands for more elements than %" PRIu64,
                                    most.elements);
    }
    return FLETCH_OK;
}
