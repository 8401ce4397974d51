#include "sync/spsc_ring.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"

/* What the calls do, one after another on one thread; each test with both forms. */

enum { SIZE = 24, CAPACITY = 8, MOST = 9 };

static struct fletch_spsc_ring *make(enum fletch_ring_form form, size_t capacity)
{
    const struct fletch_spsc_ring_options options = spsc_options(form, SIZE, capacity);
    return spsc_new(&options);
}

static enum fletch_answer push(struct fletch_spsc_ring *ring, uint64_t index)
{
    char element[SIZE];
    payload_fill(element, SIZE, 1, index);
    return fletch_spsc_ring_try_push(ring, element);
}

static void assert_pops(struct fletch_spsc_ring *ring, uint64_t index)
{
    char element[SIZE];
    assert_answer(fletch_spsc_ring_try_pop(ring, element), FLETCH_DONE);
    assert_true(payload_is(element, SIZE, 1, index));
}

static void assert_no_pop(struct fletch_spsc_ring *ring, enum fletch_answer expected)
{
    char element[SIZE];
    memset(element, 0x11, SIZE);
    assert_answer(fletch_spsc_ring_try_pop(ring, element), expected);
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(element[i], 0x11);
}

static void fill_run(void *run, size_t count, size_t stride, uint64_t index)
{
    for (size_t i = 0; i < count; i++)
        payload_fill((char *)run + i * stride, SIZE, 1, index + i);
}

static void fill_spans(const struct fletch_ring_spans *spans, uint64_t index)
{
    fill_run(spans->first, spans->first_count, spans->stride_bytes, index);
    fill_run(spans->second, spans->second_count, spans->stride_bytes, index + spans->first_count);
}

static void assert_spans(const struct fletch_ring_spans *spans, size_t count, uint64_t index)
{
    assert_int_equal(spans->first_count + spans->second_count, count);
    assert_true(spans->first_count > 0);
    assert_int_equal(spans->second == NULL, spans->second_count == 0);
    for (size_t i = 0; i < count; i++) {
        const char *run = i < spans->first_count ? spans->first : spans->second;
        size_t at = i < spans->first_count ? i : i - spans->first_count;
        assert_true(payload_is(run + at * spans->stride_bytes, SIZE, 1, index + i));
    }
}

static void it_is_first_in_first_out(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form], CAPACITY);
        assert_no_pop(ring, FLETCH_EMPTY);
        for (uint64_t lap = 0; lap < 100; lap++) {
            for (uint64_t i = 0; i < 5; i++)
                assert_answer(push(ring, lap * 5 + i), FLETCH_DONE);
            for (uint64_t i = 0; i < 5; i++)
                assert_pops(ring, lap * 5 + i);
            assert_no_pop(ring, FLETCH_EMPTY);
        }
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

static void it_answers_full_no_earlier_than_promised(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++)
        for (size_t capacity = 1; capacity < 70; capacity++) {
            struct fletch_spsc_ring *ring = make(ring_forms[form], capacity);
            uint64_t unread = 0;
            while (push(ring, unread) == FLETCH_DONE)
                unread++;
            assert_answer(push(ring, unread), FLETCH_FULL);
            assert_true(unread >= capacity);
            assert_true(unread <= ring_most(capacity));
            for (uint64_t i = 0; i < unread; i++)
                assert_pops(ring, i);
            assert_no_pop(ring, FLETCH_EMPTY);
            fletch_spsc_ring_destroy(ring, NULL, NULL);
        }
}

static void many_go_in_as_far_as_there_is_room(void **state)
{
    char elements[12 * SIZE];
    size_t pushed;
    size_t popped;
    (void)state;
    fill_run(elements, 12, SIZE, 0);
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form], CAPACITY);
        assert_answer(fletch_spsc_ring_try_push_many(ring, elements, 0, &pushed), FLETCH_DONE);
        assert_int_equal(pushed, 0);
        assert_answer(fletch_spsc_ring_try_push_many(ring, elements, 12, &pushed), FLETCH_DONE);
        assert_true(pushed >= CAPACITY && pushed <= MOST);
        size_t again = 1;
        assert_answer(fletch_spsc_ring_try_push_many(ring, elements, 1, &again), FLETCH_FULL);
        assert_int_equal(again, 0);
        char out[12 * SIZE];
        assert_answer(fletch_spsc_ring_try_pop_many(ring, out, 0, &popped), FLETCH_DONE);
        assert_int_equal(popped, 0);
        assert_answer(fletch_spsc_ring_try_pop_many(ring, out, 3, &popped), FLETCH_DONE);
        assert_int_equal(popped, 3);
        assert_memory_equal(out, elements, 3 * SIZE);
        assert_answer(fletch_spsc_ring_try_pop_many(ring, out, 12, &popped), FLETCH_DONE);
        assert_int_equal(popped, pushed - 3);
        assert_memory_equal(out, elements + 3 * SIZE, popped * SIZE);
        assert_answer(fletch_spsc_ring_try_pop_many(ring, out, 12, &popped), FLETCH_EMPTY);
        assert_int_equal(popped, 0);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

static void a_claim_is_published_as_far_as_it_is_committed(void **state)
{
    struct fletch_ring_spans spans;
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form], CAPACITY);
        assert_answer(fletch_spsc_ring_try_claim(ring, 5, &spans), FLETCH_DONE);
        assert_int_equal(spans.first_count + spans.second_count, 5);
        fill_spans(&spans, 0);
        assert_no_pop(ring, FLETCH_EMPTY);
        fletch_spsc_ring_commit(ring, 2);
        assert_pops(ring, 0);
        assert_pops(ring, 1);
        assert_no_pop(ring, FLETCH_EMPTY);
        /* Nothing of a claim may be committed at all. */
        assert_answer(fletch_spsc_ring_try_claim(ring, 4, &spans), FLETCH_DONE);
        fill_spans(&spans, 100);
        fletch_spsc_ring_commit(ring, 0);
        assert_no_pop(ring, FLETCH_EMPTY);
        assert_int_equal(spsc_statistics(ring).pushed, 2);
        assert_answer(fletch_spsc_ring_try_claim(ring, 4, &spans), FLETCH_DONE);
        fill_spans(&spans, 2);
        fletch_spsc_ring_commit(ring, 4);
        for (uint64_t i = 2; i < 6; i++)
            assert_pops(ring, i);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

static void a_claim_gets_what_room_there_is(void **state)
{
    struct fletch_ring_spans spans;
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form], CAPACITY);
        for (uint64_t i = 0; i < 6; i++)
            assert_answer(push(ring, i), FLETCH_DONE);
        assert_answer(fletch_spsc_ring_try_claim(ring, SIZE_MAX, &spans), FLETCH_DONE);
        size_t got = spans.first_count + spans.second_count;
        assert_true(got >= 2 && got <= MOST - 6);
        fill_spans(&spans, 6);
        fletch_spsc_ring_commit(ring, got);
        memset(&spans, 0x33, sizeof spans);
        struct fletch_ring_spans before = spans;
        assert_answer(fletch_spsc_ring_try_claim(ring, 1, &spans), FLETCH_FULL);
        assert_memory_equal(&spans, &before, sizeof spans);
        for (uint64_t i = 0; i < 6 + got; i++)
            assert_pops(ring, i);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

static void claim_across(enum fletch_ring_form form, size_t begin, size_t count)
{
    struct fletch_ring_spans spans;
    struct fletch_spsc_ring *ring = make(form, CAPACITY);
    size_t slots = ring->header.layout.slot_count;
    for (uint64_t i = 0; i < begin; i++) {
        assert_answer(push(ring, i), FLETCH_DONE);
        assert_pops(ring, i);
    }
    assert_no_pop(ring, FLETCH_EMPTY); /* all room is back */
    assert_answer(fletch_spsc_ring_try_claim(ring, count, &spans), FLETCH_DONE);
    size_t to_end = slots - begin;
    size_t first = count < to_end ? count : to_end;
    assert_int_equal(spans.first_count, first);
    assert_int_equal(spans.second_count, count - first);
    assert_int_equal(spans.second == NULL, count == first);
    fill_spans(&spans, 500);
    fletch_spsc_ring_commit(ring, count);
    memset(&spans, 0, sizeof spans);
    assert_answer(fletch_spsc_ring_try_peek(ring, count, &spans), FLETCH_DONE);
    assert_int_equal(spans.first_count, first);
    assert_spans(&spans, count, 500);
    fletch_spsc_ring_release(ring, count);
    assert_no_pop(ring, FLETCH_EMPTY);
    fletch_spsc_ring_destroy(ring, NULL, NULL);
}

/* Claims of every size beginning at every slot: two runs exactly where the ring's end lies
 * between. */
static void claims_split_where_the_ring_ends(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++)
        for (size_t begin = 0; begin < CAPACITY; begin++)
            for (size_t count = 1; count <= CAPACITY; count++)
                claim_across(ring_forms[form], begin, count);
}

static void a_peek_leaves_elements_until_release(void **state)
{
    struct fletch_ring_spans spans;
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form], CAPACITY);
        assert_answer(fletch_spsc_ring_try_peek(ring, 4, &spans), FLETCH_EMPTY);
        for (uint64_t i = 0; i < 3; i++)
            assert_answer(push(ring, i), FLETCH_DONE);
        assert_answer(fletch_spsc_ring_try_peek(ring, 2, &spans), FLETCH_DONE);
        assert_spans(&spans, 2, 0);
        assert_answer(push(ring, 3), FLETCH_DONE);
        /* The same again, with more behind. */
        assert_answer(fletch_spsc_ring_try_peek(ring, 10, &spans), FLETCH_DONE);
        assert_spans(&spans, 4, 0);
        fletch_spsc_ring_release(ring, 1);
        assert_answer(fletch_spsc_ring_try_peek(ring, 10, &spans), FLETCH_DONE);
        assert_spans(&spans, 3, 1);
        fletch_spsc_ring_release(ring, 0);
        assert_pops(ring, 1);
        assert_answer(fletch_spsc_ring_try_peek(ring, 10, &spans), FLETCH_DONE);
        assert_spans(&spans, 2, 2);
        fletch_spsc_ring_release(ring, 2);
        assert_no_pop(ring, FLETCH_EMPTY);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

static void a_peek_of_a_full_ring_shows_all_of_it(void **state)
{
    struct fletch_ring_spans spans;
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++)
        for (size_t capacity = 1; capacity < 20; capacity++) {
            struct fletch_spsc_ring *ring = make(ring_forms[form], capacity);
            uint64_t count = 0;
            while (push(ring, count) == FLETCH_DONE)
                count++;
            assert_answer(fletch_spsc_ring_try_peek(ring, SIZE_MAX, &spans), FLETCH_DONE);
            assert_spans(&spans, count, 0);
            fletch_spsc_ring_destroy(ring, NULL, NULL);
        }
}

static void closing_lets_what_is_there_be_drained(void **state)
{
    struct fletch_ring_spans spans;
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form], CAPACITY);
        size_t moved;
        for (uint64_t i = 0; i < 3; i++)
            assert_answer(push(ring, i), FLETCH_DONE);
        fletch_spsc_ring_close(ring);
        fletch_spsc_ring_close(ring);
        char element[SIZE] = {0};
        assert_answer(push(ring, 3), FLETCH_CLOSED);
        assert_answer(fletch_spsc_ring_try_push_many(ring, element, 1, &moved), FLETCH_CLOSED);
        assert_int_equal(moved, 0);
        assert_answer(fletch_spsc_ring_try_claim(ring, 1, &spans), FLETCH_CLOSED);
        assert_answer(fletch_spsc_ring_push(ring, element, FLETCH_NO_TIMEOUT), FLETCH_CLOSED);
        for (uint64_t i = 0; i < 3; i++)
            assert_pops(ring, i);
        for (int i = 0; i < 3; i++) {
            assert_no_pop(ring, FLETCH_CLOSED);
            assert_answer(fletch_spsc_ring_try_peek(ring, 1, &spans), FLETCH_CLOSED);
            assert_answer(fletch_spsc_ring_try_pop_many(ring, element, 1, &moved), FLETCH_CLOSED);
            assert_int_equal(moved, 0);
            assert_answer(fletch_spsc_ring_pop(ring, element, FLETCH_NO_TIMEOUT), FLETCH_CLOSED);
        }
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

static void cancelling_stops_pushes_and_not_pops(void **state)
{
    struct fletch_ring_spans spans;
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form], CAPACITY);
        assert_answer(push(ring, 0), FLETCH_DONE);
        assert_answer(fletch_spsc_ring_try_claim(ring, 2, &spans), FLETCH_DONE);
        fill_spans(&spans, 1);
        fletch_spsc_ring_cancel(ring);
        fletch_spsc_ring_cancel(ring);
        fletch_spsc_ring_commit(ring, 2); /* was under way */
        assert_answer(push(ring, 3), FLETCH_CLOSED);
        assert_answer(fletch_spsc_ring_try_claim(ring, 1, &spans), FLETCH_CLOSED);
        for (uint64_t i = 0; i < 3; i++)
            assert_pops(ring, i);
        /* The producer may say more, so the end comes with its close only. */
        assert_no_pop(ring, FLETCH_EMPTY);
        fletch_spsc_ring_close(ring);
        assert_no_pop(ring, FLETCH_CLOSED);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

static void a_full_ring_that_is_cancelled_answers_closed(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form], 1);
        assert_answer(push(ring, 0), FLETCH_DONE);
        assert_answer(push(ring, 1), FLETCH_FULL);
        fletch_spsc_ring_cancel(ring);
        assert_answer(push(ring, 1), FLETCH_CLOSED);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
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

static void leave_and_drop(enum fletch_ring_form form, uint64_t popped, uint64_t left)
{
    struct fletch_spsc_ring *ring = make(form, CAPACITY);
    struct dropped dropped = {.next = popped};
    for (uint64_t i = 0; i < popped; i++) {
        assert_answer(push(ring, i), FLETCH_DONE);
        assert_pops(ring, i);
    }
    for (uint64_t i = 0; i < left; i++)
        assert_answer(push(ring, popped + i), FLETCH_DONE);
    if (left % 2 == 0)
        fletch_spsc_ring_close(ring);
    fletch_spsc_ring_destroy(ring, drop, &dropped);
    assert_int_equal(dropped.next, popped + left);
    assert_int_equal(dropped.wrong, 0);
}

static void what_is_left_is_dropped_oldest_first(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++)
        for (uint64_t popped = 0; popped < 12; popped++)
            for (uint64_t left = 0; left <= CAPACITY; left++)
                leave_and_drop(ring_forms[form], popped, left);
}

static void ending_no_ring_is_allowed(void **state)
{
    (void)state;
    fletch_spsc_ring_destroy(NULL, drop, NULL);
    fletch_spsc_ring_deinit(NULL, drop, NULL);
}

static void statistics_count_elements_and_refusals(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form], 2);
        assert_no_pop(ring, FLETCH_EMPTY);
        for (uint64_t i = 0; i < 2; i++)
            assert_answer(push(ring, i), FLETCH_DONE);
        for (int i = 0; i < 3; i++)
            assert_answer(push(ring, 2), FLETCH_FULL);
        assert_pops(ring, 0);
        struct fletch_ring_statistics statistics = spsc_statistics(ring);
        assert_int_equal(statistics.struct_size, sizeof statistics);
        assert_int_equal(statistics.pushed, 2);
        assert_int_equal(statistics.popped, 1);
        assert_int_equal(statistics.full, 3);
        assert_int_equal(statistics.empty, 1);
        assert_int_equal(statistics.producer_parks, 0);
        assert_int_equal(statistics.consumer_parks, 0);
        /* A caller that knows less of the structure. */
        memset(&statistics, 0xff, sizeof statistics);
        statistics.struct_size = 2 * sizeof(uint64_t);
        fletch_spsc_ring_statistics(ring, &statistics);
        assert_int_equal(statistics.pushed, 2);
        assert_true(statistics.popped == UINT64_MAX);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_first_in_first_out),
        cmocka_unit_test(it_answers_full_no_earlier_than_promised),
        cmocka_unit_test(many_go_in_as_far_as_there_is_room),
        cmocka_unit_test(a_claim_is_published_as_far_as_it_is_committed),
        cmocka_unit_test(a_claim_gets_what_room_there_is),
        cmocka_unit_test(claims_split_where_the_ring_ends),
        cmocka_unit_test(a_peek_leaves_elements_until_release),
        cmocka_unit_test(a_peek_of_a_full_ring_shows_all_of_it),
        cmocka_unit_test(closing_lets_what_is_there_be_drained),
        cmocka_unit_test(cancelling_stops_pushes_and_not_pops),
        cmocka_unit_test(a_full_ring_that_is_cancelled_answers_closed),
        cmocka_unit_test(what_is_left_is_dropped_oldest_first),
        cmocka_unit_test(ending_no_ring_is_allowed),
        cmocka_unit_test(statistics_count_elements_and_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
