#include "flow/flow_build.h"

#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "flow/flow_context.h"
#include "flow/flow_order.h"
#include "flow/flow_task.h"
#include "shuffle/shuffle_reader.h"
#include "shuffle/shuffle_writer.h"

static enum fletch_status refuse_memory(struct fletch_error *error, const char *what,
                                        const char *name)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory for %s of '%s'", what, name);
}

/* ---- tasks ---- */

static uint32_t cpu_of(const struct fletch_flow *flow, uint32_t group, uint32_t number)
{
    for (uint32_t i = 0; i < flow->node_count; i++) {
        const struct fletch_flow_node *node = flow->nodes[flow->order[i]];
        if (node->group == group && node->cpu_count > 0)
            return node->cpus[number % node->cpu_count];
    }
    return FLETCH_ANY_CPU;
}

static uint32_t group_size(const struct fletch_flow *flow, uint32_t group)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < flow->node_count; i++)
        size += flow->nodes[i]->group == group;
    return size;
}

/* The task of the instances `number` of a group; on failure what there is of it is on the list. */
static enum fletch_status make_task(struct fletch_flow *flow, uint32_t group, uint32_t number,
                                    struct fletch_error *error)
{
    struct fletch_flow_task *task = fletch_block_allocate(&flow->allocator, sizeof *task);
    if (task == NULL)
        return refuse_memory(error, "a task", flow->nodes[group]->name);
    *task = (struct fletch_flow_task){
        .flow = flow, .cpu = cpu_of(flow, group, number), .look_ns = UINT64_MAX};
    fletch_eventcount_start(&task->eventcount, FLETCH_SHARING_PROCESS);
    fletch_wait_history_start(&task->history, &flow->policy);
    flow->tasks[flow->task_count++] = task;
    task->instances = fletch_block_allocate(&flow->allocator,
                                            group_size(flow, group) * sizeof task->instances[0]);
    if (task->instances == NULL)
        return refuse_memory(error, "a task", flow->nodes[group]->name);
    return fletch_buffer_cache_open(fletch_transport_pool(flow->transport), &task->cache, error);
}

/* Tasks of a group lie side by side, from this one on. */
static uint32_t first_task(const struct fletch_flow *flow, uint32_t group)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < group; i++)
        if (flow->nodes[i]->group == i)
            first += flow->nodes[i]->instance_count;
    return first;
}

static enum fletch_status make_tasks(struct fletch_flow *flow, struct fletch_error *error)
{
    uint32_t count = first_task(flow, flow->node_count);
    flow->tasks = fletch_block_allocate(&flow->allocator, count * sizeof flow->tasks[0]);
    if (flow->tasks == NULL)
        return refuse_memory(error, "the tasks", flow->name);
    for (uint32_t group = 0; group < flow->node_count; group++) {
        if (flow->nodes[group]->group != group)
            continue;
        for (uint32_t i = 0; i < flow->nodes[group]->instance_count; i++) {
            enum fletch_status status = make_task(flow, group, i, error);
            if (status != FLETCH_OK)
                return status;
        }
    }
    store_relaxed(&flow->tasks_left, count); /* relaxed: before any thread is started */
    return FLETCH_OK;
}

/* ---- instances ---- */

static uint32_t count_links(const struct fletch_flow *flow, uint32_t from, uint32_t to)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < flow->link_count; i++) {
        const struct fletch_flow_edge *edge = &flow->links[i]->edge;
        count += (from == UINT32_MAX || edge->from_stage == from) &&
                 (to == UINT32_MAX || edge->to_stage == to);
    }
    return count;
}

/* Room for its ends; the sizes are those of the graph. */
static bool make_ends(const struct fletch_flow *flow, struct fletch_flow_context *context)
{
    const struct fletch_flow_node *node = context->node;
    uint32_t outlets = count_links(flow, node->number, UINT32_MAX);
    uint32_t inlets = count_links(flow, UINT32_MAX, node->number);
    context->first_outlets = fletch_block_allocate(
        &flow->allocator, (node->output_count + 1) * sizeof context->first_outlets[0]);
    if (outlets > 0)
        context->outlets =
            fletch_block_allocate(&flow->allocator, outlets * sizeof context->outlets[0]);
    if (inlets > 0)
        context->inlets =
            fletch_block_allocate(&flow->allocator, inlets * sizeof context->inlets[0]);
    return context->first_outlets != NULL && (outlets == 0 || context->outlets != NULL) &&
           (inlets == 0 || context->inlets != NULL);
}

/* Writes the ends, without what joins them. */
static void fill_ends(const struct fletch_flow *flow, struct fletch_flow_context *context)
{
    const struct fletch_flow_node *node = context->node;
    for (uint32_t output = 0; output < node->output_count; output++) {
        context->first_outlets[output] = context->outlet_count;
        for (uint32_t i = 0; i < flow->link_count; i++)
            if (flow->links[i]->edge.from_stage == node->number &&
                flow->links[i]->edge.from_output == output)
                context->outlets[context->outlet_count++] =
                    (struct fletch_flow_outlet){.link = flow->links[i]};
    }
    context->first_outlets[node->output_count] = context->outlet_count;
    for (uint32_t i = 0; i < flow->link_count; i++)
        if (flow->links[i]->edge.to_stage == node->number)
            context->inlets[context->inlet_count++] =
                (struct fletch_flow_inlet){.link = flow->links[i],
                                           .input = flow->links[i]->edge.to_input,
                                           .watermark = INT64_MIN};
    context->open_inlets = context->inlet_count;
}

static enum fletch_status make_instance(struct fletch_flow *flow, struct fletch_flow_node *node,
                                        uint32_t number, struct fletch_error *error)
{
    struct fletch_flow_context *context = fletch_block_allocate(&flow->allocator, sizeof *context);
    if (context == NULL)
        return refuse_memory(error, "an instance", node->name);
    struct fletch_flow_task *task = flow->tasks[first_task(flow, node->group) + number];
    *context = (struct fletch_flow_context){.flow = flow,
                                            .node = node,
                                            .task = task,
                                            .number = number,
                                            .watermark = INT64_MIN,
                                            .watermark_told = INT64_MIN,
                                            .waker = {.wakes = &task->eventcount}};
    node->instances[number] = context;
    if (!make_ends(flow, context))
        return refuse_memory(error, "an instance", node->name);
    fill_ends(flow, context);
    task->instances[task->instance_count++] = context;
    fletch_flow_pass_order(context);
    return FLETCH_OK;
}

static enum fletch_status make_instances(struct fletch_flow *flow, struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; i < flow->node_count && status == FLETCH_OK; i++) {
        struct fletch_flow_node *node = flow->nodes[flow->order[i]];
        size_t bytes = node->instance_count * sizeof node->instances[0];
        node->instances = fletch_block_allocate(&flow->allocator, bytes);
        if (node->instances == NULL)
            return refuse_memory(error, "the instances", node->name);
        memset(node->instances, 0, bytes);
        for (uint32_t k = 0; k < node->instance_count && status == FLETCH_OK; k++)
            status = make_instance(flow, node, k, error);
    }
    return status;
}

/* ---- what joins them ---- */

static struct fletch_flow_outlet *outlet_of(struct fletch_flow_context *context,
                                            const struct fletch_flow_link *link)
{
    uint32_t i = 0;
    while (context->outlets[i].link != link)
        i++;
    return &context->outlets[i];
}

static struct fletch_flow_inlet *inlet_of(struct fletch_flow_context *context,
                                          const struct fletch_flow_link *link)
{
    uint32_t i = 0;
    while (context->inlets[i].link != link)
        i++;
    return &context->inlets[i];
}

static enum fletch_status join_forward(struct fletch_flow *flow, struct fletch_flow_link *link,
                                       uint32_t number, struct fletch_error *error)
{
    struct fletch_flow_context *from = flow->nodes[link->edge.from_stage]->instances[number];
    struct fletch_flow_context *to = flow->nodes[link->edge.to_stage]->instances[number];
    struct fletch_flow_outlet *outlet = outlet_of(from, link);
    struct fletch_flow_inlet *inlet = inlet_of(to, link);
    store_relaxed(&outlet->own_wanting, 1); /* relaxed: before any thread is started */
    outlet->wanting = inlet->wanting = &outlet->own_wanting;
    if (link->is_fused) {
        inlet->from = outlet;
        return FLETCH_OK;
    }
    /* The tasks wait for their rings and for much else on eventcounts of their own. */
    const struct fletch_spsc_ring_options options = {
        .struct_size = sizeof options,
        .element_bytes = sizeof(struct fletch_flow_item),
        .capacity = link->edge.capacity == 0 ? FLETCH_FLOW_CAPACITY_DEFAULT : link->edge.capacity,
        .wait_strategy = FLETCH_WAIT_SPIN,
    };
    outlet->wakes = &to->task->eventcount;
    inlet->wakes = &from->task->eventcount;
    enum fletch_status status =
        fletch_spsc_ring_create(&options, &flow->allocator, &outlet->ring, error);
    inlet->ring = outlet->ring;
    return status;
}

/* Rows are distributed as the edge says; batches of a REBALANCE are put where it is their turn. */
static struct fletch_partitioner_options partitioner_of(const struct fletch_flow *flow,
                                                        const struct fletch_flow_edge *edge)
{
    static const enum fletch_partition_method methods[] = {
        [FLETCH_FLOW_HASH] = FLETCH_PARTITION_HASH,
        [FLETCH_FLOW_RANGE] = FLETCH_PARTITION_RANGE,
        [FLETCH_FLOW_REBALANCE] = FLETCH_PARTITION_ROUND_ROBIN,
        [FLETCH_FLOW_BROADCAST] = FLETCH_PARTITION_BROADCAST,
    };
    bool has_key = edge->kind == FLETCH_FLOW_HASH || edge->kind == FLETCH_FLOW_RANGE;
    bool has_range = edge->kind == FLETCH_FLOW_RANGE;
    return (struct fletch_partitioner_options){
        .struct_size = sizeof(struct fletch_partitioner_options),
        .method = methods[edge->kind],
        .partition_count = flow->nodes[edge->to_stage]->instance_count,
        .key_columns = has_key ? edge->key_columns : NULL,
        .key_column_count = has_key ? edge->key_column_count : 0,
        .range_orders = has_range ? edge->range_orders : NULL,
        .range_bounds = has_range ? edge->range_bounds : NULL,
    };
}

/* What an edge may keep that says nothing of it: all of them together have what there is. */
static uint64_t budget_share(const struct fletch_flow *flow)
{
    struct fletch_budget_statistics found = {.struct_size = sizeof found};
    uint64_t edges = 0;
    for (uint32_t i = 0; i < flow->link_count; i++)
        edges += flow->links[i]->edge.kind != FLETCH_FLOW_FORWARD;
    fletch_account_statistics(flow->transport->shuffles, &found);
    return found.limit_bytes / edges;
}

static enum fletch_status register_shuffle(struct fletch_flow *flow, struct fletch_flow_link *link,
                                           struct fletch_error *error)
{
    const struct fletch_flow_edge *edge = &link->edge;
    const struct fletch_flow_node *from = flow->nodes[edge->from_stage];
    const struct fletch_flow_node *to = flow->nodes[edge->to_stage];
    struct fletch_partitioner_options partitioner = partitioner_of(flow, edge);
    struct fletch_error cause;
    char name[FLETCH_SHUFFLE_NAME_BYTES_MAX + 1];
    /* The address makes it this flow's alone. */
    snprintf(name, sizeof name, "%s/%u: %s -> %s (%p)", flow->name, link->number, from->name,
             to->name, (void *)flow);
    const struct fletch_shuffle_options options = {
        .struct_size = sizeof options,
        .name = name,
        .name_bytes = strlen(name),
        .schema = edge->schema,
        .partitioner = &partitioner,
        .producer_count = from->instance_count,
        .budget_bytes = edge->budget_bytes == 0 ? budget_share(flow) : edge->budget_bytes,
        .frame_bytes = edge->frame_bytes,
        .linger_ns = edge->linger_ns,
        .sums = edge->sums,
        .spill_directory = edge->spill_directory,
        .barrier_limit = FLETCH_FLOW_BARRIERS_MOST,
    };
    enum fletch_status status =
        fletch_shuffle_register(flow->transport, &options, &link->shuffle, &cause);
    if (status == FLETCH_OK)
        return FLETCH_OK;
    return fletch_error_set(error, status, "the edge from '%s' to '%s': %.300s", from->name,
                            to->name, cause.message);
}

static enum fletch_status open_ends(struct fletch_flow *flow, struct fletch_flow_link *link,
                                    struct fletch_error *error)
{
    struct fletch_flow_node *from = flow->nodes[link->edge.from_stage];
    struct fletch_flow_node *to = flow->nodes[link->edge.to_stage];
    enum fletch_status status = FLETCH_OK;
    store_relaxed(&link->active, from->instance_count); /* relaxed: before any thread is started */
    store_relaxed(&link->wanting, to->instance_count);  /* relaxed: as above */
    for (uint32_t i = 0; i < from->instance_count && status == FLETCH_OK; i++) {
        struct fletch_flow_context *context = from->instances[i];
        struct fletch_flow_outlet *outlet = outlet_of(context, link);
        status = fletch_shuffle_writer_open(link->shuffle, i, context->task->cache, &outlet->writer,
                                            error);
        if (status == FLETCH_OK)
            fletch_shuffle_writer_sleep_on(outlet->writer, &context->task->eventcount);
        outlet->wanting = &link->wanting;
        outlet->next_partition = i % to->instance_count;
    }
    for (uint32_t i = 0; i < to->instance_count && status == FLETCH_OK; i++) {
        struct fletch_flow_context *context = to->instances[i];
        struct fletch_flow_inlet *inlet = inlet_of(context, link);
        const struct fletch_shuffle_reader_options options = {
            .struct_size = sizeof options,
            .partitions = &i,
            .partition_count = 1,
            .cache = context->task->cache,
        };
        status = fletch_shuffle_reader_open(link->shuffle, &options, &inlet->reader, error);
        if (status == FLETCH_OK)
            fletch_shuffle_reader_sleep_on(inlet->reader, &context->task->eventcount);
        inlet->wanting = &link->wanting;
    }
    return status;
}

static enum fletch_status join(struct fletch_flow *flow, struct fletch_flow_link *link,
                               struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    uint32_t count = flow->nodes[link->edge.from_stage]->instance_count;
    if (link->edge.kind != FLETCH_FLOW_FORWARD) {
        status = register_shuffle(flow, link, error);
        return status == FLETCH_OK ? open_ends(flow, link, error) : status;
    }
    for (uint32_t i = 0; i < count && status == FLETCH_OK; i++)
        status = join_forward(flow, link, i, error);
    return status;
}

enum fletch_status fletch_flow_build(struct fletch_flow *flow, struct fletch_error *error)
{
    enum fletch_status status = make_tasks(flow, error);
    if (status == FLETCH_OK)
        status = make_instances(flow, error);
    for (uint32_t i = 0; i < flow->link_count && status == FLETCH_OK; i++)
        status = join(flow, flow->links[i], error);
    return status;
}

/* ---- the end ---- */

static void close_ends(struct fletch_flow_context *context)
{
    struct fletch_buffer_cache *cache = context->task->cache;
    fletch_batch_release(cache, context->owed.item.batch);
    context->owed = (struct fletch_flow_owed){.is_there = false};
    for (uint32_t i = 0; i < context->outlet_count; i++) {
        struct fletch_flow_outlet *outlet = &context->outlets[i];
        fletch_item_queue_clear(&outlet->waiting, cache);
        fletch_spsc_ring_destroy(outlet->ring, fletch_flow_item_drop, cache);
        outlet->ring = NULL;
        fletch_shuffle_writer_close(outlet->writer);
        outlet->writer = NULL;
    }
    for (uint32_t i = 0; i < context->inlet_count; i++) {
        fletch_batch_release(cache, context->inlets[i].kept);
        context->inlets[i].kept = NULL;
        fletch_shuffle_reader_close(context->inlets[i].reader);
        context->inlets[i].reader = NULL;
    }
}

void fletch_flow_close_edges(struct fletch_flow *flow)
{
    for (uint32_t i = 0; i < flow->task_count; i++)
        for (uint32_t k = 0; k < flow->tasks[i]->instance_count; k++)
            close_ends(flow->tasks[i]->instances[k]);
    for (uint32_t i = 0; i < flow->link_count; i++)
        if (flow->links[i]->shuffle != NULL)
            fletch_shuffle_close(flow->links[i]->shuffle);
    for (uint32_t i = 0; i < flow->task_count; i++) {
        fletch_buffer_cache_close(flow->tasks[i]->cache);
        flow->tasks[i]->cache = NULL;
    }
}

static void drop(void *block)
{
    if (block != NULL)
        fletch_block_release(block);
}

static void free_instances(struct fletch_flow_node *node)
{
    for (uint32_t i = 0; i < node->instance_count; i++) {
        struct fletch_flow_context *context = node->instances[i];
        if (context == NULL)
            continue;
        drop(context->outlets);
        drop(context->first_outlets);
        drop(context->inlets);
        fletch_block_release(context);
    }
    fletch_block_release(node->instances);
    node->instances = NULL;
}

void fletch_flow_dismantle(struct fletch_flow *flow)
{
    for (uint32_t i = 0; i < flow->node_count; i++)
        if (flow->nodes[i]->instances != NULL)
            free_instances(flow->nodes[i]);
    for (uint32_t i = 0; i < flow->task_count; i++) {
        struct fletch_flow_task *task = flow->tasks[i];
        fletch_eventcount_deinit(&task->eventcount);
        drop(task->instances);
        fletch_block_release(task);
    }
    flow->task_count = 0;
    drop(flow->tasks);
    flow->tasks = NULL;
}
