#include <fletching/wait.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/random.h"
#include "rpc/rpc_channel.h"
#include "rpc/rpc_server.h"
#include "support/cmocka_tests.h"
#include "support/failing_allocator.h"
#include "support/pools.h"
#include "support/rpc_scene.h"
#include "support/team.h"

/* `soak_rpc [seconds [seed]]`: calls of all four kinds over real sockets, between a server on one
 * thread and channels on another, for so many seconds in rounds: either side cancels, deadlines
 * pass, connections are cut, the server drains and comes back, channels are destroyed. Each call
 * ends once, what ends well was complete and undamaged, and after each round budgets, descriptors
 * and memory are back where they were. */

#define MS_NS UINT64_C(1000000)
enum {
    SLOTS = 48,
    CHANNELS = 3,
    SOCKETS_MOST = 64,
    ROUND_MS = 4000,
    MESSAGE_MOST = 1500000,
    PERIOD = 251,
    NEVER = UINT32_MAX,
    QUEUE_BYTES = 1 << 20,
    RESIDENT_GROWTH_MOST = 16 << 20,
    SETTLED_AFTER_ROUNDS = 2
};

/* Sanitizers keep freed memory, so what is resident says nothing there. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
static const bool resident_counts = false;
#else
static const bool resident_counts = true;
#endif

enum kind { UNARY, UPLOAD, DOWNLOAD, CHAT, KINDS };
static const char *const paths[KINDS] = {"/soak.Soak/Unary", "/soak.Soak/Upload",
                                         "/soak.Soak/Download", "/soak.Soak/Chat"};

struct wanted {
    uint32_t count;
    uint32_t bytes;
};

/* What a thread has of its own. */
struct side {
    struct failing_allocator allocator;
    struct fletch_event_loop *loop;
    struct fletch_buffer_cache *cache;
    struct fletch_random random;
    uint64_t begun;
    uint64_t ended;
    uint64_t by_status[FLETCH_UNAUTHENTICATED + 1];
    uint64_t wrong;
};

static struct {
    uint64_t seed;
    bool is_unix;
    struct test_pool pool;
    struct fletch_socket_address address;
    _Atomic uint32_t is_listening;
    _Atomic uint32_t client_is_done;
    uint64_t end_ns;
    struct side client;
    struct side server;
    uint64_t cut; /* connections */
    uint64_t drained;
    uint64_t replaced; /* channels */
    uint64_t retried;
} soak;

static uint8_t pattern[MESSAGE_MOST]; /* byte i is i % PERIOD: any message's */

/* ---- both sides ---- */

static bool one_in(struct side *side, uint32_t n)
{
    return fletch_random_below(&side->random, n) == 0;
}

static uint32_t random_bytes(struct side *side)
{
    static const uint32_t most[] = {1, 64, 1024, 20000, 70000, 70000, 300000, MESSAGE_MOST};
    return fletch_random_below(&side->random, most[fletch_random_below(&side->random, 8)]);
}

static void side_start(struct side *side, const struct fletch_net_io *io, uint64_t seed)
{
    const struct fletch_event_loop_options options = {
        .io = io, .spin_ns = FLETCH_OFF, .allocator = &side->allocator.allocator};
    *side = (struct side){.random = fletch_random_from_seed(seed)};
    failing_allocator_start(&side->allocator, 0);
    side->wrong += fletch_event_loop_create(&options, &side->loop, NULL) != FLETCH_OK;
    side->wrong += fletch_buffer_cache_open(soak.pool.pool, &side->cache, NULL) != FLETCH_OK;
}

static void side_end(struct side *side)
{
    fletch_event_loop_destroy(side->loop);
    fletch_buffer_cache_close(side->cache);
}

static struct fletch_grpc_options grpc_options(struct side *side)
{
    return (struct fletch_grpc_options){.struct_size = sizeof(struct fletch_grpc_options),
                                        .http2 = {.allocator = &side->allocator.allocator,
                                                  .cache = side->cache,
                                                  .account = soak.pool.account,
                                                  .stream_limit = 24,
                                                  .reset_burst = 1000000,
                                                  .reset_rate = 1000000},
                                        .send_queue_bytes = QUEUE_BYTES};
}

static enum fletch_status send_pattern(struct side *side, struct fletch_rpc_call *call,
                                       uint32_t bytes)
{
    struct fletch_buffer *buffer;
    if (bytes == 0)
        return fletch_rpc_call_send_copy(call, NULL, 0, NULL);
    enum fletch_status status =
        fletch_buffer_allocate(side->cache, bytes, soak.pool.account, &buffer, NULL);
    if (status != FLETCH_OK)
        return status;
    memcpy(fletch_buffer_mutable_data(buffer), pattern, bytes);
    status = fletch_rpc_call_send_buffer(call, buffer, NULL);
    if (status != FLETCH_OK)
        fletch_buffer_release(side->cache, buffer);
    return status;
}

static void check_pattern(struct side *side, const struct fletch_buffer *buffer, size_t bytes)
{
    side->wrong += bytes != 0 && (bytes > MESSAGE_MOST ||
                                  memcmp(fletch_buffer_data(buffer), pattern, bytes) != 0);
}

/* ---- the server's calls ---- */

enum mood { FAIR, CANCELS, GIVES_UP, SILENT };

struct serving {
    struct fletch_rpc_call *call;
    enum kind kind;
    enum mood mood;
    uint32_t patience; /* events before its mood shows */
    uint64_t bytes;
    struct wanted wanted;
};

static void serving_over(struct serving *serving)
{
    soak.server.ended++;
    free(serving);
}

static void serving_finish(struct serving *serving, enum fletch_status status)
{
    const struct fletch_grpc_ending ending = {.status = status, .text = "that was all"};
    soak.server.wrong += fletch_rpc_call_finish(serving->call, &ending, NULL) != FLETCH_OK;
    serving_over(serving);
}

/* Something happens: true: the call is over. */
static bool serving_loses_patience(struct serving *serving)
{
    if (serving->mood == FAIR || serving->patience-- != 0)
        return false;
    if (serving->mood == CANCELS) {
        fletch_rpc_call_cancel(serving->call);
        serving_over(serving);
    } else {
        serving_finish(serving, FLETCH_ABORTED);
    }
    return true;
}

static void serving_begin(void *context, struct fletch_rpc_call *call,
                          const struct fletch_rpc_request *request)
{
    const enum kind *kind = context;
    static const enum mood moods[] = {FAIR, FAIR, FAIR, FAIR, FAIR, FAIR, CANCELS, GIVES_UP};
    struct serving *serving = calloc(1, sizeof *serving);
    serving->call = call;
    serving->kind = *kind;
    serving->mood = moods[fletch_random_below(&soak.server.random, 8)];
    serving->patience = fletch_random_below(&soak.server.random, 4);
    if (request->timeout_ns < 20 * MS_NS && one_in(&soak.server, 2))
        serving->mood = SILENT;
    if (serving->mood == SILENT)
        serving->patience = NEVER;
    soak.server.begun++;
    fletch_rpc_call_set_context(call, serving);
    (void)serving_loses_patience(serving);
}

static void serving_go_on(void *context, struct fletch_rpc_call *call)
{
    struct serving *serving = context;
    struct wanted *wanted = &serving->wanted;
    if (serving->kind != DOWNLOAD)
        return;
    while (wanted->count != 0) {
        if (send_pattern(&soak.server, call, wanted->bytes) != FLETCH_OK)
            return; /* more when there is room */
        wanted->count--;
    }
    serving_finish(serving, FLETCH_OK);
}

static void serving_message(void *context, struct fletch_rpc_call *call,
                            struct fletch_buffer *buffer, size_t bytes)
{
    struct serving *serving = context;
    struct fletch_buffer_cache *cache = soak.server.cache;
    bool is_sent = false;
    serving->bytes += bytes;
    if (serving->kind == DOWNLOAD && bytes == sizeof serving->wanted)
        memcpy(&serving->wanted, fletch_buffer_data(buffer), bytes);
    else
        check_pattern(&soak.server, buffer, bytes);
    if (serving->mood == SILENT) {
        fletch_buffer_release(cache, buffer);
        return;
    }
    if (serving_loses_patience(serving)) {
        fletch_buffer_release(cache, buffer);
        return;
    }
    if (serving->kind == UNARY || serving->kind == CHAT)
        is_sent = (bytes == 0 ? fletch_rpc_call_send_copy(call, NULL, 0, NULL)
                              : fletch_rpc_call_send_buffer(call, buffer, NULL)) == FLETCH_OK;
    if (!is_sent)
        fletch_buffer_release(cache, buffer);
    if (!is_sent && (serving->kind == UNARY || serving->kind == CHAT)) {
        serving_finish(serving, FLETCH_ABORTED); /* the client takes too slowly */
        return;
    }
    fletch_rpc_call_take(call);
    serving_go_on(serving, call);
}

static void serving_half_closed(void *context, struct fletch_rpc_call *call)
{
    struct serving *serving = context;
    if (serving->mood == SILENT || serving->kind == DOWNLOAD)
        return;
    if (serving->kind == UPLOAD)
        (void)fletch_rpc_call_send_copy(call, &serving->bytes, sizeof serving->bytes, NULL);
    serving_finish(serving, FLETCH_OK);
}

static void serving_ended(void *context, struct fletch_rpc_call *call,
                          const struct fletch_rpc_end *end)
{
    struct serving *serving = context;
    soak.server.wrong += call != serving->call || end->status == FLETCH_OK;
    soak.server.by_status[end->status]++;
    serving_over(serving);
}

static const struct fletch_rpc_handler serving_handler = {.message = serving_message,
                                                          .half_closed = serving_half_closed,
                                                          .writable = serving_go_on,
                                                          .ended = serving_ended};

/* ---- the server's thread ---- */

static int sockets[SOCKETS_MOST]; /* that it has accepted; -1: none */

static int note_accepted(void *context, int fd, struct sockaddr *out_address, socklen_t *bytes)
{
    int accepted = fletch_net_system_io.accept(context, fd, out_address, bytes);
    for (int i = 0; i < SOCKETS_MOST && accepted >= 0; i++) {
        if (sockets[i] >= 0)
            continue;
        sockets[i] = accepted;
        break;
    }
    return accepted;
}

static int note_closed(void *context, int fd)
{
    for (int i = 0; i < SOCKETS_MOST; i++)
        if (sockets[i] == fd)
            sockets[i] = -1;
    return fletch_net_system_io.close(context, fd);
}

static void cut_one(struct side *side)
{
    int fd = sockets[fletch_random_below(&side->random, CHANNELS + 2)];
    if (fd < 0)
        return;
    (void)shutdown(fd, one_in(side, 2) ? SHUT_RDWR : SHUT_WR);
    soak.cut++;
}

static struct fletch_rpc_server *make_server(struct side *side,
                                             const struct fletch_socket_address *address)
{
    static const enum kind kinds[KINDS] = {UNARY, UPLOAD, DOWNLOAD, CHAT};
    static struct fletch_rpc_method methods[KINDS];
    struct fletch_rpc_server *server = NULL;
    const struct fletch_rpc_server_options options = {.loop = side->loop,
                                                      .address = *address,
                                                      .methods = methods,
                                                      .method_count = KINDS,
                                                      .grpc = grpc_options(side)};
    for (int i = 0; i < KINDS; i++)
        methods[i] = (struct fletch_rpc_method){.path = paths[i],
                                                .begin = serving_begin,
                                                .handler = &serving_handler,
                                                .context = (void *)(uintptr_t)&kinds[i]};
    side->wrong += fletch_rpc_server_create(&options, &server, NULL) != FLETCH_OK;
    return server;
}

static void on_drained(void *context)
{
    bool *is_drained = context;
    *is_drained = true;
}

/* The same address has another server then. */
static struct fletch_rpc_server *replace_server(struct side *side, struct fletch_rpc_server *server)
{
    struct fletch_socket_address address = *fletch_rpc_server_address(server);
    bool is_drained = false;
    const struct fletch_rpc_drain drain = {
        .deadline_ns = fletch_clock_now_ns() + 30 * MS_NS,
        .drained = on_drained,
        .context = &is_drained,
    };
    if (one_in(side, 2)) {
        fletch_rpc_server_drain(server, &drain);
        while (!is_drained)
            (void)fletch_event_loop_turn(side->loop, MS_NS);
    }
    fletch_rpc_server_destroy(server);
    soak.drained++;
    return make_server(side, &address);
}

static void serve(void *context)
{
    struct side *side = &soak.server;
    struct fletch_net_io io = fletch_net_system_io;
    struct fletch_socket_address address;
    char path[64];
    (void)context;
    io.accept = note_accepted;
    io.close = note_closed;
    memset(sockets, -1, sizeof sockets);
    side_start(side, &io, soak.seed * 2);
    (void)snprintf(path, sizeof path, "unix:@fletching-soak-rpc-%d", (int)getpid());
    side->wrong += fletch_socket_address_parse(soak.is_unix ? path : "127.0.0.1:0", &address,
                                               NULL) != FLETCH_OK;
    struct fletch_rpc_server *server = make_server(side, &address);
    soak.address = *fletch_rpc_server_address(server);
    store_release(&soak.is_listening, 1);
    uint64_t next_cut_ns = 0;
    uint64_t next_server_ns = fletch_clock_now_ns() + 400 * MS_NS;
    while (load_acquire(&soak.client_is_done) == 0) {
        uint64_t now_ns = fletch_clock_now_ns();
        (void)fletch_event_loop_turn(side->loop, MS_NS);
        if (now_ns >= soak.end_ns)
            continue;
        if (now_ns >= next_cut_ns) {
            cut_one(side);
            next_cut_ns = now_ns + fletch_random_below(&side->random, 60) * MS_NS;
        }
        if (now_ns >= next_server_ns) {
            server = replace_server(side, server);
            next_server_ns = fletch_clock_now_ns() + 600 * MS_NS;
        }
    }
    fletch_rpc_server_destroy(server);
    side_end(side);
}

/* ---- the client's calls ---- */

struct slot {
    struct fletch_rpc_call *call; /* NULL: none */
    enum kind kind;
    struct wanted to_send;
    struct wanted sent; /* bytes: all of them */
    struct wanted expected;
    uint32_t messages;
    uint64_t bytes;
    uint64_t number;   /* the first bytes of the last message */
    uint32_t patience; /* events before it is cancelled */
    bool is_half_closed;
};

static struct slot slots[SLOTS];
static struct fletch_rpc_channel *channels[CHANNELS];

static bool slot_loses_patience(struct slot *slot)
{
    if (slot->patience == NEVER || slot->patience-- != 0)
        return false;
    fletch_rpc_call_cancel(slot->call);
    slot->call = NULL;
    soak.client.ended++;
    return true;
}

static void slot_headers(void *context, struct fletch_rpc_call *call,
                         const struct fletch_grpc_metadata *metadata)
{
    (void)call;
    (void)metadata;
    (void)slot_loses_patience(context);
}

static void slot_message(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                         size_t bytes)
{
    struct slot *slot = context;
    if (slot->kind == UPLOAD && bytes == sizeof slot->number)
        memcpy(&slot->number, fletch_buffer_data(buffer), sizeof slot->number);
    else
        check_pattern(&soak.client, buffer, bytes);
    fletch_buffer_release(soak.client.cache, buffer);
    slot->messages++;
    slot->bytes += bytes;
    if (!slot_loses_patience(slot))
        fletch_rpc_call_take(call);
}

static void slot_go_on(void *context, struct fletch_rpc_call *call)
{
    struct slot *slot = context;
    if (slot->kind == DOWNLOAD)
        return;
    while (slot->to_send.count != 0) {
        uint32_t bytes = slot->kind == CHAT ? random_bytes(&soak.client) : slot->to_send.bytes;
        if (send_pattern(&soak.client, call, bytes) != FLETCH_OK)
            return;
        slot->to_send.count--;
        slot->sent.count++;
        slot->sent.bytes += bytes;
    }
    if (!slot->is_half_closed)
        fletch_rpc_call_half_close(call);
    slot->is_half_closed = true;
}

static bool is_complete(const struct slot *slot)
{
    switch (slot->kind) {
    case UPLOAD:
        return slot->messages == 1 && slot->number == slot->sent.bytes;
    case DOWNLOAD:
        return slot->messages == slot->expected.count &&
               slot->bytes == (uint64_t)slot->expected.count * slot->expected.bytes;
    default:
        return slot->messages == slot->sent.count && slot->bytes == slot->sent.bytes;
    }
}

static bool may_end_by(enum fletch_status status)
{
    return status == FLETCH_OK || status == FLETCH_CANCELLED || status == FLETCH_ABORTED ||
           status == FLETCH_DEADLINE_EXCEEDED || status == FLETCH_UNAVAILABLE;
}

static void slot_ended(void *context, struct fletch_rpc_call *call,
                       const struct fletch_rpc_end *end)
{
    struct slot *slot = context;
    soak.client.wrong += call != slot->call || !may_end_by(end->status);
    soak.client.wrong += end->status == FLETCH_OK && !is_complete(slot);
    soak.client.by_status[end->status]++;
    soak.client.ended++;
    slot->call = NULL;
}

static const struct fletch_rpc_handler slot_handler = {
    .headers = slot_headers, .message = slot_message, .writable = slot_go_on, .ended = slot_ended};

static void slot_begin(struct slot *slot, struct side *side)
{
    static const uint32_t timeouts_ms[] = {1, 8, 30, 2000, 2000, 2000, 2000, 2000};
    uint32_t timeout_ms = timeouts_ms[fletch_random_below(&side->random, 8)];
    *slot =
        (struct slot){.kind = (enum kind)fletch_random_below(&side->random, KINDS),
                      .patience = one_in(side, 4) ? fletch_random_below(&side->random, 6) : NEVER};
    const struct fletch_rpc_calling calling = {
        .path = paths[slot->kind],
        .timeout_ns = (1 + fletch_random_below(&side->random, timeout_ms)) * MS_NS,
        .handler = &slot_handler,
        .context = slot,
        .waits = one_in(side, 2),
    };
    struct fletch_rpc_channel *channel = channels[fletch_random_below(&side->random, CHANNELS)];
    if (fletch_rpc_channel_call(channel, &calling, &slot->call, NULL) != FLETCH_OK) {
        slot->call = NULL; /* not connected, or too many */
        return;
    }
    side->begun++;
    slot->to_send = (struct wanted){slot->kind == UNARY ? 1 : fletch_random_below(&side->random, 9),
                                    random_bytes(side)};
    if (slot->kind == DOWNLOAD) {
        slot->expected =
            (struct wanted){fletch_random_below(&side->random, 20), random_bytes(side)};
        side->wrong += fletch_rpc_call_send_copy(slot->call, &slot->expected, sizeof slot->expected,
                                                 NULL) != FLETCH_OK;
        fletch_rpc_call_half_close(slot->call);
    }
    slot_go_on(slot, slot->call);
}

/* ---- the client's thread ---- */

static void replace_channel(struct side *side, size_t index)
{
    const struct fletch_rpc_channel_options options = {
        .loop = side->loop,
        .addresses = &soak.address,
        .address_count = 1,
        .pause_first_ns = 2 * MS_NS,
        .pause_most_ns = 20 * MS_NS,
        .seed = fletch_random_u64(&side->random),
        .grpc = grpc_options(side),
    };
    if (channels[index] != NULL) {
        struct fletch_rpc_channel_statistics statistics;
        fletch_rpc_channel_statistics(channels[index], &statistics);
        soak.retried += statistics.retried;
    }
    fletch_rpc_channel_destroy(channels[index]);
    channels[index] = NULL;
    side->wrong += fletch_rpc_channel_create(&options, &channels[index], NULL) != FLETCH_OK;
    soak.replaced++;
}

static bool is_idle(void)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[i].call != NULL)
            return false;
    return true;
}

static void call(void *context)
{
    struct side *side = &soak.client;
    uint64_t next_channel_ns = fletch_clock_now_ns() + 100 * MS_NS;
    (void)context;
    while (load_acquire(&soak.is_listening) == 0)
        usleep(100);
    side_start(side, NULL, soak.seed * 2 + 1);
    memset(slots, 0, sizeof slots);
    for (size_t i = 0; i < CHANNELS; i++)
        replace_channel(side, i);
    for (;;) {
        uint64_t now_ns = fletch_clock_now_ns();
        if (now_ns >= soak.end_ns && is_idle())
            break;
        for (size_t i = 0; i < SLOTS && now_ns < soak.end_ns; i++) {
            if (slots[i].call == NULL)
                slot_begin(&slots[i], side);
            else if (one_in(side, 500))
                (void)slot_loses_patience(&slots[i]);
        }
        if (now_ns >= next_channel_ns && now_ns < soak.end_ns) {
            replace_channel(side, fletch_random_below(&side->random, CHANNELS));
            next_channel_ns = now_ns + 150 * MS_NS;
        }
        (void)fletch_event_loop_turn(side->loop, MS_NS);
    }
    for (size_t i = 0; i < CHANNELS; i++) {
        fletch_rpc_channel_destroy(channels[i]);
        channels[i] = NULL;
    }
    side_end(side);
    store_release(&soak.client_is_done, 1);
}

/* ---- rounds ---- */

static uint64_t resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu %llu", &size, &resident), 2);
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void check_side(const struct side *side)
{
    assert_int_equal(side->wrong, 0);
    assert_int_equal(side->begun, side->ended);
    assert_int_equal(side->allocator.live_bytes, 0);
    assert_int_not_equal(side->begun, 0);
}

static void print_round(uint64_t round)
{
    const uint64_t *ends = soak.client.by_status;
    printf("round %llu: %llu calls, %llu at the server; ok %llu, cancelled %llu, deadline %llu, "
           "aborted %llu, unavailable %llu; cut %llu, servers %llu, channels %llu, begun again "
           "%llu; %.1f MiB resident\n",
           (unsigned long long)round, (unsigned long long)soak.client.begun,
           (unsigned long long)soak.server.begun, (unsigned long long)ends[FLETCH_OK],
           (unsigned long long)ends[FLETCH_CANCELLED],
           (unsigned long long)ends[FLETCH_DEADLINE_EXCEEDED],
           (unsigned long long)ends[FLETCH_ABORTED], (unsigned long long)ends[FLETCH_UNAVAILABLE],
           (unsigned long long)soak.cut, (unsigned long long)soak.drained,
           (unsigned long long)soak.replaced, (unsigned long long)soak.retried,
           (double)resident_bytes() / 1048576);
    fflush(stdout);
}

/* What has happened in all rounds. */
static struct {
    uint64_t client[FLETCH_UNAUTHENTICATED + 1];
    uint64_t server[FLETCH_UNAUTHENTICATED + 1];
    uint64_t cut;
    uint64_t drained;
} all;

static void add_round(void)
{
    for (int i = 0; i <= FLETCH_UNAUTHENTICATED; i++) {
        all.client[i] += soak.client.by_status[i];
        all.server[i] += soak.server.by_status[i];
    }
    all.cut += soak.cut;
    all.drained += soak.drained;
}

/* Each thing that may happen to a call has. */
static void check_variety(void)
{
    static const enum fletch_status ends[] = {FLETCH_OK, FLETCH_CANCELLED, FLETCH_ABORTED,
                                              FLETCH_DEADLINE_EXCEEDED, FLETCH_UNAVAILABLE};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        assert_int_not_equal(all.client[ends[i]], 0);
    assert_int_not_equal(all.server[FLETCH_CANCELLED], 0);
    assert_int_not_equal(all.server[FLETCH_UNAVAILABLE], 0);
    assert_true(all.cut != 0 && all.drained != 0);
}

static void run_round(uint64_t seed)
{
    static const struct team_role roles[] = {{serve, NULL}, {call, NULL}};
    memset(&soak, 0, sizeof soak);
    soak.pool = test_pool_make();
    soak.seed = seed;
    soak.is_unix = seed % 2 != 0;
    soak.end_ns = fletch_clock_now_ns() + ROUND_MS * MS_NS;
    team_run(roles, 2);
    check_side(&soak.client);
    check_side(&soak.server);
    test_pool_end(&soak.pool); /* the account is at 0, and all blocks are there */
}

static uint64_t seconds = 20;
static uint64_t seed = 1;

static void calls_leave_nothing_behind(void **state)
{
    uint64_t rounds = seconds * 1000 / ROUND_MS;
    uint64_t settled_bytes = 0;
    uint64_t most_bytes = 0;
    (void)state;
    uint32_t descriptors = open_descriptors();
    for (uint64_t round = 0; round < rounds || round == 0; round++) {
        run_round(seed + round);
        print_round(round);
        add_round();
        assert_int_equal(open_descriptors(), descriptors);
        uint64_t bytes = resident_bytes();
        if (round < SETTLED_AFTER_ROUNDS)
            settled_bytes = bytes;
        most_bytes = bytes > most_bytes ? bytes : most_bytes;
    }
    check_variety();
    if (resident_counts && rounds > SETTLED_AFTER_ROUNDS)
        assert_in_range(most_bytes, 0, settled_bytes + RESIDENT_GROWTH_MOST);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seconds = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    printf("%llu s, seed %llu\n", (unsigned long long)seconds, (unsigned long long)seed);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i % PERIOD);
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls_leave_nothing_behind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
