#ifndef FLETCH_BASE_RANDOM_H
#define FLETCH_BASE_RANDOM_H

#include <stdint.h>

/* Seeded pseudo-random numbers, the same everywhere for the same seed; not for secrets. The state
 * is the caller's; one thread.
 * Source: S. Vigna, SplitMix64 (public domain). */
struct fletch_random {
    uint64_t state;
};

static inline struct fletch_random fletch_random_from_seed(uint64_t seed)
{
    return (struct fletch_random){.state = seed};
}

static inline uint64_t fletch_random_u64(struct fletch_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number below `bound` > 0. The high half is scaled: for bounds far below 2^32 the bias is below
 * what any test or jitter could see. */
static inline uint32_t fletch_random_below(struct fletch_random *random, uint32_t bound)
{
    return (uint32_t)(((fletch_random_u64(random) >> 32) * bound) >> 32);
}

#endif
