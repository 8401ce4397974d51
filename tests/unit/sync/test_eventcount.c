#include "sync/eventcount.h"

#include <fletching/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/sleeping.h"
#include "support/team.h"

enum { TIMEOUT_NS = 2000000, WAITERS = 6 };

static struct fletch_eventcount *make(void)
{
    struct fletch_eventcount *eventcount;
    assert_ok(fletch_eventcount_create(NULL, &eventcount, NULL));
    return eventcount;
}

/* ---- making ---- */

static void memory_must_suffice_and_be_aligned(void **state)
{
    _Alignas(8) char memory[64];
    struct fletch_eventcount *eventcount = NULL;
    struct fletch_error error;
    size_t bytes = fletch_eventcount_bytes();
    (void)state;
    assert_true(bytes <= sizeof memory);
    assert_int_equal(fletch_eventcount_init(NULL, 64, FLETCH_SHARING_PROCESS, &eventcount, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "NULL");
    assert_int_equal(
        fletch_eventcount_init(memory, bytes - 1, FLETCH_SHARING_PROCESS, &eventcount, &error),
        FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "are needed");
    assert_int_equal(fletch_eventcount_init(memory + fletch_eventcount_alignment() / 2, bytes,
                                            FLETCH_SHARING_PROCESS, &eventcount, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "not aligned");
    assert_int_equal(
        fletch_eventcount_init(memory, bytes, (enum fletch_sharing)2, &eventcount, &error),
        FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "sharing 2");
    assert_null(eventcount);
    memset(memory, 0xcd, sizeof memory);
    assert_ok(fletch_eventcount_init(memory, bytes, FLETCH_SHARING_HOST, &eventcount, NULL));
    assert_ptr_equal(eventcount, memory);
    assert_false(fletch_eventcount_wait(eventcount, fletch_eventcount_prepare(eventcount), 0));
    fletch_eventcount_deinit(eventcount);
}

static void memory_comes_from_the_given_allocator_and_goes_back(void **state)
{
    struct counting_allocator counting;
    struct fletch_eventcount *eventcount;
    (void)state;
    counting_allocator_start(&counting, 0);
    assert_ok(fletch_eventcount_create(&counting.allocator, &eventcount, NULL));
    fletch_eventcount_destroy(eventcount);
    assert_int_equal(counting.requests, 1);
    assert_int_equal(counting.live_bytes, 0);
    assert_int_equal(counting.mismatched, 0);
}

static void ending_no_eventcount_is_allowed(void **state)
{
    (void)state;
    fletch_eventcount_destroy(NULL);
    fletch_eventcount_deinit(NULL);
}

static void host_sharing_takes_full_fences(void **state)
{
    struct fletch_eventcount eventcount;
    (void)state;
    fletch_eventcount_start(&eventcount, FLETCH_SHARING_HOST);
    assert_int_equal(eventcount.fence_kind, FLETCH_FENCE_FULL);
    fletch_eventcount_start(&eventcount, FLETCH_SHARING_PROCESS);
    assert_int_equal(eventcount.fence_kind, fletch_fence_kind_of_process());
}

/* ---- one thread ---- */

static void notifying_nobody_changes_nothing(void **state)
{
    struct fletch_eventcount *eventcount = make();
    struct fletch_eventcount before;
    (void)state;
    memcpy(&before, eventcount, sizeof before);
    fletch_eventcount_notify(eventcount, 1);
    fletch_eventcount_notify(eventcount, UINT32_MAX);
    assert_memory_equal(&before, eventcount, sizeof before);
    (void)fletch_eventcount_prepare(eventcount);
    fletch_eventcount_cancel(eventcount);
    assert_memory_equal(&before, eventcount, sizeof before); /* nobody again */
    fletch_eventcount_notify(eventcount, 1);
    assert_memory_equal(&before, eventcount, sizeof before);
    fletch_eventcount_destroy(eventcount);
}

static void a_notification_after_prepare_ends_the_wait_at_once(void **state)
{
    struct fletch_eventcount *eventcount = make();
    (void)state;
    uint32_t key = fletch_eventcount_prepare(eventcount);
    fletch_eventcount_notify(eventcount, 1);
    assert_true(fletch_eventcount_wait(eventcount, key, FLETCH_NO_TIMEOUT));
    key = fletch_eventcount_prepare(eventcount);
    fletch_eventcount_notify(eventcount, 1);
    assert_true(fletch_eventcount_wait(eventcount, key, 0));
    assert_true(load_relaxed(&eventcount->sleepers) % FLETCH_ONE_GENERATION == 0);
    fletch_eventcount_destroy(eventcount);
}

static void a_notification_before_prepare_does_not_count(void **state)
{
    struct fletch_eventcount *eventcount = make();
    (void)state;
    uint32_t key = fletch_eventcount_prepare(eventcount);
    fletch_eventcount_notify(eventcount, 1);
    assert_true(fletch_eventcount_wait(eventcount, key, FLETCH_NO_TIMEOUT));
    key = fletch_eventcount_prepare(eventcount);
    assert_false(fletch_eventcount_wait(eventcount, key, 0));
    fletch_eventcount_destroy(eventcount);
}

static void a_wait_lasts_no_less_than_its_timeout(void **state)
{
    struct fletch_eventcount *eventcount = make();
    (void)state;
    uint64_t deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_false(
        fletch_eventcount_wait(eventcount, fletch_eventcount_prepare(eventcount), TIMEOUT_NS));
    assert_true(fletch_clock_now_ns() >= deadline);
    assert_true(load_relaxed(&eventcount->sleepers) % FLETCH_ONE_GENERATION == 0);
    fletch_eventcount_destroy(eventcount);
}

static void the_epoch_wraps_without_a_trace(void **state)
{
    struct fletch_eventcount *eventcount = make();
    (void)state;
    store_relaxed(&eventcount->epoch, UINT32_MAX - 3);
    for (int i = 0; i < 8; i++) {
        uint32_t key = fletch_eventcount_prepare(eventcount);
        assert_int_equal(key, UINT32_MAX - 3 + (uint32_t)i);
        fletch_eventcount_notify(eventcount, 1);
        assert_true(fletch_eventcount_wait(eventcount, key, FLETCH_NO_TIMEOUT));
        key = fletch_eventcount_prepare(eventcount);
        assert_false(fletch_eventcount_wait(eventcount, key, 0));
    }
    assert_int_equal(load_relaxed(&eventcount->epoch), 4);
    fletch_eventcount_destroy(eventcount);
}

/* ---- several threads ---- */

/* Sleeps until there is a permit to take. */
struct gate {
    struct fletch_eventcount *eventcount;
    _Atomic uint32_t permits;
    _Atomic uint32_t passed;
};

static bool take_permit(struct gate *gate)
{
    uint32_t permits = load_acquire(&gate->permits);
    while (permits > 0)
        if (cas_strong_acq_rel(&gate->permits, &permits, permits - 1))
            return true;
    return false;
}

static void pass_by_futex(void *context)
{
    struct gate *gate = context;
    for (;;) {
        uint32_t key = fletch_eventcount_prepare(gate->eventcount);
        if (take_permit(gate)) {
            fletch_eventcount_cancel(gate->eventcount);
            break;
        }
        (void)fletch_eventcount_wait(gate->eventcount, key, FLETCH_NO_TIMEOUT);
    }
    fetch_add_release(&gate->passed, 1);
}

static void pass_by_epoll(void *context)
{
    struct gate *gate = context;
    struct epoll_event event = {.events = EPOLLIN};
    int fd;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (fletch_eventcount_open_fd(gate->eventcount, &fd, NULL) != FLETCH_OK ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return;
    for (;;) {
        uint32_t key = fletch_eventcount_arm(gate->eventcount);
        bool passes = take_permit(gate);
        if (!passes)
            (void)!epoll_wait(epoll_fd, &event, 1, -1);
        fletch_eventcount_disarm(gate->eventcount, key);
        if (passes)
            break;
    }
    close(epoll_fd);
    fetch_add_release(&gate->passed, 1);
}

static void await_announced(struct gate *gate, uint32_t futexes, uint32_t armed)
{
    uint64_t expected = futexes + armed * FLETCH_ONE_ARMED;
    while ((load_acquire(&gate->eventcount->sleepers) & FLETCH_SLEEPERS_MASK) != expected)
        sched_yield();
}

static void start_gate(struct gate *gate, struct team *team, void (*even)(void *),
                       void (*odd)(void *))
{
    struct team_role roles[WAITERS];
    *gate = (struct gate){.eventcount = make()};
    for (size_t i = 0; i < WAITERS; i++)
        roles[i] = (struct team_role){.run = i % 2 == 0 ? even : odd, .context = gate};
    team_start(team, roles, WAITERS);
}

static void end_gate(struct gate *gate, struct team *team)
{
    team_join(team);
    assert_int_equal(load_relaxed(&gate->passed), WAITERS);
    assert_true(load_relaxed(&gate->eventcount->sleepers) % FLETCH_ONE_GENERATION == 0);
    fletch_eventcount_destroy(gate->eventcount);
}

static void one_notification_is_enough_for_one_waiter(void **state)
{
    struct gate gate;
    struct team team;
    (void)state;
    start_gate(&gate, &team, pass_by_futex, pass_by_futex);
    for (uint32_t i = 0; i < WAITERS; i++) {
        await_announced(&gate, WAITERS - i, 0);
        assert_int_equal(load_acquire(&gate.passed), i);
        fetch_add_release(&gate.permits, 1);
        fletch_eventcount_notify(gate.eventcount, 1);
        while (load_acquire(&gate.passed) == i)
            sched_yield();
    }
    end_gate(&gate, &team);
}

static void one_notification_of_all_is_enough_for_all(void **state)
{
    struct gate gate;
    struct team team;
    (void)state;
    start_gate(&gate, &team, pass_by_futex, pass_by_futex);
    await_announced(&gate, WAITERS, 0);
    fetch_add_release(&gate.permits, WAITERS);
    fletch_eventcount_notify(gate.eventcount, UINT32_MAX);
    end_gate(&gate, &team);
}

static void every_epoll_waiter_is_woken(void **state)
{
    struct gate gate;
    struct team team;
    (void)state;
    start_gate(&gate, &team, pass_by_epoll, pass_by_epoll);
    await_announced(&gate, 0, WAITERS);
    fetch_add_release(&gate.permits, WAITERS);
    fletch_eventcount_notify(gate.eventcount, 1);
    end_gate(&gate, &team);
}

static void futex_and_epoll_waiters_are_woken_together(void **state)
{
    struct gate gate;
    struct team team;
    (void)state;
    start_gate(&gate, &team, pass_by_futex, pass_by_epoll);
    await_announced(&gate, WAITERS / 2, WAITERS / 2);
    fetch_add_release(&gate.permits, WAITERS);
    fletch_eventcount_notify(gate.eventcount, UINT32_MAX);
    end_gate(&gate, &team);
}

/* Permits one by one to a mixed crowd: those who find none go back to sleep and are not
 * forgotten. */
static void a_mixed_crowd_passes_one_by_one(void **state)
{
    struct gate gate;
    struct team team;
    (void)state;
    start_gate(&gate, &team, pass_by_futex, pass_by_epoll);
    for (uint32_t i = 0; i < WAITERS; i++) {
        fetch_add_release(&gate.permits, 1);
        fletch_eventcount_notify(gate.eventcount, UINT32_MAX);
        while (load_acquire(&gate.passed) == i)
            sched_yield();
    }
    end_gate(&gate, &team);
}

static void a_shared_eventcount_wakes_too(void **state)
{
    struct fletch_eventcount eventcount;
    struct gate gate = {.eventcount = &eventcount};
    const struct team_role role = {.run = pass_by_futex, .context = &gate};
    struct team team;
    (void)state;
    fletch_eventcount_start(&eventcount, FLETCH_SHARING_HOST);
    team_start(&team, &role, 1);
    await_announced(&gate, 1, 0);
    sleeping_await_thread(team_tid(&team, 0));
    fetch_add_release(&gate.permits, 1);
    fletch_eventcount_notify(&eventcount, 1);
    team_join(&team);
    assert_int_equal(load_relaxed(&gate.passed), 1);
    fletch_eventcount_deinit(&eventcount);
}

static void a_wait_across_the_epochs_end_is_woken(void **state)
{
    struct gate gate = {.eventcount = make()};
    const struct team_role role = {.run = pass_by_futex, .context = &gate};
    struct team team;
    (void)state;
    store_relaxed(&gate.eventcount->epoch, UINT32_MAX);
    team_start(&team, &role, 1);
    await_announced(&gate, 1, 0);
    sleeping_await_thread(team_tid(&team, 0));
    fetch_add_release(&gate.permits, 1);
    fletch_eventcount_notify(gate.eventcount, 1);
    team_join(&team);
    assert_int_equal(load_relaxed(&gate.eventcount->epoch), 0);
    fletch_eventcount_destroy(gate.eventcount);
}

/* ---- the descriptor ---- */

static bool is_ready(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert_true(epoll_fd >= 0);
    assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), 0);
    bool ready = epoll_wait(epoll_fd, &event, 1, 0) == 1;
    close(epoll_fd);
    return ready;
}

static void there_is_one_descriptor_and_it_is_closed_at_the_end(void **state)
{
    struct fletch_eventcount *eventcount = make();
    int first = -1;
    int second = -2;
    (void)state;
    assert_ok(fletch_eventcount_open_fd(eventcount, &first, NULL));
    assert_ok(fletch_eventcount_open_fd(eventcount, &second, NULL));
    assert_int_equal(first, second);
    assert_true((fcntl(first, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(first, F_GETFD) & FD_CLOEXEC) != 0);
    fletch_eventcount_destroy(eventcount);
    errno = 0;
    assert_int_equal(fcntl(first, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
}

static void the_descriptor_is_readable_from_notification_to_disarm(void **state)
{
    struct fletch_eventcount *eventcount = make();
    int fd;
    (void)state;
    assert_ok(fletch_eventcount_open_fd(eventcount, &fd, NULL));
    assert_false(is_ready(fd));
    fletch_eventcount_notify(eventcount, 1); /* nobody is armed */
    assert_false(is_ready(fd));
    uint32_t key = fletch_eventcount_arm(eventcount);
    assert_false(is_ready(fd));
    fletch_eventcount_notify(eventcount, 1);
    assert_true(is_ready(fd));
    fletch_eventcount_notify(eventcount, 1);
    fletch_eventcount_disarm(eventcount, key);
    assert_false(is_ready(fd));
    key = fletch_eventcount_arm(eventcount);
    assert_false(is_ready(fd)); /* the old notification is forgotten */
    fletch_eventcount_disarm(eventcount, key);
    fletch_eventcount_destroy(eventcount);
}

static void the_descriptor_is_silent_when_the_last_one_disarms(void **state)
{
    struct fletch_eventcount *eventcount = make();
    int fd;
    (void)state;
    assert_ok(fletch_eventcount_open_fd(eventcount, &fd, NULL));
    uint32_t keys[3];
    for (int i = 0; i < 3; i++)
        keys[i] = fletch_eventcount_arm(eventcount);
    fletch_eventcount_notify(eventcount, 1);
    for (int i = 0; i < 3; i++) {
        assert_true(is_ready(fd));
        fletch_eventcount_disarm(eventcount, keys[i]);
    }
    assert_false(is_ready(fd));
    fletch_eventcount_destroy(eventcount);
}

/* Sleepers that come and go in turn must not keep each other awake: who arms after a
 * notification is not owed it. */
static void arming_again_does_not_keep_the_descriptor_readable(void **state)
{
    struct fletch_eventcount *eventcount = make();
    int fd;
    (void)state;
    assert_ok(fletch_eventcount_open_fd(eventcount, &fd, NULL));
    uint32_t first = fletch_eventcount_arm(eventcount);
    uint32_t second = fletch_eventcount_arm(eventcount);
    fletch_eventcount_notify(eventcount, 1);
    fletch_eventcount_disarm(eventcount, first);
    first = fletch_eventcount_arm(eventcount);
    assert_true(is_ready(fd)); /* the second one has not seen it yet */
    fletch_eventcount_disarm(eventcount, second);
    assert_false(is_ready(fd));
    fletch_eventcount_notify(eventcount, 1);
    assert_true(is_ready(fd));
    second = fletch_eventcount_arm(eventcount);
    fletch_eventcount_notify(eventcount, 1); /* owes the second one too */
    fletch_eventcount_disarm(eventcount, first);
    assert_true(is_ready(fd));
    fletch_eventcount_disarm(eventcount, second);
    assert_false(is_ready(fd));
    fletch_eventcount_destroy(eventcount);
}

static void a_futex_sleeper_does_not_make_the_descriptor_readable(void **state)
{
    struct fletch_eventcount *eventcount = make();
    int fd;
    (void)state;
    assert_ok(fletch_eventcount_open_fd(eventcount, &fd, NULL));
    uint32_t key = fletch_eventcount_prepare(eventcount);
    fletch_eventcount_notify(eventcount, 1);
    assert_false(is_ready(fd));
    assert_true(fletch_eventcount_wait(eventcount, key, FLETCH_NO_TIMEOUT));
    fletch_eventcount_destroy(eventcount);
}

static void an_eventcount_of_several_processes_has_no_descriptor(void **state)
{
    struct fletch_eventcount eventcount;
    struct fletch_error error;
    int fd = -5;
    (void)state;
    fletch_eventcount_start(&eventcount, FLETCH_SHARING_HOST);
    assert_int_equal(fletch_eventcount_open_fd(&eventcount, &fd, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "no descriptor");
    assert_int_equal(fd, -5);
    fletch_eventcount_deinit(&eventcount);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_must_suffice_and_be_aligned),
        cmocka_unit_test(memory_comes_from_the_given_allocator_and_goes_back),
        cmocka_unit_test(ending_no_eventcount_is_allowed),
        cmocka_unit_test(host_sharing_takes_full_fences),
        cmocka_unit_test(notifying_nobody_changes_nothing),
        cmocka_unit_test(a_notification_after_prepare_ends_the_wait_at_once),
        cmocka_unit_test(a_notification_before_prepare_does_not_count),
        cmocka_unit_test(a_wait_lasts_no_less_than_its_timeout),
        cmocka_unit_test(the_epoch_wraps_without_a_trace),
        cmocka_unit_test(one_notification_is_enough_for_one_waiter),
        cmocka_unit_test(one_notification_of_all_is_enough_for_all),
        cmocka_unit_test(every_epoll_waiter_is_woken),
        cmocka_unit_test(futex_and_epoll_waiters_are_woken_together),
        cmocka_unit_test(a_mixed_crowd_passes_one_by_one),
        cmocka_unit_test(a_shared_eventcount_wakes_too),
        cmocka_unit_test(a_wait_across_the_epochs_end_is_woken),
        cmocka_unit_test(there_is_one_descriptor_and_it_is_closed_at_the_end),
        cmocka_unit_test(the_descriptor_is_readable_from_notification_to_disarm),
        cmocka_unit_test(the_descriptor_is_silent_when_the_last_one_disarms),
        cmocka_unit_test(arming_again_does_not_keep_the_descriptor_readable),
        cmocka_unit_test(a_futex_sleeper_does_not_make_the_descriptor_readable),
        cmocka_unit_test(an_eventcount_of_several_processes_has_no_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
