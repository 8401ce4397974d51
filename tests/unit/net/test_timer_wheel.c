#include "net/timer_wheel.h"

#include "base/clock.h"
#include "base/random.h"
#include "support/cmocka_tests.h"

#define TICK_NS (UINT64_C(1) << 20)
#define SECOND_NS UINT64_C(1000000000)

enum { TIMERS = 200, STEPS = 4000 };

struct probe {
    struct fletch_timer timer;
    struct fletch_timer_wheel *wheel;
    uint64_t deadline_ns;
    uint64_t calls;
    struct probe *clears;      /* another one, when called */
    uint64_t sets_again_at_ns; /* FLETCH_NO_DEADLINE: not */
};

static void on_expired(void *context)
{
    struct probe *probe = context;
    probe->calls++;
    assert_false(fletch_timer_is_set(&probe->timer));
    if (probe->clears != NULL)
        fletch_timer_wheel_clear(probe->wheel, &probe->clears->timer);
    fletch_timer_wheel_set(probe->wheel, &probe->timer, probe->sets_again_at_ns);
}

static void probe_start(struct probe *probe, struct fletch_timer_wheel *wheel)
{
    *probe = (struct probe){
        .wheel = wheel, .deadline_ns = FLETCH_NO_DEADLINE, .sets_again_at_ns = FLETCH_NO_DEADLINE};
    fletch_timer_start(&probe->timer, on_expired, probe);
}

static void probe_set(struct probe *probe, uint64_t deadline_ns)
{
    probe->deadline_ns = deadline_ns;
    fletch_timer_wheel_set(probe->wheel, &probe->timer, deadline_ns);
}

static uint64_t round_up(uint64_t ns)
{
    return (ns + TICK_NS - 1) / TICK_NS * TICK_NS;
}

/* Spans from less than a tick to a century. */
static uint64_t random_span(struct fletch_random *random)
{
    return fletch_random_u64(random) >> (3 + fletch_random_below(random, 50));
}

/* All that is due has been called, once, and nothing else. */
static void check_calls(struct probe *probes, uint64_t now_ns)
{
    uint64_t first_ns = FLETCH_NO_DEADLINE;
    for (size_t i = 0; i < TIMERS; i++) {
        struct probe *probe = &probes[i];
        bool is_due =
            probe->deadline_ns != FLETCH_NO_DEADLINE && round_up(probe->deadline_ns) <= now_ns;
        assert_int_equal(probe->calls, is_due);
        assert_int_equal(fletch_timer_is_set(&probe->timer),
                         !is_due && probe->deadline_ns != FLETCH_NO_DEADLINE);
        if (is_due)
            probe->deadline_ns = FLETCH_NO_DEADLINE;
        probe->calls = 0;
        if (probe->deadline_ns < first_ns)
            first_ns = probe->deadline_ns;
    }
    uint64_t next_ns = fletch_timer_wheel_next_ns(probes[0].wheel);
    if (first_ns == FLETCH_NO_DEADLINE)
        assert_true(next_ns == FLETCH_NO_DEADLINE);
    else
        assert_true(next_ns <= round_up(first_ns) && next_ns > now_ns);
}

static void random_timers_are_called_once_and_in_time(uint64_t seed)
{
    struct fletch_random random = fletch_random_from_seed(seed);
    struct fletch_timer_wheel wheel;
    struct probe probes[TIMERS];
    uint64_t now_ns = fletch_random_u64(&random) >> 8;
    fletch_timer_wheel_start(&wheel, now_ns);
    for (size_t i = 0; i < TIMERS; i++)
        probe_start(&probes[i], &wheel);
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < 4; i++) {
            struct probe *probe = &probes[fletch_random_below(&random, TIMERS)];
            bool clears = fletch_random_below(&random, 4) == 0;
            probe_set(probe, clears ? FLETCH_NO_DEADLINE : now_ns + random_span(&random));
        }
        /* Sometimes to the very time that it tells, and sometimes far beyond. */
        uint64_t next_ns = fletch_timer_wheel_next_ns(&wheel);
        if (fletch_random_below(&random, 2) != 0 && next_ns != FLETCH_NO_DEADLINE &&
            next_ns > now_ns)
            now_ns = next_ns;
        else
            now_ns += random_span(&random) >> 12;
        fletch_timer_wheel_run(&wheel, now_ns);
        check_calls(probes, now_ns);
    }
}

static void timers_are_called_once_and_in_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        random_timers_are_called_once_and_in_time(seed);
}

static void running_at_the_told_times_reaches_any_deadline_soon(void **state)
{
    static const uint64_t spans_ns[] = {1,
                                        TICK_NS,
                                        64 * TICK_NS,
                                        SECOND_NS,
                                        3600 * SECOND_NS,
                                        UINT64_C(1) << 60,
                                        UINT64_MAX - TICK_NS - SECOND_NS};
    (void)state;
    for (size_t i = 0; i < sizeof spans_ns / sizeof spans_ns[0]; i++) {
        struct fletch_timer_wheel wheel;
        struct probe probe;
        uint64_t now_ns = SECOND_NS;
        int runs = 0;
        fletch_timer_wheel_start(&wheel, now_ns);
        probe_start(&probe, &wheel);
        probe_set(&probe, now_ns + spans_ns[i]);
        for (; probe.calls == 0; runs++) {
            now_ns = fletch_timer_wheel_next_ns(&wheel);
            assert_true(now_ns != FLETCH_NO_DEADLINE);
            fletch_timer_wheel_run(&wheel, now_ns);
        }
        assert_true(now_ns == round_up(SECOND_NS + spans_ns[i]));
        assert_true(runs <= FLETCH_TIMER_LEVELS);
    }
}

static void a_timer_that_clears_another_due_one_is_obeyed(void **state)
{
    struct fletch_timer_wheel wheel;
    struct probe probes[3];
    (void)state;
    fletch_timer_wheel_start(&wheel, 0);
    for (size_t i = 0; i < 3; i++)
        probe_start(&probes[i], &wheel);
    probes[0].clears = &probes[1];
    for (size_t i = 0; i < 3; i++)
        probe_set(&probes[i], SECOND_NS);
    assert_int_equal(fletch_timer_wheel_run(&wheel, 2 * SECOND_NS), 2);
    assert_int_equal(probes[1].calls, 0);
    assert_int_equal(probes[2].calls, 1);
}

static void a_run_ends_though_a_timer_sets_itself_for_the_past(void **state)
{
    struct fletch_timer_wheel wheel;
    struct probe probe;
    (void)state;
    fletch_timer_wheel_start(&wheel, SECOND_NS);
    probe_start(&probe, &wheel);
    probe.sets_again_at_ns = 0;
    probe_set(&probe, 0);
    for (uint64_t run = 1; run <= 3; run++) {
        assert_true(fletch_timer_wheel_next_ns(&wheel) == 0);
        assert_int_equal(fletch_timer_wheel_run(&wheel, SECOND_NS), 1);
        assert_int_equal(probe.calls, run);
    }
}

static void a_clock_that_goes_back_changes_nothing(void **state)
{
    struct fletch_timer_wheel wheel;
    struct probe probe;
    (void)state;
    fletch_timer_wheel_start(&wheel, 10 * SECOND_NS);
    probe_start(&probe, &wheel);
    probe_set(&probe, 20 * SECOND_NS);
    assert_int_equal(fletch_timer_wheel_run(&wheel, SECOND_NS), 0);
    assert_int_equal(fletch_timer_wheel_run(&wheel, 20 * SECOND_NS - TICK_NS), 0);
    assert_int_equal(fletch_timer_wheel_run(&wheel, 20 * SECOND_NS + TICK_NS), 1);
}

static void moving_a_timer_forgets_its_old_time(void **state)
{
    struct fletch_timer_wheel wheel;
    struct probe probe;
    (void)state;
    fletch_timer_wheel_start(&wheel, 0);
    probe_start(&probe, &wheel);
    probe_set(&probe, SECOND_NS);
    probe_set(&probe, 100 * SECOND_NS);
    assert_int_equal(fletch_timer_wheel_run(&wheel, 50 * SECOND_NS), 0);
    probe_set(&probe, 0);
    assert_int_equal(fletch_timer_wheel_run(&wheel, 50 * SECOND_NS), 1);
    assert_int_equal(fletch_timer_wheel_run(&wheel, 200 * SECOND_NS), 0);
    fletch_timer_wheel_clear(&wheel, &probe.timer); /* of one that is not set: nothing */
    assert_true(fletch_timer_wheel_next_ns(&wheel) == FLETCH_NO_DEADLINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_are_called_once_and_in_time),
        cmocka_unit_test(running_at_the_told_times_reaches_any_deadline_soon),
        cmocka_unit_test(a_timer_that_clears_another_due_one_is_obeyed),
        cmocka_unit_test(a_run_ends_though_a_timer_sets_itself_for_the_past),
        cmocka_unit_test(a_clock_that_goes_back_changes_nothing),
        cmocka_unit_test(moving_a_timer_forgets_its_old_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
