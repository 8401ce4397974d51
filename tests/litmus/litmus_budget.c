#include "memory/budget.h"

#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"

/* The edges E1, E2 and E3 of memory/budget.h. */

enum { ROUNDS = 50000, STEP = 100, OTHER_STEP = 7 };

static struct test_arguments arguments;

struct state {
    struct fletch_budget *budget;
    struct fletch_account *account;
    struct fletch_account *again; /* opened after the closing */
    uint64_t step_bytes;          /* of the first one */
    uint32_t broken;              /* by the role that looks, and between the rounds */
    uint32_t failed;              /* by the role that opens */
    bool seen;
};

static struct fletch_account *open_account(struct state *state, uint64_t step_bytes)
{
    struct fletch_account *account = NULL;
    const struct fletch_account_options options = {
        .struct_size = sizeof options, .name = "litmus", .step_bytes = step_bytes};
    state->failed += fletch_account_open(fletch_budget_account(state->budget), &options, &account,
                                         NULL) != FLETCH_OK;
    return account;
}

static void make(struct state *state, uint64_t step_bytes)
{
    const struct fletch_account_options options = {.struct_size = sizeof options, .name = "top"};
    state->broken = fletch_budget_create(&options, NULL, &state->budget, NULL) != FLETCH_OK;
    state->failed = 0;
    state->account = NULL;
    state->again = NULL;
    state->step_bytes = step_bytes;
}

static void make_plain(void *context)
{
    make(context, 0);
}

static void make_stepped(void *context)
{
    make(context, STEP);
}

static void end(void *context)
{
    struct state *state = context;
    fletch_account_close(state->again);
    state->again = NULL;
    state->broken += fletch_budget_destroy(state->budget, NULL) != FLETCH_OK;
}

/* ---- E1 and E2: released || closed, opened again ---- */

static void reset(void *context)
{
    struct state *state = context;
    fletch_account_close(state->again);
    state->again = NULL;
    state->account = open_account(state, state->step_bytes);
    state->broken += fletch_account_reserve(state->account, 10, 0, NULL) != FLETCH_OK;
}

static void release(void *context)
{
    struct state *state = context;
    fletch_account_release(state->account, 10);
}

static void close_and_open(void *context)
{
    struct state *state = context;
    fletch_account_close(state->account);
    state->again = open_account(state, OTHER_STEP);
}

enum { OTHER, SAME, BROKEN };
static const struct litmus_outcome outcomes[] = {
    [OTHER] = {"another account", LITMUS_ACCEPTABLE, "the bytes were still out"},
    [SAME] = {"the same, as new", LITMUS_INTERESTING, "all had left it"},
    [BROKEN] = {"not as new", LITMUS_FORBIDDEN, "E1, E2: left before it is vacant"},
};

static size_t outcome(void *context)
{
    const struct state *state = context;
    bool as_new = load_relaxed(&state->again->settled) == FLETCH_ACCOUNT_OPEN &&
                  load_relaxed(&state->again->stock) == 0 && state->again->step_bytes == OTHER_STEP;
    uint64_t top = load_relaxed(&state->budget->account.settled);
    if (!as_new || top != FLETCH_ACCOUNT_OPEN || state->broken + state->failed != 0)
        return BROKEN;
    return state->again == state->account ? SAME : OTHER;
}

static void run(const char *name, void (*make_state)(void *state))
{
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct state),
        .make = make_state,
        .reset = reset,
        .end = end,
        .roles = {release, close_and_open},
        .role_count = 2,
        .outcome = outcome,
        .outcomes = outcomes,
        .outcome_count = 3,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

static void budget_e1(void **state)
{
    (void)state;
    run("budget E1: last bytes released || account closed, opened", make_plain);
}

static void budget_e2(void **state)
{
    (void)state;
    run("budget E2: last bytes put into the stock || account closed, opened", make_stepped);
}

/* ---- E3: made, listed || visited ---- */

static void reset_e3(void *context)
{
    struct state *state = context;
    uint32_t broken = state->broken;
    end(state);
    make(state, 0);
    state->broken += broken;
    state->seen = false;
}

static void open_new(void *context)
{
    struct state *state = context;
    state->again = open_account(state, 0);
}

static bool look(void *context, const struct fletch_budget_statistics *held)
{
    struct state *state = context;
    state->seen = true;
    state->broken += strcmp(held->name, "litmus") != 0 || held->used_bytes != 0 || held->closed;
    return true;
}

static void visit(void *context)
{
    struct state *state = context;
    fletch_account_visit(fletch_budget_account(state->budget), look, state);
}

static size_t outcome_e3(void *context)
{
    const struct state *state = context;
    if (state->broken + state->failed != 0)
        return BROKEN;
    return state->seen ? SAME : OTHER;
}

static void budget_e3(void **unused)
{
    static const struct litmus_outcome outcomes_e3[] = {
        [OTHER] = {"no account", LITMUS_ACCEPTABLE, "it was not seen yet"},
        [SAME] = {"a whole account", LITMUS_INTERESTING, "the list hands it over"},
        [BROKEN] = {"an account, other fields", LITMUS_FORBIDDEN, "E3: made before it is listed"},
    };
    (void)unused;
    const struct litmus_test test = {
        .name = "budget E3: account made, listed || visited",
        .state_bytes = sizeof(struct state),
        .make = make_plain,
        .reset = reset_e3,
        .end = end,
        .roles = {open_new, visit},
        .role_count = 2,
        .outcome = outcome_e3,
        .outcomes = outcomes_e3,
        .outcome_count = 3,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budget_e1),
        cmocka_unit_test(budget_e2),
        cmocka_unit_test(budget_e3),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
