#ifndef FLETCH_FLOW_FLOW_H
#define FLETCH_FLOW_FLOW_H

/* A flow, as its files share it:
 *   flow.c             making, adding, connecting
 *   flow_plan.c        the order of the stages, what is refused, who is fused
 *   flow_build.c       instances, their inlets and outlets, rings, shuffles, tasks
 *   flow_run.c         start, failure, leaving, wait, stop, destroy
 *   flow_task.c        the instances of one thread: a step, a wait
 *   flow_instance.c    one instance: what it does next
 *   flow_call.c        calls of the user's functions
 *   flow_input.c       what comes into an instance
 *   flow_inlet.c, flow_outlet.c   the ends of edges
 *   flow_context.c     what functions of the user call
 *   flow_barrier.c, flow_abort.c   barriers that were asked for, and given up
 *   flow_order.c       inputs that are read one after the other
 *   flow_wanted.c      what is still wanted
 *   flow_statistics.c  numbers, and who waits for what
 *
 * Edges:
 *   F1: fletch_flow_fail store_release(failure) -> load_acquire(failure): status and message.
 *   F2: each leaving task fetch_sub_acq_rel(tasks_left) -> that of the last one: all it has done.
 *   F3: the last one store_release(phase) -> load_acquire(phase): everything is closed.
 *   F4: fletch_flow_barrier store_release(barriers_asked) -> sources load_acquire(barriers_asked):
 *       the id in its slot.
 *   F5: instance store_release(barriers_passed) -> load_acquire(barriers_passed): its on_barrier
 *       has returned, and the slot of the id has been read.
 *   F6: fletch_flow_waker_wake exchange_acq_rel(woken) -> source exchange_acq_rel(woken): what was
 *       done before it was woken.
 *   F7: outlet fetch_sub_acq_rel(active) -> inlet load_acquire(active): all that the producers,
 *       idle or ended by now, have sent is in the shuffle.
 *   F8: fletch_flow_abort_barrier store_release(aborts_asked) -> instance
 *       load_acquire(aborts_asked): the id in its slot, and the mark of the barrier's.
 *   F9: instance store_release(aborts_seen) -> load_acquire(aborts_seen): the slot of the id has
 *       been read. */

#include <fletching/flow.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "shuffle/transport.h"
#include "sync/eventcount.h"
#include "sync/wait.h"

enum {
    FLETCH_FLOW_NAME_BYTES = 64,
    FLETCH_FLOW_BARRIERS_MOST = 64, /* under way; what a shuffle takes */
    FLETCH_FLOW_QUEUE = 16          /* items between fused instances, from which the sender waits */
};

/* How long after a refusal for want of memory one tries again: nobody tells of memory. */
#define FLETCH_FLOW_MEMORY_LOOK_NS UINT64_C(1000000)

/* No stage: a failure of the flow's own. */
#define FLETCH_FLOW_NO_STAGE UINT32_MAX

enum fletch_flow_node_kind { FLETCH_NODE_SOURCE, FLETCH_NODE_STAGE, FLETCH_NODE_SINK };

/* A source, stage or sink of the graph. */
struct fletch_flow_node {
    char name[FLETCH_FLOW_NAME_BYTES];
    enum fletch_flow_node_kind kind;
    uint32_t number;
    struct fletch_flow_functions functions;
    void *argument;
    uint32_t instance_count;
    uint32_t output_count;
    uint32_t *cpus; /* own copy; NULL: any */
    uint32_t cpu_count;
    bool reads_in_order;
    bool reads_to_end;
    uint32_t *inputs_from;                  /* plan, where it reads in order: see flow_order.h */
    uint32_t group;                         /* plan: the lowest number of those fused with it */
    struct fletch_flow_context **instances; /* made by the build, or NULL */
};

/* An edge of the graph. */
struct fletch_flow_link {
    struct fletch_flow_edge edge; /* what it points to is the flow's own */
    uint32_t number;
    bool is_fused;                  /* plan */
    struct fletch_shuffle *shuffle; /* a reference; NULL: FORWARD */
    _Atomic uint32_t active;        /* of a shuffle: producers that are neither idle nor ended */
    _Atomic uint32_t wanting;       /* of a shuffle: consumers that want more of it */
};

enum fletch_flow_phase {
    FLETCH_FLOW_BUILDING,
    FLETCH_FLOW_RUNNING,
    FLETCH_FLOW_ENDED /* nothing runs, everything is closed */
};

enum fletch_flow_failure {
    FLETCH_FAILURE_NONE,
    FLETCH_FAILURE_CLAIMED, /* somebody writes it */
    FLETCH_FAILURE_DONE,
    FLETCH_FAILURE_NEVER /* it ended without one */
};

struct fletch_flow_task;

struct fletch_flow {
    struct fletch_allocator allocator;
    struct fletch_transport *transport;
    char name[FLETCH_FLOW_NAME_BYTES];
    struct fletch_wait_policy policy;
    bool sleeps; /* tasks do, so they must be woken */
    uint32_t barrier_limit;
    uint64_t memory_timeout_ns;

    struct fletch_flow_node **nodes;
    struct fletch_flow_link **links;
    uint32_t node_count;
    uint32_t node_capacity;
    uint32_t link_count;
    uint32_t link_capacity;

    uint32_t *order; /* plan: numbers of nodes, none before those that it gets data from */
    struct fletch_flow_task **tasks;
    uint32_t task_count;
    uint32_t thread_count; /* of those, threads that were started */

    _Atomic uint32_t phase;       /* enum fletch_flow_phase */
    _Atomic uint32_t tasks_left;  /* that have not left */
    _Atomic uint32_t is_draining; /* sources are to end */
    _Atomic uint32_t failure;     /* enum fletch_flow_failure */
    struct fletch_error error;
    struct fletch_eventcount changed; /* phase, barriers_passed of anybody */

    uint64_t last_barrier; /* the caller's of fletch_flow_barrier */
    _Atomic uint64_t barriers_asked;
    _Atomic uint64_t barrier_ids[FLETCH_FLOW_BARRIERS_MOST];
    _Atomic uint64_t barrier_marks[FLETCH_FLOW_BARRIERS_MOST]; /* by which abort, from 1; or 0 */
    _Atomic uint64_t aborts_asked;
    _Atomic uint64_t abort_ids[FLETCH_FLOW_BARRIERS_MOST];
};

/* The first failure stays, and stops everything. `context`: whose it is; NULL: the flow's own. */
void fletch_flow_fail(struct fletch_flow *flow, const struct fletch_flow_context *context,
                      enum fletch_status status, const struct fletch_error *cause);

/* Whether there was one. */
static inline bool fletch_flow_has_failed(const struct fletch_flow *flow)
{
    return load_acquire(&flow->failure) == FLETCH_FAILURE_DONE; /* F1 acquire */
}

/* Whether there was one, though nobody may know yet which: nothing is called any more. */
static inline bool fletch_flow_is_failing(const struct fletch_flow *flow)
{
    uint32_t failure = load_relaxed(&flow->failure); /* relaxed: no data is read behind it */
    return failure == FLETCH_FAILURE_CLAIMED || failure == FLETCH_FAILURE_DONE;
}

/* OK, or the failure. */
enum fletch_status fletch_flow_outcome(const struct fletch_flow *flow, struct fletch_error *error);

/* All but the threads: after it, tasks can be stepped. */
enum fletch_status fletch_flow_prepare(struct fletch_flow *flow, struct fletch_error *error);

/* A task that is over leaves, once; the last one closes everything. */
void fletch_flow_leave(struct fletch_flow *flow);

/* Frees a flow of which nothing is built any more. */
void fletch_flow_free(struct fletch_flow *flow);

static inline uint64_t fletch_flow_now_ns(const struct fletch_flow *flow)
{
    return fletch_transport_now_ns(flow->transport);
}

#endif
