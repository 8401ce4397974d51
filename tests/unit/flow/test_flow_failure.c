#include <fletching/fletching.h>

#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "support/cmocka_tests.h"
#include "support/flow_puppets.h"
#include "support/flow_scenes.h"

/* Failures of every function of every stage over every kind of edge, and ends from outside: the
 * first cause is told, everything is closed once and in order, and nothing stays charged. */

static const uint64_t patience_ns = UINT64_C(30000000000);

static struct flow_scene scene;

static void run(const struct flow_node_words *nodes, uint32_t node_count,
                const struct flow_link_words *links, uint32_t link_count)
{
    const struct flow_scene_words words = {.seed = 9};
    struct fletch_error error;
    scene.nodes = nodes;
    scene.links = links;
    scene.node_count = node_count;
    scene.link_count = link_count;
    if (flow_scene_try(&scene, &words, &error) != FLETCH_OK ||
        fletch_flow_start(scene.flow, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
}

/* Barriers until it has ended: something to fail in. */
static void send_barriers(void)
{
    uint64_t id = 1;
    while (fletch_flow_wait(scene.flow, 0, NULL) == FLETCH_DEADLINE_EXCEEDED)
        if (fletch_flow_barrier(scene.flow, id, NULL) == FLETCH_OK)
            id++;
        else
            fletch_thread_yield();
}

static void end(void)
{
    const char *complaint = flow_scene_close_complaint(&scene);
    if (complaint != NULL)
        fail_msg("%s", complaint);
    flow_scene_end(&scene);
}

/* ---- every function of every stage ---- */

/* Instances of source, relay and sink. */
struct shape {
    uint32_t instances[3];
};

static void fail_at(enum fletch_flow_edge_kind kind, const struct shape *shape, uint32_t node,
                    enum flow_fault fault)
{
    struct flow_node_words nodes[] = {
        {.name = "source",
         .kind = FLOW_SOURCE,
         .batches = fault == FAULT_INPUT_END || fault == FAULT_FINISH ? 20 : UINT32_MAX,
         .has_watermarks = true},
        {.name = "relay", .kind = FLOW_RELAY},
        {.name = "sink", .kind = FLOW_SINK, .slow_one_in = 10},
    };
    const struct flow_link_words links[] = {{.from = 0, .to = 1, .kind = kind},
                                            {.from = 1, .to = 2, .kind = kind, .is_apart = true}};
    struct fletch_error error;
    char expected[100];
    for (uint32_t i = 0; i < 3; i++)
        nodes[i].instances = shape->instances[i];
    nodes[node].fault = fault;
    nodes[node].fault_instance = shape->instances[node] - 1;
    nodes[node].fault_after = fault == FAULT_WORK ? 7 : fault == FAULT_BARRIER ? 2 : 0;
    run(nodes, 3, links, 2);
    send_barriers();
    assert_int_equal(fletch_flow_wait(scene.flow, patience_ns, &error), FLETCH_ABORTED);
    snprintf(expected, sizeof expected, "stage '%s', instance %u: as planned", nodes[node].name,
             nodes[node].fault_instance);
    assert_contains(error.message, expected);
    fletch_flow_cancel(scene.flow, "too late");
    assert_int_equal(fletch_flow_wait(scene.flow, 0, NULL), FLETCH_ABORTED);
    assert_int_equal(fletch_flow_barrier(scene.flow, 1000000, NULL), FLETCH_ABORTED);
    assert_int_equal(fletch_flow_wait_barrier(scene.flow, 1, 0, NULL), FLETCH_ABORTED);
    end();
}

static void fail_at_each_function(enum fletch_flow_edge_kind kind, uint32_t node)
{
    static const struct shape shapes[] = {{{2, 2, 2}}, {{3, 1, 4}}};
    uint32_t count = kind == FLETCH_FLOW_FORWARD ? 1 : 2; /* one to one */
    for (int fault = FAULT_INIT; fault <= FAULT_FINISH; fault++)
        for (uint32_t i = 0; i < count; i++)
            if (node != 0 || (fault != FAULT_WATERMARK && fault != FAULT_INPUT_END))
                fail_at(kind, &shapes[i], node, (enum flow_fault)fault);
}

static void test_the_first_failure_stops_everything_and_is_told(void **state)
{
    (void)state;
    for (int kind = FLETCH_FLOW_FORWARD; kind <= FLETCH_FLOW_BROADCAST; kind++)
        for (uint32_t node = 0; node < 3; node++)
            fail_at_each_function((enum fletch_flow_edge_kind)kind, node);
}

/* ---- what does not return ---- */

static void hang_in(enum fletch_flow_edge_kind kind, uint32_t node, enum flow_fault fault)
{
    struct flow_node_words nodes[] = {
        {.name = "source",
         .kind = FLOW_SOURCE,
         .instances = 2,
         .batches = fault == FAULT_INPUT_END || fault == FAULT_FINISH ? 20 : UINT32_MAX,
         .has_watermarks = true},
        {.name = "relay", .kind = FLOW_RELAY, .instances = 2},
        {.name = "sink", .kind = FLOW_SINK, .instances = 2},
    };
    const struct flow_link_words links[] = {{.from = 0, .to = 1, .kind = kind, .is_apart = true},
                                            {.from = 1, .to = 2, .kind = kind, .is_apart = true}};
    struct fletch_error error;
    char expected[100];
    nodes[node].fault = fault;
    nodes[node].fault_instance = 1;
    nodes[node].fault_is_hang = true;
    run(nodes, 3, links, 2);
    for (uint64_t id = 1; load_relaxed(&scene.hangs) == 0; id++) { /* relaxed: a flag */
        (void)!fletch_flow_barrier(scene.flow, id, NULL);
        fletch_thread_yield();
    }
    /* Both come back in time, though the function does not. */
    assert_int_equal(fletch_flow_stop(scene.flow, 5000000, &error), FLETCH_DEADLINE_EXCEEDED);
    do /* the others leave as soon as they are given the processor */
        assert_int_equal(fletch_flow_destroy(scene.flow, 1000000, &error),
                         FLETCH_FAILED_PRECONDITION);
    while (strstr(error.message, "5 of 6 instances have ended") == NULL);
    snprintf(expected, sizeof expected, "stage '%s', instance 1 is at work", nodes[node].name);
    assert_contains(error.message, expected);
    assert_int_equal(fletch_flow_wait(scene.flow, 0, NULL), FLETCH_DEADLINE_EXCEEDED);
    assert_int_equal(load_relaxed(&scene.close_count), 0); /* relaxed: nothing may be closed yet */
    store_relaxed(&scene.is_let_go, 1);                    /* relaxed: a flag without data */
    assert_int_equal(fletch_flow_wait(scene.flow, patience_ns, &error), FLETCH_CANCELLED);
    end();
}

static void test_what_does_not_return_is_named_and_waited_for(void **state)
{
    (void)state;
    for (uint32_t node = 0; node < 3; node++)
        for (int fault = FAULT_INIT; fault <= FAULT_FINISH; fault++) {
            if (node == 0 && (fault == FAULT_WATERMARK || fault == FAULT_INPUT_END))
                continue; /* never called of a source */
            hang_in(FLETCH_FLOW_FORWARD, node, (enum flow_fault)fault);
            hang_in(FLETCH_FLOW_HASH, node, (enum flow_fault)fault);
        }
}

/* Whoever fails first claims the failure, then writes it: meanwhile nothing is called either. */
static void test_nothing_is_called_while_a_failure_is_written(void **state)
{
    static struct puppet_theatre theatre;
    (void)state;
    theatre_open(&theatre, NULL);
    uint32_t source =
        theatre_add(&theatre, &(struct puppet_words){.name = "source", .is_source = true});
    uint32_t sink = theatre_add(&theatre, &(struct puppet_words){.name = "sink"});
    theatre_join(&theatre, source, sink, 0, FLETCH_FLOW_HASH);
    assert_ok(theatre_begin(&theatre, NULL));
    theatre_move(&theatre, source, 0, PUPPET_ROWS, 10);
    struct puppet *puppet = theatre_puppet(&theatre, source, 0);
    uint32_t produced = puppet->produced;
    store_relaxed(&theatre.flow->failure, FLETCH_FAILURE_CLAIMED); /* relaxed: one thread */
    theatre_move(&theatre, source, 0, PUPPET_ROWS, 10);
    assert_int_equal(puppet->produced, produced);
    assert_int_equal(fletch_flow_wait(theatre.flow, 0, NULL), FLETCH_DEADLINE_EXCEEDED);
    store_relaxed(&theatre.flow->failure, FLETCH_FAILURE_NONE); /* relaxed: as above */
    theatre_settle(&theatre);
    assert_true(puppet->produced > produced);
    assert_int_equal(theatre_puppet(&theatre, sink, 0)->rows[0], 20);
    theatre_close(&theatre);
}

/* ---- what a function does wrong ---- */

struct culprit {
    struct fletch_schema *schema;
    enum { EMITS_TO_NOWHERE, EMITS_IN_INIT, EMITS_WATERMARK, FAILS_SILENTLY, SENDS_OTHER } deed;
};

static enum fletch_status emit_in_init(struct fletch_flow_context *context, void *argument,
                                       void **out_state, struct fletch_error *error)
{
    struct culprit *culprit = argument;
    int64_t *words;
    *out_state = argument;
    if (culprit->deed != EMITS_IN_INIT)
        return FLETCH_OK;
    struct fletch_buffer_cache *cache = fletch_flow_context_cache(context);
    struct fletch_batch *batch = flow_rows_make(culprit->schema, cache, 1, &words);
    enum fletch_status status = fletch_flow_emit(context, 0, batch, error);
    fletch_batch_release(cache, batch);
    return status;
}

static enum fletch_status misbehave(struct fletch_flow_context *context, void *state,
                                    bool *out_has_more, struct fletch_error *error)
{
    struct culprit *culprit = state;
    struct fletch_buffer_cache *cache = fletch_flow_context_cache(context);
    int64_t *words;
    (void)out_has_more;
    if (culprit->deed == FAILS_SILENTLY)
        return FLETCH_DATA_LOSS;
    struct fletch_batch *batch = flow_rows_make(culprit->schema, cache, 1, &words);
    memset(words, 0, FLOW_COLUMNS * sizeof *words);
    enum fletch_status status =
        fletch_flow_emit(context, culprit->deed == EMITS_TO_NOWHERE, batch, error);
    fletch_batch_release(cache, batch);
    if (culprit->deed == SENDS_OTHER)
        return FLETCH_OK; /* whatever was answered */
    return status;
}

static enum fletch_status claim_time(struct fletch_flow_context *context, void *state,
                                     uint32_t input, struct fletch_batch *batch,
                                     struct fletch_error *error)
{
    struct culprit *culprit = state;
    (void)input, (void)batch;
    return culprit->deed == EMITS_WATERMARK ? fletch_flow_emit_watermark(context, 1, error)
                                            : FLETCH_OK;
}

static void misbehave_so(struct culprit culprit, struct fletch_schema *edge_schema,
                         enum fletch_status expected, const char *message)
{
    const struct fletch_flow_functions misbehaves = {
        .struct_size = sizeof misbehaves, .init = emit_in_init, .produce = misbehave};
    const struct fletch_flow_functions claims = {.struct_size = sizeof claims,
                                                 .process = claim_time};
    const struct fletch_flow_stage source = {.struct_size = sizeof source,
                                             .name = "culprit",
                                             .functions = &misbehaves,
                                             .argument = &culprit};
    const struct fletch_flow_stage sink = {
        .struct_size = sizeof sink, .name = "sink", .functions = &claims, .argument = &culprit};
    struct fletch_flow_edge edge = {
        .struct_size = sizeof edge, .kind = FLETCH_FLOW_REBALANCE, .schema = edge_schema};
    struct fletch_transport *transport;
    struct fletch_flow *flow;
    struct fletch_error error;
    assert_ok(fletch_transport_create(NULL, NULL, &transport, NULL));
    assert_ok(fletch_flow_create(transport, NULL, &flow, NULL));
    assert_ok(fletch_flow_add_source(flow, &source, &edge.from_stage, NULL));
    assert_ok(fletch_flow_add_sink(flow, &sink, &edge.to_stage, NULL));
    assert_ok(fletch_flow_connect(flow, &edge, NULL, NULL));
    assert_ok(fletch_flow_start(flow, NULL));
    assert_int_equal(fletch_flow_wait(flow, patience_ns, &error), expected);
    assert_contains(error.message, message);
    assert_ok(fletch_flow_destroy(flow, 0, NULL));
    assert_ok(fletch_transport_destroy(transport, NULL));
}

static void test_misuse_is_a_failure_with_its_own_words(void **state)
{
    struct fletch_schema *schema = flow_rows_schema();
    (void)state;
    misbehave_so((struct culprit){schema, EMITS_TO_NOWHERE}, schema, FLETCH_OUT_OF_RANGE,
                 "stage 'culprit', instance 0: output 1 of stage 'culprit'");
    misbehave_so((struct culprit){schema, EMITS_IN_INIT}, schema, FLETCH_FAILED_PRECONDITION,
                 "cannot emit here");
    misbehave_so((struct culprit){schema, EMITS_WATERMARK}, schema, FLETCH_FAILED_PRECONDITION,
                 "stage 'sink', instance 0: stage 'sink' cannot emit a watermark");
    misbehave_so((struct culprit){schema, FAILS_SILENTLY}, schema, FLETCH_DATA_LOSS,
                 "stage 'culprit', instance 0: DATA_LOSS");
    fletch_schema_release(schema);
}

static void test_a_batch_that_an_edge_cannot_take_fails_who_sent_it(void **state)
{
    struct fletch_schema *schema = flow_rows_schema();
    struct fletch_transport *transport;
    struct fletch_buffer_cache *cache;
    (void)state;
    /* Another schema: that of range bounds. */
    assert_ok(fletch_transport_create(NULL, NULL, &transport, NULL));
    assert_ok(fletch_buffer_cache_open(fletch_transport_pool(transport), &cache, NULL));
    struct fletch_batch *bounds = flow_rows_bounds(cache, 2);
    struct fletch_schema *other =
        fletch_schema_acquire((struct fletch_schema *)(uintptr_t)fletch_batch_schema(bounds));
    fletch_batch_release(cache, bounds);
    fletch_buffer_cache_close(cache);
    assert_ok(fletch_transport_destroy(transport, NULL));
    misbehave_so((struct culprit){schema, SENDS_OTHER}, other, FLETCH_INVALID_ARGUMENT,
                 "stage 'culprit', instance 0: ");
    fletch_schema_release(other);
    fletch_schema_release(schema);
}

/* ---- from outside ---- */

static const struct flow_node_words endless_nodes[] = {
    {.name = "source", .kind = FLOW_SOURCE, .instances = 2, .batches = UINT32_MAX},
    {.name = "relay", .kind = FLOW_RELAY, .instances = 3},
    {.name = "sink", .kind = FLOW_SINK, .slow_one_in = 3},
};
static const struct flow_link_words endless_links[] = {
    {.from = 0, .to = 1, .kind = FLETCH_FLOW_REBALANCE},
    {.from = 1, .to = 2, .kind = FLETCH_FLOW_HASH},
};

static void test_a_flow_that_is_stopped_loses_nothing(void **state)
{
    struct fletch_error error;
    (void)state;
    run(endless_nodes, 3, endless_links, 2);
    assert_int_equal(fletch_flow_wait(scene.flow, 20000000, &error), FLETCH_DEADLINE_EXCEEDED);
    assert_contains(error.message, "0 of 6 instances have ended");
    if (fletch_flow_stop(scene.flow, patience_ns, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    const char *complaint = flow_scene_complaint(&scene);
    if (complaint != NULL)
        fail_msg("%s", complaint);
    flow_scene_end(&scene);
}

static void test_a_flow_that_is_cancelled_says_why(void **state)
{
    struct fletch_error error;
    (void)state;
    run(endless_nodes, 3, endless_links, 2);
    assert_int_equal(fletch_flow_wait(scene.flow, 10000000, &error), FLETCH_DEADLINE_EXCEEDED);
    fletch_flow_cancel(scene.flow, "enough");
    fletch_flow_cancel(scene.flow, "twice");
    assert_int_equal(fletch_flow_wait(scene.flow, patience_ns, &error), FLETCH_CANCELLED);
    assert_string_equal(error.message, "CANCELLED: flow 'scene' was cancelled: enough");
    end();
    run(endless_nodes, 3, endless_links, 2);
    flow_scene_end(&scene); /* destroyed while it runs */
    assert_null(flow_scene_close_complaint(&scene));
}

static void test_a_flow_that_was_never_started_closes_nothing(void **state)
{
    const struct flow_scene_words words = {.seed = 9};
    (void)state;
    scene.nodes = endless_nodes;
    scene.links = endless_links;
    scene.node_count = 3;
    scene.link_count = 2;
    assert_ok(flow_scene_try(&scene, &words, NULL));
    end();
}

/* A sink that keeps all that it gets, so that what comes next finds no memory. */
struct keeper {
    struct fletch_schema *schema;
    struct fletch_batch *kept[20000];
    uint32_t count;
};

static enum fletch_status send_much(struct fletch_flow_context *context, void *state,
                                    bool *out_has_more, struct fletch_error *error)
{
    struct keeper *keeper = state;
    int64_t *words;
    (void)out_has_more;
    struct fletch_batch *batch =
        flow_rows_make(keeper->schema, fletch_flow_context_cache(context), 100, &words);
    memset(words, 0, 100 * FLOW_COLUMNS * sizeof *words);
    return fletch_flow_give(context, 0, batch, error);
}

static enum fletch_status keep(struct fletch_flow_context *context, void *state, uint32_t input,
                               struct fletch_batch *batch, struct fletch_error *error)
{
    struct keeper *keeper = state;
    (void)context, (void)input, (void)error;
    if (keeper->count < sizeof keeper->kept / sizeof *keeper->kept)
        keeper->kept[keeper->count++] = fletch_batch_acquire(batch);
    return FLETCH_OK;
}

static void let_go(struct fletch_flow_context *context, void *state)
{
    struct keeper *keeper = state;
    for (uint32_t i = 0; i < keeper->count; i++)
        fletch_batch_release(fletch_flow_context_cache(context), keeper->kept[i]);
}

static void test_a_flow_whose_memory_is_kept_fails_in_time(void **state)
{
    static struct keeper keeper;
    static const uint32_t key = 0;
    const struct fletch_flow_functions sends = {.struct_size = sizeof sends, .produce = send_much};
    const struct fletch_flow_functions keeps = {
        .struct_size = sizeof keeps, .process = keep, .close = let_go};
    const struct fletch_flow_stage source = {
        .struct_size = sizeof source, .name = "source", .functions = &sends, .argument = &keeper};
    const struct fletch_flow_stage sink = {
        .struct_size = sizeof sink, .name = "keeper", .functions = &keeps, .argument = &keeper};
    const struct fletch_flow_options options = {.struct_size = sizeof options,
                                                .memory_timeout_ns = 50000000};
    const struct fletch_transport_options small = {.struct_size = sizeof small,
                                                   .budget_bytes = 1024 * 1024};
    struct fletch_transport *transport;
    struct fletch_flow *flow;
    struct fletch_error error;
    (void)state;
    keeper.schema = flow_rows_schema();
    struct fletch_flow_edge edge = {.struct_size = sizeof edge,
                                    .kind = FLETCH_FLOW_HASH,
                                    .schema = keeper.schema,
                                    .key_columns = &key,
                                    .key_column_count = 1,
                                    .frame_bytes = 4096};
    assert_ok(fletch_transport_create(&small, NULL, &transport, NULL));
    assert_ok(fletch_flow_create(transport, &options, &flow, NULL));
    assert_ok(fletch_flow_add_source(flow, &source, &edge.from_stage, NULL));
    assert_ok(fletch_flow_add_sink(flow, &sink, &edge.to_stage, NULL));
    assert_ok(fletch_flow_connect(flow, &edge, NULL, NULL));
    assert_ok(fletch_flow_start(flow, NULL));
    assert_int_equal(fletch_flow_wait(flow, patience_ns, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "stage 'source', instance 0: ");
    assert_true(keeper.count > 10);
    assert_ok(fletch_flow_destroy(flow, 0, NULL));
    assert_ok(fletch_transport_destroy(transport, NULL));
    fletch_schema_release(keeper.schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_failure_stops_everything_and_is_told),
        cmocka_unit_test(test_what_does_not_return_is_named_and_waited_for),
        cmocka_unit_test(test_nothing_is_called_while_a_failure_is_written),
        cmocka_unit_test(test_misuse_is_a_failure_with_its_own_words),
        cmocka_unit_test(test_a_batch_that_an_edge_cannot_take_fails_who_sent_it),
        cmocka_unit_test(test_a_flow_that_is_stopped_loses_nothing),
        cmocka_unit_test(test_a_flow_that_is_cancelled_says_why),
        cmocka_unit_test(test_a_flow_that_was_never_started_closes_nothing),
        cmocka_unit_test(test_a_flow_whose_memory_is_kept_fails_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
