#include "arrow/schema_builder.h"

#include <stdio.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/schemas.h"

static void rows_follow_the_walk(void **state)
{
    (void)state;
    struct fletch_schema *schema =
        schema_new("a=l! b=+l(item=+s(x=u y=b)) c=c<u> d=+m(entries=+s(key=u! value=d:9,1)!)");
    static const struct {
        const char *path;
        uint32_t parent, end, children, depth, first_span, spans;
    } rows[] = {
        {"a", FLETCH_NO_INDEX, 1, 0, 1, 0, 2},
        {"b", FLETCH_NO_INDEX, 5, 1, 1, 2, 2},
        {"b.item", 1, 5, 2, 2, 4, 1},
        {"b.item.x", 2, 4, 0, 3, 5, 3},
        {"b.item.y", 2, 5, 0, 3, 8, 2},
        {"c", FLETCH_NO_INDEX, 6, 0, 1, 10, 2},
        {"d", FLETCH_NO_INDEX, 10, 1, 1, 12, 2},
        {"d.entries", 6, 10, 2, 2, 14, 1},
        {"d.entries.key", 7, 9, 0, 3, 15, 3},
        {"d.entries.value", 7, 10, 0, 3, 18, 2},
    };
    static const uint32_t columns[] = {0, 1, 5, 6};
    assert_int_equal(schema->field_count, sizeof rows / sizeof rows[0]);
    assert_int_equal(schema->span_count, 20);
    assert_int_equal(fletch_schema_column_count(schema), 4);
    assert_memory_equal(schema->columns, columns, sizeof columns);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct fletch_field *field = &schema->fields[i];
        assert_string_equal(fletch_field_path_of(schema, i).text, rows[i].path);
        assert_int_equal(field->parent, rows[i].parent);
        assert_int_equal(field->end, rows[i].end);
        assert_int_equal(field->child_count, rows[i].children);
        assert_int_equal(field->depth, rows[i].depth);
        assert_int_equal(field->first_span, rows[i].first_span);
        assert_int_equal(field->span_count, rows[i].spans);
    }
    assert_false(schema->fields[0].is_nullable);
    assert_true(schema->fields[1].is_nullable);
    assert_int_equal(schema->dictionary_count, 1);
    assert_int_equal(schema->dictionaries[0].field, 5);
    assert_string_equal(schema->dictionaries[0].values->fields[0].format, "u");
    char text[FLETCH_FIELD_TEXT_BYTES];
    assert_string_equal(fletch_field_describe(schema, &schema->fields[5], text, sizeof text),
                        "dictionary<int8, utf8>");
    fletch_schema_release(schema);
}

static void names_may_be_empty_and_repeat(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new("=l =u a=+s(=b) a=i");
    assert_int_equal(schema->column_count, 4);
    assert_string_equal(fletch_field_path_of(schema, 3).text, "a.");
    assert_string_equal(schema->fields[4].name, "a");
    fletch_schema_release(schema);
    schema = schema_new("");
    assert_int_equal(schema->field_count, 0);
    fletch_schema_release(schema);
}

static void metadata_is_kept_in_order(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new("{who:me} a=+s(b=l{in:ner}){out:er} c=l");
    struct fletch_metadata_pair pair;
    assert_true(fletch_metadata_find(&schema->metadata, "who", &pair));
    assert_memory_equal(pair.value, "me", pair.value_bytes);
    assert_true(fletch_metadata_find(&schema->fields[0].metadata, "out", &pair));
    assert_true(fletch_metadata_find(&schema->fields[1].metadata, "in", &pair));
    assert_false(fletch_metadata_find(&schema->fields[1].metadata, "out", &pair));
    assert_int_equal(schema->fields[2].metadata.count, 0);
    assert_null(schema->fields[2].metadata.bytes);
    fletch_schema_release(schema);

    struct fletch_schema_builder builder;
    static const struct fletch_metadata_pair pairs[] = {
        {"k", 1, "1", 1}, {"k", 1, "", 0}, {"", 0, "\0\xFF", 2}};
    fletch_schema_builder_init(&builder, NULL);
    for (size_t i = 0; i < 3; i++)
        assert_ok(fletch_schema_builder_metadata(&builder, &pairs[i], NULL));
    assert_ok(fletch_schema_builder_finish(&builder, &schema, NULL));
    size_t position = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_true(fletch_metadata_next(&schema->metadata, &position, &pair));
        assert_int_equal(pair.key_bytes, pairs[i].key_bytes);
        assert_int_equal(pair.value_bytes, pairs[i].value_bytes);
        assert_memory_equal(pair.value, pairs[i].value, pair.value_bytes);
    }
    assert_false(fletch_metadata_next(&schema->metadata, &position, &pair));
    fletch_schema_release(schema);
}

static void refused(const char *text, enum fletch_status expected, const char *message)
{
    struct fletch_error error = {.message = ""};
    struct fletch_schema *schema = NULL;
    assert_int_equal(schema_try(text, NULL, &schema, &error), expected);
    assert_null(schema);
    assert_contains(error.message, message);
}

static void what_a_schema_cannot_have_is_refused_by_path(void **state)
{
    (void)state;
    refused("a=l(b=i)", FLETCH_INVALID_ARGUMENT,
            "field 'a.b': a child of a field of type int64, which has none");
    refused("a=+l", FLETCH_INVALID_ARGUMENT, "field 'a': list with 0 children, expected 1");
    refused("a=+s(b=+l(x=i y=i))", FLETCH_INVALID_ARGUMENT,
            "field 'a.b': list with 2 children, expected 1");
    refused("a=+m(entries=i)", FLETCH_INVALID_ARGUMENT, "field 'a': entries of a map are int32");
    refused("a=+m(entries=+s(key=i))", FLETCH_INVALID_ARGUMENT, "struct with 1 children");
    refused("a=g<u>", FLETCH_INVALID_ARGUMENT, "field 'a': dictionary indices of type double");
    refused("a=+s(b=c<c<u>>)", FLETCH_UNIMPLEMENTED,
            "field 'a.b': a dictionary whose values are dictionary-encoded themselves");
    refused("a=+w:2", FLETCH_INVALID_ARGUMENT, "fixed_size_list with 0 children, expected 1");
    refused("a=+w:-1(x=i)", FLETCH_INVALID_ARGUMENT, "fixed_size_list of -1 elements");
    refused("a=+vl(x=i y=i)", FLETCH_INVALID_ARGUMENT, "list_view with 2 children, expected 1");
    refused("a=vu(x=i)", FLETCH_INVALID_ARGUMENT, "a child of a field of type utf8_view");
    refused("a=+us:0,1(x=i)", FLETCH_INVALID_ARGUMENT, "sparse_union with 1 children, expected 2");
    refused("a=+ud:(x=i)", FLETCH_INVALID_ARGUMENT, "dense_union with 1 children, expected 0");
    refused("a=+ud:3,3(x=i y=i)", FLETCH_INVALID_ARGUMENT, "dense_union with type id 3 twice");
    refused("a=+ud:-3(x=i)", FLETCH_INVALID_ARGUMENT, "dense_union with type id -3, expected 0 to");
    refused("a=+r(r=i)", FLETCH_INVALID_ARGUMENT, "run_end_encoded with 1 children, expected 2");
    refused("a=+r(r=u v=i)", FLETCH_INVALID_ARGUMENT,
            "field 'a': run ends are utf8, expected int16, int32 or int64");
    refused("a=+r(r=I v=i)", FLETCH_INVALID_ARGUMENT, "run ends are uint32");
    refused("a=+r(r=i<u> v=i)", FLETCH_INVALID_ARGUMENT, "run ends are dictionary-encoded, int32");
    refused("a=d:39,2", FLETCH_INVALID_ARGUMENT, "field 'a': decimal128 of precision 39");
    refused("\xC3=l", FLETCH_INVALID_ARGUMENT, "the name is not UTF-8");
    refused("a=tss:\xC3", FLETCH_INVALID_ARGUMENT, "the time zone is not UTF-8");
}

static void all_types_have_their_place(void **state)
{
    (void)state;
    static const char text[] =
        "a=vu b=+s(x=vz y=l) c=+vl(item=vu) d=+w:3(item=+w:2(item=c)) e=+ud:5,0(x=i y=u!) "
        "f=+us:1(x=vz) g=+r(run_ends=s! values=vu) h=+vL(item=b) i=+ud:";
    struct fletch_schema *schema = schema_new(text);
    static const uint32_t views[] = {0, 2, 5, 13, 16}; /* rows, in order */
    char printed[400];
    schema_print(schema, printed, sizeof printed);
    assert_string_equal(printed, text);
    assert_int_equal(schema->view_count, 5);
    for (uint32_t row = 0, view = 0; row < schema->field_count; row++) {
        const bool is_view = view < 5 && views[view] == row;
        assert_int_equal(schema->fields[row].view, is_view ? view : FLETCH_NO_INDEX);
        view += is_view;
    }
    /* 2, 1 + 2 + 2, 3 + 2, 1 + 1 + 2, 2 + 2 + 3, 1 + 2, 0 + 2 + 2, 3 + 2, 2 */
    assert_int_equal(schema->span_count, 2 + 5 + 5 + 4 + 7 + 3 + 4 + 5 + 2);
    const struct fletch_type *dense = &schema->fields[schema->columns[4]].type;
    assert_int_equal(dense->type_id_count, 2);
    assert_int_equal(dense->type_ids[0], 5);
    assert_int_equal(dense->type_ids[1], 0);
    assert_int_equal(fletch_schema_stride_of(schema, 0), 1);
    assert_int_equal(fletch_schema_stride_of(schema, 7), 3);
    assert_int_equal(fletch_schema_stride_of(schema, 8), 2);
    assert_int_equal(fletch_schema_child(schema, schema->columns[4], 1), schema->columns[4] + 2);
    assert_int_equal(schema->depth, 3);
    fletch_schema_release(schema);
}

/* Lists in each other, `levels` of them with what they end in. */
static const char *nested(char *text, int levels, const char *inmost)
{
    char *next = text;
    for (int i = 1; i < levels; i++)
        next += sprintf(next, "a=+l(");
    next += sprintf(next, "%s", inmost);
    for (int i = 1; i < levels; i++)
        *next++ = ')';
    *next = '\0';
    return text;
}

static void depth_counts_on_through_dictionaries(void **state)
{
    (void)state;
    static char text[2000];
    struct fletch_schema *schema = schema_new("a=+s(b=c<+l(item=+s(x=s<+l(item=u)>))>)");
    assert_int_equal(schema->depth, 5); /* a, list, struct, list, item */
    assert_int_equal(schema->dictionaries[0].values->depth, 4);
    assert_int_equal(schema->dictionaries[0].values->dictionary_count, 1);
    assert_int_equal(schema->dictionaries[0].id, 1); /* numbered as they end */
    assert_int_equal(schema->dictionaries[0].values->dictionaries[0].id, 0);
    fletch_schema_release(schema);
    schema = schema_new(nested(text, 64, "a=l"));
    assert_int_equal(schema->depth, 64);
    fletch_schema_release(schema);
    refused(nested(text, 65, "a=l"), FLETCH_INVALID_ARGUMENT, "nested deeper than 64 levels");
    schema = schema_new(nested(text, 63, "a=c<+l(item=u)>"));
    assert_int_equal(schema->depth, 64);
    fletch_schema_release(schema);
    refused(nested(text, 63, "a=c<+l(item=c<+l(item=u)>)>"), FLETCH_INVALID_ARGUMENT,
            "nested deeper than 64 levels");
    schema = schema_new(nested(text, 62, "a=c<+l(item=c<+l(item=u)>)>"));
    assert_int_equal(schema->depth, 64);
    fletch_schema_release(schema);
}

static void a_builder_that_failed_stays_so(void **state)
{
    (void)state;
    struct fletch_schema_builder builder;
    struct fletch_schema *schema = NULL;
    struct fletch_error error = {.message = ""};
    const struct fletch_field_options good = {.name = "a", .name_bytes = 1};
    const struct fletch_field_options bad = {.name = "a\0b", .name_bytes = 3};
    fletch_schema_builder_init(&builder, NULL);
    assert_int_equal(fletch_schema_builder_open(&builder, &bad, NULL), FLETCH_INVALID_ARGUMENT);
    assert_int_equal(fletch_schema_builder_open(&builder, &good, NULL), FLETCH_INVALID_ARGUMENT);
    assert_int_equal(fletch_schema_builder_finish(&builder, &schema, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "the name is not UTF-8 without NUL");
    assert_null(schema);
}

/* The values of a dictionary lie where its field does. */
static void nesting_ends_at_64_in_a_dictionary_too(void **state)
{
    (void)state;
    enum { OUTSIDE = 40 };
    for (int levels = 64; levels <= 65; levels++) {
        char text[1000] = "";
        for (int i = 0; i < OUTSIDE; i++)
            strcat(text, "a=+s(");
        strcat(text, "d=c<");
        for (int i = OUTSIDE + 1; i < levels; i++)
            strcat(text, "+s(a=");
        strcat(text, "l");
        for (int i = OUTSIDE + 1; i < levels; i++)
            strcat(text, ")");
        strcat(text, ">");
        for (int i = 0; i < OUTSIDE; i++)
            strcat(text, ")");
        struct fletch_schema *schema = NULL;
        struct fletch_error error = {.message = ""};
        enum fletch_status status = schema_try(text, NULL, &schema, &error);
        assert_int_equal(status, levels == 64 ? FLETCH_OK : FLETCH_INVALID_ARGUMENT);
        if (levels == 65)
            assert_contains(error.message, "nested deeper than 64 levels");
        fletch_schema_release(schema);
    }
}

static void nesting_ends_at_64(void **state)
{
    (void)state;
    for (int levels = 64; levels <= 65; levels++) {
        char text[1000] = "";
        for (int i = 1; i < levels; i++)
            strcat(text, "a=+s(");
        strcat(text, "a=l");
        for (int i = 1; i < levels; i++)
            strcat(text, ")");
        struct fletch_schema *schema = NULL;
        struct fletch_error error = {.message = ""};
        enum fletch_status status = schema_try(text, NULL, &schema, &error);
        assert_int_equal(status, levels == 64 ? FLETCH_OK : FLETCH_INVALID_ARGUMENT);
        if (levels == 65)
            assert_contains(error.message, "nested deeper than 64 levels");
        else
            assert_int_equal(strlen(fletch_field_path_of(schema, 63).text), 127);
        fletch_schema_release(schema);
    }
}

static void long_paths_are_cut(void **state)
{
    (void)state;
    char text[200];
    snprintf(text, sizeof text, "%s=+s(%s=+s(%s=+s(x=i)))", "äääääääääääääääääääääääääää",
             "äääääääääääääääääääääääääää", "äääääääääääääääääääääääääää");
    struct fletch_schema *schema = schema_new(text);
    struct fletch_field_path path = fletch_field_path_of(schema, 3);
    assert_true(strlen(path.text) < sizeof path.text);
    assert_contains(path.text, "ä…");
    fletch_schema_release(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_follow_the_walk),
        cmocka_unit_test(names_may_be_empty_and_repeat),
        cmocka_unit_test(metadata_is_kept_in_order),
        cmocka_unit_test(what_a_schema_cannot_have_is_refused_by_path),
        cmocka_unit_test(all_types_have_their_place),
        cmocka_unit_test(depth_counts_on_through_dictionaries),
        cmocka_unit_test(a_builder_that_failed_stays_so),
        cmocka_unit_test(nesting_ends_at_64),
        cmocka_unit_test(nesting_ends_at_64_in_a_dictionary_too),
        cmocka_unit_test(long_paths_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
