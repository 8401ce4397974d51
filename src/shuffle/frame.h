#ifndef FLETCH_SHUFFLE_FRAME_H
#define FLETCH_SHUFFLE_FRAME_H

/* What travels: rows of one channel, or control of a partition. A node belongs to whoever made it
 * until it is pushed, then to the inbox, then to the partition's reading side. */

#include <fletching/inbox.h>

#include <stdbool.h>

#include "memory/node_stack.h"
#include "shuffle/channel.h"
#include "spill/spill_segment.h"

struct fletch_batch;
struct fletch_frame_pool;

enum fletch_frame_kind {
    FLETCH_FRAME_DATA,
    FLETCH_FRAME_BARRIER,
    FLETCH_FRAME_WATERMARK,
    FLETCH_FRAME_END,
    FLETCH_FRAME_LOST
};

struct fletch_frame {
    struct fletch_inbox_node node; /* first */
    enum fletch_frame_kind kind;
    enum fletch_credit_source credit;
    struct fletch_channel *channel;       /* data */
    struct fletch_batch *batch;           /* data in memory: a reference of the node's; or NULL */
    struct fletch_spill_location spilled; /* data on disk; its file NULL: it is in memory */
    uint64_t sequence;                    /* data: from 1 */
    uint64_t barrier;                     /* data: the last one of its producer; barrier: its id */
    int64_t watermark;
    uint64_t rows;
    uint64_t bytes;                 /* of the body, uncompressed: what totals count */
    uint64_t kept_bytes;            /* that it keeps alive: what its credit counts */
    uint64_t key_sum;               /* data, levels keys and rows */
    uint64_t row_sum;               /* data, level rows */
    bool is_retained;               /* data: was given, and is there for the next reader */
    bool is_aborted;                /* barrier: nobody is told of it */
    struct fletch_frame_pool *home; /* data: where the node goes back to */
    struct fletch_stack_node free;  /* while it is there */
};

static inline void fletch_channel_totals_add(struct fletch_channel_totals *totals,
                                             const struct fletch_frame *frame)
{
    totals->frames++;
    totals->rows += frame->rows;
    totals->bytes += frame->bytes;
    totals->key_sum += frame->key_sum;
    totals->row_sum += frame->row_sum;
}

static inline void fletch_frame_list_append(struct fletch_frame_list *list,
                                            struct fletch_frame *frame)
{
    frame->node.next = NULL;
    if (list->first == NULL)
        list->first = frame;
    else
        list->last->node.next = &frame->node;
    list->last = frame;
}

static inline struct fletch_frame *fletch_frame_next(const struct fletch_frame *frame)
{
    return (struct fletch_frame *)(void *)frame->node.next;
}

/* The first one, taken out; NULL: there is none. */
static inline struct fletch_frame *fletch_frame_list_pop(struct fletch_frame_list *list)
{
    struct fletch_frame *frame = list->first;
    if (frame != NULL)
        list->first = fletch_frame_next(frame);
    return frame;
}

#endif
