#ifndef FLETCH_FLIGHT_FLIGHT_HEADERS_H
#define FLETCH_FLIGHT_FLIGHT_HEADERS_H

/* Headers and trailers: a copy of what came, and lists of what is to go. */

#include <fletching/flight_stream.h>

#include "grpc/grpc_call.h"

/* Of headers to go, in all. */
enum { FLETCH_FLIGHT_HEADER_BYTES_MOST = 8192 };

struct fletch_flight_headers {
    const struct fletch_flight_header *items; /* one block with their text; NULL: none */
    size_t count;
};

/* Copies metadata that came, without names that begin with ':'; values of names that end in "-bin"
 * are decoded, and dropped where they are no base64. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_flight_headers_copy(const struct fletch_grpc_metadata *metadata,
                                              const struct fletch_allocator *allocator,
                                              struct fletch_flight_headers *out_headers,
                                              struct fletch_error *error);
void fletch_flight_headers_free(struct fletch_flight_headers *headers);

/* The first of that name, or NULL. */
const struct fletch_flight_header *
fletch_flight_headers_find(const struct fletch_flight_headers *headers, const char *name);

/* Adds a copy to a list. INVALID_ARGUMENT: a name or a value that none can have;
 * RESOURCE_EXHAUSTED: no memory, or too many bytes. */
enum fletch_status fletch_flight_headers_add(struct fletch_field_list *list,
                                             const struct fletch_flight_header *header,
                                             struct fletch_error *error);

#endif
