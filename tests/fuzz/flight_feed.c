#include "fuzz/flight_feed.h"

#include <fletching/wait.h>

#include <string.h>

#include "flight/flight_service.h"
#include "fuzz/fed_net.h"
#include "fuzz/feed_memory.h"
#include "fuzz/flight_store_fed.h"
#include "fuzz/fuzz_target.h"
#include "rpc/rpc_server.h"

enum {
    BLOCKS_MOST = 8 << 20,
    MESSAGES_MOST = 16 << 20, /* of data in memory */
    MESSAGE_MOST = 1 << 20,
    STREAMS_MOST = 32,
    REST_TURNS = 3,       /* without anything to do */
    TURNS_MOST = 1 << 19, /* a byte in a turn, and all that is stored to be sent */
    SILENT_TURNS = 40,
    OPTION_BYTES = 2
};

#define SECOND_NS UINT64_C(1000000000)

static struct {
    struct feed_memory memory;
    struct fed_net net;
    struct fed_store store;
    struct fletch_event_loop *loop;
    struct fletch_flight_service service;
    struct fletch_flight_service_loop at;
    struct fletch_flight_service_method contexts[FLETCH_FLIGHT_METHODS];
    struct fletch_rpc_method methods[FLETCH_FLIGHT_METHODS];
    struct fletch_rpc_server *server;
} feed;

static void stop(const char *what)
{
    fuzz_stop("flight_server", what);
}

/* ---- the server ---- */

static void make_methods(void)
{
    for (size_t i = 0; i < FLETCH_FLIGHT_METHODS; i++) {
        feed.contexts[i] = (struct fletch_flight_service_method){
            .at = &feed.at, .id = (enum fletch_flight_method_id)i};
        feed.methods[i] = (struct fletch_rpc_method){
            .path = fletch_flight_methods[i].path,
            .begin = fletch_flight_service_begin,
            .handler = &fletch_flight_call_handler,
            .context = &feed.contexts[i],
            .reader = &fletch_flight_call_reader,
        };
    }
}

void flight_feed_start(void)
{
    const struct fletch_event_loop_options loop = {.spin_ns = FLETCH_OFF, .io = &feed.net.io};
    feed_memory_start(&feed.memory, "flight_server", BLOCKS_MOST, MESSAGES_MOST);
    fed_net_start(&feed.net);
    if (fletch_event_loop_create(&loop, &feed.loop, NULL) != FLETCH_OK)
        stop("no loop");
    feed.store.cache = feed.memory.cache;
    feed.service = (struct fletch_flight_service){
        .handlers = fed_store_handlers,
        .user = &feed.store,
        .run_mode = FLETCH_FLIGHT_ON_LOOP,
        .allocator = feed.memory.allocator,
        .account = feed.memory.account,
        .validation = FLETCH_VALIDATION_FULL,
        .peer_message_bytes = FLETCH_FLIGHT_PEER_MESSAGE_BYTES_DEFAULT,
    };
    feed.at = (struct fletch_flight_service_loop){
        .service = &feed.service, .loop = feed.loop, .cache = feed.memory.cache};
    fletch_flight_waits_start(&feed.at.waits, 0);
    make_methods();
}

void flight_feed_end(void)
{
    fletch_event_loop_destroy(feed.loop);
    feed_memory_end(&feed.memory);
}

static void open_server(void)
{
    struct fletch_rpc_server_options options = {
        .loop = feed.loop,
        .methods = feed.methods,
        .method_count = FLETCH_FLIGHT_METHODS,
        .grpc = {.struct_size = sizeof options.grpc,
                 .http2 = {.struct_size = sizeof options.grpc.http2,
                           .allocator = &feed.memory.allocator,
                           .cache = feed.memory.cache,
                           .account = feed.memory.account,
                           .stream_limit = STREAMS_MOST},
                 .message_limit_bytes = MESSAGE_MOST,
                 .send_queue_bytes = SIZE_MAX / 2},
    };
    /* Nobody calls there: a name that is taken by nobody else. */
    options.address.as.any.sa_family = AF_UNIX;
    options.address.bytes = sizeof options.address.as.any.sa_family;
    struct fletch_error error;
    if (fletch_rpc_server_create(&options, &feed.server, &error) != FLETCH_OK)
        fuzz_stop("flight_server", error.message);
}

static struct fletch_rpc_server_statistics server_statistics(void)
{
    struct fletch_rpc_server_statistics statistics;
    fletch_rpc_server_statistics(feed.server, &statistics);
    return statistics;
}

/* ---- a client's life ---- */

/* What has been done so far: while this grows, there is something to do. */
static uint64_t work_done(void)
{
    struct fletch_event_loop_statistics loop;
    fletch_event_loop_statistics(feed.loop, &loop);
    return feed.net.work + loop.tasks + loop.timers;
}

/* Turns until nothing more happens. */
static void turn_to_rest(void)
{
    uint32_t rest = 0;
    for (uint32_t i = 0; rest < REST_TURNS; i++) {
        uint64_t before = work_done();
        (void)fletch_event_loop_turn(feed.loop, 0);
        rest = work_done() == before ? rest + 1 : 0;
        if (i == TURNS_MOST)
            stop("it does not come to rest");
    }
}

static void leave(enum fed_end end)
{
    for (int i = 0; end == FED_IS_SILENT && i < SILENT_TURNS; i++) {
        feed.net.clock_ns += SECOND_NS << (i / 4);
        turn_to_rest();
    }
    fed_net_end(&feed.net, end);
    turn_to_rest();
    if (server_statistics().connections != 0)
        stop("the client is gone, and its connection is there");
    if (feed.store.going != 0)
        stop("the client is gone, and its calls go on");
}

static size_t bytes_of(uint8_t choice)
{
    return choice == 0 ? 0 : (size_t)choice * choice;
}

struct flight_fed flight_feed_try(const uint8_t *bytes, size_t size)
{
    struct flight_fed fed = {.calls = 0};
    if (size < OPTION_BYTES)
        return fed;
    feed.store.kept = feed.store.batches_put = feed.store.batches_got = 0;
    feed.net.chunk_bytes = bytes[1] == 0 ? SIZE_MAX : bytes_of(bytes[1]);
    feed.net.send_bytes = bytes_of(bytes[0] >> 2);
    open_server();
    fed_net_call(&feed.net, bytes + OPTION_BYTES, size - OPTION_BYTES);
    turn_to_rest();
    if ((bytes[0] & 3) != FED_ENDS)
        leave((enum fed_end)(bytes[0] & 3));
    const struct fletch_rpc_server_statistics statistics = server_statistics();
    fed.calls = statistics.calls - statistics.unknown;
    fed.unknown = statistics.unknown;
    fed.sent = feed.net.sent;
    fletch_rpc_server_destroy(feed.server);
    turn_to_rest();
    if (feed.store.going != 0)
        stop("the server is gone, and its calls go on");
    fed.tables = feed.store.kept;
    fed.batches_put = feed.store.batches_put;
    fed.batches_got = feed.store.batches_got;
    fed_store_clear(&feed.store);
    feed_memory_check(&feed.memory);
    return fed;
}
