#ifndef FLETCH_SPILL_SPILL_SOURCE_H
#define FLETCH_SPILL_SPILL_SOURCE_H

/* Reads one frame: its bytes, compared with the CRC32C, and the batch that they are. */

#include "memory/batch.h"
#include "spill/spill_file.h"

/* Reads a frame, of its segment's schema, validated to level 2, as a batch with one reference for
 * the caller, whose memory is of `cache` (the calling thread's) and charged to `account` (NULL:
 * nobody) before it is used. The location stays, and can be read again. Any thread; waits for the
 * disk. DATA_LOSS: not the bytes that were written; names the offset, what was expected and what
 * was found. UNAVAILABLE: the disk failed. After both the segment is quarantined.
 * RESOURCE_EXHAUSTED: no memory, or the account is full. */
enum fletch_status fletch_spill_read(const struct fletch_spill_location *location,
                                     struct fletch_buffer_cache *cache,
                                     struct fletch_account *account,
                                     struct fletch_batch **out_batch, struct fletch_error *error);

#endif
