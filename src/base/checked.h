#ifndef FLETCH_BASE_CHECKED_H
#define FLETCH_BASE_CHECKED_H

/* Arithmetic that says when a result does not fit: true and `*out_result` written, or false. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool fletch_checked_add(size_t a, size_t b, size_t *out_result)
{
    if (b > SIZE_MAX - a)
        return false;
    *out_result = a + b;
    return true;
}

static inline bool fletch_checked_multiply(size_t a, size_t b, size_t *out_result)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out_result = a * b;
    return true;
}

/* Sum that stays at UINT64_MAX instead of wrapping: for deadlines. */
static inline uint64_t fletch_saturating_add_u64(uint64_t a, uint64_t b)
{
    return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

#endif
