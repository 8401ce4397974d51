#include <fletching/wait.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "net/connection.h"
#include "support/cmocka_tests.h"
#include "support/net_streams.h"

/* A filter as TLS will be one: bytes travel in records of two bytes of length and a body that is
 * changed, of which none can be read before all of it is there. */

enum { RECORD_MOST = 16384, HEAD_BYTES = 2, KEY = 0x5a };

struct filter {
    const struct fletch_connection_handler *inner;
    void *context;
    size_t in_bytes; /* of the record that comes */
    size_t plain_at; /* of the one that is being handed over */
    size_t plain_end;
    size_t out_at; /* of the record that leaves */
    size_t out_end;
    uint64_t delayed; /* records that the inner handler did not want at once */
    unsigned char in[HEAD_BYTES + RECORD_MOST];
    unsigned char out[HEAD_BYTES + RECORD_MOST];
};

static size_t record_bytes(const struct filter *filter)
{
    if (filter->in_bytes < HEAD_BYTES)
        return HEAD_BYTES;
    return (size_t)(HEAD_BYTES + filter->in[0] * 256 + filter->in[1]);
}

/* Into the places of the inner handler, as long as it has any. */
static void hand_over(struct filter *filter)
{
    while (filter->plain_at < filter->plain_end) {
        struct iovec spans[FLETCH_CONNECTION_SPANS];
        size_t count = filter->inner->where(filter->context, spans);
        size_t moved = 0;
        for (size_t i = 0; i < count && filter->plain_at < filter->plain_end; i++) {
            size_t left = filter->plain_end - filter->plain_at;
            size_t bytes = left < spans[i].iov_len ? left : spans[i].iov_len;
            memcpy(spans[i].iov_base, filter->in + filter->plain_at, bytes);
            filter->plain_at += bytes;
            moved += bytes;
        }
        if (moved == 0)
            return;
        filter->inner->received(filter->context, moved);
    }
    filter->in_bytes = 0;
    filter->plain_end = 0;
}

static void on_tick(void *context, uint64_t now_ns)
{
    struct filter *filter = context;
    filter->inner->tick(filter->context, now_ns);
    if (filter->plain_end != 0)
        hand_over(filter);
}

static uint64_t deadline_of(void *context)
{
    const struct filter *filter = context;
    return filter->inner->deadline(filter->context);
}

static size_t where(void *context, struct iovec *out_spans)
{
    struct filter *filter = context;
    if (filter->plain_end != 0)
        return 0; /* the last record first */
    out_spans[0] = (struct iovec){.iov_base = filter->in + filter->in_bytes,
                                  .iov_len = record_bytes(filter) - filter->in_bytes};
    return 1;
}

static void on_received(void *context, size_t bytes)
{
    struct filter *filter = context;
    filter->in_bytes += bytes;
    size_t whole = record_bytes(filter);
    if (filter->in_bytes < whole || whole == HEAD_BYTES)
        return;
    for (size_t i = HEAD_BYTES; i < whole; i++)
        filter->in[i] ^= KEY;
    filter->plain_at = HEAD_BYTES;
    filter->plain_end = whole;
    hand_over(filter);
    filter->delayed += filter->plain_end != 0;
}

static size_t certain_bytes(void *context)
{
    const struct filter *filter = context;
    return record_bytes(filter) - filter->in_bytes;
}

static void on_ended(void *context, const struct fletch_error *cause)
{
    struct filter *filter = context;
    filter->inner->ended(filter->context, cause);
}

static size_t gather(void *context, struct iovec *out_slices, size_t capacity)
{
    struct filter *filter = context;
    if (filter->out_at == filter->out_end) {
        struct iovec slices[4];
        size_t count = filter->inner->gather(filter->context, slices, 4);
        size_t end = HEAD_BYTES;
        for (size_t i = 0; i < count && end < sizeof filter->out; i++) {
            const unsigned char *from = slices[i].iov_base;
            for (size_t k = 0; k < slices[i].iov_len && end < sizeof filter->out; k++)
                filter->out[end++] = from[k] ^ KEY;
        }
        if (end == HEAD_BYTES)
            return 0;
        filter->out[0] = (unsigned char)((end - HEAD_BYTES) / 256);
        filter->out[1] = (unsigned char)((end - HEAD_BYTES) % 256);
        filter->out_at = 0;
        filter->out_end = end;
        filter->inner->sent(filter->context, end - HEAD_BYTES);
    }
    assert_true(capacity != 0);
    out_slices[0] = (struct iovec){.iov_base = filter->out + filter->out_at,
                                   .iov_len = filter->out_end - filter->out_at};
    return 1;
}

static void on_sent(void *context, size_t bytes)
{
    struct filter *filter = context;
    filter->out_at += bytes;
}

static bool is_over(void *context)
{
    const struct filter *filter = context;
    return filter->out_at == filter->out_end && filter->inner->is_over(filter->context);
}

static void on_closed(void *context, const struct fletch_error *cause)
{
    struct filter *filter = context;
    filter->inner->closed(filter->context, cause);
}

static const struct fletch_connection_handler filter_handler = {
    .tick = on_tick,
    .deadline = deadline_of,
    .where = where,
    .received = on_received,
    .certain_bytes = certain_bytes,
    .ended = on_ended,
    .gather = gather,
    .sent = on_sent,
    .is_over = is_over,
    .closed = on_closed,
};

static struct stream_end ends[2];
static struct filter filters[2];

static struct fletch_event_loop *connect_through_filters(void)
{
    struct fletch_event_loop *loop = NULL;
    int fds[2];
    struct fletch_socket_address peer;
    const struct fletch_event_loop_options spins_not = {.spin_ns = FLETCH_OFF};
    assert_ok(fletch_event_loop_create(&spins_not, &loop, NULL));
    stream_sockets(true, fds, &peer);
    for (int i = 0; i < 2; i++) {
        memset(&filters[i], 0, sizeof filters[i]);
        filters[i].inner = &stream_end_handler;
        filters[i].context = &ends[i];
        const struct fletch_connection_options options = {.loop = loop,
                                                          .fd = fds[i],
                                                          .peer = &peer,
                                                          .handler = &filter_handler,
                                                          .context = &filters[i]};
        assert_ok(fletch_connection_create(&options, &ends[i].connection, NULL));
    }
    return loop;
}

static void bytes_pass_a_filter_both_ways(void **state)
{
    (void)state;
    stream_end_start(&ends[0], 1, 5000000, 3000000);
    stream_end_start(&ends[1], 2, 3000000, 5000000);
    struct fletch_event_loop *loop = connect_through_filters();
    assert_true(stream_ends_run(loop, &ends[0], &ends[1]));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ends[i].wrong, 0);
        assert_true(ends[i].received == ends[i].to_receive);
        assert_int_equal(ends[i].closed_cause.status, FLETCH_OK);
    }
    fletch_event_loop_destroy(loop);
}

/* What the filter has decoded and the inner handler did not want comes with a kick, though the
 * socket has nothing more to say. */
static void what_a_filter_holds_comes_with_a_kick(void **state)
{
    (void)state;
    stream_end_start(&ends[0], 1, 1000, 0);
    stream_end_start(&ends[1], 2, 0, 1000);
    ends[1].is_paused = true;
    struct fletch_event_loop *loop = connect_through_filters();
    for (int i = 0; i < 10; i++)
        (void)fletch_event_loop_turn(loop, UINT64_C(2000000));
    assert_int_equal(ends[1].received, 0);
    assert_int_equal(filters[1].delayed, 1);
    ends[1].is_paused = false;
    fletch_connection_kick(ends[1].connection);
    assert_true(stream_ends_run(loop, &ends[0], &ends[1]));
    assert_true(ends[1].received == 1000);
    assert_int_equal(ends[1].wrong, 0);
    fletch_event_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_a_filter_both_ways),
        cmocka_unit_test(what_a_filter_holds_comes_with_a_kick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
