#ifndef FLETCH_PARTITION_INDEX_GATHER_H
#define FLETCH_PARTITION_INDEX_GATHER_H

#include <stddef.h>
#include <stdint.h>

/* Dictionary indices of a batch, and what each becomes in the dictionary of the writer. */
struct fletch_index_map {
    const uint8_t *indices; /* of the first row */
    size_t byte_width;      /* 1, 2, 4 or 8 */
    const uint32_t *remap;
    int64_t remap_count;
};

/* Copies the indices of the rows `order`, remapped. One that is no index of the dictionary can only
 * stand for a null, since the others were checked; it becomes 0. */
void fletch_index_gather(uint8_t *destination, const struct fletch_index_map *map,
                         const uint16_t *order, size_t count);

/* The same for `count` indices that lie side by side. */
void fletch_index_copy(uint8_t *destination, const struct fletch_index_map *map, size_t count);

#endif
