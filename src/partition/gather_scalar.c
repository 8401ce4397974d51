#include <string.h>

#include "partition/bit_run.h"
#include "partition/gather.h"

/* A memcpy of a constant size is a load and a store. */
#define DEFINE_VALUES(width) \
    static void values_##width(uint8_t *destination, const uint8_t *source, const uint16_t *order, \
                               size_t count) \
    { \
        size_t i = 0; \
        for (; i + 4 <= count; i += 4) { \
            memcpy(destination + (i + 0) * (width), source + order[i + 0] * (size_t)(width), \
                   width); \
            memcpy(destination + (i + 1) * (width), source + order[i + 1] * (size_t)(width), \
                   width); \
            memcpy(destination + (i + 2) * (width), source + order[i + 2] * (size_t)(width), \
                   width); \
            memcpy(destination + (i + 3) * (width), source + order[i + 3] * (size_t)(width), \
                   width); \
        } \
        for (; i < count; i++) \
            memcpy(destination + i * (width), source + order[i] * (size_t)(width), width); \
    }

DEFINE_VALUES(1)
DEFINE_VALUES(2)
DEFINE_VALUES(4)
DEFINE_VALUES(8)
DEFINE_VALUES(16)
DEFINE_VALUES(32)

static void bits(uint8_t *destination, size_t at, const struct fletch_gather_bits *source,
                 const uint16_t *order, size_t count)
{
    const uint8_t *bytes = source->bits + (source->first >> 3);
    size_t shift = source->first & 7;
    while (count > 0) {
        size_t step = count < 64 ? count : 64;
        uint64_t word = 0;
        for (size_t i = 0; i < step; i++) {
            size_t from = order[i] + shift;
            word |= (uint64_t)(bytes[from >> 3] >> (from & 7) & 1) << i;
        }
        fletch_bit_run_put(destination, at, word, step);
        at += step;
        order += step;
        count -= step;
    }
}

struct string {
    int64_t start;
    size_t length;
};

static inline struct string string_at(const uint8_t *offsets, size_t index, bool is_wide)
{
    if (is_wide) {
        int64_t wide[2];
        memcpy(wide, offsets + 8 * index, sizeof wide);
        return (struct string){wide[0], (size_t)(wide[1] - wide[0])};
    }
    int32_t narrow[2];
    memcpy(narrow, offsets + 4 * index, sizeof narrow);
    return (struct string){narrow[0], (size_t)((int64_t)narrow[1] - narrow[0])};
}

/* Whole steps of 16 bytes are copied; what is too much is overwritten by the next string. Near the
 * end of the source, where a step could read too far, each string is copied exactly. */
static inline void copy_strings(uint8_t *destination, const struct fletch_gather_strings *source,
                                const uint16_t *order, size_t count, bool is_wide)
{
    int64_t loose_end = (int64_t)source->byte_count - FLETCH_GATHER_SLACK;
    for (size_t i = 0; i < count; i++) {
        struct string string = string_at(source->offsets, order[i], is_wide);
        if (string.start + (int64_t)string.length <= loose_end) {
            const uint8_t *from = source->bytes + string.start;
            memcpy(destination, from, 16);
            for (size_t at = 16; at < string.length; at += 16)
                memcpy(destination + at, from + at, 16);
        } else if (string.length > 0) {
            memcpy(destination, source->bytes + string.start, string.length);
        }
        destination += string.length;
    }
}

static void strings(uint8_t *destination, const struct fletch_gather_strings *source,
                    const uint16_t *order, size_t count)
{
    if (source->has_wide_offsets)
        copy_strings(destination, source, order, count, true);
    else
        copy_strings(destination, source, order, count, false);
}

/* Most stretches are short, and of few lengths: 64 bytes are always copied. */
static void stretches(uint8_t *destination, const struct fletch_gather_elements *source,
                      const struct fletch_stretch *stretches, size_t count)
{
    size_t width = source->byte_width;
    for (size_t i = 0; i < count; i++) {
        size_t first = stretches[i].first * width;
        size_t bytes = stretches[i].count * width;
        const uint8_t *from = source->bytes + first;
        if (__builtin_expect(first + bytes + FLETCH_GATHER_SLACK > source->byte_count, 0) ||
            bytes >= FLETCH_GATHER_LONG) {
            if (bytes > 0)
                memcpy(destination, from, bytes);
        } else {
            memcpy(destination, from, 64);
            for (size_t at = 64; at < bytes; at += 32)
                memcpy(destination + at, from + at, 32);
        }
        destination += bytes;
    }
}

static void flush(void)
{
}

const struct fletch_gather_kernels fletch_gather_scalar = {
    .name = "scalar",
    .values = {values_1, values_2, values_4, values_8, values_16, values_32},
    .streamed = {values_1, values_2, values_4, values_8, values_16, values_32},
    .flush = flush,
    .bits = bits,
    .strings = strings,
    .stretches = stretches,
};
