#include "support/net_streams.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"

enum { PERIOD = 251, SPANS_MOST = 7, SECONDS_MOST = 20 };

static void on_tick(void *context, uint64_t now_ns)
{
    struct stream_end *end = context;
    end->ticks++;
    if (end->deadline_ns != 0 && now_ns >= end->deadline_ns)
        end->deadline_ns = 0;
}

static uint64_t deadline_of(void *context)
{
    const struct stream_end *end = context;
    return end->deadline_ns == 0 ? FLETCH_NO_DEADLINE : end->deadline_ns;
}

static size_t where(void *context, struct iovec *out_spans)
{
    struct stream_end *end = context;
    size_t at = 0;
    if (end->is_paused)
        return 0;
    end->span_count = 1 + fletch_random_below(&end->random, SPANS_MOST);
    for (size_t i = 0; i < end->span_count; i++) {
        size_t share = STREAM_ROOM_BYTES / SPANS_MOST;
        size_t bytes = 1 + fletch_random_below(&end->random, (uint32_t)share);
        end->spans[i] = (struct iovec){.iov_base = end->room + at, .iov_len = bytes};
        at += bytes;
    }
    end->room_total = at;
    memcpy(out_spans, end->spans, end->span_count * sizeof *out_spans);
    return end->span_count;
}

static void on_received(void *context, size_t bytes)
{
    struct stream_end *end = context;
    end->wrong += bytes == 0 || bytes > end->room_total;
    for (size_t i = 0; i < bytes; i++) /* the spans lie side by side */
        end->wrong += end->room[i] != (unsigned char)((end->received + i) % PERIOD);
    end->received += bytes;
    end->room_total = 0;
    if (end->closes_on_receive)
        fletch_connection_close(end->connection, NULL);
}

static size_t certain_bytes(void *context)
{
    const struct stream_end *end = context;
    uint64_t left = end->to_receive - end->received;
    return (size_t)(left < end->told_certain ? left : end->told_certain);
}

static void on_ended(void *context, const struct fletch_error *cause)
{
    struct stream_end *end = context;
    end->ended_calls++;
    if (cause != NULL)
        end->ended_cause = *cause;
}

static size_t gather(void *context, struct iovec *out_slices, size_t capacity)
{
    struct stream_end *end = context;
    size_t count = 1 + fletch_random_below(&end->random, SPANS_MOST);
    uint64_t at = end->sent;
    size_t i = 0;
    for (; i < count && i < capacity && at < end->to_send; i++) {
        uint64_t bytes = 1 + fletch_random_below(&end->random, STREAM_ROOM_BYTES);
        if (bytes > end->to_send - at)
            bytes = end->to_send - at;
        out_slices[i] =
            (struct iovec){.iov_base = end->pattern + at % PERIOD, .iov_len = (size_t)bytes};
        at += bytes;
    }
    return i;
}

/* True only where that is so: the slices of one gather are not all there is. */
static bool has_more(void *context)
{
    const struct stream_end *end = context;
    return end->to_send - end->sent > (uint64_t)SPANS_MOST * STREAM_ROOM_BYTES;
}

static void on_sent(void *context, size_t bytes)
{
    struct stream_end *end = context;
    end->sent += bytes;
    end->wrong += bytes == 0 || end->sent > end->to_send;
}

static bool is_over(void *context)
{
    const struct stream_end *end = context;
    bool has_all = end->received >= end->to_receive || (end->ended_calls != 0 && !end->stays);
    return end->is_over || (end->sent == end->to_send && has_all && !end->stays);
}

static void on_closed(void *context, const struct fletch_error *cause)
{
    struct stream_end *end = context;
    end->closed_calls++;
    end->connection = NULL;
    if (cause != NULL)
        end->closed_cause = *cause;
}

const struct fletch_connection_handler stream_end_handler = {
    .tick = on_tick,
    .deadline = deadline_of,
    .where = where,
    .received = on_received,
    .certain_bytes = certain_bytes,
    .ended = on_ended,
    .gather = gather,
    .has_more = has_more,
    .sent = on_sent,
    .is_over = is_over,
    .closed = on_closed,
};

void stream_end_start(struct stream_end *end, uint64_t seed, uint64_t to_send, uint64_t to_receive)
{
    memset(end, 0, sizeof *end);
    end->random = fletch_random_from_seed(seed);
    end->to_send = to_send;
    end->to_receive = to_receive;
    for (size_t i = 0; i < sizeof end->pattern; i++)
        end->pattern[i] = (unsigned char)(i % PERIOD);
}

void stream_end_connect(struct stream_end *end, struct fletch_event_loop *loop, int fd,
                        const struct fletch_socket_address *peer)
{
    const struct fletch_connection_options options = {
        .loop = loop, .fd = fd, .peer = peer, .handler = &stream_end_handler, .context = end};
    assert_ok(fletch_connection_create(&options, &end->connection, NULL));
}

static void connect_tcp(int out_fds[2], struct fletch_socket_address *out_peer)
{
    struct fletch_socket_listening listening = {.io = &fletch_net_system_io, .backlog = 1};
    int listener;
    assert_ok(fletch_socket_address_parse("127.0.0.1:0", &listening.address, NULL));
    assert_ok(fletch_socket_listen(&listening, &listener, out_peer, NULL));
    out_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(out_fds[0], &out_peer->as.any, out_peer->bytes), 0);
    fcntl(out_fds[0], F_SETFL, O_NONBLOCK);
    out_fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(out_fds[1] >= 0);
    close(listener);
}

void stream_sockets(bool is_tcp, int out_fds[2], struct fletch_socket_address *out_peer)
{
    if (is_tcp) {
        connect_tcp(out_fds, out_peer);
        return;
    }
    assert_ok(fletch_socket_address_parse("unix:pair", out_peer, NULL));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, out_fds),
                     0);
}

bool stream_ends_run(struct fletch_event_loop *loop, const struct stream_end *one,
                     const struct stream_end *other)
{
    uint64_t end_ns = fletch_clock_now_ns() + SECONDS_MOST * UINT64_C(1000000000);
    while (one->closed_calls == 0 || other->closed_calls == 0) {
        if (fletch_clock_now_ns() > end_ns)
            return false;
        (void)fletch_event_loop_turn(loop, UINT64_C(50000000));
    }
    return true;
}
