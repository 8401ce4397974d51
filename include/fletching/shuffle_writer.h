#ifndef FLETCHING_SHUFFLE_WRITER_H
#define FLETCHING_SHUFFLE_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include <fletching/shuffle.h>

FLETCH_BEGIN_DECLS

/** One producer's end of a shuffle. Belongs to one thread at a time; can be handed over.
 *
 *  Backpressure: a frame needs credit of its partition. What has none waits in the writer, in order
 *  for each partition, and goes out in later calls. A call that takes a batch takes all of it or
 *  nothing, and takes it only when the frames of earlier batches have gone out: so a writer holds
 *  no more than the frames of one batch.
 *
 *  Timeouts: how long a call waits for credit; 0: not at all; FLETCH_DEADLINE_DEFAULT: 60 s. Errors
 *  of every call: CANCELLED; RESOURCE_EXHAUSTED: no credit until the timeout, or nothing can move:
 *  names the budget, who holds it, and the partition; what the writer has it keeps, and the same
 *  call can be tried again; UNAVAILABLE, DATA_LOSS: a partition has failed for which the writer has
 *  frames, or had some in the call before; told as its readers are told. Final for the writer: what
 *  has not gone is dropped, and it can only be aborted or closed. FAILED_PRECONDITION: after
 *  fletch_shuffle_writer_end or _abort.
 *
 *  Where other processes have partitions: what they refuse is told in their words, final like a
 *  partition that has failed. barrier, watermark, idle and end also wait until they have accepted
 *  it. DEADLINE_EXCEEDED: not all have until the timeout; it is on its way, and the same call waits
 *  for the same answer again. Rows that are written after a barrier was called are behind it then,
 *  too; after an end only end, abort and close are left. Where partitions are pulled there are no
 *  barriers, watermarks, idleness: FAILED_PRECONDITION. */
struct fletch_shuffle_writer;

/** A timeout that means 60 s. */
#define FLETCH_DEADLINE_DEFAULT (UINT64_MAX - 1)

/** The end that producer `producer` writes. `cache`: the thread's, of the transport's pool; it must
 *  outlive the writer and goes with it from thread to thread. NULL: one of the writer's own.
 *  OUT_OF_RANGE: no such producer; ALREADY_EXISTS: it was opened before; FAILED_PRECONDITION:
 *  another process writes it, which is named; CANCELLED. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_open(struct fletch_shuffle *shuffle, uint32_t producer,
                           struct fletch_buffer_cache *cache,
                           struct fletch_shuffle_writer **out_writer, struct fletch_error *error);

/** Closes the writer. One that has not ended is aborted first: "closed without end". NULL allowed.
 */
FLETCH_EXPORT void fletch_shuffle_writer_close(struct fletch_shuffle_writer *writer);

/** Distributes the rows of a batch of the shuffle's schema; the caller's reference stays his. OK:
 *  the batch was taken, and what of it makes full frames has gone or waits in the writer. A row
 *  that is larger than what is left of the shuffle's budget passes beside it, one at a time, as far
 *  as the transport's budget allows; else later calls are RESOURCE_EXHAUSTED, with the numbers.
 *  INVALID_ARGUMENT: another schema, names the field; OUT_OF_RANGE: a partition column; else
 *  nothing of it was taken. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_write(struct fletch_shuffle_writer *writer, struct fletch_batch *batch,
                            uint64_t timeout_ns, struct fletch_error *error);

/** Puts a batch to a partition as it is: by reference, never joined to another, split by rows only
 *  where it has more than 64 MiB; fields that are dictionaries where the schema has them plain, or
 *  the other way round, are copied, and so is what keeps more than twice its own bytes alive: a
 *  small slice of a large batch. Rows written before go before it. Batches that are not charged
 *  to the transport's budget are charged as long as they are queued; one that is larger than what
 *  is left of the shuffle's is spilled, or passes alone like a large row. OUT_OF_RANGE: no such
 *  partition.
 */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_put(struct fletch_shuffle_writer *writer, uint32_t partition,
                          struct fletch_batch *batch, uint64_t timeout_ns,
                          struct fletch_error *error);

/** Sends everything that was written. OK: all of it has gone. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_flush(struct fletch_shuffle_writer *writer, uint64_t timeout_ns,
                            struct fletch_error *error);

/** Sends what may go without waiting, and rows that have lingered long enough at `now_ns` of
 *  CLOCK_MONOTONIC. For writers that have nothing to write just now. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_poll(struct fletch_shuffle_writer *writer, uint64_t now_ns,
                           struct fletch_error *error);

/** A descriptor for an epoll loop, owned by the writer, readable when credit may have come; see
 *  fletch_eventcount_open_fd. After a call that found no credit: arm; true: sleep on the
 *  descriptor, then disarm and call fletch_shuffle_writer_poll; false: poll now. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_open_fd(struct fletch_shuffle_writer *writer, int *out_fd,
                              struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK bool
fletch_shuffle_writer_arm(struct fletch_shuffle_writer *writer);
FLETCH_EXPORT void fletch_shuffle_writer_disarm(struct fletch_shuffle_writer *writer);

/** Sends everything that was written, then barrier `id` to all partitions. Ids increase; a repeat
 *  of the last one is ignored; INVALID_ARGUMENT: an older one. RESOURCE_EXHAUSTED: too many in
 *  flight: waits up to the timeout until readers have passed the oldest; then this one or a later
 *  one can be sent, and none before it. UNAVAILABLE: a producer was lost meanwhile. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_barrier(struct fletch_shuffle_writer *writer, uint64_t id,
                              uint64_t timeout_ns, struct fletch_error *error);

/** Gives up barrier `id` for all producers: nobody waits for it any more, readers are not told of
 *  it. NOT_FOUND: it is not in flight. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_abort_barrier(struct fletch_shuffle_writer *writer, uint64_t id,
                                    struct fletch_error *error);

/** Sends everything that was written, then says that this producer writes no more rows of event
 *  time up to `watermark`. A smaller one than the last is counted and ignored. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_watermark(struct fletch_shuffle_writer *writer, int64_t watermark,
                                uint64_t timeout_ns, struct fletch_error *error);

/** This producer's watermark holds back nobody until it sends the next one. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_idle(struct fletch_shuffle_writer *writer, uint64_t timeout_ns,
                           struct fletch_error *error);

/** Adds a producer to an open set, whose number is written. RESOURCE_EXHAUSTED: the limit;
 *  FAILED_PRECONDITION: the set is fixed. With a placement: one of the numbers that are this
 *  process's, by producer_homes or number mod address_count; waits up to 60 s until all that have
 *  partitions know it, and can be repeated like the calls above. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_add_producer(struct fletch_shuffle_writer *writer, uint32_t *out_producer,
                                   struct fletch_error *error);

/** Sends everything that was written, then the end with this producer's sums. OK: the producer has
 *  ended. DATA_LOSS: the rows that went out are not those that came in; the producer is aborted. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_writer_end(struct fletch_shuffle_writer *writer, uint64_t timeout_ns,
                          struct fletch_error *error);

/** Drops what has not gone; readers get what has, then PRODUCER_LOST with `reason` (NULL: none).
 *  Idempotent; does not block. */
FLETCH_EXPORT void fletch_shuffle_writer_abort(struct fletch_shuffle_writer *writer,
                                               const char *reason);

FLETCH_END_DECLS

#endif
