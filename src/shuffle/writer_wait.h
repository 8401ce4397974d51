#ifndef FLETCH_SHUFFLE_WRITER_WAIT_H
#define FLETCH_SHUFFLE_WRITER_WAIT_H

/* How a call of a writer waits, and when it is told that nothing can move. */

#include "shuffle/shuffle_writer.h"

/* Advances, and waits until nothing is left to send, up to `deadline_ns` of the transport's clock.
 * RESOURCE_EXHAUSTED: it passed, or nothing can move; CANCELLED. */
enum fletch_status fletch_writer_settle(struct fletch_shuffle_writer *writer, uint64_t deadline_ns,
                                        struct fletch_error *error);

/* The same, without waiting: what does not go now has asked for credit, and the writer's sleeper is
 * told when that comes. `*out_settled`: nothing is left. For owners that wait for other things
 * too. */
enum fletch_status fletch_writer_try_settle(struct fletch_shuffle_writer *writer, bool *out_settled,
                                            struct fletch_error *error);

/* Waits a moment, where `status` says that there was no memory for a batch that was not taken.
 * False: it says something else, or the deadline has passed, or nobody can move. */
bool fletch_writer_waits_for_memory(struct fletch_shuffle_writer *writer, enum fletch_status status,
                                    uint64_t deadline_ns);

/* The time at which a call that began at `now_ns` ends. */
uint64_t fletch_writer_deadline(uint64_t now_ns, uint64_t timeout_ns);

/* Looks whether anybody can move, each `spill_after`. True: nobody can, now and at the look before,
 * and nothing moved in between. */
bool fletch_writer_is_stalled(struct fletch_shuffle_writer *writer, uint64_t now_ns);

/* Sends everything that was written, as fletch_writer_settle. */
enum fletch_status fletch_writer_flush_all(struct fletch_shuffle_writer *writer,
                                           uint64_t deadline_ns, struct fletch_error *error);

/* The answer where frames wait and will not: who holds the budget. */
enum fletch_status fletch_writer_refuse(struct fletch_shuffle_writer *writer, const char *why,
                                        struct fletch_error *error);

/* OK, CANCELLED, or FAILED_PRECONDITION: it has ended. */
enum fletch_status fletch_writer_check(const struct fletch_shuffle_writer *writer,
                                       struct fletch_error *error);

#endif
