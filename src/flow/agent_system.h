#ifndef FLETCH_FLOW_AGENT_SYSTEM_H
#define FLETCH_FLOW_AGENT_SYSTEM_H

/* A system of agents and its threads.
 *
 * Edges:
 *   E1: who fails first store_release(stopped) -> any load_acquire(stopped): the failure.
 *   E2: worker fetch_sub_acq_rel(threads_running) -> destroyer load_acquire(threads_running): all
 *       that the thread did. */

#include "base/thread.h"
#include "flow/agent.h"
#include "shuffle/transport.h"

enum { FLETCH_AGENT_BARRIERS_MOST = 64 };

struct fletch_agent_worker {
    struct fletch_thread thread;
    struct fletch_agent_system *system;
    uint32_t number;
    bool was_started;
    struct fletch_eventcount *wake;
    struct fletch_buffer_cache *cache;
    struct fletch_wait_history history;
    uint64_t waits_to_ns; /* while it waits: until when at most */
};

/* What the system's functions ask each other. */
enum fletch_agent_stop { FLETCH_AGENTS_RUN, FLETCH_AGENTS_STOPPING, FLETCH_AGENTS_STOPPED };

struct fletch_agent_system {
    struct fletch_transport *transport;
    struct fletch_agent_system_options options; /* with the defaults filled in */
    struct fletch_wait_policy policy;
    struct fletch_agent *first;
    struct fletch_agent **last;
    uint32_t agent_count;
    uint64_t searches; /* for circles, so far */
    bool is_started;
    bool is_seated; /* all agents know what wakes them */
    bool drains;
    struct fletch_agent_worker *workers;
    uint32_t worker_count;
    struct fletch_agent_entry *entries; /* of calls from outside */
    struct fletch_eventcount *changed; /* a barrier was passed, an agent or thread ended, a reply */
    struct fletch_wait_history history;
    uint64_t barriers[FLETCH_AGENT_BARRIERS_MOST]; /* the last ones, by their count */
    uint64_t barrier_count;
    struct fletch_error failure;              /* written once, before `stopped` says so */
    FLETCH_ISOLATED _Atomic uint32_t stopped; /* enum fletch_agent_stop */
    _Atomic uint32_t threads_running;
};

#endif
