#include "shuffle/sleeper.h"

#include "base/allocator.h"

static void end(struct fletch_shared *shared)
{
    struct fletch_sleeper *sleeper = (struct fletch_sleeper *)(void *)shared;
    fletch_eventcount_deinit(&sleeper->eventcount);
    fletch_block_release(sleeper);
}

struct fletch_sleeper *fletch_sleeper_create(const struct fletch_allocator *allocator)
{
    struct fletch_sleeper *sleeper = fletch_block_allocate(allocator, sizeof *sleeper);
    if (sleeper == NULL)
        return NULL;
    fletch_shared_init(&sleeper->shared, end);
    fletch_eventcount_start(&sleeper->eventcount, FLETCH_SHARING_PROCESS);
    return sleeper;
}

struct fletch_sleeper *fletch_sleeper_acquire(struct fletch_sleeper *sleeper)
{
    fletch_shared_acquire(&sleeper->shared);
    return sleeper;
}

void fletch_sleeper_release(struct fletch_sleeper *sleeper)
{
    if (sleeper != NULL)
        fletch_shared_release(&sleeper->shared);
}
