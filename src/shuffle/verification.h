#ifndef FLETCH_SHUFFLE_VERIFICATION_H
#define FLETCH_SHUFFLE_VERIFICATION_H

/* What was received, counted and summed for each channel, and compared at the end with what was
 * sent. Belongs to the partition's reading side. */

#include "shuffle/shuffle.h"

struct fletch_batch;
struct fletch_partitioner;

/* What an end can say it has compared: the level asked for, or counts where no hash places rows. */
enum fletch_sum_level
fletch_verification_level(const struct fletch_shuffle_specification *specification);

/* Whether keys are summed, for which a partitioner is needed. */
bool fletch_verification_sums_keys(const struct fletch_shuffle_specification *specification);

/* Counts `batch`, that of a data frame. `partitioner`: for the sum of keys; NULL where none is
 * wanted. DATA_LOSS: a frame is missing before this one. */
enum fletch_status fletch_verification_add(const struct fletch_shuffle_partition *partition,
                                           const struct fletch_frame *frame,
                                           const struct fletch_batch *batch,
                                           struct fletch_partitioner *partitioner,
                                           struct fletch_error *error);

/* Compares all channels. DATA_LOSS: names partition and producer, what differs, and both values.
 * After the end was taken from the inbox. */
enum fletch_status fletch_verification_compare(const struct fletch_shuffle_partition *partition,
                                               struct fletch_error *error);

/* Nothing was received: for who reads everything again. */
void fletch_verification_restart(struct fletch_shuffle_partition *partition);

#endif
