#include "http2/http2_connection.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include <fletching/buffer.h>

#include "base/status.h"
#include "http2/field_rules.h"
#include "http2/http2_control.h"
#include "http2/http2_headers.h"
#include "http2/http2_input.h"
#include "http2/http2_machine.h"
#include "http2/http2_output.h"
#include "http2/http2_parser.h"
#include "http2/http2_stream_table.h"

enum { EARNED_TOKENS = 2, PEER_STREAMS_AT_FIRST = 100 };

/* ---- making and ending ---- */

static void begin(struct fletch_http2_connection *connection,
                  const struct fletch_http2_options *options)
{
    connection->options = *options;
    connection->allocator = fletch_allocator_or_default(options->allocator);
    connection->options.allocator = &connection->allocator;
    fletch_byte_buffer_init(&connection->pending, &connection->allocator);
    fletch_byte_buffer_init(&connection->batch.frames, &connection->allocator);
    fletch_byte_buffer_init(&connection->block, &connection->allocator);
    fletch_byte_buffer_init(&connection->parser.block, &connection->allocator);
    fletch_field_list_init(&connection->spare_trailers, &connection->allocator);
    for (size_t i = 0; i < FLETCH_HTTP2_KNOWN_KINDS; i++) {
        fletch_hpack_kept_init(&connection->parser.known[i].kept, &connection->allocator);
        fletch_hpack_kept_init(&connection->sent[i].kept, &connection->allocator);
    }
    connection->send_window = FLETCH_HTTP2_WINDOW_DEFAULT;
    connection->receive_window = options->connection_window_bytes;
    connection->peer_window = FLETCH_HTTP2_WINDOW_DEFAULT;
    connection->peer_frame_bytes = FLETCH_HTTP2_FRAME_BYTES_LEAST;
    connection->peer_stream_limit = PEER_STREAMS_AT_FIRST;
    connection->peer_list_bytes = UINT32_MAX;
    connection->next_own_id = options->is_server ? 2 : 1;
    connection->resets = fletch_token_bucket_of(options->reset_burst, options->reset_rate);
    connection->glitches = fletch_token_bucket_of(options->glitch_burst, options->glitch_rate);
}

/* A client speaks at once; a server once it knows that its client speaks HTTP/2. */
static void greet(struct fletch_http2_connection *connection)
{
    if (connection->options.is_server) {
        connection->parser.phase = FLETCH_HTTP2_PHASE_PREFACE;
        return;
    }
    uint8_t *place = fletch_byte_buffer_extend(&connection->pending, FLETCH_HTTP2_PREFACE_BYTES);
    connection->parser.phase = FLETCH_HTTP2_PHASE_HEAD;
    if (place == NULL) {
        connection->is_failed = true;
        return;
    }
    memcpy(place, FLETCH_HTTP2_PREFACE, FLETCH_HTTP2_PREFACE_BYTES);
    fletch_http2_queue_settings(connection);
}

enum fletch_status fletch_http2_connection_create(const struct fletch_http2_options *options,
                                                  struct fletch_http2_connection **out_connection,
                                                  struct fletch_error *error)
{
    struct fletch_http2_options known;
    enum fletch_status status = fletch_http2_options_copy(&known, options, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_http2_connection *connection =
        fletch_block_allocate(known.allocator, sizeof *connection);
    bool is_made = connection != NULL;
    if (is_made) {
        memset(connection, 0, sizeof *connection);
        begin(connection, &known);
        is_made = fletch_hpack_init(&connection->hpack, &connection->allocator);
    }
    if (is_made && !fletch_http2_streams_init(connection)) {
        fletch_hpack_deinit(&connection->hpack);
        is_made = false;
    }
    if (is_made) {
        greet(connection);
        if (!connection->is_failed) {
            *out_connection = connection;
            return FLETCH_OK;
        }
        fletch_http2_connection_destroy(connection);
    } else if (connection != NULL) {
        fletch_block_release(connection);
    }
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "no memory for an http/2 connection: %zu bytes", sizeof *connection);
}

void fletch_http2_connection_destroy(struct fletch_http2_connection *connection)
{
    if (connection == NULL)
        return;
    connection->is_failed = true;
    fletch_http2_streams_deinit(connection);
    fletch_http2_batch_drop(connection);
    fletch_buffer_release(connection->options.cache, connection->input.moved);
    fletch_hpack_deinit(&connection->hpack);
    fletch_byte_buffer_deinit(&connection->pending);
    fletch_byte_buffer_deinit(&connection->batch.frames);
    fletch_byte_buffer_deinit(&connection->block);
    fletch_byte_buffer_deinit(&connection->parser.block);
    fletch_field_list_deinit(&connection->spare_trailers);
    for (size_t i = 0; i < FLETCH_HTTP2_KNOWN_KINDS; i++) {
        fletch_hpack_kept_deinit(&connection->parser.known[i].kept);
        fletch_hpack_kept_deinit(&connection->sent[i].kept);
    }
    fletch_block_release(connection);
}

/* ---- how it fails ---- */

/* Whether none of its bytes has left: its headers lie in no batch yet, or in one that has not begun
 * to be sent. */
static bool is_unsent(const struct fletch_http2_connection *connection,
                      const struct fletch_http2_stream *stream)
{
    const struct fletch_http2_batch *batch = &connection->batch;
    uint64_t made = connection->statistics.batches - stream->batches;
    bool is_all_there = batch->count != 0 && batch->first == 0 && batch->sent_bytes == 0;
    return !stream->is_peers && (made == 0 || (made == 1 && is_all_there));
}

static void end_streams(struct fletch_http2_connection *connection)
{
    struct fletch_http2_link *link = connection->all.next;
    fletch_http2_input_drop(&connection->input);
    while (link != &connection->all) {
        struct fletch_http2_stream *stream =
            FLETCH_HTTP2_OF_LINK(link, struct fletch_http2_stream, all);
        link = link->next;
        bool is_untouched = connection->is_lost && is_unsent(connection, stream);
        const struct fletch_http2_reset reset = {
            connection->code, is_untouched ? FLETCH_HTTP2_BY_REFUSAL : FLETCH_HTTP2_BY_LOSS,
            connection->text};
        fletch_http2_stream_drop(stream, &reset);
    }
}

void fletch_http2_fail(struct fletch_http2_connection *connection, enum fletch_http2_code code,
                       const char *format, ...)
{
    va_list values;
    if (connection->is_failed)
        return;
    connection->is_failed = true;
    connection->statistics.errors++;
    connection->code = code;
    va_start(values, format);
    (void)vsnprintf(connection->text, sizeof connection->text, format, values);
    va_end(values);
    fletch_http2_queue_goaway(connection, connection->last_peer_id, code, connection->text);
    end_streams(connection);
}

void fletch_http2_fail_no_memory(struct fletch_http2_connection *connection)
{
    fletch_http2_fail(connection, FLETCH_HTTP2_INTERNAL_ERROR, "no memory");
}

void fletch_http2_stop(struct fletch_http2_connection *connection, enum fletch_http2_code code,
                       const char *text)
{
    if (connection->is_failed)
        return;
    connection->is_failed = true;
    connection->code = code;
    (void)snprintf(connection->text, sizeof connection->text, "%s", text);
    end_streams(connection);
}

void fletch_http2_lose(struct fletch_http2_connection *connection, enum fletch_http2_code code,
                       const char *text)
{
    connection->is_lost = true;
    fletch_http2_stop(connection, code, text);
    fletch_http2_batch_drop(connection);
}

void fletch_http2_flood(struct fletch_http2_connection *connection, const char *what)
{
    if (connection->is_failed)
        return;
    connection->statistics.floods++;
    fletch_http2_fail(connection, FLETCH_HTTP2_ENHANCE_YOUR_CALM, "%s", what);
}

void fletch_http2_glitch(struct fletch_http2_connection *connection)
{
    connection->statistics.glitches++;
    if (!fletch_token_bucket_take(&connection->glitches, connection->now_ns))
        fletch_http2_flood(connection, "too many frames that move nothing on");
}

void fletch_http2_earn(struct fletch_http2_connection *connection)
{
    fletch_token_bucket_earn(&connection->glitches, EARNED_TOKENS);
}

void fletch_http2_count_reset(struct fletch_http2_connection *connection)
{
    connection->statistics.resets++;
    if (connection->options.is_server &&
        !fletch_token_bucket_take(&connection->resets, connection->now_ns))
        fletch_http2_flood(connection, "too many streams that are reset");
}

/* ---- frames of our own ---- */

void fletch_http2_queue_frame(struct fletch_http2_connection *connection,
                              const struct fletch_http2_head *head, const uint8_t *payload)
{
    uint8_t *place =
        fletch_byte_buffer_extend(&connection->pending, FLETCH_HTTP2_HEAD_BYTES + head->length);
    if (place == NULL) {
        fletch_http2_fail_no_memory(connection);
        return;
    }
    fletch_http2_head_write(place, head);
    if (head->length != 0)
        memcpy(place + FLETCH_HTTP2_HEAD_BYTES, payload, head->length);
}

void fletch_http2_queue_reset(struct fletch_http2_connection *connection, uint32_t stream_id,
                              enum fletch_http2_code code)
{
    const struct fletch_http2_head head = {
        .length = 4, .type = FLETCH_HTTP2_RST_STREAM, .stream_id = stream_id};
    uint8_t payload[4];
    fletch_http2_write_u32(payload, code);
    if (!connection->is_failed)
        fletch_http2_queue_frame(connection, &head, payload);
}

void fletch_http2_queue_goaway(struct fletch_http2_connection *connection, uint32_t last_id,
                               enum fletch_http2_code code, const char *text)
{
    uint8_t payload[8 + FLETCH_HTTP2_TEXT_BYTES];
    size_t text_bytes = strlen(text);
    const struct fletch_http2_head head = {.length = (uint32_t)(8 + text_bytes),
                                           .type = FLETCH_HTTP2_GOAWAY};
    fletch_http2_write_u32(payload, last_id);
    fletch_http2_write_u32(payload + 4, code);
    memcpy(payload + 8, text, text_bytes);
    fletch_http2_queue_frame(connection, &head, payload);
}

/* ---- events ---- */

static void tell_reset(struct fletch_http2_connection *connection,
                       struct fletch_http2_event *out_event)
{
    struct fletch_http2_stream *stream =
        FLETCH_HTTP2_OF_LINK(connection->lost.next, struct fletch_http2_stream, lost);
    fletch_http2_link_remove(&stream->lost);
    *out_event = (struct fletch_http2_event){
        .kind = FLETCH_HTTP2_EVENT_RESET,
        .stream = stream,
        .code = stream->code,
        .cause = stream->cause,
        .text = stream->text,
    };
}

static void tell_goaway(struct fletch_http2_connection *connection,
                        struct fletch_http2_event *out_event)
{
    connection->has_goaway = false;
    *out_event = (struct fletch_http2_event){
        .kind = FLETCH_HTTP2_EVENT_GOAWAY,
        .code = connection->goaway_code,
        .last_stream_id = connection->goaway_id,
        .text = connection->goaway_text,
    };
}

/* It ends by itself when it is going away and has no streams left. */
static bool has_ended(const struct fletch_http2_connection *connection)
{
    bool goes_away = connection->drain == FLETCH_HTTP2_DRAIN_FINAL ||
                     (connection->got_goaway && !connection->options.is_server);
    return goes_away && connection->stream_count == 0 && !connection->is_failed;
}

bool fletch_http2_connection_next(struct fletch_http2_connection *connection,
                                  struct fletch_http2_event *out_event)
{
    struct fletch_http2_event event = {.kind = FLETCH_HTTP2_EVENT_NONE};
    bool has_bytes = true;
    while (event.kind == FLETCH_HTTP2_EVENT_NONE) {
        if (!fletch_http2_link_is_alone(&connection->lost)) {
            tell_reset(connection, &event);
        } else if (connection->has_goaway) {
            tell_goaway(connection, &event);
        } else if (connection->is_failed && !connection->is_told) {
            connection->is_told = true;
            event = (struct fletch_http2_event){.kind = FLETCH_HTTP2_EVENT_CLOSED,
                                                .code = connection->code,
                                                .text = connection->text};
        } else if (!has_bytes) {
            if (!has_ended(connection))
                return false;
            fletch_http2_stop(connection, FLETCH_HTTP2_NO_ERROR, "shut down");
        } else {
            has_bytes = fletch_http2_parse(connection, &event);
        }
    }
    *out_event = event;
    return true;
}

void fletch_http2_connection_ended(struct fletch_http2_connection *connection)
{
    fletch_http2_lose(connection, FLETCH_HTTP2_NO_ERROR, "the peer has closed the connection");
}

bool fletch_http2_connection_is_over(const struct fletch_http2_connection *connection)
{
    bool is_sent = connection->batch.count == 0 && connection->pending.bytes == 0;
    return connection->is_failed && (connection->is_lost || is_sent);
}

/* ---- for its user ---- */

static enum fletch_status check_open(const struct fletch_http2_connection *connection,
                                     struct fletch_http2_block *block, struct fletch_error *error)
{
    if (connection->is_failed)
        return fletch_error_set(error, FLETCH_UNAVAILABLE, "the http/2 connection has ended: %s",
                                connection->text);
    if (connection->got_goaway || connection->drain != FLETCH_HTTP2_NOT_DRAINING)
        return fletch_error_set(error, FLETCH_UNAVAILABLE,
                                "the http/2 connection takes no more streams: it is going away");
    if (connection->next_own_id > FLETCH_HTTP2_STREAM_ID_MOST)
        return fletch_error_set(error, FLETCH_UNAVAILABLE,
                                "the http/2 connection has used all its stream ids");
    if (connection->own_count >= connection->peer_stream_limit)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "the peer takes %" PRIu32 " streams at a time, and has them",
                                connection->peer_stream_limit);
    const char *fault = fletch_http2_block_check(connection, block);
    if (fault != NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "headers of a request: %s", fault);
    return fletch_http2_block_fits(connection, block, error);
}

enum fletch_status fletch_http2_connection_open(struct fletch_http2_connection *connection,
                                                const struct fletch_http2_request *request,
                                                struct fletch_http2_stream **out_stream,
                                                struct fletch_error *error)
{
    FLETCH_ASSERT(!connection->options.is_server);
    struct fletch_http2_block block = {
        .fields = request->fields,
        .count = request->field_count,
        .stream_id = connection->next_own_id,
        .part = FLETCH_HTTP2_REQUEST,
        .ends_stream = request->ends_stream,
    };
    enum fletch_status status = check_open(connection, &block, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_http2_stream *stream =
        fletch_http2_stream_add(connection, connection->next_own_id);
    if (stream == NULL || !fletch_http2_queue_headers(connection, &block, &connection->pending)) {
        if (stream != NULL)
            fletch_http2_stream_release(stream);
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a stream");
    }
    connection->next_own_id += 2;
    stream->sent_headers = true;
    stream->end_queued = request->ends_stream;
    stream->local_ended = request->ends_stream;
    *out_stream = stream;
    return FLETCH_OK;
}

bool fletch_http2_connection_has_room(const struct fletch_http2_connection *connection)
{
    return connection->own_count < connection->peer_stream_limit;
}

void fletch_http2_connection_shutdown(struct fletch_http2_connection *connection)
{
    fletch_http2_begin_shutdown(connection);
}

void fletch_http2_connection_statistics(const struct fletch_http2_connection *connection,
                                        struct fletch_http2_statistics *out_statistics)
{
    *out_statistics = connection->statistics;
    out_statistics->streams = connection->stream_count;
}

static_assert(sizeof(struct fletch_http2_statistics) % sizeof(uint64_t) == 0, "all are counters");

void fletch_http2_statistics_add(struct fletch_http2_statistics *sum,
                                 const struct fletch_http2_statistics *more)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)more;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}
