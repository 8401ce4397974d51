#include "arrow/validate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arrow/validate_values.h"

enum { DETAIL_BYTES = 200 };

enum fletch_status fletch_validate_fail(const struct fletch_validated *validated, uint32_t row,
                                        const char *format, ...)
{
    if (validated->error == NULL)
        return FLETCH_INVALID_ARGUMENT;
    char detail[DETAIL_BYTES];
    char type[FLETCH_FIELD_TEXT_BYTES];
    struct fletch_field_path path = fletch_field_path_of(validated->schema, row);
    if (validated->outside != NULL) {
        struct fletch_field_path inside = path;
        path = *validated->outside;
        if (inside.text[0] != '\0')
            fletch_field_path_add(&path, ".", 1);
        fletch_field_path_add(&path, inside.text, strlen(inside.text));
    }
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
    if (node->null_count < -1 || node->null_count > node->length)
        return fletch_validate_fail(validated, row,
                                    "null count %" PRId64 ", expected -1 to %" PRId64,
                                    node->null_count, node->length);
    return FLETCH_OK;
}

/* A column is as long as the batch, a struct's child as the struct. */
static enum fletch_status check_length(const struct fletch_validated *validated, uint32_t row)
{
    const struct fletch_field *field = &validated->schema->fields[row];
    const struct fletch_batch_node *node = &validated->batch->nodes[row];
    if (field->parent == FLETCH_NO_INDEX) {
        if (node->length != validated->batch->row_count)
            return fletch_validate_fail(validated, row,
                                        "length %" PRId64 ", expected the batch's %" PRId64 " rows",
                                        node->length, validated->batch->row_count);
        return FLETCH_OK;
    }
    const struct fletch_batch_node *parent = &validated->batch->nodes[field->parent];
    if (validated->schema->fields[field->parent].type.id != FLETCH_TYPE_STRUCT)
        return FLETCH_OK;
    if (node->length != parent->length)
        return fletch_validate_fail(validated, row,
                                    "length %" PRId64 ", expected the struct's %" PRId64,
                                    node->length, parent->length);
    if (node->offset < parent->offset)
        return fletch_validate_fail(validated, row,
                                    "offset %" PRId64 ", expected at least the struct's %" PRId64,
                                    node->offset, parent->offset);
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
    const bool is_typed = kind == FLETCH_SPAN_VALUES || kind == FLETCH_SPAN_OFFSETS32 ||
                          kind == FLETCH_SPAN_OFFSETS64;
    if (is_typed && (uintptr_t)span->data % layout->alignment != 0)
        return fletch_validate_fail(validated, row, "%s at an address that is no multiple of %u",
                                    span_names[kind], layout->alignment);
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
    return status;
}

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

static enum fletch_status check_offsets(const struct fletch_validated *validated, uint32_t row)
{
    const struct fletch_column column = fletch_column_of(validated->batch, row);
    const bool is_list = fletch_type_is_list(column.field->type.id);
    if ((!is_list && !fletch_type_is_variable(column.field->type.id)) || column.node->length == 0)
        return FLETCH_OK;
    if (fletch_column_offset(&column, 0) < 0)
        return fletch_validate_fail(validated, row,
                                    "element 0 begins at %" PRId64 ", expected 0 or more",
                                    fletch_column_offset(&column, 0));
    if (has_descent(&column))
        return report_descent(validated, row, &column);
    const uint64_t end = (uint64_t)fletch_column_offset(&column, column.node->length);
    const uint64_t limit = is_list ? (uint64_t)validated->batch->nodes[row + 1].length
                                   : (uint64_t)column.spans[2].bytes;
    if (end > limit)
        return fletch_validate_fail(validated, row,
                                    "offsets end at %" PRIu64 ", expected at most %s %" PRIu64, end,
                                    is_list ? "the child's length" : "the data's bytes", limit);
    return FLETCH_OK;
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
        {"spans", batch->span_count, schema->span_count},
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
    return FLETCH_OK;
}

static enum fletch_status check_levels(const struct fletch_validated *validated,
                                       enum fletch_validation level)
{
    enum fletch_status status = check_counts(validated);
    if (status == FLETCH_OK)
        status = check_rows(validated, check_structure);
    if (status == FLETCH_OK && level >= FLETCH_VALIDATION_OFFSETS)
        status = check_rows(validated, check_offsets);
    if (status == FLETCH_OK && level >= FLETCH_VALIDATION_OFFSETS)
        status = check_rows(validated, check_presence);
    return status;
}

/* A dictionary is a batch of one column of its own, of the schema that the field says. */
static enum fletch_status check_dictionary(const struct fletch_validated *validated, uint32_t index,
                                           enum fletch_validation level)
{
    const struct fletch_schema_dictionary *dictionary = &validated->schema->dictionaries[index];
    const struct fletch_batch *values = validated->batch->dictionaries[index];
    struct fletch_field_path path = fletch_field_path_of(validated->schema, dictionary->field);
    if (values == NULL)
        return FLETCH_OK;
    if (values->schema == NULL || fletch_schema_compare(dictionary->values, values->schema,
                                                        FLETCH_COMPARE_FIELDS, NULL) != FLETCH_OK)
        return fletch_validate_fail(validated, dictionary->field,
                                    "the dictionary's values are of another type");
    const struct fletch_validated inside = {values, values->schema, &path, validated->error};
    enum fletch_status status = check_levels(&inside, level);
    if (status == FLETCH_OK && level >= FLETCH_VALIDATION_FULL)
        status = check_rows(&inside, fletch_validate_values);
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
    enum fletch_status status = fletch_schema_check_simple(batch->schema, "by validation", error);
    if (status == FLETCH_OK)
        status = check_levels(&validated, level);
    /* Before the indices into them, which level 3 follows. */
    for (uint32_t i = 0; with_dictionaries && status == FLETCH_OK && i < batch->dictionary_count;
         i++)
        status = check_dictionary(&validated, i, level);
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
