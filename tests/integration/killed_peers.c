/* A peer is killed in each phase of a call: the other side's call ends once, says why, and
 * budget, memory and descriptors come back; the server serves others. */

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/rpc_scene.h"

#define MS_NS UINT64_C(1000000)

static struct rpc_scene scene;

/* How far a call goes before its peer is killed. */
static const struct phase {
    const char *name;
    const char *path;
    uint32_t to_send;
    uint32_t bytes;
    bool stays_open;
    uint32_t messages; /* that have come back by then */
    uint64_t turns_ns; /* and how long it goes on after that */
} phases[] = {
    {"before anything was sent", RPC_HOLD, 0, 0, true, 0, 0},
    {"before its headers", RPC_HOLD, 1, 10, true, 0, 30 * MS_NS},
    {"after its half-close", RPC_HOLD, 1, 10, false, 0, 30 * MS_NS},
    {"in a large message", RPC_COLLECT, 1, 50 << 20, true, 0, 3 * MS_NS},
    {"in a stream of the client's", RPC_COLLECT, 100000, 100000, true, 0, 30 * MS_NS},
    {"in a stream of the server's", RPC_EXPAND, 0, 0, true, 20, 0},
    {"in streams of both", RPC_ECHO, 100000, 100000, true, 20, 0},
    {"before the trailers", RPC_ECHO, 1, 1000, true, 1, 10 * MS_NS},
};

enum { PHASES = sizeof phases / sizeof phases[0] };

static bool begin_phase(const struct phase *phase, struct rpc_probe *probe, struct rpc_scene *of)
{
    const struct rpc_expansion wanted = {1000000, 100000};
    *probe = (struct rpc_probe){.scene = of,
                                .to_send = phase->to_send,
                                .bytes = phase->bytes,
                                .stays_open = phase->stays_open};
    if (rpc_probe_begin(probe, phase->path, 0) != FLETCH_OK)
        return false;
    if (strcmp(phase->path, RPC_EXPAND) == 0)
        rpc_probe_send(probe, &wanted, sizeof wanted);
    return true;
}

/* ---- a server is killed ---- */

static int serve(void *context)
{
    const int *told = context;
    static struct rpc_scene served;
    rpc_scene_start(&served, NULL);
    const struct fletch_socket_address *address = fletch_rpc_server_address(served.server);
    if (write(told[1], address, sizeof *address) != (ssize_t)sizeof *address)
        return 1;
    fletch_event_loop_run(served.loop);
    return 2;
}

static void kill_server_in(const struct phase *phase)
{
    struct fletch_socket_address address;
    struct rpc_probe probe;
    int told[2];
    assert_int_equal(pipe(told), 0);
    pid_t child = child_start(serve, told, false);
    assert_int_equal(read(told[0], &address, sizeof address), sizeof address);
    rpc_scene_start(&scene, NULL);
    struct fletch_rpc_channel_options options = rpc_scene_channel_options(&scene, &address);
    fletch_rpc_channel_destroy(scene.channel);
    assert_ok(fletch_rpc_channel_create(&options, &scene.channel, NULL));
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    assert_true(begin_phase(phase, &probe, &scene));
    rpc_scene_until(&scene, &probe.messages, phase->messages);
    rpc_scene_turns_for(&scene, phase->turns_ns);
    assert_int_equal(probe.ends, 0);
    kill(child, SIGKILL);
    assert_int_equal(child_wait(child), CHILD_KILLED + SIGKILL);
    rpc_scene_until(&scene, &probe.ends, 1);
    bool is_clear = strstr(probe.text, "closed the connection") != NULL ||
                    strstr(probe.text, "system error") != NULL;
    if (probe.status != FLETCH_UNAVAILABLE || !is_clear || probe.wrong != 0)
        fail_msg("killed %s: %s '%s', %u wrong bytes", phase->name,
                 fletch_status_name(probe.status), probe.text, (unsigned)probe.wrong);
    assert_int_not_equal(fletch_rpc_channel_state(scene.channel), FLETCH_RPC_READY);
    rpc_scene_turns_for(&scene, 20 * MS_NS);
    assert_int_equal(probe.ends, 1);
    rpc_scene_end(&scene);
    close(told[0]);
    close(told[1]);
}

static void a_server_is_killed_in_each_phase(void **state)
{
    (void)state;
    for (size_t i = 0; i < PHASES; i++)
        kill_server_in(&phases[i]);
}

/* ---- a client is killed ---- */

struct client {
    const struct fletch_socket_address *server;
    const struct phase *phase;
    int told[2];
};

static int call_and_go_on(void *context)
{
    struct client *client = context;
    static struct rpc_scene mine;
    struct rpc_probe probe;
    if (fletch_event_loop_create(NULL, &mine.loop, NULL) != FLETCH_OK)
        return 1;
    mine.pool = test_pool_make();
    const struct fletch_rpc_channel_options options =
        rpc_scene_channel_options(&mine, client->server);
    if (fletch_rpc_channel_create(&options, &mine.channel, NULL) != FLETCH_OK)
        return 2;
    rpc_scene_until_state(&mine, FLETCH_RPC_READY);
    if (!begin_phase(client->phase, &probe, &mine))
        return 3;
    rpc_scene_until(&mine, &probe.messages, client->phase->messages);
    rpc_scene_turns_for(&mine, client->phase->turns_ns);
    if (write(client->told[1], "x", 1) != 1)
        return 4;
    fletch_event_loop_run(mine.loop);
    return 5;
}

static void kill_client_in(const struct phase *phase)
{
    struct fletch_rpc_server_statistics statistics;
    struct client client = {.phase = phase};
    struct rpc_probe probe = {.scene = &scene, .to_send = 2, .bytes = 1000};
    rpc_scene_start(&scene, NULL);
    client.server = fletch_rpc_server_address(scene.server);
    assert_int_equal(pipe(client.told), 0);
    pid_t child = child_start(call_and_go_on, &client, false);
    struct pollfd told = {.fd = client.told[0], .events = POLLIN};
    uint64_t end_ns = fletch_clock_now_ns() + 20000 * MS_NS;
    while (poll(&told, 1, 0) == 0) {
        assert_true(fletch_clock_now_ns() < end_ns);
        (void)fletch_event_loop_turn(scene.loop, MS_NS);
    }
    kill(child, SIGKILL);
    assert_int_equal(child_wait(child), CHILD_KILLED + SIGKILL);
    do {
        assert_true(fletch_clock_now_ns() < end_ns);
        (void)fletch_event_loop_turn(scene.loop, MS_NS);
        fletch_rpc_server_statistics(scene.server, &statistics);
    } while (statistics.connections != 1);
    if (scene.ended != scene.begun ||
        (scene.ended != 0 && scene.ended_status != FLETCH_UNAVAILABLE))
        fail_msg("killed %s: %u calls, %u ended, %s", phase->name, (unsigned)scene.begun,
                 (unsigned)scene.ended, fletch_status_name(scene.ended_status));
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
    close(client.told[0]);
    close(client.told[1]);
    rpc_scene_end(&scene);
}

static void a_client_is_killed_in_each_phase(void **state)
{
    (void)state;
    for (size_t i = 0; i < PHASES; i++)
        kill_client_in(&phases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_killed_in_each_phase),
        cmocka_unit_test(a_client_is_killed_in_each_phase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
