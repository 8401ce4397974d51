#include "flow/agent.h"

#include "base/clock.h"
#include "base/status.h"
#include "flow/agent_stop.h"

/* ---- by an agent ---- */

static struct fletch_agent_link_state *link_to(const struct fletch_agent *self,
                                               const struct fletch_agent *to)
{
    struct fletch_agent_link_state *link = self->first_out;
    while (link != NULL && link->to != to)
        link = link->next_out;
    return link;
}

static uint32_t staged_for(const struct fletch_agent *self,
                           const struct fletch_agent_link_state *link)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->staged_count; i++)
        count += self->staged[i].link == link;
    return count;
}

/* What the link may hold. A message is taken when there is room for what it may send, but for
 * control, which comes first in any case; between messages the capacity is the limit. */
static uint64_t most_of(const struct fletch_agent *self, const struct fletch_agent_link_state *link)
{
    bool is_handling = self->message.kind != FLETCH_AGENT_NOTHING;
    return (uint64_t)link->capacity + (is_handling ? self->options.emit_limit : 0);
}

/* Adds what is to leave. The link NULL: a reply. */
static enum fletch_status stage(struct fletch_agent *self, struct fletch_agent_link_state *link,
                                const struct fletch_agent_envelope *envelope,
                                struct fletch_error *error)
{
    if (self->has_ended || self->is_closing)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "agent '%s' cannot send: it %s",
                                self->name, self->has_ended ? "has ended" : "is being closed");
    if (self->staged_count == self->options.emit_limit)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "agent '%s' has sent %u batches, requests and replies since its "
                                "last message, which is its emit_limit",
                                self->name, self->staged_count);
    if (link != NULL &&
        fletch_agent_link_load(link) + staged_for(self, link) >= most_of(self, link))
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "the link from '%s' to '%s' is full: %u batches and requests",
                                self->name, link->to->name, link->capacity);
    self->staged[self->staged_count++] =
        (struct fletch_agent_staged){.link = link, .envelope = *envelope};
    return FLETCH_OK;
}

static enum fletch_status refuse_link(const struct fletch_agent *self,
                                      const struct fletch_agent *to, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "agent '%s' has no link to '%s'",
                            self->name, to->name);
}

enum fletch_status fletch_agent_emit(struct fletch_agent *self, struct fletch_agent *to,
                                     const struct fletch_batch_slot *slot,
                                     struct fletch_error *error)
{
    struct fletch_agent_link_state *link = link_to(self, to);
    const struct fletch_agent_envelope envelope = {.kind = FLETCH_AGENT_BATCH, .slot = *slot};
    return link == NULL ? refuse_link(self, to, error) : stage(self, link, &envelope, error);
}

static struct fletch_agent_entry *claim(struct fletch_agent_entry *entries, uint32_t count,
                                        uint64_t *out_generation)
{
    for (uint32_t i = 0; i < count; i++)
        if (fletch_agent_entry_claim(&entries[i], out_generation))
            return &entries[i];
    return NULL;
}

enum fletch_status fletch_agent_ask(struct fletch_agent *self, struct fletch_agent *to,
                                    const struct fletch_agent_question *question,
                                    uint64_t *out_ticket, struct fletch_error *error)
{
    struct fletch_agent_link_state *link = link_to(self, to);
    uint64_t generation;
    if (link == NULL)
        return refuse_link(self, to, error);
    if (question->timeout_ns == FLETCH_NO_TIMEOUT)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a request of agent '%s' has no deadline", self->name);
    struct fletch_agent_entry *entry =
        claim(self->entries, self->options.request_limit, &generation);
    if (entry == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "agent '%s' has %u open requests, its request_limit", self->name,
                                self->options.request_limit);
    entry->deadline_ns =
        fletch_transport_deadline_ns(self->system->transport, question->timeout_ns);
    const struct fletch_agent_envelope envelope = {
        .kind = FLETCH_AGENT_REQUEST,
        .slot = question->slot,
        .request = {.entry = entry, .generation = generation},
    };
    enum fletch_status status = stage(self, link, &envelope, error);
    if (status != FLETCH_OK) {
        (void)fletch_agent_entry_give_up(entry, generation);
        return status;
    }
    self->open_requests++;
    *out_ticket = generation << 8 | (uint64_t)(entry - self->entries);
    return FLETCH_OK;
}

enum fletch_status fletch_agent_reply(struct fletch_agent *self,
                                      const struct fletch_agent_request *request,
                                      const struct fletch_batch_slot *slot,
                                      struct fletch_error *error)
{
    const struct fletch_agent_envelope envelope = {.slot = *slot, .request = *request};
    if (request->entry == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "agent '%s' replies to a message that is no request", self->name);
    return stage(self, NULL, &envelope, error);
}

/* ---- from outside ---- */

/* FAILED_PRECONDITION in a child forked since, else the failure, if there was one. */
static enum fletch_status check_system(const struct fletch_agent_system *system,
                                       struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(system->transport, error);
    if (status == FLETCH_OK && fletch_agent_system_is_stopped(system))
        status = fletch_agent_system_tell_failure(system, error);
    return status;
}

static enum fletch_status post(struct fletch_agent *to,
                               const struct fletch_agent_envelope *envelope, uint64_t timeout_ns,
                               struct fletch_error *error)
{
    enum fletch_status status = check_system(to->system, error);
    if (status != FLETCH_OK)
        return status;
    if (to->intake == NULL)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "agent '%s' has no intake",
                                to->name);
    enum fletch_answer answer = fletch_mpsc_queue_push(to->intake, envelope, timeout_ns);
    if (answer == FLETCH_DONE) {
        if (to->wake != NULL)
            fletch_eventcount_notify(to->wake, UINT32_MAX);
        return FLETCH_OK;
    }
    if (answer == FLETCH_CLOSED && fletch_agent_system_is_stopped(to->system))
        return fletch_agent_system_tell_failure(to->system, error);
    if (answer == FLETCH_CLOSED)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the system of agent '%s' drains", to->name);
    return fletch_error_set(error,
                            timeout_ns == 0 ? FLETCH_RESOURCE_EXHAUSTED : FLETCH_DEADLINE_EXCEEDED,
                            "the intake of agent '%s' is full: %llu batches and requests", to->name,
                            (unsigned long long)to->options.intake_capacity);
}

enum fletch_status fletch_agent_post(struct fletch_agent *to, const struct fletch_batch_slot *slot,
                                     uint64_t timeout_ns, struct fletch_error *error)
{
    const struct fletch_agent_envelope envelope = {.kind = FLETCH_AGENT_BATCH, .slot = *slot};
    return post(to, &envelope, timeout_ns, error);
}

enum fletch_status fletch_agent_tell(struct fletch_agent *to, uint64_t code, uint64_t value,
                                     struct fletch_error *error)
{
    const struct fletch_agent_control control = {.code = code, .value = value};
    enum fletch_status status = check_system(to->system, error);
    if (status != FLETCH_OK)
        return status;
    if (load_acquire(&to->passed) == UINT64_MAX) /* E1 acquire */
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "agent '%s' has ended",
                                to->name);
    if (fletch_mpsc_queue_try_push(to->control, &control) != FLETCH_DONE)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "agent '%s' has %u control messages that it has not read", to->name,
                                to->options.control_capacity);
    if (to->wake != NULL)
        fletch_eventcount_notify(to->wake, UINT32_MAX);
    return FLETCH_OK;
}

struct call {
    struct fletch_agent_system *system;
    struct fletch_agent_entry *entry;
    uint64_t generation;
    struct fletch_batch_slot slot;
    enum fletch_status status;
};

static enum fletch_answer try_take_reply(void *context)
{
    struct call *call = context;
    if (fletch_agent_entry_take(call->entry, call->generation, &call->slot, &call->status))
        return FLETCH_DONE;
    return fletch_agent_system_is_stopped(call->system) ? FLETCH_CLOSED : FLETCH_EMPTY;
}

/* Whether the reply came in time, or while it was given up. */
static bool wait_for_reply(struct call *call, uint64_t timeout_ns)
{
    const struct fletch_wait wait = {.policy = &call->system->policy,
                                     .history = &call->system->history,
                                     .eventcount = call->system->changed,
                                     .attempt = try_take_reply,
                                     .call = call};
    return fletch_wait_for(&wait, timeout_ns) == FLETCH_DONE ||
           (!fletch_agent_entry_give_up(call->entry, call->generation) &&
            fletch_agent_entry_take(call->entry, call->generation, &call->slot, &call->status));
}

enum fletch_status fletch_agent_call(struct fletch_agent *to, struct fletch_batch_slot *slot,
                                     uint64_t timeout_ns, struct fletch_batch_slot *out_reply,
                                     struct fletch_error *error)
{
    struct fletch_agent_system *system = to->system;
    struct call call = {.system = system};
    uint64_t deadline_ns = fletch_clock_deadline_ns(timeout_ns);
    if (timeout_ns == FLETCH_NO_TIMEOUT)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "a request has no deadline");
    call.entry = claim(system->entries, system->options.request_limit, &call.generation);
    if (call.entry == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "%u requests are open from outside, the system's request_limit",
                                system->options.request_limit);
    const struct fletch_agent_envelope envelope = {
        .kind = FLETCH_AGENT_REQUEST,
        .slot = *slot,
        .request = {.entry = call.entry, .generation = call.generation},
    };
    enum fletch_status status = post(to, &envelope, timeout_ns, error);
    if (status != FLETCH_OK) {
        (void)fletch_agent_entry_give_up(call.entry, call.generation);
        return status;
    }
    slot->batch = NULL;
    if (!wait_for_reply(&call, fletch_clock_remaining_ns(deadline_ns))) {
        if (fletch_agent_system_is_stopped(system))
            return fletch_agent_system_tell_failure(system, error);
        return fletch_error_set(error, FLETCH_DEADLINE_EXCEEDED,
                                "agent '%s' has not replied within %llu ms", to->name,
                                (unsigned long long)(timeout_ns / 1000000));
    }
    if (call.status != FLETCH_OK)
        return fletch_error_set(error, call.status, "agent '%s' has given the request up",
                                to->name);
    *out_reply = call.slot;
    return FLETCH_OK;
}
