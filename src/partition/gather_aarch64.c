#include "base/cpu.h"
#include "partition/gather.h"

const struct fletch_gather_kernels *fletch_gather_kernels_variant(size_t index)
{
    if (index == 0)
        return &fletch_gather_scalar;
    return index == 1 && fletch_cpu_features().neon ? &fletch_gather_neon : NULL;
}

const struct fletch_gather_kernels *fletch_gather_kernels_best(void)
{
    return fletch_cpu_features().neon ? &fletch_gather_neon : &fletch_gather_scalar;
}
