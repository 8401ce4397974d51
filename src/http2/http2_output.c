#include "http2/http2_output.h"

#include "http2/http2_headers.h"
#include "http2/http2_stream_table.h"

static struct fletch_http2_piece *add_piece(struct fletch_http2_batch *batch)
{
    struct fletch_http2_piece *piece = &batch->pieces[batch->count++];
    piece->bytes = NULL;
    piece->data = NULL;
    piece->offset = 0;
    piece->count = 0;
    return piece;
}

static bool has_room(const struct fletch_http2_connection *connection)
{
    const struct fletch_http2_batch *batch = &connection->batch;
    return batch->count + 2 <= FLETCH_HTTP2_PIECES &&
           batch->bytes < connection->options.send_batch_bytes && !connection->is_failed;
}

/* ---- frames without data ---- */

/* The frames from `offset` on, as a piece: the last one grows if they follow it. */
static void add_frames(struct fletch_http2_batch *batch, size_t offset)
{
    struct fletch_http2_piece *last = batch->count == 0 ? NULL : &batch->pieces[batch->count - 1];
    size_t bytes = batch->frames.bytes - offset;
    if (bytes == 0)
        return;
    if (last == NULL || last->bytes != NULL) {
        last = add_piece(batch);
        last->offset = (uint32_t)offset;
    }
    last->count += (uint32_t)bytes;
    batch->bytes += bytes;
}

static void add_update(struct fletch_http2_connection *connection, uint32_t id, int64_t credit)
{
    const struct fletch_http2_head head = {
        .length = 4, .type = FLETCH_HTTP2_WINDOW_UPDATE, .stream_id = id};
    uint8_t *place =
        fletch_byte_buffer_extend(&connection->batch.frames, FLETCH_HTTP2_HEAD_BYTES + 4);
    if (place == NULL) {
        fletch_http2_fail_no_memory(connection);
        return;
    }
    fletch_http2_head_write(place, &head);
    fletch_http2_write_u32(place + FLETCH_HTTP2_HEAD_BYTES, (uint32_t)credit);
}

static void add_updates(struct fletch_http2_connection *connection)
{
    if (connection->credit >= (int64_t)connection->options.connection_window_bytes / 4) {
        add_update(connection, 0, connection->credit);
        connection->receive_window += connection->credit;
        connection->credit = 0;
    }
    while (!connection->is_failed && !fletch_http2_link_is_alone(&connection->due)) {
        struct fletch_http2_stream *stream =
            FLETCH_HTTP2_OF_LINK(connection->due.next, struct fletch_http2_stream, due);
        fletch_http2_link_remove(&stream->due);
        add_update(connection, stream->id, stream->credit);
        stream->receive_window += stream->credit;
        stream->credit = 0;
    }
}

/* ---- data ---- */

static size_t frame_limit(const struct fletch_http2_connection *connection,
                          const struct fletch_http2_stream *stream)
{
    int64_t window = stream->send_window < connection->send_window ? stream->send_window
                                                                   : connection->send_window;
    size_t limit = window < 0 ? 0 : (size_t)window;
    limit = limit < connection->peer_frame_bytes ? limit : connection->peer_frame_bytes;
    size_t own = connection->options.send_frame_bytes;
    return limit < own ? limit : own;
}

/* Slices of `data` until there are `limit` bytes or no pieces left. Returns how many bytes. */
static size_t add_slices(struct fletch_http2_batch *batch, struct fletch_http2_data *data,
                         size_t limit)
{
    size_t added = 0;
    while (data->left_bytes != 0 && added < limit && batch->count < FLETCH_HTTP2_PIECES) {
        const struct iovec *slice = &data->slices[data->slice];
        size_t rest = slice->iov_len - data->slice_bytes;
        size_t bytes = rest < limit - added ? rest : limit - added;
        if (bytes != 0) {
            struct fletch_http2_piece *piece = add_piece(batch);
            piece->bytes = (const uint8_t *)slice->iov_base + data->slice_bytes;
            piece->count = (uint32_t)bytes;
            piece->data = data;
            data->pieces++;
        }
        added += bytes;
        data->slice_bytes += bytes;
        data->left_bytes -= bytes;
        if (bytes == rest) {
            data->slice++;
            data->slice_bytes = 0;
        }
    }
    return added;
}

/* All of the first data of a stream is in the batch, of whose frame `head` is the head. Returns
 * whether it ends the stream. */
static bool finish_first(struct fletch_http2_stream *stream, struct fletch_http2_piece *head)
{
    struct fletch_http2_data *data = stream->first;
    bool ends = data->ends_stream;
    stream->first = data->next;
    stream->queued_count--;
    if (stream->first == NULL)
        stream->end = &stream->first;
    data->is_batched = true;
    if (data->pieces == 0 && ends) {
        /* It has no bytes of its own: it is done with the head. */
        head->data = data;
        data->pieces = 1;
    } else if (data->pieces == 0) {
        data->done(data, true);
    }
    return ends;
}

enum added { NOTHING_FITS, HAS_MORE, HAS_ENDED };

/* One frame of DATA with as much of the stream's queue as fits. It may have been the end of it. */
static enum added add_data(struct fletch_http2_connection *connection,
                           struct fletch_http2_stream *stream)
{
    struct fletch_http2_batch *batch = &connection->batch;
    struct fletch_http2_piece *head = add_piece(batch);
    size_t limit = frame_limit(connection, stream);
    size_t length = 0;
    bool ends = false;
    while (!ends && stream->first != NULL) {
        length += add_slices(batch, stream->first, limit - length);
        if (stream->first->left_bytes != 0)
            break;
        ends = finish_first(stream, head);
    }
    if (length == 0 && !ends) {
        batch->count--;
        return NOTHING_FITS;
    }
    const struct fletch_http2_head frame = {
        .length = (uint32_t)length,
        .type = FLETCH_HTTP2_DATA,
        .flags = ends ? FLETCH_HTTP2_END_STREAM : 0,
        .stream_id = stream->id,
    };
    fletch_http2_head_write(head->head, &frame);
    head->bytes = head->head;
    head->count = FLETCH_HTTP2_HEAD_BYTES;
    batch->bytes += FLETCH_HTTP2_HEAD_BYTES + length;
    stream->send_window -= (int64_t)length;
    stream->queued_bytes -= length;
    connection->send_window -= (int64_t)length;
    /* A frame that the peer's window cuts to little is its doing. */
    if (length >= FLETCH_HTTP2_USEFUL_BYTES || stream->first == NULL)
        fletch_http2_earn(connection);
    if (!ends)
        return HAS_MORE;
    fletch_http2_stream_end_local(stream);
    return HAS_ENDED;
}

static void add_trailers(struct fletch_http2_connection *connection,
                         struct fletch_http2_stream *stream)
{
    struct fletch_http2_batch *batch = &connection->batch;
    size_t offset = batch->frames.bytes;
    const struct fletch_http2_block block = {
        .fields = fletch_field_list_fields(&stream->trailers),
        .count = stream->trailers.count,
        .stream_id = stream->id,
        .part = FLETCH_HTTP2_TRAILERS,
        .ends_stream = true,
    };
    if (!fletch_http2_queue_headers(connection, &block, &batch->frames))
        return;
    add_frames(batch, offset);
    fletch_http2_stream_end_local(stream);
}

/* A frame of each stream in turns, while there is one that may send and the batch has room. */
static void add_streams(struct fletch_http2_connection *connection)
{
    struct fletch_http2_link blocked;
    fletch_http2_link_init(&blocked);
    while (has_room(connection) && !fletch_http2_link_is_alone(&connection->ready)) {
        struct fletch_http2_stream *stream =
            FLETCH_HTTP2_OF_LINK(connection->ready.next, struct fletch_http2_stream, ready);
        fletch_http2_link_remove(&stream->ready);
        if (stream->first == NULL) {
            if (stream->has_trailers)
                add_trailers(connection, stream);
            continue;
        }
        enum added added = add_data(connection, stream);
        bool is_blocked = added == NOTHING_FITS && stream->first != NULL && stream->send_window > 0;
        if (is_blocked)
            fletch_http2_link_append(&blocked, &stream->ready);
        else if (added != HAS_ENDED)
            fletch_http2_stream_make_ready(stream);
    }
    /* Those that wait for the connection's window keep their turn. */
    while (!fletch_http2_link_is_alone(&blocked)) {
        struct fletch_http2_link *link = blocked.next;
        fletch_http2_link_remove(link);
        fletch_http2_link_append(&connection->ready, link);
    }
}

/* ---- batches ---- */

static void make_batch(struct fletch_http2_connection *connection)
{
    struct fletch_http2_batch *batch = &connection->batch;
    struct fletch_byte_buffer spare = batch->frames;
    batch->frames = connection->pending;
    connection->pending = spare;
    connection->pending.bytes = 0;
    connection->answers = 0;
    batch->first = 0;
    batch->sent_bytes = 0;
    batch->bytes = 0;
    if (!connection->is_failed)
        add_updates(connection);
    add_frames(batch, 0);
    add_streams(connection);
    if (batch->count == 0)
        return;
    connection->write_began_ns = connection->now_ns;
    connection->statistics.batches++;
}

size_t fletch_http2_connection_output(struct fletch_http2_connection *connection,
                                      struct iovec *out_slices, size_t capacity)
{
    struct fletch_http2_batch *batch = &connection->batch;
    size_t count = 0;
    if (connection->is_lost)
        return 0;
    if (batch->count == 0)
        make_batch(connection);
    /* Making it may have failed the connection, and what tells the peer so waits now. */
    if (batch->count == 0 && connection->pending.bytes != 0)
        make_batch(connection);
    for (uint32_t i = batch->first; i < batch->count && count < capacity; i++) {
        const struct fletch_http2_piece *piece = &batch->pieces[i];
        const uint8_t *bytes =
            piece->bytes != NULL ? piece->bytes : batch->frames.data + piece->offset;
        size_t sent = i == batch->first ? batch->sent_bytes : 0;
        out_slices[count++] =
            (struct iovec){(void *)(uintptr_t)(bytes + sent), piece->count - sent};
    }
    return count;
}

bool fletch_http2_connection_has_more(const struct fletch_http2_connection *connection)
{
    return connection->batch.count != 0 && !connection->is_failed && connection->send_window > 0 &&
           !fletch_http2_link_is_alone(&connection->ready);
}

/* One piece less of its data. */
static void end_piece(struct fletch_http2_piece *piece)
{
    struct fletch_http2_data *data = piece->data;
    piece->data = NULL;
    if (data == NULL || --data->pieces != 0)
        return;
    if (data->is_batched || data->is_dropped)
        data->done(data, data->is_batched && !data->is_dropped);
}

void fletch_http2_connection_sent(struct fletch_http2_connection *connection, size_t bytes)
{
    struct fletch_http2_batch *batch = &connection->batch;
    if (bytes != 0)
        connection->write_began_ns = connection->now_ns;
    while (bytes != 0) {
        FLETCH_ASSERT(batch->first < batch->count);
        struct fletch_http2_piece *piece = &batch->pieces[batch->first];
        size_t rest = piece->count - batch->sent_bytes;
        if (bytes < rest) {
            batch->sent_bytes += bytes;
            return;
        }
        bytes -= rest;
        batch->sent_bytes = 0;
        batch->first++;
        end_piece(piece);
    }
    if (batch->first == batch->count) {
        batch->first = 0;
        batch->count = 0;
        connection->write_began_ns = 0;
    }
}

void fletch_http2_batch_drop(struct fletch_http2_connection *connection)
{
    struct fletch_http2_batch *batch = &connection->batch;
    for (uint32_t i = batch->first; i < batch->count; i++) {
        if (batch->pieces[i].data != NULL)
            batch->pieces[i].data->is_dropped = true;
        end_piece(&batch->pieces[i]);
    }
    batch->first = 0;
    batch->count = 0;
    connection->write_began_ns = 0;
}
