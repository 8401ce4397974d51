#include "flow/flow_order.h"

#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "flow/flow_run.h"

/* ---- one source, two inputs ---- */

/* Says that `node` sends, by whatever way, to `input`; false: to another one too. */
static bool mark(uint32_t *marks, uint32_t node, uint32_t input)
{
    if (marks[node] != FLETCH_NO_INPUT && marks[node] != input)
        return false;
    marks[node] = input;
    return true;
}

/* Goes back from the inputs of `reader` and finds a stage that sends to two of them. */
static enum fletch_status mark_inputs(const struct fletch_flow *flow, uint32_t reader,
                                      uint32_t *marks, struct fletch_error *error)
{
    for (uint32_t i = 0; i < flow->node_count; i++)
        marks[i] = FLETCH_NO_INPUT;
    for (uint32_t i = flow->node_count; i > 0; i--) {
        uint32_t node = flow->order[i - 1];
        for (uint32_t k = 0; k < flow->link_count; k++) {
            const struct fletch_flow_edge *edge = &flow->links[k]->edge;
            if (edge->to_stage != node || (node != reader && marks[node] == FLETCH_NO_INPUT))
                continue;
            uint32_t input = node == reader ? edge->to_input : marks[node];
            if (!mark(marks, edge->from_stage, input))
                return fletch_error_set(
                    error, FLETCH_INVALID_ARGUMENT,
                    "stage '%s' reads its inputs in order, and '%s' sends to input %u and to "
                    "input %u: it would wait for room on the one while the other waits for its "
                    "end",
                    flow->nodes[reader]->name, flow->nodes[edge->from_stage]->name,
                    marks[edge->from_stage], input);
        }
    }
    return FLETCH_OK;
}

static enum fletch_status mark_reader(struct fletch_flow *flow, uint32_t reader,
                                      struct fletch_error *error)
{
    struct fletch_flow_node *node = flow->nodes[reader];
    size_t bytes = flow->node_count * sizeof node->inputs_from[0];
    node->inputs_from = fletch_block_allocate(&flow->allocator, bytes);
    if (node->inputs_from == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for the inputs of '%s'", node->name);
    return mark_inputs(flow, reader, node->inputs_from, error);
}

/* ---- sources that wait for each other ---- */

/* A source that has no place yet and that another one waits for, at a reader. */
struct blocker {
    uint32_t source; /* FLETCH_NO_INPUT: none */
    uint32_t reader;
};

static bool is_open(const struct fletch_flow *flow, const uint32_t *is_placed, uint32_t node)
{
    return flow->nodes[node]->kind == FLETCH_NODE_SOURCE && is_placed[node] == 0;
}

/* Of the sources without a place that send to `reader`, the one of the lowest input. */
static uint32_t first_of(const struct fletch_flow *flow, const uint32_t *is_placed, uint32_t reader)
{
    const uint32_t *inputs = flow->nodes[reader]->inputs_from;
    uint32_t first = FLETCH_NO_INPUT;
    for (uint32_t i = 0; i < flow->node_count; i++)
        if (is_open(flow, is_placed, i) && inputs[i] != FLETCH_NO_INPUT &&
            (first == FLETCH_NO_INPUT || inputs[i] < inputs[first]))
            first = i;
    return first;
}

static struct blocker blocker_of(const struct fletch_flow *flow, const uint32_t *is_placed,
                                 const uint32_t *firsts, uint32_t source)
{
    for (uint32_t i = 0; i < flow->node_count; i++) {
        const uint32_t *inputs = flow->nodes[i]->inputs_from;
        if (inputs == NULL || inputs[source] == FLETCH_NO_INPUT || firsts[i] == FLETCH_NO_INPUT)
            continue;
        if (is_open(flow, is_placed, firsts[i]) && inputs[firsts[i]] < inputs[source])
            return (struct blocker){.source = firsts[i], .reader = i};
    }
    return (struct blocker){.source = FLETCH_NO_INPUT};
}

/* Whoever has no place waits for another one that has none: going on, one comes round. */
static enum fletch_status refuse_circle(const struct fletch_flow *flow, const uint32_t *is_placed,
                                        const uint32_t *firsts, struct fletch_error *error)
{
    char text[FLETCH_ERROR_MESSAGE_BYTES] = "";
    size_t used = 0;
    uint32_t source = 0;
    while (!is_open(flow, is_placed, source))
        source++;
    for (uint32_t i = 0; i < flow->node_count; i++) /* into the circle */
        source = blocker_of(flow, is_placed, firsts, source).source;
    uint32_t first = source;
    do {
        struct blocker blocker = blocker_of(flow, is_placed, firsts, source);
        if (used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used,
                                     "%s'%s' until '%s' has read '%s'", used == 0 ? "" : ", ",
                                     flow->nodes[source]->name, flow->nodes[blocker.reader]->name,
                                     flow->nodes[blocker.source]->name);
        source = blocker.source;
    } while (source != first);
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "inputs are read in order, and sources wait for each other: %.380s",
                            text);
}

/* Each source after those that it waits for. */
static enum fletch_status check_circles(const struct fletch_flow *flow, uint32_t *is_placed,
                                        uint32_t *firsts, struct fletch_error *error)
{
    uint32_t open = 0, placed = 1;
    for (uint32_t i = 0; i < flow->node_count; i++) {
        is_placed[i] = 0;
        open += flow->nodes[i]->kind == FLETCH_NODE_SOURCE;
    }
    for (; open > 0 && placed > 0; open -= placed) {
        placed = 0;
        for (uint32_t i = 0; i < flow->node_count; i++)
            if (flow->nodes[i]->inputs_from != NULL)
                firsts[i] = first_of(flow, is_placed, i);
        for (uint32_t i = 0; i < flow->node_count; i++) {
            if (!is_open(flow, is_placed, i) ||
                blocker_of(flow, is_placed, firsts, i).source != FLETCH_NO_INPUT)
                continue;
            is_placed[i] = 1;
            placed++;
        }
    }
    return open == 0 ? FLETCH_OK : refuse_circle(flow, is_placed, firsts, error);
}

enum fletch_status fletch_flow_plan_order(struct fletch_flow *flow, uint32_t *scratch,
                                          struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    bool has_readers = false;
    for (uint32_t i = 0; i < flow->node_count && status == FLETCH_OK; i++) {
        if (!flow->nodes[i]->reads_in_order)
            continue;
        has_readers = true;
        status = mark_reader(flow, i, error);
    }
    if (status != FLETCH_OK || !has_readers)
        return status;
    return check_circles(flow, scratch, scratch + flow->node_count, error);
}

/* ---- while it runs ---- */

static bool has_come_to(const struct fletch_flow_node *reader, uint32_t input)
{
    for (uint32_t i = 0; i < reader->instance_count; i++)
        /* relaxed: no data behind it */
        if (load_relaxed(&reader->instances[i]->current_input) < input)
            return false;
    return true;
}

bool fletch_flow_may_begin(const struct fletch_flow_context *context)
{
    const struct fletch_flow *flow = context->flow;
    uint32_t source = context->node->number;
    for (uint32_t i = 0; i < flow->node_count; i++) {
        const struct fletch_flow_node *reader = flow->nodes[i];
        if (reader->inputs_from != NULL && reader->inputs_from[source] != FLETCH_NO_INPUT &&
            !has_come_to(reader, reader->inputs_from[source]))
            return false;
    }
    return true;
}

static void set_current(struct fletch_flow_context *context, uint32_t input)
{
    /* relaxed: written by this thread only */
    if (input == load_relaxed(&context->current_input))
        return;
    store_relaxed(&context->current_input, input); /* relaxed: no data behind it */
    fletch_flow_notify(context->flow);             /* sources may wait for that */
}

void fletch_flow_pass_order(struct fletch_flow_context *context)
{
    uint32_t least = UINT32_MAX;
    if (context->node->inputs_from == NULL)
        return;
    for (uint32_t i = 0; i < context->inlet_count; i++)
        if (!context->inlets[i].has_ended && context->inlets[i].input < least)
            least = context->inlets[i].input;
    set_current(context, least);
}

void fletch_flow_leave_order(struct fletch_flow_context *context)
{
    if (context->node->inputs_from != NULL)
        set_current(context, UINT32_MAX);
}
