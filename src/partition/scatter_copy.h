#ifndef FLETCH_PARTITION_SCATTER_COPY_H
#define FLETCH_PARTITION_SCATTER_COPY_H

/* The second half of the scatter: every column of what was placed is copied, segment by segment. */

#include "partition/scatter.h"

/* Copies the segments of the block and forgets them. */
void fletch_scatter_copy_segments(struct fletch_scatter *scatter,
                                  const struct fletch_scatter_block *block);

/* Keeps up the validity of `count` elements from `at` on: as if copied from a column without
 * nulls, or ready to be overwritten. Returns whether bits of the source are to be copied. */
bool fletch_scatter_prepare_validity(const struct fletch_frame_builder *frame,
                                     const struct fletch_node_view *column, int64_t at,
                                     int64_t count);

#endif
