#include "arrow/codec_lz4.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/cmocka_tests.h"

/* Blocks come back as they were; damaged ones are told or give other bytes, and nothing outside is
 * touched, which AddressSanitizer sees. */

enum { BYTES = 3000, TRIES = 2000 };

struct sample {
    uint8_t bytes[BYTES];
    uint8_t *packed; /* exactly as long as the block */
    size_t packed_bytes;
};

static void make_sample(struct sample *sample, uint32_t values)
{
    struct fletch_random random = fletch_random_from_seed(values);
    for (size_t i = 0; i < BYTES; i++)
        sample->bytes[i] = (uint8_t)fletch_random_below(&random, values);
    uint8_t *room = malloc(fletch_lz4_bound(BYTES));
    assert_non_null(room);
    sample->packed_bytes = fletch_lz4_compress(room, sample->bytes, BYTES);
    assert_in_range(sample->packed_bytes, 1, fletch_lz4_bound(BYTES));
    sample->packed = malloc(sample->packed_bytes);
    assert_non_null(sample->packed);
    memcpy(sample->packed, room, sample->packed_bytes);
    free(room);
}

static void blocks_come_back(void **state)
{
    (void)state;
    static const uint32_t values[] = {1, 2, 3, 256};
    uint8_t bytes[BYTES];
    if (!fletch_lz4_exists())
        skip();
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct sample sample;
        make_sample(&sample, values[i]);
        assert_true((sample.packed_bytes < BYTES) == (values[i] < 256));
        assert_true(fletch_lz4_decompress(bytes, BYTES, sample.packed, sample.packed_bytes));
        assert_memory_equal(bytes, sample.bytes, BYTES);
        assert_false(fletch_lz4_decompress(bytes, BYTES - 1, sample.packed, sample.packed_bytes));
        assert_false(fletch_lz4_decompress(bytes, BYTES, sample.packed, sample.packed_bytes - 1));
        free(sample.packed);
    }
}

static void damaged_blocks_do_no_harm(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(4);
    struct sample sample;
    if (!fletch_lz4_exists())
        skip();
    make_sample(&sample, 5);
    int refused = 0;
    for (int i = 0; i < TRIES; i++) {
        uint8_t *bytes = malloc(BYTES);
        assert_non_null(bytes);
        size_t place = fletch_random_below(&random, (uint32_t)sample.packed_bytes);
        uint8_t before = sample.packed[place];
        sample.packed[place] = (uint8_t)fletch_random_u64(&random);
        refused += !fletch_lz4_decompress(bytes, BYTES, sample.packed, sample.packed_bytes);
        sample.packed[place] = before;
        free(bytes);
    }
    assert_true(refused > 100);
    free(sample.packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_come_back),
        cmocka_unit_test(damaged_blocks_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
