#include <fletching/fletching.h>

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/events.h"

/* Windows inside of a flow: a source of events and watermarks, windows, and two sinks. */

enum { EVENTS = 1000, BATCH = 50, WINDOW = 100 };

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
    uint32_t sources;
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
    return FLETCH_OK;
}

static const struct fletch_flow_functions source = {.struct_size = sizeof source,
                                                    .produce = produce};
static const struct fletch_flow_functions sink = {.struct_size = sizeof sink,
                                                  .process = count_rows};

static const struct fletch_windows_options tumbling = {
    .struct_size = sizeof tumbling, .size = WINDOW, .frame_bytes = 4096};

static void scene_make(struct scene *scene, struct fletch_window_stage *stage)
{
    *scene = (struct scene){.schema = events_schema()};
    stage->struct_size = sizeof *stage;
    stage->schema = scene->schema;
    assert_ok(fletch_transport_create(NULL, NULL, &scene->transport, NULL));
    assert_ok(fletch_flow_create(scene->transport, NULL, &scene->flow, NULL));
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

static enum fletch_status scene_run(struct scene *scene, struct fletch_error *error)
{
    assert_ok(fletch_flow_start(scene->flow, NULL));
    enum fletch_status status = fletch_flow_wait(scene->flow, UINT64_C(60000000000), error);
    assert_ok(fletch_flow_destroy(scene->flow, UINT64_C(60000000000), NULL));
    fletch_schema_release(scene->schema);
    assert_ok(fletch_transport_destroy(scene->transport, NULL));
    return status;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_go_to_their_outputs),
        cmocka_unit_test(a_function_is_handed_each_window),
        cmocka_unit_test(bad_windows_fail_the_flow),
        cmocka_unit_test(too_many_panes_fail_the_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
