#include "flow/flow_instance.h"

#include "base/status.h"
#include "flow/flow_abort.h"
#include "flow/flow_call.h"
#include "flow/flow_input.h"
#include "flow/flow_order.h"
#include "flow/flow_outlet.h"
#include "flow/flow_task.h"
#include "flow/flow_wanted.h"

/* Things that it does in a step, at most. */
enum { THINGS_PER_STEP = 32 };

/* ---- sources ---- */

static bool is_paused(struct fletch_flow_context *context)
{
    if (context->paused_until_ns == 0)
        return false;
    /* relaxed: a look; the exchange before produce acquires */
    if (load_relaxed(&context->waker.woken) == 0 &&
        fletch_flow_now_ns(context->flow) < context->paused_until_ns) {
        fletch_task_look_at(context->task, context->paused_until_ns);
        return true;
    }
    context->paused_until_ns = 0;
    return false;
}

static bool produce_one(struct fletch_flow_context *context)
{
    struct fletch_flow *flow = context->flow;
    /* relaxed: written by this thread only */
    uint64_t passed = load_relaxed(&context->barriers_passed);
    if (load_acquire(&flow->barriers_asked) > passed) { /* F4 acquire */
        /* relaxed: after the acquire */
        uint64_t id = load_relaxed(&flow->barrier_ids[passed % FLETCH_FLOW_BARRIERS_MOST]);
        (void)fletch_call_barrier(context, id);
        return true;
    }
    if (!context->may_begin && !fletch_flow_may_begin(context))
        return false;
    context->may_begin = true;
    if (load_relaxed(&flow->is_draining) != 0) { /* relaxed: a wish, no data behind it */
        context->phase = FLETCH_INSTANCE_FINISHING;
        return true;
    }
    if (is_paused(context))
        return false;
    bool has_more = true;
    (void)fletch_call_produce(context, &has_more);
    if (!has_more)
        context->phase = FLETCH_INSTANCE_FINISHING;
    return true;
}

/* ---- the end ---- */

static enum fletch_status finish(struct fletch_flow_context *context)
{
    bool has_more;
    enum fletch_status status = fletch_call_finish(context, &has_more);
    if (status != FLETCH_OK || has_more)
        return status;
    status = fletch_flow_hear_aborts(context);
    if (status != FLETCH_OK)
        return status;
    context->phase = FLETCH_INSTANCE_ENDING;
    return fletch_flow_send_all(context, FLETCH_ITEM_END, 0);
}

static void end(struct fletch_flow_context *context)
{
    context->phase = FLETCH_INSTANCE_ENDED;
    store_relaxed(&context->doing, FLETCH_DOING_NOTHING); /* relaxed: a statistic */
}

/* Its end has gone: nobody waits for it any more, though something may still come in. */
static void take_leave(struct fletch_flow_context *context)
{
    store_release(&context->aborts_seen, UINT64_MAX);     /* F9 release */
    store_release(&context->barriers_passed, UINT64_MAX); /* F5 release */
    fletch_eventcount_notify_inline(&context->flow->changed, UINT32_MAX);
    context->phase = FLETCH_INSTANCE_DRAINING;
    if (context->open_inlets == 0)
        end(context);
}

static bool drain(struct fletch_flow_context *context)
{
    bool has_dropped = fletch_flow_drain(context);
    if (context->open_inlets == 0)
        end(context);
    return has_dropped;
}

void fletch_instance_close(struct fletch_flow_context *context)
{
    if (!context->is_begun)
        return;
    context->is_begun = false;
    if (context->node->functions.close != NULL)
        context->node->functions.close(context, context->state);
}

/* ---- a step ---- */

static bool run_one(struct fletch_flow_context *context)
{
    if (context->wants_no_more) {
        fletch_flow_stop_reading(context);
        return true;
    }
    if (context->owed.is_there)
        return fletch_call_owed(context);
    return context->node->kind == FLETCH_NODE_SOURCE ? produce_one(context)
                                                     : fletch_flow_take_one(context);
}

static bool finish_one(struct fletch_flow_context *context)
{
    if (context->owed.is_there) /* the last watermark */
        return fletch_call_owed(context);
    (void)finish(context);
    return true;
}

/* One thing. False: there is nothing to do. */
static bool do_one(struct fletch_flow_context *context)
{
    switch (context->phase) {
    case FLETCH_INSTANCE_NEW:
        if (fletch_call_init(context) == FLETCH_OK)
            context->phase = FLETCH_INSTANCE_RUNNING;
        return true;
    case FLETCH_INSTANCE_RUNNING:
        return run_one(context);
    case FLETCH_INSTANCE_FINISHING:
        return finish_one(context);
    case FLETCH_INSTANCE_ENDING:
        take_leave(context);
        return true;
    case FLETCH_INSTANCE_DRAINING:
        return drain(context);
    case FLETCH_INSTANCE_ENDED:
        break;
    }
    return false;
}

/* Whether all that was emitted has gone as far as it must before anything else is done. */
static bool is_clear(struct fletch_flow_context *context)
{
    bool is_blocked = false;
    for (uint32_t i = 0; i < context->outlet_count; i++) {
        struct fletch_flow_outlet *outlet = &context->outlets[i];
        enum fletch_status status = fletch_outlet_flush(context, outlet, &context->task->error);
        if (status != FLETCH_OK) {
            (void)fletch_call_end(context, status);
            context->has_moved = true;
            return false;
        }
        is_blocked |= outlet->is_blocked;
    }
    return !is_blocked;
}

/* What others have asked for: looked at in each step, not for each thing. */
static void look_around(struct fletch_flow_context *context)
{
    if (context->phase == FLETCH_INSTANCE_RUNNING && !fletch_flow_is_wanted(context))
        context->wants_no_more = true;
    if (context->phase > FLETCH_INSTANCE_NEW && context->phase < FLETCH_INSTANCE_DRAINING &&
        fletch_flow_has_unheard(context)) {
        (void)fletch_flow_hear_aborts(context);
        context->has_moved = true;
    }
}

bool fletch_instance_step(struct fletch_flow_context *context)
{
    context->has_moved = false;
    look_around(context);
    for (int i = 0; i < THINGS_PER_STEP && context->phase != FLETCH_INSTANCE_ENDED; i++) {
        if (fletch_flow_is_failing(context->flow) || !is_clear(context) || !do_one(context))
            break;
        context->has_moved = true;
    }
    return context->has_moved;
}

bool fletch_instance_linger(struct fletch_flow_context *context, uint64_t now_ns)
{
    context->has_moved = false;
    for (uint32_t i = 0; i < context->outlet_count; i++) {
        enum fletch_status status =
            fletch_outlet_linger(context, &context->outlets[i], now_ns, &context->task->error);
        if (status != FLETCH_OK) {
            (void)fletch_call_end(context, status);
            return true;
        }
    }
    return context->has_moved;
}
