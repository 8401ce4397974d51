#include "flow/flow_task.h"

#include "flow/flow_instance.h"

/* Steps that did something, between two looks for rows that linger. */
enum { STEPS_PER_LINGER = 64 };

/* Rows that linger go out though their stage emits nothing. */
static bool look_after_lingerers(struct fletch_flow_task *task)
{
    uint64_t now_ns = fletch_flow_now_ns(task->flow);
    bool has_worked = false;
    task->busy_steps = 0;
    for (uint32_t i = 0; i < task->instance_count; i++)
        has_worked |= fletch_instance_linger(task->instances[i], now_ns);
    return has_worked;
}

/* From the last to the first: what was emitted is taken before more is. */
enum fletch_task_answer fletch_task_step(struct fletch_flow_task *task)
{
    bool has_worked = false, has_ended = true;
    if (fletch_flow_has_failed(task->flow))
        return FLETCH_TASK_OVER;
    task->look_ns = UINT64_MAX;
    if (fletch_flow_is_failing(task->flow)) /* whoever writes the failure notifies then */
        return FLETCH_TASK_IDLE;
    for (uint32_t i = task->instance_count; i > 0; i--) {
        struct fletch_flow_context *context = task->instances[i - 1];
        if (context->phase == FLETCH_INSTANCE_ENDED)
            continue;
        has_ended = false;
        has_worked |= fletch_instance_step(context);
    }
    if (has_ended)
        return FLETCH_TASK_OVER;
    if (!has_worked || ++task->busy_steps == STEPS_PER_LINGER)
        has_worked |= look_after_lingerers(task);
    return has_worked ? FLETCH_TASK_WORKED : FLETCH_TASK_IDLE;
}

/* ---- time ---- */

/* What each instance begins to wait for, as it stands now: by the time that the wait is over, some
 * of it may have come. */
static void begin_wait(struct fletch_flow_task *task)
{
    fletch_task_clock(task, NULL);
    task->is_waiting = true;
    for (uint32_t i = 0; i < task->instance_count; i++) {
        struct fletch_flow_context *context = task->instances[i];
        enum fletch_instance_doing doing = FLETCH_DOING_WAIT_INPUT;
        if (context->phase == FLETCH_INSTANCE_ENDED)
            continue;
        if (context->owed.is_there)
            doing = FLETCH_DOING_WAIT_MEMORY;
        for (uint32_t k = 0; k < context->outlet_count; k++) {
            struct fletch_flow_outlet *outlet = &context->outlets[k];
            outlet->is_waited_for = outlet->is_blocked;
            if (outlet->is_blocked)
                doing = FLETCH_DOING_WAIT_CREDIT;
        }
        for (uint32_t k = 0; k < context->inlet_count; k++) {
            struct fletch_flow_inlet *inlet = &context->inlets[k];
            inlet->is_waited_for =
                doing == FLETCH_DOING_WAIT_INPUT && !inlet->is_held && !inlet->has_ended;
        }
        store_relaxed(&context->doing, doing); /* relaxed: a statistic */
    }
}

static void count_wait(struct fletch_flow_context *context, uint64_t waited_ns)
{
    /* relaxed: written by this thread only, and a statistic */
    bool waits_for_input = load_relaxed(&context->doing) == FLETCH_DOING_WAIT_INPUT;
    fletch_flow_count(waits_for_input ? &context->input_wait_ns : &context->credit_wait_ns,
                      waited_ns);
    for (uint32_t k = 0; k < context->outlet_count; k++)
        if (context->outlets[k].is_waited_for)
            fletch_flow_count(&context->outlets[k].credit_wait_ns, waited_ns);
    for (uint32_t k = 0; k < context->inlet_count; k++)
        if (context->inlets[k].is_waited_for)
            fletch_flow_count(&context->inlets[k].input_wait_ns, waited_ns);
    store_relaxed(&context->doing, FLETCH_DOING_WORK); /* relaxed: a statistic */
}

static void end_wait(struct fletch_flow_task *task, uint64_t now_ns)
{
    task->is_waiting = false;
    for (uint32_t i = 0; i < task->instance_count; i++)
        if (task->instances[i]->phase != FLETCH_INSTANCE_ENDED)
            count_wait(task->instances[i], now_ns - task->mark_ns);
}

void fletch_task_clock(struct fletch_flow_task *task, struct fletch_flow_context *context)
{
    uint64_t now_ns = fletch_flow_now_ns(task->flow);
    if (task->is_waiting)
        end_wait(task, now_ns);
    else if (task->running != NULL)
        fletch_flow_count(&task->running->busy_ns, now_ns - task->mark_ns);
    task->running = context;
    task->mark_ns = now_ns;
}

/* ---- waiting ---- */

/* A step, as something that is waited for. One that wants to look again earlier than the wait would
 * end ends it. */
static enum fletch_answer attempt_step(void *call)
{
    struct fletch_flow_task *task = call;
    switch (fletch_task_step(task)) {
    case FLETCH_TASK_WORKED:
        return FLETCH_DONE;
    case FLETCH_TASK_IDLE:
        return task->look_ns < task->waits_to_ns ? FLETCH_DONE : FLETCH_EMPTY;
    case FLETCH_TASK_OVER:
        break;
    }
    return FLETCH_CLOSED;
}

static void wait_for_work(struct fletch_flow_task *task)
{
    const struct fletch_wait wait = {
        .policy = &task->flow->policy,
        .history = &task->history,
        .eventcount = &task->eventcount,
        .attempt = attempt_step,
        .call = task,
    };
    begin_wait(task);
    uint64_t timeout_ns = FLETCH_NO_TIMEOUT;
    task->waits_to_ns = task->look_ns;
    if (task->look_ns != UINT64_MAX)
        timeout_ns = task->look_ns > task->mark_ns ? task->look_ns - task->mark_ns : 0;
    (void)fletch_wait_for(&wait, timeout_ns);
    if (task->is_waiting)
        fletch_task_clock(task, NULL);
}

void fletch_task_run(void *context)
{
    struct fletch_flow_task *task = context;
    enum fletch_task_answer answer;
    do {
        answer = fletch_task_step(task);
        if (answer == FLETCH_TASK_IDLE)
            wait_for_work(task);
    } while (answer != FLETCH_TASK_OVER);
    fletch_task_clock(task, NULL);
    for (uint32_t i = 0; i < task->instance_count; i++)
        store_relaxed(&task->instances[i]->doing, FLETCH_DOING_NOTHING); /* relaxed: a statistic */
    fletch_flow_leave(task->flow);
}
