#ifndef FLETCH_PARTITION_BIT_RUN_H
#define FLETCH_PARTITION_BIT_RUN_H

/* Runs of bits that are written one behind the other into a bitmap. Up to 8 bytes behind the last
 * bit are overwritten; bits before the first one stay. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that a bitmap which is written so must have behind its last bit. */
enum { FLETCH_BIT_RUN_SLACK = 16 };

/* Appends the low `count` <= 64 bits of `word` at bit `at`; the others must be zero. */
static inline void fletch_bit_run_put(uint8_t *bits, size_t at, uint64_t word, size_t count)
{
    uint8_t *bytes = bits + (at >> 3);
    unsigned shift = at & 7;
    uint64_t low = (bytes[0] & ((1U << shift) - 1)) | word << shift;
    memcpy(bytes, &low, sizeof low);
    if (shift + count > 64)
        bytes[8] = (uint8_t)(word >> (64 - shift));
}

static inline void fletch_bit_run_fill(uint8_t *bits, size_t at, size_t count)
{
    for (; count >= 64; at += 64, count -= 64)
        fletch_bit_run_put(bits, at, UINT64_MAX, 64);
    if (count > 0)
        fletch_bit_run_put(bits, at, UINT64_MAX >> (64 - count), count);
}

static inline void fletch_bit_run_clear(uint8_t *bits, size_t at, size_t count)
{
    for (; count >= 64; at += 64, count -= 64)
        fletch_bit_run_put(bits, at, 0, 64);
    if (count > 0)
        fletch_bit_run_put(bits, at, 0, count);
}

/* `count` <= 57 bits of a source from bit `from` on, reading no byte behind the last of them. */
static inline uint64_t fletch_bit_run_read(const uint8_t *source, size_t from, size_t count)
{
    uint64_t word = 0;
    size_t first = from >> 3;
    memcpy(&word, source + first, ((from + count + 7) >> 3) - first);
    return word >> (from & 7) & (UINT64_MAX >> (64 - count));
}

static inline void fletch_bit_run_copy(uint8_t *bits, size_t at, const uint8_t *source, size_t from,
                                       size_t count)
{
    enum { STEP = 56 };
    for (; count >= STEP; at += STEP, from += STEP, count -= STEP)
        fletch_bit_run_put(bits, at, fletch_bit_run_read(source, from, STEP), STEP);
    if (count > 0)
        fletch_bit_run_put(bits, at, fletch_bit_run_read(source, from, count), count);
}

/* How many of the bits are not set. */
static inline size_t fletch_bit_run_zeros(const uint8_t *bits, size_t count)
{
    size_t ones = 0;
    size_t at = 0;
    for (; at + 56 <= count; at += 56)
        ones += (size_t)__builtin_popcountll(fletch_bit_run_read(bits, at, 56));
    if (at < count)
        ones += (size_t)__builtin_popcountll(fletch_bit_run_read(bits, at, count - at));
    return count - ones;
}

#endif
