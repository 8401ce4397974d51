#include "partition/gather.h"

#include <string.h>

static inline size_t narrow_offsets(const struct fletch_gather_room *room, const uint8_t *offsets,
                                    const uint16_t *order, size_t count)
{
    int64_t end = room->used_bytes;
    for (size_t i = 0; i < count; i++) {
        int32_t pair[2];
        memcpy(pair, offsets + 4 * (size_t)order[i], sizeof pair);
        end += (int64_t)pair[1] - pair[0];
        if (__builtin_expect(end > room->byte_capacity, 0))
            return i;
        int32_t narrow = (int32_t)end;
        memcpy(room->offsets + 4 * (i + 1), &narrow, sizeof narrow);
    }
    return count;
}

static inline size_t wide_offsets(const struct fletch_gather_room *room, const uint8_t *offsets,
                                  const uint16_t *order, size_t count)
{
    int64_t end = room->used_bytes;
    for (size_t i = 0; i < count; i++) {
        int64_t pair[2];
        memcpy(pair, offsets + 8 * (size_t)order[i], sizeof pair);
        end += pair[1] - pair[0];
        if (__builtin_expect(end > room->byte_capacity, 0))
            return i;
        memcpy(room->offsets + 8 * (i + 1), &end, sizeof end);
    }
    return count;
}

size_t fletch_gather_offsets(const struct fletch_gather_room *room,
                             const struct fletch_gather_strings *source, const uint16_t *order,
                             size_t count)
{
    return source->has_wide_offsets ? wide_offsets(room, source->offsets, order, count)
                                    : narrow_offsets(room, source->offsets, order, count);
}

void fletch_gather_wide_values(uint8_t *destination, const struct fletch_gather_wide *source,
                               const uint16_t *order, size_t count)
{
    size_t width = source->byte_width;
    for (size_t i = 0; width > 0 && i < count; i++)
        memcpy(destination + i * width, source->values + order[i] * width, width);
}
