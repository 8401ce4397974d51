#ifndef FLETCH_PARTITION_ROW_LEVELS_H
#define FLETCH_PARTITION_ROW_LEVELS_H

/* What the rows of a block have below them, where that lies side by side for each row: elements of
 * lists, and bytes of strings in lists.
 *
 * Level 0 are the rows themselves. Each list and each string below one makes another: for each row,
 * in the order of the row lists, the stretch of elements or bytes that it has. Stretches are found
 * when rows are placed, by the offsets of the level above, and every node of a level is then copied
 * in one loop over them. Columns with views, list views, unions or runs have no levels: their rows
 * are copied in ranges (nested_copy.h). */

#include "partition/scatter.h"

struct fletch_level {
    uint32_t row;                      /* the list or string whose level this is */
    uint32_t above;                    /* the level of that node's own elements */
    struct fletch_stretch *stretches;  /* by place in the order of the row lists */
    int64_t *starts;                   /* by segment: elements that its frame had before */
    struct fletch_element_range block; /* of all rows of the block */
};

/* How many levels a schema can have, the rows included; 1: rows have nothing below them. */
uint32_t fletch_levels_most(const struct fletch_schema *schema);

/* Finds the levels of the schema; the arrays for them are there. */
void fletch_levels_init(struct fletch_scatter *scatter);

/* Whether stretches can number all elements of the batch. */
bool fletch_levels_can_number(const struct fletch_batch *batch);

/* Begins with the first rows of a block. */
void fletch_levels_begin(struct fletch_scatter *scatter, const struct fletch_scatter_block *block);

/* Rows of a block that are to be placed: `count` from place `first` on, in the order of the row
 * lists. */
struct fletch_level_rows {
    uint32_t first;
    size_t count;
};

/* How many of the rows, which are to be the next segment, fit into the frame with all that column
 * `row` and the nodes below it have of them; the offsets of the column are written. */
size_t fletch_levels_place(struct fletch_scatter *scatter, const struct fletch_frame_builder *frame,
                           uint32_t row, struct fletch_level_rows rows);

#endif
