/* Accounts: threads that reserve and release below one limit; at the end nothing is charged.
 *
 * THREADS    that reserve BYTES of an account of their own and release them, once each
 * STEP       of these accounts, or of the first STEPPED; LIMIT of the one above
 * WAITS      they wait for room, until they get it
 * CLOSES     one thread releases the last byte of an account that another closes and opens again
 * VISITS     one thread opens an account while another looks at those there are
 * TRANSFERS  one thread moves a byte from its account to another, both full at the top
 * REFUSES    one thread asks for all there is; the other one takes BYTES of that at the top, and
 *            then waits for as many below
 * KEEPS      one thread releases nothing until the other one, which waits, has what it waits for
 * PASSES     one thread waits for all there is, the other one asks for a part of it, without
 *            waiting, when it has seen the first one wait
 * GIVES_UP   one thread waits for what does not come, and gives up; the other one, which may be
 *            behind it, waits for what there is
 * TURNS      one thread waits above, then below; the other one, which may be behind it, above
 * PLACES     two threads take a place each, and give it back */

#include "memory/budget.h"

#include <fletching/wait.h>

#include "base/allocator.h"
#include "harness.h"

#ifndef THREADS
#define THREADS 2
#endif
#ifndef BYTES
#define BYTES 1
#endif
#ifndef STEP
#define STEP 0
#endif
#ifndef STEPPED
#define STEPPED THREADS
#endif
#ifndef LIMIT
#define LIMIT 1
#endif
#ifndef WAITS
#define WAITS 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef VISITS
#define VISITS 0
#endif
#ifndef TRANSFERS
#define TRANSFERS 0
#endif
#ifndef REFUSES
#define REFUSES 0
#endif
#ifndef KEEPS
#define KEEPS 0
#endif

#ifndef PASSES
#define PASSES 0
#endif
#ifndef GIVES_UP
#define GIVES_UP 0
#endif
#ifndef TURNS
#define TURNS 0
#endif
#ifndef PLACES
#define PLACES 0
#endif

static struct fletch_budget *budget;
static struct fletch_account *top, *accounts[THREADS];
static bool got[THREADS];

static struct fletch_account *open_account(uint64_t step_bytes)
{
    struct fletch_account *account;
    const struct fletch_account_options options = {.struct_size = sizeof options,
                                                   .name = "a",
                                                   .limit_bytes = REFUSES ? LIMIT : TURNS,
                                                   .step_bytes = step_bytes};
    harness_assert(fletch_account_open(top, &options, &account, NULL) == FLETCH_OK);
    return account;
}

static void *reserve_and_release(void *argument)
{
    int number = (int)(intptr_t)argument;
    uint64_t timeout_ns = WAITS ? FLETCH_NO_TIMEOUT : 0;
    got[number] = fletch_account_reserve(accounts[number], BYTES, timeout_ns, NULL) == FLETCH_OK;
    if (got[number] && !(KEEPS && number == 0))
        fletch_account_release(accounts[number], BYTES);
    return NULL;
}

static void *release_last(void *unused)
{
    fletch_account_release(accounts[0], BYTES);
    return unused;
}

static void *close_and_open(void *unused)
{
    fletch_account_close(accounts[0]);
    struct fletch_account *again = open_account(2);
    harness_assert(again != accounts[1]);
    fletch_account_close(again);
    return unused;
}

static void *open_and_close(void *unused)
{
    fletch_account_close(open_account(2));
    return unused;
}

static bool look(void *context, const struct fletch_budget_statistics *held)
{
    ++*(int *)context;
    harness_assert(held->used_bytes == 0);
    return true;
}

static void *visit(void *unused)
{
    int seen = 0;
    fletch_account_visit(top, look, &seen);
    harness_assert(seen == THREADS || seen == THREADS + 1);
    return unused;
}

static void *transfer(void *unused)
{
    harness_assert(fletch_account_transfer(accounts[0], accounts[1], BYTES, 0, NULL) == FLETCH_OK);
    fletch_account_release(accounts[1], BYTES);
    return unused;
}

static void *ask_for_all(void *unused)
{
    if (fletch_account_reserve(accounts[0], LIMIT, 0, NULL) == FLETCH_OK)
        fletch_account_release(accounts[0], LIMIT);
    return unused;
}

static void *wait_below(void *unused)
{
    bool above = fletch_account_reserve(top, BYTES, FLETCH_NO_TIMEOUT, NULL) == FLETCH_OK;
    got[1] = fletch_account_reserve(accounts[0], BYTES, FLETCH_NO_TIMEOUT, NULL) == FLETCH_OK;
    harness_assert(above && got[1]);
    fletch_account_release(accounts[0], BYTES);
    fletch_account_release(top, BYTES);
    return unused;
}

static void *wait_for_all(void *unused)
{
    got[0] = fletch_account_reserve(accounts[0], LIMIT, FLETCH_NO_TIMEOUT, NULL) == FLETCH_OK;
    harness_assert(got[0]);
    fletch_account_release(accounts[0], LIMIT);
    return unused;
}

static void *release_and_try(void *unused)
{
    bool awaited = fletch_budget_order_count(&budget->order, top) != 0;
    fletch_account_release(top, 1);
    bool passed = fletch_account_reserve(accounts[1], 1, 0, NULL) == FLETCH_OK;
    harness_assert(!(awaited && passed));
    if (passed)
        fletch_account_release(accounts[1], 1);
    fletch_account_release(top, LIMIT - 1);
    return unused;
}

static void *give_up(void *unused)
{
    harness_assert(fletch_account_reserve(accounts[0], LIMIT, 1000, NULL) ==
                   FLETCH_RESOURCE_EXHAUSTED);
    return unused;
}

static void *wait_for_one(void *number)
{
    int i = (int)(intptr_t)number;
    struct fletch_account *account = accounts[i];
    got[i] = fletch_account_reserve(account, 1, FLETCH_NO_TIMEOUT, NULL) == FLETCH_OK;
    harness_assert(got[i]);
    fletch_account_release(account, 1);
    return NULL;
}

static void *fill_below_and_wait(void *unused)
{
    (void)unused;
    harness_assert(fletch_account_transfer(accounts[1], accounts[0], 1, 0, NULL) == FLETCH_OK);
    fletch_account_release(top, 1);
    wait_for_one((void *)(intptr_t)1);
    fletch_account_release(accounts[0], 1);
    return NULL;
}

static void *take_a_place(void *unused)
{
    uint64_t ticket;
    struct fletch_budget_place *place =
        fletch_budget_order_enter(&budget->order, &budget->allocator, FLETCH_NO_TIMEOUT, &ticket);
    harness_assert(place != NULL && !fletch_budget_order_tell(place, top));
    harness_assert(fletch_budget_order_count(&budget->order, top) >= 1);
    fletch_budget_order_leave(&budget->order, place);
    return unused;
}

static void run(void *(*first)(void *), void *(*second)(void *))
{
    struct harness_thread threads[2];
    harness_start(&threads[0], first, (void *)(intptr_t)0);
    harness_start(&threads[1], second, (void *)(intptr_t)1);
    harness_join(&threads[0]);
    harness_join(&threads[1]);
}

static void ignore_statistics(struct fletch_account *account)
{
    harness_ignore(&account->refused, sizeof account->refused);
}

void harness(void)
{
    const struct fletch_account_options options = {
        .struct_size = sizeof options, .name = "t", .limit_bytes = LIMIT};
    harness_assert(fletch_budget_create(&options, NULL, &budget, NULL) == FLETCH_OK);
    top = fletch_budget_account(budget);
    ignore_statistics(top);
    for (int i = 0; i < THREADS; i++) {
        accounts[i] = open_account(i < STEPPED ? STEP : 0);
        ignore_statistics(accounts[i]);
    }
    if (CLOSES || TRANSFERS)
        harness_assert(fletch_account_reserve(accounts[0], BYTES, 0, NULL) == FLETCH_OK);
    if (PASSES || GIVES_UP || TURNS)
        harness_assert(fletch_account_reserve(top, PASSES ? LIMIT : 1, 0, NULL) == FLETCH_OK);
    if (TURNS)
        harness_assert(fletch_account_reserve(accounts[1], 1, 0, NULL) == FLETCH_OK);
    if (PASSES)
        run(wait_for_all, release_and_try);
    else if (GIVES_UP)
        run(give_up, wait_for_one);
    else if (TURNS)
        run(wait_for_one, fill_below_and_wait);
    else if (PLACES)
        run(take_a_place, take_a_place);
    else if (CLOSES)
        run(release_last, close_and_open);
    else if (VISITS)
        run(open_and_close, visit);
    else if (TRANSFERS)
        run(transfer, reserve_and_release);
    else if (REFUSES)
        run(ask_for_all, wait_below);
    else
        run(reserve_and_release, reserve_and_release);
    if (KEEPS)
        fletch_account_release(accounts[0], BYTES);
    if (GIVES_UP)
        fletch_account_release(top, 1);
    harness_assert(CLOSES || VISITS || TRANSFERS || PLACES || got[0] || got[1]);
    harness_assert(!WAITS || (got[0] && got[1]));
    for (int i = CLOSES; i < THREADS; i++)
        fletch_account_close(accounts[i]);
    struct fletch_budget_statistics statistics = {.struct_size = sizeof statistics};
    fletch_account_statistics(top, &statistics);
    harness_assert(statistics.used_bytes == 0);
    harness_assert(statistics.peak_bytes <= LIMIT);
    /* At the least what was charged at one time by whoever got something. */
    harness_assert(statistics.peak_bytes >= (got[0] || got[1] ? BYTES : 0));
    harness_assert(fletch_budget_destroy(budget, NULL) == FLETCH_OK);
}
