#ifndef FLETCHING_FLIGHT_TYPES_H
#define FLETCHING_FLIGHT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/export.h>
#include <fletching/schema.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** What Arrow Flight's messages say. Structs are transparent: to send one, fill it (zero means
 *  "absent" in every field but those marked) and keep what it points to until the call returns.
 *  One that was received lies, with all that it points to, in one piece of memory, which is given
 *  back by fletch_flight_release. Strings are UTF-8 and end with NUL; bytes that were received have
 *  a NUL behind them, which does not count. */

/** Any bytes. NULL allowed where `bytes` is 0. */
struct fletch_flight_bytes {
    const void *data;
    size_t bytes;
};

/** A point of time: UTC, since 1970. `nanos`: 0 to 999,999,999. */
struct fletch_flight_time {
    int64_t seconds;
    int32_t nanos;
};

enum fletch_flight_descriptor_type {
    FLETCH_FLIGHT_DESCRIPTOR_ABSENT = 0, /* received: no descriptor, or one of an unknown type */
    FLETCH_FLIGHT_DESCRIPTOR_PATH = 1,
    FLETCH_FLIGHT_DESCRIPTOR_COMMAND = 2
};

/** Names a flight: by a path, or by a command that means something to its server. */
struct fletch_flight_descriptor {
    enum fletch_flight_descriptor_type type;
    struct fletch_flight_bytes command; /* COMMAND */
    const char *const *path;            /* PATH */
    size_t path_count;
};

/** Where a part of a flight is got from. No locations: where it was heard of. */
struct fletch_flight_endpoint {
    struct fletch_flight_bytes ticket;
    const char *const *locations; /* URIs; each has all of it */
    size_t location_count;
    bool has_expiration; /* the ticket may be used again until then */
    struct fletch_flight_time expiration;
    struct fletch_flight_bytes app_metadata;
};

#define FLETCH_FLIGHT_REUSE_CONNECTION "arrow-flight-reuse-connection://?"

/** Of a flight. */
struct fletch_flight_info {
    /** To send: NULL: `schema_message` as it is. Received: the schema that `schema_message` tells,
     *  as long as the message lives; NULL: none, or one that cannot be read. */
    struct fletch_schema *schema;
    /** An encapsulated IPC message. No bytes: the schema is not known. */
    struct fletch_flight_bytes schema_message;
    struct fletch_flight_descriptor descriptor;
    const struct fletch_flight_endpoint *endpoints;
    size_t endpoint_count;
    /** -1: not known; zero is zero. */
    int64_t total_records;
    int64_t total_bytes;
    bool is_ordered; /* endpoints are to be read in their order */
    struct fletch_flight_bytes app_metadata;
};

/** How far a flight is that takes long to plan. */
struct fletch_flight_poll_info {
    const struct fletch_flight_info *info;      /* NULL: none */
    struct fletch_flight_descriptor descriptor; /* to ask with again; absent: finished */
    bool has_progress;
    double progress; /* 0 to 1 */
    bool has_expiration;
    struct fletch_flight_time expiration; /* of the request */
};

/** A schema alone. As in struct fletch_flight_info. */
struct fletch_flight_schema_result {
    struct fletch_schema *schema;
    struct fletch_flight_bytes schema_message;
};

struct fletch_flight_action {
    const char *type;
    struct fletch_flight_bytes body;
};

struct fletch_flight_action_type {
    const char *type;
    const char *description;
};

struct fletch_flight_handshake {
    uint64_t protocol_version;
    struct fletch_flight_bytes payload;
};

/** The payload that stock clients and servers put into a handshake for a name and a password. */
struct fletch_flight_basic_auth {
    const char *username;
    const char *password;
};

/* ---- bodies of actions that the protocol knows ---- */

#define FLETCH_FLIGHT_CANCEL_FLIGHT_INFO "CancelFlightInfo"
#define FLETCH_FLIGHT_RENEW_FLIGHT_ENDPOINT "RenewFlightEndpoint"
#define FLETCH_FLIGHT_SET_SESSION_OPTIONS "SetSessionOptions"
#define FLETCH_FLIGHT_GET_SESSION_OPTIONS "GetSessionOptions"
#define FLETCH_FLIGHT_CLOSE_SESSION "CloseSession"

enum fletch_flight_cancel_status {
    FLETCH_FLIGHT_CANCEL_UNSPECIFIED = 0,
    FLETCH_FLIGHT_CANCELLED = 1,
    FLETCH_FLIGHT_CANCELLING = 2,
    FLETCH_FLIGHT_NOT_CANCELLABLE = 3
};

enum fletch_flight_close_status {
    FLETCH_FLIGHT_CLOSE_UNSPECIFIED = 0,
    FLETCH_FLIGHT_CLOSED = 1,
    FLETCH_FLIGHT_CLOSING = 2,
    FLETCH_FLIGHT_NOT_CLOSEABLE = 3
};

/** What CancelFlightInfo and CloseSession answer: one of the two above, as a number. */
struct fletch_flight_outcome {
    int32_t status;
};

enum fletch_flight_option_type {
    FLETCH_FLIGHT_OPTION_UNSET = 0, /* the option is to be unset */
    FLETCH_FLIGHT_OPTION_STRING = 1,
    FLETCH_FLIGHT_OPTION_BOOL = 2,
    FLETCH_FLIGHT_OPTION_INT64 = 3,
    FLETCH_FLIGHT_OPTION_DOUBLE = 4,
    FLETCH_FLIGHT_OPTION_STRINGS = 5
};

struct fletch_flight_session_option {
    const char *name;
    enum fletch_flight_option_type type;
    const char *string;
    bool boolean;
    int64_t integer;
    double real;
    const char *const *strings;
    size_t string_count;
};

struct fletch_flight_session_options {
    const struct fletch_flight_session_option *options;
    size_t option_count;
};

enum fletch_flight_session_refusal {
    FLETCH_FLIGHT_SESSION_UNSPECIFIED = 0,
    FLETCH_FLIGHT_SESSION_INVALID_NAME = 1,
    FLETCH_FLIGHT_SESSION_INVALID_VALUE = 2,
    FLETCH_FLIGHT_SESSION_ERROR = 3
};

struct fletch_flight_session_error {
    const char *name;
    enum fletch_flight_session_refusal refusal;
};

struct fletch_flight_session_errors {
    const struct fletch_flight_session_error *errors;
    size_t error_count;
};

/* ---- messages as bytes ---- */

/** The messages of the protocol, and the struct that each is in C. */
enum fletch_flight_message {
    FLETCH_FLIGHT_EMPTY = 0,       /* NULL */
    FLETCH_FLIGHT_ACTION,          /* struct fletch_flight_action */
    FLETCH_FLIGHT_ACTION_TYPE,     /* struct fletch_flight_action_type */
    FLETCH_FLIGHT_BASIC_AUTH,      /* struct fletch_flight_basic_auth */
    FLETCH_FLIGHT_CRITERIA,        /* struct fletch_flight_bytes: expression */
    FLETCH_FLIGHT_DESCRIPTOR,      /* struct fletch_flight_descriptor */
    FLETCH_FLIGHT_ENDPOINT,        /* struct fletch_flight_endpoint; what RenewFlightEndpoint
                                    * answers */
    FLETCH_FLIGHT_HANDSHAKE,       /* struct fletch_flight_handshake: request and response */
    FLETCH_FLIGHT_INFO,            /* struct fletch_flight_info */
    FLETCH_FLIGHT_POLL_INFO,       /* struct fletch_flight_poll_info */
    FLETCH_FLIGHT_PUT_RESULT,      /* struct fletch_flight_bytes: app_metadata */
    FLETCH_FLIGHT_RESULT,          /* struct fletch_flight_bytes: body */
    FLETCH_FLIGHT_SCHEMA_RESULT,   /* struct fletch_flight_schema_result */
    FLETCH_FLIGHT_TICKET,          /* struct fletch_flight_bytes: ticket */
    FLETCH_FLIGHT_CANCEL_REQUEST,  /* struct fletch_flight_info: body of CancelFlightInfo */
    FLETCH_FLIGHT_RENEW_REQUEST,   /* struct fletch_flight_endpoint: body of RenewFlightEndpoint */
    FLETCH_FLIGHT_OUTCOME,         /* struct fletch_flight_outcome */
    FLETCH_FLIGHT_SESSION_OPTIONS, /* struct fletch_flight_session_options: body of
                                    * SetSessionOptions, answer of GetSessionOptions */
    FLETCH_FLIGHT_SESSION_ERRORS   /* struct fletch_flight_session_errors: answer of
                                    * SetSessionOptions */
};

/** Writes a message's bytes into memory from `allocator` (NULL: the default one), to be given back
 *  by fletch_flight_release(out_bytes->data). `message` is the struct of its kind.
 *  INVALID_ARGUMENT: a string that is no UTF-8 (NULL is ""), no such kind;
 *  RESOURCE_EXHAUSTED: no memory, or more than 2^31 - 1 bytes. Any thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_encode(enum fletch_flight_message kind, const void *message,
                     const struct fletch_allocator *allocator,
                     struct fletch_flight_bytes *out_bytes, struct fletch_error *error);

/** Reads a message: `*out_message` points to the struct of its kind (EMPTY: NULL), to be given back
 *  by fletch_flight_release; nothing in it refers to `bytes`. Fields that are not known are passed
 *  over. INVALID_ARGUMENT: the bytes are no such message; RESOURCE_EXHAUSTED: no memory, or so many
 *  elements that they would take far more memory than bytes. Any thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_decode(enum fletch_flight_message kind, struct fletch_flight_bytes bytes,
                     const struct fletch_allocator *allocator, const void **out_message,
                     struct fletch_error *error);

/** Gives back what a function of Flight made and says so. NULL allowed. Any thread. */
FLETCH_EXPORT void fletch_flight_release(const void *made);

FLETCH_END_DECLS

#endif
