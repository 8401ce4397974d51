#ifndef FLETCH_PARTITION_NESTED_BLANK_H
#define FLETCH_PARTITION_NESTED_BLANK_H

/* Elements that stand for nothing: null, and below that as little as the layout wants. They are
 * what a null of a dictionary's indices becomes, and what lies in front of an offset. */

#include "partition/scatter.h"

/* Whether a column of the schema can have null elements, so that blanks are nulls: a union has
 * none, nor have runs of one. False too where something below could not have any element. */
bool fletch_nested_has_nulls(const struct fletch_schema *schema, uint32_t row);

/* Adds up what `count` blanks of node `row` take, as fletch_nested_count does. */
void fletch_nested_blank_count(const struct fletch_scatter *scatter, uint32_t row, int64_t count,
                               const struct fletch_element_counts *counts);

/* Appends `blanks.count` of them to node `row` of the frame, which has `blanks.first` elements. */
void fletch_nested_blank_append(const struct fletch_scatter *scatter,
                                const struct fletch_frame_builder *frame, uint32_t row,
                                struct fletch_element_range blanks);

#endif
