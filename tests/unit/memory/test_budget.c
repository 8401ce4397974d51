#include "memory/budget.h"

#include <fletching/wait.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/pools.h"
#include "support/sleeping.h"
#include "support/team.h"

enum { TIMEOUT_NS = 2000000 };

static struct fletch_budget *make(uint64_t limit_bytes)
{
    struct fletch_budget *budget;
    struct fletch_account_options options = {
        .struct_size = sizeof options, .name = "process", .limit_bytes = limit_bytes};
    assert_ok(fletch_budget_create(&options, NULL, &budget, NULL));
    return budget;
}

static struct fletch_budget_statistics statistics_of(const struct fletch_account *account)
{
    struct fletch_budget_statistics statistics = {.struct_size = sizeof statistics};
    fletch_account_statistics(account, &statistics);
    return statistics;
}

static uint64_t used(const struct fletch_account *account)
{
    return statistics_of(account).used_bytes;
}

static void end(struct fletch_budget *budget)
{
    assert_int_equal(used(fletch_budget_account(budget)), 0);
    assert_ok(fletch_budget_destroy(budget, NULL));
}

/* ---- charging ---- */

static void a_charge_counts_on_every_level(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(1000);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *shuffle = account_make(process, "shuffle", 500, 0);
    struct fletch_account *channel = account_make(shuffle, "channel", 200, 0);
    assert_ok(fletch_account_reserve(channel, 150, 0, NULL));
    assert_ok(fletch_account_reserve(shuffle, 100, 0, NULL));
    assert_ok(fletch_account_reserve(channel, 0, 0, NULL));
    assert_int_equal(used(channel), 150);
    assert_int_equal(used(shuffle), 250);
    assert_int_equal(used(process), 250);
    fletch_account_release(channel, 50);
    assert_int_equal(used(channel), 100);
    assert_int_equal(used(process), 200);
    fletch_account_release(channel, 100);
    fletch_account_release(shuffle, 100);
    struct fletch_budget_statistics statistics = statistics_of(channel);
    assert_string_equal(statistics.name, "channel");
    assert_int_equal(statistics.limit_bytes, 200);
    assert_int_equal(statistics.peak_bytes, 150);
    assert_int_equal(statistics_of(process).peak_bytes, 250);
    assert_false(statistics.closed);
    fletch_account_close(channel);
    fletch_account_close(shuffle);
    end(budget);
}

static void a_refusal_names_who_is_full_and_who_holds_the_most(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(1000);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *greedy = account_make(process, "greedy", 0, 0);
    struct fletch_account *modest = account_make(process, "modest", 300, 0);
    struct fletch_error error;
    assert_ok(fletch_account_reserve(greedy, 700, 0, NULL));
    assert_ok(fletch_account_reserve(modest, 200, 0, NULL));
    assert_int_equal(fletch_account_reserve(modest, 101, 0, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_string_equal(error.message, "the budget of 'modest' is full: limit 300 bytes, used 200, "
                                       "asked for 101");
    assert_int_equal(fletch_account_reserve(modest, 100, 0, NULL), FLETCH_OK);
    fletch_account_release(modest, 100);
    assert_int_equal(fletch_account_reserve(greedy, 101, 0, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_string_equal(error.message,
                        "the budget of 'process' is full: limit 1000 bytes, used 900, asked for "
                        "101; 'greedy' holds the most of it, 700");
    assert_int_equal(used(greedy), 700); /* nothing stayed charged */
    assert_int_equal(statistics_of(modest).refused, 1);
    assert_int_equal(statistics_of(process).refused, 1);
    assert_int_equal(fletch_account_reserve(greedy, UINT64_MAX, 0, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    fletch_account_release(greedy, 700);
    fletch_account_release(modest, 200);
    fletch_account_close(greedy);
    fletch_account_close(modest);
    end(budget);
}

static void an_account_that_holds_the_most_itself_is_named(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(1000);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *small = account_make(process, "small", 0, 10);
    struct fletch_error error;
    assert_ok(fletch_account_reserve(process, 900, 0, NULL));
    assert_ok(fletch_account_reserve(small, 50, 0, NULL));
    assert_int_equal(fletch_account_reserve(small, 100, 0, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "used 950, asked for 100; 'process' holds the most of it, 900");
    fletch_account_release(process, 860);
    assert_int_equal(fletch_account_reserve(small, 911, 0, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "used 90, asked for 911; 'small' holds the most of it, 50");
    fletch_account_release(process, 40);
    fletch_account_release(small, 50);
    fletch_account_close(small);
    end(budget);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct fletch_budget *budget = NULL;
    struct fletch_error error;
    struct fletch_account_options options = {.struct_size = sizeof options,
                                             .limit_bytes = FLETCH_BUDGET_BYTES_MAX + 1};
    assert_int_equal(fletch_budget_create(&options, NULL, &budget, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "limit_bytes is 1152921504606846977");
    options.limit_bytes = 0;
    options.step_bytes = 1;
    assert_int_equal(fletch_budget_create(&options, NULL, &budget, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "expected 0 for a topmost account");
    options.step_bytes = UINT64_MAX;
    assert_int_equal(fletch_budget_create(&options, NULL, &budget, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_null(budget);
    options.step_bytes = 0;
    assert_ok(fletch_budget_create(&options, NULL, &budget, NULL));
    assert_string_equal(statistics_of(fletch_budget_account(budget)).name, "unnamed");
    assert_true(statistics_of(fletch_budget_account(budget)).limit_bytes == UINT64_MAX);
    end(budget);
    assert_ok(fletch_budget_destroy(NULL, NULL));
}

static void a_tree_has_so_many_levels(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(0);
    struct fletch_account *accounts[FLETCH_ACCOUNT_LEVELS_MAX];
    struct fletch_account_options options = {.struct_size = sizeof options, .name = "too deep"};
    struct fletch_error error;
    accounts[0] = fletch_budget_account(budget);
    for (int i = 1; i < FLETCH_ACCOUNT_LEVELS_MAX; i++)
        accounts[i] = account_make(accounts[i - 1], "level", 0, i % 2 == 0 ? 10 : 0);
    struct fletch_account *last = accounts[FLETCH_ACCOUNT_LEVELS_MAX - 1], *none = NULL;
    assert_int_equal(fletch_account_open(last, &options, &none, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "level 9, expected at most 8");
    assert_null(none);
    assert_ok(fletch_account_reserve(last, 35, 0, NULL));
    assert_int_equal(used(last), 35);
    fletch_account_release(last, 35);
    for (int i = FLETCH_ACCOUNT_LEVELS_MAX - 1; i > 0; i--)
        fletch_account_close(accounts[i]);
    end(budget);
}

/* ---- steps ---- */

static void an_account_with_steps_touches_the_one_above_seldom(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(10000);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *channel = account_make(process, "channel", 1000, 100);
    assert_ok(fletch_account_reserve(channel, 10, 0, NULL));
    assert_int_equal(used(channel), 10);
    assert_int_equal(used(process), 110);
    for (int i = 0; i < 10; i++)
        assert_ok(fletch_account_reserve(channel, 10, 0, NULL));
    assert_int_equal(used(channel), 110);
    assert_int_equal(used(process), 110);
    fletch_account_release(channel, 110);
    assert_int_equal(used(channel), 0);
    assert_int_equal(used(process), 110);                     /* up to two steps stay */
    assert_ok(fletch_account_reserve(channel, 950, 0, NULL)); /* no step fits: to the byte */
    assert_int_equal(used(process), 950);
    assert_ok(fletch_account_reserve(channel, 50, 0, NULL));
    assert_int_equal(fletch_account_reserve(channel, 1, 0, NULL), FLETCH_RESOURCE_EXHAUSTED);
    fletch_account_release(channel, 1000);
    assert_int_equal(used(process), 100); /* more than two steps: one stays */
    fletch_account_close(channel);
    assert_int_equal(used(process), 0);
    end(budget);
}

static void nothing_is_refused_while_others_keep_what_they_do_not_use(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(1000);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *idle = account_make(process, "idle", 0, 300);
    struct fletch_account *busy = account_make(process, "busy", 0, 300);
    assert_ok(fletch_account_reserve(idle, 100, 0, NULL)); /* takes 400 */
    assert_int_equal(used(process), 400);
    assert_ok(fletch_account_reserve(busy, 900, 0, NULL));
    assert_int_equal(used(process), 1000);
    assert_int_equal(used(idle), 100);
    assert_int_equal(used(busy), 900);
    assert_int_equal(fletch_account_reserve(idle, 1, 0, NULL), FLETCH_RESOURCE_EXHAUSTED);
    fletch_account_release(busy, 900);
    fletch_account_release(idle, 100);
    fletch_account_close(idle);
    fletch_account_close(busy);
    end(budget);
}

/* Random calls against plain counters. */
static void used_bytes_are_those_of_a_plain_counter(void **state)
{
    (void)state;
    enum { ACCOUNTS = 6, CALLS = 100000 };
    static const uint64_t limits[ACCOUNTS] = {10000, 6000, 3000, 3000, 5000, 2500};
    static const uint64_t steps[ACCOUNTS] = {0, 500, 100, 0, 0, 300};
    static const int parents[ACCOUNTS] = {-1, 0, 1, 1, 0, 4};
    struct fletch_budget *budget = make(limits[0]);
    struct fletch_account *accounts[ACCOUNTS] = {fletch_budget_account(budget)};
    uint64_t counts[ACCOUNTS] = {0}, held[ACCOUNTS] = {0};
    struct fletch_random random = fletch_random_from_seed(1);
    for (int i = 1; i < ACCOUNTS; i++)
        accounts[i] = account_make(accounts[parents[i]], "account", limits[i], steps[i]);
    for (int call = 0; call < CALLS; call++) {
        int at = 1 + (int)fletch_random_below(&random, ACCOUNTS - 1);
        uint64_t bytes = fletch_random_below(&random, 1500);
        bool fits = true;
        if (fletch_random_below(&random, 2) == 0) {
            bytes = bytes > held[at] ? held[at] : bytes;
            fletch_account_release(accounts[at], bytes);
            held[at] -= bytes;
            for (int i = at; i >= 0; i = parents[i])
                counts[i] -= bytes;
            continue;
        }
        for (int i = at; i >= 0; i = parents[i])
            fits = fits && counts[i] + bytes <= limits[i];
        enum fletch_status status = fletch_account_reserve(accounts[at], bytes, 0, NULL);
        assert_true((status == FLETCH_OK) == fits);
        for (int i = at; i >= 0 && fits; i = parents[i])
            counts[i] += bytes;
        held[at] += fits ? bytes : 0;
        assert_int_equal(used(accounts[2]), counts[2]);
        assert_int_equal(used(accounts[3]), counts[3]);
        assert_int_equal(used(accounts[5]), counts[5]);
    }
    for (int i = ACCOUNTS - 1; i > 0; i--) {
        fletch_account_release(accounts[i], held[i]);
        fletch_account_close(accounts[i]);
    }
    end(budget);
}

/* ---- moving ---- */

static void a_transfer_leaves_what_is_above_both_alone(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(1000);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *shuffle = account_make(process, "shuffle", 0, 0);
    struct fletch_account *channel = account_make(shuffle, "channel", 0, 100);
    struct fletch_account *delivered = account_make(process, "delivered", 950, 0);
    struct fletch_error error;
    assert_ok(fletch_account_reserve(channel, 1000, 0, NULL)); /* the process is full */
    assert_ok(fletch_account_transfer(channel, delivered, 900, 0, NULL));
    assert_int_equal(used(channel), 100);
    assert_int_equal(used(shuffle), 100);
    assert_int_equal(used(delivered), 900);
    assert_int_equal(used(process), 1000);
    assert_int_equal(statistics_of(process).peak_bytes, 1000);
    assert_int_equal(fletch_account_transfer(channel, delivered, 51, 0, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "'delivered' is full: limit 950 bytes, used 900, asked for 51");
    assert_int_equal(used(channel), 100);
    assert_ok(fletch_account_transfer(delivered, delivered, 10, 0, NULL));
    assert_ok(fletch_account_transfer(delivered, channel, 900, 0, NULL)); /* and back */
    assert_ok(fletch_account_transfer(channel, shuffle, 10, 0, NULL));    /* up */
    assert_ok(fletch_account_transfer(shuffle, channel, 10, 0, NULL));    /* and down */
    assert_int_equal(used(channel), 1000);
    fletch_account_release(channel, 1000);
    fletch_account_close(channel);
    fletch_account_close(shuffle);
    fletch_account_close(delivered);
    end(budget);
}

/* ---- closing ---- */

static bool collect(void *context, const struct fletch_budget_statistics *held)
{
    char *names = context;
    strcat(names, held->name);
    strcat(names, held->closed ? "(closed) " : " ");
    return true;
}

static void a_closed_account_stays_until_its_bytes_are_back(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(1000);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *channel = account_make(process, "channel", 0, 100);
    struct fletch_error error;
    char names[200] = "";
    assert_ok(fletch_account_reserve(channel, 10, 0, NULL));
    fletch_account_close(channel);
    fletch_account_close(NULL);
    assert_int_equal(used(process), 10);
    assert_int_equal(fletch_account_reserve(channel, 1, 0, &error), FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "'channel' is closed");
    assert_int_equal(fletch_account_transfer(process, channel, 1, 0, &error),
                     FLETCH_FAILED_PRECONDITION);
    fletch_account_visit(process, collect, names);
    assert_string_equal(names, "channel(closed) ");
    assert_int_equal(fletch_budget_destroy(budget, &error), FLETCH_FAILED_PRECONDITION);
    assert_string_equal(error.message,
                        "the account 'channel' is closed, and 10 bytes are charged to it");
    struct fletch_account *other = account_make(process, "other", 0, 0);
    assert_ptr_not_equal(other, channel); /* it is not vacant yet */
    fletch_account_release(channel, 10);
    assert_int_equal(used(process), 0);
    struct fletch_account *again = account_make(process, "again", 7, 0);
    assert_ptr_equal(again, channel);
    assert_string_equal(statistics_of(again).name, "again");
    assert_int_equal(statistics_of(again).peak_bytes, 0);
    assert_int_equal(fletch_budget_destroy(budget, &error), FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "is open, and 0 bytes");
    fletch_account_close(other);
    fletch_account_close(again);
    end(budget);
}

static bool stop_at_once(void *context, const struct fletch_budget_statistics *held)
{
    (void)held;
    ++*(int *)context;
    return false;
}

static void holders_can_be_seen(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(1000);
    struct fletch_account *process = fletch_budget_account(budget), *accounts[3];
    char names[200] = "", long_name[100];
    int calls = 0;
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    for (int i = 0; i < 3; i++)
        accounts[i] = account_make(process, i == 0 ? long_name : "short", 0, 0);
    fletch_account_visit(process, stop_at_once, &calls);
    assert_int_equal(calls, 1);
    fletch_account_close(accounts[2]); /* vacant: not shown */
    fletch_account_visit(process, collect, names);
    long_name[FLETCH_ACCOUNT_NAME_BYTES - 1] = '\0';
    assert_contains(names, long_name);
    assert_int_equal(strlen(names), FLETCH_ACCOUNT_NAME_BYTES - 1 + 1 + 6);
    fletch_account_close(accounts[0]);
    fletch_account_close(accounts[1]);
    end(budget);
}

/* ---- waiting ---- */

static void waiting_lasts_no_less_than_its_timeout(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(100);
    struct fletch_account *process = fletch_budget_account(budget);
    assert_ok(fletch_account_reserve(process, 60, 0, NULL));
    uint64_t deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_int_equal(fletch_account_reserve(process, 60, TIMEOUT_NS, NULL),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_true(fletch_clock_now_ns() >= deadline);
    /* What can never be is not waited for. */
    assert_int_equal(fletch_account_reserve(process, 101, FLETCH_NO_TIMEOUT, NULL),
                     FLETCH_RESOURCE_EXHAUSTED);
    fletch_account_release(process, 60);
    end(budget);
}

struct waiter {
    struct fletch_account *account;
    uint64_t bytes;
    struct fletch_account *from; /* transfer from there, or NULL: reserve */
    enum fletch_status status;
};

static void wait_for_room(void *context)
{
    struct waiter *waiter = context;
    if (waiter->from != NULL)
        waiter->status = fletch_account_transfer(waiter->from, waiter->account, waiter->bytes,
                                                 FLETCH_NO_TIMEOUT, NULL);
    else
        waiter->status =
            fletch_account_reserve(waiter->account, waiter->bytes, FLETCH_NO_TIMEOUT, NULL);
}

static void a_release_elsewhere_wakes_who_waits_above(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(100);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *one = account_make(process, "one", 0, 50);
    struct fletch_account *two = account_make(process, "two", 0, 50);
    struct waiter waiter = {.account = two, .bytes = 80, .status = FLETCH_UNKNOWN};
    const struct team_role role = {.run = wait_for_room, .context = &waiter};
    struct team team;
    assert_ok(fletch_account_reserve(one, 100, 0, NULL));
    team_start(&team, &role, 1);
    sleeping_await(&budget->room, 1);
    fletch_account_release(one, 10); /* stays in the stock, not enough */
    fletch_account_release(one, 70); /* with that it is: the waiter takes the stock */
    team_join(&team);
    assert_ok(waiter.status);
    assert_int_equal(used(two), 80);
    assert_int_equal(used(one), 20);
    fletch_account_release(one, 20);
    fletch_account_release(two, 80);
    fletch_account_close(one);
    fletch_account_close(two);
    end(budget);
}

static void a_transfer_waits_for_room_too(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(1000);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *channel = account_make(process, "channel", 0, 0);
    struct fletch_account *delivered = account_make(process, "delivered", 100, 0);
    struct waiter waiter = {
        .account = delivered, .bytes = 80, .from = channel, .status = FLETCH_UNKNOWN};
    const struct team_role role = {.run = wait_for_room, .context = &waiter};
    struct team team;
    assert_ok(fletch_account_reserve(channel, 500, 0, NULL));
    assert_ok(fletch_account_reserve(delivered, 50, 0, NULL));
    team_start(&team, &role, 1);
    sleeping_await(&budget->room, 1);
    fletch_account_release(delivered, 30);
    team_join(&team);
    assert_ok(waiter.status);
    assert_int_equal(used(delivered), 100);
    assert_int_equal(used(channel), 420);
    fletch_account_release(channel, 420);
    fletch_account_release(delivered, 100);
    fletch_account_close(channel);
    fletch_account_close(delivered);
    end(budget);
}

/* ---- the order of those who wait ---- */

struct place {
    struct fletch_account *account;
    uint64_t bytes;
    uint64_t timeout_ns;
    _Atomic uint32_t *turns; /* of all who wait, in the order in which they were served */
    uint32_t turn;
    enum fletch_status status;
    struct fletch_error error;
};

static void wait_in_turn(void *context)
{
    struct place *place = context;
    place->status =
        fletch_account_reserve(place->account, place->bytes, place->timeout_ns, &place->error);
    if (place->status == FLETCH_OK)
        place->turn = fetch_add_relaxed(place->turns, 1) + 1; /* relaxed: the budget orders it */
}

/* Starts who waits, and returns once it does. */
static void start_waiting(struct team *team, struct place *place, uint64_t waiting)
{
    const struct team_role role = {.run = wait_in_turn, .context = place};
    team_start(team, &role, 1);
    while (statistics_of(place->account).waiting < waiting)
        fletch_thread_yield();
    sleeping_await_thread(team_tid(team, 0));
}

static void who_waits_is_served_oldest_first(void **state)
{
    (void)state;
    enum { WAITERS = 4 };
    static const uint64_t bytes[WAITERS] = {100, 10, 60, 30};
    struct fletch_budget *budget = make(100);
    struct fletch_account *process = fletch_budget_account(budget);
    struct team teams[WAITERS];
    struct place places[WAITERS];
    _Atomic uint32_t turns = 0;
    assert_ok(fletch_account_reserve(process, 100, 0, NULL));
    for (uint32_t i = 0; i < WAITERS; i++) {
        places[i] = (struct place){.account = process,
                                   .bytes = bytes[i],
                                   .timeout_ns = FLETCH_NO_TIMEOUT,
                                   .turns = &turns};
        start_waiting(&teams[i], &places[i], i + 1);
    }
    /* Room for all but the first: it gathers. */
    fletch_account_release(process, 99);
    fletch_thread_yield();
    assert_int_equal(used(process), 1);
    assert_int_equal(statistics_of(process).waiting, WAITERS);
    fletch_account_release(process, 1);
    team_join(&teams[0]);
    assert_int_equal(places[0].turn, 1);
    fletch_account_release(process, 100);
    for (uint32_t i = 1; i < WAITERS; i++)
        team_join(&teams[i]);
    assert_int_equal(used(process), 100);
    assert_int_equal(statistics_of(process).waiting, 0);
    fletch_account_release(process, 100);
    end(budget);
}

static void who_gives_up_passes_its_turn_on(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(100);
    struct fletch_account *process = fletch_budget_account(budget);
    struct team teams[2];
    _Atomic uint32_t turns = 0;
    struct place large = {
        .account = process, .bytes = 80, .timeout_ns = 200000000, .turns = &turns};
    struct place small = {
        .account = process, .bytes = 10, .timeout_ns = FLETCH_NO_TIMEOUT, .turns = &turns};
    assert_ok(fletch_account_reserve(process, 50, 0, NULL));
    start_waiting(&teams[0], &large, 1);
    start_waiting(&teams[1], &small, 2);
    team_join(&teams[0]);
    assert_int_equal(large.status, FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(large.error.message, "the budget of 'process' is full");
    team_join(&teams[1]); /* nothing was released: it is woken by who gave up */
    assert_ok(small.status);
    fletch_account_release(process, 60);
    end(budget);
}

/* A thread that is stopped, or has ended, while it waited. */
static void who_waits_behind_a_stopped_one_goes_on_at_its_deadline(void **state)
{
    (void)state;
    const uint64_t stopped_ns = 50000000;
    struct fletch_budget *budget = make(100);
    struct fletch_account *process = fletch_budget_account(budget);
    uint64_t ticket;
    struct fletch_budget_place *stopped =
        fletch_budget_order_enter(&budget->order, &budget->allocator, stopped_ns, &ticket);
    assert_non_null(stopped);
    fletch_budget_order_tell(stopped, process);
    uint64_t start_ns = fletch_clock_now_ns();
    assert_ok(fletch_account_reserve(process, 10, 100 * stopped_ns, NULL));
    assert_true(fletch_clock_now_ns() - start_ns < 90 * stopped_ns);
    fletch_account_release(process, 10);
    end(budget);
}

static void who_waits_elsewhere_is_not_held_up(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(1000);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *full = account_make(process, "full", 100, 0);
    struct fletch_account *other = account_make(process, "other", 100, 0);
    struct team team;
    _Atomic uint32_t turns = 0;
    struct place large = {
        .account = full, .bytes = 80, .timeout_ns = FLETCH_NO_TIMEOUT, .turns = &turns};
    assert_ok(fletch_account_reserve(full, 50, 0, NULL));
    start_waiting(&team, &large, 1);
    assert_ok(fletch_account_reserve(other, 100, FLETCH_NO_TIMEOUT, NULL));
    assert_ok(fletch_account_reserve(process, 700, FLETCH_NO_TIMEOUT, NULL));
    assert_ok(fletch_account_transfer(other, process, 100, 0, NULL));
    assert_int_equal(statistics_of(full).waiting, 1);
    fletch_account_release(full, 30);
    team_join(&team);
    assert_ok(large.status);
    fletch_account_release(full, 100);
    fletch_account_release(process, 800);
    fletch_account_close(full);
    fletch_account_close(other);
    end(budget);
}

static void who_does_not_wait_passes_for_a_while_only(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(100);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *below = account_make(process, "below", 0, 20);
    struct team team;
    struct fletch_error error;
    _Atomic uint32_t turns = 0;
    uint32_t key;
    int fd;
    struct place large = {
        .account = process, .bytes = 80, .timeout_ns = FLETCH_NO_TIMEOUT, .turns = &turns};
    assert_ok(fletch_budget_open_fd(budget, &fd, NULL));
    assert_ok(fletch_account_reserve(below, 50, 0, NULL));
    start_waiting(&team, &large, 1);
    uint64_t tried = 0;
    while (fletch_account_reserve(below, 1, 0, &error) == FLETCH_OK) {
        fletch_account_release(below, 1);
        tried++;
    }
    assert_true(tried > 0);
    assert_contains(error.message, "the budget of 'process' has others who have waited longer");
    assert_contains(error.message, "waiting 1");
    /* What can never be is not put off. */
    assert_int_equal(fletch_account_reserve(below, 101, FLETCH_NO_TIMEOUT, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "the budget of 'process' is full: limit 100 bytes");
    /* It is no use to try again at once, which an event loop has to know. */
    assert_true(fletch_account_arm(below, NULL, 1, &key));
    assert_ok(fletch_account_reserve(below, 0, 0, NULL));
    fletch_account_release(below, 30);
    team_join(&team);
    assert_ok(large.status);
    fletch_account_disarm(below, key);
    fletch_account_release(process, 80);
    assert_ok(fletch_account_reserve(below, 1, 0, NULL));
    fletch_account_release(below, 21);
    fletch_account_close(below);
    end(budget);
}

static void who_finds_no_memory_for_a_place_waits_all_the_same(void **state)
{
    (void)state;
    enum { PLACE = 2 }; /* the first request is the budget's */
    static struct counting_allocator counting;
    struct fletch_budget *budget;
    const struct fletch_account_options options = {.struct_size = sizeof options,
                                                   .limit_bytes = 100};
    struct team team;
    counting_allocator_start(&counting, PLACE);
    assert_ok(fletch_budget_create(&options, &counting.allocator, &budget, NULL));
    struct fletch_account *process = fletch_budget_account(budget);
    struct waiter waiter = {.account = process, .bytes = 80, .status = FLETCH_UNKNOWN};
    const struct team_role role = {.run = wait_for_room, .context = &waiter};
    assert_ok(fletch_account_reserve(process, 50, 0, NULL));
    team_start(&team, &role, 1);
    sleeping_await(&budget->room, 1);
    assert_int_equal(statistics_of(process).waiting, 0);
    fletch_account_release(process, 50);
    team_join(&team);
    assert_int_equal(counting.requests, PLACE);
    assert_ok(waiter.status);
    fletch_account_release(process, 80);
    end(budget);
    assert_int_equal(counting.live_bytes, 0);
}

/* ---- waiting by descriptor ---- */

static bool is_ready(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1;
}

static void a_descriptor_tells_of_room(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(100);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *channel = account_make(process, "channel", 0, 0);
    int fd = -1, again = -2;
    uint32_t key = 0, other = 0;
    assert_ok(fletch_budget_open_fd(budget, &fd, NULL));
    assert_ok(fletch_budget_open_fd(budget, &again, NULL));
    assert_int_equal(fd, again);
    assert_ok(fletch_account_reserve(channel, 60, 0, NULL));
    assert_false(fletch_account_arm(channel, NULL, 40, &key));  /* there is room */
    assert_false(fletch_account_arm(channel, NULL, 101, &key)); /* there can never be */
    assert_true(fletch_account_arm(channel, NULL, 41, &key));
    assert_true(fletch_account_arm(process, NULL, 50, &other)); /* any number may wait */
    assert_false(is_ready(fd));
    fletch_account_release(channel, 10);
    assert_true(is_ready(fd));
    fletch_account_disarm(channel, key);
    assert_true(is_ready(fd)); /* the other one has not seen it yet */
    fletch_account_disarm(process, other);
    assert_false(is_ready(fd));
    assert_ok(fletch_account_reserve(channel, 41, 0, NULL));
    assert_true(fletch_account_arm(channel, NULL, 41, &key)); /* and again */
    fletch_account_disarm(channel, key);
    fletch_account_release(channel, 91); /* nobody is armed */
    assert_false(is_ready(fd));
    fletch_account_close(channel);
    assert_false(fletch_account_arm(channel, NULL, 1, &key)); /* the next try tells */
    end(budget);
}

static void a_descriptor_tells_of_room_for_a_transfer(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(100);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *channel = account_make(process, "channel", 0, 0);
    struct fletch_account *delivered = account_make(process, "delivered", 50, 0);
    int fd = -1;
    uint32_t key = 0;
    assert_ok(fletch_budget_open_fd(budget, &fd, NULL));
    assert_ok(fletch_account_reserve(channel, 70, 0, NULL));
    assert_ok(fletch_account_reserve(delivered, 30, 0, NULL));
    assert_true(fletch_account_arm(delivered, NULL, 20, &key)); /* the process is full */
    fletch_account_disarm(delivered, key);
    assert_false(fletch_account_arm(delivered, channel, 20, &key)); /* which does not matter */
    assert_false(fletch_account_arm(process, channel, 70, &key));   /* nor does it upwards */
    assert_true(fletch_account_arm(delivered, channel, 21, &key));
    fletch_account_release(delivered, 1);
    assert_true(is_ready(fd));
    fletch_account_disarm(delivered, key);
    assert_ok(fletch_account_transfer(channel, delivered, 21, 0, NULL));
    fletch_account_release(channel, 49);
    fletch_account_release(delivered, 50);
    fletch_account_close(channel);
    fletch_account_close(delivered);
    end(budget);
}

static void who_arms_takes_stocks_back(void **state)
{
    (void)state;
    struct fletch_budget *budget = make(100);
    struct fletch_account *process = fletch_budget_account(budget);
    struct fletch_account *idle = account_make(process, "idle", 0, 40);
    struct fletch_account *busy = account_make(process, "busy", 0, 0);
    int fd = -1;
    uint32_t key = 0;
    assert_ok(fletch_budget_open_fd(budget, &fd, NULL));
    assert_ok(fletch_account_reserve(idle, 1, 0, NULL));
    assert_int_equal(used(process), 41);
    assert_true(fletch_account_arm(busy, NULL, 100, &key)); /* one byte is in use */
    assert_int_equal(used(process), 1);
    fletch_account_release(idle, 1); /* into the stock */
    assert_true(is_ready(fd));
    fletch_account_disarm(busy, key);
    assert_false(fletch_account_arm(busy, NULL, 100, &key));
    assert_false(is_ready(fd));
    fletch_account_close(idle);
    fletch_account_close(busy);
    end(budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_charge_counts_on_every_level),
        cmocka_unit_test(a_refusal_names_who_is_full_and_who_holds_the_most),
        cmocka_unit_test(an_account_that_holds_the_most_itself_is_named),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(a_tree_has_so_many_levels),
        cmocka_unit_test(an_account_with_steps_touches_the_one_above_seldom),
        cmocka_unit_test(nothing_is_refused_while_others_keep_what_they_do_not_use),
        cmocka_unit_test(used_bytes_are_those_of_a_plain_counter),
        cmocka_unit_test(a_transfer_leaves_what_is_above_both_alone),
        cmocka_unit_test(a_closed_account_stays_until_its_bytes_are_back),
        cmocka_unit_test(holders_can_be_seen),
        cmocka_unit_test(waiting_lasts_no_less_than_its_timeout),
        cmocka_unit_test(a_release_elsewhere_wakes_who_waits_above),
        cmocka_unit_test(a_transfer_waits_for_room_too),
        cmocka_unit_test(who_waits_is_served_oldest_first),
        cmocka_unit_test(who_gives_up_passes_its_turn_on),
        cmocka_unit_test(who_waits_behind_a_stopped_one_goes_on_at_its_deadline),
        cmocka_unit_test(who_waits_elsewhere_is_not_held_up),
        cmocka_unit_test(who_does_not_wait_passes_for_a_while_only),
        cmocka_unit_test(who_finds_no_memory_for_a_place_waits_all_the_same),
        cmocka_unit_test(a_descriptor_tells_of_room),
        cmocka_unit_test(a_descriptor_tells_of_room_for_a_transfer),
        cmocka_unit_test(who_arms_takes_stocks_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
