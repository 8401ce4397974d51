#include "flight/flight_schema.h"

#include <string.h>

#include <fletching/ipc_reader.h>

#include "arrow/ipc_message.h"
#include "arrow/ipc_schema_reader.h"
#include "arrow/ipc_schema_writer.h"
#include "base/allocator.h"

#define BIT(slot) (UINT32_C(1) << (slot))

/* The flatbuffer, or, where `bytes` is NULL, how many bytes it takes; 0: too many. */
static size_t write_flatbuffer(const struct fletch_schema *schema, uint8_t *bytes, size_t capacity)
{
    static const uint8_t type = FLETCH_IPC_HEADER_SCHEMA;
    static const int16_t version = FLETCH_IPC_V5;
    const struct fletch_flatbuffer_layout *layout = &fletch_ipc_message_layout;
    struct fletch_flatbuffer_writer writer;
    fletch_flatbuffer_begin(&writer, bytes, capacity);
    uint32_t table = fletch_flatbuffer_add_table(
        &writer, layout,
        BIT(FLETCH_MESSAGE_VERSION) | BIT(FLETCH_MESSAGE_HEADER_TYPE) | BIT(FLETCH_MESSAGE_HEADER));
    fletch_flatbuffer_set(&writer, fletch_flatbuffer_field(layout, table, FLETCH_MESSAGE_VERSION),
                          &version, sizeof version);
    fletch_flatbuffer_set(&writer,
                          fletch_flatbuffer_field(layout, table, FLETCH_MESSAGE_HEADER_TYPE), &type,
                          sizeof type);
    fletch_flatbuffer_refer(&writer, fletch_flatbuffer_field(layout, table, FLETCH_MESSAGE_HEADER),
                            fletch_ipc_schema_write(&writer, schema));
    fletch_flatbuffer_pad(&writer, 8);
    return writer.overflowed || writer.size > INT32_MAX - FLETCH_IPC_PREFIX_BYTES ? 0 : writer.size;
}

size_t fletch_flight_schema_measure(const struct fletch_schema *schema)
{
    size_t bytes = write_flatbuffer(schema, NULL, 0);
    return bytes == 0 ? 0 : FLETCH_IPC_PREFIX_BYTES + bytes;
}

void fletch_flight_schema_write(const struct fletch_schema *schema, uint8_t *to, size_t bytes)
{
    const uint32_t words[2] = {FLETCH_IPC_CONTINUATION,
                               (uint32_t)(bytes - FLETCH_IPC_PREFIX_BYTES)};
    memcpy(to, words, sizeof words);
    (void)write_flatbuffer(schema, to + FLETCH_IPC_PREFIX_BYTES, bytes - FLETCH_IPC_PREFIX_BYTES);
}

/* Takes the prefix off. */
static enum fletch_status unwrap(struct fletch_flight_bytes *message, struct fletch_error *error)
{
    const uint8_t *at = message->data;
    size_t left = message->bytes;
    uint32_t word = FLETCH_IPC_CONTINUATION;
    for (int i = 0; i < 2 && word == FLETCH_IPC_CONTINUATION; i++) {
        if (left < sizeof word)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "a schema message of %zu bytes",
                                    message->bytes);
        memcpy(&word, at, sizeof word);
        at += sizeof word;
        left -= sizeof word;
    }
    if (word > left)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a schema message tells %u bytes and has %zu", word, left);
    *message = (struct fletch_flight_bytes){at, word};
    return FLETCH_OK;
}

enum fletch_status fletch_flight_schema_read(struct fletch_flight_bytes message,
                                             const struct fletch_allocator *allocator,
                                             struct fletch_schema **out_schema,
                                             struct fletch_error *error)
{
    const struct fletch_ipc_schema_options options = {
        .allocator = fletch_allocator_or_default(allocator),
        .fields = FLETCH_IPC_FIELDS_DEFAULT,
        .text_bytes = FLETCH_IPC_METADATA_BYTES_DEFAULT,
    };
    struct fletch_ipc_message opened;
    enum fletch_status status = unwrap(&message, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_message_open(&opened, message.data, message.bytes, 0, error);
    if (status == FLETCH_OK && opened.type != FLETCH_IPC_HEADER_SCHEMA)
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                  "an ipc message of type %d where a schema was expected",
                                  (int)opened.type);
    if (status == FLETCH_OK)
        status =
            fletch_ipc_schema_read(&opened.buffer, &opened.header, &options, out_schema, error);
    return status;
}
