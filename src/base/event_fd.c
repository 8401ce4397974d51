#include "base/event_fd.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int fletch_event_fd_open(void)
{
    return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void fletch_event_fd_signal(int fd)
{
    uint64_t one = 1;
    ssize_t written;
    do
        written = write(fd, &one, sizeof one);
    while (written < 0 && errno == EINTR);
    /* EAGAIN, the only other failure of a valid eventfd: the count is full, so it is readable. */
}

void fletch_event_fd_drain(int fd)
{
    uint64_t count;
    ssize_t got;
    do
        got = read(fd, &count, sizeof count);
    while (got < 0 && errno == EINTR);
    /* EAGAIN: there was nothing to drain. */
}

void fletch_event_fd_close(int fd)
{
    close(fd);
}
