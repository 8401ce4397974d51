#include "base/random.h"

#include "support/cmocka_tests.h"

static void the_numbers_of_a_seed_are_fixed(void **state)
{
    /* From the reference implementation of SplitMix64, seed 1234567. */
    static const uint64_t expected[] = {
        UINT64_C(6457827717110365317),  UINT64_C(3203168211198807973),
        UINT64_C(9817491932198370423),  UINT64_C(4593380528125082431),
        UINT64_C(16408922859458223821),
    };
    struct fletch_random random = fletch_random_from_seed(1234567);
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(fletch_random_u64(&random) == expected[i]);
}

static void equal_seeds_give_equal_numbers_and_others_do_not(void **state)
{
    struct fletch_random one = fletch_random_from_seed(7);
    struct fletch_random same = fletch_random_from_seed(7);
    struct fletch_random other = fletch_random_from_seed(8);
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t number = fletch_random_u64(&one);
        assert_true(number == fletch_random_u64(&same));
        assert_true(number != fletch_random_u64(&other));
    }
}

static void numbers_stay_below_their_bound_and_reach_it(void **state)
{
    struct fletch_random random = fletch_random_from_seed(99);
    (void)state;
    for (uint32_t bound = 1; bound <= 20; bound++) {
        uint32_t seen = 0;
        for (int i = 0; i < 2000; i++) {
            uint32_t number = fletch_random_below(&random, bound);
            assert_true(number < bound);
            seen |= UINT32_C(1) << number;
        }
        assert_int_equal(seen, (UINT32_C(1) << bound) - 1);
    }
    for (int i = 0; i < 1000; i++)
        assert_true(fletch_random_below(&random, UINT32_MAX) < UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_of_a_seed_are_fixed),
        cmocka_unit_test(equal_seeds_give_equal_numbers_and_others_do_not),
        cmocka_unit_test(numbers_stay_below_their_bound_and_reach_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
