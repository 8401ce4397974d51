#include "sync/inbox.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"

/* The edge E1 of sync/inbox.h. */

enum { WORDS = 3, ROUNDS = 100000 };

static struct test_arguments arguments;

struct letter {
    struct fletch_inbox_node node;
    uint64_t words[WORDS];
};

struct state {
    struct fletch_inbox inbox;
    uint64_t round;
    struct letter letters[2];
    enum fletch_answer consumer;
    size_t count;
    uint32_t stale;  /* letters whose words were not those of this round */
    uint32_t broken; /* links that lead elsewhere than to the letters of this round */
};

static void make(void *context)
{
    struct state *state = context;
    struct fletch_inbox *inbox;
    if (fletch_inbox_init(&state->inbox, sizeof state->inbox, &inbox, NULL) != FLETCH_OK)
        state->broken = 1;
}

static void reset(void *context)
{
    struct state *state = context;
    make(context);
    state->round++;
    state->count = 0;
    state->stale = 0;
    state->broken = 0;
}

static void push(struct state *state, struct letter *letter)
{
    for (size_t i = 0; i < WORDS; i++)
        letter->words[i] = state->round;
    (void)!fletch_inbox_push(&state->inbox, &letter->node, NULL);
}

static void push_first(void *context)
{
    struct state *state = context;
    push(state, &state->letters[0]);
}

static void push_second(void *context)
{
    struct state *state = context;
    push(state, &state->letters[1]);
}

static void read_list(struct state *state, const struct fletch_inbox_list *list)
{
    const struct fletch_inbox_node *node = list->first;
    for (; node != NULL && state->count < 3; node = node->next) {
        if (node != &state->letters[0].node && node != &state->letters[1].node) {
            state->broken++;
            return;
        }
        const struct letter *letter = (const struct letter *)(const void *)node;
        for (size_t i = 0; i < WORDS; i++)
            if (letter->words[i] != state->round)
                state->stale++;
        state->count++;
    }
}

static void take(void *context)
{
    struct state *state = context;
    struct fletch_inbox_list list;
    state->consumer = fletch_inbox_try_take(&state->inbox, &list);
    if (state->consumer == FLETCH_DONE)
        read_list(state, &list);
}

static void close_inbox(void *context)
{
    struct state *state = context;
    struct fletch_inbox_list list;
    fletch_inbox_close(&state->inbox, &list);
    read_list(state, &list);
    state->consumer = state->count > 0 ? FLETCH_DONE : FLETCH_EMPTY;
}

enum { E1_NONE, E1_ONE, E1_BOTH, E1_STALE, E1_BROKEN };
static const struct litmus_outcome e1_outcomes[] = {
    [E1_NONE] = {"nothing", LITMUS_ACCEPTABLE, "no push was seen yet"},
    [E1_ONE] = {"one whole node", LITMUS_ACCEPTABLE, "the head hands it over"},
    [E1_BOTH] = {"two whole nodes", LITMUS_INTERESTING, "one acquire covers both pushes"},
    [E1_STALE] = {"a node, other words", LITMUS_FORBIDDEN, "E1: filled before it is pushed"},
    [E1_BROKEN] = {"a link to elsewhere", LITMUS_FORBIDDEN, "E1: linked before it is pushed"},
};

static size_t taking_outcome(void *context)
{
    struct state *state = context;
    if (state->broken != 0 || state->count > 2)
        return E1_BROKEN;
    if (state->stale != 0)
        return E1_STALE;
    if ((state->consumer == FLETCH_DONE) != (state->count > 0))
        return SIZE_MAX;
    static const size_t outcomes[] = {E1_NONE, E1_ONE, E1_BOTH};
    return outcomes[state->count];
}

static void run(const char *name, void (*consumer)(void *state))
{
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = reset,
        .roles = {push_first, push_second, consumer},
        .role_count = 3,
        .outcome = taking_outcome,
        .outcomes = e1_outcomes,
        .outcome_count = 5,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

static void inbox_e1(void **state)
{
    (void)state;
    run("inbox E1: node filled, pushed (two producers) || taken", take);
    run("inbox E1: node filled, pushed (two producers) || closed", close_inbox);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inbox_e1),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
