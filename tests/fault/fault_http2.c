#include <stdio.h>

#include "support/cmocka_tests.h"
#include "support/http2_user.h"

/* Calls over two connections with the n-th allocation of one of them failing, for n = 1, 2, … until
 * none fails: the connection or a stream ends with a reason, nothing is leaked, and what was sent
 * comes back exactly once. */

enum { CALLS = 20, CALL_BYTES = 20000, TRIES_MOST = 2000 };

static bool start(struct http2_joint *joint, uint64_t client_fails, uint64_t server_fails)
{
    const struct fletch_http2_options options = {.is_server = true};
    *joint = (struct http2_joint){.random = fletch_random_from_seed(7)};
    bool is_client = http2_user_start(&joint->client, NULL, client_fails);
    bool is_server = http2_user_start(&joint->server, &options, server_fails);
    joint->server.react = http2_user_echo;
    return is_client && is_server;
}

/* Returns how many streams were opened. */
static uint32_t call(struct http2_joint *joint)
{
    uint32_t opened = 0;
    for (uint32_t i = 0; i < CALLS; i++) {
        struct fletch_http2_stream *stream = NULL;
        struct fletch_error error;
        enum fletch_status status = http2_user_try_open(&joint->client, false, &stream, &error);
        if (status != FLETCH_OK) {
            assert_true(status == FLETCH_RESOURCE_EXHAUSTED || status == FLETCH_UNAVAILABLE);
            continue;
        }
        fletch_http2_stream_send(stream, test_data(CALL_BYTES, 0, true));
        opened++;
    }
    http2_joint_run(joint);
    fletch_http2_connection_shutdown(joint->server.connection);
    http2_joint_run(joint);
    return opened;
}

/* Each stream of the client has had its answer or its reset. */
static void check_calls(struct http2_joint *joint, uint32_t opened)
{
    uint32_t ended = 0;
    for (uint32_t i = 0; i < joint->client.stream_count; i++) {
        struct seen_stream *seen = &joint->client.streams[i];
        if (seen->is_reset)
            assert_true(seen->text[0] != 0);
        else if (seen->has_ended)
            http2_joint_check_echo(joint, seen->id, CALL_BYTES);
        ended += seen->is_reset || seen->has_ended;
    }
    if (joint->server.is_closed && !joint->client.is_closed) {
        fletch_http2_connection_ended(joint->client.connection);
        http2_user_events(&joint->client);
    } else if (!joint->client.is_closed) {
        assert_int_equal(ended, opened);
    }
}

static bool try(uint64_t client_fails, uint64_t server_fails)
{
    struct http2_joint joint;
    test_data_sent = 0;
    test_data_dropped = 0;
    if (start(&joint, client_fails, server_fails)) {
        uint32_t opened = call(&joint);
        check_calls(&joint, opened);
        if (joint.client.allocator.failures + joint.server.allocator.failures == 0)
            assert_int_equal(test_data_sent, 3 * CALLS);
    }
    bool has_failed = joint.client.allocator.failures + joint.server.allocator.failures != 0;
    http2_user_end(&joint.client);
    http2_user_end(&joint.server);
    return has_failed;
}

static void test_client_without_memory(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (try(n, 0))
        assert_true(++n < TRIES_MOST);
    printf("%u allocations of a client\n", (unsigned)n - 1);
    assert_true(n > 20);
}

static void test_server_without_memory(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (try(0, n))
        assert_true(++n < TRIES_MOST);
    printf("%u allocations of a server\n", (unsigned)n - 1);
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_without_memory),
        cmocka_unit_test(test_server_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
