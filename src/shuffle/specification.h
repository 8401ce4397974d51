#ifndef FLETCH_SHUFFLE_SPECIFICATION_H
#define FLETCH_SHUFFLE_SPECIFICATION_H

/* The options of a shuffle: checked, completed, copied. */

#include "shuffle/shuffle.h"

/* What every partition has, once for each writer and twice for itself. */
#define FLETCH_FRAME_BYTES_LEAST ((size_t)4096)
#define FLETCH_FRAME_BYTES_MOST ((size_t)64 << 20)

/* How a shuffle's budget is divided: rows that writers are gathering, the partitions' own two
 * frames, and the rest, of which a fifth is kept for what frames cost beside their rows. */
struct fletch_budget_split {
    uint64_t gathered_bytes; /* writers · P · frame */
    uint64_t owned_bytes;    /* 2 · P · frame */
    uint64_t pool_bytes;
    uint64_t retained_bytes; /* with retention: half of what the pool would have */
};

/* Writes a specification whose copies come from `allocator`. Errors as fletch_shuffle_register; on
 * failure, too, fletch_specification_deinit gives back what there is. */
enum fletch_status fletch_specification_init(struct fletch_shuffle_specification *specification,
                                             const struct fletch_transport *transport,
                                             const struct fletch_shuffle_options *options,
                                             struct fletch_error *error);

void fletch_specification_deinit(struct fletch_shuffle_specification *specification);

struct fletch_budget_split
fletch_specification_split(const struct fletch_shuffle_specification *specification);

#endif
