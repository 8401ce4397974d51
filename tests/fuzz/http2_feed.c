#include "fuzz/http2_feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "fuzz/feed_memory.h"
#include "fuzz/fuzz_target.h"
#include "http2/http2_connection.h"
#include "http2/http2_parser.h"

enum { STREAMS = 64, PLACE_MOST = 1 << 16, MEMORY_MOST = 1 << 20, OUTPUT_MOST = 1 << 22 };

static void stop(const char *what)
{
    fuzz_stop("http2", what);
}

static struct feed_memory memory;

void http2_feed_start(void)
{
    feed_memory_start(&memory, "http2", MEMORY_MOST, 0);
}

void http2_feed_end(void)
{
    feed_memory_end(&memory);
}

/* ---- a user ---- */

struct stream {
    uint32_t id;
    struct fletch_http2_stream *stream;
    size_t left; /* of its place */
    uint8_t *place;
    size_t place_bytes;
    uint64_t sum; /* of all that was told of it */
};

struct user {
    struct fletch_http2_connection *connection;
    struct fletch_random random;
    bool is_lively; /* does things in between */
    size_t place_bytes;
    struct stream streams[STREAMS];
    uint64_t sum;
    uint32_t data_out; /* that have not come back */
    int64_t code;
};

static void add(uint64_t *sum, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *sum = (*sum ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
}

struct owned {
    struct fletch_http2_data data; /* first */
    struct iovec slice;
    struct user *user;
    uint8_t bytes[1000];
};

static void end_owned(struct fletch_http2_data *data, bool is_sent)
{
    struct owned *owned = (struct owned *)(void *)data;
    (void)is_sent;
    owned->user->data_out--;
    memset(owned, 0xee, sizeof *owned);
    free(owned);
}

static void send(struct user *user, struct fletch_http2_stream *stream, bool ends)
{
    struct owned *owned = calloc(1, sizeof *owned);
    owned->user = user;
    owned->slice = (struct iovec){owned->bytes, sizeof owned->bytes};
    owned->data = (struct fletch_http2_data){
        .slices = &owned->slice, .slice_count = 1, .ends_stream = ends, .done = end_owned};
    user->data_out++;
    fletch_http2_stream_send(stream, &owned->data);
}

/* A place of the stream's next size. */
static void put_place(struct user *user, struct stream *stream)
{
    free(stream->place);
    stream->place_bytes =
        1 + (user->place_bytes * (stream->id + 1) + stream->place_bytes) % PLACE_MOST;
    stream->place = malloc(stream->place_bytes);
    stream->left = stream->place_bytes;
    fletch_http2_stream_place(stream->stream, stream->place, stream->place_bytes);
}

static struct stream *find(struct user *user, struct fletch_http2_stream *known, bool is_new)
{
    uint32_t id = fletch_http2_stream_id(known);
    for (size_t i = 0; i < STREAMS; i++)
        if (is_new ? user->streams[i].id == 0 : user->streams[i].id == id) {
            user->streams[i].id = id;
            user->streams[i].stream = known;
            return &user->streams[i];
        }
    return NULL;
}

static void let_go(struct stream *stream)
{
    fletch_http2_stream_release(stream->stream);
    stream->stream = NULL;
    free(stream->place);
    stream->place = NULL;
}

static void see_bytes(struct user *user, struct stream *stream,
                      const struct fletch_http2_event *event)
{
    if (event->bytes > stream->left)
        stop("more bytes than the place has");
    add(&stream->sum, stream->place + stream->place_bytes - stream->left, event->bytes);
    stream->left -= event->bytes;
    fletch_http2_stream_consume(event->stream, event->bytes);
    if (stream->left == 0)
        put_place(user, stream);
}

static void answer(struct user *user, const struct fletch_http2_event *event)
{
    const struct fletch_http2_field status = fletch_http2_field_of(":status", "200");
    if (event->kind == FLETCH_HTTP2_EVENT_HEADERS && event->is_new)
        (void)fletch_http2_stream_send_headers(event->stream, &status, 1, false, NULL);
    if (event->ends_stream && !fletch_http2_stream_is_closed(event->stream))
        send(user, event->stream, true);
}

static void live(struct user *user, struct stream *stream)
{
    const struct fletch_http2_field field = fletch_http2_field_of("a", "b");
    switch (fletch_random_below(&user->random, 12)) {
    case 0:
        let_go(stream);
        break;
    case 1:
        fletch_http2_stream_reset(stream->stream, FLETCH_HTTP2_CANCEL);
        break;
    case 2:
        send(user, stream->stream, false);
        break;
    case 3:
        (void)fletch_http2_stream_send_trailers(stream->stream, &field, 1, NULL);
        break;
    case 4:
        fletch_http2_stream_place(stream->stream, NULL, 0);
        stream->left = 0;
        break;
    default:
        break;
    }
}

static void see(struct user *user, const struct fletch_http2_event *event)
{
    const uint32_t words[] = {event->kind, event->ends_stream, event->status, event->code,
                              (uint32_t)event->cause};
    if (event->stream == NULL) {
        add(&user->sum, words, sizeof words);
        user->code = event->kind == FLETCH_HTTP2_EVENT_CLOSED ? (int64_t)event->code : -1;
        return;
    }
    struct stream *stream = find(user, event->stream, event->is_new);
    if (stream == NULL) {
        fletch_http2_stream_release(event->stream);
        return;
    }
    for (size_t i = 0; i < event->field_count; i++) {
        add(&stream->sum, event->fields[i].name, event->fields[i].name_bytes + 1);
        add(&stream->sum, event->fields[i].value, event->fields[i].value_bytes + 1);
    }
    if (event->kind == FLETCH_HTTP2_EVENT_BYTES && event->bytes != 0)
        see_bytes(user, stream, event);
    else if (event->kind == FLETCH_HTTP2_EVENT_HEADERS && stream->place == NULL)
        put_place(user, stream);
    if (event->kind != FLETCH_HTTP2_EVENT_BYTES || event->ends_stream)
        add(&stream->sum, words + (event->kind == FLETCH_HTTP2_EVENT_BYTES), 4);
    answer(user, event);
    if (user->is_lively)
        live(user, stream);
    if (stream->stream != NULL && fletch_http2_stream_is_closed(stream->stream))
        let_go(stream);
}

/* ---- a connection ---- */

static void collect(struct user *user, bool is_told)
{
    struct iovec slices[16];
    size_t total = 0;
    size_t count;
    while ((count = fletch_http2_connection_output(user->connection, slices, 16)) != 0) {
        size_t bytes = 0;
        for (size_t i = 0; i < count; i++) {
            if (is_told)
                add(&user->sum, slices[i].iov_base, slices[i].iov_len);
            bytes += slices[i].iov_len;
        }
        fletch_http2_connection_sent(user->connection, bytes);
        total += bytes;
        if (total > OUTPUT_MOST)
            stop("more to say than there is reason for");
    }
}

static void feed(struct user *user, const uint8_t *bytes, size_t size, size_t chunk)
{
    struct iovec spans[FLETCH_HTTP2_ROOM_SPANS];
    while (size != 0) {
        size_t count = fletch_http2_connection_room(user->connection, spans);
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
        fletch_http2_connection_received(user->connection, put);
        struct fletch_http2_event event;
        while (fletch_http2_connection_next(user->connection, &event))
            see(user, &event);
        if (user->is_lively)
            collect(user, false);
    }
}

static void greet(struct user *user, bool is_server, bool has_met)
{
    static const char *const names[] = {":method", "POST", ":scheme", "http", ":path", "/"};
    struct fletch_http2_field fields[3];
    struct fletch_http2_stream *stream = NULL;
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0};
    for (size_t i = 0; i < 3; i++)
        fields[i] = fletch_http2_field_of(names[2 * i], names[2 * i + 1]);
    const struct fletch_http2_request request = {fields, 3, false};
    if (is_server && has_met)
        feed(user, (const uint8_t *)FLETCH_HTTP2_PREFACE, FLETCH_HTTP2_PREFACE_BYTES, 0);
    if (has_met)
        feed(user, settings, sizeof settings, 0);
    if (is_server)
        return;
    if (fletch_http2_connection_open(user->connection, &request, &stream, NULL) != FLETCH_OK)
        stop("cannot open a stream");
    (void)find(user, stream, true);
}

/* What came of it, as a number. */
static uint64_t run(const uint8_t *bytes, size_t size, size_t chunk, struct user *user)
{
    const struct fletch_http2_options options = {
        .struct_size = sizeof options,
        .is_server = (bytes[0] & 1) != 0,
        .allocator = &memory.allocator,
        .cache = memory.cache,
        .frame_bytes = 1 << 18,
        .stream_limit = 16,
    };
    user->random = fletch_random_from_seed(bytes[1]);
    user->place_bytes = (size_t)1 << (bytes[0] >> 3);
    user->code = -1;
    if (fletch_http2_connection_create(&options, &user->connection, NULL) != FLETCH_OK)
        stop("no connection");
    fletch_http2_connection_tick(user->connection, 1);
    greet(user, options.is_server, (bytes[0] & 2) != 0);
    feed(user, bytes + 2, size - 2, chunk);
    collect(user, true);
    for (size_t i = 0; i < STREAMS; i++) {
        add(&user->sum, &user->streams[i].id, sizeof user->streams[i].id);
        add(&user->sum, &user->streams[i].sum, sizeof user->streams[i].sum);
        free(user->streams[i].place);
    }
    fletch_http2_connection_destroy(user->connection);
    feed_memory_check(&memory);
    if (user->data_out != 0)
        stop("data did not come back");
    return user->sum;
}

int64_t http2_feed_try(const uint8_t *bytes, size_t size)
{
    if (size < 2)
        return -1;
    struct user whole = {.code = -1};
    uint64_t expected = run(bytes, size, 0, &whole);
    const size_t chunks[] = {1, 1 + (size_t)bytes[1], 1 + (size_t)bytes[1] * 257};
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        struct user cut = {.code = -1};
        if (run(bytes, size, chunks[i], &cut) != expected || cut.code != whole.code)
            stop("it depends on where bytes are cut");
    }
    struct user lively = {.is_lively = true};
    (void)run(bytes, size, chunks[1], &lively);
    return whole.code;
}
