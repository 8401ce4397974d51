#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/failing_net.h"

#define MS_NS UINT64_C(1000000)

enum { CLIENTS_MOST = 150 };

struct scene {
    struct failing_net net;
    struct fletch_event_loop *loop;
    struct fletch_listener *listener;
    int accepted;
    int fds[CLIENTS_MOST]; /* accepted */
    int clients[CLIENTS_MOST];
    int client_count;
    int destroys_at; /* the listener, when so many are accepted; 0: never */
    struct fletch_socket_address last_peer;
};

static struct scene scene;

static void on_accepted(void *context, int fd, const struct fletch_socket_address *peer)
{
    struct scene *self = context;
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    self->fds[self->accepted++] = fd;
    self->last_peer = *peer;
    if (self->accepted == self->destroys_at) {
        fletch_listener_destroy(self->listener);
        self->listener = NULL;
    }
}

static enum fletch_status listen_at(const char *text, struct fletch_error *error)
{
    struct fletch_listener_options options = {
        .loop = scene.loop, .accepted = on_accepted, .context = &scene};
    assert_ok(fletch_socket_address_parse(text, &options.address, NULL));
    return fletch_listener_create(&options, &scene.listener, error);
}

static int set_up(void **state)
{
    (void)state;
    memset(&scene, 0, sizeof scene);
    failing_net_start(&scene.net);
    const struct fletch_event_loop_options options = {.io = &scene.net.io, .spin_ns = UINT64_MAX};
    assert_ok(fletch_event_loop_create(&options, &scene.loop, NULL));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < scene.accepted; i++)
        scene.net.io.close(&scene.net, scene.fds[i]);
    for (int i = 0; i < scene.client_count; i++)
        close(scene.clients[i]);
    fletch_listener_destroy(scene.listener);
    fletch_event_loop_destroy(scene.loop);
    assert_int_equal(scene.net.descriptors, 0);
    return 0;
}

static void add_clients(int count)
{
    const struct fletch_socket_address *address = fletch_listener_address(scene.listener);
    for (int i = 0; i < count; i++) {
        int fd = socket(address->as.any.sa_family, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, &address->as.any, address->bytes), 0);
        scene.clients[scene.client_count++] = fd;
    }
}

static void turn_for(uint64_t ns)
{
    uint64_t end_ns = fletch_clock_now_ns() + ns;
    while (fletch_clock_now_ns() < end_ns)
        (void)fletch_event_loop_turn(scene.loop, fletch_clock_remaining_ns(end_ns));
}

static struct fletch_listener_statistics statistics(void)
{
    struct fletch_listener_statistics got;
    fletch_listener_statistics(scene.listener, &got);
    return got;
}

static void more_than_a_turn_takes_are_accepted(void **state)
{
    (void)state;
    assert_ok(listen_at("127.0.0.1:0", NULL));
    add_clients(CLIENTS_MOST);
    turn_for(20 * MS_NS);
    assert_int_equal(scene.accepted, CLIENTS_MOST);
    assert_int_equal(statistics().accepted, CLIENTS_MOST);
    assert_int_equal(statistics().failed, 0);
    assert_contains(fletch_socket_address_text(&scene.last_peer).text, "127.0.0.1:");
}

static void a_listener_may_be_destroyed_by_what_it_calls(void **state)
{
    (void)state;
    scene.destroys_at = 2;
    assert_ok(listen_at("127.0.0.1:0", NULL));
    add_clients(3);
    turn_for(10 * MS_NS);
    assert_int_equal(scene.accepted, 2);
    assert_null(scene.listener);
}

static void unix_sockets_are_files_of_their_listener(void **state)
{
    char directory[] = "fletch-listener-XXXXXX";
    char text[64];
    struct fletch_error error;
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(text, sizeof text, "unix:%s/socket", directory);
    assert_ok(listen_at(text, NULL));
    add_clients(2);
    turn_for(5 * MS_NS);
    assert_int_equal(scene.accepted, 2);
    assert_string_equal(fletch_socket_address_text(&scene.last_peer).text, "unix:");
    struct fletch_listener *first = scene.listener;
    assert_int_equal(listen_at(text, &error), FLETCH_ALREADY_EXISTS);
    assert_contains(error.message, text);
    assert_int_equal(access(text + 5, F_OK), 0); /* the second one has not removed it */
    fletch_listener_destroy(first);
    scene.listener = NULL;
    assert_int_not_equal(access(text + 5, F_OK), 0);
    assert_ok(listen_at("unix:@fletch-test-listener", NULL));
    add_clients(1);
    turn_for(5 * MS_NS);
    assert_int_equal(scene.accepted, 3);
    assert_int_equal(rmdir(directory), 0);
}

/* No descriptor is left: connections wait, the loop sleeps, and goes on by itself. */
static void running_out_of_descriptors_is_waited_out(void **state)
{
    static const int numbers[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    (void)state;
    assert_ok(listen_at("127.0.0.1:0", NULL));
    for (int i = 0; i < 4; i++) {
        scene.net.calls = NET_ACCEPT;
        scene.net.counted = 0;
        scene.net.fail_at = 2;
        scene.net.goes_on = true;
        scene.net.number = numbers[i];
        scene.net.waits = 0;
        int before = scene.accepted;
        uint64_t pauses = statistics().pauses;
        add_clients(3);
        turn_for(130 * MS_NS);
        assert_int_equal(scene.accepted, before + 1);
        assert_in_range(statistics().pauses - pauses, 2, 4);
        assert_in_range(scene.net.waits, 1, 12);
        add_clients(1); /* an edge in a pause does not end it, nor is it forgotten */
        scene.net.fail_at = 0;
        turn_for(80 * MS_NS);
        assert_int_equal(scene.accepted, before + 4);
    }
}

static void connections_that_ended_too_early_are_counted(void **state)
{
    static const int numbers[] = {ECONNABORTED, EPROTO, ENETDOWN, EPERM, EINTR};
    (void)state;
    assert_ok(listen_at("127.0.0.1:0", NULL));
    for (int i = 0; i < 5; i++) {
        scene.net.calls = NET_ACCEPT;
        scene.net.counted = 0;
        scene.net.fail_at = 1;
        scene.net.number = numbers[i];
        add_clients(2);
        turn_for(5 * MS_NS);
        assert_int_equal(scene.accepted, 2 * (i + 1));
    }
    assert_int_equal(statistics().failed, 4); /* an interruption is none */
    assert_int_equal(statistics().pauses, 0);
}

static void failing_for_ever_does_not_keep_the_loop(void **state)
{
    (void)state;
    assert_ok(listen_at("127.0.0.1:0", NULL));
    scene.net.calls = NET_ACCEPT;
    scene.net.fail_at = 1;
    scene.net.goes_on = true;
    scene.net.number = ECONNABORTED;
    add_clients(1);
    for (int i = 0; i < 3; i++)
        assert_true(fletch_event_loop_turn(scene.loop, 10 * MS_NS)); /* each of them ends */
    scene.net.fail_at = 0;
    turn_for(5 * MS_NS);
    assert_int_equal(scene.accepted, 1);
}

static void creating_with_the_nth_failure(void **state)
{
    struct fletch_error error;
    (void)state;
    for (uint64_t n = 1;; n++) {
        int64_t descriptors = scene.net.descriptors;
        scene.net.counted = 0;
        scene.net.fail_at = n;
        scene.net.number = ENOMEM;
        if (listen_at("127.0.0.1:0", &error) == FLETCH_OK) {
            assert_int_equal(n, 6); /* socket, option, bind, listen, watch */
            break;
        }
        assert_int_equal(error.status, FLETCH_RESOURCE_EXHAUSTED);
        assert_int_equal(scene.net.descriptors, descriptors);
    }
    scene.net.fail_at = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(more_than_a_turn_takes_are_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_listener_may_be_destroyed_by_what_it_calls, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(unix_sockets_are_files_of_their_listener, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(running_out_of_descriptors_is_waited_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(connections_that_ended_too_early_are_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(failing_for_ever_does_not_keep_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(creating_with_the_nth_failure, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
