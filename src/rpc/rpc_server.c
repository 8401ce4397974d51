#include "rpc/rpc_server.h"

#include <string.h>

#include "base/allocator.h"
#include "base/clock.h"
#include "net/listener.h"
#include "rpc/rpc_link.h"

struct fletch_rpc_server {
    struct fletch_rpc_server_options options;
    struct fletch_socket_address address;
    struct fletch_listener *listener; /* NULL: drains */
    struct fletch_http2_link links;
    struct fletch_rpc_drain drain;
    struct fletch_timer drained; /* or the deadline */
    bool is_draining;
    bool is_late; /* its calls were finished for them */
    struct fletch_rpc_server_statistics statistics;
};

/* ---- what links say ---- */

static const struct fletch_rpc_method *find_method(const struct fletch_rpc_server *server,
                                                   const char *path)
{
    const struct fletch_rpc_server_options *options = &server->options;
    for (size_t i = 0; i < options->method_count; i++)
        if (strcmp(options->methods[i].path, path) == 0)
            return &options->methods[i];
    return options->health == NULL ? NULL : fletch_rpc_health_method(options->health, path);
}

static const struct fletch_rpc_method *find(void *context, const char *path)
{
    struct fletch_rpc_server *server = context;
    const struct fletch_rpc_method *method = find_method(server, path);
    server->statistics.calls++;
    server->statistics.unknown += method == NULL;
    return method;
}

/* In the next turn: who is told may destroy the server. */
static void set_drained(struct fletch_rpc_server *server)
{
    fletch_timer_wheel_set(fletch_event_loop_wheel(server->options.loop), &server->drained, 0);
}

static void closed(void *context, struct fletch_rpc_link *link)
{
    struct fletch_rpc_server *server = context;
    fletch_rpc_link_count(
        link, (struct fletch_rpc_counts){&server->statistics.http2, &server->statistics.grpc});
    fletch_http2_link_remove(&link->siblings);
    server->statistics.connections--;
    if (server->is_draining && server->statistics.connections == 0)
        set_drained(server);
}

static const struct fletch_rpc_link_owner owner = {.find = find, .closed = closed};

/* ---- connections ---- */

static bool add_link(struct fletch_rpc_server *server, int fd,
                     const struct fletch_socket_address *peer)
{
    const struct fletch_rpc_link_options options = {
        .owner = &owner,
        .context = server,
        .loop = server->options.loop,
        .fd = fd,
        .peer = peer,
        .grpc = &server->options.grpc,
    };
    uint32_t limit = server->options.connection_limit;
    struct fletch_rpc_link *link;
    if (server->statistics.connections >= limit ||
        fletch_rpc_link_create(&options, &link, NULL) != FLETCH_OK)
        return false;
    fletch_http2_link_append(&server->links, &link->siblings);
    server->statistics.connections++;
    return true;
}

static void accepted(void *context, int fd, const struct fletch_socket_address *peer)
{
    struct fletch_rpc_server *server = context;
    const struct fletch_net_io *io = fletch_event_loop_io(server->options.loop);
    server->statistics.accepted++;
    if (add_link(server, fd, peer))
        return;
    server->statistics.refused++;
    io->close(io->context, fd);
}

static const struct fletch_error shut_down = {.status = FLETCH_UNAVAILABLE,
                                              .message = "the server has been shut down"};

static void close_all(struct fletch_rpc_server *server)
{
    while (!fletch_http2_link_is_alone(&server->links))
        fletch_rpc_link_close(
            FLETCH_HTTP2_OF_LINK(server->links.next, struct fletch_rpc_link, siblings), &shut_down);
}

/* ---- life ---- */

/* Their clients are told, if they listen. */
static void fail_calls(struct fletch_rpc_server *server)
{
    struct fletch_event_loop *loop = server->options.loop;
    struct fletch_http2_link *link = server->links.next;
    server->is_late = true;
    for (; link != &server->links; link = link->next)
        fletch_rpc_link_fail_calls(FLETCH_HTTP2_OF_LINK(link, struct fletch_rpc_link, siblings),
                                   &shut_down);
    fletch_timer_wheel_set(fletch_event_loop_wheel(loop), &server->drained,
                           fletch_event_loop_now_ns(loop) + FLETCH_RPC_LAST_WORD_NS);
}

/* All connections are gone, or the deadline has passed. */
static void drain_expired(void *context)
{
    struct fletch_rpc_server *server = context;
    if (server->statistics.connections != 0 && !server->is_late) {
        fail_calls(server);
        return;
    }
    close_all(server);
    fletch_timer_wheel_clear(fletch_event_loop_wheel(server->options.loop), &server->drained);
    server->drain.drained(server->drain.context);
}

/* Options are found to be wrong here, and not with the first connection. */
static enum fletch_status try_options(const struct fletch_rpc_server *server,
                                      struct fletch_error *error)
{
    const struct fletch_rpc_server_options *options = &server->options;
    struct fletch_grpc_connection *grpc;
    enum fletch_status status = fletch_grpc_connection_create(&options->grpc, &grpc, error);
    if (status == FLETCH_OK)
        fletch_grpc_connection_destroy(grpc);
    return status;
}

static enum fletch_status listen_there(struct fletch_rpc_server *server, struct fletch_error *error)
{
    const struct fletch_listener_options options = {
        .loop = server->options.loop,
        .address = server->options.address,
        .backlog = server->options.backlog,
        .shares_port = server->options.shares_port,
        .joins_port = server->options.joins_port,
        .accepted = accepted,
        .context = server,
    };
    enum fletch_status status = try_options(server, error);
    if (status == FLETCH_OK)
        status = fletch_listener_create(&options, &server->listener, error);
    if (status == FLETCH_OK)
        server->address = *fletch_listener_address(server->listener);
    return status;
}

enum fletch_status fletch_rpc_server_create(const struct fletch_rpc_server_options *options,
                                            struct fletch_rpc_server **out_server,
                                            struct fletch_error *error)
{
    struct fletch_rpc_server *server =
        fletch_block_allocate(options->grpc.http2.allocator, sizeof *server);
    if (server == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a server of %zu bytes", sizeof *server);
    *server = (struct fletch_rpc_server){.options = *options};
    server->options.grpc.http2.is_server = true;
    if (options->connection_limit == 0)
        server->options.connection_limit = FLETCH_RPC_CONNECTIONS_DEFAULT;
    fletch_http2_link_init(&server->links);
    fletch_timer_start(&server->drained, drain_expired, server);
    enum fletch_status status = listen_there(server, error);
    if (status != FLETCH_OK) {
        fletch_block_release(server);
        return status;
    }
    *out_server = server;
    return FLETCH_OK;
}

void fletch_rpc_server_destroy(struct fletch_rpc_server *server)
{
    if (server == NULL)
        return;
    fletch_listener_destroy(server->listener);
    close_all(server);
    fletch_timer_wheel_clear(fletch_event_loop_wheel(server->options.loop), &server->drained);
    fletch_block_release(server);
}

const struct fletch_socket_address *
fletch_rpc_server_address(const struct fletch_rpc_server *server)
{
    return &server->address;
}

void fletch_rpc_server_drain(struct fletch_rpc_server *server, const struct fletch_rpc_drain *drain)
{
    if (server->is_draining)
        return;
    server->is_draining = true;
    server->drain = *drain;
    fletch_listener_destroy(server->listener);
    server->listener = NULL;
    if (server->options.health != NULL)
        fletch_rpc_health_shutdown(server->options.health);
    struct fletch_http2_link *link = server->links.next;
    for (; link != &server->links; link = link->next)
        fletch_rpc_link_shutdown(FLETCH_HTTP2_OF_LINK(link, struct fletch_rpc_link, siblings));
    fletch_timer_wheel_set(fletch_event_loop_wheel(server->options.loop), &server->drained,
                           drain->deadline_ns);
    if (server->statistics.connections == 0)
        set_drained(server);
}

void fletch_rpc_server_statistics(const struct fletch_rpc_server *server,
                                  struct fletch_rpc_server_statistics *out_statistics)
{
    *out_statistics = server->statistics;
    fletch_rpc_links_count(
        &server->links, (struct fletch_rpc_counts){&out_statistics->http2, &out_statistics->grpc});
}
