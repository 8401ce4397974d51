#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http2/http2_parser.h"
#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/http2_user.h"
#include "support/rpc_scene.h"

/* A peer in another process, which has said so much of a conversation made by hand when it is
 * killed: each phase of it, and each byte of the first ones. */

#define MS_NS UINT64_C(1000000)
enum { MESSAGE_BYTES = 40000 };

static struct rpc_scene scene;

struct other {
    const struct fletch_socket_address *server; /* to connect to; NULL: it accepts */
    int listener;
    const struct wire *wire;
    size_t bytes; /* of it that are sent */
    int told[2];  /* it writes here when they are */
};

static int speak(void *context)
{
    const struct other *other = context;
    int fd = -1;
    if (other->server == NULL) {
        struct pollfd waits = {.fd = other->listener, .events = POLLIN};
        (void)poll(&waits, 1, 20000);
        fd = accept4(other->listener, NULL, NULL, SOCK_CLOEXEC);
    } else {
        fd = socket(other->server->as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, &other->server->as.any, other->server->bytes) != 0)
            return 1;
    }
    if (fd < 0)
        return 1;
    for (size_t sent = 0; sent < other->bytes;) {
        ssize_t some = send(fd, other->wire->bytes + sent, other->bytes - sent, MSG_NOSIGNAL);
        if (some <= 0)
            return 2;
        sent += (size_t)some;
    }
    if (write(other->told[1], "x", 1) != 1)
        return 3;
    for (;;)
        pause();
}

/* Turns until it has said what it shall, and some more; then it is killed. */
static void kill_when_told(struct other *other, pid_t child)
{
    struct pollfd told = {.fd = other->told[0], .events = POLLIN};
    uint64_t end_ns = fletch_clock_now_ns() + 20000 * MS_NS;
    while (poll(&told, 1, 0) == 0) {
        assert_true(fletch_clock_now_ns() < end_ns);
        (void)fletch_event_loop_turn(scene.loop, MS_NS);
    }
    rpc_scene_turns_for(&scene, 3 * MS_NS);
    kill(child, SIGKILL);
    assert_int_equal(child_wait(child), CHILD_KILLED + SIGKILL);
    close(other->told[0]);
    close(other->told[1]);
}

/* Where each frame ends, and the middle of each; all bytes of the first 100. */
static size_t next_phase(const struct wire *wire, size_t at, size_t preface)
{
    if (at < 100 && at < wire->count)
        return at + 1;
    for (size_t begin = preface; begin < wire->count;) {
        struct fletch_http2_head head = fletch_http2_head_read(wire->bytes + begin);
        size_t end = begin + FLETCH_HTTP2_HEAD_BYTES + head.length;
        size_t middle = begin + FLETCH_HTTP2_HEAD_BYTES + head.length / 2;
        if (at < middle)
            return middle;
        if (at < end)
            return end;
        begin = end;
    }
    return wire->count + 1;
}

static void put_greeting(struct wire *wire)
{
    wire_settings(wire, 0, 0);
    wire_frame(wire,
               (struct fletch_http2_head){.type = FLETCH_HTTP2_SETTINGS, .flags = FLETCH_HTTP2_ACK},
               NULL);
}

static void put_message(struct wire *wire, uint8_t flags)
{
    static uint8_t message[5 + MESSAGE_BYTES];
    fletch_http2_write_u32(message + 1, MESSAGE_BYTES);
    for (size_t at = 0; at < sizeof message;) {
        size_t bytes = sizeof message - at < 16384 ? sizeof message - at : 16384;
        const struct fletch_http2_head head = {
            .length = (uint32_t)bytes,
            .type = FLETCH_HTTP2_DATA,
            .flags = at + bytes == sizeof message ? flags : 0,
            .stream_id = 1,
        };
        wire_frame(wire, head, message + at);
        at += bytes;
    }
}

static void check_echo(void)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 2, .bytes = 10000};
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
}

static uint64_t connections(void)
{
    struct fletch_rpc_server_statistics statistics;
    fletch_rpc_server_statistics(scene.server, &statistics);
    return statistics.connections;
}

static void a_client_is_killed_at_each_phase(void **state)
{
    static const char *const fields[] = {":method=POST",
                                         ":scheme=http",
                                         ":path=" RPC_HOLD,
                                         ":authority=host",
                                         "te=trailers",
                                         "content-type=application/grpc",
                                         NULL};
    struct wire wire;
    uint32_t phases = 0;
    (void)state;
    wire_init(&wire);
    wire_preface(&wire);
    put_greeting(&wire);
    wire_headers(&wire, 1, 0, fields);
    put_message(&wire, FLETCH_HTTP2_END_STREAM);
    rpc_scene_start(&scene, NULL);
    for (size_t at = 0; at <= wire.count; at = next_phase(&wire, at, FLETCH_HTTP2_PREFACE_BYTES)) {
        struct other other = {
            .server = fletch_rpc_server_address(scene.server), .wire = &wire, .bytes = at};
        assert_int_equal(pipe(other.told), 0);
        kill_when_told(&other, child_start(speak, &other, false));
        uint64_t end_ns = fletch_clock_now_ns() + 10000 * MS_NS;
        while (connections() != 1) {
            assert_true(fletch_clock_now_ns() < end_ns);
            rpc_scene_turns_for(&scene, MS_NS);
        }
        phases++;
    }
    check_echo();
    assert_true(phases > 100);
    assert_int_equal(scene.ended, scene.begun - 1); /* all but the echo */
    assert_true(scene.ended >= 6);
    wire_deinit(&wire);
    rpc_scene_end(&scene);
}

static void a_server_is_killed_at_each_phase(void **state)
{
    static const char *const fields[] = {":status=200", "content-type=application/grpc", NULL};
    struct fletch_socket_listening listening = {.io = &fletch_net_system_io, .backlog = 8};
    struct other other = {.server = NULL};
    struct fletch_socket_address address;
    struct wire wire;
    uint32_t phases = 0;
    (void)state;
    wire_init(&wire);
    put_greeting(&wire);
    wire_headers(&wire, 1, 0, fields);
    put_message(&wire, 0);
    rpc_scene_prepare(&scene, NULL);
    assert_ok(fletch_socket_address_parse("127.0.0.1:0", &listening.address, NULL));
    other.wire = &wire;
    for (size_t at = 0; at <= wire.count; at = next_phase(&wire, at, 0)) {
        struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 10};
        assert_ok(fletch_socket_listen(&listening, &other.listener, &address, NULL));
        assert_int_equal(pipe(other.told), 0);
        other.bytes = at;
        pid_t child = child_start(speak, &other, false);
        close(other.listener);
        const struct fletch_rpc_channel_options options =
            rpc_scene_channel_options(&scene, &address);
        assert_ok(fletch_rpc_channel_create(&options, &scene.channel, NULL));
        rpc_scene_until_state(&scene, FLETCH_RPC_READY);
        assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
        kill_when_told(&other, child);
        rpc_scene_until(&scene, &probe.ends, 1);
        assert_string_equal(fletch_status_name(probe.status), "UNAVAILABLE");
        assert_int_equal(probe.messages, at == wire.count);
        fletch_rpc_channel_destroy(scene.channel);
        scene.channel = NULL;
        phases++;
    }
    assert_true(phases > 100);
    wire_deinit(&wire);
    rpc_scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_killed_at_each_phase),
        cmocka_unit_test(a_server_is_killed_at_each_phase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
