#include "support/flow_scenes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/status.h"
#include "base/thread.h"
#include "memory/batch.h"

#define BUDGET_DEFAULT (UINT64_C(64) << 20)

enum { ROWS_DEFAULT = 50, IDENTITY_SHIFT = 40, CAPACITY_DEFAULT = 8, TIME_STEP = 10 };

static const struct flow_node_words *words_of(const struct flow_actor *actor)
{
    return &actor->scene->nodes[actor->node];
}

uint32_t flow_scene_instances(const struct flow_scene *scene, uint32_t node)
{
    return scene->nodes[node].instances == 0 ? 1 : scene->nodes[node].instances;
}

static bool draws(struct flow_actor *actor, uint32_t one_in)
{
    return one_in > 0 && fletch_random_below(&actor->random, one_in) == 0;
}

/* Longer than a writer of a shuffle waits before it spills. */
static void nap(void)
{
    const struct timespec long_enough = {.tv_nsec = 300000000};
    (void)nanosleep(&long_enough, NULL);
}

/* Counts a call, dawdles, and fails where the words say so. */
static enum fletch_status arrive(struct flow_actor *actor, enum flow_fault where,
                                 struct fletch_error *error)
{
    const struct flow_node_words *words = words_of(actor);
    uint32_t calls = actor->calls[where]++;
    if (draws(actor, words->slow_one_in))
        fletch_thread_yield();
    if (where == FAULT_WORK && words->naps_at > 0 && calls == words->naps_at)
        nap();
    if (words->fault != where || words->fault_instance != actor->number ||
        calls < words->fault_after)
        return FLETCH_OK;
    if (words->fault_is_hang) {
        store_relaxed(&actor->scene->hangs, 1);             /* relaxed: a flag without data */
        while (load_relaxed(&actor->scene->is_let_go) == 0) /* relaxed: as above */
            fletch_thread_yield();
        return FLETCH_OK;
    }
    return fletch_error_set(error, FLETCH_ABORTED, "as planned, in call %u of kind %d", calls,
                            (int)where);
}

static enum fletch_status complain(struct fletch_error *error, const char *what, int64_t found,
                                   int64_t expected)
{
    return fletch_error_set(error, FLETCH_INTERNAL,
                            "BROKEN: %s: %" PRId64 " was found, with %" PRId64, what, found,
                            expected);
}

/* Whether somebody may want no more: then less comes. */
static bool has_limits(const struct flow_scene *scene)
{
    for (uint32_t i = 0; i < scene->node_count; i++)
        if (scene->nodes[i].enough_after > 0)
            return true;
    return false;
}

static void pile_up(struct flow_pile *pile, const struct fletch_batch *batch, uint64_t times)
{
    const int64_t *identity = flow_rows_column(batch, FLOW_IDENTITY);
    for (int64_t i = 0; i < batch->row_count; i++) {
        struct fletch_random random = fletch_random_from_seed((uint64_t)identity[i]);
        pile->sum += times * fletch_random_u64(&random);
    }
    pile->rows += times * (uint64_t)batch->row_count;
}

/* ---- sources ---- */

static enum fletch_status init(struct fletch_flow_context *context, void *argument,
                               void **out_state, struct fletch_error *error)
{
    struct flow_actor *actors = argument;
    struct flow_actor *actor = &actors[fletch_flow_context_instance(context)];
    actor->inits++;
    *out_state = actor;
    return arrive(actor, FAULT_INIT, error);
}

static enum fletch_status send(struct fletch_flow_context *context, struct flow_actor *actor,
                               uint32_t output, struct fletch_batch *batch,
                               struct fletch_error *error)
{
    pile_up(&actor->out[output], batch, 1);
    if (draws(actor, 2)) { /* either way */
        enum fletch_status status = fletch_flow_give(context, output, batch, error);
        if (status != FLETCH_OK)
            fletch_batch_release(fletch_flow_context_cache(context), batch);
        return status;
    }
    enum fletch_status status = fletch_flow_emit(context, output, batch, error);
    fletch_batch_release(fletch_flow_context_cache(context), batch);
    return status;
}

static struct fletch_batch *make_batch(struct fletch_flow_context *context,
                                       struct flow_actor *actor)
{
    const struct flow_node_words *words = words_of(actor);
    int64_t *at;
    uint32_t most = words->rows_most == 0 ? ROWS_DEFAULT : words->rows_most;
    uint32_t rows = fletch_random_below(&actor->random, most + 1);
    struct fletch_batch *batch =
        flow_rows_make(actor->scene->schema, fletch_flow_context_cache(context), rows, &at);
    for (uint32_t i = 0; batch != NULL && i < rows; i++) {
        uint64_t number = ++actor->sent;
        uint64_t origin = (uint64_t)actor->node * FLOW_INSTANCES_MAX + actor->number;
        int64_t identity = (int64_t)(origin << IDENTITY_SHIFT | number);
        at[FLOW_KEY * rows + i] = flow_rows_key(identity);
        at[FLOW_IDENTITY * rows + i] = identity;
        at[FLOW_SENDER * rows + i] = actor->number;
        at[FLOW_NUMBER * rows + i] = (int64_t)number;
        at[FLOW_BARRIER * rows + i] = (int64_t)actor->last_barrier;
        /* What comes from one that was idle may be late; what came before may not. */
        at[FLOW_TIME * rows + i] = actor->was_idle ? INT64_MAX
                                                   : (int64_t)actor->batches * TIME_STEP + 1 +
                                                         fletch_random_below(&actor->random, 50);
    }
    return batch;
}

/* Says that it wants no more, where the words say so. */
static void note_enough(struct fletch_flow_context *context, struct flow_actor *actor)
{
    const struct flow_node_words *words = words_of(actor);
    if (words->enough_after == 0 || actor->calls[FAULT_WORK] < words->enough_after)
        return;
    actor->has_enough = true;
    fletch_flow_want_no_more(context);
}

static enum fletch_status produce(struct fletch_flow_context *context, void *state,
                                  bool *out_has_more, struct fletch_error *error)
{
    struct flow_actor *actor = state;
    const struct flow_node_words *words = words_of(actor);
    enum fletch_status status = arrive(actor, FAULT_WORK, error);
    if (status != FLETCH_OK)
        return status;
    if (actor->batches == words->batches) {
        *out_has_more = false;
        return FLETCH_OK;
    }
    struct fletch_batch *batch = make_batch(context, actor);
    if (batch == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a batch");
    actor->batches++;
    status = send(context, actor, 0, batch, error);
    if (status == FLETCH_OK && words->has_watermarks && draws(actor, 3)) {
        actor->watermark = (int64_t)actor->batches * TIME_STEP;
        status = fletch_flow_emit_watermark(context, actor->watermark, error);
    }
    if (draws(actor, words->pauses_one_in))
        fletch_flow_pause(context, fletch_random_below(&actor->random, 50000));
    if (status == FLETCH_OK && draws(actor, words->idles_one_in)) {
        actor->was_idle = true;
        status = fletch_flow_emit_idle(context, error);
    }
    note_enough(context, actor);
    return status;
}

/* ---- what comes in ---- */

static bool is_given_up(const struct flow_scene *scene, uint64_t id)
{
    return id < FLOW_BARRIERS_MAX && load_acquire(&scene->given_up[id]) != 0;
}

/* Whether a row that was sent after barrier `id` may come now: behind the actor's last one, but for
 * those that were given up. */
static bool is_side(const struct flow_actor *actor, uint64_t id)
{
    uint64_t from = id < actor->last_barrier ? id : actor->last_barrier;
    uint64_t to = id < actor->last_barrier ? actor->last_barrier : id;
    while (to > from && is_given_up(actor->scene, to))
        to--;
    return to == from;
}

static enum fletch_status check_rows(struct flow_actor *actor, uint32_t input,
                                     const struct fletch_batch *batch, struct fletch_error *error)
{
    const int64_t *identity = flow_rows_column(batch, FLOW_IDENTITY);
    const int64_t *sender = flow_rows_column(batch, FLOW_SENDER);
    const int64_t *number = flow_rows_column(batch, FLOW_NUMBER);
    const int64_t *barrier = flow_rows_column(batch, FLOW_BARRIER);
    const int64_t *time = flow_rows_column(batch, FLOW_TIME);
    const int64_t *key = flow_rows_column(batch, FLOW_KEY);
    for (int64_t i = 0; i < batch->row_count; i++) {
        if (input >= FLOW_LINKS_MAX || sender[i] < 0 || sender[i] >= FLOW_INSTANCES_MAX)
            return complain(error, "a row of nobody", sender[i], input);
        uint64_t *last = &actor->last[input][sender[i]];
        if ((uint64_t)number[i] <= *last)
            return complain(error, "a row out of order", number[i], (int64_t)*last);
        *last = (uint64_t)number[i];
        if (key[i] != flow_rows_key(identity[i]))
            return complain(error, "a key that is not the row's", key[i], identity[i]);
        if (!is_side(actor, (uint64_t)barrier[i]))
            return complain(error, "a row on the wrong side of a barrier", barrier[i],
                            (int64_t)actor->last_barrier);
        if (time[i] <= actor->watermark)
            return complain(error, "a row behind its watermark", time[i], actor->watermark);
    }
    return FLETCH_OK;
}

/* Sends a copy of the rows that says who sent them. */
static enum fletch_status relay(struct fletch_flow_context *context, struct flow_actor *actor,
                                uint32_t output, struct fletch_batch *batch,
                                struct fletch_error *error)
{
    uint32_t rows = (uint32_t)batch->row_count;
    int64_t *at;
    struct fletch_batch *copy =
        flow_rows_make(actor->scene->schema, fletch_flow_context_cache(context), rows, &at);
    if (copy == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a batch");
    for (uint32_t c = 0; rows > 0 && c < FLOW_COLUMNS; c++)
        memcpy(at + (size_t)c * rows, flow_rows_column(batch, (enum flow_column)c),
               rows * sizeof at[0]);
    for (uint32_t i = 0; i < rows; i++) {
        at[FLOW_SENDER * rows + i] = actor->number;
        at[FLOW_NUMBER * rows + i] = (int64_t)++actor->sent;
    }
    return send(context, actor, output, copy, error);
}

static enum fletch_status process(struct fletch_flow_context *context, void *state, uint32_t input,
                                  struct fletch_batch *batch, struct fletch_error *error)
{
    struct flow_actor *actor = state;
    enum fletch_status status = arrive(actor, FAULT_WORK, error);
    if (status == FLETCH_OK && (actor->finishes > 0 || actor->has_enough))
        status = complain(error, "a batch behind finish", input, 0);
    if (status == FLETCH_OK)
        status = check_rows(actor, input, batch, error);
    if (status != FLETCH_OK)
        return status;
    pile_up(&actor->in[input], batch, 1);
    actor->batches++;
    note_enough(context, actor);
    if (words_of(actor)->kind == FLOW_SINK)
        return FLETCH_OK;
    return relay(context, actor, 0, batch, error);
}

static bool is_told(const struct flow_actor *actor, uint64_t id)
{
    return id < FLOW_BARRIERS_MAX && (actor->aborts_told[id / 64] >> id % 64 & 1) != 0;
}

static enum fletch_status on_barrier(struct fletch_flow_context *context, void *state, uint64_t id,
                                     struct fletch_error *error)
{
    struct flow_actor *actor = state;
    (void)context;
    actor->barriers++;
    if (id <= actor->last_barrier)
        return complain(error, "a barrier out of order", (int64_t)id, (int64_t)actor->last_barrier);
    if (is_told(actor, id))
        return complain(error, "a barrier behind its abort", (int64_t)id, (int64_t)actor->aborts);
    actor->last_barrier = id;
    return arrive(actor, FAULT_BARRIER, error);
}

static enum fletch_status on_barrier_abort(struct fletch_flow_context *context, void *state,
                                           uint64_t id, struct fletch_error *error)
{
    struct flow_actor *actor = state;
    (void)context;
    if (!is_given_up(actor->scene, id) || is_told(actor, id))
        return complain(error, "an abort of nothing, or a second one", (int64_t)id,
                        (int64_t)actor->aborts);
    actor->aborts_told[id / 64] |= UINT64_C(1) << id % 64;
    actor->aborts++;
    return FLETCH_OK;
}

static enum fletch_status on_watermark(struct fletch_flow_context *context, void *state,
                                       int64_t watermark, struct fletch_error *error)
{
    struct flow_actor *actor = state;
    (void)context;
    if (watermark <= actor->watermark)
        return complain(error, "a watermark that is not greater", watermark, actor->watermark);
    actor->watermark = watermark;
    return arrive(actor, FAULT_WATERMARK, error);
}

static enum fletch_status on_input_end(struct fletch_flow_context *context, void *state,
                                       uint32_t input, struct fletch_error *error)
{
    struct flow_actor *actor = state;
    (void)context;
    (void)input;
    actor->input_ends++;
    return arrive(actor, FAULT_INPUT_END, error);
}

static enum fletch_status finish(struct fletch_flow_context *context, void *state,
                                 bool *out_has_more, struct fletch_error *error)
{
    struct flow_actor *actor = state;
    const struct flow_node_words *words = words_of(actor);
    (void)context;
    if (words->kind != FLOW_SOURCE && actor->watermark != INT64_MAX && !has_limits(actor->scene))
        return complain(error, "finish before the last watermark", actor->watermark, INT64_MAX);
    *out_has_more = actor->finishes++ < actor->number; /* some are called again */
    return arrive(actor, FAULT_FINISH, error);
}

static void note_closed(struct fletch_flow_context *context, void *state)
{
    struct flow_actor *actor = state;
    struct flow_scene *scene = actor->scene;
    (void)context;
    actor->closes++;
    uint32_t at = fetch_add_relaxed(&scene->close_count, 1); /* relaxed: one thread closes */
    if (at < FLOW_CLOSES_MAX)
        scene->closed[at] = actor->node * FLOW_INSTANCES_MAX + actor->number;
}

/* ---- graphs ---- */

static enum fletch_status add_node(struct flow_scene *scene, uint32_t node,
                                   struct fletch_error *error)
{
    const struct flow_node_words *words = &scene->nodes[node];
    bool is_source = words->kind == FLOW_SOURCE;
    const struct fletch_flow_functions functions = {
        .struct_size = sizeof functions,
        .init = init,
        .produce = is_source ? produce : NULL,
        .process = is_source ? NULL : process,
        .on_barrier = on_barrier,
        .on_watermark = is_source ? NULL : on_watermark,
        .on_input_end = is_source ? NULL : on_input_end,
        .finish = finish,
        .close = note_closed,
        .on_barrier_abort = on_barrier_abort,
    };
    const struct fletch_flow_stage stage = {
        .struct_size = sizeof stage,
        .name = words->name,
        .functions = &functions,
        .argument = scene->actors[node],
        .instance_count = words->instances,
        .reads_in_order = words->reads_in_order,
        .reads_to_end = words->reads_to_end,
    };
    uint32_t added = UINT32_MAX;
    for (uint32_t i = 0; i < FLOW_INSTANCES_MAX; i++)
        scene->actors[node][i] = (struct flow_actor){
            .scene = scene,
            .node = node,
            .number = i,
            .watermark = INT64_MIN,
            .random = fletch_random_from_seed(scene->seed * 1000 + node * FLOW_INSTANCES_MAX + i)};
    enum fletch_status status =
        is_source                  ? fletch_flow_add_source(scene->flow, &stage, &added, error)
        : words->kind == FLOW_SINK ? fletch_flow_add_sink(scene->flow, &stage, &added, error)
                                   : fletch_flow_add_stage(scene->flow, &stage, &added, error);
    return status;
}

static enum fletch_status add_link(struct flow_scene *scene, uint32_t link,
                                   const struct flow_scene_words *words, struct fletch_error *error)
{
    static const uint32_t key_column = FLOW_KEY;
    const struct flow_link_words *from = &scene->links[link];
    uint32_t partitions = flow_scene_instances(scene, from->to);
    bool has_bounds = from->kind == FLETCH_FLOW_RANGE;
    struct fletch_buffer_cache *cache = NULL;
    struct fletch_flow_edge edge = {
        .struct_size = sizeof edge,
        .kind = from->kind,
        .from_stage = from->from,
        .from_output = from->output,
        .to_stage = from->to,
        .to_input = from->input,
        .is_apart = from->is_apart,
        .capacity = words->capacity == 0 ? CAPACITY_DEFAULT : words->capacity,
        .schema = scene->schema,
        .key_columns = &key_column,
        .key_column_count = 1,
        .frame_bytes = 4096,
        .budget_bytes = words->edge_budget_bytes,
        .spill_directory = from->kind == FLETCH_FLOW_FORWARD ? NULL : words->spill_directory,
    };
    enum fletch_status status = FLETCH_OK;
    if (has_bounds)
        status = fletch_buffer_cache_open(fletch_transport_pool(scene->transport), &cache, error);
    if (status == FLETCH_OK && has_bounds) {
        edge.range_bounds = flow_rows_bounds(cache, partitions);
        if (edge.range_bounds == NULL)
            status = fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for bounds");
    }
    if (status == FLETCH_OK)
        status = fletch_flow_connect(scene->flow, &edge, NULL, error);
    fletch_batch_release(cache, edge.range_bounds);
    if (cache != NULL)
        fletch_buffer_cache_close(cache);
    return status;
}

static enum fletch_status make_flow(struct flow_scene *scene, const struct flow_scene_words *words,
                                    struct fletch_error *error)
{
    const struct fletch_transport_options transport = {
        .struct_size = sizeof transport,
        .budget_bytes = words->budget_bytes == 0 ? BUDGET_DEFAULT : words->budget_bytes,
    };
    const struct fletch_flow_options options = {
        .struct_size = sizeof options,
        .name = "scene",
        .barrier_limit = words->barrier_limit,
        .memory_timeout_ns = words->memory_timeout_ns,
        .wait_strategy = words->wait_strategy,
    };
    enum fletch_status status =
        fletch_transport_create(&transport, words->allocator, &scene->transport, error);
    if (status == FLETCH_OK)
        status = fletch_flow_create(scene->transport, &options, &scene->flow, error);
    for (uint32_t i = 0; i < scene->node_count && status == FLETCH_OK; i++)
        status = add_node(scene, i, error);
    for (uint32_t i = 0; i < scene->link_count && status == FLETCH_OK; i++)
        status = add_link(scene, i, words, error);
    return status;
}

enum fletch_status flow_scene_try(struct flow_scene *scene, const struct flow_scene_words *words,
                                  struct fletch_error *error)
{
    scene->seed = words->seed;
    scene->transport = NULL;
    scene->flow = NULL;
    store_relaxed(&scene->close_count, 0); /* relaxed: nobody else is there */
    store_relaxed(&scene->hangs, 0);       /* relaxed: as above */
    store_relaxed(&scene->is_let_go, 0);   /* relaxed: as above */
    for (uint32_t i = 0; i < FLOW_BARRIERS_MAX; i++)
        store_relaxed(&scene->given_up[i], 0); /* relaxed: as above */
    scene->schema = flow_rows_schema();
    enum fletch_status status = make_flow(scene, words, error);
    if (status != FLETCH_OK)
        flow_scene_end(scene);
    return status;
}

enum fletch_status flow_scene_abort_barrier(struct flow_scene *scene, uint64_t id)
{
    bool is_second = is_given_up(scene, id);
    store_release(&scene->given_up[id], 1); /* first: whoever is told finds it */
    enum fletch_status status = fletch_flow_abort_barrier(scene->flow, id, NULL);
    if (status != FLETCH_OK && !is_second)
        store_release(&scene->given_up[id], 0);
    return status;
}

void flow_scene_end(struct flow_scene *scene)
{
    struct fletch_error error;
    if (fletch_flow_destroy(scene->flow, UINT64_C(60000000000), &error) != FLETCH_OK ||
        (scene->transport != NULL &&
         fletch_transport_destroy(scene->transport, &error) != FLETCH_OK)) {
        fprintf(stderr, "the end of a scene: %s\n", error.message);
        abort();
    }
    scene->flow = NULL;
    scene->transport = NULL;
    fletch_schema_release(scene->schema);
}

/* ---- what came of it ---- */

static char complaint[300];

static const char *say(const struct flow_scene *scene, uint32_t node, const char *what,
                       uint64_t found, uint64_t expected)
{
    snprintf(complaint, sizeof complaint, "'%s': %s: %" PRIu64 ", expected %" PRIu64,
             scene->nodes[node].name, what, found, expected);
    return complaint;
}

/* What was sent and is wanted by nobody is counted; where each batch goes to several, it is counted
 * once or by each of them. */
static const char *check_limited(const struct flow_scene *scene, uint32_t link, uint64_t sent,
                                 uint64_t got)
{
    struct fletch_edge_statistics edge = {.struct_size = sizeof edge};
    uint32_t to = scene->links[link].to;
    if (fletch_flow_edge_statistics(scene->flow, link, &edge, NULL) != FLETCH_OK)
        return "an edge without statistics";
    bool is_right = scene->links[link].kind == FLETCH_FLOW_BROADCAST
                        ? got + edge.rows_unread <= sent
                        : got + edge.rows_unread == sent;
    if (edge.rows != got)
        return say(scene, to, "rows that the edge counts as come", edge.rows, got);
    return is_right ? NULL
                    : say(scene, to, "rows that came or are unread", got + edge.rows_unread, sent);
}

static const char *check_link(const struct flow_scene *scene, uint32_t number)
{
    const struct flow_link_words *link = &scene->links[number];
    uint64_t times =
        link->kind == FLETCH_FLOW_BROADCAST ? flow_scene_instances(scene, link->to) : 1;
    struct flow_pile sent = {.rows = 0}, got = {.rows = 0};
    for (uint32_t i = 0; i < FLOW_INSTANCES_MAX; i++) {
        sent.rows += times * scene->actors[link->from][i].out[link->output].rows;
        sent.sum += times * scene->actors[link->from][i].out[link->output].sum;
        got.rows += scene->actors[link->to][i].in[link->input].rows;
        got.sum += scene->actors[link->to][i].in[link->input].sum;
    }
    if (has_limits(scene))
        return check_limited(scene, number, sent.rows, got.rows);
    if (got.rows != sent.rows)
        return say(scene, link->to, "rows that came", got.rows, sent.rows);
    return got.sum == sent.sum ? NULL : say(scene, link->to, "sum of what came", got.sum, sent.sum);
}

static uint32_t count_inputs(const struct flow_scene *scene, uint32_t node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < scene->link_count; i++)
        count += scene->links[i].to == node;
    return count;
}

static const char *check_actor(const struct flow_scene *scene, uint32_t node, uint32_t instance)
{
    const struct flow_actor *actor = &scene->actors[node][instance];
    if (actor->inits != 1)
        return say(scene, node, "calls of init", actor->inits, 1);
    if (actor->finishes != instance + 1)
        return say(scene, node, "calls of finish", actor->finishes, instance + 1);
    if (actor->closes != 1)
        return say(scene, node, "calls of close", actor->closes, 1);
    if (actor->input_ends != count_inputs(scene, node) && !has_limits(scene))
        return say(scene, node, "inputs that ended", actor->input_ends, count_inputs(scene, node));
    return NULL;
}

const char *flow_scene_complaint(const struct flow_scene *scene)
{
    const char *found = NULL;
    for (uint32_t i = 0; i < scene->node_count && found == NULL; i++)
        for (uint32_t k = 0; k < flow_scene_instances(scene, i) && found == NULL; k++)
            found = check_actor(scene, i, k);
    for (uint32_t i = 0; i < scene->link_count && found == NULL; i++)
        found = check_link(scene, i);
    return found == NULL ? flow_scene_close_complaint(scene) : found;
}

static uint32_t place_of(const struct flow_scene *scene, uint32_t node, uint32_t instance)
{
    uint32_t at = 0;
    while (at < FLOW_CLOSES_MAX && scene->closed[at] != node * FLOW_INSTANCES_MAX + instance)
        at++;
    return at;
}

const char *flow_scene_close_complaint(const struct flow_scene *scene)
{
    for (uint32_t i = 0; i < scene->node_count; i++)
        for (uint32_t k = 0; k < FLOW_INSTANCES_MAX; k++) {
            const struct flow_actor *actor = &scene->actors[i][k];
            bool has_failed = scene->nodes[i].fault == FAULT_INIT &&
                              !scene->nodes[i].fault_is_hang &&
                              scene->nodes[i].fault_instance == k &&
                              scene->nodes[i].fault_after == 0 && actor->inits > 0;
            uint32_t owed = actor->inits > 0 && !has_failed;
            if (actor->closes != owed)
                return say(scene, i, "calls of close", actor->closes, owed);
        }
    for (uint32_t i = 0; i < scene->link_count; i++) {
        uint32_t from = scene->links[i].from, to = scene->links[i].to;
        for (uint32_t k = 0; k < flow_scene_instances(scene, from); k++)
            if (scene->actors[from][k].closes > 0 && scene->actors[to][0].closes > 0 &&
                place_of(scene, from, k) > place_of(scene, to, 0))
                return say(scene, to, "was closed before what sends to it", from, to);
    }
    return NULL;
}
