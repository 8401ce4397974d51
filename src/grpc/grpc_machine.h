#ifndef FLETCH_GRPC_GRPC_MACHINE_H
#define FLETCH_GRPC_GRPC_MACHINE_H

/* The inside of calls and their connection, which the files of this folder share. */

#include "base/assert.h"
#include "grpc/grpc_connection.h"
#include "http2/http2_link.h"

enum { FLETCH_GRPC_PREFIX_BYTES = 5, FLETCH_GRPC_TEXT_BYTES = 256 };

struct fletch_grpc_call {
    struct fletch_grpc_connection *connection;
    struct fletch_http2_stream *stream; /* NULL: let go */
    void *context;
    const struct fletch_grpc_reader *reader; /* NULL: buffers */
    struct fletch_http2_link all;
    struct fletch_http2_link todo; /* has an event that no frame will bring */
    bool is_released;
    bool has_responded;  /* server: headers were sent */
    bool is_finished;    /* this side sends no more */
    bool is_ended;       /* the event ENDED was told, or will be, or must not */
    bool has_half_close; /* to be told */
    bool has_ending;     /* to be told */
    bool has_encoding;   /* the peer named one that is not identity */
    bool got_headers;    /* client */
    bool is_in_message;  /* behind its prefix */
    bool is_untouched;
    bool is_end_queued; /* `end` is on its way */
    uint8_t prefix[FLETCH_GRPC_PREFIX_BYTES];
    uint32_t prefix_filled;
    size_t message_bytes;
    size_t message_filled;
    size_t place_left; /* of a reader's place */
    struct fletch_buffer *buffer;
    uint64_t untaken;  /* messages */
    size_t uncredited; /* bytes that came meanwhile */
    uint64_t deadline_ns;
    enum fletch_status status;
    char text[FLETCH_GRPC_TEXT_BYTES];
    struct fletch_http2_data end; /* client: nothing, which ends the stream */
};

struct fletch_grpc_connection {
    struct fletch_grpc_options options;
    struct fletch_allocator allocator;
    struct fletch_http2_connection *http2;
    struct fletch_http2_link all;
    struct fletch_http2_link todo;
    uint64_t now_ns;
    uint64_t deadline_ns; /* no call has an earlier one */
    struct fletch_field_list scratch;
    struct fletch_byte_buffer encoded;
};

/* NULL: no memory. */
struct fletch_grpc_call *fletch_grpc_call_make(struct fletch_grpc_connection *connection,
                                               struct fletch_http2_stream *stream);

/* Ends it for the user, once: with an event. The stream is left as it is. */
void fletch_grpc_call_end(struct fletch_grpc_call *call, enum fletch_status status,
                          const char *text);

/* The peer broke a rule, or there is no room for what it sends: a server finishes the call, a
 * client cancels it; the user gets ENDED. */
void fletch_grpc_call_fail(struct fletch_grpc_call *call, enum fletch_status status,
                           const char *text);

/* Gives back memory that nobody needs any more. */
void fletch_grpc_call_forget(struct fletch_grpc_call *call);

#endif
