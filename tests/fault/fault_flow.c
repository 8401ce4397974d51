#include <fletching/fletching.h>

#include "flow/flow.h"
#include "flow/flow_task.h"
#include "support/cmocka_tests.h"
#include "support/failing_allocator.h"
#include "support/flow_scenes.h"

/* A flow whose n-th request for memory fails, for n = 1, 2, … until none does: whatever was made is
 * given back, and what runs either goes on or ends with that failure. One thread steps its tasks,
 * so that the n-th request is the same in each run. */

enum { TRIES_MOST = 4000, STEPS_MOST = 100000 };

static const struct flow_node_words nodes[] = {
    {.name = "source",
     .kind = FLOW_SOURCE,
     .instances = 2,
     .batches = 4,
     .has_watermarks = true,
     .idles_one_in = 2},
    {.name = "other", .kind = FLOW_SOURCE, .batches = 4},
    {.name = "relay", .kind = FLOW_RELAY, .instances = 2, .reads_in_order = true},
    {.name = "join", .kind = FLOW_RELAY, .instances = 2},
    {.name = "sink", .kind = FLOW_SINK, .instances = 2},
};

static const struct flow_link_words links[] = {
    {.from = 0, .to = 2, .kind = FLETCH_FLOW_FORWARD},
    {.from = 1, .to = 2, .kind = FLETCH_FLOW_BROADCAST, .input = 1},
    {.from = 2, .to = 3, .kind = FLETCH_FLOW_HASH},
    {.from = 2, .to = 3, .kind = FLETCH_FLOW_RANGE, .input = 1},
    {.from = 2, .to = 3, .kind = FLETCH_FLOW_FORWARD, .is_apart = true, .input = 2},
    {.from = 3, .to = 4, .kind = FLETCH_FLOW_REBALANCE},
};

static uint64_t virtual_now_ns(void *context)
{
    return *(uint64_t *)context += 1000;
}

/* Steps all tasks until they have left, with a barrier that passes and one that is given up. */
static void step_all(struct flow_scene *scene)
{
    struct fletch_flow *flow = scene->flow;
    bool has_left[16] = {false};
    uint32_t left = 0;
    assert_in_range(flow->task_count, 1, 16);
    assert_ok(fletch_flow_barrier(flow, 1, NULL));
    assert_ok(fletch_flow_barrier(flow, 2, NULL));
    assert_ok(flow_scene_abort_barrier(scene, 2));
    for (uint32_t i = 0; i < STEPS_MOST && left < flow->task_count; i++) {
        uint32_t task = i % flow->task_count;
        if (has_left[task] || fletch_task_step(flow->tasks[task]) != FLETCH_TASK_OVER)
            continue;
        has_left[task] = true;
        left++;
        fletch_flow_leave(flow);
    }
    assert_int_equal(left, flow->task_count);
}

/* False: the n-th request was never made. */
static bool fail_once(uint64_t n, uint64_t *out_survived)
{
    static struct flow_scene scene;
    struct failing_allocator failing;
    uint64_t now_ns = 1;
    struct fletch_error error;
    failing_allocator_start(&failing, n);
    const struct flow_scene_words words = {.seed = 3, .allocator = &failing.allocator};
    scene.nodes = nodes;
    scene.links = links;
    scene.node_count = sizeof nodes / sizeof *nodes;
    scene.link_count = sizeof links / sizeof *links;
    enum fletch_status status = flow_scene_try(&scene, &words, &error);
    if (status == FLETCH_OK) {
        scene.transport->time =
            (struct fletch_time_source){.now_ns = virtual_now_ns, .context = &now_ns};
        status = fletch_flow_prepare(scene.flow, &error);
        if (status == FLETCH_OK) {
            step_all(&scene);
            status = fletch_flow_wait(scene.flow, 0, &error);
        }
        const char *complaint =
            status == FLETCH_OK ? flow_scene_complaint(&scene) : flow_scene_close_complaint(&scene);
        if (complaint != NULL)
            fail_msg("request %llu: %s", (unsigned long long)n, complaint);
        flow_scene_end(&scene);
    }
    if (status != FLETCH_OK && status != FLETCH_RESOURCE_EXHAUSTED)
        fail_msg("request %llu: %s", (unsigned long long)n, error.message);
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        assert_int_equal(failing.failures, 1);
    assert_int_equal(failing.live_bytes, 0);
    *out_survived += status == FLETCH_OK && failing.failures > 0;
    return failing.failures > 0;
}

static void every_request_may_fail(void **state)
{
    uint64_t n = 1, survived = 0;
    (void)state;
    while (n < TRIES_MOST && fail_once(n, &survived))
        n++;
    print_message("[ INFO     ] %llu requests, %llu of them made good for\n",
                  (unsigned long long)n - 1, (unsigned long long)survived);
    assert_in_range(n, 100, TRIES_MOST - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
