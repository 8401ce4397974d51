#include <fletching/flight_client.h>

#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/options.h"
#include "base/process.h"
#include "base/status.h"
#include "flight/flight_connection.h"

struct fletch_flight_client {
    struct fletch_flight_client_options options;
    struct fletch_allocator allocator;
    struct fletch_buffer_pool *pool;
    struct fletch_flight_location location; /* "": each call names one */
    struct fletch_flight_connections *connections;
    uint32_t process;
};

/* ---- life ---- */

static void put_default(uint32_t *number, uint32_t value)
{
    if (*number == 0)
        *number = value;
}

static void put_default_ns(uint64_t *time_ns, uint64_t value_ns)
{
    if (*time_ns == 0)
        *time_ns = value_ns;
}

static enum fletch_status check_options(const struct fletch_flight_client_options *options,
                                        struct fletch_flight_client_options *known,
                                        struct fletch_error *error)
{
    *known = (struct fletch_flight_client_options){.struct_size = sizeof *known};
    if (options != NULL) {
        enum fletch_status status =
            fletch_options_copy(known, sizeof *known, options, sizeof *known, error);
        if (status != FLETCH_OK)
            return status;
    }
    if (known->message_limit_bytes > INT32_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "option message_limit_bytes is %zu, at most %d",
                                known->message_limit_bytes, INT32_MAX);
    put_default(&known->loop_count, 1);
    put_default(&known->connection_limit, FLETCH_FLIGHT_CONNECTIONS_DEFAULT);
    put_default(&known->connections_per_location, 1);
    put_default(&known->calls_per_connection, FLETCH_FLIGHT_CALLS_PER_CONNECTION_DEFAULT);
    put_default_ns(&known->connect_timeout_ns, FLETCH_FLIGHT_CONNECT_TIMEOUT_NS_DEFAULT);
    put_default_ns(&known->idle_timeout_ns, FLETCH_FLIGHT_IDLE_TIMEOUT_NS_DEFAULT);
    if (known->message_limit_bytes == 0)
        known->message_limit_bytes = INT32_MAX;
    if (known->peer_message_bytes == 0)
        known->peer_message_bytes = (size_t)4 << 20;
    return FLETCH_OK;
}

static enum fletch_status connect_all(struct fletch_flight_client *client,
                                      struct fletch_error *error)
{
    const struct fletch_flight_client_options *options = &client->options;
    const struct fletch_flight_connections_options connections = {
        .slot_count = options->connection_limit,
        .connections_per_address = options->connections_per_location,
        .calls_per_connection = options->calls_per_connection,
        .loop_count = options->loop_count,
        .connect_timeout_ns = options->connect_timeout_ns,
        .idle_timeout_ns = options->idle_timeout_ns,
        .pause_first_ns = options->backoff_first_ns,
        .pause_most_ns = options->backoff_most_ns,
        .keepalive_ns = options->keepalive_ns,
        .spin_ns = options->spin_ns,
        .message_limit_bytes = options->message_limit_bytes,
        .write_queue_bytes = options->write_queue_bytes,
        .peer_message_bytes = options->peer_message_bytes,
        .validation = options->validation,
        .buffers = client->pool,
        .account = options->account,
        .allocator = &client->allocator,
    };
    return fletch_flight_connections_create(&connections, &client->connections, error);
}

static enum fletch_status start(struct fletch_flight_client *client, struct fletch_error *error)
{
    const struct fletch_buffer_pool_options pool = {.struct_size = sizeof pool};
    enum fletch_status status = FLETCH_OK;
    const char *location = client->options.location;
    client->options.location = NULL; /* the caller's */
    if (location != NULL)
        status = fletch_flight_location_parse(location, &client->location, error);
    if (status == FLETCH_OK && client->options.pool != NULL)
        client->pool = client->options.pool;
    else if (status == FLETCH_OK)
        status = fletch_buffer_pool_create(
            &pool, client->options.allocator == NULL ? NULL : &client->allocator, &client->pool,
            error);
    return status == FLETCH_OK ? connect_all(client, error) : status;
}

enum fletch_status fletch_flight_client_create(const struct fletch_flight_client_options *options,
                                               struct fletch_flight_client **out_client,
                                               struct fletch_error *error)
{
    struct fletch_flight_client_options known;
    enum fletch_status status = check_options(options, &known, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_flight_client *client = fletch_block_allocate(known.allocator, sizeof *client);
    if (client == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a client of %zu bytes", sizeof *client);
    *client =
        (struct fletch_flight_client){.options = known,
                                      .allocator = fletch_allocator_or_default(known.allocator),
                                      .process = fletch_process_number()};
    status = start(client, error);
    if (status != FLETCH_OK) {
        fletch_flight_client_destroy(client);
        return status;
    }
    *out_client = client;
    return FLETCH_OK;
}

void fletch_flight_client_destroy(struct fletch_flight_client *client)
{
    /* A forked child has none of its threads. */
    if (client == NULL || !fletch_process_is(client->process))
        return;
    fletch_flight_connections_destroy(client->connections);
    /* One of which somebody still has buffers stays, as the contract says. */
    bool is_left =
        client->options.pool == NULL && fletch_buffer_pool_destroy(client->pool, NULL) != FLETCH_OK;
    FLETCH_ASSERT(!is_left);
    (void)is_left;
    fletch_block_release(client);
}

/* ---- a call ---- */

static enum fletch_status check_call(const struct fletch_flight_call_options *options,
                                     struct fletch_flight_call_options *known,
                                     struct fletch_error *error)
{
    *known = (struct fletch_flight_call_options){.struct_size = sizeof *known};
    if (options == NULL)
        return FLETCH_OK;
    return fletch_options_copy(known, sizeof *known, options, sizeof *known, error);
}

static enum fletch_status choose_location(const struct fletch_flight_client *client,
                                          const struct fletch_flight_call_options *options,
                                          struct fletch_flight_location *out_location,
                                          struct fletch_error *error)
{
    if (options->location != NULL && !fletch_flight_location_is_reuse(options->location))
        return fletch_flight_location_parse(options->location, out_location, error);
    *out_location = client->location;
    if (client->location.text[0] == '\0')
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "neither the call nor the client has a location");
    return FLETCH_OK;
}

/* `known`: checked. */
static enum fletch_status begin(struct fletch_flight_client *client,
                                const struct fletch_flight_call_options *known,
                                enum fletch_flight_method_id method,
                                struct fletch_flight_stream **out_stream,
                                struct fletch_error *error)
{
    struct fletch_flight_location location;
    const struct fletch_flight_start start = {
        .method = &fletch_flight_methods[method],
        .location = &location,
        .deadline_ns = known->timeout_ns == 0 ? FLETCH_NO_DEADLINE
                                              : fletch_clock_deadline_ns(known->timeout_ns),
        .headers = known->headers,
        .header_count = known->header_count,
        .waits_for_ready = known->waits_for_ready,
    };
    enum fletch_status status = fletch_process_check(client->process, "this flight client", error);
    if (status == FLETCH_OK)
        status = choose_location(client, known, &location, error);
    if (status != FLETCH_OK)
        return status;
    return fletch_flight_connections_start(client->connections, &start, out_stream, error);
}

/* What the client of a method sends, where it is one message. */
struct request {
    enum fletch_flight_method_id method;
    const void *message;
};

/* Begins a call and sends its one message. What ends the call is told by reading. */
static enum fletch_status ask(struct fletch_flight_client *client,
                              const struct fletch_flight_call_options *known,
                              const struct request *request,
                              struct fletch_flight_stream **out_stream, struct fletch_error *error)
{
    struct fletch_error cause = {.status = FLETCH_OK};
    struct fletch_flight_stream *stream;
    enum fletch_status status = begin(client, known, request->method, &stream, error);
    if (status != FLETCH_OK)
        return status;
    enum fletch_answer answer =
        fletch_flight_stream_send(stream, fletch_flight_methods[request->method].client.kind,
                                  request->message, FLETCH_NO_TIMEOUT, &cause);
    if (answer != FLETCH_DONE && !fletch_flight_stream_is_over(stream)) {
        fletch_flight_stream_close(stream);
        return fletch_error_set(error, cause.status, "%s", cause.message);
    }
    fletch_flight_stream_done_writing(stream);
    *out_stream = stream;
    return FLETCH_OK;
}

/* ---- calls with one answer ---- */

static enum fletch_status wait_for_answer(struct fletch_flight_stream *stream,
                                          const struct fletch_flight_call_options *known,
                                          const void **out_message, struct fletch_error *error)
{
    enum fletch_flight_message kind = stream->options.method->server.kind;
    struct fletch_error cause = {.status = FLETCH_OK};
    struct fletch_flight_end end;
    const void *message = NULL;
    const void *second = NULL;
    bool has_answer = fletch_flight_stream_receive(stream, kind, FLETCH_NO_TIMEOUT, &message,
                                                   &cause) == FLETCH_DONE;
    /* Nothing more is to come but the end; one that sends on for ever is not waited for. */
    if (has_answer && fletch_flight_stream_receive(stream, kind, FLETCH_NO_TIMEOUT, &second,
                                                   &cause) == FLETCH_DONE)
        fletch_flight_stream_cancel(stream);
    if (fletch_flight_stream_end(stream, FLETCH_NO_TIMEOUT, &end, error) != FLETCH_DONE)
        return FLETCH_INTERNAL; /* not a client's stream */
    if (known->ended != NULL)
        known->ended(known->context, stream, &end);
    if (second != NULL) {
        fletch_flight_release(second);
        fletch_flight_release(message);
        return fletch_error_set(error, FLETCH_INTERNAL, "%s: the server sent more than one answer",
                                stream->options.method->name);
    }
    if (end.status == FLETCH_OK && has_answer) {
        *out_message = message;
        return FLETCH_OK;
    }
    fletch_flight_release(message);
    if (end.status != FLETCH_OK)
        return fletch_error_set(error, end.status, "%s", end.text);
    if (cause.status != FLETCH_OK)
        return fletch_error_set(error, cause.status, "%s", cause.message);
    return fletch_error_set(error, FLETCH_INTERNAL, "%s: the server sent OK and no answer",
                            stream->options.method->name);
}

static enum fletch_status ask_one(struct fletch_flight_client *client,
                                  const struct fletch_flight_call_options *options,
                                  const struct request *request, const void **out_message,
                                  struct fletch_error *error)
{
    struct fletch_flight_call_options known;
    struct fletch_flight_stream *stream;
    enum fletch_status status = check_call(options, &known, error);
    if (status == FLETCH_OK)
        status = ask(client, &known, request, &stream, error);
    if (status != FLETCH_OK)
        return status;
    status = wait_for_answer(stream, &known, out_message, error);
    fletch_flight_stream_close(stream);
    return status;
}

enum fletch_status fletch_flight_client_get_flight_info(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_descriptor *descriptor, const struct fletch_flight_info **out_info,
    struct fletch_error *error)
{
    const struct request request = {FLETCH_FLIGHT_METHOD_GET_FLIGHT_INFO, descriptor};
    const void *message;
    enum fletch_status status = ask_one(client, options, &request, &message, error);
    if (status == FLETCH_OK)
        *out_info = message;
    return status;
}

enum fletch_status fletch_flight_client_poll_flight_info(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_descriptor *descriptor,
    const struct fletch_flight_poll_info **out_info, struct fletch_error *error)
{
    const struct request request = {FLETCH_FLIGHT_METHOD_POLL_FLIGHT_INFO, descriptor};
    const void *message;
    enum fletch_status status = ask_one(client, options, &request, &message, error);
    if (status == FLETCH_OK)
        *out_info = message;
    return status;
}

enum fletch_status fletch_flight_client_get_schema(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_descriptor *descriptor,
    const struct fletch_flight_schema_result **out_result, struct fletch_error *error)
{
    const struct request request = {FLETCH_FLIGHT_METHOD_GET_SCHEMA, descriptor};
    const void *message;
    enum fletch_status status = ask_one(client, options, &request, &message, error);
    if (status == FLETCH_OK)
        *out_result = message;
    return status;
}

/* ---- calls with a stream of answers ---- */

static enum fletch_status ask_many(struct fletch_flight_client *client,
                                   const struct fletch_flight_call_options *options,
                                   const struct request *request,
                                   struct fletch_flight_stream **out_stream,
                                   struct fletch_error *error)
{
    struct fletch_flight_call_options known;
    enum fletch_status status = check_call(options, &known, error);
    return status == FLETCH_OK ? ask(client, &known, request, out_stream, error) : status;
}

enum fletch_status fletch_flight_client_list_flights(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_bytes *criteria, struct fletch_flight_stream **out_stream,
    struct fletch_error *error)
{
    static const struct fletch_flight_bytes all = {0};
    const struct request request = {FLETCH_FLIGHT_METHOD_LIST_FLIGHTS,
                                    criteria == NULL ? &all : criteria};
    return ask_many(client, options, &request, out_stream, error);
}

enum fletch_status fletch_flight_client_do_action(struct fletch_flight_client *client,
                                                  const struct fletch_flight_call_options *options,
                                                  const struct fletch_flight_action *action,
                                                  struct fletch_flight_stream **out_stream,
                                                  struct fletch_error *error)
{
    const struct request request = {FLETCH_FLIGHT_METHOD_DO_ACTION, action};
    return ask_many(client, options, &request, out_stream, error);
}

enum fletch_status fletch_flight_client_list_actions(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    struct fletch_flight_stream **out_stream, struct fletch_error *error)
{
    const struct request request = {FLETCH_FLIGHT_METHOD_LIST_ACTIONS, NULL};
    return ask_many(client, options, &request, out_stream, error);
}

enum fletch_status fletch_flight_client_do_get(struct fletch_flight_client *client,
                                               const struct fletch_flight_call_options *options,
                                               const struct fletch_flight_bytes *ticket,
                                               struct fletch_flight_stream **out_stream,
                                               struct fletch_error *error)
{
    const struct request request = {FLETCH_FLIGHT_METHOD_DO_GET, ticket};
    return ask_many(client, options, &request, out_stream, error);
}

/* One location. UNAVAILABLE: the next one may be there. */
static enum fletch_status get_from(struct fletch_flight_client *client,
                                   const struct fletch_flight_call_options *known,
                                   const struct fletch_flight_endpoint *endpoint,
                                   struct fletch_flight_stream **out_stream,
                                   struct fletch_error *error)
{
    const struct request request = {FLETCH_FLIGHT_METHOD_DO_GET, &endpoint->ticket};
    struct fletch_error cause = {.status = FLETCH_OK};
    struct fletch_flight_stream *stream;
    struct fletch_schema *schema;
    enum fletch_status status = ask(client, known, &request, &stream, error);
    if (status != FLETCH_OK)
        return status;
    enum fletch_answer answer =
        fletch_flight_stream_schema(stream, FLETCH_NO_TIMEOUT, &schema, &cause);
    /* Metadata before the schema are the caller's to read. */
    if (answer != FLETCH_CLOSED || stream->user.has_item) {
        *out_stream = stream;
        return FLETCH_OK;
    }
    fletch_flight_stream_close(stream);
    return fletch_error_set(error, cause.status, "%s", cause.message);
}

/* Whether what one location answered is no reason not to ask the next. */
static bool may_be_elsewhere(enum fletch_status status)
{
    return status == FLETCH_UNAVAILABLE || status == FLETCH_UNIMPLEMENTED ||
           status == FLETCH_INVALID_ARGUMENT || status == FLETCH_NOT_FOUND;
}

enum fletch_status fletch_flight_client_do_get_endpoint(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_endpoint *endpoint, struct fletch_flight_stream **out_stream,
    struct fletch_error *error)
{
    struct fletch_flight_call_options known;
    enum fletch_status status = check_call(options, &known, error);
    if (status != FLETCH_OK)
        return status;
    const char *own = known.location;
    uint64_t deadline_ns =
        known.timeout_ns == 0 ? FLETCH_NO_DEADLINE : fletch_clock_deadline_ns(known.timeout_ns);
    if (endpoint->location_count == 0)
        return get_from(client, &known, endpoint, out_stream, error);
    for (size_t i = 0; i < endpoint->location_count; i++) {
        const char *location = endpoint->locations[i];
        known.location = fletch_flight_location_is_reuse(location) ? own : location;
        if (deadline_ns != FLETCH_NO_DEADLINE)
            known.timeout_ns = fletch_clock_remaining_ns(deadline_ns);
        if (deadline_ns != FLETCH_NO_DEADLINE && known.timeout_ns == 0)
            return fletch_error_set(error, FLETCH_DEADLINE_EXCEEDED,
                                    "the deadline has passed after %zu of %zu locations", i,
                                    endpoint->location_count);
        status = get_from(client, &known, endpoint, out_stream, error);
        if (!may_be_elsewhere(status))
            break;
    }
    return status;
}

/* ---- calls that write too ---- */

static enum fletch_status open_stream(struct fletch_flight_client *client,
                                      const struct fletch_flight_call_options *options,
                                      enum fletch_flight_method_id method,
                                      struct fletch_flight_stream **out_stream,
                                      struct fletch_error *error)
{
    struct fletch_flight_call_options known;
    enum fletch_status status = check_call(options, &known, error);
    return status == FLETCH_OK ? begin(client, &known, method, out_stream, error) : status;
}

enum fletch_status fletch_flight_client_do_put(struct fletch_flight_client *client,
                                               const struct fletch_flight_call_options *options,
                                               struct fletch_flight_stream **out_stream,
                                               struct fletch_error *error)
{
    return open_stream(client, options, FLETCH_FLIGHT_METHOD_DO_PUT, out_stream, error);
}

enum fletch_status fletch_flight_client_do_exchange(
    struct fletch_flight_client *client, const struct fletch_flight_call_options *options,
    const struct fletch_flight_descriptor *descriptor, struct fletch_flight_stream **out_stream,
    struct fletch_error *error)
{
    const struct fletch_flight_output output = {.descriptor = descriptor};
    struct fletch_error cause = {.status = FLETCH_OK};
    struct fletch_flight_stream *stream;
    enum fletch_status status =
        open_stream(client, options, FLETCH_FLIGHT_METHOD_DO_EXCHANGE, &stream, error);
    if (status != FLETCH_OK)
        return status;
    enum fletch_answer answer =
        fletch_flight_stream_write(stream, FLETCH_NO_TIMEOUT, &output, &cause);
    if (answer != FLETCH_DONE && !fletch_flight_stream_is_over(stream)) {
        fletch_flight_stream_close(stream);
        return fletch_error_set(error, cause.status, "%s", cause.message);
    }
    *out_stream = stream;
    return FLETCH_OK;
}

enum fletch_status fletch_flight_client_handshake(struct fletch_flight_client *client,
                                                  const struct fletch_flight_call_options *options,
                                                  struct fletch_flight_stream **out_stream,
                                                  struct fletch_error *error)
{
    return open_stream(client, options, FLETCH_FLIGHT_METHOD_HANDSHAKE, out_stream, error);
}

/* ---- counters ---- */

void fletch_flight_client_statistics(const struct fletch_flight_client *client,
                                     struct fletch_flight_client_counters *out_counters)
{
    struct fletch_flight_client_counters counters = {.struct_size = out_counters->struct_size};
    struct fletch_connection_pool_counts counts;
    fletch_connection_pool_count(fletch_flight_connections_pool(client->connections), &counts);
    counters.connections_free = counts.free;
    counters.connections_connecting = counts.connecting;
    counters.connections_ready = counts.ready;
    counters.connections_draining = counts.draining;
    counters.connections_paused = counts.paused;
    for (uint32_t i = 0; i < client->options.loop_count; i++) {
        const struct fletch_flight_counters *loop =
            fletch_flight_connections_counters(client->connections, i);
        counters.calls += load_relaxed(&loop->calls);                   /* relaxed: a number */
        counters.calls_now += load_relaxed(&loop->calls_now);           /* relaxed: a number */
        counters.received_bytes += load_relaxed(&loop->received_bytes); /* relaxed: a number */
        counters.sent_bytes += load_relaxed(&loop->sent_bytes);         /* relaxed: a number */
    }
    size_t bytes = out_counters->struct_size;
    memcpy(out_counters, &counters, bytes < sizeof counters ? bytes : sizeof counters);
}
