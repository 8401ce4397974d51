#include <fletching/fletching.h>

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/status.h"

#include "support/agent_scenes.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/events.h"
#include "support/team.h"

/* Agents on threads: several post, agents fan out and in, ask, fail and are restarted; barriers
 * run through. Each number arrives once, in order for each poster, on the right side of each
 * barrier. */

enum { POSTERS = 3, WORKERS = 3, NUMBERS = 6000, BARRIERS = 12 };
#define SECOND UINT64_C(1000000000)

static struct test_arguments arguments;

struct worker {
    struct fletch_agent *sink;
    struct fletch_agent *oracle;
    struct fletch_random random;
    uint64_t asked;
    uint64_t replied;
};

struct scene {
    struct test_agents *agents; /* transport, schema */
    struct fletch_agent *split;
    struct fletch_agent *workers[WORKERS];
    struct fletch_agent *oracle;
    struct fletch_agent *sink;
    struct worker worker_states[WORKERS];
    bool fails;
    /* The sink's. */
    uint64_t next[POSTERS][WORKERS]; /* the number that comes next, of each poster by each way */
    uint64_t seen;
    uint64_t misplaced;
    uint64_t barrier;
    /* What posters have posted before each barrier, written before the barrier is sent. */
    _Atomic uint64_t posted[POSTERS];
    uint64_t least[BARRIERS + 1][POSTERS];
};

/* A number n of poster p goes as hash n, partition p. Worker: n % WORKERS. */
static enum fletch_status split(void *state, struct fletch_agent *self,
                                const struct fletch_agent_message *message,
                                struct fletch_error *error)
{
    struct scene *scene = state;
    if (message->kind != FLETCH_AGENT_BATCH)
        return FLETCH_OK;
    enum fletch_status status = fletch_agent_emit(
        self, scene->workers[message->slot.shuffle_hash % WORKERS], &message->slot, error);
    if (status == FLETCH_OK)
        fletch_batch_acquire(message->slot.batch);
    return status;
}

static enum fletch_status work(void *state, struct fletch_agent *self,
                               const struct fletch_agent_message *message,
                               struct fletch_error *error)
{
    struct worker *worker = state;
    enum fletch_status status = FLETCH_OK;
    if (message->kind == FLETCH_AGENT_REPLY) {
        worker->replied++;
        return FLETCH_OK;
    }
    if (message->kind == FLETCH_AGENT_BATCH) {
        status = fletch_agent_emit(self, worker->sink, &message->slot, error);
        if (status == FLETCH_OK)
            fletch_batch_acquire(message->slot.batch);
    }
    if (status == FLETCH_OK && fletch_random_below(&worker->random, 500) == 0)
        return fletch_error_set(error, FLETCH_INTERNAL, "a worker breaks");
    if (status == FLETCH_OK && message->kind == FLETCH_AGENT_BATCH &&
        fletch_random_below(&worker->random, 50) == 0) {
        const struct fletch_agent_question question = {.timeout_ns = SECOND};
        uint64_t ticket;
        status = fletch_agent_ask(self, worker->oracle, &question, &ticket, error);
        worker->asked += status == FLETCH_OK;
    }
    return status;
}

static enum fletch_status reply(void *state, struct fletch_agent *self,
                                const struct fletch_agent_message *message,
                                struct fletch_error *error)
{
    const struct fletch_batch_slot nothing = {.batch = NULL};
    (void)state;
    return message->kind == FLETCH_AGENT_REQUEST
               ? fletch_agent_reply(self, &message->request, &nothing, error)
               : FLETCH_OK;
}

static void take_number(struct scene *scene, const struct fletch_batch_slot *slot)
{
    uint64_t number = slot->shuffle_hash;
    uint64_t *next = &scene->next[slot->partition][number % WORKERS];
    bool is_whole = events_read(slot->batch, 0).number == (int64_t)number;
    scene->misplaced += !is_whole || number / WORKERS != *next;
    (*next)++;
    scene->seen++;
}

/* Behind a barrier everything has come that was posted before it was sent. */
static void take_barrier(struct scene *scene, uint64_t barrier)
{
    for (size_t p = 0; p < POSTERS; p++) {
        uint64_t come = 0;
        for (size_t w = 0; w < WORKERS; w++)
            come += scene->next[p][w];
        scene->misplaced += come < scene->least[barrier][p];
    }
    scene->misplaced += barrier != scene->barrier + 1;
    scene->barrier = barrier;
}

static enum fletch_status sink(void *state, struct fletch_agent *self,
                               const struct fletch_agent_message *message,
                               struct fletch_error *error)
{
    struct scene *scene = state;
    (void)self;
    (void)error;
    if (message->kind == FLETCH_AGENT_BATCH)
        take_number(scene, &message->slot);
    if (message->kind == FLETCH_AGENT_BARRIER)
        take_barrier(scene, message->number);
    return FLETCH_OK;
}

static const struct fletch_agent_functions of_split = {.receive = split};
static const struct fletch_agent_functions of_work = {.receive = work};
static const struct fletch_agent_functions of_reply = {.receive = reply};
static const struct fletch_agent_functions of_sink = {.receive = sink};

static struct fletch_agent *spawn(struct scene *scene, const char *name,
                                  const struct fletch_agent_functions *functions, void *argument)
{
    const struct fletch_agent_options options = {
        .struct_size = sizeof options,
        .name = name,
        .functions = functions,
        .argument = argument,
        .supervision = FLETCH_AGENT_RESTART,
        .restart_limit = UINT32_MAX,
        .intake_capacity = 16,
    };
    struct fletch_agent *agent;
    assert_ok(fletch_agent_spawn(scene->agents->system, &options, &agent, NULL));
    return agent;
}

static void scene_make(struct scene *scene, uint32_t threads, uint64_t seed)
{
    static const char *const names[WORKERS] = {"first", "second", "third"};
    *scene = (struct scene){.agents = test_agents_make(threads)};
    scene->split = spawn(scene, "split", &of_split, scene);
    scene->oracle = spawn(scene, "oracle", &of_reply, scene);
    scene->sink = spawn(scene, "sink", &of_sink, scene);
    for (size_t w = 0; w < WORKERS; w++) {
        scene->worker_states[w] = (struct worker){.sink = scene->sink,
                                                  .oracle = scene->oracle,
                                                  .random = fletch_random_from_seed(seed * 10 + w)};
        scene->workers[w] = spawn(scene, names[w], &of_work, &scene->worker_states[w]);
        assert_ok(fletch_agent_link(scene->split, scene->workers[w], 4, NULL));
        assert_ok(fletch_agent_link(scene->workers[w], scene->sink, 4, NULL));
        assert_ok(fletch_agent_link(scene->workers[w], scene->oracle, 2, NULL));
    }
    assert_ok(fletch_agent_system_start(scene->agents->system, NULL));
}

struct poster {
    struct scene *scene;
    uint32_t number;
    uint64_t failures;
};

static void post_all(void *context)
{
    struct poster *poster = context;
    struct scene *scene = poster->scene;
    struct fletch_buffer_cache *cache;
    if (fletch_buffer_cache_open(fletch_transport_pool(scene->agents->transport), &cache, NULL) !=
        FLETCH_OK) {
        poster->failures++;
        return;
    }
    for (uint64_t n = 0; n < NUMBERS * arguments.scale; n++) {
        const struct test_event event = {.number = (int64_t)n};
        const struct fletch_batch_slot slot = {
            .shuffle_hash = n,
            .partition = poster->number,
            .batch = events_batch(cache, scene->agents->schema, &event, 1)};
        if (fletch_agent_post(scene->split, &slot, 60 * SECOND, NULL) != FLETCH_OK) {
            poster->failures++;
            fletch_batch_release(cache, slot.batch);
        }
        store_release(&scene->posted[poster->number], n + 1);
    }
    fletch_buffer_cache_close(cache);
}

static void send_barriers(void *context)
{
    struct poster *poster = context;
    struct scene *scene = poster->scene;
    for (uint64_t barrier = 1; barrier <= BARRIERS; barrier++) {
        for (size_t p = 0; p < POSTERS; p++)
            scene->least[barrier][p] = load_acquire(&scene->posted[p]);
        if (fletch_agent_system_barrier(scene->agents->system, barrier, NULL) != FLETCH_OK ||
            (barrier % 3 == 0 && fletch_agent_system_wait_barrier(scene->agents->system, barrier,
                                                                  60 * SECOND, NULL) != FLETCH_OK))
            poster->failures++;
    }
}

static void run(uint32_t threads, uint64_t seed)
{
    static struct scene scene;
    struct poster posters[POSTERS + 1];
    struct team_role roles[POSTERS + 1];
    struct fletch_error error;
    scene_make(&scene, threads, seed);
    for (uint32_t p = 0; p <= POSTERS; p++) {
        posters[p] = (struct poster){.scene = &scene, .number = p};
        roles[p] = (struct team_role){.run = p < POSTERS ? post_all : send_barriers,
                                      .context = &posters[p]};
    }
    team_run(roles, POSTERS + 1);
    if (fletch_agent_system_drain(scene.agents->system, 120 * SECOND, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    for (uint32_t p = 0; p <= POSTERS; p++)
        assert_int_equal(posters[p].failures, 0);
    assert_int_equal(scene.seen, POSTERS * NUMBERS * arguments.scale);
    assert_int_equal(scene.misplaced, 0);
    assert_int_equal(scene.barrier, BARRIERS);
    test_agents_end(scene.agents);
}

static void each_agent_on_its_thread(void **state)
{
    (void)state;
    run(0, arguments.seed);
}

static void two_threads_for_all(void **state)
{
    (void)state;
    run(2, arguments.seed + 1);
}

static void one_thread_for_all(void **state)
{
    (void)state;
    run(1, arguments.seed + 2);
}

/* ---- ending under load ---- */

struct caller {
    struct scene *scene;
    uint64_t others; /* answers that cannot be */
};

/* Posts and calls until it is told that the system ends. */
static void use_until_the_end(void *context)
{
    struct caller *caller = context;
    for (;;) {
        struct fletch_batch_slot slot = {.shuffle_hash = 0};
        struct fletch_batch_slot answer;
        enum fletch_status status =
            fletch_agent_call(caller->scene->oracle, &slot, 10 * SECOND, &answer, NULL);
        if (status == FLETCH_OK)
            continue;
        caller->others += status != FLETCH_CANCELLED && status != FLETCH_FAILED_PRECONDITION;
        return;
    }
}

static void cancel_soon(void *context)
{
    struct caller *caller = context;
    for (int i = 0; i < 300; i++)
        fletch_thread_yield();
    fletch_agent_system_cancel(caller->scene->agents->system, "enough");
}

static void cancelling_under_load_frees_everybody(void **state)
{
    (void)state;
    static struct scene scene;
    for (uint64_t round = 0; round < 40 * arguments.scale; round++) {
        scene_make(&scene, round % 3 == 0 ? 0 : 2, arguments.seed + round);
        struct caller callers[4];
        struct team_role roles[4];
        for (size_t i = 0; i < 4; i++) {
            callers[i] = (struct caller){.scene = &scene};
            roles[i] = (struct team_role){.run = i == 0 ? cancel_soon : use_until_the_end,
                                          .context = &callers[i]};
        }
        team_run(roles, 4);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(callers[i].others, 0);
        test_agents_end(scene.agents);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_agent_on_its_thread),
        cmocka_unit_test(two_threads_for_all),
        cmocka_unit_test(one_thread_for_all),
        cmocka_unit_test(cancelling_under_load_frees_everybody),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
