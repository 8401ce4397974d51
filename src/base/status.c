#include "base/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static const char *const status_names[] = {
    [FLETCH_OK] = "OK",
    [FLETCH_CANCELLED] = "CANCELLED",
    [FLETCH_UNKNOWN] = "UNKNOWN",
    [FLETCH_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [FLETCH_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [FLETCH_NOT_FOUND] = "NOT_FOUND",
    [FLETCH_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [FLETCH_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [FLETCH_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [FLETCH_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [FLETCH_ABORTED] = "ABORTED",
    [FLETCH_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [FLETCH_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [FLETCH_INTERNAL] = "INTERNAL",
    [FLETCH_UNAVAILABLE] = "UNAVAILABLE",
    [FLETCH_DATA_LOSS] = "DATA_LOSS",
    [FLETCH_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *fletch_status_name(enum fletch_status status)
{
    size_t index = (size_t)status;
    if (index >= sizeof status_names / sizeof status_names[0])
        return "not a status";
    return status_names[index];
}

/* Takes the last character away if the message, which was cut, has not all bytes of it. */
static void drop_part_of_character(char *message, size_t bytes)
{
    size_t lead = bytes;
    while (lead > 0 && bytes - lead < 3 && ((unsigned char)message[lead - 1] & 0xC0) == 0x80)
        lead--;
    if (lead == 0)
        return;
    unsigned char first = (unsigned char)message[--lead];
    size_t whole = 1;
    if (first >= 0xC0)
        whole = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (bytes - lead < whole)
        message[lead] = '\0';
}

enum fletch_status fletch_error_set(struct fletch_error *error, enum fletch_status status,
                                    const char *format, ...)
{
    if (error == NULL)
        return status;
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    int bytes = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    if (bytes >= (int)sizeof error->message)
        drop_part_of_character(error->message, sizeof error->message - 1);
    return status;
}
