#include "arrow/ipc_endian.h"

#include <stdlib.h>
#include <string.h>

#include "arrow/batch_compact.h"
#include "arrow/ipc_decoder.h"
#include "arrow/ipc_encoder.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"
#include "support/turned_ipc.h"

enum { SEEDS = 30, ROWS = 60, MESSAGES_MOST = 32 };

/* Turned by either, a number is what it was. */
static void spans_are_turned_number_by_number(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(1);
    struct fletch_schema *schema = schema_of_every_layout();
    for (uint32_t row = 0; row < schema->field_count; row++) {
        const struct fletch_field *field = &schema->fields[row];
        for (uint32_t i = 0; i < field->span_count; i++) {
            enum fletch_span_kind kind =
                (enum fletch_span_kind)fletch_type_layout(&field->type)->spans[i];
            _Alignas(8) uint8_t bytes[100];
            _Alignas(8) uint8_t turned[100];
            for (size_t k = 0; k < sizeof bytes; k++)
                bytes[k] = turned[k] = (uint8_t)fletch_random_below(&random, 256);
            turn_span(&field->type, kind, turned, sizeof turned);
            if (fletch_ipc_span_has_order(&field->type, kind))
                fletch_ipc_span_turn(&field->type, kind, turned, sizeof turned);
            assert_memory_equal(bytes, turned, 96);
        }
    }
    fletch_schema_release(schema);
}

/* ---- whole streams ---- */

struct stream {
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_batch *batch;
    struct fletch_ipc_encoded messages[MESSAGES_MOST];
    struct fletch_buffer *bodies[MESSAGES_MOST]; /* turned, behind `skew` bytes */
    size_t count;
    size_t skew;
};

/* Messages of ours, turned into what a big-endian machine would have written. */
static void turn(struct stream *stream, size_t index)
{
    const struct fletch_ipc_encoded *encoded = &stream->messages[index];
    /* A schema has no body. */
    stream->bodies[index] = buffer_filled(&stream->pool, encoded->body_bytes + stream->skew + 1, 0);
    uint8_t *body = fletch_buffer_mutable_data(stream->bodies[index]) + stream->skew;
    size_t at = 0;
    for (uint32_t i = 1; i < encoded->span_count; i++) {
        memcpy(body + at, encoded->spans[i].data, encoded->spans[i].bytes);
        at += encoded->spans[i].bytes;
    }
    turn_message(stream->schema, (uint8_t *)(uintptr_t)encoded->spans[0].data + 8,
                 encoded->metadata_bytes - 8, body);
}

static struct stream stream_made(struct fletch_schema *schema, uint64_t seed, size_t skew)
{
    struct stream stream = {.pool = test_pool_make(), .schema = schema, .skew = skew};
    struct fletch_random random = fletch_random_from_seed(seed);
    struct fletch_ipc_encoder *encoder = NULL;
    const struct fletch_ipc_encoder_options options = {
        .schema = schema, .cache = stream.pool.cache, .alignment = 8};
    stream.batch =
        random_batch(&random, stream.pool.cache, schema, fletch_random_below(&random, ROWS));
    assert_ok(fletch_ipc_encoder_create(&options, NULL, &encoder, NULL));
    assert_ok(fletch_ipc_encoder_schema(encoder, &stream.messages[stream.count++], NULL));
    for (bool is_needed = true; is_needed; stream.count += is_needed) {
        assert_true(stream.count + 1 < MESSAGES_MOST);
        assert_ok(fletch_ipc_encoder_dictionary(encoder, stream.batch, &is_needed,
                                                &stream.messages[stream.count], NULL));
    }
    assert_ok(fletch_ipc_encoder_batch(encoder, stream.batch, NULL,
                                       &stream.messages[stream.count++], NULL));
    for (size_t i = 0; i < stream.count; i++)
        turn(&stream, i);
    fletch_ipc_encoder_destroy(encoder);
    return stream;
}

static void stream_end(struct stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        fletch_ipc_encoded_release(stream->pool.cache, &stream->messages[i]);
        fletch_buffer_release(stream->pool.cache, stream->bodies[i]);
    }
    fletch_batch_release(stream->pool.cache, stream->batch);
    fletch_schema_release(stream->schema);
    test_pool_end(&stream->pool);
}

static struct fletch_batch *stream_read(struct stream *stream)
{
    const struct fletch_ipc_read_options options = {.struct_size = sizeof options,
                                                    .cache = stream->pool.cache,
                                                    .account = stream->pool.account,
                                                    .validation = FLETCH_VALIDATION_FULL};
    struct fletch_ipc_read_options known;
    struct fletch_ipc_decoder *decoder = NULL;
    struct fletch_ipc_event event = {0};
    struct fletch_error error = {.message = ""};
    assert_ok(fletch_ipc_read_options_copy(&known, &options, NULL));
    assert_ok(fletch_ipc_decoder_create(&known, &decoder, NULL));
    for (size_t i = 0; i < stream->count; i++) {
        const struct fletch_ipc_encoded *encoded = &stream->messages[i];
        const struct fletch_ipc_input input = {
            .metadata = encoded->spans[0].data + 8,
            .metadata_bytes = encoded->metadata_bytes - 8,
            .body = {stream->bodies[i], stream->skew, encoded->body_bytes},
        };
        if (fletch_ipc_decoder_message(decoder, &input, &event, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
    }
    fletch_ipc_decoder_destroy(decoder);
    return event.batch;
}

static void big_endian_streams_are_read(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct stream stream = stream_made(schema_of_every_layout(), seed, seed % 3);
        struct fletch_batch *batch = stream_read(&stream);
        assert_true(batches_equal(stream.batch, batch));
        fletch_batch_release(stream.pool.cache, batch);
        stream_end(&stream);
    }
}

/* The batch in memory of its own, whose numbers are turned there: of fields without children. */
static struct fletch_batch *turned_copy(struct test_pool *pool, struct fletch_batch *batch)
{
    const struct fletch_batch_place place = {.cache = pool->cache};
    struct fletch_batch *copy = NULL;
    assert_ok(fletch_batch_compact(&place, batch, &copy));
    for (uint32_t row = 0; row < copy->node_count; row++) {
        const struct fletch_field *field = &copy->schema->fields[row];
        for (uint32_t i = 0; i < field->span_count; i++) {
            const struct fletch_batch_span *span = &copy->spans[field->first_span + i];
            turn_span(&field->type,
                      (enum fletch_span_kind)fletch_type_layout(&field->type)->spans[i],
                      (uint8_t *)(uintptr_t)span->data, span->bytes);
        }
    }
    return copy;
}

/* What was decompressed is turned where it lies; what is as it is, in a copy. */
static void compressed_bodies_are_turned_too(void **state)
{
    (void)state;
    for (int codec = FLETCH_CODEC_LZ4_FRAME; codec <= FLETCH_CODEC_ZSTD; codec++) {
        struct stream stream = {.pool = test_pool_make(),
                                .schema = schema_new("a=l b=i! c=d:38,10 d=tin e=w:3 f=s")};
        struct fletch_random random = fletch_random_from_seed(70);
        struct fletch_ipc_encoder *encoder = NULL;
        const struct fletch_ipc_encoder_options options = {.schema = stream.schema,
                                                           .cache = stream.pool.cache,
                                                           .alignment = 8,
                                                           .codec = (enum fletch_codec)codec};
        stream.batch = random_batch(&random, stream.pool.cache, stream.schema, 10 * ROWS);
        struct fletch_batch *turned = turned_copy(&stream.pool, stream.batch);
        assert_ok(fletch_ipc_encoder_create(&options, NULL, &encoder, NULL));
        assert_ok(fletch_ipc_encoder_schema(encoder, &stream.messages[0], NULL));
        assert_ok(fletch_ipc_encoder_batch(encoder, turned, NULL, &stream.messages[1], NULL));
        stream.count = 2;
        turn(&stream, 0);
        stream.bodies[1] = buffer_filled(&stream.pool, stream.messages[1].body_bytes, 0);
        uint8_t *to = fletch_buffer_mutable_data(stream.bodies[1]);
        for (uint32_t i = 1; i < stream.messages[1].span_count; i++) {
            const struct fletch_batch_span *span = &stream.messages[1].spans[i];
            memcpy(to, span->data, span->bytes);
            to += span->bytes;
        }
        struct fletch_batch *batch = stream_read(&stream);
        assert_true(batches_equal(stream.batch, batch));
        fletch_batch_release(stream.pool.cache, batch);
        fletch_batch_release(stream.pool.cache, turned);
        fletch_ipc_encoder_destroy(encoder);
        stream_end(&stream);
    }
}

/* What has no order stays in the body, where it lies. */
static void bytes_are_not_copied(void **state)
{
    (void)state;
    struct stream stream = stream_made(schema_new("a=w:3! b=C!"), 4, 0);
    struct fletch_batch *batch = stream_read(&stream);
    assert_int_equal(batch->owner_count, 1);
    assert_ptr_equal(batch->owners[0], stream.bodies[1]);
    fletch_batch_release(stream.pool.cache, batch);
    stream_end(&stream);
}

/* Buffers that overlap are copied no more often than the body has bytes. */
static void buffers_that_overlap_are_not_turned_again_and_again(void **state)
{
    (void)state;
    struct stream stream = stream_made(schema_new("a=l! b=l! c=l!"), 5, 0);
    struct fletch_ipc_message message;
    struct fletch_ipc_batch_header header;
    const struct fletch_ipc_encoded *encoded = &stream.messages[1];
    assert_true(stream.batch->row_count > 0);
    assert_ok(fletch_ipc_message_open(&message, encoded->spans[0].data + 8,
                                      encoded->metadata_bytes - 8, UINT64_MAX, NULL));
    assert_ok(fletch_ipc_batch_header_open(&message, &message.header, &header, NULL));
    /* Each of them the whole body. */
    for (uint32_t i = 1; i < header.buffers.count; i += 2) {
        const int64_t range[2] = {0, (int64_t)encoded->body_bytes};
        memcpy((uint8_t *)(uintptr_t)header.buffers.elements + 16 * (size_t)i, range, 16);
    }
    const struct fletch_ipc_read_options options = {.struct_size = sizeof options,
                                                    .cache = stream.pool.cache};
    struct fletch_ipc_read_options known;
    struct fletch_ipc_decoder *decoder = NULL;
    struct fletch_error error = {.message = ""};
    assert_ok(fletch_ipc_read_options_copy(&known, &options, NULL));
    assert_ok(fletch_ipc_decoder_create(&known, &decoder, NULL));
    for (size_t i = 0; i < 2; i++) {
        struct fletch_ipc_event event;
        const struct fletch_ipc_input input = {
            .metadata = stream.messages[i].spans[0].data + 8,
            .metadata_bytes = stream.messages[i].metadata_bytes - 8,
            .body = {stream.bodies[i], 0, stream.messages[i].body_bytes},
        };
        assert_int_equal(fletch_ipc_decoder_message(decoder, &input, &event, &error),
                         i == 0 ? FLETCH_OK : FLETCH_INVALID_ARGUMENT);
    }
    assert_contains(error.message, "buffers that are copied overlap");
    fletch_ipc_decoder_destroy(decoder);
    stream_end(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_turned_number_by_number),
        cmocka_unit_test(big_endian_streams_are_read),
        cmocka_unit_test(compressed_bodies_are_turned_too),
        cmocka_unit_test(bytes_are_not_copied),
        cmocka_unit_test(buffers_that_overlap_are_not_turned_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
