#include "flight/flight_service.h"

#include <string.h>

#include "base/allocator.h"
#include "base/clock.h"
#include "base/status.h"

/* A step that always has something to do lets others have their turn. */
enum { STEPS_MOST = 64, PEER_MESSAGE_LEAST = 65536 };

/* A call, from its headers to the end of its handler, or of what that left behind. */
struct fletch_flight_visit {
    struct fletch_flight_job job; /* first */
    struct fletch_flight_stream *stream;
    const struct fletch_flight_service_method *method;
    struct fletch_flight_source source;
    bool has_source;
    bool is_dispatched;
    bool is_taken_over;
};

static const struct fletch_flight_service *service_of(const struct fletch_flight_visit *visit)
{
    return visit->method->at->service;
}

static void end_visit(struct fletch_flight_visit *visit)
{
    struct fletch_flight_stream *stream = visit->stream;
    if (visit->has_source && visit->source.ended != NULL)
        visit->source.ended(visit->source.context);
    fletch_block_release(visit);
    fletch_flight_stream_leave(stream);
}

/* ---- handlers ---- */

/* Whether the method is in the table. */
static bool is_offered(const struct fletch_flight_handlers *handlers,
                       enum fletch_flight_method_id id)
{
    switch (id) {
    case FLETCH_FLIGHT_METHOD_HANDSHAKE:
        return handlers->handshake != NULL;
    case FLETCH_FLIGHT_METHOD_LIST_FLIGHTS:
        return handlers->list_flights != NULL;
    case FLETCH_FLIGHT_METHOD_GET_FLIGHT_INFO:
        return handlers->get_flight_info != NULL;
    case FLETCH_FLIGHT_METHOD_POLL_FLIGHT_INFO:
        return handlers->poll_flight_info != NULL;
    case FLETCH_FLIGHT_METHOD_GET_SCHEMA:
        return handlers->get_schema != NULL;
    case FLETCH_FLIGHT_METHOD_DO_GET:
        return handlers->do_get != NULL;
    case FLETCH_FLIGHT_METHOD_DO_PUT:
        return handlers->do_put != NULL;
    case FLETCH_FLIGHT_METHOD_DO_EXCHANGE:
        return handlers->do_exchange != NULL;
    case FLETCH_FLIGHT_METHOD_DO_ACTION:
        return handlers->do_action != NULL;
    case FLETCH_FLIGHT_METHOD_LIST_ACTIONS:
        return handlers->list_actions != NULL;
    }
    return false;
}

static enum fletch_status call_handler(const struct fletch_flight_visit *visit, const void *request,
                                       struct fletch_error *error)
{
    const struct fletch_flight_service *service = service_of(visit);
    const struct fletch_flight_handlers *handlers = &service->handlers;
    struct fletch_flight_stream *stream = visit->stream;
    void *user = service->user;
    switch (visit->method->id) {
    case FLETCH_FLIGHT_METHOD_HANDSHAKE:
        return handlers->handshake(user, stream, error);
    case FLETCH_FLIGHT_METHOD_LIST_FLIGHTS:
        return handlers->list_flights(user, stream, request, error);
    case FLETCH_FLIGHT_METHOD_GET_FLIGHT_INFO:
        return handlers->get_flight_info(user, stream, request, error);
    case FLETCH_FLIGHT_METHOD_POLL_FLIGHT_INFO:
        return handlers->poll_flight_info(user, stream, request, error);
    case FLETCH_FLIGHT_METHOD_GET_SCHEMA:
        return handlers->get_schema(user, stream, request, error);
    case FLETCH_FLIGHT_METHOD_DO_GET:
        return handlers->do_get(user, stream, request, error);
    case FLETCH_FLIGHT_METHOD_DO_PUT:
        return handlers->do_put(user, stream, request, error);
    case FLETCH_FLIGHT_METHOD_DO_EXCHANGE:
        return handlers->do_exchange(user, stream, request, error);
    case FLETCH_FLIGHT_METHOD_DO_ACTION:
        return handlers->do_action(user, stream, request, error);
    case FLETCH_FLIGHT_METHOD_LIST_ACTIONS:
        return handlers->list_actions(user, stream, error);
    }
    return FLETCH_UNIMPLEMENTED;
}

/* ---- requests ---- */

static enum fletch_status refuse_request(const struct fletch_flight_visit *visit, const char *what,
                                         struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "%s %s",
                            visit->stream->options.method->name, what);
}

/* The one message of a request: `*out_made` is to be released. */
static enum fletch_status take_request(const struct fletch_flight_visit *visit,
                                       const void **out_made, struct fletch_error *error)
{
    struct fletch_flight_stream *stream = visit->stream;
    const struct fletch_flight_side *side = &stream->options.method->client;
    struct fletch_flight_incoming *incoming;
    enum fletch_answer answer = fletch_flight_stream_take(stream, 0, &incoming, error);
    if (answer == FLETCH_CLOSED && error->status != FLETCH_OK)
        return error->status;
    if (answer != FLETCH_DONE)
        return refuse_request(visit, "without a request", error);
    enum fletch_status status =
        fletch_flight_decode(side->kind, incoming->heads[FLETCH_FLIGHT_HEAD_HEADER],
                             &stream->allocator, out_made, error);
    fletch_flight_stream_give_back(stream, incoming);
    const struct fletch_flight_descriptor *descriptor = *out_made;
    if (status != FLETCH_OK || side->kind != FLETCH_FLIGHT_DESCRIPTOR)
        return status;
    if (descriptor->type != FLETCH_FLIGHT_DESCRIPTOR_ABSENT)
        return FLETCH_OK;
    fletch_flight_release(descriptor);
    *out_made = NULL;
    return refuse_request(visit, "with a descriptor that is neither path nor command", error);
}

/* The first message of data, which has the descriptor. */
static enum fletch_status take_descriptor(const struct fletch_flight_visit *visit,
                                          struct fletch_error *error)
{
    struct fletch_flight_stream *stream = visit->stream;
    struct fletch_flight_user_half *user = &stream->user;
    struct fletch_flight_incoming *incoming;
    enum fletch_answer answer = fletch_flight_stream_take(stream, 0, &incoming, error);
    if (answer == FLETCH_CLOSED && error->status != FLETCH_OK)
        return error->status;
    if (answer != FLETCH_DONE)
        return refuse_request(visit, "without a message", error);
    enum fletch_status status =
        fletch_flight_reader_take(&user->reader, incoming, &user->item, error);
    fletch_flight_stream_give_back(stream, incoming);
    user->has_item = status == FLETCH_OK && !user->item.is_nothing;
    if (status != FLETCH_OK)
        return status;
    if (fletch_flight_stream_descriptor(stream)->type == FLETCH_FLIGHT_DESCRIPTOR_ABSENT)
        return refuse_request(visit, "without a descriptor in its first message", error);
    return FLETCH_OK;
}

static enum fletch_status authenticate(const struct fletch_flight_visit *visit,
                                       struct fletch_error *error)
{
    const struct fletch_flight_service *service = service_of(visit);
    if (service->handlers.authenticate == NULL ||
        visit->method->id == FLETCH_FLIGHT_METHOD_HANDSHAKE)
        return FLETCH_OK;
    return service->handlers.authenticate(service->user, visit->stream,
                                          visit->stream->options.method->name, error);
}

/* ---- running ---- */

static void finish(const struct fletch_flight_visit *visit, enum fletch_status status,
                   const struct fletch_error *error)
{
    const struct fletch_flight_end end = {.status = status,
                                          .text = status == FLETCH_OK ? "" : error->message};
    /* Where the call has ended meanwhile, there is nobody to tell. */
    if (!visit->stream->user.is_finished)
        (void)!fletch_flight_stream_finish(visit->stream, &end, NULL);
}

/* Calls the handler. False: it has left a source, or the stream is another's. */
static bool run_handler(struct fletch_flight_visit *visit)
{
    const struct fletch_flight_side *side = &visit->stream->options.method->client;
    struct fletch_error error = {.status = FLETCH_OK, .message = ""};
    const void *request = NULL;
    const void *made = NULL;
    enum fletch_status status = authenticate(visit, &error);
    if (status == FLETCH_OK && side->is_one)
        status = take_request(visit, &made, &error);
    else if (status == FLETCH_OK && side->is_data)
        status = take_descriptor(visit, &error);
    request = side->is_data ? (const void *)visit->stream->user.reader.first : made;
    if (status == FLETCH_OK)
        status = call_handler(visit, request, &error);
    fletch_flight_release(made);
    if (visit->is_taken_over || (status == FLETCH_OK && visit->has_source))
        return false;
    finish(visit, status, &error);
    return true;
}

static void run_job(struct fletch_flight_job *job, struct fletch_buffer_cache *cache)
{
    struct fletch_flight_visit *visit = (struct fletch_flight_visit *)(void *)job;
    fletch_flight_stream_use(visit->stream, cache);
    if (!fletch_flight_stream_is_over(visit->stream))
        (void)run_handler(visit);
    if (visit->is_taken_over)
        fletch_block_release(visit);
    else
        end_visit(visit);
}

void fletch_flight_stream_take_over(struct fletch_flight_stream *stream)
{
    struct fletch_flight_visit *visit = stream->options.context;
    visit->is_taken_over = true;
}

/* ---- sources ---- */

enum fletch_status fletch_flight_stream_pull(struct fletch_flight_stream *stream,
                                             const struct fletch_flight_source *source,
                                             struct fletch_error *error)
{
    struct fletch_flight_visit *visit = stream->options.context;
    if (!stream->options.is_server || stream->options.happened == NULL || visit->has_source)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "a source is for a handler on the loop, and once");
    visit->source = *source;
    visit->has_source = true;
    return FLETCH_OK;
}

static void step(struct fletch_flight_visit *visit)
{
    struct fletch_flight_stream *stream = visit->stream;
    struct fletch_error error = {.status = FLETCH_OK, .message = ""};
    enum fletch_answer answer = FLETCH_DONE;
    for (int i = 0; i < STEPS_MOST && answer == FLETCH_DONE; i++)
        answer = visit->source.step(visit->source.context, stream, &error);
    if (answer != FLETCH_CLOSED && !stream->loop.is_ended) {
        if (answer == FLETCH_DONE)
            fletch_flight_stream_wake(stream);
        return;
    }
    finish(visit, answer == FLETCH_CLOSED ? error.status : FLETCH_CANCELLED, &error);
    stream->options.happened = NULL;
    end_visit(visit);
}

/* ---- from the first headers on ---- */

static void dispatch(struct fletch_flight_visit *visit)
{
    const struct fletch_flight_service *service = service_of(visit);
    struct fletch_flight_stream *stream = visit->stream;
    visit->is_dispatched = true;
    if (service->run_mode == FLETCH_FLIGHT_ON_WORKER) {
        stream->options.happened = NULL;
        fletch_flight_workers_submit(service->workers, &visit->job);
        return;
    }
    if (run_handler(visit)) {
        stream->options.happened = NULL;
        end_visit(visit);
    } else if (visit->is_taken_over) {
        stream->options.happened = NULL;
        fletch_block_release(visit);
    } else {
        step(visit);
    }
}

static void happened(void *context)
{
    struct fletch_flight_visit *visit = context;
    if (visit->has_source) {
        step(visit);
    } else if (visit->stream->loop.is_ended) {
        visit->stream->options.happened = NULL;
        end_visit(visit);
    } else if (!visit->is_dispatched) {
        dispatch(visit);
    }
}

static bool has_text(const struct fletch_flight_headers *headers, const char *name,
                     const char *text)
{
    const struct fletch_flight_header *header = fletch_flight_headers_find(headers, name);
    return header != NULL && strstr(header->value, text) != NULL;
}

/* What the client says of itself. Stock clients of Flight in C++ and Java take messages of any
 * size; those of gRPC in other languages 4 MiB, and so do these. */
static void read_peer(struct fletch_flight_stream_options *options,
                      const struct fletch_flight_headers *headers)
{
    const struct fletch_flight_header *told =
        fletch_flight_headers_find(headers, "fletch-message-limit");
    size_t limit = 0;
    if (told != NULL)
        for (const char *digit = told->value; *digit >= '0' && *digit <= '9'; digit++)
            if (limit < SIZE_MAX / 100)
                limit = limit * 10 + (size_t)(*digit - '0');
    if (limit >= PEER_MESSAGE_LEAST)
        options->peer_message_bytes = limit;
    else if (has_text(headers, "user-agent", "grpc-c++") ||
             has_text(headers, "user-agent", "grpc-java"))
        options->peer_message_bytes = SIZE_MAX;
    options->peer_reads_deltas = has_text(headers, "fletch-deltas", "1");
}

static enum fletch_status make_stream(struct fletch_flight_visit *visit,
                                      struct fletch_flight_headers *headers,
                                      struct fletch_error *error)
{
    const struct fletch_flight_service *service = service_of(visit);
    struct fletch_flight_service_loop *at = visit->method->at;
    struct fletch_flight_stream_options options = {
        .method = &fletch_flight_methods[visit->method->id],
        .is_server = true,
        .loop = at->loop,
        .loop_cache = at->cache,
        .account = service->account,
        .allocator = &service->allocator,
        .validation = service->validation,
        .write_queue_bytes = service->write_queue_bytes,
        .peer_message_bytes = service->peer_message_bytes,
        .counters = &at->counters,
        .waits = &at->waits,
        .happened = happened,
        .context = visit,
    };
    read_peer(&options, headers);
    enum fletch_status status =
        fletch_flight_stream_create(&options, at->cache, &visit->stream, error);
    if (status == FLETCH_OK)
        visit->stream->user.came = *headers;
    return status;
}

static enum fletch_status make_visit(const struct fletch_flight_service_method *method,
                                     const struct fletch_rpc_request *request,
                                     struct fletch_flight_visit **out_visit,
                                     struct fletch_error *error)
{
    const struct fletch_allocator *allocator = &method->at->service->allocator;
    struct fletch_flight_headers headers;
    struct fletch_flight_visit *visit = fletch_block_allocate(allocator, sizeof *visit);
    if (visit == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a call");
    *visit = (struct fletch_flight_visit){.job.run = run_job, .method = method};
    enum fletch_status status =
        fletch_flight_headers_copy(&request->metadata, allocator, &headers, error);
    if (status == FLETCH_OK)
        status = make_stream(visit, &headers, error);
    if (status != FLETCH_OK) {
        fletch_flight_headers_free(&headers);
        fletch_block_release(visit);
        return status;
    }
    *out_visit = visit;
    return FLETCH_OK;
}

void fletch_flight_service_begin(void *context, struct fletch_rpc_call *call,
                                 const struct fletch_rpc_request *request)
{
    const struct fletch_flight_service_method *method = context;
    struct fletch_flight_visit *visit = NULL;
    struct fletch_error error;
    enum fletch_status status = FLETCH_OK;
    if (!is_offered(&method->at->service->handlers, method->id))
        status =
            fletch_error_set(&error, FLETCH_UNIMPLEMENTED, "UNIMPLEMENTED: %s is not offered here",
                             fletch_flight_methods[method->id].name);
    if (status == FLETCH_OK)
        status = make_visit(method, request, &visit, &error);
    if (status != FLETCH_OK) {
        const struct fletch_grpc_ending ending = {.status = status, .text = error.message};
        (void)fletch_rpc_call_finish(call, &ending, NULL);
        return;
    }
    struct fletch_flight_user_half *user = &visit->stream->user;
    user->deadline_ns = fletch_clock_deadline_ns(request->timeout_ns);
    user->peer = fletch_rpc_call_peer(call);
    fletch_rpc_call_set_context(call, visit->stream);
    fletch_flight_call_attach(visit->stream, call);
    if (method->id == FLETCH_FLIGHT_METHOD_HANDSHAKE)
        dispatch(visit);
}
