#include "flow/agent_reply.h"

#include "sync/eventcount.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"

/* The edges of flow/agent_reply.h: agent_reply_e1, the reply as it was written; agent_reply_e2, an
 * entry that is claimed again after it was read. */

enum { ROUNDS = 100000, NO_GENERATION = 0 };

static struct test_arguments arguments;

struct state {
    struct fletch_eventcount eventcount;
    struct fletch_agent_entry entry;
    uint64_t round;
    uint64_t generation; /* of the request */
    bool was_taken;
    bool was_accepted;
    bool was_given_up;
    struct fletch_batch_slot slot;
    enum fletch_status status;
    /* Of who claims the entry next. */
    bool was_claimed;
    uint64_t read_sum; /* plain memory of the entry, read by the first asker and written by this */
};

static void make(void *context)
{
    struct state *state = context;
    fletch_eventcount_start(&state->eventcount, FLETCH_SHARING_PROCESS);
    state->entry = (struct fletch_agent_entry){.wake = &state->eventcount};
    state->round = 1;
}

static void reset(void *context)
{
    struct state *state = context;
    state->round++;
    state->was_taken = state->was_accepted = state->was_given_up = state->was_claimed = false;
    if (!fletch_agent_entry_claim(&state->entry, &state->generation))
        state->generation = NO_GENERATION;
}

static void reply(void *context)
{
    struct state *state = context;
    const struct fletch_batch_slot slot = {.shuffle_hash = state->round,
                                           .partition = (uint32_t)state->round};
    state->was_accepted =
        fletch_agent_entry_answer(&state->entry, state->generation, &slot, FLETCH_ABORTED);
}

static void ask(void *context)
{
    struct state *state = context;
    for (int i = 0; i < 50 && !state->was_taken; i++)
        state->was_taken =
            fletch_agent_entry_take(&state->entry, state->generation, &state->slot, &state->status);
    if (state->was_taken)
        return;
    state->was_given_up = fletch_agent_entry_give_up(&state->entry, state->generation);
    if (!state->was_given_up)
        state->was_taken =
            fletch_agent_entry_take(&state->entry, state->generation, &state->slot, &state->status);
}

/* Claims the entry as soon as it is free, and uses its memory. */
static void claim_again(void *context)
{
    struct state *state = context;
    uint64_t generation;
    for (int i = 0; i < 100 && !state->was_claimed; i++) {
        if (!fletch_agent_entry_claim(&state->entry, &generation))
            continue;
        state->was_claimed = true;
        state->read_sum += state->entry.slot.shuffle_hash;
        state->entry.deadline_ns = state->round;
        (void)fletch_agent_entry_give_up(&state->entry, generation);
    }
}

enum { TAKEN, GIVEN_UP, TORN, BOTH, NEITHER };
static const struct litmus_outcome outcomes[] = {
    [TAKEN] = {"the reply, whole", LITMUS_ACCEPTABLE, "it came in time"},
    [GIVEN_UP] = {"no reply, and its writer knows", LITMUS_INTERESTING, "it came too late"},
    [TORN] = {"a reply with other words", LITMUS_FORBIDDEN, "E1: written before it is there"},
    [BOTH] = {"taken and not accepted", LITMUS_FORBIDDEN, "one of the two has the batch"},
    [NEITHER] = {"accepted and not taken", LITMUS_FORBIDDEN, "one of the two has the batch"},
};

static size_t outcome(void *context)
{
    struct state *state = context;
    if (state->was_taken && !state->was_accepted)
        return BOTH;
    if (state->was_accepted && !state->was_taken)
        return NEITHER;
    if (!state->was_taken)
        return GIVEN_UP;
    bool is_whole = state->slot.shuffle_hash == state->round &&
                    state->slot.partition == (uint32_t)state->round &&
                    state->status == FLETCH_ABORTED;
    return is_whole ? TAKEN : TORN;
}

static void end(void *context)
{
    (void)context;
}

static void agent_reply_e1(void **unused)
{
    const struct litmus_test test = {
        .name = "agent_reply_e1",
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = reset,
        .end = end,
        .roles = {reply, ask},
        .role_count = 2,
        .outcome = outcome,
        .outcomes = outcomes,
        .outcome_count = sizeof outcomes / sizeof outcomes[0],
    };
    (void)unused;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

static void agent_reply_e2(void **unused)
{
    const struct litmus_test test = {
        .name = "agent_reply_e2",
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = reset,
        .end = end,
        .roles = {reply, ask, claim_again},
        .role_count = 3,
        .outcome = outcome,
        .outcomes = outcomes,
        .outcome_count = sizeof outcomes / sizeof outcomes[0],
    };
    (void)unused;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agent_reply_e1),
        cmocka_unit_test(agent_reply_e2),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
