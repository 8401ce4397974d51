/* A session that was recorded between a client and a server of ours, said again to each side and
 * cut at each byte, by an end of the stream or by a reset: calls end once, with a status that is
 * true, and everything comes back. */

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/attacker.h"
#include "support/cmocka_tests.h"

enum { MESSAGES = 2, MESSAGE_BYTES = 60, CALLS = 2 };

#define MS_NS UINT64_C(1000000)

static struct rpc_scene scene;
static struct rpc_scene mine; /* with the channel that is recorded or cut off */
static struct memory_meter meter;
static struct rpc_probe probes[CALLS];
static struct wire up, down; /* what client and server said */

static uint64_t connections(void)
{
    struct fletch_rpc_server_statistics statistics;
    fletch_rpc_server_statistics(scene.server, &statistics);
    return statistics.connections;
}

static void until_connections(uint64_t count)
{
    uint64_t end_ns = fletch_clock_now_ns() + 20000 * MS_NS;
    while (connections() != count) {
        assert_true(fletch_clock_now_ns() < end_ns);
        (void)fletch_event_loop_turn(scene.loop, MS_NS);
    }
}

static void begin_calls(const struct fletch_socket_address *address, struct attacker *attacker)
{
    struct fletch_rpc_channel_options options = rpc_scene_channel_options(&mine, address);
    options.pause_first_ns = 60000 * MS_NS;
    options.pause_most_ns = 60000 * MS_NS;
    assert_ok(fletch_rpc_channel_create(&options, &mine.channel, NULL));
    attacker_accept(attacker, &scene, true);
    rpc_scene_until_state(&mine, FLETCH_RPC_READY);
    for (uint32_t i = 0; i < CALLS; i++) {
        probes[i] = (struct rpc_probe){.scene = &mine, .to_send = MESSAGES, .bytes = MESSAGE_BYTES};
        assert_ok(rpc_probe_begin(&probes[i], i == 0 ? RPC_ECHO : RPC_COLLECT, 0));
    }
}

static void begin_scene(void)
{
    struct fletch_grpc_options server = {.message_limit_bytes = 1 << 20};
    memory_meter_start(&meter);
    server.http2.allocator = &meter.allocator;
    rpc_scene_start_with(&scene, NULL, &server, NULL);
    mine = scene;
    mine.channel = NULL;
}

/* Passes on what one has said, and keeps it. */
static void pass(struct attacker *from, struct attacker *to, struct wire *kept)
{
    attacker_pump(from);
    wire_put(kept, from->in.bytes, from->in.count);
    wire_put(&to->out, from->in.bytes, from->in.count);
    from->in.count = 0;
}

static void record(void)
{
    struct fletch_socket_address address;
    struct attacker client, server;
    wire_init(&up);
    wire_init(&down);
    attacker_listen(&client, &address);
    attacker_connect(&server, &scene, true);
    begin_calls(&address, &client);
    uint64_t end_ns = fletch_clock_now_ns() + 20000 * MS_NS;
    while (probes[0].ends == 0 || probes[1].ends == 0) {
        assert_true(fletch_clock_now_ns() < end_ns);
        (void)fletch_event_loop_turn(scene.loop, MS_NS);
        pass(&client, &server, &up);
        pass(&server, &client, &down);
    }
    for (uint32_t i = 0; i < CALLS; i++)
        assert_string_equal(fletch_status_name(probes[i].status), "OK");
    fletch_rpc_channel_destroy(mine.channel);
    attacker_end(&client);
    attacker_end(&server);
    until_connections(1);
}

static void cut(struct attacker *attacker, bool resets)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (resets)
        setsockopt(attacker->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    attacker_leave(attacker);
}

static void a_server_is_cut_off_at_each_byte(void **state)
{
    (void)state;
    begin_scene();
    record();
    uint64_t live_bytes = meter.live_bytes;
    uint64_t used_bytes = account_used_bytes(scene.pool.account);
    for (size_t count = 0; count <= up.count; count++) {
        for (int resets = 0; resets < 2; resets++) {
            struct attacker client;
            attacker_connect(&client, &scene, true);
            wire_put(&client.out, up.bytes, count);
            attacker_flush(&client, &scene);
            until_connections(2);
            cut(&client, resets);
            until_connections(1);
            attacker_end(&client);
            if (meter.live_bytes != live_bytes)
                fail_msg("cut at %zu: %llu bytes instead of %llu", count,
                         (unsigned long long)meter.live_bytes, (unsigned long long)live_bytes);
            assert_int_equal(account_used_bytes(scene.pool.account), used_bytes);
        }
    }
    wire_deinit(&up);
    wire_deinit(&down);
    rpc_scene_end(&scene);
}

/* Whether the calls have ended as the part of the session that was said tells; how many well. */
static uint32_t check_ends(size_t count)
{
    uint32_t well = 0;
    for (uint32_t i = 0; i < CALLS; i++) {
        rpc_scene_until(&scene, &probes[i].ends, 1);
        assert_int_equal(probes[i].ends, 1);
        bool is_well = probes[i].status == FLETCH_OK;
        bool is_whole = probes[i].messages == (i == 0 ? MESSAGES : 1);
        if ((is_well && !is_whole) || (!is_well && probes[i].status != FLETCH_UNAVAILABLE))
            fail_msg("cut at %zu: %s '%s' after %u messages", count,
                     fletch_status_name(probes[i].status), probes[i].text,
                     (unsigned)probes[i].messages);
        well += is_well;
    }
    return well;
}

static void a_client_is_cut_off_at_each_byte(void **state)
{
    uint32_t well[2] = {0, 0};
    (void)state;
    begin_scene();
    record();
    uint64_t used_bytes = account_used_bytes(scene.pool.account);
    for (size_t count = 0; count <= down.count; count++) {
        for (int resets = 0; resets < 2; resets++) {
            struct fletch_socket_address address;
            struct attacker server;
            attacker_listen(&server, &address);
            begin_calls(&address, &server);
            wire_put(&server.out, down.bytes, count);
            attacker_flush(&server, &scene);
            rpc_scene_turns_for(&scene, MS_NS); /* a reset takes away what was not read */
            cut(&server, resets);
            uint32_t now_well = check_ends(count);
            assert_true(now_well >= well[resets]);
            well[resets] = now_well;
            fletch_rpc_channel_destroy(mine.channel);
            attacker_end(&server);
            assert_int_equal(account_used_bytes(scene.pool.account), used_bytes);
        }
    }
    assert_int_equal(well[0], CALLS);
    assert_int_equal(well[1], CALLS);
    wire_deinit(&up);
    wire_deinit(&down);
    rpc_scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_cut_off_at_each_byte),
        cmocka_unit_test(a_client_is_cut_off_at_each_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
