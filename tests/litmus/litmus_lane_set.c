#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"
#include "support/rings.h"

/* The edge E1 of sync/lane_set.h, and the pair of fences F1 and F2. Elements are three words that
 * agree with each other. */

enum { WORDS = 3, SIZE = WORDS * sizeof(uint64_t), ROUNDS = 100000 };

static struct test_arguments arguments;

struct state {
    struct fletch_fan_in *fan_in;
    struct fletch_fan_in_lane *lane, *next;
    uint64_t round;
    enum fletch_answer registered;
    enum fletch_answer pushed;
    enum fletch_answer popped;
    uint64_t seen[WORDS];
};

static void make(struct state *state, size_t lanes)
{
    struct fletch_fan_in_options options = fan_in_options(SIZE, 1, lanes);
    options.wait_strategy = FLETCH_WAIT_SPIN; /* no notifications whose fences could help */
    state->fan_in = fan_in_new(&options);
}

static void end(void *context)
{
    struct state *state = context;
    fletch_fan_in_destroy(state->fan_in, NULL, NULL);
}

static enum fletch_answer push(struct fletch_fan_in_lane *lane, uint64_t value)
{
    uint64_t element[WORDS];
    for (size_t i = 0; i < WORDS; i++)
        element[i] = value;
    return fletch_fan_in_lane_try_push(lane, element);
}

static void pop(void *context)
{
    struct state *state = context;
    state->popped = fletch_fan_in_try_pop(state->fan_in, state->seen);
}

static bool is_all(const uint64_t words[WORDS], uint64_t value)
{
    for (size_t i = 0; i < WORDS; i++)
        if (words[i] != value)
            return false;
    return true;
}

/* ---- E1: a lane changes hands ---- */

static void make_single_lane(void *state)
{
    make(state, 1);
}

static void drain(struct state *state)
{
    uint64_t element[WORDS];
    while (fletch_fan_in_try_pop(state->fan_in, element) == FLETCH_DONE)
        ;
}

/* The lane's one slot holds the element of a producer that has left. */
static void reset_left(void *context)
{
    struct state *state = context;
    if (state->registered == FLETCH_DONE && state->next != NULL)
        fletch_fan_in_lane_close(state->next);
    drain(state);
    state->round += 2;
    state->next = NULL;
    state->lane = fan_in_register(state->fan_in);
    (void)!push(state->lane, state->round);
    fletch_fan_in_lane_close(state->lane);
}

/* Pops the last element, finds the lane drained, and frees it. */
static void pop_and_free(void *context)
{
    struct state *state = context;
    uint64_t none[WORDS];
    pop(context);
    (void)!fletch_fan_in_try_pop(state->fan_in, none);
}

static void register_and_push(void *context)
{
    struct state *state = context;
    for (int i = 0; i < 100; i++) {
        state->registered = fletch_fan_in_register(state->fan_in, &state->next);
        if (state->registered == FLETCH_DONE)
            break;
        fletch_cpu_relax();
    }
    state->pushed = FLETCH_EMPTY;
    if (state->registered == FLETCH_DONE)
        state->pushed = push(state->next, state->round + 1);
}

enum { E1_FULL, E1_REUSED, E1_NO_ROOM, E1_OVERWRITTEN };
static const struct litmus_outcome e1_outcomes[] = {
    [E1_FULL] = {"no lane", LITMUS_ACCEPTABLE, "the lane was not free yet"},
    [E1_REUSED] = {"the next producer's push", LITMUS_INTERESTING, "the lane has changed hands"},
    [E1_NO_ROOM] = {"registered, no room", LITMUS_FORBIDDEN, "E1: drained before it is free"},
    [E1_OVERWRITTEN] = {"other words", LITMUS_FORBIDDEN, "E1: read before it is written again"},
};

static size_t reuse_outcome(void *context)
{
    struct state *state = context;
    if (state->popped != FLETCH_DONE || !is_all(state->seen, state->round))
        return E1_OVERWRITTEN;
    if (state->registered != FLETCH_DONE)
        return E1_FULL;
    return state->pushed == FLETCH_DONE ? E1_REUSED : E1_NO_ROOM;
}

static void lane_set_e1(void **state)
{
    const struct litmus_test test = {
        .name = "lane_set E1: lane drained and freed || registered and pushed to",
        .state_bytes = sizeof(struct state),
        .make = make_single_lane,
        .reset = reset_left,
        .end = end,
        .roles = {pop_and_free, register_and_push},
        .role_count = 2,
        .outcome = reuse_outcome,
        .outcomes = e1_outcomes,
        .outcome_count = 4,
    };
    (void)state;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

/* ---- F1, F2: a lane falls asleep while it is pushed to ---- */

enum { SLEEPERS = FLETCH_LANES_AWAKE_FEW + 4 };

static void make_many_lanes(void *context)
{
    struct state *state = context;
    make(state, SLEEPERS);
    for (int i = 0; i < SLEEPERS; i++)
        state->lane = fan_in_register(state->fan_in);
}

/* All lanes are awake, and one look away from falling asleep. */
static void reset_tired(void *context)
{
    struct state *state = context;
    uint64_t element[WORDS];
    drain(state);
    state->round++;
    for (uint32_t i = 0; i < SLEEPERS; i++)
        (void)!push(fletch_lane_at(&state->fan_in->set, i), 0);
    drain(state);
    while (state->fan_in->set.watch[state->lane->number].misses < FLETCH_LANE_DOZE_AFTER - 1)
        (void)!fletch_fan_in_try_pop(state->fan_in, element);
}

static void push_to_last(void *context)
{
    struct state *state = context;
    state->pushed = push(state->lane, state->round);
}

enum { F_AT_ONCE, F_LATER, F_SLEPT_OVER };
static const struct litmus_outcome f_outcomes[] = {
    [F_AT_ONCE] = {"popped", LITMUS_ACCEPTABLE, "pushed before the lane was looked at"},
    [F_LATER] = {"popped by the next call", LITMUS_INTERESTING, "one saw the other"},
    [F_SLEPT_OVER] = {"not popped", LITMUS_FORBIDDEN, "F1, F2: neither saw the other"},
};

static size_t falling_asleep_outcome(void *context)
{
    struct state *state = context;
    if (state->pushed != FLETCH_DONE)
        return SIZE_MAX;
    bool at_once = state->popped == FLETCH_DONE;
    if (!at_once)
        pop(context);
    if (state->popped != FLETCH_DONE || !is_all(state->seen, state->round))
        return F_SLEPT_OVER;
    return at_once ? F_AT_ONCE : F_LATER;
}

static void lane_set_f1_f2(void **state)
{
    const struct litmus_test test = {
        .name = "lane_set F1, F2: lane falls asleep || pushed to",
        .state_bytes = sizeof(struct state),
        .make = make_many_lanes,
        .reset = reset_tired,
        .end = end,
        .roles = {pop, push_to_last},
        .role_count = 2,
        .outcome = falling_asleep_outcome,
        .outcomes = f_outcomes,
        .outcome_count = 3,
    };
    (void)state;
    assert_true(litmus_run(&test, ROUNDS / 5 * arguments.scale, arguments.seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lane_set_e1),
        cmocka_unit_test(lane_set_f1_f2),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
