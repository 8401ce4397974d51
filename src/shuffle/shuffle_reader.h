#ifndef FLETCH_SHUFFLE_SHUFFLE_READER_H
#define FLETCH_SHUFFLE_SHUFFLE_READER_H

/* A reader, as its files share it:
 *   shuffle_reader.c   opening, closing, waiting, the public calls
 *   reader_give.c      from the frames of partitions to events
 *   reader_fetch.c     the batch of a frame, from memory or disk, and who pays for it
 *   reader_source.c    batches of one partition as a source
 * Belongs to one thread at a time. Others come to its ready list alone. */

#include <fletching/shuffle_reader.h>

#include <stdbool.h>
#include <stdint.h>

#include "shuffle/shuffle.h"
#include "spill/spill_segment.h"

/* What a source is to remember between its calls. */
struct fletch_reader_source {
    uint64_t timeout_ns;
    bool has_ended;
    bool has_failed; /* for good: `error` is told again */
    struct fletch_error error;
};

struct fletch_shuffle_reader {
    struct fletch_shuffle *shuffle; /* a reference */
    struct fletch_ready_list *list; /* a block of its own, retired by epoch */
    struct fletch_epoch_seat *seat;
    struct fletch_buffer_cache *cache;
    bool owns_cache;
    bool is_cleared; /* of a cancelled shuffle: its partitions are empty */
    bool is_armed;
    uint32_t armed_key;
    struct fletch_partitioner *partitioner; /* for sums of keys; NULL: none are wanted */
    struct fletch_shuffle_partition **partitions;
    uint32_t partition_count;
    uint32_t ended_count; /* of those, that have told their end */
    /* Partitions that have something to give, each after the others. */
    struct fletch_shuffle_partition *first_pending;
    struct fletch_shuffle_partition *last_pending;
    uint64_t scratch_bytes; /* reserved to read a frame back; 0: lent to one just now */
    struct fletch_spill_segment *segment; /* for frames that are retained; or NULL */
    uint64_t blocked_bytes;               /* what there was no room for, the last time */
    struct fletch_reader_source source;
};

void fletch_reader_add_pending(struct fletch_shuffle_reader *reader,
                               struct fletch_shuffle_partition *partition);

/* Takes what was pushed to its partitions. */
void fletch_reader_collect(struct fletch_shuffle_reader *reader);

/* With a spill directory: reserves what reading a frame back takes. */
enum fletch_status fletch_reader_open_scratch(struct fletch_shuffle_reader *reader,
                                              struct fletch_error *error);
void fletch_reader_close_scratch(struct fletch_shuffle_reader *reader);

/* The batch of a data frame with a reference for the caller, charged to whom it is to be. The frame
 * stays as it is, but for a place on disk that it may have got. RESOURCE_EXHAUSTED: no room,
 * `reader->blocked_bytes` tells how much; DATA_LOSS: broken on disk. */
enum fletch_status fletch_reader_fetch(struct fletch_shuffle_reader *reader,
                                       const struct fletch_shuffle_partition *partition,
                                       struct fletch_frame *frame, struct fletch_batch **out_batch,
                                       struct fletch_error *error);

/* The next event of any partition that has one. OK with `*out_has_event` false: there is none.
 * RESOURCE_EXHAUSTED: there is one, and no room in *delivered* or *retained*; nothing is lost.
 * UNAVAILABLE, DATA_LOSS: the partition has ended so. */
enum fletch_status fletch_reader_give(struct fletch_shuffle_reader *reader,
                                      struct fletch_shuffle_event *out_event, bool *out_has_event,
                                      struct fletch_error *error);

#endif
