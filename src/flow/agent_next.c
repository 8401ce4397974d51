#include "flow/agent_next.h"

#include "base/asymmetric_fence.h"
#include "base/checked.h"
#include "base/clock.h"

/* Messages from one input before it is the next one's turn. */
enum { TURN_MESSAGES = 16 };

static void take(struct fletch_agent *agent, const struct fletch_agent_envelope *envelope,
                 struct fletch_agent *from)
{
    agent->message = (struct fletch_agent_message){
        .kind = (enum fletch_agent_message_kind)envelope->kind,
        .from = from,
        .slot = envelope->slot,
        .request = envelope->request,
    };
}

/* ---- control and replies ---- */

static bool take_control(struct fletch_agent *agent)
{
    struct fletch_agent_control control;
    if (fletch_mpsc_queue_try_pop(agent->control, &control) != FLETCH_DONE)
        return false;
    agent->message = (struct fletch_agent_message){
        .kind = FLETCH_AGENT_CONTROL, .number = control.code, .value = control.value};
    return true;
}

static bool take_reply_of(struct fletch_agent *agent, uint32_t index, uint64_t now_ns)
{
    struct fletch_agent_entry *entry = &agent->entries[index];
    struct fletch_agent_message *message = &agent->message;
    if (!fletch_agent_entry_is_open(entry))
        return false;
    uint64_t generation = fletch_agent_entry_generation(entry);
    struct fletch_agent_message reply = {.kind = FLETCH_AGENT_REPLY,
                                         .number = generation << 8 | index,
                                         .status = FLETCH_DEADLINE_EXCEEDED};
    bool is_there = fletch_agent_entry_take(entry, generation, &reply.slot, &reply.status);
    if (!is_there && now_ns < entry->deadline_ns)
        return false;
    if (!is_there && fletch_agent_entry_give_up(entry, generation))
        count_one(&agent->counters.requests_expired); /* relaxed: written by this thread only */
    else if (!is_there)
        is_there = fletch_agent_entry_take(entry, generation, &reply.slot, &reply.status);
    agent->open_requests--;
    *message = reply;
    return true;
}

static bool take_reply(struct fletch_agent *agent)
{
    uint64_t now_ns = agent->open_requests == 0 ? 0 : fletch_agent_now_ns(agent);
    for (uint32_t i = 0; agent->open_requests > 0 && i < agent->options.request_limit; i++)
        if (take_reply_of(agent, i, now_ns))
            return true;
    return false;
}

/* ---- inputs ---- */

static bool intake_is_held(const struct fletch_agent *agent)
{
    /* relaxed: written by this thread only */
    return agent->intake_barrier > load_relaxed(&agent->passed);
}

static bool link_is_held(const struct fletch_agent_link_state *link)
{
    /* relaxed: written by this thread only */
    return link->barrier > load_relaxed(&link->to->passed);
}

/* Notes the next barrier for the intake, and whether it has been reached. */
static void look_at_orders(struct fletch_agent *agent)
{
    if (agent->order.barrier == 0 &&
        fletch_mpsc_queue_try_pop(agent->orders, &agent->order) != FLETCH_DONE)
        return;
    if (agent->intake_popped < agent->order.position || intake_is_held(agent))
        return;
    agent->intake_barrier = agent->order.barrier;
    agent->order.barrier = 0;
}

/* After what was taken has left the ring: a sender that waits for room is woken. It announces
 * itself, then looks at `taken`; so one of the two sees the other. */
static void wake_sender(struct fletch_agent_link_state *link)
{
    fletch_fence_frequent((enum fletch_fence_kind)link->from->wake->fence_kind);
    if (load_relaxed(&link->is_awaited) == 0) /* relaxed: ordered by the fence */
        return;
    store_relaxed(&link->is_awaited, 0); /* relaxed: the sender sets it again */
    fletch_eventcount_notify(link->from->wake, UINT32_MAX);
}

/* Whether a message was taken. A barrier that comes holds the link, and is none yet. */
static bool take_from_link(struct fletch_agent *agent, struct fletch_agent_link_state *link)
{
    struct fletch_agent_envelope envelope;
    if (link->has_ended || link_is_held(link))
        return false;
    enum fletch_answer answer = fletch_spsc_ring_try_pop(link->ring, &envelope);
    link->has_ended = answer == FLETCH_CLOSED;
    if (answer != FLETCH_DONE)
        return false;
    if (envelope.kind == FLETCH_AGENT_BARRIER) {
        link->barrier = envelope.number;
        return false;
    }
    /* relaxed: a count, written by this thread only */
    store_relaxed(&link->taken, load_relaxed(&link->taken) + 1);
    wake_sender(link);
    take(agent, &envelope, link->from);
    return true;
}

/* Orders are looked at again behind each element: one that was posted after a barrier was sent may
 * be seen before that was, and is then kept until the barrier has been passed. */
static bool take_from_intake(struct fletch_agent *agent)
{
    if (agent->intake_has_ended)
        return false;
    if (!agent->has_kept) {
        enum fletch_answer answer = fletch_mpsc_queue_try_pop(agent->intake, &agent->kept);
        agent->has_kept = answer == FLETCH_DONE;
        look_at_orders(agent);
        if (answer == FLETCH_CLOSED && !intake_is_held(agent))
            agent->intake_has_ended = true;
    } else {
        look_at_orders(agent);
    }
    if (!agent->has_kept || intake_is_held(agent))
        return false;
    agent->has_kept = false;
    agent->intake_popped++;
    take(agent, &agent->kept, NULL);
    return true;
}

static struct fletch_agent_link_state *after(const struct fletch_agent *agent,
                                             const struct fletch_agent_link_state *turn)
{
    return turn == NULL ? agent->first_in : turn->next_in;
}

/* From the input whose turn it is, or from the next one that has something. */
static bool take_in_turn(struct fletch_agent *agent)
{
    struct fletch_agent_link_state *began = agent->turn;
    if (agent->turn_left == 0) {
        agent->turn = after(agent, agent->turn);
        began = agent->turn;
        agent->turn_left = TURN_MESSAGES;
    }
    do {
        bool was_taken =
            agent->turn == NULL ? take_from_intake(agent) : take_from_link(agent, agent->turn);
        if (was_taken) {
            agent->turn_left--;
            return true;
        }
        agent->turn = after(agent, agent->turn);
        agent->turn_left = TURN_MESSAGES;
    } while (agent->turn != began);
    return false;
}

/* ---- barriers and the end ---- */

/* Whether each input that has not ended has brought the barrier that holds some of them. */
static bool take_barrier(struct fletch_agent *agent)
{
    const struct fletch_agent *late = NULL; /* who has not brought it; NULL: the intake */
    bool all_have = agent->intake_has_ended || intake_is_held(agent);
    uint64_t barrier = intake_is_held(agent) ? agent->intake_barrier : 0;
    for (struct fletch_agent_link_state *link = agent->first_in; link != NULL;
         link = link->next_in) {
        if (link_is_held(link))
            barrier = link->barrier;
        else if (!link->has_ended)
            late = link->from;
        all_have = all_have && (link->has_ended || link_is_held(link));
    }
    if (barrier == 0 || !all_have) {
        if (barrier != 0)
            fletch_agent_show(agent, FLETCH_AGENT_WAITS_FOR_BARRIER, late);
        return false;
    }
    agent->message = (struct fletch_agent_message){.kind = FLETCH_AGENT_BARRIER, .number = barrier};
    return true;
}

static bool take_end(struct fletch_agent *agent)
{
    bool all_have = agent->intake_has_ended && agent->open_requests == 0;
    for (const struct fletch_agent_link_state *link = agent->first_in; link != NULL;
         link = link->next_in)
        all_have = all_have && link->has_ended;
    if (all_have)
        agent->message = (struct fletch_agent_message){.kind = FLETCH_AGENT_END};
    return all_have;
}

/* ---- whether it may take what can make it send ---- */

/* The first link that is full, whose receiver is told that somebody waits; or NULL. */
static struct fletch_agent_link_state *full_link(struct fletch_agent *agent)
{
    for (struct fletch_agent_link_state *link = agent->first_out; link != NULL;
         link = link->next_out) {
        if (fletch_agent_link_load(link) < link->capacity)
            continue;
        store_relaxed(&link->is_awaited, 1); /* relaxed: ordered by the fence of who sleeps */
        return link;
    }
    return NULL;
}

/* Whether each link has room for what one message may send. */
static bool has_room(struct fletch_agent *agent)
{
    struct fletch_agent_link_state *full = full_link(agent);
    if (full == NULL) {
        agent->stalled_since_ns = 0;
        return true;
    }
    if (agent->stalled_since_ns == 0)
        agent->stalled_since_ns = fletch_agent_now_ns(agent);
    fletch_agent_show(agent, FLETCH_AGENT_WAITS_FOR_ROOM, full->to);
    return false;
}

static bool may_ask(struct fletch_agent *agent)
{
    if (agent->open_requests < agent->options.request_limit)
        return true;
    fletch_agent_show(agent, FLETCH_AGENT_WAITS_FOR_REPLIES, NULL);
    return false;
}

bool fletch_agent_next(struct fletch_agent *agent)
{
    fletch_agent_show(agent, FLETCH_AGENT_WAITS, NULL);
    if (take_control(agent))
        return true;
    if (!has_room(agent))
        return false;
    if (take_reply(agent) || take_barrier(agent))
        return true;
    return may_ask(agent) && (take_in_turn(agent) || take_barrier(agent) || take_end(agent));
}

uint64_t fletch_agent_deadline_ns(const struct fletch_agent *agent)
{
    uint64_t deadline_ns = FLETCH_NO_DEADLINE;
    if (agent->stalled_since_ns != 0)
        return fletch_saturating_add_u64(agent->stalled_since_ns, agent->options.stall_timeout_ns);
    for (uint32_t i = 0; agent->open_requests > 0 && i < agent->options.request_limit; i++) {
        const struct fletch_agent_entry *entry = &agent->entries[i];
        if (fletch_agent_entry_is_open(entry) && entry->deadline_ns < deadline_ns)
            deadline_ns = entry->deadline_ns;
    }
    return deadline_ns;
}
