#include "arrow/array_place.h"

#include <inttypes.h>
#include <string.h>

/* Which elements of the array are the batch's: of a child that is aligned, those of its parent's,
 * else all. */
static enum fletch_status place_node(const struct fletch_array_sets *sets,
                                     struct fletch_array_set *set, uint32_t row,
                                     int64_t root_offset)
{
    const struct fletch_field *field = &set->schema->fields[row];
    const struct ArrowArray *array = set->arrays[row];
    struct fletch_batch_node *node = &set->nodes[row];
    const int64_t stride = fletch_schema_stride_of(set->schema, row);
    int64_t skipped = 0;
    int64_t length = array->length;
    if (field->parent == FLETCH_NO_INDEX) {
        skipped = root_offset;
        length = set->row_count;
    } else if (stride != FLETCH_CHILD_WHOLE) {
        const struct fletch_batch_node *parent = &set->nodes[field->parent];
        if (stride > 0 && parent->offset + parent->length > FLETCH_ELEMENTS_MAX / stride)
            return fletch_array_fail(sets, set, row,
                                     "%" PRId64 " elements for each of %" PRId64
                                     ", more than memory can have",
                                     stride, parent->offset + parent->length);
        skipped = parent->offset * stride;
        length = parent->length * stride;
    }
    if (length > 0 &&
        (skipped > FLETCH_ELEMENTS_MAX - array->offset || array->length < skipped + length))
        return fletch_array_fail(sets, set, row,
                                 "length %" PRId64 ", expected at least its parent's %" PRId64
                                 " + %" PRId64,
                                 array->length, skipped, length);
    *node = (struct fletch_batch_node){.length = length, .null_count = array->null_count};
    if (length > 0)
        node->offset = array->offset + skipped;
    if (!fletch_type_has_validity(field->type.id))
        node->null_count = field->type.id == FLETCH_TYPE_NULL ? length : 0;
    else if (length < array->length && array->null_count != 0)
        node->null_count = -1;
    return FLETCH_OK;
}

/* The bytes in the spans of strings end where the last element does. */
static enum fletch_status last_offset(const struct fletch_array_sets *sets,
                                      const struct fletch_array_set *set, uint32_t row,
                                      int64_t *out_offset)
{
    const struct fletch_batch_node *node = &set->nodes[row];
    const struct fletch_batch_span *offsets = &set->spans[set->schema->fields[row].first_span + 1];
    int32_t narrow;
    if (node->length == 0) {
        *out_offset = 0;
        return FLETCH_OK;
    }
    if (fletch_type_layout(&set->schema->fields[row].type)->spans[1] == FLETCH_SPAN_OFFSETS64) {
        memcpy(out_offset, offsets->data + offsets->bytes - sizeof(int64_t), sizeof(int64_t));
    } else {
        memcpy(&narrow, offsets->data + offsets->bytes - sizeof narrow, sizeof narrow);
        *out_offset = narrow;
    }
    if (*out_offset < 0 || *out_offset > FLETCH_ELEMENTS_MAX)
        return fletch_array_fail(sets, set, row, "offsets end at %" PRId64 ", expected 0 or more",
                                 *out_offset);
    return FLETCH_OK;
}

static enum fletch_status place_validity(const struct fletch_array_sets *sets,
                                         struct fletch_array_set *set, uint32_t row)
{
    struct fletch_batch_node *node = &set->nodes[row];
    struct fletch_batch_span *span = &set->spans[set->schema->fields[row].first_span];
    const uint8_t *bits = set->arrays[row]->buffers[0];
    if (bits == NULL && node->null_count > 0)
        return fletch_array_fail(sets, set, row, "nulls and no validity to tell them by");
    if (bits == NULL || node->length == 0)
        node->null_count = 0;
    /* A validity that is said to have no nulls is let go, so that validation cannot see it. */
    if (bits != NULL && node->length > 0 && node->null_count == 0 &&
        sets->options->validation >= FLETCH_VALIDATION_FULL) {
        const int64_t nulls = node->length - fletch_bitmap_count(bits, node->offset, node->length);
        if (nulls != 0)
            return fletch_array_fail(sets, set, row, "null count 0, its validity has %" PRId64,
                                     nulls);
    }
    *span = (struct fletch_batch_span){NULL, 0};
    if (node->null_count != 0)
        *span = (struct fletch_batch_span){bits, (size_t)(node->offset + node->length + 7) / 8};
    return FLETCH_OK;
}

/* The validity that unions once had, and that nobody has a use for. */
static enum fletch_status check_union_validity(const struct fletch_array_sets *sets,
                                               const struct fletch_array_set *set, uint32_t row)
{
    const struct ArrowArray *array = set->arrays[row];
    const struct fletch_batch_node *node = &set->nodes[row];
    if (fletch_array_buffers_before(&set->schema->fields[row], array) == 0 ||
        array->buffers[0] == NULL)
        return FLETCH_OK;
    const int64_t nulls =
        node->length - fletch_bitmap_count(array->buffers[0], node->offset, node->length);
    return nulls == 0 ? FLETCH_OK
                      : fletch_array_fail(sets, set, row,
                                          "a validity with %" PRId64
                                          " nulls, expected them in the children",
                                          nulls);
}

/* As validation at level 1 wants it. */
static enum fletch_status check_runs(const struct fletch_array_sets *sets,
                                     const struct fletch_array_set *set, uint32_t row)
{
    const struct ArrowArray *run_ends = set->arrays[row + 1];
    const struct ArrowArray *values = set->arrays[fletch_schema_child(set->schema, row, 1)];
    if (run_ends->null_count > 0)
        return fletch_array_fail(sets, set, row + 1,
                                 "null count %" PRId64 ", expected no nulls in run ends",
                                 run_ends->null_count);
    if (values->length < run_ends->length || (set->nodes[row].length > 0 && run_ends->length == 0))
        return fletch_array_fail(
            sets, set, row, "%" PRId64 " run ends and %" PRId64 " values for %" PRId64 " elements",
            run_ends->length, values->length, set->nodes[row].length);
    return FLETCH_OK;
}

/* The data buffers of a view, whose sizes its last buffer tells. */
static enum fletch_status place_data(struct fletch_array_sets *sets, struct fletch_array_set *set,
                                     uint32_t row, uint32_t *next_span)
{
    const struct fletch_field *field = &set->schema->fields[row];
    const struct ArrowArray *array = set->arrays[row];
    const void *const *data = array->buffers + field->span_count;
    const int64_t count = array->n_buffers - field->span_count - 1;
    const uint8_t *sizes = data[count];
    set->view_spans[field->view] = *next_span;
    if (count > 0 && sizes == NULL)
        return fletch_array_fail(sets, set, row, "no sizes of its %" PRId64 " data buffers", count);
    for (int64_t i = 0; i < count; i++) {
        int64_t bytes;
        memcpy(&bytes, sizes + (size_t)i * sizeof bytes, sizeof bytes);
        if (bytes < 0 || (bytes > 0 && data[i] == NULL) ||
            (uint64_t)bytes > INT64_MAX - sets->bytes)
            return fletch_array_fail(sets, set, row,
                                     "data buffer %" PRId64 "%s has %" PRId64 " bytes", i,
                                     data[i] == NULL ? ", NULL," : "", bytes);
        set->spans[(*next_span)++] =
            (struct fletch_batch_span){bytes == 0 ? NULL : data[i], (size_t)bytes};
        sets->bytes += (uint64_t)bytes;
    }
    return FLETCH_OK;
}

static enum fletch_status place_span(const struct fletch_array_sets *sets,
                                     struct fletch_array_set *set, uint32_t row, uint32_t index)
{
    const struct fletch_field *field = &set->schema->fields[row];
    const struct fletch_batch_node *node = &set->nodes[row];
    const enum fletch_span_kind kind =
        (enum fletch_span_kind)fletch_type_layout(&field->type)->spans[index];
    struct fletch_batch_span *span = &set->spans[field->first_span + index];
    uint64_t bytes = 0;
    if (kind == FLETCH_SPAN_BYTES) {
        int64_t end;
        enum fletch_status status = last_offset(sets, set, row, &end);
        if (status != FLETCH_OK)
            return status;
        bytes = (uint64_t)end;
    } else if (node->length > 0) {
        bytes = fletch_span_bytes(&field->type, kind, (uint64_t)(node->offset + node->length));
        if (bytes > INT64_MAX)
            return fletch_array_fail(sets, set, row, "more bytes than memory has addresses");
    }
    *span = (struct fletch_batch_span){NULL, 0};
    if (bytes == 0)
        return FLETCH_OK;
    index += fletch_array_buffers_before(field, set->arrays[row]);
    *span = (struct fletch_batch_span){set->arrays[row]->buffers[index], (size_t)bytes};
    if (span->data == NULL)
        return fletch_array_fail(
            sets, set, row, "buffer %" PRIu32 " is NULL, expected %" PRIu64 " bytes", index, bytes);
    return FLETCH_OK;
}

/* Copies a buffer of values or offsets that does not lie as kernels want it. */
static enum fletch_status align_span(struct fletch_array_sets *sets, struct fletch_array_set *set,
                                     uint32_t row, uint32_t index)
{
    const struct fletch_field *field = &set->schema->fields[row];
    struct fletch_batch_span *span = &set->spans[field->first_span + index];
    if (span->bytes > INT64_MAX - sets->bytes)
        return fletch_array_fail(sets, set, row, "more bytes than memory has addresses");
    if ((uintptr_t)span->data % fletch_type_span_alignment(&field->type, index) == 0) {
        sets->bytes += span->bytes;
        return FLETCH_OK;
    }
    struct fletch_buffer *copy;
    enum fletch_status status = fletch_buffer_allocate(sets->options->cache, span->bytes,
                                                       sets->options->account, &copy, sets->error);
    if (status != FLETCH_OK)
        return status;
    memcpy(fletch_buffer_mutable_data(copy), span->data, span->bytes);
    span->data = fletch_buffer_data(copy);
    set->owners[set->owner_count++] = copy;
    return FLETCH_OK;
}

/* Nodes and spans of one row; `*next_span` is where data buffers go. */
static enum fletch_status place_row(struct fletch_array_sets *sets, struct fletch_array_set *set,
                                    uint32_t row, uint32_t *next_span)
{
    const struct fletch_field *field = &set->schema->fields[row];
    const enum fletch_type_id id = field->type.id;
    const uint32_t first = fletch_type_has_validity(id) ? 1 : 0;
    enum fletch_status status = FLETCH_OK;
    if (first == 1)
        status = place_validity(sets, set, row);
    if (fletch_type_is_union(id))
        status = check_union_validity(sets, set, row);
    if (id == FLETCH_TYPE_RUN_END_ENCODED)
        status = check_runs(sets, set, row);
    for (uint32_t i = first; status == FLETCH_OK && i < field->span_count; i++)
        status = place_span(sets, set, row, i);
    for (uint32_t i = 0; status == FLETCH_OK && i < field->span_count; i++)
        status = align_span(sets, set, row, i);
    if (status == FLETCH_OK && fletch_type_is_view(id))
        status = place_data(sets, set, row, next_span);
    return status;
}

static enum fletch_status place_set(struct fletch_array_sets *sets, struct fletch_array_set *set,
                                    int64_t root_offset)
{
    enum fletch_status status = FLETCH_OK;
    uint32_t next_span = set->schema->span_count;
    for (uint32_t row = 0; status == FLETCH_OK && row < set->schema->field_count; row++) {
        status = place_node(sets, set, row, root_offset);
        if (status == FLETCH_OK)
            status = place_row(sets, set, row, &next_span);
    }
    set->view_spans[set->schema->view_count] = next_span;
    return status;
}

enum fletch_status fletch_array_sets_place(struct fletch_array_sets *sets, int64_t root_offset)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; status == FLETCH_OK && i < sets->set_count; i++)
        status = place_set(sets, &sets->sets[i], i == 0 ? root_offset : 0);
    return status;
}
