#include "support/failing_net.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* More slices than any caller has. */
enum { SLICES_MOST = 1024 };

static const struct fletch_net_io *const real = &fletch_net_system_io;

static bool fails(struct failing_net *net, enum failing_call call)
{
    if ((net->calls & (uint32_t)call) == 0)
        return false;
    net->counted++;
    bool now = net->counted == net->fail_at;
    bool later = net->goes_on && net->fail_at != 0 && net->counted > net->fail_at;
    if (!now && !later)
        return false;
    net->failures++;
    errno = net->number;
    return true;
}

static int note_descriptor(struct failing_net *net, int fd)
{
    net->descriptors += fd >= 0;
    return fd;
}

static int note_socket(struct failing_net *net, int fd)
{
    const int *bytes = &net->socket_bytes;
    if (fd >= 0 && *bytes != 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, bytes, sizeof *bytes);
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, bytes, sizeof *bytes);
    }
    return note_descriptor(net, fd);
}

/* Whoever was told less than the truth waits for an edge. */
static void tell_edge(struct failing_net *net, int fd)
{
    int number = errno;
    if (fd < FAILING_NET_DESCRIPTORS && net->watched[fd].event.events != 0)
        (void)epoll_ctl(net->watched[fd].poll_fd, EPOLL_CTL_MOD, fd, &net->watched[fd].event);
    errno = number;
}

static bool fails_on(struct failing_net *net, enum failing_call call, int fd)
{
    if (!fails(net, call))
        return false;
    if (net->number == EAGAIN)
        tell_edge(net, fd);
    return true;
}

static int failing_open(void *context, int family)
{
    return fails(context, NET_OPEN) ? -1 : note_socket(context, real->open(NULL, family));
}

static int failing_bind(void *context, int fd, const struct sockaddr *address, socklen_t bytes)
{
    return fails(context, NET_BIND) ? -1 : real->bind(NULL, fd, address, bytes);
}

static int failing_listen(void *context, int fd, int backlog)
{
    return fails(context, NET_LISTEN) ? -1 : real->listen(NULL, fd, backlog);
}

static int failing_accept(void *context, int fd, struct sockaddr *out_address, socklen_t *bytes)
{
    if (fails_on(context, NET_ACCEPT, fd))
        return -1;
    return note_socket(context, real->accept(NULL, fd, out_address, bytes));
}

/* One that is interrupted goes on by itself. */
static int failing_connect(void *context, int fd, const struct sockaddr *address, socklen_t bytes)
{
    struct failing_net *net = context;
    if (!fails(net, NET_CONNECT))
        return real->connect(NULL, fd, address, bytes);
    if (net->number == EINTR)
        (void)real->connect(NULL, fd, address, bytes);
    errno = net->number;
    return -1;
}

static int failing_pending_error(void *context, int fd, int *out_number)
{
    return fails(context, NET_PENDING_ERROR) ? -1 : real->pending_error(NULL, fd, out_number);
}

static int failing_set_option(void *context, int fd, const struct fletch_socket_option *option)
{
    return fails(context, NET_SET_OPTION) ? -1 : real->set_option(NULL, fd, option);
}

/* The slices' first bytes. */
static size_t cut(const struct msghdr *message, size_t most_bytes, struct iovec *out_slices)
{
    size_t count = 0;
    for (; count < message->msg_iovlen && most_bytes != 0; count++) {
        out_slices[count] = message->msg_iov[count];
        if (out_slices[count].iov_len > most_bytes)
            out_slices[count].iov_len = most_bytes;
        most_bytes -= out_slices[count].iov_len;
    }
    return count;
}

static ssize_t failing_receive(void *context, int fd, struct msghdr *message)
{
    struct failing_net *net = context;
    struct iovec slices[SLICES_MOST];
    if (fails_on(net, NET_RECEIVE, fd))
        return -1;
    if (net->most_bytes == 0)
        return real->receive(NULL, fd, message);
    struct msghdr shorter = {.msg_iov = slices,
                             .msg_iovlen = cut(message, net->most_bytes, slices)};
    ssize_t got = real->receive(NULL, fd, &shorter);
    if (got > 0)
        tell_edge(net, fd);
    return got;
}

static ssize_t failing_send(void *context, int fd, const struct msghdr *message)
{
    struct failing_net *net = context;
    struct iovec slices[SLICES_MOST];
    if (fails_on(net, NET_SEND, fd))
        return -1;
    if (net->most_bytes == 0)
        return real->send(NULL, fd, message);
    struct msghdr shorter = {.msg_iov = slices,
                             .msg_iovlen = cut(message, net->most_bytes, slices)};
    return real->send(NULL, fd, &shorter);
}

static int failing_shut_sending(void *context, int fd)
{
    return fails(context, NET_SHUT_SENDING) ? -1 : real->shut_sending(NULL, fd);
}

static int failing_close(void *context, int fd)
{
    struct failing_net *net = context;
    net->descriptors--;
    if (fd < FAILING_NET_DESCRIPTORS)
        net->watched[fd].event.events = 0;
    return real->close(NULL, fd);
}

static int failing_poll_open(void *context)
{
    return fails(context, NET_POLL_OPEN) ? -1 : note_descriptor(context, real->poll_open(NULL));
}

static int failing_poll_add(void *context, int poll_fd, int fd, struct epoll_event *event)
{
    struct failing_net *net = context;
    if (fails(net, NET_POLL_ADD))
        return -1;
    if (fd < FAILING_NET_DESCRIPTORS) {
        net->watched[fd].poll_fd = poll_fd;
        net->watched[fd].event = *event;
    }
    return real->poll_add(NULL, poll_fd, fd, event);
}

static int failing_poll_remove(void *context, int poll_fd, int fd)
{
    struct failing_net *net = context;
    if (fd < FAILING_NET_DESCRIPTORS)
        net->watched[fd].event.events = 0;
    return real->poll_remove(NULL, poll_fd, fd);
}

/* With a clock that stands, sleeping would be for ever: it moves on by what is slept. */
static int failing_poll_wait(void *context, int poll_fd, struct epoll_event *events, int capacity,
                             int timeout_ms)
{
    struct failing_net *net = context;
    net->waits++;
    if (fails(net, NET_POLL_WAIT))
        return -1;
    if (net->clock_ns == 0)
        return real->poll_wait(NULL, poll_fd, events, capacity, timeout_ms);
    int count = real->poll_wait(NULL, poll_fd, events, capacity, 1);
    if (count == 0 && timeout_ms > 0)
        net->clock_ns += (uint64_t)timeout_ms * 1000000;
    return count;
}

static uint64_t failing_now_ns(void *context)
{
    const struct failing_net *net = context;
    return net->clock_ns != 0 ? net->clock_ns : real->now_ns(NULL);
}

void failing_net_start(struct failing_net *net)
{
    *net = (struct failing_net){
        .io = {.open = failing_open,
               .bind = failing_bind,
               .listen = failing_listen,
               .accept = failing_accept,
               .connect = failing_connect,
               .pending_error = failing_pending_error,
               .set_option = failing_set_option,
               .receive = failing_receive,
               .send = failing_send,
               .shut_sending = failing_shut_sending,
               .close = failing_close,
               .poll_open = failing_poll_open,
               .poll_add = failing_poll_add,
               .poll_remove = failing_poll_remove,
               .poll_wait = failing_poll_wait,
               .now_ns = failing_now_ns,
               .context = net},
        .calls = NET_ALL,
    };
}
