#ifndef FLETCH_FLOW_FLOW_INLET_H
#define FLETCH_FLOW_FLOW_INLET_H

/* The receiving end of an edge. */

#include "flow/flow_context.h"

/* The next item that has come, whose reference is the caller's; `*out_has_item` false: none has.
 * Does not block. Errors of the shuffle. */
enum fletch_status fletch_inlet_take(struct fletch_flow_context *context,
                                     struct fletch_flow_inlet *inlet,
                                     struct fletch_flow_item *out_item, bool *out_has_item,
                                     struct fletch_error *error);

#endif
