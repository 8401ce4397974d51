#ifndef FLETCH_FLOW_AGENT_ENVELOPE_H
#define FLETCH_FLOW_AGENT_ENVELOPE_H

/* What agents send each other, and how it is sent: fletch_agent_emit, ask, reply, post, call and
 * tell. */

#include <fletching/agent.h>

struct fletch_agent_link_state;

/* What travels through links and intakes. */
struct fletch_agent_envelope {
    uint32_t kind;   /* enum fletch_agent_message_kind */
    uint64_t number; /* a barrier's */
    struct fletch_batch_slot slot;
    struct fletch_agent_request request;
};

/* What an agent sends when it has handled its message. */
struct fletch_agent_staged {
    struct fletch_agent_link_state *link; /* NULL: a reply */
    struct fletch_agent_envelope envelope;
};

/* A barrier on its way to an intake: behind the first `position` elements of it. */
struct fletch_agent_order {
    uint64_t barrier;
    uint64_t position;
};

struct fletch_agent_control {
    uint64_t code;
    uint64_t value;
};

#endif
