#include "base/crc32c.h"

#include <string.h>

#include "base/cpu.h"
#include "base/random.h"
#include "support/cmocka_tests.h"

/* Vectors of RFC 3720, B.4, and of the word that everybody checks with. */

enum { RANDOM_BYTES = 4099, TRIES = 500 };

static void check_vectors(fletch_crc32c_function *crc32c)
{
    uint8_t bytes[32];
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283U);
    assert_int_equal(crc32c(0, "a", 1), 0xc1d04330U);
    assert_int_equal(crc32c(0, "", 0), 0);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8a9136aaU);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62a8ab43U);
    for (uint8_t i = 0; i < sizeof bytes; i++)
        bytes[i] = i;
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46dd794eU);
    for (uint8_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x113fdb5cU);
}

static void vectors_by_table(void **state)
{
    (void)state;
    check_vectors(fletch_crc32c_scalar);
}

static void vectors_by_the_best(void **state)
{
    (void)state;
    check_vectors(fletch_crc32c_best());
    assert_true((fletch_crc32c_best() != fletch_crc32c_scalar) == fletch_cpu_features().crc32c);
}

static void pieces_are_as_the_whole_at_any_alignment(void **state)
{
    (void)state;
    static uint8_t bytes[RANDOM_BYTES];
    struct fletch_random random = fletch_random_from_seed(5);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)fletch_random_u64(&random);
    fletch_crc32c_function *best = fletch_crc32c_best();
    for (int i = 0; i < TRIES; i++) {
        size_t begin = fletch_random_u64(&random) % 64;
        size_t size = fletch_random_u64(&random) % (RANDOM_BYTES - begin);
        size_t cut = size == 0 ? 0 : fletch_random_u64(&random) % size;
        uint32_t whole = fletch_crc32c_scalar(0, bytes + begin, size);
        assert_int_equal(best(0, bytes + begin, size), whole);
        uint32_t first = best(0, bytes + begin, cut);
        assert_int_equal(best(first, bytes + begin + cut, size - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_by_table),
        cmocka_unit_test(vectors_by_the_best),
        cmocka_unit_test(pieces_are_as_the_whole_at_any_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
