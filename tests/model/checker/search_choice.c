/* One choice after the other, as they come: which thread goes on, what a read reads, where a write
 * goes. Depth first over all of them, or at random. */

#include "report.h"
#include "search.h"

enum { CHOICES = 1 << 14 };

struct choice {
    int count;
    int taken;
};

static struct choice choice[CHOICES];
static int depth, top;
static struct mc_choice_rules rules;
static int preemptions;
static uint64_t random_state;

void mc_by_choice_begin(const struct mc_choice_rules *chosen)
{
    rules = *chosen;
    top = 0;
    random_state = chosen->seed;
    mc_by_choice_restart();
}

void mc_by_choice_restart(void)
{
    depth = 0;
    preemptions = 0;
}

/* SplitMix64. */
static uint64_t next_random(void)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int mc_by_choice_choose(int count, bool newest_first)
{
    if (count == 1)
        return 0;
    if (rules.random) {
        uint64_t number = next_random();
        if (newest_first && (number & 1) != 0)
            return 0;
        return (int)((number >> 8) % (uint64_t)count);
    }
    if (depth == top) {
        if (top == CHOICES)
            mc_internal("more than %d choices", CHOICES);
        choice[top++] = (struct choice){.count = count};
    }
    return choice[depth++].taken;
}

int mc_by_choice_pick_thread(unsigned enabled, int current)
{
    int candidates[MC_THREADS], count = 0;
    bool stays = (enabled >> current & 1) != 0;
    if (stays)
        candidates[count++] = current;
    if (!stays || rules.preemptions < 0 || preemptions < rules.preemptions)
        for (int i = 0; i < MC_THREADS; i++)
            if (i != current && (enabled >> i & 1) != 0)
                candidates[count++] = i;
    int picked = candidates[mc_by_choice_choose(count, true)];
    if (stays && picked != current)
        preemptions++;
    return picked;
}

bool mc_by_choice_next(void)
{
    if (rules.random)
        return true;
    while (top > 0) {
        if (++choice[top - 1].taken < choice[top - 1].count)
            return true;
        top--;
    }
    return false;
}
