#ifndef FLETCH_SPILL_SPILL_SINK_H
#define FLETCH_SPILL_SPILL_SINK_H

/* Writes one frame at the end of a file: takes its bytes in pieces, counts the CRC32C, compresses,
 * writes many pieces with one call, and the trailer behind them. */

#include "memory/buffer.h"
#include "spill/spill_file.h"
#include "spill/spill_format.h"

enum { FLETCH_SPILL_SINK_PIECES = 64 };

struct fletch_spill_sink {
    const struct fletch_spill_file *file;
    uint64_t position; /* in the file, of the first piece */
    uint64_t pending_bytes;
    uint64_t payload_bytes; /* so far */
    uint32_t crc;
    int failure; /* error number; 0: none. Nothing is done after one */
    int piece_count;
    struct iovec pieces[FLETCH_SPILL_SINK_PIECES];
    const struct fletch_spill_packer *packer; /* its chunk: what is not compressed yet; its */
                                              /* packed: the last block; NULL: nothing is */
    size_t chunk_bytes;                       /* in use */
    struct fletch_spill_trailer trailer;
};

/* `packer`: the sink's until the end; NULL: nothing is compressed. */
void fletch_spill_sink_begin(struct fletch_spill_sink *sink, const struct fletch_spill_file *file,
                             const struct fletch_spill_packer *packer);

/* Adds bytes, which must stay until the next flush. */
void fletch_spill_sink_put(struct fletch_spill_sink *sink, const void *bytes, size_t size);

/* The bytes that were put may go. */
void fletch_spill_sink_flush(struct fletch_spill_sink *sink);

/* Writes what is left and the trailer. Returns the bytes on disk; see `failure`. */
uint64_t fletch_spill_sink_end(struct fletch_spill_sink *sink, uint32_t metadata_bytes);

#endif
