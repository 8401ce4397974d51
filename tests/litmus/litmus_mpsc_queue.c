#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"
#include "support/rings.h"

/* The edges E1 and E2 of sync/mpsc_queue.h. Elements are three words that agree with each other. */

enum { WORDS = 3, SIZE = WORDS * sizeof(uint64_t), ROUNDS = 100000 };

static struct test_arguments arguments;

struct state {
    struct fletch_mpsc_queue *queue;
    uint64_t round; /* what this round pushes, and the number after it: never another round's */
    uint64_t oldest;
    enum fletch_answer producers[2];
    enum fletch_answer consumer;
    uint64_t seen[WORDS];
};

static void make(struct state *state, size_t capacity)
{
    struct fletch_mpsc_queue_options options = mpsc_options(SIZE, capacity);
    options.wait_strategy = FLETCH_WAIT_SPIN; /* no notifications whose fences could help */
    state->queue = mpsc_new(&options);
    state->round = 1;
}

static void make_two_slots(void *state)
{
    make(state, 2);
}

static void make_single_slot(void *state)
{
    make(state, 1);
}

static void end(void *context)
{
    struct state *state = context;
    fletch_mpsc_queue_destroy(state->queue, NULL, NULL);
}

static enum fletch_answer push(struct state *state, uint64_t value)
{
    uint64_t element[WORDS];
    for (size_t i = 0; i < WORDS; i++)
        element[i] = value;
    return fletch_mpsc_queue_try_push(state->queue, element);
}

static bool is_all(const uint64_t words[WORDS], uint64_t value)
{
    for (size_t i = 0; i < WORDS; i++)
        if (words[i] != value)
            return false;
    return true;
}

static void reset_empty(void *context)
{
    struct state *state = context;
    uint64_t element[WORDS];
    while (fletch_mpsc_queue_try_pop(state->queue, element) == FLETCH_DONE)
        ;
    state->round += 3;
}

static void reset_full(void *context)
{
    struct state *state = context;
    reset_empty(context);
    state->oldest = state->round + 2;
    (void)push(state, state->oldest);
}

static void push_first(void *context)
{
    struct state *state = context;
    state->producers[0] = push(state, state->round);
}

static void push_second(void *context)
{
    struct state *state = context;
    state->producers[1] = push(state, state->round + 1);
}

static void pop(void *context)
{
    struct state *state = context;
    state->consumer = fletch_mpsc_queue_try_pop(state->queue, state->seen);
}

enum { E1_EMPTY, E1_HELD, E1_FIRST, E1_SECOND, E1_STALE };
static const struct litmus_outcome e1_outcomes[] = {
    [E1_EMPTY] = {"EMPTY", LITMUS_ACCEPTABLE, "no claim was seen yet"},
    [E1_HELD] = {"HELD", LITMUS_INTERESTING, "claimed and not published yet"},
    [E1_FIRST] = {"DONE, first's element", LITMUS_ACCEPTABLE, "the sequence hands it over"},
    [E1_SECOND] = {"DONE, second's element", LITMUS_ACCEPTABLE, "the sequence hands it over"},
    [E1_STALE] = {"DONE, other words", LITMUS_FORBIDDEN, "E1: filled before it is numbered"},
};

static size_t popping_outcome(void *context)
{
    struct state *state = context;
    if (state->producers[0] != FLETCH_DONE || state->producers[1] != FLETCH_DONE)
        return SIZE_MAX;
    if (state->consumer == FLETCH_EMPTY)
        return E1_EMPTY;
    if (state->consumer == FLETCH_HELD)
        return E1_HELD;
    if (is_all(state->seen, state->round))
        return E1_FIRST;
    return is_all(state->seen, state->round + 1) ? E1_SECOND : E1_STALE;
}

static void mpsc_queue_e1(void **state)
{
    const struct litmus_test test = {
        .name = "mpsc_queue E1: element in slot (two producers) || sequence seen",
        .state_bytes = sizeof(struct state),
        .make = make_two_slots,
        .reset = reset_empty,
        .end = end,
        .roles = {push_first, push_second, pop},
        .role_count = 3,
        .outcome = popping_outcome,
        .outcomes = e1_outcomes,
        .outcome_count = 5,
    };
    (void)state;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

enum { E2_FULL, E2_DONE, E2_TWICE, E2_OVERWRITTEN };
static const struct litmus_outcome e2_outcomes[] = {
    [E2_FULL] = {"FULL twice", LITMUS_ACCEPTABLE, "the room was not seen yet"},
    [E2_DONE] = {"DONE once", LITMUS_INTERESTING, "one producer saw the room after the read"},
    [E2_TWICE] = {"DONE twice", LITMUS_FORBIDDEN, "there is one slot"},
    [E2_OVERWRITTEN] = {"other words", LITMUS_FORBIDDEN, "E2: read before it is written again"},
};

static size_t overwriting_outcome(void *context)
{
    struct state *state = context;
    if (state->consumer != FLETCH_DONE)
        return SIZE_MAX;
    if (!is_all(state->seen, state->oldest))
        return E2_OVERWRITTEN;
    size_t done = 0;
    for (size_t i = 0; i < 2; i++)
        done += state->producers[i] == FLETCH_DONE;
    static const size_t outcomes[] = {E2_FULL, E2_DONE, E2_TWICE};
    return outcomes[done];
}

static void mpsc_queue_e2(void **state)
{
    const struct litmus_test test = {
        .name = "mpsc_queue E2: element read || slot written again (two producers)",
        .state_bytes = sizeof(struct state),
        .make = make_single_slot,
        .reset = reset_full,
        .end = end,
        .roles = {push_first, push_second, pop},
        .role_count = 3,
        .outcome = overwriting_outcome,
        .outcomes = e2_outcomes,
        .outcome_count = 4,
    };
    (void)state;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mpsc_queue_e1),
        cmocka_unit_test(mpsc_queue_e2),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
