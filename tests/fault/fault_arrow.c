#include <fletching/fletching.h>

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Import and export with the n-th allocation failing, for n = 1, 2, … until none fails, and with
 * every limit of the account: a clear status, nothing leaked, the source as it was. */

enum { TRIES_MOST = 200 };

static const char schema_text[] =
    "{who:me} a=l{k:v} b=+l(item=+s(x=u y=tsn:UTC)) c=c<u> d=S<<+s(k=l v=d:9,2,32)> "
    "e=+m(entries=+s(key=u! value=i)!) f=b g=n h=vu i=+w:2(item=vz) j=+ud:5,0(x=i y=+vl(item=l)) "
    "k=+r(run_ends=i! values=+us:1(x=u)) l=c<+l(item=s<+s(k=vu l=c<l>)>)>";

static void a_schema_is_taken_or_left(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new(schema_text);
    enum fletch_status status = FLETCH_UNKNOWN;
    uint64_t failures = 0;
    for (uint64_t n = 1; n <= TRIES_MOST && status != FLETCH_OK; n++) {
        struct counting_allocator counting;
        struct fletch_error error = {.message = ""};
        struct fletch_schema *again = NULL;
        struct ArrowSchema exported;
        assert_ok(fletch_schema_export(schema, NULL, &exported, NULL));
        const struct ArrowSchema before = exported;
        counting_allocator_start(&counting, n);
        status = fletch_schema_import(&exported, &counting.allocator, &again, &error);
        if (status != FLETCH_OK) {
            failures++;
            assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
            assert_contains(error.message, "no memory for a schema of ");
            assert_null(again);
            assert_memory_equal(&exported, &before, sizeof before);
            exported.release(&exported);
        } else {
            assert_ok(fletch_schema_compare(schema, again, FLETCH_COMPARE_METADATA, NULL));
        }
        fletch_schema_release(again);
        assert_int_equal(counting.live_bytes, 0);
        assert_int_equal(counting.mismatched, 0);
    }
    assert_int_equal(status, FLETCH_OK);
    assert_true(failures >= 8);
    fletch_schema_release(schema);
}

static void a_schema_is_given_or_not(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new(schema_text);
    struct counting_allocator counting;
    struct fletch_error error = {.message = ""};
    struct ArrowSchema exported;
    counting_allocator_start(&counting, 1);
    assert_int_equal(fletch_schema_export(schema, &counting.allocator, &exported, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "no memory to export a schema of 35 fields");
    counting_allocator_start(&counting, 2);
    assert_ok(fletch_schema_export(schema, &counting.allocator, &exported, &error));
    exported.release(&exported);
    assert_int_equal(counting.live_bytes, 0);
    fletch_schema_release(schema);
}

/* A pool that asks `counting` for every block that it has not had before, and fails as told. */
struct failing_pool {
    struct counting_allocator counting;
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
};

static void failing_pool_make(struct failing_pool *failing, uint64_t n)
{
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    counting_allocator_start(&failing->counting, 0);
    assert_ok(
        fletch_buffer_pool_create(&options, &failing->counting.allocator, &failing->pool, NULL));
    assert_ok(fletch_buffer_cache_open(failing->pool, &failing->cache, NULL));
    failing->counting.fail_at = failing->counting.requests + n;
}

static void failing_pool_end(struct failing_pool *failing)
{
    fletch_buffer_cache_close(failing->cache);
    assert_ok(fletch_buffer_pool_destroy(failing->pool, NULL));
    assert_int_equal(failing->counting.live_bytes, 0);
    assert_int_equal(failing->counting.mismatched, 0);
}

/* An exported batch, and copies of two of its buffers at odd addresses. */
struct goods {
    struct fletch_batch *batch;
    struct ArrowArray array;
    _Alignas(8) uint8_t odd[2][2048];
};

static void goods_make(struct goods *goods, struct test_pool *pool)
{
    struct fletch_schema *schema = schema_new(schema_text);
    struct fletch_random random = fletch_random_from_seed(17);
    goods->batch = random_batch(&random, pool->cache, schema, 40);
    fletch_schema_release(schema);
    assert_ok(fletch_batch_export(goods->batch, pool->cache, &goods->array, NULL));
    struct ArrowArray *places[2] = {goods->array.children[0], goods->array.children[1]};
    for (int i = 0; i < 2; i++) {
        const size_t bytes = goods->batch->spans[i == 0 ? 1 : 3].bytes;
        assert_true(bytes < sizeof goods->odd[i]);
        memcpy(goods->odd[i] + 1, places[i]->buffers[1], bytes);
        places[i]->buffers[1] = goods->odd[i] + 1;
    }
}

static void goods_end(struct goods *goods, struct test_pool *pool)
{
    if (goods->array.release != NULL)
        goods->array.release(&goods->array);
    fletch_batch_release(pool->cache, goods->batch);
}

static enum fletch_status take(struct goods *goods, const struct fletch_import_options *options,
                               struct fletch_error *error)
{
    struct fletch_batch *again = NULL;
    const struct ArrowArray before = goods->array;
    enum fletch_status status =
        fletch_batch_import(&goods->array, goods->batch->schema, options, &again, error);
    if (status != FLETCH_OK) {
        assert_null(again);
        assert_memory_equal(&goods->array, &before, sizeof before);
        assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
        assert_true(error->message[0] != '\0');
        return status;
    }
    assert_null(goods->array.release);
    assert_true(batches_equal(goods->batch, again));
    fletch_batch_release(options->cache, again);
    return status;
}

static void a_batch_is_taken_or_left(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    enum fletch_status status = FLETCH_UNKNOWN;
    uint64_t failures = 0;
    for (uint64_t n = 1; n <= TRIES_MOST && status != FLETCH_OK; n++) {
        struct goods goods;
        struct failing_pool failing;
        struct fletch_error error = {.message = ""};
        goods_make(&goods, &pool);
        failing_pool_make(&failing, n);
        const struct fletch_import_options options = {.struct_size = sizeof options,
                                                      .cache = failing.cache};
        status = take(&goods, &options, &error);
        failures += status != FLETCH_OK;
        goods_end(&goods, &pool);
        failing_pool_end(&failing);
    }
    assert_int_equal(status, FLETCH_OK);
    assert_true(failures >= 3);
    test_pool_end(&pool);
}

static void a_batch_is_charged_or_left(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    enum fletch_status status = FLETCH_UNKNOWN;
    uint64_t failures = 0;
    for (uint64_t limit = 64; limit < 100000 && status != FLETCH_OK; limit += 64) {
        struct goods goods;
        struct fletch_error error = {.message = ""};
        struct fletch_account *account = account_make(pool.account, "narrow", limit, 0);
        goods_make(&goods, &pool);
        const struct fletch_import_options options = {
            .struct_size = sizeof options, .cache = pool.cache, .account = account};
        status = take(&goods, &options, &error);
        if (status != FLETCH_OK) {
            failures++;
            assert_contains(error.message, "narrow");
        }
        assert_int_equal(account_used_bytes(account), 0);
        goods_end(&goods, &pool);
        fletch_account_close(account);
    }
    assert_int_equal(status, FLETCH_OK);
    assert_true(failures > 10);
    test_pool_end(&pool);
}

static void a_batch_is_given_or_not(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct goods goods;
    struct failing_pool failing;
    struct ArrowArray array;
    struct fletch_error error = {.message = ""};
    goods_make(&goods, &pool);
    failing_pool_make(&failing, 1);
    assert_int_equal(fletch_batch_export(goods.batch, failing.cache, &array, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_true(error.message[0] != '\0');
    failing.counting.fail_at = 0;
    assert_ok(fletch_batch_export(goods.batch, failing.cache, &array, &error));
    array.release(&array);
    goods_end(&goods, &pool);
    failing_pool_end(&failing);
    test_pool_end(&pool);
}

static enum fletch_status none_left(void *context, struct fletch_batch **out_batch,
                                    struct fletch_error *error)
{
    (void)context;
    (void)error;
    *out_batch = NULL;
    return FLETCH_OK;
}

static void count_closing(void *context)
{
    ++*(int *)context;
}

static void a_stream_is_taken_or_left(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new(schema_text);
    int closed = 0;
    const struct fletch_batch_source source = {schema, none_left, count_closing, &closed};
    struct ArrowArrayStream stream;
    struct counting_allocator counting;
    struct fletch_error error = {.message = ""};
    counting_allocator_start(&counting, 1);
    assert_int_equal(
        fletch_stream_export(&source, pool.cache, &counting.allocator, &stream, &error),
        FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "no memory for a stream");
    assert_ok(fletch_stream_export(&source, pool.cache, NULL, &stream, &error));
    enum fletch_status status = FLETCH_UNKNOWN;
    for (uint64_t n = 1; n <= TRIES_MOST && status != FLETCH_OK; n++) {
        struct fletch_batch_source again;
        counting_allocator_start(&counting, n);
        const struct fletch_import_options options = {
            .struct_size = sizeof options, .cache = pool.cache, .allocator = &counting.allocator};
        const struct ArrowArrayStream before = stream;
        status = fletch_stream_import(&stream, &options, &again, &error);
        if (status == FLETCH_OK) {
            again.close(again.context);
        } else {
            assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
            assert_memory_equal(&stream, &before, sizeof before);
            assert_int_equal(closed, 0);
        }
        assert_int_equal(counting.live_bytes, 0);
    }
    assert_int_equal(status, FLETCH_OK);
    assert_int_equal(closed, 1);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_schema_is_taken_or_left), cmocka_unit_test(a_schema_is_given_or_not),
        cmocka_unit_test(a_batch_is_taken_or_left),  cmocka_unit_test(a_batch_is_charged_or_left),
        cmocka_unit_test(a_batch_is_given_or_not),   cmocka_unit_test(a_stream_is_taken_or_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
