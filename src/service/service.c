#include "service/service.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"

/* What is left of a call's time for the words that end it. */
enum { MARGIN_SHARE = 8 };
#define MARGIN_NS_MOST UINT64_C(50000000)

void fletch_service_tell(const struct fletch_service *service, struct fletch_flight_stream *stream,
                         const struct fletch_shuffle *shuffle, struct fletch_service_notice *notice)
{
    if (service->options.notice == NULL)
        return;
    notice->shuffle = shuffle == NULL ? "" : shuffle->specification.shown.text;
    notice->peer = fletch_flight_stream_peer(stream);
    if (notice->text == NULL)
        notice->text = "";
    service->options.notice(service->options.user, notice);
}

bool fletch_service_number(const char *text, size_t bytes, uint64_t most, uint64_t *out_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (number > most / 10 || (number == most / 10 && digit > most % 10))
            return false;
        number = number * 10 + digit;
    }
    *out_number = number;
    return bytes > 0;
}

enum fletch_status fletch_service_header(const struct fletch_flight_stream *stream,
                                         const char *name, uint64_t *out_number, bool *out_is_there,
                                         struct fletch_error *error)
{
    const struct fletch_flight_header *header = fletch_flight_stream_header(stream, name);
    *out_is_there = header != NULL;
    if (header == NULL ||
        fletch_service_number(header->value, header->value_bytes, UINT64_MAX, out_number))
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "INVALID_ARGUMENT: header %s is '%.64s', expected a number", name,
                            (const char *)header->value);
}

uint64_t fletch_service_deadline_ns(const struct fletch_flight_stream *stream)
{
    uint64_t left_ns = fletch_flight_stream_remaining_ns(stream);
    if (left_ns == FLETCH_NO_TIMEOUT)
        return FLETCH_NO_DEADLINE;
    uint64_t margin_ns = left_ns / MARGIN_SHARE;
    if (margin_ns > MARGIN_NS_MOST)
        margin_ns = MARGIN_NS_MOST;
    return fletch_clock_deadline_ns(left_ns - margin_ns);
}
