#include <fletching/fletching.h>

#include <stdio.h>

#include "base/status.h"
#include "flow/agent_system.h"

#include "support/cmocka_tests.h"

/* What agents send while no message is handled: in init, in dead_letter, in close, after the end;
 * and failures in between. No thread steps. */

enum { RECEIVED_MAX = 16, LAYERS = 40, AGENTS_OF_LAYER = 4 };

#define HOUR_NS UINT64_C(3600000000000)

/* The lowest bits of an entry whose reply is being written: see agent_reply.c. */
#define WAITING UINT64_C(1)
#define WRITING UINT64_C(2)

static const struct fletch_batch_slot nothing = {.batch = NULL};

/* One agent under test, "a", linked to "b", which writes down what comes. */
struct scene {
    struct fletch_transport *transport;
    struct fletch_agent_system *system;
    struct fletch_agent *a;
    struct fletch_agent *b;
    uint64_t received[RECEIVED_MAX];
    uint32_t received_count;
    uint32_t fails_at_batches;
    uint32_t fails_at_replies;
    uint32_t inits;
    uint32_t replies;
    bool asks_in_init;
    bool asks_twice;
    enum fletch_status sent_in_close;
    enum fletch_status reply_to_nothing;
};

static enum fletch_status init(void *argument, struct fletch_agent *self, void **out_state,
                               struct fletch_error *error)
{
    struct scene *scene = argument;
    const struct fletch_agent_question question = {.timeout_ns = 0};
    const struct fletch_agent_question patient = {.timeout_ns = HOUR_NS};
    uint64_t ticket;
    *out_state = argument;
    if (++scene->inits > 1 || !scene->asks_in_init)
        return FLETCH_OK;
    enum fletch_status status = fletch_agent_ask(self, scene->b, &question, &ticket, error);
    return status != FLETCH_OK || !scene->asks_twice
               ? status
               : fletch_agent_ask(self, scene->b, &patient, &ticket, error);
}

static bool fails(uint32_t *times)
{
    return *times > 0 && (*times)-- > 0;
}

static enum fletch_status receive(void *state, struct fletch_agent *self,
                                  const struct fletch_agent_message *message,
                                  struct fletch_error *error)
{
    struct scene *scene = state;
    scene->replies += message->kind == FLETCH_AGENT_REPLY;
    if (message->kind == FLETCH_AGENT_CONTROL)
        scene->reply_to_nothing = fletch_agent_reply(self, &message->request, &nothing, error);
    if ((message->kind == FLETCH_AGENT_BATCH && fails(&scene->fails_at_batches)) ||
        (message->kind == FLETCH_AGENT_REPLY && fails(&scene->fails_at_replies)))
        return fletch_error_set(error, FLETCH_INTERNAL, "as planned");
    return FLETCH_OK;
}

static void send_dead_letter_on(void *argument, struct fletch_agent *self,
                                const struct fletch_agent_message *message,
                                const struct fletch_error *error)
{
    const struct scene *scene = argument;
    const struct fletch_batch_slot slot = {.shuffle_hash = message->slot.shuffle_hash};
    (void)error;
    assert_ok(fletch_agent_emit(self, scene->b, &slot, NULL));
}

static void send_in_close(void *state, struct fletch_agent *self)
{
    struct scene *scene = state;
    scene->sent_in_close = fletch_agent_emit(self, scene->b, &nothing, NULL);
}

static enum fletch_status write_down(void *state, struct fletch_agent *self,
                                     const struct fletch_agent_message *message,
                                     struct fletch_error *error)
{
    struct scene *scene = state;
    (void)self, (void)error;
    if (message->kind == FLETCH_AGENT_BATCH)
        scene->received[scene->received_count++ % RECEIVED_MAX] = message->slot.shuffle_hash;
    return FLETCH_OK;
}

static const struct fletch_agent_functions sender = {
    .init = init, .receive = receive, .close = send_in_close, .dead_letter = send_dead_letter_on};
static const struct fletch_agent_functions writer = {.receive = write_down};

static void make_system(struct scene *scene)
{
    const struct fletch_agent_system_options options = {.struct_size = sizeof options,
                                                        .thread_count = FLETCH_AGENTS_STEPPED};
    assert_ok(fletch_transport_create(NULL, NULL, &scene->transport, NULL));
    assert_ok(fletch_agent_system_create(scene->transport, &options, &scene->system, NULL));
}

static void begin(struct scene *scene, const struct fletch_agent_functions *functions)
{
    struct fletch_agent_options options = {.struct_size = sizeof options,
                                           .name = "a",
                                           .functions = functions,
                                           .argument = scene,
                                           .supervision = FLETCH_AGENT_RESTART,
                                           .failed_message = FLETCH_AGENT_DEAD_LETTER,
                                           .restart_limit = 10};
    make_system(scene);
    assert_ok(fletch_agent_spawn(scene->system, &options, &scene->a, NULL));
    options.name = "b";
    options.functions = &writer;
    assert_ok(fletch_agent_spawn(scene->system, &options, &scene->b, NULL));
    assert_ok(fletch_agent_link(scene->a, scene->b, 0, NULL));
    assert_ok(fletch_agent_system_start(scene->system, NULL));
}

static void post(struct scene *scene, uint64_t number)
{
    const struct fletch_batch_slot slot = {.shuffle_hash = number};
    assert_ok(fletch_agent_post(scene->a, &slot, 0, NULL));
}

static void settle(struct scene *scene)
{
    bool has_moved = true;
    while (has_moved) {
        has_moved = scene->a->functions.receive != NULL && fletch_agent_step(scene->a);
        has_moved |= fletch_agent_step(scene->b);
    }
}

static void end(struct scene *scene)
{
    struct fletch_error error;
    enum fletch_status status = fletch_agent_system_drain(scene->system, 0, &error);
    settle(scene);
    if (status == FLETCH_DEADLINE_EXCEEDED)
        status = fletch_agent_system_drain(scene->system, 0, &error);
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_ok(fletch_agent_system_destroy(scene->system, 0, NULL));
    assert_ok(fletch_transport_destroy(scene->transport, NULL));
}

static void what_dead_letter_sends_arrives(void **state)
{
    struct scene scene = {.fails_at_batches = 3};
    (void)state;
    begin(&scene, &sender);
    for (uint64_t i = 1; i <= 4; i++)
        post(&scene, i);
    settle(&scene);
    assert_int_equal(scene.received_count, 3);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(scene.received[i], i + 1);
    end(&scene);
}

/* The request of init has not left when its deadline passes, and its reply kills the agent. */
static void a_request_that_never_left_is_forgotten_once(void **state)
{
    struct scene scene = {.fails_at_replies = 1, .asks_in_init = true};
    (void)state;
    begin(&scene, &sender);
    settle(&scene);
    assert_int_equal(scene.inits, 2);
    assert_int_equal(scene.a->open_requests, 0);
    end(&scene);
}

/* The replier stalls, and the asker gives up; the entry stays the replier's for a while. */
static void a_request_is_given_up_once(void **state)
{
    struct scene scene = {.asks_in_init = true, .asks_twice = true};
    (void)state;
    begin(&scene, &sender);
    assert_true(fletch_agent_step(scene.a));
    assert_int_equal(load_relaxed(&scene.a->entries[0].state), WAITING); /* relaxed: one thread */
    store_relaxed(&scene.a->entries[0].state, WRITING);                  /* relaxed: one thread */
    settle(&scene);
    assert_int_equal(scene.replies, 1);
    assert_int_equal(scene.a->open_requests, 1);
    assert_ok(fletch_agent_system_destroy(scene.system, 0, NULL));
    assert_ok(fletch_transport_destroy(scene.transport, NULL));
}

static void nothing_is_sent_in_close(void **state)
{
    struct scene scene = {.sent_in_close = FLETCH_OK};
    (void)state;
    begin(&scene, &sender);
    settle(&scene);
    end(&scene);
    assert_int_equal(scene.sent_in_close, FLETCH_FAILED_PRECONDITION);
    assert_int_equal(scene.received_count, 0);
}

static void a_driven_agent_sends_nothing_after_its_end(void **state)
{
    struct scene scene = {.received_count = 0};
    struct fletch_agent_message message;
    struct fletch_error error;
    (void)state;
    begin(&scene, NULL);
    assert_int_equal(fletch_agent_system_drain(scene.system, 0, NULL), FLETCH_DEADLINE_EXCEEDED);
    assert_ok(fletch_agent_receive(scene.a, 0, &message, NULL));
    assert_int_equal(message.kind, FLETCH_AGENT_END);
    assert_ok(fletch_agent_emit(scene.a, scene.b, &nothing, NULL));
    assert_ok(fletch_agent_receive(scene.a, 0, &message, NULL));
    assert_int_equal(message.kind, FLETCH_AGENT_END);
    assert_int_equal(fletch_agent_emit(scene.a, scene.b, &nothing, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_string_equal(error.message, "agent 'a' cannot send: it has ended");
    settle(&scene);
    assert_int_equal(scene.received_count, 1);
    end(&scene);
}

static void only_requests_are_replied_to(void **state)
{
    struct scene scene = {.reply_to_nothing = FLETCH_OK};
    (void)state;
    begin(&scene, &sender);
    assert_ok(fletch_agent_tell(scene.a, 1, 1, NULL));
    settle(&scene);
    assert_int_equal(scene.reply_to_nothing, FLETCH_INVALID_ARGUMENT);
    end(&scene);
}

/* While another one writes why the system stops, nobody is made anew. */
static void nothing_is_begun_while_the_system_stops(void **state)
{
    struct scene scene = {.inits = 0};
    (void)state;
    begin(&scene, &sender);
    store_relaxed(&scene.system->stopped, FLETCH_AGENTS_STOPPING); /* relaxed: one thread */
    assert_false(fletch_agent_step(scene.a));
    assert_int_equal(scene.inits, 0);
    store_relaxed(&scene.system->stopped, FLETCH_AGENTS_RUN); /* relaxed: one thread */
    settle(&scene);
    assert_int_equal(scene.inits, 1);
    end(&scene);
}

/* As many ways from the first layer to the last as no search of each could go. */
static void links_of_many_ways_are_made_at_once(void **state)
{
    struct scene scene = {.inits = 0};
    struct fletch_agent *agents[LAYERS][AGENTS_OF_LAYER];
    struct fletch_error error;
    (void)state;
    make_system(&scene);
    for (int i = 0; i < LAYERS * AGENTS_OF_LAYER; i++) {
        char name[FLETCH_AGENT_NAME_BYTES];
        snprintf(name, sizeof name, "agent %d", i);
        const struct fletch_agent_options options = {.struct_size = sizeof options,
                                                     .name = name,
                                                     .functions = &writer,
                                                     .intake_capacity = 1,
                                                     .emit_limit = 1};
        assert_ok(fletch_agent_spawn(scene.system, &options,
                                     &agents[i / AGENTS_OF_LAYER][i % AGENTS_OF_LAYER], NULL));
    }
    for (int layer = LAYERS - 1; layer > 0; layer--)
        for (int i = 0; i < AGENTS_OF_LAYER * AGENTS_OF_LAYER; i++)
            assert_ok(fletch_agent_link(agents[layer - 1][i / AGENTS_OF_LAYER],
                                        agents[layer][i % AGENTS_OF_LAYER], 1, NULL));
    assert_int_equal(fletch_agent_link(agents[2][0], agents[0][1], 1, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "'agent 8' > 'agent 1' > 'agent ");
    assert_ok(fletch_agent_system_destroy(scene.system, 0, NULL));
    assert_ok(fletch_transport_destroy(scene.transport, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_dead_letter_sends_arrives),
        cmocka_unit_test(a_request_that_never_left_is_forgotten_once),
        cmocka_unit_test(a_request_is_given_up_once),
        cmocka_unit_test(nothing_is_sent_in_close),
        cmocka_unit_test(a_driven_agent_sends_nothing_after_its_end),
        cmocka_unit_test(only_requests_are_replied_to),
        cmocka_unit_test(nothing_is_begun_while_the_system_stops),
        cmocka_unit_test(links_of_many_ways_are_made_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
