#include "grpc/grpc_connection.h"

#include "base/checked.h"
#include "base/options.h"
#include "base/status.h"
#include "grpc/grpc_fields.h"
#include "grpc/grpc_incoming.h"
#include "grpc/grpc_receive.h"
#include "grpc/grpc_text.h"

enum fletch_status fletch_grpc_connection_create(const struct fletch_grpc_options *options,
                                                 struct fletch_grpc_connection **out_connection,
                                                 struct fletch_error *error)
{
    struct fletch_grpc_options known;
    enum fletch_status status =
        fletch_options_copy(&known, sizeof known, options, sizeof known, error);
    if (status != FLETCH_OK)
        return status;
    known.http2.struct_size = sizeof known.http2;
    if (known.message_limit_bytes == 0)
        known.message_limit_bytes = FLETCH_GRPC_MESSAGE_BYTES_DEFAULT;
    if (known.send_queue_bytes == 0)
        known.send_queue_bytes = FLETCH_GRPC_QUEUE_BYTES_DEFAULT;
    if (known.unfinished_bytes == 0)
        known.unfinished_bytes = FLETCH_GRPC_UNFINISHED_BYTES_DEFAULT;
    if (known.message_timeout_ns == 0)
        known.message_timeout_ns = FLETCH_GRPC_MESSAGE_TIMEOUT_NS;
    struct fletch_grpc_connection *connection =
        fletch_block_allocate(known.http2.allocator, sizeof *connection);
    if (connection == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a grpc connection: %zu bytes", sizeof *connection);
    *connection = (struct fletch_grpc_connection){
        .options = known,
        .allocator = fletch_allocator_or_default(known.http2.allocator),
        .deadline_ns = UINT64_MAX,
    };
    status = fletch_http2_connection_create(&known.http2, &connection->http2, error);
    if (status != FLETCH_OK) {
        fletch_block_release(connection);
        return status;
    }
    fletch_http2_link_init(&connection->all);
    fletch_http2_link_init(&connection->todo);
    fletch_field_list_init(&connection->scratch, &connection->allocator);
    fletch_byte_buffer_init(&connection->encoded, &connection->allocator);
    *out_connection = connection;
    return FLETCH_OK;
}

void fletch_grpc_connection_destroy(struct fletch_grpc_connection *connection)
{
    if (connection == NULL)
        return;
    struct fletch_http2_link *link = connection->all.next;
    while (link != &connection->all) {
        struct fletch_grpc_call *call = FLETCH_HTTP2_OF_LINK(link, struct fletch_grpc_call, all);
        link = link->next;
        if (!call->is_released)
            fletch_grpc_call_release(call);
    }
    /* Ends of calls that are in its batch come back here, and their calls with them. */
    fletch_http2_connection_destroy(connection->http2);
    fletch_field_list_deinit(&connection->scratch);
    fletch_byte_buffer_deinit(&connection->encoded);
    fletch_block_release(connection);
}

struct fletch_http2_connection *
fletch_grpc_connection_http2(const struct fletch_grpc_connection *connection)
{
    return connection->http2;
}

/* ---- events ---- */

/* The next event that no frame brought. */
static void tell_todo(struct fletch_grpc_connection *connection,
                      struct fletch_grpc_event *out_event)
{
    struct fletch_grpc_call *call =
        FLETCH_HTTP2_OF_LINK(connection->todo.next, struct fletch_grpc_call, todo);
    fletch_http2_link_remove(&call->todo);
    if (call->has_half_close) {
        call->has_half_close = false;
        *out_event =
            (struct fletch_grpc_event){.kind = FLETCH_GRPC_EVENT_HALF_CLOSED, .call = call};
        return;
    }
    call->has_ending = false;
    *out_event = (struct fletch_grpc_event){
        .kind = FLETCH_GRPC_EVENT_ENDED,
        .call = call,
        .status = call->status,
        .is_untouched = call->is_untouched,
        .text = call->text,
    };
}

bool fletch_grpc_connection_next(struct fletch_grpc_connection *connection,
                                 struct fletch_grpc_event *out_event)
{
    for (;;) {
        struct fletch_http2_event event;
        if (!fletch_http2_link_is_alone(&connection->todo)) {
            tell_todo(connection, out_event);
            return true;
        }
        if (!fletch_http2_connection_next(connection->http2, &event))
            return false;
        if (fletch_grpc_receive(connection, &event, out_event))
            return true;
    }
}

/* ---- time ---- */

static void expire(struct fletch_grpc_call *call)
{
    static const char text[] = "the deadline of the call has passed";
    call->deadline_ns = UINT64_MAX;
    if (call->is_ended || call->is_released)
        return;
    /* A client whose clock is behind shall hear a status, not a reset that may mean anything. */
    if (call->connection->options.http2.is_server &&
        fletch_http2_stream_queued_bytes(call->stream) == 0) {
        fletch_grpc_call_fail(call, FLETCH_DEADLINE_EXCEEDED, text);
        return;
    }
    fletch_grpc_call_cancel(call);
    call->is_ended = false;
    fletch_grpc_call_end(call, FLETCH_DEADLINE_EXCEEDED, text);
}

void fletch_grpc_connection_tick(struct fletch_grpc_connection *connection, uint64_t now_ns)
{
    if (now_ns < connection->now_ns)
        now_ns = connection->now_ns; /* a clock that goes back stands still instead */
    connection->now_ns = now_ns;
    fletch_http2_connection_tick(connection->http2, now_ns);
    if (now_ns < connection->deadline_ns)
        return;
    connection->deadline_ns = UINT64_MAX;
    struct fletch_http2_link *link = connection->all.next;
    for (; link != &connection->all; link = link->next) {
        struct fletch_grpc_call *call = FLETCH_HTTP2_OF_LINK(link, struct fletch_grpc_call, all);
        if (call->deadline_ns <= now_ns)
            expire(call);
        if (call->step_ns <= now_ns)
            fletch_grpc_incoming_check(call);
        if (call->deadline_ns < connection->deadline_ns)
            connection->deadline_ns = call->deadline_ns;
        if (call->step_ns < connection->deadline_ns)
            connection->deadline_ns = call->step_ns;
    }
}

void fletch_grpc_connection_fail_calls(struct fletch_grpc_connection *connection,
                                       enum fletch_status status, const char *text)
{
    struct fletch_http2_link *link = connection->all.next;
    for (; link != &connection->all; link = link->next) {
        struct fletch_grpc_call *call = FLETCH_HTTP2_OF_LINK(link, struct fletch_grpc_call, all);
        if (!call->is_ended && !call->is_released)
            fletch_grpc_call_fail(call, status, text);
    }
}

uint64_t fletch_grpc_connection_deadline(const struct fletch_grpc_connection *connection)
{
    uint64_t deadline_ns = fletch_http2_connection_deadline(connection->http2);
    return deadline_ns < connection->deadline_ns ? deadline_ns : connection->deadline_ns;
}

void fletch_grpc_connection_statistics(const struct fletch_grpc_connection *connection,
                                       struct fletch_grpc_statistics *out_statistics)
{
    *out_statistics = connection->statistics;
}

/* ---- calling ---- */

/* The fields of a call but its metadata, of strings that are the caller's. */
struct own_fields {
    char timeout[FLETCH_GRPC_TIMEOUT_BYTES];
    struct fletch_http2_field fields[7];
    size_t count;
};

static void list_own_fields(const struct fletch_grpc_request *request, struct own_fields *own)
{
    const char *scheme = request->scheme == NULL ? "http" : request->scheme;
    own->count = 0;
    own->fields[own->count++] = fletch_http2_field_of(":method", "POST");
    own->fields[own->count++] = fletch_http2_field_of(":scheme", scheme);
    own->fields[own->count++] = fletch_http2_field_of(":path", request->path);
    if (request->authority != NULL)
        own->fields[own->count++] = fletch_http2_field_of(":authority", request->authority);
    own->fields[own->count++] = fletch_http2_field_of("te", "trailers");
    own->fields[own->count++] = fletch_http2_field_of("content-type", "application/grpc");
    if (request->timeout_ns == 0)
        return;
    fletch_grpc_timeout_write(request->timeout_ns, own->timeout);
    own->fields[own->count++] = fletch_http2_field_of("grpc-timeout", own->timeout);
}

/* These, or with metadata a copy of all in the connection's scratch. */
static enum fletch_status build_request(struct fletch_grpc_connection *connection,
                                        const struct fletch_grpc_request *request,
                                        struct own_fields *own,
                                        struct fletch_http2_request *out_headers,
                                        struct fletch_error *error)
{
    list_own_fields(request, own);
    *out_headers = (struct fletch_http2_request){.fields = own->fields, .field_count = own->count};
    if (request->metadata.count == 0)
        return FLETCH_OK;
    fletch_grpc_fields_begin(connection);
    for (size_t i = 0; i < own->count; i++)
        if (!fletch_field_list_add(&connection->scratch, &own->fields[i]))
            return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                    "no memory for the headers of a call");
    enum fletch_status status =
        fletch_grpc_fields_add_metadata(connection, &request->metadata, error);
    out_headers->fields = fletch_field_list_fields(&connection->scratch);
    out_headers->field_count = connection->scratch.count;
    return status;
}

enum fletch_status fletch_grpc_connection_call(struct fletch_grpc_connection *connection,
                                               const struct fletch_grpc_request *request,
                                               struct fletch_grpc_call **out_call,
                                               struct fletch_error *error)
{
    struct fletch_http2_stream *stream = NULL;
    struct fletch_http2_request headers;
    struct own_fields own;
    enum fletch_status status = build_request(connection, request, &own, &headers, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_http2_connection_open(connection->http2, &headers, &stream, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_grpc_call *call = fletch_grpc_call_make(connection, stream);
    if (call == NULL) {
        fletch_http2_stream_release(stream);
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a call");
    }
    if (request->timeout_ns != 0)
        call->deadline_ns = fletch_saturating_add_u64(connection->now_ns, request->timeout_ns);
    if (call->deadline_ns < connection->deadline_ns)
        connection->deadline_ns = call->deadline_ns;
    *out_call = call;
    return FLETCH_OK;
}
