#include <arm_acle.h>
#include <string.h>

#include "base/crc32c.h"

/* Compiled for ARMv8 with CRC; called where the processor has it. */

uint32_t fletch_crc32c_armv8(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;
    crc = ~crc;
    for (; size >= 8; size -= 8, byte += 8) {
        uint64_t word;
        memcpy(&word, byte, sizeof word);
        crc = __crc32cd(crc, word);
    }
    for (; size > 0; size--)
        crc = __crc32cb(crc, *byte++);
    return ~crc;
}
