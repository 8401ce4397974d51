/* gRPC over TCP by the state machines and plain poll, for other implementations to talk to.
 *
 *   grpc_peer serve                      says its port, sends each message back, until killed
 *   grpc_peer call PORT PATH FILE...     one call with the files as messages; says what came:
 *                                        messages, bytes, status, text */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "grpc/grpc_connection.h"

enum { PEERS_MOST = 16, SLICES = 64 };

struct peer {
    int fd; /* -1: none */
    struct fletch_grpc_connection *grpc;
    struct fletch_http2_connection *http2;
};

struct program {
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    struct peer peers[PEERS_MOST];
    size_t messages;
    size_t bytes;
    int status; /* of the call; -1: it goes on */
    char text[512];
};

struct owned {
    struct fletch_grpc_message message; /* first */
    struct iovec slices[2];
    struct fletch_buffer *buffer; /* or bytes of its own */
    struct fletch_buffer_cache *cache;
    char *bytes;
};

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void end_owned(struct fletch_grpc_message *message, bool is_sent)
{
    struct owned *owned = (struct owned *)(void *)message;
    (void)is_sent;
    fletch_buffer_release(owned->cache, owned->buffer);
    free(owned->bytes);
    free(owned);
}

static void send_owned(struct fletch_grpc_call *call, struct owned *owned)
{
    owned->message =
        (struct fletch_grpc_message){.slices = owned->slices, .slice_count = 2, .done = end_owned};
    if (fletch_grpc_call_send(call, &owned->message, NULL) != FLETCH_OK)
        end_owned(&owned->message, false);
}

/* ---- events ---- */

static void echo(struct program *program, const struct fletch_grpc_event *event)
{
    struct owned *owned = calloc(1, sizeof *owned);
    owned->cache = program->cache;
    owned->buffer = event->buffer;
    if (event->buffer != NULL)
        owned->slices[1] = (struct iovec){(void *)(uintptr_t)fletch_buffer_data(event->buffer),
                                          event->message_bytes};
    send_owned(event->call, owned);
}

static void serve_event(struct program *program, const struct fletch_grpc_event *event)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_OK};
    const struct fletch_grpc_ending unknown = {.status = FLETCH_UNIMPLEMENTED,
                                               .text = "no method '%' of ours"};
    if (event->kind == FLETCH_GRPC_EVENT_CALL && strstr(event->path, "ListActions") != NULL) {
        (void)fletch_grpc_call_finish(event->call, &unknown, NULL);
        fletch_grpc_call_release(event->call);
    }
    if (event->kind == FLETCH_GRPC_EVENT_MESSAGE) {
        echo(program, event);
        fletch_grpc_call_take(event->call);
    }
    if (event->kind == FLETCH_GRPC_EVENT_HALF_CLOSED)
        (void)fletch_grpc_call_finish(event->call, &ending, NULL);
    if (event->kind == FLETCH_GRPC_EVENT_HALF_CLOSED || event->kind == FLETCH_GRPC_EVENT_ENDED)
        fletch_grpc_call_release(event->call);
}

static void call_event(struct program *program, const struct fletch_grpc_event *event)
{
    if (event->kind == FLETCH_GRPC_EVENT_MESSAGE) {
        program->messages++;
        program->bytes += event->message_bytes;
        fletch_buffer_release(program->cache, event->buffer);
        fletch_grpc_call_take(event->call);
    }
    if (event->kind != FLETCH_GRPC_EVENT_ENDED)
        return;
    program->status = (int)event->status;
    (void)snprintf(program->text, sizeof program->text, "%s", event->text);
    fletch_grpc_call_release(event->call);
}

static void take_events(struct program *program, struct peer *peer, bool is_server)
{
    struct fletch_grpc_event event;
    while (fletch_grpc_connection_next(peer->grpc, &event)) {
        if (is_server)
            serve_event(program, &event);
        else
            call_event(program, &event);
    }
}

/* ---- sockets ---- */

static void add_peer(struct program *program, int fd, bool is_server)
{
    const struct fletch_grpc_options options = {
        .struct_size = sizeof options,
        .http2 = {.is_server = is_server, .cache = program->cache},
    };
    struct peer *peer = program->peers;
    while (peer < program->peers + PEERS_MOST && peer->fd >= 0)
        peer++;
    if (peer == program->peers + PEERS_MOST) {
        close(fd);
        return;
    }
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 ||
        fletch_grpc_connection_create(&options, &peer->grpc, NULL) != FLETCH_OK)
        stop("connection");
    peer->fd = fd;
    peer->http2 = fletch_grpc_connection_http2(peer->grpc);
    fletch_grpc_connection_tick(peer->grpc, fletch_clock_now_ns());
}

static void drop_peer(struct peer *peer)
{
    fletch_grpc_connection_destroy(peer->grpc);
    close(peer->fd);
    peer->fd = -1;
}

static void receive(struct program *program, struct peer *peer, bool is_server)
{
    struct iovec spans[FLETCH_HTTP2_ROOM_SPANS];
    struct msghdr message = {.msg_iov = spans};
    message.msg_iovlen = fletch_http2_connection_room(peer->http2, spans);
    if (message.msg_iovlen == 0)
        return;
    ssize_t bytes = recvmsg(peer->fd, &message, 0);
    if (bytes > 0)
        fletch_http2_connection_received(peer->http2, (size_t)bytes);
    else if (bytes == 0 || (errno != EAGAIN && errno != EINTR))
        fletch_http2_connection_ended(peer->http2);
    take_events(program, peer, is_server);
}

/* Returns whether there is more than the socket takes. */
static bool transmit(struct peer *peer)
{
    struct iovec slices[SLICES];
    struct msghdr message = {.msg_iov = slices};
    while ((message.msg_iovlen = fletch_http2_connection_output(peer->http2, slices, SLICES)) !=
           0) {
        ssize_t bytes = sendmsg(peer->fd, &message, MSG_NOSIGNAL);
        if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (bytes < 0) {
            fletch_http2_connection_ended(peer->http2);
            return false;
        }
        fletch_http2_connection_sent(peer->http2, (size_t)bytes);
    }
    return false;
}

/* One turn of the loop. `listener` is -1 at a client. */
static void turn(struct program *program, int listener)
{
    struct pollfd fds[PEERS_MOST + 1] = {{.fd = listener, .events = POLLIN}};
    bool is_server = listener >= 0;
    for (size_t i = 0; i < PEERS_MOST; i++) {
        struct peer *peer = &program->peers[i];
        fds[i + 1].fd = peer->fd;
        if (peer->fd < 0)
            continue;
        bool is_full = transmit(peer);
        take_events(program, peer, is_server);
        if (fletch_http2_connection_is_over(peer->http2)) {
            drop_peer(peer);
            fds[i + 1].fd = -1;
            continue;
        }
        fds[i + 1].events = (short)(is_full ? POLLIN | POLLOUT : POLLIN);
    }
    if (poll(fds, PEERS_MOST + 1, 1000) < 0 && errno != EINTR)
        stop("poll");
    for (size_t i = 0; i < PEERS_MOST; i++) {
        struct peer *peer = &program->peers[i];
        if (fds[i + 1].fd < 0)
            continue;
        fletch_grpc_connection_tick(peer->grpc, fletch_clock_now_ns());
        if (fds[i + 1].revents & (POLLIN | POLLHUP | POLLERR))
            receive(program, peer, is_server);
        take_events(program, peer, is_server);
    }
    if (fds[0].revents & POLLIN)
        add_peer(program, accept(listener, NULL, NULL), true);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void serve(struct program *program)
{
    struct sockaddr_in address = loopback(0);
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, bytes) != 0 ||
        listen(listener, 16) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &bytes) != 0)
        stop("listen");
    printf("%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    for (;;)
        turn(program, listener);
}

static struct owned *load(struct program *program, const char *path)
{
    struct owned *owned = calloc(1, sizeof *owned);
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
        stop(path);
    rewind(file);
    owned->cache = program->cache;
    owned->bytes = malloc((size_t)size + 1);
    if (fread(owned->bytes, 1, (size_t)size, file) != (size_t)size)
        stop(path);
    fclose(file);
    owned->slices[1] = (struct iovec){owned->bytes, (size_t)size};
    return owned;
}

static void call(struct program *program, int argc, char **argv)
{
    struct sockaddr_in address = loopback((uint16_t)atoi(argv[2]));
    const struct fletch_grpc_request request = {.path = argv[3], .authority = "localhost"};
    struct fletch_grpc_call *made = NULL;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        stop("connect");
    add_peer(program, fd, false);
    if (fletch_grpc_connection_call(program->peers[0].grpc, &request, &made, NULL) != FLETCH_OK)
        stop("call");
    for (int i = 4; i < argc; i++)
        send_owned(made, load(program, argv[i]));
    fletch_grpc_call_half_close(made);
    while (program->status < 0)
        turn(program, -1);
    if (program->peers[0].fd >= 0)
        drop_peer(&program->peers[0]);
    printf("%zu %zu %d %s\n", program->messages, program->bytes, program->status, program->text);
}

int main(int argc, char **argv)
{
    static struct program program = {.status = -1};
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    for (size_t i = 0; i < PEERS_MOST; i++)
        program.peers[i].fd = -1;
    if (fletch_buffer_pool_create(&options, NULL, &program.pool, NULL) != FLETCH_OK ||
        fletch_buffer_cache_open(program.pool, &program.cache, NULL) != FLETCH_OK)
        stop("pool");
    if (argc == 2 && strcmp(argv[1], "serve") == 0) {
        serve(&program);
    } else if (argc >= 4 && strcmp(argv[1], "call") == 0) {
        call(&program, argc, argv);
    } else {
        fprintf(stderr, "usage: grpc_peer serve | call PORT PATH FILE...\n");
        return 2;
    }
    fletch_buffer_cache_close(program.cache);
    return fletch_buffer_pool_destroy(program.pool, NULL) == FLETCH_OK ? 0 : 1;
}
