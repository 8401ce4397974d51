#include "http2/http2_stream.h"

#include <inttypes.h>

#include "base/status.h"
#include "http2/field_rules.h"
#include "http2/http2_headers.h"
#include "http2/http2_machine.h"
#include "http2/http2_stream_table.h"

uint32_t fletch_http2_stream_id(const struct fletch_http2_stream *stream)
{
    return stream->id;
}

void fletch_http2_stream_set_context(struct fletch_http2_stream *stream, void *context)
{
    stream->context = context;
}

void *fletch_http2_stream_context(const struct fletch_http2_stream *stream)
{
    return stream->context;
}

bool fletch_http2_stream_is_closed(const struct fletch_http2_stream *stream)
{
    return stream->is_closed;
}

size_t fletch_http2_stream_queued_bytes(const struct fletch_http2_stream *stream)
{
    return stream->queued_bytes + stream->queued_count * FLETCH_HTTP2_DATA_OVERHEAD_BYTES;
}

void fletch_http2_stream_place(struct fletch_http2_stream *stream, void *memory, size_t bytes)
{
    FLETCH_ASSERT(bytes == 0 || stream->place_bytes == 0);
    if (stream->is_closed || stream->remote_ended)
        return;
    stream->place = memory;
    stream->place_bytes = bytes;
}

void fletch_http2_stream_consume(struct fletch_http2_stream *stream, size_t bytes)
{
    struct fletch_http2_connection *connection = stream->connection;
    if (stream->is_closed || stream->remote_ended)
        return;
    stream->credit += (int64_t)bytes;
    FLETCH_ASSERT(stream->credit + stream->receive_window <=
                  (int64_t)connection->options.stream_window_bytes);
    if (stream->credit >= (int64_t)connection->options.stream_window_bytes / 4)
        fletch_http2_link_append(&connection->due, &stream->due);
}

/* What both kinds of headers have in common. */
static enum fletch_status check_sendable(const struct fletch_http2_stream *stream,
                                         struct fletch_http2_block *block,
                                         struct fletch_error *error)
{
    if (stream->is_closed || stream->end_queued)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "stream %" PRIu32 " has ended and sends no more headers",
                                stream->id);
    const char *fault = fletch_http2_block_check(stream->connection, block);
    if (fault == NULL && block->part == FLETCH_HTTP2_RESPONSE && stream->sent_headers)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "stream %" PRIu32 " has sent its headers", stream->id);
    if (fault != NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "headers of stream %" PRIu32 ": %s",
                                stream->id, fault);
    return fletch_http2_block_fits(stream->connection, block, error);
}

enum fletch_status fletch_http2_stream_send_headers(struct fletch_http2_stream *stream,
                                                    const struct fletch_http2_field *fields,
                                                    size_t count, bool ends_stream,
                                                    struct fletch_error *error)
{
    struct fletch_http2_block block = {
        .fields = fields,
        .count = count,
        .stream_id = stream->id,
        .part = FLETCH_HTTP2_RESPONSE,
        .ends_stream = ends_stream,
    };
    enum fletch_status status = check_sendable(stream, &block, error);
    if (status != FLETCH_OK)
        return status;
    if (!fletch_http2_queue_headers(stream->connection, &block, &stream->connection->pending))
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for the headers of stream %" PRIu32, stream->id);
    stream->sent_headers = block.facts.status >= 200;
    if (ends_stream) {
        stream->end_queued = true;
        fletch_http2_stream_end_local(stream);
    }
    return FLETCH_OK;
}

enum fletch_status fletch_http2_stream_send_trailers(struct fletch_http2_stream *stream,
                                                     const struct fletch_http2_field *fields,
                                                     size_t count, struct fletch_error *error)
{
    struct fletch_http2_block block = {
        .fields = fields, .count = count, .part = FLETCH_HTTP2_TRAILERS};
    enum fletch_status status = check_sendable(stream, &block, error);
    if (status != FLETCH_OK)
        return status;
    /* With the memory of those of an earlier stream; nothing is in either list. */
    const struct fletch_field_list empty = stream->trailers;
    stream->trailers = stream->connection->spare_trailers;
    stream->connection->spare_trailers = empty;
    for (size_t i = 0; i < count; i++) {
        if (fletch_field_list_add(&stream->trailers, &fields[i]))
            continue;
        fletch_field_list_clear(&stream->trailers);
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for the trailers of stream %" PRIu32, stream->id);
    }
    stream->has_trailers = true;
    stream->end_queued = true;
    fletch_http2_stream_make_ready(stream);
    return FLETCH_OK;
}

void fletch_http2_stream_send(struct fletch_http2_stream *stream, struct fletch_http2_data *data)
{
    data->next = NULL;
    data->left_bytes = 0;
    data->slice = 0;
    data->slice_bytes = 0;
    data->pieces = 0;
    data->is_batched = false;
    data->is_dropped = false;
    for (uint32_t i = 0; i < data->slice_count; i++)
        data->left_bytes += data->slices[i].iov_len;
    if (stream->is_closed || stream->end_queued) {
        data->done(data, false);
        return;
    }
    stream->end_queued = data->ends_stream;
    stream->queued_bytes += data->left_bytes;
    stream->queued_count++;
    *stream->end = data;
    stream->end = &data->next;
    fletch_http2_stream_make_ready(stream);
}

void fletch_http2_stream_reset(struct fletch_http2_stream *stream, enum fletch_http2_code code)
{
    const struct fletch_http2_reset reset = {code, FLETCH_HTTP2_BY_US, "reset by this side"};
    if (stream->is_closed)
        return;
    fletch_http2_stream_drop(stream, &reset);
    fletch_http2_link_remove(&stream->lost);
    fletch_http2_queue_reset(stream->connection, stream->id, code);
}

void fletch_http2_stream_release(struct fletch_http2_stream *stream)
{
    fletch_http2_link_remove(&stream->lost);
    stream->context = NULL;
    fletch_http2_stream_place(stream, NULL, 0);
    if (!stream->is_closed && !stream->end_queued)
        fletch_http2_stream_reset(stream, FLETCH_HTTP2_CANCEL);
    stream->is_released = true;
    if (stream->is_closed)
        fletch_http2_stream_forget(stream);
    else if (stream->local_ended)
        fletch_http2_stream_stop_peer(stream);
}
