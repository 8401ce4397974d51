/* Our gRPC as an end of bench_grpc: the machines of src/grpc on connections of src/net, one loop. */

#include <fletching/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/grpc_connection.h"
#include "grpc_end.h"
#include "net/connection.h"
#include "net/connector.h"
#include "net/listener.h"

/* What a stream has under way at most: enough for many sends, little enough to stay in a cache. */
#define AHEAD_BYTES ((size_t)8 << 20)
enum { AHEAD_MOST = 1024, AHEAD_LEAST = 2, STREAMS_MOST = 4096, CONNECTIONS_MOST = 1024 };
#define TURN_NS UINT64_C(1000000000)

struct end;

/* A connection. */
struct link {
    struct end *end;
    struct fletch_grpc_connection *grpc;
    struct fletch_http2_connection *http2;
    struct fletch_connection *net; /* NULL: gone */
    struct down *downs;            /* that have something left to send */
};

struct end {
    bool is_server;
    bool is_wrong;
    struct fletch_event_loop *loop;
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    /* Of a client. */
    struct fletch_socket_address server;
    struct link *links[CONNECTIONS_MOST + 1];
    size_t link_count;
    struct fletch_grpc_call *held[STREAMS_MOST];
    size_t held_count;
    size_t bytes;  /* of the messages that are awaited */
    bool is_down;  /* these are of the source */
    uint64_t seen; /* messages */
    uint64_t over; /* calls */
};

/* A message and its place in a stream that the server sends. */
struct slot {
    struct fletch_grpc_message message; /* first */
    struct iovec slices[2];
    struct down *down;
    struct slot *next;
};

/* A stream that the server sends. It goes when the last slot has come back. */
struct down {
    struct fletch_grpc_call *call; /* NULL: it has ended */
    struct grpc_end_down wanted;
    uint64_t begun;
    size_t slots_out;
    struct slot *free;
    struct down *next;
    struct slot slots[];
};

/* A small message of the client's, or one that goes back. */
struct parcel {
    struct fletch_grpc_message message; /* first */
    struct iovec slices[2];
    struct fletch_buffer *buffer;
    struct fletch_buffer_cache *cache;
    char bytes[GRPC_END_SMALL];
};

static void stop(const char *what, const struct fletch_error *error)
{
    (void)fprintf(stderr, "%s: %s\n", what, error == NULL ? "no memory" : error->message);
    exit(1);
}

static void *memory(size_t bytes)
{
    void *made = calloc(1, bytes);
    if (made == NULL)
        stop("memory", NULL);
    return made;
}

/* ---- messages ---- */

static void end_parcel(struct fletch_grpc_message *message, bool is_sent)
{
    struct parcel *parcel = (struct parcel *)(void *)message;
    (void)is_sent;
    fletch_buffer_release(parcel->cache, parcel->buffer);
    free(parcel);
}

static void send_parcel(struct fletch_grpc_call *call, struct parcel *parcel)
{
    parcel->message = (struct fletch_grpc_message){
        .slices = parcel->slices, .slice_count = 2, .done = end_parcel};
    if (fletch_grpc_call_send(call, &parcel->message, NULL) != FLETCH_OK)
        end_parcel(&parcel->message, false);
}

static void send_bytes(struct fletch_grpc_call *call, const void *data, size_t bytes)
{
    struct parcel *parcel = memory(sizeof *parcel);
    memcpy(parcel->bytes, data, bytes);
    parcel->slices[1] = (struct iovec){parcel->bytes, bytes};
    send_parcel(call, parcel);
}

static void send_back(struct end *end, const struct fletch_grpc_event *event)
{
    struct parcel *parcel = memory(sizeof *parcel);
    parcel->cache = end->cache;
    parcel->buffer = event->buffer;
    if (event->buffer != NULL)
        parcel->slices[1] =
            (struct iovec){fletch_buffer_mutable_data(event->buffer), event->message_bytes};
    send_parcel(event->call, parcel);
}

/* ---- a stream of the server's ---- */

static void leave_down(struct down *down)
{
    if (down->slots_out == 0 && down->call == NULL)
        free(down);
}

static void end_slot(struct fletch_grpc_message *message, bool is_sent)
{
    struct slot *slot = (struct slot *)(void *)message;
    struct down *down = slot->down;
    (void)is_sent;
    slot->next = down->free;
    down->free = slot;
    down->slots_out--;
    leave_down(down);
}

static void begin_down(struct link *link, const struct fletch_grpc_event *event)
{
    struct grpc_end_down wanted;
    memcpy(&wanted, fletch_buffer_data(event->buffer), sizeof wanted);
    size_t count = AHEAD_BYTES / wanted.bytes;
    count = count < AHEAD_LEAST ? AHEAD_LEAST : count > AHEAD_MOST ? AHEAD_MOST : count;
    struct down *down = memory(sizeof *down + count * sizeof down->slots[0]);
    down->call = event->call;
    down->wanted = wanted;
    for (size_t i = 0; i < count; i++) {
        down->slots[i].down = down;
        down->slots[i].next = down->free;
        down->free = &down->slots[i];
    }
    down->next = link->downs;
    link->downs = down;
    fletch_grpc_call_set_context(event->call, down);
}

/* Queues what there are slots for. True: that was the last. */
static bool advance_down(struct down *down)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_OK};
    while (down->free != NULL && down->begun < down->wanted.count) {
        struct slot *slot = down->free;
        slot->slices[1] =
            (struct iovec){(void *)(uintptr_t)grpc_end_source(down->begun, down->wanted.bytes),
                           down->wanted.bytes};
        slot->message = (struct fletch_grpc_message){
            .slices = slot->slices, .slice_count = 2, .done = end_slot};
        if (fletch_grpc_call_send(down->call, &slot->message, NULL) != FLETCH_OK)
            return false;
        down->free = slot->next;
        down->slots_out++;
        down->begun++;
    }
    if (down->begun < down->wanted.count)
        return false;
    (void)fletch_grpc_call_finish(down->call, &ending, NULL);
    return true;
}

/* The call goes; what it has queued is sent first. */
static void drop_down(struct link *link, struct down *down)
{
    struct down **at = &link->downs;
    struct fletch_grpc_call *call = down->call;
    while (*at != down)
        at = &(*at)->next;
    *at = down->next;
    down->slots_out++; /* so that it stays until here */
    down->call = NULL;
    fletch_grpc_call_release(call);
    down->slots_out--;
    leave_down(down);
}

static void advance_downs(struct link *link)
{
    struct down *next;
    for (struct down *down = link->downs; down != NULL; down = next) {
        next = down->next;
        if (advance_down(down))
            drop_down(link, down);
    }
}

/* ---- events ---- */

static void serve_event(struct link *link, const struct fletch_grpc_event *event)
{
    static char down_path;
    const struct fletch_grpc_ending ending = {.status = FLETCH_OK};
    void *context = event->call == NULL ? NULL : fletch_grpc_call_context(event->call);
    switch (event->kind) {
    case FLETCH_GRPC_EVENT_CALL:
        if (strcmp(event->path, GRPC_END_DOWN) == 0)
            fletch_grpc_call_set_context(event->call, &down_path);
        break;
    case FLETCH_GRPC_EVENT_MESSAGE:
        if (context == NULL) {
            send_back(link->end, event);
        } else if (context == &down_path && event->message_bytes == sizeof(struct grpc_end_down)) {
            begin_down(link, event);
            fletch_buffer_release(link->end->cache, event->buffer);
        } else {
            stop("a request", NULL);
        }
        fletch_grpc_call_take(event->call);
        break;
    case FLETCH_GRPC_EVENT_HALF_CLOSED:
        if (context == NULL) {
            (void)fletch_grpc_call_finish(event->call, &ending, NULL);
            fletch_grpc_call_release(event->call);
        }
        break;
    case FLETCH_GRPC_EVENT_ENDED:
        if (context == NULL || context == &down_path)
            fletch_grpc_call_release(event->call);
        else
            drop_down(link, context);
        break;
    default:
        break;
    }
}

static void call_event(struct end *end, const struct fletch_grpc_event *event)
{
    if (event->kind == FLETCH_GRPC_EVENT_MESSAGE) {
        if (event->message_bytes != end->bytes ||
            (end->is_down &&
             !grpc_end_is_right(fletch_buffer_data(event->buffer), end->bytes, end->seen)))
            end->is_wrong = true;
        end->seen++;
        fletch_buffer_release(end->cache, event->buffer);
        fletch_grpc_call_take(event->call);
    }
    if (event->kind != FLETCH_GRPC_EVENT_ENDED)
        return;
    end->is_wrong = end->is_wrong || event->status != FLETCH_OK;
    end->over++;
    fletch_grpc_call_release(event->call);
}

static void take_events(struct link *link)
{
    struct fletch_grpc_event event;
    while (fletch_grpc_connection_next(link->grpc, &event)) {
        if (link->end->is_server)
            serve_event(link, &event);
        else
            call_event(link->end, &event);
    }
}

/* ---- a connection's handler: docs/NET.md ---- */

static void on_tick(void *context, uint64_t now_ns)
{
    struct link *link = context;
    fletch_grpc_connection_tick(link->grpc, now_ns);
    take_events(link);
}

static uint64_t on_deadline(void *context)
{
    return fletch_grpc_connection_deadline(((struct link *)context)->grpc);
}

static size_t on_where(void *context, struct iovec *out_spans)
{
    take_events(context);
    return fletch_http2_connection_room(((struct link *)context)->http2, out_spans);
}

static void on_received(void *context, size_t bytes)
{
    fletch_http2_connection_received(((struct link *)context)->http2, bytes);
    take_events(context);
}

static size_t on_certain_bytes(void *context)
{
    return fletch_http2_connection_certain_bytes(((struct link *)context)->http2);
}

static void on_ended(void *context, const struct fletch_error *cause)
{
    (void)cause;
    fletch_http2_connection_ended(((struct link *)context)->http2);
    take_events(context);
}

static size_t on_gather(void *context, struct iovec *out_slices, size_t capacity)
{
    struct link *link = context;
    advance_downs(link);
    return fletch_http2_connection_output(link->http2, out_slices, capacity);
}

static void on_sent(void *context, size_t bytes)
{
    fletch_http2_connection_sent(((struct link *)context)->http2, bytes);
}

static bool on_is_over(void *context)
{
    return fletch_http2_connection_is_over(((struct link *)context)->http2);
}

static void on_closed(void *context, const struct fletch_error *cause)
{
    struct link *link = context;
    (void)cause;
    link->net = NULL;
    if (!link->end->is_server) {
        link->end->is_wrong = true;
        return;
    }
    while (link->downs != NULL)
        drop_down(link, link->downs);
    fletch_grpc_connection_destroy(link->grpc);
    free(link);
}

static const struct fletch_connection_handler handler = {
    .tick = on_tick,
    .deadline = on_deadline,
    .where = on_where,
    .received = on_received,
    .certain_bytes = on_certain_bytes,
    .ended = on_ended,
    .gather = on_gather,
    .sent = on_sent,
    .is_over = on_is_over,
    .closed = on_closed,
};

_Static_assert(FLETCH_HTTP2_ROOM_SPANS <= FLETCH_CONNECTION_SPANS, "room fits in spans");

static struct link *add_link(struct end *end, int fd, const struct fletch_socket_address *peer)
{
    const struct fletch_grpc_options options = {
        .struct_size = sizeof options,
        .http2 = {.is_server = end->is_server, .cache = end->cache},
        .send_queue_bytes = (size_t)64 << 20,
    };
    struct fletch_error error;
    struct link *link = memory(sizeof *link);
    link->end = end;
    if (fletch_grpc_connection_create(&options, &link->grpc, &error) != FLETCH_OK)
        stop("a connection", &error);
    link->http2 = fletch_grpc_connection_http2(link->grpc);
    const struct fletch_connection_options net = {
        .loop = end->loop, .fd = fd, .peer = peer, .handler = &handler, .context = link};
    if (fletch_connection_create(&net, &link->net, &error) != FLETCH_OK)
        stop("a connection", &error);
    return link;
}

/* ---- server ---- */

static void on_accepted(void *context, int fd, const struct fletch_socket_address *peer)
{
    (void)add_link(context, fd, peer);
}

static void serve(struct end *end)
{
    struct fletch_listener *listener;
    struct fletch_error error;
    struct fletch_listener_options options = {
        .loop = end->loop, .accepted = on_accepted, .context = end};
    end->is_server = true;
    (void)grpc_end_source(0, 1);
    if (fletch_socket_address_parse("127.0.0.1:0", &options.address, &error) != FLETCH_OK ||
        fletch_listener_create(&options, &listener, &error) != FLETCH_OK)
        stop("a listener", &error);
    grpc_end_say_port(fletch_socket_address_port(fletch_listener_address(listener)));
    fletch_event_loop_run(end->loop);
}

/* ---- client ---- */

static void on_connected(void *context, const struct fletch_connected *connected)
{
    struct end *end = context;
    if (connected->error != NULL)
        stop("connecting", connected->error);
    end->links[end->link_count++] = add_link(end, connected->fd, connected->peer);
}

static void connect_links(struct end *end, size_t count)
{
    struct fletch_connector *connector;
    struct fletch_error error;
    const struct fletch_connector_options options = {.loop = end->loop,
                                                     .addresses = &end->server,
                                                     .address_count = 1,
                                                     .done = on_connected,
                                                     .context = end};
    while (end->link_count < count) {
        size_t before = end->link_count;
        if (fletch_connector_create(&options, &connector, &error) != FLETCH_OK)
            stop("connecting", &error);
        while (end->link_count == before)
            (void)fletch_event_loop_turn(end->loop, TURN_NS);
    }
}

static struct fletch_grpc_call *begin_call(struct link *link, const char *path)
{
    const struct fletch_grpc_request request = {.path = path, .authority = "localhost"};
    struct fletch_grpc_call *call = NULL;
    struct fletch_error error;
    if (link->net == NULL ||
        fletch_grpc_connection_call(link->grpc, &request, &call, &error) != FLETCH_OK)
        stop("a call", link->net == NULL ? NULL : &error);
    return call;
}

/* Turns until so many calls are over; then all of their messages must have come. */
static bool await(struct end *end, uint64_t over, uint64_t seen)
{
    while ((end->over < over || end->seen < seen) && !end->is_wrong)
        (void)fletch_event_loop_turn(end->loop, TURN_NS);
    bool is_right = !end->is_wrong && end->seen == seen;
    end->over = 0;
    end->seen = 0;
    return is_right;
}

static bool call_once(struct link *link, const char *path, const void *data, size_t bytes)
{
    struct fletch_grpc_call *call = begin_call(link, path);
    send_bytes(call, data, bytes);
    fletch_grpc_call_half_close(call);
    fletch_connection_kick(link->net);
    return true;
}

static bool stream(void *context, const struct grpc_end_down *wanted)
{
    struct end *end = context;
    end->bytes = wanted->bytes;
    end->is_down = true;
    return call_once(end->links[0], GRPC_END_DOWN, wanted, sizeof *wanted) &&
           await(end, 1, wanted->count);
}

static bool unary_on(struct end *end, struct link *link, size_t bytes)
{
    const char data[GRPC_END_SMALL] = {0};
    end->bytes = bytes;
    end->is_down = false;
    return call_once(link, GRPC_END_UNARY, data, bytes) && await(end, 1, 1);
}

static bool unary(void *context, size_t bytes)
{
    struct end *end = context;
    return unary_on(end, end->links[0], bytes);
}

static size_t connections(void *context, size_t count)
{
    struct end *end = context;
    size_t there = 0;
    if (count > CONNECTIONS_MOST)
        return 0;
    connect_links(end, count + 1);
    for (size_t i = 1; i <= count; i++)
        there += unary_on(end, end->links[i], GRPC_END_SMALL);
    return there;
}

static size_t again(void *context)
{
    struct end *end = context;
    const char data[GRPC_END_SMALL] = {0};
    end->bytes = GRPC_END_SMALL;
    end->is_down = false;
    for (size_t i = 0; i < end->held_count; i++) {
        send_bytes(end->held[i], data, sizeof data);
        fletch_connection_kick(end->links[i % GRPC_END_CONNECTIONS]->net);
    }
    return await(end, 0, end->held_count) ? end->held_count : 0;
}

static size_t streams(void *context, size_t count)
{
    struct end *end = context;
    if (count > STREAMS_MOST)
        return 0;
    connect_links(end, GRPC_END_CONNECTIONS);
    /* So that the server has said how many it takes. */
    for (size_t i = 0; i < end->link_count; i++)
        (void)unary_on(end, end->links[i], GRPC_END_SMALL);
    while (end->held_count < count) {
        struct link *link = end->links[end->held_count % GRPC_END_CONNECTIONS];
        end->held[end->held_count++] = begin_call(link, GRPC_END_ECHO);
    }
    return again(end);
}

static int call(struct end *end, const char *port)
{
    const struct grpc_end_client calls = {stream, unary, connections, streams, again, end};
    char text[32];
    struct fletch_error error;
    (void)snprintf(text, sizeof text, "127.0.0.1:%s", port);
    if (fletch_socket_address_parse(text, &end->server, &error) != FLETCH_OK)
        stop("the port", &error);
    connect_links(end, 1);
    return grpc_end_obey(&calls);
}

int main(int argc, char **argv)
{
    static struct end end;
    struct fletch_error error;
    const struct fletch_buffer_pool_options pool = {.struct_size = sizeof pool};
    bool serves = argc >= 2 && strcmp(argv[1], "serve") == 0;
    bool calls = argc >= 3 && strcmp(argv[1], "call") == 0;
    long spin = argc >= 3 + calls ? strtol(argv[2 + calls], NULL, 10) : 0;
    const struct fletch_event_loop_options loop = {.spin_ns =
                                                       spin < 0 ? FLETCH_OFF : (uint64_t)spin};
    grpc_end_begin();
    if (!serves && !calls) {
        (void)fprintf(stderr, "usage: %s serve [SPIN] | call PORT [SPIN]\n", argv[0]);
        return 2;
    }
    if (fletch_buffer_pool_create(&pool, NULL, &end.pool, &error) != FLETCH_OK ||
        fletch_buffer_cache_open(end.pool, &end.cache, &error) != FLETCH_OK ||
        fletch_event_loop_create(&loop, &end.loop, &error) != FLETCH_OK)
        stop("a loop", &error);
    if (serves)
        serve(&end);
    return call(&end, argv[2]);
}
