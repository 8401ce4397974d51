#ifndef FLETCH_FLOW_FLOW_CALL_H
#define FLETCH_FLOW_FLOW_CALL_H

/* Calls of the user's functions, and what goes out behind them. A failure has stopped the flow when
 * it is answered. */

#include "flow/flow_context.h"
#include "flow/flow_task.h"

/* After a call, and after the library's own: a failure is the instance's. */
static inline enum fletch_status fletch_call_end(struct fletch_flow_context *context,
                                                 enum fletch_status status)
{
    context->may_emit = false;
    context->may_wait = false;
    if (status != FLETCH_OK)
        fletch_flow_fail(context->flow, context, status, &context->task->error);
    return status;
}

enum fletch_status fletch_call_init(struct fletch_flow_context *context);
enum fletch_status fletch_call_produce(struct fletch_flow_context *context, bool *out_has_more);

/* The batch's reference is taken; where there is no memory for it, the call is owed. */
enum fletch_status fletch_call_process(struct fletch_flow_context *context,
                                       struct fletch_flow_inlet *inlet, struct fletch_batch *batch);
enum fletch_status fletch_call_watermark(struct fletch_flow_context *context, int64_t watermark);

/* Makes the owed call. False: it is too early. */
bool fletch_call_owed(struct fletch_flow_context *context);

/* on_barrier, the barrier to all outlets, and it is passed. */
enum fletch_status fletch_call_barrier(struct fletch_flow_context *context, uint64_t id);
enum fletch_status fletch_call_barrier_abort(struct fletch_flow_context *context, uint64_t id);
enum fletch_status fletch_call_input_end(struct fletch_flow_context *context, uint32_t input);
enum fletch_status fletch_call_finish(struct fletch_flow_context *context, bool *out_has_more);

#endif
