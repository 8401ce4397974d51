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

uint64_t fletch_span_bytes(const struct fletch_type *type, enum fletch_span_kind kind, uint64_t end)
{
    const uint64_t width = fletch_type_byte_width(type);
    switch (kind) {
    case FLETCH_SPAN_VALIDITY:
    case FLETCH_SPAN_BITS:
        return (end + 7) / 8;
    case FLETCH_SPAN_VALUES:
        return width != 0 && end > UINT64_MAX / width ? UINT64_MAX : end * width;
    case FLETCH_SPAN_OFFSETS32:
        return (end + 1) * sizeof(int32_t);
    case FLETCH_SPAN_OFFSETS64:
        return (end + 1) * sizeof(int64_t);
    case FLETCH_SPAN_BYTES:
        break;
    }
    return 0;
}
