#include "grpc/grpc_call.h"

#include <stddef.h>
#include <string.h>

#include "base/status.h"
#include "grpc/grpc_fields.h"
#include "grpc/grpc_incoming.h"
#include "grpc/grpc_machine.h"

/* ---- life ---- */

static void end_sent(struct fletch_http2_data *data, bool is_sent)
{
    struct fletch_grpc_call *call = FLETCH_HTTP2_OF_LINK(data, struct fletch_grpc_call, end);
    (void)is_sent;
    call->is_end_queued = false;
    if (call->is_released)
        fletch_grpc_call_forget(call);
}

struct fletch_grpc_call *fletch_grpc_call_make(struct fletch_grpc_connection *connection,
                                               struct fletch_http2_stream *stream)
{
    struct fletch_grpc_call *call =
        fletch_allocate(&connection->allocator, sizeof *call, _Alignof(struct fletch_grpc_call));
    if (call == NULL)
        return NULL;
    *call = (struct fletch_grpc_call){
        .connection = connection,
        .stream = stream,
        .deadline_ns = UINT64_MAX,
        .step_ns = UINT64_MAX,
        .end = {.ends_stream = true, .done = end_sent},
    };
    fletch_http2_link_init(&call->all);
    fletch_http2_link_init(&call->todo);
    fletch_http2_link_append(&connection->all, &call->all);
    fletch_http2_stream_set_context(stream, call);
    return call;
}

void fletch_grpc_call_forget(struct fletch_grpc_call *call)
{
    struct fletch_grpc_connection *connection = call->connection;
    /* Its end may still be in a batch. */
    if (call->is_end_queued)
        return;
    fletch_http2_link_remove(&call->all);
    fletch_release(&connection->allocator, call, sizeof *call, _Alignof(struct fletch_grpc_call));
}

void fletch_grpc_call_end(struct fletch_grpc_call *call, enum fletch_status status,
                          const char *text)
{
    if (call->is_ended)
        return;
    call->is_ended = true;
    call->has_ending = true;
    call->has_half_close = false;
    call->status = status;
    size_t bytes = strlen(text);
    bytes = bytes < sizeof call->text ? bytes : sizeof call->text - 1;
    memcpy(call->text, text, bytes);
    call->text[bytes] = 0;
    fletch_http2_link_append(&call->connection->todo, &call->todo);
}

/* The place of the stream is the call's or its buffer's: first it is the stream's no more. */
static void drop_message(struct fletch_grpc_call *call)
{
    if (call->stream != NULL)
        fletch_http2_stream_place(call->stream, NULL, 0);
    fletch_grpc_incoming_end(call);
    fletch_buffer_release(call->connection->options.http2.cache, call->buffer);
    call->buffer = NULL;
}

void fletch_grpc_call_fail(struct fletch_grpc_call *call, enum fletch_status status,
                           const char *text)
{
    const struct fletch_grpc_ending ending = {.status = status, .text = text};
    bool is_server = call->connection->options.http2.is_server;
    drop_message(call);
    fletch_grpc_call_end(call, status, text);
    if (is_server && !call->is_finished && !fletch_http2_stream_is_closed(call->stream))
        (void)fletch_grpc_call_finish(call, &ending, NULL);
    else if (!is_server)
        fletch_http2_stream_reset(call->stream, FLETCH_HTTP2_CANCEL);
}

void fletch_grpc_call_cancel(struct fletch_grpc_call *call)
{
    drop_message(call);
    call->is_ended = true;
    call->is_finished = true;
    call->has_ending = false;
    call->has_half_close = false;
    fletch_http2_link_remove(&call->todo);
    fletch_http2_stream_reset(call->stream, FLETCH_HTTP2_CANCEL);
}

void fletch_grpc_call_release(struct fletch_grpc_call *call)
{
    struct fletch_http2_stream *stream = call->stream;
    bool is_sending = call->connection->options.http2.is_server && call->is_finished;
    drop_message(call);
    fletch_http2_link_remove(&call->todo);
    if (!is_sending)
        fletch_http2_stream_reset(stream, FLETCH_HTTP2_CANCEL);
    call->stream = NULL;
    call->is_released = true;
    fletch_http2_stream_release(stream);
    fletch_grpc_call_forget(call);
}

void fletch_grpc_call_set_context(struct fletch_grpc_call *call, void *context)
{
    call->context = context;
}

void *fletch_grpc_call_context(const struct fletch_grpc_call *call)
{
    return call->context;
}

void fletch_grpc_call_set_reader(struct fletch_grpc_call *call,
                                 const struct fletch_grpc_reader *reader)
{
    FLETCH_ASSERT(!call->is_in_message && call->prefix_filled == 0);
    call->reader = reader;
}

/* ---- sending ---- */

static void message_sent(struct fletch_http2_data *data, bool is_sent)
{
    struct fletch_grpc_message *message =
        FLETCH_HTTP2_OF_LINK(data, struct fletch_grpc_message, data);
    message->done(message, is_sent);
}

static enum fletch_status refuse_ended(struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                            "the call has ended and sends nothing more");
}

static size_t bytes_of(const struct fletch_grpc_message *message)
{
    size_t bytes = 0;
    for (uint32_t i = 1; i < message->slice_count; i++)
        bytes += message->slices[i].iov_len;
    return bytes;
}

static enum fletch_status check_message(const struct fletch_grpc_call *call, size_t bytes,
                                        struct fletch_error *error)
{
    if (bytes > UINT32_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a message of %zu bytes, at most %u", bytes, UINT32_MAX);
    if (call->is_finished || fletch_http2_stream_is_closed(call->stream))
        return refuse_ended(error);
    return FLETCH_OK;
}

static enum fletch_status queue_message(struct fletch_grpc_call *call,
                                        struct fletch_grpc_message *message, size_t bytes,
                                        struct fletch_error *error)
{
    static const struct fletch_grpc_metadata none = {NULL, 0};
    enum fletch_status status = check_message(call, bytes, error);
    if (status == FLETCH_OK && call->connection->options.http2.is_server && !call->has_responded)
        status = fletch_grpc_call_respond(call, &none, error);
    if (status != FLETCH_OK)
        return status;
    message->prefix[0] = 0;
    fletch_http2_write_u32(message->prefix + 1, (uint32_t)bytes);
    message->slices[0] = (struct iovec){message->prefix, sizeof message->prefix};
    message->data = (struct fletch_http2_data){
        .slices = message->slices, .slice_count = message->slice_count, .done = message_sent};
    fletch_http2_stream_send(call->stream, &message->data);
    return FLETCH_OK;
}

enum fletch_status fletch_grpc_call_send(struct fletch_grpc_call *call,
                                         struct fletch_grpc_message *message,
                                         struct fletch_error *error)
{
    size_t bytes = bytes_of(message);
    size_t queued = fletch_http2_stream_queued_bytes(call->stream);
    size_t limit = call->connection->options.send_queue_bytes;
    if (queued == 0 || queued + bytes <= limit)
        return queue_message(call, message, bytes, error);
    enum fletch_status status = check_message(call, bytes, error);
    if (status != FLETCH_OK)
        return status;
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "%zu bytes of the call are queued, and no more than %zu may be", queued,
                            limit);
}

enum fletch_status fletch_grpc_call_send_accepted(struct fletch_grpc_call *call,
                                                  struct fletch_grpc_message *message,
                                                  struct fletch_error *error)
{
    return queue_message(call, message, bytes_of(message), error);
}

size_t fletch_grpc_call_queued_bytes(const struct fletch_grpc_call *call)
{
    return fletch_http2_stream_queued_bytes(call->stream);
}

void fletch_grpc_call_half_close(struct fletch_grpc_call *call)
{
    FLETCH_ASSERT(!call->connection->options.http2.is_server);
    if (call->is_finished)
        return;
    call->is_finished = true;
    call->is_end_queued = true;
    fletch_http2_stream_send(call->stream, &call->end);
}

void fletch_grpc_call_take(struct fletch_grpc_call *call)
{
    FLETCH_ASSERT(call->untaken != 0);
    if (--call->untaken != 0)
        return;
    fletch_http2_stream_consume(call->stream, call->uncredited);
    call->uncredited = 0;
}

/* ---- a server's answers ---- */

/* :status and content-type, with which a server's first headers begin. */
static bool begin_answer(struct fletch_grpc_connection *connection)
{
    fletch_grpc_fields_begin(connection);
    return fletch_grpc_fields_add(connection, ":status", "200") &&
           fletch_grpc_fields_add(connection, "content-type", "application/grpc");
}

static enum fletch_status refuse_memory(struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "no memory for the headers of a call");
}

/* The usual headers, which are the same each time. */
static enum fletch_status respond_plainly(struct fletch_grpc_call *call, struct fletch_error *error)
{
    const struct fletch_http2_field fields[] = {
        fletch_http2_field_of(":status", "200"),
        fletch_http2_field_of("content-type", "application/grpc"),
    };
    enum fletch_status status =
        fletch_http2_stream_send_headers(call->stream, fields, 2, false, error);
    call->has_responded = status == FLETCH_OK;
    return status;
}

enum fletch_status fletch_grpc_call_respond(struct fletch_grpc_call *call,
                                            const struct fletch_grpc_metadata *metadata,
                                            struct fletch_error *error)
{
    struct fletch_grpc_connection *connection = call->connection;
    struct fletch_field_list *fields = &connection->scratch;
    if (call->has_responded || call->is_finished)
        return refuse_ended(error);
    if (metadata->count == 0)
        return respond_plainly(call, error);
    if (!begin_answer(connection))
        return refuse_memory(error);
    enum fletch_status status = fletch_grpc_fields_add_metadata(connection, metadata, error);
    if (status == FLETCH_OK)
        status = fletch_http2_stream_send_headers(call->stream, fletch_field_list_fields(fields),
                                                  fields->count, false, error);
    call->has_responded = status == FLETCH_OK;
    return status;
}

/* Trailers, or headers that are trailers too. */
static enum fletch_status send_ending(struct fletch_grpc_call *call,
                                      const struct fletch_grpc_ending *ending,
                                      struct fletch_error *error)
{
    struct fletch_grpc_connection *connection = call->connection;
    struct fletch_field_list *fields = &connection->scratch;
    fletch_grpc_fields_begin(connection);
    if (!call->has_responded && !begin_answer(connection))
        return refuse_memory(error);
    /* What the peer should have used: nothing else is read here. */
    if (ending->status == FLETCH_UNIMPLEMENTED && call->has_encoding &&
        !fletch_grpc_fields_add(connection, "grpc-accept-encoding", "identity"))
        return refuse_memory(error);
    enum fletch_status status = fletch_grpc_fields_add_ending(connection, ending, error);
    if (status != FLETCH_OK)
        return status;
    if (!call->has_responded)
        return fletch_http2_stream_send_headers(call->stream, fletch_field_list_fields(fields),
                                                fields->count, true, error);
    return fletch_http2_stream_send_trailers(call->stream, fletch_field_list_fields(fields),
                                             fields->count, error);
}

enum fletch_status fletch_grpc_call_finish(struct fletch_grpc_call *call,
                                           const struct fletch_grpc_ending *ending,
                                           struct fletch_error *error)
{
    FLETCH_ASSERT(call->connection->options.http2.is_server);
    if (call->is_finished)
        return refuse_ended(error);
    enum fletch_status status = send_ending(call, ending, error);
    if (status == FLETCH_INVALID_ARGUMENT)
        return status;
    drop_message(call);
    call->is_finished = true;
    call->is_ended = true;
    call->has_half_close = false;
    if (status != FLETCH_OK)
        fletch_http2_stream_reset(call->stream, FLETCH_HTTP2_INTERNAL_ERROR);
    return status;
}
