#ifndef FLETCH_TESTS_SUPPORT_FAILING_NET_H
#define FLETCH_TESTS_SUPPORT_FAILING_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "net/net_io.h"

/* The system's network with faults: any call can fail, transfers can be short, and the clock can be
 * turned. It counts descriptors, so that a test sees whether all were closed. One thread. */

enum failing_call {
    NET_OPEN = 1,
    NET_BIND = 2,
    NET_LISTEN = 4,
    NET_ACCEPT = 8,
    NET_CONNECT = 16,
    NET_PENDING_ERROR = 32,
    NET_SET_OPTION = 64,
    NET_RECEIVE = 128,
    NET_SEND = 256,
    NET_SHUT_SENDING = 512,
    NET_POLL_OPEN = 1024,
    NET_POLL_ADD = 2048,
    NET_POLL_WAIT = 4096,
    NET_ALL = 8191
};

/* Descriptors of which edges are told again after a call was told that there is nothing, or got
 * less than there was: the system would. */
enum { FAILING_NET_DESCRIPTORS = 256 };

struct failing_net {
    struct fletch_net_io io; /* to pass to the library */
    uint32_t calls;          /* those that are counted and may fail */
    uint64_t counted;
    uint64_t fail_at; /* the number of the call that fails, from 1; 0: none */
    bool goes_on;     /* all counted ones from there on fail */
    int number;       /* the error */
    uint64_t failures;
    size_t most_bytes; /* of a receive or send; 0: any number */
    int socket_bytes;  /* of what sockets keep, each way; 0: as the system has it */
    uint64_t clock_ns; /* 0: the system's clock */
    int64_t descriptors;
    uint64_t waits; /* calls of poll_wait */
    struct {
        int poll_fd;
        struct epoll_event event;
    } watched[FAILING_NET_DESCRIPTORS];
};

/* It stays where it is from here on. */
void failing_net_start(struct failing_net *net);

#endif
