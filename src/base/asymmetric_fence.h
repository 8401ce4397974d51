#ifndef FLETCH_BASE_ASYMMETRIC_FENCE_H
#define FLETCH_BASE_ASYMMETRIC_FENCE_H

/* A pair of fences for two sides of which one runs often and the other seldom, in the situation
 * "store mine, then load yours" on both sides: at least one of the two must see the other's store.
 * Two full fences do that. Here the frequent side's fence only holds back the compiler, and the
 * seldom side asks the kernel to run a full barrier on every processor that executes a thread of
 * this process (membarrier, private expedited): either the other side's store had left its
 * processor by then, or its load comes after ours.
 *
 * That reaches the threads of one process, and only where the kernel offers it. In every other case
 * both sides execute full fences. Both sides of a pair must use the same kind.
 *
 * Source: P. McKenney, M. Desnoyers et al., sys_membarrier; folly AsymmetricThreadFence. */

#include <stdbool.h>

#include "base/atomic.h"

enum fletch_fence_kind {
    FLETCH_FENCE_FULL = 0,      /* full fences on both sides; any processes */
    FLETCH_FENCE_ASYMMETRIC = 1 /* light and heavy; one process */
};

/* Registers this process with the kernel, and tells the kind that its threads can use among each
 * other. Any thread, any number of times; does not block. */
enum fletch_fence_kind fletch_fence_kind_of_process(void);

#ifdef FLETCH_MODEL_CHECK
void fletch_fence_light(void);
#else
static inline void fletch_fence_light(void)
{
    fence_compiler();
}
#endif
/* False: the kernel refuses since a while (a filter was installed after the process had begun), and
 * nothing is known of the other side's stores. */
bool fletch_fence_heavy(void);

/* The frequent side's fence. seq_cst: pairs with fletch_fence_seldom. */
static inline void fletch_fence_frequent(enum fletch_fence_kind kind)
{
    if (__builtin_expect(kind == FLETCH_FENCE_ASYMMETRIC, 1))
        fletch_fence_light();
    else
        fence_seq_cst(); /* seq_cst: the store before it against the load after it */
}

/* The seldom side's fence. seq_cst: pairs with fletch_fence_frequent. False as above: the caller
 * must do without what the fence is for. */
static inline bool fletch_fence_seldom(enum fletch_fence_kind kind)
{
    if (kind == FLETCH_FENCE_ASYMMETRIC)
        return fletch_fence_heavy();
    fence_seq_cst(); /* seq_cst: the store before it against the load after it */
    return true;
}

#endif
