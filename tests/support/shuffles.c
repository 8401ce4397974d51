#include "support/shuffles.h"

#include <string.h>

#include "shuffle/media.h"
#include "support/cmocka_tests.h"
#include "support/random_batches.h"
#include "support/schemas.h"

#define BUDGET_DEFAULT (UINT64_C(64) << 20)
#define WAIT_NS UINT64_C(20000000000)

static const uint32_t first_column[] = {0};

static enum fletch_status make_transport(const struct shuffle_words *words,
                                         struct fletch_transport **out_transport,
                                         struct fletch_error *error)
{
    const struct fletch_transport_options options = {
        .struct_size = sizeof options,
        .budget_bytes = words->transport_bytes != 0 ? words->transport_bytes
                        : words->budget_bytes != 0  ? words->budget_bytes
                                                    : BUDGET_DEFAULT,
        .delivered_bytes = words->delivered_bytes,
    };
    return fletch_transport_create(&options, words->allocator, out_transport, error);
}

static struct fletch_partitioner_options partitioner_of(const struct shuffle_words *words)
{
    bool has_key = words->method != FLETCH_PARTITION_ROUND_ROBIN &&
                   words->method != FLETCH_PARTITION_BROADCAST &&
                   (words->schema == NULL || words->schema[0] != '\0');
    return (struct fletch_partitioner_options){
        .struct_size = sizeof(struct fletch_partitioner_options),
        .method = words->method,
        .partition_count = words->partitions == 0 ? 4 : words->partitions,
        .key_columns = has_key ? first_column : NULL,
        .key_column_count = has_key ? 1 : 0,
    };
}

static enum fletch_status register_shuffle(const struct shuffle_words *words,
                                           const struct fletch_partitioner_options *partitioner,
                                           struct test_shuffle *test, struct fletch_error *error)
{
    const struct fletch_shuffle_options options = {
        .struct_size = sizeof options,
        .name = "test",
        .name_bytes = 4,
        .schema = test->schema,
        .partitioner = partitioner,
        .producer_count = words->producers,
        .producer_limit = words->producer_limit,
        .budget_bytes = words->budget_bytes,
        .frame_bytes = words->frame_bytes,
        .linger_ns = words->linger_ns == 0 ? FLETCH_OFF : words->linger_ns,
        .sums = words->sums,
        .retention = words->retention,
        .spill_directory = words->spill_directory,
        .spill_codec = words->spill_codec,
        .spill_after_ns = words->spill_after_ns,
        .barrier_limit = words->barrier_limit,
        .strict_schema = words->strict_schema,
        .hold_open = words->hold_open,
        .id = words->id,
        .placement = words->placement,
    };
    return fletch_shuffle_register(test->transport, &options, &test->shuffle, error);
}

enum fletch_status test_shuffle_try(const struct shuffle_words *words, struct test_shuffle *test,
                                    struct fletch_error *error)
{
    struct fletch_partitioner_options partitioner = partitioner_of(words);
    *test = (struct test_shuffle){.random = fletch_random_from_seed(7),
                                  .partitions = partitioner.partition_count};
    test->is_placed_freely = words->method == FLETCH_PARTITION_ROUND_ROBIN;
    test->schema = schema_new(words->schema == NULL ? "k=l v=u" : words->schema);
    enum fletch_status status = make_transport(words, &test->transport, error);
    if (status == FLETCH_OK && words->media != NULL)
        assert_true(fletch_transport_install_media(test->transport, words->media));
    if (status == FLETCH_OK)
        status = register_shuffle(words, &partitioner, test, error);
    if (status == FLETCH_OK)
        status =
            fletch_buffer_cache_open(fletch_transport_pool(test->transport), &test->cache, error);
    if (status == FLETCH_OK && words->method != FLETCH_PARTITION_BROADCAST)
        status = fletch_partitioner_create(test->schema, &partitioner, words->allocator,
                                           &test->partitioner, error);
    if (status != FLETCH_OK)
        test_shuffle_end(test);
    return status;
}

struct test_shuffle test_shuffle_make(const struct shuffle_words *words)
{
    struct test_shuffle test;
    struct fletch_error error;
    if (test_shuffle_try(words, &test, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return test;
}

void test_shuffle_end(struct test_shuffle *test)
{
    struct fletch_error error;
    if (test->shuffle != NULL)
        fletch_shuffle_close(test->shuffle);
    fletch_shuffle_release(test->shuffle);
    fletch_partitioner_destroy(test->partitioner);
    fletch_buffer_cache_close(test->cache);
    if (test->transport != NULL) {
        assert_int_equal(account_used_bytes(fletch_transport_account(test->transport)), 0);
        if (fletch_transport_destroy(test->transport, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
    }
    fletch_schema_release(test->schema);
}

struct fletch_shuffle_writer *writer_open(struct test_shuffle *test, uint32_t producer)
{
    struct fletch_shuffle_writer *writer = NULL;
    struct fletch_error error;
    if (fletch_shuffle_writer_open(test->shuffle, producer, NULL, &writer, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return writer;
}

static struct fletch_shuffle_reader *
open_reader(struct test_shuffle *test, const struct fletch_shuffle_reader_options *options)
{
    struct fletch_shuffle_reader *reader = NULL;
    struct fletch_error error;
    if (fletch_shuffle_reader_open(test->shuffle, options, &reader, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return reader;
}

struct fletch_shuffle_reader *reader_open(struct test_shuffle *test)
{
    return open_reader(test, NULL);
}

struct fletch_shuffle_reader *reader_open_one(struct test_shuffle *test, uint32_t partition)
{
    const struct fletch_shuffle_reader_options options = {
        .struct_size = sizeof options, .partitions = &partition, .partition_count = 1};
    return open_reader(test, &options);
}

struct fletch_batch *batch_make(struct test_shuffle *test, int64_t rows)
{
    return random_batch(&test->random, test->cache, test->schema, rows);
}

enum fletch_status batch_write(struct test_shuffle *test, struct fletch_shuffle_writer *writer,
                               struct fletch_batch *batch, struct fletch_error *error)
{
    enum fletch_status status = fletch_shuffle_writer_write(writer, batch, 0, error);
    uint64_t copies = test->partitioner == NULL ? test->partitions : 1;
    if (status == FLETCH_OK) {
        test->written.rows += (uint64_t)batch->row_count * copies;
        test->written.row_sum += fletch_hash_row_sum(batch) * copies;
    }
    return status;
}

void rows_write(struct test_shuffle *test, struct fletch_shuffle_writer *writer, int64_t rows)
{
    struct fletch_error error;
    struct fletch_batch *batch = batch_make(test, rows);
    if (batch_write(test, writer, batch, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    fletch_batch_release(test->cache, batch);
}

/* Whether each row belongs to the partition that it came from. */
static void check_places(struct test_shuffle *test, const struct fletch_shuffle_event *event)
{
    enum { BLOCK = 4096 };
    uint16_t partitions[BLOCK];
    int64_t rows = event->batch->row_count;
    if (test->partitioner == NULL)
        return;
    for (int64_t first = 0; first < rows; first += BLOCK) {
        struct fletch_row_range range = {first, rows - first < BLOCK ? (size_t)(rows - first)
                                                                     : (size_t)BLOCK};
        assert_ok(
            fletch_partitioner_assign(test->partitioner, event->batch, range, partitions, NULL));
        for (size_t i = 0; i < range.count; i++)
            assert_int_equal(partitions[i], event->partition);
    }
}

static void count_read(struct test_shuffle *test, const struct fletch_shuffle_event *event)
{
    test->read.rows += (uint64_t)event->batch->row_count;
    test->read.row_sum += fletch_hash_row_sum(event->batch);
    if (!test->is_placed_freely)
        check_places(test, event);
    fletch_batch_release(test->cache, event->batch);
}

enum fletch_status event_take(struct test_shuffle *test, struct fletch_shuffle_reader *reader,
                              struct fletch_shuffle_event *out_event, struct fletch_error *error)
{
    bool has_event = false;
    enum fletch_status status = fletch_shuffle_reader_next(reader, 0, out_event, &has_event, error);
    if (status == FLETCH_OK && !has_event)
        return FLETCH_OUT_OF_RANGE;
    if (status == FLETCH_OK && out_event->kind == FLETCH_EVENT_BATCH)
        count_read(test, out_event);
    return status;
}

uint64_t events_take(struct test_shuffle *test, struct fletch_shuffle_reader *reader)
{
    struct fletch_shuffle_event event;
    uint64_t batches = 0;
    while (event_take(test, reader, &event, NULL) == FLETCH_OK)
        batches += event.kind == FLETCH_EVENT_BATCH;
    return batches;
}

void reader_drain(struct test_shuffle *test, struct fletch_shuffle_reader *reader)
{
    struct fletch_shuffle_event event;
    struct fletch_error error;
    bool has_event = true;
    while (has_event) {
        if (fletch_shuffle_reader_next(reader, WAIT_NS, &event, &has_event, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        if (has_event && event.kind == FLETCH_EVENT_BATCH)
            count_read(test, &event);
    }
}

void piles_must_agree(const struct test_shuffle *test)
{
    assert_int_equal(test->read.rows, test->written.rows);
    assert_int_equal(test->read.row_sum, test->written.row_sum);
}

struct fletch_exchange_statistics shuffle_statistics(struct test_shuffle *test)
{
    struct fletch_exchange_statistics statistics = {.struct_size = sizeof statistics};
    fletch_shuffle_statistics(test->shuffle, &statistics);
    return statistics;
}
