#include "partition/range.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fletching/fletching.h>

#include "partition/partitioner.h"

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Bounds are proposed from a random batch for keys of every type that has an order; then each row
 * must lie between the bounds of its partition, by comparing values one by one. */

enum { ROWS = 2000 };

static const char *const key_types[] = {
    "c",          "C",          "s",    "S",    "i",    "I",   "l",     "L",        "e",
    "f",          "g",          "b",    "u",    "U",    "z",   "Z",     "w:5",      "w:0",
    "tdD",        "tdm",        "tts",  "ttu",  "tsu:", "tDu", "tiM",   "d:9,2,32", "d:18,2,64",
    "d:38,2,128", "d:76,2,256", "i<u>", "i<l>", "vu",   "vz",  "i<vu>",
};

struct ranges {
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_batch *batch;
    struct fletch_partitioner_options options;
    struct fletch_range_order orders[2];
    uint32_t keys[2];
};

static void make_ranges(struct ranges *ranges, const char *first, const char *second,
                        uint32_t partitions)
{
    char words[64];
    struct fletch_random random = fletch_random_from_seed(partitions);
    memset(ranges, 0, sizeof *ranges);
    snprintf(words, sizeof words, "a=%s b=%s", first, second);
    ranges->pool = test_pool_make();
    ranges->schema = schema_new(words);
    ranges->batch = random_batch(&random, ranges->pool.cache, ranges->schema, ROWS);
    ranges->keys[0] = 0;
    ranges->keys[1] = 1;
    ranges->options = (struct fletch_partitioner_options){
        .struct_size = sizeof ranges->options,
        .method = FLETCH_PARTITION_RANGE,
        .partition_count = partitions,
        .key_columns = ranges->keys,
        .key_column_count = 1,
        .range_orders = ranges->orders,
    };
}

static void end_ranges(struct ranges *ranges)
{
    fletch_batch_release(ranges->pool.cache, ranges->options.range_bounds);
    fletch_batch_release(ranges->pool.cache, ranges->batch);
    fletch_schema_release(ranges->schema);
    test_pool_end(&ranges->pool);
}

static void propose(struct ranges *ranges)
{
    struct fletch_range_sample sample = {
        .batches = &ranges->batch, .batch_count = 1, .cache = ranges->pool.cache, .seed = 3};
    struct fletch_error error;
    enum fletch_status status = fletch_range_propose(ranges->schema, &ranges->options, &sample,
                                                     &ranges->options.range_bounds, &error);
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
    status = fletch_batch_validate(ranges->options.range_bounds, FLETCH_VALIDATION_FULL, &error);
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
}

/* Each row's partition has the bounds before it not above the row, and the one behind it above. */
static void check_rows(const struct ranges *ranges)
{
    static uint16_t ids[ROWS];
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_error error;
    enum fletch_status status =
        fletch_partitioner_create(ranges->schema, &ranges->options, NULL, &partitioner, &error);
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_ok(fletch_partitioner_assign(partitioner, ranges->batch,
                                        (struct fletch_row_range){0, ROWS}, ids, NULL));
    const struct fletch_range *range = &partitioner->range;
    for (int64_t i = 0; i < ROWS; i++) {
        struct fletch_range_place row = {ranges->batch, range->key.rows, i};
        struct fletch_range_place bound = {range->bounds, range->bound_rows, ids[i]};
        if (ids[i] < range->bound_count)
            assert_true(fletch_range_compare(&row, &bound, ranges->orders, range->key.count) < 0);
        bound.index--;
        if (ids[i] > 0)
            assert_true(fletch_range_compare(&row, &bound, ranges->orders, range->key.count) >= 0);
    }
    fletch_partitioner_destroy(partitioner);
}

static void rows_lie_between_their_bounds(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof key_types / sizeof key_types[0]; t++)
        for (unsigned order = 0; order < 4; order++) {
            struct ranges ranges;
            make_ranges(&ranges, key_types[t], "i", 1 + (uint32_t)t % 3 * 7);
            ranges.orders[0] = (struct fletch_range_order){(order & 1) != 0, (order & 2) != 0};
            propose(&ranges);
            check_rows(&ranges);
            end_ranges(&ranges);
        }
}

static void rows_lie_between_bounds_of_several_columns(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof key_types / sizeof key_types[0]; t++) {
        struct ranges ranges;
        make_ranges(&ranges, "b", key_types[t], 9);
        ranges.options.key_column_count = 2;
        ranges.orders[0] = (struct fletch_range_order){.is_descending = true};
        ranges.orders[1] = (struct fletch_range_order){.nulls_first = t % 2 == 0};
        propose(&ranges);
        check_rows(&ranges);
        end_ranges(&ranges);
    }
}

/* ---- the order of single values ---- */

static struct fletch_batch *doubles(struct ranges *ranges, const double *values, int64_t count)
{
    struct fletch_buffer *owner = buffer_filled(&ranges->pool, (size_t)count * 8, 0);
    memcpy(owner->data, values, (size_t)count * 8);
    struct fletch_batch_node node = {.length = count};
    struct fletch_batch_span spans[2] = {{NULL, 0}, {owner->data, (size_t)count * 8}};
    struct fletch_batch_parts parts = {.schema = schema_new("a=g"),
                                       .row_count = count,
                                       .nodes = &node,
                                       .node_count = 1,
                                       .spans = spans,
                                       .span_count = 2,
                                       .owners = &owner,
                                       .owner_count = 1};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(ranges->pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

static void floats_have_one_order(void **state)
{
    (void)state;
    const double infinity = 1e308 * 10;
    const double values[] = {-infinity, -1e300, -1.0,  -1e-310,  0.0,
                             1e-310,    1.0,    1e300, infinity, infinity - infinity};
    enum { COUNT = sizeof values / sizeof values[0] };
    struct ranges ranges;
    make_ranges(&ranges, "g", "i", 2);
    struct fletch_batch *batch = doubles(&ranges, values, COUNT);
    struct fletch_batch *zeros = doubles(&ranges, (double[]){0.0, -0.0}, 2);
    const uint32_t row = 0;
    for (int64_t i = 0; i < COUNT; i++)
        for (int64_t j = 0; j < COUNT; j++) {
            struct fletch_range_place a = {batch, &row, i};
            struct fletch_range_place b = {batch, &row, j};
            int order = fletch_range_compare(&a, &b, ranges.orders, 1);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    struct fletch_range_place plus = {zeros, &row, 0};
    struct fletch_range_place minus = {zeros, &row, 1};
    assert_int_equal(fletch_range_compare(&plus, &minus, ranges.orders, 1), 0);
    fletch_batch_release(ranges.pool.cache, batch);
    fletch_batch_release(ranges.pool.cache, zeros);
    end_ranges(&ranges);
}

/* ---- bounds ---- */

static void proposed_bounds_share_rows_evenly(void **state)
{
    (void)state;
    static uint16_t ids[ROWS];
    struct ranges ranges;
    make_ranges(&ranges, "l!", "i", 8);
    propose(&ranges);
    struct fletch_partitioner *partitioner = NULL;
    assert_ok(fletch_partitioner_create(ranges.schema, &ranges.options, NULL, &partitioner, NULL));
    assert_ok(fletch_partitioner_assign(partitioner, ranges.batch,
                                        (struct fletch_row_range){0, ROWS}, ids, NULL));
    size_t counts[8] = {0};
    for (size_t i = 0; i < ROWS; i++)
        counts[ids[i]]++;
    /* All rows were drawn; equal values may go to one side. */
    for (size_t p = 0; p < 8; p++)
        assert_true(counts[p] >= ROWS / 16 && counts[p] <= ROWS / 4);
    fletch_partitioner_destroy(partitioner);
    end_ranges(&ranges);
}

static void refuse(struct ranges *ranges, const char *message)
{
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_error error;
    assert_int_equal(
        fletch_partitioner_create(ranges->schema, &ranges->options, NULL, &partitioner, &error),
        FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, message);
}

static void bounds_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct ranges ranges;
    make_ranges(&ranges, "g", "i", 3);
    refuse(&ranges, "3 partitions by range need 2 bounds, there are 0");
    ranges.options.range_bounds = doubles(&ranges, (double[]){2, 1}, 2);
    refuse(&ranges, "bound 1 is below bound 0");
    ranges.keys[0] = 1;
    refuse(&ranges, "column 0 is double, the key column 'b' is int32");
    ranges.options.key_column_count = 2;
    ranges.keys[1] = 0;
    refuse(&ranges, "range bounds have 1 columns, the key has 2");
    end_ranges(&ranges);
}

static void an_empty_sample_proposes_nothing(void **state)
{
    (void)state;
    struct ranges ranges;
    make_ranges(&ranges, "l", "i", 3);
    struct fletch_batch *none = batch_slice(ranges.pool.cache, ranges.batch, 0, 0);
    struct fletch_range_sample sample = {
        .batches = &none, .batch_count = 1, .cache = ranges.pool.cache};
    struct fletch_batch *bounds = NULL;
    struct fletch_error error;
    assert_int_equal(fletch_range_propose(ranges.schema, &ranges.options, &sample, &bounds, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "without a row");
    assert_null(bounds);
    fletch_batch_release(ranges.pool.cache, none);
    end_ranges(&ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_lie_between_their_bounds),
        cmocka_unit_test(rows_lie_between_bounds_of_several_columns),
        cmocka_unit_test(floats_have_one_order),
        cmocka_unit_test(proposed_bounds_share_rows_evenly),
        cmocka_unit_test(bounds_that_cannot_be_are_refused),
        cmocka_unit_test(an_empty_sample_proposes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
