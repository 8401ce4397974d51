#ifndef FLETCH_SHUFFLE_SHUFFLE_STATISTICS_H
#define FLETCH_SHUFFLE_SHUFFLE_STATISTICS_H

/* What threads count for themselves is read as it stands: figures may lag behind each other. */

#include "shuffle/shuffle.h"

/* Where a partition stands. Any thread. */
enum fletch_partition_state
fletch_shuffle_partition_state(const struct fletch_shuffle_partition *partition);

#endif
