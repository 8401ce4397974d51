#include "support/flight_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/random_batches.h"

enum { SECONDS_MOST = 20 };
#define MS_NS UINT64_C(1000000)

/* ---- sources ---- */

enum kind { GET, PUT, ECHO };

struct going {
    struct flight_scene *scene;
    enum kind kind;
    uint32_t next;
    bool has_begun;
    bool has_data;
    struct fletch_flight_data data;
    char metadata[64];
};

static enum fletch_answer step_get(struct going *going, struct fletch_flight_stream *stream,
                                   struct fletch_error *error)
{
    struct flight_scene *scene = going->scene;
    char text[16];
    if (!going->has_begun) {
        /* The schema is alive as long as the batch. */
        struct fletch_schema *schema =
            (struct fletch_schema *)(uintptr_t)fletch_batch_schema(scene->batch);
        going->has_begun = true;
        return fletch_flight_stream_begin(stream, schema, NULL, error) == FLETCH_OK ? FLETCH_DONE
                                                                                    : FLETCH_CLOSED;
    }
    if (going->next == scene->count)
        return FLETCH_CLOSED;
    int bytes = snprintf(text, sizeof text, "%u", (unsigned)going->next);
    const struct fletch_flight_output output = {.batch = scene->batch,
                                                .app_metadata = {text, (size_t)bytes}};
    enum fletch_answer answer = fletch_flight_stream_write(stream, 0, &output, error);
    if (answer != FLETCH_DONE)
        return answer == FLETCH_FULL ? FLETCH_EMPTY : answer;
    going->next++;
    scene->written++;
    return FLETCH_DONE;
}

static enum fletch_answer read_one(struct going *going, struct fletch_flight_stream *stream,
                                   struct fletch_error *error)
{
    enum fletch_answer answer = fletch_flight_stream_read(stream, 0, &going->data, error);
    if (answer != FLETCH_DONE)
        return answer;
    assert_true(going->data.app_metadata.bytes <= sizeof going->metadata);
    if (going->data.app_metadata.bytes != 0)
        memcpy(going->metadata, going->data.app_metadata.data, going->data.app_metadata.bytes);
    going->data.app_metadata.data = going->metadata;
    going->has_data = true;
    going->scene->read += going->data.batch != NULL;
    return FLETCH_DONE;
}

static void let_go(struct going *going)
{
    going->has_data = false;
    fletch_batch_release(going->scene->rpc.pool.cache, going->data.batch);
}

static enum fletch_answer step_put(struct going *going, struct fletch_flight_stream *stream,
                                   struct fletch_error *error)
{
    if (!going->has_data)
        return read_one(going, stream, error);
    enum fletch_answer answer = fletch_flight_stream_send(stream, FLETCH_FLIGHT_PUT_RESULT,
                                                          &going->data.app_metadata, 0, error);
    if (answer == FLETCH_FULL)
        return FLETCH_EMPTY;
    let_go(going);
    return answer;
}

static enum fletch_answer step_echo(struct going *going, struct fletch_flight_stream *stream,
                                    struct fletch_error *error)
{
    struct fletch_schema *schema = NULL;
    if (!going->has_data)
        return read_one(going, stream, error);
    if (going->data.batch != NULL && !going->has_begun) {
        if (fletch_flight_stream_schema(stream, 0, &schema, error) != FLETCH_DONE ||
            fletch_flight_stream_begin(stream, schema, NULL, error) != FLETCH_OK)
            return FLETCH_CLOSED;
        going->has_begun = true;
    }
    const struct fletch_flight_output output = {.batch = going->data.batch,
                                                .app_metadata = going->data.app_metadata};
    enum fletch_answer answer = fletch_flight_stream_write(stream, 0, &output, error);
    if (answer == FLETCH_FULL)
        return FLETCH_EMPTY;
    let_go(going);
    return answer;
}

static enum fletch_answer step(void *context, struct fletch_flight_stream *stream,
                               struct fletch_error *error)
{
    struct going *going = context;
    going->scene->steps++;
    if (going->scene->holds)
        return FLETCH_EMPTY;
    if (going->kind == GET)
        return step_get(going, stream, error);
    return going->kind == PUT ? step_put(going, stream, error) : step_echo(going, stream, error);
}

static void ended(void *context)
{
    struct going *going = context;
    if (going->has_data)
        let_go(going);
    going->scene->ended++;
    free(going);
}

static enum fletch_status pull(struct flight_scene *scene, struct fletch_flight_stream *stream,
                               enum kind kind, struct fletch_error *error)
{
    struct going *going = calloc(1, sizeof *going);
    assert_non_null(going);
    going->scene = scene;
    going->kind = kind;
    const struct fletch_flight_source source = {step, ended, going};
    assert_ok(fletch_flight_stream_pull(stream, &source, error));
    assert_int_equal(fletch_flight_stream_pull(stream, &source, error), FLETCH_FAILED_PRECONDITION);
    if (scene->held != NULL)
        fletch_flight_stream_release(scene->held);
    scene->held = fletch_flight_stream_acquire(stream);
    scene->sources++;
    return FLETCH_OK;
}

/* ---- handlers ---- */

static enum fletch_status do_get(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_bytes *ticket,
                                 struct fletch_error *error)
{
    (void)ticket;
    return pull(user, stream, GET, error);
}

static enum fletch_status do_put(void *user, struct fletch_flight_stream *stream,
                                 const struct fletch_flight_descriptor *descriptor,
                                 struct fletch_error *error)
{
    (void)descriptor;
    return pull(user, stream, PUT, error);
}

static enum fletch_status do_exchange(void *user, struct fletch_flight_stream *stream,
                                      const struct fletch_flight_descriptor *descriptor,
                                      struct fletch_error *error)
{
    (void)descriptor;
    return pull(user, stream, ECHO, error);
}

static enum fletch_status refuse(struct fletch_flight_stream *stream, struct fletch_error *error)
{
    const struct fletch_flight_header header = {"x-answer", "yes", 3};
    const struct fletch_flight_header trailer = {"x-end-bin", "\0\1", 2};
    const struct fletch_flight_end end = {FLETCH_PERMISSION_DENIED, "no", {"de\0tail", 7}};
    enum fletch_status status = fletch_flight_stream_add_header(stream, &header, error);
    if (status == FLETCH_OK)
        status = fletch_flight_stream_add_trailer(stream, &trailer, error);
    return status == FLETCH_OK ? fletch_flight_stream_finish(stream, &end, error) : status;
}

static enum fletch_status do_action(void *user, struct fletch_flight_stream *stream,
                                    const struct fletch_flight_action *action,
                                    struct fletch_error *error)
{
    (void)user;
    if (strcmp(action->type, "fail") == 0)
        return refuse(stream, error);
    return fletch_flight_stream_send(stream, FLETCH_FLIGHT_RESULT, &action->body, 0, error) ==
                   FLETCH_DONE
               ? FLETCH_OK
               : error->status;
}

static enum fletch_status get_schema(void *user, struct fletch_flight_stream *stream,
                                     const struct fletch_flight_descriptor *descriptor,
                                     struct fletch_error *error)
{
    struct flight_scene *scene = user;
    const struct fletch_flight_schema_result result = {
        .schema = (struct fletch_schema *)(uintptr_t)fletch_batch_schema(scene->batch)};
    (void)descriptor;
    return fletch_flight_stream_send(stream, FLETCH_FLIGHT_SCHEMA_RESULT, &result, 0, error) ==
                   FLETCH_DONE
               ? FLETCH_OK
               : error->status;
}

static enum fletch_status get_flight_info(void *user, struct fletch_flight_stream *stream,
                                          const struct fletch_flight_descriptor *descriptor,
                                          struct fletch_error *error)
{
    (void)user;
    (void)stream;
    (void)descriptor;
    error->status = FLETCH_NOT_FOUND;
    (void)snprintf(error->message, sizeof error->message, "UNKNOWN_FLIGHT: none is here");
    return FLETCH_NOT_FOUND;
}

/* ---- the scene ---- */

void flight_scene_prepare(struct flight_scene *scene, const struct fletch_allocator *allocator)
{
    flight_scene_prepare_with(scene, allocator, NULL);
}

void flight_scene_prepare_with(struct flight_scene *scene, const struct fletch_allocator *allocator,
                               const struct fletch_net_io *io)
{
    struct fletch_random random = fletch_random_from_seed(7);
    struct fletch_schema *schema = schema_of_every_type();
    memset(scene, 0, sizeof *scene);
    rpc_scene_prepare_with(&scene->rpc, allocator, io);
    scene->account = scene->rpc.pool.account;
    scene->batch = random_batch(&random, scene->rpc.pool.cache, schema, 50);
    scene->count = 3;
    fletch_schema_release(schema);
}

static void make_methods(struct flight_scene *scene)
{
    for (size_t i = 0; i < FLETCH_FLIGHT_METHODS; i++) {
        scene->contexts[i] = (struct fletch_flight_service_method){
            .at = &scene->at, .id = (enum fletch_flight_method_id)i};
        scene->methods[i] = (struct fletch_rpc_method){
            .path = fletch_flight_methods[i].path,
            .begin = fletch_flight_service_begin,
            .handler = &fletch_flight_call_handler,
            .context = &scene->contexts[i],
            .reader = &fletch_flight_call_reader,
        };
    }
}

bool flight_scene_start(struct flight_scene *scene)
{
    struct rpc_scene *rpc = &scene->rpc;
    struct fletch_error error;
    scene->service = (struct fletch_flight_service){
        .handlers = {.do_get = do_get,
                     .do_put = do_put,
                     .do_exchange = do_exchange,
                     .do_action = do_action,
                     .get_schema = get_schema,
                     .get_flight_info = get_flight_info},
        .user = scene,
        .run_mode = FLETCH_FLIGHT_ON_LOOP,
        .allocator = rpc->allocator == NULL ? (struct fletch_allocator){0} : *rpc->allocator,
        .account = scene->account,
        .peer_message_bytes = SIZE_MAX,
    };
    if (rpc->allocator == NULL)
        scene->service.allocator = fletch_allocator_or_default(NULL);
    scene->at = (struct fletch_flight_service_loop){
        .service = &scene->service, .loop = rpc->loop, .cache = rpc->pool.cache};
    fletch_flight_waits_start(&scene->at.waits, 0);
    make_methods(scene);
    struct fletch_rpc_server_options options = rpc_scene_server_options(rpc, scene->address);
    options.methods = scene->methods;
    options.method_count = FLETCH_FLIGHT_METHODS;
    options.grpc.send_queue_bytes = SIZE_MAX / 2;
    options.grpc.message_limit_bytes = INT32_MAX;
    options.grpc.word_failure = fletch_flight_status_word;
    enum fletch_status status = fletch_rpc_server_create(&options, &rpc->server, &error);
    if (status == FLETCH_OK) {
        struct fletch_rpc_channel_options channel =
            rpc_scene_channel_options(rpc, fletch_rpc_server_address(rpc->server));
        channel.grpc.send_queue_bytes = SIZE_MAX / 2;
        channel.grpc.message_limit_bytes = INT32_MAX;
        status = fletch_rpc_channel_create(&channel, &rpc->channel, &error);
    }
    return status == FLETCH_OK;
}

void flight_scene_end(struct flight_scene *scene)
{
    fletch_rpc_channel_destroy(scene->rpc.channel);
    fletch_rpc_server_destroy(scene->rpc.server);
    scene->rpc.channel = NULL;
    scene->rpc.server = NULL;
    /* What was posted to say so. */
    for (int i = 0; i < 3; i++)
        (void)fletch_event_loop_turn(scene->rpc.loop, 0);
    if (scene->held != NULL)
        fletch_flight_stream_release(scene->held);
    fletch_batch_release(scene->rpc.pool.cache, scene->batch);
    assert_int_equal(scene->ended, scene->sources);
    rpc_scene_end(&scene->rpc);
}

struct fletch_flight_stream *flight_scene_call(struct flight_scene *scene,
                                               enum fletch_flight_method_id id, uint64_t timeout_ns)
{
    struct rpc_scene *rpc = &scene->rpc;
    const struct fletch_flight_stream_options options = {
        .method = &fletch_flight_methods[id],
        .loop = rpc->loop,
        .loop_cache = rpc->pool.cache,
        .account = scene->account,
        .allocator = rpc->allocator,
        .validation = FLETCH_VALIDATION_FULL,
        .peer_message_bytes = SIZE_MAX,
        .waits = &scene->at.waits,
    };
    struct fletch_flight_stream *stream;
    struct fletch_rpc_call *call;
    struct fletch_error error;
    rpc_scene_until_state(rpc, FLETCH_RPC_READY);
    if (fletch_flight_stream_create(&options, rpc->pool.cache, &stream, &error) != FLETCH_OK)
        return NULL;
    const struct fletch_rpc_calling calling = {
        .path = fletch_flight_methods[id].path,
        .timeout_ns = timeout_ns,
        .handler = &fletch_flight_call_handler,
        .reader = &fletch_flight_call_reader,
        .context = stream,
    };
    enum fletch_status status = fletch_rpc_channel_call(rpc->channel, &calling, &call, &error);
    if (status == FLETCH_OK)
        fletch_flight_call_attach(stream, call);
    else
        fletch_flight_call_fail(stream, status, error.message);
    return stream;
}

void flight_scene_turn(struct flight_scene *scene)
{
    (void)fletch_event_loop_turn(scene->rpc.loop, 5 * MS_NS);
}

/* One turn more, unless it takes too long. */
static void go_on(struct flight_scene *scene, uint64_t end_ns)
{
    if (fletch_clock_now_ns() > end_ns)
        fail_msg("nothing has come for %d s", SECONDS_MOST);
    flight_scene_turn(scene);
}

static uint64_t end_of_patience_ns(void)
{
    return fletch_clock_now_ns() + SECONDS_MOST * 1000 * MS_NS;
}

enum fletch_answer flight_scene_read(struct flight_scene *scene,
                                     struct fletch_flight_stream *stream,
                                     struct fletch_flight_data *out_data,
                                     struct fletch_error *error)
{
    uint64_t end_ns = end_of_patience_ns();
    enum fletch_answer answer;
    while ((answer = fletch_flight_stream_read(stream, 0, out_data, error)) == FLETCH_EMPTY)
        go_on(scene, end_ns);
    return answer;
}

enum fletch_answer flight_scene_write(struct flight_scene *scene,
                                      struct fletch_flight_stream *stream,
                                      const struct fletch_flight_output *output,
                                      struct fletch_error *error)
{
    uint64_t end_ns = end_of_patience_ns();
    enum fletch_answer answer;
    while ((answer = fletch_flight_stream_write(stream, 0, output, error)) == FLETCH_FULL)
        go_on(scene, end_ns);
    return answer;
}

enum fletch_answer flight_scene_receive(struct flight_scene *scene,
                                        struct fletch_flight_stream *stream,
                                        enum fletch_flight_message kind, const void **out_message,
                                        struct fletch_error *error)
{
    uint64_t end_ns = end_of_patience_ns();
    enum fletch_answer answer;
    while ((answer = fletch_flight_stream_receive(stream, kind, 0, out_message, error)) ==
           FLETCH_EMPTY)
        go_on(scene, end_ns);
    return answer;
}

struct fletch_flight_end flight_scene_wait(struct flight_scene *scene,
                                           struct fletch_flight_stream *stream)
{
    uint64_t end_ns = end_of_patience_ns();
    struct fletch_flight_end end;
    while (fletch_flight_stream_end(stream, 0, &end, NULL) != FLETCH_DONE)
        go_on(scene, end_ns);
    return end;
}

void flight_scene_until(struct flight_scene *scene, const uint32_t *value, uint32_t least)
{
    rpc_scene_until(&scene->rpc, value, least);
}
