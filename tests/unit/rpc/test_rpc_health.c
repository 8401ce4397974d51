#include "rpc/rpc_health.h"

#include <string.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/rpc_scene.h"

#define CHECK "/grpc.health.v1.Health/Check"
#define WATCH "/grpc.health.v1.Health/Watch"
#define MS_NS UINT64_C(1000000)

static struct rpc_scene scene;

/* Answers are two bytes, the second one the state. */
struct answer {
    struct fletch_rpc_call *call;
    uint32_t messages;
    uint32_t serving;
    uint32_t wrong;
    uint32_t ends;
    enum fletch_status status;
};

static void on_message(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                       size_t bytes)
{
    struct answer *answer = context;
    answer->wrong += bytes != 2 || fletch_buffer_data(buffer)[0] != 0x08;
    answer->serving = bytes == 2 ? fletch_buffer_data(buffer)[1] : 99;
    answer->messages++;
    fletch_buffer_release(scene.pool.cache, buffer);
    fletch_rpc_call_take(call);
}

static void on_ended(void *context, struct fletch_rpc_call *call, const struct fletch_rpc_end *end)
{
    struct answer *answer = context;
    (void)call;
    answer->ends++;
    answer->status = end->status;
}

static const struct fletch_rpc_handler asking = {.message = on_message, .ended = on_ended};

static void ask(struct answer *answer, const char *path, const void *request, size_t bytes)
{
    const struct fletch_rpc_calling calling = {.path = path, .handler = &asking, .context = answer};
    *answer = (struct answer){.messages = 0};
    assert_ok(fletch_rpc_channel_call(scene.channel, &calling, &answer->call, NULL));
    if (request != NULL)
        assert_ok(fletch_rpc_call_send_copy(answer->call, request, bytes, NULL));
    fletch_rpc_call_half_close(answer->call);
}

static void set(const char *service, enum fletch_rpc_serving serving)
{
    assert_ok(fletch_rpc_health_set(scene.health, service, serving, NULL));
}

static void check_tells_each_service(void **state)
{
    static const uint8_t too_long[300] = {0x0a, 0xa8, 0x02};
    static const uint8_t one[] = {0x0a, 3, 'o', 'n', 'e'};
    static const uint8_t two[] = {0x0a, 3, 't', 'w', 'o'};
    static const uint8_t last_counts[] = {0x0a, 3, 't', 'w', 'o', 0x0a, 3, 'o', 'n', 'e'};
    static const uint8_t unknown_fields[] = {0x10, 0xff, 0x01, 0x19, 1,   2,   3,    4, 5,
                                             6,    7,    8,    0x22, 1,   9,   0x2d, 1, 2,
                                             3,    4,    0x0a, 3,    'o', 'n', 'e'};
    static const uint8_t cut[] = {0x0a, 4, 'o', 'n', 'e'};
    static const uint8_t group[] = {0x0b};
    static const uint8_t field_0[] = {0x02, 0};
    static const uint8_t endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
    static const uint8_t nul[] = {0x0a, 2, 'o', 0};
    static const uint8_t huge[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    static const struct {
        const void *request;
        size_t bytes;
        enum fletch_status status;
        uint32_t serving;
    } rows[] = {
        {"", 0, FLETCH_OK, FLETCH_RPC_SERVING},
        {one, sizeof one, FLETCH_OK, FLETCH_RPC_NOT_SERVING},
        {last_counts, sizeof last_counts, FLETCH_OK, FLETCH_RPC_NOT_SERVING},
        {unknown_fields, sizeof unknown_fields, FLETCH_OK, FLETCH_RPC_NOT_SERVING},
        {two, sizeof two, FLETCH_NOT_FOUND, 0},
        {too_long, 299, FLETCH_INVALID_ARGUMENT, 0},
        {cut, sizeof cut, FLETCH_INVALID_ARGUMENT, 0},
        {group, sizeof group, FLETCH_INVALID_ARGUMENT, 0},
        {field_0, sizeof field_0, FLETCH_INVALID_ARGUMENT, 0},
        {endless, sizeof endless, FLETCH_INVALID_ARGUMENT, 0},
        {nul, sizeof nul, FLETCH_INVALID_ARGUMENT, 0},
        {huge, sizeof huge, FLETCH_INVALID_ARGUMENT, 0},
        {NULL, 0, FLETCH_INVALID_ARGUMENT, 0},
    };
    (void)state;
    rpc_scene_start(&scene, NULL);
    set("one", FLETCH_RPC_NOT_SERVING);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer;
        ask(&answer, CHECK, rows[i].request, rows[i].bytes);
        rpc_scene_until(&scene, &answer.ends, 1);
        assert_string_equal(fletch_status_name(answer.status), fletch_status_name(rows[i].status));
        assert_int_equal(answer.messages, rows[i].status == FLETCH_OK);
        assert_int_equal(answer.serving, rows[i].serving);
        assert_int_equal(answer.wrong, 0);
    }
    rpc_scene_end(&scene);
}

/* Names of any length are answered; one that was cut is nobody's. */
static void a_long_name_is_no_services(void **state)
{
    static uint8_t request[3 + 255] = {0x0a, 0xff, 0x01};
    static char name[256];
    struct answer answer;
    (void)state;
    memset(request + 3, 'n', 255);
    memset(name, 'n', 255);
    rpc_scene_start(&scene, NULL);
    assert_int_equal(fletch_rpc_health_set(scene.health, name, FLETCH_RPC_SERVING, NULL),
                     FLETCH_INVALID_ARGUMENT);
    name[254] = 0;
    set(name, FLETCH_RPC_SERVING);
    ask(&answer, CHECK, request, sizeof request);
    rpc_scene_until(&scene, &answer.ends, 1);
    assert_string_equal(fletch_status_name(answer.status), "NOT_FOUND");
    rpc_scene_end(&scene);
}

static void watch_tells_each_change(void **state)
{
    static const uint8_t one[] = {0x0a, 3, 'o', 'n', 'e'};
    struct answer answer;
    struct answer gone;
    (void)state;
    rpc_scene_start(&scene, NULL);
    ask(&gone, WATCH, one, sizeof one);
    ask(&answer, WATCH, one, sizeof one);
    rpc_scene_until(&scene, &answer.messages, 1);
    assert_int_equal(answer.serving, FLETCH_RPC_SERVICE_UNKNOWN);
    fletch_rpc_call_cancel(gone.call);
    set("one", FLETCH_RPC_SERVING);
    rpc_scene_until(&scene, &answer.messages, 2);
    assert_int_equal(answer.serving, FLETCH_RPC_SERVING);
    set("two", FLETCH_RPC_NOT_SERVING);
    set("one", FLETCH_RPC_NOT_SERVING);
    rpc_scene_until(&scene, &answer.messages, 3);
    assert_int_equal(answer.serving, FLETCH_RPC_NOT_SERVING);
    set("one", FLETCH_RPC_SERVING);
    rpc_scene_until(&scene, &answer.messages, 4);
    fletch_rpc_health_shutdown(scene.health);
    rpc_scene_until(&scene, &answer.ends, 1);
    assert_int_equal(answer.messages, 5);
    assert_int_equal(answer.serving, FLETCH_RPC_NOT_SERVING);
    assert_string_equal(fletch_status_name(answer.status), "UNAVAILABLE");
    assert_int_equal(answer.wrong, 0);
    ask(&answer, WATCH, one, sizeof one); /* one that comes later hears the same */
    rpc_scene_until(&scene, &answer.ends, 1);
    assert_int_equal(answer.serving, FLETCH_RPC_NOT_SERVING);
    rpc_scene_end(&scene);
}

static void a_watch_without_a_request_is_refused(void **state)
{
    static const uint8_t cut[] = {0x0a, 4, 'o', 'n', 'e'};
    struct answer answer;
    (void)state;
    rpc_scene_start(&scene, NULL);
    ask(&answer, WATCH, NULL, 0);
    rpc_scene_until(&scene, &answer.ends, 1);
    assert_string_equal(fletch_status_name(answer.status), "INVALID_ARGUMENT");
    ask(&answer, WATCH, cut, sizeof cut);
    rpc_scene_until(&scene, &answer.ends, 1);
    assert_string_equal(fletch_status_name(answer.status), "INVALID_ARGUMENT");
    rpc_scene_end(&scene);
}

static void memory_may_run_out(void **state)
{
    static struct counting_allocator counting;
    struct fletch_rpc_health *health = NULL;
    uint64_t fail_at = 0;
    (void)state;
    do {
        counting_allocator_start(&counting, ++fail_at);
        enum fletch_status status = fletch_rpc_health_create(&counting.allocator, &health, NULL);
        if (status == FLETCH_OK) {
            status = fletch_rpc_health_set(health, "one", FLETCH_RPC_SERVING, NULL);
            fletch_rpc_health_destroy(health);
        }
        if (counting.requests >= fail_at)
            assert_string_equal(fletch_status_name(status), "RESOURCE_EXHAUSTED");
        assert_int_equal(counting.live_bytes, 0);
        assert_int_equal(counting.mismatched, 0);
    } while (counting.requests >= fail_at);
    assert_int_equal(fail_at, 4); /* health, "", "one" */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_tells_each_service),
        cmocka_unit_test(a_long_name_is_no_services),
        cmocka_unit_test(watch_tells_each_change),
        cmocka_unit_test(a_watch_without_a_request_is_refused),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
