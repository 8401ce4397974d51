#include <string.h>

#include "support/cmocka_tests.h"
#include "support/http2_user.h"

/* Each attack that docs/HTTP2.md lists, performed: the connection ends with the code that it says,
 * counts it, and never holds more memory than a few frames. What a peer may do in good faith, at a
 * slower pace, does not end it. */

enum { MEMORY_MOST = 160 << 10, ROUNDS = 4000 };

#define CALM FLETCH_HTTP2_ENHANCE_YOUR_CALM

/* Appends one round of an attack; `round` counts from 0. */
typedef void attack(struct wire *wire, uint32_t round);

static void reset_rapidly(struct wire *wire, uint32_t round)
{
    wire_headers(wire, 1 + 2 * round, 0, request_fields);
    wire_u32_frame(wire, FLETCH_HTTP2_RST_STREAM, 1 + 2 * round, FLETCH_HTTP2_CANCEL);
}

static void provoke_resets(struct wire *wire, uint32_t round)
{
    static const char *const malformed[] = {":method=GET", "Upper=x", NULL};
    wire_headers(wire, 1 + 2 * round, 0, malformed);
}

static void provoke_resets_by_updates(struct wire *wire, uint32_t round)
{
    wire_headers(wire, 1 + 2 * round, 0, request_fields);
    wire_u32_frame(wire, FLETCH_HTTP2_WINDOW_UPDATE, 1 + 2 * round, 0);
}

static void open_for_nothing(struct wire *wire, uint32_t round)
{
    wire_headers(wire, 1 + 2 * round, 0, request_fields);
}

static void ping(struct wire *wire, uint32_t round)
{
    (void)round;
    wire_frame(wire, (struct fletch_http2_head){.length = 8, .type = FLETCH_HTTP2_PING},
               "pingping");
}

static void set(struct wire *wire, uint32_t round)
{
    wire_settings(wire, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 65535 + round % 2);
}

static void acknowledge(struct wire *wire, uint32_t round)
{
    (void)round;
    wire_frame(wire,
               (struct fletch_http2_head){.type = FLETCH_HTTP2_SETTINGS, .flags = FLETCH_HTTP2_ACK},
               NULL);
}

static void send_empty_data(struct wire *wire, uint32_t round)
{
    if (round == 0)
        wire_headers(wire, 1, 0, request_fields);
    wire_data(wire, 1, 0, 0);
}

static void send_padding(struct wire *wire, uint32_t round)
{
    if (round == 0)
        wire_headers(wire, 1, 0, request_fields);
    wire_frame(
        wire,
        (struct fletch_http2_head){
            .length = 3, .type = FLETCH_HTTP2_DATA, .flags = FLETCH_HTTP2_PADDED, .stream_id = 1},
        "\2\0\0");
}

static void update_by_one(struct wire *wire, uint32_t round)
{
    if (round == 0)
        wire_headers(wire, 1, 0, request_fields);
    wire_u32_frame(wire, FLETCH_HTTP2_WINDOW_UPDATE, round % 2, 1);
}

static void prioritize(struct wire *wire, uint32_t round)
{
    wire_frame(wire,
               (struct fletch_http2_head){
                   .length = 5, .type = FLETCH_HTTP2_PRIORITY, .stream_id = 1 + 2 * round},
               "\0\0\0\0\0");
}

static void extend(struct wire *wire, uint32_t round)
{
    wire_frame(wire, (struct fletch_http2_head){.type = (uint8_t)(100 + round % 100)}, NULL);
}

static void go_away(struct wire *wire, uint32_t round)
{
    (void)round;
    wire_frame(wire, (struct fletch_http2_head){.length = 8, .type = FLETCH_HTTP2_GOAWAY},
               "\0\0\0\0\0\0\0\0");
}

static void send_to_closed(struct wire *wire, uint32_t round)
{
    if (round == 0) {
        wire_headers(wire, 1, 0, request_fields);
        wire_u32_frame(wire, FLETCH_HTTP2_RST_STREAM, 1, FLETCH_HTTP2_CANCEL);
    }
    wire_data(wire, 1, 0, 1);
}

struct flood {
    const char *name;
    attack *round;
    uint32_t least; /* rounds that are borne */
    uint32_t most;
};

static const struct flood floods[] = {
    {"rapid reset", reset_rapidly, 999, 1001},
    {"resets that the peer provokes", provoke_resets, 999, 1001},
    {"the same by WINDOW_UPDATE", provoke_resets_by_updates, 333, 1001},
    {"streams that are refused", open_for_nothing, 1000 + 8, 1001 + 8},
    {"PING", ping, 900, 1001},
    {"SETTINGS", set, 900, 1001},
    {"answers to SETTINGS", acknowledge, 900, 1001},
    {"empty DATA", send_empty_data, 900, 1010},
    {"DATA of padding", send_padding, 900, 1010},
    {"WINDOW_UPDATE by 1", update_by_one, 900, 1010},
    {"PRIORITY", prioritize, 900, 1001},
    {"unknown frames", extend, 900, 1001},
    {"GOAWAY", go_away, 900, 1001},
    {"DATA of a stream that was reset", send_to_closed, 900, 1010},
};

static const struct fletch_http2_options server_options = {.is_server = true, .stream_limit = 8};

static void check_memory(const struct http2_user *user)
{
    assert_true(user->allocator.live_bytes < MEMORY_MOST);
}

/* Rounds until the connection ends; what it sends is read now and then. */
static uint32_t attack_until_closed(struct http2_user *user, attack *round, uint32_t rounds)
{
    struct wire wire;
    uint32_t done = 0;
    wire_init(&wire);
    for (; done < rounds && !user->is_closed; done++) {
        wire.count = 0;
        round(&wire, done);
        http2_user_feed_wire(user, &wire, 0);
        if (done % 16 == 0 && !user->is_closed) {
            http2_user_collect(user, 0);
            user->sent.count = 0;
        }
        check_memory(user);
    }
    wire_deinit(&wire);
    return done;
}

static void test_floods_end_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        struct http2_user user;
        struct fletch_http2_statistics statistics;
        http2_user_ready(&user, &server_options);
        user.place_bytes = 0;
        uint32_t rounds = attack_until_closed(&user, floods[i].round, ROUNDS);
        fletch_http2_connection_statistics(user.connection, &statistics);
        if (!user.is_closed || user.code != CALM || statistics.floods != 1 ||
            rounds < floods[i].least || rounds > floods[i].most)
            fail_msg("%s: after %u rounds %s, expected %u to %u", floods[i].name, rounds,
                     user.is_closed ? fletch_http2_code_name(user.code) : "open", floods[i].least,
                     floods[i].most);
        /* It says so, and nothing more. */
        http2_user_collect(&user, 0);
        assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_GOAWAY), 1);
        assert_true(fletch_http2_connection_is_over(user.connection));
        http2_user_end(&user);
    }
}

/* A window's worth of whole frames that was on its way when their stream was reset is no flood. */
static void test_late_data_is_borne(void **state)
{
    struct http2_user user;
    struct wire wire;
    (void)state;
    http2_user_ready(&user, &server_options);
    user.place_bytes = 0;
    wire_init(&wire);
    wire_headers(&wire, 1, 0, request_fields);
    wire_u32_frame(&wire, FLETCH_HTTP2_RST_STREAM, 1, FLETCH_HTTP2_CANCEL);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        wire_data(&wire, 1, 0, 16384);
        http2_user_feed_wire(&user, &wire, 0);
        http2_user_collect(&user, 0);
        user.sent.count = 0;
        wire.count = 0;
        assert_false(user.is_closed);
    }
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* Streams that only are opened have to end some time. */
static void forget_streams(struct http2_user *user)
{
    while (user->stream_count != 0) {
        struct seen_stream *seen = &user->streams[--user->stream_count];
        if (seen->stream != NULL)
            fletch_http2_stream_release(seen->stream);
        memset(seen, 0, sizeof *seen);
    }
}

/* The same frames at a pace that is allowed: all is well for as long as one likes, and memory stays
 * where it was. */
static void test_a_slower_pace_is_borne(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        struct http2_user user;
        struct wire wire;
        uint64_t now_ns = 1;
        http2_user_ready(&user, &server_options);
        user.place_bytes = 0;
        wire_init(&wire);
        for (uint32_t round = 0; round < ROUNDS; round++) {
            wire.count = 0;
            floods[i].round(&wire, round);
            now_ns += 31000000; /* less than 33 a second */
            fletch_http2_connection_tick(user.connection, now_ns);
            http2_user_feed_wire(&user, &wire, 0);
            http2_user_collect(&user, 0);
            user.sent.count = 0;
            check_memory(&user);
            forget_streams(&user);
        }
        if (user.is_closed)
            fail_msg("%s: closed with '%s'", floods[i].name, user.text);
        wire_deinit(&wire);
        http2_user_end(&user);
    }
}

/* A PING with each frame of data, as those do who measure the way, is no flood. */
static void test_pings_with_data_are_borne(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    http2_user_ready(&user, &server_options);
    user.data_bytes = 1 << 16;
    wire_init(&wire);
    wire_headers(&wire, 1, 0, request_fields);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        ping(&wire, round);
        wire_u32_frame(&wire, FLETCH_HTTP2_WINDOW_UPDATE, 0, 1);
        wire_data(&wire, 1, 0, 16);
    }
    for (size_t at = 0; at < wire.count; at += 1000) {
        size_t count = wire.count - at < 1000 ? wire.count - at : 1000;
        http2_user_feed(&user, wire.bytes + at, count, 0);
        http2_user_collect(&user, 0);
        user.sent.count = 0;
    }
    assert_false(user.is_closed);
    assert_int_equal(http2_user_stream(&user, 1)->bytes, 16 * ROUNDS);
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* Answers that the peer does not read are bounded by number, whatever the pace. */
static void test_answers_that_nobody_reads(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    http2_user_ready(&user, &server_options);
    wire_init(&wire);
    uint32_t round = 0;
    for (; round < ROUNDS && !user.is_closed; round++) {
        wire.count = 0;
        ping(&wire, round);
        fletch_http2_connection_tick(user.connection, 1 + round * UINT64_C(10000000));
        http2_user_feed_wire(&user, &wire, 0);
        check_memory(&user);
    }
    assert_true(user.is_closed);
    assert_int_equal(user.code, CALM);
    assert_int_equal(round, 1001);
    wire_deinit(&wire);
    http2_user_end(&user);
}

static void test_continuation_flood(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    static uint8_t block[16000];
    for (int is_large = 0; is_large < 2; is_large++) {
        http2_user_ready(&user, &server_options);
        wire_init(&wire);
        wire_frame(&wire, (struct fletch_http2_head){.type = FLETCH_HTTP2_HEADERS, .stream_id = 1},
                   NULL);
        uint32_t round = 0;
        for (; round < ROUNDS && !user.is_closed; round++) {
            wire_frame(&wire,
                       (struct fletch_http2_head){.length = is_large ? sizeof block : 1,
                                                  .type = FLETCH_HTTP2_CONTINUATION,
                                                  .stream_id = 1},
                       block);
            http2_user_feed_wire(&user, &wire, 0);
            wire.count = 0;
            check_memory(&user);
        }
        assert_true(user.is_closed);
        assert_int_equal(user.code, CALM);
        assert_int_equal(round, is_large ? 2 : 8);
        wire_deinit(&wire);
        http2_user_end(&user);
    }
}

/* Up to the limit it is not. */
static void test_continuations_are_borne(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    uint8_t block[1000];
    http2_user_ready(&user, &server_options);
    wire_init(&wire);
    size_t bytes = wire_block(block, request_fields);
    for (size_t i = 0; i < 8; i++) {
        size_t from = bytes * i / 8;
        size_t to = bytes * (i + 1) / 8;
        wire_frame(&wire,
                   (struct fletch_http2_head){
                       .length = (uint32_t)(to - from),
                       .type = i == 0 ? FLETCH_HTTP2_HEADERS : FLETCH_HTTP2_CONTINUATION,
                       .flags = (uint8_t)((i == 0 ? FLETCH_HTTP2_END_STREAM : 0) |
                                          (i == 7 ? FLETCH_HTTP2_END_HEADERS : 0)),
                       .stream_id = 1},
                   block + from);
    }
    http2_user_feed_wire(&user, &wire, 0);
    assert_false(user.is_closed);
    assert_true(http2_user_stream(&user, 1)->has_ended);
    wire_deinit(&wire);
    http2_user_end(&user);
}

static void test_many_settings(void **state)
{
    (void)state;
    for (uint32_t entries = 32; entries <= 33; entries++) {
        struct http2_user user;
        struct wire wire;
        uint8_t payload[33 * 6] = {0};
        http2_user_ready(&user, &server_options);
        wire_init(&wire);
        wire_frame(&wire,
                   (struct fletch_http2_head){.length = entries * 6, .type = FLETCH_HTTP2_SETTINGS},
                   payload);
        http2_user_feed_wire(&user, &wire, 0);
        assert_int_equal(user.is_closed, entries == 33);
        wire_deinit(&wire);
        http2_user_end(&user);
    }
}

/* A small block that stands for much: 4,000 bytes in the table, referred to by a byte each. */
static void test_hpack_bomb(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    static uint8_t block[16000];
    http2_user_ready(&user, &server_options);
    wire_init(&wire);
    size_t bytes =
        wire_block(block, (const char *const[]){":method=GET", ":scheme=http", ":path=/", NULL});
    block[bytes++] = 0x40; /* literal, kept in the table */
    block[bytes++] = 1;
    block[bytes++] = 'x';
    block[bytes++] = 127;
    block[bytes++] = (3900 - 127) % 128 + 128;
    block[bytes++] = (3900 - 127) / 128;
    memset(block + bytes, 'y', 3900);
    bytes += 3900;
    for (uint32_t id = 1; id <= 21; id += 2) {
        uint8_t *rest = block + (id == 1 ? bytes : 0);
        size_t refers = id == 1 ? 8000 : 15000;
        memset(rest, 0xbe, refers); /* the newest entry */
        size_t count = (size_t)(rest - block) + refers;
        wire.count = 0;
        wire_frame(&wire,
                   (struct fletch_http2_head){(uint32_t)count, FLETCH_HTTP2_HEADERS,
                                              FLETCH_HTTP2_END_HEADERS, id},
                   block);
        http2_user_feed_wire(&user, &wire, 0);
        check_memory(&user);
    }
    http2_user_collect(&user, 0);
    assert_false(user.is_closed);
    assert_int_equal(user.stream_count, 0);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_RST_STREAM), 11);
    /* The table was kept: a request that refers to it is understood. */
    wire.count = 0;
    bytes =
        wire_block(block, (const char *const[]){":method=GET", ":scheme=http", ":path=/", NULL});
    block[bytes++] = 0xbe;
    wire_frame(&wire,
               (struct fletch_http2_head){(uint32_t)bytes, FLETCH_HTTP2_HEADERS,
                                          FLETCH_HTTP2_END_HEADERS | FLETCH_HTTP2_END_STREAM, 23},
               block);
    http2_user_feed_wire(&user, &wire, 0);
    assert_non_null(http2_user_stream(&user, 23));
    assert_contains(http2_user_stream(&user, 23)->fields, "x=yyyy");
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* More streams than allowed are refused one by one; the others are served. */
static void test_too_many_streams(void **state)
{
    (void)state;
    struct http2_user user;
    struct wire wire;
    struct fletch_http2_head head;
    const uint8_t *payload;
    http2_user_ready(&user, &server_options);
    user.place_bytes = 0;
    wire_init(&wire);
    for (uint32_t i = 0; i < 20; i++)
        open_for_nothing(&wire, i);
    http2_user_feed_wire(&user, &wire, 0);
    http2_user_collect(&user, 0);
    assert_int_equal(user.stream_count, 8);
    assert_int_equal(wire_count(&user.sent, FLETCH_HTTP2_RST_STREAM), 12);
    assert_true(wire_find(&user.sent, FLETCH_HTTP2_RST_STREAM, 0, &head, &payload));
    assert_int_equal(head.stream_id, 17);
    assert_int_equal(fletch_http2_read_u32(payload), FLETCH_HTTP2_REFUSED_STREAM);
    wire.count = 0;
    wire_u32_frame(&wire, FLETCH_HTTP2_RST_STREAM, 1, FLETCH_HTTP2_CANCEL);
    wire_headers(&wire, 41, FLETCH_HTTP2_END_STREAM, request_fields);
    http2_user_feed_wire(&user, &wire, 0);
    assert_non_null(http2_user_stream(&user, 41));
    wire_deinit(&wire);
    http2_user_end(&user);
}

/* A thousand streams that wait cost less than 16 KiB each, an idle connection less than 64 KiB. */
static void test_idle_memory(void **state)
{
    (void)state;
    const struct fletch_http2_options options = {.is_server = true};
    struct http2_user user;
    struct wire wire;
    http2_user_ready(&user, &options);
    user.place_bytes = 0;
    assert_true(user.allocator.live_bytes < 64 << 10);
    uint64_t before = user.allocator.live_bytes;
    wire_init(&wire);
    for (uint32_t i = 0; i < 1000; i++)
        open_for_nothing(&wire, i);
    http2_user_feed_wire(&user, &wire, 0);
    assert_int_equal(user.stream_count, 1000);
    assert_true((user.allocator.live_bytes - before) / 1000 < 1 << 10);
    assert_int_equal(account_used_bytes(user.pool.account), 0);
    wire_deinit(&wire);
    http2_user_end(&user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floods_end_the_connection),
        cmocka_unit_test(test_late_data_is_borne),
        cmocka_unit_test(test_a_slower_pace_is_borne),
        cmocka_unit_test(test_pings_with_data_are_borne),
        cmocka_unit_test(test_answers_that_nobody_reads),
        cmocka_unit_test(test_continuation_flood),
        cmocka_unit_test(test_continuations_are_borne),
        cmocka_unit_test(test_many_settings),
        cmocka_unit_test(test_hpack_bomb),
        cmocka_unit_test(test_too_many_streams),
        cmocka_unit_test(test_idle_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
