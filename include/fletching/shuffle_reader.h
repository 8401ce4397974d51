#ifndef FLETCHING_SHUFFLE_READER_H
#define FLETCHING_SHUFFLE_READER_H

#include <stddef.h>
#include <stdint.h>

#include <fletching/arrow.h>
#include <fletching/shuffle.h>

FLETCH_BEGIN_DECLS

/** Reads a set of partitions. Belongs to one thread at a time; can be handed over. */
struct fletch_shuffle_reader;

enum fletch_shuffle_event_kind {
    FLETCH_EVENT_BATCH = 0,
    FLETCH_EVENT_BARRIER = 1,   /* all producers' rows before it have been given, none after it */
    FLETCH_EVENT_WATERMARK = 2, /* of all producers that are neither idle nor ended */
    FLETCH_EVENT_END = 3        /* of this partition: all producers ended and the sums agree */
};

struct fletch_shuffle_event {
    enum fletch_shuffle_event_kind kind;
    uint32_t partition;
    uint32_t producer;          /* of a batch */
    struct fletch_batch *batch; /* a reference that the caller owns; or NULL */
    uint64_t barrier;
    int64_t watermark;              /* INT64_MAX: every producer has ended */
    enum fletch_sum_level verified; /* of an end: what was compared; FLETCH_SUMS_OFF: nothing */
    uint64_t rows;                  /* of an end: of the partition, all told; of a batch: its own */
};

/** Zero means default in every field. */
struct fletch_shuffle_reader_options {
    size_t struct_size;
    /** NULL: all partitions that may be read in this process. */
    const uint32_t *partitions;
    uint32_t partition_count;
    /** The thread's, of the transport's pool; must outlive the reader and goes with it from thread
     *  to thread. NULL: one of the reader's own. */
    struct fletch_buffer_cache *cache;
};

/** Opens a reader, before or after anything was written. OUT_OF_RANGE: no such partition;
 *  ALREADY_EXISTS: one of them has a reader, names it; FAILED_PRECONDITION: "CONSUMED", or it is
 *  another process's, which is named; CANCELLED; UNAVAILABLE, DATA_LOSS: an earlier reader was
 *  told so of one of them; RESOURCE_EXHAUSTED: no memory. Options NULL: all defaults. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_reader_open(struct fletch_shuffle *shuffle,
                           const struct fletch_shuffle_reader_options *options,
                           struct fletch_shuffle_reader **out_reader, struct fletch_error *error);

/** Lets go of the partitions; what was not given stays for the next reader, in its order. Batches
 *  stay with whoever has them. NULL allowed. */
FLETCH_EXPORT void fletch_shuffle_reader_close(struct fletch_shuffle_reader *reader);

/** The next event of any of the partitions, each partition's in its order, waiting up to
 *  `timeout_ns` (0: not at all). OK with `*out_has_event` false: each partition has told its end,
 *  nothing will come any more. DEADLINE_EXCEEDED: nothing came; tells how far producers are.
 *  CANCELLED. UNAVAILABLE: "PRODUCER_LOST", DATA_LOSS: sums that differ or a spilled frame that is
 *  broken; both name partition and producer, come after the last good frame, and are final for that
 *  partition: other partitions go on. RESOURCE_EXHAUSTED: what was delivered and not released is at
 *  its limit, names it and who holds it. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_reader_next(struct fletch_shuffle_reader *reader, uint64_t timeout_ns,
                           struct fletch_shuffle_event *out_event, bool *out_has_event,
                           struct fletch_error *error);

/** A descriptor for an epoll loop, owned by the reader, readable when there may be an event: see
 *  fletch_eventcount_open_fd. After DEADLINE_EXCEEDED: arm; true: sleep on the descriptor, then
 *  disarm and go on; false: there may be an event now. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_reader_open_fd(struct fletch_shuffle_reader *reader, int *out_fd,
                              struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK bool
fletch_shuffle_reader_arm(struct fletch_shuffle_reader *reader);
FLETCH_EXPORT void fletch_shuffle_reader_disarm(struct fletch_shuffle_reader *reader);

/** Makes a reader of one partition, which it takes, a source of its batches: for
 *  fletch_stream_export, say. Barriers and watermarks are passed over. Its close closes the reader.
 *  `next` waits up to `timeout_ns` for each batch. INVALID_ARGUMENT: several partitions. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_reader_source(struct fletch_shuffle_reader *reader, uint64_t timeout_ns,
                             struct fletch_batch_source *out_source, struct fletch_error *error);

FLETCH_END_DECLS

#endif
