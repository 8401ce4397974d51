/* Filter, map, aggregate: the even values, squared, added up. The source and the filter share a
 * thread, since FORWARD edges fuse; map and sum run on a second one, which the edge that is apart
 * begins. Batches are handed on by reference. */

#include "kit.h"

#include <inttypes.h>
#include <stdio.h>

enum { ROWS = 1000000, ROWS_MOST = 1000 };

static enum fletch_status keep_even(struct fletch_flow_context *context, void *schema,
                                    uint32_t input, struct fletch_batch *batch,
                                    struct fletch_error *error)
{
    struct fletch_buffer_cache *cache = fletch_flow_context_cache(context);
    const int64_t *keys = numbers_column(batch, cache, 0);
    const int64_t *values = numbers_column(batch, cache, 1);
    int64_t kept_keys[ROWS_MOST], kept_values[ROWS_MOST], kept = 0;
    (void)input, (void)error;
    for (int64_t i = 0; i < fletch_batch_row_count(batch); i++) {
        kept_keys[kept] = keys[i];
        kept_values[kept] = values[i];
        kept += values[i] % 2 == 0;
    }
    return numbers_give(context, 0, schema, (const int64_t *[]){kept_keys, kept_values}, kept);
}

static enum fletch_status square(struct fletch_flow_context *context, void *schema, uint32_t input,
                                 struct fletch_batch *batch, struct fletch_error *error)
{
    struct fletch_buffer_cache *cache = fletch_flow_context_cache(context);
    const int64_t *values = numbers_column(batch, cache, 1);
    int64_t squares[ROWS_MOST], rows = fletch_batch_row_count(batch);
    (void)input, (void)error;
    for (int64_t i = 0; i < rows; i++)
        squares[i] = values[i] * values[i];
    return numbers_give(context, 0, schema,
                        (const int64_t *[]){numbers_column(batch, cache, 0), squares}, rows);
}

static enum fletch_status add_up(struct fletch_flow_context *context, void *sum, uint32_t input,
                                 struct fletch_batch *batch, struct fletch_error *error)
{
    const int64_t *values = numbers_column(batch, fletch_flow_context_cache(context), 1);
    (void)input, (void)error;
    for (int64_t i = 0; i < fletch_batch_row_count(batch); i++)
        *(int64_t *)sum += values[i];
    return FLETCH_OK;
}

int main(void)
{
    static const struct fletch_flow_functions filter = {.struct_size = sizeof filter,
                                                        .process = keep_even};
    static const struct fletch_flow_functions map = {.struct_size = sizeof map, .process = square};
    static const struct fletch_flow_functions aggregate = {.struct_size = sizeof aggregate,
                                                           .process = add_up};
    struct fletch_transport *transport;
    struct fletch_flow *flow = flow_begin(&transport);
    struct fletch_schema *schema = numbers_schema("key value");
    struct counting counting = {.schema = schema, .rows = ROWS, .keys = 10};
    int64_t sum = 0, expected = 0;

    uint32_t numbers = add_source(flow, "numbers", &counting_source, &counting, 1);
    uint32_t even = add_stage(flow, "even", &filter, schema, 1);
    uint32_t squares = add_stage(flow, "squares", &map, schema, 1);
    uint32_t total = add_sink(flow, "total", &aggregate, &sum, 1);
    join(flow, numbers, even, (struct fletch_flow_edge){.kind = FLETCH_FLOW_FORWARD});
    join(flow, even, squares, (struct fletch_flow_edge){.is_apart = 1});
    join(flow, squares, total, (struct fletch_flow_edge){.kind = FLETCH_FLOW_FORWARD});
    flow_run(flow, transport);

    for (int64_t i = 0; i < ROWS; i += 2)
        expected += i * i;
    printf("sum of the squares of even numbers below %d: %" PRId64 "\n", ROWS, sum);
    must_be(sum == expected, "the sum is that of a loop");
    fletch_schema_release(schema);
    return 0;
}
