#include "support/flow_puppets.h"

#include <string.h>

#include "base/status.h"
#include "flow/flow_context.h"
#include "flow/flow_task.h"
#include "support/cmocka_tests.h"

/* Time goes on by more than rows linger; rounds without work after which nothing will come. */
#define ROUND_NS UINT64_C(2000000)
enum { QUIET_ROUNDS = 3, ROUNDS_MAX = 100000 };

/* ---- functions ---- */

static enum fletch_status begin(struct fletch_flow_context *context, void *argument,
                                void **out_state, struct fletch_error *error)
{
    struct puppet *puppets = argument;
    struct puppet *puppet = &puppets[fletch_flow_context_instance(context)];
    (void)error;
    puppet->waker = fletch_flow_context_waker(context);
    *out_state = puppet;
    return FLETCH_OK;
}

static enum fletch_status emit_rows(struct fletch_flow_context *context,
                                    const struct puppet *puppet, uint32_t rows, int64_t time,
                                    struct fletch_error *error)
{
    int64_t *at;
    struct fletch_batch *batch =
        flow_rows_make(puppet->theatre->schema, fletch_flow_context_cache(context), rows, &at);
    assert_non_null(batch);
    memset(at, 0, rows * FLOW_COLUMNS * sizeof *at);
    for (uint32_t i = 0; i < rows; i++) {
        at[FLOW_KEY * rows + i] = flow_rows_key(i);
        at[FLOW_TIME * rows + i] = time;
    }
    return fletch_flow_give(context, 0, batch, error);
}

static enum fletch_status produce(struct fletch_flow_context *context, void *state,
                                  bool *out_has_more, struct fletch_error *error)
{
    struct puppet *puppet = state;
    enum puppet_move move = puppet->move;
    puppet->produced++;
    puppet->move = PUPPET_REST;
    fletch_flow_pause(context, FLETCH_NO_TIMEOUT);
    switch (move) {
    case PUPPET_ROWS:
        return emit_rows(context, puppet, puppet->number, puppet->time, error);
    case PUPPET_WATERMARK:
        return fletch_flow_emit_watermark(context, puppet->time, error);
    case PUPPET_IDLE:
        return fletch_flow_emit_idle(context, error);
    case PUPPET_END:
        *out_has_more = false;
        break;
    case PUPPET_REST:
        break;
    }
    return FLETCH_OK;
}

static uint64_t rows_of(const struct puppet *puppet)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < PUPPET_INPUTS_MAX; i++)
        rows += puppet->rows[i];
    return rows;
}

static enum fletch_status process(struct fletch_flow_context *context, void *state, uint32_t input,
                                  struct fletch_batch *batch, struct fletch_error *error)
{
    struct puppet *puppet = state;
    puppet->rows[input] += (uint64_t)fletch_batch_row_count(batch);
    if (puppet->wants_no_more)
        fletch_flow_want_no_more(context);
    return puppet->passes_on ? fletch_flow_emit(context, 0, batch, error) : FLETCH_OK;
}

static enum fletch_status note_barrier(struct fletch_flow_context *context, void *state,
                                       uint64_t id, struct fletch_error *error)
{
    struct puppet *puppet = state;
    puppet->barriers++;
    puppet->last_barrier = id;
    puppet->rows_at_barrier = rows_of(puppet);
    if (puppet->wants_no_more)
        fletch_flow_want_no_more(context);
    return puppet->emits_at_barrier == 0
               ? FLETCH_OK
               : emit_rows(context, puppet, puppet->emits_at_barrier, 0, error);
}

static enum fletch_status note_abort(struct fletch_flow_context *context, void *state, uint64_t id,
                                     struct fletch_error *error)
{
    struct puppet *puppet = state;
    (void)context;
    puppet->aborts++;
    puppet->last_abort = id;
    return puppet->fails_at_abort ? fletch_error_set(error, FLETCH_ABORTED, "as planned")
                                  : FLETCH_OK;
}

static enum fletch_status note_watermark(struct fletch_flow_context *context, void *state,
                                         int64_t watermark, struct fletch_error *error)
{
    struct puppet *puppet = state;
    puppet->watermark_calls++;
    puppet->watermark = watermark;
    puppet->rows_at_watermark = rows_of(puppet);
    if (puppet->wants_no_more)
        fletch_flow_want_no_more(context);
    if (puppet->lacks_memory == 0)
        return FLETCH_OK;
    puppet->lacks_memory--;
    (void)fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "as planned");
    return fletch_flow_wait_for_memory(context, error);
}

static enum fletch_status note_finish(struct fletch_flow_context *context, void *state,
                                      bool *out_has_more, struct fletch_error *error)
{
    struct puppet *puppet = state;
    (void)context, (void)error, (void)out_has_more;
    puppet->finishes++;
    return FLETCH_OK;
}

/* ---- theatres ---- */

static uint64_t virtual_now_ns(void *context)
{
    return ((struct puppet_theatre *)context)->now_ns;
}

void theatre_open(struct puppet_theatre *theatre, const struct fletch_flow_options *options)
{
    *theatre = (struct puppet_theatre){.now_ns = 1, .schema = flow_rows_schema()};
    assert_ok(fletch_transport_create(NULL, NULL, &theatre->transport, NULL));
    theatre->transport->time =
        (struct fletch_time_source){.now_ns = virtual_now_ns, .context = theatre};
    assert_ok(fletch_flow_create(theatre->transport, options, &theatre->flow, NULL));
}

static bool step(struct puppet_theatre *theatre, uint32_t number)
{
    if (theatre->has_left[number])
        return false;
    enum fletch_task_answer answer = fletch_task_step(theatre->flow->tasks[number]);
    if (answer == FLETCH_TASK_OVER) {
        theatre->has_left[number] = true;
        fletch_flow_leave(theatre->flow);
    }
    return answer != FLETCH_TASK_IDLE;
}

void theatre_settle(struct puppet_theatre *theatre)
{
    uint32_t rounds = 0;
    for (uint32_t quiet = 0; quiet < QUIET_ROUNDS; quiet++) {
        assert_true(++rounds < ROUNDS_MAX);
        for (uint32_t i = 0; i < theatre->flow->task_count; i++)
            if (!theatre->is_stuck[i] && step(theatre, i))
                quiet = 0;
        theatre->now_ns += ROUND_NS;
    }
}

void theatre_close(struct puppet_theatre *theatre)
{
    fletch_flow_cancel(theatre->flow, "closed");
    memset(theatre->is_stuck, 0, sizeof theatre->is_stuck);
    theatre_settle(theatre);
    assert_ok(fletch_flow_destroy(theatre->flow, 0, NULL));
    assert_ok(fletch_transport_destroy(theatre->transport, NULL));
    fletch_schema_release(theatre->schema);
}

uint32_t theatre_add(struct puppet_theatre *theatre, const struct puppet_words *words)
{
    const struct fletch_flow_functions functions = {
        .struct_size = sizeof functions,
        .init = begin,
        .produce = words->is_source ? produce : NULL,
        .process = words->is_source ? NULL : process,
        .on_barrier = note_barrier,
        .on_watermark = words->is_source ? NULL : note_watermark,
        .finish = note_finish,
        .on_barrier_abort = note_abort,
    };
    uint32_t number = theatre->flow->node_count;
    struct fletch_flow_stage stage = {
        .struct_size = sizeof stage,
        .name = words->name,
        .functions = &functions,
        .argument = theatre->puppets[number],
        .instance_count = words->instances,
        .reads_in_order = words->reads_in_order,
        .reads_to_end = words->reads_to_end,
    };
    for (uint32_t i = 0; i < PUPPET_INSTANCES_MAX; i++)
        theatre->puppets[number][i] = (struct puppet){.theatre = theatre, .watermark = INT64_MIN};
    assert_ok(words->is_source ? fletch_flow_add_source(theatre->flow, &stage, &number, NULL)
                               : fletch_flow_add_stage(theatre->flow, &stage, &number, NULL));
    return number;
}

void theatre_join(struct puppet_theatre *theatre, uint32_t from, uint32_t to, uint32_t input,
                  enum fletch_flow_edge_kind kind)
{
    static const uint32_t key_column = FLOW_KEY;
    struct fletch_buffer_cache *cache;
    struct fletch_flow_edge edge = {
        .struct_size = sizeof edge,
        .kind = kind,
        .from_stage = from,
        .to_stage = to,
        .to_input = input,
        .is_apart = kind == FLETCH_FLOW_FORWARD,
        .schema = theatre->schema,
        .key_columns = &key_column,
        .key_column_count = 1,
        .budget_bytes = kind == FLETCH_FLOW_FORWARD ? 0 : theatre->edge_budget_bytes,
        .frame_bytes = 4096,
    };
    assert_ok(fletch_buffer_cache_open(fletch_transport_pool(theatre->transport), &cache, NULL));
    if (kind == FLETCH_FLOW_RANGE)
        edge.range_bounds = flow_rows_bounds(cache, theatre->flow->nodes[to]->instance_count);
    assert_ok(fletch_flow_connect(theatre->flow, &edge, NULL, NULL));
    fletch_batch_release(cache, edge.range_bounds);
    fletch_buffer_cache_close(cache);
}

enum fletch_status theatre_begin(struct puppet_theatre *theatre, struct fletch_error *error)
{
    enum fletch_status status = fletch_flow_prepare(theatre->flow, error);
    assert_true(theatre->flow->task_count <= PUPPET_TASKS_MAX);
    return status;
}

/* ---- moves ---- */

void theatre_move(struct puppet_theatre *theatre, uint32_t stage, uint32_t instance,
                  enum puppet_move move, int64_t value)
{
    struct puppet *puppet = theatre_puppet(theatre, stage, instance);
    theatre_settle(theatre); /* so that it was begun, and its last move made */
    puppet->move = move;
    puppet->time = value;
    puppet->number = (uint32_t)value;
    fletch_flow_waker_wake(puppet->waker);
    theatre_settle(theatre);
}

void theatre_set_stuck(struct puppet_theatre *theatre, uint32_t stage, bool is_stuck)
{
    for (uint32_t i = 0; i < theatre->flow->task_count; i++)
        for (uint32_t k = 0; k < theatre->flow->tasks[i]->instance_count; k++)
            if (theatre->flow->tasks[i]->instances[k]->node->number == stage)
                theatre->is_stuck[i] = is_stuck;
}

struct fletch_stage_statistics theatre_statistics(struct puppet_theatre *theatre, uint32_t stage)
{
    struct fletch_stage_statistics found = {.struct_size = sizeof found};
    assert_ok(fletch_flow_stage_statistics(theatre->flow, stage, FLETCH_FLOW_ALL_INSTANCES, &found,
                                           NULL));
    return found;
}
