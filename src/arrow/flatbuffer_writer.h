#ifndef FLETCH_ARROW_FLATBUFFER_WRITER_H
#define FLETCH_ARROW_FLATBUFFER_WRITER_H

/* Writes FlatBuffers from front to back: a table first, then what it refers to, whose distance is
 * filled in when it is written. With `bytes` NULL the writer only measures; so one function, run
 * twice, first says how many bytes a message takes and then writes them into exactly that many.
 *
 * Tables have a fixed place for each field, given by a layout; an absent field leaves its place
 * empty and its entry in the vtable 0. That costs a few bytes and makes a table one copy. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLETCH_FLATBUFFER_SLOTS_MOST = 8 };

/* offsets[slot]: where the field lies in the table, from 4 on, aligned to its size; a slot that is
 * never written (a deprecated field) has 0. Tables begin at multiples of 8. */
struct fletch_flatbuffer_layout {
    uint16_t slot_count;
    uint16_t table_bytes;
    uint16_t offsets[FLETCH_FLATBUFFER_SLOTS_MOST];
};

struct fletch_flatbuffer_writer {
    uint8_t *bytes; /* NULL: measure */
    size_t capacity;
    size_t size;     /* bytes written, or that would have been */
    bool overflowed; /* more than `capacity`, or than a distance can tell; not written there */
};

/* Begins a buffer: the distance to the root, which the first table fills in. */
void fletch_flatbuffer_begin(struct fletch_flatbuffer_writer *writer, void *bytes, size_t capacity);

/* A table with the fields whose bits are set in `present`, all zero. Returns its position. */
uint32_t fletch_flatbuffer_add_table(struct fletch_flatbuffer_writer *writer,
                                     const struct fletch_flatbuffer_layout *layout,
                                     uint32_t present);

/* Writes a scalar field of a table. */
void fletch_flatbuffer_set(struct fletch_flatbuffer_writer *writer, uint32_t field,
                           const void *value, size_t bytes);

/* Where field `slot` of the table at `table` lies: for the function above and the one below. */
static inline uint32_t fletch_flatbuffer_field(const struct fletch_flatbuffer_layout *layout,
                                               uint32_t table, unsigned slot)
{
    return table + layout->offsets[slot];
}

/* Lets the distance at `field` lead to `target`, which lies behind it. */
void fletch_flatbuffer_refer(struct fletch_flatbuffer_writer *writer, uint32_t field,
                             uint32_t target);

/* A string; `text` need not be terminated, what is written is. Returns its position. */
uint32_t fletch_flatbuffer_add_string(struct fletch_flatbuffer_writer *writer, const char *text,
                                      size_t bytes);

/* A vector of `count` zeroed elements, the first of which lies `alignment` aligned (4 or 8) at
 * `*out_elements`, to be written by the caller. Returns the vector's position. A vector of tables
 * has elements of 4 bytes, each a field to refer from. */
uint32_t fletch_flatbuffer_add_vector(struct fletch_flatbuffer_writer *writer, size_t count,
                                      size_t element_bytes, size_t alignment,
                                      uint32_t *out_elements);

/* Pads with zeros to a multiple of `alignment`, a power of two. */
void fletch_flatbuffer_pad(struct fletch_flatbuffer_writer *writer, size_t alignment);

#endif
