#include "http2/http2_stream_table.h"

/* The peer chooses its ids, and must not choose buckets: `salt` is what it does not know. */
static size_t bucket_of(const struct fletch_http2_connection *connection, uint32_t id)
{
    uint64_t mixed = id * connection->salt;
    mixed = (mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return (size_t)(mixed >> 32) & (connection->bucket_count - 1);
}

bool fletch_http2_streams_init(struct fletch_http2_connection *connection)
{
    fletch_http2_link_init(&connection->all);
    fletch_http2_link_init(&connection->ready);
    fletch_http2_link_init(&connection->due);
    fletch_http2_link_init(&connection->lost);
    size_t bytes = FLETCH_HTTP2_BUCKETS_LEAST * sizeof *connection->buckets;
    connection->buckets =
        fletch_allocate(&connection->allocator, bytes, _Alignof(struct fletch_http2_stream *));
    if (connection->buckets == NULL)
        return false;
    memset(connection->buckets, 0, bytes);
    connection->bucket_count = FLETCH_HTTP2_BUCKETS_LEAST;
    /* Where the system put them is as good as random; odd, so that no id is lost. */
    connection->salt =
        (((uint64_t)(uintptr_t)connection->buckets >> 4) ^ (uint64_t)(uintptr_t)connection << 28) *
            UINT64_C(0x9e3779b97f4a7c15) |
        1;
    return true;
}

struct fletch_http2_stream *fletch_http2_stream_find(struct fletch_http2_connection *connection,
                                                     uint32_t id)
{
    struct fletch_http2_stream *stream = connection->buckets[bucket_of(connection, id)];
    while (stream != NULL && stream->id != id)
        stream = stream->chain;
    return stream;
}

/* Twice as many buckets; without memory the chains get longer instead. */
static void grow(struct fletch_http2_connection *connection)
{
    size_t before = connection->bucket_count;
    size_t bytes = 2 * before * sizeof *connection->buckets;
    struct fletch_http2_stream **wider =
        fletch_allocate(&connection->allocator, bytes, _Alignof(struct fletch_http2_stream *));
    if (wider == NULL)
        return;
    memset(wider, 0, bytes);
    fletch_release(&connection->allocator, connection->buckets, bytes / 2,
                   _Alignof(struct fletch_http2_stream *));
    connection->buckets = wider;
    connection->bucket_count = 2 * before;
    struct fletch_http2_link *link = connection->all.next;
    for (; link != &connection->all; link = link->next) {
        struct fletch_http2_stream *stream =
            FLETCH_HTTP2_OF_LINK(link, struct fletch_http2_stream, all);
        struct fletch_http2_stream **bucket = &wider[bucket_of(connection, stream->id)];
        stream->chain = *bucket;
        *bucket = stream;
    }
}

struct fletch_http2_stream *fletch_http2_stream_add(struct fletch_http2_connection *connection,
                                                    uint32_t id)
{
    struct fletch_http2_stream *stream = fletch_allocate(&connection->allocator, sizeof *stream,
                                                         _Alignof(struct fletch_http2_stream));
    if (stream == NULL)
        return NULL;
    *stream = (struct fletch_http2_stream){
        .connection = connection,
        .id = id,
        .is_peers = fletch_http2_is_peers(connection, id),
        .receive_window = connection->options.stream_window_bytes,
        .send_window = connection->peer_window,
        .content_left = -1,
        .batches = connection->statistics.batches,
    };
    stream->end = &stream->first;
    fletch_field_list_init(&stream->trailers, &connection->allocator);
    fletch_http2_link_init(&stream->all);
    fletch_http2_link_init(&stream->ready);
    fletch_http2_link_init(&stream->due);
    fletch_http2_link_init(&stream->lost);
    if (connection->stream_count >= connection->bucket_count)
        grow(connection);
    fletch_http2_link_append(&connection->all, &stream->all);
    struct fletch_http2_stream **bucket = &connection->buckets[bucket_of(connection, id)];
    stream->chain = *bucket;
    *bucket = stream;
    connection->stream_count++;
    connection->peer_count += stream->is_peers;
    connection->own_count += !stream->is_peers;
    connection->statistics.streams_opened++;
    return stream;
}

static uint64_t remembered_bit(uint32_t id, size_t *out_word)
{
    uint32_t place = (id >> 1) % FLETCH_HTTP2_REMEMBERED;
    *out_word = place / 64;
    return UINT64_C(1) << (place % 64);
}

static bool is_remembered(const struct fletch_http2_connection *connection, uint32_t id)
{
    return (connection->last_peer_id - id) / 2 < FLETCH_HTTP2_REMEMBERED;
}

void fletch_http2_streams_advance(struct fletch_http2_connection *connection, uint32_t id)
{
    uint32_t skipped = (id - connection->last_peer_id + 1) / 2;
    for (uint32_t i = 0; i < skipped && i < FLETCH_HTTP2_REMEMBERED; i++) {
        size_t word;
        uint64_t bit = remembered_bit(id - 2 * i, &word);
        connection->was_reset[word] &= ~bit;
    }
    connection->last_peer_id = id;
}

void fletch_http2_streams_remember(struct fletch_http2_connection *connection, uint32_t id)
{
    size_t word;
    uint64_t bit = remembered_bit(id, &word);
    if (is_remembered(connection, id))
        connection->was_reset[word] |= bit;
}

void fletch_http2_stream_forget(struct fletch_http2_stream *stream)
{
    struct fletch_http2_connection *connection = stream->connection;
    struct fletch_http2_stream **place = &connection->buckets[bucket_of(connection, stream->id)];
    while (*place != stream)
        place = &(*place)->chain;
    *place = stream->chain;
    fletch_http2_link_remove(&stream->all);
    fletch_http2_link_remove(&stream->lost);
    connection->stream_count--;
    connection->peer_count -= stream->is_peers;
    if (stream->is_peers && stream->was_reset)
        fletch_http2_streams_remember(connection, stream->id);
    if (connection->spare_trailers.text.data == NULL) {
        connection->spare_trailers = stream->trailers;
        fletch_field_list_clear(&connection->spare_trailers);
    } else {
        fletch_field_list_deinit(&stream->trailers);
    }
    fletch_release(&connection->allocator, stream, sizeof *stream,
                   _Alignof(struct fletch_http2_stream));
    if (connection->stream_count != 0)
        return;
    connection->idle_since_ns = connection->now_ns;
    if (connection->input.first == connection->input.count) {
        fletch_buffer_release(connection->options.cache, connection->input.moved);
        connection->input.moved = NULL;
    }
}

enum fletch_http2_state fletch_http2_state_of(const struct fletch_http2_connection *connection,
                                              const struct fletch_http2_stream *stream, uint32_t id)
{
    if (stream != NULL && stream->is_closed)
        return stream->was_reset ? FLETCH_HTTP2_RESET : FLETCH_HTTP2_CLOSED;
    if (stream != NULL && stream->remote_ended)
        return FLETCH_HTTP2_HALF_CLOSED_REMOTE;
    if (stream != NULL)
        return stream->local_ended ? FLETCH_HTTP2_HALF_CLOSED_LOCAL : FLETCH_HTTP2_OPEN;
    if (!fletch_http2_is_peers(connection, id))
        /* Ours: whether the peer had ended it is not kept, so what comes is dropped. */
        return id < connection->next_own_id ? FLETCH_HTTP2_RESET : FLETCH_HTTP2_IDLE;
    if (id > connection->last_peer_id)
        return FLETCH_HTTP2_IDLE;
    size_t word;
    uint64_t bit = remembered_bit(id, &word);
    bool is_known = is_remembered(connection, id) && (connection->was_reset[word] & bit) == 0;
    return is_known ? FLETCH_HTTP2_CLOSED : FLETCH_HTTP2_RESET;
}

static void close_stream(struct fletch_http2_stream *stream)
{
    stream->is_closed = true;
    stream->place = NULL;
    stream->place_bytes = 0;
    if (stream->connection->parser.stream == stream)
        stream->connection->parser.stream = NULL; /* the rest of a frame is dropped */
    stream->connection->own_count -= !stream->is_peers;
    fletch_http2_link_remove(&stream->ready);
    fletch_http2_link_remove(&stream->due);
    if (stream->is_released)
        fletch_http2_stream_forget(stream);
}

void fletch_http2_stream_stop_peer(struct fletch_http2_stream *stream)
{
    struct fletch_http2_connection *connection = stream->connection;
    /* A server has said all there is to say (8.1); a client gives up. */
    enum fletch_http2_code code =
        connection->options.is_server ? FLETCH_HTTP2_NO_ERROR : FLETCH_HTTP2_CANCEL;
    const struct fletch_http2_reset reset = {code, FLETCH_HTTP2_BY_US, ""};
    uint32_t id = stream->id;
    fletch_http2_stream_drop(stream, &reset);
    fletch_http2_queue_reset(connection, id, code);
}

void fletch_http2_stream_end_local(struct fletch_http2_stream *stream)
{
    stream->local_ended = true;
    fletch_http2_link_remove(&stream->ready);
    if (stream->remote_ended)
        close_stream(stream);
    else if (stream->is_released)
        fletch_http2_stream_stop_peer(stream);
}

void fletch_http2_stream_end_remote(struct fletch_http2_stream *stream)
{
    stream->remote_ended = true;
    fletch_http2_link_remove(&stream->due);
    if (stream->local_ended)
        close_stream(stream);
}

/* Of what is in a batch already the pieces are sent: it is done after them. */
static void drop_queue(struct fletch_http2_stream *stream)
{
    struct fletch_http2_data *data = stream->first;
    stream->first = NULL;
    stream->end = &stream->first;
    stream->queued_bytes = 0;
    stream->queued_count = 0;
    while (data != NULL) {
        struct fletch_http2_data *next = data->next;
        data->is_dropped = true;
        if (data->pieces == 0)
            data->done(data, false);
        data = next;
    }
}

void fletch_http2_stream_drop(struct fletch_http2_stream *stream,
                              const struct fletch_http2_reset *reset)
{
    if (stream->is_closed)
        return;
    struct fletch_http2_connection *connection = stream->connection;
    stream->code = reset->code;
    stream->cause = reset->cause;
    stream->text = reset->text;
    stream->was_reset = reset->cause == FLETCH_HTTP2_BY_US && !stream->remote_ended;
    stream->end_queued = true;
    if (!stream->is_released)
        fletch_http2_link_append(&connection->lost, &stream->lost);
    /* What is done may be sent again, on this stream too: it is closed by then. */
    stream->is_closed = true;
    drop_queue(stream);
    close_stream(stream);
}

void fletch_http2_stream_fail(struct fletch_http2_stream *stream, enum fletch_http2_code code,
                              const char *text)
{
    struct fletch_http2_connection *connection = stream->connection;
    const struct fletch_http2_reset reset = {code, FLETCH_HTTP2_BY_US, text};
    uint32_t id = stream->id;
    if (stream->is_closed)
        return;
    fletch_http2_stream_drop(stream, &reset); /* which may be its end */
    fletch_http2_queue_reset(connection, id, code);
    fletch_http2_count_reset(connection);
}

void fletch_http2_stream_make_ready(struct fletch_http2_stream *stream)
{
    bool has_bytes = stream->first != NULL && stream->first->left_bytes != 0;
    bool has_end = stream->first != NULL ? stream->first->left_bytes == 0 : stream->has_trailers;
    if (!stream->is_closed && (has_end || (has_bytes && stream->send_window > 0)))
        fletch_http2_link_append(&stream->connection->ready, &stream->ready);
}

void fletch_http2_streams_deinit(struct fletch_http2_connection *connection)
{
    const struct fletch_http2_reset reset = {FLETCH_HTTP2_NO_ERROR, FLETCH_HTTP2_BY_LOSS, ""};
    while (!fletch_http2_link_is_alone(&connection->all)) {
        struct fletch_http2_stream *stream =
            FLETCH_HTTP2_OF_LINK(connection->all.next, struct fletch_http2_stream, all);
        stream->is_released = true;
        if (stream->is_closed)
            fletch_http2_stream_forget(stream);
        else
            fletch_http2_stream_drop(stream, &reset);
    }
    fletch_release(&connection->allocator, connection->buckets,
                   connection->bucket_count * sizeof *connection->buckets,
                   _Alignof(struct fletch_http2_stream *));
}
