/* The client of Arrow's integration tests for Flight: a scenario in each run, or the base case, for
 * which it takes a file or stream of Arrow.
 *
 *   flight_integration_client [-host NAME] -port N (-scenario NAME | -path FILE)
 *
 * The scenario "peer" is what a server that keeps what is put is asked for beside the base case. */

#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flight_interop.h"

#define WAIT_NS UINT64_C(30000000000)
enum { ROWS_LARGE = 16 << 20, BATCHES_MOST = 1024 };

static struct fletch_flight_client *client;
static struct fletch_buffer_cache *cache;

/* ---- what is expected ---- */

static void expect(bool is_so, const char *what)
{
    if (is_so)
        return;
    (void)fprintf(stderr, "expected %s\n", what);
    exit(1);
}

static void check_answer(const char *what, enum fletch_answer answer,
                         const struct fletch_error *error)
{
    if (answer == FLETCH_DONE)
        return;
    (void)fprintf(stderr, "%s: %s: %s\n", what, fletch_answer_name(answer),
                  answer == FLETCH_CLOSED ? error->message : "");
    exit(1);
}

static struct fletch_flight_descriptor command(const char *text)
{
    return (struct fletch_flight_descriptor){.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                                             .command = interop_text(text)};
}

static const struct fletch_flight_info *info_of(const char *text)
{
    const struct fletch_flight_descriptor descriptor = command(text);
    const struct fletch_flight_info *info;
    struct fletch_error error;
    interop_check("GetFlightInfo",
                  fletch_flight_client_get_flight_info(client, NULL, &descriptor, &info, &error),
                  &error);
    return info;
}

static struct fletch_flight_stream *open_endpoint(const struct fletch_flight_endpoint *endpoint)
{
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    interop_check("DoGet",
                  fletch_flight_client_do_get_endpoint(client, NULL, endpoint, &stream, &error),
                  &error);
    return stream;
}

/* The status of a call that was begun or not, whose stream it ends. */
static enum fletch_status status_of(enum fletch_status begun, struct fletch_flight_stream *stream)
{
    struct fletch_flight_end end;
    struct fletch_error error;
    if (begun != FLETCH_OK)
        return begun;
    check_answer("the end", fletch_flight_stream_end(stream, WAIT_NS, &end, &error), &error);
    const enum fletch_status status = end.status;
    fletch_flight_stream_close(stream);
    return status;
}

static enum fletch_status get_status(const struct fletch_flight_endpoint *endpoint)
{
    struct fletch_flight_stream *stream = NULL;
    struct fletch_error error;
    return status_of(fletch_flight_client_do_get_endpoint(client, NULL, endpoint, &stream, &error),
                     stream);
}

/* ---- batches ---- */

static bool are_equal(struct fletch_batch *one, struct fletch_batch *other)
{
    return fletch_batch_row_count(one) == fletch_batch_row_count(other) &&
           fletch_hash_row_sum(one) == fletch_hash_row_sum(other);
}

/* The values of a batch of one column of 32 bits. */
static void expect_numbers(struct fletch_batch *batch, const uint32_t *values, size_t count)
{
    struct ArrowArray array;
    struct fletch_error error;
    interop_check("a batch", fletch_batch_export(batch, cache, &array, &error), &error);
    expect(array.n_children == 1 && array.length == (int64_t)count, "one column of so many rows");
    const uint32_t *found = (const uint32_t *)array.children[0]->buffers[1];
    expect(memcmp(found + array.children[0]->offset, values, count * sizeof *values) == 0,
           "the values");
    array.release(&array);
}

/* A call that brings one batch of these. */
static void expect_stream(const struct fletch_flight_endpoint *endpoint, const uint32_t *values,
                          size_t count)
{
    struct fletch_flight_stream *stream = open_endpoint(endpoint);
    struct fletch_flight_data data;
    struct fletch_error error;
    check_answer("a batch", fletch_flight_stream_read(stream, WAIT_NS, &data, &error), &error);
    expect_numbers(data.batch, values, count);
    fletch_batch_release(cache, data.batch);
    expect(fletch_flight_stream_read(stream, WAIT_NS, &data, &error) == FLETCH_CLOSED, "one batch");
    expect(status_of(FLETCH_OK, stream) == FLETCH_OK, "a good end");
}

/* ---- auth:basic_proto, middleware ---- */

static struct fletch_flight_stream *begin_action(const struct fletch_flight_call_options *options,
                                                 const struct fletch_flight_action *action)
{
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    interop_check("DoAction",
                  fletch_flight_client_do_action(client, options, action, &stream, &error), &error);
    return stream;
}

static void auth_basic_proto(void)
{
    const struct fletch_flight_action action = {.type = ""};
    const struct fletch_flight_basic_auth basic = {"arrow", "flight"};
    struct fletch_flight_handshake hello = {.protocol_version = 0};
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    const void *message;
    expect(status_of(FLETCH_OK, begin_action(NULL, &action)) == FLETCH_UNAUTHENTICATED,
           "UNAUTHENTICATED");
    interop_check(
        "credentials",
        fletch_flight_encode(FLETCH_FLIGHT_BASIC_AUTH, &basic, NULL, &hello.payload, &error),
        &error);
    interop_check("Handshake", fletch_flight_client_handshake(client, NULL, &stream, &error),
                  &error);
    check_answer(
        "credentials",
        fletch_flight_stream_send(stream, FLETCH_FLIGHT_HANDSHAKE, &hello, WAIT_NS, &error),
        &error);
    fletch_flight_release(hello.payload.data);
    fletch_flight_stream_done_writing(stream);
    check_answer(
        "the token",
        fletch_flight_stream_receive(stream, FLETCH_FLIGHT_HANDSHAKE, WAIT_NS, &message, &error),
        &error);
    const struct fletch_flight_bytes token =
        ((const struct fletch_flight_handshake *)message)->payload;
    const struct fletch_flight_header header = {"auth-token-bin", token.data, token.bytes};
    const struct fletch_flight_call_options options = {
        .struct_size = sizeof options, .headers = &header, .header_count = 1};
    expect(status_of(FLETCH_OK, stream) == FLETCH_OK, "a good handshake");
    stream = begin_action(&options, &action);
    fletch_flight_release(message);
    check_answer(
        "the name",
        fletch_flight_stream_receive(stream, FLETCH_FLIGHT_RESULT, WAIT_NS, &message, &error),
        &error);
    expect(interop_is(*(const struct fletch_flight_bytes *)message, "arrow"), "the name");
    fletch_flight_release(message);
    expect(status_of(FLETCH_OK, stream) == FLETCH_OK, "a good end");
}

static void keep_middleware(void *context, struct fletch_flight_stream *stream,
                            const struct fletch_flight_end *end)
{
    const struct fletch_flight_header *header = fletch_flight_stream_header(stream, "x-middleware");
    bool *is_there = context;
    (void)end;
    *is_there = header != NULL && strcmp(header->value, "expected value") == 0;
}

static void middleware(void)
{
    const struct fletch_flight_header header = {"x-middleware", "expected value", 14};
    bool is_there = false;
    const struct fletch_flight_call_options options = {.struct_size = sizeof options,
                                                       .headers = &header,
                                                       .header_count = 1,
                                                       .ended = keep_middleware,
                                                       .context = &is_there};
    struct fletch_flight_descriptor descriptor = command("");
    const struct fletch_flight_info *info;
    struct fletch_error error;
    expect(fletch_flight_client_get_flight_info(client, &options, &descriptor, &info, &error) !=
               FLETCH_OK,
           "an error");
    expect(is_there, "the header on a failure");
    is_there = false;
    descriptor = command("success");
    interop_check(
        "GetFlightInfo",
        fletch_flight_client_get_flight_info(client, &options, &descriptor, &info, &error), &error);
    fletch_flight_release(info);
    expect(is_there, "the header on success");
}

/* ---- ordered, expiration_time, location, poll, app_metadata ---- */

static void ordered(void)
{
    const struct fletch_flight_info *info = info_of("ordered");
    uint32_t values[] = {1, 2, 3};
    expect(info->is_ordered && info->endpoint_count == 3, "an ordered flight of three");
    for (size_t i = 0; i < 3; i++) {
        expect(info->endpoints[i].location_count == 0, "no locations");
        expect_stream(&info->endpoints[i], values, 3);
        for (size_t v = 0; v < 3; v++)
            values[v] *= 10;
    }
    fletch_flight_release(info);
}

static void expiration_get(void)
{
    const struct fletch_flight_info *info = info_of("expiration_time");
    expect(info->endpoint_count == 3, "three endpoints");
    for (uint32_t i = 0; i < 3; i++) {
        expect(info->endpoints[i].has_expiration == (i > 0), "an expiration");
        expect_stream(&info->endpoints[i], &i, 1);
    }
    expect(get_status(&info->endpoints[0]) != FLETCH_OK, "that the first is read once");
    fletch_flight_release(info);
}

static void expiration_actions(void)
{
    static const char *const names[] = {"CancelFlightInfo", "RenewFlightEndpoint"};
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    const void *message;
    interop_check("ListActions", fletch_flight_client_list_actions(client, NULL, &stream, &error),
                  &error);
    for (size_t i = 0; i < 2; i++) {
        check_answer("an action",
                     fletch_flight_stream_receive(stream, FLETCH_FLIGHT_ACTION_TYPE, WAIT_NS,
                                                  &message, &error),
                     &error);
        expect(strcmp(((const struct fletch_flight_action_type *)message)->type, names[i]) == 0,
               names[i]);
        fletch_flight_release(message);
    }
    expect(fletch_flight_stream_receive(stream, FLETCH_FLIGHT_ACTION_TYPE, WAIT_NS, &message,
                                        &error) == FLETCH_CLOSED,
           "two actions");
    expect(status_of(FLETCH_OK, stream) == FLETCH_OK, "a good end");
}

/* Of an action with one result, the message in it. */
static const void *act(const struct fletch_flight_call_options *options, const char *type,
                       enum fletch_flight_message kind, const void *request,
                       enum fletch_flight_message answer_kind)
{
    struct fletch_flight_action action = {.type = type};
    struct fletch_error error;
    const void *result, *answer;
    interop_check(type, fletch_flight_encode(kind, request, NULL, &action.body, &error), &error);
    struct fletch_flight_stream *stream = begin_action(options, &action);
    fletch_flight_release(action.body.data);
    check_answer(
        type, fletch_flight_stream_receive(stream, FLETCH_FLIGHT_RESULT, WAIT_NS, &result, &error),
        &error);
    interop_check(type,
                  fletch_flight_decode(answer_kind, *(const struct fletch_flight_bytes *)result,
                                       NULL, &answer, &error),
                  &error);
    fletch_flight_release(result);
    expect(status_of(FLETCH_OK, stream) == FLETCH_OK, "a good end");
    return answer;
}

static void expiration_cancel(void)
{
    const struct fletch_flight_info *info = info_of("expiration_time");
    const struct fletch_flight_outcome *outcome =
        act(NULL, FLETCH_FLIGHT_CANCEL_FLIGHT_INFO, FLETCH_FLIGHT_CANCEL_REQUEST, info,
            FLETCH_FLIGHT_OUTCOME);
    expect(outcome->status == FLETCH_FLIGHT_CANCELLED, "CANCELLED");
    for (size_t i = 0; i < info->endpoint_count; i++)
        expect(get_status(&info->endpoints[i]) != FLETCH_OK, "an error after CancelFlightInfo");
    fletch_flight_release(outcome);
    fletch_flight_release(info);
}

static void expiration_renew(void)
{
    const struct fletch_flight_info *info = info_of("expiration_time");
    size_t count = 0;
    for (size_t i = 0; i < info->endpoint_count; i++) {
        const struct fletch_flight_endpoint *old = &info->endpoints[i];
        if (!old->has_expiration)
            continue;
        count++;
        const struct fletch_flight_endpoint *renewed =
            act(NULL, FLETCH_FLIGHT_RENEW_FLIGHT_ENDPOINT, FLETCH_FLIGHT_RENEW_REQUEST, old,
                FLETCH_FLIGHT_ENDPOINT);
        expect(renewed->has_expiration && renewed->expiration.seconds > old->expiration.seconds,
               "a later expiration");
        fletch_flight_release(renewed);
    }
    expect(count > 0, "an endpoint that expires");
    fletch_flight_release(info);
}

static void reuse_connection(void)
{
    const struct fletch_flight_info *info = info_of("reuse");
    expect(info->endpoint_count == 1 && info->endpoints[0].location_count == 1 &&
               strcmp(info->endpoints[0].locations[0], FLETCH_FLIGHT_REUSE_CONNECTION) == 0,
           "one location, which says to reuse the connection");
    fletch_flight_release(info);
}

static const struct fletch_flight_poll_info *poll(const struct fletch_flight_descriptor *descriptor)
{
    const struct fletch_flight_poll_info *told;
    struct fletch_error error;
    interop_check("PollFlightInfo",
                  fletch_flight_client_poll_flight_info(client, NULL, descriptor, &told, &error),
                  &error);
    return told;
}

static void poll_flight_info(void)
{
    const struct fletch_flight_descriptor descriptor = command("heavy query");
    const struct fletch_flight_poll_info *first = poll(&descriptor);
    expect(first->descriptor.type != FLETCH_FLIGHT_DESCRIPTOR_ABSENT && first->has_progress &&
               first->progress >= 0 && first->progress <= 1 && first->has_expiration,
           "a query under way");
    const struct fletch_flight_poll_info *last = poll(&first->descriptor);
    expect(last->descriptor.type == FLETCH_FLIGHT_DESCRIPTOR_ABSENT && last->has_progress &&
               last->progress == 1 && !last->has_expiration && last->info != NULL,
           "a query that is done");
    fletch_flight_release(first);
    fletch_flight_release(last);
}

static void app_metadata(void)
{
    const struct fletch_flight_info *info = info_of("foobar");
    expect(interop_is(info->app_metadata, "foobar") && info->endpoint_count == 1 &&
               interop_is(info->endpoints[0].app_metadata, "foobar"),
           "the command as metadata");
    fletch_flight_release(info);
}

/* ---- session_options ---- */

static char cookie[256];

static const struct fletch_flight_header cookie_header = {"cookie", cookie, 0};

/* Sends the session's cookie, and takes the one that comes. */
static const void *act_in_session(const char *type, enum fletch_flight_message kind,
                                  const void *request, enum fletch_flight_message answer_kind)
{
    struct fletch_flight_header header = cookie_header;
    header.value_bytes = strlen(cookie);
    const struct fletch_flight_call_options options = {
        .struct_size = sizeof options, .headers = &header, .header_count = cookie[0] != '\0'};
    return act(&options, type, kind, request, answer_kind);
}

/* The first call of a session, whose answer has the cookie. */
static void begin_session(void)
{
    const struct fletch_flight_action action = {.type = FLETCH_FLIGHT_GET_SESSION_OPTIONS};
    struct fletch_flight_stream *stream = begin_action(NULL, &action);
    struct fletch_error error;
    const void *result;
    check_answer(
        "GetSessionOptions",
        fletch_flight_stream_receive(stream, FLETCH_FLIGHT_RESULT, WAIT_NS, &result, &error),
        &error);
    expect(((const struct fletch_flight_bytes *)result)->bytes == 0, "a new session");
    fletch_flight_release(result);
    const struct fletch_flight_header *header = fletch_flight_stream_header(stream, "set-cookie");
    expect(header != NULL, "a cookie");
    (void)snprintf(cookie, sizeof cookie, "%.*s", (int)strcspn(header->value, ";"),
                   (const char *)header->value);
    expect(status_of(FLETCH_OK, stream) == FLETCH_OK, "a good end");
}

static const struct fletch_flight_session_option *
option_of(const struct fletch_flight_session_options *options, const char *name)
{
    for (size_t i = 0; i < options->option_count; i++)
        if (strcmp(options->options[i].name, name) == 0)
            return &options->options[i];
    return NULL;
}

/* Whether the session has these and, if wanted, one of a number. */
static void expect_options(bool has_number)
{
    const struct fletch_flight_session_options *options =
        act_in_session(FLETCH_FLIGHT_GET_SESSION_OPTIONS, FLETCH_FLIGHT_EMPTY, NULL,
                       FLETCH_FLIGHT_SESSION_OPTIONS);
    const struct fletch_flight_session_option *number = option_of(options, "foolong");
    const struct fletch_flight_session_option *real = option_of(options, "bardouble");
    const struct fletch_flight_session_option *list = option_of(options, "list");
    expect((number != NULL) == has_number &&
               options->option_count == (has_number ? (size_t)3 : (size_t)2),
           "that many options");
    expect(!has_number || (number->type == FLETCH_FLIGHT_OPTION_INT64 && number->integer == -123),
           "a number");
    expect(real != NULL && real->type == FLETCH_FLIGHT_OPTION_DOUBLE && real->real == 456.0,
           "a double");
    expect(list != NULL && list->type == FLETCH_FLIGHT_OPTION_STRINGS && list->string_count == 2 &&
               strcmp(list->strings[1], "b \xE3\x81\xA5") == 0,
           "strings");
    fletch_flight_release(options);
}

static void session_options(void)
{
    const char *const strings[] = {"a", "b \xE3\x81\xA5"};
    const struct fletch_flight_session_option set[] = {
        {.name = "foolong", .type = FLETCH_FLIGHT_OPTION_INT64, .integer = -123},
        {.name = "bardouble", .type = FLETCH_FLIGHT_OPTION_DOUBLE, .real = 456.0},
        {.name = "lol_invalid", .type = FLETCH_FLIGHT_OPTION_STRING, .string = "no"},
        {.name = "bad", .type = FLETCH_FLIGHT_OPTION_STRING, .string = "lol_invalid"},
        {.name = "list",
         .type = FLETCH_FLIGHT_OPTION_STRINGS,
         .strings = strings,
         .string_count = 2}};
    const struct fletch_flight_session_options wanted = {set, 5};
    const struct fletch_flight_session_option unset = {.name = "foolong"};
    const struct fletch_flight_session_options without = {&unset, 1};
    begin_session();
    const struct fletch_flight_session_errors *errors =
        act_in_session(FLETCH_FLIGHT_SET_SESSION_OPTIONS, FLETCH_FLIGHT_SESSION_OPTIONS, &wanted,
                       FLETCH_FLIGHT_SESSION_ERRORS);
    expect(errors->error_count == 2, "two errors");
    for (size_t i = 0; i < 2; i++)
        expect(errors->errors[i].refusal == (strcmp(errors->errors[i].name, "bad") == 0
                                                 ? FLETCH_FLIGHT_SESSION_INVALID_VALUE
                                                 : FLETCH_FLIGHT_SESSION_INVALID_NAME),
               "which they are");
    fletch_flight_release(errors);
    expect_options(true);
    errors = act_in_session(FLETCH_FLIGHT_SET_SESSION_OPTIONS, FLETCH_FLIGHT_SESSION_OPTIONS,
                            &without, FLETCH_FLIGHT_SESSION_ERRORS);
    expect(errors->error_count == 0, "no errors");
    fletch_flight_release(errors);
    expect_options(false);
    const struct fletch_flight_outcome *outcome = act_in_session(
        FLETCH_FLIGHT_CLOSE_SESSION, FLETCH_FLIGHT_EMPTY, NULL, FLETCH_FLIGHT_OUTCOME);
    expect(outcome->status == FLETCH_FLIGHT_CLOSED, "a closed session");
    fletch_flight_release(outcome);
}

/* ---- the base case ---- */

struct batches {
    struct fletch_schema *schema;
    struct fletch_batch *batches[BATCHES_MOST];
    size_t count;
};

static void put(const char *name, const struct batches *batches)
{
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = &name, .path_count = 1};
    const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                        .descriptor = &descriptor};
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    const void *answer;
    interop_check("DoPut", fletch_flight_client_do_put(client, NULL, &stream, &error), &error);
    interop_check("DoPut", fletch_flight_stream_begin(stream, batches->schema, &options, &error),
                  &error);
    for (size_t i = 0; i < batches->count; i++) {
        char number[24];
        (void)snprintf(number, sizeof number, "%zu", i);
        const struct fletch_flight_output output = {.batch = batches->batches[i],
                                                    .app_metadata = interop_text(number)};
        check_answer("a batch", fletch_flight_stream_write(stream, WAIT_NS, &output, &error),
                     &error);
        check_answer("its answer",
                     fletch_flight_stream_receive(stream, FLETCH_FLIGHT_PUT_RESULT, WAIT_NS,
                                                  &answer, &error),
                     &error);
        expect(interop_is(*(const struct fletch_flight_bytes *)answer, number), "its number");
        fletch_flight_release(answer);
    }
    fletch_flight_stream_done_writing(stream);
    expect(status_of(FLETCH_OK, stream) == FLETCH_OK, "a good end");
}

static void expect_batches(struct fletch_flight_stream *stream, const struct batches *wanted)
{
    struct fletch_flight_data data;
    struct fletch_error error;
    for (size_t i = 0; i < wanted->count; i++) {
        char number[24];
        (void)snprintf(number, sizeof number, "%zu", i);
        do /* Go sends the metadata of the first batch with the schema too */
            check_answer("a batch", fletch_flight_stream_read(stream, WAIT_NS, &data, &error),
                         &error);
        while (data.batch == NULL && i == 0);
        expect(data.batch != NULL && are_equal(data.batch, wanted->batches[i]), "the same batch");
        expect(interop_is(data.app_metadata, number), "its number");
        fletch_batch_release(cache, data.batch);
    }
    expect(fletch_flight_stream_read(stream, WAIT_NS, &data, &error) == FLETCH_CLOSED &&
               error.status == FLETCH_OK,
           "no more batches");
}

static void get(const char *name, const struct batches *wanted)
{
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = &name, .path_count = 1};
    const struct fletch_flight_info *info;
    struct fletch_error error;
    interop_check("GetFlightInfo",
                  fletch_flight_client_get_flight_info(client, NULL, &descriptor, &info, &error),
                  &error);
    expect(info->endpoint_count == 1 && info->endpoints[0].location_count == 1,
           "an endpoint with a location");
    struct fletch_flight_stream *stream = open_endpoint(&info->endpoints[0]);
    expect_batches(stream, wanted);
    expect(status_of(FLETCH_OK, stream) == FLETCH_OK, "a good end");
    fletch_flight_release(info);
}

static void base(const char *path)
{
    const struct fletch_ipc_read_options options = {.struct_size = sizeof options, .cache = cache};
    struct batches batches = {.count = 0};
    struct fletch_ipc_reader *reader;
    struct fletch_batch *batch;
    struct fletch_error error;
    interop_check(path, fletch_ipc_reader_open_path(path, &options, &reader, &error), &error);
    batches.schema = fletch_ipc_reader_schema(reader);
    for (;;) {
        interop_check(path, fletch_ipc_reader_next(reader, &batch, &error), &error);
        if (batch == NULL)
            break;
        expect(batches.count < BATCHES_MOST, "fewer batches");
        batches.batches[batches.count++] = batch;
    }
    put(path, &batches);
    get(path, &batches);
    for (size_t i = 0; i < batches.count; i++)
        fletch_batch_release(cache, batches.batches[i]);
    fletch_ipc_reader_close(reader);
}

/* ---- do_exchange:echo, peer ---- */

static struct batches numbered_batches(const size_t *counts, size_t batch_count)
{
    struct batches made = {.schema = interop_schema("number", "I"), .count = batch_count};
    uint32_t first = 0;
    for (size_t i = 0; i < batch_count; i++) {
        uint32_t *values = malloc((counts[i] + 1) * sizeof *values);
        expect(values != NULL, "memory");
        for (size_t row = 0; row < counts[i]; row++)
            values[row] = first++;
        made.batches[i] = interop_batch(made.schema, values, counts[i]);
        free(values);
    }
    return made;
}

static void release_batches(struct batches *batches)
{
    for (size_t i = 0; i < batches->count; i++)
        fletch_batch_release(cache, batches->batches[i]);
    fletch_schema_release(batches->schema);
}

/* Each batch is read back before the next is written; the odd ones have no metadata. */
static void exchange(void)
{
    const struct fletch_flight_descriptor descriptor = command("echo");
    struct batches batches = numbered_batches((const size_t[]){10, 0, 7, 2000}, 4);
    struct fletch_flight_stream *stream;
    struct fletch_flight_data data;
    struct fletch_error error;
    interop_check("DoExchange",
                  fletch_flight_client_do_exchange(client, NULL, &descriptor, &stream, &error),
                  &error);
    interop_check("begin", fletch_flight_stream_begin(stream, batches.schema, NULL, &error),
                  &error);
    for (size_t i = 0; i < batches.count; i++) {
        const struct fletch_flight_bytes metadata = interop_text(i % 2 == 0 ? "even" : "");
        const struct fletch_flight_output output = {.batch = batches.batches[i],
                                                    .app_metadata = metadata};
        check_answer("a batch", fletch_flight_stream_write(stream, WAIT_NS, &output, &error),
                     &error);
        check_answer("it back", fletch_flight_stream_read(stream, WAIT_NS, &data, &error), &error);
        expect(data.batch != NULL && are_equal(data.batch, batches.batches[i]), "the batch back");
        expect(interop_is(data.app_metadata, metadata.data), "its metadata back");
        fletch_batch_release(cache, data.batch);
    }
    fletch_flight_stream_done_writing(stream);
    expect(fletch_flight_stream_read(stream, WAIT_NS, &data, &error) == FLETCH_CLOSED,
           "no more batches");
    expect(status_of(FLETCH_OK, stream) == FLETCH_OK, "a good end");
    release_batches(&batches);
}

/* 64 MiB in one batch, whose rows come back in as many as the server likes. */
static void large(void)
{
    struct batches batches = numbered_batches((const size_t[]){ROWS_LARGE}, 1);
    const char *name = "fletching large";
    const struct fletch_flight_endpoint endpoint = {.ticket = interop_text(name)};
    struct fletch_flight_stream *stream;
    struct fletch_flight_data data;
    struct fletch_error error;
    int64_t rows = 0;
    uint64_t sum = 0;
    put(name, &batches);
    stream = open_endpoint(&endpoint);
    while (fletch_flight_stream_read(stream, WAIT_NS, &data, &error) == FLETCH_DONE) {
        rows += fletch_batch_row_count(data.batch);
        sum += fletch_hash_row_sum(data.batch);
        fletch_batch_release(cache, data.batch);
    }
    expect(status_of(FLETCH_OK, stream) == FLETCH_OK, "a good end");
    expect(rows == ROWS_LARGE && sum == fletch_hash_row_sum(batches.batches[0]), "all rows");
    /* A call that is cancelled in its middle, and one that is closed. */
    stream = open_endpoint(&endpoint);
    fletch_flight_stream_cancel(stream);
    expect(status_of(FLETCH_OK, stream) == FLETCH_CANCELLED, "CANCELLED");
    fletch_flight_stream_close(open_endpoint(&endpoint));
    release_batches(&batches);
}

static void peer(void)
{
    struct batches batches = numbered_batches((const size_t[]){17, 0, 2000}, 3);
    const char *none = "none";
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = &none, .path_count = 1};
    const struct fletch_flight_info *info;
    struct fletch_error error;
    put("fletching", &batches);
    get("fletching", &batches);
    expect(fletch_flight_client_get_flight_info(client, NULL, &descriptor, &info, &error) ==
               FLETCH_NOT_FOUND,
           "NOT_FOUND");
    large();
    get("fletching", &batches);
    exchange();
    release_batches(&batches);
}

/* ---- all of them ---- */

static const struct {
    const char *name;
    void (*run)(void);
} scenarios[] = {
    {"app_metadata_flight_info_endpoint", app_metadata},
    {"auth:basic_proto", auth_basic_proto},
    {"do_exchange:echo", exchange},
    {"expiration_time:cancel_flight_info", expiration_cancel},
    {"expiration_time:do_get", expiration_get},
    {"expiration_time:list_actions", expiration_actions},
    {"expiration_time:renew_flight_endpoint", expiration_renew},
    {"location:reuse_connection", reuse_connection},
    {"middleware", middleware},
    {"ordered", ordered},
    {"peer", peer},
    {"poll_flight_info", poll_flight_info},
    {"session_options", session_options},
};

static bool run(const char *scenario)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (strcmp(scenario, scenarios[i].name) == 0) {
            scenarios[i].run();
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    const struct interop_flags flags = interop_flags_parse(argc, argv);
    char location[128];
    struct fletch_error error;
    bool is_known = true;
    (void)snprintf(location, sizeof location, "grpc+tcp://%s:%u", flags.host, flags.port);
    const struct fletch_flight_client_options options = {
        .struct_size = sizeof options, .location = location, .pool = interop_pool()};
    interop_check("a cache", fletch_buffer_cache_open(interop_pool(), &cache, &error), &error);
    interop_check("the client", fletch_flight_client_create(&options, &client, &error), &error);
    if (flags.path != NULL)
        base(flags.path);
    else
        is_known = run(flags.scenario);
    fletch_flight_client_destroy(client);
    fletch_buffer_cache_close(cache);
    if (!is_known)
        (void)fprintf(stderr, "there is no scenario \"%s\", and no -path\n", flags.scenario);
    return is_known ? 0 : 2;
}
