#include "flow/flow_statistics.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "flow/flow_context.h"
#include "flow/flow_run.h"

/* ---- of stages ---- */

static void add_instance(const struct fletch_flow_context *context,
                         struct fletch_stage_statistics *sum)
{
    int64_t watermark = load_relaxed(&context->watermark_told); /* relaxed: a statistic */
    sum->instances++;
    /* relaxed: statistics, all of them */
    sum->instances_ended += load_relaxed(&context->doing) == FLETCH_DOING_NOTHING;
    for (uint32_t i = 0; i < context->inlet_count; i++) {
        sum->batches_in += load_relaxed(&context->inlets[i].batches); /* relaxed: as above */
        sum->rows_in += load_relaxed(&context->inlets[i].rows);       /* relaxed: as above */
    }
    sum->batches_out += load_relaxed(&context->batches_out);       /* relaxed: as above */
    sum->busy_ns += load_relaxed(&context->busy_ns);               /* relaxed: as above */
    sum->input_wait_ns += load_relaxed(&context->input_wait_ns);   /* relaxed: as above */
    sum->credit_wait_ns += load_relaxed(&context->credit_wait_ns); /* relaxed: as above */
    sum->barriers += load_relaxed(&context->barrier_count);        /* relaxed: as above */
    sum->barriers_aborted += load_relaxed(&context->abort_count);  /* relaxed: as above */
    sum->instances_idle += load_relaxed(&context->idle_shown);     /* relaxed: as above */
    for (uint32_t i = 0; i < context->inlet_count; i++) {
        const struct fletch_flow_inlet *inlet = &context->inlets[i];
        sum->batches_unread += load_relaxed(&inlet->batches_unread); /* relaxed: as above */
        sum->rows_unread += load_relaxed(&inlet->rows_unread);       /* relaxed: as above */
    }
    if (watermark < sum->watermark)
        sum->watermark = watermark;
}

static enum fletch_status check_stage(const struct fletch_flow *flow, uint32_t stage,
                                      uint32_t instance, struct fletch_error *error)
{
    enum fletch_status status = fletch_flow_check_started(flow, error);
    if (status != FLETCH_OK)
        return status;
    if (stage >= flow->node_count)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE, "stage is %u, flow '%s' has %u", stage,
                                flow->name, flow->node_count);
    if (instance != FLETCH_FLOW_ALL_INSTANCES && instance >= flow->nodes[stage]->instance_count)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE, "instance is %u, stage '%s' has %u",
                                instance, flow->nodes[stage]->name,
                                flow->nodes[stage]->instance_count);
    return FLETCH_OK;
}

enum fletch_status fletch_flow_stage_statistics(struct fletch_flow *flow, uint32_t stage,
                                                uint32_t instance,
                                                struct fletch_stage_statistics *out_statistics,
                                                struct fletch_error *error)
{
    size_t bytes = out_statistics->struct_size;
    struct fletch_stage_statistics sum = {.watermark = INT64_MAX};
    enum fletch_status status = check_stage(flow, stage, instance, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_flow_node *node = flow->nodes[stage];
    for (uint32_t i = 0; i < node->instance_count && node->instances != NULL; i++)
        if (node->instances[i] != NULL && (instance == FLETCH_FLOW_ALL_INSTANCES || instance == i))
            add_instance(node->instances[i], &sum);
    if (sum.instances == 0)
        sum.watermark = INT64_MIN;
    sum.struct_size = bytes;
    memcpy(out_statistics, &sum, bytes < sizeof sum ? bytes : sizeof sum);
    return FLETCH_OK;
}

/* ---- of edges ---- */

static void add_outlets(const struct fletch_flow_context *context,
                        const struct fletch_flow_link *link, struct fletch_edge_statistics *sum)
{
    for (uint32_t i = 0; i < context->outlet_count; i++) {
        const struct fletch_flow_outlet *outlet = &context->outlets[i];
        if (outlet->link != link)
            continue;
        sum->credit_wait_ns += load_relaxed(&outlet->credit_wait_ns); /* relaxed: a statistic */
        sum->batches_unread += load_relaxed(&outlet->batches_unread); /* relaxed: a statistic */
        sum->rows_unread += load_relaxed(&outlet->rows_unread);       /* relaxed: a statistic */
    }
}

static void add_inlets(const struct fletch_flow_context *context,
                       const struct fletch_flow_link *link, struct fletch_edge_statistics *sum)
{
    for (uint32_t i = 0; i < context->inlet_count; i++) {
        const struct fletch_flow_inlet *inlet = &context->inlets[i];
        if (inlet->link != link)
            continue;
        sum->batches += load_relaxed(&inlet->batches);               /* relaxed: a statistic */
        sum->rows += load_relaxed(&inlet->rows);                     /* relaxed: a statistic */
        sum->input_wait_ns += load_relaxed(&inlet->input_wait_ns);   /* relaxed: a statistic */
        sum->batches_unread += load_relaxed(&inlet->batches_unread); /* relaxed: a statistic */
        sum->rows_unread += load_relaxed(&inlet->rows_unread);       /* relaxed: a statistic */
    }
}

static void add_shuffle(struct fletch_shuffle *shuffle, struct fletch_edge_statistics *sum)
{
    struct fletch_exchange_statistics found = {.struct_size = sizeof found};
    fletch_shuffle_statistics(shuffle, &found);
    sum->bytes_queued = found.bytes_queued;
    sum->bytes_spilled = found.bytes_spilled;
}

enum fletch_status fletch_flow_edge_statistics(struct fletch_flow *flow, uint32_t edge,
                                               struct fletch_edge_statistics *out_statistics,
                                               struct fletch_error *error)
{
    size_t bytes = out_statistics->struct_size;
    enum fletch_status status = fletch_flow_check_started(flow, error);
    if (status != FLETCH_OK)
        return status;
    if (edge >= flow->link_count)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE, "edge is %u, flow '%s' has %u", edge,
                                flow->name, flow->link_count);
    const struct fletch_flow_link *link = flow->links[edge];
    struct fletch_edge_statistics sum = {.struct_size = bytes, .is_fused = link->is_fused};
    for (uint32_t i = 0; i < flow->node_count; i++) {
        const struct fletch_flow_node *node = flow->nodes[i];
        for (uint32_t k = 0; k < node->instance_count && node->instances != NULL; k++) {
            if (node->instances[k] == NULL)
                continue;
            add_outlets(node->instances[k], link, &sum);
            add_inlets(node->instances[k], link, &sum);
        }
    }
    if (link->shuffle != NULL)
        add_shuffle(link->shuffle, &sum);
    memcpy(out_statistics, &sum, bytes < sizeof sum ? bytes : sizeof sum);
    return FLETCH_OK;
}

/* ---- who waits for what ---- */

static const char *const doings[] = {
    [FLETCH_DOING_WORK] = "is at work",
    [FLETCH_DOING_WAIT_INPUT] = "waits for input",
    [FLETCH_DOING_WAIT_CREDIT] = "waits for room downstream",
    [FLETCH_DOING_WAIT_MEMORY] = "waits for memory",
    [FLETCH_DOING_NOTHING] = "has ended",
};

/* Which of these says most of why a flow goes on. */
static const int weights[] = {
    [FLETCH_DOING_WORK] = 3,        [FLETCH_DOING_WAIT_INPUT] = 1, [FLETCH_DOING_WAIT_CREDIT] = 2,
    [FLETCH_DOING_WAIT_MEMORY] = 2, [FLETCH_DOING_NOTHING] = 0,
};

void fletch_flow_describe(const struct fletch_flow *flow, char *text, size_t text_bytes)
{
    const struct fletch_flow_context *found = NULL;
    uint32_t ended = 0, instances = 0, doing = FLETCH_DOING_NOTHING;
    for (uint32_t i = 0; i < flow->node_count; i++) {
        const struct fletch_flow_node *node = flow->nodes[i];
        for (uint32_t k = 0; k < node->instance_count; k++) {
            uint32_t now = load_relaxed(&node->instances[k]->doing); /* relaxed: a statistic */
            instances++;
            ended += now == FLETCH_DOING_NOTHING;
            if (found != NULL && weights[now] <= weights[doing])
                continue;
            found = node->instances[k];
            doing = now;
        }
    }
    if (found == NULL || doing == FLETCH_DOING_NOTHING)
        snprintf(text, text_bytes, "all %u instances have ended and are being closed", instances);
    else
        snprintf(text, text_bytes, "%u of %u instances have ended, stage '%s', instance %u %s",
                 ended, instances, found->node->name, found->number, doings[doing]);
}
