#include "arrow/ipc_schema_reader.h"
#include "arrow/ipc_schema_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/ipc_format.h"
#include "base/allocator.h"
#include "support/cmocka_tests.h"
#include "support/schemas.h"

enum { BYTES_MOST = 1 << 16, FIELDS_MOST = 1000, TEXT_MOST = 10000 };

static size_t write_schema(const struct fletch_schema *schema, uint8_t *bytes, size_t capacity)
{
    struct fletch_flatbuffer_writer writer;
    fletch_flatbuffer_begin(&writer, bytes, capacity);
    fletch_ipc_schema_write(&writer, schema);
    assert_false(writer.overflowed);
    return writer.size;
}

static enum fletch_status read_schema(const uint8_t *bytes, size_t size,
                                      const struct fletch_ipc_schema_options *options,
                                      struct fletch_schema **out_schema, struct fletch_error *error)
{
    struct fletch_flatbuffer buffer;
    struct fletch_flatbuffer_table table = fletch_flatbuffer_open(&buffer, bytes, size);
    return fletch_ipc_schema_read(&buffer, &table, options, out_schema, error);
}

static struct fletch_ipc_schema_options default_options(void)
{
    return (struct fletch_ipc_schema_options){
        .allocator = fletch_allocator_or_default(NULL),
        .fields = FIELDS_MOST,
        .text_bytes = TEXT_MOST,
    };
}

static const char *const every_schema[] = {
    "",
    "a=n b=b c=c d=C e=s f=S g=i h=I i=l j=L k=e l=f m=g",
    "a=d:9,2,32 b=d:18,3,64 c=d:38,-4 d=d:76,5,256",
    "a=u b=U c=z d=Z e=w:19 f=w:0",
    "a=tdD b=tdm c=tts d=ttm e=ttu f=ttn g=tss: h=tsm:UTC i=tsu:Europe/Vienna j=tsn:+07:30",
    "a=tDs b=tDm c=tDu d=tDn e=tiM f=tiD g=tin",
    "a=+l(item=u) b=+L(item=l!) c=+s(x=i y=+s(z=u)) d=+s()",
    "m=+m(entries=+s(key=u! value=i)!)",
    "a=c<u> b=i<+l(item=l)> c=S<<u> d=+s(x=c<U>)",
    "{k:v} a=l{x:y}! =u =u",
};

static void every_type_comes_back(void **state)
{
    (void)state;
    struct fletch_ipc_schema_options options = default_options();
    for (size_t i = 0; i < sizeof every_schema / sizeof every_schema[0]; i++) {
        struct fletch_schema *schema = schema_new(every_schema[i]);
        struct fletch_schema *read = NULL;
        uint8_t bytes[BYTES_MOST];
        size_t size = write_schema(schema, bytes, sizeof bytes);
        assert_int_equal(size, write_schema(schema, NULL, 0));
        struct fletch_error error = {0};
        if (read_schema(bytes, size, &options, &read, &error) != FLETCH_OK)
            fail_msg("%s: %s", every_schema[i], error.message);
        if (fletch_schema_compare(schema, read, FLETCH_COMPARE_METADATA, &error) != FLETCH_OK)
            fail_msg("%s: %s", every_schema[i], error.message);
        assert_int_equal(schema->dictionary_count, read->dictionary_count);
        for (uint32_t k = 0; k < schema->dictionary_count; k++)
            assert_true(schema->dictionaries[k].id == read->dictionaries[k].id);
        fletch_schema_release(read);
        fletch_schema_release(schema);
    }
}

static void each_truncation_is_refused(void **state)
{
    (void)state;
    struct fletch_ipc_schema_options options = default_options();
    for (size_t i = 1; i < sizeof every_schema / sizeof every_schema[0]; i++) {
        struct fletch_schema *schema = schema_new(every_schema[i]);
        uint8_t bytes[BYTES_MOST];
        size_t size = write_schema(schema, bytes, sizeof bytes);
        for (size_t cut = 0; cut + 8 < size; cut++) {
            uint8_t *copy = malloc(cut == 0 ? 1 : cut);
            memcpy(copy, bytes, cut);
            struct fletch_error error = {0};
            struct fletch_schema *read = NULL;
            enum fletch_status status = read_schema(copy, cut, &options, &read, &error);
            assert_int_equal(status, FLETCH_INVALID_ARGUMENT);
            assert_contains(error.message, "flatbuffer, byte");
            assert_null(read);
            free(copy);
        }
        fletch_schema_release(schema);
    }
}

static void expect_refused(const char *words, const struct fletch_ipc_schema_options *options,
                           const char *message)
{
    struct fletch_schema *schema = schema_new(words);
    uint8_t bytes[BYTES_MOST];
    size_t size = write_schema(schema, bytes, sizeof bytes);
    struct fletch_schema *read = NULL;
    struct fletch_error error = {0};
    assert_int_equal(read_schema(bytes, size, options, &read, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, message);
    fletch_schema_release(schema);
}

static void limits_are_kept(void **state)
{
    (void)state;
    struct fletch_ipc_schema_options options = default_options();
    options.fields = 3;
    expect_refused("a=l b=+s(x=l y=l)", &options, "more fields than the limit: 2 more where 1");
    expect_refused("a=l b=c<+s(x=l y=l)>", &options, "more fields than the limit");
    options = default_options();
    options.text_bytes = 10;
    expect_refused("abcde=l abcdef=l", &options, "6 bytes more where 5 are left");
    expect_refused("{abc:defg} a=l", &options, "names and metadata");
    expect_refused("a=tsn:Europe/Vienna", &options, "13 bytes more where 9");
}

/* A field table that is each of its own children: endless, were there no limit. */
static void a_field_inside_itself_ends_at_the_depth_limit(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MOST];
    struct fletch_schema *schema = schema_new("a=+s(b=+s())");
    size_t size = write_schema(schema, bytes, sizeof bytes);
    struct fletch_flatbuffer buffer;
    struct fletch_flatbuffer_table root = fletch_flatbuffer_open(&buffer, bytes, size);
    struct fletch_flatbuffer_vector fields =
        fletch_flatbuffer_vector(&buffer, &root, FLETCH_SCHEMA_FIELDS, 4);
    struct fletch_flatbuffer_table field = fletch_flatbuffer_table_at(&buffer, &fields, 0);
    struct fletch_flatbuffer_vector children =
        fletch_flatbuffer_vector(&buffer, &field, FLETCH_FIELD_CHILDREN, 4);
    /* Distances lead forward; 2^32 - n, wrapped, would lead back to the field. */
    uint32_t back = field.position - (uint32_t)(children.elements - bytes);
    memcpy(bytes + (children.elements - bytes), &back, sizeof back);
    struct fletch_ipc_schema_options options = default_options();
    struct fletch_schema *read = NULL;
    struct fletch_error error = {0};
    assert_int_equal(read_schema(bytes, size, &options, &read, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "an offset leads out of the buffer");
    fletch_schema_release(schema);
}

/* Changes a scalar of the first field's type table and expects to be told. */
static void patch_type(const char *words, unsigned slot, int32_t value, const char *message)
{
    uint8_t bytes[BYTES_MOST];
    struct fletch_schema *schema = schema_new(words);
    size_t size = write_schema(schema, bytes, sizeof bytes);
    struct fletch_flatbuffer buffer;
    struct fletch_flatbuffer_table root = fletch_flatbuffer_open(&buffer, bytes, size);
    struct fletch_flatbuffer_vector fields =
        fletch_flatbuffer_vector(&buffer, &root, FLETCH_SCHEMA_FIELDS, 4);
    struct fletch_flatbuffer_table field = fletch_flatbuffer_table_at(&buffer, &fields, 0);
    struct fletch_flatbuffer_table type =
        fletch_flatbuffer_table(&buffer, &field, FLETCH_FIELD_TYPE);
    memcpy(bytes + type.position + fletch_ipc_type_layout.offsets[slot], &value, sizeof value);
    struct fletch_ipc_schema_options options = default_options();
    struct fletch_schema *read = NULL;
    struct fletch_error error = {0};
    assert_int_equal(read_schema(bytes, size, &options, &read, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, message);
    assert_null(read);
    fletch_schema_release(schema);
}

static void types_that_are_none_are_refused(void **state)
{
    (void)state;
    patch_type("a=i", 0, 24, "none of Arrow's");
    patch_type("a=g", 0, 3, "none of Arrow's");
    patch_type("a=d:9,2,32", 2, 16, "none of Arrow's");
    patch_type("a=d:9,2,32", 0, 10, "field 'a': decimal32 of precision 10");
    patch_type("a=tts", 0, 2, "field 'a': time32 in unit 2");
    patch_type("a=tss:", 0, 9, "field 'a': timestamp in unit 9");
    patch_type("a=w:3", 0, -1, "field 'a'");
}

/* It would be read as another one. */
static void a_zone_with_a_nul_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MOST];
    struct fletch_schema *schema = schema_new("a=tsn:Europe/Vienna");
    size_t size = write_schema(schema, bytes, sizeof bytes);
    uint8_t *zone = memmem(bytes, size, "Europe/Vienna", 13);
    assert_non_null(zone);
    zone[6] = 0;
    struct fletch_ipc_schema_options options = default_options();
    struct fletch_schema *read = NULL;
    struct fletch_error error = {0};
    assert_int_equal(read_schema(bytes, size, &options, &read, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "time zone of 13 bytes has a NUL after 6");
    assert_null(read);
    fletch_schema_release(schema);
}

static void an_order_of_bytes_that_is_none_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MOST];
    struct fletch_schema *schema = schema_new("a=i");
    size_t size = write_schema(schema, bytes, sizeof bytes);
    struct fletch_flatbuffer buffer;
    struct fletch_flatbuffer_table root = fletch_flatbuffer_open(&buffer, bytes, size);
    uint8_t *order =
        &bytes[root.position + fletch_ipc_schema_layout.offsets[FLETCH_SCHEMA_ENDIANNESS]];
    struct fletch_ipc_schema_options options = default_options();
    struct fletch_schema *read = NULL;
    struct fletch_error error = {0};
    assert_false(fletch_ipc_schema_is_big_endian(&buffer, &root));
    *order = 1;
    assert_true(fletch_ipc_schema_is_big_endian(&buffer, &root));
    assert_ok(read_schema(bytes, size, &options, &read, &error));
    fletch_schema_release(read);
    *order = 2;
    assert_int_equal(read_schema(bytes, size, &options, &read, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "endianness 2, expected 0 (little) or 1 (big)");
    fletch_schema_release(schema);
}

/* A schema of no fields that asks its reader for these. */
static size_t write_features(const int64_t *features, size_t count, uint8_t *bytes, size_t capacity)
{
    static const struct fletch_flatbuffer_layout layout = {4, 24, {4, 8, 12, 16}};
    struct fletch_flatbuffer_writer writer;
    uint32_t elements;
    fletch_flatbuffer_begin(&writer, bytes, capacity);
    uint32_t table = fletch_flatbuffer_add_table(&writer, &layout, 1U << FLETCH_SCHEMA_FEATURES);
    fletch_flatbuffer_refer(
        &writer, fletch_flatbuffer_field(&layout, table, FLETCH_SCHEMA_FEATURES),
        fletch_flatbuffer_add_vector(&writer, count, sizeof *features, 8, &elements));
    fletch_flatbuffer_set(&writer, elements, features, count * sizeof *features);
    assert_false(writer.overflowed);
    return writer.size;
}

static void a_feature_of_the_future_is_refused(void **state)
{
    (void)state;
    static const int64_t features[] = {0, 1, 2, 3};
    uint8_t bytes[BYTES_MOST];
    struct fletch_ipc_schema_options options = default_options();
    struct fletch_schema *read = NULL;
    struct fletch_error error = {0};
    size_t size = write_features(features, 3, bytes, sizeof bytes);
    assert_ok(read_schema(bytes, size, &options, &read, &error));
    assert_int_equal(read->field_count, 0);
    fletch_schema_release(read);
    size = write_features(features, 4, bytes, sizeof bytes);
    assert_int_equal(read_schema(bytes, size, &options, &read, &error), FLETCH_UNIMPLEMENTED);
    assert_contains(error.message, "feature 3, which this version does not");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(each_truncation_is_refused),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(a_field_inside_itself_ends_at_the_depth_limit),
        cmocka_unit_test(types_that_are_none_are_refused),
        cmocka_unit_test(a_zone_with_a_nul_is_refused),
        cmocka_unit_test(an_order_of_bytes_that_is_none_is_refused),
        cmocka_unit_test(a_feature_of_the_future_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
