#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "partition/gather.h"
#include "partition/hash_kernels.h"

/* The NEON kernels against the scalar ones, bit for bit, on random data. A program of its own, so
 * that an emulator can run it on a machine that has neither NEON nor libraries for it. */

enum { ROWS = 257, BYTES = ROWS * 32 + 64 };

static uint8_t source[BYTES + 1];
static uint16_t order[ROWS];
static uint8_t expected[BYTES];
static uint8_t found[BYTES];
static int failures;

static void compare(const char *what, size_t bytes)
{
    if (memcmp(expected, found, bytes) == 0)
        return;
    fprintf(stderr, "%s differs\n", what);
    failures++;
}

static void clear(void)
{
    memset(expected, 0xee, sizeof expected);
    memset(found, 0xee, sizeof found);
}

static void check_values(const struct fletch_gather_kernels *neon, size_t count)
{
    for (size_t w = 0; w < FLETCH_GATHER_WIDTHS; w++) {
        clear();
        fletch_gather_scalar.values[w](expected, source + 1, order, count);
        neon->values[w](found, source + 1, order, count);
        compare("values", sizeof found);
        clear();
        fletch_gather_scalar.streamed[w](expected + 8, source + 1, order, count);
        neon->streamed[w](found + 8, source + 1, order, count);
        neon->flush();
        compare("streamed values", sizeof found);
    }
    clear();
    struct fletch_gather_bits bits = {.bits = source, .first = 5};
    fletch_gather_scalar.bits(expected, 3, &bits, order, count);
    neon->bits(found, 3, &bits, order, count);
    compare("bits", count / 8);
}

static void check_strings(const struct fletch_gather_kernels *neon, struct fletch_random *random,
                          size_t count)
{
    static int32_t offsets[ROWS + 1];
    static int64_t wide[ROWS + 1];
    size_t bytes = 0;
    for (size_t i = 0; i < ROWS; i++) {
        offsets[i + 1] = offsets[i] + (int32_t)fletch_random_below(random, 31);
        wide[i + 1] = offsets[i + 1];
    }
    for (size_t i = 0; i < count; i++)
        bytes += (size_t)(offsets[order[i] + 1] - offsets[order[i]]);
    for (int variant = 0; variant < 4 && bytes + FLETCH_GATHER_SLACK <= sizeof found; variant++) {
        struct fletch_gather_strings strings = {
            .bytes = source,
            .byte_count = (size_t)offsets[ROWS],
            .offsets = (const uint8_t *)((variant & 1) != 0 ? (void *)wide : (void *)offsets),
            .has_wide_offsets = (variant & 1) != 0,
            .is_short = (variant & 2) != 0,
        };
        clear();
        fletch_gather_scalar.strings(expected, &strings, order, count);
        neon->strings(found, &strings, order, count);
        compare("strings", bytes);
    }
}

static void check_stretches(const struct fletch_gather_kernels *neon, struct fletch_random *random,
                            size_t count)
{
    static struct fletch_stretch stretches[ROWS];
    const struct fletch_gather_elements elements = {source, sizeof source, 8};
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        stretches[i].count = fletch_random_below(random, 40);
        stretches[i].first = fletch_random_below(random, sizeof source / 8 - stretches[i].count);
        bytes += 8 * stretches[i].count;
        if (bytes + FLETCH_GATHER_SLACK > sizeof found)
            return;
    }
    clear();
    fletch_gather_scalar.stretches(expected, &elements, stretches, count);
    neon->stretches(found, &elements, stretches, count);
    compare("stretches", bytes);
}

static void check_hashes(const struct fletch_hash_kernels *neon, size_t count)
{
    uint64_t *a = (uint64_t *)(void *)expected;
    uint64_t *b = (uint64_t *)(void *)found;
    const struct fletch_hash_spread spread = {
        .node_mask = 1023, .partition_count = 200, .node_bits = 10};
    clear();
    fletch_hash_scalar.first(a, 7, source + 1, count);
    neon->first(b, 7, source + 1, count);
    compare("first hashes", sizeof found);
    fletch_hash_scalar.next(a, source + 1, count);
    neon->next(b, source + 1, count);
    compare("next hashes", sizeof found);
    static uint16_t ids[2][ROWS];
    fletch_hash_scalar.spread(ids[0], a, count, &spread);
    neon->spread(ids[1], b, count, &spread);
    failures += memcmp(ids[0], ids[1], sizeof ids[0]) != 0;
    for (int integer = 0; integer < FLETCH_HASH_INTEGERS; integer++) {
        clear();
        fletch_hash_scalar.integers[integer](a, source + 1, count);
        neon->integers[integer](b, source + 1, count);
        compare("integers", sizeof found);
    }
    clear();
    fletch_hash_scalar.floats(a, source + 1, count);
    neon->floats(b, source + 1, count);
    compare("floats", sizeof found);
    clear();
    fletch_hash_scalar.doubles(a, source + 1, count);
    neon->doubles(b, source + 1, count);
    compare("doubles", sizeof found);
}

int main(void)
{
    struct fletch_random random = fletch_random_from_seed(1);
    const struct fletch_gather_kernels *gather = fletch_gather_kernels_variant(1);
    const struct fletch_hash_kernels *hash = fletch_hash_kernels_variant(1);
    if (gather == NULL || hash == NULL || strcmp(gather->name, "neon") != 0 ||
        strcmp(hash->name, "neon") != 0) {
        fprintf(stderr, "no NEON kernels\n");
        return EXIT_FAILURE;
    }
    for (size_t count = 0; count <= ROWS; count += count < 20 ? 1 : 79) {
        for (size_t i = 0; i < sizeof source; i++)
            source[i] = (uint8_t)fletch_random_u64(&random);
        /* Zeros, infinities and NaN among the floats. */
        for (size_t i = 0; i < 40; i++)
            memset(source + 1 + 64 * i, i % 2 == 0 ? 0 : 0xff, 8);
        for (size_t i = 0; i < ROWS; i++)
            order[i] = (uint16_t)fletch_random_below(&random, ROWS);
        check_values(gather, count);
        check_strings(gather, &random, count);
        check_stretches(gather, &random, count);
        check_hashes(hash, count);
    }
    printf("%d differences\n", failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
