#include "rpc/rpc_channel.h"

#include <string.h>

#include "base/allocator.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/status.h"
#include "rpc/rpc_link.h"

struct fletch_rpc_channel {
    struct fletch_rpc_channel_options options;
    struct fletch_socket_address addresses[FLETCH_CONNECTOR_ADDRESSES_MOST];
    enum fletch_rpc_channel_state state;
    struct fletch_connector *connector; /* CONNECTING */
    struct fletch_rpc_link *link;       /* READY */
    uint64_t ready_ns;                  /* since when */
    struct fletch_http2_link links;     /* and those that are going away */
    struct fletch_timer again; /* WAITING: the end of the pause; READY: the link is spent */
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
    fletch_http2_link_remove(&link->siblings);
    channel->statistics.connections--;
}

static const struct fletch_rpc_link_owner owner = {.going_away = going_away, .closed = closed};

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
    memcpy(channel->addresses, options->addresses,
           options->address_count * sizeof *channel->addresses);
    fletch_http2_link_init(&channel->links);
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
    fletch_connector_destroy(channel->connector);
    while (!fletch_http2_link_is_alone(&channel->links))
        fletch_rpc_link_close(
            FLETCH_HTTP2_OF_LINK(channel->links.next, struct fletch_rpc_link, siblings), &cause);
    fletch_timer_wheel_clear(fletch_event_loop_wheel(channel->options.loop), &channel->again);
    fletch_block_release(channel);
}

enum fletch_rpc_channel_state fletch_rpc_channel_state(const struct fletch_rpc_channel *channel)
{
    return channel->state;
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
    if (status == FLETCH_UNAVAILABLE) {
        /* It has no stream ids left, or ends: another one is wanted. */
        (void)fletch_error_set(&channel->cause, status, "the connection takes no more calls");
        set_again(channel, 0);
    }
    return status;
}

enum fletch_status fletch_rpc_channel_call(struct fletch_rpc_channel *channel,
                                           const struct fletch_rpc_calling *calling,
                                           struct fletch_rpc_call **out_call,
                                           struct fletch_error *error)
{
    struct fletch_grpc_call *grpc;
    enum fletch_status status = begin(channel, calling, &grpc, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_rpc_call *call =
        fletch_rpc_call_make(channel->link, grpc, calling->handler, calling->context);
    if (call == NULL) {
        fletch_grpc_call_cancel(grpc);
        fletch_grpc_call_release(grpc);
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a call");
    }
    fletch_grpc_call_set_reader(grpc, calling->reader);
    channel->statistics.calls++;
    *out_call = call;
    return FLETCH_OK;
}

void fletch_rpc_channel_statistics(const struct fletch_rpc_channel *channel,
                                   struct fletch_rpc_channel_statistics *out_statistics)
{
    *out_statistics = channel->statistics;
}
