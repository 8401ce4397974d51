#include <string.h>

#include "support/cmocka_tests.h"
#include "support/failing_allocator.h"
#include "support/rpc_scene.h"

/* A server, a channel and calls between them with the n-th allocation failing, for n = 1, 2, …
 * until none fails: what cannot be made says so, each call that was begun ends once, a connection
 * that was lost is made again, and nothing is leaked. */

enum { CALLS = 3, TRIES_MOST = 1000 };

static struct rpc_scene scene;

/* False: there was no memory for it. */
static bool create(void)
{
    struct fletch_error error;
    enum fletch_status status = fletch_rpc_health_create(scene.allocator, &scene.health, &error);
    if (status == FLETCH_OK) {
        const struct fletch_rpc_server_options options = rpc_scene_server_options(&scene, NULL);
        status = fletch_rpc_server_create(&options, &scene.server, &error);
    }
    if (status == FLETCH_OK) {
        const struct fletch_rpc_channel_options options =
            rpc_scene_channel_options(&scene, fletch_rpc_server_address(scene.server));
        status = fletch_rpc_channel_create(&options, &scene.channel, &error);
    }
    if (status != FLETCH_OK) {
        assert_string_equal(fletch_status_name(status), "RESOURCE_EXHAUSTED");
        assert_contains(error.message, "no memory");
    }
    return status == FLETCH_OK;
}

/* Returns how many were answered. */
static uint32_t call(bool waits)
{
    struct rpc_probe probes[CALLS];
    uint32_t answered = 0;
    memset(probes, 0, sizeof probes);
    for (uint32_t i = 0; i < CALLS; i++) {
        struct rpc_probe *probe = &probes[i];
        *probe = (struct rpc_probe){.scene = &scene, .waits = waits, .to_send = 2, .bytes = 20000};
        rpc_scene_turns_for(&scene, 1000000); /* a connection that has failed is noticed */
        if (!waits)
            rpc_scene_until_state(&scene, FLETCH_RPC_READY);
        enum fletch_status status = rpc_probe_begin(probe, RPC_ECHO, 0);
        if (status != FLETCH_OK) {
            assert_true(status == FLETCH_RESOURCE_EXHAUSTED || status == FLETCH_UNAVAILABLE);
            continue;
        }
        if (probe->to_send != 0) { /* a message was not queued */
            fletch_rpc_call_cancel(probe->call);
            continue;
        }
        rpc_scene_until(&scene, &probe->ends, 1);
        assert_int_equal(probe->ends, 1);
        assert_int_equal(probe->wrong, 0);
        answered += probe->status == FLETCH_OK && probe->messages == 2;
        assert_true(probe->status == FLETCH_OK || probe->text[0] != 0);
    }
    return answered;
}

static void fail_each_allocation(bool waits)
{
    static struct failing_allocator failing;
    uint64_t n = 0;
    do {
        failing_allocator_start(&failing, 0);
        rpc_scene_prepare(&scene, &failing.allocator);
        failing.fail_at = failing.requests + ++n;
        if (create())
            assert_true(call(waits) + 1 >= CALLS); /* one call at most has met the failure */
        rpc_scene_end(&scene);
        assert_int_equal(failing.live_bytes, 0);
    } while (failing.failures != 0 && n < TRIES_MOST);
    assert_int_equal(failing.failures, 0);
    assert_true(n > 20);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    fail_each_allocation(false);
}

static void each_allocation_of_calls_that_wait_may_fail(void **state)
{
    (void)state;
    fail_each_allocation(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(each_allocation_of_calls_that_wait_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
