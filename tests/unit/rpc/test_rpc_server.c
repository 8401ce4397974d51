#include "rpc/rpc_server.h"

#include <errno.h>
#include <fletching/wait.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/rpc_scene.h"

#define MS_NS UINT64_C(1000000)

static struct rpc_scene scene;

static struct fletch_rpc_server_statistics server_statistics(void)
{
    struct fletch_rpc_server_statistics statistics;
    fletch_rpc_server_statistics(scene.server, &statistics);
    return statistics;
}

static void check_echo(void)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 2, .bytes = 100000};
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
    assert_int_equal(probe.wrong, 0);
}

/* ---- drain ---- */

static void on_drained(void *context)
{
    uint32_t *count = context;
    (*count)++;
}

static void drain(uint32_t *drained, uint64_t timeout_ns)
{
    const struct fletch_rpc_drain draining = {
        .deadline_ns = timeout_ns == 0 ? FLETCH_NO_DEADLINE : fletch_clock_now_ns() + timeout_ns,
        .drained = on_drained,
        .context = drained,
    };
    fletch_rpc_server_drain(scene.server, &draining);
    fletch_rpc_server_drain(scene.server, &draining); /* again: nothing */
    assert_int_equal(*drained, 0);
}

static void a_server_without_connections_is_drained_at_once(void **state)
{
    uint32_t drained = 0;
    (void)state;
    rpc_scene_start(&scene, NULL);
    fletch_rpc_channel_destroy(scene.channel);
    scene.channel = NULL;
    rpc_scene_turns_for(&scene, 20 * MS_NS);
    assert_int_equal(server_statistics().connections, 0);
    drain(&drained, 0);
    rpc_scene_until(&scene, &drained, 1);
    rpc_scene_end(&scene);
}

static void calls_end_before_a_server_is_drained(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .stays_open = true, .to_send = 1, .bytes = 10};
    uint32_t drained = 0;
    (void)state;
    rpc_scene_start(&scene, NULL);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.messages, 1);
    drain(&drained, 0);
    rpc_scene_until(&scene, &scene.changes, 2); /* ready, waiting: it knows */
    assert_int_not_equal(fletch_rpc_channel_state(scene.channel), FLETCH_RPC_READY);
    rpc_scene_turns_for(&scene, 50 * MS_NS);
    assert_int_equal(drained, 0);
    rpc_probe_send(&probe, "\0\1\2", 3); /* the call goes on */
    rpc_scene_until(&scene, &probe.messages, 2);
    fletch_rpc_call_half_close(probe.call);
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
    rpc_scene_until(&scene, &drained, 1);
    assert_int_equal(server_statistics().connections, 0);
    struct rpc_probe late = {.scene = &scene};
    assert_string_equal(fletch_status_name(rpc_probe_begin(&late, RPC_ECHO, 0)), "UNAVAILABLE");
    rpc_scene_end(&scene);
    assert_int_equal(drained, 1);
}

static void a_drain_ends_at_its_deadline(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 10};
    uint32_t drained = 0;
    (void)state;
    rpc_scene_start(&scene, NULL);
    assert_ok(rpc_probe_begin(&probe, RPC_HOLD, 0));
    rpc_scene_until(&scene, &scene.begun, 1);
    drain(&drained, 80 * MS_NS);
    rpc_scene_turns_for(&scene, 40 * MS_NS);
    assert_int_equal(drained, 0);
    rpc_scene_until(&scene, &drained, 1);
    assert_int_equal(scene.ended, 1);
    assert_string_equal(fletch_status_name(scene.ended_status), "UNAVAILABLE");
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "UNAVAILABLE");
    rpc_scene_end(&scene);
}

/* ---- limits ---- */

static int connect_bare(void)
{
    const struct fletch_socket_address *address = fletch_rpc_server_address(scene.server);
    int fd = socket(address->as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address->as.any, address->bytes), 0);
    return fd;
}

/* Turns the loop until the server has closed the socket; returns the bytes that came before. */
static size_t until_closed(int fd)
{
    uint64_t end_ns = fletch_clock_now_ns() + 20000 * MS_NS;
    size_t bytes = 0;
    for (;;) {
        char waste[4096];
        ssize_t got = recv(fd, waste, sizeof waste, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return bytes;
        bytes += got > 0 ? (size_t)got : 0;
        assert_true(fletch_clock_now_ns() < end_ns);
        (void)fletch_event_loop_turn(scene.loop, 5 * MS_NS);
    }
}

static void connections_beyond_the_limit_are_closed(void **state)
{
    (void)state;
    rpc_scene_start(&scene, NULL);
    struct fletch_rpc_server_options options = rpc_scene_server_options(&scene, NULL);
    options.connection_limit = 2;
    fletch_rpc_server_destroy(scene.server);
    assert_ok(fletch_rpc_server_create(&options, &scene.server, NULL));
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = connect_bare();
        rpc_scene_turns_for(&scene, 5 * MS_NS);
    }
    assert_int_equal(until_closed(fds[2]), 0);
    assert_int_equal(server_statistics().connections, 2);
    assert_int_equal(server_statistics().refused, 1);
    assert_int_equal(server_statistics().accepted, 3);
    close(fds[0]); /* makes room */
    rpc_scene_turns_for(&scene, 20 * MS_NS);
    int another = connect_bare();
    rpc_scene_turns_for(&scene, 20 * MS_NS);
    assert_int_equal(server_statistics().connections, 2);
    assert_int_equal(server_statistics().refused, 1);
    close(fds[1]);
    close(fds[2]);
    close(another);
    rpc_scene_end(&scene);
}

static void options_are_checked_at_once(void **state)
{
    struct fletch_rpc_server *server;
    struct fletch_error error;
    (void)state;
    rpc_scene_start(&scene, NULL);
    struct fletch_rpc_server_options options = rpc_scene_server_options(&scene, NULL);
    options.grpc.http2.frame_bytes = 1;
    assert_int_equal(fletch_rpc_server_create(&options, &server, &error), FLETCH_INVALID_ARGUMENT);
    options = rpc_scene_server_options(&scene, NULL);
    options.address = *fletch_rpc_server_address(scene.server);
    assert_int_equal(fletch_rpc_server_create(&options, &server, &error), FLETCH_ALREADY_EXISTS);
    rpc_scene_end(&scene);
}

static void a_message_beyond_the_limit_ends_its_call(void **state)
{
    const struct fletch_grpc_options small = {.message_limit_bytes = 1000};
    struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 1001};
    struct rpc_probe fits = {.scene = &scene, .to_send = 1, .bytes = 1000};
    (void)state;
    rpc_scene_start_with(&scene, NULL, &small, NULL);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "RESOURCE_EXHAUSTED");
    assert_string_equal(probe.text, "a message of 1001 bytes, at most 1000");
    assert_ok(rpc_probe_begin(&fits, RPC_ECHO, 0));
    rpc_scene_until(&scene, &fits.ends, 1);
    assert_string_equal(fletch_status_name(fits.status), "OK");
    rpc_scene_end(&scene);
}

/* ---- peers that are slow, or gone ---- */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void a_handshake_that_never_comes_is_given_up(void **state)
{
    const struct fletch_grpc_options hasty = {.http2 = {.handshake_timeout_ns = 100 * MS_NS}};
    (void)state;
    rpc_scene_start_with(&scene, NULL, &hasty, NULL);
    int silent = connect_bare();
    int slow = connect_bare();
    assert_int_equal(send(slow, preface, 10, 0), 10);
    rpc_scene_turns_for(&scene, 40 * MS_NS);
    assert_int_equal(server_statistics().connections, 3);
    check_echo(); /* others are served meanwhile */
    (void)until_closed(silent);
    (void)until_closed(slow);
    close(silent);
    close(slow);
    rpc_scene_turns_for(&scene, 20 * MS_NS); /* it lingers no longer than they do */
    assert_int_equal(server_statistics().connections, 1);
    check_echo();
    rpc_scene_end(&scene);
}

/* A client of ours in another process, which stops reading, or is killed, when it has asked for a
 * long stream. */
struct other {
    const struct fletch_socket_address *server;
    int told[2]; /* it writes here when messages come */
};

static int call_for_a_stream(void *context)
{
    struct other *other = context;
    struct rpc_scene mine = {.methods = NULL};
    struct rpc_probe probe = {.scene = &mine, .stays_open = true};
    const struct rpc_expansion wanted = {1000000, 100000};
    if (fletch_event_loop_create(NULL, &mine.loop, NULL) != FLETCH_OK)
        return 1;
    mine.pool = test_pool_make();
    const struct fletch_rpc_channel_options options =
        rpc_scene_channel_options(&mine, other->server);
    if (fletch_rpc_channel_create(&options, &mine.channel, NULL) != FLETCH_OK)
        return 2;
    while (fletch_rpc_channel_state(mine.channel) != FLETCH_RPC_READY)
        (void)fletch_event_loop_turn(mine.loop, 10 * MS_NS);
    if (rpc_probe_begin(&probe, RPC_EXPAND, 0) != FLETCH_OK)
        return 3;
    rpc_probe_send(&probe, &wanted, sizeof wanted);
    while (probe.messages < 10)
        (void)fletch_event_loop_turn(mine.loop, 10 * MS_NS);
    if (write(other->told[1], "x", 1) != 1)
        return 4;
    for (;;) /* reads no more */
        pause();
}

/* Turns until the other process has told something. */
static void until_told(const struct other *other)
{
    struct pollfd told = {.fd = other->told[0], .events = POLLIN};
    uint64_t end_ns = fletch_clock_now_ns() + 20000 * MS_NS;
    while (poll(&told, 1, 0) == 0) {
        assert_true(fletch_clock_now_ns() < end_ns);
        (void)fletch_event_loop_turn(scene.loop, 5 * MS_NS);
    }
}

static void end_other(pid_t child, const struct other *other)
{
    close(other->told[0]);
    close(other->told[1]);
    kill(child, SIGKILL);
    assert_int_equal(child_wait(child), CHILD_KILLED + SIGKILL);
}

static void a_client_that_reads_no_more_is_given_up(void **state)
{
    const struct fletch_grpc_options hasty = {.http2 = {.write_timeout_ns = 300 * MS_NS}};
    (void)state;
    rpc_scene_start_with(&scene, NULL, &hasty, NULL);
    struct other other = {.server = fletch_rpc_server_address(scene.server)};
    assert_int_equal(pipe(other.told), 0);
    pid_t child = child_start(call_for_a_stream, &other, false);
    until_told(&other);
    assert_int_equal(server_statistics().connections, 2);
    check_echo();
    rpc_scene_until(&scene, &scene.ended, 1);
    assert_string_equal(fletch_status_name(scene.ended_status), "UNAVAILABLE");
    rpc_scene_turns_for(&scene, 1200 * MS_NS); /* it lingers */
    assert_int_equal(server_statistics().connections, 1);
    end_other(child, &other);
    check_echo();
    rpc_scene_end(&scene);
}

static void a_client_is_killed_within_a_stream(void **state)
{
    (void)state;
    rpc_scene_start(&scene, NULL);
    struct other other = {.server = fletch_rpc_server_address(scene.server)};
    assert_int_equal(pipe(other.told), 0);
    pid_t child = child_start(call_for_a_stream, &other, false);
    until_told(&other);
    assert_int_equal(scene.ended, 0);
    end_other(child, &other);
    rpc_scene_until(&scene, &scene.ended, 1);
    assert_string_equal(fletch_status_name(scene.ended_status), "UNAVAILABLE");
    rpc_scene_turns_for(&scene, 20 * MS_NS);
    assert_int_equal(server_statistics().connections, 1);
    check_echo();
    rpc_scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_without_connections_is_drained_at_once),
        cmocka_unit_test(calls_end_before_a_server_is_drained),
        cmocka_unit_test(a_drain_ends_at_its_deadline),
        cmocka_unit_test(connections_beyond_the_limit_are_closed),
        cmocka_unit_test(options_are_checked_at_once),
        cmocka_unit_test(a_message_beyond_the_limit_ends_its_call),
        cmocka_unit_test(a_handshake_that_never_comes_is_given_up),
        cmocka_unit_test(a_client_that_reads_no_more_is_given_up),
        cmocka_unit_test(a_client_is_killed_within_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
