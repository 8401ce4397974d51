#include "grpc/grpc_receive.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "grpc/grpc_fields.h"
#include "grpc/grpc_incoming.h"
#include "grpc/grpc_status.h"
#include "grpc/grpc_text.h"

/* By so much two clocks that were started by one message may differ. */
#define DEADLINE_SLACK_NS UINT64_C(10000000)

/* ---- messages ---- */

static void await_prefix(struct fletch_grpc_call *call)
{
    call->is_in_message = false;
    call->prefix_filled = 0;
    fletch_http2_stream_place(call->stream, call->prefix, sizeof call->prefix);
}

/* The memory of the next bytes of a message; of a reader: of its next piece. */
static void await_piece(struct fletch_grpc_call *call)
{
    const struct fletch_grpc_reader *reader = call->reader;
    struct iovec place;
    if (reader == NULL) {
        place = (struct iovec){fletch_buffer_mutable_data(call->buffer), call->message_bytes};
    } else {
        place = reader->place(reader->context, call);
        FLETCH_ASSERT(place.iov_len > 0 &&
                      place.iov_len <= call->message_bytes - call->message_filled);
    }
    call->place_left = place.iov_len;
    fletch_http2_stream_place(call->stream, place.iov_base, place.iov_len);
}

/* The limit and the account are asked before there is memory, whatever the prefix claims. */
static bool begin_message(struct fletch_grpc_call *call)
{
    const struct fletch_grpc_options *options = &call->connection->options;
    struct fletch_error error;
    char text[FLETCH_GRPC_TEXT_BYTES];
    enum fletch_status status;
    call->message_bytes = fletch_http2_read_u32(call->prefix + 1);
    call->message_filled = 0;
    if (call->prefix[0] != 0) {
        bool is_known = call->has_encoding && call->prefix[0] == 1;
        fletch_grpc_call_fail(call, is_known ? FLETCH_UNIMPLEMENTED : FLETCH_INTERNAL,
                              is_known ? "messages are not decompressed here: use identity"
                                       : "a compressed message without a grpc-encoding");
        return false;
    }
    if (call->message_bytes > options->message_limit_bytes) {
        (void)snprintf(text, sizeof text, "a message of %zu bytes, at most %zu",
                       call->message_bytes, options->message_limit_bytes);
        call->connection->statistics.refused_messages++;
        fletch_grpc_call_fail(call, FLETCH_RESOURCE_EXHAUSTED, text);
        return false;
    }
    call->is_in_message = true;
    if (call->message_bytes == 0)
        return true;
    if (!fletch_grpc_incoming_begin(call))
        return false;
    status = call->reader != NULL
                 ? call->reader->begin(call->reader->context, call, call->message_bytes, &error)
                 : fletch_buffer_allocate(options->http2.cache, call->message_bytes,
                                          options->http2.account, &call->buffer, &error);
    if (status != FLETCH_OK) {
        call->connection->statistics.refused_messages++;
        fletch_grpc_call_fail(call, status, error.message);
        return false;
    }
    await_piece(call);
    return true;
}

/* A whole message is there. */
static bool tell_message(struct fletch_grpc_call *call, struct fletch_grpc_event *out_event)
{
    *out_event = (struct fletch_grpc_event){
        .kind = FLETCH_GRPC_EVENT_MESSAGE,
        .call = call,
        .buffer = call->buffer,
        .message_bytes = call->message_bytes,
    };
    call->buffer = NULL;
    fletch_grpc_incoming_end(call);
    call->untaken++;
    await_prefix(call);
    return true;
}

static bool fill_message(struct fletch_grpc_call *call, size_t bytes,
                         struct fletch_grpc_event *out_event)
{
    const struct fletch_grpc_reader *reader = call->reader;
    struct fletch_error error;
    call->message_filled += bytes;
    call->place_left -= bytes;
    if (reader != NULL) {
        enum fletch_status status = reader->filled(reader->context, call, bytes, &error);
        if (status != FLETCH_OK) {
            fletch_grpc_call_fail(call, status, error.message);
            return false;
        }
    }
    if (call->message_filled == call->message_bytes)
        return tell_message(call, out_event);
    if (call->place_left == 0)
        await_piece(call);
    return false;
}

static bool take_bytes(struct fletch_grpc_call *call, size_t bytes,
                       struct fletch_grpc_event *out_event)
{
    /* Credit goes back as bytes arrive, until a message waits to be taken. */
    if (call->untaken == 0)
        fletch_http2_stream_consume(call->stream, bytes);
    else
        call->uncredited += bytes;
    if (call->is_in_message)
        return fill_message(call, bytes, out_event);
    call->prefix_filled += (uint32_t)bytes;
    if (call->prefix_filled < sizeof call->prefix || !begin_message(call))
        return false;
    return call->message_bytes == 0 && tell_message(call, out_event);
}

static bool is_within_message(const struct fletch_grpc_call *call)
{
    return call->is_in_message || call->prefix_filled != 0;
}

/* The peer's side of the stream has ended. */
static void end_messages(struct fletch_grpc_call *call)
{
    if (call->is_ended)
        return;
    if (is_within_message(call)) {
        fletch_grpc_call_fail(call, FLETCH_INTERNAL, "the stream ended within a message");
    } else if (call->connection->options.http2.is_server) {
        call->has_half_close = true;
        fletch_http2_link_append(&call->connection->todo, &call->todo);
    } else {
        fletch_grpc_call_end(call, FLETCH_UNKNOWN, "the server ended without a status");
    }
}

/* ---- headers ---- */

static const struct fletch_http2_field *find(const struct fletch_http2_event *event,
                                             const char *name)
{
    return fletch_http2_field_find(event->fields, event->field_count, name);
}

static bool is_grpc(const struct fletch_http2_event *event)
{
    static const char type[] = "application/grpc";
    const struct fletch_http2_field *field = find(event, "content-type");
    return field != NULL && strncmp(field->value, type, sizeof type - 1) == 0;
}

static void note_encoding(struct fletch_grpc_call *call, const struct fletch_http2_event *event)
{
    const struct fletch_http2_field *field = find(event, "grpc-encoding");
    call->has_encoding = field != NULL && strcmp(field->value, "identity") != 0;
}

/* What is no call of gRPC is answered as HTTP has it, and as gRPC has it too: it may be a client
 * that means well. */
static bool refuse_request(struct fletch_grpc_connection *connection,
                           struct fletch_http2_stream *stream, const char *http_status,
                           const char *text)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_INVALID_ARGUMENT, .text = text};
    struct fletch_field_list *fields = &connection->scratch;
    fletch_grpc_fields_begin(connection);
    if (!fletch_grpc_fields_add(connection, ":status", http_status) ||
        !fletch_grpc_fields_add(connection, "content-type", "application/grpc") ||
        fletch_grpc_fields_add_ending(connection, &ending, NULL) != FLETCH_OK ||
        fletch_http2_stream_send_headers(stream, fletch_field_list_fields(fields), fields->count,
                                         true, NULL) != FLETCH_OK)
        fletch_http2_stream_reset(stream, FLETCH_HTTP2_INTERNAL_ERROR);
    fletch_http2_stream_release(stream);
    return false;
}

static bool begin_call(struct fletch_grpc_connection *connection,
                       const struct fletch_http2_event *event, struct fletch_grpc_event *out_event)
{
    const struct fletch_http2_field *timeout = find(event, "grpc-timeout");
    const struct fletch_http2_field *method = find(event, ":method");
    const struct fletch_http2_field *path = find(event, ":path");
    uint64_t timeout_ns = UINT64_MAX;
    if (path == NULL || strcmp(method->value, "POST") != 0)
        return refuse_request(connection, event->stream, "405",
                              "a call of gRPC is a POST with a path");
    if (!is_grpc(event))
        return refuse_request(connection, event->stream, "415",
                              "expected the content-type application/grpc");
    struct fletch_grpc_call *call = fletch_grpc_call_make(connection, event->stream);
    if (call == NULL) {
        fletch_http2_stream_reset(event->stream, FLETCH_HTTP2_REFUSED_STREAM);
        fletch_http2_stream_release(event->stream);
        return false;
    }
    if (timeout != NULL &&
        !fletch_grpc_timeout_read(timeout->value, timeout->value_bytes, &timeout_ns)) {
        const struct fletch_grpc_ending ending = {.status = FLETCH_INVALID_ARGUMENT,
                                                  .text = "a grpc-timeout that is none"};
        (void)fletch_grpc_call_finish(call, &ending, NULL);
        fletch_grpc_call_release(call);
        return false;
    }
    note_encoding(call, event);
    call->deadline_ns = fletch_saturating_add_u64(connection->now_ns, timeout_ns);
    if (call->deadline_ns < connection->deadline_ns)
        connection->deadline_ns = call->deadline_ns;
    await_prefix(call);
    if (event->ends_stream)
        end_messages(call);
    *out_event = (struct fletch_grpc_event){
        .kind = FLETCH_GRPC_EVENT_CALL,
        .call = call,
        .fields = event->fields,
        .field_count = event->field_count,
        .path = path->value,
        .timeout_ns = timeout_ns,
    };
    return true;
}

/* Trailers, with a status or without; of an answer that is none of gRPC's, headers. */
static bool end_by_fields(struct fletch_grpc_call *call, const struct fletch_http2_event *event,
                          struct fletch_grpc_event *out_event)
{
    const struct fletch_http2_field *status = find(event, "grpc-status");
    const struct fletch_http2_field *text = find(event, "grpc-message");
    size_t bytes = 0;
    if (call->is_ended)
        return false;
    fletch_grpc_call_end(call, FLETCH_UNKNOWN, "the server's trailers have no grpc-status");
    if (status != NULL)
        call->status = fletch_grpc_status_read(status->value, status->value_bytes);
    if (status != NULL && text != NULL) {
        char decoded[FLETCH_GRPC_TEXT_BYTES];
        bytes = text->value_bytes < sizeof decoded - 1 ? text->value_bytes : sizeof decoded - 1;
        bytes = fletch_grpc_percent_decode(text->value, bytes, decoded);
        memcpy(call->text, decoded, bytes);
    }
    if (status != NULL)
        call->text[bytes] = 0;
    if (call->status == FLETCH_OK && is_within_message(call)) {
        call->status = FLETCH_INTERNAL;
        (void)snprintf(call->text, sizeof call->text, "the stream ended within a message");
    }
    fletch_http2_link_remove(&call->todo);
    call->has_ending = false;
    *out_event = (struct fletch_grpc_event){
        .kind = FLETCH_GRPC_EVENT_ENDED,
        .call = call,
        .fields = event->fields,
        .field_count = event->field_count,
        .status = call->status,
        .text = call->text,
    };
    return true;
}

static bool take_answer(struct fletch_grpc_call *call, const struct fletch_http2_event *event,
                        struct fletch_grpc_event *out_event)
{
    char text[FLETCH_GRPC_TEXT_BYTES];
    bool is_interim = event->status != 0 && event->status < 200;
    if (is_interim || call->is_ended)
        return false;
    if (call->got_headers || (event->ends_stream && find(event, "grpc-status") != NULL))
        return end_by_fields(call, event, out_event);
    if (event->status != 200 || !is_grpc(event)) {
        (void)snprintf(text, sizeof text, "the server answered with http status %u%s",
                       (unsigned)event->status,
                       event->status == 200 ? ", which is none of grpc's" : "");
        fletch_grpc_call_fail(call, fletch_grpc_status_of_http(event->status), text);
        return false;
    }
    call->got_headers = true;
    note_encoding(call, event);
    await_prefix(call);
    if (event->ends_stream)
        end_messages(call);
    *out_event = (struct fletch_grpc_event){
        .kind = FLETCH_GRPC_EVENT_HEADERS,
        .call = call,
        .fields = event->fields,
        .field_count = event->field_count,
    };
    return true;
}

/* ---- events ---- */

static bool take_headers(struct fletch_grpc_connection *connection,
                         const struct fletch_http2_event *event,
                         struct fletch_grpc_event *out_event)
{
    if (event->is_new)
        return begin_call(connection, event, out_event);
    struct fletch_grpc_call *call = fletch_http2_stream_context(event->stream);
    if (!connection->options.http2.is_server)
        return take_answer(call, event, out_event);
    end_messages(call); /* trailers of a client say nothing more */
    return false;
}

/* Servers end a call at its deadline by a reset, and theirs may come a moment before ours. */
static bool is_deadline(const struct fletch_grpc_call *call, const struct fletch_http2_event *event)
{
    return event->cause == FLETCH_HTTP2_BY_PEER && event->code == FLETCH_HTTP2_CANCEL &&
           call->deadline_ns <=
               fletch_saturating_add_u64(call->connection->now_ns, DEADLINE_SLACK_NS);
}

static void take_reset(struct fletch_grpc_call *call, const struct fletch_http2_event *event)
{
    bool is_server = call->connection->options.http2.is_server;
    enum fletch_status status = fletch_grpc_status_of_reset(event->code, event->cause);
    const char *text = event->text;
    if (is_server && event->cause == FLETCH_HTTP2_BY_PEER) {
        status = FLETCH_CANCELLED;
    } else if (!is_server && is_deadline(call, event)) {
        status = FLETCH_DEADLINE_EXCEEDED;
        text = "the server has ended the call at its deadline";
    }
    /* A server that has answered has looked at it, whatever it says now. */
    call->is_untouched = event->cause == FLETCH_HTTP2_BY_REFUSAL && !call->got_headers;
    call->is_finished = true;
    fletch_grpc_incoming_end(call);
    fletch_buffer_release(call->connection->options.http2.cache, call->buffer);
    call->buffer = NULL;
    fletch_grpc_call_end(call, status, text);
}

bool fletch_grpc_receive(struct fletch_grpc_connection *connection,
                         const struct fletch_http2_event *event,
                         struct fletch_grpc_event *out_event)
{
    struct fletch_grpc_call *call =
        event->stream == NULL ? NULL : fletch_http2_stream_context(event->stream);
    bool is_told = false;
    switch (event->kind) {
    case FLETCH_HTTP2_EVENT_HEADERS:
        return take_headers(connection, event, out_event);
    case FLETCH_HTTP2_EVENT_BYTES:
        if (!call->is_ended && event->bytes != 0)
            is_told = take_bytes(call, event->bytes, out_event);
        if (event->ends_stream)
            end_messages(call);
        return is_told;
    case FLETCH_HTTP2_EVENT_RESET:
        take_reset(call, event);
        return false;
    case FLETCH_HTTP2_EVENT_GOAWAY:
    case FLETCH_HTTP2_EVENT_CLOSED:
        *out_event = (struct fletch_grpc_event){
            .kind = event->kind == FLETCH_HTTP2_EVENT_GOAWAY ? FLETCH_GRPC_EVENT_GOAWAY
                                                             : FLETCH_GRPC_EVENT_CLOSED,
            .text = event->text,
        };
        return true;
    case FLETCH_HTTP2_EVENT_NONE:
        return false;
    }
    return false;
}
