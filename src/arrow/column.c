#include "arrow/column.h"

#include <string.h>

int64_t fletch_bits_count(const uint8_t *bits, int64_t first, int64_t count)
{
    int64_t set = 0;
    const int64_t end = first + count;
    for (; first < end && (first & 7) != 0; first++)
        set += fletch_bit_is_set(bits, first);
    const uint8_t *bytes = bits + (first >> 3);
    for (; end - first >= 64; first += 64, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        set += __builtin_popcountll(word);
    }
    for (; first < end; first++)
        set += fletch_bit_is_set(bits, first);
    return set;
}
