#include "arrow/validate_offsets.h"

#include <inttypes.h>

/* ---- offsets ---- */

/* Signs of all offsets but the first, and of all differences: negative, or below the one before.
 * No branch, so that the compiler takes several at once. */
static bool has_descent32(const int32_t *offsets, int64_t count)
{
    uint32_t signs = 0;
    for (int64_t i = 0; i < count; i++)
        signs |= (uint32_t)offsets[i + 1] | ((uint32_t)offsets[i + 1] - (uint32_t)offsets[i]);
    return signs >> 31 != 0;
}

static bool has_descent64(const int64_t *offsets, int64_t count)
{
    uint64_t signs = 0;
    for (int64_t i = 0; i < count; i++)
        signs |= (uint64_t)offsets[i + 1] | ((uint64_t)offsets[i + 1] - (uint64_t)offsets[i]);
    return signs >> 63 != 0;
}

static bool has_descent(const struct fletch_column *column)
{
    const void *offsets = column->spans[1].data;
    if (!fletch_column_is_wide(column))
        return has_descent32((const int32_t *)offsets + column->node->offset, column->node->length);
    return has_descent64((const int64_t *)offsets + column->node->offset, column->node->length);
}

/* Says where offsets that are known to be wrong first are. */
static enum fletch_status report_descent(const struct fletch_validated *validated, uint32_t row,
                                         const struct fletch_column *column)
{
    int64_t index = 0;
    while (index < column->node->length &&
           fletch_column_offset(column, index + 1) >= fletch_column_offset(column, index))
        index++;
    return fletch_validate_fail(
        validated, row,
        "element %" PRId64 " ends at %" PRId64 ", expected at least its begin, %" PRId64, index,
        fletch_column_offset(column, index + 1), fletch_column_offset(column, index));
}

static enum fletch_status check_offsets(const struct fletch_validated *validated, uint32_t row,
                                        const struct fletch_column *column)
{
    const bool is_list = fletch_type_is_list(column->field->type.id);
    if (fletch_column_offset(column, 0) < 0)
        return fletch_validate_fail(validated, row,
                                    "element 0 begins at %" PRId64 ", expected 0 or more",
                                    fletch_column_offset(column, 0));
    if (has_descent(column))
        return report_descent(validated, row, column);
    const uint64_t end = (uint64_t)fletch_column_offset(column, column->node->length);
    const uint64_t limit = is_list ? (uint64_t)validated->batch->nodes[row + 1].length
                                   : (uint64_t)column->spans[2].bytes;
    if (end > limit)
        return fletch_validate_fail(validated, row,
                                    "offsets end at %" PRIu64 ", expected at most %s %" PRIu64, end,
                                    is_list ? "the child's length" : "the data's bytes", limit);
    return FLETCH_OK;
}

/* ---- list views ---- */

static enum fletch_status check_list_views(const struct fletch_validated *validated, uint32_t row,
                                           const struct fletch_column *column)
{
    const int64_t limit = validated->batch->nodes[row + 1].length;
    for (int64_t i = 0; i < column->node->length; i++) {
        const struct fletch_element_range element = fletch_column_elements(column, i);
        if (element.first < 0 || element.count < 0 || element.first > limit ||
            element.count > limit - element.first)
            return fletch_validate_fail(validated, row,
                                        "element %" PRId64 " has %" PRId64 " from %" PRId64
                                        " on, expected some of the child's %" PRId64,
                                        i, element.count, element.first, limit);
    }
    return FLETCH_OK;
}

/* ---- unions ---- */

enum { TYPE_IDS = 256, UNKNOWN = -1 };

/* For each type id, as an unsigned number, how many elements the child has; UNKNOWN: no child. */
static void find_limits(const struct fletch_validated *validated, uint32_t row,
                        int64_t limits[TYPE_IDS])
{
    const struct fletch_field *field = &validated->schema->fields[row];
    uint32_t child = row + 1;
    for (int i = 0; i < TYPE_IDS; i++)
        limits[i] = UNKNOWN;
    for (uint32_t i = 0; i < field->child_count; i++) {
        limits[(uint8_t)field->type.type_ids[i]] = validated->batch->nodes[child].length;
        child = validated->schema->fields[child].end;
    }
}

static enum fletch_status check_union(const struct fletch_validated *validated, uint32_t row,
                                      const struct fletch_column *column)
{
    const uint8_t *type_ids = column->spans[0].data + column->node->offset;
    const bool is_dense = column->field->type.id == FLETCH_TYPE_DENSE_UNION;
    int64_t limits[TYPE_IDS];
    find_limits(validated, row, limits);
    for (int64_t i = 0; i < column->node->length; i++) {
        const int64_t limit = limits[type_ids[i]];
        if (limit == UNKNOWN)
            return fletch_validate_fail(validated, row,
                                        "element %" PRId64 " has type id %d, which no child has", i,
                                        (int8_t)type_ids[i]);
        const int64_t start = is_dense ? fletch_column_offset(column, i) : i;
        if (start < 0 || start >= limit)
            return fletch_validate_fail(validated, row,
                                        "element %" PRId64 " is at %" PRId64
                                        " of the child of type id %d, which has %" PRId64,
                                        i, start, (int8_t)type_ids[i], limit);
    }
    return FLETCH_OK;
}

/* ---- views ---- */

static enum fletch_status check_views(const struct fletch_validated *validated, uint32_t row,
                                      const struct fletch_column *column)
{
    for (int64_t i = 0; i < column->node->length; i++) {
        const struct fletch_string_view *view = fletch_column_view(column, i);
        if (view->bytes >= 0 && view->bytes <= FLETCH_VIEW_INLINE_BYTES)
            continue;
        const bool has_buffer = view->buffer >= 0 && (uint32_t)view->buffer < column->buffer_count;
        const size_t limit = has_buffer ? column->buffers[view->buffer].bytes : 0;
        const bool is_good = view->bytes >= 0 && has_buffer && view->offset >= 0 &&
                             (uint64_t)view->offset + (uint64_t)view->bytes <= limit;
        if (!is_good && fletch_column_is_valid(column, i))
            return fletch_validate_fail(
                validated, row,
                "element %" PRId64 " is a view of %" PRId32 " bytes at %" PRId32
                " of buffer %" PRId32 " of %" PRIu32 ", which has %zu bytes",
                i, view->bytes, view->offset, view->buffer, column->buffer_count, limit);
    }
    return FLETCH_OK;
}

/* ---- runs ---- */

static enum fletch_status check_run_ends(const struct fletch_validated *validated, uint32_t row,
                                         const struct fletch_column *column)
{
    const struct fletch_column run_ends = fletch_column_of(validated->batch, row + 1);
    const struct fletch_batch_node *node = run_ends.node;
    const int64_t end = column->node->offset + column->node->length;
    int64_t before = 0;
    if (run_ends.spans[0].data != NULL &&
        fletch_bitmap_count(run_ends.spans[0].data, node->offset, node->length) != node->length)
        return fletch_validate_fail(validated, row + 1, "nulls, expected none in run ends");
    for (int64_t run = 0; run < node->length; run++) {
        const int64_t run_end = fletch_column_run_end(&run_ends, run);
        if (run_end <= before)
            return fletch_validate_fail(validated, row + 1,
                                        "run %" PRId64 " ends at %" PRId64
                                        ", expected more than %" PRId64,
                                        run, run_end, before);
        before = run_end;
    }
    if (column->node->length > 0 && before < end)
        return fletch_validate_fail(validated, row,
                                    "the last run ends at %" PRId64 ", expected offset and length "
                                    "together, %" PRId64 ", at least",
                                    before, end);
    return FLETCH_OK;
}

enum fletch_status fletch_validate_offsets(const struct fletch_validated *validated, uint32_t row)
{
    const struct fletch_column column = fletch_column_of(validated->batch, row);
    const enum fletch_type_id id = column.field->type.id;
    /* Of an array without elements too: a slice of it is one that has none. */
    if (id == FLETCH_TYPE_RUN_END_ENCODED)
        return check_run_ends(validated, row, &column);
    if (column.node->length == 0)
        return FLETCH_OK;
    if (fletch_type_is_list(id) || fletch_type_is_variable(id))
        return check_offsets(validated, row, &column);
    if (fletch_type_is_list_view(id))
        return check_list_views(validated, row, &column);
    if (fletch_type_is_view(id))
        return check_views(validated, row, &column);
    return fletch_type_is_union(id) ? check_union(validated, row, &column) : FLETCH_OK;
}
