#ifndef FLETCH_SYNC_INBOX_H
#define FLETCH_SYNC_INBOX_H

/* Intrusive list that any thread pushes to and one consumer empties.
 *
 * Origin: R. Treiber's stack (1986), of which nodes are never popped one by one but all at once,
 * and reversed by the taker.
 *
 * Roles: any number of producers and closers, one taker. Progress: push and take are lock-free (a
 * failed compare-and-swap means that another push, take or close won); close is wait-free. A thread
 * that stalls or dies anywhere holds up nobody.
 *
 * ABA: a push compares the head with a node that it has just seen there and makes it its own next.
 * If that node was taken, freed and pushed again in between, it is the head again and the link is
 * right all the same; nothing is ever read through it. The taker takes whatever list there is.
 *
 * Edges:
 *   E1: producer cas_weak_release(head) -> taker cas_weak_acquire(head), closer
 *       exchange_acquire(head): node and what it carries, links included. A later push continues
 *       the release sequence of the earlier ones, so that one acquire covers the whole list.
 *
 * Linearization: push and take at their successful compare-and-swap, close at its exchange, empty
 * and closed at the load that finds so. Reclamation: none, nodes are the caller's. */

#include <fletching/inbox.h>

#include "base/atomic.h"

struct fletch_inbox {
    _Atomic(struct fletch_inbox_node *) head; /* newest node, NULL, or the closed mark */
};

#endif
