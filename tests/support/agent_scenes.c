#include "support/agent_scenes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "shuffle/transport.h"

#include "support/cmocka_tests.h"
#include "support/events.h"

/* ---- what agents do ---- */

static void note(struct test_agent *agent, const char *word, uint64_t number, bool has_number)
{
    size_t at = strlen(agent->log);
    if (agent->is_quiet || at + 32 > sizeof agent->log)
        return;
    if (has_number)
        snprintf(agent->log + at, sizeof agent->log - at, "%s%s%llu", at == 0 ? "" : " ", word,
                 (unsigned long long)number);
    else
        snprintf(agent->log + at, sizeof agent->log - at, "%s%s", at == 0 ? "" : " ", word);
}

static bool fails(struct test_agent *agent, enum fletch_agent_message_kind kind)
{
    if (agent->fail_times == 0 || agent->fail_kind != kind)
        return false;
    agent->fail_times--;
    note(agent, "fails", 0, false);
    return true;
}

static enum fletch_status init(void *argument, struct fletch_agent *self, void **out_state,
                               struct fletch_error *error)
{
    struct test_agent *agent = argument;
    (void)self;
    if (fails(agent, FLETCH_AGENT_NOTHING))
        return fletch_error_set(error, FLETCH_UNAVAILABLE, "not today");
    agent->inits++;
    note(agent, "init", 0, false);
    *out_state = agent;
    return FLETCH_OK;
}

static enum fletch_status send_on(struct test_agent *agent, const struct fletch_batch_slot *slot,
                                  struct fletch_error *error)
{
    for (uint32_t i = 0; i < agent->target_count; i++) {
        enum fletch_status status = fletch_agent_emit(agent->agent, agent->targets[i], slot, error);
        if (status != FLETCH_OK)
            return status;
        fletch_batch_acquire(slot->batch);
    }
    if (agent->asks == NULL)
        return FLETCH_OK;
    uint64_t ticket;
    const struct fletch_agent_question question = {.slot = *slot,
                                                   .timeout_ns = agent->ask_timeout_ns};
    enum fletch_status status =
        fletch_agent_ask(agent->agent, agent->asks, &question, &ticket, error);
    if (status == FLETCH_OK)
        fletch_batch_acquire(slot->batch);
    return status;
}

static enum fletch_status answer(struct test_agent *agent,
                                 const struct fletch_agent_message *message,
                                 struct fletch_error *error)
{
    if (agent->keeps_requests) {
        agent->kept = message->request;
        return FLETCH_OK;
    }
    enum fletch_status status =
        fletch_agent_reply(agent->agent, &message->request, &message->slot, error);
    if (status == FLETCH_OK)
        fletch_batch_acquire(message->slot.batch);
    return status;
}

static enum fletch_status handle(struct test_agent *agent,
                                 const struct fletch_agent_message *message,
                                 struct fletch_error *error)
{
    const struct fletch_batch_slot nothing = {.batch = NULL};
    switch (message->kind) {
    case FLETCH_AGENT_BATCH:
        note(agent, "", message->slot.partition, true);
        agent->sum += message->slot.partition;
        agent->count++;
        return send_on(agent, &message->slot, error);
    case FLETCH_AGENT_REQUEST:
        note(agent, "ask", message->slot.partition, true);
        return answer(agent, message, error);
    case FLETCH_AGENT_REPLY:
        if (message->status == FLETCH_OK)
            note(agent, "reply", message->slot.partition, true);
        else
            note(agent, fletch_status_name(message->status), 0, false);
        return FLETCH_OK;
    case FLETCH_AGENT_CONTROL:
        note(agent, "ctl", message->number * 100 + message->value, true);
        return agent->keeps_requests
                   ? fletch_agent_reply(agent->agent, &agent->kept, &nothing, error)
                   : FLETCH_OK;
    case FLETCH_AGENT_BARRIER:
        note(agent, "bar", message->number, true);
        return FLETCH_OK;
    default:
        note(agent, "end", 0, false);
        return FLETCH_OK;
    }
}

/* Fails after it has sent: nothing of that may arrive. */
static enum fletch_status receive(void *state, struct fletch_agent *self,
                                  const struct fletch_agent_message *message,
                                  struct fletch_error *error)
{
    struct test_agent *agent = state;
    enum fletch_status status = handle(agent, message, error);
    (void)self;
    if (status == FLETCH_OK && fails(agent, message->kind))
        return fletch_error_set(error, FLETCH_INTERNAL, "it broke");
    return status;
}

static void close_state(void *state, struct fletch_agent *self)
{
    struct test_agent *agent = state;
    (void)self;
    agent->closes++;
    note(agent, "close", 0, false);
}

static void dead_letter(void *argument, struct fletch_agent *self,
                        const struct fletch_agent_message *message,
                        const struct fletch_error *error)
{
    struct test_agent *agent = argument;
    (void)self;
    assert_string_equal(error->message, "it broke");
    note(agent, "dead", message->slot.partition, true);
}

const struct fletch_agent_functions test_agent_functions = {
    .init = init, .receive = receive, .close = close_state, .dead_letter = dead_letter};

/* ---- scenes ---- */

static uint64_t virtual_now_ns(void *context)
{
    return ((struct test_agents *)context)->now_ns;
}

struct test_agents *test_agents_make(uint32_t thread_count)
{
    struct test_agents *scene = calloc(1, sizeof *scene);
    const struct fletch_agent_system_options options = {.struct_size = sizeof options,
                                                        .thread_count = thread_count};
    assert_non_null(scene);
    assert_ok(fletch_transport_create(NULL, NULL, &scene->transport, NULL));
    scene->now_ns = 1;
    if (thread_count == FLETCH_AGENTS_STEPPED)
        scene->transport->time =
            (struct fletch_time_source){.now_ns = virtual_now_ns, .context = scene};
    scene->schema = events_schema();
    assert_ok(
        fletch_buffer_cache_open(fletch_transport_pool(scene->transport), &scene->cache, NULL));
    assert_ok(fletch_agent_system_create(scene->transport, &options, &scene->system, NULL));
    return scene;
}

void test_agents_end(struct test_agents *scene)
{
    struct fletch_error error;
    assert_ok(fletch_agent_system_destroy(scene->system, 10 * UINT64_C(1000000000), NULL));
    for (uint32_t i = 0; i < scene->count; i++)
        assert_int_equal(scene->agents[i].inits, scene->agents[i].closes);
    fletch_schema_release(scene->schema);
    fletch_buffer_cache_close(scene->cache);
    if (fletch_transport_destroy(scene->transport, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    free(scene);
}

struct test_agent *test_agent_spawn(struct test_agents *scene, const char *name,
                                    struct fletch_agent_options options)
{
    struct test_agent *agent = &scene->agents[scene->count++];
    struct fletch_error error;
    agent->scene = scene;
    options.struct_size = sizeof options;
    options.name = name;
    options.functions = &test_agent_functions;
    options.argument = agent;
    if (fletch_agent_spawn(scene->system, &options, &agent->agent, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return agent;
}

void test_agent_link(struct test_agent *from, struct test_agent *to, uint32_t capacity)
{
    struct fletch_error error;
    if (fletch_agent_link(from->agent, to->agent, capacity, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    from->targets[from->target_count++] = to->agent;
}

struct fletch_batch_slot test_slot(struct test_agents *scene, uint64_t number)
{
    const struct test_event event = {.number = (int64_t)number};
    return (struct fletch_batch_slot){
        .shuffle_hash = 10 * number,
        .partition = (uint32_t)number,
        .batch = events_batch(scene->cache, scene->schema, &event, 1),
    };
}

enum fletch_status test_agent_post(struct test_agent *to, uint64_t number,
                                   struct fletch_error *error)
{
    struct fletch_batch_slot slot = test_slot(to->scene, number);
    enum fletch_status status = fletch_agent_post(to->agent, &slot, 0, error);
    if (status != FLETCH_OK)
        fletch_batch_release(to->scene->cache, slot.batch);
    return status;
}

void test_agents_settle(struct test_agents *scene)
{
    bool has_moved;
    do {
        has_moved = false;
        for (uint32_t i = 0; i < scene->count; i++)
            has_moved = fletch_agent_step(scene->agents[i].agent) || has_moved;
    } while (has_moved);
}

struct fletch_agent_counts test_agent_statistics(const struct test_agent *agent)
{
    struct fletch_agent_counts statistics = {.struct_size = sizeof statistics};
    fletch_agent_statistics(agent->agent, &statistics);
    return statistics;
}
