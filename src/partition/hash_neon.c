#include <arm_neon.h>

#include "partition/hash_kernels.h"
#include "partition/hash_mix.h"

/* Two hashes at a time, as hash_avx2.c. The small conversions are left to the compiler, which has
 * NEON wherever there is aarch64. */

enum { LANES = 2 };

static inline uint64x2_t load(const uint8_t *words)
{
    return vreinterpretq_u64_u8(vld1q_u8(words));
}

static inline uint64x2_t multiplied(uint64x2_t x, uint64_t factor)
{
    uint32x2_t factor_low = vdup_n_u32((uint32_t)factor);
    /* 32 bits each: low half by the factor's high half, and the other way round. */
    uint32x4_t swapped = vreinterpretq_u32_u64(vdupq_n_u64(factor << 32 | factor >> 32));
    uint32x4_t crossed = vmulq_u32(vreinterpretq_u32_u64(x), swapped);
    uint64x2_t high = vshlq_n_u64(vpaddlq_u32(crossed), 32);
    return vmlal_u32(high, vmovn_u64(x), factor_low);
}

static inline uint64x2_t mixed(uint64x2_t x)
{
    x = veorq_u64(x, vshrq_n_u64(x, 27));
    x = multiplied(x, FLETCH_HASH_MULTIPLIER_1);
    x = veorq_u64(x, vshrq_n_u64(x, 33));
    x = multiplied(x, FLETCH_HASH_MULTIPLIER_2);
    return veorq_u64(x, vshrq_n_u64(x, 27));
}

static void first(uint64_t *hashes, uint64_t start, const uint8_t *words, size_t count)
{
    uint64x2_t start2 = vdupq_n_u64(start);
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        uint64x2_t x = mixed(vaddq_u64(start2, load(words + 8 * i)));
        uint64x2_t y = mixed(vaddq_u64(start2, load(words + 8 * (i + LANES))));
        vst1q_u64(hashes + i, x);
        vst1q_u64(hashes + i + LANES, y);
    }
    fletch_hash_scalar.first(hashes + i, start, words + 8 * i, count - i);
}

static void next(uint64_t *hashes, const uint8_t *words, size_t count)
{
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        uint64x2_t x = mixed(vaddq_u64(vld1q_u64(hashes + i), load(words + 8 * i)));
        uint64x2_t y =
            mixed(vaddq_u64(vld1q_u64(hashes + i + LANES), load(words + 8 * (i + LANES))));
        vst1q_u64(hashes + i, x);
        vst1q_u64(hashes + i + LANES, y);
    }
    fletch_hash_scalar.next(hashes + i, words + 8 * i, count - i);
}

static void int32_words(uint64_t *words, const uint8_t *source, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vst1q_u64(words + i,
                  vreinterpretq_u64_s64(vmovl_s32(vreinterpret_s32_u8(vld1_u8(source + 4 * i)))));
    fletch_hash_scalar.integers[FLETCH_HASH_INT32](words + i, source + 4 * i, count - i);
}

static void uint32_words(uint64_t *words, const uint8_t *source, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vst1q_u64(words + i, vmovl_u32(vreinterpret_u32_u8(vld1_u8(source + 4 * i))));
    fletch_hash_scalar.integers[FLETCH_HASH_UINT32](words + i, source + 4 * i, count - i);
}

static void int8_words(uint64_t *words, const uint8_t *source, size_t count)
{
    fletch_hash_scalar.integers[FLETCH_HASH_INT8](words, source, count);
}

static void uint8_words(uint64_t *words, const uint8_t *source, size_t count)
{
    fletch_hash_scalar.integers[FLETCH_HASH_UINT8](words, source, count);
}

static void int16_words(uint64_t *words, const uint8_t *source, size_t count)
{
    fletch_hash_scalar.integers[FLETCH_HASH_INT16](words, source, count);
}

static void uint16_words(uint64_t *words, const uint8_t *source, size_t count)
{
    fletch_hash_scalar.integers[FLETCH_HASH_UINT16](words, source, count);
}

static void float_words(uint64_t *words, const uint8_t *source, size_t count)
{
    fletch_hash_scalar.floats(words, source, count);
}

static void double_words(uint64_t *words, const uint8_t *source, size_t count)
{
    const uint64x2_t infinity = vdupq_n_u64(FLETCH_HASH_INFINITY);
    const uint64x2_t nan = vdupq_n_u64(FLETCH_HASH_NAN);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        uint64x2_t bits = load(source + 8 * i);
        uint64x2_t magnitude = vshrq_n_u64(vshlq_n_u64(bits, 1), 1);
        uint64x2_t value = vbicq_u64(bits, vceqzq_u64(magnitude));
        vst1q_u64(words + i, vbslq_u64(vcgtq_u64(magnitude, infinity), nan, value));
    }
    fletch_hash_scalar.doubles(words + i, source + 8 * i, count - i);
}

static void spread_ids(uint16_t *ids, const uint64_t *hashes, size_t count,
                       const struct fletch_hash_spread *spread)
{
    const uint32x4_t mask = vdupq_n_u32(spread->node_mask);
    const uint32x2_t partitions = vdup_n_u32(spread->partition_count);
    const int64x2_t down = vdupq_n_s64(-(int64_t)spread->node_bits);
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        uint32x4_t nodes = vandq_u32(mask, vcombine_u32(vmovn_u64(vld1q_u64(hashes + i)),
                                                        vmovn_u64(vld1q_u64(hashes + i + 2))));
        uint64x2_t low = vshlq_u64(vmull_u32(vget_low_u32(nodes), partitions), down);
        uint64x2_t high = vshlq_u64(vmull_u32(vget_high_u32(nodes), partitions), down);
        uint32x4_t wide = vcombine_u32(vmovn_u64(low), vmovn_u64(high));
        vst1_u16(ids + i, vmovn_u32(wide));
    }
    fletch_hash_scalar.spread(ids + i, hashes + i, count - i, spread);
}

const struct fletch_hash_kernels fletch_hash_neon = {
    .name = "neon",
    .first = first,
    .next = next,
    .integers = {[FLETCH_HASH_INT8] = int8_words,
                 [FLETCH_HASH_INT16] = int16_words,
                 [FLETCH_HASH_INT32] = int32_words,
                 [FLETCH_HASH_UINT8] = uint8_words,
                 [FLETCH_HASH_UINT16] = uint16_words,
                 [FLETCH_HASH_UINT32] = uint32_words},
    .floats = float_words,
    .doubles = double_words,
    .spread = spread_ids,
};
