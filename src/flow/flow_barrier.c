#include "flow/flow_barrier.h"

#include <inttypes.h>

#include "base/status.h"
#include "flow/flow_context.h"
#include "flow/flow_run.h"

/* The instance that has passed the fewest. */
static const struct fletch_flow_context *slowest(const struct fletch_flow *flow,
                                                 uint64_t *out_passed)
{
    const struct fletch_flow_context *found = NULL;
    *out_passed = UINT64_MAX;
    for (uint32_t i = 0; i < flow->node_count; i++) {
        const struct fletch_flow_node *node = flow->nodes[i];
        for (uint32_t k = 0; k < node->instance_count; k++) {
            uint64_t passed = load_acquire(&node->instances[k]->barriers_passed); /* F5 acquire */
            if (passed >= *out_passed)
                continue;
            *out_passed = passed;
            found = node->instances[k];
        }
    }
    return found;
}

uint64_t fletch_flow_barriers_passed(const struct fletch_flow *flow)
{
    uint64_t passed;
    (void)slowest(flow, &passed);
    return passed;
}

/* ---- asking ---- */

enum fletch_status fletch_flow_check_running(struct fletch_flow *flow, struct fletch_error *error)
{
    enum fletch_status status = fletch_flow_check_started(flow, error);
    if (status == FLETCH_OK)
        status = fletch_flow_outcome(flow, error);
    if (status == FLETCH_OK && load_acquire(&flow->phase) == FLETCH_FLOW_ENDED) /* F3 acquire */
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "flow '%s' has ended",
                                flow->name);
    return status;
}

enum fletch_status fletch_flow_barrier(struct fletch_flow *flow, uint64_t id,
                                       struct fletch_error *error)
{
    enum fletch_status status = fletch_flow_check_running(flow, error);
    if (status != FLETCH_OK)
        return status;
    if (id <= flow->last_barrier)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "barrier is %" PRIu64 ", expected more than %" PRIu64
                                ", the last one of flow '%s'",
                                id, flow->last_barrier, flow->name);
    /* relaxed: written by this call only */
    uint64_t asked = load_relaxed(&flow->barriers_asked);
    uint64_t passed;
    const struct fletch_flow_context *last = slowest(flow, &passed);
    if (last != NULL && asked - passed >= flow->barrier_limit)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: barrier %" PRIu64 " waits for one of %u that "
                                "are under way in flow '%s', which stage '%s', instance %u has not "
                                "passed",
                                id, flow->barrier_limit, flow->name, last->node->name,
                                last->number);
    /* relaxed: F4 publishes it */
    store_relaxed(&flow->barrier_ids[asked % FLETCH_FLOW_BARRIERS_MOST], id);
    /* relaxed: as above */
    store_relaxed(&flow->barrier_marks[asked % FLETCH_FLOW_BARRIERS_MOST], 0);
    flow->last_barrier = id;
    store_release(&flow->barriers_asked, asked + 1); /* F4 release */
    fletch_flow_notify(flow);
    return FLETCH_OK;
}

/* ---- waiting ---- */

uint64_t fletch_flow_barrier_number(const struct fletch_flow *flow, uint64_t id, uint64_t asked)
{
    for (uint64_t i = asked; i > 0 && asked - i < FLETCH_FLOW_BARRIERS_MOST; i--)
        /* relaxed: after the acquire of barriers_asked */
        if (load_relaxed(&flow->barrier_ids[(i - 1) % FLETCH_FLOW_BARRIERS_MOST]) == id)
            return i;
    return 0;
}

static bool is_aborted(const struct fletch_flow *flow, uint64_t number)
{
    /* relaxed: who waits may be told of an abort a little later */
    return number != 0 &&
           load_relaxed(&flow->barrier_marks[(number - 1) % FLETCH_FLOW_BARRIERS_MOST]) != 0;
}

static bool is_over(struct fletch_flow *flow, uint64_t number)
{
    return fletch_flow_has_failed(flow) || is_aborted(flow, number) ||
           fletch_flow_barriers_passed(flow) >= number;
}

enum fletch_status fletch_flow_wait_barrier(struct fletch_flow *flow, uint64_t id,
                                            uint64_t timeout_ns, struct fletch_error *error)
{
    enum fletch_status status = fletch_flow_check_started(flow, error);
    if (status == FLETCH_OK)
        status = fletch_flow_outcome(flow, error);
    if (status != FLETCH_OK)
        return status;
    uint64_t asked = load_acquire(&flow->barriers_asked); /* F4 acquire */
    uint64_t number = fletch_flow_barrier_number(flow, id, asked);
    /* relaxed: after the acquire; the oldest one that has a slot */
    uint64_t oldest = load_relaxed(&flow->barrier_ids[asked % FLETCH_FLOW_BARRIERS_MOST]);
    if (number == 0 && (id > oldest || id == 0 || asked < FLETCH_FLOW_BARRIERS_MOST))
        return fletch_error_set(error, FLETCH_NOT_FOUND,
                                "barrier %" PRIu64 " was not sent into flow '%s'", id, flow->name);
    if (fletch_flow_await(flow, is_over, number, timeout_ns)) {
        status = fletch_flow_outcome(flow, error);
        if (status != FLETCH_OK || !is_aborted(flow, number))
            return status;
        return fletch_error_set(error, FLETCH_ABORTED,
                                "ABORTED: barrier %" PRIu64 " of flow '%s' was given up", id,
                                flow->name);
    }
    uint64_t passed;
    const struct fletch_flow_context *last = slowest(flow, &passed);
    return fletch_error_set(error, FLETCH_DEADLINE_EXCEEDED,
                            "DEADLINE_EXCEEDED: barrier %" PRIu64 " of flow '%s' has not passed "
                            "stage '%s', instance %u after %llu ms",
                            id, flow->name, last == NULL ? "" : last->node->name,
                            last == NULL ? 0 : last->number,
                            (unsigned long long)(timeout_ns / 1000000));
}
