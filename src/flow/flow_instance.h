#ifndef FLETCH_FLOW_FLOW_INSTANCE_H
#define FLETCH_FLOW_FLOW_INSTANCE_H

/* What one instance does next. */

#include "flow/flow_context.h"

/* Does a bounded number of things, or finds that there is nothing to do. True: something was done.
 * A failure has stopped the flow, and answers true. */
bool fletch_instance_step(struct fletch_flow_context *context);

/* Looks after rows that linger in its outlets; as above. */
bool fletch_instance_linger(struct fletch_flow_context *context, uint64_t now_ns);

/* Calls its close, if that is owed. */
void fletch_instance_close(struct fletch_flow_context *context);

#endif
