#ifndef FLETCH_PARTITION_NESTED_MEASURE_H
#define FLETCH_PARTITION_NESTED_MEASURE_H

#include "partition/element_ranges.h"
#include "partition/scatter.h"

/* Adds up how many elements the ranges have of node `row` and of each node below it, and how many
 * bytes behind offsets. */
void fletch_nested_count(const struct fletch_scatter *scatter, uint32_t row,
                         const struct fletch_element_ranges *ranges,
                         const struct fletch_element_counts *counts);

/* Sets `used` of the node and of those below it to what the frame holds of them. */
void fletch_nested_note_use(const struct fletch_scatter *scatter,
                            const struct fletch_frame_builder *frame, uint32_t row);

/* Whether a frame of the plan has room for what is `used` of the node and of those below it. */
bool fletch_nested_fits(const struct fletch_scatter *scatter, const struct fletch_frame_plan *plan,
                        uint32_t row);

/* Rows of a block, chosen by their numbers. */
struct fletch_nested_rows {
    int64_t first_row;
    const uint16_t *order;
    size_t count;
};

/* How many of the rows, from the first on, fit into the frame with all that node `row` and those
 * below it have of them. */
size_t fletch_nested_measure(struct fletch_scatter *scatter,
                             const struct fletch_frame_builder *frame, uint32_t row,
                             const struct fletch_nested_rows *rows);

#endif
