#include "arrow/ipc_schema_writer.h"

#include <string.h>

#include "arrow/ipc_format.h"

#define BIT(slot) (1U << (slot))

static void set_number(struct fletch_flatbuffer_writer *writer, uint32_t field, int64_t value,
                       size_t bytes)
{
    fletch_flatbuffer_set(writer, field, &value, bytes); /* little-endian: the low bytes */
}

uint32_t fletch_ipc_metadata_write(struct fletch_flatbuffer_writer *writer,
                                   const struct fletch_metadata *metadata)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_pair_layout;
    uint32_t element;
    uint32_t vector = fletch_flatbuffer_add_vector(writer, metadata->count, 4, 4, &element);
    struct fletch_metadata_pair pair;
    size_t position = 0;
    while (fletch_metadata_next(metadata, &position, &pair)) {
        uint32_t table = fletch_flatbuffer_add_table(writer, layout,
                                                     BIT(FLETCH_PAIR_KEY) | BIT(FLETCH_PAIR_VALUE));
        fletch_flatbuffer_refer(writer, element, table);
        element += 4;
        fletch_flatbuffer_refer(writer, fletch_flatbuffer_field(layout, table, FLETCH_PAIR_KEY),
                                fletch_flatbuffer_add_string(writer, pair.key, pair.key_bytes));
        fletch_flatbuffer_refer(writer, fletch_flatbuffer_field(layout, table, FLETCH_PAIR_VALUE),
                                fletch_flatbuffer_add_string(writer, pair.value, pair.value_bytes));
    }
    return vector;
}

/* The number that parameter `slot` of a type has on the wire, and its bytes; 0: none. */
static size_t parameter_of(const struct fletch_type *type, unsigned slot, int64_t *out_value)
{
    enum fletch_format_parameters parameters = fletch_type_layout(type)->parameters;
    if (parameters == FLETCH_FORMAT_WIDTH && slot == 0) {
        *out_value = type->byte_width;
        return 4;
    }
    if (parameters == FLETCH_FORMAT_SIZE && slot == 0) {
        *out_value = type->list_size;
        return 4;
    }
    if (parameters == FLETCH_FORMAT_PRECISION && slot < 2) {
        *out_value = slot == 0 ? type->precision : type->scale;
        return 4;
    }
    if ((parameters == FLETCH_FORMAT_UNIT || parameters == FLETCH_FORMAT_ZONE) && slot == 0) {
        *out_value = type->unit;
        return 2;
    }
    if (type->id == FLETCH_TYPE_MAP && slot == 0) {
        *out_value = type->keys_are_sorted;
        return 1;
    }
    const struct fletch_ipc_selector *selectors = fletch_ipc_types[type->id].selectors;
    for (unsigned i = 0; i < FLETCH_IPC_SELECTORS; i++) {
        if (selectors[i].bytes == 0 || selectors[i].slot != slot)
            continue;
        *out_value = selectors[i].value;
        return selectors[i].bytes;
    }
    return 0;
}

static uint32_t write_type_ids(struct fletch_flatbuffer_writer *writer,
                               const struct fletch_type *type)
{
    uint32_t element;
    uint32_t vector =
        fletch_flatbuffer_add_vector(writer, type->type_id_count, sizeof(int32_t), 4, &element);
    for (uint32_t i = 0; i < type->type_id_count; i++, element += sizeof(int32_t))
        set_number(writer, element, type->type_ids[i], sizeof(int32_t));
    return vector;
}

static uint32_t write_type(struct fletch_flatbuffer_writer *writer, const struct fletch_type *type)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_type_layout;
    bool has_zone = type->time_zone != NULL && type->time_zone[0] != 0;
    bool is_union = fletch_type_is_union(type->id);
    uint32_t present = has_zone || is_union ? BIT(1) : 0;
    int64_t value = 0;
    for (unsigned slot = 0; slot < layout->slot_count; slot++)
        if (parameter_of(type, slot, &value) != 0)
            present |= BIT(slot);
    uint32_t table = fletch_flatbuffer_add_table(writer, layout, present);
    for (unsigned slot = 0; slot < layout->slot_count; slot++) {
        size_t bytes = parameter_of(type, slot, &value);
        set_number(writer, fletch_flatbuffer_field(layout, table, slot), value, bytes);
    }
    if (is_union)
        fletch_flatbuffer_refer(writer, fletch_flatbuffer_field(layout, table, 1),
                                write_type_ids(writer, type));
    if (has_zone)
        fletch_flatbuffer_refer(
            writer, fletch_flatbuffer_field(layout, table, 1),
            fletch_flatbuffer_add_string(writer, type->time_zone, strlen(type->time_zone)));
    return table;
}

static uint32_t write_encoding(struct fletch_flatbuffer_writer *writer,
                               const struct fletch_schema_dictionary *dictionary,
                               const struct fletch_type *index_type)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_encoding_layout;
    uint32_t table =
        fletch_flatbuffer_add_table(writer, layout,
                                    BIT(FLETCH_ENCODING_ID) | BIT(FLETCH_ENCODING_INDEX_TYPE) |
                                        BIT(FLETCH_ENCODING_IS_ORDERED));
    set_number(writer, fletch_flatbuffer_field(layout, table, FLETCH_ENCODING_ID), dictionary->id,
               8);
    set_number(writer, fletch_flatbuffer_field(layout, table, FLETCH_ENCODING_IS_ORDERED),
               dictionary->is_ordered, 1);
    fletch_flatbuffer_refer(writer,
                            fletch_flatbuffer_field(layout, table, FLETCH_ENCODING_INDEX_TYPE),
                            write_type(writer, index_type));
    return table;
}

static uint32_t write_fields(struct fletch_flatbuffer_writer *writer,
                             const struct fletch_schema *schema, uint32_t row, uint32_t end);

static uint32_t write_field(struct fletch_flatbuffer_writer *writer,
                            const struct fletch_schema *schema, uint32_t row)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_field_layout;
    const struct fletch_field *field = &schema->fields[row];
    const struct fletch_schema_dictionary *dictionary = fletch_schema_dictionary_of(schema, field);
    /* Type and children on the wire are those of the values. */
    const struct fletch_schema *described = dictionary == NULL ? schema : dictionary->values;
    uint32_t described_row = dictionary == NULL ? row : 0;
    const struct fletch_field *values = &described->fields[described_row];

    uint32_t present = BIT(FLETCH_FIELD_NAME) | BIT(FLETCH_FIELD_NULLABLE) |
                       BIT(FLETCH_FIELD_TYPE_TYPE) | BIT(FLETCH_FIELD_TYPE) |
                       BIT(FLETCH_FIELD_CHILDREN);
    if (dictionary != NULL)
        present |= BIT(FLETCH_FIELD_DICTIONARY);
    if (field->metadata.count != 0)
        present |= BIT(FLETCH_FIELD_METADATA);
    uint32_t table = fletch_flatbuffer_add_table(writer, layout, present);
    set_number(writer, fletch_flatbuffer_field(layout, table, FLETCH_FIELD_NULLABLE),
               field->is_nullable, 1);
    set_number(writer, fletch_flatbuffer_field(layout, table, FLETCH_FIELD_TYPE_TYPE),
               fletch_ipc_types[values->type.id].union_type, 1);
    fletch_flatbuffer_refer(writer, fletch_flatbuffer_field(layout, table, FLETCH_FIELD_NAME),
                            fletch_flatbuffer_add_string(writer, field->name, field->name_bytes));
    fletch_flatbuffer_refer(writer, fletch_flatbuffer_field(layout, table, FLETCH_FIELD_TYPE),
                            write_type(writer, &values->type));
    if (dictionary != NULL)
        fletch_flatbuffer_refer(writer,
                                fletch_flatbuffer_field(layout, table, FLETCH_FIELD_DICTIONARY),
                                write_encoding(writer, dictionary, &field->type));
    fletch_flatbuffer_refer(writer, fletch_flatbuffer_field(layout, table, FLETCH_FIELD_CHILDREN),
                            write_fields(writer, described, described_row + 1, values->end));
    if (field->metadata.count != 0)
        fletch_flatbuffer_refer(writer,
                                fletch_flatbuffer_field(layout, table, FLETCH_FIELD_METADATA),
                                fletch_ipc_metadata_write(writer, &field->metadata));
    return table;
}

/* The fields that follow each other from `row` to `end`; as deep as a schema may be. */
static uint32_t write_fields(struct fletch_flatbuffer_writer *writer,
                             const struct fletch_schema *schema, uint32_t row, uint32_t end)
{
    uint32_t count = 0;
    for (uint32_t i = row; i < end; i = schema->fields[i].end)
        count++;
    uint32_t element;
    uint32_t vector = fletch_flatbuffer_add_vector(writer, count, 4, 4, &element);
    for (; row < end; row = schema->fields[row].end) {
        fletch_flatbuffer_refer(writer, element, write_field(writer, schema, row));
        element += 4;
    }
    return vector;
}

uint32_t fletch_ipc_schema_write(struct fletch_flatbuffer_writer *writer,
                                 const struct fletch_schema *schema)
{
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_schema_layout;
    uint32_t present = BIT(FLETCH_SCHEMA_ENDIANNESS) | BIT(FLETCH_SCHEMA_FIELDS);
    if (schema->metadata.count != 0)
        present |= BIT(FLETCH_SCHEMA_METADATA);
    uint32_t table = fletch_flatbuffer_add_table(writer, layout, present);
    fletch_flatbuffer_refer(writer, fletch_flatbuffer_field(layout, table, FLETCH_SCHEMA_FIELDS),
                            write_fields(writer, schema, 0, schema->field_count));
    if (schema->metadata.count != 0)
        fletch_flatbuffer_refer(writer,
                                fletch_flatbuffer_field(layout, table, FLETCH_SCHEMA_METADATA),
                                fletch_ipc_metadata_write(writer, &schema->metadata));
    return table;
}
