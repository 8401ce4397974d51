#ifndef FLETCH_FLIGHT_FLIGHT_CONNECTION_H
#define FLETCH_FLIGHT_FLIGHT_CONNECTION_H

/* A client's connections: one for each slot of its pool, on the loop that the slot belongs to, and
 * the calls on their way to one. docs/FLIGHT.md.
 *
 * What belongs to a loop is its thread's alone; tasks carry calls there, and the pool's word says
 * what becomes of a slot. Beside these:
 *   E1: put cas_strong_release(shelf) -> take exchange_acquire(shelf): a cache as its last stream
 *       has left it.
 *   E2: a loop's end fetch_sub_acq_rel(loops_left) -> load_acquire of who waits for all of them. */

#include "flight/flight_location.h"
#include "flight/flight_method.h"
#include "flight/flight_stream.h"
#include "net/loop_group.h"
#include "rpc/rpc_channel.h"

struct fletch_flight_connection;
struct fletch_flight_connections;

struct fletch_flight_connections_options {
    uint32_t slot_count;
    uint32_t connections_per_address;
    uint32_t calls_per_connection;
    uint32_t loop_count;
    uint64_t connect_timeout_ns;
    uint64_t idle_timeout_ns; /* FLETCH_OFF: never */
    uint64_t pause_first_ns;
    uint64_t pause_most_ns;
    uint64_t keepalive_ns; /* 0: none */
    uint64_t spin_ns;
    size_t message_limit_bytes;
    size_t write_queue_bytes;
    size_t peer_message_bytes;
    enum fletch_validation validation;
    struct fletch_buffer_pool *buffers; /* of all caches */
    struct fletch_account *account;
    const struct fletch_allocator *allocator; /* stays where it is */
};

/* Starts the loops. RESOURCE_EXHAUSTED: no memory, descriptor or thread; INVALID_ARGUMENT: a
 * number. Blocks for a moment. */
enum fletch_status
fletch_flight_connections_create(const struct fletch_flight_connections_options *options,
                                 struct fletch_flight_connections **out_connections,
                                 struct fletch_error *error);

/* Ends all calls (UNAVAILABLE) and the loops. All streams are closed. Blocks; not a loop's thread.
 * NULL allowed. */
void fletch_flight_connections_destroy(struct fletch_flight_connections *connections);

/* A call to be. */
struct fletch_flight_start {
    const struct fletch_flight_method *method;
    const struct fletch_flight_location *location;
    uint64_t deadline_ns; /* FLETCH_NO_DEADLINE: none */
    const struct fletch_flight_header *headers;
    size_t header_count;
    bool waits_for_ready; /* also where the last attempt to connect has failed */
};

/* Begins a call: waits for a slot and for nothing else, but for a resolver where the host is a name
 * and there is no connection yet. Errors as fletch_connection_pool_acquire and
 * fletch_flight_location_resolve; RESOURCE_EXHAUSTED: no memory; INVALID_ARGUMENT: a header. What
 * goes wrong later ends the stream. Any thread. */
enum fletch_status fletch_flight_connections_start(struct fletch_flight_connections *connections,
                                                   const struct fletch_flight_start *start,
                                                   struct fletch_flight_stream **out_stream,
                                                   struct fletch_error *error);

const struct fletch_connection_pool *
fletch_flight_connections_pool(const struct fletch_flight_connections *connections);

/* The counters of a loop. */
const struct fletch_flight_counters *
fletch_flight_connections_counters(const struct fletch_flight_connections *connections,
                                   uint32_t loop);

#endif
