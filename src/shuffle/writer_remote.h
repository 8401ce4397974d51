#ifndef FLETCH_SHUFFLE_WRITER_REMOTE_H
#define FLETCH_SHUFFLE_WRITER_REMOTE_H

/* A writer's control where other processes have partitions: announced to them
 * (shuffle/announcement.h), told to the local coordinator where this process has some too, and
 * waited for. What was announced stays so when the wait ends at its deadline: the next call waits
 * for the same answer. */

#include "shuffle/shuffle_writer.h"

/* Whether there is anybody to announce to. */
static inline bool fletch_writer_reaches_out(const struct fletch_shuffle_writer *writer)
{
    return writer->shuffle->specification.placement.has_others;
}

/* FAILED_PRECONDITION: `what` cannot be said where partitions are pulled. */
enum fletch_status fletch_writer_check_push(const struct fletch_shuffle_writer *writer,
                                            const char *what, struct fletch_error *error);

/* Announces `control`, and writes its number. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_writer_announce(struct fletch_shuffle_writer *writer,
                                          const struct fletch_control_record *control,
                                          uint64_t *out_number, struct fletch_error *error);

/* The same for the end, with the totals of all channels to other processes. */
enum fletch_status fletch_writer_announce_end(struct fletch_shuffle_writer *writer,
                                              uint64_t *out_number, struct fletch_error *error);

/* Waits until what was announced by `number`, the last one, has its answers, and gives the first
 * that is not OK. DEADLINE_EXCEEDED: not all have answered, and it can be waited for again;
 * CANCELLED; UNAVAILABLE: a producer was lost. */
enum fletch_status fletch_writer_await_others(struct fletch_shuffle_writer *writer, uint64_t number,
                                              uint64_t deadline_ns, struct fletch_error *error);

#endif
