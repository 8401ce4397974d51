#include "arrow/c_schema.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/schemas.h"

static const char *const every_type =
    "{who:me} n=n b=b c=c! C=C s=s S=S i=i I=I l=l L=L e=e f=f g=g d32=d:9,2,32 d64=d:18,3,64 "
    "d128=d:38,10 d256=d:76,0,256 u=u U=U z=z Z=Z w=w:42 tdD=tdD tdm=tdm tts=tts ttm=ttm ttu=ttu "
    "ttn=ttn ts=tss: tz=tsn:Europe/Berlin tDs=tDs tDn=tDn tiM=tiM tiD=tiD tin=tin "
    "dict=c<u> ordered=L<<tsn:UTC> nested=i<+s(a=l b=u)> st=+s(a=l! b=+s()) li=+l(item=u{k:v}) "
    "LI=+L(item=+l(item=c<z>)){extension.name:arrow.json} ma=+m(entries=+s(key=u! value=i)!) =l =l";

static void every_type_comes_back(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new(every_type);
    struct fletch_schema *again = NULL;
    struct ArrowSchema exported;
    struct fletch_error error = {.message = ""};
    assert_ok(fletch_schema_export(schema, NULL, &exported, &error));
    assert_string_equal(exported.format, "+s");
    assert_int_equal(exported.n_children, schema->column_count);
    assert_string_equal(exported.children[2]->name, "c");
    assert_int_equal(exported.children[2]->flags, 0);
    assert_int_equal(exported.children[3]->flags, ARROW_FLAG_NULLABLE);
    assert_ok(fletch_schema_import(&exported, NULL, &again, &error));
    assert_null(exported.release);
    assert_ok(fletch_schema_compare(schema, again, FLETCH_COMPARE_METADATA, &error));
    assert_int_equal(again->dictionary_count, 4);
    for (uint32_t i = 0; i < again->dictionary_count; i++)
        assert_int_equal(again->dictionaries[i].id, i);
    fletch_schema_release(schema);
    fletch_schema_release(again);
}

static void sorted_keys_and_order_are_flags(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new("a=+m(entries=+s(key=u! value=i)!) b=c<<u>");
    struct fletch_schema *again = NULL;
    struct ArrowSchema exported;
    assert_ok(fletch_schema_export(schema, NULL, &exported, NULL));
    assert_int_equal(exported.children[1]->flags,
                     ARROW_FLAG_NULLABLE | ARROW_FLAG_DICTIONARY_ORDERED);
    exported.children[0]->flags |= ARROW_FLAG_MAP_KEYS_SORTED;
    assert_ok(fletch_schema_import(&exported, NULL, &again, NULL));
    assert_true(again->fields[0].type.keys_are_sorted);
    assert_true(again->dictionaries[0].is_ordered);
    assert_int_equal(fletch_schema_compare(schema, again, 0, NULL), FLETCH_INVALID_ARGUMENT);
    fletch_schema_release(schema);
    fletch_schema_release(again);
}

static void children_outlive_what_they_were_moved_out_of(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new("a=l b=+s(x=u y=+l(item=i)) c=c<u>");
    struct ArrowSchema exported;
    assert_ok(fletch_schema_export(schema, NULL, &exported, NULL));
    fletch_schema_release(schema);
    struct ArrowSchema child = *exported.children[1];
    exported.children[1]->release = NULL;
    struct ArrowSchema values = *exported.children[2]->dictionary;
    exported.children[2]->dictionary->release = NULL;
    exported.release(&exported);
    assert_null(exported.release);
    assert_string_equal(child.children[1]->children[0]->format, "i");
    child.release(&child);
    assert_string_equal(values.format, "u");
    values.release(&values);
    assert_null(values.release);
}

/* Exports the schema, lets `change` damage it, and sees the import refuse it and leave it alone. */
static void refused(const char *text, void (*change)(struct ArrowSchema *), const char *message,
                    enum fletch_status expected)
{
    struct fletch_schema *schema = schema_new(text);
    struct fletch_schema *out = NULL;
    struct fletch_error error = {.message = ""};
    struct ArrowSchema exported;
    assert_ok(fletch_schema_export(schema, NULL, &exported, NULL));
    struct ArrowSchema root = exported;
    struct ArrowSchema child = *exported.children[0];
    change(&exported);
    struct ArrowSchema changed = exported;
    assert_int_equal(fletch_schema_import(&exported, NULL, &out, &error), expected);
    assert_memory_equal(&exported, &changed, sizeof changed);
    assert_contains(error.message, message);
    assert_null(out);
    exported = root;
    *exported.children[0] = child;
    exported.release(&exported);
    fletch_schema_release(schema);
}

static void move_root(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

/* What a structure pointed to may be gone once it was released: nothing is at this address. */
static void move_child(struct ArrowSchema *schema)
{
    schema->children[0]->release = NULL;
    schema->children[0]->name = (const char *)(uintptr_t)64;
}

static void drop_format(struct ArrowSchema *schema)
{
    schema->children[0]->format = NULL;
}

static void break_format(struct ArrowSchema *schema)
{
    schema->children[0]->format = "d:1";
}

static void list_root(struct ArrowSchema *schema)
{
    schema->format = "+l";
}

static void negative_children(struct ArrowSchema *schema)
{
    schema->children[0]->n_children = -1;
}

static void absent_children(struct ArrowSchema *schema)
{
    schema->children[0]->n_children = 1;
    schema->children[0]->children = NULL;
}

static void null_child(struct ArrowSchema *schema)
{
    static struct ArrowSchema *nothing = NULL;
    schema->children[0]->n_children = 1;
    schema->children[0]->children = &nothing;
}

static void break_metadata(struct ArrowSchema *schema)
{
    static const int32_t count = -1;
    schema->children[0]->metadata = (const char *)&count;
}

static void break_value(struct ArrowSchema *schema)
{
    static const struct {
        int32_t count, key_bytes, value_bytes;
    } metadata = {1, 0, -2};
    schema->children[0]->metadata = (const char *)&metadata;
}

/* A dictionary that is its own dictionary has no end. */
static void endless_dictionary(struct ArrowSchema *schema)
{
    schema->children[0]->dictionary = schema->children[0];
}

/* And so has a struct that is its own child. */
static void endless_struct(struct ArrowSchema *schema)
{
    static struct ArrowSchema *itself[1];
    itself[0] = schema->children[0];
    schema->children[0]->n_children = 1;
    schema->children[0]->children = itself;
}

/* A list of indices into a dictionary that is the list. */
static void endless_values(struct ArrowSchema *schema)
{
    static struct ArrowSchema item;
    static struct ArrowSchema *items[1] = {&item};
    item = *schema->children[0]->children[0];
    item.dictionary = schema->children[0];
    schema->children[0]->children = items;
}

static void negative_type_id(struct ArrowSchema *schema)
{
    schema->children[0]->format = "+ud:0,-1";
}

static void absent_members(struct ArrowSchema *schema)
{
    schema->children[0]->format = "+ud:0,1";
}

static void broken_list_size(struct ArrowSchema *schema)
{
    schema->children[0]->format = "+w:x";
}

static void what_is_not_as_it_should_be_is_refused(void **state)
{
    (void)state;
    const enum fletch_status invalid = FLETCH_INVALID_ARGUMENT;
    refused("a=l", move_root, "field '': the schema was released or moved", invalid);
    refused("a=l", move_child, "field '?': the schema was released or moved", invalid);
    refused("a=l", drop_format, "field 'a': no format", invalid);
    refused("a=l", break_format, "field 'a': format 'd:1'", invalid);
    refused("a=l", list_root, "schema of format '+l', expected '+s'", invalid);
    refused("a=+s", negative_children, "field 'a': -1 children", invalid);
    refused("a=+s", absent_children, "field 'a': 1 children, and no pointers", invalid);
    refused("a=+s", null_child, "field 'a': child 0 is NULL", invalid);
    refused("a=l", break_metadata, "field 'a': metadata of -1 pairs", invalid);
    refused("a=l", break_value, "field 'a': metadata value 0 of -2 bytes", invalid);
    refused("a=l", endless_dictionary,
            "field 'a': a dictionary whose values are dictionary-encoded themselves",
            FLETCH_UNIMPLEMENTED);
    refused("a=+l(item=i)", endless_values, "nested deeper than 64 levels", invalid);
    refused("a=+s", endless_struct, "nested deeper than 64 levels", invalid);
    refused("a=u", negative_type_id, "field 'a': dense_union with type id -1", invalid);
    refused("a=u", absent_members, "field 'a': dense_union with 0 children, expected 2", invalid);
    refused("a=u", broken_list_size, "field 'a': format '+w:x' is no type", invalid);
}

static void keep(struct ArrowSchema *schema)
{
    (void)schema;
}

/* A struct whose children are all one struct, whose children are all one field: 2^20 fields in a
 * few words. */
static void fields_that_multiply_end_at_a_limit(void **state)
{
    (void)state;
    enum { WIDTH = 1024, LEVELS = 2 };
    static struct ArrowSchema *children[LEVELS][WIDTH];
    struct ArrowSchema levels[LEVELS + 1];
    for (int i = 0; i <= LEVELS; i++)
        levels[i] = (struct ArrowSchema){.format = "+s", .name = "x", .release = keep};
    for (int i = 0; i < LEVELS; i++) {
        for (int k = 0; k < WIDTH; k++)
            children[i][k] = &levels[i + 1];
        levels[i].n_children = WIDTH;
        levels[i].children = children[i];
    }
    struct fletch_schema *schema = NULL;
    struct fletch_error error = {.message = ""};
    assert_int_equal(fletch_schema_import(&levels[0], NULL, &schema, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "more fields than the 262144 that a schema may have");
    fletch_schema_release(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(sorted_keys_and_order_are_flags),
        cmocka_unit_test(children_outlive_what_they_were_moved_out_of),
        cmocka_unit_test(what_is_not_as_it_should_be_is_refused),
        cmocka_unit_test(fields_that_multiply_end_at_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
