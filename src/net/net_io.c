#include "net/net_io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static int system_open(void *context, int family)
{
    (void)context;
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int system_bind(void *context, int fd, const struct sockaddr *address, socklen_t bytes)
{
    (void)context;
    return bind(fd, address, bytes);
}

static int system_listen(void *context, int fd, int backlog)
{
    (void)context;
    return listen(fd, backlog);
}

static int system_accept(void *context, int fd, struct sockaddr *out_address, socklen_t *bytes)
{
    (void)context;
    return accept4(fd, out_address, bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static int system_connect(void *context, int fd, const struct sockaddr *address, socklen_t bytes)
{
    (void)context;
    return connect(fd, address, bytes);
}

static int system_pending_error(void *context, int fd, int *out_number)
{
    socklen_t bytes = sizeof *out_number;
    (void)context;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, out_number, &bytes);
}

static int system_set_option(void *context, int fd, const struct fletch_socket_option *option)
{
    (void)context;
    return setsockopt(fd, option->level, option->name, option->value, option->bytes);
}

/* One piece without control data needs no header that the system reads first. */
static bool is_plain(const struct msghdr *message)
{
    return message->msg_iovlen == 1 && message->msg_controllen == 0;
}

static ssize_t system_receive(void *context, int fd, struct msghdr *message)
{
    (void)context;
    if (is_plain(message))
        return recv(fd, message->msg_iov->iov_base, message->msg_iov->iov_len, 0);
    return recvmsg(fd, message, MSG_CMSG_CLOEXEC);
}

static ssize_t system_send(void *context, int fd, const struct msghdr *message)
{
    (void)context;
    const int flags = MSG_NOSIGNAL | message->msg_flags;
    if (is_plain(message))
        return send(fd, message->msg_iov->iov_base, message->msg_iov->iov_len, flags);
    return sendmsg(fd, message, flags);
}

static int system_shut_sending(void *context, int fd)
{
    (void)context;
    return shutdown(fd, SHUT_WR);
}

static int system_close(void *context, int fd)
{
    (void)context;
    return close(fd);
}

static int system_poll_open(void *context)
{
    (void)context;
    return epoll_create1(EPOLL_CLOEXEC);
}

static int system_poll_add(void *context, int poll_fd, int fd, struct epoll_event *event)
{
    (void)context;
    return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, event);
}

static int system_poll_remove(void *context, int poll_fd, int fd)
{
    struct epoll_event unused = {.events = 0};
    (void)context;
    return epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, &unused);
}

static int system_poll_wait(void *context, int poll_fd, struct epoll_event *events, int capacity,
                            int timeout_ms)
{
    (void)context;
    return epoll_wait(poll_fd, events, capacity, timeout_ms);
}

static uint64_t system_now_ns(void *context)
{
    (void)context;
    return fletch_clock_now_ns();
}

const struct fletch_net_io fletch_net_system_io = {
    .open = system_open,
    .bind = system_bind,
    .listen = system_listen,
    .accept = system_accept,
    .connect = system_connect,
    .pending_error = system_pending_error,
    .set_option = system_set_option,
    .receive = system_receive,
    .send = system_send,
    .shut_sending = system_shut_sending,
    .close = system_close,
    .poll_open = system_poll_open,
    .poll_add = system_poll_add,
    .poll_remove = system_poll_remove,
    .poll_wait = system_poll_wait,
    .now_ns = system_now_ns,
};

bool fletch_net_is_exhausted(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

static enum fletch_status status_of(int number)
{
    if (fletch_net_is_exhausted(number))
        return FLETCH_RESOURCE_EXHAUSTED;
    if (number == EACCES || number == EPERM)
        return FLETCH_PERMISSION_DENIED;
    return number == EADDRINUSE ? FLETCH_ALREADY_EXISTS : FLETCH_UNAVAILABLE;
}

enum fletch_status fletch_net_failure(struct fletch_error *error, int number, const char *what,
                                      const char *whom)
{
    char room[64];
    /* The form of the C library's that may point elsewhere than into the room. */
    return fletch_error_set(error, status_of(number), "%s '%s': system error %d: %s", what, whom,
                            number, strerror_r(number, room, sizeof room));
}
