#ifndef FLETCH_SHUFFLE_KEY_SUM_H
#define FLETCH_SHUFFLE_KEY_SUM_H

#include "partition/partitioner.h"

/* The sum of the hashes by which the rows of a batch are placed; 0 for methods that do not hash.
 * The partitioner's turn is not changed. */
uint64_t fletch_key_sum(struct fletch_partitioner *partitioner, const struct fletch_batch *batch);

#endif
