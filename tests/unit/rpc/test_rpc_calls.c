#include "rpc/rpc_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/cmocka_tests.h"
#include "support/rpc_scene.h"

#define MS_NS UINT64_C(1000000)

static struct rpc_scene scene;

static void over_each_transport(void (*run)(void))
{
    char path[64];
    (void)snprintf(path, sizeof path, "unix:@fletching-rpc-%d", (int)getpid());
    const char *const addresses[] = {NULL, "[::1]:0", path};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        rpc_scene_start(&scene, addresses[i]);
        run();
        rpc_scene_end(&scene);
    }
}

static void check_probe(const struct rpc_probe *probe, enum fletch_status status)
{
    assert_string_equal(fletch_status_name(probe->status), fletch_status_name(status));
    assert_int_equal(probe->wrong, 0);
    assert_int_equal(probe->ends, 1);
    assert_null(probe->call);
}

static void run_unary(void)
{
    static const uint32_t sizes[] = {0, 1, 5, 100, 16384, 70000, 1000000, 9000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = sizes[i]};
        assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
        rpc_scene_until(&scene, &probe.ends, 1);
        check_probe(&probe, FLETCH_OK);
        assert_int_equal(probe.headers, 1);
        assert_int_equal(probe.messages, 1);
        assert_int_equal(probe.received, sizes[i]);
    }
}

static void one_message_comes_back(void **state)
{
    (void)state;
    over_each_transport(run_unary);
}

static void run_collect(void)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 60, .bytes = 1000000};
    assert_ok(rpc_probe_begin(&probe, RPC_COLLECT, 0));
    assert_true(probe.to_send != 0); /* more than may be queued: it goes on when there is room */
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
    assert_int_equal(probe.messages, 1);
    assert_int_equal(probe.number, 60000000);
}

static void a_client_sends_many_messages(void **state)
{
    (void)state;
    over_each_transport(run_collect);
}

static void expand(struct rpc_probe *probe, uint32_t count, uint32_t bytes)
{
    const struct rpc_expansion wanted = {count, bytes};
    probe->scene = &scene;
    probe->stays_open = true;
    assert_ok(rpc_probe_begin(probe, RPC_EXPAND, 0));
    rpc_probe_send(probe, &wanted, sizeof wanted);
    fletch_rpc_call_half_close(probe->call);
}

static void run_expand(void)
{
    static const struct rpc_expansion all[] = {{0, 0}, {1000, 0}, {5000, 300}, {8, 9000000}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct rpc_probe probe = {.messages = 0};
        expand(&probe, all[i].count, all[i].bytes);
        rpc_scene_until(&scene, &probe.ends, 1);
        check_probe(&probe, FLETCH_OK);
        assert_int_equal(probe.messages, all[i].count);
        assert_int_equal(probe.received, (uint64_t)all[i].count * all[i].bytes);
    }
}

static void a_server_sends_many_messages(void **state)
{
    (void)state;
    over_each_transport(run_expand);
}

static void run_chat(void)
{
    struct rpc_probe probe = {.scene = &scene, .stays_open = true, .bytes = 40000};
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    for (uint32_t i = 1; i <= 50; i++) {
        static uint8_t data[40000];
        for (size_t k = 0; k < sizeof data; k++)
            data[k] = (uint8_t)(k % 251);
        rpc_probe_send(&probe, data, sizeof data);
        rpc_scene_until(&scene, &probe.messages, i);
    }
    fletch_rpc_call_half_close(probe.call);
    rpc_scene_until(&scene, &probe.ends, 1);
    check_probe(&probe, FLETCH_OK);
}

static void both_sides_take_turns(void **state)
{
    (void)state;
    over_each_transport(run_chat);
}

static void a_hundred_calls_at_once(void **state)
{
    enum { CALLS = 100 };
    static struct rpc_probe probes[CALLS];
    (void)state;
    rpc_scene_start(&scene, NULL);
    memset(probes, 0, sizeof probes);
    for (uint32_t i = 0; i < CALLS; i++) {
        probes[i].scene = &scene;
        probes[i].to_send = 1 + i % 7;
        probes[i].bytes = i * 997;
        assert_ok(rpc_probe_begin(&probes[i], RPC_ECHO, 0));
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        rpc_scene_until(&scene, &probes[i].ends, 1);
        check_probe(&probes[i], FLETCH_OK);
        assert_int_equal(probes[i].messages, 1 + i % 7);
    }
    rpc_scene_end(&scene);
}

static void status_and_text_arrive(void **state)
{
    static const struct {
        const char *path;
        enum fletch_status status;
        const char *text;
    } rows[] = {
        {RPC_REFUSE, FLETCH_PERMISSION_DENIED, "not for you: 100%"},
        {"/test.Test/Nothing", FLETCH_UNIMPLEMENTED, "no method '/test.Test/Nothing' here"},
        {"/", FLETCH_UNIMPLEMENTED, "no method '/' here"},
    };
    (void)state;
    rpc_scene_start(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 10};
        assert_ok(rpc_probe_begin(&probe, rows[i].path, 0));
        rpc_scene_until(&scene, &probe.ends, 1);
        check_probe(&probe, rows[i].status);
        assert_string_equal(probe.text, rows[i].text);
    }
    rpc_scene_end(&scene);
}

static void a_deadline_ends_both_sides(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 10};
    (void)state;
    rpc_scene_start(&scene, NULL);
    rpc_scene_turns_for(&scene, 100 * MS_NS); /* an idle connection counts from now all the same */
    assert_ok(rpc_probe_begin(&probe, RPC_HOLD, 60 * MS_NS));
    rpc_scene_until(&scene, &scene.begun, 1);
    assert_int_equal(scene.timeout_ns, 60 * MS_NS);
    assert_int_equal(probe.ends, 0);
    rpc_scene_until(&scene, &probe.ends, 1);
    check_probe(&probe, FLETCH_DEADLINE_EXCEEDED);
    rpc_scene_until(&scene, &scene.ended, 1);
    rpc_scene_end(&scene);
}

/* ---- cancelling at each state ---- */

static void cancel(struct rpc_probe *probe)
{
    fletch_rpc_call_cancel(probe->call);
    probe->call = NULL;
}

/* The server has forgotten it, nothing is told, and the connection is as good as ever. */
static void check_cancelled(const struct rpc_probe *probe, uint32_t server_ends)
{
    rpc_scene_until(&scene, &scene.ended, server_ends);
    if (server_ends != 0)
        assert_string_equal(fletch_status_name(scene.ended_status), "CANCELLED");
    assert_int_equal(probe->ends, 0);
    run_unary();
    assert_int_equal(probe->ends, 0);
    rpc_scene_end(&scene);
}

static void a_client_cancels_before_anything_was_sent(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 3, .bytes = 100};
    (void)state;
    rpc_scene_start(&scene, NULL);
    assert_ok(rpc_probe_begin(&probe, RPC_HOLD, 0));
    cancel(&probe);
    check_cancelled(&probe, 0);
}

static void a_client_cancels_with_messages_under_way(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 100, .bytes = 1000000};
    (void)state;
    rpc_scene_start(&scene, NULL);
    assert_ok(rpc_probe_begin(&probe, RPC_HOARD, 0));
    rpc_scene_until(&scene, &scene.begun, 1);
    rpc_scene_turns_for(&scene, 20 * MS_NS);
    assert_true(probe.to_send != 0);
    cancel(&probe);
    check_cancelled(&probe, 1);
}

static void a_client_cancels_after_half_close(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 100};
    (void)state;
    rpc_scene_start(&scene, NULL);
    assert_ok(rpc_probe_begin(&probe, RPC_HOLD, 0));
    rpc_scene_until(&scene, &scene.begun, 1);
    rpc_scene_turns_for(&scene, 10 * MS_NS);
    cancel(&probe);
    check_cancelled(&probe, 1);
}

static void a_client_cancels_in_the_middle_of_an_answer(void **state)
{
    struct rpc_probe probe = {.takes_none = true};
    (void)state;
    rpc_scene_start(&scene, NULL);
    expand(&probe, 1000, 1000000);
    rpc_scene_until(&scene, &probe.messages, 1);
    cancel(&probe);
    check_cancelled(&probe, 1);
}

static void a_server_cancels(void **state)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 100};
    (void)state;
    rpc_scene_start(&scene, NULL);
    assert_ok(rpc_probe_begin(&probe, RPC_HOLD, 0));
    rpc_scene_until(&scene, &scene.begun, 1);
    free(fletch_rpc_call_context(scene.held));
    fletch_rpc_call_cancel(scene.held);
    rpc_scene_until(&scene, &probe.ends, 1);
    check_probe(&probe, FLETCH_CANCELLED);
    assert_int_equal(scene.ended, 0);
    rpc_scene_end(&scene);
}

/* ---- pace ---- */

static void a_slow_reader_stops_its_own_call_alone(void **state)
{
    struct rpc_probe slow = {.takes_none = true};
    (void)state;
    rpc_scene_start(&scene, NULL);
    expand(&slow, 1000, 1000000);
    rpc_scene_until(&scene, &slow.messages, 1);
    rpc_scene_turns_for(&scene, 50 * MS_NS);
    /* A message, a window, and what a server may queue, and not 1 GB. */
    assert_true(account_used_bytes(scene.pool.account) < UINT64_C(64) << 20);
    run_unary();
    assert_int_equal(slow.ends, 0);
    rpc_scene_end(&scene); /* it is ended with the channel */
    check_probe(&slow, FLETCH_UNAVAILABLE);
    assert_string_equal(slow.text, "the channel has been destroyed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message_comes_back),
        cmocka_unit_test(a_client_sends_many_messages),
        cmocka_unit_test(a_server_sends_many_messages),
        cmocka_unit_test(both_sides_take_turns),
        cmocka_unit_test(a_hundred_calls_at_once),
        cmocka_unit_test(status_and_text_arrive),
        cmocka_unit_test(a_deadline_ends_both_sides),
        cmocka_unit_test(a_client_cancels_before_anything_was_sent),
        cmocka_unit_test(a_client_cancels_with_messages_under_way),
        cmocka_unit_test(a_client_cancels_after_half_close),
        cmocka_unit_test(a_client_cancels_in_the_middle_of_an_answer),
        cmocka_unit_test(a_server_cancels),
        cmocka_unit_test(a_slow_reader_stops_its_own_call_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
