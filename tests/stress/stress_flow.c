#include <fletching/fletching.h>

#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/flow_scenes.h"
#include "support/team.h"

/* A graph with every kind of edge on threads, with other threads that send barriers, look at
 * statistics, wake sources, give barriers up, and in some rounds stop or cancel the flow or have it
 * fail; in some a stage wants no more after a while. What the
 * instances watch is in support/flow_scenes.h. */

enum { ROUNDS = 24, BATCHES = 150 };

static const uint64_t patience_ns = UINT64_C(60000000000);

static struct test_arguments arguments;
static struct flow_scene scene;

static const struct flow_link_words links[] = {
    {.from = 0, .to = 2, .kind = FLETCH_FLOW_FORWARD, .is_apart = true},
    {.from = 1, .to = 2, .kind = FLETCH_FLOW_BROADCAST, .input = 1},
    {.from = 2, .to = 3, .kind = FLETCH_FLOW_HASH},
    {.from = 2, .to = 4, .kind = FLETCH_FLOW_FORWARD},
    {.from = 3, .to = 5, .kind = FLETCH_FLOW_RANGE},
    {.from = 4, .to = 5, .kind = FLETCH_FLOW_REBALANCE, .input = 1},
    {.from = 4, .to = 6, .kind = FLETCH_FLOW_FORWARD, .is_apart = true},
};

struct round {
    uint64_t number;
    struct fletch_random random;
    enum { ENDS, STOPPED, CANCELLED, FAILS } end;
    _Atomic uint32_t is_over;
    _Atomic uint32_t surprises; /* answers that no call may give here */
    struct flow_node_words nodes[7];
};

static void note(struct round *round, bool is_right)
{
    if (!is_right)
        fetch_add_relaxed(&round->surprises, 1); /* relaxed: looked at after the threads ended */
}

static bool is_over(const struct round *round)
{
    return load_relaxed(&round->is_over) != 0; /* relaxed: a flag without data */
}

/* Whether or not it is still under way, each instance is told the same. */
static void give_up(struct round *round, uint64_t id)
{
    enum fletch_status status = flow_scene_abort_barrier(&scene, id);
    note(round, status == FLETCH_OK || status == FLETCH_NOT_FOUND ||
                    status == FLETCH_FAILED_PRECONDITION ||
                    (round->end == CANCELLED && status == FLETCH_CANCELLED) ||
                    (round->end == FAILS && status == FLETCH_ABORTED));
    if (status == FLETCH_OK)
        note(round, fletch_flow_wait_barrier(scene.flow, id, 0, NULL) != FLETCH_OK);
}

static void send_barriers(void *context)
{
    struct round *round = context;
    for (uint64_t id = 1; !is_over(round);) {
        enum fletch_status status = fletch_flow_barrier(scene.flow, id, NULL);
        note(round, status == FLETCH_OK || status == FLETCH_RESOURCE_EXHAUSTED ||
                        status == FLETCH_FAILED_PRECONDITION ||
                        (round->end == CANCELLED && status == FLETCH_CANCELLED) ||
                        (round->end == FAILS && status == FLETCH_ABORTED));
        if (status == FLETCH_OK && id % 4 == 0)
            (void)!fletch_flow_wait_barrier(scene.flow, id, 1000000, NULL);
        if (status == FLETCH_OK && id % 3 == 0 && id < FLOW_BARRIERS_MAX)
            give_up(round, id);
        id += status == FLETCH_OK;
        fletch_thread_yield();
    }
}

static void look(void *context)
{
    struct round *round = context;
    struct fletch_stage_statistics stage = {.struct_size = sizeof stage};
    struct fletch_edge_statistics edge = {.struct_size = sizeof edge};
    struct fletch_error error;
    for (uint32_t i = 0; !is_over(round); i++) {
        note(round, fletch_flow_stage_statistics(scene.flow, i % 7, FLETCH_FLOW_ALL_INSTANCES,
                                                 &stage, NULL) == FLETCH_OK);
        note(round, fletch_flow_edge_statistics(scene.flow, i % 7, &edge, NULL) == FLETCH_OK);
        note(round, fletch_flow_wake(scene.flow, 0, NULL) == FLETCH_OK);
        (void)!fletch_flow_wait(scene.flow, 0, &error);
        fletch_thread_yield();
    }
}

static void end_it(void *context)
{
    struct round *round = context;
    struct fletch_error error;
    enum fletch_status status = FLETCH_OK;
    uint64_t while_ns = fletch_random_below(&round->random, 20000000);
    if (round->end == STOPPED || round->end == CANCELLED)
        (void)!fletch_flow_wait(scene.flow, while_ns, NULL);
    if (round->end == CANCELLED)
        fletch_flow_cancel(scene.flow, "stress");
    status = round->end == STOPPED ? fletch_flow_stop(scene.flow, patience_ns, &error)
                                   : fletch_flow_wait(scene.flow, patience_ns, &error);
    bool is_right = status == FLETCH_OK ||
                    (round->end == CANCELLED && status == FLETCH_CANCELLED) ||
                    (round->end == FAILS && status == FLETCH_ABORTED);
    if (!is_right)
        fprintf(stderr, "round %llu: %s\n", (unsigned long long)round->number, error.message);
    note(round, is_right);
    store_relaxed(&round->is_over, 1); /* relaxed: a flag without data */
}

static void fill(struct round *round)
{
    uint32_t batches = round->end == STOPPED ? UINT32_MAX : BATCHES;
    const struct flow_node_words nodes[] = {
        {.name = "a",
         .kind = FLOW_SOURCE,
         .instances = 2,
         .batches = batches,
         .has_watermarks = true,
         .idles_one_in = 7,
         .pauses_one_in = 9},
        {.name = "b", .kind = FLOW_SOURCE, .batches = batches, .has_watermarks = true},
        {.name = "fork", .kind = FLOW_RELAY, .instances = 2},
        {.name = "left", .kind = FLOW_RELAY, .instances = 3, .slow_one_in = 4},
        {.name = "right", .kind = FLOW_RELAY, .instances = 2},
        {.name = "join", .kind = FLOW_SINK, .instances = 2, .slow_one_in = 8},
        {.name = "side", .kind = FLOW_SINK, .instances = 2},
    };
    memcpy(round->nodes, nodes, sizeof nodes);
    if (fletch_random_below(&round->random, 3) == 0)
        round->nodes[2 + fletch_random_below(&round->random, 5)].enough_after =
            1 + fletch_random_below(&round->random, 40);
    if (round->end != FAILS)
        return;
    struct flow_node_words *node = &round->nodes[fletch_random_below(&round->random, 7)];
    node->fault = (enum flow_fault)(1 + fletch_random_below(&round->random, FAULT_FINISH));
    node->fault_after = node->fault == FAULT_INIT ? 0 : fletch_random_below(&round->random, 5);
}

static void run_round(uint64_t number)
{
    static struct round round;
    struct fletch_error error;
    round = (struct round){.number = number, .random = fletch_random_from_seed(number)};
    round.end = (int)fletch_random_below(&round.random, 4);
    fill(&round);
    const struct flow_scene_words words = {
        .seed = number, .barrier_limit = 3, .budget_bytes = UINT64_C(4) << 20};
    scene.nodes = round.nodes;
    scene.links = links;
    scene.node_count = 7;
    scene.link_count = sizeof links / sizeof *links;
    if (flow_scene_try(&scene, &words, &error) != FLETCH_OK ||
        fletch_flow_start(scene.flow, &error) != FLETCH_OK)
        fail_msg("round %llu: %s", (unsigned long long)number, error.message);
    const struct team_role roles[] = {{send_barriers, &round}, {look, &round}, {end_it, &round}};
    team_run(roles, sizeof roles / sizeof *roles);
    bool is_whole = fletch_flow_wait(scene.flow, 0, NULL) == FLETCH_OK;
    const char *complaint =
        is_whole ? flow_scene_complaint(&scene) : flow_scene_close_complaint(&scene);
    if (complaint != NULL)
        fail_msg("round %llu: %s", (unsigned long long)number, complaint);
    /* relaxed: the threads have ended */
    assert_int_equal(load_relaxed(&round.surprises), 0);
    flow_scene_end(&scene);
}

static void test_flows_keep_their_promises_on_threads(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < ROUNDS * arguments.scale; i++)
        run_round(arguments.seed * 1000 + i);
}

int main(int argc, char **argv)
{
    arguments = test_arguments_read(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flows_keep_their_promises_on_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
