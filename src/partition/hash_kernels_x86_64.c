#include "base/cpu.h"
#include "partition/hash_kernels.h"

const struct fletch_hash_kernels *fletch_hash_kernels_variant(size_t index)
{
    if (index == 0)
        return &fletch_hash_scalar;
    return index == 1 && fletch_cpu_features().avx2 ? &fletch_hash_avx2 : NULL;
}

const struct fletch_hash_kernels *fletch_hash_kernels_best(void)
{
    return fletch_cpu_features().avx2 ? &fletch_hash_avx2 : &fletch_hash_scalar;
}
