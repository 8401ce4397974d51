#include <fletching/fletching.h>

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/events.h"
#include "support/pools.h"

/* Windows whose n-th request for memory fails, for n = 1, 2, … until none does: making them,
 * pushing, and taking what is closed, where a call that failed is called again. No row is lost or
 * repeated, and nothing is leaked. */

enum { ROWS = 900, BATCHES = 4, WINDOW = 40, TRIES_MOST = 400 };

struct scene {
    struct counting_allocator counting; /* of the windows and of their pool */
    struct test_pool pool;              /* of the batches that are pushed */
    struct fletch_schema *schema;
    struct fletch_batch *batches[BATCHES];
    struct fletch_windows *windows;
    uint64_t failures;
    uint64_t rows;
    int64_t sum;
};

/* Repeats a call that ran out of memory; the allocator fails once only. */
static enum fletch_status insisted(struct scene *scene, enum fletch_status status)
{
    scene->failures += status == FLETCH_RESOURCE_EXHAUSTED;
    return status;
}

static void push(struct scene *scene, struct fletch_batch *batch)
{
    bool taken;
    enum fletch_status status =
        insisted(scene, fletch_windows_push(scene->windows, batch, &taken, NULL));
    if (status == FLETCH_RESOURCE_EXHAUSTED && taken)
        status = fletch_windows_resume(scene->windows, NULL);
    else if (status == FLETCH_RESOURCE_EXHAUSTED)
        status = fletch_windows_push(scene->windows, batch, &taken, NULL);
    assert_ok(status);
}

static void take_closed(struct scene *scene, struct fletch_buffer_cache *cache)
{
    struct fletch_window_rows rows;
    for (;;) {
        enum fletch_status status =
            insisted(scene, fletch_windows_next(scene->windows, &rows, NULL));
        if (status == FLETCH_RESOURCE_EXHAUSTED)
            continue;
        assert_ok(status);
        if (rows.kind == FLETCH_WINDOW_NONE)
            return;
        for (int64_t i = 0; i < fletch_batch_row_count(rows.batch); i++)
            scene->sum += events_read(rows.batch, i).number;
        scene->rows += (uint64_t)fletch_batch_row_count(rows.batch);
        fletch_batch_release(cache, rows.batch);
    }
}

static void use_windows(struct scene *scene, struct fletch_buffer_cache *cache)
{
    for (int64_t i = 0; i < BATCHES; i++) {
        push(scene, scene->batches[i]);
        fletch_windows_advance(scene->windows, i * ROWS - ROWS / 2);
        take_closed(scene, cache);
    }
    fletch_windows_advance(scene->windows, INT64_MAX);
    take_closed(scene, cache);
    assert_int_equal(scene->rows, ROWS * BATCHES);
    assert_int_equal(scene->sum, (int64_t)ROWS * BATCHES * (ROWS * BATCHES - 1) / 2);
}

/* True: nothing failed any more. */
static bool scene_ran(struct scene *scene, uint64_t fail_at)
{
    struct fletch_buffer_pool *frames;
    struct fletch_buffer_cache *cache;
    const struct fletch_buffer_pool_options pool = {.struct_size = sizeof pool};
    scene->failures = scene->rows = 0;
    scene->sum = 0;
    counting_allocator_start(&scene->counting, 0);
    assert_ok(fletch_buffer_pool_create(&pool, &scene->counting.allocator, &frames, NULL));
    assert_ok(fletch_buffer_cache_open(frames, &cache, NULL));
    scene->counting.fail_at = scene->counting.requests + fail_at;
    const struct fletch_windows_options options = {.struct_size = sizeof options,
                                                   .size = WINDOW,
                                                   .lateness = WINDOW,
                                                   .frame_bytes = 4096,
                                                   .pane_limit = 200,
                                                   .cache = cache};
    for (;;) {
        struct fletch_error error;
        enum fletch_status status = insisted(
            scene, fletch_windows_create(scene->schema, &options, &scene->counting.allocator,
                                         &scene->windows, &error));
        if (status == FLETCH_OK)
            break;
        assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
        assert_contains(error.message, "no memory");
    }
    use_windows(scene, cache);
    fletch_windows_destroy(scene->windows);
    fletch_buffer_cache_close(cache);
    assert_ok(fletch_buffer_pool_destroy(frames, NULL));
    assert_int_equal(scene->counting.live_bytes, 0);
    assert_int_equal(scene->counting.mismatched, 0);
    return scene->failures == 0;
}

static void no_row_is_lost_whatever_fails(void **state)
{
    (void)state;
    static struct scene scene;
    static struct test_event events[ROWS];
    scene.pool = test_pool_make();
    scene.schema = events_schema();
    for (int64_t i = 0; i < BATCHES; i++) {
        for (int64_t row = 0; row < ROWS; row++)
            events[row] = (struct test_event){
                .time = i * ROWS + row, .has_no_time = row % 100 == 99, .number = i * ROWS + row};
        scene.batches[i] = events_batch(scene.pool.cache, scene.schema, events, ROWS);
    }
    uint64_t n = 1;
    while (!scene_ran(&scene, n))
        assert_true(++n < TRIES_MOST);
    assert_true(n > 20);
    for (size_t i = 0; i < BATCHES; i++)
        fletch_batch_release(scene.pool.cache, scene.batches[i]);
    fletch_schema_release(scene.schema);
    test_pool_end(&scene.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_row_is_lost_whatever_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
