#include <fletching/fletching.h>

#include <string.h>

#include "base/thread.h"
#include "support/cmocka_tests.h"
#include "support/flow_puppets.h"
#include "support/flow_scenes.h"

/* Stages that want no more: what sends to them stops in order, whoever shares a way with them gets
 * all that is his, and what was dropped is counted. */

static const uint64_t patience_ns = UINT64_C(30000000000);

static struct flow_scene scene;
static struct puppet_theatre theatre;

static void run(const struct flow_node_words *nodes, uint32_t node_count,
                const struct flow_link_words *links, uint32_t link_count, uint64_t barriers)
{
    const struct flow_scene_words words = {
        .seed = 11, .barrier_limit = 3, .budget_bytes = UINT64_C(4) << 20};
    struct fletch_error error;
    scene.nodes = nodes;
    scene.links = links;
    scene.node_count = node_count;
    scene.link_count = link_count;
    if (flow_scene_try(&scene, &words, &error) != FLETCH_OK ||
        fletch_flow_start(scene.flow, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    for (uint64_t id = 1; id <= barriers;) {
        enum fletch_status status = fletch_flow_barrier(scene.flow, id, &error);
        if (status == FLETCH_FAILED_PRECONDITION)
            break; /* it has ended */
        id += status == FLETCH_OK;
        fletch_thread_yield();
    }
    if (fletch_flow_wait(scene.flow, patience_ns, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    const char *complaint = flow_scene_complaint(&scene);
    if (complaint != NULL)
        fail_msg("%s", complaint);
}

static uint64_t unread(uint32_t edge)
{
    struct fletch_edge_statistics found = {.struct_size = sizeof found};
    assert_ok(fletch_flow_edge_statistics(scene.flow, edge, &found, NULL));
    return found.rows_unread;
}

/* Sources without an end end, over every kind of edge and through a relay. */
static void limit(enum fletch_flow_edge_kind kind, uint32_t instances, uint64_t barriers)
{
    const struct flow_node_words nodes[] = {
        {.name = "source", .kind = FLOW_SOURCE, .instances = 2, .batches = UINT32_MAX},
        {.name = "relay", .kind = FLOW_RELAY, .instances = instances},
        {.name = "sink", .kind = FLOW_SINK, .instances = instances, .enough_after = 7},
    };
    const struct flow_link_words links[] = {
        {.from = 0, .to = 1, .kind = kind, .is_apart = true},
        {.from = 1, .to = 2, .kind = kind, .is_apart = true},
    };
    run(nodes, 3, links, 2, barriers);
    for (uint32_t i = 0; i < instances; i++) {
        assert_int_equal(scene.actors[2][i].calls[FAULT_WORK], 7);
        assert_int_equal(scene.actors[2][i].finishes, i + 1);
    }
    flow_scene_end(&scene);
}

static void test_a_limit_ends_sources_that_have_no_end(void **state)
{
    (void)state;
    for (int kind = FLETCH_FLOW_FORWARD; kind <= FLETCH_FLOW_BROADCAST; kind++)
        for (uint64_t barriers = 0; barriers <= 50; barriers += 50)
            limit((enum fletch_flow_edge_kind)kind, 2, barriers);
    for (int kind = FLETCH_FLOW_HASH; kind <= FLETCH_FLOW_BROADCAST; kind++)
        for (uint32_t instances = 1; instances <= 3; instances += 2)
            limit((enum fletch_flow_edge_kind)kind, instances, 20);
}

/* One of two readers of the same output has had enough, the other gets everything. */
static void test_others_get_all_that_is_theirs(void **state)
{
    static const struct flow_node_words nodes[] = {
        {.name = "source", .kind = FLOW_SOURCE, .instances = 2, .batches = 300},
        {.name = "few", .kind = FLOW_SINK, .instances = 2, .enough_after = 3},
        {.name = "all", .kind = FLOW_SINK, .instances = 3, .slow_one_in = 3},
    };
    (void)state;
    for (int kind = FLETCH_FLOW_FORWARD; kind <= FLETCH_FLOW_BROADCAST; kind++) {
        const struct flow_link_words links[] = {
            {.from = 0, .to = 1, .kind = (enum fletch_flow_edge_kind)kind},
            {.from = 0, .to = 2, .kind = FLETCH_FLOW_HASH},
        };
        run(nodes, 3, links, 2, 20);
        uint64_t sent = scene.actors[0][0].out[0].rows + scene.actors[0][1].out[0].rows;
        uint64_t got = 0;
        for (uint32_t i = 0; i < 3; i++)
            got += scene.actors[2][i].in[0].rows;
        assert_int_equal(got, sent);
        assert_int_equal(unread(1), 0);
        assert_true(unread(0) > 0);
        flow_scene_end(&scene);
    }
}

static void test_a_stage_that_reads_to_the_end_does(void **state)
{
    static const struct flow_node_words nodes[] = {
        {.name = "source", .kind = FLOW_SOURCE, .batches = 200},
        {.name = "audit", .kind = FLOW_RELAY, .instances = 2, .reads_to_end = true},
        {.name = "sink", .kind = FLOW_SINK, .enough_after = 2},
    };
    static const struct flow_link_words links[] = {
        {.from = 0, .to = 1, .kind = FLETCH_FLOW_REBALANCE},
        {.from = 1, .to = 2, .kind = FLETCH_FLOW_HASH},
    };
    struct fletch_stage_statistics audit = {.struct_size = sizeof audit};
    (void)state;
    run(nodes, 3, links, 2, 5);
    assert_ok(fletch_flow_stage_statistics(scene.flow, 1, FLETCH_FLOW_ALL_INSTANCES, &audit, NULL));
    assert_int_equal(audit.batches_in, 200);
    assert_int_equal(audit.batches_unread, 0);
    assert_int_equal(audit.rows_in, scene.actors[0][0].out[0].rows);
    assert_true(unread(1) > 0);
    flow_scene_end(&scene);
}

/* A source that pauses for ever is told too; so is one that waits for its turn. */
static void test_who_sleeps_is_woken_to_end(void **state)
{
    (void)state;
    for (int is_in_order = 0; is_in_order < 2; is_in_order++) {
        theatre_open(&theatre, NULL);
        uint32_t a = theatre_add(&theatre, &(struct puppet_words){.name = "a", .is_source = true});
        uint32_t b = theatre_add(&theatre, &(struct puppet_words){.name = "b", .is_source = true});
        uint32_t sink = theatre_add(
            &theatre, &(struct puppet_words){.name = "sink", .reads_in_order = is_in_order != 0});
        theatre_join(&theatre, a, sink, 0, FLETCH_FLOW_HASH);
        theatre_join(&theatre, b, sink, 1, FLETCH_FLOW_FORWARD);
        assert_ok(theatre_begin(&theatre, NULL));
        theatre_settle(&theatre);
        theatre_puppet(&theatre, sink, 0)->wants_no_more = true;
        assert_ok(fletch_flow_barrier(theatre.flow, 1, NULL)); /* where it says so */
        theatre_settle(&theatre);
        assert_ok(fletch_flow_wait(theatre.flow, 0, NULL));
        assert_int_equal(theatre_puppet(&theatre, a, 0)->finishes, 1);
        assert_int_equal(theatre_puppet(&theatre, b, 0)->finishes, 1);
        assert_int_equal(theatre_puppet(&theatre, b, 0)->produced, !is_in_order);
        theatre_close(&theatre);
    }
}

/* Nobody waits for an instance that has ended early: not for a barrier, nor the barrier for what
 * is still to be dropped. */
static void test_barriers_pass_who_wants_no_more(void **state)
{
    (void)state;
    theatre_open(&theatre, NULL);
    uint32_t source =
        theatre_add(&theatre, &(struct puppet_words){.name = "source", .is_source = true});
    uint32_t few = theatre_add(&theatre, &(struct puppet_words){.name = "few"});
    uint32_t all = theatre_add(&theatre, &(struct puppet_words){.name = "all"});
    theatre_join(&theatre, source, few, 0, FLETCH_FLOW_HASH);
    theatre_join(&theatre, source, all, 0, FLETCH_FLOW_HASH);
    theatre_join(&theatre, few, all, 1, FLETCH_FLOW_HASH);
    theatre_puppet(&theatre, few, 0)->passes_on = true;
    theatre_puppet(&theatre, few, 0)->wants_no_more = true;
    assert_ok(theatre_begin(&theatre, NULL));
    theatre_move(&theatre, source, 0, PUPPET_ROWS, 10);
    assert_int_equal(theatre_puppet(&theatre, few, 0)->finishes, 1);
    for (uint64_t id = 1; id <= 20; id++) {
        theatre_move(&theatre, source, 0, PUPPET_ROWS, 10);
        assert_ok(fletch_flow_barrier(theatre.flow, id, NULL));
        theatre_settle(&theatre);
        assert_ok(fletch_flow_wait_barrier(theatre.flow, id, 0, NULL));
    }
    const struct puppet *seen = theatre_puppet(&theatre, all, 0);
    assert_int_equal(seen->barriers, 20);
    assert_int_equal(seen->rows[0], 210);
    assert_int_equal(seen->rows[1], 10);
    assert_int_equal(theatre_puppet(&theatre, few, 0)->barriers, 0);
    theatre_move(&theatre, source, 0, PUPPET_END, 0);
    assert_ok(fletch_flow_wait(theatre.flow, 0, NULL));
    theatre_close(&theatre);
}

/* ---- what functions see ---- */

struct asker {
    struct fletch_schema *schema;
    uint32_t emitted;
    bool found_unwanted;
};

static enum fletch_status ask_and_emit(struct fletch_flow_context *context, void *state,
                                       bool *out_has_more, struct fletch_error *error)
{
    struct asker *asker = state;
    int64_t *words;
    assert_false(fletch_flow_output_is_wanted(context, 2)); /* no such output */
    assert_true(fletch_flow_output_is_wanted(context, 1));  /* without an edge */
    if (!fletch_flow_output_is_wanted(context, 0)) {
        asker->found_unwanted = true;
        *out_has_more = false;
        return FLETCH_OK;
    }
    struct fletch_batch *batch =
        flow_rows_make(asker->schema, fletch_flow_context_cache(context), 1, &words);
    memset(words, 0, FLOW_COLUMNS * sizeof *words);
    asker->emitted++;
    return fletch_flow_give(context, 0, batch, error);
}

static enum fletch_status take_three(struct fletch_flow_context *context, void *state,
                                     uint32_t input, struct fletch_batch *batch,
                                     struct fletch_error *error)
{
    (void)input, (void)batch, (void)error;
    if (++*(uint32_t *)state == 3)
        fletch_flow_want_no_more(context);
    return FLETCH_OK;
}

static void test_a_source_may_ask_before_it_works(void **state)
{
    const struct fletch_flow_functions sends = {.struct_size = sizeof sends,
                                                .produce = ask_and_emit};
    const struct fletch_flow_functions takes = {.struct_size = sizeof takes, .process = take_three};
    struct asker asker = {.schema = flow_rows_schema()};
    uint32_t taken = 0;
    const struct fletch_flow_stage source = {.struct_size = sizeof source,
                                             .name = "asker",
                                             .functions = &sends,
                                             .argument = &asker,
                                             .output_count = 2,
                                             .reads_to_end = 1};
    const struct fletch_flow_stage sink = {
        .struct_size = sizeof sink, .name = "three", .functions = &takes, .argument = &taken};
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
    assert_ok(fletch_flow_wait(flow, patience_ns, NULL));
    assert_int_equal(taken, 3);
    assert_true(asker.found_unwanted);
    struct fletch_edge_statistics found = {.struct_size = sizeof found};
    assert_ok(fletch_flow_edge_statistics(flow, 0, &found, NULL));
    assert_int_equal(found.batches + found.batches_unread, asker.emitted);
    assert_ok(fletch_flow_destroy(flow, 0, NULL));
    assert_ok(fletch_transport_destroy(transport, NULL));
    fletch_schema_release(asker.schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_limit_ends_sources_that_have_no_end),
        cmocka_unit_test(test_others_get_all_that_is_theirs),
        cmocka_unit_test(test_a_stage_that_reads_to_the_end_does),
        cmocka_unit_test(test_who_sleeps_is_woken_to_end),
        cmocka_unit_test(test_barriers_pass_who_wants_no_more),
        cmocka_unit_test(test_a_source_may_ask_before_it_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
