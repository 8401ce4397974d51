#include "shuffle_job.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t shuffle_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

double shuffle_clock(void)
{
    return (double)shuffle_clock_ns() * 1e-9;
}

void shuffle_job_fail(struct shuffle_job *job, enum outcome outcome, const char *format, ...)
{
    if (atomic_exchange(&job->failed, true))
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(job->failure_text, sizeof job->failure_text, format, arguments);
    va_end(arguments);
    job->failure = outcome;
    atomic_store(&job->told, true);
    if (job->shuffle != NULL)
        fletch_shuffle_cancel(job->shuffle, job->failure_text);
}

void shuffle_worker_spend(struct shuffle_worker *worker, enum shuffle_stage stage, uint64_t *then)
{
    uint64_t now = shuffle_clock_ns();
    atomic_fetch_add_explicit(&worker->stage_ns[stage], now - *then, memory_order_relaxed);
    *then = now;
}

/* The last thing that a worker does. */
static void end_worker(struct shuffle_job *job)
{
    uint64_t one = 1;
    atomic_fetch_sub(&job->workers_left, 1);
    if (write(job->wake_fd, &one, sizeof one) != sizeof one)
        shuffle_job_fail(job, OUTCOME_BUG, "cannot wake the main thread");
}

/* ---- producers ---- */

struct producer {
    struct shuffle_worker *worker;
    struct fletch_buffer_cache *cache;
    struct fletch_shuffle_writer *writer;
    const char *path; /* the input that rows were last sent from; NULL: none */
    uint64_t then;
};

/* Sends one batch, which it releases. */
static bool send_batch(struct producer *producer, struct fletch_batch *batch, const char *path)
{
    struct shuffle_job *job = producer->worker->job;
    struct fletch_error error;
    uint64_t rows = (uint64_t)fletch_batch_row_count(batch);
    shuffle_worker_spend(producer->worker, STAGE_READ, &producer->then);
    enum fletch_status status =
        fletch_shuffle_writer_write(producer->writer, batch, FLETCH_NO_TIMEOUT, &error);
    fletch_batch_release(producer->cache, batch);
    producer->path = path;
    shuffle_worker_spend(producer->worker, STAGE_PARTITION, &producer->then);
    if (status != FLETCH_OK) {
        shuffle_job_fail(job, outcome_of(status), "%s: %s", inputs_name(path), error.message);
        return false;
    }
    atomic_fetch_add_explicit(&producer->worker->rows, rows, memory_order_relaxed);
    return true;
}

/* The batches of a file that no other producer takes. */
static bool send_some(struct producer *producer, struct shuffle_input *input,
                      struct input_reader *reader)
{
    for (;;) {
        struct fletch_batch *batch;
        struct fletch_error error;
        size_t index = atomic_fetch_add(&input->next_batch, 1);
        if (index >= input->batch_count)
            return true;
        if (fletch_ipc_reader_read(reader->reader, index, &batch, &error) != FLETCH_OK) {
            shuffle_job_fail(producer->worker->job, outcome_of(error.status), "%s: batch %zu: %s",
                             inputs_name(input->path), index, error.message);
            return false;
        }
        if (!send_batch(producer, batch, input->path))
            return false;
        atomic_fetch_add(&input->done_batches, 1);
    }
}

/* A stream, from its beginning to its end. */
static bool send_all(struct producer *producer, struct shuffle_input *input,
                     struct input_reader *reader)
{
    for (;;) {
        struct fletch_batch *batch;
        struct fletch_error error;
        if (atomic_load(&producer->worker->job->failed))
            return false;
        if (fletch_ipc_reader_next(reader->reader, &batch, &error) != FLETCH_OK) {
            shuffle_job_fail(producer->worker->job, outcome_of(error.status), "%s: %s",
                             inputs_name(input->path), error.message);
            return false;
        }
        if (batch == NULL)
            break;
        if (!send_batch(producer, batch, input->path))
            return false;
    }
    atomic_store(&input->is_done, true);
    return true;
}

/* The reader that was opened for the plan, with the cache that belongs to it. */
static bool send_kept(struct producer *producer, struct shuffle_input *input)
{
    struct fletch_buffer_cache *own = producer->cache;
    producer->cache = input->kept_cache;
    bool is_sent = send_all(producer, input, &input->kept);
    producer->cache = own;
    return is_sent;
}

static bool send_input(struct producer *producer, struct shuffle_input *input)
{
    struct shuffle_job *job = producer->worker->job;
    struct fletch_ipc_read_options options = {.struct_size = sizeof options,
                                              .cache = producer->cache};
    struct input_reader reader;
    bool is_stream = input->batch_count == FLETCH_IPC_UNKNOWN;
    if (is_stream ? atomic_exchange(&input->next_batch, 1) != 0
                  : atomic_load(&input->next_batch) >= input->batch_count)
        return true;
    if (input->is_kept)
        return send_kept(producer, input);
    enum outcome outcome = input_reader_open(&reader, input->path, &options);
    if (outcome != OUTCOME_DONE) {
        shuffle_job_fail(job, outcome, "%s: cannot be read any more", inputs_name(input->path));
        return false;
    }
    bool is_sent =
        is_stream ? send_all(producer, input, &reader) : send_some(producer, input, &reader);
    input_reader_close(&reader);
    return is_sent;
}

/* Sends what is still gathered, which is of the input that was read last. */
static void end_sending(struct producer *producer)
{
    struct fletch_error error;
    enum fletch_status status =
        fletch_shuffle_writer_end(producer->writer, FLETCH_NO_TIMEOUT, &error);
    if (status == FLETCH_OK)
        return;
    enum outcome outcome = status == FLETCH_DATA_LOSS ? OUTCOME_DIFFERS : outcome_of(status);
    if (producer->path == NULL)
        shuffle_job_fail(producer->worker->job, outcome, "%s", error.message);
    else
        shuffle_job_fail(producer->worker->job, outcome, "%s: %s", inputs_name(producer->path),
                         error.message);
}

static void produce(struct producer *producer)
{
    struct shuffle_job *job = producer->worker->job;
    struct fletch_error error;
    uint32_t number = producer->worker->number;
    if (fletch_shuffle_writer_open(job->shuffle, number, producer->cache, &producer->writer,
                                   &error) != FLETCH_OK) {
        shuffle_job_fail(job, outcome_of(error.status), "%s", error.message);
        return;
    }
    bool is_sent = true;
    producer->then = shuffle_clock_ns();
    for (size_t i = 0; i < job->paths.count && is_sent; i++)
        is_sent = send_input(producer, &job->inputs[(i + number) % job->paths.count]);
    if (is_sent)
        end_sending(producer);
    shuffle_worker_spend(producer->worker, STAGE_PARTITION, &producer->then);
    fletch_shuffle_writer_close(producer->writer);
}

void *shuffle_produce(void *argument)
{
    struct producer producer = {.worker = argument};
    struct shuffle_job *job = producer.worker->job;
    struct fletch_error error;
    if (fletch_buffer_cache_open(fletch_transport_pool(job->transport), &producer.cache, &error) ==
        FLETCH_OK)
        produce(&producer);
    else
        shuffle_job_fail(job, OUTCOME_SYSTEM, "%s", error.message);
    fletch_buffer_cache_close(producer.cache);
    end_worker(job);
    return NULL;
}

/* ---- consumers ---- */

struct consumer {
    struct shuffle_worker *worker;
    struct fletch_buffer_cache *cache;
    struct fletch_shuffle_reader *reader;
    /* Makes one dictionary of those of several producers: a file cannot have them one after the
     * other. NULL: there are none, or one producer. */
    struct fletch_partition_writer *joiner;
    uint64_t then;
};

/* Whether columns, or what is in them, are dictionaries. */
static bool has_dictionaries(const struct fletch_schema *schema)
{
    enum { TEXT_BYTES = 4096 };
    char text[TEXT_BYTES];
    for (size_t i = 0; i < fletch_schema_column_count(schema); i++)
        if (fletch_schema_column_is_dictionary(schema, i) ||
            fletch_schema_column_type(schema, i, text, sizeof text) >= sizeof text ||
            strstr(text, "dictionary<") != NULL)
            return true;
    return false;
}

static enum fletch_status open_joiner(struct consumer *consumer, struct fletch_error *error)
{
    const struct shuffle_job *job = consumer->worker->job;
    const struct fletch_partitioner_options one = {
        .struct_size = sizeof one, .method = FLETCH_PARTITION_ROUND_ROBIN, .partition_count = 1};
    const struct fletch_partition_writer_options options = {.struct_size = sizeof options,
                                                            .cache = consumer->cache};
    struct fletch_partitioner *partitioner = NULL;
    if (job->settings.producer_count < 2 || !has_dictionaries(job->schema))
        return FLETCH_OK;
    enum fletch_status status =
        fletch_partitioner_create(job->schema, &one, NULL, &partitioner, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_partition_writer_create(job->schema, partitioner, &options, &consumer->joiner,
                                            error);
    if (status != FLETCH_OK)
        fletch_partitioner_destroy(partitioner);
    return status;
}

/* The same rows with the dictionaries that only grow, which all files of this consumer share. */
static enum fletch_status write_joined(struct consumer *consumer, uint32_t partition,
                                       struct fletch_batch *batch, struct fletch_error *error)
{
    struct part_folder *folder = &consumer->worker->job->folder;
    struct fletch_partition_frame frame = {.batch = NULL};
    enum fletch_status status = fletch_partition_writer_push(consumer->joiner, batch, error);
    if (status == FLETCH_OK)
        status = fletch_partition_writer_flush(consumer->joiner, error);
    while (status == FLETCH_OK) {
        status = fletch_partition_writer_next(consumer->joiner, &frame, error);
        if (status != FLETCH_OK || frame.batch == NULL)
            break;
        status = part_file_write(folder, partition, frame.batch, error);
        fletch_batch_release(consumer->cache, frame.batch);
    }
    return status;
}

static enum fletch_status take_batch(struct consumer *consumer,
                                     const struct fletch_shuffle_event *event,
                                     struct fletch_error *error)
{
    struct shuffle_job *job = consumer->worker->job;
    enum fletch_status status =
        part_file_begin(&job->folder, event->partition, job->schema, consumer->cache, error);
    if (status == FLETCH_OK && consumer->joiner != NULL)
        status = write_joined(consumer, event->partition, event->batch, error);
    else if (status == FLETCH_OK)
        status = part_file_write(&job->folder, event->partition, event->batch, error);
    if (status == FLETCH_OK)
        atomic_fetch_add_explicit(&consumer->worker->rows,
                                  (uint64_t)fletch_batch_row_count(event->batch),
                                  memory_order_relaxed);
    fletch_batch_release(consumer->cache, event->batch);
    shuffle_worker_spend(consumer->worker, STAGE_WRITE, &consumer->then);
    return status;
}

static enum fletch_status take_end(struct consumer *consumer,
                                   const struct fletch_shuffle_event *event,
                                   struct fletch_error *error)
{
    struct shuffle_job *job = consumer->worker->job;
    uint32_t partition = event->partition;
    enum fletch_status status =
        part_file_begin(&job->folder, partition, job->schema, consumer->cache, error);
    if (status == FLETCH_OK)
        status = part_file_finish(&job->folder, partition, error);
    shuffle_worker_spend(consumer->worker, STAGE_WRITE, &consumer->then);
    if (status == FLETCH_OK)
        status = part_file_sync(&job->folder, partition, error);
    shuffle_worker_spend(consumer->worker, STAGE_SYNC, &consumer->then);
    job->verified[partition] = event->verified;
    if (status == FLETCH_OK && event->rows != job->folder.files[partition].rows) {
        error->status = FLETCH_DATA_LOSS;
        snprintf(error->message, sizeof error->message,
                 "partition %" PRIu32 " has %" PRIu64 " rows and its file %" PRIu64, partition,
                 event->rows, job->folder.files[partition].rows);
        return FLETCH_DATA_LOSS;
    }
    return status;
}

/* Until all partitions of this consumer have ended. */
static enum fletch_status consume(struct consumer *consumer, struct fletch_error *error)
{
    for (;;) {
        struct fletch_shuffle_event event;
        bool has_event;
        enum fletch_status status = fletch_shuffle_reader_next(consumer->reader, FLETCH_NO_TIMEOUT,
                                                               &event, &has_event, error);
        shuffle_worker_spend(consumer->worker, STAGE_RECEIVE, &consumer->then);
        if (status != FLETCH_OK || !has_event)
            return status;
        if (event.kind == FLETCH_EVENT_BATCH)
            status = take_batch(consumer, &event, error);
        else if (event.kind == FLETCH_EVENT_END)
            status = take_end(consumer, &event, error);
        if (status != FLETCH_OK)
            return status;
    }
}

/* Opens a reader of every partition whose number is the consumer's, modulo their count. */
static enum fletch_status open_reader(struct consumer *consumer, struct fletch_error *error)
{
    struct shuffle_job *job = consumer->worker->job;
    uint32_t count = 0, step = (uint32_t)job->settings.thread_count;
    uint32_t *partitions = malloc((job->folder.count / step + 1) * sizeof *partitions);
    if (partitions == NULL) {
        error->status = FLETCH_RESOURCE_EXHAUSTED;
        snprintf(error->message, sizeof error->message, "no memory for a reader's partitions");
        return error->status;
    }
    for (uint32_t i = consumer->worker->number; i < job->folder.count; i += step)
        partitions[count++] = i;
    struct fletch_shuffle_reader_options options = {.struct_size = sizeof options,
                                                    .partitions = partitions,
                                                    .partition_count = count,
                                                    .cache = consumer->cache};
    enum fletch_status status =
        fletch_shuffle_reader_open(job->shuffle, &options, &consumer->reader, error);
    free(partitions);
    return status;
}

/* Writers hold scratch of the consumer's cache: files that were not finished go before it. */
static void drop_files(struct consumer *consumer)
{
    struct part_folder *folder = &consumer->worker->job->folder;
    uint32_t step = (uint32_t)consumer->worker->job->settings.thread_count;
    for (uint32_t i = consumer->worker->number; i < folder->count; i += step) {
        fletch_ipc_writer_close(folder->files[i].writer);
        folder->files[i].writer = NULL;
    }
}

void *shuffle_consume(void *argument)
{
    struct consumer consumer = {.worker = argument};
    struct shuffle_job *job = consumer.worker->job;
    struct fletch_error error;
    enum fletch_status status =
        fletch_buffer_cache_open(fletch_transport_pool(job->transport), &consumer.cache, &error);
    consumer.then = shuffle_clock_ns();
    if (status == FLETCH_OK)
        status = open_reader(&consumer, &error);
    if (status == FLETCH_OK)
        status = open_joiner(&consumer, &error);
    if (status == FLETCH_OK)
        status = consume(&consumer, &error);
    if (status != FLETCH_OK)
        shuffle_job_fail(job, status == FLETCH_DATA_LOSS ? OUTCOME_DIFFERS : outcome_of(status),
                         "%s", error.message);
    drop_files(&consumer);
    fletch_partition_writer_destroy(consumer.joiner);
    fletch_shuffle_reader_close(consumer.reader);
    fletch_buffer_cache_close(consumer.cache);
    end_worker(job);
    return NULL;
}
