#ifndef FLETCH_FLOW_FLOW_BARRIER_H
#define FLETCH_FLOW_FLOW_BARRIER_H

/* Barriers that were asked for. They are numbered in the order of asking; barrier i has its id in
 * slot i mod FLETCH_FLOW_BARRIERS_MOST, which is used again when every instance has passed i. */

#include "flow/flow.h"

/* Barriers that every instance has passed; UINT64_MAX: all have ended. Any thread. */
uint64_t fletch_flow_barriers_passed(const struct fletch_flow *flow);

/* How many of the `asked` ones there are up to `id`; 0: it was not asked for, or so long ago that
 * its slot has another id: all have passed it. */
uint64_t fletch_flow_barrier_number(const struct fletch_flow *flow, uint64_t id, uint64_t asked);

/* OK; FAILED_PRECONDITION: not started, or ended; the failure of the flow. */
enum fletch_status fletch_flow_check_running(struct fletch_flow *flow, struct fletch_error *error);

#endif
