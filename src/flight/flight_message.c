#include "flight/flight_message.h"

#include <string.h>

#include "arrow/ipc_format.h"
#include "base/status.h"
#include "flight/flight_wire.h"
#include "memory/buffer.h"

/* The first byte of a key of FlightData's fields 1 to 3, and both of field 1000's. */
enum { DESCRIPTOR_KEY = 0x0a, HEADER_KEY = 0x12, APP_METADATA_KEY = 0x1a };
static const uint8_t body_key[2] = {0xc2, 0x3e};

/* ---- received ---- */

void fletch_flight_incoming_free(struct fletch_buffer_cache *cache,
                                 struct fletch_flight_incoming *incoming)
{
    if (incoming == NULL)
        return;
    struct fletch_buffer *block = incoming->block;
    for (size_t i = 0; i < FLETCH_FLIGHT_HEADS; i++)
        fletch_buffer_release(cache, incoming->head_buffers[i]);
    fletch_buffer_release(cache, incoming->body);
    fletch_buffer_release(cache, block);
}

/* ---- to be sent ---- */

/* A block for a message with so many slices (one more for gRPC's prefix) and bytes of its own;
 * `*out_bytes` is where those lie. */
static enum fletch_status make(const struct fletch_flight_memory *memory, uint32_t slice_count,
                               size_t own_bytes, struct fletch_flight_outgoing **out_outgoing,
                               struct fletch_error *error)
{
    struct fletch_buffer *block;
    size_t slices_bytes = (slice_count + 1) * sizeof(struct iovec);
    enum fletch_status status = fletch_buffer_allocate(
        memory->cache, sizeof(struct fletch_flight_outgoing) + slices_bytes + own_bytes,
        memory->account, &block, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_flight_outgoing *outgoing = (void *)fletch_buffer_mutable_data(block);
    *outgoing = (struct fletch_flight_outgoing){
        .node.kind = FLETCH_FLIGHT_NODE_OUTGOING,
        .block = block,
        .grpc = {.slices = (void *)(outgoing + 1), .slice_count = 1},
    };
    *out_outgoing = outgoing;
    return FLETCH_OK;
}

/* Adds a slice, if it is not empty. What is sent is only read. */
static void add(struct fletch_flight_outgoing *outgoing, const void *data, size_t bytes)
{
    if (bytes == 0)
        return;
    outgoing->grpc.slices[outgoing->grpc.slice_count++] =
        (struct iovec){(void *)(uintptr_t)data, bytes};
    outgoing->bytes += bytes;
}

static size_t field_bytes(size_t key_bytes, size_t bytes)
{
    return bytes == 0 ? 0 : key_bytes + fletch_flight_varint_bytes(bytes) + bytes;
}

/* Without the prefix, which Flight leaves out. */
static size_t header_bytes(const struct fletch_ipc_encoded *encoded)
{
    return encoded == NULL ? 0 : encoded->metadata_bytes - FLETCH_IPC_PREFIX_BYTES;
}

size_t fletch_flight_data_bytes(const struct fletch_ipc_encoded *encoded, size_t app_metadata_bytes)
{
    return field_bytes(1, header_bytes(encoded)) + field_bytes(1, app_metadata_bytes) +
           field_bytes(sizeof body_key, encoded == NULL ? 0 : encoded->body_bytes);
}

static uint8_t *write_key(uint8_t *to, uint8_t key, size_t bytes)
{
    *to++ = key;
    return fletch_flight_varint_write(to, bytes);
}

/* In the order in which stock peers write their fields: 1, 2, 3, 1000. */
static void write_data(struct fletch_flight_outgoing *outgoing,
                       const struct fletch_flight_parts *parts, size_t descriptor_bytes,
                       uint8_t *to)
{
    const struct fletch_ipc_encoded *encoded = parts->encoded;
    uint8_t *from = to;
    if (parts->descriptor != NULL) {
        to = write_key(to, DESCRIPTOR_KEY, descriptor_bytes);
        to = fletch_flight_message_write(fletch_flight_shape_of(FLETCH_FLIGHT_DESCRIPTOR),
                                         parts->descriptor, to);
    }
    if (encoded != NULL) {
        to = write_key(to, HEADER_KEY, header_bytes(encoded));
        add(outgoing, from, (size_t)(to - from));
        add(outgoing, encoded->spans[0].data + FLETCH_IPC_PREFIX_BYTES, header_bytes(encoded));
        from = to;
    }
    if (parts->app_metadata.bytes != 0) {
        to = write_key(to, APP_METADATA_KEY, parts->app_metadata.bytes);
        memcpy(to, parts->app_metadata.data, parts->app_metadata.bytes);
        to += parts->app_metadata.bytes;
    }
    if (encoded != NULL && encoded->body_bytes != 0) {
        memcpy(to, body_key, sizeof body_key);
        to = fletch_flight_varint_write(to + sizeof body_key, encoded->body_bytes);
    }
    add(outgoing, from, (size_t)(to - from));
    for (uint32_t i = 1; encoded != NULL && i < encoded->span_count; i++)
        add(outgoing, encoded->spans[i].data, encoded->spans[i].bytes);
}

static enum fletch_status check_sizes(const struct fletch_flight_parts *parts,
                                      struct fletch_error *error)
{
    size_t body_bytes = parts->encoded == NULL ? 0 : parts->encoded->body_bytes;
    size_t bytes = body_bytes > parts->app_metadata.bytes ? body_bytes : parts->app_metadata.bytes;
    if (bytes <= INT32_MAX)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "%s of %zu bytes: Flight's messages have at most %d",
                            bytes == body_bytes ? "a body" : "app metadata", bytes, INT32_MAX);
}

enum fletch_status fletch_flight_outgoing_data(const struct fletch_flight_memory *memory,
                                               const struct fletch_flight_parts *parts,
                                               struct fletch_flight_outgoing **out_outgoing,
                                               struct fletch_error *error)
{
    const struct fletch_ipc_encoded *encoded = parts->encoded;
    struct fletch_flight_outgoing *outgoing = NULL;
    uint32_t slice_count = 3 + (encoded == NULL ? 0 : encoded->span_count);
    size_t descriptor_bytes = 0;
    enum fletch_status status = check_sizes(parts, error);
    if (status == FLETCH_OK && parts->descriptor != NULL)
        status = fletch_flight_message_measure(fletch_flight_shape_of(FLETCH_FLIGHT_DESCRIPTOR),
                                               parts->descriptor, &descriptor_bytes, error);
    size_t own_bytes = descriptor_bytes + parts->app_metadata.bytes +
                       4 * (sizeof body_key + FLETCH_FLIGHT_VARINT_BYTES);
    if (status == FLETCH_OK)
        status = make(memory, slice_count, own_bytes, &outgoing, error);
    if (status != FLETCH_OK)
        return status;
    write_data(outgoing, parts, descriptor_bytes,
               (uint8_t *)(outgoing->grpc.slices + slice_count + 1));
    if (encoded != NULL)
        outgoing->encoded = *encoded;
    *out_outgoing = outgoing;
    return FLETCH_OK;
}

enum fletch_status fletch_flight_outgoing_message(const struct fletch_flight_memory *memory,
                                                  const struct fletch_flight_shape *shape,
                                                  const void *message,
                                                  struct fletch_flight_outgoing **out_outgoing,
                                                  struct fletch_error *error)
{
    struct fletch_flight_outgoing *outgoing = NULL;
    size_t bytes = 0;
    enum fletch_status status = fletch_flight_message_measure(shape, message, &bytes, error);
    if (status == FLETCH_OK)
        status = make(memory, 1, bytes, &outgoing, error);
    if (status != FLETCH_OK)
        return status;
    uint8_t *to = (uint8_t *)(outgoing->grpc.slices + 2);
    (void)fletch_flight_message_write(shape, message, to);
    add(outgoing, to, bytes);
    *out_outgoing = outgoing;
    return FLETCH_OK;
}

void fletch_flight_outgoing_free(struct fletch_buffer_cache *cache,
                                 struct fletch_flight_outgoing *outgoing)
{
    if (outgoing == NULL)
        return;
    struct fletch_buffer *block = outgoing->block;
    fletch_ipc_encoded_release(cache, &outgoing->encoded);
    fletch_buffer_release(cache, block);
}
