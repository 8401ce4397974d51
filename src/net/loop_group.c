#include "net/loop_group.h"

#include <stdio.h>

#include "base/allocator.h"
#include "base/cpu.h"
#include "base/thread.h"

struct member {
    struct fletch_event_loop *loop;
    struct fletch_thread thread;
};

struct fletch_loop_group {
    uint32_t count;   /* of loops */
    uint32_t started; /* of threads */
    _Atomic uint32_t turn;
    struct member members[];
};

static void run(void *context)
{
    fletch_event_loop_run(context);
}

static enum fletch_status start(struct fletch_loop_group *group,
                                const struct fletch_loop_group_options *options,
                                struct fletch_error *error)
{
    uint32_t index = group->started;
    struct member *member = &group->members[index];
    char name[FLETCH_THREAD_NAME_BYTES];
    snprintf(name, sizeof name, "fletch-net-%u", (unsigned)(index % FLETCH_LOOPS_MOST));
    const struct fletch_thread_options thread = {
        .name = name,
        .cpu = options->stays_on_cpu ? index : FLETCH_ANY_CPU,
        .run = run,
        .context = member->loop,
    };
    enum fletch_status status = fletch_thread_start(&member->thread, &thread, error);
    group->started += status == FLETCH_OK;
    return status;
}

static enum fletch_status fill(struct fletch_loop_group *group, uint32_t count,
                               const struct fletch_loop_group_options *options,
                               struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    while (group->count < count && status == FLETCH_OK) {
        status =
            fletch_event_loop_create(&options->loop, &group->members[group->count].loop, error);
        group->count += status == FLETCH_OK;
    }
    while (group->started < count && status == FLETCH_OK)
        status = start(group, options, error);
    return status;
}

enum fletch_status fletch_loop_group_create(const struct fletch_loop_group_options *options,
                                            struct fletch_loop_group **out_group,
                                            struct fletch_error *error)
{
    uint32_t count = options->loop_count == 0 ? fletch_cpu_count() : options->loop_count;
    if (options->loop_count > FLETCH_LOOPS_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "at most %d event loops were expected, not %u", FLETCH_LOOPS_MOST,
                                (unsigned)options->loop_count);
    if (count > FLETCH_LOOPS_MOST)
        count = FLETCH_LOOPS_MOST;
    size_t bytes = sizeof(struct fletch_loop_group) + count * sizeof(struct member);
    struct fletch_loop_group *group = fletch_block_allocate(options->loop.allocator, bytes);
    if (group == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a group of event loops of %zu bytes", bytes);
    group->count = 0;
    group->started = 0;
    store_relaxed(&group->turn, 0); /* relaxed: not shared yet */
    enum fletch_status status = fill(group, count, options, error);
    if (status != FLETCH_OK) {
        fletch_loop_group_destroy(group);
        return status;
    }
    *out_group = group;
    return FLETCH_OK;
}

void fletch_loop_group_destroy(struct fletch_loop_group *group)
{
    if (group == NULL)
        return;
    for (uint32_t i = 0; i < group->started; i++)
        fletch_event_loop_stop(group->members[i].loop);
    for (uint32_t i = 0; i < group->started; i++)
        fletch_thread_join(&group->members[i].thread);
    for (uint32_t i = 0; i < group->count; i++)
        fletch_event_loop_destroy(group->members[i].loop);
    fletch_block_release(group);
}

uint32_t fletch_loop_group_count(const struct fletch_loop_group *group)
{
    return group->count;
}

struct fletch_event_loop *fletch_loop_group_loop(struct fletch_loop_group *group, uint32_t index)
{
    return group->members[index].loop;
}

struct fletch_event_loop *fletch_loop_group_next(struct fletch_loop_group *group)
{
    /* relaxed: any loop will do */
    return group->members[fetch_add_relaxed(&group->turn, 1) % group->count].loop;
}
