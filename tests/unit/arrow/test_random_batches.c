#include "support/random_batches.h"

#include <fletching/arrow.h>

#include <stdio.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/schemas.h"

/* Seeded batches of seeded schemas: they are valid, survive export and import, whole and in slices,
 * and mean the same afterwards. */

static struct test_arguments arguments;

static struct fletch_import_options options_of(const struct test_pool *pool)
{
    return (struct fletch_import_options){
        .struct_size = sizeof(struct fletch_import_options),
        .cache = pool->cache,
        .account = pool->account,
        .validation = FLETCH_VALIDATION_FULL,
    };
}

static void assert_valid(const struct fletch_batch *batch)
{
    struct fletch_error error = {.message = ""};
    if (fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
}

/* Out and in again, `count` rows from `first` by the offset of the array. */
static void pass_through(struct test_pool *pool, struct fletch_batch *batch, int64_t first,
                         int64_t count)
{
    const struct fletch_import_options options = options_of(pool);
    struct fletch_error error = {.message = ""};
    struct ArrowArray array;
    struct fletch_batch *again = NULL;
    assert_ok(fletch_batch_export(batch, pool->cache, &array, &error));
    array.offset = first;
    array.length = count;
    if (fletch_batch_import(&array, batch->schema, &options, &again, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_null(array.release);
    assert_true(batch_rows_equal(batch, first, again, 0, count));
    struct fletch_batch *slice = batch_slice(pool->cache, batch, first, count);
    assert_valid(slice);
    assert_true(batches_equal(slice, again));
    fletch_batch_release(pool->cache, again);
    assert_ok(fletch_batch_export(slice, pool->cache, &array, &error));
    assert_ok(fletch_batch_import(&array, batch->schema, &options, &again, &error));
    assert_true(batches_equal(slice, again));
    fletch_batch_release(pool->cache, slice);
    fletch_batch_release(pool->cache, again);
}

static void try_schema(struct test_pool *pool, struct fletch_random *random,
                       struct fletch_schema *schema, uint32_t rows)
{
    struct fletch_batch *batch = random_batch(random, pool->cache, schema, rows);
    assert_valid(batch);
    pass_through(pool, batch, 0, rows);
    pass_through(pool, batch, rows, 0);
    const uint32_t first = fletch_random_below(random, rows + 1);
    pass_through(pool, batch, first, fletch_random_below(random, rows - first + 1));
    fletch_batch_release(pool->cache, batch);
}

static void random_schemas_pass(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(arguments.seed);
    for (uint64_t round = 0; round < 300 * arguments.scale; round++) {
        const struct random_schema_options options = {
            .columns_max = 6, .depth_max = 5, .has_all_layouts = round % 3 != 0};
        static const uint32_t rows[] = {0, 1, 7, 8, 9, 64, 65, 200};
        struct fletch_schema *schema = random_schema(&random, &options);
        try_schema(&pool, &random, schema, rows[fletch_random_below(&random, 8)]);
        fletch_schema_release(schema);
    }
    test_pool_end(&pool);
}

static void every_type_passes(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(arguments.seed);
    struct fletch_schema *schema = schema_of_every_layout();
    for (uint64_t round = 0; round < 10 * arguments.scale; round++)
        for (uint32_t rows = 0; rows < 300; rows = 1 + 3 * rows)
            try_schema(&pool, &random, schema, rows);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* Layouts of all kinds in each other, as deep as a schema may be, in dictionaries too. */
static void every_layout_passes_64_deep(void **state)
{
    (void)state;
    static const char *const layers[] = {"+l(",    "+w:1(",           "+s(",  "c<+vl(", "+ud:3(",
                                         "+us:0(", "+r(run_ends=i! ", "+vL(", "i<+L("};
    enum { LAYERS = sizeof layers / sizeof layers[0], DEPTH = 64 };
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(arguments.seed);
    for (uint32_t first = 0; first < LAYERS; first++) {
        char text[2048] = "a=";
        for (uint32_t level = 1; level < DEPTH; level++) {
            strcat(text, layers[(first + level) % LAYERS]);
            strcat(text, "x=");
        }
        strcat(text, first % 2 == 0 ? "vu" : "c<u>");
        for (uint32_t level = DEPTH - 1; level >= 1; level--)
            strcat(text, strchr(layers[(first + level) % LAYERS], '<') != NULL ? ")>" : ")");
        struct fletch_schema *schema = schema_new(text);
        assert_int_equal(schema->depth, DEPTH);
        try_schema(&pool, &random, schema, 20);
        fletch_schema_release(schema);
    }
    test_pool_end(&pool);
}

/* Nothing is asked of the system for a batch once the first ones have been here. */
static void steady_traffic_asks_for_no_memory(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(arguments.seed);
    struct fletch_schema *schema = schema_of_every_layout();
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 64);
    uint64_t regions = 0;
    for (int round = 0; round < 200; round++) {
        pass_through(&pool, batch, round % 7, 50);
        if (round == 20)
            regions = pool_statistics(pool.pool).regions_made;
    }
    assert_true(regions > 0);
    assert_int_equal(pool_statistics(pool.pool).regions_made, regions);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_schemas_pass),
        cmocka_unit_test(every_type_passes),
        cmocka_unit_test(every_layout_passes_64_deep),
        cmocka_unit_test(steady_traffic_asks_for_no_memory),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
