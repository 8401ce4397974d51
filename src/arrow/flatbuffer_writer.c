#include "arrow/flatbuffer_writer.h"

#include <string.h>

#include "base/bits.h"

enum { DISTANCE_BYTES = 4, VTABLE_HEADER_BYTES = 4, TABLE_ALIGNMENT = 8 };

/* Appends `bytes` zero bytes; their position, or 0 where they do not fit. */
static uint32_t append(struct fletch_flatbuffer_writer *writer, size_t bytes)
{
    size_t limit = writer->bytes == NULL ? INT32_MAX : writer->capacity;
    if (writer->overflowed || bytes > limit - writer->size) {
        writer->overflowed = true;
        return 0;
    }
    uint32_t position = (uint32_t)writer->size;
    if (writer->bytes != NULL)
        memset(writer->bytes + position, 0, bytes);
    writer->size += bytes;
    return position;
}

void fletch_flatbuffer_set(struct fletch_flatbuffer_writer *writer, uint32_t field,
                           const void *value, size_t bytes)
{
    if (writer->bytes != NULL && !writer->overflowed)
        memcpy(writer->bytes + field, value, bytes);
}

void fletch_flatbuffer_refer(struct fletch_flatbuffer_writer *writer, uint32_t field,
                             uint32_t target)
{
    uint32_t distance = target - field;
    fletch_flatbuffer_set(writer, field, &distance, sizeof distance);
}

void fletch_flatbuffer_pad(struct fletch_flatbuffer_writer *writer, size_t alignment)
{
    append(writer, fletch_round_up(writer->size, alignment) - writer->size);
}

void fletch_flatbuffer_begin(struct fletch_flatbuffer_writer *writer, void *bytes, size_t capacity)
{
    *writer = (struct fletch_flatbuffer_writer){
        .bytes = bytes,
        .capacity = capacity < INT32_MAX ? capacity : INT32_MAX,
    };
    append(writer, DISTANCE_BYTES);
}

uint32_t fletch_flatbuffer_add_table(struct fletch_flatbuffer_writer *writer,
                                     const struct fletch_flatbuffer_layout *layout,
                                     uint32_t present)
{
    bool is_root = writer->size == DISTANCE_BYTES;
    uint16_t vtable[2 + FLETCH_FLATBUFFER_SLOTS_MOST];
    size_t vtable_bytes = VTABLE_HEADER_BYTES + 2 * (size_t)layout->slot_count;
    vtable[0] = (uint16_t)vtable_bytes;
    vtable[1] = layout->table_bytes;
    for (unsigned slot = 0; slot < layout->slot_count; slot++)
        vtable[2 + slot] = (present >> slot & 1) != 0 ? layout->offsets[slot] : 0;

    /* The vtable ends where the table begins. */
    size_t start = fletch_round_up(writer->size + vtable_bytes, TABLE_ALIGNMENT);
    append(writer, start - vtable_bytes - writer->size);
    uint32_t vtable_position = append(writer, vtable_bytes);
    uint32_t table = append(writer, layout->table_bytes);
    fletch_flatbuffer_set(writer, vtable_position, vtable, vtable_bytes);
    int32_t back = (int32_t)vtable_bytes;
    fletch_flatbuffer_set(writer, table, &back, sizeof back);
    if (is_root)
        fletch_flatbuffer_refer(writer, 0, table);
    return table;
}

uint32_t fletch_flatbuffer_add_string(struct fletch_flatbuffer_writer *writer, const char *text,
                                      size_t bytes)
{
    fletch_flatbuffer_pad(writer, DISTANCE_BYTES);
    if (bytes > INT32_MAX) {
        writer->overflowed = true;
        return 0;
    }
    uint32_t count = (uint32_t)bytes;
    uint32_t position = append(writer, DISTANCE_BYTES + bytes + 1);
    fletch_flatbuffer_set(writer, position, &count, sizeof count);
    if (bytes != 0)
        fletch_flatbuffer_set(writer, position + DISTANCE_BYTES, text, bytes);
    return position;
}

uint32_t fletch_flatbuffer_add_vector(struct fletch_flatbuffer_writer *writer, size_t count,
                                      size_t element_bytes, size_t alignment,
                                      uint32_t *out_elements)
{
    size_t start = fletch_round_up(writer->size + DISTANCE_BYTES, alignment) - DISTANCE_BYTES;
    append(writer, start - writer->size);
    *out_elements = 0;
    if (count > INT32_MAX / element_bytes) {
        writer->overflowed = true;
        return 0;
    }
    uint32_t position = append(writer, DISTANCE_BYTES + count * element_bytes);
    uint32_t stored = (uint32_t)count;
    fletch_flatbuffer_set(writer, position, &stored, sizeof stored);
    *out_elements = position + DISTANCE_BYTES;
    return position;
}
