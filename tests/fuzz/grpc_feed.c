#include "fuzz/grpc_feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/status.h"
#include "fuzz/feed_memory.h"
#include "fuzz/fuzz_target.h"
#include "grpc/grpc_connection.h"
#include "http2/http2_parser.h"

enum {
    CALLS = 64,
    MEMORY_MOST = 1 << 20,   /* of the machine */
    MESSAGE_MOST = 1 << 16,  /* that a peer may send */
    MESSAGES_MOST = 1 << 18, /* that may be in memory */
    OUTPUT_MOST = 1 << 24
};

static void stop(const char *what)
{
    fuzz_stop("grpc", what);
}

static struct feed_memory memory;

void grpc_feed_start(void)
{
    feed_memory_start(&memory, "grpc", MEMORY_MOST, MESSAGES_MOST);
}

void grpc_feed_end(void)
{
    feed_memory_end(&memory);
}

/* ---- a user ---- */

struct call {
    struct fletch_grpc_call *call; /* NULL: over */
    uint64_t number;
    uint64_t sum;     /* of all that was told of it */
    uint8_t *message; /* a reader's */
    size_t bytes;
    size_t filled;
    uint32_t untaken;
};

struct user {
    struct fletch_grpc_connection *connection;
    struct fletch_grpc_reader reader;
    struct fletch_random random;
    bool is_server;
    bool is_lively; /* does things in between */
    size_t piece_bytes;
    struct call calls[CALLS];
    uint64_t count;
    uint64_t sum;
    uint32_t messages;     /* whole ones */
    uint32_t messages_out; /* that have not come back */
};

static void add(uint64_t *sum, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *sum = (*sum ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
}

struct owned {
    struct fletch_grpc_message message; /* first */
    struct user *user;
    struct iovec slices[2];
    uint8_t bytes[500];
};

static void end_owned(struct fletch_grpc_message *message, bool is_sent)
{
    struct owned *owned = (struct owned *)(void *)message;
    (void)is_sent;
    owned->user->messages_out--;
    memset(owned, 0xee, sizeof *owned);
    free(owned);
}

static void send(struct user *user, struct call *call)
{
    struct owned *owned = calloc(1, sizeof *owned);
    owned->user = user;
    owned->slices[1] = (struct iovec){owned->bytes, sizeof owned->bytes};
    owned->message =
        (struct fletch_grpc_message){.slices = owned->slices, .slice_count = 2, .done = end_owned};
    user->messages_out++;
    if (fletch_grpc_call_send(call->call, &owned->message, NULL) != FLETCH_OK)
        end_owned(&owned->message, false);
}

static void let_go(struct call *call)
{
    fletch_grpc_call_release(call->call);
    call->call = NULL;
    free(call->message);
    call->message = NULL;
}

static void finish(struct call *call)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_OK};
    (void)fletch_grpc_call_finish(call->call, &ending, NULL);
    let_go(call);
}

/* ---- a reader ---- */

static enum fletch_status begin_message(void *context, struct fletch_grpc_call *grpc, size_t bytes,
                                        struct fletch_error *error)
{
    struct call *call = fletch_grpc_call_context(grpc);
    (void)context;
    if (bytes > MESSAGE_MOST)
        stop("a message beyond the limit");
    if (bytes % 251 == 250)
        return fletch_error_set(error, FLETCH_DATA_LOSS, "such lengths are unlucky");
    free(call->message);
    call->message = malloc(bytes);
    call->bytes = bytes;
    call->filled = 0;
    return FLETCH_OK;
}

static struct iovec place(void *context, struct fletch_grpc_call *grpc)
{
    const struct user *user = context;
    const struct call *call = fletch_grpc_call_context(grpc);
    size_t bytes = 1 + user->piece_bytes * (call->filled % 7);
    size_t left = call->bytes - call->filled;
    return (struct iovec){call->message + call->filled, bytes < left ? bytes : left};
}

static enum fletch_status filled(void *context, struct fletch_grpc_call *grpc, size_t bytes,
                                 struct fletch_error *error)
{
    struct call *call = fletch_grpc_call_context(grpc);
    (void)context;
    (void)error;
    if (bytes == 0 || bytes > call->bytes - call->filled)
        stop("more bytes than the message has");
    call->filled += bytes;
    return FLETCH_OK;
}

/* ---- events ---- */

static struct call *begin_call(struct user *user, struct fletch_grpc_call *grpc)
{
    struct call *call = &user->calls[user->count % CALLS];
    if (call->call != NULL)
        return NULL;
    *call = (struct call){.call = grpc, .number = user->count++};
    fletch_grpc_call_set_context(grpc, call);
    if (call->number % 2 == 1)
        fletch_grpc_call_set_reader(grpc, &user->reader);
    return call;
}

static void see_message(struct user *user, struct call *call, const struct fletch_grpc_event *event)
{
    const uint8_t *bytes =
        event->buffer != NULL ? fletch_buffer_data(event->buffer) : call->message;
    if (event->buffer == NULL && event->message_bytes != 0 &&
        (call->filled != call->bytes || call->bytes != event->message_bytes))
        stop("a message that is not whole");
    add(&call->sum, &event->message_bytes, sizeof event->message_bytes);
    if (event->message_bytes != 0)
        add(&call->sum, bytes, event->message_bytes);
    fletch_buffer_release(memory.cache, event->buffer);
    user->messages++;
    call->untaken++;
    if (user->is_lively && fletch_random_below(&user->random, 3) == 0)
        return;
    for (; call->untaken != 0; call->untaken--)
        fletch_grpc_call_take(call->call);
}

/* True: the call is over. */
static bool live(struct user *user, struct call *call)
{
    const struct fletch_grpc_metadata none = {NULL, 0};
    switch (fletch_random_below(&user->random, 10)) {
    case 0:
        let_go(call);
        return true;
    case 1:
        fletch_grpc_call_cancel(call->call);
        let_go(call);
        return true;
    case 2:
    case 3:
        send(user, call);
        return false;
    case 4:
        if (user->is_server)
            (void)fletch_grpc_call_respond(call->call, &none, NULL);
        else
            fletch_grpc_call_half_close(call->call);
        return false;
    case 5:
        if (user->is_server)
            finish(call);
        return call->call == NULL;
    default:
        return false;
    }
}

static void see(struct user *user, const struct fletch_grpc_event *event)
{
    const uint32_t words[] = {event->kind, event->status, event->is_untouched};
    struct call *call = event->call == NULL ? NULL : fletch_grpc_call_context(event->call);
    uint64_t *sum = call == NULL ? &user->sum : &call->sum;
    if (event->kind == FLETCH_GRPC_EVENT_CALL) {
        call = begin_call(user, event->call);
        if (call == NULL) {
            fletch_grpc_call_release(event->call);
            return;
        }
        sum = &call->sum;
        add(sum, event->path, strlen(event->path));
        add(sum, &event->timeout_ns, sizeof event->timeout_ns);
    }
    add(sum, words, sizeof words);
    for (size_t i = 0; i < event->field_count; i++) {
        add(sum, event->fields[i].name, event->fields[i].name_bytes + 1);
        add(sum, event->fields[i].value, event->fields[i].value_bytes + 1);
    }
    if (event->kind == FLETCH_GRPC_EVENT_ENDED)
        add(sum, event->text, strlen(event->text));
    if (event->kind == FLETCH_GRPC_EVENT_MESSAGE)
        see_message(user, call, event);
    if (call == NULL ||
        (user->is_lively && event->kind != FLETCH_GRPC_EVENT_ENDED && live(user, call)))
        return;
    if (event->kind == FLETCH_GRPC_EVENT_ENDED)
        let_go(call);
    else if (event->kind == FLETCH_GRPC_EVENT_HALF_CLOSED)
        finish(call);
}

/* ---- a connection ---- */

static void collect(struct user *user)
{
    struct fletch_http2_connection *http2 = fletch_grpc_connection_http2(user->connection);
    struct iovec slices[16];
    size_t total = 0;
    size_t count;
    while ((count = fletch_http2_connection_output(http2, slices, 16)) != 0) {
        size_t bytes = 0;
        for (size_t i = 0; i < count; i++)
            bytes += slices[i].iov_len;
        fletch_http2_connection_sent(http2, bytes);
        total += bytes;
        if (total > OUTPUT_MOST)
            stop("more to say than there is reason for");
    }
}

static void feed(struct user *user, const uint8_t *bytes, size_t size, size_t chunk)
{
    struct fletch_http2_connection *http2 = fletch_grpc_connection_http2(user->connection);
    struct iovec spans[FLETCH_HTTP2_ROOM_SPANS];
    while (size != 0) {
        size_t count = fletch_http2_connection_room(http2, spans);
        size_t left = chunk == 0 || chunk > size ? size : chunk;
        size_t put = 0;
        if (count == 0)
            return;
        for (size_t i = 0; i < count && left != 0; i++) {
            size_t some = spans[i].iov_len < left ? spans[i].iov_len : left;
            memcpy(spans[i].iov_base, bytes + put, some);
            put += some;
            left -= some;
        }
        bytes += put;
        size -= put;
        fletch_http2_connection_received(http2, put);
        struct fletch_grpc_event event;
        while (fletch_grpc_connection_next(user->connection, &event))
            see(user, &event);
        if (user->is_lively)
            collect(user);
    }
}

/* Hands are shaken, and a client has calls. */
static void greet(struct user *user)
{
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0};
    const struct fletch_grpc_request request = {.path = "/p.S/M", .authority = "host"};
    if (user->is_server)
        feed(user, (const uint8_t *)FLETCH_HTTP2_PREFACE, FLETCH_HTTP2_PREFACE_BYTES, 0);
    feed(user, settings, sizeof settings, 0);
    for (int i = 0; i < 2 && !user->is_server; i++) {
        struct fletch_grpc_call *grpc;
        if (fletch_grpc_connection_call(user->connection, &request, &grpc, NULL) != FLETCH_OK)
            stop("cannot begin a call");
        struct call *call = begin_call(user, grpc);
        send(user, call);
        fletch_grpc_call_half_close(grpc);
    }
}

/* What came of it, as a number. */
static uint64_t run(const uint8_t *bytes, size_t size, size_t chunk, struct user *user)
{
    const struct fletch_grpc_options options = {
        .struct_size = sizeof options,
        .http2 = {.is_server = (bytes[0] & 1) != 0,
                  .allocator = &memory.allocator,
                  .cache = memory.cache,
                  .account = memory.account,
                  .frame_bytes = 1 << 18,
                  .stream_limit = 16},
        .message_limit_bytes = MESSAGE_MOST,
    };
    user->reader = (struct fletch_grpc_reader){begin_message, place, filled, user};
    user->random = fletch_random_from_seed(bytes[1]);
    user->is_server = options.http2.is_server;
    user->piece_bytes = (size_t)1 << (bytes[0] >> 4);
    if (fletch_grpc_connection_create(&options, &user->connection, NULL) != FLETCH_OK)
        stop("no connection");
    fletch_grpc_connection_tick(user->connection, 1);
    greet(user);
    feed(user, bytes + 2, size - 2, chunk);
    collect(user);
    for (size_t i = 0; i < CALLS; i++) {
        add(&user->sum, &user->calls[i].number, sizeof user->calls[i].number);
        add(&user->sum, &user->calls[i].sum, sizeof user->calls[i].sum);
        if (user->calls[i].call != NULL)
            let_go(&user->calls[i]);
    }
    fletch_grpc_connection_destroy(user->connection);
    feed_memory_check(&memory);
    if (user->messages_out != 0)
        stop("a message did not come back");
    return user->sum;
}

uint32_t grpc_feed_try(const uint8_t *bytes, size_t size)
{
    static struct user whole, cut, lively;
    if (size < 2)
        return 0;
    memset(&whole, 0, sizeof whole);
    uint64_t expected = run(bytes, size, 0, &whole);
    const size_t chunks[] = {1, 1 + (size_t)bytes[1], 1 + (size_t)bytes[1] * 257};
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        memset(&cut, 0, sizeof cut);
        if (run(bytes, size, chunks[i], &cut) != expected || cut.messages != whole.messages)
            stop("it depends on where bytes are cut");
    }
    memset(&lively, 0, sizeof lively);
    lively.is_lively = true;
    (void)run(bytes, size, chunks[1], &lively);
    return whole.messages;
}
