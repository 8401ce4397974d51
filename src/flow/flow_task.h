#ifndef FLETCH_FLOW_FLOW_TASK_H
#define FLETCH_FLOW_FLOW_TASK_H

/* The instances that one thread runs: a state machine whose step never blocks. A thread steps it
 * and sleeps on its eventcount; a simulator steps it when it likes. */

#include "base/thread.h"
#include "flow/flow.h"

enum fletch_task_answer {
    FLETCH_TASK_WORKED, /* something was done */
    FLETCH_TASK_IDLE,   /* there was nothing to do, and is not before look_ns or a notification */
    FLETCH_TASK_OVER    /* all instances have ended, or the flow has failed: it is to leave */
};

struct fletch_flow_task {
    struct fletch_flow *flow;
    struct fletch_flow_context **instances; /* none before those that it gets data from */
    uint32_t instance_count;
    uint32_t cpu;
    struct fletch_buffer_cache *cache;
    struct fletch_thread thread;
    struct fletch_wait_history history;
    struct fletch_flow_context *running; /* whose time runs since mark_ns; NULL: nobody's */
    uint64_t mark_ns;
    bool is_waiting;      /* since mark_ns */
    uint64_t look_ns;     /* the last step wants to be made again then; UINT64_MAX: need not */
    uint64_t waits_to_ns; /* while it waits: until when at most */
    uint32_t busy_steps;  /* since rows that linger were looked at */
    struct fletch_error error;
    FLETCH_ISOLATED struct fletch_eventcount eventcount;
};

enum fletch_task_answer fletch_task_step(struct fletch_flow_task *task);

/* What its thread does. */
void fletch_task_run(void *task);

/* Time is that of `context` from now on; NULL: of a wait. */
void fletch_task_clock(struct fletch_flow_task *task, struct fletch_flow_context *context);

/* Wants to be stepped again at `at_ns`. */
static inline void fletch_task_look_at(struct fletch_flow_task *task, uint64_t at_ns)
{
    if (at_ns < task->look_ns)
        task->look_ns = at_ns;
}

#endif
