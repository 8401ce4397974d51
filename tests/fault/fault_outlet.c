#include <fletching/fletching.h>

#include <string.h>

#include "shuffle/shuffle.h"
#include "support/cmocka_tests.h"
#include "support/failing_allocator.h"
#include "support/ferry.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Two processes of one shuffle, whose n-th request for memory fails, for n = 1, 2, … until none
 * does: a call that failed is called again, what stays on its way goes later. No row is lost or
 * repeated, and nothing is leaked. */

enum { TRIES_MOST = 3000 };

static struct ferry ferry;

/* Repeats a call that ran out of memory, or has to wait for the other process. */
#define INSIST(call) \
    do { \
        struct fletch_error error; \
        enum fletch_status insisted = FLETCH_RESOURCE_EXHAUSTED; \
        for (int tries = 0; tries < 4 && (insisted == FLETCH_RESOURCE_EXHAUSTED || \
                                          insisted == FLETCH_DEADLINE_EXCEEDED); \
             tries++) { \
            ferry_go(&ferry); \
            insisted = (call); \
        } \
        if (insisted != FLETCH_OK) \
            fail_msg("%s", error.message); \
    } while (0)

static void read_what_is_there(uint32_t process, struct fletch_shuffle_reader *reader)
{
    struct fletch_shuffle_event event;
    enum fletch_status status = FLETCH_OK;
    while (status == FLETCH_OK || status == FLETCH_RESOURCE_EXHAUSTED) {
        ferry_go(&ferry);
        status = event_take(&ferry.processes[process].test, reader, &event, NULL);
    }
    assert_true(status == FLETCH_DEADLINE_EXCEEDED || status == FLETCH_OUT_OF_RANGE);
}

static void write_rows(struct fletch_shuffle_writer *writer, struct fletch_batch *batch)
{
    struct test_shuffle *test = &ferry.processes[0].test;
    INSIST(fletch_shuffle_writer_write(writer, batch, 0, &error));
    test->written.rows += (uint64_t)batch->row_count;
    test->written.row_sum += fletch_hash_row_sum(batch);
}

static void use_ferry(struct fletch_batch *batch)
{
    struct fletch_shuffle_writer *writer = NULL;
    struct fletch_shuffle_reader *readers[2] = {NULL};
    struct fletch_shuffle *shuffle = ferry.processes[0].test.shuffle;
    INSIST(fletch_shuffle_writer_open(shuffle, 0, NULL, &writer, &error));
    for (uint32_t i = 0; i < 2; i++)
        INSIST(
            fletch_shuffle_reader_open(ferry.processes[i].test.shuffle, NULL, &readers[i], &error));
    write_rows(writer, batch);
    INSIST(fletch_shuffle_writer_barrier(writer, 1, 0, &error));
    write_rows(writer, batch);
    INSIST(fletch_shuffle_writer_watermark(writer, 9, 0, &error));
    for (uint32_t i = 0; i < 2; i++)
        read_what_is_there(i, readers[i]);
    INSIST(fletch_shuffle_writer_end(writer, 0, &error));
    fletch_shuffle_writer_close(writer);
    for (uint32_t i = 0; i < 2; i++) {
        read_what_is_there(i, readers[i]);
        fletch_shuffle_reader_close(readers[i]);
    }
}

/* False: the n-th request was never made. */
static bool fail_once(struct fletch_batch *batch, uint64_t n)
{
    static struct failing_allocator failing;
    struct fletch_error error;
    failing_allocator_start(&failing, n);
    const struct shuffle_words words = {.partitions = 2,
                                        .frame_bytes = 4096,
                                        .sums = FLETCH_SUMS_ROWS,
                                        .allocator = &failing.allocator};
    enum fletch_status status = ferry_try(&ferry, &words, 2, &error);
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        status = ferry_try(&ferry, &words, 2, &error);
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
    use_ferry(batch);
    uint64_t read = ferry.processes[0].test.read.rows + ferry.processes[1].test.read.rows;
    uint64_t sum = ferry.processes[0].test.read.row_sum + ferry.processes[1].test.read.row_sum;
    assert_int_equal(read, ferry.processes[0].test.written.rows);
    assert_true(sum == ferry.processes[0].test.written.row_sum);
    ferry_end(&ferry);
    assert_int_equal(failing.live_bytes, 0);
    return failing.failures > 0;
}

static void every_request_may_fail_once(void **state)
{
    struct fletch_random random = fletch_random_from_seed(4);
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new("k=l v=u");
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 500);
    uint64_t n = 1;
    (void)state;
    while (n < TRIES_MOST && fail_once(batch, n))
        n++;
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
    print_message("[ INFO     ] %llu requests\n", (unsigned long long)n - 1);
    assert_in_range(n, 100, TRIES_MOST - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_request_may_fail_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
