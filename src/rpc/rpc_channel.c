#include "rpc/rpc_channel.h"

#include <inttypes.h>
#include <string.h>

#include "base/allocator.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/status.h"
#include "rpc/rpc_pending.h"

struct fletch_rpc_channel {
    struct fletch_rpc_channel_options options;
    struct fletch_socket_address addresses[FLETCH_CONNECTOR_ADDRESSES_MOST];
    enum fletch_rpc_channel_state state;
    struct fletch_connector *connector; /* CONNECTING */
    struct fletch_rpc_link *link;       /* READY */
    uint64_t ready_ns;                  /* since when */
    struct fletch_http2_link links;     /* and those that are going away */
    struct fletch_timer again; /* WAITING: the end of the pause; READY: the link is spent */
    struct fletch_rpc_queue waiting;
    struct fletch_timer resume; /* a call that was refused has paused for long enough */
    bool is_closing;
    struct fletch_backoff backoff;
    struct fletch_error cause; /* of the last failure */
    struct fletch_rpc_channel_statistics statistics;
};

static void set_again(struct fletch_rpc_channel *channel, uint64_t pause_ns)
{
    struct fletch_event_loop *loop = channel->options.loop;
    fletch_timer_wheel_set(fletch_event_loop_wheel(loop), &channel->again,
                           fletch_saturating_add_u64(fletch_event_loop_now_ns(loop), pause_ns));
}

static void enter(struct fletch_rpc_channel *channel, enum fletch_rpc_channel_state state,
                  const struct fletch_error *cause)
{
    channel->state = state;
    if (cause != NULL)
        channel->cause = *cause;
    if (channel->options.changed != NULL)
        channel->options.changed(channel->options.context, state, cause);
}

static void pause_for(struct fletch_rpc_channel *channel, uint64_t pause_ns,
                      const struct fletch_error *cause)
{
    set_again(channel, pause_ns);
    enter(channel, FLETCH_RPC_WAITING, cause);
}

/* The link takes no more calls (it has no stream ids left, or ends): another one is wanted. */
static void renew(struct fletch_rpc_channel *channel)
{
    (void)fletch_error_set(&channel->cause, FLETCH_UNAVAILABLE,
                           "the connection takes no more calls");
    set_again(channel, 0);
}

/* ---- calls that wait ---- */

static void end_waiting(struct fletch_rpc_call *call, enum fletch_status status, const char *text)
{
    const struct fletch_rpc_end end = {.status = status, .text = text, .is_untouched = true};
    fletch_rpc_call_end(call, &end);
}

static void expired(void *context, struct fletch_rpc_call *call)
{
    const struct fletch_rpc_channel *channel = context;
    struct fletch_error error;
    const char *why = channel->state == FLETCH_RPC_READY ? "the server takes no more calls"
                                                         : channel->cause.message;
    (void)fletch_error_set(&error, FLETCH_DEADLINE_EXCEEDED,
                           "the deadline of the call has passed before it could begin: %s", why);
    end_waiting(call, error.status, error.message);
}

/* Whether the next one may be tried. */
static bool begin_waiting(struct fletch_rpc_channel *channel, struct fletch_rpc_pending *pending)
{
    struct fletch_error error;
    enum fletch_status status = fletch_rpc_pending_begin(pending, channel->link, &error);
    if (status == FLETCH_UNAVAILABLE) {
        renew(channel);
        return false;
    }
    if (status != FLETCH_OK)
        end_waiting(pending->call, status, error.message);
    return true;
}

static bool can_begin(const struct fletch_rpc_channel *channel)
{
    return channel->state == FLETCH_RPC_READY && fletch_rpc_link_has_room(channel->link);
}

/* Begins those that wait, as many as there is room for, in turn. Those that are not ready (they
 * have just been refused) are passed over. */
static void begin_all(struct fletch_rpc_channel *channel)
{
    struct fletch_http2_link *calls = &channel->waiting.calls;
    uint64_t now_ns = fletch_event_loop_now_ns(channel->options.loop);
    uint64_t next_ns = FLETCH_NO_DEADLINE;
    struct fletch_http2_link later;
    if (channel->waiting.count == 0)
        return;
    fletch_http2_link_init(&later);
    while (can_begin(channel) && !fletch_http2_link_is_alone(calls)) {
        struct fletch_rpc_pending *pending =
            FLETCH_HTTP2_OF_LINK(calls->next, struct fletch_rpc_pending, waiting);
        if (fletch_rpc_pending_is_due(pending, now_ns)) {
            if (!begin_waiting(channel, pending))
                break;
            continue;
        }
        if (pending->not_before_ns > now_ns && pending->not_before_ns < next_ns)
            next_ns = pending->not_before_ns;
        fletch_http2_link_remove(&pending->waiting);
        fletch_http2_link_append(&later, &pending->waiting);
    }
    while (!fletch_http2_link_is_alone(&later)) {
        struct fletch_http2_link *last = later.previous;
        fletch_http2_link_remove(last);
        fletch_http2_link_append(calls->next, last);
    }
    fletch_timer_wheel_set(fletch_event_loop_wheel(channel->options.loop), &channel->resume,
                           next_ns);
}

static void resume(void *context)
{
    begin_all(context);
}

/* ---- what the link says ---- */

/* The next call wants another connection. One that did not hold for long is made again after a
 * pause: a server that answers and breaks off is not besieged. */
static void retire(struct fletch_rpc_channel *channel, const struct fletch_error *cause)
{
    struct fletch_rpc_link *link = channel->link;
    uint64_t now_ns = fletch_event_loop_now_ns(channel->options.loop);
    uint64_t pause_ns = 0;
    if (now_ns - channel->ready_ns >= FLETCH_RPC_SETTLED_NS)
        fletch_backoff_reset(&channel->backoff);
    else
        pause_ns = fletch_backoff_next_ns(&channel->backoff);
    channel->link = NULL;
    fletch_rpc_link_shutdown(link);
    pause_for(channel, pause_ns, cause);
}

static void going_away(void *context, struct fletch_rpc_link *link,
                       const struct fletch_error *cause)
{
    struct fletch_rpc_channel *channel = context;
    if (link == channel->link)
        retire(channel, cause);
}

static void closed(void *context, struct fletch_rpc_link *link)
{
    struct fletch_rpc_channel *channel = context;
    fletch_rpc_link_count(
        link, (struct fletch_rpc_counts){&channel->statistics.http2, &channel->statistics.grpc});
    fletch_http2_link_remove(&link->siblings);
    channel->statistics.connections--;
    begin_all(channel); /* those of which it had messages under way */
}

static bool refused(void *context, struct fletch_rpc_call *call)
{
    struct fletch_rpc_channel *channel = context;
    if (channel->is_closing)
        return false;
    fletch_rpc_pending_take_back(call->pending);
    channel->statistics.retried++;
    return true;
}

static void sending(void *context)
{
    struct fletch_rpc_channel *channel = context;
    begin_all(channel);
    if (channel->options.room != NULL && can_begin(channel))
        channel->options.room(channel->options.context);
}

static const struct fletch_rpc_link_owner owner = {
    .going_away = going_away, .refused = refused, .sending = sending, .closed = closed};

/* ---- connecting ---- */

static enum fletch_status add_link(struct fletch_rpc_channel *channel,
                                   const struct fletch_connected *connected,
                                   struct fletch_error *error)
{
    struct fletch_event_loop *loop = channel->options.loop;
    const struct fletch_net_io *io = fletch_event_loop_io(loop);
    const struct fletch_rpc_link_options options = {
        .owner = &owner,
        .context = channel,
        .loop = loop,
        .fd = connected->fd,
        .peer = connected->peer,
        .grpc = &channel->options.grpc,
    };
    enum fletch_status status = fletch_rpc_link_create(&options, &channel->link, error);
    if (status != FLETCH_OK) {
        io->close(io->context, connected->fd);
        return status;
    }
    fletch_http2_link_append(&channel->links, &channel->link->siblings);
    channel->ready_ns = fletch_event_loop_now_ns(loop);
    channel->statistics.connections++;
    channel->statistics.connected++;
    return FLETCH_OK;
}

static void fail(struct fletch_rpc_channel *channel, const struct fletch_error *cause)
{
    channel->statistics.failed++;
    pause_for(channel, fletch_backoff_next_ns(&channel->backoff), cause);
}

static void connected(void *context, const struct fletch_connected *connected)
{
    struct fletch_rpc_channel *channel = context;
    struct fletch_error error;
    channel->connector = NULL;
    if (connected->error != NULL)
        fail(channel, connected->error);
    else if (add_link(channel, connected, &error) != FLETCH_OK)
        fail(channel, &error);
    else
        enter(channel, FLETCH_RPC_READY, NULL);
    begin_all(channel);
}

static enum fletch_status begin_to_connect(struct fletch_rpc_channel *channel,
                                           struct fletch_error *error)
{
    struct fletch_event_loop *loop = channel->options.loop;
    const struct fletch_connector_options options = {
        .loop = loop,
        .addresses = channel->addresses,
        .address_count = channel->options.address_count,
        .deadline_ns = fletch_saturating_add_u64(fletch_event_loop_now_ns(loop),
                                                 channel->options.connect_timeout_ns),
        .seed = channel->options.seed,
        .done = connected,
        .context = channel,
    };
    return fletch_connector_create(&options, &channel->connector, error);
}

static void again(void *context)
{
    struct fletch_rpc_channel *channel = context;
    struct fletch_error error;
    if (channel->state == FLETCH_RPC_READY) {
        retire(channel, &channel->cause);
    } else if (begin_to_connect(channel, &error) != FLETCH_OK) {
        fail(channel, &error);
    } else {
        enter(channel, FLETCH_RPC_CONNECTING, NULL);
    }
}

/* ---- life ---- */

static enum fletch_status check(const struct fletch_rpc_channel_options *options,
                                struct fletch_error *error)
{
    struct fletch_grpc_connection *grpc;
    if (options->address_count == 0 || options->address_count > FLETCH_CONNECTOR_ADDRESSES_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "1 to %d addresses were expected, not %zu",
                                FLETCH_CONNECTOR_ADDRESSES_MOST, options->address_count);
    /* Options are found to be wrong here, and not with the first connection. */
    enum fletch_status status = fletch_grpc_connection_create(&options->grpc, &grpc, error);
    if (status == FLETCH_OK)
        fletch_grpc_connection_destroy(grpc);
    return status;
}

static void init(struct fletch_rpc_channel *channel,
                 const struct fletch_rpc_channel_options *options)
{
    *channel = (struct fletch_rpc_channel){.options = *options, .state = FLETCH_RPC_CONNECTING};
    channel->options.grpc.http2.is_server = false;
    if (options->authority == NULL)
        channel->options.authority = "localhost";
    if (options->connect_timeout_ns == 0)
        channel->options.connect_timeout_ns = FLETCH_RPC_CONNECT_TIMEOUT_NS;
    fletch_rpc_channel_set_addresses(channel, options->addresses, options->address_count);
    if (options->grpc.send_queue_bytes == 0)
        channel->options.grpc.send_queue_bytes = FLETCH_GRPC_QUEUE_BYTES_DEFAULT;
    if (options->waiting_limit == 0)
        channel->options.waiting_limit = FLETCH_RPC_WAITING_DEFAULT;
    if (options->replay_bytes == 0)
        channel->options.replay_bytes = FLETCH_RPC_REPLAY_BYTES_DEFAULT;
    channel->waiting = (struct fletch_rpc_queue){
        .loop = options->loop,
        .allocator = fletch_allocator_or_default(options->grpc.http2.allocator),
        .options = &channel->options,
        .expired = expired,
        .context = channel,
    };
    fletch_http2_link_init(&channel->waiting.calls);
    fletch_http2_link_init(&channel->links);
    fletch_timer_start(&channel->resume, resume, channel);
    fletch_timer_start(&channel->again, again, channel);
    fletch_backoff_start(&channel->backoff, options->pause_first_ns, options->pause_most_ns,
                         options->seed);
    (void)fletch_error_set(&channel->cause, FLETCH_UNAVAILABLE, "it was never connected");
}

enum fletch_status fletch_rpc_channel_create(const struct fletch_rpc_channel_options *options,
                                             struct fletch_rpc_channel **out_channel,
                                             struct fletch_error *error)
{
    enum fletch_status status = check(options, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_rpc_channel *channel =
        fletch_block_allocate(options->grpc.http2.allocator, sizeof *channel);
    if (channel == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a channel of %zu bytes", sizeof *channel);
    init(channel, options);
    status = begin_to_connect(channel, error);
    if (status != FLETCH_OK) {
        fletch_block_release(channel);
        return status;
    }
    *out_channel = channel;
    return FLETCH_OK;
}

void fletch_rpc_channel_destroy(struct fletch_rpc_channel *channel)
{
    struct fletch_error cause;
    if (channel == NULL)
        return;
    (void)fletch_error_set(&cause, FLETCH_UNAVAILABLE, "the channel has been destroyed");
    channel->options.changed = NULL;
    channel->options.room = NULL;
    channel->is_closing = true;
    fletch_connector_destroy(channel->connector);
    while (!fletch_http2_link_is_alone(&channel->links))
        fletch_rpc_link_close(
            FLETCH_HTTP2_OF_LINK(channel->links.next, struct fletch_rpc_link, siblings), &cause);
    while (channel->waiting.count != 0)
        end_waiting(
            FLETCH_HTTP2_OF_LINK(channel->waiting.calls.next, struct fletch_rpc_pending, waiting)
                ->call,
            cause.status, cause.message);
    fletch_timer_wheel_clear(fletch_event_loop_wheel(channel->options.loop), &channel->again);
    fletch_timer_wheel_clear(fletch_event_loop_wheel(channel->options.loop), &channel->resume);
    fletch_block_release(channel);
}

enum fletch_rpc_channel_state fletch_rpc_channel_state(const struct fletch_rpc_channel *channel)
{
    return channel->state;
}

bool fletch_rpc_channel_has_room(const struct fletch_rpc_channel *channel)
{
    return can_begin(channel);
}

void fletch_rpc_channel_set_addresses(struct fletch_rpc_channel *channel,
                                      const struct fletch_socket_address *addresses,
                                      size_t address_count)
{
    memcpy(channel->addresses, addresses, address_count * sizeof *addresses);
    channel->options.address_count = address_count;
}

/* ---- calling ---- */

static enum fletch_status begin(struct fletch_rpc_channel *channel,
                                const struct fletch_rpc_calling *calling,
                                struct fletch_grpc_call **out_grpc, struct fletch_error *error)
{
    const struct fletch_grpc_request request = {
        .path = calling->path,
        .authority = channel->options.authority,
        .timeout_ns = calling->timeout_ns,
        .metadata = calling->metadata,
    };
    if (channel->state != FLETCH_RPC_READY)
        return fletch_error_set(error, FLETCH_UNAVAILABLE, "not connected: %s",
                                channel->cause.message);
    enum fletch_status status = fletch_rpc_link_call(channel->link, &request, out_grpc, error);
    if (status == FLETCH_UNAVAILABLE)
        renew(channel);
    return status;
}

static enum fletch_status call_now(struct fletch_rpc_channel *channel,
                                   const struct fletch_rpc_calling *calling,
                                   struct fletch_rpc_call **out_call, struct fletch_error *error)
{
    struct fletch_grpc_call *grpc;
    enum fletch_status status = begin(channel, calling, &grpc, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_rpc_call *call =
        fletch_rpc_call_make(&channel->waiting.allocator, channel->options.grpc.http2.cache,
                             calling->handler, calling->context);
    if (call == NULL) {
        fletch_grpc_call_cancel(grpc);
        fletch_grpc_call_release(grpc);
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a call");
    }
    fletch_rpc_call_attach(call, channel->link, grpc);
    fletch_grpc_call_set_reader(grpc, calling->reader);
    *out_call = call;
    return FLETCH_OK;
}

static enum fletch_status call_in_turn(struct fletch_rpc_channel *channel,
                                       const struct fletch_rpc_calling *calling,
                                       struct fletch_rpc_call **out_call,
                                       struct fletch_error *error)
{
    uint64_t limit = channel->options.waiting_limit;
    struct fletch_rpc_pending *pending;
    if (channel->is_closing)
        return fletch_error_set(error, FLETCH_UNAVAILABLE, "the channel has been destroyed");
    if (channel->waiting.count >= limit)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "%" PRIu64 " calls wait already, and no more than %" PRIu64 " may",
                                channel->waiting.count, limit);
    enum fletch_status status =
        fletch_rpc_pending_make(&channel->waiting, calling, &pending, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_rpc_call *call = pending->call;
    status = FLETCH_UNAVAILABLE;
    if (channel->waiting.count == 0 && can_begin(channel)) {
        status = fletch_rpc_pending_begin(pending, channel->link, error);
        if (status == FLETCH_UNAVAILABLE)
            renew(channel);
    }
    if (status == FLETCH_UNAVAILABLE) {
        fletch_rpc_pending_wait(pending);
    } else if (status != FLETCH_OK) {
        fletch_rpc_call_forget(call);
        return status;
    }
    *out_call = call;
    return FLETCH_OK;
}

enum fletch_status fletch_rpc_channel_call(struct fletch_rpc_channel *channel,
                                           const struct fletch_rpc_calling *calling,
                                           struct fletch_rpc_call **out_call,
                                           struct fletch_error *error)
{
    enum fletch_status status = calling->waits ? call_in_turn(channel, calling, out_call, error)
                                               : call_now(channel, calling, out_call, error);
    channel->statistics.calls += status == FLETCH_OK;
    return status;
}

void fletch_rpc_channel_statistics(const struct fletch_rpc_channel *channel,
                                   struct fletch_rpc_channel_statistics *out_statistics)
{
    *out_statistics = channel->statistics;
    out_statistics->waiting = channel->waiting.count;
    fletch_rpc_links_count(
        &channel->links, (struct fletch_rpc_counts){&out_statistics->http2, &out_statistics->grpc});
}
