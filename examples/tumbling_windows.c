/* Tumbling windows: sums of each 10 seconds of event time. Events come a little out of order; a
 * watermark says how far they have come for certain, and closes windows. What comes later than that
 * is counted apart. */

#include "kit.h"

#include <inttypes.h>
#include <stdio.h>

enum { SECONDS = 1000, WINDOW = 10, AT_ONCE = 100, DISORDER = 5, LATE = 997 };

struct totals {
    int64_t windows, sum, late;
    int64_t of_window; /* that is being given out */
};

/* One event for each second, its value the second; of five in a row the last comes first, and one
 * comes much too late. */
static enum fletch_status produce(struct fletch_flow_context *context, void *state,
                                  bool *out_has_more, struct fletch_error *error)
{
    static int64_t next = 0;
    int64_t times[AT_ONCE], values[AT_ONCE];
    for (int64_t i = 0; i < AT_ONCE; i++, next++) {
        times[i] = next / DISORDER * DISORDER + (DISORDER - 1 - next % DISORDER);
        if (times[i] == LATE)
            times[i] = 0;
        values[i] = times[i];
    }
    *out_has_more = next < SECONDS;
    enum fletch_status status =
        numbers_give(context, 0, state, (const int64_t *[]){times, values}, AT_ONCE);
    return status != FLETCH_OK ? status : fletch_flow_emit_watermark(context, next - 1, error);
}

/* Windows come one after the other, each in one batch or more. */
static enum fletch_status add_up(struct fletch_flow_context *context, void *argument,
                                 const struct fletch_window_rows *rows, struct fletch_error *error)
{
    struct totals *totals = argument;
    const int64_t *values = numbers_column(rows->batch, fletch_flow_context_cache(context), 1);
    (void)error;
    if (rows->kind != FLETCH_WINDOW_ROWS) {
        totals->late += fletch_batch_row_count(rows->batch);
        return FLETCH_OK;
    }
    for (int64_t i = 0; i < fletch_batch_row_count(rows->batch); i++)
        totals->of_window += values[i];
    if (!rows->is_last)
        return FLETCH_OK;
    if (totals->windows < 3)
        printf("[%" PRId64 ", %" PRId64 "): %" PRId64 "\n", rows->start, rows->end,
               totals->of_window);
    totals->sum += totals->of_window;
    totals->of_window = 0;
    totals->windows++;
    return FLETCH_OK;
}

int main(void)
{
    static const struct fletch_flow_functions events = {.struct_size = sizeof events,
                                                        .produce = produce};
    struct fletch_transport *transport;
    struct fletch_flow *flow = flow_begin(&transport);
    struct fletch_schema *schema = numbers_schema("second value");
    struct totals totals = {.windows = 0};
    const struct fletch_windows_options tumbling = {.struct_size = sizeof tumbling, .size = WINDOW};
    struct fletch_window_stage windows = {.struct_size = sizeof windows,
                                          .schema = schema,
                                          .windows = &tumbling,
                                          .on_rows = add_up,
                                          .argument = &totals};

    uint32_t source = add_source(flow, "events", &events, schema, 1);
    uint32_t sums = add_sink(flow, "sums", fletch_window_stage_functions(), &windows, 1);
    join(flow, source, sums, (struct fletch_flow_edge){.kind = FLETCH_FLOW_FORWARD});
    flow_run(flow, transport);
    fletch_schema_release(schema);

    printf("%" PRId64 " windows, sum %" PRId64 ", %" PRId64 " late\n", totals.windows, totals.sum,
           totals.late);
    must_be(totals.windows == SECONDS / WINDOW, "each window was given out");
    must_be(totals.sum == (int64_t)SECONDS * (SECONDS - 1) / 2 - LATE, "the sum is right");
    must_be(totals.late == 1, "one event was late");
    return 0;
}
