#include "http2/http2_timers.h"

#include "http2/http2_control.h"
#include "http2/http2_input.h"
#include "http2/http2_machine.h"

enum { TIMERS = 7 };

struct timer {
    bool is_running;
    uint64_t since_ns;
    uint64_t timeout_ns;
    void (*act)(struct fletch_http2_connection *connection);
};

static void end_handshake(struct fletch_http2_connection *connection)
{
    connection->statistics.timeouts++;
    fletch_http2_fail(connection, FLETCH_HTTP2_SETTINGS_TIMEOUT, "the handshake takes too long");
}

static void end_frame(struct fletch_http2_connection *connection)
{
    connection->statistics.timeouts++;
    fletch_http2_fail(connection, FLETCH_HTTP2_ENHANCE_YOUR_CALM,
                      "a frame or a block of headers takes too long");
}

static void end_writing(struct fletch_http2_connection *connection)
{
    connection->statistics.timeouts++;
    fletch_http2_lose(connection, FLETCH_HTTP2_ENHANCE_YOUR_CALM, "the peer does not read");
}

static void end_silence(struct fletch_http2_connection *connection)
{
    connection->statistics.timeouts++;
    fletch_http2_lose(connection, FLETCH_HTTP2_NO_ERROR, "the peer does not answer a PING");
}

static uint32_t timers_of(const struct fletch_http2_connection *connection,
                          struct timer timers[TIMERS])
{
    const struct fletch_http2_options *options = &connection->options;
    const struct timer all[TIMERS] = {
        {!connection->parser.got_settings || !connection->is_acknowledged, connection->began_ns,
         options->handshake_timeout_ns, end_handshake},
        {connection->frame_began_ns != 0, connection->frame_began_ns, options->header_timeout_ns,
         end_frame},
        {connection->write_began_ns != 0, connection->write_began_ns, options->write_timeout_ns,
         end_writing},
        {connection->stream_count == 0 && connection->drain == FLETCH_HTTP2_NOT_DRAINING,
         connection->idle_since_ns, options->idle_timeout_ns, fletch_http2_begin_shutdown},
        {connection->ping_sent_ns == 0, connection->heard_ns, options->keepalive_ns,
         fletch_http2_queue_keepalive},
        {connection->ping_sent_ns != 0, connection->ping_sent_ns, options->keepalive_timeout_ns,
         end_silence},
        {connection->drain == FLETCH_HTTP2_DRAIN_SAID, connection->drain_began_ns,
         options->drain_timeout_ns, fletch_http2_finish_shutdown},
    };
    uint32_t count = 0;
    for (uint32_t i = 0; i < TIMERS; i++) {
        /* What a connection that has failed still has to say may find no reader either. */
        bool is_of_use =
            !connection->is_failed || (all[i].act == end_writing && !connection->is_lost);
        if (is_of_use && all[i].is_running && all[i].timeout_ns != FLETCH_HTTP2_NEVER)
            timers[count++] = all[i];
    }
    return count;
}

void fletch_http2_connection_tick(struct fletch_http2_connection *connection, uint64_t now_ns)
{
    struct timer timers[TIMERS];
    /* A clock that goes back would make a flood of what came before. */
    if (now_ns > connection->now_ns)
        connection->now_ns = now_ns;
    if (connection->now_ns == 0)
        connection->now_ns = 1; /* 0 says that something has not begun */
    if (connection->began_ns == 0) {
        connection->began_ns = connection->now_ns;
        connection->heard_ns = connection->now_ns;
        connection->idle_since_ns = connection->now_ns;
    }
    uint8_t *unread;
    bool is_read = fletch_http2_input_peek(&connection->input, &unread) == 0;
    if (is_read && connection->stream_count == 0 && connection->input.moved != NULL) {
        fletch_buffer_release(connection->options.cache, connection->input.moved);
        connection->input.moved = NULL;
    }
    uint32_t count = timers_of(connection, timers);
    bool had_failed = connection->is_failed;
    for (uint32_t i = 0; i < count; i++) {
        bool is_due = connection->now_ns - timers[i].since_ns >= timers[i].timeout_ns &&
                      connection->now_ns >= timers[i].since_ns;
        if (is_due && connection->is_failed == had_failed)
            timers[i].act(connection);
    }
}

uint64_t fletch_http2_connection_deadline(const struct fletch_http2_connection *connection)
{
    struct timer timers[TIMERS];
    uint64_t deadline = FLETCH_HTTP2_NEVER;
    uint32_t count = timers_of(connection, timers);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = fletch_saturating_add_u64(timers[i].since_ns, timers[i].timeout_ns);
        deadline = at < deadline ? at : deadline;
    }
    return deadline;
}
