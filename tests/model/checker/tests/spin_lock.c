/* A spin lock around plain memory. LOCK and UNLOCK are the orders of its two operations; where one
 * is too weak, the section is a race. */

#include <stdatomic.h>

#include "../../harness.h"

#ifndef LOCK
#define LOCK memory_order_acquire
#endif
#ifndef UNLOCK
#define UNLOCK memory_order_release
#endif

static int section;
static _Atomic int locked;

static void *run(void *unused)
{
    while (atomic_exchange_explicit(&locked, 1, LOCK) != 0)
        harness_pause();
    section++;
    atomic_store_explicit(&locked, 0, UNLOCK);
    return unused;
}

void harness(void)
{
    struct harness_thread threads[3];
    for (int i = 0; i < 3; i++)
        harness_start(&threads[i], run, NULL);
    for (int i = 0; i < 3; i++)
        harness_join(&threads[i]);
    harness_assert(section == 3);
}
