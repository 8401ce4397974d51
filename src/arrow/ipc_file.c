#include "arrow/ipc_file.h"

#include <inttypes.h>
#include <string.h>

enum {
    HEAD_BYTES = 8,                         /* the magic word, padded */
    TAIL_BYTES = 4 + FLETCH_IPC_MAGIC_BYTES /* the footer's length, the magic word */
};

bool fletch_ipc_is_file(const uint8_t *bytes, size_t size)
{
    return size >= FLETCH_IPC_MAGIC_BYTES &&
           memcmp(bytes, fletch_ipc_magic, FLETCH_IPC_MAGIC_BYTES) == 0;
}

static enum fletch_status check_footer(struct fletch_ipc_footer *footer, int16_t version,
                                       struct fletch_error *error)
{
    const struct fletch_flatbuffer *buffer = &footer->buffer;
    if (buffer->failure != NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "footer's flatbuffer, byte %" PRIu32 " of %" PRIu32 ": %s",
                                buffer->failure_position, buffer->size, buffer->failure);
    /* Some writers before 0.15 left it at V1, over messages of V4, which say so themselves. */
    if (version > FLETCH_IPC_V5)
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                "footer has metadata version V%d, expected at most V5",
                                version + 1);
    if (footer->schema.position == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "footer has no schema");
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_footer_open(struct fletch_ipc_footer *footer, const uint8_t *bytes,
                                          size_t size, struct fletch_error *error)
{
    if (size < HEAD_BYTES + TAIL_BYTES || memcmp(bytes + size - FLETCH_IPC_MAGIC_BYTES,
                                                 fletch_ipc_magic, FLETCH_IPC_MAGIC_BYTES) != 0)
        return fletch_error_set(error, FLETCH_DATA_LOSS,
                                "ipc file of %zu bytes does not end with '%s'", size,
                                fletch_ipc_magic);
    int32_t footer_bytes = fletch_flatbuffer_load_i32(bytes + size - TAIL_BYTES);
    size_t room = size - HEAD_BYTES - TAIL_BYTES;
    if (footer_bytes <= 0 || (size_t)footer_bytes > room)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "ipc file has a footer of %" PRId32 " bytes, expected 1 to %zu",
                                footer_bytes, room);
    footer->file = bytes;
    footer->start = size - TAIL_BYTES - (size_t)footer_bytes;
    struct fletch_flatbuffer *buffer = &footer->buffer;
    struct fletch_flatbuffer_table table =
        fletch_flatbuffer_open(buffer, bytes + footer->start, (size_t)footer_bytes);
    int16_t version = fletch_flatbuffer_i16(buffer, &table, FLETCH_FOOTER_VERSION, 0);
    footer->schema = fletch_flatbuffer_table(buffer, &table, FLETCH_FOOTER_SCHEMA);
    footer->dictionaries = fletch_flatbuffer_vector(buffer, &table, FLETCH_FOOTER_DICTIONARIES,
                                                    FLETCH_IPC_BLOCK_BYTES);
    footer->batches =
        fletch_flatbuffer_vector(buffer, &table, FLETCH_FOOTER_BATCHES, FLETCH_IPC_BLOCK_BYTES);
    footer->metadata = fletch_flatbuffer_vector(buffer, &table, FLETCH_FOOTER_METADATA, 4);
    return check_footer(footer, version, error);
}

/* Reads the prefix at `position`, from where on there are `size` bytes; false: prefix or metadata
 * do not fit. */
static bool read_prefix(const uint8_t *bytes, size_t size, size_t position,
                        struct fletch_ipc_place *out_place)
{
    if (size < 4)
        return false;
    uint32_t length;
    size_t prefix_bytes = 4;
    memcpy(&length, bytes + position, sizeof length);
    if (length == FLETCH_IPC_CONTINUATION) {
        prefix_bytes = FLETCH_IPC_PREFIX_BYTES;
        if (size < prefix_bytes)
            return false;
        memcpy(&length, bytes + position + 4, sizeof length);
    }
    if (length > size - prefix_bytes)
        return false;
    out_place->metadata = position + prefix_bytes;
    out_place->metadata_bytes = length;
    out_place->body = out_place->metadata + length;
    return true;
}

enum fletch_status fletch_ipc_footer_find(const struct fletch_ipc_footer *footer,
                                          const struct fletch_flatbuffer_vector *blocks,
                                          size_t index, struct fletch_ipc_place *out_place,
                                          struct fletch_error *error)
{
    const uint8_t *told = blocks->elements + index * FLETCH_IPC_BLOCK_BYTES;
    int64_t offset = fletch_flatbuffer_load_i64(told);
    int32_t metadata_bytes = fletch_flatbuffer_load_i32(told + 8);
    int64_t body_bytes = fletch_flatbuffer_load_i64(told + 16);
    uint64_t end = footer->start;
    struct fletch_ipc_place place;
    bool lies_inside = offset >= 0 && metadata_bytes >= 0 && body_bytes >= 0 &&
                       (uint64_t)offset <= end &&
                       (uint64_t)metadata_bytes <= end - (uint64_t)offset &&
                       (uint64_t)body_bytes <= end - (uint64_t)offset - (uint64_t)metadata_bytes;
    if (!lies_inside ||
        !read_prefix(footer->file, (size_t)metadata_bytes, (size_t)offset, &place) ||
        place.metadata_bytes == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "footer's block %zu has offset %" PRId64 ", metadata of %" PRId32
                                " and body of %" PRId64
                                " bytes: no message lies there before byte %" PRIu64,
                                index, offset, metadata_bytes, body_bytes, end);
    place.body = (size_t)offset + (size_t)metadata_bytes;
    place.body_bytes = (size_t)body_bytes;
    *out_place = place;
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_footer_check_dictionaries(const struct fletch_ipc_footer *footer,
                                                        struct fletch_error *error)
{
    size_t left = footer->start;
    for (uint32_t i = 0; i < footer->dictionaries.count; i++) {
        struct fletch_ipc_place place;
        enum fletch_status status =
            fletch_ipc_footer_find(footer, &footer->dictionaries, i, &place, error);
        if (status != FLETCH_OK)
            return status;
        size_t bytes = place.metadata_bytes + place.body_bytes;
        if (bytes > left)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "footer's dictionaries overlap: the first %" PRIu32
                                    " of %" PRIu32 " have more than the %zu bytes before it",
                                    i + 1, footer->dictionaries.count, footer->start);
        left -= bytes;
    }
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_stream_find(const uint8_t *bytes, size_t size, size_t position,
                                          struct fletch_ipc_place *out_place,
                                          struct fletch_error *error)
{
    struct fletch_ipc_place place;
    if (!read_prefix(bytes, size - position, position, &place))
        return fletch_error_set(error, FLETCH_DATA_LOSS,
                                "ipc stream of %zu bytes ends in prefix or metadata of the message "
                                "at byte %zu",
                                size, position);
    place.body_bytes = size - place.body;
    *out_place = place;
    return FLETCH_OK;
}
