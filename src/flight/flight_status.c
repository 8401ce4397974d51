#include "flight/flight_status.h"

#include <stdio.h>
#include <string.h>

#include "arrow/utf8.h"
#include "base/status.h"

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
    int cut = fletch_utf8_cut(text, FLETCH_FLIGHT_TEXT_BYTES - 32);
    *out_text = 0;
    if (status == FLETCH_OK)
        return;
    if (begins_with_name(text))
        (void)snprintf(out_text, FLETCH_FLIGHT_TEXT_BYTES, "%.*s", cut, text);
    else
        (void)snprintf(out_text, FLETCH_FLIGHT_TEXT_BYTES, "%s%s%.*s", fletch_status_name(status),
                       *text == 0 ? "" : ": ", cut, text);
}

static bool add(struct fletch_field_list *trailers, const char *name, const void *value,
                size_t bytes)
{
    const struct fletch_http2_field field = {
        .name = name,
        .value = value,
        .name_bytes = (uint32_t)strlen(name),
        .value_bytes = (uint32_t)bytes,
    };
    return fletch_field_list_add(trailers, &field);
}

bool fletch_flight_status_write(struct fletch_field_list *trailers, enum fletch_status status,
                                const char *text, const struct fletch_flight_bytes *detail)
{
    size_t code = (size_t)status;
    const char *arrow = code < sizeof arrow_codes / sizeof *arrow_codes ? arrow_codes[code] : NULL;
    if (status == FLETCH_OK)
        return true;
    if (arrow == NULL)
        arrow = arrow_codes[FLETCH_UNKNOWN];
    return add(trailers, code_name, arrow, strlen(arrow)) &&
           add(trailers, message_name, text, strlen(text)) &&
           (detail->bytes == 0 || add(trailers, detail_name, detail->data, detail->bytes));
}

void fletch_flight_status_read(const struct fletch_flight_headers *trailers,
                               enum fletch_status *status, const char **text,
                               struct fletch_flight_bytes *detail)
{
    const struct fletch_flight_header *code = fletch_flight_headers_find(trailers, code_name);
    const struct fletch_flight_header *message = fletch_flight_headers_find(trailers, message_name);
    const struct fletch_flight_header *told = fletch_flight_headers_find(trailers, detail_name);
    if (told == NULL)
        told = fletch_flight_headers_find(trailers, rpc_detail_name);
    if (message != NULL && message->value_bytes > strlen(*text))
        *text = message->value;
    if (told != NULL)
        *detail = (struct fletch_flight_bytes){told->value, told->value_bytes};
    if (code == NULL || *status != FLETCH_UNKNOWN)
        return;
    unsigned number = 0;
    for (const char *digit = code->value; *digit >= '0' && *digit <= '9' && number < 100; digit++)
        number = number * 10 + (unsigned)(*digit - '0');
    for (size_t i = 0; i < sizeof from_arrow / sizeof *from_arrow; i++)
        if ((unsigned)from_arrow[i].arrow == number)
            *status = from_arrow[i].status;
}
