#ifndef FLETCH_SHUFFLE_WRITER_CONTROL_H
#define FLETCH_SHUFFLE_WRITER_CONTROL_H

/* How a writer asks the coordinator. */

#include "base/clock.h"
#include "shuffle/shuffle_writer.h"

/* The operation, with its kind, ready to be filled. Whoever still has it is about to let go. */
struct fletch_control_operation *fletch_writer_prepare(struct fletch_shuffle_writer *writer,
                                                       enum fletch_seat_operation which,
                                                       enum fletch_control_kind kind);

/* Submits an operation that never has to wait, and gives its answer. */
enum fletch_status fletch_writer_ask_for(struct fletch_shuffle_writer *writer,
                                         struct fletch_control_operation *operation,
                                         struct fletch_error *error);

/* Sleeps until the operation is answered. False: the deadline came first, or the shuffle was
 * cancelled, or a producer of it was lost: then it may be answered never. */
bool fletch_writer_await_answer(struct fletch_shuffle_writer *writer,
                                struct fletch_control_operation *operation, uint64_t deadline_ns);

#endif
