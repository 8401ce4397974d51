#include "base/futex.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define NS_PER_SECOND UINT64_C(1000000000)

bool fletch_futex_wait(_Atomic uint32_t *address, uint32_t expected, uint64_t deadline_ns,
                       bool shared)
{
    /* FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, FUTEX_WAIT a relative one. */
    int operation = FUTEX_WAIT_BITSET | (shared ? 0 : FUTEX_PRIVATE_FLAG);
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_SECOND),
                                .tv_nsec = (long)(deadline_ns % NS_PER_SECOND)};
    const struct timespec *limit = deadline_ns == FLETCH_NO_DEADLINE ? NULL : &deadline;
    long result =
        syscall(SYS_futex, address, operation, expected, limit, NULL, FUTEX_BITSET_MATCH_ANY);
    return !(result == -1 && errno == ETIMEDOUT);
}

void fletch_futex_wake(_Atomic uint32_t *address, uint32_t count, bool shared)
{
    int operation = FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG);
    int limit = count > INT_MAX ? INT_MAX : (int)count;
    syscall(SYS_futex, address, operation, limit, NULL, NULL, 0);
}
