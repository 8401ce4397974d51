/* U. Drepper's mutex of three states ("Futexes are tricky", 2011): 0 free, 1 held, 2 held and
 * waited for.
 * BUG 1: a waiter does not mark that it waits.   BUG 2: unlocking wakes nobody.
 * BUG 3: unlocking is relaxed.                   BUG 4: the waiter sleeps whatever the word is. */

#include <stdatomic.h>

#include "../../harness.h"
#include "base/futex.h"

#ifndef BUG
#define BUG 0
#endif

static _Atomic uint32_t word;
static int section;

static void lock(void)
{
    uint32_t found = 0;
    if (atomic_compare_exchange_strong_explicit(&word, &found, 1, memory_order_acquire,
                                                memory_order_relaxed))
        return;
    while (atomic_exchange_explicit(&word, BUG == 1 ? 1 : 2, memory_order_acquire) != 0) {
        uint32_t expected = BUG == 4   ? atomic_load_explicit(&word, memory_order_relaxed)
                            : BUG == 1 ? 1
                                       : 2;
        fletch_futex_wait(&word, expected, UINT64_MAX, false);
    }
}

static void unlock(void)
{
    uint32_t before =
        atomic_exchange_explicit(&word, 0, BUG == 3 ? memory_order_relaxed : memory_order_release);
    if (before == 2 && BUG != 2)
        fletch_futex_wake(&word, 1, false);
}

static void *run(void *unused)
{
    lock();
    section++;
    unlock();
    return unused;
}

#ifndef THREADS
#define THREADS 2
#endif

void harness(void)
{
    struct harness_thread threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        harness_start(&threads[i], run, NULL);
    for (int i = 0; i < THREADS; i++)
        harness_join(&threads[i]);
    harness_assert(section == THREADS);
}
