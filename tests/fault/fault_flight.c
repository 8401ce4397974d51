#include <string.h>

#include "support/cmocka_tests.h"
#include "support/failing_allocator.h"
#include "support/flight_scene.h"

/* Calls of Flight with the n-th allocation failing, for n = 1, 2, … until none fails, and with an
 * account that has room for ever more: each call ends once, with a status, and nothing leaks. */

enum { TRIES_MOST = 2000, BATCHES = 3 };

static struct flight_scene scene;

static void check_end(struct fletch_flight_stream *stream)
{
    struct fletch_flight_end end = flight_scene_wait(&scene, stream);
    if (end.status == FLETCH_OK)
        return;
    assert_true(end.status == FLETCH_RESOURCE_EXHAUSTED || end.status == FLETCH_UNAVAILABLE ||
                end.status == FLETCH_CANCELLED || end.status == FLETCH_INTERNAL ||
                end.status == FLETCH_UNKNOWN);
}

static bool get(void)
{
    const struct fletch_flight_bytes ticket = {"t", 1};
    struct fletch_flight_data data;
    struct fletch_error error;
    uint32_t count = 0;
    struct fletch_flight_stream *stream = flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_GET, 0);
    if (stream == NULL)
        return false;
    if (fletch_flight_stream_send(stream, FLETCH_FLIGHT_TICKET, &ticket, 0, &error) != FLETCH_DONE)
        fletch_flight_stream_cancel(stream);
    fletch_flight_stream_done_writing(stream);
    while (flight_scene_read(&scene, stream, &data, &error) == FLETCH_DONE) {
        fletch_batch_release(scene.rpc.pool.cache, data.batch);
        count++;
    }
    bool is_whole = error.status == FLETCH_OK && count == BATCHES;
    if (error.status != FLETCH_OK)
        fletch_flight_stream_cancel(stream);
    check_end(stream);
    fletch_flight_stream_close(stream);
    return is_whole;
}

static bool exchange(void)
{
    const struct fletch_flight_descriptor command = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                                                     .command = {"c", 1}};
    const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                        .descriptor = &command};
    const struct fletch_flight_output output = {.batch = scene.batch, .app_metadata = {"m", 1}};
    struct fletch_schema *schema =
        (struct fletch_schema *)(uintptr_t)fletch_batch_schema(scene.batch);
    struct fletch_flight_data data;
    struct fletch_error error = {.status = FLETCH_OK};
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_EXCHANGE, 0);
    uint32_t count = 0;
    if (stream == NULL)
        return false;
    bool goes_on = fletch_flight_stream_begin(stream, schema, &options, &error) == FLETCH_OK;
    for (; goes_on && count < BATCHES; count += goes_on) {
        goes_on = flight_scene_write(&scene, stream, &output, &error) == FLETCH_DONE &&
                  flight_scene_read(&scene, stream, &data, &error) == FLETCH_DONE;
        if (goes_on)
            fletch_batch_release(scene.rpc.pool.cache, data.batch);
    }
    fletch_flight_stream_done_writing(stream);
    if (!goes_on)
        fletch_flight_stream_cancel(stream);
    check_end(stream);
    fletch_flight_stream_close(stream);
    return goes_on;
}

static bool act(const char *type)
{
    const struct fletch_flight_action action = {type, {"body", 4}};
    struct fletch_error error = {.status = FLETCH_OK};
    const void *made;
    struct fletch_flight_stream *stream =
        flight_scene_call(&scene, FLETCH_FLIGHT_METHOD_DO_ACTION, 0);
    if (stream == NULL)
        return false;
    if (fletch_flight_stream_send(stream, FLETCH_FLIGHT_ACTION, &action, 0, &error) != FLETCH_DONE)
        fletch_flight_stream_cancel(stream);
    fletch_flight_stream_done_writing(stream);
    bool is_told =
        flight_scene_receive(&scene, stream, FLETCH_FLIGHT_RESULT, &made, &error) == FLETCH_DONE;
    if (is_told)
        fletch_flight_release(made);
    else
        fletch_flight_stream_cancel(stream);
    is_told |= error.status == FLETCH_PERMISSION_DENIED;
    (void)flight_scene_wait(&scene, stream);
    fletch_flight_stream_close(stream);
    return is_told;
}

/* Returns how many of four calls went well. */
static uint32_t call_all(void)
{
    uint32_t count = 0;
    for (int i = 0; i < 4; i++) {
        rpc_scene_turns_for(&scene.rpc, 1000000); /* a connection that has failed is noticed */
        count += i == 0 ? get() : i == 1 ? exchange() : act(i == 2 ? "echo" : "fail");
    }
    return count;
}

static void each_allocation_may_fail(void **state)
{
    static struct failing_allocator failing;
    uint64_t n = 0;
    (void)state;
    do {
        failing_allocator_start(&failing, 0);
        flight_scene_prepare(&scene, &failing.allocator);
        failing.fail_at = failing.requests + ++n;
        /* One call at most has met the failure. */
        if (flight_scene_start(&scene))
            assert_true(call_all() + 1 >= 4);
        flight_scene_end(&scene);
        assert_int_equal(failing.live_bytes, 0);
    } while (failing.failures != 0 && n < TRIES_MOST);
    assert_int_equal(failing.failures, 0);
    assert_true(n > 60);
}

static void account_has_little_room(void **state)
{
    (void)state;
    bool is_whole = false;
    for (uint64_t limit = 64; !is_whole; limit += limit / 8) {
        flight_scene_prepare(&scene, NULL);
        struct fletch_account *account = account_make(scene.rpc.pool.account, "small", limit, 0);
        scene.account = account;
        assert_true(flight_scene_start(&scene));
        is_whole = call_all() == 4;
        /* The same account has room again. */
        assert_true(call_all() == 4 || !is_whole);
        fletch_account_close(account);
        flight_scene_end(&scene);
        assert_true(limit < UINT64_C(1) << 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_may_fail),
                                       cmocka_unit_test(account_has_little_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
