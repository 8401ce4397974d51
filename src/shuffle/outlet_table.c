#include "shuffle/outlet_table.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "shuffle/refusal.h"
#include "shuffle/shuffle_partition.h"
#include "shuffle/shuffle_seat.h"

static void run_answered(void *context, struct fletch_serial_task *task);

/* ---- nodes ---- */

static bool serves(const struct fletch_outlet_entry *entry, uint32_t partition)
{
    return entry->shuffle->partitions[partition].outlet == entry;
}

static uint32_t count_channels(const struct fletch_outlet_entry *entry,
                               const struct fletch_control_record *record)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < record->channel_count; i++)
        count += serves(entry, record->channels[i].partition);
    return count;
}

/* What the outlet is to be told: of the channels only its own. NULL: no memory. */
static struct fletch_outlet_node *make_node(struct fletch_outlet_entry *entry, uint32_t producer,
                                            const struct fletch_control_record *record)
{
    uint32_t count = count_channels(entry, record);
    size_t bytes = sizeof(struct fletch_outlet_node) + count * sizeof record->channels[0];
    struct fletch_outlet_node *node = fletch_block_allocate(&entry->shuffle->allocator, bytes);
    if (node == NULL)
        return NULL;
    *node = (struct fletch_outlet_node){
        .entry = entry,
        .answered = {.run = run_answered},
        .control = {.producer = producer, .attempt = FLETCH_FIRST_ATTEMPT, .record = *record},
    };
    for (uint32_t i = 0, at = 0; i < record->channel_count; i++)
        if (serves(entry, record->channels[i].partition))
            node->channels[at++] = record->channels[i];
    node->control.record.channels = count == 0 ? NULL : node->channels;
    node->control.record.channel_count = count;
    return node;
}

static void drop_nodes(struct fletch_inbox_node *first)
{
    while (first != NULL) {
        struct fletch_inbox_node *next = first->next;
        fletch_block_release(first);
        first = next;
    }
}

static void hand_over(struct fletch_outlet_node *node)
{
    struct fletch_shuffle *shuffle = node->entry->shuffle;
    (void)fletch_mailbox_push(&node->entry->controls, shuffle->seat->reader, &node->node);
}

/* It could not be told: whoever drives it has to break with the other side. */
static void break_off(struct fletch_outlet_entry *entry)
{
    store_relaxed(&entry->lacks_memory, 1); /* relaxed: the sleeper is told, and it looks again */
    fletch_eventcount_notify_inline(entry->sleeper, UINT32_MAX);
}

/* ---- announcements ---- */

/* What outlets that are opened later are told, and partitions whose end depends on it. */
static void note(struct fletch_announcement *announcement)
{
    struct fletch_announcer *announcer = &announcement->seat->announcer;
    const struct fletch_control_record *record = &announcement->record;
    if (record->kind == FLETCH_CONTROL_END && !announcer->has_ended) {
        announcer->has_ended = true;
        announcer->channels = (struct fletch_channel_record *)(uintptr_t)record->channels;
        announcer->channel_count = record->channel_count;
        if (fletch_placement_pulls(&announcement->shuffle->specification.placement))
            fletch_partitions_count_end(announcement->shuffle);
    }
    announcer->has_aborted |= record->kind == FLETCH_CONTROL_ABORT;
}

static void refuse_memory(struct fletch_announcement *announcement)
{
    if (announcement->record.kind == FLETCH_CONTROL_END) /* it may be announced again */
        fletch_block_release((void *)(uintptr_t)announcement->record.channels);
    (void)fletch_error_set(&announcement->failure, FLETCH_RESOURCE_EXHAUSTED,
                           "RESOURCE_EXHAUSTED: no memory for control of producer %u to other "
                           "processes",
                           announcement->seat->producer);
}

/* A node for each outlet that has not failed, linked; false: there was no memory for one. */
static bool make_nodes(const struct fletch_announcement *announcement,
                       const struct fletch_control_record *record,
                       struct fletch_inbox_node **out_first)
{
    bool is_abort = record->kind == FLETCH_CONTROL_ABORT;
    *out_first = NULL;
    for (struct fletch_outlet_entry *entry = announcement->shuffle->outlets; entry != NULL;
         entry = entry->next) {
        if (entry->is_shut)
            continue;
        struct fletch_outlet_node *node = make_node(entry, announcement->seat->producer, record);
        if (node == NULL && is_abort) {
            break_off(entry);
            continue;
        }
        if (node == NULL)
            return false;
        node->node.next = *out_first;
        *out_first = &node->node;
    }
    return true;
}

/* By push a process that has failed stays so, though its outlet has left. */
static void hear_refusals(struct fletch_announcement *announcement)
{
    for (const struct fletch_refusal *refusal = announcement->shuffle->refusals; refusal != NULL;
         refusal = refusal->next)
        if (refusal->is_of_process && announcement->failure.status == FLETCH_OK)
            (void)fletch_error_set(&announcement->failure, refusal->status, "%s", refusal->text);
}

/* Those that have failed have answered. */
static void hear_failures(struct fletch_announcement *announcement)
{
    for (const struct fletch_outlet_entry *entry = announcement->shuffle->outlets; entry != NULL;
         entry = entry->next)
        if (entry->is_shut && announcement->failure.status == FLETCH_OK)
            announcement->failure = entry->failing;
    if (!fletch_placement_pulls(&announcement->shuffle->specification.placement))
        hear_refusals(announcement);
}

void fletch_outlet_table_announce(struct fletch_announcement *announcement)
{
    struct fletch_control_record record = announcement->record;
    struct fletch_inbox_node *first = NULL;
    record.sequence = announcement->seat->announcer.handed + 1;
    if (!make_nodes(announcement, &record, &first)) {
        drop_nodes(first);
        refuse_memory(announcement);
        return;
    }
    announcement->seat->announcer.handed++;
    note(announcement);
    hear_failures(announcement);
    while (first != NULL) {
        struct fletch_outlet_node *node = (struct fletch_outlet_node *)(void *)first;
        first = first->next;
        node->announcement = announcement;
        announcement->unanswered++;
        hand_over(node);
    }
}

/* ---- answers ---- */

static void run_answered(void *context, struct fletch_serial_task *task)
{
    struct fletch_outlet_node *node =
        (struct fletch_outlet_node *)(void *)((char *)task -
                                              offsetof(struct fletch_outlet_node, answered));
    struct fletch_announcement *announcement = node->announcement;
    (void)context;
    if (announcement != NULL) {
        struct fletch_shuffle_seat *seat = announcement->seat;
        fletch_announcement_answer(announcement,
                                   node->failure.status == FLETCH_OK ? NULL : &node->failure);
        fletch_announcer_settle(seat);
    }
    fletch_block_release(node);
}

void fletch_outlet_table_answer(struct fletch_outlet_node *node, const struct fletch_error *failure)
{
    struct fletch_shuffle *shuffle = node->entry->shuffle;
    node->failure.status = FLETCH_OK;
    if (failure != NULL)
        node->failure = *failure;
    fletch_serial_submit(fletch_coordinator_serial(shuffle->coordinator), &node->answered);
}

/* ---- outlets that come and go ---- */

static struct fletch_outlet_entry *entry_of(struct fletch_serial_task *task, size_t offset)
{
    return (struct fletch_outlet_entry *)(void *)((char *)task - offset);
}

/* What a producer has said before the outlet was there, as far as it still matters. */
static void catch_up(struct fletch_outlet_entry *entry, const struct fletch_shuffle_seat *seat)
{
    const struct fletch_announcer *announcer = &seat->announcer;
    struct fletch_control_record record = {.sequence = 1, .kind = FLETCH_CONTROL_ABORT};
    if (announcer->has_aborted) {
        record.reason = announcer->aborting.record.reason;
    } else {
        record.kind = FLETCH_CONTROL_END;
        record.channels = announcer->channels;
        record.channel_count = announcer->channel_count;
    }
    struct fletch_outlet_node *node = make_node(entry, seat->producer, &record);
    if (node != NULL)
        hand_over(node);
    else
        break_off(entry);
}

static void run_enters(void *context, struct fletch_serial_task *task)
{
    struct fletch_outlet_entry *entry =
        entry_of(task, offsetof(struct fletch_outlet_entry, enters));
    struct fletch_shuffle *shuffle = entry->shuffle;
    (void)context;
    entry->next = shuffle->outlets;
    shuffle->outlets = entry;
    for (uint32_t i = 0; i < entry->partition_count; i++)
        entry->partitions[i]->outlet = entry;
    for (const struct fletch_shuffle_seat *seat =
             load_acquire(&shuffle->seats); /* shuffle_seat E1 acquire */
         seat != NULL; seat = seat->next)
        if (seat->announcer.has_ended || seat->announcer.has_aborted)
            catch_up(entry, seat);
}

/* No more nodes; those that were not taken are answered. */
static void shut(struct fletch_outlet_entry *entry)
{
    struct fletch_inbox_list left;
    const struct fletch_error *failure =
        entry->failing.status == FLETCH_OK ? NULL : &entry->failing;
    fletch_inbox_close(&entry->controls.inbox, &left);
    while (left.first != NULL) {
        struct fletch_outlet_node *node = (struct fletch_outlet_node *)(void *)left.first;
        left.first = left.first->next;
        fletch_outlet_table_answer(node, failure);
    }
    entry->is_shut = true;
}

static void run_fails(void *context, struct fletch_serial_task *task)
{
    (void)context;
    shut(entry_of(task, offsetof(struct fletch_outlet_entry, fails)));
}

static void run_leaves(void *context, struct fletch_serial_task *task)
{
    struct fletch_outlet_entry *entry =
        entry_of(task, offsetof(struct fletch_outlet_entry, leaves));
    struct fletch_outlet_entry **link = &entry->shuffle->outlets;
    (void)context;
    shut(entry);
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    for (uint32_t i = 0; i < entry->partition_count; i++)
        entry->partitions[i]->outlet = NULL;
    entry->end(entry);
}

static void submit(struct fletch_outlet_entry *entry, struct fletch_serial_task *task,
                   void (*run)(void *context, struct fletch_serial_task *task))
{
    task->run = run;
    fletch_serial_submit(fletch_coordinator_serial(entry->shuffle->coordinator), task);
}

void fletch_outlet_table_enter(struct fletch_outlet_entry *entry)
{
    submit(entry, &entry->enters, run_enters);
}

void fletch_outlet_table_fail(struct fletch_outlet_entry *entry)
{
    submit(entry, &entry->fails, run_fails);
}

void fletch_outlet_table_leave(struct fletch_outlet_entry *entry)
{
    submit(entry, &entry->leaves, run_leaves);
}

void fletch_outlet_table_notify(struct fletch_shuffle *shuffle)
{
    for (struct fletch_outlet_entry *entry = shuffle->outlets; entry != NULL; entry = entry->next)
        fletch_eventcount_notify_inline(entry->sleeper, UINT32_MAX);
}
