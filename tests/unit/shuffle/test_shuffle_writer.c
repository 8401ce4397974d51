#include <fletching/fletching.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "shuffle/shuffle_writer.h"

#include "support/cmocka_tests.h"
#include "support/random_batches.h"
#include "support/schemas.h"
#include "support/shuffles.h"

/* The calls of a writer, on one thread. What holds for rows, sums and memory whatever is written
 * is in test_writer_semantics.c. */

#define MILLISECOND UINT64_C(1000000)

static void end_all(struct test_shuffle *test, struct fletch_shuffle_writer *writer,
                    struct fletch_shuffle_reader *reader)
{
    struct fletch_error error;
    if (fletch_shuffle_writer_end(writer, 0, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    fletch_shuffle_writer_close(writer);
    reader_drain(test, reader);
    fletch_shuffle_reader_close(reader);
    piles_must_agree(test);
}

/* ---- opening ---- */

static void a_producer_is_opened_once(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.producers = 2});
    struct fletch_shuffle_writer *writer = writer_open(&test, 1);
    struct fletch_shuffle_writer *second = NULL;
    struct fletch_error error;
    assert_int_equal(fletch_shuffle_writer_open(test.shuffle, 1, NULL, &second, &error),
                     FLETCH_ALREADY_EXISTS);
    assert_contains(error.message, "ALREADY_EXISTS: producer 1");
    fletch_shuffle_writer_close(writer);
    assert_int_equal(fletch_shuffle_writer_open(test.shuffle, 1, NULL, &second, &error),
                     FLETCH_ALREADY_EXISTS);
    test_shuffle_end(&test);
}

static void an_unknown_producer_is_refused(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.producers = 2});
    struct fletch_shuffle_writer *writer = NULL;
    struct fletch_error error;
    assert_int_equal(fletch_shuffle_writer_open(test.shuffle, 2, NULL, &writer, &error),
                     FLETCH_OUT_OF_RANGE);
    assert_contains(error.message, "producer is 2, expected 0 to 1");
    assert_null(writer);
    test_shuffle_end(&test);
}

static void a_cancelled_shuffle_opens_no_writer(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.producers = 2});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_writer *other = NULL;
    struct fletch_error error;
    rows_write(&test, writer, 100);
    fletch_shuffle_cancel(test.shuffle, "enough");
    assert_int_equal(fletch_shuffle_writer_open(test.shuffle, 1, NULL, &other, &error),
                     FLETCH_CANCELLED);
    assert_contains(error.message, "CANCELLED");
    assert_contains(error.message, "enough");
    assert_int_equal(fletch_shuffle_writer_flush(writer, 0, &error), FLETCH_CANCELLED);
    assert_int_equal(fletch_shuffle_writer_end(writer, 0, &error), FLETCH_CANCELLED);
    fletch_shuffle_writer_close(writer);
    test_shuffle_end(&test);
}

/* ---- writing ---- */

static void what_was_written_is_read(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 7});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    for (int i = 0; i < 20; i++)
        rows_write(&test, writer, 1000);
    end_all(&test, writer, reader);
    assert_int_equal(test.read.rows, 20000);
    test_shuffle_end(&test);
}

static void rows_stay_in_the_writer_until_a_flush(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 2});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    rows_write(&test, writer, 100);
    assert_int_equal(events_take(&test, reader), 0);
    assert_ok(fletch_shuffle_writer_flush(writer, 0, NULL));
    assert_int_equal(events_take(&test, reader), 2);
    piles_must_agree(&test);
    assert_int_equal(shuffle_statistics(&test).rows_written, 100);
    assert_int_equal(shuffle_statistics(&test).rows_sent, 100);
    assert_int_equal(shuffle_statistics(&test).frames_sent, 2);
    end_all(&test, writer, reader);
    test_shuffle_end(&test);
}

static void another_schema_is_refused_by_the_fields_name(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 2});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_schema *other = schema_new("k=l w=i");
    struct fletch_batch *batch = random_batch(&test.random, test.cache, other, 10);
    struct fletch_error error;
    assert_int_equal(fletch_shuffle_writer_write(writer, batch, 0, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "v");
    assert_int_equal(fletch_shuffle_writer_put(writer, 0, batch, 0, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_int_equal(shuffle_statistics(&test).rows_written, 0);
    fletch_batch_release(test.cache, batch);
    fletch_schema_release(other);
    fletch_shuffle_writer_close(writer);
    test_shuffle_end(&test);
}

static void metadata_counts_where_schemas_are_strict(void **state)
{
    (void)state;
    for (uint32_t strict = 0; strict < 2; strict++) {
        struct test_shuffle test =
            test_shuffle_make(&(struct shuffle_words){.partitions = 2, .strict_schema = strict});
        struct fletch_shuffle_writer *writer = writer_open(&test, 0);
        struct fletch_schema *other = schema_new("k=l{unit:m} v=u");
        struct fletch_batch *batch = random_batch(&test.random, test.cache, other, 10);
        assert_int_equal(fletch_shuffle_writer_write(writer, batch, 0, NULL),
                         strict ? FLETCH_INVALID_ARGUMENT : FLETCH_OK);
        assert_int_equal(fletch_shuffle_writer_put(writer, 0, batch, 0, NULL),
                         strict ? FLETCH_INVALID_ARGUMENT : FLETCH_OK);
        fletch_batch_release(test.cache, batch);
        fletch_schema_release(other);
        fletch_shuffle_writer_close(writer);
        test_shuffle_end(&test);
    }
}

/* A shuffle of which nobody reads: 4 KiB frames, little budget. */
static struct test_shuffle make_narrow(uint32_t partitions)
{
    return test_shuffle_make(&(struct shuffle_words){.partitions = partitions,
                                                     .method = FLETCH_PARTITION_ROUND_ROBIN,
                                                     .frame_bytes = 4096,
                                                     .budget_bytes = 256 << 10});
}

static void a_batch_is_taken_only_when_the_last_one_has_gone(void **state)
{
    (void)state;
    struct test_shuffle test = make_narrow(2);
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_batch *batch = batch_make(&test, 2000);
    struct fletch_error error;
    uint64_t taken = 0;
    while (batch_write(&test, writer, batch, &error) == FLETCH_OK)
        taken++;
    assert_true(taken > 0 && taken < 100);
    assert_contains(error.message, "RESOURCE_EXHAUSTED");
    assert_int_equal(shuffle_statistics(&test).rows_written, taken * 2000);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    enum fletch_status status = FLETCH_RESOURCE_EXHAUSTED;
    while (status == FLETCH_RESOURCE_EXHAUSTED) {
        assert_true(events_take(&test, reader) > 0);
        status = batch_write(&test, writer, batch, &error);
    }
    assert_ok(status);
    while (fletch_shuffle_writer_flush(writer, 0, &error) != FLETCH_OK)
        assert_true(events_take(&test, reader) > 0);
    fletch_batch_release(test.cache, batch);
    end_all(&test, writer, reader);
    test_shuffle_end(&test);
}

static void a_slow_partition_does_not_hold_back_the_others(void **state)
{
    (void)state;
    struct test_shuffle test = make_narrow(4);
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open_one(&test, 3);
    struct fletch_batch *batch = batch_make(&test, 500);
    test.is_placed_freely = true;
    while (batch_write(&test, writer, batch, NULL) == FLETCH_OK)
        continue;
    for (int i = 0; i < 100; i++) {
        events_take(&test, reader);
        assert_int_not_equal(fletch_shuffle_writer_flush(writer, 0, NULL), FLETCH_CANCELLED);
    }
    events_take(&test, reader);
    /* Its rows of all that was taken have come, though those of the others wait. */
    assert_int_equal(test.read.rows, test.written.rows / 4);
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

/* ---- waiting ---- */

static void nothing_can_move_is_told_at_once(void **state)
{
    (void)state;
    struct test_shuffle test = make_narrow(2);
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_batch *batch = batch_make(&test, 2000);
    struct fletch_error error;
    uint64_t began_ns = fletch_clock_now_ns();
    enum fletch_status status = FLETCH_OK;
    while (status == FLETCH_OK)
        status = fletch_shuffle_writer_write(writer, batch, FLETCH_DEADLINE_DEFAULT, &error);
    assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
    assert_in_range(fletch_clock_now_ns() - began_ns, 90 * MILLISECOND, 20000 * MILLISECOND);
    assert_contains(error.message, "nothing can move");
    assert_contains(error.message, "partition ");
    assert_contains(error.message, "which has no reader");
    assert_contains(error.message, "budget of 196608 bytes");
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(writer);
    test_shuffle_end(&test);
}

static void a_reader_that_does_not_wait_may_still_move(void **state)
{
    (void)state;
    struct test_shuffle test = make_narrow(2);
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_batch *batch = batch_make(&test, 2000);
    struct fletch_error error;
    enum fletch_status status = FLETCH_OK;
    while (status == FLETCH_OK)
        status = fletch_shuffle_writer_write(writer, batch, 400 * MILLISECOND, &error);
    assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "no credit until the timeout");
    assert_contains(error.message, "whose reader does not take");
    assert_true(shuffle_statistics(&test).credit_waits > 0);
    assert_true(shuffle_statistics(&test).credit_wait_ns > 300 * MILLISECOND);
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void an_armed_descriptor_tells_of_credit(void **state)
{
    (void)state;
    struct test_shuffle test = make_narrow(2);
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_batch *batch = batch_make(&test, 2000);
    int fd = -1;
    assert_ok(fletch_shuffle_writer_open_fd(writer, &fd, NULL));
    while (batch_write(&test, writer, batch, NULL) == FLETCH_OK)
        continue;
    assert_true(fletch_shuffle_writer_arm(writer));
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&polled, 1, 0), 0);
    events_take(&test, reader);
    assert_int_equal(poll(&polled, 1, 0), 1);
    fletch_shuffle_writer_disarm(writer);
    assert_ok(fletch_shuffle_writer_poll(writer, fletch_clock_now_ns(), NULL));
    assert_true(events_take(&test, reader) > 0);
    while (fletch_shuffle_writer_flush(writer, 0, NULL) != FLETCH_OK)
        events_take(&test, reader);
    assert_false(fletch_shuffle_writer_arm(writer)); /* nothing waits */
    fletch_batch_release(test.cache, batch);
    end_all(&test, writer, reader);
    test_shuffle_end(&test);
}

/* ---- batches as they are ---- */

static void a_batch_is_put_by_reference_behind_the_rows_before_it(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_batch *batch = batch_make(&test, 50);
    struct fletch_shuffle_event event;
    struct fletch_error error;
    bool has_event = false;
    uint64_t empty = account_used_bytes(fletch_transport_account(test.transport));
    rows_write(&test, writer, 10);
    assert_int_equal(fletch_shuffle_writer_put(writer, 1, batch, 0, &error), FLETCH_OUT_OF_RANGE);
    assert_contains(error.message, "partition is 1, expected 0 to 0");
    assert_ok(fletch_shuffle_writer_put(writer, 0, batch, 0, &error));
    assert_ok(fletch_shuffle_writer_put(writer, 0, batch, 0, &error));
    /* Nobody was charged for it before. */
    assert_true(account_used_bytes(fletch_transport_account(test.transport)) >=
                empty + 2 * fletch_batch_charge_bytes(batch));
    assert_ok(event_take(&test, reader, &event, &error));
    assert_int_equal(event.rows, 10);
    for (int i = 0; i < 2; i++) {
        assert_ok(fletch_shuffle_reader_next(reader, 0, &event, &has_event, &error));
        assert_int_equal(event.rows, 50);
        assert_ptr_equal(event.batch->spans[1].data, batch->spans[1].data);
        fletch_batch_release(test.cache, event.batch);
    }
    fletch_batch_release(test.cache, batch);
    end_all(&test, writer, reader);
    test_shuffle_end(&test);
}

/* A few rows of many are copied, so that they do not keep the others alive. */
static void a_small_part_of_a_batch_is_put_without_the_rest(void **state)
{
    (void)state;
    enum { ROWS = 100000, FIRST = 777, SOME = 100 };
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_batch *batch = batch_make(&test, ROWS);
    struct fletch_batch *some = batch_slice(test.cache, batch, FIRST, SOME);
    struct fletch_batch *most = batch_slice(test.cache, batch, 0, ROWS - 1);
    struct fletch_shuffle_event event;
    struct fletch_error error;
    bool has_event = false;
    uint64_t empty = account_used_bytes(fletch_transport_account(test.transport));
    assert_ok(fletch_shuffle_writer_put(writer, 0, some, 0, &error));
    assert_in_range(account_used_bytes(fletch_transport_account(test.transport)) - empty, 1, 16384);
    assert_ok(fletch_shuffle_reader_next(reader, 0, &event, &has_event, &error));
    assert_int_equal(event.rows, SOME);
    assert_true(batch_rows_equal(batch, FIRST, event.batch, 0, SOME));
    fletch_batch_release(test.cache, event.batch);
    assert_ok(fletch_shuffle_writer_put(writer, 0, most, 0, &error));
    assert_true(account_used_bytes(fletch_transport_account(test.transport)) - empty > 100000);
    assert_ok(fletch_shuffle_reader_next(reader, 0, &event, &has_event, &error));
    assert_int_equal(event.rows, ROWS - 1);
    fletch_batch_release(test.cache, event.batch);
    fletch_batch_release(test.cache, most);
    fletch_batch_release(test.cache, some);
    fletch_batch_release(test.cache, batch);
    end_all(&test, writer, reader);
    test_shuffle_end(&test);
}

static void a_batch_without_rows_is_put_too(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_batch *batch = batch_make(&test, 0);
    assert_ok(fletch_shuffle_writer_write(writer, batch, 0, NULL));
    assert_ok(fletch_shuffle_writer_put(writer, 0, batch, 0, NULL));
    assert_int_equal(events_take(&test, reader), 1);
    fletch_batch_release(test.cache, batch);
    end_all(&test, writer, reader);
    test_shuffle_end(&test);
}

static void a_batch_of_more_than_64_mib_is_put_in_pieces(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(
        &(struct shuffle_words){.schema = "k=l v=l", .partitions = 1, .budget_bytes = 1 << 30});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_batch *batch = batch_make(&test, 5 << 20); /* 80 MiB */
    assert_ok(fletch_shuffle_writer_put(writer, 0, batch, 0, NULL));
    test.written.rows = 5 << 20;
    test.written.row_sum = fletch_hash_row_sum(batch);
    assert_int_equal(events_take(&test, reader), 2);
    fletch_batch_release(test.cache, batch);
    end_all(&test, writer, reader);
    test_shuffle_end(&test);
}

/* ---- spilling ---- */

static void frames_without_a_reader_are_spilled_at_once(void **state)
{
    (void)state;
    char directory[] = "spill-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct test_shuffle test =
        test_shuffle_make(&(struct shuffle_words){.partitions = 4,
                                                  .frame_bytes = 4096,
                                                  .budget_bytes = 256 << 10,
                                                  .sums = FLETCH_SUMS_ROWS,
                                                  .spill_directory = directory});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    for (int i = 0; i < 60; i++)
        rows_write(&test, writer, 500);
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    fletch_shuffle_writer_close(writer);
    assert_true(shuffle_statistics(&test).frames_spilled > 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    reader_drain(&test, reader);
    fletch_shuffle_reader_close(reader);
    piles_must_agree(&test);
    assert_int_equal(shuffle_statistics(&test).bytes_on_disk, 0);
    test_shuffle_end(&test);
    assert_int_equal(rmdir(directory), 0);
}

/* ---- linger ---- */

static void rows_that_linger_are_sent_by_poll(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(
        &(struct shuffle_words){.partitions = 3, .linger_ns = 1000000 * MILLISECOND});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    rows_write(&test, writer, 100);
    uint64_t now_ns = fletch_clock_now_ns();
    assert_ok(fletch_shuffle_writer_poll(writer, now_ns + 999000 * MILLISECOND, NULL));
    assert_int_equal(events_take(&test, reader), 0);
    assert_ok(fletch_shuffle_writer_poll(writer, now_ns + 1000001 * MILLISECOND, NULL));
    assert_int_equal(events_take(&test, reader), 3);
    piles_must_agree(&test);
    end_all(&test, writer, reader);
    test_shuffle_end(&test);
}

static void rows_that_linger_are_sent_by_the_next_write(void **state)
{
    (void)state;
    struct test_shuffle test =
        test_shuffle_make(&(struct shuffle_words){.partitions = 3, .linger_ns = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    rows_write(&test, writer, 100);
    rows_write(&test, writer, 100);
    events_take(&test, reader);
    piles_must_agree(&test);
    end_all(&test, writer, reader);
    test_shuffle_end(&test);
}

/* ---- control ---- */

static void barrier_ids_increase(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 2});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_shuffle_event event;
    struct fletch_error error;
    assert_int_equal(fletch_shuffle_writer_barrier(writer, 0, 0, &error), FLETCH_INVALID_ARGUMENT);
    assert_ok(fletch_shuffle_writer_barrier(writer, 5, 0, &error));
    assert_ok(fletch_shuffle_writer_barrier(writer, 5, 0, &error));
    assert_int_equal(fletch_shuffle_writer_barrier(writer, 4, 0, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "barrier is 4, expected more than 5");
    for (uint32_t i = 0; i < 2; i++) {
        assert_ok(event_take(&test, reader, &event, &error));
        assert_int_equal(event.kind, FLETCH_EVENT_BARRIER);
        assert_int_equal(event.barrier, 5);
    }
    assert_int_equal(event_take(&test, reader, &event, &error), FLETCH_DEADLINE_EXCEEDED);
    end_all(&test, writer, reader);
    test_shuffle_end(&test);
}

static void a_barrier_waits_while_too_many_are_in_flight(void **state)
{
    (void)state;
    struct test_shuffle test =
        test_shuffle_make(&(struct shuffle_words){.partitions = 1, .barrier_limit = 2});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_shuffle_event event;
    struct fletch_error error;
    assert_ok(fletch_shuffle_writer_barrier(writer, 1, 0, &error));
    assert_ok(fletch_shuffle_writer_barrier(writer, 2, 0, &error));
    assert_int_equal(fletch_shuffle_writer_barrier(writer, 3, 10 * MILLISECOND, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "barrier 3");
    assert_ok(event_take(&test, reader, &event, &error));
    assert_int_equal(event.barrier, 1);
    assert_ok(event_take(&test, reader, &event, &error));
    assert_int_equal(event_take(&test, reader, &event, &error), FLETCH_DEADLINE_EXCEEDED);
    assert_ok(fletch_shuffle_writer_barrier(writer, 3, 0, &error));
    assert_ok(event_take(&test, reader, &event, &error));
    assert_int_equal(event.barrier, 3);
    end_all(&test, writer, reader);
    test_shuffle_end(&test);
}

static void rows_come_before_the_barrier_behind_which_they_are_not(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_shuffle_event event;
    rows_write(&test, writer, 10);
    assert_ok(fletch_shuffle_writer_barrier(writer, 1, 0, NULL));
    rows_write(&test, writer, 20);
    assert_ok(fletch_shuffle_writer_watermark(writer, 42, 0, NULL));
    rows_write(&test, writer, 30);
    assert_ok(fletch_shuffle_writer_idle(writer, 0, NULL));
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    static const enum fletch_shuffle_event_kind order[] = {
        FLETCH_EVENT_BATCH, FLETCH_EVENT_BARRIER, FLETCH_EVENT_BATCH, FLETCH_EVENT_WATERMARK,
        FLETCH_EVENT_BATCH};
    static const uint64_t rows[] = {10, 0, 20, 0, 30};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        assert_ok(event_take(&test, reader, &event, NULL));
        assert_int_equal(event.kind, order[i]);
        if (event.kind == FLETCH_EVENT_BATCH)
            assert_int_equal(event.rows, rows[i]);
    }
    fletch_shuffle_writer_close(writer);
    reader_drain(&test, reader);
    fletch_shuffle_reader_close(reader);
    piles_must_agree(&test);
    test_shuffle_end(&test);
}

static void a_barrier_that_is_given_up_is_not_told(void **state)
{
    (void)state;
    struct test_shuffle test =
        test_shuffle_make(&(struct shuffle_words){.partitions = 1, .producers = 2});
    struct fletch_shuffle_writer *writers[] = {writer_open(&test, 0), writer_open(&test, 1)};
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_shuffle_event event;
    struct fletch_error error;
    assert_int_equal(fletch_shuffle_writer_abort_barrier(writers[0], 1, &error), FLETCH_NOT_FOUND);
    assert_ok(fletch_shuffle_writer_barrier(writers[0], 1, 0, &error));
    rows_write(&test, writers[0], 10);
    assert_ok(fletch_shuffle_writer_flush(writers[0], 0, &error));
    assert_int_equal(event_take(&test, reader, &event, &error), FLETCH_DEADLINE_EXCEEDED);
    assert_ok(fletch_shuffle_writer_abort_barrier(writers[1], 1, &error));
    assert_ok(event_take(&test, reader, &event, &error));
    assert_int_equal(event.kind, FLETCH_EVENT_BATCH);
    assert_ok(fletch_shuffle_writer_end(writers[0], 0, &error));
    fletch_shuffle_writer_close(writers[0]);
    end_all(&test, writers[1], reader);
    test_shuffle_end(&test);
}

static void an_open_set_takes_new_producers(void **state)
{
    (void)state;
    struct test_shuffle test =
        test_shuffle_make(&(struct shuffle_words){.producers = 1, .producer_limit = 2});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_writer *late = NULL;
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_error error;
    uint32_t added = 0;
    assert_int_equal(fletch_shuffle_writer_open(test.shuffle, 1, NULL, &late, &error),
                     FLETCH_OUT_OF_RANGE);
    assert_ok(fletch_shuffle_writer_add_producer(writer, &added, &error));
    assert_int_equal(added, 1);
    assert_int_equal(fletch_shuffle_writer_add_producer(writer, &added, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    late = writer_open(&test, 1);
    rows_write(&test, late, 100);
    assert_ok(fletch_shuffle_writer_end(writer, 0, &error));
    fletch_shuffle_writer_close(writer);
    end_all(&test, late, reader);
    test_shuffle_end(&test);
}

/* ---- ends ---- */

static void expect_lost(struct test_shuffle *test, struct fletch_shuffle_reader *reader,
                        const char *reason)
{
    struct fletch_shuffle_event event;
    struct fletch_error error;
    enum fletch_status status = FLETCH_OK;
    while (status == FLETCH_OK)
        status = event_take(test, reader, &event, &error);
    assert_int_equal(status, FLETCH_UNAVAILABLE);
    assert_contains(error.message, "PRODUCER_LOST");
    assert_contains(error.message, reason);
}

static void after_the_end_nothing_is_taken(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 2});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_batch *batch = batch_make(&test, 10);
    struct fletch_error error;
    assert_ok(fletch_shuffle_writer_end(writer, 0, &error));
    assert_int_equal(fletch_shuffle_writer_write(writer, batch, 0, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "producer 0 has ended");
    assert_int_equal(fletch_shuffle_writer_put(writer, 0, batch, 0, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fletch_shuffle_writer_flush(writer, 0, &error), FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fletch_shuffle_writer_poll(writer, 0, &error), FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fletch_shuffle_writer_barrier(writer, 1, 0, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fletch_shuffle_writer_end(writer, 0, &error), FLETCH_FAILED_PRECONDITION);
    assert_false(fletch_shuffle_writer_arm(writer));
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(writer);
    reader_drain(&test, reader);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void a_writer_closed_without_end_is_lost(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    rows_write(&test, writer, 100);
    assert_ok(fletch_shuffle_writer_flush(writer, 0, NULL));
    fletch_shuffle_writer_close(writer);
    expect_lost(&test, reader, "closed without end");
    piles_must_agree(&test);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void an_abort_drops_what_waits_and_is_idempotent(void **state)
{
    (void)state;
    struct test_shuffle test = make_narrow(1);
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_batch *batch = batch_make(&test, 2000);
    while (batch_write(&test, writer, batch, NULL) == FLETCH_OK)
        continue;
    fletch_shuffle_writer_abort(writer, "the disk is on fire");
    fletch_shuffle_writer_abort(writer, "again");
    assert_int_equal(batch_write(&test, writer, batch, NULL), FLETCH_FAILED_PRECONDITION);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    expect_lost(&test, reader, "the disk is on fire");
    assert_true(test.read.rows < test.written.rows);
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void a_writer_whose_sums_differ_is_aborted(void **state)
{
    (void)state;
    for (int what = 0; what < 3; what++) {
        struct test_shuffle test =
            test_shuffle_make(&(struct shuffle_words){.partitions = 2, .sums = FLETCH_SUMS_ROWS});
        struct fletch_shuffle_writer *writer = writer_open(&test, 0);
        struct fletch_shuffle_reader *reader = reader_open(&test);
        struct fletch_error error;
        rows_write(&test, writer, 100);
        writer->taken.rows += what == 0;
        writer->taken.key_sum += what == 1;
        writer->taken.row_sum += what == 2;
        assert_int_equal(fletch_shuffle_writer_end(writer, 0, &error), FLETCH_DATA_LOSS);
        assert_contains(error.message, "DATA_LOSS");
        assert_contains(error.message, what == 0   ? "rows of producer 0"
                                       : what == 1 ? "sums of key hashes of producer 0"
                                                   : "sums of row hashes of producer 0");
        expect_lost(&test, reader, "sums differ");
        fletch_shuffle_writer_close(writer);
        fletch_shuffle_reader_close(reader);
        test_shuffle_end(&test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_producer_is_opened_once),
        cmocka_unit_test(an_unknown_producer_is_refused),
        cmocka_unit_test(a_cancelled_shuffle_opens_no_writer),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(rows_stay_in_the_writer_until_a_flush),
        cmocka_unit_test(another_schema_is_refused_by_the_fields_name),
        cmocka_unit_test(metadata_counts_where_schemas_are_strict),
        cmocka_unit_test(a_batch_is_taken_only_when_the_last_one_has_gone),
        cmocka_unit_test(a_slow_partition_does_not_hold_back_the_others),
        cmocka_unit_test(nothing_can_move_is_told_at_once),
        cmocka_unit_test(a_reader_that_does_not_wait_may_still_move),
        cmocka_unit_test(an_armed_descriptor_tells_of_credit),
        cmocka_unit_test(a_batch_is_put_by_reference_behind_the_rows_before_it),
        cmocka_unit_test(a_small_part_of_a_batch_is_put_without_the_rest),
        cmocka_unit_test(a_batch_without_rows_is_put_too),
        cmocka_unit_test(a_batch_of_more_than_64_mib_is_put_in_pieces),
        cmocka_unit_test(frames_without_a_reader_are_spilled_at_once),
        cmocka_unit_test(rows_that_linger_are_sent_by_poll),
        cmocka_unit_test(rows_that_linger_are_sent_by_the_next_write),
        cmocka_unit_test(barrier_ids_increase),
        cmocka_unit_test(a_barrier_waits_while_too_many_are_in_flight),
        cmocka_unit_test(rows_come_before_the_barrier_behind_which_they_are_not),
        cmocka_unit_test(a_barrier_that_is_given_up_is_not_told),
        cmocka_unit_test(an_open_set_takes_new_producers),
        cmocka_unit_test(after_the_end_nothing_is_taken),
        cmocka_unit_test(a_writer_closed_without_end_is_lost),
        cmocka_unit_test(an_abort_drops_what_waits_and_is_idempotent),
        cmocka_unit_test(a_writer_whose_sums_differ_is_aborted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
