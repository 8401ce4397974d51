/* Our gRPC as an end of bench_grpc: servers and channels of src/rpc, one loop. */

#include <fletching/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc_end.h"
#include "rpc/rpc_channel.h"
#include "rpc/rpc_server.h"

/* What a stream has queued at most, beside the last message: enough for several sends. */
#define QUEUE_BYTES ((size_t)4 << 20)
#define TURN_NS UINT64_C(1000000000)
enum { STREAMS_MOST = 4096, CONNECTIONS_MOST = 1024 };

struct end {
    struct fletch_event_loop *loop;
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    /* Of a client. */
    struct fletch_socket_address server;
    struct fletch_rpc_channel *channels[CONNECTIONS_MOST + 1];
    size_t channel_count;
    struct fletch_rpc_call *held[STREAMS_MOST];
    size_t held_count;
    size_t bytes;  /* of the messages that are awaited */
    bool is_down;  /* these are of the source */
    bool is_wrong; /* a message or a status was */
    uint64_t seen; /* messages */
    uint64_t over; /* calls */
};

/* A message of a stream that the server sends. */
struct slot {
    struct fletch_grpc_message message; /* first */
    struct iovec slices[2];
    struct slot *next;
};

/* A stream that the server sends. */
struct down {
    struct grpc_end_down wanted;
    uint64_t begun;
};

static struct end end;
static struct slot *free_slots;

static void stop(const char *what, const struct fletch_error *error)
{
    (void)fprintf(stderr, "%s: %s\n", what, error == NULL ? "failed" : error->message);
    exit(1);
}

static void *memory(size_t bytes)
{
    void *made = calloc(1, bytes);
    if (made == NULL)
        stop("memory", NULL);
    return made;
}

/* ---- server: messages back ---- */

static void send_back(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                      size_t bytes)
{
    (void)context;
    (void)bytes;
    if (fletch_rpc_call_send_buffer(call, buffer, NULL) != FLETCH_OK)
        fletch_buffer_release(end.cache, buffer);
    fletch_rpc_call_take(call);
}

static void finish(void *context, struct fletch_rpc_call *call)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_OK};
    (void)context;
    (void)fletch_rpc_call_finish(call, &ending, NULL);
}

static void forget(void *context, struct fletch_rpc_call *call, const struct fletch_rpc_end *told)
{
    (void)call;
    (void)told;
    free(context);
}

/* ---- server: a stream ---- */

static void end_slot(struct fletch_grpc_message *message, bool is_sent)
{
    struct slot *slot = (struct slot *)(void *)message;
    (void)is_sent;
    slot->next = free_slots;
    free_slots = slot;
}

static struct slot *take_slot(void)
{
    struct slot *slot = free_slots;
    if (slot == NULL)
        return memory(sizeof *slot);
    free_slots = slot->next;
    return slot;
}

/* Queues what there is room for. */
static void advance_down(void *context, struct fletch_rpc_call *call)
{
    struct down *down = context;
    while (down->begun < down->wanted.count) {
        const void *data = grpc_end_source(down->begun, down->wanted.bytes);
        struct slot *slot = take_slot();
        slot->slices[1] = (struct iovec){(void *)(uintptr_t)data, down->wanted.bytes};
        slot->message = (struct fletch_grpc_message){
            .slices = slot->slices, .slice_count = 2, .done = end_slot};
        if (fletch_rpc_call_send(call, &slot->message, NULL) != FLETCH_OK) {
            end_slot(&slot->message, false);
            return;
        }
        down->begun++;
    }
    finish(NULL, call);
    free(down);
}

static void begin_down(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                       size_t bytes)
{
    struct down *down = memory(sizeof *down);
    if (context != NULL || bytes != sizeof down->wanted)
        stop("a request", NULL);
    memcpy(&down->wanted, fletch_buffer_data(buffer), bytes);
    fletch_buffer_release(end.cache, buffer);
    fletch_rpc_call_set_context(call, down);
    fletch_rpc_call_take(call);
    advance_down(down, call);
}

/* ---- server ---- */

static const struct fletch_rpc_handler down_handler = {
    .message = begin_down, .writable = advance_down, .ended = forget};
static const struct fletch_rpc_handler echo_handler = {
    .message = send_back, .half_closed = finish, .ended = forget};
static const struct fletch_rpc_method methods[] = {
    {.path = GRPC_END_DOWN, .handler = &down_handler},
    {.path = GRPC_END_UNARY, .handler = &echo_handler},
    {.path = GRPC_END_ECHO, .handler = &echo_handler},
};

static void serve(void)
{
    struct fletch_rpc_server *server;
    struct fletch_error error;
    struct fletch_rpc_server_options options = {
        .loop = end.loop,
        .methods = methods,
        .method_count = sizeof methods / sizeof methods[0],
        .grpc = {.struct_size = sizeof options.grpc,
                 .http2 = {.cache = end.cache},
                 .send_queue_bytes = QUEUE_BYTES},
    };
    (void)grpc_end_source(0, 1);
    if (fletch_socket_address_parse("127.0.0.1:0", &options.address, &error) != FLETCH_OK ||
        fletch_rpc_server_create(&options, &server, &error) != FLETCH_OK)
        stop("a server", &error);
    grpc_end_say_port(fletch_socket_address_port(fletch_rpc_server_address(server)));
    fletch_event_loop_run(end.loop);
}

/* ---- client ---- */

static void see_message(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                        size_t bytes)
{
    (void)context;
    if (bytes != end.bytes ||
        (end.is_down && !grpc_end_is_right(fletch_buffer_data(buffer), bytes, end.seen)))
        end.is_wrong = true;
    end.seen++;
    fletch_buffer_release(end.cache, buffer);
    fletch_rpc_call_take(call);
}

static void see_end(void *context, struct fletch_rpc_call *call, const struct fletch_rpc_end *told)
{
    (void)context;
    (void)call;
    end.is_wrong = end.is_wrong || told->status != FLETCH_OK;
    end.over++;
}

static const struct fletch_rpc_handler client_handler = {.message = see_message, .ended = see_end};

static void open_channels(size_t count)
{
    struct fletch_error error;
    const struct fletch_rpc_channel_options options = {
        .loop = end.loop,
        .addresses = &end.server,
        .address_count = 1,
        .grpc = {.struct_size = sizeof options.grpc, .http2 = {.cache = end.cache}},
    };
    while (end.channel_count < count) {
        struct fletch_rpc_channel **channel = &end.channels[end.channel_count++];
        if (fletch_rpc_channel_create(&options, channel, &error) != FLETCH_OK)
            stop("a channel", &error);
        while (fletch_rpc_channel_state(*channel) == FLETCH_RPC_CONNECTING)
            (void)fletch_event_loop_turn(end.loop, TURN_NS);
    }
}

static struct fletch_rpc_call *begin_call(struct fletch_rpc_channel *channel, const char *path)
{
    const struct fletch_rpc_calling calling = {.path = path, .handler = &client_handler};
    struct fletch_rpc_call *call = NULL;
    struct fletch_error error;
    if (fletch_rpc_channel_call(channel, &calling, &call, &error) != FLETCH_OK)
        stop("a call", &error);
    return call;
}

static void send_bytes(struct fletch_rpc_call *call, const void *data, size_t bytes)
{
    struct fletch_error error;
    if (fletch_rpc_call_send_copy(call, data, bytes, &error) != FLETCH_OK)
        stop("a message", &error);
}

/* Turns until so many calls are over and so many messages have come. */
static bool await(uint64_t over, uint64_t seen)
{
    while ((end.over < over || end.seen < seen) && !end.is_wrong)
        (void)fletch_event_loop_turn(end.loop, TURN_NS);
    bool is_right = !end.is_wrong && end.over == over && end.seen == seen;
    end.over = 0;
    end.seen = 0;
    return is_right;
}

static void call_once(struct fletch_rpc_channel *channel, const char *path, const void *data,
                      size_t bytes)
{
    struct fletch_rpc_call *call = begin_call(channel, path);
    send_bytes(call, data, bytes);
    fletch_rpc_call_half_close(call);
}

static bool stream(void *context, const struct grpc_end_down *wanted)
{
    (void)context;
    end.bytes = wanted->bytes;
    end.is_down = true;
    call_once(end.channels[0], GRPC_END_DOWN, wanted, sizeof *wanted);
    return await(1, wanted->count);
}

static bool unary_on(struct fletch_rpc_channel *channel, size_t bytes)
{
    const char data[GRPC_END_SMALL] = {0};
    end.bytes = bytes;
    end.is_down = false;
    call_once(channel, GRPC_END_UNARY, data, bytes);
    return await(1, 1);
}

static bool unary(void *context, size_t bytes)
{
    (void)context;
    return unary_on(end.channels[0], bytes);
}

static size_t connections(void *context, size_t count)
{
    size_t there = 0;
    (void)context;
    if (count > CONNECTIONS_MOST)
        return 0;
    open_channels(count + 1);
    for (size_t i = 1; i <= count; i++)
        there += unary_on(end.channels[i], GRPC_END_SMALL);
    return there;
}

static size_t again(void *context)
{
    const char data[GRPC_END_SMALL] = {0};
    (void)context;
    end.bytes = GRPC_END_SMALL;
    end.is_down = false;
    for (size_t i = 0; i < end.held_count; i++)
        send_bytes(end.held[i], data, sizeof data);
    return await(0, end.held_count) ? end.held_count : 0;
}

static size_t streams(void *context, size_t count)
{
    if (count > STREAMS_MOST)
        return 0;
    open_channels(GRPC_END_CONNECTIONS);
    /* So that the server has said how many it takes. */
    for (size_t i = 0; i < end.channel_count; i++)
        (void)unary_on(end.channels[i], GRPC_END_SMALL);
    while (end.held_count < count) {
        struct fletch_rpc_channel *channel = end.channels[end.held_count % GRPC_END_CONNECTIONS];
        end.held[end.held_count++] = begin_call(channel, GRPC_END_ECHO);
    }
    return again(context);
}

static int call(const char *port)
{
    const struct grpc_end_client calls = {.stream = stream,
                                          .unary = unary,
                                          .connections = connections,
                                          .streams = streams,
                                          .again = again};
    char text[32];
    struct fletch_error error;
    (void)snprintf(text, sizeof text, "127.0.0.1:%s", port);
    if (fletch_socket_address_parse(text, &end.server, &error) != FLETCH_OK)
        stop("the port", &error);
    open_channels(1);
    return grpc_end_obey(&calls);
}

int main(int argc, char **argv)
{
    struct fletch_error error;
    const struct fletch_buffer_pool_options pool = {.struct_size = sizeof pool};
    bool serves = argc >= 2 && strcmp(argv[1], "serve") == 0;
    bool calls = argc >= 3 && strcmp(argv[1], "call") == 0;
    int at = calls ? 3 : 2; /* of the time to spin */
    long spin = argc > at ? strtol(argv[at], NULL, 10) : 0;
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
        serve();
    return call(argv[2]);
}
