#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/http2_user.h"

/* What RFC 9113 says a sender MUST do, or must not, each rule with its section. */

static const struct fletch_http2_options client_options;
static const struct fletch_http2_options server_options = {.is_server = true};

/* Frames of a peer, made by hand. */
struct talk {
    struct http2_user user;
    struct wire wire;
};

static void talk_start(struct talk *talk, const struct fletch_http2_options *options)
{
    http2_user_ready(&talk->user, options);
    wire_init(&talk->wire);
}

static void talk_end(struct talk *talk)
{
    wire_deinit(&talk->wire);
    http2_user_end(&talk->user);
}

/* Feeds what was put, and looks at nothing but what comes of it. */
static void talk_feed(struct talk *talk)
{
    talk->user.sent.count = 0;
    http2_user_feed_wire(&talk->user, &talk->wire, 0);
    talk->wire.count = 0;
    http2_user_collect(&talk->user, 0);
}

/* 3.4: preface and SETTINGS come first; 6.5.2: who is not promised anything says so. */
static void test_client_begins_with_preface_and_settings(void **state)
{
    static const uint8_t no_push[6] = {0, FLETCH_HTTP2_ENABLE_PUSH};
    struct fletch_http2_head head;
    struct http2_user user;
    bool is_told = false;
    (void)state;
    assert_true(http2_user_start(&user, &client_options, 0));
    http2_user_collect(&user, 0);
    assert_memory_equal(user.sent.bytes, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    head = fletch_http2_head_read(user.sent.bytes + 24);
    assert_int_equal(head.type, FLETCH_HTTP2_SETTINGS);
    assert_int_equal(head.flags, 0);
    for (uint32_t i = 0; i < head.length; i += 6)
        is_told |= memcmp(user.sent.bytes + 24 + FLETCH_HTTP2_HEAD_BYTES + i, no_push, 6) == 0;
    assert_true(is_told);
    http2_user_end(&user);
}

/* 6.5.3: each one is acknowledged, once; an answer is not. 6.7: a PING's eight bytes come back; an
 * answer does not. */
static void test_settings_and_pings_are_answered_once(void **state)
{
    static const uint8_t eight[8] = "12345678";
    struct fletch_http2_head head = {.length = 8, .type = FLETCH_HTTP2_PING};
    const uint8_t *payload;
    struct talk talk;
    (void)state;
    talk_start(&talk, &server_options);
    wire_settings(&talk.wire, FLETCH_HTTP2_MAX_FRAME_SIZE, 20000);
    wire_settings(&talk.wire, 0, 0);
    wire_frame(&talk.wire, head, eight);
    talk_feed(&talk);
    assert_int_equal(wire_count(&talk.user.sent, FLETCH_HTTP2_SETTINGS), 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(wire_find(&talk.user.sent, FLETCH_HTTP2_SETTINGS, i, &head, &payload));
        assert_int_equal(head.flags, FLETCH_HTTP2_ACK);
        assert_int_equal(head.length, 0);
    }
    assert_int_equal(wire_count(&talk.user.sent, FLETCH_HTTP2_PING), 1);
    assert_true(wire_find(&talk.user.sent, FLETCH_HTTP2_PING, 0, &head, &payload));
    assert_int_equal(head.flags, FLETCH_HTTP2_ACK);
    assert_memory_equal(payload, eight, sizeof eight);
    wire_frame(&talk.wire, head, eight);
    wire_frame(&talk.wire,
               (struct fletch_http2_head){.type = FLETCH_HTTP2_SETTINGS, .flags = FLETCH_HTTP2_ACK},
               NULL);
    talk_feed(&talk);
    assert_int_equal(talk.user.sent.count, 0);
    talk_end(&talk);
}

/* 5.1.1: numbers of a client are odd, rise, and are used once; 5.1.2: never more streams at a time
 * than the peer allows; 6.8: none after its GOAWAY. */
static void test_streams_are_opened_by_the_rules(void **state)
{
    struct fletch_http2_stream *stream = NULL;
    struct fletch_http2_head head;
    const uint8_t *payload;
    struct talk talk;
    (void)state;
    talk_start(&talk, &client_options);
    wire_settings(&talk.wire, FLETCH_HTTP2_MAX_CONCURRENT_STREAMS, 3);
    talk_feed(&talk);
    for (uint32_t i = 0; i < 3; i++)
        (void)http2_user_open(&talk.user, true);
    assert_false(fletch_http2_connection_has_room(talk.user.connection));
    assert_int_equal(http2_user_try_open(&talk.user, true, &stream, NULL),
                     FLETCH_RESOURCE_EXHAUSTED);
    wire_headers(&talk.wire, 1, FLETCH_HTTP2_END_STREAM, response_fields);
    http2_user_collect(&talk.user, 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(wire_find(&talk.user.sent, FLETCH_HTTP2_HEADERS, i, &head, &payload));
        assert_int_equal(head.stream_id, 2 * i + 1);
    }
    talk_feed(&talk); /* one has ended */
    assert_true(fletch_http2_connection_has_room(talk.user.connection));
    (void)http2_user_open(&talk.user, true);
    http2_user_collect(&talk.user, 0);
    assert_true(wire_find(&talk.user.sent, FLETCH_HTTP2_HEADERS, 0, &head, &payload));
    assert_int_equal(head.stream_id, 7);
    wire_settings(&talk.wire, FLETCH_HTTP2_MAX_CONCURRENT_STREAMS, 0);
    talk_feed(&talk);
    assert_int_equal(http2_user_try_open(&talk.user, true, &stream, NULL),
                     FLETCH_RESOURCE_EXHAUSTED);
    wire_settings(&talk.wire, FLETCH_HTTP2_MAX_CONCURRENT_STREAMS, 100);
    wire_frame(&talk.wire, (struct fletch_http2_head){.length = 8, .type = FLETCH_HTTP2_GOAWAY},
               (const uint8_t[8]){0, 0, 0, 7});
    talk_feed(&talk);
    assert_int_equal(http2_user_try_open(&talk.user, true, &stream, NULL), FLETCH_UNAVAILABLE);
    talk_end(&talk);
}

/* 4.2: no frame is longer than the peer takes; 4.3: a block that is too long for one goes on in
 * CONTINUATION, and nothing comes between, though another stream has data. */
static void test_frames_are_no_longer_than_the_peer_takes(void **state)
{
    static char value[6000];
    const struct fletch_http2_field fields[] = {
        fletch_http2_field_of(":method", "POST"), fletch_http2_field_of(":scheme", "http"),
        fletch_http2_field_of(":path", "/"),      {"a", value, 1, sizeof value, true},
        {"b", value, 1, sizeof value, true},      {"c", value, 1, sizeof value, true},
        {"d", value, 1, sizeof value, true},
    };
    const struct fletch_http2_request request = {fields, sizeof fields / sizeof fields[0], true};
    struct fletch_http2_stream *stream = NULL;
    uint32_t continuations = 0;
    struct talk talk;
    (void)state;
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (char)(0x21 + i * 7 % 90); /* does not become much shorter */
    talk_start(&talk, &client_options);
    struct fletch_http2_stream *other = http2_user_open(&talk.user, false);
    fletch_http2_stream_send(other, test_data(60000, 0, false));
    assert_ok(fletch_http2_connection_open(talk.user.connection, &request, &stream, NULL));
    http2_user_collect(&talk.user, 0);
    bool is_in_block = false;
    for (size_t at = 0; at < talk.user.sent.count;) {
        struct fletch_http2_head head = fletch_http2_head_read(talk.user.sent.bytes + at);
        assert_true(head.length <= 16384);
        assert_int_equal(head.type == FLETCH_HTTP2_CONTINUATION, is_in_block);
        if (head.type == FLETCH_HTTP2_CONTINUATION)
            assert_int_equal(head.stream_id, 3);
        continuations += is_in_block;
        bool has_block = head.type == FLETCH_HTTP2_HEADERS || is_in_block;
        is_in_block = has_block && (head.flags & FLETCH_HTTP2_END_HEADERS) == 0;
        at += FLETCH_HTTP2_HEAD_BYTES + head.length;
    }
    assert_false(is_in_block);
    assert_int_equal(continuations, 1);
    talk_end(&talk);
}

/* 6.5.2, HEADER_TABLE_SIZE: what the peer takes from the table is told at the next block. */
static void test_a_smaller_table_is_confirmed(void **state)
{
    struct fletch_http2_head head;
    const uint8_t *payload;
    struct talk talk;
    (void)state;
    talk_start(&talk, &client_options);
    (void)http2_user_open(&talk.user, true);
    wire_settings(&talk.wire, FLETCH_HTTP2_HEADER_TABLE_SIZE, 0);
    talk_feed(&talk);
    talk.user.sent.count = 0;
    (void)http2_user_open(&talk.user, true);
    http2_user_collect(&talk.user, 0);
    assert_true(wire_find(&talk.user.sent, FLETCH_HTTP2_HEADERS, 0, &head, &payload));
    assert_int_equal(payload[0], 0x20); /* size update to 0 */
    talk_end(&talk);
}

/* 4.3: blocks of streams that nobody looks at are decoded too: the next ones refer to them. */
static void test_blocks_that_are_dropped_count_for_the_table(void **state)
{
    static const uint8_t adds[] = {0x83, 0x86, 0x84, 0x40, 1, 'x', 3, 'a', 'b', 'c'};
    static const uint8_t refers[] = {0x83, 0x86, 0x84, 0xbe};
    const struct fletch_http2_options one = {.is_server = true, .stream_limit = 1};
    struct fletch_http2_head head = {.type = FLETCH_HTTP2_HEADERS,
                                     .flags = FLETCH_HTTP2_END_HEADERS};
    struct talk talk;
    (void)state;
    talk_start(&talk, &one);
    wire_headers(&talk.wire, 1, 0, request_fields);
    head.length = sizeof adds;
    head.stream_id = 3;
    wire_frame(&talk.wire, head, adds); /* one too many */
    wire_u32_frame(&talk.wire, FLETCH_HTTP2_RST_STREAM, 1, FLETCH_HTTP2_CANCEL);
    talk_feed(&talk);
    head.length = sizeof refers;
    head.stream_id = 5;
    wire_frame(&talk.wire, head, refers);
    talk_feed(&talk);
    assert_null(http2_user_stream(&talk.user, 3));
    assert_contains(http2_user_stream(&talk.user, 5)->fields, "x=abc\n");
    talk_end(&talk);
}

/* 5.4.1: GOAWAY is the last frame, and names the last stream that was looked at. */
static void test_nothing_follows_the_goaway_of_an_error(void **state)
{
    struct fletch_http2_head head;
    const uint8_t *payload;
    struct talk talk;
    (void)state;
    talk_start(&talk, &server_options);
    wire_headers(&talk.wire, 5, 0, request_fields);
    talk_feed(&talk);
    struct fletch_http2_stream *stream = http2_user_stream(&talk.user, 5)->stream;
    talk.user.releases = false;
    wire_u32_frame(&talk.wire, FLETCH_HTTP2_WINDOW_UPDATE, 0, 0);
    wire_headers(&talk.wire, 7, 0, request_fields);
    talk_feed(&talk);
    assert_true(wire_find(&talk.user.sent, FLETCH_HTTP2_GOAWAY, 0, &head, &payload));
    assert_int_equal(fletch_http2_read_u32(payload), 5);
    assert_ptr_equal(payload + head.length, talk.user.sent.bytes + talk.user.sent.count);
    talk.user.sent.count = 0;
    fletch_http2_stream_send(stream, test_data(5, 0, true));
    fletch_http2_stream_reset(stream, FLETCH_HTTP2_CANCEL);
    http2_user_collect(&talk.user, 0);
    assert_int_equal(talk.user.sent.count, 0);
    talk_end(&talk);
}

/* 6.9: neither window is exceeded by a byte; 6.9.1: empty frames pass an empty window. */
static void test_windows_are_kept(void **state)
{
    struct talk talk;
    (void)state;
    talk_start(&talk, &client_options);
    wire_settings(&talk.wire, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 10);
    talk_feed(&talk);
    struct fletch_http2_stream *stream = http2_user_open(&talk.user, false);
    fletch_http2_stream_send(stream, test_data(100, 0, true));
    http2_user_collect(&talk.user, 0);
    struct fletch_http2_head head;
    const uint8_t *payload;
    assert_int_equal(wire_count(&talk.user.sent, FLETCH_HTTP2_DATA), 1);
    assert_true(wire_find(&talk.user.sent, FLETCH_HTTP2_DATA, 0, &head, &payload));
    assert_int_equal(head.length, 10);
    wire_u32_frame(&talk.wire, FLETCH_HTTP2_WINDOW_UPDATE, 1, 90);
    talk_feed(&talk);
    assert_true(wire_find(&talk.user.sent, FLETCH_HTTP2_DATA, 0, &head, &payload));
    assert_int_equal(head.length, 90);
    assert_int_equal(head.flags, FLETCH_HTTP2_END_STREAM);

    wire_settings(&talk.wire, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 0);
    talk_feed(&talk);
    stream = http2_user_open(&talk.user, false);
    fletch_http2_stream_send(stream, test_data(0, 0, true));
    talk.user.sent.count = 0;
    http2_user_collect(&talk.user, 0);
    assert_true(wire_find(&talk.user.sent, FLETCH_HTTP2_DATA, 0, &head, &payload));
    assert_int_equal(head.length, 0);
    assert_int_equal(head.flags, FLETCH_HTTP2_END_STREAM);
    talk_end(&talk);
}

/* 8.2, 8.3: what no peer may send, we refuse to send, with the reason. */
static void test_own_fields_keep_the_rules(void **state)
{
    static const char *const bad[][2] = {
        {"Upper", "x"},      {"a b", "x"},        {"a", "b\nc"},
        {"a", " b"},         {"", "x"},           {":x", "y"},
        {"connection", "x"}, {"te", "gzip"},      {":status", "200"},
        {"upgrade", "x"},    {"keep-alive", "x"}, {"transfer-encoding", "chunked"}};
    struct talk talk;
    (void)state;
    talk_start(&talk, &server_options);
    wire_headers(&talk.wire, 1, 0, request_fields);
    talk_feed(&talk);
    struct fletch_http2_stream *stream = http2_user_stream(&talk.user, 1)->stream;
    http2_user_respond(stream);
    http2_user_collect(&talk.user, 0);
    talk.user.sent.count = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct fletch_http2_field field = fletch_http2_field_of(bad[i][0], bad[i][1]);
        struct fletch_error error;
        if (fletch_http2_stream_send_trailers(stream, &field, 1, &error) != FLETCH_INVALID_ARGUMENT)
            fail_msg("'%s: %s' was sent", bad[i][0], bad[i][1]);
        assert_contains(error.message, "headers of stream 1: ");
    }
    http2_user_collect(&talk.user, 0);
    assert_int_equal(talk.user.sent.count, 0);
    talk_end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_begins_with_preface_and_settings),
        cmocka_unit_test(test_settings_and_pings_are_answered_once),
        cmocka_unit_test(test_streams_are_opened_by_the_rules),
        cmocka_unit_test(test_frames_are_no_longer_than_the_peer_takes),
        cmocka_unit_test(test_a_smaller_table_is_confirmed),
        cmocka_unit_test(test_blocks_that_are_dropped_count_for_the_table),
        cmocka_unit_test(test_nothing_follows_the_goaway_of_an_error),
        cmocka_unit_test(test_windows_are_kept),
        cmocka_unit_test(test_own_fields_keep_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
