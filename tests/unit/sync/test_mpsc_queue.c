#include "sync/mpsc_queue.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"

/* What the calls do, one after another on one thread. */

enum { SIZE = 24, CAPACITY = 8 };

static struct fletch_mpsc_queue *make(size_t capacity)
{
    const struct fletch_mpsc_queue_options options = mpsc_options(SIZE, capacity);
    return mpsc_new(&options);
}

static enum fletch_answer push(struct fletch_mpsc_queue *queue, uint64_t index)
{
    char element[SIZE];
    payload_fill(element, SIZE, 1, index);
    return fletch_mpsc_queue_try_push(queue, element);
}

static void assert_pops(struct fletch_mpsc_queue *queue, uint64_t index)
{
    char element[SIZE];
    assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_DONE);
    assert_true(payload_is(element, SIZE, 1, index));
}

static void assert_no_pop(struct fletch_mpsc_queue *queue, enum fletch_answer expected)
{
    char element[SIZE];
    size_t popped = 5;
    memset(element, 0x11, SIZE);
    assert_answer(fletch_mpsc_queue_try_pop(queue, element), expected);
    assert_answer(fletch_mpsc_queue_try_pop_many(queue, element, 1, &popped), expected);
    assert_int_equal(popped, 0);
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(element[i], 0x11);
}

static uint64_t claim(struct fletch_mpsc_queue *queue, size_t count)
{
    uint64_t position = 0;
    assert_answer(fletch_mpsc_queue_claim(queue, count, &position), FLETCH_DONE);
    return position;
}

static void publish(struct fletch_mpsc_queue *queue, uint64_t position, uint64_t index)
{
    char element[SIZE];
    payload_fill(element, SIZE, 1, index);
    fletch_mpsc_queue_publish(queue, position, element, 1);
}

static void it_is_first_in_first_out(void **state)
{
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    (void)state;
    assert_no_pop(queue, FLETCH_EMPTY);
    for (uint64_t lap = 0; lap < 100; lap++) {
        for (uint64_t i = 0; i < 5; i++)
            assert_answer(push(queue, lap * 5 + i), FLETCH_DONE);
        for (uint64_t i = 0; i < 5; i++)
            assert_pops(queue, lap * 5 + i);
        assert_no_pop(queue, FLETCH_EMPTY);
    }
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

static void it_answers_full_no_earlier_than_promised(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity < 70; capacity++) {
        struct fletch_mpsc_queue *queue = make(capacity);
        uint64_t unread = 0;
        while (push(queue, unread) == FLETCH_DONE)
            unread++;
        assert_answer(push(queue, unread), FLETCH_FULL);
        assert_true(unread >= capacity);
        assert_true(unread <= ring_most(capacity));
        for (uint64_t i = 0; i < unread; i++)
            assert_pops(queue, i);
        assert_no_pop(queue, FLETCH_EMPTY);
        fletch_mpsc_queue_destroy(queue, NULL, NULL);
    }
}

static void a_batch_goes_in_whole_or_not_at_all(void **state)
{
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    char elements[CAPACITY * SIZE];
    char out[CAPACITY * SIZE];
    size_t popped;
    (void)state;
    for (uint64_t i = 0; i < CAPACITY; i++)
        payload_fill(elements + i * SIZE, SIZE, 1, i);
    assert_answer(fletch_mpsc_queue_try_push_many(queue, elements, 0), FLETCH_DONE);
    assert_answer(fletch_mpsc_queue_try_push_many(queue, elements, 6), FLETCH_DONE);
    assert_answer(fletch_mpsc_queue_try_push_many(queue, elements, 4), FLETCH_FULL);
    assert_int_equal(mpsc_statistics(queue).pushed, 6);
    assert_answer(fletch_mpsc_queue_try_push_many(queue, elements + 6 * SIZE, 2), FLETCH_DONE);
    assert_answer(fletch_mpsc_queue_try_pop_many(queue, out, 0, &popped), FLETCH_DONE);
    assert_int_equal(popped, 0);
    assert_answer(fletch_mpsc_queue_try_pop_many(queue, out, 3, &popped), FLETCH_DONE);
    assert_int_equal(popped, 3);
    assert_memory_equal(out, elements, 3 * SIZE);
    assert_answer(fletch_mpsc_queue_try_pop_many(queue, out, CAPACITY, &popped), FLETCH_DONE);
    assert_int_equal(popped, 5);
    assert_memory_equal(out, elements + 3 * SIZE, 5 * SIZE);
    assert_no_pop(queue, FLETCH_EMPTY);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

/* "All there is", however a caller puts that. */
static void any_number_may_be_asked_for(void **state)
{
    static const size_t numbers[] = {3, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 2, SIZE_MAX};
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    char out[CAPACITY * SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        size_t popped;
        for (uint64_t k = 0; k < 3; k++)
            assert_answer(push(queue, k), FLETCH_DONE);
        assert_answer(fletch_mpsc_queue_try_pop_many(queue, out, numbers[i], &popped), FLETCH_DONE);
        assert_int_equal(popped, 3);
        for (uint64_t k = 0; k < 3; k++)
            assert_true(payload_is(out + k * SIZE, SIZE, 1, k));
    }
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

static void push_the_rest(size_t capacity, size_t unread, size_t moved)
{
    char elements[40 * SIZE] = {0};
    char element[SIZE];
    struct fletch_mpsc_queue *queue = make(capacity);
    /* Popped elements whose room was perhaps not given back. */
    for (size_t i = 0; i < unread; i++)
        assert_answer(push(queue, i), FLETCH_DONE);
    for (size_t i = 0; i < moved && unread > 0; i++) {
        assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_DONE);
        assert_answer(push(queue, i), FLETCH_DONE);
    }
    assert_answer(fletch_mpsc_queue_try_push_many(queue, elements, capacity - unread), FLETCH_DONE);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

/* However full the queue: a batch that fits into what the capacity promises goes in. */
static void a_batch_goes_in_where_the_capacity_promises_room(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity <= 40; capacity += 3)
        for (size_t unread = 0; unread <= capacity; unread++)
            for (size_t moved = 0; moved < 6; moved++)
                push_the_rest(capacity, unread, moved);
}

static void a_batch_above_the_capacity_is_refused_at_once(void **state)
{
    static char elements[300 * SIZE];
    (void)state;
    for (size_t capacity = 1; capacity <= 128; capacity++) {
        struct fletch_mpsc_queue *queue = make(capacity);
        assert_answer(fletch_mpsc_queue_try_push_many(queue, elements, capacity + 1), FLETCH_FULL);
        assert_answer(fletch_mpsc_queue_push_many(queue, elements, capacity + 1, FLETCH_NO_TIMEOUT),
                      FLETCH_FULL);
        assert_answer(fletch_mpsc_queue_try_push_many(queue, elements, SIZE_MAX), FLETCH_FULL);
        assert_int_equal(mpsc_statistics(queue).pushed, 0);
        assert_answer(fletch_mpsc_queue_try_push_many(queue, elements, capacity), FLETCH_DONE);
        fletch_mpsc_queue_destroy(queue, NULL, NULL);
    }
}

static void an_unpublished_claim_holds_the_consumer(void **state)
{
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    (void)state;
    assert_answer(push(queue, 0), FLETCH_DONE);
    uint64_t position = claim(queue, 1);
    assert_answer(push(queue, 2), FLETCH_DONE);
    assert_pops(queue, 0);
    for (int i = 0; i < 3; i++) {
        assert_no_pop(queue, FLETCH_HELD);
        assert_int_equal(fletch_mpsc_queue_held_position(queue), 1);
    }
    publish(queue, position, 1);
    assert_pops(queue, 1);
    assert_pops(queue, 2);
    assert_no_pop(queue, FLETCH_EMPTY);
    /* Another hold stands at another position. */
    position = claim(queue, 1);
    assert_no_pop(queue, FLETCH_HELD);
    assert_int_equal(fletch_mpsc_queue_held_position(queue), 3);
    publish(queue, position, 3);
    assert_pops(queue, 3);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

static void claims_may_be_published_in_any_order(void **state)
{
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    uint64_t positions[CAPACITY];
    (void)state;
    for (uint64_t lap = 0; lap < 10; lap++) {
        for (size_t i = 0; i < CAPACITY; i++)
            positions[i] = claim(queue, 1);
        for (size_t i = CAPACITY; i-- > 1;) {
            publish(queue, positions[i], lap * CAPACITY + i);
            assert_no_pop(queue, FLETCH_HELD);
        }
        publish(queue, positions[0], lap * CAPACITY);
        for (size_t i = 0; i < CAPACITY; i++)
            assert_pops(queue, lap * CAPACITY + i);
        assert_no_pop(queue, FLETCH_EMPTY);
    }
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

static void a_stalled_claim_lets_others_push_until_full(void **state)
{
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    (void)state;
    uint64_t position = claim(queue, 1);
    uint64_t index = 1;
    while (push(queue, index) == FLETCH_DONE)
        index++;
    assert_true(index >= CAPACITY && index <= ring_most(CAPACITY));
    assert_answer(push(queue, index), FLETCH_FULL);
    assert_no_pop(queue, FLETCH_HELD);
    assert_answer(push(queue, index), FLETCH_FULL);
    publish(queue, position, 0);
    for (uint64_t i = 0; i < index; i++)
        assert_pops(queue, i);
    assert_answer(push(queue, index), FLETCH_DONE);
    assert_pops(queue, index);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

static void half_of_a_batch_can_be_popped(void **state)
{
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    char out[CAPACITY * SIZE];
    size_t popped;
    (void)state;
    uint64_t position = claim(queue, 4);
    publish(queue, position, 0);
    publish(queue, position + FLETCH_MPSC_STEP, 1);
    assert_answer(fletch_mpsc_queue_try_pop_many(queue, out, CAPACITY, &popped), FLETCH_DONE);
    assert_int_equal(popped, 2);
    assert_no_pop(queue, FLETCH_HELD);
    assert_int_equal(fletch_mpsc_queue_held_position(queue), 2);
    publish(queue, position + 2 * FLETCH_MPSC_STEP, 2);
    publish(queue, position + 3 * FLETCH_MPSC_STEP, 3);
    assert_pops(queue, 2);
    assert_pops(queue, 3);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

struct dropped {
    uint64_t next;
    uint64_t wrong;
};

static void drop(void *context, void *element)
{
    struct dropped *dropped = context;
    if (!payload_is(element, SIZE, 1, dropped->next))
        dropped->wrong++;
    dropped->next++;
}

/* A batch is one run, and the consumer's place in it lies in the queue: it can be left in the
 * middle, popped one by one, found by drop, and begin at every slot. */
static void a_batch_is_taken_in_parts(size_t before, size_t taken, size_t more)
{
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    struct dropped dropped = {.next = before + taken + more};
    char elements[CAPACITY * SIZE];
    size_t popped;
    for (uint64_t i = 0; i < before; i++) {
        assert_answer(push(queue, i), FLETCH_DONE);
        assert_pops(queue, i);
    }
    for (uint64_t i = 0; i < CAPACITY - 2; i++)
        payload_fill(elements + i * SIZE, SIZE, 1, before + i);
    assert_answer(fletch_mpsc_queue_try_push_many(queue, elements, CAPACITY - 2), FLETCH_DONE);
    assert_answer(push(queue, before + CAPACITY - 2), FLETCH_DONE);
    for (uint64_t i = 0; i < taken; i++)
        assert_pops(queue, before + i);
    (void)claim(queue, 1);
    assert_answer(fletch_mpsc_queue_try_pop_many(queue, elements, more, &popped), FLETCH_DONE);
    assert_int_equal(popped, more);
    for (uint64_t i = 0; i < more; i++)
        assert_true(payload_is(elements + i * SIZE, SIZE, 1, before + taken + i));
    fletch_mpsc_queue_destroy(queue, drop, &dropped);
    assert_int_equal(dropped.next, before + CAPACITY - 1);
    assert_int_equal(dropped.wrong, 0);
}

static void a_batch_can_be_left_in_the_middle(void **state)
{
    (void)state;
    for (size_t before = 0; before < 2 * CAPACITY; before++)
        for (size_t taken = 0; taken < CAPACITY - 1; taken++)
            for (size_t more = 0; taken + more < CAPACITY; more++)
                a_batch_is_taken_in_parts(before, taken, more);
}

static void closing_lets_what_is_there_be_drained(void **state)
{
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    char element[SIZE] = {0};
    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        assert_answer(push(queue, i), FLETCH_DONE);
    fletch_mpsc_queue_close(queue);
    fletch_mpsc_queue_close(queue);
    assert_answer(push(queue, 3), FLETCH_CLOSED);
    assert_answer(fletch_mpsc_queue_try_push_many(queue, element, 1), FLETCH_CLOSED);
    assert_answer(fletch_mpsc_queue_push(queue, element, FLETCH_NO_TIMEOUT), FLETCH_CLOSED);
    for (uint64_t i = 0; i < 3; i++)
        assert_pops(queue, i);
    for (int i = 0; i < 3; i++) {
        assert_no_pop(queue, FLETCH_CLOSED);
        assert_answer(fletch_mpsc_queue_pop(queue, element, FLETCH_NO_TIMEOUT), FLETCH_CLOSED);
    }
    assert_int_equal(mpsc_statistics(queue).pushed, 3);
    assert_int_equal(mpsc_statistics(queue).popped, 3);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

static void a_claim_outlives_the_closing(void **state)
{
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    (void)state;
    uint64_t position = claim(queue, 1);
    fletch_mpsc_queue_close(queue);
    assert_no_pop(queue, FLETCH_HELD);
    publish(queue, position, 7);
    assert_pops(queue, 7);
    assert_no_pop(queue, FLETCH_CLOSED);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

static void a_full_queue_that_is_closed_answers_closed(void **state)
{
    struct fletch_mpsc_queue *queue = make(1);
    (void)state;
    assert_answer(push(queue, 0), FLETCH_DONE);
    assert_answer(push(queue, 1), FLETCH_FULL);
    fletch_mpsc_queue_close(queue);
    assert_answer(push(queue, 1), FLETCH_CLOSED);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

static void what_is_left_is_dropped_oldest_first(void **state)
{
    (void)state;
    for (uint64_t popped = 0; popped < 12; popped++)
        for (uint64_t left = 0; left <= CAPACITY; left++) {
            struct fletch_mpsc_queue *queue = make(CAPACITY);
            struct dropped dropped = {.next = popped};
            for (uint64_t i = 0; i < popped; i++) {
                assert_answer(push(queue, i), FLETCH_DONE);
                assert_pops(queue, i);
            }
            for (uint64_t i = 0; i < left; i++)
                assert_answer(push(queue, popped + i), FLETCH_DONE);
            if (left % 2 == 0)
                fletch_mpsc_queue_close(queue);
            fletch_mpsc_queue_destroy(queue, drop, &dropped);
            assert_int_equal(dropped.next, popped + left);
            assert_int_equal(dropped.wrong, 0);
        }
}

static void what_was_claimed_and_not_published_is_not_dropped(void **state)
{
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    struct dropped dropped = {.next = 0};
    (void)state;
    (void)claim(queue, 1);
    assert_answer(push(queue, 0), FLETCH_DONE);
    (void)claim(queue, 2);
    assert_answer(push(queue, 1), FLETCH_DONE);
    fletch_mpsc_queue_destroy(queue, drop, &dropped);
    assert_int_equal(dropped.next, 2);
    assert_int_equal(dropped.wrong, 0);
}

static void ending_no_queue_is_allowed(void **state)
{
    (void)state;
    fletch_mpsc_queue_destroy(NULL, drop, NULL);
    fletch_mpsc_queue_deinit(NULL, drop, NULL);
}

static void statistics_count_elements_and_refusals(void **state)
{
    struct fletch_mpsc_queue *queue = make(2);
    char element[SIZE];
    (void)state;
    assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_EMPTY);
    uint64_t position = claim(queue, 1);
    assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_HELD);
    publish(queue, position, 0);
    assert_answer(push(queue, 1), FLETCH_DONE);
    for (int i = 0; i < 3; i++)
        assert_answer(push(queue, 2), FLETCH_FULL);
    assert_pops(queue, 0);
    struct fletch_ring_statistics statistics = mpsc_statistics(queue);
    assert_int_equal(statistics.struct_size, sizeof statistics);
    assert_int_equal(statistics.pushed, 2);
    assert_int_equal(statistics.popped, 1);
    assert_int_equal(statistics.full, 3);
    assert_int_equal(statistics.empty, 2);
    assert_int_equal(statistics.producer_parks, 0);
    assert_int_equal(statistics.consumer_parks, 0);
    /* A caller that knows less of the structure. */
    memset(&statistics, 0xff, sizeof statistics);
    statistics.struct_size = 2 * sizeof(uint64_t);
    fletch_mpsc_queue_statistics(queue, &statistics);
    assert_int_equal(statistics.pushed, 2);
    assert_true(statistics.popped == UINT64_MAX);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

/* `pushed` counts from the claim on: a stalled producer's element is among them. */
static void statistics_count_claims(void **state)
{
    struct fletch_mpsc_queue *queue = make(CAPACITY);
    (void)state;
    uint64_t position = claim(queue, 3);
    assert_int_equal(mpsc_statistics(queue).pushed, 3);
    publish(queue, position, 0);
    assert_int_equal(mpsc_statistics(queue).pushed, 3);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_first_in_first_out),
        cmocka_unit_test(it_answers_full_no_earlier_than_promised),
        cmocka_unit_test(a_batch_goes_in_whole_or_not_at_all),
        cmocka_unit_test(any_number_may_be_asked_for),
        cmocka_unit_test(a_batch_goes_in_where_the_capacity_promises_room),
        cmocka_unit_test(a_batch_above_the_capacity_is_refused_at_once),
        cmocka_unit_test(an_unpublished_claim_holds_the_consumer),
        cmocka_unit_test(claims_may_be_published_in_any_order),
        cmocka_unit_test(a_stalled_claim_lets_others_push_until_full),
        cmocka_unit_test(half_of_a_batch_can_be_popped),
        cmocka_unit_test(a_batch_can_be_left_in_the_middle),
        cmocka_unit_test(closing_lets_what_is_there_be_drained),
        cmocka_unit_test(a_claim_outlives_the_closing),
        cmocka_unit_test(a_full_queue_that_is_closed_answers_closed),
        cmocka_unit_test(what_is_left_is_dropped_oldest_first),
        cmocka_unit_test(what_was_claimed_and_not_published_is_not_dropped),
        cmocka_unit_test(ending_no_queue_is_allowed),
        cmocka_unit_test(statistics_count_elements_and_refusals),
        cmocka_unit_test(statistics_count_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
