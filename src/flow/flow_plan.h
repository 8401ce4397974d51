#ifndef FLETCH_FLOW_FLOW_PLAN_H
#define FLETCH_FLOW_FLOW_PLAN_H

/* Looks at a whole graph before anything of it is made: in which order data flows, which stages are
 * fused, and what cannot work. */

#include "flow/flow.h"

/* Writes flow->order, the groups of nodes, and which links are fused. Errors as
 * fletch_flow_start. */
enum fletch_status fletch_flow_plan(struct fletch_flow *flow, struct fletch_error *error);

#endif
