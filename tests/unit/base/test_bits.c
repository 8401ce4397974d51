#include "base/bits.h"

#include "support/cmocka_tests.h"

static void powers_of_two_are_told_from_the_rest(void **state)
{
    (void)state;
    assert_false(fletch_is_power_of_two(0));
    for (unsigned shift = 0; shift < 64; shift++) {
        size_t power = (size_t)1 << shift;
        assert_true(fletch_is_power_of_two(power));
        if (shift > 1)
            assert_false(fletch_is_power_of_two(power - 1));
        if (shift > 0 && shift < 63)
            assert_false(fletch_is_power_of_two(power + 1));
    }
    assert_false(fletch_is_power_of_two(SIZE_MAX));
}

static void rounding_up_reaches_the_next_multiple(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 128; alignment *= 2)
        for (size_t value = 0; value < 1000; value++) {
            size_t rounded = fletch_round_up(value, alignment);
            assert_int_equal(rounded % alignment, 0);
            assert_true(rounded >= value);
            assert_true(rounded - value < alignment);
        }
    assert_int_equal(fletch_round_up(SIZE_MAX - 63, 64), SIZE_MAX - 63);
}

static void the_ceiling_is_the_smallest_power_that_reaches(void **state)
{
    (void)state;
    for (size_t value = 1; value < 5000; value++) {
        size_t power = fletch_power_of_two_ceiling(value);
        assert_true(fletch_is_power_of_two(power));
        assert_true(power >= value);
        assert_true(power / 2 < value);
    }
    assert_int_equal(fletch_power_of_two_ceiling(SIZE_MAX / 2 + 1), SIZE_MAX / 2 + 1);
    for (size_t value = 1; value < 5000; value++) {
        size_t power = fletch_power_of_two_floor(value);
        assert_true(fletch_is_power_of_two(power));
        assert_true(power <= value && value < 2 * power);
    }
    assert_int_equal(fletch_power_of_two_floor(SIZE_MAX), SIZE_MAX / 2 + 1);
    assert_int_equal(fletch_power_of_two_ceiling(SIZE_MAX / 2), SIZE_MAX / 2 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(powers_of_two_are_told_from_the_rest),
        cmocka_unit_test(rounding_up_reaches_the_next_multiple),
        cmocka_unit_test(the_ceiling_is_the_smallest_power_that_reaches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
