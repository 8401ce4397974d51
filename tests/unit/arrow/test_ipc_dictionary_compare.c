#include "arrow/ipc_dictionary_compare.h"

#include <stdio.h>
#include <string.h>

#include <fletching/fletching.h>

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Dictionaries that mean the same are the same, wherever and however they lie. */

static struct test_pool pool;

/* ---- copies that lie otherwise ---- */

/* The rows of a batch as a partition writer lays them out: lists one behind the other, members and
 * bytes of views too, runs joined, other garbage under nulls. */
static struct fletch_batch *rewritten(struct fletch_batch *batch)
{
    struct fletch_partitioner_options options = {.struct_size = sizeof options,
                                                 .method = FLETCH_PARTITION_ROUND_ROBIN,
                                                 .partition_count = 1};
    struct fletch_partition_writer_options writer_options = {
        .struct_size = sizeof writer_options, .cache = pool.cache, .frame_bytes = 1 << 20};
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_partition_writer *writer = NULL;
    struct fletch_partition_frame frame;
    assert_ok(fletch_partitioner_create(batch->schema, &options, NULL, &partitioner, NULL));
    assert_ok(
        fletch_partition_writer_create(batch->schema, partitioner, &writer_options, &writer, NULL));
    assert_ok(fletch_partition_writer_push(writer, batch, NULL));
    assert_ok(fletch_partition_writer_flush(writer, NULL));
    assert_ok(fletch_partition_writer_next(writer, &frame, NULL));
    fletch_partition_writer_destroy(writer);
    assert_int_equal(frame.batch->row_count, batch->row_count);
    return frame.batch;
}

static enum fletch_ipc_dictionary_relation compare(const struct fletch_batch *old,
                                                   const struct fletch_batch *values)
{
    return fletch_ipc_dictionary_compare(old->schema, old, values);
}

static bool elements_equal(const struct fletch_batch *a, int64_t i, const struct fletch_batch *b,
                           int64_t j)
{
    return batch_elements_equal((struct batch_element){a, 0, i}, (struct batch_element){b, 0, j});
}

/* `values`, an equal copy, a part of them, and others. */
static void compare_all(struct fletch_batch *values, struct fletch_batch *others)
{
    struct fletch_batch *copy = rewritten(values);
    struct fletch_batch *fewer = batch_slice(pool.cache, copy, 0, copy->row_count - 1);
    struct fletch_batch *later = batch_slice(pool.cache, values, 1, values->row_count - 1);
    assert_int_equal(compare(values, copy), FLETCH_IPC_DICTIONARY_SAME);
    assert_int_equal(compare(copy, values), FLETCH_IPC_DICTIONARY_SAME);
    assert_int_equal(compare(fewer, values), FLETCH_IPC_DICTIONARY_GROWN);
    assert_int_equal(compare(values, fewer), FLETCH_IPC_DICTIONARY_DIFFERENT);
    bool are_equal = true;
    for (int64_t i = 0; i < later->row_count; i++)
        are_equal = are_equal && elements_equal(copy, i, later, i);
    assert_int_equal(compare(later, copy),
                     are_equal ? FLETCH_IPC_DICTIONARY_GROWN : FLETCH_IPC_DICTIONARY_DIFFERENT);
    are_equal = true;
    for (int64_t i = 0; i < values->row_count; i++)
        are_equal = are_equal && elements_equal(copy, i, others, i);
    assert_int_equal(compare(copy, others),
                     are_equal ? FLETCH_IPC_DICTIONARY_SAME : FLETCH_IPC_DICTIONARY_DIFFERENT);
    fletch_batch_release(pool.cache, copy);
    fletch_batch_release(pool.cache, fewer);
    fletch_batch_release(pool.cache, later);
}

static void copies_of_every_layout_are_the_same(void **state)
{
    (void)state;
    static const char *const types[] = {
        "x=i",
        "x=b",
        "x=u",
        "x=w:3",
        "x=+vl(item=u)",
        "x=+vL(item=+s(a=vu b=i))",
        "x=+ud:5,0(a=l b=+l(item=u))",
        "x=+us:5,0,7(a=l b=u c=+vl(item=i))",
        "x=+r(run_ends=i values=u)",
        "x=+r(run_ends=s values=+vl(item=+r(run_ends=l values=b)))",
        "x=+l(item=+r(run_ends=i values=+ud:1,2(a=u b=vz)))",
        "x=+w:3(item=+us:1(a=+vl(item=l)))",
        "x=+s(a=+vl(item=+vl(item=s)) b=+r(run_ends=i values=n))",
        "x=+m(entries=+s(key=u! value=+r(run_ends=i values=d:9,2))!)",
    };
    struct fletch_random random = fletch_random_from_seed(11);
    pool = test_pool_make();
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        struct fletch_schema *schema = schema_new(types[t]);
        for (int round = 0; round < 30; round++) {
            struct fletch_batch *values = random_batch(&random, pool.cache, schema, 40);
            struct fletch_batch *others = random_batch(&random, pool.cache, schema, 40);
            compare_all(values, others);
            fletch_batch_release(pool.cache, values);
            fletch_batch_release(pool.cache, others);
        }
        fletch_schema_release(schema);
    }
    test_pool_end(&pool);
}

/* ---- made by hand ---- */

/* Dense batches of one column of list views over int32, from starts and sizes. */
static struct fletch_batch *lists_made(struct fletch_schema *schema, const int32_t *starts,
                                       const int32_t *sizes, int64_t count, const int32_t *items)
{
    enum { ITEMS = 6 };
    size_t bytes = (size_t)count * 4;
    struct fletch_buffer *owner = buffer_filled(&pool, 2 * bytes + 4 * (size_t)ITEMS, 0);
    memcpy(owner->data, starts, bytes);
    memcpy(owner->data + bytes, sizes, bytes);
    memcpy(owner->data + 2 * bytes, items, 4 * (size_t)ITEMS);
    struct fletch_batch_node nodes[2] = {{.length = count}, {.length = ITEMS}};
    struct fletch_batch_span spans[5] = {{NULL, 0},
                                         {owner->data, bytes},
                                         {owner->data + bytes, bytes},
                                         {NULL, 0},
                                         {owner->data + 2 * bytes, 4 * (size_t)ITEMS}};
    struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(schema),
                                       .row_count = count,
                                       .nodes = nodes,
                                       .node_count = 2,
                                       .spans = spans,
                                       .span_count = 5,
                                       .owners = &owner,
                                       .owner_count = 1};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

static void lists_are_what_is_in_them(void **state)
{
    (void)state;
    static const int32_t items[] = {1, 2, 3, 1, 2, 9};
    /* [1 2] [3] [1 2] [], each where it may lie. */
    static const int32_t starts[][4] = {{0, 2, 3, 0}, {3, 2, 0, 6}, {0, 2, 0, 1}};
    static const int32_t sizes[] = {2, 1, 2, 0};
    static const int32_t other_sizes[] = {2, 1, 3, 0};
    static const int32_t other_starts[] = {0, 5, 3, 0};
    pool = test_pool_make();
    struct fletch_schema *schema = schema_new("x=+vl(item=i)");
    struct fletch_batch *batches[5];
    for (size_t i = 0; i < 3; i++)
        batches[i] = lists_made(schema, starts[i], sizes, 4, items);
    batches[3] = lists_made(schema, starts[0], other_sizes, 4, items);
    batches[4] = lists_made(schema, other_starts, sizes, 4, items);
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++)
            assert_int_equal(compare(batches[i], batches[j]),
                             i == j || (i < 3 && j < 3) ? FLETCH_IPC_DICTIONARY_SAME
                                                        : FLETCH_IPC_DICTIONARY_DIFFERENT);
    for (size_t i = 0; i < 5; i++)
        fletch_batch_release(pool.cache, batches[i]);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* Lists that all share one another, as often as a batch may have them: the answer comes soon. */
static void lists_that_share_all_are_compared_once(void **state)
{
    (void)state;
    enum { LISTS = 1 << 20, LONG = 1 << 16 };
    pool = test_pool_make();
    struct fletch_schema *schema = schema_new("x=+vl(item=n)");
    struct fletch_batch *batches[3];
    for (size_t b = 0; b < 3; b++) {
        struct fletch_buffer *owner = buffer_filled(&pool, 8 * (size_t)LISTS, 0);
        int32_t *numbers = (int32_t *)(void *)owner->data;
        for (int32_t i = 0; i < LISTS; i++) {
            numbers[i] = b == 2 ? i % 3 : i % 2;
            numbers[LISTS + i] = LONG;
        }
        struct fletch_batch_node nodes[2] = {{.length = LISTS},
                                             {.length = LONG + 2, .null_count = LONG + 2}};
        struct fletch_batch_span spans[3] = {{NULL, 0},
                                             {owner->data, 4 * (size_t)LISTS},
                                             {owner->data + 4 * LISTS, 4 * (size_t)LISTS}};
        struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(schema),
                                           .row_count = LISTS,
                                           .nodes = nodes,
                                           .node_count = 2,
                                           .spans = spans,
                                           .span_count = 3,
                                           .owners = &owner,
                                           .owner_count = 1};
        assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batches[b], NULL));
    }
    assert_int_equal(compare(batches[0], batches[1]), FLETCH_IPC_DICTIONARY_SAME);
    /* Shared, and not alike: it is not gone to the end. */
    assert_int_equal(compare(batches[0], batches[2]), FLETCH_IPC_DICTIONARY_DIFFERENT);
    for (size_t i = 0; i < 3; i++)
        fletch_batch_release(pool.cache, batches[i]);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void what_is_under_a_null_means_nothing(void **state)
{
    (void)state;
    pool = test_pool_make();
    struct fletch_schema *schema = schema_new("x=s");
    struct fletch_batch *batches[4];
    for (size_t i = 0; i < 4; i++) {
        /* Ones of the validity, and all values the same: 0 1 0 1 1 1 1 1. */
        struct fletch_buffer *owner = buffer_filled(&pool, 32, (uint8_t)(i == 3 ? 0xfe : 0xfa));
        if (i == 1)
            memset(owner->data + 16, 7, 2); /* element 0, null */
        if (i == 2)
            memset(owner->data + 18, 7, 2); /* element 1 */
        struct fletch_batch_node node = {.length = 8, .null_count = -1};
        struct fletch_batch_span spans[2] = {{owner->data, 1}, {owner->data + 16, 16}};
        struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(schema),
                                           .row_count = 8,
                                           .nodes = &node,
                                           .node_count = 1,
                                           .spans = spans,
                                           .span_count = 2,
                                           .owners = &owner,
                                           .owner_count = 1};
        assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batches[i], NULL));
    }
    assert_int_equal(compare(batches[0], batches[1]), FLETCH_IPC_DICTIONARY_SAME);
    assert_int_equal(compare(batches[0], batches[2]), FLETCH_IPC_DICTIONARY_DIFFERENT);
    assert_int_equal(compare(batches[0], batches[3]), FLETCH_IPC_DICTIONARY_DIFFERENT);
    for (size_t i = 0; i < 4; i++)
        fletch_batch_release(pool.cache, batches[i]);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* ---- in a file ---- */

/* The batch with copies of its dictionaries. */
static struct fletch_batch *with_copies(const struct fletch_batch *batch)
{
    struct fletch_batch_parts parts = fletch_batch_parts_of(batch);
    struct fletch_batch *dictionary = rewritten(batch->dictionaries[0]);
    struct fletch_batch *copy = NULL;
    parts.dictionaries = &dictionary;
    fletch_schema_acquire(parts.schema);
    for (uint32_t i = 0; i < parts.owner_count; i++)
        fletch_buffer_acquire(parts.owners[i]);
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &copy, NULL));
    return copy;
}

/* A file has no replacement, so that another dictionary of the same values must be known again. */
static void a_file_takes_a_copy_of_its_dictionary(void **state)
{
    (void)state;
    static const char *const types[] = {"x=i<+vl(item=u)>", "x=i<+ud:3,1(a=l b=u)>",
                                        "x=i<+us:3,1(a=l b=u)>",
                                        "x=i<+r(run_ends=i values=+vl(item=s))>", "x=i<vu>"};
    struct fletch_random random = fletch_random_from_seed(12);
    pool = test_pool_make();
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        const struct fletch_ipc_write_options options = {
            .struct_size = sizeof options, .cache = pool.cache, .format = FLETCH_IPC_FILE};
        struct fletch_schema *schema = schema_new(types[t]);
        struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 100);
        struct fletch_batch *copy = with_copies(batch);
        struct fletch_ipc_writer *writer = NULL;
        struct fletch_error error = {.message = ""};
        assert_ok(fletch_ipc_writer_open_memory(schema, &options, &writer, NULL));
        assert_ok(fletch_ipc_writer_write(writer, batch, NULL, NULL));
        if (fletch_ipc_writer_write(writer, copy, NULL, &error) != FLETCH_OK)
            fail_msg("%s: %s", types[t], error.message);
        assert_ok(fletch_ipc_writer_finish(writer, NULL));
        fletch_ipc_writer_close(writer);
        fletch_batch_release(pool.cache, copy);
        fletch_batch_release(pool.cache, batch);
        fletch_schema_release(schema);
    }
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_of_every_layout_are_the_same),
        cmocka_unit_test(lists_are_what_is_in_them),
        cmocka_unit_test(lists_that_share_all_are_compared_once),
        cmocka_unit_test(what_is_under_a_null_means_nothing),
        cmocka_unit_test(a_file_takes_a_copy_of_its_dictionary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
