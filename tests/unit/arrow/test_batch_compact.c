#include "arrow/batch_compact.h"

#include <fletching/validation.h>

#include <string.h>

#include "base/random.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Copies of slices have their rows, whatever types these have, and nothing else. */

static void expect_compacted(struct test_pool *pool, struct fletch_batch *slice)
{
    const struct fletch_batch_place place = {.cache = pool->cache, .account = pool->account};
    struct fletch_batch *copy = NULL;
    assert_ok(fletch_batch_compact(&place, slice, &copy));
    assert_int_equal(copy->owner_count, 1);
    assert_true(batches_equal(slice, copy));
    assert_ok(fletch_batch_validate(copy, FLETCH_VALIDATION_FULL, NULL));
    for (uint32_t i = 0; i < copy->node_count; i++)
        assert_int_equal(copy->nodes[i].offset, 0);
    fletch_batch_release(pool->cache, copy);
    assert_int_equal(account_used_bytes(pool->account), 0);
}

static void random_slices_are_copied(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(40);
    const struct random_schema_options options = {
        .columns_max = 6, .depth_max = 4, .has_all_layouts = true};
    for (int i = 0; i < 200; i++) {
        struct fletch_schema *schema =
            i % 10 == 0 ? schema_of_every_layout() : random_schema(&random, &options);
        int64_t rows = fletch_random_below(&random, 60);
        struct fletch_batch *whole = random_batch(&random, pool.cache, schema, rows);
        int64_t first = fletch_random_below(&random, (uint32_t)rows + 1);
        int64_t count = fletch_random_below(&random, (uint32_t)(rows - first) + 1);
        struct fletch_batch *slice = batch_slice(pool.cache, whole, first, count);
        fletch_batch_release(pool.cache, whole);
        expect_compacted(&pool, slice);
        fletch_batch_release(pool.cache, slice);
        fletch_schema_release(schema);
    }
    test_pool_end(&pool);
}

static void a_full_account_is_told(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(41);
    struct fletch_schema *schema = schema_new("a=l b=u");
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 500);
    for (uint64_t limit = 1000; limit <= 10000; limit += 3000) {
        struct fletch_account *account = account_make(pool.account, "copies", limit, 0);
        struct fletch_error error;
        const struct fletch_batch_place place = {
            .cache = pool.cache, .account = account, .error = &error};
        struct fletch_batch *copy = NULL;
        assert_int_equal(fletch_batch_compact(&place, batch, &copy), FLETCH_RESOURCE_EXHAUSTED);
        assert_contains(error.message, "'copies'");
        assert_int_equal(account_used_bytes(account), 0);
        fletch_account_close(account);
    }
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_slices_are_copied),
        cmocka_unit_test(a_full_account_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
