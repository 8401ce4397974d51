#include "sync/eventcount.h"

#include <errno.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/event_fd.h"
#include "base/futex.h"
#include "base/status.h"
#include "sync/placement.h"

size_t fletch_eventcount_bytes(void)
{
    return sizeof(struct fletch_eventcount);
}

size_t fletch_eventcount_alignment(void)
{
    return _Alignof(struct fletch_eventcount);
}

static void start(struct fletch_eventcount *eventcount, enum fletch_sharing sharing,
                  enum fletch_fence_kind kind)
{
    eventcount->fence_kind = kind;
    eventcount->sharing = sharing;
    /* relaxed: whoever hands the eventcount to other threads orders this before their use */
    store_relaxed(&eventcount->epoch, 0);
    store_relaxed(&eventcount->fd, FLETCH_NO_FD); /* relaxed: as above */
    store_relaxed(&eventcount->sleepers, 0);      /* relaxed: as above */
    store_relaxed(&eventcount->woken_ns, 0);      /* relaxed: as above */
    store_relaxed(&eventcount->waker, 0);         /* relaxed: as above */
    store_relaxed(&eventcount->unordered, 0);     /* relaxed: as above */
}

void fletch_eventcount_start(struct fletch_eventcount *eventcount, enum fletch_sharing sharing)
{
    enum fletch_fence_kind kind = FLETCH_FENCE_FULL;
    if (sharing == FLETCH_SHARING_PROCESS)
        kind = fletch_fence_kind_of_process();
    start(eventcount, sharing, kind);
}

void fletch_eventcount_start_full(struct fletch_eventcount *eventcount)
{
    start(eventcount, FLETCH_SHARING_PROCESS, FLETCH_FENCE_FULL);
}

enum fletch_status fletch_eventcount_init(void *memory, size_t memory_bytes,
                                          enum fletch_sharing sharing,
                                          struct fletch_eventcount **out_eventcount,
                                          struct fletch_error *error)
{
    enum fletch_status status =
        fletch_placement_check(memory, memory_bytes, sizeof(struct fletch_eventcount),
                               _Alignof(struct fletch_eventcount), error);
    if (status == FLETCH_OK)
        status = fletch_sharing_check(sharing, error);
    if (status != FLETCH_OK)
        return status;
    *out_eventcount = memory;
    fletch_eventcount_start(*out_eventcount, sharing);
    return FLETCH_OK;
}

void fletch_eventcount_deinit(struct fletch_eventcount *eventcount)
{
    if (eventcount == NULL)
        return;
    int fd = load_acquire(&eventcount->fd); /* E3 acquire */
    if (fd != FLETCH_NO_FD)
        fletch_event_fd_close(fd);
}

enum fletch_status fletch_eventcount_create(const struct fletch_allocator *allocator,
                                            struct fletch_eventcount **out_eventcount,
                                            struct fletch_error *error)
{
    struct fletch_eventcount *eventcount = fletch_block_allocate(allocator, sizeof *eventcount);
    if (eventcount == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for an eventcount of %zu bytes", sizeof *eventcount);
    fletch_eventcount_start(eventcount, FLETCH_SHARING_PROCESS);
    *out_eventcount = eventcount;
    return FLETCH_OK;
}

void fletch_eventcount_destroy(struct fletch_eventcount *eventcount)
{
    if (eventcount == NULL)
        return;
    fletch_eventcount_deinit(eventcount);
    fletch_block_release(eventcount);
}

uint32_t fletch_eventcount_announce(struct fletch_eventcount *eventcount)
{
    /* relaxed: F1 orders the announcement before the look at the condition that counts */
    fetch_add_relaxed(&eventcount->sleepers, FLETCH_ONE_FUTEX);
    /* relaxed: F1 orders it too; an older value only makes the futex refuse to sleep */
    return load_relaxed(&eventcount->epoch);
}

void fletch_eventcount_fence(struct fletch_eventcount *eventcount)
{
    if (!fletch_fence_seldom((enum fletch_fence_kind)eventcount->fence_kind)) /* F1 */
        store_relaxed(&eventcount->unordered, 1); /* relaxed: read by this thread, then others */
}

uint32_t fletch_eventcount_prepare(struct fletch_eventcount *eventcount)
{
    uint32_t key = fletch_eventcount_announce(eventcount);
    fletch_eventcount_fence(eventcount);
    return key;
}

void fletch_eventcount_cancel(struct fletch_eventcount *eventcount)
{
    /* relaxed: nothing is handed over; a notifier that still counts us wakes nobody */
    fetch_sub_relaxed(&eventcount->sleepers, FLETCH_ONE_FUTEX);
}

/* A sleep where notifiers may not see the sleeper. */
#define UNORDERED_SLEEP_NS UINT64_C(1000000)

bool fletch_eventcount_sleep(struct fletch_eventcount *eventcount, uint32_t key,
                             uint64_t deadline_ns)
{
    bool shared = eventcount->sharing == FLETCH_SHARING_HOST;
    bool in_time = true;
    /* relaxed: set by this thread before, or by another, which this one will be too */
    if (__builtin_expect(load_relaxed(&eventcount->unordered) != 0, 0)) {
        uint64_t soon_ns = fletch_clock_now_ns() + UNORDERED_SLEEP_NS;
        fletch_futex_wait(&eventcount->epoch, key, soon_ns < deadline_ns ? soon_ns : deadline_ns,
                          shared);
        return soon_ns < deadline_ns || load_acquire(&eventcount->epoch) != key; /* E1 acquire */
    }
    bool notified = load_acquire(&eventcount->epoch) != key; /* E1 acquire */
    while (!notified && in_time) {
        in_time = fletch_futex_wait(&eventcount->epoch, key, deadline_ns, shared);
        notified = load_acquire(&eventcount->epoch) != key; /* E1 acquire */
    }
    return notified;
}

bool fletch_eventcount_wait(struct fletch_eventcount *eventcount, uint32_t key, uint64_t timeout_ns)
{
    bool notified = fletch_eventcount_sleep(eventcount, key, fletch_clock_deadline_ns(timeout_ns));
    fletch_eventcount_cancel(eventcount);
    return notified;
}

void fletch_eventcount_notify(struct fletch_eventcount *eventcount, uint32_t count)
{
    fletch_eventcount_notify_inline(eventcount, count);
}

/* The four numbers of `sleepers`. */
static uint64_t futexes_in(uint64_t sleepers)
{
    return sleepers % FLETCH_ONE_ARMED;
}

static uint64_t armed_in(uint64_t sleepers)
{
    return sleepers % FLETCH_ONE_OWED / FLETCH_ONE_ARMED;
}

static uint64_t owed_in(uint64_t sleepers)
{
    return sleepers % FLETCH_ONE_GENERATION / FLETCH_ONE_OWED;
}

static uint32_t generation_in(uint64_t sleepers)
{
    return (uint32_t)(sleepers / FLETCH_ONE_GENERATION);
}

/* Makes everybody who is armed owed. False: they all were, so the descriptor is readable. */
static bool owe_to_armed(struct fletch_eventcount *eventcount, uint64_t sleepers)
{
    uint64_t unowed;
    do {
        unowed = armed_in(sleepers) - owed_in(sleepers);
        if (unowed == 0)
            return false;
        /* relaxed: the signal that follows is ordered by the kernel */
    } while (!cas_weak_relaxed(&eventcount->sleepers, &sleepers,
                               sleepers + unowed * FLETCH_ONE_OWED + FLETCH_ONE_GENERATION));
    return true;
}

void fletch_eventcount_wake(struct fletch_eventcount *eventcount, uint32_t count)
{
    uint64_t sleepers = load_acquire(&eventcount->sleepers); /* E2 acquire */
    /* relaxed: measurements; several notifiers may overwrite each other's */
    store_relaxed(&eventcount->woken_ns, fletch_clock_now_ns());
    store_relaxed(&eventcount->waker, fletch_cpu_current()); /* relaxed: as above */
    fetch_add_release(&eventcount->epoch, 1);                /* E1 release */
    if (futexes_in(sleepers) != 0)
        fletch_futex_wake(&eventcount->epoch, count, eventcount->sharing == FLETCH_SHARING_HOST);
    if (armed_in(sleepers) != 0 && owe_to_armed(eventcount, sleepers))
        fletch_event_fd_signal(load_acquire(&eventcount->fd)); /* E3 acquire */
}

enum fletch_status fletch_eventcount_open_fd(struct fletch_eventcount *eventcount, int *out_fd,
                                             struct fletch_error *error)
{
    if (eventcount->sharing == FLETCH_SHARING_HOST)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "an eventcount that processes share has no descriptor");
    int32_t present = load_acquire(&eventcount->fd); /* E3 acquire */
    if (present == FLETCH_NO_FD) {
        int fd = fletch_event_fd_open();
        if (fd < 0)
            return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                    "cannot open an eventfd: error %d", errno);
        if (cas_strong_acq_rel(&eventcount->fd, &present, fd)) /* E3 release, E3 acquire */
            present = fd;
        else
            fletch_event_fd_close(fd);
    }
    *out_fd = present;
    return FLETCH_OK;
}

uint32_t fletch_eventcount_arm(struct fletch_eventcount *eventcount)
{
    /* relaxed: only a compare-and-swap that finds the same value uses it */
    uint64_t sleepers = load_relaxed(&eventcount->sleepers);
    while (!cas_weak_release(&eventcount->sleepers, &sleepers, /* E2 release */
                             sleepers + FLETCH_ONE_ARMED)) {
    }
    FLETCH_ASSERT(armed_in(sleepers) + 1 < FLETCH_ONE_OWED / FLETCH_ONE_ARMED && "too many armed");
    fletch_eventcount_fence(eventcount);
    /* relaxed: as in fletch_eventcount_sleep */
    if (__builtin_expect(load_relaxed(&eventcount->unordered) != 0, 0))
        fletch_eventcount_wake(eventcount, UINT32_MAX);
    return generation_in(sleepers);
}

void fletch_eventcount_disarm(struct fletch_eventcount *eventcount, uint32_t key)
{
    /* relaxed: reads and writes of the eventfd are ordered by the kernel, the rest by this word */
    uint64_t sleepers = load_relaxed(&eventcount->sleepers);
    uint64_t less;
    do {
        less = FLETCH_ONE_ARMED;
        if (generation_in(sleepers) != key && owed_in(sleepers) != 0)
            less += FLETCH_ONE_OWED;
        if (armed_in(sleepers) == 1) /* the last one: whatever it missed, nobody is owed now */
            less = FLETCH_ONE_ARMED + owed_in(sleepers) * FLETCH_ONE_OWED;
        /* relaxed: as above */
    } while (!cas_weak_relaxed(&eventcount->sleepers, &sleepers, sleepers - less));
    if (owed_in(sleepers) == 0 || owed_in(sleepers - less) != 0)
        return;
    int fd = load_acquire(&eventcount->fd); /* E3 acquire */
    fletch_event_fd_drain(fd);
    /* A notification since then may have owed others a wake-up, and its signal been drained: signal
     * again. It was made after the owing, so whoever drained it sees that.
     * relaxed: the kernel ordered that signal before the drain */
    if (owed_in(load_relaxed(&eventcount->sleepers)) != 0)
        fletch_event_fd_signal(fd);
}
