#include "base/cpu.h"
#include "base/crc32c.h"

fletch_crc32c_function *fletch_crc32c_best(void)
{
    return fletch_cpu_features().crc32c ? fletch_crc32c_sse42 : fletch_crc32c_scalar;
}
