#ifndef FLETCH_BASE_BITS_H
#define FLETCH_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool fletch_is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* `value` rounded up to a multiple of `alignment`, a power of two. The caller knows it fits. */
static inline size_t fletch_round_up(size_t value, size_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

/* The largest power of two that is not above `value`, which is not 0. */
static inline size_t fletch_power_of_two_floor(size_t value)
{
    size_t power = 1;
    while (power <= value / 2)
        power <<= 1;
    return power;
}

/* The smallest power of two that is not below `value`, for 1 <= value <= SIZE_MAX / 2 + 1. */
static inline size_t fletch_power_of_two_ceiling(size_t value)
{
    size_t power = 1;
    while (power < value)
        power <<= 1;
    return power;
}

#endif
