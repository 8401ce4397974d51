#ifndef FLETCH_FLOW_FLOW_CONTEXT_H
#define FLETCH_FLOW_FLOW_CONTEXT_H

/* One instance of a stage, and the ends of the edges that it reads and writes. All of it belongs to
 * the thread of its task, but for the atomic fields, which others read. */

#include <fletching/shuffle_reader.h>
#include <fletching/shuffle_writer.h>
#include <fletching/spsc_ring.h>

#include "flow/flow.h"
#include "flow/item_queue.h"

/* Where an instance sends what goes to one edge. */
struct fletch_flow_outlet {
    struct fletch_flow_link *link;
    struct fletch_item_queue waiting;     /* has not gone; fused: what the inlet reads */
    struct fletch_spsc_ring *ring;        /* owned; or NULL */
    struct fletch_eventcount *wakes;      /* of the task at the other end of the ring */
    struct fletch_shuffle_writer *writer; /* or NULL */
    uint32_t next_partition;              /* of a REBALANCE */
    uint64_t refused_since_ns;            /* what is first was refused for want of memory; 0: not */
    bool has_ended;                       /* the end has gone */
    bool is_idle;                         /* that was the last thing that went */
    bool is_blocked;                      /* the last flush left something */
    bool is_waited_for;                   /* in the wait that goes on, or the last one */
    _Atomic uint32_t *wanting;            /* how many want what is sent; the link's, or its own: */
    _Atomic uint32_t own_wanting;
    _Atomic uint64_t credit_wait_ns; /* relaxed: a statistic, as those below */
    _Atomic uint64_t batches_unread; /* that nobody wanted */
    _Atomic uint64_t rows_unread;
};

/* Where an instance reads what comes on one edge. */
struct fletch_flow_inlet {
    struct fletch_flow_link *link;
    uint32_t input;                       /* as process is told */
    struct fletch_flow_outlet *from;      /* fused: the other end; or NULL */
    struct fletch_spsc_ring *ring;        /* the outlet's; or NULL */
    struct fletch_eventcount *wakes;      /* of the task at the other end of the ring */
    struct fletch_shuffle_reader *reader; /* or NULL */
    _Atomic uint32_t *wanting;            /* the outlet's, or the link's */
    bool is_held;                         /* has delivered a barrier that others have not */
    bool is_idle;                         /* its watermark holds back nobody */
    bool has_ended;
    bool is_waited_for;        /* in the wait that goes on, or the last one */
    uint64_t barrier;          /* while it is held */
    struct fletch_batch *kept; /* has come, and is processed after the owed watermark; or NULL */
    int64_t watermark;
    _Atomic uint64_t batches;
    _Atomic uint64_t rows;
    _Atomic uint64_t input_wait_ns;
    _Atomic uint64_t batches_unread; /* that came when the instance wanted no more */
    _Atomic uint64_t rows_unread;
};

enum fletch_instance_phase {
    FLETCH_INSTANCE_NEW,
    FLETCH_INSTANCE_RUNNING,
    FLETCH_INSTANCE_FINISHING, /* no more comes; finish has not said that it is done */
    FLETCH_INSTANCE_ENDING,    /* the end is on its way */
    FLETCH_INSTANCE_DRAINING,  /* it has gone, and what still comes in is dropped */
    FLETCH_INSTANCE_ENDED
};

/* What an instance does, as others see it. */
enum fletch_instance_doing {
    FLETCH_DOING_WORK,
    FLETCH_DOING_WAIT_INPUT,
    FLETCH_DOING_WAIT_CREDIT,
    FLETCH_DOING_WAIT_MEMORY,
    FLETCH_DOING_NOTHING /* it has ended */
};

/* A call that found no memory, and is to be made again before any other. */
struct fletch_flow_owed {
    bool is_there;
    struct fletch_flow_item item;    /* a batch, whose reference it has, or a watermark */
    struct fletch_flow_inlet *inlet; /* of the batch */
    uint64_t since_ns;               /* it was refused first; 0: it was not */
    uint64_t at_ns;                  /* when it is made again */
};

struct fletch_flow_waker {
    struct fletch_eventcount *wakes; /* of the instance's task */
    _Atomic uint32_t woken;
};

struct fletch_flow_context {
    struct fletch_flow *flow;
    struct fletch_flow_node *node;
    struct fletch_flow_task *task;
    uint32_t number;
    enum fletch_instance_phase phase;
    void *state;
    bool is_begun;      /* its init has succeeded, its close is owed */
    bool may_emit;      /* a function that may is running */
    bool may_wait;      /* and one that may be called again */
    bool has_moved;     /* in the step that runs, something was done */
    bool may_begin;     /* a source: nobody has to read something else first */
    bool wants_no_more; /* it was said, or all who read it said so */
    bool is_idle;

    struct fletch_flow_outlet *outlets; /* those of output k from first_outlets[k] on */
    uint32_t *first_outlets;            /* one more than outputs */
    uint32_t outlet_count;
    struct fletch_flow_inlet *inlets;
    uint32_t inlet_count;
    uint32_t open_inlets; /* that have not ended */
    uint32_t held_inlets; /* of those */
    uint32_t next_inlet;

    int64_t watermark;
    uint64_t last_barrier;    /* the id of the last one that it passed */
    uint64_t paused_until_ns; /* 0: not */
    struct fletch_flow_owed owed;
    struct fletch_flow_waker waker;

    _Atomic uint64_t barriers_passed; /* UINT64_MAX: it has ended */
    _Atomic uint64_t aborts_seen;     /* as above */
    _Atomic uint32_t current_input;   /* of inputs in order, the one whose turn it is */
    _Atomic uint32_t doing;           /* enum fletch_instance_doing */
    _Atomic uint32_t idle_shown;      /* a statistic: is_idle */
    _Atomic uint64_t barrier_count;
    _Atomic uint64_t abort_count;
    _Atomic int64_t watermark_told;
    _Atomic uint64_t batches_out;
    _Atomic uint64_t busy_ns;
    _Atomic uint64_t input_wait_ns;
    _Atomic uint64_t credit_wait_ns;
};

/* Adds to a statistic that one thread writes. */
static inline void fletch_flow_count(_Atomic uint64_t *counter, uint64_t number)
{
    /* relaxed: written by this thread only, and read as a statistic */
    store_relaxed(counter, load_relaxed(counter) + number);
}

/* Sends control to all outlets. A failure has stopped the flow. */
enum fletch_status fletch_flow_send_all(struct fletch_flow_context *context,
                                        enum fletch_flow_item_kind kind, uint64_t value);

/* Falls idle, or ceases to be: all outlets are told. As above. */
enum fletch_status fletch_flow_set_idle(struct fletch_flow_context *context, bool is_idle);

#endif
