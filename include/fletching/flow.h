#ifndef FLETCHING_FLOW_H
#define FLETCHING_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/export.h>
#include <fletching/flow_stage.h>
#include <fletching/partition.h>
#include <fletching/schema.h>
#include <fletching/shuffle.h>
#include <fletching/transport.h>
#include <fletching/wait.h>

FLETCH_BEGIN_DECLS

/** A graph of sources, stages and sinks that stream batches to each other on threads of its own.
 *
 *  Life: create, add and connect, start, wait (or stop, or cancel), destroy. Building belongs to
 *  one thread; from start to destroy the other calls are for any thread, but destroy comes after
 *  all of them.
 *
 *  Promises: batches of one instance reach each instance downstream in the order in which they were
 *  emitted, barriers, watermarks and the end between them where they were sent; each exactly once,
 *  or the flow fails. Memory is bounded: who is too fast waits for who is slow, up to the sources.
 *  The first failure of any instance stops all of them and is what wait answers. */
struct fletch_flow;

#define FLETCH_FLOW_STAGES_MAX 1024u
#define FLETCH_FLOW_INSTANCES_MAX 1024u
#define FLETCH_FLOW_OUTPUTS_MAX 64u
#define FLETCH_FLOW_CAPACITY_DEFAULT 256u

/** Zero means default in every field. */
struct fletch_flow_options {
    size_t struct_size;
    /** For messages and the names of threads; copied. NULL: "flow". */
    const char *name;
    /** How threads wait for input or room. */
    enum fletch_wait_strategy wait_strategy;
    /** 0: FLETCH_SPIN_BUDGET_NS_DEFAULT; FLETCH_OFF: no spinning. For FLETCH_WAIT_ADAPTIVE. */
    uint64_t spin_budget_ns;
    /** Barriers that may be under way, up to 64. 0: 4. */
    uint32_t barrier_limit;
    /** How long a batch that is not even queued, or a function that has found none, waits for
     *  memory, while others of the budget give none back, before the flow fails. 0: 60 s. */
    uint64_t memory_timeout_ns;
};

/** Makes an empty flow, owned by the caller, whose memory and shuffles are the transport's.
 *  INVALID_ARGUMENT: an option, with its value and limit; RESOURCE_EXHAUSTED: no memory. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_create(struct fletch_transport *transport, const struct fletch_flow_options *options,
                   struct fletch_flow **out_flow, struct fletch_error *error);

/** What a source, stage or sink is. Zero means default in every field but `name` and `functions`.
 *  Everything but `argument` is copied. */
struct fletch_flow_stage {
    size_t struct_size;
    /** 1 to 63 bytes; no other stage of the flow has it. */
    const char *name;
    const struct fletch_flow_functions *functions;
    void *argument;
    /** How many of it run. 0: 1; up to FLETCH_FLOW_INSTANCES_MAX. */
    uint32_t instance_count;
    /** Outputs of a source or stage, up to FLETCH_FLOW_OUTPUTS_MAX. 0: 1. An output without an edge
     *  drops what is emitted to it. */
    uint32_t output_count;
    /** Processors to stay on: instance i on cpus[i mod cpu_count]. NULL: any. Where stages are
     *  fused, the first of them that names some decides. */
    const uint32_t *cpus;
    uint32_t cpu_count;
    /** 1: of its inputs, the one of the lowest number is read to its end before batches of the next
     *  are: to build a table before it is probed. Sources whose batches come to a later input do
     *  not begin until then. Inputs that stem from the same source are refused, since that one
     *  would wait for itself, and sources that would wait for each other. */
    uint32_t reads_in_order;
    /** 1: it reads its inputs to the end, though nobody wants what it emits any more: for what it
     *  does besides. */
    uint32_t reads_to_end;
};

/** Adds one; its number, from 0 on in the order of adding, is written. INVALID_ARGUMENT: a field or
 *  function, named, with its value and limit; ALREADY_EXISTS: the name; FAILED_PRECONDITION: the
 *  flow was started; RESOURCE_EXHAUSTED: no memory, or too many. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_add_source(struct fletch_flow *flow, const struct fletch_flow_stage *source,
                       uint32_t *out_stage, struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_add_stage(struct fletch_flow *flow, const struct fletch_flow_stage *stage,
                      uint32_t *out_stage, struct fletch_error *error);
/** A stage without outputs. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_add_sink(struct fletch_flow *flow, const struct fletch_flow_stage *sink,
                     uint32_t *out_stage, struct fletch_error *error);

/** How batches go from the instances of one stage to those of another. All but FORWARD are shuffles
 *  of the transport (docs/SHUFFLE.md), one partition for each instance downstream. */
enum fletch_flow_edge_kind {
    /** Instance i to instance i, by reference; both stages have as many. Fused on one thread. */
    FLETCH_FLOW_FORWARD = 0,
    FLETCH_FLOW_HASH = 1,      /* rows, by the hash of the key columns */
    FLETCH_FLOW_RANGE = 2,     /* rows, by where the key columns lie between bounds */
    FLETCH_FLOW_REBALANCE = 3, /* batches, in turn, by reference */
    FLETCH_FLOW_BROADCAST = 4  /* every batch to all instances, by reference */
};

/** Zero means default in every field; `schema` is required but for FORWARD. Everything is copied or
 *  acquired. Several edges may leave an output, and several may go to one input. */
struct fletch_flow_edge {
    size_t struct_size;
    enum fletch_flow_edge_kind kind;
    uint32_t from_stage;
    uint32_t from_output;
    uint32_t to_stage;
    uint32_t to_input; /* told to process; below FLETCH_FLOW_OUTPUTS_MAX */
    /** FORWARD: 1: two threads, joined by a ring of `capacity` batches. */
    uint32_t is_apart;
    uint32_t capacity; /* 0: FLETCH_FLOW_CAPACITY_DEFAULT */
    /** Of the batches. */
    struct fletch_schema *schema;
    /** HASH and RANGE: as in struct fletch_partitioner_options. */
    const uint32_t *key_columns;
    uint32_t key_column_count;
    const struct fletch_range_order *range_orders;
    struct fletch_batch *range_bounds;
    /** As in struct fletch_shuffle_options. */
    uint64_t budget_bytes;
    size_t frame_bytes;
    uint64_t linger_ns;
    enum fletch_sum_level sums;
    const char *spill_directory;
};

/** Joins two stages; the edge's number, from 0 on, is written (NULL: not asked for).
 *  INVALID_ARGUMENT: a field, named, with its value and limit; OUT_OF_RANGE: no such stage or
 *  output; FAILED_PRECONDITION: the flow was started; RESOURCE_EXHAUSTED: no memory. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_connect(struct fletch_flow *flow, const struct fletch_flow_edge *edge,
                    uint32_t *out_edge, struct fletch_error *error);

/** Looks at the graph, makes its shuffles and rings, and starts its threads. INVALID_ARGUMENT: a
 *  cycle, named stage by stage: its bounded edges could all wait for each other; a stage or sink
 *  without input; inputs in order that stem from one source, or from sources that wait for each
 *  other; a key or bound that its edge cannot take. RESOURCE_EXHAUSTED: memory, the budget,
 *  threads. After a failure nothing runs, and the flow can only be destroyed. Does not block, but
 *  where a thread could not be started: until those that were have ended. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_flow_start(struct fletch_flow *flow,
                                                                     struct fletch_error *error);

/** Waits until the flow has ended: every instance was closed. OK: all data went through. The status
 *  of the first failure, whose message begins with "stage 'name', instance i: "; CANCELLED.
 *  DEADLINE_EXCEEDED: it still runs, names what an instance waits for. May be called again. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_wait(struct fletch_flow *flow, uint64_t timeout_ns, struct fletch_error *error);

/** Asks the sources to end, after the call of produce that runs; what they have emitted flows to
 *  the sinks. Waits for that up to `timeout_ns`, then cancels. Answers as fletch_flow_wait; after
 *  DEADLINE_EXCEEDED, which names who is still at work, the flow is cancelled, and ends as soon as
 *  each function that runs has returned. FLETCH_NO_TIMEOUT: does not cancel. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_stop(struct fletch_flow *flow, uint64_t timeout_ns, struct fletch_error *error);

/** Stops everything where it is, and drops what is under way. Idempotent; the first reason (NULL:
 *  none) stays. Does not wait. */
FLETCH_EXPORT void fletch_flow_cancel(struct fletch_flow *flow, const char *reason);

/** Ends the pause of all instances of a source; fletch_flow_waker_wake ends that of one.
 *  OUT_OF_RANGE: no such source. Does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_wake(struct fletch_flow *flow, uint32_t source, struct fletch_error *error);

/** Cancels a flow that runs, waits for its threads, and frees it. FAILED_PRECONDITION: a function
 *  has not returned within `timeout_ns`, named; the flow stays. NULL allowed. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_destroy(struct fletch_flow *flow, uint64_t timeout_ns, struct fletch_error *error);

/* ---- barriers ---- */

/** Sends barrier `id` into the flow: each instance of each source that has not ended emits it after
 *  the call that runs. Ids increase. Does not wait; one thread at a time, with
 *  fletch_flow_abort_barrier. INVALID_ARGUMENT: not above the last one; RESOURCE_EXHAUSTED: as many
 *  are under way as may be; FAILED_PRECONDITION: not started; the failure of the flow. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_barrier(struct fletch_flow *flow, uint64_t id, struct fletch_error *error);

/** Gives up barrier `id`: nobody waits for it any more, and each instance that has not ended is
 *  told, whether it has passed it or not. Does not wait; one thread at a time, with
 *  fletch_flow_barrier. NOT_FOUND: it is not under way: never sent, passed by all, or given up;
 *  RESOURCE_EXHAUSTED: an instance, named, has not yet heard of 64 others; the failure of the
 *  flow. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_abort_barrier(struct fletch_flow *flow, uint64_t id, struct fletch_error *error);

/** Waits until every instance of the flow has passed barrier `id` or has ended before it came. OK,
 *  also for any id below those of the last 64, which all have passed; ABORTED: it was given up;
 *  DEADLINE_EXCEEDED: names an instance that has not; NOT_FOUND: it was not sent; the failure of
 *  the flow. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_wait_barrier(struct fletch_flow *flow, uint64_t id, uint64_t timeout_ns,
                         struct fletch_error *error);

/* ---- statistics ---- */

/** All instances together. */
#define FLETCH_FLOW_ALL_INSTANCES UINT32_MAX

struct fletch_stage_statistics {
    size_t struct_size;
    uint32_t instances;
    uint32_t instances_ended;
    uint64_t batches_in;
    uint64_t rows_in;
    uint64_t batches_out;    /* emitted, whatever the number of edges */
    uint64_t busy_ns;        /* in its functions and in moving their batches */
    uint64_t input_wait_ns;  /* with nothing to do */
    uint64_t credit_wait_ns; /* with something to send, or to do, and no room for it */
    uint64_t barriers;
    int64_t watermark;         /* the least that an instance was told, INT64_MIN: none */
    uint64_t batches_unread;   /* that came when it wanted no more */
    uint64_t rows_unread;      /* of those */
    uint64_t barriers_aborted; /* that it was told of */
    uint32_t instances_idle;
};

/** What an instance of a stage, or all of them (FLETCH_FLOW_ALL_INSTANCES), has done so far; may
 *  lag behind. Writes the first `out_statistics->struct_size` bytes. OUT_OF_RANGE: no such stage or
 *  instance; FAILED_PRECONDITION: not started. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_stage_statistics(struct fletch_flow *flow, uint32_t stage, uint32_t instance,
                             struct fletch_stage_statistics *out_statistics,
                             struct fletch_error *error);

struct fletch_edge_statistics {
    size_t struct_size;
    uint32_t is_fused;
    uint64_t batches; /* that have come out of it */
    uint64_t rows;
    uint64_t batches_queued; /* FORWARD: emitted, and not taken */
    uint64_t bytes_queued;   /* shuffles */
    uint64_t input_wait_ns;  /* of those who read it: nothing came */
    uint64_t credit_wait_ns; /* of those who write it: it was full */
    uint64_t bytes_spilled;
    uint64_t batches_unread; /* sent to it or come out of it, and wanted by nobody */
    uint64_t rows_unread;
};

FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flow_edge_statistics(struct fletch_flow *flow, uint32_t edge,
                            struct fletch_edge_statistics *out_statistics,
                            struct fletch_error *error);

FLETCH_END_DECLS

#endif
