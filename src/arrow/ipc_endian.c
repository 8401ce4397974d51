#include "arrow/ipc_endian.h"

/* ---- numbers of one width ---- */

static void turn16(uint16_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (uint16_t)(values[i] << 8 | values[i] >> 8);
}

static void turn32(uint32_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = __builtin_bswap32(values[i]);
}

static void turn64(uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = __builtin_bswap64(values[i]);
}

/* Numbers of `words` words each, whose words change places too. */
static void turn_words(uint64_t *values, size_t count, size_t words)
{
    for (size_t i = 0; i < count; i++, values += words)
        for (size_t low = 0, high = words - 1; low < high; low++, high--) {
            uint64_t word = __builtin_bswap64(values[low]);
            values[low] = __builtin_bswap64(values[high]);
            values[high] = word;
        }
}

static void turn(uint8_t *data, size_t bytes, size_t width)
{
    void *values = data;
    size_t count = bytes / width;
    if (width == 2)
        turn16(values, count);
    else if (width == 4)
        turn32(values, count);
    else if (width == 8)
        turn64(values, count);
    else
        turn_words(values, count, width / sizeof(uint64_t));
}

/* ---- values of several numbers ---- */

struct month_day_nano {
    uint32_t months;
    uint32_t days;
    uint64_t nanoseconds;
};

/* What stands in a view, or begins it, are bytes. */
static void turn_views(uint8_t *data, size_t bytes)
{
    struct fletch_string_view *views = (void *)data;
    for (size_t i = 0; i < bytes / sizeof *views; i++) {
        views[i].bytes = (int32_t)__builtin_bswap32((uint32_t)views[i].bytes);
        if (views[i].bytes <= FLETCH_VIEW_INLINE_BYTES)
            continue;
        views[i].buffer = (int32_t)__builtin_bswap32((uint32_t)views[i].buffer);
        views[i].offset = (int32_t)__builtin_bswap32((uint32_t)views[i].offset);
    }
}

static void turn_month_day_nano(uint8_t *data, size_t bytes)
{
    struct month_day_nano *values = (void *)data;
    for (size_t i = 0; i < bytes / sizeof *values; i++) {
        values[i].months = __builtin_bswap32(values[i].months);
        values[i].days = __builtin_bswap32(values[i].days);
        values[i].nanoseconds = __builtin_bswap64(values[i].nanoseconds);
    }
}

/* ---- spans ---- */

/* Bytes of a number in the span; 1: it has no order; 0: not all of one width. */
static size_t number_bytes(const struct fletch_type *type, enum fletch_span_kind kind)
{
    switch (kind) {
    case FLETCH_SPAN_VALIDITY:
    case FLETCH_SPAN_BITS:
    case FLETCH_SPAN_BYTES:
    case FLETCH_SPAN_TYPE_IDS:
        return 1;
    case FLETCH_SPAN_OFFSETS32:
    case FLETCH_SPAN_STARTS32:
    case FLETCH_SPAN_SIZES32:
        return sizeof(int32_t);
    case FLETCH_SPAN_OFFSETS64:
    case FLETCH_SPAN_STARTS64:
    case FLETCH_SPAN_SIZES64:
        return sizeof(int64_t);
    case FLETCH_SPAN_VIEWS:
        return 0;
    case FLETCH_SPAN_VALUES:
        break;
    }
    if (type->id == FLETCH_TYPE_FIXED_SIZE_BINARY)
        return 1;
    if (type->id == FLETCH_TYPE_INTERVAL_DAY_TIME)
        return sizeof(int32_t);
    return type->id == FLETCH_TYPE_INTERVAL_MONTH_DAY_NANO ? 0 : fletch_type_byte_width(type);
}

bool fletch_ipc_span_has_order(const struct fletch_type *type, enum fletch_span_kind kind)
{
    return number_bytes(type, kind) != 1;
}

void fletch_ipc_span_turn(const struct fletch_type *type, enum fletch_span_kind kind, uint8_t *data,
                          size_t bytes)
{
    size_t width = number_bytes(type, kind);
    if (kind == FLETCH_SPAN_VIEWS)
        turn_views(data, bytes);
    else if (width == 0)
        turn_month_day_nano(data, bytes);
    else
        turn(data, bytes, width);
}
