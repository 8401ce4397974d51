/* Agents under virtual time: one thread chooses from a seed who makes the next step, who posts,
 * fails and when, over random topologies without circles. Invariants: each batch arrives once at
 * the end of each way, in order for each way; barriers divide what was posted; requests are
 * answered exactly once; and everything ends within a bounded number of rounds. Arguments: the
 * first seed, and how many thousands of seeds; `sim_agents <seed> 0` runs one alone. */

#include <fletching/fletching.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/status.h"
#include "shuffle/transport.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"

enum {
    SEEDS_OF_A_SCALE = 1000,
    AGENTS_MOST = 7,
    NUMBERS_MOST = 120,
    ROUND_STEPS = 20,
    STALLED_ROUNDS = 3000,
    WAYS_MOST = AGENTS_MOST * AGENTS_MOST
};

static struct test_arguments arguments;

struct sim_agent {
    struct world *world;
    struct fletch_agent *agent;
    uint32_t index;
    uint32_t targets[AGENTS_MOST];
    uint32_t target_count;
    bool asks;    /* the first target, for each batch */
    bool is_deaf; /* keeps no promise to reply */
    /* By the agent that sent, AGENTS_MOST: from outside. */
    uint64_t next[AGENTS_MOST + 1];
    uint64_t handled; /* batches */
    uint64_t asked;
    uint64_t answered;
    uint64_t barrier;
    uint64_t handled_at[8]; /* batches before each barrier */
    bool has_ended;
    bool is_alive;
};

struct world {
    struct fletch_random random;
    struct fletch_transport *transport;
    struct fletch_agent_system *system;
    struct sim_agent agents[AGENTS_MOST];
    uint32_t count;
    uint64_t posted[AGENTS_MOST];
    uint64_t posted_at[8][AGENTS_MOST]; /* before each barrier */
    uint64_t barriers;
    uint64_t numbers; /* to each intake */
    uint32_t failing; /* of 1000 messages */
    uint64_t now_ns;
    uint64_t progress;
    char complaint[200];
};

static bool chance(struct world *world, uint32_t per_mille)
{
    return fletch_random_below(&world->random, 1000) < per_mille;
}

static void complain(struct world *world, const char *what, const struct sim_agent *agent)
{
    if (world->complaint[0] == '\0')
        snprintf(world->complaint, sizeof world->complaint, "%s, agent %u", what,
                 agent == NULL ? 99 : agent->index);
}

static uint64_t virtual_now_ns(void *context)
{
    return ((struct world *)context)->now_ns;
}

/* ---- what agents do ---- */

static enum fletch_status init(void *argument, struct fletch_agent *self, void **out_state,
                               struct fletch_error *error)
{
    struct sim_agent *agent = argument;
    (void)self;
    if (chance(agent->world, agent->world->failing))
        return fletch_error_set(error, FLETCH_UNAVAILABLE, "init");
    if (agent->is_alive)
        complain(agent->world, "init twice", agent);
    agent->is_alive = true;
    *out_state = agent;
    return FLETCH_OK;
}

/* The number of a sender's n-th batch is n: one that is lost or repeated shows. */
static enum fletch_status take_batch(struct sim_agent *agent,
                                     const struct fletch_agent_message *message,
                                     struct fletch_error *error)
{
    struct world *world = agent->world;
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; i < agent->target_count && status == FLETCH_OK; i++) {
        const struct fletch_batch_slot slot = {.shuffle_hash = agent->handled,
                                               .partition = agent->index};
        const struct fletch_agent_question question = {.slot = slot, .timeout_ns = 500};
        struct fletch_agent *to = world->agents[agent->targets[i]].agent;
        uint64_t ticket;
        if (agent->asks && i == 0)
            status = fletch_agent_ask(agent->agent, to, &question, &ticket, error);
        else
            status = fletch_agent_emit(agent->agent, to, &slot, error);
    }
    if (status != FLETCH_OK)
        complain(world, "could not send", agent);
    if (chance(world, world->failing))
        return fletch_error_set(error, FLETCH_INTERNAL, "batch");
    uint32_t from = message->from == NULL ? AGENTS_MOST : message->slot.partition;
    if (message->slot.shuffle_hash != agent->next[from])
        complain(world, "a batch is lost, repeated or out of order", agent);
    agent->next[from] = message->slot.shuffle_hash + 1;
    agent->handled++;
    agent->asked += agent->asks;
    return FLETCH_OK;
}

static enum fletch_status take_request(struct sim_agent *agent,
                                       const struct fletch_agent_message *message,
                                       struct fletch_error *error)
{
    struct world *world = agent->world;
    const struct fletch_batch_slot slot = {.shuffle_hash = message->slot.shuffle_hash};
    if (!agent->is_deaf &&
        fletch_agent_reply(agent->agent, &message->request, &slot, error) != FLETCH_OK)
        complain(world, "could not reply", agent);
    if (chance(world, world->failing))
        return fletch_error_set(error, FLETCH_INTERNAL, "request");
    return FLETCH_OK;
}

static void take_barrier(struct sim_agent *agent, uint64_t barrier)
{
    struct world *world = agent->world;
    if (barrier != agent->barrier + 1)
        complain(world, "a barrier is lost, repeated or out of order", agent);
    agent->barrier = barrier;
    agent->handled_at[barrier] = agent->handled;
    if (agent->next[AGENTS_MOST] != world->posted_at[barrier][agent->index])
        complain(world, "a barrier divides wrongly", agent);
    for (uint32_t i = 0; i < world->count; i++) {
        const struct sim_agent *from = &world->agents[i];
        bool sends = false;
        for (uint32_t j = from->asks; j < from->target_count; j++)
            sends = sends || from->targets[j] == agent->index;
        if (sends && from->handled_at[barrier] != agent->next[i])
            complain(world, "a barrier is not aligned", agent);
    }
}

static enum fletch_status receive(void *state, struct fletch_agent *self,
                                  const struct fletch_agent_message *message,
                                  struct fletch_error *error)
{
    struct sim_agent *agent = state;
    (void)self;
    if (agent->has_ended)
        complain(agent->world, "a message after the end", agent);
    switch (message->kind) {
    case FLETCH_AGENT_BATCH:
        return take_batch(agent, message, error);
    case FLETCH_AGENT_REQUEST:
        return take_request(agent, message, error);
    case FLETCH_AGENT_REPLY:
        agent->answered++;
        return FLETCH_OK;
    case FLETCH_AGENT_BARRIER:
        if (chance(agent->world, agent->world->failing))
            return fletch_error_set(error, FLETCH_INTERNAL, "barrier");
        take_barrier(agent, message->number);
        return FLETCH_OK;
    case FLETCH_AGENT_END:
        agent->has_ended = true;
        return FLETCH_OK;
    default:
        return FLETCH_OK;
    }
}

static void close_state(void *state, struct fletch_agent *self)
{
    struct sim_agent *agent = state;
    (void)self;
    agent->is_alive = false;
    agent->answered = agent->asked; /* what it had asked is forgotten */
}

static const struct fletch_agent_functions functions = {
    .init = init, .receive = receive, .close = close_state};

/* ---- worlds ---- */

static void agent_made(struct world *world, uint32_t index)
{
    struct sim_agent *agent = &world->agents[index];
    char name[FLETCH_AGENT_NAME_BYTES];
    snprintf(name, sizeof name, "agent-%u", index);
    const struct fletch_agent_options options = {
        .struct_size = sizeof options,
        .name = name,
        .functions = &functions,
        .argument = agent,
        .intake_capacity = 1 + fletch_random_below(&world->random, 8),
        .request_limit = 1 + fletch_random_below(&world->random, 3),
        .supervision = FLETCH_AGENT_RESTART,
        .restart_limit = UINT32_MAX,
        .stall_timeout_ns = FLETCH_OFF,
    };
    *agent = (struct sim_agent){
        .world = world, .index = index, .asks = chance(world, 300), .is_deaf = chance(world, 200)};
    assert_ok(fletch_agent_spawn(world->system, &options, &agent->agent, NULL));
}

/* Links from lower to higher numbers only. */
static void links_made(struct world *world)
{
    for (uint32_t from = 0; from < world->count; from++)
        for (uint32_t to = from + 1; to < world->count; to++) {
            struct sim_agent *agent = &world->agents[from];
            if (!chance(world, 500))
                continue;
            agent->targets[agent->target_count++] = to;
            assert_ok(fletch_agent_link(agent->agent, world->agents[to].agent,
                                        1 + fletch_random_below(&world->random, 4), NULL));
        }
    for (uint32_t i = 0; i < world->count; i++)
        world->agents[i].asks = world->agents[i].asks && world->agents[i].target_count > 0;
}

static void world_made(struct world *world, uint64_t seed)
{
    *world = (struct world){.random = fletch_random_from_seed(seed), .now_ns = 1};
    const struct fletch_agent_system_options options = {.struct_size = sizeof options,
                                                        .thread_count = FLETCH_AGENTS_STEPPED};
    world->count = 1 + fletch_random_below(&world->random, AGENTS_MOST);
    world->numbers = fletch_random_below(&world->random, NUMBERS_MOST);
    world->failing = chance(world, 500) ? 0 : fletch_random_below(&world->random, 150);
    assert_ok(fletch_transport_create(NULL, NULL, &world->transport, NULL));
    world->transport->time =
        (struct fletch_time_source){.now_ns = virtual_now_ns, .context = world};
    assert_ok(fletch_agent_system_create(world->transport, &options, &world->system, NULL));
    for (uint32_t i = 0; i < world->count; i++)
        agent_made(world, i);
    links_made(world);
    assert_ok(fletch_agent_system_start(world->system, NULL));
}

static void posted(struct world *world, uint32_t to)
{
    const struct fletch_batch_slot slot = {.shuffle_hash = world->posted[to],
                                           .partition = AGENTS_MOST};
    if (world->posted[to] == world->numbers)
        return;
    enum fletch_status status = fletch_agent_post(world->agents[to].agent, &slot, 0, NULL);
    if (status != FLETCH_OK && status != FLETCH_RESOURCE_EXHAUSTED)
        complain(world, "could not post", &world->agents[to]);
    world->posted[to] += status == FLETCH_OK;
    world->progress += status == FLETCH_OK;
}

static bool all_posted(const struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++)
        if (world->posted[i] < world->numbers)
            return false;
    return true;
}

static void barrier_sent(struct world *world)
{
    if (world->barriers == 7 || all_posted(world))
        return; /* it may be draining */
    uint64_t barrier = world->barriers + 1;
    for (uint32_t i = 0; i < world->count; i++)
        world->posted_at[barrier][i] = world->posted[i];
    enum fletch_status status = fletch_agent_system_barrier(world->system, barrier, NULL);
    if (status != FLETCH_OK && status != FLETCH_RESOURCE_EXHAUSTED)
        complain(world, "could not send a barrier", NULL);
    world->barriers += status == FLETCH_OK;
}

static void round_run(struct world *world)
{
    for (uint32_t i = 0; i < ROUND_STEPS; i++) {
        uint32_t who = fletch_random_below(&world->random, world->count);
        if (chance(world, 300))
            posted(world, who);
        else if (chance(world, 10))
            barrier_sent(world);
        else
            world->progress += fletch_agent_step(world->agents[who].agent);
    }
    for (uint32_t i = 0; i < world->count; i++)
        world->progress += fletch_agent_step(world->agents[i].agent);
    world->now_ns += fletch_random_below(&world->random, 400);
}

static void model_compared(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++) {
        const struct sim_agent *agent = &world->agents[i];
        uint64_t due = world->posted[i];
        for (uint32_t j = 0; j < i; j++)
            for (uint32_t t = world->agents[j].asks; t < world->agents[j].target_count; t++)
                due += world->agents[j].targets[t] == i ? world->agents[j].handled : 0;
        if (agent->handled != due)
            complain(world, "batches are missing", agent);
        if (agent->answered != agent->asked)
            complain(world, "requests are not answered once", agent);
        if (!agent->has_ended || agent->is_alive)
            complain(world, "it has not ended", agent);
        if (agent->barrier != world->barriers)
            complain(world, "barriers are missing", agent);
    }
}

/* Runs until all have ended; a quarter of the worlds is cancelled on the way. */
static void world_run(struct world *world)
{
    uint64_t stalled = 0;
    uint64_t cancel_in = chance(world, 250) ? fletch_random_below(&world->random, 300) : UINT64_MAX;
    enum fletch_status status = FLETCH_DEADLINE_EXCEEDED;
    while (status == FLETCH_DEADLINE_EXCEEDED && world->complaint[0] == '\0') {
        uint64_t before = world->progress;
        round_run(world);
        if (cancel_in-- == 0) {
            fletch_agent_system_cancel(world->system, "simulated");
            return;
        }
        if (all_posted(world))
            status = fletch_agent_system_drain(world->system, 0, NULL);
        stalled = world->progress == before ? stalled + 1 : 0;
        if (stalled == STALLED_ROUNDS)
            complain(world, "nothing moves", NULL);
    }
    if (status != FLETCH_OK)
        complain(world, "could not drain", NULL);
    model_compared(world);
}

static bool seed_passed(uint64_t seed)
{
    static struct world world;
    world_made(&world, seed);
    world_run(&world);
    assert_ok(fletch_agent_system_destroy(world.system, 0, NULL));
    for (uint32_t i = 0; i < world.count; i++)
        if (world.agents[i].is_alive)
            complain(&world, "it was not closed", &world.agents[i]);
    assert_ok(fletch_transport_destroy(world.transport, NULL));
    if (world.complaint[0] != '\0')
        printf("seed %" PRIu64 ": %s\n", seed, world.complaint);
    return world.complaint[0] == '\0';
}

static void every_seed_keeps_the_promises(void **state)
{
    (void)state;
    uint64_t seeds = arguments.scale == 0 ? 1 : arguments.scale * SEEDS_OF_A_SCALE;
    for (uint64_t i = 0; i < seeds; i++)
        assert_true(seed_passed(arguments.seed + i));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_seed_keeps_the_promises)};
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
