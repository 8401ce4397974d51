#include <fletching/schema.h>

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/schemas.h"

static void assert_type(const char *schema_text, const char *expected)
{
    char text[200];
    struct fletch_schema *schema = schema_new(schema_text);
    assert_int_equal(fletch_schema_column_type(schema, 0, text, sizeof text), strlen(expected));
    assert_string_equal(text, expected);
    fletch_schema_release(schema);
}

static void types_are_told_as_text(void **state)
{
    (void)state;
    assert_type("a=n", "null");
    assert_type("a=l!", "int64");
    assert_type("a=d:19,10", "decimal128(19, 10)");
    assert_type("a=w:42", "fixed_size_binary[42]");
    assert_type("a=tsu:UTC", "timestamp[us, UTC]");
    assert_type("a=tsn:", "timestamp[ns]");
    assert_type("a=c<u>", "dictionary<int8, utf8>");
    assert_type("a=c<<u>", "dictionary<int8, utf8, ordered>");
    assert_type("a=+s()", "struct<>");
    assert_type("a=+s(x=l! y=+l(item=u!) =b)!", "struct<x: int64 not null, y: list<utf8>, : bool>");
    assert_type("a=+l(item=+L(item=+s(x=u)))", "list<large_list<struct<x: utf8>>>");
    assert_type("a=+m(entries=+s(key=u! value=+l(item=i))!)", "map<utf8, list<int32>>");
    assert_type("a=+s(x=+m(entries=+s(key=u! value=i)!)! y=l)",
                "struct<x: map<utf8, int32> not null, y: int64>");
    assert_type("a=i<+s(a=l b=u)>", "dictionary<int32, struct<a: int64, b: utf8>>");
    assert_type("a=+l(item=s<u>)", "list<dictionary<int16, utf8>>");
    assert_type("a=c<+s(x=s<+l(item=u)>)>",
                "dictionary<int8, struct<x: dictionary<int16, list<utf8>>>>");
    assert_type("a=vu", "utf8_view");
    assert_type("a=+vl(item=vz)", "list_view<binary_view>");
    assert_type("a=+w:3(item=+vL(item=l))", "fixed_size_list[3]<large_list_view<int64>>");
    assert_type("a=+ud:0,1(x=i! y=+s(z=u))", "dense_union<x: int32 not null, y: struct<z: utf8>>");
    assert_type("a=+us:7(x=i)", "sparse_union[7]<x: int32>");
    assert_type("a=+us:", "sparse_union<>");
    assert_type("a=+r(run_ends=s! values=u)", "run_end_encoded<int16, utf8>");
}

static void what_does_not_fit_is_cut_between_characters(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new("a=+s(x\xC3\xA9=l)");
    char text[40] = "untouched";
    const size_t whole = strlen("struct<x\xC3\xA9: int64>");
    assert_int_equal(fletch_schema_column_type(schema, 0, text, 0), whole);
    assert_string_equal(text, "untouched");
    assert_int_equal(fletch_schema_column_type(schema, 0, text, 1), whole);
    assert_string_equal(text, "");
    assert_int_equal(fletch_schema_column_type(schema, 0, text, 10), whole);
    assert_string_equal(text, "struct<x");
    assert_int_equal(fletch_schema_column_type(schema, 0, text, whole), whole);
    assert_string_equal(text, "struct<x\xC3\xA9: int64");
    assert_int_equal(fletch_schema_column_type(schema, 0, text, whole + 1), whole);
    assert_string_equal(text, "struct<x\xC3\xA9: int64>");
    fletch_schema_release(schema);
}

static void columns_are_found_by_name(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new("a=l! =u s=+s(b=l c=l) b=c<u> a=i =b ab=u");
    size_t bytes = 99;
    size_t column = 99;
    assert_int_equal(fletch_schema_column_count(schema), 7);
    assert_string_equal(fletch_schema_column_name(schema, 6, &bytes), "ab");
    assert_int_equal(bytes, 2);
    assert_string_equal(fletch_schema_column_name(schema, 1, NULL), "");
    assert_int_equal(fletch_schema_find_column(schema, "c", 1, &column), 0);
    assert_int_equal(column, 99);
    assert_int_equal(fletch_schema_find_column(schema, "b", 1, &column), 1);
    assert_int_equal(column, 3);
    assert_int_equal(fletch_schema_find_column(schema, "abc", 1, &column), 2);
    assert_int_equal(column, 0);
    assert_int_equal(fletch_schema_find_column(schema, NULL, 0, &column), 2);
    assert_int_equal(column, 1);
    assert_false(fletch_schema_column_is_nullable(schema, 0));
    assert_true(fletch_schema_column_is_nullable(schema, 1));
    assert_true(fletch_schema_column_is_dictionary(schema, 3));
    assert_false(fletch_schema_column_is_dictionary(schema, 4));
    fletch_schema_release(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_told_as_text),
        cmocka_unit_test(what_does_not_fit_is_cut_between_characters),
        cmocka_unit_test(columns_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
