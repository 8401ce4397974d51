#ifndef FLETCH_FLOW_AGENT_H
#define FLETCH_FLOW_AGENT_H

/* Agents as they lie in memory: see docs/AGENTS.md. Threads meet in rings, queues, the entries of
 * replies, the few words below, and nowhere else.
 *
 * Edges:
 *   E1: agent store_release(passed) -> waiter load_acquire(passed): what the agent did before a
 *       barrier, or before its end. */

#include <fletching/agent.h>
#include <fletching/agent_statistics.h>

#include "base/atomic.h"
#include "flow/agent_envelope.h"
#include "flow/agent_link.h"
#include "flow/agent_reply.h"
#include "sync/eventcount.h"
#include "sync/mpsc_queue.h"
#include "sync/wait.h"

struct fletch_agent_counters {
    _Atomic uint64_t messages;
    _Atomic uint64_t emitted;
    _Atomic uint64_t replied;
    _Atomic uint64_t replies_late;
    _Atomic uint64_t requests_expired;
    _Atomic uint64_t restarts;
    _Atomic uint64_t dead_letters;
    _Atomic uint32_t state;
    _Atomic(const struct fletch_agent *) waits_for;
};

struct fletch_agent {
    struct fletch_agent_system *system;
    struct fletch_agent *next; /* in the order of spawning */
    char name[FLETCH_AGENT_NAME_BYTES];
    struct fletch_agent_functions functions; /* receive NULL: driven */
    struct fletch_agent_options options;     /* with the defaults filled in */
    struct fletch_agent_link_state *first_out;
    struct fletch_agent_link_state *first_in;
    /* While a link is made: who leads to its sender. */
    uint64_t search;                   /* the last one that found this agent */
    struct fletch_agent *found_next;   /* in the order of being found */
    struct fletch_agent *step_back;    /* the next one on the way */
    struct fletch_mpsc_queue *intake;  /* of envelopes; NULL: none */
    struct fletch_mpsc_queue *control; /* of struct fletch_agent_control */
    struct fletch_mpsc_queue *orders;  /* of struct fletch_agent_order */
    struct fletch_eventcount *wake;    /* its worker's, or its own */
    struct fletch_eventcount *own_wake;
    struct fletch_buffer_cache *cache; /* its worker's, or its own */
    struct fletch_buffer_cache *own_cache;
    struct fletch_wait_history history; /* of a driving thread */
    uint64_t waits_to_ns;               /* while that waits: until when at most */
    struct fletch_agent_entry *entries; /* options.request_limit */
    uint32_t open_requests;
    struct fletch_agent_staged *staged; /* options.emit_limit */
    uint32_t staged_count;
    struct fletch_agent_link_state *turn; /* whose turn it is; NULL: the intake's */
    uint32_t turn_left;
    /* Of the intake. */
    struct fletch_agent_order order; /* the oldest that it has not reached, or barrier 0 */
    uint64_t intake_popped;
    struct fletch_agent_envelope kept; /* popped, and perhaps behind a barrier */
    bool has_kept;
    uint64_t intake_barrier; /* the last one that it has reached */
    bool intake_has_ended;
    /* What it is doing. */
    struct fletch_agent_message message; /* NOTHING: none is being handled */
    void *state;
    bool is_alive;   /* init has answered OK, and close was not called */
    bool is_closing; /* close is being called: nothing is sent any more */
    bool has_ended;
    uint64_t stalled_since_ns; /* 0: it does not wait for room */
    uint64_t period_start_ns;
    uint32_t period_restarts;
    FLETCH_ISOLATED _Atomic uint64_t passed; /* the last barrier; UINT64_MAX: ended */
    FLETCH_ISOLATED struct fletch_agent_counters counters;
};

static inline bool fletch_agent_is_driven(const struct fletch_agent *agent)
{
    return agent->functions.receive == NULL;
}

/* Frees an agent and the links from it, whatever of it was made. */
void fletch_agent_end(struct fletch_agent *agent);

/* Of the transport's clock. */
uint64_t fletch_agent_now_ns(const struct fletch_agent *agent);

static inline void fletch_agent_show(struct fletch_agent *agent, enum fletch_agent_state state,
                                     const struct fletch_agent *waits_for)
{
    store_relaxed(&agent->counters.state, state);         /* relaxed: a statistic */
    store_relaxed(&agent->counters.waits_for, waits_for); /* relaxed: a statistic */
}

#endif
