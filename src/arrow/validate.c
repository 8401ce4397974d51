#include "arrow/validate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arrow/validate_extent.h"
#include "arrow/validate_offsets.h"
#include "arrow/validate_values.h"

enum { DETAIL_BYTES = 200 };

/* The path of a row, from outside all dictionaries that it lies in. */
static struct fletch_field_path path_of(const struct fletch_validated *validated, uint32_t row)
{
    struct fletch_field_path inside = fletch_field_path_of(validated->schema, row);
    if (validated->outside == NULL)
        return inside;
    struct fletch_field_path path = *validated->outside;
    if (inside.text[0] != '\0')
        fletch_field_path_add(&path, ".", 1);
    fletch_field_path_add(&path, inside.text, strlen(inside.text));
    return path;
}

enum fletch_status fletch_validate_fail(const struct fletch_validated *validated, uint32_t row,
                                        const char *format, ...)
{
    if (validated->error == NULL)
        return FLETCH_INVALID_ARGUMENT;
    char detail[DETAIL_BYTES];
    char type[FLETCH_FIELD_TEXT_BYTES];
    const struct fletch_field_path path = path_of(validated, row);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    fletch_field_describe(validated->schema, &validated->schema->fields[row], type, sizeof type);
    return fletch_error_set(validated->error, FLETCH_INVALID_ARGUMENT, "%sfield '%s' (%s): %s",
                            validated->outside == NULL ? "" : "dictionary of ", path.text, type,
                            detail);
}

/* The names of spans in messages. */
static const char *const span_names[] = {
    [FLETCH_SPAN_VALIDITY] = "validity", [FLETCH_SPAN_BITS] = "values",
    [FLETCH_SPAN_VALUES] = "values",     [FLETCH_SPAN_OFFSETS32] = "offsets",
    [FLETCH_SPAN_OFFSETS64] = "offsets", [FLETCH_SPAN_BYTES] = "data",
    [FLETCH_SPAN_VIEWS] = "views",       [FLETCH_SPAN_STARTS32] = "offsets",
    [FLETCH_SPAN_STARTS64] = "offsets",  [FLETCH_SPAN_SIZES32] = "sizes",
    [FLETCH_SPAN_SIZES64] = "sizes",     [FLETCH_SPAN_TYPE_IDS] = "type ids",
};

static enum fletch_status check_node(const struct fletch_validated *validated, uint32_t row)
{
    const struct fletch_batch_node *node = &validated->batch->nodes[row];
    if (node->length < 0 || node->length > FLETCH_ELEMENTS_MAX)
        return fletch_validate_fail(validated, row, "length %" PRId64 ", expected 0 to %" PRId64,
                                    node->length, FLETCH_ELEMENTS_MAX);
    if (node->offset < 0 || node->offset > FLETCH_ELEMENTS_MAX)
        return fletch_validate_fail(validated, row, "offset %" PRId64 ", expected 0 to %" PRId64,
                                    node->offset, FLETCH_ELEMENTS_MAX);
    const enum fletch_type_id id = validated->schema->fields[row].type.id;
    if (node->null_count != 0 && (fletch_type_is_union(id) || id == FLETCH_TYPE_RUN_END_ENCODED))
        return fletch_validate_fail(validated, row,
                                    "null count %" PRId64 ", expected 0: its children have nulls",
                                    node->null_count);
    if (node->null_count < -1 || node->null_count > node->length)
        return fletch_validate_fail(validated, row,
                                    "null count %" PRId64 ", expected -1 to %" PRId64,
                                    node->null_count, node->length);
    return FLETCH_OK;
}

/* A child that is aligned with its parent is as long as that, times the stride, and does not begin
 * before it. */
static enum fletch_status check_aligned(const struct fletch_validated *validated, uint32_t row,
                                        int64_t stride)
{
    const uint32_t parent_row = validated->schema->fields[row].parent;
    const struct fletch_batch_node *node = &validated->batch->nodes[row];
    const struct fletch_batch_node *parent = &validated->batch->nodes[parent_row];
    const struct fletch_field *parent_field = &validated->schema->fields[parent_row];
    if (stride > 0 && (parent->length > FLETCH_ELEMENTS_MAX / stride ||
                       parent->offset > FLETCH_ELEMENTS_MAX / stride))
        return fletch_validate_fail(validated, parent_row,
                                    "length %" PRId64 " at offset %" PRId64
                                    ", expected no more than %" PRId64 " elements in all",
                                    parent->length, parent->offset, FLETCH_ELEMENTS_MAX);
    if (node->length != parent->length * stride)
        return fletch_validate_fail(
            validated, row, "length %" PRId64 ", expected the %s's %" PRId64 " times %" PRId64,
            node->length, fletch_type_layout(&parent_field->type)->name, parent->length, stride);
    if (node->offset < parent->offset * stride)
        return fletch_validate_fail(
            validated, row,
            "offset %" PRId64 ", expected at least the %s's %" PRId64 " times %" PRId64,
            node->offset, fletch_type_layout(&parent_field->type)->name, parent->offset, stride);
    return FLETCH_OK;
}

/* A column is as long as the batch. */
static enum fletch_status check_length(const struct fletch_validated *validated, uint32_t row)
{
    const struct fletch_field *parent = fletch_schema_parent_of(validated->schema, row);
    const struct fletch_batch_node *node = &validated->batch->nodes[row];
    if (parent != NULL && fletch_type_child_stride(&parent->type) != FLETCH_CHILD_WHOLE)
        return check_aligned(validated, row, fletch_type_child_stride(&parent->type));
    if (parent == NULL && node->length != validated->batch->row_count)
        return fletch_validate_fail(validated, row,
                                    "length %" PRId64 ", expected the batch's %" PRId64 " rows",
                                    node->length, validated->batch->row_count);
    return FLETCH_OK;
}

/* As many values as run ends, and some if there are elements. */
static enum fletch_status check_runs(const struct fletch_validated *validated, uint32_t row)
{
    const uint32_t values_row = fletch_schema_child(validated->schema, row, 1);
    const struct fletch_batch_node *node = &validated->batch->nodes[row];
    const struct fletch_batch_node *run_ends = &validated->batch->nodes[row + 1];
    const struct fletch_batch_node *values = &validated->batch->nodes[values_row];
    if (run_ends->null_count > 0)
        return fletch_validate_fail(validated, row + 1,
                                    "null count %" PRId64 ", expected no nulls in run ends",
                                    run_ends->null_count);
    if (values->length < run_ends->length || (node->length > 0 && run_ends->length == 0))
        return fletch_validate_fail(
            validated, row, "%" PRId64 " run ends and %" PRId64 " values for %" PRId64 " elements",
            run_ends->length, values->length, node->length);
    return FLETCH_OK;
}

static enum fletch_status check_span(const struct fletch_validated *validated, uint32_t row,
                                     uint32_t index)
{
    const struct fletch_column column = fletch_column_of(validated->batch, row);
    const struct fletch_batch_span *span = &column.spans[index];
    const struct fletch_type_layout *layout = fletch_type_layout(&column.field->type);
    const enum fletch_span_kind kind = (enum fletch_span_kind)layout->spans[index];
    const uint64_t end = (uint64_t)column.node->offset + (uint64_t)column.node->length;
    const uint64_t needed = fletch_span_bytes(&column.field->type, kind, end);
    const bool may_be_absent =
        kind == FLETCH_SPAN_VALIDITY ? column.node->null_count <= 0 : column.node->length == 0;
    if (span->data == NULL && span->bytes > 0)
        return fletch_validate_fail(validated, row, "%s of %zu bytes at no address",
                                    span_names[kind], span->bytes);
    if (may_be_absent && span->data == NULL)
        return FLETCH_OK;
    /* Nothing of an empty array is read, whatever its offset. */
    if (column.node->length > 0 && span->bytes < needed)
        return fletch_validate_fail(validated, row, "%s of %zu bytes, expected at least %" PRIu64,
                                    span_names[kind], span->bytes, needed);
    const size_t alignment = fletch_type_span_alignment(&column.field->type, index);
    if ((uintptr_t)span->data % alignment != 0)
        return fletch_validate_fail(validated, row, "%s at an address that is no multiple of %zu",
                                    span_names[kind], alignment);
    return FLETCH_OK;
}

static enum fletch_status check_buffers(const struct fletch_validated *validated, uint32_t row)
{
    const struct fletch_column column = fletch_column_of(validated->batch, row);
    for (uint32_t i = 0; i < column.buffer_count; i++)
        if (column.buffers[i].data == NULL && column.buffers[i].bytes > 0)
            return fletch_validate_fail(validated, row,
                                        "data buffer %" PRIu32 " of %zu bytes at no address", i,
                                        column.buffers[i].bytes);
    return FLETCH_OK;
}

/* Level 1 for one row. */
static enum fletch_status check_structure(const struct fletch_validated *validated, uint32_t row)
{
    enum fletch_status status = check_node(validated, row);
    if (status == FLETCH_OK)
        status = check_length(validated, row);
    for (uint32_t i = 0; status == FLETCH_OK && i < validated->schema->fields[row].span_count; i++)
        status = check_span(validated, row, i);
    if (status == FLETCH_OK)
        status = check_buffers(validated, row);
    if (status == FLETCH_OK &&
        validated->schema->fields[row].type.id == FLETCH_TYPE_RUN_END_ENCODED)
        status = check_runs(validated, row);
    return status;
}

/* An encoded array without a dictionary has nothing to say but null. */
static enum fletch_status check_presence(const struct fletch_validated *validated, uint32_t row)
{
    const struct fletch_column column = fletch_column_of(validated->batch, row);
    if (column.field->dictionary == FLETCH_NO_INDEX ||
        validated->batch->dictionaries[column.field->dictionary] != NULL)
        return FLETCH_OK;
    int64_t nulls = 0;
    if (column.spans[0].data != NULL)
        nulls = column.node->length -
                fletch_bitmap_count(column.spans[0].data, column.node->offset, column.node->length);
    if (nulls == column.node->length)
        return FLETCH_OK;
    return fletch_validate_fail(validated, row,
                                "no dictionary, expected one for %" PRId64 " values",
                                column.node->length - nulls);
}

static enum fletch_status check_rows(const struct fletch_validated *validated,
                                     enum fletch_status (*check)(const struct fletch_validated *,
                                                                 uint32_t))
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t row = 0; status == FLETCH_OK && row < validated->schema->field_count; row++)
        status = check(validated, row);
    return status;
}

/* Whether the batch has as many of each part as its schema wants. */
static enum fletch_status check_counts(const struct fletch_validated *validated)
{
    const struct fletch_batch *batch = validated->batch;
    const struct fletch_schema *schema = validated->schema;
    const struct {
        const char *name;
        uint32_t found;
        uint32_t expected;
    } counts[] = {
        {"nodes", batch->node_count, schema->field_count},
        {"spans", batch->view_count == 0 ? batch->span_count : batch->view_spans[0],
         schema->span_count},
        {"views", batch->view_count, schema->view_count},
        {"dictionaries", batch->dictionary_count, schema->dictionary_count},
    };
    if (batch->row_count < 0)
        return fletch_error_set(validated->error, FLETCH_INVALID_ARGUMENT,
                                "batch of %" PRId64 " rows, expected 0 or more", batch->row_count);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (counts[i].found != counts[i].expected)
            return fletch_error_set(validated->error, FLETCH_INVALID_ARGUMENT,
                                    "batch of %" PRIu32 " %s, its schema wants %" PRIu32,
                                    counts[i].found, counts[i].name, counts[i].expected);
    for (uint32_t i = 0; i < batch->view_count; i++)
        if (batch->view_spans[i + 1] < batch->view_spans[i] ||
            batch->view_spans[i + 1] > batch->span_count)
            return fletch_error_set(
                validated->error, FLETCH_INVALID_ARGUMENT,
                "batch of %" PRIu32 " spans, those of view %" PRIu32 " are %" PRIu32 " to %" PRIu32,
                batch->span_count, i, batch->view_spans[i], batch->view_spans[i + 1]);
    return FLETCH_OK;
}

static enum fletch_status check_levels(const struct fletch_validated *validated,
                                       enum fletch_validation level)
{
    enum fletch_status status = check_counts(validated);
    if (status == FLETCH_OK)
        status = check_rows(validated, check_structure);
    if (status == FLETCH_OK && level >= FLETCH_VALIDATION_OFFSETS)
        status = check_rows(validated, fletch_validate_offsets);
    if (status == FLETCH_OK && level >= FLETCH_VALIDATION_OFFSETS)
        status = check_rows(validated, check_presence);
    return status;
}

static enum fletch_status check_dictionaries(const struct fletch_validated *validated,
                                             enum fletch_validation level);

/* A dictionary is a batch of one column of its own, of the schema that the field says. */
static enum fletch_status check_dictionary(const struct fletch_validated *validated, uint32_t index,
                                           enum fletch_validation level)
{
    const struct fletch_schema_dictionary *dictionary = &validated->schema->dictionaries[index];
    const struct fletch_batch *values = validated->batch->dictionaries[index];
    const struct fletch_field_path path = path_of(validated, dictionary->field);
    if (values == NULL)
        return FLETCH_OK;
    if (values->schema == NULL || fletch_schema_compare(dictionary->values, values->schema,
                                                        FLETCH_COMPARE_FIELDS, NULL) != FLETCH_OK)
        return fletch_validate_fail(validated, dictionary->field,
                                    "the dictionary's values are of another type");
    const struct fletch_validated inside = {values, values->schema, &path, validated->error};
    enum fletch_status status = check_levels(&inside, level);
    if (status == FLETCH_OK)
        status = check_dictionaries(&inside, level);
    if (status == FLETCH_OK && level >= FLETCH_VALIDATION_FULL)
        status = check_rows(&inside, fletch_validate_values);
    return status;
}

/* Recurses as deep as dictionaries lie in each other. */
static enum fletch_status check_dictionaries(const struct fletch_validated *validated,
                                             enum fletch_validation level)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; status == FLETCH_OK && i < validated->batch->dictionary_count; i++)
        status = check_dictionary(validated, i, level);
    return status;
}

static enum fletch_status validate(const struct fletch_batch *batch, enum fletch_validation level,
                                   bool with_dictionaries, struct fletch_error *error)
{
    const struct fletch_validated validated = {batch, batch->schema, NULL, error};
    if (level == FLETCH_VALIDATION_DEFAULT)
        level = FLETCH_VALIDATION_FULL;
    if (batch->schema == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "batch without a schema");
    enum fletch_status status = check_levels(&validated, level);
    /* Before the indices into them, which level 3 follows. */
    if (status == FLETCH_OK && with_dictionaries)
        status = check_dictionaries(&validated, level);
    if (status == FLETCH_OK && level >= FLETCH_VALIDATION_OFFSETS)
        status = fletch_validate_extent(&validated);
    if (status == FLETCH_OK && level >= FLETCH_VALIDATION_FULL)
        status = check_rows(&validated, fletch_validate_values);
    return status;
}

enum fletch_status fletch_batch_validate(const struct fletch_batch *batch,
                                         enum fletch_validation level, struct fletch_error *error)
{
    return validate(batch, level, true, error);
}

enum fletch_status fletch_batch_validate_columns(const struct fletch_batch *batch,
                                                 enum fletch_validation level,
                                                 struct fletch_error *error)
{
    return validate(batch, level, false, error);
}
