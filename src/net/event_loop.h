#ifndef FLETCH_NET_EVENT_LOOP_H
#define FLETCH_NET_EVENT_LOOP_H

/* An event loop: one thread that waits for descriptors (epoll), timers and tasks of other threads,
 * and calls whoever asked for them. What belongs to a loop (sources, timers, connections) is
 * touched by its thread alone; fletch_event_loop_post and fletch_event_loop_stop are for any
 * thread. What a loop calls must not block.
 *
 * A turn: timers that were set for at once since the last one, which then does not wait; else wait;
 * then the descriptors' events, then tasks in the order in which they were posted, then timers that
 * are due.
 *
 * Waking up. Tasks go through an inbox; whoever pushes to an empty one notifies an eventcount, on
 * whose descriptor the loop sleeps. So a post to a loop that is busy makes no system call.
 *
 * Edges:
 *   E1: stop store_release(stops) -> turn load_acquire(stops): what was done before stop is seen by
 *       who is told that the loop has stopped. */

#include <fletching/allocator.h>

#include "net/net_io.h"
#include "net/timer_wheel.h"
#include "sync/inbox.h"

struct fletch_event_loop;

/* Something with a descriptor; the memory of who watches it. Its events are edges: after one, go on
 * until the system answers EAGAIN. */
struct fletch_event_source {
    int fd;
    void (*ready)(void *context, uint32_t events); /* EPOLLIN and so on */
    void *context;
    /* Of one that the loop looks at (fletch_event_loop_look_at): does what there is to do, without
     * an event; whether there was anything. */
    bool (*look)(void *context);
};

/* Something to do; the memory of who posts it, until `run` is called. */
struct fletch_loop_task {
    struct fletch_inbox_node node; /* first; for the inbox */
    void (*run)(void *context);
    void *context;
};

struct fletch_event_loop_options {
    /* How long to look for events again and again before sleeping: 0:
     * FLETCH_SPIN_BUDGET_NS_DEFAULT; FLETCH_OFF: not at all. */
    uint64_t spin_ns;
    const struct fletch_net_io *io; /* NULL: the system's */
    const struct fletch_allocator *allocator;
};

struct fletch_event_loop_statistics {
    uint64_t turns;
    uint64_t sleeps;
    uint64_t events;
    uint64_t tasks;
    uint64_t timers;
    uint64_t poll_failures; /* of the system's, beside interruptions */
};

/* `options`: NULL: all defaults. RESOURCE_EXHAUSTED: no memory, no descriptor. */
enum fletch_status fletch_event_loop_create(const struct fletch_event_loop_options *options,
                                            struct fletch_event_loop **out_loop,
                                            struct fletch_error *error);

/* Runs the tasks that are left; sources and timers must be gone before or with these. No thread may
 * post any more. NULL allowed. */
void fletch_event_loop_destroy(struct fletch_event_loop *loop);

/* Turns until somebody stops it. Whoever calls it is the loop's thread meanwhile. */
void fletch_event_loop_run(struct fletch_event_loop *loop);

/* One turn, which waits up to `timeout_ns` for something to do. False: it has been stopped. */
bool fletch_event_loop_turn(struct fletch_event_loop *loop, uint64_t timeout_ns);

/* Ends run after the turn that it is in. Any thread; does not block. */
void fletch_event_loop_stop(struct fletch_event_loop *loop);

/* Has a task run by the loop's thread, in one of the next turns, or when the loop is destroyed:
 * exactly once. Any thread; lock-free. */
void fletch_event_loop_post(struct fletch_event_loop *loop, struct fletch_loop_task *task);

/* ---- for the loop's thread ---- */

/* The time at which this turn began to work. */
uint64_t fletch_event_loop_now_ns(const struct fletch_event_loop *loop);

const struct fletch_net_io *fletch_event_loop_io(const struct fletch_event_loop *loop);
const struct fletch_allocator *fletch_event_loop_allocator(const struct fletch_event_loop *loop);
struct fletch_timer_wheel *fletch_event_loop_wheel(struct fletch_event_loop *loop);

/* Calls `source->ready` for edges of `events`. RESOURCE_EXHAUSTED, UNAVAILABLE: the system's
 * answer, which errno tells too. */
enum fletch_status fletch_event_loop_watch(struct fletch_event_loop *loop,
                                           struct fletch_event_source *source, uint32_t events,
                                           struct fletch_error *error);

/* Another thread was given something to do. If it shares the loop's processor it can begin before
 * the loop spins, which gives the processor away once. */
void fletch_event_loop_handed_over(struct fletch_event_loop *loop);

/* While it spins, the loop looks at this source itself, in turns with events: what comes to it is
 * found without one. One source, that of the last call. */
void fletch_event_loop_look_at(struct fletch_event_loop *loop, struct fletch_event_source *source);

/* No longer; nothing where it looks at another one. */
void fletch_event_loop_look_away(struct fletch_event_loop *loop,
                                 const struct fletch_event_source *source);

/* No call from here on, not for events either that have been fetched already. The descriptor must
 * still be open. */
void fletch_event_loop_unwatch(struct fletch_event_loop *loop, struct fletch_event_source *source);

void fletch_event_loop_statistics(const struct fletch_event_loop *loop,
                                  struct fletch_event_loop_statistics *out_statistics);

#endif
