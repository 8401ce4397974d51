#include "memory/buffer_region.h"

#include "base/allocator.h"
#include "base/poison.h"
#include "memory/buffer_pool.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"

/* The blocks lie in the region, apart from each other and from their headers, and are chained. */
static void check_blocks(struct fletch_buffer_region *region, struct fletch_stack_node *node)
{
    size_t capacity = fletch_size_class_bytes(region->size_class);
    const uint8_t *end = (uint8_t *)region->data + region->data_bytes;
    const uint8_t *before = NULL;
    uint32_t count = 0;
    for (; node != NULL; node = node->next, count++) {
        const struct fletch_buffer *block = fletch_buffer_of_node(node);
        assert_ptr_equal(block->region, region);
        assert_int_equal(block->size_class, region->size_class);
        assert_int_equal((uintptr_t)block % 64, 0);
        assert_int_equal((uintptr_t)block->data % 64, 0);
        assert_true(block->data >= (uint8_t *)region->data && block->data + capacity <= end);
        if (before != NULL)
            assert_true(block->data >= before + capacity + 64);
        before = block->data;
    }
    assert_int_equal(count, region->count);
}

static void make_and_end(const struct fletch_region_source *source, uint32_t size_class,
                         uint32_t made)
{
    struct fletch_stack_node *first = NULL;
    struct fletch_buffer_region *region =
        fletch_buffer_region_make(source, size_class, made, &first);
    assert_non_null(region);
    assert_true(region->count >= 1 && region->found == 0);
    check_blocks(region, first);
    fletch_buffer_region_end(source, region);
}

static void regions_of_all_classes_are_carved(void **state)
{
    (void)state;
    const struct fletch_region_source source = {
        .allocator = fletch_allocator_or_default(NULL), .system_pages = true, .huge_pages = true};
    for (uint32_t i = 0; fletch_size_class_bytes(i) <= (size_t)16 << 20; i++)
        for (uint32_t made = 0; made < 8; made++)
            make_and_end(&source, i, made);
}

static void the_first_regions_are_small(void **state)
{
    (void)state;
    const struct fletch_region_source source = {.allocator = fletch_allocator_or_default(NULL),
                                                .system_pages = true};
    struct fletch_stack_node *node;
    struct fletch_buffer_region *first = fletch_buffer_region_make(&source, 3, 0, &node);
    struct fletch_buffer_region *later = fletch_buffer_region_make(&source, 3, 100, &node);
    assert_true(first->data_bytes <= 96 << 10);
    assert_true(later->data_bytes > first->data_bytes);
    fletch_buffer_region_end(&source, first);
    fletch_buffer_region_end(&source, later);
}

static void memory_comes_from_the_allocator_and_goes_back(void **state)
{
    (void)state;
    for (uint64_t fail_at = 0; fail_at < 3; fail_at++) {
        struct counting_allocator counting;
        struct fletch_stack_node *first;
        counting_allocator_start(&counting, fail_at);
        const struct fletch_region_source source = {.allocator = counting.allocator};
        struct fletch_buffer_region *region = fletch_buffer_region_make(&source, 20, 0, &first);
        assert_true((region == NULL) == (fail_at != 0));
        if (region != NULL) {
            assert_int_equal(counting.live_bytes, fletch_buffer_region_bytes(region));
            fletch_buffer_region_end(&source, region);
        }
        assert_int_equal(counting.live_bytes, 0);
        assert_int_equal(counting.mismatched, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regions_of_all_classes_are_carved),
        cmocka_unit_test(the_first_regions_are_small),
        cmocka_unit_test(memory_comes_from_the_allocator_and_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
