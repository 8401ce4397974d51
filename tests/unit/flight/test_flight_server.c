#include <fletching/flight_server.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "flight/flight_call.h"
#include "support/cmocka_tests.h"
#include "support/rpc_scene.h"

/* A server with loops and workers of its own, and a client on the test's thread: options, where
 * handlers run, draining and destroying with calls under way. */

#define MS_NS UINT64_C(1000000)

enum { SECONDS_MOST = 20 };

static struct fletch_error error;

static struct {
    _Atomic uint32_t running;
    _Atomic uint32_t most; /* of those at a time */
    _Atomic uint32_t calls;
    _Atomic uint32_t ended;
    _Atomic uint32_t is_open; /* handlers that hang go on */
} seen;

/* ---- handlers ---- */

static void enter(void)
{
    uint32_t now = atomic_fetch_add(&seen.running, 1) + 1;
    uint32_t most = atomic_load(&seen.most);
    while (most < now && !atomic_compare_exchange_weak(&seen.most, &most, now))
        continue;
    atomic_fetch_add(&seen.calls, 1);
}

static void leave(void)
{
    atomic_fetch_sub(&seen.running, 1);
    atomic_fetch_add(&seen.ended, 1);
}

/* "hang": reads what will not come, until the call ends; "gate": until the gate is open. */
static enum fletch_status do_action(void *user, struct fletch_flight_stream *stream,
                                    const struct fletch_flight_action *action,
                                    struct fletch_error *cause)
{
    const void *made;
    enum fletch_status status = FLETCH_OK;
    (void)user;
    enter();
    if (strcmp(action->type, "gate") == 0)
        while (!atomic_load(&seen.is_open) && !fletch_flight_stream_is_over(stream))
            fletch_thread_yield();
    if (strcmp(action->type, "hang") == 0 &&
        fletch_flight_stream_receive(stream, FLETCH_FLIGHT_ACTION, FLETCH_NO_TIMEOUT, &made,
                                     cause) == FLETCH_CLOSED)
        status = cause->status;
    if (status == FLETCH_OK &&
        fletch_flight_stream_send(stream, FLETCH_FLIGHT_RESULT, &action->body, FLETCH_NO_TIMEOUT,
                                  cause) != FLETCH_DONE)
        status = cause->status;
    leave();
    return status;
}

static const struct fletch_flight_handlers handlers = {.struct_size = sizeof handlers,
                                                       .do_action = do_action};

static struct fletch_flight_server_options options_of(const char *location)
{
    return (struct fletch_flight_server_options){
        .struct_size = sizeof(struct fletch_flight_server_options),
        .location = location,
        .handlers = &handlers,
        .loop_count = 2,
        .worker_limit = 4,
    };
}

static struct rpc_scene scene;

/* All that is open and charged comes back by the end of the scene, which is after the server's. */
static struct fletch_flight_server *serve(const struct fletch_flight_server_options *options)
{
    struct fletch_flight_server *server = NULL;
    rpc_scene_prepare(&scene, NULL);
    memset(&seen, 0, sizeof seen);
    if (fletch_flight_server_create(options, &server, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return server;
}

static void end(struct fletch_flight_server *server)
{
    fletch_flight_server_destroy(server);
    rpc_scene_end(&scene);
}

/* ---- a client ---- */

static void connect_to(const struct fletch_flight_server *server)
{
    struct fletch_socket_address address;
    char text[64];
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", (unsigned)fletch_flight_server_port(server));
    assert_ok(fletch_socket_address_parse(text, &address, &error));
    const struct fletch_rpc_channel_options options = rpc_scene_channel_options(&scene, &address);
    assert_ok(fletch_rpc_channel_create(&options, &scene.channel, &error));
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
}

static struct fletch_flight_stream *act(const char *type)
{
    static struct fletch_flight_waits waits;
    const struct fletch_flight_action action = {type, {"body", 4}};
    const struct fletch_flight_method *method =
        &fletch_flight_methods[FLETCH_FLIGHT_METHOD_DO_ACTION];
    const struct fletch_flight_stream_options options = {
        .method = method,
        .loop = scene.loop,
        .loop_cache = scene.pool.cache,
        .account = scene.pool.account,
        .peer_message_bytes = SIZE_MAX,
        .waits = &waits,
    };
    struct fletch_flight_stream *stream;
    struct fletch_rpc_call *call;
    fletch_flight_waits_start(&waits, 0);
    assert_ok(fletch_flight_stream_create(&options, scene.pool.cache, &stream, &error));
    const struct fletch_rpc_calling calling = {
        .path = method->path,
        .handler = &fletch_flight_call_handler,
        .reader = &fletch_flight_call_reader,
        .context = stream,
    };
    assert_ok(fletch_rpc_channel_call(scene.channel, &calling, &call, &error));
    fletch_flight_call_attach(stream, call);
    assert_answer(fletch_flight_stream_send(stream, FLETCH_FLIGHT_ACTION, &action, 0, &error),
                  FLETCH_DONE);
    return stream; /* not half-closed: the server may wait for more */
}

/* Waits for the status, and closes. */
static enum fletch_status status_of(struct fletch_flight_stream *stream)
{
    struct fletch_flight_end end;
    uint64_t end_ns = fletch_clock_now_ns() + SECONDS_MOST * 1000 * MS_NS;
    while (fletch_flight_stream_end(stream, 0, &end, NULL) != FLETCH_DONE) {
        assert_true(fletch_clock_now_ns() < end_ns);
        rpc_scene_turns_for(&scene, MS_NS);
    }
    enum fletch_status status = end.status;
    fletch_flight_stream_close(stream);
    return status;
}

static void until(_Atomic uint32_t *value, uint32_t least)
{
    uint64_t end_ns = fletch_clock_now_ns() + SECONDS_MOST * 1000 * MS_NS;
    while (atomic_load(value) < least) {
        assert_true(fletch_clock_now_ns() < end_ns);
        rpc_scene_turns_for(&scene, MS_NS);
    }
}

/* ---- tests ---- */

static void refused(struct fletch_flight_server_options options, enum fletch_status status,
                    const char *text)
{
    struct fletch_flight_server *server = NULL;
    assert_int_equal(fletch_flight_server_create(&options, &server, &error), status);
    assert_contains(error.message, text);
    assert_null(server);
}

static void test_options(void **state)
{
    (void)state;
    struct fletch_flight_server_options options = options_of(NULL);
    options.handlers = NULL;
    refused(options, FLETCH_INVALID_ARGUMENT, "handlers is NULL");
    refused(options_of("grpc+other://127.0.0.1:0"), FLETCH_INVALID_ARGUMENT, "location 'grpc+o");
    refused(options_of("grpc://127.0.0.1"), FLETCH_INVALID_ARGUMENT, "127.0.0.1");
    refused(options_of("grpc+unix:///no/such/folder/socket"), FLETCH_UNAVAILABLE, "folder");
    options = options_of(NULL);
    options.run_mode = (enum fletch_flight_run_mode)7;
    refused(options, FLETCH_INVALID_ARGUMENT, "run_mode is 7");
    options = options_of(NULL);
    options.loop_count = 1000;
    refused(options, FLETCH_INVALID_ARGUMENT, "loop_count is 1000");
    options = options_of(NULL);
    options.message_limit_bytes = (size_t)1 << 31;
    refused(options, FLETCH_INVALID_ARGUMENT, "message_limit_bytes");
    fletch_flight_server_destroy(NULL);
}

static void test_locations(void **state)
{
    (void)state;
    char folder[] = "flight-XXXXXX", path[64], expected[96];
    struct fletch_flight_server_options options = options_of("grpc+tcp://localhost:0");
    struct fletch_flight_server *server = serve(&options);
    (void)snprintf(expected, sizeof expected, "grpc://127.0.0.1:%u",
                   (unsigned)fletch_flight_server_port(server));
    assert_string_equal(fletch_flight_server_location(server), expected);
    options = options_of(expected);
    options.loop_count = 1;
    refused(options, FLETCH_ALREADY_EXISTS, "in use");
    end(server);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    (void)snprintf(expected, sizeof expected, "grpc+unix://%s", path);
    options = options_of(expected);
    server = serve(&options);
    assert_string_equal(fletch_flight_server_location(server), expected);
    assert_int_equal(fletch_flight_server_port(server), 0);
    end(server);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_calls_wait_for_workers(void **state)
{
    (void)state;
    const struct fletch_flight_server_options options = options_of(NULL);
    struct fletch_flight_server *server = serve(&options);
    struct fletch_flight_server_counters counters = {.struct_size = sizeof counters};
    struct fletch_flight_stream *streams[10];
    connect_to(server);
    for (int i = 0; i < 10; i++)
        streams[i] = act("gate");
    until(&seen.running, 4);
    for (int i = 0; i < 50; i++)
        rpc_scene_turns_for(&scene, MS_NS);
    assert_int_equal(atomic_load(&seen.running), 4);
    fletch_flight_server_statistics(server, &counters);
    assert_int_equal(counters.workers_now, 4);
    assert_int_equal(counters.waiting_now, 6);
    assert_int_equal(counters.calls, 10);
    assert_int_equal(counters.calls_now, 10);
    atomic_store(&seen.is_open, 1);
    for (int i = 0; i < 10; i++)
        assert_ok(status_of(streams[i]));
    assert_int_equal(atomic_load(&seen.most), 4);
    fletch_flight_server_statistics(server, &counters);
    assert_int_equal(counters.calls_now, 0);
    assert_true(counters.received_bytes >= 100);
    while (counters.sent_bytes < 60) /* counted behind the system's call that sends */
        fletch_flight_server_statistics(server, &counters);
    end(server);
}

static struct fletch_flight_server *drained;
static enum fletch_status drain_status;

static void drain(void *context)
{
    const uint64_t *timeout_ns = context;
    struct fletch_error cause;
    drain_status = fletch_flight_server_drain(drained, *timeout_ns, &cause);
}

static void start_draining(struct fletch_thread *thread, uint64_t *timeout_ns)
{
    const struct fletch_thread_options options = {
        .cpu = FLETCH_ANY_CPU, .run = drain, .context = timeout_ns};
    assert_ok(fletch_thread_start(thread, &options, &error));
}

static void test_drain_lets_calls_end(void **state)
{
    (void)state;
    const struct fletch_flight_server_options options = options_of(NULL);
    uint64_t timeout_ns = 20000 * MS_NS;
    struct fletch_thread thread;
    drained = serve(&options);
    connect_to(drained);
    struct fletch_flight_stream *stream = act("gate");
    until(&seen.running, 1);
    start_draining(&thread, &timeout_ns);
    for (int i = 0; i < 100; i++)
        rpc_scene_turns_for(&scene, MS_NS);
    assert_int_equal(atomic_load(&seen.running), 1);
    atomic_store(&seen.is_open, 1);
    assert_ok(status_of(stream));
    rpc_scene_turns_for(&scene, 20 * MS_NS);
    fletch_rpc_channel_destroy(scene.channel);
    scene.channel = NULL;
    fletch_thread_join(&thread);
    assert_ok(drain_status);
    fletch_flight_server_serve(drained);
    assert_ok(fletch_flight_server_drain(drained, 0, &error));
    end(drained);
}

static void test_drain_has_a_deadline(void **state)
{
    (void)state;
    const struct fletch_flight_server_options options = options_of(NULL);
    uint64_t timeout_ns = 50 * MS_NS;
    struct fletch_thread thread;
    drained = serve(&options);
    connect_to(drained);
    struct fletch_flight_stream *stream = act("hang");
    until(&seen.running, 1);
    start_draining(&thread, &timeout_ns);
    assert_int_equal(status_of(stream), FLETCH_UNAVAILABLE);
    fletch_thread_join(&thread);
    assert_int_equal(drain_status, FLETCH_DEADLINE_EXCEEDED);
    until(&seen.ended, 1);
    end(drained);
}

/* ---- health ---- */

/* What a call of grpc.health.v1.Health was told: the last state, and its end. */
struct health {
    _Atomic uint32_t messages;
    _Atomic uint32_t ends;
    uint32_t serving;
    enum fletch_status status;
};

static void on_health(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                      size_t bytes)
{
    struct health *health = context;
    health->serving = bytes == 2 ? fletch_buffer_data(buffer)[1] : 99;
    atomic_fetch_add(&health->messages, 1);
    fletch_buffer_release(scene.pool.cache, buffer);
    fletch_rpc_call_take(call);
}

static void on_health_ended(void *context, struct fletch_rpc_call *call,
                            const struct fletch_rpc_end *told)
{
    struct health *health = context;
    (void)call;
    health->status = told->status;
    atomic_fetch_add(&health->ends, 1);
}

static void ask_health(struct health *health, const char *path, const char *service)
{
    static const struct fletch_rpc_handler handler = {.message = on_health,
                                                      .ended = on_health_ended};
    const struct fletch_rpc_calling calling = {
        .path = path, .handler = &handler, .context = health};
    char request[64];
    struct fletch_rpc_call *call;
    int bytes = snprintf(request, sizeof request, "\x0a%c%s", (int)strlen(service), service);
    *health = (struct health){.messages = 0};
    assert_ok(fletch_rpc_channel_call(scene.channel, &calling, &call, &error));
    assert_ok(fletch_rpc_call_send_copy(call, request, (size_t)bytes, &error));
    fletch_rpc_call_half_close(call);
}

static void test_health(void **state)
{
    (void)state;
    static const char *const services[] = {"arrow.flight.protocol.FlightService", "other"};
    const struct fletch_flight_server_options options = options_of(NULL);
    uint64_t timeout_ns = 20000 * MS_NS;
    struct health asked, watched;
    struct fletch_thread thread;
    drained = serve(&options);
    connect_to(drained);
    for (int i = 0; i < 2; i++) {
        ask_health(&asked, "/grpc.health.v1.Health/Check", services[i]);
        until(&asked.ends, 1);
        assert_int_equal(asked.status, i == 0 ? FLETCH_OK : FLETCH_NOT_FOUND);
        assert_int_equal(asked.serving, i == 0 ? FLETCH_RPC_SERVING : 0);
    }
    ask_health(&watched, "/grpc.health.v1.Health/Watch", "arrow.flight.protocol.FlightService");
    until(&watched.messages, 1);
    assert_int_equal(watched.serving, FLETCH_RPC_SERVING);
    struct fletch_flight_stream *stream = act("gate");
    until(&seen.running, 1);
    start_draining(&thread, &timeout_ns);
    until(&watched.ends, 1);
    assert_int_equal(watched.messages, 2);
    assert_int_equal(watched.serving, FLETCH_RPC_NOT_SERVING);
    assert_int_equal(watched.status, FLETCH_UNAVAILABLE);
    atomic_store(&seen.is_open, 1);
    assert_ok(status_of(stream)); /* who watches holds up nobody, and nobody watches */
    fletch_rpc_channel_destroy(scene.channel);
    scene.channel = NULL;
    fletch_thread_join(&thread);
    assert_ok(drain_status);
    end(drained);
}

static void test_destroy_with_watchers(void **state)
{
    (void)state;
    const struct fletch_flight_server_options options = options_of(NULL);
    struct fletch_flight_server *server = serve(&options);
    struct health watched;
    connect_to(server);
    ask_health(&watched, "/grpc.health.v1.Health/Watch", "");
    until(&watched.messages, 1);
    fletch_flight_server_destroy(server);
    until(&watched.ends, 1);
    assert_int_equal(watched.status, FLETCH_UNAVAILABLE);
    rpc_scene_end(&scene);
}

static void test_destroy_with_calls_under_way(void **state)
{
    (void)state;
    const struct fletch_flight_server_options options = options_of(NULL);
    struct fletch_flight_stream *streams[10];
    for (int round = 0; round < 5; round++) {
        struct fletch_flight_server *server = serve(&options);
        connect_to(server);
        for (int i = 0; i < 10; i++)
            streams[i] = act(i % 2 == 0 ? "hang" : "gate");
        if (round != 0)
            until(&seen.running, 4);
        fletch_flight_server_destroy(server);
        assert_int_equal(atomic_load(&seen.running), 0);
        for (int i = 0; i < 10; i++)
            assert_int_equal(status_of(streams[i]), FLETCH_UNAVAILABLE);
        rpc_scene_end(&scene);
    }
}

static void test_client_that_goes(void **state)
{
    (void)state;
    const struct fletch_flight_server_options options = options_of(NULL);
    struct fletch_flight_server *server = serve(&options);
    for (int round = 0; round < 10; round++) {
        connect_to(server);
        struct fletch_flight_stream *streams[4];
        for (int i = 0; i < 4; i++)
            streams[i] = act("hang");
        rpc_scene_turns_for(&scene, (uint64_t)round * MS_NS);
        for (int i = 0; i < 4; i++)
            fletch_flight_stream_close(streams[i]);
        if (round % 2 == 0)
            rpc_scene_turns_for(&scene, MS_NS);
        fletch_rpc_channel_destroy(scene.channel);
        scene.channel = NULL;
        for (int i = 0; i < 3; i++)
            rpc_scene_turns_for(&scene, MS_NS);
    }
    end(server);
    assert_int_equal(atomic_load(&seen.running), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_locations),
        cmocka_unit_test(test_calls_wait_for_workers),
        cmocka_unit_test(test_drain_lets_calls_end),
        cmocka_unit_test(test_drain_has_a_deadline),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_destroy_with_watchers),
        cmocka_unit_test(test_destroy_with_calls_under_way),
        cmocka_unit_test(test_client_that_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
