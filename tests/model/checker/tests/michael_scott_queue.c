/* M. Michael's and M. Scott's queue. Nodes are freed when both threads have ended.
 * BUG 1: the link is published without release.   BUG 2: freed as soon as it is dequeued. */

#include <stdatomic.h>
#include <stdlib.h>

#include "../../harness.h"

#ifndef BUG
#define BUG 0
#endif

struct node {
    _Atomic(struct node *) next;
    int value;
};

static _Atomic(struct node *) head, tail;
static struct node *dequeued[4]; /* by the one consumer */
static int dequeued_count;

static struct node *make_node(int value)
{
    struct node *node = malloc(sizeof *node);
    atomic_store_explicit(&node->next, NULL, memory_order_relaxed);
    node->value = value;
    return node;
}

static void enqueue(struct node *node)
{
    for (;;) {
        struct node *last = atomic_load_explicit(&tail, memory_order_acquire);
        struct node *next = atomic_load_explicit(&last->next, memory_order_acquire);
        if (next != NULL) {
            atomic_compare_exchange_strong_explicit(&tail, &last, next, memory_order_acq_rel,
                                                    memory_order_relaxed);
            continue;
        }
        if (atomic_compare_exchange_strong_explicit(
                &last->next, &next, node, BUG == 1 ? memory_order_relaxed : memory_order_release,
                memory_order_relaxed)) {
            atomic_compare_exchange_strong_explicit(
                &tail, &last, node, BUG == 1 ? memory_order_relaxed : memory_order_release,
                memory_order_relaxed);
            return;
        }
    }
}

/* The value, or 0. */
static int dequeue(void)
{
    struct node *first = atomic_load_explicit(&head, memory_order_acquire);
    struct node *next = atomic_load_explicit(&first->next, memory_order_acquire);
    if (next == NULL)
        return 0;
    struct node *last = atomic_load_explicit(&tail, memory_order_acquire);
    if (first == last)
        atomic_compare_exchange_strong_explicit(&tail, &last, next, memory_order_acq_rel,
                                                memory_order_relaxed);
    int value = next->value;
    atomic_store_explicit(&head, next, memory_order_release);
    if (BUG == 2)
        free(first);
    else
        dequeued[dequeued_count++] = first;
    return value;
}

static void *enqueue_one(void *value)
{
    enqueue(make_node((int)(intptr_t)value));
    return NULL;
}

static int sum;

static void *dequeue_two(void *unused)
{
    for (int i = 0; i < 2; i++)
        sum += dequeue();
    return unused;
}

void harness(void)
{
    struct harness_thread producers[2], consumer;
    struct node *dummy = make_node(0);
    atomic_store_explicit(&head, dummy, memory_order_relaxed);
    atomic_store_explicit(&tail, dummy, memory_order_relaxed);
    for (int i = 0; i < 2; i++)
        harness_start(&producers[i], enqueue_one, (void *)(intptr_t)(i + 1));
    harness_start(&consumer, dequeue_two, NULL);
    for (int i = 0; i < 2; i++)
        harness_join(&producers[i]);
    harness_join(&consumer);
    for (int value = dequeue(); value != 0; value = dequeue())
        sum += value;
    harness_assert(sum == 3);
    for (int i = 0; i < dequeued_count; i++)
        free(dequeued[i]);
    free(atomic_load_explicit(&head, memory_order_relaxed));
}
