#include "fuzz/fed_net.h"

#include <errno.h>
#include <string.h>

/* Descriptors that are none. */
enum { POLL_FD = 1 << 20, CONNECTION_FD };

#define CLOCK_FIRST_NS UINT64_C(1000000000)

static const struct fletch_net_io *const real = &fletch_net_system_io;

static int fed_open(void *context, int family)
{
    (void)context;
    return real->open(NULL, family);
}

static int fed_bind(void *context, int fd, const struct sockaddr *address, socklen_t bytes)
{
    (void)context;
    return real->bind(NULL, fd, address, bytes);
}

static int fed_listen(void *context, int fd, int backlog)
{
    (void)context;
    return real->listen(NULL, fd, backlog);
}

static int fed_accept(void *context, int fd, struct sockaddr *out_address, socklen_t *bytes)
{
    struct fed_net *net = context;
    (void)fd;
    if (!net->has_called) {
        errno = EAGAIN;
        return -1;
    }
    net->has_called = false;
    net->is_connected = true;
    net->work++;
    out_address->sa_family = AF_UNIX;
    *bytes = sizeof out_address->sa_family;
    return CONNECTION_FD;
}

static int fed_connect(void *context, int fd, const struct sockaddr *address, socklen_t bytes)
{
    (void)context;
    (void)fd;
    (void)address;
    (void)bytes;
    errno = ECONNREFUSED;
    return -1;
}

static int fed_pending_error(void *context, int fd, int *out_number)
{
    (void)context;
    (void)fd;
    *out_number = 0;
    return 0;
}

static int fed_set_option(void *context, int fd, const struct fletch_socket_option *option)
{
    (void)context;
    return fd == CONNECTION_FD ? 0 : real->set_option(NULL, fd, option);
}

static ssize_t fed_receive(void *context, int fd, struct msghdr *message)
{
    struct fed_net *net = context;
    size_t bytes = 0;
    (void)fd;
    if (net->has_reset) {
        errno = ECONNRESET;
        return -1;
    }
    if (net->has_hung_up)
        return 0;
    for (size_t i = 0; i < message->msg_iovlen && net->chunk_left != 0; i++) {
        const struct iovec *span = &message->msg_iov[i];
        size_t now = span->iov_len < net->chunk_left ? span->iov_len : net->chunk_left;
        memcpy(span->iov_base, net->next, now);
        net->next += now;
        net->left -= now;
        net->chunk_left -= now;
        bytes += now;
    }
    if (bytes == 0) {
        errno = EAGAIN;
        return -1;
    }
    net->work++;
    return (ssize_t)bytes;
}

/* Reads all that it takes: a sanitizer sees what is not there. */
static ssize_t fed_send(void *context, int fd, const struct msghdr *message)
{
    struct fed_net *net = context;
    size_t bytes = 0;
    (void)fd;
    if (net->has_hung_up || net->has_reset) {
        errno = EPIPE;
        return -1;
    }
    for (size_t i = 0; i < message->msg_iovlen && net->send_left != 0; i++) {
        const struct iovec *slice = &message->msg_iov[i];
        size_t now = slice->iov_len < net->send_left ? slice->iov_len : net->send_left;
        for (size_t k = 0; k < now; k++)
            net->sum ^= ((const uint8_t *)slice->iov_base)[k];
        net->send_left -= now;
        bytes += now;
    }
    if (bytes == 0) {
        errno = EAGAIN;
        return -1;
    }
    net->sent += bytes;
    net->work++;
    return (ssize_t)bytes;
}

static int fed_shut_sending(void *context, int fd)
{
    (void)context;
    (void)fd;
    return 0;
}

static int fed_close(void *context, int fd)
{
    struct fed_net *net = context;
    if (fd == POLL_FD)
        return 0;
    if (fd != CONNECTION_FD)
        return real->close(NULL, fd);
    net->is_connected = false;
    return 0;
}

static int fed_poll_open(void *context)
{
    (void)context;
    return POLL_FD;
}

/* The first to be watched is what wakes the loop up, which nobody does: there is one thread. */
static int fed_poll_add(void *context, int poll_fd, int fd, struct epoll_event *event)
{
    struct fed_net *net = context;
    (void)poll_fd;
    if (fd == CONNECTION_FD)
        net->connection = event->data.ptr;
    else
        net->listener = event->data.ptr;
    return 0;
}

static int fed_poll_remove(void *context, int poll_fd, int fd)
{
    struct fed_net *net = context;
    (void)poll_fd;
    if (fd == CONNECTION_FD)
        net->connection = NULL;
    else
        net->listener = NULL;
    return 0;
}

static int fed_poll_wait(void *context, int poll_fd, struct epoll_event *events, int capacity,
                         int timeout_ms)
{
    struct fed_net *net = context;
    int count = 0;
    (void)poll_fd;
    (void)capacity;
    (void)timeout_ms;
    if (net->has_called && net->listener != NULL)
        events[count++] = (struct epoll_event){.events = EPOLLIN, .data = {.ptr = net->listener}};
    if (net->connection == NULL)
        return count;
    net->chunk_left = net->chunk_bytes < net->left ? net->chunk_bytes : net->left;
    net->send_left = net->send_bytes == 0 ? SIZE_MAX : net->send_bytes;
    uint32_t what = EPOLLIN | EPOLLOUT;
    if (net->has_hung_up || net->has_reset)
        what |= EPOLLRDHUP | EPOLLHUP;
    events[count++] = (struct epoll_event){.events = what, .data = {.ptr = net->connection}};
    return count;
}

static uint64_t fed_now_ns(void *context)
{
    const struct fed_net *net = context;
    return net->clock_ns;
}

void fed_net_start(struct fed_net *net)
{
    *net = (struct fed_net){
        .io = {.open = fed_open,
               .bind = fed_bind,
               .listen = fed_listen,
               .accept = fed_accept,
               .connect = fed_connect,
               .pending_error = fed_pending_error,
               .set_option = fed_set_option,
               .receive = fed_receive,
               .send = fed_send,
               .shut_sending = fed_shut_sending,
               .close = fed_close,
               .poll_open = fed_poll_open,
               .poll_add = fed_poll_add,
               .poll_remove = fed_poll_remove,
               .poll_wait = fed_poll_wait,
               .now_ns = fed_now_ns,
               .context = net},
        .chunk_bytes = SIZE_MAX,
        .clock_ns = CLOCK_FIRST_NS,
    };
}

void fed_net_call(struct fed_net *net, const uint8_t *bytes, size_t size)
{
    net->next = bytes;
    net->left = size;
    net->has_called = true;
    net->has_hung_up = net->has_reset = false;
    net->sent = net->work = 0;
}

void fed_net_end(struct fed_net *net, enum fed_end end)
{
    net->left = 0;
    net->has_hung_up = end != FED_RESETS;
    net->has_reset = end == FED_RESETS;
}
