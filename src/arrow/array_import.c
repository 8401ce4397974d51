#include "arrow/array_import.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arrow/column.h"
#include "arrow/schema.h"
#include "base/options.h"

/* The arrays of one schema: the batch itself, or the values of one dictionary. */
struct array_set {
    const struct fletch_schema *schema;
    const struct fletch_field_path *outside; /* of the encoded field; NULL: the batch itself */
    int64_t row_count;
    const struct ArrowArray **arrays; /* by row */
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans;
    struct fletch_buffer **owners; /* the foreign buffer, and copies of misaligned ones */
    uint32_t owner_count;
};

/* An import under way. */
struct import {
    const struct fletch_import_options *options;
    struct fletch_buffer *scratch; /* where the sets lie */
    struct array_set *sets;        /* the batch, then its dictionaries */
    uint32_t set_count;
    struct fletch_batch **dictionaries;
    uint64_t bytes; /* of all spans that stay where they are */
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

static enum fletch_status fail(const struct import *import, const struct array_set *set,
                               uint32_t row, const char *detail)
{
    struct fletch_field_path path = fletch_field_path_of(set->schema, row);
    char type[FLETCH_FIELD_TEXT_BYTES];
    fletch_field_describe(set->schema, &set->schema->fields[row], type, sizeof type);
    return fletch_error_set(import->error, FLETCH_INVALID_ARGUMENT, "%s%s%sfield '%s' (%s): %s",
                            set->outside == NULL ? "" : "dictionary of field '",
                            set->outside == NULL ? "" : set->outside->text,
                            set->outside == NULL ? "" : "', ", path.text, type, detail);
}

/* fail with a formatted detail. */
#define FAIL(import, set, row, ...) \
    (snprintf(detail, sizeof detail, __VA_ARGS__), fail((import), (set), (row), detail))
enum { DETAIL_BYTES = 160 };

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
    if (array->n_buffers != field->span_count)
        return FAIL(import, set, row, "%" PRId64 " buffers, expected %" PRIu32, array->n_buffers,
                    field->span_count);
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
    return FLETCH_OK;
}

/* Which elements of the array are the batch's: all of a list's child, and of a struct's child those
 * of the struct. */
static enum fletch_status place_node(const struct import *import, struct array_set *set,
                                     uint32_t row, int64_t root_offset)
{
    char detail[DETAIL_BYTES];
    const struct fletch_field *field = &set->schema->fields[row];
    const struct ArrowArray *array = set->arrays[row];
    struct fletch_batch_node *node = &set->nodes[row];
    int64_t skipped = 0;
    int64_t length = array->length;
    if (field->parent == FLETCH_NO_INDEX) {
        skipped = root_offset;
        length = set->row_count;
    } else if (set->schema->fields[field->parent].type.id == FLETCH_TYPE_STRUCT) {
        skipped = set->nodes[field->parent].offset;
        length = set->nodes[field->parent].length;
    }
    if (length > 0 &&
        (skipped > FLETCH_ELEMENTS_MAX - array->offset || array->length < skipped + length))
        return FAIL(import, set, row,
                    "length %" PRId64 ", expected at least its parent's %" PRId64 " + %" PRId64,
                    array->length, skipped, length);
    *node = (struct fletch_batch_node){.length = length, .null_count = array->null_count};
    if (length > 0)
        node->offset = array->offset + skipped;
    if (field->span_count == 0)
        node->null_count = length;
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
    const struct fletch_type_layout *layout = fletch_type_layout(&field->type);
    struct fletch_batch_span *span = &set->spans[field->first_span + index];
    const enum fletch_span_kind kind = (enum fletch_span_kind)layout->spans[index];
    const bool is_typed = kind == FLETCH_SPAN_VALUES || kind == FLETCH_SPAN_OFFSETS32 ||
                          kind == FLETCH_SPAN_OFFSETS64;
    if (span->bytes > INT64_MAX - import->bytes)
        return fail(import, set, row, "more bytes than memory has addresses");
    if (!is_typed || (uintptr_t)span->data % layout->alignment == 0) {
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

/* Nodes and spans of one row, and the arrays of its children. */
static enum fletch_status place_row(struct import *import, struct array_set *set, uint32_t row,
                                    int64_t root_offset)
{
    const struct fletch_field *field = &set->schema->fields[row];
    enum fletch_status status = check_array(import, set, row);
    if (status == FLETCH_OK)
        status = place_node(import, set, row, root_offset);
    if (status == FLETCH_OK && field->span_count > 0)
        status = place_validity(import, set, row);
    for (uint32_t i = 1; status == FLETCH_OK && i < field->span_count; i++)
        status = place_span(import, set, row, i);
    for (uint32_t i = 0; status == FLETCH_OK && i < field->span_count; i++)
        status = align_span(import, set, row, i);
    if (status != FLETCH_OK)
        return status;
    int64_t ordinal = 0;
    for (uint32_t child = row + 1; child < field->end; child = set->schema->fields[child].end)
        set->arrays[child] = set->arrays[row]->children[ordinal++];
    if (field->dictionary != FLETCH_NO_INDEX)
        import->sets[1 + field->dictionary].arrays[0] = set->arrays[row]->dictionary;
    return FLETCH_OK;
}

static enum fletch_status place_rows(struct import *import, struct array_set *set,
                                     int64_t root_offset)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t row = 0; status == FLETCH_OK && row < set->schema->field_count; row++)
        status = place_row(import, set, row, root_offset);
    return status;
}

/* Places the batch's own rows, which tells where the dictionaries are, and then theirs. */
static enum fletch_status place_all(struct import *import, const struct ArrowArray *source)
{
    struct array_set *own = &import->sets[0];
    own->row_count = source->length;
    for (uint32_t i = 0; i < own->schema->column_count; i++)
        own->arrays[own->schema->columns[i]] = source->children[i];
    enum fletch_status status = place_rows(import, own, source->offset);
    for (uint32_t i = 1; status == FLETCH_OK && i < import->set_count; i++) {
        struct array_set *set = &import->sets[i];
        struct fletch_field_path path =
            fletch_field_path_of(own->schema, own->schema->dictionaries[i - 1].field);
        set->outside = &path;
        set->row_count = set->arrays[0]->length;
        status = place_rows(import, set, 0);
        set->outside = NULL;
    }
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

/* Bytes that the scratch of one set takes, each part of it a multiple of 8. */
static size_t set_bytes(const struct fletch_schema *schema)
{
    return schema->field_count * (sizeof(void *) + sizeof(struct fletch_batch_node)) +
           schema->span_count * (sizeof(struct fletch_batch_span) + sizeof(void *)) +
           sizeof(void *);
}

static char *open_set(struct array_set *set, const struct fletch_schema *schema, char *memory)
{
    *set = (struct array_set){.schema = schema, .owner_count = 1};
    set->nodes = (void *)memory;
    memory += schema->field_count * sizeof *set->nodes;
    set->spans = (void *)memory;
    memory += schema->span_count * sizeof *set->spans;
    set->arrays = (void *)memory;
    memory += schema->field_count * sizeof *set->arrays;
    set->owners = (void *)memory;
    set->owners[0] = NULL; /* the foreign buffer's place */
    return memory + (schema->span_count + (size_t)1) * sizeof *set->owners;
}

static enum fletch_status open_import(struct import *import, const struct fletch_schema *schema)
{
    import->set_count = 1 + schema->dictionary_count;
    size_t bytes = import->set_count * (sizeof *import->sets + sizeof *import->dictionaries) +
                   set_bytes(schema);
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        bytes += set_bytes(schema->dictionaries[i].values);
    enum fletch_status status = fletch_buffer_allocate(import->options->cache, bytes, NULL,
                                                       &import->scratch, import->error);
    if (status != FLETCH_OK)
        return status;
    char *memory = (char *)fletch_buffer_mutable_data(import->scratch);
    import->sets = (void *)memory;
    memory += import->set_count * sizeof *import->sets;
    import->dictionaries = (void *)memory;
    memory += import->set_count * sizeof *import->dictionaries;
    memset(import->dictionaries, 0, import->set_count * sizeof *import->dictionaries);
    memory = open_set(&import->sets[0], schema, memory);
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        memory = open_set(&import->sets[1 + i], schema->dictionaries[i].values, memory);
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
    const bool is_own = set == &import->sets[0];
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = set->row_count,
        .nodes = set->nodes,
        .spans = set->spans,
        .owners = set->owners,
        .dictionaries = import->dictionaries + 1,
        .node_count = schema->field_count,
        .span_count = schema->span_count,
        .owner_count = set->owner_count,
        .dictionary_count = is_own ? schema->dictionary_count : 0,
    };
    enum fletch_status status = fletch_batch_create(
        import->options->cache, import->options->account, &parts, out_batch, import->error);
    if (status != FLETCH_OK) {
        fletch_schema_release(schema);
        return status;
    }
    set->owner_count = 0;
    for (uint32_t i = 0; i < parts.dictionary_count; i++)
        import->dictionaries[1 + i] = NULL;
    return FLETCH_OK;
}

/* The batch, its memory held by `*out_holder`, which has not got the source yet. */
static enum fletch_status make_all(struct import *import, const struct ArrowArray *source,
                                   struct holder **out_holder, struct fletch_batch **out_batch)
{
    enum fletch_status status = place_all(import, source);
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
    status = fletch_schema_check_simple(schema, "by import", error);
    if (status != FLETCH_OK)
        return status;
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
