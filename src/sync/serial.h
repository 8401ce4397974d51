#ifndef FLETCH_SYNC_SERIAL_H
#define FLETCH_SYNC_SERIAL_H

/* Runs tasks one at a time, on whichever thread submits first; nobody waits.
 *
 * Origin: the serial executor of actor systems; its queue is Treiber's stack taken as a whole, as
 * in sync/inbox.h.
 *
 * Roles: any number of threads submit; one of them runs at a time. Progress: submit is lock-free
 * but for the tasks it runs; who finds another one running leaves its task with it. A runner that
 * is stopped delays the tasks of others, and none of their threads; tasks are short and never
 * block.
 *
 * Edges:
 *   E1: submitter cas_weak_release(head) -> runner exchange_acquire(head): the task, and everything
 *       that its submitter did before. A later submitter continues the release sequence of the
 *       earlier ones, so that one acquire covers the whole list.
 *   E2: runner cas_strong_release(head) to idle -> next runner cas_weak_acquire(head): the state
 *       that tasks share, so they need no atomics among themselves.
 *
 * ABA: a submitter that leaves its task with a runner compares the head with a task that it has
 * seen there and makes it its own next; if that was taken, run and submitted again in between, it
 * is the head again and the link is right all the same. Reclamation: none; after its last step to
 * idle a runner touches nothing. A serial must outlive its submitters' calls.
 *
 * Linearization: a task, at the submitter's compare-and-swap; tasks run in that order. */

#include "base/atomic.h"

/* Placed inside what is submitted; belongs to the serial until `run` is called, which may free or
 * submit it again. */
struct fletch_serial_task {
    struct fletch_serial_task *next;
    void (*run)(void *context, struct fletch_serial_task *task);
};

struct fletch_serial {
    _Atomic(struct fletch_serial_task *) head; /* NULL: idle; a mark: running, no task left */
    void *context;                             /* handed to each task */
};

void fletch_serial_init(struct fletch_serial *serial, void *context);

/* Any thread, also from within a task of the same serial. Runs the task, and what others submit
 * meanwhile, before it returns; or leaves it to the thread that is running just now. */
void fletch_serial_submit(struct fletch_serial *serial, struct fletch_serial_task *task);

#endif
