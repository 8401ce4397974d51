#include "http2/http2_input.h"

#include <fletching/buffer.h>

#include "http2/http2_stream_table.h"

/* Below this a wrong guess costs more than a right one gains. */
enum { PREDICTED_LEAST = 1024, HEADS_NONE = UINT8_MAX };

_Static_assert(FLETCH_HTTP2_ROOM_SPANS >= 2 + 2 * FLETCH_HTTP2_PREDICT_FRAMES,
               "a frame's rest, the predicted ones, the tail");

static void add_span(struct fletch_http2_input *input, void *data, size_t bytes)
{
    input->chunks[input->plan_count++] = (struct fletch_http2_chunk){.data = data, .bytes = bytes};
}

/* What came to the wrong place has to go somewhere: kept from the first prediction to the last
 * stream's end, so that it cannot be missing. */
static bool can_predict(struct fletch_http2_connection *connection)
{
    struct fletch_http2_input *input = &connection->input;
    const size_t bytes = FLETCH_HTTP2_PREDICT_BYTES + sizeof input->heads + sizeof input->tail;
    if (connection->parser.last_data_length < PREDICTED_LEAST)
        return false;
    return input->moved != NULL ||
           fletch_buffer_allocate(connection->options.cache, bytes, connection->options.account,
                                  &input->moved, NULL) == FLETCH_OK;
}

/* Frames of `length` bytes each for the rest of a place, after `head_filled` bytes of the first
 * head. Returns whether the tail follows: not where a slice was cut, as what comes after it would
 * lie there. */
static bool predict(struct fletch_http2_connection *connection, struct iovec place,
                    uint32_t head_filled)
{
    struct fletch_http2_input *input = &connection->input;
    size_t left = FLETCH_HTTP2_PREDICT_BYTES;
    for (uint32_t i = 0; i < FLETCH_HTTP2_PREDICT_FRAMES && place.iov_len != 0; i++) {
        size_t slice =
            place.iov_len < input->predicted_length ? place.iov_len : input->predicted_length;
        bool is_cut = slice > left;
        slice = is_cut ? left : slice;
        add_span(input, input->heads[i] + head_filled, FLETCH_HTTP2_HEAD_BYTES - head_filled);
        add_span(input, place.iov_base, slice);
        head_filled = 0;
        place.iov_base = (uint8_t *)place.iov_base + slice;
        place.iov_len -= slice;
        left -= slice;
        if (is_cut || left == 0)
            return false;
    }
    return true;
}

/* The stream whose place is being filled, between two frames or within one. */
static struct fletch_http2_stream *filling(struct fletch_http2_connection *connection)
{
    struct fletch_http2_parser *parser = &connection->parser;
    struct fletch_http2_stream *stream = NULL;
    if (parser->phase == FLETCH_HTTP2_PHASE_BODY)
        stream = parser->stream;
    else if (parser->phase == FLETCH_HTTP2_PHASE_HEAD && parser->last_data_stream != 0)
        stream = fletch_http2_stream_find(connection, parser->last_data_stream);
    return stream != NULL && stream->place_bytes != 0 ? stream : NULL;
}

static bool plan(struct fletch_http2_connection *connection, struct fletch_http2_stream *stream)
{
    struct fletch_http2_input *input = &connection->input;
    struct fletch_http2_parser *parser = &connection->parser;
    struct iovec place = {stream->place, stream->place_bytes};
    uint32_t head_filled = 0;
    if (parser->phase == FLETCH_HTTP2_PHASE_BODY) {
        uint32_t left = parser->left - parser->padding;
        size_t slice = left < place.iov_len ? left : place.iov_len;
        bool is_last = parser->padding != 0 || slice == place.iov_len ||
                       (parser->head.flags & FLETCH_HTTP2_END_STREAM) != 0;
        add_span(input, place.iov_base, slice);
        if (is_last)
            return true;
        parser->last_data_length = parser->head.length;
        place.iov_base = stream->place + slice;
        place.iov_len -= slice;
    } else {
        head_filled = parser->filled;
    }
    if (place.iov_len < PREDICTED_LEAST || !can_predict(connection))
        return true;
    input->heads_from = input->plan_count;
    input->predicted_stream = stream->id;
    input->predicted_length = parser->last_data_length;
    memcpy(input->heads[0], parser->head_bytes, head_filled);
    return predict(connection, place, head_filled);
}

/* A client that asks and does not read is heard again when it has read. A server is always heard:
 * it would wait for us as we for it, and what we have to say to it is our user's doing. */
static bool is_full(const struct fletch_http2_connection *connection)
{
    return connection->options.is_server &&
           connection->pending.bytes >= connection->options.unsent_bytes;
}

size_t fletch_http2_connection_room(struct fletch_http2_connection *connection,
                                    struct iovec *out_spans)
{
    struct fletch_http2_input *input = &connection->input;
    uint8_t *unread;
    FLETCH_ASSERT(fletch_http2_input_peek(input, &unread) == 0);
    (void)unread;
    fletch_http2_input_drop(input);
    input->plan_count = 0;
    input->heads_from = HEADS_NONE;
    if (connection->is_failed || is_full(connection))
        return 0;
    struct fletch_http2_stream *stream = filling(connection);
    if (stream == NULL || plan(connection, stream))
        add_span(input, input->tail, sizeof input->tail);
    for (uint32_t i = 0; i < input->plan_count; i++)
        out_spans[i] = (struct iovec){input->chunks[i].data, input->chunks[i].bytes};
    return input->plan_count;
}

/* Whether the frame that came is the one that was predicted for the slice `index`. */
static bool is_as_predicted(const struct fletch_http2_input *input, const uint8_t *bytes,
                            uint32_t index, size_t slice)
{
    const struct fletch_http2_head head = fletch_http2_head_read(bytes);
    bool is_last = index + 2 >= input->plan_count;
    return head.type == FLETCH_HTTP2_DATA && (head.flags & FLETCH_HTTP2_PADDED) == 0 &&
           head.stream_id == input->predicted_stream &&
           (head.length == slice || (is_last && head.length > slice));
}

/* All chunks from `index` on become one, elsewhere. */
static void move(struct fletch_http2_connection *connection, uint32_t index)
{
    struct fletch_http2_input *input = &connection->input;
    uint8_t *moved = fletch_buffer_mutable_data(input->moved);
    size_t bytes = 0;
    for (uint32_t i = index; i < input->count; i++) {
        memcpy(moved + bytes, input->chunks[i].data, input->chunks[i].bytes);
        bytes += input->chunks[i].bytes;
    }
    input->chunks[index] = (struct fletch_http2_chunk){.data = moved, .bytes = bytes};
    input->count = index + 1;
    connection->statistics.mispredictions++;
}

static void check_predictions(struct fletch_http2_connection *connection, const size_t *planned)
{
    struct fletch_http2_input *input = &connection->input;
    uint32_t frame = 0;
    for (uint32_t i = input->heads_from; i + 1 < input->count; i += 2, frame++) {
        bool is_pair = frame < FLETCH_HTTP2_PREDICT_FRAMES &&
                       input->chunks[i].data >= input->heads[frame] &&
                       input->chunks[i].data < input->heads[frame] + FLETCH_HTTP2_HEAD_BYTES;
        if (!is_pair)
            return;
        if (is_as_predicted(input, input->heads[frame], i + 1, planned[i + 1]))
            continue;
        move(connection, i + 1);
        return;
    }
}

void fletch_http2_connection_received(struct fletch_http2_connection *connection, size_t bytes)
{
    struct fletch_http2_input *input = &connection->input;
    size_t planned[FLETCH_HTTP2_ROOM_SPANS];
    connection->heard_ns = connection->now_ns;
    for (uint32_t i = 0; i < input->plan_count; i++) {
        planned[i] = input->chunks[i].bytes;
        if (bytes == 0)
            continue;
        input->chunks[i].bytes = bytes < planned[i] ? bytes : planned[i];
        bytes -= input->chunks[i].bytes;
        input->count = i + 1;
    }
    FLETCH_ASSERT(bytes == 0);
    if (input->heads_from != HEADS_NONE)
        check_predictions(connection, planned);
}

size_t fletch_http2_connection_certain_bytes(const struct fletch_http2_connection *connection)
{
    const struct fletch_http2_parser *parser = &connection->parser;
    if (connection->is_failed || parser->phase == FLETCH_HTTP2_PHASE_PREFACE ||
        parser->phase == FLETCH_HTTP2_PHASE_HEAD)
        return 1;
    return parser->left > 1 ? parser->left : 1;
}
