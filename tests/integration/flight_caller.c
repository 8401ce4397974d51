/* A client of Flight for servers of other implementations: makes the calls of one command and says
 * what came.
 *
 *   flight_caller LOCATION COMMAND [ARGUMENT...]
 *
 * What fails is told as "error STATUS: text". Its own status says whether all its memory has come
 * back. */

#include <fletching/flight.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fletching/arrow.h>

#include "test_memory.h"

#define MS_NS UINT64_C(1000000)

enum { STREAMS_MOST = 128, BATCHES_MOST = 64, TEXT_BYTES = 64 };

struct caller {
    struct fletch_flight_client *client;
    struct fletch_flight_call_options call; /* of every call */
    int argument_count;
    char **arguments; /* behind the command */
};

static struct fletch_buffer_cache *cache; /* of this thread */

static void say_error(const struct fletch_error *error)
{
    printf("error %s: %s\n", fletch_status_name(error->status), error->message);
    fflush(stdout);
}

/* Whether the call was begun; else says why not. */
static bool is_ok(enum fletch_status status, const struct fletch_error *error)
{
    if (status != FLETCH_OK)
        say_error(error);
    return status == FLETCH_OK;
}

static const char *argument(const struct caller *caller, int index)
{
    if (index >= caller->argument_count) {
        fprintf(stderr, "flight_caller: too few arguments\n");
        exit(2);
    }
    return caller->arguments[index];
}

static struct fletch_flight_bytes bytes_of(const char *text)
{
    return (struct fletch_flight_bytes){text, strlen(text)};
}

static void say_bytes(const char *what, const struct fletch_flight_bytes *bytes)
{
    printf("%s %.*s\n", what, (int)bytes->bytes,
           bytes->bytes == 0 ? "" : (const char *)bytes->data);
}

/* The end of a stream, which is closed. */
static void say_end(struct fletch_flight_stream *stream)
{
    struct fletch_flight_end end;
    if (fletch_flight_stream_end(stream, FLETCH_NO_TIMEOUT, &end, NULL) != FLETCH_DONE)
        printf("no end\n");
    else if (end.status != FLETCH_OK)
        printf("end %s: %s (%zu bytes of detail)\n", fletch_status_name(end.status), end.text,
               end.detail.bytes);
    else
        printf("end OK\n");
    fletch_flight_stream_close(stream);
}

/* ---- data ---- */

/* Rows, and the sum of the first column, of int64. */
static int64_t sum_of(struct fletch_batch *batch, int64_t *rows)
{
    struct ArrowArray array;
    struct fletch_error error;
    int64_t sum = 0;
    if (!is_ok(fletch_batch_export(batch, cache, &array, &error), &error))
        exit(1);
    const struct ArrowArray *column = array.children[0];
    const int64_t *values = column->buffers[1];
    for (int64_t i = 0; i < array.length; i++)
        sum += values[array.offset + column->offset + i];
    *rows += array.length;
    array.release(&array);
    return sum;
}

/* Reads up to `most` batches, and says what they were. False: there is nothing more. */
static bool say_data(struct fletch_flight_stream *stream, int most)
{
    struct fletch_flight_data data;
    struct fletch_error error = {.status = FLETCH_OK};
    int64_t rows = 0, sum = 0;
    int batches = 0, metadata = 0;
    bool goes_on = true;
    while (goes_on && batches < most) {
        goes_on =
            fletch_flight_stream_read(stream, FLETCH_NO_TIMEOUT, &data, &error) == FLETCH_DONE;
        if (!goes_on)
            break;
        metadata += data.app_metadata.bytes != 0;
        if (data.batch == NULL)
            continue;
        batches++;
        sum += sum_of(data.batch, &rows);
        fletch_batch_release(cache, data.batch);
    }
    printf("data %d batches %" PRId64 " rows %" PRId64 " sum %d metadata\n", batches, rows, sum,
           metadata);
    fflush(stdout);
    if (!goes_on && error.status != FLETCH_OK)
        say_error(&error);
    return goes_on;
}

static struct fletch_flight_stream *begin_get(struct caller *caller, const char *ticket)
{
    const struct fletch_flight_bytes bytes = bytes_of(ticket);
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    return is_ok(
               fletch_flight_client_do_get(caller->client, &caller->call, &bytes, &stream, &error),
               &error)
               ? stream
               : NULL;
}

static void get(struct caller *caller)
{
    struct fletch_flight_stream *stream = begin_get(caller, argument(caller, 0));
    struct fletch_schema *schema;
    if (stream == NULL)
        return;
    if (fletch_flight_stream_schema(stream, FLETCH_NO_TIMEOUT, &schema, NULL) == FLETCH_DONE)
        printf("schema %zu columns\n", fletch_schema_column_count(schema));
    (void)say_data(stream, INT32_MAX);
    say_end(stream);
}

struct kept {
    struct fletch_schema *schema;
    struct fletch_batch *batches[BATCHES_MOST];
    size_t count;
};

/* Gets a flight, to be put elsewhere. */
static bool keep(struct caller *caller, const char *ticket, struct kept *kept)
{
    struct fletch_flight_stream *stream = begin_get(caller, ticket);
    struct fletch_flight_data data;
    struct fletch_error error = {.status = FLETCH_OK};
    *kept = (struct kept){.count = 0};
    if (stream == NULL)
        return false;
    while (kept->count < BATCHES_MOST &&
           fletch_flight_stream_read(stream, FLETCH_NO_TIMEOUT, &data, &error) == FLETCH_DONE)
        kept->batches[kept->count++] = data.batch;
    if (fletch_flight_stream_schema(stream, 0, &kept->schema, NULL) == FLETCH_DONE)
        kept->schema = fletch_schema_acquire(kept->schema);
    fletch_flight_stream_close(stream);
    if (error.status != FLETCH_OK)
        say_error(&error);
    return error.status == FLETCH_OK;
}

static void let_go(struct kept *kept)
{
    for (size_t i = 0; i < kept->count; i++)
        fletch_batch_release(cache, kept->batches[i]);
    fletch_schema_release(kept->schema);
}

/* Takes the acknowledgements that are there, or waits for one. */
static int read_acks(struct fletch_flight_stream *stream, uint64_t timeout_ns)
{
    const void *message;
    int acks = 0;
    while (fletch_flight_stream_receive(stream, FLETCH_FLIGHT_PUT_RESULT, timeout_ns, &message,
                                        NULL) == FLETCH_DONE) {
        fletch_flight_release(message);
        acks++;
        timeout_ns = timeout_ns == FLETCH_NO_TIMEOUT ? timeout_ns : 0;
    }
    return acks;
}

/* Writes all; each batch has its number as metadata. */
static bool write_all(struct fletch_flight_stream *stream, const struct kept *kept, int *acks)
{
    struct fletch_error error;
    char text[TEXT_BYTES];
    for (size_t i = 0; i < kept->count; i++) {
        (void)snprintf(text, sizeof text, "%zu", i);
        const struct fletch_flight_output output = {.batch = kept->batches[i],
                                                    .app_metadata = bytes_of(text)};
        if (fletch_flight_stream_write(stream, FLETCH_NO_TIMEOUT, &output, &error) != FLETCH_DONE) {
            say_error(&error);
            return false;
        }
        if (acks != NULL)
            *acks += read_acks(stream, 0);
    }
    return true;
}

/* put FROM TO: gets a flight, and puts it under another name. */
static void put(struct caller *caller)
{
    const char *path[] = {argument(caller, 1)};
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 1};
    const struct fletch_flight_write_options options = {
        .struct_size = sizeof options,
        .descriptor = &descriptor,
        .message_limit_bytes = caller->argument_count > 2 ? (size_t)atol(argument(caller, 2)) : 0};
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    struct kept kept;
    int acks = 0;
    if (keep(caller, argument(caller, 0), &kept) &&
        is_ok(fletch_flight_client_do_put(caller->client, &caller->call, &stream, &error),
              &error)) {
        if (is_ok(fletch_flight_stream_begin(stream, kept.schema, &options, &error), &error))
            (void)write_all(stream, &kept, &acks);
        fletch_flight_stream_done_writing(stream);
        acks += read_acks(stream, FLETCH_NO_TIMEOUT);
        printf("acks %d\n", acks);
        say_end(stream);
    }
    let_go(&kept);
}

/* exchange FROM COMMAND: gets a flight, and sends it through an exchange. */
static void exchange(struct caller *caller)
{
    const struct fletch_flight_descriptor descriptor = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                                                        .command = bytes_of(argument(caller, 1))};
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    struct kept kept;
    if (keep(caller, argument(caller, 0), &kept) &&
        is_ok(fletch_flight_client_do_exchange(caller->client, &caller->call, &descriptor, &stream,
                                               &error),
              &error)) {
        if (is_ok(fletch_flight_stream_begin(stream, kept.schema, NULL, &error), &error))
            (void)write_all(stream, &kept, NULL);
        fletch_flight_stream_done_writing(stream);
        (void)say_data(stream, INT32_MAX);
        say_end(stream);
    }
    let_go(&kept);
}

/* ---- calls with one answer ---- */

static void say_info(const struct fletch_flight_info *info)
{
    printf("info %" PRId64 " records %zu endpoints %zu columns\n", info->total_records,
           info->endpoint_count,
           info->schema == NULL ? 0 : fletch_schema_column_count(info->schema));
    for (size_t i = 0; i < info->endpoint_count; i++) {
        say_bytes("ticket", &info->endpoints[i].ticket);
        for (size_t k = 0; k < info->endpoints[i].location_count; k++)
            printf("location %s\n", info->endpoints[i].locations[k]);
    }
}

static void say_detail(void *context, struct fletch_flight_stream *stream,
                       const struct fletch_flight_end *end)
{
    const struct fletch_flight_header *header = fletch_flight_stream_header(stream, "x-echoed");
    (void)context;
    if (header != NULL)
        printf("header %s\n", (const char *)header->value);
    if (end->detail.bytes != 0)
        say_bytes("detail", &end->detail);
}

static struct fletch_flight_descriptor path_of(const char *const *path)
{
    return (struct fletch_flight_descriptor){
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 1};
}

static const struct fletch_flight_info *ask_info(struct caller *caller)
{
    const char *path[] = {argument(caller, 0)};
    const struct fletch_flight_descriptor descriptor = path_of(path);
    const struct fletch_flight_info *found;
    struct fletch_error error;
    return is_ok(fletch_flight_client_get_flight_info(caller->client, &caller->call, &descriptor,
                                                      &found, &error),
                 &error)
               ? found
               : NULL;
}

static void info(struct caller *caller)
{
    const struct fletch_flight_info *found = ask_info(caller);
    if (found != NULL)
        say_info(found);
    fletch_flight_release(found);
}

static void schema(struct caller *caller)
{
    const char *path[] = {argument(caller, 0)};
    const struct fletch_flight_descriptor descriptor = path_of(path);
    const struct fletch_flight_schema_result *result;
    struct fletch_error error;
    if (!is_ok(fletch_flight_client_get_schema(caller->client, &caller->call, &descriptor, &result,
                                               &error),
               &error))
        return;
    printf("schema %zu columns\n", fletch_schema_column_count(result->schema));
    fletch_flight_release(result);
}

static void poll(struct caller *caller)
{
    const char *path[] = {argument(caller, 0)};
    const struct fletch_flight_descriptor descriptor = path_of(path);
    const struct fletch_flight_poll_info *result;
    struct fletch_error error;
    if (!is_ok(fletch_flight_client_poll_flight_info(caller->client, &caller->call, &descriptor,
                                                     &result, &error),
               &error))
        return;
    printf("poll %d %g\n", result->has_progress, result->progress);
    fletch_flight_release(result);
}

/* ---- calls with several answers ---- */

static void list(struct caller *caller)
{
    const struct fletch_flight_bytes criteria =
        bytes_of(caller->argument_count > 0 ? argument(caller, 0) : "");
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    const void *message;
    if (!is_ok(fletch_flight_client_list_flights(caller->client, &caller->call, &criteria, &stream,
                                                 &error),
               &error))
        return;
    while (fletch_flight_stream_receive(stream, FLETCH_FLIGHT_INFO, FLETCH_NO_TIMEOUT, &message,
                                        &error) == FLETCH_DONE) {
        say_info(message);
        fletch_flight_release(message);
    }
    say_end(stream);
}

static void actions(struct caller *caller)
{
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    const void *message;
    if (!is_ok(fletch_flight_client_list_actions(caller->client, &caller->call, &stream, &error),
               &error))
        return;
    while (fletch_flight_stream_receive(stream, FLETCH_FLIGHT_ACTION_TYPE, FLETCH_NO_TIMEOUT,
                                        &message, &error) == FLETCH_DONE) {
        const struct fletch_flight_action_type *type = message;
        printf("type %s: %s\n", type->type, type->description);
        fletch_flight_release(message);
    }
    say_end(stream);
}

static struct fletch_flight_stream *begin_action(struct caller *caller, const char *type,
                                                 const char *body)
{
    const struct fletch_flight_action action = {.type = type, .body = bytes_of(body)};
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    return is_ok(fletch_flight_client_do_action(caller->client, &caller->call, &action, &stream,
                                                &error),
                 &error)
               ? stream
               : NULL;
}

static void say_results(struct fletch_flight_stream *stream)
{
    const void *message;
    struct fletch_error error;
    while (fletch_flight_stream_receive(stream, FLETCH_FLIGHT_RESULT, FLETCH_NO_TIMEOUT, &message,
                                        &error) == FLETCH_DONE) {
        say_bytes("result", message);
        fletch_flight_release(message);
    }
    fflush(stdout);
}

/* action TYPE BODY */
static void action(struct caller *caller)
{
    struct fletch_flight_stream *stream =
        begin_action(caller, argument(caller, 0), argument(caller, 1));
    if (stream == NULL)
        return;
    say_results(stream);
    const struct fletch_flight_header *header = fletch_flight_stream_header(stream, "x-echoed");
    if (header != NULL)
        printf("header %s\n", (const char *)header->value);
    say_end(stream);
}

/* deadline TYPE: an action that takes longer than its deadline. */
static void deadline(struct caller *caller)
{
    caller->call.timeout_ns = 300 * MS_NS;
    struct fletch_flight_stream *stream = begin_action(caller, argument(caller, 0), "");
    if (stream != NULL)
        say_end(stream);
}

/* ---- ends in the middle ---- */

/* cancel TICKET: of a stream that has no end. */
static void cancel(struct caller *caller)
{
    struct fletch_flight_stream *stream = begin_get(caller, argument(caller, 0));
    if (stream == NULL || !say_data(stream, 1))
        return;
    fletch_flight_stream_cancel(stream);
    while (say_data(stream, 1))
        continue;
    say_end(stream);
}

/* close TICKET NEXT: before anything, after one batch; then gets NEXT. */
static void close_early(struct caller *caller)
{
    for (int most = 0; most < 2; most++) {
        struct fletch_flight_stream *stream = begin_get(caller, argument(caller, 0));
        if (stream != NULL && most > 0)
            (void)say_data(stream, most);
        fletch_flight_stream_close(stream);
    }
    caller->arguments[0] = caller->arguments[1]; /* the connection goes on */
    get(caller);
}

/* many TICKET COUNT: streams at once, on one connection. */
static void many(struct caller *caller)
{
    struct fletch_flight_stream *streams[STREAMS_MOST];
    struct fletch_flight_client_counters counters = {.struct_size = sizeof counters};
    int count = atoi(argument(caller, 1));
    for (int i = 0; i < count && i < STREAMS_MOST; i++)
        streams[i] = begin_get(caller, argument(caller, 0));
    for (int i = 0; i < count && i < STREAMS_MOST; i++) {
        (void)say_data(streams[i], INT32_MAX);
        say_end(streams[i]);
    }
    fletch_flight_client_statistics(caller->client, &counters);
    printf("connections %u ready\n", counters.connections_ready);
}

/* lost TICKET NEXT: reads until the server is gone; then, told to by a line, gets NEXT. */
static void lost(struct caller *caller)
{
    struct fletch_flight_stream *stream = begin_get(caller, argument(caller, 0));
    char line[TEXT_BYTES];
    if (stream == NULL)
        return;
    (void)say_data(stream, 1);
    (void)say_data(stream, INT32_MAX);
    say_end(stream);
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL)
        return;
    caller->call.waits_for_ready = true;
    caller->call.timeout_ns = 20000 * MS_NS;
    caller->arguments[0] = caller->arguments[1];
    get(caller);
}

/* endpoints NAME: gets each endpoint of a flight. */
static void endpoints(struct caller *caller)
{
    const struct fletch_flight_info *found = ask_info(caller);
    for (size_t i = 0; found != NULL && i < found->endpoint_count; i++) {
        struct fletch_flight_stream *stream;
        struct fletch_error error;
        if (!is_ok(fletch_flight_client_do_get_endpoint(caller->client, &caller->call,
                                                        &found->endpoints[i], &stream, &error),
                   &error))
            continue;
        (void)say_data(stream, INT32_MAX);
        say_end(stream);
    }
    fletch_flight_release(found);
}

/* handshake NAME PASSWORD: by a message; then an action with the token. */
static void handshake(struct caller *caller)
{
    const struct fletch_flight_basic_auth auth = {argument(caller, 0), argument(caller, 1)};
    struct fletch_flight_stream *stream;
    struct fletch_flight_bytes payload;
    struct fletch_error error;
    const void *message = NULL;
    if (!is_ok(fletch_flight_encode(FLETCH_FLIGHT_BASIC_AUTH, &auth, NULL, &payload, &error),
               &error))
        return;
    if (is_ok(fletch_flight_client_handshake(caller->client, &caller->call, &stream, &error),
              &error)) {
        const struct fletch_flight_handshake request = {.payload = payload};
        (void)!fletch_flight_stream_send(stream, FLETCH_FLIGHT_HANDSHAKE, &request,
                                         FLETCH_NO_TIMEOUT, NULL);
        fletch_flight_stream_done_writing(stream);
        if (fletch_flight_stream_receive(stream, FLETCH_FLIGHT_HANDSHAKE, FLETCH_NO_TIMEOUT,
                                         &message, &error) == FLETCH_DONE)
            say_bytes("token", &((const struct fletch_flight_handshake *)message)->payload);
        fletch_flight_release(message);
        say_end(stream);
    }
    fletch_flight_release(payload.data);
}

/* ---- the program ---- */

static const struct command {
    const char *name;
    void (*run)(struct caller *caller);
} commands[] = {
    {"get", get},       {"put", put},           {"exchange", exchange},   {"info", info},
    {"schema", schema}, {"poll", poll},         {"list", list},           {"actions", actions},
    {"action", action}, {"deadline", deadline}, {"cancel", cancel},       {"close", close_early},
    {"many", many},     {"lost", lost},         {"endpoints", endpoints}, {"handshake", handshake},
};

static void run(struct caller *caller, const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].run(caller);
            return;
        }
    fprintf(stderr, "flight_caller: no command '%s'\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct fletch_flight_header header = {"x-echo", "said", 4};
    struct test_memory memory = test_memory_begin("caller");
    struct fletch_flight_client_options options = {
        .struct_size = sizeof options,
        .location = argc > 1 ? argv[1] : NULL,
        .pool = memory.pool,
        .account = memory.account,
        .backoff_first_ns = 20 * MS_NS,
        .validation = FLETCH_VALIDATION_FULL,
    };
    struct caller caller = {
        .call = {.struct_size = sizeof caller.call,
                 .headers = &header,
                 .header_count = 1,
                 .ended = say_detail},
        .argument_count = argc - 3,
        .arguments = argv + 3,
    };
    struct fletch_error error;
    if (argc < 3)
        return 2;
    test_memory_check(fletch_buffer_cache_open(memory.pool, &cache, &error), &error);
    test_memory_check(fletch_flight_client_create(&options, &caller.client, &error), &error);
    run(&caller, argv[2]);
    fletch_flight_client_destroy(caller.client);
    fletch_buffer_cache_close(cache);
    test_memory_end(&memory);
    return 0;
}
