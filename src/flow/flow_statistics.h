#ifndef FLETCH_FLOW_FLOW_STATISTICS_H
#define FLETCH_FLOW_FLOW_STATISTICS_H

/* What a flow tells of itself while it runs. */

#include "flow/flow.h"

#define FLETCH_FLOW_WAITING_BYTES 300

/* Writes how far the flow is, and what one of its instances that have not ended does or waits for:
 * one that works, else one that waits for credit, else one that waits for input. Any thread, while
 * the flow runs. */
void fletch_flow_describe(const struct fletch_flow *flow, char *text, size_t text_bytes);

#endif
