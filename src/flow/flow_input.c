#include "flow/flow_input.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/inlining.h"
#include "base/status.h"
#include "flow/flow_abort.h"
#include "flow/flow_call.h"
#include "flow/flow_inlet.h"
#include "flow/flow_order.h"
#include "flow/flow_task.h"
#include "memory/batch.h"
#include "shuffle/shuffle_reader.h"

/* ---- alignment ---- */

/* Whether each inlet that has not ended has delivered the barrier: then it is this instance's. */
static enum fletch_status align(struct fletch_flow_context *context)
{
    uint64_t id = 0;
    if (context->held_inlets == 0 || context->held_inlets < context->open_inlets)
        return FLETCH_OK;
    for (uint32_t i = 0; i < context->inlet_count; i++) {
        struct fletch_flow_inlet *inlet = &context->inlets[i];
        FLETCH_ASSERT(!inlet->is_held || id == 0 || id == inlet->barrier);
        if (inlet->is_held)
            id = inlet->barrier;
        inlet->is_held = false;
    }
    context->held_inlets = 0;
    return fletch_call_barrier(context, id);
}

static enum fletch_status take_barrier(struct fletch_flow_context *context,
                                       struct fletch_flow_inlet *inlet, uint64_t id)
{
    enum fletch_status status = fletch_flow_hear_aborts(context);
    if (status != FLETCH_OK || id <= context->last_barrier) /* it was given up, and passed so */
        return status;
    inlet->is_held = true;
    inlet->barrier = id;
    context->held_inlets++;
    return align(context);
}

/* ---- event time ---- */

/* The least watermark of the inlets that are neither idle nor ended, if it has grown. */
static enum fletch_status pass_watermark(struct fletch_flow_context *context)
{
    int64_t least = INT64_MAX;
    bool has_any = context->open_inlets == 0;
    for (uint32_t i = 0; i < context->inlet_count; i++) {
        const struct fletch_flow_inlet *inlet = &context->inlets[i];
        if (inlet->has_ended || inlet->is_idle)
            continue;
        has_any = true;
        if (inlet->watermark < least)
            least = inlet->watermark;
    }
    return has_any && least > context->watermark ? fletch_call_watermark(context, least)
                                                 : FLETCH_OK;
}

/* An instance is idle when all inlets are that have not ended; those downstream are told when that
 * changes. */
static enum fletch_status pass_idleness(struct fletch_flow_context *context)
{
    bool is_idle = context->open_inlets > 0;
    for (uint32_t i = 0; i < context->inlet_count; i++)
        is_idle &= context->inlets[i].has_ended || context->inlets[i].is_idle;
    if (is_idle == context->is_idle || context->open_inlets == 0)
        return FLETCH_OK;
    return fletch_flow_set_idle(context, is_idle);
}

static enum fletch_status set_inlet_idle(struct fletch_flow_context *context,
                                         struct fletch_flow_inlet *inlet, bool is_idle)
{
    inlet->is_idle = is_idle;
    enum fletch_status status = pass_idleness(context);
    return status == FLETCH_OK ? pass_watermark(context) : status;
}

static enum fletch_status take_watermark(struct fletch_flow_context *context,
                                         struct fletch_flow_inlet *inlet, int64_t watermark)
{
    bool was_idle = inlet->is_idle;
    if (watermark > inlet->watermark)
        inlet->watermark = watermark;
    return was_idle ? set_inlet_idle(context, inlet, false) : pass_watermark(context);
}

/* Whether all producers of a shuffle are idle or ended: to be asked before its reader is. */
static bool are_producers_quiet(const struct fletch_flow_inlet *inlet)
{
    return load_acquire(&inlet->link->active) == 0; /* F7 acquire */
}

/* ---- taking ---- */

/* Whether an input has ended: all its inlets have. */
static bool has_input_ended(const struct fletch_flow_context *context, uint32_t input)
{
    for (uint32_t i = 0; i < context->inlet_count; i++)
        if (context->inlets[i].input == input && !context->inlets[i].has_ended)
            return false;
    return true;
}

static enum fletch_status end_inlet(struct fletch_flow_context *context,
                                    struct fletch_flow_inlet *inlet)
{
    enum fletch_status status = FLETCH_OK;
    inlet->has_ended = true;
    context->open_inlets--;
    fletch_flow_pass_order(context);
    if (has_input_ended(context, inlet->input))
        status = fletch_call_input_end(context, inlet->input);
    if (status == FLETCH_OK)
        status = fletch_flow_hear_aborts(context);
    if (status == FLETCH_OK)
        status = align(context);
    if (status == FLETCH_OK)
        status = pass_idleness(context);
    if (status == FLETCH_OK)
        status = pass_watermark(context);
    if (status == FLETCH_OK && context->open_inlets == 0)
        context->phase = FLETCH_INSTANCE_FINISHING;
    return status;
}

/* A stage between has emitted while all was to wait: its batch can neither be processed nor stay
 * before the barrier that comes behind it. */
static FLETCH_NEVER_INLINE enum fletch_status refuse_early(struct fletch_flow_context *context,
                                                           struct fletch_flow_inlet *inlet,
                                                           struct fletch_batch *batch)
{
    const struct fletch_flow *flow = context->flow;
    fletch_batch_release(context->task->cache, batch);
    return fletch_call_end(
        context,
        fletch_error_set(&context->task->error, FLETCH_FAILED_PRECONDITION,
                         "'%s' has sent a batch to input %u, which is read after input %u has "
                         "ended: until then it may not emit, nor in on_barrier",
                         flow->nodes[inlet->link->edge.from_stage]->name, inlet->input,
                         /* relaxed: written by this thread only */
                         load_relaxed(&context->current_input)));
}

static FLETCH_ALWAYS_INLINE enum fletch_status take_batch(struct fletch_flow_context *context,
                                                          struct fletch_flow_inlet *inlet,
                                                          struct fletch_batch *batch)
{
    if (fletch_inlet_is_early(context, inlet))
        return refuse_early(context, inlet, batch);
    if (inlet->is_idle && set_inlet_idle(context, inlet, false) != FLETCH_OK) {
        fletch_batch_release(context->task->cache, batch);
        return FLETCH_ABORTED; /* the flow has failed */
    }
    /* The watermark that is told with that may wait for memory, or have been the last thing. */
    if (context->owed.is_there || context->wants_no_more) {
        inlet->kept = batch;
        return FLETCH_OK;
    }
    return fletch_call_process(context, inlet, batch);
}

static FLETCH_NEVER_INLINE enum fletch_status take_in(struct fletch_flow_context *context,
                                                      struct fletch_flow_inlet *inlet,
                                                      const struct fletch_flow_item *item)
{
    switch ((enum fletch_flow_item_kind)item->kind) {
    case FLETCH_ITEM_BATCH:
        return take_batch(context, inlet, item->batch);
    case FLETCH_ITEM_BARRIER:
        return take_barrier(context, inlet, item->value);
    case FLETCH_ITEM_WATERMARK:
        return take_watermark(context, inlet, (int64_t)item->value);
    case FLETCH_ITEM_IDLE:
        return set_inlet_idle(context, inlet, true);
    case FLETCH_ITEM_END:
        break;
    }
    return end_inlet(context, inlet);
}

static FLETCH_NEVER_INLINE void take_kept(struct fletch_flow_context *context,
                                          struct fletch_flow_inlet *inlet)
{
    struct fletch_batch *batch = inlet->kept;
    inlet->kept = NULL;
    (void)take_batch(context, inlet, batch);
}

/* False: nothing has come, as below. */
static FLETCH_NEVER_INLINE bool take_of_shuffle(struct fletch_flow_context *context,
                                                struct fletch_flow_inlet *inlet)
{
    struct fletch_flow_item item;
    bool has_item = false, is_quiet = are_producers_quiet(inlet);
    enum fletch_status status =
        fletch_inlet_take(context, inlet, &item, &has_item, &context->task->error);
    if (status != FLETCH_OK)
        (void)fletch_call_end(context, status);
    else if (has_item)
        (void)take_in(context, inlet, &item);
    else if (is_quiet != inlet->is_idle &&
             (!is_quiet || fletch_shuffle_reader_is_empty(inlet->reader)))
        (void)set_inlet_idle(context, inlet, is_quiet);
    else
        return false;
    return true;
}

/* Of a FORWARD edge the batch is all that is in one function: a call for each step of it would cost
 * more than the step. */
static FLETCH_ALWAYS_INLINE bool take_of(struct fletch_flow_context *context,
                                         struct fletch_flow_inlet *inlet)
{
    struct fletch_flow_item item;
    if (__builtin_expect(inlet->kept != NULL, 0)) {
        take_kept(context, inlet);
        return true;
    }
    if (inlet->reader != NULL)
        return take_of_shuffle(context, inlet);
    if (!fletch_inlet_pop(context, inlet, &item))
        return false;
    if (__builtin_expect(item.kind == FLETCH_ITEM_BATCH, 1))
        (void)take_batch(context, inlet, item.batch);
    else
        (void)take_in(context, inlet, &item);
    return true;
}

bool fletch_flow_take_one(struct fletch_flow_context *context)
{
    for (uint32_t i = 0; i < context->inlet_count; i++) {
        struct fletch_flow_inlet *inlet = &context->inlets[context->next_inlet];
        if (++context->next_inlet == context->inlet_count)
            context->next_inlet = 0;
        if (!inlet->is_held && !inlet->has_ended && take_of(context, inlet))
            return true;
    }
    return false;
}
