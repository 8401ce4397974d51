#include "flow/agent.h"

#include <string.h>

#include "base/allocator.h"
#include "base/clock.h"
#include "base/options.h"
#include "flow/agent_next.h"
#include "flow/agent_step.h"
#include "flow/agent_stop.h"

enum {
    INTAKE_DEFAULT = 64,
    CONTROL_DEFAULT = 64,
    REQUESTS_DEFAULT = 16,
    REQUESTS_MOST = 256,
    EMIT_DEFAULT = 64,
    EMIT_MOST = 1 << 16,
    RESTARTS_DEFAULT = 3
};

#define MINUTE_NS UINT64_C(60000000000)

/* ---- spawning ---- */

static enum fletch_status check_name(const struct fletch_agent_system *system, const char *name,
                                     struct fletch_error *error)
{
    if (name == NULL || *name == '\0' || strlen(name) >= FLETCH_AGENT_NAME_BYTES)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "an agent's name is '%.40s', expected 1 to %d bytes",
                                name == NULL ? "" : name, FLETCH_AGENT_NAME_BYTES - 1);
    for (const struct fletch_agent *agent = system->first; agent != NULL; agent = agent->next)
        if (strcmp(agent->name, name) == 0)
            return fletch_error_set(error, FLETCH_ALREADY_EXISTS, "an agent is named '%s'", name);
    return FLETCH_OK;
}

static void fill_in(struct fletch_agent_options *options)
{
    options->intake_capacity =
        options->intake_capacity == 0 ? INTAKE_DEFAULT : options->intake_capacity;
    options->control_capacity =
        options->control_capacity == 0 ? CONTROL_DEFAULT : options->control_capacity;
    options->request_limit =
        options->request_limit == 0 ? REQUESTS_DEFAULT : options->request_limit;
    options->emit_limit = options->emit_limit == 0 ? EMIT_DEFAULT : options->emit_limit;
    options->restart_limit =
        options->restart_limit == 0 ? RESTARTS_DEFAULT : options->restart_limit;
    options->restart_period_ns =
        options->restart_period_ns == 0 ? MINUTE_NS : options->restart_period_ns;
    options->stall_timeout_ns =
        options->stall_timeout_ns == 0 ? MINUTE_NS : options->stall_timeout_ns;
}

static enum fletch_status check_options(const struct fletch_agent_system *system,
                                        const struct fletch_agent_options *options,
                                        struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(system->transport, error);
    if (status != FLETCH_OK)
        return status;
    if (system->is_started)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the system of agents was started: no agents can be added");
    if (options->functions != NULL && options->functions->receive == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "agent '%.40s' has functions without receive", options->name);
    if (options->request_limit > REQUESTS_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "request_limit is %u, expected 0 to %d", options->request_limit,
                                REQUESTS_MOST);
    if (options->emit_limit > EMIT_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "emit_limit is %u, expected 0 to %d", options->emit_limit,
                                EMIT_MOST);
    if ((unsigned)options->supervision > FLETCH_AGENT_RESTART ||
        (unsigned)options->failed_message > FLETCH_AGENT_DEAD_LETTER)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "supervision is %d and failed_message is %d, expected 0 or 1",
                                (int)options->supervision, (int)options->failed_message);
    return check_name(system, options->name, error);
}

static enum fletch_status make_queue(const struct fletch_agent *agent, size_t element_bytes,
                                     uint64_t capacity, struct fletch_mpsc_queue **out_queue,
                                     struct fletch_error *error)
{
    const struct fletch_mpsc_queue_options options = {
        .struct_size = sizeof options, .element_bytes = element_bytes, .capacity = capacity};
    return fletch_mpsc_queue_create(&options, &agent->system->transport->allocator, out_queue,
                                    error);
}

static enum fletch_status make_queues(struct fletch_agent *agent, struct fletch_error *error)
{
    const struct fletch_agent_options *options = &agent->options;
    enum fletch_status status = make_queue(agent, sizeof(struct fletch_agent_control),
                                           options->control_capacity, &agent->control, error);
    agent->intake_has_ended = options->intake_capacity == FLETCH_OFF;
    if (status != FLETCH_OK || agent->intake_has_ended)
        return status;
    status = make_queue(agent, sizeof(struct fletch_agent_order),
                        agent->system->options.barrier_limit, &agent->orders, error);
    return status != FLETCH_OK ? status
                               : make_queue(agent, sizeof(struct fletch_agent_envelope),
                                            options->intake_capacity, &agent->intake, error);
}

static enum fletch_status make_arrays(struct fletch_agent *agent, struct fletch_error *error)
{
    const struct fletch_allocator *allocator = &agent->system->transport->allocator;
    size_t entries_bytes = agent->options.request_limit * sizeof agent->entries[0];
    agent->entries = fletch_block_allocate(allocator, entries_bytes);
    agent->staged =
        fletch_block_allocate(allocator, agent->options.emit_limit * sizeof agent->staged[0]);
    if (agent->entries == NULL || agent->staged == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for %u requests and %u messages of agent '%s'",
                                agent->options.request_limit, agent->options.emit_limit,
                                agent->name);
    memset(agent->entries, 0, entries_bytes);
    return FLETCH_OK;
}

/* What a driven agent has of its own; the others share their worker's. */
static enum fletch_status make_driven(struct fletch_agent *agent, struct fletch_error *error)
{
    struct fletch_transport *transport = agent->system->transport;
    if (!fletch_agent_is_driven(agent))
        return FLETCH_OK;
    enum fletch_status status =
        fletch_eventcount_create(&transport->allocator, &agent->own_wake, error);
    if (status == FLETCH_OK)
        status = fletch_buffer_cache_open(transport->pool, &agent->own_cache, error);
    agent->wake = agent->own_wake;
    agent->cache = agent->own_cache;
    agent->is_alive = true;
    fletch_wait_history_start(&agent->history, &agent->system->policy);
    return status;
}

static void drop_envelope(void *context, void *element)
{
    const struct fletch_agent_envelope *envelope = element;
    fletch_batch_release(context, envelope->slot.batch);
}

void fletch_agent_end(struct fletch_agent *agent)
{
    struct fletch_agent_link_state *link = agent->first_out;
    while (link != NULL) {
        struct fletch_agent_link_state *next = link->next_out;
        fletch_agent_link_end(link);
        link = next;
    }
    if (agent->has_kept)
        fletch_batch_release(NULL, agent->kept.slot.batch);
    fletch_mpsc_queue_destroy(agent->intake, drop_envelope, NULL);
    fletch_mpsc_queue_destroy(agent->orders, NULL, NULL);
    fletch_mpsc_queue_destroy(agent->control, NULL, NULL);
    fletch_buffer_cache_close(agent->own_cache);
    fletch_eventcount_destroy(agent->own_wake);
    if (agent->entries != NULL)
        fletch_block_release(agent->entries);
    if (agent->staged != NULL)
        fletch_block_release(agent->staged);
    fletch_block_release(agent);
}

enum fletch_status fletch_agent_spawn(struct fletch_agent_system *system,
                                      const struct fletch_agent_options *options,
                                      struct fletch_agent **out_agent, struct fletch_error *error)
{
    struct fletch_agent_options known;
    enum fletch_status status =
        fletch_options_copy(&known, sizeof known, options, sizeof known, error);
    if (status == FLETCH_OK)
        status = check_options(system, &known, error);
    if (status != FLETCH_OK)
        return status;
    fill_in(&known);
    struct fletch_agent *agent =
        fletch_block_allocate(&system->transport->allocator, sizeof *agent);
    if (agent == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for agent '%s'",
                                known.name);
    *agent = (struct fletch_agent){.system = system, .options = known};
    if (known.functions != NULL)
        agent->functions = *known.functions;
    memcpy(agent->name, known.name, strlen(known.name));
    status = make_queues(agent, error);
    if (status == FLETCH_OK)
        status = make_arrays(agent, error);
    if (status == FLETCH_OK)
        status = make_driven(agent, error);
    if (status != FLETCH_OK) {
        fletch_agent_end(agent);
        return status;
    }
    *system->last = agent;
    system->last = &agent->next;
    system->agent_count++;
    *out_agent = agent;
    return FLETCH_OK;
}

/* ---- being asked ---- */

uint64_t fletch_agent_now_ns(const struct fletch_agent *agent)
{
    return fletch_transport_now_ns(agent->system->transport);
}

const char *fletch_agent_name(const struct fletch_agent *agent)
{
    return agent->name;
}

struct fletch_buffer_cache *fletch_agent_cache(struct fletch_agent *self)
{
    return self->cache;
}

struct fletch_eventcount *fletch_agent_eventcount(struct fletch_agent *self)
{
    return self->wake;
}

/* ---- being driven ---- */

/* DONE without a message: a deadline comes before the end of the wait. */
static enum fletch_answer try_receive(void *context)
{
    struct fletch_agent *agent = context;
    if (fletch_agent_system_is_stopped(agent->system))
        return FLETCH_CLOSED;
    if (fletch_agent_next(agent))
        return FLETCH_DONE;
    fletch_agent_check_stall(agent);
    return fletch_agent_deadline_ns(agent) < agent->waits_to_ns ? FLETCH_DONE : FLETCH_EMPTY;
}

static bool has_nothing(const struct fletch_agent *agent, enum fletch_answer answer)
{
    return answer != FLETCH_CLOSED && agent->message.kind == FLETCH_AGENT_NOTHING;
}

/* Waits, and looks again in between when a deadline of the agent's has come. */
static enum fletch_answer receive_until(struct fletch_agent *agent, uint64_t timeout_ns)
{
    const struct fletch_wait wait = {.policy = &agent->system->policy,
                                     .history = &agent->history,
                                     .eventcount = agent->wake,
                                     .attempt = try_receive,
                                     .call = agent};
    uint64_t until_ns = fletch_clock_deadline_ns(timeout_ns);
    agent->waits_to_ns = 0;
    enum fletch_answer answer = try_receive(agent);
    while (has_nothing(agent, answer) && fletch_clock_remaining_ns(until_ns) > 0) {
        agent->waits_to_ns = fletch_agent_deadline_ns(agent);
        uint64_t left_ns = fletch_clock_remaining_ns(until_ns);
        uint64_t own_ns =
            fletch_transport_remaining_ns(agent->system->transport, agent->waits_to_ns);
        answer = fletch_wait_for(&wait, own_ns < left_ns ? own_ns : left_ns);
    }
    return answer;
}

enum fletch_status fletch_agent_receive(struct fletch_agent *self, uint64_t timeout_ns,
                                        struct fletch_agent_message *out_message,
                                        struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(self->system->transport, error);
    if (status != FLETCH_OK)
        return status;
    if (!fletch_agent_is_driven(self) || !self->system->is_started)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "agent '%s' %s", self->name,
                                fletch_agent_is_driven(self) ? "was not started"
                                                             : "has functions that receive");
    bool is_stopped = fletch_agent_system_is_stopped(self->system);
    if (!is_stopped)
        fletch_agent_commit(self);
    enum fletch_answer answer = FLETCH_DONE;
    if (!is_stopped && !self->has_ended)
        answer = receive_until(self, timeout_ns);
    if (is_stopped || answer == FLETCH_CLOSED) {
        fletch_agent_finish(self);
        return fletch_agent_system_tell_failure(self->system, error);
    }
    *out_message = self->message;
    if (self->has_ended)
        out_message->kind = FLETCH_AGENT_END;
    return FLETCH_OK;
}
