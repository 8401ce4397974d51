#include "arrow/ipc_message.h"

#include <inttypes.h>
#include <string.h>

static const char *const header_names[] = {
    [FLETCH_IPC_HEADER_NONE] = "none",
    [FLETCH_IPC_HEADER_SCHEMA] = "schema",
    [FLETCH_IPC_HEADER_DICTIONARY] = "dictionary batch",
    [FLETCH_IPC_HEADER_BATCH] = "record batch",
    [FLETCH_IPC_HEADER_TENSOR] = "tensor",
    [FLETCH_IPC_HEADER_SPARSE_TENSOR] = "sparse tensor",
};

enum fletch_status fletch_ipc_message_check(const struct fletch_ipc_message *message,
                                            const char *what, struct fletch_error *error)
{
    const struct fletch_flatbuffer *buffer = &message->buffer;
    if (buffer->failure == NULL)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "%s's flatbuffer, byte %" PRIu32 " of %" PRIu32 ": %s", what,
                            buffer->failure_position, buffer->size, buffer->failure);
}

static enum fletch_status check_head(const struct fletch_ipc_message *message, int16_t version,
                                     uint8_t type, struct fletch_error *error)
{
    if (version != FLETCH_IPC_V4 && version != FLETCH_IPC_V5)
        return fletch_error_set(
            error, version > FLETCH_IPC_V5 ? FLETCH_UNIMPLEMENTED : FLETCH_INVALID_ARGUMENT,
            "message has metadata version V%d, expected V4 or V5", version + 1);
    if (type == FLETCH_IPC_HEADER_TENSOR || type == FLETCH_IPC_HEADER_SPARSE_TENSOR)
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                "message of type %s, which is not implemented", header_names[type]);
    if (type == FLETCH_IPC_HEADER_NONE || type > FLETCH_IPC_HEADER_SPARSE_TENSOR)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "message of type %u, expected 1 (schema) to 3 (record batch)",
                                type);
    if (message->header.position == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "message of type %s has no header",
                                header_names[type]);
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_message_open(struct fletch_ipc_message *message, const void *bytes,
                                           size_t size, uint64_t body_limit,
                                           struct fletch_error *error)
{
    struct fletch_flatbuffer *buffer = &message->buffer;
    message->table = fletch_flatbuffer_open(buffer, bytes, size);
    const struct fletch_flatbuffer_table *table = &message->table;
    int16_t version = fletch_flatbuffer_i16(buffer, table, FLETCH_MESSAGE_VERSION, 0);
    uint8_t type = fletch_flatbuffer_u8(buffer, table, FLETCH_MESSAGE_HEADER_TYPE, 0);
    int64_t body = fletch_flatbuffer_i64(buffer, table, FLETCH_MESSAGE_BODY_LENGTH, 0);
    message->header = fletch_flatbuffer_table(buffer, table, FLETCH_MESSAGE_HEADER);
    enum fletch_status status = fletch_ipc_message_check(message, "message", error);
    if (status == FLETCH_OK)
        status = check_head(message, version, type, error);
    if (status != FLETCH_OK)
        return status;
    if (body < 0 || (uint64_t)body > body_limit)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "%s has a body of %" PRId64 " bytes, expected 0 to %" PRIu64,
                                header_names[type], body, body_limit);
    message->version = (enum fletch_ipc_version)version;
    message->type = (enum fletch_ipc_header)type;
    message->body_bytes = (uint64_t)body;
    return FLETCH_OK;
}

static enum fletch_status read_compression(struct fletch_ipc_message *message,
                                           const struct fletch_flatbuffer_table *compression,
                                           enum fletch_codec *out_codec, struct fletch_error *error)
{
    struct fletch_flatbuffer *buffer = &message->buffer;
    uint8_t codec = fletch_flatbuffer_u8(buffer, compression, FLETCH_COMPRESSION_CODEC, 0);
    uint8_t method = fletch_flatbuffer_u8(buffer, compression, FLETCH_COMPRESSION_METHOD, 0);
    enum fletch_status status = fletch_ipc_message_check(message, "compression", error);
    if (status != FLETCH_OK)
        return status;
    if (codec + 1 > FLETCH_CODEC_ZSTD || method != 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "body is compressed by codec %u and method %u, expected codec 0 "
                                "(LZ4_FRAME) or 1 (ZSTD) and method 0 (buffer)",
                                codec, method);
    *out_codec = (enum fletch_codec)(codec + 1);
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_batch_header_open(struct fletch_ipc_message *message,
                                                const struct fletch_flatbuffer_table *table,
                                                struct fletch_ipc_batch_header *out_header,
                                                struct fletch_error *error)
{
    struct fletch_flatbuffer *buffer = &message->buffer;
    struct fletch_ipc_batch_header header = {
        .codec = FLETCH_CODEC_NONE,
        .row_count = fletch_flatbuffer_i64(buffer, table, FLETCH_BATCH_LENGTH, 0),
        .nodes = fletch_flatbuffer_vector(buffer, table, FLETCH_BATCH_NODES, FLETCH_IPC_NODE_BYTES),
        .buffers =
            fletch_flatbuffer_vector(buffer, table, FLETCH_BATCH_BUFFERS, FLETCH_IPC_BUFFER_BYTES),
        .variadic = fletch_flatbuffer_vector(buffer, table, FLETCH_BATCH_VARIADIC, sizeof(int64_t)),
        .version = message->version,
    };
    struct fletch_flatbuffer_table compression =
        fletch_flatbuffer_table(buffer, table, FLETCH_BATCH_COMPRESSION);
    enum fletch_status status = fletch_ipc_message_check(message, "record batch", error);
    if (status == FLETCH_OK && compression.position != 0)
        status = read_compression(message, &compression, &header.codec, error);
    if (status == FLETCH_OK)
        *out_header = header;
    return status;
}

struct fletch_ipc_pairs fletch_ipc_message_pairs(struct fletch_ipc_message *message)
{
    return (struct fletch_ipc_pairs){
        .buffer = &message->buffer,
        .vector =
            fletch_flatbuffer_vector(&message->buffer, &message->table, FLETCH_MESSAGE_METADATA, 4),
    };
}

/* Pair `index`; both strings have text. */
static void read_pair(const struct fletch_ipc_pairs *pairs, uint32_t index,
                      struct fletch_flatbuffer_string out_strings[2])
{
    struct fletch_flatbuffer_table pair =
        fletch_flatbuffer_table_at(pairs->buffer, &pairs->vector, index);
    out_strings[0] = fletch_flatbuffer_string(pairs->buffer, &pair, FLETCH_PAIR_KEY);
    out_strings[1] = fletch_flatbuffer_string(pairs->buffer, &pair, FLETCH_PAIR_VALUE);
}

enum fletch_status fletch_ipc_pairs_measure(const struct fletch_ipc_pairs *pairs, size_t limit,
                                            size_t *out_bytes, struct fletch_error *error)
{
    const struct fletch_flatbuffer *buffer = pairs->buffer;
    size_t bytes = pairs->vector.count == 0 ? 0 : sizeof(int32_t);
    /* A pair takes 4 bytes of the buffer at least; its strings, which many pairs may share, are at
     * most 2 GiB each: the sum cannot wrap. */
    for (uint32_t i = 0; i < pairs->vector.count && bytes <= limit; i++) {
        struct fletch_flatbuffer_string strings[2];
        read_pair(pairs, i, strings);
        bytes += 2 * sizeof(int32_t) + strings[0].bytes + strings[1].bytes;
    }
    if (buffer->failure != NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "custom metadata's flatbuffer, byte %" PRIu32 " of %" PRIu32 ": %s",
                                buffer->failure_position, buffer->size, buffer->failure);
    if (bytes > limit)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "message has %zu bytes of custom metadata or more, limit %zu",
                                bytes, limit);
    *out_bytes = bytes;
    return FLETCH_OK;
}

static char *write_string(char *to, const struct fletch_flatbuffer_string *string)
{
    int32_t bytes = (int32_t)string->bytes;
    memcpy(to, &bytes, sizeof bytes);
    if (bytes != 0)
        memcpy(to + sizeof bytes, string->text, string->bytes);
    return to + sizeof bytes + string->bytes;
}

struct fletch_metadata fletch_ipc_pairs_write(const struct fletch_ipc_pairs *pairs, char *bytes,
                                              size_t byte_count)
{
    int32_t count = (int32_t)pairs->vector.count;
    memcpy(bytes, &count, sizeof count);
    char *to = bytes + sizeof count;
    for (uint32_t i = 0; i < pairs->vector.count; i++) {
        struct fletch_flatbuffer_string strings[2];
        read_pair(pairs, i, strings);
        to = write_string(to, &strings[0]);
        to = write_string(to, &strings[1]);
    }
    return (struct fletch_metadata){bytes, byte_count, pairs->vector.count};
}
