#ifndef FLETCH_FLOW_FLOW_OUTLET_H
#define FLETCH_FLOW_FLOW_OUTLET_H

/* The sending end of an edge. Nothing here blocks: what finds no room waits in the outlet. */

#include "base/inlining.h"
#include "flow/flow_context.h"
#include "sync/spsc_ring.h"

/* The frequent way of a batch through a FORWARD edge, whose reference is taken. False: it is not to
 * be gone, fletch_outlet_send knows the others; nothing was done. */
static FLETCH_ALWAYS_INLINE bool fletch_outlet_push_batch(struct fletch_flow_context *context,
                                                          struct fletch_flow_outlet *outlet,
                                                          struct fletch_batch *batch)
{
    const struct fletch_flow_item item = {.kind = FLETCH_ITEM_BATCH, .batch = batch};
    struct fletch_item_queue *queue = &outlet->waiting;
    if (outlet->ring == NULL) {
        if (outlet->writer != NULL || queue->count == queue->capacity)
            return false;
        fletch_item_queue_push_back(queue, &item);
        return true;
    }
    if (queue->count > 0 || !fletch_spsc_ring_push_fast(outlet->ring, &item))
        return false;
    if (context->flow->sleeps)
        fletch_eventcount_notify_inline(outlet->wakes, 1);
    return true;
}

/* Sends an item, or lets it wait; the item's reference is taken. On failure it stays the caller's.
 * RESOURCE_EXHAUSTED: no memory for the list; else what the shuffle says. */
enum fletch_status fletch_outlet_send(struct fletch_flow_context *context,
                                      struct fletch_flow_outlet *outlet,
                                      const struct fletch_flow_item *item,
                                      struct fletch_error *error);

/* Sends what waits, as far as it goes: is_blocked tells whether something is left. Counts as work
 * of `context` when something went. */
enum fletch_status fletch_outlet_flush(struct fletch_flow_context *context,
                                       struct fletch_flow_outlet *outlet,
                                       struct fletch_error *error);

/* What was sent, or waits to be sent, of a barrier that was given up is given up too. */
enum fletch_status fletch_outlet_abort_barrier(struct fletch_flow_outlet *outlet, uint64_t id,
                                               struct fletch_error *error);

/* Sends rows that have lingered long enough; tells the task when to look again. */
enum fletch_status fletch_outlet_linger(struct fletch_flow_context *context,
                                        struct fletch_flow_outlet *outlet, uint64_t now_ns,
                                        struct fletch_error *error);

#endif
