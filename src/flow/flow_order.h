#ifndef FLETCH_FLOW_FLOW_ORDER_H
#define FLETCH_FLOW_FLOW_ORDER_H

/* Inputs that are read one after the other. The plan notes, for each stage that does so, to which
 * of its inputs the batches of each other stage come (`inputs_from`, by number; FLETCH_NO_INPUT:
 * they do not). A source begins when all instances of these stages have come to the input that its
 * batches come to; so on a later one there are only barriers. */

#include "flow/flow_context.h"

#define FLETCH_NO_INPUT UINT32_MAX

/* Refuses inputs that stem from one source, and sources that would wait for each other. `scratch`:
 * two numbers for each stage. After the order of stages was found. */
enum fletch_status fletch_flow_plan_order(struct fletch_flow *flow, uint32_t *scratch,
                                          struct fletch_error *error);

/* Whether a source may begin. */
bool fletch_flow_may_begin(const struct fletch_flow_context *context);

/* Whether batches of the inlet are to wait. */
static inline bool fletch_inlet_is_early(const struct fletch_flow_context *context,
                                         const struct fletch_flow_inlet *inlet)
{
    return context->node->inputs_from != NULL &&
           /* relaxed: written by this thread only */
           inlet->input > load_relaxed(&context->current_input);
}

/* Finds the input whose turn it is; when an inlet has ended, and at first. */
void fletch_flow_pass_order(struct fletch_flow_context *context);

/* The instance reads nothing any more that others are to wait for. */
void fletch_flow_leave_order(struct fletch_flow_context *context);

#endif
