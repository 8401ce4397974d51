#include "arrow/type.h"

#include <string.h>

#include "support/cmocka_tests.h"

/* Format of the C data interface, name in messages, bytes of a value. */
static const struct {
    const char *format;
    const char *text;
    size_t width;
} types[] = {
    {"n", "null", 0},
    {"b", "bool", 0},
    {"c", "int8", 1},
    {"C", "uint8", 1},
    {"s", "int16", 2},
    {"S", "uint16", 2},
    {"i", "int32", 4},
    {"I", "uint32", 4},
    {"l", "int64", 8},
    {"L", "uint64", 8},
    {"e", "half", 2},
    {"f", "float", 4},
    {"g", "double", 8},
    {"d:9,2,32", "decimal32(9, 2)", 4},
    {"d:18,-3,64", "decimal64(18, -3)", 8},
    {"d:38,10", "decimal128(38, 10)", 16},
    {"d:76,0,256", "decimal256(76, 0)", 32},
    {"u", "utf8", 0},
    {"U", "large_utf8", 0},
    {"z", "binary", 0},
    {"Z", "large_binary", 0},
    {"w:0", "fixed_size_binary[0]", 0},
    {"w:42", "fixed_size_binary[42]", 42},
    {"tdD", "date32", 4},
    {"tdm", "date64", 8},
    {"tts", "time32[s]", 4},
    {"ttm", "time32[ms]", 4},
    {"ttu", "time64[us]", 8},
    {"ttn", "time64[ns]", 8},
    {"tss:", "timestamp[s]", 8},
    {"tsn:Europe/Berlin", "timestamp[ns, Europe/Berlin]", 8},
    {"tDs", "duration[s]", 8},
    {"tDu", "duration[us]", 8},
    {"tiM", "interval_months", 4},
    {"tiD", "interval_day_time", 8},
    {"tin", "interval_month_day_nano", 16},
    {"+l", "list", 0},
    {"+L", "large_list", 0},
    {"+s", "struct", 0},
    {"+m", "map", 0},
    {"vu", "utf8_view", 0},
    {"vz", "binary_view", 0},
    {"+vl", "list_view", 0},
    {"+vL", "large_list_view", 0},
    {"+w:0", "fixed_size_list[0]", 0},
    {"+w:3", "fixed_size_list[3]", 0},
    {"+ud:", "dense_union", 0},
    {"+ud:0,1", "dense_union", 0},
    {"+ud:1,0", "dense_union[1, 0]", 0},
    {"+us:0,1", "sparse_union", 0},
    {"+us:127", "sparse_union[127]", 0},
    {"+r", "run_end_encoded", 0},
};

static void each_format_is_read_and_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct fletch_type type;
        int8_t type_ids[FLETCH_TYPE_IDS_MAX];
        struct fletch_error error = {.message = ""};
        char text[FLETCH_TYPE_TEXT_BYTES];
        assert_ok(fletch_type_parse(types[i].format, "a.b", type_ids, &type, &error));
        assert_string_equal(fletch_type_describe(&type, text, sizeof text), types[i].text);
        assert_int_equal(fletch_type_byte_width(&type), types[i].width);
        assert_ok(fletch_type_check(&type, "a.b", &error));
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
            int8_t type_ids[2][FLETCH_TYPE_IDS_MAX];
            assert_ok(fletch_type_parse(types[i].format, "", type_ids[0], &a, NULL));
            assert_ok(fletch_type_parse(types[j].format, "", type_ids[1], &b, NULL));
            assert_int_equal(fletch_type_equal(&a, &b), i == j);
        }
}

static void what_is_no_format_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",          "x",       "nn",
        "ll",        "w",       "w:",
        "w:x",       "w:4x",    "w:99999999999",
        "d",         "d:",      "d:1",
        "d:1,",      "d:1,2,",  "d:1,2,64x",
        "d:1,2,512", "tt",      "ttx",
        "ttmm",      "ts",      "tsn",
        "tsx:",      "tD",      "tDx",
        "ti",        "tix",     "td",
        "+",         "+x",      "+ll",
        "+w",        "+u",      "v",
        "vx",        "tdDD",    "+w:",
        "+w:x",      "+w:3,",   "+ud",
        "+ud0",      "+ud:x",   "+ud:1,",
        "+ud:,1",    "+us:128", "+us:1 2",
        "vu:",       "+r1",     "+vlx",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fletch_type type;
        struct fletch_error error;
        int8_t type_ids[FLETCH_TYPE_IDS_MAX];
        assert_int_equal(fletch_type_parse(wrong[i], "a.b", type_ids, &type, &error),
                         FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, "field 'a.b': format '");
    }
}

static void parameters_out_of_range_are_named(void **state)
{
    (void)state;
    static const int8_t negative[] = {0, -1};
    static const int8_t twice[] = {4, 5, 4};
    const struct {
        struct fletch_type type;
        const char *message;
    } wrong[] = {
        {{.id = FLETCH_TYPE_FIXED_SIZE_BINARY, .byte_width = -1}, "fixed_size_binary of -1 bytes"},
        {{.id = FLETCH_TYPE_DECIMAL128, .precision = 0}, "precision 0, expected 1 to 38"},
        {{.id = FLETCH_TYPE_DECIMAL32, .precision = 10}, "precision 10, expected 1 to 9"},
        {{.id = FLETCH_TYPE_TIME32, .unit = FLETCH_UNIT_NANO}, "expected s to ms"},
        {{.id = FLETCH_TYPE_TIME64, .unit = FLETCH_UNIT_SECOND}, "expected us to ns"},
        {{.id = FLETCH_TYPE_TIMESTAMP, .unit = (enum fletch_time_unit)4}, "unit 4"},
        {{.id = FLETCH_TYPE_FIXED_SIZE_LIST, .list_size = -3}, "fixed_size_list of -3 elements"},
        {{.id = FLETCH_TYPE_DENSE_UNION, .type_ids = negative, .type_id_count = 2},
         "dense_union with type id -1, expected 0 to 127"},
        {{.id = FLETCH_TYPE_SPARSE_UNION, .type_ids = twice, .type_id_count = 3},
         "sparse_union with type id 4 twice"},
        {{.id = FLETCH_TYPE_COUNT}, "is not known"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fletch_error error;
        assert_int_equal(fletch_type_check(&wrong[i].type, "f", &error), FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, wrong[i].message);
        assert_contains(error.message, "field 'f'");
    }
}

static void a_union_of_many_type_ids_is_named_within_bounds(void **state)
{
    (void)state;
    int8_t type_ids[FLETCH_TYPE_IDS_MAX];
    char text[FLETCH_TYPE_TEXT_BYTES];
    char format[4 * FLETCH_TYPE_IDS_MAX + 8];
    struct fletch_type read;
    int8_t read_ids[FLETCH_TYPE_IDS_MAX];
    for (int i = 0; i < FLETCH_TYPE_IDS_MAX; i++)
        type_ids[i] = (int8_t)(FLETCH_TYPE_IDS_MAX - 1 - i);
    struct fletch_type type = {.id = FLETCH_TYPE_DENSE_UNION, .type_ids = type_ids};
    for (int count = 0; count <= FLETCH_TYPE_IDS_MAX; count++) {
        type.type_id_count = (uint8_t)count;
        assert_ok(fletch_type_check(&type, "u", NULL));
        const size_t length = strlen(fletch_type_describe(&type, text, sizeof text));
        assert_true(length < sizeof text);
        assert_true(count == 0 || text[length - 1] == ']');
        for (size_t room = 1; room < sizeof text; room++)
            assert_true(strlen(fletch_type_describe(&type, text, room)) < room);
        assert_true(fletch_type_format(&type, format, sizeof format) < sizeof format);
        assert_ok(fletch_type_parse(format, "u", read_ids, &read, NULL));
        assert_true(fletch_type_equal(&type, &read));
        assert_int_equal(fletch_type_format(&type, NULL, 0), strlen(format));
    }
    assert_int_equal(fletch_type_member(&type, 127), 0);
    assert_int_equal(fletch_type_member(&type, 0), 127);
    assert_int_equal(fletch_type_member(&type, -1), -1);
}

static void layouts_say_how_children_lie(void **state)
{
    (void)state;
    const struct fletch_type list = {.id = FLETCH_TYPE_FIXED_SIZE_LIST, .list_size = 3};
    static const struct {
        enum fletch_type_id id;
        int64_t stride;
        bool has_validity;
    } expected[] = {
        {FLETCH_TYPE_NULL, FLETCH_CHILD_WHOLE, false},
        {FLETCH_TYPE_STRUCT, 1, true},
        {FLETCH_TYPE_LIST, FLETCH_CHILD_WHOLE, true},
        {FLETCH_TYPE_MAP, FLETCH_CHILD_WHOLE, true},
        {FLETCH_TYPE_LIST_VIEW, FLETCH_CHILD_WHOLE, true},
        {FLETCH_TYPE_UTF8_VIEW, FLETCH_CHILD_WHOLE, true},
        {FLETCH_TYPE_SPARSE_UNION, 1, false},
        {FLETCH_TYPE_DENSE_UNION, FLETCH_CHILD_WHOLE, false},
        {FLETCH_TYPE_RUN_END_ENCODED, FLETCH_CHILD_WHOLE, false},
    };
    assert_int_equal(fletch_type_child_stride(&list), 3);
    assert_int_equal(sizeof(struct fletch_string_view), 16);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const struct fletch_type type = {.id = expected[i].id};
        assert_int_equal(fletch_type_child_stride(&type), expected[i].stride);
        assert_int_equal(fletch_type_has_validity(type.id), expected[i].has_validity);
    }
    for (int id = 0; id < FLETCH_TYPE_COUNT; id++)
        assert_int_equal(fletch_type_has_validity((enum fletch_type_id)id),
                         fletch_type_layouts[id].span_count > 0 &&
                             fletch_type_layouts[id].spans[0] == FLETCH_SPAN_VALIDITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_is_read_and_named),
        cmocka_unit_test(types_differ_by_each_parameter),
        cmocka_unit_test(what_is_no_format_is_refused),
        cmocka_unit_test(parameters_out_of_range_are_named),
        cmocka_unit_test(a_union_of_many_type_ids_is_named_within_bounds),
        cmocka_unit_test(layouts_say_how_children_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
