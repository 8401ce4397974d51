#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/rpc_scene.h"

/* Messages of a head and a body, each received into a place of its own: by a method of a server
 * whose other methods, and whose health service, have buffers; and by one call of a channel. */

#define READ "/test.Test/Read"
enum { HEAD_BYTES = 12, PERIOD = 251, LARGE_BYTES = 15 << 20 };

static struct rpc_scene scene;

/* Both ends' side of a call that reads. */
struct reading {
    struct fletch_rpc_call *call;
    size_t bytes;
    size_t filled;
    uint8_t head[HEAD_BYTES];
    struct fletch_buffer *body;
    uint32_t pieces;
    uint32_t messages;
    uint32_t wrong;
    uint32_t ends;
    enum fletch_status status;
    char text[FLETCH_ERROR_MESSAGE_BYTES];
};

static struct reading served; /* by the method, one at a time */

static struct reading *reading_of(const struct fletch_grpc_call *call)
{
    return fletch_rpc_call_context(fletch_rpc_call_of(call));
}

static enum fletch_status begin_message(void *context, struct fletch_grpc_call *call, size_t bytes,
                                        struct fletch_error *error)
{
    struct reading *reading = reading_of(call);
    reading->wrong += context != &scene;
    reading->bytes = bytes;
    reading->filled = 0;
    if (bytes < HEAD_BYTES) {
        (void)snprintf(error->message, sizeof error->message, "a message of %zu bytes, at least %d",
                       bytes, HEAD_BYTES);
        return FLETCH_INVALID_ARGUMENT;
    }
    return bytes == HEAD_BYTES ? FLETCH_OK
                               : fletch_buffer_allocate(scene.pool.cache, bytes - HEAD_BYTES,
                                                        scene.pool.account, &reading->body, error);
}

static struct iovec place(void *context, struct fletch_grpc_call *call)
{
    struct reading *reading = reading_of(call);
    (void)context;
    if (reading->filled < HEAD_BYTES)
        return (struct iovec){reading->head + reading->filled, HEAD_BYTES - reading->filled};
    size_t in_body = reading->filled - HEAD_BYTES;
    return (struct iovec){fletch_buffer_mutable_data(reading->body) + in_body,
                          reading->bytes - reading->filled};
}

static enum fletch_status filled(void *context, struct fletch_grpc_call *call, size_t bytes,
                                 struct fletch_error *error)
{
    struct reading *reading = reading_of(call);
    (void)context;
    (void)error;
    reading->filled += bytes;
    reading->pieces++;
    return FLETCH_OK;
}

static const struct fletch_grpc_reader reader = {begin_message, place, filled, &scene};

static void forget_body(struct reading *reading)
{
    fletch_buffer_release(scene.pool.cache, reading->body);
    reading->body = NULL;
}

static void check_message(struct reading *reading, const struct fletch_buffer *buffer, size_t bytes)
{
    reading->wrong += buffer != NULL || bytes != reading->bytes || bytes != reading->filled;
    for (size_t i = 0; i < HEAD_BYTES; i++)
        reading->wrong += reading->head[i] != (uint8_t)(i % PERIOD);
    const uint8_t *body = reading->body == NULL ? NULL : fletch_buffer_data(reading->body);
    reading->wrong += ((uintptr_t)body & 63) != 0;
    for (size_t i = HEAD_BYTES; i < bytes; i++)
        reading->wrong += body[i - HEAD_BYTES] != (uint8_t)(i % PERIOD);
    reading->messages++;
}

/* ---- the method: answers each message with its head, then its body ---- */

static void begin_reading(void *context, struct fletch_rpc_call *call,
                          const struct fletch_rpc_request *request)
{
    (void)context;
    (void)request;
    memset(&served, 0, sizeof served);
    served.call = call;
    fletch_rpc_call_set_context(call, &served);
}

static void answer(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                   size_t bytes)
{
    struct reading *reading = context;
    check_message(reading, buffer, bytes);
    assert_ok(fletch_rpc_call_send_copy(call, reading->head, HEAD_BYTES, NULL));
    if (reading->body != NULL)
        assert_ok(fletch_rpc_call_send_buffer(call, reading->body, NULL));
    reading->body = NULL;
    fletch_rpc_call_take(call);
}

static void finish(void *context, struct fletch_rpc_call *call)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_OK};
    (void)context;
    assert_ok(fletch_rpc_call_finish(call, &ending, NULL));
}

static void note_end(void *context, struct fletch_rpc_call *call, const struct fletch_rpc_end *end)
{
    struct reading *reading = context;
    reading->wrong += reading->call != call;
    forget_body(reading);
    reading->ends++;
    reading->status = end->status;
    (void)snprintf(reading->text, sizeof reading->text, "%s", end->text);
}

static const struct fletch_rpc_handler serving = {
    .message = answer, .half_closed = finish, .ended = note_end};

/* ---- scenes ---- */

static void start(void)
{
    static struct fletch_rpc_method methods[2];
    rpc_scene_prepare(&scene, NULL);
    assert_ok(fletch_rpc_health_create(NULL, &scene.health, NULL));
    struct fletch_rpc_server_options options = rpc_scene_server_options(&scene, NULL);
    methods[0] = options.methods[0];
    methods[1] = (struct fletch_rpc_method){
        .path = READ, .begin = begin_reading, .handler = &serving, .reader = &reader};
    options.methods = methods;
    options.method_count = 2;
    assert_ok(fletch_rpc_server_create(&options, &scene.server, NULL));
    const struct fletch_rpc_channel_options channel =
        rpc_scene_channel_options(&scene, fletch_rpc_server_address(scene.server));
    assert_ok(fletch_rpc_channel_create(&channel, &scene.channel, NULL));
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
}

static void check_echo(void)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 2, .bytes = 100000};
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
    assert_int_equal(probe.wrong, 0);
    assert_int_equal(probe.messages, 2);
}

/* HealthCheckRequest {}: SERVING. */
static void check_health(void)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 1};
    assert_ok(rpc_probe_begin(&probe, "/grpc.health.v1.Health/Check", 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
    assert_int_equal(probe.received, 2);
}

static void a_method_reads_while_others_get_buffers(void **state)
{
    static const uint32_t sizes[] = {HEAD_BYTES, HEAD_BYTES + 1, 100, 70000, 3000000};
    (void)state;
    start();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct rpc_probe probe = {.scene = &scene, .to_send = 3, .bytes = sizes[i]};
        assert_ok(rpc_probe_begin(&probe, READ, 0));
        check_echo();
        check_health();
        rpc_scene_until(&scene, &probe.ends, 1);
        assert_string_equal(fletch_status_name(probe.status), "OK");
        assert_int_equal(served.messages, 3);
        assert_int_equal(served.wrong, 0);
        assert_int_equal(probe.received, 3 * sizes[i]);
    }
    rpc_scene_end(&scene);
}

/* ---- a call of the channel that reads ---- */

static void take(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                 size_t bytes)
{
    check_message(context, buffer, bytes);
    forget_body(context);
    fletch_rpc_call_take(call);
}

static const struct fletch_rpc_handler calling_handler = {.message = take, .ended = note_end};

static void begin_call(struct reading *reading, uint32_t bytes)
{
    const struct fletch_rpc_calling calling = {
        .path = RPC_ECHO, .handler = &calling_handler, .context = reading, .reader = &reader};
    uint8_t *message = malloc(bytes);
    for (uint32_t i = 0; i < bytes; i++)
        message[i] = (uint8_t)(i % PERIOD);
    memset(reading, 0, sizeof *reading);
    assert_ok(fletch_rpc_channel_call(scene.channel, &calling, &reading->call, NULL));
    assert_ok(fletch_rpc_call_send_copy(reading->call, message, bytes, NULL));
    free(message);
}

static void a_call_reads_while_others_get_buffers(void **state)
{
    struct reading reading;
    (void)state;
    start();
    begin_call(&reading, 3000000);
    fletch_rpc_call_half_close(reading.call);
    check_echo();
    rpc_scene_until(&scene, &reading.ends, 1);
    assert_string_equal(fletch_status_name(reading.status), "OK");
    assert_int_equal(reading.messages, 1);
    assert_int_equal(reading.wrong, 0);
    assert_true(reading.pieces > 1);
    rpc_scene_end(&scene);
}

/* Its places are the user's again, whoever ends it. */
static void a_call_ends_within_a_message(void **state)
{
    struct reading reading;
    (void)state;
    start();
    begin_call(&reading, LARGE_BYTES);
    rpc_scene_until(&scene, &reading.pieces, 1);
    assert_int_equal(reading.messages, 0);
    fletch_rpc_call_cancel(reading.call);
    forget_body(&reading);
    check_echo();

    begin_call(&reading, LARGE_BYTES);
    rpc_scene_until(&scene, &reading.pieces, 1);
    fletch_rpc_server_destroy(scene.server);
    scene.server = NULL;
    rpc_scene_until(&scene, &reading.ends, 1);
    assert_string_equal(fletch_status_name(reading.status), "UNAVAILABLE");
    assert_int_equal(reading.messages, 0);
    rpc_scene_end(&scene);
}

static void a_reader_refuses_with_its_own_words(void **state)
{
    struct reading reading;
    struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 3};
    (void)state;
    start();
    begin_call(&reading, 3);
    rpc_scene_until(&scene, &reading.ends, 1);
    assert_string_equal(fletch_status_name(reading.status), "INVALID_ARGUMENT");
    assert_string_equal(reading.text, "a message of 3 bytes, at least 12");
    assert_ok(rpc_probe_begin(&probe, READ, 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "INVALID_ARGUMENT");
    assert_string_equal(probe.text, "a message of 3 bytes, at least 12");
    assert_int_equal(served.ends, 1);
    check_echo();
    rpc_scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_method_reads_while_others_get_buffers),
        cmocka_unit_test(a_call_reads_while_others_get_buffers),
        cmocka_unit_test(a_call_ends_within_a_message),
        cmocka_unit_test(a_reader_refuses_with_its_own_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
