#include "shuffle/writer_send.h"

#include "base/allocator.h"
#include "base/assert.h"
#include "base/status.h"
#include "partition/partition_writer.h"
#include "shuffle/batch_body.h"
#include "shuffle/writer_alone.h"
#include "shuffle/writer_linger.h"

/* ---- channels ---- */

struct fletch_channel *fletch_writer_channel(struct fletch_shuffle_writer *writer,
                                             uint32_t partition)
{
    if (writer->channels[partition] != NULL)
        return writer->channels[partition];
    struct fletch_shuffle *shuffle = writer->shuffle;
    uint64_t held_mask =
        fletch_placement_aligns(&shuffle->specification.placement) ? UINT64_MAX : 0;
    writer->channels[partition] = fletch_shuffle_partition_open_channel(
        &shuffle->partitions[partition], writer->producer, held_mask, writer->seat->sleeper);
    return writer->channels[partition];
}

/* ---- frames ---- */

static void drop_frame(struct fletch_shuffle_writer *writer, struct fletch_frame *frame)
{
    if (frame->batch != NULL)
        fletch_batch_release(writer->cache, frame->batch);
    else
        fletch_spill_release(&frame->spilled);
    fletch_frame_recycle(frame);
}

static void push_frame(struct fletch_shuffle_writer *writer, struct fletch_frame *frame,
                       enum fletch_credit_source source)
{
    struct fletch_channel *channel = frame->channel;
    struct fletch_shuffle_partition *partition = &writer->shuffle->partitions[channel->partition];
    uint64_t kept_bytes = frame->kept_bytes;
    fletch_channel_totals_add(&channel->sent, frame);
    frame->sequence = channel->sent.frames;
    frame->credit = source;
    writer->has_moved = true;
    writer->moves++;
    if (frame->batch != NULL)
        fletch_batch_pass_charge(frame->batch, writer->account, writer->shuffle->account);
    fletch_shuffle_count_sent(writer->shuffle, frame->rows, frame->bytes);
    if (fletch_shuffle_partition_push(partition, writer->epoch_reader, frame) == FLETCH_DONE)
        return;
    fletch_credit_return(&partition->credit, source, kept_bytes);
    drop_frame(writer, frame);
    writer->refusing = partition;
}

/* ---- frames that wait ---- */

void fletch_writer_line_up(struct fletch_shuffle_writer *writer, struct fletch_frame *frame)
{
    struct fletch_channel *channel = frame->channel;
    frame->node.next = NULL;
    if (channel->first_waiting != NULL) {
        channel->last_waiting->node.next = &frame->node;
        channel->last_waiting = frame;
        return;
    }
    channel->first_waiting = channel->last_waiting = frame;
    channel->next_waiting = NULL;
    if (writer->first_waiting == NULL)
        writer->first_waiting = channel;
    else
        writer->last_waiting->next_waiting = channel;
    writer->last_waiting = channel;
}

/* Takes the oldest frame of a channel that has some. */
static struct fletch_frame *leave_line(struct fletch_channel *channel)
{
    struct fletch_frame *frame = channel->first_waiting;
    channel->first_waiting = (struct fletch_frame *)(void *)frame->node.next;
    return frame;
}

void fletch_writer_forget_idle_channels(struct fletch_shuffle_writer *writer)
{
    struct fletch_channel **link = &writer->first_waiting;
    writer->last_waiting = NULL;
    while (*link != NULL) {
        if ((*link)->first_waiting == NULL) {
            *link = (*link)->next_waiting;
            continue;
        }
        writer->last_waiting = *link;
        link = &(*link)->next_waiting;
    }
}

/* Sends what has credit of one channel's frames. Whether something went. */
static bool send_line(struct fletch_shuffle_writer *writer, struct fletch_channel *channel,
                      bool asks)
{
    enum fletch_credit_source source = FLETCH_CREDIT_NONE;
    bool has_sent = false;
    while (channel->first_waiting != NULL) {
        const struct fletch_frame *frame = channel->first_waiting;
        if (!fletch_credit_request_obtain(&channel->request, frame->kept_bytes,
                                          frame->barrier & channel->held_mask, asks, &source))
            break;
        push_frame(writer, leave_line(channel), source);
        has_sent = true;
    }
    return has_sent;
}

static void send_lines(struct fletch_shuffle_writer *writer, bool asks)
{
    bool has_sent = false;
    for (struct fletch_channel *channel = writer->first_waiting; channel != NULL;
         channel = channel->next_waiting)
        has_sent |= send_line(writer, channel, asks);
    if (has_sent)
        fletch_writer_forget_idle_channels(writer);
}

void fletch_writer_push_oldest(struct fletch_shuffle_writer *writer, struct fletch_channel *channel,
                               enum fletch_credit_source source)
{
    push_frame(writer, leave_line(channel), source);
}

void fletch_writer_send(struct fletch_shuffle_writer *writer, struct fletch_frame *frame)
{
    struct fletch_channel *channel = frame->channel;
    enum fletch_credit_source source = FLETCH_CREDIT_NONE;
    if (channel->first_waiting == NULL &&
        fletch_credit_try(channel->request.credit, frame->kept_bytes,
                          frame->barrier & channel->held_mask, &source))
        push_frame(writer, frame, source);
    else
        fletch_writer_line_up(writer, frame);
}

void fletch_writer_ask(struct fletch_shuffle_writer *writer)
{
    writer->has_asked = true;
    send_lines(writer, true);
}

void fletch_writer_give_up(struct fletch_shuffle_writer *writer)
{
    enum fletch_credit_source source = FLETCH_CREDIT_NONE;
    if (!writer->has_asked)
        return;
    writer->has_asked = false;
    for (struct fletch_channel *channel = writer->first_waiting; channel != NULL;
         channel = channel->next_waiting)
        if (fletch_credit_request_give_up(&channel->request, &source))
            push_frame(writer, leave_line(channel), source);
    fletch_writer_forget_idle_channels(writer);
}

bool fletch_writer_has_grant(const struct fletch_shuffle_writer *writer)
{
    for (struct fletch_channel *channel = writer->first_waiting; channel != NULL;
         channel = channel->next_waiting)
        if (!fletch_credit_request_is_waiting(&channel->request))
            return true;
    return false;
}

void fletch_writer_drop(struct fletch_shuffle_writer *writer)
{
    enum fletch_credit_source source = FLETCH_CREDIT_NONE;
    for (struct fletch_channel *channel = writer->first_waiting; channel != NULL;
         channel = channel->next_waiting) {
        if (fletch_credit_request_give_up(&channel->request, &source))
            fletch_credit_return(channel->request.credit, source,
                                 channel->first_waiting->kept_bytes);
        while (channel->first_waiting != NULL)
            drop_frame(writer, leave_line(channel));
    }
    writer->has_asked = false;
    writer->first_waiting = writer->last_waiting = NULL;
    fletch_batch_release(writer->cache, writer->in_hand.batch);
    writer->in_hand.batch = NULL;
    fletch_writer_note_holding(writer, FLETCH_OK);
}

/* ---- partitions that have failed ---- */

static const struct fletch_shuffle_partition *
first_failed(const struct fletch_shuffle_writer *writer)
{
    for (const struct fletch_channel *channel = writer->first_waiting; channel != NULL;
         channel = channel->next_waiting) {
        const struct fletch_shuffle_partition *partition =
            &writer->shuffle->partitions[channel->partition];
        if (channel->first_waiting != NULL && fletch_shuffle_partition_has_failed(partition))
            return partition;
    }
    return NULL;
}

bool fletch_writer_waits_in_vain(const struct fletch_shuffle_writer *writer)
{
    return first_failed(writer) != NULL;
}

enum fletch_status fletch_writer_check_partitions(struct fletch_shuffle_writer *writer,
                                                  struct fletch_error *error)
{
    if (writer->refusing == NULL)
        writer->refusing = first_failed(writer);
    if (writer->refusing == NULL)
        return FLETCH_OK;
    enum fletch_status status = fletch_shuffle_check(writer->shuffle, error);
    if (status == FLETCH_OK)
        status = fletch_shuffle_partition_check(writer->refusing, error);
    if (status != FLETCH_OK) {
        fletch_writer_drop(writer);
        fletch_partition_writer_destroy(writer->partition_writer);
        writer->partition_writer = NULL;
    }
    return status;
}

/* ---- from the partition writer ---- */

static enum fletch_status refuse_memory(struct fletch_error *error, const char *what,
                                        uint32_t partition)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory for %s to partition %u", what,
                            partition);
}

/* Sends the frame in hand. */
static enum fletch_status send_in_hand(struct fletch_shuffle_writer *writer,
                                       struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &writer->shuffle->specification;
    struct fletch_partition_frame *found = &writer->in_hand;
    struct fletch_channel *channel = fletch_writer_channel(writer, found->partition);
    if (channel == NULL)
        return refuse_memory(error, "the channel", found->partition);
    struct fletch_frame *frame = fletch_frame_pool_take(&writer->seat->frames);
    if (frame == NULL)
        return refuse_memory(error, "a frame", found->partition);
    frame->channel = channel;
    frame->batch = found->batch;
    frame->barrier = writer->barrier;
    frame->rows = (uint64_t)found->batch->row_count;
    frame->bytes = fletch_batch_body_bytes(found->batch);
    frame->kept_bytes = fletch_batch_kept_bytes(found->batch);
    frame->key_sum = found->key_sum;
    if (specification->sums == FLETCH_SUMS_ROWS)
        frame->row_sum = fletch_hash_row_sum(found->batch);
    found->batch = NULL;
    fletch_writer_linger_restart(writer, channel->partition);
    fletch_writer_send(writer, frame);
    return FLETCH_OK;
}

/* Sends all finished frames. */
static enum fletch_status send_finished(struct fletch_shuffle_writer *writer,
                                        struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    while (status == FLETCH_OK) {
        if (writer->in_hand.batch == NULL)
            status =
                fletch_partition_writer_next(writer->partition_writer, &writer->in_hand, error);
        if (status != FLETCH_OK || writer->in_hand.batch == NULL)
            return status;
        status = send_in_hand(writer, error);
    }
    return status;
}

void fletch_writer_note_holding(struct fletch_shuffle_writer *writer, enum fletch_status status)
{
    bool is_holding = writer->first_waiting != NULL || status == FLETCH_RESOURCE_EXHAUSTED;
    if (is_holding == writer->is_holding)
        return;
    writer->is_holding = is_holding;
    writer->has_moved = true; /* the time that it waits begins now */
    /* relaxed: who looks at it looks twice */
    fetch_add_relaxed(&writer->shuffle->written.writers_holding, is_holding ? 1u : UINT32_MAX);
}

/* Goes on with a batch, block by block, as far as there is memory for it. */
static enum fletch_status resume(struct fletch_shuffle_writer *writer, struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    bool may_go_on;
    do {
        uint64_t moves = writer->moves;
        status = fletch_partition_writer_resume(writer->partition_writer, error);
        enum fletch_status sent = send_finished(writer, status == FLETCH_OK ? error : NULL);
        status = status == FLETCH_OK ? sent : status;
        may_go_on = status == FLETCH_OK
                        ? fletch_partition_writer_has_rest(writer->partition_writer)
                        : status == FLETCH_RESOURCE_EXHAUSTED && moves != writer->moves;
    } while (may_go_on);
    return status;
}

/* The same for a writer that has sent all its frames and finds no memory all the same. What it is
 * gathering goes first, for which the shuffle pays the batches' blocks: its own account may be full
 * of the rows. What is left then is a row that is larger than the writer's share of the budget: it
 * is charged to the shuffle, where others may have left room; or goes beside the budget, alone. */
static enum fletch_status resume_with_nothing(struct fletch_shuffle_writer *writer,
                                              struct fletch_error *error)
{
    struct fletch_partition_writer *rows = writer->partition_writer;
    uint64_t moves = writer->moves;
    enum fletch_status status = fletch_partition_writer_finish_open(rows, error);
    fletch_partition_writer_charge(rows, writer->shuffle->account);
    if (status == FLETCH_OK)
        status = send_finished(writer, error);
    bool has_sent = writer->moves != moves || writer->first_waiting != NULL;
    if (status == FLETCH_OK && !has_sent)
        status = resume(writer, error);
    fletch_partition_writer_charge(rows, writer->account);
    if (status == FLETCH_OK && has_sent)
        return resume(writer, error);
    if (status == FLETCH_RESOURCE_EXHAUSTED && writer->first_waiting == NULL)
        return fletch_writer_resume_alone(writer, resume, error);
    return status;
}

enum fletch_status fletch_writer_advance(struct fletch_shuffle_writer *writer,
                                         struct fletch_error *error)
{
    enum fletch_status status = fletch_shuffle_check(writer->shuffle, error);
    if (status == FLETCH_OK)
        status = fletch_writer_check_partitions(writer, error);
    if (status != FLETCH_OK)
        return status;
    if (writer->first_waiting != NULL)
        send_lines(writer, false);
    status = send_finished(writer, error);
    if (status == FLETCH_OK && fletch_partition_writer_has_rest(writer->partition_writer))
        status = resume(writer, error);
    if (status == FLETCH_RESOURCE_EXHAUSTED && writer->first_waiting == NULL)
        status = resume_with_nothing(writer, error);
    enum fletch_status failure = fletch_writer_check_partitions(writer, error);
    if (failure != FLETCH_OK)
        return failure;
    fletch_writer_note_holding(writer, status);
    return status;
}
