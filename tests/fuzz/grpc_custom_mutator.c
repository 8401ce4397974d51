/* What libFuzzer calls to change what a client of gRPC says: mostly by its frames, sometimes byte
 * by byte. */

#include "fuzz/fuzz_target.h"
#include "fuzz/grpc_mutator.h"

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned seed);

static size_t mutate_inner(uint8_t *bytes, size_t size, size_t max_size,
                           struct fletch_random *random)
{
    (void)random;
    return max_size == 0 ? size : LLVMFuzzerMutate(bytes, size, max_size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned seed)
{
    struct fletch_random random = fletch_random_from_seed(seed);
    if (fletch_random_below(&random, 4) == 0)
        return LLVMFuzzerMutate(bytes, size, max_size);
    const size_t changed = grpc_mutate(bytes, size, max_size, &random, mutate_inner);
    return changed == 0 ? LLVMFuzzerMutate(bytes, size, max_size) : changed;
}
