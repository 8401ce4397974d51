#include <fletching/fletching.h>

#include <string.h>

#include "memory/batch.h"

#include "support/cmocka_tests.h"
#include "support/failing_allocator.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* A partition writer whose n-th request for memory fails, for n = 1, 2, … until none does: making
 * it, and pushing, flushing and taking frames, where a call that failed is called again. No row is
 * lost or repeated, and nothing is leaked. */

/* One of the batches has dictionaries where the writer has plain values, and plain ones where
 * it has dictionaries. */
enum { PARTITIONS = 20, BATCHES = 4, RECODED = 2, TRIES_MOST = 400 };

struct scene {
    struct failing_allocator failing; /* of the writer and of its pool */
    struct test_pool pool;            /* of the batches that are pushed */
    struct fletch_schema *schema;
    struct fletch_batch *batches[BATCHES];
    struct fletch_buffer_pool *frames;
    struct fletch_buffer_cache *cache;
    struct fletch_partition_writer *writer;
    int64_t rows;
    uint64_t sum;
};

/* Repeats a call that ran out of memory; the allocator fails once only. */
#define INSIST(call) \
    do { \
        enum fletch_status insisted = (call); \
        if (insisted == FLETCH_RESOURCE_EXHAUSTED) \
            insisted = (call); \
        assert_ok(insisted); \
    } while (0)

static enum fletch_status make_writer(struct scene *scene)
{
    static const uint32_t keys[] = {0, 1};
    struct fletch_partitioner_options options = {.struct_size = sizeof options,
                                                 .partition_count = PARTITIONS,
                                                 .key_columns = keys,
                                                 .key_column_count = 2,
                                                 .virtual_node_count = 100};
    struct fletch_partition_writer_options writer = {
        .struct_size = sizeof writer, .cache = scene->cache, .frame_bytes = 8192};
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_error error;
    enum fletch_status status = fletch_partitioner_create(
        scene->schema, &options, &scene->failing.allocator, &partitioner, &error);
    if (status != FLETCH_OK) {
        assert_contains(error.message, "no memory");
        return status;
    }
    status =
        fletch_partition_writer_create(scene->schema, partitioner, &writer, &scene->writer, &error);
    if (status != FLETCH_OK) {
        assert_contains(error.message, "no memory");
        fletch_partitioner_destroy(partitioner);
    }
    return status;
}

static void take_frames(struct scene *scene)
{
    struct fletch_partition_frame frame;
    for (;;) {
        INSIST(fletch_partition_writer_next(scene->writer, &frame, NULL));
        if (frame.batch == NULL)
            return;
        assert_ok(fletch_batch_validate(frame.batch, FLETCH_VALIDATION_FULL, NULL));
        scene->rows += frame.batch->row_count;
        scene->sum += fletch_hash_row_sum(frame.batch);
        fletch_batch_release(scene->cache, frame.batch);
    }
}

static void push(struct scene *scene, struct fletch_batch *batch)
{
    struct fletch_error error;
    enum fletch_status status = fletch_partition_writer_push(scene->writer, batch, &error);
    if (status == FLETCH_RESOURCE_EXHAUSTED) {
        /* However early it was: the batch waits. */
        assert_int_equal(fletch_partition_writer_push(scene->writer, batch, NULL),
                         FLETCH_FAILED_PRECONDITION);
        status = fletch_partition_writer_resume(scene->writer, NULL);
    }
    assert_ok(status);
}

static void use_writer(struct scene *scene)
{
    for (size_t i = 0; i < BATCHES; i++) {
        push(scene, scene->batches[i]);
        if (i == 1)
            take_frames(scene);
    }
    INSIST(fletch_partition_writer_flush(scene->writer, NULL));
    take_frames(scene);
}

/* The schema of the writer and one whose encodings differ. */
struct schemas {
    const char *of_writer;
    const char *other;
};

static const struct schemas plain = {
    "a=l b=u c=b d=i<u> e=+l(item=U) f=+s(x=g y=z)",
    "a=l b=s<u> c=b d=u e=+l(item=i<U>) f=+s(x=g y=z)",
};
/* Of whatever is written anew, and a dictionary of lists with a dictionary in it. */
static const struct schemas nested = {
    "a=l b=vu c=+vl(item=vz) d=i<+l(item=s<u>)> e=+ud:5,0(x=i y=vu) f=+r(run_ends=i values=u) "
    "g=+w:2(item=i<u>) h=+us:1(x=vu)",
    "a=l b=vu c=+vl(item=vz) d=+l(item=s<u>) e=+ud:5,0(x=i y=vu) f=+r(run_ends=i values=s<u>) "
    "g=+w:2(item=u) h=+us:1(x=vu)",
};

/* Dictionaries of views and of values with children, with encodings below, that become plain; and
 * plain values that become such dictionaries. */
static const struct schemas recoded = {
    "a=l b=u c=vu d=+l(item=u) e=+s(x=+s(y=s<u>)) f=i<+s(x=s<u>)>",
    "a=l b=u c=i<vu> d=s<+l(item=s<u>)> e=+s(x=l<+s(y=u)>) f=+s(x=u)",
};

static void open_scene(struct scene *scene, const struct schemas *schemas, uint64_t rows_of_a_batch)
{
    struct fletch_random random = fletch_random_from_seed(4);
    scene->pool = test_pool_make();
    scene->schema = schema_new(schemas->of_writer);
    struct fletch_schema *other = schema_new(schemas->other);
    for (size_t i = 0; i < BATCHES; i++)
        scene->batches[i] =
            random_batch(&random, scene->pool.cache, i == RECODED ? other : scene->schema,
                         (int64_t)rows_of_a_batch);
    fletch_schema_release(other);
}

static void close_scene(struct scene *scene)
{
    for (size_t i = 0; i < BATCHES; i++)
        fletch_batch_release(scene->pool.cache, scene->batches[i]);
    fletch_schema_release(scene->schema);
    test_pool_end(&scene->pool);
}

/* False: the n-th request was never made. */
static bool fail_once(struct scene *scene, uint64_t n)
{
    struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    failing_allocator_start(&scene->failing, 0);
    assert_ok(fletch_buffer_pool_create(&options, &scene->failing.allocator, &scene->frames, NULL));
    assert_ok(fletch_buffer_cache_open(scene->frames, &scene->cache, NULL));
    scene->failing.requests = 0;
    scene->failing.fail_at = n;
    scene->rows = 0;
    scene->sum = 0;
    if (make_writer(scene) != FLETCH_OK)
        assert_ok(make_writer(scene));
    use_writer(scene);
    fletch_partition_writer_destroy(scene->writer);
    fletch_buffer_cache_close(scene->cache);
    assert_ok(fletch_buffer_pool_destroy(scene->frames, NULL));
    assert_int_equal(scene->failing.live_bytes, 0);
    uint64_t sum = 0;
    int64_t rows = 0;
    for (size_t i = 0; i < BATCHES; i++) {
        rows += scene->batches[i]->row_count;
        sum += fletch_hash_row_sum(scene->batches[i]);
    }
    assert_int_equal(scene->rows, rows);
    assert_true(scene->sum == sum);
    return scene->failing.failures > 0;
}

static void fail_each_request(const struct schemas *schemas, uint64_t rows)
{
    struct scene scene = {.rows = 0};
    open_scene(&scene, schemas, rows);
    uint64_t n = 1;
    while (n < TRIES_MOST && fail_once(&scene, n))
        n++;
    print_message("[ INFO     ] %llu requests\n", (unsigned long long)n - 1);
    assert_true(n > 10 && n < TRIES_MOST);
    close_scene(&scene);
}

static void every_request_may_fail_once(void **state)
{
    (void)state;
    fail_each_request(&plain, 1500);
}

static void every_request_for_nested_columns_may_fail_once(void **state)
{
    (void)state;
    fail_each_request(&nested, 300);
}

static void every_request_for_dictionaries_of_nested_values_may_fail_once(void **state)
{
    (void)state;
    fail_each_request(&recoded, 300);
}

/* Once buffers come back, nothing is asked of the system any more. */
static void the_steady_state_asks_for_nothing(void **state)
{
    (void)state;
    struct scene scene = {.rows = 0};
    struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    open_scene(&scene, &plain, 3000);
    failing_allocator_start(&scene.failing, 0);
    assert_ok(fletch_buffer_pool_create(&options, &scene.failing.allocator, &scene.frames, NULL));
    assert_ok(fletch_buffer_cache_open(scene.frames, &scene.cache, NULL));
    assert_ok(make_writer(&scene));
    for (int warm = 0; warm < 5; warm++)
        use_writer(&scene);
    uint64_t before = scene.failing.requests;
    for (int round = 0; round < 20; round++)
        use_writer(&scene);
    assert_int_equal(scene.failing.requests, before);
    fletch_partition_writer_destroy(scene.writer);
    fletch_buffer_cache_close(scene.cache);
    assert_ok(fletch_buffer_pool_destroy(scene.frames, NULL));
    assert_int_equal(scene.failing.live_bytes, 0);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_may_fail_once),
        cmocka_unit_test(every_request_for_nested_columns_may_fail_once),
        cmocka_unit_test(every_request_for_dictionaries_of_nested_values_may_fail_once),
        cmocka_unit_test(the_steady_state_asks_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
