#include "net/listener.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/allocator.h"
#include "base/checked.h"

enum { ACCEPTS_A_TURN = 64 };

struct fletch_listener {
    struct fletch_event_loop *loop;
    const struct fletch_net_io *io;
    struct fletch_event_source source;
    struct fletch_timer again; /* after a pause, or when others have had their turn */
    struct fletch_socket_address address;
    void (*accepted)(void *context, int fd, const struct fletch_socket_address *peer);
    void *context;
    bool *is_destroyed; /* of the call that is accepting; NULL: none is */
    struct fletch_listener_statistics statistics;
};

static void accept_later(struct fletch_listener *listener, uint64_t pause_ns)
{
    uint64_t now_ns = fletch_event_loop_now_ns(listener->loop);
    fletch_timer_wheel_set(fletch_event_loop_wheel(listener->loop), &listener->again,
                           fletch_saturating_add_u64(now_ns, pause_ns));
}

/* Nothing was accepted. False: nothing will be, until the next edge or the end of a pause. */
static bool goes_on_after(struct fletch_listener *listener, int number)
{
    if (number == EAGAIN || number == EWOULDBLOCK)
        return false;
    if (fletch_net_is_exhausted(number)) {
        listener->statistics.pauses++;
        accept_later(listener, FLETCH_LISTENER_PAUSE_NS);
        return false;
    }
    listener->statistics.failed += number != EINTR;
    return true;
}

static void accept_some(struct fletch_listener *listener)
{
    bool is_destroyed = false;
    listener->is_destroyed = &is_destroyed;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct fletch_socket_address peer = {.bytes = sizeof peer.as};
        int fd = listener->io->accept(listener->io->context, listener->source.fd, &peer.as.any,
                                      &peer.bytes);
        if (fd >= 0) {
            listener->statistics.accepted++;
            fletch_socket_tune(listener->io, fd, &peer);
            listener->accepted(listener->context, fd, &peer);
            if (is_destroyed)
                return;
        } else if (!goes_on_after(listener, errno)) {
            listener->is_destroyed = NULL;
            return;
        }
    }
    listener->is_destroyed = NULL;
    accept_later(listener, 0);
}

static void on_again(void *context)
{
    accept_some(context);
}

static void on_ready(void *context, uint32_t events)
{
    struct fletch_listener *listener = context;
    (void)events;
    if (!fletch_timer_is_set(&listener->again)) /* a pause is a pause */
        accept_some(listener);
}

enum fletch_status fletch_listener_create(const struct fletch_listener_options *options,
                                          struct fletch_listener **out_listener,
                                          struct fletch_error *error)
{
    struct fletch_event_loop *loop = options->loop;
    const struct fletch_net_io *io = fletch_event_loop_io(loop);
    struct fletch_listener *listener =
        fletch_block_allocate(fletch_event_loop_allocator(loop), sizeof *listener);
    if (listener == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a listener of %zu bytes", sizeof *listener);
    *listener = (struct fletch_listener){.loop = loop,
                                         .io = io,
                                         .accepted = options->accepted,
                                         .context = options->context,
                                         .source = {.ready = on_ready, .context = listener}};
    fletch_timer_start(&listener->again, on_again, listener);
    const struct fletch_socket_listening listening = {
        .io = io,
        .address = options->address,
        .backlog = options->backlog == 0 ? INT_MAX : options->backlog,
        .shares_port = options->shares_port,
        .joins_port = options->joins_port,
    };
    enum fletch_status status =
        fletch_socket_listen(&listening, &listener->source.fd, &listener->address, error);
    if (status != FLETCH_OK) {
        fletch_block_release(listener);
        return status;
    }
    status = fletch_event_loop_watch(loop, &listener->source, EPOLLIN, error);
    if (status != FLETCH_OK) {
        fletch_listener_destroy(listener);
        return status;
    }
    *out_listener = listener;
    return FLETCH_OK;
}

void fletch_listener_destroy(struct fletch_listener *listener)
{
    if (listener == NULL)
        return;
    if (listener->is_destroyed != NULL)
        *listener->is_destroyed = true;
    fletch_timer_wheel_clear(fletch_event_loop_wheel(listener->loop), &listener->again);
    fletch_event_loop_unwatch(listener->loop, &listener->source);
    const struct sockaddr_un *path = &listener->address.as.unix_path;
    if (path->sun_family == AF_UNIX && path->sun_path[0] != 0)
        unlink(path->sun_path); /* first, so that who comes now is refused and not cut off */
    listener->io->close(listener->io->context, listener->source.fd);
    fletch_block_release(listener);
}

const struct fletch_socket_address *fletch_listener_address(const struct fletch_listener *listener)
{
    return &listener->address;
}

void fletch_listener_statistics(const struct fletch_listener *listener,
                                struct fletch_listener_statistics *out_statistics)
{
    *out_statistics = listener->statistics;
}
