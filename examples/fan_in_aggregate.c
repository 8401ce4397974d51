/* Several producers, one aggregate: three sources of different kinds and numbers of instances
 * all send to one input of a sink. Each batch comes once, those of one producer in its order. A
 * barrier that is sent in the middle reaches the sink once, when all producers have sent it. */

#include "kit.h"

#include <inttypes.h>
#include <stdio.h>

enum { SOURCES = 3, ROWS = 400000 };

struct total {
    int64_t rows;
    int64_t sum;
    int64_t rows_at_barrier;
    int barriers;
};

static enum fletch_status add_up(struct fletch_flow_context *context, void *state, uint32_t input,
                                 struct fletch_batch *batch, struct fletch_error *error)
{
    struct total *total = state;
    const int64_t *values = numbers_column(batch, fletch_flow_context_cache(context), 1);
    (void)input, (void)error;
    total->rows += fletch_batch_row_count(batch);
    for (int64_t i = 0; i < fletch_batch_row_count(batch); i++)
        total->sum += values[i];
    return FLETCH_OK;
}

/* The place to save a state: all that came before the barrier is in it, nothing that came after. */
static enum fletch_status save(struct fletch_flow_context *context, void *state, uint64_t id,
                               struct fletch_error *error)
{
    struct total *total = state;
    (void)context, (void)id, (void)error;
    total->rows_at_barrier = total->rows;
    total->barriers++;
    return FLETCH_OK;
}

int main(void)
{
    static const struct fletch_flow_functions aggregate = {
        .struct_size = sizeof aggregate, .process = add_up, .on_barrier = save};
    static const char *const names[SOURCES] = {"east", "west", "north"};
    struct fletch_transport *transport;
    struct fletch_flow *flow = flow_begin(&transport);
    struct fletch_schema *schema = numbers_schema("key value");
    struct counting counting = {.schema = schema, .rows = ROWS, .keys = 10};
    struct total total = {.rows = 0};
    struct fletch_error error;

    uint32_t sink = add_sink(flow, "total", &aggregate, &total, 1);
    for (uint32_t i = 0; i < SOURCES; i++) {
        uint32_t source = add_source(flow, names[i], &counting_source, &counting, i + 1);
        join(flow, source, sink,
             (struct fletch_flow_edge){.kind = FLETCH_FLOW_REBALANCE, .schema = schema});
    }
    must(fletch_flow_start(flow, &error), &error);
    enum fletch_status status = fletch_flow_barrier(flow, 1, &error);
    must_be(status == FLETCH_OK || status == FLETCH_FAILED_PRECONDITION,
            "sent, unless all is over");
    must(fletch_flow_wait(flow, FLETCH_NO_TIMEOUT, &error), &error);
    must(fletch_flow_destroy(flow, 0, &error), &error);
    must(fletch_transport_destroy(transport, &error), &error);

    printf("%" PRId64 " rows, of which %" PRId64 " before the barrier; sum %" PRId64 "\n",
           total.rows, total.rows_at_barrier, total.sum);
    must_be(total.rows == SOURCES * ROWS, "no row is lost or repeated");
    must_be(total.sum == SOURCES * ((int64_t)ROWS * (ROWS - 1) / 2), "the sum is right");
    must_be(total.barriers <= 1 && total.rows_at_barrier <= total.rows, "one barrier, if any");
    fletch_schema_release(schema);
    return 0;
}
