#include "support/turned_ipc.h"

#include <string.h>

#include "arrow/ipc_message.h"
#include "support/cmocka_tests.h"

static void reverse(uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        uint8_t byte = bytes[i];
        bytes[i] = bytes[count - 1 - i];
        bytes[count - 1 - i] = byte;
    }
}

/* The numbers that a value is made of: their bytes one after the other; 0 ends. */
static const uint8_t *numbers_of(const struct fletch_type *type, enum fletch_span_kind kind)
{
    static uint8_t one[2];
    if (kind == FLETCH_SPAN_VALUES && type->id == FLETCH_TYPE_INTERVAL_DAY_TIME)
        return (const uint8_t *)"\4\4";
    if (kind == FLETCH_SPAN_VALUES && type->id == FLETCH_TYPE_INTERVAL_MONTH_DAY_NANO)
        return (const uint8_t *)"\4\4\10";
    one[0] = 1;
    if (kind == FLETCH_SPAN_OFFSETS32 || kind == FLETCH_SPAN_STARTS32 ||
        kind == FLETCH_SPAN_SIZES32)
        one[0] = 4;
    if (kind == FLETCH_SPAN_OFFSETS64 || kind == FLETCH_SPAN_STARTS64 ||
        kind == FLETCH_SPAN_SIZES64)
        one[0] = 8;
    if (kind == FLETCH_SPAN_VALUES && type->id != FLETCH_TYPE_FIXED_SIZE_BINARY)
        one[0] = (uint8_t)fletch_type_byte_width(type);
    return one;
}

/* Length, and behind 4 bytes of a longer one its place, as they are on this machine. */
static void turn_view(uint8_t *bytes)
{
    int32_t length;
    memcpy(&length, bytes, sizeof length);
    reverse(bytes, 4);
    if (length <= 12)
        return;
    reverse(bytes + 8, 4);
    reverse(bytes + 12, 4);
}

void turn_span(const struct fletch_type *type, enum fletch_span_kind kind, uint8_t *bytes,
               size_t count)
{
    if (kind == FLETCH_SPAN_VIEWS) {
        for (size_t at = 0; at + 16 <= count; at += 16)
            turn_view(bytes + at);
        return;
    }
    const uint8_t *numbers = numbers_of(type, kind);
    size_t at = 0;
    for (;;) {
        for (const uint8_t *number = numbers; *number != 0; number++) {
            if (at + *number > count)
                return;
            reverse(bytes + at, *number);
            at += *number;
        }
    }
}

/* The values of dictionary `id`, wherever it is. */
static const struct fletch_schema *values_of(const struct fletch_schema *schema, int64_t id)
{
    const struct fletch_schema *found = NULL;
    for (uint32_t i = 0; i < schema->dictionary_count && found == NULL; i++) {
        found = schema->dictionaries[i].values;
        if (schema->dictionaries[i].id != id)
            found = values_of(found, id);
    }
    return found;
}

/* The schema of a dictionary message, or of the batch. */
static const struct fletch_schema *schema_of(const struct fletch_schema *schema,
                                             struct fletch_ipc_message *message,
                                             struct fletch_flatbuffer_table *out_table)
{
    *out_table = message->header;
    if (message->type != FLETCH_IPC_HEADER_DICTIONARY)
        return schema;
    *out_table =
        fletch_flatbuffer_table(&message->buffer, &message->header, FLETCH_DICTIONARY_DATA);
    int64_t id = fletch_flatbuffer_i64(&message->buffer, &message->header, FLETCH_DICTIONARY_ID, 0);
    return values_of(schema, id);
}

static void turn_body(const struct fletch_schema *of_batches, struct fletch_ipc_message *message,
                      uint8_t *body)
{
    struct fletch_flatbuffer_table table;
    struct fletch_ipc_batch_header header;
    const struct fletch_schema *schema = schema_of(of_batches, message, &table);
    assert_ok(fletch_ipc_batch_header_open(message, &table, &header, NULL));
    const uint8_t *told = header.buffers.elements;
    for (uint32_t row = 0; row < schema->field_count; row++) {
        const struct fletch_type *type = &schema->fields[row].type;
        for (uint32_t i = 0; i < schema->fields[row].span_count; i++, told += 16)
            turn_span(type, (enum fletch_span_kind)fletch_type_layout(type)->spans[i],
                      body + fletch_flatbuffer_load_i64(told),
                      (size_t)fletch_flatbuffer_load_i64(told + 8));
        if (schema->fields[row].view != FLETCH_NO_INDEX)
            told += 16 * fletch_flatbuffer_load_i64(header.variadic.elements +
                                                    8 * schema->fields[row].view);
    }
}

uint64_t turn_message(const struct fletch_schema *schema, uint8_t *metadata, size_t bytes,
                      uint8_t *body)
{
    struct fletch_ipc_message message;
    assert_ok(fletch_ipc_message_open(&message, metadata, bytes, UINT64_MAX, NULL));
    if (message.type == FLETCH_IPC_HEADER_SCHEMA)
        metadata[message.header.position +
                 fletch_ipc_schema_layout.offsets[FLETCH_SCHEMA_ENDIANNESS]] = 1;
    else
        turn_body(schema, &message, body);
    return message.body_bytes;
}

void turn_stream(const struct fletch_schema *schema, uint8_t *bytes, size_t size)
{
    uint32_t prefix[2];
    for (size_t at = 0; at + sizeof prefix < size;) {
        memcpy(prefix, bytes + at, sizeof prefix);
        at += sizeof prefix;
        uint8_t *body = bytes + at + prefix[1];
        at += prefix[1] + turn_message(schema, bytes + at, prefix[1], body);
    }
}
