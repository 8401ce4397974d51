/* Our Flight as an end of bench_flight: the server's handlers on its loops, the client's streams
 * read and written by the thread that began them. */

#include <fletching/fletching.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc_end.h"

#define SOURCE_BYTES ((size_t)64 << 20)

static void stop(const char *what, const struct fletch_error *error)
{
    (void)fprintf(stderr, "%s: %s\n", what, error == NULL ? "failed" : error->message);
    exit(1);
}

/* ---- batches of the source ---- */

/* All that go through the source once, as many as have `bytes` bytes each. */
struct batches {
    size_t bytes;
    size_t count;
    struct fletch_schema *schema;
    struct fletch_batch *batches[];
};

/* What the C data interface needs of a batch, kept until the program ends. */
struct described {
    const void *buffers[2];
    struct ArrowArray child;
};

static void release_nothing(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_no_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static struct fletch_schema *make_schema(void)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct ArrowSchema children[GRPC_END_COLUMNS];
    struct ArrowSchema *pointers[GRPC_END_COLUMNS];
    struct fletch_schema *schema;
    struct fletch_error error;
    for (int i = 0; i < GRPC_END_COLUMNS; i++) {
        children[i] =
            (struct ArrowSchema){.format = "l", .name = names[i], .release = release_no_schema};
        pointers[i] = &children[i];
    }
    struct ArrowSchema whole = {.format = "+s",
                                .n_children = GRPC_END_COLUMNS,
                                .children = pointers,
                                .release = release_no_schema};
    if (fletch_schema_import(&whole, NULL, &schema, &error) != FLETCH_OK)
        stop("the schema", &error);
    return schema;
}

static struct fletch_batch *make_batch(struct fletch_schema *schema,
                                       struct fletch_buffer_cache *cache, uint64_t index,
                                       size_t bytes)
{
    const struct fletch_import_options options = {.struct_size = sizeof options, .cache = cache};
    const char *data = grpc_end_source(index, bytes);
    const size_t column_bytes = bytes / GRPC_END_COLUMNS;
    static const void *no_buffers[1];
    struct described *described = calloc(GRPC_END_COLUMNS, sizeof *described);
    struct ArrowArray **children = calloc(GRPC_END_COLUMNS, sizeof *children);
    struct fletch_batch *batch;
    struct fletch_error error;
    if (described == NULL || children == NULL)
        stop("memory", NULL);
    for (size_t i = 0; i < GRPC_END_COLUMNS; i++) {
        described[i].buffers[1] = data + i * column_bytes;
        described[i].child =
            (struct ArrowArray){.length = (int64_t)(column_bytes / sizeof(int64_t)),
                                .n_buffers = 2,
                                .buffers = described[i].buffers,
                                .release = release_nothing};
        children[i] = &described[i].child;
    }
    struct ArrowArray array = {.length = described[0].child.length,
                               .n_buffers = 1,
                               .n_children = GRPC_END_COLUMNS,
                               .buffers = no_buffers,
                               .children = children,
                               .release = release_nothing};
    if (fletch_batch_import(&array, schema, &options, &batch, &error) != FLETCH_OK)
        stop("a batch", &error);
    return batch;
}

/* Made once, and kept, by each thread that sends. */
static const struct batches *batches_of(size_t bytes)
{
    static _Thread_local struct batches *made;
    static _Thread_local struct fletch_buffer_pool *pool;
    static _Thread_local struct fletch_buffer_cache *cache;
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    struct fletch_error error;
    if (made != NULL && made->bytes == bytes)
        return made;
    if (cache == NULL && (fletch_buffer_pool_create(&options, NULL, &pool, &error) != FLETCH_OK ||
                          fletch_buffer_cache_open(pool, &cache, &error) != FLETCH_OK))
        stop("the pool", &error);
    const size_t count = SOURCE_BYTES / bytes;
    made = calloc(1, sizeof *made + count * sizeof made->batches[0]);
    if (made == NULL)
        stop("memory", NULL);
    made->bytes = bytes;
    made->count = count;
    made->schema = make_schema();
    for (size_t i = 0; i < count; i++)
        made->batches[i] = make_batch(made->schema, cache, i, bytes);
    return made;
}

/* ---- batches that have come ---- */

/* Looks at a batch as any user does, through the C data interface, and gives it back. */
static bool take_batch(struct fletch_batch *batch, struct fletch_buffer_cache *cache, size_t bytes,
                       uint64_t index)
{
    struct ArrowArray array;
    struct fletch_error error;
    if (fletch_batch_export(batch, cache, &array, &error) != FLETCH_OK)
        stop("a batch", &error);
    const bool is_right =
        array.n_children == GRPC_END_COLUMNS &&
        (size_t)array.length * GRPC_END_COLUMNS * sizeof(int64_t) == bytes &&
        grpc_end_columns_are_right(array.children[0]->buffers[1],
                                   array.children[GRPC_END_COLUMNS - 1]->buffers[1], bytes, index);
    array.release(&array);
    fletch_batch_release(cache, batch);
    return is_right;
}

static bool read_words(struct fletch_flight_bytes bytes, struct grpc_end_down *out_wanted)
{
    if (bytes.bytes != sizeof *out_wanted)
        return false;
    memcpy(out_wanted, bytes.data, sizeof *out_wanted);
    return true;
}

/* ---- server ---- */

/* A call that goes on, and where it stands. */
struct under_way {
    struct grpc_end_down wanted;
    const struct batches *batches;
    struct fletch_buffer_cache *cache;
    uint64_t done;
};

static void end_call(void *context)
{
    struct under_way *call = context;
    fletch_buffer_cache_close(call->cache);
    free(call);
}

static enum fletch_status
go_on(struct fletch_flight_stream *stream, const struct fletch_flight_bytes *words,
      enum fletch_answer (*step)(void *context, struct fletch_flight_stream *stream,
                                 struct fletch_error *error),
      struct under_way **out_call, struct fletch_error *error)
{
    struct under_way *call = calloc(1, sizeof *call);
    if (call == NULL || !read_words(*words, &call->wanted))
        stop("a request", NULL);
    const struct fletch_flight_source source = {.step = step, .ended = end_call, .context = call};
    *out_call = call;
    return fletch_flight_stream_pull(stream, &source, error);
}

static enum fletch_answer send_next(void *context, struct fletch_flight_stream *stream,
                                    struct fletch_error *error)
{
    struct under_way *call = context;
    while (call->done < call->wanted.count) {
        const struct fletch_flight_output output = {
            .batch = call->batches->batches[call->done % call->batches->count]};
        const enum fletch_answer answer = fletch_flight_stream_write(stream, 0, &output, error);
        if (answer != FLETCH_DONE)
            return answer == FLETCH_FULL ? FLETCH_EMPTY : answer;
        call->done++;
    }
    return FLETCH_CLOSED;
}

static enum fletch_status get(void *user, struct fletch_flight_stream *stream,
                              const struct fletch_flight_bytes *ticket, struct fletch_error *error)
{
    struct under_way *call;
    (void)user;
    enum fletch_status status = go_on(stream, ticket, send_next, &call, error);
    if (status != FLETCH_OK)
        return status;
    call->batches = batches_of(call->wanted.bytes);
    return fletch_flight_stream_begin(stream, call->batches->schema, NULL, error);
}

static enum fletch_answer take_next(void *context, struct fletch_flight_stream *stream,
                                    struct fletch_error *error)
{
    struct under_way *call = context;
    struct fletch_flight_data data;
    enum fletch_answer answer;
    while ((answer = fletch_flight_stream_read(stream, 0, &data, error)) == FLETCH_DONE)
        if (!take_batch(data.batch, call->cache, call->wanted.bytes, call->done++))
            stop("a batch", NULL);
    const struct fletch_flight_bytes all = {"ok", 2};
    if (answer == FLETCH_CLOSED && error->status == FLETCH_OK &&
        (call->done != call->wanted.count ||
         fletch_flight_stream_send(stream, FLETCH_FLIGHT_PUT_RESULT, &all, 0, error) !=
             FLETCH_DONE))
        stop("the end of a put", NULL);
    return answer;
}

static enum fletch_status put(void *user, struct fletch_flight_stream *stream,
                              const struct fletch_flight_descriptor *descriptor,
                              struct fletch_error *error)
{
    struct under_way *call;
    enum fletch_status status = go_on(stream, &descriptor->command, take_next, &call, error);
    if (status == FLETCH_OK)
        status = fletch_buffer_cache_open(user, &call->cache, error);
    return status;
}

static enum fletch_status act(void *user, struct fletch_flight_stream *stream,
                              const struct fletch_flight_action *action, struct fletch_error *error)
{
    (void)user;
    return fletch_flight_stream_send(stream, FLETCH_FLIGHT_RESULT, &action->body, 0, error) ==
                   FLETCH_DONE
               ? FLETCH_OK
               : error->status;
}

static uint64_t spin_of(const char *text)
{
    const long long spin = text == NULL ? 0 : atoll(text);
    return spin < 0 ? FLETCH_OFF : (uint64_t)spin;
}

static int serve(const char *spin)
{
    const struct fletch_buffer_pool_options pool_options = {.struct_size = sizeof pool_options};
    const struct fletch_flight_handlers handlers = {
        .struct_size = sizeof handlers, .do_get = get, .do_put = put, .do_action = act};
    struct fletch_flight_server_options options = {.struct_size = sizeof options,
                                                   .handlers = &handlers,
                                                   .run_mode = FLETCH_FLIGHT_ON_LOOP,
                                                   .peer_message_bytes = SIZE_MAX,
                                                   .spin_ns = spin_of(spin)};
    struct fletch_flight_server *server;
    struct fletch_error error;
    if (fletch_buffer_pool_create(&pool_options, NULL, &options.pool, &error) != FLETCH_OK)
        stop("the pool", &error);
    options.user = options.pool;
    (void)grpc_end_source(0, SOURCE_BYTES);
    if (fletch_flight_server_create(&options, &server, &error) != FLETCH_OK)
        stop("the server", &error);
    grpc_end_say_port(fletch_flight_server_port(server));
    fletch_flight_server_serve(server);
    return 0;
}

/* ---- client ---- */

struct client {
    struct fletch_flight_client *client;
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
};

/* Waits for the end, which is to be a good one. */
static bool ended_well(struct fletch_flight_stream *stream)
{
    struct fletch_flight_end end;
    struct fletch_error error;
    const bool is_good =
        fletch_flight_stream_end(stream, FLETCH_NO_TIMEOUT, &end, &error) == FLETCH_DONE &&
        end.status == FLETCH_OK;
    fletch_flight_stream_close(stream);
    return is_good;
}

static bool stream(void *context, const struct grpc_end_down *wanted)
{
    struct client *client = context;
    const struct fletch_flight_bytes ticket = {wanted, sizeof *wanted};
    struct fletch_flight_stream *call;
    struct fletch_flight_data data;
    struct fletch_error error;
    uint64_t seen = 0;
    if (fletch_flight_client_do_get(client->client, NULL, &ticket, &call, &error) != FLETCH_OK)
        stop("DoGet", &error);
    while (fletch_flight_stream_read(call, FLETCH_NO_TIMEOUT, &data, &error) == FLETCH_DONE)
        if (!take_batch(data.batch, client->cache, wanted->bytes, seen++))
            return false;
    return ended_well(call) && seen == wanted->count;
}

static bool put_all(void *context, const struct grpc_end_down *wanted)
{
    struct client *client = context;
    const struct batches *batches = batches_of(wanted->bytes);
    const struct fletch_flight_descriptor descriptor = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                                                        .command = {wanted, sizeof *wanted}};
    const struct fletch_flight_write_options options = {
        .struct_size = sizeof options, .descriptor = &descriptor, .message_limit_bytes = SIZE_MAX};
    struct fletch_flight_stream *call;
    struct fletch_error error;
    const void *answer;
    if (fletch_flight_client_do_put(client->client, NULL, &call, &error) != FLETCH_OK ||
        fletch_flight_stream_begin(call, batches->schema, &options, &error) != FLETCH_OK)
        stop("DoPut", &error);
    for (uint64_t i = 0; i < wanted->count; i++) {
        const struct fletch_flight_output output = {.batch = batches->batches[i % batches->count]};
        if (fletch_flight_stream_write(call, FLETCH_NO_TIMEOUT, &output, &error) != FLETCH_DONE)
            stop("a write", &error);
    }
    fletch_flight_stream_done_writing(call);
    if (fletch_flight_stream_receive(call, FLETCH_FLIGHT_PUT_RESULT, FLETCH_NO_TIMEOUT, &answer,
                                     &error) != FLETCH_DONE)
        stop("the answer", &error);
    const struct fletch_flight_bytes *text = answer;
    const bool is_right = text->bytes == 2 && memcmp(text->data, "ok", 2) == 0;
    fletch_flight_release(answer);
    return ended_well(call) && is_right;
}

static bool unary(void *context, size_t bytes)
{
    static const char small[GRPC_END_SMALL];
    struct client *client = context;
    const struct fletch_flight_action action = {"echo", {small, bytes}};
    struct fletch_flight_stream *call;
    struct fletch_error error;
    const void *answer;
    if (fletch_flight_client_do_action(client->client, NULL, &action, &call, &error) != FLETCH_OK ||
        fletch_flight_stream_receive(call, FLETCH_FLIGHT_RESULT, FLETCH_NO_TIMEOUT, &answer,
                                     &error) != FLETCH_DONE)
        stop("DoAction", &error);
    const bool is_right = ((const struct fletch_flight_bytes *)answer)->bytes == bytes;
    fletch_flight_release(answer);
    return ended_well(call) && is_right;
}

static void client_open(struct client *client, const char *port, const char *spin)
{
    const struct fletch_buffer_pool_options pool_options = {.struct_size = sizeof pool_options};
    char location[64];
    struct fletch_error error;
    (void)snprintf(location, sizeof location, "grpc://127.0.0.1:%s", port);
    if (fletch_buffer_pool_create(&pool_options, NULL, &client->pool, &error) != FLETCH_OK ||
        fletch_buffer_cache_open(client->pool, &client->cache, &error) != FLETCH_OK)
        stop("the pool", &error);
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .location = location,
                                                         .pool = client->pool,
                                                         .spin_ns = spin_of(spin)};
    if (fletch_flight_client_create(&options, &client->client, &error) != FLETCH_OK)
        stop("the client", &error);
}

/* The second of two. */
struct second {
    struct client client;
    struct grpc_end_down wanted;
    bool is_right;
};

static struct second second;

static void *run_second(void *context)
{
    struct second *run = context;
    run->is_right = stream(&run->client, &run->wanted);
    return NULL;
}

static bool two(void *context, const struct grpc_end_down *wanted)
{
    pthread_t thread;
    second.wanted = *wanted;
    if (pthread_create(&thread, NULL, run_second, &second) != 0)
        stop("a thread", NULL);
    const bool is_right = stream(context, wanted);
    (void)pthread_join(thread, NULL);
    return is_right && second.is_right;
}

static int call(const char *port, const char *spin)
{
    struct client client;
    const struct grpc_end_client calls = {
        .stream = stream, .unary = unary, .put = put_all, .two = two, .context = &client};
    client_open(&client, port, spin);
    client_open(&second.client, port, spin);
    return grpc_end_obey(&calls);
}

int main(int argc, char **argv)
{
    grpc_end_begin();
    if (argc >= 2 && strcmp(argv[1], "serve") == 0)
        return serve(argc > 2 ? argv[2] : NULL);
    if (argc >= 3 && strcmp(argv[1], "call") == 0)
        return call(argv[2], argc > 3 ? argv[3] : NULL);
    (void)fprintf(stderr, "usage: %s serve [SPIN] | call PORT [SPIN]\n", argv[0]);
    return 2;
}
