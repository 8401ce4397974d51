#ifndef FLETCH_ARROW_FLATBUFFER_READER_H
#define FLETCH_ARROW_FLATBUFFER_READER_H

/* Reads FlatBuffers that nobody has verified: every offset, vtable, vector and string is checked
 * where it is followed, so that what was never looked at need not be right.
 *
 * Format: a table begins with a signed distance back to its vtable; the vtable has its own size,
 * the table's size, and for each field its distance from the table's start (0: absent). Strings,
 * vectors and tables inside are reached by unsigned distances forward. All numbers are
 * little-endian and are read at any address, so that the buffer needs no alignment.
 *
 * The first thing that is wrong is kept in `failure`, with the byte where it was found; from then
 * on every read answers "absent". So a caller reads as if all were well, in loops that are bounded
 * by counts that were checked, and looks at `failure` once before it believes what it has read.
 * Distances only lead forward except to vtables, so nothing goes in circles; but several distances
 * may lead to one table: who descends has a limit of depth and of tables. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fletch_flatbuffer {
    const uint8_t *bytes; /* the caller's */
    uint32_t size;
    uint32_t failure_position;
    const char *failure; /* NULL: nothing wrong so far; else static text */
};

/* position 0: absent. */
struct fletch_flatbuffer_table {
    uint32_t position;
    uint32_t vtable;
    uint16_t vtable_bytes;
    uint16_t table_bytes;
};

/* Not NUL-terminated as far as the caller is concerned. text NULL: absent. */
struct fletch_flatbuffer_string {
    const char *text;
    uint32_t bytes;
};

/* elements NULL: absent; count is 0 then. */
struct fletch_flatbuffer_vector {
    const uint8_t *elements;
    uint32_t count;
};

/* The root table of `size` bytes at `bytes`. */
struct fletch_flatbuffer_table fletch_flatbuffer_open(struct fletch_flatbuffer *buffer,
                                                      const void *bytes, size_t size);

/* Notes a failure at `position`, unless there is one already. */
void fletch_flatbuffer_fail(struct fletch_flatbuffer *buffer, uint32_t position, const char *what);

/* Scalar fields; `fallback` where the field is absent. */
uint8_t fletch_flatbuffer_u8(struct fletch_flatbuffer *buffer,
                             const struct fletch_flatbuffer_table *table, unsigned slot,
                             uint8_t fallback);
int16_t fletch_flatbuffer_i16(struct fletch_flatbuffer *buffer,
                              const struct fletch_flatbuffer_table *table, unsigned slot,
                              int16_t fallback);
int32_t fletch_flatbuffer_i32(struct fletch_flatbuffer *buffer,
                              const struct fletch_flatbuffer_table *table, unsigned slot,
                              int32_t fallback);
int64_t fletch_flatbuffer_i64(struct fletch_flatbuffer *buffer,
                              const struct fletch_flatbuffer_table *table, unsigned slot,
                              int64_t fallback);

struct fletch_flatbuffer_table fletch_flatbuffer_table(struct fletch_flatbuffer *buffer,
                                                       const struct fletch_flatbuffer_table *parent,
                                                       unsigned slot);
struct fletch_flatbuffer_string
fletch_flatbuffer_string(struct fletch_flatbuffer *buffer,
                         const struct fletch_flatbuffer_table *parent, unsigned slot);

/* Scalars or structs of `element_bytes` bytes. */
struct fletch_flatbuffer_vector
fletch_flatbuffer_vector(struct fletch_flatbuffer *buffer,
                         const struct fletch_flatbuffer_table *parent, unsigned slot,
                         size_t element_bytes);

/* A vector of tables is one of 4-byte distances; this follows the one at `index` < count. */
struct fletch_flatbuffer_table
fletch_flatbuffer_table_at(struct fletch_flatbuffer *buffer,
                           const struct fletch_flatbuffer_vector *vector, uint32_t index);

/* Numbers of a struct inside a vector. */
int32_t fletch_flatbuffer_load_i32(const uint8_t *bytes);
int64_t fletch_flatbuffer_load_i64(const uint8_t *bytes);

#endif
