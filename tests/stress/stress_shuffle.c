#include <fletching/fletching.h>

#include <string.h>

#include "memory/batch.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"
#include "support/team.h"

/* Several producers and readers on a budget that is too small for what they send, with readers that
 * leave and come back, barriers and watermarks in between, and, in some rounds, somebody who
 * cancels. Rows carry their producer and number: each is read once, in its producer's order, on its
 * side of each barrier; no byte stays charged. */

enum { PRODUCERS = 3, READERS = 2, PARTITIONS = 6, BATCHES = 60, ROWS_MOST = 600, ROUNDS = 12 };

static const uint64_t patience_ns = UINT64_C(60000000000);

static struct test_arguments arguments;

struct exchange {
    struct fletch_transport *transport;
    struct fletch_shuffle *shuffle;
    struct fletch_schema *schema;
    bool cancels;
    _Atomic uint32_t failures; /* what no call may answer here */
};

struct producer {
    struct exchange *exchange;
    uint32_t number;
    struct jitter jitter;
    uint64_t rows; /* written */
};

struct reader {
    struct exchange *exchange;
    uint32_t number;
    struct jitter jitter;
    bool has_ended[PARTITIONS];
    int64_t last[PARTITIONS][PRODUCERS]; /* the last row's number */
    uint64_t barrier[PARTITIONS];
    int64_t watermark[PARTITIONS];
    uint64_t rows;
    uint64_t misplaced; /* rows out of order, control out of order */
};

static void note(struct exchange *exchange, enum fletch_status status)
{
    if (status == FLETCH_OK || (exchange->cancels && status == FLETCH_CANCELLED))
        return;
    /* relaxed: looked at after the threads have ended */
    fetch_add_relaxed(&exchange->failures, 1);
}

/* ---- producers ---- */

/* The value of a row: producer, the barrier that its producer has passed, its number. */
static int64_t row_word(uint32_t producer, uint64_t barrier, uint64_t number)
{
    return (int64_t)((uint64_t)producer << 56 | barrier << 40 | number);
}

static struct fletch_batch *make_batch(struct producer *producer, struct fletch_buffer_cache *cache,
                                       uint64_t barrier)
{
    int64_t rows = 1 + (int64_t)fletch_random_below(&producer->jitter.random, ROWS_MOST);
    struct fletch_batch *batch =
        random_batch(&producer->jitter.random, cache, producer->exchange->schema, rows);
    /* Nobody else has it yet. */
    int64_t *words = (int64_t *)(uintptr_t)batch->spans[3].data + batch->nodes[1].offset;
    for (int64_t i = 0; i < rows; i++)
        words[i] = row_word(producer->number, barrier, producer->rows + (uint64_t)i + 1);
    return batch;
}

static enum fletch_status write_one(struct producer *producer, struct fletch_shuffle_writer *writer,
                                    struct fletch_buffer_cache *cache, uint64_t barrier)
{
    struct fletch_batch *batch = make_batch(producer, cache, barrier);
    enum fletch_status status = fletch_shuffle_writer_write(writer, batch, patience_ns, NULL);
    if (status == FLETCH_OK)
        producer->rows += (uint64_t)fletch_batch_row_count(batch);
    fletch_batch_release(cache, batch);
    return status;
}

static enum fletch_status write_all(struct producer *producer, struct fletch_shuffle_writer *writer,
                                    struct fletch_buffer_cache *cache)
{
    enum fletch_status status = FLETCH_OK;
    uint64_t barrier = 0;
    for (int i = 0; i < BATCHES && status == FLETCH_OK; i++) {
        status = write_one(producer, writer, cache, barrier);
        if (status == FLETCH_OK && i % 10 == 9)
            status = fletch_shuffle_writer_barrier(writer, ++barrier, patience_ns, NULL);
        if (status == FLETCH_OK && i % 7 == 6)
            status = fletch_shuffle_writer_watermark(writer, i, patience_ns, NULL);
        jitter_step(&producer->jitter);
    }
    return status == FLETCH_OK ? fletch_shuffle_writer_end(writer, patience_ns, NULL) : status;
}

static void produce(void *context)
{
    struct producer *producer = context;
    struct exchange *exchange = producer->exchange;
    struct fletch_shuffle_writer *writer = NULL;
    struct fletch_buffer_cache *cache = NULL;
    enum fletch_status status =
        fletch_buffer_cache_open(fletch_transport_pool(exchange->transport), &cache, NULL);
    if (status == FLETCH_OK)
        status =
            fletch_shuffle_writer_open(exchange->shuffle, producer->number, cache, &writer, NULL);
    if (status == FLETCH_OK)
        status = write_all(producer, writer, cache);
    note(exchange, status);
    fletch_shuffle_writer_close(writer);
    fletch_buffer_cache_close(cache);
}

/* ---- readers ---- */

static void check_batch(struct reader *reader, const struct fletch_shuffle_event *event)
{
    const struct fletch_batch *batch = event->batch;
    const int64_t *words = (const int64_t *)(const void *)batch->spans[3].data;
    int64_t *last = &reader->last[event->partition][event->producer];
    for (int64_t i = 0; i < batch->row_count; i++) {
        uint64_t word = (uint64_t)words[batch->nodes[1].offset + i];
        int64_t number = (int64_t)(word & ((UINT64_C(1) << 40) - 1));
        reader->misplaced += word >> 56 != event->producer || number <= *last ||
                             (word >> 40 & 0xffff) != reader->barrier[event->partition];
        *last = number;
    }
    reader->rows += (uint64_t)batch->row_count;
}

static void check_event(struct reader *reader, struct fletch_buffer_cache *cache,
                        const struct fletch_shuffle_event *event)
{
    uint32_t partition = event->partition;
    switch (event->kind) {
    case FLETCH_EVENT_BATCH:
        check_batch(reader, event);
        fletch_batch_release(cache, event->batch);
        break;
    case FLETCH_EVENT_BARRIER:
        reader->misplaced += event->barrier != ++reader->barrier[partition];
        break;
    case FLETCH_EVENT_WATERMARK:
        reader->misplaced += event->watermark <= reader->watermark[partition];
        reader->watermark[partition] = event->watermark;
        break;
    case FLETCH_EVENT_END:
        reader->has_ended[partition] = true;
        break;
    }
}

/* Opens what has not ended, and reads until it leaves. False: nothing is left to be read, or the
 * shuffle is cancelled. */
static bool read_some(struct reader *reader, struct fletch_buffer_cache *cache)
{
    struct exchange *exchange = reader->exchange;
    uint32_t partitions[PARTITIONS];
    struct fletch_shuffle_reader_options options = {
        .struct_size = sizeof options, .partitions = partitions, .cache = cache};
    struct fletch_shuffle_reader *opened = NULL;
    struct fletch_shuffle_event event;
    bool has_event = true;
    for (uint32_t p = reader->number; p < PARTITIONS; p += READERS)
        if (!reader->has_ended[p])
            partitions[options.partition_count++] = p;
    if (options.partition_count == 0)
        return false;
    enum fletch_status status =
        fletch_shuffle_reader_open(exchange->shuffle, &options, &opened, NULL);
    while (status == FLETCH_OK && has_event &&
           fletch_random_below(&reader->jitter.random, 50) != 0) {
        status = fletch_shuffle_reader_next(opened, patience_ns, &event, &has_event, NULL);
        if (status == FLETCH_OK && has_event)
            check_event(reader, cache, &event);
        jitter_step(&reader->jitter);
    }
    note(exchange, status);
    fletch_shuffle_reader_close(opened);
    return status == FLETCH_OK;
}

static void read_all(void *context)
{
    struct reader *reader = context;
    struct fletch_buffer_cache *cache = NULL;
    note(reader->exchange, fletch_buffer_cache_open(
                               fletch_transport_pool(reader->exchange->transport), &cache, NULL));
    while (read_some(reader, cache))
        continue;
    fletch_buffer_cache_close(cache);
}

/* ---- a round ---- */

static void cancel(void *context)
{
    struct exchange *exchange = context;
    struct jitter jitter = jitter_from_seed(arguments.seed, 2);
    if (!exchange->cancels)
        return;
    for (int i = 0; i < 3000; i++)
        jitter_step(&jitter);
    fletch_shuffle_cancel(exchange->shuffle, "at some moment");
}

static void make_exchange(struct exchange *exchange)
{
    static const uint32_t key[] = {0};
    const struct fletch_transport_options transport = {.struct_size = sizeof transport,
                                                       .budget_bytes = 1 << 20};
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = PARTITIONS,
                                                           .key_columns = key,
                                                           .key_column_count = 1};
    const struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                                   .name = "stress",
                                                   .name_bytes = 6,
                                                   .schema = exchange->schema,
                                                   .partitioner = &partitioner,
                                                   .producer_count = PRODUCERS,
                                                   .frame_bytes = 4096,
                                                   .sums = FLETCH_SUMS_ROWS,
                                                   .spill_after_ns = patience_ns};
    struct fletch_error error;
    if (fletch_transport_create(&transport, NULL, &exchange->transport, &error) != FLETCH_OK ||
        fletch_shuffle_register(exchange->transport, &options, &exchange->shuffle, &error) !=
            FLETCH_OK)
        fail_msg("%s", error.message);
}

static void end_exchange(struct exchange *exchange)
{
    struct fletch_error error;
    struct fletch_account *account = fletch_transport_account(exchange->transport);
    fletch_shuffle_close(exchange->shuffle);
    fletch_shuffle_release(exchange->shuffle);
    assert_int_equal(account_used_bytes(account), 0);
    if (fletch_transport_destroy(exchange->transport, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
}

static void run_round(uint64_t seed, bool cancels)
{
    struct exchange exchange = {.schema = schema_new("k=l! v=l!"), .cancels = cancels};
    struct producer producers[PRODUCERS];
    struct reader readers[READERS];
    struct team_role roles[PRODUCERS + READERS + 1];
    size_t role_count = 0;
    uint64_t written = 0, read = 0, misplaced = 0;
    make_exchange(&exchange);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){
            .exchange = &exchange, .number = i, .jitter = jitter_from_seed(seed + i, 8)};
        roles[role_count++] = (struct team_role){produce, &producers[i]};
    }
    for (uint32_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){
            .exchange = &exchange, .number = i, .jitter = jitter_from_seed(seed + 50 + i, 8)};
        for (int p = 0; p < PARTITIONS; p++)
            readers[i].watermark[p] = INT64_MIN;
        roles[role_count++] = (struct team_role){read_all, &readers[i]};
    }
    roles[role_count++] = (struct team_role){cancel, &exchange};
    team_run(roles, role_count);
    for (int i = 0; i < PRODUCERS; i++)
        written += producers[i].rows;
    for (int i = 0; i < READERS; i++) {
        read += readers[i].rows;
        misplaced += readers[i].misplaced;
    }
    assert_int_equal(load_relaxed(&exchange.failures), 0);
    assert_int_equal(misplaced, 0);
    if (!cancels)
        assert_int_equal(read, written);
    end_exchange(&exchange);
    fletch_schema_release(exchange.schema);
}

static void every_row_is_read_once_and_in_order(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS * arguments.scale; round++)
        run_round(arguments.seed + 1000 * round, false);
}

static void a_cancel_ends_all_waits_and_gives_all_bytes_back(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS * arguments.scale; round++)
        run_round(arguments.seed + 1000 * round, true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_read_once_and_in_order),
        cmocka_unit_test(a_cancel_ends_all_waits_and_gives_all_bytes_back),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
