/* Flows that bench_flow.py times: batches through a FORWARD edge between two threads, one by one
 * and as fast as it goes; and filter, map, aggregate over the batches that it hands over. Each call
 * makes its flow, runs it and ends it. */

#include <fletching/fletching.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORTED __attribute__((visibility("default")))

enum { GIVEN_AT_ONCE = 16, BATCHES_OF_STREAM = 1024 };

static const uint32_t first_cpu[] = {0}, second_cpu[] = {1};

/* Everything that a run needs. */
struct rounds {
    struct fletch_transport *transport;
    struct fletch_buffer_cache *cache;
    struct fletch_schema *schema;
    struct fletch_batch **batches;
    uint64_t batch_count;
    uint64_t batch_capacity;
    struct fletch_error error;
};

struct run {
    struct rounds *rounds;
    uint64_t count; /* batches to send */
    uint64_t sent;
    uint64_t began_ns;
    uint64_t ended_ns;
    double sum;
    uint64_t rows;
    /* One at a time: when the last was sent; how many have come. */
    _Atomic uint64_t came;
    uint64_t sent_ns;
    uint64_t *one_way_ns;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* What bench_flow.py calls. */
EXPORTED struct rounds *flow_open(struct ArrowSchema *schema);
EXPORTED int flow_add(struct rounds *rounds, struct ArrowArray *array);
EXPORTED const char *flow_message(const struct rounds *rounds);
EXPORTED void flow_close(struct rounds *rounds);
EXPORTED double flow_stream(struct rounds *rounds, uint64_t count, int spins);
EXPORTED int flow_one_way(struct rounds *rounds, uint64_t count, double *out_ns);
EXPORTED double flow_pipeline(struct rounds *rounds, uint64_t *out_rows);

/* ---- what is sent ---- */

struct rounds *flow_open(struct ArrowSchema *schema)
{
    struct rounds *rounds = calloc(1, sizeof *rounds);
    if (rounds == NULL)
        return NULL;
    if (fletch_transport_create(NULL, NULL, &rounds->transport, &rounds->error) != FLETCH_OK ||
        fletch_buffer_cache_open(fletch_transport_pool(rounds->transport), &rounds->cache,
                                 &rounds->error) != FLETCH_OK ||
        fletch_schema_import(schema, NULL, &rounds->schema, &rounds->error) != FLETCH_OK)
        fprintf(stderr, "%s\n", rounds->error.message);
    return rounds;
}

int flow_add(struct rounds *rounds, struct ArrowArray *array)
{
    const struct fletch_import_options options = {.struct_size = sizeof options,
                                                  .cache = rounds->cache};
    if (rounds->batch_count == rounds->batch_capacity) {
        rounds->batch_capacity = 2 * rounds->batch_capacity + 64;
        rounds->batches =
            realloc(rounds->batches, rounds->batch_capacity * sizeof *rounds->batches);
    }
    if (fletch_batch_import(array, rounds->schema, &options, &rounds->batches[rounds->batch_count],
                            &rounds->error) != FLETCH_OK)
        return -1;
    rounds->batch_count++;
    return 0;
}

const char *flow_message(const struct rounds *rounds)
{
    return rounds->error.message;
}

void flow_close(struct rounds *rounds)
{
    for (uint64_t i = 0; i < rounds->batch_count; i++)
        fletch_batch_release(rounds->cache, rounds->batches[i]);
    free(rounds->batches);
    fletch_schema_release(rounds->schema);
    fletch_buffer_cache_close(rounds->cache);
    if (fletch_transport_destroy(rounds->transport, &rounds->error) != FLETCH_OK)
        fprintf(stderr, "%s\n", rounds->error.message);
    free(rounds);
}

/* ---- graphs ---- */

/* A stage as the rounds have them; which kind follows from its place in the line. */
struct part {
    const char *name;
    const struct fletch_flow_functions *functions;
    const uint32_t *cpu;
    bool is_apart; /* from the part before it */
};

static enum fletch_status add_part(struct fletch_flow *flow, const struct part *part,
                                   struct run *run, uint32_t *out_stage)
{
    const struct fletch_flow_stage stage = {.struct_size = sizeof stage,
                                            .name = part->name,
                                            .functions = part->functions,
                                            .argument = run,
                                            .cpus = part->cpu,
                                            .cpu_count = part->cpu == NULL ? 0 : 1};
    struct fletch_error *error = &run->rounds->error;
    if (part->functions->produce != NULL)
        return fletch_flow_add_source(flow, &stage, out_stage, error);
    return fletch_flow_add_stage(flow, &stage, out_stage, error);
}

/* Runs parts in a line. */
static int run_line(const struct part *parts, uint32_t count, enum fletch_wait_strategy strategy,
                    struct run *run)
{
    struct fletch_error *error = &run->rounds->error;
    const struct fletch_flow_options options = {.struct_size = sizeof options,
                                                .wait_strategy = strategy};
    struct fletch_flow *flow = NULL;
    enum fletch_status status = fletch_flow_create(run->rounds->transport, &options, &flow, error);
    struct fletch_flow_edge edge = {.struct_size = sizeof edge, .capacity = 256};
    for (uint32_t i = 0; i < count && status == FLETCH_OK; i++) {
        status = add_part(flow, &parts[i], run, &edge.to_stage);
        edge.is_apart = parts[i].is_apart;
        if (status == FLETCH_OK && i > 0)
            status = fletch_flow_connect(flow, &edge, NULL, error);
        edge.from_stage = edge.to_stage;
    }
    if (status == FLETCH_OK)
        status = fletch_flow_start(flow, error);
    if (status == FLETCH_OK)
        status = fletch_flow_wait(flow, FLETCH_NO_TIMEOUT, error);
    if (fletch_flow_destroy(flow, FLETCH_NO_TIMEOUT, NULL) != FLETCH_OK)
        return -1;
    return status == FLETCH_OK ? 0 : -1;
}

static enum fletch_status note_end(struct fletch_flow_context *context, void *state,
                                   bool *out_has_more, struct fletch_error *error)
{
    (void)context, (void)out_has_more, (void)error;
    ((struct run *)state)->ended_ns = now_ns();
    return FLETCH_OK;
}

/* ---- as fast as it goes ---- */

static enum fletch_status give_some(struct fletch_flow_context *context, void *state,
                                    bool *out_has_more, struct fletch_error *error)
{
    struct run *run = state;
    if (run->sent == 0)
        run->began_ns = now_ns();
    for (int i = 0; i < GIVEN_AT_ONCE && run->sent < run->count; i++) {
        struct fletch_batch *batch = run->rounds->batches[run->sent % BATCHES_OF_STREAM];
        enum fletch_status status = fletch_flow_give(context, 0, batch, error);
        if (status != FLETCH_OK)
            return status;
        run->sent++;
    }
    *out_has_more = run->sent < run->count;
    return FLETCH_OK;
}

static enum fletch_status count_one(struct fletch_flow_context *context, void *state,
                                    uint32_t input, struct fletch_batch *batch,
                                    struct fletch_error *error)
{
    (void)context, (void)input, (void)batch, (void)error;
    ((struct run *)state)->rows++;
    return FLETCH_OK;
}

/* Batches a second by reference, `count` of them; 0: it failed. The references that are given away
 * are taken before the time that counts. */
double flow_stream(struct rounds *rounds, uint64_t count, int spins)
{
    static const struct fletch_flow_functions gives = {.struct_size = sizeof gives,
                                                       .produce = give_some};
    static const struct fletch_flow_functions counts = {
        .struct_size = sizeof counts, .process = count_one, .finish = note_end};
    const struct part parts[] = {{"source", &gives, first_cpu, false},
                                 {"sink", &counts, second_cpu, true}};
    struct run run = {.rounds = rounds, .count = count};
    if (rounds->batch_count < BATCHES_OF_STREAM)
        return 0;
    for (uint64_t i = 0; i < count; i++)
        fletch_batch_acquire(rounds->batches[i % BATCHES_OF_STREAM]);
    if (run_line(parts, 2, spins ? FLETCH_WAIT_PAUSE : FLETCH_WAIT_DEFAULT, &run) != 0 ||
        run.rows != count)
        return 0;
    return (double)count * 1e9 / (double)(run.ended_ns - run.began_ns);
}

/* ---- one at a time ---- */

static enum fletch_status give_next(struct fletch_flow_context *context, void *state,
                                    bool *out_has_more, struct fletch_error *error)
{
    struct run *run = state;
    if (atomic_load_explicit(&run->came, memory_order_acquire) < run->sent)
        return FLETCH_OK; /* the last one is still on its way */
    *out_has_more = run->sent + 1 < run->count;
    struct fletch_batch *batch = run->rounds->batches[run->sent++ % BATCHES_OF_STREAM];
    run->sent_ns = now_ns();
    return fletch_flow_emit(context, 0, batch, error);
}

static enum fletch_status time_one(struct fletch_flow_context *context, void *state, uint32_t input,
                                   struct fletch_batch *batch, struct fletch_error *error)
{
    struct run *run = state;
    (void)context, (void)input, (void)batch, (void)error;
    run->one_way_ns[run->rows++] = now_ns() - run->sent_ns;
    atomic_store_explicit(&run->came, run->rows, memory_order_release);
    return FLETCH_OK;
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* One-way times of `count` batches: `out_ns` is 50, 99 and 99.9 of 100. From before emit to the
 * first line of process, one reading of the clock included. */
int flow_one_way(struct rounds *rounds, uint64_t count, double *out_ns)
{
    static const struct fletch_flow_functions gives = {.struct_size = sizeof gives,
                                                       .produce = give_next};
    static const struct fletch_flow_functions times = {.struct_size = sizeof times,
                                                       .process = time_one};
    static const double shares[] = {0.5, 0.99, 0.999};
    const struct part parts[] = {{"source", &gives, first_cpu, false},
                                 {"sink", &times, second_cpu, true}};
    struct run run = {.rounds = rounds, .count = count};
    run.one_way_ns = calloc(count, sizeof *run.one_way_ns);
    if (run.one_way_ns == NULL)
        return -1;
    int result = run_line(parts, 2, FLETCH_WAIT_PAUSE, &run);
    qsort(run.one_way_ns, count, sizeof *run.one_way_ns, by_size);
    for (int i = 0; i < 3; i++)
        out_ns[i] = (double)run.one_way_ns[(uint64_t)((double)(count - 1) * shares[i])];
    free(run.one_way_ns);
    return result;
}

/* ---- filter, map, aggregate: sum(b * 2 + 1) where a is even ---- */

/* Columns a: int64 and b: double, where they lie. */
struct columns {
    const int64_t *a;
    const double *b;
    int64_t rows;
};

static enum fletch_status columns_of(struct fletch_flow_context *context,
                                     struct fletch_batch *batch, struct columns *out_columns,
                                     struct fletch_error *error)
{
    struct ArrowArray array;
    enum fletch_status status =
        fletch_batch_export(batch, fletch_flow_context_cache(context), &array, error);
    if (status != FLETCH_OK)
        return status;
    const struct ArrowArray *a = array.children[0], *b = array.children[1];
    *out_columns =
        (struct columns){(const int64_t *)a->buffers[1] + a->offset + array.offset,
                         (const double *)b->buffers[1] + b->offset + array.offset, array.length};
    array.release(&array); /* the batch keeps them */
    return FLETCH_OK;
}

/* A batch that was made here, in one block. */
struct made {
    struct ArrowArray columns[2];
    struct ArrowArray *children[2];
    const void *buffers[2][2];
    const void *no_buffer[1];
    struct fletch_schema *schema;
    int64_t room;
    double words[]; /* a, then b, room for as many rows each */
};

static void release_column(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_made(struct ArrowArray *array)
{
    free(array->private_data);
    array->release = NULL;
}

static struct made *make(struct fletch_schema *schema, int64_t room)
{
    struct made *made = malloc(sizeof *made + 2 * (size_t)room * sizeof(double));
    if (made == NULL)
        return NULL;
    made->schema = schema;
    made->room = room;
    return made;
}

/* Gives `rows` rows of it; room was made for `made->room`. */
static enum fletch_status give_made(struct fletch_flow_context *context, struct made *made,
                                    int64_t rows, struct fletch_error *error)
{
    struct fletch_buffer_cache *cache = fletch_flow_context_cache(context);
    const struct fletch_import_options options = {.struct_size = sizeof options, .cache = cache};
    for (int c = 0; c < 2; c++) {
        made->buffers[c][0] = NULL;
        made->buffers[c][1] = made->words + c * made->room;
        made->columns[c] = (struct ArrowArray){
            .length = rows, .n_buffers = 2, .buffers = made->buffers[c], .release = release_column};
        made->children[c] = &made->columns[c];
    }
    made->no_buffer[0] = NULL;
    struct ArrowArray array = {.length = rows,
                               .n_buffers = 1,
                               .buffers = made->no_buffer,
                               .n_children = 2,
                               .children = made->children,
                               .release = release_made,
                               .private_data = made};
    struct fletch_batch *batch;
    enum fletch_status status = fletch_batch_import(&array, made->schema, &options, &batch, error);
    if (status != FLETCH_OK) {
        free(made);
        return status;
    }
    status = fletch_flow_give(context, 0, batch, error);
    if (status != FLETCH_OK)
        fletch_batch_release(cache, batch);
    return status;
}

static enum fletch_status send_all(struct fletch_flow_context *context, void *state,
                                   bool *out_has_more, struct fletch_error *error)
{
    struct run *run = state;
    if (run->sent == 0)
        run->began_ns = now_ns();
    *out_has_more = run->sent + 1 < run->count;
    return fletch_flow_emit(context, 0, run->rounds->batches[run->sent++], error);
}

static enum fletch_status filter(struct fletch_flow_context *context, void *state, uint32_t input,
                                 struct fletch_batch *batch, struct fletch_error *error)
{
    struct run *run = state;
    struct columns from;
    (void)input;
    enum fletch_status status = columns_of(context, batch, &from, error);
    if (status != FLETCH_OK)
        return status;
    struct made *made = make(run->rounds->schema, from.rows);
    if (made == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    int64_t *a = (int64_t *)(void *)made->words;
    double *b = made->words + from.rows;
    int64_t kept = 0;
    for (int64_t i = 0; i < from.rows; i++) {
        a[kept] = from.a[i];
        b[kept] = from.b[i];
        kept += (from.a[i] & 1) == 0;
    }
    return give_made(context, made, kept, error);
}

static enum fletch_status map(struct fletch_flow_context *context, void *state, uint32_t input,
                              struct fletch_batch *batch, struct fletch_error *error)
{
    struct run *run = state;
    struct columns from;
    (void)input;
    enum fletch_status status = columns_of(context, batch, &from, error);
    if (status != FLETCH_OK)
        return status;
    struct made *made = make(run->rounds->schema, from.rows);
    if (made == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    memcpy(made->words, from.a, (size_t)from.rows * sizeof *from.a);
    for (int64_t i = 0; i < from.rows; i++)
        made->words[from.rows + i] = from.b[i] * 2 + 1;
    return give_made(context, made, from.rows, error);
}

static enum fletch_status aggregate(struct fletch_flow_context *context, void *state,
                                    uint32_t input, struct fletch_batch *batch,
                                    struct fletch_error *error)
{
    struct run *run = state;
    struct columns from;
    (void)input;
    enum fletch_status status = columns_of(context, batch, &from, error);
    for (int64_t i = 0; status == FLETCH_OK && i < from.rows; i++)
        run->sum += from.b[i];
    run->rows += status == FLETCH_OK ? (uint64_t)from.rows : 0;
    return status;
}

/* Runs all batches through the line on two threads, that are started and joined within the time
 * that the caller takes. The sum; `*out_rows`: what was kept. -1: it failed. */
double flow_pipeline(struct rounds *rounds, uint64_t *out_rows)
{
    static const struct fletch_flow_functions sends = {.struct_size = sizeof sends,
                                                       .produce = send_all};
    static const struct fletch_flow_functions filters = {.struct_size = sizeof filters,
                                                         .process = filter};
    static const struct fletch_flow_functions maps = {.struct_size = sizeof maps, .process = map};
    static const struct fletch_flow_functions sums = {.struct_size = sizeof sums,
                                                      .process = aggregate};
    const struct part parts[] = {{"source", &sends, NULL, false},
                                 {"filter", &filters, NULL, false},
                                 {"map", &maps, NULL, true},
                                 {"sum", &sums, NULL, false}};
    struct run run = {.rounds = rounds, .count = rounds->batch_count};
    if (run_line(parts, 4, FLETCH_WAIT_DEFAULT, &run) != 0)
        return -1;
    *out_rows = run.rows;
    return run.sum;
}
