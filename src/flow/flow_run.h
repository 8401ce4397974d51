#ifndef FLETCH_FLOW_FLOW_RUN_H
#define FLETCH_FLOW_FLOW_RUN_H

/* How a flow runs and ends. */

#include "flow/flow.h"

/* Wakes all tasks. Any thread. */
void fletch_flow_notify(struct fletch_flow *flow);

/* Wakes those of one stage. Any thread. */
void fletch_flow_notify_stage(struct fletch_flow *flow, uint32_t stage);

/* Sleeps on `changed` until `is_so` or the timeout; whether it is so. */
bool fletch_flow_await(struct fletch_flow *flow, bool (*is_so)(struct fletch_flow *flow, uint64_t),
                       uint64_t argument, uint64_t timeout_ns);

/* OK, or FAILED_PRECONDITION: it was not started. */
enum fletch_status fletch_flow_check_started(const struct fletch_flow *flow,
                                             struct fletch_error *error);

#endif
