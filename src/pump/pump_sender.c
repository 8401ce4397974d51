#include "pump/pump_sender.h"

#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "pump/sender_channel.h"

/* ---- lists ---- */

void fletch_sender_list_control(struct fletch_pump_sender *sender,
                                struct fletch_sender_producer *producer)
{
    const struct fletch_sender_group *group = producer->first;
    if (producer->is_listed || group == NULL || !group->has_control || group->is_sent ||
        group->unsent != 0)
        return;
    producer->is_listed = true;
    producer->next = NULL;
    if (sender->controlling_first == NULL)
        sender->controlling_first = producer;
    else
        sender->controlling_last->next = producer;
    sender->controlling_last = producer;
}

/* Whether the next frame of a channel, which was not offered, may go without. */
static bool may_be_eager(const struct fletch_pump_sender *sender,
                         const struct fletch_sender_channel *channel)
{
    const struct fletch_sender_frame *frame = channel->unsent;
    uint64_t bytes = fletch_sender_weight(frame->data.bytes);
    return frame == channel->unoffered && bytes <= sender->eager_bytes / FLETCH_PUMP_EAGER_PART &&
           sender->eager_used + bytes <= sender->eager_bytes &&
           channel->offered < FLETCH_PUMP_UNGRANTED_MAX;
}

bool fletch_sender_may_send(const struct fletch_pump_sender *sender,
                            const struct fletch_sender_channel *channel)
{
    const struct fletch_sender_frame *frame = channel->unsent;
    return frame != NULL &&
           (frame->end <= channel->grant || frame->is_eager || may_be_eager(sender, channel));
}

void fletch_sender_list_channel(struct fletch_pump_sender *sender,
                                struct fletch_sender_channel *channel)
{
    const struct fletch_sender_frame *unoffered = channel->unoffered;
    bool sends = fletch_sender_may_send(sender, channel);
    if (sends)
        FLETCH_QUEUE_PUSH(&sender->sending, channel, sending);
    if (unoffered != NULL && unoffered->end > channel->grant &&
        !(sends && channel->unsent == unoffered))
        FLETCH_QUEUE_PUSH(&sender->offering, channel, offering);
}

/* ---- life ---- */

enum fletch_status fletch_pump_sender_init(struct fletch_pump_sender *sender,
                                           const struct fletch_pump_source *source,
                                           uint32_t producer_limit,
                                           const struct fletch_allocator *allocator,
                                           struct fletch_error *error)
{
    size_t bytes = (size_t)producer_limit * sizeof(struct fletch_sender_producer *);
    *sender = (struct fletch_pump_sender){
        .allocator = *allocator, .source = *source, .producer_limit = producer_limit};
    fletch_channel_map_init(&sender->channels, allocator);
    sender->producers = fletch_block_allocate(allocator, bytes);
    if (sender->producers == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for %u producers of a pump", (unsigned)producer_limit);
    memset(sender->producers, 0, bytes);
    return FLETCH_OK;
}

/* An empty frame; NULL: no memory. */
static struct fletch_sender_frame *make_frame(struct fletch_pump_sender *sender)
{
    struct fletch_sender_frame *frame = sender->free_frames;
    if (frame != NULL)
        sender->free_frames = frame->next;
    else
        frame = fletch_block_allocate(&sender->allocator, sizeof *frame);
    if (frame != NULL)
        *frame = (struct fletch_sender_frame){0};
    return frame;
}

static struct fletch_sender_group *make_group(struct fletch_pump_sender *sender)
{
    struct fletch_sender_group *group = sender->free_groups;
    if (group != NULL)
        sender->free_groups = group->next;
    else
        group = fletch_block_allocate(&sender->allocator, sizeof *group);
    if (group != NULL) {
        group->next = NULL;
        group->unsent = 0;
        group->frames = 0;
        group->has_control = false;
        group->is_sent = false;
        group->was_sent = false;
        group->totals_sent = 0;
    }
    return group;
}

static struct fletch_sender_producer *find_producer(struct fletch_pump_sender *sender,
                                                    uint32_t number, uint32_t attempt)
{
    struct fletch_sender_producer *producer =
        number < sender->producer_limit ? sender->producers[number] : NULL;
    if (producer != NULL || number >= sender->producer_limit)
        return producer;
    producer = fletch_block_allocate(&sender->allocator, sizeof *producer);
    struct fletch_sender_group *group = make_group(sender);
    if (producer == NULL || group == NULL) {
        if (producer != NULL)
            fletch_block_release(producer);
        if (group != NULL) {
            group->next = sender->free_groups;
            sender->free_groups = group;
        }
        return NULL;
    }
    *producer = (struct fletch_sender_producer){
        .number = number, .attempt = attempt, .first = group, .last = group};
    sender->producers[number] = producer;
    return producer;
}

static struct fletch_sender_channel *find_channel(struct fletch_pump_sender *sender,
                                                  const struct fletch_envelope_channel *key)
{
    uint64_t number = fletch_channel_key(key->producer, key->partition);
    struct fletch_sender_channel *channel = fletch_channel_map_find(&sender->channels, number);
    if (channel != NULL)
        return channel;
    struct fletch_sender_producer *producer = find_producer(sender, key->producer, key->attempt);
    if (producer != NULL)
        channel = fletch_block_allocate(&sender->allocator, sizeof *channel);
    if (channel == NULL)
        return NULL;
    *channel =
        (struct fletch_sender_channel){.key = *key, .older = sender->all, .producer = producer};
    if (!fletch_channel_map_add(&sender->channels, number, channel)) {
        fletch_block_release(channel);
        return NULL;
    }
    sender->all = channel;
    return channel;
}

/* ---- frames and controls that are done ---- */

/* Groups at the front that have nothing left. */
static void drop_groups(struct fletch_pump_sender *sender, struct fletch_sender_producer *producer)
{
    while (producer->first != producer->last && !producer->first->has_control &&
           producer->first->frames == 0) {
        struct fletch_sender_group *group = producer->first;
        producer->first = group->next;
        group->next = sender->free_groups;
        sender->free_groups = group;
    }
    fletch_sender_list_control(sender, producer);
}

/* The oldest frame of a channel is gone. */
static void *pop_frame(struct fletch_pump_sender *sender, struct fletch_sender_channel *channel)
{
    struct fletch_sender_frame *frame = channel->first;
    channel->first = frame->next;
    if (channel->unoffered == frame)
        channel->unoffered = frame->next;
    else
        channel->offered--;
    if (channel->unsent == frame)
        channel->unsent = frame->next;
    if (!frame->is_sent)
        frame->group->unsent--;
    if (frame->is_eager)
        sender->eager_used -= fletch_sender_weight(frame->data.bytes);
    frame->group->frames--;
    sender->held--;
    frame->next = sender->free_frames;
    sender->free_frames = frame;
    return frame->token;
}

static void forget_frames(struct fletch_pump_sender *sender, struct fletch_sender_channel *channel)
{
    while (channel->first != NULL)
        (void)pop_frame(sender, channel);
    drop_groups(sender, channel->producer);
}

static void forget_everything(struct fletch_pump_sender *sender)
{
    for (struct fletch_sender_channel *channel = sender->all; channel != NULL;
         channel = channel->older)
        forget_frames(sender, channel);
    for (uint32_t i = 0; i < sender->producer_limit; i++) {
        struct fletch_sender_producer *producer = sender->producers[i];
        for (struct fletch_sender_group *group = producer == NULL ? NULL : producer->first;
             group != NULL; group = group->next) {
            sender->held -= group->has_control ? 1 : 0;
            group->has_control = false;
        }
        if (producer != NULL)
            drop_groups(sender, producer);
    }
}

static void release_all(struct fletch_pump_sender *sender)
{
    while (sender->all != NULL) {
        struct fletch_sender_channel *channel = sender->all;
        sender->all = channel->older;
        while (channel->first != NULL)
            (void)pop_frame(sender, channel);
        fletch_block_release(channel);
    }
    for (uint32_t i = 0; sender->producers != NULL && i < sender->producer_limit; i++) {
        struct fletch_sender_producer *producer = sender->producers[i];
        for (struct fletch_sender_group *group = producer == NULL ? NULL : producer->first;
             group != NULL;) {
            struct fletch_sender_group *next = group->next;
            fletch_block_release(group);
            group = next;
        }
        if (producer != NULL)
            fletch_block_release(producer);
    }
    while (sender->free_frames != NULL) {
        struct fletch_sender_frame *next = sender->free_frames->next;
        fletch_block_release(sender->free_frames);
        sender->free_frames = next;
    }
    while (sender->free_groups != NULL) {
        struct fletch_sender_group *next = sender->free_groups->next;
        fletch_block_release(sender->free_groups);
        sender->free_groups = next;
    }
    if (sender->producers != NULL)
        fletch_block_release(sender->producers);
    sender->producers = NULL;
}

void fletch_pump_sender_deinit(struct fletch_pump_sender *sender)
{
    release_all(sender);
    fletch_channel_map_deinit(&sender->channels);
}

/* ---- what goes nowhere ---- */

static void fail_partition(struct fletch_pump_sender *sender, uint32_t partition,
                           const struct fletch_error *cause)
{
    sender->source.fail(sender->source.context, partition, cause);
    for (struct fletch_sender_channel *channel = sender->all; channel != NULL;
         channel = channel->older)
        if (channel->key.partition == partition) {
            channel->is_refused = true;
            forget_frames(sender, channel);
        }
}

static void fail_all(struct fletch_pump_sender *sender, enum fletch_status status, const char *text)
{
    if (sender->state == FLETCH_SENDER_FAILED || sender->state == FLETCH_SENDER_DONE)
        return;
    sender->state = FLETCH_SENDER_FAILED;
    (void)fletch_error_set(&sender->failure, status, "%s", text);
    sender->source.fail(sender->source.context, FLETCH_ALL_PARTITIONS, &sender->failure);
    forget_everything(sender);
}

void fletch_pump_sender_fail(struct fletch_pump_sender *sender, enum fletch_status status,
                             const char *text)
{
    sender->tells_failure =
        sender->state != FLETCH_SENDER_FAILED && sender->state != FLETCH_SENDER_DONE;
    fail_all(sender, status, text);
}

void fletch_pump_sender_lose(struct fletch_pump_sender *sender,
                             const struct fletch_envelope_channel *key,
                             const struct fletch_error *cause)
{
    struct fletch_sender_channel *channel = find_channel(sender, key);
    if (channel == NULL || channel->is_refused)
        return;
    channel->returned = channel->mark + 1;
    FLETCH_QUEUE_PUSH(&sender->returning, channel, returning);
    sender->loss = *cause;
    sender->lost = *key;
    sender->tells_loss = true;
    fail_partition(sender, key->partition, cause);
}

/* ---- connections ---- */

void fletch_pump_sender_resume(struct fletch_pump_sender *sender, uint64_t eager_bytes)
{
    if (sender->state != FLETCH_SENDER_CUT)
        return;
    sender->state = FLETCH_SENDER_RESUMING;
    sender->eager_bytes = eager_bytes;
}

static void rewind_channel(struct fletch_sender_channel *channel)
{
    for (struct fletch_sender_frame *frame = channel->first; frame != NULL; frame = frame->next) {
        if (frame->is_sent)
            frame->group->unsent++;
        frame->is_sent = false;
    }
    channel->unsent = channel->first;
}

void fletch_pump_sender_cut(struct fletch_pump_sender *sender)
{
    if (sender->state == FLETCH_SENDER_FAILED || sender->state == FLETCH_SENDER_DONE)
        return;
    sender->state = FLETCH_SENDER_CUT;
    sender->offering = sender->sending = sender->returning = (struct fletch_sender_queue){0};
    sender->controlling_first = NULL;
    sender->eager_used = 0;
    for (struct fletch_sender_channel *channel = sender->all; channel != NULL;
         channel = channel->older) {
        rewind_channel(channel);
        for (struct fletch_sender_frame *frame = channel->first; frame != NULL; frame = frame->next)
            frame->is_eager = false;
        channel->unoffered = channel->first;
        channel->offered = 0;
        channel->grant = channel->accepted;
        channel->is_offering = channel->is_sending = channel->is_returning = false;
    }
    for (uint32_t i = 0; i < sender->producer_limit; i++) {
        struct fletch_sender_producer *producer = sender->producers[i];
        if (producer == NULL)
            continue;
        producer->is_listed = false;
        producer->first->is_sent = false;
        producer->first->totals_sent = 0;
    }
}

/* All that is known of the other side has been told. */
static void open_sender(struct fletch_pump_sender *sender)
{
    sender->state = FLETCH_SENDER_OPEN;
    for (struct fletch_sender_channel *channel = sender->all; channel != NULL;
         channel = channel->older) {
        if (channel->returned != 0)
            FLETCH_QUEUE_PUSH(&sender->returning, channel, returning);
        fletch_sender_list_channel(sender, channel);
    }
    for (uint32_t i = 0; i < sender->producer_limit; i++)
        if (sender->producers[i] != NULL)
            fletch_sender_list_control(sender, sender->producers[i]);
}

/* ---- what local producers have ---- */

static void take_frame(struct fletch_pump_sender *sender, const struct fletch_pump_item *item,
                       struct fletch_sender_channel *channel, struct fletch_sender_frame *frame)
{
    frame->token = item->token;
    frame->data = item->data;
    frame->data.offset = channel->end;
    frame->group = channel->producer->last;
    frame->group->unsent++;
    frame->group->frames++;
    channel->end += fletch_sender_weight(item->data.bytes);
    frame->end = channel->end;
    if (channel->first == NULL)
        channel->first = frame;
    else
        channel->last->next = frame;
    channel->last = frame;
    if (channel->unoffered == NULL)
        channel->unoffered = frame;
    if (channel->unsent == NULL)
        channel->unsent = frame;
    sender->held++;
    if (sender->state == FLETCH_SENDER_OPEN)
        fletch_sender_list_channel(sender, channel);
}

static bool fill_frame(struct fletch_pump_sender *sender, const struct fletch_pump_item *item)
{
    struct fletch_sender_channel *channel = find_channel(sender, &item->data.channel);
    struct fletch_sender_frame *frame = channel == NULL ? NULL : make_frame(sender);
    if (frame == NULL)
        return false;
    take_frame(sender, item, channel, frame);
    return true;
}

static bool fill_control(struct fletch_pump_sender *sender, const struct fletch_pump_item *item)
{
    struct fletch_sender_producer *producer = find_producer(sender, item->producer, item->attempt);
    struct fletch_sender_group *open = producer == NULL ? NULL : make_group(sender);
    if (open == NULL)
        return false;
    struct fletch_sender_group *group = producer->last;
    group->has_control = true;
    group->item = *item;
    group->next = open;
    producer->last = open;
    sender->held++;
    if (sender->state == FLETCH_SENDER_OPEN)
        fletch_sender_list_control(sender, producer);
    return true;
}

void fletch_pump_sender_fill(struct fletch_pump_sender *sender)
{
    while (sender->state != FLETCH_SENDER_FAILED) {
        struct fletch_pump_item item = {.kind = FLETCH_PUMP_NOTHING};
        sender->source.take(sender->source.context, &item);
        if (item.kind == FLETCH_PUMP_NOTHING)
            return;
        bool is_kept = item.kind == FLETCH_PUMP_FRAME ? fill_frame(sender, &item)
                                                      : fill_control(sender, &item);
        if (!is_kept)
            fletch_pump_sender_fail(sender, FLETCH_RESOURCE_EXHAUSTED,
                                    "no memory in the pump for what producers have sent");
    }
}

/* ---- messages of the other side ---- */

static enum fletch_status accept_mark(struct fletch_pump_sender *sender,
                                      const struct fletch_envelope_mark *mark,
                                      struct fletch_error *error)
{
    uint64_t key = fletch_channel_key(mark->channel.producer, mark->channel.partition);
    struct fletch_sender_channel *channel = fletch_channel_map_find(&sender->channels, key);
    if (channel == NULL || channel->key.attempt != mark->channel.attempt)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "UPDATE of producer %u, attempt %u, partition %u, which has sent "
                                "nothing",
                                (unsigned)mark->channel.producer, (unsigned)mark->channel.attempt,
                                (unsigned)mark->channel.partition);
    while (channel->first != NULL && channel->first->data.sequence <= mark->sequence) {
        struct fletch_sender_frame *frame = channel->first;
        if (!frame->is_sent && sender->state != FLETCH_SENDER_RESUMING)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "UPDATE accepts frame %llu, which was not sent",
                                    (unsigned long long)frame->data.sequence);
        channel->mark = frame->data.sequence;
        channel->accepted = frame->end;
        sender->counters.frames_accepted++;
        sender->source.frame_done(sender->source.context, pop_frame(sender, channel));
    }
    drop_groups(sender, channel->producer);
    if (mark->grant > channel->grant)
        channel->grant = mark->grant;
    /* What was granted on an earlier connection need not be offered again. */
    while (channel->unoffered != NULL && channel->unoffered->end <= channel->grant) {
        channel->unoffered = channel->unoffered->next;
        channel->offered++;
    }
    if (sender->state == FLETCH_SENDER_OPEN)
        fletch_sender_list_channel(sender, channel);
    return FLETCH_OK;
}

static enum fletch_status accept_answer(struct fletch_pump_sender *sender,
                                        const struct fletch_envelope_answer *answer,
                                        struct fletch_error *error)
{
    struct fletch_sender_producer *producer =
        answer->producer < sender->producer_limit ? sender->producers[answer->producer] : NULL;
    struct fletch_sender_group *group = producer == NULL ? NULL : producer->first;
    /* One of before: it was told when the connection before this one was cut. */
    if (group == NULL || !group->has_control || answer->sequence < group->item.record.sequence)
        return FLETCH_OK;
    if (answer->sequence != group->item.record.sequence || !group->was_sent || group->frames != 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "UPDATE answers control %llu of producer %u, which was not sent",
                                (unsigned long long)answer->sequence, (unsigned)answer->producer);
    group->has_control = false;
    sender->held--;
    sender->source.control_done(sender->source.context, group->item.token, answer);
    drop_groups(sender, producer);
    return FLETCH_OK;
}

static enum fletch_status take_update(struct fletch_pump_sender *sender,
                                      const struct fletch_envelope_update *update,
                                      struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; i < update->mark_count && status == FLETCH_OK; i++)
        status = accept_mark(sender, &update->marks[i], error);
    for (uint32_t i = 0; i < update->answer_count && status == FLETCH_OK; i++)
        status = accept_answer(sender, &update->answers[i], error);
    if (status == FLETCH_OK && update->is_complete && sender->state == FLETCH_SENDER_RESUMING)
        open_sender(sender);
    return status;
}

/* The other side misses a frame: its channel is sent again from there on. */
static void send_again(struct fletch_pump_sender *sender,
                       const struct fletch_envelope_refuse *refuse)
{
    uint64_t key = fletch_channel_key(refuse->channel.producer, refuse->channel.partition);
    struct fletch_sender_channel *channel = fletch_channel_map_find(&sender->channels, key);
    if (channel == NULL || channel->key.attempt != refuse->channel.attempt)
        return;
    rewind_channel(channel);
    fletch_sender_list_channel(sender, channel);
}

static void take_refuse(struct fletch_pump_sender *sender,
                        const struct fletch_envelope_refuse *refuse)
{
    struct fletch_error cause;
    (void)fletch_error_set(&cause, (enum fletch_status)refuse->status, "%.*s",
                           (int)refuse->text.byte_count, refuse->text.bytes);
    if (refuse->scope == FLETCH_REFUSED_FRAME)
        send_again(sender, refuse);
    else if (refuse->scope == FLETCH_REFUSED_PARTITION)
        fail_partition(sender, refuse->channel.partition, &cause);
    else
        fail_all(sender, cause.status, cause.message);
}

enum fletch_status fletch_pump_sender_take(struct fletch_pump_sender *sender,
                                           const struct fletch_envelope *envelope,
                                           struct fletch_error *error)
{
    if (sender->state == FLETCH_SENDER_FAILED || sender->state == FLETCH_SENDER_DONE)
        return FLETCH_OK;
    if (sender->state != FLETCH_SENDER_CUT && envelope->kind == FLETCH_ENVELOPE_UPDATE)
        return take_update(sender, &envelope->update, error);
    if (sender->state != FLETCH_SENDER_CUT && envelope->kind == FLETCH_ENVELOPE_REFUSE) {
        take_refuse(sender, &envelope->refuse);
        return FLETCH_OK;
    }
    if (sender->state == FLETCH_SENDER_LEAVING && envelope->kind == FLETCH_ENVELOPE_BYE) {
        sender->state = FLETCH_SENDER_DONE;
        return FLETCH_OK;
    }
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "%s is not for a sender, or not now",
                            fletch_envelope_kind_name(envelope->kind));
}
