#ifndef FLETCH_PARTITION_PARTITION_WRITER_H
#define FLETCH_PARTITION_PARTITION_WRITER_H

/* What a shuffle asks its partition writer besides. */

#include <fletching/partition_writer.h>

/* Whether a batch was taken in and is not placed, or not given out, to its last row. */
bool fletch_partition_writer_has_rest(const struct fletch_partition_writer *writer);

/* Whether rows of the partition lie in a frame that is not finished. */
bool fletch_partition_writer_has_open(const struct fletch_partition_writer *writer,
                                      uint32_t partition);

/* Finishes all frames that have rows, also while the rest of a batch waits: for a writer that has
 * to send what it has before it finds memory again. Errors as fletch_partition_writer_flush. */
enum fletch_status fletch_partition_writer_finish_open(struct fletch_partition_writer *writer,
                                                       struct fletch_error *error);

/* From now on taking in a batch rests, with FLETCH_OK and a rest, where frames are finished: they
 * can leave while they are in the caches, and before the rest is placed.
 * fletch_partition_writer_resume goes on. */
void fletch_partition_writer_go_stepwise(struct fletch_partition_writer *writer);

/* Who is charged for frames from now on. */
void fletch_partition_writer_charge(struct fletch_partition_writer *writer,
                                    struct fletch_account *account);

/* The sum of the hashes of all rows that were taken in, by methods that hash: summed up where rows
 * are looked at, not where they are placed. */
uint64_t fletch_partition_writer_key_sum(const struct fletch_partition_writer *writer);

#endif
