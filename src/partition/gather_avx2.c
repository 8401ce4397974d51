#include <immintrin.h>
#include <string.h>

#include "partition/gather.h"

/* Strings and wide values by 32 bytes. Narrow values are as fast one by one: the gather
 * instructions load them one by one too. */

static inline void copy_32(uint8_t *destination, const uint8_t *source)
{
    _mm256_storeu_si256((void *)destination, _mm256_loadu_si256((const void *)source));
}

static void values_32(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        copy_32(destination + 32 * i, source + 32 * (size_t)order[i]);
}

static void values_1(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                     size_t count)
{
    fletch_gather_scalar.values[0](destination, source, order, count);
}

static void values_2(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                     size_t count)
{
    fletch_gather_scalar.values[1](destination, source, order, count);
}

static void values_4(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                     size_t count)
{
    fletch_gather_scalar.values[2](destination, source, order, count);
}

static void values_8(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                     size_t count)
{
    fletch_gather_scalar.values[3](destination, source, order, count);
}

static void values_16(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                      size_t count)
{
    fletch_gather_scalar.values[4](destination, source, order, count);
}

/* ---- past the caches ---- */

enum { LINE = 64 };

static inline long long load_8(const uint8_t *source, uint16_t row)
{
    long long value;
    memcpy(&value, source + 8 * (size_t)row, sizeof value);
    return value;
}

static inline __m128i load_16(const uint8_t *source, uint16_t row)
{
    return _mm_loadu_si128((const void *)(source + 16 * (size_t)row));
}

static inline int load_4(const uint8_t *source, uint16_t row)
{
    int value;
    memcpy(&value, source + 4 * (size_t)row, sizeof value);
    return value;
}

/* 32 bytes of gathered values. They are put together in a register, since one store of it past the
 * caches takes about as long as one of 8 bytes. */
static inline __m256i half_line(const uint8_t *source, const uint16_t *order, size_t width)
{
    if (width == 32)
        return _mm256_loadu_si256((const void *)(source + 32 * (size_t)order[0]));
    if (width == 16)
        return _mm256_set_m128i(load_16(source, order[1]), load_16(source, order[0]));
    if (width == 8)
        return _mm256_setr_epi64x(load_8(source, order[0]), load_8(source, order[1]),
                                  load_8(source, order[2]), load_8(source, order[3]));
    return _mm256_setr_epi32(load_4(source, order[0]), load_4(source, order[1]),
                             load_4(source, order[2]), load_4(source, order[3]),
                             load_4(source, order[4]), load_4(source, order[5]),
                             load_4(source, order[6]), load_4(source, order[7]));
}

static inline void stream_line(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                               size_t width)
{
    _mm256_stream_si256((void *)destination, half_line(source, order, width));
    _mm256_stream_si256((void *)(destination + LINE / 2),
                        half_line(source, order + LINE / 2 / width, width));
}

/* Lines that the list does not fill are written as usual: what they lack comes with other lists,
 * and half a line past the caches costs as much as a whole one. */
static inline void stream_values(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                                 size_t count, unsigned kernel)
{
    size_t width = (size_t)1 << kernel;
    size_t per_line = LINE / width;
    size_t head = (LINE - (uintptr_t)destination % LINE) % LINE / width;
    if ((uintptr_t)destination % width != 0 || head > count)
        head = count;
    fletch_gather_avx2.values[kernel](destination, source, order, head);
    size_t i = head;
    for (; i + per_line <= count; i += per_line)
        stream_line(destination + i * width, source, order + i, width);
    fletch_gather_avx2.values[kernel](destination + i * width, source, order + i, count - i);
}

static void streamed_4(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                       size_t count)
{
    stream_values(destination, source, order, count, 2);
}

static void streamed_8(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                       size_t count)
{
    stream_values(destination, source, order, count, 3);
}

static void streamed_16(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                        size_t count)
{
    stream_values(destination, source, order, count, 4);
}

static void streamed_32(uint8_t *destination, const uint8_t *source, const uint16_t *order,
                        size_t count)
{
    stream_values(destination, source, order, count, 5);
}

static void flush(void)
{
    _mm_sfence();
}

static void bits(uint8_t *destination, size_t at, const struct fletch_gather_bits *source,
                 const uint16_t *order, size_t count)
{
    fletch_gather_scalar.bits(destination, at, source, order, count);
}

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

const struct fletch_gather_kernels fletch_gather_avx2 = {
    .name = "avx2",
    .values = {values_1, values_2, values_4, values_8, values_16, values_32},
    .streamed = {values_1, values_2, streamed_4, streamed_8, streamed_16, streamed_32},
    .flush = flush,
    .bits = bits,
    .strings = strings,
    .stretches = stretches,
};
