#include "flow/flow_outlet.h"

#include <inttypes.h>

#include "base/status.h"
#include "flow/flow_abort.h"
#include "flow/flow_run.h"
#include "flow/flow_task.h"
#include "partition/partition_writer.h"
#include "shuffle/shuffle_writer.h"
#include "shuffle/writer_send.h"
#include "shuffle/writer_spill.h"
#include "shuffle/writer_wait.h"

enum outcome { SENT, REFUSED, FAILED };

/* ---- shuffles ---- */

/* Whether the writer has nothing that it could not get rid of. */
static bool is_settled(const struct fletch_shuffle_writer *writer)
{
    return writer->first_waiting == NULL && writer->in_hand.batch == NULL &&
           (writer->partition_writer == NULL ||
            !fletch_partition_writer_has_rest(writer->partition_writer));
}

static enum fletch_status write_batch(struct fletch_flow_outlet *outlet, struct fletch_batch *batch,
                                      struct fletch_error *error)
{
    if (outlet->link->edge.kind != FLETCH_FLOW_REBALANCE)
        return fletch_shuffle_writer_write(outlet->writer, batch, 0, error);
    enum fletch_status status =
        fletch_shuffle_writer_put(outlet->writer, outlet->next_partition, batch, 0, error);
    if (status == FLETCH_OK &&
        ++outlet->next_partition == fletch_shuffle_partition_count(outlet->link->shuffle))
        outlet->next_partition = 0;
    return status;
}

static enum fletch_status write_item(struct fletch_flow_outlet *outlet,
                                     const struct fletch_flow_item *item,
                                     struct fletch_error *error)
{
    switch ((enum fletch_flow_item_kind)item->kind) {
    case FLETCH_ITEM_BATCH:
        return write_batch(outlet, item->batch, error);
    case FLETCH_ITEM_BARRIER:
        return fletch_shuffle_writer_barrier(outlet->writer, item->value, 0, error);
    case FLETCH_ITEM_WATERMARK:
        return fletch_shuffle_writer_watermark(outlet->writer, (int64_t)item->value, 0, error);
    case FLETCH_ITEM_IDLE:
        return fletch_shuffle_writer_idle(outlet->writer, 0, error);
    case FLETCH_ITEM_END:
        break;
    }
    return fletch_shuffle_writer_end(outlet->writer, 0, error);
}

/* Counts the producers of the shuffle that are neither idle nor ended. When the last one is, or the
 * first one is not any more, nothing comes out of it: those who read it are woken to look. */
static void count_active(struct fletch_flow_context *context, struct fletch_flow_outlet *outlet,
                         const struct fletch_flow_item *item)
{
    struct fletch_flow_link *link = outlet->link;
    bool was_active = !outlet->is_idle && !outlet->has_ended;
    outlet->has_ended = item->kind == FLETCH_ITEM_END;
    if (item->kind == FLETCH_ITEM_IDLE || item->kind == FLETCH_ITEM_WATERMARK)
        outlet->is_idle = item->kind == FLETCH_ITEM_IDLE;
    bool is_active = !outlet->is_idle && !outlet->has_ended;
    if (was_active == is_active)
        return;
    bool is_turn = was_active
                       ? fetch_sub_acq_rel(&link->active, 1) == 1  /* F7 release, and acquire */
                       : fetch_add_relaxed(&link->active, 1) == 0; /* relaxed: no data behind it */
    if (is_turn)
        fletch_flow_notify_stage(context->flow, link->edge.to_stage);
}

static enum outcome send_to_shuffle(struct fletch_flow_context *context,
                                    struct fletch_flow_outlet *outlet,
                                    const struct fletch_flow_item *item, struct fletch_error *error)
{
    if (!is_settled(outlet->writer))
        return REFUSED;
    enum fletch_status status = write_item(outlet, item, error);
    if (status != FLETCH_OK)
        return status == FLETCH_RESOURCE_EXHAUSTED ? REFUSED : FAILED;
    if (item->batch != NULL)
        fletch_batch_release(context->task->cache, item->batch);
    if (item->kind != FLETCH_ITEM_BATCH)
        count_active(context, outlet, item);
    outlet->refused_since_ns = 0;
    return SENT;
}

/* ---- rings ---- */

static enum outcome send_to_ring(struct fletch_flow_context *context,
                                 struct fletch_flow_outlet *outlet,
                                 const struct fletch_flow_item *item)
{
    if (fletch_spsc_ring_try_push(outlet->ring, item) != FLETCH_DONE)
        return REFUSED;
    if (context->flow->sleeps)
        fletch_eventcount_notify_inline(outlet->wakes, 1);
    return SENT;
}

static enum outcome try_send(struct fletch_flow_context *context, struct fletch_flow_outlet *outlet,
                             const struct fletch_flow_item *item, struct fletch_error *error)
{
    if (outlet->ring != NULL)
        return send_to_ring(context, outlet, item);
    return outlet->writer == NULL ? REFUSED : send_to_shuffle(context, outlet, item, error);
}

enum fletch_status fletch_outlet_send(struct fletch_flow_context *context,
                                      struct fletch_flow_outlet *outlet,
                                      const struct fletch_flow_item *item,
                                      struct fletch_error *error)
{
    if (outlet->waiting.count == 0) {
        enum outcome outcome = try_send(context, outlet, item, error);
        if (outcome != REFUSED)
            return outcome == SENT ? FLETCH_OK : error->status;
    }
    if (fletch_item_queue_push(&outlet->waiting, &context->flow->allocator, item))
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory to let %u items wait for stage '%s'",
                            outlet->waiting.count + 1,
                            context->flow->nodes[outlet->link->edge.to_stage]->name);
}

/* ---- what waits ---- */

/* Whether trying again is of no use yet: credit was asked for, and whoever gives it tells. */
static bool waits_for_credit(const struct fletch_shuffle_writer *writer)
{
    return writer->has_asked && writer->first_waiting != NULL && !fletch_writer_has_grant(writer) &&
           !fletch_writer_waits_in_vain(writer) && !fletch_writer_can_spill(writer) &&
           !fletch_shuffle_is_cancelled(writer->shuffle);
}

/* Lets the task look again soon; fails when that went on for too long. */
static enum fletch_status wait_for_memory(struct fletch_flow_context *context,
                                          struct fletch_flow_outlet *outlet,
                                          struct fletch_error *error)
{
    uint64_t now_ns = fletch_flow_now_ns(context->flow);
    if (outlet->refused_since_ns == 0)
        outlet->refused_since_ns = now_ns;
    if (now_ns - outlet->refused_since_ns >= context->flow->memory_timeout_ns)
        return FLETCH_RESOURCE_EXHAUSTED; /* `error` says what was refused */
    fletch_task_look_at(context->task, now_ns + FLETCH_FLOW_MEMORY_LOOK_NS);
    (void)error;
    return FLETCH_OK;
}

/* Gets rid of what the writer has. `*out_settled`: it has nothing any more. */
static enum fletch_status settle(struct fletch_flow_context *context,
                                 struct fletch_flow_outlet *outlet, bool *out_settled,
                                 struct fletch_error *error)
{
    struct fletch_shuffle_writer *writer = outlet->writer;
    *out_settled = is_settled(writer);
    if (*out_settled || waits_for_credit(writer))
        return FLETCH_OK;
    uint64_t moves = writer->moves;
    enum fletch_status status = fletch_writer_try_settle(writer, out_settled, error);
    if (status != FLETCH_OK)
        return status;
    context->has_moved |= writer->moves != moves;
    if (*out_settled)
        return FLETCH_OK;
    if (writer->first_waiting == NULL)
        return wait_for_memory(context, outlet, error);
    if (fletch_writer_can_spill(writer))
        fletch_task_look_at(context->task,
                            writer->moved_ns + writer->shuffle->specification.spill_after_ns);
    return FLETCH_OK;
}

static enum fletch_status flush_to_shuffle(struct fletch_flow_context *context,
                                           struct fletch_flow_outlet *outlet,
                                           struct fletch_error *error)
{
    bool has_settled = outlet->has_ended;
    while (!outlet->has_ended) {
        enum fletch_status status = settle(context, outlet, &has_settled, error);
        if (status != FLETCH_OK || !has_settled || outlet->waiting.count == 0) {
            outlet->is_blocked = !has_settled;
            return status;
        }
        const struct fletch_flow_item *item = fletch_item_queue_front(&outlet->waiting);
        if (item->kind == FLETCH_ITEM_END && fletch_flow_has_unheard(context)) {
            outlet->is_blocked = true; /* a barrier before it may be in flight for ever */
            context->has_moved = true;
            return FLETCH_OK;
        }
        enum outcome outcome = try_send(context, outlet, item, error);
        if (outcome == FAILED)
            return error->status;
        if (outcome == SENT) {
            (void)fletch_item_queue_pop(&outlet->waiting);
            context->has_moved = true;
        } else if (is_settled(outlet->writer)) {
            outlet->is_blocked = true;
            return wait_for_memory(context, outlet, error);
        }
    }
    outlet->is_blocked = false;
    return FLETCH_OK;
}

enum fletch_status fletch_outlet_flush(struct fletch_flow_context *context,
                                       struct fletch_flow_outlet *outlet,
                                       struct fletch_error *error)
{
    if (outlet->writer != NULL)
        return flush_to_shuffle(context, outlet, error);
    if (outlet->ring == NULL) {
        outlet->is_blocked = outlet->waiting.count >= FLETCH_FLOW_QUEUE;
        return FLETCH_OK;
    }
    while (outlet->waiting.count > 0 &&
           send_to_ring(context, outlet, fletch_item_queue_front(&outlet->waiting)) == SENT) {
        (void)fletch_item_queue_pop(&outlet->waiting);
        context->has_moved = true;
    }
    outlet->is_blocked = outlet->waiting.count > 0;
    return FLETCH_OK;
}

/* Takes a barrier out that has not gone. */
static void forget_barrier(struct fletch_item_queue *queue, uint64_t id)
{
    for (uint32_t i = queue->count; i > 0; i--) {
        struct fletch_flow_item item = fletch_item_queue_pop(queue);
        if (item.kind != FLETCH_ITEM_BARRIER || item.value != id)
            fletch_item_queue_push_back(queue, &item);
    }
}

enum fletch_status fletch_outlet_abort_barrier(struct fletch_flow_outlet *outlet, uint64_t id,
                                               struct fletch_error *error)
{
    if (outlet->writer == NULL || outlet->has_ended)
        return FLETCH_OK; /* whoever reads a queue or ring passes over it */
    forget_barrier(&outlet->waiting, id);
    enum fletch_status status = fletch_shuffle_writer_abort_barrier(outlet->writer, id, error);
    return status == FLETCH_NOT_FOUND ? FLETCH_OK : status; /* not yet sent, or told by now */
}

enum fletch_status fletch_outlet_linger(struct fletch_flow_context *context,
                                        struct fletch_flow_outlet *outlet, uint64_t now_ns,
                                        struct fletch_error *error)
{
    struct fletch_shuffle_writer *writer = outlet->writer;
    if (writer == NULL || outlet->has_ended || outlet->is_blocked || writer->look_ns == 0)
        return FLETCH_OK;
    if (now_ns >= writer->look_ns) {
        uint64_t moves = writer->moves;
        enum fletch_status status = fletch_shuffle_writer_poll(writer, now_ns, error);
        if (status != FLETCH_OK)
            return status;
        context->has_moved |= writer->moves != moves || !is_settled(writer);
    }
    if (writer->look_ns != 0)
        fletch_task_look_at(context->task, writer->look_ns);
    return FLETCH_OK;
}
