#include "shuffle/outlet.h"

#include <stddef.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/status.h"
#include "memory/batch.h"
#include "memory/budget.h"
#include "shuffle/outlet_table.h"
#include "shuffle/refusal.h"
#include "shuffle/shuffle.h"
#include "shuffle/shuffle_partition.h"

/* What is retired by epoch: pushers may still come to it. */
struct outlet_list {
    struct fletch_ready_list list; /* first */
    struct fletch_sleeper *sleeper;
};

struct fletch_outlet {
    struct fletch_outlet_entry entry; /* first */
    struct fletch_shuffle *shuffle;   /* a reference */
    struct outlet_list *list;
    struct fletch_epoch_seat *seat;
    struct fletch_refusal *refusal; /* for all partitions, made when there was memory */
    bool has_told_loss;
    bool has_failed;
    /* Taken from inboxes and not handed out: partitions in turn, each with its frames; frames that
     * go before them; frames that wait for control to go first. */
    struct fletch_partition_queue pending;
    struct fletch_frame_list released;
    struct fletch_frame_list behind;
    /* Control that was taken: first what was not handed out. */
    struct fletch_outlet_node *oldest; /* that is not accepted */
    struct fletch_outlet_node *newest;
    struct fletch_outlet_node *unhanded; /* the oldest that was not handed out; of the same list */
    uint64_t frames;                     /* that were taken and are not accepted */
    uint32_t endings;                    /* ends and aborts that were answered */
    uint32_t additions;                  /* new producers that were */
    uint32_t partition_count;
    struct fletch_shuffle_partition *partitions[];
};

/* ---- opening ---- */

static void free_list(struct fletch_epoch_object *object)
{
    struct outlet_list *list = (struct outlet_list *)(void *)object;
    fletch_eventcount_deinit(&list->list.eventcount);
    fletch_sleeper_release(list->sleeper);
    fletch_block_release(list);
}

static enum fletch_status refuse_memory(uint32_t count, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory for an outlet of %u partitions", count);
}

static enum fletch_status check_open(const struct fletch_shuffle *shuffle, uint32_t number,
                                     struct fletch_error *error)
{
    uint32_t count = shuffle->specification.partitioner.partition_count;
    const struct fletch_placement_plan *plan = &shuffle->specification.placement;
    if (number >= count)
        return fletch_error_set(
            error, FLETCH_OUT_OF_RANGE,
            "OUT_OF_RANGE: partition %u of shuffle '%s' was asked for, it has %u", number,
            shuffle->specification.shown.text, count);
    if (!plan->has_others ||
        (!fletch_placement_pulls(plan) && fletch_placement_may_read(plan, number)))
        return fletch_error_set(
            error, FLETCH_FAILED_PRECONDITION,
            "FAILED_PRECONDITION: partition %u of shuffle '%s' belongs to this process", number,
            shuffle->specification.shown.text);
    return FLETCH_OK;
}

/* Why a partition that this outlet owns cannot be let out any more. Where a producer was lost, what
 * was sent before is let out all the same. */
static enum fletch_status check_owned(const struct fletch_shuffle_partition *partition,
                                      struct fletch_error *error)
{
    uint32_t number = partition->number;
    const char *name = partition->shuffle->specification.shown.text;
    /* relaxed: this thread owns the partition */
    uint32_t ending = load_relaxed(&partition->ending);
    if (ending == FLETCH_ENDING_BROKEN)
        return fletch_shuffle_partition_check(partition, error);
    if (ending != FLETCH_ENDING_NONE)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "CONSUMED: partition %u of shuffle '%s' was read to its end",
                                number, name);
    if (partition->rows > 0)
        return fletch_error_set(error, FLETCH_UNAVAILABLE,
                                "LOST: partition %u of shuffle '%s' was read in part", number,
                                name);
    return FLETCH_OK;
}

/* A frame that came out of an inbox; control of the partition is for its next owner. */
static void take_in(struct fletch_outlet *outlet, struct fletch_shuffle_partition *partition,
                    struct fletch_frame *frame)
{
    if (frame->kind != FLETCH_FRAME_DATA) {
        fletch_frame_list_append(&partition->held, frame);
        return;
    }
    fletch_frame_list_append(&partition->taken, frame);
    fletch_partition_queue_append(&outlet->pending, partition);
    outlet->frames++;
    fletch_shuffle_count_outside(outlet->shuffle, 1);
}

/* What the last owner of the partition has left. */
static void take_over(struct fletch_outlet *outlet, struct fletch_shuffle_partition *partition)
{
    struct fletch_frame_list left = partition->taken;
    struct fletch_frame *frame;
    partition->taken = (struct fletch_frame_list){.first = NULL};
    while ((frame = fletch_frame_list_pop(&left)) != NULL)
        take_in(outlet, partition, frame);
}

static enum fletch_status attach(struct fletch_outlet *outlet, uint32_t number,
                                 struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = outlet->shuffle;
    enum fletch_status status = check_open(shuffle, number, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_shuffle_partition *partition = &shuffle->partitions[number];
    if (!fletch_mailbox_attach(&partition->mailbox, &outlet->list->list, outlet->seat->reader)) {
        status = fletch_shuffle_check(shuffle, error);
        if (status == FLETCH_OK && !fletch_mailbox_has_owner(&partition->mailbox))
            status = fletch_shuffle_partition_check(partition, error);
        if (status != FLETCH_OK)
            return status;
        return fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                                "ALREADY_EXISTS: partition %u of shuffle '%s' has a reader", number,
                                shuffle->specification.shown.text);
    }
    outlet->partitions[outlet->partition_count++] = partition;
    status = check_owned(partition, error);
    take_over(outlet, partition);
    return status;
}

static enum fletch_status make_parts(struct fletch_outlet *outlet, struct fletch_sleeper *sleeper,
                                     uint32_t count, struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = outlet->shuffle;
    outlet->list = fletch_block_allocate(&shuffle->allocator, sizeof *outlet->list);
    if (outlet->list == NULL)
        return refuse_memory(count, error);
    fletch_ready_list_init(&outlet->list->list);
    outlet->list->sleeper = fletch_sleeper_acquire(sleeper);
    outlet->list->list.sleeper = &sleeper->eventcount;
    outlet->list->list.object.reclaim = free_list;
    outlet->refusal = fletch_refusal_create(shuffle);
    if (outlet->refusal == NULL)
        return refuse_memory(count, error);
    outlet->seat = fletch_transport_borrow_seat(shuffle->transport, error);
    return outlet->seat == NULL ? FLETCH_RESOURCE_EXHAUSTED : FLETCH_OK;
}

static void end_entry(struct fletch_outlet_entry *entry)
{
    fletch_block_release(entry);
}

static void enter(struct fletch_outlet *outlet)
{
    outlet->entry.partitions = outlet->partitions;
    outlet->entry.partition_count = outlet->partition_count;
    outlet->entry.shuffle = outlet->shuffle;
    outlet->entry.sleeper = outlet->list->list.sleeper;
    outlet->entry.end = end_entry;
    fletch_mailbox_init(&outlet->entry.controls);
    bool is_attached =
        fletch_mailbox_attach(&outlet->entry.controls, &outlet->list->list, outlet->seat->reader);
    FLETCH_ASSERT(is_attached);
    (void)is_attached;
    fletch_outlet_table_enter(&outlet->entry);
}

static void put_back(struct fletch_outlet *outlet);
static void dismantle(struct fletch_outlet *outlet);

enum fletch_status fletch_outlet_open(struct fletch_shuffle *shuffle,
                                      const struct fletch_outlet_options *options,
                                      struct fletch_outlet **out_outlet, struct fletch_error *error)
{
    enum fletch_status status = fletch_shuffle_check(shuffle, error);
    if (status != FLETCH_OK)
        return status;
    uint32_t count = options->partition_count;
    size_t bytes = sizeof(struct fletch_outlet) + count * sizeof(struct fletch_shuffle_partition *);
    struct fletch_outlet *outlet = fletch_block_allocate(&shuffle->allocator, bytes);
    if (outlet == NULL)
        return refuse_memory(count, error);
    *outlet = (struct fletch_outlet){.shuffle = fletch_shuffle_acquire(shuffle)};
    status = make_parts(outlet, options->sleeper, count, error);
    for (uint32_t i = 0; i < count && status == FLETCH_OK; i++)
        status = attach(outlet, options->partitions[i], error);
    if (status != FLETCH_OK) {
        put_back(outlet);
        dismantle(outlet);
        fletch_block_release(outlet);
        fletch_shuffle_release(shuffle);
        return status;
    }
    enter(outlet);
    *out_outlet = outlet;
    return FLETCH_OK;
}

/* ---- taking ---- */

static void collect_controls(struct fletch_outlet *outlet)
{
    struct fletch_inbox_list list;
    if (fletch_mailbox_take(&outlet->entry.controls, &list) != FLETCH_DONE)
        return;
    for (struct fletch_inbox_node *at = list.first; at != NULL;) {
        struct fletch_outlet_node *node = (struct fletch_outlet_node *)(void *)at;
        at = at->next;
        node->control.next = NULL;
        node->previous = outlet->newest;
        if (outlet->newest == NULL)
            outlet->oldest = node;
        else
            outlet->newest->control.next = &node->control;
        outlet->newest = node;
        if (outlet->unhanded == NULL)
            outlet->unhanded = node;
    }
}

static void collect_frames(struct fletch_outlet *outlet, struct fletch_shuffle_partition *partition,
                           const struct fletch_inbox_list *list)
{
    for (struct fletch_inbox_node *node = list->first; node != NULL;) {
        struct fletch_frame *frame = (struct fletch_frame *)(void *)node;
        node = node->next;
        take_in(outlet, partition, frame);
    }
}

/* Takes a node out of a list that has it. */
static bool take_out(struct fletch_inbox_node **link, const struct fletch_inbox_node *node)
{
    while (*link != NULL && *link != node)
        link = &(*link)->next;
    if (*link == NULL)
        return false;
    *link = node->next;
    return true;
}

/* Control first; and then, where there was some, what all partitions have: whatever its producer
 * pushed before it is among that. */
static void collect(struct fletch_outlet *outlet)
{
    struct fletch_inbox_node *ready = fletch_ready_list_take(&outlet->list->list);
    struct fletch_inbox_list list;
    /* Between the mailbox and the count they would be seen nowhere. */
    fletch_shuffle_count_outside(outlet->shuffle, 1);
    if (take_out(&ready, &outlet->entry.controls.ready))
        collect_controls(outlet);
    while (ready != NULL) {
        struct fletch_shuffle_partition *partition = fletch_partition_of_mailbox(ready);
        ready = ready->next; /* before the mark is taken off */
        if (fletch_mailbox_take(&partition->mailbox, &list) == FLETCH_DONE)
            collect_frames(outlet, partition, &list);
    }
    for (uint32_t i = 0; outlet->unhanded != NULL && i < outlet->partition_count; i++) {
        struct fletch_shuffle_partition *partition = outlet->partitions[i];
        if (fletch_inbox_try_take(&partition->mailbox.inbox, &list) == FLETCH_DONE)
            collect_frames(outlet, partition, &list);
    }
    fletch_shuffle_count_outside(outlet->shuffle, UINT64_MAX);
}

/* Whether control that was not handed out goes before the frame: a barrier that it is behind. */
static bool is_behind(const struct fletch_outlet *outlet, const struct fletch_frame *frame)
{
    const struct fletch_outlet_control *control =
        outlet->unhanded == NULL ? NULL : &outlet->unhanded->control;
    for (; control != NULL; control = control->next)
        if (control->record.kind == FLETCH_CONTROL_BARRIER &&
            control->producer == frame->channel->producer &&
            control->record.barrier <= frame->barrier)
            return true;
    return false;
}

static void hand_out(struct fletch_frame *frame, struct fletch_outlet_item *item)
{
    fletch_frame_list_append(&frame->channel->unaccepted, frame);
    *item = (struct fletch_outlet_item){.kind = FLETCH_OUTLET_FRAME, .frame = frame};
}

/* One frame of each partition in turn. */
static bool take_frame(struct fletch_outlet *outlet, struct fletch_outlet_item *item)
{
    struct fletch_frame *frame = fletch_frame_list_pop(&outlet->released);
    if (frame != NULL) {
        hand_out(frame, item);
        return true;
    }
    while (outlet->pending.first != NULL) {
        struct fletch_shuffle_partition *partition = fletch_partition_queue_pop(&outlet->pending);
        frame = fletch_frame_list_pop(&partition->taken);
        if (partition->taken.first != NULL)
            fletch_partition_queue_append(&outlet->pending, partition);
        if (frame != NULL && !is_behind(outlet, frame)) {
            hand_out(frame, item);
            return true;
        }
        if (frame != NULL)
            fletch_frame_list_append(&outlet->behind, frame);
    }
    return false;
}

/* Frames that waited for nothing but the control that was handed out just now. */
static void release_behind(struct fletch_outlet *outlet)
{
    struct fletch_frame_list list = outlet->behind;
    struct fletch_frame *frame;
    outlet->behind = (struct fletch_frame_list){.first = NULL};
    while ((frame = fletch_frame_list_pop(&list)) != NULL)
        fletch_frame_list_append(is_behind(outlet, frame) ? &outlet->behind : &outlet->released,
                                 frame);
}

static struct fletch_outlet_node *node_of(struct fletch_outlet_control *control)
{
    return (struct fletch_outlet_node *)(void *)((char *)control -
                                                 offsetof(struct fletch_outlet_node, control));
}

static bool take_control(struct fletch_outlet *outlet, struct fletch_outlet_item *item)
{
    struct fletch_outlet_node *node = outlet->unhanded;
    if (node == NULL)
        return false;
    struct fletch_outlet_control *next = node->control.next;
    outlet->unhanded = next == NULL ? NULL : node_of(next);
    node->control.is_taken = true;
    *item = (struct fletch_outlet_item){.kind = FLETCH_OUTLET_CONTROL, .control = &node->control};
    release_behind(outlet);
    return true;
}

void fletch_outlet_take(struct fletch_outlet *outlet, struct fletch_outlet_item *out_item)
{
    *out_item = (struct fletch_outlet_item){.kind = FLETCH_OUTLET_NOTHING};
    if (fletch_shuffle_is_cancelled(outlet->shuffle))
        return;
    if (take_frame(outlet, out_item) || take_control(outlet, out_item))
        return;
    collect(outlet);
    if (!take_frame(outlet, out_item))
        (void)take_control(outlet, out_item);
}

struct fletch_outlet_control *fletch_outlet_first_control(const struct fletch_outlet *outlet)
{
    return outlet->oldest == NULL || outlet->oldest == outlet->unhanded ? NULL
                                                                        : &outlet->oldest->control;
}

bool fletch_outlet_may_have_any(const struct fletch_outlet *outlet)
{
    return outlet->released.first != NULL || outlet->pending.first != NULL ||
           outlet->unhanded != NULL || fletch_ready_list_has_any(&outlet->list->list) ||
           fletch_shuffle_is_cancelled(outlet->shuffle) ||
           (!outlet->has_told_loss && fletch_shuffle_has_lost(outlet->shuffle)) ||
           load_relaxed(&outlet->entry.lacks_memory) != 0; /* relaxed: it says all itself */
}

enum fletch_status fletch_outlet_check(struct fletch_outlet *outlet, struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = outlet->shuffle;
    enum fletch_status status = fletch_shuffle_check(shuffle, error);
    if (status != FLETCH_OK)
        return status;
    if (load_relaxed(&outlet->entry.lacks_memory) != 0) /* relaxed: it says all itself */
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for control of shuffle '%s' to "
                                "another process",
                                shuffle->specification.shown.text);
    if (!fletch_shuffle_has_lost(shuffle))
        return FLETCH_OK;
    outlet->has_told_loss = true;
    return fletch_shuffle_tell_lost(shuffle, outlet->partitions[0]->number, error);
}

/* ---- batches ---- */

/* What is larger than all of *delivered* goes alone. */
static enum fletch_status read_back(struct fletch_outlet *outlet, const struct fletch_frame *frame,
                                    struct fletch_buffer_cache *cache,
                                    struct fletch_batch **out_batch, struct fletch_error *error)
{
    struct fletch_transport *transport = outlet->shuffle->transport;
    struct fletch_budget_statistics delivered = {.struct_size = sizeof delivered};
    enum fletch_status status =
        fletch_spill_read(&frame->spilled, cache, transport->delivered, out_batch, error);
    if (status != FLETCH_RESOURCE_EXHAUSTED)
        return status;
    fletch_account_statistics(transport->delivered, &delivered);
    if (delivered.used_bytes > 0 || frame->spilled.frame_bytes <= delivered.limit_bytes)
        return status;
    return fletch_spill_read(&frame->spilled, cache, transport->account, out_batch, error);
}

enum fletch_status fletch_outlet_fetch(struct fletch_outlet *outlet,
                                       const struct fletch_frame *frame,
                                       struct fletch_buffer_cache *cache,
                                       struct fletch_batch **out_batch, struct fletch_error *error)
{
    struct fletch_error cause;
    if (frame->batch != NULL) {
        *out_batch = fletch_batch_acquire_inline(frame->batch);
        return FLETCH_OK;
    }
    enum fletch_status status = read_back(outlet, frame, cache, out_batch, &cause);
    if (status == FLETCH_OK || status == FLETCH_RESOURCE_EXHAUSTED) {
        if (status != FLETCH_OK && error != NULL)
            *error = cause;
        return status;
    }
    return fletch_error_set(error, FLETCH_DATA_LOSS,
                            "DATA_LOSS: partition %u of shuffle '%s', producer %u: a frame on disk "
                            "cannot be read: %s",
                            frame->channel->partition, outlet->shuffle->specification.shown.text,
                            frame->channel->producer, cause.message);
}

/* ---- answers ---- */

static void drop(struct fletch_outlet *outlet, struct fletch_frame *frame,
                 struct fletch_buffer_cache *cache)
{
    outlet->frames--;
    fletch_shuffle_partition_drop(&outlet->shuffle->partitions[frame->channel->partition], cache,
                                  frame);
    fletch_shuffle_count_outside(outlet->shuffle, UINT64_MAX);
}

void fletch_outlet_accepted(struct fletch_outlet *outlet, struct fletch_frame *frame,
                            struct fletch_buffer_cache *cache)
{
    struct fletch_channel *channel = frame->channel;
    struct fletch_written_counters *written = &outlet->shuffle->written;
    FLETCH_ASSERT(channel->unaccepted.first == frame);
    (void)fletch_frame_list_pop(&channel->unaccepted);
    outlet->shuffle->partitions[channel->partition].is_fetched = true;
    fetch_add_relaxed(&written->frames_accepted, 1);           /* relaxed: a statistic */
    fetch_add_relaxed(&written->rows_accepted, frame->rows);   /* relaxed: a statistic */
    fetch_add_relaxed(&written->bytes_accepted, frame->bytes); /* relaxed: a statistic */
    drop(outlet, frame, cache);
}

static void unlist(struct fletch_outlet *outlet, struct fletch_outlet_node *node)
{
    struct fletch_outlet_control *next = node->control.next;
    struct fletch_outlet_node *after = next == NULL ? NULL : node_of(next);
    if (node->previous == NULL)
        outlet->oldest = after;
    else
        node->previous->control.next = next;
    if (after == NULL)
        outlet->newest = node->previous;
    else
        after->previous = node->previous;
    if (outlet->unhanded == node)
        outlet->unhanded = after;
}

static void answer(struct fletch_outlet *outlet, struct fletch_outlet_node *node,
                   const struct fletch_error *failure)
{
    enum fletch_control_kind kind = node->control.record.kind;
    outlet->endings += kind == FLETCH_CONTROL_END || kind == FLETCH_CONTROL_ABORT;
    outlet->additions += kind == FLETCH_CONTROL_ADD_PRODUCER;
    unlist(outlet, node);
    fletch_outlet_table_answer(node, failure);
}

void fletch_outlet_control_accepted(struct fletch_outlet *outlet,
                                    struct fletch_outlet_control *control,
                                    enum fletch_status status, const char *text)
{
    struct fletch_error failure;
    if (status != FLETCH_OK)
        (void)fletch_error_set(&failure, status, "%s", text == NULL ? "" : text);
    answer(outlet, node_of(control), status == FLETCH_OK ? NULL : &failure);
}

/* ---- failing ---- */

/* Takes the frames of a partition (NULL: of all) out of a list, and drops them. */
static void drop_of(struct fletch_outlet *outlet, struct fletch_frame_list *list,
                    const struct fletch_shuffle_partition *partition)
{
    struct fletch_frame_list all = *list;
    struct fletch_frame *frame;
    *list = (struct fletch_frame_list){.first = NULL};
    while ((frame = fletch_frame_list_pop(&all)) != NULL) {
        if (partition == NULL || frame->channel->partition == partition->number)
            drop(outlet, frame, NULL);
        else
            fletch_frame_list_append(list, frame);
    }
}

/* Everything of a partition that this outlet has taken. */
static void drop_partition(struct fletch_outlet *outlet, struct fletch_shuffle_partition *partition)
{
    struct fletch_channel *channel =
        load_acquire(&partition->channels); /* shuffle_partition E1 acquire */
    for (; channel != NULL; channel = channel->next)
        drop_of(outlet, &channel->unaccepted, NULL);
    drop_of(outlet, &outlet->released, partition);
    drop_of(outlet, &outlet->behind, partition);
    drop_of(outlet, &partition->taken, NULL);
}

static bool is_shut(const struct fletch_shuffle_partition *partition)
{
    /* relaxed: this thread owns the partition */
    return load_relaxed(&partition->ending) == FLETCH_ENDING_BROKEN;
}

static void fail_partition(struct fletch_outlet *outlet, struct fletch_shuffle_partition *partition,
                           const struct fletch_refusal *refusal)
{
    if (is_shut(partition))
        return;
    partition->refusal = refusal;
    store_release(&partition->ending, FLETCH_ENDING_BROKEN); /* shuffle_partition E3 release */
    drop_partition(outlet, partition);
    fletch_shuffle_partition_shut(partition, outlet->seat->reader, NULL);
}

static void answer_all(struct fletch_outlet *outlet, const struct fletch_error *failure)
{
    while (outlet->oldest != NULL)
        answer(outlet, outlet->oldest, failure);
}

static void fail_all(struct fletch_outlet *outlet, enum fletch_status status, const char *text)
{
    struct fletch_refusal *refusal = outlet->refusal;
    if (outlet->has_failed)
        return;
    outlet->has_failed = true;
    outlet->refusal = NULL;
    fletch_refusal_fill(refusal, status, text);
    refusal->is_of_process = true;
    for (uint32_t i = 0; i < outlet->partition_count; i++)
        fail_partition(outlet, outlet->partitions[i], refusal);
    (void)fletch_error_set(&outlet->entry.failing, status, "%s", refusal->text);
    answer_all(outlet, &outlet->entry.failing);
    fletch_refusal_keep(outlet->shuffle, refusal);
    fletch_outlet_table_fail(&outlet->entry);
}

static struct fletch_shuffle_partition *find(const struct fletch_outlet *outlet, uint32_t number)
{
    for (uint32_t i = 0; i < outlet->partition_count; i++)
        if (outlet->partitions[i]->number == number)
            return outlet->partitions[i];
    return NULL;
}

static void fail_one(struct fletch_outlet *outlet, uint32_t number, enum fletch_status status,
                     const char *text)
{
    struct fletch_shuffle_partition *partition = find(outlet, number);
    if (partition == NULL || is_shut(partition))
        return;
    struct fletch_refusal *refusal = fletch_refusal_create(outlet->shuffle);
    if (refusal == NULL) {
        fail_partition(outlet, partition, fletch_refusal_without_memory(status));
        return;
    }
    fletch_refusal_fill(refusal, status, text);
    fail_partition(outlet, partition, refusal);
    fletch_refusal_keep(outlet->shuffle, refusal);
}

void fletch_outlet_fail(struct fletch_outlet *outlet, uint32_t partition, enum fletch_status status,
                        const char *text)
{
    if (status == FLETCH_CANCELLED)
        fletch_shuffle_cancel(outlet->shuffle, text);
    else if (partition == FLETCH_ALL_PARTITIONS)
        fail_all(outlet, status, text);
    else
        fail_one(outlet, partition, status, text);
}

/* ---- the end ---- */

/* Producers of this process that have to end; 0: none is known. */
static uint32_t count_producers(const struct fletch_outlet *outlet)
{
    const struct fletch_shuffle *shuffle = outlet->shuffle;
    const struct fletch_placement_plan *plan = &shuffle->specification.placement;
    uint32_t count = outlet->additions;
    if (plan->homes == NULL) /* relaxed: it only grows */
        return load_relaxed(&shuffle->written.writers_opened);
    for (uint32_t w = 0; w < shuffle->specification.producer_count; w++)
        count += plan->homes[w] == plan->self;
    return count;
}

bool fletch_outlet_is_done(const struct fletch_outlet *outlet)
{
    if (outlet->has_failed)
        return true;
    uint32_t producers = count_producers(outlet);
    bool has_none = producers == 0 && outlet->shuffle->specification.placement.homes == NULL;
    return !has_none && outlet->endings >= producers && outlet->frames == 0 &&
           outlet->oldest == NULL && !fletch_ready_list_has_any(&outlet->list->list);
}

/* What was not accepted lies in the partition again, for its next owner. */
static void put_back(struct fletch_outlet *outlet)
{
    for (uint32_t i = 0; i < outlet->partition_count; i++) {
        struct fletch_shuffle_partition *partition = outlet->partitions[i];
        struct fletch_frame_list taken = partition->taken;
        struct fletch_channel *channel =
            load_acquire(&partition->channels); /* shuffle_partition E1 acquire */
        struct fletch_frame *frame;
        partition->taken = (struct fletch_frame_list){.first = NULL};
        for (; channel != NULL; channel = channel->next)
            while ((frame = fletch_frame_list_pop(&channel->unaccepted)) != NULL)
                fletch_frame_list_append(&partition->taken, frame);
        while ((frame = fletch_frame_list_pop(&taken)) != NULL)
            fletch_frame_list_append(&partition->taken, frame);
        while ((frame = fletch_frame_list_pop(&partition->held)) != NULL)
            fletch_frame_list_append(&partition->taken, frame);
    }
    fletch_shuffle_count_outside(outlet->shuffle, 0 - outlet->frames);
    outlet->frames = 0;
}

/* Pull: the part that was fetched is gone with who has fetched it. */
static void fail_fetched(struct fletch_outlet *outlet)
{
    for (uint32_t i = 0; i < outlet->partition_count; i++)
        if (outlet->partitions[i]->is_fetched)
            fail_one(outlet, outlet->partitions[i]->number, FLETCH_UNAVAILABLE,
                     "LOST: it was fetched in part by a process that has gone");
}

/* All of it has gone. */
static void end_partitions(struct fletch_outlet *outlet)
{
    bool pulls = fletch_placement_pulls(&outlet->shuffle->specification.placement);
    for (uint32_t i = 0; i < outlet->partition_count; i++) {
        struct fletch_shuffle_partition *partition = outlet->partitions[i];
        if (!is_shut(partition) && (partition->is_fetched || !pulls))
            /* relaxed: the next owner, and who looks, gets it with the mailbox or later */
            store_relaxed(&partition->ending, FLETCH_ENDING_END);
    }
}

static void settle_partitions(struct fletch_outlet *outlet)
{
    if (fletch_shuffle_is_cancelled(outlet->shuffle)) {
        for (uint32_t i = 0; i < outlet->partition_count; i++)
            drop_partition(outlet, outlet->partitions[i]);
        return;
    }
    if (fletch_outlet_is_done(outlet))
        end_partitions(outlet);
    else if (fletch_placement_pulls(&outlet->shuffle->specification.placement))
        fail_fetched(outlet);
    else
        fail_all(outlet, FLETCH_UNAVAILABLE, "LOST: the way to its process was closed");
    put_back(outlet);
}

static void detach(struct fletch_outlet *outlet)
{
    struct fletch_epoch_reader *reader = outlet->seat->reader;
    struct fletch_ready_list *list = &outlet->list->list;
    for (uint32_t i = 0; i < outlet->partition_count; i++) {
        struct fletch_shuffle_partition *partition = outlet->partitions[i];
        bool will_be_shut = is_shut(partition);
        partition->is_pending = 0;
        fletch_mailbox_detach(&partition->mailbox, list, reader);
        /* Who cancelled meanwhile has seen this owner, or is seen here. */
        if ((will_be_shut || fletch_shuffle_is_cancelled(outlet->shuffle)) &&
            fletch_mailbox_retire(&partition->mailbox))
            fletch_shuffle_partition_clear(partition, NULL);
    }
}

/* Lets go of everything but its place in the table. */
static void dismantle(struct fletch_outlet *outlet)
{
    if (outlet->seat != NULL) {
        detach(outlet);
        fletch_ready_list_close(&outlet->list->list, outlet->seat->reader);
        fletch_epoch_retire(outlet->seat->reader, &outlet->list->list.object, sizeof *outlet->list);
        fletch_epoch_collect(outlet->seat->reader);
    } else if (outlet->list != NULL) {
        free_list(&outlet->list->list.object);
    }
    fletch_refusal_free(outlet->refusal);
    fletch_transport_return_seat(outlet->shuffle->transport, outlet->seat);
}

void fletch_outlet_close(struct fletch_outlet *outlet)
{
    if (outlet == NULL || !fletch_shuffle_is_own(outlet->shuffle))
        return;
    struct fletch_shuffle *shuffle = outlet->shuffle;
    settle_partitions(outlet);
    answer_all(outlet, NULL);
    /* Its control's mailbox is announced to a list that is closed, and so to nobody, until it has
     * left the table. */
    fletch_mailbox_detach(&outlet->entry.controls, &outlet->list->list, outlet->seat->reader);
    dismantle(outlet);
    fletch_outlet_table_leave(&outlet->entry);
    fletch_shuffle_release(shuffle);
}
