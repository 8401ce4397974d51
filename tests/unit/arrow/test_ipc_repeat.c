#include "arrow/ipc_repeat.h"

#include <stdlib.h>
#include <string.h>

#include "arrow/ipc_decoder.h"
#include "arrow/ipc_encoder.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Messages whose metadata says the same as the last one's. */

enum { PREFIX_BYTES = 8, SEEDS = 40, BATCHES = 12 };

struct scene {
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_ipc_encoder *encoder;
    struct fletch_ipc_decoder *decoder;
    enum fletch_codec codec;
};

static struct scene scene_made(const char *schema, enum fletch_validation level,
                               enum fletch_codec codec)
{
    struct scene scene = {.pool = test_pool_make(), .schema = schema_new(schema), .codec = codec};
    const struct fletch_ipc_encoder_options writing = {
        .schema = scene.schema, .cache = scene.pool.cache, .alignment = 8, .codec = codec};
    const struct fletch_ipc_read_options reading = {.struct_size = sizeof reading,
                                                    .cache = scene.pool.cache,
                                                    .account = scene.pool.account,
                                                    .validation = level};
    struct fletch_ipc_read_options known;
    assert_ok(fletch_ipc_encoder_create(&writing, NULL, &scene.encoder, NULL));
    assert_ok(fletch_ipc_read_options_copy(&known, &reading, NULL));
    assert_ok(fletch_ipc_decoder_create(&known, &scene.decoder, NULL));
    assert_ok(fletch_ipc_decoder_use_schema(scene.decoder, scene.schema, NULL));
    return scene;
}

static void scene_end(struct scene *scene)
{
    fletch_ipc_decoder_destroy(scene->decoder);
    fletch_ipc_encoder_destroy(scene->encoder);
    fletch_schema_release(scene->schema);
    test_pool_end(&scene->pool);
}

/* A batch's message; `body` begins `skew` bytes behind a border. */
struct message {
    struct fletch_ipc_encoded encoded;
    struct fletch_ipc_input input;
    uint8_t *body;
};

static struct message message_of(struct scene *scene, struct fletch_batch *batch, size_t skew,
                                 const struct fletch_metadata *metadata)
{
    struct message message;
    assert_ok(fletch_ipc_encoder_batch(scene->encoder, batch, metadata, &message.encoded, NULL));
    struct fletch_buffer *buffer =
        buffer_filled(&scene->pool, message.encoded.body_bytes + skew + 1, 0x55);
    uint8_t *to = message.body = fletch_buffer_mutable_data(buffer) + skew;
    for (uint32_t i = 1; i < message.encoded.span_count; i++) {
        memcpy(to, message.encoded.spans[i].data, message.encoded.spans[i].bytes);
        to += message.encoded.spans[i].bytes;
    }
    message.input = (struct fletch_ipc_input){
        .metadata = message.encoded.spans[0].data + PREFIX_BYTES,
        .metadata_bytes = message.encoded.metadata_bytes - PREFIX_BYTES,
        .body = {buffer, skew, message.encoded.body_bytes},
    };
    return message;
}

static void message_end(struct scene *scene, struct message *message)
{
    fletch_ipc_encoded_release(scene->pool.cache, &message->encoded);
    fletch_buffer_release(scene->pool.cache, message->input.body.buffer);
}

static struct fletch_ipc_event read_message(struct scene *scene, const struct message *message)
{
    struct fletch_ipc_event event;
    struct fletch_error error;
    if (fletch_ipc_decoder_message(scene->decoder, &message->input, &event, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(event.kind, FLETCH_IPC_EVENT_BATCH);
    assert_int_equal(event.body_bytes, message->encoded.body_bytes);
    return event;
}

static void check_read(struct scene *scene, const struct message *message,
                       const struct fletch_batch *expected)
{
    struct fletch_ipc_event event = read_message(scene, message);
    assert_true(batches_equal(expected, event.batch));
    assert_int_equal(event.custom_metadata.count, 0);
    if (scene->codec == FLETCH_CODEC_NONE && message->input.body.offset % 8 == 0)
        assert_int_equal(event.batch->owner_count, 1);
    fletch_batch_release(scene->pool.cache, event.batch);
}

/* Of few sizes, so that most say what one before them said; in bodies that lie this way and that.
 * Some are kept for a while, as users keep them. */
static void check_sequence(const char *schema, uint64_t seed, enum fletch_validation level)
{
    static const size_t skews[] = {0, 64, 0, 8, 4, 0};
    static const int64_t sizes[] = {17, 17, 64, 0};
    struct scene scene = scene_made(schema, level, FLETCH_CODEC_NONE);
    struct fletch_random random = fletch_random_from_seed(seed);
    struct fletch_batch *batches[BATCHES], *kept[BATCHES];
    struct message messages[BATCHES];
    for (size_t i = 0; i < BATCHES; i++) {
        batches[i] = random_batch(&random, scene.pool.cache, scene.schema,
                                  sizes[fletch_random_below(&random, 4)]);
        messages[i] = message_of(&scene, batches[i], skews[fletch_random_below(&random, 6)], NULL);
        kept[i] = read_message(&scene, &messages[i]).batch;
        check_read(&scene, &messages[i], batches[i]);
        check_read(&scene, &messages[i / 2], batches[i / 2]);
    }
    for (size_t i = 0; i < BATCHES; i++) {
        assert_true(batches_equal(batches[i], kept[i]));
        fletch_batch_release(scene.pool.cache, kept[i]);
        fletch_batch_release(scene.pool.cache, batches[i]);
        message_end(&scene, &messages[i]);
    }
    scene_end(&scene);
}

static void batches_told_alike_are_read_alike(void **state)
{
    static const char *const schemas[] = {
        "a=l! b=i! c=g!", "a=l b=b c=d:19,10 d=w:3", "a=+s(x=i y=b) b=+w:4(item=s) c=n",
        "a=u b=i",        "a=+l(item=l) b=vu",       "a=+r(run_ends=i! values=u) b=c",
    };
    (void)state;
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++)
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            check_sequence(schemas[i], seed, (enum fletch_validation)(seed % 3 + 1));
}

/* A column that has anything in its buffers which has to be looked at, each time. */
static void only_plain_columns_may_repeat(void **state)
{
    static const struct {
        const char *schema;
        bool suits;
    } cases[] = {
        {"a=l b=b c=w:3 d=d:19,10 e=tsu: f=n g=+s(x=i) h=+w:2(item=f)", true},
        {"a=l b=u", false},
        {"a=Z", false},
        {"a=vz", false},
        {"a=+l(item=l)", false},
        {"a=+vl(item=l)", false},
        {"a=+s(x=i y=+s(z=u))", false},
        {"a=i<u>", false},
        {"a=i<l>", false},
        {"a=+r(run_ends=i! values=l)", false},
        {"a=+ud:0,1(x=i y=l)", false},
        {"a=+us:0,1(x=i y=l)", false},
        {"a=+m(entries=+s(key=i! value=i)!)", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fletch_schema *schema = schema_new(cases[i].schema);
        assert_int_equal(fletch_ipc_repeat_suits(schema), cases[i].suits);
        fletch_schema_release(schema);
    }
}

/* Null counts are checked against what is in the body, where that is asked for. */
static void full_validation_looks_each_time(void **state)
{
    (void)state;
    struct scene scene = scene_made("a=l", FLETCH_VALIDATION_FULL, FLETCH_CODEC_NONE);
    struct fletch_random random = fletch_random_from_seed(3);
    struct fletch_batch *batch = random_batch(&random, scene.pool.cache, scene.schema, 100);
    struct message message = message_of(&scene, batch, 0, NULL);
    struct fletch_ipc_event event;
    struct fletch_error error;
    check_read(&scene, &message, batch);
    message.body[0] ^= 1;
    assert_int_equal(fletch_ipc_decoder_message(scene.decoder, &message.input, &event, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "null count");
    message_end(&scene, &message);
    fletch_batch_release(scene.pool.cache, batch);
    scene_end(&scene);
}

static void a_body_that_is_cut_is_refused(void **state)
{
    (void)state;
    struct scene scene = scene_made("a=l!", FLETCH_VALIDATION_DEFAULT, FLETCH_CODEC_NONE);
    struct fletch_random random = fletch_random_from_seed(4);
    struct fletch_batch *batch = random_batch(&random, scene.pool.cache, scene.schema, 100);
    struct message message = message_of(&scene, batch, 0, NULL);
    struct fletch_ipc_event event;
    struct fletch_error error;
    check_read(&scene, &message, batch);
    message.input.body.bytes++;
    check_read(&scene, &message, batch);
    message.input.body.bytes -= 2;
    assert_int_equal(fletch_ipc_decoder_message(scene.decoder, &message.input, &event, &error),
                     FLETCH_DATA_LOSS);
    message_end(&scene, &message);
    fletch_batch_release(scene.pool.cache, batch);
    scene_end(&scene);
}

/* Two batches of equal metadata, of which one buffer is compressed and the other is not. */
static void compressed_batches_are_read_each_time(void **state)
{
    (void)state;
    struct scene scene = scene_made("a=l!", FLETCH_VALIDATION_DEFAULT, FLETCH_CODEC_LZ4_FRAME);
    struct fletch_random random = fletch_random_from_seed(5);
    struct fletch_batch *batch = random_batch(&random, scene.pool.cache, scene.schema, 100);
    struct message message = message_of(&scene, batch, 0, NULL);
    check_read(&scene, &message, batch);
    /* "No length: as it is" becomes "nothing at all", which is another batch. */
    const int64_t nothing = 0;
    int64_t length;
    struct fletch_ipc_event event;
    memcpy(&length, message.body, sizeof length);
    assert_int_equal(length, -1);
    memcpy(message.body, &nothing, sizeof nothing);
    struct fletch_error error;
    assert_int_equal(fletch_ipc_decoder_message(scene.decoder, &message.input, &event, &error),
                     FLETCH_INVALID_ARGUMENT);
    message_end(&scene, &message);
    fletch_batch_release(scene.pool.cache, batch);
    scene_end(&scene);
}

static void custom_metadata_is_told_each_time(void **state)
{
    static const char bytes[] = "\1\0\0\0\3\0\0\0key\5\0\0\0value";
    const struct fletch_metadata metadata = {bytes, sizeof bytes - 1, 1};
    (void)state;
    struct scene scene = scene_made("a=l!", FLETCH_VALIDATION_DEFAULT, FLETCH_CODEC_NONE);
    struct fletch_random random = fletch_random_from_seed(6);
    struct fletch_batch *batch = random_batch(&random, scene.pool.cache, scene.schema, 100);
    struct message plain = message_of(&scene, batch, 0, NULL);
    struct message told = message_of(&scene, batch, 0, &metadata);
    for (size_t i = 0; i < 3; i++) {
        struct fletch_ipc_event event = read_message(&scene, &told);
        assert_int_equal(event.custom_metadata.byte_count, sizeof bytes - 1);
        assert_memory_equal(event.custom_metadata.bytes, bytes, sizeof bytes - 1);
        fletch_batch_release(scene.pool.cache, event.batch);
        check_read(&scene, &plain, batch);
        check_read(&scene, &plain, batch);
    }
    message_end(&scene, &plain);
    message_end(&scene, &told);
    fletch_batch_release(scene.pool.cache, batch);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_told_alike_are_read_alike),
        cmocka_unit_test(only_plain_columns_may_repeat),
        cmocka_unit_test(full_validation_looks_each_time),
        cmocka_unit_test(a_body_that_is_cut_is_refused),
        cmocka_unit_test(compressed_batches_are_read_each_time),
        cmocka_unit_test(custom_metadata_is_told_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
