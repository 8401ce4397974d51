#include <string.h>

#include "arrow/codec.h"
#include "arrow/ipc_encoder.h"
#include "arrow/ipc_format.h"
#include "arrow/ipc_message.h"
#include "support/cmocka_tests.h"
#include "support/flight_raw.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Record batches and dictionaries whose headers or bodies say what is not so, in messages that are
 * whole otherwise, to a server that is put to and to a client that gets: what is wrong ends the
 * call and is told, what is only unusual is read right, and nothing is kept. */

enum { ROWS = 64, PART_BYTES_MOST = 1 << 14, MESSAGES_MOST = 6 };

/* Of the schema "a=l u=u": fields, and buffers. */
enum { NODE_A, NODE_U };
enum { A_VALIDITY, A_DATA, U_VALIDITY, U_OFFSETS, U_DATA };

struct part {
    uint8_t bytes[PART_BYTES_MOST];
    size_t count;
};

struct ipc {
    struct part header;
    struct part body;
};

static struct flight_scene scene;
static struct fletch_error error;
static struct fletch_schema *schema;
static struct ipc sent[MESSAGES_MOST]; /* the schema first */
static uint32_t sent_count;
static struct fletch_batch *wanted; /* what each batch has to be; NULL: any */

/* ---- messages ---- */

static void append(struct part *part, const void *bytes, size_t count)
{
    assert_true(part->count + count <= sizeof part->bytes);
    if (count != 0)
        memcpy(part->bytes + part->count, bytes, count);
    part->count += count;
}

static void keep(struct fletch_ipc_encoded *encoded, struct ipc *to)
{
    to->header.count = to->body.count = 0;
    append(&to->header, encoded->spans[0].data + FLETCH_IPC_PREFIX_BYTES,
           encoded->metadata_bytes - FLETCH_IPC_PREFIX_BYTES);
    for (uint32_t i = 1; i < encoded->span_count; i++)
        append(&to->body, encoded->spans[i].data, encoded->spans[i].bytes);
    fletch_ipc_encoded_release(scene.rpc.pool.cache, encoded);
}

static struct fletch_ipc_encoder *encoder_of(struct fletch_schema *of, enum fletch_codec codec)
{
    const struct fletch_ipc_encoder_options options = {
        .schema = of, .cache = scene.rpc.pool.cache, .alignment = 8, .codec = codec};
    struct fletch_ipc_encoder *encoder;
    struct fletch_ipc_encoded encoded;
    assert_ok(fletch_ipc_encoder_create(&options, NULL, &encoder, &error));
    assert_ok(fletch_ipc_encoder_schema(encoder, &encoded, &error));
    keep(&encoded, &sent[0]);
    sent_count = 1;
    return encoder;
}

/* Its dictionaries first. */
static void encode(struct fletch_ipc_encoder *encoder, struct fletch_batch *batch)
{
    struct fletch_ipc_encoded encoded;
    bool is_needed = true;
    while (is_needed) {
        assert_ok(fletch_ipc_encoder_dictionary(encoder, batch, &is_needed, &encoded, &error));
        if (is_needed)
            keep(&encoded, &sent[sent_count++]);
    }
    assert_ok(fletch_ipc_encoder_batch(encoder, batch, NULL, &encoded, &error));
    keep(&encoded, &sent[sent_count++]);
    assert_true(sent_count < MESSAGES_MOST);
}

/* ---- numbers within ---- */

/* Where the pair of numbers `index` of the nodes, or of the buffers, is in the header. */
static uint8_t *pair_of(struct ipc *ipc, bool is_node, uint32_t index)
{
    struct fletch_ipc_message message;
    struct fletch_ipc_batch_header header;
    assert_ok(fletch_ipc_message_open(&message, ipc->header.bytes, ipc->header.count, UINT64_MAX,
                                      &error));
    assert_ok(fletch_ipc_batch_header_open(&message, &message.header, &header, &error));
    const uint8_t *elements = is_node ? header.nodes.elements : header.buffers.elements;
    assert_true(index < (is_node ? header.nodes.count : header.buffers.count));
    return ipc->header.bytes + (elements - ipc->header.bytes) + (size_t)index * 16;
}

static int64_t number_at(const uint8_t *bytes)
{
    int64_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}

static void set_number(uint8_t *bytes, int64_t number)
{
    memcpy(bytes, &number, sizeof number);
}

static uint8_t *buffer_of(struct ipc *ipc, uint32_t index, int64_t *out_bytes)
{
    const uint8_t *pair = pair_of(ipc, false, index);
    *out_bytes = number_at(pair + 8);
    return ipc->body.bytes + number_at(pair);
}

/* The body's length, which the header tells too. */
static void set_body_length(struct ipc *ipc, size_t before)
{
    for (size_t i = 0; i + 8 <= ipc->header.count; i += 4)
        if (number_at(ipc->header.bytes + i) == (int64_t)before)
            set_number(ipc->header.bytes + i, (int64_t)ipc->body.count);
    struct fletch_ipc_message message;
    assert_ok(fletch_ipc_message_open(&message, ipc->header.bytes, ipc->header.count, UINT64_MAX,
                                      &error));
    assert_int_equal(message.body_bytes, ipc->body.count);
}

/* Puts a buffer's new contents behind all others, and lets it lie there. */
static void move_buffer(struct ipc *ipc, uint32_t index, const void *bytes, size_t count)
{
    static const uint8_t zeros[8];
    size_t before = ipc->body.count;
    uint8_t *pair = pair_of(ipc, false, index);
    append(&ipc->body, bytes, count);
    append(&ipc->body, zeros, (8 - count % 8) % 8);
    set_body_length(ipc, before);
    set_number(pair, (int64_t)before);
    set_number(pair + 8, (int64_t)count);
}

/* ---- both ends ---- */

static enum fletch_status do_get(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_bytes *ticket,
                                 struct fletch_error *cause);

static void send_all(struct fletch_flight_stream *stream, bool is_put)
{
    static struct flight_raw raw;
    for (uint32_t i = 0; i < sent_count; i++) {
        raw.count = 0;
        if (is_put && i == 0)
            flight_raw_descriptor(&raw);
        flight_raw_field(&raw, 2, sent[i].header.bytes, sent[i].header.count);
        if (i != 0)
            flight_raw_field(&raw, 1000, sent[i].body.bytes, sent[i].body.count);
        flight_raw_send(&scene, stream, &raw);
    }
}

static enum fletch_status do_get(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_bytes *ticket,
                                 struct fletch_error *cause)
{
    (void)user;
    (void)ticket;
    (void)cause;
    send_all(stream, false);
    return FLETCH_OK;
}

/* What is expected of what is sent: all batches, or an end by `status` after `batches` of them,
 * whose text has `text`. */
struct outcome {
    const char *name;
    enum fletch_status status;
    uint32_t batches;
    const char *text;
};

static void check(const char *side, const struct outcome *outcome, enum fletch_status status,
                  const char *text, uint32_t batches)
{
    if (status != outcome->status || batches != outcome->batches)
        fail_msg("%s, %s: %s after %u batches (%s), and not %s after %u", side, outcome->name,
                 fletch_status_name(status), (unsigned)batches, text,
                 fletch_status_name(outcome->status), (unsigned)outcome->batches);
    if (outcome->text != NULL)
        assert_contains(text, outcome->text);
}

static void put(const struct outcome *outcome)
{
    uint32_t before = scene.read;
    struct fletch_flight_stream *stream = flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_PUT, 0);
    send_all(stream, true);
    fletch_flight_stream_done_writing(stream);
    const struct fletch_flight_end told = flight_scene_wait(&scene, stream);
    check("put", outcome, told.status, told.text, scene.read - before);
    fletch_flight_stream_close(stream);
}

static void get(const struct outcome *outcome)
{
    const struct fletch_flight_bytes ticket = {"t", 1};
    struct fletch_flight_stream *stream = flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_GET, 0);
    struct fletch_flight_data data;
    uint32_t batches = 0;
    assert_answer(fletch_flight_stream_send(stream, FLETCH_FLIGHT_TICKET, &ticket, 0, &error),
                  FLETCH_DONE);
    fletch_flight_stream_done_writing(stream);
    while (flight_scene_read(&scene, stream, &data, &error) == FLETCH_DONE) {
        if (wanted != NULL && !batches_equal(data.batch, wanted))
            fail_msg("%s: another batch than was sent", outcome->name);
        fletch_batch_release(scene.rpc.pool.cache, data.batch);
        batches++;
    }
    check("get", outcome, error.status, error.message, batches);
    fletch_flight_stream_close(stream);
}

static uint64_t settled_bytes(void)
{
    flight_scene_until(&scene, &scene.ended, scene.sources);
    for (int i = 0; i < 5; i++)
        flight_scene_turn(&scene);
    return account_used_bytes(scene.account);
}

static void expect(const struct outcome *outcome)
{
    uint64_t before = settled_bytes();
    put(outcome);
    get(outcome);
    if (settled_bytes() > before)
        fail_msg("%s: keeps %lld bytes", outcome->name, (long long)(settled_bytes() - before));
}

/* ---- one batch ---- */

static struct fletch_batch *good;

/* In both columns, and a value. */
static struct fletch_batch *batch_with_nulls(struct fletch_random *random)
{
    for (;;) {
        struct fletch_batch *batch = random_batch(random, scene.rpc.pool.cache, schema, ROWS);
        int64_t nulls = batch->nodes[NODE_A].null_count;
        if (nulls > 0 && nulls != ROWS && batch->nodes[NODE_U].null_count > 0)
            return batch;
        fletch_batch_release(scene.rpc.pool.cache, batch);
    }
}

static int start(void **state)
{
    struct fletch_random random = fletch_random_from_seed(5);
    (void)state;
    flight_scene_prepare(&scene, NULL);
    assert_true(flight_scene_start(&scene));
    scene.service.handlers.do_get = do_get;
    scene.service.validation = FLETCH_VALIDATION_FULL;
    schema = schema_new("a=l u=u");
    good = batch_with_nulls(&random);
    wanted = good;
    /* What the first calls leave to later ones. */
    fletch_ipc_encoder_destroy(encoder_of(schema, FLETCH_CODEC_NONE));
    expect(&(struct outcome){.name = "a schema alone"});
    return 0;
}

static int end(void **state)
{
    (void)state;
    fletch_batch_release(scene.rpc.pool.cache, good);
    fletch_schema_release(schema);
    flight_scene_end(&scene);
    return 0;
}

static struct ipc *encode_good(enum fletch_codec codec)
{
    struct fletch_ipc_encoder *encoder = encoder_of(schema, codec);
    encode(encoder, good);
    fletch_ipc_encoder_destroy(encoder);
    assert_int_equal(sent_count, 2);
    return &sent[1];
}

/* One number of the header is another one. */
struct lie {
    struct outcome outcome;
    bool is_node;
    uint32_t index;
    uint32_t word; /* length, null count; offset, length */
    int64_t value;
};

#define REFUSED(name, text) \
    { \
        name, FLETCH_INVALID_ARGUMENT, 0, text \
    }

static const struct lie lies[] = {
    {REFUSED("a negative offset", "offset"), false, A_DATA, 0, -8},
    {REFUSED("a negative length", "length"), false, A_DATA, 1, -8},
    {REFUSED("an offset past the end", NULL), false, U_DATA, 0, 1 << 20},
    {REFUSED("a length past the end", NULL), false, U_DATA, 1, 1 << 20},
    {REFUSED("an offset whose end overflows", NULL), false, A_DATA, 0, INT64_MAX - 7},
    {REFUSED("a length whose end overflows", NULL), false, A_DATA, 1, INT64_MAX},
    {REFUSED("the least of all offsets", NULL), false, U_OFFSETS, 0, INT64_MIN},
    {REFUSED("too few values", NULL), false, A_DATA, 1, 8 * (ROWS - 1)},
    {REFUSED("too few offsets", NULL), false, U_OFFSETS, 1, 4 * ROWS},
    {REFUSED("too short a validity", NULL), false, A_VALIDITY, 1, ROWS / 8 - 1},
    {REFUSED("a validity that is not there", NULL), false, U_VALIDITY, 1, 0},
    {REFUSED("more nulls than rows", "null count"), true, NODE_A, 1, ROWS + 1},
    {REFUSED("less nulls than none", "null count"), true, NODE_U, 1, -2},
    {REFUSED("another number of nulls", "null count"), true, NODE_A, 1, ROWS},
    {REFUSED("fewer rows than the batch", NULL), true, NODE_A, 0, ROWS - 1},
    {REFUSED("more rows than the batch", NULL), true, NODE_U, 0, ROWS + 1},
    {REFUSED("a negative number of rows", NULL), true, NODE_U, 0, -1},
};

static void numbers_that_are_lies_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        const struct lie *lie = &lies[i];
        struct ipc *batch = encode_good(FLETCH_CODEC_NONE);
        set_number(pair_of(batch, lie->is_node, lie->index) + (size_t)lie->word * 8, lie->value);
        expect(&lie->outcome);
    }
}

static void offsets_that_go_back_are_refused(void **state)
{
    static const struct {
        uint32_t index;
        int32_t value;
    } changes[] = {{0, -1}, {ROWS / 2, -1}, {ROWS / 2, INT32_MAX}, {ROWS, INT32_MIN}, {ROWS, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct ipc *batch = encode_good(FLETCH_CODEC_NONE);
        int64_t bytes;
        uint8_t *offsets = buffer_of(batch, U_OFFSETS, &bytes);
        assert_true(bytes >= 4 * (ROWS + 1));
        memcpy(offsets + (size_t)changes[i].index * 4, &changes[i].value, 4);
        expect(&(struct outcome)REFUSED("offsets that go back", "field 'u'"));
    }
}

static void buffers_may_lie_in_any_order(void **state)
{
    (void)state;
    struct ipc *batch = encode_good(FLETCH_CODEC_NONE);
    for (uint32_t i = A_VALIDITY; i <= U_OFFSETS; i++) {
        static uint8_t copy[PART_BYTES_MOST];
        int64_t bytes;
        const uint8_t *from = buffer_of(batch, i, &bytes);
        memcpy(copy, from, (size_t)bytes);
        memset(batch->body.bytes + (from - batch->body.bytes), 0xee, (size_t)bytes);
        move_buffer(batch, i, copy, (size_t)bytes);
    }
    expect(&(struct outcome){"buffers in another order", FLETCH_OK, 1, NULL});
}

/* Nobody writes into them: two may be the same. */
static void buffers_may_overlap(void **state)
{
    (void)state;
    struct ipc *batch = encode_good(FLETCH_CODEC_NONE);
    int64_t offset = number_at(pair_of(batch, false, U_OFFSETS));
    set_number(pair_of(batch, false, A_DATA), offset - ROWS * 8 / 2);
    wanted = NULL;
    expect(&(struct outcome){"buffers that overlap", FLETCH_OK, 1, NULL});
    wanted = good;
}

/* ---- compressed bodies ---- */

static const enum fletch_codec codecs[] = {FLETCH_CODEC_LZ4_FRAME, FLETCH_CODEC_ZSTD};

/* The bytes of a buffer as they are without compression. */
static size_t plain_bytes(uint32_t index, uint8_t *to)
{
    int64_t bytes;
    const uint8_t *from = buffer_of(encode_good(FLETCH_CODEC_NONE), index, &bytes);
    memcpy(to, from, (size_t)bytes);
    return (size_t)bytes;
}

/* Behind `length`, `frames` frames of the codec, or as many bytes as they are (0). */
static size_t compressed(enum fletch_codec codec, uint32_t frames, const uint8_t *plain,
                         size_t bytes, uint8_t *to)
{
    struct fletch_compressor compressor = {.codec = codec, .cache = scene.rpc.pool.cache};
    size_t count = 8;
    set_number(to, frames == 0 ? -1 : (int64_t)bytes);
    if (frames == 0) {
        memcpy(to + 8, plain, bytes);
        return 8 + bytes;
    }
    assert_ok(fletch_compressor_init(&compressor, &error));
    for (uint32_t i = 0; i < frames; i++) {
        size_t first = bytes * i / frames;
        count += fletch_compressor_run(&compressor, to + count, plain + first,
                                       bytes * (i + 1) / frames - first);
    }
    fletch_compressor_deinit(&compressor);
    return count;
}

/* Of LZ4 a buffer is one frame, for other readers too; what ZSTD's frames stand for follows each
 * other. */
static void frames_of_compression_may_be_none_or_several(void **state)
{
    static uint8_t plain[PART_BYTES_MOST], stored[PART_BYTES_MOST];
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        for (uint32_t frames = 0; frames <= 3; frames++) {
            size_t bytes = plain_bytes(A_DATA, plain);
            struct ipc *batch = encode_good(codecs[c]);
            size_t count = compressed(codecs[c], frames, plain, bytes, stored);
            move_buffer(batch, A_DATA, stored, count);
            if (codecs[c] == FLETCH_CODEC_LZ4_FRAME && frames > 1)
                expect(&(struct outcome)REFUSED("several frames", "LZ4_FRAME do not stand for"));
            else
                expect(&(struct outcome){"frames of a codec", FLETCH_OK, 1, NULL});
        }
    }
}

static void lengths_of_compressed_buffers_are_checked(void **state)
{
    static const int64_t lengths[] = {-2, INT64_MIN, INT64_MAX,    INT64_C(1) << 40,
                                      0,  1,         8 * ROWS - 1, 8 * ROWS + 1};
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            struct ipc *batch = encode_good(codecs[c]);
            int64_t bytes;
            set_number(buffer_of(batch, A_DATA, &bytes), lengths[i]);
            expect(&(struct outcome)REFUSED("a length that is a lie", "'a'"));
        }
    }
}

static void compressed_buffers_that_are_cut_are_refused(void **state)
{
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        int64_t bytes = 0;
        (void)buffer_of(encode_good(codecs[c]), U_DATA, &bytes);
        for (int64_t left = 1; left < bytes; left += 1 + bytes / 16) {
            struct ipc *batch = encode_good(codecs[c]);
            set_number(pair_of(batch, false, U_DATA) + 8, left);
            expect(&(struct outcome)REFUSED("a buffer that is cut", "'u'"));
        }
    }
}

/* ---- dictionaries ---- */

static struct fletch_schema *words;

/* A batch of the schema "d=c<u>", all of whose rows say the word `row` of `dictionary`, or null. */
static struct fletch_batch *batch_of(struct fletch_batch *dictionary, int8_t row)
{
    struct fletch_buffer *buffer = buffer_filled(&scene.rpc.pool, 64, (uint8_t)row);
    bool is_null = dictionary == NULL;
    if (is_null)
        memset(fletch_buffer_mutable_data(buffer), 0, 64);
    else
        dictionary = fletch_batch_acquire(dictionary);
    struct fletch_batch_node node = {.length = 8, .null_count = is_null ? 8 : 0};
    struct fletch_batch_span spans[2] = {
        {is_null ? fletch_buffer_data(buffer) + 8 : NULL, is_null ? 1 : 0},
        {fletch_buffer_data(buffer), 8}};
    const struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(words),
                                             .row_count = 8,
                                             .nodes = &node,
                                             .node_count = 1,
                                             .spans = spans,
                                             .span_count = 2,
                                             .owners = &buffer,
                                             .owner_count = 1,
                                             .dictionaries = &dictionary,
                                             .dictionary_count = 1};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(scene.rpc.pool.cache, NULL, &parts, &batch, &error));
    return batch;
}

/* schema, dictionary, batch, then what makes it grow or another in its place, batch. */
static void encode_words(bool grows)
{
    struct fletch_buffer_cache *cache = scene.rpc.pool.cache;
    struct fletch_random random = fletch_random_from_seed(9);
    struct fletch_schema *values = words->dictionaries[0].values;
    struct fletch_batch *whole = random_batch(&random, cache, values, 6);
    struct fletch_batch *other = random_batch(&random, cache, values, 6);
    struct fletch_batch *first =
        grows ? batch_slice(cache, whole, 0, 3) : batch_slice(cache, other, 0, 3);
    struct fletch_batch *batches[2] = {batch_of(first, 2), batch_of(whole, 5)};
    struct fletch_ipc_encoder *encoder = encoder_of(words, FLETCH_CODEC_NONE);
    for (int i = 0; i < 2; i++) {
        encode(encoder, batches[i]);
        fletch_batch_release(cache, batches[i]);
    }
    fletch_ipc_encoder_destroy(encoder);
    fletch_batch_release(cache, first);
    fletch_batch_release(cache, other);
    fletch_batch_release(cache, whole);
    assert_int_equal(sent_count, 5);
}

static void leave_out(uint32_t index)
{
    memmove(&sent[index], &sent[index + 1], (sent_count - index - 1) * sizeof *sent);
    sent_count--;
}

static void dictionaries_come_before_what_refers_to_them(void **state)
{
    (void)state;
    words = schema_new("d=c<u>");
    wanted = NULL;
    for (int grows = 0; grows < 2; grows++) {
        encode_words(grows);
        expect(&(struct outcome){"dictionaries in order", FLETCH_OK, 2, NULL});
        leave_out(3);
        expect(
            &(struct outcome){"a dictionary that has not grown", FLETCH_INVALID_ARGUMENT, 1, NULL});
    }
    encode_words(true);
    leave_out(1);
    expect(&(struct outcome)REFUSED("no dictionary", NULL));
    leave_out(1); /* the first batch: the delta comes first */
    expect(&(struct outcome)REFUSED("a delta first", NULL));
    wanted = good;
    fletch_schema_release(words);
}

static void nulls_need_no_dictionary(void **state)
{
    (void)state;
    words = schema_new("d=c<u>");
    struct fletch_batch *nulls = batch_of(NULL, 0);
    struct fletch_ipc_encoder *encoder = encoder_of(words, FLETCH_CODEC_NONE);
    encode(encoder, nulls);
    fletch_ipc_encoder_destroy(encoder);
    leave_out(1);
    assert_int_equal(sent_count, 2);
    wanted = nulls;
    expect(&(struct outcome){"nulls without a dictionary", FLETCH_OK, 1, NULL});
    wanted = good;
    fletch_batch_release(scene.rpc.pool.cache, nulls);
    fletch_schema_release(words);
}

/* The second dictionary of another schema. */
static void an_unknown_dictionary_is_refused(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(9);
    struct fletch_buffer_cache *cache = scene.rpc.pool.cache;
    struct fletch_schema *two = schema_new("d=c<u> e=c<u>");
    static struct ipc unknown;
    struct fletch_batch *batch = random_batch(&random, cache, two, 20);
    struct fletch_ipc_encoder *encoder = encoder_of(two, FLETCH_CODEC_NONE);
    encode(encoder, batch);
    fletch_ipc_encoder_destroy(encoder);
    assert_int_equal(sent_count, 4);
    unknown = sent[2];
    words = schema_new("d=c<u>");
    encode_words(true);
    sent[1] = unknown;
    expect(&(struct outcome)REFUSED("an unknown dictionary", "1"));
    fletch_batch_release(cache, batch);
    fletch_schema_release(two);
    fletch_schema_release(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_that_are_lies_are_refused, start, end),
        cmocka_unit_test_setup_teardown(offsets_that_go_back_are_refused, start, end),
        cmocka_unit_test_setup_teardown(buffers_may_lie_in_any_order, start, end),
        cmocka_unit_test_setup_teardown(buffers_may_overlap, start, end),
        cmocka_unit_test_setup_teardown(frames_of_compression_may_be_none_or_several, start, end),
        cmocka_unit_test_setup_teardown(lengths_of_compressed_buffers_are_checked, start, end),
        cmocka_unit_test_setup_teardown(compressed_buffers_that_are_cut_are_refused, start, end),
        cmocka_unit_test_setup_teardown(dictionaries_come_before_what_refers_to_them, start, end),
        cmocka_unit_test_setup_teardown(nulls_need_no_dictionary, start, end),
        cmocka_unit_test_setup_teardown(an_unknown_dictionary_is_refused, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
