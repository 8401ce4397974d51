#include "http2/http2_frame.h"

const char *fletch_http2_code_name(uint32_t code)
{
    static const char *const names[] = {
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    };
    return code < sizeof names / sizeof names[0] ? names[code] : "an unknown code";
}

struct fletch_http2_head fletch_http2_head_read(const uint8_t bytes[FLETCH_HTTP2_HEAD_BYTES])
{
    return (struct fletch_http2_head){
        .length = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2],
        .type = bytes[3],
        .flags = bytes[4],
        .stream_id = fletch_http2_read_u32(bytes + 5) & FLETCH_HTTP2_STREAM_ID_MOST,
    };
}

void fletch_http2_head_write(uint8_t bytes[FLETCH_HTTP2_HEAD_BYTES],
                             const struct fletch_http2_head *head)
{
    bytes[0] = (uint8_t)(head->length >> 16);
    bytes[1] = (uint8_t)(head->length >> 8);
    bytes[2] = (uint8_t)head->length;
    bytes[3] = head->type;
    bytes[4] = head->flags;
    fletch_http2_write_u32(bytes + 5, head->stream_id);
}

enum stream_need { ANY_STREAM, A_STREAM, NO_STREAM };

/* Lengths of 0 to `most` that are multiples of `unit`. */
struct shape {
    enum stream_need stream;
    uint32_t least;
    uint32_t most;
    uint32_t unit;
    bool is_stream; /* a wrong length is the stream's error alone */
};

static const struct shape shapes[FLETCH_HTTP2_TYPES] = {
    [FLETCH_HTTP2_DATA] = {A_STREAM, 0, UINT32_MAX, 1, false},
    [FLETCH_HTTP2_HEADERS] = {A_STREAM, 0, UINT32_MAX, 1, false},
    [FLETCH_HTTP2_PRIORITY] = {A_STREAM, 5, 5, 1, true},
    [FLETCH_HTTP2_RST_STREAM] = {A_STREAM, 4, 4, 1, false},
    [FLETCH_HTTP2_SETTINGS] = {NO_STREAM, 0, UINT32_MAX, 6, false},
    [FLETCH_HTTP2_PUSH_PROMISE] = {A_STREAM, 0, UINT32_MAX, 1, false},
    [FLETCH_HTTP2_PING] = {NO_STREAM, 8, 8, 1, false},
    [FLETCH_HTTP2_GOAWAY] = {NO_STREAM, 8, UINT32_MAX, 1, false},
    [FLETCH_HTTP2_WINDOW_UPDATE] = {ANY_STREAM, 4, 4, 1, false},
    [FLETCH_HTTP2_CONTINUATION] = {A_STREAM, 0, UINT32_MAX, 1, false},
};

static uint32_t least_length(const struct fletch_http2_head *head)
{
    uint32_t least = 0;
    if (head->type != FLETCH_HTTP2_DATA && head->type != FLETCH_HTTP2_HEADERS)
        return 0;
    if ((head->flags & FLETCH_HTTP2_PADDED) != 0)
        least += 1;
    if (head->type == FLETCH_HTTP2_HEADERS && (head->flags & FLETCH_HTTP2_HAS_PRIORITY) != 0)
        least += 5;
    return least;
}

struct fletch_http2_fault fletch_http2_head_check(const struct fletch_http2_head *head)
{
    const struct fletch_http2_fault fits = {.code = FLETCH_HTTP2_NO_ERROR};
    if (head->type >= FLETCH_HTTP2_TYPES)
        return fits;
    const struct shape *shape = &shapes[head->type];
    if (shape->stream == A_STREAM && head->stream_id == 0)
        return (struct fletch_http2_fault){FLETCH_HTTP2_PROTOCOL_ERROR, false,
                                           "a frame of a stream on stream 0"};
    if (shape->stream == NO_STREAM && head->stream_id != 0)
        return (struct fletch_http2_fault){FLETCH_HTTP2_PROTOCOL_ERROR, false,
                                           "a frame of the connection on a stream"};
    if (head->length < shape->least || head->length > shape->most ||
        head->length % shape->unit != 0 || head->length < least_length(head))
        return (struct fletch_http2_fault){FLETCH_HTTP2_FRAME_SIZE_ERROR, shape->is_stream,
                                           "a length that its type does not have"};
    if (head->type == FLETCH_HTTP2_SETTINGS && (head->flags & FLETCH_HTTP2_ACK) != 0 &&
        head->length != 0)
        return (struct fletch_http2_fault){FLETCH_HTTP2_FRAME_SIZE_ERROR, false,
                                           "an answer to SETTINGS that is not empty"};
    return fits;
}

#define YES FLETCH_HTTP2_ACCEPT
#define DROP FLETCH_HTTP2_DROP
#define STREAM FLETCH_HTTP2_STREAM_ERROR
#define CONN FLETCH_HTTP2_CONNECTION_ERROR

/* idle, open, half-closed local, half-closed remote, reset by us, closed */
static const uint8_t rules[FLETCH_HTTP2_TYPES][FLETCH_HTTP2_STATES] = {
    [FLETCH_HTTP2_DATA] = {CONN, YES, YES, STREAM, DROP, STREAM},
    [FLETCH_HTTP2_HEADERS] = {YES, YES, YES, STREAM, DROP, CONN},
    [FLETCH_HTTP2_PRIORITY] = {DROP, DROP, DROP, DROP, DROP, DROP},
    [FLETCH_HTTP2_RST_STREAM] = {CONN, YES, YES, YES, DROP, DROP},
    [FLETCH_HTTP2_SETTINGS] = {CONN, CONN, CONN, CONN, CONN, CONN},
    [FLETCH_HTTP2_PUSH_PROMISE] = {CONN, CONN, CONN, CONN, CONN, CONN},
    [FLETCH_HTTP2_PING] = {CONN, CONN, CONN, CONN, CONN, CONN},
    [FLETCH_HTTP2_GOAWAY] = {CONN, CONN, CONN, CONN, CONN, CONN},
    [FLETCH_HTTP2_WINDOW_UPDATE] = {CONN, YES, YES, YES, DROP, DROP},
    [FLETCH_HTTP2_CONTINUATION] = {CONN, CONN, CONN, CONN, CONN, CONN},
};

#undef YES
#undef DROP
#undef STREAM
#undef CONN

enum fletch_http2_rule fletch_http2_frame_rule(enum fletch_http2_type type,
                                               enum fletch_http2_state state)
{
    return (enum fletch_http2_rule)rules[type][state];
}
