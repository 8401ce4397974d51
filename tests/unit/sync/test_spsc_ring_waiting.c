#include "sync/spsc_ring.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/sleeping.h"
#include "support/team.h"

/* Calls that wait, and descriptors. */

enum { SIZE = 16, TIMEOUT_NS = 2000000 };

static struct fletch_spsc_ring *make(enum fletch_ring_form form, size_t capacity,
                                     enum fletch_wait_strategy strategy)
{
    struct fletch_spsc_ring_options options = spsc_options(form, SIZE, capacity);
    options.wait_strategy = strategy;
    return spsc_new(&options);
}

/* Runs `test` for both forms and all strategies. */
static void for_all(void (*test)(struct fletch_spsc_ring *ring))
{
    for (size_t form = 0; form < RING_FORMS; form++)
        for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
            struct fletch_spsc_ring *ring = make(ring_forms[form], 2, wait_strategies[i]);
            test(ring);
            fletch_spsc_ring_destroy(ring, NULL, NULL);
        }
}

static void empty_until_the_deadline(struct fletch_spsc_ring *ring)
{
    struct fletch_ring_spans spans;
    char element[SIZE];
    size_t popped = 7;
    uint64_t deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_spsc_ring_pop(ring, element, TIMEOUT_NS), FLETCH_EMPTY);
    assert_true(fletch_clock_now_ns() >= deadline);
    deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_spsc_ring_peek(ring, 1, TIMEOUT_NS, &spans), FLETCH_EMPTY);
    assert_true(fletch_clock_now_ns() >= deadline);
    deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_spsc_ring_pop_many(ring, element, 1, TIMEOUT_NS, &popped), FLETCH_EMPTY);
    assert_true(fletch_clock_now_ns() >= deadline);
    assert_int_equal(popped, 0);
}

static void a_pop_waits_no_less_than_its_timeout(void **state)
{
    (void)state;
    for_all(empty_until_the_deadline);
}

static void full_until_the_deadline(struct fletch_spsc_ring *ring)
{
    struct fletch_ring_spans spans;
    char elements[4 * SIZE] = {0};
    size_t pushed = 7;
    uint64_t deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_spsc_ring_push_many(ring, elements, 4, TIMEOUT_NS, &pushed), FLETCH_FULL);
    assert_true(fletch_clock_now_ns() >= deadline);
    assert_int_equal(pushed, 2);
    deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_spsc_ring_push(ring, elements, TIMEOUT_NS), FLETCH_FULL);
    assert_true(fletch_clock_now_ns() >= deadline);
    deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_spsc_ring_claim(ring, 1, TIMEOUT_NS, &spans), FLETCH_FULL);
    assert_true(fletch_clock_now_ns() >= deadline);
    assert_int_equal(spsc_statistics(ring).pushed, 2);
}

static void a_push_waits_no_less_than_its_timeout(void **state)
{
    (void)state;
    for_all(full_until_the_deadline);
}

static void at_once(struct fletch_spsc_ring *ring)
{
    char element[SIZE] = {0};
    assert_answer(fletch_spsc_ring_pop(ring, element, 0), FLETCH_EMPTY);
    assert_answer(fletch_spsc_ring_push(ring, element, 0), FLETCH_DONE);
    assert_answer(fletch_spsc_ring_push(ring, element, FLETCH_NO_TIMEOUT), FLETCH_DONE);
    assert_answer(fletch_spsc_ring_push(ring, element, 0), FLETCH_FULL);
    assert_answer(fletch_spsc_ring_pop(ring, element, FLETCH_NO_TIMEOUT), FLETCH_DONE);
    assert_answer(fletch_spsc_ring_pop(ring, element, 0), FLETCH_DONE);
    assert_int_equal(spsc_statistics(ring).producer_parks, 0);
    assert_int_equal(spsc_statistics(ring).consumer_parks, 0);
}

static void a_timeout_of_zero_looks_once(void **state)
{
    (void)state;
    for_all(at_once);
}

/* ---- waiting for another thread ---- */

struct waiter {
    struct fletch_spsc_ring *ring;
    enum fletch_answer answer;
    size_t moved;
    char element[SIZE];
};

static void wait_to_pop(void *context)
{
    struct waiter *waiter = context;
    waiter->answer = fletch_spsc_ring_pop(waiter->ring, waiter->element, FLETCH_NO_TIMEOUT);
}

static void wait_to_push_five(void *context)
{
    struct waiter *waiter = context;
    char elements[5 * SIZE];
    for (uint64_t i = 0; i < 5; i++)
        payload_fill(elements + i * SIZE, SIZE, 0, i);
    waiter->answer =
        fletch_spsc_ring_push_many(waiter->ring, elements, 5, FLETCH_NO_TIMEOUT, &waiter->moved);
}

static void a_sleeping_consumer_is_woken(struct fletch_spsc_ring *ring)
{
    struct waiter waiter = {.ring = ring};
    const struct team_role role = {.run = wait_to_pop, .context = &waiter};
    struct team team;
    char element[SIZE];
    team_start(&team, &role, 1);
    if (ring->header.sleeps)
        sleeping_await(&ring->header.elements, 1);
    payload_fill(element, SIZE, 0, 1);
    assert_answer(fletch_spsc_ring_try_push(ring, element), FLETCH_DONE);
    team_join(&team);
    assert_answer(waiter.answer, FLETCH_DONE);
    assert_true(payload_is(waiter.element, SIZE, 0, 1));
}

static void a_push_ends_the_wait_of_a_pop(void **state)
{
    (void)state;
    for_all(a_sleeping_consumer_is_woken);
}

static void a_closed_ring_ends_the_wait(struct fletch_spsc_ring *ring)
{
    struct waiter waiter = {.ring = ring};
    const struct team_role role = {.run = wait_to_pop, .context = &waiter};
    struct team team;
    team_start(&team, &role, 1);
    if (ring->header.sleeps)
        sleeping_await(&ring->header.elements, 1);
    fletch_spsc_ring_close(ring);
    team_join(&team);
    assert_answer(waiter.answer, FLETCH_CLOSED);
}

static void closing_ends_the_wait_of_a_pop(void **state)
{
    (void)state;
    for_all(a_closed_ring_ends_the_wait);
}

static void a_sleeping_producer_is_woken(struct fletch_spsc_ring *ring)
{
    struct waiter waiter = {.ring = ring};
    const struct team_role role = {.run = wait_to_push_five, .context = &waiter};
    struct team team;
    char element[SIZE];
    team_start(&team, &role, 1);
    for (uint64_t i = 0; i < 5; i++) {
        assert_answer(fletch_spsc_ring_pop(ring, element, FLETCH_NO_TIMEOUT), FLETCH_DONE);
        assert_true(payload_is(element, SIZE, 0, i));
    }
    team_join(&team);
    assert_answer(waiter.answer, FLETCH_DONE);
    assert_int_equal(waiter.moved, 5);
}

static void pops_end_the_wait_of_a_push(void **state)
{
    (void)state;
    for_all(a_sleeping_producer_is_woken);
}

static void a_cancelled_ring_ends_the_wait(struct fletch_spsc_ring *ring)
{
    struct waiter waiter = {.ring = ring};
    const struct team_role role = {.run = wait_to_push_five, .context = &waiter};
    struct team team;
    team_start(&team, &role, 1);
    while (spsc_statistics(ring).full == 0)
        fletch_thread_yield();
    if (ring->header.sleeps)
        sleeping_await(&ring->header.room, 1);
    fletch_spsc_ring_cancel(ring);
    team_join(&team);
    assert_answer(waiter.answer, FLETCH_CLOSED);
    assert_int_equal(waiter.moved, 2);
}

static void cancelling_ends_the_wait_of_a_push(void **state)
{
    (void)state;
    for_all(a_cancelled_ring_ends_the_wait);
}

/* ---- statistics ---- */

static void parks_are_counted_at_the_end_that_parked(void **state)
{
    struct fletch_spsc_ring *ring = make(FLETCH_RING_DEFAULT, 1, FLETCH_WAIT_PARK);
    char element[SIZE] = {0};
    (void)state;
    assert_answer(fletch_spsc_ring_pop(ring, element, TIMEOUT_NS), FLETCH_EMPTY);
    assert_int_equal(spsc_statistics(ring).consumer_parks, 1);
    assert_int_equal(spsc_statistics(ring).producer_parks, 0);
    assert_answer(fletch_spsc_ring_push(ring, element, 0), FLETCH_DONE);
    assert_answer(fletch_spsc_ring_push(ring, element, TIMEOUT_NS), FLETCH_FULL);
    assert_int_equal(spsc_statistics(ring).consumer_parks, 1);
    assert_int_equal(spsc_statistics(ring).producer_parks, 1);
    fletch_spsc_ring_destroy(ring, NULL, NULL);
}

/* `full` and `empty` count calls, not looks: a call that waited for long is one. */
static void a_waiting_call_is_counted_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
        struct fletch_spsc_ring *ring = make(FLETCH_RING_DEFAULT, 1, wait_strategies[i]);
        char element[SIZE] = {0};
        assert_answer(fletch_spsc_ring_pop(ring, element, TIMEOUT_NS), FLETCH_EMPTY);
        assert_int_equal(spsc_statistics(ring).empty, 1);
        assert_answer(fletch_spsc_ring_push(ring, element, 0), FLETCH_DONE);
        assert_answer(fletch_spsc_ring_push(ring, element, TIMEOUT_NS), FLETCH_FULL);
        assert_int_equal(spsc_statistics(ring).full, 1);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

/* ---- descriptors ---- */

static bool is_ready(int epoll_fd)
{
    struct epoll_event event;
    return epoll_wait(epoll_fd, &event, 1, 0) == 1;
}

static int epoll_of(struct fletch_spsc_ring *ring, enum fletch_ring_end end)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd = -1;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert_true(epoll_fd >= 0);
    assert_ok(fletch_spsc_ring_open_fd(ring, end, &fd, NULL));
    assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), 0);
    return epoll_fd;
}

static void a_consumer_can_sleep_on_a_descriptor(void **state)
{
    uint32_t key = 0;
    char element[SIZE];
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form], 2, FLETCH_WAIT_PARK);
        int epoll_fd = epoll_of(ring, FLETCH_END_CONSUMER);
        payload_fill(element, SIZE, 0, 0);
        assert_true(fletch_spsc_ring_arm(ring, FLETCH_END_CONSUMER, &key));
        assert_false(is_ready(epoll_fd));
        assert_answer(fletch_spsc_ring_try_push(ring, element), FLETCH_DONE);
        assert_true(is_ready(epoll_fd));
        fletch_spsc_ring_disarm(ring, FLETCH_END_CONSUMER, key);
        assert_false(is_ready(epoll_fd));
        assert_false(fletch_spsc_ring_arm(ring, FLETCH_END_CONSUMER, &key)); /* not empty */
        assert_answer(fletch_spsc_ring_try_push(ring, element), FLETCH_DONE);
        assert_false(is_ready(epoll_fd)); /* nobody is armed */
        assert_answer(fletch_spsc_ring_try_pop(ring, element), FLETCH_DONE);
        assert_answer(fletch_spsc_ring_try_pop(ring, element), FLETCH_DONE);
        assert_true(fletch_spsc_ring_arm(ring, FLETCH_END_CONSUMER, &key));
        fletch_spsc_ring_close(ring);
        assert_true(is_ready(epoll_fd));
        fletch_spsc_ring_disarm(ring, FLETCH_END_CONSUMER, key);
        assert_false(fletch_spsc_ring_arm(ring, FLETCH_END_CONSUMER, &key)); /* the end is there */
        close(epoll_fd);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

static void a_producer_can_sleep_on_a_descriptor(void **state)
{
    uint32_t key = 0;
    char element[SIZE] = {0};
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form], 2, FLETCH_WAIT_ADAPTIVE);
        int epoll_fd = epoll_of(ring, FLETCH_END_PRODUCER);
        assert_false(fletch_spsc_ring_arm(ring, FLETCH_END_PRODUCER, &key)); /* there is room */
        assert_answer(fletch_spsc_ring_try_push(ring, element), FLETCH_DONE);
        assert_answer(fletch_spsc_ring_try_push(ring, element), FLETCH_DONE);
        assert_true(fletch_spsc_ring_arm(ring, FLETCH_END_PRODUCER, &key));
        assert_false(is_ready(epoll_fd));
        assert_answer(fletch_spsc_ring_try_pop(ring, element), FLETCH_DONE);
        assert_true(is_ready(epoll_fd));
        fletch_spsc_ring_disarm(ring, FLETCH_END_PRODUCER, key);
        assert_answer(fletch_spsc_ring_try_push(ring, element), FLETCH_DONE);
        assert_true(fletch_spsc_ring_arm(ring, FLETCH_END_PRODUCER, &key));
        fletch_spsc_ring_cancel(ring);
        assert_true(is_ready(epoll_fd));
        fletch_spsc_ring_disarm(ring, FLETCH_END_PRODUCER, key);
        assert_false(fletch_spsc_ring_arm(ring, FLETCH_END_PRODUCER, &key));
        close(epoll_fd);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

static void the_ends_have_descriptors_of_their_own(void **state)
{
    struct fletch_spsc_ring *ring = make(FLETCH_RING_DEFAULT, 2, FLETCH_WAIT_DEFAULT);
    int fds[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_ok(fletch_spsc_ring_open_fd(
            ring, i % 2 == 0 ? FLETCH_END_PRODUCER : FLETCH_END_CONSUMER, &fds[i], NULL));
    assert_int_equal(fds[0], fds[2]);
    assert_int_equal(fds[1], fds[3]);
    assert_int_not_equal(fds[0], fds[1]);
    fletch_spsc_ring_destroy(ring, NULL, NULL);
}

static void strategies_that_never_sleep_have_no_descriptor(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
        struct fletch_spsc_ring *ring = make(FLETCH_RING_DEFAULT, 2, wait_strategies[i]);
        bool sleeps =
            wait_strategies[i] == FLETCH_WAIT_ADAPTIVE || wait_strategies[i] == FLETCH_WAIT_PARK;
        struct fletch_error error;
        int fd = -5;
        enum fletch_status status =
            fletch_spsc_ring_open_fd(ring, FLETCH_END_CONSUMER, &fd, &error);
        assert_int_equal(status, sleeps ? FLETCH_OK : FLETCH_FAILED_PRECONDITION);
        assert_int_equal(fd >= 0, sleeps);
        if (!sleeps)
            assert_contains(error.message, "never sleeps");
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

static void a_ring_of_several_processes_has_no_descriptor(void **state)
{
    struct fletch_spsc_ring_options options = spsc_options(FLETCH_RING_DEFAULT, SIZE, 2);
    struct fletch_error error;
    int fd = -5;
    (void)state;
    options.sharing = FLETCH_SHARING_HOST;
    struct fletch_spsc_ring *ring = spsc_new(&options);
    assert_int_equal(fletch_spsc_ring_open_fd(ring, FLETCH_END_CONSUMER, &fd, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "no descriptor");
    assert_int_equal(fd, -5);
    fletch_spsc_ring_destroy(ring, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pop_waits_no_less_than_its_timeout),
        cmocka_unit_test(a_push_waits_no_less_than_its_timeout),
        cmocka_unit_test(a_timeout_of_zero_looks_once),
        cmocka_unit_test(a_push_ends_the_wait_of_a_pop),
        cmocka_unit_test(closing_ends_the_wait_of_a_pop),
        cmocka_unit_test(pops_end_the_wait_of_a_push),
        cmocka_unit_test(cancelling_ends_the_wait_of_a_push),
        cmocka_unit_test(parks_are_counted_at_the_end_that_parked),
        cmocka_unit_test(a_waiting_call_is_counted_once),
        cmocka_unit_test(a_consumer_can_sleep_on_a_descriptor),
        cmocka_unit_test(a_producer_can_sleep_on_a_descriptor),
        cmocka_unit_test(the_ends_have_descriptors_of_their_own),
        cmocka_unit_test(strategies_that_never_sleep_have_no_descriptor),
        cmocka_unit_test(a_ring_of_several_processes_has_no_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
