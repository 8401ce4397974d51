#include "base/status.h"

#include <string.h>

#include "support/cmocka_tests.h"

static void names_are_those_of_grpc(void **state)
{
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };
    (void)state;
    assert_int_equal(sizeof names / sizeof names[0], 17);
    for (size_t i = 0; i < 17; i++)
        assert_string_equal(fletch_status_name((enum fletch_status)i), names[i]);
}

static void a_value_that_is_no_status_has_a_name_too(void **state)
{
    (void)state;
    assert_string_equal(fletch_status_name((enum fletch_status)17), "not a status");
    assert_string_equal(fletch_status_name((enum fletch_status) - 1), "not a status");
    assert_string_equal(fletch_status_name((enum fletch_status)INT32_MAX), "not a status");
}

static void an_error_gets_status_and_message(void **state)
{
    struct fletch_error error;
    (void)state;
    memset(&error, 0x5a, sizeof error);
    enum fletch_status status =
        fletch_error_set(&error, FLETCH_NOT_FOUND, "no '%s' among %d", "apple", 7);
    assert_int_equal(status, FLETCH_NOT_FOUND);
    assert_int_equal(error.status, FLETCH_NOT_FOUND);
    assert_string_equal(error.message, "no 'apple' among 7");
}

static void a_long_message_is_cut_at_its_limit(void **state)
{
    char text[2 * FLETCH_ERROR_MESSAGE_BYTES];
    struct {
        struct fletch_error error;
        char behind;
    } guarded = {.behind = 'x'};
    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(fletch_error_set(&guarded.error, FLETCH_INTERNAL, "%s", text),
                     FLETCH_INTERNAL);
    assert_int_equal(FLETCH_ERROR_MESSAGE_BYTES, 480);
    assert_int_equal(strlen(guarded.error.message), 479);
    assert_int_equal(guarded.behind, 'x');
}

/* Of two, three and four bytes each, the limit at every place in them. */
static void a_long_message_is_not_cut_within_a_character(void **state)
{
    static const char *const characters[] = {"\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x8f\xb9"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t width = i + 2;
        for (size_t shift = 0; shift < width; shift++) {
            char text[2 * FLETCH_ERROR_MESSAGE_BYTES] = "";
            struct fletch_error error;
            memset(text, 'a', shift);
            while (strlen(text) < FLETCH_ERROR_MESSAGE_BYTES)
                strcat(text, characters[i]);
            (void)fletch_error_set(&error, FLETCH_INTERNAL, "%s", text);
            size_t most = FLETCH_ERROR_MESSAGE_BYTES - 1 - shift;
            assert_int_equal(strlen(error.message), shift + most / width * width);
        }
    }
}

static void a_message_that_just_fits_is_whole(void **state)
{
    char text[FLETCH_ERROR_MESSAGE_BYTES];
    struct fletch_error error;
    (void)state;
    memset(text, 'b', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)fletch_error_set(&error, FLETCH_ABORTED, "%s", text);
    assert_string_equal(error.message, text);
}

static void no_error_structure_is_needed(void **state)
{
    (void)state;
    assert_int_equal(fletch_error_set(NULL, FLETCH_DATA_LOSS, "%d", 1), FLETCH_DATA_LOSS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_grpc),
        cmocka_unit_test(a_value_that_is_no_status_has_a_name_too),
        cmocka_unit_test(an_error_gets_status_and_message),
        cmocka_unit_test(a_long_message_is_cut_at_its_limit),
        cmocka_unit_test(a_long_message_is_not_cut_within_a_character),
        cmocka_unit_test(a_message_that_just_fits_is_whole),
        cmocka_unit_test(no_error_structure_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
