#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "base/cpu.h"

struct fletch_cpu_features fletch_cpu_features(void)
{
    unsigned long capabilities = getauxval(AT_HWCAP);
    return (struct fletch_cpu_features){
        .neon = (capabilities & HWCAP_ASIMD) != 0,
        .lse = (capabilities & HWCAP_ATOMICS) != 0,
        .crc32c = (capabilities & HWCAP_CRC32) != 0,
    };
}
