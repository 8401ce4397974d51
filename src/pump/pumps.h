#ifndef FLETCH_PUMP_PUMPS_H
#define FLETCH_PUMP_PUMPS_H

/* All pumps of a transport: its medium between processes. One thread steps all sessions; others
 * hand it what is new through an inbox. docs/PUMP.md.
 *
 * The thread sleeps on one eventcount, which everybody tells that has something for a session: the
 * streams of Flight, the outlets and inlets of shuffles, whoever dials. So a session that has
 * nothing to do costs a look at each wake-up and nothing else.
 *
 * Who dials may have to wait for a name to be looked up or for a connection: workers do it.
 *
 * Edges:
 *   E1: thread fetch_sub_release(served) -> fletch_pumps_end_served load_acquire(served): the
 *       streams are left, and nothing of the server is touched any more.
 *   E2: stop store_release(stops) -> thread load_acquire(stops): what was done before.
 *   E3: fletch_pumps_serve fetch_add_acq_rel(ends_served) -> fletch_pumps_end_served
 *       exchange_acq_rel(ends_served): the stream was counted; and the other way round: who serves
 *       sees that it has ended. */

#include <fletching/flight_client.h>
#include <fletching/transport.h>

#include "flight/flight_stream.h"

struct fletch_pumps;

#define FLETCH_RECONNECT_GRACE_NS_DEFAULT UINT64_C(10000000000)
#define FLETCH_PUMP_CONNECT_NS_DEFAULT UINT64_C(30000000000)

#define FLETCH_EAGER_BYTES_DEFAULT (UINT64_C(256) << 10)

/* Zero means default in every field. */
struct fletch_pumps_options {
    /* How long a session without a connection is kept; then its producers are lost. A connection on
     * which nothing was heard for as long counts as none. 0: FLETCH_RECONNECT_GRACE_NS_DEFAULT. */
    uint64_t reconnect_grace_ns;
    /* How long the first connection to a process may take. 0: FLETCH_PUMP_CONNECT_NS_DEFAULT. */
    uint64_t connect_ns;
    uint64_t backoff_first_ns; /* between attempts: 0: 20 ms */
    uint64_t backoff_most_ns;  /* 0: 1 s */
    /* What the other side of a session may send without asking for credit first, in frames of up
     * to an eighth of it, so that small ones come at once. 0: FLETCH_EAGER_BYTES_DEFAULT;
     * FLETCH_OFF: nothing. */
    uint64_t eager_bytes;
    enum fletch_ipc_compression compression;
    /* Of the client that dials: its pool, account and allocator are the transport's. */
    struct fletch_flight_client_options client;
    uint64_t spin_ns; /* of the thread; 0: the default; FLETCH_OFF: not at all */
};

/* The pumps of a transport, made and installed as its medium at the first call, whose options
 * they have: a reference, the caller's. INVALID_ARGUMENT: an option; ALREADY_EXISTS: the transport
 * has another medium; RESOURCE_EXHAUSTED: no memory, descriptor or thread; UNAVAILABLE: the system
 * gives no random bytes. One thread at a time for a transport. */
enum fletch_status fletch_pumps_acquire(struct fletch_transport *transport,
                                        const struct fletch_pumps_options *options,
                                        struct fletch_pumps **out_pumps,
                                        struct fletch_error *error);

/* The last one ends the thread and all sessions: what was not sent is lost. Blocks. NULL
 * allowed. */
void fletch_pumps_release(struct fletch_pumps *pumps);

/* The client that dials, for other calls to the same processes. As long as the pumps. */
struct fletch_flight_client *fletch_pumps_client(struct fletch_pumps *pumps);

/* Whether a descriptor is the command of a pump. */
bool fletch_pumps_is_command(const struct fletch_flight_descriptor *descriptor);

/* From within the handler of a DoExchange with that command: takes the stream over
 * (fletch_flight_stream_take_over) and returns at once; the call ends when the pump is done with
 * it. RESOURCE_EXHAUSTED: no memory; UNAVAILABLE: it was ended; then the stream stays with the
 * handler. Any thread. */
enum fletch_status fletch_pumps_serve(struct fletch_pumps *pumps,
                                      struct fletch_flight_stream *stream,
                                      struct fletch_error *error);

/* Refuses streams from now on, ends those that were taken over, and waits for that: before the
 * Flight server is destroyed. Those of which only the last words are missing get up to 2 s for
 * them. Blocks. */
void fletch_pumps_end_served(struct fletch_pumps *pumps);

/* Words and nothing else. */
struct fletch_pumps_statistics {
    uint64_t sessions_now;
    uint64_t sessions_connected_now;
    uint64_t connections_cut;
    uint64_t frames_sent;
    uint64_t bytes_sent;
    uint64_t frames_sent_again;
    uint64_t frames_accepted; /* of others */
    uint64_t frames_duplicate;
};

/* Numbers of a little while ago. Any thread. */
void fletch_pumps_statistics(const struct fletch_pumps *pumps,
                             struct fletch_pumps_statistics *out_statistics);

#endif
