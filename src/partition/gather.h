#ifndef FLETCH_PARTITION_GATHER_H
#define FLETCH_PARTITION_GATHER_H

/* The inner loops of the scatter: rows of a block, chosen by a list of their numbers, are copied
 * one behind the other. For each processor a table of functions that write the same bytes. Sources
 * need no alignment. Nothing here allocates or fails. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that a destination of strings must have behind the last one, which may be overwritten, and
 * that are read behind a string where the source has them. */
enum { FLETCH_GATHER_SLACK = 64 };

/* Bytes side by side from which on a call is worth its price. */
enum { FLETCH_GATHER_LONG = 256 };

enum { FLETCH_GATHER_WIDTHS = 6 }; /* 1, 2, 4, 8, 16, 32 bytes */

typedef void fletch_gather_values(uint8_t *destination, const uint8_t *source,
                                  const uint16_t *order, size_t count);

struct fletch_gather_bits {
    const uint8_t *bits;
    size_t first; /* bit of the block's first row */
};

/* Values of a width that no kernel is made for. */
struct fletch_gather_wide {
    const uint8_t *values;
    size_t byte_width;
};

/* Strings of a column: string i lies between the offsets i and i + 1 of `bytes`. */
struct fletch_gather_strings {
    const uint8_t *bytes;
    size_t byte_count;
    const uint8_t *offsets; /* of the block's first row */
    bool has_wide_offsets;  /* of 64 bits */
    bool is_short;          /* most fit into 16 bytes */
};

/* Elements that lie side by side. */
struct fletch_stretch {
    uint32_t first;
    uint32_t count;
};

/* What stretches are taken from: elements of a width, or bytes of strings. */
struct fletch_gather_elements {
    const uint8_t *bytes;
    size_t byte_count;
    size_t byte_width;
};

/* Where the offsets of gathered strings are written, and what room is left for their bytes. */
struct fletch_gather_room {
    uint8_t *offsets; /* of the next string; it is there already */
    int64_t used_bytes;
    int64_t byte_capacity;
};

struct fletch_gather_kernels {
    const char *name;
    fletch_gather_values *values[FLETCH_GATHER_WIDTHS];
    /* The same past the caches, for destinations that will have left them before they are read:
     * whole lines are written to memory without being fetched from it. `flush` comes behind the
     * last one and before anybody else may learn of the destination. */
    fletch_gather_values *streamed[FLETCH_GATHER_WIDTHS];
    void (*flush)(void);
    /* Appends bits of `source` at bit `at` of `destination`. */
    void (*bits)(uint8_t *destination, size_t at, const struct fletch_gather_bits *source,
                 const uint16_t *order, size_t count);
    /* Copies the bytes. */
    void (*strings)(uint8_t *destination, const struct fletch_gather_strings *source,
                    const uint16_t *order, size_t count);
    /* Copies the elements of stretches. The destination has the slack of strings behind it. */
    void (*stretches)(uint8_t *destination, const struct fletch_gather_elements *source,
                      const struct fletch_stretch *stretches, size_t count);
};

/* The fastest that this processor runs. Any thread; does not block. */
const struct fletch_gather_kernels *fletch_gather_kernels_best(void);

/* Variant `index`, the scalar one first; NULL where there is none or this processor cannot run it.
 */
const struct fletch_gather_kernels *fletch_gather_kernels_variant(size_t index);
enum { FLETCH_GATHER_VARIANTS = 2 };

/* Defined where the processor has them: gather_avx2.c, gather_neon.c. */
extern const struct fletch_gather_kernels fletch_gather_scalar;
extern const struct fletch_gather_kernels fletch_gather_avx2;
extern const struct fletch_gather_kernels fletch_gather_neon;

/* Writes the ends of the strings `order` behind the offset that is there, as long as their bytes
 * fit; returns how many do. */
size_t fletch_gather_offsets(const struct fletch_gather_room *room,
                             const struct fletch_gather_strings *source, const uint16_t *order,
                             size_t count);

/* Offsets of strings or lists that lie in stretches, and what they have below them. */
struct fletch_gather_offsets_source {
    const uint8_t *offsets;
    size_t byte_count;
    bool has_wide_offsets;
    const struct fletch_stretch *below; /* of each stretch */
};

/* Writes where each element of the stretches ends behind the offset that is there. The destination
 * has slack behind it. */
void fletch_gather_shifted_offsets(uint8_t *destination,
                                   const struct fletch_gather_offsets_source *source,
                                   const struct fletch_stretch *stretches, size_t count);

/* Values of any other width. */
void fletch_gather_wide_values(uint8_t *destination, const struct fletch_gather_wide *source,
                               const uint16_t *order, size_t count);

#endif
