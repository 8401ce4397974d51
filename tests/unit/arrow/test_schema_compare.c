#include "arrow/schema_compare.h"

#include <fletching/arrow.h>

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/schemas.h"

static bool same(struct fletch_fingerprint a, struct fletch_fingerprint b)
{
    return a.high == b.high && a.low == b.low;
}

/* Both ways; and fingerprints agree with the comparison. */
static void compare(const char *one, const char *other, unsigned flags, const char *message)
{
    struct fletch_schema *a = schema_new(one);
    struct fletch_schema *b = schema_new(other);
    struct fletch_error error = {.message = ""};
    bool is_equal = message == NULL;
    assert_int_equal(fletch_schema_compare(a, b, flags, &error),
                     is_equal ? FLETCH_OK : FLETCH_INVALID_ARGUMENT);
    if (!is_equal)
        assert_contains(error.message, message);
    assert_int_equal(fletch_schema_compare(b, a, flags, NULL),
                     is_equal ? FLETCH_OK : FLETCH_INVALID_ARGUMENT);
    assert_int_equal(same(fletch_schema_fingerprint(a, flags), fletch_schema_fingerprint(b, flags)),
                     is_equal);
    fletch_schema_release(a);
    fletch_schema_release(b);
}

static void fields_are_compared(void **state)
{
    (void)state;
    compare("a=l b=+l(item=u)", "a=l b=+l(item=u)", 0, NULL);
    compare("", "", 0, NULL);
    compare("a=l", "a=i", 0, "field 'a': another type: expected int64, found int32");
    compare("a=l", "b=l", 0, "field 'a': another name: found 'b'");
    compare("a=l!", "a=l", 0,
            "field 'a': another nullability: expected int64 not null, found int64");
    compare("a=l b=l", "a=l", 0, "schema of 1 columns, expected 2");
    compare("a=+s(b=l c=tsn:UTC)", "a=+s(b=l c=tsn:)", 0,
            "field 'a.c': another type: expected timestamp[ns, UTC], found timestamp[ns]");
    compare("a=+s(b=l c=l)", "a=+s(b=l) c=l", 0, "field 'a'");
    compare("a=c<u>", "a=c<u>", 0, NULL);
    compare("a=c<u>", "a=s<u>", 0, "dictionary<int8, utf8>, found dictionary<int16, utf8>");
    compare("a=c<u>", "a=c<U>", 0, "field 'a': another dictionary");
    compare("a=c<u>", "a=c<<u>", 0, "field 'a': another dictionary");
    compare("a=c<u>", "a=u", 0, "field 'a': another type");
    compare("a=c<u>", "a=c", 0, "field 'a': another encoding");
    compare("a=vu", "a=u", 0, "another type: expected utf8_view, found utf8");
    compare("a=+w:3(i=l)", "a=+w:2(i=l)", 0,
            "expected fixed_size_list[3], found fixed_size_list[2]");
    compare("a=+w:3(i=l)", "a=+w:3(x=l)", 0, NULL);
    compare("a=+vl(i=l)", "a=+vl(x=l)", 0, NULL);
    compare("a=+us:0,1(x=l y=i)", "a=+us:0,1(x=l y=i)", 0, NULL);
    compare("a=+us:0,1(x=l y=i)", "a=+us:1,0(x=l y=i)", 0,
            "expected sparse_union, found sparse_union[1, 0]");
    compare("a=+us:0,1(x=l y=i)", "a=+us:0(x=l)", 0, "another type");
    compare("a=+us:0(x=l)", "a=+us:0(y=l)", 0, "field 'a.x': another name: found 'a.y'");
    compare("a=+us:0(x=l)", "a=+ud:0(x=l)", 0, "expected sparse_union, found dense_union");
    compare("a=+r(r=i v=l)", "a=+r(run_ends=i values=l)", 0, NULL);
    compare("a=+r(r=i v=l)", "a=+r(r=s v=l)", 0, "field 'a.r': another type");
    compare("a=c<+l(i=s<u>)>", "a=c<+l(i=s<u>)>", 0, NULL);
    compare("a=c<+l(i=s<u>)>", "a=c<+l(i=s<z>)>", 0, "field 'a': another dictionary");
}

static void names_in_lists_and_maps_do_not_count(void **state)
{
    (void)state;
    compare("a=+l(item=u)", "a=+l(element=u)", 0, NULL);
    compare("a=+m(entries=+s(key=u! value=i)!)", "a=+m(e=+s(k=u! v=i)!)", 0, NULL);
    compare("a=+l(item=+s(x=u))", "a=+l(element=+s(y=u))", 0, "field 'a.item.x': another name");
}

static void metadata_counts_on_demand(void **state)
{
    (void)state;
    compare("a=l{k:1}", "a=l", 0, NULL);
    compare("{k:1} a=l", "a=l", 0, NULL);
    compare("a=l{k:1}", "a=l{k:1}", FLETCH_COMPARE_METADATA, NULL);
    compare("a=l{k:1}", "a=l{k:2}", FLETCH_COMPARE_METADATA, "field 'a': another metadata");
    compare("{k:1} a=l", "a=l", FLETCH_COMPARE_METADATA, "schema of other metadata");
}

static void dictionaries_can_be_seen_through(void **state)
{
    (void)state;
    const unsigned flags = FLETCH_COMPARE_VALUE_TYPES;
    compare("a=c<u> b=l", "a=u b=l", flags, NULL);
    compare("a=c<u>", "a=L<<u>", flags, NULL);
    compare("a=c<u>", "a=U", flags, "field 'a': another type");
    compare("a=c<u>!", "a=u", flags, "field 'a': another nullability");
    compare("x=+s(a=c<+s(k=l v=u)> b=i)", "x=+s(a=+s(k=l v=u) b=i)", flags, NULL);
    compare("x=+s(a=c<+s(k=l v=u)> b=i)", "x=+s(a=+s(k=l v=z) b=i)", flags,
            "field 'x.a.v': another type: expected utf8, found binary");
    compare("x=+s(a=+s(k=l v=z) b=i)", "x=+s(a=c<+s(k=l v=u)> b=i)", flags,
            "field 'x.a.v': another type: expected binary, found utf8");
    compare("x=+s(a=c<+s(k=l v=u)> b=i)", "x=+s(a=+s(k=l w=u) b=i)", flags,
            "field 'x.a.v': another name: found 'x.a.w'");
    compare("x=+s(a=c<+s(k=l v=u)> b=i)", "x=+s(a=+s(k=l) b=i)", flags, "another type");
    compare("a=c<+l(i=s<u>)>", "a=+l(i=u)", flags, NULL);
    compare("a=c<+l(i=s<u>)>", "a=c<+l(i=u)>", flags, NULL);
    compare("a=c<+l(i=s<u>)>", "a=+l(i=z)", flags, "field 'a.i': another type");
}

/* One dictionary-encoded column; what is around its values' type differs between libraries. */
static struct fletch_schema *encoded(const char *values_name, int64_t values_flags)
{
    struct fletch_schema *schema = schema_new("a=c<u>");
    struct fletch_schema *again = NULL;
    struct ArrowSchema exported;
    assert_ok(fletch_schema_export(schema, NULL, &exported, NULL));
    exported.children[0]->dictionary->name = values_name;
    exported.children[0]->dictionary->flags = values_flags;
    assert_ok(fletch_schema_import(&exported, NULL, &again, NULL));
    fletch_schema_release(schema);
    return again;
}

static void only_the_type_of_dictionary_values_counts(void **state)
{
    (void)state;
    struct fletch_schema *a = encoded("", ARROW_FLAG_NULLABLE);
    struct fletch_schema *b = encoded("values", 0);
    struct fletch_error error = {.message = ""};
    for (unsigned flags = 0; flags < 4; flags++) {
        if (fletch_schema_compare(a, b, flags, &error) != FLETCH_OK)
            fail_msg("%u: %s", flags, error.message);
        assert_true(same(fletch_schema_fingerprint(a, flags), fletch_schema_fingerprint(b, flags)));
    }
    fletch_schema_release(a);
    fletch_schema_release(b);
}

static void metadata_below_dictionary_values_counts_on_demand(void **state)
{
    (void)state;
    compare("a=c<+s(x=l{k:1})>", "a=c<+s(x=l{k:2})>", 0, NULL);
    compare("a=c<+s(x=l{k:1})>", "a=c<+s(x=l{k:1})>", FLETCH_COMPARE_METADATA, NULL);
    compare("a=c<+s(x=l{k:1})>", "a=c<+s(x=l{k:2})>", FLETCH_COMPARE_METADATA,
            "field 'a': another dictionary");
    compare("a=c<+s(x=l{k:1})>", "a=+s(x=l{k:2})",
            FLETCH_COMPARE_METADATA | FLETCH_COMPARE_VALUE_TYPES, "field 'a.x': another metadata");
}

static void fingerprints_are_the_published_function(void **state)
{
    (void)state;
    struct fletch_fingerprint fingerprint = FLETCH_FINGERPRINT_BASIS;
    fletch_fingerprint_add(&fingerprint, "foobar", 6);
    assert_true(same(fingerprint, (struct fletch_fingerprint){UINT64_C(0x343e1662793c64bf),
                                                              UINT64_C(0x6f0d3597ba446f18)}));
    fingerprint = FLETCH_FINGERPRINT_BASIS;
    fletch_fingerprint_add(&fingerprint, "a", 1);
    assert_true(same(fingerprint, (struct fletch_fingerprint){UINT64_C(0xd228cb696f1a8caf),
                                                              UINT64_C(0x78912b704e4a8964)}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_compared),
        cmocka_unit_test(names_in_lists_and_maps_do_not_count),
        cmocka_unit_test(metadata_counts_on_demand),
        cmocka_unit_test(dictionaries_can_be_seen_through),
        cmocka_unit_test(only_the_type_of_dictionary_values_counts),
        cmocka_unit_test(metadata_below_dictionary_values_counts_on_demand),
        cmocka_unit_test(fingerprints_are_the_published_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
