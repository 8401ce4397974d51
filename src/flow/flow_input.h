#ifndef FLETCH_FLOW_FLOW_INPUT_H
#define FLETCH_FLOW_FLOW_INPUT_H

/* What comes into an instance: batches go to its function, control is aligned over its inlets. */

#include "flow/flow_context.h"

/* Takes one item of the inlets, which take turns. False: there is none. A failure has stopped the
 * flow, and answers true. */
bool fletch_flow_take_one(struct fletch_flow_context *context);

#endif
