#ifndef FLETCH_TESTS_SUPPORT_NET_STREAMS_H
#define FLETCH_TESTS_SUPPORT_NET_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "net/connection.h"

/* One end of a connection as a handler: sends so many bytes of a pattern, expects so many of the
 * peer's, in spans and slices of random sizes, and is over when both have passed. */

enum { STREAM_ROOM_BYTES = 64 << 10 };

struct stream_end {
    struct fletch_connection *connection; /* NULL once it is closed */
    struct fletch_random random;
    uint64_t to_send;
    uint64_t to_receive;
    uint64_t sent;
    uint64_t received;
    uint64_t room_total;    /* of the last `where` */
    uint64_t told_certain;  /* of what is left to receive, at most; 0: nothing */
    bool is_paused;         /* wants no bytes */
    bool stays;             /* is not over when the peer has ended */
    bool is_over;           /* at once */
    bool closes_on_receive; /* in the middle of its turn */
    uint64_t wrong;         /* bytes that are not the pattern's, answers out of turn */
    uint64_t ticks;
    uint64_t deadline_ns; /* 0: none */
    uint64_t ended_calls;
    uint64_t closed_calls;
    struct fletch_error ended_cause; /* OK: the peer has ended its side */
    struct fletch_error closed_cause;
    size_t span_count;
    struct iovec spans[FLETCH_CONNECTION_SPANS];
    unsigned char room[STREAM_ROOM_BYTES];
    unsigned char pattern[STREAM_ROOM_BYTES + 256]; /* byte i is i % 251 */
};

extern const struct fletch_connection_handler stream_end_handler;

void stream_end_start(struct stream_end *end, uint64_t seed, uint64_t to_send, uint64_t to_receive);

/* Makes its connection on `loop`; the descriptor is the connection's. */
void stream_end_connect(struct stream_end *end, struct fletch_event_loop *loop, int fd,
                        const struct fletch_socket_address *peer);

/* Two connected sockets that do not block: of TCP over loopback, or Unix ones. */
void stream_sockets(bool is_tcp, int out_fds[2], struct fletch_socket_address *out_peer);

/* Turns until both are closed, up to some seconds. */
bool stream_ends_run(struct fletch_event_loop *loop, const struct stream_end *one,
                     const struct stream_end *other);

#endif
