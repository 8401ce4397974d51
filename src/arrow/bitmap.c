#include "arrow/bitmap.h"

#include <string.h>

static uint64_t load_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

int64_t fletch_bitmap_count(const uint8_t *bits, int64_t first, int64_t count)
{
    int64_t ones = 0;
    int64_t index = first;
    int64_t end = first + count;
    for (; index < end && index % 8 != 0; index++)
        ones += fletch_bitmap_get(bits, index);
    for (; end - index >= 64; index += 64)
        ones += __builtin_popcountll(load_u64(bits + index / 8));
    for (; end - index >= 8; index += 8)
        ones += __builtin_popcount(bits[index / 8]);
    for (; index < end; index++)
        ones += fletch_bitmap_get(bits, index);
    return ones;
}

void fletch_bitmap_shift(uint8_t *to, const uint8_t *from, int64_t first, int64_t count)
{
    if (count == 0)
        return;
    const uint8_t *source = from + first / 8;
    unsigned shift = (unsigned)(first % 8);
    size_t bytes = fletch_bitmap_bytes(count);
    size_t source_bytes = fletch_bitmap_bytes((int64_t)shift + count);
    size_t i = 0;
    if (shift == 0) {
        memcpy(to, source, bytes);
        i = bytes;
    }
    /* 8 bytes out of 9. */
    for (; i + 9 <= source_bytes; i += 8) {
        uint64_t word = load_u64(source + i) >> shift | (uint64_t)source[i + 8] << 1
                                                                                << (63 - shift);
        memcpy(to + i, &word, sizeof word);
    }
    for (; i < bytes; i++) {
        unsigned high = i + 1 < source_bytes ? source[i + 1] : 0;
        to[i] = (uint8_t)((source[i] | high << 8) >> shift);
    }
    if (count % 8 != 0)
        to[bytes - 1] &= (uint8_t)((1U << (count % 8)) - 1);
}

void fletch_bitmap_copy(uint8_t *to, int64_t to_first, const uint8_t *from, int64_t first,
                        int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint8_t mask = (uint8_t)(1U << ((to_first + i) % 8));
        uint8_t *byte = &to[(to_first + i) / 8];
        bool is_set = from == NULL || fletch_bitmap_get(from, first + i);
        *byte = (uint8_t)(is_set ? *byte | mask : *byte & ~mask);
    }
}
