#ifndef FLETCHING_FLIGHT_CLIENT_H
#define FLETCHING_FLIGHT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/budget.h>
#include <fletching/buffer_pool.h>
#include <fletching/flight_stream.h>
#include <fletching/flight_types.h>
#include <fletching/validation.h>

FLETCH_BEGIN_DECLS

/** A client of Arrow Flight for any number of servers: event loops that own the sockets, and a
 *  fixed number of connections that calls share. A connection is found by its address without a
 *  lock, made when it is first needed, made again when it is lost (after a pause that grows), and
 *  closed when nobody has used it for a while. Calls on a connection that is lost end with
 *  UNAVAILABLE.
 *
 *  Any thread may begin calls; each stream belongs to one thread at a time (flight_stream.h). In a
 *  child that was forked since, calls answer FAILED_PRECONDITION, and destroying does nothing. */
struct fletch_flight_client;

#define FLETCH_FLIGHT_CONNECTIONS_DEFAULT 64
#define FLETCH_FLIGHT_CALLS_PER_CONNECTION_DEFAULT 1024
#define FLETCH_FLIGHT_CONNECT_TIMEOUT_NS_DEFAULT UINT64_C(20000000000)
#define FLETCH_FLIGHT_IDLE_TIMEOUT_NS_DEFAULT UINT64_C(60000000000)

/** Zero means default in every field. */
struct fletch_flight_client_options {
    size_t struct_size;
    /** Of calls that name none; NULL: each has to. A copy is kept. "grpc://host:port",
     *  "grpc+tcp://host:port" or "grpc+unix:///path". */
    const char *location;
    uint32_t loop_count; /* event loops, each with a thread; 0: one */
    /** Connections at most, to all locations together: a call waits where all are used. 0:
     *  FLETCH_FLIGHT_CONNECTIONS_DEFAULT. */
    uint32_t connection_limit;
    uint32_t connections_per_location; /* made while all others have calls; 0: one */
    uint32_t calls_per_connection; /* at a time; 0: FLETCH_FLIGHT_CALLS_PER_CONNECTION_DEFAULT */
    /** To be connected, and to hear from the server. 0: FLETCH_FLIGHT_CONNECT_TIMEOUT_NS_DEFAULT */
    uint64_t connect_timeout_ns;
    uint64_t idle_timeout_ns; /* 0: FLETCH_FLIGHT_IDLE_TIMEOUT_NS_DEFAULT; FLETCH_OFF: never */
    /** The first pause before a connection is tried again, and the longest. 0: 0.1 s, 120 s. */
    uint64_t backoff_first_ns;
    uint64_t backoff_most_ns;
    /** Of what is received, encoded and sent: the pool (NULL: one of the client's own), and the
     *  account that is charged (NULL: nobody). Both must outlive the client and batches from it. */
    struct fletch_buffer_pool *pool;
    struct fletch_account *account;
    const struct fletch_allocator *allocator;
    /** Of one message that a server may send. 0: 2^31 - 1 bytes. */
    size_t message_limit_bytes;
    /** Bytes of a stream that may be written and not sent yet; a larger batch goes alone. */
    size_t write_queue_bytes;
    /** Of one message that servers take: batches with more are split by rows. 0: 4 MiB, which all
     *  take; SIZE_MAX: they have no limit (as C++, Java and pyarrow have none). */
    size_t peer_message_bytes;
    /** Of a loop, and of who waits for one, before it sleeps. 0: the default; FLETCH_OFF: none. */
    uint64_t spin_ns;
    /** How much of batches that come is validated before they are given out. */
    enum fletch_validation validation;
    /** A connection on which nothing came for so long is asked whether its other end is there; one
     *  that does not answer for as long is lost. 0: nobody asks. */
    uint64_t keepalive_ns;
};

/** Starts its threads; connects nowhere yet. INVALID_ARGUMENT: an option; UNIMPLEMENTED: the
 *  location wants TLS; RESOURCE_EXHAUSTED: no memory, descriptor or thread. Blocks for a moment. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_client_create(const struct fletch_flight_client_options *options,
                            struct fletch_flight_client **out_client, struct fletch_error *error);

/** Closes its connections and ends its threads. Its streams must have been closed; batches stay
 *  where the pool is not the client's own, else they must be gone. Nobody may be in another
 *  function of the client. Blocks for a moment. NULL allowed. */
FLETCH_EXPORT void fletch_flight_client_destroy(struct fletch_flight_client *client);

/** Zero means default in every field. Two headers go with each call, which servers of ours read:
 *  fletch-message-limit and fletch-deltas (docs/FLIGHT.md). */
struct fletch_flight_call_options {
    size_t struct_size;
    const char *location; /* NULL, or one that says to reuse the connection: the client's */
    /** Of the whole call, at both ends: DEADLINE_EXCEEDED. 0: none, and a connection is waited for
     *  as long as connect_timeout_ns. */
    uint64_t timeout_ns;
    const struct fletch_flight_header *headers; /* copied */
    size_t header_count;
    /** Waits for a connection to the deadline, whatever goes wrong with attempts to make one; but
     *  where all connections are used, it gives its own, that is none yet, to a call of another
     *  location that does not wait so: UNAVAILABLE. Else an attempt that fails ends the call with
     *  UNAVAILABLE. */
    bool waits_for_ready;
    /** For calls that answer with one message: called with their stream before they return, for
     *  headers, trailers and details of the end. NULL allowed. */
    void (*ended)(void *context, struct fletch_flight_stream *stream,
                  const struct fletch_flight_end *end);
    void *context;
};

/** Calls with one answer. They block, to the deadline. `options`: NULL: all defaults. What is
 *  returned is given back by fletch_flight_release. Errors: those of the server; UNAVAILABLE: no
 *  connection, or it was lost; DEADLINE_EXCEEDED; RESOURCE_EXHAUSTED: no memory, or no connection
 *  was free, with how many there are in which state; INVALID_ARGUMENT: an option, or the message;
 *  UNIMPLEMENTED: the location wants TLS; INTERNAL: the server sent OK and no answer, or more than
 *  one; NOT_FOUND: no such host. A host's name is looked up for as long as the system takes. Any
 *  thread. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_flight_client_get_flight_info(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_descriptor *descriptor, const struct fletch_flight_info **out_info,
    struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_flight_client_poll_flight_info(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_descriptor *descriptor,
    const struct fletch_flight_poll_info **out_info, struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_flight_client_get_schema(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_descriptor *descriptor,
    const struct fletch_flight_schema_result **out_result, struct fletch_error *error);

/** Calls with a stream of answers. They wait for a place among the connections, not for the server:
 *  what goes wrong after that is told by the stream. The stream is the caller's until
 *  fletch_flight_stream_close. Errors as above. Any thread; blocks only where all connections are
 *  used, and where a host's name is looked up.
 *
 *  list_flights: brings FLETCH_FLIGHT_INFO. do_action: FLETCH_FLIGHT_RESULT. list_actions:
 *  FLETCH_FLIGHT_ACTION_TYPE. do_get: data. NULL for the criteria: none. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_flight_client_list_flights(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_bytes *criteria, struct fletch_flight_stream **out_stream,
    struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_flight_client_do_action(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_action *action, struct fletch_flight_stream **out_stream,
    struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_flight_client_list_actions(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    struct fletch_flight_stream **out_stream, struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_client_do_get(struct fletch_flight_client *client,
                            const struct fletch_flight_call_options *options,
                            const struct fletch_flight_bytes *ticket,
                            struct fletch_flight_stream **out_stream, struct fletch_error *error);

/** As do_get, of an endpoint, whose locations are tried one after the other as long as they answer
 *  UNAVAILABLE, UNIMPLEMENTED, INVALID_ARGUMENT or NOT_FOUND, which those that are none do; one
 *  that says to reuse the connection, or none at all: that of `options`. Waits for the schema. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_flight_client_do_get_endpoint(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_endpoint *endpoint, struct fletch_flight_stream **out_stream,
    struct fletch_error *error);

/** Calls that write too. do_put: begin the stream with the schema and the descriptor
 *  (fletch_flight_write_options); brings FLETCH_FLIGHT_PUT_RESULT. do_exchange: sends the
 *  descriptor, brings data. handshake: both sides send FLETCH_FLIGHT_HANDSHAKE. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_client_do_put(struct fletch_flight_client *client,
                            const struct fletch_flight_call_options *options,
                            struct fletch_flight_stream **out_stream, struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_flight_client_do_exchange(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_descriptor *descriptor, struct fletch_flight_stream **out_stream,
    struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_flight_client_handshake(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    struct fletch_flight_stream **out_stream, struct fletch_error *error);

/** Counters since it was made; `now`: at this moment. */
struct fletch_flight_client_counters {
    size_t struct_size;
    uint64_t calls;
    uint64_t calls_now;
    uint64_t received_bytes; /* of messages */
    uint64_t sent_bytes;
    uint32_t connections_free;
    uint32_t connections_connecting;
    uint32_t connections_ready;
    uint32_t connections_draining;
    uint32_t connections_paused; /* the last attempt to connect has failed; tried again */
};

/** Writes the first `out_counters->struct_size` bytes of them. Any thread; does not block. */
FLETCH_EXPORT void
fletch_flight_client_statistics(const struct fletch_flight_client *client,
                                struct fletch_flight_client_counters *out_counters);

FLETCH_END_DECLS

#endif
