#include "flight/connection_pool.h"

#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"

/* The edges of flight/connection_pool.h, with one slot: connection_pool_e1, an address that is
 * found as it was written; connection_pool_e2, a slot that is used after it was freed;
 * connection_pool_e3, one that is closed after it was used; connection_pool_e4, one that is asked
 * for after it was asked for. */

enum { ROUNDS = 30000, NO_SLOT = 1 };

static struct test_arguments arguments;
static const struct fletch_pool_address first = {.text = "first.example:1234", .bytes = 18};
static const struct fletch_pool_address second = {.text = "second.example:12", .bytes = 17};

struct state {
    struct fletch_connection_pool pool;
    uint64_t round;
    uint64_t memory;   /* of the connection: users read it, who closes it writes */
    uint64_t used;     /* of the connection: users write it, who closes it reads */
    bool was_found[2]; /* by its role */
    bool was_closed;
    uint64_t seen[2];
    uint64_t seen_at_close;
    char text[2][FLETCH_POOL_ADDRESS_BYTES];
    uint64_t answer;      /* who is asked writes it, who asks again reads it */
    uint64_t found_asked; /* as the second asking has read it */
    uint32_t times_asked;
};

static void close_slot(void *context, uint32_t slot)
{
    struct state *state = context;
    state->memory = state->round;
    state->seen_at_close = state->used;
    state->was_closed = true;
    fletch_connection_pool_free(&state->pool, slot);
}

static void note_asked(void *context, uint32_t slot)
{
    struct state *state = context;
    (void)slot;
    if (state->times_asked++ > 0)
        state->found_asked = state->answer;
}

static void make(void *context)
{
    struct state *state = context;
    const struct fletch_connection_pool_options options = {
        .slot_count = 1,
        .connections_per_address = 1,
        .users_per_connection = 2,
        .evicted = close_slot,
        .asked = note_asked,
        .context = state,
    };
    state->round = 0;
    state->used = state->memory = 0;
    assert_ok(fletch_connection_pool_init(&state->pool, &options, NULL));
}

static void reset(void *context)
{
    struct state *state = context;
    if (fletch_connection_pool_drain(&state->pool, 0, UINT64_MAX))
        fletch_connection_pool_free(&state->pool, 0);
    state->round++;
    state->was_closed = state->was_found[0] = state->was_found[1] = false;
    state->memory = state->used = 0;
    state->answer = state->found_asked = state->times_asked = 0;
}

/* A slot whose host does not answer, one who waits for it, and one who has asked for it. */
static void reset_asked(void *context)
{
    struct state *state = context;
    uint32_t slot = NO_SLOT;
    if (fletch_connection_pool_state(&state->pool, 0) == FLETCH_POOL_ASKED)
        (void)fletch_connection_pool_give_up(&state->pool, 0, FLETCH_POOL_PAUSED);
    if (fletch_connection_pool_users(&state->pool, 0) > 0)
        fletch_connection_pool_leave(&state->pool, 0, 0);
    reset(context);
    (void)fletch_connection_pool_try_acquire(&state->pool, &first, &slot);
    fletch_connection_pool_set_state(&state->pool, 0, FLETCH_POOL_PAUSED);
    (void)fletch_connection_pool_try_acquire(&state->pool, &second, &slot);
}

static void answer(void *context)
{
    struct state *state = context;
    state->answer = state->round;
    (void)fletch_connection_pool_give_up(&state->pool, 0, FLETCH_POOL_PAUSED);
}

static void ask_again(void *context)
{
    struct state *state = context;
    uint32_t slot = NO_SLOT;
    for (int i = 0; i < 100 && state->times_asked == 1; i++)
        (void)fletch_connection_pool_try_acquire(&state->pool, &second, &slot);
}

static void use(struct state *state, int role, const struct fletch_pool_address *address)
{
    uint32_t slot = NO_SLOT;
    for (int i = 0; i < 100 && !state->was_found[role]; i++)
        state->was_found[role] =
            fletch_connection_pool_try_acquire(&state->pool, address, &slot) == FLETCH_DONE;
    if (!state->was_found[role])
        return;
    fletch_connection_pool_address(&state->pool, slot, state->text[role]);
    state->seen[role] = state->memory;
    if (role == 0)
        state->used = state->round;
    fletch_connection_pool_leave(&state->pool, slot, state->round);
}

static void use_first(void *context)
{
    use(context, 0, &first);
}

static void use_first_too(void *context)
{
    use(context, 1, &first);
}

/* Closes what the first role has left, and uses the slot for another address. */
static void use_second(void *context)
{
    use(context, 1, &second);
}

static void end(void *context)
{
    struct state *state = context;
    fletch_connection_pool_deinit(&state->pool);
}

enum { BOTH, ONE, WRONG_ADDRESS, EARLY_USE, EARLY_CLOSE };
static const struct litmus_outcome outcomes[] = {
    [BOTH] = {"both had a connection", LITMUS_ACCEPTABLE, "together, or one after the other"},
    [ONE] = {"one had none", LITMUS_INTERESTING, "it came while the other used it"},
    [WRONG_ADDRESS] = {"a connection to another address", LITMUS_FORBIDDEN,
                       "E1: found before it is written"},
    [EARLY_USE] = {"used before it was closed", LITMUS_FORBIDDEN, "E2: claimed before it is free"},
    [EARLY_CLOSE] = {"closed before it was used", LITMUS_FORBIDDEN, "E3: closed by who has left"},
};

static bool is_text(const struct state *state, int role, const struct fletch_pool_address *address)
{
    return !state->was_found[role] || strcmp(state->text[role], address->text) == 0;
}

static size_t outcome_of(const struct state *state, const struct fletch_pool_address *other)
{
    /* Role 1 closed what role 0 had left, and came after that. */
    bool is_after = state->was_closed && state->was_found[0] && state->was_found[1];
    if (!is_text(state, 0, &first) || !is_text(state, 1, other))
        return WRONG_ADDRESS;
    if (is_after && state->seen[0] == 0 && state->seen[1] != state->round)
        return EARLY_USE;
    if (is_after && state->seen[0] == 0 && state->seen_at_close != state->round)
        return EARLY_CLOSE;
    return state->was_found[0] && state->was_found[1] ? BOTH : ONE;
}

static size_t outcome_shared(void *context)
{
    return outcome_of(context, &first);
}

static size_t outcome_closed(void *context)
{
    return outcome_of(context, &second);
}

static void run(const char *name, void (*other)(void *), size_t (*outcome)(void *))
{
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = reset,
        .end = end,
        .roles = {use_first, other},
        .role_count = 2,
        .outcome = outcome,
        .outcomes = outcomes,
        .outcome_count = sizeof outcomes / sizeof outcomes[0],
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

static void connection_pool_e1(void **unused)
{
    (void)unused;
    run("connection_pool_e1", use_first_too, outcome_shared);
}

static void connection_pool_e2(void **unused)
{
    (void)unused;
    run("connection_pool_e2", use_second, outcome_closed);
}

static void connection_pool_e3(void **unused)
{
    (void)unused;
    run("connection_pool_e3", use_second, outcome_closed);
}

enum { ASKED_AGAIN, NOT_ASKED, EARLY_ASK };
static const struct litmus_outcome outcomes_asked[] = {
    [ASKED_AGAIN] = {"asked again", LITMUS_ACCEPTABLE, "after the answer"},
    [NOT_ASKED] = {"not asked again", LITMUS_INTERESTING, "there was no answer yet"},
    [EARLY_ASK] = {"asked before the answer", LITMUS_FORBIDDEN, "E4: asked while it is asked"},
};

static size_t outcome_asked(void *context)
{
    const struct state *state = context;
    if (state->times_asked == 1)
        return NOT_ASKED;
    return state->found_asked == state->round ? ASKED_AGAIN : EARLY_ASK;
}

static void connection_pool_e4(void **unused)
{
    const struct litmus_test test = {
        .name = "connection_pool_e4",
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = reset_asked,
        .end = end,
        .roles = {answer, ask_again},
        .role_count = 2,
        .outcome = outcome_asked,
        .outcomes = outcomes_asked,
        .outcome_count = sizeof outcomes_asked / sizeof outcomes_asked[0],
    };
    (void)unused;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connection_pool_e1),
        cmocka_unit_test(connection_pool_e2),
        cmocka_unit_test(connection_pool_e3),
        cmocka_unit_test(connection_pool_e4),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
