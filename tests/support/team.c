#include "support/team.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cpu.h"

static void member_main(void *context)
{
    struct team_member *member = context;
    store_release(&member->tid, gettid());
    atomic_fetch_sub(&member->team->waiting_for, 1);
    while (load_acquire(&member->team->waiting_for) != 0)
        sched_yield();
    member->run(member->context);
}

void team_start(struct team *team, const struct team_role *roles, size_t count)
{
    if (count > TEAM_MAX)
        abort();
    team->count = count;
    atomic_store(&team->waiting_for, count);
    for (size_t i = 0; i < count; i++) {
        struct team_member *member = &team->members[i];
        member->team = team;
        member->run = roles[i].run;
        member->context = roles[i].context;
        atomic_store(&member->tid, 0);
        const struct fletch_thread_options options = {
            .name = "test-member",
            .cpu = FLETCH_ANY_CPU,
            .run = member_main,
            .context = member,
        };
        struct fletch_error error;
        if (fletch_thread_start(&member->thread, &options, &error) != FLETCH_OK) {
            fprintf(stderr, "%s\n", error.message);
            abort();
        }
    }
}

void team_join(struct team *team)
{
    for (size_t i = 0; i < team->count; i++)
        fletch_thread_join(&team->members[i].thread);
}

int team_tid(struct team *team, size_t index)
{
    int tid;
    while ((tid = load_acquire(&team->members[index].tid)) == 0)
        sched_yield();
    return tid;
}

void team_run(const struct team_role *roles, size_t count)
{
    struct team team;
    team_start(&team, roles, count);
    team_join(&team);
}

struct jitter jitter_from_seed(uint64_t seed, uint32_t one_in)
{
    return (struct jitter){.random = fletch_random_from_seed(seed), .one_in = one_in};
}

void jitter_step(struct jitter *jitter)
{
    uint32_t chance = fletch_random_below(&jitter->random, jitter->one_in);
    if (chance == 0)
        sched_yield();
    else if (chance == 1)
        for (uint32_t i = fletch_random_below(&jitter->random, 64); i > 0; i--)
            fletch_cpu_relax();
}
