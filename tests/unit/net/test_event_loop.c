#include "net/event_loop.h"

#include <fletching/wait.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/loop_group.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/failing_net.h"
#include "support/team.h"

#define MS_NS UINT64_C(1000000)

static struct fletch_event_loop *loop_new(uint64_t spin_ns)
{
    const struct fletch_event_loop_options options = {.spin_ns = spin_ns};
    struct fletch_event_loop *loop = NULL;
    assert_ok(fletch_event_loop_create(&options, &loop, NULL));
    return loop;
}

/* ---- tasks ---- */

struct note {
    struct fletch_loop_task task;
    int *order;
    int number;
    struct fletch_event_loop *stops;
};

static void write_down(void *context)
{
    struct note *note = context;
    *note->order = *note->order * 10 + note->number;
    if (note->stops != NULL)
        fletch_event_loop_stop(note->stops);
}

static void post_note(struct fletch_event_loop *loop, struct note *note)
{
    note->task = (struct fletch_loop_task){.run = write_down, .context = note};
    fletch_event_loop_post(loop, &note->task);
}

static void tasks_run_in_order_and_stop_ends_the_loop(void **state)
{
    struct fletch_event_loop *loop = loop_new(FLETCH_OFF);
    int order = 0;
    struct note notes[3] = {{.number = 1}, {.number = 2}, {.number = 3, .stops = loop}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        notes[i].order = &order;
        post_note(loop, &notes[i]);
    }
    fletch_event_loop_run(loop);
    assert_int_equal(order, 123);
    assert_false(fletch_event_loop_turn(loop, 0)); /* it stays stopped */
    fletch_event_loop_destroy(loop);
}

static void destroying_runs_what_is_left(void **state)
{
    struct fletch_event_loop *loop = loop_new(0);
    int order = 0;
    struct note note = {.number = 7, .order = &order};
    (void)state;
    post_note(loop, &note);
    fletch_event_loop_destroy(loop);
    assert_int_equal(order, 7);
    fletch_event_loop_destroy(NULL);
}

static void run_loop(void *context)
{
    fletch_event_loop_run(context);
}

struct late_post {
    struct fletch_event_loop *loop;
    struct note note;
};

static void post_late(void *context)
{
    struct late_post *late = context;
    usleep(20000);
    post_note(late->loop, &late->note);
}

static void a_post_wakes_a_loop_that_sleeps(void **state)
{
    (void)state;
    for (int spins = 0; spins < 2; spins++) {
        struct fletch_event_loop *loop = loop_new(spins ? MS_NS : FLETCH_OFF);
        int order = 0;
        struct late_post late = {.loop = loop,
                                 .note = {.number = 5, .order = &order, .stops = loop}};
        const struct team_role roles[] = {{.run = run_loop, .context = loop},
                                          {.run = post_late, .context = &late}};
        team_run(roles, 2);
        assert_int_equal(order, 5);
        struct fletch_event_loop_statistics statistics;
        fletch_event_loop_statistics(loop, &statistics);
        assert_int_equal(statistics.tasks, 1);
        assert_true(statistics.sleeps >= 1);
        assert_true(statistics.turns <= 3); /* it does not spin for ever */
        fletch_event_loop_destroy(loop);
    }
}

/* ---- time ---- */

static void count(void *context)
{
    ++*(int *)context;
}

static void timers_end_a_sleep_and_are_not_early(void **state)
{
    struct fletch_event_loop *loop = loop_new(FLETCH_OFF);
    struct fletch_timer timer;
    int calls = 0;
    (void)state;
    fletch_timer_start(&timer, count, &calls);
    uint64_t begin_ns = fletch_clock_now_ns();
    fletch_timer_wheel_set(fletch_event_loop_wheel(loop), &timer, begin_ns + 20 * MS_NS);
    while (calls == 0)
        assert_true(fletch_event_loop_turn(loop, UINT64_MAX));
    assert_true(fletch_clock_now_ns() - begin_ns >= 20 * MS_NS);
    struct fletch_event_loop_statistics statistics;
    fletch_event_loop_statistics(loop, &statistics);
    assert_true(statistics.turns <= 3);
    assert_int_equal(statistics.timers, 1);
    fletch_event_loop_destroy(loop);
}

static void a_turn_waits_no_longer_than_told(void **state)
{
    (void)state;
    for (int spins = 0; spins < 2; spins++) {
        struct fletch_event_loop *loop = loop_new(spins ? 2 * MS_NS : FLETCH_OFF);
        uint64_t begin_ns = fletch_clock_now_ns();
        assert_true(fletch_event_loop_turn(loop, 10 * MS_NS));
        assert_true(fletch_clock_now_ns() - begin_ns >= 10 * MS_NS);
        struct fletch_event_loop_statistics statistics;
        assert_true(fletch_event_loop_turn(loop, 0));
        fletch_event_loop_statistics(loop, &statistics);
        assert_int_equal(statistics.sleeps, 1); /* with a timeout of 0: none */
        fletch_event_loop_destroy(loop);
    }
}

/* ---- descriptors ---- */

struct pair {
    struct fletch_event_loop *loop;
    struct fletch_event_source *source; /* that it unwatches when called; NULL: none */
    uint32_t events;
    int calls;
};

static void on_ready(void *context, uint32_t events)
{
    struct pair *pair = context;
    pair->events |= events;
    pair->calls++;
    if (pair->source != NULL)
        fletch_event_loop_unwatch(pair->loop, pair->source);
}

/* Two sources are ready at once, and each unwatches the other. */
static void no_event_comes_after_unwatch(void **state)
{
    struct fletch_event_loop *loop = loop_new(FLETCH_OFF);
    int fds[2];
    struct pair pairs[2] = {{.loop = loop}, {.loop = loop}};
    struct fletch_event_source sources[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        sources[i] =
            (struct fletch_event_source){.fd = fds[i], .ready = on_ready, .context = &pairs[i]};
        pairs[i].source = &sources[1 - i];
        assert_ok(fletch_event_loop_watch(loop, &sources[i], EPOLLOUT, NULL));
    }
    assert_true(fletch_event_loop_turn(loop, 10 * MS_NS));
    assert_int_equal(pairs[0].calls + pairs[1].calls, 1);
    for (int i = 0; i < 2; i++) {
        fletch_event_loop_unwatch(loop, &sources[i]);
        close(fds[i]);
    }
    fletch_event_loop_destroy(loop);
}

static void events_are_edges(void **state)
{
    struct fletch_event_loop *loop = loop_new(FLETCH_OFF);
    int fds[2];
    struct pair pair = {.loop = loop};
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct fletch_event_source source = {.fd = fds[0], .ready = on_ready, .context = &pair};
    assert_ok(fletch_event_loop_watch(loop, &source, EPOLLIN, NULL));
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(write(fds[1], "x", 1), 1);
        assert_true(fletch_event_loop_turn(loop, 100 * MS_NS));
        assert_true(fletch_event_loop_turn(loop, MS_NS));
        assert_int_equal(pair.calls, i);
    }
    assert_int_equal(pair.events, EPOLLIN);
    struct fletch_error error;
    struct fletch_event_source bad = {.fd = -1, .ready = on_ready};
    assert_int_equal(fletch_event_loop_watch(loop, &bad, EPOLLIN, &error), FLETCH_UNAVAILABLE);
    fletch_event_loop_unwatch(loop, &source);
    close(fds[0]);
    close(fds[1]);
    fletch_event_loop_destroy(loop);
}

struct looked {
    int left; /* times that there is something */
    int looks;
};

static bool look(void *context)
{
    struct looked *looked = context;
    looked->looks++;
    return looked->left-- > 0;
}

/* One that always has something does not keep others waiting, and one that is looked at no more, or
 * has nothing, lets the loop sleep. */
static void a_loop_that_spins_looks_at_a_source(void **state)
{
    int fds[2];
    struct pair pair = {.calls = 0};
    struct looked looked = {.left = 3};
    struct fletch_event_source others = {.ready = on_ready, .context = &pair};
    struct fletch_event_source source = {.ready = on_ready, .context = &looked, .look = look};
    (void)state;
    for (int spins = 0; spins < 2; spins++) {
        struct fletch_event_loop *loop = loop_new(spins ? 10 * MS_NS : FLETCH_OFF);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        source.fd = fds[0];
        others.fd = fds[1];
        assert_ok(fletch_event_loop_watch(loop, &source, EPOLLIN, NULL));
        assert_ok(fletch_event_loop_watch(loop, &others, EPOLLIN, NULL));
        fletch_event_loop_look_at(loop, &source);
        for (int i = 0; i < 3; i++)
            assert_true(fletch_event_loop_turn(loop, spins ? UINT64_MAX : MS_NS));
        assert_int_equal(looked.looks, spins ? 3 : 0);
        looked = (struct looked){.left = INT32_MAX};
        assert_int_equal(write(fds[0], "x", 1), 1);
        pair.calls = 0;
        assert_true(fletch_event_loop_turn(loop, UINT64_MAX));
        assert_int_equal(pair.calls, 1);
        looked.left = 0;
        uint64_t begin_ns = fletch_clock_now_ns();
        assert_true(fletch_event_loop_turn(loop, 20 * MS_NS));
        assert_true(fletch_clock_now_ns() - begin_ns >= 20 * MS_NS);
        int before = looked.looks;
        fletch_event_loop_look_away(loop, &others); /* it is another one */
        fletch_event_loop_turn(loop, MS_NS);
        assert_true(spins ? looked.looks > before : looked.looks == 0);
        before = looked.looks;
        fletch_event_loop_unwatch(loop, &source);
        fletch_event_loop_turn(loop, MS_NS);
        assert_int_equal(looked.looks, before);
        looked = (struct looked){.left = 3};
        fletch_event_loop_unwatch(loop, &others);
        close(fds[0]);
        close(fds[1]);
        fletch_event_loop_destroy(loop);
    }
}

struct late_timer {
    struct fletch_event_loop *loop;
    struct fletch_timer timer;
};

static bool look_and_set_timer(void *context)
{
    struct late_timer *late = context;
    fletch_timer_wheel_set(fletch_event_loop_wheel(late->loop), &late->timer, 0);
    return false;
}

/* Though there was nothing to see, and no other reason to wake up. */
static void a_timer_that_a_look_has_set_is_not_slept_over(void **state)
{
    struct fletch_event_loop *loop = loop_new(MS_NS);
    struct late_timer late = {.loop = loop};
    struct fletch_event_source source = {.context = &late, .look = look_and_set_timer};
    int calls = 0;
    (void)state;
    fletch_timer_start(&late.timer, count, &calls);
    fletch_event_loop_look_at(loop, &source);
    assert_true(fletch_event_loop_turn(loop, UINT64_MAX));
    assert_int_equal(calls, 1);
    fletch_event_loop_look_away(loop, &source);
    fletch_timer_wheel_clear(fletch_event_loop_wheel(loop), &late.timer);
    fletch_event_loop_destroy(loop);
}

/* ---- failures ---- */

static void creating_with_the_nth_failure(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct failing_net net;
        failing_net_start(&net);
        net.fail_at = n;
        net.number = EMFILE;
        const struct fletch_event_loop_options options = {.io = &net.io};
        struct fletch_event_loop *loop = NULL;
        struct fletch_error error;
        if (fletch_event_loop_create(&options, &loop, &error) == FLETCH_OK) {
            assert_true(n == 3); /* epoll, the watch of the waker */
            fletch_event_loop_destroy(loop);
            assert_int_equal(net.descriptors, 0);
            break;
        }
        assert_int_equal(error.status, FLETCH_RESOURCE_EXHAUSTED);
        assert_int_equal(net.descriptors, 0);
    }
}

static void an_interrupted_or_failing_wait_is_a_turn(void **state)
{
    static const int numbers[] = {EINTR, ENOMEM};
    (void)state;
    for (uint64_t i = 0; i < 2; i++) {
        struct failing_net net;
        failing_net_start(&net);
        net.calls = NET_POLL_WAIT;
        net.fail_at = 1;
        net.number = numbers[i];
        const struct fletch_event_loop_options options = {.io = &net.io, .spin_ns = FLETCH_OFF};
        struct fletch_event_loop *loop = NULL;
        assert_ok(fletch_event_loop_create(&options, &loop, NULL));
        assert_true(fletch_event_loop_turn(loop, MS_NS));
        struct fletch_event_loop_statistics statistics;
        fletch_event_loop_statistics(loop, &statistics);
        assert_int_equal(net.failures, 1);
        assert_int_equal(statistics.poll_failures, i);
        fletch_event_loop_destroy(loop);
    }
}

/* ---- groups ---- */

static void a_group_runs_a_loop_on_each_thread(void **state)
{
    const struct fletch_loop_group_options options = {.loop_count = 3};
    struct fletch_loop_group *group = NULL;
    int orders[3] = {0};
    struct note notes[3];
    (void)state;
    assert_ok(fletch_loop_group_create(&options, &group, NULL));
    assert_int_equal(fletch_loop_group_count(group), 3);
    for (uint32_t i = 0; i < 3; i++) {
        notes[i] = (struct note){.number = 1, .order = &orders[i]};
        struct fletch_event_loop *loop = fletch_loop_group_next(group);
        assert_ptr_equal(loop, fletch_loop_group_loop(group, i));
        post_note(loop, &notes[i]);
    }
    assert_ptr_equal(fletch_loop_group_next(group), fletch_loop_group_loop(group, 0));
    fletch_loop_group_destroy(group);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(orders[i], 1);
    fletch_loop_group_destroy(NULL);
}

static void a_group_with_the_nth_failure(void **state)
{
    const struct fletch_loop_group_options many = {.loop_count = FLETCH_LOOPS_MOST + 1};
    struct fletch_loop_group *group = NULL;
    struct fletch_error error;
    (void)state;
    assert_int_equal(fletch_loop_group_create(&many, &group, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "257");
    static struct counting_allocator counting;
    for (uint64_t n = 1; n <= 4; n++) {
        counting_allocator_start(&counting, n);
        const struct fletch_loop_group_options options = {
            .loop_count = 2, .loop = {.allocator = &counting.allocator}};
        enum fletch_status status = fletch_loop_group_create(&options, &group, &error);
        assert_int_equal(status, n == 4 ? FLETCH_OK : FLETCH_RESOURCE_EXHAUSTED);
        if (status == FLETCH_OK)
            fletch_loop_group_destroy(group);
        assert_int_equal(counting.live_bytes, 0);
        assert_int_equal(counting.mismatched, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_run_in_order_and_stop_ends_the_loop),
        cmocka_unit_test(destroying_runs_what_is_left),
        cmocka_unit_test(a_post_wakes_a_loop_that_sleeps),
        cmocka_unit_test(timers_end_a_sleep_and_are_not_early),
        cmocka_unit_test(a_turn_waits_no_longer_than_told),
        cmocka_unit_test(no_event_comes_after_unwatch),
        cmocka_unit_test(events_are_edges),
        cmocka_unit_test(a_loop_that_spins_looks_at_a_source),
        cmocka_unit_test(a_timer_that_a_look_has_set_is_not_slept_over),
        cmocka_unit_test(creating_with_the_nth_failure),
        cmocka_unit_test(an_interrupted_or_failing_wait_is_a_turn),
        cmocka_unit_test(a_group_runs_a_loop_on_each_thread),
        cmocka_unit_test(a_group_with_the_nth_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
