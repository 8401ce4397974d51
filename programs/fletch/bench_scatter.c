/* Hash and scatter in one thread: batches into a partition writer, frames out of it. */

#include <stdlib.h>

#include "bench_batches.h"
#include "bench_case.h"
#include "bench_threads.h"

struct scatter {
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    struct fletch_partition_writer *writer;
    struct bench_batches batches;
    uint64_t row_sum; /* of all batches */
};

/* What came out. */
struct frames {
    uint64_t rows;
    uint64_t row_sum;
    bool is_summed;
};

static void close_scatter(void *state)
{
    struct scatter *scatter = state;
    struct fletch_error error;
    fletch_partition_writer_destroy(scatter->writer);
    if (scatter->batches.schema != NULL)
        bench_batches_close(&scatter->batches, scatter->cache);
    fletch_buffer_cache_close(scatter->cache);
    if (fletch_buffer_pool_destroy(scatter->pool, &error) != FLETCH_OK)
        (void)outcome_tell_error("hash and scatter", &error);
    free(scatter);
}

static enum fletch_status make_writer(struct scatter *scatter, struct fletch_error *error)
{
    const uint32_t key = 0;
    const struct fletch_partitioner_options hash = {.struct_size = sizeof hash,
                                                    .partition_count = BENCH_PARTITIONS,
                                                    .key_columns = &key,
                                                    .key_column_count = 1};
    const struct fletch_partition_writer_options options = {.struct_size = sizeof options,
                                                            .cache = scatter->cache};
    struct fletch_schema *schema = scatter->batches.schema;
    struct fletch_partitioner *partitioner;
    enum fletch_status status = fletch_partitioner_create(schema, &hash, NULL, &partitioner, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_partition_writer_create(schema, partitioner, &options, &scatter->writer, error);
    if (status != FLETCH_OK)
        fletch_partitioner_destroy(partitioner);
    return status;
}

static enum outcome open_parts(struct scatter *scatter)
{
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    struct fletch_error error;
    if (fletch_buffer_pool_create(&options, NULL, &scatter->pool, &error) != FLETCH_OK ||
        fletch_buffer_cache_open(scatter->pool, &scatter->cache, &error) != FLETCH_OK)
        return outcome_tell_error("hash and scatter", &error);
    enum outcome outcome = bench_batches_open(&scatter->batches, scatter->cache);
    if (outcome != OUTCOME_DONE)
        return outcome;
    for (size_t i = 0; i < BENCH_BATCHES; i++)
        scatter->row_sum += fletch_hash_row_sum(scatter->batches.batches[i]);
    if (make_writer(scatter, &error) != FLETCH_OK)
        return outcome_tell_error("hash and scatter", &error);
    return OUTCOME_DONE;
}

static enum outcome open_scatter(void **out_state)
{
    struct scatter *scatter = calloc(1, sizeof *scatter);
    if (scatter == NULL)
        return outcome_tell(OUTCOME_SYSTEM, "hash and scatter: no memory");
    enum outcome outcome = open_parts(scatter);
    if (outcome == OUTCOME_DONE)
        *out_state = scatter;
    else
        close_scatter(scatter);
    return outcome;
}

static enum fletch_status take_frames(struct scatter *scatter, struct frames *frames,
                                      struct fletch_error *error)
{
    for (;;) {
        struct fletch_partition_frame frame;
        enum fletch_status status = fletch_partition_writer_next(scatter->writer, &frame, error);
        if (status != FLETCH_OK || frame.batch == NULL)
            return status;
        frames->rows += (uint64_t)fletch_batch_row_count(frame.batch);
        if (frames->is_summed)
            frames->row_sum += fletch_hash_row_sum(frame.batch);
        fletch_batch_release(scatter->cache, frame.batch);
    }
}

/* All batches once. */
static enum outcome pass(struct scatter *scatter, struct frames *frames)
{
    struct fletch_error error;
    enum fletch_status status = FLETCH_OK;
    for (size_t i = 0; i < BENCH_BATCHES && status == FLETCH_OK; i++) {
        status = fletch_partition_writer_push(scatter->writer, scatter->batches.batches[i], &error);
        if (status == FLETCH_OK)
            status = take_frames(scatter, frames, &error);
    }
    if (status == FLETCH_OK)
        status = fletch_partition_writer_flush(scatter->writer, &error);
    if (status == FLETCH_OK)
        status = take_frames(scatter, frames, &error);
    if (status != FLETCH_OK)
        return outcome_tell_error("hash and scatter", &error);
    return OUTCOME_DONE;
}

static enum outcome run_scatter(void *state, uint64_t round_ns, double *out_figures)
{
    struct scatter *scatter = state;
    struct frames summed = {.is_summed = true}, frames = {0};
    uint64_t passes = 0, started_ns, now_ns;
    enum outcome outcome = pass(scatter, &summed); /* beside the time: sums cost some */
    started_ns = bench_clock_ns();
    do {
        if (outcome == OUTCOME_DONE)
            outcome = pass(scatter, &frames);
        if (outcome != OUTCOME_DONE)
            return outcome;
        passes++;
        now_ns = bench_clock_ns();
    } while (now_ns < started_ns + round_ns / 4 * 3);
    uint64_t rows = (passes + 1) * BENCH_BATCHES * BENCH_ROWS, came = frames.rows + summed.rows;
    if (came != rows || summed.row_sum != scatter->row_sum)
        return outcome_tell(OUTCOME_DIFFERS,
                            "hash and scatter: of %llu rows %llu came, with the row sum %016llx "
                            "instead of %016llx",
                            (unsigned long long)rows, (unsigned long long)came,
                            (unsigned long long)summed.row_sum,
                            (unsigned long long)scatter->row_sum);
    out_figures[0] = (double)passes * BENCH_BYTES / (double)(now_ns - started_ns);
    out_figures[1] = bench_batches_copy(&scatter->batches, round_ns / 4);
    return OUTCOME_DONE;
}

const struct bench_case bench_scatter = {
    .measures = {{"hash_scatter", "hash and scatter, P = 16", "GB/s", false},
                 {"hash_scatter_memcpy", "memcpy of the same bytes", "GB/s", true}},
    .thread_count = 1,
    .open = open_scatter,
    .round = run_scatter,
    .close = close_scatter};
