#ifndef FLETCH_SYNC_LAP_H
#define FLETCH_SYNC_LAP_H

/* How one side of a ring gets from its position to its slot, for any number of slots and without a
 * division, and how far it gets with single steps. A process may die between any two stores to
 * these fields and leave them to a successor: one word tells where the slots lie, and whoever finds
 * its position at the border or behind it settles the lap before it touches a slot. */

#include <stdbool.h>
#include <stdint.h>

#include "sync/ring.h"

struct fletch_lap {
    uint64_t end;    /* the position whose slot is the first one again */
    uint64_t border; /* at most `end`: from here on a step is more than to move one element */
};

/* The lap that begins at `start`, with its border `limit` behind that. */
static inline struct fletch_lap fletch_lap_first(const struct fletch_ring_layout *layout,
                                                 uint64_t start, uint64_t limit)
{
    return (struct fletch_lap){.end = start + layout->slot_count, .border = start + limit};
}

static inline bool fletch_lap_border_is_at(const struct fletch_lap *lap, uint64_t position)
{
    return (int64_t)(position - lap->border) >= 0;
}

/* From the start of the ring to the slot of `position`, one of this lap. */
static inline uint64_t fletch_lap_slot_offset(const struct fletch_lap *lap,
                                              const struct fletch_ring_layout *layout,
                                              uint64_t position, uint64_t stride_bytes)
{
    return layout->slots_end - (lap->end - position) * stride_bytes;
}

/* Begins the next lap if `position`, at most as far as the ring has slots from the last one, is not
 * of this lap. */
static inline void fletch_lap_reach(struct fletch_lap *lap, const struct fletch_ring_layout *layout,
                                    uint64_t position)
{
    if ((int64_t)(position - lap->end) >= 0)
        lap->end += layout->slot_count;
}

/* After a move to `position`: reaches it, and puts the border at `limit` if that is in the lap. */
static inline void fletch_lap_settle(struct fletch_lap *lap,
                                     const struct fletch_ring_layout *layout, uint64_t position,
                                     uint64_t limit)
{
    fletch_lap_reach(lap, layout, position);
    lap->border = limit - position < lap->end - position ? limit : lap->end;
}

#endif
