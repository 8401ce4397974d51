#ifndef FLETCH_ARROW_BITMAP_H
#define FLETCH_ARROW_BITMAP_H

/* Bitmaps as Arrow has them: bit i is bit i % 8 of byte i / 8. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool fletch_bitmap_get(const uint8_t *bits, int64_t index)
{
    return (bits[index >> 3] >> (index & 7) & 1) != 0;
}

static inline size_t fletch_bitmap_bytes(int64_t count)
{
    return (size_t)(count / 8 + (count % 8 != 0));
}

/* How many of the `count` bits from bit `first` on are 1. Reads no byte outside them. */
int64_t fletch_bitmap_count(const uint8_t *bits, int64_t first, int64_t count);

/* Copies `count` bits from bit `first` on to bit 0 of `to`; the rest of its last byte is 0. */
void fletch_bitmap_shift(uint8_t *to, const uint8_t *from, int64_t first, int64_t count);

/* Sets the `count` bits of `to` from bit `to_first` on to those of `from` from bit `first` on, or
 * to 1 where `from` is NULL; leaves the other bits of `to`. */
void fletch_bitmap_copy(uint8_t *to, int64_t to_first, const uint8_t *from, int64_t first,
                        int64_t count);

#endif
