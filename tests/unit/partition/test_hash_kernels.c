#include "partition/hash_kernels.h"

#include <string.h>

#include "base/random.h"
#include "partition/hash_mix.h"

#include "support/cmocka_tests.h"

/* Every variant against the scalar one, bit for bit: all lengths up to some registers' worth, at
 * every misalignment, nothing written behind the end. */

enum { VALUES = 80, GUARD = 4, MISALIGNED = 8 };

struct column {
    uint8_t bytes[8 * VALUES + MISALIGNED];
};

/* Random bits, among them many that are special as floats of either width. */
static void fill(struct column *column, uint64_t seed)
{
    static const uint64_t special[] = {
        0,
        UINT64_C(0x8000000000000000),
        UINT64_C(0x7ff0000000000000),
        UINT64_C(0xfff0000000000001),
        UINT64_C(0x7ff8000000000000),
        UINT64_C(0x8000000080000000),
        UINT64_C(0x7f8000007f800001),
        UINT64_C(0x00000001007fffff),
        UINT64_C(0xffffffffffffffff),
        UINT64_C(0x000fffffffffffff),
    };
    struct fletch_random random = fletch_random_from_seed(seed);
    for (size_t i = 0; i + 8 <= sizeof column->bytes; i += 8) {
        uint64_t word = fletch_random_u64(&random);
        if (fletch_random_below(&random, 3) == 0)
            word = special[fletch_random_below(&random, sizeof special / sizeof special[0])];
        memcpy(column->bytes + i, &word, sizeof word);
    }
}

static const struct fletch_hash_kernels *variant_or_skip(size_t index)
{
    const struct fletch_hash_kernels *kernels = fletch_hash_kernels_variant(index);
    if (kernels == NULL)
        skip();
    return kernels;
}

static void compare_conversion(fletch_hash_to_words *theirs, fletch_hash_to_words *scalar,
                               uint64_t seed)
{
    struct column column;
    fill(&column, seed);
    for (size_t count = 0; count <= VALUES; count++)
        for (size_t shift = 0; shift < MISALIGNED; shift++) {
            uint64_t expected[VALUES + GUARD] = {0};
            uint64_t found[VALUES + GUARD] = {0};
            scalar(expected, column.bytes + shift, count);
            theirs(found, column.bytes + shift, count);
            assert_memory_equal(found, expected, sizeof found);
        }
}

static void small_integers_have_the_same_words(void **state)
{
    (void)state;
    const struct fletch_hash_kernels *kernels = variant_or_skip(1);
    for (size_t i = 0; i < FLETCH_HASH_INTEGERS; i++)
        compare_conversion(kernels->integers[i], fletch_hash_scalar.integers[i], i);
}

static void floats_have_the_same_words(void **state)
{
    (void)state;
    const struct fletch_hash_kernels *kernels = variant_or_skip(1);
    for (uint64_t seed = 0; seed < 50; seed++) {
        compare_conversion(kernels->floats, fletch_hash_scalar.floats, seed);
        compare_conversion(kernels->doubles, fletch_hash_scalar.doubles, seed);
    }
}

static void steps_give_the_same_hashes(void **state)
{
    (void)state;
    const struct fletch_hash_kernels *kernels = variant_or_skip(1);
    for (size_t count = 0; count <= VALUES; count++)
        for (size_t shift = 0; shift < MISALIGNED; shift++) {
            struct column column;
            uint64_t expected[VALUES + GUARD] = {0};
            uint64_t found[VALUES + GUARD] = {0};
            fill(&column, count);
            fletch_hash_scalar.first(expected, FLETCH_HASH_ROW, column.bytes + shift, count);
            kernels->first(found, FLETCH_HASH_ROW, column.bytes + shift, count);
            assert_memory_equal(found, expected, sizeof found);
            fletch_hash_scalar.next(expected, column.bytes + shift, count);
            kernels->next(found, column.bytes + shift, count);
            assert_memory_equal(found, expected, sizeof found);
        }
}

static void the_scalar_steps_are_those_of_the_format(void **state)
{
    (void)state;
    struct column column;
    uint64_t hashes[VALUES];
    fill(&column, 7);
    fletch_hash_scalar.first(hashes, FLETCH_HASH_ROW, column.bytes, VALUES);
    for (size_t i = 0; i < VALUES; i++)
        assert_true(hashes[i] ==
                    fletch_hash_mix(FLETCH_HASH_ROW + fletch_hash_load(column.bytes + 8 * i)));
}

static void spread_in(const struct fletch_hash_kernels *kernels, uint32_t partitions,
                      uint32_t node_bits)
{
    struct column column;
    uint64_t hashes[VALUES];
    fill(&column, partitions);
    memcpy(hashes, column.bytes, sizeof hashes);
    struct fletch_hash_spread spread = {
        .node_mask = (UINT32_C(1) << node_bits) - 1,
        .partition_count = partitions,
        .node_bits = node_bits,
    };
    for (size_t count = 0; count <= VALUES; count++) {
        uint16_t ids[VALUES + GUARD] = {0};
        kernels->spread(ids, hashes, count, &spread);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(ids[i], (hashes[i] % (1U << node_bits)) * partitions >> node_bits);
        for (size_t i = count; i < VALUES + GUARD; i++)
            assert_int_equal(ids[i], 0);
    }
}

static void hashes_are_spread_over_partitions(void **state)
{
    (void)state;
    for (size_t v = 0; v < FLETCH_HASH_VARIANTS; v++) {
        const struct fletch_hash_kernels *kernels = fletch_hash_kernels_variant(v);
        if (kernels == NULL)
            continue;
        spread_in(kernels, 1, 10);
        spread_in(kernels, 3, 10);
        spread_in(kernels, 200, 14);
        spread_in(kernels, 65535, 22);
        spread_in(kernels, 65536, 22);
    }
}

static void the_best_is_one_of_the_variants(void **state)
{
    (void)state;
    const struct fletch_hash_kernels *best = fletch_hash_kernels_best();
    assert_ptr_equal(fletch_hash_kernels_variant(0), &fletch_hash_scalar);
    assert_null(fletch_hash_kernels_variant(FLETCH_HASH_VARIANTS));
    assert_true(best == fletch_hash_kernels_variant(1) || best == &fletch_hash_scalar);
    print_message("[ INFO     ] kernels of this processor: %s\n", best->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_integers_have_the_same_words),
        cmocka_unit_test(floats_have_the_same_words),
        cmocka_unit_test(steps_give_the_same_hashes),
        cmocka_unit_test(the_scalar_steps_are_those_of_the_format),
        cmocka_unit_test(hashes_are_spread_over_partitions),
        cmocka_unit_test(the_best_is_one_of_the_variants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
