/* Eventcount: waiters for units of something, notifiers that add them.
 *
 * Nobody sleeps for ever while there is a unit for him, and after a wait that was notified
 * everything is visible that was done before the notification.
 *
 * WAITERS    each takes one unit             NOTIFIERS  each adds UNITS, one after the other
 * TIMED      so many of the waiters give up after a timeout and a last look
 * ARMED      so many of them sleep on the descriptor
 * AT_ONCE    a notifier adds its units together and wakes as many
 * PAYLOAD    instead: one waiter, which reads what one notifier wrote before it notified */

#include "sync/eventcount.h"

#include "event_fd_model.h"
#include "harness.h"

#ifndef WAITERS
#define WAITERS 1
#endif
#ifndef NOTIFIERS
#define NOTIFIERS 1
#endif
#ifndef UNITS
#define UNITS 1
#endif
#ifndef TIMED
#define TIMED 0
#endif
#ifndef ARMED
#define ARMED 0
#endif
#ifndef AT_ONCE
#define AT_ONCE 0
#endif
#ifndef PAYLOAD
#define PAYLOAD 0
#endif

static struct fletch_eventcount memory;
static struct fletch_eventcount *eventcount;
static _Atomic uint32_t units;
static uint64_t payload;
static struct waiter {
    bool armed;
    bool timed;
    bool gave_up;
} all_waiters[WAITERS];

static bool try_take(void)
{
    uint32_t found = load_relaxed(&units);
    while (found > 0)
        if (cas_strong_relaxed(&units, &found, found - 1))
            return true;
    return false;
}

static bool take_parked(uint64_t timeout_ns)
{
    for (;;) {
        uint32_t key = fletch_eventcount_prepare(eventcount);
        if (try_take()) {
            fletch_eventcount_cancel(eventcount);
            return true;
        }
        if (!fletch_eventcount_wait(eventcount, key, timeout_ns))
            return try_take();
    }
}

static bool take_armed(void)
{
    int fd;
    harness_assert(fletch_eventcount_open_fd(eventcount, &fd, NULL) == FLETCH_OK);
    event_fd_model_watch(fd);
    for (;;) {
        uint32_t key = fletch_eventcount_arm(eventcount);
        bool taken = try_take();
        if (!taken)
            event_fd_model_wait(fd);
        fletch_eventcount_disarm(eventcount, key);
        if (taken || try_take())
            return true;
        harness_pause(); /* readable for another sleeper, perhaps for as long as that takes */
    }
}

static void *wait_for_unit(void *argument)
{
    struct waiter *waiter = argument;
    if (try_take())
        return NULL;
    if (waiter->armed)
        waiter->gave_up = !take_armed();
    else
        waiter->gave_up = !take_parked(waiter->timed ? 1 : UINT64_MAX);
    return NULL;
}

static void *notify(void *unused)
{
    if (AT_ONCE) {
        fetch_add_relaxed(&units, UNITS);
        fletch_eventcount_notify(eventcount, UNITS);
        return unused;
    }
    for (int i = 0; i < UNITS; i++) {
        fetch_add_relaxed(&units, 1);
        fletch_eventcount_notify(eventcount, 1);
    }
    return unused;
}

static void *read_payload(void *unused)
{
    uint32_t key = fletch_eventcount_prepare(eventcount);
    if (load_relaxed(&units) > 0) {
        fletch_eventcount_cancel(eventcount);
        return unused;
    }
    harness_assert(fletch_eventcount_wait(eventcount, key, UINT64_MAX));
    harness_assert(payload == 42);
    return unused;
}

static void *write_payload(void *unused)
{
    payload = 42;
    store_relaxed(&units, 1);
    fletch_eventcount_notify(eventcount, 1);
    return unused;
}

void harness(void)
{
    struct harness_thread waiters[WAITERS], notifiers[NOTIFIERS];
    enum fletch_status status =
        fletch_eventcount_init(&memory, sizeof memory, FLETCH_SHARING_PROCESS, &eventcount, NULL);
    harness_assert(status == FLETCH_OK);
    event_fd_model_begin();
    store_relaxed(&units, 0);
    payload = 0;
    for (int i = 0; i < WAITERS; i++) {
        all_waiters[i] = (struct waiter){
            .armed = i < ARMED,
            .timed = i >= ARMED && i < ARMED + TIMED,
        };
        harness_start(&waiters[i], PAYLOAD ? read_payload : wait_for_unit, &all_waiters[i]);
    }
    for (int i = 0; i < NOTIFIERS; i++)
        harness_start(&notifiers[i], PAYLOAD ? write_payload : notify, NULL);
    for (int i = 0; i < WAITERS; i++)
        harness_join(&waiters[i]);
    for (int i = 0; i < NOTIFIERS; i++)
        harness_join(&notifiers[i]);
    uint32_t taken = 0;
    for (int i = 0; i < WAITERS; i++)
        taken += !all_waiters[i].gave_up;
    harness_assert(PAYLOAD || taken + load_relaxed(&units) == NOTIFIERS * UNITS);
    harness_assert(load_relaxed(&eventcount->sleepers) % FLETCH_ONE_GENERATION == 0);
    fletch_eventcount_deinit(eventcount);
}
