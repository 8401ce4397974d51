#ifndef FLETCH_PARTITION_SCATTER_NESTED_H
#define FLETCH_PARTITION_SCATTER_NESTED_H

#include "partition/scatter.h"

/* Copies `count` elements of a node from `from` on to `at` of the frame. */
struct fletch_range_copy {
    const struct fletch_frame_builder *frame;
    int64_t from;
    int64_t count;
    int64_t at;
};

void fletch_scatter_copy_range(const struct fletch_scatter *scatter, uint32_t row,
                               struct fletch_range_copy range);

#endif
