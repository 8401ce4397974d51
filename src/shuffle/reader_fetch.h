#ifndef FLETCH_SHUFFLE_READER_FETCH_H
#define FLETCH_SHUFFLE_READER_FETCH_H

/* The batch of a data frame, from memory or disk, and who pays for it.
 *
 * A batch in memory moves its charge to *delivered*; with a retention to *retained*, or, where that
 * is full, to disk, and the user's reference to *delivered*. A frame on disk is read into
 * *delivered*, which shuffles cannot fill. What is larger than all of *delivered* goes alone. */

#include "shuffle/shuffle_reader.h"

/* With a retention and a spill directory: where frames go that *retained* has no room for. */
enum fletch_status fletch_reader_open_segment(struct fletch_shuffle_reader *reader,
                                              struct fletch_error *error);

/* The batch of a data frame with a reference for the caller, charged to whom it is to be. The frame
 * stays as it is, but for a place on disk that it may have got. RESOURCE_EXHAUSTED: no room,
 * `reader->blocked_bytes` tells how much; DATA_LOSS: broken on disk. */
enum fletch_status fletch_reader_fetch(struct fletch_shuffle_reader *reader,
                                       const struct fletch_shuffle_partition *partition,
                                       struct fletch_frame *frame, struct fletch_batch **out_batch,
                                       struct fletch_error *error);

#endif
