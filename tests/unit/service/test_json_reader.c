#include "service/json_reader.h"

#include <stddef.h>
#include <string.h>

#include "support/cmocka_tests.h"

struct fields {
    const char *text;
    uint64_t number;
    bool flag;
    struct fletch_json_texts texts;
};

static const struct fletch_json_member members[] = {
    {"text", FLETCH_JSON_TEXT, offsetof(struct fields, text), 0},
    {"number", FLETCH_JSON_NUMBER, offsetof(struct fields, number), 1000},
    {"flag", FLETCH_JSON_FLAG, offsetof(struct fields, flag), 0},
    {"texts", FLETCH_JSON_TEXTS, offsetof(struct fields, texts), 0},
};
static const struct fletch_json_shape shape = {members, 4};
static struct fletch_error error;

static enum fletch_status read(const char *body, struct fields *fields, struct json_t **document)
{
    return fletch_json_read((struct fletch_flight_bytes){body, strlen(body)}, &shape, fields,
                            document, &error);
}

static void members_of_all_kinds(void **state)
{
    struct fields fields = {.number = 7};
    struct json_t *document = NULL;
    (void)state;
    assert_ok(read("{\"text\": \"\\u00e4\", \"flag\": true, \"texts\": [\"a\", \"b\"]}", &fields,
                   &document));
    assert_string_equal(fields.text, "\xc3\xa4");
    assert_int_equal(fields.number, 7); /* stays where there is no such member */
    assert_true(fields.flag);
    assert_int_equal(fields.texts.count, 2);
    assert_string_equal(fletch_json_text_at(&fields.texts, 1), "b");
    fletch_json_release(document);
    assert_ok(read("", &fields, &document));
    fletch_json_release(document);
    assert_ok(read(" {\"number\": 1000} ", &fields, &document));
    assert_int_equal(fields.number, 1000);
    fletch_json_release(document);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *body;
        const char *said;
    } cases[] = {
        {"{", "no JSON at byte"},
        {"1", "is no JSON"},
        {"[1]", "an object was expected"},
        {"{} {}", "is no JSON"},
        {"{\"flag\": true, \"flag\": true}", "duplicate"},
        {"{\"other\": 1}", "no member 'other'"},
        {"{\"text\": null}", "'text' was expected to be a string"},
        {"{\"text\": \"a\\u0000b\"}", "is no JSON"},
        {"{\"text\": \"\xff\"}", "is no JSON"},
        {"{\"number\": -1}", "not negative"},
        {"{\"number\": 1.0}", "not negative"},
        {"{\"number\": 1001}", "'number' is 1001, expected 0 to 1000"},
        {"{\"number\": 99999999999999999999}", "is no JSON"},
        {"{\"flag\": 1}", "true or false"},
        {"{\"texts\": \"a\"}", "an array of strings"},
        {"{\"texts\": [\"a\", 1]}", "an array of strings"},
    };
    struct fields fields = {.number = 0};
    struct json_t *document = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read(cases[i].body, &fields, &document), FLETCH_INVALID_ARGUMENT);
        assert_memory_equal(error.message, "INVALID_ARGUMENT: ", 18);
        if (strstr(error.message, cases[i].said) == NULL)
            fail_msg("'%s' is no '%s'", error.message, cases[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_all_kinds),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
