#include "flight/flight_connection.h"

#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/status.h"
#include "flight/flight_call.h"
#include "http2/http2_link.h"

/* Caches that wait for the next stream, so that a call makes none of its own. */
enum { SHELF = 64 };

struct client_loop {
    struct fletch_flight_connections *owner;
    struct fletch_event_loop *loop;
    struct fletch_buffer_cache *cache; /* of the loop's thread */
    struct fletch_flight_counters counters;
    struct fletch_loop_task ending;
};

/* Of a slot: its loop's thread alone, but `closing`, which who has drained the slot posts, and
 * `leaving`, which who asks for it posts. */
struct fletch_flight_connection {
    struct fletch_flight_connections *owner;
    struct client_loop *at;
    uint32_t slot;
    bool was_ready;  /* its channel, when it changed last */
    bool has_failed; /* the last attempt to connect has */
    struct fletch_rpc_channel *channel;
    struct fletch_flight_location location; /* of the channel */
    struct fletch_http2_link waiting;       /* calls that the channel does not take yet */
    struct fletch_timer idle;
    struct fletch_timer again; /* for those that wait */
    struct fletch_loop_task closing;
    struct fletch_loop_task leaving;
};

struct fletch_flight_connections {
    struct fletch_flight_connections_options options;
    struct fletch_connection_pool pool;
    struct fletch_loop_group *group;
    struct fletch_flight_waits waits;
    _Atomic(struct fletch_buffer_cache *) shelf[SHELF];
    struct client_loop *loops;
    struct fletch_flight_connection *connections; /* by slot */
    struct fletch_eventcount ended;
    _Atomic uint32_t loops_left;
};

/* A call, as long as one half of its stream lives. */
struct dial {
    struct fletch_shared shared; /* first: the two halves */
    struct fletch_flight_connections *owner;
    struct fletch_flight_connection *connection;
    struct fletch_flight_stream *stream;
    struct fletch_flight_addresses *addresses; /* NULL: there was a connection */
    struct fletch_field_list headers;
    struct fletch_loop_task begin;
    /* The loop's thread. */
    struct fletch_http2_link waiting;
    struct fletch_timer late;
    uint64_t deadline_ns;
    bool waits_for_ready;
};

/* ---- caches of users' threads ---- */

static enum fletch_status take_cache(struct fletch_flight_connections *connections,
                                     struct fletch_buffer_cache **out_cache,
                                     struct fletch_error *error)
{
    for (int i = 0; i < SHELF; i++) {
        /* relaxed: the exchange looks again */
        if (load_relaxed(&connections->shelf[i]) == NULL)
            continue;
        *out_cache = exchange_acquire(&connections->shelf[i], NULL); /* E1 acquire */
        if (*out_cache != NULL)
            return FLETCH_OK;
    }
    return fletch_buffer_cache_open(connections->options.buffers, out_cache, error);
}

static void put_cache(struct fletch_flight_connections *connections,
                      struct fletch_buffer_cache *cache)
{
    for (int i = 0; i < SHELF; i++) {
        struct fletch_buffer_cache *none = NULL;
        /* relaxed: the exchange looks again */
        if (load_relaxed(&connections->shelf[i]) == NULL &&
            cas_strong_release(&connections->shelf[i], &none, cache)) /* E1 release */
            return;
    }
    fletch_buffer_cache_close(cache);
}

/* ---- a call's end ---- */

static struct fletch_timer_wheel *wheel_of(const struct fletch_flight_connection *connection)
{
    return fletch_event_loop_wheel(connection->at->loop);
}

static void end_dial(struct fletch_shared *shared)
{
    struct dial *dial = (struct dial *)(void *)shared;
    fletch_field_list_deinit(&dial->headers);
    if (dial->addresses != NULL)
        fletch_block_release(dial->addresses);
    fletch_block_release(dial);
}

static void look_again(struct fletch_flight_connection *connection)
{
    if (!fletch_http2_link_is_alone(&connection->waiting))
        fletch_timer_wheel_set(wheel_of(connection), &connection->again, 0);
}

/* The loop has nothing to do with it any more. A slot that got no channel is of no use. */
static void over(void *context)
{
    struct dial *dial = context;
    struct fletch_flight_connection *connection = dial->connection;
    struct fletch_connection_pool *pool = &connection->owner->pool;
    fletch_http2_link_remove(&dial->waiting);
    fletch_timer_wheel_clear(wheel_of(connection), &dial->late);
    fletch_connection_pool_leave(pool, connection->slot,
                                 fletch_event_loop_now_ns(connection->at->loop));
    if (connection->channel == NULL &&
        fletch_connection_pool_drain(pool, connection->slot, UINT64_MAX))
        fletch_connection_pool_free(pool, connection->slot);
    look_again(connection);
    fletch_shared_release(&dial->shared);
}

/* The user has nothing to do with it any more. */
static void left(void *context, struct fletch_buffer_cache *cache)
{
    struct dial *dial = context;
    put_cache(dial->owner, cache);
    fletch_shared_release(&dial->shared);
}

/* ---- a call's beginning, on the loop ---- */

static void fail(struct dial *dial, const struct fletch_error *cause)
{
    fletch_flight_call_fail(dial->stream, cause->status, cause->message);
}

/* The server takes no more calls before one has ended, or it allows more. */
static bool is_full(const struct fletch_flight_connection *connection)
{
    return fletch_rpc_channel_state(connection->channel) == FLETCH_RPC_READY &&
           !fletch_rpc_channel_has_room(connection->channel);
}

/* Not before the channel is another one than it is now. */
static bool is_worth_waiting(const struct dial *dial, enum fletch_status status)
{
    return status == FLETCH_UNAVAILABLE && (dial->waits_for_ready || !dial->connection->has_failed);
}

static void call(struct dial *dial)
{
    struct fletch_flight_connection *connection = dial->connection;
    struct fletch_error error;
    struct fletch_rpc_call *rpc;
    const struct fletch_rpc_calling calling = {
        .path = dial->stream->options.method->path,
        .timeout_ns = dial->deadline_ns == FLETCH_NO_DEADLINE
                          ? 0
                          : fletch_clock_remaining_ns(dial->deadline_ns),
        .metadata = {fletch_field_list_fields(&dial->headers), dial->headers.count},
        .handler = &fletch_flight_call_handler,
        .context = dial->stream,
        .reader = &fletch_flight_call_reader,
    };
    if (dial->deadline_ns != FLETCH_NO_DEADLINE && calling.timeout_ns == 0) {
        fletch_flight_call_fail(dial->stream, FLETCH_DEADLINE_EXCEEDED,
                                "the deadline has passed before the call was sent");
        return;
    }
    enum fletch_status status =
        fletch_rpc_channel_call(connection->channel, &calling, &rpc, &error);
    if (status == FLETCH_OK) {
        fletch_timer_wheel_clear(wheel_of(connection), &dial->late);
        fletch_flight_call_attach(dial->stream, rpc);
    } else if (is_worth_waiting(dial, status)) {
        fletch_http2_link_append(&connection->waiting, &dial->waiting);
    } else {
        fail(dial, &error);
    }
}

/* What waits is looked at once; it may wait again. */
static void call_waiting(void *context)
{
    struct fletch_flight_connection *connection = context;
    struct fletch_http2_link *waiting = &connection->waiting;
    size_t count = 0;
    for (struct fletch_http2_link *link = waiting->next; link != waiting; link = link->next)
        count++;
    for (; count > 0 && !fletch_http2_link_is_alone(waiting) && !is_full(connection); count--) {
        struct dial *dial = FLETCH_HTTP2_OF_LINK(waiting->next, struct dial, waiting);
        fletch_http2_link_remove(&dial->waiting);
        call(dial);
    }
}

static void expire(void *context)
{
    struct dial *dial = context;
    struct fletch_flight_connection *connection = dial->connection;
    struct fletch_error error;
    bool is_late = fletch_clock_remaining_ns(dial->deadline_ns) == 0;
    enum fletch_status status = is_late ? FLETCH_DEADLINE_EXCEEDED : FLETCH_UNAVAILABLE;
    if (is_full(connection))
        (void)fletch_error_set(&error, is_late ? status : FLETCH_RESOURCE_EXHAUSTED,
                               "'%s' takes no more calls at a time, and none has ended in time",
                               connection->location.text);
    else
        (void)fletch_error_set(&error, status, "no connection to '%s' within the deadline%s",
                               connection->location.text,
                               connection->has_failed ? ": attempts to connect have failed" : "");
    fail(dial, &error);
}

/* ---- the connection ---- */

/* For the pool: while attempts fail, one that is under way makes no difference. */
static enum fletch_pool_state state_of(const struct fletch_flight_connection *connection)
{
    if (fletch_rpc_channel_state(connection->channel) == FLETCH_RPC_READY)
        return FLETCH_POOL_READY;
    return connection->has_failed ? FLETCH_POOL_PAUSED : FLETCH_POOL_CONNECTING;
}

static void changed(void *context, enum fletch_rpc_channel_state state,
                    const struct fletch_error *error)
{
    struct fletch_flight_connection *connection = context;
    (void)error; /* the channel tells it to who calls */
    if (state == FLETCH_RPC_READY)
        connection->has_failed = false;
    else if (state == FLETCH_RPC_WAITING)
        connection->has_failed = !connection->was_ready;
    connection->was_ready = state == FLETCH_RPC_READY;
    fletch_connection_pool_set_state(&connection->owner->pool, connection->slot,
                                     state_of(connection));
    if (connection->was_ready || connection->has_failed)
        look_again(connection);
}

static void room(void *context)
{
    look_again(context);
}

static void wait_until_idle(struct fletch_flight_connection *connection)
{
    uint64_t idle_ns = connection->owner->options.idle_timeout_ns;
    if (idle_ns != FLETCH_OFF)
        fletch_timer_wheel_set(wheel_of(connection), &connection->idle,
                               fletch_clock_deadline_ns(idle_ns));
}

static enum fletch_status open_channel(struct fletch_flight_connection *connection,
                                       const struct fletch_flight_addresses *addresses,
                                       struct fletch_error *error)
{
    const struct fletch_flight_connections_options *options = &connection->owner->options;
    char *text = connection->location.text;
    fletch_connection_pool_address(&connection->owner->pool, connection->slot, text);
    const struct fletch_rpc_channel_options channel = {
        .loop = connection->at->loop,
        .addresses = addresses->addresses,
        .address_count = addresses->count,
        .authority = strncmp(text, "unix:", 5) == 0 ? NULL : text,
        .connect_timeout_ns = options->connect_timeout_ns,
        .pause_first_ns = options->pause_first_ns,
        .pause_most_ns = options->pause_most_ns,
        .seed = fletch_clock_now_ns() + connection->slot,
        .changed = changed,
        .room = room,
        .context = connection,
        .grpc =
            {
                .struct_size = sizeof channel.grpc,
                .http2 =
                    {
                        .struct_size = sizeof channel.grpc.http2,
                        .allocator = options->allocator,
                        .cache = connection->at->cache,
                        .account = options->account,
                        .handshake_timeout_ns = options->connect_timeout_ns,
                        .keepalive_ns = options->keepalive_ns,
                        .keepalive_timeout_ns = options->keepalive_ns,
                    },
                .message_limit_bytes = options->message_limit_bytes,
                .send_queue_bytes = SIZE_MAX / 2, /* streams have a limit of their own */
            },
    };
    connection->was_ready = false;
    connection->has_failed = false;
    enum fletch_status status = fletch_rpc_channel_create(&channel, &connection->channel, error);
    if (status == FLETCH_OK)
        wait_until_idle(connection);
    return status;
}

static void begin(void *context)
{
    struct dial *dial = context;
    struct fletch_flight_connection *connection = dial->connection;
    uint64_t connect_ns = connection->owner->options.connect_timeout_ns;
    uint64_t wait_until_ns = dial->deadline_ns;
    struct fletch_error error;
    FLETCH_ASSERT(connection->channel != NULL || dial->addresses != NULL);
    if (connection->channel == NULL &&
        open_channel(connection, dial->addresses, &error) != FLETCH_OK) {
        fail(dial, &error);
        return;
    }
    if (dial->addresses != NULL)
        fletch_rpc_channel_set_addresses(connection->channel, dial->addresses->addresses,
                                         dial->addresses->count);
    if (wait_until_ns == FLETCH_NO_DEADLINE && !dial->waits_for_ready)
        wait_until_ns = fletch_clock_deadline_ns(connect_ns);
    fletch_timer_wheel_set(wheel_of(connection), &dial->late, wait_until_ns);
    if (fletch_rpc_channel_state(connection->channel) == FLETCH_RPC_READY &&
        (is_full(connection) || !fletch_http2_link_is_alone(&connection->waiting))) {
        fletch_http2_link_append(&connection->waiting, &dial->waiting);
        look_again(connection);
    } else {
        call(dial);
    }
}

/* Its slot is drained. */
static void close_channel(void *context)
{
    struct fletch_flight_connection *connection = context;
    fletch_timer_wheel_clear(wheel_of(connection), &connection->idle);
    fletch_timer_wheel_clear(wheel_of(connection), &connection->again);
    fletch_rpc_channel_destroy(connection->channel);
    connection->channel = NULL;
    fletch_connection_pool_free(&connection->owner->pool, connection->slot);
}

/* Another address needs the slot: who waits for the host to answer waits in vain. Where others use
 * it, for calls on a connection that its server is closing, it is not asked for again before the
 * next attempt has failed: who asks would ask without end. */
static void leave_to_others(void *context)
{
    struct fletch_flight_connection *connection = context;
    enum fletch_pool_state state = state_of(connection);
    struct fletch_error error;
    (void)fletch_error_set(&error, FLETCH_UNAVAILABLE,
                           "attempts to connect to '%s' have failed, and all connections are used: "
                           "another location needs this one",
                           connection->location.text);
    while (connection->has_failed && !fletch_http2_link_is_alone(&connection->waiting))
        fail(FLETCH_HTTP2_OF_LINK(connection->waiting.next, struct dial, waiting), &error);
    if (state == FLETCH_POOL_PAUSED)
        state = FLETCH_POOL_CONNECTING;
    if (fletch_connection_pool_give_up(&connection->owner->pool, connection->slot, state))
        close_channel(connection);
}

static void close_idle(void *context)
{
    struct fletch_flight_connection *connection = context;
    uint64_t now_ns = fletch_event_loop_now_ns(connection->at->loop);
    uint64_t idle_ns = connection->owner->options.idle_timeout_ns;
    if (now_ns >= idle_ns &&
        fletch_connection_pool_drain(&connection->owner->pool, connection->slot, now_ns - idle_ns))
        close_channel(connection);
    else
        wait_until_idle(connection);
}

/* The pool has drained a slot that nobody uses. */
static void evicted(void *context, uint32_t slot)
{
    struct fletch_flight_connections *connections = context;
    struct fletch_flight_connection *connection = &connections->connections[slot];
    fletch_event_loop_post(connection->at->loop, &connection->closing);
}

static void asked(void *context, uint32_t slot)
{
    struct fletch_flight_connections *connections = context;
    struct fletch_flight_connection *connection = &connections->connections[slot];
    fletch_event_loop_post(connection->at->loop, &connection->leaving);
}

/* ---- beginning a call ---- */

/* The caller's, and what servers of ours want to know: docs/FLIGHT.md. */
static enum fletch_status add_headers(struct dial *dial, const struct fletch_flight_start *start,
                                      struct fletch_error *error)
{
    char limit[24];
    int bytes = snprintf(limit, sizeof limit, "%zu", dial->owner->options.message_limit_bytes);
    const struct fletch_flight_header own[] = {{"fletch-message-limit", limit, (size_t)bytes},
                                               {"fletch-deltas", "1", 1}};
    enum fletch_status status = FLETCH_OK;
    for (size_t i = 0; i < sizeof own / sizeof own[0] && status == FLETCH_OK; i++)
        status = fletch_flight_headers_add(&dial->headers, &own[i], error);
    for (size_t i = 0; i < start->header_count && status == FLETCH_OK; i++)
        status = fletch_flight_headers_add(&dial->headers, &start->headers[i], error);
    return status;
}

static enum fletch_status add_addresses(struct dial *dial, const struct fletch_flight_start *start,
                                        struct fletch_error *error)
{
    dial->addresses =
        fletch_block_allocate(dial->owner->options.allocator, sizeof *dial->addresses);
    if (dial->addresses == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for addresses");
    return fletch_flight_location_resolve(start->location, dial->addresses, error);
}

static enum fletch_status add_stream(struct dial *dial, const struct fletch_flight_start *start,
                                     struct fletch_error *error)
{
    struct fletch_flight_connection *connection = dial->connection;
    struct fletch_flight_connections *owner = connection->owner;
    const struct fletch_flight_stream_options options = {
        .method = start->method,
        .loop = connection->at->loop,
        .loop_cache = connection->at->cache,
        .account = owner->options.account,
        .allocator = owner->options.allocator,
        .validation = owner->options.validation,
        .write_queue_bytes = owner->options.write_queue_bytes,
        .peer_message_bytes = owner->options.peer_message_bytes,
        .counters = &connection->at->counters,
        .waits = &owner->waits,
        .over = over,
        .left = left,
        .context = dial,
    };
    struct fletch_buffer_cache *cache;
    enum fletch_status status = take_cache(owner, &cache, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_flight_stream_create(&options, cache, &dial->stream, error);
    if (status != FLETCH_OK) {
        put_cache(owner, cache);
        return status;
    }
    dial->stream->user.deadline_ns = start->deadline_ns;
    (void)snprintf(dial->stream->user.peer.text, sizeof dial->stream->user.peer.text, "%.*s",
                   FLETCH_SOCKET_TEXT_BYTES - 1, start->location->text);
    return FLETCH_OK;
}

/* Of who has posted nothing. A slot for which nobody may have made a channel is freed. */
static void leave_unused(struct fletch_flight_connection *connection)
{
    struct fletch_connection_pool *pool = &connection->owner->pool;
    fletch_connection_pool_leave(pool, connection->slot, fletch_clock_now_ns());
    if (fletch_connection_pool_state(pool, connection->slot) == FLETCH_POOL_CONNECTING &&
        fletch_connection_pool_drain(pool, connection->slot, UINT64_MAX))
        evicted(connection->owner, connection->slot);
}

/* Looks a name up first: a slot is not held for what may take long, or be in vain. A connection
 * that was ready may be lost before there is a place on it. */
static enum fletch_status add_connection(struct dial *dial, const struct fletch_flight_start *start,
                                         struct fletch_error *error)
{
    struct fletch_flight_connections *connections = dial->owner;
    struct fletch_connection_pool *pool = &connections->pool;
    const struct fletch_pool_address address = {.text = start->location->text,
                                                .bytes = strlen(start->location->text),
                                                .is_patient = start->waits_for_ready};
    bool is_ready = fletch_connection_pool_is_ready(pool, &address);
    do {
        uint32_t slot;
        enum fletch_status status = is_ready ? FLETCH_OK : add_addresses(dial, start, error);
        uint64_t timeout_ns = start->deadline_ns == FLETCH_NO_DEADLINE
                                  ? connections->options.connect_timeout_ns
                                  : fletch_clock_remaining_ns(start->deadline_ns);
        if (status == FLETCH_OK)
            status = fletch_connection_pool_acquire(pool, &address, timeout_ns, &slot, error);
        if (status != FLETCH_OK)
            return status;
        dial->connection = &connections->connections[slot];
        is_ready = fletch_connection_pool_state(pool, slot) == FLETCH_POOL_READY;
        if (!is_ready && dial->addresses == NULL)
            leave_unused(dial->connection);
    } while (!is_ready && dial->addresses == NULL);
    return FLETCH_OK;
}

static enum fletch_status make_dial(struct fletch_flight_connections *connections,
                                    const struct fletch_flight_start *start, struct dial **out_dial,
                                    struct fletch_error *error)
{
    const struct fletch_allocator *allocator = connections->options.allocator;
    struct dial *dial = fletch_block_allocate(allocator, sizeof *dial);
    if (dial == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a call");
    *dial = (struct dial){.owner = connections,
                          .begin = {.run = begin, .context = dial},
                          .deadline_ns = start->deadline_ns,
                          .waits_for_ready = start->waits_for_ready};
    fletch_shared_init(&dial->shared, end_dial);
    fletch_field_list_init(&dial->headers, allocator);
    fletch_http2_link_init(&dial->waiting);
    fletch_timer_start(&dial->late, expire, dial);
    enum fletch_status status = add_headers(dial, start, error);
    if (status == FLETCH_OK)
        status = add_connection(dial, start, error);
    if (status == FLETCH_OK) {
        status = add_stream(dial, start, error);
        if (status != FLETCH_OK)
            leave_unused(dial->connection);
    }
    if (status != FLETCH_OK) {
        end_dial(&dial->shared);
        return status;
    }
    fletch_shared_acquire(&dial->shared); /* of the stream's other half */
    *out_dial = dial;
    return FLETCH_OK;
}

enum fletch_status fletch_flight_connections_start(struct fletch_flight_connections *connections,
                                                   const struct fletch_flight_start *start,
                                                   struct fletch_flight_stream **out_stream,
                                                   struct fletch_error *error)
{
    struct dial *dial = NULL;
    enum fletch_status status = make_dial(connections, start, &dial, error);
    if (status != FLETCH_OK)
        return status;
    *out_stream = dial->stream;
    fletch_event_loop_post(dial->connection->at->loop, &dial->begin);
    return FLETCH_OK;
}

/* ---- life ---- */

/* The loop's calls end with their channels. */
static void end_loop(void *context)
{
    struct client_loop *at = context;
    struct fletch_flight_connections *connections = at->owner;
    for (uint32_t i = 0; i < connections->options.slot_count; i++) {
        struct fletch_flight_connection *connection = &connections->connections[i];
        if (connection->at != at)
            continue;
        fletch_rpc_channel_destroy(connection->channel);
        connection->channel = NULL;
        while (!fletch_http2_link_is_alone(&connection->waiting))
            fletch_flight_call_fail(
                FLETCH_HTTP2_OF_LINK(connection->waiting.next, struct dial, waiting)->stream,
                FLETCH_UNAVAILABLE, "the client has been destroyed");
        fletch_timer_wheel_clear(wheel_of(connection), &connection->idle);
        fletch_timer_wheel_clear(wheel_of(connection), &connection->again);
    }
    fetch_sub_acq_rel(&connections->loops_left, 1); /* E2 release, E2 acquire */
    fletch_eventcount_notify(&connections->ended, UINT32_MAX);
}

static void end_loops(struct fletch_flight_connections *connections)
{
    uint32_t count = connections->options.loop_count;
    store_relaxed(&connections->loops_left, count); /* relaxed: the tasks carry it */
    for (uint32_t i = 0; i < count; i++)
        fletch_event_loop_post(connections->loops[i].loop, &connections->loops[i].ending);
    while (load_acquire(&connections->loops_left) != 0) { /* E2 acquire */
        uint32_t key = fletch_eventcount_prepare(&connections->ended);
        if (load_acquire(&connections->loops_left) == 0) /* E2 acquire */
            fletch_eventcount_cancel(&connections->ended);
        else
            (void)fletch_eventcount_wait(&connections->ended, key, FLETCH_NO_TIMEOUT);
    }
}

static enum fletch_status start_loops(struct fletch_flight_connections *connections,
                                      struct fletch_error *error)
{
    const struct fletch_flight_connections_options *options = &connections->options;
    const struct fletch_loop_group_options group = {
        .loop_count = options->loop_count,
        .loop = {.spin_ns = options->spin_ns, .allocator = options->allocator},
    };
    enum fletch_status status = fletch_loop_group_create(&group, &connections->group, error);
    for (uint32_t i = 0; i < options->loop_count && status == FLETCH_OK; i++) {
        struct client_loop *at = &connections->loops[i];
        at->owner = connections;
        at->loop = fletch_loop_group_loop(connections->group, i);
        at->ending = (struct fletch_loop_task){.run = end_loop, .context = at};
        status = fletch_buffer_cache_open(options->buffers, &at->cache, error);
    }
    return status;
}

static void prepare(struct fletch_flight_connections *connections)
{
    for (uint32_t i = 0; i < connections->options.slot_count; i++) {
        struct fletch_flight_connection *connection = &connections->connections[i];
        *connection = (struct fletch_flight_connection){
            .owner = connections,
            .at = &connections->loops[i % connections->options.loop_count],
            .slot = i,
            .closing = {.run = close_channel, .context = connection},
            .leaving = {.run = leave_to_others, .context = connection},
        };
        fletch_http2_link_init(&connection->waiting);
        fletch_timer_start(&connection->idle, close_idle, connection);
        fletch_timer_start(&connection->again, call_waiting, connection);
    }
}

static enum fletch_status start(struct fletch_flight_connections *connections,
                                struct fletch_error *error)
{
    const struct fletch_flight_connections_options *options = &connections->options;
    fletch_flight_waits_start(&connections->waits, options->spin_ns);
    const struct fletch_connection_pool_options pool = {
        .slot_count = options->slot_count,
        .connections_per_address = options->connections_per_address,
        .users_per_connection = options->calls_per_connection,
        .allocator = options->allocator,
        .evicted = evicted,
        .asked = asked,
        .context = connections,
    };
    enum fletch_status status = fletch_connection_pool_init(&connections->pool, &pool, error);
    if (status != FLETCH_OK)
        return status;
    size_t loop_bytes = options->loop_count * sizeof *connections->loops;
    size_t bytes = options->slot_count * sizeof *connections->connections;
    connections->loops = fletch_block_allocate(options->allocator, loop_bytes);
    if (connections->loops != NULL)
        memset(connections->loops, 0, loop_bytes);
    connections->connections = fletch_block_allocate(options->allocator, bytes);
    if (connections->loops == NULL || connections->connections == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for %u connections of %zu bytes in all",
                                options->slot_count, bytes + loop_bytes);
    prepare(connections);
    return start_loops(connections, error);
}

enum fletch_status
fletch_flight_connections_create(const struct fletch_flight_connections_options *options,
                                 struct fletch_flight_connections **out_connections,
                                 struct fletch_error *error)
{
    struct fletch_flight_connections *connections;
    if (options->loop_count == 0 || options->loop_count > FLETCH_LOOPS_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "1 to %d loops were expected, not %u", FLETCH_LOOPS_MOST,
                                options->loop_count);
    connections = fletch_block_allocate(options->allocator, sizeof *connections);
    if (connections == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for connections of %zu bytes", sizeof *connections);
    memset(connections, 0, sizeof *connections);
    connections->options = *options;
    fletch_eventcount_start(&connections->ended, FLETCH_SHARING_PROCESS);
    enum fletch_status status = start(connections, error);
    if (status != FLETCH_OK) {
        fletch_flight_connections_destroy(connections);
        return status;
    }
    *out_connections = connections;
    return FLETCH_OK;
}

void fletch_flight_connections_destroy(struct fletch_flight_connections *connections)
{
    if (connections == NULL)
        return;
    bool is_whole = connections->group != NULL;
    for (uint32_t i = 0; is_whole && i < connections->options.loop_count; i++)
        is_whole = connections->loops[i].cache != NULL;
    if (is_whole)
        end_loops(connections);
    fletch_loop_group_destroy(connections->group);
    for (uint32_t i = 0; connections->loops != NULL && i < connections->options.loop_count; i++)
        fletch_buffer_cache_close(connections->loops[i].cache);
    for (int i = 0; i < SHELF; i++)
        fletch_buffer_cache_close(load_acquire(&connections->shelf[i])); /* E1 acquire */
    if (connections->connections != NULL)
        fletch_block_release(connections->connections);
    if (connections->loops != NULL)
        fletch_block_release(connections->loops);
    if (connections->pool.slots != NULL)
        fletch_connection_pool_deinit(&connections->pool);
    fletch_eventcount_deinit(&connections->ended);
    fletch_block_release(connections);
}

const struct fletch_connection_pool *
fletch_flight_connections_pool(const struct fletch_flight_connections *connections)
{
    return &connections->pool;
}

const struct fletch_flight_counters *
fletch_flight_connections_counters(const struct fletch_flight_connections *connections,
                                   uint32_t loop)
{
    return &connections->loops[loop].counters;
}
