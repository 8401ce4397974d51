#ifndef FLETCH_HTTP2_HTTP2_FRAME_H
#define FLETCH_HTTP2_HTTP2_FRAME_H

/* Frames as they lie on the wire (RFC 9113, 4 and 6), and what may come in which state of a
 * stream. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLETCH_HTTP2_HEAD_BYTES 9
#define FLETCH_HTTP2_FRAME_BYTES_LEAST 16384   /* that everybody takes */
#define FLETCH_HTTP2_FRAME_BYTES_MOST 16777215 /* that SETTINGS can ask for */
#define FLETCH_HTTP2_WINDOW_DEFAULT 65535      /* until SETTINGS say otherwise */
#define FLETCH_HTTP2_WINDOW_MOST INT64_C(0x7fffffff)
#define FLETCH_HTTP2_STREAM_ID_MOST 0x7fffffffU

enum fletch_http2_type {
    FLETCH_HTTP2_DATA = 0,
    FLETCH_HTTP2_HEADERS = 1,
    FLETCH_HTTP2_PRIORITY = 2,
    FLETCH_HTTP2_RST_STREAM = 3,
    FLETCH_HTTP2_SETTINGS = 4,
    FLETCH_HTTP2_PUSH_PROMISE = 5,
    FLETCH_HTTP2_PING = 6,
    FLETCH_HTTP2_GOAWAY = 7,
    FLETCH_HTTP2_WINDOW_UPDATE = 8,
    FLETCH_HTTP2_CONTINUATION = 9,
    FLETCH_HTTP2_TYPES
};

enum fletch_http2_flag {
    FLETCH_HTTP2_END_STREAM = 0x1,
    FLETCH_HTTP2_ACK = 0x1,
    FLETCH_HTTP2_END_HEADERS = 0x4,
    FLETCH_HTTP2_PADDED = 0x8,
    FLETCH_HTTP2_HAS_PRIORITY = 0x20
};

enum fletch_http2_setting {
    FLETCH_HTTP2_HEADER_TABLE_SIZE = 1,
    FLETCH_HTTP2_ENABLE_PUSH = 2,
    FLETCH_HTTP2_MAX_CONCURRENT_STREAMS = 3,
    FLETCH_HTTP2_INITIAL_WINDOW_SIZE = 4,
    FLETCH_HTTP2_MAX_FRAME_SIZE = 5,
    FLETCH_HTTP2_MAX_HEADER_LIST_SIZE = 6
};

enum fletch_http2_code {
    FLETCH_HTTP2_NO_ERROR = 0,
    FLETCH_HTTP2_PROTOCOL_ERROR = 1,
    FLETCH_HTTP2_INTERNAL_ERROR = 2,
    FLETCH_HTTP2_FLOW_CONTROL_ERROR = 3,
    FLETCH_HTTP2_SETTINGS_TIMEOUT = 4,
    FLETCH_HTTP2_STREAM_CLOSED = 5,
    FLETCH_HTTP2_FRAME_SIZE_ERROR = 6,
    FLETCH_HTTP2_REFUSED_STREAM = 7,
    FLETCH_HTTP2_CANCEL = 8,
    FLETCH_HTTP2_COMPRESSION_ERROR = 9,
    FLETCH_HTTP2_CONNECT_ERROR = 10,
    FLETCH_HTTP2_ENHANCE_YOUR_CALM = 11,
    FLETCH_HTTP2_INADEQUATE_SECURITY = 12,
    FLETCH_HTTP2_HTTP_1_1_REQUIRED = 13
};

/* As RFC 9113 spells it; one that it does not know: "an unknown code". */
const char *fletch_http2_code_name(uint32_t code);

struct fletch_http2_head {
    uint32_t length;
    uint8_t type;
    uint8_t flags;
    uint32_t stream_id;
};

static inline uint32_t fletch_http2_read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline void fletch_http2_write_u32(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

/* The reserved bit is ignored. */
struct fletch_http2_head fletch_http2_head_read(const uint8_t bytes[FLETCH_HTTP2_HEAD_BYTES]);
void fletch_http2_head_write(uint8_t bytes[FLETCH_HTTP2_HEAD_BYTES],
                             const struct fletch_http2_head *head);

/* What is wrong. */
struct fletch_http2_fault {
    enum fletch_http2_code code; /* NO_ERROR: nothing */
    bool is_stream;              /* of the stream alone */
    const char *text;
};

/* Whether length and stream of a frame of any type fit (RFC 9113, 6.1 to 6.10), on a stream or on
 * the connection; types that are not known fit. Not its state, nor the largest length. */
struct fletch_http2_fault fletch_http2_head_check(const struct fletch_http2_head *head);

/* RFC 9113, 5.1, as the receiver of a frame sees it. */
enum fletch_http2_state {
    FLETCH_HTTP2_IDLE,
    FLETCH_HTTP2_OPEN,
    FLETCH_HTTP2_HALF_CLOSED_LOCAL,
    FLETCH_HTTP2_HALF_CLOSED_REMOTE,
    FLETCH_HTTP2_RESET, /* closed by us while the peer had not ended: frames may be under way */
    FLETCH_HTTP2_CLOSED,
    FLETCH_HTTP2_STATES
};

enum fletch_http2_rule {
    FLETCH_HTTP2_ACCEPT,
    FLETCH_HTTP2_DROP,
    FLETCH_HTTP2_STREAM_ERROR,    /* STREAM_CLOSED */
    FLETCH_HTTP2_CONNECTION_ERROR /* PROTOCOL_ERROR, of closed streams STREAM_CLOSED */
};

/* For frames with a stream: DATA to PUSH_PROMISE but SETTINGS, and WINDOW_UPDATE. HEADERS on an
 * idle stream are accepted: only a server may do so. */
enum fletch_http2_rule fletch_http2_frame_rule(enum fletch_http2_type type,
                                               enum fletch_http2_state state);

#endif
