#include "arrow/type.h"

#include <string.h>

#include "support/cmocka_tests.h"

/* Format of the C data interface, name in messages, bytes of a value, and status of the check. */
static const struct {
    const char *format;
    const char *text;
    size_t width;
    enum fletch_status status;
} types[] = {
    {"n", "null", 0, FLETCH_OK},
    {"b", "bool", 0, FLETCH_OK},
    {"c", "int8", 1, FLETCH_OK},
    {"C", "uint8", 1, FLETCH_OK},
    {"s", "int16", 2, FLETCH_OK},
    {"S", "uint16", 2, FLETCH_OK},
    {"i", "int32", 4, FLETCH_OK},
    {"I", "uint32", 4, FLETCH_OK},
    {"l", "int64", 8, FLETCH_OK},
    {"L", "uint64", 8, FLETCH_OK},
    {"e", "half", 2, FLETCH_OK},
    {"f", "float", 4, FLETCH_OK},
    {"g", "double", 8, FLETCH_OK},
    {"d:9,2,32", "decimal32(9, 2)", 4, FLETCH_OK},
    {"d:18,-3,64", "decimal64(18, -3)", 8, FLETCH_OK},
    {"d:38,10", "decimal128(38, 10)", 16, FLETCH_OK},
    {"d:76,0,256", "decimal256(76, 0)", 32, FLETCH_OK},
    {"u", "utf8", 0, FLETCH_OK},
    {"U", "large_utf8", 0, FLETCH_OK},
    {"z", "binary", 0, FLETCH_OK},
    {"Z", "large_binary", 0, FLETCH_OK},
    {"w:0", "fixed_size_binary[0]", 0, FLETCH_OK},
    {"w:42", "fixed_size_binary[42]", 42, FLETCH_OK},
    {"tdD", "date32", 4, FLETCH_OK},
    {"tdm", "date64", 8, FLETCH_OK},
    {"tts", "time32[s]", 4, FLETCH_OK},
    {"ttm", "time32[ms]", 4, FLETCH_OK},
    {"ttu", "time64[us]", 8, FLETCH_OK},
    {"ttn", "time64[ns]", 8, FLETCH_OK},
    {"tss:", "timestamp[s]", 8, FLETCH_OK},
    {"tsn:Europe/Berlin", "timestamp[ns, Europe/Berlin]", 8, FLETCH_OK},
    {"tDs", "duration[s]", 8, FLETCH_OK},
    {"tDu", "duration[us]", 8, FLETCH_OK},
    {"tiM", "interval_months", 4, FLETCH_OK},
    {"tiD", "interval_day_time", 8, FLETCH_OK},
    {"tin", "interval_month_day_nano", 16, FLETCH_OK},
    {"+l", "list", 0, FLETCH_OK},
    {"+L", "large_list", 0, FLETCH_OK},
    {"+s", "struct", 0, FLETCH_OK},
    {"+m", "map", 0, FLETCH_OK},
    {"vu", "utf8_view", 0, FLETCH_UNIMPLEMENTED},
    {"vz", "binary_view", 0, FLETCH_UNIMPLEMENTED},
    {"+vl", "list_view", 0, FLETCH_UNIMPLEMENTED},
    {"+vL", "large_list_view", 0, FLETCH_UNIMPLEMENTED},
    {"+w:3", "fixed_size_list", 0, FLETCH_UNIMPLEMENTED},
    {"+ud:0,1", "dense_union", 0, FLETCH_UNIMPLEMENTED},
    {"+us:0,1", "sparse_union", 0, FLETCH_UNIMPLEMENTED},
    {"+r", "run_end_encoded", 0, FLETCH_UNIMPLEMENTED},
};

static void each_format_is_read_and_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct fletch_type type;
        struct fletch_error error = {.message = ""};
        char text[FLETCH_TYPE_TEXT_BYTES];
        assert_ok(fletch_type_parse(types[i].format, "a.b", &type, &error));
        assert_string_equal(fletch_type_describe(&type, text, sizeof text), types[i].text);
        assert_int_equal(fletch_type_byte_width(&type), types[i].width);
        assert_int_equal(fletch_type_check(&type, "a.b", &error), types[i].status);
        if (types[i].status == FLETCH_UNIMPLEMENTED) {
            assert_contains(error.message, types[i].text);
            assert_contains(error.message, "'a.b'");
            continue;
        }
        char format[64];
        assert_int_equal(fletch_type_format(&type, format, sizeof format), strlen(types[i].format));
        assert_string_equal(format, types[i].format);
    }
}

static void types_differ_by_each_parameter(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        for (size_t j = 0; j < sizeof types / sizeof types[0]; j++) {
            struct fletch_type a;
            struct fletch_type b;
            assert_ok(fletch_type_parse(types[i].format, "", &a, NULL));
            assert_ok(fletch_type_parse(types[j].format, "", &b, NULL));
            assert_int_equal(fletch_type_equal(&a, &b), i == j);
        }
}

static void what_is_no_format_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",     "x",  "nn",  "ll",   "w",      "w:",        "w:x",       "w:4x", "w:99999999999",
        "d",    "d:", "d:1", "d:1,", "d:1,2,", "d:1,2,64x", "d:1,2,512", "tt",   "ttx",
        "ttmm", "ts", "tsn", "tsx:", "tD",     "tDx",       "ti",        "tix",  "td",
        "+",    "+x", "+ll", "+w",   "+u",     "v",         "vx",        "tdDD",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fletch_type type;
        struct fletch_error error;
        assert_int_equal(fletch_type_parse(wrong[i], "a.b", &type, &error),
                         FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, "field 'a.b': format '");
    }
}

static void parameters_out_of_range_are_named(void **state)
{
    (void)state;
    static const struct {
        struct fletch_type type;
        const char *message;
    } wrong[] = {
        {{.id = FLETCH_TYPE_FIXED_SIZE_BINARY, .byte_width = -1}, "fixed_size_binary of -1 bytes"},
        {{.id = FLETCH_TYPE_DECIMAL128, .precision = 0}, "precision 0, expected 1 to 38"},
        {{.id = FLETCH_TYPE_DECIMAL32, .precision = 10}, "precision 10, expected 1 to 9"},
        {{.id = FLETCH_TYPE_TIME32, .unit = FLETCH_UNIT_NANO}, "expected s to ms"},
        {{.id = FLETCH_TYPE_TIME64, .unit = FLETCH_UNIT_SECOND}, "expected us to ns"},
        {{.id = FLETCH_TYPE_TIMESTAMP, .unit = (enum fletch_time_unit)4}, "unit 4"},
        {{.id = FLETCH_TYPE_COUNT}, "is not known"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fletch_error error;
        assert_int_equal(fletch_type_check(&wrong[i].type, "f", &error), FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, wrong[i].message);
        assert_contains(error.message, "field 'f'");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_is_read_and_named),
        cmocka_unit_test(types_differ_by_each_parameter),
        cmocka_unit_test(what_is_no_format_is_refused),
        cmocka_unit_test(parameters_out_of_range_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
