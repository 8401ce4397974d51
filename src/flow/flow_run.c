#include "flow/flow_run.h"

#include <stdio.h>

#include "base/status.h"
#include "flow/flow_build.h"
#include "flow/flow_context.h"
#include "flow/flow_instance.h"
#include "flow/flow_plan.h"
#include "flow/flow_statistics.h"
#include "flow/flow_task.h"

/* ---- failure ---- */

void fletch_flow_notify(struct fletch_flow *flow)
{
    for (uint32_t i = 0; i < flow->task_count; i++)
        fletch_eventcount_notify_inline(&flow->tasks[i]->eventcount, UINT32_MAX);
}

void fletch_flow_notify_stage(struct fletch_flow *flow, uint32_t stage)
{
    const struct fletch_flow_node *node = flow->nodes[stage];
    for (uint32_t i = 0; i < node->instance_count; i++)
        fletch_eventcount_notify_inline(&node->instances[i]->task->eventcount, UINT32_MAX);
}

static void cancel_shuffles(struct fletch_flow *flow)
{
    for (uint32_t i = 0; i < flow->link_count; i++)
        if (flow->links[i]->shuffle != NULL)
            fletch_shuffle_cancel(flow->links[i]->shuffle, flow->error.message);
}

void fletch_flow_fail(struct fletch_flow *flow, const struct fletch_flow_context *context,
                      enum fletch_status status, const struct fletch_error *cause)
{
    uint32_t expected = FLETCH_FAILURE_NONE;
    const char *message = cause->message[0] == '\0' ? fletch_status_name(status) : cause->message;
    /* relaxed: only the one who claims it writes, and F1 publishes that */
    if (!cas_strong_relaxed(&flow->failure, &expected, FLETCH_FAILURE_CLAIMED))
        return;
    if (context == NULL)
        (void)fletch_error_set(&flow->error, status, "%.400s", message);
    else
        (void)fletch_error_set(&flow->error, status, "stage '%s', instance %u: %.380s",
                               context->node->name, context->number, message);
    store_release(&flow->failure, FLETCH_FAILURE_DONE); /* F1 release */
    cancel_shuffles(flow);
    fletch_flow_notify(flow);
    fletch_eventcount_notify_inline(&flow->changed, UINT32_MAX);
}

enum fletch_status fletch_flow_outcome(const struct fletch_flow *flow, struct fletch_error *error)
{
    if (!fletch_flow_has_failed(flow))
        return FLETCH_OK;
    if (error != NULL)
        *error = flow->error;
    return flow->error.status;
}

void fletch_flow_cancel(struct fletch_flow *flow, const char *reason)
{
    struct fletch_error cause;
    (void)fletch_error_set(&cause, FLETCH_CANCELLED, "CANCELLED: flow '%s' was cancelled%s%.300s",
                           flow->name, reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
    fletch_flow_fail(flow, NULL, FLETCH_CANCELLED, &cause);
}

/* ---- the end ---- */

/* Everything is closed, in the order of the plan. */
static void close_all(struct fletch_flow *flow)
{
    for (uint32_t i = 0; i < flow->node_count && flow->order != NULL; i++) {
        struct fletch_flow_node *node = flow->nodes[flow->order[i]];
        for (uint32_t k = 0; k < node->instance_count && node->instances != NULL; k++)
            if (node->instances[k] != NULL)
                fletch_instance_close(node->instances[k]);
    }
    fletch_flow_close_edges(flow);
    uint32_t expected = FLETCH_FAILURE_NONE;
    /* relaxed: who fails later finds it, and writes nothing */
    (void)cas_strong_relaxed(&flow->failure, &expected, FLETCH_FAILURE_NEVER);
    store_release(&flow->phase, FLETCH_FLOW_ENDED); /* F3 release */
    fletch_eventcount_notify_inline(&flow->changed, UINT32_MAX);
}

void fletch_flow_leave(struct fletch_flow *flow)
{
    if (fetch_sub_acq_rel(&flow->tasks_left, 1) == 1) /* F2 release, F2 acquire */
        close_all(flow);
}

/* ---- waiting ---- */

bool fletch_flow_await(struct fletch_flow *flow, bool (*is_so)(struct fletch_flow *flow, uint64_t),
                       uint64_t argument, uint64_t timeout_ns)
{
    uint64_t deadline_ns = fletch_transport_deadline_ns(flow->transport, timeout_ns);
    while (!is_so(flow, argument)) {
        uint64_t left_ns = fletch_transport_remaining_ns(flow->transport, deadline_ns);
        if (left_ns == 0)
            return false;
        uint32_t key = fletch_eventcount_prepare(&flow->changed);
        if (is_so(flow, argument))
            fletch_eventcount_cancel(&flow->changed);
        else
            (void)fletch_eventcount_wait(&flow->changed, key, left_ns);
    }
    return true;
}

/* Somebody who cancels may still be writing why, though nothing runs any more. */
static bool has_ended(struct fletch_flow *flow, uint64_t argument)
{
    (void)argument;
    return load_acquire(&flow->phase) == FLETCH_FLOW_ENDED &&      /* F3 acquire */
           load_acquire(&flow->failure) != FLETCH_FAILURE_CLAIMED; /* F1 acquire */
}

/* ---- starting ---- */

enum fletch_status fletch_flow_prepare(struct fletch_flow *flow, struct fletch_error *error)
{
    struct fletch_error cause;
    enum fletch_status status = fletch_flow_plan(flow, &cause);
    if (status == FLETCH_OK)
        status = fletch_flow_build(flow, &cause);
    /* relaxed: before any thread is started */
    store_relaxed(&flow->phase, FLETCH_FLOW_RUNNING);
    if (status == FLETCH_OK)
        return FLETCH_OK;
    fletch_flow_fail(flow, NULL, status, &cause);
    close_all(flow);
    return fletch_flow_outcome(flow, error);
}

static enum fletch_status start_thread(struct fletch_flow *flow, uint32_t number,
                                       struct fletch_error *error)
{
    struct fletch_flow_task *task = flow->tasks[number];
    char name[FLETCH_THREAD_NAME_BYTES];
    snprintf(name, sizeof name, "%.9s/%u", flow->name, number % 10000);
    const struct fletch_thread_options options = {
        .name = name, .cpu = task->cpu, .run = fletch_task_run, .context = task};
    return fletch_thread_start(&task->thread, &options, error);
}

/* The threads that were started find the failure; those that were not have left. What is told is
 * the first failure, which one of the former may be writing. */
static enum fletch_status give_up(struct fletch_flow *flow, enum fletch_status status,
                                  const struct fletch_error *cause, struct fletch_error *error)
{
    fletch_flow_fail(flow, NULL, status, cause);
    for (uint32_t i = flow->thread_count; i < flow->task_count; i++)
        fletch_flow_leave(flow);
    (void)fletch_flow_await(flow, has_ended, 0, FLETCH_NO_TIMEOUT);
    return fletch_flow_outcome(flow, error);
}

enum fletch_status fletch_flow_start(struct fletch_flow *flow, struct fletch_error *error)
{
    struct fletch_error cause;
    enum fletch_status status = fletch_transport_check(flow->transport, error);
    if (status != FLETCH_OK)
        return status;
    /* relaxed: building belongs to one thread */
    if (load_relaxed(&flow->phase) != FLETCH_FLOW_BUILDING)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "flow '%s' was started before",
                                flow->name);
    status = fletch_flow_prepare(flow, error);
    if (status != FLETCH_OK)
        return status;
    while (flow->thread_count < flow->task_count) {
        status = start_thread(flow, flow->thread_count, &cause);
        if (status != FLETCH_OK)
            return give_up(flow, status, &cause, error);
        flow->thread_count++;
    }
    return FLETCH_OK;
}

/* ---- from outside ---- */

enum fletch_status fletch_flow_check_started(const struct fletch_flow *flow,
                                             struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(flow->transport, error);
    if (status != FLETCH_OK || load_acquire(&flow->phase) != FLETCH_FLOW_BUILDING) /* F3 acquire */
        return status;
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "flow '%s' was not started",
                            flow->name);
}

enum fletch_status fletch_flow_wait(struct fletch_flow *flow, uint64_t timeout_ns,
                                    struct fletch_error *error)
{
    char text[FLETCH_FLOW_WAITING_BYTES];
    enum fletch_status status = fletch_flow_check_started(flow, error);
    if (status != FLETCH_OK)
        return status;
    if (fletch_flow_await(flow, has_ended, 0, timeout_ns))
        return fletch_flow_outcome(flow, error);
    fletch_flow_describe(flow, text, sizeof text);
    return fletch_error_set(error, FLETCH_DEADLINE_EXCEEDED,
                            "DEADLINE_EXCEEDED: flow '%s' runs on after %llu ms: %s", flow->name,
                            (unsigned long long)(timeout_ns / 1000000), text);
}

enum fletch_status fletch_flow_stop(struct fletch_flow *flow, uint64_t timeout_ns,
                                    struct fletch_error *error)
{
    struct fletch_error cause;
    enum fletch_status status = fletch_flow_check_started(flow, error);
    if (status != FLETCH_OK)
        return status;
    store_relaxed(&flow->is_draining, 1); /* relaxed: a wish, no data behind it */
    fletch_flow_notify(flow);
    status = fletch_flow_wait(flow, timeout_ns, &cause);
    if (status == FLETCH_DEADLINE_EXCEEDED && !has_ended(flow, 0))
        fletch_flow_cancel(flow, cause.message);
    if (status != FLETCH_OK && error != NULL)
        *error = cause;
    return status;
}

enum fletch_status fletch_flow_wake(struct fletch_flow *flow, uint32_t source,
                                    struct fletch_error *error)
{
    enum fletch_status status = fletch_flow_check_started(flow, error);
    if (status != FLETCH_OK)
        return status;
    if (source >= flow->node_count || flow->nodes[source]->kind != FLETCH_NODE_SOURCE)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE, "flow '%s' has no source %u",
                                flow->name, source);
    const struct fletch_flow_node *node = flow->nodes[source];
    for (uint32_t i = 0; i < node->instance_count && node->instances != NULL; i++)
        fletch_flow_waker_wake(&node->instances[i]->waker);
    return FLETCH_OK;
}

void fletch_flow_waker_wake(struct fletch_flow_waker *waker)
{
    exchange_acq_rel(&waker->woken, 1); /* F6 release, F6 acquire */
    fletch_eventcount_notify_inline(waker->wakes, UINT32_MAX);
}

/* ---- destroying ---- */

enum fletch_status fletch_flow_destroy(struct fletch_flow *flow, uint64_t timeout_ns,
                                       struct fletch_error *error)
{
    char text[FLETCH_FLOW_WAITING_BYTES];
    if (flow == NULL)
        return FLETCH_OK;
    enum fletch_status status = fletch_transport_check(flow->transport, error);
    if (status != FLETCH_OK)
        return status;
    /* relaxed: destroy comes after all other calls */
    if (load_relaxed(&flow->phase) == FLETCH_FLOW_RUNNING) {
        fletch_flow_cancel(flow, "destroyed");
        if (!fletch_flow_await(flow, has_ended, 0, timeout_ns)) {
            fletch_flow_describe(flow, text, sizeof text);
            return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                    "flow '%s' cannot be destroyed: %s", flow->name, text);
        }
    }
    for (uint32_t i = 0; i < flow->thread_count; i++)
        fletch_thread_join(&flow->tasks[i]->thread);
    fletch_flow_dismantle(flow);
    fletch_flow_free(flow);
    return FLETCH_OK;
}
