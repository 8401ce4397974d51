#include "flight/connection_pool.h"

#include <stdio.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/sleeping.h"
#include "support/team.h"

#define NO_SLOT UINT32_MAX

static struct fletch_connection_pool pool;
static uint32_t evicted; /* the last one */
static uint32_t asked;   /* the last one that was asked for */

static void remember(void *context, uint32_t slot)
{
    (void)context;
    evicted = slot;
}

static void remember_asked(void *context, uint32_t slot)
{
    (void)context;
    asked = slot;
}

static void start(uint32_t slots, uint32_t connections, uint32_t users)
{
    const struct fletch_connection_pool_options options = {
        .slot_count = slots,
        .connections_per_address = connections,
        .users_per_connection = users,
        .evicted = remember,
        .asked = remember_asked,
    };
    evicted = asked = NO_SLOT;
    assert_ok(fletch_connection_pool_init(&pool, &options, NULL));
}

static struct fletch_pool_address address_of(const char *text)
{
    return (struct fletch_pool_address){.text = text, .bytes = strlen(text)};
}

static enum fletch_answer try_acquire(const char *text, uint32_t *out_slot)
{
    const struct fletch_pool_address address = address_of(text);
    return fletch_connection_pool_try_acquire(&pool, &address, out_slot);
}

static uint32_t acquire(const char *text)
{
    uint32_t slot = NO_SLOT;
    assert_answer(try_acquire(text, &slot), FLETCH_DONE);
    return slot;
}

static void leave(uint32_t slot, uint64_t now_ns)
{
    fletch_connection_pool_leave(&pool, slot, now_ns);
}

static void check_counts(uint32_t free, uint32_t connecting, uint32_t ready, uint32_t draining)
{
    struct fletch_connection_pool_counts counts;
    fletch_connection_pool_count(&pool, &counts);
    assert_int_equal(counts.free, free);
    assert_int_equal(counts.connecting, connecting);
    assert_int_equal(counts.ready, ready);
    assert_int_equal(counts.draining, draining);
}

static void calls_to_an_address_share_its_connection(void **state)
{
    char text[FLETCH_POOL_ADDRESS_BYTES];
    (void)state;
    start(4, 1, 100);
    uint32_t slot = acquire("one:1");
    assert_int_equal(acquire("one:1"), slot);
    uint32_t other = acquire("two:1");
    assert_int_not_equal(other, slot);
    fletch_connection_pool_set_state(&pool, other, FLETCH_POOL_READY);
    check_counts(2, 1, 1, 0);
    assert_int_equal(fletch_connection_pool_users(&pool, slot), 2);
    fletch_connection_pool_address(&pool, slot, text);
    assert_string_equal(text, "one:1");
    fletch_connection_pool_set_state(&pool, other, FLETCH_POOL_CONNECTING);
    check_counts(2, 2, 0, 0);
    leave(slot, 1);
    leave(slot, 2);
    leave(other, 3);
    assert_int_equal(acquire("one:1"), slot); /* it is kept */
    leave(slot, 4);
    fletch_connection_pool_deinit(&pool);
}

static void only_what_is_idle_long_enough_is_closed(void **state)
{
    (void)state;
    start(2, 1, 100);
    uint32_t slot = acquire("one:1");
    assert_false(fletch_connection_pool_drain(&pool, slot, UINT64_MAX));
    leave(slot, 50);
    assert_false(fletch_connection_pool_drain(&pool, slot, 49));
    assert_true(fletch_connection_pool_drain(&pool, slot, 50));
    assert_false(fletch_connection_pool_drain(&pool, slot, 50));
    fletch_connection_pool_set_state(&pool, slot, FLETCH_POOL_READY); /* too late */
    check_counts(1, 0, 0, 1);
    uint32_t next = acquire("one:1");
    assert_int_not_equal(next, slot);
    fletch_connection_pool_free(&pool, slot);
    check_counts(1, 1, 0, 0);
    leave(next, 60);
    fletch_connection_pool_deinit(&pool);
}

static void what_is_idle_for_longest_makes_room(void **state)
{
    uint32_t slots[3], slot = NO_SLOT;
    (void)state;
    start(3, 1, 100);
    slots[0] = acquire("one:1");
    slots[1] = acquire("two:1");
    slots[2] = acquire("three:1");
    assert_answer(try_acquire("four:1", &slot), FLETCH_FULL);
    assert_int_equal(evicted, NO_SLOT); /* all are used */
    assert_int_equal(slot, NO_SLOT);
    leave(slots[1], 20);
    leave(slots[2], 10);
    assert_answer(try_acquire("four:1", &slot), FLETCH_FULL);
    assert_int_equal(evicted, slots[2]);
    assert_answer(try_acquire("four:1", &slot), FLETCH_FULL);
    assert_int_equal(fletch_connection_pool_state(&pool, slots[1]), FLETCH_POOL_CONNECTING);
    fletch_connection_pool_free(&pool, evicted);
    assert_int_equal(acquire("four:1"), slots[2]);
    leave(slots[2], 30);
    leave(slots[0], 30);
    fletch_connection_pool_deinit(&pool);
}

/* Whether it was idle for longer or not. */
static void what_does_not_answer_makes_room_first(void **state)
{
    uint32_t slots[3], slot = NO_SLOT;
    (void)state;
    start(3, 1, 100);
    slots[0] = acquire("one:1");
    slots[1] = acquire("two:1");
    slots[2] = acquire("three:1");
    fletch_connection_pool_set_state(&pool, slots[0], FLETCH_POOL_READY);
    fletch_connection_pool_set_state(&pool, slots[1], FLETCH_POOL_PAUSED);
    fletch_connection_pool_set_state(&pool, slots[2], FLETCH_POOL_READY);
    for (uint32_t i = 0; i < 3; i++)
        leave(slots[i], i);
    assert_answer(try_acquire("four:1", &slot), FLETCH_FULL);
    assert_int_equal(evicted, slots[1]);
    fletch_connection_pool_free(&pool, slots[1]);
    fletch_connection_pool_deinit(&pool);
}

static void who_waits_for_what_does_not_answer_is_asked(void **state)
{
    struct fletch_pool_address patient = address_of("two:1");
    uint32_t slot = NO_SLOT;
    (void)state;
    patient.is_patient = true;
    start(1, 1, 100);
    uint32_t first = acquire("one:1");
    assert_answer(try_acquire("two:1", &slot), FLETCH_FULL);
    assert_int_equal(asked, NO_SLOT); /* it is being connected */
    fletch_connection_pool_set_state(&pool, first, FLETCH_POOL_PAUSED);
    assert_answer(fletch_connection_pool_try_acquire(&pool, &patient, &slot), FLETCH_FULL);
    assert_int_equal(asked, NO_SLOT);
    assert_answer(try_acquire("two:1", &slot), FLETCH_FULL);
    assert_int_equal(asked, first);
    asked = NO_SLOT;
    fletch_connection_pool_set_state(&pool, first, FLETCH_POOL_READY); /* told by the answer */
    assert_answer(try_acquire("two:1", &slot), FLETCH_FULL);
    assert_int_equal(asked, NO_SLOT); /* once */
    check_counts(0, 0, 0, 0);
    assert_int_equal(acquire("one:1"), first);
    leave(first, 1);
    assert_false(fletch_connection_pool_drain(&pool, first, UINT64_MAX));
    assert_false(fletch_connection_pool_give_up(&pool, first, FLETCH_POOL_PAUSED));
    assert_answer(try_acquire("two:1", &slot), FLETCH_FULL);
    assert_int_equal(asked, first);
    leave(first, 2);
    assert_true(fletch_connection_pool_give_up(&pool, first, FLETCH_POOL_PAUSED));
    fletch_connection_pool_free(&pool, first);
    assert_int_equal(acquire("two:1"), first);
    leave(first, 3);
    fletch_connection_pool_deinit(&pool);
}

/* Though the other one has fewer users, or none. */
static void of_two_connections_the_one_that_answers_is_used(void **state)
{
    const struct fletch_pool_address address = address_of("one:1");
    (void)state;
    start(2, 2, 3);
    uint32_t good = acquire("one:1"), bad = acquire("one:1");
    assert_false(fletch_connection_pool_is_ready(&pool, &address));
    fletch_connection_pool_set_state(&pool, good, FLETCH_POOL_READY);
    fletch_connection_pool_set_state(&pool, bad, FLETCH_POOL_PAUSED);
    assert_true(fletch_connection_pool_is_ready(&pool, &address));
    leave(bad, 1);
    assert_int_equal(acquire("one:1"), good);
    assert_int_equal(acquire("one:1"), good);
    assert_int_equal(acquire("one:1"), bad); /* the other one is full */
    leave(bad, 1);
    for (uint64_t i = 0; i < 3; i++)
        leave(good, i);
    fletch_connection_pool_deinit(&pool);
}

static void several_connections_are_used_alike(void **state)
{
    uint32_t slots[6];
    (void)state;
    start(4, 2, 2);
    for (int i = 0; i < 4; i++)
        slots[i] = acquire("one:1");
    assert_int_not_equal(slots[0], slots[1]);
    assert_int_equal(fletch_connection_pool_users(&pool, slots[0]), 2);
    assert_int_equal(fletch_connection_pool_users(&pool, slots[1]), 2);
    check_counts(2, 2, 0, 0);
    assert_answer(try_acquire("one:1", &slots[4]), FLETCH_FULL);
    leave(slots[1], 1);
    assert_int_equal(acquire("one:1"), slots[1]);
    /* One that is idle is used before another is made. */
    leave(slots[0], 1);
    leave(slots[0], 1);
    assert_int_equal(acquire("one:1"), slots[0]);
    leave(slots[0], 2);
    leave(slots[1], 2);
    leave(slots[1], 2);
    fletch_connection_pool_deinit(&pool);
}

static void addresses_of_one_tag_are_told_apart(void **state)
{
    char text[FLETCH_POOL_ADDRESS_BYTES];
    (void)state;
    start(4, 1, 100);
    uint32_t slot = acquire("vn"), other = acquire("y3"); /* the lower 16 bits of their hashes */
    assert_int_not_equal(slot, other);
    assert_int_equal(fletch_connection_pool_users(&pool, slot), 1);
    fletch_connection_pool_address(&pool, other, text);
    assert_string_equal(text, "y3");
    leave(slot, 1);
    leave(other, 1);
    fletch_connection_pool_deinit(&pool);
}

/* A longer address before it leaves nothing behind; one that begins alike is another. */
static void addresses_are_compared_whole(void **state)
{
    char longest[FLETCH_POOL_ADDRESS_BYTES], text[FLETCH_POOL_ADDRESS_BYTES];
    uint32_t slot;
    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    start(1, 1, 100);
    slot = acquire(longest);
    fletch_connection_pool_address(&pool, slot, text);
    assert_string_equal(text, longest);
    leave(slot, 1);
    for (size_t bytes = 1; bytes < 40; bytes++) {
        char shorter[40] = "";
        memset(shorter, 'x', bytes);
        assert_answer(try_acquire(shorter, &slot), FLETCH_FULL);
        fletch_connection_pool_free(&pool, evicted);
        slot = acquire(shorter);
        fletch_connection_pool_address(&pool, slot, text);
        assert_string_equal(text, shorter);
        leave(slot, bytes);
    }
    fletch_connection_pool_deinit(&pool);
}

static void a_full_pool_says_what_is_in_it(void **state)
{
    struct fletch_pool_address address = address_of("four:1");
    struct fletch_error error;
    uint32_t slot = NO_SLOT;
    (void)state;
    start(2, 1, 7);
    (void)acquire("one:1");
    fletch_connection_pool_set_state(&pool, acquire("two:1"), FLETCH_POOL_READY);
    (void)acquire("two:1");
    assert_int_equal(fletch_connection_pool_acquire(&pool, &address, 1000000, &slot, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_string_equal(error.message,
                        "no connection to 'four:1' within the deadline: of 2 slots 0 are free, 1 "
                        "connecting, 0 paused, 1 ready, 0 draining, with 3 calls in all; each "
                        "connection may have 7, each address 1 connections");
    address = address_of("");
    assert_int_equal(fletch_connection_pool_acquire(&pool, &address, 0, &slot, &error),
                     FLETCH_INVALID_ARGUMENT);
    address = (struct fletch_pool_address){.text = "x", .bytes = FLETCH_POOL_ADDRESS_BYTES};
    assert_int_equal(fletch_connection_pool_acquire(&pool, &address, 0, &slot, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_string_equal(error.message, "an address of 1 to 287 bytes was expected, not of 288");
    assert_int_equal(slot, NO_SLOT);
    fletch_connection_pool_deinit(&pool);
}

static enum fletch_status waited;

static void wait_for_room(void *context)
{
    const struct fletch_pool_address address = address_of("two:1");
    waited = fletch_connection_pool_acquire(&pool, &address, FLETCH_NO_TIMEOUT, context, NULL);
}

static void who_waits_is_woken_by_a_slot(void **state)
{
    uint32_t slot = NO_SLOT;
    struct team team;
    struct team_role role = {.run = wait_for_room, .context = &slot};
    (void)state;
    start(1, 1, 1);
    uint32_t first = acquire("one:1");
    team_start(&team, &role, 1);
    sleeping_await(&pool.room, 1);
    leave(first, 1);
    while (fletch_connection_pool_state(&pool, first) != FLETCH_POOL_DRAINING)
        fletch_thread_yield();
    sleeping_await(&pool.room, 1);
    fletch_connection_pool_free(&pool, first);
    team_join(&team);
    assert_ok(waited);
    assert_int_equal(slot, first);
    fletch_connection_pool_deinit(&pool);
}

static void options_are_checked(void **state)
{
    struct fletch_connection_pool_options options = {
        .slot_count = 1, .connections_per_address = 1, .users_per_connection = 1};
    struct counting_allocator counting;
    struct fletch_error error;
    (void)state;
    options.slot_count = FLETCH_POOL_SLOTS_MOST + 1;
    assert_int_equal(fletch_connection_pool_init(&pool, &options, &error), FLETCH_INVALID_ARGUMENT);
    assert_string_equal(error.message, "a pool has 1 to 4096 slots, not 4097");
    options.slot_count = 1;
    options.users_per_connection = 0;
    assert_int_equal(fletch_connection_pool_init(&pool, &options, &error), FLETCH_INVALID_ARGUMENT);
    assert_string_equal(error.message, "a connection has 1 to 32768 calls, not 0");
    options.users_per_connection = 1;
    options.connections_per_address = 0;
    assert_int_equal(fletch_connection_pool_init(&pool, &options, NULL), FLETCH_INVALID_ARGUMENT);
    options.connections_per_address = 1;
    counting_allocator_start(&counting, 1);
    options.allocator = &counting.allocator;
    assert_int_equal(fletch_connection_pool_init(&pool, &options, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "no memory for 1 slots");
    assert_int_equal(counting.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_to_an_address_share_its_connection),
        cmocka_unit_test(only_what_is_idle_long_enough_is_closed),
        cmocka_unit_test(what_is_idle_for_longest_makes_room),
        cmocka_unit_test(what_does_not_answer_makes_room_first),
        cmocka_unit_test(who_waits_for_what_does_not_answer_is_asked),
        cmocka_unit_test(of_two_connections_the_one_that_answers_is_used),
        cmocka_unit_test(several_connections_are_used_alike),
        cmocka_unit_test(addresses_of_one_tag_are_told_apart),
        cmocka_unit_test(addresses_are_compared_whole),
        cmocka_unit_test(a_full_pool_says_what_is_in_it),
        cmocka_unit_test(who_waits_is_woken_by_a_slot),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
