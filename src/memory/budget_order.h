#ifndef FLETCH_MEMORY_BUDGET_ORDER_H
#define FLETCH_MEMORY_BUDGET_ORDER_H

/* Who waits for room in a budget: a place for each, with a ticket that tells its age and the
 * account that is full for it.
 *
 * Origin: the tickets of L. Lamport's bakery, "A new solution of Dijkstra's concurrent programming
 * problem" (1974), of which only those count who wait for the same account; that calls which do not
 * wait may pass for a while only is the starvation mode of Go's mutex.
 *
 * Rule. A waiter leaves an account alone that somebody with an earlier ticket waits for: whatever
 * comes free there gathers for the oldest, however much it needs, and those behind it wait, however
 * little they need. Elsewhere in the tree they are not held up. Who does not wait leaves an account
 * alone once somebody has waited for it as long as FLETCH_BUDGET_PATIENCE_NS. A place counts no
 * more once its deadline has passed, whether its thread runs or not.
 *
 * Roles: any number of threads enter, tell, leave and look; a place belongs to the thread that
 * entered. Progress: wait-free but for entering, which is lock-free. A thread that stops while it
 * waits holds up those behind it until its deadline.
 *
 * Whoever leaves, or turns to another account, wakes the others after that: they look again, after
 * they have announced themselves as sleepers (sync/eventcount.h). Nobody sleeps longer than those
 * who hold it back may wait.
 *
 * Edges:
 *   E1: adder cas_weak_release(places) -> any load_acquire(places): a place is made.
 *   E2: leaver store_release(ticket) -> next owner cas_strong_acquire(ticket): what the last owner
 *       wrote to the place comes before what this one writes.
 *   E3: waiter store_release(full) -> any load_acquire(full): the times, and that somebody waits.
 *
 * A look may join the ticket of one owner with the account of the next: it then holds back for
 * nothing, and is woken by the leaving that it missed. Reclamation: places are freed with the
 * budget. ABA: places are only added, and claimed by their ticket, of which each comes once. */

#include <stdbool.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/atomic.h"

struct fletch_account;

/* How long those who do not wait may pass one who does. */
#ifdef FLETCH_MODEL_CHECK
#define FLETCH_BUDGET_PATIENCE_NS UINT64_C(0)
#else
#define FLETCH_BUDGET_PATIENCE_NS UINT64_C(10000000)
#endif

/* Tickets later than all: of who does not wait, and of who would but has no place. */
#define FLETCH_BUDGET_NO_TICKET UINT64_MAX
#define FLETCH_BUDGET_LAST_TICKET (UINT64_MAX - 1)

struct fletch_budget_place {
    _Atomic uint64_t ticket;               /* 0: nobody's */
    _Atomic(struct fletch_account *) full; /* NULL: not known yet */
    _Atomic uint64_t strict_ns;            /* from then on nobody passes */
    _Atomic uint64_t deadline_ns;          /* from then on it counts no more */
    struct fletch_budget_place *next;      /* fixed */
};

struct fletch_budget_order {
    _Atomic uint64_t waiting; /* places that are taken */
    _Atomic uint64_t tickets; /* given out */
    _Atomic(struct fletch_budget_place *) places;
};

/* What somebody is about to charge: an account and those above it, below `until`. */
struct fletch_budget_branch {
    struct fletch_account *account;
    const struct fletch_account *until; /* NULL: all levels */
    uint64_t ticket;
};

void fletch_budget_order_start(struct fletch_budget_order *order);

/* Frees the places; nobody waits any more. */
void fletch_budget_order_end(struct fletch_budget_order *order,
                             const struct fletch_allocator *allocator);

/* Whether anybody may wait: what the calls that find room at once look at. */
static inline uint64_t fletch_budget_order_waiting(const struct fletch_budget_order *order)
{
    return load_relaxed(&order->waiting); /* relaxed: a hint; E3 has it where it must be seen */
}

/* Takes a place, and tells its ticket. NULL: no memory; who waits without one comes last. */
struct fletch_budget_place *fletch_budget_order_enter(struct fletch_budget_order *order,
                                                      const struct fletch_allocator *allocator,
                                                      uint64_t timeout_ns, uint64_t *out_ticket);

/* Says what the place's owner waits for. True: it waited for another account before, for which
 * others may be behind it. */
bool fletch_budget_order_tell(struct fletch_budget_place *place, struct fletch_account *full);

void fletch_budget_order_leave(struct fletch_budget_order *order,
                               struct fletch_budget_place *place);

/* The lowest account of the branch that must be left to somebody older, or NULL; and when the first
 * of those who hold it back counts no more, if it does not leave before. */
struct fletch_account *fletch_budget_order_find(const struct fletch_budget_order *order,
                                                const struct fletch_budget_branch *branch,
                                                uint64_t *out_until_ns);

/* How many wait for an account. */
uint64_t fletch_budget_order_count(const struct fletch_budget_order *order,
                                   const struct fletch_account *account);

#endif
