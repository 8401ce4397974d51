/* Two threads, one critical section with plain memory in it: G. Peterson's algorithm,
 * or T. Dekker's. ORDER is that of their accesses; where it is too weak, the section is a race. */

#include <stdatomic.h>

#include "../../harness.h"

#ifndef ORDER
#define ORDER memory_order_seq_cst
#endif

static int section; /* plain: who is in it needs to be alone */
static _Atomic int wants[2];
static _Atomic int turn;

#if defined(PETERSON)
static void enter(int self)
{
    atomic_store_explicit(&wants[self], 1, ORDER);
    atomic_store_explicit(&turn, 1 - self, ORDER);
    while (atomic_load_explicit(&wants[1 - self], ORDER) == 1 &&
           atomic_load_explicit(&turn, ORDER) == 1 - self)
        harness_pause();
}

static void leave(int self)
{
    atomic_store_explicit(&wants[self], 0, ORDER);
}
#else
static void enter(int self)
{
    atomic_store_explicit(&wants[self], 1, ORDER);
    while (atomic_load_explicit(&wants[1 - self], ORDER) == 1) {
        if (atomic_load_explicit(&turn, ORDER) != self) {
            atomic_store_explicit(&wants[self], 0, ORDER);
            while (atomic_load_explicit(&turn, ORDER) != self)
                harness_pause();
            atomic_store_explicit(&wants[self], 1, ORDER);
        }
        harness_pause();
    }
}

static void leave(int self)
{
    atomic_store_explicit(&turn, 1 - self, ORDER);
    atomic_store_explicit(&wants[self], 0, ORDER);
}
#endif

static void *run(void *argument)
{
    int self = (int)(intptr_t)argument;
    enter(self);
    section++;
    leave(self);
    return NULL;
}

void harness(void)
{
    struct harness_thread threads[2];
    for (int i = 0; i < 2; i++)
        harness_start(&threads[i], run, (void *)(intptr_t)i);
    for (int i = 0; i < 2; i++)
        harness_join(&threads[i]);
    harness_assert(section == 2);
}
