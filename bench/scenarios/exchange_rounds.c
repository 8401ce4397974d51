/* Shuffles in memory, run here and called from bench_exchange.py, which has the peers: two
 * producers and two consumers, a thread each, on whichever of the process's two processors. */

#include <fletching/fletching.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_EXPORT __attribute__((visibility("default")))

enum { ENDS = 2, BARRIERS_MAX = 4096, COPY_BYTES = 128 << 20, COPY_CHUNK = 1 << 20 };

/* What is written, and where it is shuffled. */
struct exchange {
    struct fletch_transport *transport;
    struct fletch_buffer_cache *cache; /* of the calling thread */
    struct fletch_schema *schema;
    struct fletch_batch **batches;
    size_t batch_count;
    uint64_t rows; /* of all batches */
    char message[512];
};

struct exchange_plan {
    uint32_t partitions;
    uint32_t key;
    double row_bytes;
    /* 0: every batch is written once. Else producers write for so long, again and again, and send
     * a barrier each barrier_every. */
    double seconds;
    double barrier_every;
};

struct exchange_figures {
    double seconds; /* from the first write to the last end */
    uint64_t rows;
    uint64_t frames;
    uint64_t credit_waits;
    uint32_t ended;         /* partitions whose end was verified */
    uint32_t barrier_count; /* that reached every partition */
    double latency[BARRIERS_MAX];
    /* When the last producer sent it: */
    double bytes_ahead[BARRIERS_MAX];  /* written, and not yet read */
    double bytes_queued[BARRIERS_MAX]; /* of those, in frames that partitions have */
};

ROUNDS_EXPORT struct exchange *exchange_open(struct ArrowSchema *schema);
ROUNDS_EXPORT int exchange_add(struct exchange *exchange, struct ArrowArray *array);
ROUNDS_EXPORT int exchange_run(struct exchange *exchange, const struct exchange_plan *plan,
                               struct exchange_figures *figures);
ROUNDS_EXPORT const char *exchange_message(const struct exchange *exchange);
ROUNDS_EXPORT void exchange_close(struct exchange *exchange);
ROUNDS_EXPORT double exchange_copy(double bytes);

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- what is written ---- */

struct exchange *exchange_open(struct ArrowSchema *schema)
{
    const struct fletch_transport_options options = {.struct_size = sizeof options};
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL ||
        fletch_transport_create(&options, NULL, &exchange->transport, NULL) != FLETCH_OK ||
        fletch_buffer_cache_open(fletch_transport_pool(exchange->transport), &exchange->cache,
                                 NULL) != FLETCH_OK ||
        fletch_schema_import(schema, NULL, &exchange->schema, NULL) != FLETCH_OK)
        return NULL;
    return exchange;
}

int exchange_add(struct exchange *exchange, struct ArrowArray *array)
{
    const struct fletch_import_options options = {.struct_size = sizeof options,
                                                  .cache = exchange->cache};
    struct fletch_error error;
    struct fletch_batch *batch;
    if (fletch_batch_import(array, exchange->schema, &options, &batch, &error) != FLETCH_OK) {
        snprintf(exchange->message, sizeof exchange->message, "%s", error.message);
        return -1;
    }
    exchange->batches =
        realloc(exchange->batches, (exchange->batch_count + 1) * sizeof(struct fletch_batch *));
    exchange->batches[exchange->batch_count++] = batch;
    exchange->rows += (uint64_t)fletch_batch_row_count(batch);
    return 0;
}

const char *exchange_message(const struct exchange *exchange)
{
    return exchange->message;
}

void exchange_close(struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->batch_count; i++)
        fletch_batch_release(exchange->cache, exchange->batches[i]);
    fletch_schema_release(exchange->schema);
    fletch_buffer_cache_close(exchange->cache);
    if (fletch_transport_destroy(exchange->transport, NULL) != FLETCH_OK)
        abort();
    free(exchange->batches);
    free(exchange);
}

/* ---- a run ---- */

struct run {
    struct exchange *exchange;
    const struct exchange_plan *plan;
    struct fletch_shuffle *shuffle;
    pthread_barrier_t gate;
    atomic_bool failed;
};

/* A barrier as one end saw it: a producer when it sent it, a consumer when it had the last one. */
struct mark {
    double at;
    double bytes_ahead, bytes_queued;
    uint32_t seen;
};

struct end {
    struct run *run;
    uint32_t number;
    struct fletch_buffer_cache *cache;
    double start, finish;
    uint64_t rows;
    uint32_t ended;
    struct mark *marks; /* BARRIERS_MAX */
};

static void fail(struct run *run, const struct fletch_error *error)
{
    if (!atomic_exchange(&run->failed, true))
        snprintf(run->exchange->message, sizeof run->exchange->message, "%s", error->message);
    fletch_shuffle_cancel(run->shuffle, "the benchmark failed");
}

static void mark_sent(struct end *end, uint64_t barrier)
{
    struct fletch_exchange_statistics now = {.struct_size = sizeof now};
    fletch_shuffle_statistics(end->run->shuffle, &now);
    struct mark *mark = &end->marks[barrier];
    mark->bytes_ahead = (double)(now.rows_written - now.rows_read) * end->run->plan->row_bytes;
    mark->bytes_queued = (double)now.bytes_queued;
    mark->at = now_seconds();
    mark->seen = 1;
}

static bool write_once(struct end *end, struct fletch_shuffle_writer *writer,
                       struct fletch_error *error)
{
    const struct exchange *exchange = end->run->exchange;
    for (size_t i = end->number; i < exchange->batch_count; i += ENDS) {
        if (fletch_shuffle_writer_write(writer, exchange->batches[i], FLETCH_DEADLINE_DEFAULT,
                                        error) != FLETCH_OK)
            return false;
        end->rows += (uint64_t)fletch_batch_row_count(exchange->batches[i]);
    }
    return true;
}

static bool write_with_barriers(struct end *end, struct fletch_shuffle_writer *writer,
                                struct fletch_error *error)
{
    const struct exchange *exchange = end->run->exchange;
    const struct exchange_plan *plan = end->run->plan;
    uint64_t barrier = 1;
    for (size_t i = end->number; barrier < BARRIERS_MAX; i = (i + ENDS) % exchange->batch_count) {
        if (fletch_shuffle_writer_write(writer, exchange->batches[i], FLETCH_DEADLINE_DEFAULT,
                                        error) != FLETCH_OK)
            return false;
        end->rows += (uint64_t)fletch_batch_row_count(exchange->batches[i]);
        double now = now_seconds() - end->start;
        if (now >= plan->seconds)
            break;
        if (now < (double)barrier * plan->barrier_every)
            continue;
        mark_sent(end, barrier);
        if (fletch_shuffle_writer_barrier(writer, barrier++, FLETCH_DEADLINE_DEFAULT, error) !=
            FLETCH_OK)
            return false;
    }
    return true;
}

static void *produce(void *argument)
{
    struct end *end = argument;
    struct run *run = end->run;
    struct fletch_shuffle_writer *writer = NULL;
    struct fletch_error error;
    bool is_good = fletch_buffer_cache_open(fletch_transport_pool(run->exchange->transport),
                                            &end->cache, &error) == FLETCH_OK &&
                   fletch_shuffle_writer_open(run->shuffle, end->number, end->cache, &writer,
                                              &error) == FLETCH_OK;
    pthread_barrier_wait(&run->gate);
    end->start = now_seconds();
    if (is_good)
        is_good = run->plan->seconds > 0 ? write_with_barriers(end, writer, &error)
                                         : write_once(end, writer, &error);
    is_good =
        is_good && fletch_shuffle_writer_end(writer, FLETCH_DEADLINE_DEFAULT, &error) == FLETCH_OK;
    end->finish = now_seconds();
    if (!is_good)
        fail(run, &error);
    fletch_shuffle_writer_close(writer);
    fletch_buffer_cache_close(end->cache);
    return NULL;
}

static void take_event(struct end *end, const struct fletch_shuffle_event *event)
{
    if (event->kind == FLETCH_EVENT_BATCH) {
        end->rows += event->rows;
        fletch_batch_release(end->cache, event->batch);
    } else if (event->kind == FLETCH_EVENT_BARRIER) {
        struct mark *mark = &end->marks[event->barrier];
        mark->at = now_seconds();
        mark->seen++;
    } else if (event->kind == FLETCH_EVENT_END) {
        end->ended += event->verified == FLETCH_SUMS_KEYS;
    }
}

static enum fletch_status open_reader(struct end *end, struct fletch_shuffle_reader **reader,
                                      struct fletch_error *error)
{
    struct run *run = end->run;
    uint32_t count = 0;
    uint32_t *mine = malloc(run->plan->partitions * sizeof *mine);
    for (uint32_t i = end->number; i < run->plan->partitions; i += ENDS)
        mine[count++] = i;
    enum fletch_status status = fletch_buffer_cache_open(
        fletch_transport_pool(run->exchange->transport), &end->cache, error);
    const struct fletch_shuffle_reader_options options = {.struct_size = sizeof options,
                                                          .partitions = mine,
                                                          .partition_count = count,
                                                          .cache = end->cache};
    if (status == FLETCH_OK)
        status = fletch_shuffle_reader_open(run->shuffle, &options, reader, error);
    free(mine);
    return status;
}

static void *consume(void *argument)
{
    struct end *end = argument;
    struct fletch_shuffle_reader *reader = NULL;
    struct fletch_error error;
    enum fletch_status status = open_reader(end, &reader, &error);
    pthread_barrier_wait(&end->run->gate);
    end->start = now_seconds();
    for (bool has_event = true; status == FLETCH_OK && has_event;) {
        struct fletch_shuffle_event event;
        status =
            fletch_shuffle_reader_next(reader, FLETCH_DEADLINE_DEFAULT, &event, &has_event, &error);
        if (status == FLETCH_OK && has_event)
            take_event(end, &event);
    }
    end->finish = now_seconds();
    if (status != FLETCH_OK)
        fail(end->run, &error);
    fletch_shuffle_reader_close(reader);
    fletch_buffer_cache_close(end->cache);
    return NULL;
}

static enum fletch_status register_shuffle(struct run *run, struct fletch_error *error)
{
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = run->plan->partitions,
                                                           .key_columns = &run->plan->key,
                                                           .key_column_count = 1};
    const struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                                   .name = "exchange",
                                                   .name_bytes = 8,
                                                   .schema = run->exchange->schema,
                                                   .partitioner = &partitioner,
                                                   .producer_count = ENDS};
    return fletch_shuffle_register(run->exchange->transport, &options, &run->shuffle, error);
}

/* Only barriers that both producers sent and that all partitions gave. */
static void gather_barriers(const struct end *ends, uint32_t partitions,
                            struct exchange_figures *figures)
{
    for (uint32_t barrier = 1; barrier < BARRIERS_MAX; barrier++) {
        const struct mark *first = &ends[0].marks[barrier], *last = &ends[1].marks[barrier];
        const struct mark *left = &ends[2].marks[barrier], *right = &ends[3].marks[barrier];
        if (!first->seen || !last->seen || left->seen + right->seen != partitions)
            continue;
        if (first->at > last->at)
            last = first;
        double given = left->at > right->at ? left->at : right->at;
        figures->bytes_ahead[figures->barrier_count] = last->bytes_ahead;
        figures->bytes_queued[figures->barrier_count] = last->bytes_queued;
        figures->latency[figures->barrier_count++] = given - last->at;
    }
}

static void gather(const struct run *run, const struct end *ends, struct exchange_figures *figures)
{
    struct fletch_exchange_statistics told = {.struct_size = sizeof told};
    fletch_shuffle_statistics(run->shuffle, &told);
    double start = ends[0].start, finish = ends[0].finish;
    for (int i = 0; i < 2 * ENDS; i++) {
        start = ends[i].start < start ? ends[i].start : start;
        finish = ends[i].finish > finish ? ends[i].finish : finish;
    }
    figures->seconds = finish - start;
    figures->rows = ends[2].rows + ends[3].rows;
    figures->ended = ends[2].ended + ends[3].ended;
    figures->frames = told.frames_sent;
    figures->credit_waits = told.credit_waits;
    gather_barriers(ends, run->plan->partitions, figures);
}

/* 0: every row that was written was read and every end verified; else see exchange_message. */
int exchange_run(struct exchange *exchange, const struct exchange_plan *plan,
                 struct exchange_figures *figures)
{
    struct run run = {.exchange = exchange, .plan = plan};
    struct fletch_error error;
    struct end ends[2 * ENDS] = {0};
    pthread_t threads[2 * ENDS];
    memset(figures, 0, sizeof *figures);
    if (register_shuffle(&run, &error) != FLETCH_OK) {
        snprintf(exchange->message, sizeof exchange->message, "%s", error.message);
        return -1;
    }
    pthread_barrier_init(&run.gate, NULL, 2 * ENDS);
    for (uint32_t i = 0; i < 2 * ENDS; i++) {
        ends[i].run = &run;
        ends[i].number = i % ENDS;
        ends[i].marks = calloc(BARRIERS_MAX, sizeof *ends[i].marks);
        if (pthread_create(&threads[i], NULL, i < ENDS ? produce : consume, &ends[i]) != 0)
            abort();
    }
    for (int i = 0; i < 2 * ENDS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&run.gate);
    gather(&run, ends, figures);
    for (int i = 0; i < 2 * ENDS; i++)
        free(ends[i].marks);
    fletch_shuffle_close(run.shuffle);
    fletch_shuffle_release(run.shuffle);
    if (atomic_load(&run.failed))
        return -1;
    snprintf(exchange->message, sizeof exchange->message, "rows were lost, or ends not verified");
    return figures->rows == ends[0].rows + ends[1].rows && figures->ended == plan->partitions ? 0
                                                                                              : -1;
}

/* ---- the floor ---- */

static void *copy(void *argument)
{
    double *bytes = argument;
    static _Atomic(char *) kept[ENDS];
    static atomic_uint next;
    unsigned slot = atomic_fetch_add(&next, 1) % ENDS;
    char *memory = atomic_load(&kept[slot]);
    if (memory == NULL) {
        memory = malloc(2 * (size_t)COPY_BYTES);
        memset(memory, 1, 2 * (size_t)COPY_BYTES);
        atomic_store(&kept[slot], memory);
    }
    double start = now_seconds();
    size_t at = 0;
    for (double copied = 0; copied < *bytes; copied += COPY_CHUNK) {
        memcpy(memory + COPY_BYTES + at, memory + at, COPY_CHUNK);
        at = (at + COPY_CHUNK) % COPY_BYTES;
    }
    *bytes = now_seconds() - start;
    return NULL;
}

/* Seconds in which two threads copy so many bytes, half of them each, far past the caches. */
double exchange_copy(double bytes)
{
    double shares[ENDS];
    pthread_t threads[ENDS];
    for (int i = 0; i < ENDS; i++) {
        shares[i] = bytes / ENDS;
        if (pthread_create(&threads[i], NULL, copy, &shares[i]) != 0)
            abort();
    }
    for (int i = 0; i < ENDS; i++)
        pthread_join(threads[i], NULL);
    return shares[0] > shares[1] ? shares[0] : shares[1];
}
