/* R. Treiber's stack over three nodes that are used again. Without the counter beside the top (BUG)
 * a pop takes a top that has been away and come back, with a next that is no longer its own. */

#include <stdatomic.h>

#include "../../harness.h"

enum { NODES = 3, NONE = NODES };

static _Atomic uint64_t top; /* node, and above it how often it has changed */
static _Atomic uint32_t next[NODES];
static _Atomic uint32_t owned[NODES]; /* how many hold the node: at most one */

static uint64_t with_node(uint64_t old, uint64_t node)
{
#ifdef BUG
    (void)old;
    return node;
#else
    return ((old >> 8) + 1) << 8 | node;
#endif
}

static void push(uint32_t node)
{
    atomic_fetch_sub_explicit(&owned[node], 1, memory_order_relaxed);
    uint64_t seen = atomic_load_explicit(&top, memory_order_relaxed);
    do {
        atomic_store_explicit(&next[node], (uint32_t)(seen & 0xff), memory_order_relaxed);
    } while (!atomic_compare_exchange_strong_explicit(&top, &seen, with_node(seen, node),
                                                      memory_order_release, memory_order_relaxed));
}

static uint32_t pop(void)
{
    uint64_t seen = atomic_load_explicit(&top, memory_order_acquire);
    for (;;) {
        uint32_t node = (uint32_t)(seen & 0xff);
        if (node == NONE)
            return NONE;
        uint32_t below = atomic_load_explicit(&next[node], memory_order_relaxed);
        if (!atomic_compare_exchange_strong_explicit(&top, &seen, with_node(seen, below),
                                                     memory_order_acquire, memory_order_acquire))
            continue;
        uint32_t holders = atomic_fetch_add_explicit(&owned[node], 1, memory_order_relaxed);
        harness_assert(holders == 0);
        return node;
    }
}

static void *pop_one(void *unused)
{
    pop();
    return unused;
}

/* Takes two, and puts the first one back. */
static void *pop_two_push_one(void *unused)
{
    uint32_t first = pop();
    pop();
    if (first != NONE)
        push(first);
    return unused;
}

void harness(void)
{
    struct harness_thread one, two;
    atomic_store_explicit(&top, NONE, memory_order_relaxed);
    for (uint32_t i = 0; i < NODES; i++) {
        atomic_store_explicit(&owned[i], 1, memory_order_relaxed);
        push(i);
    }
    harness_start(&one, pop_one, NULL);
    harness_start(&two, pop_two_push_one, NULL);
    harness_join(&one);
    harness_join(&two);
    while (pop() != NONE)
        continue;
}
