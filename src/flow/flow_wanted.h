#ifndef FLETCH_FLOW_FLOW_WANTED_H
#define FLETCH_FLOW_FLOW_WANTED_H

/* What is still wanted. Of each link, or each pair of a FORWARD edge, the instances are counted
 * that want more; one that does not drops what still comes, and who sends to none that do stops. */

#include "flow/flow_context.h"

static inline bool fletch_outlet_is_wanted(const struct fletch_flow_outlet *outlet)
{
    return load_relaxed(outlet->wanting) != 0; /* relaxed: a wish, no data behind it */
}

/* Whether an instance is to go on: somebody wants what it sends, or it sends nothing. */
bool fletch_flow_is_wanted(const struct fletch_flow_context *context);

/* Drops a batch, whose reference it takes, and counts it. */
void fletch_outlet_drop(struct fletch_flow_context *context, struct fletch_flow_outlet *outlet,
                        struct fletch_batch *batch);

/* From now on it finishes, and wants nothing of its inlets. */
void fletch_flow_stop_reading(struct fletch_flow_context *context);

/* Takes one thing of an instance whose end has gone, and drops it. False: there is none. */
bool fletch_flow_drain(struct fletch_flow_context *context);

#endif
