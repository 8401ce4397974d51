#include "flow/flow_inlet.h"

#include "flow/flow_task.h"
#include "shuffle/shuffle_reader.h"

/* False: an event that says nothing to a flow. */
static bool item_of(const struct fletch_shuffle_event *event, struct fletch_flow_item *out_item)
{
    switch (event->kind) {
    case FLETCH_EVENT_BATCH:
        *out_item = (struct fletch_flow_item){.kind = FLETCH_ITEM_BATCH, .batch = event->batch};
        return true;
    case FLETCH_EVENT_BARRIER:
        *out_item = (struct fletch_flow_item){.kind = FLETCH_ITEM_BARRIER, .value = event->barrier};
        return true;
    case FLETCH_EVENT_WATERMARK:
        *out_item = (struct fletch_flow_item){.kind = FLETCH_ITEM_WATERMARK,
                                              .value = (uint64_t)event->watermark};
        return event->watermark != INT64_MAX; /* the end says the same */
    case FLETCH_EVENT_END:
        break;
    }
    *out_item = (struct fletch_flow_item){.kind = FLETCH_ITEM_END};
    return true;
}

static enum fletch_status read_shuffle(struct fletch_flow_context *context,
                                       struct fletch_flow_inlet *inlet,
                                       struct fletch_flow_item *out_item, bool *out_has_item,
                                       struct fletch_error *error)
{
    struct fletch_shuffle_event event;
    bool has_event = true, is_over = false;
    *out_has_item = false;
    while (has_event && !*out_has_item && fletch_shuffle_reader_may_have_any(inlet->reader)) {
        enum fletch_status status =
            fletch_shuffle_reader_look(inlet->reader, &event, &has_event, &is_over, error);
        if (status == FLETCH_RESOURCE_EXHAUSTED) {
            fletch_task_look_at(context->task,
                                fletch_flow_now_ns(context->flow) + FLETCH_FLOW_MEMORY_LOOK_NS);
            return FLETCH_OK;
        }
        if (status != FLETCH_OK)
            return status;
        *out_has_item = has_event && item_of(&event, out_item);
    }
    return FLETCH_OK;
}

enum fletch_status fletch_inlet_take(struct fletch_flow_context *context,
                                     struct fletch_flow_inlet *inlet,
                                     struct fletch_flow_item *out_item, bool *out_has_item,
                                     struct fletch_error *error)
{
    if (inlet->reader != NULL)
        return read_shuffle(context, inlet, out_item, out_has_item, error);
    *out_has_item = fletch_inlet_pop(context, inlet, out_item);
    return FLETCH_OK;
}
