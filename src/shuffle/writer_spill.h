#ifndef FLETCH_SHUFFLE_WRITER_SPILL_H
#define FLETCH_SHUFFLE_WRITER_SPILL_H

/* Frames that go to disk for want of credit. */

#include "shuffle/shuffle_writer.h"

/* Makes the segment, if the shuffle has a directory for it. Errors as
 * fletch_spill_segment_create. */
enum fletch_status fletch_writer_open_segment(struct fletch_shuffle_writer *writer,
                                              struct fletch_error *error);

/* Whether the disk takes frames. */
bool fletch_writer_can_spill(const struct fletch_shuffle_writer *writer);

/* Spills the frames that wait for a partition without a reader, and all of them where nothing has
 * gone for `spill_after`. Whether anything went that way. May wait for the disk. */
bool fletch_writer_spill(struct fletch_shuffle_writer *writer, uint64_t now_ns);

/* Spills all frames of a channel that wait, at once; those that the disk does not take wait on. */
void fletch_writer_spill_channel(struct fletch_shuffle_writer *writer,
                                 struct fletch_channel *channel);

#endif
