#include "arrow/ipc_dictionaries.h"

#include <string.h>

#include "arrow/column.h"
#include "base/allocator.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/schemas.h"

static struct test_pool pool;

static struct fletch_ipc_dictionaries dictionaries_of(const struct fletch_schema *schema)
{
    struct fletch_ipc_dictionaries dictionaries = {
        .allocator = fletch_allocator_or_default(NULL),
        .cache = pool.cache,
    };
    assert_ok(fletch_ipc_dictionaries_init(&dictionaries, schema, NULL));
    return dictionaries;
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
        cmocka_unit_test(a_dictionary_grows_no_longer_than_an_array_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
