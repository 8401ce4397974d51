#ifndef FLETCH_PUMP_CHANNEL_MAP_H
#define FLETCH_PUMP_CHANNEL_MAP_H

/* What a pump keeps for each channel that has data, found by (producer, partition): a table with
 * open addressing that doubles. One thread. */

#include <fletching/allocator.h>

#include <stdbool.h>
#include <stdint.h>

struct fletch_channel_slot {
    uint64_t key;
    void *channel; /* NULL: free */
};

struct fletch_channel_map {
    struct fletch_allocator allocator;
    struct fletch_channel_slot *slots; /* NULL: none yet */
    uint64_t slot_count;
    uint64_t count;
};

void fletch_channel_map_init(struct fletch_channel_map *map,
                             const struct fletch_allocator *allocator);

/* The channels themselves are the caller's. */
void fletch_channel_map_deinit(struct fletch_channel_map *map);

static inline uint64_t fletch_channel_key(uint32_t producer, uint32_t partition)
{
    return (uint64_t)producer << 32 | partition;
}

/* NULL: it is not there. */
void *fletch_channel_map_find(const struct fletch_channel_map *map, uint64_t key);

/* Of one that is not there. False: no memory. */
bool fletch_channel_map_add(struct fletch_channel_map *map, uint64_t key, void *channel);

#endif
