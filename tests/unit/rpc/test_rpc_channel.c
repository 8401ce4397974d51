#include "rpc/rpc_channel.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/rpc_scene.h"

#define MS_NS UINT64_C(1000000)

static struct rpc_scene scene;

static struct fletch_rpc_channel_statistics channel_statistics(void)
{
    struct fletch_rpc_channel_statistics statistics;
    fletch_rpc_channel_statistics(scene.channel, &statistics);
    return statistics;
}

static void check_echo(void)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 2, .bytes = 100000};
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
    assert_int_equal(probe.wrong, 0);
}

static void restart_server(const struct fletch_socket_address *address)
{
    struct fletch_rpc_server_options options = rpc_scene_server_options(&scene, NULL);
    options.address = *address;
    fletch_rpc_server_destroy(scene.server);
    assert_ok(fletch_rpc_server_create(&options, &scene.server, NULL));
}

static void a_lost_server_is_found_again(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 10};
    (void)state;
    rpc_scene_start(&scene, NULL);
    check_echo();
    assert_ok(rpc_probe_begin(&probe, RPC_HOLD, 0));
    rpc_scene_until(&scene, &scene.begun, 2);
    struct fletch_socket_address address = *fletch_rpc_server_address(scene.server);
    fletch_rpc_server_destroy(scene.server);
    scene.server = NULL;
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "UNAVAILABLE");
    struct rpc_probe late = {.scene = &scene};
    assert_string_equal(fletch_status_name(rpc_probe_begin(&late, RPC_ECHO, 0)), "UNAVAILABLE");
    assert_contains(late.text, "not connected: ");
    rpc_scene_turns_for(&scene, 200 * MS_NS);
    assert_true(channel_statistics().failed >= 2);
    assert_true(channel_statistics().failed <= 12); /* pauses of 10 to 50 ms */
    assert_contains(scene.change.message, "Connection refused");
    restart_server(&address);
    check_echo();
    assert_int_equal(channel_statistics().connected, 2);
    assert_int_equal(channel_statistics().connections, 1);
    rpc_scene_end(&scene);
}

static void on_drained(void *context)
{
    (void)context;
}

static void a_server_that_goes_away_is_left_when_calls_have_ended(void **state)
{
    const struct fletch_rpc_drain drain = {.deadline_ns = UINT64_MAX, .drained = on_drained};
    struct rpc_probe probe = {.scene = &scene, .stays_open = true, .to_send = 1, .bytes = 10};
    struct fletch_rpc_server *old;
    (void)state;
    rpc_scene_start(&scene, NULL);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.messages, 1);
    struct fletch_socket_address address = *fletch_rpc_server_address(scene.server);
    fletch_rpc_server_drain(scene.server, &drain);
    old = scene.server;
    scene.server = NULL;
    restart_server(&address);
    rpc_scene_until(&scene, &scene.changes, 2); /* ready, waiting */
    check_echo();                               /* on a new connection */
    assert_int_equal(channel_statistics().connections, 2);
    rpc_probe_send(&probe, "\0\1", 2); /* on the old one */
    fletch_rpc_call_half_close(probe.call);
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
    assert_int_equal(probe.messages, 2);
    rpc_scene_turns_for(&scene, 50 * MS_NS);
    assert_int_equal(channel_statistics().connections, 1);
    fletch_rpc_server_destroy(old);
    check_echo();
    rpc_scene_end(&scene);
}

/* ---- a server of ours in another process ---- */

struct other {
    int told[2]; /* it writes its address here */
};

static int serve(void *context)
{
    struct other *other = context;
    static struct rpc_scene mine;
    rpc_scene_start(&mine, NULL);
    const struct fletch_socket_address *address = fletch_rpc_server_address(mine.server);
    if (write(other->told[1], address, sizeof *address) != (ssize_t)sizeof *address)
        return 1;
    fletch_event_loop_run(mine.loop);
    return 2;
}

static void connect_to(const struct fletch_socket_address *address,
                       const struct fletch_grpc_options *grpc)
{
    struct fletch_rpc_channel_options options = rpc_scene_channel_options(&scene, address);
    if (grpc != NULL)
        options.grpc.http2.handshake_timeout_ns = grpc->http2.handshake_timeout_ns;
    fletch_rpc_channel_destroy(scene.channel);
    assert_ok(fletch_rpc_channel_create(&options, &scene.channel, NULL));
}

static void a_server_is_killed_within_a_stream(void **state)
{
    const struct rpc_expansion wanted = {1000000, 100000};
    struct rpc_probe probe = {.scene = &scene, .stays_open = true};
    struct fletch_socket_address address;
    struct other other;
    (void)state;
    assert_int_equal(pipe(other.told), 0);
    pid_t child = child_start(serve, &other, false);
    assert_int_equal(read(other.told[0], &address, sizeof address), sizeof address);
    rpc_scene_start(&scene, NULL);
    connect_to(&address, NULL);
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    assert_ok(rpc_probe_begin(&probe, RPC_EXPAND, 0));
    rpc_probe_send(&probe, &wanted, sizeof wanted);
    rpc_scene_until(&scene, &probe.messages, 20);
    kill(child, SIGKILL);
    assert_int_equal(child_wait(child), CHILD_KILLED + SIGKILL);
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "UNAVAILABLE");
    assert_int_equal(probe.wrong, 0);
    assert_int_not_equal(fletch_rpc_channel_state(scene.channel), FLETCH_RPC_READY);
    rpc_scene_end(&scene);
    close(other.told[0]);
    close(other.told[1]);
}

/* It accepts, as the system does for it, and never says a word. */
static void a_mute_server_is_given_up(void **state)
{
    const struct fletch_grpc_options hasty = {.http2 = {.handshake_timeout_ns = 50 * MS_NS}};
    struct fletch_socket_listening listening = {.io = &fletch_net_system_io, .backlog = 8};
    struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 10};
    struct fletch_socket_address address;
    int fd;
    (void)state;
    assert_ok(fletch_socket_address_parse("127.0.0.1:0", &listening.address, NULL));
    assert_ok(fletch_socket_listen(&listening, &fd, &address, NULL));
    rpc_scene_start(&scene, NULL);
    connect_to(&address, &hasty);
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "UNAVAILABLE");
    rpc_scene_until_state(&scene, FLETCH_RPC_READY); /* it tries again */
    assert_true(channel_statistics().connected >= 2);
    rpc_scene_end(&scene);
    close(fd);
}

static void options_are_checked_at_once(void **state)
{
    struct fletch_rpc_channel *channel;
    struct fletch_error error;
    (void)state;
    rpc_scene_start(&scene, NULL);
    struct fletch_rpc_channel_options options =
        rpc_scene_channel_options(&scene, fletch_rpc_server_address(scene.server));
    options.address_count = 0;
    assert_int_equal(fletch_rpc_channel_create(&options, &channel, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "1 to 16 addresses");
    options.address_count = 1;
    options.grpc.http2.frame_bytes = 1;
    assert_int_equal(fletch_rpc_channel_create(&options, &channel, &error),
                     FLETCH_INVALID_ARGUMENT);
    rpc_scene_end(&scene);
}

static void a_server_takes_so_many_calls_at_a_time(void **state)
{
    const struct fletch_grpc_options few = {.http2 = {.stream_limit = 2}};
    struct rpc_probe probes[3] = {{.scene = &scene, .to_send = 1, .bytes = 1},
                                  {.scene = &scene, .to_send = 1, .bytes = 1},
                                  {.scene = &scene, .to_send = 1, .bytes = 1}};
    (void)state;
    rpc_scene_start_with(&scene, NULL, &few, NULL);
    check_echo(); /* its limit is known now */
    assert_ok(rpc_probe_begin(&probes[0], RPC_HOLD, 0));
    assert_ok(rpc_probe_begin(&probes[1], RPC_HOLD, 0));
    assert_string_equal(fletch_status_name(rpc_probe_begin(&probes[2], RPC_ECHO, 0)),
                        "RESOURCE_EXHAUSTED");
    fletch_rpc_call_cancel(probes[0].call);
    rpc_scene_until(&scene, &scene.ended, 1);
    check_echo();
    rpc_scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_server_is_found_again),
        cmocka_unit_test(a_server_that_goes_away_is_left_when_calls_have_ended),
        cmocka_unit_test(a_server_is_killed_within_a_stream),
        cmocka_unit_test(a_mute_server_is_given_up),
        cmocka_unit_test(options_are_checked_at_once),
        cmocka_unit_test(a_server_takes_so_many_calls_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
