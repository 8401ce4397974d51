#ifndef FLETCH_SYNC_WAIT_H
#define FLETCH_SYNC_WAIT_H

/* How a waiting call waits: the strategies of <fletching/wait.h>, over an eventcount.
 *
 * The adaptive strategy. A wait of length t costs t if it spins to its end, and what a sleep and a
 * wake-up cost if it parks. Spinning for as long as a wake-up costs and then parking is at most
 * twice as dear as knowing t beforehand (A. Karlin et al., "Competitive randomized algorithms for
 * nonuniform problems", 1990); when waits have lately been long, spinning first is waste. So each
 * waiting end keeps a mean of its short waits, moved an eighth of the way by each wait that was
 * shorter than the budget and towards zero by each longer one, and spins for twice that mean, at
 * most the budget. A wait that parked counts up to the notification and not up to the end of the
 * wake-up: otherwise two threads that wake each other for every few elements would learn from the
 * wake-ups that spinning is no use, although the next element is a microsecond away.
 *
 * Two threads that share a processor would change places for each element: the sleeper is woken by
 * the first one, and while one spins the other cannot run. So who was last woken by a thread on its
 * own processor does not spin, but gives the processor away once before it parks: the other gets
 * ahead by what it can do in its turn.
 *
 * Parking. Within one process the fence that a sleeper owes is a membarrier call, which interrupts
 * every running thread of the process; many sleeps are over before that would pay. So a waiter
 * whose last sleep was short puts the fence off: it announces itself, looks for a moment longer
 * than a store takes to leave its core, and sleeps for a millisecond at most; only if nobody woke
 * it by then does it execute the fence, look once more, and sleep for good. A notifier whose look
 * for sleepers came too early is seen by one of these looks; no wake-up is lost, and in the worst
 * case one is late by that millisecond. A waiter whose last sleep was long executes the fence
 * first: its sleeps are rare, and a sleep without a timer ends faster. */

#include <stdbool.h>
#include <stdint.h>

#include <fletching/answer.h>
#include <fletching/wait.h>

#include "base/atomic.h"
#include "base/status.h"
#include "sync/eventcount.h"

/* The choice made at creation. */
struct fletch_wait_policy {
    enum fletch_wait_strategy strategy;
    uint64_t spin_budget_ns; /* > 0 for FLETCH_WAIT_ADAPTIVE, 0 otherwise */
};

/* What one waiting end has learned and counted. Written by that end: by one thread, or by several
 * that may lose each other's lessons. */
struct fletch_wait_history {
    _Atomic uint32_t mean_ns;
    _Atomic uint32_t slept_long; /* the last sleep was worth a fence before it */
    _Atomic uint32_t same_cpu;   /* who ended the last sleep did so on the sleeper's processor */
    _Atomic uint64_t parks;
};

/* One try at what is waited for. DONE and CLOSED end the wait, everything else goes on. */
typedef enum fletch_answer fletch_wait_attempt(void *call);

struct fletch_wait {
    const struct fletch_wait_policy *policy;
    struct fletch_wait_history *history;
    struct fletch_eventcount *eventcount; /* what the other side notifies */
    fletch_wait_attempt *attempt;
    void *call;
};

/* INVALID_ARGUMENT: no such strategy. */
enum fletch_status fletch_wait_policy_choose(enum fletch_wait_strategy strategy,
                                             uint64_t spin_budget_ns,
                                             struct fletch_wait_policy *out_policy,
                                             struct fletch_error *error);

/* Whether waits of this policy ever sleep on the eventcount: if not, nobody need notify it. */
bool fletch_wait_policy_sleeps(const struct fletch_wait_policy *policy);

void fletch_wait_history_start(struct fletch_wait_history *history,
                               const struct fletch_wait_policy *policy);

/* What one has learned, another one begins with; without what it has counted. */
void fletch_wait_history_copy(struct fletch_wait_history *history,
                              const struct fletch_wait_history *other);

/* Tries until the attempt answers DONE or CLOSED or `timeout_ns` has passed, and returns the last
 * answer. Tries at least once. */
enum fletch_answer fletch_wait_for(const struct fletch_wait *wait, uint64_t timeout_ns);

#endif
