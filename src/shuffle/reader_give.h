#ifndef FLETCH_SHUFFLE_READER_GIVE_H
#define FLETCH_SHUFFLE_READER_GIVE_H

/* From the frames of a reader's partitions to events: one frame of each partition in turn. */

#include "shuffle/shuffle_reader.h"

/* Takes what was pushed to its partitions. */
void fletch_reader_collect(struct fletch_shuffle_reader *reader);

/* The next event of any partition that has one. OK with `*out_has_event` false: there is none.
 * RESOURCE_EXHAUSTED: there is one, and no room in *delivered* or *retained*; nothing is lost.
 * UNAVAILABLE, DATA_LOSS: the partition has ended so. */
enum fletch_status fletch_reader_give(struct fletch_shuffle_reader *reader,
                                      struct fletch_shuffle_event *out_event, bool *out_has_event,
                                      struct fletch_error *error);

#endif
