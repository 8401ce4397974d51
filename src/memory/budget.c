#include "memory/budget.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/options.h"
#include "base/status.h"
#include "memory/budget_report.h"
#include "sync/wait.h"

/* ---- one level ---- */

/* After a charge that succeeded on all levels: what it made of the account, which others may have
 * changed since. */
static void raise_peak(struct fletch_account *account, uint64_t bytes)
{
    uint64_t peak = load_relaxed(&account->peak_bytes); /* relaxed: a statistic */
    /* relaxed: a statistic */
    while (peak < bytes && !cas_weak_relaxed(&account->peak_bytes, &peak, bytes)) {
    }
}

/* Charges the account alone, and tells what it has then. False: that would pass its limit. */
static bool settle_here(struct fletch_account *account, uint64_t bytes, uint64_t *out_bytes)
{
    uint64_t limit = load_relaxed(&account->limit_bytes); /* relaxed: fixed while it is open */
    /* relaxed: counts; no data travels with a charge */
    uint64_t settled = load_relaxed(&account->settled);
    do {
        if (bytes > limit - fletch_budget_settled(settled))
            return false;
        /* relaxed: as above */
    } while (!cas_weak_relaxed(&account->settled, &settled, settled + bytes));
    *out_bytes = fletch_budget_settled(settled) + bytes;
    return true;
}

static void unsettle_here(struct fletch_account *account, uint64_t bytes)
{
    struct fletch_account *parent = account->parent;
    /* E1 release, E1 acquire */
    uint64_t settled = fetch_sub_acq_rel(&account->settled, bytes);
    FLETCH_ASSERT(fletch_budget_settled(settled) >= (bytes & ~FLETCH_ACCOUNT_OPEN));
    if (settled == bytes && parent != NULL) /* closed, and these were the last */
        fletch_node_stack_push(&parent->vacant, &account->vacancy, &account->vacancy);
}

/* ---- stocks ---- */

/* Takes `bytes` from the stock, if there is that much. */
static bool take_stock(struct fletch_account *account, uint64_t bytes)
{
    uint64_t stock = load_relaxed(&account->stock); /* relaxed: a count */
    do {
        if ((stock & FLETCH_STOCK_CLOSED) != 0 || stock < bytes)
            return false;
    } while (!cas_weak_relaxed(&account->stock, &stock, stock - bytes)); /* relaxed: a count */
    return true;
}

/* Takes all of the stock. */
static uint64_t drain_stock(struct fletch_account *account)
{
    uint64_t stock = load_relaxed(&account->stock); /* relaxed: E2 acquire follows */
    do {
        if ((stock & FLETCH_STOCK_CLOSED) != 0 || stock == 0)
            return 0;
    } while (!cas_weak_acquire(&account->stock, &stock, 0)); /* E2 acquire */
    return stock;
}

/* Puts `bytes` there, and takes them out again with all that was there if that is more than two
 * steps. What is left over is returned, for the account above. */
static uint64_t put_stock(struct fletch_account *account, uint64_t bytes)
{
    uint64_t step = account->step_bytes;
    uint64_t stock = load_relaxed(&account->stock); /* relaxed: E2 acquire follows */
    uint64_t kept;
    do {
        if ((stock & FLETCH_STOCK_CLOSED) != 0)
            return bytes;
        kept = stock + bytes > 2 * step ? step : stock + bytes;
        /* E2 release, E2 acquire */
    } while (!cas_weak_acq_rel(&account->stock, &stock, kept));
    return stock + bytes - kept;
}

/* ---- a branch of the tree ---- */

/* Gives `bytes` of the account back, and those above it, up to `until`, which is left alone. */
static void unsettle(struct fletch_account *account, uint64_t bytes,
                     const struct fletch_account *until)
{
    while (account != until) {
        struct fletch_account *parent = account->parent;
        unsettle_here(account, bytes);
        account = parent;
    }
}

static void release(struct fletch_account *account, uint64_t bytes)
{
    while (account != NULL && bytes != 0) {
        struct fletch_account *parent = account->parent;
        if (account->step_bytes != 0)
            bytes = put_stock(account, bytes);
        if (bytes != 0)
            unsettle_here(account, bytes);
        account = parent;
    }
}

/* Takes the stock of the account and gives it to those above. */
static uint64_t give_stock_back(struct fletch_account *account)
{
    uint64_t bytes = drain_stock(account);
    struct fletch_account *parent = account->parent;
    if (bytes != 0) {
        unsettle_here(account, bytes);
        release(parent, bytes);
    }
    return bytes;
}

/* Gives the stocks below `account`, and its own, to it and those above. */
static uint64_t give_stocks_back(struct fletch_account *account)
{
    uint64_t bytes = 0;
    struct fletch_account *child = fletch_account_first_child(account);
    for (; child != NULL; child = child->sibling)
        bytes += give_stocks_back(child); /* as deep as there are levels */
    return bytes + give_stock_back(account);
}

static struct fletch_account *charge(struct fletch_account *account, uint64_t bytes);

/* Settles `bytes` at the account and those above it. NULL, or the account that is full. */
static struct fletch_account *settle(struct fletch_account *account, uint64_t bytes)
{
    uint64_t settled;
    if (!settle_here(account, bytes, &settled))
        return account;
    struct fletch_account *full = account->parent == NULL ? NULL : charge(account->parent, bytes);
    if (full == NULL)
        raise_peak(account, settled);
    else
        unsettle_here(account, bytes);
    return full;
}

/* Charges `bytes` to the account, from its stock as far as that goes, and what is missing to those
 * above it. NULL, or the account that is full. As deep as there are levels. */
static struct fletch_account *charge(struct fletch_account *account, uint64_t bytes)
{
    uint64_t step = account->step_bytes;
    if (step == 0)
        return settle(account, bytes);
    if (take_stock(account, bytes))
        return NULL;
    if (settle(account, bytes + step) == NULL) {
        release(account, step);
        return NULL;
    }
    uint64_t had = drain_stock(account);
    if (had >= bytes) {
        release(account, had - bytes);
        return NULL;
    }
    struct fletch_account *full = settle(account, bytes - had);
    if (full != NULL)
        release(account, had);
    return full;
}

/* Charges `bytes` to `to` and those above it, below `until`, which has them already. NULL, or the
 * account that is full. */
static struct fletch_account *charge_below(struct fletch_account *to, uint64_t bytes,
                                           const struct fletch_account *until)
{
    uint64_t settled[FLETCH_ACCOUNT_LEVELS_MAX];
    for (struct fletch_account *at = to; at != until; at = at->parent) {
        if (settle_here(at, bytes, &settled[at->level]))
            continue;
        unsettle(to, bytes, at);
        return at;
    }
    for (struct fletch_account *at = to; at != until; at = at->parent)
        raise_peak(at, settled[at->level]);
    return NULL;
}

/* Where two branches meet. */
static struct fletch_account *meeting_of(struct fletch_account *a, struct fletch_account *b)
{
    while (a != b) {
        if (a->level >= b->level)
            a = a->parent;
        else
            b = b->parent;
    }
    return a;
}

/* ---- reserving ---- */

/* A reservation, or the first half of a transfer, packed for sync/wait.h. */
struct reservation {
    struct fletch_budget_branch branch;
    uint64_t bytes;
    struct fletch_budget_place *place; /* of who waits; NULL: none */
    struct fletch_account *full;       /* who refused */
    bool is_younger;                   /* it did so as somebody older waits for it */
    uint64_t held_until_ns;            /* when the first of those gives up */
    uint64_t sleeps_until_ns;          /* of who waits: no longer than that */
};

/* The lowest account of the branch that is full, or NULL. Only looks. */
static struct fletch_account *find_full(const struct reservation *reservation)
{
    uint64_t bytes = reservation->bytes;
    const struct fletch_account *until = reservation->branch.until;
    for (struct fletch_account *at = reservation->branch.account; at != until; at = at->parent) {
        /* relaxed: a look; the charge that follows decides */
        uint64_t stock = load_relaxed(&at->stock);
        if (until == NULL && (stock & FLETCH_STOCK_CLOSED) == 0) {
            if (stock >= bytes)
                return NULL;
            bytes -= stock;
        }
        uint64_t limit = load_relaxed(&at->limit_bytes); /* relaxed: fixed while it is open */
        /* relaxed: as above */
        if (bytes > limit - fletch_budget_settled(load_relaxed(&at->settled)))
            return at;
    }
    return NULL;
}

/* The account that has to be left to somebody who waits for it, or NULL. */
static struct fletch_account *find_awaited(struct reservation *reservation)
{
    const struct fletch_budget_order *order = &reservation->branch.account->budget->order;
    reservation->held_until_ns = FLETCH_NO_DEADLINE;
    if (__builtin_expect(fletch_budget_order_waiting(order) == 0, 1) || reservation->bytes == 0)
        return NULL;
    return fletch_budget_order_find(order, &reservation->branch, &reservation->held_until_ns);
}

static void wake_waiters(struct fletch_budget *budget)
{
    fletch_eventcount_notify_inline(&budget->room, UINT32_MAX);
}

/* Whether there is room, once the stocks below an account that is full have been given back. Takes
 * nothing, so that those who wait may look as often as they are woken and never wake each other
 * for nothing. */
static bool make_room(struct reservation *reservation)
{
    struct fletch_budget *budget = reservation->branch.account->budget;
    for (;;) {
        struct fletch_account *full = find_awaited(reservation);
        reservation->is_younger = full != NULL;
        if (full == NULL)
            full = find_full(reservation);
        reservation->full = full;
        if (full == NULL)
            return true;
        if (reservation->is_younger)
            return false;
        /* relaxed: an account with a step was opened before it could have a stock */
        if (load_relaxed(&budget->has_steps) == 0 || give_stocks_back(full) == 0)
            return false;
        wake_waiters(budget); /* others may have looked while this thread had them in hand */
    }
}

/* Somebody who looks while a charge is taken back, or a step is on its way to a stock, finds no
 * room, and may be asleep by the time that it is there: both wake who waits. */
static enum fletch_answer attempt(void *call)
{
    struct reservation *reservation = call;
    const struct fletch_budget_branch *branch = &reservation->branch;
    struct fletch_budget *budget = branch->account->budget;
    while (make_room(reservation)) {
        struct fletch_account *full =
            branch->until == NULL
                ? charge(branch->account, reservation->bytes)
                : charge_below(branch->account, reservation->bytes, branch->until);
        /* relaxed: as in make_room */
        if (full != NULL || load_relaxed(&budget->has_steps) != 0)
            wake_waiters(budget);
        if (full == NULL)
            return FLETCH_DONE;
    }
    /* Those who were behind it at another account may go on there. */
    if (reservation->place != NULL &&
        fletch_budget_order_tell(reservation->place, reservation->full))
        wake_waiters(budget);
    return FLETCH_FULL;
}

/* An account of the branch that could never hold that much, or NULL. */
static struct fletch_account *find_hopeless(const struct reservation *reservation)
{
    struct fletch_account *at = reservation->branch.account;
    for (; at != reservation->branch.until; at = at->parent)
        if (reservation->bytes > load_relaxed(&at->limit_bytes)) /* relaxed: fixed while open */
            return at;
    return NULL;
}

/* CLOSED: it has to be tried again before this sleep would end, as somebody who holds it back gives
 * up before that and may be stopped, so that nobody wakes who is behind. */
static enum fletch_answer attempt_in_order(void *call)
{
    const struct reservation *reservation = call;
    enum fletch_answer answer = attempt(call);
    bool too_long = reservation->held_until_ns < reservation->sleeps_until_ns;
    return answer != FLETCH_DONE && too_long ? FLETCH_CLOSED : answer;
}

/* Waits up to a time, or as long as those who hold it back, the first of them. */
static bool wait_until(const struct fletch_wait *wait, uint64_t deadline_ns)
{
    struct reservation *reservation = wait->call;
    enum fletch_answer answer;
    do {
        uint64_t held_until_ns = reservation->held_until_ns;
        reservation->sleeps_until_ns = held_until_ns < deadline_ns ? held_until_ns : deadline_ns;
        answer = fletch_wait_for(wait, fletch_clock_remaining_ns(reservation->sleeps_until_ns));
    } while (answer == FLETCH_CLOSED ||
             (answer != FLETCH_DONE && reservation->sleeps_until_ns < deadline_ns));
    return answer == FLETCH_DONE;
}

/* Waits for room, in the order of those who do. */
static bool wait_in_order(struct reservation *reservation, uint64_t timeout_ns)
{
    struct fletch_budget *budget = reservation->branch.account->budget;
    struct fletch_wait_history history;
    const struct fletch_wait_policy policy = {.strategy = FLETCH_WAIT_PARK};
    const struct fletch_wait wait = {
        .policy = &policy,
        .history = &history,
        .eventcount = &budget->room,
        .attempt = attempt_in_order,
        .call = reservation,
    };
    uint64_t deadline_ns = fletch_clock_deadline_ns(timeout_ns);
    fletch_wait_history_start(&history, &policy);
    reservation->place = fletch_budget_order_enter(&budget->order, &budget->allocator, timeout_ns,
                                                   &reservation->branch.ticket);
    bool got = wait_until(&wait, deadline_ns);
    if (reservation->place != NULL) {
        fletch_budget_order_leave(&budget->order, reservation->place);
        wake_waiters(budget); /* the next one's turn */
    }
    return got;
}

static enum fletch_status wait_for_room(struct reservation *reservation, uint64_t timeout_ns,
                                        struct fletch_error *error)
{
    struct fletch_account *hopeless = find_hopeless(reservation);
    if (hopeless != NULL)
        return fletch_budget_refuse(hopeless, reservation->bytes, error);
    if (timeout_ns != 0 && wait_in_order(reservation, timeout_ns))
        return FLETCH_OK;
    if (reservation->is_younger)
        return fletch_budget_refuse_younger(reservation->full, reservation->bytes, error);
    return fletch_budget_refuse(reservation->full, reservation->bytes, error);
}

/* `until` NULL: charge all levels. */
static struct reservation reservation_of(struct fletch_account *account,
                                         const struct fletch_account *until, uint64_t bytes,
                                         bool would_wait)
{
    return (struct reservation){
        .branch = {.account = account,
                   .until = until,
                   .ticket = would_wait ? FLETCH_BUDGET_LAST_TICKET : FLETCH_BUDGET_NO_TICKET},
        .bytes = bytes,
    };
}

/* Whether nobody waits, in the process that made the budget: where a reservation may be quick. */
static bool is_calm(const struct fletch_budget *budget)
{
    return fletch_budget_order_waiting(&budget->order) == 0 && fletch_process_is(budget->process);
}

static enum fletch_status check_process(const struct fletch_account *account,
                                        struct fletch_error *error)
{
    return fletch_process_check(account->budget->process, "this budget", error);
}

static bool is_open(struct fletch_account *account)
{
    /* relaxed: an account is closed once nobody reserves there any more */
    return (load_relaxed(&account->settled) & FLETCH_ACCOUNT_OPEN) != 0;
}

/* Whether the process may charge the account. */
static enum fletch_status check_usable(struct fletch_account *account, struct fletch_error *error)
{
    enum fletch_status status = check_process(account, error);
    return status != FLETCH_OK || is_open(account) ? status
                                                   : fletch_budget_refuse_closed(account, error);
}

enum fletch_status fletch_account_reserve(struct fletch_account *account, uint64_t bytes,
                                          uint64_t timeout_ns, struct fletch_error *error)
{
    struct reservation reservation = reservation_of(account, NULL, bytes, timeout_ns != 0);
    /* The ordinary way of an account with steps. */
    if (is_calm(account->budget) && take_stock(account, bytes))
        return FLETCH_OK;
    enum fletch_status status = check_usable(account, error);
    if (status != FLETCH_OK)
        return status;
    if (bytes > FLETCH_BUDGET_BYTES_MAX)
        return fletch_budget_refuse(account, bytes, error);
    if (__builtin_expect(attempt(&reservation) == FLETCH_DONE, 1))
        return FLETCH_OK;
    return wait_for_room(&reservation, timeout_ns, error);
}

void fletch_account_release(struct fletch_account *account, uint64_t bytes)
{
    struct fletch_budget *budget = account->budget;
    release(account, bytes);
    fletch_eventcount_notify_inline(&budget->room, UINT32_MAX);
}

enum fletch_status fletch_account_begin_transfer(struct fletch_account *from,
                                                 struct fletch_account *to, uint64_t bytes,
                                                 uint64_t timeout_ns, struct fletch_error *error)
{
    struct reservation reservation =
        reservation_of(to, meeting_of(from, to), bytes, timeout_ns != 0);
    FLETCH_ASSERT(from->budget == to->budget);
    enum fletch_status status = check_usable(to, error);
    if (status != FLETCH_OK)
        return status;
    if (attempt(&reservation) == FLETCH_DONE)
        return FLETCH_OK;
    return wait_for_room(&reservation, timeout_ns, error);
}

void fletch_account_end_transfer(struct fletch_account *from, struct fletch_account *to,
                                 uint64_t bytes)
{
    struct fletch_budget *budget = to->budget;
    unsettle(from, bytes, meeting_of(from, to));
    fletch_eventcount_notify_inline(&budget->room, UINT32_MAX);
}

enum fletch_status fletch_account_transfer(struct fletch_account *from, struct fletch_account *to,
                                           uint64_t bytes, uint64_t timeout_ns,
                                           struct fletch_error *error)
{
    if (bytes == 0 || from == to)
        return FLETCH_OK;
    enum fletch_status status = fletch_account_begin_transfer(from, to, bytes, timeout_ns, error);
    if (status == FLETCH_OK)
        fletch_account_end_transfer(from, to, bytes);
    return status;
}

/* ---- waiting for room or something else ---- */

bool fletch_account_await_room(const struct fletch_room_wanted *wanted, uint64_t timeout_ns,
                               bool (*is_over)(void *context), void *context)
{
    struct fletch_account *account = wanted->account;
    struct fletch_account *from = wanted->from;
    struct fletch_eventcount *room = &account->budget->room;
    struct reservation reservation = reservation_of(
        account, from == NULL ? NULL : meeting_of(from, account), wanted->bytes, true);
    uint32_t key = fletch_eventcount_prepare(room);
    if (is_over(context) || make_room(&reservation)) {
        fletch_eventcount_cancel(room);
        return false;
    }
    uint64_t held_ns = fletch_clock_remaining_ns(reservation.held_until_ns);
    (void)fletch_eventcount_wait(room, key, held_ns < timeout_ns ? held_ns : timeout_ns);
    return true;
}

void fletch_budget_wake(struct fletch_budget *budget)
{
    fletch_eventcount_notify_inline(&budget->room, UINT32_MAX);
}

/* ---- waiting by descriptor ---- */

enum fletch_status fletch_budget_open_fd(struct fletch_budget *budget, int *out_fd,
                                         struct fletch_error *error)
{
    enum fletch_status status = check_process(&budget->account, error);
    if (status != FLETCH_OK)
        return status;
    return fletch_eventcount_open_fd(&budget->room, out_fd, error);
}

bool fletch_account_arm(struct fletch_account *account, struct fletch_account *from, uint64_t bytes,
                        uint32_t *out_key)
{
    struct fletch_eventcount *room = &account->budget->room;
    struct reservation reservation =
        reservation_of(account, from == NULL ? NULL : meeting_of(from, account), bytes, false);
    FLETCH_ASSERT(from == NULL || from->budget == account->budget);
    if (!fletch_process_is(account->budget->process))
        return false;
    uint32_t key = fletch_eventcount_arm(room);
    if (!is_open(account) || find_hopeless(&reservation) != NULL || make_room(&reservation)) {
        fletch_eventcount_disarm(room, key);
        return false;
    }
    *out_key = key;
    return true;
}

void fletch_account_disarm(struct fletch_account *account, uint32_t key)
{
    if (fletch_process_is(account->budget->process))
        fletch_eventcount_disarm(&account->budget->room, key);
}

/* ---- opening and closing ---- */

static enum fletch_status check_options(const struct fletch_account_options *options,
                                        struct fletch_account_options *out_known,
                                        struct fletch_error *error)
{
    enum fletch_status status =
        fletch_options_copy(out_known, sizeof *out_known, options, sizeof *out_known, error);
    if (status != FLETCH_OK)
        return status;
    if (out_known->limit_bytes > FLETCH_BUDGET_BYTES_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "limit_bytes is %" PRIu64 ", expected at most %" PRIu64,
                                out_known->limit_bytes, FLETCH_BUDGET_BYTES_MAX);
    if (out_known->step_bytes > FLETCH_BUDGET_BYTES_MAX / 4)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "step_bytes is %" PRIu64 ", expected at most %" PRIu64,
                                out_known->step_bytes, FLETCH_BUDGET_BYTES_MAX / 4);
    if (out_known->limit_bytes == 0)
        out_known->limit_bytes = FLETCH_BUDGET_BYTES_MAX;
    if (out_known->name == NULL)
        out_known->name = "unnamed";
    return FLETCH_OK;
}

/* In words: fletch_budget_read_name. */
static void write_name(struct fletch_account *account, const char *name)
{
    uint64_t words[FLETCH_ACCOUNT_NAME_BYTES / 8] = {0};
    size_t length = strlen(name);
    memcpy(words, name, length < sizeof words ? length : sizeof words - 1);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        store_relaxed(&account->name[i], words[i]); /* relaxed: a label, see above */
}

/* Opens an account that is new or vacant. */
static void start_account(struct fletch_account *account,
                          const struct fletch_account_options *options)
{
    account->step_bytes = options->step_bytes;
    write_name(account, options->name);
    store_relaxed(&account->limit_bytes, options->limit_bytes); /* relaxed: not open yet */
    store_relaxed(&account->peak_bytes, 0);                     /* relaxed: not open yet */
    store_relaxed(&account->refused, 0);                        /* relaxed: not open yet */
    /* relaxed: the opener hands the account on */
    store_relaxed(&account->stock, options->step_bytes == 0 ? FLETCH_STOCK_CLOSED : 0);
    store_relaxed(&account->settled, FLETCH_ACCOUNT_OPEN); /* relaxed: as above */
    if (options->step_bytes != 0)
        store_relaxed(&account->budget->has_steps, 1); /* relaxed: seen by whoever sees a stock */
}

static struct fletch_account *take_vacant(struct fletch_account *parent)
{
    struct fletch_stack_node *node = fletch_node_stack_take(&parent->vacant);
    if (node == NULL)
        return NULL;
    fletch_node_stack_give_back(&parent->vacant, node->next);
    return (struct fletch_account *)(void *)((char *)node -
                                             offsetof(struct fletch_account, vacancy));
}

static void add_child(struct fletch_account *parent, struct fletch_account *child)
{
    child->sibling = load_relaxed(&parent->children); /* relaxed: only linked to */
    while (!cas_weak_release(&parent->children, &child->sibling, child)) { /* E3 release */
    }
}

enum fletch_status fletch_account_open(struct fletch_account *parent,
                                       const struct fletch_account_options *options,
                                       struct fletch_account **out_account,
                                       struct fletch_error *error)
{
    struct fletch_account_options known;
    enum fletch_status status = check_options(options, &known, error);
    if (status != FLETCH_OK)
        return status;
    if (parent->level + 1 >= FLETCH_ACCOUNT_LEVELS_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "the account '%s' would be on level %u, expected at most %d",
                                known.name, parent->level + 2, FLETCH_ACCOUNT_LEVELS_MAX);
    status = check_usable(parent, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_account *account = take_vacant(parent);
    bool is_new = account == NULL;
    if (is_new) {
        account = fletch_allocate(&parent->budget->allocator, sizeof *account, 64);
        if (account == NULL)
            return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                    "no memory for the account '%s', %zu bytes", known.name,
                                    sizeof *account);
        memset(account, 0, sizeof *account);
        account->parent = parent;
        account->budget = parent->budget;
        account->level = parent->level + 1;
    }
    start_account(account, &known);
    if (is_new)
        add_child(parent, account);
    *out_account = account;
    return FLETCH_OK;
}

void fletch_account_close(struct fletch_account *account)
{
    if (account == NULL)
        return;
    FLETCH_ASSERT(account->parent != NULL && is_open(account));
    struct fletch_account *parent = account->parent;
    struct fletch_budget *budget = account->budget;
    /* E2 acquire: whoever put something there has left the account */
    uint64_t stock = exchange_acquire(&account->stock, FLETCH_STOCK_CLOSED);
    stock &= ~FLETCH_STOCK_CLOSED;
    unsettle_here(account, FLETCH_ACCOUNT_OPEN + stock);
    release(parent, stock);
    fletch_eventcount_notify_inline(&budget->room, UINT32_MAX);
}

enum fletch_status fletch_budget_create(const struct fletch_account_options *options,
                                        const struct fletch_allocator *allocator,
                                        struct fletch_budget **out_budget,
                                        struct fletch_error *error)
{
    struct fletch_account_options known;
    enum fletch_status status = check_options(options, &known, error);
    if (status != FLETCH_OK)
        return status;
    if (known.step_bytes != 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "step_bytes is %" PRIu64 ", expected 0 for a topmost account",
                                known.step_bytes);
    struct fletch_budget *budget = fletch_block_allocate(allocator, sizeof *budget);
    if (budget == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a budget of %zu bytes", sizeof *budget);
    memset(budget, 0, sizeof *budget);
    budget->allocator = fletch_allocator_or_default(allocator);
    budget->account.budget = budget;
    fletch_eventcount_start(&budget->room, FLETCH_SHARING_PROCESS);
    fletch_budget_order_start(&budget->order);
    budget->process = fletch_process_number();
    start_account(&budget->account, &known);
    *out_budget = budget;
    return FLETCH_OK;
}

/* An account below, or this one, that is open or has bytes charged; NULL: none. */
static struct fletch_account *find_live_child(struct fletch_account *account)
{
    struct fletch_account *child = fletch_account_first_child(account);
    for (; child != NULL; child = child->sibling)
        if (load_relaxed(&child->settled) != 0) /* relaxed: nobody uses the budget any more */
            return child;
    return NULL;
}

static void end_children(const struct fletch_budget *budget, struct fletch_account *account)
{
    struct fletch_account *child = fletch_account_first_child(account);
    while (child != NULL) {
        struct fletch_account *next = child->sibling;
        end_children(budget, child); /* as deep as there are levels */
        fletch_release(&budget->allocator, child, sizeof *child, 64);
        child = next;
    }
}

enum fletch_status fletch_budget_destroy(struct fletch_budget *budget, struct fletch_error *error)
{
    if (budget == NULL)
        return FLETCH_OK;
    enum fletch_status status = check_process(&budget->account, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_account *live = find_live_child(&budget->account);
    if (live == NULL && fletch_budget_used(&budget->account) != 0)
        live = &budget->account;
    if (live != NULL) {
        char name[FLETCH_ACCOUNT_NAME_BYTES];
        fletch_budget_read_name(live, name);
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the account '%s' is %s, and %" PRIu64 " bytes are charged to it",
                                name, is_open(live) ? "open" : "closed", fletch_budget_used(live));
    }
    end_children(budget, &budget->account);
    fletch_budget_order_end(&budget->order, &budget->allocator);
    fletch_eventcount_deinit(&budget->room);
    fletch_block_release(budget);
    return FLETCH_OK;
}

struct fletch_account *fletch_budget_account(struct fletch_budget *budget)
{
    return &budget->account;
}
