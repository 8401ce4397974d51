#include "flow/flow_call.h"

#include "base/inlining.h"
#include "base/status.h"
#include "flow/flow_abort.h"
#include "flow/flow_task.h"
#include "memory/batch.h"

/* Before one: its time begins, and a failure that says nothing shall not tell an old one's. */
static struct fletch_error *begin(struct fletch_flow_context *context)
{
    struct fletch_error *error = &context->task->error;
    if (context->task->running != context)
        fletch_task_clock(context->task, context);
    error->message[0] = '\0';
    context->may_emit = true;
    return error;
}

enum fletch_status fletch_call_init(struct fletch_flow_context *context)
{
    const struct fletch_flow_functions *functions = &context->node->functions;
    enum fletch_status status = FLETCH_OK;
    context->state = context->node->argument;
    if (functions->init != NULL) {
        struct fletch_error *error = begin(context);
        context->may_emit = false;
        status = functions->init(context, context->node->argument, &context->state, error);
    }
    context->is_begun = status == FLETCH_OK;
    return fletch_call_end(context, status);
}

enum fletch_status fletch_call_produce(struct fletch_flow_context *context, bool *out_has_more)
{
    struct fletch_error *error = begin(context);
    /* relaxed: a look, so that the exchange is rare */
    if (load_relaxed(&context->waker.woken) != 0)
        exchange_acq_rel(&context->waker.woken, 0); /* F6 acquire, F6 release */
    *out_has_more = true;
    return fletch_call_end(
        context, context->node->functions.produce(context, context->state, out_has_more, error));
}

/* ---- that may be made again ---- */

/* A batch that was or is now refused: it waits on, or waits no more. */
static FLETCH_NEVER_INLINE enum fletch_status settle_owed(struct fletch_flow_context *context,
                                                          struct fletch_flow_inlet *inlet,
                                                          struct fletch_batch *batch,
                                                          enum fletch_status status)
{
    if (status == FLETCH_OK && context->owed.is_there) {
        context->owed.item = (struct fletch_flow_item){.kind = FLETCH_ITEM_BATCH, .batch = batch};
        context->owed.inlet = inlet;
        return FLETCH_OK;
    }
    if (context->owed.since_ns != 0) /* it had been refused */
        context->owed = (struct fletch_flow_owed){.is_there = false};
    fletch_batch_release(context->task->cache, batch);
    return status;
}

static FLETCH_ALWAYS_INLINE enum fletch_status process(struct fletch_flow_context *context,
                                                       struct fletch_flow_inlet *inlet,
                                                       struct fletch_batch *batch)
{
    struct fletch_error *error = begin(context);
    context->may_wait = true;
    enum fletch_status status =
        fletch_call_end(context, context->node->functions.process(context, context->state,
                                                                  inlet->input, batch, error));
    if (__builtin_expect(context->owed.is_there || context->owed.since_ns != 0, 0))
        return settle_owed(context, inlet, batch, status);
    fletch_batch_release_inline(context->task->cache, batch);
    return status;
}

enum fletch_status fletch_call_process(struct fletch_flow_context *context,
                                       struct fletch_flow_inlet *inlet, struct fletch_batch *batch)
{
    fletch_flow_count(&inlet->batches, 1);
    fletch_flow_count(&inlet->rows, (uint64_t)batch->row_count);
    return process(context, inlet, batch);
}

enum fletch_status fletch_call_watermark(struct fletch_flow_context *context, int64_t watermark)
{
    const struct fletch_flow_functions *functions = &context->node->functions;
    enum fletch_status status = FLETCH_OK;
    context->watermark = watermark;
    store_relaxed(&context->watermark_told, watermark); /* relaxed: a statistic */
    if (functions->on_watermark != NULL) {
        struct fletch_error *error = begin(context);
        context->may_wait = true;
        status = fletch_call_end(
            context, functions->on_watermark(context, context->state, watermark, error));
    }
    if (status == FLETCH_OK && context->owed.is_there) {
        context->owed.item =
            (struct fletch_flow_item){.kind = FLETCH_ITEM_WATERMARK, .value = (uint64_t)watermark};
        return FLETCH_OK;
    }
    if (context->owed.since_ns != 0) /* it had been refused */
        context->owed = (struct fletch_flow_owed){.is_there = false};
    if (status != FLETCH_OK || watermark == INT64_MAX) /* the end says that */
        return status;
    return fletch_flow_send_all(context, FLETCH_ITEM_WATERMARK, (uint64_t)watermark);
}

bool fletch_call_owed(struct fletch_flow_context *context)
{
    struct fletch_flow_owed *owed = &context->owed;
    struct fletch_flow_item item = owed->item;
    if (fletch_flow_now_ns(context->flow) < owed->at_ns) {
        fletch_task_look_at(context->task, owed->at_ns);
        return false;
    }
    owed->is_there = false; /* since_ns stays, for a call that is refused again */
    owed->item = (struct fletch_flow_item){.batch = NULL};
    if (item.kind == FLETCH_ITEM_BATCH)
        (void)process(context, owed->inlet, item.batch);
    else
        (void)fletch_call_watermark(context, (int64_t)item.value);
    return true;
}

/* ---- barriers ---- */

enum fletch_status fletch_call_barrier(struct fletch_flow_context *context, uint64_t id)
{
    const struct fletch_flow_functions *functions = &context->node->functions;
    enum fletch_status status = FLETCH_OK;
    if (functions->on_barrier != NULL) {
        struct fletch_error *error = begin(context);
        status =
            fletch_call_end(context, functions->on_barrier(context, context->state, id, error));
    }
    if (status == FLETCH_OK)
        status = fletch_flow_send_all(context, FLETCH_ITEM_BARRIER, id);
    if (status != FLETCH_OK)
        return status;
    fletch_flow_count(&context->barrier_count, 1);
    fletch_flow_pass_barrier(context, id);
    return fletch_flow_pass_aborted(context);
}

enum fletch_status fletch_call_barrier_abort(struct fletch_flow_context *context, uint64_t id)
{
    const struct fletch_flow_functions *functions = &context->node->functions;
    fletch_flow_count(&context->abort_count, 1);
    if (functions->on_barrier_abort == NULL)
        return FLETCH_OK;
    struct fletch_error *error = begin(context);
    return fletch_call_end(context,
                           functions->on_barrier_abort(context, context->state, id, error));
}

/* ---- the end ---- */

enum fletch_status fletch_call_input_end(struct fletch_flow_context *context, uint32_t input)
{
    const struct fletch_flow_functions *functions = &context->node->functions;
    if (functions->on_input_end == NULL)
        return FLETCH_OK;
    struct fletch_error *error = begin(context);
    return fletch_call_end(context, functions->on_input_end(context, context->state, input, error));
}

enum fletch_status fletch_call_finish(struct fletch_flow_context *context, bool *out_has_more)
{
    const struct fletch_flow_functions *functions = &context->node->functions;
    *out_has_more = false;
    if (functions->finish == NULL)
        return FLETCH_OK;
    struct fletch_error *error = begin(context);
    return fletch_call_end(context,
                           functions->finish(context, context->state, out_has_more, error));
}
