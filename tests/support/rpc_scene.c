#include "support/rpc_scene.h"

#include <dirent.h>
#include <fletching/wait.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"

enum { PERIOD = 251, METHODS = 6, TURN_MS = 20, SECONDS_MOST = 20 };
#define MS_NS UINT64_C(1000000)

static uint32_t descriptors_before;

uint32_t open_descriptors(void)
{
    uint32_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* ---- messages ---- */

static void fill(uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(i % PERIOD);
}

static enum fletch_status send_pattern(struct rpc_scene *scene, struct fletch_rpc_call *call,
                                       size_t bytes)
{
    struct fletch_buffer *buffer;
    if (bytes == 0)
        return fletch_rpc_call_send_copy(call, NULL, 0, NULL);
    enum fletch_status status =
        fletch_buffer_allocate(scene->pool.cache, bytes, scene->pool.account, &buffer, NULL);
    if (status != FLETCH_OK)
        return status;
    fill(fletch_buffer_mutable_data(buffer), bytes);
    status = fletch_rpc_call_send_buffer(call, buffer, NULL);
    if (status != FLETCH_OK)
        fletch_buffer_release(scene->pool.cache, buffer);
    return status;
}

/* ---- methods ---- */

/* What a method keeps of a call. */
struct serving {
    struct rpc_scene *scene;
    uint64_t bytes;
    uint32_t left; /* messages to send */
    uint32_t size;
};

static void begin(void *context, struct fletch_rpc_call *call,
                  const struct fletch_rpc_request *request)
{
    struct serving *serving = calloc(1, sizeof *serving);
    serving->scene = context;
    serving->scene->begun++;
    serving->scene->held = call;
    serving->scene->timeout_ns = request->timeout_ns;
    fletch_rpc_call_set_context(call, serving);
}

static void end(struct serving *serving, struct fletch_rpc_call *call)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_OK};
    free(serving);
    (void)fletch_rpc_call_finish(call, &ending, NULL); /* without memory the call is reset */
}

static void ended(void *context, struct fletch_rpc_call *call, const struct fletch_rpc_end *told)
{
    struct serving *serving = context;
    (void)call;
    serving->scene->ended++;
    serving->scene->ended_status = told->status;
    if (serving->scene->held == call)
        serving->scene->held = NULL;
    free(serving);
}

static void echo(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                 size_t bytes)
{
    struct serving *serving = context;
    enum fletch_status status = bytes == 0 ? fletch_rpc_call_send_copy(call, NULL, 0, NULL)
                                           : fletch_rpc_call_send_buffer(call, buffer, NULL);
    if (status != FLETCH_OK)
        fletch_buffer_release(serving->scene->pool.cache, buffer);
    fletch_rpc_call_take(call);
}

static void finish(void *context, struct fletch_rpc_call *call)
{
    end(context, call);
}

static void collect(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                    size_t bytes)
{
    struct serving *serving = context;
    serving->bytes += bytes;
    fletch_buffer_release(serving->scene->pool.cache, buffer);
    fletch_rpc_call_take(call);
}

static void tell_sum(void *context, struct fletch_rpc_call *call)
{
    struct serving *serving = context;
    assert_ok(fletch_rpc_call_send_copy(call, &serving->bytes, sizeof serving->bytes, NULL));
    end(serving, call);
}

static void go_on(void *context, struct fletch_rpc_call *call)
{
    struct serving *serving = context;
    while (serving->left != 0 && send_pattern(serving->scene, call, serving->size) == FLETCH_OK)
        serving->left--;
    if (serving->left == 0)
        end(serving, call);
}

static void expand(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                   size_t bytes)
{
    struct serving *serving = context;
    struct rpc_expansion wanted;
    assert_int_equal(bytes, sizeof wanted);
    memcpy(&wanted, fletch_buffer_data(buffer), sizeof wanted);
    fletch_buffer_release(serving->scene->pool.cache, buffer);
    fletch_rpc_call_take(call);
    serving->left = wanted.count;
    serving->size = wanted.bytes;
    go_on(serving, call);
}

static void hoard(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                  size_t bytes)
{
    struct serving *serving = context;
    (void)call;
    serving->bytes += bytes;
    fletch_buffer_release(serving->scene->pool.cache, buffer);
}

static void refuse(void *context, struct fletch_rpc_call *call,
                   const struct fletch_rpc_request *request)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_PERMISSION_DENIED,
                                              .text = "not for you: 100%"};
    (void)context;
    (void)request;
    assert_ok(fletch_rpc_call_finish(call, &ending, NULL));
}

static const struct fletch_rpc_handler echoing = {
    .message = echo, .half_closed = finish, .ended = ended};
static const struct fletch_rpc_handler collecting = {
    .message = collect, .half_closed = tell_sum, .ended = ended};
static const struct fletch_rpc_handler expanding = {
    .message = expand, .writable = go_on, .ended = ended};
static const struct fletch_rpc_handler holding = {.message = collect, .ended = ended};
static const struct fletch_rpc_handler hoarding = {.message = hoard, .ended = ended};

static struct fletch_rpc_method *make_methods(struct rpc_scene *scene)
{
    const struct fletch_rpc_method all[METHODS] = {
        {RPC_ECHO, begin, &echoing, scene, NULL},
        {RPC_COLLECT, begin, &collecting, scene, NULL},
        {RPC_EXPAND, begin, &expanding, scene, NULL},
        {RPC_HOLD, begin, &holding, scene, NULL},
        {RPC_HOARD, begin, &hoarding, scene, NULL},
        {RPC_REFUSE, refuse, &holding, scene, NULL},
    };
    struct fletch_rpc_method *methods = malloc(sizeof all);
    memcpy(methods, all, sizeof all);
    return methods;
}

/* ---- scenes ---- */

static void changed(void *context, enum fletch_rpc_channel_state state,
                    const struct fletch_error *error)
{
    struct rpc_scene *scene = context;
    scene->changes++;
    assert_int_equal(error != NULL, state == FLETCH_RPC_WAITING);
    if (error != NULL)
        scene->change = *error;
}

struct fletch_rpc_server_options rpc_scene_server_options(struct rpc_scene *scene,
                                                          const char *address)
{
    struct fletch_rpc_server_options options = {
        .loop = scene->loop,
        .methods = scene->methods,
        .method_count = METHODS,
        .health = scene->health,
        .grpc = {.struct_size = sizeof options.grpc,
                 .http2 = {.allocator = scene->allocator,
                           .cache = scene->pool.cache,
                           .account = scene->pool.account}},
    };
    assert_ok(fletch_socket_address_parse(address == NULL ? "127.0.0.1:0" : address,
                                          &options.address, NULL));
    return options;
}

struct fletch_rpc_channel_options
rpc_scene_channel_options(struct rpc_scene *scene, const struct fletch_socket_address *address)
{
    return (struct fletch_rpc_channel_options){
        .loop = scene->loop,
        .addresses = address,
        .address_count = 1,
        .pause_first_ns = 10 * MS_NS,
        .pause_most_ns = 50 * MS_NS,
        .changed = changed,
        .context = scene,
        .grpc = {.struct_size = sizeof(struct fletch_grpc_options),
                 .http2 = {.allocator = scene->allocator,
                           .cache = scene->pool.cache,
                           .account = scene->pool.account}},
    };
}

static void set_grpc(struct fletch_grpc_options *grpc, const struct fletch_grpc_options *wanted)
{
    struct fletch_buffer_cache *cache = grpc->http2.cache;
    struct fletch_account *account = grpc->http2.account;
    if (wanted == NULL)
        return;
    *grpc = *wanted;
    grpc->struct_size = sizeof *grpc;
    grpc->http2.cache = cache;
    grpc->http2.account = account;
}

void rpc_scene_prepare(struct rpc_scene *scene, const struct fletch_allocator *allocator)
{
    const struct fletch_event_loop_options loop = {.spin_ns = FLETCH_OFF, .allocator = allocator};
    memset(scene, 0, sizeof *scene);
    descriptors_before = open_descriptors();
    scene->allocator = allocator;
    scene->pool = test_pool_make();
    scene->methods = make_methods(scene);
    assert_ok(fletch_event_loop_create(&loop, &scene->loop, NULL));
}

void rpc_scene_start_with(struct rpc_scene *scene, const char *address,
                          const struct fletch_grpc_options *server,
                          const struct fletch_grpc_options *client)
{
    rpc_scene_prepare(scene, NULL);
    assert_ok(fletch_rpc_health_create(NULL, &scene->health, NULL));
    struct fletch_rpc_server_options server_options = rpc_scene_server_options(scene, address);
    set_grpc(&server_options.grpc, server);
    assert_ok(fletch_rpc_server_create(&server_options, &scene->server, NULL));
    struct fletch_rpc_channel_options channel_options =
        rpc_scene_channel_options(scene, fletch_rpc_server_address(scene->server));
    set_grpc(&channel_options.grpc, client);
    assert_ok(fletch_rpc_channel_create(&channel_options, &scene->channel, NULL));
    rpc_scene_until_state(scene, FLETCH_RPC_READY);
}

void rpc_scene_start(struct rpc_scene *scene, const char *address)
{
    rpc_scene_start_with(scene, address, NULL, NULL);
}

void rpc_scene_end(struct rpc_scene *scene)
{
    fletch_rpc_channel_destroy(scene->channel);
    fletch_rpc_server_destroy(scene->server);
    fletch_rpc_health_destroy(scene->health);
    fletch_event_loop_destroy(scene->loop);
    free(scene->methods);
    assert_int_equal(account_used_bytes(scene->pool.account), 0);
    test_pool_end(&scene->pool);
    assert_int_equal(open_descriptors(), descriptors_before);
}

void rpc_scene_until(struct rpc_scene *scene, const uint32_t *value, uint32_t least)
{
    uint64_t end_ns = fletch_clock_now_ns() + SECONDS_MOST * 1000 * MS_NS;
    while (*value < least) {
        if (fletch_clock_now_ns() > end_ns)
            fail_msg("%u instead of %u after %d s", (unsigned)*value, (unsigned)least,
                     SECONDS_MOST);
        (void)fletch_event_loop_turn(scene->loop, TURN_MS * MS_NS);
    }
}

void rpc_scene_until_state(struct rpc_scene *scene, enum fletch_rpc_channel_state state)
{
    uint64_t end_ns = fletch_clock_now_ns() + SECONDS_MOST * 1000 * MS_NS;
    while (fletch_rpc_channel_state(scene->channel) != state) {
        if (fletch_clock_now_ns() > end_ns)
            fail_msg("no state %d after %d s: %s", (int)state, SECONDS_MOST, scene->change.message);
        (void)fletch_event_loop_turn(scene->loop, TURN_MS * MS_NS);
    }
}

void rpc_scene_turns_for(struct rpc_scene *scene, uint64_t ns)
{
    uint64_t end_ns = fletch_clock_now_ns() + ns;
    while (fletch_clock_now_ns() < end_ns)
        (void)fletch_event_loop_turn(scene->loop, MS_NS);
}

/* ---- probes ---- */

static void probe_headers(void *context, struct fletch_rpc_call *call,
                          const struct fletch_grpc_metadata *metadata)
{
    struct rpc_probe *probe = context;
    probe->wrong += call != probe->call || metadata->count == 0;
    probe->headers++;
}

static void probe_message(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                          size_t bytes)
{
    struct rpc_probe *probe = context;
    const uint8_t *data = bytes == 0 ? NULL : fletch_buffer_data(buffer);
    for (size_t i = 0; i < bytes; i++)
        probe->wrong += data[i] != (uint8_t)(i % PERIOD);
    if (bytes >= sizeof probe->number)
        memcpy(&probe->number, data, sizeof probe->number);
    probe->messages++;
    probe->received += bytes;
    fletch_buffer_release(probe->scene->pool.cache, buffer);
    if (!probe->takes_none)
        fletch_rpc_call_take(call);
}

static void probe_go_on(void *context, struct fletch_rpc_call *call)
{
    struct rpc_probe *probe = context;
    while (probe->to_send != 0 && send_pattern(probe->scene, call, probe->bytes) == FLETCH_OK)
        probe->to_send--;
    if (probe->to_send == 0 && !probe->stays_open)
        fletch_rpc_call_half_close(call);
}

static void probe_ended(void *context, struct fletch_rpc_call *call,
                        const struct fletch_rpc_end *told)
{
    struct rpc_probe *probe = context;
    probe->wrong += call != probe->call;
    probe->call = NULL;
    probe->ends++;
    probe->status = told->status;
    probe->is_untouched = told->is_untouched;
    (void)snprintf(probe->text, sizeof probe->text, "%s", told->text);
}

static const struct fletch_rpc_handler probing = {
    .headers = probe_headers,
    .message = probe_message,
    .writable = probe_go_on,
    .ended = probe_ended,
};

enum fletch_status rpc_probe_begin(struct rpc_probe *probe, const char *path, uint64_t timeout_ns)
{
    struct fletch_error error;
    const struct fletch_rpc_calling calling = {
        .path = path, .timeout_ns = timeout_ns, .handler = &probing, .context = probe};
    enum fletch_status status =
        fletch_rpc_channel_call(probe->scene->channel, &calling, &probe->call, &error);
    if (status != FLETCH_OK)
        (void)snprintf(probe->text, sizeof probe->text, "%s", error.message);
    else if (probe->to_send != 0 || !probe->stays_open)
        probe_go_on(probe, probe->call);
    return status;
}

void rpc_probe_send(struct rpc_probe *probe, const void *data, size_t bytes)
{
    assert_ok(fletch_rpc_call_send_copy(probe->call, data, bytes, NULL));
}
