#ifndef FLETCH_PARTITION_LIST_MEASURE_H
#define FLETCH_PARTITION_LIST_MEASURE_H

#include "partition/scatter.h"

/* Rows of a block, chosen by their numbers. */
struct fletch_list_rows {
    int64_t first_row;
    const uint16_t *order;
    size_t count;
};

/* How many of the rows' lists of node `row` fit into the frame with everything below them; their
 * offsets are written behind those that are there. */
size_t fletch_list_measure(struct fletch_scatter *scatter, const struct fletch_frame_builder *frame,
                           uint32_t row, const struct fletch_list_rows *rows);

#endif
