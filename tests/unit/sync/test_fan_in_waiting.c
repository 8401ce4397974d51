#include "sync/fan_in.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/sleeping.h"
#include "support/team.h"

/* Calls that wait, and descriptors. */

enum { SIZE = 16, TIMEOUT_NS = 2000000, LANES = 3 };

static struct fletch_fan_in *make(size_t capacity, enum fletch_wait_strategy strategy)
{
    struct fletch_fan_in_options options = fan_in_options(SIZE, capacity, LANES);
    options.wait_strategy = strategy;
    return fan_in_new(&options);
}

static void for_all(void (*test)(struct fletch_fan_in *fan_in))
{
    for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
        struct fletch_fan_in *fan_in = make(2, wait_strategies[i]);
        test(fan_in);
        fletch_fan_in_destroy(fan_in, NULL, NULL);
    }
}

static void no_element_until_the_deadline(struct fletch_fan_in *fan_in)
{
    char element[SIZE];
    struct fletch_ring_spans spans;
    size_t popped = 7;
    (void)fan_in_register(fan_in);
    uint64_t deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_fan_in_pop(fan_in, element, TIMEOUT_NS), FLETCH_EMPTY);
    assert_true(fletch_clock_now_ns() >= deadline);
    deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_fan_in_pop_many(fan_in, element, 1, TIMEOUT_NS, &popped), FLETCH_EMPTY);
    assert_true(fletch_clock_now_ns() >= deadline);
    assert_int_equal(popped, 0);
    deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_fan_in_peek(fan_in, 1, TIMEOUT_NS, &spans), FLETCH_EMPTY);
    assert_true(fletch_clock_now_ns() >= deadline);
    assert_int_equal(fan_in_statistics(fan_in).empty, 3);
}

static void a_pop_waits_no_less_than_its_timeout(void **state)
{
    (void)state;
    for_all(no_element_until_the_deadline);
}

static void full_until_the_deadline(struct fletch_fan_in *fan_in)
{
    struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
    struct fletch_ring_spans spans;
    char elements[3 * SIZE] = {0};
    size_t pushed = 9;
    uint64_t deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_fan_in_lane_push_many(lane, elements, 3, TIMEOUT_NS, &pushed),
                  FLETCH_FULL);
    assert_int_equal(pushed, 2);
    assert_true(fletch_clock_now_ns() >= deadline);
    deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_fan_in_lane_push(lane, elements, TIMEOUT_NS), FLETCH_FULL);
    assert_true(fletch_clock_now_ns() >= deadline);
    deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_fan_in_lane_claim(lane, 1, TIMEOUT_NS, &spans), FLETCH_FULL);
    assert_true(fletch_clock_now_ns() >= deadline);
    assert_int_equal(fan_in_statistics(fan_in).pushed, 2);
    assert_int_equal(fan_in_statistics(fan_in).full, 3); /* calls, not looks */
}

static void a_push_waits_no_less_than_its_timeout(void **state)
{
    (void)state;
    for_all(full_until_the_deadline);
}

/* ---- waiting for another thread ---- */

struct popper {
    struct fletch_fan_in *fan_in;
    enum fletch_answer answer;
    char element[SIZE];
};

static void wait_to_pop(void *context)
{
    struct popper *popper = context;
    popper->answer = fletch_fan_in_pop(popper->fan_in, popper->element, FLETCH_NO_TIMEOUT);
}

static void start_popper(struct team *team, struct popper *popper)
{
    const struct team_role role = {.run = wait_to_pop, .context = popper};
    team_start(team, &role, 1);
    if (popper->fan_in->sleeps)
        sleeping_await(&popper->fan_in->elements, 1);
}

/* From a lane that has never been used, and from one that is awake. */
static void a_sleeping_consumer_is_woken(struct fletch_fan_in *fan_in)
{
    struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
    for (uint64_t i = 0; i < 3; i++) {
        struct popper popper = {.fan_in = fan_in};
        struct team team;
        char element[SIZE];
        start_popper(&team, &popper);
        payload_fill(element, SIZE, 0, i);
        assert_answer(fletch_fan_in_lane_try_push(lane, element), FLETCH_DONE);
        team_join(&team);
        assert_answer(popper.answer, FLETCH_DONE);
        assert_true(payload_is(popper.element, SIZE, 0, i));
    }
}

static void a_push_ends_the_wait_of_a_pop(void **state)
{
    (void)state;
    for_all(a_sleeping_consumer_is_woken);
}

static void the_end_wakes_the_consumer(struct fletch_fan_in *fan_in)
{
    struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
    struct popper popper = {.fan_in = fan_in};
    struct team team;
    fletch_fan_in_close(fan_in);
    start_popper(&team, &popper);
    fletch_fan_in_lane_close(lane);
    team_join(&team);
    assert_answer(popper.answer, FLETCH_CLOSED);
}

static void the_last_producer_to_leave_ends_the_wait_of_a_pop(void **state)
{
    (void)state;
    for_all(the_end_wakes_the_consumer);
}

static void closing_wakes_the_consumer(struct fletch_fan_in *fan_in)
{
    struct popper popper = {.fan_in = fan_in};
    struct team team;
    start_popper(&team, &popper);
    fletch_fan_in_close(fan_in);
    team_join(&team);
    assert_answer(popper.answer, FLETCH_CLOSED);
}

static void closing_ends_the_wait_of_a_pop(void **state)
{
    (void)state;
    for_all(closing_wakes_the_consumer);
}

struct pusher {
    struct fletch_fan_in_lane *lane;
    enum fletch_answer answer;
    size_t pushed;
};

/* More than the lane holds. */
static void wait_to_push(void *context)
{
    struct pusher *pusher = context;
    char elements[8 * SIZE] = {0};
    pusher->answer =
        fletch_fan_in_lane_push_many(pusher->lane, elements, 8, FLETCH_NO_TIMEOUT, &pusher->pushed);
}

static void start_pusher(struct team *team, struct pusher *pusher)
{
    const struct team_role role = {.run = wait_to_push, .context = pusher};
    team_start(team, &role, 1);
    if (pusher->lane->fan_in->sleeps)
        sleeping_await(&pusher->lane->ring->header.room, 1);
}

/* Both wait for each other in turns: each part of the batch must be heard of. */
static void a_producer_is_woken(struct fletch_fan_in *fan_in)
{
    struct pusher pusher = {.lane = fan_in_register(fan_in)};
    struct team team;
    char element[SIZE];
    start_pusher(&team, &pusher);
    for (int i = 0; i < 8; i++)
        assert_answer(fletch_fan_in_pop(fan_in, element, FLETCH_NO_TIMEOUT), FLETCH_DONE);
    team_join(&team);
    assert_answer(pusher.answer, FLETCH_DONE);
    assert_int_equal(pusher.pushed, 8);
}

static void pops_end_the_wait_of_a_push(void **state)
{
    (void)state;
    for_all(a_producer_is_woken);
}

static void cancelling_wakes_producers(struct fletch_fan_in *fan_in)
{
    struct pusher pushers[LANES];
    struct team teams[LANES];
    for (size_t i = 0; i < LANES; i++) {
        pushers[i] = (struct pusher){.lane = fan_in_register(fan_in)};
        start_pusher(&teams[i], &pushers[i]);
    }
    while (fan_in_statistics(fan_in).pushed < 2 * LANES)
        fletch_thread_yield();
    fletch_fan_in_cancel(fan_in);
    for (size_t i = 0; i < LANES; i++) {
        team_join(&teams[i]);
        assert_answer(pushers[i].answer, FLETCH_CLOSED);
        assert_int_equal(pushers[i].pushed, 2);
    }
}

static void cancelling_ends_the_wait_of_pushes(void **state)
{
    (void)state;
    for_all(cancelling_wakes_producers);
}

/* ---- descriptors ---- */

static bool is_ready(int epoll_fd)
{
    struct epoll_event event;
    return epoll_wait(epoll_fd, &event, 1, 0) == 1;
}

static int epoll_of(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert_true(epoll_fd >= 0);
    assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), 0);
    return epoll_fd;
}

static void the_consumer_sleeps_on_one_descriptor_for_all_lanes(void **state)
{
    struct fletch_fan_in *fan_in = make(2, FLETCH_WAIT_PARK);
    char element[SIZE] = {0};
    uint32_t key = 0;
    int fd;
    (void)state;
    assert_ok(fletch_fan_in_open_fd(fan_in, &fd, NULL));
    int epoll_fd = epoll_of(fd);
    for (int i = 0; i < LANES; i++) {
        struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
        assert_true(fletch_fan_in_arm(fan_in, &key));
        assert_false(is_ready(epoll_fd));
        assert_answer(fletch_fan_in_lane_try_push(lane, element), FLETCH_DONE);
        assert_true(is_ready(epoll_fd));
        fletch_fan_in_disarm(fan_in, key);
        assert_false(is_ready(epoll_fd));
        assert_false(fletch_fan_in_arm(fan_in, &key)); /* an element is there */
        assert_answer(fletch_fan_in_try_pop(fan_in, element), FLETCH_DONE);
        fletch_fan_in_lane_close(lane);
    }
    assert_true(fletch_fan_in_arm(fan_in, &key));
    fletch_fan_in_close(fan_in);
    assert_true(is_ready(epoll_fd));
    fletch_fan_in_disarm(fan_in, key);
    assert_false(fletch_fan_in_arm(fan_in, &key)); /* the end is there */
    close(epoll_fd);
    fletch_fan_in_destroy(fan_in, NULL, NULL);
}

static void a_producer_sleeps_on_the_descriptor_of_its_lane(void **state)
{
    struct fletch_fan_in *fan_in = make(1, FLETCH_WAIT_ADAPTIVE);
    struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
    char element[SIZE] = {0};
    uint32_t key = 0;
    int fd;
    (void)state;
    assert_ok(fletch_fan_in_lane_open_fd(lane, &fd, NULL));
    int epoll_fd = epoll_of(fd);
    assert_false(fletch_fan_in_lane_arm(lane, &key)); /* there is room */
    assert_answer(fletch_fan_in_lane_try_push(lane, element), FLETCH_DONE);
    assert_true(fletch_fan_in_lane_arm(lane, &key));
    assert_false(is_ready(epoll_fd));
    assert_answer(fletch_fan_in_try_pop(fan_in, element), FLETCH_DONE);
    assert_true(is_ready(epoll_fd));
    fletch_fan_in_lane_disarm(lane, key);
    close(epoll_fd);
    fletch_fan_in_destroy(fan_in, NULL, NULL);
}

static void no_descriptor_without_sleep(void **state)
{
    struct fletch_fan_in *fan_in = make(2, FLETCH_WAIT_YIELD);
    struct fletch_error error;
    int fd = -5;
    (void)state;
    assert_int_equal(fletch_fan_in_open_fd(fan_in, &fd, &error), FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "never sleeps");
    assert_int_equal(fletch_fan_in_lane_open_fd(fan_in_register(fan_in), &fd, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fd, -5);
    fletch_fan_in_destroy(fan_in, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pop_waits_no_less_than_its_timeout),
        cmocka_unit_test(a_push_waits_no_less_than_its_timeout),
        cmocka_unit_test(a_push_ends_the_wait_of_a_pop),
        cmocka_unit_test(the_last_producer_to_leave_ends_the_wait_of_a_pop),
        cmocka_unit_test(closing_ends_the_wait_of_a_pop),
        cmocka_unit_test(pops_end_the_wait_of_a_push),
        cmocka_unit_test(cancelling_ends_the_wait_of_pushes),
        cmocka_unit_test(the_consumer_sleeps_on_one_descriptor_for_all_lanes),
        cmocka_unit_test(a_producer_sleeps_on_the_descriptor_of_its_lane),
        cmocka_unit_test(no_descriptor_without_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
