#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"
#include "support/rings.h"

/* The edges E1 to E4 of sync/spsc_ring.h. Elements are three words that agree with each other. */

enum { WORDS = 3, SIZE = WORDS * sizeof(uint64_t), ROUNDS = 100000 };

static struct test_arguments arguments;

struct state {
    struct fletch_spsc_ring *ring;
    uint64_t round;  /* what this round pushes: never a number of another round */
    uint64_t oldest; /* E2: what fills the ring when the roles begin */
    enum fletch_answer producer;
    enum fletch_answer consumer;
    uint64_t seen[2][WORDS]; /* what the consumer read, of up to two elements */
    size_t seen_count;
};

static void make(struct state *state, enum fletch_ring_form form, size_t capacity)
{
    struct fletch_spsc_ring_options options = spsc_options(form, SIZE, capacity);
    options.wait_strategy = FLETCH_WAIT_SPIN; /* no notifications whose fences could help */
    state->ring = spsc_new(&options);
    state->round = 1;
}

static void make_slot_ring(void *state)
{
    make(state, FLETCH_RING_SLOT_SEQUENCE, 2);
}

static void make_cursor_ring(void *state)
{
    make(state, FLETCH_RING_CURSOR, 2);
}

static void make_single_slot(void *state)
{
    make(state, FLETCH_RING_SLOT_SEQUENCE, 1);
}

static void end(void *context)
{
    struct state *state = context;
    fletch_spsc_ring_destroy(state->ring, NULL, NULL);
}

static void write_words(void *element, uint64_t value)
{
    uint64_t words[WORDS];
    for (size_t i = 0; i < WORDS; i++)
        words[i] = value;
    memcpy(element, words, SIZE);
}

static bool is_all(const uint64_t words[WORDS], uint64_t value)
{
    for (size_t i = 0; i < WORDS; i++)
        if (words[i] != value)
            return false;
    return true;
}

static void drain(struct state *state)
{
    uint64_t element[WORDS];
    while (fletch_spsc_ring_try_pop(state->ring, element) == FLETCH_DONE)
        ;
}

/* ---- roles ---- */

static void reset_empty(void *context)
{
    struct state *state = context;
    drain(state);
    state->round += 2;
    state->seen_count = 0;
}

static void push_in_place(void *context)
{
    struct state *state = context;
    struct fletch_ring_spans spans;
    state->producer = fletch_spsc_ring_try_claim(state->ring, 1, &spans);
    if (state->producer != FLETCH_DONE)
        return;
    write_words(spans.first, state->round);
    fletch_spsc_ring_commit(state->ring, 1);
}

static void pop(void *context)
{
    struct state *state = context;
    state->consumer = fletch_spsc_ring_try_pop(state->ring, state->seen[0]);
}

/* ---- E1: the sequence of a slot hands the element over ---- */

enum { E1_EMPTY, E1_WHOLE, E1_STALE };
static const struct litmus_outcome e1_outcomes[] = {
    [E1_EMPTY] = {"EMPTY", LITMUS_ACCEPTABLE, "the sequence was not seen yet"},
    [E1_WHOLE] = {"DONE, new element", LITMUS_INTERESTING, "the sequence hands it over"},
    [E1_STALE] = {"DONE, other words", LITMUS_FORBIDDEN, "E1: filled before it is numbered"},
};

static size_t one_element_outcome(void *context)
{
    struct state *state = context;
    if (state->producer != FLETCH_DONE)
        return SIZE_MAX;
    if (state->consumer == FLETCH_EMPTY)
        return E1_EMPTY;
    if (state->consumer != FLETCH_DONE)
        return SIZE_MAX;
    return is_all(state->seen[0], state->round) ? E1_WHOLE : E1_STALE;
}

static void spsc_ring_e1(void **state)
{
    const struct litmus_test test = {
        .name = "spsc_ring E1: element in slot || sequence seen",
        .state_bytes = sizeof(struct state),
        .make = make_slot_ring,
        .reset = reset_empty,
        .end = end,
        .roles = {push_in_place, pop},
        .role_count = 2,
        .outcome = one_element_outcome,
        .outcomes = e1_outcomes,
        .outcome_count = 3,
    };
    (void)state;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

/* ---- E2: a slot is written again only after it was read ---- */

enum { E2_FULL, E2_DONE, E2_OVERWRITTEN };
static const struct litmus_outcome e2_outcomes[] = {
    [E2_FULL] = {"FULL, old element", LITMUS_ACCEPTABLE, "the room was not seen yet"},
    [E2_DONE] = {"DONE, old element", LITMUS_INTERESTING, "the room was seen after the read"},
    [E2_OVERWRITTEN] = {"other words", LITMUS_FORBIDDEN, "E2: read before it is written again"},
};

static void reset_full(void *context)
{
    struct state *state = context;
    uint64_t element[WORDS];
    drain(state);
    state->oldest = state->round + 1;
    state->round += 2;
    write_words(element, state->oldest);
    (void)!fletch_spsc_ring_try_push(state->ring, element);
}

static size_t overwriting_outcome(void *context)
{
    struct state *state = context;
    if (state->consumer != FLETCH_DONE)
        return SIZE_MAX;
    if (!is_all(state->seen[0], state->oldest))
        return E2_OVERWRITTEN;
    if (state->producer == FLETCH_FULL)
        return E2_FULL;
    return state->producer == FLETCH_DONE ? E2_DONE : SIZE_MAX;
}

static void spsc_ring_e2(void **state)
{
    const struct litmus_test test = {
        .name = "spsc_ring E2: element read || slot written again",
        .state_bytes = sizeof(struct state),
        .make = make_single_slot,
        .reset = reset_full,
        .end = end,
        .roles = {push_in_place, pop},
        .role_count = 2,
        .outcome = overwriting_outcome,
        .outcomes = e2_outcomes,
        .outcome_count = 3,
    };
    (void)state;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

/* ---- E3: one word hands several elements over ---- */

enum { E3_NONE, E3_BOTH, E3_PART, E3_STALE };
static const struct litmus_outcome e3_outcomes[] = {
    [E3_NONE] = {"EMPTY", LITMUS_ACCEPTABLE, "the cursor was not seen yet"},
    [E3_BOTH] = {"both new elements", LITMUS_INTERESTING, "the cursor hands them over"},
    [E3_PART] = {"one element", LITMUS_FORBIDDEN, "E3: published by one store"},
    [E3_STALE] = {"other words", LITMUS_FORBIDDEN, "E3: filled before the cursor moves"},
};

static void push_two_in_place(void *context)
{
    struct state *state = context;
    struct fletch_ring_spans spans;
    state->producer = fletch_spsc_ring_try_claim(state->ring, 2, &spans);
    if (state->producer != FLETCH_DONE)
        return;
    write_words(spans.first, state->round);
    write_words(spans.second_count > 0 ? spans.second : (char *)spans.first + spans.stride_bytes,
                state->round + 1);
    fletch_spsc_ring_commit(state->ring, 2);
}

static void pop_two(void *context)
{
    struct state *state = context;
    state->consumer =
        fletch_spsc_ring_try_pop_many(state->ring, state->seen, 2, &state->seen_count);
}

static size_t two_elements_outcome(void *context)
{
    struct state *state = context;
    if (state->producer != FLETCH_DONE)
        return SIZE_MAX;
    if (state->consumer == FLETCH_EMPTY)
        return E3_NONE;
    if (state->seen_count == 1)
        return E3_PART;
    bool whole = is_all(state->seen[0], state->round) && is_all(state->seen[1], state->round + 1);
    return whole ? E3_BOTH : E3_STALE;
}

static void spsc_ring_e3(void **state)
{
    const struct litmus_test test = {
        .name = "spsc_ring E3: two elements in slots || cursor seen",
        .state_bytes = sizeof(struct state),
        .make = make_cursor_ring,
        .reset = reset_empty,
        .end = end,
        .roles = {push_two_in_place, pop_two},
        .role_count = 2,
        .outcome = two_elements_outcome,
        .outcomes = e3_outcomes,
        .outcome_count = 4,
    };
    (void)state;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

/* ---- E4: who sees the end has seen all elements ---- */

enum { E4_EMPTY, E4_WHOLE, E4_STALE, E4_LOST };
static const struct litmus_outcome e4_outcomes[] = {
    [E4_EMPTY] = {"EMPTY", LITMUS_ACCEPTABLE, "neither the element nor the end was seen"},
    [E4_WHOLE] = {"DONE, new element", LITMUS_INTERESTING, "seen before or after the end"},
    [E4_STALE] = {"DONE, other words", LITMUS_FORBIDDEN, "E4: filled before the ring is closed"},
    [E4_LOST] = {"CLOSED, no element", LITMUS_FORBIDDEN, "E4: published before the ring is closed"},
};

/* A closed ring stays closed, so each round has a new one in the same memory. */
static void reset_open(void *context)
{
    struct state *state = context;
    fletch_spsc_ring_restart_at(state->ring, state->round);
    store_relaxed(&state->ring->header.shut, 0);
    state->round += 2;
}

static void push_and_close(void *context)
{
    struct state *state = context;
    push_in_place(context);
    fletch_spsc_ring_close(state->ring);
}

static size_t closing_outcome(void *context)
{
    struct state *state = context;
    if (state->consumer == FLETCH_CLOSED)
        return E4_LOST;
    return one_element_outcome(context);
}

static void closes(void (*make_ring)(void *state))
{
    const struct litmus_test test = {
        .name = make_ring == make_slot_ring
                    ? "spsc_ring E4: element pushed, closed || end seen (sequences)"
                    : "spsc_ring E4: element pushed, closed || end seen (cursor)",
        .state_bytes = sizeof(struct state),
        .make = make_ring,
        .reset = reset_open,
        .end = end,
        .roles = {push_and_close, pop},
        .role_count = 2,
        .outcome = closing_outcome,
        .outcomes = e4_outcomes,
        .outcome_count = 4,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

static void spsc_ring_e4(void **state)
{
    (void)state;
    closes(make_slot_ring);
    closes(make_cursor_ring);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spsc_ring_e1),
        cmocka_unit_test(spsc_ring_e2),
        cmocka_unit_test(spsc_ring_e3),
        cmocka_unit_test(spsc_ring_e4),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
