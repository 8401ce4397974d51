#include "grpc/grpc_fields.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "grpc/grpc_text.h"

enum { MESSAGE_MOST = 1024 };

void fletch_grpc_fields_begin(struct fletch_grpc_connection *connection)
{
    fletch_field_list_clear(&connection->scratch);
}

bool fletch_grpc_fields_add(struct fletch_grpc_connection *connection, const char *name,
                            const char *value)
{
    const struct fletch_http2_field field = fletch_http2_field_of(name, value);
    return fletch_field_list_add(&connection->scratch, &field);
}

static bool is_binary(const struct fletch_http2_field *field)
{
    return field->name_bytes > 4 && memcmp(field->name + field->name_bytes - 4, "-bin", 4) == 0;
}

bool fletch_grpc_field_decode(const struct fletch_http2_field *field, uint8_t *out_data,
                              size_t *out_bytes)
{
    return is_binary(field) &&
           fletch_grpc_base64_decode(field->value, field->value_bytes, out_data, out_bytes);
}

static bool is_ours(const struct fletch_http2_field *field)
{
    static const char *const names[] = {"te", "content-type", "content-length", "host"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (field->name_bytes == strlen(names[i]) &&
            memcmp(field->name, names[i], field->name_bytes) == 0)
            return true;
    bool is_grpcs = field->name_bytes >= 5 && memcmp(field->name, "grpc-", 5) == 0;
    bool is_details = field->name_bytes == strlen("grpc-status-details-bin") &&
                      memcmp(field->name, "grpc-status-details-bin", field->name_bytes) == 0;
    return field->name_bytes == 0 || field->name[0] == ':' || (is_grpcs && !is_details);
}

static bool is_text(const struct fletch_http2_field *field)
{
    for (uint32_t i = 0; i < field->value_bytes; i++)
        if (field->value[i] < 0x20 || field->value[i] > 0x7e)
            return false;
    return true;
}

static enum fletch_status refuse_memory(struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "no memory for the headers of a call");
}

enum fletch_status fletch_grpc_fields_add_metadata(struct fletch_grpc_connection *connection,
                                                   const struct fletch_grpc_metadata *metadata,
                                                   struct fletch_error *error)
{
    for (size_t i = 0; i < metadata->count; i++) {
        struct fletch_http2_field field = metadata->fields[i];
        bool is_encoded = is_binary(&field);
        if (is_ours(&field) || (!is_encoded && !is_text(&field)))
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "metadata '%.*s' %s",
                                    (int)field.name_bytes, field.name,
                                    is_ours(&field) ? "has a name that grpc keeps for itself"
                                                    : "has a value that is not printable ascii");
        if (is_encoded) {
            size_t bytes = FLETCH_GRPC_BASE64_BYTES((size_t)field.value_bytes);
            connection->encoded.bytes = 0;
            uint8_t *place = fletch_byte_buffer_extend(&connection->encoded, bytes + 1);
            if (place == NULL)
                return refuse_memory(error);
            field.value_bytes = (uint32_t)fletch_grpc_base64_encode(
                (const uint8_t *)field.value, field.value_bytes, (char *)place);
            field.value = (const char *)place;
        }
        if (!fletch_field_list_add(&connection->scratch, &field))
            return refuse_memory(error);
    }
    return FLETCH_OK;
}

/* grpc-status and grpc-message. False: no memory. */
static bool add_status(struct fletch_grpc_connection *connection, enum fletch_status status,
                       const char *text)
{
    char encoded[FLETCH_GRPC_PERCENT_BYTES(MESSAGE_MOST) + 1];
    const char digits[3] = {(char)(status >= 10 ? '1' : '0' + (int)status),
                            (char)(status >= 10 ? '0' + (int)status - 10 : 0), 0};
    if (!fletch_grpc_fields_add(connection, "grpc-status", digits))
        return false;
    size_t bytes = text == NULL ? 0 : strlen(text);
    if (bytes == 0)
        return true;
    bytes = fletch_grpc_percent_encode(text, bytes < MESSAGE_MOST ? bytes : MESSAGE_MOST, encoded);
    encoded[bytes] = 0;
    const struct fletch_http2_field field = fletch_http2_field_of("grpc-message", encoded);
    return fletch_field_list_add(&connection->scratch, &field);
}

static enum fletch_status add_failure(struct fletch_grpc_connection *connection,
                                      const struct fletch_grpc_ending *ending,
                                      struct fletch_error *error)
{
    struct fletch_grpc_failure failure = {.status = ending->status};
    (void)snprintf(failure.text, sizeof failure.text, "%s",
                   ending->text == NULL ? "" : ending->text);
    connection->options.word_failure(&failure);
    const struct fletch_grpc_metadata metadata = {failure.fields, failure.field_count};
    if (!add_status(connection, failure.status, failure.text))
        return refuse_memory(error);
    return fletch_grpc_fields_add_metadata(connection, &metadata, error);
}

enum fletch_status fletch_grpc_fields_add_ending(struct fletch_grpc_connection *connection,
                                                 const struct fletch_grpc_ending *ending,
                                                 struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    if (ending->status != FLETCH_OK && connection->options.word_failure != NULL)
        status = add_failure(connection, ending, error);
    else if (!add_status(connection, ending->status, ending->text))
        status = refuse_memory(error);
    return status == FLETCH_OK
               ? fletch_grpc_fields_add_metadata(connection, &ending->metadata, error)
               : status;
}
