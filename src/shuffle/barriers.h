#ifndef FLETCH_SHUFFLE_BARRIERS_H
#define FLETCH_SHUFFLE_BARRIERS_H

/* The barriers in flight, by id, and how many producers each awaits. One thread.
 *
 * A barrier is started by the first producer that names it, told to partitions when all have passed
 * it, in the order of ids, and gone when all partitions have. Each holds a slot meanwhile. */

#include <stdbool.h>
#include <stdint.h>

struct fletch_barrier {
    uint64_t id;
    uint32_t awaited; /* producers that have not passed it */
    uint32_t slot;
    bool aborted;
    bool told;
};

struct fletch_barriers {
    struct fletch_barrier *flying; /* by id; those that were told come first */
    uint32_t *free_slots;
    uint32_t count;
    uint32_t limit;
    uint64_t told; /* the largest that was told; 0: none */
};

/* `flying` and `free_slots` have room for `limit`. */
void fletch_barriers_init(struct fletch_barriers *barriers, struct fletch_barrier *flying,
                          uint32_t *free_slots, uint32_t limit);

/* The largest that was ever started; 0: none. */
uint64_t fletch_barriers_latest(const struct fletch_barriers *barriers);

/* The one in flight with this id, or NULL. */
struct fletch_barrier *fletch_barriers_find(struct fletch_barriers *barriers, uint64_t id);

/* Starts `id`, which is not in flight and larger than all that were told; there must be a slot.
 * `awaited`: how many producers have not passed it. */
void fletch_barriers_start(struct fletch_barriers *barriers, uint64_t id, uint32_t awaited);

/* A producer that has passed `passed` passes everything up to `id`. What it has passed then. */
uint64_t fletch_barriers_advance(struct fletch_barriers *barriers, uint64_t passed, uint64_t id);

/* The next to be told, which is marked as told then; or NULL. */
struct fletch_barrier *fletch_barriers_tell(struct fletch_barriers *barriers);

/* All partitions have passed the barrier of `slot`. */
void fletch_barriers_land(struct fletch_barriers *barriers, uint32_t slot);

#endif
