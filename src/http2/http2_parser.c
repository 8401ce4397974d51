#include "http2/http2_parser.h"

#include <inttypes.h>

#include "http2/http2_control.h"
#include "http2/http2_headers.h"
#include "http2/http2_input.h"
#include "http2/http2_stream_table.h"

static uint32_t least(size_t a, size_t b)
{
    return (uint32_t)(a < b ? a : b);
}

/* Copies up to `bytes` of the next chunk. */
static uint32_t take(struct fletch_http2_connection *connection, uint8_t *place, size_t bytes)
{
    uint8_t *data;
    uint32_t taken = least(fletch_http2_input_peek(&connection->input, &data), bytes);
    if (taken != 0)
        memcpy(place, data, taken);
    fletch_http2_input_skip(&connection->input, taken);
    return taken;
}

/* ---- before the first frame ---- */

static const char http1_answer[] = "HTTP/1.1 505 HTTP Version Not Supported\r\n"
                                   "Content-Type: text/plain\r\n"
                                   "Content-Length: 50\r\n"
                                   "Connection: close\r\n\r\n"
                                   "This port speaks HTTP/2 only, by prior knowledge.\n";

static void refuse_preface(struct fletch_http2_connection *connection, const uint8_t *bytes)
{
    /* What HTTP/1 begins with is the name of a method. */
    bool is_http1 = bytes[0] >= 'A' && bytes[0] <= 'Z';
    if (is_http1) {
        uint8_t *place = fletch_byte_buffer_extend(&connection->pending, sizeof http1_answer - 1);
        if (place != NULL)
            memcpy(place, http1_answer, sizeof http1_answer - 1);
    }
    fletch_http2_stop(connection, FLETCH_HTTP2_PROTOCOL_ERROR,
                      is_http1 ? "the client speaks http/1" : "the client does not speak http/2");
}

static bool parse_preface(struct fletch_http2_connection *connection)
{
    struct fletch_http2_parser *parser = &connection->parser;
    const char *preface = FLETCH_HTTP2_PREFACE;
    uint8_t *data;
    size_t bytes = fletch_http2_input_peek(&connection->input, &data);
    size_t wanted = FLETCH_HTTP2_PREFACE_BYTES - parser->filled;
    size_t compared = bytes < wanted ? bytes : wanted;
    if (bytes == 0)
        return false;
    if (memcmp(data, preface + parser->filled, compared) != 0) {
        refuse_preface(connection, parser->filled == 0 ? data : (const uint8_t *)preface);
        return true;
    }
    fletch_http2_input_skip(&connection->input, compared);
    parser->filled += (uint32_t)compared;
    if (parser->filled == FLETCH_HTTP2_PREFACE_BYTES) {
        parser->phase = FLETCH_HTTP2_PHASE_HEAD;
        parser->filled = 0;
        fletch_http2_queue_settings(connection);
        if (connection->drain != FLETCH_HTTP2_NOT_DRAINING)
            fletch_http2_say_shutdown(connection);
    }
    return true;
}

/* ---- how a frame begins ---- */

/* DATA: what it uses of the windows, and whose it is. */
static void begin_data(struct fletch_http2_connection *connection,
                       struct fletch_http2_stream *stream)
{
    struct fletch_http2_parser *parser = &connection->parser;
    const struct fletch_http2_head *head = &parser->head;
    enum fletch_http2_state state = fletch_http2_state_of(connection, stream, head->stream_id);
    enum fletch_http2_rule rule = fletch_http2_frame_rule(FLETCH_HTTP2_DATA, state);
    parser->stream = NULL;
    parser->is_copied = false;
    if (rule == FLETCH_HTTP2_CONNECTION_ERROR) {
        fletch_http2_fail(connection, FLETCH_HTTP2_PROTOCOL_ERROR,
                          "DATA on stream %" PRIu32 ", which nobody has opened", head->stream_id);
        return;
    }
    connection->receive_window -= head->length;
    if (connection->receive_window < 0) {
        fletch_http2_fail(connection, FLETCH_HTTP2_FLOW_CONTROL_ERROR,
                          "%" PRIu32 " bytes of DATA are more than the connection's window",
                          head->length);
        return;
    }
    connection->credit += head->length;
    /* A whole window may be on its way to a stream that this side has reset; it comes in large
     * frames from who does not mean to waste our time. */
    if (rule != FLETCH_HTTP2_ACCEPT && head->length < FLETCH_HTTP2_USEFUL_BYTES)
        fletch_http2_glitch(connection);
    if (connection->is_failed)
        return;
    if (rule == FLETCH_HTTP2_STREAM_ERROR && stream != NULL && !stream->is_closed)
        fletch_http2_stream_fail(stream, FLETCH_HTTP2_STREAM_CLOSED,
                                 "DATA after the end of the stream");
    else if (rule == FLETCH_HTTP2_STREAM_ERROR)
        fletch_http2_queue_reset(connection, head->stream_id, FLETCH_HTTP2_STREAM_CLOSED);
    if (rule != FLETCH_HTTP2_ACCEPT)
        return;
    stream->receive_window -= head->length;
    if (stream->receive_window < 0)
        fletch_http2_stream_fail(stream, FLETCH_HTTP2_FLOW_CONTROL_ERROR,
                                 "more DATA than the window of the stream");
    else if (!stream->got_headers)
        fletch_http2_stream_fail(stream, FLETCH_HTTP2_PROTOCOL_ERROR, "DATA before headers");
    else
        parser->stream = stream;
}

static void begin_lead(struct fletch_http2_parser *parser)
{
    const struct fletch_http2_head *head = &parser->head;
    parser->wanted = 0;
    if ((head->flags & FLETCH_HTTP2_PADDED) != 0)
        parser->wanted += 1;
    if (head->type == FLETCH_HTTP2_HEADERS && (head->flags & FLETCH_HTTP2_HAS_PRIORITY) != 0)
        parser->wanted += 5;
    parser->phase = FLETCH_HTTP2_PHASE_LEAD;
}

static void begin_by_type(struct fletch_http2_connection *connection)
{
    struct fletch_http2_parser *parser = &connection->parser;
    const struct fletch_http2_head *head = &parser->head;
    switch (head->type) {
    case FLETCH_HTTP2_DATA:
        begin_data(connection, fletch_http2_stream_find(connection, head->stream_id));
        begin_lead(parser);
        break;
    case FLETCH_HTTP2_HEADERS:
        fletch_http2_block_begin(connection, fletch_http2_stream_find(connection, head->stream_id));
        begin_lead(parser);
        break;
    case FLETCH_HTTP2_CONTINUATION:
        parser->phase = FLETCH_HTTP2_PHASE_BLOCK;
        break;
    case FLETCH_HTTP2_PUSH_PROMISE:
        fletch_http2_fail(connection, FLETCH_HTTP2_PROTOCOL_ERROR,
                          "PUSH_PROMISE, which was not allowed");
        break;
    case FLETCH_HTTP2_PRIORITY:
        fletch_http2_glitch(connection);
        parser->phase = FLETCH_HTTP2_PHASE_SKIP;
        break;
    case FLETCH_HTTP2_RST_STREAM:
    case FLETCH_HTTP2_SETTINGS:
    case FLETCH_HTTP2_PING:
    case FLETCH_HTTP2_GOAWAY:
    case FLETCH_HTTP2_WINDOW_UPDATE:
        parser->wanted = least(head->length, FLETCH_HTTP2_CONTROL_BYTES);
        parser->phase = FLETCH_HTTP2_PHASE_CONTROL;
        break;
    default:
        fletch_http2_glitch(connection); /* 5.5: an extension, which is ignored */
        parser->phase = FLETCH_HTTP2_PHASE_SKIP;
        break;
    }
}

/* A block of headers is not interrupted, and nothing else has CONTINUATION. */
static bool is_in_order(struct fletch_http2_connection *connection)
{
    struct fletch_http2_parser *parser = &connection->parser;
    const struct fletch_http2_head *head = &parser->head;
    bool is_continuation = head->type == FLETCH_HTTP2_CONTINUATION;
    bool is_same = is_continuation && head->stream_id == parser->block_stream;
    if (parser->is_in_block ? !is_same : is_continuation) {
        fletch_http2_fail(connection, FLETCH_HTTP2_PROTOCOL_ERROR,
                          "a frame of type %u on stream %" PRIu32 " %s", (unsigned)head->type,
                          head->stream_id,
                          parser->is_in_block ? "within headers" : "without headers before it");
        return false;
    }
    bool is_settings = head->type == FLETCH_HTTP2_SETTINGS && (head->flags & FLETCH_HTTP2_ACK) == 0;
    if (!parser->got_settings && !is_settings) {
        bool is_http1 = memcmp(parser->head_bytes, "HTTP/1.", 7) == 0;
        fletch_http2_fail(connection, FLETCH_HTTP2_PROTOCOL_ERROR, "%s",
                          is_http1 ? "the server speaks http/1"
                                   : "the first frame is not SETTINGS");
        return false;
    }
    parser->got_settings = true;
    return true;
}

static void begin_frame(struct fletch_http2_connection *connection)
{
    struct fletch_http2_parser *parser = &connection->parser;
    parser->head = fletch_http2_head_read(parser->head_bytes);
    connection->statistics.frames++;
    parser->left = parser->head.length;
    parser->padding = 0;
    parser->filled = 0;
    if (!is_in_order(connection))
        return;
    if (parser->head.length > connection->options.frame_bytes) {
        fletch_http2_fail(connection, FLETCH_HTTP2_FRAME_SIZE_ERROR,
                          "a frame of %" PRIu32 " bytes, at most %" PRIu32, parser->head.length,
                          connection->options.frame_bytes);
        return;
    }
    const struct fletch_http2_fault fault = fletch_http2_head_check(&parser->head);
    if (fault.code == FLETCH_HTTP2_NO_ERROR) {
        begin_by_type(connection);
        return;
    }
    if (!fault.is_stream) {
        fletch_http2_fail(connection, fault.code, "a frame of type %u and %" PRIu32 " bytes: %s",
                          (unsigned)parser->head.type, parser->head.length, fault.text);
        return;
    }
    fletch_http2_glitch(connection);
    struct fletch_http2_stream *stream =
        fletch_http2_stream_find(connection, parser->head.stream_id);
    if (stream != NULL)
        fletch_http2_stream_fail(stream, fault.code, fault.text);
    parser->phase = FLETCH_HTTP2_PHASE_SKIP;
}

static bool parse_head(struct fletch_http2_connection *connection)
{
    struct fletch_http2_parser *parser = &connection->parser;
    uint32_t taken = take(connection, parser->head_bytes + parser->filled,
                          FLETCH_HTTP2_HEAD_BYTES - parser->filled);
    if (taken == 0)
        return false;
    if (connection->frame_began_ns == 0)
        connection->frame_began_ns = connection->now_ns;
    parser->filled += taken;
    if (parser->filled == FLETCH_HTTP2_HEAD_BYTES)
        begin_frame(connection);
    return true;
}

/* ---- how it goes on ---- */

static bool parse_lead(struct fletch_http2_connection *connection)
{
    struct fletch_http2_parser *parser = &connection->parser;
    bool is_data = parser->head.type == FLETCH_HTTP2_DATA;
    uint32_t taken =
        take(connection, parser->control + parser->filled, parser->wanted - parser->filled);
    parser->filled += taken;
    parser->left -= taken;
    if (parser->filled < parser->wanted)
        return taken != 0;
    if ((parser->head.flags & FLETCH_HTTP2_PADDED) != 0)
        parser->padding = parser->control[0];
    if (parser->padding > parser->left) {
        fletch_http2_fail(connection, FLETCH_HTTP2_PROTOCOL_ERROR,
                          "padding of %" PRIu32 " bytes in %" PRIu32, parser->padding,
                          parser->left);
        return true;
    }
    bool is_empty = parser->left == parser->padding;
    bool ends = (parser->head.flags & FLETCH_HTTP2_END_STREAM) != 0;
    if (is_empty && (!is_data || !ends))
        fletch_http2_glitch(connection);
    else if (is_data && parser->stream != NULL)
        fletch_http2_earn(connection);
    /* Padding is nobody's to consume. */
    if (is_data && parser->stream != NULL)
        fletch_http2_stream_consume(parser->stream, parser->wanted + parser->padding);
    if (!connection->is_failed)
        parser->phase = is_data ? FLETCH_HTTP2_PHASE_BODY : FLETCH_HTTP2_PHASE_BLOCK;
    return true;
}

static bool parse_control(struct fletch_http2_connection *connection)
{
    struct fletch_http2_parser *parser = &connection->parser;
    uint32_t taken =
        take(connection, parser->control + parser->filled, parser->wanted - parser->filled);
    parser->filled += taken;
    parser->left -= taken;
    if (parser->filled < parser->wanted)
        return taken != 0;
    parser->phase = FLETCH_HTTP2_PHASE_SKIP;
    fletch_http2_control_frame(connection);
    return true;
}

static void end_block_frame(struct fletch_http2_connection *connection,
                            struct fletch_http2_event *out_event)
{
    struct fletch_http2_parser *parser = &connection->parser;
    parser->phase = FLETCH_HTTP2_PHASE_SKIP;
    parser->block_frames++;
    if (parser->head.type == FLETCH_HTTP2_CONTINUATION && parser->head.length == 0)
        fletch_http2_glitch(connection);
    if ((parser->head.flags & FLETCH_HTTP2_END_HEADERS) != 0)
        fletch_http2_block_end(connection, out_event);
    else if (parser->block_frames > connection->options.continuation_limit)
        fletch_http2_flood(connection, "too many frames of one block of headers");
}

static bool parse_block(struct fletch_http2_connection *connection,
                        struct fletch_http2_event *out_event)
{
    struct fletch_http2_parser *parser = &connection->parser;
    uint8_t *data;
    uint32_t left = parser->left - parser->padding;
    uint32_t taken = least(fletch_http2_input_peek(&connection->input, &data), left);
    if (left != 0 && taken == 0)
        return false;
    if (parser->block.bytes + left > connection->options.header_block_bytes) {
        fletch_http2_flood(connection, "a block of headers that is too large");
        return true;
    }
    uint8_t *place = taken == 0 ? NULL : fletch_byte_buffer_extend(&parser->block, taken);
    if (taken != 0 && place == NULL) {
        fletch_http2_fail_no_memory(connection);
        return true;
    }
    if (taken != 0)
        memcpy(place, data, taken);
    fletch_http2_input_skip(&connection->input, taken);
    parser->left -= taken;
    if (taken == left)
        end_block_frame(connection, out_event);
    return true;
}

/* ---- DATA ---- */

static void end_body(struct fletch_http2_connection *connection,
                     struct fletch_http2_event *out_event)
{
    struct fletch_http2_parser *parser = &connection->parser;
    struct fletch_http2_stream *stream = parser->stream;
    bool ends = (parser->head.flags & FLETCH_HTTP2_END_STREAM) != 0;
    parser->phase = FLETCH_HTTP2_PHASE_SKIP;
    parser->stream = NULL;
    if (parser->is_copied)
        connection->statistics.frames_copied++;
    else
        connection->statistics.frames_in_place++;
    if (stream == NULL || !ends)
        return;
    if (stream->content_left > 0) {
        fletch_http2_stream_fail(stream, FLETCH_HTTP2_PROTOCOL_ERROR,
                                 "fewer bytes than content-length says");
        return;
    }
    if (!stream->is_released) {
        out_event->kind = FLETCH_HTTP2_EVENT_BYTES;
        out_event->stream = stream;
        out_event->ends_stream = true;
    }
    fletch_http2_stream_end_remote(stream);
}

/* `bytes` bytes of a stream to its place; where they are there already, nothing is copied. */
static void put(struct fletch_http2_stream *stream, const uint8_t *data, uint32_t bytes)
{
    struct fletch_http2_connection *connection = stream->connection;
    if (data != stream->place) {
        memcpy(stream->place, data, bytes);
        connection->parser.is_copied = true;
        connection->statistics.bytes_copied += bytes;
    }
    stream->place += bytes;
    stream->place_bytes -= bytes;
}

static bool parse_body(struct fletch_http2_connection *connection,
                       struct fletch_http2_event *out_event)
{
    struct fletch_http2_parser *parser = &connection->parser;
    struct fletch_http2_stream *stream = parser->stream;
    uint8_t *data;
    uint32_t left = parser->left - parser->padding;
    uint32_t taken = least(fletch_http2_input_peek(&connection->input, &data), left);
    bool is_wanted = stream != NULL && stream->place_bytes != 0;
    if (left != 0 && taken == 0)
        return false;
    if (is_wanted)
        taken = least(taken, stream->place_bytes);
    if (stream != NULL && stream->content_left >= 0 && (stream->content_left -= taken) < 0) {
        fletch_http2_stream_fail(stream, FLETCH_HTTP2_PROTOCOL_ERROR,
                                 "more bytes than content-length says");
        parser->stream = NULL;
        return true;
    }
    if (is_wanted && taken != 0) {
        put(stream, data, taken);
        *out_event = (struct fletch_http2_event){
            .kind = FLETCH_HTTP2_EVENT_BYTES, .stream = stream, .bytes = taken};
    } else if (stream != NULL) {
        fletch_http2_stream_consume(stream, taken);
    }
    if (taken != 0)
        connection->frame_began_ns = connection->now_ns;
    fletch_http2_input_skip(&connection->input, taken);
    parser->left -= taken;
    if (taken == left)
        end_body(connection, out_event);
    return true;
}

static bool parse_skip(struct fletch_http2_connection *connection)
{
    struct fletch_http2_parser *parser = &connection->parser;
    uint8_t *data;
    uint32_t taken = least(fletch_http2_input_peek(&connection->input, &data), parser->left);
    if (parser->left != 0 && taken == 0)
        return false;
    fletch_http2_input_skip(&connection->input, taken);
    parser->left -= taken;
    if (parser->left != 0)
        return true;
    if (!parser->is_in_block)
        connection->frame_began_ns = 0;
    parser->phase = FLETCH_HTTP2_PHASE_HEAD;
    parser->filled = 0;
    parser->last_data_stream = parser->head.type == FLETCH_HTTP2_DATA ? parser->head.stream_id : 0;
    parser->last_data_length = parser->head.length;
    return true;
}

bool fletch_http2_parse(struct fletch_http2_connection *connection,
                        struct fletch_http2_event *out_event)
{
    if (connection->is_failed)
        return false;
    switch (connection->parser.phase) {
    case FLETCH_HTTP2_PHASE_PREFACE:
        return parse_preface(connection);
    case FLETCH_HTTP2_PHASE_HEAD:
        return parse_head(connection);
    case FLETCH_HTTP2_PHASE_LEAD:
        return parse_lead(connection);
    case FLETCH_HTTP2_PHASE_CONTROL:
        return parse_control(connection);
    case FLETCH_HTTP2_PHASE_BLOCK:
        return parse_block(connection, out_event);
    case FLETCH_HTTP2_PHASE_BODY:
        return parse_body(connection, out_event);
    case FLETCH_HTTP2_PHASE_SKIP:
        return parse_skip(connection);
    }
    return false;
}
