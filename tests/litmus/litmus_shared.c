#include "memory/shared.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"

/* The edge E1 of memory/shared.h. */

enum { ROUNDS = 100000, HOLDERS = 3 };

static struct test_arguments arguments;

struct state {
    struct fletch_shared shared; /* first */
    uint64_t round;
    uint64_t words[HOLDERS]; /* each holder's own, plain */
    uint32_t ends;
    uint32_t stale;
};

/* Whoever drops the last reference reads what all have written. */
static void end_state(struct fletch_shared *shared)
{
    struct state *state = (struct state *)(void *)shared;
    state->ends++;
    for (size_t i = 0; i < HOLDERS; i++)
        state->stale += state->words[i] != state->round;
}

static void reset(void *context)
{
    struct state *state = context;
    state->round++;
    state->ends = 0;
    state->stale = 0;
    fletch_shared_init(&state->shared, end_state);
    for (size_t i = 1; i < HOLDERS; i++)
        fletch_shared_acquire(&state->shared);
}

static void hold(struct state *state, size_t holder)
{
    state->words[holder] = state->round;
    fletch_shared_release(&state->shared);
}

static void hold_first(void *context)
{
    hold(context, 0);
}

static void hold_second(void *context)
{
    hold(context, 1);
}

static void hold_third(void *context)
{
    hold(context, 2);
}

enum { ENDED_ONCE, ENDED_STALE, NOT_ENDED, ENDED_TWICE };
static const struct litmus_outcome outcomes[] = {
    [ENDED_ONCE] = {"ended, all seen", LITMUS_ACCEPTABLE, "the last one ends it"},
    [ENDED_STALE] = {"ended, not all seen", LITMUS_FORBIDDEN, "E1: used before it was dropped"},
    [NOT_ENDED] = {"not ended", LITMUS_FORBIDDEN, "each drop counts"},
    [ENDED_TWICE] = {"ended twice", LITMUS_FORBIDDEN, "one of them is the last"},
};

static size_t outcome(void *context)
{
    const struct state *state = context;
    if (state->ends != 1)
        return state->ends == 0 ? NOT_ENDED : ENDED_TWICE;
    return state->stale == 0 ? ENDED_ONCE : ENDED_STALE;
}

static void shared_e1(void **unused)
{
    (void)unused;
    const struct litmus_test test = {
        .name = "shared E1: object used, dropped (three holders) || ended",
        .state_bytes = sizeof(struct state),
        .make = reset,
        .reset = reset,
        .roles = {hold_first, hold_second, hold_third},
        .role_count = HOLDERS,
        .outcome = outcome,
        .outcomes = outcomes,
        .outcome_count = 4,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_e1),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
