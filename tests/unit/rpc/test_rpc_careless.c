#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/failing_net.h"
#include "support/rpc_scene.h"

/* Users who do things where and when they should not, or might not have thought of: each is
 * answered or does what it says, and nothing is left behind. */

#define MS_NS UINT64_C(1000000)

static struct rpc_scene scene;

static void check_echo(void)
{
    struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 1000};
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
    assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
    rpc_scene_until(&scene, &probe.ends, 1);
    assert_string_equal(fletch_status_name(probe.status), "OK");
}

/* ---- within handlers ---- */

enum place { BEGIN, HEADERS, MESSAGE, HALF_CLOSED, PLACES };
enum act { FINISH, CANCEL, SEND_AND_FINISH, RESPOND_TWICE, ACTS };

static enum place place;
static enum act act;
static uint32_t acted, server_ended;

static void do_at_server(struct fletch_rpc_call *call, enum place now)
{
    const struct fletch_grpc_metadata none = {NULL, 0};
    const struct fletch_grpc_ending ending = {.status = FLETCH_ABORTED, .text = "so there"};
    const struct fletch_http2_field wrong = fletch_http2_field_of("grpc-mine", "x");
    const struct fletch_grpc_ending refused = {.status = FLETCH_OK, .metadata = {&wrong, 1}};
    struct fletch_error error;
    if (place != now)
        return;
    acted++;
    switch (act) {
    case CANCEL:
        fletch_rpc_call_cancel(call);
        return;
    case SEND_AND_FINISH:
        assert_ok(fletch_rpc_call_send_copy(call, "abc", 3, NULL));
        break;
    case RESPOND_TWICE:
        assert_ok(fletch_rpc_call_respond(call, &none, NULL));
        assert_int_equal(fletch_rpc_call_respond(call, &none, &error), FLETCH_FAILED_PRECONDITION);
        /* With wrong metadata it goes on, and can be ended again. */
        assert_int_equal(fletch_rpc_call_finish(call, &refused, &error), FLETCH_INVALID_ARGUMENT);
        break;
    case FINISH:
    case ACTS:
        break;
    }
    assert_ok(fletch_rpc_call_finish(call, &ending, NULL));
}

static void server_begin(void *context, struct fletch_rpc_call *call,
                         const struct fletch_rpc_request *request)
{
    (void)context;
    (void)request;
    do_at_server(call, BEGIN);
}

static void server_message(void *context, struct fletch_rpc_call *call,
                           struct fletch_buffer *buffer, size_t bytes)
{
    (void)context;
    (void)bytes;
    fletch_buffer_release(scene.pool.cache, buffer);
    do_at_server(call, MESSAGE);
}

static void server_half_closed(void *context, struct fletch_rpc_call *call)
{
    (void)context;
    do_at_server(call, HALF_CLOSED);
}

static void server_end(void *context, struct fletch_rpc_call *call,
                       const struct fletch_rpc_end *end)
{
    (void)context;
    (void)call;
    (void)end;
    server_ended++;
}

static const struct fletch_rpc_handler server_handler = {
    .message = server_message, .half_closed = server_half_closed, .ended = server_end};

static void start_with_methods(void)
{
    rpc_scene_prepare(&scene, NULL);
    scene.methods[0].begin = server_begin;
    scene.methods[0].handler = &server_handler;
    struct fletch_rpc_server_options server = rpc_scene_server_options(&scene, NULL);
    assert_ok(fletch_rpc_server_create(&server, &scene.server, NULL));
    struct fletch_rpc_channel_options channel =
        rpc_scene_channel_options(&scene, fletch_rpc_server_address(scene.server));
    assert_ok(fletch_rpc_channel_create(&channel, &scene.channel, NULL));
    rpc_scene_until_state(&scene, FLETCH_RPC_READY);
}

static void a_server_ends_its_call_anywhere(void **state)
{
    (void)state;
    start_with_methods();
    for (int i = 0; i < PLACES * ACTS; i++) {
        struct rpc_probe probe = {.scene = &scene, .to_send = 2, .bytes = 50000};
        place = (enum place)(i / ACTS);
        act = (enum act)(i % ACTS);
        if (place == HEADERS) /* of the client alone */
            continue;
        acted = 0;
        assert_ok(rpc_probe_begin(&probe, RPC_ECHO, 0));
        if (place == HALF_CLOSED)
            rpc_scene_turns_for(&scene, MS_NS);
        rpc_scene_until(&scene, &probe.ends, 1);
        assert_int_equal(acted, 1);
        assert_string_equal(fletch_status_name(probe.status),
                            act == CANCEL ? "CANCELLED" : "ABORTED");
    }
    assert_int_equal(server_ended, 0); /* it was the server that ended them */
    rpc_scene_end(&scene);
}

/* ---- a client's handlers ---- */

static uint32_t client_ended, again_ended;
static struct rpc_probe again;

static void client_does(struct fletch_rpc_call *call, enum place now)
{
    if (place != now)
        return;
    acted++;
    fletch_rpc_call_half_close(call);
    fletch_rpc_call_half_close(call); /* again: nothing */
    assert_int_equal(fletch_rpc_call_send_copy(call, "x", 1, NULL), FLETCH_FAILED_PRECONDITION);
    fletch_rpc_call_cancel(call);
    again = (struct rpc_probe){.scene = &scene, .to_send = 1, .bytes = 10};
    assert_ok(rpc_probe_begin(&again, RPC_COLLECT, 0)); /* another one at once */
}

static void client_headers(void *context, struct fletch_rpc_call *call,
                           const struct fletch_grpc_metadata *metadata)
{
    (void)context;
    (void)metadata;
    client_does(call, HEADERS);
}

static void client_message(void *context, struct fletch_rpc_call *call,
                           struct fletch_buffer *buffer, size_t bytes)
{
    (void)context;
    (void)bytes;
    fletch_buffer_release(scene.pool.cache, buffer);
    client_does(call, MESSAGE);
}

static void client_end(void *context, struct fletch_rpc_call *call,
                       const struct fletch_rpc_end *end)
{
    (void)context;
    (void)call;
    (void)end;
    client_ended++;
}

static const struct fletch_rpc_handler client_handler = {
    .headers = client_headers, .message = client_message, .ended = client_end};

static void a_client_cancels_within_its_handlers(void **state)
{
    const struct rpc_expansion wanted = {1000, 10000};
    const struct fletch_rpc_calling calling = {.path = RPC_EXPAND, .handler = &client_handler};
    (void)state;
    rpc_scene_start(&scene, NULL);
    for (int i = HEADERS; i <= MESSAGE; i++) {
        struct fletch_rpc_call *call;
        place = (enum place)i;
        acted = 0;
        again_ended = 0;
        assert_ok(fletch_rpc_channel_call(scene.channel, &calling, &call, NULL));
        assert_ok(fletch_rpc_call_send_copy(call, &wanted, sizeof wanted, NULL));
        rpc_scene_until(&scene, &acted, 1);
        rpc_scene_until(&scene, &again.ends, 1);
        assert_string_equal(fletch_status_name(again.status), "OK");
    }
    assert_int_equal(client_ended, 0);
    rpc_scene_end(&scene);
}

/* ---- arguments ---- */

static enum fletch_status try_metadata(const char *name, const char *value)
{
    const struct fletch_http2_field field = fletch_http2_field_of(name, value);
    const struct fletch_rpc_calling calling = {
        .path = RPC_ECHO, .metadata = {&field, 1}, .handler = &client_handler};
    struct fletch_rpc_call *call;
    struct fletch_error error;
    enum fletch_status status = fletch_rpc_channel_call(scene.channel, &calling, &call, &error);
    if (status == FLETCH_OK)
        fletch_rpc_call_cancel(call);
    else
        assert_true(error.message[0] != 0);
    return status;
}

static void wrong_metadata_is_refused(void **state)
{
    static const char *const wrong[][2] = {
        {"Upper", "x"},     {"grpc-timeout", "1S"}, {":path", "/x"},    {"", "x"},
        {"a b", "x"},       {"a:b", "x"},           {"te", "trailers"}, {"connection", "close"},
        {"x", "a\nb"},      {"x", "a\rb"},          {"x", "\x7f"},      {"x", "\xc3\xbc"},
        {"x", " leading"},  {"x", "trailing "},     {"host", "other"},  {"content-length", "1"},
        {"upgrade", "h2c"}, {"x\n", "y"},           {"\xc3\xbc", "x"},  {"transfer-encoding", "x"},
    };
    static char huge[100000];
    (void)state;
    rpc_scene_start(&scene, NULL);
    check_echo();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (try_metadata(wrong[i][0], wrong[i][1]) != FLETCH_INVALID_ARGUMENT)
            fail_msg("'%s: %s' was not refused", wrong[i][0], wrong[i][1]);
    memset(huge, 'x', sizeof huge - 1);
    assert_int_equal(try_metadata("x", huge), FLETCH_INVALID_ARGUMENT);
    assert_int_equal(try_metadata("x-bin", huge), FLETCH_INVALID_ARGUMENT);
    assert_ok(try_metadata("x-bin", "\x01\xff\n"));
    assert_ok(try_metadata("x", ""));
    check_echo(); /* the connection is as it was */
    rpc_scene_end(&scene);
}

static void wrong_paths_are_refused(void **state)
{
    static const char *const wrong[] = {"", "no-slash", "/a\nb", "/a\rb"};
    (void)state;
    rpc_scene_start(&scene, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct rpc_probe probe = {.scene = &scene};
        assert_int_equal(rpc_probe_begin(&probe, wrong[i], 0), FLETCH_INVALID_ARGUMENT);
    }
    check_echo();
    rpc_scene_end(&scene);
}

static void deadlines_may_be_extreme(void **state)
{
    struct rpc_probe soon = {.scene = &scene, .to_send = 1, .bytes = 10};
    struct rpc_probe late = {.scene = &scene, .to_send = 1, .bytes = 10};
    (void)state;
    rpc_scene_start(&scene, NULL);
    assert_ok(rpc_probe_begin(&soon, RPC_HOLD, 1));
    assert_ok(rpc_probe_begin(&late, RPC_ECHO, UINT64_MAX));
    rpc_scene_until(&scene, &soon.ends, 1);
    rpc_scene_until(&scene, &late.ends, 1);
    assert_string_equal(fletch_status_name(soon.status), "DEADLINE_EXCEEDED");
    assert_string_equal(fletch_status_name(late.status), "OK");
    rpc_scene_end(&scene);
}

/* ---- many streams that nobody takes from ---- */

static void streams_that_are_full_stop_nobody_else(void **state)
{
    enum { FULL = 60 };
    const struct fletch_grpc_options small = {
        .http2 = {.stream_window_bytes = 65535, .connection_window_bytes = 65535}};
    static struct rpc_probe full[FULL];
    (void)state;
    rpc_scene_start_with(&scene, NULL, &small, NULL);
    for (int i = 0; i < FULL; i++) {
        full[i] =
            (struct rpc_probe){.scene = &scene, .to_send = 40, .bytes = 10000, .stays_open = true};
        assert_ok(rpc_probe_begin(&full[i], RPC_HOARD, 0));
    }
    rpc_scene_turns_for(&scene, 50 * MS_NS);
    check_echo();
    for (int i = 0; i < FULL; i++)
        fletch_rpc_call_cancel(full[i].call);
    check_echo();
    rpc_scene_end(&scene);
}

/* ---- ends at odd times ---- */

static void channels_are_destroyed_while_they_connect(void **state)
{
    (void)state;
    rpc_scene_start(&scene, NULL);
    for (uint32_t turns = 0; turns < 8; turns++) {
        struct fletch_rpc_channel_options options =
            rpc_scene_channel_options(&scene, fletch_rpc_server_address(scene.server));
        struct fletch_rpc_channel *channel;
        assert_ok(fletch_rpc_channel_create(&options, &channel, NULL));
        for (uint32_t i = 0; i < turns; i++)
            (void)fletch_event_loop_turn(scene.loop, 0);
        fletch_rpc_channel_destroy(channel);
    }
    check_echo();
    rpc_scene_end(&scene);
}

static void on_drained(void *context)
{
    uint32_t *count = context;
    (*count)++;
}

/* After each number of turns since a client began to connect: what it asked is answered, or was
 * not looked at. */
static void servers_drain_while_clients_connect(void **state)
{
    (void)state;
    for (uint32_t turns = 0; turns < 12; turns++) {
        struct rpc_probe probe = {.scene = &scene, .to_send = 1, .bytes = 10};
        uint32_t drained = 0;
        rpc_scene_prepare(&scene, NULL);
        struct fletch_rpc_server_options server = rpc_scene_server_options(&scene, NULL);
        assert_ok(fletch_rpc_server_create(&server, &scene.server, NULL));
        struct fletch_rpc_channel_options channel =
            rpc_scene_channel_options(&scene, fletch_rpc_server_address(scene.server));
        assert_ok(fletch_rpc_channel_create(&channel, &scene.channel, NULL));
        enum fletch_status status = FLETCH_UNAVAILABLE;
        for (uint32_t i = 0; i < turns; i++) {
            (void)fletch_event_loop_turn(scene.loop, 0);
            if (status != FLETCH_OK)
                status = rpc_probe_begin(&probe, RPC_ECHO, 0);
        }
        const struct fletch_rpc_drain drain = {
            .deadline_ns = FLETCH_NO_DEADLINE, .drained = on_drained, .context = &drained};
        fletch_rpc_server_drain(scene.server, &drain);
        rpc_scene_until(&scene, &drained, 1);
        if (status == FLETCH_OK) {
            rpc_scene_until(&scene, &probe.ends, 1);
            assert_true(probe.status == FLETCH_OK || probe.status == FLETCH_UNAVAILABLE);
        }
        rpc_scene_end(&scene);
    }
}

#ifdef FLETCH_CHECKS
static void destroy_channel(void *context, struct fletch_rpc_call *call,
                            const struct fletch_grpc_metadata *metadata)
{
    (void)context;
    (void)call;
    (void)metadata;
    fletch_rpc_channel_destroy(scene.channel);
}

static int destroy_within_a_handler(void *context)
{
    static const struct fletch_rpc_handler handler = {
        .headers = destroy_channel, .message = client_message, .ended = client_end};
    const struct fletch_rpc_calling calling = {.path = RPC_ECHO, .handler = &handler};
    struct fletch_rpc_call *call;
    (void)context;
    rpc_scene_start(&scene, NULL);
    if (fletch_rpc_channel_call(scene.channel, &calling, &call, NULL) != FLETCH_OK ||
        fletch_rpc_call_send_copy(call, "x", 1, NULL) != FLETCH_OK)
        return 1;
    rpc_scene_turns_for(&scene, 1000 * MS_NS);
    return 2;
}

/* It would wait for the end of the turn that it is in. */
static void destroying_within_a_handler_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(child_run(destroy_within_a_handler, NULL, true), CHILD_KILLED + SIGABRT);
}
#endif

/* ---- no descriptors ---- */

static int open_raw(void)
{
    const struct fletch_socket_address *address = fletch_rpc_server_address(scene.server);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address->as.any, address->bytes), 0);
    return fd;
}

static void descriptors_run_out_and_come_back(void **state)
{
    struct fletch_rpc_server_statistics statistics;
    struct rlimit before, few;
    struct fletch_rpc_channel *late;
    (void)state;
    rpc_scene_start(&scene, NULL);
    check_echo();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int waiting = open_raw(); /* in the server's queue */
    few = before;
    few.rlim_cur = (rlim_t)waiting + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct fletch_rpc_channel_options options =
        rpc_scene_channel_options(&scene, fletch_rpc_server_address(scene.server));
    assert_ok(fletch_rpc_channel_create(&options, &late, NULL));
    rpc_scene_turns_for(&scene, 120 * MS_NS);
    check_echo(); /* whoever is connected is served */
    fletch_rpc_server_statistics(scene.server, &statistics);
    assert_int_equal(statistics.accepted, 1);
    assert_int_not_equal(fletch_rpc_channel_state(late), FLETCH_RPC_READY);
    assert_contains(scene.change.message, "system error");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    struct fletch_rpc_channel *first = scene.channel;
    scene.channel = late;
    check_echo();
    scene.channel = first;
    fletch_rpc_server_statistics(scene.server, &statistics);
    assert_int_equal(statistics.accepted, 3);
    fletch_rpc_channel_destroy(late);
    close(waiting);
    rpc_scene_end(&scene);
}

/* ---- clocks ---- */

static void a_clock_that_jumps_ends_what_is_due_and_no_more(void **state)
{
    struct rpc_probe due = {.scene = &scene, .to_send = 1, .bytes = 10};
    struct rpc_probe open = {.scene = &scene, .to_send = 1, .bytes = 10, .stays_open = true};
    struct failing_net net;
    (void)state;
    rpc_scene_prepare(&scene, NULL);
    failing_net_start(&net);
    net.clock_ns = UINT64_C(1) << 40;
    const struct fletch_event_loop_options loop = {.io = &net.io, .spin_ns = FLETCH_OFF};
    fletch_event_loop_destroy(scene.loop);
    assert_ok(fletch_event_loop_create(&loop, &scene.loop, NULL));
    struct fletch_rpc_server_options server = rpc_scene_server_options(&scene, NULL);
    assert_ok(fletch_rpc_server_create(&server, &scene.server, NULL));
    struct fletch_rpc_channel_options channel =
        rpc_scene_channel_options(&scene, fletch_rpc_server_address(scene.server));
    assert_ok(fletch_rpc_channel_create(&channel, &scene.channel, NULL));
    check_echo();
    assert_ok(rpc_probe_begin(&open, RPC_ECHO, 0));
    rpc_scene_until(&scene, &open.messages, 1);
    assert_ok(rpc_probe_begin(&due, RPC_HOLD, UINT64_C(10000000000)));
    rpc_scene_turns_for(&scene, 20 * MS_NS);
    assert_int_equal(due.ends, 0);
    net.clock_ns += UINT64_C(3600000000000); /* an hour ahead */
    rpc_scene_until(&scene, &due.ends, 1);
    assert_string_equal(fletch_status_name(due.status), "DEADLINE_EXCEEDED");
    assert_int_equal(open.ends, 0);
    check_echo();
    net.clock_ns -= UINT64_C(7200000000000); /* and two back */
    for (uint32_t i = 0; i < 50; i++)
        check_echo();
    assert_int_equal(open.ends, 0);
    rpc_probe_send(&open, "\0", 1);
    rpc_scene_until(&scene, &open.messages, 2);
    net.clock_ns = UINT64_MAX - 1; /* to the end of time */
    rpc_scene_turns_for(&scene, 5 * MS_NS);
    fletch_rpc_call_half_close(open.call);
    rpc_scene_until(&scene, &open.ends, 1);
    assert_string_equal(fletch_status_name(open.status), "OK");
    rpc_scene_end(&scene);
    assert_int_equal(net.descriptors, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_ends_its_call_anywhere),
        cmocka_unit_test(a_client_cancels_within_its_handlers),
        cmocka_unit_test(wrong_metadata_is_refused),
        cmocka_unit_test(wrong_paths_are_refused),
        cmocka_unit_test(deadlines_may_be_extreme),
        cmocka_unit_test(streams_that_are_full_stop_nobody_else),
        cmocka_unit_test(channels_are_destroyed_while_they_connect),
        cmocka_unit_test(servers_drain_while_clients_connect),
#ifdef FLETCH_CHECKS
        cmocka_unit_test(destroying_within_a_handler_is_an_error),
#endif
        cmocka_unit_test(descriptors_run_out_and_come_back),
        cmocka_unit_test(a_clock_that_jumps_ends_what_is_due_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
