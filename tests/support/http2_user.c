#include "support/http2_user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http2/http2_parser.h"
#include "support/cmocka_tests.h"

const char *const request_fields[] = {":method=POST",    ":scheme=http", ":path=/a/b",
                                      ":authority=host", "te=trailers",  NULL};
const char *const response_fields[] = {":status=200", "content-type=application/grpc", NULL};

uint32_t test_data_sent, test_data_dropped;

/* ---- wire ---- */

void wire_init(struct wire *wire)
{
    wire->bytes = malloc(WIRE_BYTES_MOST);
    wire->count = 0;
    assert_non_null(wire->bytes);
}

void wire_deinit(struct wire *wire)
{
    free(wire->bytes);
}

void wire_put(struct wire *wire, const void *bytes, size_t count)
{
    assert_true(wire->count + count <= WIRE_BYTES_MOST);
    if (count != 0)
        memcpy(wire->bytes + wire->count, bytes, count);
    wire->count += count;
}

void wire_frame(struct wire *wire, struct fletch_http2_head head, const void *payload)
{
    uint8_t bytes[FLETCH_HTTP2_HEAD_BYTES];
    fletch_http2_head_write(bytes, &head);
    wire_put(wire, bytes, sizeof bytes);
    wire_put(wire, payload, head.length);
}

void wire_preface(struct wire *wire)
{
    wire_put(wire, FLETCH_HTTP2_PREFACE, FLETCH_HTTP2_PREFACE_BYTES);
}

void wire_settings(struct wire *wire, uint32_t setting, uint32_t value)
{
    uint8_t entry[6] = {0, (uint8_t)setting};
    fletch_http2_write_u32(entry + 2, value);
    wire_frame(
        wire,
        (struct fletch_http2_head){.length = setting == 0 ? 0 : 6, .type = FLETCH_HTTP2_SETTINGS},
        entry);
}

void wire_u32_frame(struct wire *wire, uint8_t type, uint32_t id, uint32_t value)
{
    uint8_t payload[4];
    fletch_http2_write_u32(payload, value);
    wire_frame(wire, (struct fletch_http2_head){.length = 4, .type = type, .stream_id = id},
               payload);
}

static uint8_t *put_string(uint8_t *place, const char *text, size_t bytes)
{
    if (bytes < 127) {
        *place++ = (uint8_t)bytes;
    } else {
        size_t rest = bytes - 127;
        *place++ = 127;
        for (; rest >= 128; rest /= 128)
            *place++ = (uint8_t)(rest % 128 + 128);
        *place++ = (uint8_t)rest;
    }
    memcpy(place, text, bytes);
    return place + bytes;
}

size_t wire_block(uint8_t *block, const char *const *fields)
{
    uint8_t *place = block;
    for (; *fields != NULL; fields++) {
        const char *value = strchr(*fields + 1, '=');
        *place++ = 0; /* literal without indexing, new name */
        place = put_string(place, *fields, (size_t)(value - *fields));
        place = put_string(place, value + 1, strlen(value + 1));
    }
    return (size_t)(place - block);
}

void wire_headers(struct wire *wire, uint32_t id, uint8_t flags, const char *const *fields)
{
    uint8_t block[8192];
    size_t bytes = wire_block(block, fields);
    wire_frame(wire,
               (struct fletch_http2_head){(uint32_t)bytes, FLETCH_HTTP2_HEADERS,
                                          (uint8_t)(flags | FLETCH_HTTP2_END_HEADERS), id},
               block);
}

void wire_data(struct wire *wire, uint32_t id, uint8_t flags, size_t count)
{
    uint8_t *bytes = malloc(count + 1);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(i * 7);
    wire_frame(wire, (struct fletch_http2_head){(uint32_t)count, FLETCH_HTTP2_DATA, flags, id},
               bytes);
    free(bytes);
}

bool wire_find(const struct wire *wire, uint8_t type, uint32_t index,
               struct fletch_http2_head *out_head, const uint8_t **out_payload)
{
    size_t at = 0;
    if (wire->count >= 3 && memcmp(wire->bytes, "PRI", 3) == 0)
        at = FLETCH_HTTP2_PREFACE_BYTES;
    while (at + FLETCH_HTTP2_HEAD_BYTES <= wire->count) {
        *out_head = fletch_http2_head_read(wire->bytes + at);
        *out_payload = wire->bytes + at + FLETCH_HTTP2_HEAD_BYTES;
        at += FLETCH_HTTP2_HEAD_BYTES + out_head->length;
        if (out_head->type == type && index-- == 0)
            return at <= wire->count;
    }
    return false;
}

uint32_t wire_count(const struct wire *wire, uint8_t type)
{
    struct fletch_http2_head head;
    const uint8_t *payload;
    uint32_t count = 0;
    while (wire_find(wire, type, count, &head, &payload))
        count++;
    return count;
}

/* ---- data ---- */

struct owned_data {
    struct fletch_http2_data data; /* first */
    struct iovec slices[3];
    uint8_t bytes[];
};

static void free_data(struct fletch_http2_data *data, bool is_sent)
{
    if (is_sent)
        test_data_sent++;
    else
        test_data_dropped++;
    free(data);
}

struct fletch_http2_data *test_data(size_t bytes, uint8_t first, bool ends_stream)
{
    struct owned_data *owned = malloc(sizeof *owned + bytes + 1);
    assert_non_null(owned);
    for (size_t i = 0; i < bytes; i++)
        owned->bytes[i] = (uint8_t)(first + i * 7);
    size_t half = bytes / 2;
    owned->slices[0] = (struct iovec){owned->bytes, half};
    owned->slices[1] = (struct iovec){owned->bytes + half, 0};
    owned->slices[2] = (struct iovec){owned->bytes + half, bytes - half};
    owned->data = (struct fletch_http2_data){
        .slices = owned->slices, .slice_count = 3, .ends_stream = ends_stream, .done = free_data};
    return &owned->data;
}

/* ---- the user ---- */

bool http2_user_start(struct http2_user *user, const struct fletch_http2_options *options,
                      uint64_t fail_at)
{
    struct fletch_http2_options own = options == NULL ? (struct fletch_http2_options){0} : *options;
    *user = (struct http2_user){.place_bytes = 4096, .data_bytes = 1 << 20, .releases = true};
    user->pool = test_pool_make();
    failing_allocator_start(&user->allocator, fail_at);
    wire_init(&user->sent);
    user->streams = calloc(SEEN_STREAMS_MOST, sizeof *user->streams);
    own.struct_size = sizeof own;
    own.allocator = &user->allocator.allocator;
    own.cache = user->pool.cache;
    own.account = user->pool.account;
    struct fletch_error error;
    enum fletch_status status = fletch_http2_connection_create(&own, &user->connection, &error);
    if (status == FLETCH_OK) {
        fletch_http2_connection_tick(user->connection, 1);
        return true;
    }
    assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
    assert_true(fail_at != 0);
    return false;
}

void http2_user_end(struct http2_user *user)
{
    fletch_http2_connection_destroy(user->connection);
    assert_int_equal(user->allocator.live_bytes, 0);
    for (uint32_t i = 0; i < user->stream_count; i++)
        free(user->streams[i].data);
    free(user->streams);
    wire_deinit(&user->sent);
    test_pool_end(&user->pool);
}

struct seen_stream *http2_user_stream(struct http2_user *user, uint32_t id)
{
    for (uint32_t i = 0; i < user->stream_count; i++)
        if (user->streams[i].id == id)
            return &user->streams[i];
    return NULL;
}

static struct seen_stream *see(struct http2_user *user, struct fletch_http2_stream *stream)
{
    uint32_t id = fletch_http2_stream_id(stream);
    struct seen_stream *seen = http2_user_stream(user, id);
    if (seen != NULL)
        return seen;
    assert_true(user->stream_count < SEEN_STREAMS_MOST);
    seen = &user->streams[user->stream_count++];
    seen->id = id;
    seen->stream = stream;
    return seen;
}

static void see_headers(struct http2_user *user, struct seen_stream *seen,
                        const struct fletch_http2_event *event)
{
    seen->headers++;
    seen->status = event->status;
    for (size_t i = 0; i < event->field_count; i++) {
        size_t used = strlen(seen->fields);
        (void)snprintf(seen->fields + used, sizeof seen->fields - used, "%s=%s\n",
                       event->fields[i].name, event->fields[i].value);
    }
    if (event->ends_stream || seen->data != NULL || user->place_bytes == 0)
        return;
    seen->data = malloc(user->data_bytes);
    fletch_http2_stream_place(seen->stream, seen->data, user->place_bytes);
}

static void see_bytes(struct http2_user *user, struct seen_stream *seen,
                      const struct fletch_http2_event *event)
{
    seen->bytes += event->bytes;
    if (!user->is_slow)
        fletch_http2_stream_consume(seen->stream, event->bytes);
    if (seen->bytes % user->place_bytes == 0 && event->bytes != 0) {
        size_t left = user->data_bytes - seen->bytes;
        size_t bytes = left < user->place_bytes ? left : user->place_bytes;
        fletch_http2_stream_place(seen->stream, bytes == 0 ? NULL : seen->data + seen->bytes,
                                  bytes);
    }
}

static void see_event(struct http2_user *user, const struct fletch_http2_event *event)
{
    struct seen_stream *seen = event->stream == NULL ? NULL : see(user, event->stream);
    switch (event->kind) {
    case FLETCH_HTTP2_EVENT_HEADERS:
        see_headers(user, seen, event);
        break;
    case FLETCH_HTTP2_EVENT_BYTES:
        see_bytes(user, seen, event);
        break;
    case FLETCH_HTTP2_EVENT_RESET:
        assert_false(seen->is_reset);
        seen->is_reset = true;
        seen->code = event->code;
        seen->cause = event->cause;
        (void)snprintf(seen->text, sizeof seen->text, "%s", event->text);
        break;
    case FLETCH_HTTP2_EVENT_GOAWAY:
        user->goaways++;
        break;
    case FLETCH_HTTP2_EVENT_CLOSED:
        assert_false(user->is_closed);
        user->is_closed = true;
        user->code = event->code;
        (void)snprintf(user->text, sizeof user->text, "%s", event->text);
        break;
    case FLETCH_HTTP2_EVENT_NONE:
        fail();
    }
    if (seen != NULL)
        seen->has_ended |= event->ends_stream;
}

void http2_user_events(struct http2_user *user)
{
    struct fletch_http2_event event;
    while (fletch_http2_connection_next(user->connection, &event)) {
        see_event(user, &event);
        struct seen_stream *seen =
            event.stream == NULL ? NULL
                                 : http2_user_stream(user, fletch_http2_stream_id(event.stream));
        if (user->react != NULL)
            user->react(user, &event);
        if (user->releases && seen != NULL && seen->stream != NULL &&
            fletch_http2_stream_is_closed(seen->stream)) {
            fletch_http2_stream_release(seen->stream);
            seen->stream = NULL;
        }
    }
}

void http2_user_feed(struct http2_user *user, const void *bytes, size_t count, size_t chunk)
{
    struct iovec spans[FLETCH_HTTP2_ROOM_SPANS];
    const uint8_t *from = bytes;
    while (count != 0) {
        size_t span_count = fletch_http2_connection_room(user->connection, spans);
        size_t left = chunk == 0 || chunk > count ? count : chunk;
        size_t put = 0;
        if (span_count == 0)
            return;
        for (size_t i = 0; i < span_count && left != 0; i++) {
            size_t some = spans[i].iov_len < left ? spans[i].iov_len : left;
            memcpy(spans[i].iov_base, from, some);
            from += some;
            left -= some;
            put += some;
        }
        count -= put;
        fletch_http2_connection_received(user->connection, put);
        http2_user_events(user);
    }
}

void http2_user_feed_wire(struct http2_user *user, const struct wire *wire, size_t chunk)
{
    http2_user_feed(user, wire->bytes, wire->count, chunk);
}

void http2_user_collect(struct http2_user *user, size_t most)
{
    struct iovec slices[64];
    size_t count;
    while ((count = fletch_http2_connection_output(user->connection, slices, 64)) != 0) {
        size_t left = most == 0 ? SIZE_MAX : most;
        size_t taken = 0;
        for (size_t i = 0; i < count && left != 0; i++) {
            size_t some = slices[i].iov_len < left ? slices[i].iov_len : left;
            wire_put(&user->sent, slices[i].iov_base, some);
            left -= some;
            taken += some;
        }
        fletch_http2_connection_sent(user->connection, taken);
    }
}

void http2_user_ready(struct http2_user *user, const struct fletch_http2_options *options)
{
    struct wire wire;
    assert_true(http2_user_start(user, options, 0));
    wire_init(&wire);
    if (options != NULL && options->is_server)
        wire_preface(&wire);
    wire_settings(&wire, 0, 0);
    wire_frame(&wire,
               (struct fletch_http2_head){.type = FLETCH_HTTP2_SETTINGS, .flags = FLETCH_HTTP2_ACK},
               NULL);
    http2_user_feed_wire(user, &wire, 0);
    http2_user_collect(user, 0);
    assert_false(user->is_closed);
    user->sent.count = 0;
    wire_deinit(&wire);
}

/* ---- two of them ---- */

static size_t fields_of(struct fletch_http2_field *fields, const char *const *texts)
{
    static char names[8][64];
    size_t count = 0;
    for (; texts[count] != NULL; count++) {
        const char *value = strchr(texts[count] + 1, '=');
        (void)snprintf(names[count], sizeof names[count], "%.*s", (int)(value - texts[count]),
                       texts[count]);
        fields[count] = fletch_http2_field_of(names[count], value + 1);
    }
    return count;
}

enum fletch_status http2_user_try_open(struct http2_user *user, bool ends_stream,
                                       struct fletch_http2_stream **out_stream,
                                       struct fletch_error *error)
{
    struct fletch_http2_field fields[8];
    const struct fletch_http2_request request = {fields, fields_of(fields, request_fields),
                                                 ends_stream};
    return fletch_http2_connection_open(user->connection, &request, out_stream, error);
}

struct fletch_http2_stream *http2_user_open(struct http2_user *user, bool ends_stream)
{
    struct fletch_http2_stream *stream = NULL;
    assert_ok(http2_user_try_open(user, ends_stream, &stream, NULL));
    return stream;
}

static void check_sent(struct fletch_http2_stream *stream, enum fletch_status status)
{
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        fletch_http2_stream_reset(stream, FLETCH_HTTP2_INTERNAL_ERROR);
    else
        assert_ok(status);
}

void http2_user_respond(struct fletch_http2_stream *stream)
{
    struct fletch_http2_field fields[8];
    size_t count = fields_of(fields, response_fields);
    check_sent(stream, fletch_http2_stream_send_headers(stream, fields, count, false, NULL));
}

void http2_user_end_with_trailers(struct fletch_http2_stream *stream)
{
    const struct fletch_http2_field field = fletch_http2_field_of("grpc-status", "0");
    check_sent(stream, fletch_http2_stream_send_trailers(stream, &field, 1, NULL));
}

void http2_user_echo(struct http2_user *user, const struct fletch_http2_event *event)
{
    if (event->stream == NULL)
        return;
    struct seen_stream *seen = http2_user_stream(user, fletch_http2_stream_id(event->stream));
    if (event->kind == FLETCH_HTTP2_EVENT_HEADERS && event->is_new)
        http2_user_respond(event->stream);
    if (!event->ends_stream || fletch_http2_stream_is_closed(event->stream))
        return;
    size_t half = seen->bytes / 2;
    fletch_http2_stream_send(event->stream, test_data(half, 1, false));
    fletch_http2_stream_send(event->stream, test_data(seen->bytes - half, 2, false));
    http2_user_end_with_trailers(event->stream);
}

/* A number of bytes that is often small, and large at times. */
static uint32_t some_bytes(struct fletch_random *random)
{
    return 1 + fletch_random_below(random, 1U << fletch_random_below(random, 18));
}

static bool pump(struct http2_joint *joint, struct http2_user *from, struct http2_user *to)
{
    uint32_t most = some_bytes(&joint->random);
    uint32_t chunk = some_bytes(&joint->random);
    struct iovec slices[4];
    size_t count = fletch_http2_connection_output(from->connection, slices, 4);
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < most; i++) {
        size_t some = slices[i].iov_len < most - taken ? slices[i].iov_len : most - taken;
        wire_put(&from->sent, slices[i].iov_base, some);
        taken += some;
    }
    fletch_http2_connection_sent(from->connection, taken);
    http2_user_events(from);
    http2_user_feed(to, from->sent.bytes, from->sent.count, chunk);
    from->sent.count = 0;
    return taken != 0;
}

void http2_joint_run(struct http2_joint *joint)
{
    for (int quiet = 0; quiet < 3;) {
        bool moved = pump(joint, &joint->client, &joint->server);
        moved |= pump(joint, &joint->server, &joint->client);
        quiet = moved ? 0 : quiet + 1;
    }
}

void http2_joint_check_echo(struct http2_joint *joint, uint32_t id, size_t bytes)
{
    struct seen_stream *seen = http2_user_stream(&joint->client, id);
    assert_non_null(seen);
    assert_true(seen->has_ended);
    assert_int_equal(seen->bytes, bytes);
    assert_contains(seen->fields, ":status=200\n");
    assert_contains(seen->fields, "grpc-status=0\n");
    for (size_t i = 0; i < bytes; i++) {
        size_t half = bytes / 2;
        uint8_t expected = (uint8_t)(i < half ? 1 + i * 7 : 2 + (i - half) * 7);
        assert_int_equal(seen->data[i], expected);
    }
}
