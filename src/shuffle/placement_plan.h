#ifndef FLETCH_SHUFFLE_PLACEMENT_PLAN_H
#define FLETCH_SHUFFLE_PLACEMENT_PLAN_H

/* A placement (fletching/placement.h), checked, completed and copied into one block. */

#include <stdbool.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/placement.h>
#include <fletching/status.h>

struct fletch_placement_plan {
    bool is_there;   /* else all partitions are this process's */
    bool has_others; /* other processes have, or may have, partitions */
    enum fletch_placement_mode mode;
    uint32_t self;
    uint32_t address_count;
    char **addresses;
    uint32_t *owners;     /* of partitions; pull: NULL */
    uint32_t *homes;      /* of producers; NULL: not told */
    uint32_t local_count; /* push: partitions that this process owns */
    void *block;
};

struct fletch_placement_size {
    uint32_t partition_count;
    uint32_t producer_count;
    uint32_t producer_limit;
};

/* `given`: NULL: there is none. INVALID_ARGUMENT: names what, its value and limit;
 * RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_placement_plan_init(struct fletch_placement_plan *plan,
                                              const struct fletch_placement *given,
                                              const struct fletch_placement_size *size,
                                              const struct fletch_allocator *allocator,
                                              struct fletch_error *error);

void fletch_placement_plan_deinit(struct fletch_placement_plan *plan);

static inline bool fletch_placement_pulls(const struct fletch_placement_plan *plan)
{
    return plan->is_there && plan->mode == FLETCH_PLACEMENT_PULL;
}

/* Whether a reader of the partition may be opened in this process. */
static inline bool fletch_placement_may_read(const struct fletch_placement_plan *plan,
                                             uint32_t partition)
{
    return !plan->is_there || plan->owners == NULL || plan->owners[partition] == plan->self;
}

/* Whether this process has, or may have, partitions to be told of barriers. */
static inline bool fletch_placement_aligns(const struct fletch_placement_plan *plan)
{
    return !plan->is_there || plan->owners == NULL || plan->local_count > 0;
}

/* Whether a producer may be opened here. */
static inline bool fletch_placement_may_write(const struct fletch_placement_plan *plan,
                                              uint32_t producer)
{
    return !plan->is_there || plan->homes == NULL || plan->homes[producer] == plan->self;
}

/* Whether this process may add a producer of that number. */
static inline bool fletch_placement_may_add(const struct fletch_placement_plan *plan,
                                            uint32_t producer)
{
    uint32_t home = plan->homes != NULL ? plan->homes[producer] : producer % plan->address_count;
    return home == plan->self;
}

#endif
