#ifndef FLETCH_SHUFFLE_WRITER_SEND_H
#define FLETCH_SHUFFLE_WRITER_SEND_H

/* Frames on their way from the partition writer to channels, to credit, to inboxes. */

#include "shuffle/shuffle_writer.h"

/* Sends what may go now: frames that wait, the rest of a batch that there was no memory for,
 * finished frames. OK also where frames still wait (first_waiting). RESOURCE_EXHAUSTED: no memory
 * for all; CANCELLED. */
enum fletch_status fletch_writer_advance(struct fletch_shuffle_writer *writer,
                                         struct fletch_error *error);

/* The channel to a partition, made where it is not. NULL: no memory. */
struct fletch_channel *fletch_writer_channel(struct fletch_shuffle_writer *writer,
                                             uint32_t partition);

/* Sends a frame, or lets it wait behind those of its channel. */
void fletch_writer_send(struct fletch_shuffle_writer *writer, struct fletch_frame *frame);

/* Lets a frame wait behind those of its channel. */
void fletch_writer_line_up(struct fletch_shuffle_writer *writer, struct fletch_frame *frame);

/* Asks for credit for the oldest frame of each channel that waits, uses what was granted; takes all
 * requests back, and uses what was granted meanwhile. */
void fletch_writer_ask(struct fletch_shuffle_writer *writer);
void fletch_writer_give_up(struct fletch_shuffle_writer *writer);

/* Sends the oldest frame of a channel that waits, by this credit. */
void fletch_writer_push_oldest(struct fletch_shuffle_writer *writer, struct fletch_channel *channel,
                               enum fletch_credit_source source);

/* Removes channels of which no frame waits any more from the list of those that do. */
void fletch_writer_forget_idle_channels(struct fletch_shuffle_writer *writer);

/* Whether a request was granted that was not used yet. */
bool fletch_writer_has_grant(const struct fletch_shuffle_writer *writer);

/* Tells the others whether this writer has data that it cannot get rid of: frames that wait, or
 * `status`, what advancing said, that there was no memory. */
void fletch_writer_note_holding(struct fletch_shuffle_writer *writer, enum fletch_status status);

/* Whether frames wait for a partition that has failed. */
bool fletch_writer_waits_in_vain(const struct fletch_shuffle_writer *writer);

/* OK; or what readers of a partition are told that has failed and for which this writer had frames:
 * then everything is dropped. */
enum fletch_status fletch_writer_check_partitions(struct fletch_shuffle_writer *writer,
                                                  struct fletch_error *error);

/* Drops every frame that has not gone, and its credit. */
void fletch_writer_drop(struct fletch_shuffle_writer *writer);

#endif
