#ifndef FLETCHING_BUFFER_H
#define FLETCHING_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/budget.h>
#include <fletching/buffer_pool.h>
#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** A range of bytes with a count of references: 64-byte aligned and padded to 64 when it comes from
 *  a pool. Whoever allocated it writes it until it is shared, and nobody after that.
 *
 *  Threads: a buffer can be read, acquired and released by any thread that has a reference. Calls
 *  that take a cache belong to the thread that the cache belongs to at that time. Nothing here
 *  blocks unless it takes a timeout. */
struct fletch_buffer;

/** The largest buffer. */
#define FLETCH_BUFFER_BYTES_MAX ((size_t)1 << 36)

/** A buffer of `bytes` bytes, 1 to FLETCH_BUFFER_BYTES_MAX, with one reference, which the caller
 *  owns. The bytes, and those of the padding, are whatever was there before. Its charge
 *  (fletch_buffer_charge_bytes) is reserved at `account` (NULL: charged to nobody) first and given
 *  back with the last reference, so the account must stay open or be closed, and its budget must
 *  live. INVALID_ARGUMENT: `bytes` is 0 or too large; RESOURCE_EXHAUSTED: the account or one above
 *  it is full, or the system has no memory. Never blocks. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_buffer_allocate(struct fletch_buffer_cache *cache, size_t bytes,
                       struct fletch_account *account, struct fletch_buffer **out_buffer,
                       struct fletch_error *error);

/** A part of a buffer. */
struct fletch_buffer_range {
    size_t offset;
    size_t bytes;
};

/** The bytes `range` of `parent`: owns none of them and keeps the parent alive with a
 *  reference of its own. A slice of a slice keeps the first parent, not the slice. Charged to
 *  nobody: the parent's charge stays whole. OUT_OF_RANGE: not inside the parent, or 0 bytes;
 *  RESOURCE_EXHAUSTED: no memory for the handle. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_buffer_slice(struct fletch_buffer_cache *cache, struct fletch_buffer *parent,
                    struct fletch_buffer_range range, struct fletch_buffer **out_buffer,
                    struct fletch_error *error);

/** Whether this is a slice of less than half of its parent: then it keeps more bytes alive that
 *  nobody reads than it has. */
FLETCH_EXPORT bool fletch_buffer_is_sparse(const struct fletch_buffer *buffer);

/** Takes the caller's reference to `buffer` and gives one to a buffer with the same bytes: a copy,
 *  charged to `account`, where the buffer is sparse, otherwise the same one. On failure the caller
 *  keeps its reference. Errors as fletch_buffer_allocate. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_buffer_compact(struct fletch_buffer_cache *cache, struct fletch_buffer *buffer,
                      struct fletch_account *account, struct fletch_buffer **out_buffer,
                      struct fletch_error *error);

/** Memory of somebody else: `bytes` > 0 bytes at `data`, of any alignment, and what to call when
 *  nobody refers to them any more (NULL: nothing). */
struct fletch_foreign_memory {
    const void *data;
    size_t bytes;
    void (*release)(void *context);
    void *context;
};

/** A buffer over foreign memory. From success on the library owns it: `release` is called exactly
 *  once, by the thread that drops the last reference. On failure it is not called. Charged for its
 *  bytes. Errors as fletch_buffer_allocate; INVALID_ARGUMENT: no data, or no bytes. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_buffer_wrap(struct fletch_buffer_cache *cache, const struct fletch_foreign_memory *memory,
                   struct fletch_account *account, struct fletch_buffer **out_buffer,
                   struct fletch_error *error);

/** One more reference. Any thread that has one; one atomic addition. Returns the buffer. */
FLETCH_EXPORT struct fletch_buffer *fletch_buffer_acquire(struct fletch_buffer *buffer);

/** Drops a reference. With the last one the memory goes back: to the cache that it came from, at
 *  once where that is `cache`, and by one compare-and-swap where the caller has another cache or
 *  none (NULL); and the charge to its account. NULL allowed for the buffer. */
FLETCH_EXPORT void fletch_buffer_release(struct fletch_buffer_cache *cache,
                                         struct fletch_buffer *buffer);

/** The bytes. Any thread that has a reference. */
FLETCH_EXPORT const uint8_t *fletch_buffer_data(const struct fletch_buffer *buffer);

/** The bytes, to be written: only while the caller has the one reference to a buffer that came from
 *  fletch_buffer_allocate. */
FLETCH_EXPORT uint8_t *fletch_buffer_mutable_data(struct fletch_buffer *buffer);

/** How many bytes it has, and how many it could have (fletch_buffer_resize). */
FLETCH_EXPORT size_t fletch_buffer_bytes(const struct fletch_buffer *buffer);
FLETCH_EXPORT size_t fletch_buffer_capacity(const struct fletch_buffer *buffer);

/** Says that it has `bytes` bytes, 0 to its capacity; nothing is moved. As
 *  fletch_buffer_mutable_data. */
FLETCH_EXPORT void fletch_buffer_resize(struct fletch_buffer *buffer, size_t bytes);

/** What it keeps alive and is charged for: its block of the pool, the foreign bytes, and for a
 *  slice what its parent is charged for. */
FLETCH_EXPORT size_t fletch_buffer_charge_bytes(const struct fletch_buffer *buffer);

/** Moves its charge (a slice: its parent's) to `account` of the same budget, waiting for room there
 *  up to `timeout_ns`; one that is charged to nobody, or to `account` already, stays as it is. Any
 *  thread that has a reference. Errors as fletch_account_transfer. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_buffer_transfer(struct fletch_buffer *buffer, struct fletch_account *account,
                       uint64_t timeout_ns, struct fletch_error *error);

FLETCH_END_DECLS

#endif
