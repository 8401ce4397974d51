#include "arrow/array_export.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"
#include "support/team.h"

/* A batch of these columns over memory that outlives it. */
static struct fletch_batch *batch_over(struct test_pool *pool, struct fletch_schema *schema,
                                       const struct fletch_batch_node *nodes,
                                       const struct fletch_batch_span *spans)
{
    struct fletch_batch *batch;
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = nodes[0].length,
        .nodes = nodes,
        .spans = spans,
        .node_count = schema->field_count,
        .span_count = schema->span_count,
        .dictionaries = (struct fletch_batch *[4]){NULL},
        .dictionary_count = schema->dictionary_count,
    };
    assert_ok(fletch_batch_create(pool->cache, pool->account, &parts, &batch, NULL));
    return batch;
}

static void arrays_show_what_the_batch_has(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    static const uint8_t validity[] = {0xFF, 0x0F};
    static const int64_t longs[16];
    static const int32_t offsets[] = {0, 1, 1, 2};
    struct fletch_schema *schema = schema_new("st=+s(x=l y=n) li=+l(item=l)");
    const struct fletch_batch_node nodes[] = {
        {3, 1, 2}, {3, 0, 5}, {3, 3, 2}, {3, -1, 0}, {2, 0, 7}};
    const struct fletch_batch_span spans[] = {{validity, 1},
                                              {NULL, 0},
                                              {(const uint8_t *)longs, 64},
                                              {validity, 1},
                                              {(const uint8_t *)offsets, 16},
                                              {NULL, 0},
                                              {(const uint8_t *)longs, 72}};
    struct fletch_batch *batch = batch_over(&pool, schema, nodes, spans);
    struct ArrowArray array;
    assert_ok(fletch_batch_export(batch, pool.cache, &array, NULL));
    fletch_batch_release(pool.cache, batch); /* the array keeps it */
    assert_int_equal(array.length, 3);
    assert_int_equal(array.null_count, 0);
    assert_int_equal(array.n_buffers, 1);
    assert_int_equal(array.n_children, 2);
    assert_null(array.buffers[0]);
    const struct ArrowArray *st = array.children[0];
    assert_int_equal(st->offset, 2);
    assert_int_equal(st->length, 3);
    assert_int_equal(st->null_count, 1);
    assert_ptr_equal(st->buffers[0], validity);
    /* The struct's offset counts for its children: 2 of their elements come before the first. */
    const struct ArrowArray *x = st->children[0];
    assert_int_equal(x->offset, 3);
    assert_int_equal(x->length, 5);
    assert_int_equal(x->null_count, 0);
    assert_ptr_equal(x->buffers[1], longs);
    assert_int_equal(st->children[1]->n_buffers, 0);
    assert_int_equal(st->children[1]->null_count, 5);
    const struct ArrowArray *item = array.children[1]->children[0];
    assert_int_equal(item->offset, 7);
    assert_int_equal(item->length, 2);
    array.release(&array);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void absent_buffers_are_not_null_pointers(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new("u=u d=c<+l(item=u)>");
    const struct fletch_batch_node nodes[2] = {{0, 0, 0}, {0, 0, 0}};
    const struct fletch_batch_span spans[5] = {{NULL, 0}};
    struct fletch_batch *batch = batch_over(&pool, schema, nodes, spans);
    struct ArrowArray array;
    assert_ok(fletch_batch_export(batch, pool.cache, &array, NULL));
    const int32_t *offsets = array.children[0]->buffers[1];
    assert_non_null(offsets);
    assert_int_equal(offsets[0], 0);
    assert_non_null(array.children[0]->buffers[2]);
    /* A dictionary that has not come yet is an empty one. */
    const struct ArrowArray *values = array.children[1]->dictionary;
    assert_non_null(values);
    assert_int_equal(values->length, 0);
    assert_int_equal(values->n_children, 1);
    assert_non_null(values->children[0]->buffers[1]);
    array.release(&array);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void release_it(void *context)
{
    struct ArrowArray *array = context;
    array->release(array);
}

static void children_are_released_by_other_threads(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(3);
    struct fletch_schema *schema = schema_new("a=l b=+s(x=u y=+l(item=i)) c=c<u>");
    for (int round = 0; round < 50; round++) {
        struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 20);
        struct ArrowArray parts[4];
        assert_ok(fletch_batch_export(batch, pool.cache, &parts[0], NULL));
        fletch_batch_release(pool.cache, batch);
        parts[1] = *parts[0].children[1]->children[1];
        parts[0].children[1]->children[1]->release = NULL;
        parts[2] = *parts[0].children[2]->dictionary;
        parts[0].children[2]->dictionary->release = NULL;
        parts[3] = *parts[0].children[0];
        parts[0].children[0]->release = NULL;
        struct team_role roles[4];
        for (int i = 0; i < 4; i++)
            roles[i] = (struct team_role){release_it, &parts[i]};
        team_run(roles, 4);
        for (int i = 0; i < 4; i++)
            assert_null(parts[i].release);
    }
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_show_what_the_batch_has),
        cmocka_unit_test(absent_buffers_are_not_null_pointers),
        cmocka_unit_test(children_are_released_by_other_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
