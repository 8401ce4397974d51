#include "memory/buffer_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/cmocka_tests.h"
#include "support/pools.h"

enum { MANY = 200 };

static struct fletch_buffer *plain(struct fletch_buffer_cache *cache, size_t bytes)
{
    struct fletch_buffer *buffer;
    assert_ok(fletch_buffer_allocate(cache, bytes, NULL, &buffer, NULL));
    memset(buffer->data, 0x33, bytes);
    return buffer;
}

static struct fletch_buffer_cache *open_cache(struct fletch_buffer_pool *pool)
{
    struct fletch_buffer_cache *cache;
    assert_ok(fletch_buffer_cache_open(pool, &cache, NULL));
    return cache;
}

static uint64_t regions_made(const struct fletch_buffer_pool *pool)
{
    return pool_statistics(pool).regions_made;
}

static void options_are_checked(void **state)
{
    (void)state;
    struct fletch_buffer_pool *pool = NULL;
    struct fletch_error error;
    struct fletch_buffer_pool_options options = {.struct_size = sizeof options,
                                                 .huge_pages = (enum fletch_huge_pages)7};
    assert_int_equal(fletch_buffer_pool_create(&options, NULL, &pool, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "huge_pages is 7");
    options.struct_size = 4;
    assert_int_equal(fletch_buffer_pool_create(&options, NULL, &pool, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_null(pool);
    options = (struct fletch_buffer_pool_options){.struct_size = sizeof options,
                                                  .huge_pages = FLETCH_HUGE_PAGES_OFF};
    assert_ok(fletch_buffer_pool_create(&options, NULL, &pool, NULL));
    struct fletch_buffer_cache *cache = open_cache(pool);
    fletch_buffer_release(cache, plain(cache, 3 << 20));
    assert_ok(fletch_buffer_pool_destroy(pool, NULL));
    assert_ok(fletch_buffer_pool_destroy(NULL, NULL));
}

static void what_was_needed_once_is_never_asked_for_again(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    static const size_t sizes[] = {64, 700, 5000, 65536, 1 << 20, 5 << 20};
    struct fletch_buffer *buffers[MANY];
    uint64_t made = 0;
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < MANY; i++)
            buffers[i] = plain(pool.cache, sizes[i % 6]);
        if (round == 0)
            made = regions_made(pool.pool);
        for (size_t i = 0; i < MANY; i++)
            fletch_buffer_release(i % 2 == 0 ? pool.cache : NULL, buffers[i]);
    }
    assert_int_equal(regions_made(pool.pool), made);
    test_pool_end(&pool);
}

static void a_pool_knows_what_is_missing(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffer = plain(pool.cache, 100);
    struct fletch_error error;
    assert_int_equal(fletch_buffer_pool_destroy(pool.pool, &error), FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "1 buffers of the pool are still referred to, 128 bytes in all");
    fletch_buffer_release(NULL, buffer);
    pool.cache = open_cache(pool.pool); /* the first one was closed */
    test_pool_end(&pool);
}

/* ---- caches ---- */

static void blocks_come_back_from_other_caches(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer_cache *other = open_cache(pool.pool);
    struct fletch_buffer *buffers[MANY];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++)
            buffers[i] = plain(pool.cache, i % 3 == 0 ? 100 : 40000);
        for (size_t i = 0; i < MANY; i++)
            fletch_buffer_release(other, buffers[i]);
        fletch_buffer_cache_idle(other); /* what waits to go back goes */
    }
    uint64_t made = regions_made(pool.pool);
    for (size_t i = 0; i < MANY; i++)
        buffers[i] = plain(pool.cache, i % 3 == 0 ? 100 : 40000);
    assert_int_equal(regions_made(pool.pool), made);
    for (size_t i = 0; i < MANY; i++)
        fletch_buffer_release(NULL, buffers[i]);
    fletch_buffer_cache_close(other);
    test_pool_end(&pool);
}

static void the_newest_of_those_comes_first(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffers[3];
    for (size_t i = 0; i < 3; i++)
        buffers[i] = plain(pool.cache, 2 << 20); /* a region each: nothing else is free */
    for (size_t i = 0; i < 3; i++)
        fletch_buffer_release(NULL, buffers[i]);
    for (size_t i = 3; i-- > 0;)
        assert_ptr_equal(plain(pool.cache, 2 << 20), buffers[i]);
    for (size_t i = 0; i < 3; i++)
        fletch_buffer_release(pool.cache, buffers[i]);
    test_pool_end(&pool);
}

static void a_closed_cache_leaves_its_blocks_to_others(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer_cache *first = open_cache(pool.pool);
    assert_int_equal(pool_statistics(pool.pool).caches_open, 2);
    struct fletch_buffer *free_one = plain(first, 2 << 20), *late_one = plain(first, 2 << 20);
    fletch_buffer_release(first, free_one);
    fletch_buffer_cache_close(first);
    fletch_buffer_cache_close(NULL);
    assert_int_equal(pool_statistics(pool.pool).caches_open, 1);
    fletch_buffer_release(NULL, late_one); /* its cache is gone */
    uint64_t made = regions_made(pool.pool);
    struct fletch_buffer *a = plain(pool.cache, 2 << 20), *b = plain(pool.cache, 2 << 20);
    assert_int_equal(regions_made(pool.pool), made);
    assert_true((a == free_one && b == late_one) || (a == late_one && b == free_one));
    assert_ptr_equal(a->owner, pool.cache);
    fletch_buffer_release(pool.cache, a);
    fletch_buffer_release(pool.cache, b);
    test_pool_end(&pool);
}

static void closed_caches_are_used_again(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer_cache *first = open_cache(pool.pool);
    fletch_buffer_cache_close(first);
    struct fletch_buffer_cache *again = open_cache(pool.pool);
    assert_ptr_equal(again, first);
    fletch_buffer_release(again, plain(again, 100));
    fletch_buffer_cache_close(again);
    test_pool_end(&pool);
}

static void a_cache_keeps_no_more_than_it_may(void **state)
{
    (void)state;
    struct fletch_buffer_pool_options options = {.struct_size = sizeof options,
                                                 .cache_bytes = 8 << 20};
    struct fletch_buffer_pool *pool;
    struct fletch_buffer *buffers[32];
    assert_ok(fletch_buffer_pool_create(&options, NULL, &pool, NULL));
    struct fletch_buffer_cache *first = open_cache(pool), *second = open_cache(pool);
    for (size_t i = 0; i < 32; i++)
        buffers[i] = plain(first, 1 << 20);
    for (size_t i = 0; i < 32; i++)
        fletch_buffer_release(first, buffers[i]);
    uint64_t made = regions_made(pool);
    for (size_t i = 0; i < 24; i++) /* 8 MiB stayed with the first cache */
        buffers[i] = plain(second, 1 << 20);
    assert_int_equal(regions_made(pool), made);
    for (size_t i = 0; i < 24; i++)
        fletch_buffer_release(second, buffers[i]);
    assert_ok(fletch_buffer_pool_destroy(pool, NULL));
}

/* ---- giving memory back ---- */

static void trimming_gives_free_regions_back(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffers[MANY];
    for (size_t i = 0; i < MANY; i++)
        buffers[i] = plain(pool.cache, 65536);
    uint64_t mapped = pool_statistics(pool.pool).mapped_bytes;
    assert_true(mapped >= MANY * 65536);
    for (size_t i = 1; i < MANY; i++)
        fletch_buffer_release(pool.cache, buffers[i]);
    assert_int_equal(fletch_buffer_pool_trim(pool.pool, NULL), 0); /* the cache has them */
    size_t trimmed = fletch_buffer_pool_trim(pool.pool, pool.cache);
    struct fletch_pool_statistics after = pool_statistics(pool.pool);
    assert_int_equal(after.mapped_bytes, mapped - trimmed);
    assert_int_equal(after.mapped_bytes_peak, mapped);
    assert_int_equal(after.regions_made - after.regions_trimmed, 1);
    assert_true(after.mapped_bytes < 3 << 20); /* the region of the first buffer is left */
    assert_int_equal(buffers[0]->data[65535], 0x33);
    /* The blocks of that region that are free are still there. */
    for (size_t i = 1; i < 30; i++)
        buffers[i] = plain(pool.cache, 65536);
    assert_int_equal(regions_made(pool.pool), after.regions_made);
    for (size_t i = 0; i < 30; i++)
        fletch_buffer_release(pool.cache, buffers[i]);
    trimmed = fletch_buffer_pool_trim(pool.pool, pool.cache);
    assert_true(trimmed > 0);
    assert_int_equal(pool_statistics(pool.pool).mapped_bytes, 0);
    test_pool_end(&pool);
}

static void what_was_idle_is_given_back(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffers[MANY];
    for (size_t i = 0; i < MANY; i++)
        buffers[i] = plain(pool.cache, 1 << 20);
    for (size_t i = 0; i < MANY; i++)
        fletch_buffer_release(pool.cache, buffers[i]);
    /* All were in use since the cache was opened; from now on one is. */
    for (int call = 0; call < 4; call++) {
        fletch_buffer_release(pool.cache, plain(pool.cache, 1 << 20));
        fletch_buffer_cache_idle(pool.cache);
        fletch_buffer_pool_idle(pool.pool);
    }
    struct fletch_pool_statistics after = pool_statistics(pool.pool);
    assert_true(after.mapped_bytes <= 3 << 20);
    assert_true(after.mapped_bytes > 0);
    fletch_buffer_release(pool.cache, plain(pool.cache, 1 << 20));
    assert_int_equal(regions_made(pool.pool), after.regions_made); /* the one in use is there */
    test_pool_end(&pool);
}

/* A cache that now and then needs most of what it has gives the rest away all the same. */
static void a_busy_cache_gives_what_it_never_needed(void **state)
{
    (void)state;
    struct fletch_buffer_pool_options options = {.struct_size = sizeof options,
                                                 .cache_bytes = 16 << 20};
    struct fletch_buffer_pool *pool;
    struct fletch_buffer *buffers[7]; /* a region each */
    assert_ok(fletch_buffer_pool_create(&options, NULL, &pool, NULL));
    struct fletch_buffer_cache *cache = open_cache(pool);
    for (size_t i = 0; i < 7; i++)
        buffers[i] = plain(cache, 2 << 20);
    for (size_t i = 0; i < 7; i++)
        fletch_buffer_release(cache, buffers[i]);
    fletch_buffer_cache_idle(cache); /* all were needed since the last call */
    for (size_t i = 0; i < 5; i++)
        buffers[i] = plain(cache, 2 << 20);
    for (size_t i = 0; i < 5; i++)
        fletch_buffer_release(cache, buffers[i]);
    assert_int_equal(cache->lists[buffers[0]->size_class].spare_count, 4);
    fletch_buffer_cache_idle(cache); /* two were not */
    assert_int_equal(cache->lists[buffers[0]->size_class].count, 5);
    uint64_t made = regions_made(pool);
    for (size_t i = 0; i < 5; i++)
        buffers[i] = plain(cache, 2 << 20);
    assert_int_equal(regions_made(pool), made);
    struct fletch_buffer_cache *other = open_cache(pool);
    for (size_t i = 5; i < 7; i++)
        buffers[i] = plain(other, 2 << 20);
    assert_int_equal(regions_made(pool), made); /* the two are everybody's */
    for (size_t i = 0; i < 7; i++)
        fletch_buffer_release(i < 5 ? cache : other, buffers[i]);
    assert_ok(fletch_buffer_pool_destroy(pool, NULL));
}

/* Bytes of the process in memory, as the system counts them. */
static size_t resident_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &total, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Whether the page is one of the process's, and in memory. */
static bool is_resident(const uint8_t *address)
{
    uintptr_t page = (uintptr_t)address & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
    unsigned char state = 0;
    return mincore((void *)page, 1, &state) == 0 && (state & 1) != 0;
}

static void check_that_memory_returns(size_t bytes, bool on_demand)
{
    /* Sanitizers and the test itself have memory too. */
    enum { TOTAL_BYTES = 64 << 20, MOST_BYTES = 48 << 20 };
    struct test_pool pool = test_pool_make();
    size_t count = TOTAL_BYTES / bytes;
    struct fletch_buffer **buffers = calloc(count, sizeof *buffers);
    const uint8_t **addresses = calloc(count, sizeof *addresses);
    size_t before = resident_bytes();
    for (size_t i = 0; i < count; i++) {
        buffers[i] = plain(pool.cache, bytes);
        addresses[i] = fletch_buffer_data(buffers[i]);
        assert_true(is_resident(addresses[i]));
    }
    size_t filled = resident_bytes();
    assert_true(filled >= before + MOST_BYTES);
    for (size_t i = 0; i < count; i++)
        fletch_buffer_release(pool.cache, buffers[i]);
    assert_true(resident_bytes() >= before + MOST_BYTES); /* kept, for the next ones */
    if (on_demand)
        assert_true(fletch_buffer_pool_trim(pool.pool, pool.cache) >= TOTAL_BYTES);
    for (int call = 0; call < 3 && !on_demand; call++) {
        fletch_buffer_cache_idle(pool.cache);
        fletch_buffer_pool_idle(pool.pool);
    }
    assert_true(resident_bytes() + MOST_BYTES <= filled);
    for (size_t i = 0; i < count; i++)
        assert_false(is_resident(addresses[i]));
    assert_int_equal(pool_statistics(pool.pool).mapped_bytes, 0);
    free(buffers);
    free(addresses);
    test_pool_end(&pool);
}

static void memory_really_goes_back_to_the_system(void **state)
{
    static const size_t sizes[] = {1 << 16, 1 << 20, 8 << 20};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check_that_memory_returns(sizes[i], true);
        check_that_memory_returns(sizes[i], false);
    }
}

static void what_is_in_use_is_never_given_back(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffers[10];
    for (size_t i = 0; i < 10; i++)
        buffers[i] = plain(pool.cache, 3 << 20);
    for (int call = 0; call < 3; call++) {
        fletch_buffer_cache_idle(pool.cache);
        assert_int_equal(fletch_buffer_pool_idle(pool.pool), 0);
        assert_int_equal(fletch_buffer_pool_trim(pool.pool, pool.cache), 0);
    }
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(buffers[i]->data[(3 << 20) - 1], 0x33);
        fletch_buffer_release(pool.cache, buffers[i]);
    }
    test_pool_end(&pool);
}

static void statistics_are_cut_to_what_the_caller_knows(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_pool_statistics statistics;
    memset(&statistics, 0x77, sizeof statistics);
    statistics.struct_size = 16;
    fletch_buffer_pool_statistics(pool.pool, &statistics);
    assert_int_equal(statistics.struct_size, 16);
    assert_int_equal(statistics.mapped_bytes, 0);
    assert_true(statistics.mapped_bytes_peak == UINT64_C(0x7777777777777777));
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(what_was_needed_once_is_never_asked_for_again),
        cmocka_unit_test(a_pool_knows_what_is_missing),
        cmocka_unit_test(blocks_come_back_from_other_caches),
        cmocka_unit_test(the_newest_of_those_comes_first),
        cmocka_unit_test(a_closed_cache_leaves_its_blocks_to_others),
        cmocka_unit_test(closed_caches_are_used_again),
        cmocka_unit_test(a_cache_keeps_no_more_than_it_may),
        cmocka_unit_test(trimming_gives_free_regions_back),
        cmocka_unit_test(what_was_idle_is_given_back),
        cmocka_unit_test(a_busy_cache_gives_what_it_never_needed),
        cmocka_unit_test(memory_really_goes_back_to_the_system),
        cmocka_unit_test(what_is_in_use_is_never_given_back),
        cmocka_unit_test(statistics_are_cut_to_what_the_caller_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
