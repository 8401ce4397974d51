#include "memory/size_class.h"

#include "support/cmocka_tests.h"

static void each_class_is_the_smallest_that_fits(void **state)
{
    (void)state;
    size_t below = 0;
    for (uint32_t i = 0; i < FLETCH_SIZE_CLASSES; i++) {
        size_t bytes = fletch_size_class_bytes(i);
        assert_true(bytes > below && bytes % FLETCH_BUFFER_ALIGNMENT == 0);
        assert_int_equal(fletch_size_class_of(bytes), i);
        assert_int_equal(fletch_size_class_of(below + 1), i);
        if (below >= 512) /* a fifth at most is not asked for */
            assert_true((bytes - below) * 5 <= bytes);
        below = bytes;
    }
    assert_true(below == FLETCH_BUFFER_BYTES_MAX);
}

static void powers_of_two_have_classes_of_their_own(void **state)
{
    (void)state;
    for (size_t bytes = 64; bytes <= FLETCH_BUFFER_BYTES_MAX; bytes *= 2)
        assert_true(fletch_size_class_bytes(fletch_size_class_of(bytes)) == bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_is_the_smallest_that_fits),
        cmocka_unit_test(powers_of_two_have_classes_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
