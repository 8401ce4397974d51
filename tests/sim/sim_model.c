#include "sim/sim_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_model_init(struct sim_model *model, uint32_t producer_count, uint32_t partition_count)
{
    *model =
        (struct sim_model){.producer_count = producer_count, .partition_count = partition_count};
    for (uint32_t i = 0; i < producer_count; i++)
        model->producers[i].watermark = model->producers[i].watermark_asked = INT64_MIN;
    for (uint32_t p = 0; p < partition_count; p++)
        model->partitions[p].watermark = INT64_MIN;
}

void sim_model_deinit(struct sim_model *model)
{
    for (uint32_t i = 0; i < SIM_PRODUCERS_MAX; i++)
        free(model->producers[i].rows);
}

void sim_model_accept(struct sim_model *model, const struct sim_row *rows, uint32_t row_count)
{
    if (row_count == 0)
        return;
    struct sim_producer *producer = &model->producers[rows[0].producer];
    if (producer->row_count + row_count > producer->row_capacity) {
        producer->row_capacity = 2 * (producer->row_count + row_count);
        producer->rows = realloc(producer->rows, producer->row_capacity * sizeof *producer->rows);
        if (producer->rows == NULL)
            abort();
    }
    memcpy(producer->rows + producer->row_count, rows, row_count * sizeof *rows);
    producer->row_count += row_count;
}

bool sim_model_has_abort(const struct sim_model *model)
{
    for (uint32_t i = 0; i < model->producer_count; i++)
        if (model->producers[i].is_aborted)
            return true;
    return model->may_lose;
}

void sim_model_replay(struct sim_model *model, uint32_t partition)
{
    struct sim_partition *found = &model->partitions[partition];
    *found = (struct sim_partition){
        .is_replay = found->is_replay || found->rows > 0 || found->has_ended || found->barrier > 0,
        .watermark = INT64_MIN,
    };
}

/* The producer's next row for a partition, or NULL. */
static const struct sim_row *row_expected(struct sim_model *model, uint32_t partition,
                                          uint32_t producer)
{
    const struct sim_producer *from = &model->producers[producer];
    uint64_t *next = &model->partitions[partition].next[producer];
    while (*next < from->row_count && from->rows[*next].partition != partition)
        ++*next;
    return *next < from->row_count ? &from->rows[*next] : NULL;
}

/* Whether a row behind barrier `id` may be given: each one up to there was told, or aborted. */
static bool barriers_passed(const struct sim_model *model, const struct sim_partition *partition,
                            uint64_t id)
{
    for (uint64_t i = partition->barrier + 1; i <= id; i++)
        if (!model->is_barrier_aborted[i])
            return false;
    return true;
}

static bool complain(struct sim_model *model, const char *what, uint32_t partition,
                     const struct sim_row *row)
{
    if (row == NULL)
        snprintf(model->complaint, sizeof model->complaint, "partition %u: %s", partition, what);
    else
        snprintf(model->complaint, sizeof model->complaint,
                 "partition %u: %s: producer %u, row %" PRIu64 ", behind barrier %" PRIu64,
                 partition, what, row->producer, row->number, row->barrier);
    return false;
}

static bool check_row(struct sim_model *model, uint32_t partition, const struct fletch_batch *batch,
                      int64_t index)
{
    struct sim_partition *to = &model->partitions[partition];
    struct sim_stamp stamp = sim_stamp_at(batch, index);
    if (stamp.producer >= model->producer_count)
        return complain(model, "a row of no producer", partition, NULL);
    const struct sim_row *row = row_expected(model, partition, stamp.producer);
    if (row == NULL)
        return complain(model, "a row too many", partition, NULL);
    if (row->number != stamp.number)
        return complain(model, "another row was given in place of", partition, row);
    if (!sim_row_matches(batch, index, row))
        return complain(model, "the content is not that of", partition, row);
    if (!to->is_replay && !barriers_passed(model, to, row->barrier))
        return complain(model, "given before its barrier", partition, row);
    if (!to->is_replay && !row->is_late && row->time <= to->watermark)
        return complain(model, "given behind the watermark", partition, row);
    to->next[stamp.producer]++;
    to->has_some_of[stamp.producer] = true;
    to->rows++;
    return true;
}

static bool check_batch(struct sim_model *model, const struct fletch_shuffle_event *event)
{
    for (int64_t i = 0; i < fletch_batch_row_count(event->batch); i++) {
        if (sim_stamp_at(event->batch, i).producer != event->producer)
            return complain(model, "a row of another producer than the event says",
                            event->partition, NULL);
        if (!check_row(model, event->partition, event->batch, i))
            return false;
    }
    return true;
}

static bool check_barrier(struct sim_model *model, const struct fletch_shuffle_event *event)
{
    struct sim_partition *to = &model->partitions[event->partition];
    if (event->barrier <= to->barrier && !to->is_replay)
        return complain(model, "a barrier out of order", event->partition, NULL);
    for (uint32_t i = 0; i < model->producer_count; i++) {
        const struct sim_producer *from = &model->producers[i];
        const struct sim_row *row = row_expected(model, event->partition, i);
        if (!from->asked_for_end && !from->is_aborted && from->barrier_asked < event->barrier)
            return complain(model, "a barrier that not all have sent", event->partition, NULL);
        if (row != NULL && row->barrier < event->barrier && !from->is_aborted)
            return complain(model, "a barrier overtook", event->partition, row);
    }
    to->barrier = event->barrier;
    return true;
}

static bool check_watermark(struct sim_model *model, const struct fletch_shuffle_event *event)
{
    struct sim_partition *to = &model->partitions[event->partition];
    if (event->watermark <= to->watermark)
        return complain(model, "a watermark that is not greater", event->partition, NULL);
    to->watermark = event->watermark;
    for (uint32_t i = 0; i < model->producer_count; i++) {
        const struct sim_producer *from = &model->producers[i];
        if (!from->asked_for_end && !from->is_aborted && !from->was_idle &&
            from->watermark_asked < event->watermark)
            return complain(model, "a watermark above a producer's", event->partition, NULL);
    }
    return true;
}

static bool check_end(struct sim_model *model, const struct fletch_shuffle_event *event)
{
    struct sim_partition *to = &model->partitions[event->partition];
    for (uint32_t i = 0; i < model->producer_count; i++) {
        const struct sim_row *row = row_expected(model, event->partition, i);
        if (row != NULL)
            return complain(model, "the end came before", event->partition, row);
        if (!model->producers[i].asked_for_end)
            return complain(model, "the end came before a producer's", event->partition, NULL);
    }
    if (event->rows != to->rows)
        return complain(model, "the end counts other rows", event->partition, NULL);
    to->has_ended = true;
    return true;
}

bool sim_model_check(struct sim_model *model, const struct fletch_shuffle_event *event)
{
    struct sim_partition *to = &model->partitions[event->partition];
    if (to->has_ended || to->has_failed)
        return complain(model, "an event behind the end", event->partition, NULL);
    switch (event->kind) {
    case FLETCH_EVENT_BATCH:
        return check_batch(model, event);
    case FLETCH_EVENT_BARRIER:
        return check_barrier(model, event);
    case FLETCH_EVENT_WATERMARK:
        return check_watermark(model, event);
    case FLETCH_EVENT_END:
        return check_end(model, event);
    }
    return complain(model, "an event of no kind", event->partition, NULL);
}

bool sim_model_check_lost(struct sim_model *model, uint32_t partition)
{
    if (!sim_model_has_abort(model))
        return complain(model, "lost, though nobody aborted", partition, NULL);
    model->partitions[partition].has_failed = true;
    return true;
}
