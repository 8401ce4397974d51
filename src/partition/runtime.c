#include <fletching/runtime.h>

#include <string.h>

#include "base/asymmetric_fence.h"
#include "base/cpu.h"
#include "partition/gather.h"
#include "partition/hash_kernels.h"

#if defined(__x86_64__)
static const char processor[] = "x86_64";
#else
static const char processor[] = "aarch64";
#endif

/* Here and not in base/, because what was chosen is known where it is chosen: kernels of this
 * folder are all that there are. */
void fletch_runtime_describe(struct fletch_runtime *out_runtime)
{
    const struct fletch_cpu_features features = fletch_cpu_features();
    const size_t bytes = out_runtime->struct_size;
    const bool is_asymmetric = fletch_fence_kind_of_process() == FLETCH_FENCE_ASYMMETRIC;
    const struct fletch_runtime runtime = {.struct_size = bytes,
                                           .processor = processor,
                                           .hash_kernels = fletch_hash_kernels_best()->name,
                                           .scatter_kernels = fletch_gather_kernels_best()->name,
                                           .fence = is_asymmetric ? "asymmetric" : "full",
                                           .processor_count = fletch_cpu_count(),
                                           .cache_line_bytes =
                                               (uint32_t)fletch_cpu_cache_line_bytes(),
                                           .has_avx2 = features.avx2,
                                           .has_bmi2 = features.bmi2,
                                           .has_avx512 = features.avx512,
                                           .has_neon = features.neon,
                                           .has_lse = features.lse,
                                           .has_crc32c = features.crc32c};
    memcpy(out_runtime, &runtime, bytes < sizeof runtime ? bytes : sizeof runtime);
}
