#include "flow/flow_wanted.h"

#include "flow/flow_call.h"
#include "flow/flow_inlet.h"
#include "flow/flow_order.h"
#include "flow/flow_run.h"
#include "flow/flow_task.h"
#include "memory/batch.h"

/* ---- who sends ---- */

bool fletch_flow_is_wanted(const struct fletch_flow_context *context)
{
    if (context->outlet_count == 0 || context->node->reads_to_end)
        return true;
    for (uint32_t i = 0; i < context->outlet_count; i++)
        if (fletch_outlet_is_wanted(&context->outlets[i]))
            return true;
    return false;
}

void fletch_outlet_drop(struct fletch_flow_context *context, struct fletch_flow_outlet *outlet,
                        struct fletch_batch *batch)
{
    fletch_flow_count(&outlet->batches_unread, 1);
    fletch_flow_count(&outlet->rows_unread, (uint64_t)batch->row_count);
    fletch_batch_release(context->task->cache, batch);
}

/* ---- who reads ---- */

/* The last one that wanted something wakes those who send it. */
static void want_nothing_of(struct fletch_flow_context *context, struct fletch_flow_inlet *inlet)
{
    /* relaxed: a wish, no data behind it */
    if (!inlet->has_ended && fetch_sub_relaxed(inlet->wanting, 1) == 1)
        fletch_flow_notify_stage(context->flow, inlet->link->edge.from_stage);
}

static void drop_batch(struct fletch_flow_context *context, struct fletch_flow_inlet *inlet,
                       struct fletch_batch *batch)
{
    fletch_flow_count(&inlet->batches_unread, 1);
    fletch_flow_count(&inlet->rows_unread, (uint64_t)batch->row_count);
    fletch_batch_release(context->task->cache, batch);
}

/* A batch that waits to be processed again was counted as read, and is not. */
static void drop_owed(struct fletch_flow_context *context)
{
    const struct fletch_flow_owed owed = context->owed;
    context->owed = (struct fletch_flow_owed){.is_there = false};
    if (owed.item.batch == NULL)
        return;
    uint64_t rows = (uint64_t)owed.item.batch->row_count;
    fletch_flow_count(&owed.inlet->batches, 0 - UINT64_C(1));
    fletch_flow_count(&owed.inlet->rows, 0 - rows);
    drop_batch(context, owed.inlet, owed.item.batch);
}

void fletch_flow_stop_reading(struct fletch_flow_context *context)
{
    context->wants_no_more = true;
    context->phase = FLETCH_INSTANCE_FINISHING;
    drop_owed(context);
    for (uint32_t i = 0; i < context->inlet_count; i++) {
        struct fletch_flow_inlet *inlet = &context->inlets[i];
        want_nothing_of(context, inlet);
        inlet->is_held = false;
        if (inlet->kept != NULL)
            drop_batch(context, inlet, inlet->kept);
        inlet->kept = NULL;
    }
    context->held_inlets = 0;
    fletch_flow_leave_order(context);
}

static void drop_item(struct fletch_flow_context *context, struct fletch_flow_inlet *inlet,
                      const struct fletch_flow_item *item)
{
    if (item->kind == FLETCH_ITEM_END) {
        inlet->has_ended = true;
        context->open_inlets--;
    }
    if (item->kind == FLETCH_ITEM_BATCH)
        drop_batch(context, inlet, item->batch);
}

/* False: nothing has come. */
static bool drain_inlet(struct fletch_flow_context *context, struct fletch_flow_inlet *inlet)
{
    struct fletch_flow_item item;
    bool has_item = false;
    enum fletch_status status =
        fletch_inlet_take(context, inlet, &item, &has_item, &context->task->error);
    if (status != FLETCH_OK)
        (void)fletch_call_end(context, status);
    else if (has_item)
        drop_item(context, inlet, &item);
    return has_item || status != FLETCH_OK;
}

bool fletch_flow_drain(struct fletch_flow_context *context)
{
    for (uint32_t i = 0; i < context->inlet_count; i++) {
        struct fletch_flow_inlet *inlet = &context->inlets[context->next_inlet];
        if (++context->next_inlet == context->inlet_count)
            context->next_inlet = 0;
        if (!inlet->has_ended && drain_inlet(context, inlet))
            return true;
    }
    return false;
}
