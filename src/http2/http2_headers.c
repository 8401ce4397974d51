#include "http2/http2_headers.h"

#include <inttypes.h>

#include "base/status.h"
#include "http2/field_rules.h"
#include "http2/http2_stream_table.h"

enum { FIELDS_MOST = 256, FIELD_OVERHEAD_BYTES = 32, LIST_BYTES_LEAST = 4096 };

static enum fletch_http2_known_kind kind_of(enum fletch_http2_part part)
{
    return part == FLETCH_HTTP2_TRAILERS ? FLETCH_HTTP2_KNOWN_TRAILERS : FLETCH_HTTP2_KNOWN_HEADERS;
}

/* ---- out ---- */

enum fletch_status fletch_http2_block_fits(const struct fletch_http2_connection *connection,
                                           const struct fletch_http2_block *block,
                                           struct fletch_error *error)
{
    uint32_t limit = connection->peer_list_bytes;
    size_t bytes = 0;
    for (size_t i = 0; i < block->count; i++)
        bytes += (size_t)block->fields[i].name_bytes + block->fields[i].value_bytes +
                 FIELD_OVERHEAD_BYTES;
    /* A peer that takes next to nothing must not keep a server from ending its calls. */
    if (bytes <= LIST_BYTES_LEAST || bytes <= limit)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "headers of %zu bytes, and the peer takes %" PRIu32, bytes, limit);
}

const char *fletch_http2_block_check(const struct fletch_http2_connection *connection,
                                     struct fletch_http2_block *block)
{
    const struct fletch_http2_known *known = &connection->sent[kind_of(block->part)];
    if (!fletch_hpack_is_kept(&connection->hpack, &known->kept, block->fields, block->count))
        return fletch_http2_fields_check(block->fields, block->count, block->part, &block->facts);
    block->facts = known->facts; /* nothing is sent before it was checked */
    return NULL;
}

static bool append_frames(struct fletch_http2_connection *connection,
                          const struct fletch_http2_block *block, struct fletch_byte_buffer *frames)
{
    size_t left = connection->block.bytes;
    const uint8_t *bytes = connection->block.data;
    bool is_first = true;
    do {
        size_t length = left < connection->peer_frame_bytes ? left : connection->peer_frame_bytes;
        uint8_t *place = fletch_byte_buffer_extend(frames, FLETCH_HTTP2_HEAD_BYTES + length);
        if (place == NULL)
            return false;
        left -= length;
        const struct fletch_http2_head head = {
            .length = (uint32_t)length,
            .type = is_first ? FLETCH_HTTP2_HEADERS : FLETCH_HTTP2_CONTINUATION,
            .flags = (uint8_t)((left == 0 ? FLETCH_HTTP2_END_HEADERS : 0) |
                               (is_first && block->ends_stream ? FLETCH_HTTP2_END_STREAM : 0)),
            .stream_id = block->stream_id,
        };
        fletch_http2_head_write(place, &head);
        if (length != 0)
            memcpy(place + FLETCH_HTTP2_HEAD_BYTES, bytes, length);
        bytes += length;
        is_first = false;
    } while (left != 0);
    return true;
}

bool fletch_http2_queue_headers(struct fletch_http2_connection *connection,
                                const struct fletch_http2_block *block,
                                struct fletch_byte_buffer *frames)
{
    struct fletch_http2_known *known = &connection->sent[kind_of(block->part)];
    connection->block.bytes = 0;
    /* The peer's table of HPACK and ours would differ from here on. */
    if (!fletch_hpack_encode(&connection->hpack, block->fields, block->count, &known->kept,
                             &connection->block) ||
        !append_frames(connection, block, frames)) {
        fletch_http2_fail_no_memory(connection);
        return false;
    }
    known->facts = block->facts;
    return true;
}

/* ---- in ---- */

/* A block that nobody will look at is decoded all the same: the table of HPACK depends on it. */
static void begin_on_stream(struct fletch_http2_connection *connection,
                            struct fletch_http2_stream *stream, uint32_t id)
{
    struct fletch_http2_parser *parser = &connection->parser;
    enum fletch_http2_state state = fletch_http2_state_of(connection, stream, id);
    switch (fletch_http2_frame_rule(FLETCH_HTTP2_HEADERS, state)) {
    case FLETCH_HTTP2_ACCEPT:
        return;
    case FLETCH_HTTP2_DROP:
        parser->is_block_dropped = true;
        fletch_http2_glitch(connection);
        return;
    case FLETCH_HTTP2_STREAM_ERROR:
        parser->is_block_dropped = true;
        fletch_http2_stream_fail(stream, FLETCH_HTTP2_STREAM_CLOSED,
                                 "headers after the end of the stream");
        return;
    case FLETCH_HTTP2_CONNECTION_ERROR:
        fletch_http2_fail(connection, FLETCH_HTTP2_STREAM_CLOSED,
                          "headers on stream %" PRIu32 ", which has closed", id);
        return;
    }
}

void fletch_http2_block_begin(struct fletch_http2_connection *connection,
                              struct fletch_http2_stream *stream)
{
    struct fletch_http2_parser *parser = &connection->parser;
    uint32_t id = parser->head.stream_id;
    parser->is_in_block = true;
    parser->is_block_dropped = false;
    parser->block_ends_stream = (parser->head.flags & FLETCH_HTTP2_END_STREAM) != 0;
    parser->block_stream = id;
    parser->block_frames = 0;
    parser->block.bytes = 0;
    parser->is_block_new = fletch_http2_state_of(connection, stream, id) == FLETCH_HTTP2_IDLE;
    if (!parser->is_block_new) {
        begin_on_stream(connection, stream, id);
        return;
    }
    if (!connection->options.is_server || !fletch_http2_is_peers(connection, id)) {
        fletch_http2_fail(connection, FLETCH_HTTP2_PROTOCOL_ERROR,
                          "headers on stream %" PRIu32 ", which nobody has opened", id);
        return;
    }
    fletch_http2_streams_advance(connection, id);
    if (connection->drain == FLETCH_HTTP2_DRAIN_FINAL)
        parser->is_block_dropped = true; /* above the last id that was told */
}

/* Whether the block can be used: a list, that of a stream, or nothing. */
static bool decode(struct fletch_http2_connection *connection, struct fletch_http2_known *known,
                   bool *out_is_too_large)
{
    struct fletch_http2_parser *parser = &connection->parser;
    const struct fletch_hpack_limits limits = {
        .list_bytes = connection->options.header_list_bytes,
        .fields = FIELDS_MOST,
    };
    enum fletch_hpack_answer answer = fletch_hpack_decode(
        &connection->hpack, parser->block.data, parser->block.bytes, &limits, &known->kept);
    known->is_checked &= answer == FLETCH_HPACK_REPEATED;
    switch (answer) {
    case FLETCH_HPACK_DONE:
    case FLETCH_HPACK_REPEATED:
        return true;
    case FLETCH_HPACK_TOO_LARGE:
        *out_is_too_large = true;
        return true;
    case FLETCH_HPACK_DAMAGED:
        fletch_http2_fail(connection, FLETCH_HTTP2_COMPRESSION_ERROR,
                          "headers of stream %" PRIu32 " cannot be decoded", parser->block_stream);
        return false;
    case FLETCH_HPACK_NO_MEMORY:
        fletch_http2_fail_no_memory(connection);
        return false;
    }
    return false;
}

/* A stream that the peer opens. NULL: it was refused. */
static struct fletch_http2_stream *accept_stream(struct fletch_http2_connection *connection)
{
    uint32_t id = connection->parser.block_stream;
    struct fletch_http2_stream *stream = NULL;
    if (connection->peer_count < connection->options.stream_limit)
        stream = fletch_http2_stream_add(connection, id);
    if (stream != NULL) {
        /* Nobody's before its user is told of it. */
        stream->is_released = true;
        return stream;
    }
    connection->statistics.streams_refused++;
    fletch_http2_queue_reset(connection, id, FLETCH_HTTP2_REFUSED_STREAM);
    fletch_http2_streams_remember(connection, id);
    fletch_http2_count_reset(connection);
    return NULL;
}

/* By the rules for fields, once for a list that repeats. */
static const char *check_fields(struct fletch_http2_known *known, enum fletch_http2_part part)
{
    struct fletch_field_list *list = &known->kept.list;
    if (known->is_checked)
        return NULL;
    const char *fault =
        fletch_http2_fields_check(fletch_field_list_fields(list), list->count, part, &known->facts);
    known->is_checked = fault == NULL;
    return fault;
}

static const char *check_part(struct fletch_http2_stream *stream, struct fletch_http2_known *known,
                              enum fletch_http2_part part)
{
    const char *fault = check_fields(known, part);
    const struct fletch_http2_facts *facts = &known->facts;
    bool ends_stream = stream->connection->parser.block_ends_stream;
    bool is_interim = part == FLETCH_HTTP2_RESPONSE && facts->status < 200;
    if (fault == NULL && is_interim && ends_stream)
        fault = "an interim response that ends its stream";
    if (fault == NULL && part == FLETCH_HTTP2_TRAILERS && !ends_stream)
        fault = "trailers that do not end their stream";
    int64_t missing = part == FLETCH_HTTP2_TRAILERS ? stream->content_left : facts->content_length;
    /* An answer to HEAD would be another matter, which gRPC has not. */
    if (fault == NULL && ends_stream && missing > 0 && facts->status != 304)
        fault = "fewer bytes than content-length says";
    if (part != FLETCH_HTTP2_TRAILERS && !is_interim)
        stream->content_left = facts->content_length;
    return fault;
}

/* The first headers of a stream, or its trailers. */
static void deliver(struct fletch_http2_stream *stream, struct fletch_http2_known *known,
                    struct fletch_http2_event *out_event)
{
    struct fletch_http2_connection *connection = stream->connection;
    bool ends_stream = connection->parser.block_ends_stream;
    enum fletch_http2_part part = stream->got_headers             ? FLETCH_HTTP2_TRAILERS
                                  : connection->options.is_server ? FLETCH_HTTP2_REQUEST
                                                                  : FLETCH_HTTP2_RESPONSE;
    const char *fault = check_part(stream, known, part);
    if (fault != NULL) {
        fletch_http2_stream_fail(stream, FLETCH_HTTP2_PROTOCOL_ERROR, fault);
        return;
    }
    bool is_interim = part == FLETCH_HTTP2_RESPONSE && known->facts.status < 200;
    if (is_interim)
        fletch_http2_glitch(connection);
    else
        fletch_http2_earn(connection);
    if (connection->is_failed)
        return;
    stream->got_headers = !is_interim;
    /* Known to its user from here on, who releases it. */
    if (part == FLETCH_HTTP2_REQUEST)
        stream->is_released = false;
    if (!stream->is_released)
        *out_event = (struct fletch_http2_event){
            .kind = FLETCH_HTTP2_EVENT_HEADERS,
            .stream = stream,
            .is_new = part == FLETCH_HTTP2_REQUEST,
            .ends_stream = ends_stream,
            .status = known->facts.status,
            .fields = fletch_field_list_fields(&known->kept.list),
            .field_count = known->kept.list.count,
        };
    if (ends_stream)
        fletch_http2_stream_end_remote(stream);
}

void fletch_http2_block_end(struct fletch_http2_connection *connection,
                            struct fletch_http2_event *out_event)
{
    struct fletch_http2_parser *parser = &connection->parser;
    bool is_too_large = false;
    parser->is_in_block = false;
    struct fletch_http2_stream *stream =
        parser->is_block_new ? NULL : fletch_http2_stream_find(connection, parser->block_stream);
    struct fletch_http2_known *known =
        &parser->known[stream != NULL && stream->got_headers ? FLETCH_HTTP2_KNOWN_TRAILERS
                                                             : FLETCH_HTTP2_KNOWN_HEADERS];
    if (!decode(connection, known, &is_too_large) || parser->is_block_dropped)
        return;
    if (parser->is_block_new)
        stream = accept_stream(connection);
    /* It may have been reset since the block began. */
    if (stream == NULL || stream->is_closed || connection->is_failed)
        return;
    if (is_too_large)
        fletch_http2_stream_fail(stream, FLETCH_HTTP2_ENHANCE_YOUR_CALM,
                                 "a list of headers that is too large");
    else
        deliver(stream, known, out_event);
}
