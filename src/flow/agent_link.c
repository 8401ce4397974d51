#include "flow/agent_link.h"

#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "flow/agent_system.h"

enum { CAPACITY_DEFAULT = 64, CIRCLE_BYTES = 240 };

/* ---- circles ---- */

/* Goes back over the links from `from`, each agent once; `step_back` of those that are found is the
 * next one on a way to it. Whether there is one from `to`. */
static bool leads_back(struct fletch_agent *from, struct fletch_agent *to)
{
    uint64_t search = ++from->system->searches;
    struct fletch_agent *last = from;
    from->search = search;
    from->found_next = NULL;
    for (struct fletch_agent *agent = from; agent != NULL; agent = agent->found_next)
        for (const struct fletch_agent_link_state *link = agent->first_in; link != NULL;
             link = link->next_in) {
            struct fletch_agent *found = link->from;
            if (found->search == search)
                continue;
            found->search = search;
            found->step_back = agent;
            found->found_next = NULL;
            last->found_next = found;
            last = found;
        }
    return to->search == search;
}

/* Writes "'a' > 'b' > 'a'" as far as it fits. */
static void write_circle(const struct fletch_agent *from, const struct fletch_agent *to,
                         char text[CIRCLE_BYTES])
{
    size_t at = (size_t)snprintf(text, CIRCLE_BYTES, "'%s'", from->name);
    const struct fletch_agent *agent = to;
    while (agent != NULL && at < CIRCLE_BYTES) {
        at += (size_t)snprintf(text + at, CIRCLE_BYTES - at, " > '%s'", agent->name);
        agent = agent == from ? NULL : agent->step_back;
    }
}

static enum fletch_status check(struct fletch_agent *from, struct fletch_agent *to,
                                struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(from->system->transport, error);
    if (status != FLETCH_OK)
        return status;
    if (from->system != to->system)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "agents '%s' and '%s' are of different systems", from->name,
                                to->name);
    if (from->system->is_started)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the system of agents was started: no links can be added");
    for (const struct fletch_agent_link_state *link = from->first_out; link != NULL;
         link = link->next_out)
        if (link->to == to)
            return fletch_error_set(error, FLETCH_ALREADY_EXISTS, "agent '%s' has a link to '%s'",
                                    from->name, to->name);
    if (!leads_back(from, to))
        return FLETCH_OK;
    char circle[CIRCLE_BYTES];
    write_circle(from, to, circle);
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "a link from '%s' to '%s' closes a circle, in which all mailboxes can "
                            "be full at a time: %s",
                            from->name, to->name, circle);
}

/* ---- making ---- */

/* What is sent beyond the capacity: one message's batches and requests, and all barriers. */
static uint64_t ring_capacity(const struct fletch_agent *from, uint32_t capacity)
{
    return (uint64_t)capacity + from->options.emit_limit + from->system->options.barrier_limit;
}

static void add(struct fletch_agent_link_state *link)
{
    struct fletch_agent_link_state **last_out = &link->from->first_out;
    struct fletch_agent_link_state **last_in = &link->to->first_in;
    while (*last_out != NULL)
        last_out = &(*last_out)->next_out;
    while (*last_in != NULL)
        last_in = &(*last_in)->next_in;
    *last_out = *last_in = link;
}

enum fletch_status fletch_agent_link(struct fletch_agent *from, struct fletch_agent *to,
                                     uint32_t capacity, struct fletch_error *error)
{
    enum fletch_status status = check(from, to, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_allocator *allocator = &from->system->transport->allocator;
    struct fletch_agent_link_state *link = fletch_block_allocate(allocator, sizeof *link);
    if (link == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a link");
    *link = (struct fletch_agent_link_state){
        .from = from, .to = to, .capacity = capacity == 0 ? CAPACITY_DEFAULT : capacity};
    /* Both sides sleep on eventcounts of their own: the ring's are not needed. */
    const struct fletch_spsc_ring_options ring = {
        .struct_size = sizeof ring,
        .element_bytes = sizeof(struct fletch_agent_envelope),
        .capacity = ring_capacity(from, link->capacity),
        .wait_strategy = FLETCH_WAIT_SPIN,
    };
    status = fletch_spsc_ring_create(&ring, allocator, &link->ring, error);
    if (status != FLETCH_OK) {
        fletch_block_release(link);
        return status;
    }
    add(link);
    return FLETCH_OK;
}

static void drop(void *context, void *element)
{
    const struct fletch_agent_envelope *envelope = element;
    fletch_batch_release(context, envelope->slot.batch);
}

void fletch_agent_link_end(struct fletch_agent_link_state *link)
{
    fletch_spsc_ring_destroy(link->ring, drop, NULL);
    fletch_block_release(link);
}
