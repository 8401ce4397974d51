#include "sync/wait.h"

#include "base/checked.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/thread.h"

/* Attempts before the clock is asked for the first time, and between two looks at it: a wait that
 * ends among the first costs no more than bare spinning. */
#ifdef FLETCH_MODEL_CHECK
enum { ATTEMPTS_BEFORE_CLOCK = 1, ATTEMPTS_PER_CLOCK = 1, ATTEMPTS_AFTER_ANNOUNCING = 1 };
#else
enum { ATTEMPTS_BEFORE_CLOCK = 64, ATTEMPTS_PER_CLOCK = 16, ATTEMPTS_AFTER_ANNOUNCING = 16 };
#endif

/* The sleep before the fence, and the sleep that is long enough to have had the fence before it. */
#define FIRST_SLEEP_NS UINT64_C(1000000)
#define LONG_SLEEP_NS UINT64_C(100000)

enum { MEAN_WEIGHT = 8 };

static bool is_final(enum fletch_answer answer)
{
    return answer == FLETCH_DONE || answer == FLETCH_CLOSED;
}

enum fletch_status fletch_wait_policy_choose(enum fletch_wait_strategy strategy,
                                             uint64_t spin_budget_ns,
                                             struct fletch_wait_policy *out_policy,
                                             struct fletch_error *error)
{
    if ((unsigned)strategy > FLETCH_WAIT_PARK)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "wait strategy %d is not one of 0 to %d", (int)strategy,
                                (int)FLETCH_WAIT_PARK);
    struct fletch_wait_policy policy = {.strategy = strategy};
    if (strategy == FLETCH_WAIT_DEFAULT)
        policy.strategy = FLETCH_WAIT_ADAPTIVE;
    if (policy.strategy == FLETCH_WAIT_ADAPTIVE) {
        policy.spin_budget_ns =
            spin_budget_ns == 0 ? FLETCH_SPIN_BUDGET_NS_DEFAULT : spin_budget_ns;
        if (spin_budget_ns == FLETCH_OFF)
            policy = (struct fletch_wait_policy){.strategy = FLETCH_WAIT_PARK};
        else if (policy.spin_budget_ns > UINT32_MAX)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "spin_budget_ns %llu is above %u",
                                    (unsigned long long)spin_budget_ns, UINT32_MAX);
    }
    *out_policy = policy;
    return FLETCH_OK;
}

bool fletch_wait_policy_sleeps(const struct fletch_wait_policy *policy)
{
    return policy->strategy == FLETCH_WAIT_ADAPTIVE || policy->strategy == FLETCH_WAIT_PARK;
}

void fletch_wait_history_start(struct fletch_wait_history *history,
                               const struct fletch_wait_policy *policy)
{
    /* relaxed: whoever hands the structure to other threads orders this before their use */
    store_relaxed(&history->mean_ns, (uint32_t)(policy->spin_budget_ns / 2));
    store_relaxed(&history->slept_long, 0); /* relaxed: as above */
    store_relaxed(&history->same_cpu, 0);   /* relaxed: as above */
    store_relaxed(&history->parks, 0);      /* relaxed: as above */
}

void fletch_wait_history_copy(struct fletch_wait_history *history,
                              const struct fletch_wait_history *other)
{
    /* relaxed: guesses, no data behind them */
    store_relaxed(&history->mean_ns, load_relaxed(&other->mean_ns));
    store_relaxed(&history->slept_long, load_relaxed(&other->slept_long)); /* relaxed: as above */
    store_relaxed(&history->same_cpu, load_relaxed(&other->same_cpu));     /* relaxed: as above */
}

/* Up to `attempts` tries with PAUSE between them (FLETCH_WAIT_SPIN: none). */
static enum fletch_answer spin(const struct fletch_wait *wait, int attempts)
{
    enum fletch_answer answer = wait->attempt(wait->call);
    for (int i = 1; i < attempts && !is_final(answer); i++) {
        if (wait->policy->strategy != FLETCH_WAIT_SPIN)
            fletch_cpu_relax();
        answer = wait->attempt(wait->call);
    }
    return answer;
}

/* Spins to `until_ns`. `*out_now_ns` is the last time that was looked at: none is after the answer,
 * which a look at the clock would only hold up. */
static enum fletch_answer spin_until(const struct fletch_wait *wait, uint64_t until_ns,
                                     uint64_t *out_now_ns)
{
    for (;;) {
        if (wait->policy->strategy != FLETCH_WAIT_SPIN)
            fletch_cpu_relax();
        enum fletch_answer answer = spin(wait, ATTEMPTS_PER_CLOCK);
        if (is_final(answer))
            return answer;
        *out_now_ns = fletch_clock_now_ns();
        if (*out_now_ns >= until_ns)
            return answer;
    }
}

static enum fletch_answer yield_until(const struct fletch_wait *wait, uint64_t deadline_ns)
{
    enum fletch_answer answer;
    do {
        fletch_thread_yield();
        answer = wait->attempt(wait->call);
    } while (!is_final(answer) && fletch_clock_now_ns() < deadline_ns);
    return answer;
}

/* Sleeps once, in the steps that sync/wait.h explains. `*out_notified` tells why it woke up. */
static enum fletch_answer park(const struct fletch_wait *wait, uint64_t deadline_ns,
                               bool *out_notified)
{
    struct fletch_eventcount *eventcount = wait->eventcount;
    uint64_t start_ns = fletch_clock_now_ns();
    uint64_t first_ns = fletch_saturating_add_u64(start_ns, FIRST_SLEEP_NS);
    /* relaxed: a guess, no data behind it */
    bool fence_first = eventcount->fence_kind == FLETCH_FENCE_FULL ||
                       load_relaxed(&wait->history->slept_long) != 0;
    uint32_t key = fletch_eventcount_announce(eventcount);
    if (fence_first)
        fletch_eventcount_fence(eventcount);
    uint64_t until_ns = fence_first || deadline_ns < first_ns ? deadline_ns : first_ns;
    enum fletch_answer answer = spin(wait, ATTEMPTS_AFTER_ANNOUNCING);
    *out_notified = false;
    if (!is_final(answer)) {
        fetch_add_relaxed(&wait->history->parks, 1); /* relaxed: a statistic */
        *out_notified = fletch_eventcount_sleep(eventcount, key, until_ns);
    }
    if (!is_final(answer) && !*out_notified && until_ns < deadline_ns) {
        fletch_eventcount_fence(eventcount);
        answer = spin(wait, ATTEMPTS_AFTER_ANNOUNCING);
        if (!is_final(answer))
            *out_notified = fletch_eventcount_sleep(eventcount, key, deadline_ns);
    }
    fletch_eventcount_cancel(eventcount);
    uint32_t slept_long = fletch_clock_now_ns() - start_ns > LONG_SLEEP_NS;
    store_relaxed(&wait->history->slept_long, slept_long); /* relaxed: as above */
    return answer;
}

static enum fletch_answer park_until(const struct fletch_wait *wait, uint64_t deadline_ns)
{
    bool notified = true;
    enum fletch_answer answer = FLETCH_EMPTY;
    while (!is_final(answer) && notified) {
        answer = park(wait, deadline_ns, &notified);
        /* Notified or late, the last look that an eventcount asks for. */
        if (!is_final(answer))
            answer = wait->attempt(wait->call);
    }
    return answer;
}

/* When a wait that parked was over for the other side: who spins would not have needed the wake-up
 * that followed, so it is no part of what there is to learn. */
static uint64_t end_of_park_ns(const struct fletch_wait *wait, uint64_t start_ns)
{
    uint64_t woken_ns = load_relaxed(&wait->eventcount->woken_ns); /* relaxed: a measurement */
    if (woken_ns <= start_ns)
        return fletch_clock_now_ns();
    uint32_t waker = load_relaxed(&wait->eventcount->waker); /* relaxed: as above */
    /* relaxed: a guess, no data behind it */
    store_relaxed(&wait->history->same_cpu, waker == fletch_cpu_current());
    return woken_ns;
}

static void learn(const struct fletch_wait *wait, uint64_t waited_ns)
{
    uint32_t mean = load_relaxed(&wait->history->mean_ns); /* relaxed: a guess, no data behind it */
    uint32_t lesson = waited_ns < wait->policy->spin_budget_ns ? (uint32_t)waited_ns : 0;
    mean = mean - mean / MEAN_WEIGHT + lesson / MEAN_WEIGHT;
    store_relaxed(&wait->history->mean_ns, mean); /* relaxed: as above */
}

static uint64_t spin_end_ns(const struct fletch_wait *wait, uint64_t start_ns, uint64_t deadline_ns)
{
    uint64_t spin_ns = 2 * (uint64_t)load_relaxed(&wait->history->mean_ns); /* relaxed: a guess */
    if (spin_ns > wait->policy->spin_budget_ns)
        spin_ns = wait->policy->spin_budget_ns;
    return start_ns + spin_ns < deadline_ns ? start_ns + spin_ns : deadline_ns;
}

static enum fletch_answer adapt_until(const struct fletch_wait *wait, uint64_t start_ns,
                                      uint64_t deadline_ns)
{
    uint64_t now_ns = start_ns;
    enum fletch_answer answer;
    if (load_relaxed(&wait->history->same_cpu) != 0) { /* relaxed: a guess */
        fletch_thread_yield();
        answer = wait->attempt(wait->call);
        now_ns = fletch_clock_now_ns();
    } else {
        answer = spin_until(wait, spin_end_ns(wait, start_ns, deadline_ns), &now_ns);
    }
    if (!is_final(answer) && now_ns < deadline_ns) {
        answer = park_until(wait, deadline_ns);
        now_ns = end_of_park_ns(wait, start_ns);
    }
    learn(wait, now_ns - start_ns);
    return answer;
}

enum fletch_answer fletch_wait_for(const struct fletch_wait *wait, uint64_t timeout_ns)
{
    enum fletch_wait_strategy strategy = wait->policy->strategy;
    if (timeout_ns == 0)
        return wait->attempt(wait->call);
    if (strategy == FLETCH_WAIT_PARK)
        return park_until(wait, fletch_clock_deadline_ns(timeout_ns));
    enum fletch_answer answer = spin(wait, ATTEMPTS_BEFORE_CLOCK);
    if (is_final(answer))
        return answer;
    uint64_t start_ns = fletch_clock_now_ns();
    uint64_t deadline_ns = FLETCH_NO_DEADLINE;
    if (timeout_ns != FLETCH_NO_TIMEOUT)
        deadline_ns = fletch_saturating_add_u64(start_ns, timeout_ns);
    if (strategy == FLETCH_WAIT_YIELD)
        return yield_until(wait, deadline_ns);
    if (strategy == FLETCH_WAIT_ADAPTIVE)
        return adapt_until(wait, start_ns, deadline_ns);
    return spin_until(wait, deadline_ns, &start_ns);
}
