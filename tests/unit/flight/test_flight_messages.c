#include <fletching/flight_types.h>

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "flight/flight_message.h"
#include "flight/flight_shapes.h"
#include "flight/flight_wire.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Messages of Flight against bytes that were written down from the protocol's definition. */

static struct counting_allocator counting;

static int start(void **state)
{
    (void)state;
    counting_allocator_start(&counting, 0);
    return 0;
}

/* All memory has come back. */
static int end(void **state)
{
    (void)state;
    assert_int_equal(counting.live_bytes, 0);
    assert_int_equal(counting.mismatched, 0);
    return 0;
}

#define BYTES(text) ((struct fletch_flight_bytes){(text), sizeof(text) - 1})

static void check_encoded(enum fletch_flight_message kind, const void *message,
                          struct fletch_flight_bytes expected)
{
    struct fletch_flight_bytes found;
    struct fletch_error error;
    assert_ok(fletch_flight_encode(kind, message, &counting.allocator, &found, &error));
    assert_int_equal(found.bytes, expected.bytes);
    assert_memory_equal(found.data, expected.data, expected.bytes);
    fletch_flight_release(found.data);
}

static const void *decoded(enum fletch_flight_message kind, struct fletch_flight_bytes bytes)
{
    const void *message = NULL;
    struct fletch_error error;
    enum fletch_status status =
        fletch_flight_decode(kind, bytes, &counting.allocator, &message, &error);
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
    return message;
}

static void refused(enum fletch_flight_message kind, struct fletch_flight_bytes bytes,
                    const char *text)
{
    const void *message = NULL;
    struct fletch_error error;
    assert_int_equal(fletch_flight_decode(kind, bytes, &counting.allocator, &message, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, text);
}

static void assert_bytes(struct fletch_flight_bytes found, const char *expected)
{
    assert_int_equal(found.bytes, strlen(expected));
    assert_string_equal(found.data, expected); /* a NUL stands behind */
}

/* ---- single messages ---- */

static void test_small_messages(void **state)
{
    (void)state;
    const struct fletch_flight_bytes bytes = BYTES("abc");
    const struct fletch_flight_bytes none = {NULL, 0};
    const struct fletch_flight_action action = {"do", BYTES("\x00\xff")};
    const struct fletch_flight_action_type type = {"t", NULL};
    const struct fletch_flight_basic_auth auth = {"me", "it"};
    const struct fletch_flight_handshake handshake = {300, BYTES("p")};
    const struct fletch_flight_outcome outcome = {FLETCH_FLIGHT_CANCELLING};
    check_encoded(FLETCH_FLIGHT_TICKET, &bytes,
                  BYTES("\x0a\x03"
                        "abc"));
    check_encoded(FLETCH_FLIGHT_TICKET, &none, none);
    check_encoded(FLETCH_FLIGHT_EMPTY, NULL, none);
    check_encoded(FLETCH_FLIGHT_ACTION, &action,
                  BYTES("\x0a\x02"
                        "do\x12\x02\x00\xff"));
    check_encoded(FLETCH_FLIGHT_ACTION_TYPE, &type, BYTES("\x0a\x01t"));
    check_encoded(FLETCH_FLIGHT_BASIC_AUTH, &auth, BYTES("\x12\x02me\x1a\x02it"));
    check_encoded(FLETCH_FLIGHT_HANDSHAKE, &handshake, BYTES("\x08\xac\x02\x12\x01p"));
    check_encoded(FLETCH_FLIGHT_OUTCOME, &outcome, BYTES("\x08\x02"));

    const struct fletch_flight_action *found =
        decoded(FLETCH_FLIGHT_ACTION, BYTES("\x12\x02xy\x0a\x02"
                                            "do"));
    assert_string_equal(found->type, "do");
    assert_bytes(found->body, "xy");
    fletch_flight_release(found);
    const struct fletch_flight_action_type *empty = decoded(FLETCH_FLIGHT_ACTION_TYPE, none);
    assert_string_equal(empty->type, "");
    assert_string_equal(empty->description, "");
    fletch_flight_release(empty);
    assert_null(decoded(FLETCH_FLIGHT_EMPTY, BYTES("\x0a\x01x")));
    fletch_flight_release(NULL);
}

static void test_descriptors(void **state)
{
    (void)state;
    const char *const path[] = {"a", "", "b\xc3\xbc"};
    const struct fletch_flight_descriptor by_path = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 3};
    const struct fletch_flight_descriptor by_command = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                                                        .command = BYTES("\x01")};
    check_encoded(FLETCH_FLIGHT_DESCRIPTOR, &by_path,
                  BYTES("\x08\x01\x1a\x01"
                        "a\x1a\x00\x1a\x03"
                        "b\xc3\xbc"));
    check_encoded(FLETCH_FLIGHT_DESCRIPTOR, &by_command, BYTES("\x08\x02\x12\x01\x01"));
    const struct fletch_flight_descriptor *found =
        decoded(FLETCH_FLIGHT_DESCRIPTOR, BYTES("\x1a\x01"
                                                "a\x08\x01\x38\x05\x1a\x02"
                                                "cd"));
    assert_int_equal(found->type, FLETCH_FLIGHT_DESCRIPTOR_PATH);
    assert_int_equal(found->path_count, 2);
    assert_string_equal(found->path[0], "a");
    assert_string_equal(found->path[1], "cd");
    fletch_flight_release(found);
    found = decoded(FLETCH_FLIGHT_DESCRIPTOR, BYTES("\x08\x07"));
    assert_int_equal(found->type, FLETCH_FLIGHT_DESCRIPTOR_ABSENT);
    fletch_flight_release(found);
    refused(FLETCH_FLIGHT_DESCRIPTOR, BYTES("\x1a\x01\xff"), "not UTF-8");
    refused(FLETCH_FLIGHT_DESCRIPTOR,
            BYTES("\x1a\x03"
                  "a\x00z"),
            "with a NUL");
}

static const char info_bytes[] = "\x12\x07\x08\x02\x12\x03"
                                 "cmd"                    /* descriptor */
                                 "\x1a\x25"               /* endpoint */
                                 "\x0a\x04\x0a\x02t1"     /* its ticket */
                                 "\x12\x08\x0a\x06grpc:a" /* two locations */
                                 "\x12\x08\x0a\x06grpc:b"
                                 "\x1a\x04\x08\x05\x10\x07" /* expiration */
                                 "\x22\x03\x61pp"
                                 "\x1a\x02\x0a\x00"                             /* bare */
                                 "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" /* -1 */
                                 "\x28\x80\x01"                                 /* 128 */
                                 "\x30\x01"                                     /* ordered */
                                 "\x3a\x04info";

static void test_info(void **state)
{
    (void)state;
    const char *const locations[] = {"grpc:a", "grpc:b"};
    const struct fletch_flight_endpoint endpoints[] = {
        {.ticket = BYTES("t1"),
         .locations = locations,
         .location_count = 2,
         .has_expiration = true,
         .expiration = {5, 7},
         .app_metadata = BYTES("app")},
        {.ticket = {NULL, 0}},
    };
    const struct fletch_flight_info info = {
        .descriptor = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND, .command = BYTES("cmd")},
        .endpoints = endpoints,
        .endpoint_count = 2,
        .total_records = -1,
        .total_bytes = 128,
        .is_ordered = true,
        .app_metadata = BYTES("info"),
    };
    check_encoded(FLETCH_FLIGHT_INFO, &info, BYTES(info_bytes));
    const struct fletch_flight_info *found = decoded(FLETCH_FLIGHT_INFO, BYTES(info_bytes));
    assert_null(found->schema);
    assert_int_equal(found->schema_message.bytes, 0);
    assert_bytes(found->descriptor.command, "cmd");
    assert_int_equal(found->endpoint_count, 2);
    assert_bytes(found->endpoints[0].ticket, "t1");
    assert_int_equal(found->endpoints[0].location_count, 2);
    assert_string_equal(found->endpoints[0].locations[1], "grpc:b");
    assert_true(found->endpoints[0].has_expiration);
    assert_int_equal(found->endpoints[0].expiration.seconds, 5);
    assert_int_equal(found->endpoints[0].expiration.nanos, 7);
    assert_bytes(found->endpoints[0].app_metadata, "app");
    assert_false(found->endpoints[1].has_expiration);
    assert_int_equal(found->endpoints[1].location_count, 0);
    assert_true(found->total_records == -1 && found->total_bytes == 128 && found->is_ordered);
    assert_bytes(found->app_metadata, "info");
    fletch_flight_release(found);
}

static void test_schema_within(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new("{k:v} a=l! b=+l(item=u) d=c<u>");
    const struct fletch_flight_schema_result result = {.schema = schema};
    struct fletch_flight_bytes bytes;
    struct fletch_error error;
    assert_ok(fletch_flight_encode(FLETCH_FLIGHT_SCHEMA_RESULT, &result, &counting.allocator,
                                   &bytes, &error));
    const struct fletch_flight_schema_result *found = decoded(FLETCH_FLIGHT_SCHEMA_RESULT, bytes);
    assert_non_null(found->schema);
    assert_ok(fletch_schema_compare(schema, found->schema, FLETCH_COMPARE_METADATA, &error));
    assert_memory_equal(found->schema_message.data, "\xff\xff\xff\xff", 4);

    /* Before 0.15 there was no marker; some peers send a whole stream with its end. */
    uint8_t other[4096] = {0x0a};
    size_t inner = found->schema_message.bytes - 4;
    uint8_t *to = fletch_flight_varint_write(other + 1, inner + 8);
    memcpy(to, (const uint8_t *)found->schema_message.data + 4, inner);
    memcpy(to + inner, "\xff\xff\xff\xff\0\0\0\0", 8);
    const struct fletch_flight_schema_result *old =
        decoded(FLETCH_FLIGHT_SCHEMA_RESULT,
                (struct fletch_flight_bytes){other, (size_t)(to - other) + inner + 8});
    assert_non_null(old->schema);
    fletch_flight_release(old);

    /* What cannot be read is passed on as it is. */
    old = decoded(FLETCH_FLIGHT_SCHEMA_RESULT, BYTES("\x0a\x04what"));
    assert_null(old->schema);
    assert_bytes(old->schema_message, "what");
    check_encoded(FLETCH_FLIGHT_SCHEMA_RESULT, old, BYTES("\x0a\x04what"));
    fletch_flight_release(old);
    fletch_flight_release(found);
    fletch_flight_release(bytes.data);
    fletch_schema_release(schema);
}

static void test_poll_info(void **state)
{
    (void)state;
    static const char bytes[] = "\x0a\x02\x20\x03" /* info */
                                "\x12\x05\x08\x01\x1a\x01p"
                                "\x19\x00\x00\x00\x00\x00\x00\x00\x00" /* told, and 0 */
                                "\x22\x02\x08\x64";
    static const char *const path[] = {"p"};
    const struct fletch_flight_info info = {.total_records = 3};
    struct fletch_flight_poll_info poll = {
        .info = &info,
        .descriptor = {.type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 1},
        .has_progress = true,
        .has_expiration = true,
        .expiration = {100, 0},
    };
    check_encoded(FLETCH_FLIGHT_POLL_INFO, &poll, BYTES(bytes));
    const struct fletch_flight_poll_info *found = decoded(FLETCH_FLIGHT_POLL_INFO, BYTES(bytes));
    assert_int_equal(found->info->total_records, 3);
    assert_string_equal(found->descriptor.path[0], "p");
    assert_true(found->has_progress && found->progress == 0 && found->has_expiration);
    fletch_flight_release(found);
    poll = (struct fletch_flight_poll_info){.has_progress = true, .progress = 1.0};
    check_encoded(FLETCH_FLIGHT_POLL_INFO, &poll, BYTES("\x19\x00\x00\x00\x00\x00\x00\xf0\x3f"));
    found = decoded(FLETCH_FLIGHT_POLL_INFO, BYTES("\x0a\x00"));
    assert_non_null(found->info);
    assert_false(found->has_progress || found->has_expiration);
    assert_int_equal(found->descriptor.type, FLETCH_FLIGHT_DESCRIPTOR_ABSENT);
    fletch_flight_release(found);
}

static void test_actions_of_the_protocol(void **state)
{
    (void)state;
    const struct fletch_flight_info info = {.total_records = 1};
    const struct fletch_flight_endpoint endpoint = {.ticket = BYTES("t")};
    check_encoded(FLETCH_FLIGHT_CANCEL_REQUEST, &info, BYTES("\x0a\x02\x20\x01"));
    check_encoded(FLETCH_FLIGHT_RENEW_REQUEST, &endpoint, BYTES("\x0a\x05\x0a\x03\x0a\x01t"));
    check_encoded(FLETCH_FLIGHT_ENDPOINT, &endpoint, BYTES("\x0a\x03\x0a\x01t"));
    const struct fletch_flight_endpoint *found =
        decoded(FLETCH_FLIGHT_RENEW_REQUEST, BYTES("\x0a\x05\x0a\x03\x0a\x01t"));
    assert_bytes(found->ticket, "t");
    fletch_flight_release(found);
}

static const char session_bytes[] = "\x0a\x07\x0a\x01s\x12\x02\x0a\x00" /* "" is no unset one */
                                    "\x0a\x07\x0a\x01"
                                    "b\x12\x02\x10\x01"
                                    "\x0a\x0e\x0a\x01i\x12\x09\x19\xfe\xff\xff\xff\xff\xff\xff\xff"
                                    "\x0a\x0e\x0a\x01"
                                    "d\x12\x09\x21\x00\x00\x00\x00\x00\x00\xe0\x3f"
                                    "\x0a\x0c\x0a\x01l\x12\x07\x2a\x05\x0a\x01x\x0a\x00"
                                    "\x0a\x05\x0a\x01u\x12\x00";

static void test_session_options(void **state)
{
    (void)state;
    const char *const list[] = {"x", ""};
    const struct fletch_flight_session_option options[] = {
        {.name = "s", .type = FLETCH_FLIGHT_OPTION_STRING, .string = ""},
        {.name = "b", .type = FLETCH_FLIGHT_OPTION_BOOL, .boolean = true},
        {.name = "i", .type = FLETCH_FLIGHT_OPTION_INT64, .integer = -2},
        {.name = "d", .type = FLETCH_FLIGHT_OPTION_DOUBLE, .real = 0.5},
        {.name = "l", .type = FLETCH_FLIGHT_OPTION_STRINGS, .strings = list, .string_count = 2},
        {.name = "u", .type = FLETCH_FLIGHT_OPTION_UNSET},
    };
    const struct fletch_flight_session_options all = {options, 6};
    check_encoded(FLETCH_FLIGHT_SESSION_OPTIONS, &all, BYTES(session_bytes));
    const struct fletch_flight_session_options *found =
        decoded(FLETCH_FLIGHT_SESSION_OPTIONS, BYTES(session_bytes));
    assert_int_equal(found->option_count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(found->options[i].name, options[i].name);
        assert_int_equal(found->options[i].type, options[i].type);
    }
    assert_string_equal(found->options[0].string, "");
    assert_true(found->options[1].boolean);
    assert_int_equal(found->options[2].integer, -2);
    assert_true(found->options[3].real == 0.5);
    assert_int_equal(found->options[4].string_count, 2);
    assert_string_equal(found->options[4].strings[0], "x");
    fletch_flight_release(found);
    const struct fletch_flight_session_error errors[] = {
        {"n", FLETCH_FLIGHT_SESSION_INVALID_VALUE}};
    const struct fletch_flight_session_errors refusals = {errors, 1};
    check_encoded(FLETCH_FLIGHT_SESSION_ERRORS, &refusals,
                  BYTES("\x0a\x07\x0a\x01n\x12\x02\x08\x02"));
    const struct fletch_flight_session_errors *read =
        decoded(FLETCH_FLIGHT_SESSION_ERRORS, BYTES("\x0a\x07\x0a\x01n\x12\x02\x08\x02"));
    assert_int_equal(read->errors[0].refusal, FLETCH_FLIGHT_SESSION_INVALID_VALUE);
    fletch_flight_release(read);
}

/* ---- what is wrong ---- */

static void test_malformed(void **state)
{
    (void)state;
    const struct fletch_flight_bytes bad[] = {
        BYTES("\x0a"),
        BYTES("\x0a\x02x"),
        BYTES("\x0b"),
        BYTES("\x00\x00"),
        BYTES("\x80"),
        BYTES("\x08"),
        BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        BYTES("\x09\x01\x02"),
        BYTES("\x0d\x01"),
        BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
        BYTES("\xfa\xff\xff\xff\x7f\x00"), /* a field's number of 2^32 */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(FLETCH_FLIGHT_TICKET, bad[i], "malformed");
    /* A field of another type than it should have is not known. */
    const struct fletch_flight_bytes *found = decoded(FLETCH_FLIGHT_TICKET, BYTES("\x08\x05"));
    assert_int_equal(found->bytes, 0);
    fletch_flight_release(found);
    struct fletch_error error;
    const void *message;
    struct fletch_flight_bytes bytes;
    assert_int_equal(
        fletch_flight_decode((enum fletch_flight_message)99, bad[0], NULL, &message, &error),
        FLETCH_INVALID_ARGUMENT);
    assert_int_equal(
        fletch_flight_encode((enum fletch_flight_message)99, NULL, NULL, &bytes, &error),
        FLETCH_INVALID_ARGUMENT);
    const struct fletch_flight_action action = {.type = "\xc3"};
    assert_int_equal(fletch_flight_encode(FLETCH_FLIGHT_ACTION, &action, NULL, &bytes, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "not UTF-8");
}

/* Whether it is a message. */
static bool is_read(enum fletch_flight_message kind, const uint8_t *data, size_t bytes)
{
    const void *message;
    struct fletch_error error;
    if (fletch_flight_decode(kind, (struct fletch_flight_bytes){data, bytes}, &counting.allocator,
                             &message, &error) != FLETCH_OK)
        return false;
    fletch_flight_release(message);
    return true;
}

/* Each beginning of a message, and each with a bit of it changed. */
static uint32_t cut_and_flip(enum fletch_flight_message kind, struct fletch_flight_bytes bytes)
{
    uint8_t *copy = malloc(bytes.bytes);
    uint32_t read = 0;
    assert_non_null(copy);
    for (size_t bit = 0; bit < bytes.bytes * 8; bit++) {
        memcpy(copy, bytes.data, bytes.bytes);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        read += is_read(kind, copy, bytes.bytes);
        read += is_read(kind, bytes.data, bit / 8);
    }
    free(copy);
    return read;
}

static void test_cut_and_flipped(void **state)
{
    (void)state;
    assert_true(cut_and_flip(FLETCH_FLIGHT_INFO, BYTES(info_bytes)) > 100);
    assert_true(cut_and_flip(FLETCH_FLIGHT_SESSION_OPTIONS, BYTES(session_bytes)) > 100);
}

static void test_random_bytes(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(11);
    struct fletch_error error;
    uint8_t bytes[64];
    for (int i = 0; i < 20000; i++) {
        size_t size = fletch_random_below(&random, sizeof bytes);
        uint32_t most = i % 2 == 0 ? 256 : 32;
        for (size_t k = 0; k < size; k++)
            bytes[k] = (uint8_t)fletch_random_below(&random, most);
        const void *message = NULL;
        enum fletch_flight_message kind = (enum fletch_flight_message)fletch_random_below(
            &random, FLETCH_FLIGHT_SESSION_ERRORS + 1);
        if (fletch_flight_decode(kind, (struct fletch_flight_bytes){bytes, size},
                                 &counting.allocator, &message, &error) == FLETCH_OK)
            fletch_flight_release(message);
    }
}

/* Elements of two bytes each would take fifty times as much memory. */
static void test_elements_without_end(void **state)
{
    (void)state;
    const size_t size = 8 << 20;
    uint8_t *bytes = malloc(size);
    struct fletch_error error;
    const void *message;
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i += 2)
        bytes[i] = 0x1a, bytes[i + 1] = 0;
    assert_int_equal(fletch_flight_decode(FLETCH_FLIGHT_INFO,
                                          (struct fletch_flight_bytes){bytes, size},
                                          &counting.allocator, &message, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "would take");
    assert_int_equal(counting.requests, 0);
    free(bytes);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct fletch_error error;
    const void *message;
    counting_allocator_start(&counting, 1);
    assert_int_equal(fletch_flight_decode(FLETCH_FLIGHT_INFO, BYTES(info_bytes),
                                          &counting.allocator, &message, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    counting_allocator_start(&counting, 1);
    struct fletch_flight_bytes bytes = BYTES("t"), found;
    assert_int_equal(
        fletch_flight_encode(FLETCH_FLIGHT_TICKET, &bytes, &counting.allocator, &found, &error),
        FLETCH_RESOURCE_EXHAUSTED);
}

/* ---- messages of batches ---- */

static uint8_t *write_field(uint8_t *to, const char *key, size_t bytes)
{
    memcpy(to, key, strlen(key));
    return fletch_flight_varint_write(to + strlen(key), bytes);
}

/* The message as the protocol defines it. */
static size_t write_expected(uint8_t *bytes, const struct fletch_ipc_encoded *encoded,
                             struct fletch_flight_bytes app_metadata)
{
    size_t header_bytes = encoded->metadata_bytes - 8;
    uint8_t *to = write_field(bytes, "\x12", header_bytes);
    memcpy(to, encoded->spans[0].data + 8, header_bytes);
    to = write_field(to + header_bytes, "\x1a", app_metadata.bytes);
    memcpy(to, app_metadata.data, app_metadata.bytes);
    to = write_field(to + app_metadata.bytes, "\xc2\x3e", encoded->body_bytes);
    for (uint32_t i = 1; i < encoded->span_count; i++) {
        memcpy(to, encoded->spans[i].data, encoded->spans[i].bytes);
        to += encoded->spans[i].bytes;
    }
    return (size_t)(to - bytes);
}

/* Whether it was copied: nothing but its block is held. */
static bool check_outgoing(struct test_pool *pool, struct fletch_ipc_encoder *encoder,
                           struct fletch_batch *batch)
{
    static uint8_t expected[1 << 20];
    const struct fletch_flight_memory memory = {pool->cache, pool->account};
    struct fletch_ipc_encoded encoded;
    struct fletch_flight_parts parts = {.encoded = &encoded, .app_metadata = BYTES("beside")};
    struct fletch_flight_outgoing *outgoing = NULL;
    assert_ok(fletch_ipc_encoder_batch(encoder, batch, NULL, &encoded, NULL));
    size_t bytes = write_expected(expected, &encoded, parts.app_metadata);
    assert_int_equal(fletch_flight_data_bytes(&encoded, parts.app_metadata.bytes), bytes);
    assert_ok(fletch_flight_outgoing_data(&memory, &parts, &outgoing, NULL));
    bool is_copied = outgoing->encoded.block == NULL;
    size_t at = 0;
    assert_int_equal(outgoing->grpc.slice_count == 2, is_copied);
    for (uint32_t i = 1; i < outgoing->grpc.slice_count; i++) {
        assert_memory_equal(outgoing->grpc.slices[i].iov_base, expected + at,
                            outgoing->grpc.slices[i].iov_len);
        at += outgoing->grpc.slices[i].iov_len;
    }
    assert_int_equal(at, bytes);
    assert_int_equal(outgoing->bytes, bytes);
    fletch_flight_outgoing_free(pool->cache, outgoing);
    return is_copied;
}

static void test_small_batches_are_copied(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(7);
    struct fletch_schema *schema = schema_new("a=l! b=u c=b");
    const struct fletch_ipc_encoder_options options = {
        .schema = schema, .cache = pool.cache, .account = pool.account, .alignment = 8};
    struct fletch_ipc_encoder *encoder = NULL;
    assert_ok(fletch_ipc_encoder_create(&options, NULL, &encoder, NULL));
    for (int64_t rows = 1; rows < 10000; rows *= 3) {
        struct fletch_batch *batch = random_batch(&random, pool.cache, schema, rows);
        bool is_copied = check_outgoing(&pool, encoder, batch);
        assert_true(is_copied || rows > 20);
        assert_true(!is_copied || rows < 500);
        fletch_batch_release(pool.cache, batch);
    }
    fletch_ipc_encoder_destroy(encoder);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_small_messages, start, end),
        cmocka_unit_test_setup_teardown(test_descriptors, start, end),
        cmocka_unit_test_setup_teardown(test_info, start, end),
        cmocka_unit_test_setup_teardown(test_schema_within, start, end),
        cmocka_unit_test_setup_teardown(test_poll_info, start, end),
        cmocka_unit_test_setup_teardown(test_actions_of_the_protocol, start, end),
        cmocka_unit_test_setup_teardown(test_session_options, start, end),
        cmocka_unit_test_setup_teardown(test_malformed, start, end),
        cmocka_unit_test_setup_teardown(test_cut_and_flipped, start, end),
        cmocka_unit_test_setup_teardown(test_random_bytes, start, end),
        cmocka_unit_test_setup_teardown(test_elements_without_end, start, end),
        cmocka_unit_test_setup_teardown(test_without_memory, start, end),
        cmocka_unit_test(test_small_batches_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
