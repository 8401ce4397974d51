#ifndef FLETCH_FLOW_FLOW_INLET_H
#define FLETCH_FLOW_FLOW_INLET_H

/* The receiving end of an edge. */

#include "base/inlining.h"
#include "flow/flow_context.h"
#include "sync/spsc_ring.h"

/* As fletch_inlet_take, of an edge that is no shuffle; false: nothing has come. */
static FLETCH_ALWAYS_INLINE bool fletch_inlet_pop(struct fletch_flow_context *context,
                                                  struct fletch_flow_inlet *inlet,
                                                  struct fletch_flow_item *out_item)
{
    if (inlet->from != NULL) {
        if (inlet->from->waiting.count == 0)
            return false;
        *out_item = fletch_item_queue_pop(&inlet->from->waiting);
        return true;
    }
    if (!fletch_spsc_ring_pop_fast(inlet->ring, out_item) &&
        fletch_spsc_ring_try_pop(inlet->ring, out_item) != FLETCH_DONE)
        return false;
    if (context->flow->sleeps)
        fletch_eventcount_notify_inline(inlet->wakes, 1);
    return true;
}

/* The next item that has come, whose reference is the caller's; `*out_has_item` false: none has.
 * Does not block. Errors of the shuffle. */
enum fletch_status fletch_inlet_take(struct fletch_flow_context *context,
                                     struct fletch_flow_inlet *inlet,
                                     struct fletch_flow_item *out_item, bool *out_has_item,
                                     struct fletch_error *error);

#endif
