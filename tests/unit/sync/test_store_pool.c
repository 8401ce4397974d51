#include "sync/store_pool.h"

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"

enum { BLOCKS = 1000, ROUNDS = 20, MANY = 200000 };

struct fixture {
    struct counting_allocator counting;
    struct fletch_store_pool pool;
    struct fletch_store_cache caches[2];
    void *blocks[BLOCKS];
};

static void open_fixture(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    counting_allocator_start(&fixture->counting, 0);
    fletch_store_pool_start(&fixture->pool, &fixture->counting.allocator);
    fletch_store_cache_start(&fixture->caches[0]);
    fletch_store_cache_start(&fixture->caches[1]);
}

static void close_fixture(struct fixture *fixture)
{
    fletch_store_pool_end(&fixture->pool);
    assert_int_equal(fixture->counting.live_bytes, 0);
    assert_int_equal(fixture->counting.mismatched, 0);
}

/* Takes them all by the first cache, each filled with a number of its own, and checks that none of
 * them overlap. */
static void take_all(struct fixture *fixture, size_t bytes)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        void *block = fletch_store_pool_take(&fixture->pool, &fixture->caches[0], bytes);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % FLETCH_STORE_BLOCK_BYTES, 0);
        memset(block, (int)(i % 251), bytes);
        fixture->blocks[i] = block;
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        const unsigned char *block = fixture->blocks[i];
        assert_true(block[0] == i % 251 && block[bytes - 1] == i % 251);
    }
}

static void give_all(struct fixture *fixture, struct fletch_store_cache *cache, size_t bytes)
{
    for (size_t i = 0; i < BLOCKS; i++)
        fletch_store_pool_give(&fixture->pool, cache, fixture->blocks[i], bytes);
}

/* Chunks that were asked for after the first round, when `cache` gives all back each time. */
static uint64_t chunks_later(struct fixture *fixture, struct fletch_store_cache *cache,
                             size_t bytes)
{
    take_all(fixture, bytes);
    give_all(fixture, cache, bytes);
    take_all(fixture, bytes);
    give_all(fixture, cache, bytes);
    uint64_t before = fixture->counting.requests;
    for (int round = 0; round < ROUNDS; round++) {
        take_all(fixture, bytes);
        give_all(fixture, cache, bytes);
    }
    return fixture->counting.requests - before;
}

static void what_is_given_back_is_taken_again(void **state)
{
    (void)state;
    static struct fixture fixture;
    static const size_t sizes[] = {1, 64, 65, 128, 129, 256};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        open_fixture(&fixture);
        assert_int_equal(chunks_later(&fixture, &fixture.caches[0], sizes[i]), 0);
        close_fixture(&fixture);
    }
}

static void one_that_only_gives_serves_one_that_only_takes(void **state)
{
    (void)state;
    static struct fixture fixture;
    open_fixture(&fixture);
    assert_int_equal(chunks_later(&fixture, &fixture.caches[1], 64), 0);
    close_fixture(&fixture);
}

static void one_without_a_cache_gives_too(void **state)
{
    (void)state;
    static struct fixture fixture;
    open_fixture(&fixture);
    assert_int_equal(chunks_later(&fixture, NULL, 192), 0);
    close_fixture(&fixture);
}

static void without_memory_there_is_no_block(void **state)
{
    (void)state;
    static struct fixture fixture;
    open_fixture(&fixture);
    counting_allocator_start(&fixture.counting, 1);
    assert_null(fletch_store_pool_take(&fixture.pool, &fixture.caches[0], 64));
    take_all(&fixture, 64);
    close_fixture(&fixture);
}

/* Every `every`-th of them stays with its owner, the others are given back; then those. What the
 * allocator has left each time. */
static void after_mass_removal(size_t bytes, struct fletch_store_cache *giver, uint64_t out_left[2])
{
    static struct fixture fixture;
    static void *many[MANY];
    enum { EVERY = 100000 };
    open_fixture(&fixture);
    struct fletch_store_cache *gives = giver == NULL ? NULL : &fixture.caches[1];
    for (size_t i = 0; i < MANY; i++) {
        many[i] = fletch_store_pool_take(&fixture.pool, &fixture.caches[0], bytes);
        assert_non_null(many[i]);
        memset(many[i], 0x5a, bytes);
    }
    uint64_t peak = fixture.counting.live_bytes;
    assert_true(peak >= MANY * bytes);
    for (size_t k = 0; k < MANY; k++) {
        size_t i = k * 7919 % (size_t)MANY; /* all of them, and not in a row */
        if (i % EVERY != 0)
            fletch_store_pool_give(&fixture.pool, gives, many[i], bytes);
    }
    out_left[0] = fixture.counting.live_bytes * 100 / peak;
    for (size_t i = 0; i < MANY; i += EVERY)
        assert_int_equal(*((unsigned char *)many[i] + bytes - 1), 0x5a);
    for (size_t i = 0; i < MANY; i += EVERY)
        fletch_store_pool_give(&fixture.pool, gives, many[i], bytes);
    uint64_t requests = fixture.counting.requests;
    for (size_t i = 0; i < MANY; i++)
        many[i] = fletch_store_pool_take(&fixture.pool, &fixture.caches[0], bytes);
    out_left[1] = fixture.counting.requests - requests;
    close_fixture(&fixture);
}

static void mass_removal_gives_memory_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {64, 192, 256};
    static struct fletch_store_cache any;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t left[2];
        after_mass_removal(sizes[i], &any, left);
        assert_true(left[0] < 20);
        assert_true(left[1] > 0);
        after_mass_removal(sizes[i], NULL, left);
        assert_true(left[0] < 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_back_is_taken_again),
        cmocka_unit_test(one_that_only_gives_serves_one_that_only_takes),
        cmocka_unit_test(one_without_a_cache_gives_too),
        cmocka_unit_test(without_memory_there_is_no_block),
        cmocka_unit_test(mass_removal_gives_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
