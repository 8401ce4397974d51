#ifndef FLETCH_NET_CONNECTION_H
#define FLETCH_NET_CONNECTION_H

/* A stream of bytes to a peer and back, over a connected socket, driven by one loop.
 *
 * A connection knows no protocol: what it reads and writes is for its handler to say, a table of
 * functions that fits a protocol without I/O. It asks where the next bytes go and has the system
 * put them there; it asks what to send and gathers that in one call. So a byte is copied by the
 * system alone.
 *
 * A turn of a connection, after events of its socket, a kick, or its deadline: tick; as long as the
 * socket has bytes and the handler wants any: where, received; as long as the socket takes bytes
 * and the handler has any: gather, sent; then deadline. A connection that is busy leaves room for
 * others after FLETCH_CONNECTION_TURN_BYTES each way, and goes on in the next turn of the loop.
 *
 * Filters. What stands between the socket and a protocol, TLS above all, is a handler that has a
 * handler: it says where the bytes go that the peer has encoded, and puts what it makes of them
 * where the inner one says; it gathers from the inner one, and says what is to be sent of that. A
 * connection does not know of it. What a filter still has in hand when the inner handler has
 * refused bytes it hands over in `tick`, which comes with each kick.
 *
 * End. When `is_over`, sending is ended, what the peer still sends is thrown away for a while, so
 * that the last bytes are not lost to a reset, and the socket is closed. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "net/event_loop.h"
#include "net/socket.h"

struct fletch_connection;

enum { FLETCH_CONNECTION_SPANS = 64, FLETCH_CONNECTION_SLICES = 512 };
#define FLETCH_CONNECTION_TURN_BYTES ((size_t)4 << 20)
#define FLETCH_CONNECTION_LINGER_NS UINT64_C(1000000000)

/* Called by the loop's thread, none from within another, each with the handler's context. They may
 * call fletch_connection_kick and fletch_connection_close. */
struct fletch_connection_handler {
    /* Each turn begins with it. */
    void (*tick)(void *context, uint64_t now_ns);
    /* When a turn is wanted next, whatever happens; FLETCH_NO_DEADLINE: never. */
    uint64_t (*deadline)(void *context);
    /* Writes up to FLETCH_CONNECTION_SPANS places for the next bytes and returns how many. 0: no
     * bytes are wanted before the next kick. */
    size_t (*where)(void *context, struct iovec *out_spans);
    /* So many bytes are there, at least 1, in the order of the places. */
    void (*received)(void *context, size_t bytes);
    /* So many bytes will come for certain, so that the socket need not tell of fewer; 0 where that
     * is not known. */
    size_t (*certain_bytes)(void *context);
    /* No more bytes will come, and no places are asked for. NULL: the peer has ended its side.
     * Once. */
    void (*ended)(void *context, const struct fletch_error *cause);
    /* Writes up to `capacity` slices, which stay where they are until all of them are sent, and
     * returns how many. 0: nothing is to be sent before the next event or kick. */
    size_t (*gather)(void *context, struct iovec *out_slices, size_t capacity);
    /* After gather: whether more follows these slices at once, so that the system need not send a
     * segment that is not full. NULL: never. */
    bool (*has_more)(void *context);
    /* So many bytes of them are gone, at least 1. */
    void (*sent)(void *context, size_t bytes);
    /* Nothing more is to be sent or received. */
    bool (*is_over)(void *context);
    /* The last call: the connection is gone. NULL: it was over. */
    void (*closed)(void *context, const struct fletch_error *cause);
};

struct fletch_connection_options {
    struct fletch_event_loop *loop;
    int fd;                                   /* connected; accepted or of a connector */
    const struct fletch_socket_address *peer; /* for messages; a copy is kept; NULL: not known */
    const struct fletch_connection_handler *handler;
    void *context;
    uint64_t linger_ns; /* 0: FLETCH_CONNECTION_LINGER_NS; FLETCH_OFF: not at all */
};

struct fletch_connection_statistics {
    uint64_t bytes_received;
    uint64_t bytes_sent;
    uint64_t receives; /* system calls */
    uint64_t sends;
    uint64_t low_waters; /* changes of SO_RCVLOWAT */
};

/* Takes the descriptor, and begins with the loop's next turn. The loop's thread. On failure the
 * descriptor is the caller's: RESOURCE_EXHAUSTED, UNAVAILABLE. */
enum fletch_status fletch_connection_create(const struct fletch_connection_options *options,
                                            struct fletch_connection **out_connection,
                                            struct fletch_error *error);

/* The handler wants bytes again, has bytes to send, or is over: a turn comes soon. The loop's
 * thread. */
void fletch_connection_kick(struct fletch_connection *connection);

/* Closes it at once, or at the end of the handler's call from which this comes; `closed` is told
 * `cause` (NULL allowed), also of one that lingers. The loop's thread, or when it runs no more. */
void fletch_connection_close(struct fletch_connection *connection,
                             const struct fletch_error *cause);

void fletch_connection_statistics(const struct fletch_connection *connection,
                                  struct fletch_connection_statistics *out_statistics);

#endif
