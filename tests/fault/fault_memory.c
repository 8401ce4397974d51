#include <fletching/fletching.h>

#include <stdio.h>
#include <string.h>

#include "memory/batch.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"

/* A pool, a budget, buffers of all kinds and a batch with the n-th allocation failing, for n = 1,
 * 2, … until none fails: a clear status each time, nothing charged, nothing leaked, foreign memory
 * released as often as it was taken. */

enum { TRIES_MOST = 60 };

struct scene {
    struct counting_allocator counting;
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    struct fletch_budget *budget;
    struct fletch_account *account;
    struct fletch_buffer *buffers[4];
    struct fletch_batch *batch;
    int releases;
    struct fletch_error error;
};

static void count_release(void *context)
{
    ++*(int *)context;
}

#define TRY(call) \
    do { \
        enum fletch_status try_status = (call); \
        if (try_status != FLETCH_OK) \
            return try_status; \
    } while (0)

static enum fletch_status make_ground(struct scene *scene)
{
    const struct fletch_buffer_pool_options pool = {.struct_size = sizeof pool};
    const struct fletch_account_options account = {.struct_size = sizeof account, .name = "top"};
    const struct fletch_allocator *allocator = &scene->counting.allocator;
    TRY(fletch_buffer_pool_create(&pool, allocator, &scene->pool, &scene->error));
    TRY(fletch_buffer_cache_open(scene->pool, &scene->cache, &scene->error));
    TRY(fletch_budget_create(&account, allocator, &scene->budget, &scene->error));
    return fletch_account_open(fletch_budget_account(scene->budget), &account, &scene->account,
                               &scene->error);
}

static enum fletch_status make_buffers(struct scene *scene)
{
    static const size_t sizes[] = {5000, 70000};
    static const char bytes[] = "foreign";
    const struct fletch_foreign_memory memory = {.data = bytes,
                                                 .bytes = sizeof bytes,
                                                 .release = count_release,
                                                 .context = &scene->releases};
    for (size_t i = 0; i < 2; i++)
        TRY(fletch_buffer_allocate(scene->cache, sizes[i], scene->account, &scene->buffers[i],
                                   &scene->error));
    struct fletch_buffer_range range = {.offset = 10, .bytes = 100};
    TRY(fletch_buffer_slice(scene->cache, scene->buffers[0], range, &scene->buffers[2],
                            &scene->error));
    TRY(fletch_buffer_compact(scene->cache, scene->buffers[2], scene->account, &scene->buffers[2],
                              &scene->error));
    return fletch_buffer_wrap(scene->cache, &memory, scene->account, &scene->buffers[3],
                              &scene->error);
}

static enum fletch_status make_all(struct scene *scene)
{
    const struct fletch_batch_node nodes[50] = {{0}}; /* a block of a class of its own */
    TRY(make_ground(scene));
    TRY(make_buffers(scene));
    const struct fletch_batch_parts parts = {
        .nodes = nodes, .node_count = 50, .owners = scene->buffers, .owner_count = 4};
    TRY(fletch_batch_create(scene->cache, scene->account, &parts, &scene->batch, &scene->error));
    memset(scene->buffers, 0, sizeof scene->buffers); /* the batch has them now */
    return FLETCH_OK;
}

/* Everything that was made goes back; whatever failed has left nothing behind. */
static void end_all(struct scene *scene)
{
    fletch_batch_release(scene->cache, scene->batch);
    for (size_t i = 0; i < 4; i++)
        fletch_buffer_release(scene->cache, scene->buffers[i]);
    fletch_account_close(scene->account);
    assert_ok(fletch_budget_destroy(scene->budget, NULL));
    fletch_buffer_cache_close(scene->cache);
    assert_ok(fletch_buffer_pool_destroy(scene->pool, NULL));
    assert_int_equal(scene->counting.live_bytes, 0);
    assert_int_equal(scene->counting.mismatched, 0);
}

static void each_allocation_fails_once(void **state)
{
    enum fletch_status status = FLETCH_UNKNOWN;
    uint64_t n = 1;
    (void)state;
    for (; n <= TRIES_MOST && status != FLETCH_OK; n++) {
        struct scene scene = {.releases = 0};
        counting_allocator_start(&scene.counting, n);
        status = make_all(&scene);
        bool wrapped = scene.buffers[3] != NULL || scene.batch != NULL;
        if (status != FLETCH_OK) {
            assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
            assert_int_equal(scene.error.status, FLETCH_RESOURCE_EXHAUSTED);
            assert_contains(scene.error.message, "no memory for");
        }
        end_all(&scene);
        assert_int_equal(scene.releases, wrapped ? 1 : 0);
    }
    assert_int_equal(status, FLETCH_OK);
    assert_true(n > 12); /* pool, cache, budget, account, and regions of two allocations each */
}

/* What could not be had is tried again when it is needed again. */
static void a_failure_is_forgotten(void **state)
{
    (void)state;
    for (uint64_t n = 5; n <= 10; n++) {
        struct scene scene = {.releases = 0};
        counting_allocator_start(&scene.counting, n);
        assert_ok(make_ground(&scene));
        if (make_buffers(&scene) != FLETCH_OK) {
            for (size_t i = 0; i < 4; i++) {
                fletch_buffer_release(scene.cache, scene.buffers[i]);
                scene.buffers[i] = NULL;
            }
            assert_ok(make_buffers(&scene));
        }
        end_all(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails_once),
        cmocka_unit_test(a_failure_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
