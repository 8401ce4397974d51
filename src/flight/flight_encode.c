#include "flight/flight_encode.h"

#include <string.h>

#include "arrow/utf8.h"
#include "base/allocator.h"
#include "base/little_endian.h"
#include "base/status.h"
#include "flight/flight_decode.h"
#include "flight/flight_schema.h"
#include "flight/flight_wire.h"

/* Messages are measured first, which finds all that is wrong with them, and then written. */

static const void *at(const void *message, size_t offset)
{
    return (const char *)message + offset;
}

static int32_t load_i32(const void *from)
{
    int32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static uint64_t load_u64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static size_t load_size(const void *from)
{
    size_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

/* The number of a varint's field, as it goes onto the wire. */
static uint64_t varint_of(const struct fletch_flight_field *field, const void *message)
{
    const void *from = at(message, field->offset);
    if (field->kind == FLETCH_FLIGHT_FIELD_BOOL)
        return *(const bool *)from;
    if (field->kind == FLETCH_FLIGHT_FIELD_INT32)
        return (uint64_t)(int64_t)load_i32(from);
    return load_u64(from);
}

static bool is_zero(const struct fletch_flight_field *field, const void *message)
{
    const void *from = at(message, field->offset);
    switch ((enum fletch_flight_field_kind)field->kind) {
    case FLETCH_FLIGHT_FIELD_BYTES:
        return ((const struct fletch_flight_bytes *)from)->bytes == 0;
    case FLETCH_FLIGHT_FIELD_STRING:
        return *text_of(*(const char *const *)from) == 0;
    case FLETCH_FLIGHT_FIELD_STRINGS:
    case FLETCH_FLIGHT_FIELD_WRAPPED:
    case FLETCH_FLIGHT_FIELD_MESSAGES:
        return load_size(at(message, field->count_offset)) == 0;
    case FLETCH_FLIGHT_FIELD_INT32:
    case FLETCH_FLIGHT_FIELD_INT64:
    case FLETCH_FLIGHT_FIELD_BOOL:
        return varint_of(field, message) == 0;
    case FLETCH_FLIGHT_FIELD_FIXED64:
    case FLETCH_FLIGHT_FIELD_DOUBLE:
        return load_u64(from) == 0;
    case FLETCH_FLIGHT_FIELD_SCHEMA:
        return *(struct fletch_schema *const *)from == NULL &&
               ((const struct fletch_flight_bytes *)at(message, field->count_offset))->bytes == 0;
    case FLETCH_FLIGHT_FIELD_POINTER:
        return *(const void *const *)from == NULL;
    case FLETCH_FLIGHT_FIELD_MESSAGE:
    case FLETCH_FLIGHT_FIELD_INLINE:
        return false;
    }
    return true;
}

static bool is_there(const struct fletch_flight_field *field, const void *message)
{
    const void *when = at(message, field->when_offset);
    switch ((enum fletch_flight_field_when)field->when) {
    case FLETCH_FLIGHT_WHEN_VALUE:
        return !is_zero(field, message);
    case FLETCH_FLIGHT_WHEN_ALWAYS:
        return true;
    case FLETCH_FLIGHT_WHEN_FLAG:
        return *(const bool *)when;
    case FLETCH_FLIGHT_WHEN_SET:
        return load_i32(when) != 0;
    case FLETCH_FLIGHT_WHEN_TYPE:
        return load_i32(when) == field->when_value;
    }
    return false;
}

/* ---- measuring ---- */

static size_t with_length(size_t bytes)
{
    return fletch_flight_varint_bytes(bytes) + bytes;
}

/* Field numbers are below 16: each key is one byte. */
enum { KEY_BYTES = 1 };

static size_t measure(const struct fletch_flight_shape *shape, const void *message);

static size_t schema_bytes(const struct fletch_flight_field *field, const void *message)
{
    const struct fletch_schema *schema = *(struct fletch_schema *const *)at(message, field->offset);
    if (schema != NULL)
        return fletch_flight_schema_measure(schema);
    return ((const struct fletch_flight_bytes *)at(message, field->count_offset))->bytes;
}

/* Of all elements of what is repeated, with their keys. */
static size_t measure_elements(const struct fletch_flight_field *field, const void *message)
{
    size_t count = load_size(at(message, field->count_offset));
    size_t bytes = 0;
    if (field->kind == FLETCH_FLIGHT_FIELD_MESSAGES) {
        const char *element = *(const char *const *)at(message, field->offset);
        for (size_t i = 0; i < count; i++, element += field->shape->struct_bytes)
            bytes += KEY_BYTES + with_length(measure(field->shape, element));
        return bytes;
    }
    const char *const *strings = *(const char *const *const *)at(message, field->offset);
    for (size_t i = 0; i < count; i++) {
        size_t length = with_length(strlen(text_of(strings[i])));
        if (field->kind == FLETCH_FLIGHT_FIELD_WRAPPED)
            length = with_length(KEY_BYTES + length);
        bytes += KEY_BYTES + length;
    }
    return bytes;
}

static size_t measure_field(const struct fletch_flight_field *field, const void *message)
{
    const void *from = at(message, field->offset);
    switch ((enum fletch_flight_field_kind)field->kind) {
    case FLETCH_FLIGHT_FIELD_BYTES:
        return KEY_BYTES + with_length(((const struct fletch_flight_bytes *)from)->bytes);
    case FLETCH_FLIGHT_FIELD_STRING:
        return KEY_BYTES + with_length(strlen(text_of(*(const char *const *)from)));
    case FLETCH_FLIGHT_FIELD_STRINGS:
    case FLETCH_FLIGHT_FIELD_WRAPPED:
    case FLETCH_FLIGHT_FIELD_MESSAGES:
        return measure_elements(field, message);
    case FLETCH_FLIGHT_FIELD_INT32:
    case FLETCH_FLIGHT_FIELD_INT64:
    case FLETCH_FLIGHT_FIELD_BOOL:
        return KEY_BYTES + fletch_flight_varint_bytes(varint_of(field, message));
    case FLETCH_FLIGHT_FIELD_FIXED64:
    case FLETCH_FLIGHT_FIELD_DOUBLE:
        return KEY_BYTES + sizeof(uint64_t);
    case FLETCH_FLIGHT_FIELD_SCHEMA:
        return KEY_BYTES + with_length(schema_bytes(field, message));
    case FLETCH_FLIGHT_FIELD_MESSAGE:
        return KEY_BYTES + with_length(measure(field->shape, from));
    case FLETCH_FLIGHT_FIELD_POINTER:
        return KEY_BYTES + with_length(measure(field->shape, *(const void *const *)from));
    case FLETCH_FLIGHT_FIELD_INLINE:
        return KEY_BYTES + with_length(measure(field->shape, message));
    }
    return 0;
}

/* As deep as the tables go. */
static size_t measure(const struct fletch_flight_shape *shape, const void *message)
{
    size_t bytes = 0;
    for (uint16_t i = 0; i < shape->field_count; i++)
        if (is_there(&shape->fields[i], message))
            bytes += measure_field(&shape->fields[i], message);
    return bytes;
}

/* ---- checking ---- */

static enum fletch_status check_text(const char *text, struct fletch_error *error)
{
    size_t bytes = strlen(text_of(text));
    if (fletch_utf8_is_valid((const uint8_t *)text_of(text), bytes))
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "a string of %zu bytes of a message is not UTF-8", bytes);
}

static enum fletch_status check(const struct fletch_flight_shape *shape, const void *message,
                                struct fletch_error *error);

static enum fletch_status check_elements(const struct fletch_flight_field *field,
                                         const void *message, struct fletch_error *error)
{
    size_t count = load_size(at(message, field->count_offset));
    const char *element = *(const char *const *)at(message, field->offset);
    enum fletch_status status = FLETCH_OK;
    for (size_t i = 0; i < count && status == FLETCH_OK; i++) {
        if (field->kind == FLETCH_FLIGHT_FIELD_MESSAGES)
            status = check(field->shape, element + i * field->shape->struct_bytes, error);
        else
            status =
                check_text((*(const char *const *const *)at(message, field->offset))[i], error);
    }
    return status;
}

static enum fletch_status check_field(const struct fletch_flight_field *field, const void *message,
                                      struct fletch_error *error)
{
    const void *from = at(message, field->offset);
    switch ((enum fletch_flight_field_kind)field->kind) {
    case FLETCH_FLIGHT_FIELD_STRING:
        return check_text(*(const char *const *)from, error);
    case FLETCH_FLIGHT_FIELD_STRINGS:
    case FLETCH_FLIGHT_FIELD_WRAPPED:
    case FLETCH_FLIGHT_FIELD_MESSAGES:
        return check_elements(field, message, error);
    case FLETCH_FLIGHT_FIELD_SCHEMA:
        if (schema_bytes(field, message) == 0)
            return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                    "a schema does not fit into a message of 2 GiB");
        return FLETCH_OK;
    case FLETCH_FLIGHT_FIELD_MESSAGE:
        return check(field->shape, from, error);
    case FLETCH_FLIGHT_FIELD_POINTER:
        return check(field->shape, *(const void *const *)from, error);
    case FLETCH_FLIGHT_FIELD_INLINE:
        return check(field->shape, message, error);
    default:
        return FLETCH_OK;
    }
}

static enum fletch_status check(const struct fletch_flight_shape *shape, const void *message,
                                struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    for (uint16_t i = 0; i < shape->field_count && status == FLETCH_OK; i++)
        if (is_there(&shape->fields[i], message))
            status = check_field(&shape->fields[i], message, error);
    return status;
}

enum fletch_status fletch_flight_message_measure(const struct fletch_flight_shape *shape,
                                                 const void *message, size_t *out_bytes,
                                                 struct fletch_error *error)
{
    enum fletch_status status = check(shape, message, error);
    if (status != FLETCH_OK)
        return status;
    size_t bytes = measure(shape, message);
    if (bytes > INT32_MAX)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "a message of %zu bytes, at most %d", bytes, INT32_MAX);
    *out_bytes = bytes;
    return FLETCH_OK;
}

/* ---- writing ---- */

static uint8_t *write_key(uint8_t *to, const struct fletch_flight_field *field,
                          enum fletch_flight_wire_type type)
{
    *to = (uint8_t)fletch_flight_wire_key(field->number, type);
    return to + 1;
}

static uint8_t *write_bytes(uint8_t *to, const void *data, size_t bytes)
{
    to = fletch_flight_varint_write(to, bytes);
    if (bytes != 0)
        memcpy(to, data, bytes);
    return to + bytes;
}

static uint8_t *write_text(uint8_t *to, const char *text)
{
    return write_bytes(to, text_of(text), strlen(text_of(text)));
}

static uint8_t *write_fixed(uint8_t *to, uint64_t value)
{
    fletch_little_endian_write(to, value, sizeof value);
    return to + sizeof value;
}

static uint8_t *write_message(uint8_t *to, const struct fletch_flight_shape *shape,
                              const void *message)
{
    to = fletch_flight_varint_write(to, measure(shape, message));
    return fletch_flight_message_write(shape, message, to);
}

static uint8_t *write_elements(uint8_t *to, const struct fletch_flight_field *field,
                               const void *message)
{
    size_t count = load_size(at(message, field->count_offset));
    const char *element = *(const char *const *)at(message, field->offset);
    for (size_t i = 0; i < count; i++) {
        to = write_key(to, field, FLETCH_FLIGHT_WIRE_BYTES);
        if (field->kind == FLETCH_FLIGHT_FIELD_MESSAGES) {
            to = write_message(to, field->shape, element + i * field->shape->struct_bytes);
            continue;
        }
        const char *text = (*(const char *const *const *)at(message, field->offset))[i];
        if (field->kind == FLETCH_FLIGHT_FIELD_WRAPPED) {
            to = fletch_flight_varint_write(to, KEY_BYTES + with_length(strlen(text_of(text))));
            *to++ = (uint8_t)fletch_flight_wire_key(1, FLETCH_FLIGHT_WIRE_BYTES);
        }
        to = write_text(to, text);
    }
    return to;
}

static uint8_t *write_schema(uint8_t *to, const struct fletch_flight_field *field,
                             const void *message)
{
    const struct fletch_schema *schema = *(struct fletch_schema *const *)at(message, field->offset);
    const struct fletch_flight_bytes *as_is = at(message, field->count_offset);
    if (schema == NULL)
        return write_bytes(to, as_is->data, as_is->bytes);
    size_t bytes = fletch_flight_schema_measure(schema);
    to = fletch_flight_varint_write(to, bytes);
    fletch_flight_schema_write(schema, to, bytes);
    return to + bytes;
}

static uint8_t *write_field(uint8_t *to, const struct fletch_flight_field *field,
                            const void *message)
{
    const void *from = at(message, field->offset);
    switch ((enum fletch_flight_field_kind)field->kind) {
    case FLETCH_FLIGHT_FIELD_STRINGS:
    case FLETCH_FLIGHT_FIELD_WRAPPED:
    case FLETCH_FLIGHT_FIELD_MESSAGES:
        return write_elements(to, field, message);
    case FLETCH_FLIGHT_FIELD_INT32:
    case FLETCH_FLIGHT_FIELD_INT64:
    case FLETCH_FLIGHT_FIELD_BOOL:
        to = write_key(to, field, FLETCH_FLIGHT_WIRE_VARINT);
        return fletch_flight_varint_write(to, varint_of(field, message));
    case FLETCH_FLIGHT_FIELD_FIXED64:
    case FLETCH_FLIGHT_FIELD_DOUBLE:
        to = write_key(to, field, FLETCH_FLIGHT_WIRE_64);
        return write_fixed(to, load_u64(from));
    default:
        break;
    }
    to = write_key(to, field, FLETCH_FLIGHT_WIRE_BYTES);
    switch ((enum fletch_flight_field_kind)field->kind) {
    case FLETCH_FLIGHT_FIELD_BYTES:
        return write_bytes(to, ((const struct fletch_flight_bytes *)from)->data,
                           ((const struct fletch_flight_bytes *)from)->bytes);
    case FLETCH_FLIGHT_FIELD_STRING:
        return write_text(to, *(const char *const *)from);
    case FLETCH_FLIGHT_FIELD_SCHEMA:
        return write_schema(to, field, message);
    case FLETCH_FLIGHT_FIELD_MESSAGE:
        return write_message(to, field->shape, from);
    case FLETCH_FLIGHT_FIELD_POINTER:
        return write_message(to, field->shape, *(const void *const *)from);
    default:
        return write_message(to, field->shape, message);
    }
}

uint8_t *fletch_flight_message_write(const struct fletch_flight_shape *shape, const void *message,
                                     uint8_t *to)
{
    for (uint16_t i = 0; i < shape->field_count; i++)
        if (is_there(&shape->fields[i], message))
            to = write_field(to, &shape->fields[i], message);
    return to;
}

enum fletch_status fletch_flight_encode(enum fletch_flight_message kind, const void *message,
                                        const struct fletch_allocator *allocator,
                                        struct fletch_flight_bytes *out_bytes,
                                        struct fletch_error *error)
{
    const struct fletch_flight_shape *shape = fletch_flight_shape_of(kind);
    size_t bytes = 0;
    if (shape == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "no message of kind %d", (int)kind);
    enum fletch_status status = fletch_flight_message_measure(shape, message, &bytes, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_flight_made *made = fletch_block_allocate(allocator, sizeof *made + bytes + 1);
    if (made == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a message of %zu bytes", bytes);
    *made = (struct fletch_flight_made){0};
    uint8_t *end = fletch_flight_message_write(shape, message, (uint8_t *)(made + 1));
    *end = 0;
    *out_bytes = (struct fletch_flight_bytes){made + 1, bytes};
    return FLETCH_OK;
}
