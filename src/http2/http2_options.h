#ifndef FLETCH_HTTP2_HTTP2_OPTIONS_H
#define FLETCH_HTTP2_HTTP2_OPTIONS_H

#include <fletching/buffer.h>

#include <stdbool.h>

/* For a timeout: there is none. */
#define FLETCH_HTTP2_NEVER UINT64_MAX

/* Zero means default in every field but `is_server`: docs/HTTP2.md says which, and what happens
 * beyond a limit. */
struct fletch_http2_options {
    size_t struct_size;
    bool is_server;
    const struct fletch_allocator *allocator;
    struct fletch_buffer_cache *cache; /* of the thread that drives the connection; not NULL */
    struct fletch_account *account;    /* NULL: nobody */

    uint32_t stream_window_bytes;     /* 65,535 to 2^31 - 1 */
    uint32_t connection_window_bytes; /* the same */
    uint32_t frame_bytes;             /* that the peer may send: 16,384 to 16,777,215 */
    uint32_t send_frame_bytes;        /* the same; the peer's limit holds too */
    uint32_t send_batch_bytes;

    uint32_t stream_limit;
    uint32_t header_block_bytes;
    uint32_t header_list_bytes;
    uint32_t continuation_limit;
    uint32_t settings_limit;
    uint32_t answer_limit;
    uint32_t unsent_bytes;
    uint32_t reset_burst;
    uint32_t reset_rate; /* a second */
    uint32_t glitch_burst;
    uint32_t glitch_rate;

    uint64_t handshake_timeout_ns;
    uint64_t header_timeout_ns;
    uint64_t write_timeout_ns;
    uint64_t idle_timeout_ns;
    uint64_t keepalive_ns;
    uint64_t keepalive_timeout_ns;
    uint64_t drain_timeout_ns;
};

/* Checks the options and completes them. INVALID_ARGUMENT: names value and limits. */
enum fletch_status fletch_http2_options_copy(struct fletch_http2_options *known,
                                             const struct fletch_http2_options *options,
                                             struct fletch_error *error);

#endif
