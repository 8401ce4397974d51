#ifndef FLETCH_FLOW_AGENT_NEXT_H
#define FLETCH_FLOW_AGENT_NEXT_H

/* Which message an agent handles next. Control first, then replies, barriers, and batches and
 * requests, in turn from its intake and links; an input that has brought a barrier is held until
 * all have. */

#include "flow/agent.h"

/* Moves the next message into agent->message. False: there is none, and it is shown what the agent
 * waits for. The end comes once all inputs have ended. */
bool fletch_agent_next(struct fletch_agent *agent);

/* When the agent should look again though nobody wakes it: UINT64_MAX: never. */
uint64_t fletch_agent_deadline_ns(const struct fletch_agent *agent);

#endif
