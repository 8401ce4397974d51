#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "support/attacker.h"
#include "support/cmocka_tests.h"
#include "support/flight_scene.h"
#include "support/random_batches.h"

/* Peers made by hand, at a server and at a client of Flight: streams that are reset in each state
 * of each method, connections that go away within a put, headers beyond a limit, texts of every
 * byte, small windows under many streams. Calls of others go on, and nothing is kept. */

enum { PATH_BYTES = 80, STREAMS = 100, STALLED = 10, MESSAGE_BYTES = 64, LONG_BYTES = 6000 };

#define SECOND_NS UINT64_C(1000000000)

static struct flight_scene scene;
static struct attacker attacker;
static struct fletch_error error;
static const struct fletch_flight_descriptor command = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                                                        .command = {"c", 1}};

static int start(void **state)
{
    (void)state;
    flight_scene_prepare(&scene, NULL);
    assert_true(flight_scene_start(&scene));
    return 0;
}

static int end(void **state)
{
    (void)state;
    flight_scene_end(&scene);
    return 0;
}

/* ---- calls of the scene's own ---- */

static struct fletch_flight_stream *act(struct flight_scene *at, const char *type)
{
    const struct fletch_flight_action action = {type, {"body", 4}};
    struct fletch_flight_stream *stream = flight_scene_call(at, FLETCH_FLIGHT_METHOD_DO_ACTION, 0);
    assert_answer(fletch_flight_stream_send(stream, FLETCH_FLIGHT_ACTION, &action, 0, &error),
                  FLETCH_DONE);
    fletch_flight_stream_done_writing(stream);
    return stream;
}

/* The call of another connection. */
static void witness(void)
{
    const void *made;
    struct fletch_flight_stream *stream = act(&scene, "echo");
    assert_answer(flight_scene_receive(&scene, stream, FLETCH_FLIGHT_RESULT, &made, &error),
                  FLETCH_DONE);
    fletch_flight_release(made);
    assert_ok(flight_scene_wait(&scene, stream).status);
    fletch_flight_stream_close(stream);
}

static struct fletch_rpc_server_statistics server_statistics(void)
{
    struct fletch_rpc_server_statistics statistics;
    fletch_rpc_server_statistics(scene.rpc.server, &statistics);
    return statistics;
}

static uint64_t settled_bytes(void)
{
    for (int i = 0; i < 5; i++)
        flight_scene_turn(&scene);
    return account_used_bytes(scene.account);
}

/* ---- what a client says by hand ---- */

/* A message with the field `number` (1 of most requests, 3 of FlightData) of one byte. */
static size_t put_message(uint8_t *bytes, uint8_t number)
{
    const uint8_t message[] = {0, 0, 0, 0, 3, (uint8_t)(number << 3 | 2), 1, 'x'};
    memcpy(bytes, message, sizeof message);
    return sizeof message;
}

/* The first message of a client. */
static size_t put_request(uint8_t *bytes, enum fletch_flight_method_id id)
{
    static const uint8_t described[] = {0, 0, 0, 0, 5, 0x08, 2, 0x12, 1, 'c'};
    static const uint8_t within[] = {0, 0, 0, 0, 7, 0x0a, 5, 0x08, 2, 0x12, 1, 'c'};
    enum fletch_flight_message kind = fletch_flight_methods[id].client.kind;
    bool is_data = fletch_flight_methods[id].client.is_data;
    if (is_data) {
        memcpy(bytes, within, sizeof within);
        return sizeof within;
    }
    if (kind == FLETCH_FLIGHT_DESCRIPTOR) {
        memcpy(bytes, described, sizeof described);
        return sizeof described;
    }
    if (kind == FLETCH_FLIGHT_EMPTY) {
        memset(bytes, 0, 5);
        return 5;
    }
    return put_message(bytes, 1);
}

static void say_headers(uint32_t id, enum fletch_flight_method_id method)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, ":path=%s", fletch_flight_methods[method].path);
    const char *const fields[] = {
        ":method=POST", ":scheme=http", path, "te=trailers", "content-type=application/grpc", NULL};
    wire_headers(&attacker.out, id, 0, fields);
}

static void say_data(uint32_t id, uint8_t flags, const uint8_t *bytes, size_t count)
{
    wire_frame(&attacker.out,
               (struct fletch_http2_head){(uint32_t)count, FLETCH_HTTP2_DATA, flags, id}, bytes);
}

static void say_reset(uint32_t id, uint32_t code)
{
    wire_u32_frame(&attacker.out, FLETCH_HTTP2_RST_STREAM, id, code);
}

/* ---- streams that a client resets ---- */

enum state {
    AFTER_HEADERS,
    IN_PREFIX,
    IN_MESSAGE,
    AFTER_MESSAGE,
    IN_SECOND_MESSAGE,
    AFTER_HALF_CLOSE,
    AFTER_ANSWER,
    STATES
};

static void say_until(uint32_t id, enum fletch_flight_method_id method, enum state state)
{
    uint8_t bytes[MESSAGE_BYTES];
    size_t count = put_request(bytes, method);
    say_headers(id, method);
    if (state == IN_PREFIX)
        say_data(id, 0, bytes, 3);
    else if (state == IN_MESSAGE)
        say_data(id, 0, bytes, count - 1);
    else if (state >= AFTER_MESSAGE)
        say_data(id, 0, bytes, count);
    if (state == IN_SECOND_MESSAGE)
        say_data(id, 0, bytes, count - 1);
    if (state >= AFTER_HALF_CLOSE)
        say_data(id, FLETCH_HTTP2_END_STREAM, bytes, 0);
}

/* No stream of the attacker's is left, and another connection is served. */
static void expect_rest(const char *what, uint64_t before)
{
    uint64_t end_ns = fletch_clock_now_ns() + 20 * SECOND_NS;
    flight_scene_until(&scene, &scene.ended, scene.sources);
    witness();
    while (settled_bytes() > before || server_statistics().http2.streams != 0)
        if (fletch_clock_now_ns() > end_ns)
            fail_msg("%s: %llu streams and %lld bytes are kept", what,
                     (unsigned long long)server_statistics().http2.streams,
                     (long long)(settled_bytes() - before));
    attacker_pump(&attacker);
}

static void reset_in_each_state(enum fletch_flight_method_id method, bool holds)
{
    uint64_t before;
    attacker_connect(&attacker, &scene.rpc, false);
    attacker_flush(&attacker, &scene.rpc);
    before = settled_bytes();
    for (uint32_t state = 0; state < STATES; state++) {
        uint32_t id = 1 + 2 * state;
        scene.holds = holds;
        say_until(id, method, (enum state)state);
        attacker_flush(&attacker, &scene.rpc);
        for (int i = 0; state == AFTER_ANSWER && i < 5; i++) {
            flight_scene_turn(&scene);
            attacker_pump(&attacker);
        }
        say_reset(id, FLETCH_HTTP2_CANCEL);
        attacker_flush(&attacker, &scene.rpc);
        scene.holds = false;
        expect_rest(fletch_flight_methods[method].name, before);
        assert_false(attacker.is_cut);
    }
    attacker_end(&attacker);
    while (server_statistics().connections != 1)
        flight_scene_turn(&scene);
}

static void a_client_resets_each_method_in_each_state(void **state)
{
    (void)state;
    witness();
    for (uint32_t i = 0; i < FLETCH_FLIGHT_METHODS; i++) {
        reset_in_each_state((enum fletch_flight_method_id)i, false);
        reset_in_each_state((enum fletch_flight_method_id)i, true);
    }
}

/* With nothing of what is got sent, or a part. */
static void a_client_resets_what_waits_for_its_window(void **state)
{
    uint8_t bytes[MESSAGE_BYTES];
    (void)state;
    witness();
    scene.count = FLIGHT_SCENE_BATCHES;
    for (uint32_t window = 0; window < 3000; window += 999) {
        attacker_connect(&attacker, &scene.rpc, true);
        wire_preface(&attacker.out);
        wire_settings(&attacker.out, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, window);
        attacker_flush(&attacker, &scene.rpc);
        uint64_t before = settled_bytes();
        say_headers(1, FLETCH_FLIGHT_METHOD_DO_GET);
        say_data(1, FLETCH_HTTP2_END_STREAM, bytes,
                 put_request(bytes, FLETCH_FLIGHT_METHOD_DO_GET));
        attacker_flush(&attacker, &scene.rpc);
        for (int i = 0; i < 5; i++)
            flight_scene_turn(&scene);
        assert_true(settled_bytes() > before); /* what waits */
        say_reset(1, FLETCH_HTTP2_CANCEL);
        attacker_flush(&attacker, &scene.rpc);
        expect_rest("a get that waits", before);
        attacker_end(&attacker);
        while (server_statistics().connections != 1)
            flight_scene_turn(&scene);
    }
}

/* ---- servers made by hand ---- */

static struct flight_scene victim; /* the same, with a channel to the attacker */
static const char *const answer_fields[] = {":status=200", "content-type=application/grpc", NULL};
static const char *const good_fields[] = {"grpc-status=0", NULL};

static void attack_client(void)
{
    struct fletch_socket_address address;
    victim = scene;
    victim.rpc.channel = NULL;
    attacker_listen(&attacker, &address);
    struct fletch_rpc_channel_options options = rpc_scene_channel_options(&victim.rpc, &address);
    options.grpc.send_queue_bytes = SIZE_MAX / 2;
    options.grpc.message_limit_bytes = INT32_MAX;
    options.pause_first_ns = options.pause_most_ns = 60 * SECOND_NS; /* once is enough */
    assert_ok(fletch_rpc_channel_create(&options, &victim.rpc.channel, NULL));
    attacker_accept(&attacker, &scene.rpc, false);
    rpc_scene_until_state(&victim.rpc, FLETCH_RPC_READY);
}

static void end_attack(void)
{
    attacker_end(&attacker);
    fletch_rpc_channel_destroy(victim.rpc.channel);
    witness();
}

static struct fletch_flight_stream *begin_call(enum fletch_flight_method_id id)
{
    const struct fletch_flight_bytes ticket = {"t", 1};
    const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                        .descriptor = &command};
    if (id == FLETCH_FLIGHT_METHOD_DO_ACTION)
        return act(&victim, "echo");
    struct fletch_flight_stream *stream = flight_scene_call(&victim, id, 0);
    if (id == FLETCH_FLIGHT_METHOD_DO_GET)
        assert_answer(fletch_flight_stream_send(stream, FLETCH_FLIGHT_TICKET, &ticket, 0, &error),
                      FLETCH_DONE);
    else
        assert_ok(fletch_flight_stream_begin(
            stream, (struct fletch_schema *)(uintptr_t)fletch_batch_schema(scene.batch), &options,
            &error));
    return stream;
}

static void a_server_resets_each_kind_of_call_in_each_state(void **state)
{
    static const enum fletch_flight_method_id methods[] = {
        FLETCH_FLIGHT_METHOD_DO_GET, FLETCH_FLIGHT_METHOD_DO_PUT, FLETCH_FLIGHT_METHOD_DO_EXCHANGE,
        FLETCH_FLIGHT_METHOD_DO_ACTION};
    static const struct {
        uint32_t code;
        const char *status;
    } codes[] = {{FLETCH_HTTP2_NO_ERROR, "INTERNAL"},
                 {FLETCH_HTTP2_INTERNAL_ERROR, "INTERNAL"},
                 {FLETCH_HTTP2_CANCEL, "CANCELLED"},
                 {FLETCH_HTTP2_ENHANCE_YOUR_CALM, "RESOURCE_EXHAUSTED"}};
    uint8_t bytes[MESSAGE_BYTES];
    uint32_t id = 1;
    (void)state;
    witness();
    attack_client();
    uint64_t before = settled_bytes();
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        bool is_data = fletch_flight_methods[methods[m]].server.is_data;
        size_t count = put_message(bytes, is_data ? 3 : 1);
        for (uint32_t i = 0; i < 4 * 5; i++, id += 2) {
            struct fletch_flight_stream *stream = begin_call(methods[m]);
            attacker_flush(&attacker, &scene.rpc);
            if (i / 4 > 0)
                wire_headers(&attacker.out, id, 0, answer_fields);
            if (i / 4 > 1)
                say_data(id, 0, bytes, i / 4 == 2 ? 3 : i / 4 == 3 ? count - 1 : count);
            say_reset(id, codes[i % 4].code);
            attacker_flush(&attacker, &scene.rpc);
            const struct fletch_flight_end told = flight_scene_wait(&victim, stream);
            assert_string_equal(fletch_status_name(told.status), codes[i % 4].status);
            assert_true(strlen(told.text) > 10);
            fletch_flight_stream_close(stream);
        }
    }
    assert_true(settled_bytes() <= before);
    end_attack();
}

static void say_goaway(uint32_t last, uint32_t code)
{
    uint8_t payload[8];
    for (int i = 0; i < 4; i++) {
        payload[i] = (uint8_t)(last >> (24 - 8 * i));
        payload[4 + i] = (uint8_t)(code >> (24 - 8 * i));
    }
    wire_frame(&attacker.out, (struct fletch_http2_head){sizeof payload, FLETCH_HTTP2_GOAWAY, 0, 0},
               payload);
}

static enum fletch_answer write_one(struct fletch_flight_stream *stream)
{
    const struct fletch_flight_output output = {.batch = scene.batch, .app_metadata = {"m", 1}};
    return flight_scene_write(&victim, stream, &output, &error);
}

static void a_put_goes_on_when_its_server_takes_no_more(void **state)
{
    uint8_t bytes[MESSAGE_BYTES];
    const void *made;
    (void)state;
    attack_client();
    struct fletch_flight_stream *stream = begin_call(FLETCH_FLIGHT_METHOD_DO_PUT);
    assert_answer(write_one(stream), FLETCH_DONE);
    attacker_flush(&attacker, &scene.rpc);
    say_goaway(1, FLETCH_HTTP2_NO_ERROR);
    attacker_flush(&attacker, &scene.rpc);
    assert_answer(write_one(stream), FLETCH_DONE);
    fletch_flight_stream_done_writing(stream);
    wire_u32_frame(&attacker.out, FLETCH_HTTP2_WINDOW_UPDATE, 0, 1 << 20);
    wire_u32_frame(&attacker.out, FLETCH_HTTP2_WINDOW_UPDATE, 1, 1 << 20);
    attacker_flush(&attacker, &scene.rpc);
    wire_headers(&attacker.out, 1, 0, answer_fields);
    say_data(1, 0, bytes, put_message(bytes, 1));
    wire_headers(&attacker.out, 1, FLETCH_HTTP2_END_STREAM, good_fields);
    attacker_flush(&attacker, &scene.rpc);
    assert_answer(flight_scene_receive(&victim, stream, FLETCH_FLIGHT_PUT_RESULT, &made, &error),
                  FLETCH_DONE);
    fletch_flight_release(made);
    assert_ok(flight_scene_wait(&victim, stream).status);
    fletch_flight_stream_close(stream);
    end_attack();
}

/* Whether the server says that it has not looked at the call, or that all has gone wrong. */
static void a_put_ends_when_its_server_goes_away(void **state)
{
    static const struct {
        uint32_t last, code;
    } ways[] = {{0, FLETCH_HTTP2_NO_ERROR}, {1, FLETCH_HTTP2_INTERNAL_ERROR}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        attack_client();
        uint64_t before = settled_bytes();
        struct fletch_flight_stream *stream = begin_call(FLETCH_FLIGHT_METHOD_DO_PUT);
        assert_answer(write_one(stream), FLETCH_DONE);
        attacker_flush(&attacker, &scene.rpc);
        say_goaway(ways[i].last, ways[i].code);
        attacker_flush(&attacker, &scene.rpc);
        attacker_leave(&attacker);
        const struct fletch_flight_end told = flight_scene_wait(&victim, stream);
        assert_string_equal(fletch_status_name(told.status), "UNAVAILABLE");
        assert_true(strlen(told.text) > 10);
        assert_answer(write_one(stream), FLETCH_CLOSED);
        fletch_flight_stream_close(stream);
        assert_true(settled_bytes() <= before);
        end_attack();
    }
}

static void a_put_goes_on_when_its_client_takes_no_more(void **state)
{
    uint8_t bytes[MESSAGE_BYTES];
    struct fletch_http2_head head;
    const uint8_t *payload;
    (void)state;
    witness();
    attacker_connect(&attacker, &scene.rpc, false);
    attacker_flush(&attacker, &scene.rpc);
    uint64_t before = settled_bytes();
    say_headers(1, FLETCH_FLIGHT_METHOD_DO_PUT);
    say_data(1, 0, bytes, put_request(bytes, FLETCH_FLIGHT_METHOD_DO_PUT));
    attacker_flush(&attacker, &scene.rpc);
    say_goaway(0, FLETCH_HTTP2_NO_ERROR);
    attacker_flush(&attacker, &scene.rpc);
    say_data(1, 0, bytes, put_message(bytes, 3));
    say_data(1, FLETCH_HTTP2_END_STREAM, bytes, 0);
    attacker_flush(&attacker, &scene.rpc);
    flight_scene_until(&scene, &scene.ended, 1);
    expect_rest("a put whose client takes no more", before);
    /* An acknowledgement, and trailers at the end. */
    assert_true(wire_find(&attacker.in, FLETCH_HTTP2_DATA, 0, &head, &payload));
    assert_int_equal(wire_count(&attacker.in, FLETCH_HTTP2_RST_STREAM), 0);
    assert_true(wire_find(&attacker.in, FLETCH_HTTP2_HEADERS, 1, &head, &payload));
    assert_true((head.flags & FLETCH_HTTP2_END_STREAM) != 0);
    attacker_end(&attacker);
    witness();
}

/* ---- headers beyond a limit ---- */

static char long_value[LONG_BYTES];

static enum fletch_status fail_at_length(void *user, struct fletch_flight_stream *stream,
                                         const struct fletch_flight_action *action,
                                         struct fletch_error *cause)
{
    const struct fletch_flight_header trailer = {"x-long-bin", long_value, sizeof long_value};
    (void)user;
    for (int i = 0; i < 4; i++)
        if (fletch_flight_stream_add_trailer(stream, &trailer, cause) != FLETCH_OK)
            return cause->status;
    return fletch_flight_stream_send(stream, FLETCH_FLIGHT_RESULT, &action->body, 0, cause) ==
                   FLETCH_DONE
               ? FLETCH_OK
               : cause->status;
}

static void trailers_beyond_the_clients_limit_end_one_call(void **state)
{
    (void)state;
    enum fletch_status (*before)(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_action *action,
                                 struct fletch_error *cause) = scene.service.handlers.do_action;
    scene.service.handlers.do_action = fail_at_length;
    struct fletch_flight_stream *stream = act(&scene, "long");
    const struct fletch_flight_end told = flight_scene_wait(&scene, stream);
    assert_string_equal(fletch_status_name(told.status), "RESOURCE_EXHAUSTED");
    assert_true(strlen(told.text) > 10);
    fletch_flight_stream_close(stream);
    scene.service.handlers.do_action = before;
    witness();
    assert_int_equal(server_statistics().accepted, 1); /* on the same connection */
}

/* A client that takes next to nothing is told how its calls end all the same, as far as that is
 * short. */
static void a_client_with_a_small_limit_is_told_what_is_short(void **state)
{
    uint8_t bytes[MESSAGE_BYTES];
    uint32_t id = 1;
    (void)state;
    witness();
    attacker_connect(&attacker, &scene.rpc, true);
    wire_preface(&attacker.out);
    wire_settings(&attacker.out, FLETCH_HTTP2_MAX_HEADER_LIST_SIZE, 40);
    attacker_flush(&attacker, &scene.rpc);
    uint64_t before = settled_bytes();
    for (; id < 20; id += 2) {
        say_headers(id, FLETCH_FLIGHT_METHOD_GET_FLIGHT_INFO); /* which fails */
        say_data(id, FLETCH_HTTP2_END_STREAM, bytes,
                 put_request(bytes, FLETCH_FLIGHT_METHOD_GET_FLIGHT_INFO));
        attacker_flush(&attacker, &scene.rpc);
    }
    expect_rest("answers to who takes little", before);
    assert_int_equal(wire_count(&attacker.in, FLETCH_HTTP2_HEADERS), 10);
    scene.service.handlers.do_action = fail_at_length;
    say_headers(id, FLETCH_FLIGHT_METHOD_DO_ACTION);
    say_data(id, FLETCH_HTTP2_END_STREAM, bytes,
             put_request(bytes, FLETCH_FLIGHT_METHOD_DO_ACTION));
    attacker_flush(&attacker, &scene.rpc);
    for (int i = 0; i < 5; i++)
        flight_scene_turn(&scene);
    attacker_pump(&attacker);
    assert_false(attacker.is_cut);
    assert_true(wire_count(&attacker.in, FLETCH_HTTP2_HEADERS) > 10);
    attacker_end(&attacker);
}

/* Frames of a block that go on with `count` fields of `bytes` bytes each. */
static void say_more_fields(uint32_t count, size_t bytes, bool is_last)
{
    static uint8_t block[LONG_BYTES + 64];
    static char text[LONG_BYTES + 8];
    const char *const fields[] = {text, NULL};
    size_t size = 0;
    memset(text, 'x', sizeof text);
    memcpy(text, "x-more=", 7);
    text[7 + bytes] = 0;
    while (count-- != 0)
        size += wire_block(block + size, fields);
    wire_frame(&attacker.out,
               (struct fletch_http2_head){(uint32_t)size, FLETCH_HTTP2_CONTINUATION,
                                          is_last ? FLETCH_HTTP2_END_HEADERS : 0, 1},
               block);
}

/* The headers of a put, with so many long fields behind them, and short ones. */
static void say_long_headers(uint32_t long_fields, uint32_t short_fields)
{
    uint8_t block[256];
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, ":path=%s",
                   fletch_flight_methods[FLETCH_FLIGHT_METHOD_DO_PUT].path);
    const char *const fields[] = {
        ":method=POST", ":scheme=http", path, "te=trailers", "content-type=application/grpc", NULL};
    wire_frame(
        &attacker.out,
        (struct fletch_http2_head){(uint32_t)wire_block(block, fields), FLETCH_HTTP2_HEADERS, 0, 1},
        block);
    while (long_fields-- != 0)
        say_more_fields(1, LONG_BYTES - 100, false);
    say_more_fields(short_fields, 1, true);
}

/* A list that is too long ends its call, a block that is too long its connection. */
static void requests_beyond_the_servers_limit_are_refused(void **state)
{
    uint8_t bytes[MESSAGE_BYTES];
    (void)state;
    for (uint32_t is_long = 0; is_long < 2; is_long++) {
        witness();
        attacker_connect(&attacker, &scene.rpc, false);
        attacker_flush(&attacker, &scene.rpc);
        uint64_t before = settled_bytes();
        say_long_headers(2 + is_long, 150);
        if (is_long != 0) {
            attacker_until_cut(&attacker, &scene.rpc);
            assert_int_equal(attacker_told_code(&attacker), FLETCH_HTTP2_ENHANCE_YOUR_CALM);
        } else {
            say_headers(3, FLETCH_FLIGHT_METHOD_DO_ACTION);
            say_data(3, FLETCH_HTTP2_END_STREAM, bytes,
                     put_request(bytes, FLETCH_FLIGHT_METHOD_DO_ACTION));
            attacker_flush(&attacker, &scene.rpc);
            expect_rest("a request with too many fields", before);
            assert_false(attacker.is_cut);
            assert_int_equal(wire_count(&attacker.in, FLETCH_HTTP2_RST_STREAM), 1);
            assert_true(wire_count(&attacker.in, FLETCH_HTTP2_HEADERS) >= 2);
        }
        attacker_end(&attacker);
    }
    witness();
}

/* ---- texts ---- */

#define TEXT_BEGIN "ANY_BYTE: "

static char every_byte[sizeof TEXT_BEGIN + 255];

static enum fletch_status fail_with_every_byte(void *user, struct fletch_flight_stream *stream,
                                               const struct fletch_flight_action *action,
                                               struct fletch_error *cause)
{
    (void)user;
    (void)stream;
    (void)action;
    cause->status = FLETCH_DATA_LOSS;
    memcpy(cause->message, every_byte, sizeof every_byte);
    return FLETCH_DATA_LOSS;
}

static void a_text_may_have_every_byte(void **state)
{
    (void)state;
    memcpy(every_byte, TEXT_BEGIN, sizeof TEXT_BEGIN);
    for (size_t i = 1; i < 256; i++)
        every_byte[sizeof TEXT_BEGIN - 2 + i] = (char)i;
    scene.service.handlers.do_action = fail_with_every_byte;
    struct fletch_flight_stream *stream = act(&scene, "any");
    const struct fletch_flight_end told = flight_scene_wait(&scene, stream);
    assert_int_equal(told.status, FLETCH_DATA_LOSS);
    assert_string_equal(told.text, every_byte);
    fletch_flight_stream_close(stream);
}

/* In whatever way a server has written it: with each digit in either case, or not at all. */
static void each_byte_of_a_text_is_decoded(void **state)
{
    char field[40];
    uint32_t id = 1;
    (void)state;
    attack_client();
    for (unsigned i = 1; i < 256; i++, id += 2) {
        struct fletch_flight_stream *stream = act(&victim, "any");
        (void)snprintf(field, sizeof field, "grpc-message=<%%%02X%%%02x%%%%2>", i, i);
        const char *const fields[] = {":status=200", "content-type=application/grpc",
                                      "grpc-status=9", field, NULL};
        attacker_flush(&attacker, &scene.rpc);
        wire_headers(&attacker.out, id, FLETCH_HTTP2_END_STREAM, fields);
        attacker_flush(&attacker, &scene.rpc);
        const struct fletch_flight_end told = flight_scene_wait(&victim, stream);
        assert_string_equal(fletch_status_name(told.status), "FAILED_PRECONDITION");
        const char expected[] = {'<', (char)i, (char)i, '%', '%', '2', '>', 0};
        assert_string_equal(told.text, expected);
        fletch_flight_stream_close(stream);
    }
    end_attack();
}

/* ---- small windows ---- */

/* A client whose windows are the least that there are, with many gets of more than those: those
 * that nobody reads hold up no other, and go on when they are read. */
static void small_windows_serve_many_streams(void **state)
{
    const struct fletch_flight_bytes ticket = {"t", 1};
    struct fletch_flight_stream *streams[STREAMS];
    struct fletch_flight_data data;
    (void)state;
    victim = scene;
    struct fletch_rpc_channel_options options =
        rpc_scene_channel_options(&victim.rpc, fletch_rpc_server_address(scene.rpc.server));
    options.grpc.http2.stream_window_bytes = 65535;
    options.grpc.http2.connection_window_bytes = 65535;
    options.grpc.send_queue_bytes = SIZE_MAX / 2;
    options.grpc.message_limit_bytes = INT32_MAX;
    assert_ok(fletch_rpc_channel_create(&options, &victim.rpc.channel, NULL));
    scene.count = 12;
    for (int i = 0; i < STREAMS; i++) {
        streams[i] = flight_scene_call(&victim, FLETCH_FLIGHT_METHOD_DO_GET, 0);
        assert_answer(
            fletch_flight_stream_send(streams[i], FLETCH_FLIGHT_TICKET, &ticket, 0, &error),
            FLETCH_DONE);
        fletch_flight_stream_done_writing(streams[i]);
    }
    for (int i = STREAMS - 1; i >= 0; i--) { /* the first ones are not read at all meanwhile */
        for (uint32_t k = 0; k < scene.count; k++) {
            assert_answer(flight_scene_read(&victim, streams[i], &data, &error), FLETCH_DONE);
            assert_true(batches_equal(data.batch, scene.batch));
            fletch_batch_release(scene.rpc.pool.cache, data.batch);
        }
        assert_answer(flight_scene_read(&victim, streams[i], &data, &error), FLETCH_CLOSED);
        assert_ok(error.status);
        fletch_flight_stream_close(streams[i]);
        if (i == STREAMS - STALLED)
            witness();
    }
    fletch_rpc_channel_destroy(victim.rpc.channel);
}

/* ---- deadlines ---- */

/* While both sides wait for room, and nobody reads. */
static void a_deadline_ends_a_call_that_is_full_both_ways(void **state)
{
    const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                        .descriptor = &command};
    const struct fletch_flight_output output = {.batch = scene.batch, .app_metadata = {"m", 1}};
    (void)state;
    witness();
    uint64_t before = settled_bytes();
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_EXCHANGE, SECOND_NS / 2);
    assert_ok(fletch_flight_stream_begin(
        stream, (struct fletch_schema *)(uintptr_t)fletch_batch_schema(scene.batch), &options,
        &error));
    enum fletch_answer answer = FLETCH_DONE;
    while (answer != FLETCH_CLOSED) {
        answer = fletch_flight_stream_write(stream, 0, &output, &error);
        flight_scene_turn(&scene);
    }
    assert_string_equal(fletch_status_name(error.status), "DEADLINE_EXCEEDED");
    assert_string_equal(fletch_status_name(flight_scene_wait(&scene, stream).status),
                        "DEADLINE_EXCEEDED");
    fletch_flight_stream_close(stream);
    flight_scene_until(&scene, &scene.ended, scene.sources);
    assert_true(settled_bytes() <= before);
    witness();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_client_resets_each_method_in_each_state, start, end),
        cmocka_unit_test_setup_teardown(a_client_resets_what_waits_for_its_window, start, end),
        cmocka_unit_test_setup_teardown(a_server_resets_each_kind_of_call_in_each_state, start,
                                        end),
        cmocka_unit_test_setup_teardown(a_put_goes_on_when_its_server_takes_no_more, start, end),
        cmocka_unit_test_setup_teardown(a_put_ends_when_its_server_goes_away, start, end),
        cmocka_unit_test_setup_teardown(a_put_goes_on_when_its_client_takes_no_more, start, end),
        cmocka_unit_test_setup_teardown(trailers_beyond_the_clients_limit_end_one_call, start, end),
        cmocka_unit_test_setup_teardown(a_client_with_a_small_limit_is_told_what_is_short, start,
                                        end),
        cmocka_unit_test_setup_teardown(requests_beyond_the_servers_limit_are_refused, start, end),
        cmocka_unit_test_setup_teardown(a_text_may_have_every_byte, start, end),
        cmocka_unit_test_setup_teardown(each_byte_of_a_text_is_decoded, start, end),
        cmocka_unit_test_setup_teardown(small_windows_serve_many_streams, start, end),
        cmocka_unit_test_setup_teardown(a_deadline_ends_a_call_that_is_full_both_ways, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
