#include "flow/flow_instance.h"

#include "base/assert.h"
#include "base/status.h"
#include "flow/flow_inlet.h"
#include "flow/flow_outlet.h"
#include "flow/flow_task.h"
#include "memory/batch.h"

/* Things that it does in a step, at most. */
enum { THINGS_PER_STEP = 32 };

/* ---- calls of the user's functions ---- */

/* Before one: its time begins, and a failure that says nothing shall not tell an old one's. */
static struct fletch_error *begin_call(struct fletch_flow_context *context)
{
    struct fletch_error *error = &context->task->error;
    if (context->task->running != context)
        fletch_task_clock(context->task, context);
    error->message[0] = '\0';
    context->may_emit = true;
    return error;
}

/* After one, and after the library's own. */
static enum fletch_status end_call(struct fletch_flow_context *context, enum fletch_status status)
{
    context->may_emit = false;
    if (status != FLETCH_OK)
        fletch_flow_fail(context->flow, context, status, &context->task->error);
    return status;
}

static enum fletch_status call_init(struct fletch_flow_context *context)
{
    const struct fletch_flow_functions *functions = &context->node->functions;
    enum fletch_status status = FLETCH_OK;
    context->state = context->node->argument;
    if (functions->init != NULL) {
        struct fletch_error *error = begin_call(context);
        context->may_emit = false;
        status = functions->init(context, context->node->argument, &context->state, error);
    }
    context->is_begun = status == FLETCH_OK;
    return end_call(context, status);
}

static enum fletch_status call_barrier(struct fletch_flow_context *context, uint64_t id)
{
    const struct fletch_flow_functions *functions = &context->node->functions;
    enum fletch_status status = FLETCH_OK;
    if (functions->on_barrier != NULL) {
        struct fletch_error *error = begin_call(context);
        status = end_call(context, functions->on_barrier(context, context->state, id, error));
    }
    if (status == FLETCH_OK)
        status = fletch_flow_send_all(context, FLETCH_ITEM_BARRIER, id);
    if (status != FLETCH_OK)
        return status;
    fletch_flow_count(&context->barrier_count, 1);
    /* relaxed: written by this thread only */
    uint64_t passed = load_relaxed(&context->barriers_passed) + 1;
    store_release(&context->barriers_passed, passed); /* F5 release */
    fletch_eventcount_notify_inline(&context->flow->changed, UINT32_MAX);
    return FLETCH_OK;
}

static enum fletch_status call_watermark(struct fletch_flow_context *context, int64_t watermark)
{
    const struct fletch_flow_functions *functions = &context->node->functions;
    enum fletch_status status = FLETCH_OK;
    context->watermark = watermark;
    store_relaxed(&context->watermark_told, watermark); /* relaxed: a statistic */
    if (functions->on_watermark != NULL) {
        struct fletch_error *error = begin_call(context);
        status =
            end_call(context, functions->on_watermark(context, context->state, watermark, error));
    }
    if (status != FLETCH_OK || watermark == INT64_MAX) /* the end says that */
        return status;
    return fletch_flow_send_all(context, FLETCH_ITEM_WATERMARK, (uint64_t)watermark);
}

/* ---- what comes in ---- */

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
    return call_barrier(context, id);
}

/* The least watermark of the inlets that have not ended, if it has grown. */
static enum fletch_status pass_watermark(struct fletch_flow_context *context)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < context->inlet_count; i++)
        if (!context->inlets[i].has_ended && context->inlets[i].watermark < least)
            least = context->inlets[i].watermark;
    return least > context->watermark ? call_watermark(context, least) : FLETCH_OK;
}

/* Whether an input has ended: all its inlets have. */
static bool has_input_ended(const struct fletch_flow_context *context, uint32_t input)
{
    for (uint32_t i = 0; i < context->inlet_count; i++)
        if (context->inlets[i].input == input && !context->inlets[i].has_ended)
            return false;
    return true;
}

/* Of inlets that are read in order, the input whose turn it is. */
static uint32_t current_input(const struct fletch_flow_context *context)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < context->inlet_count; i++)
        if (!context->inlets[i].has_ended && context->inlets[i].input < least)
            least = context->inlets[i].input;
    return least;
}

/* Barriers may come when only one input is left of those that are read in order. */
static void pass_order(struct fletch_flow_context *context)
{
    uint32_t current = current_input(context);
    if (!context->counts_in_order)
        return;
    for (uint32_t i = 0; i < context->inlet_count; i++)
        if (!context->inlets[i].has_ended && context->inlets[i].input != current)
            return;
    context->counts_in_order = false;
    fetch_sub_relaxed(&context->flow->readers_in_order, 1); /* relaxed: it only goes down */
}

static enum fletch_status end_inlet(struct fletch_flow_context *context,
                                    struct fletch_flow_inlet *inlet)
{
    const struct fletch_flow_functions *functions = &context->node->functions;
    enum fletch_status status = FLETCH_OK;
    inlet->has_ended = true;
    context->open_inlets--;
    pass_order(context);
    if (functions->on_input_end != NULL && has_input_ended(context, inlet->input)) {
        struct fletch_error *error = begin_call(context);
        status = end_call(context,
                          functions->on_input_end(context, context->state, inlet->input, error));
    }
    if (status == FLETCH_OK)
        status = align(context);
    if (status == FLETCH_OK)
        status = pass_watermark(context);
    if (status == FLETCH_OK && context->open_inlets == 0)
        context->phase = FLETCH_INSTANCE_FINISHING;
    return status;
}

static enum fletch_status process_batch(struct fletch_flow_context *context,
                                        struct fletch_flow_inlet *inlet, struct fletch_batch *batch)
{
    struct fletch_error *error = begin_call(context);
    uint64_t rows = (uint64_t)batch->row_count;
    fletch_flow_count(&inlet->batches, 1);
    fletch_flow_count(&inlet->rows, rows);
    fletch_flow_count(&context->batches_in, 1);
    fletch_flow_count(&context->rows_in, rows);
    enum fletch_status status =
        context->node->functions.process(context, context->state, inlet->input, batch, error);
    fletch_batch_release_inline(context->task->cache, batch);
    return end_call(context, status);
}

static enum fletch_status take_in(struct fletch_flow_context *context,
                                  struct fletch_flow_inlet *inlet,
                                  const struct fletch_flow_item *item)
{
    switch ((enum fletch_flow_item_kind)item->kind) {
    case FLETCH_ITEM_BATCH:
        return process_batch(context, inlet, item->batch);
    case FLETCH_ITEM_BARRIER:
        inlet->is_held = true;
        inlet->barrier = item->value;
        context->held_inlets++;
        return align(context);
    case FLETCH_ITEM_WATERMARK:
        if ((int64_t)item->value > inlet->watermark)
            inlet->watermark = (int64_t)item->value;
        return pass_watermark(context);
    case FLETCH_ITEM_END:
        break;
    }
    return end_inlet(context, inlet);
}

/* Takes one item of the inlets, which take turns. False: there is none. */
static bool take_one(struct fletch_flow_context *context)
{
    uint32_t only = context->node->reads_in_order ? current_input(context) : UINT32_MAX;
    for (uint32_t i = 0; i < context->inlet_count; i++) {
        struct fletch_flow_inlet *inlet = &context->inlets[context->next_inlet];
        struct fletch_flow_item item;
        bool has_item = false;
        if (++context->next_inlet == context->inlet_count)
            context->next_inlet = 0;
        if (inlet->is_held || inlet->has_ended || (only != UINT32_MAX && inlet->input != only))
            continue;
        enum fletch_status status =
            fletch_inlet_take(context, inlet, &item, &has_item, &context->task->error);
        if (status != FLETCH_OK) {
            (void)end_call(context, status);
            return true;
        }
        if (has_item) {
            (void)take_in(context, inlet, &item);
            return true;
        }
    }
    return false;
}

/* ---- sources ---- */

static bool is_paused(struct fletch_flow_context *context)
{
    if (context->paused_until_ns == 0)
        return false;
    /* relaxed: a look; the exchange before produce acquires */
    if (load_relaxed(&context->woken) == 0 &&
        fletch_flow_now_ns(context->flow) < context->paused_until_ns) {
        fletch_task_look_at(context->task, context->paused_until_ns);
        return true;
    }
    context->paused_until_ns = 0;
    return false;
}

static enum fletch_status call_produce(struct fletch_flow_context *context)
{
    struct fletch_error *error = begin_call(context);
    /* relaxed: a look, so that the exchange is rare */
    if (load_relaxed(&context->woken) != 0)
        exchange_acq_rel(&context->woken, 0); /* F6 acquire, F6 release */
    bool has_more = true;
    enum fletch_status status = end_call(
        context, context->node->functions.produce(context, context->state, &has_more, error));
    if (!has_more)
        context->phase = FLETCH_INSTANCE_FINISHING;
    return status;
}

static bool produce_one(struct fletch_flow_context *context)
{
    struct fletch_flow *flow = context->flow;
    /* relaxed: written by this thread only */
    uint64_t passed = load_relaxed(&context->barriers_passed);
    if (load_acquire(&flow->barriers_asked) > passed) { /* F4 acquire */
        /* relaxed: after the acquire */
        uint64_t id = load_relaxed(&flow->barrier_ids[passed % FLETCH_FLOW_BARRIERS_MOST]);
        (void)call_barrier(context, id);
        return true;
    }
    if (load_relaxed(&flow->is_draining) != 0) { /* relaxed: a wish, no data behind it */
        context->phase = FLETCH_INSTANCE_FINISHING;
        return true;
    }
    if (is_paused(context))
        return false;
    (void)call_produce(context);
    return true;
}

/* ---- the end ---- */

static enum fletch_status finish(struct fletch_flow_context *context)
{
    const struct fletch_flow_functions *functions = &context->node->functions;
    enum fletch_status status = FLETCH_OK;
    bool has_more = false;
    if (functions->finish != NULL) {
        struct fletch_error *error = begin_call(context);
        status = end_call(context, functions->finish(context, context->state, &has_more, error));
    }
    if (status != FLETCH_OK || has_more)
        return status;
    context->phase = FLETCH_INSTANCE_ENDING;
    return fletch_flow_send_all(context, FLETCH_ITEM_END, 0);
}

static void end(struct fletch_flow_context *context)
{
    context->phase = FLETCH_INSTANCE_ENDED;
    store_relaxed(&context->doing, FLETCH_DOING_NOTHING); /* relaxed: a statistic */
    store_release(&context->barriers_passed, UINT64_MAX); /* F5 release */
    fletch_eventcount_notify_inline(&context->flow->changed, UINT32_MAX);
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

/* One thing. False: there is nothing to do. */
static bool do_one(struct fletch_flow_context *context)
{
    switch (context->phase) {
    case FLETCH_INSTANCE_NEW:
        if (call_init(context) == FLETCH_OK)
            context->phase = FLETCH_INSTANCE_RUNNING;
        return true;
    case FLETCH_INSTANCE_RUNNING:
        return context->node->kind == FLETCH_NODE_SOURCE ? produce_one(context) : take_one(context);
    case FLETCH_INSTANCE_FINISHING:
        (void)finish(context);
        return true;
    case FLETCH_INSTANCE_ENDING:
        end(context);
        return true;
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
            (void)end_call(context, status);
            context->has_moved = true;
            return false;
        }
        is_blocked |= outlet->is_blocked;
    }
    return !is_blocked;
}

bool fletch_instance_step(struct fletch_flow_context *context)
{
    context->has_moved = false;
    for (int i = 0; i < THINGS_PER_STEP && context->phase != FLETCH_INSTANCE_ENDED; i++) {
        if (!is_clear(context) || !do_one(context))
            break;
        context->has_moved = true;
        if (fletch_flow_has_failed(context->flow))
            break;
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
            (void)end_call(context, status);
            return true;
        }
    }
    return context->has_moved;
}
