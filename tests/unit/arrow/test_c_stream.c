#include "arrow/c_stream.h"

#include <errno.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* A source of random batches that fails on demand. */
struct supply {
    struct test_pool *pool;
    struct fletch_schema *schema;
    struct fletch_batch *batches[3];
    uint32_t given;
    uint32_t fail_at; /* 0: never; else once, before this batch, counted from 1 */
    uint32_t closed;
};

static enum fletch_status supply_next(void *context, struct fletch_batch **out_batch,
                                      struct fletch_error *error)
{
    struct supply *supply = context;
    if (supply->fail_at == supply->given + 1) {
        supply->fail_at = 0;
        if (error != NULL)
            *error = (struct fletch_error){FLETCH_DATA_LOSS, "the third shelf is empty"};
        return FLETCH_DATA_LOSS;
    }
    *out_batch = supply->given == 3 ? NULL : fletch_batch_acquire(supply->batches[supply->given++]);
    return FLETCH_OK;
}

static void supply_close(void *context)
{
    struct supply *supply = context;
    supply->closed++;
}

static void supply_make(struct supply *supply, struct test_pool *pool)
{
    struct fletch_random random = fletch_random_from_seed(5);
    *supply = (struct supply){.pool = pool, .schema = schema_of_every_layout()};
    for (uint32_t i = 0; i < 3; i++)
        supply->batches[i] = random_batch(&random, pool->cache, supply->schema, i * 30);
}

static void supply_end(struct supply *supply)
{
    for (uint32_t i = 0; i < 3; i++)
        fletch_batch_release(supply->pool->cache, supply->batches[i]);
    fletch_schema_release(supply->schema);
}

static struct ArrowArrayStream exported(struct supply *supply)
{
    const struct fletch_batch_source source = {supply->schema, supply_next, supply_close, supply};
    struct ArrowArrayStream stream;
    assert_ok(fletch_stream_export(&source, supply->pool->cache, NULL, &stream, NULL));
    return stream;
}

static struct fletch_import_options options_of(const struct test_pool *pool)
{
    return (struct fletch_import_options){.struct_size = sizeof(struct fletch_import_options),
                                          .cache = pool->cache,
                                          .account = pool->account,
                                          .validation = FLETCH_VALIDATION_FULL};
}

static void batches_pass_through_a_stream(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct supply supply;
    supply_make(&supply, &pool);
    struct ArrowArrayStream stream = exported(&supply);
    const struct fletch_import_options options = options_of(&pool);
    struct fletch_batch_source source;
    struct fletch_error error = {.message = ""};
    assert_ok(fletch_stream_import(&stream, &options, &source, &error));
    assert_null(stream.release);
    assert_ok(fletch_schema_compare(supply.schema, source.schema, FLETCH_COMPARE_METADATA, &error));
    struct fletch_batch *batch = NULL;
    for (uint32_t i = 0; i < 3; i++) {
        assert_ok(source.next(source.context, &batch, &error));
        assert_non_null(batch);
        assert_true(batches_equal(supply.batches[i], batch));
        fletch_batch_release(pool.cache, batch);
    }
    for (int again = 0; again < 2; again++) {
        batch = supply.batches[0];
        assert_ok(source.next(source.context, &batch, &error));
        assert_null(batch);
    }
    assert_int_equal(supply.closed, 0);
    source.close(source.context);
    assert_int_equal(supply.closed, 1);
    supply_end(&supply);
    test_pool_end(&pool);
}

static void a_failure_travels_with_its_message_and_stays(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct supply supply;
    supply_make(&supply, &pool);
    supply.fail_at = 2;
    struct ArrowArrayStream stream = exported(&supply);
    assert_null(stream.get_last_error(&stream));
    const struct fletch_import_options options = options_of(&pool);
    struct fletch_batch_source source;
    assert_ok(fletch_stream_import(&stream, &options, &source, NULL));
    struct fletch_batch *batch = NULL;
    assert_ok(source.next(source.context, &batch, NULL));
    fletch_batch_release(pool.cache, batch);
    for (int again = 0; again < 2; again++) {
        struct fletch_error error = {.message = ""};
        batch = NULL;
        assert_int_equal(source.next(source.context, &batch, &error), FLETCH_UNKNOWN);
        assert_contains(error.message, "get_next failed with errno 5: the third shelf is empty");
        assert_null(batch);
    }
    source.close(source.context);
    supply_end(&supply);
    test_pool_end(&pool);
}

static void nothing_follows_a_failure(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct supply supply;
    struct ArrowArray array = {.release = NULL};
    supply_make(&supply, &pool);
    supply.fail_at = 2;
    struct ArrowArrayStream stream = exported(&supply);
    assert_int_equal(stream.get_next(&stream, &array), 0);
    array.release(&array);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(stream.get_next(&stream, &array), EIO);
        assert_string_equal(stream.get_last_error(&stream), "the third shelf is empty");
        assert_null(array.release);
    }
    assert_int_equal(supply.given, 1);
    /* The schema is there all the same; the failure stays. */
    struct ArrowSchema schema;
    assert_int_equal(stream.get_schema(&stream, &schema), 0);
    schema.release(&schema);
    assert_int_equal(stream.get_next(&stream, &array), EIO);
    assert_string_equal(stream.get_last_error(&stream), "the third shelf is empty");
    stream.release(&stream);
    supply_end(&supply);
    test_pool_end(&pool);
}

static int no_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    (void)stream;
    (void)out;
    return ENOMEM;
}

static int list_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    static struct fletch_schema *schema;
    (void)stream;
    schema = schema_new("a=l");
    enum fletch_status status = fletch_schema_export(schema, NULL, out, NULL);
    fletch_schema_release(schema);
    out->format = "l";
    return status == FLETCH_OK ? 0 : EIO;
}

static void a_stream_that_cannot_begin_is_left_alone(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct supply supply;
    supply_make(&supply, &pool);
    struct ArrowArrayStream stream = exported(&supply);
    const struct ArrowArrayStream whole = stream;
    const struct fletch_import_options options = options_of(&pool);
    struct fletch_batch_source source;
    struct fletch_error error = {.message = ""};
    stream.get_schema = no_schema;
    assert_int_equal(fletch_stream_import(&stream, &options, &source, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "get_schema failed with errno 12: no message");
    stream.get_schema = list_schema;
    assert_int_equal(fletch_stream_import(&stream, &options, &source, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "schema of format 'l'");
    assert_non_null(stream.release);
    stream.get_schema = NULL;
    assert_int_equal(fletch_stream_import(&stream, &options, &source, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "stream: get_schema is NULL");
    stream = whole;
    stream.get_next = NULL;
    assert_int_equal(fletch_stream_import(&stream, &options, &source, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "stream: get_next is NULL");
    stream = whole;
    stream.release(&stream);
    assert_null(stream.release);
    assert_int_equal(supply.closed, 1);
    assert_int_equal(fletch_stream_import(&stream, &options, &source, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "stream: it was released or moved");
    supply_end(&supply);
    test_pool_end(&pool);
}

static int short_array(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    static int (*whole)(struct ArrowArrayStream *, struct ArrowArray *);
    if (out == NULL) {
        whole = stream->get_next;
        return 0;
    }
    int number = whole(stream, out);
    if (number == 0 && out->release != NULL)
        out->length = out->children[0]->length + 1;
    return number;
}

static void an_array_that_is_refused_is_released(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct supply supply;
    supply_make(&supply, &pool);
    struct ArrowArrayStream stream = exported(&supply);
    assert_int_equal(short_array(&stream, NULL), 0);
    stream.get_next = short_array;
    const struct fletch_import_options options = options_of(&pool);
    struct fletch_batch_source source;
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {.message = ""};
    assert_ok(fletch_stream_import(&stream, &options, &source, NULL));
    assert_int_equal(source.next(source.context, &batch, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "length 0, expected at least its parent's 0 + 1");
    source.close(source.context);
    supply_end(&supply);
    test_pool_end(&pool);
}

static void nothing_is_exported_without_a_cache(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new("a=l");
    struct fletch_random random = fletch_random_from_seed(1);
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 3);
    const struct fletch_batch_source source = {.schema = schema};
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    struct fletch_error error;
    assert_int_equal(fletch_stream_export(&source, NULL, NULL, &stream, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "cache is NULL");
    assert_int_equal(fletch_batch_export(batch, NULL, &array, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "cache is NULL");
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_pass_through_a_stream),
        cmocka_unit_test(a_failure_travels_with_its_message_and_stays),
        cmocka_unit_test(nothing_follows_a_failure),
        cmocka_unit_test(a_stream_that_cannot_begin_is_left_alone),
        cmocka_unit_test(an_array_that_is_refused_is_released),
        cmocka_unit_test(nothing_is_exported_without_a_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
