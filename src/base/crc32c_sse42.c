#include <immintrin.h>
#include <string.h>

#include "base/crc32c.h"

/* Compiled for SSE4.2; called where the processor has it. */

uint32_t fletch_crc32c_sse42(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;
    uint64_t state = ~crc;
    for (; size >= 8; size -= 8, byte += 8) {
        uint64_t word;
        memcpy(&word, byte, sizeof word);
        state = _mm_crc32_u64(state, word);
    }
    uint32_t narrow = (uint32_t)state;
    for (; size > 0; size--)
        narrow = _mm_crc32_u8(narrow, *byte++);
    return ~narrow;
}
