#include "sync/wait.h"

#include <string.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/rings.h"
#include "support/sleeping.h"
#include "support/team.h"

enum { TIMEOUT_NS = 2000000 };

/* ---- policies ---- */

static void policies_are_chosen_as_told(void **state)
{
    static const struct {
        enum fletch_wait_strategy given;
        uint64_t budget_ns;
        enum fletch_wait_strategy strategy;
        uint64_t spin_budget_ns;
        bool sleeps;
    } choices[] = {
        {FLETCH_WAIT_DEFAULT, 0, FLETCH_WAIT_ADAPTIVE, FLETCH_SPIN_BUDGET_NS_DEFAULT, true},
        {FLETCH_WAIT_DEFAULT, FLETCH_OFF, FLETCH_WAIT_PARK, 0, true},
        {FLETCH_WAIT_ADAPTIVE, 0, FLETCH_WAIT_ADAPTIVE, FLETCH_SPIN_BUDGET_NS_DEFAULT, true},
        {FLETCH_WAIT_ADAPTIVE, 1, FLETCH_WAIT_ADAPTIVE, 1, true},
        {FLETCH_WAIT_ADAPTIVE, UINT32_MAX, FLETCH_WAIT_ADAPTIVE, UINT32_MAX, true},
        {FLETCH_WAIT_ADAPTIVE, FLETCH_OFF, FLETCH_WAIT_PARK, 0, true},
        {FLETCH_WAIT_PARK, 0, FLETCH_WAIT_PARK, 0, true},
        {FLETCH_WAIT_SPIN, 0, FLETCH_WAIT_SPIN, 0, false},
        {FLETCH_WAIT_PAUSE, 0, FLETCH_WAIT_PAUSE, 0, false},
        {FLETCH_WAIT_YIELD, 0, FLETCH_WAIT_YIELD, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        struct fletch_wait_policy policy;
        assert_ok(fletch_wait_policy_choose(choices[i].given, choices[i].budget_ns, &policy, NULL));
        assert_int_equal(policy.strategy, choices[i].strategy);
        assert_true(policy.spin_budget_ns == choices[i].spin_budget_ns);
        assert_int_equal(fletch_wait_policy_sleeps(&policy), choices[i].sleeps);
    }
}

static void policies_that_are_none_are_named(void **state)
{
    struct fletch_wait_policy policy = {.spin_budget_ns = 77};
    struct fletch_error error;
    (void)state;
    assert_int_equal(fletch_wait_policy_choose((enum fletch_wait_strategy)6, 0, &policy, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "wait strategy 6 is not one of 0 to 5");
    assert_int_equal(fletch_wait_policy_choose((enum fletch_wait_strategy) - 1, 0, &policy, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "wait strategy -1");
    assert_int_equal(
        fletch_wait_policy_choose(FLETCH_WAIT_ADAPTIVE, UINT64_C(1) << 32, &policy, &error),
        FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "spin_budget_ns 4294967296 is above 4294967295");
    assert_int_equal(policy.spin_budget_ns, 77);
}

/* ---- scripted attempts ---- */

/* Answers `before` until it was asked `looks` times or a time has come, then `at_last`. */
struct script {
    uint64_t asked;
    uint64_t looks;    /* 0: the time decides */
    uint64_t until_ns; /* 0: never */
    enum fletch_answer before;
    enum fletch_answer at_last;
};

static enum fletch_answer ask(void *call)
{
    struct script *script = call;
    script->asked++;
    if (script->looks != 0 && script->asked >= script->looks)
        return script->at_last;
    if (script->until_ns != 0 && fletch_clock_now_ns() >= script->until_ns)
        return script->at_last;
    return script->before;
}

struct bench {
    struct fletch_eventcount eventcount;
    struct fletch_wait_policy policy;
    struct fletch_wait_history history;
    struct script script;
    struct fletch_wait wait;
};

static void start(struct bench *bench, enum fletch_wait_strategy strategy, uint64_t budget_ns)
{
    memset(bench, 0, sizeof *bench);
    fletch_eventcount_start(&bench->eventcount, FLETCH_SHARING_PROCESS);
    assert_ok(fletch_wait_policy_choose(strategy, budget_ns, &bench->policy, NULL));
    fletch_wait_history_start(&bench->history, &bench->policy);
    bench->wait = (struct fletch_wait){
        .policy = &bench->policy,
        .history = &bench->history,
        .eventcount = &bench->eventcount,
        .attempt = ask,
        .call = &bench->script,
    };
}

static void wait_for_second_look(enum fletch_wait_strategy strategy, enum fletch_answer before,
                                 enum fletch_answer at_last)
{
    struct bench bench;
    start(&bench, strategy, 0);
    /* The second look is in every strategy's first round. */
    bench.script = (struct script){.looks = 2, .before = before, .at_last = at_last};
    if (bench.policy.strategy == FLETCH_WAIT_PARK)
        bench.script.looks = 1; /* which looks once before it sleeps */
    assert_answer(fletch_wait_for(&bench.wait, FLETCH_NO_TIMEOUT), at_last);
    assert_int_equal(bench.script.asked, bench.script.looks);
    assert_true(load_relaxed(&bench.eventcount.sleepers) % FLETCH_ONE_GENERATION == 0);
    assert_true(load_relaxed(&bench.history.parks) == 0);
}

static void it_ends_when_the_attempt_is_final(void **state)
{
    static const enum fletch_answer final[] = {FLETCH_DONE, FLETCH_CLOSED};
    static const enum fletch_answer going_on[] = {FLETCH_EMPTY, FLETCH_FULL, FLETCH_HELD};
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++)
        for (size_t f = 0; f < 2; f++)
            for (size_t g = 0; g < 3; g++)
                wait_for_second_look(wait_strategies[i], going_on[g], final[f]);
}

static void it_returns_what_it_saw_last_and_not_early(void **state)
{
    static const enum fletch_answer answers[] = {FLETCH_EMPTY, FLETCH_FULL, FLETCH_HELD};
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++)
        for (size_t a = 0; a < 3; a++) {
            struct bench bench;
            start(&bench, wait_strategies[i], 0);
            bench.script = (struct script){.before = answers[a]};
            uint64_t deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
            assert_answer(fletch_wait_for(&bench.wait, TIMEOUT_NS), answers[a]);
            assert_true(fletch_clock_now_ns() >= deadline);
            assert_true(load_relaxed(&bench.eventcount.sleepers) % FLETCH_ONE_GENERATION == 0);
        }
}

static void a_timeout_of_zero_looks_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
        struct bench bench;
        start(&bench, wait_strategies[i], 0);
        bench.script = (struct script){.before = FLETCH_EMPTY};
        assert_answer(fletch_wait_for(&bench.wait, 0), FLETCH_EMPTY);
        assert_int_equal(bench.script.asked, 1);
    }
}

static void those_that_never_sleep_never_announce_themselves(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
        struct bench bench;
        start(&bench, wait_strategies[i], 0);
        bench.script = (struct script){.before = FLETCH_EMPTY};
        assert_answer(fletch_wait_for(&bench.wait, TIMEOUT_NS), FLETCH_EMPTY);
        bool parked = load_relaxed(&bench.history.parks) != 0;
        assert_int_equal(parked, fletch_wait_policy_sleeps(&bench.policy));
        if (!parked)
            assert_true(bench.script.asked > 2);
    }
}

/* ---- sleeping ---- */

struct sleeper {
    struct bench bench;
    _Atomic uint32_t ready;
    enum fletch_answer answer;
};

static enum fletch_answer ask_whether_ready(void *call)
{
    struct sleeper *sleeper = call;
    return load_acquire(&sleeper->ready) != 0 ? FLETCH_DONE : FLETCH_EMPTY;
}

static void sleep_until_ready(void *context)
{
    struct sleeper *sleeper = context;
    sleeper->answer = fletch_wait_for(&sleeper->bench.wait, FLETCH_NO_TIMEOUT);
}

static void a_sleeper_is_woken_and_none_for_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
        struct sleeper sleeper = {.answer = FLETCH_EMPTY};
        const struct team_role role = {.run = sleep_until_ready, .context = &sleeper};
        struct team team;
        start(&sleeper.bench, wait_strategies[i], 0);
        sleeper.bench.wait.attempt = ask_whether_ready;
        sleeper.bench.wait.call = &sleeper;
        team_start(&team, &role, 1);
        if (fletch_wait_policy_sleeps(&sleeper.bench.policy)) {
            sleeping_await(&sleeper.bench.eventcount, 1);
            /* A wake-up for nothing: it looks and goes to sleep again. */
            fletch_eventcount_notify(&sleeper.bench.eventcount, 1);
            while (load_relaxed(&sleeper.bench.history.parks) < 1)
                fletch_thread_yield();
        }
        store_release(&sleeper.ready, 1);
        fletch_eventcount_notify(&sleeper.bench.eventcount, 1);
        team_join(&team);
        assert_answer(sleeper.answer, FLETCH_DONE);
        assert_true(load_relaxed(&sleeper.bench.eventcount.sleepers) % FLETCH_ONE_GENERATION == 0);
    }
}

/* ---- the adaptive strategy ---- */

static uint32_t mean_after(struct bench *bench, uint64_t waits, uint64_t length_ns)
{
    for (uint64_t i = 0; i < waits; i++) {
        bench->script = (struct script){
            .until_ns = fletch_clock_now_ns() + length_ns,
            .before = FLETCH_EMPTY,
            .at_last = FLETCH_DONE,
        };
        /* The scripted end comes while it spins, or as the last look after its deadline. */
        (void)fletch_wait_for(&bench->wait, length_ns);
    }
    return load_relaxed(&bench->history.mean_ns);
}

/* The budget lies far above any pause of the machine, so that every wait of 300 microseconds
 * counts as a short one, and far below the long ones. */
static void the_mean_follows_the_lengths_of_waits(void **state)
{
    struct bench bench;
    (void)state;
    start(&bench, FLETCH_WAIT_ADAPTIVE, 1000000000);
    assert_int_equal(load_relaxed(&bench.history.mean_ns), 500000000);
    uint32_t after_short = mean_after(&bench, 40, 300000);
    assert_true(after_short < 500000000);
    /* A wait is never shorter than told, so neither is the mean of many, but for rounding. */
    assert_true(after_short >= 300000 / 2);
}

static void long_waits_teach_not_to_spin(void **state)
{
    struct bench bench;
    (void)state;
    start(&bench, FLETCH_WAIT_ADAPTIVE, 100000);
    assert_int_equal(load_relaxed(&bench.history.mean_ns), 50000);
    uint32_t last = 50000;
    for (int i = 0; i < 20; i++) {
        bench.script = (struct script){.before = FLETCH_EMPTY};
        assert_answer(fletch_wait_for(&bench.wait, 200000), FLETCH_EMPTY); /* above the budget */
        uint32_t mean = load_relaxed(&bench.history.mean_ns);
        assert_true(mean < last);
        last = mean;
    }
    assert_true(last < 50000 / 8);
}

static void short_waits_teach_to_spin_again(void **state)
{
    struct bench bench;
    (void)state;
    start(&bench, FLETCH_WAIT_ADAPTIVE, UINT32_MAX);
    store_relaxed(&bench.history.mean_ns, 0);
    uint32_t last = 0;
    for (int i = 0; i < 10; i++) {
        bench.script = (struct script){.before = FLETCH_EMPTY};
        /* 1 ms is what it waits at least; up to 4 s would count as short. */
        assert_answer(fletch_wait_for(&bench.wait, 1000000), FLETCH_EMPTY);
        uint32_t mean = load_relaxed(&bench.history.mean_ns);
        /* Each lesson of at least 1 ms moves a mean below it upwards. */
        if (last < 500000)
            assert_true(mean > last);
        last = mean;
    }
    assert_true(last >= 500000);
}

static void who_shares_a_processor_does_not_spin(void **state)
{
    struct bench bench;
    struct fletch_wait_history taught = {.mean_ns = UINT32_MAX / 2, .same_cpu = 1, .parks = 7};
    (void)state;
    start(&bench, FLETCH_WAIT_ADAPTIVE, UINT32_MAX);
    fletch_wait_history_copy(&bench.history, &taught);
    assert_true(load_relaxed(&bench.history.mean_ns) == UINT32_MAX / 2);
    assert_true(load_relaxed(&bench.history.parks) == 0);
    bench.script = (struct script){.before = FLETCH_EMPTY};
    /* It would spin for all of this, thousands of looks. */
    assert_answer(fletch_wait_for(&bench.wait, 20000000), FLETCH_EMPTY);
    assert_true(bench.script.asked <= 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_are_chosen_as_told),
        cmocka_unit_test(policies_that_are_none_are_named),
        cmocka_unit_test(it_ends_when_the_attempt_is_final),
        cmocka_unit_test(it_returns_what_it_saw_last_and_not_early),
        cmocka_unit_test(a_timeout_of_zero_looks_once),
        cmocka_unit_test(those_that_never_sleep_never_announce_themselves),
        cmocka_unit_test(a_sleeper_is_woken_and_none_for_nothing),
        cmocka_unit_test(the_mean_follows_the_lengths_of_waits),
        cmocka_unit_test(long_waits_teach_not_to_spin),
        cmocka_unit_test(short_waits_teach_to_spin_again),
        cmocka_unit_test(who_shares_a_processor_does_not_spin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
