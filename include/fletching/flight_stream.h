#ifndef FLETCHING_FLIGHT_STREAM_H
#define FLETCHING_FLIGHT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/answer.h>
#include <fletching/batch.h>
#include <fletching/buffer.h>
#include <fletching/flight_types.h>
#include <fletching/ipc_writer.h>
#include <fletching/schema.h>
#include <fletching/wait.h>

FLETCH_BEGIN_DECLS

/** One call of Flight as one thread sees it, at a server or a client; the other half of it belongs
 *  to an event loop, and the two hand messages to each other without locks. Whatever the method,
 *  each side reads messages and writes messages in its own time, neither waits within the other.
 *
 *  Threads: a stream belongs to one thread at a time: that of its handler at a server, at a client
 *  who began the call. Exceptions say "any thread". Functions with a timeout block; with 0 they do
 *  not, and those of a handler on the loop must be called with 0. Functions without one never
 *  block.
 *
 *  Answers. DONE; EMPTY: nothing has come within the timeout; FULL: too much is under way already,
 *  and nothing was written; CLOSED: there will be no more. With CLOSED, `error` is written: status
 *  OK: a clean end; else what ended the call or this side of it. NULL allowed for `error`. */
struct fletch_flight_stream;

/** What a handler returns after an answer: DONE: OK; CLOSED: the status that was written; EMPTY and
 *  FULL: DEADLINE_EXCEEDED, which is written: the other end did not come up with anything, or did
 *  not read, within the timeout. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_answer_status(enum fletch_answer answer, struct fletch_error *error);

/** The most of a batch that goes in one message, whatever the peer takes: beyond it, and beyond
 *  what the peer takes, it is split by rows. */
#define FLETCH_FLIGHT_SPLIT_BYTES ((size_t)64 << 20)

/** A name, in lower case, and a value: of a name that ends in "-bin" any bytes, of others
 *  printable ASCII. What was received has a NUL behind the value. */
struct fletch_flight_header {
    const char *name;
    const void *value;
    size_t value_bytes;
};

/* ---- data: do_get, do_put, do_exchange ---- */

/** What came in one message. */
struct fletch_flight_data {
    struct fletch_batch *batch; /* with a reference for the caller; NULL: app metadata alone */
    struct fletch_flight_bytes app_metadata; /* until the next read of this stream */
};

/** The next record batch, or app metadata that came alone; schema and dictionaries are taken on
 *  the way, and what is wrong with them ends the stream's reading: INVALID_ARGUMENT, DATA_LOSS,
 *  UNIMPLEMENTED, RESOURCE_EXHAUSTED, as fletch_ipc_reader_next; where it was a server that read,
 *  the call should be finished with that. FAILED_PRECONDITION: this side of the method brings other
 *  messages. INTERNAL also where a server has ended a DoGet well, but without a schema. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_flight_stream_read(struct fletch_flight_stream *stream, uint64_t timeout_ns,
                          struct fletch_flight_data *out_data, struct fletch_error *error);

/** Waits for the schema of what comes: DONE: `*out_schema` lives as long as the stream; CLOSED:
 *  there is none; or, with FAILED_PRECONDITION, app metadata alone came before it (as in exchanges
 *  it may), and the stream goes on when that was read. Messages stay for
 *  fletch_flight_stream_read. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_flight_stream_schema(struct fletch_flight_stream *stream, uint64_t timeout_ns,
                            struct fletch_schema **out_schema, struct fletch_error *error);

/** The descriptor that came last; its type is ABSENT where none did. Until the next read. */
FLETCH_EXPORT const struct fletch_flight_descriptor *
fletch_flight_stream_descriptor(const struct fletch_flight_stream *stream);

/** Zero means default in every field. */
struct fletch_flight_write_options {
    size_t struct_size;
    enum fletch_ipc_compression compression;
    /** Of dictionaries that grow. 0: deltas only where the peer has announced that it reads them;
     *  FLETCH_IPC_DELTAS_OFF: never. */
    enum fletch_ipc_deltas deltas;
    /** Of one message that the peer takes: batches with more are split by rows. 0: what is known of
     *  the peer: docs/FLIGHT.md. */
    size_t message_limit_bytes;
    /** Client: goes with the schema, in the first message. Kept until this returns. */
    const struct fletch_flight_descriptor *descriptor;
};

/** Begins to write data: sends the schema. Once, before the first batch. FAILED_PRECONDITION: it
 *  was begun, or this side of the method sends other messages; INVALID_ARGUMENT: options;
 *  UNIMPLEMENTED: this build is without that codec; RESOURCE_EXHAUSTED: no memory; else what ended
 *  the call. `options`: NULL: all defaults. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_stream_begin(struct fletch_flight_stream *stream, struct fletch_schema *schema,
                           const struct fletch_flight_write_options *options,
                           struct fletch_error *error);

/** What goes into one message. */
struct fletch_flight_output {
    struct fletch_batch *batch; /* the caller keeps its reference; NULL: app metadata alone, which
                                 * some peers cannot read: docs/FLIGHT.md */
    struct fletch_flight_bytes app_metadata; /* copied; on the first message of a split batch */
    const struct fletch_flight_descriptor *descriptor; /* a client's first message may have one */
};

/** Writes a batch, after the dictionaries that it needs; its bytes are not copied, but sent from
 *  where they lie, unless they are few (up to 4 KiB with what describes them). FULL: while
 *  `write_queue_bytes`, or 512 messages, are under way, or for `timeout_ns`. CLOSED also with
 *  INVALID_ARGUMENT: another schema than was begun with, RESOURCE_EXHAUSTED: no memory, or one row
 *  that is more than a message may have; FAILED_PRECONDITION: not begun, as batches need, and
 *  everything in a DoGet. After those nothing was written, and the stream goes on. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_flight_stream_write(struct fletch_flight_stream *stream, uint64_t timeout_ns,
                           const struct fletch_flight_output *output, struct fletch_error *error);

/* ---- all other messages ---- */

/** Writes a message of the kind that this side of the method sends (enum fletch_flight_message, and
 *  the struct that it names): results of an action, say, or acknowledgements of a put, which go out
 *  at once. Answers as fletch_flight_stream_write. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_flight_stream_send(struct fletch_flight_stream *stream, enum fletch_flight_message kind,
                          const void *message, uint64_t timeout_ns, struct fletch_error *error);

/** The next message of the kind that this side of the method brings. `*out_message` is the caller's
 *  until fletch_flight_release. Answers as fletch_flight_stream_read. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_flight_stream_receive(struct fletch_flight_stream *stream, enum fletch_flight_message kind,
                             uint64_t timeout_ns, const void **out_message,
                             struct fletch_error *error);

/* ---- headers, trailers and what is known of the call ---- */

/** Headers that came: of the request at a server; at a client of the first answer, none before it,
 *  and the server's trailers once the call has ended. As long as the stream. */
FLETCH_EXPORT const struct fletch_flight_header *
fletch_flight_stream_headers(const struct fletch_flight_stream *stream, size_t *out_count);
FLETCH_EXPORT const struct fletch_flight_header *
fletch_flight_stream_trailers(const struct fletch_flight_stream *stream, size_t *out_count);

/** The first header of that name, or NULL; at a client, else the first trailer. */
FLETCH_EXPORT const struct fletch_flight_header *
fletch_flight_stream_header(const struct fletch_flight_stream *stream, const char *name);

/** Server: adds a copy of a header to the first answer, which goes with the first message, or of a
 *  trailer to its end. INVALID_ARGUMENT: a name that gRPC keeps for itself, or a value that none
 *  can have; FAILED_PRECONDITION: too late; RESOURCE_EXHAUSTED: no memory, or more than 8 KiB in
 *  all. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_stream_add_header(struct fletch_flight_stream *stream,
                                const struct fletch_flight_header *header,
                                struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_stream_add_trailer(struct fletch_flight_stream *stream,
                                 const struct fletch_flight_header *header,
                                 struct fletch_error *error);

/** The address of the other end, as text; "" before it is known. */
FLETCH_EXPORT const char *fletch_flight_stream_peer(const struct fletch_flight_stream *stream);

/** What is left until the call's deadline; FLETCH_NO_TIMEOUT: it has none. */
FLETCH_EXPORT uint64_t fletch_flight_stream_remaining_ns(const struct fletch_flight_stream *stream);

/** Whether the call is over: cancelled, past its deadline, cut off, or finished. Any thread that
 *  has a reference. */
FLETCH_EXPORT bool fletch_flight_stream_is_over(const struct fletch_flight_stream *stream);

/** Who has called, as the server's `authenticate` has said; "" for nobody. As long as the stream.
 *  set: a copy, for that hook. RESOURCE_EXHAUSTED: no memory. */
FLETCH_EXPORT const char *fletch_flight_stream_identity(const struct fletch_flight_stream *stream);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_stream_set_identity(struct fletch_flight_stream *stream, const char *identity,
                                  struct fletch_error *error);

/* ---- ends ---- */

/** How a call ended. */
struct fletch_flight_end {
    enum fletch_status status;
    const char *text;
    struct fletch_flight_bytes detail; /* docs/FLIGHT.md: Statuses */
};

/** Server: ends the call behind all that was written; the client's messages are read no more. Text
 *  and detail are copied: the text up to 1 KiB, a detail of more than 2 KiB not at all. The first
 *  time counts. A handler need not call it: what it returns ends the call otherwise.
 *  FAILED_PRECONDITION: it had ended; RESOURCE_EXHAUSTED: no memory, and the call is ended without
 *  the detail;
 *  INTERNAL: OK where the client is owed a schema or an answer, and it is told that instead. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_stream_finish(struct fletch_flight_stream *stream,
                            const struct fletch_flight_end *end, struct fletch_error *error);

/** Client: writes no more; reading goes on. Again: nothing. */
FLETCH_EXPORT void fletch_flight_stream_done_writing(struct fletch_flight_stream *stream);

/** Client: waits for the server's status: DONE: `*out_end` lives as long as the stream; EMPTY: not
 *  yet. Messages that were not read are dropped. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_flight_stream_end(struct fletch_flight_stream *stream, uint64_t timeout_ns,
                         struct fletch_flight_end *out_end, struct fletch_error *error);

/** Ends the call now on both sides, with CANCELLED; reads give what has come and then that. Any
 *  thread that has a reference; again, or when it is over: nothing. */
FLETCH_EXPORT void fletch_flight_stream_cancel(struct fletch_flight_stream *stream);

/** Client: the end of its owner's half, at any time; a call that is not over is cancelled. A
 *  server's handler never calls it. NULL allowed. */
FLETCH_EXPORT void fletch_flight_stream_close(struct fletch_flight_stream *stream);

/* ---- waiting for several things at once ---- */

/** A descriptor for an epoll loop, owned by the stream: see fletch_eventcount_open_fd. After EMPTY
 *  or FULL: arm; true: sleep on the descriptor, then disarm and try again; false: there may be
 *  something to do now. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_stream_open_fd(struct fletch_flight_stream *stream, int *out_fd,
                             struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK bool fletch_flight_stream_arm(struct fletch_flight_stream *stream);
FLETCH_EXPORT void fletch_flight_stream_disarm(struct fletch_flight_stream *stream);

/** References for other threads, which may then ask whether it is over, cancel it and wake it. They
 *  keep the memory of the stream and nothing else. Any thread that has one. */
FLETCH_EXPORT struct fletch_flight_stream *
fletch_flight_stream_acquire(struct fletch_flight_stream *stream);
FLETCH_EXPORT void fletch_flight_stream_release(struct fletch_flight_stream *stream);

/** Has the source of a stream (fletch_flight_stream_pull) called again, once for any number of
 *  wakes before it. Nothing where there is none or the call is over. Any thread that has a
 *  reference; lock-free. */
FLETCH_EXPORT void fletch_flight_stream_wake(struct fletch_flight_stream *stream);

FLETCH_END_DECLS

#endif
