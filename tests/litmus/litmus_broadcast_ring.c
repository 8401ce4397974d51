#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"
#include "support/rings.h"

/* The edges of sync/broadcast_ring.h and sync/broadcast_seat.h. Elements are three words that agree
 * with each other. */

enum { WORDS = 3, SIZE = WORDS * sizeof(uint64_t), ROUNDS = 50000 };

static struct test_arguments arguments;

struct state {
    struct fletch_broadcast_ring *ring;
    struct fletch_broadcast_consumer *consumers[2];
    uint64_t round; /* what this round pushes: never another round's */
    uint64_t oldest;
    enum fletch_answer pushed[2];
    enum fletch_answer popped[2];
    enum fletch_answer removed;
    enum fletch_status joined;
    uint64_t seen[2][WORDS];
    uint64_t worked[2]; /* plain: handed on by the edge */
    uint64_t dropped;
};

static bool is_all(const uint64_t words[WORDS], uint64_t value)
{
    for (size_t i = 0; i < WORDS; i++)
        if (words[i] != value)
            return false;
    return true;
}

static void count_drop(void *context, void *element)
{
    struct state *state = context;
    (void)element;
    state->dropped++;
}

static void make(struct state *state, struct fletch_broadcast_ring_options options)
{
    options.wait_strategy = FLETCH_WAIT_SPIN; /* no notifications whose fences could help */
    state->ring = broadcast_new(&options);
    state->round = 1;
}

static enum fletch_answer push(struct state *state, uint64_t value)
{
    uint64_t element[WORDS];
    for (size_t i = 0; i < WORDS; i++)
        element[i] = value;
    return fletch_broadcast_ring_try_push(state->ring, element);
}

static void join(struct state *state, size_t i, bool behind_first)
{
    const struct fletch_broadcast_join_options options = {
        .struct_size = sizeof options,
        .behind = state->consumers,
        .behind_count = behind_first,
        .leads = i == 0,
    };
    state->joined = fletch_broadcast_ring_join(state->ring, &options, &state->consumers[i], NULL);
}

static void end(void *context)
{
    struct state *state = context;
    fletch_broadcast_ring_destroy(state->ring);
}

static void drain(struct state *state, size_t i)
{
    uint64_t element[WORDS];
    while (fletch_broadcast_consumer_try_pop(state->consumers[i], element) == FLETCH_DONE)
        ;
}

static void reset_empty(void *context)
{
    struct state *state = context;
    drain(state, 0);
    if (state->consumers[1] != NULL)
        drain(state, 1);
    state->round += 3;
}

static void push_first(void *context)
{
    struct state *state = context;
    state->pushed[0] = push(state, state->round);
}

static void push_second(void *context)
{
    struct state *state = context;
    state->pushed[1] = push(state, state->round + 1);
}

static void pop_first(void *context)
{
    struct state *state = context;
    state->popped[0] = fletch_broadcast_consumer_try_pop(state->consumers[0], state->seen[0]);
}

static void pop_second(void *context)
{
    struct state *state = context;
    state->popped[1] = fletch_broadcast_consumer_try_pop(state->consumers[1], state->seen[1]);
}

/* ---- broadcast_ring E1 and E3: an element and its number, two consumers ---- */

enum { SEEN_NONE, SEEN_ONE, SEEN_BOTH, SEEN_STALE };
static const struct litmus_outcome seen_outcomes[] = {
    [SEEN_NONE] = {"EMPTY twice", LITMUS_ACCEPTABLE, "not published yet"},
    [SEEN_ONE] = {"DONE once", LITMUS_INTERESTING, "one consumer was early"},
    [SEEN_BOTH] = {"DONE twice", LITMUS_ACCEPTABLE, "each sees the element"},
    [SEEN_STALE] = {"other words", LITMUS_FORBIDDEN, "filled before it is published"},
};

static size_t seeing_outcome(void *context)
{
    struct state *state = context;
    size_t seen = 0;
    for (size_t i = 0; i < 2; i++) {
        if (state->popped[i] == FLETCH_DONE && !is_all(state->seen[i], state->round))
            return SEEN_STALE;
        seen += state->popped[i] == FLETCH_DONE;
    }
    static const size_t outcomes[] = {SEEN_NONE, SEEN_ONE, SEEN_BOTH};
    return state->pushed[0] == FLETCH_DONE ? outcomes[seen] : SIZE_MAX;
}

static void make_slots(void *state)
{
    make(state, broadcast_options(SIZE, 2, 2));
    join(state, 0, false);
    join(state, 1, false);
}

static void make_cursor(void *state)
{
    struct fletch_broadcast_ring_options options = broadcast_options(SIZE, 2, 2);
    options.form = FLETCH_RING_CURSOR;
    make(state, options);
    join(state, 0, false);
    join(state, 1, false);
}

static void run_seeing(const char *name, void (*make_ring)(void *state))
{
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct state),
        .make = make_ring,
        .reset = reset_empty,
        .end = end,
        .roles = {push_first, pop_first, pop_second},
        .role_count = 3,
        .outcome = seeing_outcome,
        .outcomes = seen_outcomes,
        .outcome_count = 4,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

static void broadcast_ring_e1(void **state)
{
    (void)state;
    run_seeing("broadcast_ring E1: element in slot || sequence seen by two", make_slots);
}

static void broadcast_ring_e3(void **state)
{
    (void)state;
    run_seeing("broadcast_ring E3: element in slot || cursor seen by two", make_cursor);
}

/* ---- broadcast_ring E2 and E4: several producers, one slot ---- */

enum { WRITTEN_NONE, WRITTEN_ONE, WRITTEN_TWICE, WRITTEN_OVER, DROPPED_WRONG };
static const struct litmus_outcome written_outcomes[] = {
    [WRITTEN_NONE] = {"FULL twice", LITMUS_ACCEPTABLE, "the room was not seen yet"},
    [WRITTEN_ONE] = {"DONE once", LITMUS_INTERESTING, "one producer saw the room after the read"},
    [WRITTEN_TWICE] = {"DONE twice", LITMUS_FORBIDDEN, "there is one slot"},
    [WRITTEN_OVER] = {"other words", LITMUS_FORBIDDEN, "read before it is written again"},
    [DROPPED_WRONG] = {"dropped not once", LITMUS_FORBIDDEN, "one keeper after the other"},
};

static size_t writing_outcome(void *context)
{
    struct state *state = context;
    size_t done = 0;
    for (size_t i = 0; i < 2; i++)
        done += state->pushed[i] == FLETCH_DONE;
    if (state->popped[0] != FLETCH_DONE)
        return SIZE_MAX;
    if (!is_all(state->seen[0], state->oldest))
        return WRITTEN_OVER;
    drain(state, 0);
    if (state->dropped != 1 + done)
        return DROPPED_WRONG;
    static const size_t outcomes[] = {WRITTEN_NONE, WRITTEN_ONE, WRITTEN_TWICE};
    return outcomes[done];
}

static void reset_full(void *context)
{
    struct state *state = context;
    reset_empty(context);
    state->dropped = 0;
    state->oldest = state->round + 2;
    (void)!push(state, state->oldest);
}

static void make_kept(void *context)
{
    struct state *state = context;
    struct fletch_broadcast_ring_options options = broadcast_options(SIZE, 1, 1);
    options.producers = FLETCH_PRODUCERS_MANY;
    options.drop = count_drop;
    options.context = state;
    make(state, options);
    join(state, 0, false);
}

static void run_writing(const char *name)
{
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct state),
        .make = make_kept,
        .reset = reset_full,
        .end = end,
        .roles = {push_first, push_second, pop_first},
        .role_count = 3,
        .outcome = writing_outcome,
        .outcomes = written_outcomes,
        .outcome_count = 5,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

static void broadcast_ring_e2(void **state)
{
    (void)state;
    run_writing("broadcast_ring E2: element read || slot written again (two producers)");
}

static void broadcast_ring_e4(void **state)
{
    (void)state;
    run_writing("broadcast_ring E4: three that may be the keeper, each reference dropped once");
}

/* ---- broadcast_seat E1: a consumer behind another ---- */

enum { WORK_EMPTY, WORK_DONE, WORK_MISSED };
static const struct litmus_outcome work_outcomes[] = {
    [WORK_EMPTY] = {"EMPTY", LITMUS_ACCEPTABLE, "the leader has not passed it yet"},
    [WORK_DONE] = {"DONE, with the leader's work", LITMUS_INTERESTING, "the gate hands it over"},
    [WORK_MISSED] = {"DONE, without it", LITMUS_FORBIDDEN, "E1: work before the gate"},
};

static void lead(void *context)
{
    struct state *state = context;
    struct fletch_ring_spans spans;
    state->popped[0] = fletch_broadcast_consumer_try_peek(state->consumers[0], 1, &spans);
    if (state->popped[0] != FLETCH_DONE)
        return;
    state->worked[0] = state->round;
    *(uint64_t *)spans.first = state->round;
    fletch_broadcast_consumer_release(state->consumers[0], 1);
}

static void follow(void *context)
{
    struct state *state = context;
    pop_second(context);
    state->worked[1] = state->popped[1] == FLETCH_DONE ? state->worked[0] : 0;
}

static size_t following_outcome(void *context)
{
    struct state *state = context;
    if (state->popped[0] != FLETCH_DONE)
        return SIZE_MAX;
    if (state->popped[1] != FLETCH_DONE)
        return WORK_EMPTY;
    bool complete = state->worked[1] == state->round && state->seen[1][0] == state->round;
    return complete ? WORK_DONE : WORK_MISSED;
}

static void reset_chain(void *context)
{
    struct state *state = context;
    reset_empty(context);
    drain(state, 1);
    (void)!push(state, state->round + 1);
}

static void make_chain(void *state)
{
    make(state, broadcast_options(SIZE, 2, 2));
    join(state, 0, false);
    join(state, 1, true);
}

static void broadcast_seat_e1(void **state)
{
    const struct litmus_test test = {
        .name = "broadcast_seat E1: the leader's work || seen by who is behind it",
        .state_bytes = sizeof(struct state),
        .make = make_chain,
        .reset = reset_chain,
        .end = end,
        .roles = {lead, follow},
        .role_count = 2,
        .outcome = following_outcome,
        .outcomes = work_outcomes,
        .outcome_count = 3,
    };
    (void)state;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

/* ---- broadcast_seat E2: a seat changes hands while the ring is full ---- */

enum { SEAT_NONE, SEAT_EMPTY, SEAT_SEEN, SEAT_WRONG };
static const struct litmus_outcome seat_outcomes[] = {
    [SEAT_NONE] = {"no seat", LITMUS_ACCEPTABLE, "the other has not left yet"},
    [SEAT_EMPTY] = {"joined, EMPTY", LITMUS_ACCEPTABLE, "after the push, or no push"},
    [SEAT_SEEN] = {"joined, sees the push", LITMUS_INTERESTING, "joined before it"},
    [SEAT_WRONG] = {"sees what was before", LITMUS_FORBIDDEN, "E2: the seat is new to its owner"},
};

static void leave_first(void *context)
{
    struct state *state = context;
    fletch_broadcast_consumer_leave(state->consumers[0]);
}

static void join_second(void *context)
{
    struct state *state = context;
    state->popped[1] = FLETCH_EMPTY;
    join(state, 1, false);
    if (state->joined == FLETCH_OK)
        pop_second(context);
}

static size_t seat_outcome(void *context)
{
    struct state *state = context;
    if (state->joined != FLETCH_OK)
        return SEAT_NONE;
    if (state->popped[1] == FLETCH_DONE && !is_all(state->seen[1], state->round))
        return SEAT_WRONG;
    return state->popped[1] == FLETCH_DONE ? SEAT_SEEN : SEAT_EMPTY;
}

static void make_one_seat(void *state)
{
    make(state, broadcast_options(SIZE, 2, 1));
    ((struct state *)state)->joined = FLETCH_RESOURCE_EXHAUSTED;
    join(state, 0, false);
    ((struct state *)state)->joined = FLETCH_RESOURCE_EXHAUSTED;
}

static void reset_seat(void *context)
{
    struct state *state = context;
    if (state->joined == FLETCH_OK)
        fletch_broadcast_consumer_leave(state->consumers[1]);
    if (state->round > 1)
        join(state, 0, false);
    state->round += 3;
    (void)!push(state, state->round + 2);
}

static void broadcast_seat_e2(void **state)
{
    const struct litmus_test test = {
        .name = "broadcast_seat E2: one leaves its seat || another takes it || push",
        .state_bytes = sizeof(struct state),
        .make = make_one_seat,
        .reset = reset_seat,
        .end = end,
        .roles = {leave_first, join_second, push_first},
        .role_count = 3,
        .outcome = seat_outcome,
        .outcomes = seat_outcomes,
        .outcome_count = 4,
    };
    (void)state;
    /* Each round joins twice: a membarrier call each. */
    assert_true(litmus_run(&test, 4000 * arguments.scale, arguments.seed));
}

/* ---- broadcast_seat E3: removed while it reads, and the slot is written again ---- */

enum { REMOVED_HELD, REMOVED_POPPED, REMOVED_CLOSED, REMOVED_TORN };
static const struct litmus_outcome removed_outcomes[] = {
    [REMOVED_HELD] = {"HELD", LITMUS_INTERESTING, "it was inside its call"},
    [REMOVED_POPPED] = {"DONE, popped before", LITMUS_ACCEPTABLE, "the call was over"},
    [REMOVED_CLOSED] = {"DONE, pop CLOSED", LITMUS_ACCEPTABLE, "it came too late"},
    [REMOVED_TORN] = {"other words", LITMUS_FORBIDDEN, "E3: read before it is written again"},
};

static void remove_and_push(void *context)
{
    struct state *state = context;
    state->removed = fletch_broadcast_ring_remove(
        state->ring, fletch_broadcast_consumer_id(state->consumers[0]));
    push_first(context);
}

static size_t removed_outcome(void *context)
{
    struct state *state = context;
    if (state->popped[0] == FLETCH_DONE && !is_all(state->seen[0], state->oldest))
        return REMOVED_TORN;
    if (state->removed == FLETCH_HELD)
        return REMOVED_HELD;
    return state->popped[0] == FLETCH_DONE ? REMOVED_POPPED : REMOVED_CLOSED;
}

static void make_single_slot(void *state)
{
    make(state, broadcast_options(SIZE, 1, 1));
    join(state, 0, false);
}

static void reset_removed(void *context)
{
    struct state *state = context;
    fletch_broadcast_consumer_leave(state->consumers[0]);
    join(state, 0, false);
    state->round += 3;
    state->oldest = state->round + 2;
    (void)!push(state, state->oldest);
}

static void broadcast_seat_e3(void **state)
{
    const struct litmus_test test = {
        .name = "broadcast_seat E3: pop || removed, slot written again",
        .state_bytes = sizeof(struct state),
        .make = make_single_slot,
        .reset = reset_removed,
        .end = end,
        .roles = {pop_first, remove_and_push},
        .role_count = 2,
        .outcome = removed_outcome,
        .outcomes = removed_outcomes,
        .outcome_count = 4,
    };
    (void)state;
    assert_true(litmus_run(&test, 4000 * arguments.scale, arguments.seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broadcast_ring_e1), cmocka_unit_test(broadcast_ring_e2),
        cmocka_unit_test(broadcast_ring_e3), cmocka_unit_test(broadcast_ring_e4),
        cmocka_unit_test(broadcast_seat_e1), cmocka_unit_test(broadcast_seat_e2),
        cmocka_unit_test(broadcast_seat_e3),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
