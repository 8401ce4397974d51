#ifndef FLETCH_NET_CONNECTOR_H
#define FLETCH_NET_CONNECTOR_H

/* Connects to the first of several addresses that answers.
 *
 * Happy eyeballs (RFC 8305): the addresses are tried in an order in which the families take turns,
 * beginning with the first one's; the next one is tried when the last one has failed, or has not
 * answered for a while; the first connection wins and the others are closed. When all have failed,
 * they are tried again after a pause (net/backoff.h), until the deadline, if that is wanted. */

#include "net/backoff.h"
#include "net/event_loop.h"
#include "net/socket.h"

struct fletch_connector;

enum { FLETCH_CONNECTOR_ADDRESSES_MOST = 16 };
#define FLETCH_CONNECTOR_STAGGER_NS UINT64_C(250000000)

struct fletch_connected {
    int fd; /* the callee's; -1: none */
    const struct fletch_socket_address *peer;
    const struct fletch_error *error; /* NULL: connected */
};

struct fletch_connector_options {
    struct fletch_event_loop *loop;
    const struct fletch_socket_address *addresses; /* a copy is kept */
    size_t address_count;                          /* 1 to FLETCH_CONNECTOR_ADDRESSES_MOST */
    uint64_t deadline_ns; /* base/clock.h; 0: none, as FLETCH_NO_DEADLINE */
    uint64_t stagger_ns;  /* until the next address is tried beside the last; 0: the default */
    bool tries_again;
    uint64_t pause_first_ns; /* of the backoff; 0: the default */
    uint64_t pause_most_ns;
    uint64_t seed; /* of its jitter */
    /* Called once, by the loop's thread, never from within create; then the connector is gone.
     * UNAVAILABLE and others: the last one's failure; DEADLINE_EXCEEDED. */
    void (*done)(void *context, const struct fletch_connected *connected);
    void *context;
};

/* Begins. The loop's thread, or before it runs. INVALID_ARGUMENT: the number of addresses;
 * RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_connector_create(const struct fletch_connector_options *options,
                                           struct fletch_connector **out_connector,
                                           struct fletch_error *error);

/* Gives up, without a call of `done`. The loop's thread, or when it runs no more. NULL allowed. */
void fletch_connector_destroy(struct fletch_connector *connector);

#endif
