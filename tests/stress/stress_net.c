#include <fletching/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/connector.h"
#include "net/listener.h"
#include "net/loop_group.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/net_streams.h"
#include "support/team.h"

/* Connections of several loops at once, each of which was accepted by another loop than the one it
 * lives on; and threads that post to loops that fall asleep all the time. */

static struct test_arguments arguments;

/* ---- connections ---- */

enum { PAIRS = 24, LOOPS = 3, CLIENT_BYTES = 2500000, SERVER_BYTES = 700000 };

struct member {
    struct stream_end end;
    struct fletch_loop_task task;
    struct fletch_event_loop *loop;
    int fd; /* of a server, on its way to its loop */
    struct fletch_socket_address peer;
    enum fletch_status status; /* of its beginning */
};

static struct member members[2][PAIRS]; /* clients, servers */
static struct fletch_loop_group *group;
static struct fletch_listener *listener;
static size_t accepted; /* of the listener's loop */
static _Atomic uint32_t closed;
static struct fletch_connection_handler handler;

static void on_closed(void *context, const struct fletch_error *cause)
{
    stream_end_handler.closed(context, cause);
    fetch_add_release(&closed, 1);
}

static void begin(void *context)
{
    struct member *member = context;
    const struct fletch_connection_options options = {.loop = member->loop,
                                                      .fd = member->fd,
                                                      .peer = &member->peer,
                                                      .handler = &handler,
                                                      .context = &member->end};
    member->status = fletch_connection_create(&options, &member->end.connection, NULL);
}

static void on_accepted(void *context, int fd, const struct fletch_socket_address *peer)
{
    struct member *member = &members[1][accepted++];
    (void)context;
    member->fd = fd;
    member->peer = *peer;
    member->loop = fletch_loop_group_next(group);
    member->task = (struct fletch_loop_task){.run = begin, .context = member};
    fletch_event_loop_post(member->loop, &member->task);
}

static void on_connected(void *context, const struct fletch_connected *connected)
{
    struct member *member = context;
    member->status = FLETCH_UNAVAILABLE;
    if (connected->error != NULL)
        return;
    member->fd = connected->fd;
    member->peer = *connected->peer;
    begin(member);
}

static void begin_to_connect(void *context)
{
    struct member *member = context;
    struct fletch_connector *unused;
    const struct fletch_connector_options options = {
        .loop = member->loop,
        .addresses = fletch_listener_address(listener),
        .address_count = 1,
        .tries_again = true, /* a Unix socket's queue may be full for a moment */
        .pause_first_ns = 1000000,
        .deadline_ns = fletch_clock_deadline_ns(UINT64_C(60000000000)),
        .done = on_connected,
        .context = member};
    member->status = fletch_connector_create(&options, &unused, NULL);
}

static void start_members(uint64_t seed)
{
    for (uint64_t i = 0; i < PAIRS; i++) {
        stream_end_start(&members[0][i].end, seed + i, CLIENT_BYTES, SERVER_BYTES);
        stream_end_start(&members[1][i].end, seed + 100 + i, SERVER_BYTES, CLIENT_BYTES);
        members[0][i].end.told_certain = UINT64_MAX;
        members[1][i].end.told_certain = UINT64_MAX;
        members[0][i].status = members[1][i].status = FLETCH_OK;
    }
}

static void run_connections(const char *address, uint64_t spin_ns, uint64_t seed)
{
    const struct fletch_loop_group_options options = {.loop_count = LOOPS,
                                                      .loop = {.spin_ns = spin_ns}};
    struct fletch_listener_options listening = {.accepted = on_accepted};
    assert_ok(fletch_loop_group_create(&options, &group, NULL));
    assert_ok(fletch_socket_address_parse(address, &listening.address, NULL));
    start_members(seed);
    accepted = 0;
    store_relaxed(&closed, 0); /* relaxed: the tasks that are posted order it */
    struct fletch_event_loop *own = NULL;
    assert_ok(fletch_event_loop_create(&options.loop, &own, NULL));
    listening.loop = own;
    assert_ok(fletch_listener_create(&listening, &listener, NULL));
    for (size_t i = 0; i < PAIRS; i++) {
        struct member *member = &members[0][i];
        member->loop = fletch_loop_group_next(group);
        member->task = (struct fletch_loop_task){.run = begin_to_connect, .context = member};
        fletch_event_loop_post(member->loop, &member->task);
    }
    while (load_acquire(&closed) < 2 * PAIRS)
        (void)fletch_event_loop_turn(own, UINT64_C(5000000));
    fletch_listener_destroy(listener);
    fletch_loop_group_destroy(group);
    fletch_event_loop_destroy(own);
    for (size_t i = 0; i < PAIRS * 2; i++) {
        const struct member *member = &members[i % 2][i / 2];
        assert_int_equal(member->status, FLETCH_OK);
        assert_int_equal(member->end.wrong, 0);
        assert_int_equal(member->end.closed_calls, 1);
        assert_int_equal(member->end.closed_cause.status, FLETCH_OK);
        assert_true(member->end.received == member->end.to_receive);
        assert_true(member->end.sent == member->end.to_send);
    }
}

static void connections_of_many_loops_carry_their_bytes(void **state)
{
    (void)state;
    handler = stream_end_handler;
    handler.closed = on_closed;
    for (uint64_t i = 0; i < arguments.scale; i++) {
        run_connections("127.0.0.1:0", FLETCH_OFF, arguments.seed + i);
        run_connections("unix:@fletch-stress-net", 20000, arguments.seed + i);
    }
}

/* ---- tasks ---- */

enum { POSTERS = 4, AHEAD = 8 };

struct poster {
    struct fletch_event_loop *loop;
    struct jitter jitter;
    uint64_t count;
    _Atomic uint64_t run; /* tasks of this poster */
    uint64_t misplaced;
    struct posted {
        struct fletch_loop_task task;
        struct poster *poster;
        uint64_t number;
    } tasks[AHEAD];
};

static _Atomic uint32_t posters_left;

static void run_posted(void *context)
{
    struct posted *posted = context;
    struct poster *poster = posted->poster;
    uint64_t before = load_relaxed(&poster->run); /* relaxed: written by the loop alone */
    poster->misplaced += posted->number != before;
    store_release(&poster->run, before + 1); /* the task is the poster's again */
    if (before + 1 == poster->count && fetch_sub_acq_rel(&posters_left, 1) == 1)
        fletch_event_loop_stop(poster->loop);
}

static void post_all(void *context)
{
    struct poster *poster = context;
    for (uint64_t i = 0; i < poster->count; i++) {
        while (load_acquire(&poster->run) + AHEAD <= i)
            fletch_thread_yield();
        struct posted *posted = &poster->tasks[i % AHEAD];
        *posted = (struct posted){.poster = poster, .number = i};
        posted->task = (struct fletch_loop_task){.run = run_posted, .context = posted};
        jitter_step(&poster->jitter);
        fletch_event_loop_post(poster->loop, &posted->task);
    }
}

static void run_loop(void *context)
{
    fletch_event_loop_run(context); /* sleeps without a timeout: a lost wake-up hangs */
}

static void every_task_runs_once_and_in_order(void **state)
{
    static struct poster posters[POSTERS];
    static const uint64_t spins_ns[] = {FLETCH_OFF, 2000};
    (void)state;
    for (size_t s = 0; s < 2; s++) {
        const struct fletch_event_loop_options options = {.spin_ns = spins_ns[s]};
        struct fletch_event_loop *loop = NULL;
        struct team_role roles[POSTERS + 1];
        assert_ok(fletch_event_loop_create(&options, &loop, NULL));
        store_relaxed(&posters_left, POSTERS); /* relaxed: before the threads begin */
        for (uint32_t i = 0; i < POSTERS; i++) {
            posters[i] = (struct poster){.loop = loop,
                                         .jitter = jitter_from_seed(arguments.seed + i, 4),
                                         .count = 10000 * arguments.scale};
            roles[i] = (struct team_role){.run = post_all, .context = &posters[i]};
        }
        roles[POSTERS] = (struct team_role){.run = run_loop, .context = loop};
        team_run(roles, POSTERS + 1);
        for (size_t i = 0; i < POSTERS; i++) {
            assert_true(load_relaxed(&posters[i].run) == posters[i].count); /* relaxed: joined */
            assert_int_equal(posters[i].misplaced, 0);
        }
        fletch_event_loop_destroy(loop);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_of_many_loops_carry_their_bytes),
        cmocka_unit_test(every_task_runs_once_and_in_order),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
