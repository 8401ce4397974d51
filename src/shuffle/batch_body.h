#ifndef FLETCH_SHUFFLE_BATCH_BODY_H
#define FLETCH_SHUFFLE_BATCH_BODY_H

/* How large a batch is for a shuffle, and who pays for it. */

#include <stdint.h>

#include "memory/batch.h"

/* Bytes that its rows have in an Arrow body, whatever buffers they lie in: each span padded to 64,
 * validity always counted, dictionaries never; at least 64. So it is the same number before and
 * after a batch was copied, cut or spilled. What credit and totals count. */
uint64_t fletch_batch_body_bytes(const struct fletch_batch *batch);

/* The same of `row_count` of its rows from `first_row` on. */
uint64_t fletch_batch_body_bytes_of(const struct fletch_batch *batch, int64_t first_row,
                                    int64_t row_count);

/* Bytes that the batch keeps alive, but for dictionaries, which it shares with others. */
uint64_t fletch_batch_kept_bytes(const struct fletch_batch *batch);

/* Moves what of these bytes is charged to `from` to an account above it, which cannot fail. */
void fletch_batch_pass_charge(struct fletch_batch *batch, struct fletch_account *from,
                              struct fletch_account *above);

/* Sees to it that `account` is charged for what the batch keeps alive and nobody is charged for.
 * `*out_batch`: a reference to the batch itself, where there is no such thing; else to a batch of
 * the same rows on the same buffers, whose only owner is a buffer that keeps `batch` alive and has
 * that charge, which can be moved like any other. Errors as fletch_buffer_allocate. */
enum fletch_status fletch_batch_pay(struct fletch_buffer_cache *cache, struct fletch_batch *batch,
                                    struct fletch_account *account, struct fletch_batch **out_batch,
                                    struct fletch_error *error);

#endif
