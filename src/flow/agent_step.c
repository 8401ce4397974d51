#include "flow/agent_step.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/status.h"
#include "flow/agent_next.h"
#include "flow/agent_stop.h"

/* ---- what leaves ---- */

static void push(struct fletch_agent_link_state *link, const struct fletch_agent_envelope *envelope)
{
    /* There is room: the ring holds what one message may send beyond the link's capacity, and all
     * barriers in flight. */
    enum fletch_answer answer = fletch_spsc_ring_try_push(link->ring, envelope);
    FLETCH_ASSERT(answer == FLETCH_DONE);
    (void)answer;
    fletch_eventcount_notify(link->to->wake, UINT32_MAX);
}

static void send_reply(struct fletch_agent *agent, const struct fletch_agent_envelope *envelope)
{
    const struct fletch_agent_request *request = &envelope->request;
    count_one(&agent->counters.replied); /* relaxed: written by this thread only */
    if (fletch_agent_entry_answer(request->entry, request->generation, &envelope->slot, FLETCH_OK))
        return;
    count_one(&agent->counters.replies_late); /* relaxed: written by this thread only */
    fletch_batch_release(agent->cache, envelope->slot.batch);
}

static void send_staged(struct fletch_agent *agent)
{
    for (uint32_t i = 0; i < agent->staged_count; i++) {
        const struct fletch_agent_staged *staged = &agent->staged[i];
        if (staged->link == NULL) {
            send_reply(agent, &staged->envelope);
            continue;
        }
        push(staged->link, &staged->envelope);
        staged->link->sent++;
        count_one(&agent->counters.emitted); /* relaxed: written by this thread only */
    }
    agent->staged_count = 0;
}

/* Closes a request of the agent's own; a reply that has come is released. */
static void forget_request(struct fletch_agent *agent, struct fletch_agent_entry *entry)
{
    struct fletch_batch_slot slot;
    enum fletch_status status;
    uint64_t generation = fletch_agent_entry_generation(entry);
    agent->open_requests--;
    if (!fletch_agent_entry_give_up(entry, generation) &&
        fletch_agent_entry_take(entry, generation, &slot, &status))
        fletch_batch_release(agent->cache, slot.batch);
}

/* One that was staged in init may have expired before it left: its entry is another's by now. */
static bool is_open_request(const struct fletch_agent_staged *staged)
{
    const struct fletch_agent_request *request = &staged->envelope.request;
    return staged->link != NULL && staged->envelope.kind == FLETCH_AGENT_REQUEST &&
           fletch_agent_entry_generation(request->entry) == request->generation;
}

static void drop_staged(struct fletch_agent *agent)
{
    for (uint32_t i = 0; i < agent->staged_count; i++) {
        const struct fletch_agent_staged *staged = &agent->staged[i];
        fletch_batch_release(agent->cache, staged->envelope.slot.batch);
        if (is_open_request(staged))
            forget_request(agent, staged->envelope.request.entry);
    }
    agent->staged_count = 0;
}

static void forget_requests(struct fletch_agent *agent)
{
    for (uint32_t i = 0; agent->open_requests > 0 && i < agent->options.request_limit; i++)
        if (fletch_agent_entry_is_open(&agent->entries[i]))
            forget_request(agent, &agent->entries[i]);
}

/* The state goes, and with it what it has asked and not sent. */
static void close_state(struct fletch_agent *agent)
{
    agent->is_closing = true;
    if (agent->is_alive && agent->functions.close != NULL)
        agent->functions.close(agent->state, agent);
    agent->is_closing = false;
    agent->is_alive = false;
    drop_staged(agent);
    forget_requests(agent);
}

static void pass_barrier(struct fletch_agent *agent, uint64_t barrier)
{
    const struct fletch_agent_envelope envelope = {.kind = FLETCH_AGENT_BARRIER, .number = barrier};
    for (struct fletch_agent_link_state *link = agent->first_out; link != NULL;
         link = link->next_out)
        push(link, &envelope);
    store_release(&agent->passed, barrier); /* E1 release */
    fletch_eventcount_notify(agent->system->changed, UINT32_MAX);
}

void fletch_agent_finish(struct fletch_agent *agent)
{
    if (agent->has_ended)
        return;
    close_state(agent);
    fletch_batch_release(agent->cache, agent->message.slot.batch);
    agent->message = (struct fletch_agent_message){.kind = FLETCH_AGENT_NOTHING};
    agent->has_ended = true;
    for (struct fletch_agent_link_state *link = agent->first_out; link != NULL;
         link = link->next_out) {
        fletch_spsc_ring_close(link->ring);
        fletch_eventcount_notify(link->to->wake, UINT32_MAX);
    }
    fletch_agent_show(agent, FLETCH_AGENT_ENDED, NULL);
    store_release(&agent->passed, UINT64_MAX); /* E1 release */
    fletch_eventcount_notify(agent->system->changed, UINT32_MAX);
}

void fletch_agent_commit(struct fletch_agent *agent)
{
    struct fletch_agent_message message = agent->message;
    send_staged(agent);
    if (message.kind == FLETCH_AGENT_NOTHING)
        return;
    agent->message = (struct fletch_agent_message){.kind = FLETCH_AGENT_NOTHING};
    fletch_batch_release(agent->cache, message.slot.batch);
    count_one(&agent->counters.messages); /* relaxed: written by this thread only */
    if (message.kind == FLETCH_AGENT_BARRIER)
        pass_barrier(agent, message.number);
    if (message.kind == FLETCH_AGENT_END)
        fletch_agent_finish(agent);
}

/* ---- failures ---- */

static void stop_for(struct fletch_agent *agent, const char *doing,
                     const struct fletch_error *cause)
{
    static const char *const handled[] = {
        [FLETCH_AGENT_NOTHING] = "nothing",
        [FLETCH_AGENT_BATCH] = "a batch",
        [FLETCH_AGENT_REQUEST] = "a request",
        [FLETCH_AGENT_REPLY] = "a reply",
        [FLETCH_AGENT_CONTROL] = "a control message",
        [FLETCH_AGENT_BARRIER] = "a barrier",
        [FLETCH_AGENT_END] = "the end",
    };
    const struct fletch_agent_message *message = &agent->message;
    const char *from = message->from == NULL ? "" : message->from->name;
    struct fletch_error error;
    if (doing != NULL)
        (void)fletch_error_set(&error, cause->status, "agent '%s' failed at %s: %s", agent->name,
                               doing, cause->message);
    else
        (void)fletch_error_set(&error, cause->status, "agent '%s' failed at %s%s%s%s: %s",
                               agent->name, handled[message->kind], *from == '\0' ? "" : " of '",
                               from, *from == '\0' ? "" : "'", cause->message);
    fletch_agent_system_stop(agent->system, error.status, error.message);
}

/* Whether the agent may be restarted once more in this period. */
static bool may_restart(struct fletch_agent *agent)
{
    uint64_t now_ns = fletch_agent_now_ns(agent);
    if (agent->options.supervision != FLETCH_AGENT_RESTART)
        return false;
    if (agent->period_restarts == 0 ||
        now_ns - agent->period_start_ns >= agent->options.restart_period_ns) {
        agent->period_start_ns = now_ns;
        agent->period_restarts = 0;
    }
    return ++agent->period_restarts <= agent->options.restart_limit;
}

static void give_message_up(struct fletch_agent *agent, const struct fletch_error *error)
{
    struct fletch_agent_message *message = &agent->message;
    const struct fletch_batch_slot nothing = {.batch = NULL};
    bool is_kept = agent->options.failed_message == FLETCH_AGENT_REDELIVER ||
                   message->kind == FLETCH_AGENT_BARRIER || message->kind == FLETCH_AGENT_END;
    if (is_kept || message->kind == FLETCH_AGENT_NOTHING)
        return;
    count_one(&agent->counters.dead_letters); /* relaxed: written by this thread only */
    if (agent->functions.dead_letter != NULL)
        agent->functions.dead_letter(agent->options.argument, agent, message, error);
    send_staged(agent); /* by dead_letter: the message is done with */
    if (message->kind == FLETCH_AGENT_REQUEST)
        (void)fletch_agent_entry_answer(message->request.entry, message->request.generation,
                                        &nothing, FLETCH_ABORTED);
    fletch_batch_release(agent->cache, message->slot.batch);
    *message = (struct fletch_agent_message){.kind = FLETCH_AGENT_NOTHING};
}

/* `doing`: NULL: it was handling its message. */
static void fail(struct fletch_agent *agent, const char *doing, const struct fletch_error *error)
{
    close_state(agent);
    if (!may_restart(agent)) {
        stop_for(agent, doing, error);
        return;
    }
    count_one(&agent->counters.restarts); /* relaxed: written by this thread only */
    if (doing == NULL)
        give_message_up(agent, error);
}

/* What a function of the agent's answers, with a message even where it wrote none. */
static bool is_ok(enum fletch_status status, struct fletch_error *error)
{
    if (status != FLETCH_OK && error->status != status)
        (void)fletch_error_set(error, status, "%s", fletch_status_name(status));
    return status == FLETCH_OK;
}

void fletch_agent_check_stall(struct fletch_agent *agent)
{
    uint64_t timeout_ns = agent->options.stall_timeout_ns;
    if (agent->stalled_since_ns == 0 || timeout_ns == FLETCH_OFF ||
        fletch_agent_now_ns(agent) - agent->stalled_since_ns < timeout_ns)
        return;
    /* relaxed: written by this thread */
    const struct fletch_agent *to = load_relaxed(&agent->counters.waits_for);
    struct fletch_error error;
    (void)fletch_error_set(&error, FLETCH_DEADLINE_EXCEEDED,
                           "agent '%s' has waited for room in its link to '%s' for %llu ms, its "
                           "stall_timeout",
                           agent->name, to->name, (unsigned long long)(timeout_ns / 1000000));
    fletch_agent_system_stop(agent->system, error.status, error.message);
}

/* ---- steps ---- */

static void wake_up(struct fletch_agent *agent)
{
    struct fletch_error error = {.status = FLETCH_OK};
    agent->state = agent->options.argument;
    fletch_agent_show(agent, FLETCH_AGENT_HANDLES, NULL);
    if (agent->functions.init == NULL ||
        is_ok(agent->functions.init(agent->options.argument, agent, &agent->state, &error), &error))
        agent->is_alive = true;
    else
        fail(agent, "init", &error);
}

static void handle(struct fletch_agent *agent)
{
    struct fletch_error error = {.status = FLETCH_OK};
    fletch_agent_show(agent, FLETCH_AGENT_HANDLES, NULL);
    enum fletch_status status =
        agent->functions.receive(agent->state, agent, &agent->message, &error);
    if (is_ok(status, &error))
        fletch_agent_commit(agent);
    else
        fail(agent, NULL, &error);
}

enum fletch_agent_progress fletch_agent_make_step(struct fletch_agent *agent)
{
    if (agent->has_ended)
        return FLETCH_AGENT_OVER;
    if (fletch_agent_system_is_stopped(agent->system)) {
        fletch_agent_finish(agent);
        return FLETCH_AGENT_MOVED;
    }
    if (fletch_agent_system_is_stopping(agent->system))
        return FLETCH_AGENT_IDLE; /* what has failed is not called again; all are notified */
    if (!agent->is_alive) {
        wake_up(agent);
        return FLETCH_AGENT_MOVED;
    }
    if (agent->message.kind == FLETCH_AGENT_NOTHING && !fletch_agent_next(agent)) {
        fletch_agent_check_stall(agent);
        return FLETCH_AGENT_IDLE;
    }
    handle(agent);
    return FLETCH_AGENT_MOVED;
}
