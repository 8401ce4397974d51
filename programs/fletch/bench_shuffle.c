/* A whole shuffle in memory: every round registers one, two threads write to it and two read from
 * it. The library compares its sums at each partition's end. */

#include <stdlib.h>

#include "bench_batches.h"
#include "bench_case.h"
#include "bench_threads.h"

enum { PRODUCERS = 2, READERS = 2 };

struct exchange {
    struct fletch_transport *transport;
    struct fletch_buffer_cache *cache;
    struct bench_batches batches;
    struct fletch_shuffle *shuffle; /* of this round */
    uint64_t round_ns;
};

/* A producer or a reader. */
struct end {
    struct exchange *exchange;
    uint32_t number;
    uint64_t rows;
    uint32_t partitions_ended;
    uint64_t begun_ns, ended_ns;
    enum fletch_status status;
    struct fletch_error error;
};

static enum fletch_status write_rows(struct end *end, struct fletch_shuffle_writer *writer)
{
    struct exchange *exchange = end->exchange;
    enum fletch_status status = FLETCH_OK;
    for (size_t i = 0; status == FLETCH_OK; i = (i + 1) % BENCH_BATCHES) {
        if (bench_clock_ns() >= end->begun_ns + exchange->round_ns)
            return fletch_shuffle_writer_end(writer, FLETCH_NO_TIMEOUT, &end->error);
        status = fletch_shuffle_writer_write(writer, exchange->batches.batches[i],
                                             FLETCH_NO_TIMEOUT, &end->error);
        end->rows += BENCH_ROWS;
    }
    return status;
}

/* Whoever fails wakes the others. */
static void finish(struct end *end)
{
    end->ended_ns = bench_clock_ns();
    if (end->status != FLETCH_OK)
        fletch_shuffle_cancel(end->exchange->shuffle, end->error.message);
}

static void produce(void *argument)
{
    struct end *end = argument;
    struct fletch_shuffle_writer *writer = NULL;
    end->begun_ns = bench_clock_ns();
    end->status =
        fletch_shuffle_writer_open(end->exchange->shuffle, end->number, NULL, &writer, &end->error);
    if (end->status == FLETCH_OK)
        end->status = write_rows(end, writer);
    fletch_shuffle_writer_close(writer);
    finish(end);
}

/* Until all of its partitions have ended. */
static enum fletch_status read_rows(struct end *end, struct fletch_shuffle_reader *reader,
                                    struct fletch_buffer_cache *cache)
{
    for (;;) {
        struct fletch_shuffle_event event;
        bool has_event;
        enum fletch_status status =
            fletch_shuffle_reader_next(reader, FLETCH_NO_TIMEOUT, &event, &has_event, &end->error);
        if (status != FLETCH_OK || !has_event)
            return status;
        if (event.kind == FLETCH_EVENT_BATCH)
            end->rows += (uint64_t)fletch_batch_row_count(event.batch);
        if (event.kind == FLETCH_EVENT_END && event.verified == FLETCH_SUMS_KEYS)
            end->partitions_ended++;
        fletch_batch_release(cache, event.batch);
    }
}

static void consume(void *argument)
{
    struct end *end = argument;
    struct fletch_shuffle *shuffle = end->exchange->shuffle;
    struct fletch_buffer_cache *cache = NULL;
    struct fletch_shuffle_reader *reader = NULL;
    uint32_t partitions[BENCH_PARTITIONS / READERS];
    for (uint32_t i = 0; i < BENCH_PARTITIONS / READERS; i++)
        partitions[i] = i * READERS + end->number;
    end->begun_ns = bench_clock_ns();
    end->status = fletch_buffer_cache_open(fletch_transport_pool(end->exchange->transport), &cache,
                                           &end->error);
    const struct fletch_shuffle_reader_options options = {.struct_size = sizeof options,
                                                          .partitions = partitions,
                                                          .partition_count =
                                                              BENCH_PARTITIONS / READERS,
                                                          .cache = cache};
    if (end->status == FLETCH_OK)
        end->status = fletch_shuffle_reader_open(shuffle, &options, &reader, &end->error);
    if (end->status == FLETCH_OK)
        end->status = read_rows(end, reader, cache);
    fletch_shuffle_reader_close(reader);
    finish(end);
    fletch_buffer_cache_close(cache);
}

static enum fletch_status enrol(struct exchange *exchange, struct fletch_error *error)
{
    static const char name[] = "bench";
    const uint32_t key = 0;
    const struct fletch_partitioner_options hash = {.struct_size = sizeof hash,
                                                    .partition_count = BENCH_PARTITIONS,
                                                    .key_columns = &key,
                                                    .key_column_count = 1};
    const struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                                   .name = name,
                                                   .name_bytes = sizeof name - 1,
                                                   .schema = exchange->batches.schema,
                                                   .partitioner = &hash,
                                                   .producer_count = PRODUCERS};
    return fletch_shuffle_register(exchange->transport, &options, &exchange->shuffle, error);
}

/* GB/s, once it is known that all rows have come. The first failure is what the others are told. */
static enum outcome weigh(const struct end *ends, double *out_figure)
{
    uint64_t written = 0, read = 0, begun_ns = UINT64_MAX, ended_ns = 0;
    uint32_t partitions = 0;
    for (uint32_t i = 0; i < PRODUCERS + READERS; i++) {
        if (ends[i].status != FLETCH_OK && ends[i].status != FLETCH_CANCELLED) {
            enum outcome outcome = outcome_tell_error("shuffle", &ends[i].error);
            return ends[i].status == FLETCH_DATA_LOSS ? OUTCOME_DIFFERS : outcome;
        }
        *(i < PRODUCERS ? &written : &read) += ends[i].rows;
        partitions += ends[i].partitions_ended;
        begun_ns = ends[i].begun_ns < begun_ns ? ends[i].begun_ns : begun_ns;
        ended_ns = ends[i].ended_ns > ended_ns ? ends[i].ended_ns : ended_ns;
    }
    if (written != read || partitions != BENCH_PARTITIONS)
        return outcome_tell(OUTCOME_DIFFERS,
                            "shuffle: of %llu rows %llu came, and %u of %d partitions are verified",
                            (unsigned long long)written, (unsigned long long)read, partitions,
                            BENCH_PARTITIONS);
    double bytes = (double)read * (BENCH_BYTES / (BENCH_BATCHES * BENCH_ROWS));
    *out_figure = bytes / (double)(ended_ns - begun_ns);
    return OUTCOME_DONE;
}

static enum outcome run_shuffle(void *state, uint64_t round_ns, double *out_figures)
{
    struct exchange *exchange = state;
    struct end ends[PRODUCERS + READERS] = {0};
    struct bench_thread threads[PRODUCERS + READERS];
    struct fletch_error error;
    exchange->round_ns = round_ns / 4 * 3;
    if (enrol(exchange, &error) != FLETCH_OK)
        return outcome_tell_error("shuffle", &error);
    for (uint32_t i = 0; i < PRODUCERS + READERS; i++) {
        bool is_producer = i < PRODUCERS;
        ends[i].exchange = exchange;
        ends[i].number = is_producer ? i : i - PRODUCERS;
        threads[i] = (struct bench_thread){is_producer ? produce : consume, &ends[i]};
    }
    enum outcome outcome = bench_threads_run(threads, PRODUCERS + READERS);
    fletch_shuffle_close(exchange->shuffle);
    fletch_shuffle_release(exchange->shuffle);
    if (outcome == OUTCOME_DONE)
        outcome = weigh(ends, &out_figures[0]);
    out_figures[1] = bench_batches_copy(&exchange->batches, round_ns / 4);
    return outcome;
}

static void close_shuffle(void *state)
{
    struct exchange *exchange = state;
    struct fletch_error error;
    if (exchange->batches.schema != NULL)
        bench_batches_close(&exchange->batches, exchange->cache);
    fletch_buffer_cache_close(exchange->cache);
    if (fletch_transport_destroy(exchange->transport, &error) != FLETCH_OK)
        (void)outcome_tell_error("shuffle", &error);
    free(exchange);
}

static enum outcome open_shuffle(void **out_state)
{
    struct fletch_error error;
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL)
        return outcome_tell(OUTCOME_SYSTEM, "shuffle: no memory");
    enum outcome outcome = OUTCOME_DONE;
    if (fletch_transport_create(NULL, NULL, &exchange->transport, &error) != FLETCH_OK ||
        fletch_buffer_cache_open(fletch_transport_pool(exchange->transport), &exchange->cache,
                                 &error) != FLETCH_OK)
        outcome = outcome_tell_error("shuffle", &error);
    if (outcome == OUTCOME_DONE)
        outcome = bench_batches_open(&exchange->batches, exchange->cache);
    if (outcome == OUTCOME_DONE)
        *out_state = exchange;
    else
        close_shuffle(exchange);
    return outcome;
}

const struct bench_case bench_shuffle = {
    .measures = {{"shuffle", "shuffle, 2 producers, 2 readers, P = 16", "GB/s", false},
                 {"shuffle_memcpy", "memcpy of the same bytes", "GB/s", true}},
    .thread_count = PRODUCERS + READERS,
    .open = open_shuffle,
    .round = run_shuffle,
    .close = close_shuffle};
