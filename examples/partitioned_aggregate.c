/* Aggregation in partitions: two instances of a source, three of a sum. All rows of one key go to
 * one instance, so that each can add up its keys alone: first by the hash of the key, then by
 * ranges of keys, which leaves instance i with smaller keys than instance i + 1. */

#include "kit.h"

#include <inttypes.h>
#include <stdio.h>

enum { ROWS = 300000, KEYS = 300, INSTANCES = 3 };

/* Sums by key, of one instance. */
struct sums {
    int64_t rows;
    int64_t sum[KEYS];
};

static enum fletch_status begin(struct fletch_flow_context *context, void *argument,
                                void **out_state, struct fletch_error *error)
{
    (void)error;
    *out_state = (struct sums *)argument + fletch_flow_context_instance(context);
    return FLETCH_OK;
}

static enum fletch_status add_up(struct fletch_flow_context *context, void *state, uint32_t input,
                                 struct fletch_batch *batch, struct fletch_error *error)
{
    struct sums *sums = state;
    struct fletch_buffer_cache *cache = fletch_flow_context_cache(context);
    const int64_t *keys = numbers_column(batch, cache, 0);
    const int64_t *values = numbers_column(batch, cache, 1);
    (void)input, (void)error;
    sums->rows += fletch_batch_row_count(batch);
    for (int64_t i = 0; i < fletch_batch_row_count(batch); i++)
        sums->sum[keys[i]] += values[i];
    return FLETCH_OK;
}

/* Each key has all of its rows in one instance. */
static void check(const struct sums *sums)
{
    int64_t expected[KEYS] = {0}, rows = 0;
    for (int64_t row = 0; row < ROWS; row++)
        expected[row * 7 % KEYS] += row;
    for (int64_t key = 0; key < KEYS; key++) {
        int owners = 0;
        for (int i = 0; i < INSTANCES; i++)
            owners += sums[i].sum[key] == expected[key];
        must_be(owners == 1, "a key's sum is in one instance, and right");
    }
    for (int i = 0; i < INSTANCES; i++)
        rows += sums[i].rows;
    must_be(rows == ROWS, "no row is lost or repeated");
}

static void aggregate(enum fletch_flow_edge_kind kind, struct fletch_schema *schema)
{
    static const struct fletch_flow_functions functions = {
        .struct_size = sizeof functions, .init = begin, .process = add_up};
    static const uint32_t key_column = 0;
    struct sums sums[INSTANCES] = {{.rows = 0}};
    struct fletch_transport *transport;
    struct fletch_flow *flow = flow_begin(&transport);
    struct counting counting = {.schema = schema, .rows = ROWS, .keys = KEYS};
    struct fletch_batch *bounds = numbers_alone(transport, "key", (const int64_t[]){100, 200}, 2);

    uint32_t numbers = add_source(flow, "numbers", &counting_source, &counting, 2);
    uint32_t by_key = add_sink(flow, "by key", &functions, sums, INSTANCES);
    join(flow, numbers, by_key,
         (struct fletch_flow_edge){.kind = kind,
                                   .schema = schema,
                                   .key_columns = &key_column,
                                   .key_column_count = 1,
                                   .range_bounds = bounds}); /* used by RANGE alone */
    fletch_batch_release(NULL, bounds);
    flow_run(flow, transport);
    check(sums);
    printf("%s: %" PRId64 ", %" PRId64 " and %" PRId64 " rows\n",
           kind == FLETCH_FLOW_HASH ? "by hash" : "by range", sums[0].rows, sums[1].rows,
           sums[2].rows);
}

int main(void)
{
    struct fletch_schema *schema = numbers_schema("key value");
    aggregate(FLETCH_FLOW_HASH, schema);
    aggregate(FLETCH_FLOW_RANGE, schema);
    fletch_schema_release(schema);
    return 0;
}
