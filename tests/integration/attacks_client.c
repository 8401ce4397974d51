/* Servers that attack a client of ours over real sockets: its call ends with a status that says
 * why, its memory stays flat, what it does for the server is counted; and calls of another channel
 * on the same loop succeed meanwhile. */

#include <string.h>

#include "base/clock.h"
#include "support/attacker.h"
#include "support/cmocka_tests.h"

enum { ROUNDS_AT_ONCE = 64, ROUNDS_MOST = 20000, MEMORY_MOST = 512 << 10, FRAMES_MOST = 4000 };

#define MS_NS UINT64_C(1000000)

static struct rpc_scene scene;  /* a good server, and the witness's channel */
static struct rpc_scene victim; /* the same, with the channel that is attacked */
static struct memory_meter meter;
static struct attacker attacker;
static struct rpc_probe probe; /* the victim's call, on stream 1 */

static const char *const answer_fields[] = {":status=200", "content-type=application/grpc", NULL};

static struct fletch_rpc_channel_statistics victim_statistics(void)
{
    struct fletch_rpc_channel_statistics statistics;
    fletch_rpc_channel_statistics(victim.channel, &statistics);
    return statistics;
}

static void witness(void)
{
    struct rpc_probe call = {.scene = &scene, .to_send = 1, .bytes = 1000};
    assert_ok(rpc_probe_begin(&call, RPC_ECHO, 0));
    rpc_scene_until(&scene, &call.ends, 1);
    assert_string_equal(fletch_status_name(call.status), "OK");
    assert_int_equal(call.wrong, 0);
}

/* A channel that has a call at the attacker, who has answered nothing yet. */
static void begin(const struct fletch_grpc_options *limits, bool is_mute)
{
    struct fletch_socket_address address;
    rpc_scene_start(&scene, NULL);
    memory_meter_start(&meter);
    victim = scene;
    victim.channel = NULL;
    attacker_listen(&attacker, &address);
    struct fletch_rpc_channel_options options = rpc_scene_channel_options(&victim, &address);
    options.pause_first_ns = 60000 * MS_NS; /* once is enough */
    options.pause_most_ns = 60000 * MS_NS;
    if (limits != NULL) {
        options.grpc.http2.handshake_timeout_ns = limits->http2.handshake_timeout_ns;
        options.grpc.http2.header_timeout_ns = limits->http2.header_timeout_ns;
        options.grpc.http2.write_timeout_ns = limits->http2.write_timeout_ns;
        options.grpc.message_timeout_ns = limits->message_timeout_ns;
    }
    options.grpc.http2.allocator = &meter.allocator;
    assert_ok(fletch_rpc_channel_create(&options, &victim.channel, NULL));
    attacker_accept(&attacker, &scene, is_mute);
    rpc_scene_until_state(&victim, FLETCH_RPC_READY);
    probe = (struct rpc_probe){.scene = &victim, .to_send = 1, .bytes = 10, .stays_open = true};
    assert_ok(rpc_probe_begin(&probe, RPC_HOLD, 0));
    attacker_flush(&attacker, &scene);
    witness();
}

static void end(void)
{
    witness();
    attacker_end(&attacker);
    fletch_rpc_channel_destroy(victim.channel);
    assert_int_equal(probe.ends, 1);
    rpc_scene_end(&scene);
    assert_int_equal(meter.live_bytes, 0);
}

typedef void attack(struct wire *wire, uint32_t round);

static void answer_once(struct wire *wire, uint32_t round)
{
    if (round == 0)
        wire_headers(wire, 1, 0, answer_fields);
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

static void hint(struct wire *wire, uint32_t round)
{
    static const char *const hints[] = {":status=103", "link=x", NULL};
    (void)round;
    wire_headers(wire, 1, 0, hints);
}

static void send_empty_data(struct wire *wire, uint32_t round)
{
    answer_once(wire, round);
    wire_data(wire, 1, 0, 0);
}

static void update_by_one(struct wire *wire, uint32_t round)
{
    wire_u32_frame(wire, FLETCH_HTTP2_WINDOW_UPDATE, round % 2, 1);
}

static void extend(struct wire *wire, uint32_t round)
{
    wire_frame(wire, (struct fletch_http2_head){.type = (uint8_t)(100 + round % 100)}, NULL);
}

static void reset(struct wire *wire, uint32_t round)
{
    (void)round;
    wire_u32_frame(wire, FLETCH_HTTP2_RST_STREAM, 1, FLETCH_HTTP2_INTERNAL_ERROR);
}

static void overflow_window(struct wire *wire, uint32_t round)
{
    (void)round;
    wire_u32_frame(wire, FLETCH_HTTP2_WINDOW_UPDATE, 0, 0x7fffffff);
}

static void overflow_stream(struct wire *wire, uint32_t round)
{
    (void)round;
    wire_u32_frame(wire, FLETCH_HTTP2_WINDOW_UPDATE, 1, 0x7fffffff);
}

static void continue_without_end(struct wire *wire, uint32_t round)
{
    const struct fletch_http2_head head = {.length = 1,
                                           .type = round == 0 ? FLETCH_HTTP2_HEADERS
                                                              : FLETCH_HTTP2_CONTINUATION,
                                           .stream_id = 1};
    wire_frame(wire, head, "\x88");
}

/* Many times ":status: 200": a list that is too large, of a small block. */
static void bomb(struct wire *wire, uint32_t round)
{
    static uint8_t block[12000];
    const struct fletch_http2_head head = {.length = sizeof block,
                                           .type = FLETCH_HTTP2_HEADERS,
                                           .flags = FLETCH_HTTP2_END_HEADERS,
                                           .stream_id = 1};
    (void)round;
    memset(block, 0x88, sizeof block);
    wire_frame(wire, head, block);
}

static void promise(struct wire *wire, uint32_t round)
{
    (void)round;
    wire_frame(wire,
               (struct fletch_http2_head){.length = 5,
                                          .type = FLETCH_HTTP2_PUSH_PROMISE,
                                          .flags = FLETCH_HTTP2_END_HEADERS,
                                          .stream_id = 1},
               "\0\0\0\2\x88");
}

static void answer_nobody(struct wire *wire, uint32_t round)
{
    (void)round;
    wire_headers(wire, 7, 0, answer_fields);
}

static void send_large_frame(struct wire *wire, uint32_t round)
{
    uint8_t head[FLETCH_HTTP2_HEAD_BYTES];
    const struct fletch_http2_head large = {
        .length = FLETCH_HTTP2_FRAME_BYTES_MOST, .type = FLETCH_HTTP2_DATA, .stream_id = 1};
    answer_once(wire, round);
    fletch_http2_head_write(head, &large);
    wire_put(wire, head, sizeof head);
}

static void go_away(struct wire *wire, uint32_t round)
{
    (void)round;
    wire_frame(wire, (struct fletch_http2_head){.length = 8, .type = FLETCH_HTTP2_GOAWAY},
               "\0\0\0\0\0\0\0\0");
}

static void claim(struct wire *wire, uint32_t round)
{
    answer_once(wire, round);
    if (round == 0)
        wire_frame(
            wire,
            (struct fletch_http2_head){.length = 5, .type = FLETCH_HTTP2_DATA, .stream_id = 1},
            "\0\xff\xff\xff\xff");
    else
        wire_data(wire, 1, 0, 100); /* on, though it was told to stop */
}

static void speak_http1(struct wire *wire, uint32_t round)
{
    (void)round;
    wire_put(wire, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

static const struct siege {
    const char *name;
    attack *round;
    const char *status; /* of the call */
    const char *text;   /* in its text */
    bool is_survived;   /* by the connection, at first */
    bool is_mute;       /* no SETTINGS come before */
} sieges[] = {
    {"pings", ping, "UNAVAILABLE", "move nothing on", false, false},
    {"settings", set, "UNAVAILABLE", "move nothing on", false, false},
    {"interim answers", hint, "UNAVAILABLE", "move nothing on", false, false},
    {"empty data", send_empty_data, "UNAVAILABLE", "move nothing on", false, false},
    {"small updates", update_by_one, "UNAVAILABLE", "move nothing on", false, false},
    {"unknown types", extend, "UNAVAILABLE", "move nothing on", false, false},
    {"resets", reset, "INTERNAL", "reset by the peer", false, false},
    {"window overflow", overflow_window, "UNAVAILABLE", "2^31 - 1", false, false},
    {"window overflow of a stream", overflow_stream, "INTERNAL", "2^31 - 1", false, false},
    {"continuation", continue_without_end, "UNAVAILABLE", "too many frames", false, false},
    {"hpack bombs", bomb, "RESOURCE_EXHAUSTED", "too large", false, false},
    {"promises", promise, "UNAVAILABLE", "PUSH_PROMISE", false, false},
    {"answers to nobody", answer_nobody, "UNAVAILABLE", "nobody has opened", false, false},
    {"large frames", send_large_frame, "UNAVAILABLE", "at most 1048576", false, false},
    {"going away", go_away, "UNAVAILABLE", "going away", true, false},
    {"claims of 4 GiB", claim, "RESOURCE_EXHAUSTED", "a message of 4294967295 bytes", false, false},
    {"http/1", speak_http1, "UNAVAILABLE", "http/1", false, true},
};

static void run(const struct siege *siege)
{
    begin(NULL, siege->is_mute);
    uint64_t memory_before = meter.live_bytes;
    uint32_t made = 0;
    while (made < ROUNDS_MOST && victim_statistics().connections != 0 && !attacker.is_cut) {
        for (uint32_t i = 0; i < ROUNDS_AT_ONCE; i++)
            siege->round(&attacker.out, made++);
        attacker_flush(&attacker, &scene);
        witness();
    }
    attacker_until_cut(&attacker, &scene);
    struct fletch_rpc_channel_statistics statistics = victim_statistics();
    if (probe.ends != 1 || strcmp(fletch_status_name(probe.status), siege->status) != 0 ||
        strstr(probe.text, siege->text) == NULL)
        fail_msg("%s: %s '%s'", siege->name, fletch_status_name(probe.status), probe.text);
    if (statistics.http2.errors != !siege->is_survived)
        fail_msg("%s: %llu errors are counted", siege->name,
                 (unsigned long long)statistics.http2.errors);
    if (statistics.http2.frames > FRAMES_MOST || meter.peak_bytes - memory_before > MEMORY_MOST)
        fail_msg("%s: %llu frames were looked at, %llu bytes of memory", siege->name,
                 (unsigned long long)statistics.http2.frames,
                 (unsigned long long)(meter.peak_bytes - memory_before));
    end();
}

static void sieges_are_ended(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sieges / sizeof sieges[0]; i++)
        run(&sieges[i]);
}

/* ---- slow servers ---- */

static void slow_headers_are_given_up(void **state)
{
    const struct fletch_grpc_options limits = {.http2 = {.header_timeout_ns = 150 * MS_NS}};
    (void)state;
    begin(&limits, false);
    wire_put(&attacker.out, "\0\0\x50\1\4\0\0\0\1\x88", 10);
    attacker_flush(&attacker, &scene);
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "UNAVAILABLE");
    assert_contains(probe.text, "takes too long");
    assert_int_equal(victim_statistics().http2.timeouts, 1);
    end();
}

static void slow_messages_are_given_up(void **state)
{
    const struct fletch_grpc_options limits = {.message_timeout_ns = 150 * MS_NS};
    (void)state;
    begin(&limits, false);
    wire_headers(&attacker.out, 1, 0, answer_fields);
    wire_put(&attacker.out, "\0\1\0\0\0\0\0\0\1\0\0\1\0\0", 14);
    for (uint32_t i = 0; i < 400 && probe.ends == 0; i++) {
        wire_put(&attacker.out, "x", 1);
        attacker_flush(&attacker, &scene);
        rpc_scene_turns_for(&scene, 10 * MS_NS);
    }
    assert_int_equal(probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "DEADLINE_EXCEEDED");
    assert_contains(probe.text, "a message comes too slowly");
    assert_int_equal(victim_statistics().connections, 1); /* others of it go on */
    end();
}

/* It reads nothing, so that its window and the socket fill. */
static void a_server_that_does_not_read_is_given_up(void **state)
{
    const struct fletch_grpc_options limits = {.http2 = {.write_timeout_ns = 150 * MS_NS}};
    static const char big[1 << 20];
    (void)state;
    begin(&limits, false);
    attacker.is_deaf = true;
    wire_u32_frame(&attacker.out, FLETCH_HTTP2_WINDOW_UPDATE, 0, 0x7fff0000);
    wire_u32_frame(&attacker.out, FLETCH_HTTP2_WINDOW_UPDATE, 1, 0x7fff0000);
    attacker_flush(&attacker, &scene);
    for (uint32_t i = 0; i < 64 && probe.ends == 0; i++) {
        (void)fletch_rpc_call_send_copy(probe.call, big, sizeof big, NULL);
        rpc_scene_turns_for(&scene, MS_NS);
    }
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "UNAVAILABLE");
    assert_contains(probe.text, "does not read");
    assert_int_equal(victim_statistics().http2.timeouts, 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sieges_are_ended),
        cmocka_unit_test(slow_headers_are_given_up),
        cmocka_unit_test(slow_messages_are_given_up),
        cmocka_unit_test(a_server_that_does_not_read_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
