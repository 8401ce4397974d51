#include "shuffle/barriers.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"

void fletch_barriers_init(struct fletch_barriers *barriers, struct fletch_barrier *flying,
                          uint32_t *free_slots, uint32_t limit)
{
    *barriers =
        (struct fletch_barriers){.flying = flying, .free_slots = free_slots, .limit = limit};
    for (uint32_t i = 0; i < limit; i++)
        free_slots[i] = limit - 1 - i;
}

uint64_t fletch_barriers_latest(const struct fletch_barriers *barriers)
{
    return barriers->count == 0 ? barriers->told : barriers->flying[barriers->count - 1].id;
}

/* How many in flight have an id below `id`. */
static uint32_t count_below(const struct fletch_barriers *barriers, uint64_t id)
{
    uint32_t below = 0;
    while (below < barriers->count && barriers->flying[below].id < id)
        below++;
    return below;
}

struct fletch_barrier *fletch_barriers_find(struct fletch_barriers *barriers, uint64_t id)
{
    uint32_t below = count_below(barriers, id);
    bool found = below < barriers->count && barriers->flying[below].id == id;
    return found ? &barriers->flying[below] : NULL;
}

void fletch_barriers_start(struct fletch_barriers *barriers, uint64_t id, uint32_t awaited)
{
    FLETCH_ASSERT(barriers->count < barriers->limit && id > barriers->told);
    uint32_t below = count_below(barriers, id);
    struct fletch_barrier *place = &barriers->flying[below];
    memmove(place + 1, place, (barriers->count - below) * sizeof *place);
    *place = (struct fletch_barrier){
        .id = id,
        .awaited = awaited,
        .slot = barriers->free_slots[barriers->limit - 1 - barriers->count],
    };
    barriers->count++;
}

uint64_t fletch_barriers_advance(struct fletch_barriers *barriers, uint64_t passed, uint64_t id)
{
    for (uint32_t i = 0; i < barriers->count && barriers->flying[i].id <= id; i++) {
        if (barriers->flying[i].id <= passed)
            continue;
        barriers->flying[i].awaited--;
        passed = barriers->flying[i].id;
    }
    return passed;
}

struct fletch_barrier *fletch_barriers_tell(struct fletch_barriers *barriers)
{
    for (uint32_t i = 0; i < barriers->count; i++) {
        struct fletch_barrier *barrier = &barriers->flying[i];
        if (barrier->told)
            continue;
        if (barrier->awaited != 0 && !barrier->aborted)
            return NULL;
        barrier->told = true;
        barriers->told = barrier->id;
        return barrier;
    }
    return NULL;
}

void fletch_barriers_land(struct fletch_barriers *barriers, uint32_t slot)
{
    struct fletch_barrier *barrier = barriers->flying;
    while (barrier->slot != slot)
        barrier++;
    FLETCH_ASSERT(barrier->told);
    size_t behind = (size_t)(&barriers->flying[barriers->count] - (barrier + 1));
    memmove(barrier, barrier + 1, behind * sizeof *barrier);
    barriers->count--;
    barriers->free_slots[barriers->limit - 1 - barriers->count] = slot;
}
