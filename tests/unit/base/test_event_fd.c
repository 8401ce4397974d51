#include "base/event_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "support/cmocka_tests.h"

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN) != 0;
}

static void a_new_one_is_silent_and_close_on_exec(void **state)
{
    int fd = fletch_event_fd_open();
    (void)state;
    assert_true(fd >= 0);
    assert_false(is_readable(fd));
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    fletch_event_fd_close(fd);
    errno = 0;
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
}

static void signals_make_it_readable_until_it_is_drained(void **state)
{
    int fd = fletch_event_fd_open();
    (void)state;
    fletch_event_fd_signal(fd);
    assert_true(is_readable(fd));
    fletch_event_fd_signal(fd);
    fletch_event_fd_signal(fd);
    assert_true(is_readable(fd));
    fletch_event_fd_drain(fd);
    assert_false(is_readable(fd));
    fletch_event_fd_drain(fd);
    assert_false(is_readable(fd));
    fletch_event_fd_signal(fd);
    assert_true(is_readable(fd));
    fletch_event_fd_close(fd);
}

static void a_full_count_does_not_block_and_stays_readable(void **state)
{
    int fd = fletch_event_fd_open();
    uint64_t most = UINT64_MAX - 1;
    (void)state;
    assert_int_equal(write(fd, &most, sizeof most), sizeof most);
    fletch_event_fd_signal(fd);
    assert_true(is_readable(fd));
    fletch_event_fd_drain(fd);
    assert_false(is_readable(fd));
    fletch_event_fd_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_one_is_silent_and_close_on_exec),
        cmocka_unit_test(signals_make_it_readable_until_it_is_drained),
        cmocka_unit_test(a_full_count_does_not_block_and_stays_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
