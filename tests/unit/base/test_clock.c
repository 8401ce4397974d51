#include "base/clock.h"

#include <time.h>

#include "support/cmocka_tests.h"

static void time_never_goes_back(void **state)
{
    uint64_t last = fletch_clock_now_ns();
    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t now = fletch_clock_now_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void it_is_the_monotonic_clock_in_nanoseconds(void **state)
{
    struct timespec before;
    struct timespec after;
    (void)state;
    clock_gettime(CLOCK_MONOTONIC, &before);
    uint64_t now = fletch_clock_now_ns();
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(now >= (uint64_t)before.tv_sec * 1000000000 + (uint64_t)before.tv_nsec);
    assert_true(now <= (uint64_t)after.tv_sec * 1000000000 + (uint64_t)after.tv_nsec);
}

static void a_deadline_lies_a_timeout_ahead(void **state)
{
    (void)state;
    uint64_t before = fletch_clock_now_ns();
    uint64_t deadline = fletch_clock_deadline_ns(5000000000);
    uint64_t after = fletch_clock_now_ns();
    assert_true(deadline >= before + 5000000000);
    assert_true(deadline <= after + 5000000000);
}

static void a_deadline_beyond_all_time_never_comes(void **state)
{
    (void)state;
    assert_true(fletch_clock_deadline_ns(UINT64_MAX) == FLETCH_NO_DEADLINE);
    assert_true(fletch_clock_deadline_ns(UINT64_MAX - 1) == FLETCH_NO_DEADLINE);
    assert_true(fletch_clock_remaining_ns(FLETCH_NO_DEADLINE) == UINT64_MAX);
}

static void what_remains_shrinks_to_zero(void **state)
{
    (void)state;
    uint64_t now = fletch_clock_now_ns();
    assert_int_equal(fletch_clock_remaining_ns(0), 0);
    assert_int_equal(fletch_clock_remaining_ns(now), 0);
    uint64_t deadline = now + 60000000000;
    uint64_t remaining = fletch_clock_remaining_ns(deadline);
    assert_true(remaining <= 60000000000);
    assert_true(fletch_clock_remaining_ns(deadline) <= remaining);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(it_is_the_monotonic_clock_in_nanoseconds),
        cmocka_unit_test(a_deadline_lies_a_timeout_ahead),
        cmocka_unit_test(a_deadline_beyond_all_time_never_comes),
        cmocka_unit_test(what_remains_shrinks_to_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
