#ifndef FLETCH_FLIGHT_FLIGHT_STATUS_H
#define FLETCH_FLIGHT_FLIGHT_STATUS_H

/* Statuses both ways: gRPC's code and text, and the trailers in which Arrow's own implementations
 * tell theirs beside it. */

#include "flight/flight_headers.h"
#include "grpc/grpc_connection.h"

/* Peers drop headers of some KiB, and a text is carried three times. */
enum { FLETCH_FLIGHT_TEXT_BYTES = 1025, FLETCH_FLIGHT_DETAIL_BYTES_MOST = 2048 };

/* Of a text and a detail as google.rpc.Status, in which the detail is a google.protobuf.BytesValue
 * within a google.protobuf.Any: no more than these two and so many bytes more. */
enum { FLETCH_FLIGHT_DETAIL_COST = 96 };

/* Writes `text` so that it begins with the name of the status, unless it begins with a name in
 * capitals already ("CONSUMED: ..."), cut between characters to what fits. OK: "". */
void fletch_flight_status_text(enum fletch_status status, const char *text,
                               char out_text[FLETCH_FLIGHT_TEXT_BYTES]);

/* For servers of gRPC (grpc/grpc_connection.h): what all failures say. */
void fletch_flight_status_word(struct fletch_grpc_failure *failure);

/* The detail of a failure as bytes of google.rpc.Status; returns how many. */
size_t fletch_flight_detail_write(enum fletch_status status, const char *text,
                                  const struct fletch_flight_bytes *detail, uint8_t *out_bytes);

/* Adds trailers with the detail, and with what fletch_flight_detail_write has made of it, but those
 * that are there already. False: no memory. */
bool fletch_flight_detail_add(struct fletch_field_list *trailers,
                              const struct fletch_flight_bytes *detail,
                              const struct fletch_flight_bytes *status);

/* What trailers tell beyond gRPC's own: a text that is longer than `text`, the detail, and, where
 * gRPC's status is UNKNOWN, a better one. The detail is what fletch_flight_detail_write was given,
 * or the whole trailer where that was made otherwise. What they do not tell stays as it is. */
void fletch_flight_status_read(const struct fletch_flight_headers *trailers,
                               enum fletch_status *status, const char **text,
                               struct fletch_flight_bytes *detail);

#endif
