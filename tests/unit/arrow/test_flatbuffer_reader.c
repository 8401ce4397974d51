#include "arrow/flatbuffer_reader.h"

#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"

/* A buffer by hand: root distance, vtable of four fields (int, string, ints, tables), table. */
enum { VTABLE = 4, TABLE = 16, STRING = 36, INTS = 44, TABLES = 56, SIZE = 64 };
static const uint8_t good[SIZE] = {
    TABLE, 0, 0,  0,                                                           /* root */
    12,    0, 20, 0, 4,   0,   8,   0, 12, 0, 16, 0,                           /* vtable */
    12,    0, 0,  0, 42,  0,   0,   0, 12, 0, 0,  0, 16, 0, 0, 0, 24, 0, 0, 0, /* table */
    3,     0, 0,  0, 'a', 'b', 'c', 0,                                         /* string */
    2,     0, 0,  0, 7,   0,   0,   0, 9,  0, 0,  0,                           /* ints */
    1,     0, 0,  0, 4,   0,   0,   0, /* tables; to nowhere */
};

struct outcome {
    const char *failure;
    uint32_t position;
};

/* Reads all there is, from a copy that ends where it ends, so that a sanitizer sees every byte. */
static struct outcome read_all(const uint8_t *source, size_t size)
{
    uint8_t *bytes = malloc(size == 0 ? 1 : size);
    memcpy(bytes, source, size);
    struct fletch_flatbuffer buffer;
    struct fletch_flatbuffer_table root = fletch_flatbuffer_open(&buffer, bytes, size);
    fletch_flatbuffer_i32(&buffer, &root, 0, 0);
    fletch_flatbuffer_string(&buffer, &root, 1);
    struct fletch_flatbuffer_vector ints = fletch_flatbuffer_vector(&buffer, &root, 2, 4);
    int64_t sum = 0;
    for (uint32_t i = 0; i < ints.count; i++)
        sum += fletch_flatbuffer_load_i32(ints.elements + (size_t)4 * i);
    assert_true(sum < INT64_MAX);
    struct outcome outcome = {buffer.failure, buffer.failure_position};
    free(bytes);
    return outcome;
}

static void a_good_buffer_is_read(void **state)
{
    (void)state;
    struct fletch_flatbuffer buffer;
    struct fletch_flatbuffer_table root = fletch_flatbuffer_open(&buffer, good, SIZE);
    assert_int_equal(root.position, TABLE);
    assert_int_equal(fletch_flatbuffer_i32(&buffer, &root, 0, 1), 42);
    struct fletch_flatbuffer_string string = fletch_flatbuffer_string(&buffer, &root, 1);
    assert_string_equal(string.text, "abc");
    struct fletch_flatbuffer_vector ints = fletch_flatbuffer_vector(&buffer, &root, 2, 4);
    assert_int_equal(ints.count, 2);
    assert_int_equal(fletch_flatbuffer_load_i32(ints.elements + 4), 9);
    assert_null(buffer.failure);
}

static void what_is_absent_has_its_fallback(void **state)
{
    (void)state;
    struct fletch_flatbuffer buffer;
    struct fletch_flatbuffer_table root = fletch_flatbuffer_open(&buffer, good, SIZE);
    assert_int_equal(fletch_flatbuffer_u8(&buffer, &root, 4, 11), 11);
    assert_int_equal(fletch_flatbuffer_i16(&buffer, &root, 5, -12), -12);
    assert_int_equal(fletch_flatbuffer_i32(&buffer, &root, 100, 13), 13);
    assert_int_equal(fletch_flatbuffer_i64(&buffer, &root, 4, 14), 14);
    assert_null(fletch_flatbuffer_string(&buffer, &root, 4).text);
    assert_null(fletch_flatbuffer_vector(&buffer, &root, 4, 8).elements);
    struct fletch_flatbuffer_table absent = fletch_flatbuffer_table(&buffer, &root, 4);
    assert_int_equal(absent.position, 0);
    assert_int_equal(fletch_flatbuffer_i32(&buffer, &absent, 0, 15), 15);
    assert_null(buffer.failure);
}

static void any_address_will_do(void **state)
{
    (void)state;
    uint8_t bytes[SIZE + 8];
    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(bytes + shift, good, SIZE);
        assert_null(read_all(bytes + shift, SIZE).failure);
    }
}

static void each_truncation_fails(void **state)
{
    (void)state;
    for (size_t size = 0; size < TABLES; size++)
        assert_non_null(read_all(good, size).failure);
    assert_null(read_all(good, TABLES).failure);
}

/* One byte of the good buffer changed, and what is said then. */
static void each_damage_is_named(void **state)
{
    (void)state;
    static const struct {
        uint32_t at;
        uint8_t value;
        uint32_t position;
        const char *failure;
    } damages[] = {
        {0, 0, 0, "an offset leads out of the buffer"},
        {0, 61, 0, "an offset leads out of the buffer"},
        {3, 0xff, 0, "an offset leads out of the buffer"},
        {TABLE, 17, TABLE, "a table's vtable lies outside the buffer"},
        {TABLE + 3, 0x80, TABLE, "a table's vtable lies outside the buffer"},
        {VTABLE, 3, VTABLE, "a vtable has an impossible size"},
        {VTABLE, 2, VTABLE, "a vtable has an impossible size"},
        {VTABLE + 1, 1, VTABLE, "a vtable has an impossible size"},
        {VTABLE + 2, 3, TABLE, "a table has an impossible size"},
        {VTABLE + 3, 1, TABLE, "a table has an impossible size"},
        {VTABLE + 4, 3, VTABLE + 4, "a field lies outside its table"},
        {VTABLE + 4, 17, VTABLE + 4, "a field lies outside its table"},
        {TABLE + 8, 0, TABLE + 8, "an offset leads out of the buffer"},
        {TABLE + 8, 39, TABLE + 8, "an offset leads out of the buffer"},
        {STRING, 2, STRING, "a string has no terminator"},
        {STRING, 24, STRING, "a string is longer than the buffer"},
        {STRING + 3, 0xff, STRING, "a string is longer than the buffer"},
        {INTS, 5, INTS, "a vector is longer than the buffer"},
        {INTS + 3, 0xff, INTS, "a vector is longer than the buffer"},
    };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        uint8_t bytes[SIZE];
        memcpy(bytes, good, SIZE);
        bytes[damages[i].at] = damages[i].value;
        struct outcome outcome = read_all(bytes, SIZE);
        assert_non_null(outcome.failure);
        assert_string_equal(outcome.failure, damages[i].failure);
        assert_int_equal(outcome.position, damages[i].position);
    }
}

static void the_first_failure_stays(void **state)
{
    (void)state;
    struct fletch_flatbuffer buffer;
    struct fletch_flatbuffer_table root = fletch_flatbuffer_open(&buffer, good, SIZE);
    struct fletch_flatbuffer_vector tables = fletch_flatbuffer_vector(&buffer, &root, 3, 4);
    assert_int_equal(tables.count, 1);
    assert_int_equal(fletch_flatbuffer_table_at(&buffer, &tables, 0).position, 0);
    assert_string_equal(buffer.failure, "an offset leads out of the buffer");
    fletch_flatbuffer_fail(&buffer, 0, "another");
    assert_string_equal(buffer.failure, "an offset leads out of the buffer");
    assert_int_equal(buffer.failure_position, TABLES + 4);
    assert_int_equal(fletch_flatbuffer_i32(&buffer, &root, 0, 1), 1);
}

static void a_buffer_has_a_largest_size(void **state)
{
    (void)state;
    struct fletch_flatbuffer buffer;
    fletch_flatbuffer_open(&buffer, good, (size_t)INT32_MAX + 1);
    assert_string_equal(buffer.failure, "the buffer is larger than a flatbuffer can be");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_buffer_is_read),
        cmocka_unit_test(what_is_absent_has_its_fallback),
        cmocka_unit_test(any_address_will_do),
        cmocka_unit_test(each_truncation_fails),
        cmocka_unit_test(each_damage_is_named),
        cmocka_unit_test(the_first_failure_stays),
        cmocka_unit_test(a_buffer_has_a_largest_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
