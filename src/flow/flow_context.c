#include "flow/flow_context.h"

#include "base/checked.h"
#include "base/inlining.h"
#include "base/status.h"
#include "flow/flow_outlet.h"
#include "flow/flow_task.h"
#include "flow/flow_wanted.h"

/* ---- who it is ---- */

uint32_t fletch_flow_context_instance(const struct fletch_flow_context *context)
{
    return context->number;
}

uint32_t fletch_flow_context_instance_count(const struct fletch_flow_context *context)
{
    return context->node->instance_count;
}

const char *fletch_flow_context_name(const struct fletch_flow_context *context)
{
    return context->node->name;
}

struct fletch_buffer_cache *fletch_flow_context_cache(const struct fletch_flow_context *context)
{
    return context->task->cache;
}

struct fletch_flow_waker *fletch_flow_context_waker(struct fletch_flow_context *context)
{
    return &context->waker;
}

bool fletch_flow_context_is_stopping(const struct fletch_flow_context *context)
{
    const struct fletch_flow *flow = context->flow;
    /* relaxed: a wish, no data behind it */
    return fletch_flow_has_failed(flow) || load_relaxed(&flow->is_draining) != 0;
}

/* ---- what it sends ---- */

/* A failure of sending stops the flow, whatever the function that called makes of it. */
static enum fletch_status tell(struct fletch_flow_context *context, enum fletch_status status,
                               const struct fletch_error *cause, struct fletch_error *error)
{
    fletch_flow_fail(context->flow, context, status, cause);
    if (error != NULL)
        *error = *cause;
    return status;
}

static enum fletch_status check_output(const struct fletch_flow_context *context, uint32_t output,
                                       struct fletch_error *error)
{
    if (!context->may_emit)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "stage '%s' cannot emit here: only while one of its functions "
                                "runs, but for init and close",
                                context->node->name);
    if (output >= context->node->output_count)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "output %u of stage '%s' was emitted to, it has %u", output,
                                context->node->name, context->node->output_count);
    return FLETCH_OK;
}

/* A batch to one edge, whose reference is taken but for a failure. */
static enum fletch_status send_batch(struct fletch_flow_context *context,
                                     struct fletch_flow_outlet *outlet, struct fletch_batch *batch,
                                     struct fletch_error *error)
{
    const struct fletch_flow_item item = {.kind = FLETCH_ITEM_BATCH, .batch = batch};
    if (fletch_outlet_is_wanted(outlet))
        return fletch_outlet_send(context, outlet, &item, error);
    fletch_outlet_drop(context, outlet, batch);
    return FLETCH_OK;
}

/* What an idle source emits goes behind its last watermark again. */
static enum fletch_status end_idleness(struct fletch_flow_context *context,
                                       struct fletch_error *error)
{
    if (!context->is_idle || context->node->kind != FLETCH_NODE_SOURCE)
        return FLETCH_OK;
    enum fletch_status status = fletch_flow_set_idle(context, false);
    if (status != FLETCH_OK && error != NULL && error != &context->task->error)
        *error = context->task->error;
    return status;
}

/* The frequent case: one edge, FORWARD, with room. False: nothing was done. */
static FLETCH_ALWAYS_INLINE bool give_fast(struct fletch_flow_context *context, uint32_t output,
                                           struct fletch_batch *batch)
{
    if (!context->may_emit || context->is_idle || output >= context->node->output_count)
        return false;
    uint32_t first = context->first_outlets[output];
    struct fletch_flow_outlet *outlet = &context->outlets[first];
    if (context->first_outlets[output + 1] != first + 1 || !fletch_outlet_is_wanted(outlet) ||
        !fletch_outlet_push_batch(context, outlet, batch))
        return false;
    fletch_flow_count(&context->batches_out, 1);
    return true;
}

/* Apart, so that the fast way has no frame: a store there waits behind those into the ring, whose
 * lines come from the other core. */
static FLETCH_NEVER_INLINE enum fletch_status give_slowly(struct fletch_flow_context *context,
                                                          uint32_t output,
                                                          struct fletch_batch *batch,
                                                          struct fletch_error *error)
{
    struct fletch_error cause;
    enum fletch_status status = check_output(context, output, error);
    if (status == FLETCH_OK)
        status = end_idleness(context, error);
    if (status != FLETCH_OK)
        return status;
    uint32_t first = context->first_outlets[output], end = context->first_outlets[output + 1];
    fletch_flow_count(&context->batches_out, 1);
    for (uint32_t i = first; i + 1 < end; i++) {
        fletch_batch_acquire(batch);
        status = send_batch(context, &context->outlets[i], batch, &cause);
        if (status != FLETCH_OK) {
            fletch_batch_release(context->task->cache, batch);
            return tell(context, status, &cause, error);
        }
    }
    if (first == end) {
        fletch_batch_release(context->task->cache, batch);
        return FLETCH_OK;
    }
    status = send_batch(context, &context->outlets[end - 1], batch, &cause);
    return status == FLETCH_OK ? FLETCH_OK : tell(context, status, &cause, error);
}

enum fletch_status fletch_flow_give(struct fletch_flow_context *context, uint32_t output,
                                    struct fletch_batch *batch, struct fletch_error *error)
{
    if (__builtin_expect(give_fast(context, output, batch), 1))
        return FLETCH_OK;
    return give_slowly(context, output, batch, error);
}

enum fletch_status fletch_flow_emit(struct fletch_flow_context *context, uint32_t output,
                                    struct fletch_batch *batch, struct fletch_error *error)
{
    enum fletch_status status =
        fletch_flow_give(context, output, fletch_batch_acquire(batch), error);
    if (status != FLETCH_OK)
        fletch_batch_release(context->task->cache, batch);
    return status;
}

enum fletch_status fletch_flow_send_all(struct fletch_flow_context *context,
                                        enum fletch_flow_item_kind kind, uint64_t value)
{
    const struct fletch_flow_item item = {.kind = kind, .value = value};
    for (uint32_t i = 0; i < context->outlet_count; i++) {
        struct fletch_error *error = &context->task->error;
        enum fletch_status status = fletch_outlet_send(context, &context->outlets[i], &item, error);
        if (status != FLETCH_OK) {
            fletch_flow_fail(context->flow, context, status, error);
            return status;
        }
    }
    return FLETCH_OK;
}

enum fletch_status fletch_flow_set_idle(struct fletch_flow_context *context, bool is_idle)
{
    context->is_idle = is_idle;
    store_relaxed(&context->idle_shown, is_idle); /* relaxed: a statistic */
    if (is_idle)
        return fletch_flow_send_all(context, FLETCH_ITEM_IDLE, 0);
    return fletch_flow_send_all(context, FLETCH_ITEM_WATERMARK, (uint64_t)context->watermark);
}

static enum fletch_status check_source(const struct fletch_flow_context *context, const char *what,
                                       struct fletch_error *error)
{
    if (context->node->kind == FLETCH_NODE_SOURCE && context->may_emit)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                            "stage '%s' cannot %s: sources can, while one of their functions runs",
                            context->node->name, what);
}

enum fletch_status fletch_flow_emit_watermark(struct fletch_flow_context *context,
                                              int64_t watermark, struct fletch_error *error)
{
    enum fletch_status status = check_source(context, "emit a watermark", error);
    if (status == FLETCH_OK)
        status = end_idleness(context, error);
    if (watermark == INT64_MAX)
        watermark = INT64_MAX - 1; /* the last one is for the end to say */
    if (status != FLETCH_OK || watermark <= context->watermark)
        return status;
    context->watermark = watermark;
    store_relaxed(&context->watermark_told, watermark); /* relaxed: a statistic */
    status = fletch_flow_send_all(context, FLETCH_ITEM_WATERMARK, (uint64_t)watermark);
    if (status != FLETCH_OK && error != NULL && error != &context->task->error)
        *error = context->task->error;
    return status;
}

enum fletch_status fletch_flow_emit_idle(struct fletch_flow_context *context,
                                         struct fletch_error *error)
{
    enum fletch_status status = check_source(context, "fall idle", error);
    if (status != FLETCH_OK || context->is_idle)
        return status;
    status = fletch_flow_set_idle(context, true);
    if (status != FLETCH_OK && error != NULL && error != &context->task->error)
        *error = context->task->error;
    return status;
}

/* ---- when it is called again ---- */

void fletch_flow_pause(struct fletch_flow_context *context, uint64_t duration_ns)
{
    context->paused_until_ns =
        fletch_saturating_add_u64(fletch_flow_now_ns(context->flow), duration_ns);
}

enum fletch_status fletch_flow_wait_for_memory(struct fletch_flow_context *context,
                                               struct fletch_error *error)
{
    struct fletch_flow_owed *owed = &context->owed;
    if (!context->may_wait)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "stage '%s' cannot wait for memory here: only in process and "
                                "on_watermark",
                                context->node->name);
    uint64_t now_ns = fletch_flow_now_ns(context->flow);
    if (owed->since_ns == 0)
        owed->since_ns = now_ns;
    if (now_ns - owed->since_ns >= context->flow->memory_timeout_ns) {
        struct fletch_error cause = *error;
        return fletch_error_set(
            error, FLETCH_RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED: no memory for %llu ms: %.350s",
            (unsigned long long)((now_ns - owed->since_ns) / 1000000), cause.message);
    }
    owed->is_there = true;
    owed->at_ns = now_ns + FLETCH_FLOW_MEMORY_LOOK_NS;
    return FLETCH_OK;
}

void fletch_flow_want_no_more(struct fletch_flow_context *context)
{
    context->wants_no_more = true;
}

bool fletch_flow_output_is_wanted(const struct fletch_flow_context *context, uint32_t output)
{
    if (output >= context->node->output_count)
        return false;
    uint32_t first = context->first_outlets[output], end = context->first_outlets[output + 1];
    for (uint32_t i = first; i < end; i++)
        if (fletch_outlet_is_wanted(&context->outlets[i]))
            return true;
    return first == end;
}
