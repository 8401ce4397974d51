#ifndef FLETCH_PARTITION_HASH_H
#define FLETCH_PARTITION_HASH_H

/* fletch-hash-1 over the columns of batches: docs/format/hash.md. */

#include <stddef.h>
#include <stdint.h>

#include "memory/batch.h"
#include "partition/hash_kernels.h"
#include "partition/node_view.h"

/* Rows that are hashed at a time: their words and hashes stay in the first-level cache. */
enum { FLETCH_HASH_BLOCK = 1024 };

/* Columns of the top level, as rows of the schema's table, in the order in which they are
 * combined. */
struct fletch_hash_key {
    const uint32_t *rows;
    uint32_t count;
    bool is_continued; /* hashes of other columns before these are there already */
};

/* The hashes of rows `first` to `first + count` - 1 of the batch by the columns `key`. Offsets and
 * dictionary indices have been validated. Any thread; does not allocate or fail. */
void fletch_hash_rows(const struct fletch_hash_kernels *kernels, const struct fletch_batch *batch,
                      struct fletch_hash_key key, struct fletch_row_range range, uint64_t *hashes);

/* The word of element `index` of node `row`: the same one by one. */
uint64_t fletch_hash_word(const struct fletch_batch *batch, uint32_t row, int64_t index);

#endif
