#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "memory/batch.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Rows, columns and keys of sizes that nobody has in mind: what goes in comes out. */

static struct fletch_partition_writer *writer_new(struct test_pool *pool,
                                                  struct fletch_schema *schema, uint32_t partitions,
                                                  size_t frame_bytes)
{
    static const uint32_t key = 0;
    const struct fletch_partitioner_options options = {.struct_size = sizeof options,
                                                       .partition_count = partitions,
                                                       .key_columns = &key,
                                                       .key_column_count = 1};
    const struct fletch_partition_writer_options writer = {.struct_size = sizeof writer,
                                                           .cache = pool->cache,
                                                           .frame_bytes = frame_bytes,
                                                           .account = pool->account};
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_partition_writer *made = NULL;
    assert_ok(fletch_partitioner_create(schema, &options, NULL, &partitioner, NULL));
    assert_ok(fletch_partition_writer_create(schema, partitioner, &writer, &made, NULL));
    return made;
}

/* Takes all frames out; the sum of their rows' hashes must be that of what was pushed. */
static void expect_rows(struct test_pool *pool, struct fletch_partition_writer *writer,
                        int64_t rows, uint64_t sum)
{
    struct fletch_partition_frame frame;
    struct fletch_error error = {.message = ""};
    assert_ok(fletch_partition_writer_flush(writer, NULL));
    for (;;) {
        assert_ok(fletch_partition_writer_next(writer, &frame, NULL));
        if (frame.batch == NULL)
            break;
        if (fletch_batch_validate(frame.batch, FLETCH_VALIDATION_FULL, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        rows -= fletch_batch_row_count(frame.batch);
        sum -= fletch_hash_row_sum(frame.batch);
        fletch_batch_release(pool->cache, frame.batch);
    }
    assert_int_equal(rows, 0);
    assert_true(sum == 0);
    fletch_partition_writer_destroy(writer);
}

static void pass(const char *words, int64_t row_count, uint32_t partitions, size_t frame_bytes)
{
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new(words);
    struct fletch_random random = fletch_random_from_seed(11);
    struct fletch_partition_writer *writer = writer_new(&pool, schema, partitions, frame_bytes);
    uint64_t sum = 0;
    int64_t rows = 0;
    for (int i = 0; i < 3; i++) {
        struct fletch_batch *whole = random_batch(&random, pool.cache, schema, row_count);
        struct fletch_batch *batch =
            batch_slice(pool.cache, whole, row_count / 3, row_count - row_count / 3);
        assert_ok(fletch_partition_writer_push(writer, batch, NULL));
        rows += fletch_batch_row_count(batch);
        sum += fletch_hash_row_sum(batch);
        fletch_batch_release(pool.cache, whole);
        fletch_batch_release(pool.cache, batch);
    }
    expect_rows(&pool, writer, rows, sum);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void odd_shapes_pass(void **state)
{
    (void)state;
    pass("k=n", 1000, 7, 4096);                           /* keys that are all null */
    pass("k=l v=u", 0, 65536, 4096);                      /* no rows */
    pass("k=l v=u", 1, 1, 4096);                          /* one row, one partition */
    pass("k=+l(item=+l(item=+s()))", 300, 16, 4096);      /* lists of nothing */
    pass("k=+s() v=w:0 x=+s(y=+s(z=n))", 300, 16, 4096);  /* columns without bytes */
    pass("k=w:9000 v=w:4097", 20, 3, 4096);               /* rows larger than a frame */
    pass("k=b v=c<b> w=+l(item=s<b>)", 500, 65536, 4096); /* bools, encoded too */
    pass("k=s<u> v=+l(item=i<w:0>)", 500, 200, 4096);
}

/* In frames that are full soon, with one partition, whose rows lie side by side, and with many. */
static void what_lies_below_lists_passes(void **state)
{
    (void)state;
    static const char *const words[] = {
        "k=l v=+l(item=+s(a=l b=u c=b d=i<u>))",
        "k=l v=+L(item=+l(item=+L(item=U)))",
        "k=l v=+m(entries=+s(key=u! value=+w:3(item=+l(item=z)))!)",
        "k=l v=+w:2(item=+w:5(item=w:7)) w=+l(item=+w:0(item=u))",
        "k=l v=+l(item=n) w=+s(x=+l(item=+s()) y=+l(item=+l(item=vu)))",
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        pass(words[i], 6000, 1, 64 << 10);
        pass(words[i], 6000, 16, 4096);
        pass(words[i], 6000, 700, 16 << 10);
    }
}

/* Elements of which there are more than 32 bits can count. */
static void four_billion_elements_pass(void **state)
{
    (void)state;
    enum { ROWS = 4200, SIZE = 1 << 20 };
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new("k=l v=+w:1048576(item=n)");
    struct fletch_partition_writer *writer = writer_new(&pool, schema, 4, 4096);
    struct fletch_buffer *keys = buffer_filled(&pool, ROWS * 8, 0);
    for (int64_t i = 0; i < ROWS; i++)
        memcpy(keys->data + 8 * i, &i, sizeof i);
    const int64_t elements = (int64_t)ROWS * SIZE;
    const struct fletch_batch_node nodes[3] = {
        {.length = ROWS}, {.length = ROWS}, {.length = elements, .null_count = elements}};
    const struct fletch_batch_span spans[3] = {{NULL, 0}, {keys->data, ROWS * 8}, {NULL, 0}};
    const struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(schema),
                                             .row_count = ROWS,
                                             .nodes = nodes,
                                             .node_count = 3,
                                             .spans = spans,
                                             .span_count = 3,
                                             .owners = &keys,
                                             .owner_count = 1};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    assert_ok(fletch_partition_writer_push(writer, batch, NULL));
    fletch_batch_release(pool.cache, batch);
    assert_ok(fletch_partition_writer_flush(writer, NULL));
    int64_t rows = 0;
    struct fletch_partition_frame frame;
    for (;;) {
        assert_ok(fletch_partition_writer_next(writer, &frame, NULL));
        if (frame.batch == NULL)
            break;
        rows += frame.batch->row_count;
        assert_int_equal(frame.batch->nodes[2].length, frame.batch->row_count * SIZE);
        fletch_batch_release(pool.cache, frame.batch);
    }
    assert_int_equal(rows, ROWS);
    fletch_partition_writer_destroy(writer);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void ten_thousand_columns_pass(void **state)
{
    (void)state;
    enum { COLUMNS = 10000, WORD = 10 };
    char *words = calloc(COLUMNS, WORD);
    for (size_t i = 0, at = 0; i < COLUMNS; i++)
        at += (size_t)sprintf(words + at, "%sc=%s", i == 0 ? "" : " ", i % 3 == 0 ? "l" : "u");
    pass(words, 10, 2, 4096);
    free(words);
}

static void a_string_of_a_hundred_megabytes_passes(void **state)
{
    (void)state;
    const int32_t length = 100 << 20;
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new("s=u");
    struct fletch_partition_writer *writer = writer_new(&pool, schema, 4, 4096);
    struct fletch_buffer *owners[2] = {buffer_filled(&pool, 8, 0),
                                       buffer_filled(&pool, (size_t)length, 'x')};
    memcpy(owners[0]->data + 4, &length, sizeof length);
    struct fletch_batch_node node = {.length = 1};
    struct fletch_batch_span spans[3] = {
        {NULL, 0}, {owners[0]->data, 8}, {owners[1]->data, (size_t)length}};
    const struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(schema),
                                             .row_count = 1,
                                             .nodes = &node,
                                             .node_count = 1,
                                             .spans = spans,
                                             .span_count = 3,
                                             .owners = owners,
                                             .owner_count = 2};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    assert_ok(fletch_partition_writer_push(writer, batch, NULL));
    uint64_t sum = fletch_hash_row_sum(batch);
    fletch_batch_release(pool.cache, batch);
    expect_rows(&pool, writer, 1, sum);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_shapes_pass),
        cmocka_unit_test(what_lies_below_lists_passes),
        cmocka_unit_test(four_billion_elements_pass),
        cmocka_unit_test(ten_thousand_columns_pass),
        cmocka_unit_test(a_string_of_a_hundred_megabytes_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
