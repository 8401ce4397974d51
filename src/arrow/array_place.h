#ifndef FLETCH_ARROW_ARRAY_PLACE_H
#define FLETCH_ARROW_ARRAY_PLACE_H

#include "arrow/array_sets.h"

/* Nodes and spans as a batch has them, and copies of buffers that lie misaligned.
 * `root_offset`: of the struct around the columns. INVALID_ARGUMENT: what validation of level 1
 * would find, or a size that no memory has; RESOURCE_EXHAUSTED: no memory for a copy. */
enum fletch_status fletch_array_sets_place(struct fletch_array_sets *sets, int64_t root_offset);

#endif
