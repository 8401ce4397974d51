#ifndef FLETCH_SHUFFLE_SHUFFLE_WRITER_H
#define FLETCH_SHUFFLE_SHUFFLE_WRITER_H

/* One producer's end of a shuffle, as its files share it:
 *   shuffle_writer.c   the public calls
 *   writer_open.c      what a writer is made of
 *   writer_send.c      frames: from the partition writer to channels, credit, inboxes
 *   writer_wait.c      how a call waits, and when it is told that nothing can move
 *   writer_spill.c     frames that go to disk for want of credit
 *   writer_alone.c     what is larger than its share of the budget
 *   writer_put.c       batches that go as they are
 *   writer_linger.c    rows that have waited long enough
 *   writer_control.c   how it asks the coordinator
 *   writer_remote.c    control for partitions of other processes
 *   writer_sums.c      whether what went out is what came in
 * Belongs to one thread at a time; others come only to its seat and its channels. */

#include <fletching/partition_writer.h>
#include <fletching/shuffle_writer.h>

#include <stdbool.h>
#include <stdint.h>

#include "shuffle/shuffle.h"
#include "shuffle/shuffle_seat.h"

enum fletch_writer_state {
    FLETCH_WRITER_OPEN,
    FLETCH_WRITER_ENDING, /* its end was announced to other processes */
    FLETCH_WRITER_ENDED,
    FLETCH_WRITER_ABORTED
};

/* What was announced to other processes and has not been answered OK: the number, and whether this
 * process has still to be told. 0: nothing. */
struct fletch_writer_pending {
    uint64_t number;
    bool is_local;
};

/* What a waiting call has seen, to tell that nothing can move. */
struct fletch_stall_watch {
    uint64_t looked_ns;
    uint64_t moves;
    uint32_t still_looks; /* how many in a row, up to that one, found that nobody could move */
};

struct fletch_shuffle_writer {
    struct fletch_shuffle *shuffle; /* a reference */
    struct fletch_shuffle_seat *seat;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account; /* below the shuffle's: what has not been sent */
    bool owns_cache;
    uint32_t producer;
    enum fletch_writer_state state;
    struct fletch_epoch_reader *epoch_reader;
    struct fletch_partitioner *partitioner; /* the partition writer's; used for its hashes */
    struct fletch_partition_writer *partition_writer;
    struct fletch_channel **channels;      /* by partition; NULL: nothing was sent there */
    struct fletch_partition_frame in_hand; /* came out of the partition writer, found no memory */
    uint64_t barrier;                      /* the last one that was sent */
    /* Channels whose frames wait, in the order in which they began to. */
    struct fletch_channel *first_waiting;
    struct fletch_channel *last_waiting;
    /* It refused a frame, or was found to have failed while frames wait for it; NULL: none. Where
     * it has failed, so has this writer, whose partition writer is gone then. */
    const struct fletch_shuffle_partition *refusing;
    bool is_holding; /* counted among those that do */
    bool has_asked;  /* requests of credit are out */
    bool is_armed;
    struct fletch_stall_watch stall;
    struct fletch_spill_segment *segment; /* where it spills; NULL: nowhere */
    uint64_t moves;                       /* frames that went */
    bool has_moved;                       /* since moved_ns was set */
    uint64_t moved_ns;                    /* when a frame went last, or the first one had to wait */
    /* Linger: when to look for rows that have lain long enough; 0: there are none. For each
     * partition, since when its rows may have lain there. */
    uint64_t look_ns;
    uint64_t empty_until_ns;
    uint64_t now_ns; /* of the last call that wrote */
    uint64_t *lying_since_ns;
    uint32_t armed_key;
    struct fletch_writer_pending pending_barrier;
    uint64_t end_number; /* of the end that was announced */
    /* What came in: compared at the end with what went out. */
    struct fletch_channel_totals taken;
};

/* From now on `eventcount` is told of what the writer waits for; it outlives all calls of the
 * shuffle. Before anything was written, and before another thread may cancel the shuffle. */
void fletch_shuffle_writer_sleep_on(struct fletch_shuffle_writer *writer,
                                    struct fletch_eventcount *eventcount);

#endif
