#ifndef FLETCH_SHUFFLE_WRITER_PUT_H
#define FLETCH_SHUFFLE_WRITER_PUT_H

/* Batches that go as they are. */

#include "shuffle/shuffle_writer.h"

/* A batch that is put is split where it has more. */
#define FLETCH_PUT_BYTES_MAX (UINT64_C(64) << 20)

/* Sends the batch to a partition, or lets it wait, behind the rows that were written before; or
 * takes nothing of it. No frame waits yet; batch and partition are right. */
enum fletch_status fletch_writer_put(struct fletch_shuffle_writer *writer, uint32_t partition,
                                     struct fletch_batch *batch, struct fletch_error *error);

#endif
