#include <fletching/fletching.h>

#include <string.h>

#include "base/status.h"

#include "support/agent_scenes.h"
#include "support/cmocka_tests.h"
#include "support/team.h"

/* Agents step by step: no thread, virtual time. */

#define MS UINT64_C(1000000)

static struct test_agents *stepped(void)
{
    return test_agents_make(FLETCH_AGENTS_STEPPED);
}

static void start(struct test_agents *scene)
{
    assert_ok(fletch_agent_system_start(scene->system, NULL));
}

static void post(struct test_agent *to, uint64_t number)
{
    assert_ok(test_agent_post(to, number, NULL));
}

static void drained(struct test_agents *scene)
{
    struct fletch_error error;
    assert_int_equal(fletch_agent_system_drain(scene->system, 0, &error), FLETCH_DEADLINE_EXCEEDED);
    test_agents_settle(scene);
    if (fletch_agent_system_drain(scene->system, 0, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
}

static const struct fletch_agent_options plain;

/* ---- sending ---- */

static void batches_travel_along_links_in_order(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a = test_agent_spawn(scene, "a", plain);
    struct test_agent *b = test_agent_spawn(scene, "b", plain);
    struct test_agent *c = test_agent_spawn(scene, "c", plain);
    test_agent_link(a, b, 0);
    test_agent_link(a, c, 0);
    test_agent_link(b, c, 0);
    start(scene);
    post(a, 1);
    post(a, 2);
    test_agents_settle(scene);
    drained(scene);
    assert_string_equal(a->log, "init 1 2 end close");
    assert_string_equal(b->log, "init 1 2 end close");
    assert_string_equal(c->log, "init 1 2 1 2 end close");
    assert_int_equal(test_agent_statistics(a).emitted, 4);
    assert_int_equal(test_agent_statistics(a).messages, 3);
    assert_int_equal(test_agent_statistics(a).barrier, UINT64_MAX);
    assert_int_equal(test_agent_statistics(c).state, FLETCH_AGENT_ENDED);
    struct fletch_error error;
    assert_int_equal(fletch_agent_tell(c->agent, 1, 2, &error), FLETCH_FAILED_PRECONDITION);
    assert_string_equal(error.message, "agent 'c' has ended");
    test_agents_end(scene);
}

static void control_comes_first(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a =
        test_agent_spawn(scene, "a", (struct fletch_agent_options){.control_capacity = 2});
    struct fletch_error error;
    start(scene);
    fletch_agent_step(a->agent);
    post(a, 1);
    assert_ok(fletch_agent_tell(a->agent, 3, 4, NULL));
    assert_ok(fletch_agent_tell(a->agent, 5, 6, NULL));
    assert_int_equal(fletch_agent_tell(a->agent, 5, 7, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_string_equal(error.message, "agent 'a' has 2 control messages that it has not read");
    test_agents_settle(scene);
    assert_string_equal(a->log, "init ctl304 ctl506 1");
    test_agents_end(scene);
}

static void a_full_link_holds_its_sender_up(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a = test_agent_spawn(
        scene, "a",
        (struct fletch_agent_options){.intake_capacity = 1, .stall_timeout_ns = 20 * MS});
    struct test_agent *b = test_agent_spawn(scene, "b", plain);
    struct fletch_error error;
    test_agent_link(a, b, 2);
    start(scene);
    fletch_agent_step(a->agent);
    for (uint64_t i = 1; i <= 2; i++) {
        post(a, i);
        assert_true(fletch_agent_step(a->agent));
    }
    post(a, 3);
    assert_false(fletch_agent_step(a->agent));
    struct fletch_agent_counts statistics = test_agent_statistics(a);
    assert_int_equal(statistics.state, FLETCH_AGENT_WAITS_FOR_ROOM);
    assert_string_equal(statistics.waits_for, "b");
    while (test_agent_post(a, 4, &error) == FLETCH_OK)
        continue;
    assert_string_equal(error.message, "the intake of agent 'a' is full: 1 batches and requests");
    assert_int_equal(fletch_agent_system_drain(scene->system, 0, &error), FLETCH_DEADLINE_EXCEEDED);
    assert_string_equal(error.message,
                        "agent 'a' waits for room in its link to 'b' and has not ended");
    /* Control goes on. */
    assert_ok(fletch_agent_tell(a->agent, 0, 1, NULL));
    assert_true(fletch_agent_step(a->agent));
    fletch_agent_step(b->agent); /* init */
    fletch_agent_step(b->agent);
    assert_true(fletch_agent_step(a->agent));
    assert_string_equal(a->log, "init 1 2 ctl1 3");
    /* And now for too long. */
    assert_false(fletch_agent_step(a->agent));
    scene->now_ns += 20 * MS;
    assert_false(fletch_agent_step(a->agent));
    assert_int_equal(fletch_agent_system_drain(scene->system, 0, &error), FLETCH_DEADLINE_EXCEEDED);
    assert_string_equal(error.message, "agent 'a' has waited for room in its link to 'b' for 20 "
                                       "ms, its stall_timeout");
    test_agents_end(scene);
}

static void circles_are_refused(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a = test_agent_spawn(scene, "a", plain);
    struct test_agent *b = test_agent_spawn(scene, "b", plain);
    struct test_agent *c = test_agent_spawn(scene, "c", plain);
    struct fletch_error error;
    test_agent_link(a, b, 0);
    test_agent_link(b, c, 0);
    assert_int_equal(fletch_agent_link(c->agent, a->agent, 0, &error), FLETCH_INVALID_ARGUMENT);
    assert_string_equal(error.message,
                        "a link from 'c' to 'a' closes a circle, in which all mailboxes can be "
                        "full at a time: 'c' > 'a' > 'b' > 'c'");
    assert_int_equal(fletch_agent_link(a->agent, a->agent, 0, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "'a' > 'a'");
    assert_int_equal(fletch_agent_link(a->agent, b->agent, 0, &error), FLETCH_ALREADY_EXISTS);
    assert_string_equal(error.message, "agent 'a' has a link to 'b'");
    assert_ok(fletch_agent_link(a->agent, c->agent, 0, &error));
    start(scene);
    assert_int_equal(fletch_agent_link(a->agent, c->agent, 0, &error), FLETCH_FAILED_PRECONDITION);
    test_agents_end(scene);
}

/* ---- requests ---- */

static struct test_agents *asking(struct test_agent **out_a, struct test_agent **out_b,
                                  struct fletch_agent_options of_b)
{
    struct test_agents *scene = stepped();
    *out_a = test_agent_spawn(scene, "a", (struct fletch_agent_options){.request_limit = 2});
    *out_b = test_agent_spawn(scene, "b", of_b);
    test_agent_link(*out_a, *out_b, 0);
    (*out_a)->target_count = 0;
    (*out_a)->asks = (*out_b)->agent;
    (*out_a)->ask_timeout_ns = 10 * MS;
    start(scene);
    return scene;
}

static void requests_are_replied_to(void **state)
{
    (void)state;
    struct test_agent *a;
    struct test_agent *b;
    struct test_agents *scene = asking(&a, &b, plain);
    for (uint64_t i = 1; i <= 4; i++)
        post(a, i);
    test_agents_settle(scene);
    drained(scene);
    assert_string_equal(a->log, "init 1 reply1 2 reply2 3 reply3 4 reply4 end close");
    assert_string_equal(b->log, "init ask1 ask2 ask3 ask4 end close");
    assert_int_equal(test_agent_statistics(b).replied, 4);
    assert_int_equal(test_agent_statistics(b).replies_late, 0);
    test_agents_end(scene);
}

static void a_request_ends_at_its_deadline(void **state)
{
    (void)state;
    struct test_agent *a;
    struct test_agent *b;
    struct test_agents *scene = asking(&a, &b, plain);
    b->keeps_requests = true;
    for (uint64_t i = 1; i <= 3; i++)
        post(a, i);
    test_agents_settle(scene);
    assert_string_equal(a->log, "init 1 2"); /* two may be open */
    assert_int_equal(test_agent_statistics(a).state, FLETCH_AGENT_WAITS_FOR_REPLIES);
    scene->now_ns += 10 * MS - 1;
    test_agents_settle(scene);
    assert_string_equal(a->log, "init 1 2");
    scene->now_ns += 1;
    test_agents_settle(scene);
    assert_string_equal(a->log, "init 1 2 DEADLINE_EXCEEDED DEADLINE_EXCEEDED 3");
    assert_int_equal(test_agent_statistics(a).requests_expired, 2);
    /* The reply to the third one is in time; one more to it is not. */
    assert_ok(fletch_agent_tell(b->agent, 0, 0, NULL));
    assert_ok(fletch_agent_tell(b->agent, 0, 0, NULL));
    test_agents_settle(scene);
    assert_string_equal(a->log, "init 1 2 DEADLINE_EXCEEDED DEADLINE_EXCEEDED 3 reply0");
    assert_int_equal(test_agent_statistics(b).replies_late, 1);
    test_agents_end(scene);
}

static void a_request_needs_a_deadline_and_a_link(void **state)
{
    (void)state;
    struct test_agent *a;
    struct test_agent *b;
    struct test_agents *scene = asking(&a, &b, plain);
    struct fletch_batch_slot slot = {.partition = 1};
    struct fletch_error error;
    uint64_t ticket;
    struct fletch_agent_question question = {.timeout_ns = FLETCH_NO_TIMEOUT};
    assert_int_equal(fletch_agent_ask(a->agent, b->agent, &question, &ticket, &error),
                     FLETCH_INVALID_ARGUMENT);
    question.timeout_ns = 1;
    assert_int_equal(fletch_agent_ask(b->agent, a->agent, &question, &ticket, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_string_equal(error.message, "agent 'b' has no link to 'a'");
    assert_int_equal(fletch_agent_emit(b->agent, a->agent, &slot, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fletch_agent_call(a->agent, &slot, FLETCH_NO_TIMEOUT, &slot, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_int_equal(fletch_agent_call(a->agent, &slot, 0, &slot, &error),
                     FLETCH_DEADLINE_EXCEEDED);
    assert_string_equal(error.message, "agent 'a' has not replied within 0 ms");
    test_agents_end(scene);
}

/* ---- barriers ---- */

static void barriers_are_aligned(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a = test_agent_spawn(scene, "a", plain);
    struct test_agent *b = test_agent_spawn(scene, "b", plain);
    struct test_agent *c =
        test_agent_spawn(scene, "c", (struct fletch_agent_options){.intake_capacity = FLETCH_OFF});
    struct fletch_error error;
    test_agent_link(a, c, 0);
    test_agent_link(b, c, 0);
    start(scene);
    post(a, 1);
    post(b, 2);
    assert_ok(fletch_agent_system_barrier(scene->system, 7, NULL));
    post(a, 3);
    post(b, 4);
    for (int i = 0; i < 5; i++) {
        fletch_agent_step(a->agent);
        fletch_agent_step(c->agent);
    }
    assert_string_equal(a->log, "init 1 bar7 3");
    assert_string_equal(c->log, "init 1"); /* 3 is behind the barrier, and b has not sent it */
    assert_int_equal(test_agent_statistics(c).state, FLETCH_AGENT_WAITS_FOR_BARRIER);
    assert_string_equal(test_agent_statistics(c).waits_for, "b");
    assert_int_equal(fletch_agent_system_wait_barrier(scene->system, 7, 0, &error),
                     FLETCH_DEADLINE_EXCEEDED);
    assert_string_equal(error.message, "agent 'b' waits for messages and has not passed barrier 7");
    test_agents_settle(scene);
    assert_ok(fletch_agent_system_wait_barrier(scene->system, 7, 0, NULL));
    assert_string_equal(b->log, "init 2 bar7 4");
    assert_true(strcmp(c->log, "init 1 2 bar7 3 4") == 0 ||
                strcmp(c->log, "init 1 2 bar7 4 3") == 0);
    test_agents_end(scene);
}

static void barriers_in_flight_are_bounded(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a = test_agent_spawn(scene, "a", plain);
    struct test_agent *b = test_agent_spawn(scene, "b", plain);
    struct fletch_error error;
    test_agent_link(a, b, 1);
    start(scene);
    for (uint64_t i = 1; i <= 4; i++)
        assert_ok(fletch_agent_system_barrier(scene->system, 10 * i, NULL));
    for (int i = 0; i < 10; i++)
        fletch_agent_step(a->agent);
    assert_string_equal(a->log, "init bar10 bar20 bar30 bar40");
    assert_int_equal(fletch_agent_system_barrier(scene->system, 50, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_string_equal(error.message, "4 barriers are in flight, as many as may be: agent 'b' "
                                       "waits for messages and has not passed barrier 10");
    assert_int_equal(fletch_agent_system_barrier(scene->system, 40, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_string_equal(error.message, "barrier is 40, expected more than 40, which was the last "
                                       "one");
    test_agents_settle(scene);
    assert_ok(fletch_agent_system_barrier(scene->system, 50, NULL));
    drained(scene);
    assert_string_equal(b->log, "init bar10 bar20 bar30 bar40 bar50 end close");
    assert_int_equal(fletch_agent_system_barrier(scene->system, 60, &error),
                     FLETCH_FAILED_PRECONDITION);
    test_agents_end(scene);
}

/* ---- supervision ---- */

static void a_failure_stops_the_system(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a = test_agent_spawn(scene, "a", plain);
    struct test_agent *b = test_agent_spawn(scene, "b", plain);
    struct fletch_error error;
    test_agent_link(a, b, 0);
    start(scene);
    b->fail_kind = FLETCH_AGENT_BATCH;
    b->fail_times = 1;
    post(a, 1);
    test_agents_settle(scene);
    assert_int_equal(fletch_agent_system_drain(scene->system, 0, &error), FLETCH_INTERNAL);
    assert_string_equal(error.message, "agent 'b' failed at a batch of 'a': it broke");
    assert_string_equal(a->log, "init 1 close");
    assert_int_equal(test_agent_post(a, 2, &error), FLETCH_INTERNAL);
    assert_int_equal(fletch_agent_tell(a->agent, 0, 0, &error), FLETCH_INTERNAL);
    assert_int_equal(fletch_agent_system_barrier(scene->system, 1, &error), FLETCH_INTERNAL);
    test_agents_end(scene);
}

/* Fails once at each kind of message in turn; with redelivery each is handled in the end, once as
 * far as others can see. */
static void an_agent_that_dies_at_each_step_is_restarted(void **state)
{
    (void)state;
    static const enum fletch_agent_message_kind kinds[] = {
        FLETCH_AGENT_NOTHING, FLETCH_AGENT_BATCH,   FLETCH_AGENT_REQUEST,
        FLETCH_AGENT_CONTROL, FLETCH_AGENT_BARRIER, FLETCH_AGENT_END};
    static const char *const logs[] = {"fails init ctl2 1 ask5 bar7 end close",
                                       "init ctl2 1 fails close init 1 ask5 bar7 end close",
                                       "init ctl2 1 ask5 fails close init ask5 bar7 end close",
                                       "init ctl2 fails close init ctl2 1 ask5 bar7 end close",
                                       "init ctl2 1 ask5 bar7 fails close init bar7 end close",
                                       "init ctl2 1 ask5 bar7 end fails close init end close"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct test_agents *scene = stepped();
        struct test_agent *a = test_agent_spawn(scene, "a", plain);
        struct test_agent *b = test_agent_spawn(
            scene, "b", (struct fletch_agent_options){.supervision = FLETCH_AGENT_RESTART});
        struct test_agent *c = test_agent_spawn(scene, "c", plain);
        uint64_t ticket;
        test_agent_link(a, b, 0);
        test_agent_link(b, c, 0);
        a->ask_timeout_ns = MS;
        start(scene);
        b->fail_kind = kinds[i];
        b->fail_times = 1;
        post(a, 1);
        fletch_agent_step(a->agent);
        fletch_agent_step(a->agent);
        const struct fletch_agent_question question = {.slot = test_slot(scene, 5),
                                                       .timeout_ns = MS};
        assert_ok(fletch_agent_ask(a->agent, b->agent, &question, &ticket, NULL));
        assert_ok(fletch_agent_tell(b->agent, 0, 2, NULL));
        post(a, 0); /* what was asked leaves with it */
        a->target_count = 0;
        fletch_agent_step(a->agent);
        assert_ok(fletch_agent_system_barrier(scene->system, 7, NULL));
        test_agents_settle(scene);
        drained(scene);
        assert_string_equal(b->log, logs[i]);
        assert_string_equal(c->log, "init 1 bar7 end close");
        assert_string_equal(a->log, "init 1 0 bar7 reply5 end close");
        assert_int_equal(test_agent_statistics(b).restarts, 1);
        test_agents_end(scene);
    }
}

static void a_message_that_kills_is_given_up(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a =
        test_agent_spawn(scene, "a",
                         (struct fletch_agent_options){.supervision = FLETCH_AGENT_RESTART,
                                                       .failed_message = FLETCH_AGENT_DEAD_LETTER});
    start(scene);
    a->fail_kind = FLETCH_AGENT_BATCH;
    a->fail_times = 2;
    for (uint64_t i = 1; i <= 3; i++)
        post(a, i);
    test_agents_settle(scene);
    assert_string_equal(a->log, "init 1 fails close dead1 init 2 fails close dead2 init 3");
    assert_int_equal(test_agent_statistics(a).dead_letters, 2);
    assert_int_equal(test_agent_statistics(a).messages, 1);
    drained(scene);
    test_agents_end(scene);
}

static void a_request_that_kills_is_answered(void **state)
{
    (void)state;
    struct test_agent *a;
    struct test_agent *b;
    struct test_agents *scene =
        asking(&a, &b,
               (struct fletch_agent_options){.supervision = FLETCH_AGENT_RESTART,
                                             .failed_message = FLETCH_AGENT_DEAD_LETTER});
    b->fail_kind = FLETCH_AGENT_REQUEST;
    b->fail_times = 1;
    post(a, 1);
    test_agents_settle(scene);
    assert_string_equal(a->log, "init 1 ABORTED");
    test_agents_end(scene);
}

static void restarts_are_limited_in_a_period(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a = test_agent_spawn(
        scene, "a",
        (struct fletch_agent_options){
            .supervision = FLETCH_AGENT_RESTART, .restart_limit = 2, .restart_period_ns = 50 * MS});
    struct fletch_error error;
    start(scene);
    a->fail_kind = FLETCH_AGENT_BATCH;
    a->fail_times = 2;
    post(a, 1);
    test_agents_settle(scene);
    scene->now_ns += 50 * MS;
    a->fail_times = 2;
    post(a, 2);
    test_agents_settle(scene);
    assert_int_equal(test_agent_statistics(a).restarts, 4);
    scene->now_ns += 49 * MS;
    a->fail_times = 1;
    post(a, 3);
    test_agents_settle(scene);
    assert_int_equal(fletch_agent_system_drain(scene->system, 0, &error), FLETCH_INTERNAL);
    assert_string_equal(error.message, "agent 'a' failed at a batch: it broke");
    test_agents_end(scene);
}

static void init_that_never_works_stops_the_system(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a = test_agent_spawn(
        scene, "a", (struct fletch_agent_options){.supervision = FLETCH_AGENT_RESTART});
    struct fletch_error error;
    start(scene);
    a->fail_kind = FLETCH_AGENT_NOTHING;
    a->fail_times = 100;
    test_agents_settle(scene);
    assert_int_equal(fletch_agent_system_drain(scene->system, 0, &error), FLETCH_UNAVAILABLE);
    assert_string_equal(error.message, "agent 'a' failed at init: not today");
    assert_string_equal(a->log, "fails fails fails fails");
    test_agents_end(scene);
}

static void too_much_at_once_is_refused(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a =
        test_agent_spawn(scene, "a", (struct fletch_agent_options){.emit_limit = 1});
    struct test_agent *b = test_agent_spawn(scene, "b", plain);
    struct fletch_error error;
    test_agent_link(a, b, 0);
    a->targets[a->target_count++] = b->agent;
    start(scene);
    post(a, 1);
    test_agents_settle(scene);
    assert_int_equal(fletch_agent_system_drain(scene->system, 0, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_string_equal(error.message,
                        "agent 'a' failed at a batch: agent 'a' has sent 1 batches, requests and "
                        "replies since its last message, which is its emit_limit");
    assert_string_equal(b->log, "init close");
    test_agents_end(scene);
}

/* ---- ending ---- */

static void cancelling_releases_what_is_queued(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a = test_agent_spawn(scene, "a", plain);
    struct test_agent *b = test_agent_spawn(scene, "b", plain);
    struct fletch_error error;
    test_agent_link(a, b, 0);
    start(scene);
    for (uint64_t i = 1; i <= 5; i++)
        post(a, i);
    for (int i = 0; i < 3; i++)
        fletch_agent_step(a->agent);
    fletch_agent_system_cancel(scene->system, "no more time");
    fletch_agent_system_cancel(scene->system, "again");
    assert_int_equal(fletch_agent_system_drain(scene->system, 0, &error), FLETCH_CANCELLED);
    assert_string_equal(error.message, "the system of agents is cancelled: no more time");
    test_agents_settle(scene);
    assert_string_equal(a->log, "init 1 2 close");
    assert_string_equal(b->log, "");
    test_agents_end(scene);
}

static void a_draining_system_takes_nothing_more(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct test_agent *a = test_agent_spawn(scene, "a", plain);
    struct fletch_error error;
    start(scene);
    post(a, 1);
    assert_int_equal(fletch_agent_system_drain(scene->system, 0, &error), FLETCH_DEADLINE_EXCEEDED);
    assert_int_equal(test_agent_post(a, 2, &error), FLETCH_FAILED_PRECONDITION);
    assert_string_equal(error.message, "the system of agent 'a' drains");
    test_agents_settle(scene);
    assert_ok(fletch_agent_system_drain(scene->system, 0, NULL));
    assert_string_equal(a->log, "init 1 end close");
    test_agents_end(scene);
}

/* ---- driven agents ---- */

static struct fletch_agent *driven_spawn(struct test_agents *scene, const char *name)
{
    const struct fletch_agent_options options = {.struct_size = sizeof options, .name = name};
    struct fletch_agent *agent;
    assert_ok(fletch_agent_spawn(scene->system, &options, &agent, NULL));
    return agent;
}

static void assert_received(struct fletch_agent *agent, enum fletch_agent_message_kind kind,
                            uint64_t number)
{
    struct fletch_agent_message message;
    assert_ok(fletch_agent_receive(agent, 0, &message, NULL));
    assert_int_equal(message.kind, kind);
    assert_int_equal(kind == FLETCH_AGENT_BATCH ? message.slot.partition : message.number, number);
    if (kind == FLETCH_AGENT_BATCH)
        assert_int_equal(message.slot.shuffle_hash, 10 * number);
}

static void a_driven_agent_receives_and_sends(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    struct fletch_agent *driven = driven_spawn(scene, "driven");
    struct test_agent *b = test_agent_spawn(scene, "b", plain);
    struct fletch_batch_slot slot = test_slot(scene, 1);
    struct fletch_error error;
    assert_ok(fletch_agent_link(driven, b->agent, 1, NULL));
    struct fletch_agent_message message;
    assert_int_equal(fletch_agent_receive(driven, 0, &message, &error), FLETCH_FAILED_PRECONDITION);
    start(scene);
    assert_int_equal(fletch_agent_receive(b->agent, 0, &message, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_string_equal(error.message, "agent 'b' has functions that receive");
    assert_ok(fletch_agent_post(driven, &slot, 0, NULL));
    assert_ok(fletch_agent_system_barrier(scene->system, 3, NULL));
    assert_received(driven, FLETCH_AGENT_BATCH, 1);
    slot = test_slot(scene, 2);
    assert_ok(fletch_agent_emit(driven, b->agent, &slot, NULL));
    test_agents_settle(scene);
    assert_string_equal(b->log, "init"); /* it leaves when the message has been handled */
    assert_received(driven, FLETCH_AGENT_NOTHING, 0);
    slot = test_slot(scene, 3);
    assert_int_equal(fletch_agent_emit(driven, b->agent, &slot, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_string_equal(error.message,
                        "the link from 'driven' to 'b' is full: 1 batches and requests");
    test_agents_settle(scene);
    assert_ok(fletch_agent_emit(driven, b->agent, &slot, NULL));
    assert_received(driven, FLETCH_AGENT_NOTHING, 0); /* the link is full */
    test_agents_settle(scene);
    assert_received(driven, FLETCH_AGENT_BARRIER, 3);
    assert_int_equal(fletch_agent_system_drain(scene->system, 0, &error), FLETCH_DEADLINE_EXCEEDED);
    assert_received(driven, FLETCH_AGENT_END, 0);
    assert_received(driven, FLETCH_AGENT_END, 0);
    test_agents_settle(scene);
    assert_ok(fletch_agent_system_drain(scene->system, 0, NULL));
    assert_string_equal(b->log, "init 2 3 bar3 end close");
    fletch_eventcount_notify(fletch_agent_eventcount(driven), 1);
    test_agents_end(scene);
}

/* ---- threads ---- */

struct stuck {
    _Atomic uint32_t is_in;
    _Atomic uint32_t may_leave;
};

static enum fletch_status receive_stuck(void *state, struct fletch_agent *self,
                                        const struct fletch_agent_message *message,
                                        struct fletch_error *error)
{
    struct stuck *stuck = state;
    (void)self;
    (void)message;
    (void)error;
    store_release(&stuck->is_in, 1);
    while (load_acquire(&stuck->may_leave) == 0)
        fletch_thread_yield();
    return FLETCH_OK;
}

static void a_handler_that_never_returns_is_named(void **state)
{
    (void)state;
    struct test_agents *scene = test_agents_make(0);
    struct stuck stuck = {0};
    const struct fletch_agent_functions functions = {.receive = receive_stuck};
    const struct fletch_agent_options options = {.struct_size = sizeof options,
                                                 .name = "stuck",
                                                 .functions = &functions,
                                                 .argument = &stuck};
    const struct fletch_batch_slot slot = {.partition = 1};
    struct fletch_agent *agent;
    struct fletch_error error;
    assert_ok(fletch_agent_spawn(scene->system, &options, &agent, NULL));
    start(scene);
    assert_ok(fletch_agent_post(agent, &slot, 0, NULL));
    while (load_acquire(&stuck.is_in) == 0)
        fletch_thread_yield();
    assert_int_equal(fletch_agent_system_drain(scene->system, MS, &error),
                     FLETCH_DEADLINE_EXCEEDED);
    assert_string_equal(error.message, "agent 'stuck' is handling a message and has not ended");
    assert_int_equal(fletch_agent_system_destroy(scene->system, MS, &error),
                     FLETCH_DEADLINE_EXCEEDED);
    assert_string_equal(error.message, "agent 'stuck' is still handling a message");
    store_release(&stuck.may_leave, 1);
    test_agents_end(scene);
}

static void a_call_from_outside_is_answered(void **state)
{
    (void)state;
    struct test_agents *scene = test_agents_make(0);
    struct test_agent *a = test_agent_spawn(scene, "a", plain);
    struct fletch_batch_slot reply;
    start(scene);
    for (uint64_t i = 1; i <= 100; i++) {
        struct fletch_batch_slot slot = test_slot(scene, i);
        assert_ok(fletch_agent_call(a->agent, &slot, 10000 * MS, &reply, NULL));
        assert_null(slot.batch);
        assert_int_equal(reply.partition, i);
        fletch_batch_release(scene->cache, reply.batch);
    }
    assert_ok(fletch_agent_system_drain(scene->system, 10000 * MS, NULL));
    test_agents_end(scene);
}

static void a_system_without_agents_drains(void **state)
{
    (void)state;
    struct test_agents *scene = test_agents_make(0);
    start(scene);
    assert_ok(fletch_agent_system_drain(scene->system, 0, NULL));
    test_agents_end(scene);
}

/* ---- options ---- */

static void assert_spawn(struct test_agents *scene, struct fletch_agent_options options,
                         const char *message)
{
    struct fletch_agent *agent;
    struct fletch_error error;
    options.struct_size = sizeof options;
    assert_true(fletch_agent_spawn(scene->system, &options, &agent, &error) != FLETCH_OK);
    assert_string_equal(error.message, message);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct test_agents *scene = stepped();
    static const struct fletch_agent_functions empty;
    struct fletch_agent_system *other;
    struct fletch_error error;
    struct fletch_agent_system_options options = {.struct_size = sizeof options,
                                                  .barrier_limit = 65};
    assert_int_equal(fletch_agent_system_create(scene->transport, &options, &other, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_string_equal(error.message, "barrier_limit is 65, expected 0 to 64");
    options =
        (struct fletch_agent_system_options){.struct_size = sizeof options, .thread_count = 2000};
    assert_int_equal(fletch_agent_system_create(scene->transport, &options, &other, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_string_equal(error.message, "thread_count is 2000, expected 0 to 1024");
    assert_spawn(scene, plain, "an agent's name is '', expected 1 to 31 bytes");
    assert_spawn(scene, (struct fletch_agent_options){.name = "a", .functions = &empty},
                 "agent 'a' has functions without receive");
    assert_spawn(scene, (struct fletch_agent_options){.name = "a", .request_limit = 257},
                 "request_limit is 257, expected 0 to 256");
    assert_spawn(scene, (struct fletch_agent_options){.name = "a", .emit_limit = 65537},
                 "emit_limit is 65537, expected 0 to 65536");
    driven_spawn(scene, "a");
    assert_spawn(scene, (struct fletch_agent_options){.name = "a"}, "an agent is named 'a'");
    const struct fletch_agent_options deaf = {
        .struct_size = sizeof deaf, .name = "deaf", .intake_capacity = FLETCH_OFF};
    struct fletch_agent *agent;
    assert_ok(fletch_agent_spawn(scene->system, &deaf, &agent, NULL));
    assert_int_equal(fletch_agent_system_start(scene->system, &error), FLETCH_FAILED_PRECONDITION);
    assert_string_equal(error.message, "agent 'deaf' has neither an intake nor a link to it");
    const struct fletch_batch_slot slot = {.partition = 1};
    assert_int_equal(fletch_agent_post(agent, &slot, 0, &error), FLETCH_FAILED_PRECONDITION);
    assert_string_equal(error.message, "agent 'deaf' has no intake");
    test_agents_end(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_travel_along_links_in_order),
        cmocka_unit_test(control_comes_first),
        cmocka_unit_test(a_full_link_holds_its_sender_up),
        cmocka_unit_test(circles_are_refused),
        cmocka_unit_test(requests_are_replied_to),
        cmocka_unit_test(a_request_ends_at_its_deadline),
        cmocka_unit_test(a_request_needs_a_deadline_and_a_link),
        cmocka_unit_test(barriers_are_aligned),
        cmocka_unit_test(barriers_in_flight_are_bounded),
        cmocka_unit_test(a_failure_stops_the_system),
        cmocka_unit_test(an_agent_that_dies_at_each_step_is_restarted),
        cmocka_unit_test(a_message_that_kills_is_given_up),
        cmocka_unit_test(a_request_that_kills_is_answered),
        cmocka_unit_test(restarts_are_limited_in_a_period),
        cmocka_unit_test(init_that_never_works_stops_the_system),
        cmocka_unit_test(too_much_at_once_is_refused),
        cmocka_unit_test(cancelling_releases_what_is_queued),
        cmocka_unit_test(a_draining_system_takes_nothing_more),
        cmocka_unit_test(a_driven_agent_receives_and_sends),
        cmocka_unit_test(a_handler_that_never_returns_is_named),
        cmocka_unit_test(a_call_from_outside_is_answered),
        cmocka_unit_test(a_system_without_agents_drains),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
