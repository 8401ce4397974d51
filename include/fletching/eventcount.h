#ifndef FLETCHING_EVENTCOUNT_H
#define FLETCHING_EVENTCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** Lets threads sleep until a condition that lives elsewhere may have changed: the waiting half of
 *  a lock-free structure. Any number of waiters and notifiers, any thread. A sleeper is a futex or
 *  an eventfd that an epoll loop watches; while nobody sleeps, notifying makes no system call.
 *
 *  Waiter:    key = fletch_eventcount_prepare(e);
 *             if (condition) fletch_eventcount_cancel(e);
 *             else fletch_eventcount_wait(e, key, timeout_ns);      then look at the condition
 *             again
 *  Notifier:  make the condition true, with an atomic store;  fletch_eventcount_notify(e, n);
 *
 *  No wake-up is lost: either the waiter's look at the condition sees the notifier's store, or the
 *  notifier sees the waiter. */
struct fletch_eventcount;

/** Who may use an eventcount or a ring. */
enum fletch_sharing {
    /** The threads of one process. Notifying then costs one load: the fence that it would need is
     *  replaced by a membarrier system call on the waiting side, which reaches the threads of this
     *  process only. Where the kernel refuses membarrier, notifying costs a full fence. */
    FLETCH_SHARING_PROCESS = 0,
    /** Threads of several processes that map the same memory. Notifying costs a full fence, futexes
     *  are shared ones, and there is no eventfd. */
    FLETCH_SHARING_HOST = 1
};

/** Bytes and alignment of the memory that fletch_eventcount_init wants. */
FLETCH_EXPORT size_t fletch_eventcount_bytes(void);
FLETCH_EXPORT size_t fletch_eventcount_alignment(void);

/** Makes an eventcount in memory of the caller, who keeps owning it and must call
 *  fletch_eventcount_deinit before giving it back. INVALID_ARGUMENT: too small, misaligned, or
 *  `sharing` is not known. One thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_eventcount_init(void *memory, size_t memory_bytes, enum fletch_sharing sharing,
                       struct fletch_eventcount **out_eventcount, struct fletch_error *error);

/** Closes the descriptor, if one was opened. Nobody may wait or notify any more. NULL allowed. */
FLETCH_EXPORT void fletch_eventcount_deinit(struct fletch_eventcount *eventcount);

/** As init, with memory from `allocator` (NULL: the default one), for one process.
 *  RESOURCE_EXHAUSTED: no memory. Owned by the caller until fletch_eventcount_destroy. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_eventcount_create(const struct fletch_allocator *allocator,
                         struct fletch_eventcount **out_eventcount, struct fletch_error *error);

/** Gives back what fletch_eventcount_create made. NULL is allowed. */
FLETCH_EXPORT void fletch_eventcount_destroy(struct fletch_eventcount *eventcount);

/** Announces a sleeper and returns the key for fletch_eventcount_wait. Each prepare is followed by
 *  exactly one cancel or wait. Any thread; does not block, but may make the membarrier call. */
FLETCH_EXPORT uint32_t fletch_eventcount_prepare(struct fletch_eventcount *eventcount);

/** Takes the announcement back. Any thread; does not block. */
FLETCH_EXPORT void fletch_eventcount_cancel(struct fletch_eventcount *eventcount);

/** Sleeps until a notification that came after `key` was taken, or until the timeout; takes the
 *  announcement back. True: notified. False: `timeout_ns` passed. Any thread; blocks. */
FLETCH_EXPORT bool fletch_eventcount_wait(struct fletch_eventcount *eventcount, uint32_t key,
                                          uint64_t timeout_ns);

/** Wakes up to `count` futex sleepers (UINT32_MAX: all) and everybody who is armed with the
 *  descriptor. The change to the condition must come before, as an atomic store. Any thread; does
 *  not block; a system call only if somebody sleeps. */
FLETCH_EXPORT void fletch_eventcount_notify(struct fletch_eventcount *eventcount, uint32_t count);

/** The eventfd, made on the first call and owned by the eventcount: non-blocking, close-on-exec,
 *  readable after a notification while somebody is armed. Watch it, level-triggered; never read,
 *  write or close it. FAILED_PRECONDITION: shared between processes. RESOURCE_EXHAUSTED: no
 *  descriptor left. Any thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_eventcount_open_fd(struct fletch_eventcount *eventcount, int *out_fd,
                          struct fletch_error *error);

/** Before sleeping on the descriptor: announces the caller and returns the key for disarm. It then
 *  looks at its condition again and, if that is true, disarms at once. Each arm is followed by
 *  exactly one disarm, after waking up or instead of sleeping. Up to 16,383 may be armed at once
 *  (and 65,535 asleep on the futex); the descriptor wakes all of them. Any thread; does not block.
 *  The descriptor must have been opened. */
FLETCH_EXPORT uint32_t fletch_eventcount_arm(struct fletch_eventcount *eventcount);
FLETCH_EXPORT void fletch_eventcount_disarm(struct fletch_eventcount *eventcount, uint32_t key);

FLETCH_END_DECLS

#endif
