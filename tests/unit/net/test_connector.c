#include "net/connector.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/listener.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/failing_net.h"

#define MS_NS UINT64_C(1000000)

/* A connector with real sockets of this host. An address that does not answer is one whose listener
 * has a full queue: the system drops who comes then. */

enum { ADDRESSES_MOST = 8 };

struct scene {
    struct failing_net net;
    struct counting_allocator counting;
    struct fletch_event_loop *loop;
    struct fletch_connector *connector;
    struct fletch_socket_address addresses[ADDRESSES_MOST];
    int listeners[ADDRESSES_MOST]; /* -1: refused */
    int fillers[ADDRESSES_MOST];   /* -1: there is room */
    size_t count;
    int done_calls;
    int fd;
    struct fletch_socket_address peer;
    struct fletch_error error;
};

static struct scene scene;

static void on_done(void *context, const struct fletch_connected *connected)
{
    struct scene *self = context;
    self->done_calls++;
    self->connector = NULL;
    self->fd = connected->fd;
    self->peer = *connected->peer;
    if (connected->error != NULL)
        self->error = *connected->error;
}

static int set_up(void **state)
{
    (void)state;
    memset(&scene, 0, sizeof scene);
    failing_net_start(&scene.net);
    counting_allocator_start(&scene.counting, 0);
    scene.fd = -1;
    const struct fletch_event_loop_options options = {
        .io = &scene.net.io, .spin_ns = UINT64_MAX, .allocator = &scene.counting.allocator};
    assert_ok(fletch_event_loop_create(&options, &scene.loop, NULL));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < scene.count; i++) {
        if (scene.listeners[i] >= 0)
            close(scene.listeners[i]);
        if (scene.fillers[i] >= 0)
            close(scene.fillers[i]);
    }
    if (scene.fd >= 0)
        scene.net.io.close(&scene.net, scene.fd);
    fletch_connector_destroy(scene.connector);
    fletch_event_loop_destroy(scene.loop);
    assert_int_equal(scene.net.descriptors, 0);
    assert_int_equal(scene.counting.live_bytes, 0);
    return 0;
}

enum kind { ANSWERS, REFUSES, SILENT };

static void add(enum kind kind, const char *where)
{
    struct fletch_socket_listening listening = {.io = &fletch_net_system_io,
                                                .backlog = kind == SILENT ? 0 : 16};
    size_t i = scene.count++;
    scene.fillers[i] = -1;
    assert_ok(fletch_socket_address_parse(where, &listening.address, NULL));
    assert_ok(fletch_socket_listen(&listening, &scene.listeners[i], &scene.addresses[i], NULL));
    if (kind == REFUSES) {
        close(scene.listeners[i]);
        scene.listeners[i] = -1;
    }
    if (kind == SILENT) {
        const struct fletch_socket_address *address = &scene.addresses[i];
        scene.fillers[i] = socket(address->as.any.sa_family, SOCK_STREAM, 0);
        assert_int_equal(connect(scene.fillers[i], &address->as.any, address->bytes), 0);
    }
}

static struct fletch_connector_options options(void)
{
    return (struct fletch_connector_options){.loop = scene.loop,
                                             .addresses = scene.addresses,
                                             .address_count = scene.count,
                                             .done = on_done,
                                             .context = &scene};
}

static void run(const struct fletch_connector_options *wanted)
{
    assert_ok(fletch_connector_create(wanted, &scene.connector, NULL));
    assert_int_equal(scene.done_calls, 0); /* never from within */
    uint64_t end_ns = fletch_clock_now_ns() + 10000 * MS_NS;
    while (scene.done_calls == 0 && fletch_clock_now_ns() < end_ns)
        (void)fletch_event_loop_turn(scene.loop, 100 * MS_NS);
    (void)fletch_event_loop_turn(scene.loop, 0);
    assert_int_equal(scene.done_calls, 1);
}

static void expect_peer(size_t index)
{
    assert_true(scene.fd >= 0);
    assert_string_equal(fletch_socket_address_text(&scene.peer).text,
                        fletch_socket_address_text(&scene.addresses[index]).text);
}

static void the_first_address_that_answers_is_taken(void **state)
{
    (void)state;
    add(ANSWERS, "127.0.0.1:0");
    add(ANSWERS, "127.0.0.2:0");
    const struct fletch_connector_options wanted = options();
    run(&wanted);
    expect_peer(0);
    assert_int_equal(scene.error.status, FLETCH_OK);
}

static void unix_sockets_connect_too(void **state)
{
    (void)state;
    add(ANSWERS, "unix:@fletch-test-connector");
    const struct fletch_connector_options wanted = options();
    run(&wanted);
    expect_peer(0);
}

static void refused_addresses_are_passed_over_at_once(void **state)
{
    (void)state;
    add(REFUSES, "127.0.0.1:0");
    add(REFUSES, "127.0.0.2:0");
    add(ANSWERS, "127.0.0.3:0");
    struct fletch_connector_options wanted = options();
    wanted.stagger_ns = 5000 * MS_NS;
    uint64_t begin_ns = fletch_clock_now_ns();
    run(&wanted);
    expect_peer(2);
    assert_true(fletch_clock_now_ns() - begin_ns < 2000 * MS_NS);
}

static void silent_addresses_are_passed_over_after_a_while(void **state)
{
    (void)state;
    add(SILENT, "127.0.0.1:0");
    add(ANSWERS, "127.0.0.2:0");
    struct fletch_connector_options wanted = options();
    wanted.stagger_ns = 50 * MS_NS;
    uint64_t begin_ns = fletch_clock_now_ns();
    run(&wanted);
    expect_peer(1);
    assert_true(fletch_clock_now_ns() - begin_ns >= 50 * MS_NS);
}

/* Three of one family, then two of another: they take turns. The calls are made to fail, and the
 * last failure names the last address. */
static void families_take_turns(void **state)
{
    static const char *const given[] = {"[::1]:1", "[::1]:2", "[::1]:3", "127.0.0.1:4",
                                        "127.0.0.1:5"};
    static const char *const tried[] = {"[::1]:1", "127.0.0.1:4", "[::1]:2", "127.0.0.1:5",
                                        "[::1]:3"};
    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_ok(fletch_socket_address_parse(given[i], &scene.addresses[i], NULL));
    scene.net.calls = NET_OPEN;
    scene.net.counted = 0;
    scene.net.fail_at = 1;
    scene.net.goes_on = true;
    scene.net.number = EAFNOSUPPORT;
    struct fletch_connector_options wanted = options();
    wanted.address_count = 5;
    assert_ok(fletch_connector_create(&wanted, &scene.connector, NULL));
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(scene.done_calls, 0);
        (void)fletch_event_loop_turn(scene.loop, 100 * MS_NS);
        assert_int_equal(scene.net.counted, i + 1);
    }
    assert_int_equal(scene.done_calls, 1);
    assert_contains(scene.error.message, tried[4]);
    assert_int_equal(scene.error.status, FLETCH_UNAVAILABLE);
    assert_string_equal(fletch_socket_address_text(&scene.peer).text, tried[0]);
}

static void all_failing_tells_the_last_failure(void **state)
{
    (void)state;
    add(REFUSES, "127.0.0.1:0");
    add(REFUSES, "127.0.0.2:0");
    const struct fletch_connector_options wanted = options();
    run(&wanted);
    assert_int_equal(scene.fd, -1);
    assert_int_equal(scene.error.status, FLETCH_UNAVAILABLE);
    assert_contains(scene.error.message, "127.0.0.2:");
    assert_contains(scene.error.message, "refused");
}

static void the_deadline_ends_it(void **state)
{
    (void)state;
    add(SILENT, "127.0.0.1:0");
    struct fletch_connector_options wanted = options();
    uint64_t begin_ns = fletch_clock_now_ns();
    wanted.deadline_ns = begin_ns + 60 * MS_NS;
    run(&wanted);
    assert_int_equal(scene.fd, -1);
    assert_int_equal(scene.error.status, FLETCH_DEADLINE_EXCEEDED);
    assert_contains(scene.error.message, "127.0.0.1:");
    assert_true(fletch_clock_now_ns() - begin_ns >= 60 * MS_NS);
}

/* The clock is the test's, so that minutes of backoff pass in no time. */
static void failures_are_tried_again_with_growing_pauses(void **state)
{
    (void)state;
    scene.net.clock_ns = 1000000 * MS_NS;
    fletch_event_loop_destroy(scene.loop);
    const struct fletch_event_loop_options again = {
        .io = &scene.net.io, .spin_ns = UINT64_MAX, .allocator = &scene.counting.allocator};
    assert_ok(fletch_event_loop_create(&again, &scene.loop, NULL));
    add(REFUSES, "127.0.0.1:0");
    scene.net.calls = NET_CONNECT;
    scene.net.counted = 0;
    struct fletch_connector_options wanted = options();
    wanted.tries_again = true;
    wanted.pause_first_ns = 1000 * MS_NS;
    wanted.pause_most_ns = 60000 * MS_NS;
    wanted.deadline_ns = scene.net.clock_ns + 600000 * MS_NS;
    run(&wanted);
    assert_int_equal(scene.error.status, FLETCH_DEADLINE_EXCEEDED);
    assert_contains(scene.error.message, "refused");
    assert_true(scene.net.clock_ns >= wanted.deadline_ns);
    /* 1 + 1.6 + 2.6 … 43 s make 113, and pauses of about 60 s the rest of the 600. */
    assert_in_range(scene.net.counted, 15, 21);
}

static void a_server_that_comes_back_is_found(void **state)
{
    (void)state;
    add(ANSWERS, "127.0.0.1:0");
    scene.net.calls = NET_CONNECT;
    scene.net.counted = 0;
    scene.net.fail_at = 1;
    scene.net.number = ECONNREFUSED;
    struct fletch_connector_options wanted = options();
    wanted.tries_again = true;
    wanted.pause_first_ns = 20 * MS_NS;
    run(&wanted);
    expect_peer(0);
    assert_int_equal(scene.net.counted, 2);
}

static void an_interrupted_connect_goes_on(void **state)
{
    (void)state;
    add(ANSWERS, "127.0.0.1:0");
    scene.net.calls = NET_CONNECT;
    scene.net.counted = 0;
    scene.net.fail_at = 1;
    scene.net.number = EINTR;
    const struct fletch_connector_options wanted = options();
    run(&wanted);
    expect_peer(0);
}

static void giving_up_calls_nothing_and_leaves_nothing(void **state)
{
    (void)state;
    add(SILENT, "127.0.0.1:0");
    add(SILENT, "127.0.0.2:0");
    struct fletch_connector_options wanted = options();
    wanted.stagger_ns = MS_NS;
    assert_ok(fletch_connector_create(&wanted, &scene.connector, NULL));
    for (int i = 0; i < 5; i++)
        (void)fletch_event_loop_turn(scene.loop, 2 * MS_NS);
    fletch_connector_destroy(scene.connector);
    scene.connector = NULL;
    (void)fletch_event_loop_turn(scene.loop, 2 * MS_NS);
    assert_int_equal(scene.done_calls, 0);
}

static void the_nth_call_failing_is_told_or_passed_over(void **state)
{
    static const int numbers[] = {EMFILE, ECONNRESET};
    (void)state;
    add(ANSWERS, "127.0.0.1:0");
    add(ANSWERS, "127.0.0.2:0");
    for (size_t i = 0; i < 2; i++) {
        for (uint64_t n = 1;; n++) {
            scene.net.calls = NET_ALL & ~(uint32_t)NET_POLL_WAIT;
            scene.net.counted = 0;
            scene.net.failures = 0;
            scene.net.fail_at = n;
            scene.net.number = numbers[i];
            scene.done_calls = 0;
            const struct fletch_connector_options wanted = options();
            run(&wanted);
            assert_true(scene.fd >= 0); /* the second address answers */
            scene.net.io.close(&scene.net, scene.fd);
            scene.fd = -1;
            if (scene.net.failures == 0)
                break;
        }
    }
}

static void bad_wishes_and_no_memory_are_refused(void **state)
{
    struct fletch_error error;
    (void)state;
    struct fletch_connector_options wanted = options();
    assert_int_equal(fletch_connector_create(&wanted, &scene.connector, &error),
                     FLETCH_INVALID_ARGUMENT);
    wanted.address_count = FLETCH_CONNECTOR_ADDRESSES_MOST + 1;
    assert_int_equal(fletch_connector_create(&wanted, &scene.connector, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "17");
    add(ANSWERS, "127.0.0.1:0");
    wanted = options();
    scene.counting.fail_at = scene.counting.requests + 1;
    assert_int_equal(fletch_connector_create(&wanted, &scene.connector, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    fletch_connector_destroy(NULL);
}

#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(the_first_address_that_answers_is_taken),
        SCENE_TEST(unix_sockets_connect_too),
        SCENE_TEST(refused_addresses_are_passed_over_at_once),
        SCENE_TEST(silent_addresses_are_passed_over_after_a_while),
        SCENE_TEST(families_take_turns),
        SCENE_TEST(all_failing_tells_the_last_failure),
        SCENE_TEST(the_deadline_ends_it),
        SCENE_TEST(failures_are_tried_again_with_growing_pauses),
        SCENE_TEST(a_server_that_comes_back_is_found),
        SCENE_TEST(an_interrupted_connect_goes_on),
        SCENE_TEST(giving_up_calls_nothing_and_leaves_nothing),
        SCENE_TEST(the_nth_call_failing_is_told_or_passed_over),
        SCENE_TEST(bad_wishes_and_no_memory_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
