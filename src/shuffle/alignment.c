#include "shuffle/alignment.h"

static void hold(struct fletch_shuffle_partition *partition, struct fletch_frame *frame)
{
    if (frame->barrier > partition->held_barrier)
        partition->held_barrier = frame->barrier;
    fletch_frame_list_append(&partition->held, frame);
}

/* Gives free what waits for barriers up to `id`. */
static void let_go(struct fletch_shuffle_partition *partition, uint64_t id)
{
    struct fletch_frame_list held = partition->held;
    struct fletch_frame *frame;
    partition->held = (struct fletch_frame_list){.first = NULL};
    while ((frame = fletch_frame_list_pop(&held)) != NULL) {
        if (frame->barrier <= id)
            fletch_frame_list_append(&partition->taken, frame);
        else
            hold(partition, frame);
    }
}

static void take_barrier(struct fletch_shuffle_partition *partition, struct fletch_frame *frame)
{
    uint64_t id = frame->barrier;
    let_go(partition, id - 1);
    fletch_frame_list_append(&partition->taken, frame);
    let_go(partition, id);
    partition->barrier = id;
}

static void take_frame(struct fletch_shuffle_partition *partition, struct fletch_frame *frame)
{
    switch (frame->kind) {
    case FLETCH_FRAME_BARRIER:
        take_barrier(partition, frame);
        return;
    case FLETCH_FRAME_WATERMARK:
        frame->barrier = partition->held_barrier;
        break;
    case FLETCH_FRAME_END:
        let_go(partition, UINT64_MAX);
        break;
    case FLETCH_FRAME_LOST: /* what is held stays so: its barrier will never come */
    case FLETCH_FRAME_DATA:
        break;
    }
    if (frame->barrier > partition->barrier)
        hold(partition, frame);
    else
        fletch_frame_list_append(&partition->taken, frame);
}

void fletch_alignment_take(struct fletch_shuffle_partition *partition,
                           const struct fletch_inbox_list *list)
{
    for (struct fletch_inbox_node *node = list->first; node != NULL;) {
        struct fletch_inbox_node *next = node->next;
        take_frame(partition, (struct fletch_frame *)(void *)node);
        node = next;
    }
}
