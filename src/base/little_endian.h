#ifndef FLETCH_BASE_LITTLE_ENDIAN_H
#define FLETCH_BASE_LITTLE_ENDIAN_H

/* Numbers of 1 to 8 bytes in formats that leave the process: the least byte first, at any place. */

#include <stddef.h>
#include <stdint.h>

static inline void fletch_little_endian_write(uint8_t *to, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(number >> 8 * i);
}

static inline uint64_t fletch_little_endian_read(const uint8_t *from, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number |= (uint64_t)from[i] << 8 * i;
    return number;
}

#endif
