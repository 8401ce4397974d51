/* Flows under virtual time: a graph is drawn from a seed; one thread steps its tasks in an order
 * that is drawn too, while barriers come, and sometimes a failure, a stop or a cancel. What the
 * instances watch is in support/flow_scenes.h; also, something must move within a bounded number of
 * rounds. Arguments: the first seed, and how many times 250 seeds. A failing seed is printed, and
 * `sim_flow <seed> 0` runs it alone. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "flow/flow.h"
#include "flow/flow_task.h"
#include "shuffle/transport.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/flow_scenes.h"

enum {
    SEEDS_OF_A_SCALE = 250,
    TASKS_MAX = FLOW_NODES_MAX * FLOW_INSTANCES_MAX,
    STALLED_ROUNDS = 3000, /* rounds in which nobody does anything: nothing moves */
    ROUND_NS_MOST = 2000000
};

static struct test_arguments arguments;

enum outside { OUTSIDE_NOTHING, OUTSIDE_STOP, OUTSIDE_CANCEL };

/* One drawn run. */
struct world {
    struct fletch_random random;
    struct flow_scene scene;
    struct flow_node_words nodes[FLOW_NODES_MAX];
    struct flow_link_words links[FLOW_LINKS_MAX];
    char names[FLOW_NODES_MAX][12];
    struct flow_scene_words words;
    bool has_left[TASKS_MAX];
    uint64_t now_ns;
    uint64_t round;
    uint64_t barrier;
    uint32_t barriers_in_100_rounds;
    uint32_t aborts_in_100_rounds;
    enum outside outside;
    uint64_t outside_round;
    const char *complaint;
};

static uint32_t below(struct world *world, uint32_t bound)
{
    return fletch_random_below(&world->random, bound);
}

static uint64_t virtual_now_ns(void *context)
{
    return ((struct world *)context)->now_ns;
}

/* ---- graphs ---- */

static void draw_link(struct world *world, uint32_t from, uint32_t to, uint32_t input)
{
    bool may_forward = world->nodes[from].instances == world->nodes[to].instances;
    uint32_t kind = below(world, 7);
    if (kind > FLETCH_FLOW_BROADCAST || (kind == FLETCH_FLOW_FORWARD && !may_forward))
        kind = may_forward ? FLETCH_FLOW_FORWARD : FLETCH_FLOW_HASH;
    world->links[world->scene.link_count++] = (struct flow_link_words){
        .from = from,
        .to = to,
        .kind = (enum fletch_flow_edge_kind)kind,
        .is_apart = below(world, 2) == 0,
        .input = input,
    };
}

static void draw_node(struct world *world, uint32_t node, uint32_t sources, uint32_t nodes)
{
    bool is_source = node < sources;
    bool is_sink = !is_source && (node + 1 == nodes || below(world, 5) == 0);
    snprintf(world->names[node], sizeof world->names[node], "n%u", node);
    world->nodes[node] = (struct flow_node_words){
        .name = world->names[node],
        .kind = is_source ? FLOW_SOURCE
                : is_sink ? FLOW_SINK
                          : FLOW_RELAY,
        .instances = 1 + below(world, 3),
        .batches = below(world, 40),
        .rows_most = 1 + below(world, 200),
        .reads_in_order = !is_source && below(world, 8) == 0,
        .has_watermarks = below(world, 2) == 0,
        .pauses_one_in = below(world, 3) == 0 ? 1 + below(world, 10) : 0,
        .idles_one_in = is_source && below(world, 8) == 0 ? 1 + below(world, 10) : 0,
        .enough_after = below(world, 24) == 0 ? 1 + below(world, 30) : 0,
        .reads_to_end = below(world, 8) == 0,
    };
    if (is_source)
        return;
    uint32_t inputs = (below(world, 3) == 0 ? 2u : 1u) + (below(world, 6) == 0 ? 1u : 0u);
    for (uint32_t i = 0; i < inputs && world->scene.link_count < FLOW_LINKS_MAX; i++) {
        uint32_t from = below(world, node);
        while (world->nodes[from].kind == FLOW_SINK)
            from = below(world, node);
        draw_link(world, from, node, i);
    }
}

static void draw_trouble(struct world *world, uint32_t nodes)
{
    if (below(world, 5) == 0) {
        struct flow_node_words *node = &world->nodes[below(world, nodes)];
        node->fault = (enum flow_fault)(1 + below(world, FAULT_FINISH));
        node->fault_instance = below(world, node->instances);
        node->fault_after = below(world, 8);
    }
    if (below(world, 5) == 0) {
        world->outside = below(world, 2) == 0 ? OUTSIDE_STOP : OUTSIDE_CANCEL;
        world->outside_round = below(world, 400);
        for (uint32_t i = 0; i < nodes && world->outside == OUTSIDE_STOP; i++)
            world->nodes[i].batches = UINT32_MAX;
    }
}

static void draw(struct world *world, uint64_t seed)
{
    static const uint64_t budgets[] = {2, 4, 16, 64};
    uint32_t nodes, sources;
    *world = (struct world){.random = fletch_random_from_seed(seed), .now_ns = 1};
    nodes = 2 + below(world, FLOW_NODES_MAX - 2);
    sources = 1 + below(world, nodes < 4 ? 1 : 3);
    world->scene.nodes = world->nodes;
    world->scene.links = world->links;
    for (uint32_t i = 0; i < nodes; i++)
        draw_node(world, i, sources, nodes);
    /* Nodes that found no room for a link of theirs would be refused. */
    while (nodes > sources && world->links[world->scene.link_count - 1].to != nodes - 1)
        nodes--;
    world->scene.node_count = nodes;
    draw_trouble(world, nodes);
    world->barriers_in_100_rounds = below(world, 3) == 0 ? 0 : below(world, 30);
    world->aborts_in_100_rounds = below(world, 2) == 0 ? 0 : below(world, 30);
    world->words = (struct flow_scene_words){
        .seed = seed,
        .budget_bytes = budgets[below(world, 4)] << 20,
        .capacity = 1 + below(world, 16),
        .barrier_limit = 1 + below(world, 8),
    };
}

/* ---- steps ---- */

static bool complain(struct world *world, const char *complaint)
{
    world->complaint = complaint;
    return false;
}

/* True: it did something. */
static bool step(struct world *world, uint32_t number)
{
    struct fletch_flow *flow = world->scene.flow;
    if (world->has_left[number])
        return false;
    enum fletch_task_answer answer = fletch_task_step(flow->tasks[number]);
    if (answer == FLETCH_TASK_OVER) {
        world->has_left[number] = true;
        fletch_flow_leave(flow);
    }
    return answer != FLETCH_TASK_IDLE;
}

static void act_from_outside(struct world *world)
{
    struct fletch_flow *flow = world->scene.flow;
    if (below(world, 100) < world->barriers_in_100_rounds &&
        fletch_flow_barrier(flow, world->barrier + 1, NULL) == FLETCH_OK)
        world->barrier++;
    if (below(world, 100) < world->aborts_in_100_rounds && world->barrier > 0 &&
        world->barrier < FLOW_BARRIERS_MAX)
        (void)flow_scene_abort_barrier(&world->scene,
                                       world->barrier - below(world, 4) % world->barrier);
    if (world->round++ != world->outside_round)
        return;
    if (world->outside == OUTSIDE_STOP)
        store_relaxed(&flow->is_draining,
                      1); /* relaxed: as fletch_flow_stop does, without a wait */
    if (world->outside == OUTSIDE_CANCEL)
        fletch_flow_cancel(flow, "simulated");
}

/* Some steps of whoever comes, then one of everybody. True: somebody did something. */
static bool run_round(struct world *world)
{
    uint32_t count = world->scene.flow->task_count;
    bool has_worked = false;
    act_from_outside(world);
    for (uint32_t i = below(world, 4 * count); i > 0; i--)
        has_worked |= step(world, below(world, count));
    for (uint32_t i = 0; i < count; i++)
        has_worked |= step(world, i);
    world->now_ns += below(world, ROUND_NS_MOST);
    return has_worked;
}

static bool run_until_it_ends(struct world *world)
{
    uint32_t stalled = 0;
    while (fletch_flow_wait(world->scene.flow, 0, NULL) == FLETCH_DEADLINE_EXCEEDED) {
        stalled = run_round(world) ? 0 : stalled + 1;
        if (stalled == STALLED_ROUNDS)
            return complain(world, "nothing moves");
    }
    return true;
}

/* ---- what came of it ---- */

static bool has_planned_fault(const struct world *world)
{
    for (uint32_t i = 0; i < world->scene.node_count; i++)
        if (world->nodes[i].fault != FAULT_NONE)
            return true;
    return false;
}

static bool check_outcome(struct world *world)
{
    static struct fletch_error error;
    enum fletch_status status = fletch_flow_wait(world->scene.flow, 0, &error);
    if (status == FLETCH_OK) {
        world->complaint = flow_scene_complaint(&world->scene);
        return world->complaint == NULL;
    }
    bool is_planned = (status == FLETCH_CANCELLED && world->outside == OUTSIDE_CANCEL) ||
                      (status == FLETCH_ABORTED && has_planned_fault(world));
    if (!is_planned)
        return complain(world, error.message);
    world->complaint = flow_scene_close_complaint(&world->scene);
    return world->complaint == NULL;
}

static void print(const struct world *world)
{
    for (uint32_t i = 0; i < world->scene.node_count; i++) {
        const struct flow_node_words *node = &world->nodes[i];
        printf("'%s': kind %d, %u instances, %u batches of %u, in order %d, idle %u, enough %u, "
               "to the end %d, fault %d of %u\n",
               node->name, (int)node->kind, node->instances, node->batches, node->rows_most,
               node->reads_in_order, node->idles_one_in, node->enough_after, node->reads_to_end,
               (int)node->fault, node->fault_instance);
    }
    for (uint32_t i = 0; i < world->scene.link_count; i++) {
        const struct flow_link_words *link = &world->links[i];
        printf("n%u -> n%u input %u: kind %d, apart %d\n", link->from, link->to, link->input,
               (int)link->kind, link->is_apart);
    }
    printf("round %" PRIu64 ", barrier %" PRIu64 ", outside %d, budget %" PRIu64 "\n", world->round,
           world->barrier, (int)world->outside, world->words.budget_bytes);
}

/* False: the graph was refused, as inputs in order stem from one source, or from sources that wait
 * for each other. */
static bool begin(struct world *world)
{
    struct fletch_error error;
    if (flow_scene_try(&world->scene, &world->words, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    world->scene.transport->time =
        (struct fletch_time_source){.now_ns = virtual_now_ns, .context = world};
    if (fletch_flow_prepare(world->scene.flow, &error) == FLETCH_OK)
        return true;
    if (strstr(error.message, "in order") == NULL)
        fail_msg("%s", error.message);
    return false;
}

/* How often what is rare came about: a run that shows nothing of it would show nothing. */
struct tally {
    uint64_t begun;
    uint64_t aborts;
    uint64_t unread;
    uint64_t idle;
};

static void count_what_came(const struct world *world, struct tally *tally)
{
    for (uint32_t i = 0; i < world->scene.node_count; i++)
        for (uint32_t k = 0; k < FLOW_INSTANCES_MAX; k++) {
            tally->aborts += world->scene.actors[i][k].aborts;
            tally->idle += world->scene.actors[i][k].was_idle;
        }
    for (uint32_t i = 0; i < world->scene.link_count; i++) {
        struct fletch_edge_statistics edge = {.struct_size = sizeof edge};
        if (fletch_flow_edge_statistics(world->scene.flow, i, &edge, NULL) == FLETCH_OK)
            tally->unread += edge.batches_unread;
    }
    tally->begun++;
}

static void run_seed(uint64_t seed, struct tally *tally)
{
    static struct world world;
    draw(&world, seed);
    bool is_begun = begin(&world);
    bool is_right = !is_begun || (run_until_it_ends(&world) && check_outcome(&world));
    if (!is_right || arguments.scale == 0)
        print(&world);
    if (!is_right)
        fail_msg("seed %" PRIu64 ": %s", seed, world.complaint);
    if (is_begun)
        count_what_came(&world, tally);
    flow_scene_end(&world.scene);
}

static void test_promises_are_kept_whoever_makes_the_next_step(void **state)
{
    (void)state;
    uint64_t count = arguments.scale == 0 ? 1 : arguments.scale * SEEDS_OF_A_SCALE;
    struct tally tally = {.begun = 0};
    for (uint64_t i = 0; i < count; i++)
        run_seed(arguments.seed + i, &tally);
    printf("of %" PRIu64 " flows %" PRIu64 " ran: %" PRIu64 " aborts heard, %" PRIu64
           " batches unread, %" PRIu64 " sources idle\n",
           count, tally.begun, tally.aborts, tally.unread, tally.idle);
    if (arguments.scale > 0)
        assert_true(tally.begun > count / 2 && tally.aborts > count / 10 &&
                    tally.unread > count / 10 && tally.idle > count / 20);
}

int main(int argc, char **argv)
{
    arguments = test_arguments_read(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promises_are_kept_whoever_makes_the_next_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
