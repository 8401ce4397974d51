#include "base/checked.h"

#include "support/cmocka_tests.h"

static void sums_that_fit_are_written(void **state)
{
    size_t result = 1;
    (void)state;
    assert_true(fletch_checked_add(0, 0, &result));
    assert_int_equal(result, 0);
    assert_true(fletch_checked_add(SIZE_MAX - 5, 5, &result));
    assert_true(result == SIZE_MAX);
    assert_true(fletch_checked_add(SIZE_MAX, 0, &result));
    assert_true(result == SIZE_MAX);
}

static void sums_that_do_not_fit_leave_the_result(void **state)
{
    size_t result = 42;
    (void)state;
    assert_false(fletch_checked_add(SIZE_MAX, 1, &result));
    assert_false(fletch_checked_add(1, SIZE_MAX, &result));
    assert_false(fletch_checked_add(SIZE_MAX, SIZE_MAX, &result));
    assert_int_equal(result, 42);
}

static void products_that_fit_are_written(void **state)
{
    size_t result = 1;
    (void)state;
    assert_true(fletch_checked_multiply(0, SIZE_MAX, &result));
    assert_int_equal(result, 0);
    assert_true(fletch_checked_multiply(SIZE_MAX, 0, &result));
    assert_int_equal(result, 0);
    assert_true(fletch_checked_multiply(SIZE_MAX, 1, &result));
    assert_true(result == SIZE_MAX);
    assert_true(fletch_checked_multiply(SIZE_MAX / 3, 3, &result));
    assert_true(result == SIZE_MAX / 3 * 3);
}

static void products_that_do_not_fit_leave_the_result(void **state)
{
    size_t result = 42;
    (void)state;
    assert_false(fletch_checked_multiply(SIZE_MAX / 2 + 1, 2, &result));
    assert_false(fletch_checked_multiply(2, SIZE_MAX / 2 + 1, &result));
    assert_false(fletch_checked_multiply((size_t)1 << 32, (size_t)1 << 32, &result));
    assert_int_equal(result, 42);
}

static void saturating_sums_stay_at_the_top(void **state)
{
    (void)state;
    assert_true(fletch_saturating_add_u64(3, 4) == 7);
    assert_true(fletch_saturating_add_u64(UINT64_MAX - 1, 1) == UINT64_MAX);
    assert_true(fletch_saturating_add_u64(UINT64_MAX, 1) == UINT64_MAX);
    assert_true(fletch_saturating_add_u64(2, UINT64_MAX - 1) == UINT64_MAX);
    assert_true(fletch_saturating_add_u64(UINT64_MAX, UINT64_MAX) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_that_fit_are_written),
        cmocka_unit_test(sums_that_do_not_fit_leave_the_result),
        cmocka_unit_test(products_that_fit_are_written),
        cmocka_unit_test(products_that_do_not_fit_leave_the_result),
        cmocka_unit_test(saturating_sums_stay_at_the_top),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
