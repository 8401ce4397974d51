#include "net/connection.h"

#include <fletching/wait.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/failing_net.h"
#include "support/net_streams.h"

#define MS_NS UINT64_C(1000000)

static struct stream_end ends[2];
static struct fletch_event_loop *loop;

static int set_up(void **state)
{
    const struct fletch_event_loop_options options = {.spin_ns = FLETCH_OFF};
    (void)state;
    return fletch_event_loop_create(&options, &loop, NULL) == FLETCH_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    fletch_event_loop_destroy(loop);
    return 0;
}

/* Both ends as connections of the loop. */
static void connect_ends(bool is_tcp)
{
    int fds[2];
    struct fletch_socket_address peer;
    stream_sockets(is_tcp, fds, &peer);
    stream_end_connect(&ends[0], loop, fds[0], &peer);
    stream_end_connect(&ends[1], loop, fds[1], &peer);
}

/* The first end as a connection, the other as a bare socket. */
static int connect_one(bool is_tcp)
{
    int fds[2];
    struct fletch_socket_address peer;
    stream_sockets(is_tcp, fds, &peer);
    stream_end_connect(&ends[0], loop, fds[0], &peer);
    return fds[1];
}

static void turns(int count)
{
    for (int i = 0; i < count; i++)
        (void)fletch_event_loop_turn(loop, 5 * MS_NS);
}

static void bytes_arrive_as_they_were_sent(void **state)
{
    static const uint64_t amounts[][2] = {
        {0, 0}, {1, 0}, {0, 1}, {1, 1}, {100000, 7}, {40000000, 0}, {9000000, 9000000}};
    (void)state;
    for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
        for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
            stream_end_start(&ends[0], i, amounts[i][0], amounts[i][1]);
            stream_end_start(&ends[1], i + 99, amounts[i][1], amounts[i][0]);
            connect_ends(is_tcp != 0);
            assert_true(stream_ends_run(loop, &ends[0], &ends[1]));
            for (int e = 0; e < 2; e++) {
                assert_int_equal(ends[e].wrong, 0);
                assert_true(ends[e].received == amounts[i][1 - e]);
                assert_true(ends[e].sent == amounts[i][e]);
                assert_int_equal(ends[e].closed_calls, 1);
                assert_int_equal(ends[e].closed_cause.status, FLETCH_OK);
                assert_true(ends[e].ended_calls <= 1);
            }
        }
    }
}

static void low_water_is_set_for_what_is_certain(void **state)
{
    struct fletch_connection_statistics statistics;
    char bytes[40000];
    (void)state;
    stream_end_start(&ends[0], 1, 0, sizeof bytes + 1);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i % 251);
    int peer = connect_one(true);
    ends[0].told_certain = sizeof bytes;
    turns(2);
    uint64_t ticks = ends[0].ticks;
    fletch_connection_statistics(ends[0].connection, &statistics);
    assert_int_equal(statistics.low_waters, 1);
    assert_int_equal(send(peer, bytes, 30000, 0), 30000);
    turns(3);
    assert_int_equal(ends[0].received, 0); /* fewer than 32 KiB */
    assert_true(ends[0].ticks == ticks);
    assert_int_equal(send(peer, bytes + 30000, 10000, 0), 10000);
    turns(3);
    assert_int_equal(ends[0].received, 40000);
    ends[0].told_certain = 0;
    fletch_connection_kick(ends[0].connection);
    turns(2);
    bytes[0] = (char)(40000 % 251);
    assert_int_equal(send(peer, bytes, 1, 0), 1);
    turns(3);
    assert_int_equal(ends[0].received, 40001);
    assert_int_equal(ends[0].wrong, 0);
    close(peer);
    turns(3);
    assert_int_equal(ends[0].closed_calls, 1);
}

/* The end of the stream is told whatever is certain. */
static void an_end_below_the_low_water_is_told(void **state)
{
    (void)state;
    stream_end_start(&ends[0], 1, 0, 1000000);
    int peer = connect_one(true);
    ends[0].told_certain = 1000000;
    turns(2);
    assert_int_equal(send(peer, "", 1, 0), 1);
    close(peer);
    turns(4);
    assert_int_equal(ends[0].received, 1);
    assert_int_equal(ends[0].ended_calls, 1);
    assert_int_equal(ends[0].closed_calls, 1);
}

static void a_paused_end_goes_on_after_a_kick(void **state)
{
    (void)state;
    stream_end_start(&ends[0], 1, 3000000, 0);
    stream_end_start(&ends[1], 2, 0, 3000000);
    ends[1].is_paused = true;
    connect_ends(true);
    turns(20);
    assert_int_equal(ends[1].received, 0);
    ends[1].is_paused = false;
    fletch_connection_kick(ends[1].connection);
    assert_true(stream_ends_run(loop, &ends[0], &ends[1]));
    assert_true(ends[1].received == 3000000);
    assert_int_equal(ends[1].wrong, 0);
}

static void deadlines_make_turns(void **state)
{
    (void)state;
    stream_end_start(&ends[0], 1, 0, 1);
    int peer = connect_one(false);
    turns(1);
    uint64_t begin_ns = fletch_clock_now_ns();
    ends[0].deadline_ns = begin_ns + 20 * MS_NS;
    fletch_connection_kick(ends[0].connection);
    while (ends[0].deadline_ns != 0)
        (void)fletch_event_loop_turn(loop, UINT64_MAX);
    assert_true(fletch_clock_now_ns() - begin_ns >= 20 * MS_NS);
    assert_true(ends[0].ticks <= 5);
    fletch_connection_close(ends[0].connection, NULL);
    assert_int_equal(ends[0].closed_calls, 1);
    close(peer);
}

/* ---- ends ---- */

static void half_a_connection_goes_on(void **state)
{
    char bytes[1000];
    (void)state;
    stream_end_start(&ends[0], 1, 500, 1000);
    ends[0].stays = true;
    int peer = connect_one(true);
    shutdown(peer, SHUT_WR);
    turns(4);
    assert_int_equal(ends[0].ended_calls, 1);
    assert_int_equal(ends[0].ended_cause.status, FLETCH_OK);
    assert_int_equal(ends[0].closed_calls, 0);
    assert_int_equal(recv(peer, bytes, sizeof bytes, 0), 500);
    ends[0].is_over = true;
    fletch_connection_kick(ends[0].connection);
    turns(2);
    assert_int_equal(ends[0].closed_calls, 1);
    assert_int_equal(ends[0].closed_cause.status, FLETCH_OK);
    close(peer);
}

static void reset_by_peer(int peer)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(peer);
}

static void a_reset_is_told_with_its_cause(void **state)
{
    (void)state;
    for (int sends = 0; sends < 2; sends++) {
        stream_end_start(&ends[0], 1, sends ? 50000000 : 0, 1);
        int peer = connect_one(true);
        turns(2);
        reset_by_peer(peer);
        turns(4);
        assert_int_equal(ends[0].ended_calls, 1);
        assert_int_equal(ends[0].closed_calls, 1);
        assert_int_equal(ends[0].ended_cause.status, FLETCH_UNAVAILABLE);
        assert_int_equal(ends[0].closed_cause.status, FLETCH_UNAVAILABLE);
        assert_contains(ends[0].closed_cause.message, "127.0.0.1:");
        assert_contains(ends[0].closed_cause.message, "Connection reset");
    }
}

/* Who only waits for something to send learns of it too, so that it need not go on for nobody. */
static void a_reset_after_the_end_is_told(void **state)
{
    (void)state;
    stream_end_start(&ends[0], 1, 0, 1000);
    ends[0].stays = true;
    int peer = connect_one(true);
    shutdown(peer, SHUT_WR);
    turns(4);
    assert_int_equal(ends[0].ended_calls, 1);
    assert_int_equal(ends[0].closed_calls, 0);
    reset_by_peer(peer);
    turns(4);
    assert_int_equal(ends[0].ended_calls, 1);
    assert_int_equal(ends[0].closed_calls, 1);
    assert_int_equal(ends[0].closed_cause.status, FLETCH_UNAVAILABLE);
}

/* A peer that says why it hangs up is heard, though sending has failed already. */
static void what_came_before_a_reset_is_received(void **state)
{
    (void)state;
    stream_end_start(&ends[0], 1, 0, 100);
    int peer = connect_one(true);
    turns(2);
    ends[0].is_paused = true;
    static const unsigned char last_words[] = {0, 1, 2, 3, 4};
    assert_int_equal(send(peer, last_words, sizeof last_words, 0), sizeof last_words);
    reset_by_peer(peer);
    ends[0].to_send = 1000;
    ends[0].is_paused = false;
    fletch_connection_kick(ends[0].connection);
    turns(3);
    assert_int_equal(ends[0].received, sizeof last_words);
    assert_int_equal(ends[0].wrong, 0);
    assert_int_equal(ends[0].ended_cause.status, FLETCH_UNAVAILABLE);
    assert_int_equal(ends[0].closed_calls, 1);
}

/* The peer has sent what nobody will read; closing at once would reset the connection and lose the
 * last bytes. */
static void last_bytes_are_not_lost_to_a_reset(void **state)
{
    static char waste[200000];
    char bytes[5000];
    (void)state;
    stream_end_start(&ends[0], 1, sizeof bytes, 0);
    ends[0].is_paused = true;
    int peer = connect_one(true);
    assert_true(send(peer, waste, sizeof waste, MSG_DONTWAIT) > 0);
    turns(4);
    assert_int_equal(ends[0].closed_calls, 0); /* it lingers */
    assert_true(send(peer, waste, 1000, MSG_DONTWAIT) == 1000);
    assert_int_equal(recv(peer, bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
    assert_int_equal(recv(peer, bytes, sizeof bytes, 0), 0);
    close(peer);
    turns(4);
    assert_int_equal(ends[0].closed_calls, 1);
    assert_int_equal(ends[0].closed_cause.status, FLETCH_OK);
    assert_int_equal(ends[0].ended_calls, 0); /* it was over */
}

static void lingering_ends_after_a_while(void **state)
{
    int fds[2];
    struct fletch_socket_address peer;
    (void)state;
    for (int lingers = 0; lingers < 2; lingers++) {
        stream_end_start(&ends[0], 1, 0, 0);
        stream_sockets(true, fds, &peer);
        const struct fletch_connection_options options = {.loop = loop,
                                                          .fd = fds[0],
                                                          .handler = &stream_end_handler,
                                                          .context = &ends[0],
                                                          .linger_ns =
                                                              lingers ? 20 * MS_NS : FLETCH_OFF};
        assert_ok(fletch_connection_create(&options, &ends[0].connection, NULL));
        uint64_t begin_ns = fletch_clock_now_ns();
        while (ends[0].closed_calls == 0)
            (void)fletch_event_loop_turn(loop, UINT64_MAX);
        assert_true(lingers == 0 || fletch_clock_now_ns() - begin_ns >= 20 * MS_NS);
        assert_int_equal(ends[0].closed_cause.status, FLETCH_OK);
        close(fds[1]);
    }
}

static void closing_is_heeded_anywhere(void **state)
{
    const struct fletch_error cause = {.status = FLETCH_CANCELLED, .message = "enough"};
    (void)state;
    stream_end_start(&ends[0], 1, 0, 100); /* in the middle of a turn */
    ends[0].closes_on_receive = true;
    int peer = connect_one(false);
    assert_int_equal(send(peer, "", 1, 0), 1);
    turns(2);
    assert_int_equal(ends[0].closed_calls, 1);
    close(peer);
    stream_end_start(&ends[0], 1, 0, 100); /* outside */
    peer = connect_one(false);
    fletch_connection_close(ends[0].connection, &cause);
    assert_int_equal(ends[0].closed_calls, 1);
    assert_string_equal(ends[0].closed_cause.message, "enough");
    turns(2);
    close(peer);
    stream_end_start(&ends[0], 1, 0, 0); /* one that lingers */
    peer = connect_one(true);
    turns(2);
    assert_int_equal(ends[0].closed_calls, 0);
    fletch_connection_close(ends[0].connection, &cause);
    assert_int_equal(ends[0].closed_calls, 1);
    close(peer);
}

static void busy_connections_leave_room_for_others(void **state)
{
    static struct stream_end third;
    (void)state;
    stream_end_start(&ends[0], 1, 400000000, 0);
    stream_end_start(&ends[1], 2, 0, 400000000);
    connect_ends(false);
    turns(1);
    int fds[2];
    struct fletch_socket_address peer;
    stream_sockets(false, fds, &peer);
    stream_end_start(&third, 3, 10, 0);
    stream_end_connect(&third, loop, fds[0], &peer);
    turns(3);
    assert_int_equal(third.sent, 10);
    assert_true(ends[1].received > 0);
    assert_true(ends[1].received < 100000000);
    for (int i = 0; i < 2; i++)
        fletch_connection_close(ends[i].connection, NULL);
    fletch_connection_close(third.connection, NULL);
    close(fds[1]);
}

static void creating_fails_without_memory_and_keeps_the_descriptor(void **state)
{
    static struct counting_allocator counting;
    struct fletch_event_loop *poor = NULL;
    struct fletch_error error;
    int fds[2];
    struct fletch_socket_address peer;
    (void)state;
    counting_allocator_start(&counting, 2);
    const struct fletch_event_loop_options options = {.allocator = &counting.allocator};
    assert_ok(fletch_event_loop_create(&options, &poor, NULL));
    stream_sockets(false, fds, &peer);
    const struct fletch_connection_options wanted = {
        .loop = poor, .fd = fds[0], .handler = &stream_end_handler, .context = &ends[0]};
    struct fletch_connection *connection = NULL;
    assert_int_equal(fletch_connection_create(&wanted, &connection, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_null(connection);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
    fletch_event_loop_destroy(poor);
    assert_int_equal(counting.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_as_they_were_sent),
        cmocka_unit_test(low_water_is_set_for_what_is_certain),
        cmocka_unit_test(an_end_below_the_low_water_is_told),
        cmocka_unit_test(a_paused_end_goes_on_after_a_kick),
        cmocka_unit_test(deadlines_make_turns),
        cmocka_unit_test(half_a_connection_goes_on),
        cmocka_unit_test(a_reset_is_told_with_its_cause),
        cmocka_unit_test(a_reset_after_the_end_is_told),
        cmocka_unit_test(what_came_before_a_reset_is_received),
        cmocka_unit_test(last_bytes_are_not_lost_to_a_reset),
        cmocka_unit_test(lingering_ends_after_a_while),
        cmocka_unit_test(closing_is_heeded_anywhere),
        cmocka_unit_test(busy_connections_leave_room_for_others),
        cmocka_unit_test(creating_fails_without_memory_and_keeps_the_descriptor),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
