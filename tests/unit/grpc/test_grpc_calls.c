#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "grpc/grpc_connection.h"
#include "grpc/grpc_fields.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/http2_user.h"

/* Calls of gRPC: all four kinds over two connections and a pipe that cuts bytes anywhere, and each
 * side against a peer made by hand. */

enum { MESSAGES_MOST = 64, LIMIT = 1 << 20 };

/* What one side saw of its one call, or of the last one. */
struct side {
    struct fletch_grpc_connection *connection;
    struct failing_allocator allocator;
    struct test_pool pool;
    struct wire sent;
    struct fletch_grpc_call *call; /* NULL: none, or released */
    uint32_t calls;
    uint32_t headers;
    uint32_t messages;
    size_t sizes[MESSAGES_MOST];
    uint32_t half_closes;
    uint32_t endings;
    bool is_closed;
    bool takes; /* each message at once */
    enum fletch_status status;
    char text[400];
    char fields[2000];
    uint64_t timeout_ns;
    void (*react)(struct side *side, const struct fletch_grpc_event *event);
    /* For the reaction: where messages go, and how many answers of which size. */
    const struct fletch_grpc_reader *reader;
    uint32_t answers;
    size_t answer_bytes;
};

static uint32_t messages_done;
static uint32_t messages_sent;

struct owned_message {
    struct fletch_grpc_message message; /* first */
    struct iovec slices[2];
    uint8_t bytes[];
};

static void end_message(struct fletch_grpc_message *message, bool is_sent)
{
    messages_done++;
    messages_sent += is_sent;
    free(message);
}

/* The status; a message that was refused is freed. */
static enum fletch_status send_message(struct fletch_grpc_call *call, size_t bytes, uint8_t first,
                                       struct fletch_error *error)
{
    struct owned_message *owned = malloc(sizeof *owned + bytes);
    for (size_t i = 0; i < bytes; i++)
        owned->bytes[i] = (uint8_t)(first + i * 3);
    owned->slices[1] = (struct iovec){owned->bytes, bytes};
    owned->message = (struct fletch_grpc_message){
        .slices = owned->slices, .slice_count = bytes == 0 ? 1 : 2, .done = end_message};
    enum fletch_status status = fletch_grpc_call_send(call, &owned->message, error);
    if (status != FLETCH_OK)
        free(owned);
    return status;
}

static bool start(struct side *side, const struct fletch_grpc_options *options, bool is_server,
                  uint64_t fail_at)
{
    struct fletch_grpc_options own = options == NULL ? (struct fletch_grpc_options){0} : *options;
    *side = (struct side){.pool = test_pool_make(), .takes = true};
    failing_allocator_start(&side->allocator, fail_at);
    wire_init(&side->sent);
    own.struct_size = sizeof own;
    own.http2.is_server = is_server;
    own.http2.allocator = &side->allocator.allocator;
    own.http2.cache = side->pool.cache;
    if (own.http2.account == NULL)
        own.http2.account = side->pool.account;
    if (own.message_limit_bytes == 0)
        own.message_limit_bytes = LIMIT;
    enum fletch_status status = fletch_grpc_connection_create(&own, &side->connection, NULL);
    if (status != FLETCH_OK)
        assert_true(fail_at != 0 && status == FLETCH_RESOURCE_EXHAUSTED);
    else
        fletch_grpc_connection_tick(side->connection, 1);
    return status == FLETCH_OK;
}

static void finish(struct side *side)
{
    fletch_grpc_connection_destroy(side->connection);
    assert_int_equal(side->allocator.live_bytes, 0);
    wire_deinit(&side->sent);
    test_pool_end(&side->pool);
}

static void release(struct side *side)
{
    if (side->call != NULL)
        fletch_grpc_call_release(side->call);
    side->call = NULL;
}

/* ---- events ---- */

static void note_message(struct side *side, const struct fletch_grpc_event *event)
{
    const uint8_t *bytes = event->buffer == NULL ? NULL : fletch_buffer_data(event->buffer);
    assert_true(((uintptr_t)bytes & 63) == 0);
    for (size_t i = 0; bytes != NULL && i < event->message_bytes; i++)
        assert_int_equal(bytes[i], (uint8_t)(side->messages + i * 3));
    if (side->messages < MESSAGES_MOST)
        side->sizes[side->messages] = event->message_bytes;
    side->messages++;
    fletch_buffer_release(side->pool.cache, event->buffer);
    if (side->takes)
        fletch_grpc_call_take(event->call);
}

static void note(struct side *side, const struct fletch_grpc_event *event)
{
    for (size_t i = 0; i < event->field_count; i++) {
        size_t used = strlen(side->fields);
        (void)snprintf(side->fields + used, sizeof side->fields - used, "%s=%s\n",
                       event->fields[i].name, event->fields[i].value);
    }
    if (event->text != NULL)
        (void)snprintf(side->text, sizeof side->text, "%s", event->text);
    switch (event->kind) {
    case FLETCH_GRPC_EVENT_CALL:
        side->calls++;
        side->call = event->call;
        side->timeout_ns = event->timeout_ns;
        break;
    case FLETCH_GRPC_EVENT_HEADERS:
        side->headers++;
        break;
    case FLETCH_GRPC_EVENT_MESSAGE:
        note_message(side, event);
        break;
    case FLETCH_GRPC_EVENT_HALF_CLOSED:
        side->half_closes++;
        break;
    case FLETCH_GRPC_EVENT_ENDED:
        side->endings++;
        side->status = event->status;
        break;
    case FLETCH_GRPC_EVENT_GOAWAY:
        break;
    case FLETCH_GRPC_EVENT_CLOSED:
        side->is_closed = true;
        break;
    }
    if (side->react != NULL)
        side->react(side, event);
}

static void run_events(struct side *side)
{
    struct fletch_grpc_event event;
    while (fletch_grpc_connection_next(side->connection, &event))
        note(side, &event);
}

static void feed(struct side *side, const uint8_t *bytes, size_t count, size_t chunk)
{
    struct fletch_http2_connection *http2 = fletch_grpc_connection_http2(side->connection);
    struct iovec spans[FLETCH_HTTP2_ROOM_SPANS];
    while (count != 0) {
        size_t span_count = fletch_http2_connection_room(http2, spans);
        size_t left = chunk == 0 || chunk > count ? count : chunk;
        size_t put = 0;
        if (span_count == 0)
            return;
        for (size_t i = 0; i < span_count && left != 0; i++) {
            size_t some = spans[i].iov_len < left ? spans[i].iov_len : left;
            memcpy(spans[i].iov_base, bytes + put, some);
            put += some;
            left -= some;
        }
        bytes += put;
        count -= put;
        fletch_http2_connection_received(http2, put);
        run_events(side);
    }
}

/* Up to `most` bytes of what it wants to send, into `sent`. */
static size_t collect(struct side *side, size_t most)
{
    struct fletch_http2_connection *http2 = fletch_grpc_connection_http2(side->connection);
    struct iovec slices[8];
    size_t count = fletch_http2_connection_output(http2, slices, 8);
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < most; i++) {
        size_t some = slices[i].iov_len < most - taken ? slices[i].iov_len : most - taken;
        wire_put(&side->sent, slices[i].iov_base, some);
        taken += some;
    }
    fletch_http2_connection_sent(http2, taken);
    return taken;
}

static bool pump(struct side *from, struct side *to, struct fletch_random *random)
{
    size_t most = 1 + fletch_random_below(random, 1U << fletch_random_below(random, 18));
    size_t chunk = 1 + fletch_random_below(random, 1U << fletch_random_below(random, 18));
    size_t taken = collect(from, most);
    run_events(from);
    feed(to, from->sent.bytes, from->sent.count, chunk);
    from->sent.count = 0;
    return taken != 0;
}

static void run(struct side *client, struct side *server, struct fletch_random *random)
{
    for (int quiet = 0; quiet < 3;) {
        bool moved = pump(client, server, random);
        moved |= pump(server, client, random);
        quiet = moved ? 0 : quiet + 1;
    }
}

/* ---- calls ---- */

static const struct fletch_grpc_request request = {.path = "/package.Service/Method",
                                                   .authority = "host"};

static struct fletch_grpc_call *begin(struct side *side)
{
    struct fletch_grpc_call *call = NULL;
    assert_ok(fletch_grpc_connection_call(side->connection, &request, &call, NULL));
    side->call = call;
    return call;
}

/* Answers when the client has sent all: `answers` messages, then OK. */
static void answer_at_the_end(struct side *side, const struct fletch_grpc_event *event)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_OK};
    if (event->kind == FLETCH_GRPC_EVENT_ENDED)
        release(side);
    if (event->kind != FLETCH_GRPC_EVENT_HALF_CLOSED)
        return;
    for (uint32_t i = 0; i < side->answers; i++)
        if (send_message(event->call, side->answer_bytes, (uint8_t)i, NULL) != FLETCH_OK)
            break;
    (void)fletch_grpc_call_finish(event->call, &ending, NULL);
    release(side);
}

/* Messages of the client and the server: unary, and streams of one or both. */
static void test_all_kinds_of_calls(void **state)
{
    (void)state;
    static const struct {
        uint32_t asks;
        uint32_t answers;
        size_t bytes;
    } kinds[] = {{1, 1, 10},     {1, 1, 0},       {1, 20, 1000},    {20, 1, 1000}, {20, 20, 30000},
                 {0, 0, 0},      {1, 1, 1000000}, {3, 3, 200000},   {0, 5, 100},   {5, 0, 100},
                 {60, 60, 1024}, {1, 2, 65536},   {2, 1, 16384 - 5}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct fletch_random random = fletch_random_from_seed(i);
        struct side client;
        struct side server;
        messages_done = 0;
        messages_sent = 0;
        const struct fletch_grpc_options options = {
            .http2 = {.stream_window_bytes = 65536, .connection_window_bytes = 100000}};
        assert_true(start(&client, &options, false, 0));
        assert_true(start(&server, &options, true, 0));
        server.react = answer_at_the_end;
        server.answers = kinds[i].answers;
        server.answer_bytes = kinds[i].bytes;
        struct fletch_grpc_call *call = begin(&client);
        for (uint32_t k = 0; k < kinds[i].asks; k++)
            assert_ok(send_message(call, kinds[i].bytes, (uint8_t)k, NULL));
        fletch_grpc_call_half_close(call);
        fletch_grpc_call_half_close(call);
        run(&client, &server, &random);
        assert_int_equal(server.calls, 1);
        assert_int_equal(server.messages, kinds[i].asks);
        assert_int_equal(client.messages, kinds[i].answers);
        assert_int_equal(client.headers, kinds[i].answers != 0); /* else trailers alone */
        for (uint32_t k = 0; k < kinds[i].answers; k++)
            assert_int_equal(client.sizes[k], kinds[i].bytes);
        assert_int_equal(client.endings, 1);
        assert_int_equal(client.status, FLETCH_OK);
        assert_int_equal(messages_sent, kinds[i].asks + kinds[i].answers);
        assert_int_equal(messages_done, messages_sent);
        release(&client);
        finish(&client);
        finish(&server);
    }
}

static void refuse_at_once(struct side *side, const struct fletch_grpc_event *event)
{
    const struct fletch_http2_field fields[] = {
        fletch_http2_field_of("x-reason-bin", "\x01\x02\xff"),
        fletch_http2_field_of("x-other", "text")};
    const struct fletch_grpc_ending ending = {
        .status = FLETCH_NOT_FOUND, .text = "no 'ü' at 100%", .metadata = {fields, 2}};
    if (event->kind != FLETCH_GRPC_EVENT_CALL)
        return;
    assert_ok(fletch_grpc_call_finish(event->call, &ending, NULL));
    release(side);
}

/* An error at once: one block of headers, with metadata both ways and a text that needs encoding;
 * the client that still sends is stopped. */
static void test_refusal_and_metadata(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(1);
    struct side client;
    struct side server;
    const struct fletch_http2_field asked[] = {fletch_http2_field_of("token-bin", "\x03\xff\x10"),
                                               fletch_http2_field_of("tenant", "a b")};
    const struct fletch_grpc_request with_metadata = {
        .path = "/a/b", .timeout_ns = 1500000000, .metadata = {asked, 2}};
    assert_true(start(&client, NULL, false, 0));
    assert_true(start(&server, NULL, true, 0));
    server.react = refuse_at_once;
    assert_ok(fletch_grpc_connection_call(client.connection, &with_metadata, &client.call, NULL));
    assert_ok(send_message(client.call, 100000, 0, NULL));
    run(&client, &server, &random);
    assert_true(server.timeout_ns == 1500000000);
    assert_contains(server.fields, "token-bin=A/8Q\n");
    assert_contains(server.fields, "tenant=a b\n");
    assert_contains(server.fields, "te=trailers\n");
    assert_int_equal(client.status, FLETCH_NOT_FOUND);
    assert_string_equal(client.text, "no 'ü' at 100%");
    assert_contains(client.fields, "x-reason-bin=AQL/\n");
    assert_int_equal(client.headers, 0);
    assert_int_equal(client.endings, 1);
    struct fletch_http2_field field = fletch_http2_field_of("x-reason-bin", "AQL/");
    uint8_t bytes[4];
    size_t count;
    assert_true(fletch_grpc_field_decode(&field, bytes, &count));
    assert_memory_equal(bytes, "\x01\x02\xff", 3);
    release(&client);
    assert_false(client.is_closed);
    finish(&client);
    finish(&server);
}

static void test_metadata_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        const char *why;
    } cases[] = {
        {"grpc-status", "0", "keeps for itself"}, {":path", "/", "keeps for itself"},
        {"te", "gzip", "keeps for itself"},       {"a", "\xc3\xbc", "not printable"},
        {"a", "b\nc", "not printable"},           {"A", "b", "upper case"},
        {"connection", "x", "of the connection"}, {"a", " b", "begins or ends with a space"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct side client;
        struct fletch_error error;
        const struct fletch_http2_field field =
            fletch_http2_field_of(cases[i].name, cases[i].value);
        const struct fletch_grpc_request bad = {.path = "/a", .metadata = {&field, 1}};
        assert_true(start(&client, NULL, false, 0));
        assert_int_equal(fletch_grpc_connection_call(client.connection, &bad, &client.call, &error),
                         FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, cases[i].why);
        finish(&client);
    }
}

/* A message that is not taken stops the sender within a window; taking lets it go on. */
static void test_pace_of_the_consumer(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(5);
    struct side client;
    struct side server;
    const struct fletch_grpc_options options = {.http2 = {.stream_window_bytes = 65536}};
    messages_done = 0;
    assert_true(start(&client, &options, false, 0));
    assert_true(start(&server, &options, true, 0));
    server.takes = false;
    struct fletch_grpc_call *call = begin(&client);
    for (uint32_t i = 0; i < 30; i++)
        assert_ok(send_message(call, 10000, (uint8_t)i, NULL));
    fletch_grpc_call_half_close(call);
    run(&client, &server, &random);
    assert_in_range(server.messages, 6, 8); /* a window, and one message */
    uint32_t taken = 0;
    while (taken < server.messages) {
        fletch_grpc_call_take(server.call);
        taken++;
        run(&client, &server, &random);
        assert_true(server.messages <= taken + 8);
    }
    assert_int_equal(server.messages, 30);
    assert_int_equal(server.half_closes, 1);
    release(&server);
    release(&client);
    finish(&client);
    finish(&server);
    assert_int_equal(messages_done, 30);
}

static void test_queue_limit(void **state)
{
    (void)state;
    struct side client;
    struct fletch_error error;
    const struct fletch_grpc_options options = {.send_queue_bytes = 1000};
    assert_true(start(&client, &options, false, 0));
    struct fletch_grpc_call *call = begin(&client);
    assert_ok(send_message(call, 5000, 0, NULL)); /* alone it passes */
    assert_int_equal(send_message(call, 1, 0, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "1000");
    fletch_grpc_call_half_close(call);
    assert_int_equal(send_message(call, 1, 0, &error), FLETCH_FAILED_PRECONDITION);
    release(&client);
    finish(&client);
}

/* ---- ends in the middle ---- */

/* A call that is cancelled by either side, or runs out of time, after any number of bytes. */
static void test_cancel_anywhere(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        struct fletch_random random = fletch_random_from_seed(i);
        struct side client;
        struct side server;
        messages_done = 0;
        assert_true(start(&client, NULL, false, 0));
        assert_true(start(&server, NULL, true, 0));
        server.react = i % 2 == 0 ? NULL : answer_at_the_end;
        server.answers = 5;
        server.answer_bytes = 30000;
        struct fletch_grpc_request timed = request;
        timed.timeout_ns = 1000;
        assert_ok(fletch_grpc_connection_call(client.connection, &timed, &client.call, NULL));
        for (uint8_t k = 0; k < 5; k++)
            assert_ok(send_message(client.call, 20000, k, NULL));
        fletch_grpc_call_half_close(client.call);
        for (uint32_t step = fletch_random_below(&random, 12); step > 0; step--) {
            (void)pump(&client, &server, &random);
            (void)pump(&server, &client, &random);
        }
        uint32_t ended = client.endings;
        if (i % 3 == 0) {
            fletch_grpc_connection_tick(client.connection, 5000);
            run_events(&client);
            assert_int_equal(client.endings, 1);
            if (ended == 0)
                assert_int_equal(client.status, FLETCH_DEADLINE_EXCEEDED);
        } else if (i % 3 == 1) {
            fletch_grpc_call_cancel(client.call);
        } else if (server.call != NULL) {
            fletch_grpc_connection_tick(server.connection, 5000);
            run_events(&server);
        }
        if (i % 3 != 2)
            release(&client);
        run(&client, &server, &random);
        /* The server's clock may be the first to say so, by a reset. */
        if (i % 3 == 2 && client.endings == 1 && client.status != FLETCH_OK)
            assert_int_equal(client.status, FLETCH_DEADLINE_EXCEEDED);
        assert_false(client.is_closed || server.is_closed);
        assert_true(server.endings <= 1);
        release(&server);
        run(&client, &server, &random);
        if (client.call != NULL)
            assert_int_equal(client.endings, 1);
        release(&client);
        finish(&client);
        finish(&server);
        assert_true(messages_done >= 5);
    }
}

static void test_lost_connection(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(2);
    struct side client;
    struct side server;
    assert_true(start(&client, NULL, false, 0));
    assert_true(start(&server, NULL, true, 0));
    assert_ok(send_message(begin(&client), 10, 0, NULL));
    run(&client, &server, &random);
    fletch_http2_connection_ended(fletch_grpc_connection_http2(server.connection));
    fletch_http2_connection_ended(fletch_grpc_connection_http2(client.connection));
    run_events(&server);
    run_events(&client);
    assert_int_equal(client.status, FLETCH_UNAVAILABLE);
    assert_int_equal(server.status, FLETCH_UNAVAILABLE);
    assert_true(client.is_closed && server.is_closed);
    release(&client);
    release(&server);
    finish(&client);
    finish(&server);
}

/* ---- by hand: what a server makes of a client ---- */

static const char *const call_fields[] = {":method=POST", ":scheme=http", ":path=/a/b",
                                          "content-type=application/grpc+proto", NULL};

static void meet(struct wire *wire, bool is_server)
{
    wire_init(wire);
    if (is_server)
        wire_preface(wire);
    wire_settings(wire, 0, 0);
}

/* The value of a field that was sent as a literal or by Huffman code is not looked for: the answer
 * is read by a client of ours. */
static void answer_of(struct side *server, struct side *client)
{
    struct fletch_grpc_call *call = begin(client);
    assert_ok(send_message(call, 1, 0, NULL));
    while (collect(server, 1 << 20) != 0)
        continue;
    feed(client, server->sent.bytes, server->sent.count, 0);
    assert_int_equal(client->endings, 1);
    release(client);
}

static void check_server(const char *const *fields, const void *data, size_t bytes,
                         enum fletch_status status, const char *text)
{
    struct side server;
    struct side client;
    struct wire wire;
    const struct fletch_grpc_options options = {.message_limit_bytes = 1000};
    assert_true(start(&server, &options, true, 0));
    assert_true(start(&client, NULL, false, 0));
    meet(&wire, true);
    wire_headers(&wire, 1, 0, fields);
    wire_frame(
        &wire,
        (struct fletch_http2_head){(uint32_t)bytes, FLETCH_HTTP2_DATA, FLETCH_HTTP2_END_STREAM, 1},
        data);
    feed(&server, wire.bytes, wire.count, 1);
    answer_of(&server, &client);
    assert_int_equal(client.status, status);
    assert_contains(client.text, text);
    assert_int_equal(server.messages, 0);
    assert_int_equal(account_used_bytes(server.pool.account), 0);
    release(&server);
    wire_deinit(&wire);
    finish(&server);
    finish(&client);
}

static void test_server_refuses(void **state)
{
    (void)state;
    static const char *const html[] = {":method=POST", ":scheme=http", ":path=/a/b",
                                       "content-type=text/html", NULL};
    static const char *const get[] = {":method=GET", ":scheme=http", ":path=/a/b",
                                      "content-type=application/grpc", NULL};
    static const char *const timeout[] = {":method=POST",    ":scheme=http",
                                          ":path=/a/b",      "content-type=application/grpc",
                                          "grpc-timeout=1s", NULL};
    static const char *const gzip[] = {":method=POST",       ":scheme=http",
                                       ":path=/a/b",         "content-type=application/grpc",
                                       "grpc-encoding=gzip", NULL};
    check_server(html, "", 0, FLETCH_INVALID_ARGUMENT, "the content-type application/grpc");
    check_server(get, "", 0, FLETCH_INVALID_ARGUMENT, "a POST with a path");
    check_server(timeout, "", 0, FLETCH_INVALID_ARGUMENT, "grpc-timeout");
    check_server(gzip, "\1\0\0\0\1x", 6, FLETCH_UNIMPLEMENTED, "identity");
    check_server(call_fields, "\1\0\0\0\1x", 6, FLETCH_INTERNAL, "without a grpc-encoding");
    check_server(call_fields, "\2\0\0\0\1x", 6, FLETCH_INTERNAL, "compressed");
    check_server(call_fields, "\0\0\0\0\2x", 6, FLETCH_INTERNAL, "within a message");
    check_server(call_fields, "\0\0\0", 3, FLETCH_INTERNAL, "within a message");
    check_server(call_fields, "\0\xff\xff\xff\xff", 5, FLETCH_RESOURCE_EXHAUSTED,
                 "a message of 4294967295 bytes, at most 1000");
    check_server(call_fields, "\0\0\0\3\xe9", 5, FLETCH_RESOURCE_EXHAUSTED, "1001");
}

/* Each of many streams claims a message as large as allowed: the account of the connection says no
 * before there is memory, and other calls go on. */
static void test_claims_are_charged_first(void **state)
{
    (void)state;
    struct side server;
    struct wire wire;
    struct test_pool outer = test_pool_make();
    struct fletch_account *account = account_make(outer.account, "connection", 8 << 20, 0);
    const struct fletch_grpc_options options = {.message_limit_bytes = 1 << 20,
                                                .http2 = {.account = account}};
    assert_true(start(&server, &options, true, 0));
    meet(&wire, true);
    for (uint32_t id = 1; id < 201; id += 2) {
        wire_headers(&wire, id, 0, call_fields);
        wire_frame(&wire, (struct fletch_http2_head){5, FLETCH_HTTP2_DATA, 0, id}, "\0\0\x0f\0\0");
    }
    feed(&server, wire.bytes, wire.count, 0);
    assert_true(account_used_bytes(account) <= 8 << 20);
    assert_int_equal(server.calls, 100);
    assert_true(server.endings >= 90);
    assert_int_equal(server.status, FLETCH_RESOURCE_EXHAUSTED);
    assert_false(server.is_closed);
    wire.count = 0;
    wire_headers(&wire, 201, 0, call_fields);
    wire_frame(&wire,
               (struct fletch_http2_head){6, FLETCH_HTTP2_DATA, FLETCH_HTTP2_END_STREAM, 201},
               "\0\0\0\0\1\0");
    feed(&server, wire.bytes, wire.count, 0);
    assert_int_equal(server.messages, 1);
    wire_deinit(&wire);
    finish(&server);
    fletch_account_close(account);
    test_pool_end(&outer);
}

/* ---- by hand: what a client makes of a server ---- */

static void check_client(const char *const *headers, const void *data, size_t bytes,
                         const char *const *trailers, enum fletch_status status)
{
    struct side client;
    struct wire wire;
    assert_true(start(&client, NULL, false, 0));
    (void)begin(&client);
    meet(&wire, false);
    wire_headers(&wire, 1, headers == NULL || trailers == NULL ? FLETCH_HTTP2_END_STREAM : 0,
                 headers != NULL ? headers : trailers);
    if (bytes != 0)
        wire_frame(&wire, (struct fletch_http2_head){(uint32_t)bytes, FLETCH_HTTP2_DATA, 0, 1},
                   data);
    if (headers != NULL && trailers != NULL)
        wire_headers(&wire, 1, FLETCH_HTTP2_END_STREAM, trailers);
    feed(&client, wire.bytes, wire.count, 3);
    assert_int_equal(client.endings, 1);
    assert_string_equal(fletch_status_name(client.status), fletch_status_name(status));
    release(&client);
    assert_false(client.is_closed);
    wire_deinit(&wire);
    finish(&client);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_client_understands(void **state)
{
    (void)state;
    const char *const *answer = response_fields;
    check_client(answer, "\0\0\0\0\1\0", 6, LIST("grpc-status=0"), FLETCH_OK);
    check_client(answer, NULL, 0, LIST("grpc-status=9", "grpc-message=%41"),
                 FLETCH_FAILED_PRECONDITION);
    check_client(NULL, NULL, 0,
                 LIST(":status=200", "content-type=application/grpc", "grpc-status=7"),
                 FLETCH_PERMISSION_DENIED);
    check_client(answer, NULL, 0, LIST("a=b"), FLETCH_UNKNOWN);
    check_client(answer, NULL, 0, LIST("grpc-status=99"), FLETCH_UNKNOWN);
    check_client(answer, NULL, 0, NULL, FLETCH_UNKNOWN);
    check_client(answer, "\0\0\0\0\2x", 6, LIST("grpc-status=0"), FLETCH_INTERNAL);
    check_client(answer, "\0\0\0\0\2x", 6, LIST("grpc-status=5"), FLETCH_NOT_FOUND);
    check_client(answer, "\1\0\0\0\1x", 6, LIST("grpc-status=0"), FLETCH_INTERNAL);
    check_client(answer, "\0\xff\xff\xff\xff", 5, LIST("grpc-status=0"), FLETCH_RESOURCE_EXHAUSTED);
    check_client(LIST(":status=200", "content-type=text/html"), NULL, 0, NULL, FLETCH_UNKNOWN);
    check_client(LIST(":status=503"), NULL, 0, NULL, FLETCH_UNAVAILABLE);
    check_client(LIST(":status=404"), NULL, 0, NULL, FLETCH_UNIMPLEMENTED);
    check_client(LIST(":status=401"), NULL, 0, NULL, FLETCH_UNAUTHENTICATED);
}

/* ---- a reader of messages ---- */

struct pieces {
    uint8_t bytes[5000];
    size_t filled;
    size_t bytes_told;
    uint32_t begun;
    bool refuses;
};

static enum fletch_status begin_pieces(void *context, struct fletch_grpc_call *call, size_t bytes,
                                       struct fletch_error *error)
{
    struct pieces *pieces = context;
    (void)call;
    (void)error;
    pieces->begun++;
    pieces->filled = 0;
    pieces->bytes_told = bytes;
    return FLETCH_OK;
}

/* Pieces of 1, 2, 3, … bytes. */
static struct iovec place_piece(void *context, struct fletch_grpc_call *call)
{
    struct pieces *pieces = context;
    size_t left = pieces->bytes_told - pieces->filled;
    size_t bytes = 1 + pieces->filled;
    (void)call;
    return (struct iovec){pieces->bytes + pieces->filled, bytes < left ? bytes : left};
}

static enum fletch_status fill_piece(void *context, struct fletch_grpc_call *call, size_t bytes,
                                     struct fletch_error *error)
{
    struct pieces *pieces = context;
    (void)call;
    pieces->filled += bytes;
    if (!pieces->refuses || pieces->filled < 100)
        return FLETCH_OK;
    (void)snprintf(error->message, sizeof error->message, "not this one");
    return FLETCH_DATA_LOSS;
}

static void answer_from_a_reader(struct side *side, const struct fletch_grpc_event *event)
{
    if (event->kind == FLETCH_GRPC_EVENT_CALL)
        fletch_grpc_call_set_reader(event->call, side->reader);
    answer_at_the_end(side, event);
}

static void answer_each(struct side *side, const struct fletch_grpc_event *event)
{
    side->call = event->call;
    answer_at_the_end(side, event);
}

/* Of two calls of a connection, the second one has a reader. */
static void test_reader_of_one_call(void **state)
{
    struct fletch_random random = fletch_random_from_seed(5);
    static struct pieces pieces;
    const struct fletch_grpc_reader reader = {begin_pieces, place_piece, fill_piece, &pieces};
    struct fletch_grpc_call *other;
    struct side client;
    struct side server;
    (void)state;
    memset(&pieces, 0, sizeof pieces);
    assert_true(start(&client, NULL, false, 0));
    assert_true(start(&server, NULL, true, 0));
    server.react = answer_each;
    server.answers = 1;
    server.answer_bytes = sizeof pieces.bytes;
    struct fletch_grpc_call *call = begin(&client);
    assert_ok(fletch_grpc_connection_call(client.connection, &request, &other, NULL));
    fletch_grpc_call_set_reader(other, &reader);
    fletch_grpc_call_half_close(call);
    run(&client, &server, &random);
    fletch_grpc_call_half_close(other);
    run(&client, &server, &random);
    assert_int_equal(client.endings, 2);
    assert_int_equal(client.status, FLETCH_OK);
    assert_int_equal(client.messages, 2);
    assert_int_equal(pieces.begun, 1);
    assert_int_equal(pieces.filled, sizeof pieces.bytes);
    for (size_t i = 0; i < sizeof pieces.bytes; i++)
        assert_int_equal(pieces.bytes[i], (uint8_t)(pieces.bytes[0] + i * 3));
    fletch_grpc_call_release(other);
    release(&client);
    finish(&client);
    finish(&server);
}

static void test_reader_places_pieces(void **state)
{
    (void)state;
    for (int refuses = 0; refuses < 2; refuses++) {
        struct fletch_random random = fletch_random_from_seed(3);
        struct side client;
        struct side server;
        static struct pieces pieces;
        memset(&pieces, 0, sizeof pieces);
        pieces.refuses = refuses != 0;
        const struct fletch_grpc_reader reader = {begin_pieces, place_piece, fill_piece, &pieces};
        assert_true(start(&client, NULL, false, 0));
        assert_true(start(&server, NULL, true, 0));
        server.react = answer_from_a_reader;
        server.reader = &reader;
        struct fletch_grpc_call *call = begin(&client);
        for (uint8_t i = 0; i < 3; i++)
            assert_ok(send_message(call, sizeof pieces.bytes, i, NULL));
        fletch_grpc_call_half_close(call);
        run(&client, &server, &random);
        if (refuses) {
            assert_int_equal(client.status, FLETCH_DATA_LOSS);
            assert_string_equal(client.text, "not this one");
        } else {
            assert_int_equal(pieces.begun, 3);
            assert_int_equal(server.messages, 3);
            for (size_t i = 0; i < sizeof pieces.bytes; i++)
                assert_int_equal(pieces.bytes[i], (uint8_t)(2 + i * 3));
            assert_int_equal(client.status, FLETCH_OK);
        }
        release(&client);
        finish(&client);
        finish(&server);
    }
}

/* ---- cut at every byte ---- */

static const size_t cut_sizes[] = {0, 1, 5, 40, 300};
enum { CUT_MESSAGES = sizeof cut_sizes / sizeof cut_sizes[0] };

static void begin_to_cut(struct side *client)
{
    assert_true(start(client, NULL, false, 0));
    struct fletch_grpc_call *call = begin(client);
    for (uint8_t i = 0; i < CUT_MESSAGES; i++)
        assert_ok(send_message(call, cut_sizes[i], i, NULL));
    fletch_grpc_call_half_close(call);
    while (collect(client, SIZE_MAX) != 0)
        continue;
}

/* Feeds all that `from` has sent, in two pieces; or the first one, and then the end. */
static void feed_cut(struct side *to, const struct wire *wire, size_t at, bool is_lost)
{
    feed(to, wire->bytes, at, 0);
    if (!is_lost) {
        feed(to, wire->bytes + at, wire->count - at, 0);
        return;
    }
    fletch_http2_connection_ended(fletch_grpc_connection_http2(to->connection));
    run_events(to);
}

static void check_cut(const struct side *side)
{
    assert_int_equal(side->messages, CUT_MESSAGES);
    for (uint32_t i = 0; i < CUT_MESSAGES; i++)
        assert_int_equal(side->sizes[i], cut_sizes[i]);
}

static void answer_to_cut(struct side *side, const struct fletch_grpc_event *event)
{
    const struct fletch_grpc_ending ending = {.status = FLETCH_OK};
    if (event->kind != FLETCH_GRPC_EVENT_HALF_CLOSED)
        return;
    for (uint8_t i = 0; i < CUT_MESSAGES; i++)
        assert_ok(send_message(event->call, cut_sizes[i], i, NULL));
    assert_ok(fletch_grpc_call_finish(event->call, &ending, NULL));
    release(side);
}

static void cut_request(size_t at, bool is_lost, struct wire *out_answer)
{
    struct side client;
    struct side server;
    begin_to_cut(&client);
    assert_true(start(&server, NULL, true, 0));
    if (!is_lost)
        server.react = answer_to_cut;
    feed_cut(&server, &client.sent, at, is_lost);
    if (is_lost) {
        assert_int_equal(server.endings, server.calls);
        release(&server);
    } else {
        assert_int_equal(server.half_closes, 1);
        check_cut(&server);
        while (collect(&server, SIZE_MAX) != 0)
            continue;
    }
    if (out_answer != NULL)
        wire_put(out_answer, server.sent.bytes, server.sent.count);
    release(&client);
    finish(&client);
    finish(&server);
}

static void cut_answer(const struct wire *answer, size_t at, bool is_lost)
{
    struct side client;
    begin_to_cut(&client);
    feed_cut(&client, answer, at, is_lost);
    assert_int_equal(client.endings, 1);
    assert_int_equal(client.status,
                     is_lost && at != answer->count ? FLETCH_UNAVAILABLE : FLETCH_OK);
    if (client.status == FLETCH_OK)
        check_cut(&client);
    release(&client);
    finish(&client);
}

/* Requests and answers of several messages, in two pieces; and with nothing behind the first. */
static void test_cut_at_every_byte(void **state)
{
    struct side client;
    struct wire answer;
    (void)state;
    begin_to_cut(&client);
    size_t bytes = client.sent.count;
    assert_true(bytes > 400);
    release(&client);
    finish(&client);
    wire_init(&answer);
    cut_request(bytes, false, &answer);
    assert_true(answer.count > 400);
    for (size_t at = 0; at <= bytes; at++)
        for (int is_lost = 0; is_lost < 2; is_lost++)
            cut_request(at, is_lost != 0, NULL);
    for (size_t at = 0; at <= answer.count; at++)
        for (int is_lost = 0; is_lost < 2; is_lost++)
            cut_answer(&answer, at, is_lost != 0);
    wire_deinit(&answer);
}

/* ---- without memory ---- */

static bool try_without(uint64_t client_fails, uint64_t server_fails)
{
    struct fletch_random random = fletch_random_from_seed(11);
    struct side client;
    struct side server;
    struct fletch_grpc_call *call = NULL;
    bool is_client = start(&client, NULL, false, client_fails);
    bool is_server = start(&server, NULL, true, server_fails);
    server.react = answer_at_the_end;
    server.answers = 2;
    server.answer_bytes = 100;
    for (uint32_t i = 0; i < 3 && is_client && is_server; i++) {
        if (fletch_grpc_connection_call(client.connection, &request, &call, NULL) != FLETCH_OK)
            break;
        client.call = call;
        client.endings = 0;
        client.messages = 0;
        server.messages = 0;
        (void)send_message(call, 1000, 0, NULL);
        fletch_grpc_call_half_close(call);
        run(&client, &server, &random);
        if (server.is_closed && client.endings == 0) {
            fletch_http2_connection_ended(fletch_grpc_connection_http2(client.connection));
            run_events(&client);
        }
        assert_int_equal(client.endings, 1);
        release(&client);
        release(&server);
    }
    bool has_failed = client.allocator.failures + server.allocator.failures != 0;
    if (!has_failed)
        assert_int_equal(client.status, FLETCH_OK);
    finish(&client);
    finish(&server);
    return has_failed;
}

static void test_without_memory(void **state)
{
    (void)state;
    uint64_t n = 1;
    while (try_without(n, 0))
        assert_true(++n < 1000);
    assert_true(n > 20);
    n = 1;
    while (try_without(0, n))
        assert_true(++n < 1000);
    assert_true(n > 20);
}

int main(int argc, char **argv)
{
    (void)test_arguments_read(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds_of_calls),
        cmocka_unit_test(test_refusal_and_metadata),
        cmocka_unit_test(test_metadata_is_checked),
        cmocka_unit_test(test_pace_of_the_consumer),
        cmocka_unit_test(test_queue_limit),
        cmocka_unit_test(test_cancel_anywhere),
        cmocka_unit_test(test_lost_connection),
        cmocka_unit_test(test_server_refuses),
        cmocka_unit_test(test_claims_are_charged_first),
        cmocka_unit_test(test_client_understands),
        cmocka_unit_test(test_reader_places_pieces),
        cmocka_unit_test(test_reader_of_one_call),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
