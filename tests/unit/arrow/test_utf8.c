#include "arrow/utf8.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/cmocka_tests.h"

static bool is_valid(const char *text)
{
    return fletch_utf8_is_valid((const uint8_t *)text, strlen(text));
}

/* The encoding by its definition, one code point after the other. */
static bool is_valid_by_definition(const uint8_t *bytes, size_t byte_count)
{
    for (size_t i = 0; i < byte_count;) {
        unsigned first = bytes[i];
        size_t length = first < 0x80   ? 1
                        : first < 0xC0 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                                       : 4;
        uint32_t point = length == 1 ? first : first & (0xFFU >> (length + 1));
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (length == 0 || first >= 0xF8 || i + length > byte_count)
            return false;
        for (size_t j = 1; j < length; j++) {
            if ((bytes[i + j] & 0xC0) != 0x80)
                return false;
            point = point << 6 | (bytes[i + j] & 0x3F);
        }
        if (point < least[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
            return false;
        i += length;
    }
    return true;
}

static void whole_characters_are_valid(void **state)
{
    (void)state;
    assert_true(fletch_utf8_is_ascii((const uint8_t *)"only\x7F", 5));
    assert_true(fletch_utf8_is_ascii(NULL, 0));
    assert_true(is_valid(""));
    assert_true(is_valid("plain text that is longer than thirty-two bytes, twice over"));
    assert_true(is_valid("äöü ß € 𝄞 漢字"));
    assert_true(is_valid("\xF4\x8F\xBF\xBF"));
    assert_true(is_valid("\xED\x9F\xBF\xEE\x80\x80"));
}

static void what_is_no_character_is_found_at_every_place(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "\x80",
        "\xC0\x80",
        "\xC1\xBF",
        "\xC3",
        "\xE0\x9F\xBF",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xFF",
        "\xE2\x82",
        "\xF0\x9D\x84",
        "\xE2\x28\xA1",
        "\xC3\x28",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        for (size_t place = 0; place <= 70; place++) {
            char text[80] = "";
            memset(text, 'x', 70);
            memcpy(text + place, wrong[i], strlen(wrong[i]));
            /* On the heap, exactly as long: reads beyond it are seen by the sanitizer. */
            size_t length = strlen(text);
            uint8_t *copy = malloc(length);
            assert_non_null(copy);
            memcpy(copy, text, length);
            assert_false(fletch_utf8_is_valid(copy, length));
            assert_false(fletch_utf8_is_ascii(copy, length));
            free(copy);
        }
}

static void every_pair_and_random_text_agree_with_the_definition(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(7);
    for (uint32_t pair = 0; pair < 0x10000; pair++) {
        const uint8_t bytes[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
        assert_int_equal(fletch_utf8_is_valid(bytes, 2), is_valid_by_definition(bytes, 2));
    }
    static const uint8_t telling[] = {0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2,
                                      0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5};
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[12];
        size_t length = fletch_random_below(&random, sizeof bytes + 1);
        for (size_t i = 0; i < length; i++)
            bytes[i] = telling[fletch_random_below(&random, sizeof telling)];
        assert_int_equal(fletch_utf8_is_valid(bytes, length),
                         is_valid_by_definition(bytes, length));
    }
}

static void text_is_cut_between_characters(void **state)
{
    (void)state;
    static const char text[] = "a€𝄞";
    static const size_t whole[] = {0, 1, 1, 1, 4, 4, 4, 4, 8};
    for (size_t bytes = 0; bytes < sizeof whole / sizeof whole[0]; bytes++)
        assert_int_equal(fletch_utf8_whole(text, bytes), whole[bytes]);
}

static void texts_are_cut_between_characters(void **state)
{
    (void)state;
    assert_int_equal(fletch_utf8_cut("abc", 3), 3);
    assert_int_equal(fletch_utf8_cut("abc", 2), 2);
    assert_int_equal(fletch_utf8_cut("", 2), 0);
    assert_int_equal(fletch_utf8_cut("ab\xC3\xA9", 4), 4);
    assert_int_equal(fletch_utf8_cut("ab\xC3\xA9", 3), 2);
    assert_int_equal(fletch_utf8_cut("a\xF0\x9F\x8F\xB9z", 4), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_characters_are_valid),
        cmocka_unit_test(what_is_no_character_is_found_at_every_place),
        cmocka_unit_test(every_pair_and_random_text_agree_with_the_definition),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(texts_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
