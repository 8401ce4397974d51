#include "bench_batches.h"

#include <stdlib.h>
#include <string.h>

#include "bench_threads.h"

enum { COLUMNS = 2, COLUMN_BYTES = BENCH_ROWS * 8, BATCH_BYTES = COLUMNS * COLUMN_BYTES };

/* What an imported batch keeps alive, with all its values behind it. */
struct holder {
    struct ArrowArray columns[COLUMNS];
    struct ArrowArray *children[COLUMNS];
    const void *buffers[COLUMNS][2];
    const void *no_buffer[1];
    void *values; /* aligned to 64 bytes */
};

static void release_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void release_column(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_holder(struct ArrowArray *array)
{
    struct holder *holder = array->private_data;
    free(holder->values);
    free(holder);
    array->release = NULL;
}

static enum fletch_status make_schema(struct fletch_schema **out_schema, struct fletch_error *error)
{
    struct ArrowSchema key = {.format = "l", .name = "key", .release = release_schema};
    struct ArrowSchema value = {.format = "g", .name = "value", .release = release_schema};
    struct ArrowSchema *children[COLUMNS] = {&key, &value};
    struct ArrowSchema all = {
        .format = "+s", .n_children = COLUMNS, .children = children, .release = release_schema};
    return fletch_schema_import(&all, NULL, out_schema, error);
}

static struct holder *make_values(int64_t first_row)
{
    struct holder *holder = calloc(1, sizeof *holder);
    void *values = aligned_alloc(64, BATCH_BYTES);
    if (holder == NULL || values == NULL) {
        free(holder);
        free(values);
        return NULL;
    }
    int64_t *keys = values;
    double *reals = (double *)values + BENCH_ROWS;
    for (int64_t i = 0; i < BENCH_ROWS; i++) {
        keys[i] = first_row + i;
        reals[i] = (double)(first_row + i) / 3;
    }
    holder->values = values;
    return holder;
}

/* Hands the values of a batch over: they are its own from then on. */
static enum fletch_status make_batch(struct bench_batches *batches, size_t index,
                                     struct fletch_buffer_cache *cache, struct fletch_error *error)
{
    const struct fletch_import_options options = {.struct_size = sizeof options, .cache = cache};
    struct holder *holder = make_values((int64_t)index * BENCH_ROWS);
    if (holder == NULL) {
        error->status = FLETCH_RESOURCE_EXHAUSTED;
        strcpy(error->message, "no memory for a batch");
        return error->status;
    }
    for (size_t c = 0; c < COLUMNS; c++) {
        holder->buffers[c][1] = (char *)holder->values + c * COLUMN_BYTES;
        holder->columns[c] = (struct ArrowArray){.length = BENCH_ROWS,
                                                 .n_buffers = 2,
                                                 .buffers = holder->buffers[c],
                                                 .release = release_column};
        holder->children[c] = &holder->columns[c];
    }
    struct ArrowArray all = {.length = BENCH_ROWS,
                             .n_buffers = 1,
                             .buffers = holder->no_buffer,
                             .n_children = COLUMNS,
                             .children = holder->children,
                             .release = release_holder,
                             .private_data = holder};
    batches->columns[index] = holder->values;
    enum fletch_status status =
        fletch_batch_import(&all, batches->schema, &options, &batches->batches[index], error);
    if (status != FLETCH_OK)
        all.release(&all);
    return status;
}

enum outcome bench_batches_open(struct bench_batches *batches, struct fletch_buffer_cache *cache)
{
    struct fletch_error error;
    *batches = (struct bench_batches){.copy = aligned_alloc(64, BENCH_BYTES)};
    if (batches->copy == NULL)
        return outcome_tell(OUTCOME_SYSTEM, "no memory for %d bytes", BENCH_BYTES);
    enum fletch_status status = make_schema(&batches->schema, &error);
    for (size_t i = 0; i < BENCH_BATCHES && status == FLETCH_OK; i++)
        status = make_batch(batches, i, cache, &error);
    if (status == FLETCH_OK)
        return OUTCOME_DONE;
    bench_batches_close(batches, cache);
    return outcome_tell_error("batches", &error);
}

void bench_batches_close(struct bench_batches *batches, struct fletch_buffer_cache *cache)
{
    for (size_t i = 0; i < BENCH_BATCHES; i++)
        fletch_batch_release(cache, batches->batches[i]);
    fletch_schema_release(batches->schema);
    free(batches->copy);
    *batches = (struct bench_batches){0};
}

double bench_batches_copy(struct bench_batches *batches, uint64_t duration_ns)
{
    uint64_t bytes = 0, started_ns = bench_clock_ns(), now_ns;
    do {
        for (size_t i = 0; i < BENCH_BATCHES; i++)
            memcpy((char *)batches->copy + i * BATCH_BYTES, batches->columns[i], BATCH_BYTES);
        bytes += BENCH_BYTES;
        now_ns = bench_clock_ns();
    } while (now_ns < started_ns + duration_ns);
    return (double)bytes / (double)(now_ns - started_ns);
}
