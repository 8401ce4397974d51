#include <fletching/fletching.h>

#include <stdio.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/flow_scenes.h"

/* What is refused, and how: in adding, in connecting, and when the whole graph is looked at. */

static struct flow_scene scene;

/* ---- graphs ---- */

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void must_refuse(const struct flow_node_words *nodes, size_t node_count,
                        const struct flow_link_words *links, size_t link_count,
                        const char *expected)
{
    const struct flow_scene_words words = {.seed = 1};
    struct fletch_error error;
    scene.nodes = nodes;
    scene.links = links;
    scene.node_count = (uint32_t)node_count;
    scene.link_count = (uint32_t)link_count;
    if (flow_scene_try(&scene, &words, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(fletch_flow_start(scene.flow, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, expected);
    /* Nothing runs, and it stays like that. */
    assert_int_equal(fletch_flow_start(scene.flow, NULL), FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fletch_flow_wait(scene.flow, 0, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, expected);
    assert_int_equal(fletch_flow_barrier(scene.flow, 1, NULL), FLETCH_INVALID_ARGUMENT);
    fletch_flow_cancel(scene.flow, "again");
    assert_int_equal(fletch_flow_stop(scene.flow, 0, NULL), FLETCH_INVALID_ARGUMENT);
    assert_null(flow_scene_close_complaint(&scene));
    flow_scene_end(&scene);
}

static const struct flow_node_words five[] = {
    {.name = "source", .kind = FLOW_SOURCE}, {.name = "a", .kind = FLOW_RELAY},
    {.name = "b", .kind = FLOW_RELAY},       {.name = "c", .kind = FLOW_RELAY},
    {.name = "sink", .kind = FLOW_SINK},
};

static void test_a_cycle_is_named(void **state)
{
    static const struct flow_link_words links[] = {
        {.from = 0, .to = 1},
        {.from = 1, .to = 2, .kind = FLETCH_FLOW_HASH},
        {.from = 2, .to = 3},
        {.from = 3, .to = 1, .kind = FLETCH_FLOW_REBALANCE, .input = 1},
        {.from = 3, .to = 4, .kind = FLETCH_FLOW_BROADCAST},
    };
    static const struct flow_link_words self[] = {
        {.from = 0, .to = 1}, {.from = 1, .to = 1, .input = 1},
        {.from = 1, .to = 2}, {.from = 2, .to = 3},
        {.from = 3, .to = 4},
    };
    (void)state;
    must_refuse(five, COUNT(five), links, COUNT(links), "'a' -> 'b' -> 'c' -> 'a'");
    must_refuse(five, COUNT(five), self, COUNT(self), ": 'a' -> 'a'");
}

static void test_a_long_cycle_is_cut_and_not_written_past(void **state)
{
    static const char long_name[] = "a name of which five do not fit into a message, at the most";
    struct flow_node_words nodes[FLOW_NODES_MAX];
    struct flow_link_words links[FLOW_NODES_MAX];
    char names[FLOW_NODES_MAX][sizeof long_name + 2];
    (void)state;
    for (uint32_t i = 0; i < FLOW_NODES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%s %u", long_name, i);
        nodes[i] = (struct flow_node_words){.name = names[i], .kind = FLOW_RELAY};
        links[i] = (struct flow_link_words){.from = i, .to = (i + 1) % FLOW_NODES_MAX};
    }
    must_refuse(nodes, FLOW_NODES_MAX, links, FLOW_NODES_MAX, "a cycle of edges");
}

static void test_a_stage_without_input_is_refused(void **state)
{
    static const struct flow_link_words links[] = {
        {.from = 0, .to = 1}, {.from = 1, .to = 2}, {.from = 3, .to = 4}};
    (void)state;
    must_refuse(five, COUNT(five), links, COUNT(links), "stage 'c' has no input");
    must_refuse(NULL, 0, NULL, 0, "has no stages");
}

static void test_inputs_in_order_must_not_stem_from_one_source(void **state)
{
    static const struct flow_node_words nodes[] = {
        {.name = "source", .kind = FLOW_SOURCE},
        {.name = "other", .kind = FLOW_SOURCE},
        {.name = "a", .kind = FLOW_RELAY},
        {.name = "b", .kind = FLOW_RELAY},
        {.name = "join", .kind = FLOW_SINK, .reads_in_order = true},
    };
    static const struct flow_link_words links[] = {
        {.from = 0, .to = 2},
        {.from = 1, .to = 3},
        {.from = 0, .to = 3, .input = 1},
        {.from = 2, .to = 4},
        {.from = 3, .to = 4, .input = 1},
    };
    (void)state;
    must_refuse(nodes, COUNT(nodes), links, COUNT(links),
                "stage 'join' reads its inputs in order, and 'source' sends to input");
}

static void test_an_edge_says_what_its_shuffle_refuses(void **state)
{
    static const uint32_t no_column = 9;
    struct flow_node_words nodes[] = {{.name = "source", .kind = FLOW_SOURCE},
                                      {.name = "sink", .kind = FLOW_SINK}};
    const struct flow_scene_words words = {.seed = 1};
    struct fletch_error error;
    (void)state;
    scene.nodes = nodes;
    scene.node_count = 2;
    scene.link_count = 0;
    assert_ok(flow_scene_try(&scene, &words, &error));
    const struct fletch_flow_edge edge = {.struct_size = sizeof edge,
                                          .kind = FLETCH_FLOW_HASH,
                                          .from_stage = 0,
                                          .to_stage = 1,
                                          .schema = scene.schema,
                                          .key_columns = &no_column,
                                          .key_column_count = 1};
    assert_ok(fletch_flow_connect(scene.flow, &edge, NULL, NULL));
    assert_int_equal(fletch_flow_start(scene.flow, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "the edge from 'source' to 'sink': ");
    assert_contains(error.message, "9");
    flow_scene_end(&scene);
}

/* ---- single calls ---- */

static enum fletch_status produce_nothing(struct fletch_flow_context *context, void *state,
                                          bool *out_has_more, struct fletch_error *error)
{
    (void)context, (void)state, (void)error;
    *out_has_more = false;
    return FLETCH_OK;
}

static enum fletch_status take_nothing(struct fletch_flow_context *context, void *state,
                                       uint32_t input, struct fletch_batch *batch,
                                       struct fletch_error *error)
{
    (void)context, (void)state, (void)input, (void)batch, (void)error;
    return FLETCH_OK;
}

static enum fletch_status watch(struct fletch_flow_context *context, void *state, int64_t watermark,
                                struct fletch_error *error)
{
    (void)context, (void)state, (void)watermark, (void)error;
    return FLETCH_OK;
}

struct bench {
    struct fletch_transport *transport;
    struct fletch_flow *flow;
    struct fletch_schema *schema;
    struct fletch_error error;
    uint32_t source;
    uint32_t sink;
};

static const struct fletch_flow_functions produces = {.struct_size = sizeof produces,
                                                      .produce = produce_nothing};
static const struct fletch_flow_functions processes = {.struct_size = sizeof processes,
                                                       .process = take_nothing};

static struct fletch_flow_stage stage_of(const char *name,
                                         const struct fletch_flow_functions *functions)
{
    return (struct fletch_flow_stage){
        .struct_size = sizeof(struct fletch_flow_stage), .name = name, .functions = functions};
}

static struct bench bench_make(void)
{
    struct bench bench = {.schema = flow_rows_schema()};
    struct fletch_flow_stage source = stage_of("source", &produces);
    struct fletch_flow_stage sink = stage_of("sink", &processes);
    sink.instance_count = 2;
    assert_ok(fletch_transport_create(NULL, NULL, &bench.transport, NULL));
    assert_ok(fletch_flow_create(bench.transport, NULL, &bench.flow, NULL));
    assert_ok(fletch_flow_add_source(bench.flow, &source, &bench.source, NULL));
    assert_ok(fletch_flow_add_sink(bench.flow, &sink, &bench.sink, NULL));
    return bench;
}

static void bench_end(struct bench *bench)
{
    assert_ok(fletch_flow_destroy(bench->flow, 0, NULL));
    assert_ok(fletch_transport_destroy(bench->transport, NULL));
    fletch_schema_release(bench->schema);
}

static void check_refused(struct bench *bench, enum fletch_status found,
                          enum fletch_status expected, const char *message)
{
    assert_int_equal(found, expected);
    assert_contains(bench->error.message, message);
}

#define REFUSED(call, status, message) check_refused(&bench, call, status, message)

static void test_stages_are_checked_when_they_are_added(void **state)
{
    struct bench bench = bench_make();
    struct fletch_flow *flow = bench.flow;
    struct fletch_error *error = &bench.error;
    static const uint32_t cpu = 0;
    char long_name[65];
    uint32_t number = 77;
    (void)state;
    memset(long_name, 'x', 64);
    long_name[64] = '\0';
    struct fletch_flow_stage stage = stage_of(long_name, &processes);
    REFUSED(fletch_flow_add_stage(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT, "64");
    stage.name = "";
    REFUSED(fletch_flow_add_stage(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT, "name");
    stage.name = "sink";
    REFUSED(fletch_flow_add_stage(flow, &stage, &number, error), FLETCH_ALREADY_EXISTS, "'sink'");
    stage.name = "new";
    stage.instance_count = 1025;
    REFUSED(fletch_flow_add_stage(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT,
            "instance_count is 1025, expected 1 to 1024");
    stage.instance_count = 0;
    stage.output_count = 65;
    REFUSED(fletch_flow_add_stage(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT,
            "output_count is 65");
    stage.output_count = 1;
    REFUSED(fletch_flow_add_sink(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT,
            "output_count of a sink is 1");
    stage.cpus = &cpu;
    REFUSED(fletch_flow_add_stage(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT,
            "cpu_count is 0, and cpus is given");
    stage.cpus = NULL;
    stage.reads_in_order = 2;
    REFUSED(fletch_flow_add_stage(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT,
            "reads_in_order is 2");
    stage.reads_in_order = 0;
    REFUSED(fletch_flow_add_source(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT,
            "source 'new' needs a function 'produce'");
    struct fletch_flow_functions functions = produces;
    stage.functions = &functions;
    REFUSED(fletch_flow_add_stage(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT,
            "stage 'new' needs a function 'process'");
    functions.on_watermark = watch;
    REFUSED(fletch_flow_add_source(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT,
            "never called: 'on_watermark'");
    functions = processes;
    functions.produce = produce_nothing;
    REFUSED(fletch_flow_add_stage(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT,
            "never called: 'produce'");
    stage.struct_size = 8;
    assert_int_equal(fletch_flow_add_stage(flow, &stage, &number, error), FLETCH_INVALID_ARGUMENT);
    assert_int_equal(number, 77);
    bench_end(&bench);
}

static void test_edges_are_checked_when_they_are_made(void **state)
{
    struct bench bench = bench_make();
    struct fletch_flow *flow = bench.flow;
    struct fletch_error *error = &bench.error;
    struct fletch_flow_edge edge = {
        .struct_size = sizeof edge, .from_stage = bench.source, .to_stage = bench.sink};
    uint32_t number = 77;
    (void)state;
    REFUSED(fletch_flow_connect(flow, &edge, &number, error), FLETCH_INVALID_ARGUMENT,
            "the 1 instances of 'source' to the 2 of 'sink'");
    edge.kind = FLETCH_FLOW_REBALANCE;
    REFUSED(fletch_flow_connect(flow, &edge, &number, error), FLETCH_INVALID_ARGUMENT, "schema");
    edge.schema = bench.schema;
    edge.kind = FLETCH_FLOW_HASH;
    REFUSED(fletch_flow_connect(flow, &edge, &number, error), FLETCH_INVALID_ARGUMENT, "key");
    edge.kind = (enum fletch_flow_edge_kind)5;
    REFUSED(fletch_flow_connect(flow, &edge, &number, error), FLETCH_INVALID_ARGUMENT,
            "kind is 5, expected 0 to 4");
    edge.kind = FLETCH_FLOW_REBALANCE;
    edge.from_output = 1;
    REFUSED(fletch_flow_connect(flow, &edge, &number, error), FLETCH_OUT_OF_RANGE,
            "output 1 of source 'source', which has 1");
    edge.from_output = 0;
    edge.to_stage = 2;
    REFUSED(fletch_flow_connect(flow, &edge, &number, error), FLETCH_OUT_OF_RANGE, "stage 2");
    edge.to_stage = bench.source;
    REFUSED(fletch_flow_connect(flow, &edge, &number, error), FLETCH_INVALID_ARGUMENT,
            "which is a source");
    edge.to_stage = bench.sink;
    edge.from_stage = bench.sink;
    REFUSED(fletch_flow_connect(flow, &edge, &number, error), FLETCH_OUT_OF_RANGE,
            "output 0 of sink 'sink', which has 0");
    edge.from_stage = bench.source;
    edge.to_input = 64;
    REFUSED(fletch_flow_connect(flow, &edge, &number, error), FLETCH_INVALID_ARGUMENT,
            "to_input is 64");
    edge.to_input = 0;
    edge.is_apart = 2;
    REFUSED(fletch_flow_connect(flow, &edge, &number, error), FLETCH_INVALID_ARGUMENT,
            "is_apart is 2");
    edge.is_apart = 0;
    assert_int_equal(number, 77);
    assert_ok(fletch_flow_connect(flow, &edge, &number, error));
    assert_int_equal(number, 0);
    assert_ok(fletch_flow_start(flow, error));
    REFUSED(fletch_flow_connect(flow, &edge, &number, error), FLETCH_FAILED_PRECONDITION,
            "was started");
    struct fletch_flow_stage stage = stage_of("late", &processes);
    REFUSED(fletch_flow_add_stage(flow, &stage, &number, error), FLETCH_FAILED_PRECONDITION,
            "was started");
    assert_ok(fletch_flow_wait(flow, UINT64_C(30000000000), error));
    bench_end(&bench);
}

static void test_options_are_checked(void **state)
{
    struct bench bench = bench_make();
    struct fletch_flow_options options = {.struct_size = sizeof options, .barrier_limit = 65};
    struct fletch_flow *flow = NULL;
    (void)state;
    REFUSED(fletch_flow_create(bench.transport, &options, &flow, &bench.error),
            FLETCH_INVALID_ARGUMENT, "barrier_limit is 65, expected 1 to 64");
    options.barrier_limit = 0;
    options.wait_strategy = (enum fletch_wait_strategy)9;
    REFUSED(fletch_flow_create(bench.transport, &options, &flow, &bench.error),
            FLETCH_INVALID_ARGUMENT, "9");
    options.wait_strategy = FLETCH_WAIT_DEFAULT;
    options.name = "";
    REFUSED(fletch_flow_create(bench.transport, &options, &flow, &bench.error),
            FLETCH_INVALID_ARGUMENT, "name of a flow");
    assert_null(flow);
    REFUSED(fletch_flow_wait(bench.flow, 0, &bench.error), FLETCH_FAILED_PRECONDITION,
            "was not started");
    REFUSED(fletch_flow_stop(bench.flow, 0, &bench.error), FLETCH_FAILED_PRECONDITION,
            "was not started");
    assert_ok(fletch_flow_destroy(NULL, 0, NULL));
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cycle_is_named),
        cmocka_unit_test(test_a_long_cycle_is_cut_and_not_written_past),
        cmocka_unit_test(test_a_stage_without_input_is_refused),
        cmocka_unit_test(test_inputs_in_order_must_not_stem_from_one_source),
        cmocka_unit_test(test_an_edge_says_what_its_shuffle_refuses),
        cmocka_unit_test(test_stages_are_checked_when_they_are_added),
        cmocka_unit_test(test_edges_are_checked_when_they_are_made),
        cmocka_unit_test(test_options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
