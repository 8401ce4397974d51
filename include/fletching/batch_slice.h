#ifndef FLETCHING_BATCH_SLICE_H
#define FLETCHING_BATCH_SLICE_H

#include <fletching/batch.h>
#include <fletching/buffer_pool.h>
#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** A batch of some of the rows of `batch`, on the same buffers, dictionaries and metadata, to which
 *  it holds references of its own: nothing is copied, and all of the buffers stay alive and
 *  charged. Its own block comes from `cache`, the calling thread's, and is charged to nobody.
 *  OUT_OF_RANGE: rows that the batch does not have; INVALID_ARGUMENT: a batch without schema;
 *  RESOURCE_EXHAUSTED: no memory. Takes time with the number of columns. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_batch_slice(struct fletch_buffer_cache *cache, const struct fletch_batch *batch,
                   struct fletch_row_range rows, struct fletch_batch **out_batch,
                   struct fletch_error *error);

FLETCH_END_DECLS

#endif
