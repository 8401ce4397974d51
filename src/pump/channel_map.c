#include "pump/channel_map.h"

#include <string.h>

#include "base/allocator.h"

enum { SLOTS_LEAST = 64 };

void fletch_channel_map_init(struct fletch_channel_map *map,
                             const struct fletch_allocator *allocator)
{
    *map = (struct fletch_channel_map){.allocator = *allocator};
}

void fletch_channel_map_deinit(struct fletch_channel_map *map)
{
    if (map->slots != NULL)
        fletch_block_release(map->slots);
    map->slots = NULL;
}

/* The slot that the key has or would get. */
static struct fletch_channel_slot *look(const struct fletch_channel_map *map, uint64_t key)
{
    uint64_t mixed = key * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t at = mixed >> 32;
    for (;; at++) {
        struct fletch_channel_slot *slot = &map->slots[at & (map->slot_count - 1)];
        if (slot->channel == NULL || slot->key == key)
            return slot;
    }
}

void *fletch_channel_map_find(const struct fletch_channel_map *map, uint64_t key)
{
    return map->slots == NULL ? NULL : look(map, key)->channel;
}

static bool grow(struct fletch_channel_map *map)
{
    struct fletch_channel_map larger = *map;
    larger.slot_count = map->slots == NULL ? SLOTS_LEAST : 2 * map->slot_count;
    size_t bytes = (size_t)larger.slot_count * sizeof *larger.slots;
    larger.slots = fletch_block_allocate(&map->allocator, bytes);
    if (larger.slots == NULL)
        return false;
    memset(larger.slots, 0, bytes);
    for (uint64_t i = 0; map->slots != NULL && i < map->slot_count; i++)
        if (map->slots[i].channel != NULL)
            *look(&larger, map->slots[i].key) = map->slots[i];
    if (map->slots != NULL)
        fletch_block_release(map->slots);
    *map = larger;
    return true;
}

bool fletch_channel_map_add(struct fletch_channel_map *map, uint64_t key, void *channel)
{
    if (2 * (map->count + 1) > map->slot_count && !grow(map))
        return false;
    *look(map, key) = (struct fletch_channel_slot){key, channel};
    map->count++;
    return true;
}
