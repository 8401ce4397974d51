/* Server and client of gRPC over TCP, for other implementations to talk to.
 *
 *   grpc_peer serve                      says its port, sends each message back; drains on SIGTERM
 *   grpc_peer call PORT PATH FILE...     one call with the files as messages; says what came:
 *                                        messages, bytes, status, text, first message in hex */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rpc/rpc_channel.h"
#include "rpc/rpc_server.h"

#define FLIGHT "/arrow.flight.protocol.FlightService/"
#define SECOND_NS UINT64_C(1000000000)

enum { HEX_MOST = 32 };

struct program {
    struct fletch_event_loop *loop;
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    size_t messages;
    size_t bytes;
    char hex[2 * HEX_MOST + 1];
    bool is_over;
    int status;
    char text[512];
};

static volatile sig_atomic_t has_been_told_to_end;

static void check(enum fletch_status status, const struct fletch_error *error)
{
    if (status == FLETCH_OK)
        return;
    fprintf(stderr, "grpc_peer: %s\n", error->message);
    exit(1);
}

/* ---- serving ---- */

static void finish(void *context, struct fletch_rpc_call *call)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_OK};
    (void)context;
    (void)fletch_rpc_call_finish(call, &ending, NULL);
}

static void echo(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                 size_t bytes)
{
    struct program *program = context;
    enum fletch_status status = bytes == 0 ? fletch_rpc_call_send_copy(call, NULL, 0, NULL)
                                           : fletch_rpc_call_send_buffer(call, buffer, NULL);
    if (status != FLETCH_OK)
        fletch_buffer_release(program->cache, buffer);
    fletch_rpc_call_take(call);
}

static void echo_ended(void *context, struct fletch_rpc_call *call,
                       const struct fletch_rpc_end *end)
{
    (void)context;
    (void)call;
    (void)end;
}

static void refuse(void *context, struct fletch_rpc_call *call,
                   const struct fletch_rpc_request *request)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_UNIMPLEMENTED,
                                              .text = "no method '%' of ours"};
    (void)context;
    (void)request;
    (void)fletch_rpc_call_finish(call, &ending, NULL);
}

static void drained(void *context)
{
    struct program *program = context;
    program->is_over = true;
}

static void told_to_end(int number)
{
    (void)number;
    has_been_told_to_end = 1;
}

static void serve(struct program *program)
{
    static const struct fletch_rpc_handler echoing = {
        .message = echo, .half_closed = finish, .ended = echo_ended};
    const struct fletch_rpc_method methods[] = {
        {FLIGHT "DoAction", NULL, &echoing, program, NULL},
        {FLIGHT "DoExchange", NULL, &echoing, program, NULL},
        {FLIGHT "ListActions", refuse, &echoing, program, NULL},
    };
    struct fletch_rpc_server_options options = {
        .loop = program->loop,
        .methods = methods,
        .method_count = sizeof methods / sizeof methods[0],
        .grpc = {.struct_size = sizeof options.grpc, .http2 = {.cache = program->cache}},
    };
    struct fletch_rpc_drain drain = {.drained = drained, .context = program};
    struct fletch_rpc_server *server;
    struct fletch_error error;
    check(fletch_socket_address_parse("127.0.0.1:0", &options.address, &error), &error);
    check(fletch_rpc_health_create(NULL, &options.health, &error), &error);
    check(fletch_rpc_server_create(&options, &server, &error), &error);
    signal(SIGTERM, told_to_end);
    printf("%u\n", (unsigned)fletch_socket_address_port(fletch_rpc_server_address(server)));
    fflush(stdout);
    while (!program->is_over) {
        (void)fletch_event_loop_turn(program->loop, SECOND_NS / 20);
        if (has_been_told_to_end && drain.deadline_ns == 0) {
            drain.deadline_ns = fletch_clock_now_ns() + SECOND_NS;
            fletch_rpc_server_drain(server, &drain);
        }
    }
    fletch_rpc_server_destroy(server);
    fletch_rpc_health_destroy(options.health);
}

/* ---- calling ---- */

static void take(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                 size_t bytes)
{
    struct program *program = context;
    for (size_t i = 0; program->messages == 0 && i < bytes && i < HEX_MOST; i++)
        (void)snprintf(program->hex + 2 * i, 3, "%02x", (unsigned)fletch_buffer_data(buffer)[i]);
    program->messages++;
    program->bytes += bytes;
    fletch_buffer_release(program->cache, buffer);
    fletch_rpc_call_take(call);
}

static void call_ended(void *context, struct fletch_rpc_call *call,
                       const struct fletch_rpc_end *end)
{
    struct program *program = context;
    (void)call;
    program->is_over = true;
    program->status = (int)end->status;
    (void)snprintf(program->text, sizeof program->text, "%s", end->text);
}

static void send_file(struct fletch_rpc_call *call, const char *path)
{
    struct fletch_error error;
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
        perror(path);
        exit(1);
    }
    rewind(file);
    char *bytes = malloc((size_t)size + 1);
    if (bytes == NULL || fread(bytes, 1, (size_t)size, file) != (size_t)size)
        exit(1);
    fclose(file);
    check(fletch_rpc_call_send_copy(call, bytes, (size_t)size, &error), &error);
    free(bytes);
}

static void call(struct program *program, int argc, char **argv)
{
    static const struct fletch_rpc_handler taking = {.message = take, .ended = call_ended};
    const struct fletch_rpc_calling calling = {
        .path = argv[3], .timeout_ns = 50 * SECOND_NS, .handler = &taking, .context = program};
    struct fletch_socket_address address;
    const struct fletch_rpc_channel_options options = {
        .loop = program->loop,
        .addresses = &address,
        .address_count = 1,
        .grpc = {.struct_size = sizeof options.grpc, .http2 = {.cache = program->cache}},
    };
    struct fletch_rpc_channel *channel;
    struct fletch_rpc_call *made;
    struct fletch_error error;
    char text[32];
    (void)snprintf(text, sizeof text, "127.0.0.1:%s", argv[2]);
    check(fletch_socket_address_parse(text, &address, &error), &error);
    check(fletch_rpc_channel_create(&options, &channel, &error), &error);
    while (fletch_rpc_channel_state(channel) == FLETCH_RPC_CONNECTING)
        (void)fletch_event_loop_turn(program->loop, SECOND_NS);
    check(fletch_rpc_channel_call(channel, &calling, &made, &error), &error);
    for (int i = 4; i < argc; i++)
        send_file(made, argv[i]);
    fletch_rpc_call_half_close(made);
    while (!program->is_over)
        (void)fletch_event_loop_turn(program->loop, SECOND_NS);
    fletch_rpc_channel_destroy(channel);
    printf("%zu %zu %d %s\n%s\n", program->messages, program->bytes, program->status, program->text,
           program->hex);
}

int main(int argc, char **argv)
{
    static struct program program;
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    struct fletch_error error;
    check(fletch_buffer_pool_create(&options, NULL, &program.pool, &error), &error);
    check(fletch_buffer_cache_open(program.pool, &program.cache, &error), &error);
    check(fletch_event_loop_create(NULL, &program.loop, &error), &error);
    if (argc == 2 && strcmp(argv[1], "serve") == 0) {
        serve(&program);
    } else if (argc >= 4 && strcmp(argv[1], "call") == 0) {
        call(&program, argc, argv);
    } else {
        fprintf(stderr, "usage: grpc_peer serve | call PORT PATH FILE...\n");
        return 2;
    }
    fletch_event_loop_destroy(program.loop);
    fletch_buffer_cache_close(program.cache);
    return fletch_buffer_pool_destroy(program.pool, NULL) == FLETCH_OK ? 0 : 1;
}
