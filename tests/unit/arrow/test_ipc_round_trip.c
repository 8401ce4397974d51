#include "arrow/ipc_decoder.h"
#include "arrow/ipc_encoder.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Encoder to decoder, without a file or descriptor between them. */

struct bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

static void append(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->size + size > bytes->capacity) {
        bytes->capacity = 2 * (bytes->size + size);
        bytes->data = realloc(bytes->data, bytes->capacity);
        assert_non_null(bytes->data);
    }
    if (size != 0)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void append_encoded(struct bytes *bytes, struct fletch_buffer_cache *cache,
                           struct fletch_ipc_encoded *encoded)
{
    size_t before = bytes->size;
    for (uint32_t i = 0; i < encoded->span_count; i++)
        append(bytes, encoded->spans[i].data, encoded->spans[i].bytes);
    assert_int_equal(bytes->size - before, encoded->metadata_bytes + encoded->body_bytes);
    fletch_ipc_encoded_release(cache, encoded);
}

static struct fletch_ipc_encoder *encoder_with(struct test_pool *pool, struct fletch_schema *schema,
                                               size_t alignment, enum fletch_codec codec)
{
    const struct fletch_ipc_encoder_options options = {
        .schema = schema,
        .cache = pool->cache,
        .account = pool->account,
        .alignment = alignment,
        .codec = codec,
    };
    struct fletch_ipc_encoder *encoder = NULL;
    assert_ok(fletch_ipc_encoder_create(&options, NULL, &encoder, NULL));
    return encoder;
}

static struct fletch_ipc_encoder *encoder_of(struct test_pool *pool, struct fletch_schema *schema,
                                             size_t alignment)
{
    return encoder_with(pool, schema, alignment, FLETCH_CODEC_NONE);
}

static struct fletch_ipc_decoder *decoder_of(struct test_pool *pool, size_t body_step_bytes)
{
    const struct fletch_ipc_read_options options = {
        .struct_size = sizeof options,
        .cache = pool->cache,
        .account = pool->account,
        .validation = FLETCH_VALIDATION_FULL,
        .body_step_bytes = body_step_bytes,
    };
    struct fletch_ipc_decoder *decoder = NULL;
    struct fletch_ipc_read_options known;
    assert_ok(fletch_ipc_read_options_copy(&known, &options, NULL));
    assert_ok(fletch_ipc_decoder_create(&known, &decoder, NULL));
    return decoder;
}

/* Appends the dictionaries that the batch needs, and the batch; returns how many the former are. */
static int append_batch(struct bytes *bytes, struct test_pool *pool,
                        struct fletch_ipc_encoder *encoder, struct fletch_batch *batch)
{
    struct fletch_ipc_encoded encoded;
    struct fletch_error error = {0};
    int count = 0;
    for (;; count++) {
        bool is_needed = false;
        assert_ok(fletch_ipc_encoder_dictionary(encoder, batch, &is_needed, &encoded, &error));
        if (!is_needed)
            break;
        append_encoded(bytes, pool->cache, &encoded);
    }
    assert_ok(fletch_ipc_encoder_batch(encoder, batch, NULL, &encoded, &error));
    append_encoded(bytes, pool->cache, &encoded);
    return count;
}

static void append_schema(struct bytes *bytes, struct test_pool *pool,
                          struct fletch_ipc_encoder *encoder)
{
    struct fletch_ipc_encoded encoded;
    assert_ok(fletch_ipc_encoder_schema(encoder, &encoded, NULL));
    append_encoded(bytes, pool->cache, &encoded);
}

/* The next event but dictionaries, of a stream that is fed in pieces of up to `step` bytes. */
static struct fletch_ipc_event next_event(struct fletch_ipc_decoder *decoder,
                                          const struct bytes *bytes, size_t *position, size_t step)
{
    struct fletch_ipc_event event = {0};
    struct fletch_error error = {0};
    while (event.kind == FLETCH_IPC_EVENT_NONE || event.kind == FLETCH_IPC_EVENT_DICTIONARY) {
        if (fletch_ipc_decoder_next(decoder, &event, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        struct fletch_ipc_need need = fletch_ipc_decoder_need(decoder);
        if (event.kind != FLETCH_IPC_EVENT_NONE)
            continue;
        size_t given = need.bytes < step ? need.bytes : step;
        assert_true(given > 0 && *position + given <= bytes->size);
        memcpy(need.destination, bytes->data + *position, given);
        *position += given;
        if (fletch_ipc_decoder_fill(decoder, given, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
    }
    return event;
}

static void expect_batch(struct fletch_ipc_decoder *decoder, const struct bytes *bytes,
                         size_t *position, const struct fletch_batch *expected)
{
    struct fletch_ipc_event event = next_event(decoder, bytes, position, 1 + *position % 500);
    assert_int_equal(event.kind, FLETCH_IPC_EVENT_BATCH);
    assert_true(batches_equal(expected, event.batch));
    for (uint32_t i = 0; i < event.batch->span_count; i++)
        assert_int_equal((uintptr_t)event.batch->spans[i].data % 8, 0);
    fletch_batch_release(NULL, event.batch);
}

static void round_trip(struct test_pool *pool, struct fletch_random *random,
                       struct fletch_schema *schema, int round)
{
    enum { BATCHES = 4 };
    size_t alignment = round % 2 == 0 ? 8 : 64;
    struct bytes bytes = {0};
    struct fletch_batch *batches[BATCHES];
    struct fletch_ipc_encoder *encoder =
        encoder_with(pool, schema, alignment, (enum fletch_codec)(round % (FLETCH_CODEC_ZSTD + 1)));
    append_schema(&bytes, pool, encoder);
    for (int i = 0; i < BATCHES; i++) {
        int64_t rows = fletch_random_below(random, 60);
        struct fletch_batch *whole = random_batch(random, pool->cache, schema, rows);
        int64_t first = fletch_random_below(random, (uint32_t)rows + 1);
        int64_t count = fletch_random_below(random, (uint32_t)(rows - first) + 1);
        batches[i] = i % 2 == 0 ? fletch_batch_acquire(whole)
                                : batch_slice(pool->cache, whole, first, count);
        fletch_batch_release(NULL, whole);
        append_batch(&bytes, pool, encoder, batches[i]);
        assert_int_equal(bytes.size % alignment, 0);
    }
    append(&bytes, "\xff\xff\xff\xff\0\0\0\0", 8);
    fletch_ipc_encoder_destroy(encoder);

    struct fletch_ipc_decoder *decoder = decoder_of(pool, 100);
    size_t position = 0;
    struct fletch_ipc_event event = next_event(decoder, &bytes, &position, SIZE_MAX);
    assert_int_equal(event.kind, FLETCH_IPC_EVENT_SCHEMA);
    assert_ok(fletch_schema_compare(schema, fletch_ipc_decoder_schema(decoder),
                                    FLETCH_COMPARE_METADATA, NULL));
    for (int i = 0; i < BATCHES; i++) {
        expect_batch(decoder, &bytes, &position, batches[i]);
        fletch_batch_release(NULL, batches[i]);
    }
    event = next_event(decoder, &bytes, &position, SIZE_MAX);
    assert_int_equal(event.kind, FLETCH_IPC_EVENT_END);
    assert_int_equal(position, bytes.size);
    assert_ok(fletch_ipc_decoder_end(decoder, NULL));
    fletch_ipc_decoder_destroy(decoder);
    free(bytes.data);
}

static void random_batches_come_back(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(20);
    const struct random_schema_options options = {
        .columns_max = 6, .depth_max = 4, .has_all_layouts = true};
    for (int i = 0; i < 300; i++) {
        struct fletch_schema *schema = random_schema(&random, &options);
        round_trip(&pool, &random, schema, i);
        fletch_schema_release(schema);
    }
    test_pool_end(&pool);
}

static void every_type_comes_back(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(21);
    struct fletch_schema *schema = schema_of_every_layout();
    for (int i = 0; i < 30; i++)
        round_trip(&pool, &random, schema, i);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* A slice costs its own rows, whatever it is a slice of. */
static void a_slice_goes_out_alone(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(22);
    struct fletch_schema *schema = schema_new("a=l! b=u c=+l(item=u) d=b");
    struct fletch_batch *whole = random_batch(&random, pool.cache, schema, 20000);
    struct fletch_batch *slice = batch_slice(pool.cache, whole, 10001, 3);
    struct fletch_ipc_encoder *encoder = encoder_of(&pool, schema, 8);
    struct fletch_ipc_encoded encoded;
    assert_ok(fletch_ipc_encoder_batch(encoder, slice, NULL, &encoded, NULL));
    assert_true(encoded.body_bytes < 4096);
    fletch_ipc_encoded_release(pool.cache, &encoded);
    fletch_ipc_encoder_destroy(encoder);
    fletch_batch_release(NULL, slice);
    fletch_batch_release(NULL, whole);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* What is aligned and begins with 0 is sent from where it lies. */
static void nothing_is_copied_that_need_not_be(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(23);
    struct fletch_schema *schema = schema_new("a=l! b=i! c=g!");
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 1000);
    struct fletch_ipc_encoder *encoder = encoder_of(&pool, schema, 64);
    struct fletch_ipc_encoded encoded;
    assert_ok(fletch_ipc_encoder_batch(encoder, batch, NULL, &encoded, NULL));
    size_t found = 0;
    for (uint32_t i = 0; i < encoded.span_count; i++)
        for (uint32_t k = 0; k < 3; k++)
            found += encoded.spans[i].data ==
                     batch->spans[2 * k + 1].data + batch->nodes[k].offset * (k == 1 ? 4 : 8);
    assert_int_equal(found, 3);
    fletch_ipc_encoded_release(pool.cache, &encoded);
    fletch_ipc_encoder_destroy(encoder);
    fletch_batch_release(NULL, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* Metadata and body apart, the body at every address. */
static void a_misaligned_body_is_repaired(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(24);
    struct fletch_schema *schema = schema_new("a=l b=u c=+s(x=i y=b)");
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 50);
    struct fletch_ipc_encoder *encoder = encoder_of(&pool, schema, 8);
    struct bytes bytes = {0};
    append_schema(&bytes, &pool, encoder);
    size_t schema_bytes = bytes.size;
    append_batch(&bytes, &pool, encoder, batch);
    size_t message_bytes = bytes.size - schema_bytes;
    uint32_t metadata_bytes;
    memcpy(&metadata_bytes, bytes.data + schema_bytes + 4, 4);
    for (size_t shift = 0; shift < 9; shift++) {
        struct fletch_buffer *buffer = NULL;
        assert_ok(fletch_buffer_allocate(pool.cache, message_bytes + shift, NULL, &buffer, NULL));
        memcpy(fletch_buffer_mutable_data(buffer) + shift, bytes.data + schema_bytes,
               message_bytes);
        struct fletch_ipc_decoder *decoder = decoder_of(&pool, 0);
        struct fletch_ipc_event event;
        struct fletch_ipc_input input = {.metadata = bytes.data + 8,
                                         .metadata_bytes = schema_bytes - 8};
        assert_ok(fletch_ipc_decoder_message(decoder, &input, &event, NULL));
        input.metadata = fletch_buffer_data(buffer) + shift + 8;
        input.metadata_bytes = metadata_bytes;
        input.body = (struct fletch_ipc_body){.buffer = buffer,
                                              .offset = shift + 8 + metadata_bytes,
                                              .bytes = message_bytes - 8 - metadata_bytes};
        assert_ok(fletch_ipc_decoder_message(decoder, &input, &event, NULL));
        assert_true(batches_equal(batch, event.batch));
        assert_int_equal(event.batch->owner_count == 1, shift % 8 == 0);
        fletch_batch_release(NULL, event.batch);
        fletch_buffer_release(NULL, buffer);
        fletch_ipc_decoder_destroy(decoder);
    }
    free(bytes.data);
    fletch_ipc_encoder_destroy(encoder);
    fletch_batch_release(NULL, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void an_old_prefix_is_read(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(25);
    struct fletch_schema *schema = schema_new("a=l b=u");
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 50);
    struct fletch_ipc_encoder *encoder = encoder_of(&pool, schema, 8);
    struct fletch_ipc_encoded encoded;
    struct bytes bytes = {0};
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            assert_ok(fletch_ipc_encoder_schema(encoder, &encoded, NULL));
        else
            assert_ok(fletch_ipc_encoder_batch(encoder, batch, NULL, &encoded, NULL));
        append(&bytes, encoded.spans[0].data + 4, encoded.spans[0].bytes - 4);
        for (uint32_t k = 1; k < encoded.span_count; k++)
            append(&bytes, encoded.spans[k].data, encoded.spans[k].bytes);
        fletch_ipc_encoded_release(pool.cache, &encoded);
    }
    append(&bytes, "\0\0\0\0", 4);
    struct fletch_ipc_decoder *decoder = decoder_of(&pool, 0);
    size_t position = 0;
    assert_int_equal(next_event(decoder, &bytes, &position, 3).kind, FLETCH_IPC_EVENT_SCHEMA);
    expect_batch(decoder, &bytes, &position, batch);
    assert_int_equal(next_event(decoder, &bytes, &position, 3).kind, FLETCH_IPC_EVENT_END);
    fletch_ipc_decoder_destroy(decoder);
    free(bytes.data);
    fletch_ipc_encoder_destroy(encoder);
    fletch_batch_release(NULL, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* Each batch with its dictionaries, to a reader that knows the schema and nothing else. */
static void batches_stand_alone_after_forgetting(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(28);
    struct fletch_schema *schema = schema_new("a=c<u> b=l d=s<l>");
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 50);
    struct fletch_ipc_encoder *encoder = encoder_of(&pool, schema, 64);
    for (int i = 0; i < 2; i++) {
        struct bytes bytes = {0};
        size_t position = 0;
        assert_int_equal(append_batch(&bytes, &pool, encoder, batch), 2);
        fletch_ipc_encoder_forget(encoder);
        struct fletch_ipc_decoder *decoder = decoder_of(&pool, 100);
        assert_ok(fletch_ipc_decoder_use_schema(decoder, schema, NULL));
        expect_batch(decoder, &bytes, &position, batch);
        fletch_ipc_decoder_destroy(decoder);
        free(bytes.data);
    }
    fletch_ipc_encoder_destroy(encoder);
    fletch_batch_release(NULL, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* The largest block of the batch's messages, taken and measured. */
static void expect_measured(struct test_pool *pool, struct fletch_ipc_encoder *encoder,
                            struct fletch_batch *batch, size_t measured)
{
    struct fletch_ipc_encoded encoded;
    size_t largest = 0;
    bool is_needed = true;
    while (is_needed) {
        assert_ok(fletch_ipc_encoder_dictionary(encoder, batch, &is_needed, &encoded, NULL));
        if (!is_needed)
            assert_ok(fletch_ipc_encoder_batch(encoder, batch, NULL, &encoded, NULL));
        if (fletch_buffer_bytes(encoded.block) > largest)
            largest = fletch_buffer_bytes(encoded.block);
        fletch_ipc_encoded_release(pool->cache, &encoded);
    }
    fletch_ipc_encoder_forget(encoder);
    assert_int_equal(largest, measured);
}

static void blocks_are_as_large_as_measured(void **state)
{
    (void)state;
    enum { ROUNDS = 100, ROWS = 300 };
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(29);
    for (int i = 0; i < ROUNDS; i++) {
        const struct random_schema_options options = {
            .columns_max = 6, .depth_max = 3, .has_all_layouts = i % 2 == 1};
        struct fletch_schema *schema = random_schema(&random, &options);
        struct fletch_batch *whole = random_batch(&random, pool.cache, schema, ROWS);
        struct fletch_batch *slice = batch_slice(pool.cache, whole, 3, ROWS - 7);
        struct fletch_ipc_encoder *encoder = encoder_of(&pool, schema, 64);
        size_t least = 0;
        size_t bytes = 0;
        assert_ok(fletch_ipc_encoder_measure(encoder, NULL, &least, NULL));
        assert_ok(fletch_ipc_encoder_measure(encoder, slice, &bytes, NULL));
        /* Views may have fewer data buffers than one each. */
        assert_true(bytes >= least || options.has_all_layouts);
        expect_measured(&pool, encoder, slice, bytes);
        assert_ok(fletch_ipc_encoder_measure(encoder, whole, &bytes, NULL));
        expect_measured(&pool, encoder, whole, bytes);
        fletch_ipc_encoder_destroy(encoder);
        fletch_batch_release(pool.cache, slice);
        fletch_batch_release(pool.cache, whole);
        fletch_schema_release(schema);
    }
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_batches_come_back),
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(a_slice_goes_out_alone),
        cmocka_unit_test(nothing_is_copied_that_need_not_be),
        cmocka_unit_test(a_misaligned_body_is_repaired),
        cmocka_unit_test(an_old_prefix_is_read),
        cmocka_unit_test(batches_stand_alone_after_forgetting),
        cmocka_unit_test(blocks_are_as_large_as_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
