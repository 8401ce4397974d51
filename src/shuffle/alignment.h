#ifndef FLETCH_SHUFFLE_ALIGNMENT_H
#define FLETCH_SHUFFLE_ALIGNMENT_H

/* The order in which a partition's frames are given: rows of a producer that has passed a barrier
 * are held until the barrier has come, that is, until all producers have passed it.
 *
 * A frame carries the last barrier of its producer. Each producer pushes its rows before it tells
 * of a barrier, and the barrier's control frame is pushed when all have: so when that is taken, all
 * rows before it have been. Ids of control frames increase; rows that are held for an id below the
 * one that comes waited for a barrier that was aborted or went up in a larger one, and go before
 * it. Where a producer is lost its barriers never come: what is held is not given. A watermark goes
 * behind everything that is held when it comes. Belongs to the partition's reading side. */

#include "shuffle/shuffle_partition.h"

/* Takes in what was in the inbox, oldest first. What may be given is at the end of
 * `partition->taken` then. */
void fletch_alignment_take(struct fletch_shuffle_partition *partition,
                           const struct fletch_inbox_list *list);

#endif
