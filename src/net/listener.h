#ifndef FLETCH_NET_LISTENER_H
#define FLETCH_NET_LISTENER_H

/* Accepts connections at one address, on one loop.
 *
 * Where the system has no descriptor or memory left for another connection, the listener goes on
 * after a pause, and connections wait in its queue meanwhile; it neither gives up nor spins. A
 * connection that ended before it was accepted is counted, and no more. */

#include "net/event_loop.h"
#include "net/socket.h"

struct fletch_listener;

#define FLETCH_LISTENER_PAUSE_NS UINT64_C(50000000)

struct fletch_listener_options {
    struct fletch_event_loop *loop;
    struct fletch_socket_address address; /* port 0: one that is free */
    int backlog;                          /* 0: as many as the system lets wait */
    bool shares_port; /* several listeners, of several loops, at one address of TCP */
    bool joins_port;  /* all of them but the first */
    /* Called by the loop's thread. The descriptor is the callee's, and so is the choice of the
     * loop on which it will live. May destroy the listener. */
    void (*accepted)(void *context, int fd, const struct fletch_socket_address *peer);
    void *context;
};

struct fletch_listener_statistics {
    uint64_t accepted;
    uint64_t failed; /* connections that ended before they were accepted */
    uint64_t pauses;
};

/* Listens from here on. The loop's thread, or before it runs. ALREADY_EXISTS: the address is in
 * use; PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAVAILABLE: the system's answer. */
enum fletch_status fletch_listener_create(const struct fletch_listener_options *options,
                                          struct fletch_listener **out_listener,
                                          struct fletch_error *error);

/* Closes it, and removes the file of a Unix socket. The loop's thread, or when it runs no more.
 * NULL allowed. */
void fletch_listener_destroy(struct fletch_listener *listener);

/* Where it listens. */
const struct fletch_socket_address *fletch_listener_address(const struct fletch_listener *listener);

void fletch_listener_statistics(const struct fletch_listener *listener,
                                struct fletch_listener_statistics *out_statistics);

#endif
