#ifndef FLETCH_SPILL_SPILL_FORMAT_H
#define FLETCH_SPILL_SPILL_FORMAT_H

/* The bytes on disk: docs/format/spill.md. */

#include <stddef.h>
#include <stdint.h>

#define FLETCH_SPILL_MAGIC 0x31505346U /* "FSP1" */

enum { FLETCH_SPILL_FLAG_LZ4 = 1, FLETCH_SPILL_FLAG_ZSTD = 2 }; /* flags */

/* Behind each frame. */
struct fletch_spill_trailer {
    uint32_t magic;
    uint32_t flags;
    uint64_t stored_bytes; /* before the trailer */
    uint64_t payload_bytes;
    uint32_t metadata_bytes; /* of the application, at the payload's end */
    uint32_t crc32c;         /* of what is stored and of the above */
};

_Static_assert(sizeof(struct fletch_spill_trailer) == 32, "without gaps");

/* Before each compressed block. */
struct fletch_spill_block {
    uint32_t stored_bytes; /* as many as the piece: not compressed */
    uint32_t piece_bytes;
};

enum { FLETCH_SPILL_PIECE_BYTES = 256 << 10 }; /* all pieces but the last */

#endif
