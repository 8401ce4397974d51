#include "partition/gather.h"

/* The scalar loops move up to 16 bytes at a time, which is all that NEON could do for them. */

const struct fletch_gather_kernels *fletch_gather_kernels_variant(size_t index)
{
    return index == 0 ? &fletch_gather_scalar : NULL;
}

const struct fletch_gather_kernels *fletch_gather_kernels_best(void)
{
    return &fletch_gather_scalar;
}
