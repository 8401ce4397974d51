#include "arrow/ipc_dictionaries.h"
#include "arrow/ipc_dictionary_join.h"

#include <string.h>

#include "arrow/column.h"
#include "arrow/schema_builder.h"
#include "base/allocator.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/schemas.h"

static struct test_pool pool;

static void open_column(struct fletch_schema_builder *builder, struct fletch_schema *values,
                        int64_t id)
{
    const struct fletch_field_options options = {
        .name = "",
        .type = {.id = FLETCH_TYPE_INT32},
        .dictionary_values = values,
        .dictionary_id = id,
    };
    assert_ok(fletch_schema_builder_open(builder, &options, NULL));
    assert_ok(fletch_schema_builder_close(builder, NULL));
}

/* A schema of a column for each id, whose dictionaries have values of type int64. */
static struct fletch_schema *schema_of_ids(const int64_t *ids, size_t count)
{
    struct fletch_schema *values = schema_new("=l");
    struct fletch_schema *schema = NULL;
    struct fletch_schema_builder builder;
    fletch_schema_builder_init(&builder, NULL);
    for (size_t i = 0; i < count; i++)
        open_column(&builder, values, ids[i]);
    assert_ok(fletch_schema_builder_finish(&builder, &schema, NULL));
    fletch_schema_release(values);
    return schema;
}

static struct fletch_ipc_dictionaries dictionaries_of(const struct fletch_schema *schema)
{
    struct fletch_ipc_dictionaries dictionaries = {
        .allocator = fletch_allocator_or_default(NULL),
        .cache = pool.cache,
    };
    assert_ok(fletch_ipc_dictionaries_init(&dictionaries, schema, NULL));
    return dictionaries;
}

static void ids_are_found_in_whatever_order_they_come(void **state)
{
    (void)state;
    static const int64_t ids[] = {7, INT64_MIN, 3, 7, INT64_MAX, -1, 3, 7, 0};
    enum { COUNT = sizeof ids / sizeof ids[0] };
    pool = test_pool_make();
    struct fletch_schema *schema = schema_of_ids(ids, COUNT);
    struct fletch_ipc_dictionaries dictionaries = dictionaries_of(schema);
    assert_int_equal(dictionaries.entry_count, 6);
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct fletch_ipc_dictionary *entry =
            fletch_ipc_dictionaries_find(&dictionaries, ids[i]);
        assert_ptr_equal(entry, &dictionaries.entries[dictionaries.entry_of[i]]);
        assert_true(entry->id == ids[i]);
        assert_true(entry->index <= i && ids[entry->index] == ids[i]);
        for (uint32_t k = 0; k < entry->index; k++)
            assert_true(ids[k] != ids[i]);
    }
    assert_null(fletch_ipc_dictionaries_find(&dictionaries, 1));
    assert_null(fletch_ipc_dictionaries_find(&dictionaries, INT64_MIN + 1));
    fletch_ipc_dictionaries_deinit(&dictionaries);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static struct fletch_batch *nulls(struct fletch_schema *values, int64_t rows)
{
    struct fletch_batch_node node = {.length = rows, .null_count = rows};
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(values),
        .row_count = rows,
        .nodes = &node,
        .node_count = 1,
    };
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

/* Nulls of the null type cost no bytes: only the number of them ends their growing. */
static void a_dictionary_grows_no_longer_than_an_array_may_be(void **state)
{
    (void)state;
    pool = test_pool_make();
    struct fletch_schema *schema = schema_new("a=i<n>");
    struct fletch_ipc_dictionaries dictionaries = dictionaries_of(schema);
    struct fletch_ipc_dictionary *entry = &dictionaries.entries[0];
    struct fletch_batch *two = nulls(entry->values, 2);
    struct fletch_error error = {.message = ""};
    fletch_ipc_dictionaries_set(&dictionaries, entry,
                                nulls(entry->values, FLETCH_ELEMENTS_MAX - 2));
    assert_ok(fletch_ipc_dictionaries_append(&dictionaries, entry, two, NULL));
    assert_true(entry->batch->row_count == FLETCH_ELEMENTS_MAX);
    assert_int_equal(fletch_ipc_dictionaries_append(&dictionaries, entry, two, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "a dictionary grows to ");
    fletch_batch_release(pool.cache, two);
    fletch_ipc_dictionaries_deinit(&dictionaries);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_found_in_whatever_order_they_come),
        cmocka_unit_test(a_dictionary_grows_no_longer_than_an_array_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
