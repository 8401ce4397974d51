#include <fletching/fletching.h>

#include <fletching/agent_statistics.h>

#include "base/clock.h"
#include "base/thread.h"
#include "support/cmocka_tests.h"

/* An agent on a thread that first waits for room and then for a reply, whose deadline comes long
 * before that of the room. */

#define MS UINT64_C(1000000)
#define SECOND_NS UINT64_C(1000000000)

static const struct fletch_batch_slot nothing = {.batch = NULL};

struct scene {
    struct fletch_transport *transport;
    struct fletch_agent_system *system;
    struct fletch_agent *asker;
    struct fletch_agent *asked;
};

/* Asks, and fills the link. */
static enum fletch_status ask(struct scene *scene, struct fletch_error *error)
{
    const struct fletch_agent_question question = {.timeout_ns = 200 * MS};
    uint64_t ticket;
    enum fletch_status status =
        fletch_agent_ask(scene->asker, scene->asked, &question, &ticket, error);
    return status == FLETCH_OK ? fletch_agent_emit(scene->asker, scene->asked, &nothing, error)
                               : status;
}

static enum fletch_status ask_for_each(void *state, struct fletch_agent *self,
                                       const struct fletch_agent_message *message,
                                       struct fletch_error *error)
{
    (void)self;
    return message->kind == FLETCH_AGENT_BATCH ? ask(state, error) : FLETCH_OK;
}

/* Takes its time for a request, and never replies. */
static enum fletch_status dawdle(void *state, struct fletch_agent *self,
                                 const struct fletch_agent_message *message,
                                 struct fletch_error *error)
{
    uint64_t until_ns = fletch_clock_deadline_ns(50 * MS);
    (void)state, (void)self, (void)error;
    while (message->kind == FLETCH_AGENT_REQUEST && fletch_clock_remaining_ns(until_ns) > 0)
        fletch_thread_yield();
    return FLETCH_OK;
}

static void begin(struct scene *scene, const struct fletch_agent_functions *asker)
{
    static const struct fletch_agent_functions asked = {.receive = dawdle};
    struct fletch_agent_options options = {.struct_size = sizeof options,
                                           .name = "asker",
                                           .functions = asker,
                                           .argument = scene,
                                           .request_limit = 1};
    assert_ok(fletch_transport_create(NULL, NULL, &scene->transport, NULL));
    assert_ok(fletch_agent_system_create(scene->transport, NULL, &scene->system, NULL));
    assert_ok(fletch_agent_spawn(scene->system, &options, &scene->asker, NULL));
    options.name = "asked";
    options.functions = &asked;
    assert_ok(fletch_agent_spawn(scene->system, &options, &scene->asked, NULL));
    assert_ok(fletch_agent_link(scene->asker, scene->asked, 1, NULL));
    assert_ok(fletch_agent_system_start(scene->system, NULL));
    assert_ok(fletch_agent_post(scene->asker, &nothing, 0, NULL));
}

static void end(struct scene *scene)
{
    assert_ok(fletch_agent_system_destroy(scene->system, 10 * SECOND_NS, NULL));
    assert_ok(fletch_transport_destroy(scene->transport, NULL));
}

static void a_thread_wakes_for_the_deadline_of_a_request(void **state)
{
    static const struct fletch_agent_functions functions = {.receive = ask_for_each};
    struct fletch_agent_counts counts = {.struct_size = sizeof counts};
    struct scene scene;
    (void)state;
    begin(&scene, &functions);
    uint64_t until_ns = fletch_clock_deadline_ns(10 * SECOND_NS);
    while (counts.requests_expired == 0 && fletch_clock_remaining_ns(until_ns) > 0) {
        fletch_agent_statistics(scene.asker, &counts);
        fletch_thread_yield();
    }
    assert_int_equal(counts.requests_expired, 1);
    end(&scene);
}

static void so_does_who_drives_an_agent(void **state)
{
    struct fletch_agent_message message;
    struct scene scene;
    (void)state;
    begin(&scene, NULL);
    assert_ok(fletch_agent_receive(scene.asker, 0, &message, NULL));
    assert_int_equal(message.kind, FLETCH_AGENT_BATCH);
    assert_ok(ask(&scene, NULL));
    uint64_t until_ns = fletch_clock_deadline_ns(10 * SECOND_NS);
    assert_ok(fletch_agent_receive(scene.asker, 20 * SECOND_NS, &message, NULL));
    assert_true(fletch_clock_remaining_ns(until_ns) > 0);
    assert_int_equal(message.kind, FLETCH_AGENT_REPLY);
    assert_int_equal(message.status, FLETCH_DEADLINE_EXCEEDED);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_wakes_for_the_deadline_of_a_request),
        cmocka_unit_test(so_does_who_drives_an_agent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
