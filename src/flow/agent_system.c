#include "flow/agent_system.h"

#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/options.h"
#include "flow/agent_next.h"
#include "flow/agent_step.h"
#include "flow/agent_stop.h"

/* Messages of one agent before it is another one's turn on their thread. */
enum { STEPS_OF_A_TURN = 32 };
enum { BARRIERS_DEFAULT = 4, REQUESTS_DEFAULT = 64, REQUESTS_MOST = 256, THREADS_MOST = 1024 };

/* ---- making ---- */

static enum fletch_status read_options(const struct fletch_agent_system_options *given,
                                       struct fletch_agent_system_options *out_options,
                                       struct fletch_error *error)
{
    static const struct fletch_agent_system_options defaults = {.struct_size = sizeof defaults};
    enum fletch_status status =
        fletch_options_copy(out_options, sizeof *out_options, given == NULL ? &defaults : given,
                            sizeof *out_options, error);
    if (status != FLETCH_OK)
        return status;
    if (out_options->barrier_limit == 0)
        out_options->barrier_limit = BARRIERS_DEFAULT;
    if (out_options->request_limit == 0)
        out_options->request_limit = REQUESTS_DEFAULT;
    if (out_options->barrier_limit > FLETCH_AGENT_BARRIERS_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "barrier_limit is %u, expected 0 to %d", out_options->barrier_limit,
                                FLETCH_AGENT_BARRIERS_MOST);
    if (out_options->request_limit > REQUESTS_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "request_limit is %u, expected 0 to %d", out_options->request_limit,
                                REQUESTS_MOST);
    if (out_options->thread_count > THREADS_MOST &&
        out_options->thread_count != FLETCH_AGENTS_STEPPED)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "thread_count is %u, expected 0 to %d", out_options->thread_count,
                                THREADS_MOST);
    return FLETCH_OK;
}

enum fletch_status fletch_agent_system_create(struct fletch_transport *transport,
                                              const struct fletch_agent_system_options *options,
                                              struct fletch_agent_system **out_system,
                                              struct fletch_error *error)
{
    struct fletch_agent_system_options known;
    enum fletch_status status = fletch_transport_check(transport, error);
    if (status == FLETCH_OK)
        status = read_options(options, &known, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_allocator *allocator = &transport->allocator;
    struct fletch_agent_system *system = fletch_block_allocate(allocator, sizeof *system);
    size_t entries_bytes = known.request_limit * sizeof(struct fletch_agent_entry);
    if (system == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a system of agents");
    *system = (struct fletch_agent_system){.transport = transport, .options = known};
    system->last = &system->first;
    status = fletch_wait_policy_choose(FLETCH_WAIT_DEFAULT, 0, &system->policy, error);
    fletch_wait_history_start(&system->history, &system->policy);
    if (status == FLETCH_OK)
        status = fletch_eventcount_create(allocator, &system->changed, error);
    if (status == FLETCH_OK) {
        system->entries = fletch_block_allocate(allocator, entries_bytes);
        if (system->entries == NULL)
            status = fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for %u requests",
                                      known.request_limit);
    }
    if (status != FLETCH_OK) {
        fletch_eventcount_destroy(system->changed);
        fletch_block_release(system);
        return status;
    }
    memset(system->entries, 0, entries_bytes);
    for (uint32_t i = 0; i < known.request_limit; i++)
        system->entries[i].wake = system->changed;
    *out_system = system;
    return FLETCH_OK;
}

/* ---- threads ---- */

/* When one of the worker's agents wants to be looked at though nothing has come. */
static uint64_t worker_deadline_ns(const struct fletch_agent_worker *worker)
{
    uint64_t deadline_ns = FLETCH_NO_DEADLINE;
    for (const struct fletch_agent *agent = worker->system->first; agent != NULL;
         agent = agent->next) {
        if (fletch_agent_is_driven(agent) || agent->wake != worker->wake)
            continue;
        uint64_t own_ns = fletch_agent_deadline_ns(agent);
        deadline_ns = own_ns < deadline_ns ? own_ns : deadline_ns;
    }
    return deadline_ns;
}

/* Steps of the worker's agents: each one's turn. A deadline before the end of the wait ends it: one
 * that waits for room has another than when it has room. */
static enum fletch_answer try_steps(void *context)
{
    struct fletch_agent_worker *worker = context;
    bool has_moved = false;
    bool all_over = true;
    uint32_t number = 0;
    for (struct fletch_agent *agent = worker->system->first; agent != NULL; agent = agent->next) {
        if (fletch_agent_is_driven(agent) ||
            number++ % worker->system->worker_count != worker->number)
            continue;
        enum fletch_agent_progress progress = FLETCH_AGENT_MOVED;
        for (int i = 0; i < STEPS_OF_A_TURN && progress == FLETCH_AGENT_MOVED; i++) {
            progress = fletch_agent_make_step(agent);
            has_moved = has_moved || progress == FLETCH_AGENT_MOVED;
        }
        all_over = all_over && progress == FLETCH_AGENT_OVER;
    }
    if (all_over)
        return FLETCH_CLOSED;
    if (has_moved || worker_deadline_ns(worker) < worker->waits_to_ns)
        return FLETCH_DONE;
    return FLETCH_EMPTY;
}

static uint64_t begin_wait(struct fletch_agent_worker *worker)
{
    worker->waits_to_ns = worker_deadline_ns(worker);
    return fletch_transport_remaining_ns(worker->system->transport, worker->waits_to_ns);
}

static void run(void *context)
{
    struct fletch_agent_worker *worker = context;
    struct fletch_agent_system *system = worker->system;
    const struct fletch_wait wait = {.policy = &system->policy,
                                     .history = &worker->history,
                                     .eventcount = worker->wake,
                                     .attempt = try_steps,
                                     .call = worker};
    while (fletch_wait_for(&wait, begin_wait(worker)) != FLETCH_CLOSED)
        continue;
    fetch_sub_acq_rel(&system->threads_running, 1); /* E2 release; acquire: not needed */
    fletch_eventcount_notify(system->changed, UINT32_MAX);
}

static uint32_t own_agents(const struct fletch_agent_system *system)
{
    uint32_t count = 0;
    for (const struct fletch_agent *agent = system->first; agent != NULL; agent = agent->next)
        count += !fletch_agent_is_driven(agent);
    return count;
}

/* ---- starting ---- */

static enum fletch_status check_start(const struct fletch_agent_system *system,
                                      struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(system->transport, error);
    if (status != FLETCH_OK)
        return status;
    if (system->is_started)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the system of agents was started before");
    for (const struct fletch_agent *agent = system->first; agent != NULL; agent = agent->next)
        if (agent->intake == NULL && agent->first_in == NULL)
            return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                    "agent '%s' has neither an intake nor a link to it",
                                    agent->name);
    return FLETCH_OK;
}

static enum fletch_status make_workers(struct fletch_agent_system *system,
                                       struct fletch_error *error)
{
    const struct fletch_allocator *allocator = &system->transport->allocator;
    uint32_t agents = own_agents(system);
    uint32_t count = system->options.thread_count;
    if (count == FLETCH_AGENTS_STEPPED)
        count = 1;
    if (count == 0 || count > agents)
        count = agents == 0 ? 1 : agents;
    system->workers = fletch_block_allocate(allocator, count * sizeof system->workers[0]);
    if (system->workers == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for %u threads of agents", count);
    memset(system->workers, 0, count * sizeof system->workers[0]);
    system->worker_count = count;
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; i < count && status == FLETCH_OK; i++) {
        struct fletch_agent_worker *worker = &system->workers[i];
        worker->system = system;
        worker->number = i;
        fletch_wait_history_start(&worker->history, &system->policy);
        status = fletch_eventcount_create(allocator, &worker->wake, error);
        if (status == FLETCH_OK)
            status = fletch_buffer_cache_open(system->transport->pool, &worker->cache, error);
    }
    return status;
}

static void seat_agents(struct fletch_agent_system *system)
{
    system->is_seated = true;
    uint32_t number = 0;
    for (struct fletch_agent *agent = system->first; agent != NULL; agent = agent->next) {
        if (!fletch_agent_is_driven(agent)) {
            const struct fletch_agent_worker *worker =
                &system->workers[number++ % system->worker_count];
            agent->wake = worker->wake;
            agent->cache = worker->cache;
        }
        for (uint32_t i = 0; i < agent->options.request_limit; i++)
            agent->entries[i].wake = agent->wake;
    }
}

/* The processor of a worker that has one agent. */
static uint32_t cpu_of(const struct fletch_agent_system *system,
                       const struct fletch_agent_worker *worker)
{
    for (const struct fletch_agent *agent = system->first; agent != NULL; agent = agent->next)
        if (agent->wake == worker->wake && agent->options.cpu_plus_one != 0 &&
            system->worker_count == own_agents(system))
            return agent->options.cpu_plus_one - 1;
    return FLETCH_ANY_CPU;
}

static enum fletch_status start_threads(struct fletch_agent_system *system,
                                        struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    if (system->options.thread_count == FLETCH_AGENTS_STEPPED || own_agents(system) == 0)
        return FLETCH_OK;
    for (uint32_t i = 0; i < system->worker_count && status == FLETCH_OK; i++) {
        struct fletch_agent_worker *worker = &system->workers[i];
        char name[FLETCH_THREAD_NAME_BYTES];
        snprintf(name, sizeof name, "agents-%u", i % 1000000);
        const struct fletch_thread_options options = {
            .name = name, .cpu = cpu_of(system, worker), .run = run, .context = worker};
        fetch_add_relaxed(&system->threads_running, 1); /* relaxed: the thread's start orders it */
        status = fletch_thread_start(&worker->thread, &options, error);
        worker->was_started = status == FLETCH_OK;
        if (status != FLETCH_OK)
            fetch_sub_relaxed(&system->threads_running, 1); /* relaxed: no thread was started */
    }
    return status;
}

enum fletch_status fletch_agent_system_start(struct fletch_agent_system *system,
                                             struct fletch_error *error)
{
    enum fletch_status status = check_start(system, error);
    if (status != FLETCH_OK)
        return status;
    system->is_started = true;
    status = make_workers(system, error);
    if (status == FLETCH_OK) {
        seat_agents(system);
        status = start_threads(system, error);
    }
    if (status != FLETCH_OK)
        fletch_agent_system_cancel(system, "it could not be started");
    return status;
}

bool fletch_agent_step(struct fletch_agent *agent)
{
    FLETCH_ASSERT(agent->system->options.thread_count == FLETCH_AGENTS_STEPPED &&
                  !fletch_agent_is_driven(agent));
    return fletch_agent_make_step(agent) == FLETCH_AGENT_MOVED;
}

/* ---- ending ---- */

static enum fletch_answer try_joined(void *context)
{
    const struct fletch_agent_system *system = context;
    uint32_t running = load_acquire(&system->threads_running); /* E2 acquire */
    return running == 0 ? FLETCH_DONE : FLETCH_EMPTY;
}

static const struct fletch_agent *still_handling(const struct fletch_agent_system *system)
{
    const struct fletch_agent *agent = system->first;
    /* relaxed: for a message only */
    while (agent->next != NULL && load_relaxed(&agent->counters.state) != FLETCH_AGENT_HANDLES)
        agent = agent->next;
    return agent;
}

static void end_workers(struct fletch_agent_system *system)
{
    for (uint32_t i = 0; i < system->worker_count; i++) {
        struct fletch_agent_worker *worker = &system->workers[i];
        if (worker->was_started)
            fletch_thread_join(&worker->thread);
    }
}

static void free_workers(struct fletch_agent_system *system)
{
    if (system->workers == NULL)
        return;
    for (uint32_t i = 0; i < system->worker_count; i++) {
        fletch_buffer_cache_close(system->workers[i].cache);
        fletch_eventcount_destroy(system->workers[i].wake);
    }
    fletch_block_release(system->workers);
}

static void free_system(struct fletch_agent_system *system)
{
    struct fletch_agent *agent = system->first;
    while (agent != NULL) {
        struct fletch_agent *next = agent->next;
        fletch_agent_end(agent);
        agent = next;
    }
    free_workers(system);
    fletch_block_release(system->entries);
    fletch_eventcount_destroy(system->changed);
    fletch_block_release(system);
}

enum fletch_status fletch_agent_system_destroy(struct fletch_agent_system *system,
                                               uint64_t timeout_ns, struct fletch_error *error)
{
    if (system == NULL)
        return FLETCH_OK;
    enum fletch_status status = fletch_transport_check(system->transport, error);
    if (status != FLETCH_OK)
        return status;
    fletch_agent_system_cancel(system, "it is being destroyed");
    const struct fletch_wait wait = {.policy = &system->policy,
                                     .history = &system->history,
                                     .eventcount = system->changed,
                                     .attempt = try_joined,
                                     .call = system};
    if (fletch_wait_for(&wait, timeout_ns) != FLETCH_DONE)
        return fletch_error_set(error, FLETCH_DEADLINE_EXCEEDED,
                                "agent '%s' is still handling a message",
                                still_handling(system)->name);
    end_workers(system);
    for (struct fletch_agent *agent = system->first; agent != NULL && system->is_seated;
         agent = agent->next)
        fletch_agent_finish(agent); /* those that no thread has ended */
    free_system(system);
    return FLETCH_OK;
}
