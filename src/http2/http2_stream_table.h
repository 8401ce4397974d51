#ifndef FLETCH_HTTP2_HTTP2_STREAM_TABLE_H
#define FLETCH_HTTP2_HTTP2_STREAM_TABLE_H

/* Streams of a connection by their ids, and how they come and go. */

#include "http2/http2_machine.h"

/* False: no memory. */
bool fletch_http2_streams_init(struct fletch_http2_connection *connection);
/* Ends all streams. */
void fletch_http2_streams_deinit(struct fletch_http2_connection *connection);

/* NULL: there is none. */
struct fletch_http2_stream *fletch_http2_stream_find(struct fletch_http2_connection *connection,
                                                     uint32_t id);

/* What RFC 9113 calls its state, of a stream that is there (`stream`) or not (NULL). */
enum fletch_http2_state fletch_http2_state_of(const struct fletch_http2_connection *connection,
                                              const struct fletch_http2_stream *stream,
                                              uint32_t id);

/* NULL: no memory. */
struct fletch_http2_stream *fletch_http2_stream_add(struct fletch_http2_connection *connection,
                                                    uint32_t id);

/* The peer has opened stream `id`, and those below it that it left out. */
void fletch_http2_streams_advance(struct fletch_http2_connection *connection, uint32_t id);

/* We have reset `id`, a stream of the peer's, and frames may be under way. */
void fletch_http2_streams_remember(struct fletch_http2_connection *connection, uint32_t id);

/* Notes that one side has ended, and closes the stream when both have. */
void fletch_http2_stream_end_local(struct fletch_http2_stream *stream);
void fletch_http2_stream_end_remote(struct fletch_http2_stream *stream);

/* Its user has let it go, and it has closed: ends its memory. */
void fletch_http2_stream_forget(struct fletch_http2_stream *stream);

/* It has ended here, and nobody looks at what the peer still sends: tells it to stop. */
void fletch_http2_stream_stop_peer(struct fletch_http2_stream *stream);

/* Why a stream was closed before it ended. */
struct fletch_http2_reset {
    uint32_t code;
    enum fletch_http2_cause cause;
    const char *text; /* static, or the connection's */
};

/* Closes it: what is queued is done, not sent; the user, if it is known to one, will get an event.
 * Tells the peer nothing. */
void fletch_http2_stream_drop(struct fletch_http2_stream *stream,
                              const struct fletch_http2_reset *reset);

/* The peer made an error of the stream's: resets it, which counts against the peer. */
void fletch_http2_stream_fail(struct fletch_http2_stream *stream, enum fletch_http2_code code,
                              const char *text);

/* Queues it for the next batch if it has something that may be sent. */
void fletch_http2_stream_make_ready(struct fletch_http2_stream *stream);

#endif
