#include "sync/partition_store.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/stores.h"

/* A store that grows, with the n-th allocation failing for n = 1, 2, … until none fails: a clear
 * status, everything else found as before, nothing leaked. */

/* 9,000 entries need tables past those that the default allocator leaves to the system's pages. */
enum { KEYS = 9000, KEYS_EACH = 1500, COLLIDING = 5 };

struct run {
    struct counting_allocator counting;
    struct drop_count drops;
    struct fletch_epoch_domain *domain;
    struct fletch_epoch_reader *reader;
    struct fletch_partition_store *store;
    uint64_t made;
    uint64_t failures;
    bool pooled; /* values come from the store's pool, not each from the allocator */
    bool there[KEYS];
};

static bool open_run(struct run *run, uint64_t hash_mask)
{
    const struct fletch_partition_store_options options = {
        .struct_size = sizeof options,
        .hash_seed = 3,
        .drop = drop_stored,
        .drop_context = &run->drops,
    };
    assert_int_equal(fletch_epoch_domain_create(NULL, NULL, &run->domain, NULL), FLETCH_OK);
    assert_int_equal(fletch_epoch_reader_open(run->domain, &run->reader, NULL), FLETCH_OK);
    enum fletch_status status = fletch_partition_store_create_masked(
        run->domain, &options, &run->counting.allocator, hash_mask, &run->store);
    assert_true(status == FLETCH_OK || status == FLETCH_RESOURCE_EXHAUSTED);
    return status == FLETCH_OK;
}

static void close_run(struct run *run)
{
    fletch_partition_store_destroy(run->store);
    fletch_epoch_reader_close(run->reader);
    fletch_epoch_domain_destroy(run->domain);
    assert_int_equal(run->counting.live_bytes, 0);
    assert_int_equal(run->counting.mismatched, 0);
    assert_int_equal(run->drops.dropped, run->made);
    assert_int_equal(run->drops.broken, 0);
}

static void enter(struct run *run, uint32_t i)
{
    const struct fletch_store_key key = store_key(1, i);
    struct fletch_error error = {.status = FLETCH_OK};
    struct fletch_store_value *value =
        make_stored(run->store, run->pooled ? run->reader : NULL, &key, i);
    if (value == NULL) {
        run->failures++;
        return;
    }
    run->made++;
    enum fletch_status status =
        fletch_partition_store_insert(run->store, run->reader, &key, value, &error);
    run->there[i] = status == FLETCH_OK;
    if (status == FLETCH_OK)
        return;
    assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "no memory");
    fletch_store_value_release(run->store, run->reader, value);
    run->failures++;
}

static void look_at_all(struct run *run, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct fletch_store_key key = store_key(1, i);
        struct fletch_store_value *value =
            fletch_partition_store_get(run->store, run->reader, &key);
        assert_true((value != NULL) == run->there[i]);
        if (value != NULL)
            fletch_store_value_release(run->store, run->reader, value);
    }
}

static void remove_all(struct run *run, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct fletch_store_key key = store_key(1, i);
        if (!run->there[i])
            continue;
        enum fletch_status status =
            fletch_partition_store_remove(run->store, run->reader, &key, NULL);
        run->there[i] = status != FLETCH_OK;
        if (status == FLETCH_OK)
            continue;
        assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
        run->failures++;
    }
}

/* What is tried with each failing allocation. */
struct plan {
    uint32_t count;
    uint64_t hash_mask;
    bool pooled;
};

/* True: nothing failed. */
static bool run_with_failure(uint64_t n, const struct plan *plan)
{
    static struct run run;
    uint32_t count = plan->count;
    run = (struct run){.pooled = plan->pooled};
    counting_allocator_start(&run.counting, n);
    if (!open_run(&run, plan->hash_mask)) {
        close_run(&run);
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        enter(&run, i);
    look_at_all(&run, count);
    remove_all(&run, count);
    look_at_all(&run, count);
    bool failed = run.counting.requests >= n;
    close_run(&run);
    return !failed;
}

static void a_store_survives_each_failed_allocation(void **state)
{
    (void)state;
    const struct plan plan = {.count = KEYS_EACH, .hash_mask = UINT64_MAX};
    uint64_t n = 1;
    while (!run_with_failure(n, &plan))
        n += n < 40 ? 1 : 1 + n / 8;
    assert_true(n > KEYS_EACH);
}

static void a_pool_survives_each_failed_allocation(void **state)
{
    (void)state;
    const struct plan plan = {.count = KEYS, .hash_mask = UINT64_MAX, .pooled = true};
    uint64_t n = 1;
    while (!run_with_failure(n, &plan))
        n++;
    /* The store, its first table and three larger ones of two blocks each, and a chunk for each 256
     * values at least. */
    assert_true(n > 1 + 2 * 4 + KEYS / 256 && n < 200);
}

static void colliding_keys_survive_each_failed_allocation(void **state)
{
    (void)state;
    const struct plan plan = {.count = COLLIDING};
    uint64_t n = 1;
    while (!run_with_failure(n, &plan))
        n++;
    assert_true(n > 3 * COLLIDING);
}

/* The table itself: no value, only tables fail. */
static uint64_t table_bytes_least;

static void *refuse_large(void *context, size_t bytes, size_t alignment)
{
    struct counting_allocator *counting = context;
    if (bytes >= table_bytes_least)
        return NULL;
    return counting->allocator.allocate(counting, bytes, alignment);
}

static void release_counted(void *context, void *memory, size_t bytes, size_t alignment)
{
    struct counting_allocator *counting = context;
    counting->allocator.release(counting, memory, bytes, alignment);
}

static void a_store_that_cannot_grow_says_so_and_goes_on(void **state)
{
    (void)state;
    static struct run run;
    run = (struct run){.made = 0};
    counting_allocator_start(&run.counting, 0);
    assert_true(open_run(&run, UINT64_MAX));
    table_bytes_least = 4096;
    run.store->allocator.allocate = refuse_large;
    run.store->allocator.release = release_counted;
    for (uint32_t i = 0; i < KEYS_EACH; i++)
        enter(&run, i);
    run.store->allocator.allocate = run.counting.allocator.allocate;
    run.store->allocator.release = run.counting.allocator.release;
    /* As many as the table and the part of its overflow that writers may use hold, about. */
    uint32_t there = 0;
    for (uint32_t i = 0; i < KEYS_EACH; i++)
        there += run.there[i];
    assert_true(run.failures > 0 && there > 256 * 4 && there < KEYS_EACH);
    look_at_all(&run, KEYS_EACH);
    /* With memory it grows at once. */
    for (uint32_t i = 0; i < KEYS_EACH; i++)
        if (!run.there[i])
            enter(&run, i);
    for (uint32_t i = 0; i < KEYS_EACH; i++)
        assert_true(run.there[i]);
    look_at_all(&run, KEYS_EACH);
    close_run(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_survives_each_failed_allocation),
        cmocka_unit_test(a_pool_survives_each_failed_allocation),
        cmocka_unit_test(colliding_keys_survive_each_failed_allocation),
        cmocka_unit_test(a_store_that_cannot_grow_says_so_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
