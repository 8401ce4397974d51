#ifndef FLETCH_SHUFFLE_SPECIFICATION_H
#define FLETCH_SHUFFLE_SPECIFICATION_H

/* The options of a shuffle: checked, completed, copied. */

#include "shuffle/shuffle.h"

/* What every partition has, once for each writer and twice for itself. */
#define FLETCH_FRAME_BYTES_LEAST ((size_t)4096)
#define FLETCH_FRAME_BYTES_MOST ((size_t)64 << 20)

/* How a shuffle's budget is divided, so that nobody can take from others what they need to go on.
 * Frames count with all that they keep alive: the buffer, rounded up to what the pool has, and the
 * batch's block. What each writer reserves to spill comes first. */
struct fletch_budget_split {
    uint64_t frame_bytes;    /* that a full frame keeps alive */
    uint64_t writer_bytes;   /* of each writer: P frames that it gathers, two more, and a quarter of
                              what is left for those that wait in it */
    uint64_t owned_bytes;    /* 2 · P frames */
    uint64_t pool_bytes;     /* credit for all; a sixteenth of what is left is nobody's: for
                              dictionaries, and scratch for slices that are spilled */
    uint64_t retained_bytes; /* with retention: half of what the pool would have */
};

/* Writes a specification whose copies come from `allocator`. Errors as fletch_shuffle_register; on
 * failure, too, fletch_specification_deinit gives back what there is. */
enum fletch_status fletch_specification_init(struct fletch_shuffle_specification *specification,
                                             const struct fletch_transport *transport,
                                             const struct fletch_shuffle_options *options,
                                             struct fletch_error *error);

void fletch_specification_deinit(struct fletch_shuffle_specification *specification);

/* What the block of a batch of the schema takes of the pool. */
uint64_t fletch_specification_batch_bytes(const struct fletch_shuffle_specification *specification);

struct fletch_budget_split
fletch_specification_split(const struct fletch_shuffle_specification *specification);

#endif
