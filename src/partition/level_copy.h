#ifndef FLETCH_PARTITION_LEVEL_COPY_H
#define FLETCH_PARTITION_LEVEL_COPY_H

#include "partition/row_levels.h"

/* Copies what a segment has of node `row`, whose level is known: offsets or values; with
 * `is_bytes`, which comes later, the bytes of strings. */
void fletch_level_copy(const struct fletch_scatter *scatter, const struct fletch_segment *segment,
                       uint32_t row, bool is_bytes);

#endif
