#include "arrow/array_import.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arrow/column.h"
#include "arrow/schema.h"
#include "base/bits.h"
#include "base/options.h"

/* The arrays of one schema: the batch itself, or the values of one dictionary. */
struct array_set {
    const struct fletch_schema *schema;
    const struct array_set
        *outside; /* where the encoded field is; NULL: this is the batch itself */
    uint32_t outside_row;
    uint32_t first_set; /* of its dictionaries, which follow each other */
    int64_t row_count;
    const struct ArrowArray **arrays; /* by row */
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans;
    uint32_t *view_spans;
    uint32_t span_count;           /* with data buffers of views */
    struct fletch_buffer **owners; /* the foreign buffer, and copies of misaligned ones */
    uint32_t owner_count;
};

/* An import under way. The sets with pointers to arrays, whose number the schema tells, come first;
 * the arrays tell how many data buffers there are, and so how large all else is. */
struct import {
    const struct fletch_import_options *options;
    struct fletch_buffer *set_memory;
    struct fletch_buffer *scratch; /* where nodes, spans and owners of the sets lie */
    struct array_set *sets;        /* the batch, then its dictionaries, each before its own */
    uint32_t set_count;
    struct fletch_batch **dictionaries; /* by set */
    uint64_t bytes;                     /* of all spans that stay where they are */
    struct fletch_error *error;
};

/* What is released when nobody refers to an imported array any more. */
struct holder {
    struct ArrowArray array; /* moved in when nothing can fail any more; until then released */
    struct fletch_buffer *block;
};

static void holder_release(void *context)
{
    struct holder *holder = context;
    struct fletch_buffer *block = holder->block;
    if (holder->array.release != NULL)
        holder->array.release(&holder->array);
    fletch_buffer_release(NULL, block);
}

/* The path of the encoded field that a set belongs to, from outside all dictionaries. */
static struct fletch_field_path outside_path(const struct array_set *set)
{
    struct fletch_field_path path = {.text = ""};
    const struct array_set *way[FLETCH_SCHEMA_DEPTH_MAX];
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

static enum fletch_status fail(const struct import *import, const struct array_set *set,
                               uint32_t row, const char *detail)
{
    struct fletch_field_path path = fletch_field_path_of(set->schema, row);
    char type[FLETCH_FIELD_TEXT_BYTES];
    fletch_field_describe(set->schema, &set->schema->fields[row], type, sizeof type);
    return fletch_error_set(import->error, FLETCH_INVALID_ARGUMENT, "%s%s%sfield '%s' (%s): %s",
                            set->outside == NULL ? "" : "dictionary of field '",
                            set->outside == NULL ? "" : outside_path(set).text,
                            set->outside == NULL ? "" : "', ", path.text, type, detail);
}

/* fail with a formatted detail. */
#define FAIL(import, set, row, ...) \
    (snprintf(detail, sizeof detail, __VA_ARGS__), fail((import), (set), (row), detail))
enum { DETAIL_BYTES = 160 };

/* How many buffers of an array come before those of the layout: the first format of unions had a
 * validity. */
static uint32_t buffers_before(const struct fletch_field *field, const struct ArrowArray *array)
{
    return fletch_type_is_union(field->type.id) && array->n_buffers > field->span_count ? 1 : 0;
}

/* Behind the buffers of the layout, views have their data buffers, and one of these' sizes. */
static enum fletch_status check_buffer_count(const struct import *import,
                                             const struct array_set *set, uint32_t row)
{
    char detail[DETAIL_BYTES];
    const struct fletch_field *field = &set->schema->fields[row];
    const struct ArrowArray *array = set->arrays[row];
    if (!fletch_type_is_view(field->type.id)) {
        if (array->n_buffers - buffers_before(field, array) != field->span_count)
            return FAIL(import, set, row, "%" PRId64 " buffers, expected %" PRIu32,
                        array->n_buffers, field->span_count);
        return FLETCH_OK;
    }
    if (array->n_buffers <= field->span_count ||
        array->n_buffers - field->span_count - 1 > INT32_MAX)
        return FAIL(import, set, row, "%" PRId64 " buffers, expected at least %" PRIu32,
                    array->n_buffers, field->span_count + 1);
    return FLETCH_OK;
}

/* Whether the structure is one that a field of this kind can have. */
static enum fletch_status check_array(const struct import *import, const struct array_set *set,
                                      uint32_t row)
{
    char detail[DETAIL_BYTES];
    const struct fletch_field *field = &set->schema->fields[row];
    const struct ArrowArray *array = set->arrays[row];
    if (array == NULL)
        return fail(import, set, row, "the array is NULL");
    if (array->release == NULL)
        return fail(import, set, row, "the array was released or moved");
    if (array->length < 0 || array->length > FLETCH_ELEMENTS_MAX || array->offset < 0 ||
        array->offset > FLETCH_ELEMENTS_MAX)
        return FAIL(import, set, row,
                    "length %" PRId64 " at offset %" PRId64 ", expected 0 to %" PRId64 " each",
                    array->length, array->offset, FLETCH_ELEMENTS_MAX);
    if (array->null_count < -1 || array->null_count > array->length)
        return FAIL(import, set, row, "null count %" PRId64 ", expected -1 to %" PRId64,
                    array->null_count, array->length);
    if (array->n_children != field->child_count)
        return FAIL(import, set, row, "%" PRId64 " children, expected %" PRIu32, array->n_children,
                    field->child_count);
    if ((array->n_buffers > 0 && array->buffers == NULL) ||
        (array->n_children > 0 && array->children == NULL))
        return fail(import, set, row, "no pointers to its buffers or children");
    if ((array->dictionary == NULL) != (field->dictionary == FLETCH_NO_INDEX))
        return fail(import, set, row,
                    array->dictionary == NULL ? "no dictionary, expected one"
                                              : "a dictionary, expected none");
    return check_buffer_count(import, set, row);
}

/* Finds the arrays below one, and counts its data buffers. */
static enum fletch_status link_row(struct import *import, struct array_set *set, uint32_t row)
{
    const struct fletch_field *field = &set->schema->fields[row];
    enum fletch_status status = check_array(import, set, row);
    if (status != FLETCH_OK)
        return status;
    const struct ArrowArray *array = set->arrays[row];
    int64_t ordinal = 0;
    for (uint32_t child = row + 1; child < field->end; child = set->schema->fields[child].end)
        set->arrays[child] = array->children[ordinal++];
    if (field->dictionary != FLETCH_NO_INDEX)
        import->sets[set->first_set + field->dictionary].arrays[0] = array->dictionary;
    if (!fletch_type_is_view(field->type.id))
        return FLETCH_OK;
    const uint32_t data_count = (uint32_t)(array->n_buffers - field->span_count - 1);
    if (data_count > UINT32_MAX / 2 - set->span_count)
        return fail(import, set, row, "more data buffers than a batch may have");
    set->span_count += data_count;
    return FLETCH_OK;
}

/* Which elements of the array are the batch's: of a child that is aligned, those of its parent's,
 * else all. */
static enum fletch_status place_node(const struct import *import, struct array_set *set,
                                     uint32_t row, int64_t root_offset)
{
    char detail[DETAIL_BYTES];
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
            return FAIL(import, set, row,
                        "%" PRId64 " elements for each of %" PRId64 ", more than memory can have",
                        stride, parent->offset + parent->length);
        skipped = parent->offset * stride;
        length = parent->length * stride;
    }
    if (length > 0 &&
        (skipped > FLETCH_ELEMENTS_MAX - array->offset || array->length < skipped + length))
        return FAIL(import, set, row,
                    "length %" PRId64 ", expected at least its parent's %" PRId64 " + %" PRId64,
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
static enum fletch_status last_offset(const struct import *import, const struct array_set *set,
                                      uint32_t row, int64_t *out_offset)
{
    char detail[DETAIL_BYTES];
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
        return FAIL(import, set, row, "offsets end at %" PRId64 ", expected 0 or more",
                    *out_offset);
    return FLETCH_OK;
}

static enum fletch_status place_validity(const struct import *import, struct array_set *set,
                                         uint32_t row)
{
    char detail[DETAIL_BYTES];
    struct fletch_batch_node *node = &set->nodes[row];
    struct fletch_batch_span *span = &set->spans[set->schema->fields[row].first_span];
    const uint8_t *bits = set->arrays[row]->buffers[0];
    if (bits == NULL && node->null_count > 0)
        return fail(import, set, row, "nulls and no validity to tell them by");
    if (bits == NULL || node->length == 0)
        node->null_count = 0;
    /* A validity that is said to have no nulls is let go, so that validation cannot see it. */
    if (bits != NULL && node->length > 0 && node->null_count == 0 &&
        import->options->validation >= FLETCH_VALIDATION_FULL) {
        const int64_t nulls = node->length - fletch_bitmap_count(bits, node->offset, node->length);
        if (nulls != 0)
            return FAIL(import, set, row, "null count 0, its validity has %" PRId64, nulls);
    }
    *span = (struct fletch_batch_span){NULL, 0};
    if (node->null_count != 0)
        *span = (struct fletch_batch_span){bits, (size_t)(node->offset + node->length + 7) / 8};
    return FLETCH_OK;
}

/* The validity that unions once had, and that nobody has a use for. */
static enum fletch_status check_union_validity(const struct import *import,
                                               const struct array_set *set, uint32_t row)
{
    char detail[DETAIL_BYTES];
    const struct ArrowArray *array = set->arrays[row];
    const struct fletch_batch_node *node = &set->nodes[row];
    if (buffers_before(&set->schema->fields[row], array) == 0 || array->buffers[0] == NULL)
        return FLETCH_OK;
    const int64_t nulls =
        node->length - fletch_bitmap_count(array->buffers[0], node->offset, node->length);
    return nulls == 0
               ? FLETCH_OK
               : FAIL(import, set, row,
                      "a validity with %" PRId64 " nulls, expected them in the children", nulls);
}

/* As validation at level 1 wants it. */
static enum fletch_status check_runs(const struct import *import, const struct array_set *set,
                                     uint32_t row)
{
    char detail[DETAIL_BYTES];
    const struct ArrowArray *run_ends = set->arrays[row + 1];
    const struct ArrowArray *values = set->arrays[fletch_schema_child(set->schema, row, 1)];
    if (run_ends->null_count > 0)
        return FAIL(import, set, row + 1, "null count %" PRId64 ", expected no nulls in run ends",
                    run_ends->null_count);
    if (values->length < run_ends->length || (set->nodes[row].length > 0 && run_ends->length == 0))
        return FAIL(import, set, row,
                    "%" PRId64 " run ends and %" PRId64 " values for %" PRId64 " elements",
                    run_ends->length, values->length, set->nodes[row].length);
    return FLETCH_OK;
}

/* The data buffers of a view, whose sizes its last buffer tells. */
static enum fletch_status place_data(struct import *import, struct array_set *set, uint32_t row,
                                     uint32_t *next_span)
{
    char detail[DETAIL_BYTES];
    const struct fletch_field *field = &set->schema->fields[row];
    const struct ArrowArray *array = set->arrays[row];
    const void *const *data = array->buffers + field->span_count;
    const int64_t count = array->n_buffers - field->span_count - 1;
    const uint8_t *sizes = data[count];
    set->view_spans[field->view] = *next_span;
    if (count > 0 && sizes == NULL)
        return FAIL(import, set, row, "no sizes of its %" PRId64 " data buffers", count);
    for (int64_t i = 0; i < count; i++) {
        int64_t bytes;
        memcpy(&bytes, sizes + (size_t)i * sizeof bytes, sizeof bytes);
        if (bytes < 0 || (bytes > 0 && data[i] == NULL) ||
            (uint64_t)bytes > INT64_MAX - import->bytes)
            return FAIL(import, set, row, "data buffer %" PRId64 "%s has %" PRId64 " bytes", i,
                        data[i] == NULL ? ", NULL," : "", bytes);
        set->spans[(*next_span)++] =
            (struct fletch_batch_span){bytes == 0 ? NULL : data[i], (size_t)bytes};
        import->bytes += (uint64_t)bytes;
    }
    return FLETCH_OK;
}

static enum fletch_status place_span(const struct import *import, struct array_set *set,
                                     uint32_t row, uint32_t index)
{
    char detail[DETAIL_BYTES];
    const struct fletch_field *field = &set->schema->fields[row];
    const struct fletch_batch_node *node = &set->nodes[row];
    const enum fletch_span_kind kind =
        (enum fletch_span_kind)fletch_type_layout(&field->type)->spans[index];
    struct fletch_batch_span *span = &set->spans[field->first_span + index];
    uint64_t bytes = 0;
    if (kind == FLETCH_SPAN_BYTES) {
        int64_t end;
        enum fletch_status status = last_offset(import, set, row, &end);
        if (status != FLETCH_OK)
            return status;
        bytes = (uint64_t)end;
    } else if (node->length > 0) {
        bytes = fletch_span_bytes(&field->type, kind, (uint64_t)(node->offset + node->length));
        if (bytes > INT64_MAX)
            return fail(import, set, row, "more bytes than memory has addresses");
    }
    *span = (struct fletch_batch_span){NULL, 0};
    if (bytes == 0)
        return FLETCH_OK;
    index += buffers_before(field, set->arrays[row]);
    *span = (struct fletch_batch_span){set->arrays[row]->buffers[index], (size_t)bytes};
    if (span->data == NULL)
        return FAIL(import, set, row, "buffer %" PRIu32 " is NULL, expected %" PRIu64 " bytes",
                    index, bytes);
    return FLETCH_OK;
}

/* Copies a buffer of values or offsets that does not lie as kernels want it. */
static enum fletch_status align_span(struct import *import, struct array_set *set, uint32_t row,
                                     uint32_t index)
{
    const struct fletch_field *field = &set->schema->fields[row];
    struct fletch_batch_span *span = &set->spans[field->first_span + index];
    if (span->bytes > INT64_MAX - import->bytes)
        return fail(import, set, row, "more bytes than memory has addresses");
    if ((uintptr_t)span->data % fletch_type_span_alignment(&field->type, index) == 0) {
        import->bytes += span->bytes;
        return FLETCH_OK;
    }
    struct fletch_buffer *copy;
    enum fletch_status status = fletch_buffer_allocate(
        import->options->cache, span->bytes, import->options->account, &copy, import->error);
    if (status != FLETCH_OK)
        return status;
    memcpy(fletch_buffer_mutable_data(copy), span->data, span->bytes);
    span->data = fletch_buffer_data(copy);
    set->owners[set->owner_count++] = copy;
    return FLETCH_OK;
}

/* Nodes and spans of one row; `*next_span` is where data buffers go. */
static enum fletch_status place_row(struct import *import, struct array_set *set, uint32_t row,
                                    uint32_t *next_span)
{
    const struct fletch_field *field = &set->schema->fields[row];
    const enum fletch_type_id id = field->type.id;
    const uint32_t first = fletch_type_has_validity(id) ? 1 : 0;
    enum fletch_status status = FLETCH_OK;
    if (first == 1)
        status = place_validity(import, set, row);
    if (fletch_type_is_union(id))
        status = check_union_validity(import, set, row);
    if (id == FLETCH_TYPE_RUN_END_ENCODED)
        status = check_runs(import, set, row);
    for (uint32_t i = first; status == FLETCH_OK && i < field->span_count; i++)
        status = place_span(import, set, row, i);
    for (uint32_t i = 0; status == FLETCH_OK && i < field->span_count; i++)
        status = align_span(import, set, row, i);
    if (status == FLETCH_OK && fletch_type_is_view(id))
        status = place_data(import, set, row, next_span);
    return status;
}

static enum fletch_status place_set(struct import *import, struct array_set *set,
                                    int64_t root_offset)
{
    enum fletch_status status = FLETCH_OK;
    uint32_t next_span = set->schema->span_count;
    for (uint32_t row = 0; status == FLETCH_OK && row < set->schema->field_count; row++) {
        status = place_node(import, set, row, root_offset);
        if (status == FLETCH_OK)
            status = place_row(import, set, row, &next_span);
    }
    set->view_spans[set->schema->view_count] = next_span;
    return status;
}

/* Finds all arrays: the batch's own, which tell where its dictionaries are, then theirs. */
static enum fletch_status link_all(struct import *import, const struct ArrowArray *source)
{
    struct array_set *own = &import->sets[0];
    enum fletch_status status = FLETCH_OK;
    own->row_count = source->length;
    for (uint32_t i = 0; i < own->schema->column_count; i++)
        own->arrays[own->schema->columns[i]] = source->children[i];
    for (uint32_t i = 0; status == FLETCH_OK && i < import->set_count; i++) {
        struct array_set *set = &import->sets[i];
        for (uint32_t row = 0; status == FLETCH_OK && row < set->schema->field_count; row++)
            status = link_row(import, set, row);
        if (status == FLETCH_OK && i > 0)
            set->row_count = set->arrays[0]->length;
    }
    return status;
}

static enum fletch_status place_all(struct import *import, const struct ArrowArray *source)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; status == FLETCH_OK && i < import->set_count; i++)
        status = place_set(import, &import->sets[i], i == 0 ? source->offset : 0);
    return status;
}

/* Rows of a batch are not null; whether a count that says so is right, only level 3 asks. */
static enum fletch_status check_root_nulls(const struct ArrowArray *source,
                                           enum fletch_validation level, struct fletch_error *error)
{
    const uint8_t *bits = source->buffers[0];
    if (bits == NULL || (source->null_count == 0 && level < FLETCH_VALIDATION_FULL))
        return FLETCH_OK;
    const int64_t nulls =
        source->length - fletch_bitmap_count(bits, source->offset, source->length);
    if (nulls == 0)
        return FLETCH_OK;
    if (source->null_count == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: null count 0, its validity has %" PRId64, nulls);
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "batch: rows that are null as a whole, expected none");
}

/* What is around the columns: a struct array without nulls. */
static enum fletch_status check_root(const struct ArrowArray *source,
                                     const struct fletch_schema *schema,
                                     enum fletch_validation level, struct fletch_error *error)
{
    if (source->release == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: the array was released or moved");
    if (source->length < 0 || source->length > FLETCH_ELEMENTS_MAX || source->offset < 0 ||
        source->offset > FLETCH_ELEMENTS_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: length %" PRId64 " at offset %" PRId64
                                ", expected 0 to %" PRId64 " each",
                                source->length, source->offset, FLETCH_ELEMENTS_MAX);
    if (source->n_children != schema->column_count ||
        (source->n_children > 0 && source->children == NULL))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: %" PRId64 " columns, expected %" PRIu32, source->n_children,
                                schema->column_count);
    if (source->n_buffers != 1 || source->buffers == NULL || source->dictionary != NULL)
        return fletch_error_set(
            error, FLETCH_INVALID_ARGUMENT, "batch: %" PRId64 " buffers%s, expected a struct's 1",
            source->n_buffers, source->dictionary == NULL ? "" : " and a dictionary");
    if (source->null_count < -1 || source->null_count > source->length)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: null count %" PRId64 ", expected -1 to %" PRId64,
                                source->null_count, source->length);
    if (source->null_count > 0 && source->buffers[0] == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "batch: null count %" PRId64 " and no validity, expected no nulls",
                                source->null_count);
    return check_root_nulls(source, level, error);
}

/* How many sets a schema wants, and rows in all of them. */
static void count_sets(const struct fletch_schema *schema, size_t *set_count, size_t *row_count)
{
    ++*set_count;
    *row_count += schema->field_count;
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        count_sets(schema->dictionaries[i].values, set_count, row_count);
}

/* Gives each set its schema and its pointers to arrays, and its dictionaries sets behind it. */
static void open_sets(struct import *import, const struct fletch_schema *schema,
                      const struct ArrowArray **arrays)
{
    uint32_t end = 1;
    import->sets[0] = (struct array_set){.schema = schema};
    for (uint32_t i = 0; i < import->set_count; i++) {
        struct array_set *set = &import->sets[i];
        set->arrays = arrays;
        arrays += set->schema->field_count;
        set->span_count = set->schema->span_count;
        set->first_set = end;
        for (uint32_t k = 0; k < set->schema->dictionary_count; k++)
            import->sets[end++] = (struct array_set){
                .schema = set->schema->dictionaries[k].values,
                .outside = set,
                .outside_row = set->schema->dictionaries[k].field,
            };
    }
}

static enum fletch_status open_import(struct import *import, const struct fletch_schema *schema)
{
    size_t set_count = 0;
    size_t row_count = 0;
    count_sets(schema, &set_count, &row_count);
    const size_t bytes = set_count * (sizeof *import->sets + sizeof *import->dictionaries) +
                         row_count * sizeof *import->sets->arrays;
    enum fletch_status status = fletch_buffer_allocate(import->options->cache, bytes, NULL,
                                                       &import->set_memory, import->error);
    if (status != FLETCH_OK)
        return status;
    char *memory = (char *)fletch_buffer_mutable_data(import->set_memory);
    import->set_count = (uint32_t)set_count;
    import->sets = (void *)memory;
    memory += set_count * sizeof *import->sets;
    import->dictionaries = (void *)memory;
    memset(import->dictionaries, 0, set_count * sizeof *import->dictionaries);
    open_sets(import, schema, (void *)(memory + set_count * sizeof *import->dictionaries));
    return FLETCH_OK;
}

/* Bytes that the scratch of one set takes, each part but the last a multiple of 8. */
static size_t scratch_bytes(const struct array_set *set)
{
    const struct fletch_schema *schema = set->schema;
    const size_t bytes = schema->field_count * sizeof *set->nodes +
                         set->span_count * sizeof *set->spans +
                         (schema->span_count + (size_t)1) * sizeof *set->owners +
                         (schema->view_count + (size_t)1) * sizeof *set->view_spans;
    return fletch_round_up(bytes, sizeof(int64_t));
}

/* Room for what the arrays, which are known by now, are made to. */
static enum fletch_status open_scratch(struct import *import)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < import->set_count; i++)
        bytes += scratch_bytes(&import->sets[i]);
    enum fletch_status status = fletch_buffer_allocate(import->options->cache, bytes, NULL,
                                                       &import->scratch, import->error);
    if (status != FLETCH_OK)
        return status;
    char *memory = (char *)fletch_buffer_mutable_data(import->scratch);
    for (uint32_t i = 0; i < import->set_count; i++) {
        struct array_set *set = &import->sets[i];
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
static void close_import(struct import *import)
{
    for (uint32_t i = 0; i < import->set_count; i++) {
        for (uint32_t j = 0; j < import->sets[i].owner_count; j++)
            fletch_buffer_release(import->options->cache, import->sets[i].owners[j]);
        fletch_batch_release(import->options->cache, import->dictionaries[i]);
    }
    fletch_buffer_release(import->options->cache, import->scratch);
    fletch_buffer_release(import->options->cache, import->set_memory);
}

/* One buffer for all memory of the source, shared by the sets; `*out_holder` waits for the
 * source. */
static enum fletch_status hold(struct import *import, struct holder **out_holder)
{
    struct fletch_buffer_cache *cache = import->options->cache;
    struct fletch_buffer *block;
    enum fletch_status status = fletch_buffer_allocate(
        cache, sizeof(struct holder), import->options->account, &block, import->error);
    if (status != FLETCH_OK)
        return status;
    struct holder *holder = (void *)fletch_buffer_mutable_data(block);
    *holder = (struct holder){.block = block};
    const struct fletch_foreign_memory memory = {
        .data = holder,
        .bytes = import->bytes == 0 ? 1 : (size_t)import->bytes,
        .release = holder_release,
        .context = holder,
    };
    status = fletch_buffer_wrap(cache, &memory, import->options->account,
                                &import->sets[0].owners[0], import->error);
    if (status != FLETCH_OK) {
        fletch_buffer_release(cache, block);
        return status;
    }
    for (uint32_t i = 1; i < import->set_count; i++)
        import->sets[i].owners[0] = fletch_buffer_acquire(import->sets[0].owners[0]);
    *out_holder = holder;
    return FLETCH_OK;
}

static enum fletch_status make_batch(struct import *import, struct array_set *set,
                                     struct fletch_batch **out_batch)
{
    struct fletch_schema *schema = (struct fletch_schema *)(uintptr_t)set->schema;
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = set->row_count,
        .nodes = set->nodes,
        .spans = set->spans,
        .view_spans = set->view_spans,
        .owners = set->owners,
        .dictionaries = import->dictionaries + set->first_set,
        .node_count = schema->field_count,
        .span_count = set->span_count,
        .view_count = schema->view_count,
        .owner_count = set->owner_count,
        .dictionary_count = schema->dictionary_count,
    };
    enum fletch_status status = fletch_batch_create(
        import->options->cache, import->options->account, &parts, out_batch, import->error);
    if (status != FLETCH_OK) {
        fletch_schema_release(schema);
        return status;
    }
    set->owner_count = 0;
    for (uint32_t i = 0; i < parts.dictionary_count; i++)
        import->dictionaries[set->first_set + i] = NULL;
    return FLETCH_OK;
}

/* The batch, its memory held by `*out_holder`, which has not got the source yet. */
static enum fletch_status make_all(struct import *import, const struct ArrowArray *source,
                                   struct holder **out_holder, struct fletch_batch **out_batch)
{
    enum fletch_status status = link_all(import, source);
    if (status == FLETCH_OK)
        status = open_scratch(import);
    if (status == FLETCH_OK)
        status = place_all(import, source);
    if (status == FLETCH_OK)
        status = hold(import, out_holder);
    for (uint32_t i = import->set_count; status == FLETCH_OK && i > 1; i--)
        status = make_batch(import, &import->sets[i - 1], &import->dictionaries[i - 1]);
    return status == FLETCH_OK ? make_batch(import, &import->sets[0], out_batch) : status;
}

enum fletch_status fletch_import_options_read(const struct fletch_import_options *options,
                                              struct fletch_import_options *out_options,
                                              struct fletch_error *error)
{
    enum fletch_status status =
        fletch_options_copy(out_options, sizeof *out_options, options, sizeof *out_options, error);
    if (status != FLETCH_OK)
        return status;
    if (out_options->cache == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "import without a cache");
    if ((unsigned)out_options->validation > FLETCH_VALIDATION_FULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "import with validation %d, expected 0 to %d",
                                (int)out_options->validation, FLETCH_VALIDATION_FULL);
    if (out_options->validation == FLETCH_VALIDATION_DEFAULT)
        out_options->validation = FLETCH_VALIDATION_STRUCTURE;
    return FLETCH_OK;
}

enum fletch_status fletch_batch_import(struct ArrowArray *source, struct fletch_schema *schema,
                                       const struct fletch_import_options *options,
                                       struct fletch_batch **out_batch, struct fletch_error *error)
{
    struct fletch_import_options known;
    struct holder *holder = NULL;
    struct fletch_batch *batch = NULL;
    enum fletch_status status = fletch_import_options_read(options, &known, error);
    if (status == FLETCH_OK)
        status = check_root(source, schema, known.validation, error);
    if (status != FLETCH_OK)
        return status;
    struct import import = {.options = &known, .error = error};
    status = open_import(&import, schema);
    if (status != FLETCH_OK)
        return status;
    status = make_all(&import, source, &holder, &batch);
    close_import(&import);
    if (status != FLETCH_OK)
        return status;
    /* What was placed has passed level 1. */
    if (known.validation > FLETCH_VALIDATION_STRUCTURE)
        status = fletch_batch_validate(batch, known.validation, error);
    if (status != FLETCH_OK) {
        fletch_batch_release(known.cache, batch);
        return status;
    }
    holder->array = *source;
    source->release = NULL;
    *out_batch = batch;
    return FLETCH_OK;
}
