#include "sync/spsc_ring.h"

#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/shared_memory.h"

/* Making, finding and ending rings. */

enum { SIZE = 24 };

static void bad_options_are_named_with_value_and_limit(void **state)
{
    struct fletch_spsc_ring_options good = spsc_options(FLETCH_RING_DEFAULT, SIZE, 8);
    struct {
        struct fletch_spsc_ring_options options;
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
    REFUSED(form, (enum fletch_ring_form)3, "ring form 3 is not one of 0 to 2");
    REFUSED(form, (enum fletch_ring_form) - 1, "ring form -1 is not one of 0 to 2");
    REFUSED(sharing, (enum fletch_sharing)2, "sharing 2 is neither 0 (process) nor 1 (host)");
    REFUSED(wait_strategy, (enum fletch_wait_strategy)6, "wait strategy 6 is not one of 0 to 5");
    REFUSED(spin_budget_ns, (uint64_t)UINT32_MAX + 1,
            "spin_budget_ns 4294967296 is above 4294967295");
    REFUSED(struct_size, 0, "options have struct_size 0, expected at least");
#undef REFUSED
    for (size_t i = 0; i < count; i++) {
        struct counting_allocator counting;
        struct fletch_error error;
        struct fletch_spsc_ring *ring = NULL;
        counting_allocator_start(&counting, 0);
        assert_int_equal(
            fletch_spsc_ring_create(&refused[i].options, &counting.allocator, &ring, &error),
            FLETCH_INVALID_ARGUMENT);
        assert_int_equal(error.status, FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, refused[i].message);
        assert_null(ring);
        assert_int_equal(counting.live_bytes, 0);
        assert_int_equal(fletch_spsc_ring_create(&refused[i].options, NULL, &ring, NULL),
                         FLETCH_INVALID_ARGUMENT);
    }
}

static void no_options_are_refused(void **state)
{
    struct fletch_spsc_ring *ring = NULL;
    struct fletch_error error;
    size_t bytes = 1;
    (void)state;
    assert_int_equal(fletch_spsc_ring_create(NULL, NULL, &ring, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "options are NULL");
    assert_int_equal(fletch_spsc_ring_bytes(NULL, &bytes, &error), FLETCH_INVALID_ARGUMENT);
    assert_int_equal(bytes, 1);
}

static void the_limits_themselves_are_allowed(void **state)
{
    size_t bytes;
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring_options options =
            spsc_options(ring_forms[form], FLETCH_ELEMENT_BYTES_MAX, 1);
        fletch_spsc_ring_destroy(spsc_new(&options), NULL, NULL);
        options = spsc_options(ring_forms[form], FLETCH_ELEMENT_BYTES_MIN, 1);
        fletch_spsc_ring_destroy(spsc_new(&options), NULL, NULL);
        options = spsc_options(ring_forms[form], FLETCH_ELEMENT_BYTES_MAX, FLETCH_CAPACITY_MAX);
        assert_ok(fletch_spsc_ring_bytes(&options, &bytes, NULL));
        assert_true(bytes / FLETCH_CAPACITY_MAX >= FLETCH_ELEMENT_BYTES_MAX);
        assert_int_equal(bytes % fletch_spsc_ring_alignment(), 0);
        options.spin_budget_ns = UINT32_MAX;
        assert_ok(fletch_spsc_ring_bytes(&options, &bytes, NULL));
        options.spin_budget_ns = FLETCH_OFF;
        assert_ok(fletch_spsc_ring_bytes(&options, &bytes, NULL));
    }
}

static void a_ring_that_is_too_large_for_memory_is_an_exhausted_resource(void **state)
{
    struct fletch_spsc_ring_options options =
        spsc_options(FLETCH_RING_CURSOR, FLETCH_ELEMENT_BYTES_MAX, FLETCH_CAPACITY_MAX);
    struct counting_allocator counting;
    struct fletch_spsc_ring *ring = NULL;
    struct fletch_error error;
    (void)state;
    counting_allocator_start(&counting, 1); /* asks for 18 TB: does not bother the real one */
    assert_int_equal(fletch_spsc_ring_create(&options, &counting.allocator, &ring, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "no memory for a ring of");
    assert_int_equal(counting.requests, 1);
    assert_null(ring);
}

static void memory_comes_from_the_given_allocator_and_goes_back(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring_options options = spsc_options(ring_forms[form], SIZE, 100);
        struct counting_allocator counting;
        struct fletch_spsc_ring *ring;
        counting_allocator_start(&counting, 0);
        assert_ok(fletch_spsc_ring_create(&options, &counting.allocator, &ring, NULL));
        assert_int_equal((uintptr_t)ring % fletch_spsc_ring_alignment(), 0);
        assert_int_equal(counting.requests, 1);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
        assert_int_equal(counting.live_bytes, 0);
        assert_int_equal(counting.mismatched, 0);
    }
}

static void memory_of_the_caller_must_suffice_and_be_aligned(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring_options options = spsc_options(ring_forms[form], SIZE, 10);
        struct fletch_spsc_ring *ring = NULL;
        struct fletch_error error;
        size_t bytes;
        assert_ok(fletch_spsc_ring_bytes(&options, &bytes, NULL));
        char *memory = aligned_alloc(fletch_spsc_ring_alignment(), bytes + 128);
        assert_non_null(memory);
        assert_int_equal(fletch_spsc_ring_init(NULL, bytes, &options, &ring, &error),
                         FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, "memory is NULL");
        assert_int_equal(fletch_spsc_ring_init(memory, bytes - 1, &options, &ring, &error),
                         FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, "are needed");
        assert_int_equal(fletch_spsc_ring_init(memory + 64, bytes, &options, &ring, &error),
                         FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, "not aligned to 128");
        assert_null(ring);
        assert_ok(fletch_spsc_ring_init(memory, bytes, &options, &ring, NULL));
        assert_ptr_equal(ring, memory);
        fletch_spsc_ring_deinit(ring, NULL, NULL);
        free(memory);
    }
}

/* Memory that is exactly as large as asked for: the sanitizer sees every byte beyond. */
static void the_ring_stays_inside_its_memory(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++)
        for (size_t capacity = 1; capacity < 40; capacity++) {
            struct fletch_spsc_ring_options options =
                spsc_options(ring_forms[form], SIZE, capacity);
            struct fletch_spsc_ring *ring;
            size_t bytes;
            char element[SIZE];
            assert_ok(fletch_spsc_ring_bytes(&options, &bytes, NULL));
            void *memory = aligned_alloc(fletch_spsc_ring_alignment(), bytes);
            assert_non_null(memory);
            memset(memory, 0xdb, bytes); /* nothing may depend on zeros */
            assert_ok(fletch_spsc_ring_init(memory, bytes, &options, &ring, NULL));
            for (uint64_t i = 0; i < 3 * capacity; i++) {
                payload_fill(element, SIZE, 0, i);
                assert_answer(fletch_spsc_ring_try_push(ring, element), FLETCH_DONE);
                assert_answer(fletch_spsc_ring_try_pop(ring, element), FLETCH_DONE);
                assert_true(payload_is(element, SIZE, 0, i));
            }
            fletch_spsc_ring_deinit(ring, NULL, NULL);
            free(memory);
        }
}

static struct fletch_spsc_ring *shared_ring(struct shared_memory *memory,
                                            enum fletch_ring_form form)
{
    struct fletch_spsc_ring_options options = spsc_options(form, SIZE, 10);
    struct fletch_spsc_ring *ring;
    size_t bytes;
    options.sharing = FLETCH_SHARING_HOST;
    assert_ok(fletch_spsc_ring_bytes(&options, &bytes, NULL));
    *memory = shared_memory_map(bytes);
    assert_non_null(memory->first);
    assert_ok(fletch_spsc_ring_init(memory->first, bytes, &options, &ring, NULL));
    return ring;
}

static void what_is_no_shared_ring_is_not_attached(void **state)
{
    struct fletch_spsc_ring *found = NULL;
    struct shared_memory memory;
    struct fletch_error error;
    (void)state;
    struct fletch_spsc_ring *ring = shared_ring(&memory, FLETCH_RING_CURSOR);
    size_t bytes = ring->header.layout.total_bytes;
    uint64_t magic = ring->header.magic;
    assert_ok(fletch_spsc_ring_attach(memory.second, bytes, &found, NULL));
    found = NULL;

    ring->header.magic = magic ^ 1;
    assert_int_equal(fletch_spsc_ring_attach(memory.second, bytes, &found, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "no such ring");
    ring->header.magic = magic;

    ring->header.layout_version++;
    assert_int_equal(fletch_spsc_ring_attach(memory.second, bytes, &found, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "layout version");
    ring->header.layout_version--;

    assert_int_equal(fletch_spsc_ring_attach(memory.second, bytes - 1, &found, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "bytes, the memory");

    assert_int_not_equal(
        fletch_spsc_ring_attach(memory.second, sizeof ring->header - 1, &found, &error), FLETCH_OK);
    assert_int_not_equal(
        fletch_spsc_ring_attach((char *)memory.second + 8, bytes - 8, &found, NULL), FLETCH_OK);
    assert_int_not_equal(fletch_spsc_ring_attach(NULL, bytes, &found, NULL), FLETCH_OK);

    fletch_spsc_ring_deinit(ring, NULL, NULL);
    assert_int_equal(fletch_spsc_ring_attach(memory.second, bytes, &found, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_null(found);
    shared_memory_unmap(&memory);
}

static void a_ring_of_one_process_or_of_another_kind_is_not_attached(void **state)
{
    struct fletch_spsc_ring_options options = spsc_options(FLETCH_RING_DEFAULT, SIZE, 10);
    struct fletch_mpsc_queue_options other = mpsc_options(SIZE, 10);
    struct fletch_spsc_ring *found = NULL;
    struct fletch_error error;
    (void)state;
    struct fletch_spsc_ring *ring = spsc_new(&options);
    assert_int_equal(fletch_spsc_ring_attach(ring, ring->header.layout.total_bytes, &found, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "sharing 0, expected 1 (host)");
    fletch_spsc_ring_destroy(ring, NULL, NULL);
    struct fletch_mpsc_queue *queue = mpsc_new(&other);
    assert_int_equal(
        fletch_spsc_ring_attach(queue, queue->header.layout.total_bytes, &found, &error),
        FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "no such ring");
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
    assert_null(found);
}

static void a_ring_works_wherever_it_is_mapped(void **state)
{
    char element[SIZE];
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct shared_memory memory;
        struct fletch_spsc_ring *here = shared_ring(&memory, ring_forms[form]);
        struct fletch_spsc_ring *there;
        assert_ok(fletch_spsc_ring_attach(memory.second, memory.bytes, &there, NULL));
        assert_ptr_not_equal(here, there);
        for (uint64_t i = 0; i < 100; i++) {
            payload_fill(element, SIZE, 3, i);
            assert_answer(fletch_spsc_ring_try_push(here, element), FLETCH_DONE);
            memset(element, 0, SIZE);
            assert_answer(fletch_spsc_ring_try_pop(there, element), FLETCH_DONE);
            assert_true(payload_is(element, SIZE, 3, i));
        }
        fletch_spsc_ring_close(here);
        assert_answer(fletch_spsc_ring_try_pop(there, element), FLETCH_CLOSED);
        fletch_spsc_ring_deinit(here, NULL, NULL);
        shared_memory_unmap(&memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_named_with_value_and_limit),
        cmocka_unit_test(no_options_are_refused),
        cmocka_unit_test(the_limits_themselves_are_allowed),
        cmocka_unit_test(a_ring_that_is_too_large_for_memory_is_an_exhausted_resource),
        cmocka_unit_test(memory_comes_from_the_given_allocator_and_goes_back),
        cmocka_unit_test(memory_of_the_caller_must_suffice_and_be_aligned),
        cmocka_unit_test(the_ring_stays_inside_its_memory),
        cmocka_unit_test(what_is_no_shared_ring_is_not_attached),
        cmocka_unit_test(a_ring_of_one_process_or_of_another_kind_is_not_attached),
        cmocka_unit_test(a_ring_works_wherever_it_is_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
