#include "fletch/bench_stream.h"

#include <stdio.h>

#include <fletching/fletching.h>

#include "support/cmocka_tests.h"

/* Rings that do not keep what they promise: the self-test of speed must not give them a figure. */

enum { ODD = 700, ROUND_NS = 2000000 };

static enum fletch_status open_ring(void **out_ring, void **producers, void **consumers,
                                    struct fletch_error *error)
{
    const struct fletch_spsc_ring_options options = {
        .struct_size = sizeof options, .element_bytes = sizeof(uint64_t), .capacity = 64};
    struct fletch_spsc_ring *ring = NULL;
    enum fletch_status status = fletch_spsc_ring_create(&options, NULL, &ring, error);
    *out_ring = producers[0] = consumers[0] = ring;
    return status;
}

static enum fletch_status refuse_ring(void **out_ring, void **producers, void **consumers,
                                      struct fletch_error *error)
{
    (void)out_ring, (void)producers, (void)consumers;
    error->status = FLETCH_RESOURCE_EXHAUSTED;
    snprintf(error->message, sizeof error->message, "no memory");
    return error->status;
}

static bool push(void *ring, uint64_t number)
{
    return fletch_spsc_ring_push(ring, &number, FLETCH_NO_TIMEOUT) == FLETCH_DONE;
}

static bool give(void *ring, uint64_t first)
{
    for (uint64_t i = 0; i < BENCH_RUN; i++)
        if (!push(ring, first + i))
            return false;
    return true;
}

static bool give_without_one(void *ring, uint64_t first)
{
    for (uint64_t i = 0; i < BENCH_RUN; i++)
        if ((first > 0 || i != ODD) && !push(ring, first + i))
            return false;
    return true;
}

static bool give_without_last(void *ring, uint64_t first)
{
    for (uint64_t i = 0; i < BENCH_RUN - 1; i++)
        if (!push(ring, first + i))
            return false;
    return true;
}

static bool give_one_twice(void *ring, uint64_t first)
{
    return give(ring, first) && (first > 0 || push(ring, first + BENCH_RUN - 1));
}

static bool give_two_swapped(void *ring, uint64_t first)
{
    for (uint64_t i = 0; i < BENCH_RUN; i++) {
        uint64_t number = i == ODD ? ODD + 1 : i == ODD + 1 ? ODD : i;
        if (!push(ring, first + number))
            return false;
    }
    return true;
}

static bool give_of_nobody(void *ring, uint64_t first)
{
    return give(ring, first | UINT64_C(1) << 60);
}

static size_t take(void *ring, uint64_t *elements)
{
    size_t i = 0;
    while (i < BENCH_RUN &&
           fletch_spsc_ring_pop(ring, &elements[i], FLETCH_NO_TIMEOUT) == FLETCH_DONE)
        i++;
    return i;
}

static void end(void *ring)
{
    fletch_spsc_ring_close(ring);
}

static void close_ring(void *ring)
{
    fletch_spsc_ring_destroy(ring, NULL, NULL);
}

static enum outcome run_for(uint64_t round_ns, bool (*giver)(void *, uint64_t), double *out_figure)
{
    const struct bench_ring kind = {.title = "a ring",
                                    .producer_count = 1,
                                    .consumer_count = 1,
                                    .open = open_ring,
                                    .give = giver,
                                    .take = take,
                                    .end = end,
                                    .close = close_ring};
    return bench_stream_run(&kind, round_ns, out_figure);
}

static enum outcome run_with(bool (*giver)(void *, uint64_t), double *out_figure)
{
    return run_for(ROUND_NS, giver, out_figure);
}

static void a_ring_that_keeps_all_gets_a_figure(void **state)
{
    double figure = 0;
    (void)state;
    assert_int_equal(run_with(give, &figure), OUTCOME_DONE);
    assert_true(figure > 0);
}

static void an_element_is_lost(void **state)
{
    double figure = -1;
    (void)state;
    assert_int_equal(run_with(give_without_one, &figure), OUTCOME_DIFFERS);
    assert_true(figure == -1);
}

/* No other follows it, out of its place: only the count tells. */
static void the_last_element_is_lost(void **state)
{
    double figure = -1;
    (void)state;
    assert_int_equal(run_for(0, give_without_last, &figure), OUTCOME_DIFFERS);
}

static void an_element_comes_twice(void **state)
{
    double figure = -1;
    (void)state;
    assert_int_equal(run_with(give_one_twice, &figure), OUTCOME_DIFFERS);
}

static void elements_change_places(void **state)
{
    double figure = -1;
    (void)state;
    assert_int_equal(run_with(give_two_swapped, &figure), OUTCOME_DIFFERS);
}

static void an_element_is_of_no_producer(void **state)
{
    double figure = -1;
    (void)state;
    assert_int_equal(run_with(give_of_nobody, &figure), OUTCOME_DIFFERS);
}

static void a_ring_cannot_be_made(void **state)
{
    const struct bench_ring kind = {
        .title = "a ring", .producer_count = 1, .consumer_count = 1, .open = refuse_ring};
    double figure = -1;
    (void)state;
    assert_int_equal(bench_stream_run(&kind, ROUND_NS, &figure), OUTCOME_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_that_keeps_all_gets_a_figure),
        cmocka_unit_test(an_element_is_lost),
        cmocka_unit_test(the_last_element_is_lost),
        cmocka_unit_test(an_element_comes_twice),
        cmocka_unit_test(elements_change_places),
        cmocka_unit_test(an_element_is_of_no_producer),
        cmocka_unit_test(a_ring_cannot_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
