#ifndef FLETCH_TESTS_SUPPORT_FLIGHT_RAW_H
#define FLETCH_TESTS_SUPPORT_FLIGHT_RAW_H

#include "support/flight_scene.h"

/* Messages of Flight made by hand, field by field, and sent as they are by either end of a scene's
 * stream. */

enum { FLIGHT_RAW_BYTES_MOST = 1 << 17 };

struct flight_raw {
    uint8_t bytes[FLIGHT_RAW_BYTES_MOST];
    size_t count;
};

void flight_raw_put(struct flight_raw *raw, const void *bytes, size_t count);

/* A field of bytes. */
void flight_raw_field(struct flight_raw *raw, uint32_t number, const void *bytes, size_t count);

/* The descriptor with which a put or an exchange begins. */
void flight_raw_descriptor(struct flight_raw *raw);

void flight_raw_send(struct flight_scene *scene, struct fletch_flight_stream *stream,
                     const struct flight_raw *raw);

#endif
