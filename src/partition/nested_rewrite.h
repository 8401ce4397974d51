#ifndef FLETCH_PARTITION_NESTED_REWRITE_H
#define FLETCH_PARTITION_NESTED_REWRITE_H

/* Columns whose elements can lie anywhere are written anew into frames: bytes of views behind each
 * other in one buffer, list views and the members of dense unions dense and in order, runs as they
 * are in the frame. Parts of fletch_nested_copy, with its arguments. */

#include "partition/nested_copy.h"

void fletch_rewrite_views(const struct fletch_scatter *scatter,
                          const struct fletch_frame_builder *frame, uint32_t row,
                          const struct fletch_element_ranges *ranges, int64_t at);
void fletch_rewrite_list_views(const struct fletch_scatter *scatter,
                               const struct fletch_frame_builder *frame, uint32_t row,
                               const struct fletch_element_ranges *ranges, int64_t at);
void fletch_rewrite_dense_union(const struct fletch_scatter *scatter,
                                const struct fletch_frame_builder *frame, uint32_t row,
                                const struct fletch_element_ranges *ranges, int64_t at);
void fletch_rewrite_runs(const struct fletch_scatter *scatter,
                         const struct fletch_frame_builder *frame, uint32_t row,
                         const struct fletch_element_ranges *ranges, int64_t at);

#endif
