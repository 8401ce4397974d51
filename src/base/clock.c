#include "base/clock.h"

#include <time.h>

#include "base/checked.h"

#ifndef FLETCH_MODEL_CHECK
uint64_t fletch_clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
#endif

uint64_t fletch_clock_deadline_ns(uint64_t timeout_ns)
{
    if (timeout_ns == UINT64_MAX)
        return FLETCH_NO_DEADLINE;
    return fletch_saturating_add_u64(fletch_clock_now_ns(), timeout_ns);
}

uint64_t fletch_clock_remaining_ns(uint64_t deadline_ns)
{
    if (deadline_ns == FLETCH_NO_DEADLINE)
        return UINT64_MAX;
    uint64_t now_ns = fletch_clock_now_ns();
    return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}
