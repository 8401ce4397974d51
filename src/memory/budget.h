#ifndef FLETCH_MEMORY_BUDGET_H
#define FLETCH_MEMORY_BUDGET_H

/* Accounts of bytes, in a tree.
 *
 * Origin: hierarchical counters as of Linux's page_counter (which charges each level with one
 * atomic addition and takes it back where one is full), with stocks below the counters as its
 * memory cgroups have for each processor; here a stock belongs to an account, and anybody can take
 * it back.
 *
 * What an account has charged at the one above it is `settled`; the part of that which nobody uses
 * is its `stock`; used = settled - stock. An account without steps has no stock. A reservation
 * takes from the stock, or settles what is missing at this account, then at the one above, and so
 * on; a level that is full makes it give all back. As `settled` never passes the limit, `used` does
 * not. Before a reservation is refused, the stocks below the account that is full are given back
 * and it is tried again: nothing is refused while others keep what they do not use.
 *
 * Roles: any number of threads reserve, release, transfer and look. One opens and closes an
 * account. Progress: lock-free; release is wait-free without steps. A thread that dies in between
 * leaves bytes charged.
 *
 * The highest bit but one of `settled` says that the account is open. Whoever makes it 0 (the
 * closer or the last release) ends the account: it becomes vacant, for the next one that is opened
 * below the same parent. Accounts are never freed before their budget and never move to another
 * parent, so that looking at one is always allowed.
 *
 * Edges:
 *   E1: fetch_sub_acq_rel(settled) -> the fetch_sub_acq_rel that makes it 0: whoever ends an
 *       account knows that all others have left it.
 *   E2: cas_weak_acq_rel(stock) of who puts -> that of who drains, exchange_acquire(stock) of the
 *       closer: the stock is given back after those who put something there have left the account.
 *   E3: opener cas_weak_release(children) -> visitor load_acquire(children): the account is made.
 * Vacant accounts travel by memory/node_stack.h. Waiting is sync/eventcount.h: whoever leaves more
 * room behind than somebody may have seen (by a release, by taking back what it had charged below
 * a level that is full, by a step that has reached a stock, by giving stocks back) looks for
 * sleepers after that; a sleeper announces itself, then tries again. Its tries begin with a look
 * that changes nothing, so that sleepers do not wake each other in circles. Who comes first is in
 * memory/budget_order.h; while nobody waits, that is one load for each reservation.
 *
 * Linearization: a reservation at the last counter that it changes, a release at its first. ABA:
 * counters are only added to and compared with limits. Reclamation: none before the end. */

#include <fletching/budget.h>

#include "base/atomic.h"
#include "base/process.h"
#include "memory/budget_order.h"
#include "memory/node_stack.h"
#include "sync/eventcount.h"

#define FLETCH_ACCOUNT_OPEN (UINT64_C(1) << 62) /* in `settled` */
#define FLETCH_STOCK_CLOSED (UINT64_C(1) << 63) /* in `stock`: nothing may be put there */

struct fletch_account {
    _Atomic uint64_t settled;
    _Atomic uint64_t stock;
    uint64_t step_bytes;
    struct fletch_account *parent; /* fixed; NULL: the topmost one */
    struct fletch_budget *budget;  /* fixed */
    _Atomic uint64_t limit_bytes;
    _Atomic uint64_t peak_bytes;
    _Atomic uint64_t refused;
    struct fletch_stack_node vacancy;          /* while it is vacant */
    struct fletch_account *sibling;            /* fixed */
    _Atomic(struct fletch_account *) children; /* grows only */
    struct fletch_node_stack vacant;           /* of the children */
    uint32_t level;                            /* fixed; of the topmost one: 0 */
    _Atomic uint64_t name[FLETCH_ACCOUNT_NAME_BYTES / 8];
};

struct fletch_budget {
    struct fletch_account account; /* first */
    struct fletch_allocator allocator;
    _Atomic uint32_t has_steps; /* some account was opened with a step */
    FLETCH_ISOLATED struct fletch_eventcount room;
    struct fletch_budget_order order; /* of those who wait for it */
    uint32_t process;                 /* whose it is: base/process.h */
};

/* Room in an account, for bytes that `from` (NULL: nobody) is charged for. */
struct fletch_room_wanted {
    struct fletch_account *account;
    struct fletch_account *from;
    uint64_t bytes;
};

/* Sleeps until there may be room, or `is_over` says that there is something else, up to
 * `timeout_ns`. False: there was room, or `is_over` said so, before it slept. May come back for
 * nothing, and has no place in the order of those who wait to charge. Who changes what `is_over`
 * looks at calls fletch_budget_wake after that. */
bool fletch_account_await_room(const struct fletch_room_wanted *wanted, uint64_t timeout_ns,
                               bool (*is_over)(void *context), void *context);
void fletch_budget_wake(struct fletch_budget *budget);

/* The newest of the accounts below; the others are its siblings. */
static inline struct fletch_account *
fletch_account_first_child(const struct fletch_account *account)
{
    return load_acquire(&account->children); /* E3 acquire */
}

/* The two halves of a transfer. The first charges `to` and what is above it, up to where the two
 * branches meet, or nothing; then the second takes the charge from `from` in the same way, or from
 * `to` to undo the first. */
enum fletch_status fletch_account_begin_transfer(struct fletch_account *from,
                                                 struct fletch_account *to, uint64_t bytes,
                                                 uint64_t timeout_ns, struct fletch_error *error);
void fletch_account_end_transfer(struct fletch_account *from, struct fletch_account *to,
                                 uint64_t bytes);

#endif
