#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 8, NAME_BYTES = 32, ROWS_AT_ONCE = 1000 };

void must(enum fletch_status status, const struct fletch_error *error)
{
    if (status == FLETCH_OK)
        return;
    fprintf(stderr, "%s: %s\n", fletch_status_name(status), error->message);
    exit(1);
}

void must_be(bool is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "not so: %s\n", what);
    exit(1);
}

/* ---- batches ---- */

static void release_nothing(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

struct fletch_schema *numbers_schema(const char *names)
{
    char words[COLUMNS_MAX][NAME_BYTES];
    struct ArrowSchema fields[COLUMNS_MAX], *pointers[COLUMNS_MAX];
    struct ArrowSchema all = {.format = "+s", .children = pointers, .release = release_nothing};
    struct fletch_schema *schema = NULL;
    struct fletch_error error;
    int used = 0;
    for (int at = 0; sscanf(names + at, "%31s%n", words[all.n_children], &used) == 1; at += used) {
        int64_t column = all.n_children++;
        fields[column] =
            (struct ArrowSchema){.format = "l", .name = words[column], .release = release_nothing};
        pointers[column] = &fields[column];
    }
    must(fletch_schema_import(&all, NULL, &schema, &error), &error);
    return schema;
}

/* What an imported batch keeps alive: everything in one block, the values at its end. */
struct holder {
    struct ArrowArray columns[COLUMNS_MAX];
    struct ArrowArray *children[COLUMNS_MAX];
    const void *buffers[COLUMNS_MAX][2];
    const void *no_buffer[1];
    int64_t values[];
};

static void release_column(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_holder(struct ArrowArray *array)
{
    free(array->private_data);
    array->release = NULL;
}

struct fletch_batch *numbers_batch(struct fletch_schema *schema, struct fletch_buffer_cache *cache,
                                   const int64_t *const *columns, int64_t row_count)
{
    size_t count = fletch_schema_column_count(schema);
    size_t bytes = (size_t)row_count * sizeof(int64_t);
    struct holder *holder = malloc(sizeof *holder + count * bytes);
    if (holder == NULL)
        return NULL;
    for (size_t c = 0; c < count; c++) {
        int64_t *values = holder->values + c * (size_t)row_count;
        memcpy(values, columns[c], bytes);
        holder->buffers[c][0] = NULL;
        holder->buffers[c][1] = values;
        holder->columns[c] = (struct ArrowArray){.length = row_count,
                                                 .n_buffers = 2,
                                                 .buffers = holder->buffers[c],
                                                 .release = release_column};
        holder->children[c] = &holder->columns[c];
    }
    holder->no_buffer[0] = NULL;
    struct ArrowArray all = {.length = row_count,
                             .n_buffers = 1,
                             .buffers = holder->no_buffer,
                             .n_children = (int64_t)count,
                             .children = holder->children,
                             .release = release_holder,
                             .private_data = holder};
    const struct fletch_import_options options = {.struct_size = sizeof options, .cache = cache};
    struct fletch_batch *batch = NULL;
    if (fletch_batch_import(&all, schema, &options, &batch, NULL) != FLETCH_OK)
        free(holder);
    return batch;
}

struct fletch_batch *numbers_alone(struct fletch_transport *transport, const char *name,
                                   const int64_t *values, int64_t row_count)
{
    struct fletch_schema *schema = numbers_schema(name);
    struct fletch_buffer_cache *cache = NULL;
    struct fletch_error error;
    must(fletch_buffer_cache_open(fletch_transport_pool(transport), &cache, &error), &error);
    struct fletch_batch *batch = numbers_batch(schema, cache, &values, row_count);
    fletch_buffer_cache_close(cache);
    fletch_schema_release(schema);
    return batch;
}

const int64_t *numbers_column(struct fletch_batch *batch, struct fletch_buffer_cache *cache,
                              int64_t column)
{
    struct ArrowArray array;
    struct fletch_error error;
    must(fletch_batch_export(batch, cache, &array, &error), &error);
    const struct ArrowArray *child = array.children[column];
    const int64_t *values = (const int64_t *)child->buffers[1] + child->offset + array.offset;
    array.release(&array); /* the batch has them as long as it lives */
    return values;
}

enum fletch_status numbers_give(struct fletch_flow_context *context, uint32_t output,
                                struct fletch_schema *schema, const int64_t *const *columns,
                                int64_t row_count)
{
    struct fletch_buffer_cache *cache = fletch_flow_context_cache(context);
    struct fletch_batch *batch = numbers_batch(schema, cache, columns, row_count);
    if (batch == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    enum fletch_status status = fletch_flow_give(context, output, batch, NULL);
    if (status != FLETCH_OK)
        fletch_batch_release(cache, batch);
    return status;
}

/* ---- the source ---- */

struct counter {
    const struct counting *counting;
    int64_t next;
};

static enum fletch_status begin(struct fletch_flow_context *context, void *argument,
                                void **out_state, struct fletch_error *error)
{
    struct counter *counter = malloc(sizeof *counter);
    (void)error;
    if (counter == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    *counter = (struct counter){argument, fletch_flow_context_instance(context)};
    *out_state = counter;
    return FLETCH_OK;
}

static enum fletch_status produce(struct fletch_flow_context *context, void *state,
                                  bool *out_has_more, struct fletch_error *error)
{
    struct counter *counter = state;
    const struct counting *counting = counter->counting;
    int64_t keys[ROWS_AT_ONCE], values[ROWS_AT_ONCE], count = 0;
    (void)error;
    for (; count < ROWS_AT_ONCE && counter->next < counting->rows; count++) {
        keys[count] = counter->next * 7 % counting->keys;
        values[count] = counter->next;
        counter->next += fletch_flow_context_instance_count(context);
    }
    *out_has_more = counter->next < counting->rows;
    return numbers_give(context, 0, counting->schema, (const int64_t *[]){keys, values}, count);
}

static void end(struct fletch_flow_context *context, void *state)
{
    (void)context;
    free(state);
}

const struct fletch_flow_functions counting_source = {
    .struct_size = sizeof counting_source, .init = begin, .produce = produce, .close = end};

/* ---- graphs ---- */

static struct fletch_flow_stage stage_of(const char *name,
                                         const struct fletch_flow_functions *functions,
                                         void *argument, uint32_t instances)
{
    return (struct fletch_flow_stage){.struct_size = sizeof(struct fletch_flow_stage),
                                      .name = name,
                                      .functions = functions,
                                      .argument = argument,
                                      .instance_count = instances};
}

uint32_t add_source(struct fletch_flow *flow, const char *name,
                    const struct fletch_flow_functions *functions, void *argument,
                    uint32_t instances)
{
    struct fletch_flow_stage stage = stage_of(name, functions, argument, instances);
    struct fletch_error error;
    uint32_t number = 0;
    must(fletch_flow_add_source(flow, &stage, &number, &error), &error);
    return number;
}

uint32_t add_stage(struct fletch_flow *flow, const char *name,
                   const struct fletch_flow_functions *functions, void *argument,
                   uint32_t instances)
{
    struct fletch_flow_stage stage = stage_of(name, functions, argument, instances);
    struct fletch_error error;
    uint32_t number = 0;
    must(fletch_flow_add_stage(flow, &stage, &number, &error), &error);
    return number;
}

uint32_t add_sink(struct fletch_flow *flow, const char *name,
                  const struct fletch_flow_functions *functions, void *argument, uint32_t instances)
{
    struct fletch_flow_stage stage = stage_of(name, functions, argument, instances);
    struct fletch_error error;
    uint32_t number = 0;
    must(fletch_flow_add_sink(flow, &stage, &number, &error), &error);
    return number;
}

void join(struct fletch_flow *flow, uint32_t from, uint32_t to, struct fletch_flow_edge edge)
{
    struct fletch_error error;
    edge.struct_size = sizeof edge;
    edge.from_stage = from;
    edge.to_stage = to;
    must(fletch_flow_connect(flow, &edge, NULL, &error), &error);
}

struct fletch_flow *flow_begin(struct fletch_transport **out_transport)
{
    struct fletch_error error;
    struct fletch_flow *flow = NULL;
    must(fletch_transport_create(NULL, NULL, out_transport, &error), &error);
    must(fletch_flow_create(*out_transport, NULL, &flow, &error), &error);
    return flow;
}

void flow_run(struct fletch_flow *flow, struct fletch_transport *transport)
{
    struct fletch_error error;
    must(fletch_flow_start(flow, &error), &error);
    must(fletch_flow_wait(flow, FLETCH_NO_TIMEOUT, &error), &error);
    must(fletch_flow_destroy(flow, 0, &error), &error);
    must(fletch_transport_destroy(transport, &error), &error);
}
