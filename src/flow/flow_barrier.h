#ifndef FLETCH_FLOW_FLOW_BARRIER_H
#define FLETCH_FLOW_FLOW_BARRIER_H

/* Barriers that were asked for. They are numbered in the order of asking; barrier i has its id in
 * slot i mod FLETCH_FLOW_BARRIERS_MOST, which is used again when every instance has passed i. */

#include "flow/flow.h"

/* Barriers that every instance has passed; UINT64_MAX: all have ended. Any thread. */
uint64_t fletch_flow_barriers_passed(const struct fletch_flow *flow);

#endif
