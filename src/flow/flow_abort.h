#ifndef FLETCH_FLOW_FLOW_ABORT_H
#define FLETCH_FLOW_FLOW_ABORT_H

/* Barriers that were given up, as an instance hears of them. A slot of a barrier is marked, so that
 * whoever has not passed it passes it without its function; and the ids stand in a ring of their
 * own, so that whoever has passed it is told too. */

#include "flow/flow_context.h"

/* Whether there is something to hear. */
static inline bool fletch_flow_has_unheard(const struct fletch_flow_context *context)
{
    uint64_t asked = load_acquire(&context->flow->aborts_asked); /* F8 acquire */
    return asked > load_relaxed(&context->aborts_seen);          /* relaxed: this thread's own */
}

/* Hears of all that were given up by now: before the instance looks at a barrier or sends its end.
 * A failure has stopped the flow. */
enum fletch_status fletch_flow_hear_aborts(struct fletch_flow_context *context);

/* Passes the next barriers, as far as it has heard that they were given up; as above. */
enum fletch_status fletch_flow_pass_aborted(struct fletch_flow_context *context);

/* Notes that the instance has passed barrier `id`, its next one. */
void fletch_flow_pass_barrier(struct fletch_flow_context *context, uint64_t id);

#endif
