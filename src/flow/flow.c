#include "flow/flow.h"

#include <string.h>

#include "base/allocator.h"
#include "base/options.h"
#include "base/status.h"
#include "memory/batch.h"
#include "sync/ring.h"

#define MEMORY_TIMEOUT_NS_DEFAULT UINT64_C(60000000000)

enum { BARRIER_LIMIT_DEFAULT = 4, LINKS_MOST = 1 << 16, LIST_FIRST = 8 };

static enum fletch_status refuse(struct fletch_error *error, const char *what, uint64_t found,
                                 uint64_t least, uint64_t most)
{
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "%s is %llu, expected %llu to %llu",
                            what, (unsigned long long)found, (unsigned long long)least,
                            (unsigned long long)most);
}

static enum fletch_status refuse_memory(struct fletch_error *error, const char *what)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory for %s", what);
}

/* ---- making ---- */

static enum fletch_status set_name(char *name, const char *given, const char *what,
                                   struct fletch_error *error)
{
    size_t bytes = given == NULL ? 0 : strlen(given);
    if (bytes == 0 || bytes >= FLETCH_FLOW_NAME_BYTES)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "the name of a %s has %zu bytes, expected 1 to %d", what, bytes,
                                FLETCH_FLOW_NAME_BYTES - 1);
    memcpy(name, given, bytes + 1);
    return FLETCH_OK;
}

static enum fletch_status set_options(struct fletch_flow *flow,
                                      const struct fletch_flow_options *options,
                                      struct fletch_error *error)
{
    enum fletch_status status =
        set_name(flow->name, options->name == NULL ? "flow" : options->name, "flow", error);
    if (status == FLETCH_OK)
        status = fletch_wait_policy_choose(options->wait_strategy, options->spin_budget_ns,
                                           &flow->policy, error);
    if (status != FLETCH_OK)
        return status;
    if (options->barrier_limit > FLETCH_FLOW_BARRIERS_MOST)
        return refuse(error, "barrier_limit", options->barrier_limit, 1, FLETCH_FLOW_BARRIERS_MOST);
    flow->sleeps = fletch_wait_policy_sleeps(&flow->policy);
    flow->barrier_limit =
        options->barrier_limit == 0 ? BARRIER_LIMIT_DEFAULT : options->barrier_limit;
    flow->memory_timeout_ns =
        options->memory_timeout_ns == 0 ? MEMORY_TIMEOUT_NS_DEFAULT : options->memory_timeout_ns;
    return FLETCH_OK;
}

enum fletch_status fletch_flow_create(struct fletch_transport *transport,
                                      const struct fletch_flow_options *options,
                                      struct fletch_flow **out_flow, struct fletch_error *error)
{
    static const struct fletch_flow_options defaults = {.struct_size = sizeof defaults};
    struct fletch_flow_options known;
    enum fletch_status status = fletch_transport_check(transport, error);
    if (status == FLETCH_OK)
        status = fletch_options_copy(&known, sizeof known, options == NULL ? &defaults : options,
                                     sizeof known, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_flow *flow = fletch_block_allocate(&transport->allocator, sizeof *flow);
    if (flow == NULL)
        return refuse_memory(error, "a flow");
    *flow = (struct fletch_flow){.allocator = transport->allocator, .transport = transport};
    fletch_eventcount_start(&flow->changed, FLETCH_SHARING_PROCESS);
    status = set_options(flow, &known, error);
    if (status != FLETCH_OK) {
        fletch_flow_free(flow);
        return status;
    }
    *out_flow = flow;
    return FLETCH_OK;
}

static void drop(const void *block)
{
    if (block != NULL)
        fletch_block_release((void *)(uintptr_t)block);
}

static void free_node(struct fletch_flow_node *node)
{
    drop(node->cpus);
    drop(node->inputs_from);
    fletch_block_release(node);
}

static void free_link(struct fletch_flow_link *link)
{
    fletch_shuffle_release(link->shuffle);
    fletch_schema_release(link->edge.schema);
    drop(link->edge.key_columns);
    drop(link->edge.range_orders);
    drop(link->edge.spill_directory);
    fletch_batch_release(NULL, link->edge.range_bounds);
    fletch_block_release(link);
}

void fletch_flow_free(struct fletch_flow *flow)
{
    for (uint32_t i = 0; i < flow->link_count; i++)
        free_link(flow->links[i]);
    for (uint32_t i = 0; i < flow->node_count; i++)
        free_node(flow->nodes[i]);
    drop(flow->links);
    drop(flow->nodes);
    drop(flow->order);
    fletch_eventcount_deinit(&flow->changed);
    fletch_block_release(flow);
}

/* ---- lists ---- */

/* Makes room for one more pointer. False: no memory. */
static bool grow(const struct fletch_allocator *allocator, void **list, uint32_t count,
                 uint32_t *capacity)
{
    if (count < *capacity)
        return true;
    uint32_t more = *capacity == 0 ? LIST_FIRST : 2 * *capacity;
    void *block = fletch_block_allocate(allocator, more * sizeof(void *));
    if (block == NULL)
        return false;
    if (*list != NULL) {
        memcpy(block, *list, count * sizeof(void *));
        fletch_block_release(*list);
    }
    *list = block;
    *capacity = more;
    return true;
}

/* `*slot` = a copy of `bytes` bytes; NULL stays NULL. False: no memory. */
static bool copy(const struct fletch_allocator *allocator, const void *source, size_t bytes,
                 const void **slot)
{
    *slot = NULL;
    if (source == NULL || bytes == 0)
        return true;
    void *block = fletch_block_allocate(allocator, bytes);
    if (block != NULL)
        memcpy(block, source, bytes);
    *slot = block;
    return block != NULL;
}

static enum fletch_status check_building(const struct fletch_flow *flow, struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(flow->transport, error);
    /* relaxed: building belongs to one thread */
    if (status != FLETCH_OK || load_relaxed(&flow->phase) == FLETCH_FLOW_BUILDING)
        return status;
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "flow '%s' was started", flow->name);
}

/* ---- adding ---- */

static const char *const kind_names[] = {
    [FLETCH_NODE_SOURCE] = "source", [FLETCH_NODE_STAGE] = "stage", [FLETCH_NODE_SINK] = "sink"};

static enum fletch_status check_stage(const struct fletch_flow *flow,
                                      const struct fletch_flow_stage *stage,
                                      enum fletch_flow_node_kind kind, struct fletch_error *error)
{
    if (flow->node_count == FLETCH_FLOW_STAGES_MAX)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: flow '%s' has %u stages, the most that it "
                                "can have",
                                flow->name, flow->node_count);
    if (stage->instance_count > FLETCH_FLOW_INSTANCES_MAX)
        return refuse(error, "instance_count", stage->instance_count, 1, FLETCH_FLOW_INSTANCES_MAX);
    if (stage->output_count > FLETCH_FLOW_OUTPUTS_MAX)
        return refuse(error, "output_count", stage->output_count, 1, FLETCH_FLOW_OUTPUTS_MAX);
    if (kind == FLETCH_NODE_SINK && stage->output_count != 0)
        return refuse(error, "output_count of a sink", stage->output_count, 0, 0);
    if (stage->reads_in_order > 1)
        return refuse(error, "reads_in_order", stage->reads_in_order, 0, 1);
    if (stage->reads_to_end > 1)
        return refuse(error, "reads_to_end", stage->reads_to_end, 0, 1);
    if ((stage->cpus == NULL) != (stage->cpu_count == 0))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "cpu_count is %u, and cpus is %s",
                                stage->cpu_count, stage->cpus == NULL ? "NULL" : "given");
    for (uint32_t i = 0; i < flow->node_count; i++)
        if (strcmp(flow->nodes[i]->name, stage->name) == 0)
            return fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                                    "flow '%s' has a stage '%s' already", flow->name, stage->name);
    return FLETCH_OK;
}

static enum fletch_status set_functions(struct fletch_flow_node *node,
                                        const struct fletch_flow_functions *functions,
                                        struct fletch_error *error)
{
    enum fletch_status status = fletch_options_copy(&node->functions, sizeof node->functions,
                                                    functions, sizeof node->functions, error);
    if (status != FLETCH_OK)
        return status;
    bool is_source = node->kind == FLETCH_NODE_SOURCE;
    const struct fletch_flow_functions *own = &node->functions;
    if (is_source ? own->produce == NULL : own->process == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "%s '%s' needs a function '%s'",
                                kind_names[node->kind], node->name,
                                is_source ? "produce" : "process");
    if (is_source ? own->process != NULL || own->on_watermark != NULL || own->on_input_end != NULL
                  : own->produce != NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "%s '%s' has a function that is never called: '%s'",
                                kind_names[node->kind], node->name,
                                !is_source             ? "produce"
                                : own->process != NULL ? "process"
                                : own->on_watermark    ? "on_watermark"
                                                       : "on_input_end");
    return FLETCH_OK;
}

static enum fletch_status fill_node(struct fletch_flow *flow, struct fletch_flow_node *node,
                                    const struct fletch_flow_stage *stage,
                                    struct fletch_error *error)
{
    const void *cpus;
    enum fletch_status status = set_functions(node, stage->functions, error);
    if (status != FLETCH_OK)
        return status;
    node->argument = stage->argument;
    node->instance_count = stage->instance_count == 0 ? 1 : stage->instance_count;
    if (node->kind != FLETCH_NODE_SINK)
        node->output_count = stage->output_count == 0 ? 1 : stage->output_count;
    node->reads_in_order = stage->reads_in_order == 1;
    node->reads_to_end = stage->reads_to_end == 1;
    if (!copy(&flow->allocator, stage->cpus, stage->cpu_count * sizeof stage->cpus[0], &cpus))
        return refuse_memory(error, "a list of processors");
    node->cpus = (uint32_t *)(uintptr_t)cpus;
    node->cpu_count = stage->cpu_count;
    return FLETCH_OK;
}

static enum fletch_status add(struct fletch_flow *flow, enum fletch_flow_node_kind kind,
                              const struct fletch_flow_stage *stage, uint32_t *out_stage,
                              struct fletch_error *error)
{
    struct fletch_flow_stage known;
    struct fletch_flow_node made = {.kind = kind, .number = flow->node_count};
    enum fletch_status status = check_building(flow, error);
    if (status == FLETCH_OK)
        status = fletch_options_copy(&known, sizeof known, stage, sizeof known, error);
    if (status == FLETCH_OK)
        status = set_name(made.name, known.name, kind_names[kind], error);
    if (status == FLETCH_OK)
        status = check_stage(flow, &known, kind, error);
    if (status == FLETCH_OK && !grow(&flow->allocator, (void **)(void *)&flow->nodes,
                                     flow->node_count, &flow->node_capacity))
        status = refuse_memory(error, "a list of stages");
    if (status != FLETCH_OK)
        return status;
    struct fletch_flow_node *node = fletch_block_allocate(&flow->allocator, sizeof *node);
    if (node == NULL)
        return refuse_memory(error, "a stage");
    *node = made;
    status = fill_node(flow, node, &known, error);
    if (status != FLETCH_OK) {
        free_node(node);
        return status;
    }
    *out_stage = flow->node_count;
    flow->nodes[flow->node_count++] = node;
    return FLETCH_OK;
}

enum fletch_status fletch_flow_add_source(struct fletch_flow *flow,
                                          const struct fletch_flow_stage *source,
                                          uint32_t *out_stage, struct fletch_error *error)
{
    return add(flow, FLETCH_NODE_SOURCE, source, out_stage, error);
}

enum fletch_status fletch_flow_add_stage(struct fletch_flow *flow,
                                         const struct fletch_flow_stage *stage, uint32_t *out_stage,
                                         struct fletch_error *error)
{
    return add(flow, FLETCH_NODE_STAGE, stage, out_stage, error);
}

enum fletch_status fletch_flow_add_sink(struct fletch_flow *flow,
                                        const struct fletch_flow_stage *sink, uint32_t *out_stage,
                                        struct fletch_error *error)
{
    return add(flow, FLETCH_NODE_SINK, sink, out_stage, error);
}

/* ---- connecting ---- */

static enum fletch_status check_ends(const struct fletch_flow *flow,
                                     const struct fletch_flow_edge *edge,
                                     struct fletch_error *error)
{
    if (edge->from_stage >= flow->node_count || edge->to_stage >= flow->node_count)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "an edge goes from stage %u to stage %u, flow '%s' has %u",
                                edge->from_stage, edge->to_stage, flow->name, flow->node_count);
    const struct fletch_flow_node *from = flow->nodes[edge->from_stage];
    const struct fletch_flow_node *to = flow->nodes[edge->to_stage];
    if (edge->from_output >= from->output_count)
        return fletch_error_set(
            error, FLETCH_OUT_OF_RANGE, "an edge leaves output %u of %s '%s', which has %u",
            edge->from_output, kind_names[from->kind], from->name, from->output_count);
    if (to->kind == FLETCH_NODE_SOURCE)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "an edge from '%s' goes to '%s', which is a source", from->name,
                                to->name);
    if (edge->to_input >= FLETCH_FLOW_OUTPUTS_MAX)
        return refuse(error, "to_input", edge->to_input, 0, FLETCH_FLOW_OUTPUTS_MAX - 1);
    if (edge->kind == FLETCH_FLOW_FORWARD && from->instance_count != to->instance_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a FORWARD edge goes from the %u instances of '%s' to the %u of "
                                "'%s', expected as many",
                                from->instance_count, from->name, to->instance_count, to->name);
    return FLETCH_OK;
}

static enum fletch_status check_edge(const struct fletch_flow *flow,
                                     const struct fletch_flow_edge *edge,
                                     struct fletch_error *error)
{
    if ((unsigned)edge->kind > FLETCH_FLOW_BROADCAST)
        return refuse(error, "kind", (uint64_t)edge->kind, 0, FLETCH_FLOW_BROADCAST);
    if (edge->is_apart > 1)
        return refuse(error, "is_apart", edge->is_apart, 0, 1);
    if (edge->capacity > FLETCH_CAPACITY_MAX / 2)
        return refuse(error, "capacity", edge->capacity, 1, FLETCH_CAPACITY_MAX / 2);
    if (edge->kind != FLETCH_FLOW_FORWARD && edge->schema == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "an edge needs the schema of its batches, unless it is FORWARD");
    bool has_key = edge->kind == FLETCH_FLOW_HASH || edge->kind == FLETCH_FLOW_RANGE;
    if (has_key && (edge->key_columns == NULL || edge->key_column_count == 0))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "an edge that is HASH or RANGE needs key columns");
    if (flow->link_count == LINKS_MOST)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: flow '%s' has %u edges, the most that it can "
                                "have",
                                flow->name, flow->link_count);
    return check_ends(flow, edge, error);
}

/* Makes everything that the link's edge points to its own. */
static bool own(const struct fletch_flow *flow, struct fletch_flow_link *link)
{
    struct fletch_flow_edge *edge = &link->edge;
    struct fletch_flow_edge given = *edge;
    const void *columns = NULL, *orders = NULL, *directory = NULL;
    size_t directory_bytes = given.spill_directory == NULL ? 0 : strlen(given.spill_directory) + 1;
    bool has_memory = copy(&flow->allocator, given.key_columns,
                           given.key_column_count * sizeof given.key_columns[0], &columns) &&
                      copy(&flow->allocator, given.range_orders,
                           given.key_column_count * sizeof given.range_orders[0], &orders) &&
                      copy(&flow->allocator, given.spill_directory, directory_bytes, &directory);
    edge->key_columns = columns;
    edge->range_orders = orders;
    edge->spill_directory = directory;
    if (edge->schema != NULL)
        fletch_schema_acquire(edge->schema);
    if (edge->range_bounds != NULL)
        fletch_batch_acquire(edge->range_bounds);
    return has_memory;
}

enum fletch_status fletch_flow_connect(struct fletch_flow *flow,
                                       const struct fletch_flow_edge *edge, uint32_t *out_edge,
                                       struct fletch_error *error)
{
    struct fletch_flow_edge known;
    enum fletch_status status = check_building(flow, error);
    if (status == FLETCH_OK)
        status = fletch_options_copy(&known, sizeof known, edge, sizeof known, error);
    if (status == FLETCH_OK)
        status = check_edge(flow, &known, error);
    if (status == FLETCH_OK && !grow(&flow->allocator, (void **)(void *)&flow->links,
                                     flow->link_count, &flow->link_capacity))
        status = refuse_memory(error, "a list of edges");
    if (status != FLETCH_OK)
        return status;
    struct fletch_flow_link *link = fletch_block_allocate(&flow->allocator, sizeof *link);
    if (link == NULL)
        return refuse_memory(error, "an edge");
    *link = (struct fletch_flow_link){.edge = known, .number = flow->link_count};
    if (!own(flow, link)) {
        free_link(link);
        return refuse_memory(error, "an edge");
    }
    if (out_edge != NULL)
        *out_edge = flow->link_count;
    flow->links[flow->link_count++] = link;
    return FLETCH_OK;
}
