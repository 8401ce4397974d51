/* What libFuzzer calls to change IPC: mostly by its structure, sometimes byte by byte. */

#include "fuzz/fuzz_target.h"
#include "fuzz/ipc_mutator.h"

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned seed)
{
    struct fletch_random random = fletch_random_from_seed(seed);
    if (fletch_random_below(&random, 4) == 0)
        return LLVMFuzzerMutate(bytes, size, max_size);
    const size_t changed = ipc_mutate(bytes, size, max_size, &random);
    return changed == 0 ? LLVMFuzzerMutate(bytes, size, max_size) : changed;
}
