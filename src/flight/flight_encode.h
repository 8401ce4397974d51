#ifndef FLETCH_FLIGHT_FLIGHT_ENCODE_H
#define FLETCH_FLIGHT_FLIGHT_ENCODE_H

/* Messages of Flight to bytes, in memory of the caller. */

#include "flight/flight_shapes.h"

/* Bytes of a message. INVALID_ARGUMENT; RESOURCE_EXHAUSTED: more than 2^31 - 1. */
enum fletch_status fletch_flight_message_measure(const struct fletch_flight_shape *shape,
                                                 const void *message, size_t *out_bytes,
                                                 struct fletch_error *error);

/* Writes it where so many bytes are; returns the end of it. */
uint8_t *fletch_flight_message_write(const struct fletch_flight_shape *shape, const void *message,
                                     uint8_t *to);

#endif
