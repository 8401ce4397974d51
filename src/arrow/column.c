#include "arrow/column.h"

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
