#include "partition/index_gather.h"

#include <string.h>

/* Little-endian: the low bytes of a number are the number in a narrower type. Negative indices are
 * very large ones here. */
static inline uint64_t index_at(const uint8_t *indices, size_t width, size_t row)
{
    uint64_t index = 0;
    memcpy(&index, indices + row * width, width);
    return index;
}

/* Without `order` the indices are taken as they lie. */
static inline void gather(uint8_t *destination, const struct fletch_index_map *map,
                          const uint16_t *order, size_t count, size_t width)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t index = index_at(map->indices, width, order == NULL ? i : order[i]);
        uint64_t value = index < (uint64_t)map->remap_count ? map->remap[index] : 0;
        memcpy(destination + i * width, &value, width);
    }
}

void fletch_index_gather(uint8_t *destination, const struct fletch_index_map *map,
                         const uint16_t *order, size_t count)
{
    switch (map->byte_width) {
    case 1:
        gather(destination, map, order, count, 1);
        break;
    case 2:
        gather(destination, map, order, count, 2);
        break;
    case 4:
        gather(destination, map, order, count, 4);
        break;
    default:
        gather(destination, map, order, count, 8);
        break;
    }
}

void fletch_index_copy(uint8_t *destination, const struct fletch_index_map *map, size_t count)
{
    fletch_index_gather(destination, map, NULL, count);
}
