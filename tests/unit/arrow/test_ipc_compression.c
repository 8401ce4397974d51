#include <fletching/fletching.h>

#include <stdlib.h>
#include <string.h>

#include "arrow/codec.h"
#include "arrow/ipc_decoder.h"
#include "arrow/ipc_encoder.h"
#include "memory/batch.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Compressed bodies whose lengths are lies, and what compressed batches keep alive. */

enum { ROWS = 1000, LENGTH_BYTES = 8 };

/* A schema's message and a batch's, of one column of int64 without nulls: all zero. */
struct messages {
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_ipc_encoded heads[2];
    struct fletch_buffer *body;
    size_t body_bytes;
};

static struct messages messages_made(enum fletch_codec codec)
{
    struct messages made = {.pool = test_pool_make(), .schema = schema_new("a=l!")};
    struct fletch_buffer *zeros = buffer_filled(&made.pool, ROWS * sizeof(int64_t), 0);
    struct fletch_batch_node node = {.length = ROWS};
    struct fletch_batch_span spans[2] = {{NULL, 0}, {zeros->data, ROWS * sizeof(int64_t)}};
    const struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(made.schema),
                                             .row_count = ROWS,
                                             .nodes = &node,
                                             .node_count = 1,
                                             .spans = spans,
                                             .span_count = 2,
                                             .owners = &zeros,
                                             .owner_count = 1};
    const struct fletch_ipc_encoder_options options = {
        .schema = made.schema, .cache = made.pool.cache, .alignment = 8, .codec = codec};
    struct fletch_batch *batch = NULL;
    struct fletch_ipc_encoder *encoder = NULL;
    assert_ok(fletch_batch_create(made.pool.cache, NULL, &parts, &batch, NULL));
    assert_ok(fletch_ipc_encoder_create(&options, NULL, &encoder, NULL));
    assert_ok(fletch_ipc_encoder_schema(encoder, &made.heads[0], NULL));
    assert_ok(fletch_ipc_encoder_batch(encoder, batch, NULL, &made.heads[1], NULL));
    assert_null(made.heads[1].batch);
    made.body_bytes = made.heads[1].body_bytes;
    made.body = buffer_filled(&made.pool, made.body_bytes, 0);
    uint8_t *to = fletch_buffer_mutable_data(made.body);
    for (uint32_t i = 1; i < made.heads[1].span_count; i++) {
        memcpy(to, made.heads[1].spans[i].data, made.heads[1].spans[i].bytes);
        to += made.heads[1].spans[i].bytes;
    }
    fletch_ipc_encoder_destroy(encoder);
    fletch_batch_release(made.pool.cache, batch);
    return made;
}

static void messages_end(struct messages *messages)
{
    for (int i = 0; i < 2; i++)
        fletch_ipc_encoded_release(messages->pool.cache, &messages->heads[i]);
    fletch_buffer_release(messages->pool.cache, messages->body);
    fletch_schema_release(messages->schema);
    test_pool_end(&messages->pool);
}

static enum fletch_status decode(struct messages *messages, uint64_t limit,
                                 struct fletch_batch **out_batch, struct fletch_error *error)
{
    const struct fletch_ipc_read_options options = {.struct_size = sizeof options,
                                                    .cache = messages->pool.cache,
                                                    .account = messages->pool.account,
                                                    .body_limit_bytes = limit};
    struct fletch_ipc_read_options known;
    struct fletch_ipc_decoder *decoder = NULL;
    struct fletch_ipc_event event;
    enum fletch_status status = FLETCH_OK;
    assert_ok(fletch_ipc_read_options_copy(&known, &options, NULL));
    assert_ok(fletch_ipc_decoder_create(&known, &decoder, NULL));
    for (int i = 0; i < 2 && status == FLETCH_OK; i++) {
        const struct fletch_ipc_encoded *head = &messages->heads[i];
        struct fletch_ipc_input input = {.metadata = head->spans[0].data + 8,
                                         .metadata_bytes = head->metadata_bytes - 8};
        if (i == 1)
            input.body =
                (struct fletch_ipc_body){.buffer = messages->body, .bytes = messages->body_bytes};
        status = fletch_ipc_decoder_message(decoder, &input, &event, error);
    }
    if (status == FLETCH_OK)
        *out_batch = event.batch;
    fletch_ipc_decoder_destroy(decoder);
    return status;
}

static void set_length(struct messages *messages, int64_t length)
{
    memcpy(fletch_buffer_mutable_data(messages->body), &length, sizeof length);
}

static void lengths_that_are_lies_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t length;
        const char *text;
    } lies[] = {
        {-2, "has length -2"},
        {INT64_MIN, "has length -9223372036854775808"},
        {INT64_MAX, "more bytes than 1048576"},
        {1 << 21, "more bytes than 1048576"},
        {1 << 20, "cannot stand for the length that is told, 1048576"},
        {ROWS * 8 + 1, NULL},
        {ROWS * 8 - 1, NULL},
        {1, NULL},
        {0, "values of 0 bytes"},
    };
    for (int codec = FLETCH_CODEC_LZ4_FRAME; codec <= FLETCH_CODEC_ZSTD; codec++) {
        struct messages messages = messages_made((enum fletch_codec)codec);
        struct fletch_batch *batch = NULL;
        struct fletch_error error;
        for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
            set_length(&messages, lies[i].length);
            assert_int_equal(decode(&messages, 1 << 20, &batch, &error), FLETCH_INVALID_ARGUMENT);
            assert_contains(error.message, "'a'");
            if (lies[i].text != NULL)
                assert_contains(error.message, lies[i].text);
        }
        set_length(&messages, ROWS * 8);
        assert_ok(decode(&messages, 1 << 20, &batch, &error));
        fletch_batch_release(messages.pool.cache, batch);
        messages_end(&messages);
    }
}

static void a_body_of_few_bytes_becomes_no_more_than_the_limit(void **state)
{
    (void)state;
    struct messages messages = messages_made(FLETCH_CODEC_ZSTD);
    struct fletch_batch *batch = NULL;
    struct fletch_error error;
    assert_true(messages.body_bytes < 100);
    assert_int_equal(decode(&messages, ROWS * 8 - 1, &batch, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "more bytes than 7999");
    assert_ok(decode(&messages, ROWS * 8, &batch, &error));
    fletch_batch_release(messages.pool.cache, batch);
    messages_end(&messages);
}

/* A body is let go unless something in it was as it is. */
static void a_batch_keeps_what_it_refers_to(void **state)
{
    (void)state;
    struct messages messages = messages_made(FLETCH_CODEC_LZ4_FRAME);
    struct fletch_batch *batch = NULL;
    assert_ok(decode(&messages, 1 << 20, &batch, NULL));
    assert_int_equal(batch->owner_count, 1);
    assert_ptr_not_equal(batch->owners[0], messages.body);
    assert_int_equal(batch->spans[1].bytes, ROWS * 8);
    fletch_batch_release(messages.pool.cache, batch);
    messages_end(&messages);
}

/* What does not become smaller goes as it is, behind -1. */
static void noise_is_not_compressed(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(3);
    struct fletch_schema *schema = schema_new("a=w:16!");
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 100);
    const struct fletch_ipc_encoder_options options = {
        .schema = schema, .cache = pool.cache, .alignment = 8, .codec = FLETCH_CODEC_ZSTD};
    struct fletch_ipc_encoder *encoder = NULL;
    struct fletch_ipc_encoded encoded;
    uint8_t *noise = (uint8_t *)(uintptr_t)batch->spans[1].data;
    for (size_t i = 0; i < batch->spans[1].bytes; i++)
        noise[i] = (uint8_t)fletch_random_below(&random, 256);
    assert_ok(fletch_ipc_encoder_create(&options, NULL, &encoder, NULL));
    assert_ok(fletch_ipc_encoder_batch(encoder, batch, NULL, &encoded, NULL));
    assert_int_equal(encoded.body_bytes, LENGTH_BYTES + 1600);
    assert_memory_equal(encoded.spans[1].data, "\xff\xff\xff\xff\xff\xff\xff\xff", LENGTH_BYTES);
    assert_memory_equal(encoded.spans[1].data + LENGTH_BYTES, noise + 16 * batch->nodes[0].offset,
                        1600);
    fletch_ipc_encoded_release(pool.cache, &encoded);
    fletch_ipc_encoder_destroy(encoder);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new("a=l");
    const struct fletch_ipc_write_options options = {
        .struct_size = sizeof options,
        .cache = pool.cache,
        .compression = (enum fletch_ipc_compression)3,
    };
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_error error;
    assert_int_equal(fletch_ipc_writer_open_memory(schema, &options, &writer, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "option compression is 3, expected 0 to 2");
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_that_are_lies_are_refused),
        cmocka_unit_test(a_body_of_few_bytes_becomes_no_more_than_the_limit),
        cmocka_unit_test(a_batch_keeps_what_it_refers_to),
        cmocka_unit_test(noise_is_not_compressed),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
