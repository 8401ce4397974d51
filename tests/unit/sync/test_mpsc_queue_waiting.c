#include "sync/mpsc_queue.h"

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

static struct fletch_mpsc_queue *make(size_t capacity, enum fletch_wait_strategy strategy)
{
    struct fletch_mpsc_queue_options options = mpsc_options(SIZE, capacity);
    options.wait_strategy = strategy;
    return mpsc_new(&options);
}

static void for_all(void (*test)(struct fletch_mpsc_queue *queue))
{
    for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
        struct fletch_mpsc_queue *queue = make(2, wait_strategies[i]);
        test(queue);
        fletch_mpsc_queue_destroy(queue, NULL, NULL);
    }
}

static void no_element_until_the_deadline(struct fletch_mpsc_queue *queue)
{
    char element[SIZE];
    size_t popped = 7;
    uint64_t position;
    uint64_t deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_mpsc_queue_pop(queue, element, TIMEOUT_NS), FLETCH_EMPTY);
    assert_true(fletch_clock_now_ns() >= deadline);
    assert_answer(fletch_mpsc_queue_claim(queue, 1, &position), FLETCH_DONE);
    deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_mpsc_queue_pop(queue, element, TIMEOUT_NS), FLETCH_HELD);
    assert_true(fletch_clock_now_ns() >= deadline);
    deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_mpsc_queue_pop_many(queue, element, 1, TIMEOUT_NS, &popped), FLETCH_HELD);
    assert_true(fletch_clock_now_ns() >= deadline);
    assert_int_equal(popped, 0);
}

static void a_pop_waits_no_less_than_its_timeout(void **state)
{
    (void)state;
    for_all(no_element_until_the_deadline);
}

static void full_until_the_deadline(struct fletch_mpsc_queue *queue)
{
    char elements[2 * SIZE] = {0};
    assert_answer(fletch_mpsc_queue_push_many(queue, elements, 2, TIMEOUT_NS), FLETCH_DONE);
    uint64_t deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_mpsc_queue_push(queue, elements, TIMEOUT_NS), FLETCH_FULL);
    assert_true(fletch_clock_now_ns() >= deadline);
    deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_mpsc_queue_push_many(queue, elements, 2, TIMEOUT_NS), FLETCH_FULL);
    assert_true(fletch_clock_now_ns() >= deadline);
    assert_int_equal(mpsc_statistics(queue).pushed, 2);
}

static void a_push_waits_no_less_than_its_timeout(void **state)
{
    (void)state;
    for_all(full_until_the_deadline);
}

static void at_once(struct fletch_mpsc_queue *queue)
{
    char element[SIZE] = {0};
    assert_answer(fletch_mpsc_queue_pop(queue, element, 0), FLETCH_EMPTY);
    assert_answer(fletch_mpsc_queue_push(queue, element, 0), FLETCH_DONE);
    assert_answer(fletch_mpsc_queue_push(queue, element, FLETCH_NO_TIMEOUT), FLETCH_DONE);
    assert_answer(fletch_mpsc_queue_push(queue, element, 0), FLETCH_FULL);
    assert_answer(fletch_mpsc_queue_pop(queue, element, FLETCH_NO_TIMEOUT), FLETCH_DONE);
    assert_answer(fletch_mpsc_queue_pop(queue, element, 0), FLETCH_DONE);
    assert_int_equal(mpsc_statistics(queue).producer_parks, 0);
    assert_int_equal(mpsc_statistics(queue).consumer_parks, 0);
}

static void a_timeout_of_zero_looks_once(void **state)
{
    (void)state;
    for_all(at_once);
}

/* ---- waiting for another thread ---- */

struct waiter {
    struct fletch_mpsc_queue *queue;
    size_t count;
    enum fletch_answer answer;
    char element[SIZE];
};

static void wait_to_pop(void *context)
{
    struct waiter *waiter = context;
    waiter->answer = fletch_mpsc_queue_pop(waiter->queue, waiter->element, FLETCH_NO_TIMEOUT);
}

static void wait_to_push(void *context)
{
    struct waiter *waiter = context;
    char elements[8 * SIZE] = {0};
    waiter->answer =
        fletch_mpsc_queue_push_many(waiter->queue, elements, waiter->count, FLETCH_NO_TIMEOUT);
}

static void start_popper(struct team *team, struct waiter *waiter)
{
    const struct team_role role = {.run = wait_to_pop, .context = waiter};
    team_start(team, &role, 1);
    if (waiter->queue->header.sleeps)
        sleeping_await(&waiter->queue->header.elements, 1);
}

static void a_sleeping_consumer_is_woken(struct fletch_mpsc_queue *queue)
{
    struct waiter waiter = {.queue = queue};
    struct team team;
    char element[SIZE];
    start_popper(&team, &waiter);
    payload_fill(element, SIZE, 0, 1);
    assert_answer(fletch_mpsc_queue_try_push(queue, element), FLETCH_DONE);
    team_join(&team);
    assert_answer(waiter.answer, FLETCH_DONE);
    assert_true(payload_is(waiter.element, SIZE, 0, 1));
}

static void a_push_ends_the_wait_of_a_pop(void **state)
{
    (void)state;
    for_all(a_sleeping_consumer_is_woken);
}

static void a_held_consumer_is_woken(struct fletch_mpsc_queue *queue)
{
    struct waiter waiter = {.queue = queue};
    struct team team;
    char element[SIZE];
    uint64_t position;
    assert_answer(fletch_mpsc_queue_claim(queue, 1, &position), FLETCH_DONE);
    start_popper(&team, &waiter);
    payload_fill(element, SIZE, 0, 2);
    assert_answer(fletch_mpsc_queue_try_push(queue, element), FLETCH_DONE); /* behind the claim */
    payload_fill(element, SIZE, 0, 1);
    fletch_mpsc_queue_publish(queue, position, element, 1);
    team_join(&team);
    assert_answer(waiter.answer, FLETCH_DONE);
    assert_true(payload_is(waiter.element, SIZE, 0, 1));
}

static void publishing_ends_the_wait_of_a_held_pop(void **state)
{
    (void)state;
    for_all(a_held_consumer_is_woken);
}

static void a_closed_queue_ends_the_wait(struct fletch_mpsc_queue *queue)
{
    struct waiter waiter = {.queue = queue};
    struct team team;
    start_popper(&team, &waiter);
    fletch_mpsc_queue_close(queue);
    team_join(&team);
    assert_answer(waiter.answer, FLETCH_CLOSED);
}

static void closing_ends_the_wait_of_a_pop(void **state)
{
    (void)state;
    for_all(a_closed_queue_ends_the_wait);
}

static void fill(struct fletch_mpsc_queue *queue)
{
    char element[SIZE] = {0};
    while (fletch_mpsc_queue_try_push(queue, element) == FLETCH_DONE)
        ;
}

static void start_pushers(struct team *team, struct waiter *waiters, size_t count)
{
    struct team_role roles[TEAM_MAX];
    for (size_t i = 0; i < count; i++)
        roles[i] = (struct team_role){.run = wait_to_push, .context = &waiters[i]};
    team_start(team, roles, count);
    if (waiters[0].queue->header.sleeps)
        sleeping_await(&waiters[0].queue->header.room, (uint32_t)count);
}

static void sleeping_producers_are_woken(struct fletch_mpsc_queue *queue)
{
    enum { PUSHERS = 4 };
    struct waiter waiters[PUSHERS];
    struct team team;
    char element[SIZE];
    fill(queue);
    for (size_t i = 0; i < PUSHERS; i++)
        waiters[i] = (struct waiter){.queue = queue, .count = 1 + i % 2};
    start_pushers(&team, waiters, PUSHERS);
    for (int i = 0; i < 2 + 6; i++)
        assert_answer(fletch_mpsc_queue_pop(queue, element, FLETCH_NO_TIMEOUT), FLETCH_DONE);
    team_join(&team);
    for (size_t i = 0; i < PUSHERS; i++)
        assert_answer(waiters[i].answer, FLETCH_DONE);
    assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_EMPTY);
}

static void pops_end_the_wait_of_pushes(void **state)
{
    (void)state;
    for_all(sleeping_producers_are_woken);
}

static void closing_wakes_every_producer(struct fletch_mpsc_queue *queue)
{
    enum { PUSHERS = 4 };
    struct waiter waiters[PUSHERS];
    struct team team;
    fill(queue);
    for (size_t i = 0; i < PUSHERS; i++)
        waiters[i] = (struct waiter){.queue = queue, .count = 1};
    start_pushers(&team, waiters, PUSHERS);
    fletch_mpsc_queue_close(queue);
    team_join(&team);
    for (size_t i = 0; i < PUSHERS; i++)
        assert_answer(waiters[i].answer, FLETCH_CLOSED);
}

static void closing_ends_the_wait_of_pushes(void **state)
{
    (void)state;
    for_all(closing_wakes_every_producer);
}

/* A batch that does not fit yet is asleep first, a single element that would fit is asleep
 * behind it. The room for one that a pop makes must reach the one that can use it: if it woke
 * the batch alone, this would hang. */
static void a_batch_that_waits_keeps_no_room_from_a_single_element(void **state)
{
    struct fletch_mpsc_queue_options options = mpsc_options(SIZE, 4);
    options.wait_strategy = FLETCH_WAIT_PARK;
    options.sharing = FLETCH_SHARING_HOST; /* whose sleepers sleep at once, for good */
    struct fletch_mpsc_queue *queue = mpsc_new(&options);
    struct waiter batch = {.queue = queue, .count = 4};
    struct waiter single = {.queue = queue, .count = 1};
    const struct team_role batch_role = {.run = wait_to_push, .context = &batch};
    const struct team_role single_role = {.run = wait_to_push, .context = &single};
    struct team batch_team;
    struct team single_team;
    char element[SIZE];
    (void)state;
    fill(queue);
    team_start(&batch_team, &batch_role, 1);
    sleeping_await(&queue->header.room, 1);
    sleeping_await_thread(team_tid(&batch_team, 0));
    team_start(&single_team, &single_role, 1);
    sleeping_await(&queue->header.room, 2);
    sleeping_await_thread(team_tid(&single_team, 0));
    assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_DONE);
    team_join(&single_team);
    assert_answer(single.answer, FLETCH_DONE);
    for (int i = 0; i < 4; i++)
        assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_DONE);
    team_join(&batch_team);
    assert_answer(batch.answer, FLETCH_DONE);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

/* ---- statistics ---- */

/* `full` and `empty` count calls, not looks: a call that waited for long is one. */
static void a_waiting_call_is_counted_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
        struct fletch_mpsc_queue *queue = make(1, wait_strategies[i]);
        char element[SIZE] = {0};
        assert_answer(fletch_mpsc_queue_pop(queue, element, TIMEOUT_NS), FLETCH_EMPTY);
        assert_int_equal(mpsc_statistics(queue).empty, 1);
        assert_answer(fletch_mpsc_queue_push(queue, element, 0), FLETCH_DONE);
        assert_answer(fletch_mpsc_queue_push(queue, element, TIMEOUT_NS), FLETCH_FULL);
        assert_int_equal(mpsc_statistics(queue).full, 1);
        fletch_mpsc_queue_destroy(queue, NULL, NULL);
    }
}

static void parks_are_counted_at_the_end_that_parked(void **state)
{
    struct fletch_mpsc_queue *queue = make(1, FLETCH_WAIT_PARK);
    char element[SIZE] = {0};
    (void)state;
    assert_answer(fletch_mpsc_queue_pop(queue, element, TIMEOUT_NS), FLETCH_EMPTY);
    assert_int_equal(mpsc_statistics(queue).consumer_parks, 1);
    assert_answer(fletch_mpsc_queue_push(queue, element, 0), FLETCH_DONE);
    assert_answer(fletch_mpsc_queue_push(queue, element, TIMEOUT_NS), FLETCH_FULL);
    assert_int_equal(mpsc_statistics(queue).producer_parks, 1);
    assert_int_equal(mpsc_statistics(queue).consumer_parks, 1);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

/* ---- descriptors ---- */

static bool is_ready(int epoll_fd)
{
    struct epoll_event event;
    return epoll_wait(epoll_fd, &event, 1, 0) == 1;
}

static int epoll_of(struct fletch_mpsc_queue *queue, enum fletch_ring_end end)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd = -1;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert_true(epoll_fd >= 0);
    assert_ok(fletch_mpsc_queue_open_fd(queue, end, &fd, NULL));
    assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), 0);
    return epoll_fd;
}

static void the_consumer_can_sleep_on_a_descriptor(void **state)
{
    uint32_t key = 0;
    struct fletch_mpsc_queue *queue = make(2, FLETCH_WAIT_PARK);
    int epoll_fd = epoll_of(queue, FLETCH_END_CONSUMER);
    char element[SIZE] = {0};
    uint64_t position;
    (void)state;
    assert_true(fletch_mpsc_queue_arm(queue, FLETCH_END_CONSUMER, &key));
    assert_false(is_ready(epoll_fd));
    assert_answer(fletch_mpsc_queue_claim(queue, 1, &position), FLETCH_DONE);
    assert_false(is_ready(epoll_fd));
    fletch_mpsc_queue_disarm(queue, FLETCH_END_CONSUMER, key);
    assert_true(fletch_mpsc_queue_arm(queue, FLETCH_END_CONSUMER, &key)); /* held: nothing to pop */
    fletch_mpsc_queue_publish(queue, position, element, 1);
    assert_true(is_ready(epoll_fd));
    fletch_mpsc_queue_disarm(queue, FLETCH_END_CONSUMER, key);
    assert_false(is_ready(epoll_fd));
    assert_false(fletch_mpsc_queue_arm(queue, FLETCH_END_CONSUMER, &key)); /* an element is there */
    assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_DONE);
    assert_true(fletch_mpsc_queue_arm(queue, FLETCH_END_CONSUMER, &key));
    fletch_mpsc_queue_close(queue);
    assert_true(is_ready(epoll_fd));
    fletch_mpsc_queue_disarm(queue, FLETCH_END_CONSUMER, key);
    assert_false(fletch_mpsc_queue_arm(queue, FLETCH_END_CONSUMER, &key)); /* the end is there */
    close(epoll_fd);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

static void several_producers_can_sleep_on_descriptors(void **state)
{
    uint32_t key = 0;
    struct fletch_mpsc_queue *queue = make(1, FLETCH_WAIT_ADAPTIVE);
    int epoll_fds[3];
    char element[SIZE] = {0};
    (void)state;
    for (int i = 0; i < 3; i++)
        epoll_fds[i] = epoll_of(queue, FLETCH_END_PRODUCER);
    assert_false(fletch_mpsc_queue_arm(queue, FLETCH_END_PRODUCER, &key)); /* there is room */
    fill(queue);
    for (int i = 0; i < 3; i++)
        assert_true(fletch_mpsc_queue_arm(queue, FLETCH_END_PRODUCER, &key));
    for (int i = 0; i < 3; i++)
        assert_false(is_ready(epoll_fds[i]));
    assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_DONE);
    for (int i = 0; i < 3; i++)
        assert_true(is_ready(epoll_fds[i]));
    fletch_mpsc_queue_disarm(queue, FLETCH_END_PRODUCER, key);
    assert_true(is_ready(epoll_fds[2])); /* two are armed still */
    fletch_mpsc_queue_disarm(queue, FLETCH_END_PRODUCER, key);
    fletch_mpsc_queue_disarm(queue, FLETCH_END_PRODUCER, key);
    assert_false(is_ready(epoll_fds[2]));
    fill(queue);
    assert_true(fletch_mpsc_queue_arm(queue, FLETCH_END_PRODUCER, &key));
    fletch_mpsc_queue_close(queue);
    assert_true(is_ready(epoll_fds[0]));
    fletch_mpsc_queue_disarm(queue, FLETCH_END_PRODUCER, key);
    assert_false(fletch_mpsc_queue_arm(queue, FLETCH_END_PRODUCER, &key)); /* the end is there */
    for (int i = 0; i < 3; i++)
        close(epoll_fds[i]);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

static void no_descriptor_without_sleep_or_across_processes(void **state)
{
    struct fletch_mpsc_queue_options options = mpsc_options(SIZE, 2);
    struct fletch_error error;
    int fd = -5;
    (void)state;
    struct fletch_mpsc_queue *queue = make(2, FLETCH_WAIT_YIELD);
    assert_int_equal(fletch_mpsc_queue_open_fd(queue, FLETCH_END_CONSUMER, &fd, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "never sleeps");
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
    options.sharing = FLETCH_SHARING_HOST;
    queue = mpsc_new(&options);
    assert_int_equal(fletch_mpsc_queue_open_fd(queue, FLETCH_END_PRODUCER, &fd, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "no descriptor");
    assert_int_equal(fd, -5);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pop_waits_no_less_than_its_timeout),
        cmocka_unit_test(a_push_waits_no_less_than_its_timeout),
        cmocka_unit_test(a_timeout_of_zero_looks_once),
        cmocka_unit_test(a_push_ends_the_wait_of_a_pop),
        cmocka_unit_test(publishing_ends_the_wait_of_a_held_pop),
        cmocka_unit_test(closing_ends_the_wait_of_a_pop),
        cmocka_unit_test(pops_end_the_wait_of_pushes),
        cmocka_unit_test(closing_ends_the_wait_of_pushes),
        cmocka_unit_test(a_waiting_call_is_counted_once),
        cmocka_unit_test(parks_are_counted_at_the_end_that_parked),
        cmocka_unit_test(the_consumer_can_sleep_on_a_descriptor),
        cmocka_unit_test(several_producers_can_sleep_on_descriptors),
        cmocka_unit_test(no_descriptor_without_sleep_or_across_processes),
        cmocka_unit_test(a_batch_that_waits_keeps_no_room_from_a_single_element),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
