#ifndef FLETCH_SHUFFLE_WRITER_ALONE_H
#define FLETCH_SHUFFLE_WRITER_ALONE_H

/* Rows and batches that a writer's share of the budget is too small for. They are charged to the
 * shuffle, where others have left room; and where that is full, to what the transport has left
 * beside it: one of them at a time, so that the shuffle keeps alive at most its budget and one such
 * frame.
 *
 * How it is seen that there is one at a time: whoever wants to charge something there reserves a
 * byte first, and then looks what is charged in all. That is more than his own byte if somebody
 * else is there, or has come at the same time; then he goes, and tries again later. Two that come
 * together may both go; they cannot both stay, since one of both bytes was added to the other. */

#include "shuffle/shuffle_writer.h"

/* Goes on with a batch whose next row found no memory in the shuffle's account either, and sends
 * its frame. RESOURCE_EXHAUSTED: there is another such frame, or the barrier before this one has
 * not been reached by all, so that it would be held while others may wait for it, or there is no
 * room: told with the numbers; or the rest found none. Nothing of the writer's waits to be sent. */
typedef enum fletch_status fletch_writer_step(struct fletch_shuffle_writer *writer,
                                              struct fletch_error *error);
enum fletch_status fletch_writer_resume_alone(struct fletch_shuffle_writer *writer,
                                              fletch_writer_step *resume,
                                              struct fletch_error *error);

/* Charges somebody for what a batch keeps alive that goes as it is, as fletch_batch_pay: the
 * writer; if it has too much to send, when that has gone; if its share of the budget is too small,
 * the shuffle. */
enum fletch_status fletch_writer_pay(struct fletch_shuffle_writer *writer,
                                     struct fletch_batch *batch, struct fletch_batch **out_batch,
                                     struct fletch_error *error);

/* The same for one that nobody of them could be charged for. */
enum fletch_status fletch_writer_pay_alone(struct fletch_shuffle_writer *writer,
                                           struct fletch_batch *batch,
                                           struct fletch_batch **out_batch,
                                           struct fletch_error *error);

#endif
