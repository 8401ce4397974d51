#include "arrow/flatbuffer_reader.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are loaded as they lie");

enum {
    DISTANCE_BYTES = 4,
    VTABLE_HEADER_BYTES = 4, /* its own size, the table's size */
    TABLE_HEADER_BYTES = 4   /* the distance to the vtable */
};

static const struct fletch_flatbuffer_table no_table;
static const struct fletch_flatbuffer_string no_string;
static const struct fletch_flatbuffer_vector no_vector;

static uint16_t load_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t load_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

int32_t fletch_flatbuffer_load_i32(const uint8_t *bytes)
{
    int32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

int64_t fletch_flatbuffer_load_i64(const uint8_t *bytes)
{
    int64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

void fletch_flatbuffer_fail(struct fletch_flatbuffer *buffer, uint32_t position, const char *what)
{
    if (buffer->failure != NULL)
        return;
    buffer->failure = what;
    buffer->failure_position = position;
}

/* Whether `bytes` bytes at `position` lie inside. */
static bool lies_inside(const struct fletch_flatbuffer *buffer, uint64_t position, uint64_t bytes)
{
    return position <= buffer->size && bytes <= buffer->size - position;
}

/* The position that the distance stored at `position` leads to; 0: failed. */
static uint32_t follow(struct fletch_flatbuffer *buffer, uint32_t position)
{
    if (!lies_inside(buffer, position, DISTANCE_BYTES)) {
        fletch_flatbuffer_fail(buffer, position, "the buffer ends before an offset");
        return 0;
    }
    uint64_t target = (uint64_t)position + load_u32(buffer->bytes + position);
    if (target == position || !lies_inside(buffer, target, DISTANCE_BYTES)) {
        fletch_flatbuffer_fail(buffer, position, "an offset leads out of the buffer");
        return 0;
    }
    return (uint32_t)target;
}

/* The table at `position`, at which at least 4 bytes lie inside. */
static struct fletch_flatbuffer_table open_table(struct fletch_flatbuffer *buffer,
                                                 uint32_t position)
{
    int64_t vtable = (int64_t)position - fletch_flatbuffer_load_i32(buffer->bytes + position);
    if (vtable < 0 || !lies_inside(buffer, (uint64_t)vtable, VTABLE_HEADER_BYTES)) {
        fletch_flatbuffer_fail(buffer, position, "a table's vtable lies outside the buffer");
        return no_table;
    }
    struct fletch_flatbuffer_table table = {
        .position = position,
        .vtable = (uint32_t)vtable,
        .vtable_bytes = load_u16(buffer->bytes + vtable),
        .table_bytes = load_u16(buffer->bytes + vtable + 2),
    };
    if (table.vtable_bytes < VTABLE_HEADER_BYTES || table.vtable_bytes % 2 != 0 ||
        !lies_inside(buffer, table.vtable, table.vtable_bytes)) {
        fletch_flatbuffer_fail(buffer, table.vtable, "a vtable has an impossible size");
        return no_table;
    }
    if (table.table_bytes < TABLE_HEADER_BYTES ||
        !lies_inside(buffer, position, table.table_bytes)) {
        fletch_flatbuffer_fail(buffer, position, "a table has an impossible size");
        return no_table;
    }
    return table;
}

struct fletch_flatbuffer_table fletch_flatbuffer_open(struct fletch_flatbuffer *buffer,
                                                      const void *bytes, size_t size)
{
    *buffer = (struct fletch_flatbuffer){.bytes = bytes};
    if (size > INT32_MAX) {
        fletch_flatbuffer_fail(buffer, 0, "the buffer is larger than a flatbuffer can be");
        return no_table;
    }
    buffer->size = (uint32_t)size;
    uint32_t position = follow(buffer, 0);
    return position == 0 ? no_table : open_table(buffer, position);
}

/* The position of a field of `bytes` bytes; 0: absent, or failed. */
static uint32_t find_field(struct fletch_flatbuffer *buffer,
                           const struct fletch_flatbuffer_table *table, unsigned slot,
                           unsigned bytes)
{
    unsigned entry = VTABLE_HEADER_BYTES + 2 * slot;
    if (buffer->failure != NULL || table->position == 0 || entry >= table->vtable_bytes)
        return 0;
    unsigned offset = load_u16(buffer->bytes + table->vtable + entry);
    if (offset == 0)
        return 0;
    if (offset < TABLE_HEADER_BYTES || offset + bytes > table->table_bytes) {
        fletch_flatbuffer_fail(buffer, table->vtable + entry, "a field lies outside its table");
        return 0;
    }
    return table->position + offset;
}

uint8_t fletch_flatbuffer_u8(struct fletch_flatbuffer *buffer,
                             const struct fletch_flatbuffer_table *table, unsigned slot,
                             uint8_t fallback)
{
    uint32_t position = find_field(buffer, table, slot, 1);
    return position == 0 ? fallback : buffer->bytes[position];
}

int16_t fletch_flatbuffer_i16(struct fletch_flatbuffer *buffer,
                              const struct fletch_flatbuffer_table *table, unsigned slot,
                              int16_t fallback)
{
    uint32_t position = find_field(buffer, table, slot, 2);
    return position == 0 ? fallback : (int16_t)load_u16(buffer->bytes + position);
}

int32_t fletch_flatbuffer_i32(struct fletch_flatbuffer *buffer,
                              const struct fletch_flatbuffer_table *table, unsigned slot,
                              int32_t fallback)
{
    uint32_t position = find_field(buffer, table, slot, 4);
    return position == 0 ? fallback : fletch_flatbuffer_load_i32(buffer->bytes + position);
}

int64_t fletch_flatbuffer_i64(struct fletch_flatbuffer *buffer,
                              const struct fletch_flatbuffer_table *table, unsigned slot,
                              int64_t fallback)
{
    uint32_t position = find_field(buffer, table, slot, 8);
    return position == 0 ? fallback : fletch_flatbuffer_load_i64(buffer->bytes + position);
}

struct fletch_flatbuffer_table fletch_flatbuffer_table(struct fletch_flatbuffer *buffer,
                                                       const struct fletch_flatbuffer_table *parent,
                                                       unsigned slot)
{
    uint32_t position = find_field(buffer, parent, slot, DISTANCE_BYTES);
    if (position != 0)
        position = follow(buffer, position);
    return position == 0 ? no_table : open_table(buffer, position);
}

struct fletch_flatbuffer_string
fletch_flatbuffer_string(struct fletch_flatbuffer *buffer,
                         const struct fletch_flatbuffer_table *parent, unsigned slot)
{
    uint32_t position = find_field(buffer, parent, slot, DISTANCE_BYTES);
    if (position != 0)
        position = follow(buffer, position);
    if (position == 0)
        return no_string;
    uint32_t bytes = load_u32(buffer->bytes + position);
    uint64_t text = (uint64_t)position + DISTANCE_BYTES;
    if (!lies_inside(buffer, text, (uint64_t)bytes + 1)) {
        fletch_flatbuffer_fail(buffer, position, "a string is longer than the buffer");
        return no_string;
    }
    if (buffer->bytes[text + bytes] != 0) {
        fletch_flatbuffer_fail(buffer, position, "a string has no terminator");
        return no_string;
    }
    return (struct fletch_flatbuffer_string){(const char *)buffer->bytes + text, bytes};
}

struct fletch_flatbuffer_vector
fletch_flatbuffer_vector(struct fletch_flatbuffer *buffer,
                         const struct fletch_flatbuffer_table *parent, unsigned slot,
                         size_t element_bytes)
{
    uint32_t position = find_field(buffer, parent, slot, DISTANCE_BYTES);
    if (position != 0)
        position = follow(buffer, position);
    if (position == 0)
        return no_vector;
    uint32_t count = load_u32(buffer->bytes + position);
    uint64_t elements = (uint64_t)position + DISTANCE_BYTES;
    if (count > (buffer->size - elements) / element_bytes) {
        fletch_flatbuffer_fail(buffer, position, "a vector is longer than the buffer");
        return no_vector;
    }
    return (struct fletch_flatbuffer_vector){buffer->bytes + elements, count};
}

struct fletch_flatbuffer_table
fletch_flatbuffer_table_at(struct fletch_flatbuffer *buffer,
                           const struct fletch_flatbuffer_vector *vector, uint32_t index)
{
    if (buffer->failure != NULL || index >= vector->count)
        return no_table;
    size_t start = (size_t)(vector->elements - buffer->bytes) + (size_t)index * DISTANCE_BYTES;
    uint32_t position = follow(buffer, (uint32_t)start);
    return position == 0 ? no_table : open_table(buffer, position);
}
