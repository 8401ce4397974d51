#include "rpc/rpc_link.h"

#include <assert.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/status.h"
#include "rpc/rpc_pending.h"

static_assert(FLETCH_HTTP2_ROOM_SPANS <= FLETCH_CONNECTION_SPANS,
              "what the machine asks for fits into one call of the system");

/* ---- events of calls ---- */

static void refuse(struct fletch_grpc_call *grpc, enum fletch_status status, const char *text)
{
    const struct fletch_grpc_ending ending = {.status = status, .text = text};
    (void)fletch_grpc_call_finish(grpc, &ending, NULL);
    fletch_grpc_call_release(grpc);
}

static void begin_call(struct fletch_rpc_link *link, const struct fletch_grpc_event *event)
{
    const struct fletch_rpc_method *method = link->owner->find(link->context, event->path);
    const struct fletch_rpc_request request = {
        .path = event->path,
        .metadata = {event->fields, event->field_count},
        .timeout_ns = event->timeout_ns,
    };
    struct fletch_error error;
    if (method == NULL) {
        (void)fletch_error_set(&error, FLETCH_UNIMPLEMENTED, "no method '%s' here", event->path);
        refuse(event->call, FLETCH_UNIMPLEMENTED, error.message);
        return;
    }
    struct fletch_rpc_call *call =
        fletch_rpc_call_make(&link->allocator, link->cache, method->handler, method->context);
    if (call == NULL) {
        refuse(event->call, FLETCH_RESOURCE_EXHAUSTED, "no memory for a call");
        return;
    }
    fletch_rpc_call_attach(call, link, event->call);
    fletch_grpc_call_set_reader(event->call, method->reader);
    if (method->begin != NULL)
        method->begin(call->context, call, &request);
}

static void end_call(struct fletch_rpc_call *call, const struct fletch_grpc_event *event)
{
    struct fletch_rpc_link *link = call->link;
    const struct fletch_error *cause = &link->cause;
    struct fletch_rpc_end end = {
        .status = event->status,
        .text = event->text,
        .is_untouched = event->is_untouched,
        .metadata = {event->fields, event->field_count},
    };
    /* The socket knows better than the machine why it was lost. */
    if (event->status == FLETCH_UNAVAILABLE && cause->status != FLETCH_OK && !end.is_untouched)
        end.text = cause->message;
    if (end.is_untouched && call->pending != NULL && link->owner->refused(link->context, call))
        return;
    fletch_rpc_call_end(call, &end);
}

static void go_away(struct fletch_rpc_link *link, const char *text)
{
    struct fletch_error cause = link->cause;
    if (cause.status == FLETCH_OK)
        (void)fletch_error_set(&cause, FLETCH_UNAVAILABLE, "%s", text);
    if (link->owner->going_away != NULL)
        link->owner->going_away(link->context, link, &cause);
}

static void tell(struct fletch_rpc_link *link, const struct fletch_grpc_event *event)
{
    const struct fletch_grpc_metadata metadata = {event->fields, event->field_count};
    struct fletch_rpc_call *call =
        event->call == NULL ? NULL : fletch_grpc_call_context(event->call);
    switch (event->kind) {
    case FLETCH_GRPC_EVENT_CALL:
        begin_call(link, event);
        break;
    case FLETCH_GRPC_EVENT_HEADERS:
        if (call->pending != NULL)
            fletch_rpc_pending_settle(call->pending);
        if (call->handler->headers != NULL)
            call->handler->headers(call->context, call, &metadata);
        break;
    case FLETCH_GRPC_EVENT_MESSAGE:
        call->handler->message(call->context, call, event->buffer, event->message_bytes);
        break;
    case FLETCH_GRPC_EVENT_HALF_CLOSED:
        if (call->handler->half_closed != NULL)
            call->handler->half_closed(call->context, call);
        break;
    case FLETCH_GRPC_EVENT_ENDED:
        end_call(call, event);
        break;
    case FLETCH_GRPC_EVENT_GOAWAY:
        go_away(link, event->text[0] == 0 ? "the peer is going away" : event->text);
        break;
    case FLETCH_GRPC_EVENT_CLOSED:
        go_away(link, event->text[0] == 0 ? "the connection has ended" : event->text);
        break;
    }
}

static void take_events(struct fletch_rpc_link *link)
{
    struct fletch_grpc_event event;
    while (fletch_grpc_connection_next(link->grpc, &event))
        tell(link, &event);
}

/* Those who found too much queued, and half of that is gone. */
static void tell_writable(struct fletch_rpc_link *link)
{
    struct fletch_http2_link waiting;
    if (fletch_http2_link_is_alone(&link->refused))
        return;
    /* To a list of its own: each is looked at once, whatever it does. */
    waiting = link->refused;
    waiting.next->previous = &waiting;
    waiting.previous->next = &waiting;
    fletch_http2_link_init(&link->refused);
    while (!fletch_http2_link_is_alone(&waiting)) {
        struct fletch_rpc_call *call =
            FLETCH_HTTP2_OF_LINK(waiting.next, struct fletch_rpc_call, refused);
        fletch_http2_link_remove(&call->refused);
        if (fletch_grpc_call_queued_bytes(call->grpc) > link->send_queue_bytes / 2)
            fletch_http2_link_append(&link->refused, &call->refused);
        else
            call->handler->writable(call->context, call);
    }
}

/* ---- the connection's handler ---- */

static void on_tick(void *context, uint64_t now_ns)
{
    struct fletch_rpc_link *link = context;
    link->is_driven = true;
    fletch_grpc_connection_tick(link->grpc, now_ns);
    take_events(link);
}

static uint64_t deadline_of(void *context)
{
    struct fletch_rpc_link *link = context;
    return fletch_grpc_connection_deadline(link->grpc);
}

static size_t where(void *context, struct iovec *out_spans)
{
    struct fletch_rpc_link *link = context;
    size_t count = fletch_http2_connection_room(link->http2, out_spans);
    link->is_held = count == 0;
    return count;
}

static void on_received(void *context, size_t bytes)
{
    struct fletch_rpc_link *link = context;
    fletch_http2_connection_received(link->http2, bytes);
    take_events(link);
}

static size_t certain_bytes(void *context)
{
    struct fletch_rpc_link *link = context;
    return fletch_http2_connection_certain_bytes(link->http2);
}

static void on_ended(void *context, const struct fletch_error *cause)
{
    struct fletch_rpc_link *link = context;
    if (cause != NULL && link->cause.status == FLETCH_OK)
        link->cause = *cause;
    fletch_http2_connection_ended(link->http2);
    take_events(link);
}

static size_t gather(void *context, struct iovec *out_slices, size_t capacity)
{
    struct fletch_rpc_link *link = context;
    if (link->owner->sending != NULL)
        link->owner->sending(link->context);
    return fletch_http2_connection_output(link->http2, out_slices, capacity);
}

static bool has_more(void *context)
{
    struct fletch_rpc_link *link = context;
    return fletch_http2_connection_has_more(link->http2);
}

static void on_sent(void *context, size_t bytes)
{
    struct fletch_rpc_link *link = context;
    fletch_http2_connection_sent(link->http2, bytes);
    tell_writable(link);
    take_events(link);
    if (link->is_held)
        fletch_connection_kick(link->connection);
    link->is_held = false;
}

/* Asked for at the end of each turn. */
static bool is_over(void *context)
{
    struct fletch_rpc_link *link = context;
    link->is_driven = false;
    return fletch_http2_connection_is_over(link->http2);
}

static void on_closed(void *context, const struct fletch_error *cause)
{
    struct fletch_rpc_link *link = context;
    link->connection = NULL;
    if (cause != NULL)
        link->cause = *cause;
    fletch_http2_connection_ended(link->http2);
    take_events(link);
    link->owner->closed(link->context, link);
    FLETCH_ASSERT(fletch_http2_link_is_alone(&link->siblings));
    fletch_grpc_connection_destroy(link->grpc);
    fletch_block_release(link);
}

static const struct fletch_connection_handler handler = {
    .tick = on_tick,
    .deadline = deadline_of,
    .where = where,
    .received = on_received,
    .certain_bytes = certain_bytes,
    .ended = on_ended,
    .gather = gather,
    .has_more = has_more,
    .sent = on_sent,
    .is_over = is_over,
    .closed = on_closed,
};

/* ---- life ---- */

static enum fletch_status bind_socket(struct fletch_rpc_link *link,
                                      const struct fletch_rpc_link_options *options,
                                      struct fletch_error *error)
{
    const struct fletch_connection_options connection = {
        .loop = options->loop,
        .fd = options->fd,
        .peer = options->peer,
        .handler = &handler,
        .context = link,
    };
    enum fletch_status status = fletch_grpc_connection_create(options->grpc, &link->grpc, error);
    if (status != FLETCH_OK)
        return status;
    link->http2 = fletch_grpc_connection_http2(link->grpc);
    fletch_grpc_connection_tick(link->grpc, fletch_event_loop_now_ns(options->loop));
    return fletch_connection_create(&connection, &link->connection, error);
}

enum fletch_status fletch_rpc_link_create(const struct fletch_rpc_link_options *options,
                                          struct fletch_rpc_link **out_link,
                                          struct fletch_error *error)
{
    const struct fletch_grpc_options *grpc = options->grpc;
    struct fletch_rpc_link *link = fletch_block_allocate(grpc->http2.allocator, sizeof *link);
    if (link == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a connection of calls of %zu bytes", sizeof *link);
    *link = (struct fletch_rpc_link){
        .owner = options->owner,
        .context = options->context,
        .loop = options->loop,
        .allocator = fletch_allocator_or_default(grpc->http2.allocator),
        .cache = grpc->http2.cache,
        .send_queue_bytes =
            grpc->send_queue_bytes == 0 ? FLETCH_GRPC_QUEUE_BYTES_DEFAULT : grpc->send_queue_bytes,
    };
    if (options->peer != NULL)
        link->peer = *options->peer;
    fletch_http2_link_init(&link->siblings);
    fletch_http2_link_init(&link->refused);
    enum fletch_status status = bind_socket(link, options, error);
    if (status != FLETCH_OK) {
        fletch_grpc_connection_destroy(link->grpc);
        fletch_block_release(link);
        return status;
    }
    *out_link = link;
    return FLETCH_OK;
}

void fletch_rpc_link_close(struct fletch_rpc_link *link, const struct fletch_error *cause)
{
    /* Who destroys a server or a channel within a handler would wait for the end of this turn. */
    FLETCH_ASSERT(link->connection != NULL && !link->is_driven);
    fletch_connection_close(link->connection, cause);
}

void fletch_rpc_link_fail_calls(struct fletch_rpc_link *link, const struct fletch_error *cause)
{
    FLETCH_ASSERT(link->connection != NULL && !link->is_driven);
    fletch_grpc_connection_fail_calls(link->grpc, cause->status, cause->message);
    fletch_rpc_link_kick(link);
}

void fletch_rpc_link_shutdown(struct fletch_rpc_link *link)
{
    fletch_http2_connection_shutdown(link->http2);
    fletch_rpc_link_kick(link);
}

void fletch_rpc_link_kick(struct fletch_rpc_link *link)
{
    if (!link->is_driven && link->connection != NULL)
        fletch_connection_kick(link->connection);
}

enum fletch_status fletch_rpc_link_call(struct fletch_rpc_link *link,
                                        const struct fletch_grpc_request *request,
                                        struct fletch_grpc_call **out_grpc,
                                        struct fletch_error *error)
{
    /* An idle connection's last turn was long ago, and a deadline counts from now. */
    if (!link->is_driven)
        fletch_grpc_connection_tick(link->grpc, fletch_event_loop_now_ns(link->loop));
    enum fletch_status status = fletch_grpc_connection_call(link->grpc, request, out_grpc, error);
    fletch_rpc_link_kick(link);
    return status;
}

bool fletch_rpc_link_has_room(const struct fletch_rpc_link *link)
{
    return fletch_http2_connection_has_room(link->http2);
}

void fletch_rpc_link_count(const struct fletch_rpc_link *link, struct fletch_rpc_counts sums)
{
    struct fletch_http2_statistics http2;
    struct fletch_grpc_statistics grpc;
    fletch_http2_connection_statistics(link->http2, &http2);
    fletch_http2_statistics_add(sums.http2, &http2);
    fletch_grpc_connection_statistics(link->grpc, &grpc);
    sums.grpc->refused_messages += grpc.refused_messages;
    sums.grpc->slow_messages += grpc.slow_messages;
}

void fletch_rpc_links_count(const struct fletch_http2_link *links, struct fletch_rpc_counts sums)
{
    sums.http2->streams = 0; /* of connections that are gone: none */
    for (const struct fletch_http2_link *each = links->next; each != links; each = each->next)
        fletch_rpc_link_count(FLETCH_HTTP2_OF_LINK(each, struct fletch_rpc_link, siblings), sums);
}
