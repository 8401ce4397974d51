#include "flow/flow_abort.h"

#include <inttypes.h>

#include "base/status.h"
#include "flow/flow_barrier.h"
#include "flow/flow_call.h"
#include "flow/flow_outlet.h"
#include "flow/flow_run.h"
#include "flow/flow_task.h"

/* ---- asking ---- */

/* The instance that has heard of the fewest. */
static const struct fletch_flow_context *hardest_of_hearing(const struct fletch_flow *flow,
                                                            uint64_t *out_seen)
{
    const struct fletch_flow_context *found = NULL;
    *out_seen = UINT64_MAX;
    for (uint32_t i = 0; i < flow->node_count; i++) {
        const struct fletch_flow_node *node = flow->nodes[i];
        for (uint32_t k = 0; k < node->instance_count; k++) {
            uint64_t seen = load_acquire(&node->instances[k]->aborts_seen); /* F9 acquire */
            if (seen >= *out_seen)
                continue;
            *out_seen = seen;
            found = node->instances[k];
        }
    }
    return found;
}

/* The slot of a barrier that is under way. */
static enum fletch_status find_slot(const struct fletch_flow *flow, uint64_t id, uint64_t *out_slot,
                                    struct fletch_error *error)
{
    /* relaxed: written by the caller's thread, as barriers are */
    uint64_t asked = load_relaxed(&flow->barriers_asked);
    uint64_t number = fletch_flow_barrier_number(flow, id, asked);
    *out_slot = (number - 1) % FLETCH_FLOW_BARRIERS_MOST;
    if (number != 0 && fletch_flow_barriers_passed(flow) < number &&
        load_relaxed(&flow->barrier_marks[*out_slot]) == 0) /* relaxed: as above */
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_NOT_FOUND,
                            "NOT_FOUND: barrier %" PRIu64 " is not under way in flow '%s'", id,
                            flow->name);
}

enum fletch_status fletch_flow_abort_barrier(struct fletch_flow *flow, uint64_t id,
                                             struct fletch_error *error)
{
    uint64_t slot = 0, seen;
    enum fletch_status status = fletch_flow_check_running(flow, error);
    if (status == FLETCH_OK)
        status = find_slot(flow, id, &slot, error);
    if (status != FLETCH_OK)
        return status;
    uint64_t asked = load_relaxed(&flow->aborts_asked); /* relaxed: written by this call only */
    const struct fletch_flow_context *last = hardest_of_hearing(flow, &seen);
    if (last != NULL && asked - seen >= FLETCH_FLOW_BARRIERS_MOST)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: %d barriers of flow '%s' were given up of "
                                "which stage '%s', instance %u has not heard",
                                FLETCH_FLOW_BARRIERS_MOST, flow->name, last->node->name,
                                last->number);
    store_relaxed(&flow->barrier_marks[slot], asked + 1); /* relaxed: F8 publishes it */
    store_relaxed(&flow->abort_ids[asked % FLETCH_FLOW_BARRIERS_MOST], id); /* relaxed: as above */
    store_release(&flow->aborts_asked, asked + 1);                          /* F8 release */
    fletch_flow_notify(flow);
    fletch_eventcount_notify_inline(&flow->changed, UINT32_MAX);
    return FLETCH_OK;
}

/* ---- hearing ---- */

void fletch_flow_pass_barrier(struct fletch_flow_context *context, uint64_t id)
{
    /* relaxed: written by this thread only */
    uint64_t passed = load_relaxed(&context->barriers_passed) + 1;
    context->last_barrier = id;
    store_release(&context->barriers_passed, passed); /* F5 release */
    fletch_eventcount_notify_inline(&context->flow->changed, UINT32_MAX);
}

/* What the instance has sent of it is of no use any more, and it is told. */
static enum fletch_status give_up(struct fletch_flow_context *context, uint64_t id)
{
    for (uint32_t i = 0; i < context->outlet_count; i++) {
        enum fletch_status status =
            fletch_outlet_abort_barrier(&context->outlets[i], id, &context->task->error);
        if (status != FLETCH_OK)
            return fletch_call_end(context, status);
    }
    return fletch_call_barrier_abort(context, id);
}

static void release_inlets(struct fletch_flow_context *context, uint64_t id)
{
    for (uint32_t i = 0; i < context->inlet_count; i++) {
        struct fletch_flow_inlet *inlet = &context->inlets[i];
        if (!inlet->is_held || inlet->barrier != id)
            continue;
        inlet->is_held = false;
        context->held_inlets--;
    }
}

enum fletch_status fletch_flow_pass_aborted(struct fletch_flow_context *context)
{
    const struct fletch_flow *flow = context->flow;
    enum fletch_status status = FLETCH_OK;
    while (status == FLETCH_OK) {
        /* relaxed: written by this thread only */
        uint64_t passed = load_relaxed(&context->barriers_passed);
        uint64_t slot = passed % FLETCH_FLOW_BARRIERS_MOST;
        if (load_acquire(&flow->barriers_asked) <= passed) /* F4 acquire */
            break;
        uint64_t mark = load_relaxed(&flow->barrier_marks[slot]); /* relaxed: after F4 */
        /* relaxed: this thread's own; one that it has not heard of is told by that first */
        if (mark == 0 || mark > load_relaxed(&context->aborts_seen))
            break;
        uint64_t id = load_relaxed(&flow->barrier_ids[slot]); /* relaxed: after the acquire */
        release_inlets(context, id);
        status = give_up(context, id);
        if (status == FLETCH_OK)
            fletch_flow_pass_barrier(context, id);
    }
    return status;
}

enum fletch_status fletch_flow_hear_aborts(struct fletch_flow_context *context)
{
    const struct fletch_flow *flow = context->flow;
    enum fletch_status status = FLETCH_OK;
    uint64_t asked = load_acquire(&flow->aborts_asked);  /* F8 acquire */
    uint64_t seen = load_relaxed(&context->aborts_seen); /* relaxed: this thread's own */
    while (seen < asked && status == FLETCH_OK) {
        /* relaxed: after the acquire */
        uint64_t id = load_relaxed(&flow->abort_ids[seen % FLETCH_FLOW_BARRIERS_MOST]);
        if (id <= context->last_barrier)
            status = give_up(context, id);
        store_release(&context->aborts_seen, ++seen); /* F9 release */
    }
    return status == FLETCH_OK ? fletch_flow_pass_aborted(context) : status;
}
