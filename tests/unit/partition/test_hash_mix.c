#include "partition/hash_mix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"

#include "support/cmocka_tests.h"

static void padded_strings_hash_as_others(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(1);
    uint8_t text[300 + FLETCH_HASH_READ_AHEAD];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)fletch_random_u64(&random);
    for (size_t length = 0; length <= 300; length++) {
        /* On the heap, so that the sanitizer sees a byte too many. */
        uint8_t *exact = malloc(length + 1);
        memcpy(exact, text, length);
        assert_true(fletch_hash_bytes(exact, length) == fletch_hash_bytes_padded(text, length));
        free(exact);
    }
}

static void what_lies_behind_a_string_does_not_matter(void **state)
{
    (void)state;
    uint8_t zeros[64] = "abc";
    uint8_t ones[64];
    memset(ones, 0xff, sizeof ones);
    memcpy(ones, "abc", 3);
    assert_true(fletch_hash_bytes_padded(zeros, 3) == fletch_hash_bytes_padded(ones, 3));
    assert_true(fletch_hash_bytes_padded(zeros, 3) != fletch_hash_bytes_padded(zeros, 4));
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Against the processor's own conversion, which the tests may trust: it is in its usual mode. */
static void floats_are_widened_exactly(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(2);
    for (uint32_t i = 0; i < 2000000; i++) {
        uint32_t bits = (uint32_t)fletch_random_u64(&random);
        if (i % 4 == 0)
            bits &= 0x807fffff; /* denormals */
        float value;
        memcpy(&value, &bits, sizeof value);
        uint64_t expected = isnan(value) ? FLETCH_HASH_NAN : value == 0 ? 0 : bits_of(value);
        assert_true(fletch_hash_float(bits) == expected);
    }
}

static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    int fraction = bits & 1023;
    double value = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return (bits & 0x8000) != 0 ? -value : value;
}

static void every_half_is_widened_exactly(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint64_t found = fletch_hash_half((uint16_t)bits);
        if ((bits & 0x7c00) != 0x7c00)
            assert_true(found == fletch_hash_double(bits_of(half_value((uint16_t)bits))));
        else if ((bits & 0x3ff) != 0)
            assert_true(found == FLETCH_HASH_NAN);
        else
            assert_true(found == bits_of(bits == 0x7c00 ? INFINITY : -INFINITY));
    }
}

static void decimals_of_every_width_agree(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(3);
    for (int i = 0; i < 100000; i++) {
        int64_t value = (int64_t)fletch_random_u64(&random) >> fletch_random_below(&random, 64);
        int64_t sign = value >> 63;
        int64_t wide[4] = {value, sign, sign, sign};
        int32_t narrow = (int32_t)value;
        assert_true(fletch_hash_decimal((const uint8_t *)wide, 8) == (uint64_t)value);
        assert_true(fletch_hash_decimal((const uint8_t *)wide, 16) == (uint64_t)value);
        assert_true(fletch_hash_decimal((const uint8_t *)wide, 32) == (uint64_t)value);
        assert_true(fletch_hash_decimal((const uint8_t *)&narrow, 4) == (uint64_t)(int64_t)narrow);
        wide[1] = (int64_t)fletch_random_u64(&random);
        wide[2] = wide[3] = wide[1] >> 63;
        assert_true(fletch_hash_decimal((const uint8_t *)wide, 16) ==
                    fletch_hash_decimal((const uint8_t *)wide, 32));
    }
}

/* ---- quality ---- */

/* Each bit of the word flips each bit of the hash in about half of all cases. */
static void a_step_avalanches(void **state)
{
    (void)state;
    enum { SAMPLES = 20000 };
    struct fletch_random random = fletch_random_from_seed(4);
    double worst = 0;
    for (unsigned in = 0; in < 64; in++) {
        uint32_t flips[64] = {0};
        for (int s = 0; s < SAMPLES; s++) {
            uint64_t word = fletch_random_u64(&random);
            uint64_t changed = fletch_hash_step(FLETCH_HASH_ROW, word) ^
                               fletch_hash_step(FLETCH_HASH_ROW, word ^ UINT64_C(1) << in);
            for (unsigned out = 0; out < 64; out++)
                flips[out] += (uint32_t)(changed >> out & 1);
        }
        for (unsigned out = 0; out < 64; out++)
            worst = fmax(worst, fabs((double)flips[out] / SAMPLES - 0.5));
    }
    /* 4096 binomial counts with a deviation of 0.0035 each: 0.02 is six of them. */
    assert_true(worst < 0.02);
}

enum { BUCKETS = 1024 };

/* How far counts are from even, in standard deviations of a chi square. */
static double unevenness(const uint32_t *counts, double total)
{
    double expected = total / BUCKETS;
    double chi = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    return (chi - (BUCKETS - 1)) / sqrt(2.0 * (BUCKETS - 1));
}

/* Keys as people have them, by their number; the low bits of their hashes choose the partition. */
static uint64_t key_sequential(uint32_t i)
{
    return i;
}

static uint64_t key_strided(uint32_t i)
{
    return (uint64_t)i << 20;
}

static uint64_t key_high(uint32_t i)
{
    return (uint64_t)i << 44;
}

static uint64_t key_of_double(uint32_t i)
{
    return bits_of(i);
}

static uint64_t key_of_fraction(uint32_t i)
{
    return bits_of(i / 100.0);
}

static uint64_t key_of_text(uint32_t i)
{
    char text[32];
    int length = snprintf(text, sizeof text, "user_%08u", i);
    return fletch_hash_bytes((const uint8_t *)text, (size_t)length);
}

static uint64_t key_of_long_text(uint32_t i)
{
    char text[80];
    int length = snprintf(text, sizeof text, "/a/path/of/%u/a/long/way/to/a/page/%u", i, i % 7);
    return fletch_hash_bytes((const uint8_t *)text, (size_t)length);
}

static uint64_t key_of_pair(uint32_t i)
{
    return fletch_hash_step(fletch_hash_step(FLETCH_HASH_STRUCT, i % 300), i / 300);
}

static void keys_spread_evenly(void **state)
{
    (void)state;
    static uint64_t (*const keys[])(uint32_t) = {key_sequential,  key_strided, key_high,
                                                 key_of_double,   key_of_text, key_of_long_text,
                                                 key_of_fraction, key_of_pair};
    enum { KEYS = 300000 };
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        for (unsigned shift = 0; shift <= 54; shift += 18) {
            static uint32_t counts[BUCKETS];
            memset(counts, 0, sizeof counts);
            for (uint32_t i = 0; i < KEYS; i++)
                counts[fletch_hash_step(FLETCH_HASH_ROW, keys[k](i)) >> shift & (BUCKETS - 1)]++;
            double found = unevenness(counts, KEYS);
            if (found > 5)
                fail_msg("keys %zu: the bits from %u on are uneven by %g deviations", k, shift,
                         found);
        }
}

static int compare_words(const void *a, const void *b)
{
    uint64_t x;
    uint64_t y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static void distinct_keys_hardly_collide(void **state)
{
    (void)state;
    enum { KEYS = 300000 };
    static uint64_t (*const keys[])(uint32_t) = {key_of_text, key_of_long_text, key_of_pair};
    uint64_t *hashes = malloc(KEYS * sizeof *hashes);
    assert_non_null(hashes);
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        for (uint32_t i = 0; i < KEYS; i++)
            hashes[i] = fletch_hash_step(FLETCH_HASH_ROW, keys[k](i));
        qsort(hashes, KEYS, sizeof *hashes, compare_words);
        for (uint32_t i = 1; i < KEYS; i++)
            assert_true(hashes[i] != hashes[i - 1]);
    }
    free(hashes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padded_strings_hash_as_others),
        cmocka_unit_test(what_lies_behind_a_string_does_not_matter),
        cmocka_unit_test(floats_are_widened_exactly),
        cmocka_unit_test(every_half_is_widened_exactly),
        cmocka_unit_test(decimals_of_every_width_agree),
        cmocka_unit_test(a_step_avalanches),
        cmocka_unit_test(keys_spread_evenly),
        cmocka_unit_test(distinct_keys_hardly_collide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
