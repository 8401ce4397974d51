/* Attacks on a server over real sockets, each that docs/HTTP2.md has a limit for. While one goes
 * on, another connection makes calls, all of which succeed; the server's memory stays flat, what
 * it does for the attacker is counted, and the attacker is got rid of. */

#include <string.h>

#include "base/clock.h"
#include "http2/http2_parser.h"
#include "support/attacker.h"
#include "support/cmocka_tests.h"

enum {
    ROUNDS_AT_ONCE = 64, /* between two calls of the witness */
    ROUNDS_MOST = 20000,
    MEMORY_MOST = 512 << 10,
    FRAMES_MOST = 4000, /* that are looked at before an attacker is got rid of */
    REQUEST_FIELDS = 8,
};

#define MS_NS UINT64_C(1000000)
#define NO_CODE UINT32_MAX

static struct rpc_scene scene;
static struct memory_meter meter;
static struct attacker attacker;

static const char *const echo_fields[] = {":method=POST",
                                          ":scheme=http",
                                          ":path=" RPC_ECHO,
                                          "te=trailers",
                                          "content-type=application/grpc",
                                          NULL};
static const char *const unknown_fields[] = {":method=POST",
                                             ":scheme=http",
                                             ":path=/no.Such/Method",
                                             "te=trailers",
                                             "content-type=application/grpc",
                                             NULL};
static const char *const hoard_fields[] = {":method=POST",
                                           ":scheme=http",
                                           ":path=" RPC_HOARD,
                                           "te=trailers",
                                           "content-type=application/grpc",
                                           NULL};

/* ---- a server under attack ---- */

static struct fletch_rpc_server_statistics server_statistics(void)
{
    struct fletch_rpc_server_statistics statistics;
    fletch_rpc_server_statistics(scene.server, &statistics);
    return statistics;
}

static uint64_t account_peak_bytes(void)
{
    struct fletch_budget_statistics statistics = {.struct_size = sizeof statistics};
    fletch_account_statistics(scene.pool.account, &statistics);
    return statistics.peak_bytes;
}

/* The call of another connection. */
static void witness(void)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 1000};
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
    assert_int_equal(probe.wrong, 0);
    assert_int_equal(probe.messages, 1);
}

static void begin(const struct fletch_grpc_options *limits)
{
    struct fletch_grpc_options server = *limits;
    memory_meter_start(&meter);
    server.http2.allocator = &meter.allocator;
    rpc_scene_start_with(&scene, NULL, &server, NULL);
    witness();
}

/* Everything is as before: the witness is alone, and is served. */
static void end(const char *name)
{
    uint64_t end_ns = fletch_clock_now_ns() + 20000 * MS_NS;
    witness();
    while (server_statistics().connections != 1) {
        if (fletch_clock_now_ns() > end_ns)
            fail_msg("%s: the attacker's connection is still there", name);
        (void)fletch_event_loop_turn(scene.loop, MS_NS);
    }
    witness();
    attacker_end(&attacker);
    rpc_scene_end(&scene);
    assert_int_equal(meter.live_bytes, 0);
}

typedef void attack(struct wire *wire, uint32_t round);

/* Rounds of an attack until it is found out, or many have been made. */
static void besiege(attack *round)
{
    uint32_t made = 0;
    while (made < ROUNDS_MOST && server_statistics().http2.errors == 0) {
        for (uint32_t i = 0; i < ROUNDS_AT_ONCE; i++)
            round(&attacker.out, made++);
        attacker_flush(&attacker, &scene);
        witness();
    }
}

/* ---- floods ---- */

static void open_and_reset(struct wire *wire, uint32_t round)
{
    wire_headers(wire, 1 + 2 * round, 0, echo_fields);
    wire_u32_frame(wire, FLETCH_HTTP2_RST_STREAM, 1 + 2 * round, FLETCH_HTTP2_CANCEL);
}

static void provoke_resets(struct wire *wire, uint32_t round)
{
    static const char *const malformed[] = {":method=GET", "Upper=x", NULL};
    wire_headers(wire, 1 + 2 * round, FLETCH_HTTP2_END_STREAM, malformed);
}

static void provoke_resets_by_updates(struct wire *wire, uint32_t round)
{
    wire_headers(wire, 1 + 2 * round, 0, echo_fields);
    wire_u32_frame(wire, FLETCH_HTTP2_WINDOW_UPDATE, 1 + 2 * round, 0);
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

/* As many entries as a frame may have, each of which moves all windows. */
static void set_much(struct wire *wire, uint32_t round)
{
    uint8_t entries[32 * 6];
    (void)round;
    if (round < 500)
        wire_headers(wire, 1 + 2 * round, 0, hoard_fields);
    for (uint32_t i = 0; i < 32; i++) {
        uint8_t *entry = entries + (size_t)i * 6;
        entry[0] = 0;
        entry[1] = FLETCH_HTTP2_INITIAL_WINDOW_SIZE;
        fletch_http2_write_u32(entry + 2, 65535 + i % 2);
    }
    wire_frame(wire,
               (struct fletch_http2_head){.length = sizeof entries, .type = FLETCH_HTTP2_SETTINGS},
               entries);
}

static void send_empty_data(struct wire *wire, uint32_t round)
{
    if (round == 0)
        wire_headers(wire, 1, 0, echo_fields);
    wire_data(wire, 1, 0, 0);
}

static void send_empty_headers(struct wire *wire, uint32_t round)
{
    const struct fletch_http2_head head = {.type = FLETCH_HTTP2_HEADERS,
                                           .flags = FLETCH_HTTP2_END_HEADERS,
                                           .stream_id = 1 + 2 * round};
    wire_frame(wire, head, NULL);
}

static void send_padding(struct wire *wire, uint32_t round)
{
    static const uint8_t padding[256] = {255};
    if (round == 0)
        wire_headers(wire, 1, 0, echo_fields);
    wire_frame(wire,
               (struct fletch_http2_head){.length = sizeof padding,
                                          .type = FLETCH_HTTP2_DATA,
                                          .flags = FLETCH_HTTP2_PADDED,
                                          .stream_id = 1},
               padding);
}

static void update_by_one(struct wire *wire, uint32_t round)
{
    if (round == 0)
        wire_headers(wire, 1, 0, echo_fields);
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

static void send_to_closed(struct wire *wire, uint32_t round)
{
    if (round == 0)
        wire_headers(wire, 1, FLETCH_HTTP2_END_STREAM, unknown_fields);
    wire_data(wire, 1, 0, 1);
}

/* Its window lets a byte pass at a time, so that each costs a frame and a call of the system. */
static void dribble(struct wire *wire, uint32_t round)
{
    static const uint8_t message[5 + 250] = {0, 0, 0, 0, 250};
    if (round == 0) {
        wire_settings(wire, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 0);
        wire_headers(wire, 1, 0, echo_fields);
        for (uint32_t i = 0; i < 40; i++)
            wire_frame(wire,
                       (struct fletch_http2_head){
                           .length = sizeof message, .type = FLETCH_HTTP2_DATA, .stream_id = 1},
                       message);
    }
    wire_u32_frame(wire, FLETCH_HTTP2_WINDOW_UPDATE, 1, 1);
}

static void overflow_window(struct wire *wire, uint32_t round)
{
    (void)round;
    wire_u32_frame(wire, FLETCH_HTTP2_WINDOW_UPDATE, 0, 0x7fffffff);
}

static void overflow_by_settings(struct wire *wire, uint32_t round)
{
    if (round == 0) {
        wire_headers(wire, 1, 0, echo_fields);
        wire_u32_frame(wire, FLETCH_HTTP2_WINDOW_UPDATE, 1, 0x7fff0000);
    }
    wire_settings(wire, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 0x7fffffff);
}

/* Of one stream alone: each is reset, and that many are too many. */
static void overflow_streams(struct wire *wire, uint32_t round)
{
    wire_headers(wire, 1 + 2 * round, 0, echo_fields);
    wire_u32_frame(wire, FLETCH_HTTP2_WINDOW_UPDATE, 1 + 2 * round, 0x7fffffff);
}

static void continue_without_end(struct wire *wire, uint32_t round)
{
    const struct fletch_http2_head head = {.length = 1,
                                           .type = round == 0 ? FLETCH_HTTP2_HEADERS
                                                              : FLETCH_HTTP2_CONTINUATION,
                                           .stream_id = 1};
    wire_frame(wire, head, "\x82");
}

static void continue_empty(struct wire *wire, uint32_t round)
{
    const struct fletch_http2_head head = {
        .type = round == 0 ? FLETCH_HTTP2_HEADERS : FLETCH_HTTP2_CONTINUATION, .stream_id = 1};
    wire_frame(wire, head, NULL);
}

static void send_large_blocks(struct wire *wire, uint32_t round)
{
    static const uint8_t block[12000];
    const struct fletch_http2_head head = {.length = sizeof block,
                                           .type = round % 2 == 0 ? FLETCH_HTTP2_HEADERS
                                                                  : FLETCH_HTTP2_CONTINUATION,
                                           .stream_id = 1};
    wire_frame(wire, head, block);
}

/* A field of 3,900 bytes for the table, and then a byte for each time that it is meant. */
static void bomb(struct wire *wire, uint32_t round)
{
    static uint8_t block[16000];
    const struct fletch_http2_head head = {.length = sizeof block,
                                           .type = FLETCH_HTTP2_HEADERS,
                                           .flags =
                                               FLETCH_HTTP2_END_HEADERS | FLETCH_HTTP2_END_STREAM,
                                           .stream_id = 1 + 2 * round};
    size_t at = 0;
    if (round == 0) {
        const uint8_t literal[] = {0x40, 1, 'x', 0x7f, 0xbd, 0x1d};
        memcpy(block, literal, sizeof literal);
        memset(block + sizeof literal, 'y', 127 + 0x3d + (0x1d << 7));
        at = sizeof literal + 127 + 0x3d + (0x1d << 7);
    }
    memset(block + at, 0xbe, sizeof block - at);
    wire_frame(wire, head, block);
}

/* Beyond the list's limit, but within the block's: each is a stream's error. */
static void send_long_lists(struct wire *wire, uint32_t round)
{
    static uint8_t block[1000];
    const struct fletch_http2_head head = {.length = sizeof block,
                                           .type = FLETCH_HTTP2_HEADERS,
                                           .flags =
                                               FLETCH_HTTP2_END_HEADERS | FLETCH_HTTP2_END_STREAM,
                                           .stream_id = 1 + 2 * round};
    memset(block, 0x82, sizeof block); /* ":method: GET" */
    wire_frame(wire, head, block);
}

static const struct flood {
    const char *name;
    attack *round;
    uint32_t code;    /* of the GOAWAY that it earns */
    bool is_flood;    /* and is counted as such */
    bool is_answered; /* with frames that nobody needs to read */
} floods[] = {
    {"rapid reset", open_and_reset, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, true},
    {"provoked resets", provoke_resets, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, true},
    {"resets by updates", provoke_resets_by_updates, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, true},
    {"pings", ping, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, true},
    {"settings", set, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, true},
    {"large settings", set_much, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, true},
    {"empty data", send_empty_data, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
    {"empty headers", send_empty_headers, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
    {"padding", send_padding, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
    {"small updates", update_by_one, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
    {"priorities", prioritize, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
    {"unknown types", extend, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
    {"data to a closed stream", send_to_closed, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, true},
    {"a window byte by byte", dribble, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
    {"window overflow", overflow_window, FLETCH_HTTP2_FLOW_CONTROL_ERROR, false, false},
    {"window overflow by settings", overflow_by_settings, FLETCH_HTTP2_FLOW_CONTROL_ERROR, false,
     false},
    {"window overflow of streams", overflow_streams, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
    {"continuation", continue_without_end, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
    {"empty continuation", continue_empty, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
    {"large blocks", send_large_blocks, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
    {"hpack bombs", bomb, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, true},
    {"long lists", send_long_lists, FLETCH_HTTP2_ENHANCE_YOUR_CALM, true, false},
};

static void run_flood(const struct flood *flood, bool is_deaf)
{
    const struct fletch_grpc_options limits = {.http2 = {.write_timeout_ns = 1000 * MS_NS}};
    begin(&limits);
    uint64_t memory_before = meter.live_bytes;
    uint64_t frames_before = server_statistics().http2.frames;
    attacker_connect(&attacker, &scene, false);
    attacker_flush(&attacker, &scene);
    attacker.is_deaf = is_deaf;
    besiege(flood->round);
    struct fletch_rpc_server_statistics statistics = server_statistics();
    if (!is_deaf && statistics.http2.errors != 0)
        attacker_until_cut(&attacker, &scene);
    if (!is_deaf)
        attacker_leave(&attacker);
    if (!is_deaf && attacker_told_code(&attacker) != flood->code)
        fail_msg("%s: GOAWAY %u instead of %u", flood->name,
                 (unsigned)attacker_told_code(&attacker), (unsigned)flood->code);
    if (statistics.http2.errors != 1 || statistics.http2.floods != flood->is_flood)
        fail_msg("%s: not counted", flood->name);
    /* A witness's call has some frames of its own. */
    if (statistics.http2.frames - frames_before > FRAMES_MOST)
        fail_msg("%s: %llu frames were looked at", flood->name,
                 (unsigned long long)(statistics.http2.frames - frames_before));
    if (meter.peak_bytes - memory_before > MEMORY_MOST)
        fail_msg("%s: %llu bytes of memory", flood->name,
                 (unsigned long long)(meter.peak_bytes - memory_before));
    end(flood->name);
}

static void floods_are_ended(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++)
        run_flood(&floods[i], false);
}

/* They do not read either, so that nothing can be said to them. */
static void floods_of_the_deaf_are_ended(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++)
        if (floods[i].is_answered)
            run_flood(&floods[i], true);
}

/* ---- answers that nobody reads ---- */

/* Each is answered at once, in as many bytes as it has. */
static void ask_for_nothing(struct wire *wire, uint32_t round)
{
    wire_headers(wire, 1 + 2 * round, FLETCH_HTTP2_END_STREAM, unknown_fields);
}

static void answers_that_nobody_reads_stop_the_asking(void **state)
{
    const struct fletch_grpc_options limits = {.http2 = {.write_timeout_ns = 1500 * MS_NS}};
    (void)state;
    begin(&limits);
    uint64_t memory_before = meter.live_bytes;
    attacker_connect(&attacker, &scene, false);
    attacker.is_deaf = true;
    uint32_t round = 0;
    uint64_t end_ns = fletch_clock_now_ns() + 80000 * MS_NS;
    while (!attacker.is_cut && fletch_clock_now_ns() < end_ns) {
        while (attacker.out.count < 64 << 10)
            ask_for_nothing(&attacker.out, round++);
        attacker_pump(&attacker);
        if (attacker.out_sent > 0) { /* the rest moves to the front */
            attacker.out.count -= attacker.out_sent;
            memmove(attacker.out.bytes, attacker.out.bytes + attacker.out_sent, attacker.out.count);
            attacker.out_sent = 0;
        }
        witness();
    }
    assert_true(attacker.is_cut);
    assert_in_range(meter.peak_bytes - memory_before, 0, 2 * MEMORY_MOST);
    assert_int_equal(server_statistics().http2.timeouts, 1);
    end("answers that nobody reads");
}

static const char *const expand_fields[] = {":method=POST",
                                            ":scheme=http",
                                            ":path=" RPC_EXPAND,
                                            "te=trailers",
                                            "content-type=application/grpc",
                                            NULL};

/* It asks for much, does not read, and when nothing more can be sent to it, it breaks a rule: what
 * the server has to say about that cannot be sent either. */
static void the_deaf_are_closed_without_a_last_word(void **state)
{
    const struct fletch_grpc_options limits = {.http2 = {.write_timeout_ns = 2000 * MS_NS}};
    const struct rpc_expansion wanted = {1000, 100000};
    uint8_t message[5 + sizeof wanted] = {0, 0, 0, 0, sizeof wanted};
    (void)state;
    begin(&limits);
    memcpy(message + 5, &wanted, sizeof wanted);
    attacker_connect(&attacker, &scene, false);
    attacker.is_deaf = true;
    wire_settings(&attacker.out, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 0x7fffffff);
    wire_u32_frame(&attacker.out, FLETCH_HTTP2_WINDOW_UPDATE, 0, 0x7fff0000);
    wire_headers(&attacker.out, 1, 0, expand_fields);
    wire_frame(&attacker.out,
               (struct fletch_http2_head){
                   .length = sizeof message, .type = FLETCH_HTTP2_DATA, .stream_id = 1},
               message);
    attacker_flush(&attacker, &scene);
    rpc_scene_turns_for(&scene, 100 * MS_NS);
    overflow_window(&attacker.out, 0);
    attacker_flush(&attacker, &scene);
    rpc_scene_until(&scene, &scene.ended, 1);
    assert_int_equal(server_statistics().http2.errors, 1);
    end("the deaf that break a rule");
}

/* ---- messages ---- */

static void claim(struct wire *wire, uint32_t id, uint32_t bytes)
{
    uint8_t prefix[5] = {0};
    fletch_http2_write_u32(prefix + 1, bytes);
    wire_headers(wire, id, 0, hoard_fields);
    wire_frame(wire,
               (struct fletch_http2_head){.length = 5, .type = FLETCH_HTTP2_DATA, .stream_id = id},
               prefix);
}

/* Each is refused by its prefix: nothing is allocated for it. */
static void a_claim_of_4_gib_is_refused(void **state)
{
    const struct fletch_grpc_options limits = {.message_limit_bytes = 1 << 20};
    (void)state;
    begin(&limits);
    uint64_t peak_before = account_peak_bytes();
    uint64_t memory_before = meter.live_bytes;
    attacker_connect(&attacker, &scene, false);
    for (uint32_t i = 0; i < 500; i++)
        claim(&attacker.out, 1 + 2 * i, UINT32_MAX);
    attacker_flush(&attacker, &scene);
    witness();
    attacker_flush(&attacker, &scene);
    assert_false(attacker.is_cut);
    assert_in_range(account_peak_bytes(), 0, peak_before + 4096);
    assert_in_range(meter.peak_bytes - memory_before, 0, MEMORY_MOST);
    assert_int_equal(wire_count(&attacker.in, FLETCH_HTTP2_HEADERS), 500);
    assert_int_equal(scene.ended, 500);
    assert_string_equal(fletch_status_name(scene.ended_status), "RESOURCE_EXHAUSTED");
    attacker_leave(&attacker);
    end("claims of 4 GiB");
}

static uint64_t account_used(void)
{
    return account_used_bytes(scene.pool.account);
}

/* Within the limit of each message, but not of all that a connection may have under way. */
static void claims_of_a_connection_are_limited(void **state)
{
    const struct fletch_grpc_options limits = {.unfinished_bytes = 4 << 20};
    (void)state;
    begin(&limits);
    uint64_t used_before = account_used();
    attacker_connect(&attacker, &scene, false);
    for (uint32_t i = 0; i < 100; i++)
        claim(&attacker.out, 1 + 2 * i, 2 << 20);
    attacker_flush(&attacker, &scene);
    witness();
    attacker_flush(&attacker, &scene);
    assert_in_range(account_used() - used_before, 4 << 20, 5 << 20);
    assert_int_equal(scene.ended, 98);
    assert_string_equal(fletch_status_name(scene.ended_status), "RESOURCE_EXHAUSTED");
    assert_int_equal(server_statistics().grpc.refused_messages, 98);
    assert_false(attacker.is_cut);
    attacker_leave(&attacker);
    end("claims within the limit");
}

/* Each message has five bytes, and costs more to send back. */
static void send_empty_messages(struct wire *wire, uint32_t round)
{
    static const uint8_t messages[64 * 5];
    if (round == 0) {
        wire_settings(wire, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, 0);
        wire_headers(wire, 1, 0, echo_fields);
    }
    wire_frame(wire,
               (struct fletch_http2_head){
                   .length = sizeof messages, .type = FLETCH_HTTP2_DATA, .stream_id = 1},
               messages);
}

static void empty_messages_cost_their_memory(void **state)
{
    const struct fletch_grpc_options limits = {.send_queue_bytes = 128 << 10};
    (void)state;
    begin(&limits);
    uint64_t memory_before = meter.live_bytes;
    attacker_connect(&attacker, &scene, false);
    for (uint32_t round = 0; round < 1000; round++)
        send_empty_messages(&attacker.out, round);
    attacker_flush(&attacker, &scene);
    witness();
    assert_in_range(meter.peak_bytes - memory_before, 0, MEMORY_MOST);
    attacker_leave(&attacker);
    end("empty messages");
}

/* ---- slow peers ---- */

static void a_slow_handshake_is_given_up(void **state)
{
    const struct fletch_grpc_options limits = {.http2 = {.handshake_timeout_ns = 200 * MS_NS}};
    (void)state;
    begin(&limits);
    attacker_connect(&attacker, &scene, true);
    for (uint32_t i = 0; i < FLETCH_HTTP2_PREFACE_BYTES && !attacker.is_cut; i++) {
        wire_put(&attacker.out, &FLETCH_HTTP2_PREFACE[i], 1);
        attacker_flush(&attacker, &scene);
        rpc_scene_turns_for(&scene, 15 * MS_NS);
        witness();
    }
    attacker_until_cut(&attacker, &scene);
    assert_int_equal(server_statistics().http2.timeouts, 1);
    end("a slow handshake");
}

/* A byte of `bytes` each 15 ms, up to the last but one, and again. */
static void trickle(const uint8_t *bytes, size_t count)
{
    for (uint32_t i = 0; i < 400 && !attacker.is_cut; i++) {
        wire_put(&attacker.out, &bytes[i % count], 1);
        attacker_flush(&attacker, &scene);
        rpc_scene_turns_for(&scene, 15 * MS_NS);
        witness();
    }
}

static void slow_headers_are_given_up(void **state)
{
    const struct fletch_grpc_options limits = {.http2 = {.header_timeout_ns = 200 * MS_NS}};
    const struct fletch_http2_head head = {.length = 5000,
                                           .type = FLETCH_HTTP2_HEADERS,
                                           .flags = FLETCH_HTTP2_END_HEADERS,
                                           .stream_id = 1};
    uint8_t bytes[FLETCH_HTTP2_HEAD_BYTES];
    (void)state;
    begin(&limits);
    attacker_connect(&attacker, &scene, false);
    fletch_http2_head_write(bytes, &head);
    wire_put(&attacker.out, bytes, sizeof bytes);
    trickle((const uint8_t *)"\x82", 1);
    attacker_until_cut(&attacker, &scene);
    assert_int_equal(server_statistics().http2.timeouts, 1);
    assert_int_equal(attacker_told_code(&attacker), FLETCH_HTTP2_ENHANCE_YOUR_CALM);
    end("slow headers");
}

static void slow_messages_are_given_up(void **state)
{
    const struct fletch_grpc_options limits = {.message_timeout_ns = 200 * MS_NS};
    struct fletch_http2_head head = {.length = 500000, .type = FLETCH_HTTP2_DATA, .stream_id = 1};
    uint8_t bytes[FLETCH_HTTP2_HEAD_BYTES];
    (void)state;
    begin(&limits);
    uint64_t used_before = account_used();
    attacker_connect(&attacker, &scene, false);
    claim(&attacker.out, 1, 1 << 20);
    fletch_http2_head_write(bytes, &head);
    wire_put(&attacker.out, bytes, sizeof bytes);
    attacker_flush(&attacker, &scene);
    witness();
    assert_true(account_used() - used_before >= 1 << 20);
    for (uint32_t i = 0; i < 400 && scene.ended == 0; i++) {
        wire_put(&attacker.out, "x", 1);
        attacker_flush(&attacker, &scene);
        rpc_scene_turns_for(&scene, 15 * MS_NS);
        witness();
    }
    assert_int_equal(scene.ended, 1);
    assert_string_equal(fletch_status_name(scene.ended_status), "DEADLINE_EXCEEDED");
    assert_int_equal(account_used(), used_before);
    assert_int_equal(server_statistics().grpc.slow_messages, 1);
    attacker_leave(&attacker);
    end("slow messages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floods_are_ended),
        cmocka_unit_test(floods_of_the_deaf_are_ended),
        cmocka_unit_test(answers_that_nobody_reads_stop_the_asking),
        cmocka_unit_test(the_deaf_are_closed_without_a_last_word),
        cmocka_unit_test(a_claim_of_4_gib_is_refused),
        cmocka_unit_test(a_slow_handshake_is_given_up),
        cmocka_unit_test(claims_of_a_connection_are_limited),
        cmocka_unit_test(empty_messages_cost_their_memory),
        cmocka_unit_test(slow_headers_are_given_up),
        cmocka_unit_test(slow_messages_are_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
