#include "base/futex.h"

#include <sched.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/sleeping.h"
#include "support/team.h"

enum { SLEEPERS = 4 };

static void a_word_that_differs_is_not_slept_on(void **state)
{
    _Atomic uint32_t word = 5;
    (void)state;
    assert_true(fletch_futex_wait(&word, 4, FLETCH_NO_DEADLINE, false));
    assert_true(fletch_futex_wait(&word, 4, FLETCH_NO_DEADLINE, true));
    assert_true(fletch_futex_wait(&word, 4, 0, false));
}

static void a_timeout_is_told_and_not_early(void **state)
{
    _Atomic uint32_t word = 0;
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        uint64_t deadline = fletch_clock_deadline_ns(3000000);
        bool in_time = true;
        while (in_time)
            in_time = fletch_futex_wait(&word, 0, deadline, shared != 0);
        assert_true(fletch_clock_now_ns() >= deadline);
    }
}

static void a_deadline_that_has_passed_is_told(void **state)
{
    _Atomic uint32_t word = 0;
    (void)state;
    bool in_time = true;
    while (in_time)
        in_time = fletch_futex_wait(&word, 0, 1, false);
    assert_false(in_time);
}

struct bed {
    _Atomic uint32_t word;
    _Atomic uint32_t awake;
    bool shared;
};

/* Counts itself only once the word has changed: what else wakes it does not matter. */
static void sleep_until_changed(void *context)
{
    struct bed *bed = context;
    while (load_acquire(&bed->word) == 0)
        (void)fletch_futex_wait(&bed->word, 0, FLETCH_NO_DEADLINE, bed->shared);
    fetch_add_release(&bed->awake, 1);
}

/* Each call wakes as many as it says, no fewer; nobody is left asleep. */
static void wake_one_by_one(bool shared)
{
    struct bed bed = {.shared = shared};
    struct team_role roles[SLEEPERS];
    struct team team;
    for (size_t i = 0; i < SLEEPERS; i++)
        roles[i] = (struct team_role){.run = sleep_until_changed, .context = &bed};
    team_start(&team, roles, SLEEPERS);
    for (size_t i = 0; i < SLEEPERS; i++)
        sleeping_await_thread(team_tid(&team, i));
    store_release(&bed.word, 1);
    for (uint32_t woken = 1; woken <= SLEEPERS; woken++) {
        fletch_futex_wake(&bed.word, 1, shared);
        while (load_acquire(&bed.awake) < woken)
            sched_yield();
    }
    team_join(&team);
    assert_int_equal(load_relaxed(&bed.awake), SLEEPERS);
}

static void a_wake_of_one_wakes_one(void **state)
{
    (void)state;
    wake_one_by_one(false);
}

static void a_shared_wake_of_one_wakes_one(void **state)
{
    (void)state;
    wake_one_by_one(true);
}

static void a_wake_of_all_wakes_all(void **state)
{
    struct bed bed = {.shared = false};
    struct team_role roles[SLEEPERS];
    struct team team;
    (void)state;
    for (size_t i = 0; i < SLEEPERS; i++)
        roles[i] = (struct team_role){.run = sleep_until_changed, .context = &bed};
    team_start(&team, roles, SLEEPERS);
    for (size_t i = 0; i < SLEEPERS; i++)
        sleeping_await_thread(team_tid(&team, i));
    store_release(&bed.word, 1);
    fletch_futex_wake(&bed.word, UINT32_MAX, false);
    team_join(&team);
    assert_int_equal(load_relaxed(&bed.awake), SLEEPERS);
}

static void a_wake_of_nobody_does_nothing(void **state)
{
    _Atomic uint32_t word = 0;
    (void)state;
    fletch_futex_wake(&word, 0, false);
    fletch_futex_wake(&word, 1, false);
    fletch_futex_wake(&word, UINT32_MAX, true);
    assert_int_equal(load_relaxed(&word), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_that_differs_is_not_slept_on),
        cmocka_unit_test(a_timeout_is_told_and_not_early),
        cmocka_unit_test(a_deadline_that_has_passed_is_told),
        cmocka_unit_test(a_wake_of_one_wakes_one),
        cmocka_unit_test(a_shared_wake_of_one_wakes_one),
        cmocka_unit_test(a_wake_of_all_wakes_all),
        cmocka_unit_test(a_wake_of_nobody_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
