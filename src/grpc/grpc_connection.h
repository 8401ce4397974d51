#ifndef FLETCH_GRPC_GRPC_CONNECTION_H
#define FLETCH_GRPC_GRPC_CONNECTION_H

/* gRPC on a connection of HTTP/2, without I/O: docs/HTTP2.md. Whoever owns the socket drives the
 * connection of HTTP/2, but takes events, ticks and deadlines from here. */

#include "grpc/grpc_call.h"
#include "http2/http2_connection.h"

struct fletch_grpc_connection;

#define FLETCH_GRPC_MESSAGE_BYTES_DEFAULT ((size_t)64 << 20)
#define FLETCH_GRPC_QUEUE_BYTES_DEFAULT ((size_t)16 << 20)
#define FLETCH_GRPC_UNFINISHED_BYTES_DEFAULT ((size_t)1 << 30)
#define FLETCH_GRPC_MESSAGE_TIMEOUT_NS UINT64_C(30000000000)

enum { FLETCH_GRPC_FAILURE_TEXT_BYTES = 1025, FLETCH_GRPC_FAILURE_FIELDS = 2 };

/* What a server says of a call that fails. */
struct fletch_grpc_failure {
    enum fletch_status status;
    char text[FLETCH_GRPC_FAILURE_TEXT_BYTES];
    /* Trailers beside gRPC's; may refer to the text. */
    struct fletch_http2_field fields[FLETCH_GRPC_FAILURE_FIELDS];
    size_t field_count;
};

/* Zero means default in every field. */
struct fletch_grpc_options {
    size_t struct_size;
    struct fletch_http2_options http2;
    size_t message_limit_bytes;  /* that a peer may send */
    size_t send_queue_bytes;     /* of a call, beyond which no message is queued */
    size_t unfinished_bytes;     /* of messages of a connection that have begun; or one alone */
    uint64_t message_timeout_ns; /* for 1 KiB of one, or its end; FLETCH_HTTP2_NEVER allowed */
    /* Server: puts the failure of a call, whoever ends it, into the words of the protocol that is
     * spoken over gRPC. NULL: they stay as they are. */
    void (*word_failure)(struct fletch_grpc_failure *failure);
};

struct fletch_grpc_statistics {
    uint64_t refused_messages; /* beyond a limit, or without memory */
    uint64_t slow_messages;    /* beyond the timeout */
};

enum fletch_grpc_event_kind {
    FLETCH_GRPC_EVENT_CALL,        /* server: a call begins */
    FLETCH_GRPC_EVENT_HEADERS,     /* client: the first answer */
    FLETCH_GRPC_EVENT_MESSAGE,     /* to be taken */
    FLETCH_GRPC_EVENT_HALF_CLOSED, /* server: no more messages */
    FLETCH_GRPC_EVENT_ENDED,       /* client: with a status; server: it was not the one to end it */
    FLETCH_GRPC_EVENT_GOAWAY,
    FLETCH_GRPC_EVENT_CLOSED /* the last one */
};

struct fletch_grpc_event {
    enum fletch_grpc_event_kind kind;
    struct fletch_grpc_call *call;
    const struct fletch_http2_field *fields; /* CALL, HEADERS, ENDED: until the next call */
    size_t field_count;
    const char *path;             /* CALL */
    uint64_t timeout_ns;          /* CALL: UINT64_MAX: none */
    struct fletch_buffer *buffer; /* MESSAGE: with a reference; NULL: empty, or a reader has it */
    size_t message_bytes;
    enum fletch_status status; /* ENDED */
    bool is_untouched;         /* ENDED: the peer has not looked at it; safe to try again */
    const char *text;          /* ENDED, GOAWAY, CLOSED */
};

/* INVALID_ARGUMENT: an option; RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_grpc_connection_create(const struct fletch_grpc_options *options,
                                                 struct fletch_grpc_connection **out_connection,
                                                 struct fletch_error *error);
/* Calls that were not released are. NULL allowed. */
void fletch_grpc_connection_destroy(struct fletch_grpc_connection *connection);

struct fletch_http2_connection *
fletch_grpc_connection_http2(const struct fletch_grpc_connection *connection);

bool fletch_grpc_connection_next(struct fletch_grpc_connection *connection,
                                 struct fletch_grpc_event *out_event);
/* Server: finishes all calls that have not been, and ends them for their users. */
void fletch_grpc_connection_fail_calls(struct fletch_grpc_connection *connection,
                                       enum fletch_status status, const char *text);
void fletch_grpc_connection_tick(struct fletch_grpc_connection *connection, uint64_t now_ns);
uint64_t fletch_grpc_connection_deadline(const struct fletch_grpc_connection *connection);

void fletch_grpc_connection_statistics(const struct fletch_grpc_connection *connection,
                                       struct fletch_grpc_statistics *out_statistics);

struct fletch_grpc_request {
    const char *path;      /* "/package.Service/Method" */
    const char *authority; /* NULL: none */
    const char *scheme;    /* NULL: "http" */
    uint64_t timeout_ns;   /* 0: none */
    struct fletch_grpc_metadata metadata;
};

/* Begins a call, as a client. Errors as fletch_http2_connection_open. */
enum fletch_status fletch_grpc_connection_call(struct fletch_grpc_connection *connection,
                                               const struct fletch_grpc_request *request,
                                               struct fletch_grpc_call **out_call,
                                               struct fletch_error *error);

#endif
