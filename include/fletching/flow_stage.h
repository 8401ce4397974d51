#ifndef FLETCHING_FLOW_STAGE_H
#define FLETCHING_FLOW_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/batch.h>
#include <fletching/buffer_pool.h>
#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** One instance of a source, stage or sink while it runs in a flow: what its functions are called
 *  with, and what they call back. Valid from init to close; every call of this header belongs to
 *  the function that is running. */
struct fletch_flow_context;

/** What an instance does. All functions of an instance are called by one thread, one at a time; the
 *  instances of one stage run on several threads. They must not block for long: others may share
 *  their thread. A function that fails writes `error` and returns its status: the flow stops, and
 *  names stage, instance and that cause. NULL: nothing to do, but where said otherwise.
 *
 *  What a function emits is sent before the instance is called again, so an instance holds no more
 *  than one call emits. */
struct fletch_flow_functions {
    size_t struct_size;
    /** First, on the thread that the instance runs on. NULL: the state is `argument`, the one of
     *  the description. */
    enum fletch_status (*init)(struct fletch_flow_context *context, void *argument,
                               void **out_state, struct fletch_error *error);
    /** Sources, required: emits some batches, or none. `*out_has_more` is true when it is called; a
     *  source that will emit nothing more sets it to false. */
    enum fletch_status (*produce)(struct fletch_flow_context *context, void *state,
                                  bool *out_has_more, struct fletch_error *error);
    /** Stages and sinks, required: one batch of `input`, the number that its edge goes to. The
     *  batch is the flow's: who keeps it acquires it. */
    enum fletch_status (*process)(struct fletch_flow_context *context, void *state, uint32_t input,
                                  struct fletch_batch *batch, struct fletch_error *error);
    /** Barrier `id` has come on all inputs that have not ended: every batch before it was
     *  processed, none after it. What is emitted here goes before the barrier, which is then sent
     *  to all outputs. The place to save a state: a checkpoint. Sources: it was asked for. */
    enum fletch_status (*on_barrier)(struct fletch_flow_context *context, void *state, uint64_t id,
                                     struct fletch_error *error);
    /** No more rows of event time up to `watermark` will come, on any input that is not idle.
     *  Greater each time; what is emitted here goes before the watermark, which is then sent to all
     *  outputs. INT64_MAX: all inputs have ended; always the last one, before finish, but where the
     *  stage wants no more. Not for sources. */
    enum fletch_status (*on_watermark)(struct fletch_flow_context *context, void *state,
                                       int64_t watermark, struct fletch_error *error);
    /** Every edge to `input` has ended. Not for sources. */
    enum fletch_status (*on_input_end)(struct fletch_flow_context *context, void *state,
                                       uint32_t input, struct fletch_error *error);
    /** All inputs have ended, the source has no more, or the instance wants no more: emits what is
     *  left. `*out_has_more` is false when it is called; set to true, it is called again once that
     *  has been sent. */
    enum fletch_status (*finish)(struct fletch_flow_context *context, void *state,
                                 bool *out_has_more, struct fletch_error *error);
    /** Frees the state. Once for each instance whose init succeeded, also after failures, when no
     *  other function of the flow is running any more: stages in the order in which data flows
     *  through them, instances by number, all on one thread. It cannot emit. */
    void (*close)(struct fletch_flow_context *context, void *state);
    /** Barrier `id` was given up (fletch_flow_abort_barrier): after on_barrier, or in place of it;
     *  once, but for instances that have ended. The place to drop what on_barrier has saved. */
    enum fletch_status (*on_barrier_abort)(struct fletch_flow_context *context, void *state,
                                           uint64_t id, struct fletch_error *error);
};

/* ---- who it is ---- */

/** 0 to fletch_flow_context_instance_count() - 1. */
FLETCH_EXPORT uint32_t fletch_flow_context_instance(const struct fletch_flow_context *context);
FLETCH_EXPORT uint32_t
fletch_flow_context_instance_count(const struct fletch_flow_context *context);
/** The name of its stage, alive as long as the flow. */
FLETCH_EXPORT const char *fletch_flow_context_name(const struct fletch_flow_context *context);
/** The cache of the thread that runs it, of the transport's pool: for batches that it makes or
 *  releases. Valid in close too. */
FLETCH_EXPORT struct fletch_buffer_cache *
fletch_flow_context_cache(const struct fletch_flow_context *context);
/** Whether the flow is being stopped or has failed: for functions that take long, to give up. */
FLETCH_EXPORT bool fletch_flow_context_is_stopping(const struct fletch_flow_context *context);

/* ---- what it sends ---- */

/** Sends a batch to all edges of `output`, by reference; the caller's own reference stays his.
 *  Never blocks: what finds no room waits in the context. OUT_OF_RANGE: no such output;
 *  RESOURCE_EXHAUSTED: no memory for the list of what waits; what this and other batches lack is
 *  told as the stage's failure. FAILED_PRECONDITION: in init or close. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_emit(struct fletch_flow_context *context, uint32_t output, struct fletch_batch *batch,
                 struct fletch_error *error);

/** The same, and takes the caller's reference; on failure that stays his. Without a count of
 *  references where the output has one edge. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_give(struct fletch_flow_context *context, uint32_t output, struct fletch_batch *batch,
                 struct fletch_error *error);

/** Sources: no more rows of event time up to `watermark` will be emitted; goes to all outputs. One
 *  that is not greater than the last is ignored. INT64_MAX is sent as INT64_MAX - 1: all there is
 *  is told by the end. FAILED_PRECONDITION: not a source, which gets its watermarks from its inputs
 *  and passes them on. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_emit_watermark(struct fletch_flow_context *context, int64_t watermark,
                           struct fletch_error *error);

/** Sources: there is nothing to emit for now, so that this instance's watermark holds back nobody
 *  until it emits a batch or a watermark. A stage all of whose inputs are idle or ended is idle
 *  too. FAILED_PRECONDITION: not a source. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_emit_idle(struct fletch_flow_context *context, struct fletch_error *error);

/* ---- when it is called again ---- */

/** Sources: produce is not called again before `duration_ns` have passed (FLETCH_NO_TIMEOUT: for
 *  ever) or the instance is woken. For sources that have nothing to emit just now. A wake between
 *  the call of produce and this one counts: nothing is missed. */
FLETCH_EXPORT void fletch_flow_pause(struct fletch_flow_context *context, uint64_t duration_ns);

/** Wakes one instance of a source, from any thread: one of a device, of a client, of nobody's.
 *  Valid from the instance's init until the flow is destroyed. */
struct fletch_flow_waker;

/** The instance's own. */
FLETCH_EXPORT struct fletch_flow_waker *
fletch_flow_context_waker(struct fletch_flow_context *context);

/** Ends the pause of the instance, or the next one that it makes before produce is called again.
 *  What the caller has done before is seen by that call. Any thread; lock-free, does not block. */
FLETCH_EXPORT void fletch_flow_waker_wake(struct fletch_flow_waker *waker);

/** Stages and sinks, in process and on_watermark: there is no memory for what is to be done;
 *  `error`, not NULL, says what was refused. The function then returns what this answers. OK: it is
 *  called again with the same arguments, before any other of its instance but on_barrier_abort;
 *  meanwhile its inputs wait. Not at all if nobody wants its outputs any more: then its batch is
 *  unread. RESOURCE_EXHAUSTED: that has gone on for memory_timeout_ns of the flow; `error` says
 *  that too. FAILED_PRECONDITION: in another function. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_wait_for_memory(struct fletch_flow_context *context, struct fletch_error *error);

/** The instance has seen enough: when the function that calls this has returned, finish is called,
 *  and then the end goes to all outputs. What still comes in is dropped and counted as unread, and
 *  what sends to nobody else is told: its outputs are not wanted. */
FLETCH_EXPORT void fletch_flow_want_no_more(struct fletch_flow_context *context);

/** Whether anybody still wants what goes to `output`. What does not is dropped when it is emitted,
 *  and counted as unread by its edge. An instance none of whose outputs with edges is wanted wants
 *  no more itself, but where its stage reads to the end. True for an output without edges, which is
 *  there to be dropped. */
FLETCH_EXPORT bool fletch_flow_output_is_wanted(const struct fletch_flow_context *context,
                                                uint32_t output);

FLETCH_END_DECLS

#endif
