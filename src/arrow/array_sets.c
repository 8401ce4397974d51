#include "arrow/array_sets.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"

enum { DETAIL_BYTES = 160 };

/* The path of the encoded field that a set belongs to, from outside all dictionaries. */
static struct fletch_field_path outside_path(const struct fletch_array_set *set)
{
    struct fletch_field_path path = {.text = ""};
    const struct fletch_array_set *way[FLETCH_SCHEMA_DEPTH_MAX];
    uint32_t count = 0;
    for (; set->outside != NULL; set = set->outside)
        way[count++] = set;
    while (count-- > 0) {
        const struct fletch_field_path inside =
            fletch_field_path_of(way[count]->outside->schema, way[count]->outside_row);
        if (path.text[0] != '\0' && inside.text[0] != '\0')
            fletch_field_path_add(&path, ".", 1);
        fletch_field_path_add(&path, inside.text, strlen(inside.text));
    }
    return path;
}

enum fletch_status fletch_array_fail(const struct fletch_array_sets *sets,
                                     const struct fletch_array_set *set, uint32_t row,
                                     const char *format, ...)
{
    char detail[DETAIL_BYTES];
    char type[FLETCH_FIELD_TEXT_BYTES];
    struct fletch_field_path path = fletch_field_path_of(set->schema, row);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    fletch_field_describe(set->schema, &set->schema->fields[row], type, sizeof type);
    return fletch_error_set(sets->error, FLETCH_INVALID_ARGUMENT, "%s%s%sfield '%s' (%s): %s",
                            set->outside == NULL ? "" : "dictionary of field '",
                            set->outside == NULL ? "" : outside_path(set).text,
                            set->outside == NULL ? "" : "', ", path.text, type, detail);
}

/* ---- finding the arrays ---- */

/* Behind the buffers of the layout, views have their data buffers, and one of these' sizes. */
static enum fletch_status check_buffer_count(const struct fletch_array_sets *sets,
                                             const struct fletch_array_set *set, uint32_t row)
{
    const struct fletch_field *field = &set->schema->fields[row];
    const struct ArrowArray *array = set->arrays[row];
    if (!fletch_type_is_view(field->type.id)) {
        if (array->n_buffers - fletch_array_buffers_before(field, array) != field->span_count)
            return fletch_array_fail(sets, set, row, "%" PRId64 " buffers, expected %" PRIu32,
                                     array->n_buffers, field->span_count);
        return FLETCH_OK;
    }
    if (array->n_buffers <= field->span_count ||
        array->n_buffers - field->span_count - 1 > INT32_MAX)
        return fletch_array_fail(sets, set, row, "%" PRId64 " buffers, expected at least %" PRIu32,
                                 array->n_buffers, field->span_count + 1);
    return FLETCH_OK;
}

/* Whether the structure is one that a field of this kind can have. */
static enum fletch_status check_array(const struct fletch_array_sets *sets,
                                      const struct fletch_array_set *set, uint32_t row)
{
    const struct fletch_field *field = &set->schema->fields[row];
    const struct ArrowArray *array = set->arrays[row];
    if (array == NULL)
        return fletch_array_fail(sets, set, row, "the array is NULL");
    if (array->release == NULL)
        return fletch_array_fail(sets, set, row, "the array was released or moved");
    if (array->length < 0 || array->length > FLETCH_ELEMENTS_MAX || array->offset < 0 ||
        array->offset > FLETCH_ELEMENTS_MAX)
        return fletch_array_fail(sets, set, row,
                                 "length %" PRId64 " at offset %" PRId64 ", expected 0 to %" PRId64
                                 " each",
                                 array->length, array->offset, FLETCH_ELEMENTS_MAX);
    if (array->null_count < -1 || array->null_count > array->length)
        return fletch_array_fail(sets, set, row, "null count %" PRId64 ", expected -1 to %" PRId64,
                                 array->null_count, array->length);
    if (array->n_children != field->child_count)
        return fletch_array_fail(sets, set, row, "%" PRId64 " children, expected %" PRIu32,
                                 array->n_children, field->child_count);
    if ((array->n_buffers > 0 && array->buffers == NULL) ||
        (array->n_children > 0 && array->children == NULL))
        return fletch_array_fail(sets, set, row, "no pointers to its buffers or children");
    if ((array->dictionary == NULL) != (field->dictionary == FLETCH_NO_INDEX))
        return fletch_array_fail(sets, set, row,
                                 array->dictionary == NULL ? "no dictionary, expected one"
                                                           : "a dictionary, expected none");
    return check_buffer_count(sets, set, row);
}

/* Finds the arrays below one, and counts its data buffers. */
static enum fletch_status link_row(struct fletch_array_sets *sets, struct fletch_array_set *set,
                                   uint32_t row)
{
    const struct fletch_field *field = &set->schema->fields[row];
    enum fletch_status status = check_array(sets, set, row);
    if (status != FLETCH_OK)
        return status;
    const struct ArrowArray *array = set->arrays[row];
    int64_t ordinal = 0;
    for (uint32_t child = row + 1; child < field->end; child = set->schema->fields[child].end)
        set->arrays[child] = array->children[ordinal++];
    if (field->dictionary != FLETCH_NO_INDEX)
        sets->sets[set->first_set + field->dictionary].arrays[0] = array->dictionary;
    if (!fletch_type_is_view(field->type.id))
        return FLETCH_OK;
    const uint32_t data_count = (uint32_t)(array->n_buffers - field->span_count - 1);
    if (data_count > UINT32_MAX / 2 - set->span_count)
        return fletch_array_fail(sets, set, row, "more data buffers than a batch may have");
    set->span_count += data_count;
    return FLETCH_OK;
}

/* The batch's own arrays tell where its dictionaries are. */
enum fletch_status fletch_array_sets_link(struct fletch_array_sets *sets,
                                          const struct ArrowArray *source)
{
    struct fletch_array_set *own = &sets->sets[0];
    enum fletch_status status = FLETCH_OK;
    own->row_count = source->length;
    for (uint32_t i = 0; i < own->schema->column_count; i++)
        own->arrays[own->schema->columns[i]] = source->children[i];
    for (uint32_t i = 0; status == FLETCH_OK && i < sets->set_count; i++) {
        struct fletch_array_set *set = &sets->sets[i];
        for (uint32_t row = 0; status == FLETCH_OK && row < set->schema->field_count; row++)
            status = link_row(sets, set, row);
        if (status == FLETCH_OK && i > 0)
            set->row_count = set->arrays[0]->length;
    }
    return status;
}

/* ---- room ---- */

/* How many sets a schema wants, and rows in all of them. */
static void count_sets(const struct fletch_schema *schema, size_t *set_count, size_t *row_count)
{
    ++*set_count;
    *row_count += schema->field_count;
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        count_sets(schema->dictionaries[i].values, set_count, row_count);
}

/* Gives each set its schema and its pointers to arrays, and its dictionaries sets behind it. */
static void open_sets(struct fletch_array_sets *sets, const struct fletch_schema *schema,
                      const struct ArrowArray **arrays)
{
    uint32_t end = 1;
    sets->sets[0] = (struct fletch_array_set){.schema = schema};
    for (uint32_t i = 0; i < sets->set_count; i++) {
        struct fletch_array_set *set = &sets->sets[i];
        set->arrays = arrays;
        arrays += set->schema->field_count;
        set->span_count = set->schema->span_count;
        set->first_set = end;
        for (uint32_t k = 0; k < set->schema->dictionary_count; k++)
            sets->sets[end++] = (struct fletch_array_set){
                .schema = set->schema->dictionaries[k].values,
                .outside = set,
                .outside_row = set->schema->dictionaries[k].field,
            };
    }
}

enum fletch_status fletch_array_sets_open(struct fletch_array_sets *sets,
                                          const struct fletch_schema *schema)
{
    size_t set_count = 0;
    size_t row_count = 0;
    count_sets(schema, &set_count, &row_count);
    const size_t bytes = set_count * (sizeof *sets->sets + sizeof *sets->dictionaries) +
                         row_count * sizeof *sets->sets->arrays;
    enum fletch_status status =
        fletch_buffer_allocate(sets->options->cache, bytes, NULL, &sets->memory, sets->error);
    if (status != FLETCH_OK)
        return status;
    char *memory = (char *)fletch_buffer_mutable_data(sets->memory);
    sets->set_count = (uint32_t)set_count;
    sets->sets = (void *)memory;
    memory += set_count * sizeof *sets->sets;
    sets->dictionaries = (void *)memory;
    memset(sets->dictionaries, 0, set_count * sizeof *sets->dictionaries);
    open_sets(sets, schema, (void *)(memory + set_count * sizeof *sets->dictionaries));
    return FLETCH_OK;
}

/* Bytes that the scratch of one set takes, each part but the last a multiple of 8. */
static size_t scratch_bytes(const struct fletch_array_set *set)
{
    const struct fletch_schema *schema = set->schema;
    const size_t bytes = schema->field_count * sizeof *set->nodes +
                         set->span_count * sizeof *set->spans +
                         (schema->span_count + (size_t)1) * sizeof *set->owners +
                         (schema->view_count + (size_t)1) * sizeof *set->view_spans;
    return fletch_round_up(bytes, sizeof(int64_t));
}

/* Room for what the arrays, which are known by now, are made to. */
enum fletch_status fletch_array_sets_allocate(struct fletch_array_sets *sets)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < sets->set_count; i++)
        bytes += scratch_bytes(&sets->sets[i]);
    enum fletch_status status =
        fletch_buffer_allocate(sets->options->cache, bytes, NULL, &sets->scratch, sets->error);
    if (status != FLETCH_OK)
        return status;
    char *memory = (char *)fletch_buffer_mutable_data(sets->scratch);
    for (uint32_t i = 0; i < sets->set_count; i++) {
        struct fletch_array_set *set = &sets->sets[i];
        set->nodes = (void *)memory;
        set->spans = (void *)(set->nodes + set->schema->field_count);
        set->owners = (void *)(set->spans + set->span_count);
        set->view_spans = (void *)(set->owners + set->schema->span_count + 1);
        set->owners[0] = NULL; /* the foreign buffer's place */
        set->owner_count = 1;
        memory += scratch_bytes(set);
    }
    return FLETCH_OK;
}

/* Lets go of what no batch has taken. */
void fletch_array_sets_close(struct fletch_array_sets *sets)
{
    for (uint32_t i = 0; i < sets->set_count; i++) {
        for (uint32_t j = 0; j < sets->sets[i].owner_count; j++)
            fletch_buffer_release(sets->options->cache, sets->sets[i].owners[j]);
        fletch_batch_release(sets->options->cache, sets->dictionaries[i]);
    }
    fletch_buffer_release(sets->options->cache, sets->scratch);
    fletch_buffer_release(sets->options->cache, sets->memory);
}
