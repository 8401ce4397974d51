#include "memory/budget_order.h"

#include <fletching/wait.h>

#include "base/allocator.h"
#include "memory/budget.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"

/* The edges E1, E2 and E3 of memory/budget_order.h. */

enum { ROUNDS = 50000 };

static struct test_arguments arguments;
static struct fletch_account account;

struct state {
    struct fletch_budget_order order;
    struct fletch_allocator allocator;
    struct fletch_budget_place *place; /* of the waiter, until the round is over */
    uint32_t broken[2];
    bool seen;
};

static void make(void *context)
{
    struct state *state = context;
    *state = (struct state){.allocator = fletch_allocator_or_default(NULL)};
    fletch_budget_order_start(&state->order);
}

static void end(void *context)
{
    struct state *state = context;
    fletch_budget_order_end(&state->order, &state->allocator);
}

static struct fletch_budget_place *enter(struct state *state)
{
    uint64_t ticket;
    return fletch_budget_order_enter(&state->order, &state->allocator, FLETCH_NO_TIMEOUT, &ticket);
}

/* Without places, so that each round adds some. */
static void reset_empty(void *context)
{
    end(context);
    make(context);
}

/* With one place, for which both roles come. */
static void reset_one(void *context)
{
    struct state *state = context;
    reset_empty(state);
    fletch_budget_order_leave(&state->order, enter(state));
}

static void wait_and_look(struct state *state, uint32_t *broken)
{
    struct fletch_budget_place *place = enter(state);
    *broken = place == NULL;
    if (place == NULL)
        return;
    *broken += fletch_budget_order_tell(place, &account);
    *broken += fletch_budget_order_count(&state->order, &account) == 0;
    fletch_budget_order_leave(&state->order, place);
}

static void first(void *context)
{
    struct state *state = context;
    wait_and_look(state, &state->broken[0]);
}

static void second(void *context)
{
    struct state *state = context;
    wait_and_look(state, &state->broken[1]);
}

enum { ONE, TWO, BROKEN };

static size_t count_places(const struct state *state)
{
    size_t count = 0;
    for (const struct fletch_budget_place *place = load_acquire(&state->order.places);
         place != NULL; place = place->next)
        count++;
    return count;
}

static size_t outcome(void *context)
{
    const struct state *state = context;
    if (state->broken[0] + state->broken[1] != 0)
        return BROKEN;
    return count_places(state) == 1 ? ONE : TWO;
}

static void run(const char *name, void (*reset)(void *state))
{
    static const struct litmus_outcome outcomes[] = {
        [ONE] = {"one place", LITMUS_INTERESTING, "one after the other had it"},
        [TWO] = {"two places", LITMUS_ACCEPTABLE, "both waited at a time"},
        [BROKEN] = {"not seen by its owner", LITMUS_FORBIDDEN, "E1, E2: whole, and one's own"},
    };
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = reset,
        .end = end,
        .roles = {first, second},
        .role_count = 2,
        .outcome = outcome,
        .outcomes = outcomes,
        .outcome_count = 3,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

static void budget_order_e1(void **state)
{
    (void)state;
    run("budget_order E1: place added || walked to", reset_empty);
}

static void budget_order_e2(void **state)
{
    (void)state;
    run("budget_order E2: place left || taken", reset_one);
}

/* ---- E3: told || seen ---- */

static void reset_e3(void *context)
{
    struct state *state = context;
    reset_one(state);
    state->seen = false;
}

static void wait_here(void *context)
{
    struct state *state = context;
    state->place = enter(state);
    (void)fletch_budget_order_tell(state->place, &account);
}

static void look(void *context)
{
    struct state *state = context;
    const struct fletch_budget_branch branch = {.account = &account,
                                                .ticket = FLETCH_BUDGET_LAST_TICKET};
    uint64_t until_ns;
    state->seen = fletch_budget_order_find(&state->order, &branch, &until_ns) == &account;
    state->broken[0] = state->seen && fletch_budget_order_waiting(&state->order) == 0;
}

static size_t outcome_e3(void *context)
{
    struct state *state = context;
    fletch_budget_order_leave(&state->order, state->place);
    return state->broken[0] != 0 ? BROKEN : state->seen ? TWO : ONE;
}

static void budget_order_e3(void **unused)
{
    static const struct litmus_outcome outcomes[] = {
        [ONE] = {"nobody waits", LITMUS_ACCEPTABLE, "it was not seen yet"},
        [TWO] = {"somebody waits", LITMUS_INTERESTING, "and is counted"},
        [BROKEN] = {"seen, not counted", LITMUS_FORBIDDEN, "E3: counted before it tells"},
    };
    (void)unused;
    const struct litmus_test test = {
        .name = "budget_order E3: account told || found",
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = reset_e3,
        .end = end,
        .roles = {wait_here, look},
        .role_count = 2,
        .outcome = outcome_e3,
        .outcomes = outcomes,
        .outcome_count = 3,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budget_order_e1),
        cmocka_unit_test(budget_order_e2),
        cmocka_unit_test(budget_order_e3),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
