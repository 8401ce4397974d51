#ifndef FLETCH_TESTS_SUPPORT_CMOCKA_TESTS_H
#define FLETCH_TESTS_SUPPORT_CMOCKA_TESTS_H

/* cmocka with the headers that it wants before itself. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Asserts that `text` contains `part`; on failure shows both. */
#define assert_contains(text, part) \
    do { \
        if (strstr((text), (part)) == NULL) \
            fail_msg("'%s' does not contain '%s'", (text), (part)); \
    } while (0)

/* Asserts that a call answered so, by name. */
#define assert_answer(call, expected) \
    assert_string_equal(fletch_answer_name(call), fletch_answer_name(expected))

/* Asserts that a call returned FLETCH_OK; on failure shows the status. */
#define assert_ok(call) assert_string_equal(fletch_status_name(call), "OK")

/* The exit status that CTest counts as skipped. */
enum { TEST_SKIPPED = 77 };

#endif
