#include "sync/broadcast_ring.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"

/* What the ring does, one call after another on one thread: options, elements, closing. Joining,
 * leaving and removing have a file of their own. */

enum { SIZE = 24, CAPACITY = 8, MOST = 80 };

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
    struct fletch_ring_spans spans;
    size_t popped = 5;
    memset(element, 0x11, SIZE);
    assert_answer(fletch_broadcast_consumer_try_pop(consumer, element), expected);
    assert_answer(fletch_broadcast_consumer_try_pop_many(consumer, element, 1, &popped), expected);
    assert_int_equal(popped, 0);
    assert_answer(fletch_broadcast_consumer_try_peek(consumer, 1, &spans), expected);
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(element[i], 0x11);
}

/* Kinds of rings that must do the same: producers, form. */
enum { KINDS = 3 };
static struct fletch_broadcast_ring_options kind(size_t which, size_t capacity, size_t consumers)
{
    struct fletch_broadcast_ring_options options = broadcast_options(SIZE, capacity, consumers);
    if (which == 1)
        options.form = FLETCH_RING_CURSOR;
    if (which == 2)
        options.producers = FLETCH_PRODUCERS_MANY;
    return options;
}

static struct fletch_broadcast_ring *make(size_t which, size_t capacity, size_t consumers)
{
    const struct fletch_broadcast_ring_options options = kind(which, capacity, consumers);
    return broadcast_new(&options);
}

static void assert_refused(struct fletch_broadcast_ring_options options, const char *text)
{
    size_t bytes;
    struct fletch_broadcast_ring *ring = NULL;
    struct fletch_error error;
    assert_int_equal(fletch_broadcast_ring_bytes(&options, &bytes, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, text));
    assert_int_equal(fletch_broadcast_ring_create(&options, NULL, &ring, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_null(ring);
}

static void bad_options_are_refused_by_name(void **state)
{
    struct fletch_broadcast_ring_options options = broadcast_options(SIZE, CAPACITY, 0);
    (void)state;
    assert_refused(options, "consumers_max 0 is not between 1 and 64");
    options.consumers_max = 65;
    assert_refused(options, "consumers_max 65 is not between 1 and 64");
    options.consumers_max = 2;
    options.form = (enum fletch_ring_form)3;
    assert_refused(options, "ring form 3");
    options.form = FLETCH_RING_CURSOR;
    options.producers = FLETCH_PRODUCERS_MANY;
    assert_refused(options, "the cursor form is for one producer");
    options.producers = (enum fletch_broadcast_producers)7;
    assert_refused(options, "producers 7");
    assert_refused(broadcast_options(7, CAPACITY, 1), "element_bytes 7");
    assert_refused(broadcast_options(SIZE, 0, 1), "capacity 0");
}

static void memory_is_checked(void **state)
{
    _Alignas(FLETCH_INTERFERENCE_BYTES) static char memory[16384];
    const struct fletch_broadcast_ring_options options = broadcast_options(SIZE, CAPACITY, 2);
    struct fletch_broadcast_ring *ring = NULL;
    size_t bytes;
    (void)state;
    assert_int_equal(fletch_broadcast_ring_bytes(&options, &bytes, NULL), FLETCH_OK);
    assert_true(bytes <= sizeof memory && bytes % fletch_broadcast_ring_alignment() == 0);
    assert_int_equal(fletch_broadcast_ring_init(memory, bytes - 1, &options, &ring, NULL),
                     FLETCH_INVALID_ARGUMENT);
    assert_int_equal(fletch_broadcast_ring_init(memory + 64, bytes, &options, &ring, NULL),
                     FLETCH_INVALID_ARGUMENT);
    assert_int_equal(fletch_broadcast_ring_init(memory, bytes, &options, &ring, NULL), FLETCH_OK);
    fletch_broadcast_ring_deinit(ring);
    fletch_broadcast_ring_deinit(NULL);
    fletch_broadcast_ring_destroy(NULL);
}

static void each_consumer_sees_each_element_in_order(void **state)
{
    (void)state;
    for (size_t which = 0; which < KINDS; which++) {
        struct fletch_broadcast_ring *ring = make(which, CAPACITY, 2);
        fletch_broadcast_ring_restart_at(ring, UINT64_MAX - 41);
        struct fletch_broadcast_consumer *first = broadcast_join(ring, false, NULL, 0);
        struct fletch_broadcast_consumer *second = broadcast_join(ring, false, NULL, 0);
        assert_no_pop(first, FLETCH_EMPTY);
        for (uint64_t lap = 0; lap < 100; lap++) {
            for (uint64_t i = 0; i < 5; i++)
                assert_answer(push(ring, lap * 5 + i), FLETCH_DONE);
            for (uint64_t i = 0; i < 5; i++)
                assert_pops(first, lap * 5 + i);
            assert_no_pop(first, FLETCH_EMPTY);
            for (uint64_t i = 0; i < 5; i++)
                assert_pops(second, lap * 5 + i);
        }
        assert_int_equal(broadcast_statistics(ring).pushed, 500);
        fletch_broadcast_ring_destroy(ring);
    }
}

static void it_answers_full_no_earlier_than_promised(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity < 70; capacity++)
        for (size_t which = 0; which < KINDS; which++) {
            struct fletch_broadcast_ring *ring = make(which, capacity, 2);
            struct fletch_broadcast_consumer *fast = broadcast_join(ring, false, NULL, 0);
            struct fletch_broadcast_consumer *slow = broadcast_join(ring, false, NULL, 0);
            uint64_t unread = 0;
            for (; push(ring, unread) == FLETCH_DONE; unread++)
                assert_pops(fast, unread);
            assert_true(unread >= capacity && unread <= ring_most(capacity));
            assert_answer(push(ring, unread), FLETCH_FULL);
            assert_no_pop(fast, FLETCH_EMPTY);
            assert_answer(push(ring, unread), FLETCH_FULL);
            for (uint64_t i = 0; i < unread; i++)
                assert_pops(slow, i);
            assert_no_pop(slow, FLETCH_EMPTY);
            assert_answer(push(ring, unread), FLETCH_DONE);
            assert_true(broadcast_statistics(ring).full >= 2);
            fletch_broadcast_ring_destroy(ring);
        }
}

static void batches_go_in_as_far_as_there_is_room(void **state)
{
    char elements[MOST * SIZE], out[MOST * SIZE];
    (void)state;
    for (uint64_t i = 0; i < MOST; i++)
        payload_fill(elements + i * SIZE, SIZE, 1, i);
    for (size_t which = 0; which < KINDS; which++) {
        struct fletch_broadcast_ring *ring = make(which, CAPACITY, 2);
        struct fletch_broadcast_consumer *consumer = broadcast_join(ring, false, NULL, 0);
        size_t pushed, popped, sent = 0;
        assert_answer(fletch_broadcast_ring_try_push_many(ring, elements, 0, &pushed), FLETCH_DONE);
        for (size_t got = 0; got < MOST; got += popped) {
            enum fletch_answer answer = fletch_broadcast_ring_try_push_many(
                ring, elements + sent * SIZE, MOST - sent, &pushed);
            assert_true((answer == FLETCH_DONE) == (pushed > 0 || sent == MOST));
            sent += pushed;
            assert_answer(
                fletch_broadcast_consumer_try_pop_many(consumer, out + got * SIZE, 3, &popped),
                FLETCH_DONE);
        }
        assert_memory_equal(out, elements, sizeof out);
        assert_answer(fletch_broadcast_consumer_try_pop_many(consumer, out, 0, &popped),
                      FLETCH_DONE);
        fletch_broadcast_ring_destroy(ring);
    }
}

/* "All there is", however a caller puts that. */
static void any_number_may_be_asked_for(void **state)
{
    static const size_t numbers[] = {3, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX};
    char out[CAPACITY * SIZE];
    (void)state;
    for (size_t which = 0; which < KINDS; which++) {
        struct fletch_broadcast_ring *ring = make(which, CAPACITY, 1);
        struct fletch_broadcast_consumer *consumer = broadcast_join(ring, false, NULL, 0);
        struct fletch_broadcast_claim claim;
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            size_t popped;
            for (uint64_t k = 0; k < 3; k++)
                assert_answer(push(ring, k), FLETCH_DONE);
            assert_answer(
                fletch_broadcast_consumer_try_pop_many(consumer, out, numbers[i], &popped),
                FLETCH_DONE);
            assert_int_equal(popped, 3);
        }
        assert_no_pop(consumer, FLETCH_EMPTY);
        assert_answer(fletch_broadcast_ring_try_claim(ring, SIZE_MAX, &claim), FLETCH_DONE);
        assert_true(claim.spans.first_count + claim.spans.second_count >= CAPACITY);
        fletch_broadcast_ring_commit(ring, &claim,
                                     claim.spans.first_count + claim.spans.second_count);
        fletch_broadcast_ring_destroy(ring);
    }
}

static void a_claim_can_be_given_up_in_part(void **state)
{
    struct fletch_broadcast_claim claim;
    (void)state;
    for (size_t which = 0; which < 2; which++) {
        struct fletch_broadcast_ring *ring = make(which, CAPACITY, 1);
        struct fletch_broadcast_consumer *consumer = broadcast_join(ring, false, NULL, 0);
        assert_answer(fletch_broadcast_ring_try_claim(ring, 4, &claim), FLETCH_DONE);
        assert_int_equal(claim.spans.first_count + claim.spans.second_count, 4);
        payload_fill(claim.spans.first, SIZE, 1, 0);
        assert_no_pop(consumer, FLETCH_EMPTY);
        fletch_broadcast_ring_commit(ring, &claim, 1);
        assert_pops(consumer, 0);
        assert_answer(fletch_broadcast_ring_try_claim(ring, 4, &claim), FLETCH_DONE);
        fletch_broadcast_ring_commit(ring, &claim, 0);
        assert_no_pop(consumer, FLETCH_EMPTY);
        fletch_broadcast_ring_destroy(ring);
    }
}

static void a_claim_of_one_of_several_holds_consumers_up(void **state)
{
    struct fletch_broadcast_ring *ring = make(2, CAPACITY, 1);
    struct fletch_broadcast_consumer *consumer = broadcast_join(ring, false, NULL, 0);
    struct fletch_broadcast_claim claim;
    (void)state;
    assert_answer(fletch_broadcast_ring_try_claim(ring, 1, &claim), FLETCH_DONE);
    assert_answer(push(ring, 1), FLETCH_DONE);
    assert_no_pop(consumer, FLETCH_HELD);
    fletch_broadcast_ring_close(ring);
    assert_no_pop(consumer, FLETCH_HELD);
    payload_fill(claim.spans.first, SIZE, 1, 0);
    fletch_broadcast_ring_commit(ring, &claim, 1);
    assert_pops(consumer, 0);
    assert_pops(consumer, 1);
    assert_no_pop(consumer, FLETCH_CLOSED);
    fletch_broadcast_ring_destroy(ring);
}

/* Nobody reads, but another producer has claimed a slot and not filled it yet. */
static void a_claimed_slot_is_not_overtaken(void **state)
{
    struct fletch_broadcast_ring *ring = make(2, 2, 1);
    struct fletch_broadcast_claim claim;
    (void)state;
    assert_answer(fletch_broadcast_ring_try_claim(ring, 1, &claim), FLETCH_DONE);
    assert_answer(push(ring, 1), FLETCH_DONE);
    assert_answer(push(ring, 2), FLETCH_FULL);
    fletch_broadcast_ring_commit(ring, &claim, 1);
    for (uint64_t i = 0; i < 10; i++)
        assert_answer(push(ring, i), FLETCH_DONE);
    fletch_broadcast_ring_destroy(ring);
}

static void reading_in_place_shows_both_runs(void **state)
{
    (void)state;
    for (size_t which = 0; which < KINDS; which++) {
        struct fletch_broadcast_ring *ring = make(which, CAPACITY, 2);
        struct fletch_broadcast_consumer *consumer = broadcast_join(ring, false, NULL, 0);
        struct fletch_ring_spans spans;
        for (uint64_t i = 0; i < 6; i++) {
            assert_answer(push(ring, i), FLETCH_DONE);
            assert_pops(consumer, i);
        }
        for (uint64_t i = 0; i < 5; i++)
            assert_answer(push(ring, i), FLETCH_DONE);
        assert_answer(fletch_broadcast_consumer_try_peek(consumer, 2, &spans), FLETCH_DONE);
        assert_int_equal(spans.first_count + spans.second_count, 2);
        assert_answer(fletch_broadcast_consumer_try_peek(consumer, CAPACITY, &spans), FLETCH_DONE);
        assert_int_equal(spans.first_count + spans.second_count, 5);
        uint64_t index = 0;
        for (size_t i = 0; i < spans.first_count; i++)
            assert_true(payload_is((char *)spans.first + i * spans.stride_bytes, SIZE, 1, index++));
        for (size_t i = 0; i < spans.second_count; i++)
            assert_true(
                payload_is((char *)spans.second + i * spans.stride_bytes, SIZE, 1, index++));
        fletch_broadcast_consumer_release(consumer, 3);
        assert_pops(consumer, 3);
        assert_pops(consumer, 4);
        assert_no_pop(consumer, FLETCH_EMPTY);
        fletch_broadcast_ring_destroy(ring);
    }
}

static void each_consumer_hears_of_the_end_after_the_last_element(void **state)
{
    char element[SIZE] = {0};
    size_t pushed;
    (void)state;
    for (size_t which = 0; which < KINDS; which++) {
        struct fletch_broadcast_ring *ring = make(which, CAPACITY, 3);
        struct fletch_broadcast_consumer *first = broadcast_join(ring, false, NULL, 0);
        struct fletch_broadcast_consumer *second = broadcast_join(ring, false, NULL, 0);
        assert_answer(push(ring, 0), FLETCH_DONE);
        fletch_broadcast_ring_close(ring);
        fletch_broadcast_ring_close(ring);
        assert_answer(push(ring, 1), FLETCH_CLOSED);
        assert_answer(fletch_broadcast_ring_push(ring, element, FLETCH_NO_TIMEOUT), FLETCH_CLOSED);
        assert_answer(fletch_broadcast_ring_push_many(ring, element, 1, FLETCH_NO_TIMEOUT, &pushed),
                      FLETCH_CLOSED);
        assert_int_equal(pushed, 0);
        assert_pops(first, 0);
        assert_no_pop(first, FLETCH_CLOSED);
        assert_pops(second, 0);
        assert_no_pop(second, FLETCH_CLOSED);
        struct fletch_broadcast_consumer *late = broadcast_join(ring, false, NULL, 0);
        assert_no_pop(late, FLETCH_CLOSED);
        fletch_broadcast_ring_destroy(ring);
    }
}

/* Elements of other sizes than those that have code of their own. */
static void elements_of_any_size_pass(void **state)
{
    static const size_t sizes[] = {8, 9, 16, 40, 100, 4096};
    char element[4096], out[4096];
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t consumers = 1; consumers < 3; consumers++) {
            const struct fletch_broadcast_ring_options options =
                broadcast_options(sizes[i], 4, consumers);
            struct fletch_broadcast_ring *ring = broadcast_new(&options);
            struct fletch_broadcast_consumer *consumer = broadcast_join(ring, false, NULL, 0);
            for (uint64_t k = 0; k < 40; k++) {
                memset(element, (int)(k + i), sizeof element);
                assert_answer(fletch_broadcast_ring_try_push(ring, element), FLETCH_DONE);
                assert_answer(fletch_broadcast_consumer_try_pop(consumer, out), FLETCH_DONE);
                assert_memory_equal(out, element, sizes[i]);
            }
            fletch_broadcast_ring_destroy(ring);
        }
}

struct references {
    int held[64];
    size_t dropped;
};

static void drop(void *context, void *element)
{
    struct references *references = context;
    uint64_t index = *(uint64_t *)element;
    assert_true(references->held[index] > 0);
    references->held[index]--;
    references->dropped++;
}

static void hold(void *context, void *element)
{
    struct references *references = context;
    uint64_t index = *(uint64_t *)element;
    assert_true(references->held[index] > 0);
    references->held[index]++;
}

static enum fletch_answer push_reference(struct fletch_broadcast_ring *ring,
                                         struct references *references, uint64_t index)
{
    references->held[index] = 1;
    enum fletch_answer answer = fletch_broadcast_ring_try_push(ring, &index);
    if (answer != FLETCH_DONE)
        references->held[index] = 0;
    return answer;
}

static struct fletch_broadcast_ring *make_references(struct references *references, size_t which,
                                                     size_t consumers)
{
    struct fletch_broadcast_ring_options options = kind(which, 4, consumers);
    *references = (struct references){{0}, 0};
    options.element_bytes = sizeof(uint64_t);
    options.drop = drop;
    options.hold = hold;
    options.context = references;
    return broadcast_new(&options);
}

static void a_reference_is_dropped_when_all_have_passed(void **state)
{
    struct references references;
    uint64_t out;
    struct fletch_ring_spans spans;
    (void)state;
    for (size_t which = 0; which < KINDS; which++) {
        struct fletch_broadcast_ring *ring = make_references(&references, which, 2);
        struct fletch_broadcast_consumer *first = broadcast_join(ring, false, NULL, 0);
        struct fletch_broadcast_consumer *second = broadcast_join(ring, false, NULL, 0);
        assert_answer(push_reference(ring, &references, 0), FLETCH_DONE);
        assert_answer(push_reference(ring, &references, 1), FLETCH_DONE);
        assert_answer(fletch_broadcast_consumer_try_pop(first, &out), FLETCH_DONE);
        assert_int_equal(references.held[0], 2); /* the ring's and the popper's */
        assert_answer(fletch_broadcast_consumer_try_peek(second, 1, &spans), FLETCH_DONE);
        assert_int_equal(references.held[0], 2);
        fletch_broadcast_consumer_release(second, 1);
        assert_answer(fletch_broadcast_consumer_try_pop(second, &out), FLETCH_DONE);
        assert_no_pop(second, FLETCH_EMPTY);
        assert_int_equal(references.held[0], 1);
        assert_int_equal(references.held[1], 2);
        fletch_broadcast_consumer_leave(first);
        assert_int_equal(references.held[1], 1);
        assert_answer(push_reference(ring, &references, 2), FLETCH_DONE);
        fletch_broadcast_ring_destroy(ring);
        assert_int_equal(references.held[2], 0);
        assert_int_equal(references.dropped, 3);
    }
}

static void without_consumers_references_go_as_room_is_needed(void **state)
{
    struct references references;
    struct fletch_broadcast_claim claim;
    (void)state;
    for (size_t which = 0; which < KINDS; which++) {
        struct fletch_broadcast_ring *ring = make_references(&references, which, 1);
        for (uint64_t i = 0; i < 40; i++)
            assert_answer(push_reference(ring, &references, i), FLETCH_DONE);
        assert_true(references.dropped >= 35);
        if (which == 2) /* a claim that is never filled holds nothing */
            assert_answer(fletch_broadcast_ring_try_claim(ring, 1, &claim), FLETCH_DONE);
        fletch_broadcast_ring_destroy(ring);
        assert_int_equal(references.dropped, 40);
    }
}

static void waiting_ends_at_the_deadline(void **state)
{
    char elements[MOST * SIZE] = {0};
    struct fletch_broadcast_claim claim;
    struct fletch_ring_spans spans;
    size_t count;
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
        struct fletch_broadcast_ring_options options = broadcast_options(SIZE, CAPACITY, 1);
        options.wait_strategy = wait_strategies[i];
        struct fletch_broadcast_ring *ring = broadcast_new(&options);
        struct fletch_broadcast_consumer *consumer = broadcast_join(ring, false, NULL, 0);
        assert_answer(fletch_broadcast_consumer_pop(consumer, elements, 100000), FLETCH_EMPTY);
        assert_answer(fletch_broadcast_consumer_peek(consumer, 1, 100000, &spans), FLETCH_EMPTY);
        assert_answer(fletch_broadcast_ring_push_many(ring, elements, MOST, 100000, &count),
                      FLETCH_FULL);
        assert_true(count >= CAPACITY && count <= ring_most(CAPACITY));
        assert_answer(fletch_broadcast_ring_push(ring, elements, 100000), FLETCH_FULL);
        assert_answer(fletch_broadcast_ring_claim(ring, 1, 100000, &claim), FLETCH_FULL);
        fletch_broadcast_ring_destroy(ring);
    }
}

static void who_has_something_to_do_is_not_armed(void **state)
{
    (void)state;
    for (size_t which = 0; which < KINDS; which++) {
        struct fletch_broadcast_ring *ring = make(which, 1, 1);
        struct fletch_broadcast_consumer *consumer = broadcast_join(ring, false, NULL, 0);
        uint32_t key;
        int fd;
        assert_int_equal(fletch_broadcast_ring_open_fd(ring, FLETCH_END_CONSUMER, &fd, NULL),
                         FLETCH_OK);
        assert_false(fletch_broadcast_ring_arm(ring, &key));
        assert_true(fletch_broadcast_consumer_arm(consumer, &key));
        assert_answer(push(ring, 0), FLETCH_DONE);
        fletch_broadcast_consumer_disarm(consumer, key);
        assert_false(fletch_broadcast_consumer_arm(consumer, &key));
        assert_true(fletch_broadcast_ring_arm(ring, &key));
        assert_pops(consumer, 0);
        fletch_broadcast_ring_disarm(ring, key);
        assert_false(fletch_broadcast_ring_arm(ring, &key));
        fletch_broadcast_ring_close(ring);
        assert_false(fletch_broadcast_ring_arm(ring, &key));
        fletch_broadcast_ring_destroy(ring);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_refused_by_name),
        cmocka_unit_test(memory_is_checked),
        cmocka_unit_test(each_consumer_sees_each_element_in_order),
        cmocka_unit_test(it_answers_full_no_earlier_than_promised),
        cmocka_unit_test(batches_go_in_as_far_as_there_is_room),
        cmocka_unit_test(any_number_may_be_asked_for),
        cmocka_unit_test(a_claim_can_be_given_up_in_part),
        cmocka_unit_test(a_claim_of_one_of_several_holds_consumers_up),
        cmocka_unit_test(a_claimed_slot_is_not_overtaken),
        cmocka_unit_test(reading_in_place_shows_both_runs),
        cmocka_unit_test(each_consumer_hears_of_the_end_after_the_last_element),
        cmocka_unit_test(elements_of_any_size_pass),
        cmocka_unit_test(a_reference_is_dropped_when_all_have_passed),
        cmocka_unit_test(without_consumers_references_go_as_room_is_needed),
        cmocka_unit_test(waiting_ends_at_the_deadline),
        cmocka_unit_test(who_has_something_to_do_is_not_armed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
