#include "http2/http2_control.h"

#include <inttypes.h>

#include "http2/http2_stream_table.h"

enum { SETTING_BYTES = 6, PING_BYTES = 8, STREAMS_A_GLITCH = 64 };

/* What our own PINGs carry, to know their answers. */
static const uint8_t keepalive_bytes[PING_BYTES] = "flkpaliv";
static const uint8_t shutdown_bytes[PING_BYTES] = "flshutdn";

/* ---- SETTINGS ---- */

static uint8_t *put_setting(uint8_t *place, enum fletch_http2_setting setting, uint32_t value)
{
    place[0] = 0;
    place[1] = (uint8_t)setting;
    fletch_http2_write_u32(place + 2, value);
    return place + SETTING_BYTES;
}

void fletch_http2_queue_settings(struct fletch_http2_connection *connection)
{
    const struct fletch_http2_options *options = &connection->options;
    uint8_t payload[4 * SETTING_BYTES];
    uint8_t *place = payload;
    if (options->is_server)
        place = put_setting(place, FLETCH_HTTP2_MAX_CONCURRENT_STREAMS, options->stream_limit);
    else
        place = put_setting(place, FLETCH_HTTP2_ENABLE_PUSH, 0);
    place = put_setting(place, FLETCH_HTTP2_INITIAL_WINDOW_SIZE, options->stream_window_bytes);
    place = put_setting(place, FLETCH_HTTP2_MAX_FRAME_SIZE, options->frame_bytes);
    put_setting(place, FLETCH_HTTP2_MAX_HEADER_LIST_SIZE, options->header_list_bytes);
    const struct fletch_http2_head head = {.length = sizeof payload, .type = FLETCH_HTTP2_SETTINGS};
    fletch_http2_queue_frame(connection, &head, payload);
    uint32_t more = options->connection_window_bytes - FLETCH_HTTP2_WINDOW_DEFAULT;
    const struct fletch_http2_head update = {.length = 4, .type = FLETCH_HTTP2_WINDOW_UPDATE};
    uint8_t increment[4];
    fletch_http2_write_u32(increment, more);
    if (more != 0)
        fletch_http2_queue_frame(connection, &update, increment);
}

/* All streams move with the peer's initial window, below zero too. It pays for that by their
 * number. */
static void move_windows(struct fletch_http2_connection *connection, uint32_t window)
{
    int64_t delta = (int64_t)window - connection->peer_window;
    connection->peer_window = window;
    if (delta == 0)
        return;
    for (size_t i = 0; i < connection->stream_count / STREAMS_A_GLITCH; i++)
        fletch_http2_glitch(connection);
    struct fletch_http2_link *link = connection->all.next;
    for (; link != &connection->all; link = link->next) {
        struct fletch_http2_stream *stream =
            FLETCH_HTTP2_OF_LINK(link, struct fletch_http2_stream, all);
        stream->send_window += delta;
        if (stream->send_window > FLETCH_HTTP2_WINDOW_MOST) {
            fletch_http2_fail(connection, FLETCH_HTTP2_FLOW_CONTROL_ERROR,
                              "SETTINGS move the window of stream %" PRIu32 " beyond 2^31 - 1",
                              stream->id);
            return;
        }
        fletch_http2_stream_make_ready(stream);
    }
}

/* The initial window is left to the end of the frame: the last one counts. */
static void apply_setting(struct fletch_http2_connection *connection, uint32_t setting,
                          uint32_t value, uint32_t *out_window)
{
    switch (setting) {
    case FLETCH_HTTP2_HEADER_TABLE_SIZE:
        if (!fletch_hpack_limit_table(&connection->hpack, value))
            fletch_http2_fail_no_memory(connection);
        break;
    case FLETCH_HTTP2_ENABLE_PUSH:
        if (value > 1 || (value == 1 && !connection->options.is_server))
            fletch_http2_fail(connection, FLETCH_HTTP2_PROTOCOL_ERROR, "ENABLE_PUSH is %" PRIu32,
                              value);
        break;
    case FLETCH_HTTP2_MAX_CONCURRENT_STREAMS:
        connection->peer_stream_limit = value;
        break;
    case FLETCH_HTTP2_INITIAL_WINDOW_SIZE:
        if (value > FLETCH_HTTP2_WINDOW_MOST)
            fletch_http2_fail(connection, FLETCH_HTTP2_FLOW_CONTROL_ERROR,
                              "INITIAL_WINDOW_SIZE is %" PRIu32 ", at most 2^31 - 1", value);
        else
            *out_window = value;
        break;
    case FLETCH_HTTP2_MAX_FRAME_SIZE:
        if (value < FLETCH_HTTP2_FRAME_BYTES_LEAST || value > FLETCH_HTTP2_FRAME_BYTES_MOST)
            fletch_http2_fail(connection, FLETCH_HTTP2_PROTOCOL_ERROR,
                              "MAX_FRAME_SIZE is %" PRIu32 ", expected 16384 to 16777215", value);
        else
            connection->peer_frame_bytes = value;
        break;
    case FLETCH_HTTP2_MAX_HEADER_LIST_SIZE:
        connection->peer_list_bytes = value;
        break;
    default:
        break;
    }
}

/* An answer that the peer makes us give: it must read them as well. */
static void queue_answer(struct fletch_http2_connection *connection,
                         const struct fletch_http2_head *head, const uint8_t *payload)
{
    if (connection->answers >= connection->options.answer_limit) {
        fletch_http2_flood(connection, "too many answers to PING and SETTINGS that are not read");
        return;
    }
    connection->answers++;
    fletch_http2_queue_frame(connection, head, payload);
}

static void take_settings(struct fletch_http2_connection *connection)
{
    const struct fletch_http2_parser *parser = &connection->parser;
    if ((parser->head.flags & FLETCH_HTTP2_ACK) != 0) {
        if (connection->is_acknowledged)
            fletch_http2_glitch(connection);
        connection->is_acknowledged = true;
        return;
    }
    uint32_t entries = parser->head.length / SETTING_BYTES;
    if (entries > connection->options.settings_limit) {
        fletch_http2_flood(connection, "too many entries of SETTINGS");
        return;
    }
    fletch_http2_glitch(connection);
    uint32_t window = connection->peer_window;
    for (uint32_t i = 0; i < entries && !connection->is_failed; i++) {
        const uint8_t *entry = parser->control + (size_t)i * SETTING_BYTES;
        apply_setting(connection, (uint32_t)entry[0] << 8 | entry[1],
                      fletch_http2_read_u32(entry + 2), &window);
    }
    if (!connection->is_failed)
        move_windows(connection, window);
    const struct fletch_http2_head answer = {.type = FLETCH_HTTP2_SETTINGS,
                                             .flags = FLETCH_HTTP2_ACK};
    if (!connection->is_failed)
        queue_answer(connection, &answer, NULL);
}

/* ---- PING, GOAWAY ---- */

static void take_ping(struct fletch_http2_connection *connection)
{
    const struct fletch_http2_parser *parser = &connection->parser;
    fletch_http2_glitch(connection);
    if ((parser->head.flags & FLETCH_HTTP2_ACK) == 0) {
        const struct fletch_http2_head answer = {
            .length = PING_BYTES, .type = FLETCH_HTTP2_PING, .flags = FLETCH_HTTP2_ACK};
        if (!connection->is_failed)
            queue_answer(connection, &answer, parser->control);
        return;
    }
    if (memcmp(parser->control, keepalive_bytes, PING_BYTES) == 0)
        connection->ping_sent_ns = 0;
    if (memcmp(parser->control, shutdown_bytes, PING_BYTES) == 0)
        fletch_http2_finish_shutdown(connection);
}

static void queue_ping(struct fletch_http2_connection *connection, const uint8_t *payload)
{
    const struct fletch_http2_head head = {.length = PING_BYTES, .type = FLETCH_HTTP2_PING};
    fletch_http2_queue_frame(connection, &head, payload);
}

void fletch_http2_queue_keepalive(struct fletch_http2_connection *connection)
{
    queue_ping(connection, keepalive_bytes);
    connection->ping_sent_ns = connection->now_ns;
}

void fletch_http2_begin_shutdown(struct fletch_http2_connection *connection)
{
    if (connection->drain != FLETCH_HTTP2_NOT_DRAINING || connection->is_failed)
        return;
    connection->drain = FLETCH_HTTP2_DRAIN_SAID;
    connection->drain_began_ns = connection->now_ns;
    /* To a client that has not said what it speaks, nothing is said: then, with our SETTINGS. */
    if (connection->parser.phase != FLETCH_HTTP2_PHASE_PREFACE)
        fletch_http2_say_shutdown(connection);
}

void fletch_http2_say_shutdown(struct fletch_http2_connection *connection)
{
    fletch_http2_queue_goaway(connection, FLETCH_HTTP2_STREAM_ID_MOST, FLETCH_HTTP2_NO_ERROR,
                              "shutting down");
    queue_ping(connection, shutdown_bytes);
}

void fletch_http2_finish_shutdown(struct fletch_http2_connection *connection)
{
    if (connection->drain != FLETCH_HTTP2_DRAIN_SAID || connection->is_failed)
        return;
    if (connection->parser.phase == FLETCH_HTTP2_PHASE_PREFACE) {
        fletch_http2_stop(connection, FLETCH_HTTP2_NO_ERROR, "shut down before a word was said");
        return;
    }
    connection->drain = FLETCH_HTTP2_DRAIN_FINAL;
    fletch_http2_queue_goaway(connection, connection->last_peer_id, FLETCH_HTTP2_NO_ERROR,
                              "shutting down");
}

static void refuse_above(struct fletch_http2_connection *connection, uint32_t last_id)
{
    const struct fletch_http2_reset reset = {FLETCH_HTTP2_REFUSED_STREAM, FLETCH_HTTP2_BY_REFUSAL,
                                             "the peer is going away and has not looked at it"};
    struct fletch_http2_link *link = connection->all.next;
    while (link != &connection->all) {
        struct fletch_http2_stream *stream =
            FLETCH_HTTP2_OF_LINK(link, struct fletch_http2_stream, all);
        link = link->next;
        if (!stream->is_peers && stream->id > last_id)
            fletch_http2_stream_drop(stream, &reset);
    }
}

/* Up to 128 printable characters of what the peer says. */
static void keep_text(struct fletch_http2_connection *connection, const uint8_t *bytes,
                      size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count && kept + 1 < FLETCH_HTTP2_TEXT_BYTES; i++)
        connection->goaway_text[kept++] =
            (char)(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '?');
    connection->goaway_text[kept] = 0;
}

static void take_goaway(struct fletch_http2_connection *connection)
{
    const struct fletch_http2_parser *parser = &connection->parser;
    uint32_t last_id = fletch_http2_read_u32(parser->control) & FLETCH_HTTP2_STREAM_ID_MOST;
    if (connection->got_goaway && last_id > connection->goaway_id) {
        fletch_http2_fail(connection, FLETCH_HTTP2_PROTOCOL_ERROR,
                          "GOAWAY raises the last stream from %" PRIu32 " to %" PRIu32,
                          connection->goaway_id, last_id);
        return;
    }
    fletch_http2_glitch(connection);
    connection->got_goaway = true;
    connection->has_goaway = true;
    connection->goaway_id = last_id;
    connection->goaway_code = fletch_http2_read_u32(parser->control + 4);
    keep_text(connection, parser->control + 8, parser->wanted - 8);
    refuse_above(connection, last_id);
}

/* ---- of streams ---- */

static void take_reset(struct fletch_http2_connection *connection,
                       struct fletch_http2_stream *stream)
{
    uint32_t code = fletch_http2_read_u32(connection->parser.control);
    const struct fletch_http2_reset reset = {
        .code = code,
        .cause =
            code == FLETCH_HTTP2_REFUSED_STREAM ? FLETCH_HTTP2_BY_REFUSAL : FLETCH_HTTP2_BY_PEER,
        .text = "reset by the peer",
    };
    fletch_http2_stream_drop(stream, &reset);
    fletch_http2_count_reset(connection);
}

static void raise_connection_window(struct fletch_http2_connection *connection, uint32_t increment)
{
    if (increment == 0) {
        fletch_http2_fail(connection, FLETCH_HTTP2_PROTOCOL_ERROR,
                          "WINDOW_UPDATE of the connection by 0");
        return;
    }
    connection->send_window += increment;
    if (connection->send_window > FLETCH_HTTP2_WINDOW_MOST)
        fletch_http2_fail(connection, FLETCH_HTTP2_FLOW_CONTROL_ERROR,
                          "WINDOW_UPDATE moves the connection's window beyond 2^31 - 1");
}

static void raise_window(struct fletch_http2_stream *stream, uint32_t increment)
{
    if (increment == 0) {
        fletch_http2_stream_fail(stream, FLETCH_HTTP2_PROTOCOL_ERROR, "WINDOW_UPDATE by 0");
        return;
    }
    stream->send_window += increment;
    if (stream->send_window > FLETCH_HTTP2_WINDOW_MOST)
        fletch_http2_stream_fail(stream, FLETCH_HTTP2_FLOW_CONTROL_ERROR,
                                 "WINDOW_UPDATE moves the window beyond 2^31 - 1");
    else
        fletch_http2_stream_make_ready(stream);
}

static void take_on_stream(struct fletch_http2_connection *connection)
{
    const struct fletch_http2_head *head = &connection->parser.head;
    struct fletch_http2_stream *stream = fletch_http2_stream_find(connection, head->stream_id);
    enum fletch_http2_state state = fletch_http2_state_of(connection, stream, head->stream_id);
    enum fletch_http2_rule rule =
        fletch_http2_frame_rule((enum fletch_http2_type)head->type, state);
    if (rule == FLETCH_HTTP2_CONNECTION_ERROR) {
        fletch_http2_fail(connection, FLETCH_HTTP2_PROTOCOL_ERROR,
                          "a frame of type %u on stream %" PRIu32 ", which nobody has opened",
                          (unsigned)head->type, head->stream_id);
        return;
    }
    if (rule == FLETCH_HTTP2_DROP || head->type == FLETCH_HTTP2_WINDOW_UPDATE)
        fletch_http2_glitch(connection);
    if (rule != FLETCH_HTTP2_ACCEPT || connection->is_failed)
        return;
    if (head->type == FLETCH_HTTP2_RST_STREAM)
        take_reset(connection, stream);
    else
        raise_window(stream, fletch_http2_read_u32(connection->parser.control) &
                                 FLETCH_HTTP2_STREAM_ID_MOST);
}

void fletch_http2_control_frame(struct fletch_http2_connection *connection)
{
    const struct fletch_http2_head *head = &connection->parser.head;
    switch (head->type) {
    case FLETCH_HTTP2_SETTINGS:
        take_settings(connection);
        break;
    case FLETCH_HTTP2_PING:
        take_ping(connection);
        break;
    case FLETCH_HTTP2_GOAWAY:
        take_goaway(connection);
        break;
    case FLETCH_HTTP2_WINDOW_UPDATE:
        if (head->stream_id != 0) {
            take_on_stream(connection);
            break;
        }
        fletch_http2_glitch(connection);
        raise_connection_window(connection, fletch_http2_read_u32(connection->parser.control) &
                                                FLETCH_HTTP2_STREAM_ID_MOST);
        break;
    default:
        take_on_stream(connection);
        break;
    }
}
