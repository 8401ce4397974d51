#include "base/cpu.h"

struct fletch_cpu_features fletch_cpu_features(void)
{
    /* These builtins ask the operating system too (XGETBV): no register that it does not save. */
    __builtin_cpu_init();
    return (struct fletch_cpu_features){
        .avx2 = __builtin_cpu_supports("avx2") != 0,
        .bmi2 = __builtin_cpu_supports("bmi2") != 0,
        .avx512 =
            __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
            __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0,
        .crc32c = __builtin_cpu_supports("sse4.2") != 0,
    };
}
