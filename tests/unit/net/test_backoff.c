#include "net/backoff.h"

#include "support/cmocka_tests.h"

#define SECOND_NS UINT64_C(1000000000)

/* Whether a pause is 0.8 to 1.2 times the planned one. */
static bool is_about(uint64_t pause_ns, uint64_t planned_ns)
{
    return pause_ns >= planned_ns / 5 * 4 && pause_ns <= planned_ns / 5 * 6;
}

static void pauses_grow_up_to_the_limit(void **state)
{
    struct fletch_backoff backoff;
    uint64_t planned_ns = SECOND_NS;
    (void)state;
    fletch_backoff_start(&backoff, SECOND_NS, 20 * SECOND_NS, 7);
    for (int i = 0; i < 40; i++) {
        assert_true(is_about(fletch_backoff_next_ns(&backoff), planned_ns));
        planned_ns += planned_ns / 5 * 3;
        if (planned_ns > 20 * SECOND_NS)
            planned_ns = 20 * SECOND_NS;
    }
    fletch_backoff_reset(&backoff);
    assert_true(is_about(fletch_backoff_next_ns(&backoff), SECOND_NS));
}

/* Many that begin together are spread over the whole width. */
static void pauses_of_different_seeds_are_spread(void **state)
{
    enum { SEEDS = 1000, PARTS = 10 };
    int counts[PARTS] = {0};
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fletch_backoff backoff;
        fletch_backoff_start(&backoff, SECOND_NS, 0, seed);
        uint64_t beyond_ns = fletch_backoff_next_ns(&backoff) - SECOND_NS / 5 * 4;
        counts[beyond_ns * PARTS / (SECOND_NS / 5 * 2 + 1)]++;
    }
    for (int i = 0; i < PARTS; i++)
        assert_in_range(counts[i], SEEDS / PARTS / 2, SEEDS / PARTS * 2);
}

static void limits_at_the_ends_of_time(void **state)
{
    struct fletch_backoff backoff;
    (void)state;
    fletch_backoff_start(&backoff, 0, 0, 1);
    assert_true(is_about(fletch_backoff_next_ns(&backoff), FLETCH_BACKOFF_FIRST_NS));
    fletch_backoff_start(&backoff, 1, UINT64_MAX / 2, 1);
    uint64_t last_ns = 0;
    for (int i = 0; i < 200; i++)
        last_ns = fletch_backoff_next_ns(&backoff);
    assert_true(is_about(last_ns, UINT64_MAX / 2) || last_ns <= 2); /* 1 ns cannot grow */
    fletch_backoff_start(&backoff, SECOND_NS, UINT64_MAX / 2, 1);
    for (int i = 0; i < 200; i++)
        last_ns = fletch_backoff_next_ns(&backoff);
    assert_true(is_about(last_ns, UINT64_MAX / 2));
    fletch_backoff_start(&backoff, 9 * SECOND_NS, SECOND_NS,
                         1); /* the limit holds from the first */
    assert_true(is_about(fletch_backoff_next_ns(&backoff), SECOND_NS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_grow_up_to_the_limit),
        cmocka_unit_test(pauses_of_different_seeds_are_spread),
        cmocka_unit_test(limits_at_the_ends_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
