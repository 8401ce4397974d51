#ifndef FLETCHING_PARTITION_WRITER_H
#define FLETCHING_PARTITION_WRITER_H

#include <fletching/budget.h>
#include <fletching/buffer_pool.h>
#include <fletching/partition.h>

FLETCH_BEGIN_DECLS

/** Distributes the rows of batches over partitions and gathers them there into frames that are
 * worth sending. Belongs to one thread at a time. */
struct fletch_partition_writer;

/** Zero means default in every field but `cache`. */
struct fletch_partition_writer_options {
    size_t struct_size;
    /** Where frames take their memory; belongs to the same thread as the writer. Not NULL. */
    struct fletch_buffer_cache *cache;
    /** Bytes that a frame is to have. 0: the largest power of two that is not above 256 KiB and
     *  budget_bytes / (8 · writer_count · P), at least 4 KiB. */
    size_t frame_bytes;
    /** For the default of frame_bytes. 0: 1 GiB. */
    uint64_t budget_bytes;
    /** Writers that share the budget. 0: 1. */
    uint32_t writer_count;
    /** Charged for frames; NULL: nobody. Must live as long as they do. */
    struct fletch_account *account;
};

/** Makes a writer for batches of `schema`, owned by the caller, that keeps `partitioner` and ends
 * it (on failure it stays the caller's). INVALID_ARGUMENT: an option; RESOURCE_EXHAUSTED: no
 * memory. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_writer_create(struct fletch_schema *schema, struct fletch_partitioner *partitioner,
                               const struct fletch_partition_writer_options *options,
                               struct fletch_partition_writer **out_writer,
                               struct fletch_error *error);

/** Drops the rows that were not taken out. NULL allowed. */
FLETCH_EXPORT void fletch_partition_writer_destroy(struct fletch_partition_writer *writer);

/** Takes in the rows of a batch, which is acquired as long as that lasts. Rows of one partition
 *  keep their order. Finished frames are to be taken with fletch_partition_writer_next. A field may
 *  be a dictionary where the writer's schema has it plain, plain where it has a dictionary, and
 *  have indices of another type, at any depth: it is copied into what the schema says.
 *
 *  INVALID_ARGUMENT: the batch has another schema (names the field), an index outside its
 *  dictionary, or a null index where the schema has a plain union; OUT_OF_RANGE: a partition column
 *  holds no partition, a dictionary has outgrown its indices, strings or elements that become plain
 *  are too many together, or a row has more elements or bytes of a field than its offsets or run
 *  ends can count, since it does not share them any more: the writer has nothing of the batch.
 *  RESOURCE_EXHAUSTED: no memory; a part of the rows may have been placed:
 *  fletch_partition_writer_resume goes on, best after finished frames were taken and released.
 *  FAILED_PRECONDITION: the last batch waits to be resumed. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_writer_push(struct fletch_partition_writer *writer, struct fletch_batch *batch,
                             struct fletch_error *error);

/** Goes on with a batch that there was no memory for. OK: nothing is left of it, or nothing was.
 *  Errors as fletch_partition_writer_push. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_writer_resume(struct fletch_partition_writer *writer, struct fletch_error *error);

/** Finishes the frames that were begun, of one partition or of all. RESOURCE_EXHAUSTED: not all;
 *  call again. FAILED_PRECONDITION: a batch waits to be resumed. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_writer_flush(struct fletch_partition_writer *writer, struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_writer_flush_partition(struct fletch_partition_writer *writer, uint32_t partition,
                                        struct fletch_error *error);

/** What a writer gives out: rows of one partition. */
struct fletch_partition_frame {
    uint32_t partition;
    struct fletch_batch *batch; /* a reference that the caller owns */
    uint64_t key_sum;           /* hash methods: sum of the rows' hashes; else 0 */
};

/** The oldest finished frame. OK with `out_frame->batch` NULL: none is finished.
 *  RESOURCE_EXHAUSTED: no memory for the batch; the frame stays the oldest. Never allocates from
 * the system once buffers come back to the pool. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_writer_next(struct fletch_partition_writer *writer,
                             struct fletch_partition_frame *out_frame, struct fletch_error *error);

/** Bytes that the writer aims at for a frame. */
FLETCH_EXPORT size_t
fletch_partition_writer_frame_bytes(const struct fletch_partition_writer *writer);

FLETCH_END_DECLS

#endif
