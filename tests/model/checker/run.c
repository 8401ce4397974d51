#include "run.h"

#include <string.h>

#include "actions.h"
#include "fiber.h"
#include "report.h"
#include "search.h"

struct mc_run mc_run;

_Noreturn void mc_run_leave(enum mc_end end)
{
    mc_run.end = end;
    mc_fiber_switch(MC_FIBER_SEARCH);
    __builtin_unreachable();
}

struct mc_toucher mc_run_toucher(void)
{
    struct mc_thread *self = mc_self();
    return (struct mc_toucher){.thread = mc_run.current,
                               .epoch = (uint16_t)(self->events + 1),
                               .known = &self->known,
                               .code = self->code};
}

/* ---- who can go on ---- */

static bool is_queued(uint64_t queue, int thread)
{
    for (; queue != 0; queue >>= 8)
        if ((int)(queue & 0xff) == thread + 1)
            return true;
    return false;
}

int mc_run_waker(const struct mc_thread *sleeper, int thread)
{
    const struct mc_graph *graph = mc_run.graph;
    const struct mc_event *queued = &graph->event[sleeper->queued];
    const struct mc_writes *writes = &graph->writes[queued->location];
    for (int rank = queued->rank; rank < writes->count; rank++) {
        int number = writes->event[rank];
        if (number >= mc_run.position)
            return -1; /* not run yet */
        if (!is_queued(graph->event[number].value, thread))
            return number;
    }
    return -1;
}

/* Whether another look would show the same. */
static bool is_newest(const struct mc_look *look, int thread)
{
    const struct mc_graph *graph = mc_run.graph;
    const struct mc_writes *writes = &graph->writes[look->location];
    int newest = writes->count == 0 ? MC_INITIAL : writes->event[writes->count - 1];
    if (newest != MC_INITIAL && graph->event[newest].thread == thread)
        return true;
    return mc_location_value(graph, look->location, newest) == look->value;
}

static bool saw_newest(const struct mc_thread *thread)
{
    int number = (int)(thread - mc_run.thread);
    for (int i = 0; i < thread->last_turn.count; i++)
        if (!is_newest(&thread->last_turn.look[i], number))
            return false;
    return !thread->last_turn.spurious;
}

static bool is_enabled(int number)
{
    struct mc_thread *thread = &mc_run.thread[number];
    if (thread->state == MC_ASLEEP)
        return mc_run_waker(thread, number) >= 0;
    if (thread->state == MC_PAUSED || thread->state == MC_REFUSED)
        return mc_search_resumes_pauses() && !saw_newest(thread);
    if (thread->state != MC_READY)
        return false;
    if (thread->request.kind == MC_JOIN)
        return mc_run.thread[thread->request.target].state == MC_FINISHED;
    return true;
}

/* ---- the end of an execution ---- */

static bool is_excused(const struct mc_thread *thread)
{
    if (thread->state == MC_PAUSED || thread->state == MC_REFUSED)
        return !saw_newest(thread);
    return thread->state == MC_PRUNED || (thread->state == MC_ASLEEP && thread->timed);
}

/* Nobody can go on. That is an error if nobody will ever see anything that it has not seen. */
static _Noreturn void end_execution(void)
{
    int finished = 0, stuck[MC_FINISHED + 1] = {0};
    for (int i = 0; i < mc_run.thread_count; i++) {
        const struct mc_thread *thread = &mc_run.thread[i];
        if (is_excused(thread))
            mc_run_leave(MC_CUT);
        finished += thread->state == MC_FINISHED;
        stuck[thread->state]++;
    }
    if (finished == mc_run.thread_count) {
        mc_heap_check_leaks();
        mc_run_leave(MC_COMPLETE);
    }
    if (stuck[MC_ASLEEP] > 0)
        mc_fail(MC_LOST_WAKEUP, "%d thread(s) sleep and nobody will wake them", stuck[MC_ASLEEP]);
    if (stuck[MC_REFUSED] > 0 || stuck[MC_PAUSED] == 0)
        mc_fail(MC_DEADLOCK, "%d thread(s) wait for mutexes that stay locked", stuck[MC_REFUSED]);
    mc_fail(MC_LIVELOCK, "%d thread(s) spin on values that nobody will change", stuck[MC_PAUSED]);
}

/* ---- scheduling ---- */

static int next_given(void)
{
    int next = mc_run.graph->event[mc_run.position].thread;
    if (next >= mc_run.thread_count)
        mc_internal("a repeated execution differs: thread %d does not exist", next);
    enum mc_thread_state state = mc_run.thread[next].state;
    if (state != MC_PAUSED && state != MC_REFUSED && !is_enabled(next))
        mc_internal("a repeated execution differs: thread %d cannot go on", next);
    return next;
}

/* Whether it does not matter when the thread takes its next step. */
static bool is_local(int number)
{
    const struct mc_thread *thread = &mc_run.thread[number];
    return thread->state == MC_READY && thread->request.kind != MC_READ &&
           thread->request.kind != MC_WRITE;
}

static int next_thread(void)
{
    unsigned enabled = 0;
    if (mc_run.position < mc_run.given)
        return next_given();
    for (int i = 0; i < mc_run.thread_count; i++) {
        if (mc_run.thread[i].holding)
            return i;
        if (!is_enabled(i))
            continue;
        if (is_local(i) && mc_search_hurries_local_steps())
            return i;
        enabled |= 1u << i;
    }
    if (enabled == 0)
        end_execution();
    return mc_search_pick_thread(enabled, mc_run.current);
}

void mc_run_yield(void)
{
    int next = next_thread();
    struct mc_thread *thread = &mc_run.thread[next];
    if (thread->state == MC_PAUSED || thread->state == MC_REFUSED) {
        thread->state = MC_READY;
        thread->newest = true;
    }
    if (next == mc_run.current)
        return;
    mc_run.current = next;
    mc_fiber_switch(next);
}

static void thread_main(void)
{
    struct mc_thread *self = mc_self();
    mc_step(&(struct mc_request){.kind = MC_START, .source = self->created});
    self->result = self->run(self->argument);
    self->code = NULL;
    mc_run_flush();
    self->finished = mc_step(&(struct mc_request){.kind = MC_END, .source = MC_INITIAL});
    self->state = MC_FINISHED;
    mc_run_yield();
    __builtin_unreachable();
}

int mc_run_add_thread(void *(*run)(void *), void *argument)
{
    int number = mc_run.thread_count++;
    if (number == MC_THREADS)
        mc_internal("more than %d threads", MC_THREADS);
    struct mc_thread *thread = &mc_run.thread[number];
    memset(thread, 0, offsetof(struct mc_thread, turn));
    thread->turn.count = thread->last_turn.count = 0;
    thread->turn.any = thread->turn.spurious = thread->last_turn.spurious = false;
    thread->dirty_count = 0;
    thread->state = MC_READY;
    thread->run = run;
    thread->argument = argument;
    thread->created = MC_INITIAL;
    thread->request.kind = MC_START;
    mc_fiber_make(number, mc_memory_stack(number), MC_STACK_BYTES, thread_main);
    return number;
}

static void *run_harness(void *harness)
{
    void (*run)(void);
    memcpy(&run, &harness, sizeof run);
    run();
    return NULL;
}

enum mc_end mc_run_execute(struct mc_graph *graph, void (*harness)(void))
{
    void *argument;
    memcpy(&argument, &harness, sizeof argument);
    mc_memory_begin();
    mc_location_begin();
    mc_ignore_nothing();
    mc_run.graph = graph;
    mc_run.position = 0;
    mc_run.given = graph->count;
    mc_run.thread_count = 0;
    mc_run.current = mc_run_add_thread(run_harness, argument);
    mc_fiber_switch(mc_run.current);
    return mc_run.end;
}
