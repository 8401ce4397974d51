#ifndef FLETCH_FLOW_FLOW_OUTLET_H
#define FLETCH_FLOW_FLOW_OUTLET_H

/* The sending end of an edge. Nothing here blocks: what finds no room waits in the outlet. */

#include "flow/flow_context.h"

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
