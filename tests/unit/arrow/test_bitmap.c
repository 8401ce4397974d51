#include "arrow/bitmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/cmocka_tests.h"

enum { BITS = 300, BYTES = 38, CASES = 3000 };

/* Random bits in a block that ends where they end, so that a sanitizer sees what reads too far. */
static uint8_t *random_bits(struct fletch_random *random, size_t bytes)
{
    uint8_t *bits = malloc(bytes == 0 ? 1 : bytes);
    for (size_t i = 0; i < bytes; i++)
        bits[i] = (uint8_t)fletch_random_u64(random);
    return bits;
}

struct range {
    int64_t first;
    int64_t count;
};

static struct range random_range(struct fletch_random *random)
{
    int64_t first = (int64_t)fletch_random_below(random, BITS);
    int64_t count = (int64_t)(fletch_random_u64(random) % (uint64_t)(BITS - first + 1));
    return (struct range){first, count};
}

static void bits_are_counted(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(1);
    for (int i = 0; i < CASES; i++) {
        struct range range = random_range(&random);
        uint8_t *bits = random_bits(&random, fletch_bitmap_bytes(range.first + range.count));
        int64_t expected = 0;
        for (int64_t k = 0; k < range.count; k++)
            expected += fletch_bitmap_get(bits, range.first + k);
        assert_true(fletch_bitmap_count(bits, range.first, range.count) == expected);
        free(bits);
    }
}

static void bits_are_shifted(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(2);
    for (int i = 0; i < CASES; i++) {
        struct range range = random_range(&random);
        uint8_t *bits = random_bits(&random, fletch_bitmap_bytes(range.first + range.count));
        size_t bytes = fletch_bitmap_bytes(range.count);
        uint8_t *to = malloc(bytes == 0 ? 1 : bytes);
        fletch_bitmap_shift(to, bits, range.first, range.count);
        for (int64_t k = 0; k < range.count; k++)
            assert_true(fletch_bitmap_get(to, k) == fletch_bitmap_get(bits, range.first + k));
        for (int64_t k = range.count; k < (int64_t)bytes * 8; k++)
            assert_false(fletch_bitmap_get(to, k));
        free(to);
        free(bits);
    }
}

static void bits_are_copied_between_others(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(3);
    for (int i = 0; i < CASES; i++) {
        struct range range = random_range(&random);
        int64_t to_first =
            (int64_t)(fletch_random_u64(&random) % (uint64_t)(BITS - range.count + 1));
        uint8_t *bits = random_bits(&random, fletch_bitmap_bytes(range.first + range.count));
        uint8_t *to = random_bits(&random, BYTES);
        uint8_t before[BYTES];
        memcpy(before, to, BYTES);
        bool is_filled = i % 2 == 0;
        fletch_bitmap_copy(to, to_first, is_filled ? NULL : bits, range.first, range.count);
        for (int64_t k = 0; k < (int64_t)BYTES * 8; k++) {
            int64_t source = k - to_first;
            bool expected = source < 0 || source >= range.count ? fletch_bitmap_get(before, k)
                            : is_filled                         ? true
                                        : fletch_bitmap_get(bits, range.first + source);
            assert_true(fletch_bitmap_get(to, k) == expected);
        }
        free(to);
        free(bits);
    }
}

static void bits_are_counted_from_anywhere(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(1);
    uint8_t bits[48];
    for (size_t i = 0; i < sizeof bits; i++)
        bits[i] = (uint8_t)fletch_random_u64(&random);
    for (int64_t first = 0; first < 80; first++) {
        int64_t expected = 0;
        for (int64_t count = 0; first + count <= 8 * (int64_t)sizeof bits; count++) {
            assert_int_equal(fletch_bitmap_count(bits, first, count), expected);
            if (first + count < 8 * (int64_t)sizeof bits)
                expected += fletch_bitmap_get(bits, first + count);
        }
    }
    assert_int_equal(fletch_bitmap_count(NULL, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_counted),
        cmocka_unit_test(bits_are_shifted),
        cmocka_unit_test(bits_are_copied_between_others),
        cmocka_unit_test(bits_are_counted_from_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
