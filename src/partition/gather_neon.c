#include <arm_neon.h>
#include <string.h>

#include "partition/gather.h"

/* Strings and wide values by 32 bytes, as gather_avx2.c. Narrower values are moved by the scalar
 * loops, which use the same registers; stores past the caches are not to be had. */

static inline void copy_32(uint8_t *destination, const uint8_t *source)
{
    vst1q_u8_x2(destination, vld1q_u8_x2(source));
}

static void values_32(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        copy_32(destination + 32 * i, source + 32 * (size_t)order[i]);
}

static void values_16(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        vst1q_u8(destination + 16 * i, vld1q_u8(source + 16 * (size_t)order[i]));
}

/* Two values for each store. */
static void values_8(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                     size_t count)
{
    size_t i = 0;
    for (; i + 2 <= count; i += 2)
        vst1q_u8(destination + 8 * i, vcombine_u8(vld1_u8(source + 8 * (size_t)order[i]),
                                                  vld1_u8(source + 8 * (size_t)order[i + 1])));
    fletch_gather_scalar.values[3](destination + 8 * i, source, order + i, count - i);
}

static void values_4(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                     size_t count)
{
    fletch_gather_scalar.values[2](destination, source, order, count);
}

static void values_2(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                     size_t count)
{
    fletch_gather_scalar.values[1](destination, source, order, count);
}

static void values_1(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                     size_t count)
{
    fletch_gather_scalar.values[0](destination, source, order, count);
}

static void flush(void)
{
}

static void bits(uint8_t *destination, size_t at, const struct fletch_gather_bits *source,
                 const uint16_t *order, size_t count)
{
    fletch_gather_scalar.bits(destination, at, source, order, count);
}

/* Whole registers, with room behind the destination for what is too much. */
static inline void copy_string(uint8_t *destination, const struct fletch_gather_strings *source,
                               int64_t start, size_t length)
{
    const uint8_t *from = source->bytes + start;
    if (__builtin_expect(
            start + (int64_t)length > (int64_t)source->byte_count - FLETCH_GATHER_SLACK, 0)) {
        if (length > 0)
            memcpy(destination, from, length);
        return;
    }
    copy_32(destination, from);
    for (size_t at = 32; at < length; at += 32)
        copy_32(destination + at, from + at);
}

static void strings(uint8_t *destination, const struct fletch_gather_strings *source,
                    const uint16_t *order, size_t count)
{
    if (source->is_short || source->has_wide_offsets) {
        fletch_gather_scalar.strings(destination, source, order, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        int32_t pair[2];
        memcpy(pair, source->offsets + 4 * (size_t)order[i], sizeof pair);
        size_t length = (size_t)((int64_t)pair[1] - pair[0]);
        copy_string(destination, source, pair[0], length);
        destination += length;
    }
}

/* Most stretches are short, and of few lengths: two registers are always copied. */
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
            copy_32(destination, from);
            copy_32(destination + 32, from + 32);
            for (size_t at = 64; at < bytes; at += 32)
                copy_32(destination + at, from + at);
        }
        destination += bytes;
    }
}

const struct fletch_gather_kernels fletch_gather_neon = {
    .name = "neon",
    .values = {values_1, values_2, values_4, values_8, values_16, values_32},
    .streamed = {values_1, values_2, values_4, values_8, values_16, values_32},
    .flush = flush,
    .bits = bits,
    .strings = strings,
    .stretches = stretches,
};
