#include <stdio.h>
#include <string.h>

#include "arrow/ipc_encoder.h"
#include "arrow/ipc_format.h"
#include "support/cmocka_tests.h"
#include "support/flight_raw.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Messages as no peer of ours sends them, to a server that is put to and to a client that gets:
 * how the call ends, what was read before, and that nothing is kept. */

enum { PART_BYTES_MOST = 1 << 16, FILL_BYTES = 5000 };

struct part {
    uint8_t bytes[PART_BYTES_MOST];
    size_t count;
};

/* Of a stream with one dictionary: header and body of each message. */
static struct part schema_header, plain_header, dictionary_header, dictionary_body, batch_header,
    batch_body;

/* `messages`: one letter for each field, '|' between messages:
 *   s  header: the schema               k x  a dictionary's header, body
 *   p  header: a schema without any     h b  the batch's header, body
 *   n  header: nonsense                 X S  both bodies without their last 8 bytes
 *   e  header: empty                    L    the batch's body, and more behind it
 *   z  body: empty                      m 0  app metadata: "m", empty
 *   d  descriptor                       u U  fields that nobody knows, short and long
 *   t  a header that is cut off         v g  a length, a kind of field that cannot be */
struct trap {
    const char *messages;
    enum fletch_status status;
    uint32_t batches;
};

static const struct trap traps[] = {
    /* Any order, repeated, unknown, empty. */
    {"s|kx|hb", FLETCH_OK, 1},
    {"s|xk|bh", FLETCH_OK, 1},
    {"s|kx|mhb", FLETCH_OK, 1},
    {"s|kx|bmh", FLETCH_OK, 1},
    {"s|kx|h0b0", FLETCH_OK, 1},
    {"sm|kxm|hbm", FLETCH_OK, 1},
    {"|s||kx|||hb|", FLETCH_OK, 1},
    {"e|s|e|kx|e|hb|eze", FLETCH_OK, 1},
    {"0|s|0|kx|0|hb|0", FLETCH_OK, 1},
    {"m|s|m|kx|m|hb|m", FLETCH_OK, 1},
    {"sz|kx|zhb", FLETCH_OK, 1},
    {"uUsU|UukxU|hUbuU|U|u", FLETCH_OK, 1},
    {"ens|nkxxx|nehbbb", FLETCH_OK, 1},
    {"s|nnnnkSx|mmmmhSXb0", FLETCH_OK, 1},
    {"s|kx|hL", FLETCH_OK, 1},
    {"sb|kx|hb", FLETCH_OK, 1},
    {"sd|kxd|dhb|d", FLETCH_OK, 1},
    /* Dictionaries that come again. */
    {"s|kx|kx|hb", FLETCH_OK, 1},
    {"s|kx|hb|kx|hb|hb", FLETCH_OK, 3},
    /* Less than a stream. */
    {"", FLETCH_OK, 0},
    {"|||", FLETCH_OK, 0},
    {"m", FLETCH_OK, 0},
    {"s", FLETCH_OK, 0},
    {"s|kx", FLETCH_OK, 0},
    {"s|b", FLETCH_OK, 0},
    /* In the wrong order. */
    {"hb", FLETCH_INVALID_ARGUMENT, 0},
    {"kx|s|hb", FLETCH_INVALID_ARGUMENT, 0},
    {"s|s|kx|hb", FLETCH_INVALID_ARGUMENT, 0},
    {"s|kx|hb|s", FLETCH_INVALID_ARGUMENT, 1},
    {"s|hb|kx", FLETCH_INVALID_ARGUMENT, 0},
    {"p|kx|hb", FLETCH_INVALID_ARGUMENT, 0},
    /* Bodies that are not what their headers say. */
    {"s|kx|h", FLETCH_DATA_LOSS, 0},
    {"s|kx|hz|hb", FLETCH_DATA_LOSS, 0},
    {"s|kx|hbz", FLETCH_DATA_LOSS, 0},
    {"s|kx|hS|hb", FLETCH_DATA_LOSS, 0},
    {"s|kX|hb", FLETCH_DATA_LOSS, 0},
    {"s|k|hb", FLETCH_DATA_LOSS, 0},
    /* Nonsense, with more behind it. */
    {"n|s|kx|hb|hb|hb", FLETCH_INVALID_ARGUMENT, 0},
    {"s|kx|hnb|hb", FLETCH_INVALID_ARGUMENT, 0},
    {"s|kx|hb|nb|hb", FLETCH_INVALID_ARGUMENT, 1},
    {"s|kx|t|hb", FLETCH_INVALID_ARGUMENT, 0},
    {"s|kx|hbt", FLETCH_INVALID_ARGUMENT, 0},
    {"s|kx|Ut", FLETCH_INVALID_ARGUMENT, 0},
    {"v|s", FLETCH_INVALID_ARGUMENT, 0},
    {"s|kx|Ub v|hb", FLETCH_INVALID_ARGUMENT, 0},
    {"s|g|kx", FLETCH_INVALID_ARGUMENT, 0},
    {"s|kx|hbUg", FLETCH_INVALID_ARGUMENT, 0},
};

/* ---- parts ---- */

static struct flight_scene scene;
static struct fletch_error error;

static void append(struct part *part, const void *bytes, size_t count)
{
    assert_true(part->count + count <= sizeof part->bytes);
    memcpy(part->bytes + part->count, bytes, count);
    part->count += count;
}

static void keep(struct fletch_ipc_encoded *encoded, struct part *header, struct part *body)
{
    header->count = body->count = 0;
    append(header, encoded->spans[0].data + FLETCH_IPC_PREFIX_BYTES,
           encoded->metadata_bytes - FLETCH_IPC_PREFIX_BYTES);
    for (uint32_t i = 1; i < encoded->span_count; i++)
        append(body, encoded->spans[i].data, encoded->spans[i].bytes);
    fletch_ipc_encoded_release(scene.rpc.pool.cache, encoded);
}

static struct fletch_ipc_encoder *encoder_of(struct fletch_schema *schema, struct part *header)
{
    const struct fletch_ipc_encoder_options options = {
        .schema = schema, .cache = scene.rpc.pool.cache, .alignment = 8};
    static struct part nothing;
    struct fletch_ipc_encoder *encoder;
    struct fletch_ipc_encoded encoded;
    assert_ok(fletch_ipc_encoder_create(&options, NULL, &encoder, &error));
    assert_ok(fletch_ipc_encoder_schema(encoder, &encoded, &error));
    keep(&encoded, header, &nothing);
    return encoder;
}

static void make_parts(int64_t rows)
{
    struct fletch_random random = fletch_random_from_seed(11);
    struct fletch_schema *plain = schema_new("a=l!");
    struct fletch_schema *schema = schema_new("a=l! d=c<u>");
    struct fletch_buffer_cache *cache = scene.rpc.pool.cache;
    struct fletch_ipc_encoded encoded;
    bool is_needed = false;
    fletch_ipc_encoder_destroy(encoder_of(plain, &plain_header));
    struct fletch_ipc_encoder *encoder = encoder_of(schema, &schema_header);
    struct fletch_batch *batch = random_batch(&random, cache, schema, rows);
    assert_ok(fletch_ipc_encoder_dictionary(encoder, batch, &is_needed, &encoded, &error));
    assert_true(is_needed);
    keep(&encoded, &dictionary_header, &dictionary_body);
    assert_ok(fletch_ipc_encoder_batch(encoder, batch, NULL, &encoded, &error));
    keep(&encoded, &batch_header, &batch_body);
    fletch_ipc_encoder_destroy(encoder);
    fletch_batch_release(cache, batch);
    fletch_schema_release(schema);
    fletch_schema_release(plain);
}

/* ---- messages ---- */

static void put_header(struct flight_raw *message, char letter)
{
    switch (letter) {
    case 's':
        flight_raw_field(message, 2, schema_header.bytes, schema_header.count);
        return;
    case 'p':
        flight_raw_field(message, 2, plain_header.bytes, plain_header.count);
        return;
    case 'k':
        flight_raw_field(message, 2, dictionary_header.bytes, dictionary_header.count);
        return;
    case 'h':
        flight_raw_field(message, 2, batch_header.bytes, batch_header.count);
        return;
    case 'n':
        flight_raw_field(message, 2, "no flatbuffer at all", 20);
        return;
    default:
        flight_raw_field(message, 2, "", 0);
    }
}

static void put_body(struct flight_raw *message, char letter)
{
    static struct part longer;
    switch (letter) {
    case 'x':
        flight_raw_field(message, 1000, dictionary_body.bytes, dictionary_body.count);
        return;
    case 'X':
        flight_raw_field(message, 1000, dictionary_body.bytes, dictionary_body.count - 8);
        return;
    case 'b':
        flight_raw_field(message, 1000, batch_body.bytes, batch_body.count);
        return;
    case 'S':
        flight_raw_field(message, 1000, batch_body.bytes, batch_body.count - 8);
        return;
    case 'L':
        longer = batch_body;
        append(&longer, "behind the body", 15);
        flight_raw_field(message, 1000, longer.bytes, longer.count);
        return;
    default:
        flight_raw_field(message, 1000, "", 0);
    }
}

static void put_other(struct flight_raw *message, char letter)
{
    static const uint8_t fill[FILL_BYTES];
    switch (letter) {
    case 'd':
        flight_raw_descriptor(message);
        return;
    case 'm':
        flight_raw_field(message, 3, "m", 1);
        return;
    case '0':
        flight_raw_field(message, 3, "", 0);
        return;
    case 'u':
        flight_raw_put(message,
                       "\xe8\x04\xff\xff\xff\xff\x7f\x49"
                       "8 bytes.\x4d"
                       "four",
                       21);
        return;
    case 'U':
        flight_raw_field(message, 2000, fill, sizeof fill);
        return;
    case 't':
        flight_raw_put(message,
                       "\x12\x7f"
                       "cut",
                       5);
        return;
    case 'v':
        flight_raw_put(message, "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13);
        return;
    default:
        flight_raw_put(message,
                       "\x0b"
                       "a group",
                       8);
    }
}

static void send_all(struct fletch_flight_stream *stream, const char *letters, bool is_put)
{
    static struct flight_raw message;
    message.count = 0;
    if (is_put)
        put_other(&message, 'd');
    for (;; letters++) {
        if (*letters == '|' || *letters == 0) {
            flight_raw_send(&scene, stream, &message);
            message.count = 0;
        } else if (strchr("spkhne", *letters) != NULL) {
            put_header(&message, *letters);
        } else if (strchr("xXbSLz", *letters) != NULL) {
            put_body(&message, *letters);
        } else if (*letters != ' ') {
            put_other(&message, *letters);
        }
        if (*letters == 0)
            return;
    }
}

/* ---- both ends ---- */

static const struct trap *trap; /* which is sent by the server */

static enum fletch_status do_get(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_bytes *ticket,
                                 struct fletch_error *cause)
{
    (void)user;
    (void)ticket;
    (void)cause;
    send_all(stream, trap->messages, false);
    return FLETCH_OK;
}

static int start(void **state)
{
    (void)state;
    flight_scene_prepare(&scene, NULL);
    assert_true(flight_scene_start(&scene));
    scene.service.handlers.do_get = do_get;
    return 0;
}

static int end(void **state)
{
    (void)state;
    flight_scene_end(&scene);
    return 0;
}

static void check(const char *side, enum fletch_status status, uint32_t batches, const char *text)
{
    /* A get that ends well has a schema. */
    bool lacks_schema = strcmp(side, "get") == 0 && strchr(trap->messages, 's') == NULL;
    enum fletch_status expected =
        trap->status == FLETCH_OK && lacks_schema ? FLETCH_INTERNAL : trap->status;
    if (status != expected || batches != trap->batches)
        fail_msg("%s '%s': %s after %u batches (%s), and not %s after %u", side, trap->messages,
                 fletch_status_name(status), (unsigned)batches, text, fletch_status_name(expected),
                 (unsigned)trap->batches);
}

static void put_trap(void)
{
    uint32_t before = scene.read;
    struct fletch_flight_stream *stream = flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_PUT, 0);
    send_all(stream, trap->messages, true);
    fletch_flight_stream_done_writing(stream);
    const struct fletch_flight_end told = flight_scene_wait(&scene, stream);
    check("put", told.status, scene.read - before, told.text);
    fletch_flight_stream_close(stream);
}

static void get_trap(void)
{
    const struct fletch_flight_bytes ticket = {"t", 1};
    struct fletch_flight_stream *stream = flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_GET, 0);
    struct fletch_flight_data data;
    uint32_t batches = 0;
    assert_answer(fletch_flight_stream_send(stream, FLETCH_FLIGHT_TICKET, &ticket, 0, &error),
                  FLETCH_DONE);
    fletch_flight_stream_done_writing(stream);
    while (flight_scene_read(&scene, stream, &data, &error) == FLETCH_DONE) {
        batches += data.batch != NULL;
        fletch_batch_release(scene.rpc.pool.cache, data.batch);
    }
    check("get", error.status, batches, error.message);
    /* It goes on saying so. */
    enum fletch_status status = error.status;
    assert_answer(flight_scene_read(&scene, stream, &data, &error), FLETCH_CLOSED);
    assert_int_equal(error.status, status);
    fletch_flight_stream_close(stream);
}

static uint64_t settled_bytes(void)
{
    flight_scene_until(&scene, &scene.ended, scene.sources);
    for (int i = 0; i < 5; i++)
        flight_scene_turn(&scene);
    return account_used_bytes(scene.account);
}

static void check_all(int64_t rows)
{
    make_parts(rows);
    trap = &traps[0];
    put_trap();
    get_trap();
    uint64_t before = settled_bytes();
    for (size_t i = 0; i < sizeof traps / sizeof *traps; i++) {
        trap = &traps[i];
        put_trap();
        get_trap();
        if (settled_bytes() != before)
            fail_msg("'%s' keeps %lld bytes", trap->messages,
                     (long long)(settled_bytes() - before));
    }
}

static void test_small_messages(void **state)
{
    (void)state;
    check_all(10);
    assert_true(batch_body.count < 1000);
}

static void test_large_messages(void **state)
{
    (void)state;
    check_all(3000);
    assert_true(batch_body.count > 3 * 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_small_messages, start, end),
        cmocka_unit_test_setup_teardown(test_large_messages, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
