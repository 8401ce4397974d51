#include "flight_scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flight_interop.h"

#define WAIT_NS UINT64_C(30000000000)

static const char *own_location;

void interop_set_location(const char *location)
{
    own_location = location;
}

/* ---- what scenarios have in common ---- */

static enum fletch_status send(struct fletch_flight_stream *stream, enum fletch_flight_message kind,
                               const void *message, struct fletch_error *error)
{
    return fletch_flight_answer_status(
        fletch_flight_stream_send(stream, kind, message, WAIT_NS, error), error);
}

/* An info of this schema, which it gives back. */
static enum fletch_status send_info(struct fletch_flight_stream *stream,
                                    struct fletch_flight_info *info, struct fletch_schema *schema,
                                    struct fletch_error *error)
{
    info->schema = schema;
    const enum fletch_status status = send(stream, FLETCH_FLIGHT_INFO, info, error);
    fletch_schema_release(schema);
    return status;
}

static enum fletch_status send_result(struct fletch_flight_stream *stream,
                                      enum fletch_flight_message kind, const void *message,
                                      struct fletch_error *error)
{
    struct fletch_flight_bytes body;
    enum fletch_status status = fletch_flight_encode(kind, message, NULL, &body, error);
    if (status != FLETCH_OK)
        return status;
    status = send(stream, FLETCH_FLIGHT_RESULT, &body, error);
    fletch_flight_release(body.data);
    return status;
}

/* A batch of a column "number". */
static enum fletch_status write_numbers(struct fletch_flight_stream *stream, const char *format,
                                        const uint32_t *values, size_t count,
                                        struct fletch_error *error)
{
    struct fletch_schema *schema = interop_schema("number", format);
    const struct fletch_flight_output output = {.batch = interop_batch(schema, values, count)};
    enum fletch_status status = fletch_flight_stream_begin(stream, schema, NULL, error);
    if (status == FLETCH_OK)
        status = fletch_flight_answer_status(
            fletch_flight_stream_write(stream, WAIT_NS, &output, error), error);
    fletch_batch_release(NULL, output.batch);
    fletch_schema_release(schema);
    return status;
}

/* ---- the base case: what is put can be got ---- */

enum { FLIGHTS_MOST = 256, BATCHES_MOST = 1024 };

struct flight {
    char name[1024];
    struct fletch_schema *schema;
    struct fletch_batch *batches[BATCHES_MOST];
    size_t batch_count;
};

static struct flight *flights[FLIGHTS_MOST];

static struct flight *flight_of(struct fletch_flight_bytes name)
{
    for (size_t i = 0; i < FLIGHTS_MOST && flights[i] != NULL; i++)
        if (interop_is(name, flights[i]->name))
            return flights[i];
    return NULL;
}

/* One of that name, without what it had; NULL: there are too many, or the name is too long. */
static struct flight *flight_anew(const char *name)
{
    size_t at = 0;
    while (at < FLIGHTS_MOST && flights[at] != NULL && strcmp(flights[at]->name, name) != 0)
        at++;
    if (at == FLIGHTS_MOST || strlen(name) >= sizeof flights[at]->name)
        return NULL;
    if (flights[at] == NULL)
        flights[at] = calloc(1, sizeof *flights[at]);
    if (flights[at] == NULL)
        return NULL;
    for (size_t i = 0; i < flights[at]->batch_count; i++)
        fletch_batch_release(NULL, flights[at]->batches[i]);
    if (flights[at]->schema != NULL)
        fletch_schema_release(flights[at]->schema);
    *flights[at] = (struct flight){.batch_count = 0};
    (void)snprintf(flights[at]->name, sizeof flights[at]->name, "%s", name);
    return flights[at];
}

static enum fletch_status base_put(void *user, struct fletch_flight_stream *stream,
                                   const struct fletch_flight_descriptor *descriptor,
                                   struct fletch_error *error)
{
    struct fletch_flight_data data;
    struct fletch_schema *schema;
    enum fletch_answer answer;
    (void)user;
    if (descriptor->type != FLETCH_FLIGHT_DESCRIPTOR_PATH || descriptor->path_count == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "the descriptor is no path");
    struct flight *flight = flight_anew(descriptor->path[0]);
    if (flight == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "too many flights, or too long a name");
    answer = fletch_flight_stream_schema(stream, WAIT_NS, &schema, error);
    if (answer != FLETCH_DONE)
        return fletch_flight_answer_status(answer, error);
    flight->schema = fletch_schema_acquire(schema);
    while ((answer = fletch_flight_stream_read(stream, WAIT_NS, &data, error)) == FLETCH_DONE) {
        if (data.batch == NULL)
            continue;
        if (flight->batch_count == BATCHES_MOST) {
            fletch_batch_release(NULL, data.batch);
            return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "too many batches");
        }
        flight->batches[flight->batch_count++] = data.batch;
        if (data.app_metadata.bytes > 0 &&
            send(stream, FLETCH_FLIGHT_PUT_RESULT, &data.app_metadata, error) != FLETCH_OK)
            return error->status;
    }
    return fletch_flight_answer_status(answer, error);
}

static enum fletch_status base_info(void *user, struct fletch_flight_stream *stream,
                                    const struct fletch_flight_descriptor *descriptor,
                                    struct fletch_error *error)
{
    const struct flight *flight = NULL;
    (void)user;
    if (descriptor->type == FLETCH_FLIGHT_DESCRIPTOR_PATH && descriptor->path_count > 0)
        flight = flight_of(interop_text(descriptor->path[0]));
    if (flight == NULL)
        return fletch_error_set(error, FLETCH_NOT_FOUND, "there is no such flight");
    const struct fletch_flight_endpoint endpoint = {
        .ticket = interop_text(flight->name), .locations = &own_location, .location_count = 1};
    struct fletch_flight_info info = {
        .descriptor = *descriptor, .endpoints = &endpoint, .endpoint_count = 1, .total_bytes = -1};
    for (size_t i = 0; i < flight->batch_count; i++)
        info.total_records += fletch_batch_row_count(flight->batches[i]);
    return send_info(stream, &info, fletch_schema_acquire(flight->schema), error);
}

/* Each batch with its number as app metadata. */
static enum fletch_status base_get(void *user, struct fletch_flight_stream *stream,
                                   const struct fletch_flight_bytes *ticket,
                                   struct fletch_error *error)
{
    const struct flight *flight = flight_of(*ticket);
    (void)user;
    if (flight == NULL)
        return fletch_error_set(error, FLETCH_NOT_FOUND, "there is no such flight");
    enum fletch_status status = fletch_flight_stream_begin(stream, flight->schema, NULL, error);
    for (size_t i = 0; i < flight->batch_count && status == FLETCH_OK; i++) {
        char number[24];
        (void)snprintf(number, sizeof number, "%zu", i);
        const struct fletch_flight_output output = {.batch = flight->batches[i],
                                                    .app_metadata = interop_text(number)};
        status = fletch_flight_answer_status(
            fletch_flight_stream_write(stream, WAIT_NS, &output, error), error);
    }
    return status;
}

/* ---- do_exchange:echo ---- */

static enum fletch_status echo_exchange(void *user, struct fletch_flight_stream *stream,
                                        const struct fletch_flight_descriptor *descriptor,
                                        struct fletch_error *error)
{
    struct fletch_flight_data data;
    struct fletch_schema *schema;
    enum fletch_answer answer;
    bool is_begun = false;
    (void)user;
    if (!interop_is(descriptor->command, "echo"))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "the command is not \"echo\"");
    while ((answer = fletch_flight_stream_read(stream, WAIT_NS, &data, error)) == FLETCH_DONE) {
        const struct fletch_flight_output output = {.batch = data.batch,
                                                    .app_metadata = data.app_metadata};
        enum fletch_status status = FLETCH_OK;
        if (data.batch != NULL && !is_begun) {
            is_begun = true;
            answer = fletch_flight_stream_schema(stream, 0, &schema, error);
            status = answer == FLETCH_DONE ? fletch_flight_stream_begin(stream, schema, NULL, error)
                                           : fletch_flight_answer_status(answer, error);
        }
        if (status == FLETCH_OK)
            status = fletch_flight_answer_status(
                fletch_flight_stream_write(stream, WAIT_NS, &output, error), error);
        fletch_batch_release(NULL, data.batch);
        if (status != FLETCH_OK)
            return status;
    }
    return fletch_flight_answer_status(answer, error);
}

/* ---- auth:basic_proto ---- */

static enum fletch_status basic_handshake(void *user, struct fletch_flight_stream *stream,
                                          struct fletch_error *error)
{
    const void *message, *credentials;
    enum fletch_status status;
    (void)user;
    status = fletch_flight_answer_status(
        fletch_flight_stream_receive(stream, FLETCH_FLIGHT_HANDSHAKE, WAIT_NS, &message, error),
        error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_flight_decode(FLETCH_FLIGHT_BASIC_AUTH,
                                  ((const struct fletch_flight_handshake *)message)->payload, NULL,
                                  &credentials, error);
    fletch_flight_release(message);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_flight_basic_auth *basic = credentials;
    const bool is_right = fletch_flight_is_equal("arrow", basic->username) &
                          fletch_flight_is_equal("flight", basic->password);
    fletch_flight_release(credentials);
    const struct fletch_flight_handshake token = {.payload = interop_text("arrow")};
    return is_right ? send(stream, FLETCH_FLIGHT_HANDSHAKE, &token, error)
                    : fletch_error_set(error, FLETCH_UNAUTHENTICATED, "wrong name or password");
}

static enum fletch_status basic_authenticate(void *user, struct fletch_flight_stream *stream,
                                             const char *method, struct fletch_error *error)
{
    const struct fletch_flight_header *token =
        fletch_flight_stream_header(stream, "auth-token-bin");
    (void)user;
    (void)method;
    if (token == NULL || !fletch_flight_is_equal("arrow", token->value))
        return fletch_error_set(error, FLETCH_UNAUTHENTICATED, "invalid token");
    return fletch_flight_stream_set_identity(stream, "arrow", error);
}

static enum fletch_status basic_action(void *user, struct fletch_flight_stream *stream,
                                       const struct fletch_flight_action *action,
                                       struct fletch_error *error)
{
    const struct fletch_flight_bytes body = interop_text(fletch_flight_stream_identity(stream));
    (void)user;
    (void)action;
    return send(stream, FLETCH_FLIGHT_RESULT, &body, error);
}

/* ---- middleware ---- */

static enum fletch_status echo_header(void *user, struct fletch_flight_stream *stream,
                                      const char *method, struct fletch_error *error)
{
    const struct fletch_flight_header *header = fletch_flight_stream_header(stream, "x-middleware");
    (void)user;
    (void)method;
    return header == NULL ? FLETCH_OK : fletch_flight_stream_add_header(stream, header, error);
}

static enum fletch_status middleware_info(void *user, struct fletch_flight_stream *stream,
                                          const struct fletch_flight_descriptor *descriptor,
                                          struct fletch_error *error)
{
    const char *location = "grpc+tcp://localhost:10010";
    const struct fletch_flight_endpoint endpoint = {
        .ticket = interop_text("foo"), .locations = &location, .location_count = 1};
    struct fletch_flight_info info = {.descriptor = *descriptor,
                                      .endpoints = &endpoint,
                                      .endpoint_count = 1,
                                      .total_records = -1,
                                      .total_bytes = -1};
    (void)user;
    if (!interop_is(descriptor->command, "success"))
        return fletch_error_set(error, FLETCH_UNKNOWN, "unknown");
    return send_info(stream, &info, interop_schema(NULL, NULL), error);
}

/* ---- ordered ---- */

static enum fletch_status ordered_info(void *user, struct fletch_flight_stream *stream,
                                       const struct fletch_flight_descriptor *descriptor,
                                       struct fletch_error *error)
{
    const struct fletch_flight_endpoint endpoints[] = {{.ticket = interop_text("1")},
                                                       {.ticket = interop_text("2")},
                                                       {.ticket = interop_text("3")}};
    struct fletch_flight_info info = {.descriptor = *descriptor,
                                      .endpoints = endpoints,
                                      .endpoint_count = 3,
                                      .total_records = -1,
                                      .total_bytes = -1,
                                      .is_ordered = interop_is(descriptor->command, "ordered")};
    (void)user;
    return send_info(stream, &info, interop_schema("number", "i"), error);
}

static enum fletch_status ordered_get(void *user, struct fletch_flight_stream *stream,
                                      const struct fletch_flight_bytes *ticket,
                                      struct fletch_error *error)
{
    uint32_t values[] = {1, 2, 3};
    (void)user;
    for (const char *known = "123"; *known != '\0'; known++) {
        if (interop_is(*ticket, (char[]){*known, '\0'}))
            return write_numbers(stream, "i", values, 3, error);
        for (size_t i = 0; i < 3; i++)
            values[i] *= 10;
    }
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "there is no such ticket");
}

/* ---- expiration_time ---- */

enum { EXPIRING = 3 };

static struct expiring {
    bool expires, was_got, is_cancelled;
    struct fletch_flight_time end;
} expiring[EXPIRING];

static enum fletch_status expiration_info(void *user, struct fletch_flight_stream *stream,
                                          const struct fletch_flight_descriptor *descriptor,
                                          struct fletch_error *error)
{
    static const char *const tickets[] = {"0: No expiration time", "1: 5 seconds", "2: 6 seconds"};
    struct fletch_flight_endpoint endpoints[EXPIRING];
    (void)user;
    for (int i = 0; i < EXPIRING; i++) {
        expiring[i] = (struct expiring){.expires = i > 0, .end = interop_time(4 + i)};
        endpoints[i] = (struct fletch_flight_endpoint){.ticket = interop_text(tickets[i]),
                                                       .has_expiration = i > 0,
                                                       .expiration = expiring[i].end};
    }
    struct fletch_flight_info info = {.descriptor = *descriptor,
                                      .endpoints = endpoints,
                                      .endpoint_count = EXPIRING,
                                      .total_records = -1,
                                      .total_bytes = -1};
    return send_info(stream, &info, interop_schema("number", "I"), error);
}

/* The one whose number a ticket begins with, or NULL. */
static struct expiring *expiring_of(struct fletch_flight_bytes ticket)
{
    const char *text = ticket.data;
    if (ticket.bytes < 2 || text[0] < '0' || text[0] >= '0' + EXPIRING || text[1] != ':')
        return NULL;
    return &expiring[text[0] - '0'];
}

static bool is_past(struct fletch_flight_time time)
{
    const struct fletch_flight_time now = interop_time(0);
    return time.seconds < now.seconds || (time.seconds == now.seconds && time.nanos < now.nanos);
}

static enum fletch_status expiration_get(void *user, struct fletch_flight_stream *stream,
                                         const struct fletch_flight_bytes *ticket,
                                         struct fletch_error *error)
{
    struct expiring *wanted = expiring_of(*ticket);
    (void)user;
    if (wanted == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "there is no such ticket");
    if (wanted->is_cancelled)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "it was cancelled");
    if (wanted->expires ? is_past(wanted->end) : wanted->was_got)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                wanted->expires ? "it has expired" : "it can be read once");
    const uint32_t number = (uint32_t)(wanted - expiring);
    wanted->was_got = true;
    return write_numbers(stream, "I", &number, 1, error);
}

static enum fletch_status expiration_actions(void *user, struct fletch_flight_stream *stream,
                                             struct fletch_error *error)
{
    const struct fletch_flight_action_type types[] = {
        {FLETCH_FLIGHT_CANCEL_FLIGHT_INFO, "Cancels a flight."},
        {FLETCH_FLIGHT_RENEW_FLIGHT_ENDPOINT, "Lets an endpoint expire later."}};
    (void)user;
    if (send(stream, FLETCH_FLIGHT_ACTION_TYPE, &types[0], error) != FLETCH_OK)
        return error->status;
    return send(stream, FLETCH_FLIGHT_ACTION_TYPE, &types[1], error);
}

static enum fletch_status cancel_flight(struct fletch_flight_stream *stream,
                                        const struct fletch_flight_info *info,
                                        struct fletch_error *error)
{
    struct fletch_flight_outcome outcome = {FLETCH_FLIGHT_CANCEL_UNSPECIFIED};
    for (size_t i = 0; i < info->endpoint_count; i++) {
        struct expiring *wanted = expiring_of(info->endpoints[i].ticket);
        if (wanted == NULL || wanted->is_cancelled)
            outcome.status = FLETCH_FLIGHT_NOT_CANCELLABLE;
        else if (outcome.status == FLETCH_FLIGHT_CANCEL_UNSPECIFIED)
            outcome.status = FLETCH_FLIGHT_CANCELLED;
        if (wanted != NULL)
            wanted->is_cancelled = true;
    }
    return send_result(stream, FLETCH_FLIGHT_OUTCOME, &outcome, error);
}

static enum fletch_status renew_endpoint(struct fletch_flight_stream *stream,
                                         const struct fletch_flight_endpoint *endpoint,
                                         struct fletch_error *error)
{
    struct fletch_flight_endpoint renewed = *endpoint;
    struct expiring *wanted = expiring_of(endpoint->ticket);
    char ticket[256];
    if (wanted == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "there is no such ticket");
    (void)snprintf(ticket, sizeof ticket, "%s: renewed (+ 10 seconds)",
                   (const char *)endpoint->ticket.data);
    wanted->end = interop_time(10);
    renewed.ticket = interop_text(ticket);
    renewed.has_expiration = true;
    renewed.expiration = wanted->end;
    return send_result(stream, FLETCH_FLIGHT_ENDPOINT, &renewed, error);
}

static enum fletch_status expiration_action(void *user, struct fletch_flight_stream *stream,
                                            const struct fletch_flight_action *action,
                                            struct fletch_error *error)
{
    const bool cancels = strcmp(action->type, FLETCH_FLIGHT_CANCEL_FLIGHT_INFO) == 0;
    const void *request;
    (void)user;
    if (!cancels && strcmp(action->type, FLETCH_FLIGHT_RENEW_FLIGHT_ENDPOINT) != 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "there is no such action");
    enum fletch_status status =
        fletch_flight_decode(cancels ? FLETCH_FLIGHT_CANCEL_REQUEST : FLETCH_FLIGHT_RENEW_REQUEST,
                             action->body, NULL, &request, error);
    if (status != FLETCH_OK)
        return status;
    status =
        cancels ? cancel_flight(stream, request, error) : renew_endpoint(stream, request, error);
    fletch_flight_release(request);
    return status;
}

/* ---- location:reuse_connection ---- */

static enum fletch_status reuse_info(void *user, struct fletch_flight_stream *stream,
                                     const struct fletch_flight_descriptor *descriptor,
                                     struct fletch_error *error)
{
    const char *location = FLETCH_FLIGHT_REUSE_CONNECTION;
    const struct fletch_flight_endpoint endpoint = {
        .ticket = interop_text("reuse"), .locations = &location, .location_count = 1};
    struct fletch_flight_info info = {.descriptor = *descriptor,
                                      .endpoints = &endpoint,
                                      .endpoint_count = 1,
                                      .total_records = -1,
                                      .total_bytes = -1};
    (void)user;
    return send_info(stream, &info, interop_schema(NULL, NULL), error);
}

/* ---- poll_flight_info ---- */

static enum fletch_status poll_info(void *user, struct fletch_flight_stream *stream,
                                    const struct fletch_flight_descriptor *descriptor,
                                    struct fletch_error *error)
{
    const bool is_finished = interop_is(descriptor->command, "poll");
    struct fletch_schema *schema = interop_schema("number", "I");
    const struct fletch_flight_endpoint endpoint = {.ticket = interop_text("long-running query")};
    const struct fletch_flight_info info = {.schema = schema,
                                            .descriptor = *descriptor,
                                            .endpoints = &endpoint,
                                            .endpoint_count = 1,
                                            .total_records = -1,
                                            .total_bytes = -1};
    struct fletch_flight_poll_info told = {
        .info = &info, .has_progress = true, .progress = is_finished ? 1.0 : 0.1};
    (void)user;
    if (!is_finished) {
        told.descriptor.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND;
        told.descriptor.command = interop_text("poll");
        told.has_expiration = true;
        told.expiration = interop_time(10);
    }
    const enum fletch_status status = send(stream, FLETCH_FLIGHT_POLL_INFO, &told, error);
    fletch_schema_release(schema);
    return status;
}

/* ---- app_metadata_flight_info_endpoint ---- */

static enum fletch_status metadata_info(void *user, struct fletch_flight_stream *stream,
                                        const struct fletch_flight_descriptor *descriptor,
                                        struct fletch_error *error)
{
    const struct fletch_flight_endpoint endpoint = {.app_metadata = descriptor->command};
    struct fletch_flight_info info = {.descriptor = *descriptor,
                                      .endpoints = &endpoint,
                                      .endpoint_count = 1,
                                      .total_records = -1,
                                      .total_bytes = -1,
                                      .app_metadata = descriptor->command};
    (void)user;
    if (descriptor->type != FLETCH_FLIGHT_DESCRIPTOR_COMMAND)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "the descriptor is no command");
    return send_info(stream, &info, interop_schema("number", "I"), error);
}

/* ---- session_options ---- */

#define COOKIE "arrow_flight_session_id="
enum { SESSIONS_MOST = 64, OPTIONS_MOST = 64, REQUESTS_MOST = 64 };

/* Its options point into the requests that set them. */
struct session {
    bool is_open;
    struct fletch_flight_session_option options[OPTIONS_MOST];
    size_t option_count;
    const void *requests[REQUESTS_MOST];
    size_t request_count;
};

static struct session sessions[SESSIONS_MOST];

static void session_close(struct session *session)
{
    for (size_t i = 0; i < session->request_count; i++)
        fletch_flight_release(session->requests[i]);
    *session = (struct session){.is_open = false};
}

/* The open session whose number the client's cookie has, or NULL. */
static struct session *session_of(const struct fletch_flight_stream *stream)
{
    const struct fletch_flight_header *cookie = fletch_flight_stream_header(stream, "cookie");
    const char *text = cookie == NULL ? NULL : strstr(cookie->value, COOKIE);
    if (text == NULL)
        return NULL;
    text += strlen(COOKIE);
    const unsigned long number = strtoul(text + (*text == '"'), NULL, 10);
    return number < SESSIONS_MOST && sessions[number].is_open ? &sessions[number] : NULL;
}

/* A client without a session gets one. */
static enum fletch_status session_authenticate(void *user, struct fletch_flight_stream *stream,
                                               const char *method, struct fletch_error *error)
{
    char text[64];
    size_t number = 0;
    (void)user;
    (void)method;
    if (session_of(stream) != NULL)
        return FLETCH_OK;
    while (number < SESSIONS_MOST && sessions[number].is_open)
        number++;
    if (number == SESSIONS_MOST)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "too many sessions");
    sessions[number].is_open = true;
    (void)snprintf(text, sizeof text, COOKIE "%zu", number);
    if (fletch_flight_stream_set_identity(stream, text + strlen(COOKIE), error) != FLETCH_OK)
        return error->status;
    const struct fletch_flight_header header = {"set-cookie", text, strlen(text)};
    return fletch_flight_stream_add_header(stream, &header, error);
}

/* Of a call: the client's, or the one that it was just given. */
static struct session *session_now(const struct fletch_flight_stream *stream)
{
    struct session *session = session_of(stream);
    return session != NULL ? session
                           : &sessions[strtoul(fletch_flight_stream_identity(stream), NULL, 10)];
}

static void session_unset(struct session *session, const char *name)
{
    for (size_t i = 0; i < session->option_count; i++)
        if (strcmp(session->options[i].name, name) == 0)
            session->options[i--] = session->options[--session->option_count];
}

static enum fletch_status session_set(struct fletch_flight_stream *stream,
                                      const struct fletch_flight_action *action,
                                      struct fletch_error *error)
{
    struct session *session = session_now(stream);
    struct fletch_flight_session_error refused[OPTIONS_MOST];
    struct fletch_flight_session_errors answer = {refused, 0};
    const void *request;
    if (session->request_count == REQUESTS_MOST)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "too many requests");
    if (fletch_flight_decode(FLETCH_FLIGHT_SESSION_OPTIONS, action->body, NULL, &request, error) !=
        FLETCH_OK)
        return error->status;
    session->requests[session->request_count++] = request;
    const struct fletch_flight_session_options *wanted = request;
    if (wanted->option_count + session->option_count > OPTIONS_MOST)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "too many options");
    for (size_t i = 0; i < wanted->option_count; i++) {
        const struct fletch_flight_session_option *option = &wanted->options[i];
        enum fletch_flight_session_refusal refusal = FLETCH_FLIGHT_SESSION_UNSPECIFIED;
        if (strcmp(option->name, "lol_invalid") == 0)
            refusal = FLETCH_FLIGHT_SESSION_INVALID_NAME;
        else if (option->type == FLETCH_FLIGHT_OPTION_STRING &&
                 strcmp(option->string, "lol_invalid") == 0)
            refusal = FLETCH_FLIGHT_SESSION_INVALID_VALUE;
        if (refusal != FLETCH_FLIGHT_SESSION_UNSPECIFIED) {
            refused[answer.error_count++] =
                (struct fletch_flight_session_error){option->name, refusal};
            continue;
        }
        session_unset(session, option->name);
        if (option->type != FLETCH_FLIGHT_OPTION_UNSET)
            session->options[session->option_count++] = *option;
    }
    return send_result(stream, FLETCH_FLIGHT_SESSION_ERRORS, &answer, error);
}

static enum fletch_status session_action(void *user, struct fletch_flight_stream *stream,
                                         const struct fletch_flight_action *action,
                                         struct fletch_error *error)
{
    (void)user;
    if (strcmp(action->type, FLETCH_FLIGHT_SET_SESSION_OPTIONS) == 0)
        return session_set(stream, action, error);
    if (strcmp(action->type, FLETCH_FLIGHT_GET_SESSION_OPTIONS) == 0) {
        const struct session *session = session_now(stream);
        const struct fletch_flight_session_options options = {session->options,
                                                              session->option_count};
        return send_result(stream, FLETCH_FLIGHT_SESSION_OPTIONS, &options, error);
    }
    if (strcmp(action->type, FLETCH_FLIGHT_CLOSE_SESSION) == 0) {
        const struct fletch_flight_outcome outcome = {FLETCH_FLIGHT_CLOSED};
        session_close(session_now(stream));
        return send_result(stream, FLETCH_FLIGHT_OUTCOME, &outcome, error);
    }
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "there is no such action");
}

/* ---- all of them ---- */

#define HANDLERS(...) \
    { \
        .struct_size = sizeof(struct fletch_flight_handlers), __VA_ARGS__ \
    }

static const struct {
    const char *name;
    struct fletch_flight_handlers handlers;
} scenarios[] = {
    {"", HANDLERS(.do_put = base_put, .get_flight_info = base_info, .do_get = base_get,
                  .do_exchange = echo_exchange)},
    {"app_metadata_flight_info_endpoint", HANDLERS(.get_flight_info = metadata_info)},
    {"auth:basic_proto", HANDLERS(.handshake = basic_handshake, .authenticate = basic_authenticate,
                                  .do_action = basic_action)},
    {"do_exchange:echo", HANDLERS(.do_exchange = echo_exchange)},
    {"expiration_time:",
     HANDLERS(.get_flight_info = expiration_info, .do_get = expiration_get,
              .list_actions = expiration_actions, .do_action = expiration_action)},
    {"location:reuse_connection", HANDLERS(.get_flight_info = reuse_info)},
    {"middleware", HANDLERS(.authenticate = echo_header, .get_flight_info = middleware_info)},
    {"ordered", HANDLERS(.get_flight_info = ordered_info, .do_get = ordered_get)},
    {"poll_flight_info", HANDLERS(.poll_flight_info = poll_info)},
    {"session_options",
     HANDLERS(.authenticate = session_authenticate, .do_action = session_action)},
};

const struct fletch_flight_handlers *interop_handlers(const char *scenario)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        const char *name = scenarios[i].name;
        const size_t bytes = strlen(name);
        const bool is_family = bytes > 0 && name[bytes - 1] == ':';
        if (is_family ? strncmp(scenario, name, bytes) == 0 : strcmp(scenario, name) == 0)
            return &scenarios[i].handlers;
    }
    return NULL;
}
