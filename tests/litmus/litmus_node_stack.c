#include "memory/node_stack.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"

/* The edge E1 of memory/node_stack.h. */

enum { WORDS = 3, ROUNDS = 100000 };

static struct test_arguments arguments;

struct item {
    struct fletch_stack_node node; /* first */
    uint64_t words[WORDS];
};

struct state {
    struct fletch_node_stack stack;
    uint64_t round;
    struct item items[2];
    size_t count;
    uint32_t stale;
    uint32_t broken;
};

static void reset(void *context)
{
    struct state *state = context;
    fletch_node_stack_open(&state->stack);
    state->round++;
    state->count = 0;
    state->stale = 0;
    state->broken = 0;
}

static void push(struct state *state, struct item *item)
{
    for (size_t i = 0; i < WORDS; i++)
        item->words[i] = state->round;
    (void)fletch_node_stack_push(&state->stack, &item->node, &item->node);
}

static void push_first(void *context)
{
    push(context, &((struct state *)context)->items[0]);
}

static void push_second(void *context)
{
    push(context, &((struct state *)context)->items[1]);
}

static void read_chain(struct state *state, struct fletch_stack_node *node)
{
    for (; node != NULL && state->count < 3; node = node->next) {
        struct item *item = (struct item *)(void *)node;
        if (item != &state->items[0] && item != &state->items[1]) {
            state->broken++;
            return;
        }
        for (size_t i = 0; i < WORDS; i++)
            state->stale += item->words[i] != state->round;
        state->count++;
    }
}

static void take(void *context)
{
    struct state *state = context;
    read_chain(state, fletch_node_stack_take(&state->stack));
}

static void take_and_give_back(void *context)
{
    struct state *state = context;
    struct fletch_stack_node *node = fletch_node_stack_take(&state->stack);
    (void)fletch_node_stack_give_back(&state->stack, node);
    read_chain(state, fletch_node_stack_take(&state->stack));
}

static void close_stack(void *context)
{
    struct state *state = context;
    read_chain(state, fletch_node_stack_close(&state->stack));
}

enum { NONE, ONE, BOTH, STALE, BROKEN };
static const struct litmus_outcome outcomes[] = {
    [NONE] = {"nothing", LITMUS_ACCEPTABLE, "no push was seen yet"},
    [ONE] = {"one whole node", LITMUS_ACCEPTABLE, "the head hands it over"},
    [BOTH] = {"two whole nodes", LITMUS_INTERESTING, "one acquire covers both pushes"},
    [STALE] = {"a node, other words", LITMUS_FORBIDDEN, "E1: filled before it is pushed"},
    [BROKEN] = {"a link to elsewhere", LITMUS_FORBIDDEN, "E1: linked before it is pushed"},
};

static size_t outcome(void *context)
{
    const struct state *state = context;
    if (state->broken != 0 || state->count > 2)
        return BROKEN;
    return state->stale != 0 ? STALE : (size_t)NONE + state->count;
}

static void run(const char *name, void (*taker)(void *state))
{
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct state),
        .make = reset,
        .reset = reset,
        .roles = {push_first, push_second, taker},
        .role_count = 3,
        .outcome = outcome,
        .outcomes = outcomes,
        .outcome_count = 5,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

static void node_stack_e1(void **state)
{
    (void)state;
    run("node stack E1: node filled, pushed (two pushers) || taken", take);
    run("node stack E1: node filled, pushed || taken, given back, taken", take_and_give_back);
    run("node stack E1: node filled, pushed || closed", close_stack);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_stack_e1),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
