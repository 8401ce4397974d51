#ifndef FLETCH_GRPC_GRPC_FIELDS_H
#define FLETCH_GRPC_GRPC_FIELDS_H

/* Headers and trailers as gRPC has them. */

#include "grpc/grpc_machine.h"

/* Begins a list in the connection's scratch; adds to it. False: no memory. */
void fletch_grpc_fields_begin(struct fletch_grpc_connection *connection);
bool fletch_grpc_fields_add(struct fletch_grpc_connection *connection, const char *name,
                            const char *value);

/* INVALID_ARGUMENT: a name that is gRPC's own, a value that is not ASCII; RESOURCE_EXHAUSTED. */
enum fletch_status fletch_grpc_fields_add_metadata(struct fletch_grpc_connection *connection,
                                                   const struct fletch_grpc_metadata *metadata,
                                                   struct fletch_error *error);

/* grpc-status and grpc-message, in the server's words, and the ending's metadata. Errors as
 * above. */
enum fletch_status fletch_grpc_fields_add_ending(struct fletch_grpc_connection *connection,
                                                 const struct fletch_grpc_ending *ending,
                                                 struct fletch_error *error);

/* The value of a field whose name ends in "-bin": decodes it into `out_data`, which has room for as
 * many bytes as the value has. False: it is no base64. */
bool fletch_grpc_field_decode(const struct fletch_http2_field *field, uint8_t *out_data,
                              size_t *out_bytes);

#endif
