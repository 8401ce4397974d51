#ifndef FLETCH_FLIGHT_FLIGHT_STATUS_H
#define FLETCH_FLIGHT_FLIGHT_STATUS_H

/* Statuses both ways: gRPC's code and text, and the trailers in which Arrow's own implementations
 * tell theirs beside it. */

#include "flight/flight_headers.h"

/* Peers drop headers of some KiB, and a text is carried up to three times. */
enum { FLETCH_FLIGHT_TEXT_BYTES = 1025, FLETCH_FLIGHT_DETAIL_BYTES_MOST = 2048 };

/* Writes `text` so that it begins with the name of the status, unless it begins with a name in
 * capitals already ("CONSUMED: ..."), cut between characters to what fits. OK: "". */
void fletch_flight_status_text(enum fletch_status status, const char *text,
                               char out_text[FLETCH_FLIGHT_TEXT_BYTES]);

/* Adds a failure's trailers. False: no memory. */
bool fletch_flight_status_write(struct fletch_field_list *trailers, enum fletch_status status,
                                const char *text, const struct fletch_flight_bytes *detail);

/* What trailers tell beyond gRPC's own: a text that is longer than `text`, the detail, and, where
 * gRPC's status is UNKNOWN, a better one. What they do not tell stays as it is. */
void fletch_flight_status_read(const struct fletch_flight_headers *trailers,
                               enum fletch_status *status, const char **text,
                               struct fletch_flight_bytes *detail);

#endif
