#include <fletching/answer.h>

#include "support/cmocka_tests.h"

static void every_answer_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(fletch_answer_name(FLETCH_DONE), "DONE");
    assert_string_equal(fletch_answer_name(FLETCH_FULL), "FULL");
    assert_string_equal(fletch_answer_name(FLETCH_EMPTY), "EMPTY");
    assert_string_equal(fletch_answer_name(FLETCH_CLOSED), "CLOSED");
    assert_string_equal(fletch_answer_name(FLETCH_HELD), "HELD");
}

static void what_is_no_answer_has_a_name_too(void **state)
{
    (void)state;
    assert_string_equal(fletch_answer_name((enum fletch_answer)5), "not an answer");
    assert_string_equal(fletch_answer_name((enum fletch_answer) - 1), "not an answer");
    assert_string_equal(fletch_answer_name((enum fletch_answer)INT32_MAX), "not an answer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_has_its_name),
        cmocka_unit_test(what_is_no_answer_has_a_name_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
