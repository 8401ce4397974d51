#ifndef FLETCHING_FLIGHT_SERVER_H
#define FLETCHING_FLIGHT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/flight_stream.h>
#include <fletching/flight_types.h>
#include <fletching/validation.h>

FLETCH_BEGIN_DECLS

/** A server of Arrow Flight: event loops that own the sockets, and worker threads for handlers that
 *  may block.
 *
 *  Handlers. Each is called once for a call, when its first message has come, with the server's
 *  `user` and the stream, which is the handler's until it returns (or what it left behind with
 *  fletch_flight_stream_pull has ended). OK finishes the call if the handler has not; another
 *  status finishes it with that and the error's text. A text begins with the name of its status
 *  where it does not begin with some other name in capitals, since clients merge statuses. What
 *  is missing in the table is UNIMPLEMENTED. Handlers of several calls run at the same time.
 *
 *  Health. The same port answers grpc.health.v1.Health (Check and Watch), for the whole server ("")
 *  and "arrow.flight.protocol.FlightService": SERVING until it drains, NOT_SERVING from then on,
 *  which those who watch are told before their calls end. Everybody may ask: `authenticate` is not.
 *
 *  On a worker a handler may block: in the stream's functions with a timeout, which end early when
 *  the call does, and elsewhere. On the loop it must not: timeouts are 0, and what cannot be done
 *  at once is left to a source. */
struct fletch_flight_server;

/** Zero means default in every field; NULL: UNIMPLEMENTED. */
struct fletch_flight_handlers {
    size_t struct_size;
    /** Before every other handler, with the method's name ("DoGet"), except `handshake`: OK: it
     *  may go on; may set the stream's identity, add headers, and look at those that came.
     *  UNAUTHENTICATED, PERMISSION_DENIED and others refuse. NULL: everybody may. */
    enum fletch_status (*authenticate)(void *user, struct fletch_flight_stream *stream,
                                       const char *method, struct fletch_error *error);
    /** Reads and sends FLETCH_FLIGHT_HANDSHAKE; or looks at the header `authorization`
     *  (fletch_flight_basic_credentials) and adds one. Called before any message has come. NULL:
     *  UNIMPLEMENTED. */
    enum fletch_status (*handshake)(void *user, struct fletch_flight_stream *stream,
                                    struct fletch_error *error);
    /** Sends FLETCH_FLIGHT_INFO, any number. */
    enum fletch_status (*list_flights)(void *user, struct fletch_flight_stream *stream,
                                       const struct fletch_flight_bytes *criteria,
                                       struct fletch_error *error);
    /** Sends one FLETCH_FLIGHT_INFO. */
    enum fletch_status (*get_flight_info)(void *user, struct fletch_flight_stream *stream,
                                          const struct fletch_flight_descriptor *descriptor,
                                          struct fletch_error *error);
    /** Sends one FLETCH_FLIGHT_POLL_INFO. */
    enum fletch_status (*poll_flight_info)(void *user, struct fletch_flight_stream *stream,
                                           const struct fletch_flight_descriptor *descriptor,
                                           struct fletch_error *error);
    /** Sends one FLETCH_FLIGHT_SCHEMA_RESULT. */
    enum fletch_status (*get_schema)(void *user, struct fletch_flight_stream *stream,
                                     const struct fletch_flight_descriptor *descriptor,
                                     struct fletch_error *error);
    /** Begins and writes data. One that ends with OK must have begun: INTERNAL otherwise, since
     *  clients cannot do without a schema. */
    enum fletch_status (*do_get)(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_bytes *ticket,
                                 struct fletch_error *error);
    /** Reads data, sends FLETCH_FLIGHT_PUT_RESULT. The descriptor came in the first message, and
     *  lives as long as the stream: a put without one is INVALID_ARGUMENT. */
    enum fletch_status (*do_put)(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_descriptor *descriptor,
                                 struct fletch_error *error);
    /** Reads and writes data, in any order. */
    enum fletch_status (*do_exchange)(void *user, struct fletch_flight_stream *stream,
                                      const struct fletch_flight_descriptor *descriptor,
                                      struct fletch_error *error);
    /** Sends FLETCH_FLIGHT_RESULT, any number. */
    enum fletch_status (*do_action)(void *user, struct fletch_flight_stream *stream,
                                    const struct fletch_flight_action *action,
                                    struct fletch_error *error);
    /** Sends FLETCH_FLIGHT_ACTION_TYPE, any number. */
    enum fletch_status (*list_actions)(void *user, struct fletch_flight_stream *stream,
                                       struct fletch_error *error);
};

/** Where handlers run. */
enum fletch_flight_run_mode {
    FLETCH_FLIGHT_ON_WORKER = 0, /* may block */
    FLETCH_FLIGHT_ON_LOOP = 1    /* must not */
};

#define FLETCH_FLIGHT_WORKERS_DEFAULT 256
#define FLETCH_FLIGHT_PEER_MESSAGE_BYTES_DEFAULT ((size_t)4 << 20)

/** Zero means default in every field. */
struct fletch_flight_server_options {
    size_t struct_size;
    /** "grpc://host:port", "grpc+tcp://host:port" or "grpc+unix:///path"; port 0: one that is free.
     *  The host is an address or "localhost". NULL: "grpc://127.0.0.1:0". */
    const char *location;
    /** The table, of which a copy is kept, and the first argument of its functions. */
    const struct fletch_flight_handlers *handlers;
    void *user;
    enum fletch_flight_run_mode run_mode;
    /** Event loops, each with a thread. 0: one for each processor; a Unix socket has one. */
    uint32_t loop_count;
    /** The most threads that handlers run on. They are started when they are needed and stay; calls
     *  wait for one where all are busy. */
    uint32_t worker_limit;
    /** Of what is received, encoded and sent: the pool (NULL: one of the server's own), and the
     *  account that is charged (NULL: nobody). Both must outlive the server and batches from it. */
    struct fletch_buffer_pool *pool;
    struct fletch_account *account;
    const struct fletch_allocator *allocator;
    /** Of one message that a client may send: RESOURCE_EXHAUSTED beyond it. 0: 2^31 - 1 bytes. A
     *  message gets its memory as its bytes arrive, whatever it claims. */
    size_t message_limit_bytes;
    /** Bytes of a stream that may be written and not sent yet, or two messages whatever their size;
     *  never more than 512 messages. 0: 8 MiB. */
    size_t write_queue_bytes;
    /** Of one message that clients take of whom nothing is known: batches with more are split by
     *  rows. 0: FLETCH_FLIGHT_PEER_MESSAGE_BYTES_DEFAULT. */
    size_t peer_message_bytes;
    uint32_t connection_limit; /* more are closed at once. 0: 10,000 */
    uint32_t stream_limit;     /* calls of one connection at a time. 0: 1,024 */
    /** How long a loop, and a worker that waits for one, looks again and again before it sleeps. 0:
     *  FLETCH_SPIN_BUDGET_NS_DEFAULT; FLETCH_OFF: not at all. */
    uint64_t spin_ns;
    /** How much of batches that come is validated before a handler gets them. */
    enum fletch_validation validation;
};

/** Makes a server, which listens and answers from here on: handlers may be called before this
 *  returns. INVALID_ARGUMENT: an option;
 *  ALREADY_EXISTS: the address is in use; PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAVAILABLE: the
 *  system's answer. Blocks for a moment. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_server_create(const struct fletch_flight_server_options *options,
                            struct fletch_flight_server **out_server, struct fletch_error *error);

/** The port of TCP, 0 for a Unix socket; and the URI at which clients reach it, as long as the
 *  server. Any thread. */
FLETCH_EXPORT uint16_t fletch_flight_server_port(const struct fletch_flight_server *server);
FLETCH_EXPORT const char *fletch_flight_server_location(const struct fletch_flight_server *server);

/** Waits until the server has drained, at once if it has. Any thread but a handler's; blocks. */
FLETCH_EXPORT void fletch_flight_server_serve(struct fletch_flight_server *server);

/** Refuses new connections and calls, lets those that are under way end until `timeout_ns` have
 *  passed, and ends what is left then, with UNAVAILABLE. OK: all had ended; DEADLINE_EXCEEDED: some
 *  had not. Again: waits for the first one. Any thread but a handler's; blocks. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_server_drain(struct fletch_flight_server *server, uint64_t timeout_ns,
                           struct fletch_error *error);

/** Ends all calls (UNAVAILABLE), waits for the handlers that run, and gives everything back.
 *  Batches that handlers have kept stay; with a pool of the server's own they must be gone. Not
 *  from within a handler, and nobody may be in another function of the server. NULL allowed. */
FLETCH_EXPORT void fletch_flight_server_destroy(struct fletch_flight_server *server);

/** Counters since it was made; `now`: at this moment. */
struct fletch_flight_server_counters {
    size_t struct_size;
    uint64_t calls;
    uint64_t calls_now;
    uint64_t workers_now;    /* threads */
    uint64_t waiting_now;    /* calls that wait for a worker */
    uint64_t received_bytes; /* of messages */
    uint64_t sent_bytes;
};

/** Writes the first `out_counters->struct_size` bytes of them. Any thread; does not block. */
FLETCH_EXPORT void
fletch_flight_server_statistics(const struct fletch_flight_server *server,
                                struct fletch_flight_server_counters *out_counters);

/** What a handler on the loop leaves behind: something that goes on with the call later. */
struct fletch_flight_source {
    /** Called on the loop when something may go on: at first, when room has come back after FULL,
     *  when a message has come, after a wake, and when the call is over. Uses the stream's
     *  functions with a timeout of 0. DONE: call me again; EMPTY: nothing just now; CLOSED: ends
     *  the call with the error's status (which is OK before), if it was not finished. */
    enum fletch_answer (*step)(void *context, struct fletch_flight_stream *stream,
                               struct fletch_error *error);
    /** Called once, when `step` will not be called any more; the stream is gone after it. NULL
     *  allowed. */
    void (*ended)(void *context);
    void *context;
};

/** From within a handler on the loop: its stream goes on with `source`, of which a copy is kept,
 *  once the handler has returned OK; with another status `ended` is called right away.
 *  FAILED_PRECONDITION: the handler runs on a worker, or there is a source. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_stream_pull(struct fletch_flight_stream *stream,
                          const struct fletch_flight_source *source, struct fletch_error *error);

FLETCH_END_DECLS

#endif
