#include <immintrin.h>

#include "partition/hash_kernels.h"
#include "partition/hash_mix.h"

/* Four hashes at a time. AVX2 has no 64-bit multiplication: a product is put together from the
 * three 32-bit ones that reach its low half. What is left over goes to the scalar variant. */

enum { LANES = 4 };

static inline __m256i load(const void *source)
{
    return _mm256_loadu_si256(source);
}

static inline __m256i repeat(uint64_t value)
{
    return _mm256_set1_epi64x((int64_t)value);
}

static inline __m256i multiplied(__m256i x, uint64_t factor)
{
    __m256i low = _mm256_mul_epu32(x, repeat(factor));
    /* 32 bits each: low half by the factor's high half, and the other way round. */
    __m256i crossed = _mm256_mullo_epi32(x, repeat(factor << 32 | factor >> 32));
    __m256i sum = _mm256_add_epi32(crossed, _mm256_shuffle_epi32(crossed, 0xb1));
    return _mm256_add_epi64(low, _mm256_slli_epi64(sum, 32));
}

static inline __m256i mixed(__m256i x)
{
    x = _mm256_xor_si256(x, _mm256_srli_epi64(x, 27));
    x = multiplied(x, FLETCH_HASH_MULTIPLIER_1);
    x = _mm256_xor_si256(x, _mm256_srli_epi64(x, 33));
    x = multiplied(x, FLETCH_HASH_MULTIPLIER_2);
    return _mm256_xor_si256(x, _mm256_srli_epi64(x, 27));
}

static void first(uint64_t *hashes, uint64_t start, const uint8_t *words, size_t count)
{
    __m256i start4 = repeat(start);
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        __m256i x = mixed(_mm256_add_epi64(start4, load(words + 8 * i)));
        __m256i y = mixed(_mm256_add_epi64(start4, load(words + 8 * (i + LANES))));
        _mm256_storeu_si256((void *)(hashes + i), x);
        _mm256_storeu_si256((void *)(hashes + i + LANES), y);
    }
    fletch_hash_scalar.first(hashes + i, start, words + 8 * i, count - i);
}

static void next(uint64_t *hashes, const uint8_t *words, size_t count)
{
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        __m256i x = mixed(_mm256_add_epi64(load(hashes + i), load(words + 8 * i)));
        __m256i y =
            mixed(_mm256_add_epi64(load(hashes + i + LANES), load(words + 8 * (i + LANES))));
        _mm256_storeu_si256((void *)(hashes + i), x);
        _mm256_storeu_si256((void *)(hashes + i + LANES), y);
    }
    fletch_hash_scalar.next(hashes + i, words + 8 * i, count - i);
}

static inline __m128i load_4_bytes(const uint8_t *source)
{
    int32_t bytes;
    memcpy(&bytes, source, sizeof bytes);
    return _mm_cvtsi32_si128(bytes);
}

static void int8_words(uint64_t *words, const uint8_t *source, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        _mm256_storeu_si256((void *)(words + i), _mm256_cvtepi8_epi64(load_4_bytes(source + i)));
    fletch_hash_scalar.integers[FLETCH_HASH_INT8](words + i, source + i, count - i);
}

static void uint8_words(uint64_t *words, const uint8_t *source, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        _mm256_storeu_si256((void *)(words + i), _mm256_cvtepu8_epi64(load_4_bytes(source + i)));
    fletch_hash_scalar.integers[FLETCH_HASH_UINT8](words + i, source + i, count - i);
}

static void int16_words(uint64_t *words, const uint8_t *source, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        _mm256_storeu_si256((void *)(words + i),
                            _mm256_cvtepi16_epi64(_mm_loadl_epi64((const void *)(source + 2 * i))));
    fletch_hash_scalar.integers[FLETCH_HASH_INT16](words + i, source + 2 * i, count - i);
}

static void uint16_words(uint64_t *words, const uint8_t *source, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        _mm256_storeu_si256((void *)(words + i),
                            _mm256_cvtepu16_epi64(_mm_loadl_epi64((const void *)(source + 2 * i))));
    fletch_hash_scalar.integers[FLETCH_HASH_UINT16](words + i, source + 2 * i, count - i);
}

static void int32_words(uint64_t *words, const uint8_t *source, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        _mm256_storeu_si256((void *)(words + i),
                            _mm256_cvtepi32_epi64(_mm_loadu_si128((const void *)(source + 4 * i))));
    fletch_hash_scalar.integers[FLETCH_HASH_INT32](words + i, source + 4 * i, count - i);
}

static void uint32_words(uint64_t *words, const uint8_t *source, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        _mm256_storeu_si256((void *)(words + i),
                            _mm256_cvtepu32_epi64(_mm_loadu_si128((const void *)(source + 4 * i))));
    fletch_hash_scalar.integers[FLETCH_HASH_UINT32](words + i, source + 4 * i, count - i);
}

/* Floats whose exponent is neither the least nor the greatest need only be moved and rebiased; a
 * group with another one in it (zero, denormal, infinity, NaN) goes to the scalar variant. */
static void float_words(uint64_t *words, const uint8_t *source, size_t count)
{
    const __m128i exponent = _mm_set1_epi32(0x7f800000);
    const __m256i rebias = repeat((UINT64_C(1023) - 127) << 52);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        __m128i bits = _mm_loadu_si128((const void *)(source + 4 * i));
        __m128i exponents = _mm_and_si128(bits, exponent);
        __m128i odd = _mm_or_si128(_mm_cmpeq_epi32(exponents, exponent),
                                   _mm_cmpeq_epi32(exponents, _mm_setzero_si128()));
        if (__builtin_expect(_mm_movemask_epi8(odd) != 0, 0)) {
            fletch_hash_scalar.floats(words + i, source + 4 * i, LANES);
            continue;
        }
        __m256i wide = _mm256_cvtepu32_epi64(bits);
        __m256i sign = _mm256_slli_epi64(_mm256_srli_epi64(wide, 31), 63);
        __m256i magnitude = _mm256_slli_epi64(_mm256_and_si256(wide, repeat(0x7fffffff)), 29);
        __m256i value = _mm256_or_si256(sign, _mm256_add_epi64(magnitude, rebias));
        _mm256_storeu_si256((void *)(words + i), value);
    }
    fletch_hash_scalar.floats(words + i, source + 4 * i, count - i);
}

static void double_words(uint64_t *words, const uint8_t *source, size_t count)
{
    const __m256i infinity = repeat(FLETCH_HASH_INFINITY);
    const __m256i nan = repeat(FLETCH_HASH_NAN);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        __m256i bits = load(source + 8 * i);
        __m256i magnitude = _mm256_srli_epi64(_mm256_slli_epi64(bits, 1), 1);
        __m256i is_zero = _mm256_cmpeq_epi64(magnitude, _mm256_setzero_si256());
        __m256i is_nan = _mm256_cmpgt_epi64(magnitude, infinity);
        __m256i value = _mm256_blendv_epi8(_mm256_andnot_si256(is_zero, bits), nan, is_nan);
        _mm256_storeu_si256((void *)(words + i), value);
    }
    fletch_hash_scalar.doubles(words + i, source + 8 * i, count - i);
}

static inline __m256i spread_4(const uint64_t *hashes, const struct fletch_hash_spread *spread)
{
    __m256i nodes = _mm256_and_si256(load(hashes), repeat(spread->node_mask));
    __m256i scaled = _mm256_mul_epu32(nodes, repeat(spread->partition_count));
    return _mm256_srl_epi64(scaled, _mm_cvtsi32_si128((int)spread->node_bits));
}

/* The low 32 bits of each number of a and b, halves of the register by themselves. */
static inline __m256i narrowed(__m256i a, __m256i b)
{
    return _mm256_castps_si256(
        _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88));
}

static void spread_ids(uint16_t *ids, const uint64_t *hashes, size_t count,
                       const struct fletch_hash_spread *spread)
{
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    size_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES) {
        __m256i ab = narrowed(spread_4(hashes + i, spread), spread_4(hashes + i + 4, spread));
        __m256i cd = narrowed(spread_4(hashes + i + 8, spread), spread_4(hashes + i + 12, spread));
        __m256i packed = _mm256_packus_epi32(ab, cd);
        _mm256_storeu_si256((void *)(ids + i), _mm256_permutevar8x32_epi32(packed, in_order));
    }
    fletch_hash_scalar.spread(ids + i, hashes + i, count - i, spread);
}

const struct fletch_hash_kernels fletch_hash_avx2 = {
    .name = "avx2",
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
