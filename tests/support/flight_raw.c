#include "support/flight_raw.h"

#include <string.h>

#include "flight/flight_wire.h"
#include "support/cmocka_tests.h"

void flight_raw_put(struct flight_raw *raw, const void *bytes, size_t count)
{
    assert_true(raw->count + count <= sizeof raw->bytes);
    memcpy(raw->bytes + raw->count, bytes, count);
    raw->count += count;
}

void flight_raw_field(struct flight_raw *raw, uint32_t number, const void *bytes, size_t count)
{
    uint8_t key[2 * FLETCH_FLIGHT_VARINT_BYTES];
    uint8_t *to = fletch_flight_varint_write(key, number << 3 | FLETCH_FLIGHT_WIRE_BYTES);
    to = fletch_flight_varint_write(to, count);
    flight_raw_put(raw, key, (size_t)(to - key));
    flight_raw_put(raw, bytes, count);
}

void flight_raw_descriptor(struct flight_raw *raw)
{
    static const uint8_t command[] = {0x08, 0x02, 0x12, 0x01, 'c'};
    flight_raw_field(raw, 1, command, sizeof command);
}

void flight_raw_send(struct flight_scene *scene, struct fletch_flight_stream *stream,
                     const struct flight_raw *raw)
{
    const struct fletch_flight_memory memory = {scene->rpc.pool.cache, scene->account};
    const struct fletch_flight_parts parts = {.app_metadata = {raw->bytes, raw->count}};
    struct fletch_flight_outgoing *outgoing;
    assert_ok(fletch_flight_outgoing_data(&memory, &parts, &outgoing, NULL));
    if (raw->count != 0) {
        /* Without the key and the length that this put before them. */
        struct iovec *slice = &outgoing->grpc.slices[1];
        slice->iov_base = (uint8_t *)slice->iov_base + slice->iov_len - raw->count;
        slice->iov_len = outgoing->bytes = raw->count;
    }
    (void)fetch_add_relaxed(&stream->unsent,
                            fletch_flight_unsent(1, raw->count + FLETCH_FLIGHT_MESSAGE_COST));
    stream->user.has_written = stream->user.has_begun = true;
    if (!fletch_flight_stream_command(stream, &outgoing->node.link))
        fletch_flight_outgoing_free(memory.cache, outgoing);
}
