#include <fletching/broadcast_consumer.h>

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"

/* Joining, leaving, removing, and being behind others, one call after another on one thread. */

enum { SIZE = 24, CAPACITY = 4 };

static struct fletch_broadcast_ring *make(size_t consumers)
{
    const struct fletch_broadcast_ring_options options =
        broadcast_options(SIZE, CAPACITY, consumers);
    return broadcast_new(&options);
}

static enum fletch_answer push(struct fletch_broadcast_ring *ring, uint64_t index)
{
    char element[SIZE];
    payload_fill(element, SIZE, 1, index);
    return fletch_broadcast_ring_try_push(ring, element);
}

static void assert_pops(struct fletch_broadcast_consumer *consumer, uint64_t index)
{
    char element[SIZE];
    assert_answer(fletch_broadcast_consumer_try_pop(consumer, element), FLETCH_DONE);
    assert_true(payload_is(element, SIZE, 1, index));
}

static void assert_no_pop(struct fletch_broadcast_consumer *consumer, enum fletch_answer expected)
{
    char element[SIZE];
    assert_answer(fletch_broadcast_consumer_try_pop(consumer, element), expected);
}

static uint64_t fill(struct fletch_broadcast_ring *ring, uint64_t from)
{
    while (push(ring, from) == FLETCH_DONE)
        from++;
    return from;
}

static void who_joins_begins_at_the_present(void **state)
{
    struct fletch_broadcast_ring *ring = make(2);
    (void)state;
    for (uint64_t i = 0; i < 10; i++) /* nobody hears of these */
        assert_answer(push(ring, i), FLETCH_DONE);
    struct fletch_broadcast_consumer *first = broadcast_join(ring, false, NULL, 0);
    assert_no_pop(first, FLETCH_EMPTY);
    assert_answer(push(ring, 10), FLETCH_DONE);
    struct fletch_broadcast_consumer *second = broadcast_join(ring, false, NULL, 0);
    assert_answer(push(ring, 11), FLETCH_DONE);
    assert_pops(first, 10);
    assert_pops(first, 11);
    assert_pops(second, 11);
    assert_no_pop(second, FLETCH_EMPTY);
    fletch_broadcast_ring_destroy(ring);
}

static void seats_are_limited_and_used_again(void **state)
{
    struct fletch_broadcast_ring *ring = make(2);
    struct fletch_broadcast_consumer *first = broadcast_join(ring, false, NULL, 0);
    struct fletch_broadcast_consumer *second = broadcast_join(ring, false, NULL, 0);
    struct fletch_broadcast_consumer *third = NULL;
    struct fletch_error error;
    (void)state;
    assert_int_equal(fletch_broadcast_ring_join(ring, NULL, &third, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.message, "consumers_max 2"));
    assert_null(third);
    uint64_t last = fletch_broadcast_consumer_id(second);
    for (int i = 0; i < 20; i++) {
        fletch_broadcast_consumer_leave(first);
        first = broadcast_join(ring, false, NULL, 0);
        assert_true(fletch_broadcast_consumer_id(first) > last);
        last = fletch_broadcast_consumer_id(first);
    }
    assert_int_equal(broadcast_statistics(ring).consumers, 2);
    fletch_broadcast_ring_destroy(ring);
}

static void who_leaves_holds_nobody_up(void **state)
{
    struct fletch_broadcast_ring *ring = make(2);
    struct fletch_broadcast_consumer *fast = broadcast_join(ring, false, NULL, 0);
    struct fletch_broadcast_consumer *slow = broadcast_join(ring, false, NULL, 0);
    uint64_t count = fill(ring, 0);
    (void)state;
    for (uint64_t i = 0; i < count; i++)
        assert_pops(fast, i);
    assert_no_pop(fast, FLETCH_EMPTY);
    assert_answer(push(ring, count), FLETCH_FULL);
    fletch_broadcast_consumer_leave(slow);
    assert_answer(push(ring, count), FLETCH_DONE);
    assert_pops(fast, count);
    fletch_broadcast_consumer_leave(fast);
    for (uint64_t i = 0; i < 50; i++)
        assert_answer(push(ring, i), FLETCH_DONE);
    fletch_broadcast_ring_destroy(ring);
}

static void a_chain_passes_elements_on_one_after_the_other(void **state)
{
    struct fletch_broadcast_ring *ring = make(3);
    struct fletch_broadcast_consumer *a = broadcast_join(ring, true, NULL, 0);
    struct fletch_broadcast_consumer *b = broadcast_join(ring, true, &a, 1);
    struct fletch_broadcast_consumer *c = broadcast_join(ring, false, &b, 1);
    (void)state;
    for (uint64_t i = 0; i < 30; i++) {
        assert_answer(push(ring, i), FLETCH_DONE);
        assert_no_pop(c, FLETCH_EMPTY);
        assert_no_pop(b, FLETCH_EMPTY);
        assert_pops(a, i);
        assert_no_pop(c, FLETCH_EMPTY);
        assert_pops(b, i);
        assert_pops(c, i);
    }
    assert_answer(push(ring, 30), FLETCH_DONE);
    fletch_broadcast_ring_close(ring);
    assert_no_pop(c, FLETCH_EMPTY);
    assert_pops(a, 30);
    assert_no_pop(a, FLETCH_CLOSED);
    assert_pops(b, 30);
    assert_pops(c, 30);
    assert_no_pop(c, FLETCH_CLOSED);
    fletch_broadcast_ring_destroy(ring);
}

/* Also where producers would not be told of so few for long. */
static void what_a_leader_releases_can_be_followed_at_once(void **state)
{
    const struct fletch_broadcast_ring_options options = broadcast_options(SIZE, 1000, 2);
    struct fletch_broadcast_ring *ring = broadcast_new(&options);
    struct fletch_broadcast_consumer *leader = broadcast_join(ring, true, NULL, 0);
    struct fletch_broadcast_consumer *follower = broadcast_join(ring, false, &leader, 1);
    struct fletch_ring_spans spans;
    char elements[2 * SIZE];
    size_t popped;
    (void)state;
    for (uint64_t i = 0; i < 10; i++)
        assert_answer(push(ring, i), FLETCH_DONE);
    assert_answer(fletch_broadcast_consumer_try_peek(leader, 1, &spans), FLETCH_DONE);
    fletch_broadcast_consumer_release(leader, 1);
    assert_pops(follower, 0);
    assert_answer(fletch_broadcast_consumer_try_pop_many(leader, elements, 2, &popped),
                  FLETCH_DONE);
    assert_pops(follower, 1);
    assert_pops(follower, 2);
    assert_pops(leader, 3);
    assert_pops(follower, 3);
    assert_no_pop(follower, FLETCH_EMPTY);
    fletch_broadcast_ring_destroy(ring);
}

static void a_diamond_waits_for_both(void **state)
{
    struct fletch_broadcast_ring *ring = make(3);
    struct fletch_broadcast_consumer *sides[2] = {broadcast_join(ring, true, NULL, 0),
                                                  broadcast_join(ring, true, NULL, 0)};
    struct fletch_broadcast_consumer *last = broadcast_join(ring, false, sides, 2);
    (void)state;
    for (uint64_t i = 0; i < 30; i++) {
        assert_answer(push(ring, i), FLETCH_DONE);
        assert_pops(sides[i % 2], i);
        assert_no_pop(last, FLETCH_EMPTY);
        assert_pops(sides[1 - i % 2], i);
        assert_pops(last, i);
    }
    fletch_broadcast_ring_destroy(ring);
}

/* Of a chain, the middle leaves: the last still comes after the first. */
static void who_is_behind_one_that_leaves_waits_for_those_before_it(void **state)
{
    struct fletch_broadcast_ring *ring = make(3);
    struct fletch_broadcast_consumer *a = broadcast_join(ring, true, NULL, 0);
    struct fletch_broadcast_consumer *b = broadcast_join(ring, true, &a, 1);
    struct fletch_broadcast_consumer *c = broadcast_join(ring, false, &b, 1);
    (void)state;
    assert_answer(push(ring, 0), FLETCH_DONE);
    assert_answer(push(ring, 1), FLETCH_DONE);
    assert_pops(a, 0);
    assert_no_pop(c, FLETCH_EMPTY);
    fletch_broadcast_consumer_leave(b);
    assert_pops(c, 0);
    assert_no_pop(c, FLETCH_EMPTY);
    /* Whoever takes the seat is none that c is behind. */
    struct fletch_broadcast_consumer *other = broadcast_join(ring, false, NULL, 0);
    assert_pops(a, 1);
    assert_pops(c, 1);
    assert_answer(push(ring, 2), FLETCH_DONE);
    fletch_broadcast_consumer_leave(a);
    assert_pops(c, 2);
    assert_pops(other, 2);
    fletch_broadcast_ring_destroy(ring);
}

/* A run of which the leader has passed a part. */
static void a_leader_leaves_in_the_middle_of_a_run(void **state)
{
    char elements[CAPACITY * SIZE];
    size_t count;
    (void)state;
    for (int cursor = 0; cursor < 2; cursor++) {
        struct fletch_broadcast_ring_options options = broadcast_options(SIZE, CAPACITY, 2);
        options.form = cursor ? FLETCH_RING_CURSOR : FLETCH_RING_SLOT_SEQUENCE;
        struct fletch_broadcast_ring *ring = broadcast_new(&options);
        struct fletch_broadcast_consumer *a = broadcast_join(ring, true, NULL, 0);
        struct fletch_broadcast_consumer *b = broadcast_join(ring, false, &a, 1);
        for (uint64_t i = 0; i < CAPACITY; i++)
            payload_fill(elements + i * SIZE, SIZE, 1, i);
        assert_answer(fletch_broadcast_ring_try_push_many(ring, elements, CAPACITY, &count),
                      FLETCH_DONE);
        assert_pops(a, 0);
        assert_pops(b, 0);
        assert_no_pop(b, FLETCH_EMPTY);
        fletch_broadcast_consumer_leave(a);
        for (uint64_t i = 1; i < CAPACITY; i++)
            assert_pops(b, i);
        assert_no_pop(b, FLETCH_EMPTY);
        fletch_broadcast_ring_destroy(ring);
    }
}

static void only_those_that_lead_can_be_followed(void **state)
{
    struct fletch_broadcast_ring *ring = make(3), *another = make(1);
    struct fletch_broadcast_consumer *plain = broadcast_join(ring, false, NULL, 0);
    struct fletch_broadcast_consumer *stranger = broadcast_join(another, true, NULL, 0);
    struct fletch_broadcast_consumer *removed = broadcast_join(ring, true, NULL, 0);
    struct fletch_broadcast_consumer **wrong[] = {&plain, &stranger, &removed};
    (void)state;
    assert_answer(fletch_broadcast_ring_remove(ring, fletch_broadcast_consumer_id(removed)),
                  FLETCH_DONE);
    for (size_t i = 0; i < 3; i++) {
        const struct fletch_broadcast_join_options options = {
            .struct_size = sizeof options, .behind = wrong[i], .behind_count = 1};
        struct fletch_broadcast_consumer *consumer = NULL;
        assert_int_equal(fletch_broadcast_ring_join(ring, &options, &consumer, NULL),
                         FLETCH_FAILED_PRECONDITION);
        assert_null(consumer);
    }
    fletch_broadcast_consumer_leave(plain);
    for (uint64_t i = 0; i < 50; i++) /* no seat was left behind */
        assert_answer(push(ring, i), FLETCH_DONE);
    fletch_broadcast_ring_destroy(ring);
    fletch_broadcast_ring_destroy(another);
}

static void a_stalled_consumer_is_named_and_removed(void **state)
{
    struct fletch_broadcast_ring *ring = make(2);
    struct fletch_broadcast_consumer *alive = broadcast_join(ring, false, NULL, 0);
    struct fletch_broadcast_consumer *stalled = broadcast_join(ring, false, NULL, 0);
    uint64_t count;
    (void)state;
    assert_answer(push(ring, 0), FLETCH_DONE);
    assert_pops(stalled, 0);
    assert_pops(alive, 0);
    count = fill(ring, 1);
    for (uint64_t i = 1; i < count; i++)
        assert_pops(alive, i);
    assert_no_pop(alive, FLETCH_EMPTY);
    struct fletch_broadcast_statistics statistics = broadcast_statistics(ring);
    assert_int_equal(statistics.slowest_id, fletch_broadcast_consumer_id(stalled));
    assert_int_equal(statistics.slowest_unread, count - 1);
    assert_int_equal(statistics.slowest_popped, 1);
    assert_answer(push(ring, count), FLETCH_FULL);
    assert_answer(fletch_broadcast_ring_remove(ring, statistics.slowest_id), FLETCH_DONE);
    assert_answer(fletch_broadcast_ring_remove(ring, statistics.slowest_id), FLETCH_DONE);
    assert_answer(push(ring, count), FLETCH_DONE);
    assert_no_pop(stalled, FLETCH_CLOSED);
    assert_int_equal(broadcast_statistics(ring).consumers, 1);
    assert_int_equal(broadcast_statistics(ring).removed, 1);
    fletch_broadcast_consumer_leave(stalled);
    assert_answer(fletch_broadcast_ring_remove(ring, statistics.slowest_id), FLETCH_CLOSED);
    assert_answer(fletch_broadcast_ring_remove(ring, 99), FLETCH_CLOSED);
    assert_pops(alive, count);
    fletch_broadcast_ring_destroy(ring);
}

static void who_reads_in_place_is_not_removed_meanwhile(void **state)
{
    struct fletch_broadcast_ring *ring = make(1);
    struct fletch_broadcast_consumer *consumer = broadcast_join(ring, false, NULL, 0);
    uint64_t id = fletch_broadcast_consumer_id(consumer);
    struct fletch_ring_spans spans;
    uint64_t count = fill(ring, 0);
    (void)state;
    assert_answer(fletch_broadcast_consumer_try_peek(consumer, 1, &spans), FLETCH_DONE);
    assert_answer(fletch_broadcast_ring_remove(ring, id), FLETCH_HELD);
    assert_answer(push(ring, count), FLETCH_FULL);
    assert_true(payload_is(spans.first, SIZE, 1, 0));
    fletch_broadcast_consumer_release(consumer, 0);
    assert_answer(push(ring, count), FLETCH_FULL);
    assert_no_pop(consumer, FLETCH_CLOSED); /* it goes by itself */
    assert_answer(push(ring, count), FLETCH_DONE);
    assert_answer(fletch_broadcast_ring_remove(ring, id), FLETCH_DONE);
    assert_int_equal(broadcast_statistics(ring).removed, 1);
    fletch_broadcast_consumer_leave(consumer);

    /* At the second remove, if that comes first. */
    consumer = broadcast_join(ring, false, NULL, 0);
    id = fletch_broadcast_consumer_id(consumer);
    count = fill(ring, 0);
    assert_answer(fletch_broadcast_consumer_try_peek(consumer, 1, &spans), FLETCH_DONE);
    assert_answer(fletch_broadcast_ring_remove(ring, id), FLETCH_HELD);
    fletch_broadcast_consumer_release(consumer, 1);
    assert_answer(fletch_broadcast_ring_remove(ring, id), FLETCH_DONE);
    assert_answer(push(ring, count), FLETCH_DONE);
    fletch_broadcast_consumer_leave(consumer);
    fletch_broadcast_ring_destroy(ring);
}

/* A thread that died while it read in place: whoever takes its end over leaves for it. */
static void another_leaves_for_one_that_died_inside(void **state)
{
    struct fletch_broadcast_ring *ring = make(1);
    (void)state;
    for (int removed = 0; removed < 2; removed++) {
        struct fletch_broadcast_consumer *consumer = broadcast_join(ring, false, NULL, 0);
        struct fletch_ring_spans spans;
        uint64_t count = fill(ring, 0);
        assert_answer(fletch_broadcast_consumer_try_peek(consumer, 1, &spans), FLETCH_DONE);
        if (removed)
            assert_answer(
                fletch_broadcast_ring_remove(ring, fletch_broadcast_consumer_id(consumer)),
                FLETCH_HELD);
        fletch_broadcast_consumer_leave(consumer);
        assert_answer(push(ring, count), FLETCH_DONE);
    }
    fletch_broadcast_ring_destroy(ring);
}

static void those_behind_a_removed_consumer_go_on(void **state)
{
    struct fletch_broadcast_ring *ring = make(2);
    struct fletch_broadcast_consumer *a = broadcast_join(ring, true, NULL, 0);
    struct fletch_broadcast_consumer *b = broadcast_join(ring, false, &a, 1);
    (void)state;
    assert_answer(push(ring, 0), FLETCH_DONE);
    assert_no_pop(b, FLETCH_EMPTY);
    assert_answer(fletch_broadcast_ring_remove(ring, fletch_broadcast_consumer_id(a)), FLETCH_DONE);
    assert_pops(b, 0);
    fletch_broadcast_consumer_leave(a);
    fletch_broadcast_ring_destroy(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_joins_begins_at_the_present),
        cmocka_unit_test(seats_are_limited_and_used_again),
        cmocka_unit_test(who_leaves_holds_nobody_up),
        cmocka_unit_test(a_chain_passes_elements_on_one_after_the_other),
        cmocka_unit_test(what_a_leader_releases_can_be_followed_at_once),
        cmocka_unit_test(a_diamond_waits_for_both),
        cmocka_unit_test(who_is_behind_one_that_leaves_waits_for_those_before_it),
        cmocka_unit_test(a_leader_leaves_in_the_middle_of_a_run),
        cmocka_unit_test(only_those_that_lead_can_be_followed),
        cmocka_unit_test(a_stalled_consumer_is_named_and_removed),
        cmocka_unit_test(who_reads_in_place_is_not_removed_meanwhile),
        cmocka_unit_test(another_leaves_for_one_that_died_inside),
        cmocka_unit_test(those_behind_a_removed_consumer_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
