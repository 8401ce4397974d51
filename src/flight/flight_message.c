#include "flight/flight_message.h"

#include <string.h>

#include "arrow/ipc_format.h"
#include "base/status.h"
#include "flight/flight_encode.h"
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

/* The system takes longer to read a table of slices than it takes to copy a few bytes, and so does
 * what releases the batch on another thread. */
static bool is_copied(const struct fletch_ipc_encoded *encoded)
{
    return encoded->metadata_bytes + encoded->body_bytes <= FLETCH_FLIGHT_COPIED_BYTES;
}

/* A message that is being written: what is the block's own from `from` to `to` is no slice yet. */
struct writing {
    struct fletch_flight_outgoing *outgoing;
    uint8_t *from;
    uint8_t *to;
    bool copies; /* what others hold too */
};

static void end_slice(struct writing *writing)
{
    add(writing->outgoing, writing->from, (size_t)(writing->to - writing->from));
    writing->from = writing->to;
}

static void put_key(struct writing *writing, uint8_t key, size_t bytes)
{
    *writing->to++ = key;
    writing->to = fletch_flight_varint_write(writing->to, bytes);
}

static void put_copy(struct writing *writing, const void *data, size_t bytes)
{
    memcpy(writing->to, data, bytes);
    writing->to += bytes;
}

/* What `encoded` keeps alive. */
static void put(struct writing *writing, const void *data, size_t bytes)
{
    if (writing->copies) {
        put_copy(writing, data, bytes);
        return;
    }
    end_slice(writing);
    add(writing->outgoing, data, bytes);
}

/* In the order in which stock peers write their fields: 1, 2, 3, 1000. */
static void write_data(struct writing *writing, const struct fletch_flight_parts *parts,
                       size_t descriptor_bytes)
{
    const struct fletch_ipc_encoded *encoded = parts->encoded;
    if (parts->descriptor != NULL) {
        put_key(writing, DESCRIPTOR_KEY, descriptor_bytes);
        writing->to = fletch_flight_message_write(fletch_flight_shape_of(FLETCH_FLIGHT_DESCRIPTOR),
                                                  parts->descriptor, writing->to);
    }
    if (encoded != NULL) {
        put_key(writing, HEADER_KEY, header_bytes(encoded));
        put(writing, encoded->spans[0].data + FLETCH_IPC_PREFIX_BYTES, header_bytes(encoded));
    }
    if (parts->app_metadata.bytes != 0) {
        put_key(writing, APP_METADATA_KEY, parts->app_metadata.bytes);
        put_copy(writing, parts->app_metadata.data, parts->app_metadata.bytes);
    }
    if (encoded != NULL && encoded->body_bytes != 0) {
        put_copy(writing, body_key, sizeof body_key);
        writing->to = fletch_flight_varint_write(writing->to, encoded->body_bytes);
    }
    for (uint32_t i = 1; encoded != NULL && i < encoded->span_count; i++)
        put(writing, encoded->spans[i].data, encoded->spans[i].bytes);
    end_slice(writing);
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
    struct fletch_ipc_encoded *encoded = parts->encoded;
    struct writing writing = {.copies = encoded == NULL || is_copied(encoded)};
    uint32_t slice_count = writing.copies ? 1 : 3 + encoded->span_count;
    size_t descriptor_bytes = 0;
    enum fletch_status status = check_sizes(parts, error);
    if (status == FLETCH_OK && parts->descriptor != NULL)
        status = fletch_flight_message_measure(fletch_flight_shape_of(FLETCH_FLIGHT_DESCRIPTOR),
                                               parts->descriptor, &descriptor_bytes, error);
    size_t own_bytes = descriptor_bytes + parts->app_metadata.bytes +
                       4 * (sizeof body_key + FLETCH_FLIGHT_VARINT_BYTES);
    if (writing.copies && encoded != NULL)
        own_bytes += encoded->metadata_bytes + encoded->body_bytes;
    if (status == FLETCH_OK)
        status = make(memory, slice_count, own_bytes, &writing.outgoing, error);
    if (status != FLETCH_OK)
        return status;
    writing.to = (uint8_t *)(writing.outgoing->grpc.slices + slice_count + 1);
    writing.from = writing.to;
    write_data(&writing, parts, descriptor_bytes);
    if (writing.copies && encoded != NULL)
        fletch_ipc_encoded_release(memory->cache, encoded);
    else if (encoded != NULL)
        writing.outgoing->encoded = *encoded;
    *out_outgoing = writing.outgoing;
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
