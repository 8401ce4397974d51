#include "net/connection.h"

#include <fletching/wait.h>

#include <errno.h>
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/checked.h"
#include "base/clock.h"

/* What SO_RCVLOWAT is set to: powers of two between these, so that it is not changed all the
 * time, or 1. */
enum { LOW_WATER_LEAST = 32 << 10, LOW_WATER_MOST = 256 << 10, LINGER_BYTES = 16 << 10 };

/* After so few bytes the answer to what is sent may be awaited, and to receive it without an event
 * saves a call. With many it would fight with the system for the socket. */
enum { LOOKED_BYTES = 4096 };

/* Up to so many bytes in several slices are sent as one: the system takes longer to read a table of
 * slices than it takes to copy them. */
enum { JOINED_BYTES = 1024 };

struct fletch_connection {
    struct fletch_event_loop *loop;
    const struct fletch_net_io *io;
    const struct fletch_connection_handler *handler;
    void *context;
    struct fletch_event_source source;
    struct fletch_timer again;    /* a turn is owed */
    struct fletch_timer deadline; /* of the handler, or of lingering */
    struct fletch_socket_text peer;
    uint64_t linger_ns;
    struct fletch_connection_statistics statistics;
    struct fletch_error cause; /* of the end; OK: none */
    int low_water;             /* as the socket has it */
    bool is_tcp;
    bool is_readable; /* no EAGAIN since the last edge */
    bool is_writable;
    bool peer_has_ended; /* the system has told so: read to the end */
    bool is_hung_up;     /* both ways */
    bool has_ended;      /* the handler has been told */
    bool cannot_send;    /* a failure, which `cause` tells */
    bool is_in_turn;
    bool is_closing;
    bool is_lingering;
};

static void set_again(struct fletch_connection *connection)
{
    fletch_timer_wheel_set(fletch_event_loop_wheel(connection->loop), &connection->again, 0);
}

/* ---- receiving ---- */

static void end_receiving(struct fletch_connection *connection)
{
    const struct fletch_error *cause = &connection->cause;
    bool is_told = connection->has_ended || connection->is_lingering;
    connection->is_readable = false;
    connection->has_ended = true;
    if (!is_told)
        connection->handler->ended(connection->context, cause->status == FLETCH_OK ? NULL : cause);
}

static size_t bytes_of(const struct iovec *spans, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += spans[i].iov_len;
    return bytes;
}

static bool is_nothing_yet(int number)
{
    return number == EAGAIN || number == EWOULDBLOCK;
}

/* One call. Returns the bytes that came; 0: nothing more just now, or ever. */
static size_t receive(struct fletch_connection *connection, struct iovec *spans, size_t count)
{
    struct msghdr message = {.msg_iov = spans, .msg_iovlen = count};
    size_t wanted = bytes_of(spans, count);
    ssize_t got;
    do {
        connection->statistics.receives++;
        got = connection->io->receive(connection->io->context, connection->source.fd, &message);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && is_nothing_yet(errno)) {
        connection->is_readable = false;
        return 0;
    }
    if (got < 0 && connection->cause.status == FLETCH_OK && !connection->is_lingering)
        (void)fletch_net_failure(&connection->cause, errno, "receiving from",
                                 connection->peer.text);
    if (got <= 0) {
        connection->cannot_send |= got < 0;
        end_receiving(connection);
        return 0;
    }
    /* Fewer than asked for: there are no more, and what comes is told by an edge. A Unix socket may
     * stop early, where a message with descriptors begins. */
    if ((size_t)got < wanted && connection->is_tcp && !connection->peer_has_ended)
        connection->is_readable = false;
    connection->statistics.bytes_received += (uint64_t)got;
    if (got <= LOOKED_BYTES)
        fletch_event_loop_look_at(connection->loop, &connection->source);
    else
        fletch_event_loop_look_away(connection->loop, &connection->source);
    return (size_t)got;
}

/* False: the budget was not enough, and another turn comes. */
static bool receive_some(struct fletch_connection *connection)
{
    struct iovec spans[FLETCH_CONNECTION_SPANS];
    size_t budget = FLETCH_CONNECTION_TURN_BYTES;
    if (connection->has_ended)
        connection->is_readable = false;
    while (connection->is_readable && !connection->is_closing) {
        size_t count = connection->handler->where(connection->context, spans);
        if (count == 0 || connection->is_closing)
            return true;
        FLETCH_ASSERT(count <= FLETCH_CONNECTION_SPANS && bytes_of(spans, count) != 0);
        size_t bytes = receive(connection, spans, count);
        if (bytes == 0)
            return true;
        connection->handler->received(connection->context, bytes);
        if (bytes >= budget) {
            set_again(connection); /* others have their turn */
            return false;
        }
        budget -= bytes;
    }
    return true;
}

/* ---- sending ---- */

/* Copies a few small slices behind each other. False: they are too many bytes, or one slice. */
static bool join(const struct iovec *slices, size_t count, char room[JOINED_BYTES],
                 struct iovec *out_joined)
{
    size_t bytes = 0;
    if (count < 2)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (slices[i].iov_len > JOINED_BYTES - bytes)
            return false;
        if (slices[i].iov_len != 0)
            memcpy(room + bytes, slices[i].iov_base, slices[i].iov_len);
        bytes += slices[i].iov_len;
    }
    *out_joined = (struct iovec){.iov_base = room, .iov_len = bytes};
    return true;
}

/* One call. Returns the bytes that were taken; 0: no more just now, or ever. */
static size_t send_slices(struct fletch_connection *connection, struct iovec *slices, size_t count)
{
    const struct fletch_connection_handler *handler = connection->handler;
    bool has_more = handler->has_more != NULL && handler->has_more(connection->context);
    char room[JOINED_BYTES];
    struct iovec joined;
    bool is_joined = join(slices, count, room, &joined);
    const struct msghdr message = {
        .msg_iov = is_joined ? &joined : slices,
        .msg_iovlen = is_joined ? 1 : count,
        .msg_flags = has_more ? MSG_MORE : 0,
    };
    ssize_t taken;
    do {
        connection->statistics.sends++;
        taken = connection->io->send(connection->io->context, connection->source.fd, &message);
    } while (taken < 0 && errno == EINTR);
    if (taken < 0 && is_nothing_yet(errno)) {
        connection->is_writable = false;
        return 0;
    }
    if (taken < 0) {
        (void)fletch_net_failure(&connection->cause, errno, "sending to", connection->peer.text);
        connection->cannot_send = true;
        connection->is_readable = true; /* what the peer has said before may tell why */
        return 0;
    }
    connection->statistics.bytes_sent += (uint64_t)taken;
    return (size_t)taken;
}

static void send_some(struct fletch_connection *connection)
{
    struct iovec slices[FLETCH_CONNECTION_SLICES];
    size_t budget = FLETCH_CONNECTION_TURN_BYTES;
    while (connection->is_writable && !connection->cannot_send && !connection->is_closing) {
        size_t count =
            connection->handler->gather(connection->context, slices, FLETCH_CONNECTION_SLICES);
        if (count == 0 || connection->is_closing)
            return;
        FLETCH_ASSERT(count <= FLETCH_CONNECTION_SLICES && bytes_of(slices, count) != 0);
        size_t bytes = send_slices(connection, slices, count);
        if (bytes == 0)
            return;
        connection->handler->sent(connection->context, bytes);
        if (bytes >= budget) {
            set_again(connection);
            return;
        }
        budget -= bytes;
    }
}

/* ---- before sleeping ---- */

static int low_water_for(size_t certain_bytes)
{
    if (certain_bytes < LOW_WATER_LEAST)
        return 1;
    int low_water = LOW_WATER_LEAST;
    while (low_water < LOW_WATER_MOST && (size_t)low_water * 2 <= certain_bytes)
        low_water *= 2;
    return low_water;
}

/* Has the system tell only of so many bytes as are certain to come: fewer calls for as much. It
 * looks whether there are so many when it is told, so nothing is missed that has come since. */
static void set_low_water(struct fletch_connection *connection)
{
    if (connection->is_readable || connection->has_ended)
        return;
    int low_water = low_water_for(connection->handler->certain_bytes(connection->context));
    if (low_water == connection->low_water)
        return;
    const struct fletch_socket_option option = {
        .level = SOL_SOCKET, .name = SO_RCVLOWAT, .value = &low_water, .bytes = sizeof low_water};
    connection->statistics.low_waters++;
    if (connection->io->set_option(connection->io->context, connection->source.fd, &option) == 0)
        connection->low_water = low_water;
}

/* ---- the end ---- */

static void destroy(struct fletch_connection *connection)
{
    const struct fletch_connection_handler *handler = connection->handler;
    struct fletch_timer_wheel *wheel = fletch_event_loop_wheel(connection->loop);
    void *context = connection->context;
    struct fletch_error cause = connection->cause;
    fletch_timer_wheel_clear(wheel, &connection->again);
    fletch_timer_wheel_clear(wheel, &connection->deadline);
    fletch_event_loop_unwatch(connection->loop, &connection->source);
    connection->io->close(connection->io->context, connection->source.fd);
    fletch_block_release(connection);
    handler->closed(context, cause.status == FLETCH_OK ? NULL : &cause);
}

void fletch_connection_close(struct fletch_connection *connection, const struct fletch_error *cause)
{
    if (cause != NULL)
        connection->cause = *cause;
    connection->is_closing = true;
    if (!connection->is_in_turn)
        destroy(connection);
}

/* Throws away what the peer still sends, until it ends or the time is over. */
static void linger(struct fletch_connection *connection)
{
    char waste[LINGER_BYTES];
    size_t budget = FLETCH_CONNECTION_TURN_BYTES / LINGER_BYTES;
    while (connection->is_readable && budget-- != 0) {
        struct iovec span = {.iov_base = waste, .iov_len = sizeof waste};
        receive(connection, &span, 1);
        if (connection->has_ended) {
            connection->is_closing = true;
            return;
        }
    }
    if (connection->is_readable)
        set_again(connection);
}

static void begin_to_linger(struct fletch_connection *connection)
{
    const struct fletch_net_io *io = connection->io;
    if (connection->has_ended || connection->cannot_send || connection->linger_ns == 0 ||
        io->shut_sending(io->context, connection->source.fd) != 0) {
        connection->is_closing = true;
        return;
    }
    connection->is_lingering = true;
    uint64_t now_ns = fletch_event_loop_now_ns(connection->loop);
    fletch_timer_wheel_set(fletch_event_loop_wheel(connection->loop), &connection->deadline,
                           fletch_saturating_add_u64(now_ns, connection->linger_ns));
    linger(connection);
}

/* ---- turns ---- */

static void work(struct fletch_connection *connection)
{
    const struct fletch_connection_handler *handler = connection->handler;
    handler->tick(connection->context, fletch_event_loop_now_ns(connection->loop));
    (void)receive_some(connection);
    send_some(connection);
    if (connection->cannot_send && receive_some(connection) && !connection->is_closing)
        end_receiving(connection);
    if (connection->is_closing)
        return;
    if (connection->cannot_send && connection->has_ended) {
        connection->is_closing = true;
    } else if (handler->is_over(connection->context)) {
        begin_to_linger(connection);
    } else if (connection->has_ended && connection->is_hung_up) {
        /* Nothing could be sent either: the handler need not go on for nobody. */
        (void)fletch_net_failure(&connection->cause, EPIPE, "sending to", connection->peer.text);
        connection->is_closing = true;
    } else {
        set_low_water(connection);
        fletch_timer_wheel_set(fletch_event_loop_wheel(connection->loop), &connection->deadline,
                               handler->deadline(connection->context));
    }
}

/* False: it was the last one. */
static bool run_turn(struct fletch_connection *connection)
{
    fletch_timer_wheel_clear(fletch_event_loop_wheel(connection->loop), &connection->again);
    connection->is_in_turn = true;
    if (connection->is_lingering)
        linger(connection);
    else
        work(connection);
    connection->is_in_turn = false;
    if (!connection->is_closing)
        return true;
    destroy(connection);
    return false;
}

static void turn(void *context)
{
    (void)run_turn(context);
}

static void on_ready(void *context, uint32_t events)
{
    struct fletch_connection *connection = context;
    bool is_broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
    connection->is_readable |= is_broken || (events & (EPOLLIN | EPOLLRDHUP)) != 0;
    connection->is_writable |= is_broken || (events & EPOLLOUT) != 0;
    connection->peer_has_ended |= is_broken || (events & EPOLLRDHUP) != 0;
    connection->is_hung_up |= (events & EPOLLHUP) != 0;
    turn(connection);
}

/* A turn without an event: whether anything has come, or the connection is gone. */
static bool look(void *context)
{
    struct fletch_connection *connection = context;
    uint64_t before = connection->statistics.bytes_received;
    if (connection->has_ended || connection->is_lingering)
        return false;
    connection->is_readable = true;
    return !run_turn(connection) || connection->has_ended ||
           connection->statistics.bytes_received != before;
}

static void on_deadline(void *context)
{
    struct fletch_connection *connection = context;
    if (connection->is_lingering)
        fletch_connection_close(connection, NULL);
    else
        turn(connection);
}

void fletch_connection_kick(struct fletch_connection *connection)
{
    set_again(connection);
}

enum fletch_status fletch_connection_create(const struct fletch_connection_options *options,
                                            struct fletch_connection **out_connection,
                                            struct fletch_error *error)
{
    struct fletch_event_loop *loop = options->loop;
    struct fletch_connection *connection =
        fletch_block_allocate(fletch_event_loop_allocator(loop), sizeof *connection);
    if (connection == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a connection of %zu bytes", sizeof *connection);
    *connection = (struct fletch_connection){
        .loop = loop,
        .io = fletch_event_loop_io(loop),
        .handler = options->handler,
        .context = options->context,
        .source = {.fd = options->fd, .ready = on_ready, .context = connection, .look = look},
        .linger_ns = options->linger_ns == 0 ? FLETCH_CONNECTION_LINGER_NS : options->linger_ns,
        .low_water = 1,
    };
    if (options->linger_ns == FLETCH_OFF)
        connection->linger_ns = 0;
    if (options->peer != NULL) {
        connection->is_tcp = options->peer->as.any.sa_family != AF_UNIX;
        connection->peer = fletch_socket_address_text(options->peer);
    }
    fletch_timer_start(&connection->again, turn, connection);
    fletch_timer_start(&connection->deadline, on_deadline, connection);
    enum fletch_status status =
        fletch_event_loop_watch(loop, &connection->source, EPOLLIN | EPOLLOUT | EPOLLRDHUP, error);
    if (status != FLETCH_OK) {
        fletch_block_release(connection);
        return status;
    }
    set_again(connection);
    *out_connection = connection;
    return FLETCH_OK;
}

void fletch_connection_statistics(const struct fletch_connection *connection,
                                  struct fletch_connection_statistics *out_statistics)
{
    *out_statistics = connection->statistics;
}
