#include "memory/budget_order.h"

#include <stddef.h>

#include "base/checked.h"
#include "base/clock.h"
#include "memory/budget.h"

void fletch_budget_order_start(struct fletch_budget_order *order)
{
    /* relaxed, all of these: nobody else knows the budget yet */
    store_relaxed(&order->waiting, 0);   /* relaxed: as above */
    store_relaxed(&order->tickets, 0);   /* relaxed: as above */
    store_relaxed(&order->places, NULL); /* relaxed: as above */
}

static struct fletch_budget_place *first_place(const struct fletch_budget_order *order)
{
    return load_acquire(&order->places); /* E1 acquire */
}

void fletch_budget_order_end(struct fletch_budget_order *order,
                             const struct fletch_allocator *allocator)
{
    struct fletch_budget_place *place = first_place(order);
    while (place != NULL) {
        struct fletch_budget_place *next = place->next;
        fletch_release(allocator, place, sizeof *place, _Alignof(struct fletch_budget_place));
        place = next;
    }
}

/* ---- places ---- */

static struct fletch_budget_place *take_place(const struct fletch_budget_order *order,
                                              uint64_t ticket)
{
    struct fletch_budget_place *place = first_place(order);
    for (; place != NULL; place = place->next) {
        uint64_t nobody = 0;
        if (cas_strong_acquire(&place->ticket, &nobody, ticket)) /* E2 acquire */
            return place;
    }
    return NULL;
}

static struct fletch_budget_place *add_place(struct fletch_budget_order *order,
                                             const struct fletch_allocator *allocator,
                                             uint64_t ticket)
{
    struct fletch_budget_place *place =
        fletch_allocate(allocator, sizeof *place, _Alignof(struct fletch_budget_place));
    if (place == NULL)
        return NULL;
    store_relaxed(&place->ticket, ticket);      /* relaxed: E1 publishes the place */
    store_relaxed(&place->full, NULL);          /* relaxed: as above */
    store_relaxed(&place->strict_ns, 0);        /* relaxed: as above */
    store_relaxed(&place->deadline_ns, 0);      /* relaxed: as above */
    place->next = load_relaxed(&order->places); /* relaxed: only linked to */
    while (!cas_weak_release(&order->places, &place->next, place)) { /* E1 release */
    }
    return place;
}

struct fletch_budget_place *fletch_budget_order_enter(struct fletch_budget_order *order,
                                                      const struct fletch_allocator *allocator,
                                                      uint64_t timeout_ns, uint64_t *out_ticket)
{
    uint64_t ticket = fetch_add_relaxed(&order->tickets, 1) + 1; /* relaxed: a number */
    struct fletch_budget_place *place = take_place(order, ticket);
    if (place == NULL)
        place = add_place(order, allocator, ticket);
    *out_ticket = place == NULL ? FLETCH_BUDGET_LAST_TICKET : ticket;
    if (place == NULL)
        return NULL;
    uint64_t now_ns = fletch_clock_now_ns();
    uint64_t deadline_ns = timeout_ns == UINT64_MAX ? FLETCH_NO_DEADLINE
                                                    : fletch_saturating_add_u64(now_ns, timeout_ns);
    /* relaxed, all of these: E3 publishes them */
    store_relaxed(&place->strict_ns, now_ns + FLETCH_BUDGET_PATIENCE_NS); /* relaxed: as above */
    store_relaxed(&place->deadline_ns, deadline_ns);                      /* relaxed: as above */
    fetch_add_relaxed(&order->waiting, 1);                                /* relaxed: as above */
    return place;
}

bool fletch_budget_order_tell(struct fletch_budget_place *place, struct fletch_account *full)
{
    struct fletch_account *before = load_relaxed(&place->full); /* relaxed: this thread's own */
    if (before == full)
        return false;
    store_release(&place->full, full); /* E3 release */
    return before != NULL;
}

void fletch_budget_order_leave(struct fletch_budget_order *order, struct fletch_budget_place *place)
{
    store_relaxed(&place->full, NULL);     /* relaxed: who sees it late holds back for nothing */
    store_release(&place->ticket, 0);      /* E2 release */
    fetch_sub_relaxed(&order->waiting, 1); /* relaxed: a hint */
}

/* ---- looking ---- */

/* Whether the account is among those that are about to be charged. */
static bool is_charged(const struct fletch_budget_branch *branch,
                       const struct fletch_account *account)
{
    const struct fletch_account *at = branch->account;
    while (at != branch->until && at != account)
        at = at->parent;
    return at != branch->until;
}

/* Whether a place, for which somebody waits, holds this branch back now. */
static bool holds_back(const struct fletch_budget_place *place,
                       const struct fletch_budget_branch *branch)
{
    uint64_t deadline_ns = load_relaxed(&place->deadline_ns); /* relaxed: E3 was acquired */
    bool may_pass = branch->ticket == FLETCH_BUDGET_NO_TICKET && FLETCH_BUDGET_PATIENCE_NS != 0;
    if (!may_pass && deadline_ns == FLETCH_NO_DEADLINE)
        return true;
    uint64_t now_ns = fletch_clock_now_ns();
    uint64_t strict_ns = load_relaxed(&place->strict_ns); /* relaxed: as above */
    return now_ns < deadline_ns && (!may_pass || now_ns >= strict_ns);
}

struct fletch_account *fletch_budget_order_find(const struct fletch_budget_order *order,
                                                const struct fletch_budget_branch *branch,
                                                uint64_t *out_until_ns)
{
    struct fletch_account *lowest = NULL;
    *out_until_ns = FLETCH_NO_DEADLINE;
    const struct fletch_budget_place *place = first_place(order);
    for (; place != NULL; place = place->next) {
        uint64_t ticket = load_relaxed(&place->ticket);           /* relaxed: E3 follows */
        struct fletch_account *full = load_acquire(&place->full); /* E3 acquire */
        if (full == NULL || ticket == 0 || ticket >= branch->ticket)
            continue;
        if (!is_charged(branch, full) || !holds_back(place, branch))
            continue;
        uint64_t deadline_ns = load_relaxed(&place->deadline_ns); /* relaxed: E3 was acquired */
        if (deadline_ns < *out_until_ns)
            *out_until_ns = deadline_ns;
        if (lowest == NULL || full->level > lowest->level)
            lowest = full;
    }
    return lowest;
}

uint64_t fletch_budget_order_count(const struct fletch_budget_order *order,
                                   const struct fletch_account *account)
{
    uint64_t count = 0;
    const struct fletch_budget_place *place = first_place(order);
    for (; place != NULL; place = place->next)
        count += load_acquire(&place->full) == account; /* E3 acquire */
    return count;
}
