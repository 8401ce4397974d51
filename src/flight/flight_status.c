#include "flight/flight_status.h"

#include <stdio.h>
#include <string.h>

#include "arrow/utf8.h"
#include "base/status.h"
#include "flight/flight_wire.h"

/* Longer details leave once, not twice. */
enum { DETAIL_BYTES_TWICE = 1024 };

/* Arrow's own codes. */
enum arrow_status {
    ARROW_OUT_OF_MEMORY = 1,
    ARROW_KEY_ERROR = 2,
    ARROW_TYPE_ERROR = 3,
    ARROW_INVALID = 4,
    ARROW_IO_ERROR = 5,
    ARROW_CAPACITY_ERROR = 6,
    ARROW_INDEX_ERROR = 7,
    ARROW_CANCELLED = 8,
    ARROW_UNKNOWN_ERROR = 9,
    ARROW_NOT_IMPLEMENTED = 10,
    ARROW_SERIALIZATION_ERROR = 11,
    ARROW_ALREADY_EXISTS = 45
};

static const char *const arrow_codes[] = {
    [FLETCH_CANCELLED] = "8",
    [FLETCH_UNKNOWN] = "9",
    [FLETCH_INVALID_ARGUMENT] = "4",
    [FLETCH_DEADLINE_EXCEEDED] = "5",
    [FLETCH_NOT_FOUND] = "2",
    [FLETCH_ALREADY_EXISTS] = "45",
    [FLETCH_PERMISSION_DENIED] = "5",
    [FLETCH_RESOURCE_EXHAUSTED] = "6",
    [FLETCH_FAILED_PRECONDITION] = "4",
    [FLETCH_ABORTED] = "5",
    [FLETCH_OUT_OF_RANGE] = "7",
    [FLETCH_UNIMPLEMENTED] = "10",
    [FLETCH_INTERNAL] = "5",
    [FLETCH_UNAVAILABLE] = "5",
    [FLETCH_DATA_LOSS] = "5",
    [FLETCH_UNAUTHENTICATED] = "5",
};

static const struct {
    enum arrow_status arrow;
    enum fletch_status status;
} from_arrow[] = {
    {ARROW_OUT_OF_MEMORY, FLETCH_RESOURCE_EXHAUSTED},
    {ARROW_KEY_ERROR, FLETCH_NOT_FOUND},
    {ARROW_TYPE_ERROR, FLETCH_INVALID_ARGUMENT},
    {ARROW_INVALID, FLETCH_INVALID_ARGUMENT},
    {ARROW_CAPACITY_ERROR, FLETCH_RESOURCE_EXHAUSTED},
    {ARROW_INDEX_ERROR, FLETCH_OUT_OF_RANGE},
    {ARROW_CANCELLED, FLETCH_CANCELLED},
    {ARROW_NOT_IMPLEMENTED, FLETCH_UNIMPLEMENTED},
    {ARROW_SERIALIZATION_ERROR, FLETCH_DATA_LOSS},
    {ARROW_ALREADY_EXISTS, FLETCH_ALREADY_EXISTS},
};

static const char code_name[] = "x-arrow-status";
static const char message_name[] = "x-arrow-status-message-bin";
static const char detail_name[] = "x-arrow-status-detail-bin";
static const char rpc_detail_name[] = "grpc-status-details-bin";

/* Whether it begins with two capitals or more, as names of answers are. */
static bool begins_with_name(const char *text)
{
    size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    return length >= 2 && (text[length] == 0 || text[length] == ':' || text[length] == ' ');
}

void fletch_flight_status_text(enum fletch_status status, const char *text,
                               char out_text[FLETCH_FLIGHT_TEXT_BYTES])
{
    *out_text = 0;
    if (status == FLETCH_OK)
        return;
    if (begins_with_name(text))
        (void)snprintf(out_text, FLETCH_FLIGHT_TEXT_BYTES, "%.*s",
                       fletch_utf8_cut(text, FLETCH_FLIGHT_TEXT_BYTES - 1), text);
    else
        (void)snprintf(out_text, FLETCH_FLIGHT_TEXT_BYTES, "%s%s%.*s", fletch_status_name(status),
                       *text == 0 ? "" : ": ", fletch_utf8_cut(text, FLETCH_FLIGHT_TEXT_BYTES - 32),
                       text);
}

void fletch_flight_status_word(struct fletch_grpc_failure *failure)
{
    char text[FLETCH_FLIGHT_TEXT_BYTES];
    size_t code = (size_t)failure->status;
    const char *arrow = code < sizeof arrow_codes / sizeof *arrow_codes ? arrow_codes[code] : NULL;
    fletch_flight_status_text(failure->status, failure->text, text);
    memcpy(failure->text, text, strlen(text) + 1);
    failure->fields[0] =
        fletch_http2_field_of(code_name, arrow == NULL ? arrow_codes[FLETCH_UNKNOWN] : arrow);
    failure->fields[1] = fletch_http2_field_of(message_name, failure->text);
    failure->field_count = 2;
}

/* ---- details ---- */

static const char any_type[] = "type.googleapis.com/google.protobuf.BytesValue";

/* Numbers of fields: of google.rpc.Status, of Any, of BytesValue. */
enum {
    STATUS_CODE = 1,
    STATUS_MESSAGE = 2,
    STATUS_DETAILS = 3,
    ANY_TYPE = 1,
    ANY_VALUE = 2,
    BYTES_VALUE = 1
};

static uint8_t *write_head(uint8_t *at, uint32_t number, size_t bytes)
{
    at = fletch_flight_varint_write(at, fletch_flight_wire_key(number, FLETCH_FLIGHT_WIRE_BYTES));
    return fletch_flight_varint_write(at, bytes);
}

static uint8_t *write_field(uint8_t *at, uint32_t number, const void *data, size_t bytes)
{
    at = write_head(at, number, bytes);
    if (bytes != 0)
        memcpy(at, data, bytes);
    return at + bytes;
}

/* Of a field whose number is small. */
static size_t field_bytes(size_t bytes)
{
    return 1 + fletch_flight_varint_bytes(bytes) + bytes;
}

size_t fletch_flight_detail_write(enum fletch_status status, const char *text,
                                  const struct fletch_flight_bytes *detail, uint8_t *out_bytes)
{
    size_t value_bytes = field_bytes(detail->bytes);
    uint8_t *at = fletch_flight_varint_write(
        out_bytes, fletch_flight_wire_key(STATUS_CODE, FLETCH_FLIGHT_WIRE_VARINT));
    at = fletch_flight_varint_write(at, (uint64_t)status);
    at = write_field(at, STATUS_MESSAGE, text, strlen(text));
    at =
        write_head(at, STATUS_DETAILS, field_bytes(sizeof any_type - 1) + field_bytes(value_bytes));
    at = write_field(at, ANY_TYPE, any_type, sizeof any_type - 1);
    at = write_head(at, ANY_VALUE, value_bytes);
    return (size_t)(write_field(at, BYTES_VALUE, detail->data, detail->bytes) - out_bytes);
}

/* The one field of that number and with bytes. False: there are none, or several. */
static bool find_bytes(const struct fletch_flight_bytes *message, uint32_t number,
                       struct fletch_flight_bytes *out_bytes)
{
    struct fletch_flight_wire wire = fletch_flight_wire_of(message->data, message->bytes);
    struct fletch_flight_wire_field field;
    size_t count = 0;
    while (fletch_flight_wire_next(&wire, &field))
        if (field.number == number && field.type == FLETCH_FLIGHT_WIRE_BYTES) {
            *out_bytes = (struct fletch_flight_bytes){field.data, (size_t)field.value};
            count++;
        }
    return count == 1 && !wire.is_broken;
}

/* What fletch_flight_detail_write was given. False: those are other bytes. */
static bool read_detail(const struct fletch_flight_bytes *status,
                        struct fletch_flight_bytes *out_detail)
{
    struct fletch_flight_bytes any, type, value;
    return find_bytes(status, STATUS_DETAILS, &any) && find_bytes(&any, ANY_TYPE, &type) &&
           type.bytes == sizeof any_type - 1 && memcmp(type.data, any_type, type.bytes) == 0 &&
           find_bytes(&any, ANY_VALUE, &value) && find_bytes(&value, BYTES_VALUE, out_detail);
}

/* A trailer, unless the user has one of that name. False: no memory. */
static bool add(struct fletch_field_list *trailers, const char *name,
                const struct fletch_flight_bytes *value)
{
    const struct fletch_http2_field field = {
        .name = name,
        .value = value->data,
        .name_bytes = (uint32_t)strlen(name),
        .value_bytes = (uint32_t)value->bytes,
    };
    if (fletch_http2_field_find(fletch_field_list_fields(trailers), trailers->count, name) != NULL)
        return true;
    return fletch_field_list_add(trailers, &field);
}

bool fletch_flight_detail_add(struct fletch_field_list *trailers,
                              const struct fletch_flight_bytes *detail,
                              const struct fletch_flight_bytes *status)
{
    if (detail->bytes == 0)
        return true;
    /* Text and both of them are too much for peers' limits. */
    bool is_short = detail->bytes <= DETAIL_BYTES_TWICE;
    return add(trailers, rpc_detail_name, status) &&
           (!is_short || add(trailers, detail_name, detail));
}

/* ---- what came ---- */

void fletch_flight_status_read(const struct fletch_flight_headers *trailers,
                               enum fletch_status *status, const char **text,
                               struct fletch_flight_bytes *detail)
{
    const struct fletch_flight_header *code = fletch_flight_headers_find(trailers, code_name);
    const struct fletch_flight_header *message = fletch_flight_headers_find(trailers, message_name);
    /* Where Flight C++ has both, Arrow's own is but the name of the status. */
    const struct fletch_flight_header *told = fletch_flight_headers_find(trailers, rpc_detail_name);
    if (told == NULL)
        told = fletch_flight_headers_find(trailers, detail_name);
    if (message != NULL && message->value_bytes > strlen(*text))
        *text = message->value;
    if (told != NULL) {
        const struct fletch_flight_bytes bytes = {told->value, told->value_bytes};
        if (!read_detail(&bytes, detail))
            *detail = bytes;
    }
    if (code == NULL || *status != FLETCH_UNKNOWN)
        return;
    unsigned number = 0;
    for (const char *digit = code->value; *digit >= '0' && *digit <= '9' && number < 100; digit++)
        number = number * 10 + (unsigned)(*digit - '0');
    for (size_t i = 0; i < sizeof from_arrow / sizeof *from_arrow; i++)
        if ((unsigned)from_arrow[i].arrow == number)
            *status = from_arrow[i].status;
}
