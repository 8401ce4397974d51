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

/* fletch_partition_writer_push of a batch whose partitions the caller has found: one for each row,
 * below the partitioner's count. They stay where they are until the batch is placed to its last
 * row. Not for methods that hash or broadcast. */
enum fletch_status fletch_partition_writer_push_placed(struct fletch_partition_writer *writer,
                                                       struct fletch_batch *batch,
                                                       const uint16_t *partitions,
                                                       struct fletch_error *error);

/* Finishes the frame of a partition, also while the rest of a batch waits. Errors as
 * fletch_partition_writer_flush. */
enum fletch_status fletch_partition_writer_finish_partition(struct fletch_partition_writer *writer,
                                                            uint32_t partition,
                                                            struct fletch_error *error);

/* From now on taking in a batch rests, with FLETCH_OK and a rest, where frames are finished: they
 * can leave while they are in the caches, and before the rest is placed.
 * fletch_partition_writer_resume goes on. */
void fletch_partition_writer_go_stepwise(struct fletch_partition_writer *writer);

/* Who is charged for frames from now on. */
void fletch_partition_writer_charge(struct fletch_partition_writer *writer,
                                    struct fletch_account *account);

/* The batch, whose schema is the writer's by FLETCH_COMPARE_VALUE_TYPES, as one of the writer's
 * own: a reference to it, or, where encodings differ, a batch of which those fields are copied.
 * Errors as fletch_recode_batch. */
enum fletch_status fletch_partition_writer_recode(struct fletch_partition_writer *writer,
                                                  struct fletch_batch *batch,
                                                  struct fletch_batch **out_batch,
                                                  struct fletch_error *error);

/* What an account is charged for the frame of the next row, for which there was no memory; 0: that
 * is not what is missing. */
uint64_t fletch_partition_writer_wanted_bytes(const struct fletch_partition_writer *writer);

/* The sum of the hashes of all rows that were taken in, by methods that hash: summed up where rows
 * are looked at, not where they are placed. */
uint64_t fletch_partition_writer_key_sum(const struct fletch_partition_writer *writer);

#endif
