#include "outcome.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum outcome outcome_tell(enum outcome outcome, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "fletch: %s\n", text);
    return outcome;
}

enum outcome outcome_of(enum fletch_status status)
{
    switch (status) {
    case FLETCH_OK:
        return OUTCOME_DONE;
    case FLETCH_INVALID_ARGUMENT:
    case FLETCH_DATA_LOSS:
    case FLETCH_UNIMPLEMENTED:
    case FLETCH_OUT_OF_RANGE:
        return OUTCOME_INPUT;
    case FLETCH_NOT_FOUND:
    case FLETCH_PERMISSION_DENIED:
    case FLETCH_ALREADY_EXISTS:
    case FLETCH_UNAVAILABLE:
    case FLETCH_RESOURCE_EXHAUSTED:
    case FLETCH_DEADLINE_EXCEEDED:
        return OUTCOME_SYSTEM;
    default:
        return OUTCOME_BUG;
    }
}

enum outcome outcome_tell_error(const char *subject, const struct fletch_error *error)
{
    if (subject == NULL || strncmp(error->message, subject, strlen(subject)) == 0)
        return outcome_tell(outcome_of(error->status), "%s", error->message);
    return outcome_tell(outcome_of(error->status), "%s: %s", subject, error->message);
}

enum outcome outcome_tell_peer(const char *location, const struct fletch_error *error)
{
    struct fletch_error line = *error;
    for (char *at = line.message; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at))
            *at = ' ';
    enum outcome outcome = outcome_tell_error(location, &line);
    return outcome == OUTCOME_BUG ? OUTCOME_SYSTEM : outcome;
}

enum outcome outcome_tell_errno(const char *subject, const char *what)
{
    return outcome_tell(OUTCOME_SYSTEM, "%s: %s: %s", subject, what, strerror(errno));
}

enum outcome outcome_flush(enum outcome outcome)
{
    static bool is_told; /* by an earlier call: what is still in the buffer fails again */
    if (fflush(stdout) == 0 && !ferror(stdout))
        return outcome;
    if (!is_told)
        (void)outcome_tell_errno("standard output", "cannot write");
    is_told = true;
    return outcome == OUTCOME_DONE ? OUTCOME_SYSTEM : outcome;
}
