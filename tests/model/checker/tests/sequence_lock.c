/* A sequence lock: one writer, one reader that looks again if the number has changed (H. Boehm,
 * "Can seqlocks get along with programming language memory models?", 2012).
 * BUG 1: no acquire fence before the second look.   BUG 2: no release fence after the first mark.
 * BUG 3: the payload is plain.                      BUG 4: the last mark is relaxed. */

#include <stdatomic.h>

#include "../../harness.h"

#ifndef BUG
#define BUG 0
#endif

static _Atomic uint32_t sequence;
#if BUG == 3
static uint32_t a, b;
#define PUT(to, value) ((to) = (value))
#define GET(from) (from)
#else
static _Atomic uint32_t a, b;
#define PUT(to, value) atomic_store_explicit(&(to), value, memory_order_relaxed)
#define GET(from) atomic_load_explicit(&(from), memory_order_relaxed)
#endif

static void *write_both(void *unused)
{
    atomic_store_explicit(&sequence, 1, memory_order_relaxed);
    if (BUG != 2)
        atomic_thread_fence(memory_order_release);
    PUT(a, 1);
    PUT(b, 1);
    atomic_store_explicit(&sequence, 2, BUG == 4 ? memory_order_relaxed : memory_order_release);
    return unused;
}

static void *read_both(void *unused)
{
    uint32_t before = atomic_load_explicit(&sequence, memory_order_acquire);
    uint32_t first = GET(a), second = GET(b);
    if (BUG != 1)
        atomic_thread_fence(memory_order_acquire);
    uint32_t after = atomic_load_explicit(&sequence, memory_order_relaxed);
    if (before == after && before % 2 == 0)
        harness_assert(first == second && first == before / 2);
    return unused;
}

void harness(void)
{
    struct harness_thread writer, reader;
    harness_start(&writer, write_both, NULL);
    harness_start(&reader, read_both, NULL);
    harness_join(&writer);
    harness_join(&reader);
}
