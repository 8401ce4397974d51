#include "memory/buffer.h"

#include <string.h>

#include "memory/buffer_pool.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"

static void a_buffer_is_aligned_padded_and_charged(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 63, 64, 65, 512, 513, 4095, 4096, 65536, 1 << 20, 3000000};
    struct test_pool pool = test_pool_make();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct fletch_buffer *buffer = buffer_filled(&pool, sizes[i], 0x5a);
        size_t capacity = fletch_buffer_capacity(buffer);
        assert_int_equal((uintptr_t)fletch_buffer_data(buffer) % 64, 0);
        assert_int_equal(fletch_buffer_bytes(buffer), sizes[i]);
        assert_true(capacity >= sizes[i] && capacity % 64 == 0);
        assert_true(capacity <= 64 || capacity * 4 <= sizes[i] * 5 + 4 * 64);
        memset(fletch_buffer_mutable_data(buffer), 0xa5, capacity);
        assert_int_equal(fletch_buffer_charge_bytes(buffer), capacity + 64);
        assert_int_equal(account_used_bytes(pool.account), capacity + 64);
        fletch_buffer_release(pool.cache, buffer);
        assert_int_equal(account_used_bytes(pool.account), 0);
    }
    test_pool_end(&pool);
}

static void impossible_sizes_are_refused_by_name(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffer = NULL;
    struct fletch_error error;
    static const size_t sizes[] = {0, FLETCH_BUFFER_BYTES_MAX + 1, SIZE_MAX, SIZE_MAX - 63};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(
            fletch_buffer_allocate(pool.cache, sizes[i], pool.account, &buffer, &error),
            FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, "expected 1 to 68719476736");
    }
    assert_null(buffer);
    assert_int_equal(account_used_bytes(pool.account), 0);
    test_pool_end(&pool);
}

static void the_last_in_is_the_first_out(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *first = buffer_filled(&pool, 1000, 1);
    struct fletch_buffer *second = buffer_filled(&pool, 1000, 2);
    assert_ptr_not_equal(first, second);
    fletch_buffer_release(pool.cache, first);
    fletch_buffer_release(pool.cache, second);
    struct fletch_buffer *again = buffer_filled(&pool, 1000, 3);
    assert_ptr_equal(again, second);
    fletch_buffer_release(NULL, again);
    test_pool_end(&pool);
}

static void references_keep_it_alive(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffer = buffer_filled(&pool, 100, 7);
    assert_ptr_equal(fletch_buffer_acquire(buffer), buffer);
    fletch_buffer_release(pool.cache, buffer);
    assert_int_equal(account_used_bytes(pool.account), 128 + 64);
    assert_int_equal(fletch_buffer_data(buffer)[99], 7);
    fletch_shared_release(&buffer->shared); /* as whoever knows no more than that it is counted */
    assert_int_equal(account_used_bytes(pool.account), 0);
    fletch_buffer_release(pool.cache, NULL);
    test_pool_end(&pool);
}

static void a_buffer_can_be_resized_within_its_capacity(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffer = buffer_filled(&pool, 100, 7);
    fletch_buffer_resize(buffer, 128);
    assert_int_equal(fletch_buffer_bytes(buffer), 128);
    fletch_buffer_resize(buffer, 0);
    assert_int_equal(fletch_buffer_bytes(buffer), 0);
    assert_int_equal(fletch_buffer_capacity(buffer), 128);
    fletch_buffer_release(pool.cache, buffer);
    test_pool_end(&pool);
}

/* ---- slices ---- */

static struct fletch_buffer *slice_of(struct test_pool *pool, struct fletch_buffer *parent,
                                      size_t offset, size_t bytes)
{
    struct fletch_buffer *slice;
    struct fletch_buffer_range range = {.offset = offset, .bytes = bytes};
    assert_ok(fletch_buffer_slice(pool->cache, parent, range, &slice, NULL));
    return slice;
}

static void a_slice_keeps_its_parent_alive(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffer = buffer_filled(&pool, 1000, 9);
    struct fletch_buffer *slice = slice_of(&pool, buffer, 10, 800);
    struct fletch_buffer *inner = slice_of(&pool, slice, 5, 20);
    assert_ptr_equal(fletch_buffer_data(inner), fletch_buffer_data(buffer) + 15);
    assert_int_equal(fletch_buffer_bytes(inner), 20);
    assert_int_equal(fletch_buffer_capacity(inner), 20);
    assert_int_equal(fletch_buffer_charge_bytes(inner), 1024 + 64);
    fletch_buffer_release(pool.cache, buffer);
    fletch_buffer_release(pool.cache, slice); /* the inner one refers to the first parent */
    assert_int_equal(account_used_bytes(pool.account), 1024 + 64);
    assert_int_equal(fletch_buffer_data(inner)[19], 9);
    fletch_buffer_release(NULL, inner);
    assert_int_equal(account_used_bytes(pool.account), 0);
    /* Their blocks are ordinary ones again. */
    for (int i = 0; i < 3; i++) {
        struct fletch_buffer *small = buffer_filled(&pool, 64, 1);
        assert_ptr_equal(fletch_buffer_data(small), (uint8_t *)small + 64);
        fletch_buffer_release(pool.cache, small);
    }
    test_pool_end(&pool);
}

static void a_slice_lies_inside_its_parent(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffer = buffer_filled(&pool, 100, 9), *slice = NULL;
    static const struct fletch_buffer_range ranges[] = {{0, 0},   {0, 101},      {1, 100},
                                                        {100, 1}, {SIZE_MAX, 2}, {2, SIZE_MAX}};
    struct fletch_error error;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        assert_int_equal(fletch_buffer_slice(pool.cache, buffer, ranges[i], &slice, &error),
                         FLETCH_OUT_OF_RANGE);
        assert_contains(error.message, "no part of a buffer of 100 bytes");
    }
    assert_null(slice);
    fletch_buffer_release(pool.cache, slice_of(&pool, buffer, 0, 100));
    fletch_buffer_release(pool.cache, slice_of(&pool, buffer, 99, 1));
    fletch_buffer_release(pool.cache, buffer);
    test_pool_end(&pool);
}

static void a_sparse_slice_is_compacted(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffer = buffer_filled(&pool, 10000, 3), *compact = NULL;
    struct fletch_buffer *half = slice_of(&pool, buffer, 0, 5000);
    struct fletch_buffer *less = slice_of(&pool, buffer, 5001, 4999);
    assert_false(fletch_buffer_is_sparse(buffer));
    assert_false(fletch_buffer_is_sparse(half));
    assert_true(fletch_buffer_is_sparse(less));
    assert_ok(fletch_buffer_compact(pool.cache, half, pool.account, &compact, NULL));
    assert_ptr_equal(compact, half);
    fletch_buffer_release(pool.cache, buffer);
    fletch_buffer_release(pool.cache, half);
    assert_int_equal(account_used_bytes(pool.account), 10240 + 64);
    assert_ok(fletch_buffer_compact(pool.cache, less, pool.account, &compact, NULL));
    assert_ptr_not_equal(compact, less);
    assert_int_equal(fletch_buffer_bytes(compact), 4999);
    assert_int_equal(fletch_buffer_data(compact)[4998], 3);
    assert_int_equal(account_used_bytes(pool.account), 5120 + 64); /* the parent is gone */
    fletch_buffer_release(pool.cache, compact);
    test_pool_end(&pool);
}

static void the_half_of_an_odd_parent_is_no_whole_number(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_buffer *buffer = buffer_filled(&pool, 101, 3), *one = buffer_filled(&pool, 1, 3);
    struct fletch_buffer *less = slice_of(&pool, buffer, 0, 50);
    struct fletch_buffer *more = slice_of(&pool, buffer, 0, 51);
    struct fletch_buffer *all = slice_of(&pool, one, 0, 1);
    assert_true(fletch_buffer_is_sparse(less)); /* keeps 51 bytes that nobody reads */
    assert_false(fletch_buffer_is_sparse(more));
    assert_false(fletch_buffer_is_sparse(all));
    fletch_buffer_release(pool.cache, less);
    fletch_buffer_release(pool.cache, more);
    fletch_buffer_release(pool.cache, all);
    fletch_buffer_release(pool.cache, one);
    fletch_buffer_release(pool.cache, buffer);
    test_pool_end(&pool);
}

static void compacting_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_account *full = account_make(pool.account, "full", 64, 0);
    struct fletch_buffer *buffer = buffer_filled(&pool, 10000, 3), *compact = NULL;
    struct fletch_buffer *less = slice_of(&pool, buffer, 1, 100);
    assert_int_equal(fletch_buffer_compact(pool.cache, less, full, &compact, NULL),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_null(compact);
    assert_int_equal(fletch_buffer_data(less)[99], 3);
    fletch_buffer_release(pool.cache, less);
    fletch_buffer_release(pool.cache, buffer);
    fletch_account_close(full);
    test_pool_end(&pool);
}

/* ---- foreign memory ---- */

static void count_call(void *context)
{
    ++*(int *)context;
}

static void foreign_memory_is_released_once(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    int calls = 0;
    char bytes[100] = "foreign";
    const struct fletch_foreign_memory memory = {
        .data = bytes, .bytes = sizeof bytes, .release = count_call, .context = &calls};
    struct fletch_buffer *buffer;
    assert_ok(fletch_buffer_wrap(pool.cache, &memory, pool.account, &buffer, NULL));
    assert_ptr_equal(fletch_buffer_data(buffer), bytes);
    assert_int_equal(fletch_buffer_capacity(buffer), 100);
    assert_int_equal(account_used_bytes(pool.account), 100);
    struct fletch_buffer *slice = slice_of(&pool, buffer, 3, 4);
    assert_int_equal(fletch_buffer_charge_bytes(slice), 100);
    fletch_buffer_release(pool.cache, buffer);
    assert_int_equal(calls, 0);
    assert_memory_equal(fletch_buffer_data(slice), "eign", 4);
    fletch_buffer_release(pool.cache, slice);
    assert_int_equal(calls, 1);
    assert_int_equal(account_used_bytes(pool.account), 0);
    test_pool_end(&pool);
}

static void foreign_memory_that_is_refused_stays_the_callers(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_account *full = account_make(pool.account, "full", 99, 0);
    int calls = 0;
    char bytes[100];
    struct fletch_foreign_memory memory = {
        .data = bytes, .bytes = sizeof bytes, .release = count_call, .context = &calls};
    struct fletch_buffer *buffer = NULL;
    struct fletch_error error;
    assert_int_equal(fletch_buffer_wrap(pool.cache, &memory, full, &buffer, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    memory.bytes = 0;
    assert_int_equal(fletch_buffer_wrap(pool.cache, &memory, full, &buffer, &error),
                     FLETCH_INVALID_ARGUMENT);
    memory = (struct fletch_foreign_memory){.data = NULL, .bytes = 5};
    assert_int_equal(fletch_buffer_wrap(pool.cache, &memory, full, &buffer, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "foreign memory has 5 bytes at NULL");
    assert_null(buffer);
    assert_int_equal(calls, 0);
    memory = (struct fletch_foreign_memory){.data = bytes, .bytes = 5}; /* nothing to call */
    assert_ok(fletch_buffer_wrap(pool.cache, &memory, full, &buffer, NULL));
    fletch_buffer_release(NULL, buffer);
    fletch_account_close(full);
    test_pool_end(&pool);
}

/* ---- charges ---- */

static void a_charge_moves_with_the_buffer(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_account *channel = account_make(pool.account, "channel", 0, 0);
    struct fletch_account *delivered = account_make(pool.account, "delivered", 1000, 0);
    struct fletch_buffer *buffer, *other;
    struct fletch_error error;
    assert_ok(fletch_buffer_allocate(pool.cache, 512, channel, &buffer, NULL));
    assert_ok(fletch_buffer_allocate(pool.cache, 512, channel, &other, NULL));
    struct fletch_buffer *slice = slice_of(&pool, buffer, 0, 10);
    assert_ok(fletch_buffer_transfer(slice, delivered, 0, NULL));  /* its parent's charge */
    assert_ok(fletch_buffer_transfer(buffer, delivered, 0, NULL)); /* once */
    assert_int_equal(account_used_bytes(channel), 576);
    assert_int_equal(account_used_bytes(delivered), 576);
    assert_int_equal(account_used_bytes(pool.account), 2 * 576);
    assert_int_equal(fletch_buffer_transfer(other, delivered, 0, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message,
                    "'delivered' is full: limit 1000 bytes, used 576, asked for 576");
    assert_int_equal(account_used_bytes(channel), 576);
    fletch_buffer_release(pool.cache, other);
    fletch_account_close(channel);
    fletch_buffer_release(pool.cache, buffer);
    fletch_buffer_release(pool.cache, slice);
    assert_int_equal(account_used_bytes(delivered), 0);
    fletch_account_close(delivered);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_is_aligned_padded_and_charged),
        cmocka_unit_test(impossible_sizes_are_refused_by_name),
        cmocka_unit_test(the_last_in_is_the_first_out),
        cmocka_unit_test(references_keep_it_alive),
        cmocka_unit_test(a_buffer_can_be_resized_within_its_capacity),
        cmocka_unit_test(a_slice_keeps_its_parent_alive),
        cmocka_unit_test(a_slice_lies_inside_its_parent),
        cmocka_unit_test(a_sparse_slice_is_compacted),
        cmocka_unit_test(the_half_of_an_odd_parent_is_no_whole_number),
        cmocka_unit_test(compacting_that_fails_changes_nothing),
        cmocka_unit_test(foreign_memory_is_released_once),
        cmocka_unit_test(foreign_memory_that_is_refused_stays_the_callers),
        cmocka_unit_test(a_charge_moves_with_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
