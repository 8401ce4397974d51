#ifndef FLETCH_TESTS_SUPPORT_HTTP2_USER_H
#define FLETCH_TESTS_SUPPORT_HTTP2_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "http2/http2_connection.h"
#include "support/failing_allocator.h"
#include "support/pools.h"

/* A connection of HTTP/2 with a user that writes down what happens, frames made by hand to feed it
 * with, and frames that it sends, to be looked at. Bytes arrive in chunks as small as a test likes,
 * through the places that the connection asks for. */

enum { SEEN_STREAMS_MOST = 2048, WIRE_BYTES_MOST = 1 << 22, SEEN_TEXT_BYTES = 1024 };

/* Bytes of a connection, one way. */
struct wire {
    uint8_t *bytes;
    size_t count;
};

struct seen_stream {
    struct fletch_http2_stream *stream; /* NULL: released */
    uint32_t id;
    uint32_t headers;
    uint32_t status;
    char fields[SEEN_TEXT_BYTES]; /* "name=value\n" of all headers */
    uint8_t *data;
    size_t bytes;
    bool has_ended;
    bool is_reset;
    uint32_t code;
    enum fletch_http2_cause cause;
    char text[SEEN_TEXT_BYTES];
};

struct http2_user {
    struct fletch_http2_connection *connection;
    struct test_pool pool;
    struct failing_allocator allocator;
    struct wire sent; /* that nobody has looked at */
    struct seen_stream *streams;
    uint32_t stream_count;
    size_t place_bytes; /* of each place */
    size_t data_bytes;  /* that a stream may get */
    bool is_slow;       /* consumes nothing */
    bool releases;      /* each stream as soon as it has ended, by itself or by a reset */
    bool is_closed;
    uint32_t goaways;
    uint32_t code;
    char text[SEEN_TEXT_BYTES];
    /* NULL: nothing. For each event, after it was written down. */
    void (*react)(struct http2_user *user, const struct fletch_http2_event *event);
    void *context;
};

/* Options as a test wants them; `cache`, `account` and `allocator` are the user's own. False: no
 * memory, where `fail_at` is not 0. */
bool http2_user_start(struct http2_user *user, const struct fletch_http2_options *options,
                      uint64_t fail_at);
/* Everything has come back. */
void http2_user_end(struct http2_user *user);

/* A client's or a server's side that has shaken hands with a peer made by hand; what it has sent is
 * forgotten. */
void http2_user_ready(struct http2_user *user, const struct fletch_http2_options *options);

/* Feeds bytes, at most `chunk` at a time (0: all), and handles the events. */
void http2_user_feed(struct http2_user *user, const void *bytes, size_t count, size_t chunk);
void http2_user_feed_wire(struct http2_user *user, const struct wire *wire, size_t chunk);
void http2_user_events(struct http2_user *user);

/* Takes what it wants to send into `sent`: at most `most` bytes of each output (0: all). */
void http2_user_collect(struct http2_user *user, size_t most);

struct seen_stream *http2_user_stream(struct http2_user *user, uint32_t id);

/* Opens a stream with `request_fields`. */
enum fletch_status http2_user_try_open(struct http2_user *user, bool ends_stream,
                                       struct fletch_http2_stream **out_stream,
                                       struct fletch_error *error);
struct fletch_http2_stream *http2_user_open(struct http2_user *user, bool ends_stream);

/* Sends `response_fields`; trailers with grpc-status 0. Without memory for
 * them the stream is reset. */
void http2_user_respond(struct fletch_http2_stream *stream);
void http2_user_end_with_trailers(struct fletch_http2_stream *stream);

/* To react with: a server that sends back as many bytes as it got, in two pieces. */
void http2_user_echo(struct http2_user *user, const struct fletch_http2_event *event);

/* Two of them, joined by a pipe that cuts bytes anywhere. */
struct http2_joint {
    struct http2_user client;
    struct http2_user server;
    struct fletch_random random;
};

/* Until nothing moves. */
void http2_joint_run(struct http2_joint *joint);

/* The answer of http2_user_echo to `bytes` bytes on stream `id` is there, all of it. */
void http2_joint_check_echo(struct http2_joint *joint, uint32_t id, size_t bytes);

void wire_init(struct wire *wire);
void wire_deinit(struct wire *wire);
void wire_put(struct wire *wire, const void *bytes, size_t count);
void wire_frame(struct wire *wire, struct fletch_http2_head head, const void *payload);
void wire_preface(struct wire *wire);
void wire_settings(struct wire *wire, uint32_t setting, uint32_t value); /* setting 0: none */
void wire_u32_frame(struct wire *wire, uint8_t type, uint32_t id, uint32_t value);
/* HEADERS with "name=value" strings, NULL-terminated, as literals that no table keeps. */
void wire_headers(struct wire *wire, uint32_t id, uint8_t flags, const char *const *fields);
size_t wire_block(uint8_t *block, const char *const *fields);
void wire_data(struct wire *wire, uint32_t id, uint8_t flags, size_t count);

extern const char *const request_fields[];
extern const char *const response_fields[];

/* The `index`-th frame of `type` that was sent; false: there is none. */
bool wire_find(const struct wire *wire, uint8_t type, uint32_t index,
               struct fletch_http2_head *out_head, const uint8_t **out_payload);
uint32_t wire_count(const struct wire *wire, uint8_t type);

/* Data of its own, which frees itself. */
struct fletch_http2_data *test_data(size_t bytes, uint8_t first, bool ends_stream);
extern uint32_t test_data_sent, test_data_dropped;

#endif
