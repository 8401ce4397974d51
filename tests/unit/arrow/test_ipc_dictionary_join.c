#include "arrow/ipc_dictionary_join.h"

#include <fletching/validation.h>

#include <string.h>

#include "arrow/batch_compact.h"
#include "arrow/ipc_dictionary_compare.h"
#include "arrow/schema_builder.h"
#include "base/allocator.h"
#include "base/random.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Values of any type that come in pieces become what they were before they were cut. */

enum { ROUNDS = 400, ROWS = 120, PIECES_MOST = 8 };

/* A column of indices into values of the schema `values`. */
static struct fletch_schema *encoded_schema(struct fletch_schema *values)
{
    struct fletch_schema *schema = NULL;
    struct fletch_schema_builder builder;
    const struct fletch_field_options options = {
        .name = "",
        .type = {.id = FLETCH_TYPE_INT32},
        .dictionary_values = values,
        .dictionary_id = -1, /* those of dictionaries within are 0 and more */
    };
    fletch_schema_builder_init(&builder, NULL);
    assert_ok(fletch_schema_builder_open(&builder, &options, NULL));
    assert_ok(fletch_schema_builder_close(&builder, NULL));
    assert_ok(fletch_schema_builder_finish(&builder, &schema, NULL));
    return schema;
}

/* One column of any type, which is not encoded itself. */
static struct fletch_schema *random_values(struct fletch_random *random)
{
    const struct random_schema_options options = {
        .columns_max = 1, .depth_max = 4, .has_all_layouts = true};
    for (;;) {
        struct fletch_schema *schema = random_schema(random, &options);
        if (schema->column_count == 1 && schema->fields[0].dictionary == FLETCH_NO_INDEX)
            return schema;
        fletch_schema_release(schema);
    }
}

/* Rows of a batch as they would have come in a message. */
static struct fletch_batch *piece_of(struct test_pool *pool, struct fletch_batch *batch,
                                     int64_t first, int64_t count)
{
    const struct fletch_batch_place place = {.cache = pool->cache};
    struct fletch_batch *slice = batch_slice(pool->cache, batch, first, count);
    struct fletch_batch *piece = NULL;
    assert_ok(fletch_batch_compact(&place, slice, &piece));
    fletch_batch_release(pool->cache, slice);
    return piece;
}

/* The values so far, and all that they were before. */
struct history {
    struct fletch_batch *values[PIECES_MOST];
    int64_t counts[PIECES_MOST];
    int count;
};

static void remember(struct history *history, struct fletch_batch *values)
{
    history->values[history->count] = fletch_batch_acquire(values);
    history->counts[history->count++] = values->row_count;
}

static void expect_history(struct test_pool *pool, struct history *history,
                           struct fletch_batch *whole)
{
    for (int i = 0; i < history->count; i++) {
        struct fletch_batch *values = history->values[i];
        assert_true(batch_rows_equal(whole, 0, values, 0, history->counts[i]));
        struct fletch_error error = {.message = ""};
        if (fletch_batch_validate(values, FLETCH_VALIDATION_FULL, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        fletch_batch_release(pool->cache, values);
    }
}

static void join_pieces(struct test_pool *pool, struct fletch_random *random,
                        struct fletch_batch *whole)
{
    struct fletch_schema *schema = encoded_schema(whole->schema);
    struct history history = {.count = 0};
    struct fletch_ipc_dictionaries dictionaries = {.allocator = fletch_allocator_or_default(NULL),
                                                   .cache = pool->cache};
    assert_ok(fletch_ipc_dictionaries_init(&dictionaries, schema, NULL));
    struct fletch_ipc_dictionary *entry = &dictionaries.entries[dictionaries.entry_of[0]];
    int64_t end = fletch_random_below(random, (uint32_t)whole->row_count + 1);
    fletch_ipc_dictionaries_set(&dictionaries, entry, piece_of(pool, whole, 0, end));
    remember(&history, entry->batch);
    while (history.count < PIECES_MOST && end < whole->row_count) {
        int64_t left = whole->row_count - end;
        int64_t count = history.count + 1 == PIECES_MOST
                            ? left
                            : fletch_random_below(random, (uint32_t)left + 1);
        struct fletch_batch *piece = piece_of(pool, whole, end, count);
        struct fletch_error error = {.message = ""};
        if (fletch_ipc_dictionaries_append(&dictionaries, entry, piece, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        fletch_batch_release(pool->cache, piece);
        end += count;
        assert_int_equal(entry->batch->row_count, end);
        remember(&history, entry->batch);
    }
    expect_history(pool, &history, whole);
    fletch_ipc_dictionaries_deinit(&dictionaries);
    fletch_schema_release(schema);
}

static void pieces_become_the_whole(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(50);
    for (int i = 0; i < ROUNDS; i++) {
        struct fletch_schema *values = random_values(&random);
        struct fletch_batch *whole =
            random_batch(&random, pool.cache, values, fletch_random_below(&random, ROWS));
        join_pieces(&pool, &random, whole);
        fletch_batch_release(pool.cache, whole);
        fletch_schema_release(values);
    }
    test_pool_end(&pool);
}

static void every_layout_is_joined(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "v=vu",
        "v=vz",
        "v=+vl(item=vu)",
        "v=+vL(item=+vl(item=u))",
        "v=+w:3(item=b)",
        "v=+w:0(item=u)",
        "v=+us:5,0(x=u y=+w:2(item=l))",
        "v=+ud:5,0(x=vu y=+vl(item=l))",
        "v=+r(run_ends=s! values=u)",
        "v=+l(item=+r(run_ends=l! values=vu))",
        "v=+s(x=s<u> y=+ud:4(z=c<+r(run_ends=i! values=b)>))",
        "v=+m(entries=+s(key=vu! value=+vl(item=i))!)",
        "v=+r(run_ends=i! values=+r(run_ends=l! values=b))",
    };
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(51);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (int round = 0; round < 20; round++) {
            struct fletch_schema *values = schema_new(texts[i]);
            struct fletch_batch *whole = random_batch(&random, pool.cache, values, ROWS);
            join_pieces(&pool, &random, whole);
            fletch_batch_release(pool.cache, whole);
            fletch_schema_release(values);
        }
    test_pool_end(&pool);
}

static void run_ends_reach_no_further_than_their_type(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(52);
    struct fletch_schema *values = schema_new("v=+r(run_ends=s! values=c)");
    struct fletch_schema *schema = encoded_schema(values);
    struct fletch_batch *many = random_batch(&random, pool.cache, values, 30000);
    struct fletch_ipc_dictionaries dictionaries = {.allocator = fletch_allocator_or_default(NULL),
                                                   .cache = pool.cache};
    struct fletch_error error = {.message = ""};
    assert_ok(fletch_ipc_dictionaries_init(&dictionaries, schema, NULL));
    struct fletch_ipc_dictionary *entry = &dictionaries.entries[0];
    struct fletch_batch *first = piece_of(&pool, many, 0, 30000);
    struct fletch_batch *fits = piece_of(&pool, many, 0, 2767);
    struct fletch_batch *one = piece_of(&pool, many, 0, 1);
    fletch_ipc_dictionaries_set(&dictionaries, entry, first);
    assert_ok(fletch_ipc_dictionaries_append(&dictionaries, entry, fits, NULL));
    assert_int_equal(entry->batch->row_count, INT16_MAX);
    assert_int_equal(fletch_ipc_dictionaries_append(&dictionaries, entry, one, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "32767 + 1, which 2-byte run ends do not reach");
    assert_int_equal(entry->batch->row_count, INT16_MAX);
    fletch_batch_release(pool.cache, one);
    fletch_batch_release(pool.cache, fits);
    fletch_batch_release(pool.cache, many);
    fletch_ipc_dictionaries_deinit(&dictionaries);
    fletch_schema_release(schema);
    fletch_schema_release(values);
    test_pool_end(&pool);
}

/* Copies of values, and longer ones that begin with them, are told by their values. */
static void values_are_compared_wherever_they_lie(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "v=u",
        "v=vu",
        "v=b",
        "v=n",
        "v=+s(x=u y=+l(item=l))",
        "v=+w:3(item=vz)",
        "v=+m(entries=+s(key=u! value=d:38,10)!)",
        "v=+s(x=s<u>)",
        "v=+vl(item=l)",
        "v=+us:0(x=l)",
        "v=+r(run_ends=i! values=l)",
    };
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(53);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct fletch_schema *values = schema_new(texts[i]);
        struct fletch_batch *whole = random_batch(&random, pool.cache, values, ROWS);
        struct fletch_batch *copy = piece_of(&pool, whole, 0, ROWS);
        struct fletch_batch *again = piece_of(&pool, copy, 0, ROWS);
        struct fletch_batch *begin = piece_of(&pool, copy, 0, ROWS / 2);
        assert_int_equal(fletch_ipc_dictionary_compare(values, whole, whole),
                         FLETCH_IPC_DICTIONARY_SAME);
        assert_int_equal(fletch_ipc_dictionary_compare(values, copy, again),
                         FLETCH_IPC_DICTIONARY_SAME);
        assert_int_equal(fletch_ipc_dictionary_compare(values, begin, copy),
                         FLETCH_IPC_DICTIONARY_GROWN);
        assert_int_equal(fletch_ipc_dictionary_compare(values, copy, begin),
                         FLETCH_IPC_DICTIONARY_DIFFERENT);
        fletch_batch_release(pool.cache, begin);
        fletch_batch_release(pool.cache, again);
        fletch_batch_release(pool.cache, copy);
        fletch_batch_release(pool.cache, whole);
        fletch_schema_release(values);
    }
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_become_the_whole),
        cmocka_unit_test(every_layout_is_joined),
        cmocka_unit_test(run_ends_reach_no_further_than_their_type),
        cmocka_unit_test(values_are_compared_wherever_they_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
