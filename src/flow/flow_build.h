#ifndef FLETCH_FLOW_FLOW_BUILD_H
#define FLETCH_FLOW_FLOW_BUILD_H

/* Makes of a planned graph what runs: tasks, instances, and what joins these; and ends it. */

#include "flow/flow.h"

/* Errors as fletch_flow_start; what was made is for fletch_flow_close_edges and
 * fletch_flow_dismantle. */
enum fletch_status fletch_flow_build(struct fletch_flow *flow, struct fletch_error *error);

/* Drops what is under way, closes writers, readers and shuffles, gives the tasks' caches back. When
 * nothing of the flow runs any more. */
void fletch_flow_close_edges(struct fletch_flow *flow);

/* Frees tasks and instances, after that. */
void fletch_flow_dismantle(struct fletch_flow *flow);

#endif
