#include <fletching/fletching.h>

#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "support/cmocka_tests.h"
#include "support/flow_scenes.h"

/* Every kind of edge with every shape and with barriers, graphs that fork and join, and what a flow
 * tells of itself. What the instances watch is in support/flow_scenes.h. */

static const uint64_t patience_ns = UINT64_C(30000000000);

static struct flow_scene scene;

static void make(const struct flow_node_words *nodes, uint32_t node_count,
                 const struct flow_link_words *links, uint32_t link_count)
{
    const struct flow_scene_words words = {
        .seed = 5, .barrier_limit = 3, .budget_bytes = UINT64_C(2) << 20};
    struct fletch_error error;
    scene.nodes = nodes;
    scene.links = links;
    scene.node_count = node_count;
    scene.link_count = link_count;
    if (flow_scene_try(&scene, &words, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
}

#define MAKE(nodes, links) \
    make(nodes, sizeof(nodes) / sizeof(nodes)[0], links, sizeof(links) / sizeof(links)[0])

static void start(void)
{
    struct fletch_error error;
    if (fletch_flow_start(scene.flow, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
}

/* Sends up to `most` barriers while the flow runs; how many it took. */
static uint64_t send_barriers(uint64_t most)
{
    struct fletch_error error;
    uint64_t id = 1;
    while (id <= most) {
        enum fletch_status status = fletch_flow_barrier(scene.flow, 10 * id, &error);
        if (status == FLETCH_RESOURCE_EXHAUSTED) {
            fletch_thread_yield();
            continue;
        }
        if (status == FLETCH_FAILED_PRECONDITION)
            break;
        assert_ok(status);
        id++;
    }
    return id - 1;
}

static void wait_until_all_is_well(void)
{
    struct fletch_error error;
    if (fletch_flow_wait(scene.flow, patience_ns, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    const char *complaint = flow_scene_complaint(&scene);
    if (complaint != NULL)
        fail_msg("%s", complaint);
}

static void run_well(uint64_t barriers)
{
    start();
    (void)send_barriers(barriers);
    wait_until_all_is_well();
    flow_scene_end(&scene);
}

/* ---- every kind of edge ---- */

struct shape {
    uint32_t from;
    uint32_t to;
};

static void run_shape(enum fletch_flow_edge_kind kind, struct shape shape, bool is_apart,
                      uint64_t barriers)
{
    const struct flow_node_words nodes[] = {
        {.name = "source",
         .kind = FLOW_SOURCE,
         .instances = shape.from,
         .batches = 60,
         .has_watermarks = true,
         .pauses_one_in = 20},
        {.name = "relay", .kind = FLOW_RELAY, .instances = shape.to, .slow_one_in = 5},
        {.name = "sink", .kind = FLOW_SINK, .instances = shape.to},
    };
    const struct flow_link_words links[] = {
        {.from = 0, .to = 1, .kind = kind, .is_apart = is_apart},
        {.from = 1, .to = 2, .kind = FLETCH_FLOW_FORWARD, .is_apart = !is_apart},
    };
    MAKE(nodes, links);
    run_well(barriers);
}

static void run_kind(enum fletch_flow_edge_kind kind, struct shape shape)
{
    if (kind == FLETCH_FLOW_FORWARD && shape.from != shape.to)
        return;
    for (uint64_t barriers = 0; barriers <= 6; barriers += 6) {
        run_shape(kind, shape, false, barriers);
        run_shape(kind, shape, true, barriers);
    }
}

static void test_every_edge_gives_what_was_sent_in_order(void **state)
{
    static const struct shape shapes[] = {{1, 1}, {1, 3}, {3, 1}, {2, 3}, {3, 3}};
    (void)state;
    for (int kind = FLETCH_FLOW_FORWARD; kind <= FLETCH_FLOW_BROADCAST; kind++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            run_kind((enum fletch_flow_edge_kind)kind, shapes[i]);
}

/* ---- graphs ---- */

static void test_ways_that_fork_and_join_align_their_barriers(void **state)
{
    static const struct flow_node_words nodes[] = {
        {.name = "a", .kind = FLOW_SOURCE, .instances = 2, .batches = 80, .has_watermarks = true},
        {.name = "b", .kind = FLOW_SOURCE, .batches = 30, .has_watermarks = true},
        {.name = "fork", .kind = FLOW_RELAY, .instances = 2},
        {.name = "left", .kind = FLOW_RELAY, .instances = 3, .slow_one_in = 3},
        {.name = "right", .kind = FLOW_RELAY, .instances = 2},
        {.name = "join", .kind = FLOW_RELAY, .instances = 2, .slow_one_in = 10},
        {.name = "sink", .kind = FLOW_SINK, .instances = 1},
        {.name = "side", .kind = FLOW_SINK, .instances = 2},
    };
    static const struct flow_link_words links[] = {
        {.from = 0, .to = 2, .kind = FLETCH_FLOW_FORWARD},
        {.from = 1, .to = 2, .kind = FLETCH_FLOW_BROADCAST, .input = 1},
        {.from = 2, .to = 3, .kind = FLETCH_FLOW_HASH},
        {.from = 2, .to = 4, .kind = FLETCH_FLOW_FORWARD, .is_apart = true},
        {.from = 3, .to = 5, .kind = FLETCH_FLOW_RANGE},
        {.from = 4, .to = 5, .kind = FLETCH_FLOW_REBALANCE, .input = 1},
        {.from = 4, .to = 5, .kind = FLETCH_FLOW_FORWARD, .input = 2},
        {.from = 5, .to = 6, .kind = FLETCH_FLOW_REBALANCE},
        {.from = 4, .to = 7, .kind = FLETCH_FLOW_FORWARD},
    };
    (void)state;
    for (uint64_t barriers = 0; barriers <= 8; barriers += 4) {
        MAKE(nodes, links);
        run_well(barriers);
    }
}

static void test_inputs_in_order_are_read_one_after_the_other(void **state)
{
    static const struct flow_node_words nodes[] = {
        {.name = "build", .kind = FLOW_SOURCE, .batches = 40},
        {.name = "probe", .kind = FLOW_SOURCE, .instances = 2, .batches = 200},
        {.name = "join", .kind = FLOW_SINK, .instances = 2, .reads_in_order = true},
    };
    static const struct flow_link_words links[] = {
        {.from = 1, .to = 2, .kind = FLETCH_FLOW_FORWARD, .input = 1},
        {.from = 0, .to = 2, .kind = FLETCH_FLOW_BROADCAST, .input = 0},
    };
    (void)state;
    MAKE(nodes, links);
    start();
    assert_true(send_barriers(30) > 0);
    wait_until_all_is_well();
    for (uint32_t i = 0; i < 2; i++)
        assert_true(scene.actors[2][i].in[0].rows > 0 && scene.actors[2][i].in[1].rows > 0);
    flow_scene_end(&scene);
}

/* ---- barriers ---- */

static const struct flow_node_words endless_nodes[] = {
    {.name = "source", .kind = FLOW_SOURCE, .instances = 2, .batches = UINT32_MAX},
    {.name = "sink", .kind = FLOW_SINK, .instances = 2, .slow_one_in = 4},
};
static const struct flow_link_words endless_links[] = {
    {.from = 0, .to = 1, .kind = FLETCH_FLOW_HASH},
};

static void test_a_barrier_is_passed_when_all_instances_have_it(void **state)
{
    struct fletch_error error;
    (void)state;
    MAKE(endless_nodes, endless_links);
    assert_int_equal(fletch_flow_barrier(scene.flow, 1, NULL), FLETCH_FAILED_PRECONDITION);
    start();
    for (uint64_t id = 1; id <= 80; id++) {
        assert_ok(fletch_flow_barrier(scene.flow, id, &error));
        assert_ok(fletch_flow_wait_barrier(scene.flow, id, patience_ns, &error));
        struct fletch_stage_statistics found = {.struct_size = sizeof found};
        assert_ok(
            fletch_flow_stage_statistics(scene.flow, 1, FLETCH_FLOW_ALL_INSTANCES, &found, NULL));
        assert_int_equal(found.barriers, 2 * id);
    }
    assert_ok(fletch_flow_wait_barrier(scene.flow, 1, 0, NULL)); /* long ago */
    assert_int_equal(fletch_flow_wait_barrier(scene.flow, 81, 0, &error), FLETCH_NOT_FOUND);
    assert_int_equal(fletch_flow_wait_barrier(scene.flow, 0, 0, &error), FLETCH_NOT_FOUND);
    assert_ok(fletch_flow_barrier(scene.flow, 200, NULL));
    /* Between two that were sent, after more than are remembered. */
    assert_int_equal(fletch_flow_wait_barrier(scene.flow, 100, 0, &error), FLETCH_NOT_FOUND);
    assert_ok(fletch_flow_wait_barrier(scene.flow, 200, patience_ns, NULL));
    assert_int_equal(fletch_flow_barrier(scene.flow, 80, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "barrier is 80");
    assert_ok(fletch_flow_stop(scene.flow, patience_ns, &error));
    assert_int_equal(fletch_flow_barrier(scene.flow, 201, &error), FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "has ended");
    wait_until_all_is_well();
    flow_scene_end(&scene);
}

/* ---- pausing ---- */

static void test_a_source_that_pauses_is_woken(void **state)
{
    static const struct flow_node_words nodes[] = {
        {.name = "source", .kind = FLOW_SOURCE, .batches = 20, .pauses_one_in = 1},
        {.name = "sink", .kind = FLOW_SINK},
    };
    static const struct flow_link_words links[] = {{.from = 0, .to = 1}};
    (void)state;
    MAKE(nodes, links);
    assert_int_equal(fletch_flow_wake(scene.flow, 0, NULL), FLETCH_FAILED_PRECONDITION);
    start();
    assert_int_equal(fletch_flow_wake(scene.flow, 1, NULL), FLETCH_OUT_OF_RANGE);
    while (fletch_flow_wait(scene.flow, 0, NULL) == FLETCH_DEADLINE_EXCEEDED)
        assert_ok(fletch_flow_wake(scene.flow, 0, NULL));
    wait_until_all_is_well();
    flow_scene_end(&scene);
}

struct sleeper {
    _Atomic uint32_t calls;
    bool is_over;
};

static enum fletch_status sleep_long(struct fletch_flow_context *context, void *state,
                                     bool *out_has_more, struct fletch_error *error)
{
    struct sleeper *sleeper = state;
    (void)error;
    *out_has_more = !sleeper->is_over;
    fletch_flow_pause(context, FLETCH_NO_TIMEOUT);
    fetch_add_release(&sleeper->calls, 1); /* it may be changed now */
    return FLETCH_OK;
}

static enum fletch_status take_nothing(struct fletch_flow_context *context, void *state,
                                       uint32_t input, struct fletch_batch *batch,
                                       struct fletch_error *error)
{
    (void)context, (void)state, (void)input, (void)batch, (void)error;
    return FLETCH_OK;
}

static const struct fletch_flow_functions nothing_functions = {
    .struct_size = sizeof nothing_functions, .process = take_nothing};

static void test_what_was_done_before_a_wake_is_seen_after_it(void **state)
{
    const struct fletch_flow_functions functions = {.struct_size = sizeof functions,
                                                    .produce = sleep_long};
    struct sleeper sleeper = {.is_over = false};
    const struct fletch_flow_stage source = {.struct_size = sizeof source,
                                             .name = "sleeper",
                                             .functions = &functions,
                                             .argument = &sleeper};
    const struct fletch_flow_stage sink = {
        .struct_size = sizeof sink, .name = "sink", .functions = &nothing_functions};
    struct fletch_flow_edge edge = {.struct_size = sizeof edge};
    struct fletch_transport *transport;
    struct fletch_flow *flow;
    (void)state;
    assert_ok(fletch_transport_create(NULL, NULL, &transport, NULL));
    assert_ok(fletch_flow_create(transport, NULL, &flow, NULL));
    assert_ok(fletch_flow_add_source(flow, &source, &edge.from_stage, NULL));
    assert_ok(fletch_flow_add_sink(flow, &sink, &edge.to_stage, NULL));
    assert_ok(fletch_flow_connect(flow, &edge, NULL, NULL));
    assert_ok(fletch_flow_start(flow, NULL));
    while (load_acquire(&sleeper.calls) == 0)
        fletch_thread_yield();
    assert_int_equal(fletch_flow_wait(flow, 1000000, NULL), FLETCH_DEADLINE_EXCEEDED);
    sleeper.is_over = true;
    assert_ok(fletch_flow_wake(flow, edge.from_stage, NULL));
    assert_ok(fletch_flow_wait(flow, patience_ns, NULL));
    assert_int_equal(load_relaxed(&sleeper.calls), 2); /* relaxed: a count */
    assert_ok(fletch_flow_destroy(flow, 0, NULL));
    assert_ok(fletch_transport_destroy(transport, NULL));
}

/* ---- statistics ---- */

static void check_times(uint32_t stage)
{
    struct fletch_stage_statistics all = {.struct_size = sizeof all}, one = all;
    uint64_t batches = 0, busy_ns = 0;
    uint32_t instances = flow_scene_instances(&scene, stage);
    assert_ok(
        fletch_flow_stage_statistics(scene.flow, stage, FLETCH_FLOW_ALL_INSTANCES, &all, NULL));
    for (uint32_t i = 0; i < instances; i++) {
        assert_ok(fletch_flow_stage_statistics(scene.flow, stage, i, &one, NULL));
        batches += one.batches_in;
        busy_ns += one.busy_ns;
    }
    assert_int_equal(all.instances, instances);
    assert_int_equal(all.instances_ended, instances);
    assert_int_equal(all.batches_in, batches);
    assert_int_equal(all.busy_ns, busy_ns);
    assert_true(busy_ns > 0);
}

static void test_statistics_tell_what_each_stage_and_edge_did(void **state)
{
    static const struct flow_node_words nodes[] = {
        {.name = "source", .kind = FLOW_SOURCE, .instances = 2, .batches = 300},
        {.name = "relay", .kind = FLOW_RELAY, .instances = 2},
        {.name = "sink", .kind = FLOW_SINK, .instances = 1, .slow_one_in = 1},
    };
    static const struct flow_link_words links[] = {
        {.from = 0, .to = 1, .kind = FLETCH_FLOW_FORWARD},
        {.from = 1, .to = 2, .kind = FLETCH_FLOW_REBALANCE},
    };
    struct fletch_edge_statistics edge = {.struct_size = sizeof edge};
    struct fletch_stage_statistics sink = {.struct_size = sizeof sink};
    struct fletch_error error;
    (void)state;
    MAKE(nodes, links);
    assert_int_equal(fletch_flow_stage_statistics(scene.flow, 0, 0, &sink, NULL),
                     FLETCH_FAILED_PRECONDITION);
    start();
    wait_until_all_is_well();
    for (uint32_t i = 0; i < 3; i++)
        check_times(i);
    assert_ok(fletch_flow_stage_statistics(scene.flow, 2, 0, &sink, NULL));
    assert_int_equal(sink.batches_in, 600);
    assert_int_equal(sink.rows_in, scene.actors[2][0].in[0].rows);
    assert_true(sink.watermark == INT64_MAX);
    assert_ok(fletch_flow_edge_statistics(scene.flow, 0, &edge, NULL));
    assert_int_equal(edge.is_fused, 1);
    assert_int_equal(edge.batches, 600);
    assert_int_equal(edge.rows, sink.rows_in);
    assert_ok(fletch_flow_edge_statistics(scene.flow, 1, &edge, NULL));
    assert_int_equal(edge.is_fused, 0);
    assert_int_equal(edge.bytes_queued, 0);
    assert_int_equal(fletch_flow_edge_statistics(scene.flow, 2, &edge, &error),
                     FLETCH_OUT_OF_RANGE);
    assert_int_equal(fletch_flow_stage_statistics(scene.flow, 3, 0, &sink, &error),
                     FLETCH_OUT_OF_RANGE);
    assert_int_equal(fletch_flow_stage_statistics(scene.flow, 2, 1, &sink, &error),
                     FLETCH_OUT_OF_RANGE);
    assert_contains(error.message, "instance is 1");
    flow_scene_end(&scene);
}

/* A sink that holds everybody up until it is let go. */
struct gate {
    _Atomic uint32_t is_open;
    _Atomic uint32_t has_come;
};

static enum fletch_status wait_at_gate(struct fletch_flow_context *context, void *state,
                                       uint32_t input, struct fletch_batch *batch,
                                       struct fletch_error *error)
{
    struct gate *gate = state;
    (void)context, (void)input, (void)batch, (void)error;
    store_relaxed(&gate->has_come, 1);        /* relaxed: a flag without data */
    while (load_relaxed(&gate->is_open) == 0) /* relaxed: as above */
        fletch_thread_yield();
    return FLETCH_OK;
}

static enum fletch_status emit_empty(struct fletch_flow_context *context, void *state,
                                     bool *out_has_more, struct fletch_error *error)
{
    int64_t *words;
    (void)out_has_more;
    struct fletch_batch *batch =
        flow_rows_make(state, fletch_flow_context_cache(context), 1, &words);
    memset(words, 0, FLOW_COLUMNS * sizeof *words);
    return fletch_flow_give(context, 0, batch, error);
}

static void test_who_waits_for_credit_is_told_apart(void **state)
{
    const struct fletch_flow_functions sends = {.struct_size = sizeof sends, .produce = emit_empty};
    const struct fletch_flow_functions waits = {.struct_size = sizeof waits,
                                                .process = wait_at_gate};
    struct gate gate = {.is_open = 0};
    struct fletch_schema *schema = flow_rows_schema();
    const struct fletch_flow_stage source = {
        .struct_size = sizeof source, .name = "eager", .functions = &sends, .argument = schema};
    const struct fletch_flow_stage sink = {
        .struct_size = sizeof sink, .name = "gate", .functions = &waits, .argument = &gate};
    struct fletch_flow_edge edge = {.struct_size = sizeof edge, .is_apart = 1, .capacity = 4};
    struct fletch_stage_statistics found = {.struct_size = sizeof found};
    struct fletch_transport *transport;
    struct fletch_flow *flow;
    struct fletch_error error;
    (void)state;
    assert_ok(fletch_transport_create(NULL, NULL, &transport, NULL));
    assert_ok(fletch_flow_create(transport, NULL, &flow, NULL));
    assert_ok(fletch_flow_add_source(flow, &source, &edge.from_stage, NULL));
    assert_ok(fletch_flow_add_sink(flow, &sink, &edge.to_stage, NULL));
    assert_ok(fletch_flow_connect(flow, &edge, NULL, NULL));
    assert_ok(fletch_flow_start(flow, NULL));
    while (load_relaxed(&gate.has_come) == 0) /* relaxed: a flag without data */
        fletch_thread_yield();
    assert_int_equal(fletch_flow_wait(flow, 20000000, &error), FLETCH_DEADLINE_EXCEEDED);
    assert_contains(error.message, "stage 'gate', instance 0 is at work");
    assert_ok(fletch_flow_stage_statistics(flow, edge.to_stage, 0, &found, NULL));
    assert_int_equal(found.batches_in, 1);
    /* A function that does not return cannot be stopped, and the flow not be freed under it. */
    assert_int_equal(fletch_flow_stop(flow, 10000000, &error), FLETCH_DEADLINE_EXCEEDED);
    assert_int_equal(fletch_flow_destroy(flow, 10000000, &error), FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "stage 'gate', instance 0");
    store_relaxed(&gate.is_open, 1); /* relaxed: a flag without data */
    assert_int_equal(fletch_flow_wait(flow, patience_ns, &error), FLETCH_CANCELLED);
    assert_ok(fletch_flow_stage_statistics(flow, edge.from_stage, 0, &found, NULL));
    assert_true(found.credit_wait_ns > 10000000);
    assert_true(found.batches_out <= 8); /* no more than the ring and what waits */
    assert_ok(fletch_flow_destroy(flow, 0, NULL));
    fletch_schema_release(schema);
    assert_ok(fletch_transport_destroy(transport, NULL));
}

/* ---- processors ---- */

static void test_threads_stay_where_they_are_told_to(void **state)
{
    static const uint32_t cpus[] = {0};
    static const uint32_t no_such_cpu[] = {100000};
    const struct fletch_flow_functions functions = {.struct_size = sizeof functions,
                                                    .produce = sleep_long};
    struct sleeper sleeper = {.is_over = true};
    struct fletch_flow_stage source = {.struct_size = sizeof source,
                                       .name = "sleeper",
                                       .functions = &functions,
                                       .argument = &sleeper,
                                       .cpus = cpus,
                                       .cpu_count = 1};
    struct fletch_transport *transport;
    struct fletch_error error;
    (void)state;
    assert_ok(fletch_transport_create(NULL, NULL, &transport, NULL));
    for (int i = 0; i < 2; i++) {
        struct fletch_flow *flow;
        uint32_t stage;
        source.cpus = i == 0 ? cpus : no_such_cpu;
        assert_ok(fletch_flow_create(transport, NULL, &flow, NULL));
        assert_ok(fletch_flow_add_source(flow, &source, &stage, NULL));
        enum fletch_status status = fletch_flow_start(flow, &error);
        if (i == 0) {
            assert_ok(status);
            assert_ok(fletch_flow_wait(flow, patience_ns, NULL));
        } else {
            assert_int_equal(status, FLETCH_INVALID_ARGUMENT);
            assert_contains(error.message, "cpu 100000");
            assert_int_equal(fletch_flow_wait(flow, 0, NULL), FLETCH_INVALID_ARGUMENT);
        }
        assert_ok(fletch_flow_destroy(flow, 0, NULL));
    }
    assert_ok(fletch_transport_destroy(transport, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_edge_gives_what_was_sent_in_order),
        cmocka_unit_test(test_ways_that_fork_and_join_align_their_barriers),
        cmocka_unit_test(test_inputs_in_order_are_read_one_after_the_other),
        cmocka_unit_test(test_a_barrier_is_passed_when_all_instances_have_it),
        cmocka_unit_test(test_a_source_that_pauses_is_woken),
        cmocka_unit_test(test_what_was_done_before_a_wake_is_seen_after_it),
        cmocka_unit_test(test_statistics_tell_what_each_stage_and_edge_did),
        cmocka_unit_test(test_who_waits_for_credit_is_told_apart),
        cmocka_unit_test(test_threads_stay_where_they_are_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
