#ifndef FLETCH_MEMORY_NODE_STACK_H
#define FLETCH_MEMORY_NODE_STACK_H

/* Intrusive list that any thread pushes to and that is only ever taken whole.
 *
 * Origin: R. Treiber's stack (1986) without its pop.
 *
 * Roles: any number of pushers and takers; closing and opening belong to one thread at a time.
 * Progress: push is lock-free, take and close are wait-free. A thread that stalls or dies anywhere
 * holds up nobody; one that dies with a taken list keeps it.
 *
 * ABA: a push compares the head with a node that it has seen there and makes it its own next. If
 * that node was taken and pushed again in between, it is the head again and the link is right all
 * the same; nothing is read through it.
 *
 * Edges:
 *   E1: push cas_weak_release(head), give back cas_strong_release(head) -> take and close
 *       exchange_acquire(head): the nodes, their links, and what lies behind them. Later pushes
 *       continue the release sequence of earlier ones, so one acquire covers the whole list.
 *
 * Linearization: at the successful compare-and-swap and at the exchange. Reclamation: none, nodes
 * belong to whoever took them; the head is compared, never followed. */

#include <stdbool.h>
#include <stddef.h>

#include "base/atomic.h"

struct fletch_stack_node {
    struct fletch_stack_node *next;
};

struct fletch_node_stack {
    _Atomic(struct fletch_stack_node *) head; /* newest node, NULL, or the closed mark */
};

/* The head of a closed stack; nobody's node. */
extern struct fletch_stack_node fletch_node_stack_closed_mark;

/* Pushes the chain `first` → … → `last`, which stays in that order. False: closed, and the chain's
 * last link is as it was or leads to a former head. */
static inline bool fletch_node_stack_push(struct fletch_node_stack *stack,
                                          struct fletch_stack_node *first,
                                          struct fletch_stack_node *last)
{
    /* relaxed: only compared and linked to, never looked into */
    struct fletch_stack_node *head = load_relaxed(&stack->head);
    do {
        if (head == &fletch_node_stack_closed_mark)
            return false;
        last->next = head;
    } while (!cas_weak_release(&stack->head, &head, first)); /* E1 release */
    return true;
}

/* Takes all nodes, newest first. NULL: there are none. Not while somebody may close. */
static inline struct fletch_stack_node *fletch_node_stack_take(struct fletch_node_stack *stack)
{
    /* relaxed: only compared; the exchange acquires */
    struct fletch_stack_node *head = load_relaxed(&stack->head);
    if (head == NULL || head == &fletch_node_stack_closed_mark)
        return NULL;
    return exchange_acquire(&stack->head, NULL); /* E1 acquire */
}

/* Gives back nodes that were taken and not needed, linked, the last one to NULL; NULL allowed.
 * False: closed. */
bool fletch_node_stack_give_back(struct fletch_node_stack *stack, struct fletch_stack_node *first);

/* Refuses pushes from now on, and takes what was left. */
struct fletch_stack_node *fletch_node_stack_close(struct fletch_node_stack *stack);

/* Makes a new stack, or one that is closed, an empty one. */
void fletch_node_stack_open(struct fletch_node_stack *stack);

#endif
