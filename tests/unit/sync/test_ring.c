#include "sync/ring.h"

#include <string.h>

#include "support/cmocka_tests.h"

static const struct fletch_ring_shape shapes[] = {
    {.magic = 1, .slot_sequence = true, .power_of_two = false, .structure_bytes = 700},
    {.magic = 1, .slot_sequence = true, .power_of_two = true, .structure_bytes = 700},
    {.magic = 1, .slot_sequence = false, .power_of_two = false, .structure_bytes = 768},
};

static void check_layout(const struct fletch_ring_choice *choice,
                         const struct fletch_ring_shape *shape)
{
    struct fletch_ring_layout layout;
    assert_ok(fletch_ring_plan(choice, shape, &layout, NULL));
    assert_int_equal(layout.element_bytes, choice->element_bytes);
    assert_int_equal(layout.payload_offset, shape->slot_sequence ? 8 : 0);
    assert_true(layout.stride_bytes >= layout.payload_offset + choice->element_bytes);
    assert_int_equal(layout.stride_bytes % 8, 0);
    /* No slot of up to a line straddles one. */
    if (shape->slot_sequence && layout.stride_bytes <= 64)
        assert_int_equal(64 % layout.stride_bytes, 0);
    assert_true(layout.element_limit >= choice->capacity);
    assert_true(layout.element_limit <= choice->capacity + choice->capacity / 8);
    assert_true(layout.slot_count >= layout.element_limit);
    if (shape->power_of_two)
        assert_int_equal(layout.slot_count & (layout.slot_count - 1), 0);
    assert_true(layout.return_threshold >= 1);
    /* What the consumer may keep back never costs the producer promised room. */
    assert_true(layout.element_limit - (layout.return_threshold - 1) >= choice->capacity);
    assert_true(layout.slots_offset >= shape->structure_bytes);
    assert_int_equal(layout.slots_offset % FLETCH_INTERFERENCE_BYTES, 0);
    assert_int_equal(layout.total_bytes % FLETCH_INTERFERENCE_BYTES, 0);
    assert_true(layout.total_bytes >=
                layout.slots_offset + layout.slot_count * layout.stride_bytes);
}

static void layouts_keep_their_promises(void **state)
{
    static const size_t sizes[] = {8, 9, 12, 16, 24, 56, 57, 64, 100, 256, 1000, 4096};
    (void)state;
    for (size_t shape = 0; shape < sizeof shapes / sizeof shapes[0]; shape++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            for (size_t capacity = 1; capacity < 300; capacity++)
                check_layout(
                    &(struct fletch_ring_choice){.element_bytes = sizes[i], .capacity = capacity},
                    &shapes[shape]);
}

static void the_largest_ring_has_a_layout(void **state)
{
    const struct fletch_ring_choice choice = {.element_bytes = FLETCH_ELEMENT_BYTES_MAX,
                                              .capacity = FLETCH_CAPACITY_MAX};
    (void)state;
    for (size_t shape = 0; shape < sizeof shapes / sizeof shapes[0]; shape++)
        check_layout(&choice, &shapes[shape]);
}

static void limits_are_named(void **state)
{
    static const struct {
        struct fletch_ring_choice choice;
        const char *message;
    } refused[] = {
        {{.element_bytes = 7, .capacity = 8}, "element_bytes 7 is not between 8 and 4096"},
        {{.element_bytes = 0, .capacity = 8}, "element_bytes 0 is not between 8 and 4096"},
        {{.element_bytes = 4097, .capacity = 8}, "element_bytes 4097 is not between 8 and 4096"},
        {{.element_bytes = 8, .capacity = 0}, "capacity 0 is not between 1 and 4294967296"},
        {{.element_bytes = 8, .capacity = FLETCH_CAPACITY_MAX + 1},
         "capacity 4294967297 is not between 1 and 4294967296"},
        {{.element_bytes = 8, .capacity = SIZE_MAX},
         "capacity 18446744073709551615 is not between 1 and 4294967296"},
    };
    struct fletch_ring_layout layout;
    struct fletch_error error;
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(fletch_ring_plan(&refused[i].choice, &shapes[0], &layout, &error),
                         FLETCH_INVALID_ARGUMENT);
        assert_string_equal(error.message, refused[i].message);
    }
}

static void a_layout_that_would_wrap_is_refused(void **state)
{
    const struct fletch_ring_shape vast = {.magic = 1, .structure_bytes = SIZE_MAX - 1000};
    const struct fletch_ring_choice choice = {.element_bytes = 4096, .capacity = 100};
    struct fletch_ring_layout layout;
    struct fletch_error error;
    (void)state;
    assert_int_equal(fletch_ring_plan(&choice, &vast, &layout, &error), FLETCH_INVALID_ARGUMENT);
    assert_string_equal(error.message,
                        "capacity 100 of element_bytes 4096 does not fit into memory");
}

enum { COUNT = 9 };

static void fill_and_empty(size_t size, size_t stride, size_t split)
{
    char ring[COUNT * 64];
    char source[COUNT * 24];
    char target[COUNT * 24];
    for (size_t i = 0; i < sizeof source; i++)
        source[i] = (char)(i * 7 + 1);
    /* The second run lies before the first, as after a wrap. */
    struct fletch_ring_spans spans = {
        .first = ring + (COUNT - split) * stride,
        .first_count = split,
        .second = split < COUNT ? ring : NULL,
        .second_count = COUNT - split,
        .stride_bytes = stride,
    };
    memset(ring, 0, sizeof ring);
    memset(target, 0, sizeof target);
    assert_int_equal(fletch_spans_fill(&spans, source, size), COUNT);
    assert_int_equal(fletch_spans_empty(&spans, target, size), COUNT);
    assert_memory_equal(source, target, COUNT * size);
    for (size_t i = 0; i < split; i++)
        assert_memory_equal((char *)spans.first + i * stride, source + i * size, size);
    for (size_t i = 0; i < COUNT * stride; i++)
        if (i % stride >= size)
            assert_int_equal(ring[i], 0); /* nothing between the elements */
}

/* Contiguous elements to spans of any stride and back, split anywhere. */
static void spans_are_filled_and_emptied_in_order(void **state)
{
    static const size_t sizes[] = {8, 12, 24};
    static const size_t gaps[] = {0, 8, 20};
    (void)state;
    for (size_t size = 0; size < 3; size++)
        for (size_t gap = 0; gap < 3; gap++)
            for (size_t split = 1; split <= COUNT; split++)
                fill_and_empty(sizes[size], sizes[size] + gaps[gap], split);
}

static void statistics_are_cut_to_the_callers_size(void **state)
{
    struct fletch_ring_statistics full = {.pushed = 1, .popped = 2, .full = 3, .empty = 4};
    struct fletch_ring_statistics known;
    (void)state;
    memset(&known, 0xee, sizeof known);
    known.struct_size = offsetof(struct fletch_ring_statistics, full);
    fletch_ring_statistics_write(&known, &full);
    assert_int_equal(known.struct_size, offsetof(struct fletch_ring_statistics, full));
    assert_int_equal(known.pushed, 1);
    assert_int_equal(known.popped, 2);
    assert_true(known.full == UINT64_C(0xeeeeeeeeeeeeeeee));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_keep_their_promises),
        cmocka_unit_test(the_largest_ring_has_a_layout),
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(a_layout_that_would_wrap_is_refused),
        cmocka_unit_test(spans_are_filled_and_emptied_in_order),
        cmocka_unit_test(statistics_are_cut_to_the_callers_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
