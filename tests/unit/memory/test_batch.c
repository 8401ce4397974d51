#include "memory/batch.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/pools.h"

struct fletch_schema { /* as much of it as a batch knows */
    struct fletch_shared shared;
    int ends;
};

static void end_schema(struct fletch_shared *shared)
{
    ((struct fletch_schema *)(void *)shared)->ends++;
}

static struct fletch_batch *batch_of(struct test_pool *pool, const struct fletch_batch_parts *parts)
{
    struct fletch_batch *batch;
    assert_ok(fletch_batch_create(pool->cache, pool->account, parts, &batch, NULL));
    return batch;
}

static void a_batch_has_what_it_was_made_of(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_schema schema = {.ends = 0};
    struct fletch_buffer *owners[] = {buffer_filled(&pool, 1000, 1), buffer_filled(&pool, 64, 2)};
    struct fletch_buffer *metadata = buffer_filled(&pool, 20, 3);
    const struct fletch_batch_node nodes[] = {{10, 0, 0}, {10, -1, 5}};
    const struct fletch_batch_span spans[] = {
        {NULL, 0}, {owners[0]->data, 80}, {owners[1]->data, 8}};
    struct fletch_batch *dictionary = batch_of(&pool, &(struct fletch_batch_parts){.row_count = 3});
    fletch_shared_init(&schema.shared, end_schema);
    struct fletch_batch *batch = batch_of(&pool, &(struct fletch_batch_parts){
                                                     .schema = &schema,
                                                     .row_count = 10,
                                                     .nodes = nodes,
                                                     .node_count = 2,
                                                     .spans = spans,
                                                     .span_count = 3,
                                                     .owners = owners,
                                                     .owner_count = 2,
                                                     .dictionaries = &dictionary,
                                                     .dictionary_count = 1,
                                                     .metadata = metadata,
                                                 });
    assert_int_equal(fletch_batch_row_count(batch), 10);
    assert_ptr_equal(fletch_batch_schema(batch), &schema);
    assert_ptr_equal(fletch_batch_metadata(batch), metadata);
    assert_memory_equal(batch->nodes, nodes, sizeof nodes);
    assert_memory_equal(batch->spans, spans, sizeof spans);
    assert_memory_equal(batch->owners, owners, sizeof owners);
    assert_ptr_equal(batch->dictionaries[0], dictionary);
    assert_int_equal(fletch_batch_charge_bytes(batch), account_used_bytes(pool.account));
    assert_ptr_equal(fletch_batch_acquire(batch), batch);
    fletch_batch_release(pool.cache, batch);
    assert_int_equal(schema.ends, 0);
    fletch_shared_release(&batch->shared);
    assert_int_equal(schema.ends, 1);
    assert_int_equal(account_used_bytes(pool.account), 0);
    test_pool_end(&pool);
}

static void a_batch_may_have_rows_and_nothing_else(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_batch *batch =
        batch_of(&pool, &(struct fletch_batch_parts){.row_count = INT64_MAX});
    assert_int_equal(fletch_batch_row_count(batch), INT64_MAX);
    assert_null(fletch_batch_schema(batch));
    assert_null(fletch_batch_metadata(batch));
    fletch_batch_release(NULL, batch);
    fletch_batch_release(NULL, NULL);
    test_pool_end(&pool);
}

static void a_batch_that_is_refused_takes_nothing(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_account *full = account_make(pool.account, "full", 64, 0);
    struct fletch_buffer *owner = buffer_filled(&pool, 100, 1);
    struct fletch_batch *batch = NULL;
    const struct fletch_batch_parts parts = {.owners = &owner, .owner_count = 1};
    assert_int_equal(fletch_batch_create(pool.cache, full, &parts, &batch, NULL),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_null(batch);
    fletch_buffer_release(pool.cache, owner); /* the one reference that there is */
    assert_int_equal(account_used_bytes(pool.account), 0);
    fletch_account_close(full);
    test_pool_end(&pool);
}

static void the_charges_of_a_batch_move_together(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_account *delivered = account_make(pool.account, "delivered", 2000, 0);
    struct fletch_buffer *owners[] = {buffer_filled(&pool, 512, 1), buffer_filled(&pool, 1024, 2)};
    struct fletch_buffer *metadata = buffer_filled(&pool, 64, 3);
    struct fletch_batch *dictionary = batch_of(&pool, &(struct fletch_batch_parts){.row_count = 1});
    struct fletch_batch *batch =
        batch_of(&pool, &(struct fletch_batch_parts){.owners = owners,
                                                     .owner_count = 2,
                                                     .dictionaries = &dictionary,
                                                     .dictionary_count = 1,
                                                     .metadata = metadata});
    uint64_t bytes = fletch_batch_charge_bytes(batch);
    struct fletch_error error;
    assert_int_equal(account_used_bytes(pool.account), bytes);
    assert_true(bytes > 2000);
    /* As far as there is room, and on from there. */
    assert_int_equal(fletch_batch_transfer(batch, delivered, 0, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_int_equal(account_used_bytes(pool.account), bytes);
    assert_true(account_used_bytes(delivered) > 0);
    struct fletch_account *retained = account_make(pool.account, "retained", 0, 0);
    assert_ok(fletch_batch_transfer(batch, retained, 0, NULL));
    assert_int_equal(account_used_bytes(delivered), 0);
    assert_int_equal(account_used_bytes(retained), bytes - 0);
    fletch_batch_release(pool.cache, batch);
    fletch_account_close(retained);
    fletch_account_close(delivered);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_has_what_it_was_made_of),
        cmocka_unit_test(a_batch_may_have_rows_and_nothing_else),
        cmocka_unit_test(a_batch_that_is_refused_takes_nothing),
        cmocka_unit_test(the_charges_of_a_batch_move_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
