#include <fletching/fletching.h>

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"

/* A system of agents whose n-th request for memory fails, for n = 1, 2, … until none does: making
 * it, its agents and links, starting it, and running it. Each failure is told, and nothing is
 * leaked. */

enum { TRIES_MOST = 300, AGENTS = 3 };

static enum fletch_status receive(void *state, struct fletch_agent *self,
                                  const struct fletch_agent_message *message,
                                  struct fletch_error *error)
{
    struct fletch_agent *const *next = state;
    if (message->kind != FLETCH_AGENT_BATCH || *next == NULL)
        return FLETCH_OK;
    return fletch_agent_emit(self, *next, &message->slot, error);
}

static const struct fletch_agent_functions functions = {.receive = receive};

struct scene {
    struct fletch_transport *transport;
    struct fletch_agent_system *system;
    struct fletch_agent *agents[AGENTS];
    struct fletch_agent *nexts[AGENTS];
};

static enum fletch_status made(struct scene *scene, struct fletch_error *error)
{
    static const char *const names[AGENTS] = {"a", "b", "driven"};
    const struct fletch_agent_system_options system = {.struct_size = sizeof system,
                                                       .thread_count = FLETCH_AGENTS_STEPPED};
    enum fletch_status status =
        fletch_agent_system_create(scene->transport, &system, &scene->system, error);
    for (size_t i = 0; i < AGENTS && status == FLETCH_OK; i++) {
        const struct fletch_agent_options options = {
            .struct_size = sizeof options,
            .name = names[i],
            .functions = i == AGENTS - 1 ? NULL : &functions,
            .argument = &scene->nexts[i],
        };
        status = fletch_agent_spawn(scene->system, &options, &scene->agents[i], error);
        if (status == FLETCH_OK && i > 0) {
            scene->nexts[i - 1] = scene->agents[i];
            status = fletch_agent_link(scene->agents[i - 1], scene->agents[i], 0, error);
        }
    }
    return status == FLETCH_OK ? fletch_agent_system_start(scene->system, error) : status;
}

static void use(struct scene *scene)
{
    const struct fletch_batch_slot slot = {.partition = 7};
    struct fletch_agent_message message;
    assert_ok(fletch_agent_post(scene->agents[0], &slot, 0, NULL));
    assert_ok(fletch_agent_system_barrier(scene->system, 1, NULL));
    for (int i = 0; i < 6; i++)
        for (size_t j = 0; j < AGENTS - 1; j++)
            fletch_agent_step(scene->agents[j]);
    assert_ok(fletch_agent_receive(scene->agents[AGENTS - 1], 0, &message, NULL));
    assert_int_equal(message.kind, FLETCH_AGENT_BATCH);
    assert_int_equal(message.slot.partition, 7);
    assert_ok(fletch_agent_receive(scene->agents[AGENTS - 1], 0, &message, NULL));
    assert_int_equal(message.kind, FLETCH_AGENT_BARRIER);
}

static void each_failure_is_told(void **state)
{
    (void)state;
    static struct counting_allocator counting;
    uint64_t n = 0;
    enum fletch_status status;
    do {
        struct scene scene = {0};
        struct fletch_error error;
        counting_allocator_start(&counting, 0);
        assert_ok(fletch_transport_create(NULL, &counting.allocator, &scene.transport, NULL));
        counting.fail_at = counting.requests + ++n;
        status = made(&scene, &error);
        counting.fail_at = 0;
        if (status == FLETCH_OK)
            use(&scene);
        else
            assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
        assert_ok(fletch_agent_system_destroy(scene.system, 0, NULL));
        assert_ok(fletch_transport_destroy(scene.transport, NULL));
        assert_int_equal(counting.live_bytes, 0);
        assert_int_equal(counting.mismatched, 0);
    } while (status != FLETCH_OK && n < TRIES_MOST);
    assert_ok(status);
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_failure_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
