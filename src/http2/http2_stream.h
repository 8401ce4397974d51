#ifndef FLETCH_HTTP2_HTTP2_STREAM_H
#define FLETCH_HTTP2_HTTP2_STREAM_H

/* What the user of a connection does with one of its streams. The thread that drives the
 * connection; nothing blocks. A stream is the user's from the event that told of it, or from being
 * opened, until it is released or the connection is destroyed. */

#include <sys/uio.h>

#include <fletching/status.h>

#include "http2/field_list.h"
#include "http2/http2_frame.h"

struct fletch_http2_stream;

/* Bytes to be sent: a link of the stream's queue, in the sender's memory, as the slices are and the
 * bytes they refer to, until `done` is called. That happens exactly once: when the last of them has
 * been sent, or will not be. It may send more, on any stream, and may not call anything else. */
struct fletch_http2_data {
    const struct iovec *slices;
    uint32_t slice_count;
    bool ends_stream;
    void (*done)(struct fletch_http2_data *data, bool is_sent);

    /* The machine's. */
    struct fletch_http2_data *next;
    size_t left_bytes;  /* that are in no batch yet */
    size_t slice_bytes; /* of the slice `slice`, that are in a batch */
    uint32_t slice;
    uint32_t pieces; /* in the batch */
    bool is_batched; /* all of it */
    bool is_dropped;
};

uint32_t fletch_http2_stream_id(const struct fletch_http2_stream *stream);

/* Something of the user's, NULL at first. */
void fletch_http2_stream_set_context(struct fletch_http2_stream *stream, void *context);
void *fletch_http2_stream_context(const struct fletch_http2_stream *stream);

/* Whether it has ended on both sides, or was reset. */
bool fletch_http2_stream_is_closed(const struct fletch_http2_stream *stream);

/* The next `bytes` bytes of its DATA go to `memory`, which is the machine's until events have told
 * of all of them, or the stream has closed or is released. Only while there is no place left. A
 * stream without a place drops what comes, and gives the credit back: NULL and 0 say that this is
 * meant, also while there is a place left. */
void fletch_http2_stream_place(struct fletch_http2_stream *stream, void *memory, size_t bytes);

/* `bytes` bytes that events told of are done with: the peer may send as many more. */
void fletch_http2_stream_consume(struct fletch_http2_stream *stream, size_t bytes);

/* Headers before all data: a response, or an interim one (1xx). INVALID_ARGUMENT: they are
 * malformed; FAILED_PRECONDITION: the stream has closed or has sent its headers;
 * RESOURCE_EXHAUSTED: no memory, and the connection has failed. */
enum fletch_status fletch_http2_stream_send_headers(struct fletch_http2_stream *stream,
                                                    const struct fletch_http2_field *fields,
                                                    size_t count, bool ends_stream,
                                                    struct fletch_error *error);

/* Queues `data`, whose first four members are set. On a stream that has closed or has sent its end
 * it is done at once, not sent. */
void fletch_http2_stream_send(struct fletch_http2_stream *stream, struct fletch_http2_data *data);

/* Trailers, copied, behind all that is queued; they end the stream. Errors as
 * fletch_http2_stream_send_headers. */
enum fletch_status fletch_http2_stream_send_trailers(struct fletch_http2_stream *stream,
                                                     const struct fletch_http2_field *fields,
                                                     size_t count, struct fletch_error *error);

/* Bytes that are queued and in no batch yet, and FLETCH_HTTP2_DATA_OVERHEAD_BYTES for each data,
 * about what it takes beside its bytes: many small ones are no less than few large ones. */
#define FLETCH_HTTP2_DATA_OVERHEAD_BYTES ((size_t)128)
size_t fletch_http2_stream_queued_bytes(const struct fletch_http2_stream *stream);

/* Ends it on both sides: what is queued is done, not sent; the peer is told `code`. No event comes
 * for it any more. Nothing on one that has closed. */
void fletch_http2_stream_reset(struct fletch_http2_stream *stream, enum fletch_http2_code code);

/* No more events, and the user's no more. Where its end is queued, that is sent first; where it is
 * not, the stream is reset by CANCEL. */
void fletch_http2_stream_release(struct fletch_http2_stream *stream);

#endif
