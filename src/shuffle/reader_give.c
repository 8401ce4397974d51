#include "shuffle/reader_give.h"

#include <fletching/batch.h>

#include "shuffle/alignment.h"
#include "shuffle/reader_fetch.h"
#include "shuffle/verification.h"

/* ---- partitions that have something ---- */

static void collect_partition(struct fletch_shuffle_reader *reader,
                              struct fletch_shuffle_partition *partition)
{
    struct fletch_inbox_list list;
    if (fletch_mailbox_take(&partition->mailbox, &list) != FLETCH_DONE)
        return;
    fletch_alignment_take(partition, &list);
    if (partition->taken.first != NULL)
        fletch_partition_queue_append(&reader->pending, partition);
}

void fletch_reader_collect(struct fletch_shuffle_reader *reader)
{
    struct fletch_inbox_node *node = fletch_ready_list_take(reader->list);
    while (node != NULL) {
        struct fletch_inbox_node *next = node->next; /* before the mark is taken off */
        collect_partition(reader, fletch_partition_of_mailbox(node));
        node = next;
    }
}

/* ---- giving ---- */

/* One frame on its way to the user. */
struct giving {
    struct fletch_shuffle_reader *reader;
    struct fletch_shuffle_partition *partition;
    struct fletch_frame *frame;
    struct fletch_shuffle_event *event;
    bool has_event;
    struct fletch_error *error;
};

static void end_partition(struct giving *giving, enum fletch_partition_ending ending)
{
    /* relaxed: the next owner, and who looks, gets it with the mailbox or later */
    store_relaxed(&giving->partition->ending, ending);
    giving->reader->ended_count++;
    /* relaxed: a statistic */
    fetch_add_relaxed(&giving->partition->shuffle->read.partitions_ended, 1);
}

static void count_read(struct giving *giving, const struct fletch_frame *frame)
{
    struct fletch_read_counters *read = &giving->partition->shuffle->read;
    giving->partition->rows += frame->rows;
    /* relaxed: a statistic */
    fetch_add_relaxed(&giving->partition->rows_read, frame->rows);
    fetch_add_relaxed(&read->rows_read, frame->rows);   /* relaxed: a statistic */
    fetch_add_relaxed(&read->bytes_read, frame->bytes); /* relaxed: a statistic */
    fetch_add_relaxed(&read->frames_read, 1);           /* relaxed: a statistic */
}

/* A data frame has been given: its credit is free again, and it goes, or stays for the next
 * reader. */
static void let_go(struct giving *giving)
{
    struct fletch_shuffle_partition *partition = giving->partition;
    struct fletch_frame *frame = giving->frame;
    if (partition->shuffle->retained == NULL) {
        fletch_shuffle_partition_drop(partition, giving->reader->cache, frame);
        return;
    }
    if (!frame->is_retained) {
        enum fletch_credit_source credit = frame->credit;
        if (frame->batch != NULL)
            fetch_sub_relaxed(&partition->bytes_queued, frame->bytes); /* relaxed: a statistic */
        frame->credit = FLETCH_CREDIT_NONE;
        fletch_credit_return(&partition->credit, credit, frame->kept_bytes);
    }
    frame->is_retained = true;
    if (frame->spilled.file != NULL && frame->batch != NULL) {
        fletch_batch_release(giving->reader->cache, frame->batch);
        frame->batch = NULL;
    }
    fletch_frame_list_append(&partition->retained, frame);
}

static enum fletch_status give_data(struct giving *giving)
{
    struct fletch_shuffle_partition *partition = giving->partition;
    struct fletch_shuffle_reader *reader = giving->reader;
    struct fletch_frame *frame = giving->frame;
    struct fletch_batch *batch;
    enum fletch_status status =
        fletch_reader_fetch(reader, partition, frame, &batch, giving->error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_verification_add(partition, frame, batch, reader->partitioner, giving->error);
    if (status != FLETCH_OK) {
        fletch_batch_release(reader->cache, batch);
        return status;
    }
    (void)fletch_frame_list_pop(&partition->taken);
    count_read(giving, frame);
    *giving->event = (struct fletch_shuffle_event){
        .kind = FLETCH_EVENT_BATCH,
        .partition = partition->number,
        .producer = frame->channel->producer,
        .batch = batch,
        .rows = frame->rows,
    };
    giving->has_event = true;
    let_go(giving);
    return FLETCH_OK;
}

static enum fletch_status give_barrier(struct giving *giving)
{
    struct fletch_frame *frame = fletch_frame_list_pop(&giving->partition->taken);
    *giving->event = (struct fletch_shuffle_event){.kind = FLETCH_EVENT_BARRIER,
                                                   .partition = giving->partition->number,
                                                   .barrier = frame->barrier};
    giving->has_event = !frame->is_aborted;
    fletch_shuffle_partition_drop(giving->partition, NULL, frame);
    return FLETCH_OK;
}

/* The node goes round again if a greater watermark has come meanwhile, behind all rows that have
 * been pushed before that. */
static enum fletch_status give_watermark(struct giving *giving)
{
    struct fletch_shuffle_partition *partition = giving->partition;
    struct fletch_frame *frame = fletch_frame_list_pop(&partition->taken);
    int64_t given = frame->watermark;
    *giving->event = (struct fletch_shuffle_event){
        .kind = FLETCH_EVENT_WATERMARK, .partition = partition->number, .watermark = given};
    giving->has_event = true;
    exchange_acq_rel(&partition->watermark_sent, 0); /* partition E2 release, E2 acquire */
    int64_t latest = load_relaxed(&partition->latest_watermark); /* relaxed: after the exchange */
    if (latest == given || exchange_acq_rel(&partition->watermark_sent, 1) != 0) /* E2 acquire */
        return FLETCH_OK;
    /* relaxed: as above */
    frame->watermark = load_relaxed(&partition->latest_watermark);
    (void)fletch_mailbox_push(&partition->mailbox, giving->reader->seat->reader, &frame->node);
    return FLETCH_OK;
}

/* What some producer brought without sums was compared from where it came in, and not from where it
 * was made. */
static enum fletch_sum_level verified_level(const struct fletch_shuffle *shuffle)
{
    /* relaxed: counted before the producer's end, which the end of all comes behind */
    return load_relaxed(&shuffle->written.producers_unverified) != 0
               ? FLETCH_SUMS_OFF
               : fletch_verification_level(&shuffle->specification);
}

static enum fletch_status give_end(struct giving *giving)
{
    struct fletch_shuffle_partition *partition = giving->partition;
    (void)fletch_frame_list_pop(&partition->taken);
    enum fletch_status status = fletch_verification_compare(partition, giving->error);
    if (status != FLETCH_OK)
        return status;
    *giving->event = (struct fletch_shuffle_event){
        .kind = FLETCH_EVENT_END,
        .partition = partition->number,
        .verified = verified_level(partition->shuffle),
        .rows = partition->rows,
    };
    giving->has_event = true;
    end_partition(giving, FLETCH_ENDING_END);
    return FLETCH_OK;
}

static enum fletch_status give_loss(struct giving *giving)
{
    (void)fletch_frame_list_pop(&giving->partition->taken);
    return fletch_shuffle_tell_lost(giving->partition->shuffle, giving->partition->number,
                                    giving->error);
}

static enum fletch_status (*const givers[])(struct giving *giving) = {
    [FLETCH_FRAME_DATA] = give_data,           [FLETCH_FRAME_BARRIER] = give_barrier,
    [FLETCH_FRAME_WATERMARK] = give_watermark, [FLETCH_FRAME_END] = give_end,
    [FLETCH_FRAME_LOST] = give_loss,
};

/* The first frame of the partition that makes an event, or why there is none. */
static enum fletch_status give_of(struct giving *giving)
{
    struct fletch_shuffle_partition *partition = giving->partition;
    enum fletch_status status = FLETCH_OK;
    /* relaxed: this thread's own, and the next owner's */
    while (load_relaxed(&partition->ending) == FLETCH_ENDING_NONE && !giving->has_event &&
           status == FLETCH_OK && partition->taken.first != NULL) {
        giving->frame = partition->taken.first;
        status = givers[giving->frame->kind](giving);
    }
    if (status == FLETCH_UNAVAILABLE || status == FLETCH_DATA_LOSS) {
        end_partition(giving,
                      status == FLETCH_UNAVAILABLE ? FLETCH_ENDING_LOST : FLETCH_ENDING_BROKEN);
        fletch_shuffle_partition_shut(partition, giving->reader->seat->reader,
                                      giving->reader->cache);
    }
    /* relaxed: as above */
    if (load_relaxed(&partition->ending) != FLETCH_ENDING_NONE) {
        fletch_shuffle_partition_drop_all(partition, giving->reader->cache, &partition->taken);
        fletch_shuffle_partition_drop_all(partition, giving->reader->cache, &partition->held);
    }
    return status;
}

enum fletch_status fletch_reader_give(struct fletch_shuffle_reader *reader,
                                      struct fletch_shuffle_event *out_event, bool *out_has_event,
                                      struct fletch_error *error)
{
    struct giving giving = {.reader = reader, .event = out_event, .error = error};
    struct fletch_shuffle_partition *last = reader->pending.last;
    enum fletch_status status = FLETCH_OK;
    bool is_blocked = false;
    while (reader->pending.first != NULL) {
        struct fletch_shuffle_partition *partition = fletch_partition_queue_pop(&reader->pending);
        giving.partition = partition;
        /* Where there was no room for one batch, only control goes on. */
        if (!is_blocked || partition->taken.first->kind != FLETCH_FRAME_DATA)
            status = give_of(&giving);
        if (partition->taken.first != NULL)
            fletch_partition_queue_append(&reader->pending, partition);
        if (giving.has_event || status == FLETCH_UNAVAILABLE || status == FLETCH_DATA_LOSS)
            break;
        is_blocked = is_blocked || status == FLETCH_RESOURCE_EXHAUSTED;
        if (partition == last)
            break;
    }
    *out_has_event = giving.has_event;
    if (giving.has_event)
        return FLETCH_OK;
    if (status == FLETCH_OK && is_blocked)
        return FLETCH_RESOURCE_EXHAUSTED;
    return status;
}
