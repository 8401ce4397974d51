#ifndef FLETCH_SHUFFLE_SHUFFLE_PARTITION_H
#define FLETCH_SHUFFLE_SHUFFLE_PARTITION_H

/* A partition of a shuffle: where writers push frames, and what its reading side has taken.
 * docs/SHUFFLE.md, "Attach, detach".
 *
 * Edges (proven in tests/model/ready_list):
 *   E1: pusher exchange_acq_rel(queued), then load of owner -> reader's store of owner by
 *       cas_acq_rel, then its look into the inbox: one of both sees the other.
 *   E2: pusher exchange_acq_rel(queued) finds 1 -> reader exchange_acq_rel(queued, 0) before it
 *       takes the inbox: the frame that was pushed before is taken then. */

#include <stdint.h>

#include "base/atomic.h"
#include "shuffle/channel.h"
#include "shuffle/frame.h"
#include "sync/inbox.h"

struct fletch_shuffle;
struct fletch_shuffle_reader;

/* First in, first out. */
struct fletch_frame_list {
    struct fletch_frame *first;
    struct fletch_frame *last;
};

struct fletch_shuffle_partition {
    /* Written by pushers. */
    FLETCH_ISOLATED struct fletch_inbox inbox;
    _Atomic uint32_t queued; /* on a ready list, or about to be */
    _Atomic(struct fletch_shuffle_reader *) owner;
    _Atomic(struct fletch_channel *) channels; /* newest first */
    struct fletch_inbox_node ready;            /* on the owner's ready list */
    struct fletch_shuffle *shuffle;
    uint32_t number;
    struct fletch_credit credit;
    /* Control, there from the start: one node for each barrier in flight, one watermark, one end,
     * one loss. */
    struct fletch_frame *barriers;
    struct fletch_frame watermark;
    struct fletch_frame end;
    struct fletch_frame lost;
    _Atomic int64_t latest_watermark;
    _Atomic uint32_t watermark_sent; /* the node is on its way */
    /* The reading side's: whoever owns the partition. */
    FLETCH_ISOLATED struct fletch_frame_list taken; /* to be given next, in this order */
    struct fletch_frame_list held;                  /* behind a barrier that has not come */
    struct fletch_frame_list retained;
    uint64_t barrier; /* the last one that was given */
    uint64_t rows;
    uint32_t ended;   /* END or LOST or DATA_LOSS was told */
};

/* Gives a frame to the partition, and the partition to its owner's ready list where that is due;
 * wakes the owner. DONE; CLOSED: the shuffle is cancelled or closed, the frame stays the caller's.
 * `reader`: the calling thread's handle of the transport's domain, outside of a section. Any
 * thread; lock-free. */
struct fletch_epoch_reader;
enum fletch_answer fletch_shuffle_partition_push(struct fletch_shuffle_partition *partition,
                                                 struct fletch_epoch_reader *epoch_reader,
                                                 struct fletch_frame *frame);

#endif
