#include "flight/flight_reader.h"

#include <string.h>

#include "base/status.h"
#include "memory/buffer.h"

static enum fletch_status make_decoder(struct fletch_flight_reader *reader,
                                       struct fletch_error *error)
{
    const struct fletch_ipc_read_options options = {
        .struct_size = sizeof options,
        .cache = reader->memory.cache,
        .account = reader->memory.account,
        .validation = reader->validation,
        .allocator = reader->allocator,
    };
    struct fletch_ipc_read_options known;
    enum fletch_status status = fletch_ipc_read_options_copy(&known, &options, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_decoder_create(&known, &reader->decoder, error);
    return status;
}

static enum fletch_status take_descriptor(struct fletch_flight_reader *reader,
                                          struct fletch_flight_bytes bytes,
                                          struct fletch_error *error)
{
    const void *descriptor = NULL;
    enum fletch_status status = fletch_flight_decode(FLETCH_FLIGHT_DESCRIPTOR, bytes,
                                                     reader->allocator, &descriptor, error);
    if (status != FLETCH_OK)
        return status;
    if (reader->descriptor != reader->first)
        fletch_flight_release(reader->descriptor);
    reader->descriptor = descriptor;
    if (reader->first == NULL)
        reader->first = descriptor;
    return FLETCH_OK;
}

/* Keeps the bytes, with a NUL behind them, when the message is gone. */
static enum fletch_status take_app_metadata(struct fletch_flight_reader *reader,
                                            struct fletch_flight_bytes *bytes,
                                            struct fletch_error *error)
{
    struct fletch_buffer_cache *cache = reader->memory.cache;
    size_t room = reader->app_metadata == NULL ? 0 : fletch_buffer_capacity(reader->app_metadata);
    if (bytes->bytes == 0)
        return FLETCH_OK;
    if (room <= bytes->bytes) {
        fletch_buffer_release(cache, reader->app_metadata);
        reader->app_metadata = NULL;
        enum fletch_status status = fletch_buffer_allocate(
            cache, bytes->bytes + 1, reader->memory.account, &reader->app_metadata, error);
        if (status != FLETCH_OK)
            return status;
    }
    uint8_t *to = fletch_buffer_mutable_data(reader->app_metadata);
    memcpy(to, bytes->data, bytes->bytes);
    to[bytes->bytes] = 0;
    bytes->data = to;
    return FLETCH_OK;
}

static enum fletch_status take_ipc(struct fletch_flight_reader *reader,
                                   const struct fletch_flight_incoming *incoming,
                                   struct fletch_batch **out_batch, struct fletch_error *error)
{
    const struct fletch_flight_bytes *header = &incoming->heads[FLETCH_FLIGHT_HEAD_HEADER];
    const struct fletch_ipc_input input = {
        .metadata = header->data,
        .metadata_bytes = header->bytes,
        .body = {incoming->body, incoming->body_offset, incoming->body_bytes},
    };
    struct fletch_ipc_event event;
    enum fletch_status status = reader->decoder == NULL ? make_decoder(reader, error) : FLETCH_OK;
    if (status == FLETCH_OK)
        status = fletch_ipc_decoder_message(reader->decoder, &input, &event, error);
    if (status == FLETCH_OK)
        *out_batch = event.kind == FLETCH_IPC_EVENT_BATCH ? event.batch : NULL;
    return status;
}

enum fletch_status fletch_flight_reader_take(struct fletch_flight_reader *reader,
                                             const struct fletch_flight_incoming *incoming,
                                             struct fletch_flight_item *out_item,
                                             struct fletch_error *error)
{
    const struct fletch_flight_bytes *heads = incoming->heads;
    struct fletch_flight_item item = {.app_metadata = heads[FLETCH_FLIGHT_HEAD_APP_METADATA]};
    enum fletch_status status = FLETCH_OK;
    if (heads[FLETCH_FLIGHT_HEAD_DESCRIPTOR].data != NULL)
        status = take_descriptor(reader, heads[FLETCH_FLIGHT_HEAD_DESCRIPTOR], error);
    if (status == FLETCH_OK)
        status = take_app_metadata(reader, &item.app_metadata, error);
    if (status == FLETCH_OK && heads[FLETCH_FLIGHT_HEAD_HEADER].bytes != 0)
        status = take_ipc(reader, incoming, &item.batch, error);
    item.is_nothing = item.batch == NULL && item.app_metadata.bytes == 0;
    if (status == FLETCH_OK)
        *out_item = item;
    return status;
}

struct fletch_schema *fletch_flight_reader_schema(const struct fletch_flight_reader *reader)
{
    return reader->decoder == NULL ? NULL : fletch_ipc_decoder_schema(reader->decoder);
}

void fletch_flight_reader_end(struct fletch_flight_reader *reader)
{
    fletch_ipc_decoder_destroy(reader->decoder);
    if (reader->descriptor != reader->first)
        fletch_flight_release(reader->descriptor);
    fletch_flight_release(reader->first);
    fletch_buffer_release(reader->memory.cache, reader->app_metadata);
    reader->decoder = NULL;
    reader->descriptor = NULL;
    reader->first = NULL;
    reader->app_metadata = NULL;
}
