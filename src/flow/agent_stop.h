#ifndef FLETCH_FLOW_AGENT_STOP_H
#define FLETCH_FLOW_AGENT_STOP_H

/* The ways in which a system of agents ends, and its barriers, on which others wait. */

#include "flow/agent_system.h"

/* Stops everything, with the first failure or reason. Any thread. */
void fletch_agent_system_stop(struct fletch_agent_system *system, enum fletch_status status,
                              const char *message);

static inline bool fletch_agent_system_is_stopped(const struct fletch_agent_system *system)
{
    return load_acquire(&system->stopped) == FLETCH_AGENTS_STOPPED; /* E1 acquire */
}

/* Whether it is being stopped just now: who fails first writes why. Nothing is to be begun. */
static inline bool fletch_agent_system_is_stopping(const struct fletch_agent_system *system)
{
    return load_relaxed(&system->stopped) == FLETCH_AGENTS_STOPPING; /* relaxed: E1 tells more */
}

/* Writes why the system is stopped; to be called when it is. */
enum fletch_status fletch_agent_system_tell_failure(const struct fletch_agent_system *system,
                                                    struct fletch_error *error);

#endif
