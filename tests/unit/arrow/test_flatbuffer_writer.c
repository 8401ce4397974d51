#include "arrow/flatbuffer_writer.h"

#include <string.h>

#include "arrow/flatbuffer_reader.h"
#include "support/cmocka_tests.h"

/* A table of our own: 0 byte, 1 short, 2 int, 3 long, 4 string, 5 child, 6 longs, 7 children. */
static const struct fletch_flatbuffer_layout layout = {
    .slot_count = 8,
    .table_bytes = 40,
    .offsets = {4, 6, 8, 16, 12, 24, 28, 32},
};
enum { ALL_PRESENT = 0xff };

static void set_field(struct fletch_flatbuffer_writer *writer, uint32_t table, unsigned slot,
                      const void *value, size_t bytes)
{
    fletch_flatbuffer_set(writer, fletch_flatbuffer_field(&layout, table, slot), value, bytes);
}

static void refer(struct fletch_flatbuffer_writer *writer, uint32_t table, unsigned slot,
                  uint32_t target)
{
    fletch_flatbuffer_refer(writer, fletch_flatbuffer_field(&layout, table, slot), target);
}

static uint32_t write_leaf(struct fletch_flatbuffer_writer *writer, int32_t value)
{
    uint32_t leaf = fletch_flatbuffer_add_table(writer, &layout, 1U << 2);
    set_field(writer, leaf, 2, &value, sizeof value);
    return leaf;
}

static size_t write_everything(void *bytes, size_t capacity)
{
    struct fletch_flatbuffer_writer writer;
    fletch_flatbuffer_begin(&writer, bytes, capacity);
    uint32_t root = fletch_flatbuffer_add_table(&writer, &layout, ALL_PRESENT);
    set_field(&writer, root, 0, &(uint8_t){200}, 1);
    set_field(&writer, root, 1, &(int16_t){-300}, 2);
    set_field(&writer, root, 2, &(int32_t){-70000}, 4);
    set_field(&writer, root, 3, &(int64_t){INT64_MIN}, 8);
    refer(&writer, root, 4, fletch_flatbuffer_add_string(&writer, "text", 4));
    refer(&writer, root, 5, write_leaf(&writer, 5));
    uint32_t elements;
    refer(&writer, root, 6, fletch_flatbuffer_add_vector(&writer, 3, 8, 8, &elements));
    for (int64_t i = 0; i < 3; i++)
        fletch_flatbuffer_set(&writer, elements + 8 * (uint32_t)i, &i, sizeof i);
    refer(&writer, root, 7, fletch_flatbuffer_add_vector(&writer, 2, 4, 4, &elements));
    for (uint32_t i = 0; i < 2; i++)
        fletch_flatbuffer_refer(&writer, elements + 4 * i, write_leaf(&writer, 70 + (int32_t)i));
    fletch_flatbuffer_pad(&writer, 8);
    return writer.overflowed ? 0 : writer.size;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t size = write_everything(bytes, sizeof bytes);
    assert_true(size > 0 && size % 8 == 0);
    struct fletch_flatbuffer buffer;
    struct fletch_flatbuffer_table root = fletch_flatbuffer_open(&buffer, bytes, size);
    assert_int_equal(root.position % 8, 0);
    assert_int_equal(fletch_flatbuffer_u8(&buffer, &root, 0, 1), 200);
    assert_int_equal(fletch_flatbuffer_i16(&buffer, &root, 1, 1), -300);
    assert_int_equal(fletch_flatbuffer_i32(&buffer, &root, 2, 1), -70000);
    assert_true(fletch_flatbuffer_i64(&buffer, &root, 3, 1) == INT64_MIN);
    struct fletch_flatbuffer_string string = fletch_flatbuffer_string(&buffer, &root, 4);
    assert_int_equal(string.bytes, 4);
    assert_string_equal(string.text, "text");
    struct fletch_flatbuffer_table child = fletch_flatbuffer_table(&buffer, &root, 5);
    assert_int_equal(fletch_flatbuffer_i32(&buffer, &child, 2, 1), 5);
    assert_int_equal(fletch_flatbuffer_i32(&buffer, &child, 3, 1), 1);
    struct fletch_flatbuffer_vector longs = fletch_flatbuffer_vector(&buffer, &root, 6, 8);
    assert_int_equal(longs.count, 3);
    assert_int_equal((size_t)(longs.elements - bytes) % 8, 0);
    for (int64_t i = 0; i < 3; i++)
        assert_true(fletch_flatbuffer_load_i64(longs.elements + 8 * i) == i);
    struct fletch_flatbuffer_vector children = fletch_flatbuffer_vector(&buffer, &root, 7, 4);
    assert_int_equal(children.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        child = fletch_flatbuffer_table_at(&buffer, &children, i);
        assert_int_equal(fletch_flatbuffer_i32(&buffer, &child, 2, 1), 70 + i);
    }
    assert_null(buffer.failure);
}

static void measuring_tells_what_writing_takes(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t measured = write_everything(NULL, 0);
    assert_int_equal(measured, write_everything(bytes, sizeof bytes));
    assert_int_equal(measured, write_everything(bytes, measured));
}

static void too_little_room_is_noticed_and_not_exceeded(void **state)
{
    (void)state;
    size_t measured = write_everything(NULL, 0);
    uint8_t bytes[512];
    for (size_t room = 0; room < measured; room++) {
        memset(bytes, 0x5a, sizeof bytes);
        assert_int_equal(write_everything(bytes, room), 0);
        for (size_t i = room; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], 0x5a);
    }
}

static void sizes_that_no_distance_can_tell_overflow(void **state)
{
    (void)state;
    struct fletch_flatbuffer_writer writer;
    uint32_t elements;
    fletch_flatbuffer_begin(&writer, NULL, 0);
    fletch_flatbuffer_add_vector(&writer, SIZE_MAX / 2, 16, 8, &elements);
    assert_true(writer.overflowed);
    fletch_flatbuffer_begin(&writer, NULL, 0);
    fletch_flatbuffer_add_vector(&writer, INT32_MAX / 2, 1, 4, &elements);
    assert_false(writer.overflowed);
    fletch_flatbuffer_add_vector(&writer, INT32_MAX / 2, 1, 4, &elements);
    assert_true(writer.overflowed);
    fletch_flatbuffer_begin(&writer, NULL, 0);
    fletch_flatbuffer_add_string(&writer, "", (size_t)INT32_MAX + 1);
    assert_true(writer.overflowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(measuring_tells_what_writing_takes),
        cmocka_unit_test(too_little_room_is_noticed_and_not_exceeded),
        cmocka_unit_test(sizes_that_no_distance_can_tell_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
