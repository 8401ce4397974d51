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

/* ---- shifted ---- */

typedef uint32_t four_offsets __attribute__((vector_size(16)));

/* Shifts the `count` offsets from `from` on. Eight at once, also where fewer are wanted: a loop of
 * some few turns, each time another number, is what the processor foresees worst. `is_padded`: as
 * many as are read at once can be read behind the last one. */
static inline void shift_narrow(uint8_t *to, const uint8_t *from, size_t count, uint32_t shift,
                                bool is_padded)
{
    enum { EACH = 8 };
    size_t done = 0;
    for (; is_padded && done < count; done += EACH) {
        four_offsets low;
        four_offsets high;
        memcpy(&low, from + 4 * done, sizeof low);
        memcpy(&high, from + 4 * done + 16, sizeof high);
        low += shift;
        high += shift;
        memcpy(to + 4 * done, &low, sizeof low);
        memcpy(to + 4 * done + 16, &high, sizeof high);
    }
    for (; done < count; done++) {
        uint32_t offset;
        memcpy(&offset, from + 4 * done, sizeof offset);
        offset += shift;
        memcpy(to + 4 * done, &offset, sizeof offset);
    }
}

static void shifted_narrow(uint8_t *destination, const struct fletch_gather_offsets_source *source,
                           const struct fletch_stretch *stretches, size_t count)
{
    uint32_t end;
    memcpy(&end, destination, sizeof end);
    for (size_t i = 0; i < count; i++) {
        size_t first = 4 * ((size_t)stretches[i].first + 1);
        size_t bytes = 4 * (size_t)stretches[i].count;
        shift_narrow(destination + 4, source->offsets + first, stretches[i].count,
                     end - source->below[i].first,
                     first + bytes + FLETCH_GATHER_SLACK <= source->byte_count);
        destination += bytes;
        end += source->below[i].count;
    }
}

static void shifted_wide(uint8_t *destination, const struct fletch_gather_offsets_source *source,
                         const struct fletch_stretch *stretches, size_t count)
{
    int64_t end;
    memcpy(&end, destination, sizeof end);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = source->offsets + 8 * ((size_t)stretches[i].first + 1);
        int64_t shift = end - source->below[i].first;
        for (size_t done = 0; done < stretches[i].count; done++) {
            int64_t offset;
            memcpy(&offset, from + 8 * done, sizeof offset);
            offset += shift;
            destination += 8;
            memcpy(destination, &offset, sizeof offset);
        }
        end += source->below[i].count;
    }
}

void fletch_gather_shifted_offsets(uint8_t *destination,
                                   const struct fletch_gather_offsets_source *source,
                                   const struct fletch_stretch *stretches, size_t count)
{
    if (source->has_wide_offsets)
        shifted_wide(destination, source, stretches, count);
    else
        shifted_narrow(destination, source, stretches, count);
}

void fletch_gather_wide_values(uint8_t *destination, const struct fletch_gather_wide *source,
                               const uint16_t *order, size_t count)
{
    size_t width = source->byte_width;
    for (size_t i = 0; width > 0 && i < count; i++)
        memcpy(destination + i * width, source->values + order[i] * width, width);
}
