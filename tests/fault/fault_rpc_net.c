#include <errno.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/failing_allocator.h"
#include "support/failing_net.h"
#include "support/rpc_scene.h"

/* Whole calls between a server and a channel with the n-th call of the system failing, for each n
 * until there is none: each call that was begun ends once, undamaged if it ends well; the next ones
 * are answered, on another connection where that one was lost; and nothing is left behind. */

enum { CALLS = 4, TRIES_MOST = 3000, MESSAGE_BYTES = 150000 };
#define MS_NS UINT64_C(1000000)
#define SECOND_NS (1000 * MS_NS)

static struct rpc_scene scene;
static struct failing_net net;
static struct failing_allocator counting;

static const char *const addresses[] = {"127.0.0.1:0", "unix:@fletch-fault-rpc"};

/* False: server or channel cannot be made, and says why. */
static bool create(const char *address)
{
    struct fletch_error error;
    const struct fletch_rpc_server_options options = rpc_scene_server_options(&scene, address);
    enum fletch_status status = fletch_rpc_server_create(&options, &scene.server, &error);
    if (status == FLETCH_OK) {
        const struct fletch_rpc_channel_options channel =
            rpc_scene_channel_options(&scene, fletch_rpc_server_address(scene.server));
        status = fletch_rpc_channel_create(&channel, &scene.channel, &error);
    }
    if (status != FLETCH_OK)
        assert_true(strlen(error.message) > 10);
    return status == FLETCH_OK;
}

/* Returns how many were answered. They wait for their connection, so that a lost one makes at most
 * those fail that it had. */
static uint32_t call_all(void)
{
    static const char *const paths[CALLS] = {RPC_ECHO, RPC_COLLECT, RPC_ECHO, RPC_EXPAND};
    const struct rpc_expansion wanted = {3, MESSAGE_BYTES};
    struct rpc_probe probes[CALLS];
    uint32_t answered = 0;
    for (uint32_t i = 0; i < CALLS; i++) {
        struct rpc_probe *probe = &probes[i];
        bool expands = i == CALLS - 1;
        *probe = (struct rpc_probe){.scene = &scene,
                                    .waits = true,
                                    .stays_open = expands,
                                    .to_send = expands ? 0 : 1 + i % 2,
                                    .bytes = MESSAGE_BYTES};
        assert_ok(rpc_probe_begin(probe, paths[i], 10 * SECOND_NS));
        if (expands)
            rpc_probe_send(probe, &wanted, sizeof wanted);
        if (i % 2 == 0)
            continue; /* two at a time */
        for (uint32_t k = i - 1; k <= i; k++)
            rpc_scene_until(&scene, &probes[k].ends, 1);
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        const struct rpc_probe *probe = &probes[i];
        assert_int_equal(probe->ends, 1);
        assert_true(probe->status == FLETCH_OK || probe->status == FLETCH_UNAVAILABLE);
        assert_true(probe->status == FLETCH_OK || strlen(probe->text) > 10);
        if (probe->status != FLETCH_OK)
            continue;
        answered++;
        assert_int_equal(i == 1 ? 0 : probe->wrong, 0); /* a sum has no pattern */
        assert_int_equal(probe->messages, i == 1 ? 1 : i == 3 ? 3 : 1);
    }
    return answered;
}

/* One run; true: everything was answered. */
static bool run(const char *address)
{
    uint64_t fail_at = net.fail_at;
    net.fail_at = 0; /* the loop cannot be without its calls */
    failing_allocator_start(&counting, 0);
    rpc_scene_prepare_with(&scene, &counting.allocator, &net.io);
    net.counted = 0;
    net.fail_at = fail_at;
    uint32_t answered = create(address) ? call_all() : 0;
    if (scene.channel != NULL && scene.server != NULL)
        assert_true(answered >= CALLS - 2); /* those of one connection */
    rpc_scene_end(&scene);
    assert_int_equal(net.descriptors, 0);
    assert_int_equal(counting.live_bytes, 0);
    return answered == CALLS;
}

static void fail_each(const char *address, uint32_t calls, int number, bool is_harmless)
{
    for (uint64_t n = 1; n < TRIES_MOST; n++) {
        failing_net_start(&net);
        net.calls = calls;
        net.fail_at = n;
        net.number = number;
        bool is_whole = run(address);
        if (is_harmless || net.failures == 0)
            assert_true(is_whole);
        if (net.failures == 0) {
            assert_true(n > 2);
            return;
        }
    }
    fail_msg("there are more than %d calls", TRIES_MOST);
}

enum { DATA_CALLS = NET_RECEIVE | NET_SEND };

static void interruptions_change_nothing(void **state)
{
    (void)state;
    fail_each(addresses[0], DATA_CALLS | NET_ACCEPT | NET_CONNECT | NET_POLL_WAIT, EINTR, true);
    fail_each(addresses[1], DATA_CALLS | NET_ACCEPT | NET_POLL_WAIT, EINTR, true);
}

static void nothing_yet_is_waited_for(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++)
        fail_each(addresses[a], DATA_CALLS | NET_ACCEPT, EAGAIN, true);
}

static void short_transfers_change_nothing(void **state)
{
    static const size_t most[] = {1500, 4096, 60000};
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
            failing_net_start(&net);
            net.most_bytes = most[i];
            assert_true(run(addresses[a]));
        }
    }
}

static void small_socket_buffers_change_nothing(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        for (int bytes = 6000; bytes < 60000; bytes += 18000) {
            failing_net_start(&net);
            net.socket_bytes = bytes; /* EAGAIN all the time, to both sides */
            assert_true(run(addresses[a]));
        }
    }
}

static void a_lost_connection_is_made_again(void **state)
{
    static const int numbers[] = {ECONNRESET, EPIPE, ENOMEM};
    (void)state;
    for (size_t a = 0; a < 2; a++)
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            fail_each(addresses[a], DATA_CALLS, numbers[i], false);
}

static void what_cannot_be_made_says_so(void **state)
{
    const uint32_t calls = NET_OPEN | NET_BIND | NET_LISTEN | NET_CONNECT | NET_PENDING_ERROR |
                           NET_SHUT_SENDING | NET_POLL_ADD;
    static const int numbers[] = {EMFILE, ENOMEM, ECONNREFUSED};
    (void)state;
    for (size_t a = 0; a < 2; a++)
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            fail_each(addresses[a], calls, numbers[i], false);
}

/* Without descriptors the connection stays in the queue of the listener, and calls wait. */
static void accepting_without_descriptors_is_tried_again(void **state)
{
    static const int numbers[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED};
    (void)state;
    for (size_t a = 0; a < 2; a++)
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            fail_each(addresses[a], NET_ACCEPT, numbers[i], true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interruptions_change_nothing),
        cmocka_unit_test(nothing_yet_is_waited_for),
        cmocka_unit_test(short_transfers_change_nothing),
        cmocka_unit_test(small_socket_buffers_change_nothing),
        cmocka_unit_test(a_lost_connection_is_made_again),
        cmocka_unit_test(what_cannot_be_made_says_so),
        cmocka_unit_test(accepting_without_descriptors_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
