/* A server of Flight for other implementations to talk to: what is put is kept, and can be got.
 *
 *   flight_peer serve [--loop] [--auth] [--unix PATH] [--limit BYTES]
 *
 * says its location; drains on SIGTERM, and says by its status whether all its memory has come
 * back. Flights are named by the first part of a path. */

#include <fletching/flight.h>

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "test_memory.h"

#define SECOND_NS UINT64_C(1000000000)

enum { FLIGHTS_MOST = 256, BATCHES_MOST = 4096, NAME_BYTES = 64 };

struct stored {
    struct fletch_batch *batch;
    char *metadata;
    size_t metadata_bytes;
};

struct flight {
    char name[NAME_BYTES];
    struct fletch_schema *schema;
    struct stored batches[BATCHES_MOST];
    size_t count;
};

struct program {
    struct fletch_flight_server *server;
    pthread_mutex_t mutex; /* of the table; a flight in it does not change */
    struct flight *flights[FLIGHTS_MOST];
    size_t flight_count;
    bool wants_token;
    bool is_on_loop;
    _Atomic unsigned cancelled; /* handlers that were told so */
    _Atomic unsigned running;   /* handlers that hang */
    struct fletch_flight_session_option session;
    char session_name[NAME_BYTES];
};

static volatile sig_atomic_t has_been_told_to_end;
static uint64_t patience_ns = FLETCH_NO_TIMEOUT; /* of handlers; 0 on the loop */

static void told_to_end(int number)
{
    (void)number;
    has_been_told_to_end = 1;
}

/* ---- flights ---- */

static struct flight *find(struct program *program, const char *name, size_t bytes)
{
    struct flight *found = NULL;
    pthread_mutex_lock(&program->mutex);
    for (size_t i = 0; i < program->flight_count; i++)
        if (strlen(program->flights[i]->name) == bytes &&
            memcmp(program->flights[i]->name, name, bytes) == 0)
            found = program->flights[i];
    pthread_mutex_unlock(&program->mutex);
    return found;
}

/* NULL: there are not so many. */
static const struct flight *flight_at(struct program *program, size_t index)
{
    pthread_mutex_lock(&program->mutex);
    const struct flight *flight = index < program->flight_count ? program->flights[index] : NULL;
    pthread_mutex_unlock(&program->mutex);
    return flight;
}

static const char *location_of(struct program *program)
{
    pthread_mutex_lock(&program->mutex);
    const char *location = fletch_flight_server_location(program->server);
    pthread_mutex_unlock(&program->mutex);
    return location;
}

static void drop(struct flight *flight)
{
    for (size_t i = 0; i < flight->count; i++) {
        fletch_batch_release(NULL, flight->batches[i].batch);
        free(flight->batches[i].metadata);
    }
    fletch_schema_release(flight->schema);
    free(flight);
}

static bool keep(struct program *program, struct flight *flight)
{
    pthread_mutex_lock(&program->mutex);
    bool has_room = program->flight_count < FLIGHTS_MOST;
    if (has_room)
        program->flights[program->flight_count++] = flight;
    pthread_mutex_unlock(&program->mutex);
    return has_room;
}

static struct flight *make(const char *name)
{
    struct flight *flight = calloc(1, sizeof *flight);
    if (flight == NULL)
        abort();
    (void)snprintf(flight->name, sizeof flight->name, "%s", name);
    return flight;
}

/* Takes the batch. */
static bool add(struct flight *flight, const struct fletch_flight_data *data)
{
    struct stored *stored = &flight->batches[flight->count];
    if (flight->count == BATCHES_MOST) {
        fletch_batch_release(NULL, data->batch);
        return false;
    }
    stored->batch = data->batch;
    stored->metadata_bytes = data->app_metadata.bytes;
    stored->metadata = malloc(data->app_metadata.bytes + 1);
    if (stored->metadata == NULL)
        abort();
    if (data->app_metadata.bytes != 0)
        memcpy(stored->metadata, data->app_metadata.data, data->app_metadata.bytes);
    flight->count++;
    return true;
}

static struct fletch_flight_output output_of(const struct stored *stored)
{
    return (struct fletch_flight_output){
        .batch = stored->batch, .app_metadata = {stored->metadata, stored->metadata_bytes}};
}

/* ---- walks: what goes on step by step, on a worker or on the loop ---- */

enum walk_kind { WALK_GET, WALK_PUT, WALK_ECHO, WALK_PUSH };

struct walk {
    struct program *program;
    enum walk_kind kind;
    struct flight *flight; /* GET, PUSH: whose; PUT: being made */
    size_t next;
    bool is_endless;
    bool is_slow;
    bool fails;
    bool has_begun;
    bool has_data; /* to be echoed, or acknowledged */
    struct fletch_flight_data data;
    char metadata[4096];
    uint64_t timeout_ns;
};

static enum fletch_answer end_walk(enum fletch_status status, struct fletch_error *error,
                                   const char *text)
{
    (void)fletch_error_set(error, status, "%s", text);
    return FLETCH_CLOSED;
}

static enum fletch_answer step_get(struct walk *walk, struct fletch_flight_stream *stream,
                                   struct fletch_error *error)
{
    const struct flight *flight = walk->flight;
    if (!walk->has_begun) {
        walk->has_begun = true;
        return fletch_flight_stream_begin(stream, flight->schema, NULL, error) == FLETCH_OK
                   ? FLETCH_DONE
                   : FLETCH_CLOSED;
    }
    if (walk->fails && walk->next == 1)
        return end_walk(FLETCH_DATA_LOSS, error, "the second batch is lost");
    if (walk->is_endless && walk->next == flight->count)
        walk->next = 0;
    if (walk->next == flight->count)
        return end_walk(FLETCH_OK, error, "");
    const struct fletch_flight_output output = output_of(&flight->batches[walk->next]);
    enum fletch_answer answer =
        fletch_flight_stream_write(stream, walk->timeout_ns, &output, error);
    if (answer == FLETCH_DONE)
        walk->next++;
    if (walk->is_slow)
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return answer == FLETCH_FULL ? FLETCH_EMPTY : answer;
}

/* Reads one item, whose metadata is kept until it is answered. */
static enum fletch_answer read_one(struct walk *walk, struct fletch_flight_stream *stream,
                                   struct fletch_error *error)
{
    enum fletch_answer answer =
        fletch_flight_stream_read(stream, walk->timeout_ns, &walk->data, error);
    if (answer != FLETCH_DONE)
        return answer;
    if (walk->data.app_metadata.bytes > sizeof walk->metadata)
        return end_walk(FLETCH_OUT_OF_RANGE, error, "so much metadata was not expected");
    if (walk->data.app_metadata.bytes != 0)
        memcpy(walk->metadata, walk->data.app_metadata.data, walk->data.app_metadata.bytes);
    walk->data.app_metadata.data = walk->metadata;
    walk->has_data = true;
    return FLETCH_DONE;
}

static enum fletch_answer end_put(struct walk *walk, struct fletch_flight_stream *stream,
                                  struct fletch_error *error)
{
    struct fletch_schema *schema = NULL;
    if (error->status != FLETCH_OK)
        return FLETCH_CLOSED;
    if (fletch_flight_stream_schema(stream, 0, &schema, NULL) == FLETCH_DONE)
        walk->flight->schema = fletch_schema_acquire(schema);
    if (schema == NULL)
        return end_walk(FLETCH_INVALID_ARGUMENT, error, "a put without a schema");
    if (!keep(walk->program, walk->flight))
        return end_walk(FLETCH_RESOURCE_EXHAUSTED, error, "too many flights");
    walk->flight = NULL;
    return FLETCH_CLOSED;
}

/* Acknowledges each batch with its own metadata. */
static enum fletch_answer step_put(struct walk *walk, struct fletch_flight_stream *stream,
                                   struct fletch_error *error)
{
    if (!walk->has_data) {
        enum fletch_answer answer = read_one(walk, stream, error);
        return answer == FLETCH_CLOSED ? end_put(walk, stream, error) : answer;
    }
    enum fletch_answer answer = fletch_flight_stream_send(
        stream, FLETCH_FLIGHT_PUT_RESULT, &walk->data.app_metadata, walk->timeout_ns, error);
    if (answer != FLETCH_DONE)
        return answer == FLETCH_FULL ? FLETCH_EMPTY : answer;
    walk->has_data = false;
    if (walk->data.batch != NULL && !add(walk->flight, &walk->data))
        return end_walk(FLETCH_RESOURCE_EXHAUSTED, error, "too many batches");
    return FLETCH_DONE;
}

static enum fletch_answer step_echo(struct walk *walk, struct fletch_flight_stream *stream,
                                    struct fletch_error *error)
{
    struct fletch_schema *schema;
    if (!walk->has_data)
        return read_one(walk, stream, error);
    if (walk->data.batch != NULL && !walk->has_begun) {
        walk->has_begun = true;
        if (fletch_flight_stream_schema(stream, 0, &schema, error) != FLETCH_DONE ||
            fletch_flight_stream_begin(stream, schema, NULL, error) != FLETCH_OK)
            return FLETCH_CLOSED;
    }
    const struct fletch_flight_output output = {.batch = walk->data.batch,
                                                .app_metadata = walk->data.app_metadata};
    enum fletch_answer answer =
        fletch_flight_stream_write(stream, walk->timeout_ns, &output, error);
    if (answer == FLETCH_FULL)
        return FLETCH_EMPTY;
    walk->has_data = false;
    fletch_batch_release(NULL, walk->data.batch);
    return answer;
}

/* Writes all that it has before it reads, and then reads to the end. */
static enum fletch_answer step_push(struct walk *walk, struct fletch_flight_stream *stream,
                                    struct fletch_error *error)
{
    if (!walk->has_begun || walk->next < walk->flight->count)
        return step_get(walk, stream, error);
    enum fletch_answer answer = read_one(walk, stream, error);
    if (answer == FLETCH_DONE && walk->data.batch != NULL)
        fletch_batch_release(NULL, walk->data.batch);
    walk->has_data = false;
    return answer;
}

static enum fletch_answer step(void *context, struct fletch_flight_stream *stream,
                               struct fletch_error *error)
{
    struct walk *walk = context;
    switch (walk->kind) {
    case WALK_GET:
        return step_get(walk, stream, error);
    case WALK_PUT:
        return step_put(walk, stream, error);
    case WALK_ECHO:
        return step_echo(walk, stream, error);
    case WALK_PUSH:
        return step_push(walk, stream, error);
    }
    return FLETCH_CLOSED;
}

static void walk_ended(void *context)
{
    struct walk *walk = context;
    if (walk->has_data)
        fletch_batch_release(NULL, walk->data.batch);
    if (walk->kind == WALK_PUT && walk->flight != NULL)
        drop(walk->flight);
    free(walk);
}

/* Goes the walk, now or, on the loop, later. */
static enum fletch_status start(struct program *program, struct fletch_flight_stream *stream,
                                const struct walk *way, struct fletch_error *error)
{
    struct walk *walk = malloc(sizeof *walk);
    if (walk == NULL)
        abort();
    *walk = *way;
    walk->program = program;
    const struct fletch_flight_source source = {step, walk_ended, walk};
    if (program->is_on_loop)
        return fletch_flight_stream_pull(stream, &source, error);
    walk->timeout_ns = FLETCH_NO_TIMEOUT;
    while (step(walk, stream, error) != FLETCH_CLOSED)
        continue;
    if (error->status == FLETCH_CANCELLED)
        atomic_fetch_add(&program->cancelled, 1);
    walk_ended(walk);
    return error->status;
}

/* ---- handlers ---- */

static enum fletch_status authenticate(void *user, struct fletch_flight_stream *stream,
                                       const char *method, struct fletch_error *error)
{
    struct program *program = user;
    const struct fletch_flight_header *header = fletch_flight_stream_header(stream, "x-echo");
    const char *token = fletch_flight_bearer_token(stream);
    const struct fletch_flight_header *legacy =
        fletch_flight_stream_header(stream, "auth-token-bin");
    (void)method;
    if (header != NULL) {
        struct fletch_flight_header echoed = *header;
        echoed.name = "x-echoed";
        if (fletch_flight_stream_add_header(stream, &echoed, error) != FLETCH_OK)
            return error->status;
        echoed.name = "x-echoed-at-end";
        if (fletch_flight_stream_add_trailer(stream, &echoed, error) != FLETCH_OK)
            return error->status;
    }
    if (!program->wants_token)
        return FLETCH_OK;
    if (token == NULL && legacy != NULL)
        token = legacy->value;
    if (token == NULL || !fletch_flight_is_equal("token of arrow", token))
        return fletch_error_set(error, FLETCH_UNAUTHENTICATED, "a token was expected");
    return fletch_flight_stream_set_identity(stream, "arrow", error);
}

static enum fletch_status admit(const struct fletch_flight_basic_auth *credentials,
                                struct fletch_error *error)
{
    bool is_name = fletch_flight_is_equal("arrow", credentials->username);
    bool is_password = fletch_flight_is_equal("flight", credentials->password);
    if (is_name && is_password)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_UNAUTHENTICATED, "no such name and password");
}

/* By the header, or by a message with name and password. */
static enum fletch_status handshake(void *user, struct fletch_flight_stream *stream,
                                    struct fletch_error *error)
{
    static const char bearer[] = "Bearer token of arrow";
    const struct fletch_flight_basic_auth *credentials;
    const struct fletch_flight_header header = {"authorization", bearer, sizeof bearer - 1};
    const struct fletch_flight_handshake *request;
    const void *made;
    (void)user;
    if (fletch_flight_stream_header(stream, "authorization") != NULL) {
        enum fletch_status status = fletch_flight_basic_credentials(stream, &credentials, error);
        if (status != FLETCH_OK)
            return status;
        status = admit(credentials, error);
        fletch_flight_release(credentials);
        return status == FLETCH_OK ? fletch_flight_stream_add_header(stream, &header, error)
                                   : status;
    }
    if (fletch_flight_stream_receive(stream, FLETCH_FLIGHT_HANDSHAKE, patience_ns, &made, error) !=
        FLETCH_DONE)
        return fletch_error_set(error, FLETCH_UNAUTHENTICATED, "no message");
    request = made;
    const void *basic = NULL;
    enum fletch_status status =
        fletch_flight_decode(FLETCH_FLIGHT_BASIC_AUTH, request->payload, NULL, &basic, error);
    if (status == FLETCH_OK)
        status = admit(basic, error);
    fletch_flight_release(basic);
    fletch_flight_release(request);
    const struct fletch_flight_handshake answer = {.payload = {"token of arrow", 14}};
    if (status == FLETCH_OK && fletch_flight_stream_send(stream, FLETCH_FLIGHT_HANDSHAKE, &answer,
                                                         0, error) != FLETCH_DONE)
        status = error->status;
    return status;
}

static enum fletch_status send_info(struct program *program, struct fletch_flight_stream *stream,
                                    const struct flight *flight, struct fletch_error *error)
{
    const char *path[] = {flight->name};
    const char *location[] = {location_of(program)};
    const struct fletch_flight_endpoint endpoints[] = {
        {.ticket = {flight->name, strlen(flight->name)},
         .locations = location,
         .location_count = 1,
         .has_expiration = true,
         .expiration = {4102444800, 5000},
         .app_metadata = {"endpoint", 8}},
        {.ticket = {"second", 6}},
    };
    struct fletch_flight_info info = {
        .schema = flight->schema,
        .descriptor = {.type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 1},
        .endpoints = endpoints,
        .endpoint_count = 2,
        .total_bytes = -1,
        .is_ordered = true,
        .app_metadata = {"info", 4},
    };
    for (size_t i = 0; i < flight->count; i++)
        info.total_records += fletch_batch_row_count(flight->batches[i].batch);
    return fletch_flight_answer_status(
        fletch_flight_stream_send(stream, FLETCH_FLIGHT_INFO, &info, patience_ns, error), error);
}

static struct flight *find_described(struct program *program,
                                     const struct fletch_flight_descriptor *descriptor,
                                     struct fletch_error *error)
{
    bool is_path = descriptor->type == FLETCH_FLIGHT_DESCRIPTOR_PATH && descriptor->path_count == 1;
    struct flight *flight =
        is_path ? find(program, descriptor->path[0], strlen(descriptor->path[0])) : NULL;
    if (flight == NULL)
        (void)fletch_error_set(error, FLETCH_NOT_FOUND, "no such flight");
    return flight;
}

static enum fletch_status list_flights(void *user, struct fletch_flight_stream *stream,
                                       const struct fletch_flight_bytes *criteria,
                                       struct fletch_error *error)
{
    struct program *program = user;
    const struct flight *flight;
    for (size_t i = 0; (flight = flight_at(program, i)) != NULL; i++) {
        if (criteria->bytes != 0 && strncmp(flight->name, criteria->data, criteria->bytes) != 0)
            continue;
        enum fletch_status status = send_info(program, stream, flight, error);
        if (status != FLETCH_OK)
            return status;
    }
    return FLETCH_OK;
}

static enum fletch_status get_flight_info(void *user, struct fletch_flight_stream *stream,
                                          const struct fletch_flight_descriptor *descriptor,
                                          struct fletch_error *error)
{
    const struct flight *flight = find_described(user, descriptor, error);
    return flight == NULL ? error->status : send_info(user, stream, flight, error);
}

static enum fletch_status get_schema(void *user, struct fletch_flight_stream *stream,
                                     const struct fletch_flight_descriptor *descriptor,
                                     struct fletch_error *error)
{
    const struct flight *flight = find_described(user, descriptor, error);
    if (flight == NULL)
        return error->status;
    const struct fletch_flight_schema_result result = {.schema = flight->schema};
    return fletch_flight_answer_status(
        fletch_flight_stream_send(stream, FLETCH_FLIGHT_SCHEMA_RESULT, &result, 0, error), error);
}

static enum fletch_status poll_flight_info(void *user, struct fletch_flight_stream *stream,
                                           const struct fletch_flight_descriptor *descriptor,
                                           struct fletch_error *error)
{
    const struct flight *flight = find_described(user, descriptor, error);
    const struct fletch_flight_info info = {.total_records = -1, .total_bytes = -1};
    if (flight == NULL)
        return error->status;
    const struct fletch_flight_poll_info poll = {
        .info = &info,
        .descriptor = *descriptor,
        .has_progress = true,
        .has_expiration = true,
        .expiration = {100, 0},
    };
    return fletch_flight_answer_status(
        fletch_flight_stream_send(stream, FLETCH_FLIGHT_POLL_INFO, &poll, 0, error), error);
}

/* The ticket is the name, behind a word of what shall happen. */
static enum fletch_status do_get(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_bytes *ticket,
                                 struct fletch_error *error)
{
    struct walk walk = {.kind = WALK_GET};
    const char *name = ticket->data;
    if (strncmp(name, "endless ", 8) == 0)
        walk.is_endless = true;
    if (strncmp(name, "slow ", 5) == 0)
        walk.is_slow = true;
    if (strncmp(name, "broken ", 7) == 0)
        walk.fails = true;
    if (strncmp(name, "nothing ", 8) == 0)
        return FLETCH_OK;
    const char *space = strchr(name, ' ');
    if (space != NULL)
        name = space + 1;
    walk.flight = find(user, name, strlen(name));
    if (walk.flight == NULL)
        return fletch_error_set(error, FLETCH_NOT_FOUND, "no such flight");
    return start(user, stream, &walk, error);
}

static enum fletch_status do_put(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_descriptor *descriptor,
                                 struct fletch_error *error)
{
    struct walk walk = {.kind = WALK_PUT};
    if (descriptor->type != FLETCH_FLIGHT_DESCRIPTOR_PATH || descriptor->path_count == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "a path was expected");
    if (strcmp(descriptor->path[0], "refused") == 0)
        return fletch_error_set(error, FLETCH_PERMISSION_DENIED, "no puts here");
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s", descriptor->path[0]);
    walk.flight = make(name);
    enum fletch_status status = start(user, stream, &walk, error);
    if (strncmp(descriptor->path[0], name, sizeof name - 1) != 0)
        return fletch_error_set(error, FLETCH_INTERNAL, "the descriptor has changed meanwhile");
    return status;
}

static enum fletch_status do_exchange(void *user, struct fletch_flight_stream *stream,
                                      const struct fletch_flight_descriptor *descriptor,
                                      struct fletch_error *error)
{
    struct walk walk = {.kind = WALK_ECHO};
    if (descriptor->type == FLETCH_FLIGHT_DESCRIPTOR_PATH) {
        walk.kind = WALK_PUSH;
        walk.flight = find_described(user, descriptor, error);
        if (walk.flight == NULL)
            return error->status;
    }
    return start(user, stream, &walk, error);
}

/* ---- actions ---- */

static enum fletch_status reply(struct fletch_flight_stream *stream, const void *data, size_t bytes,
                                struct fletch_error *error)
{
    const struct fletch_flight_bytes result = {data, bytes};
    return fletch_flight_answer_status(
        fletch_flight_stream_send(stream, FLETCH_FLIGHT_RESULT, &result, patience_ns, error),
        error);
}

static enum fletch_status reply_number(struct fletch_flight_stream *stream, unsigned number,
                                       struct fletch_error *error)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%u", number);
    return reply(stream, text, strlen(text), error);
}

static enum fletch_status reply_encoded(struct fletch_flight_stream *stream,
                                        enum fletch_flight_message kind, const void *message,
                                        struct fletch_error *error)
{
    struct fletch_flight_bytes encoded;
    enum fletch_status status = fletch_flight_encode(kind, message, NULL, &encoded, error);
    if (status != FLETCH_OK)
        return status;
    status = reply(stream, encoded.data, encoded.bytes, error);
    fletch_flight_release(encoded.data);
    return status;
}

/* Fails with the status that the body names by number, with details unless it is a "refusal". */
static enum fletch_status fail(struct fletch_flight_stream *stream,
                               const struct fletch_flight_action *action,
                               struct fletch_error *error)
{
    const struct fletch_flight_end end = {
        .status = (enum fletch_status)atoi(action->body.data),
        .text = "it was to fail \xc3\xbc%",
        .detail = {"de\0tail", strcmp(action->type, "refusal") == 0 ? 0 : 7},
    };
    return fletch_flight_stream_finish(stream, &end, error);
}

/* Until it is cancelled, or past its deadline. */
static enum fletch_status hang(struct program *program, struct fletch_flight_stream *stream,
                               struct fletch_error *error)
{
    (void)fletch_error_set(error, FLETCH_ABORTED, "the client has gone");
    atomic_fetch_add(&program->running, 1);
    while (!fletch_flight_stream_is_over(stream))
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    atomic_fetch_sub(&program->running, 1);
    atomic_fetch_add(&program->cancelled, 1);
    return FLETCH_ABORTED;
}

static enum fletch_status tell_call(struct fletch_flight_stream *stream, struct fletch_error *error)
{
    char text[256];
    uint64_t left_ns = fletch_flight_stream_remaining_ns(stream);
    int bytes = snprintf(text, sizeof text, "%s|%s|%" PRIu64, fletch_flight_stream_peer(stream),
                         fletch_flight_stream_identity(stream),
                         left_ns == FLETCH_NO_TIMEOUT ? 0 : left_ns / 1000000);
    return reply(stream, text, (size_t)bytes, error);
}

static enum fletch_status cancel_info(struct fletch_flight_stream *stream,
                                      const struct fletch_flight_action *action,
                                      struct fletch_error *error)
{
    const void *made = NULL;
    enum fletch_status status =
        fletch_flight_decode(FLETCH_FLIGHT_CANCEL_REQUEST, action->body, NULL, &made, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_flight_info *info = made;
    const struct fletch_flight_outcome outcome = {
        info->endpoint_count == 2 ? FLETCH_FLIGHT_CANCELLED : FLETCH_FLIGHT_NOT_CANCELLABLE};
    fletch_flight_release(made);
    return reply_encoded(stream, FLETCH_FLIGHT_OUTCOME, &outcome, error);
}

static enum fletch_status renew(struct fletch_flight_stream *stream,
                                const struct fletch_flight_action *action,
                                struct fletch_error *error)
{
    const void *made = NULL;
    enum fletch_status status =
        fletch_flight_decode(FLETCH_FLIGHT_RENEW_REQUEST, action->body, NULL, &made, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_flight_endpoint endpoint = *(const struct fletch_flight_endpoint *)made;
    endpoint.expiration.seconds += 10;
    status = reply_encoded(stream, FLETCH_FLIGHT_ENDPOINT, &endpoint, error);
    fletch_flight_release(made);
    return status;
}

static enum fletch_status do_action(void *user, struct fletch_flight_stream *stream,
                                    const struct fletch_flight_action *action,
                                    struct fletch_error *error)
{
    struct program *program = user;
    if (strcmp(action->type, "echo") == 0)
        return reply(stream, action->body.data, action->body.bytes, error);
    if (strcmp(action->type, "twice") == 0)
        return reply(stream, action->body.data, action->body.bytes, error) == FLETCH_OK
                   ? reply(stream, "", 0, error)
                   : error->status;
    if (strcmp(action->type, "fail") == 0 || strcmp(action->type, "refusal") == 0)
        return fail(stream, action, error);
    if (strcmp(action->type, "hang") == 0)
        return hang(program, stream, error);
    if (strcmp(action->type, "call") == 0)
        return tell_call(stream, error);
    if (strcmp(action->type, "cancelled") == 0)
        return reply_number(stream, atomic_load(&program->cancelled), error);
    if (strcmp(action->type, "running") == 0)
        return reply_number(stream, atomic_load(&program->running), error);
    if (strcmp(action->type, FLETCH_FLIGHT_CANCEL_FLIGHT_INFO) == 0)
        return cancel_info(stream, action, error);
    if (strcmp(action->type, FLETCH_FLIGHT_RENEW_FLIGHT_ENDPOINT) == 0)
        return renew(stream, action, error);
    return fletch_error_set(error, FLETCH_UNIMPLEMENTED, "no action '%.100s'", action->type);
}

static enum fletch_status list_actions(void *user, struct fletch_flight_stream *stream,
                                       struct fletch_error *error)
{
    static const struct fletch_flight_action_type types[] = {{"echo", "says it again"},
                                                             {"fail", "fails"}};
    enum fletch_status status = FLETCH_OK;
    (void)user;
    for (size_t i = 0; i < sizeof types / sizeof types[0] && status == FLETCH_OK; i++)
        status =
            fletch_flight_answer_status(fletch_flight_stream_send(stream, FLETCH_FLIGHT_ACTION_TYPE,
                                                                  &types[i], patience_ns, error),
                                        error);
    return status;
}

/* ---- the program ---- */

static void serve(struct program *program, struct fletch_flight_server_options *options)
{
    struct fletch_error error;
    /* Handlers may be called before it returns. */
    pthread_mutex_lock(&program->mutex);
    test_memory_check(fletch_flight_server_create(options, &program->server, &error), &error);
    pthread_mutex_unlock(&program->mutex);
    printf("%s\n", fletch_flight_server_location(program->server));
    fflush(stdout);
    while (!has_been_told_to_end)
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    enum fletch_status status = fletch_flight_server_drain(program->server, SECOND_NS, &error);
    if (status != FLETCH_OK)
        fprintf(stderr, "flight_peer: %s\n", error.message);
    fletch_flight_server_serve(program->server);
    for (size_t i = 0; i < program->flight_count; i++)
        drop(program->flights[i]);
    fletch_flight_server_destroy(program->server);
}

int main(int argc, char **argv)
{
    static const struct fletch_flight_handlers handlers = {
        .struct_size = sizeof handlers,
        .authenticate = authenticate,
        .handshake = handshake,
        .list_flights = list_flights,
        .get_flight_info = get_flight_info,
        .poll_flight_info = poll_flight_info,
        .get_schema = get_schema,
        .do_get = do_get,
        .do_put = do_put,
        .do_exchange = do_exchange,
        .do_action = do_action,
        .list_actions = list_actions,
    };
    struct program program = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct test_memory memory = test_memory_begin("peer");
    char location[160];
    struct fletch_flight_server_options options = {
        .struct_size = sizeof options,
        .handlers = &handlers,
        .user = &program,
        .pool = memory.pool,
        .account = memory.account,
        .loop_count = 2,
        .validation = FLETCH_VALIDATION_FULL,
    };
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--loop") == 0)
            program.is_on_loop = true, patience_ns = 0;
        else if (strcmp(argv[i], "--auth") == 0)
            program.wants_token = true;
        else if (strcmp(argv[i], "--limit") == 0)
            options.message_limit_bytes = (size_t)atol(argv[++i]);
        else if (strcmp(argv[i], "--unix") == 0)
            (void)snprintf(location, sizeof location, "grpc+unix://%s", argv[++i]),
                options.location = location;
    }
    options.run_mode = program.is_on_loop ? FLETCH_FLIGHT_ON_LOOP : FLETCH_FLIGHT_ON_WORKER;
    signal(SIGTERM, told_to_end);
    serve(&program, &options);
    test_memory_end(&memory);
    return 0;
}
