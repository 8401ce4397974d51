#include <fletching/fletching.h>

#include <string.h>

#include "memory/batch.h"
#include "support/cmocka_tests.h"
#include "support/failing_allocator.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* A transport, a shuffle, its writers and readers whose n-th request for memory fails, for n = 1,
 * 2, … until none does: a call that failed is called again, and goes on. No row is lost or
 * repeated, and nothing is leaked. */

enum { PARTITIONS = 5, TRIES_MOST = 600 };

struct scene {
    struct failing_allocator failing;
    struct test_pool pool; /* of the batch that is written */
    struct fletch_schema *schema;
    struct fletch_batch *batch;
    enum fletch_retention retention;
    struct fletch_transport *transport;
    struct fletch_shuffle *shuffle;
    struct fletch_shuffle_writer *writer;
    struct fletch_shuffle_reader *reader;
    uint64_t rows;
    uint64_t sum;
    uint32_t ends;
};

/* Repeats a call that ran out of memory; the allocator fails once only. */
#define INSIST(call) \
    do { \
        enum fletch_status insisted = (call); \
        if (insisted == FLETCH_RESOURCE_EXHAUSTED) \
            insisted = (call); \
        assert_ok(insisted); \
    } while (0)

static enum fletch_status register_shuffle(struct scene *scene)
{
    static const uint32_t keys[] = {0, 1};
    static const struct fletch_range_order orders[2];
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = PARTITIONS,
                                                           .key_columns = keys,
                                                           .key_column_count = 2,
                                                           .range_orders = orders};
    const struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                                   .name = "fault",
                                                   .name_bytes = 5,
                                                   .schema = scene->schema,
                                                   .partitioner = &partitioner,
                                                   .frame_bytes = 4096,
                                                   .sums = FLETCH_SUMS_ROWS,
                                                   .linger_ns = FLETCH_OFF,
                                                   .retention = scene->retention};
    return fletch_shuffle_register(scene->transport, &options, &scene->shuffle, NULL);
}

static void count_event(struct scene *scene, const struct fletch_shuffle_event *event)
{
    if (event->kind == FLETCH_EVENT_BATCH) {
        scene->rows += event->rows;
        scene->sum += fletch_hash_row_sum(event->batch);
        fletch_batch_release(NULL, event->batch);
    }
    scene->ends += event->kind == FLETCH_EVENT_END;
}

static void read_what_is_there(struct scene *scene)
{
    struct fletch_shuffle_event event;
    bool has_event = true;
    while (has_event) {
        enum fletch_status status =
            fletch_shuffle_reader_next(scene->reader, 0, &event, &has_event, NULL);
        if (status == FLETCH_DEADLINE_EXCEEDED)
            return;
        assert_true(status == FLETCH_OK || status == FLETCH_RESOURCE_EXHAUSTED);
        if (status == FLETCH_OK && has_event)
            count_event(scene, &event);
    }
}

static void use_shuffle(struct scene *scene)
{
    const struct fletch_shuffle_name name = {"fault", 5};
    struct fletch_shuffle *found = NULL;
    INSIST(fletch_shuffle_find(scene->transport, name, 0, &found, NULL));
    assert_ptr_equal(found, scene->shuffle);
    fletch_shuffle_release(found);
    INSIST(fletch_shuffle_writer_open(scene->shuffle, 0, NULL, &scene->writer, NULL));
    INSIST(fletch_shuffle_reader_open(scene->shuffle, NULL, &scene->reader, NULL));
    INSIST(fletch_shuffle_writer_write(scene->writer, scene->batch, 0, NULL));
    read_what_is_there(scene);
    INSIST(fletch_shuffle_writer_put(scene->writer, 3, scene->batch, 0, NULL));
    INSIST(fletch_shuffle_writer_barrier(scene->writer, 1, 0, NULL));
    fletch_shuffle_reader_close(scene->reader);
    scene->reader = NULL;
    INSIST(fletch_shuffle_writer_write(scene->writer, scene->batch, 0, NULL));
    INSIST(fletch_shuffle_writer_end(scene->writer, 0, NULL));
    if (scene->retention != FLETCH_RETENTION_NONE)
        scene->rows = scene->sum = 0; /* all comes again */
    INSIST(fletch_shuffle_reader_open(scene->shuffle, NULL, &scene->reader, NULL));
    read_what_is_there(scene);
}

/* False: the n-th request was never made. */
static bool fail_once(struct scene *scene, uint64_t n)
{
    struct fletch_error error;
    failing_allocator_start(&scene->failing, n);
    scene->rows = scene->sum = scene->ends = 0;
    INSIST(fletch_transport_create(NULL, &scene->failing.allocator, &scene->transport, NULL));
    INSIST(register_shuffle(scene));
    use_shuffle(scene);
    fletch_shuffle_reader_close(scene->reader);
    fletch_shuffle_writer_close(scene->writer);
    fletch_shuffle_close(scene->shuffle);
    fletch_shuffle_release(scene->shuffle);
    assert_int_equal(account_used_bytes(fletch_transport_account(scene->transport)), 0);
    if (fletch_transport_destroy(scene->transport, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(scene->failing.live_bytes, 0);
    assert_int_equal(scene->ends, PARTITIONS);
    assert_int_equal(scene->rows, 3 * scene->batch->row_count);
    assert_true(scene->sum == 3 * fletch_hash_row_sum(scene->batch));
    return scene->failing.failures > 0;
}

static void fail_each(enum fletch_retention retention)
{
    struct fletch_random random = fletch_random_from_seed(4);
    struct scene scene = {.pool = test_pool_make(), .retention = retention};
    scene.schema = schema_new("a=l b=u");
    scene.batch = random_batch(&random, scene.pool.cache, scene.schema, 1500);
    uint64_t n = 1;
    while (n < TRIES_MOST && fail_once(&scene, n))
        n++;
    print_message("[ INFO     ] %llu requests\n", (unsigned long long)n - 1);
    assert_in_range(n, 30, TRIES_MOST - 1);
    fletch_batch_release(scene.pool.cache, scene.batch);
    fletch_schema_release(scene.schema);
    test_pool_end(&scene.pool);
}

static void every_request_may_fail_once(void **state)
{
    (void)state;
    fail_each(FLETCH_RETENTION_NONE);
}

static void every_request_may_fail_once_with_retention(void **state)
{
    (void)state;
    fail_each(FLETCH_RETENTION_UNTIL_CLOSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_may_fail_once),
        cmocka_unit_test(every_request_may_fail_once_with_retention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
