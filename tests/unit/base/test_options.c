#include "base/options.h"

#include <stdio.h>
#include <string.h>

#include "support/cmocka_tests.h"

/* Three versions of one options structure. */
struct first_version {
    size_t struct_size;
    uint64_t alpha;
};
struct second_version {
    size_t struct_size;
    uint64_t alpha;
    uint64_t beta;
};
struct third_version {
    size_t struct_size;
    uint64_t alpha;
    uint64_t beta;
    uint64_t gamma;
};

static enum fletch_status copy(struct second_version *known, const void *options,
                               struct fletch_error *error)
{
    memset(known, 0x77, sizeof *known);
    return fletch_options_copy(known, sizeof *known, options, sizeof(struct first_version), error);
}

static void options_of_this_version_are_copied(void **state)
{
    struct second_version options = {.struct_size = sizeof options, .alpha = 1, .beta = 2};
    struct second_version known;
    (void)state;
    assert_ok(copy(&known, &options, NULL));
    assert_memory_equal(&known, &options, sizeof known);
}

static void what_an_older_caller_does_not_know_is_default(void **state)
{
    struct first_version options = {.struct_size = sizeof options, .alpha = 5};
    struct second_version known;
    (void)state;
    assert_ok(copy(&known, &options, NULL));
    assert_int_equal(known.alpha, 5);
    assert_int_equal(known.beta, 0);
}

static void a_longer_structure_with_zero_tail_is_accepted(void **state)
{
    struct third_version options = {.struct_size = sizeof options, .alpha = 3, .beta = 4};
    struct second_version known;
    (void)state;
    assert_ok(copy(&known, &options, NULL));
    assert_int_equal(known.alpha, 3);
    assert_int_equal(known.beta, 4);
}

static void an_unknown_option_that_is_set_is_refused(void **state)
{
    struct second_version known;
    struct fletch_error error;
    (void)state;
    for (size_t byte = sizeof(struct second_version); byte < sizeof(struct third_version); byte++) {
        struct third_version options = {.struct_size = sizeof options};
        ((unsigned char *)&options)[byte] = 1;
        assert_int_equal(copy(&known, &options, &error), FLETCH_INVALID_ARGUMENT);
        char expected[64];
        snprintf(expected, sizeof expected, "byte %zu is set", byte);
        assert_contains(error.message, expected);
        assert_contains(error.message, "struct_size 32");
    }
}

static void a_structure_below_the_first_version_is_refused(void **state)
{
    struct second_version known;
    struct fletch_error error;
    (void)state;
    for (size_t size = 0; size < sizeof(struct first_version); size++) {
        struct first_version options = {.struct_size = size};
        assert_int_equal(copy(&known, &options, &error), FLETCH_INVALID_ARGUMENT);
        assert_int_equal(error.status, FLETCH_INVALID_ARGUMENT);
        char expected[64];
        snprintf(expected, sizeof expected, "struct_size %zu, expected at least 16", size);
        assert_contains(error.message, expected);
    }
}

static void null_options_are_refused(void **state)
{
    struct second_version known;
    struct fletch_error error;
    (void)state;
    assert_int_equal(copy(&known, NULL, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "NULL");
    assert_int_equal(copy(&known, NULL, NULL), FLETCH_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_this_version_are_copied),
        cmocka_unit_test(what_an_older_caller_does_not_know_is_default),
        cmocka_unit_test(a_longer_structure_with_zero_tail_is_accepted),
        cmocka_unit_test(an_unknown_option_that_is_set_is_refused),
        cmocka_unit_test(a_structure_below_the_first_version_is_refused),
        cmocka_unit_test(null_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
