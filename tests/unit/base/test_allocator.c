#include "base/allocator.h"

#include <string.h>

#include "base/atomic.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"

static void the_default_one_aligns(void **state)
{
    struct fletch_allocator allocator = fletch_allocator_or_default(NULL);
    (void)state;
    for (size_t alignment = sizeof(void *); alignment <= 4096; alignment *= 2) {
        for (size_t bytes = 1; bytes <= 300; bytes += 13) {
            void *memory = fletch_allocate(&allocator, bytes, alignment);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % alignment, 0);
            memset(memory, 1, bytes);
            fletch_release(&allocator, memory, bytes, alignment);
        }
    }
}

static void the_default_one_refuses_what_would_wrap(void **state)
{
    struct fletch_allocator allocator = fletch_allocator_or_default(NULL);
    (void)state;
    assert_null(fletch_allocate(&allocator, SIZE_MAX, 64));
    assert_null(fletch_allocate(&allocator, SIZE_MAX - 63, 64));
}

static void a_given_one_is_used_with_the_same_numbers(void **state)
{
    struct counting_allocator counting;
    (void)state;
    counting_allocator_start(&counting, 0);
    struct fletch_allocator allocator = fletch_allocator_or_default(&counting.allocator);
    void *memory = fletch_allocate(&allocator, 100, 64);
    assert_non_null(memory);
    assert_int_equal(counting.requests, 1);
    assert_int_equal(counting.live_bytes, 100);
    fletch_release(&allocator, memory, 100, 64);
    assert_int_equal(counting.live_bytes, 0);
    assert_int_equal(counting.mismatched, 0);
}

static void a_block_is_aligned_and_whole(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= 4096; bytes = bytes * 3 + 1) {
        char *block = fletch_block_allocate(NULL, bytes);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % FLETCH_INTERFERENCE_BYTES, 0);
        memset(block, 0xff, bytes);
        fletch_block_release(block);
    }
}

static void a_block_remembers_its_allocator(void **state)
{
    struct counting_allocator one;
    struct counting_allocator other;
    (void)state;
    counting_allocator_start(&one, 0);
    counting_allocator_start(&other, 0);
    void *first = fletch_block_allocate(&one.allocator, 1000);
    void *second = fletch_block_allocate(&other.allocator, 2000);
    assert_non_null(first);
    assert_non_null(second);
    /* The caller's structure was copied: what becomes of it does not matter. */
    struct fletch_allocator kept = one.allocator;
    memset(&one.allocator, 0, sizeof one.allocator);
    fletch_block_release(first);
    one.allocator = kept;
    assert_int_equal(one.live_bytes, 0);
    assert_int_equal(one.mismatched, 0);
    assert_true(other.live_bytes >= 2000);
    fletch_block_release(second);
    assert_int_equal(other.live_bytes, 0);
    assert_int_equal(other.mismatched, 0);
}

static void a_failing_allocator_gives_no_block(void **state)
{
    struct counting_allocator counting;
    (void)state;
    counting_allocator_start(&counting, 1);
    assert_null(fletch_block_allocate(&counting.allocator, 8));
    assert_int_equal(counting.requests, 1);
    assert_int_equal(counting.released, 0);
}

static void a_block_whose_size_would_wrap_is_not_asked_for(void **state)
{
    struct counting_allocator counting;
    (void)state;
    counting_allocator_start(&counting, 0);
    assert_null(fletch_block_allocate(&counting.allocator, SIZE_MAX));
    assert_null(fletch_block_allocate(&counting.allocator, SIZE_MAX - 127));
    assert_int_equal(counting.requests, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_one_aligns),
        cmocka_unit_test(the_default_one_refuses_what_would_wrap),
        cmocka_unit_test(a_given_one_is_used_with_the_same_numbers),
        cmocka_unit_test(a_block_is_aligned_and_whole),
        cmocka_unit_test(a_block_remembers_its_allocator),
        cmocka_unit_test(a_failing_allocator_gives_no_block),
        cmocka_unit_test(a_block_whose_size_would_wrap_is_not_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
