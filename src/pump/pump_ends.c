#include "pump/pump_ends.h"

#include <stdio.h>
#include <string.h>

#include "memory/batch.h"

/* ---- an outlet ---- */

static void describe_frame(const struct fletch_frame *frame, struct fletch_pump_item *item)
{
    item->kind = FLETCH_PUMP_FRAME;
    item->data = (struct fletch_envelope_data){
        .channel = {frame->channel->producer, FLETCH_FIRST_ATTEMPT, frame->channel->partition},
        .sequence = frame->sequence,
        .barrier = frame->barrier,
        .rows = frame->rows,
        .bytes = frame->bytes,
        .key_sum = frame->key_sum,
        .row_sum = frame->row_sum,
    };
}

static void take(void *context, struct fletch_pump_item *out_item)
{
    const struct fletch_pump_ends *ends = context;
    struct fletch_outlet_item item = {.kind = FLETCH_OUTLET_NOTHING};
    out_item->kind = FLETCH_PUMP_NOTHING;
    if (ends->outlet != NULL)
        fletch_outlet_take(ends->outlet, &item);
    if (item.kind == FLETCH_OUTLET_FRAME) {
        describe_frame(item.frame, out_item);
        out_item->token = item.frame;
    } else if (item.kind == FLETCH_OUTLET_CONTROL) {
        out_item->kind = FLETCH_PUMP_CONTROL;
        out_item->token = item.control;
        out_item->producer = item.control->producer;
        out_item->attempt = item.control->attempt;
        out_item->record = item.control->record;
    }
}

static void frame_done(void *context, void *token)
{
    const struct fletch_pump_ends *ends = context;
    fletch_outlet_accepted(ends->outlet, token, ends->cache);
}

static void control_done(void *context, void *token, const struct fletch_envelope_answer *answer)
{
    const struct fletch_pump_ends *ends = context;
    char text[FLETCH_ENVELOPE_TEXT_MAX + 1];
    (void)snprintf(text, sizeof text, "%.*s", (int)answer->text.byte_count,
                   answer->text.byte_count == 0 ? "" : answer->text.bytes);
    fletch_outlet_control_accepted(ends->outlet, token, (enum fletch_status)answer->status, text);
}

static void fail(void *context, uint32_t partition, const struct fletch_error *cause)
{
    const struct fletch_pump_ends *ends = context;
    if (ends->outlet != NULL)
        fletch_outlet_fail(ends->outlet, partition, cause->status, cause->message);
}

static bool is_done(void *context)
{
    const struct fletch_pump_ends *ends = context;
    return ends->outlet != NULL && fletch_outlet_is_done(ends->outlet);
}

struct fletch_pump_source fletch_pump_ends_source(struct fletch_pump_ends *ends)
{
    return (struct fletch_pump_source){.take = take,
                                       .frame_done = frame_done,
                                       .control_done = control_done,
                                       .fail = fail,
                                       .is_done = is_done,
                                       .context = ends};
}

/* ---- inlets ---- */

static enum fletch_status open_inlet(void *context, uint32_t producer, uint32_t attempt,
                                     void **out_inlet, struct fletch_error *error)
{
    const struct fletch_pump_ends *ends = context;
    const struct fletch_inlet_options options = {.producer = producer,
                                                 .attempt = attempt,
                                                 .sleeper = ends->sleeper,
                                                 .partitions = ends->partitions,
                                                 .partition_count = ends->partition_count};
    struct fletch_inlet *inlet;
    enum fletch_status status = fletch_inlet_open(ends->shuffle, &options, &inlet, error);
    if (status == FLETCH_OK)
        *out_inlet = inlet;
    return status;
}

static enum fletch_answer reserve(void *inlet, uint32_t partition, struct fletch_inlet_ask ask,
                                  struct fletch_inlet_credit *out_credit)
{
    return fletch_inlet_reserve(inlet, partition, ask, out_credit);
}

static void forget(void *inlet, uint32_t partition)
{
    fletch_inlet_forget(inlet, partition);
}

static void give_back(void *inlet, uint32_t partition, struct fletch_inlet_credit *credit)
{
    fletch_inlet_give_back(inlet, partition, credit);
}

static enum fletch_answer push(void *inlet, const struct fletch_inlet_frame *frame)
{
    return fletch_inlet_push(inlet, frame);
}

static enum fletch_status check(void *inlet, uint32_t partition, struct fletch_error *error)
{
    return fletch_inlet_check(inlet, partition, error);
}

static enum fletch_status control(void *inlet, const struct fletch_control_record *record,
                                  struct fletch_error *error)
{
    return fletch_inlet_control(inlet, record, error);
}

static bool poll_control(void *inlet, enum fletch_status *out_status, struct fletch_error *error)
{
    return fletch_inlet_control_poll(inlet, out_status, error);
}

static void abort_inlet(void *inlet, const char *reason)
{
    fletch_inlet_abort(inlet, reason);
}

static void close_inlet(void *inlet)
{
    fletch_inlet_close(inlet);
}

static void drop(void *context, struct fletch_batch *batch)
{
    fletch_batch_release(((const struct fletch_pump_ends *)context)->cache, batch);
}

struct fletch_pump_sink fletch_pump_ends_sink(struct fletch_pump_ends *ends)
{
    return (struct fletch_pump_sink){.open = open_inlet,
                                     .reserve = reserve,
                                     .forget = forget,
                                     .give_back = give_back,
                                     .push = push,
                                     .check = check,
                                     .control = control,
                                     .poll = poll_control,
                                     .abort = abort_inlet,
                                     .close = close_inlet,
                                     .drop = drop,
                                     .context = ends};
}
