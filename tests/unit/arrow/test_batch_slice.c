#include <fletching/batch_slice.h>
#include <fletching/validation.h>

#include <string.h>

#include "base/random.h"
#include "memory/batch.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* What slices hold is compared by test_random_batches, for every type. */

static void rows_that_are_not_there_are_refused(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(1);
    struct fletch_schema *schema = schema_new("a=l b=u");
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 10);
    struct fletch_batch *slice = NULL;
    const struct fletch_row_range bad[] = {{-1, 1}, {11, 0}, {10, 1}, {0, 11}, {1, SIZE_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fletch_error error = {.message = ""};
        assert_int_equal(fletch_batch_slice(pool.cache, batch, bad[i], &slice, &error),
                         FLETCH_OUT_OF_RANGE);
        assert_contains(error.message, "of a batch of 10");
        assert_null(slice);
    }
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void a_slice_outlives_its_batch(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(2);
    struct fletch_schema *schema = schema_of_every_layout();
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 100);
    struct fletch_batch *slice = batch_slice(pool.cache, batch, 13, 77);
    struct fletch_batch *inner = batch_slice(pool.cache, slice, 5, 60);
    assert_true(batch_rows_equal(batch, 18, inner, 0, 60));
    fletch_batch_release(pool.cache, batch);
    fletch_batch_release(pool.cache, slice);
    assert_int_equal(fletch_batch_row_count(inner), 60);
    assert_ok(fletch_batch_validate(inner, FLETCH_VALIDATION_FULL, NULL));
    fletch_batch_release(pool.cache, inner);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void null_counts_that_are_known_stay_known(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new("a=n");
    struct fletch_batch *batch;
    struct fletch_batch_node node = {.length = 9, .null_count = 9};
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema), .row_count = 9, .nodes = &node, .node_count = 1};
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    struct fletch_batch *slice = batch_slice(pool.cache, batch, 2, 3);
    assert_int_equal(slice->nodes[0].null_count, 3);
    fletch_batch_release(pool.cache, slice);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void a_batch_without_columns_is_cut_by_rows(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new("");
    struct fletch_random random = fletch_random_from_seed(3);
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 10);
    struct fletch_batch *slice = batch_slice(pool.cache, batch, 4, 5);
    assert_int_equal(fletch_batch_row_count(slice), 5);
    fletch_batch_release(pool.cache, slice);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_are_not_there_are_refused),
        cmocka_unit_test(a_slice_outlives_its_batch),
        cmocka_unit_test(null_counts_that_are_known_stay_known),
        cmocka_unit_test(a_batch_without_columns_is_cut_by_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
