#include "base/crc32c.h"

/* The remainder is linear: that of a byte is the sum of those of its bits, which are these. */
#define BIT(byte, index, remainder) (((byte) >> (index)&1) != 0 ? (remainder) : 0U)
#define ENTRY(byte) \
    (BIT(byte, 0, 0xf26b8303U) ^ BIT(byte, 1, 0xe13b70f7U) ^ BIT(byte, 2, 0xc79a971fU) ^ \
     BIT(byte, 3, 0x8ad958cfU) ^ BIT(byte, 4, 0x105ec76fU) ^ BIT(byte, 5, 0x20bd8edeU) ^ \
     BIT(byte, 6, 0x417b1dbcU) ^ BIT(byte, 7, 0x82f63b78U))
#define ENTRIES_4(byte) ENTRY(byte), ENTRY((byte) + 1), ENTRY((byte) + 2), ENTRY((byte) + 3)
#define ENTRIES_16(byte) \
    ENTRIES_4(byte), ENTRIES_4((byte) + 4), ENTRIES_4((byte) + 8), ENTRIES_4((byte) + 12)
#define ENTRIES_64(byte) \
    ENTRIES_16(byte), ENTRIES_16((byte) + 16), ENTRIES_16((byte) + 32), ENTRIES_16((byte) + 48)

static const uint32_t remainders[256] = {ENTRIES_64(0), ENTRIES_64(64), ENTRIES_64(128),
                                         ENTRIES_64(192)};

uint32_t fletch_crc32c_scalar(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;
    crc = ~crc;
    for (size_t i = 0; i < size; i++)
        crc = crc >> 8 ^ remainders[(crc ^ byte[i]) & 0xff];
    return ~crc;
}
