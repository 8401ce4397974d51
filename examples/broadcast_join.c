/* A join with a small table: all of it goes to each instance of the join, which reads it to its end
 * before it begins to read the large one. So the large one is never moved, nor held in memory. */

#include "kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 100, ROWS = 500000, INSTANCES = 2, TABLE = 0, FACTS = 1 };

/* The value of each key, as the table has it; and what came out, of one instance. */
struct joiner {
    int64_t factor[KEYS];
    bool is_built;
    int64_t sum;
};

static enum fletch_status begin(struct fletch_flow_context *context, void *argument,
                                void **out_state, struct fletch_error *error)
{
    (void)error;
    *out_state = (struct joiner *)argument + fletch_flow_context_instance(context);
    return FLETCH_OK;
}

static enum fletch_status build_or_probe(struct fletch_flow_context *context, void *state,
                                         uint32_t input, struct fletch_batch *batch,
                                         struct fletch_error *error)
{
    struct joiner *joiner = state;
    struct fletch_buffer_cache *cache = fletch_flow_context_cache(context);
    const int64_t *keys = numbers_column(batch, cache, 0);
    const int64_t *values = numbers_column(batch, cache, 1);
    (void)error;
    must_be(joiner->is_built == (input == FACTS), "the table comes first, all of it");
    for (int64_t i = 0; i < fletch_batch_row_count(batch); i++) {
        if (input == TABLE)
            joiner->factor[keys[i]] = values[i];
        else
            joiner->sum += values[i] * joiner->factor[keys[i]];
    }
    return FLETCH_OK;
}

static enum fletch_status note_end(struct fletch_flow_context *context, void *state, uint32_t input,
                                   struct fletch_error *error)
{
    (void)context, (void)error;
    ((struct joiner *)state)->is_built |= input == TABLE;
    return FLETCH_OK;
}

int main(void)
{
    static const struct fletch_flow_functions functions = {.struct_size = sizeof functions,
                                                           .init = begin,
                                                           .process = build_or_probe,
                                                           .on_input_end = note_end};
    struct joiner joiners[INSTANCES] = {{.sum = 0}};
    struct fletch_transport *transport;
    struct fletch_flow *flow = flow_begin(&transport);
    struct fletch_schema *schema = numbers_schema("key value");
    struct counting small = {.schema = schema, .rows = KEYS, .keys = KEYS};
    struct counting large = {.schema = schema, .rows = ROWS, .keys = KEYS};
    struct fletch_flow_stage join_stage = {.struct_size = sizeof join_stage,
                                           .name = "join",
                                           .functions = &functions,
                                           .argument = joiners,
                                           .instance_count = INSTANCES,
                                           .reads_in_order = 1};
    struct fletch_error error;
    uint32_t joined = 0;
    int64_t sum = 0, expected = 0, factor[KEYS];

    uint32_t table = add_source(flow, "table", &counting_source, &small, 1);
    uint32_t facts = add_source(flow, "facts", &counting_source, &large, INSTANCES);
    must(fletch_flow_add_sink(flow, &join_stage, &joined, &error), &error);
    join(flow, table, joined,
         (struct fletch_flow_edge){
             .kind = FLETCH_FLOW_BROADCAST, .schema = schema, .to_input = TABLE});
    join(flow, facts, joined, (struct fletch_flow_edge){.is_apart = 1, .to_input = FACTS});
    flow_run(flow, transport);

    for (int64_t row = 0; row < KEYS; row++)
        factor[row * 7 % KEYS] = row;
    for (int64_t row = 0; row < ROWS; row++)
        expected += row * factor[row * 7 % KEYS];
    for (int i = 0; i < INSTANCES; i++)
        sum += joiners[i].sum;
    printf("%d rows joined with %d, sum of products %" PRId64 "\n", ROWS, KEYS, sum);
    must_be(sum == expected, "the sum is that of a loop");
    fletch_schema_release(schema);
    return 0;
}
