#ifndef FLETCHING_BATCH_H
#define FLETCHING_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include <fletching/budget.h>
#include <fletching/buffer.h>
#include <fletching/buffer_pool.h>
#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** An immutable Arrow record batch with a count of references for all of it: schema, row count,
 *  buffers, application metadata.
 *
 *  Threads: whoever has a reference may read, acquire and release it, on any thread. Nothing here
 *  blocks unless it takes a timeout. */
struct fletch_batch;
struct fletch_schema;

/** One more reference. One atomic addition. Returns the batch. */
FLETCH_EXPORT struct fletch_batch *fletch_batch_acquire(struct fletch_batch *batch);

/** Drops a reference; the last one drops what the batch refers to. `cache`: the calling thread's,
 *  or NULL; see fletch_buffer_release. NULL allowed for the batch. */
FLETCH_EXPORT void fletch_batch_release(struct fletch_buffer_cache *cache,
                                        struct fletch_batch *batch);

/** Rows; at least 0. A batch without columns has rows too. */
FLETCH_EXPORT int64_t fletch_batch_row_count(const struct fletch_batch *batch);

/** The schema, alive as long as the batch; NULL: none was given. */
FLETCH_EXPORT const struct fletch_schema *fletch_batch_schema(const struct fletch_batch *batch);

/** Rows `first` to `first + count` - 1 of a batch. */
struct fletch_row_range {
    int64_t first;
    size_t count;
};

/** Application metadata, alive as long as the batch, or NULL. */
FLETCH_EXPORT const struct fletch_buffer *fletch_batch_metadata(const struct fletch_batch *batch);

/** The bytes that the batch keeps alive and that are charged for it: its own block, each of its
 *  buffers once and whole (fletch_buffer_charge_bytes), its metadata, its dictionaries. */
FLETCH_EXPORT uint64_t fletch_batch_charge_bytes(const struct fletch_batch *batch);

/** Moves the charges of the batch, its buffers, metadata and dictionaries to `account` of the same
 *  budget, waiting up to `timeout_ns`. What another batch shares with it moves too. On failure a
 *  part may have moved; another call goes on with the rest. Errors as fletch_account_transfer. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_batch_transfer(struct fletch_batch *batch, struct fletch_account *account,
                      uint64_t timeout_ns, struct fletch_error *error);

FLETCH_END_DECLS

#endif
