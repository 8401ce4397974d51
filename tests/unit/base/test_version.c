#include <fletching/fletching.h>

#include <stdio.h>

#include "support/cmocka_tests.h"

static void the_library_is_of_the_version_of_its_header(void **state)
{
    char expected[32];
    (void)state;
    snprintf(expected, sizeof expected, "%d.%d.%d", FLETCH_VERSION_MAJOR, FLETCH_VERSION_MINOR,
             FLETCH_VERSION_PATCH);
    assert_string_equal(fletch_version(), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_library_is_of_the_version_of_its_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
