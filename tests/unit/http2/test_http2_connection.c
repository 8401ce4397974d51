#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "http2/http2_parser.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/http2_user.h"

/* A connection as a whole: against a peer made by hand, and two of them joined by a pipe that cuts
 * bytes anywhere. */

static const struct fletch_http2_options server_options = {.is_server = true};

/* ---- by hand ---- */

static void test_server_greets_and_answers(void **state)
{
    (void)state;
    for (size_t chunk = 0; chunk < 40; chunk++) {
        struct http2_user user;
        struct wire wire;
        struct fletch_http2_head head;
        const uint8_t *payload;
        assert_true(http2_user_start(&user, &server_options, 0));
        wire_init(&wire);
        wire_preface(&wire);
        wire_settings(&wire, FLETCH_HTTP2_MAX_FRAME_SIZE, 65536);
        wire_headers(&wire, 1, 0, request_fields);
        wire_data(&wire, 1, 0, 5000);
        wire_data(&wire, 1, FLETCH_HTTP2_END_STREAM, 0);
        http2_user_feed_wire(&user, &wire, chunk);
        struct seen_stream *seen = http2_user_stream(&user, 1);
        assert_non_null(seen);
        assert_int_equal(seen->headers, 1);
        assert_contains(seen->fields, ":path=/a/b\n");
        assert_int_equal(seen->bytes, 5000);
        for (size_t i = 0; i < 5000; i++)
            assert_int_equal(seen->data[i], (uint8_t)(i * 7));
        assert_true(seen->has_ended);
        http2_user_respond(seen->stream);
        fletch_http2_stream_send(seen->stream, test_data(10, 3, false));
        http2_user_end_with_trailers(seen->stream);
        http2_user_collect(&user, 7);
        assert_true(wire_find(&user.sent, FLETCH_HTTP2_SETTINGS, 1, &head, &payload));
        assert_int_equal(head.flags, FLETCH_HTTP2_ACK);
        assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_HEADERS), 2);
        assert_true(wire_find(&user.sent, FLETCH_HTTP2_DATA, 0, &head, &payload));
        assert_int_equal(head.length, 10);
        assert_int_equal(payload[9], (uint8_t)(3 + 9 * 7));
        assert_true(wire_find(&user.sent, FLETCH_HTTP2_HEADERS, 1, &head, &payload));
        assert_int_equal(head.flags, FLETCH_HTTP2_END_HEADERS | FLETCH_HTTP2_END_STREAM);
        assert_true(fletch_http2_stream_is_closed(seen->stream));
        fletch_http2_stream_release(seen->stream);
        wire_deinit(&wire);
        http2_user_end(&user);
    }
}

static void test_http1_client_gets_505(void **state)
{
    (void)state;
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for (size_t chunk = 1; chunk < 8; chunk++) {
        struct http2_user user;
        assert_true(http2_user_start(&user, &server_options, 0));
        http2_user_collect(&user, 0); /* says nothing before it knows what the client speaks */
        http2_user_feed(&user, request, sizeof request - 1, chunk);
        assert_true(user.is_closed);
        assert_contains(user.text, "http/1");
        http2_user_collect(&user, 0);
        user.sent.bytes[user.sent.count] = 0;
        assert_int_equal(strncmp((char *)user.sent.bytes, "HTTP/1.1 505 ", 13), 0);
        const char *body = strstr((char *)user.sent.bytes, "\r\n\r\n");
        const char *length = strstr((char *)user.sent.bytes, "Content-Length: ");
        assert_int_equal(strlen(body + 4), strtoul(length + 16, NULL, 10));
        assert_true(fletch_http2_connection_is_over(user.connection));
        http2_user_end(&user);
    }
}

static void test_other_bytes_get_no_answer(void **state)
{
    (void)state;
    static const uint8_t hello[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
    struct http2_user user;
    assert_true(http2_user_start(&user, &server_options, 0));
    http2_user_feed(&user, hello, sizeof hello, 0);
    http2_user_collect(&user, 0);
    assert_true(user.is_closed);
    assert_int_equal(user.sent.count, 0);
    assert_true(fletch_http2_connection_is_over(user.connection));
    http2_user_end(&user);
}

static void test_http1_server_is_named(void **state)
{
    (void)state;
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    struct http2_user user;
    assert_true(http2_user_start(&user, NULL, 0));
    http2_user_feed(&user, answer, sizeof answer - 1, 3);
    assert_true(user.is_closed);
    assert_contains(user.text, "http/1");
    http2_user_end(&user);
}

static void test_ping_goes_before_data(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    struct fletch_http2_head head;
    const uint8_t *payload;
    http2_user_ready(&user, NULL);
    wire_init(&wire);
    struct fletch_http2_stream *stream = http2_user_open(&user, false);
    fletch_http2_stream_send(stream, test_data(1000, 0, false));
    wire_frame(&wire, (struct fletch_http2_head){.length = 8, .type = FLETCH_HTTP2_PING},
               "12345678");
    http2_user_feed_wire(&user, &wire, 0);
    http2_user_collect(&user, 0);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_PING, 0, &head, &payload));
    const uint8_t *ping = payload;
    assert_int_equal(head.flags, FLETCH_HTTP2_ACK);
    assert_memory_equal(payload, "12345678", 8);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_DATA, 0, &head, &payload));
    assert_true(ping < payload);
    fletch_http2_stream_release(stream);
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* 6.9.2: the initial window moves streams that are open, below zero too; the answer to SETTINGS
 * leaves before frames that make use of them. */
static void test_settings_change_open_streams(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    struct fletch_http2_head head;
    const uint8_t *payload;
    http2_user_ready(&user, NULL);
    wire_init(&wire);
    struct fletch_http2_stream *stream = http2_user_open(&user, false);
    wire_settings(&wire, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 1000);
    http2_user_feed_wire(&user, &wire, 0);
    fletch_http2_stream_send(stream, test_data(5000, 0, false));
    http2_user_collect(&user, 0);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_DATA, 0, &head, &payload));
    assert_int_equal(head.length, 1000);
    assert_int_equal(fletch_http2_stream_queued_bytes(stream),
                     4000 + FLETCH_HTTP2_DATA_OVERHEAD_BYTES);
    user.sent.count = 0;
    wire.count = 0;
    wire_settings(&wire, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 0); /* -1000 left */
    wire_u32_frame(&wire, FLETCH_HTTP2_WINDOW_UPDATE, 1, 900);
    http2_user_feed_wire(&user, &wire, 0);
    http2_user_collect(&user, 0);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_DATA), 0);
    user.sent.count = 0;
    wire.count = 0;
    wire_u32_frame(&wire, FLETCH_HTTP2_WINDOW_UPDATE, 1, 200);
    http2_user_feed_wire(&user, &wire, 0);
    http2_user_collect(&user, 0);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_DATA, 0, &head, &payload));
    assert_int_equal(head.length, 100);
    user.sent.count = 0;
    wire.count = 0;
    wire_settings(&wire, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 1 << 20);
    http2_user_feed_wire(&user, &wire, 0);
    http2_user_collect(&user, 0);
    head = fletch_http2_head_read(user.sent.bytes);
    assert_int_equal(head.type, FLETCH_HTTP2_SETTINGS);
    assert_int_equal(head.flags, FLETCH_HTTP2_ACK);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_DATA, 0, &head, &payload));
    assert_int_equal(head.length, 3900);
    fletch_http2_stream_release(stream);
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* What is not consumed is not given back, and the connection's credit comes back all the same. */
static void test_slow_stream_stops_alone(void **state)
{
    (void)state;
    struct fletch_http2_options options = server_options;
    struct http2_user user;
    struct wire wire;
    options.stream_window_bytes = 65536;
    options.connection_window_bytes = 100000;
    http2_user_ready(&user, &options);
    user.is_slow = true;
    wire_init(&wire);
    wire_headers(&wire, 1, 0, request_fields);
    for (int i = 0; i < 4; i++)
        wire_data(&wire, 1, 0, 16384);
    http2_user_feed_wire(&user, &wire, 0);
    http2_user_collect(&user, 0);
    struct fletch_http2_head head;
    const uint8_t *payload;
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_WINDOW_UPDATE), 1);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_WINDOW_UPDATE, 0, &head, &payload));
    assert_int_equal(head.stream_id, 0);
    assert_int_equal(fletch_http2_read_u32(payload), 65536);
    user.sent.count = 0;
    struct seen_stream *seen = http2_user_stream(&user, 1);
    fletch_http2_stream_consume(seen->stream, 10000); /* less than a quarter */
    http2_user_collect(&user, 0);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_WINDOW_UPDATE), 0);
    fletch_http2_stream_consume(seen->stream, 10000);
    http2_user_collect(&user, 0);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_WINDOW_UPDATE, 0, &head, &payload));
    assert_int_equal(head.stream_id, 1);
    assert_int_equal(fletch_http2_read_u32(payload), 20000);
    /* Another one goes on, and one byte more than its window is its own fault. */
    wire.count = 0;
    wire_headers(&wire, 3, 0, request_fields);
    wire_data(&wire, 3, 0, 16384);
    for (int i = 0; i < 2; i++)
        wire_data(&wire, 1, 0, 10001);
    http2_user_feed_wire(&user, &wire, 0);
    assert_int_equal(http2_user_stream(&user, 3)->bytes, 16384);
    assert_true(http2_user_stream(&user, 1)->is_reset);
    assert_int_equal(http2_user_stream(&user, 1)->code, FLETCH_HTTP2_FLOW_CONTROL_ERROR);
    assert_false(user.is_closed);
    wire_deinit(&wire);
    http2_user_end(&user);
}

static void test_goaway_of_the_peer(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    uint8_t payload[12] = {0, 0, 0, 1, 0, 0, 0, 0, 'b', 'y', 'e', '!'};
    struct fletch_http2_stream *refused = NULL;
    struct fletch_error error;
    http2_user_ready(&user, NULL);
    wire_init(&wire);
    http2_user_open(&user, true);
    http2_user_open(&user, true);
    wire_frame(&wire, (struct fletch_http2_head){.length = 12, .type = FLETCH_HTTP2_GOAWAY},
               payload);
    http2_user_feed_wire(&user, &wire, 0);
    assert_int_equal(user.goaways, 1);
    assert_int_equal(http2_user_stream(&user, 3)->cause, FLETCH_HTTP2_BY_REFUSAL);
    assert_int_equal(http2_user_try_open(&user, true, &refused, &error), FLETCH_UNAVAILABLE);
    assert_false(user.is_closed);
    wire.count = 0;
    wire_headers(&wire, 1, FLETCH_HTTP2_END_STREAM, response_fields);
    http2_user_feed_wire(&user, &wire, 0);
    assert_true(http2_user_stream(&user, 1)->has_ended);
    assert_true(user.is_closed); /* nothing is left */
    assert_int_equal(user.code, FLETCH_HTTP2_NO_ERROR);
    wire_deinit(&wire);
    http2_user_end(&user);
}

static void test_shutdown_in_two_steps(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    struct fletch_http2_head head;
    const uint8_t *payload;
    http2_user_ready(&user, &server_options);
    wire_init(&wire);
    wire_headers(&wire, 1, FLETCH_HTTP2_END_STREAM, request_fields);
    http2_user_feed_wire(&user, &wire, 0);
    fletch_http2_connection_shutdown(user.connection);
    fletch_http2_connection_shutdown(user.connection);
    http2_user_collect(&user, 0);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_GOAWAY), 1);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_GOAWAY, 0, &head, &payload));
    assert_int_equal(fletch_http2_read_u32(payload), FLETCH_HTTP2_STREAM_ID_MOST);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_PING, 0, &head, &payload));
    wire.count = 0; /* what was under way is accepted, a later one is not */
    wire_headers(&wire, 3, FLETCH_HTTP2_END_STREAM, request_fields);
    wire_frame(&wire,
               (struct fletch_http2_head){
                   .length = 8, .type = FLETCH_HTTP2_PING, .flags = FLETCH_HTTP2_ACK},
               payload);
    wire_headers(&wire, 5, FLETCH_HTTP2_END_STREAM, request_fields);
    http2_user_feed_wire(&user, &wire, 0);
    user.sent.count = 0;
    http2_user_collect(&user, 0);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_GOAWAY, 0, &head, &payload));
    assert_int_equal(fletch_http2_read_u32(payload), 3);
    assert_non_null(http2_user_stream(&user, 3));
    assert_null(http2_user_stream(&user, 5));
    for (uint32_t id = 1; id <= 3; id += 2) {
        http2_user_respond(http2_user_stream(&user, id)->stream);
        http2_user_end_with_trailers(http2_user_stream(&user, id)->stream);
        assert_false(fletch_http2_connection_is_over(user.connection));
        fletch_http2_stream_release(http2_user_stream(&user, id)->stream);
    }
    http2_user_collect(&user, 0);
    http2_user_events(&user);
    assert_true(user.is_closed);
    assert_int_equal(user.code, FLETCH_HTTP2_NO_ERROR);
    assert_true(fletch_http2_connection_is_over(user.connection));
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* A server that is done before the client: the client is told to stop, and what it sent meanwhile
 * harms nobody. */
static void test_early_answer_stops_the_client(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    struct fletch_http2_head head;
    const uint8_t *payload;
    http2_user_ready(&user, &server_options);
    wire_init(&wire);
    wire_headers(&wire, 1, 0, request_fields);
    http2_user_feed_wire(&user, &wire, 0);
    struct seen_stream *seen = http2_user_stream(&user, 1);
    http2_user_respond(seen->stream);
    fletch_http2_stream_send(seen->stream, test_data(100, 0, false));
    http2_user_end_with_trailers(seen->stream);
    fletch_http2_stream_release(seen->stream);
    seen->stream = NULL;
    http2_user_collect(&user, 0);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_HEADERS), 2);
    wire.count = 0;
    wire_data(&wire, 1, 0, 100);
    http2_user_feed_wire(&user, &wire, 0);
    http2_user_collect(&user, 0);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_RST_STREAM), 1);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_RST_STREAM, 0, &head, &payload));
    assert_int_equal(fletch_http2_read_u32(payload), FLETCH_HTTP2_NO_ERROR);
    assert_false(user.is_closed);
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* A client that lets go of a call that it has ended: the rest is sent, then it gives up. */
static void test_client_lets_go(void **state)
{
    (void)state;
    struct http2_user user;
    struct fletch_http2_head head;
    const uint8_t *payload;
    http2_user_ready(&user, NULL);
    struct fletch_http2_stream *stream = http2_user_open(&user, false);
    fletch_http2_stream_send(stream, test_data(100, 0, true));
    fletch_http2_stream_release(stream);
    http2_user_collect(&user, 0);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_DATA, 0, &head, &payload));
    assert_int_equal(head.flags, FLETCH_HTTP2_END_STREAM);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_RST_STREAM, 0, &head, &payload));
    assert_int_equal(fletch_http2_read_u32(payload), FLETCH_HTTP2_CANCEL);
    http2_user_end(&user);
}

/* Each call of a stream in each of its states brings the sender's data back exactly once. */
static void test_data_is_done_once(void **state)
{
    (void)state;
    for (int when = 0; when < 6; when++) {
        struct http2_user user;
        test_data_sent = 0;
        test_data_dropped = 0;
        http2_user_ready(&user, NULL);
        struct fletch_http2_stream *stream = http2_user_open(&user, false);
        for (int i = 0; i < 4; i++)
            fletch_http2_stream_send(stream, test_data(30000, 0, false));
        struct iovec slices[64];
        if (when >= 1)
            assert_true(fletch_http2_connection_output(user.connection, slices, 64) > 2);
        if (when >= 2)
            fletch_http2_connection_sent(user.connection, 40000);
        if (when == 3)
            fletch_http2_stream_reset(stream, FLETCH_HTTP2_CANCEL);
        if (when == 4)
            fletch_http2_connection_ended(user.connection);
        if (when == 5) {
            fletch_http2_stream_release(stream);
            http2_user_collect(&user, 0);
        }
        if (when >= 3)
            assert_true(test_data_dropped >= 1);
        if (when == 3) {
            fletch_http2_stream_send(stream, test_data(1, 0, true)); /* at once */
            assert_int_equal(test_data_dropped, 2);
        }
        http2_user_end(&user);
        assert_int_equal(test_data_sent + test_data_dropped, when == 3 ? 5 : 4);
        assert_true(test_data_sent <= 2);
    }
}

static void test_small_messages_share_a_frame(void **state)
{
    (void)state;
    struct http2_user user;
    struct fletch_http2_head head;
    const uint8_t *payload;
    http2_user_ready(&user, NULL);
    struct fletch_http2_stream *stream = http2_user_open(&user, false);
    for (uint8_t i = 0; i < 100; i++)
        fletch_http2_stream_send(stream, test_data(100, i, i == 99));
    http2_user_collect(&user, 0);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_DATA), 1);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_DATA, 0, &head, &payload));
    assert_int_equal(head.length, 10000);
    assert_int_equal(head.flags, FLETCH_HTTP2_END_STREAM);
    fletch_http2_stream_release(stream);
    http2_user_end(&user);
}

/* A promise of more bytes is kept by the next batch: not while a window is closed. */
static void test_more_follows(void **state)
{
    (void)state;
    struct http2_user user;
    struct iovec slices[64];
    const struct fletch_http2_options options = {.send_batch_bytes = 16384};
    http2_user_ready(&user, &options);
    struct fletch_http2_stream *stream = http2_user_open(&user, false);
    size_t sent = 0, batches = 0, count;
    assert_false(fletch_http2_connection_has_more(user.connection));
    fletch_http2_stream_send(stream, test_data(100000, 0, true));
    for (bool is_promised = true; is_promised; batches++) {
        count = fletch_http2_connection_output(user.connection, slices, 64);
        assert_int_not_equal(count, 0);
        is_promised = fletch_http2_connection_has_more(user.connection);
        size_t bytes = 0;
        for (size_t i = 0; i < count; i++)
            bytes += slices[i].iov_len;
        fletch_http2_connection_sent(user.connection, bytes);
        sent += bytes;
    }
    assert_int_equal(fletch_http2_connection_output(user.connection, slices, 64), 0);
    assert_in_range(sent, 65535, 65535 + 1000); /* the window that a connection begins with */
    assert_in_range(batches, 4, 5);
    assert_int_not_equal(fletch_http2_stream_queued_bytes(stream), 0);
    fletch_http2_stream_release(stream);
    http2_user_end(&user);
}

static void test_timeouts(void **state)
{
    (void)state;
    static const uint64_t second = 1000000000;
    struct http2_user user;
    struct wire wire;
    wire_init(&wire);
    assert_true(http2_user_start(&user, &server_options, 0)); /* says nothing */
    assert_int_equal(fletch_http2_connection_deadline(user.connection), 10 * second + 1);
    fletch_http2_connection_tick(user.connection, 10 * second);
    http2_user_events(&user);
    assert_false(user.is_closed);
    fletch_http2_connection_tick(user.connection, 10 * second + 1);
    http2_user_events(&user);
    assert_true(user.is_closed);
    assert_int_equal(user.code, FLETCH_HTTP2_SETTINGS_TIMEOUT);
    http2_user_end(&user);

    http2_user_ready(&user, &server_options); /* begins headers */
    wire_headers(&wire, 1, 0, request_fields);
    http2_user_feed(&user, wire.bytes, wire.count - 1, 0);
    assert_int_equal(fletch_http2_connection_deadline(user.connection), 30 * second + 1);
    fletch_http2_connection_tick(user.connection, 30 * second + 1);
    http2_user_events(&user);
    assert_int_equal(user.code, FLETCH_HTTP2_ENHANCE_YOUR_CALM);
    http2_user_end(&user);

    http2_user_ready(&user, NULL); /* does not read */
    struct fletch_http2_stream *stream = http2_user_open(&user, false);
    fletch_http2_stream_send(stream, test_data(100, 0, false));
    struct iovec slices[8];
    assert_true(fletch_http2_connection_output(user.connection, slices, 8) > 0);
    fletch_http2_connection_tick(user.connection, 60 * second + 1);
    http2_user_events(&user);
    assert_true(user.is_closed);
    assert_true(fletch_http2_connection_is_over(user.connection));
    http2_user_end(&user);

    struct fletch_http2_options options = {.keepalive_ns = second, .idle_timeout_ns = 9 * second};
    http2_user_ready(&user, &options); /* is silent */
    fletch_http2_connection_tick(user.connection, second + 1);
    http2_user_collect(&user, 0);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_PING), 1);
    fletch_http2_connection_tick(user.connection, 9 * second + 1); /* and idle */
    http2_user_collect(&user, 0);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_GOAWAY), 1);
    fletch_http2_connection_tick(user.connection, 21 * second + 1);
    http2_user_events(&user);
    assert_true(user.is_closed);
    http2_user_end(&user);
    wire_deinit(&wire);
}

/* ---- two machines ---- */

enum { CALLS = 12, CALL_BYTES = 150000 };

static void run_joint(uint64_t seed)
{
    struct http2_joint joint = {.random = fletch_random_from_seed(seed)};
    struct fletch_http2_options options = {
        .stream_window_bytes = 65535 + fletch_random_below(&joint.random, 100000),
        .connection_window_bytes = 65535 + fletch_random_below(&joint.random, 300000),
        .send_frame_bytes = 16384 + fletch_random_below(&joint.random, 50000),
        .frame_bytes = 16384 + fletch_random_below(&joint.random, 50000),
        .send_batch_bytes = 16384 + fletch_random_below(&joint.random, 200000),
    };
    size_t bytes[CALLS];
    assert_true(http2_user_start(&joint.client, &options, 0));
    options.is_server = true;
    assert_true(http2_user_start(&joint.server, &options, 0));
    joint.server.react = http2_user_echo;
    joint.client.place_bytes = 1 + fletch_random_below(&joint.random, 70000);
    joint.server.place_bytes = 1 + fletch_random_below(&joint.random, 70000);
    for (uint32_t i = 0; i < CALLS; i++) {
        bytes[i] = fletch_random_below(&joint.random, CALL_BYTES);
        struct fletch_http2_stream *stream = http2_user_open(&joint.client, false);
        fletch_http2_stream_send(stream, test_data(bytes[i] / 3, 0, false));
        fletch_http2_stream_send(stream, test_data(bytes[i] - bytes[i] / 3, 0, true));
    }
    http2_joint_run(&joint);
    assert_false(joint.client.is_closed);
    for (uint32_t i = 0; i < CALLS; i++)
        http2_joint_check_echo(&joint, 1 + 2 * i, bytes[i]);
    http2_user_end(&joint.client);
    http2_user_end(&joint.server);
}

static uint64_t first_seed;
static uint64_t runs;

static void test_two_machines(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < runs; i++)
        run_joint(first_seed + i);
}

/* Frames of the peer's favourite size go straight to where they belong. */
static void test_predicted_frames_are_not_copied(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    struct fletch_http2_statistics statistics;
    http2_user_ready(&user, &server_options);
    user.place_bytes = 1 << 20;
    wire_init(&wire);
    wire_headers(&wire, 1, 0, request_fields);
    for (int i = 0; i < 64; i++)
        wire_data(&wire, 1, 0, 16384);
    http2_user_feed_wire(&user, &wire, 100000);
    fletch_http2_connection_statistics(user.connection, &statistics);
    struct seen_stream *seen = http2_user_stream(&user, 1);
    assert_int_equal(seen->bytes, 1 << 20);
    for (size_t i = 0; i < 1 << 20; i++)
        assert_int_equal(seen->data[i], (uint8_t)(i % 16384 * 7));
    assert_true(statistics.bytes_copied <= 16384);
    assert_int_equal(statistics.mispredictions, 0);
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* Frames of another stream, other lengths, PINGs in between: all ends up in its place. */
static void test_mispredictions(void **state)
{
    (void)state;
    uint64_t mispredicted = 0;
    for (uint64_t seed = 0; seed < runs; seed++) {
        struct fletch_random random = fletch_random_from_seed(first_seed + seed);
        struct http2_user user;
        struct wire wire;
        struct fletch_http2_statistics statistics;
        size_t counts[2] = {0, 0};
        http2_user_ready(&user, &server_options);
        user.place_bytes = 1 << 20;
        wire_init(&wire);
        wire_headers(&wire, 1, 0, request_fields);
        wire_headers(&wire, 3, 0, request_fields);
        for (int i = 0; i < 40; i++) {
            uint32_t what = fletch_random_below(&random, 8);
            uint32_t id = what == 0 ? 3 : 1;
            size_t bytes = what < 6 ? 16384 : fletch_random_below(&random, 20000);
            if (what == 7)
                wire_frame(&wire,
                           (struct fletch_http2_head){.length = 8, .type = FLETCH_HTTP2_PING},
                           "pingping");
            wire_data(&wire, id, 0, bytes);
            counts[id / 2] += bytes;
        }
        http2_user_feed_wire(&user, &wire, 1 + fletch_random_below(&random, 300000));
        fletch_http2_connection_statistics(user.connection, &statistics);
        mispredicted += statistics.mispredictions;
        size_t at[2] = {0, 0};
        struct fletch_http2_head head;
        const uint8_t *payload;
        for (uint32_t i = 0; wire_find(&wire, FLETCH_HTTP2_DATA, i, &head, &payload); i++) {
            struct seen_stream *seen = http2_user_stream(&user, head.stream_id);
            assert_memory_equal(seen->data + at[head.stream_id / 2], payload, head.length);
            at[head.stream_id / 2] += head.length;
        }
        assert_int_equal(http2_user_stream(&user, 1)->bytes, counts[0]);
        wire_deinit(&wire);
        http2_user_end(&user);
    }
    assert_true(mispredicted > runs);
}

/* Streams of a connection that is lost: whether one may have been seen depends on whether its
 * headers have begun to leave. */
static void test_what_never_left_is_told(void **state)
{
    static const struct fletch_http2_options client;
    struct iovec slices[8];
    struct http2_user user;
    (void)state;
    http2_user_ready(&user, &client);
    (void)http2_user_open(&user, true); /* 1: sent in part */
    assert_true(fletch_http2_connection_output(user.connection, slices, 8) != 0);
    fletch_http2_connection_sent(user.connection, 1);
    (void)http2_user_open(&user, true); /* 3: behind it */
    fletch_http2_connection_ended(user.connection);
    http2_user_events(&user);
    assert_int_equal(http2_user_stream(&user, 1)->cause, FLETCH_HTTP2_BY_LOSS);
    assert_int_equal(http2_user_stream(&user, 3)->cause, FLETCH_HTTP2_BY_REFUSAL);
    http2_user_end(&user);

    http2_user_ready(&user, &client);
    (void)http2_user_open(&user, true); /* 1: sent */
    http2_user_collect(&user, 0);
    (void)http2_user_open(&user, true); /* 3: about to be sent */
    assert_true(fletch_http2_connection_output(user.connection, slices, 8) != 0);
    fletch_http2_connection_ended(user.connection);
    http2_user_events(&user);
    assert_int_equal(http2_user_stream(&user, 1)->cause, FLETCH_HTTP2_BY_LOSS);
    assert_int_equal(http2_user_stream(&user, 3)->cause, FLETCH_HTTP2_BY_REFUSAL);
    http2_user_end(&user);
}

int main(int argc, char **argv)
{
    struct test_arguments arguments = test_arguments_read(argc, argv);
    first_seed = arguments.seed;
    runs = 20 * arguments.scale;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_greets_and_answers),
        cmocka_unit_test(test_http1_client_gets_505),
        cmocka_unit_test(test_other_bytes_get_no_answer),
        cmocka_unit_test(test_http1_server_is_named),
        cmocka_unit_test(test_ping_goes_before_data),
        cmocka_unit_test(test_settings_change_open_streams),
        cmocka_unit_test(test_slow_stream_stops_alone),
        cmocka_unit_test(test_goaway_of_the_peer),
        cmocka_unit_test(test_shutdown_in_two_steps),
        cmocka_unit_test(test_early_answer_stops_the_client),
        cmocka_unit_test(test_client_lets_go),
        cmocka_unit_test(test_data_is_done_once),
        cmocka_unit_test(test_small_messages_share_a_frame),
        cmocka_unit_test(test_more_follows),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_two_machines),
        cmocka_unit_test(test_predicted_frames_are_not_copied),
        cmocka_unit_test(test_mispredictions),
        cmocka_unit_test(test_what_never_left_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
