#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/failing_net.h"
#include "support/http2_user.h"
#include "support/rpc_scene.h"

/* Peers that are slow or silent, on real sockets and a clock that is turned: each timeout comes
 * when it shall, by default too, and others are served meanwhile. */

#define MS_NS UINT64_C(1000000)
#define SECOND_NS (1000 * MS_NS)
#define BEGAN_NS (1000000 * SECOND_NS)

static struct rpc_scene scene;
static struct failing_net net;

/* ---- a peer made by hand ---- */

struct peer {
    int fd;
    struct wire got;
    bool is_closed; /* by the other side */
};

static void peer_deinit(struct peer *peer)
{
    close(peer->fd);
    wire_deinit(&peer->got);
}

static void peer_send(struct peer *peer, const struct wire *wire)
{
    assert_int_equal(send(peer->fd, wire->bytes, wire->count, MSG_NOSIGNAL), wire->count);
}

static void peer_receive(struct peer *peer)
{
    uint8_t bytes[4096];
    ssize_t got = recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0)
        wire_put(&peer->got, bytes, (size_t)got);
    peer->is_closed |= got == 0 || (got < 0 && errno != EAGAIN);
}

/* Turns the loop and its clock. */
static void turn_for(struct peer *peer, uint64_t ns)
{
    uint64_t end_ns = net.clock_ns + ns;
    while (net.clock_ns < end_ns && !peer->is_closed) {
        uint64_t before_ns = net.clock_ns;
        peer_receive(peer);
        (void)fletch_event_loop_turn(scene.loop, 50 * MS_NS);
        if (net.clock_ns == before_ns)
            net.clock_ns += MS_NS;
    }
    peer_receive(peer);
}

/* How long it took, in ms of the clock; fails after a while. */
static uint64_t until_closed(struct peer *peer)
{
    uint64_t began_ns = net.clock_ns;
    turn_for(peer, 200 * SECOND_NS);
    assert_true(peer->is_closed);
    return (net.clock_ns - began_ns) / MS_NS;
}

static void peer_connect(struct peer *peer)
{
    const struct fletch_socket_address *address = fletch_rpc_server_address(scene.server);
    *peer = (struct peer){.fd = socket(address->as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    wire_init(&peer->got);
    assert_true(peer->fd >= 0);
    assert_int_equal(connect(peer->fd, &address->as.any, address->bytes), 0);
    turn_for(peer, 20 * MS_NS);
}

/* A client that has shaken hands. */
static void peer_greet(struct peer *peer)
{
    struct wire wire;
    peer_connect(peer);
    wire_init(&wire);
    wire_preface(&wire);
    wire_settings(&wire, 0, 0);
    wire_frame(&wire,
               (struct fletch_http2_head){.type = FLETCH_HTTP2_SETTINGS, .flags = FLETCH_HTTP2_ACK},
               NULL);
    peer_send(peer, &wire);
    wire_deinit(&wire);
    turn_for(peer, 20 * MS_NS);
}

static void check_goaway(const struct peer *peer, enum fletch_http2_code code, const char *text)
{
    struct fletch_http2_head head;
    const uint8_t *payload;
    assert_true(wire_find(&peer->got, FLETCH_HTTP2_GOAWAY, 0, &head, &payload));
    assert_int_equal(fletch_http2_read_u32(payload + 4), code);
    assert_int_equal(head.length - 8, strlen(text));
    assert_memory_equal(payload + 8, text, strlen(text));
}

/* ---- scenes ---- */

static void start(const struct fletch_http2_options *server)
{
    failing_net_start(&net);
    net.clock_ns = BEGAN_NS;
    rpc_scene_prepare_with(&scene, NULL, &net.io);
    struct fletch_rpc_server_options options = rpc_scene_server_options(&scene, NULL);
    options.grpc.http2.keepalive_ns = server->keepalive_ns;
    options.grpc.http2.keepalive_timeout_ns = server->keepalive_timeout_ns;
    options.grpc.http2.idle_timeout_ns = server->idle_timeout_ns;
    assert_ok(fletch_rpc_server_create(&options, &scene.server, NULL));
}

static void connect_channel(const struct fletch_http2_options *client,
                            const struct fletch_socket_address *address)
{
    struct fletch_rpc_channel_options options = rpc_scene_channel_options(&scene, address);
    options.grpc.http2.keepalive_ns = client->keepalive_ns;
    options.grpc.http2.keepalive_timeout_ns = client->keepalive_timeout_ns;
    assert_ok(fletch_rpc_channel_create(&options, &scene.channel, NULL));
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
}

static const struct fletch_http2_options defaults;

static uint64_t connections(void)
{
    struct fletch_rpc_server_statistics statistics;
    fletch_rpc_server_statistics(scene.server, &statistics);
    return statistics.connections;
}

static void check_echo(void)
{
    struct rpc_probe probe = {.scene = &scene, .waits = true, .to_send = 2, .bytes = 1000};
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
}

/* ---- handshakes ---- */

/* Up to each of its steps. */
static void a_handshake_takes_ten_seconds_at_most(void **state)
{
    (void)state;
    for (int steps = 0; steps < 4; steps++) {
        struct peer peer;
        struct wire wire;
        start(&defaults);
        connect_channel(&defaults, fletch_rpc_server_address(scene.server));
        peer_connect(&peer);
        wire_init(&wire);
        wire_preface(&wire);
        if (steps == 0)
            wire.count = 0;
        if (steps == 1)
            wire.count = 10;
        if (steps == 3)
            wire_settings(&wire, 0, 0); /* and no answer to the server's */
        peer_send(&peer, &wire);
        turn_for(&peer, 5 * SECOND_NS);
        check_echo();
        assert_in_range(until_closed(&peer), 4500, 5500);
        if (steps >= 2)
            check_goaway(&peer, FLETCH_HTTP2_SETTINGS_TIMEOUT, "the handshake takes too long");
        check_echo();
        wire_deinit(&wire);
        peer_deinit(&peer);
        rpc_scene_end(&scene);
    }
}

/* ---- frames that do not end ---- */

static void put_partial(struct wire *wire, struct fletch_http2_head head, size_t bytes)
{
    static const uint8_t zeros[64];
    size_t before = wire->count;
    wire_frame(wire, head, zeros);
    wire->count = before + FLETCH_HTTP2_HEAD_BYTES + bytes;
}

/* Nothing more comes, or a byte now and then. */
static void a_block_of_headers_takes_thirty_seconds_at_most(void **state)
{
    const struct fletch_http2_head begin = {
        .length = 1, .type = FLETCH_HTTP2_HEADERS, .stream_id = 1};
    const struct fletch_http2_head more = {
        .length = 1, .type = FLETCH_HTTP2_CONTINUATION, .stream_id = 1};
    static const uint8_t post[] = {0x83};
    (void)state;
    for (int trickles = 0; trickles < 2; trickles++) {
        struct peer peer;
        struct wire wire;
        start(&defaults);
        connect_channel(&defaults, fletch_rpc_server_address(scene.server));
        peer_greet(&peer);
        uint64_t began_ns = net.clock_ns;
        wire_init(&wire);
        wire_frame(&wire, begin, post);
        peer_send(&peer, &wire);
        for (int i = 0; i < 6 && trickles; i++) {
            turn_for(&peer, 4 * SECOND_NS);
            wire.count = 0;
            wire_frame(&wire, more, post);
            peer_send(&peer, &wire);
        }
        check_echo();
        (void)until_closed(&peer);
        assert_in_range((net.clock_ns - began_ns) / MS_NS, 29900, 30600);
        check_goaway(&peer, FLETCH_HTTP2_ENHANCE_YOUR_CALM,
                     "a frame or a block of headers takes too long");
        wire_deinit(&wire);
        peer_deinit(&peer);
        rpc_scene_end(&scene);
    }
}

static void a_frame_of_which_nothing_more_comes_ends_the_connection(void **state)
{
    static const struct fletch_http2_head heads[] = {
        {.length = 8, .type = FLETCH_HTTP2_PING},
        {.length = 6, .type = FLETCH_HTTP2_SETTINGS},
        {.length = 60, .type = 77, .stream_id = 1}, /* unknown */
    };
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct peer peer;
        struct wire wire;
        start(&defaults);
        peer_greet(&peer);
        wire_init(&wire);
        put_partial(&wire, heads[i], 3);
        peer_send(&peer, &wire);
        assert_in_range(until_closed(&peer), 29900, 30600);
        check_goaway(&peer, FLETCH_HTTP2_ENHANCE_YOUR_CALM,
                     "a frame or a block of headers takes too long");
        wire_deinit(&wire);
        peer_deinit(&peer);
        rpc_scene_end(&scene);
    }
}

/* ---- silence ---- */

static void peer_answer_pings(struct peer *peer, uint32_t *answered)
{
    struct fletch_http2_head head;
    const uint8_t *payload;
    while (wire_find(&peer->got, FLETCH_HTTP2_PING, *answered, &head, &payload)) {
        struct wire wire;
        wire_init(&wire);
        head.flags = FLETCH_HTTP2_ACK;
        wire_frame(&wire, head, payload);
        peer_send(peer, &wire);
        wire_deinit(&wire);
        (*answered)++;
    }
}

static void a_client_that_does_not_answer_is_given_up(void **state)
{
    const struct fletch_http2_options watchful = {.keepalive_ns = 5 * SECOND_NS,
                                                  .keepalive_timeout_ns = 2 * SECOND_NS};
    struct peer peer;
    uint32_t answered = 0;
    (void)state;
    start(&watchful);
    peer_greet(&peer);
    for (int i = 0; i < 40; i++) {
        turn_for(&peer, SECOND_NS);
        peer_answer_pings(&peer, &answered);
    }
    assert_false(peer.is_closed);
    assert_in_range(answered, 5, 8);
    turn_for(&peer, 500 * MS_NS);
    assert_in_range(until_closed(&peer), 3000, 7000);
    assert_int_equal(wire_count(&peer.got, FLETCH_HTTP2_PING), answered + 1);
    peer_deinit(&peer);
    rpc_scene_turns_for(&scene, 20 * MS_NS);
    assert_int_equal(connections(), 0);
    rpc_scene_end(&scene);
}

/* The other way round: it has answered once, and then it is gone without a word. */
static void a_server_that_does_not_answer_is_given_up(void **state)
{
    const struct fletch_http2_options watchful = {.keepalive_ns = 5 * SECOND_NS,
                                                  .keepalive_timeout_ns = 2 * SECOND_NS};
    struct fletch_socket_listening listening = {.io = &fletch_net_system_io, .backlog = 8};
    struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 10};
    struct fletch_socket_address address;
    struct peer peer = {.fd = -1};
    uint32_t answered = 0;
    struct wire wire;
    int listener;
    (void)state;
    start(&defaults);
    assert_ok(fletch_socket_address_parse("127.0.0.1:0", &listening.address, NULL));
    assert_ok(fletch_socket_listen(&listening, &listener, &address, NULL));
    connect_channel(&watchful, &address);
    peer.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    wire_init(&peer.got);
    wire_init(&wire);
    wire_settings(&wire, 0, 0);
    wire_frame(&wire,
               (struct fletch_http2_head){.type = FLETCH_HTTP2_SETTINGS, .flags = FLETCH_HTTP2_ACK},
               NULL);
    peer_send(&peer, &wire);
    assert_ok(rpc_probe_begin(&probe, RPC_HOLD, 0));
    for (int i = 0; i < 12; i++) {
        turn_for(&peer, SECOND_NS);
        peer_answer_pings(&peer, &answered);
    }
    assert_true(answered >= 1);
    assert_int_equal(probe.ends, 0);
    uint64_t began_ns = net.clock_ns;
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_in_range((net.clock_ns - began_ns) / MS_NS, 2000, 8000);
    assert_string_equal(fletch_status_name(probe.status), "UNAVAILABLE");
    assert_string_equal(probe.text, "the peer does not answer a PING");
    wire_deinit(&wire);
    peer_deinit(&peer);
    close(listener);
    rpc_scene_end(&scene);
}

static void a_connection_without_calls_is_ended(void **state)
{
    const struct fletch_http2_options frugal = {.idle_timeout_ns = 10 * SECOND_NS};
    struct rpc_probe held = {.scene = &scene, .to_send = 1, .bytes = 10};
    struct peer peer;
    (void)state;
    start(&frugal);
    connect_channel(&defaults, fletch_rpc_server_address(scene.server));
    assert_ok(rpc_probe_begin(&held, RPC_HOLD, 0));
    peer_greet(&peer);
    assert_in_range(until_closed(&peer), 9500, 30000); /* it does not answer the PING of a drain */
    check_goaway(&peer, FLETCH_HTTP2_NO_ERROR, "shutting down");
    assert_int_equal(held.ends, 0); /* one with a call is not */
    peer_deinit(&peer);
    rpc_scene_turns_for(&scene, 20 * MS_NS);
    assert_int_equal(connections(), 1);
    rpc_scene_end(&scene);
}

/* ---- a clock that jumps ---- */

static void a_clock_that_jumps_ends_deadlines_and_nothing_else(void **state)
{
    struct rpc_probe timed = {.scene = &scene, .to_send = 1, .bytes = 10};
    struct rpc_probe held = {.scene = &scene, .to_send = 1, .bytes = 10};
    (void)state;
    start(&defaults);
    connect_channel(&defaults, fletch_rpc_server_address(scene.server));
    assert_ok(rpc_probe_begin(&timed, RPC_HOLD, 60 * SECOND_NS));
    assert_ok(rpc_probe_begin(&held, RPC_ECHO, 0));
    rpc_scene_until(&scene, &held.ends, 1);
    held.to_send = 1;
    assert_ok(rpc_probe_begin(&held, RPC_HOLD, 0));
    rpc_scene_until(&scene, &scene.begun, 3);
    net.clock_ns -= 100 * SECOND_NS; /* back: nothing */
    for (int i = 0; i < 5; i++)
        (void)fletch_event_loop_turn(scene.loop, 0);
    assert_int_equal(timed.ends, 0);
    net.clock_ns = BEGAN_NS + 3600 * SECOND_NS;
    rpc_scene_until(&scene, &timed.ends, 1);
    assert_string_equal(fletch_status_name(timed.status), "DEADLINE_EXCEEDED");
    assert_int_equal(held.ends, 1); /* the first one's */
    assert_int_equal(connections(), 1);
    check_echo();
    rpc_scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_takes_ten_seconds_at_most),
        cmocka_unit_test(a_block_of_headers_takes_thirty_seconds_at_most),
        cmocka_unit_test(a_frame_of_which_nothing_more_comes_ends_the_connection),
        cmocka_unit_test(a_client_that_does_not_answer_is_given_up),
        cmocka_unit_test(a_server_that_does_not_answer_is_given_up),
        cmocka_unit_test(a_connection_without_calls_is_ended),
        cmocka_unit_test(a_clock_that_jumps_ends_deadlines_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
