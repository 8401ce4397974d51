#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "flow/window_span.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/events.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

static struct test_arguments arguments;

struct scene {
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_windows *windows;
};

static struct scene scene_made(struct fletch_windows_options options)
{
    struct scene scene = {.pool = test_pool_make(), .schema = events_schema()};
    struct fletch_error error;
    options.struct_size = sizeof options;
    options.cache = scene.pool.cache;
    options.account = scene.pool.account;
    if (fletch_windows_create(scene.schema, &options, NULL, &scene.windows, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return scene;
}

static void scene_end(struct scene *scene)
{
    fletch_windows_destroy(scene->windows);
    fletch_schema_release(scene->schema);
    test_pool_end(&scene->pool);
}

static enum fletch_status push(struct scene *scene, const struct test_event *events, size_t count,
                               bool *out_taken, struct fletch_error *error)
{
    struct fletch_batch *batch = events_batch(scene->pool.cache, scene->schema, events, count);
    enum fletch_status status = fletch_windows_push(scene->windows, batch, out_taken, error);
    fletch_batch_release(scene->pool.cache, batch);
    return status;
}

/* Events at these times, numbered from `number` on. */
static void push_times(struct scene *scene, int64_t number, const int64_t *times, size_t count)
{
    struct test_event events[64];
    bool taken;
    for (size_t i = 0; i < count; i++)
        events[i] = (struct test_event){.time = times[i], .number = number + (int64_t)i};
    assert_ok(push(scene, events, count, &taken, NULL));
    assert_true(taken);
}
#define PUSH(scene, number, ...) \
    push_times((scene), (number), (const int64_t[]){__VA_ARGS__}, \
               sizeof(const int64_t[]){__VA_ARGS__} / sizeof(int64_t))

/* Takes the next thing out and writes it down: "[0,10) 1 2 3; ". */
static enum fletch_window_kind told(struct scene *scene, char *text, size_t text_bytes)
{
    static const char *const names[] = {"none", "", "late", "null"};
    struct fletch_window_rows rows;
    size_t at = strlen(text);
    assert_ok(fletch_windows_next(scene->windows, &rows, NULL));
    if (rows.kind == FLETCH_WINDOW_NONE)
        return rows.kind;
    at += (size_t)snprintf(text + at, text_bytes - at, "%s", names[rows.kind]);
    if (rows.kind == FLETCH_WINDOW_ROWS)
        at += (size_t)snprintf(text + at, text_bytes - at, "[%lld,%lld)", (long long)rows.start,
                               (long long)rows.end);
    for (int64_t i = 0; i < fletch_batch_row_count(rows.batch); i++)
        at += (size_t)snprintf(text + at, text_bytes - at, " %lld",
                               (long long)events_read(rows.batch, i).number);
    snprintf(text + at, text_bytes - at,
             rows.is_last || rows.kind != FLETCH_WINDOW_ROWS ? "; " : " + ");
    fletch_batch_release(scene->pool.cache, rows.batch);
    return rows.kind;
}

static void assert_told(struct scene *scene, int64_t watermark, const char *expected)
{
    char text[4096] = "";
    fletch_windows_advance(scene->windows, watermark);
    while (told(scene, text, sizeof text) != FLETCH_WINDOW_NONE)
        continue;
    assert_string_equal(text, expected);
}

static void tumbling_windows_close_in_order(void **state)
{
    (void)state;
    struct scene scene = scene_made((struct fletch_windows_options){.size = 10});
    PUSH(&scene, 1, 5, 12, 0, 9, 25, 10);
    assert_told(&scene, 8, "");
    assert_told(&scene, 9, "[0,10) 1 3 4; ");
    PUSH(&scene, 7, 11, 9, 29);
    assert_told(&scene, 9, "late 8; ");
    assert_told(&scene, INT64_MAX, "[10,20) 2 6 7; [20,30) 5 9; ");
    assert_told(&scene, INT64_MAX, "");
    scene_end(&scene);
}

static void hopping_windows_share_panes(void **state)
{
    (void)state;
    struct scene scene = scene_made((struct fletch_windows_options){.size = 10, .slide = 4});
    PUSH(&scene, 1, 0, 3, 9, 10);
    assert_told(&scene, 1, "[-8,2) 1; ");
    /* Late for the first window, and in time for the others. */
    PUSH(&scene, 5, 1);
    assert_told(&scene, 9,
                "[-4,6) 1 + [-4,6) 5 + [-4,6) 2; [0,10) 1 + [0,10) 5 + [0,10) 2 + [0,10) 3; ");
    assert_told(&scene, 99, "[4,14) 3 + [4,14) 4; [8,18) 3 + [8,18) 4; ");
    PUSH(&scene, 6, 97, 96, 89);
    assert_told(&scene, INT64_MAX, "late 8; [92,102) 6 7; [96,106) 6 7; ");
    scene_end(&scene);
}

static void lateness_keeps_windows_open(void **state)
{
    (void)state;
    struct scene scene =
        scene_made((struct fletch_windows_options){.size = 10, .lateness = 5, .origin = 3});
    PUSH(&scene, 1, 3, 12, 13);
    assert_told(&scene, 16, "");
    PUSH(&scene, 4, 4);
    assert_told(&scene, 17, "[3,13) 1 2 4; ");
    PUSH(&scene, 5, 4, 13);
    assert_told(&scene, 27, "late 5; [13,23) 3 6; ");
    scene_end(&scene);
}

static void rows_without_time_go_aside(void **state)
{
    (void)state;
    struct scene scene = scene_made((struct fletch_windows_options){.size = 10});
    const struct test_event events[] = {
        {.time = 1, .number = 1}, {.has_no_time = true, .number = 2}, {.time = 2, .number = 3}};
    bool taken;
    assert_ok(push(&scene, events, 3, &taken, NULL));
    assert_told(&scene, INT64_MIN, "null 2; ");
    assert_told(&scene, INT64_MAX, "[0,10) 1 3; ");
    struct fletch_window_statistics statistics = {.struct_size = sizeof statistics};
    fletch_windows_statistics(scene.windows, &statistics);
    assert_int_equal(statistics.rows, 3);
    assert_int_equal(statistics.rows_null_time, 1);
    assert_int_equal(statistics.windows, 1);
    scene_end(&scene);
}

static void times_at_both_ends_of_int64(void **state)
{
    (void)state;
    struct scene scene = scene_made((struct fletch_windows_options){.size = 10});
    PUSH(&scene, 1, INT64_MIN, INT64_MAX, INT64_MIN + 7, INT64_MIN + 8, INT64_MAX - 7,
         INT64_MAX - 8, -1);
    assert_told(&scene, INT64_MAX - 2,
                "[-9223372036854775808,-9223372036854775800) 1 3; "
                "[-9223372036854775800,-9223372036854775790) 4; [-10,0) 7; "
                "[9223372036854775790,9223372036854775800) 6; ");
    assert_told(&scene, INT64_MAX, "[9223372036854775800,9223372036854775807) 2 5; ");
    scene_end(&scene);
}

static void the_widest_window_holds_everything(void **state)
{
    (void)state;
    struct scene scene = scene_made((struct fletch_windows_options){
        .size = INT64_MAX, .origin = INT64_MIN, .lateness = INT64_MAX});
    PUSH(&scene, 1, INT64_MIN, -2, -1, INT64_MAX - 2, INT64_MAX);
    assert_told(&scene, INT64_MAX - 3, "");
    assert_told(&scene, INT64_MAX - 2, "[-9223372036854775808,-1) 1 2; ");
    assert_told(&scene, INT64_MAX,
                "[-1,9223372036854775806) 3 4; "
                "[9223372036854775806,9223372036854775807) 5; ");
    scene_end(&scene);
}

static void a_lower_watermark_is_counted(void **state)
{
    (void)state;
    struct scene scene = scene_made((struct fletch_windows_options){.size = 10});
    struct fletch_window_statistics statistics = {.struct_size = sizeof statistics};
    fletch_windows_advance(scene.windows, 99);
    fletch_windows_advance(scene.windows, 98);
    PUSH(&scene, 1, 99, 100);
    assert_told(&scene, 99, "late 1; ");
    fletch_windows_statistics(scene.windows, &statistics);
    assert_int_equal(statistics.watermark, 99);
    assert_int_equal(statistics.watermarks_lower, 1);
    assert_int_equal(statistics.rows_late, 1);
    assert_int_equal(statistics.panes_open, 1);
    scene_end(&scene);
}

static void too_many_panes_are_refused_whole(void **state)
{
    (void)state;
    struct scene scene = scene_made((struct fletch_windows_options){.size = 10, .pane_limit = 2});
    const struct test_event events[] = {{.time = 11}, {.time = 21}, {.time = 31, .number = 9}};
    struct fletch_error error;
    bool taken = true;
    PUSH(&scene, 1, 0);
    assert_int_equal(push(&scene, events, 3, &taken, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_false(taken);
    assert_string_equal(error.message, "all 2 panes are open, the first at 0, and a row has the "
                                       "time 21: no watermark has closed windows since "
                                       "-9223372036854775808");
    assert_told(&scene, 9, "[0,10) 1; ");
    assert_ok(push(&scene, events + 1, 2, &taken, &error));
    assert_true(taken);
    assert_told(&scene, 49, "[20,30) 0; [30,40) 9; ");
    scene_end(&scene);
}

static void a_window_is_taken_whole_before_the_next_batch(void **state)
{
    (void)state;
    struct scene scene = scene_made((struct fletch_windows_options){.size = 10, .slide = 5});
    const struct test_event event = {.time = 6};
    struct fletch_error error;
    char text[256] = "";
    bool taken;
    PUSH(&scene, 1, 1, 6);
    fletch_windows_advance(scene.windows, 9);
    told(&scene, text, sizeof text); /* [-5,5) */
    told(&scene, text, sizeof text); /* [0,10), the first of two batches */
    assert_string_equal(text, "[-5,5) 1; [0,10) 1 + ");
    assert_int_equal(push(&scene, &event, 1, &taken, &error), FLETCH_FAILED_PRECONDITION);
    assert_string_equal(error.message, "the window from 0 is closed, and not all of it was taken");
    told(&scene, text, sizeof text);
    assert_ok(push(&scene, &event, 1, &taken, &error));
    scene_end(&scene);
}

static void assert_refused(struct fletch_windows_options options, const char *schema_words,
                           const char *message)
{
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new(schema_words);
    struct fletch_windows *windows;
    struct fletch_error error;
    options.struct_size = sizeof options;
    options.cache = pool.cache;
    assert_int_equal(fletch_windows_create(schema, &options, NULL, &windows, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_string_equal(error.message, message);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void options_are_checked(void **state)
{
    (void)state;
    assert_refused((struct fletch_windows_options){.size = 0}, "t=l",
                   "size is 0, expected 1 and more");
    assert_refused((struct fletch_windows_options){.size = 5, .slide = 6}, "t=l",
                   "slide is 6, expected 1 to the size, 5");
    assert_refused((struct fletch_windows_options){.size = 5, .slide = -1}, "t=l",
                   "slide is -1, expected 1 to the size, 5");
    assert_refused((struct fletch_windows_options){.size = 5, .lateness = -1}, "t=l",
                   "lateness is -1, expected 0 and more");
    assert_refused((struct fletch_windows_options){.size = 5, .pane_limit = 65535}, "t=l",
                   "pane_limit is 65535, expected 0 to 65534");
    assert_refused((struct fletch_windows_options){.size = 5000, .slide = 1}, "t=l",
                   "a window of size 5000 and slide 1 has 5000 panes, more than pane_limit, which "
                   "is 1024");
    assert_refused((struct fletch_windows_options){.size = 5, .time_column = 1}, "t=l",
                   "time_column is 1, the schema has 1 columns");
    assert_refused((struct fletch_windows_options){.size = 5}, "t=i",
                   "time column 't' is int32, expected int64, date64 or timestamp");
    assert_refused((struct fletch_windows_options){.size = 5, .frame_bytes = 1}, "t=tsn:UTC",
                   "frame_bytes is 1, expected 4096 to 268435456");
}

static void a_batch_of_another_schema_is_refused(void **state)
{
    (void)state;
    struct scene scene = scene_made((struct fletch_windows_options){.size = 10});
    struct fletch_schema *other = schema_new("time=l number=i");
    struct fletch_random random = fletch_random_from_seed(1);
    struct fletch_batch *batch = random_batch(&random, scene.pool.cache, other, 3);
    struct fletch_error error;
    bool taken = true;
    assert_int_equal(fletch_windows_push(scene.windows, batch, &taken, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "number");
    assert_false(taken);
    fletch_batch_release(scene.pool.cache, batch);
    fletch_schema_release(other);
    scene_end(&scene);
}

/* ---- a full account ---- */

enum { FULL_BATCH = 500, FULL_BATCHES = 20, FULL_BYTES = 56 << 10 };

/* Takes what is closed; numbers must follow each other. */
static void take_numbers(struct scene *scene, int64_t *next)
{
    struct fletch_window_rows rows;
    for (;;) {
        assert_ok(fletch_windows_next(scene->windows, &rows, NULL));
        if (rows.kind == FLETCH_WINDOW_NONE)
            return;
        for (int64_t i = 0; i < fletch_batch_row_count(rows.batch); i++)
            assert_int_equal(events_read(rows.batch, i).number, (*next)++);
        fletch_batch_release(scene->pool.cache, rows.batch);
    }
}

/* Batches of five windows each; a watermark comes only when the account is full. */
static void a_full_account_loses_nothing(void **state)
{
    (void)state;
    struct scene scene = {.pool = test_pool_make(), .schema = events_schema()};
    struct fletch_account *account = account_make(scene.pool.account, "windows", FULL_BYTES, 0);
    const struct fletch_windows_options options = {.struct_size = sizeof options,
                                                   .size = FULL_BATCH / 5,
                                                   .frame_bytes = 4096,
                                                   .cache = scene.pool.cache,
                                                   .account = account};
    struct test_event events[FULL_BATCH];
    struct fletch_error error;
    int64_t next = 0;
    uint32_t refusals = 0;
    assert_ok(fletch_windows_create(scene.schema, &options, NULL, &scene.windows, NULL));
    for (int64_t first = 0; first < FULL_BATCHES * FULL_BATCH; first += FULL_BATCH) {
        for (int64_t i = 0; i < FULL_BATCH; i++)
            events[i] = (struct test_event){.time = first + i, .number = first + i};
        bool taken;
        enum fletch_status status = push(&scene, events, FULL_BATCH, &taken, &error);
        assert_true(taken);
        if (status == FLETCH_OK)
            continue;
        refusals++;
        assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
        assert_contains(error.message, "windows");
        assert_int_equal(push(&scene, events, FULL_BATCH, &taken, NULL),
                         FLETCH_FAILED_PRECONDITION);
        fletch_windows_advance(scene.windows, first + FULL_BATCH - 1);
        take_numbers(&scene, &next);
        assert_int_equal(next, first); /* those of the waiting batch stay */
        assert_ok(fletch_windows_resume(scene.windows, NULL));
        take_numbers(&scene, &next);
        assert_int_equal(next, first + FULL_BATCH);
    }
    assert_true(refusals > 1);
    fletch_windows_advance(scene.windows, INT64_MAX);
    take_numbers(&scene, &next);
    assert_int_equal(next, FULL_BATCHES * FULL_BATCH);
    fletch_windows_destroy(scene.windows);
    fletch_account_close(account);
    fletch_schema_release(scene.schema);
    test_pool_end(&scene.pool);
}

/* ---- against a model ---- */

enum { EVENTS_MOST = 3000, BATCH_MOST = 200 };

struct model {
    struct fletch_window_span span;
    struct {
        struct test_event event;
        int64_t watermark; /* when it was pushed */
        uint32_t windows;  /* that gave it out */
        bool was_aside;
    } events[EVENTS_MOST];
    size_t count;
    bool has_given;
    fletch_wide given; /* the last window's start */
};

static fletch_wide start_of(const struct model *model, int64_t time)
{
    fletch_wide from = (fletch_wide)time - model->span.origin;
    fletch_wide k = from / model->span.slide - (from % model->span.slide < 0 ? 1 : 0);
    return k * model->span.slide + model->span.origin;
}

static bool is_closed(const struct model *model, fletch_wide start, int64_t watermark)
{
    return watermark == INT64_MAX ||
           start + model->span.size + model->span.lateness - 1 <= watermark;
}

/* How many windows an event should come out of. */
static uint32_t windows_of(const struct model *model, size_t index)
{
    const struct test_event *event = &model->events[index].event;
    uint32_t count = 0;
    if (event->has_no_time)
        return 0;
    for (fletch_wide start = start_of(model, event->time); start + model->span.size > event->time;
         start -= model->span.slide)
        count += !is_closed(model, start, model->events[index].watermark);
    return count;
}

static void check_side(struct model *model, const struct fletch_window_rows *rows)
{
    int64_t last = -1;
    for (int64_t i = 0; i < fletch_batch_row_count(rows->batch); i++) {
        struct test_event event = events_read(rows->batch, i);
        size_t index = (size_t)event.number;
        assert_true(index < model->count && !model->events[index].was_aside);
        assert_int_equal(windows_of(model, index), 0);
        assert_int_equal(event.has_no_time, rows->kind == FLETCH_WINDOW_NULL_TIME);
        assert_true(event.number > last);
        last = event.number;
        model->events[index].was_aside = true;
    }
}

static void check_window(struct model *model, const struct fletch_window_rows *rows,
                         int64_t watermark)
{
    for (int64_t i = 0; i < fletch_batch_row_count(rows->batch); i++) {
        struct test_event event = events_read(rows->batch, i);
        size_t index = (size_t)event.number;
        assert_true(index < model->count && !event.has_no_time);
        fletch_wide start = start_of(model, event.time);
        while (fletch_clamped(start) != rows->start ||
               fletch_clamped(start + model->span.size) != rows->end)
            start -= model->span.slide;
        assert_true(start + model->span.size > event.time);
        assert_false(is_closed(model, start, model->events[index].watermark));
        assert_true(is_closed(model, start, watermark));
        assert_true(!model->has_given || start > model->given);
        model->events[index].windows++;
        if (rows->is_last && i + 1 == fletch_batch_row_count(rows->batch)) {
            model->has_given = true;
            model->given = start;
        }
    }
}

static void take_all(struct scene *scene, struct model *model, int64_t watermark)
{
    struct fletch_window_rows rows;
    for (;;) {
        assert_ok(fletch_windows_next(scene->windows, &rows, NULL));
        if (rows.kind == FLETCH_WINDOW_NONE)
            return;
        assert_ok(fletch_batch_validate(rows.batch, FLETCH_VALIDATION_FULL, NULL));
        if (rows.kind == FLETCH_WINDOW_ROWS)
            check_window(model, &rows, watermark);
        else
            check_side(model, &rows);
        fletch_batch_release(scene->pool.cache, rows.batch);
    }
}

/* A time around `now`, sometimes far from it; at the ends of int64 it stays there. */
static int64_t random_time(struct fletch_random *random, int64_t now)
{
    fletch_wide time = (fletch_wide)now + fletch_random_below(random, 60) - 30;
    return fletch_clamped(time);
}

static void random_run(uint64_t seed)
{
    static const int64_t bases[] = {0, -100, INT64_MIN, INT64_MAX - 700, 1000000007};
    struct fletch_random random = fletch_random_from_seed(seed);
    struct model *model = calloc(1, sizeof *model);
    struct test_event events[BATCH_MOST];
    struct fletch_error error;
    assert_non_null(model);
    int64_t size = 1 + fletch_random_below(&random, 40);
    const struct fletch_windows_options options = {
        .size = size,
        .slide = 1 + (int64_t)fletch_random_below(&random, (uint32_t)size),
        .origin = (int64_t)fletch_random_u64(&random) >> fletch_random_below(&random, 64),
        .lateness = fletch_random_below(&random, 2) * fletch_random_below(&random, 30),
        .pane_limit = 2000,
        .frame_bytes = 4096,
    };
    struct scene scene = scene_made(options);
    model->span = (struct fletch_window_span){.size = options.size,
                                              .slide = options.slide,
                                              .origin = options.origin,
                                              .lateness = options.lateness};
    int64_t watermark = INT64_MIN;
    int64_t now = bases[fletch_random_below(&random, 5)];
    while (model->count < EVENTS_MOST - BATCH_MOST) {
        size_t count = fletch_random_below(&random, BATCH_MOST);
        for (size_t i = 0; i < count; i++) {
            events[i] = (struct test_event){.time = random_time(&random, now),
                                            .has_no_time = fletch_random_below(&random, 20) == 0,
                                            .number = (int64_t)model->count};
            model->events[model->count].watermark = watermark;
            model->events[model->count++].event = events[i];
        }
        bool taken;
        if (push(&scene, events, count, &taken, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        if (fletch_random_below(&random, 2) == 0)
            take_all(&scene, model, watermark);
        now = fletch_clamped((fletch_wide)now + fletch_random_below(&random, 20));
        if (fletch_random_below(&random, 3) == 0) {
            int64_t told = fletch_clamped((fletch_wide)now - fletch_random_below(&random, 40));
            fletch_windows_advance(scene.windows, told);
            watermark = told > watermark ? told : watermark;
            take_all(&scene, model, watermark);
        }
    }
    fletch_windows_advance(scene.windows, INT64_MAX);
    take_all(&scene, model, INT64_MAX);
    for (size_t i = 0; i < model->count; i++) {
        assert_int_equal(model->events[i].windows, windows_of(model, i));
        assert_int_equal(model->events[i].was_aside, windows_of(model, i) == 0);
    }
    assert_int_equal(account_used_bytes(scene.pool.account), 0);
    scene_end(&scene);
    free(model);
}

static void random_events_come_out_of_their_windows(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 60 * arguments.scale; i++)
        random_run(arguments.seed + i);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tumbling_windows_close_in_order),
        cmocka_unit_test(hopping_windows_share_panes),
        cmocka_unit_test(lateness_keeps_windows_open),
        cmocka_unit_test(rows_without_time_go_aside),
        cmocka_unit_test(times_at_both_ends_of_int64),
        cmocka_unit_test(the_widest_window_holds_everything),
        cmocka_unit_test(a_lower_watermark_is_counted),
        cmocka_unit_test(too_many_panes_are_refused_whole),
        cmocka_unit_test(a_window_is_taken_whole_before_the_next_batch),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(a_batch_of_another_schema_is_refused),
        cmocka_unit_test(a_full_account_loses_nothing),
        cmocka_unit_test(random_events_come_out_of_their_windows),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
