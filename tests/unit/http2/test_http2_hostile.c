#include <string.h>

#include "http2/http2_machine.h"
#include "support/cmocka_tests.h"
#include "support/http2_user.h"

/* Peers that find the weak place of a limit: frames that cost us much more than them, or that earn
 * what they should cost; and what they make us say too early, too late, or too much. */

enum { ROUNDS = 4000, STREAMS = 1000 };

#define CALM FLETCH_HTTP2_ENHANCE_YOUR_CALM

static const struct fletch_http2_options server_options = {.is_server = true};

static struct http2_user user;
static struct wire wire;

static void begin(const struct fletch_http2_options *options)
{
    http2_user_ready(&user, options);
    user.place_bytes = 0;
    wire_init(&wire);
}

static void end(void)
{
    wire_deinit(&wire);
    http2_user_end(&user);
}

static void feed(void)
{
    http2_user_feed_wire(&user, &wire, 0);
    wire.count = 0;
    http2_user_collect(&user, 0);
}

/* Ids that would share a bucket if that were the remainder of the id. */
static void test_streams_cannot_be_made_to_share_a_bucket(void **state)
{
    const struct fletch_http2_stream *stream;
    (void)state;
    begin(&server_options);
    for (uint32_t i = 0; i < STREAMS; i++) {
        wire_headers(&wire, 1 + 8192 * i, 0, request_fields);
        feed();
        user.sent.count = 0;
    }
    assert_int_equal(user.connection->stream_count, STREAMS);
    for (size_t i = 0; i < user.connection->bucket_count; i++) {
        uint32_t length = 0;
        for (stream = user.connection->buckets[i]; stream != NULL; stream = stream->chain)
            length++;
        assert_in_range(length, 0, 32);
    }
    end();
}

/* A frame of data earns two SETTINGS; each of these moves the windows of all streams. */
static void test_settings_cost_what_they_move(void **state)
{
    (void)state;
    begin(&server_options);
    for (uint32_t i = 0; i < STREAMS; i++)
        wire_headers(&wire, 1 + 2 * i, 0, request_fields);
    feed();
    uint32_t round = 0;
    for (; round < ROUNDS && !user.is_closed; round++) {
        wire_data(&wire, 1, 0, 1);
        wire_settings(&wire, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 65535 + round % 2);
        wire_settings(&wire, 0, 0);
        feed();
        user.sent.count = 0;
    }
    assert_true(user.is_closed);
    assert_int_equal(user.code, CALM);
    assert_in_range(round, 10, 200);
    end();
}

/* Only the last of several entries moves them. */
static void test_the_last_initial_window_counts(void **state)
{
    const uint8_t entries[] = {0, 4, 0, 0, 0, 1, 0, 4, 0, 0, 0, 50, 0, 4, 0, 0, 0, 7};
    (void)state;
    begin(&server_options);
    wire_headers(&wire, 1, 0, request_fields);
    wire_frame(&wire,
               (struct fletch_http2_head){.length = sizeof entries, .type = FLETCH_HTTP2_SETTINGS},
               entries);
    feed();
    assert_int_equal(user.connection->peer_window, 7);
    assert_int_equal(http2_user_stream(&user, 1)->stream->send_window, 7);
    end();
}

static void test_interim_answers_without_end(void **state)
{
    static const char *const hints[] = {":status=103", NULL};
    (void)state;
    begin(NULL);
    (void)http2_user_open(&user, false);
    uint32_t round = 0;
    for (; round < ROUNDS && !user.is_closed; round++) {
        wire_headers(&wire, 1, 0, hints);
        feed();
    }
    assert_true(user.is_closed);
    assert_int_equal(user.code, CALM);
    assert_in_range(round, 900, 1010);
    end();
}

/* A byte of window at a time, each of which lets a frame of one byte pass. */
static void test_a_window_of_one_byte(void **state)
{
    (void)state;
    begin(&server_options);
    wire_settings(&wire, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 0);
    wire_headers(&wire, 1, 0, request_fields);
    feed();
    struct fletch_http2_stream *stream = http2_user_stream(&user, 1)->stream;
    http2_user_respond(stream);
    fletch_http2_stream_send(stream, test_data(100000, 0, false));
    uint32_t round = 0;
    for (; round < ROUNDS && !user.is_closed; round++) {
        wire_u32_frame(&wire, FLETCH_HTTP2_WINDOW_UPDATE, 1, 1);
        feed();
        user.sent.count = 0;
    }
    assert_true(user.is_closed);
    assert_int_equal(user.code, CALM);
    assert_in_range(round, 900, 1010);
    end();
}

/* Small messages that go as a whole are not the peer's doing: they earn as ever. */
static void test_small_messages_are_borne(void **state)
{
    (void)state;
    begin(&server_options);
    wire_headers(&wire, 1, 0, request_fields);
    feed();
    struct fletch_http2_stream *stream = http2_user_stream(&user, 1)->stream;
    http2_user_respond(stream);
    for (uint32_t round = 0; round < ROUNDS && !user.is_closed; round++) {
        fletch_http2_stream_send(stream, test_data(2, 0, false));
        wire_u32_frame(&wire, FLETCH_HTTP2_WINDOW_UPDATE, 1, 2);
        feed();
        user.sent.count = 0;
    }
    assert_false(user.is_closed);
    end();
}

static void greet(void)
{
    wire_preface(&wire);
    wire_settings(&wire, 0, 0);
    feed();
}

static void test_a_shutdown_waits_for_the_preface(void **state)
{
    const struct fletch_http2_options options = {.is_server = true, .drain_timeout_ns = 1000};
    struct fletch_http2_head head;
    (void)state;
    assert_true(http2_user_start(&user, &options, 0));
    wire_init(&wire);
    fletch_http2_connection_shutdown(user.connection);
    http2_user_collect(&user, 0);
    assert_int_equal(user.sent.count, 0); /* HTTP/1 would not understand it */
    greet();
    head = fletch_http2_head_read(user.sent.bytes);
    assert_int_equal(head.type, FLETCH_HTTP2_SETTINGS);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_GOAWAY), 1);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_PING), 1);
    fletch_http2_connection_tick(user.connection, 2000);
    http2_user_events(&user);
    http2_user_collect(&user, 0);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_GOAWAY), 2);
    assert_true(fletch_http2_connection_is_over(user.connection));
    end();
}

static void test_a_shutdown_does_not_wait_for_ever(void **state)
{
    const struct fletch_http2_options options = {.is_server = true, .drain_timeout_ns = 1000};
    (void)state;
    assert_true(http2_user_start(&user, &options, 0));
    wire_init(&wire);
    fletch_http2_connection_shutdown(user.connection);
    fletch_http2_connection_tick(user.connection, 2000);
    http2_user_events(&user);
    http2_user_collect(&user, 0);
    assert_int_equal(user.sent.count, 0);
    assert_true(user.is_closed);
    assert_true(fletch_http2_connection_is_over(user.connection));
    end();
}

static void test_a_clock_that_goes_back_is_no_flood(void **state)
{
    (void)state;
    begin(&server_options);
    fletch_http2_connection_tick(user.connection, UINT64_C(1) << 50);
    for (uint32_t i = 0; i < 20; i++) {
        wire_frame(&wire, (struct fletch_http2_head){.length = 8, .type = FLETCH_HTTP2_PING},
                   "pingping");
        feed();
        fletch_http2_connection_tick(user.connection, (UINT64_C(1) << 50) - i * 1000000000);
    }
    fletch_http2_connection_tick(user.connection, 1);
    wire_frame(&wire, (struct fletch_http2_head){.length = 8, .type = FLETCH_HTTP2_PING},
               "pingping");
    feed();
    assert_false(user.is_closed);
    end();
}

/* The user resets a stream within its last frame, and keeps it a while. */
static void test_a_stream_that_is_reset_within_its_last_frame_ends_once(void **state)
{
    const struct fletch_http2_head head = {
        .length = 100, .type = FLETCH_HTTP2_DATA, .flags = FLETCH_HTTP2_END_STREAM, .stream_id = 1};
    static const uint8_t payload[100];
    (void)state;
    begin(NULL);
    struct fletch_http2_stream *stream = http2_user_open(&user, true);
    user.place_bytes = 4096;
    user.releases = false;
    wire_headers(&wire, 1, 0, response_fields);
    wire_frame(&wire, head, payload);
    http2_user_feed(&user, wire.bytes, wire.count - 50, 0);
    fletch_http2_stream_reset(stream, FLETCH_HTTP2_CANCEL);
    http2_user_feed(&user, wire.bytes + wire.count - 50, 50, 0);
    assert_int_equal(user.connection->own_count, 0);
    assert_false(http2_user_stream(&user, 1)->has_ended);
    fletch_http2_stream_release(stream);
    end();
}

/* Before any other block, so that there is no memory for one yet. */
static void test_a_block_without_a_byte_is_no_request(void **state)
{
    const struct fletch_http2_head head = {
        .type = FLETCH_HTTP2_HEADERS, .flags = FLETCH_HTTP2_END_HEADERS, .stream_id = 1};
    (void)state;
    begin(&server_options);
    for (uint32_t i = 0; i < 3; i++) {
        struct fletch_http2_head each = head;
        each.stream_id += 2 * i;
        wire_frame(&wire, each, NULL);
        feed();
    }
    assert_false(user.is_closed);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_RST_STREAM), 3);
    end();
}

/* A request that the peer would end the whole connection for is refused here. */
static void test_headers_beyond_the_peers_limit_are_not_sent(void **state)
{
    static char value[5000];
    struct fletch_http2_field fields[] = {
        fletch_http2_field_of(":method", "POST"), fletch_http2_field_of(":scheme", "http"),
        fletch_http2_field_of(":path", "/"), fletch_http2_field_of("x", "")};
    const struct fletch_http2_request request = {.fields = fields, .field_count = 4};
    struct fletch_http2_stream *stream;
    struct fletch_error error;
    (void)state;
    begin(NULL);
    wire_settings(&wire, FLETCH_HTTP2_MAX_HEADER_LIST_SIZE, 5000);
    feed();
    memset(value, 'v', sizeof value - 1);
    fields[3] = fletch_http2_field_of("x", value);
    assert_int_equal(fletch_http2_connection_open(user.connection, &request, &stream, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "the peer takes 5000");
    value[4000] = 0;
    fields[3] = fletch_http2_field_of("x", value);
    assert_ok(fletch_http2_connection_open(user.connection, &request, &stream, &error));
    fletch_http2_stream_release(stream);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_cannot_be_made_to_share_a_bucket),
        cmocka_unit_test(test_settings_cost_what_they_move),
        cmocka_unit_test(test_the_last_initial_window_counts),
        cmocka_unit_test(test_interim_answers_without_end),
        cmocka_unit_test(test_a_window_of_one_byte),
        cmocka_unit_test(test_small_messages_are_borne),
        cmocka_unit_test(test_a_shutdown_waits_for_the_preface),
        cmocka_unit_test(test_a_shutdown_does_not_wait_for_ever),
        cmocka_unit_test(test_a_clock_that_goes_back_is_no_flood),
        cmocka_unit_test(test_a_stream_that_is_reset_within_its_last_frame_ends_once),
        cmocka_unit_test(test_a_block_without_a_byte_is_no_request),
        cmocka_unit_test(test_headers_beyond_the_peers_limit_are_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
