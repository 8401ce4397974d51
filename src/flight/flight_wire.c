#include "flight/flight_wire.h"

#include "base/little_endian.h"

bool fletch_flight_varint_read(const uint8_t **at, const uint8_t *end, uint64_t *out_value)
{
    const uint8_t *next = *at;
    uint64_t value = 0;
    for (unsigned shift = 0; next < end && shift < 64; shift += 7) {
        uint8_t byte = *next++;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *at = next;
            *out_value = value;
            return true;
        }
    }
    return false;
}

size_t fletch_flight_varint_bytes(uint64_t value)
{
    size_t bytes = 1;
    for (; value >= 0x80; value >>= 7)
        bytes++;
    return bytes;
}

uint8_t *fletch_flight_varint_write(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

bool fletch_flight_wire_key_is_valid(uint64_t key)
{
    unsigned type = (unsigned)(key & 7);
    bool is_known = type == FLETCH_FLIGHT_WIRE_VARINT || type == FLETCH_FLIGHT_WIRE_64 ||
                    type == FLETCH_FLIGHT_WIRE_BYTES || type == FLETCH_FLIGHT_WIRE_32;
    return is_known && key >> 3 != 0 && key >> 3 < UINT64_C(1) << 29;
}

/* A number of `bytes` bytes, the least one first. */
static bool read_fixed(struct fletch_flight_wire *wire, size_t bytes, uint64_t *out_value)
{
    if ((size_t)(wire->end - wire->at) < bytes)
        return false;
    *out_value = fletch_little_endian_read(wire->at, bytes);
    wire->at += bytes;
    return true;
}

static bool read_value(struct fletch_flight_wire *wire, struct fletch_flight_wire_field *field)
{
    if (field->type == FLETCH_FLIGHT_WIRE_64)
        return read_fixed(wire, 8, &field->value);
    if (field->type == FLETCH_FLIGHT_WIRE_32)
        return read_fixed(wire, 4, &field->value);
    if (!fletch_flight_varint_read(&wire->at, wire->end, &field->value))
        return false;
    if (field->type != FLETCH_FLIGHT_WIRE_BYTES)
        return true;
    if (field->value > (uint64_t)(wire->end - wire->at))
        return false;
    field->data = wire->at;
    wire->at += field->value;
    return true;
}

bool fletch_flight_wire_next(struct fletch_flight_wire *wire,
                             struct fletch_flight_wire_field *out_field)
{
    uint64_t key = 0;
    if (wire->is_broken || wire->at == wire->end)
        return false;
    *out_field = (struct fletch_flight_wire_field){0};
    bool is_key = fletch_flight_varint_read(&wire->at, wire->end, &key) &&
                  fletch_flight_wire_key_is_valid(key);
    if (is_key) {
        out_field->number = (uint32_t)(key >> 3);
        out_field->type = (enum fletch_flight_wire_type)(key & 7);
    }
    wire->is_broken = !is_key || !read_value(wire, out_field);
    return !wire->is_broken;
}
