#ifndef FLETCH_PARTITION_HASH_MIX_H
#define FLETCH_PARTITION_HASH_MIX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The primitives of fletch-hash-1, as docs/format/hash.md has them. The library runs on
 * little-endian processors only, so bytes are read by memcpy. */

#define FLETCH_HASH_ROW UINT64_C(0x243f6a8885a308d3)
#define FLETCH_HASH_LIST UINT64_C(0x13198a2e03707344)
#define FLETCH_HASH_STRUCT UINT64_C(0xa4093822299f31d0)
#define FLETCH_HASH_UNION UINT64_C(0x082efa98ec4e6c89)
#define FLETCH_HASH_NULL UINT64_C(0x452821e638d01377)
#define FLETCH_HASH_KEY_A UINT64_C(0xbe5466cf34e90c6c)
#define FLETCH_HASH_KEY_B UINT64_C(0xc0ac29b7c97c50dd)
#define FLETCH_HASH_LENGTH UINT64_C(0x3f84d5b5b5470917)
#define FLETCH_HASH_MULTIPLIER_1 UINT64_C(0x3c79ac492ba7b653)
#define FLETCH_HASH_MULTIPLIER_2 UINT64_C(0x1c69b3f74ac4ae35)

#define FLETCH_HASH_NAN UINT64_C(0x7ff8000000000000)
#define FLETCH_HASH_INFINITY UINT64_C(0x7ff0000000000000)

/* Bytes after a string that fletch_hash_bytes_padded may read. */
enum { FLETCH_HASH_READ_AHEAD = 16 };

__extension__ typedef unsigned __int128 fletch_u128;

static inline uint64_t fletch_hash_mix(uint64_t x)
{
    x ^= x >> 27;
    x *= FLETCH_HASH_MULTIPLIER_1;
    x ^= x >> 33;
    x *= FLETCH_HASH_MULTIPLIER_2;
    return x ^ x >> 27;
}

static inline uint64_t fletch_hash_step(uint64_t hash, uint64_t word)
{
    return fletch_hash_mix(hash + word);
}

static inline uint64_t fletch_hash_fold(uint64_t x, uint64_t y)
{
    fletch_u128 product = (fletch_u128)x * y;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t fletch_hash_rotl(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t fletch_hash_load(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static inline uint64_t fletch_hash_block(uint64_t hash, uint64_t a, uint64_t b)
{
    return fletch_hash_rotl(hash, 29) +
           fletch_hash_fold(a ^ FLETCH_HASH_KEY_A, b ^ FLETCH_HASH_KEY_B) +
           (a ^ fletch_hash_rotl(b, 32));
}

/* The word of a string whose last `length % 16` bytes come as `a` and `b`, zeros behind them. */
static inline uint64_t fletch_hash_whole_blocks(const uint8_t *bytes, size_t length)
{
    uint64_t hash = length * FLETCH_HASH_LENGTH;
    for (size_t at = 0; at + 16 <= length; at += 16)
        hash =
            fletch_hash_block(hash, fletch_hash_load(bytes + at), fletch_hash_load(bytes + at + 8));
    return hash;
}

/* The word of a string of bytes. */
static inline uint64_t fletch_hash_bytes(const uint8_t *bytes, size_t length)
{
    uint64_t hash = fletch_hash_whole_blocks(bytes, length);
    size_t rest = length % 16;
    if (rest == 0)
        return hash;
    uint8_t last[16] = {0};
    memcpy(last, bytes + (length - rest), rest);
    return fletch_hash_block(hash, fletch_hash_load(last), fletch_hash_load(last + 8));
}

/* The low `count` bytes of a word, for `count` <= 8. */
static inline uint64_t fletch_hash_low_bytes(uint64_t word, size_t count)
{
    /* Two shifts, since one by 64 is undefined. */
    unsigned bits = (unsigned)(8 - count) * 4;
    return word << bits << bits >> bits >> bits;
}

/* The same for a string behind which FLETCH_HASH_READ_AHEAD bytes can be read: no copy, and no
 * branch on the length for strings that fit into a block. */
static inline uint64_t fletch_hash_bytes_padded(const uint8_t *bytes, size_t length)
{
    uint64_t hash = length * FLETCH_HASH_LENGTH;
    while (length > 16) {
        hash = fletch_hash_block(hash, fletch_hash_load(bytes), fletch_hash_load(bytes + 8));
        bytes += 16;
        length -= 16;
    }
    if (length == 0)
        return hash;
    size_t low = length < 8 ? length : 8;
    return fletch_hash_block(hash, fletch_hash_low_bytes(fletch_hash_load(bytes), low),
                             fletch_hash_low_bytes(fletch_hash_load(bytes + 8), length - low));
}

/* A double by value: -0.0 is 0.0, and there is one NaN. By integer operations, which no mode of the
 * floating-point unit can change. */
static inline uint64_t fletch_hash_double(uint64_t bits)
{
    uint64_t magnitude = bits << 1 >> 1;
    if (magnitude == 0)
        return 0;
    return magnitude > FLETCH_HASH_INFINITY ? FLETCH_HASH_NAN : bits;
}

/* What a float or half has: sign, exponent and fraction are made into those of a double. */
struct fletch_hash_float_format {
    unsigned exponent_bits;
    unsigned fraction_bits;
};

static inline uint64_t fletch_hash_widen(uint64_t bits, struct fletch_hash_float_format format)
{
    uint64_t exponent_most = (UINT64_C(1) << format.exponent_bits) - 1;
    uint64_t fraction = bits & ((UINT64_C(1) << format.fraction_bits) - 1);
    uint64_t exponent = bits >> format.fraction_bits & exponent_most;
    uint64_t sign = bits >> (format.fraction_bits + format.exponent_bits) << 63;
    uint64_t rebias = 1023 - (exponent_most >> 1);
    if (exponent == exponent_most)
        return fraction != 0 ? FLETCH_HASH_NAN : sign | FLETCH_HASH_INFINITY;
    if (exponent == 0) {
        if (fraction == 0)
            return 0;
        /* A denormal: moved up until its highest bit stands where the hidden one would. */
        unsigned up = format.fraction_bits + 1 - (64 - (unsigned)__builtin_clzll(fraction));
        fraction = fraction << up & ((UINT64_C(1) << format.fraction_bits) - 1);
        rebias -= up - 1;
    }
    return sign | (exponent + rebias) << 52 | fraction << (52 - format.fraction_bits);
}

static inline uint64_t fletch_hash_float(uint32_t bits)
{
    return fletch_hash_widen(bits, (struct fletch_hash_float_format){8, 23});
}

static inline uint64_t fletch_hash_half(uint16_t bits)
{
    return fletch_hash_widen(bits, (struct fletch_hash_float_format){5, 10});
}

/* A decimal of `width` bytes (4, 8, 16 or 32) by its unscaled value. */
static inline uint64_t fletch_hash_decimal(const uint8_t *bytes, size_t width)
{
    if (width == 4) {
        int32_t value;
        memcpy(&value, bytes, sizeof value);
        return (uint64_t)(int64_t)value;
    }
    uint64_t low = fletch_hash_load(bytes);
    uint64_t sign = (uint64_t)((int64_t)low >> 63);
    if (width == 32) {
        uint64_t sign_128 = (uint64_t)((int64_t)fletch_hash_load(bytes + 8) >> 63);
        if (fletch_hash_load(bytes + 16) != sign_128 || fletch_hash_load(bytes + 24) != sign_128)
            return fletch_hash_bytes(bytes, 32);
    }
    if (width == 8 || fletch_hash_load(bytes + 8) == sign)
        return low;
    return fletch_hash_bytes(bytes, 16);
}

#endif
