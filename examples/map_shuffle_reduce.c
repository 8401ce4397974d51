/* Map, shuffle, reduce: how many numbers have how many divisors? Map finds the divisors of each,
 * the shuffle brings equal counts together, reduce counts them, and one sink collects what each
 * reducer has found when its inputs have ended. */

#include "kit.h"

#include <inttypes.h>
#include <stdio.h>

enum { ROWS = 20000, DIVISORS_MAX = 256, ROWS_MOST = 1000, REDUCERS = 2 };

struct reducer {
    struct fletch_schema *schema;
    bool collects;
    int64_t count[DIVISORS_MAX];
};

static enum fletch_status map(struct fletch_flow_context *context, void *schema, uint32_t input,
                              struct fletch_batch *batch, struct fletch_error *error)
{
    const int64_t *values = numbers_column(batch, fletch_flow_context_cache(context), 1);
    int64_t divisors[ROWS_MOST] = {0}, rows = fletch_batch_row_count(batch);
    (void)input, (void)error;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t d = 1; d * d <= values[i]; d++)
            if (values[i] % d == 0)
                divisors[i] += d * d == values[i] ? 1 : 2;
    return numbers_give(context, 0, schema, (const int64_t *[]){divisors, values}, rows);
}

static enum fletch_status begin(struct fletch_flow_context *context, void *argument,
                                void **out_state, struct fletch_error *error)
{
    (void)error;
    *out_state = (struct reducer *)argument + fletch_flow_context_instance(context);
    return FLETCH_OK;
}

/* Reducers count rows; the collector adds the counts that these have found. */
static enum fletch_status count(struct fletch_flow_context *context, void *state, uint32_t input,
                                struct fletch_batch *batch, struct fletch_error *error)
{
    struct reducer *reducer = state;
    struct fletch_buffer_cache *cache = fletch_flow_context_cache(context);
    const int64_t *divisors = numbers_column(batch, cache, 0);
    const int64_t *counts = numbers_column(batch, cache, 1);
    (void)input, (void)error;
    for (int64_t i = 0; i < fletch_batch_row_count(batch); i++)
        reducer->count[divisors[i]] += reducer->collects ? counts[i] : 1;
    return FLETCH_OK;
}

static enum fletch_status send_counts(struct fletch_flow_context *context, void *state,
                                      bool *out_has_more, struct fletch_error *error)
{
    struct reducer *reducer = state;
    int64_t divisors[DIVISORS_MAX], counts[DIVISORS_MAX], rows = 0;
    (void)out_has_more, (void)error;
    for (int64_t d = 0; d < DIVISORS_MAX; d++) {
        divisors[rows] = d;
        counts[rows] = reducer->count[d];
        rows += reducer->count[d] > 0;
    }
    return numbers_give(context, 0, reducer->schema, (const int64_t *[]){divisors, counts}, rows);
}

int main(void)
{
    static const struct fletch_flow_functions maps = {.struct_size = sizeof maps, .process = map};
    static const struct fletch_flow_functions reduces = {
        .struct_size = sizeof reduces, .init = begin, .process = count, .finish = send_counts};
    static const struct fletch_flow_functions collects = {
        .struct_size = sizeof collects, .init = begin, .process = count};
    static const uint32_t key = 0;
    struct fletch_transport *transport;
    struct fletch_flow *flow = flow_begin(&transport);
    struct fletch_schema *schema = numbers_schema("divisors count");
    struct counting counting = {.schema = schema, .rows = ROWS, .keys = 1};
    struct reducer reducers[REDUCERS] = {{.schema = schema}, {.schema = schema}};
    struct reducer totals = {.collects = true};
    struct fletch_flow_edge shuffle = {
        .kind = FLETCH_FLOW_HASH, .schema = schema, .key_columns = &key, .key_column_count = 1};
    struct fletch_flow_edge gather = {.kind = FLETCH_FLOW_REBALANCE, .schema = schema};

    uint32_t numbers = add_source(flow, "numbers", &counting_source, &counting, 2);
    uint32_t mapped = add_stage(flow, "map", &maps, schema, 2);
    uint32_t reduced = add_stage(flow, "reduce", &reduces, reducers, REDUCERS);
    uint32_t collected = add_sink(flow, "collect", &collects, &totals, 1);
    join(flow, numbers, mapped, (struct fletch_flow_edge){.kind = FLETCH_FLOW_FORWARD});
    join(flow, mapped, reduced, shuffle);
    join(flow, reduced, collected, gather);
    flow_run(flow, transport);

    printf("%" PRId64 " primes below %d\n", totals.count[2], ROWS);
    must_be(totals.count[1] == 1 && totals.count[2] == 2262, "as the tables of primes have it");
    fletch_schema_release(schema);
    return 0;
}
