#include "base/cpu.h"

#include <sched.h>
#include <unistd.h>

uint32_t fletch_cpu_count(void)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 0)
        return (uint32_t)CPU_COUNT(&allowed);
    /* More processors than a cpu_set_t holds: the count of those that are on line. */
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

uint32_t fletch_cpu_current(void)
{
    return (uint32_t)sched_getcpu();
}

size_t fletch_cpu_cache_line_bytes(void)
{
    long bytes = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);
    return bytes > 0 ? (size_t)bytes : 64;
}
