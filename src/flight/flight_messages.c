#include "flight/flight_fields.h"

#include <assert.h>
#include <stddef.h>

#include "base/allocator.h"

#define FIELD(number_, kind_, type_, member_) \
    { \
        .number = (number_), .kind = FLETCH_FLIGHT_FIELD_##kind_, \
        .offset = offsetof(struct type_, member_) \
    }
#define REPEATED(number_, kind_, type_, member_, count_) \
    { \
        .number = (number_), .kind = FLETCH_FLIGHT_FIELD_##kind_, \
        .offset = offsetof(struct type_, member_), .count_offset = offsetof(struct type_, count_) \
    }
#define WHEN(number_, kind_, type_, member_, when_, flag_) \
    { \
        .number = (number_), .kind = FLETCH_FLIGHT_FIELD_##kind_, \
        .when = FLETCH_FLIGHT_WHEN_##when_, .offset = offsetof(struct type_, member_), \
        .when_offset = offsetof(struct type_, flag_) \
    }
#define SHAPE(fields_, type_) \
    { \
        .fields = (fields_), .field_count = sizeof(fields_) / sizeof *(fields_), \
        .struct_bytes = sizeof(type_) \
    }

static_assert(sizeof(enum fletch_flight_descriptor_type) == sizeof(int32_t) &&
                  sizeof(enum fletch_flight_option_type) == sizeof(int32_t) &&
                  sizeof(enum fletch_flight_session_refusal) == sizeof(int32_t),
              "enums are what INT32 takes them for");

/* A message with nothing but bytes. */
static const struct fletch_flight_field bytes_fields[] = {
    {.number = 1, .kind = FLETCH_FLIGHT_FIELD_BYTES},
};
static const struct fletch_flight_shape bytes_shape =
    SHAPE(bytes_fields, struct fletch_flight_bytes);

static const struct fletch_flight_field action_fields[] = {
    FIELD(1, STRING, fletch_flight_action, type),
    FIELD(2, BYTES, fletch_flight_action, body),
};
static const struct fletch_flight_shape action_shape =
    SHAPE(action_fields, struct fletch_flight_action);

static const struct fletch_flight_field action_type_fields[] = {
    FIELD(1, STRING, fletch_flight_action_type, type),
    FIELD(2, STRING, fletch_flight_action_type, description),
};
static const struct fletch_flight_shape action_type_shape =
    SHAPE(action_type_fields, struct fletch_flight_action_type);

static const struct fletch_flight_field basic_auth_fields[] = {
    FIELD(2, STRING, fletch_flight_basic_auth, username),
    FIELD(3, STRING, fletch_flight_basic_auth, password),
};
static const struct fletch_flight_shape basic_auth_shape =
    SHAPE(basic_auth_fields, struct fletch_flight_basic_auth);

static const struct fletch_flight_field handshake_fields[] = {
    FIELD(1, INT64, fletch_flight_handshake, protocol_version),
    FIELD(2, BYTES, fletch_flight_handshake, payload),
};
static const struct fletch_flight_shape handshake_shape =
    SHAPE(handshake_fields, struct fletch_flight_handshake);

static const struct fletch_flight_field time_fields[] = {
    FIELD(1, INT64, fletch_flight_time, seconds),
    FIELD(2, INT32, fletch_flight_time, nanos),
};
static const struct fletch_flight_shape time_shape = SHAPE(time_fields, struct fletch_flight_time);

static const struct fletch_flight_field descriptor_fields[] = {
    FIELD(1, INT32, fletch_flight_descriptor, type),
    FIELD(2, BYTES, fletch_flight_descriptor, command),
    REPEATED(3, STRINGS, fletch_flight_descriptor, path, path_count),
};
static const struct fletch_flight_shape descriptor_shape =
    SHAPE(descriptor_fields, struct fletch_flight_descriptor);

#define TIME(number_, type_, member_, flag_) \
    { \
        .number = (number_), .kind = FLETCH_FLIGHT_FIELD_MESSAGE, .when = FLETCH_FLIGHT_WHEN_FLAG, \
        .offset = offsetof(struct type_, member_), .when_offset = offsetof(struct type_, flag_), \
        .shape = &time_shape \
    }
#define DESCRIPTOR(number_, type_) \
    { \
        .number = (number_), .kind = FLETCH_FLIGHT_FIELD_MESSAGE, .when = FLETCH_FLIGHT_WHEN_SET, \
        .offset = offsetof(struct type_, descriptor), \
        .when_offset = offsetof(struct type_, descriptor.type), .shape = &descriptor_shape \
    }

static const struct fletch_flight_field endpoint_fields[] = {
    /* A message of its own, Ticket, with nothing but bytes. */
    {.number = 1,
     .kind = FLETCH_FLIGHT_FIELD_MESSAGE,
     .when = FLETCH_FLIGHT_WHEN_ALWAYS,
     .offset = offsetof(struct fletch_flight_endpoint, ticket),
     .shape = &bytes_shape},
    REPEATED(2, WRAPPED, fletch_flight_endpoint, locations, location_count),
    TIME(3, fletch_flight_endpoint, expiration, has_expiration),
    FIELD(4, BYTES, fletch_flight_endpoint, app_metadata),
};
static const struct fletch_flight_shape endpoint_shape =
    SHAPE(endpoint_fields, struct fletch_flight_endpoint);

static const struct fletch_flight_field info_fields[] = {
    REPEATED(1, SCHEMA, fletch_flight_info, schema, schema_message),
    DESCRIPTOR(2, fletch_flight_info),
    {.number = 3,
     .kind = FLETCH_FLIGHT_FIELD_MESSAGES,
     .offset = offsetof(struct fletch_flight_info, endpoints),
     .count_offset = offsetof(struct fletch_flight_info, endpoint_count),
     .shape = &endpoint_shape},
    FIELD(4, INT64, fletch_flight_info, total_records),
    FIELD(5, INT64, fletch_flight_info, total_bytes),
    FIELD(6, BOOL, fletch_flight_info, is_ordered),
    FIELD(7, BYTES, fletch_flight_info, app_metadata),
};
static const struct fletch_flight_shape info_shape = SHAPE(info_fields, struct fletch_flight_info);

static const struct fletch_flight_field poll_info_fields[] = {
    {.number = 1,
     .kind = FLETCH_FLIGHT_FIELD_POINTER,
     .offset = offsetof(struct fletch_flight_poll_info, info),
     .shape = &info_shape},
    DESCRIPTOR(2, fletch_flight_poll_info),
    WHEN(3, DOUBLE, fletch_flight_poll_info, progress, FLAG, has_progress),
    TIME(4, fletch_flight_poll_info, expiration, has_expiration),
};
static const struct fletch_flight_shape poll_info_shape =
    SHAPE(poll_info_fields, struct fletch_flight_poll_info);

static const struct fletch_flight_field schema_result_fields[] = {
    REPEATED(1, SCHEMA, fletch_flight_schema_result, schema, schema_message),
};
static const struct fletch_flight_shape schema_result_shape =
    SHAPE(schema_result_fields, struct fletch_flight_schema_result);

/* Messages whose one field is another one. */
static const struct fletch_flight_field cancel_request_fields[] = {
    {.number = 1,
     .kind = FLETCH_FLIGHT_FIELD_INLINE,
     .when = FLETCH_FLIGHT_WHEN_ALWAYS,
     .shape = &info_shape},
};
static const struct fletch_flight_shape cancel_request_shape =
    SHAPE(cancel_request_fields, struct fletch_flight_info);

static const struct fletch_flight_field renew_request_fields[] = {
    {.number = 1,
     .kind = FLETCH_FLIGHT_FIELD_INLINE,
     .when = FLETCH_FLIGHT_WHEN_ALWAYS,
     .shape = &endpoint_shape},
};
static const struct fletch_flight_shape renew_request_shape =
    SHAPE(renew_request_fields, struct fletch_flight_endpoint);

static const struct fletch_flight_field outcome_fields[] = {
    FIELD(1, INT32, fletch_flight_outcome, status),
};
static const struct fletch_flight_shape outcome_shape =
    SHAPE(outcome_fields, struct fletch_flight_outcome);

/* ---- options of sessions: maps, which are repeated pairs on the wire ---- */

static const struct fletch_flight_field string_list_fields[] = {
    REPEATED(1, STRINGS, fletch_flight_session_option, strings, string_count),
};
static const struct fletch_flight_shape string_list_shape =
    SHAPE(string_list_fields, struct fletch_flight_session_option);

#define OPTION(number_, kind_, member_, type_) \
    { \
        .number = (number_), .kind = FLETCH_FLIGHT_FIELD_##kind_, .when = FLETCH_FLIGHT_WHEN_TYPE, \
        .when_value = FLETCH_FLIGHT_OPTION_##type_, \
        .offset = offsetof(struct fletch_flight_session_option, member_), \
        .when_offset = offsetof(struct fletch_flight_session_option, type) \
    }
static const struct fletch_flight_field option_value_fields[] = {
    OPTION(1, STRING, string, STRING),
    OPTION(2, BOOL, boolean, BOOL),
    OPTION(3, FIXED64, integer, INT64),
    OPTION(4, DOUBLE, real, DOUBLE),
    {.number = 5,
     .kind = FLETCH_FLIGHT_FIELD_INLINE,
     .when = FLETCH_FLIGHT_WHEN_TYPE,
     .when_value = FLETCH_FLIGHT_OPTION_STRINGS,
     .when_offset = offsetof(struct fletch_flight_session_option, type),
     .shape = &string_list_shape},
};
static const struct fletch_flight_shape option_value_shape =
    SHAPE(option_value_fields, struct fletch_flight_session_option);

static const struct fletch_flight_field option_fields[] = {
    FIELD(1, STRING, fletch_flight_session_option, name),
    {.number = 2,
     .kind = FLETCH_FLIGHT_FIELD_INLINE,
     .when = FLETCH_FLIGHT_WHEN_ALWAYS,
     .shape = &option_value_shape},
};
static const struct fletch_flight_shape option_shape =
    SHAPE(option_fields, struct fletch_flight_session_option);

static const struct fletch_flight_field session_options_fields[] = {
    {.number = 1,
     .kind = FLETCH_FLIGHT_FIELD_MESSAGES,
     .offset = offsetof(struct fletch_flight_session_options, options),
     .count_offset = offsetof(struct fletch_flight_session_options, option_count),
     .shape = &option_shape},
};
static const struct fletch_flight_shape session_options_shape =
    SHAPE(session_options_fields, struct fletch_flight_session_options);

static const struct fletch_flight_field refusal_fields[] = {
    FIELD(1, INT32, fletch_flight_session_error, refusal),
};
static const struct fletch_flight_shape refusal_shape =
    SHAPE(refusal_fields, struct fletch_flight_session_error);

static const struct fletch_flight_field session_error_fields[] = {
    FIELD(1, STRING, fletch_flight_session_error, name),
    {.number = 2,
     .kind = FLETCH_FLIGHT_FIELD_INLINE,
     .when = FLETCH_FLIGHT_WHEN_ALWAYS,
     .shape = &refusal_shape},
};
static const struct fletch_flight_shape session_error_shape =
    SHAPE(session_error_fields, struct fletch_flight_session_error);

static const struct fletch_flight_field session_errors_fields[] = {
    {.number = 1,
     .kind = FLETCH_FLIGHT_FIELD_MESSAGES,
     .offset = offsetof(struct fletch_flight_session_errors, errors),
     .count_offset = offsetof(struct fletch_flight_session_errors, error_count),
     .shape = &session_error_shape},
};
static const struct fletch_flight_shape session_errors_shape =
    SHAPE(session_errors_fields, struct fletch_flight_session_errors);

/* ---- kinds ---- */

static const struct fletch_flight_shape empty_shape = {0};

static const struct fletch_flight_shape *const shapes[] = {
    [FLETCH_FLIGHT_EMPTY] = &empty_shape,
    [FLETCH_FLIGHT_ACTION] = &action_shape,
    [FLETCH_FLIGHT_ACTION_TYPE] = &action_type_shape,
    [FLETCH_FLIGHT_BASIC_AUTH] = &basic_auth_shape,
    [FLETCH_FLIGHT_CRITERIA] = &bytes_shape,
    [FLETCH_FLIGHT_DESCRIPTOR] = &descriptor_shape,
    [FLETCH_FLIGHT_ENDPOINT] = &endpoint_shape,
    [FLETCH_FLIGHT_HANDSHAKE] = &handshake_shape,
    [FLETCH_FLIGHT_INFO] = &info_shape,
    [FLETCH_FLIGHT_POLL_INFO] = &poll_info_shape,
    [FLETCH_FLIGHT_PUT_RESULT] = &bytes_shape,
    [FLETCH_FLIGHT_RESULT] = &bytes_shape,
    [FLETCH_FLIGHT_SCHEMA_RESULT] = &schema_result_shape,
    [FLETCH_FLIGHT_TICKET] = &bytes_shape,
    [FLETCH_FLIGHT_CANCEL_REQUEST] = &cancel_request_shape,
    [FLETCH_FLIGHT_RENEW_REQUEST] = &renew_request_shape,
    [FLETCH_FLIGHT_OUTCOME] = &outcome_shape,
    [FLETCH_FLIGHT_SESSION_OPTIONS] = &session_options_shape,
    [FLETCH_FLIGHT_SESSION_ERRORS] = &session_errors_shape,
};

const struct fletch_flight_shape *fletch_flight_shape_of(enum fletch_flight_message kind)
{
    return (size_t)kind < sizeof shapes / sizeof *shapes ? shapes[kind] : NULL;
}

void fletch_flight_release(const void *made)
{
    if (made == NULL)
        return;
    struct fletch_flight_made *memory = (struct fletch_flight_made *)(uintptr_t)made - 1;
    fletch_schema_release(memory->schema);
    fletch_block_release(memory);
}
