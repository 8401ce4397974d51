#include "sync/fan_in.h"

#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/payload.h"
#include "support/rings.h"

/* Making and ending. */

enum { SIZE = 24, LANES = 3 };

static void bad_options_are_named_with_value_and_limit(void **state)
{
    struct fletch_fan_in_options good = fan_in_options(SIZE, 8, LANES);
    struct {
        struct fletch_fan_in_options options;
        const char *message;
    } refused[12];
    size_t count = 0;
    (void)state;
#define REFUSED(field, value, text) \
    do { \
        refused[count].options = good; \
        refused[count].options.field = value; \
        refused[count++].message = text; \
    } while (0)
    REFUSED(element_bytes, 7, "element_bytes 7 is not between 8 and 4096");
    REFUSED(element_bytes, 4097, "element_bytes 4097 is not between 8 and 4096");
    REFUSED(capacity, 0, "capacity 0 is not between 1 and 4294967296");
    REFUSED(lane_count, 4097, "lane_count 4097 is above 4096");
    REFUSED(run_limit, (size_t)UINT32_MAX + 1, "run_limit 4294967296 is above 4294967295");
    REFUSED(form, (enum fletch_ring_form)3, "ring form 3 is not one of 0 to 2");
    REFUSED(wait_strategy, (enum fletch_wait_strategy)6, "wait strategy 6 is not one of 0 to 5");
    REFUSED(spin_budget_ns, (uint64_t)UINT32_MAX + 1,
            "spin_budget_ns 4294967296 is above 4294967295");
    REFUSED(struct_size, 0, "options have struct_size 0, expected at least");
#undef REFUSED
    for (size_t i = 0; i < count; i++) {
        struct counting_allocator counting;
        struct fletch_error error;
        struct fletch_fan_in *fan_in = NULL;
        counting_allocator_start(&counting, 0);
        assert_int_equal(
            fletch_fan_in_create(&refused[i].options, &counting.allocator, &fan_in, &error),
            FLETCH_INVALID_ARGUMENT);
        assert_int_equal(error.status, FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, refused[i].message);
        assert_null(fan_in);
        assert_int_equal(counting.live_bytes, 0);
        assert_int_equal(fletch_fan_in_create(&refused[i].options, NULL, &fan_in, NULL),
                         FLETCH_INVALID_ARGUMENT);
    }
}

static void no_options_are_refused(void **state)
{
    struct fletch_fan_in *fan_in = NULL;
    struct fletch_error error;
    size_t bytes = 1;
    (void)state;
    assert_int_equal(fletch_fan_in_create(NULL, NULL, &fan_in, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "options are NULL");
    assert_int_equal(fletch_fan_in_bytes(NULL, &bytes, &error), FLETCH_INVALID_ARGUMENT);
    assert_int_equal(bytes, 1);
}

static void the_limits_themselves_are_allowed(void **state)
{
    struct fletch_fan_in_options options =
        fan_in_options(FLETCH_ELEMENT_BYTES_MIN, 1, FLETCH_FAN_IN_LANES_MAX);
    size_t bytes;
    (void)state;
    options.run_limit = UINT32_MAX;
    fletch_fan_in_destroy(fan_in_new(&options), NULL, NULL);
    options = fan_in_options(FLETCH_ELEMENT_BYTES_MAX, FLETCH_CAPACITY_MAX, 1);
    assert_ok(fletch_fan_in_bytes(&options, &bytes, NULL));
    assert_true(bytes / FLETCH_CAPACITY_MAX >= FLETCH_ELEMENT_BYTES_MAX);
    assert_int_equal(bytes % fletch_fan_in_alignment(), 0);
}

static void lanes_that_do_not_fit_into_memory_are_refused(void **state)
{
    struct fletch_fan_in_options options =
        fan_in_options(FLETCH_ELEMENT_BYTES_MAX, FLETCH_CAPACITY_MAX, FLETCH_FAN_IN_LANES_MAX);
    struct counting_allocator counting;
    struct fletch_fan_in *fan_in = NULL;
    struct fletch_error error;
    (void)state;
    counting_allocator_start(&counting, 1);
    assert_int_equal(fletch_fan_in_create(&options, &counting.allocator, &fan_in, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "no memory for a fan-in of");
    assert_null(fan_in);
}

static void the_defaults_are_those_of_the_header(void **state)
{
    struct fletch_fan_in_options options = fan_in_options(SIZE, 1, 0);
    struct fletch_fan_in *fan_in = fan_in_new(&options);
    (void)state;
    assert_int_equal(fan_in->set.lane_count, FLETCH_FAN_IN_LANES_DEFAULT);
    assert_int_equal(fan_in->run_limit, FLETCH_FAN_IN_RUN_LIMIT_DEFAULT);
    fletch_fan_in_destroy(fan_in, NULL, NULL);
}

static void memory_of_the_caller_must_suffice_and_be_aligned(void **state)
{
    struct fletch_fan_in_options options = fan_in_options(SIZE, 10, LANES);
    struct fletch_fan_in *fan_in = NULL;
    struct fletch_error error;
    size_t bytes;
    (void)state;
    assert_ok(fletch_fan_in_bytes(&options, &bytes, NULL));
    char *memory = aligned_alloc(fletch_fan_in_alignment(), bytes + 128);
    assert_non_null(memory);
    assert_int_equal(fletch_fan_in_init(NULL, bytes, &options, &fan_in, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "memory is NULL");
    assert_int_equal(fletch_fan_in_init(memory, bytes - 1, &options, &fan_in, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "are needed");
    assert_int_equal(fletch_fan_in_init(memory + 64, bytes, &options, &fan_in, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "not aligned to 128");
    assert_null(fan_in);
    assert_ok(fletch_fan_in_init(memory, bytes, &options, &fan_in, NULL));
    assert_ptr_equal(fan_in, memory);
    fletch_fan_in_deinit(fan_in, NULL, NULL);
    free(memory);
}

/* Memory that is exactly as large as asked for: the sanitizer sees every byte beyond. */
static void the_fan_in_stays_inside_its_memory(void **state)
{
    (void)state;
    for (size_t lanes = 1; lanes < 140; lanes += 13) {
        struct fletch_fan_in_options options = fan_in_options(SIZE, 1 + lanes % 9, lanes);
        struct fletch_fan_in *fan_in;
        size_t bytes;
        char element[SIZE];
        assert_ok(fletch_fan_in_bytes(&options, &bytes, NULL));
        void *memory = aligned_alloc(fletch_fan_in_alignment(), bytes);
        assert_non_null(memory);
        memset(memory, 0xdb, bytes); /* nothing may depend on zeros */
        assert_ok(fletch_fan_in_init(memory, bytes, &options, &fan_in, NULL));
        for (uint32_t k = 0; k < lanes; k++) {
            struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
            for (uint64_t i = 0; i < 30; i++) {
                payload_fill(element, SIZE, k, i);
                assert_answer(fletch_fan_in_lane_try_push(lane, element), FLETCH_DONE);
                assert_answer(fletch_fan_in_try_pop(fan_in, element), FLETCH_DONE);
                assert_true(payload_is(element, SIZE, k, i));
            }
        }
        fletch_fan_in_deinit(fan_in, NULL, NULL);
        free(memory);
    }
}

static void count_drop(void *context, void *element)
{
    payload_watch_element(context, element);
}

static void what_is_left_is_dropped_oldest_first_in_each_lane(void **state)
{
    struct fletch_fan_in_options options = fan_in_options(SIZE, 8, LANES);
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        options.form = ring_forms[form];
        struct fletch_fan_in *fan_in = fan_in_new(&options);
        struct payload_watch watch = {.element_bytes = SIZE};
        char element[SIZE];
        for (uint32_t k = 0; k < 2; k++) {
            struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
            for (uint64_t i = 0; i < 6; i++) {
                payload_fill(element, SIZE, k, i);
                assert_answer(fletch_fan_in_lane_try_push(lane, element), FLETCH_DONE);
            }
            if (k == 0)
                fletch_fan_in_lane_close(lane);
        }
        assert_answer(fletch_fan_in_try_pop(fan_in, element), FLETCH_DONE);
        watch.next[0] = 1;
        fletch_fan_in_destroy(fan_in, count_drop, &watch);
        assert_int_equal(watch.seen, 11);
        assert_int_equal(watch.torn + watch.misplaced, 0);
    }
    fletch_fan_in_destroy(NULL, count_drop, NULL);
    fletch_fan_in_deinit(NULL, count_drop, NULL);
}

static void statistics_of_an_older_caller_are_not_overrun(void **state)
{
    struct fletch_fan_in_options options = fan_in_options(SIZE, 8, LANES);
    struct fletch_fan_in *fan_in = fan_in_new(&options);
    struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
    struct fletch_ring_statistics statistics;
    char element[SIZE] = {0};
    (void)state;
    assert_answer(fletch_fan_in_lane_try_push(lane, element), FLETCH_DONE);
    memset(&statistics, 0x5a, sizeof statistics);
    statistics.struct_size = offsetof(struct fletch_ring_statistics, popped);
    fletch_fan_in_statistics(fan_in, &statistics);
    assert_int_equal(statistics.pushed, 1);
    assert_int_equal(statistics.popped, UINT64_C(0x5a5a5a5a5a5a5a5a));
    statistics.struct_size = sizeof statistics;
    fletch_fan_in_lane_statistics(lane, &statistics);
    assert_int_equal(statistics.pushed, 1);
    assert_int_equal(statistics.popped, 0);
    fletch_fan_in_destroy(fan_in, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_named_with_value_and_limit),
        cmocka_unit_test(no_options_are_refused),
        cmocka_unit_test(the_limits_themselves_are_allowed),
        cmocka_unit_test(lanes_that_do_not_fit_into_memory_are_refused),
        cmocka_unit_test(the_defaults_are_those_of_the_header),
        cmocka_unit_test(memory_of_the_caller_must_suffice_and_be_aligned),
        cmocka_unit_test(the_fan_in_stays_inside_its_memory),
        cmocka_unit_test(what_is_left_is_dropped_oldest_first_in_each_lane),
        cmocka_unit_test(statistics_of_an_older_caller_are_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
