#ifndef FLETCH_PARTITION_NESTED_COPY_H
#define FLETCH_PARTITION_NESTED_COPY_H

#include "partition/element_ranges.h"
#include "partition/scatter.h"

/* Appends elements of node `row` of the batch, and all that they have below them, to the same node
 * of the frame, which has `at` elements. */
void fletch_nested_copy(const struct fletch_scatter *scatter,
                        const struct fletch_frame_builder *frame, uint32_t row,
                        const struct fletch_element_ranges *ranges, int64_t at);

#endif
