#ifndef FLETCH_SYNC_EVENTCOUNT_H
#define FLETCH_SYNC_EVENTCOUNT_H

/* Eventcount: sleep until a condition that lives elsewhere may have changed.
 *
 * Origin: D. Reed and R. Kanodia, "Synchronization with eventcounts and sequencers" (1979); the
 * form with an announcement before the last look is that of D. Vyukov's eventcount and folly's
 * EventCount.
 *
 * Roles: any number of waiters and notifiers. Progress: prepare, cancel, arm, disarm and notify are
 * wait-free; wait blocks. A notifier that finds nobody makes no system call and writes nothing.
 *
 * Why no wake-up is lost. The waiter announces itself, executes a fence (F1), looks at the
 * condition. The notifier changes the condition, executes a fence (F2), looks at the announcements.
 * Both are full fences, or one asymmetric pair (base/asymmetric_fence.h), so at least one sees the
 * other: either the waiter sees the condition and does not sleep, or the notifier sees the waiter
 * and advances the epoch, of which the waiter took the value before F1; the futex then refuses to
 * sleep on the old value, or the waiter sleeps already and is woken.
 *
 * Should the kernel refuse the waiter's fence after it was allowed at first, a notifier may miss
 * the waiter: from then on sleeps end after a millisecond as if there had been a notification, and
 * the descriptor of who arms is readable at once, so that each looks again by himself.
 *
 * Several waiters and a notification of fewer: a waiter that was woken or timed out must look at
 * its condition once more before it gives up, so that the room or element that it was woken for is
 * taken or still there for who looks next. All waiting calls of the library do.
 *
 * The descriptor is readable while somebody is owed a wake-up by it. One word counts the futex
 * sleepers, the armed ones, those of the armed that are owed, and generations: a notification that
 * finds armed sleepers that are not owed yet makes all armed ones owed and begins a generation. Who
 * disarms knows by the generation of its arming whether it was owed; the last owed one drains the
 * descriptor. Sleepers that armed later see it readable until then, and look once for nothing.
 *
 * Edges:
 *   E1: notifier fetch_add_release(epoch) -> waiter load_acquire(epoch): what was done before the
 *       notification is visible after a wait that returned true.
 *   E2: armer cas_weak_release(sleepers) -> notifier load_acquire(sleepers): the descriptor that
 *       the armer opened is visible to a notifier that sees it armed.
 *   E3: opener cas_strong_acq_rel(fd) -> any load_acquire(fd): the one descriptor that won.
 *
 * Wrap: the epoch is 32 bits wide; a waiter misses 2^32 notifications between its prepare and its
 * sleep only if they come within that instant. Reclamation: none. A thread that dies while
 * announced leaves a count behind that costs each later notification a system call, and nothing
 * else. */

#include <fletching/eventcount.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/asymmetric_fence.h"
#include "base/atomic.h"

struct fletch_eventcount {
    _Atomic uint32_t epoch;     /* the futex word: counts notifications that found a sleeper */
    _Atomic int32_t fd;         /* the eventfd, or FLETCH_NO_FD */
    _Atomic uint64_t sleepers;  /* who is announced, as four numbers: below */
    uint32_t fence_kind;        /* enum fletch_fence_kind, fixed */
    uint32_t sharing;           /* enum fletch_sharing, fixed */
    _Atomic uint64_t woken_ns;  /* when somebody was last woken, in the time of base/clock.h */
    _Atomic uint32_t waker;     /* the processor that this was done on */
    _Atomic uint32_t unordered; /* a sleeper's fence was refused: nobody sleeps for long any more */
};

#define FLETCH_NO_FD (-1)

/* The four numbers in `sleepers`, each in its bits. A notifier that finds 0 wakes nobody. */
#define FLETCH_ONE_FUTEX UINT64_C(1)               /* asleep on the futex: 16 bits */
#define FLETCH_ONE_ARMED (UINT64_C(1) << 16)       /* armed with the descriptor: 14 bits */
#define FLETCH_ONE_OWED (UINT64_C(1) << 30)        /* of those, owed a wake-up: 14 bits */
#define FLETCH_ONE_GENERATION (UINT64_C(1) << 44)  /* 20 bits, wraps */
#define FLETCH_SLEEPERS_MASK (FLETCH_ONE_OWED - 1) /* futex and armed: anybody at all */

/* Makes an eventcount in place, with the process's kind of fence for FLETCH_SHARING_PROCESS and
 * full fences otherwise. */
void fletch_eventcount_start(struct fletch_eventcount *eventcount, enum fletch_sharing sharing);

/* One of this process with full fences: where notifiers come seldom, so that neither making it nor
 * sleeping on it asks the system for a barrier. */
void fletch_eventcount_start_full(struct fletch_eventcount *eventcount);

/* The two halves of prepare, for waiters that put the fence off (sync/wait.c). */
uint32_t fletch_eventcount_announce(struct fletch_eventcount *eventcount);
void fletch_eventcount_fence(struct fletch_eventcount *eventcount);

/* Sleeps until a notification after `key` (true) or a time of base/clock.h (false). The
 * announcement stays: cancel takes it back. */
bool fletch_eventcount_sleep(struct fletch_eventcount *eventcount, uint32_t key,
                             uint64_t deadline_ns);

/* The part of notify that runs when somebody sleeps. */
void fletch_eventcount_wake(struct fletch_eventcount *eventcount, uint32_t count);

/* The first half of notify, after the change of the condition: whether anybody must be woken. */
static inline bool fletch_eventcount_is_awaited(struct fletch_eventcount *eventcount)
{
    fletch_fence_frequent((enum fletch_fence_kind)eventcount->fence_kind); /* F2 */
    /* relaxed: F2 orders it after the change; E2 is taken again in the slow part */
    return (load_relaxed(&eventcount->sleepers) & FLETCH_SLEEPERS_MASK) != 0;
}

/* fletch_eventcount_notify, inlined up to the look for sleepers. */
static inline void fletch_eventcount_notify_inline(struct fletch_eventcount *eventcount,
                                                   uint32_t count)
{
    if (__builtin_expect(fletch_eventcount_is_awaited(eventcount), 0))
        fletch_eventcount_wake(eventcount, count);
}

#endif
