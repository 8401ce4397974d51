#include "sync/placement.h"

#include <stdio.h>
#include <string.h>

#include "support/cmocka_tests.h"

static _Alignas(128) char memory[256];

static void memory_that_suits_passes(void **state)
{
    (void)state;
    assert_ok(fletch_placement_check(memory, 256, 256, 128, NULL));
    assert_ok(fletch_placement_check(memory + 8, 8, 8, 8, NULL));
    assert_ok(fletch_placement_check(memory, 256, 0, 1, NULL));
}

static void the_message_tells_what_is_wrong(void **state)
{
    struct fletch_error error;
    char expected[64];
    (void)state;
    assert_int_equal(fletch_placement_check(NULL, 256, 8, 8, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "memory is NULL");
    assert_int_equal(fletch_placement_check(memory + 64, 192, 8, 128, &error),
                     FLETCH_INVALID_ARGUMENT);
    snprintf(expected, sizeof expected, "%p is not aligned to 128", (void *)(memory + 64));
    assert_contains(error.message, expected);
    assert_int_equal(fletch_placement_check(memory, 255, 256, 128, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "has 255 bytes, 256 are needed");
}

static void only_known_sharing_passes(void **state)
{
    struct fletch_error error;
    (void)state;
    assert_ok(fletch_sharing_check(FLETCH_SHARING_PROCESS, NULL));
    assert_ok(fletch_sharing_check(FLETCH_SHARING_HOST, NULL));
    assert_int_equal(fletch_sharing_check((enum fletch_sharing)2, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "sharing 2 is neither 0 (process) nor 1 (host)");
    assert_int_equal(fletch_sharing_check((enum fletch_sharing) - 1, NULL),
                     FLETCH_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_suits_passes),
        cmocka_unit_test(the_message_tells_what_is_wrong),
        cmocka_unit_test(only_known_sharing_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
