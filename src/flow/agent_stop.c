#include "flow/agent_stop.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"

enum { TEXT_BYTES = 120 };

/* ---- stopping ---- */

static void close_intakes(struct fletch_agent_system *system)
{
    for (struct fletch_agent *agent = system->first; agent != NULL; agent = agent->next) {
        if (agent->intake != NULL)
            fletch_mpsc_queue_close(agent->intake);
        if (agent->wake != NULL)
            fletch_eventcount_notify(agent->wake, UINT32_MAX);
    }
    fletch_eventcount_notify(system->changed, UINT32_MAX);
}

void fletch_agent_system_stop(struct fletch_agent_system *system, enum fletch_status status,
                              const char *message)
{
    uint32_t stopped = FLETCH_AGENTS_RUN;
    /* relaxed: who comes first is all that matters */
    if (!cas_strong_relaxed(&system->stopped, &stopped, FLETCH_AGENTS_STOPPING))
        return;
    (void)fletch_error_set(&system->failure, status, "%s", message);
    store_release(&system->stopped, FLETCH_AGENTS_STOPPED); /* E1 release */
    close_intakes(system);
}

void fletch_agent_system_cancel(struct fletch_agent_system *system, const char *reason)
{
    struct fletch_error cause;
    (void)fletch_error_set(&cause, FLETCH_CANCELLED, "the system of agents is cancelled%s%s",
                           reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
    fletch_agent_system_stop(system, cause.status, cause.message);
}

enum fletch_status fletch_agent_system_tell_failure(const struct fletch_agent_system *system,
                                                    struct fletch_error *error)
{
    return fletch_error_set(error, system->failure.status, "%s", system->failure.message);
}

/* ---- waiting for what all agents have done ---- */

/* The agent that has not passed a barrier; NULL: all have. */
static const struct fletch_agent *laggard(const struct fletch_agent_system *system,
                                          uint64_t barrier)
{
    const struct fletch_agent *agent = system->first;
    while (agent != NULL && load_acquire(&agent->passed) >= barrier) /* E1 acquire */
        agent = agent->next;
    return agent;
}

/* "agent 'a' waits for room in its link to 'b'" */
static void describe(const struct fletch_agent *agent, char text[TEXT_BYTES])
{
    static const char *const words[] = {
        [FLETCH_AGENT_WAITS] = "waits for messages",
        [FLETCH_AGENT_HANDLES] = "is handling a message",
        [FLETCH_AGENT_WAITS_FOR_ROOM] = "waits for room in its link to",
        [FLETCH_AGENT_WAITS_FOR_REPLIES] = "waits for replies to its requests",
        [FLETCH_AGENT_WAITS_FOR_BARRIER] = "waits for a barrier from",
        [FLETCH_AGENT_ENDED] = "has ended",
    };
    struct fletch_agent_counts statistics = {.struct_size = sizeof statistics};
    fletch_agent_statistics(agent, &statistics);
    bool has_name = statistics.waits_for[0] != '\0';
    bool is_intake = statistics.state == FLETCH_AGENT_WAITS_FOR_BARRIER && !has_name;
    snprintf(text, TEXT_BYTES, "agent '%s' %s%s%s%s", agent->name, words[statistics.state],
             has_name ? " '" : "", is_intake ? " its intake" : statistics.waits_for,
             has_name ? "'" : "");
}

struct passing {
    const struct fletch_agent_system *system;
    uint64_t barrier;
};

static enum fletch_answer try_passed(void *context)
{
    const struct passing *passing = context;
    if (laggard(passing->system, passing->barrier) == NULL)
        return FLETCH_DONE;
    return fletch_agent_system_is_stopped(passing->system) ? FLETCH_CLOSED : FLETCH_EMPTY;
}

static enum fletch_status wait_passed(struct fletch_agent_system *system, uint64_t barrier,
                                      uint64_t timeout_ns, struct fletch_error *error)
{
    struct passing passing = {.system = system, .barrier = barrier};
    enum fletch_status status = fletch_transport_check(system->transport, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_wait wait = {.policy = &system->policy,
                                     .history = &system->history,
                                     .eventcount = system->changed,
                                     .attempt = try_passed,
                                     .call = &passing};
    enum fletch_answer answer = fletch_wait_for(&wait, timeout_ns);
    if (fletch_agent_system_is_stopped(system))
        return fletch_agent_system_tell_failure(system, error);
    const struct fletch_agent *agent = answer == FLETCH_DONE ? NULL : laggard(system, barrier);
    if (agent == NULL)
        return FLETCH_OK;
    char text[TEXT_BYTES];
    describe(agent, text);
    if (barrier == UINT64_MAX)
        return fletch_error_set(error, FLETCH_DEADLINE_EXCEEDED, "%s and has not ended", text);
    return fletch_error_set(error, FLETCH_DEADLINE_EXCEEDED, "%s and has not passed barrier %llu",
                            text, (unsigned long long)barrier);
}

/* ---- barriers ---- */

/* Whether the oldest of as many barriers as may be in flight has been passed by all. */
static enum fletch_status check_barrier(const struct fletch_agent_system *system, uint64_t barrier,
                                        struct fletch_error *error)
{
    uint64_t count = system->barrier_count;
    uint64_t limit = system->options.barrier_limit;
    uint64_t last = count == 0 ? 0 : system->barriers[(count - 1) % FLETCH_AGENT_BARRIERS_MOST];
    if (barrier <= last || barrier == UINT64_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "barrier is %llu, expected more than %llu, which was the last one",
                                (unsigned long long)barrier, (unsigned long long)last);
    if (!system->is_started || system->drains)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "the system of agents %s",
                                system->drains ? "drains" : "was not started");
    if (count < limit)
        return FLETCH_OK;
    uint64_t oldest = system->barriers[(count - limit) % FLETCH_AGENT_BARRIERS_MOST];
    const struct fletch_agent *agent = laggard(system, oldest);
    if (agent == NULL)
        return FLETCH_OK;
    char text[TEXT_BYTES];
    describe(agent, text);
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "%llu barriers are in flight, as many as may be: %s and has not passed "
                            "barrier %llu",
                            (unsigned long long)limit, text, (unsigned long long)oldest);
}

enum fletch_status fletch_agent_system_barrier(struct fletch_agent_system *system, uint64_t barrier,
                                               struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(system->transport, error);
    if (status == FLETCH_OK && fletch_agent_system_is_stopped(system))
        status = fletch_agent_system_tell_failure(system, error);
    if (status == FLETCH_OK)
        status = check_barrier(system, barrier, error);
    if (status != FLETCH_OK)
        return status;
    system->barriers[system->barrier_count++ % FLETCH_AGENT_BARRIERS_MOST] = barrier;
    for (struct fletch_agent *agent = system->first; agent != NULL; agent = agent->next) {
        struct fletch_ring_statistics intake = {.struct_size = sizeof intake};
        if (agent->intake == NULL)
            continue;
        fletch_mpsc_queue_statistics(agent->intake, &intake);
        const struct fletch_agent_order order = {.barrier = barrier, .position = intake.pushed};
        /* As many fit as may be in flight. */
        enum fletch_answer answer = fletch_mpsc_queue_try_push(agent->orders, &order);
        FLETCH_ASSERT(answer == FLETCH_DONE);
        (void)answer;
        fletch_eventcount_notify(agent->wake, UINT32_MAX);
    }
    return FLETCH_OK;
}

enum fletch_status fletch_agent_system_wait_barrier(struct fletch_agent_system *system,
                                                    uint64_t barrier, uint64_t timeout_ns,
                                                    struct fletch_error *error)
{
    return wait_passed(system, barrier, timeout_ns, error);
}

enum fletch_status fletch_agent_system_drain(struct fletch_agent_system *system,
                                             uint64_t timeout_ns, struct fletch_error *error)
{
    if (!system->is_started)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the system of agents was not started");
    if (!system->drains)
        close_intakes(system);
    system->drains = true;
    return wait_passed(system, UINT64_MAX, timeout_ns, error);
}
