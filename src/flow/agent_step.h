#ifndef FLETCH_FLOW_AGENT_STEP_H
#define FLETCH_FLOW_AGENT_STEP_H

/* One step of an agent: one message handed out and what it sent committed, or its failure seen
 * to. */

#include "flow/agent.h"

enum fletch_agent_progress { FLETCH_AGENT_IDLE, FLETCH_AGENT_MOVED, FLETCH_AGENT_OVER };

/* Its thread; never blocks but for the agent's own functions. */
enum fletch_agent_progress fletch_agent_make_step(struct fletch_agent *agent);

/* The message has been handled: what was staged leaves, barriers go on, the end ends the agent. */
void fletch_agent_commit(struct fletch_agent *agent);

/* Fails the system if the agent has waited for room for too long. */
void fletch_agent_check_stall(struct fletch_agent *agent);

/* Ends the agent, whatever is left for it: closes its state and its links. */
void fletch_agent_finish(struct fletch_agent *agent);

#endif
