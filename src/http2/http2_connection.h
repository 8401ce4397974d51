#ifndef FLETCH_HTTP2_HTTP2_CONNECTION_H
#define FLETCH_HTTP2_HTTP2_CONNECTION_H

/* A connection of HTTP/2 without I/O: docs/HTTP2.md. One thread at a time; nothing blocks, and
 * nothing calls back but fletch_http2_data.done. */

#include <sys/uio.h>

#include "http2/field_list.h"
#include "http2/http2_frame.h"
#include "http2/http2_options.h"
#include "http2/http2_stream.h"

struct fletch_http2_connection;

#define FLETCH_HTTP2_ROOM_SPANS 40 /* places of one fletch_http2_connection_room */
#define FLETCH_HTTP2_PREDICT_BYTES ((size_t)256 << 10) /* beyond the frame that has begun */

enum fletch_http2_event_kind {
    FLETCH_HTTP2_EVENT_NONE,
    FLETCH_HTTP2_EVENT_HEADERS,
    FLETCH_HTTP2_EVENT_BYTES,
    FLETCH_HTTP2_EVENT_RESET,
    FLETCH_HTTP2_EVENT_GOAWAY,
    FLETCH_HTTP2_EVENT_CLOSED /* the last one */
};

enum fletch_http2_cause {
    FLETCH_HTTP2_BY_PEER,
    FLETCH_HTTP2_BY_US,      /* an error of the peer's, or no memory */
    FLETCH_HTTP2_BY_REFUSAL, /* the peer has not looked at it and never will: safe to try again */
    FLETCH_HTTP2_BY_LOSS     /* the connection has ended; before any of it was sent: BY_REFUSAL */
};

struct fletch_http2_event {
    enum fletch_http2_event_kind kind;
    struct fletch_http2_stream *stream;      /* HEADERS, BYTES, RESET */
    bool is_new;                             /* HEADERS: of a stream that the peer has opened */
    bool ends_stream;                        /* HEADERS, BYTES: the peer sends no more */
    uint32_t status;                         /* HEADERS of a response: below 200 an interim one */
    const struct fletch_http2_field *fields; /* HEADERS: until the next call */
    size_t field_count;
    size_t bytes;  /* BYTES: so many more are at the place; 0 where the stream just ends */
    uint32_t code; /* RESET, GOAWAY, CLOSED: enum fletch_http2_code, or what the peer made up */
    uint32_t last_stream_id; /* GOAWAY */
    enum fletch_http2_cause cause;
    const char *text; /* RESET, GOAWAY, CLOSED: until the next call */
};

struct fletch_http2_statistics {
    uint64_t streams_opened; /* by either side */
    uint64_t streams_refused;
    uint64_t resets;          /* of the peer, or that it made us do */
    uint64_t glitches;        /* frames that moved nothing on */
    uint64_t frames_in_place; /* DATA of which nothing was copied */
    uint64_t frames_copied;
    uint64_t bytes_copied; /* of DATA */
    uint64_t mispredictions;
    uint64_t frames;   /* of the peer */
    uint64_t floods;   /* limits that ended the connection: 0 or 1 */
    uint64_t timeouts; /* that ended it: 0 or 1 */
    uint64_t errors;   /* of the peer's or our own that ended it by GOAWAY, floods among them */
    uint64_t batches;
    uint64_t streams; /* that are there now */
};

/* `options`: a copy is kept. INVALID_ARGUMENT: an option; RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_http2_connection_create(const struct fletch_http2_options *options,
                                                  struct fletch_http2_connection **out_connection,
                                                  struct fletch_error *error);

/* All that is queued is done, not sent. NULL allowed. */
void fletch_http2_connection_destroy(struct fletch_http2_connection *connection);

/* ---- for whoever owns the socket: docs/HTTP2.md, The seam ---- */

void fletch_http2_connection_tick(struct fletch_http2_connection *connection, uint64_t now_ns);
uint64_t fletch_http2_connection_deadline(const struct fletch_http2_connection *connection);

/* Only when next has answered false. `out_spans` has FLETCH_HTTP2_ROOM_SPANS. 0: no bytes are
 * wanted before some of what it has to say are sent; none ever, where it has failed. */
size_t fletch_http2_connection_room(struct fletch_http2_connection *connection,
                                    struct iovec *out_spans);
void fletch_http2_connection_received(struct fletch_http2_connection *connection, size_t bytes);
void fletch_http2_connection_ended(struct fletch_http2_connection *connection);
size_t fletch_http2_connection_certain_bytes(const struct fletch_http2_connection *connection);

/* `*out_event` is written where it answers true. */
bool fletch_http2_connection_next(struct fletch_http2_connection *connection,
                                  struct fletch_http2_event *out_event);

/* `capacity`: at least 1. */
size_t fletch_http2_connection_output(struct fletch_http2_connection *connection,
                                      struct iovec *out_slices, size_t capacity);
void fletch_http2_connection_sent(struct fletch_http2_connection *connection, size_t bytes);

/* Whether the next batch has bytes for sure, so that the last segment of this one may wait for
 * them. */
bool fletch_http2_connection_has_more(const struct fletch_http2_connection *connection);
bool fletch_http2_connection_is_over(const struct fletch_http2_connection *connection);

/* ---- for its user ---- */

struct fletch_http2_request {
    const struct fletch_http2_field *fields;
    size_t field_count;
    bool ends_stream;
};

/* Opens a stream, as a client. UNAVAILABLE: the connection is ending, or has no ids left;
 * RESOURCE_EXHAUSTED: the peer takes no more streams just now, or no memory; INVALID_ARGUMENT: the
 * fields are malformed. */
enum fletch_status fletch_http2_connection_open(struct fletch_http2_connection *connection,
                                                const struct fletch_http2_request *request,
                                                struct fletch_http2_stream **out_stream,
                                                struct fletch_error *error);

/* Whether the peer takes another stream just now; what else may keep it from being opened, opening
 * tells. */
bool fletch_http2_connection_has_room(const struct fletch_http2_connection *connection);

/* Ends it in two steps; streams that are there go on. Again: nothing. */
void fletch_http2_connection_shutdown(struct fletch_http2_connection *connection);

void fletch_http2_connection_statistics(const struct fletch_http2_connection *connection,
                                        struct fletch_http2_statistics *out_statistics);

/* Adds what is counted in `more`, for sums over connections. */
void fletch_http2_statistics_add(struct fletch_http2_statistics *sum,
                                 const struct fletch_http2_statistics *more);

#endif
