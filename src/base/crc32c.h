#ifndef FLETCH_BASE_CRC32C_H
#define FLETCH_BASE_CRC32C_H

/* CRC-32C (Castagnoli), as of iSCSI, RFC 3720: finds the damage that disks and networks do to
 * bytes. No protection against somebody who wants it to match. */

#include <stddef.h>
#include <stdint.h>

/* Goes on with the checksum `crc`, 0 to begin with, over `size` bytes: of pieces one after the
 * other it is that of the whole. Allocates nothing; any alignment. */
typedef uint32_t fletch_crc32c_function(uint32_t crc, const void *bytes, size_t size);

/* The fastest that this processor runs. Any thread. */
fletch_crc32c_function *fletch_crc32c_best(void);

/* By a table, for processors without an instruction for it. */
uint32_t fletch_crc32c_scalar(uint32_t crc, const void *bytes, size_t size);

/* By instruction, where base/cpu.h says crc32c. Defined for the processor that has it. */
uint32_t fletch_crc32c_sse42(uint32_t crc, const void *bytes, size_t size);
uint32_t fletch_crc32c_armv8(uint32_t crc, const void *bytes, size_t size);

#endif
