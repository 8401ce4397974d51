#include "flight/flight_workers.h"

#include "base/atomic.h"
#include "base/thread.h"
#include "support/cmocka_tests.h"
#include "support/failing_allocator.h"
#include "support/pools.h"

/* Threads for handlers: which job is done next, and threads that cannot be started. */

enum { JOBS = 20000, WAITING_MOST = 32 };

struct numbered {
    struct fletch_flight_job job; /* first */
    uint32_t number;
};

static struct numbered jobs[JOBS];
static struct fletch_error error;
static _Atomic uint32_t done;
static _Atomic uint32_t out_of_order;
static _Atomic uint32_t is_open;

static void run_numbered(struct fletch_flight_job *job, struct fletch_buffer_cache *cache)
{
    const struct numbered *numbered = (const struct numbered *)(void *)job;
    (void)cache;
    if (numbered->number != load_relaxed(&done))
        fetch_add_relaxed(&out_of_order, 1);
    fetch_add_release(&done, 1);
}

static void run_gate(struct fletch_flight_job *job, struct fletch_buffer_cache *cache)
{
    (void)job;
    (void)cache;
    while (load_acquire(&is_open) == 0)
        fletch_thread_yield();
    fetch_add_release(&done, 1);
}

static struct fletch_flight_workers *start(struct fletch_buffer_pool *pool, uint32_t limit)
{
    const struct fletch_flight_workers_options options = {.pool = pool, .limit = limit};
    struct fletch_flight_workers *workers;
    store_relaxed(&done, 0);
    store_relaxed(&out_of_order, 0);
    store_relaxed(&is_open, 0);
    assert_ok(fletch_flight_workers_create(&options, &workers, &error));
    return workers;
}

/* Also those that come while a worker has taken all to look for the oldest. */
static void test_oldest_first(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_flight_workers *workers = start(pool.pool, 1);
    for (uint32_t i = 0; i < JOBS; i++) {
        jobs[i] = (struct numbered){.job = {.run = run_numbered}, .number = i};
        fletch_flight_workers_submit(workers, &jobs[i].job);
        while (i - load_acquire(&done) > WAITING_MOST && i > load_acquire(&done))
            fletch_thread_yield();
    }
    fletch_flight_workers_destroy(workers);
    assert_int_equal(load_relaxed(&done), JOBS);
    assert_int_equal(load_relaxed(&out_of_order), 0);
    test_pool_end(&pool);
}

static uint64_t count_threads(const struct fletch_flight_workers *workers)
{
    uint64_t threads, waiting;
    fletch_flight_workers_count(workers, &threads, &waiting);
    return threads;
}

/* A thread that has no memory may have some the next time. */
static void test_a_thread_that_cannot_start(void **state)
{
    (void)state;
    struct failing_allocator failing;
    struct fletch_buffer_pool *pool;
    failing_allocator_start(&failing, 0);
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    if (fletch_buffer_pool_create(&options, &failing.allocator, &pool, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    struct fletch_flight_workers *workers = start(pool, 2);
    for (uint32_t i = 0; i < 4; i++)
        jobs[i] = (struct numbered){.job = {.run = run_gate}};
    fletch_flight_workers_submit(workers, &jobs[0].job);
    for (uint32_t i = 1; i < 3; i++) {
        failing.fail_at = failing.requests + 1;
        fletch_flight_workers_submit(workers, &jobs[i].job);
        assert_int_equal(failing.failures, i);
        assert_int_equal(count_threads(workers), 1);
    }
    fletch_flight_workers_submit(workers, &jobs[3].job);
    assert_int_equal(count_threads(workers), 2);
    store_release(&is_open, 1);
    fletch_flight_workers_destroy(workers);
    assert_int_equal(load_relaxed(&done), 4);
    assert_ok(fletch_buffer_pool_destroy(pool, &error));
    assert_int_equal(failing.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_first),
        cmocka_unit_test(test_a_thread_that_cannot_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
