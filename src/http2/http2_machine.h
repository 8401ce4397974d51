#ifndef FLETCH_HTTP2_HTTP2_MACHINE_H
#define FLETCH_HTTP2_HTTP2_MACHINE_H

/* The inside of a connection, which the files of this folder share. */

#include <string.h>

#include "base/assert.h"
#include "http2/byte_buffer.h"
#include "http2/field_rules.h"
#include "http2/hpack.h"
#include "http2/http2_connection.h"
#include "http2/http2_link.h"
#include "http2/token_bucket.h"

enum {
    FLETCH_HTTP2_TAIL_BYTES = 16384,
    FLETCH_HTTP2_PREDICT_FRAMES = 16,
    FLETCH_HTTP2_CONTROL_BYTES = 256, /* of a control frame's payload that are looked at */
    FLETCH_HTTP2_PIECES = 512,
    FLETCH_HTTP2_BUCKETS_LEAST = 16,
    FLETCH_HTTP2_REMEMBERED = 1024, /* streams of the peer */
    FLETCH_HTTP2_TEXT_BYTES = 160
};

struct fletch_http2_stream {
    struct fletch_http2_connection *connection;
    void *context;
    struct fletch_http2_stream *chain; /* of its bucket */
    struct fletch_http2_link all;
    struct fletch_http2_link ready; /* has something to send that its window lets pass */
    struct fletch_http2_link due;   /* has credit to give back */
    struct fletch_http2_link lost;  /* has an event RESET to be told */
    uint64_t batches;               /* that had been made when it came to be */
    uint32_t id;
    bool is_peers;
    bool is_released;
    bool is_closed;
    bool local_ended;
    bool remote_ended;
    bool was_reset;    /* by us, before the peer had ended */
    bool sent_headers; /* the last ones but trailers */
    bool got_headers;
    bool end_queued;
    bool has_trailers;
    uint32_t code; /* of the event RESET */
    enum fletch_http2_cause cause;
    const char *text;

    uint8_t *place;
    size_t place_bytes;
    int64_t receive_window; /* that the peer has left */
    int64_t credit;         /* to be given back */
    int64_t content_left;   /* below 0: not told */

    int64_t send_window;
    struct fletch_http2_data *first;
    struct fletch_http2_data **end;
    size_t queued_bytes;
    size_t queued_count;
    struct fletch_field_list trailers;
};

/* Bytes that have come, and where they lie. */
struct fletch_http2_chunk {
    uint8_t *data;
    size_t bytes;
};

struct fletch_http2_input {
    struct fletch_http2_chunk chunks[FLETCH_HTTP2_ROOM_SPANS];
    uint32_t first;
    uint32_t count;
    uint32_t plan_count; /* of the last room: in `chunks`, with the room's sizes */
    uint32_t heads_from; /* the first of them that is a predicted head; each second one is */
    uint32_t predicted_stream;
    uint32_t predicted_length;
    uint8_t heads[FLETCH_HTTP2_PREDICT_FRAMES][FLETCH_HTTP2_HEAD_BYTES];
    struct fletch_buffer
        *moved; /* for what came to the wrong place; NULL while no stream is open */
    uint8_t tail[FLETCH_HTTP2_TAIL_BYTES];
};

/* The last headers of a direction, or its last trailers, and what was read in them. */
struct fletch_http2_known {
    struct fletch_hpack_kept kept;
    struct fletch_http2_facts facts;
    bool is_checked; /* of what came: by the rules for fields */
};

enum fletch_http2_known_kind {
    FLETCH_HTTP2_KNOWN_HEADERS,
    FLETCH_HTTP2_KNOWN_TRAILERS,
    FLETCH_HTTP2_KNOWN_KINDS
};

enum fletch_http2_phase {
    FLETCH_HTTP2_PHASE_PREFACE,
    FLETCH_HTTP2_PHASE_HEAD,
    FLETCH_HTTP2_PHASE_LEAD, /* length of padding, priority */
    FLETCH_HTTP2_PHASE_CONTROL,
    FLETCH_HTTP2_PHASE_BLOCK,
    FLETCH_HTTP2_PHASE_BODY,
    FLETCH_HTTP2_PHASE_SKIP /* to the end of the frame */
};

struct fletch_http2_parser {
    enum fletch_http2_phase phase;
    uint32_t filled; /* bytes of preface, head, lead or control */
    uint32_t wanted; /* of lead or control */
    uint8_t head_bytes[FLETCH_HTTP2_HEAD_BYTES];
    struct fletch_http2_head head;
    uint32_t left;    /* bytes of the frame that have not come, padding included */
    uint32_t padding; /* at its end */
    struct fletch_http2_stream *stream; /* of DATA; NULL: dropped */
    bool is_copied;                     /* some of a frame of DATA */
    bool got_settings;
    bool is_in_block;
    bool block_ends_stream;
    bool is_block_dropped;
    bool is_block_new; /* it opens a stream */
    uint32_t block_stream;
    uint32_t block_frames;
    uint32_t last_data_stream; /* whose next frame is predicted, and the length of its last one */
    uint32_t last_data_length;
    struct fletch_byte_buffer block;
    struct fletch_http2_known known[FLETCH_HTTP2_KNOWN_KINDS];
    uint8_t control[FLETCH_HTTP2_CONTROL_BYTES];
};

/* A slice of a batch. */
struct fletch_http2_piece {
    const uint8_t *bytes; /* NULL: of the batch's frames, from `offset` */
    struct fletch_http2_data *data;
    uint32_t offset;
    uint32_t count;
    uint8_t head[FLETCH_HTTP2_HEAD_BYTES];
};

struct fletch_http2_batch {
    struct fletch_byte_buffer frames; /* all but DATA */
    uint32_t first;
    uint32_t count;    /* 0: there is no batch */
    size_t sent_bytes; /* of the first piece */
    size_t bytes;
    struct fletch_http2_piece pieces[FLETCH_HTTP2_PIECES];
};

enum fletch_http2_drain {
    FLETCH_HTTP2_NOT_DRAINING,
    FLETCH_HTTP2_DRAIN_SAID, /* GOAWAY with the largest id */
    FLETCH_HTTP2_DRAIN_FINAL /* GOAWAY with the last id */
};

struct fletch_http2_connection {
    struct fletch_http2_options options;
    struct fletch_allocator allocator;
    uint64_t now_ns;
    struct fletch_hpack hpack;
    struct fletch_http2_input input;
    struct fletch_http2_parser parser;
    struct fletch_http2_batch batch;
    struct fletch_byte_buffer pending; /* frames for the next batch */
    struct fletch_byte_buffer block;   /* of headers that are encoded */
    struct fletch_http2_known sent[FLETCH_HTTP2_KNOWN_KINDS];
    struct fletch_field_list spare_trailers; /* memory for those of the next stream */
    uint32_t answers;                        /* in `pending` */

    struct fletch_http2_stream **buckets;
    size_t bucket_count;
    uint64_t salt; /* of the buckets */
    size_t stream_count;
    uint32_t peer_count; /* streams of the peer that are there */
    uint32_t own_count;  /* streams of ours that have not closed */
    struct fletch_http2_link all;
    struct fletch_http2_link ready;
    struct fletch_http2_link due;
    struct fletch_http2_link lost;
    uint32_t last_peer_id;
    uint32_t next_own_id;
    uint64_t was_reset[FLETCH_HTTP2_REMEMBERED / 64];

    int64_t send_window;
    int64_t receive_window;
    int64_t credit;
    uint32_t peer_window; /* SETTINGS of the peer */
    uint32_t peer_frame_bytes;
    uint32_t peer_stream_limit;
    uint32_t peer_list_bytes; /* of headers; UINT32_MAX: it has not said */
    bool is_acknowledged;     /* our SETTINGS */

    bool is_failed;
    bool is_lost; /* nothing more can be sent */
    bool is_told; /* the event CLOSED */
    bool got_goaway;
    bool has_goaway; /* to be told */
    uint32_t code;
    uint32_t goaway_code;
    uint32_t goaway_id;
    enum fletch_http2_drain drain;
    char text[FLETCH_HTTP2_TEXT_BYTES];
    char goaway_text[FLETCH_HTTP2_TEXT_BYTES];

    struct fletch_token_bucket resets;
    struct fletch_token_bucket glitches;

    uint64_t began_ns;       /* this connection */
    uint64_t frame_began_ns; /* a frame or block that has not ended; 0: none */
    uint64_t write_began_ns; /* since when no byte of the batch was taken; 0: no batch */
    uint64_t idle_since_ns;
    uint64_t heard_ns;
    uint64_t ping_sent_ns; /* 0: no answer is missing */
    uint64_t drain_began_ns;
    struct fletch_http2_statistics statistics;
};

/* Ends the connection by an error of the peer's or our own, once: GOAWAY, then nothing. */
void fletch_http2_fail(struct fletch_http2_connection *connection, enum fletch_http2_code code,
                       const char *format, ...) __attribute__((format(printf, 3, 4)));
void fletch_http2_fail_no_memory(struct fletch_http2_connection *connection);
/* The same without GOAWAY: the peer would not understand it. What is pending is sent. */
void fletch_http2_stop(struct fletch_http2_connection *connection, enum fletch_http2_code code,
                       const char *text);
/* The same where nothing can be said any more. */
void fletch_http2_lose(struct fletch_http2_connection *connection, enum fletch_http2_code code,
                       const char *text);

/* A limit was passed. */
void fletch_http2_flood(struct fletch_http2_connection *connection, const char *what);

/* DATA of so many bytes is no waste of time: sent, it earns; for a stream that is gone, it costs
 * nothing. */
enum { FLETCH_HTTP2_USEFUL_BYTES = 1024 };

/* A frame that moved nothing on, or one that did. */
void fletch_http2_glitch(struct fletch_http2_connection *connection);
void fletch_http2_earn(struct fletch_http2_connection *connection);

/* A stream that the peer has reset, or made us reset or refuse: work for nothing, where the peer is
 * a client that can open as many as it likes. */
void fletch_http2_count_reset(struct fletch_http2_connection *connection);

/* Queues a frame without DATA; `payload` may be NULL where it is empty. */
void fletch_http2_queue_frame(struct fletch_http2_connection *connection,
                              const struct fletch_http2_head *head, const uint8_t *payload);
void fletch_http2_queue_reset(struct fletch_http2_connection *connection, uint32_t stream_id,
                              enum fletch_http2_code code);
void fletch_http2_queue_goaway(struct fletch_http2_connection *connection, uint32_t last_id,
                               enum fletch_http2_code code, const char *text);

/* Whether a stream of this id is one that the peer opens. */
static inline bool fletch_http2_is_peers(const struct fletch_http2_connection *connection,
                                         uint32_t id)
{
    return (id & 1) == (connection->options.is_server ? 1U : 0U);
}

#endif
