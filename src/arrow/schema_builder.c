#include "arrow/schema_builder.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/utf8.h"
#include "base/allocator.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/checked.h"

/* A field under construction: strings lie in the builder's text, which moves as it grows. */
struct fletch_schema_row {
    struct fletch_field field;
    size_t name_offset;
    size_t format_offset;
    size_t zone_offset;
    size_t type_ids_offset;
    size_t metadata_offset;
    struct fletch_schema *dictionary_values;
    int64_t dictionary_id;
    bool dictionary_is_ordered;
};

enum { ROWS_FIRST = 16, TEXT_FIRST = 512, TEXT_ALIGNMENT = 8 };

void fletch_schema_builder_init(struct fletch_schema_builder *builder,
                                const struct fletch_allocator *allocator)
{
    *builder = (struct fletch_schema_builder){
        .allocator = fletch_allocator_or_default(allocator),
    };
}

void fletch_schema_builder_deinit(struct fletch_schema_builder *builder)
{
    for (uint32_t i = 0; i < builder->row_count; i++)
        fletch_schema_release(builder->rows[i].dictionary_values);
    if (builder->rows != NULL)
        fletch_release(&builder->allocator, builder->rows,
                       builder->row_capacity * sizeof *builder->rows, _Alignof(max_align_t));
    if (builder->text != NULL)
        fletch_release(&builder->allocator, builder->text, builder->text_capacity,
                       _Alignof(max_align_t));
    *builder = (struct fletch_schema_builder){.allocator = builder->allocator};
}

static enum fletch_status failed(struct fletch_schema_builder *builder, struct fletch_error *error)
{
    builder->has_failed = true;
    if (error != NULL)
        *error = builder->failure;
    return builder->failure.status;
}

/* Notes the failure just written into builder->failure. */
#define FAIL(builder, error, ...) \
    (fletch_error_set(&(builder)->failure, __VA_ARGS__), failed((builder), (error)))

static enum fletch_status no_memory(struct fletch_schema_builder *builder, size_t bytes,
                                    struct fletch_error *error)
{
    return FAIL(builder, error, FLETCH_RESOURCE_EXHAUSTED,
                "no memory for a schema of %" PRIu32 " fields: %zu bytes", builder->row_count,
                bytes);
}

/* `memory`, moved to a block of at least `needed_bytes`, doubled; NULL: no memory, `memory`
 * stays. */
static void *grow(const struct fletch_allocator *allocator, void *memory, size_t *bytes,
                  size_t needed_bytes, size_t first_bytes)
{
    size_t grown_bytes = *bytes == 0 ? first_bytes : *bytes;
    while (grown_bytes < needed_bytes)
        if (!fletch_checked_multiply(grown_bytes, 2, &grown_bytes))
            return NULL;
    void *grown = fletch_allocate(allocator, grown_bytes, _Alignof(max_align_t));
    if (grown == NULL)
        return NULL;
    if (memory != NULL) {
        memcpy(grown, memory, *bytes);
        fletch_release(allocator, memory, *bytes, _Alignof(max_align_t));
    }
    *bytes = grown_bytes;
    return grown;
}

/* Room for `bytes` more of text; the caller writes them and moves text_bytes. NULL: no memory. */
static char *reserve_text(struct fletch_schema_builder *builder, size_t bytes)
{
    size_t needed;
    if (!fletch_checked_add(builder->text_bytes, bytes, &needed))
        return NULL;
    if (needed > builder->text_capacity) {
        char *grown =
            grow(&builder->allocator, builder->text, &builder->text_capacity, needed, TEXT_FIRST);
        if (grown == NULL)
            return NULL;
        builder->text = grown;
    }
    return builder->text + builder->text_bytes;
}

/* Appends a string and its NUL. */
static bool add_string(struct fletch_schema_builder *builder, const char *string, size_t bytes,
                       size_t *out_offset)
{
    char *room = reserve_text(builder, bytes + 1);
    if (room == NULL)
        return false;
    if (bytes > 0)
        memcpy(room, string, bytes);
    room[bytes] = '\0';
    *out_offset = builder->text_bytes;
    builder->text_bytes += bytes + 1;
    return true;
}

static bool reserve_row(struct fletch_schema_builder *builder)
{
    if (builder->row_count < builder->row_capacity)
        return true;
    size_t bytes = builder->row_capacity * sizeof *builder->rows;
    struct fletch_schema_row *rows =
        grow(&builder->allocator, builder->rows, &bytes,
             (builder->row_count + (size_t)1) * sizeof *rows, ROWS_FIRST * sizeof *rows);
    if (rows == NULL)
        return false;
    builder->rows = rows;
    builder->row_capacity = bytes / sizeof *rows;
    return true;
}

struct fletch_field_path fletch_schema_builder_path(const struct fletch_schema_builder *builder,
                                                    const char *name, size_t name_bytes)
{
    struct fletch_field_path path = builder->prefix;
    for (uint32_t i = 0; i < builder->depth; i++) {
        const struct fletch_schema_row *row = &builder->rows[builder->open[i]];
        fletch_field_path_add(&path, builder->text + row->name_offset, row->field.name_bytes);
        fletch_field_path_add(&path, ".", 1);
    }
    fletch_field_path_add(&path, name, name_bytes);
    return path;
}

static bool is_text(const char *string, size_t bytes)
{
    return bytes == 0 || (memchr(string, '\0', bytes) == NULL &&
                          fletch_utf8_is_valid((const uint8_t *)string, bytes));
}

static enum fletch_status check_place(struct fletch_schema_builder *builder, const char *path,
                                      struct fletch_error *error)
{
    if (builder->base_depth + builder->depth >= FLETCH_SCHEMA_DEPTH_MAX)
        return FAIL(builder, error, FLETCH_INVALID_ARGUMENT,
                    "field '%s': nested deeper than %d levels", path, FLETCH_SCHEMA_DEPTH_MAX);
    if (builder->row_count >= FLETCH_SCHEMA_FIELDS_MAX)
        return FAIL(builder, error, FLETCH_INVALID_ARGUMENT,
                    "field '%s': more fields than the %d that a schema may have", path,
                    FLETCH_SCHEMA_FIELDS_MAX);
    if (builder->depth == 0)
        return FLETCH_OK;
    const struct fletch_field *parent = &builder->rows[builder->open[builder->depth - 1]].field;
    if (fletch_type_layout(&parent->type)->children == FLETCH_CHILDREN_NONE)
        return FAIL(builder, error, FLETCH_INVALID_ARGUMENT,
                    "field '%s': a child of a field of type %s, which has none", path,
                    fletch_type_layout(&parent->type)->name);
    return FLETCH_OK;
}

static enum fletch_status check_dictionary(struct fletch_schema_builder *builder,
                                           const struct fletch_field_options *options,
                                           const char *path, struct fletch_error *error)
{
    if (options->dictionary_values == NULL)
        return FLETCH_OK;
    FLETCH_ASSERT(options->dictionary_values->column_count == 1);
    if (!fletch_type_is_integer(options->type.id))
        return FAIL(builder, error, FLETCH_INVALID_ARGUMENT,
                    "field '%s': dictionary indices of type %s, expected an integer", path,
                    fletch_type_layout(&options->type)->name);
    if (builder->base_depth + builder->depth + options->dictionary_values->depth >
        FLETCH_SCHEMA_DEPTH_MAX)
        return FAIL(builder, error, FLETCH_INVALID_ARGUMENT,
                    "field '%s': its dictionary is nested deeper than %d levels", path,
                    FLETCH_SCHEMA_DEPTH_MAX);
    /* No form of Arrow's IPC says so: a field there has one encoding. */
    if (options->dictionary_values->fields[0].dictionary != FLETCH_NO_INDEX)
        return FAIL(builder, error, FLETCH_UNIMPLEMENTED,
                    "field '%s': a dictionary whose values are dictionary-encoded themselves is "
                    "not implemented",
                    path);
    return FLETCH_OK;
}

static enum fletch_status check_options(struct fletch_schema_builder *builder,
                                        const struct fletch_field_options *options,
                                        struct fletch_error *error)
{
    bool is_named = is_text(options->name, options->name_bytes);
    const char *name = is_named ? options->name : "?";
    struct fletch_field_path path =
        fletch_schema_builder_path(builder, name, is_named ? options->name_bytes : 1);
    if (!is_named)
        return FAIL(builder, error, FLETCH_INVALID_ARGUMENT,
                    "field '%s': the name is not UTF-8 without NUL", path.text);
    enum fletch_status status = check_place(builder, path.text, error);
    if (status != FLETCH_OK)
        return status;
    if (fletch_type_check(&options->type, path.text, &builder->failure) != FLETCH_OK)
        return failed(builder, error);
    const char *zone = options->type.time_zone;
    if (options->type.id == FLETCH_TYPE_TIMESTAMP && zone != NULL && !is_text(zone, strlen(zone)))
        return FAIL(builder, error, FLETCH_INVALID_ARGUMENT,
                    "field '%s': the time zone is not UTF-8", path.text);
    return check_dictionary(builder, options, path.text, error);
}

/* The type without parameters that it has not: types are compared as a whole. */
static struct fletch_type proper_type(const struct fletch_type *given)
{
    struct fletch_type type = {.id = given->id};
    switch (fletch_type_layout(given)->parameters) {
    case FLETCH_FORMAT_WIDTH:
        type.byte_width = given->byte_width;
        break;
    case FLETCH_FORMAT_PRECISION:
        type.precision = given->precision;
        type.scale = given->scale;
        break;
    case FLETCH_FORMAT_UNIT:
        type.unit = given->unit;
        break;
    case FLETCH_FORMAT_ZONE:
        type.unit = given->unit;
        type.time_zone = given->time_zone == NULL ? "" : given->time_zone;
        break;
    case FLETCH_FORMAT_SIZE:
        type.list_size = given->list_size;
        break;
    case FLETCH_FORMAT_TYPE_IDS:
        type.type_id_count = given->type_id_count;
        type.type_ids = given->type_ids;
        break;
    case FLETCH_FORMAT_PLAIN:
        type.keys_are_sorted = given->id == FLETCH_TYPE_MAP && given->keys_are_sorted;
        break;
    }
    return type;
}

/* Copies what the row says in words. */
static bool add_row_text(struct fletch_schema_builder *builder,
                         const struct fletch_field_options *options, struct fletch_schema_row *row)
{
    const struct fletch_type type = row->field.type;
    if (!add_string(builder, options->name, options->name_bytes, &row->name_offset))
        return false;
    size_t bytes = fletch_type_format(&type, NULL, 0) + 1;
    char *room = reserve_text(builder, bytes);
    if (room == NULL)
        return false;
    fletch_type_format(&type, room, bytes);
    row->format_offset = builder->text_bytes;
    builder->text_bytes += bytes;
    /* The time zone is what the format ends with. */
    row->zone_offset = builder->text_bytes - 1;
    if (type.id == FLETCH_TYPE_TIMESTAMP)
        row->zone_offset -= strlen(type.time_zone);
    return type.type_id_count == 0 || add_string(builder, (const char *)type.type_ids,
                                                 type.type_id_count, &row->type_ids_offset);
}

static void note_depth(struct fletch_schema_builder *builder, uint32_t depth)
{
    if (depth > builder->deepest)
        builder->deepest = depth;
}

static void link_row(struct fletch_schema_builder *builder, struct fletch_schema_row *row,
                     const struct fletch_type_layout *layout)
{
    row->field.parent = FLETCH_NO_INDEX;
    row->field.dictionary = FLETCH_NO_INDEX;
    row->field.first_span = builder->span_count;
    row->field.span_count = layout->span_count;
    row->field.view = FLETCH_NO_INDEX;
    if (fletch_type_is_view(row->field.type.id))
        row->field.view = builder->view_count++;
    if (builder->depth > 0) {
        row->field.parent = builder->open[builder->depth - 1];
        builder->rows[row->field.parent].field.child_count++;
    } else {
        builder->column_count++;
    }
    if (row->dictionary_values != NULL) {
        fletch_schema_acquire(row->dictionary_values);
        row->field.dictionary = builder->dictionary_count++;
    }
    builder->span_count += layout->span_count;
    builder->open[builder->depth++] = builder->row_count;
    row->field.depth = builder->depth;
    note_depth(builder, builder->depth);
    if (row->dictionary_values != NULL)
        note_depth(builder, builder->depth - 1 + row->dictionary_values->depth);
    builder->rows[builder->row_count++] = *row;
}

enum fletch_status fletch_schema_builder_open(struct fletch_schema_builder *builder,
                                              const struct fletch_field_options *options,
                                              struct fletch_error *error)
{
    if (builder->has_failed)
        return failed(builder, error);
    enum fletch_status status = check_options(builder, options, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_schema_row row = {
        .field = {.name_bytes = options->name_bytes,
                  .type = proper_type(&options->type),
                  .is_nullable = options->is_nullable},
        .dictionary_values = options->dictionary_values,
        .dictionary_id = options->dictionary_id,
        .dictionary_is_ordered = options->dictionary_is_ordered,
    };
    if (!reserve_row(builder) || !add_row_text(builder, options, &row))
        return no_memory(builder, builder->text_capacity, error);
    link_row(builder, &row, fletch_type_layout(&options->type));
    return FLETCH_OK;
}

static void put_bytes(char **room, const char *bytes, size_t byte_count)
{
    int32_t length = (int32_t)byte_count;
    memcpy(*room, &length, sizeof length);
    if (byte_count > 0)
        memcpy(*room + sizeof length, bytes, byte_count);
    *room += sizeof length + byte_count;
}

/* Appends a pair to the metadata that the text ends with, or begins it. */
static bool add_pair(struct fletch_schema_builder *builder, const struct fletch_metadata_pair *pair,
                     size_t *offset, size_t *bytes)
{
    size_t pair_bytes = 2 * sizeof(int32_t) + pair->key_bytes + pair->value_bytes;
    char *room = reserve_text(builder, TEXT_ALIGNMENT + sizeof(int32_t) + pair_bytes);
    if (room == NULL)
        return false;
    if (*bytes == 0) {
        *offset = fletch_round_up(builder->text_bytes, TEXT_ALIGNMENT);
        memset(room, 0, *offset - builder->text_bytes);
        *bytes = sizeof(int32_t);
    }
    room = builder->text + *offset + *bytes;
    put_bytes(&room, pair->key, pair->key_bytes);
    put_bytes(&room, pair->value, pair->value_bytes);
    *bytes += pair_bytes;
    builder->text_bytes = *offset + *bytes;
    return true;
}

static void put_count(struct fletch_schema_builder *builder, size_t offset, uint32_t count)
{
    int32_t number = (int32_t)count;
    memcpy(builder->text + offset, &number, sizeof number);
}

enum fletch_status fletch_schema_builder_metadata(struct fletch_schema_builder *builder,
                                                  const struct fletch_metadata_pair *pair,
                                                  struct fletch_error *error)
{
    if (builder->has_failed)
        return failed(builder, error);
    FLETCH_ASSERT(
        builder->row_count == 0 ||
        (builder->depth > 0 && builder->open[builder->depth - 1] == builder->row_count - 1));
    if (pair->key_bytes > INT32_MAX || pair->value_bytes > INT32_MAX)
        return FAIL(builder, error, FLETCH_INVALID_ARGUMENT,
                    "metadata of %zu and %zu bytes, the limit is %" PRId32 " each", pair->key_bytes,
                    pair->value_bytes, INT32_MAX);
    if (builder->row_count == 0) {
        if (!add_pair(builder, pair, &builder->metadata_offset, &builder->metadata_bytes))
            return no_memory(builder, builder->text_capacity, error);
        put_count(builder, builder->metadata_offset, ++builder->metadata_count);
        return FLETCH_OK;
    }
    struct fletch_schema_row *row = &builder->rows[builder->row_count - 1];
    struct fletch_metadata *metadata = &row->field.metadata;
    if (!add_pair(builder, pair, &row->metadata_offset, &metadata->byte_count))
        return no_memory(builder, builder->text_capacity, error);
    put_count(builder, row->metadata_offset, ++metadata->count);
    return FLETCH_OK;
}

/* How many children the field must have. */
static uint32_t children_wanted(const struct fletch_field *field)
{
    switch (fletch_type_layout(&field->type)->children) {
    case FLETCH_CHILDREN_ONE:
    case FLETCH_CHILDREN_ENTRIES:
        return 1;
    case FLETCH_CHILDREN_MEMBERS:
        return field->type.type_id_count;
    case FLETCH_CHILDREN_RUNS:
        return 2;
    case FLETCH_CHILDREN_NONE:
    case FLETCH_CHILDREN_ANY:
        break;
    }
    return field->child_count;
}

static enum fletch_status check_entries(struct fletch_schema_builder *builder,
                                        const struct fletch_field *entries, const char *path,
                                        struct fletch_error *error)
{
    if (entries->type.id == FLETCH_TYPE_STRUCT && entries->child_count == 2 &&
        entries->dictionary == FLETCH_NO_INDEX)
        return FLETCH_OK;
    return FAIL(builder, error, FLETCH_INVALID_ARGUMENT,
                "field '%s': entries of a map are %s with %" PRIu32
                " children, expected struct with 2",
                path, fletch_type_layout(&entries->type)->name, entries->child_count);
}

static enum fletch_status check_run_ends(struct fletch_schema_builder *builder,
                                         const struct fletch_field *run_ends, const char *path,
                                         struct fletch_error *error)
{
    const enum fletch_type_id id = run_ends->type.id;
    if ((id == FLETCH_TYPE_INT16 || id == FLETCH_TYPE_INT32 || id == FLETCH_TYPE_INT64) &&
        run_ends->dictionary == FLETCH_NO_INDEX)
        return FLETCH_OK;
    return FAIL(builder, error, FLETCH_INVALID_ARGUMENT,
                "field '%s': run ends are %s%s, expected int16, int32 or int64", path,
                run_ends->dictionary == FLETCH_NO_INDEX ? "" : "dictionary-encoded, ",
                fletch_type_layout(&run_ends->type)->name);
}

enum fletch_status fletch_schema_builder_close(struct fletch_schema_builder *builder,
                                               struct fletch_error *error)
{
    if (builder->has_failed)
        return failed(builder, error);
    FLETCH_ASSERT(builder->depth > 0);
    uint32_t index = builder->open[--builder->depth];
    struct fletch_field *field = &builder->rows[index].field;
    struct fletch_field_path path = fletch_schema_builder_path(
        builder, builder->text + builder->rows[index].name_offset, field->name_bytes);
    enum fletch_child_rule rule = fletch_type_layout(&field->type)->children;
    field->end = builder->row_count;
    if (field->child_count != children_wanted(field))
        return FAIL(builder, error, FLETCH_INVALID_ARGUMENT,
                    "field '%s': %s with %" PRIu32 " children, expected %" PRIu32, path.text,
                    fletch_type_layout(&field->type)->name, field->child_count,
                    children_wanted(field));
    if (rule == FLETCH_CHILDREN_ENTRIES)
        return check_entries(builder, &builder->rows[index + 1].field, path.text, error);
    if (rule == FLETCH_CHILDREN_RUNS)
        return check_run_ends(builder, &builder->rows[index + 1].field, path.text, error);
    return FLETCH_OK;
}

static void schema_end(struct fletch_shared *shared)
{
    struct fletch_schema *schema = (struct fletch_schema *)(void *)shared;
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        fletch_schema_release(schema->dictionaries[i].values);
    fletch_block_release(schema);
}

/* The parts of a schema's one block, in their order. */
struct block_layout {
    size_t fields;
    size_t dictionaries;
    size_t columns;
    size_t text;
    size_t bytes;
};

static struct block_layout block_layout(const struct fletch_schema_builder *builder)
{
    /* No overflow: the builder has as much in memory already. */
    struct block_layout layout = {
        .fields = fletch_round_up(sizeof(struct fletch_schema), TEXT_ALIGNMENT)};
    layout.dictionaries = layout.fields + builder->row_count * sizeof(struct fletch_field);
    layout.columns =
        layout.dictionaries + builder->dictionary_count * sizeof(struct fletch_schema_dictionary);
    layout.text =
        fletch_round_up(layout.columns + builder->column_count * sizeof(uint32_t), TEXT_ALIGNMENT);
    layout.bytes = layout.text + builder->text_bytes;
    return layout;
}

static struct fletch_field place_field(const struct fletch_schema_row *row, const char *text)
{
    struct fletch_field field = row->field;
    field.name = text + row->name_offset;
    field.format = text + row->format_offset;
    field.type.type_ids =
        field.type.type_id_count == 0 ? NULL : (const int8_t *)text + row->type_ids_offset;
    field.type.time_zone = field.type.id == FLETCH_TYPE_TIMESTAMP ? text + row->zone_offset : NULL;
    field.metadata.bytes = field.metadata.count == 0 ? NULL : text + row->metadata_offset;
    return field;
}

static void place_rows(struct fletch_schema_builder *builder, char *block,
                       const struct block_layout *layout)
{
    struct fletch_field *fields = (void *)(block + layout->fields);
    struct fletch_schema_dictionary *dictionaries = (void *)(block + layout->dictionaries);
    uint32_t *columns = (void *)(block + layout->columns);
    for (uint32_t i = 0; i < builder->row_count; i++) {
        struct fletch_schema_row *row = &builder->rows[i];
        fields[i] = place_field(row, block + layout->text);
        if (fields[i].parent == FLETCH_NO_INDEX)
            *columns++ = i;
        if (row->dictionary_values == NULL)
            continue;
        *dictionaries++ = (struct fletch_schema_dictionary){
            .id = row->dictionary_id,
            .is_ordered = row->dictionary_is_ordered,
            .field = i,
            .values = row->dictionary_values,
        };
        row->dictionary_values = NULL; /* the schema's now */
    }
}

enum fletch_status fletch_schema_builder_finish(struct fletch_schema_builder *builder,
                                                struct fletch_schema **out_schema,
                                                struct fletch_error *error)
{
    FLETCH_ASSERT(builder->has_failed || builder->depth == 0);
    struct block_layout layout = block_layout(builder);
    char *block =
        builder->has_failed ? NULL : fletch_block_allocate(&builder->allocator, layout.bytes);
    if (block == NULL) {
        enum fletch_status status =
            builder->has_failed ? failed(builder, error) : no_memory(builder, layout.bytes, error);
        fletch_schema_builder_deinit(builder);
        return status;
    }
    struct fletch_schema *schema = (void *)block;
    *schema = (struct fletch_schema){
        .fields = (void *)(block + layout.fields),
        .field_count = builder->row_count,
        .span_count = builder->span_count,
        .view_count = builder->view_count,
        .depth = builder->deepest,
        .columns = (void *)(block + layout.columns),
        .column_count = builder->column_count,
        .dictionaries = (void *)(block + layout.dictionaries),
        .dictionary_count = builder->dictionary_count,
        .metadata = {.bytes = builder->metadata_count == 0
                                  ? NULL
                                  : block + layout.text + builder->metadata_offset,
                     .byte_count = builder->metadata_bytes,
                     .count = builder->metadata_count},
    };
    fletch_shared_init(&schema->shared, schema_end);
    if (builder->text_bytes > 0)
        memcpy(block + layout.text, builder->text, builder->text_bytes);
    place_rows(builder, block, &layout);
    fletch_schema_builder_deinit(builder);
    *out_schema = schema;
    return FLETCH_OK;
}

/* ---- a part of another ---- */

static enum fletch_status open_like(struct fletch_schema_builder *builder,
                                    const struct fletch_schema *schema, uint32_t row,
                                    struct fletch_error *error)
{
    const struct fletch_field *field = &schema->fields[row];
    const struct fletch_schema_dictionary *dictionary = fletch_schema_dictionary_of(schema, field);
    struct fletch_field_options options = {
        .name = field->name,
        .name_bytes = field->name_bytes,
        .type = field->type,
        .is_nullable = field->is_nullable,
    };
    if (dictionary != NULL) {
        options.dictionary_values = dictionary->values;
        options.dictionary_id = dictionary->id;
        options.dictionary_is_ordered = dictionary->is_ordered;
    }
    return fletch_schema_builder_open(builder, &options, error);
}

enum fletch_status fletch_schema_of_field(const struct fletch_schema *schema, uint32_t row,
                                          const struct fletch_allocator *allocator,
                                          struct fletch_schema **out_schema,
                                          struct fletch_error *error)
{
    struct fletch_schema_builder builder;
    uint32_t ends[FLETCH_SCHEMA_DEPTH_MAX];
    enum fletch_status status = FLETCH_OK;
    fletch_schema_builder_init(&builder, allocator);
    for (uint32_t at = row; at < schema->fields[row].end && status == FLETCH_OK; at++) {
        status = open_like(&builder, schema, at, error);
        if (status == FLETCH_OK)
            ends[builder.depth - 1] = schema->fields[at].end;
        while (status == FLETCH_OK && builder.depth > 0 && ends[builder.depth - 1] == at + 1)
            status = fletch_schema_builder_close(&builder, error);
    }
    if (status == FLETCH_OK)
        return fletch_schema_builder_finish(&builder, out_schema, error);
    fletch_schema_builder_deinit(&builder);
    return status;
}
