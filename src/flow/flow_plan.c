#include "flow/flow_plan.h"

#include <stdio.h>

#include "base/allocator.h"
#include "base/status.h"
#include "flow/flow_order.h"

/* ---- what each stage needs ---- */

static enum fletch_status check_inputs(const struct fletch_flow *flow, struct fletch_error *error)
{
    if (flow->node_count == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "flow '%s' has no stages",
                                flow->name);
    for (uint32_t i = 0; i < flow->node_count; i++) {
        const struct fletch_flow_node *node = flow->nodes[i];
        bool has_input = node->kind == FLETCH_NODE_SOURCE;
        for (uint32_t k = 0; k < flow->link_count && !has_input; k++)
            has_input = flow->links[k]->edge.to_stage == i;
        if (!has_input)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "stage '%s' has no input: no edge goes to it", node->name);
    }
    return FLETCH_OK;
}

/* ---- order ---- */

/* While the order is found, of each stage: edges from stages that have no place yet. */
#define PLACED UINT32_MAX

static void count_open(const struct fletch_flow *flow, uint32_t *open)
{
    for (uint32_t i = 0; i < flow->node_count; i++)
        open[i] = 0;
    for (uint32_t i = 0; i < flow->link_count; i++)
        open[flow->links[i]->edge.to_stage]++;
}

static void place(struct fletch_flow *flow, uint32_t position, uint32_t node, uint32_t *open)
{
    flow->order[position] = node;
    open[node] = PLACED;
    for (uint32_t i = 0; i < flow->link_count; i++)
        if (flow->links[i]->edge.from_stage == node)
            open[flow->links[i]->edge.to_stage]--;
}

/* A stage without a place that sends to `node`, which has none either. */
static uint32_t open_before(const struct fletch_flow *flow, const uint32_t *open, uint32_t node)
{
    uint32_t i = 0;
    while (flow->links[i]->edge.to_stage != node || open[flow->links[i]->edge.from_stage] == PLACED)
        i++;
    return flow->links[i]->edge.from_stage;
}

/* Names the stages of a cycle in the order in which data would flow; `before` leads back. */
static void write_cycle(const struct fletch_flow *flow, const uint32_t *before, uint32_t last,
                        char *text, size_t text_bytes)
{
    char rest[FLETCH_ERROR_MESSAGE_BYTES];
    uint32_t node = last;
    snprintf(text, text_bytes, "'%s'", flow->nodes[last]->name);
    do {
        node = before[node];
        snprintf(rest, sizeof rest, "%s", text);
        snprintf(text, text_bytes, "'%s' -> %.300s", flow->nodes[node]->name, rest);
    } while (node != last);
}

/* Whoever has no place gets data from another one that has none: going back, one comes round. */
static enum fletch_status refuse_cycle(const struct fletch_flow *flow, const uint32_t *open,
                                       uint32_t *before, struct fletch_error *error)
{
    char text[FLETCH_ERROR_MESSAGE_BYTES];
    uint32_t node = 0;
    while (open[node] == PLACED)
        node++;
    for (uint32_t i = 0; i < flow->node_count; i++)
        before[i] = UINT32_MAX;
    while (before[node] == UINT32_MAX) {
        before[node] = open_before(flow, open, node);
        node = before[node];
    }
    write_cycle(flow, before, node, text, sizeof text);
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "a cycle of edges, which are bounded and could all wait for each "
                            "other: %.380s",
                            text);
}

/* Each stage behind those that it gets data from; of several that could be next, the one that was
 * added first. `scratch`: two numbers for each stage. */
static enum fletch_status find_order(struct fletch_flow *flow, uint32_t *scratch,
                                     struct fletch_error *error)
{
    uint32_t *open = scratch;
    count_open(flow, open);
    for (uint32_t position = 0; position < flow->node_count; position++) {
        uint32_t next = 0;
        while (next < flow->node_count && open[next] != 0)
            next++;
        if (next == flow->node_count)
            return refuse_cycle(flow, open, scratch + flow->node_count, error);
        place(flow, position, next, open);
    }
    return FLETCH_OK;
}

/* ---- fusing ---- */

static void join_groups(struct fletch_flow *flow, uint32_t a, uint32_t b)
{
    uint32_t kept = a < b ? a : b, given_up = a < b ? b : a;
    for (uint32_t i = 0; i < flow->node_count; i++)
        if (flow->nodes[i]->group == given_up)
            flow->nodes[i]->group = kept;
}

static void find_groups(struct fletch_flow *flow)
{
    for (uint32_t i = 0; i < flow->node_count; i++)
        flow->nodes[i]->group = i;
    for (uint32_t i = 0; i < flow->link_count; i++) {
        const struct fletch_flow_edge *edge = &flow->links[i]->edge;
        if (edge->kind == FLETCH_FLOW_FORWARD && edge->is_apart == 0)
            join_groups(flow, flow->nodes[edge->from_stage]->group,
                        flow->nodes[edge->to_stage]->group);
    }
    for (uint32_t i = 0; i < flow->link_count; i++) {
        struct fletch_flow_link *link = flow->links[i];
        link->is_fused =
            link->edge.kind == FLETCH_FLOW_FORWARD &&
            flow->nodes[link->edge.from_stage]->group == flow->nodes[link->edge.to_stage]->group;
    }
}

enum fletch_status fletch_flow_plan(struct fletch_flow *flow, struct fletch_error *error)
{
    enum fletch_status status = check_inputs(flow, error);
    if (status != FLETCH_OK)
        return status;
    size_t bytes = flow->node_count * sizeof flow->order[0];
    flow->order = fletch_block_allocate(&flow->allocator, bytes);
    uint32_t *scratch = fletch_block_allocate(&flow->allocator, 2 * bytes);
    if (flow->order == NULL || scratch == NULL)
        status =
            fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                             "RESOURCE_EXHAUSTED: no memory to order %u stages", flow->node_count);
    if (status == FLETCH_OK)
        status = find_order(flow, scratch, error);
    if (status == FLETCH_OK)
        status = fletch_flow_plan_order(flow, scratch, error);
    if (status == FLETCH_OK)
        find_groups(flow);
    if (scratch != NULL)
        fletch_block_release(scratch);
    if (status != FLETCH_OK && flow->order != NULL) {
        fletch_block_release(flow->order);
        flow->order = NULL;
    }
    return status;
}
