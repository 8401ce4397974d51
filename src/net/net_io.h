#ifndef FLETCH_NET_NET_IO_H
#define FLETCH_NET_NET_IO_H

/* The system calls that the network makes, and its clock, as a table, so that tests can make any of
 * them fail and turn the clock. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/status.h"

struct fletch_socket_option {
    int level;
    int name;
    const void *value;
    socklen_t bytes;
};

/* Each answers as the system's call does, with errno. All sockets are streams that do not block and
 * are closed in programs that this one becomes. May be called by several threads at once. */
struct fletch_net_io {
    int (*open)(void *context, int family);
    int (*bind)(void *context, int fd, const struct sockaddr *address, socklen_t bytes);
    int (*listen)(void *context, int fd, int backlog);
    int (*accept)(void *context, int fd, struct sockaddr *out_address, socklen_t *bytes);
    int (*connect)(void *context, int fd, const struct sockaddr *address, socklen_t bytes);
    int (*pending_error)(void *context, int fd, int *out_number); /* SO_ERROR */
    int (*set_option)(void *context, int fd, const struct fletch_socket_option *option);
    ssize_t (*receive)(void *context, int fd, struct msghdr *message);
    /* With the flags of the message, and without SIGPIPE. */
    ssize_t (*send)(void *context, int fd, const struct msghdr *message);
    int (*shut_sending)(void *context, int fd);
    int (*close)(void *context, int fd);
    int (*poll_open)(void *context);
    int (*poll_add)(void *context, int poll_fd, int fd, struct epoll_event *event);
    int (*poll_remove)(void *context, int poll_fd, int fd);
    int (*poll_wait)(void *context, int poll_fd, struct epoll_event *events, int capacity,
                     int timeout_ms);
    uint64_t (*now_ns)(void *context);
    void *context;
};

/* The system's own. */
extern const struct fletch_net_io fletch_net_system_io;

/* Writes "`what` '`whom`': system error 111: Connection refused", and returns the status that the
 * error number stands for: ALREADY_EXISTS (an address in use), PERMISSION_DENIED,
 * RESOURCE_EXHAUSTED (descriptors, memory), UNAVAILABLE. */
enum fletch_status fletch_net_failure(struct fletch_error *error, int number, const char *what,
                                      const char *whom);

/* Whether this error number says that descriptors or memory have run out, which pass. */
bool fletch_net_is_exhausted(int number);

#endif
