#ifndef FLETCH_SHUFFLE_SHUFFLE_PARTITION_H
#define FLETCH_SHUFFLE_SHUFFLE_PARTITION_H

/* A partition of a shuffle: where writers push frames, and what its reading side has taken. How
 * pushing meets readers that come and go: shuffle/ready_list.h. docs/SHUFFLE.md, "Attach, detach".
 *
 * Edges:
 *   E1: fletch_shuffle_partition_open_channel cas_weak_release(channels) -> reading side
 *       load_acquire(channels): the channel's producer and link.
 *   E2: outlet exchange_acq_rel(watermark_sent) -> reading side exchange_acq_rel(watermark_sent):
 *       the latest watermark; and back: the node, which is on its way again.
 *   E3: outlet store_release(ending) to BROKEN -> load_acquire(ending): why it is. */

#include <stdbool.h>
#include <stdint.h>

#include <fletching/shuffle.h>

#include "base/atomic.h"
#include "shuffle/channel.h"
#include "shuffle/coordinator.h"
#include "shuffle/frame.h"
#include "shuffle/ready_list.h"

struct fletch_buffer_cache;
struct fletch_outlet_entry;
struct fletch_refusal;
struct fletch_shuffle;

struct fletch_shuffle_partition {
    /* Written by pushers. */
    FLETCH_ISOLATED struct fletch_mailbox mailbox; /* first */
    _Atomic(struct fletch_channel *) channels;     /* newest first */
    struct fletch_shuffle *shuffle;
    uint32_t number;
    _Atomic uint64_t rows_sent; /* statistics, as the next three */
    _Atomic uint64_t bytes_sent;
    _Atomic uint64_t frames_sent;
    _Atomic uint64_t bytes_queued; /* sent, in memory and not given */
    FLETCH_ISOLATED struct fletch_credit credit;
    /* Control, there from the start: one node for each barrier in flight, one watermark, one end,
     * one loss. */
    struct fletch_frame *barriers;
    struct fletch_frame watermark;
    struct fletch_frame end;
    struct fletch_frame lost;
    _Atomic int64_t latest_watermark;
    _Atomic uint32_t watermark_sent; /* the node is on its way */
    /* The reading side's: whoever owns the mailbox. */
    FLETCH_ISOLATED struct fletch_frame_list taken; /* to be given next, in this order */
    struct fletch_frame_list held;                  /* behind a barrier that has not come */
    struct fletch_frame_list retained;              /* given, and kept for the next reader */
    uint64_t barrier;                               /* the last one that has come */
    uint64_t held_barrier; /* the highest one that a frame was ever held for */
    uint64_t rows;         /* given */
    bool is_fetched;       /* an outlet had some accepted */
    bool is_claimed;       /* pull: producers of other processes were asked for their frames */
    uint64_t taken_bytes;  /* of frames in `taken` and `held`; statistics are elsewhere */
    uint32_t is_pending;   /* on its owner's queue of those with something to give */
    struct fletch_shuffle_partition *next_pending;
    /* Told by the reading side, looked at by anybody. */
    _Atomic uint64_t rows_read;
    _Atomic uint32_t ending;              /* enum fletch_partition_ending */
    const struct fletch_refusal *refusal; /* why it is broken, if another process said so */
    /* The serial's. */
    struct fletch_outlet_entry *outlet; /* whose it is; or NULL */
    _Atomic uint32_t producers_ended;   /* pull: for this partition; others read it */
};

/* How the reading side has ended. */
enum fletch_partition_ending {
    FLETCH_ENDING_NONE,
    FLETCH_ENDING_END,   /* END was told */
    FLETCH_ENDING_LOST,  /* PRODUCER_LOST was */
    FLETCH_ENDING_BROKEN /* DATA_LOSS was */
};

/* Partitions with something to give, each once; first in, first out. */
struct fletch_partition_queue {
    struct fletch_shuffle_partition *first;
    struct fletch_shuffle_partition *last;
};

static inline void fletch_partition_queue_append(struct fletch_partition_queue *queue,
                                                 struct fletch_shuffle_partition *partition)
{
    if (partition->is_pending != 0)
        return;
    partition->is_pending = 1;
    partition->next_pending = NULL;
    if (queue->first == NULL)
        queue->first = partition;
    else
        queue->last->next_pending = partition;
    queue->last = partition;
}

/* The first one, taken out; there is one. */
static inline struct fletch_shuffle_partition *
fletch_partition_queue_pop(struct fletch_partition_queue *queue)
{
    struct fletch_shuffle_partition *partition = queue->first;
    queue->first = partition->next_pending;
    partition->is_pending = 0;
    return partition;
}

static inline struct fletch_shuffle_partition *
fletch_partition_of_mailbox(struct fletch_inbox_node *ready)
{
    return (struct fletch_shuffle_partition *)(void *)ready;
}

void fletch_shuffle_partition_init(struct fletch_shuffle_partition *partition,
                                   struct fletch_shuffle *shuffle, uint32_t number);

/* Frees its channels; every frame has been dropped. */
void fletch_shuffle_partition_deinit(struct fletch_shuffle_partition *partition);

/* Whether its readers are told PRODUCER_LOST or DATA_LOSS, now or after what came before. Final.
 * Any thread; who has found its push refused may see it a little later. */
bool fletch_shuffle_partition_has_failed(const struct fletch_shuffle_partition *partition);

/* What its readers are told then: UNAVAILABLE or DATA_LOSS; else OK. */
enum fletch_status fletch_shuffle_partition_check(const struct fletch_shuffle_partition *partition,
                                                  struct fletch_error *error);

/* Gives a frame to the partition, and the partition to its owner's ready list where that is due;
 * wakes the owner. DONE; CLOSED: the shuffle is cancelled or closed, or the partition has failed;
 * the frame stays the caller's. `epoch_reader`: the calling thread's handle of the
 * transport's domain. Any thread; lock-free. */
enum fletch_answer fletch_shuffle_partition_push(struct fletch_shuffle_partition *partition,
                                                 struct fletch_epoch_reader *epoch_reader,
                                                 struct fletch_frame *frame);

/* A channel of this producer, known to the reading side, with which it is freed; NULL: no memory.
 * `held_mask`: see there. `sleeper`: told of its credit. Any thread; lock-free. */
struct fletch_channel *
fletch_shuffle_partition_open_channel(struct fletch_shuffle_partition *partition, uint32_t producer,
                                      uint64_t held_mask, struct fletch_eventcount *sleeper);

/* Gives back a data frame's credit, batch, place on disk and node; control frames stay where they
 * are. `cache`: the calling thread's, or NULL. */
void fletch_shuffle_partition_drop(struct fletch_shuffle_partition *partition,
                                   struct fletch_buffer_cache *cache, struct fletch_frame *frame);

/* The same for all of a list, which is empty then; barriers count as passed. */
void fletch_shuffle_partition_drop_all(struct fletch_shuffle_partition *partition,
                                       struct fletch_buffer_cache *cache,
                                       struct fletch_frame_list *list);

/* For who owns the reading side of a partition of a cancelled shuffle: drops everything. */
void fletch_shuffle_partition_clear(struct fletch_shuffle_partition *partition,
                                    struct fletch_buffer_cache *cache);

/* For who owns the reading side, and has told its failure: from now on nothing can be pushed, what
 * is there is dropped, and all writers are woken. Who leaves then retires the mailbox. */
void fletch_shuffle_partition_shut(struct fletch_shuffle_partition *partition,
                                   struct fletch_epoch_reader *epoch_reader,
                                   struct fletch_buffer_cache *cache);

/* What the coordinator tells partitions: pushed to all of them. */
struct fletch_coordinator_outlet fletch_partitions_outlet(struct fletch_shuffle *shuffle);

/* Pull: a producer has ended for all partitions, or for one. In the coordinator's serial. */
void fletch_partitions_count_end(struct fletch_shuffle *shuffle);
void fletch_shuffle_partition_count_end(struct fletch_shuffle_partition *partition);

/* Refuses pushes from now on, in all partitions, drops what nobody reads any more and wakes all
 * readers. In the coordinator's serial. */
void fletch_partitions_close(struct fletch_shuffle *shuffle);

#endif
