#include "shuffle/shuffle_partition.h"

#include <fletching/batch.h>

#include "base/allocator.h"
#include "base/status.h"
#include "memory/batch.h"
#include "memory/budget.h"
#include "shuffle/frame_pool.h"
#include "shuffle/outlet_table.h"
#include "shuffle/refusal.h"
#include "shuffle/shuffle.h"
#include "shuffle/shuffle_seat.h"
#include "spill/spill_segment.h"

/* ---- making and ending ---- */

static void init_control(struct fletch_shuffle_partition *partition)
{
    uint32_t barrier_limit = partition->shuffle->specification.barrier_limit;
    for (uint32_t slot = 0; slot < barrier_limit; slot++)
        partition->barriers[slot].kind = FLETCH_FRAME_BARRIER;
    partition->watermark.kind = FLETCH_FRAME_WATERMARK;
    partition->end.kind = FLETCH_FRAME_END;
    partition->lost.kind = FLETCH_FRAME_LOST;
    /* relaxed: nobody else knows the partition yet */
    store_relaxed(&partition->latest_watermark, INT64_MIN);
}

void fletch_shuffle_partition_init(struct fletch_shuffle_partition *partition,
                                   struct fletch_shuffle *shuffle, uint32_t number)
{
    *partition = (struct fletch_shuffle_partition){.shuffle = shuffle, .number = number};
    partition->barriers = shuffle->barriers + (size_t)number * shuffle->specification.barrier_limit;
    fletch_mailbox_init(&partition->mailbox);
    fletch_credit_init(&partition->credit, &shuffle->credit_pool);
    init_control(partition);
}

void fletch_shuffle_partition_deinit(struct fletch_shuffle_partition *partition)
{
    struct fletch_channel *channel = load_acquire(&partition->channels); /* E1 acquire */
    while (channel != NULL) {
        struct fletch_channel *next = channel->next;
        fletch_block_release(channel);
        channel = next;
    }
}

struct fletch_channel *
fletch_shuffle_partition_open_channel(struct fletch_shuffle_partition *partition, uint32_t producer,
                                      uint64_t held_mask, struct fletch_eventcount *sleeper)
{
    struct fletch_channel *channel =
        fletch_block_allocate(&partition->shuffle->allocator, sizeof *channel);
    if (channel == NULL)
        return NULL;
    *channel = (struct fletch_channel){
        .producer = producer, .partition = partition->number, .held_mask = held_mask};
    fletch_credit_request_init(&channel->request, &partition->credit, sleeper);
    /* relaxed: only linked to */
    struct fletch_channel *head = load_relaxed(&partition->channels);
    do {
        channel->next = head;
    } while (!cas_weak_release(&partition->channels, &head, channel)); /* E1 release */
    return channel;
}

/* ---- failing ---- */

static bool is_broken(const struct fletch_shuffle_partition *partition)
{
    /* relaxed: it says all itself; who sleeps looks after it is on the eventcount */
    return load_relaxed(&partition->ending) == FLETCH_ENDING_BROKEN;
}

static bool is_lost(const struct fletch_shuffle_partition *partition)
{
    return fletch_shuffle_has_lost(partition->shuffle);
}

bool fletch_shuffle_partition_has_failed(const struct fletch_shuffle_partition *partition)
{
    return is_lost(partition) || is_broken(partition);
}

static enum fletch_status tell_broken(const struct fletch_shuffle_partition *partition,
                                      struct fletch_error *error)
{
    const struct fletch_refusal *refusal = partition->refusal;
    if (refusal != NULL)
        return fletch_error_set(error, refusal->status, "%s", refusal->text);
    return fletch_error_set(error, FLETCH_DATA_LOSS,
                            "DATA_LOSS: partition %u of shuffle '%s' was found broken before",
                            partition->number, partition->shuffle->specification.shown.text);
}

enum fletch_status fletch_shuffle_partition_check(const struct fletch_shuffle_partition *partition,
                                                  struct fletch_error *error)
{
    if (load_acquire(&partition->ending) == FLETCH_ENDING_BROKEN) /* E3 acquire */
        return tell_broken(partition, error);
    return is_lost(partition)
               ? fletch_shuffle_tell_lost(partition->shuffle, partition->number, error)
               : FLETCH_OK;
}

/* ---- pushing ---- */

enum fletch_answer fletch_shuffle_partition_push(struct fletch_shuffle_partition *partition,
                                                 struct fletch_epoch_reader *epoch_reader,
                                                 struct fletch_frame *frame)
{
    /* The frame is the reader's once it is pushed. */
    uint64_t rows = frame->rows, bytes = frame->bytes;
    uint64_t queued_bytes = frame->batch == NULL ? 0 : bytes;
    if (is_lost(partition)) /* one that is broken has closed its mailbox */
        return FLETCH_CLOSED;
    /* relaxed: a statistic */
    fetch_add_relaxed(&partition->bytes_queued, queued_bytes);
    enum fletch_answer answer =
        fletch_mailbox_push(&partition->mailbox, epoch_reader, &frame->node);
    if (answer != FLETCH_DONE) {
        fetch_sub_relaxed(&partition->bytes_queued, queued_bytes); /* relaxed: a statistic */
        return answer;
    }
    fetch_add_relaxed(&partition->rows_sent, rows);   /* relaxed: a statistic */
    fetch_add_relaxed(&partition->bytes_sent, bytes); /* relaxed: a statistic */
    fetch_add_relaxed(&partition->frames_sent, 1);    /* relaxed: a statistic */
    return FLETCH_DONE;
}

/* ---- dropping ---- */

void fletch_shuffle_partition_drop(struct fletch_shuffle_partition *partition,
                                   struct fletch_buffer_cache *cache, struct fletch_frame *frame)
{
    if (frame->kind == FLETCH_FRAME_BARRIER)
        fletch_coordinator_pass(partition->shuffle->coordinator,
                                (uint32_t)(frame - partition->barriers));
    if (frame->kind != FLETCH_FRAME_DATA)
        return;
    enum fletch_credit_source credit = frame->credit;
    uint64_t bytes = frame->bytes, kept_bytes = frame->kept_bytes;
    if (frame->batch != NULL && !frame->is_retained)
        fetch_sub_relaxed(&partition->bytes_queued, bytes); /* relaxed: a statistic */
    if (frame->spilled.file != NULL)
        fletch_spill_release(&frame->spilled);
    fletch_batch_release(cache, frame->batch);
    fletch_frame_recycle(frame);
    fletch_credit_return(&partition->credit, credit, kept_bytes);
}

void fletch_shuffle_partition_drop_all(struct fletch_shuffle_partition *partition,
                                       struct fletch_buffer_cache *cache,
                                       struct fletch_frame_list *list)
{
    struct fletch_frame *frame;
    while ((frame = fletch_frame_list_pop(list)) != NULL)
        fletch_shuffle_partition_drop(partition, cache, frame);
}

void fletch_shuffle_partition_clear(struct fletch_shuffle_partition *partition,
                                    struct fletch_buffer_cache *cache)
{
    fletch_shuffle_partition_drop_all(partition, cache, &partition->taken);
    fletch_shuffle_partition_drop_all(partition, cache, &partition->held);
    fletch_shuffle_partition_drop_all(partition, cache, &partition->retained);
}

void fletch_shuffle_partition_shut(struct fletch_shuffle_partition *partition,
                                   struct fletch_epoch_reader *epoch_reader,
                                   struct fletch_buffer_cache *cache)
{
    struct fletch_inbox_list left;
    (void)fletch_mailbox_close(&partition->mailbox, epoch_reader, &left); /* it has its owner */
    struct fletch_frame_list list = {.first = (struct fletch_frame *)(void *)left.first};
    fletch_shuffle_partition_drop_all(partition, cache, &list);
    fletch_shuffle_partition_clear(partition, cache);
    fletch_shuffle_seats_notify(partition->shuffle);
}

/* ---- control ---- */

/* Whether control of the partition is told here: not where an outlet lets out what it gets, which
 * tells the other process for all its partitions at once. */
static bool is_told_here(const struct fletch_shuffle_partition *partition)
{
    return partition->outlet == NULL &&
           fletch_placement_may_read(&partition->shuffle->specification.placement,
                                     partition->number);
}

/* Readers that wait for room give control meanwhile. */
static void wake_readers_without_room(struct fletch_shuffle *shuffle)
{
    fletch_budget_wake(shuffle->transport->budget);
}

static void push_barriers(void *context, uint64_t id, uint32_t slot, bool aborted)
{
    struct fletch_shuffle *shuffle = context;
    for (uint32_t p = 0; p < shuffle->specification.partitioner.partition_count; p++) {
        struct fletch_shuffle_partition *partition = &shuffle->partitions[p];
        struct fletch_frame *frame = &partition->barriers[slot];
        frame->barrier = id;
        frame->is_aborted = aborted;
        if (!is_told_here(partition) ||
            is_lost(partition) || /* its reader would never come to it */
            fletch_mailbox_push(&partition->mailbox, shuffle->seat->reader, &frame->node) !=
                FLETCH_DONE)
            fletch_shuffle_partition_drop(partition, NULL, frame);
    }
    wake_readers_without_room(shuffle);
    fletch_credit_pool_pass(&shuffle->credit_pool, id);
}

/* The node is on its way until its reader has given it; who gives it looks for a greater one. */
static void push_watermarks(void *context, int64_t watermark)
{
    struct fletch_shuffle *shuffle = context;
    for (uint32_t p = 0; p < shuffle->specification.partitioner.partition_count; p++) {
        struct fletch_shuffle_partition *partition = &shuffle->partitions[p];
        if (!is_told_here(partition))
            continue;
        /* relaxed: the exchange publishes it */
        store_relaxed(&partition->latest_watermark, watermark);
        if (exchange_acq_rel(&partition->watermark_sent, 1) != 0) /* E2 release, E2 acquire */
            continue;
        partition->watermark.watermark = watermark;
        (void)fletch_mailbox_push(&partition->mailbox, shuffle->seat->reader,
                                  &partition->watermark.node);
    }
    wake_readers_without_room(shuffle);
}

static void push_losses(void *context, uint32_t producer, const char *reason)
{
    struct fletch_shuffle *shuffle = context;
    shuffle->lost_producer = producer;
    shuffle->lost_reason = reason;
    store_release(&shuffle->outcome, FLETCH_OUTCOME_LOST); /* E2 release */
    for (uint32_t p = 0; p < shuffle->specification.partitioner.partition_count; p++)
        if (is_told_here(&shuffle->partitions[p]))
            (void)fletch_mailbox_push(&shuffle->partitions[p].mailbox, shuffle->seat->reader,
                                      &shuffle->partitions[p].lost.node);
    fletch_outlet_table_notify(shuffle);
    fletch_shuffle_seats_notify(shuffle);
    wake_readers_without_room(shuffle);
}

static void push_ends(void *context)
{
    struct fletch_shuffle *shuffle = context;
    store_release(&shuffle->outcome, FLETCH_OUTCOME_COMPLETE); /* E2 release */
    if (fletch_placement_pulls(&shuffle->specification.placement))
        return; /* each partition has its own end */
    for (uint32_t p = 0; p < shuffle->specification.partitioner.partition_count; p++)
        if (is_told_here(&shuffle->partitions[p]))
            (void)fletch_mailbox_push(&shuffle->partitions[p].mailbox, shuffle->seat->reader,
                                      &shuffle->partitions[p].end.node);
    wake_readers_without_room(shuffle);
}

void fletch_shuffle_partition_count_end(struct fletch_shuffle_partition *partition)
{
    struct fletch_shuffle *shuffle = partition->shuffle;
    count_one(&partition->producers_ended);
    /* relaxed: written by the serial alone */
    if (load_relaxed(&partition->producers_ended) == shuffle->specification.producer_count)
        (void)fletch_mailbox_push(&partition->mailbox, shuffle->seat->reader, &partition->end.node);
}

void fletch_partitions_count_end(struct fletch_shuffle *shuffle)
{
    for (uint32_t p = 0; p < shuffle->specification.partitioner.partition_count; p++)
        fletch_shuffle_partition_count_end(&shuffle->partitions[p]);
    wake_readers_without_room(shuffle);
}

struct fletch_coordinator_outlet fletch_partitions_outlet(struct fletch_shuffle *shuffle)
{
    return (struct fletch_coordinator_outlet){
        .barrier = push_barriers,
        .watermark = push_watermarks,
        .lost = push_losses,
        .end = push_ends,
        .context = shuffle,
    };
}

void fletch_partitions_close(struct fletch_shuffle *shuffle)
{
    for (uint32_t p = 0; p < shuffle->specification.partitioner.partition_count; p++) {
        struct fletch_shuffle_partition *partition = &shuffle->partitions[p];
        struct fletch_inbox_list left;
        bool is_ours = fletch_mailbox_close(&partition->mailbox, shuffle->seat->reader, &left);
        struct fletch_frame_list list = {.first = (struct fletch_frame *)(void *)left.first};
        fletch_shuffle_partition_drop_all(partition, NULL, &list);
        if (is_ours)
            fletch_shuffle_partition_clear(partition, NULL);
    }
}
