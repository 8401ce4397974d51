#include "sync/mpsc_queue.h"

#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/shared_memory.h"

/* Making, finding and ending queues. */

enum { SIZE = 24 };

static void bad_options_are_named_with_value_and_limit(void **state)
{
    struct fletch_mpsc_queue_options good = mpsc_options(SIZE, 8);
    struct {
        struct fletch_mpsc_queue_options options;
        const char *message;
    } refused[12];
    size_t count = 0;
    (void)state;
#define REFUSED(field, value, text) \
    do { \
        refused[count].options = good; \
        refused[count].options.field = value; \
        refused[count++].message = text; \
    } while (0)
    REFUSED(element_bytes, 0, "element_bytes 0 is not between 8 and 4096");
    REFUSED(element_bytes, 7, "element_bytes 7 is not between 8 and 4096");
    REFUSED(element_bytes, 4097, "element_bytes 4097 is not between 8 and 4096");
    REFUSED(capacity, 0, "capacity 0 is not between 1 and 4294967296");
    REFUSED(capacity, FLETCH_CAPACITY_MAX + 1,
            "capacity 4294967297 is not between 1 and 4294967296");
    REFUSED(sharing, (enum fletch_sharing)2, "sharing 2 is neither 0 (process) nor 1 (host)");
    REFUSED(wait_strategy, (enum fletch_wait_strategy)6, "wait strategy 6 is not one of 0 to 5");
    REFUSED(spin_budget_ns, (uint64_t)UINT32_MAX + 1,
            "spin_budget_ns 4294967296 is above 4294967295");
    REFUSED(struct_size, 0, "options have struct_size 0, expected at least");
#undef REFUSED
    for (size_t i = 0; i < count; i++) {
        struct counting_allocator counting;
        struct fletch_error error;
        struct fletch_mpsc_queue *queue = NULL;
        counting_allocator_start(&counting, 0);
        assert_int_equal(
            fletch_mpsc_queue_create(&refused[i].options, &counting.allocator, &queue, &error),
            FLETCH_INVALID_ARGUMENT);
        assert_int_equal(error.status, FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, refused[i].message);
        assert_null(queue);
        assert_int_equal(counting.live_bytes, 0);
        assert_int_equal(fletch_mpsc_queue_create(&refused[i].options, NULL, &queue, NULL),
                         FLETCH_INVALID_ARGUMENT);
    }
}

static void no_options_are_refused(void **state)
{
    struct fletch_mpsc_queue *queue = NULL;
    struct fletch_error error;
    size_t bytes = 1;
    (void)state;
    assert_int_equal(fletch_mpsc_queue_create(NULL, NULL, &queue, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "options are NULL");
    assert_int_equal(fletch_mpsc_queue_bytes(NULL, &bytes, &error), FLETCH_INVALID_ARGUMENT);
    assert_int_equal(bytes, 1);
}

static void the_limits_themselves_are_allowed(void **state)
{
    struct fletch_mpsc_queue_options options = mpsc_options(FLETCH_ELEMENT_BYTES_MAX, 1);
    size_t bytes;
    (void)state;
    fletch_mpsc_queue_destroy(mpsc_new(&options), NULL, NULL);
    options = mpsc_options(FLETCH_ELEMENT_BYTES_MIN, 1);
    fletch_mpsc_queue_destroy(mpsc_new(&options), NULL, NULL);
    options = mpsc_options(FLETCH_ELEMENT_BYTES_MAX, FLETCH_CAPACITY_MAX);
    assert_ok(fletch_mpsc_queue_bytes(&options, &bytes, NULL));
    assert_true(bytes / FLETCH_CAPACITY_MAX >= FLETCH_ELEMENT_BYTES_MAX);
    assert_int_equal(bytes % fletch_mpsc_queue_alignment(), 0);
}

static void a_queue_that_is_too_large_for_memory_is_an_exhausted_resource(void **state)
{
    struct fletch_mpsc_queue_options options =
        mpsc_options(FLETCH_ELEMENT_BYTES_MAX, FLETCH_CAPACITY_MAX);
    struct counting_allocator counting;
    struct fletch_mpsc_queue *queue = NULL;
    struct fletch_error error;
    (void)state;
    counting_allocator_start(&counting, 1);
    assert_int_equal(fletch_mpsc_queue_create(&options, &counting.allocator, &queue, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "no memory for a queue of");
    assert_int_equal(counting.requests, 1);
    assert_null(queue);
}

static void memory_comes_from_the_given_allocator_and_goes_back(void **state)
{
    struct fletch_mpsc_queue_options options = mpsc_options(SIZE, 100);
    struct counting_allocator counting;
    struct fletch_mpsc_queue *queue;
    (void)state;
    counting_allocator_start(&counting, 0);
    assert_ok(fletch_mpsc_queue_create(&options, &counting.allocator, &queue, NULL));
    assert_int_equal((uintptr_t)queue % fletch_mpsc_queue_alignment(), 0);
    assert_int_equal(counting.requests, 1);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
    assert_int_equal(counting.live_bytes, 0);
    assert_int_equal(counting.mismatched, 0);
}

static void memory_of_the_caller_must_suffice_and_be_aligned(void **state)
{
    struct fletch_mpsc_queue_options options = mpsc_options(SIZE, 10);
    struct fletch_mpsc_queue *queue = NULL;
    struct fletch_error error;
    size_t bytes;
    (void)state;
    assert_ok(fletch_mpsc_queue_bytes(&options, &bytes, NULL));
    char *memory = aligned_alloc(fletch_mpsc_queue_alignment(), bytes + 128);
    assert_non_null(memory);
    assert_int_equal(fletch_mpsc_queue_init(NULL, bytes, &options, &queue, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "memory is NULL");
    assert_int_equal(fletch_mpsc_queue_init(memory, bytes - 1, &options, &queue, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "are needed");
    assert_int_equal(fletch_mpsc_queue_init(memory + 64, bytes, &options, &queue, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "not aligned to 128");
    assert_null(queue);
    assert_ok(fletch_mpsc_queue_init(memory, bytes, &options, &queue, NULL));
    assert_ptr_equal(queue, memory);
    fletch_mpsc_queue_deinit(queue, NULL, NULL);
    free(memory);
}

/* Memory that is exactly as large as asked for: the sanitizer sees every byte beyond. */
static void the_queue_stays_inside_its_memory(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity < 40; capacity++) {
        struct fletch_mpsc_queue_options options = mpsc_options(SIZE, capacity);
        struct fletch_mpsc_queue *queue;
        size_t bytes;
        char element[SIZE];
        assert_ok(fletch_mpsc_queue_bytes(&options, &bytes, NULL));
        void *memory = aligned_alloc(fletch_mpsc_queue_alignment(), bytes);
        assert_non_null(memory);
        memset(memory, 0xdb, bytes); /* nothing may depend on zeros */
        assert_ok(fletch_mpsc_queue_init(memory, bytes, &options, &queue, NULL));
        for (uint64_t i = 0; i < 3 * capacity; i++) {
            payload_fill(element, SIZE, 0, i);
            assert_answer(fletch_mpsc_queue_try_push(queue, element), FLETCH_DONE);
            assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_DONE);
            assert_true(payload_is(element, SIZE, 0, i));
        }
        fletch_mpsc_queue_deinit(queue, NULL, NULL);
        free(memory);
    }
}

static struct fletch_mpsc_queue *shared_queue(struct shared_memory *memory)
{
    struct fletch_mpsc_queue_options options = mpsc_options(SIZE, 10);
    struct fletch_mpsc_queue *queue;
    size_t bytes;
    options.sharing = FLETCH_SHARING_HOST;
    assert_ok(fletch_mpsc_queue_bytes(&options, &bytes, NULL));
    *memory = shared_memory_map(bytes);
    assert_non_null(memory->first);
    assert_ok(fletch_mpsc_queue_init(memory->first, bytes, &options, &queue, NULL));
    return queue;
}

static void what_is_no_shared_queue_is_not_attached(void **state)
{
    struct fletch_mpsc_queue *found = NULL;
    struct shared_memory memory;
    struct fletch_error error;
    (void)state;
    struct fletch_mpsc_queue *queue = shared_queue(&memory);
    size_t bytes = queue->header.layout.total_bytes;
    uint64_t magic = queue->header.magic;
    assert_ok(fletch_mpsc_queue_attach(memory.second, bytes, &found, NULL));
    found = NULL;

    queue->header.magic = magic ^ 1;
    assert_int_equal(fletch_mpsc_queue_attach(memory.second, bytes, &found, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "no such ring");
    queue->header.magic = magic;

    queue->header.layout_version++;
    assert_int_equal(fletch_mpsc_queue_attach(memory.second, bytes, &found, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "layout version");
    queue->header.layout_version--;

    assert_int_equal(fletch_mpsc_queue_attach(memory.second, bytes - 1, &found, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "bytes, the memory");
    assert_int_not_equal(
        fletch_mpsc_queue_attach(memory.second, sizeof queue->header - 1, &found, &error),
        FLETCH_OK);
    assert_int_not_equal(fletch_mpsc_queue_attach(NULL, bytes, &found, NULL), FLETCH_OK);

    fletch_mpsc_queue_deinit(queue, NULL, NULL);
    assert_int_equal(fletch_mpsc_queue_attach(memory.second, bytes, &found, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_null(found);
    shared_memory_unmap(&memory);
}

static void a_queue_of_one_process_or_of_another_kind_is_not_attached(void **state)
{
    struct fletch_mpsc_queue_options options = mpsc_options(SIZE, 10);
    struct fletch_spsc_ring_options other = spsc_options(FLETCH_RING_DEFAULT, SIZE, 10);
    struct fletch_mpsc_queue *found = NULL;
    struct fletch_error error;
    (void)state;
    struct fletch_mpsc_queue *queue = mpsc_new(&options);
    assert_int_equal(
        fletch_mpsc_queue_attach(queue, queue->header.layout.total_bytes, &found, &error),
        FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "sharing 0, expected 1 (host)");
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
    struct fletch_spsc_ring *ring = spsc_new(&other);
    assert_int_equal(
        fletch_mpsc_queue_attach(ring, ring->header.layout.total_bytes, &found, &error),
        FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "no such ring");
    fletch_spsc_ring_destroy(ring, NULL, NULL);
    assert_null(found);
}

static void a_queue_works_wherever_it_is_mapped(void **state)
{
    struct shared_memory memory;
    struct fletch_mpsc_queue *here = shared_queue(&memory);
    struct fletch_mpsc_queue *there;
    char element[SIZE];
    (void)state;
    assert_ok(fletch_mpsc_queue_attach(memory.second, memory.bytes, &there, NULL));
    assert_ptr_not_equal(here, there);
    for (uint64_t i = 0; i < 100; i++) {
        payload_fill(element, SIZE, 3, i);
        assert_answer(fletch_mpsc_queue_try_push(i % 2 == 0 ? here : there, element), FLETCH_DONE);
        memset(element, 0, SIZE);
        assert_answer(fletch_mpsc_queue_try_pop(there, element), FLETCH_DONE);
        assert_true(payload_is(element, SIZE, 3, i));
    }
    fletch_mpsc_queue_close(here);
    assert_answer(fletch_mpsc_queue_try_pop(there, element), FLETCH_CLOSED);
    fletch_mpsc_queue_deinit(here, NULL, NULL);
    shared_memory_unmap(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_named_with_value_and_limit),
        cmocka_unit_test(no_options_are_refused),
        cmocka_unit_test(the_limits_themselves_are_allowed),
        cmocka_unit_test(a_queue_that_is_too_large_for_memory_is_an_exhausted_resource),
        cmocka_unit_test(memory_comes_from_the_given_allocator_and_goes_back),
        cmocka_unit_test(memory_of_the_caller_must_suffice_and_be_aligned),
        cmocka_unit_test(the_queue_stays_inside_its_memory),
        cmocka_unit_test(what_is_no_shared_queue_is_not_attached),
        cmocka_unit_test(a_queue_of_one_process_or_of_another_kind_is_not_attached),
        cmocka_unit_test(a_queue_works_wherever_it_is_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
