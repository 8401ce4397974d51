#ifndef FLETCH_PROGRAM_BOUNDS_FILE_H
#define FLETCH_PROGRAM_BOUNDS_FILE_H

#include <fletching/batch.h>
#include <fletching/buffer_pool.h>

#include "outcome.h"

/* Bounds of ranges in an Arrow IPC file: one batch of sorted rows, whose columns are the key. */

/* Reads them; the batch is the caller's. Errors are told: another number of batches, too. */
enum outcome bounds_file_read(const char *path, struct fletch_buffer_cache *cache,
                              struct fletch_batch **out_bounds);

/* Writes them, to a file that must not be there yet. */
enum outcome bounds_file_write(const char *path, struct fletch_buffer_cache *cache,
                               struct fletch_batch *bounds);

#endif
