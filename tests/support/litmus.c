#include "support/litmus.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "support/team.h"

/* Instances that are reset and counted together. */
enum { BATCH = 64, STATE_ALIGNMENT = 128 };

/* Looks for the others before the processor is given away, and the longest random delay. */
enum { LOOKS_BEFORE_YIELD = 200, DELAY_MOST = 100 };

struct run {
    const struct litmus_test *test;
    char *states;
    size_t stride_bytes;
    uint64_t batches;
    _Atomic uint64_t arrived[BATCH]; /* roles that came to this instance, over all batches */
    _Atomic uint64_t begun;          /* batches that the roles may run */
    _Atomic uint64_t finished;       /* roles that are through, over all batches */
};

struct role {
    struct run *run;
    void (*act)(void *state);
    struct fletch_random random;
};

/* Waits for the others at instance `i`, then for a random moment: so that the roles meet within it,
 * now this one ahead and now that one. */
static void meet(struct role *role, size_t i, uint64_t batch)
{
    struct run *run = role->run;
    uint64_t all = batch * run->test->role_count;
    /* relaxed: the meeting must not order what the test leaves unordered */
    fetch_add_relaxed(&run->arrived[i], 1);
    for (uint32_t looks = 1; load_relaxed(&run->arrived[i]) < all; looks++)
        if (looks % LOOKS_BEFORE_YIELD == 0)
            sched_yield();
    for (uint32_t n = fletch_random_below(&role->random, DELAY_MOST); n > 0; n--)
        atomic_signal_fence(memory_order_seq_cst);
}

static void role_main(void *context)
{
    struct role *role = context;
    struct run *run = role->run;
    for (uint64_t batch = 1; batch <= run->batches; batch++) {
        while (load_acquire(&run->begun) < batch)
            sched_yield();
        for (size_t i = 0; i < BATCH; i++) {
            meet(role, i, batch);
            role->act(run->states + i * run->stride_bytes);
        }
        fetch_add_release(&run->finished, 1);
    }
}

static void reset_all(struct run *run)
{
    for (size_t i = 0; run->test->reset != NULL && i < BATCH; i++)
        run->test->reset(run->states + i * run->stride_bytes);
}

static void count_outcomes(struct run *run, uint64_t counts[LITMUS_OUTCOMES_MAX + 1])
{
    for (size_t i = 0; i < BATCH; i++) {
        size_t outcome = run->test->outcome(run->states + i * run->stride_bytes);
        counts[outcome < run->test->outcome_count ? outcome : LITMUS_OUTCOMES_MAX]++;
    }
}

/* Starts each batch when the one before is counted. */
static void lead(struct run *run, uint64_t counts[LITMUS_OUTCOMES_MAX + 1])
{
    for (uint64_t batch = 1; batch <= run->batches; batch++) {
        reset_all(run);
        store_release(&run->begun, batch);
        while (load_acquire(&run->finished) < batch * run->test->role_count)
            sched_yield();
        count_outcomes(run, counts);
    }
}

static bool report(const struct litmus_test *test, const uint64_t counts[LITMUS_OUTCOMES_MAX + 1])
{
    static const char *const verdicts[] = {
        [LITMUS_ACCEPTABLE] = "ACCEPTABLE",
        [LITMUS_INTERESTING] = "INTERESTING",
        [LITMUS_FORBIDDEN] = "FORBIDDEN",
    };
    bool passed = counts[LITMUS_OUTCOMES_MAX] == 0;
    printf("%s\n", test->name);
    for (size_t i = 0; i < test->outcome_count; i++) {
        const struct litmus_outcome *outcome = &test->outcomes[i];
        printf("  %10" PRIu64 "  %-11s  %-24s  %s\n", counts[i], verdicts[outcome->verdict],
               outcome->name, outcome->reason);
        if (outcome->verdict == LITMUS_FORBIDDEN && counts[i] != 0)
            passed = false;
    }
    if (counts[LITMUS_OUTCOMES_MAX] != 0)
        printf("  %10" PRIu64 "  FORBIDDEN    an outcome that is not in the table\n",
               counts[LITMUS_OUTCOMES_MAX]);
    fflush(stdout);
    return passed;
}

bool litmus_run(const struct litmus_test *test, uint64_t rounds, uint64_t seed)
{
    uint64_t counts[LITMUS_OUTCOMES_MAX + 1] = {0};
    struct run run = {
        .test = test,
        .stride_bytes = fletch_round_up(test->state_bytes, STATE_ALIGNMENT),
        .batches = rounds / BATCH + 1,
    };
    run.states = aligned_alloc(STATE_ALIGNMENT, BATCH * run.stride_bytes);
    if (run.states == NULL || test->outcome_count > LITMUS_OUTCOMES_MAX)
        abort();
    memset(run.states, 0, BATCH * run.stride_bytes);
    for (size_t i = 0; i < BATCH; i++)
        test->make(run.states + i * run.stride_bytes);
    struct role roles[LITMUS_ROLES_MAX];
    struct team_role team_roles[LITMUS_ROLES_MAX];
    for (size_t i = 0; i < test->role_count; i++) {
        roles[i] = (struct role){
            .run = &run, .act = test->roles[i], .random = fletch_random_from_seed(seed + i)};
        team_roles[i] = (struct team_role){.run = role_main, .context = &roles[i]};
    }
    struct team team;
    team_start(&team, team_roles, test->role_count);
    lead(&run, counts);
    team_join(&team);
    for (size_t i = 0; test->end != NULL && i < BATCH; i++)
        test->end(run.states + i * run.stride_bytes);
    free(run.states);
    return report(test, counts);
}
