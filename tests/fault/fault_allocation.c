#include <fletching/fletching.h>

#include <stdio.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/rings.h"

/* Each create function with the n-th allocation failing, for n = 1, 2, … until none fails: a clear
 * status, nothing leaked, nothing written to the out parameter, and the next try succeeds. */

enum { TRIES_MOST = 8 };

static enum fletch_status create_slot_ring(const struct fletch_allocator *allocator, void **out,
                                           struct fletch_error *error)
{
    struct fletch_spsc_ring_options options = spsc_options(FLETCH_RING_SLOT_SEQUENCE, 24, 100);
    struct fletch_spsc_ring *ring = NULL;
    enum fletch_status status = fletch_spsc_ring_create(&options, allocator, &ring, error);
    *out = ring;
    return status;
}

static enum fletch_status create_cursor_ring(const struct fletch_allocator *allocator, void **out,
                                             struct fletch_error *error)
{
    struct fletch_spsc_ring_options options = spsc_options(FLETCH_RING_CURSOR, 24, 100);
    struct fletch_spsc_ring *ring = NULL;
    enum fletch_status status = fletch_spsc_ring_create(&options, allocator, &ring, error);
    *out = ring;
    return status;
}

static enum fletch_status create_broadcast(const struct fletch_allocator *allocator, void **out,
                                           struct fletch_error *error)
{
    struct fletch_broadcast_ring_options options = broadcast_options(24, 100, 3);
    struct fletch_broadcast_ring *ring = NULL;
    enum fletch_status status = fletch_broadcast_ring_create(&options, allocator, &ring, error);
    *out = ring;
    return status;
}

static enum fletch_status create_queue(const struct fletch_allocator *allocator, void **out,
                                       struct fletch_error *error)
{
    struct fletch_mpsc_queue_options options = mpsc_options(24, 100);
    struct fletch_mpsc_queue *queue = NULL;
    enum fletch_status status = fletch_mpsc_queue_create(&options, allocator, &queue, error);
    *out = queue;
    return status;
}

static enum fletch_status create_fan_in(const struct fletch_allocator *allocator, void **out,
                                        struct fletch_error *error)
{
    struct fletch_fan_in_options options = fan_in_options(24, 100, 5);
    struct fletch_fan_in *fan_in = NULL;
    enum fletch_status status = fletch_fan_in_create(&options, allocator, &fan_in, error);
    *out = fan_in;
    return status;
}

static enum fletch_status create_eventcount(const struct fletch_allocator *allocator, void **out,
                                            struct fletch_error *error)
{
    struct fletch_eventcount *eventcount = NULL;
    enum fletch_status status = fletch_eventcount_create(allocator, &eventcount, error);
    *out = eventcount;
    return status;
}

static void destroy_ring(void *made)
{
    fletch_spsc_ring_destroy(made, NULL, NULL);
}

static void destroy_broadcast(void *made)
{
    fletch_broadcast_ring_destroy(made);
}

static void destroy_queue(void *made)
{
    fletch_mpsc_queue_destroy(made, NULL, NULL);
}

static void destroy_fan_in(void *made)
{
    fletch_fan_in_destroy(made, NULL, NULL);
}

static void destroy_eventcount(void *made)
{
    fletch_eventcount_destroy(made);
}

struct maker {
    enum fletch_status (*create)(const struct fletch_allocator *allocator, void **out,
                                 struct fletch_error *error);
    void (*destroy)(void *made);
    const char *message;
};

static void fail_each_allocation(const struct maker *maker)
{
    uint64_t failures = 0;
    enum fletch_status status = FLETCH_UNKNOWN;
    for (uint64_t n = 1; n <= TRIES_MOST && status != FLETCH_OK; n++) {
        struct counting_allocator counting;
        struct fletch_error error = {.status = FLETCH_OK};
        void *made = NULL;
        counting_allocator_start(&counting, n);
        status = maker->create(&counting.allocator, &made, &error);
        if (status == FLETCH_OK) {
            assert_int_equal(counting.requests, n - 1);
            maker->destroy(made);
        } else {
            failures++;
            assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
            assert_int_equal(error.status, FLETCH_RESOURCE_EXHAUSTED);
            assert_contains(error.message, maker->message);
            assert_null(made);
            /* The same without anybody to hear why. */
            counting_allocator_start(&counting, n);
            assert_int_equal(maker->create(&counting.allocator, &made, NULL), status);
            assert_null(made);
        }
        assert_int_equal(counting.live_bytes, 0);
        assert_int_equal(counting.mismatched, 0);
    }
    assert_int_equal(status, FLETCH_OK);
    assert_true(failures >= 1);
}

static void a_ring_with_sequences_is_made_or_not(void **state)
{
    (void)state;
    fail_each_allocation(&(struct maker){create_slot_ring, destroy_ring, "no memory for a ring"});
}

static void a_ring_with_a_cursor_is_made_or_not(void **state)
{
    (void)state;
    fail_each_allocation(&(struct maker){create_cursor_ring, destroy_ring, "no memory for a ring"});
}

static void a_broadcast_ring_is_made_or_not(void **state)
{
    (void)state;
    fail_each_allocation(
        &(struct maker){create_broadcast, destroy_broadcast, "no memory for a ring"});
}

static void a_queue_is_made_or_not(void **state)
{
    (void)state;
    fail_each_allocation(&(struct maker){create_queue, destroy_queue, "no memory for a queue"});
}

static void a_fan_in_is_made_or_not(void **state)
{
    (void)state;
    fail_each_allocation(&(struct maker){create_fan_in, destroy_fan_in, "no memory for a fan-in"});
}

static void an_eventcount_is_made_or_not(void **state)
{
    (void)state;
    fail_each_allocation(
        &(struct maker){create_eventcount, destroy_eventcount, "no memory for an eventcount"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_with_sequences_is_made_or_not),
        cmocka_unit_test(a_ring_with_a_cursor_is_made_or_not),
        cmocka_unit_test(a_broadcast_ring_is_made_or_not),
        cmocka_unit_test(a_queue_is_made_or_not),
        cmocka_unit_test(a_fan_in_is_made_or_not),
        cmocka_unit_test(an_eventcount_is_made_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
