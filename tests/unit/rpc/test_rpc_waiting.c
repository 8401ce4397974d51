#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http2/http2_frame.h"
#include "support/cmocka_tests.h"
#include "support/failing_net.h"
#include "support/rpc_scene.h"

/* Calls that wait for a connection, or for room at the server, and those that are begun again since
 * a server has not looked at them. */

#define MS_NS UINT64_C(1000000)

static struct rpc_scene scene;

static struct fletch_rpc_channel_statistics channel_statistics(void)
{
    struct fletch_rpc_channel_statistics statistics;
    fletch_rpc_channel_statistics(scene.channel, &statistics);
    return statistics;
}

static void check_end(struct rpc_probe *probe, enum fletch_status status)
{
    rpc_scene_until(&scene, &probe->ends, 1);
    assert_string_equal(fletch_status_name(probe->status), fletch_status_name(status));
    assert_int_equal(probe->wrong, 0);
    assert_null(probe->call);
}

/* A port at which nobody listens; a server of the scene will. */
static struct fletch_socket_address start_without_server(const struct fletch_grpc_options *server)
{
    rpc_scene_start_with(&scene, NULL, server, NULL);
    struct fletch_socket_address address = *fletch_rpc_server_address(scene.server);
    fletch_rpc_server_destroy(scene.server);
    scene.server = NULL;
    rpc_scene_until(&scene, &scene.changes, 2); /* ready, waiting */
    return address;
}

static void start_server(const struct fletch_socket_address *address, uint32_t stream_limit)
{
    struct fletch_rpc_server_options options = rpc_scene_server_options(&scene, NULL);
    options.address = *address;
    options.grpc.http2.stream_limit = stream_limit;
    assert_ok(fletch_rpc_server_create(&options, &scene.server, NULL));
}

static void renew_channel(uint64_t waiting_limit, size_t replay_bytes,
                          const struct fletch_socket_address *address)
{
    struct fletch_rpc_channel_options options = rpc_scene_channel_options(&scene, address);
    options.waiting_limit = waiting_limit;
    options.replay_bytes = replay_bytes;
    fletch_rpc_channel_destroy(scene.channel);
    assert_ok(fletch_rpc_channel_create(&options, &scene.channel, NULL));
}

/* ---- for a connection, and for room ---- */

/* Of a server that takes one at a time, so that they end in the order in which they begin. */
static void calls_wait_for_a_connection_and_begin_in_turn(void **state)
{
    enum { CALLS = 20 };
    struct rpc_probe probes[CALLS];
    (void)state;
    struct fletch_socket_address address = start_without_server(NULL);
    for (uint32_t i = 0; i < CALLS; i++) {
        probes[i] =
            (struct rpc_probe){.scene = &scene, .waits = true, .to_send = i % 4, .bytes = 1000 * i};
        assert_ok(rpc_probe_begin(&probes[i], RPC_ECHO, 0));
    }
    assert_int_equal(channel_statistics().waiting, CALLS);
    rpc_scene_turns_for(&scene, 30 * MS_NS);
    start_server(&address, 1);
    for (uint32_t i = 0; i < CALLS; i++) {
        rpc_scene_until(&scene, &probes[i].ends, 1);
        for (uint32_t k = i + 2; k < CALLS; k++)
            assert_int_equal(probes[k].messages, 0);
        check_end(&probes[i], FLETCH_OK);
        assert_int_equal(probes[i].messages, i % 4);
        assert_int_equal(probes[i].received, i % 4 * 1000 * i);
    }
    assert_int_equal(channel_statistics().waiting, 0);
    assert_int_equal(channel_statistics().calls, CALLS);
    rpc_scene_end(&scene);
}

static void calls_wait_for_room_at_the_server(void **state)
{
    const struct fletch_grpc_options few = {.http2 = {.stream_limit = 2}};
    struct rpc_probe first = {.scene = &scene, .to_send = 1, .bytes = 1};
    struct rpc_probe held[2];
    struct rpc_probe waiting[3];
    (void)state;
    rpc_scene_start_with(&scene, NULL, &few, NULL);
    assert_ok(rpc_probe_begin(&first, RPC_ECHO, 0));
    check_end(&first, FLETCH_OK); /* its limit is known now */
    for (uint32_t i = 0; i < 2; i++) {
        held[i] = (struct rpc_probe){.scene = &scene, .waits = true, .to_send = 1, .bytes = 1};
        assert_ok(rpc_probe_begin(&held[i], RPC_HOLD, 0));
    }
    for (uint32_t i = 0; i < 3; i++) {
        waiting[i] =
            (struct rpc_probe){.scene = &scene, .waits = true, .to_send = 3, .bytes = 9999};
        assert_ok(rpc_probe_begin(&waiting[i], RPC_ECHO, 0));
    }
    assert_int_equal(channel_statistics().waiting, 3);
    struct rpc_probe hasty = {.scene = &scene};
    assert_string_equal(fletch_status_name(rpc_probe_begin(&hasty, RPC_ECHO, 0)),
                        "RESOURCE_EXHAUSTED"); /* who does not want to wait does not */
    fletch_rpc_call_cancel(waiting[0].call);
    assert_int_equal(channel_statistics().waiting, 2);
    rpc_scene_turns_for(&scene, 30 * MS_NS);
    assert_int_equal(channel_statistics().waiting, 2);
    fletch_rpc_call_cancel(held[1].call);
    for (uint32_t i = 1; i < 3; i++) {
        check_end(&waiting[i], FLETCH_OK);
        assert_int_equal(waiting[i].messages, 3);
    }
    assert_int_equal(waiting[0].ends, 0);
    assert_int_equal(held[0].ends, 0);
    assert_int_equal(channel_statistics().retried, 0);
    rpc_scene_end(&scene);
}

static void a_deadline_passes_while_a_call_waits(void **state)
{
    const struct fletch_grpc_options one = {.http2 = {.stream_limit = 1}};
    struct rpc_probe probe = {.scene = &scene, .waits = true, .to_send = 2, .bytes = 100};
    struct rpc_probe held = {.scene = &scene, .to_send = 1, .bytes = 1};
    struct rpc_probe second = probe;
    (void)state;
    (void)start_without_server(NULL);
    uint64_t before_ns = fletch_clock_now_ns();
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 50 * MS_NS));
    check_end(&probe, FLETCH_DEADLINE_EXCEEDED);
    assert_true(fletch_clock_now_ns() - before_ns >= 50 * MS_NS);
    assert_true(probe.is_untouched);
    assert_contains(probe.text, "before it could begin: ");
    assert_contains(probe.text, "Connection refused");
    rpc_scene_end(&scene);

    rpc_scene_start_with(&scene, NULL, &one, NULL);
    assert_ok(rpc_probe_begin(&held, RPC_HOLD, 0));
    rpc_scene_until(&scene, &scene.begun, 1);
    assert_ok(rpc_probe_begin(&second, RPC_ECHO, 50 * MS_NS));
    check_end(&second, FLETCH_DEADLINE_EXCEEDED);
    assert_contains(second.text, "the server takes no more calls");
    assert_int_equal(channel_statistics().waiting, 0);
    rpc_scene_end(&scene);
}

/* What is left of the deadline is what the server hears of. */
static void a_deadline_counts_from_the_call(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .waits = true, .to_send = 1, .bytes = 1};
    (void)state;
    struct fletch_socket_address address = start_without_server(NULL);
    assert_ok(rpc_probe_begin(&probe, RPC_HOLD, 20000 * MS_NS));
    rpc_scene_turns_for(&scene, 60 * MS_NS);
    start_server(&address, 0);
    rpc_scene_until(&scene, &scene.begun, 1);
    assert_in_range(scene.timeout_ns, 10000 * MS_NS, (20000 - 60) * MS_NS);
    rpc_scene_end(&scene);
}

static void only_so_many_calls_wait(void **state)
{
    struct rpc_probe probes[3];
    (void)state;
    struct fletch_socket_address address = start_without_server(NULL);
    renew_channel(2, 0, &address);
    for (uint32_t i = 0; i < 3; i++) {
        probes[i] =
            (struct rpc_probe){.scene = &scene, .waits = true, .to_send = 1, .bytes = 50000};
        enum fletch_status status = rpc_probe_begin(&probes[i], RPC_ECHO, 0);
        assert_int_equal(status, i < 2 ? FLETCH_OK : FLETCH_RESOURCE_EXHAUSTED);
    }
    assert_string_equal(probes[2].text, "2 calls wait already, and no more than 2 may");
    fletch_rpc_call_cancel(probes[0].call); /* makes room, and its message is freed */
    assert_ok(rpc_probe_begin(&probes[2], RPC_ECHO, 0));
    fletch_rpc_channel_destroy(scene.channel);
    scene.channel = NULL;
    for (uint32_t i = 1; i < 3; i++) {
        assert_int_equal(probes[i].ends, 1);
        assert_string_equal(fletch_status_name(probes[i].status), "UNAVAILABLE");
        assert_string_equal(probes[i].text, "the channel has been destroyed");
        assert_true(probes[i].is_untouched);
    }
    rpc_scene_end(&scene);
}

/* A sender of more than may be queued goes on when the call has begun. */
static void a_call_that_waits_is_paced(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .waits = true, .to_send = 60, .bytes = 1000000};
    (void)state;
    struct fletch_socket_address address = start_without_server(NULL);
    assert_ok(rpc_probe_begin(&probe, RPC_COLLECT, 0));
    assert_int_equal(probe.to_send, 60 - 16); /* 16 MiB */
    start_server(&address, 0);
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
    assert_int_equal(probe.number, 60000000);
    rpc_scene_end(&scene);
}

/* Only what cannot be known before it begins is told by its end. */
static void a_call_that_waits_may_be_wrong(void **state)
{
    const struct fletch_http2_field field = fletch_http2_field_of("grpc-mine", "x");
    struct rpc_probe probe = {.scene = &scene, .waits = true};
    (void)state;
    struct fletch_socket_address address = start_without_server(NULL);
    assert_ok(rpc_probe_begin(&probe, "no path", 0));
    start_server(&address, 0);
    check_end(&probe, FLETCH_INVALID_ARGUMENT);
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    const struct fletch_rpc_handler unused = {.ended = NULL};
    const struct fletch_rpc_calling calling = {
        .path = RPC_ECHO, .metadata = {&field, 1}, .handler = &unused, .waits = true};
    struct fletch_rpc_call *call;
    assert_int_equal(fletch_rpc_channel_call(scene.channel, &calling, &call, NULL),
                     FLETCH_INVALID_ARGUMENT);
    rpc_scene_end(&scene);
}

/* ---- a server by hand ---- */

enum { SEEN_BYTES = 4 << 20, PREFACE_BYTES = 24, STREAMS = 16 };

struct peer {
    int listener;
    int fd;
    uint8_t *seen;
    size_t count;
};

static struct peer peer;
static struct failing_net net; /* which does not fail here */

/* `socket_bytes`: of what sockets keep, each way; 0: as the system has it. */
static void peer_start_with(int socket_bytes, size_t replay_bytes)
{
    struct fletch_socket_listening listening = {.io = &net.io, .backlog = 8};
    struct fletch_socket_address address;
    failing_net_start(&net);
    net.socket_bytes = socket_bytes;
    assert_ok(fletch_socket_address_parse("127.0.0.1:0", &listening.address, NULL));
    rpc_scene_prepare_with(&scene, NULL, &net.io);
    assert_ok(fletch_socket_listen(&listening, &peer.listener, &address, NULL));
    peer.seen = malloc(SEEN_BYTES);
    peer.fd = -1;
    renew_channel(0, replay_bytes, &address);
}

static void peer_start(void)
{
    peer_start_with(0, 0);
}

static void peer_end(void)
{
    if (peer.fd >= 0)
        close(peer.fd);
    close(peer.listener);
    free(peer.seen);
    rpc_scene_end(&scene);
}

static void peer_write(const void *bytes, size_t count)
{
    assert_int_equal(send(peer.fd, bytes, count, MSG_NOSIGNAL), count);
}

/* As many bytes more as a window has. */
static void peer_widen(uint32_t id)
{
    uint8_t frame[] = {0, 0, 4, FLETCH_HTTP2_WINDOW_UPDATE, 0, 0, 0, 0, 0, 0, 1, 0, 0};
    fletch_http2_write_u32(frame + 5, id);
    peer_write(frame, sizeof frame);
}

static void peer_accept(void)
{
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0};
    uint64_t end_ns = fletch_clock_now_ns() + 10000 * MS_NS;
    if (peer.fd >= 0)
        close(peer.fd);
    do {
        peer.fd = accept4(peer.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        (void)fletch_event_loop_turn(scene.loop, 2 * MS_NS);
        assert_true(fletch_clock_now_ns() < end_ns);
    } while (peer.fd < 0);
    peer.count = 0;
    peer_write(settings, sizeof settings);
    peer_widen(0);
}

/* What has been seen of a stream on this connection. */
struct sight {
    uint32_t headers;
    uint32_t ends;
    size_t bytes;
    uint8_t data[100000]; /* the first ones */
};

static struct sight look(uint32_t id)
{
    struct sight sight = {.headers = 0};
    size_t at = PREFACE_BYTES;
    while (at + FLETCH_HTTP2_HEAD_BYTES <= peer.count) {
        const struct fletch_http2_head head = fletch_http2_head_read(peer.seen + at);
        at += FLETCH_HTTP2_HEAD_BYTES;
        if (at + head.length > peer.count)
            break;
        if (head.stream_id == id) {
            sight.headers += head.type == FLETCH_HTTP2_HEADERS;
            bool may_end = head.type == FLETCH_HTTP2_HEADERS || head.type == FLETCH_HTTP2_DATA;
            sight.ends += may_end && (head.flags & FLETCH_HTTP2_END_STREAM) != 0;
        }
        if (head.stream_id == id && head.type == FLETCH_HTTP2_DATA) {
            assert_true(sight.bytes + head.length <= sizeof sight.data);
            memcpy(sight.data + sight.bytes, peer.seen + at, head.length);
            sight.bytes += head.length;
        }
        at += head.length;
    }
    return sight;
}

static void peer_read_for(uint64_t ns)
{
    uint64_t end_ns = fletch_clock_now_ns() + ns;
    do {
        ssize_t got = recv(peer.fd, peer.seen + peer.count, SEEN_BYTES - peer.count, 0);
        peer.count += got > 0 ? (size_t)got : 0;
        (void)fletch_event_loop_turn(scene.loop, MS_NS);
    } while (fletch_clock_now_ns() < end_ns);
}

/* Until the client has half-closed the stream. */
static struct sight peer_until_end(uint32_t id)
{
    uint64_t end_ns = fletch_clock_now_ns() + 10000 * MS_NS;
    while (look(id).ends == 0) {
        assert_true(fletch_clock_now_ns() < end_ns);
        peer_read_for(MS_NS);
    }
    return look(id);
}

static void peer_refuse(uint32_t id)
{
    uint8_t frame[] = {0, 0, 4, FLETCH_HTTP2_RST_STREAM, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    fletch_http2_write_u32(frame + 5, id);
    fletch_http2_write_u32(frame + 9, FLETCH_HTTP2_REFUSED_STREAM);
    peer_write(frame, sizeof frame);
}

static void peer_go_away(uint32_t last_id)
{
    uint8_t frame[] = {0, 0, 8, FLETCH_HTTP2_GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    fletch_http2_write_u32(frame + 9, last_id);
    peer_write(frame, sizeof frame);
}

static void peer_headers(uint32_t id, bool is_end)
{
    static const char begin[] = "\x88\0\x0c"
                                "content-type\x10"
                                "application/grpc";
    static const char end[] = "\0\x0b"
                              "grpc-status\x01"
                              "0";
    uint8_t frame[FLETCH_HTTP2_HEAD_BYTES + sizeof begin + sizeof end];
    size_t bytes = sizeof begin - 1 + (is_end ? sizeof end - 1 : 0);
    const struct fletch_http2_head head = {.length = (uint32_t)bytes,
                                           .type = FLETCH_HTTP2_HEADERS,
                                           .flags = FLETCH_HTTP2_END_HEADERS |
                                                    (is_end ? FLETCH_HTTP2_END_STREAM : 0),
                                           .stream_id = id};
    fletch_http2_head_write(frame, &head);
    memcpy(frame + FLETCH_HTTP2_HEAD_BYTES, begin, sizeof begin - 1);
    memcpy(frame + FLETCH_HTTP2_HEAD_BYTES + sizeof begin - 1, end, sizeof end - 1);
    peer_write(frame, FLETCH_HTTP2_HEAD_BYTES + bytes);
}

/* The probe's messages: a prefix each, and the pattern. */
static void check_sight(const struct sight *sight, uint32_t messages, uint32_t bytes)
{
    assert_int_equal(sight->headers, 1);
    assert_int_equal(sight->ends, 1);
    assert_int_equal(sight->bytes, messages * (5 + bytes));
    for (uint32_t i = 0; i < messages; i++) {
        const uint8_t *message = sight->data + i * (5 + bytes);
        assert_int_equal(fletch_http2_read_u32(message + 1), bytes);
        for (uint32_t k = 0; k < bytes; k++)
            assert_int_equal(message[5 + k], (uint8_t)(k % 251));
    }
}

/* ---- begun again ---- */

static void a_refused_call_is_begun_again_with_all_it_sent(void **state)
{
    static const struct {
        uint32_t messages;
        uint32_t bytes;
    } kinds[] = {{1, 10}, {0, 0}, {3, 0}, {5, 1000}, {2, 15000}};
    (void)state;
    peer_start();
    peer_accept();
    uint32_t id = 1;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct rpc_probe probe = {
            .scene = &scene, .waits = true, .to_send = kinds[i].messages, .bytes = kinds[i].bytes};
        rpc_scene_until_state(&scene, FLETCH_RPC_READY);
        assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
        (void)peer_until_end(id);
        peer_refuse(id);
        struct sight sight = peer_until_end(id + 2);
        check_sight(&sight, kinds[i].messages, kinds[i].bytes);
        peer_headers(id + 2, true);
        check_end(&probe, FLETCH_OK);
        id += 4;
    }
    assert_int_equal(channel_statistics().retried, sizeof kinds / sizeof kinds[0]);
    peer_end();
}

/* The window of a stream is 65,535 bytes: the rest was not sent yet. */
static void a_message_that_was_sent_in_part_is_sent_whole(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .waits = true, .to_send = 1, .bytes = 80000};
    (void)state;
    peer_start();
    peer_accept();
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    peer_read_for(30 * MS_NS);
    assert_int_equal(look(1).bytes, 65535);
    peer_refuse(1);
    peer_widen(0);
    peer_read_for(30 * MS_NS);
    peer_widen(3);
    struct sight sight = peer_until_end(3);
    check_sight(&sight, 1, 80000);
    peer_headers(3, true);
    check_end(&probe, FLETCH_OK);
    peer_end();
}

static void calls_beyond_a_goaway_are_begun_on_a_new_connection(void **state)
{
    struct rpc_probe probes[3];
    (void)state;
    peer_start();
    peer_accept();
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    for (uint32_t i = 0; i < 3; i++) {
        probes[i] = (struct rpc_probe){
            .scene = &scene, .waits = true, .to_send = 1, .bytes = 100 * (i + 1)};
        assert_ok(rpc_probe_begin(&probes[i], RPC_ECHO, 0));
    }
    (void)peer_until_end(5);
    peer_headers(1, true);
    peer_go_away(1); /* it has looked at the first one only */
    check_end(&probes[0], FLETCH_OK);
    rpc_scene_until(&scene, &scene.changes, 3);
    peer_accept();
    for (uint32_t i = 1; i < 3; i++) { /* in the same order */
        struct sight sight = peer_until_end(2 * i - 1);
        check_sight(&sight, 1, 100 * (i + 1));
        peer_headers(2 * i - 1, true);
        check_end(&probes[i], FLETCH_OK);
    }
    assert_int_equal(channel_statistics().retried, 2);
    peer_end();
}

/* The first time at once, then after pauses (of 10 to 50 ms here) until its deadline. */
static void a_server_that_refuses_is_not_besieged(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .waits = true, .to_send = 1, .bytes = 10};
    (void)state;
    peer_start();
    peer_accept();
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 300 * MS_NS));
    uint32_t id = 1;
    while (probe.ends == 0) {
        peer_read_for(MS_NS);
        if (look(id).ends == 0)
            continue;
        peer_refuse(id);
        id += 2;
    }
    check_end(&probe, FLETCH_DEADLINE_EXCEEDED);
    assert_true(channel_statistics().retried >= 3);
    assert_true(channel_statistics().retried <= 14);
    peer_end();
}

static void a_call_that_has_sent_much_is_not_begun_again(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .waits = true, .to_send = 1, .bytes = 60000};
    (void)state;
    peer_start_with(0, 59999);
    peer_accept();
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    (void)peer_until_end(1);
    peer_refuse(1);
    check_end(&probe, FLETCH_UNAVAILABLE);
    assert_true(probe.is_untouched);
    assert_int_equal(channel_statistics().retried, 0);
    peer_end();
}

/* It has all of a message in a batch, too large for a copy, of which some has been sent. */
static void a_call_is_refused_while_a_message_leaves(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .waits = true, .to_send = 1, .bytes = 60000};
    (void)state;
    peer_start_with(4096, 100);
    peer_accept();
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_turns_for(&scene, 20 * MS_NS); /* nobody reads */
    peer_refuse(1);
    rpc_scene_turns_for(&scene, 20 * MS_NS);
    assert_int_equal(channel_statistics().retried, 1);
    assert_int_equal(channel_statistics().waiting, 1); /* for the batch to be gone */
    struct sight sight = peer_until_end(3);
    check_sight(&sight, 1, 60000);
    peer_headers(3, true);
    check_end(&probe, FLETCH_OK);
    peer_end();
}

static void a_call_that_was_answered_is_not_begun_again(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .waits = true, .to_send = 1, .bytes = 10};
    (void)state;
    peer_start();
    peer_accept();
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    (void)peer_until_end(1);
    peer_headers(1, false);
    peer_refuse(1); /* a lie */
    check_end(&probe, FLETCH_UNAVAILABLE);
    assert_false(probe.is_untouched);
    assert_int_equal(probe.headers, 1);
    peer_end();
}

static void a_call_that_was_refused_can_be_cancelled(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .waits = true, .to_send = 2, .bytes = 1000};
    (void)state;
    peer_start();
    peer_accept();
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    (void)peer_until_end(1);
    peer_go_away(0);
    rpc_scene_until(&scene, &scene.changes, 3);
    assert_int_equal(channel_statistics().waiting, 1);
    fletch_rpc_call_cancel(probe.call);
    assert_int_equal(channel_statistics().waiting, 0);
    peer_accept();
    peer_read_for(20 * MS_NS);
    assert_int_equal(look(1).headers, 0);
    assert_int_equal(probe.ends, 0);
    peer_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_wait_for_a_connection_and_begin_in_turn),
        cmocka_unit_test(calls_wait_for_room_at_the_server),
        cmocka_unit_test(a_deadline_passes_while_a_call_waits),
        cmocka_unit_test(a_deadline_counts_from_the_call),
        cmocka_unit_test(only_so_many_calls_wait),
        cmocka_unit_test(a_call_that_waits_is_paced),
        cmocka_unit_test(a_call_that_waits_may_be_wrong),
        cmocka_unit_test(a_refused_call_is_begun_again_with_all_it_sent),
        cmocka_unit_test(a_message_that_was_sent_in_part_is_sent_whole),
        cmocka_unit_test(calls_beyond_a_goaway_are_begun_on_a_new_connection),
        cmocka_unit_test(a_server_that_refuses_is_not_besieged),
        cmocka_unit_test(a_call_that_has_sent_much_is_not_begun_again),
        cmocka_unit_test(a_call_is_refused_while_a_message_leaves),
        cmocka_unit_test(a_call_that_was_answered_is_not_begun_again),
        cmocka_unit_test(a_call_that_was_refused_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
