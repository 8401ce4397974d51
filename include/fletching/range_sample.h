#ifndef FLETCHING_RANGE_SAMPLE_H
#define FLETCHING_RANGE_SAMPLE_H

#include <fletching/buffer_pool.h>
#include <fletching/partition.h>

FLETCH_BEGIN_DECLS

/** What bounds of ranges are proposed from. Zero means default in every field but the first three.
 */
struct fletch_range_sample {
    struct fletch_batch *const *batches; /* not empty together */
    size_t batch_count;
    /** Where the bounds take their memory; the calling thread's. */
    struct fletch_buffer_cache *cache;
    /** Rows to be drawn. 0: 1024 for each partition. At most a million. */
    size_t row_count;
    /** The same seed draws the same rows. */
    uint64_t seed;
};

/** Proposes bounds for ranges of about equally many rows: those rows of a sample of `schema` that
 *  stand at the quantiles. Writes a batch of the key columns, owned by the caller, to be passed on
 * as `range_bounds`; that field of the options is not looked at. Errors as
 * fletch_partitioner_create. Any thread. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_range_propose(struct fletch_schema *schema, const struct fletch_partitioner_options *options,
                     const struct fletch_range_sample *sample, struct fletch_batch **out_bounds,
                     struct fletch_error *error);

FLETCH_END_DECLS

#endif
