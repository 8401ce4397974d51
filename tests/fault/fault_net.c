#include <fletching/wait.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connector.h"
#include "net/listener.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/failing_net.h"
#include "support/net_streams.h"

/* A client connects to a listener, and both ends exchange bytes, with the n-th call of the system
 * failing, for every n, and with the n-th allocation failing: everything that began ends, once,
 * with a cause; nothing is left behind; and no byte is another than was sent. */

enum { CLIENT, SERVER, ENDS };
enum { CLIENT_BYTES = 300000, SERVER_BYTES = 100000, TURNS_MOST = 4000, CALLS_MOST = 3000 };

#define MS_NS UINT64_C(1000000)

struct scene {
    struct failing_net net;
    struct counting_allocator counting;
    struct fletch_event_loop *loop;
    struct fletch_listener *listener;
    struct fletch_connector *connector;
    struct stream_end ends[ENDS];
    bool begun[ENDS];
    bool connector_is_done;
    int small_buffers;           /* bytes; 0: the system's */
    struct fletch_error failure; /* of what failed first */
};

static struct scene scene;

static void note(const struct fletch_error *error)
{
    if (scene.failure.status == FLETCH_OK)
        scene.failure = *error;
}

static void shrink(int fd)
{
    if (scene.small_buffers == 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &scene.small_buffers, sizeof scene.small_buffers);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &scene.small_buffers, sizeof scene.small_buffers);
}

static void begin(int which, int fd, const struct fletch_socket_address *peer)
{
    struct stream_end *end = &scene.ends[which];
    const struct fletch_connection_options options = {
        .loop = scene.loop, .fd = fd, .peer = peer, .handler = &stream_end_handler, .context = end};
    struct fletch_error error;
    shrink(fd);
    if (fletch_connection_create(&options, &end->connection, &error) == FLETCH_OK) {
        scene.begun[which] = true;
        return;
    }
    note(&error);
    scene.net.io.close(&scene.net, fd);
}

static void on_accepted(void *context, int fd, const struct fletch_socket_address *peer)
{
    (void)context;
    begin(SERVER, fd, peer);
}

static void on_connected(void *context, const struct fletch_connected *connected)
{
    (void)context;
    scene.connector_is_done = true;
    scene.connector = NULL;
    if (connected->error != NULL)
        note(connected->error);
    else
        begin(CLIENT, connected->fd, connected->peer);
}

static enum fletch_status open_scene(const char *address)
{
    const struct fletch_event_loop_options loop = {
        .io = &scene.net.io, .spin_ns = FLETCH_OFF, .allocator = &scene.counting.allocator};
    enum fletch_status status = fletch_event_loop_create(&loop, &scene.loop, &scene.failure);
    if (status != FLETCH_OK)
        return status;
    struct fletch_listener_options listener = {.loop = scene.loop, .accepted = on_accepted};
    assert_ok(fletch_socket_address_parse(address, &listener.address, NULL));
    status = fletch_listener_create(&listener, &scene.listener, &scene.failure);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_connector_options connector = {.loop = scene.loop,
                                                       .addresses =
                                                           fletch_listener_address(scene.listener),
                                                       .address_count = 1,
                                                       .done = on_connected};
    return fletch_connector_create(&connector, &scene.connector, &scene.failure);
}

static bool is_settled(void)
{
    bool client_is =
        scene.connector_is_done && (!scene.begun[CLIENT] || scene.ends[CLIENT].closed_calls != 0);
    bool server_is = scene.begun[SERVER] && scene.ends[SERVER].closed_calls != 0;
    /* A client that failed may have done so before the server saw anything of it. */
    return client_is && (server_is || (scene.failure.status != FLETCH_OK && !scene.begun[SERVER]));
}

static void close_scene(void)
{
    for (int i = 0; i < ENDS; i++)
        if (scene.ends[i].connection != NULL)
            fletch_connection_close(scene.ends[i].connection, NULL);
    fletch_connector_destroy(scene.connector);
    fletch_listener_destroy(scene.listener);
    fletch_event_loop_destroy(scene.loop);
}

/* One run. Whether both ends have got everything. */
static bool exchange(const char *address)
{
    stream_end_start(&scene.ends[CLIENT], 1, CLIENT_BYTES, SERVER_BYTES);
    stream_end_start(&scene.ends[SERVER], 2, SERVER_BYTES, CLIENT_BYTES);
    scene.ends[CLIENT].told_certain = 100000;
    scene.ends[SERVER].told_certain = UINT64_MAX;
    enum fletch_status status = open_scene(address);
    for (int i = 0; status == FLETCH_OK && !is_settled(); i++) {
        assert_true(i < TURNS_MOST);
        (void)fletch_event_loop_turn(scene.loop, 200 * MS_NS);
    }
    close_scene();
    bool is_whole = true;
    for (int i = 0; i < ENDS; i++) {
        const struct stream_end *end = &scene.ends[i];
        assert_int_equal(end->wrong, 0);
        assert_int_equal(end->closed_calls, scene.begun[i]);
        assert_true(end->ended_calls <= 1);
        if (end->closed_cause.status != FLETCH_OK)
            note(&end->closed_cause);
        is_whole = is_whole && end->sent == end->to_send && end->received == end->to_receive;
    }
    assert_int_equal(scene.net.descriptors, 0);
    assert_int_equal(scene.counting.live_bytes, 0);
    assert_int_equal(scene.counting.mismatched, 0);
    return is_whole;
}

static void scene_start(void)
{
    memset(&scene, 0, sizeof scene);
    failing_net_start(&scene.net);
    counting_allocator_start(&scene.counting, 0);
}

static const char *const addresses[] = {"127.0.0.1:0", "unix:@fletch-fault-net"};

/* Runs with the n-th of these calls failing until there is none. */
static void fail_each(const char *address, uint32_t calls, int number)
{
    for (uint64_t n = 1;; n++) {
        assert_true(n < CALLS_MOST);
        scene_start();
        scene.net.calls = calls;
        scene.net.fail_at = n;
        scene.net.number = number;
        bool is_whole = exchange(address);
        if (number == EINTR || scene.net.failures == 0)
            assert_true(is_whole);
        if (!is_whole) {
            assert_int_not_equal(scene.failure.status, FLETCH_OK);
            assert_true(strlen(scene.failure.message) > 10);
        }
        if (scene.net.failures == 0)
            return;
    }
}

static void interruptions_change_nothing(void **state)
{
    const uint32_t calls = NET_ACCEPT | NET_CONNECT | NET_RECEIVE | NET_SEND | NET_POLL_WAIT;
    (void)state;
    fail_each(addresses[0], calls, EINTR);
    fail_each(addresses[1], calls & ~(uint32_t)NET_CONNECT, EINTR);
}

static void failures_end_what_they_hit_and_no_more(void **state)
{
    static const int numbers[] = {ECONNRESET, ENOMEM, EPIPE};
    (void)state;
    for (size_t a = 0; a < 2; a++)
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            fail_each(addresses[a], NET_ALL & ~(uint32_t)NET_POLL_WAIT, numbers[i]);
}

/* What only makes things faster or nicer may fail. */
static void options_that_cannot_be_set_are_done_without(void **state)
{
    (void)state;
    for (uint64_t n = 2;; n++) { /* the first one is the listener's, which it needs */
        scene_start();
        scene.net.calls = NET_SET_OPTION;
        scene.net.fail_at = n;
        scene.net.goes_on = true;
        scene.net.number = EPERM;
        assert_true(exchange(addresses[0]));
        if (scene.net.failures == 0)
            break;
    }
}

static void short_transfers_change_nothing(void **state)
{
    static const size_t most[] = {977, 4096, 65536};
    (void)state;
    for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
        scene_start();
        scene.net.most_bytes = most[i];
        assert_true(exchange(addresses[1]));
    }
}

/* So that the system answers EAGAIN all the time, to both sides. */
static void small_socket_buffers_change_nothing(void **state)
{
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        for (int bytes = 10000; bytes < 100000; bytes += 15000) {
            scene_start();
            scene.small_buffers = bytes;
            assert_true(exchange(addresses[a]));
        }
    }
}

static void the_nth_allocation_failing_is_told(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        scene_start();
        scene.counting.fail_at = n;
        bool is_whole = exchange(addresses[0]);
        if (scene.counting.requests < n) {
            assert_true(is_whole);
            assert_int_equal(n, 6); /* loop, listener, connector, two connections */
            break;
        }
        assert_false(is_whole);
        assert_int_equal(scene.failure.status, FLETCH_RESOURCE_EXHAUSTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interruptions_change_nothing),
        cmocka_unit_test(failures_end_what_they_hit_and_no_more),
        cmocka_unit_test(options_that_cannot_be_set_are_done_without),
        cmocka_unit_test(short_transfers_change_nothing),
        cmocka_unit_test(small_socket_buffers_change_nothing),
        cmocka_unit_test(the_nth_allocation_failing_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
