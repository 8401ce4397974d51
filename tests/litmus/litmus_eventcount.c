#include "sync/eventcount.h"

#include <poll.h>
#include <stdlib.h>

#include "base/event_fd.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"

/* The edges E1 to E3 of sync/eventcount.h, and the promise that the fences make: no wake-up is
 * lost. Each with the two kinds of fence, where fences matter. */

enum { ROUNDS = 50000, DESCRIPTOR_ROUNDS = 20000 };

static struct test_arguments arguments;

struct state {
    struct fletch_eventcount eventcount;
    /* Away from the sleepers, so that one can be near while the other is far. Or data, of which
     * only E1 gives the order. */
    _Alignas(FLETCH_INTERFERENCE_BYTES) _Atomic uint32_t condition;
    uint32_t seen; /* what the waiter read */
    uint32_t key;
    bool notified;
    int fds[2];
    bool opened[2];
};

static void make_for_process(void *context)
{
    struct state *state = context;
    fletch_eventcount_start(&state->eventcount, FLETCH_SHARING_PROCESS);
}

static void make_for_host(void *context)
{
    struct state *state = context;
    fletch_eventcount_start(&state->eventcount, FLETCH_SHARING_HOST);
}

static void reset(void *context)
{
    struct state *state = context;
    store_relaxed(&state->condition, 0);
}

static void end(void *context)
{
    struct state *state = context;
    fletch_eventcount_deinit(&state->eventcount);
}

static void set_and_notify(void *context)
{
    struct state *state = context;
    store_relaxed(&state->condition, 1);
    fletch_eventcount_notify(&state->eventcount, UINT32_MAX);
}

/* ---- E1: after a wait that was notified, what came before the notification is visible ---- */

enum { E1_LATE, E1_SEEN, E1_STALE };
static const struct litmus_outcome e1_outcomes[] = {
    [E1_LATE] = {"timed out", LITMUS_ACCEPTABLE, "not notified within the wait"},
    [E1_SEEN] = {"notified, data seen", LITMUS_INTERESTING, "the epoch hands it over"},
    [E1_STALE] = {"notified, no data", LITMUS_FORBIDDEN, "E1: written before the epoch advances"},
};

static void wait_and_read(void *context)
{
    struct state *state = context;
    state->key = fletch_eventcount_prepare(&state->eventcount);
    state->notified = fletch_eventcount_wait(&state->eventcount, state->key, 0);
    state->seen = load_relaxed(&state->condition);
}

static size_t waiting_outcome(void *context)
{
    struct state *state = context;
    if (!state->notified)
        return E1_LATE;
    return state->seen == 1 ? E1_SEEN : E1_STALE;
}

static void eventcount_e1(void **state)
{
    const struct litmus_test test = {
        .name = "eventcount E1: data, notify || wait, data",
        .state_bytes = sizeof(struct state),
        .make = make_for_process,
        .reset = reset,
        .end = end,
        .roles = {set_and_notify, wait_and_read},
        .role_count = 2,
        .outcome = waiting_outcome,
        .outcomes = e1_outcomes,
        .outcome_count = 3,
    };
    (void)state;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

/* ---- E2: who sees somebody armed sees the descriptor too; and nobody armed is forgotten ---- */

enum { E2_AWAKE, E2_READABLE, E2_LOST };
static const struct litmus_outcome e2_outcomes[] = {
    [E2_AWAKE] = {"condition seen", LITMUS_ACCEPTABLE, "it need not sleep"},
    [E2_READABLE] = {"armed, readable", LITMUS_INTERESTING, "the notifier saw it armed"},
    [E2_LOST] = {"armed, silent", LITMUS_FORBIDDEN, "E2: it would sleep for ever"},
};

static void open_and_arm(void *context)
{
    struct state *state = context;
    state->opened[0] =
        fletch_eventcount_open_fd(&state->eventcount, &state->fds[0], NULL) == FLETCH_OK;
    state->key = fletch_eventcount_arm(&state->eventcount);
    state->seen = load_relaxed(&state->condition);
}

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

/* A new eventcount, so that its descriptor is opened in each round. */
static void reset_descriptor(void *context)
{
    struct state *state = context;
    fletch_eventcount_deinit(&state->eventcount);
    make_for_process(context);
    reset(context);
}

static size_t arming_outcome(void *context)
{
    struct state *state = context;
    bool readable = state->opened[0] && is_readable(state->fds[0]);
    fletch_eventcount_disarm(&state->eventcount, state->key);
    if (!state->opened[0] || is_readable(state->fds[0]))
        return SIZE_MAX;
    if (state->seen == 1)
        return E2_AWAKE;
    return readable ? E2_READABLE : E2_LOST;
}

static void eventcount_e2(void **state)
{
    const struct litmus_test test = {
        .name = "eventcount E2: condition, notify || open, arm, condition",
        .state_bytes = sizeof(struct state),
        .make = make_for_process,
        .reset = reset_descriptor,
        .end = end,
        .roles = {set_and_notify, open_and_arm},
        .role_count = 2,
        .outcome = arming_outcome,
        .outcomes = e2_outcomes,
        .outcome_count = 3,
    };
    (void)state;
    assert_true(litmus_run(&test, DESCRIPTOR_ROUNDS * arguments.scale, arguments.seed));
}

/* ---- E3: there is one descriptor ---- */

enum { E3_SAME, E3_DIFFERENT };
static const struct litmus_outcome e3_outcomes[] = {
    [E3_SAME] = {"the same descriptor", LITMUS_ACCEPTABLE, "one of them won"},
    [E3_DIFFERENT] = {"two descriptors", LITMUS_FORBIDDEN, "E3: one is installed for good"},
};

static void open_first(void *context)
{
    struct state *state = context;
    state->opened[0] =
        fletch_eventcount_open_fd(&state->eventcount, &state->fds[0], NULL) == FLETCH_OK;
}

static void open_second(void *context)
{
    struct state *state = context;
    state->opened[1] =
        fletch_eventcount_open_fd(&state->eventcount, &state->fds[1], NULL) == FLETCH_OK;
}

static size_t opening_outcome(void *context)
{
    struct state *state = context;
    if (!state->opened[0] || !state->opened[1])
        return SIZE_MAX;
    return state->fds[0] == state->fds[1] ? E3_SAME : E3_DIFFERENT;
}

static void eventcount_e3(void **state)
{
    const struct litmus_test test = {
        .name = "eventcount E3: open || open",
        .state_bytes = sizeof(struct state),
        .make = make_for_process,
        .reset = reset_descriptor,
        .end = end,
        .roles = {open_first, open_second},
        .role_count = 2,
        .outcome = opening_outcome,
        .outcomes = e3_outcomes,
        .outcome_count = 2,
    };
    (void)state;
    assert_true(litmus_run(&test, DESCRIPTOR_ROUNDS * arguments.scale, arguments.seed));
}

/* ---- the fences F1 and F2: the waiter sees the condition, or is notified ---- */

enum { LOOK_SEEN, LOOK_NOTIFIED, LOOK_LOST };
static const struct litmus_outcome look_outcomes[] = {
    [LOOK_SEEN] = {"condition seen", LITMUS_ACCEPTABLE, "it need not sleep"},
    [LOOK_NOTIFIED] = {"not seen, notified", LITMUS_INTERESTING, "the futex refuses to sleep"},
    [LOOK_LOST] = {"not seen, not notified", LITMUS_FORBIDDEN, "it would sleep for ever"},
};

/* Each side first brings near what it will look at: then its look can overtake its own store,
 * unless a fence holds it back. */
static void set_and_look_for_sleepers(void *context)
{
    struct state *state = context;
    if (load_relaxed(&state->eventcount.sleepers) % FLETCH_ONE_GENERATION <= 1)
        set_and_notify(context);
}

static void prepare_and_look(void *context)
{
    struct state *state = context;
    if (load_relaxed(&state->condition) > 1)
        return;
    state->key = fletch_eventcount_prepare(&state->eventcount);
    state->seen = load_relaxed(&state->condition);
}

static size_t looking_outcome(void *context)
{
    struct state *state = context;
    bool notified = load_relaxed(&state->eventcount.epoch) != state->key;
    fletch_eventcount_cancel(&state->eventcount);
    if (state->seen == 1)
        return LOOK_SEEN;
    return notified ? LOOK_NOTIFIED : LOOK_LOST;
}

static void eventcount_loses_no_wake_up(void **state)
{
    struct litmus_test test = {
        .name = "eventcount: condition, notify || prepare, condition (membarrier)",
        .state_bytes = sizeof(struct state),
        .make = make_for_process,
        .reset = reset,
        .end = end,
        .roles = {set_and_look_for_sleepers, prepare_and_look},
        .role_count = 2,
        .outcome = looking_outcome,
        .outcomes = look_outcomes,
        .outcome_count = 3,
    };
    (void)state;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
    test.name = "eventcount: condition, notify || prepare, condition (full fences)";
    test.make = make_for_host;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eventcount_e1),
        cmocka_unit_test(eventcount_e2),
        cmocka_unit_test(eventcount_e3),
        cmocka_unit_test(eventcount_loses_no_wake_up),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
