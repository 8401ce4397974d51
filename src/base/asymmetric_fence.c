#include "base/asymmetric_fence.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static long membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0);
}

enum fletch_fence_kind fletch_fence_kind_of_process(void)
{
    /* Registering again is cheap, and says each time whether the system still allows it. */
    if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0)
        return FLETCH_FENCE_FULL;
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0)
        return FLETCH_FENCE_FULL;
    return FLETCH_FENCE_ASYMMETRIC;
}

bool fletch_fence_heavy(void)
{
    /* Once registered, the private expedited command has no way to fail but a filter that was
     * installed since; the slow global command is then the last that gives the same promise. */
    bool ordered =
        membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0 || membarrier(MEMBARRIER_CMD_GLOBAL) == 0;
    fence_seq_cst(); /* seq_cst: orders the caller itself, whatever the kernel did */
    return ordered;
}
