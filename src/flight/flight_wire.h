#ifndef FLETCH_FLIGHT_FLIGHT_WIRE_H
#define FLETCH_FLIGHT_FLIGHT_WIRE_H

/* The wire format of protobuf, as far as Flight's messages have it: varints, 64-bit and 32-bit
 * numbers, and lengths with bytes. Nothing here allocates or follows what the bytes say further
 * than they go. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fletch_flight_wire_type {
    FLETCH_FLIGHT_WIRE_VARINT = 0,
    FLETCH_FLIGHT_WIRE_64 = 1,
    FLETCH_FLIGHT_WIRE_BYTES = 2,
    FLETCH_FLIGHT_WIRE_32 = 5
};

enum { FLETCH_FLIGHT_VARINT_BYTES = 10 }; /* at most */

/* What is left to read of a message. */
struct fletch_flight_wire {
    const uint8_t *at;
    const uint8_t *end;
    bool is_broken; /* it is no message from here on */
};

struct fletch_flight_wire_field {
    uint32_t number;
    enum fletch_flight_wire_type type;
    uint64_t value;      /* a number's bits, or the length of the bytes */
    const uint8_t *data; /* BYTES */
};

static inline struct fletch_flight_wire fletch_flight_wire_of(const void *data, size_t bytes)
{
    return (struct fletch_flight_wire){data, (const uint8_t *)data + bytes, false};
}

/* A varint from `*at`, which moves behind it, before `end`. False: there is none, whole and within
 * 64 bits. */
bool fletch_flight_varint_read(const uint8_t **at, const uint8_t *end, uint64_t *out_value);

/* How many bytes it takes. */
size_t fletch_flight_varint_bytes(uint64_t value);

/* Writes it; returns the end of it. */
uint8_t *fletch_flight_varint_write(uint8_t *at, uint64_t value);

/* A field's key. */
static inline uint64_t fletch_flight_wire_key(uint32_t number, enum fletch_flight_wire_type type)
{
    return (uint64_t)number << 3 | (uint64_t)type;
}

/* Whether a key is one of a field that protobuf can have, without groups. */
bool fletch_flight_wire_key_is_valid(uint64_t key);

/* The next field. False: there are no more, or it is broken. */
bool fletch_flight_wire_next(struct fletch_flight_wire *wire,
                             struct fletch_flight_wire_field *out_field);

#endif
