#include "shuffle/coordinator.h"

#include <fletching/fletching.h>

#include "base/allocator.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/team.h"

/* Producers that say barriers, watermarks and ends, some of which they give up and say again, and
 * partitions that pass barriers: each barrier is told once, in order, and the end is the last. */

enum { PRODUCERS = 3, PARTITIONS = 2, LIMIT = 2 };

static struct test_arguments arguments;

struct exchange {
    struct fletch_coordinator *coordinator;
    uint64_t rounds;
    _Atomic uint32_t on_way[LIMIT]; /* partitions that have not passed the slot's barrier */
    _Atomic uint32_t ended;
    _Atomic uint64_t wrong;
    /* Written in the serial alone. */
    uint64_t barrier;
    uint64_t told;
    int64_t watermark;
};

struct party {
    struct exchange *exchange;
    struct jitter jitter;
    struct fletch_eventcount *sleeper;
    struct fletch_control_operation operation;
    uint64_t given_up;
};

static void tell_barrier(void *context, uint64_t id, uint32_t slot, bool aborted)
{
    struct exchange *exchange = context;
    if (id != exchange->barrier + 1 || aborted || atomic_load(&exchange->on_way[slot]) != 0)
        atomic_fetch_add(&exchange->wrong, 1);
    exchange->barrier = id;
    exchange->told++;
    atomic_store(&exchange->on_way[slot], PARTITIONS);
}

static void tell_watermark(void *context, int64_t watermark)
{
    struct exchange *exchange = context;
    if (watermark <= exchange->watermark)
        atomic_fetch_add(&exchange->wrong, 1);
    exchange->watermark = watermark;
}

static void tell_lost(void *context, uint32_t producer, const char *reason)
{
    (void)producer;
    (void)reason;
    atomic_fetch_add(&((struct exchange *)context)->wrong, 1);
}

static void tell_end(void *context)
{
    struct exchange *exchange = context;
    if (exchange->told != exchange->rounds || exchange->watermark != INT64_MAX)
        atomic_fetch_add(&exchange->wrong, 1);
    atomic_fetch_add(&exchange->ended, 1);
}

static void await(struct party *party, bool (*is_so)(struct fletch_control_operation *operation))
{
    while (!is_so(&party->operation)) {
        uint32_t key = fletch_eventcount_prepare(party->sleeper);
        if (is_so(&party->operation))
            fletch_eventcount_cancel(party->sleeper);
        else
            (void)fletch_eventcount_wait(party->sleeper, key, FLETCH_NO_TIMEOUT);
    }
}

/* Says it until it is answered, perhaps giving up now and then. Without a timeout: a wake-up that
 * is lost hangs. */
static void say(struct party *party, enum fletch_control_kind kind, uint64_t value)
{
    for (;;) {
        await(party, fletch_control_is_free);
        party->operation.kind = kind;
        party->operation.barrier = value;
        party->operation.watermark = (int64_t)value;
        fletch_control_submit(&party->operation);
        jitter_step(&party->jitter);
        if (fletch_random_below(&party->jitter.random, 2) == 0 &&
            fletch_control_give_up(&party->operation)) {
            party->given_up++;
            continue;
        }
        await(party, fletch_control_is_done);
        if (party->operation.status != FLETCH_OK)
            atomic_fetch_add(&party->exchange->wrong, 1);
        return;
    }
}

static void produce(void *context)
{
    struct party *party = context;
    for (uint64_t i = 1; i <= party->exchange->rounds; i++) {
        say(party, FLETCH_CONTROL_WATERMARK, i);
        say(party, FLETCH_CONTROL_BARRIER, i);
    }
    say(party, FLETCH_CONTROL_END, 0);
    while (!fletch_control_is_dropped(&party->operation))
        fletch_thread_yield(); /* its sleeper will be freed */
}

/* Passes what is on its way, for all partitions. */
static void pass_barriers(void *context)
{
    struct party *party = context;
    struct exchange *exchange = party->exchange;
    while (atomic_load(&exchange->ended) == 0) {
        for (uint32_t slot = 0; slot < LIMIT; slot++) {
            uint32_t left = atomic_load(&exchange->on_way[slot]);
            if (left != 0 &&
                atomic_compare_exchange_strong(&exchange->on_way[slot], &left, left - 1))
                fletch_coordinator_pass(exchange->coordinator, slot);
        }
        fletch_coordinator_tick(exchange->coordinator, 0);
        jitter_step(&party->jitter);
        fletch_thread_yield();
    }
}

static void barriers_are_told_once_in_order_and_the_end_is_the_last(void **state)
{
    static struct exchange exchange;
    struct party parties[PRODUCERS + 2];
    struct team_role roles[PRODUCERS + 2];
    uint64_t given_up = 0;
    (void)state;
    exchange.rounds = 2000 * arguments.scale;
    exchange.watermark = INT64_MIN;
    const struct fletch_coordinator_options options = {
        .producer_count = PRODUCERS,
        .producer_limit = PRODUCERS,
        .barrier_limit = LIMIT,
        .partition_count = PARTITIONS,
        .allocator = fletch_allocator_or_default(NULL),
        .outlet = {.barrier = tell_barrier,
                   .watermark = tell_watermark,
                   .lost = tell_lost,
                   .end = tell_end,
                   .context = &exchange},
    };
    assert_ok(fletch_coordinator_create(&options, &exchange.coordinator, NULL));
    for (uint32_t i = 0; i < PRODUCERS + 2; i++) {
        struct party *party = &parties[i];
        *party = (struct party){.exchange = &exchange,
                                .jitter = jitter_from_seed(arguments.seed + i, 16)};
        assert_ok(fletch_eventcount_create(NULL, &party->sleeper, NULL));
        fletch_control_init(&party->operation, exchange.coordinator, i, party->sleeper);
        roles[i] =
            (struct team_role){.run = i < PRODUCERS ? produce : pass_barriers, .context = party};
    }
    team_run(roles, PRODUCERS + 2);
    for (uint32_t i = 0; i < PRODUCERS + 2; i++) {
        given_up += parties[i].given_up;
        fletch_eventcount_destroy(parties[i].sleeper);
    }
    assert_true(atomic_load(&exchange.wrong) == 0);
    assert_int_equal(atomic_load(&exchange.ended), 1);
    assert_true(exchange.told == exchange.rounds);
    assert_true(given_up > 0);
    fletch_coordinator_destroy(exchange.coordinator);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barriers_are_told_once_in_order_and_the_end_is_the_last),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
