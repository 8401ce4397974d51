#ifndef FLETCH_FLIGHT_FLIGHT_SCHEMA_H
#define FLETCH_FLIGHT_FLIGHT_SCHEMA_H

/* A schema alone, as FlightInfo and SchemaResult carry it: an encapsulated IPC message. */

#include <fletching/flight_types.h>

/* Bytes of the message of a schema; 0: more than 2 GiB. */
size_t fletch_flight_schema_measure(const struct fletch_schema *schema);

/* Writes it into that many bytes, at any address. */
void fletch_flight_schema_write(const struct fletch_schema *schema, uint8_t *to, size_t bytes);

/* Reads one, with or without the marker that stands before the length since 0.15; what comes behind
 * it is not looked at. INVALID_ARGUMENT, UNIMPLEMENTED, RESOURCE_EXHAUSTED. */
enum fletch_status fletch_flight_schema_read(struct fletch_flight_bytes message,
                                             const struct fletch_allocator *allocator,
                                             struct fletch_schema **out_schema,
                                             struct fletch_error *error);

#endif
