#include "sync/fan_in.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"

/* What the calls do, one after another on one thread. */

enum { SIZE = 24, CAPACITY = 8, LANES = 4 };

static struct fletch_fan_in *make(size_t capacity, size_t lanes)
{
    const struct fletch_fan_in_options options = fan_in_options(SIZE, capacity, lanes);
    return fan_in_new(&options);
}

static void end(struct fletch_fan_in *fan_in)
{
    fletch_fan_in_destroy(fan_in, NULL, NULL);
}

static enum fletch_answer push(struct fletch_fan_in_lane *lane, uint32_t producer, uint64_t index)
{
    char element[SIZE];
    payload_fill(element, SIZE, producer, index);
    return fletch_fan_in_lane_try_push(lane, element);
}

static void push_count(struct fletch_fan_in_lane *lane, uint32_t producer, uint64_t from,
                       uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        assert_answer(push(lane, producer, from + i), FLETCH_DONE);
}

static void assert_pops(struct fletch_fan_in *fan_in, uint32_t producer, uint64_t index)
{
    char element[SIZE];
    assert_answer(fletch_fan_in_try_pop(fan_in, element), FLETCH_DONE);
    assert_true(payload_is(element, SIZE, producer, index));
}

static void assert_no_pop(struct fletch_fan_in *fan_in, enum fletch_answer expected)
{
    char element[SIZE];
    struct fletch_ring_spans spans;
    size_t popped = 5;
    memset(element, 0x11, SIZE);
    assert_answer(fletch_fan_in_try_pop(fan_in, element), expected);
    assert_answer(fletch_fan_in_try_pop_many(fan_in, element, 1, &popped), expected);
    assert_int_equal(popped, 0);
    assert_answer(fletch_fan_in_try_peek(fan_in, 1, &spans), expected);
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(element[i], 0x11);
}

static void each_lane_is_first_in_first_out(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, LANES);
    struct fletch_fan_in_lane *lanes[3];
    struct payload_watch watch = {.element_bytes = SIZE};
    (void)state;
    for (int i = 0; i < 3; i++)
        lanes[i] = fan_in_register(fan_in);
    for (uint64_t lap = 0; lap < 100; lap++) {
        for (uint64_t k = 0; k < 15; k++)
            assert_answer(push(lanes[k % 3], (uint32_t)(k % 3), lap * 5 + k / 3), FLETCH_DONE);
        for (uint64_t k = 0; k < 15; k++) {
            char element[SIZE];
            assert_answer(fletch_fan_in_try_pop(fan_in, element), FLETCH_DONE);
            payload_watch_element(&watch, element);
        }
        assert_no_pop(fan_in, FLETCH_EMPTY);
    }
    assert_int_equal(watch.seen, 1500);
    assert_int_equal(watch.torn + watch.misplaced, 0);
    end(fan_in);
}

static void positions_may_wrap(void **state)
{
    (void)state;
    for (uint64_t before = 0; before < 6; before++) {
        struct fletch_fan_in *fan_in = make(3, 2);
        fletch_fan_in_restart_at(fan_in, UINT64_MAX - before);
        struct fletch_fan_in_lane *first = fan_in_register(fan_in);
        struct fletch_fan_in_lane *second = fan_in_register(fan_in);
        for (uint64_t i = 0; i < 10; i++) {
            assert_answer(push(first, 1, i), FLETCH_DONE);
            assert_pops(fan_in, 1, i);
            assert_answer(push(second, 2, i), FLETCH_DONE);
            assert_pops(fan_in, 2, i);
        }
        assert_int_equal(fan_in_statistics(fan_in).pushed, 20);
        end(fan_in);
    }
}

static void a_full_lane_is_no_matter_of_the_others(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, LANES);
    struct fletch_fan_in_lane *full = fan_in_register(fan_in);
    struct fletch_fan_in_lane *other = fan_in_register(fan_in);
    uint64_t unread = 0;
    (void)state;
    while (push(full, 1, unread) == FLETCH_DONE)
        unread++;
    assert_true(unread >= CAPACITY && unread <= ring_most(CAPACITY));
    assert_answer(push(other, 2, 0), FLETCH_DONE);
    assert_answer(push(full, 1, unread), FLETCH_FULL);
    assert_int_equal(fan_in_statistics(fan_in).full, 2);
    for (uint64_t i = 0; i < unread; i++)
        assert_pops(fan_in, 1, i);
    assert_pops(fan_in, 2, 0);
    assert_answer(push(full, 1, unread), FLETCH_DONE);
    end(fan_in);
}

static void no_more_producers_than_lanes(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, 3);
    struct fletch_fan_in_lane *lanes[3], *unchanged = NULL;
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        lanes[i] = fan_in_register(fan_in);
        assert_int_equal(fletch_fan_in_lane_number(lanes[i]), i);
    }
    assert_answer(fletch_fan_in_register(fan_in, &unchanged), FLETCH_FULL);
    assert_null(unchanged);
    assert_int_equal(fletch_fan_in_registered(fan_in), 3);
    end(fan_in);
}

static void a_lane_is_free_again_once_it_is_drained(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, 1);
    struct fletch_fan_in_lane *lane, *next;
    (void)state;
    for (uint64_t life = 0; life < 20; life++) {
        lane = fan_in_register(fan_in);
        push_count(lane, 1, 3 * life, 3);
        fletch_fan_in_lane_close(lane);
        assert_answer(fletch_fan_in_register(fan_in, &next), FLETCH_FULL);
        for (uint64_t i = 0; i < 3; i++)
            assert_pops(fan_in, 1, 3 * life + i);
        assert_int_equal(fletch_fan_in_registered(fan_in), 1);
        assert_no_pop(fan_in, FLETCH_EMPTY);
        assert_int_equal(fletch_fan_in_registered(fan_in), 0);
    }
    struct fletch_ring_statistics statistics = fan_in_statistics(fan_in);
    assert_int_equal(statistics.pushed, 60);
    assert_int_equal(statistics.popped, 60);
    end(fan_in);
}

/* One that never pushed anything is never looked at, but leaves all the same. */
static void a_producer_may_leave_without_having_pushed(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, 2);
    (void)state;
    for (int i = 0; i < 10; i++) {
        fletch_fan_in_lane_close(fan_in_register(fan_in));
        assert_no_pop(fan_in, FLETCH_EMPTY);
        assert_int_equal(fletch_fan_in_registered(fan_in), 0);
    }
    end(fan_in);
}

/* It has stopped in the middle of a push: nobody waits for it. Whoever takes its lane over gives up
 * what it had begun, and leaves in its place. */
static void a_dead_producer_holds_up_nobody(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, 2);
    struct fletch_fan_in_lane *dead = fan_in_register(fan_in);
    struct fletch_fan_in_lane *other = fan_in_register(fan_in);
    struct fletch_ring_spans spans;
    (void)state;
    assert_answer(push(dead, 0, 0), FLETCH_DONE);
    assert_answer(fletch_fan_in_lane_try_claim(dead, 3, &spans), FLETCH_DONE);
    fletch_fan_in_close(fan_in);
    assert_pops(fan_in, 0, 0);
    for (uint64_t i = 0; i < 100; i++) {
        assert_answer(push(other, 1, i), FLETCH_DONE);
        assert_pops(fan_in, 1, i);
    }
    fletch_fan_in_lane_close(other);
    assert_no_pop(fan_in, FLETCH_EMPTY);
    fletch_fan_in_lane_commit(dead, 0);
    fletch_fan_in_lane_close(dead);
    assert_no_pop(fan_in, FLETCH_CLOSED);
    end(fan_in);
}

static void it_ends_when_it_is_closed_and_all_have_left(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, LANES);
    struct fletch_fan_in_lane *lanes[2] = {fan_in_register(fan_in), fan_in_register(fan_in)};
    struct fletch_fan_in_lane *late = NULL;
    (void)state;
    assert_answer(push(lanes[0], 0, 0), FLETCH_DONE);
    fletch_fan_in_close(fan_in);
    fletch_fan_in_close(fan_in);
    assert_answer(fletch_fan_in_register(fan_in, &late), FLETCH_CLOSED);
    assert_null(late);
    fletch_fan_in_lane_close(lanes[0]);
    assert_answer(push(lanes[1], 1, 0), FLETCH_DONE);
    assert_pops(fan_in, 0, 0);
    assert_pops(fan_in, 1, 0);
    assert_no_pop(fan_in, FLETCH_EMPTY);
    assert_answer(push(lanes[1], 1, 1), FLETCH_DONE);
    fletch_fan_in_lane_close(lanes[1]);
    assert_pops(fan_in, 1, 1);
    assert_no_pop(fan_in, FLETCH_CLOSED);
    assert_no_pop(fan_in, FLETCH_CLOSED);
    end(fan_in);
}

static void a_fan_in_without_producers_is_empty_until_it_is_closed(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, LANES);
    (void)state;
    assert_no_pop(fan_in, FLETCH_EMPTY);
    fletch_fan_in_close(fan_in);
    assert_no_pop(fan_in, FLETCH_CLOSED);
    end(fan_in);
}

static void a_cancelled_fan_in_takes_nothing_more(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, LANES);
    struct fletch_fan_in_lane *lane = fan_in_register(fan_in), *late = NULL;
    struct fletch_ring_spans spans;
    size_t pushed = 9;
    char element[SIZE] = {0};
    (void)state;
    assert_answer(push(lane, 0, 0), FLETCH_DONE);
    fletch_fan_in_cancel(fan_in);
    assert_answer(push(lane, 0, 1), FLETCH_CLOSED);
    assert_answer(fletch_fan_in_lane_push(lane, element, FLETCH_NO_TIMEOUT), FLETCH_CLOSED);
    assert_answer(fletch_fan_in_lane_try_push_many(lane, element, 1, &pushed), FLETCH_CLOSED);
    assert_int_equal(pushed, 0);
    assert_answer(fletch_fan_in_lane_try_claim(lane, 1, &spans), FLETCH_CLOSED);
    assert_answer(fletch_fan_in_register(fan_in, &late), FLETCH_CLOSED);
    assert_pops(fan_in, 0, 0);
    assert_no_pop(fan_in, FLETCH_EMPTY);
    fletch_fan_in_lane_close(lane);
    assert_no_pop(fan_in, FLETCH_CLOSED);
    end(fan_in);
}

/* ---- batches ---- */

static void a_batch_comes_from_one_lane_after_the_other(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, LANES);
    struct fletch_fan_in_lane *lanes[2] = {fan_in_register(fan_in), fan_in_register(fan_in)};
    char elements[CAPACITY * SIZE], out[3 * CAPACITY * SIZE];
    size_t count;
    (void)state;
    for (uint32_t k = 0; k < 2; k++) {
        for (uint64_t i = 0; i < 5; i++)
            payload_fill(elements + i * SIZE, SIZE, k, i);
        assert_answer(fletch_fan_in_lane_try_push_many(lanes[k], elements, 5, &count), FLETCH_DONE);
        assert_int_equal(count, 5);
    }
    assert_answer(fletch_fan_in_try_pop_many(fan_in, out, 0, &count), FLETCH_DONE);
    assert_int_equal(count, 0);
    assert_answer(fletch_fan_in_try_pop_many(fan_in, out, 7, &count), FLETCH_DONE);
    assert_int_equal(count, 7);
    for (uint64_t i = 0; i < 7; i++)
        assert_true(payload_is(out + i * SIZE, SIZE, i < 5 ? 0 : 1, i % 5));
    assert_answer(fletch_fan_in_try_pop_many(fan_in, out, SIZE_MAX, &count), FLETCH_DONE);
    assert_int_equal(count, 3);
    assert_int_equal(fletch_fan_in_source(fan_in), 1);
    assert_no_pop(fan_in, FLETCH_EMPTY);
    end(fan_in);
}

static void elements_are_read_where_they_lie(void **state)
{
    struct fletch_fan_in_options options = fan_in_options(SIZE, CAPACITY, 2);
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        options.form = ring_forms[form];
        struct fletch_fan_in *fan_in = fan_in_new(&options);
        struct fletch_fan_in_lane *lanes[2] = {fan_in_register(fan_in), fan_in_register(fan_in)};
        struct fletch_ring_spans spans;
        assert_answer(fletch_fan_in_lane_try_claim(lanes[1], 4, &spans), FLETCH_DONE);
        assert_int_equal(spans.first_count, 4);
        for (uint64_t i = 0; i < 4; i++)
            payload_fill((char *)spans.first + i * spans.stride_bytes, SIZE, 1, i);
        assert_no_pop(fan_in, FLETCH_EMPTY);
        fletch_fan_in_lane_commit(lanes[1], 3);
        for (int look = 0; look < 2; look++) {
            assert_answer(fletch_fan_in_try_peek(fan_in, 2, &spans), FLETCH_DONE);
            assert_int_equal(spans.first_count, 2);
            assert_int_equal(fletch_fan_in_source(fan_in), 1);
            assert_true(payload_is(spans.first, SIZE, 1, 0));
            assert_answer(push(lanes[0], 0, (uint64_t)look), FLETCH_DONE);
        }
        fletch_fan_in_release(fan_in, 2);
        assert_pops(fan_in, 1, 2);
        assert_pops(fan_in, 0, 0);
        assert_pops(fan_in, 0, 1);
        end(fan_in);
    }
}

/* ---- fairness ---- */

static void a_turn_ends_after_the_run_limit(void **state)
{
    struct fletch_fan_in_options options = fan_in_options(SIZE, 64, 3);
    struct fletch_fan_in_lane *lanes[3];
    struct fletch_ring_spans spans;
    (void)state;
    options.run_limit = 5;
    struct fletch_fan_in *fan_in = fan_in_new(&options);
    for (uint32_t k = 0; k < 3; k++) {
        lanes[k] = fan_in_register(fan_in);
        push_count(lanes[k], k, 0, 20);
    }
    for (uint64_t round = 0; round < 2; round++)
        for (uint32_t k = 0; k < 3; k++)
            for (uint64_t i = 0; i < 5; i++)
                assert_pops(fan_in, k, 5 * round + i);
    for (uint32_t k = 0; k < 3; k++) {
        assert_answer(fletch_fan_in_try_peek(fan_in, 100, &spans), FLETCH_DONE);
        assert_int_equal(spans.first_count + spans.second_count, 5);
        assert_int_equal(fletch_fan_in_source(fan_in), k);
        fletch_fan_in_release(fan_in, 5);
    }
    end(fan_in);
}

enum { FAIR_LANES = 40, RUN = 3 };

/* Lanes that are never empty, but for the first one. */
struct crowd {
    struct fletch_fan_in *fan_in;
    struct fletch_fan_in_lane *lanes[FAIR_LANES];
    uint64_t next[FAIR_LANES];
};

static uint32_t pop_from(struct crowd *crowd)
{
    char element[SIZE];
    for (uint32_t k = 1; k < FAIR_LANES; k++)
        while (push(crowd->lanes[k], k, crowd->next[k]) == FLETCH_DONE)
            crowd->next[k]++;
    assert_answer(fletch_fan_in_try_pop(crowd->fan_in, element), FLETCH_DONE);
    return fletch_fan_in_source(crowd->fan_in);
}

/* Wherever the round stands, and however long the first lane has been idle, what is pushed there
 * comes within the promised number of elements. */
static void no_lane_waits_longer_than_promised(void **state)
{
    struct fletch_fan_in_options options = fan_in_options(SIZE, 2 * RUN, FAIR_LANES);
    struct crowd crowd = {.next = {0}};
    (void)state;
    options.run_limit = RUN;
    crowd.fan_in = fan_in_new(&options);
    for (uint32_t k = 0; k < FAIR_LANES; k++)
        crowd.lanes[k] = fan_in_register(crowd.fan_in);
    for (uint64_t step = 0; step < 400; step++) {
        uint64_t idle_rounds = step % 40 == 0 ? 100 : step % 5;
        for (uint64_t i = 0; i < idle_rounds * FAIR_LANES * RUN + step % 7; i++)
            assert_int_not_equal(pop_from(&crowd), 0);
        assert_answer(push(crowd.lanes[0], 0, step), FLETCH_DONE);
        size_t overtaken = 0;
        while (pop_from(&crowd) != 0)
            overtaken++;
        assert_true(overtaken <= 2 * RUN * (FAIR_LANES - 1));
    }
    end(crowd.fan_in);
}

/* ---- lanes that are asleep ---- */

static uint32_t awake(const struct fletch_fan_in *fan_in)
{
    return fan_in->set.round.awake_count;
}

static void tire(struct fletch_fan_in *fan_in)
{
    char element[SIZE];
    for (int i = 0; i < 2 * FLETCH_LANE_DOZE_AFTER; i++)
        assert_answer(fletch_fan_in_try_pop(fan_in, element), FLETCH_EMPTY);
}

static void idle_lanes_fall_asleep_and_wake_up(void **state)
{
    enum { MANY = 200 };
    struct fletch_fan_in *fan_in = make(CAPACITY, MANY);
    struct fletch_fan_in_lane *lanes[MANY];
    (void)state;
    for (uint32_t k = 0; k < MANY; k++)
        lanes[k] = fan_in_register(fan_in);
    assert_int_equal(awake(fan_in), 0);
    for (uint64_t i = 0; i < 5; i++) {
        for (uint32_t k = 0; k < MANY; k++)
            assert_answer(push(lanes[k], k, i), FLETCH_DONE);
        for (uint32_t k = 0; k < MANY; k++) {
            char element[SIZE];
            assert_answer(fletch_fan_in_try_pop(fan_in, element), FLETCH_DONE);
            assert_true(payload_is(element, SIZE, fletch_fan_in_source(fan_in), i));
        }
        assert_int_equal(awake(fan_in), MANY);
        tire(fan_in);
        assert_int_equal(awake(fan_in), 0);
        /* Of those that are asleep only the one that is used wakes up. */
        assert_answer(push(lanes[150], 7, i), FLETCH_DONE);
        assert_pops(fan_in, 7, i);
        assert_int_equal(awake(fan_in), 1);
    }
    end(fan_in);
}

static void a_few_lanes_stay_awake(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, LANES);
    struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
    (void)state;
    assert_answer(push(lane, 1, 0), FLETCH_DONE);
    assert_pops(fan_in, 1, 0);
    tire(fan_in);
    assert_int_equal(awake(fan_in), 1);
    end(fan_in);
}

/* ---- holding ---- */

static void a_held_lane_waits_until_it_is_resumed(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, LANES);
    struct fletch_fan_in_lane *lanes[2] = {fan_in_register(fan_in), fan_in_register(fan_in)};
    (void)state;
    push_count(lanes[0], 0, 0, 4);
    push_count(lanes[1], 1, 0, 2);
    assert_pops(fan_in, 0, 0);
    fletch_fan_in_hold(fan_in, 0);
    fletch_fan_in_hold(fan_in, 0);
    assert_pops(fan_in, 1, 0);
    assert_pops(fan_in, 1, 1);
    assert_no_pop(fan_in, FLETCH_EMPTY);
    assert_answer(push(lanes[0], 0, 4), FLETCH_DONE);
    assert_no_pop(fan_in, FLETCH_EMPTY);
    fletch_fan_in_resume(fan_in, 0);
    fletch_fan_in_resume(fan_in, 0);
    for (uint64_t i = 1; i < 5; i++)
        assert_pops(fan_in, 0, i);
    assert_no_pop(fan_in, FLETCH_EMPTY);
    end(fan_in);
}

static void a_lane_may_be_held_while_it_is_asleep(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, LANES);
    struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
    (void)state;
    for (int woken = 0; woken < 2; woken++) {
        fletch_fan_in_hold(fan_in, 0);
        assert_answer(push(lane, 0, (uint64_t)woken), FLETCH_DONE);
        if (woken)
            assert_no_pop(fan_in, FLETCH_EMPTY);
        fletch_fan_in_resume(fan_in, 0);
        assert_pops(fan_in, 0, (uint64_t)woken);
        assert_no_pop(fan_in, FLETCH_EMPTY);
    }
    end(fan_in);
}

static void holding_a_lane_takes_nobody_s_turn(void **state)
{
    struct fletch_fan_in_options options = fan_in_options(SIZE, CAPACITY, LANES);
    options.run_limit = 1;
    struct fletch_fan_in *fan_in = fan_in_new(&options);
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        push_count(fan_in_register(fan_in), i, 0, 3);
    assert_pops(fan_in, 0, 0);
    assert_pops(fan_in, 1, 0);
    fletch_fan_in_hold(fan_in, 0);
    assert_pops(fan_in, 2, 0);
    assert_pops(fan_in, 1, 1);
    end(fan_in);
}

static void a_closed_lane_is_kept_as_long_as_it_is_held(void **state)
{
    struct fletch_fan_in *fan_in = make(CAPACITY, 1);
    struct fletch_fan_in_lane *lane = fan_in_register(fan_in), *late;
    struct fletch_ring_spans spans;
    (void)state;
    push_count(lane, 0, 0, 3);
    assert_answer(fletch_fan_in_try_peek(fan_in, 2, &spans), FLETCH_DONE);
    fletch_fan_in_hold(fan_in, 0);
    fletch_fan_in_release(fan_in, 2);
    fletch_fan_in_lane_close(lane);
    assert_no_pop(fan_in, FLETCH_EMPTY);
    assert_answer(fletch_fan_in_register(fan_in, &late), FLETCH_FULL);
    fletch_fan_in_close(fan_in);
    assert_no_pop(fan_in, FLETCH_EMPTY);
    fletch_fan_in_resume(fan_in, 0);
    assert_pops(fan_in, 0, 2);
    assert_no_pop(fan_in, FLETCH_CLOSED);
    end(fan_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_lane_is_first_in_first_out),
        cmocka_unit_test(positions_may_wrap),
        cmocka_unit_test(a_full_lane_is_no_matter_of_the_others),
        cmocka_unit_test(no_more_producers_than_lanes),
        cmocka_unit_test(a_lane_is_free_again_once_it_is_drained),
        cmocka_unit_test(a_producer_may_leave_without_having_pushed),
        cmocka_unit_test(a_dead_producer_holds_up_nobody),
        cmocka_unit_test(it_ends_when_it_is_closed_and_all_have_left),
        cmocka_unit_test(a_fan_in_without_producers_is_empty_until_it_is_closed),
        cmocka_unit_test(a_cancelled_fan_in_takes_nothing_more),
        cmocka_unit_test(a_batch_comes_from_one_lane_after_the_other),
        cmocka_unit_test(elements_are_read_where_they_lie),
        cmocka_unit_test(a_turn_ends_after_the_run_limit),
        cmocka_unit_test(no_lane_waits_longer_than_promised),
        cmocka_unit_test(idle_lanes_fall_asleep_and_wake_up),
        cmocka_unit_test(a_few_lanes_stay_awake),
        cmocka_unit_test(a_held_lane_waits_until_it_is_resumed),
        cmocka_unit_test(a_lane_may_be_held_while_it_is_asleep),
        cmocka_unit_test(holding_a_lane_takes_nobody_s_turn),
        cmocka_unit_test(a_closed_lane_is_kept_as_long_as_it_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
