#ifndef FLETCH_HTTP2_HTTP2_HEADERS_H
#define FLETCH_HTTP2_HTTP2_HEADERS_H

/* Blocks of headers, both ways. */

#include "http2/http2_machine.h"

struct fletch_http2_block {
    const struct fletch_http2_field *fields;
    size_t count;
    uint32_t stream_id;
    enum fletch_http2_part part;
    bool ends_stream;
    struct fletch_http2_facts facts; /* by the check */
};

/* INVALID_ARGUMENT: more than the peer takes, for which it might end the whole connection. */
enum fletch_status fletch_http2_block_fits(const struct fletch_http2_connection *connection,
                                           const struct fletch_http2_block *block,
                                           struct fletch_error *error);

/* What is wrong with the fields of a block that is to be sent; NULL: they are well formed. */
const char *fletch_http2_block_check(const struct fletch_http2_connection *connection,
                                     struct fletch_http2_block *block);

/* Appends HEADERS, and CONTINUATION where one frame does not do, to `frames`. False: no memory, and
 * the connection has failed. */
bool fletch_http2_queue_headers(struct fletch_http2_connection *connection,
                                const struct fletch_http2_block *block,
                                struct fletch_byte_buffer *frames);

/* HEADERS begin: `stream` is NULL where there is none of that id. */
void fletch_http2_block_begin(struct fletch_http2_connection *connection,
                              struct fletch_http2_stream *stream);

/* The parser has a whole block: decodes it, and tells `*out_event` if it is one for the user. */
void fletch_http2_block_end(struct fletch_http2_connection *connection,
                            struct fletch_http2_event *out_event);

#endif
