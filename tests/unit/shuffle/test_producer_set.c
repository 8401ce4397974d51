#include <string.h>

#include "shuffle/producer_set.h"
#include "shuffle/registry.h"
#include "support/cmocka_tests.h"
#include "support/shuffles.h"

/* Sets that are held open, and shuffles that are found by hash and in scans. */

static struct fletch_error error;

static struct test_shuffle make_held(uint32_t limit)
{
    const struct shuffle_words words = {
        .partitions = 2, .producer_limit = limit, .hold_open = 1, .delivered_bytes = 0};
    return test_shuffle_make(&words);
}

static void a_held_set_ends_when_it_is_sealed_and_all_have_ended(void **state)
{
    (void)state;
    struct test_shuffle test = make_held(4);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    uint32_t producer = 0;
    assert_int_equal(fletch_producer_set_find_free(test.shuffle, 0), UINT32_MAX);
    for (uint32_t i = 1; i <= 2; i++) {
        assert_ok(fletch_shuffle_add_producer(test.shuffle, &producer, &error));
        assert_int_equal(producer, i);
        assert_int_equal(fletch_producer_set_find_free(test.shuffle, 0), i);
        struct fletch_shuffle_writer *writer = writer_open(&test, producer);
        rows_write(&test, writer, 1000);
        assert_ok(fletch_shuffle_writer_end(writer, 0, &error));
        fletch_shuffle_writer_close(writer);
    }
    assert_int_equal(fletch_producer_set_find_free(test.shuffle, 0), UINT32_MAX);
    events_take(&test, reader);
    struct fletch_exchange_statistics found = shuffle_statistics(&test);
    assert_int_equal(found.producers_open, 0);
    assert_int_equal(found.producers_ended, 2);
    assert_int_equal(found.partitions_ended, 0);
    assert_ok(fletch_shuffle_seal(test.shuffle, &error));
    assert_ok(fletch_shuffle_seal(test.shuffle, &error));
    reader_drain(&test, reader);
    piles_must_agree(&test);
    found = shuffle_statistics(&test);
    assert_int_equal(found.producers_ended, 2);
    assert_int_equal(found.partitions_ended, 2);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void a_held_set_refuses_by_name(void **state)
{
    (void)state;
    struct test_shuffle test = make_held(2);
    struct fletch_shuffle_writer *writer;
    uint32_t producer = 0;
    assert_int_equal(fletch_shuffle_writer_open(test.shuffle, 0, NULL, &writer, &error),
                     FLETCH_ALREADY_EXISTS);
    assert_non_null(strstr(error.message, "holds its set open"));
    assert_ok(fletch_shuffle_add_producer(test.shuffle, &producer, &error));
    assert_int_equal(fletch_shuffle_add_producer(test.shuffle, &producer, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_ok(fletch_shuffle_seal(test.shuffle, &error));
    assert_int_equal(fletch_shuffle_add_producer(test.shuffle, &producer, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, "sealed"));
    fletch_shuffle_cancel(test.shuffle, "enough");
    assert_int_equal(fletch_shuffle_seal(test.shuffle, &error), FLETCH_CANCELLED);
    test_shuffle_end(&test);
}

static void a_fixed_set_is_not_held(void **state)
{
    (void)state;
    const struct shuffle_words words = {.producers = 2};
    struct test_shuffle test = test_shuffle_make(&words);
    uint32_t producer = 0;
    assert_int_equal(fletch_shuffle_add_producer(test.shuffle, &producer, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fletch_shuffle_seal(test.shuffle, &error), FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fletch_producer_set_find_free(test.shuffle, 0), 0);
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    assert_int_equal(fletch_producer_set_find_free(test.shuffle, 0), 1);
    fletch_shuffle_writer_close(writer);
    assert_int_equal(fletch_producer_set_find_free(test.shuffle, 0), 1);
    assert_int_equal(fletch_producer_set_find_free(test.shuffle, 2), UINT32_MAX);
    test_shuffle_end(&test);
}

static struct fletch_shuffle *register_named(struct test_shuffle *test, const char *name)
{
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = 3,
                                                           .method = FLETCH_PARTITION_ROUND_ROBIN};
    const struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                                   .name = name,
                                                   .name_bytes = strlen(name),
                                                   .schema = test->schema,
                                                   .budget_bytes = 1 << 20,
                                                   .partitioner = &partitioner};
    struct fletch_shuffle *shuffle = NULL;
    assert_ok(fletch_shuffle_register(test->transport, &options, &shuffle, &error));
    return shuffle;
}

static void shuffles_are_found_by_hash_and_in_scans(void **state)
{
    (void)state;
    const struct shuffle_words words = {.partitions = 5};
    struct test_shuffle test = test_shuffle_make(&words);
    struct fletch_shuffle *all[3] = {test.shuffle};
    struct fletch_epoch_seat *seat = fletch_transport_borrow_seat(test.transport, &error);
    struct fletch_store_scan scan;
    uint32_t count = 0, seen = 0;
    assert_non_null(seat);
    assert_null(fletch_registry_find_hash(test.transport, seat->reader, 12345, &count));
    assert_int_equal(count, 0);
    test.transport->name_hash_mask = 0; /* all names have one hash */
    all[1] = register_named(&test, "one");
    struct fletch_shuffle *found =
        fletch_registry_find_hash(test.transport, seat->reader, 0, &count);
    assert_ptr_equal(found, all[1]);
    assert_int_equal(count, 1);
    fletch_shuffle_release(found);
    all[2] = register_named(&test, "two");
    found = fletch_registry_find_hash(test.transport, seat->reader, 0, &count);
    assert_int_equal(count, 2);
    fletch_shuffle_release(found);
    fletch_store_scan_start(&scan, NULL);
    while ((found = fletch_registry_next(test.transport, seat->reader, &scan)) != NULL) {
        for (uint32_t i = 0; i < 3; i++)
            seen |= (uint32_t)(found == all[i]) << i;
        count++;
        fletch_shuffle_release(found);
    }
    assert_int_equal(seen, 7);
    assert_int_equal(count, 2 + 3);
    fletch_transport_return_seat(test.transport, seat);
    for (uint32_t i = 1; i < 3; i++) {
        fletch_shuffle_close(all[i]);
        fletch_shuffle_release(all[i]);
    }
    test.transport->name_hash_mask = UINT64_MAX;
    test_shuffle_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_set_ends_when_it_is_sealed_and_all_have_ended),
        cmocka_unit_test(a_held_set_refuses_by_name),
        cmocka_unit_test(a_fixed_set_is_not_held),
        cmocka_unit_test(shuffles_are_found_by_hash_and_in_scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
