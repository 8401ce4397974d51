#include <string.h>

#include "arrow/utf8.h"
#include "base/allocator.h"
#include "base/status.h"
#include "flight/flight_fields.h"
#include "flight/flight_schema.h"
#include "flight/flight_wire.h"

/* A message is read twice: first to find what is wrong with it and how much memory it takes, then
 * into that memory. */

/* Elements that take no bytes take memory: so much more than bytes, at most. */
enum { MEMORY_FACTOR = 16, MEMORY_FREE = 1 << 20 };

enum { ALIGNMENT = 8 };

struct decoding {
    uint8_t *memory; /* NULL: it is only measured */
    size_t used;
    struct fletch_flight_made *made;
    const struct fletch_allocator *allocator;
    struct fletch_error *error;
    uint64_t dummy[64]; /* where fields go meanwhile */
};

static enum fletch_status decode(struct decoding *decoding, const struct fletch_flight_shape *shape,
                                 struct fletch_flight_wire wire, void *message);

static enum fletch_status refuse(const struct decoding *decoding, const char *what)
{
    return fletch_error_set(decoding->error, FLETCH_INVALID_ARGUMENT, "a message of Flight %s",
                            what);
}

/* Memory that begins aligned; of the measuring, some that nobody reads. */
static void *take(struct decoding *decoding, size_t bytes)
{
    size_t at = decoding->used;
    decoding->used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return decoding->memory == NULL ? NULL : decoding->memory + at;
}

/* A copy, with NUL. */
static struct fletch_flight_bytes copy(struct decoding *decoding,
                                       const struct fletch_flight_wire_field *field)
{
    uint8_t *to = take(decoding, field->value + 1);
    if (to != NULL) {
        memcpy(to, field->data, field->value);
        to[field->value] = 0;
    }
    return (struct fletch_flight_bytes){to, field->value};
}

static enum fletch_status copy_text(struct decoding *decoding,
                                    const struct fletch_flight_wire_field *field,
                                    const char **out_text)
{
    if (!fletch_utf8_is_valid(field->data, field->value))
        return refuse(decoding, "has a string that is not UTF-8");
    if (field->value != 0 && memchr(field->data, 0, field->value) != NULL)
        return refuse(decoding, "has a string with a NUL");
    *out_text = copy(decoding, field).data;
    return FLETCH_OK;
}

/* ---- what is repeated ---- */

struct counts {
    size_t of[FLETCH_FLIGHT_FIELD_NUMBERS];
};

static struct counts count_fields(struct fletch_flight_wire wire)
{
    struct counts counts = {{0}};
    struct fletch_flight_wire_field field;
    while (fletch_flight_wire_next(&wire, &field))
        if (field.number < FLETCH_FLIGHT_FIELD_NUMBERS && field.type == FLETCH_FLIGHT_WIRE_BYTES)
            counts.of[field.number]++;
    return counts;
}

static void *member(void *message, size_t offset)
{
    return (char *)message + offset;
}

/* Arrays for what is repeated, empty so far; strings that may not come are empty, not NULL. */
static void begin(struct decoding *decoding, const struct fletch_flight_shape *shape,
                  const struct counts *counts, void *message)
{
    static const char *const empty = "";
    for (uint16_t i = 0; i < shape->field_count; i++) {
        const struct fletch_flight_field *field = &shape->fields[i];
        size_t bytes = field->kind == FLETCH_FLIGHT_FIELD_MESSAGES ? field->shape->struct_bytes
                       : field->kind == FLETCH_FLIGHT_FIELD_STRINGS ||
                               field->kind == FLETCH_FLIGHT_FIELD_WRAPPED
                           ? sizeof(char *)
                           : 0;
        size_t count = counts->of[field->number];
        if (field->kind == FLETCH_FLIGHT_FIELD_STRING)
            memcpy(member(message, field->offset), &empty, sizeof empty);
        if (bytes == 0 || count == 0)
            continue;
        void *array = take(decoding, count * bytes);
        if (array != NULL)
            memset(array, 0, count * bytes);
        memcpy(member(message, field->offset), &array, sizeof array);
        memset(member(message, field->count_offset), 0, sizeof(size_t));
    }
}

/* The next element of an array, which gets longer. */
static void *next_element(struct decoding *decoding, const struct fletch_flight_field *field,
                          void *message, size_t element_bytes)
{
    size_t count;
    char *array;
    memcpy(&count, member(message, field->count_offset), sizeof count);
    memcpy(&array, member(message, field->offset), sizeof array);
    if (decoding->memory == NULL)
        return decoding->dummy;
    size_t next = count + 1;
    memcpy(member(message, field->count_offset), &next, sizeof next);
    return array + count * element_bytes;
}

/* The string within a message of its own. */
static enum fletch_status unwrap_text(struct decoding *decoding,
                                      const struct fletch_flight_wire_field *field,
                                      const char **out_text)
{
    struct fletch_flight_wire wire = fletch_flight_wire_of(field->data, field->value);
    struct fletch_flight_wire_field found = {.data = field->data}, inner;
    while (fletch_flight_wire_next(&wire, &inner))
        if (inner.number == 1 && inner.type == FLETCH_FLIGHT_WIRE_BYTES)
            found = inner;
    if (wire.is_broken)
        return refuse(decoding, "is malformed");
    return copy_text(decoding, &found, out_text);
}

/* ---- fields ---- */

static enum fletch_status read_schema(struct decoding *decoding,
                                      const struct fletch_flight_wire_field *wire,
                                      const struct fletch_flight_field *field, void *message)
{
    struct fletch_flight_bytes bytes = copy(decoding, wire);
    struct fletch_schema *schema = NULL;
    memcpy(member(message, field->count_offset), &bytes, sizeof bytes);
    if (decoding->memory == NULL || bytes.bytes == 0)
        return FLETCH_OK;
    /* One that cannot be read is no reason to refuse the rest. */
    enum fletch_status status =
        fletch_flight_schema_read(bytes, decoding->allocator, &schema, decoding->error);
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        return status;
    if (status != FLETCH_OK)
        schema = NULL;
    fletch_schema_release(decoding->made->schema);
    decoding->made->schema = schema;
    memcpy(member(message, field->offset), &schema, sizeof schema);
    return FLETCH_OK;
}

/* Those of several bytes on the wire. */
static enum fletch_status read_long(struct decoding *decoding,
                                    const struct fletch_flight_wire_field *wire,
                                    const struct fletch_flight_field *field, void *message)
{
    const struct fletch_flight_wire inner = fletch_flight_wire_of(wire->data, wire->value);
    void *to = member(message, field->offset);
    struct fletch_flight_bytes bytes;
    void *made = NULL;
    switch ((enum fletch_flight_field_kind)field->kind) {
    case FLETCH_FLIGHT_FIELD_BYTES:
        bytes = copy(decoding, wire);
        memcpy(to, &bytes, sizeof bytes);
        return FLETCH_OK;
    case FLETCH_FLIGHT_FIELD_STRING:
        return copy_text(decoding, wire, to);
    case FLETCH_FLIGHT_FIELD_STRINGS:
        return copy_text(decoding, wire, next_element(decoding, field, message, sizeof(char *)));
    case FLETCH_FLIGHT_FIELD_WRAPPED:
        return unwrap_text(decoding, wire, next_element(decoding, field, message, sizeof(char *)));
    case FLETCH_FLIGHT_FIELD_SCHEMA:
        return read_schema(decoding, wire, field, message);
    case FLETCH_FLIGHT_FIELD_MESSAGE:
        return decode(decoding, field->shape, inner, to);
    case FLETCH_FLIGHT_FIELD_POINTER:
        made = take(decoding, field->shape->struct_bytes);
        if (made != NULL)
            memset(made, 0, field->shape->struct_bytes);
        memcpy(to, &made, sizeof made);
        return decode(decoding, field->shape, inner, made == NULL ? decoding->dummy : made);
    case FLETCH_FLIGHT_FIELD_MESSAGES:
        return decode(decoding, field->shape, inner,
                      next_element(decoding, field, message, field->shape->struct_bytes));
    default:
        return decode(decoding, field->shape, inner, message);
    }
}

static void read_number(const struct fletch_flight_wire_field *wire,
                        const struct fletch_flight_field *field, void *message)
{
    void *to = member(message, field->offset);
    if (field->kind == FLETCH_FLIGHT_FIELD_BOOL)
        *(bool *)to = wire->value != 0;
    else if (field->kind == FLETCH_FLIGHT_FIELD_INT32)
        memcpy(to, &(int32_t){(int32_t)(uint32_t)wire->value}, sizeof(int32_t));
    else
        memcpy(to, &wire->value, sizeof wire->value);
}

static enum fletch_flight_wire_type type_of(const struct fletch_flight_field *field)
{
    switch ((enum fletch_flight_field_kind)field->kind) {
    case FLETCH_FLIGHT_FIELD_INT32:
    case FLETCH_FLIGHT_FIELD_INT64:
    case FLETCH_FLIGHT_FIELD_BOOL:
        return FLETCH_FLIGHT_WIRE_VARINT;
    case FLETCH_FLIGHT_FIELD_FIXED64:
    case FLETCH_FLIGHT_FIELD_DOUBLE:
        return FLETCH_FLIGHT_WIRE_64;
    default:
        return FLETCH_FLIGHT_WIRE_BYTES;
    }
}

/* What says that the field is there. */
static void note(const struct fletch_flight_field *field, void *message)
{
    void *when = member(message, field->when_offset);
    if (field->when == FLETCH_FLIGHT_WHEN_FLAG)
        *(bool *)when = true;
    else if (field->when == FLETCH_FLIGHT_WHEN_TYPE)
        memcpy(when, &(int32_t){field->when_value}, sizeof(int32_t));
}

static const struct fletch_flight_field *find(const struct fletch_flight_shape *shape,
                                              const struct fletch_flight_wire_field *wire)
{
    for (uint16_t i = 0; i < shape->field_count; i++)
        if (shape->fields[i].number == wire->number && type_of(&shape->fields[i]) == wire->type)
            return &shape->fields[i];
    return NULL;
}

/* As deep as the tables go. A field of another type than it should have is not known. */
static enum fletch_status decode(struct decoding *decoding, const struct fletch_flight_shape *shape,
                                 struct fletch_flight_wire wire, void *message)
{
    const struct counts counts = count_fields(wire);
    struct fletch_flight_wire_field field;
    enum fletch_status status = FLETCH_OK;
    begin(decoding, shape, &counts, message);
    while (status == FLETCH_OK && fletch_flight_wire_next(&wire, &field)) {
        const struct fletch_flight_field *known = find(shape, &field);
        if (known == NULL)
            continue;
        note(known, message);
        if (field.type == FLETCH_FLIGHT_WIRE_BYTES)
            status = read_long(decoding, &field, known, message);
        else
            read_number(&field, known, message);
    }
    return status == FLETCH_OK && wire.is_broken ? refuse(decoding, "is malformed") : status;
}

/* ---- all of it ---- */

/* A descriptor of an unknown type is none. */
static void normalize(struct fletch_flight_descriptor *descriptor)
{
    if (descriptor->type != FLETCH_FLIGHT_DESCRIPTOR_PATH &&
        descriptor->type != FLETCH_FLIGHT_DESCRIPTOR_COMMAND)
        descriptor->type = FLETCH_FLIGHT_DESCRIPTOR_ABSENT;
}

static void complete(enum fletch_flight_message kind, void *message)
{
    struct fletch_flight_info *info = message;
    struct fletch_flight_poll_info *poll = message;
    if (kind == FLETCH_FLIGHT_DESCRIPTOR)
        normalize(message);
    else if (kind == FLETCH_FLIGHT_INFO || kind == FLETCH_FLIGHT_CANCEL_REQUEST)
        normalize(&info->descriptor);
    else if (kind == FLETCH_FLIGHT_POLL_INFO)
        normalize(&poll->descriptor);
}

static enum fletch_status make(struct decoding *decoding, const struct fletch_flight_shape *shape,
                               struct fletch_flight_wire wire)
{
    size_t limit = (size_t)(wire.end - wire.at) * MEMORY_FACTOR + MEMORY_FREE;
    decoding->used = shape->struct_bytes;
    enum fletch_status status = decode(decoding, shape, wire, decoding->dummy);
    if (status != FLETCH_OK)
        return status;
    if (decoding->used > limit)
        return fletch_error_set(decoding->error, FLETCH_RESOURCE_EXHAUSTED,
                                "a message of Flight of %td bytes would take %zu, at most %zu",
                                wire.end - wire.at, decoding->used, limit);
    size_t bytes = sizeof *decoding->made + decoding->used;
    decoding->made = fletch_block_allocate(decoding->allocator, bytes);
    if (decoding->made == NULL)
        return fletch_error_set(decoding->error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a message of Flight of %zu bytes", bytes);
    *decoding->made = (struct fletch_flight_made){0};
    decoding->memory = (uint8_t *)(decoding->made + 1);
    decoding->used = shape->struct_bytes;
    memset(decoding->memory, 0, shape->struct_bytes);
    status = decode(decoding, shape, wire, decoding->memory);
    if (status != FLETCH_OK)
        fletch_flight_release(decoding->memory);
    return status;
}

enum fletch_status fletch_flight_decode(enum fletch_flight_message kind,
                                        struct fletch_flight_bytes bytes,
                                        const struct fletch_allocator *allocator,
                                        const void **out_message, struct fletch_error *error)
{
    const struct fletch_flight_shape *shape = fletch_flight_shape_of(kind);
    struct decoding decoding = {.allocator = allocator, .error = error};
    if (shape == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "no message of kind %d", (int)kind);
    static const uint8_t nothing[1];
    const struct fletch_flight_wire wire =
        fletch_flight_wire_of(bytes.bytes == 0 ? nothing : bytes.data, bytes.bytes);
    enum fletch_status status = make(&decoding, shape, wire);
    if (status != FLETCH_OK)
        return status;
    complete(kind, decoding.memory);
    if (kind == FLETCH_FLIGHT_EMPTY) {
        fletch_flight_release(decoding.memory);
        *out_message = NULL;
    } else {
        *out_message = decoding.memory;
    }
    return FLETCH_OK;
}
