#include <fletching/fletching.h>

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "support/cmocka_tests.h"
#include "support/events.h"

/* Windows inside of a flow: a source of events and watermarks, windows, and two sinks. */

enum { EVENTS = 1000, BATCH = 50, WINDOW = 100, KEPT_MAX = EVENTS };

struct scene {
    struct fletch_transport *transport;
    struct fletch_schema *schema;
    struct fletch_flow *flow;
    int64_t next;  /* the source's */
    int64_t rows;  /* of windows */
    int64_t aside; /* late or without time */
    int64_t order; /* rows of windows that did not come by their number */
    int64_t last_end;
    uint64_t windows;
    /* Batches that the sink keeps, as long as it is to. */
    struct fletch_batch *kept[KEPT_MAX];
    _Atomic uint32_t kept_count;
    _Atomic uint32_t keeps;
};

/* Numbers 0 … in order of their time; each 100th has none, and each batch but the first begins with
 * one that is late. */
static enum fletch_status produce(struct fletch_flow_context *context, void *state,
                                  bool *out_has_more, struct fletch_error *error)
{
    struct scene *scene = state;
    struct test_event events[BATCH];
    for (size_t i = 0; i < BATCH; i++, scene->next++)
        events[i] = (struct test_event){
            .time = i == 0 && scene->next > 0 ? scene->next - WINDOW - 1 : scene->next,
            .has_no_time = scene->next % 100 == 99,
            .number = scene->next,
        };
    struct fletch_batch *batch =
        events_batch(fletch_flow_context_cache(context), scene->schema, events, BATCH);
    enum fletch_status status = fletch_flow_give(context, 0, batch, error);
    *out_has_more = scene->next < EVENTS;
    return status != FLETCH_OK ? status
                               : fletch_flow_emit_watermark(context, scene->next - 1, error);
}

static enum fletch_status count_rows(struct fletch_flow_context *context, void *state,
                                     uint32_t input, struct fletch_batch *batch,
                                     struct fletch_error *error)
{
    struct scene *scene = state;
    (void)context;
    (void)error;
    for (int64_t i = 0; i < fletch_batch_row_count(batch); i++) {
        struct test_event event = events_read(batch, i);
        bool is_aside = event.has_no_time || event.time != event.number;
        scene->order += is_aside != (input == 1);
        scene->rows += input == 0;
        scene->aside += input == 1;
    }
    /* relaxed: a flag without data, and a count of this thread's */
    uint32_t count = load_relaxed(&scene->kept_count);
    if (load_relaxed(&scene->keeps) == 0 || count == KEPT_MAX) /* relaxed: as above */
        return FLETCH_OK;
    scene->kept[count] = fletch_batch_acquire(batch);
    store_release(&scene->kept_count, count + 1);
    return FLETCH_OK;
}

static const struct fletch_flow_functions source = {.struct_size = sizeof source,
                                                    .produce = produce};
static const struct fletch_flow_functions sink = {.struct_size = sizeof sink,
                                                  .process = count_rows};

static const struct fletch_windows_options tumbling = {
    .struct_size = sizeof tumbling, .size = WINDOW, .frame_bytes = 4096};

static void scene_make_with(struct scene *scene, struct fletch_window_stage *stage,
                            const struct fletch_flow_options *options)
{
    *scene = (struct scene){.schema = events_schema()};
    stage->struct_size = sizeof *stage;
    stage->schema = scene->schema;
    assert_ok(fletch_transport_create(NULL, NULL, &scene->transport, NULL));
    assert_ok(fletch_flow_create(scene->transport, options, &scene->flow, NULL));
    const struct fletch_flow_stage stages[] = {
        {.struct_size = sizeof stages[0],
         .name = "events",
         .functions = &source,
         .argument = scene},
        {.struct_size = sizeof stages[0],
         .name = "windows",
         .argument = stage,
         .functions = fletch_window_stage_functions(),
         .output_count = 2},
        {.struct_size = sizeof stages[0], .name = "rows", .functions = &sink, .argument = scene},
    };
    uint32_t number;
    assert_ok(fletch_flow_add_source(scene->flow, &stages[0], &number, NULL));
    assert_ok(fletch_flow_add_stage(scene->flow, &stages[1], &number, NULL));
    assert_ok(fletch_flow_add_sink(scene->flow, &stages[2], &number, NULL));
    for (uint32_t i = 0; i < 3; i++) {
        const struct fletch_flow_edge edge = {
            .struct_size = sizeof edge,
            .from_stage = i == 0 ? 0 : 1,
            .from_output = i == 2,
            .to_stage = i == 0 ? 1 : 2,
            .to_input = i == 2,
        };
        assert_ok(fletch_flow_connect(scene->flow, &edge, NULL, NULL));
    }
}

static void scene_make(struct scene *scene, struct fletch_window_stage *stage)
{
    scene_make_with(scene, stage, NULL);
}

static enum fletch_status scene_end(struct scene *scene, struct fletch_error *error)
{
    enum fletch_status status = fletch_flow_wait(scene->flow, UINT64_C(60000000000), error);
    /* relaxed: its thread has ended */
    for (uint32_t i = 0; i < load_relaxed(&scene->kept_count); i++)
        fletch_batch_release(NULL, scene->kept[i]);
    assert_ok(fletch_flow_destroy(scene->flow, UINT64_C(60000000000), NULL));
    fletch_schema_release(scene->schema);
    assert_ok(fletch_transport_destroy(scene->transport, NULL));
    return status;
}

static enum fletch_status scene_run(struct scene *scene, struct fletch_error *error)
{
    assert_ok(fletch_flow_start(scene->flow, NULL));
    return scene_end(scene, error);
}

static void rows_go_to_their_outputs(void **state)
{
    (void)state;
    struct fletch_window_stage stage = {.windows = &tumbling};
    struct scene scene;
    struct fletch_error error;
    scene_make(&scene, &stage);
    if (scene_run(&scene, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(scene.rows + scene.aside, EVENTS);
    assert_int_equal(scene.order, 0);
    assert_int_equal(scene.aside, EVENTS / 100 + EVENTS / BATCH - 1);
}

static enum fletch_status note_window(struct fletch_flow_context *context, void *argument,
                                      const struct fletch_window_rows *rows,
                                      struct fletch_error *error)
{
    struct scene *scene = argument;
    (void)context;
    (void)error;
    if (rows->kind != FLETCH_WINDOW_ROWS) {
        scene->aside += fletch_batch_row_count(rows->batch);
        return FLETCH_OK;
    }
    scene->rows += fletch_batch_row_count(rows->batch);
    scene->order += rows->end < scene->last_end;
    scene->last_end = rows->end;
    scene->windows += rows->is_last;
    return FLETCH_OK;
}

static void a_function_is_handed_each_window(void **state)
{
    (void)state;
    struct scene scene;
    struct fletch_error error;
    struct fletch_window_stage stage = {
        .windows = &tumbling, .on_rows = note_window, .argument = &scene};
    scene_make(&scene, &stage);
    if (scene_run(&scene, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(scene.rows + scene.aside, EVENTS);
    assert_int_equal(scene.windows, EVENTS / WINDOW);
    assert_int_equal(scene.last_end, EVENTS);
    assert_int_equal(scene.order, 0);
}

static void bad_windows_fail_the_flow(void **state)
{
    (void)state;
    static const struct fletch_windows_options bad = {.struct_size = sizeof bad, .size = -1};
    struct fletch_window_stage stage = {.windows = &bad};
    struct scene scene;
    struct fletch_error error;
    scene_make(&scene, &stage);
    assert_int_equal(scene_run(&scene, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "size is -1, expected 1 and more");
    stage.windows = NULL;
    scene_make(&scene, &stage);
    assert_int_equal(scene_run(&scene, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "without schema or windows");
}

static void an_older_callers_options_are_shorter(void **state)
{
    (void)state;
    /* All but its last field, and nothing behind it. */
    size_t bytes = offsetof(struct fletch_windows_options, account);
    void *older = malloc(bytes);
    struct scene scene;
    struct fletch_error error;
    assert_non_null(older);
    memcpy(older, &tumbling, bytes);
    memcpy(older, &bytes, sizeof bytes); /* struct_size, which is first */
    struct fletch_window_stage stage = {.windows = older};
    scene_make(&scene, &stage);
    assert_int_equal(scene_run(&scene, &error), FLETCH_INVALID_ARGUMENT); /* there is none yet */
    assert_contains(error.message, "stage 'windows', instance 0: ");
    free(older);
}

static void sides_need_an_output(void **state)
{
    (void)state;
    const struct fletch_window_stage stage = {
        .struct_size = sizeof stage, .schema = events_schema(), .windows = &tumbling};
    const struct fletch_flow_stage stages[] = {
        {.struct_size = sizeof stages[0], .name = "events", .functions = &source},
        {.struct_size = sizeof stages[0],
         .name = "windows",
         .argument = (void *)(uintptr_t)&stage,
         .functions = fletch_window_stage_functions()},
    };
    struct scene scene = {.schema = stage.schema};
    struct fletch_flow_edge edge = {.struct_size = sizeof edge};
    struct fletch_flow_stage events = stages[0];
    struct fletch_error error;
    events.argument = &scene;
    assert_ok(fletch_transport_create(NULL, NULL, &scene.transport, NULL));
    assert_ok(fletch_flow_create(scene.transport, NULL, &scene.flow, NULL));
    assert_ok(fletch_flow_add_source(scene.flow, &events, &edge.from_stage, NULL));
    assert_ok(fletch_flow_add_stage(scene.flow, &stages[1], &edge.to_stage, NULL));
    assert_ok(fletch_flow_connect(scene.flow, &edge, NULL, NULL));
    assert_int_equal(scene_run(&scene, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "output_count of 'windows', a stage of windows without on_rows, "
                                   "is 1, expected 2");
}

static void too_many_panes_fail_the_flow(void **state)
{
    (void)state;
    static const struct fletch_windows_options narrow = {
        .struct_size = sizeof narrow, .size = 1, .pane_limit = 10};
    struct fletch_window_stage stage = {.windows = &narrow};
    struct scene scene;
    struct fletch_error error;
    scene_make(&scene, &stage);
    assert_int_equal(scene_run(&scene, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "stage 'windows', instance 0: all 10 panes are open");
}

/* ---- an account that is full ---- */

struct purse {
    struct fletch_budget *budget;
    struct fletch_account *account;
    struct fletch_windows_options windows;
};

static struct purse purse_make(void)
{
    const struct fletch_account_options all = {.struct_size = sizeof all, .name = "all"};
    const struct fletch_account_options own = {
        .struct_size = sizeof own, .name = "purse", .limit_bytes = 48 * 1024};
    struct purse purse = {.windows = tumbling};
    assert_ok(fletch_budget_create(&all, NULL, &purse.budget, NULL));
    assert_ok(fletch_account_open(fletch_budget_account(purse.budget), &own, &purse.account, NULL));
    purse.windows.account = purse.account;
    return purse;
}

static void purse_end(struct purse *purse)
{
    fletch_account_close(purse->account);
    assert_ok(fletch_budget_destroy(purse->budget, NULL)); /* nothing is charged any more */
}

static void wait_until_it_waits(struct scene *scene)
{
    struct fletch_error error = {.message = ""};
    while (strstr(error.message, "stage 'windows', instance 0 waits for memory") == NULL)
        assert_int_equal(fletch_flow_wait(scene->flow, 1000000, &error), FLETCH_DEADLINE_EXCEEDED);
}

static void a_full_account_is_waited_for(void **state)
{
    (void)state;
    struct purse purse = purse_make();
    struct fletch_window_stage stage = {.windows = &purse.windows};
    static struct scene scene;
    struct fletch_error error;
    scene_make(&scene, &stage);
    store_relaxed(&scene.keeps, 1); /* relaxed: before its thread is started */
    assert_ok(fletch_flow_start(scene.flow, NULL));
    wait_until_it_waits(&scene);
    struct fletch_stage_statistics found = {.struct_size = sizeof found};
    assert_ok(fletch_flow_stage_statistics(scene.flow, 1, 0, &found, NULL));
    assert_true(found.rows_in < EVENTS);
    store_relaxed(&scene.keeps, 0); /* relaxed: a flag without data */
    uint32_t kept = load_acquire(&scene.kept_count);
    assert_true(kept > 0);
    for (uint32_t i = 0; i < kept; i++)
        fletch_batch_release(NULL, scene.kept[i]);
    /* relaxed: its thread adds nothing any more */
    store_relaxed(&scene.kept_count, 0);
    if (scene_end(&scene, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(scene.rows + scene.aside, EVENTS);
    assert_int_equal(scene.order, 0);
    purse_end(&purse);
}

static void a_full_account_fails_the_flow_in_time(void **state)
{
    (void)state;
    const struct fletch_flow_options options = {.struct_size = sizeof options,
                                                .memory_timeout_ns = 50000000};
    struct purse purse = purse_make();
    struct fletch_window_stage stage = {.windows = &purse.windows};
    static struct scene scene;
    struct fletch_error error;
    scene_make_with(&scene, &stage, &options);
    store_relaxed(&scene.keeps, 1); /* relaxed: before its thread is started */
    assert_ok(fletch_flow_start(scene.flow, NULL));
    assert_int_equal(fletch_flow_wait(scene.flow, UINT64_C(60000000000), &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "stage 'windows', instance 0: RESOURCE_EXHAUSTED");
    assert_contains(error.message, "the budget of 'purse' is full: limit 49152 bytes");
    assert_contains(error.message, "panes are open here");
    assert_int_equal(scene_end(&scene, NULL), FLETCH_RESOURCE_EXHAUSTED);
    purse_end(&purse);
}

static enum fletch_status wait_at_once(struct fletch_flow_context *context, void *argument,
                                       void **out_state, struct fletch_error *error)
{
    *out_state = argument;
    return fletch_flow_wait_for_memory(context, error);
}

static void only_some_functions_may_wait(void **state)
{
    const struct fletch_flow_functions functions = {
        .struct_size = sizeof functions, .init = wait_at_once, .produce = produce};
    const struct fletch_flow_stage only = {
        .struct_size = sizeof only, .name = "only", .functions = &functions};
    struct fletch_transport *transport;
    struct fletch_flow *flow;
    struct fletch_error error;
    uint32_t number;
    (void)state;
    assert_ok(fletch_transport_create(NULL, NULL, &transport, NULL));
    assert_ok(fletch_flow_create(transport, NULL, &flow, NULL));
    assert_ok(fletch_flow_add_source(flow, &only, &number, NULL));
    assert_ok(fletch_flow_start(flow, NULL));
    assert_int_equal(fletch_flow_wait(flow, UINT64_C(60000000000), &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "only in process and on_watermark");
    assert_ok(fletch_flow_destroy(flow, 0, NULL));
    assert_ok(fletch_transport_destroy(transport, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_go_to_their_outputs),
        cmocka_unit_test(a_function_is_handed_each_window),
        cmocka_unit_test(bad_windows_fail_the_flow),
        cmocka_unit_test(an_older_callers_options_are_shorter),
        cmocka_unit_test(sides_need_an_output),
        cmocka_unit_test(too_many_panes_fail_the_flow),
        cmocka_unit_test(a_full_account_is_waited_for),
        cmocka_unit_test(a_full_account_fails_the_flow_in_time),
        cmocka_unit_test(only_some_functions_may_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
