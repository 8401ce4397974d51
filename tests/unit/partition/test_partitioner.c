#include "partition/partitioner.h"

#include <stdlib.h>
#include <string.h>

#include <fletching/fletching.h>

#include "partition/murmur3.h"
#include "partition/row_lists.h"

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

enum { ROWS = 3000 };

static struct test_pool pool;
static struct fletch_schema *schema;
static struct fletch_batch *batch;
static uint16_t ids[ROWS];
static uint64_t hashes[ROWS];

static int set_up(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(1);
    pool = test_pool_make();
    schema = schema_new("k=l s=u p=s u=L f=g d=i<u> h=+l(item=i) "
                        "r=+r(run_ends=i values=l) n=+us:1(x=l) v=vu");
    batch = random_batch(&random, pool.cache, schema, ROWS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
    return 0;
}

static struct fletch_partitioner_options options_of(enum fletch_partition_method method,
                                                    uint32_t partitions)
{
    static const uint32_t keys[] = {0, 1};
    struct fletch_partitioner_options options = {
        .struct_size = sizeof options,
        .method = method,
        .partition_count = partitions,
    };
    if (method == FLETCH_PARTITION_HASH || method == FLETCH_PARTITION_SPARK_MURMUR3) {
        options.key_columns = keys;
        options.key_column_count = 2;
    }
    return options;
}

static struct fletch_partitioner *made(const struct fletch_partitioner_options *options)
{
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_error error;
    enum fletch_status status =
        fletch_partitioner_create(schema, options, NULL, &partitioner, &error);
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
    return partitioner;
}

static void refused(const struct fletch_partitioner_options *options, enum fletch_status expected,
                    const char *message)
{
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_error error;
    enum fletch_status status =
        fletch_partitioner_create(schema, options, NULL, &partitioner, &error);
    assert_string_equal(fletch_status_name(status), fletch_status_name(expected));
    assert_contains(error.message, message);
    assert_null(partitioner);
}

static void rows_go_where_their_hash_says(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 3, 16, 200, 1000, 65536};
    static const uint32_t keys[] = {0, 1};
    fletch_hash_batch(batch, keys, 2, hashes);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        struct fletch_partitioner_options options = options_of(FLETCH_PARTITION_HASH, counts[c]);
        struct fletch_partitioner *partitioner = made(&options);
        uint64_t nodes = 1024;
        while (nodes < UINT64_C(64) * counts[c])
            nodes *= 2;
        assert_string_equal(fletch_partitioner_name(partitioner), "fletch-hash-1");
        assert_int_equal(fletch_partitioner_partition_count(partitioner), counts[c]);
        assert_ok(fletch_partitioner_assign(partitioner, batch, (struct fletch_row_range){0, ROWS},
                                            ids, NULL));
        for (size_t i = 0; i < ROWS; i++)
            assert_int_equal(ids[i], hashes[i] % nodes * counts[c] / nodes);
        assert_ok(fletch_partitioner_assign(partitioner, batch, (struct fletch_row_range){100, 50},
                                            ids, NULL));
        for (size_t i = 0; i < 50; i++)
            assert_int_equal(ids[i], hashes[100 + i] % nodes * counts[c] / nodes);
        fletch_partitioner_destroy(partitioner);
    }
}

static void a_map_of_virtual_nodes_is_followed(void **state)
{
    (void)state;
    static const uint32_t keys[] = {0, 1};
    uint16_t map[1000];
    for (size_t i = 0; i < 1000; i++)
        map[i] = (uint16_t)(i * 7 % 10);
    fletch_hash_batch(batch, keys, 2, hashes);
    struct fletch_partitioner_options options = options_of(FLETCH_PARTITION_HASH, 10);
    options.virtual_node_count = 1000;
    for (int with_map = 0; with_map < 2; with_map++) {
        options.virtual_node_map = with_map ? map : NULL;
        struct fletch_partitioner *partitioner = made(&options);
        assert_ok(fletch_partitioner_assign(partitioner, batch, (struct fletch_row_range){0, ROWS},
                                            ids, NULL));
        for (size_t i = 0; i < ROWS; i++)
            assert_int_equal(ids[i], with_map ? map[hashes[i] % 1000] : hashes[i] % 1000 / 100);
        fletch_partitioner_destroy(partitioner);
    }
}

static void sparks_rows_go_where_spark_puts_them(void **state)
{
    (void)state;
    struct fletch_partitioner_options options = options_of(FLETCH_PARTITION_SPARK_MURMUR3, 7);
    struct fletch_partitioner *partitioner = made(&options);
    static uint32_t narrow[ROWS];
    fletch_murmur3_rows(batch, partitioner->key, (struct fletch_row_range){0, ROWS}, narrow);
    assert_ok(fletch_partitioner_assign(partitioner, batch, (struct fletch_row_range){0, ROWS}, ids,
                                        NULL));
    for (size_t i = 0; i < ROWS; i++) {
        int32_t rest = (int32_t)narrow[i] % 7;
        assert_int_equal(ids[i], rest < 0 ? rest + 7 : rest);
    }
    fletch_partitioner_destroy(partitioner);
}

static void turns_begin_where_the_seed_says(void **state)
{
    (void)state;
    struct fletch_partitioner_options options = options_of(FLETCH_PARTITION_ROUND_ROBIN, 5);
    options.seed = 13;
    struct fletch_partitioner *partitioner = made(&options);
    assert_ok(
        fletch_partitioner_assign(partitioner, batch, (struct fletch_row_range){0, 12}, ids, NULL));
    assert_ok(fletch_partitioner_assign(partitioner, batch, (struct fletch_row_range){0, 10},
                                        ids + 12, NULL));
    for (size_t i = 0; i < 22; i++)
        assert_int_equal(ids[i], (3 + i) % 5);
    fletch_partitioner_destroy(partitioner);
}

static void broadcast_has_no_partition_for_a_row(void **state)
{
    (void)state;
    struct fletch_partitioner_options options = options_of(FLETCH_PARTITION_BROADCAST, 3);
    struct fletch_partitioner *partitioner = made(&options);
    struct fletch_error error;
    assert_int_equal(
        fletch_partitioner_assign(partitioner, batch, (struct fletch_row_range){0, 1}, ids, &error),
        FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "all 3 partitions");
    fletch_partitioner_destroy(partitioner);
}

/* ---- a partition column ---- */

static struct fletch_batch *column_of(const int16_t *values, int64_t count, uint8_t validity,
                                      struct fletch_schema *of)
{
    struct fletch_buffer *owners[2] = {buffer_filled(&pool, (size_t)count * 2, 0),
                                       buffer_filled(&pool, 1, validity)};
    memcpy(owners[0]->data, values, (size_t)count * 2);
    struct fletch_batch_node node = {.length = count, .null_count = -1};
    struct fletch_batch_span spans[2] = {{owners[1]->data, 1},
                                         {owners[0]->data, (size_t)count * 2}};
    struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(of),
                                       .row_count = count,
                                       .nodes = &node,
                                       .node_count = 1,
                                       .spans = spans,
                                       .span_count = 2,
                                       .owners = owners,
                                       .owner_count = 2};
    struct fletch_batch *made_batch = NULL;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &made_batch, NULL));
    return made_batch;
}

static void check_column(const int16_t *values, uint8_t validity, const char *message)
{
    static const uint32_t key = 0;
    struct fletch_schema *of = schema_new("p=s");
    struct fletch_partitioner_options options = options_of(FLETCH_PARTITION_COLUMN, 300);
    options.key_columns = &key;
    options.key_column_count = 1;
    struct fletch_partitioner *partitioner = NULL;
    assert_ok(fletch_partitioner_create(of, &options, NULL, &partitioner, NULL));
    struct fletch_batch *column = column_of(values, 4, validity, of);
    struct fletch_error error;
    memset(ids, 0xff, sizeof ids);
    enum fletch_status status = fletch_partitioner_assign(
        partitioner, column, (struct fletch_row_range){0, 4}, ids, &error);
    if (message == NULL) {
        assert_ok(status);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(ids[i], values[i]);
    } else {
        assert_int_equal(status, FLETCH_OUT_OF_RANGE);
        assert_contains(error.message, message);
        assert_int_equal(ids[0], 0xffff);
    }
    fletch_partitioner_destroy(partitioner);
    fletch_batch_release(pool.cache, column);
    fletch_schema_release(of);
}

static void a_partition_column_is_followed_and_checked(void **state)
{
    (void)state;
    check_column((int16_t[]){0, 299, 7, 0}, 0xff, NULL);
    check_column((int16_t[]){0, 5, 300, 0}, 0xff, "'p': row 2 has 300, expected 0 to 299");
    check_column((int16_t[]){0, -1, 300, 0}, 0xff, "'p': row 1 has -1, expected 0 to 299");
    check_column((int16_t[]){0, 1, 2, 3}, 0x07, "'p': row 3 is null, expected 0 to 299");
}

/* ---- options ---- */

static void options_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const uint32_t far = 10;
    static const uint16_t map[] = {0, 1, 2};
    struct fletch_partitioner_options options = options_of(FLETCH_PARTITION_HASH, 0);
    refused(&options, FLETCH_INVALID_ARGUMENT, "partition_count is 0, expected 1 to 65536");
    options.partition_count = 65537;
    refused(&options, FLETCH_INVALID_ARGUMENT, "partition_count is 65537, expected 1 to 65536");
    options = options_of(FLETCH_PARTITION_HASH, 2);
    options.key_column_count = 0;
    refused(&options, FLETCH_INVALID_ARGUMENT, "key_column_count is 0, expected 1 to 10");
    options.key_columns = NULL;
    options.key_column_count = 1;
    refused(&options, FLETCH_INVALID_ARGUMENT, "key_columns is NULL");
    options.key_columns = &far;
    refused(&options, FLETCH_INVALID_ARGUMENT, "key column 0 is column 10, the schema has 10");
    options = options_of(FLETCH_PARTITION_HASH, 2);
    options.virtual_node_count = 1;
    refused(&options, FLETCH_INVALID_ARGUMENT, "virtual_node_count is 1, expected 2 to 16777216");
    options.virtual_node_count = 0;
    options.virtual_node_map = map;
    refused(&options, FLETCH_INVALID_ARGUMENT, "needs its virtual_node_count");
    options.virtual_node_count = 3;
    refused(&options, FLETCH_INVALID_ARGUMENT, "virtual node 2 is mapped to partition 2");
    options = options_of((enum fletch_partition_method)6, 2);
    refused(&options, FLETCH_INVALID_ARGUMENT, "method is 6, expected 0 to 5");
    options = options_of(FLETCH_PARTITION_ROUND_ROBIN, 2);
    options.key_column_count = 1;
    refused(&options, FLETCH_INVALID_ARGUMENT, "key_column_count is 1, expected 0 to 0");
    options.struct_size = 3;
    refused(&options, FLETCH_INVALID_ARGUMENT, "struct_size 3");
}

static void key_types_that_a_method_cannot_take_are_refused(void **state)
{
    (void)state;
    uint32_t key = 3;
    struct fletch_partitioner_options options = options_of(FLETCH_PARTITION_SPARK_MURMUR3, 2);
    options.key_columns = &key;
    options.key_column_count = 1;
    refused(&options, FLETCH_UNIMPLEMENTED, "field 'u': type uint64 has no hash in Spark");
    options.method = FLETCH_PARTITION_COLUMN;
    key = 4;
    refused(&options, FLETCH_UNIMPLEMENTED, "field 'f': a partition column has integers");
    key = 5;
    refused(&options, FLETCH_UNIMPLEMENTED, "field 'd': a partition column has integers");
    options.method = FLETCH_PARTITION_RANGE;
    key = 6;
    refused(&options, FLETCH_UNIMPLEMENTED, "field 'h': values of type list have no order");
    key = 7;
    refused(&options, FLETCH_UNIMPLEMENTED, "field 'r': values of type run_end_encoded have no");
    key = 8;
    refused(&options, FLETCH_UNIMPLEMENTED, "field 'n': values of type sparse_union");
    options.method = FLETCH_PARTITION_COLUMN;
    key = 7;
    refused(&options, FLETCH_UNIMPLEMENTED, "field 'r': a partition column has integers");
    options.method = FLETCH_PARTITION_SPARK_MURMUR3;
    key = 9;
    refused(&options, FLETCH_UNIMPLEMENTED, "field 'v': type utf8_view has no hash in Spark");
}

/* ---- row lists ---- */

/* Every row once, in its partition's run, in order, and the sum of its hash in the run's. */
static void check_lists(const struct fletch_row_lists *lists, const uint16_t *of,
                        const uint64_t *row_hashes, size_t rows)
{
    static uint8_t seen[FLETCH_BLOCK_ROWS_MOST];
    size_t listed = 0;
    memset(seen, 0, sizeof seen);
    for (uint32_t r = 0; r < lists->run_count; r++) {
        const struct fletch_row_run *run = &lists->runs[r];
        assert_true(run->count > 0);
        listed += run->count;
        uint64_t sum = 0;
        for (uint32_t i = run->first; i < run->first + run->count; i++) {
            assert_int_equal(of[lists->order[i]], run->partition);
            assert_true(i == run->first || lists->order[i] > lists->order[i - 1]);
            assert_int_equal(seen[lists->order[i]]++, 0);
            sum += row_hashes == NULL ? 0 : row_hashes[lists->order[i]];
        }
        assert_int_equal(run->hash_sum, sum);
    }
    assert_int_equal(listed, rows);
}

static void rows_are_sorted_by_partition_in_order(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 16, 200, 2048, 2049, 16384, 16385, 65536};
    static uint16_t of[FLETCH_BLOCK_ROWS_MOST];
    static uint64_t row_hashes[FLETCH_BLOCK_ROWS_MOST];
    struct fletch_random random = fletch_random_from_seed(9);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        struct fletch_row_lists lists;
        assert_true(fletch_row_lists_init(&lists, counts[c], NULL));
        for (size_t rows = 0; rows <= lists.block_rows; rows += rows < 9 ? 1 : 4093) {
            for (size_t i = 0; i < rows; i++) {
                of[i] = (uint16_t)fletch_random_below(&random, counts[c]);
                row_hashes[i] = fletch_random_u64(&random);
            }
            fletch_row_lists_sort(&lists, of, row_hashes, rows);
            check_lists(&lists, of, row_hashes, rows);
            fletch_row_lists_sort(&lists, of, NULL, rows);
            check_lists(&lists, of, NULL, rows);
        }
        fletch_row_lists_deinit(&lists);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_go_where_their_hash_says),
        cmocka_unit_test(a_map_of_virtual_nodes_is_followed),
        cmocka_unit_test(sparks_rows_go_where_spark_puts_them),
        cmocka_unit_test(turns_begin_where_the_seed_says),
        cmocka_unit_test(broadcast_has_no_partition_for_a_row),
        cmocka_unit_test(a_partition_column_is_followed_and_checked),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(key_types_that_a_method_cannot_take_are_refused),
        cmocka_unit_test(rows_are_sorted_by_partition_in_order),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
