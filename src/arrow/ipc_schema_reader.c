#include "arrow/ipc_schema_reader.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/ipc_format.h"
#include "arrow/schema_builder.h"

/* One schema being read. Names and metadata may lie in one place and be told many times, so what is
 * taken is counted against limits of its own. */
struct reading {
    struct fletch_flatbuffer *buffer;
    struct fletch_schema_builder *builder;
    const struct fletch_allocator *allocator;
    struct fletch_error *error;
    uint32_t fields_left;
    size_t text_left;
    int8_t type_ids[FLETCH_TYPE_IDS_MAX]; /* of the type that was read last */
};

static enum fletch_status read_children(struct reading *reading,
                                        const struct fletch_flatbuffer_vector *children);

static enum fletch_status check_buffer(const struct reading *reading)
{
    const struct fletch_flatbuffer *buffer = reading->buffer;
    if (buffer->failure == NULL)
        return FLETCH_OK;
    return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                            "schema's flatbuffer, byte %" PRIu32 ": %s", buffer->failure_position,
                            buffer->failure);
}

static enum fletch_status take_text(struct reading *reading, size_t bytes)
{
    if (bytes > reading->text_left)
        return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                                "names and metadata of a schema take more than the limit: %zu "
                                "bytes more where %zu are left",
                                bytes, reading->text_left);
    reading->text_left -= bytes;
    return FLETCH_OK;
}

static int32_t read_number(struct fletch_flatbuffer *buffer,
                           const struct fletch_flatbuffer_table *table,
                           const struct fletch_ipc_selector *field)
{
    switch (field->bytes) {
    case 1:
        return fletch_flatbuffer_u8(buffer, table, field->slot, (uint8_t)field->fallback);
    case 2:
        return fletch_flatbuffer_i16(buffer, table, field->slot, field->fallback);
    default:
        return fletch_flatbuffer_i32(buffer, table, field->slot, field->fallback);
    }
}

static bool is_selected(struct fletch_flatbuffer *buffer,
                        const struct fletch_flatbuffer_table *table,
                        const struct fletch_ipc_type *type)
{
    for (unsigned i = 0; i < FLETCH_IPC_SELECTORS; i++)
        if (type->selectors[i].bytes != 0 &&
            read_number(buffer, table, &type->selectors[i]) != type->selectors[i].value)
            return false;
    return true;
}

/* A union's type ids; without them, those of `child_count` children are 0, 1, … */
static enum fletch_status read_type_ids(struct reading *reading,
                                        const struct fletch_flatbuffer_table *table,
                                        uint32_t child_count, struct fletch_type *type)
{
    struct fletch_flatbuffer_vector told =
        fletch_flatbuffer_vector(reading->buffer, table, 1, sizeof(int32_t));
    uint32_t count = told.elements == NULL ? child_count : told.count;
    if (count > FLETCH_TYPE_IDS_MAX)
        return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                                "a union of %" PRIu32 " type ids, expected at most %d", count,
                                FLETCH_TYPE_IDS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        int32_t id = (int32_t)i;
        if (told.elements != NULL)
            id = fletch_flatbuffer_load_i32(told.elements + i * sizeof id);
        if (id < 0 || id >= FLETCH_TYPE_IDS_MAX)
            return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                                    "a union with type id %" PRId32 ", expected 0 to %d", id,
                                    FLETCH_TYPE_IDS_MAX - 1);
        reading->type_ids[i] = (int8_t)id;
    }
    type->type_ids = reading->type_ids;
    type->type_id_count = (uint8_t)count;
    return FLETCH_OK;
}

/* The parameters of `type`, whose id is known. */
static enum fletch_status read_parameters(struct reading *reading,
                                          const struct fletch_flatbuffer_table *table,
                                          struct fletch_type *type)
{
    struct fletch_flatbuffer *buffer = reading->buffer;
    enum fletch_format_parameters parameters = fletch_type_layout(type)->parameters;
    int16_t default_unit =
        type->id == FLETCH_TYPE_TIMESTAMP ? FLETCH_UNIT_SECOND : FLETCH_UNIT_MILLI;
    if (parameters == FLETCH_FORMAT_WIDTH)
        type->byte_width = fletch_flatbuffer_i32(buffer, table, 0, 0);
    if (parameters == FLETCH_FORMAT_PRECISION) {
        type->precision = fletch_flatbuffer_i32(buffer, table, 0, 0);
        type->scale = fletch_flatbuffer_i32(buffer, table, 1, 0);
    }
    if (parameters == FLETCH_FORMAT_UNIT || parameters == FLETCH_FORMAT_ZONE)
        type->unit = (enum fletch_time_unit)fletch_flatbuffer_i16(buffer, table, 0, default_unit);
    if (parameters == FLETCH_FORMAT_SIZE)
        type->list_size = fletch_flatbuffer_i32(buffer, table, 0, 0);
    if (type->id == FLETCH_TYPE_MAP)
        type->keys_are_sorted = fletch_flatbuffer_u8(buffer, table, 0, 0) != 0;
    if (parameters != FLETCH_FORMAT_ZONE)
        return FLETCH_OK;
    struct fletch_flatbuffer_string zone = fletch_flatbuffer_string(buffer, table, 1);
    type->time_zone = zone.text == NULL ? "" : zone.text; /* ends with NUL: that was checked */
    if (strlen(type->time_zone) != zone.bytes)
        return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                                "time zone of %" PRIu32 " bytes has a NUL after %zu", zone.bytes,
                                strlen(type->time_zone));
    return take_text(reading, zone.bytes);
}

static enum fletch_status read_type(struct reading *reading, uint8_t union_type,
                                    const struct fletch_flatbuffer_table *table,
                                    struct fletch_type *out_type)
{
    *out_type = (struct fletch_type){.id = FLETCH_TYPE_COUNT};
    for (int id = 0; id < FLETCH_TYPE_COUNT; id++) {
        if (fletch_ipc_types[id].union_type != union_type ||
            !is_selected(reading->buffer, table, &fletch_ipc_types[id]))
            continue;
        out_type->id = (enum fletch_type_id)id;
        return read_parameters(reading, table, out_type);
    }
    enum fletch_status status = check_buffer(reading);
    if (status != FLETCH_OK)
        return status;
    return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                            "type %u of the schema's flatbuffer, byte %" PRIu32
                            ", is none of Arrow's, or has other parameters than it may",
                            union_type, table->position);
}

static enum fletch_status read_metadata(struct reading *reading,
                                        const struct fletch_flatbuffer_table *table, unsigned slot)
{
    struct fletch_flatbuffer *buffer = reading->buffer;
    struct fletch_flatbuffer_vector pairs = fletch_flatbuffer_vector(buffer, table, slot, 4);
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; i < pairs.count && status == FLETCH_OK; i++) {
        struct fletch_flatbuffer_table pair = fletch_flatbuffer_table_at(buffer, &pairs, i);
        struct fletch_flatbuffer_string key =
            fletch_flatbuffer_string(buffer, &pair, FLETCH_PAIR_KEY);
        struct fletch_flatbuffer_string value =
            fletch_flatbuffer_string(buffer, &pair, FLETCH_PAIR_VALUE);
        const struct fletch_metadata_pair taken = {
            .key = key.text == NULL ? "" : key.text,
            .key_bytes = key.bytes,
            .value = value.text == NULL ? "" : value.text,
            .value_bytes = value.bytes,
        };
        status = take_text(reading, (size_t)key.bytes + value.bytes + 8);
        if (status == FLETCH_OK)
            status = fletch_schema_builder_metadata(reading->builder, &taken, reading->error);
    }
    return status == FLETCH_OK ? check_buffer(reading) : status;
}

/* The values' schema of a dictionary: one column with the type and the children that the field
 * tells, which are those of its values. */
static enum fletch_status read_values(struct reading *reading,
                                      const struct fletch_flatbuffer_table *field,
                                      const struct fletch_field_options *options,
                                      struct fletch_schema **out_values)
{
    struct fletch_schema_builder builder;
    fletch_schema_builder_init(&builder, reading->allocator);
    struct reading values = *reading;
    values.builder = &builder;
    builder.base_depth = reading->builder->base_depth + reading->builder->depth;
    struct fletch_field_options column = {
        .name = "",
        .type = options->type,
        .is_nullable = true,
    };
    struct fletch_flatbuffer_vector children =
        fletch_flatbuffer_vector(reading->buffer, field, FLETCH_FIELD_CHILDREN, 4);
    enum fletch_status status = fletch_schema_builder_open(&builder, &column, reading->error);
    if (status == FLETCH_OK)
        status = read_children(&values, &children);
    if (status == FLETCH_OK)
        status = fletch_schema_builder_close(&builder, reading->error);
    reading->fields_left = values.fields_left;
    reading->text_left = values.text_left;
    if (status == FLETCH_OK)
        return fletch_schema_builder_finish(&builder, out_values, reading->error);
    fletch_schema_builder_deinit(&builder);
    return status;
}

/* Turns the options of a field, which has an encoding, from its values' type to its indices'. */
static enum fletch_status read_encoding(struct reading *reading,
                                        const struct fletch_flatbuffer_table *field,
                                        const struct fletch_flatbuffer_table *encoding,
                                        struct fletch_field_options *options)
{
    struct fletch_flatbuffer *buffer = reading->buffer;
    int16_t kind = fletch_flatbuffer_i16(buffer, encoding, FLETCH_ENCODING_KIND, 0);
    if (kind != 0)
        return fletch_error_set(reading->error, FLETCH_UNIMPLEMENTED,
                                "dictionary of kind %d, expected 0 (an array)", kind);
    enum fletch_status status = read_values(reading, field, options, &options->dictionary_values);
    if (status != FLETCH_OK)
        return status;
    options->dictionary_id = fletch_flatbuffer_i64(buffer, encoding, FLETCH_ENCODING_ID, 0);
    options->dictionary_is_ordered =
        fletch_flatbuffer_u8(buffer, encoding, FLETCH_ENCODING_IS_ORDERED, 0) != 0;
    struct fletch_flatbuffer_table index =
        fletch_flatbuffer_table(buffer, encoding, FLETCH_ENCODING_INDEX_TYPE);
    options->type = (struct fletch_type){.id = FLETCH_TYPE_INT32};
    return index.position == 0 ? check_buffer(reading)
                               : read_type(reading, FLETCH_IPC_TYPE_INT, &index, &options->type);
}

static enum fletch_status open_field(struct reading *reading,
                                     const struct fletch_flatbuffer_table *field,
                                     bool *out_is_encoded)
{
    struct fletch_flatbuffer *buffer = reading->buffer;
    struct fletch_flatbuffer_string name =
        fletch_flatbuffer_string(buffer, field, FLETCH_FIELD_NAME);
    struct fletch_flatbuffer_table type = fletch_flatbuffer_table(buffer, field, FLETCH_FIELD_TYPE);
    struct fletch_flatbuffer_table encoding =
        fletch_flatbuffer_table(buffer, field, FLETCH_FIELD_DICTIONARY);
    *out_is_encoded = encoding.position != 0;
    struct fletch_field_options options = {
        .name = name.text == NULL ? "" : name.text,
        .name_bytes = name.bytes,
        .is_nullable = fletch_flatbuffer_u8(buffer, field, FLETCH_FIELD_NULLABLE, 0) != 0,
    };
    enum fletch_status status = take_text(reading, name.bytes);
    if (status == FLETCH_OK)
        status = read_type(reading, fletch_flatbuffer_u8(buffer, field, FLETCH_FIELD_TYPE_TYPE, 0),
                           &type, &options.type);
    if (status == FLETCH_OK && fletch_type_is_union(options.type.id))
        status = read_type_ids(
            reading, &type, fletch_flatbuffer_vector(buffer, field, FLETCH_FIELD_CHILDREN, 4).count,
            &options.type);
    if (status == FLETCH_OK && *out_is_encoded)
        status = read_encoding(reading, field, &encoding, &options);
    if (status == FLETCH_OK)
        status = check_buffer(reading);
    if (status == FLETCH_OK)
        status = fletch_schema_builder_open(reading->builder, &options, reading->error);
    fletch_schema_release(options.dictionary_values);
    return status;
}

static enum fletch_status read_field(struct reading *reading,
                                     const struct fletch_flatbuffer_table *field)
{
    bool is_encoded = false;
    enum fletch_status status = open_field(reading, field, &is_encoded);
    if (status == FLETCH_OK)
        status = read_metadata(reading, field, FLETCH_FIELD_METADATA);
    if (status == FLETCH_OK && !is_encoded) {
        struct fletch_flatbuffer_vector children =
            fletch_flatbuffer_vector(reading->buffer, field, FLETCH_FIELD_CHILDREN, 4);
        status = read_children(reading, &children);
    }
    return status == FLETCH_OK ? fletch_schema_builder_close(reading->builder, reading->error)
                               : status;
}

/* Descends as far as the builder lets fields be opened in each other, and no further. */
static enum fletch_status read_children(struct reading *reading,
                                        const struct fletch_flatbuffer_vector *children)
{
    if (children->count > reading->fields_left)
        return fletch_error_set(reading->error, FLETCH_INVALID_ARGUMENT,
                                "a schema has more fields than the limit: %" PRIu32
                                " more where %" PRIu32 " are left",
                                children->count, reading->fields_left);
    reading->fields_left -= children->count;
    enum fletch_status status = check_buffer(reading);
    for (uint32_t i = 0; i < children->count && status == FLETCH_OK; i++) {
        struct fletch_flatbuffer_table child =
            fletch_flatbuffer_table_at(reading->buffer, children, i);
        status = check_buffer(reading);
        if (status == FLETCH_OK)
            status = read_field(reading, &child);
    }
    return status;
}

/* What the schema says of all that follows: its order of bytes, and what a reader must know. */
static enum fletch_status check_head(struct fletch_flatbuffer *buffer,
                                     const struct fletch_flatbuffer_table *table,
                                     struct fletch_error *error)
{
    int16_t endianness = fletch_flatbuffer_i16(buffer, table, FLETCH_SCHEMA_ENDIANNESS, 0);
    struct fletch_flatbuffer_vector features =
        fletch_flatbuffer_vector(buffer, table, FLETCH_SCHEMA_FEATURES, sizeof(int64_t));
    if (endianness != FLETCH_IPC_LITTLE_ENDIAN && endianness != FLETCH_IPC_BIG_ENDIAN)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "the schema has endianness %d, expected 0 (little) or 1 (big)",
                                endianness);
    for (uint32_t i = 0; i < features.count; i++) {
        int64_t feature = fletch_flatbuffer_load_i64(features.elements + i * sizeof feature);
        if (feature < 0 || feature > FLETCH_IPC_FEATURE_COMPRESSION)
            return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                    "the schema says that its reader must know feature %" PRId64
                                    ", which this version does not",
                                    feature);
    }
    return FLETCH_OK;
}

bool fletch_ipc_schema_is_big_endian(struct fletch_flatbuffer *buffer,
                                     const struct fletch_flatbuffer_table *table)
{
    return fletch_flatbuffer_i16(buffer, table, FLETCH_SCHEMA_ENDIANNESS, 0) ==
           FLETCH_IPC_BIG_ENDIAN;
}

enum fletch_status fletch_ipc_schema_read(struct fletch_flatbuffer *buffer,
                                          const struct fletch_flatbuffer_table *table,
                                          const struct fletch_ipc_schema_options *options,
                                          struct fletch_schema **out_schema,
                                          struct fletch_error *error)
{
    enum fletch_status status = check_head(buffer, table, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_schema_builder builder;
    fletch_schema_builder_init(&builder, &options->allocator);
    struct reading reading = {
        .buffer = buffer,
        .builder = &builder,
        .allocator = &options->allocator,
        .error = error,
        .fields_left = options->fields,
        .text_left = options->text_bytes,
    };
    struct fletch_flatbuffer_vector fields =
        fletch_flatbuffer_vector(buffer, table, FLETCH_SCHEMA_FIELDS, 4);
    status = read_metadata(&reading, table, FLETCH_SCHEMA_METADATA);
    if (status == FLETCH_OK)
        status = read_children(&reading, &fields);
    if (status == FLETCH_OK)
        return fletch_schema_builder_finish(&builder, out_schema, error);
    fletch_schema_builder_deinit(&builder);
    return status;
}
