#ifndef FLETCH_FLOW_AGENT_LINK_H
#define FLETCH_FLOW_AGENT_LINK_H

#include <fletching/agent.h>

#include "base/atomic.h"
#include "sync/spsc_ring.h"

/* A link: a ring between two agents, with room for what may be sent beyond its capacity while one
 * message is handled, and for all barriers in flight. */
struct fletch_agent_link_state {
    struct fletch_agent *from;
    struct fletch_agent *to;
    struct fletch_agent_link_state *next_out; /* of `from` */
    struct fletch_agent_link_state *next_in;  /* of `to` */
    struct fletch_spsc_ring *ring;
    uint32_t capacity;
    uint64_t sent;                               /* the sender's: batches and requests */
    uint64_t barrier;                            /* the receiver's: the last one that came */
    bool has_ended;                              /* the receiver's */
    FLETCH_ISOLATED _Atomic uint64_t taken;      /* written by the receiver */
    FLETCH_ISOLATED _Atomic uint32_t is_awaited; /* the sender waits for room */
};

/* Batches and requests in a link, for its sender. */
static inline uint64_t fletch_agent_link_load(const struct fletch_agent_link_state *link)
{
    return link->sent - load_relaxed(&link->taken); /* relaxed: a count; the ring orders its data */
}

/* Drops what is left in the link and frees it. */
void fletch_agent_link_end(struct fletch_agent_link_state *link);

#endif
