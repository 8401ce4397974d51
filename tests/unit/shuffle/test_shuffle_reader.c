#include "shuffle/shuffle_reader.h"

#include <fletching/shuffle_writer.h>

#include <poll.h>
#include <string.h>
#include <time.h>

#include "support/cmocka_tests.h"
#include "support/shuffles.h"
#include "support/team.h"

/* Opening and closing readers, what `next` answers, the descriptor, sources. */

static const uint64_t second_ns = UINT64_C(1000000000);

static void expect_open_refused(struct test_shuffle *test, uint32_t partition,
                                enum fletch_status status, const char *part)
{
    const struct fletch_shuffle_reader_options options = {
        .struct_size = sizeof options, .partitions = &partition, .partition_count = 1};
    struct fletch_shuffle_reader *reader = NULL;
    struct fletch_error error;
    assert_string_equal(
        fletch_status_name(fletch_shuffle_reader_open(test->shuffle, &options, &reader, &error)),
        fletch_status_name(status));
    assert_contains(error.message, part);
    assert_null(reader);
}

/* Writes rows of one producer, and ends it. */
static void write_all(struct test_shuffle *test, uint32_t producer, int64_t rows)
{
    struct fletch_shuffle_writer *writer = writer_open(test, producer);
    rows_write(test, writer, rows);
    assert_ok(fletch_shuffle_writer_end(writer, second_ns, NULL));
    fletch_shuffle_writer_close(writer);
}

/* The next event that is there; the watermark of the end of all producers is passed over. */
static struct fletch_shuffle_event event_next(struct test_shuffle *test,
                                              struct fletch_shuffle_reader *reader)
{
    struct fletch_shuffle_event event;
    struct fletch_error error;
    do {
        if (event_take(test, reader, &event, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
    } while (event.kind == FLETCH_EVENT_WATERMARK && event.watermark == INT64_MAX);
    return event;
}

static void expect_event(struct test_shuffle *test, struct fletch_shuffle_reader *reader,
                         enum fletch_shuffle_event_kind kind, uint32_t partition)
{
    struct fletch_shuffle_event event = event_next(test, reader);
    assert_int_equal(event.kind, kind);
    assert_int_equal(event.partition, partition);
}

/* ---- opening ---- */

static void a_partition_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 4});
    struct fletch_shuffle_reader_options options = {.struct_size = sizeof options};
    const uint32_t twice[] = {1, 2, 1};
    struct fletch_shuffle_reader *reader = NULL;
    struct fletch_error error;
    expect_open_refused(&test, 4, FLETCH_OUT_OF_RANGE, "partition 4 of shuffle 'test'");
    options.partitions = twice;
    assert_int_equal(fletch_shuffle_reader_open(test.shuffle, &options, &reader, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "partition_count is 0, expected 1 to 4");
    options.partition_count = 3;
    assert_int_equal(fletch_shuffle_reader_open(test.shuffle, &options, &reader, &error),
                     FLETCH_ALREADY_EXISTS);
    options.partitions = NULL;
    assert_int_equal(fletch_shuffle_reader_open(test.shuffle, &options, &reader, &error),
                     FLETCH_INVALID_ARGUMENT);
    fletch_shuffle_reader_close(reader_open(&test)); /* what failed left nothing behind */
    test_shuffle_end(&test);
}

static void a_partition_has_one_reader(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 4});
    struct fletch_shuffle_reader *reader = reader_open_one(&test, 2);
    expect_open_refused(&test, 2, FLETCH_ALREADY_EXISTS, "partition 2 of shuffle 'test'");
    struct fletch_shuffle_reader *other = reader_open_one(&test, 1);
    fletch_shuffle_reader_close(reader);
    reader = reader_open_one(&test, 2);
    fletch_shuffle_reader_close(other);
    fletch_shuffle_reader_close(reader);
    fletch_shuffle_reader_close(NULL);
    test_shuffle_end(&test);
}

static void statistics_tell_who_reads(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 4});
    struct fletch_partition_statistics found = {.struct_size = sizeof found};
    struct fletch_shuffle_reader *reader = reader_open_one(&test, 2);
    assert_int_equal(shuffle_statistics(&test).readers_open, 1);
    assert_ok(fletch_shuffle_partition_statistics(test.shuffle, 2, &found, NULL));
    assert_int_equal(found.has_reader, 1);
    fletch_shuffle_reader_close(reader);
    assert_ok(fletch_shuffle_partition_statistics(test.shuffle, 2, &found, NULL));
    assert_int_equal(found.has_reader, 0);
    assert_int_equal(fletch_shuffle_partition_statistics(test.shuffle, 4, &found, NULL),
                     FLETCH_OUT_OF_RANGE);
    assert_int_equal(shuffle_statistics(&test).readers_open, 0);
    test_shuffle_end(&test);
}

/* ---- next ---- */

static void nothing_yet_tells_how_far_producers_are(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.producers = 2});
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_shuffle_event event;
    struct fletch_error error;
    bool has_event;
    assert_int_equal(fletch_shuffle_reader_next(reader, 0, &event, &has_event, &error),
                     FLETCH_DEADLINE_EXCEEDED);
    assert_contains(error.message, "0 of 2 producers have ended, 0 rows were sent");
    write_all(&test, 0, 0);
    assert_int_equal(fletch_shuffle_reader_next(reader, 2000000, &event, &has_event, &error),
                     FLETCH_DEADLINE_EXCEEDED);
    assert_contains(error.message, "in 2 ms: 1 of 2 producers have ended");
    assert_int_equal(shuffle_statistics(&test).reader_waits, 1);
    assert_true(shuffle_statistics(&test).reader_wait_ns >= 2000000);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

/* Each partition's frames in turn, not one partition after the other. */
static void partitions_are_read_in_turn(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 3});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    test.is_placed_freely = true;
    for (uint32_t partition = 0; partition < 3; partition++)
        for (int i = 0; i < 4; i++) {
            struct fletch_batch *batch = batch_make(&test, 5);
            assert_ok(fletch_shuffle_writer_put(writer, partition, batch, 0, NULL));
            fletch_batch_release(test.cache, batch);
        }
    struct fletch_shuffle_reader *reader = reader_open(&test);
    for (int i = 0; i < 4; i++)
        for (uint32_t partition = 0; partition < 3; partition++)
            expect_event(&test, reader, FLETCH_EVENT_BATCH, partition);
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    fletch_shuffle_writer_close(writer);
    for (uint32_t partition = 0; partition < 3; partition++)
        expect_event(&test, reader, FLETCH_EVENT_END, partition);
    struct fletch_shuffle_event event;
    assert_int_equal(event_take(&test, reader, &event, NULL), FLETCH_OUT_OF_RANGE);
    assert_int_equal(event_take(&test, reader, &event, NULL), FLETCH_OUT_OF_RANGE);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void what_a_reader_left_is_read_by_the_next_in_its_order(void **state)
{
    enum { BATCHES = 20 };
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    for (int i = 1; i <= BATCHES; i++) {
        struct fletch_batch *batch = batch_make(&test, i);
        assert_ok(fletch_shuffle_writer_put(writer, 0, batch, 0, NULL));
        fletch_batch_release(test.cache, batch);
    }
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    fletch_shuffle_writer_close(writer);
    struct fletch_shuffle_event event;
    for (int i = 1; i <= BATCHES; i++) {
        struct fletch_shuffle_reader *reader = reader_open(&test);
        event = event_next(&test, reader);
        assert_int_equal(event.rows, i);
        fletch_shuffle_reader_close(reader);
    }
    struct fletch_shuffle_reader *reader = reader_open(&test);
    event = event_next(&test, reader);
    assert_int_equal(event.kind, FLETCH_EVENT_END);
    assert_int_equal(event.rows, BATCHES * (BATCHES + 1) / 2);
    assert_int_equal(event.verified, FLETCH_SUMS_KEYS);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

/* ---- what was delivered ---- */

static void what_is_not_released_stops_next_and_nothing_else(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(
        &(struct shuffle_words){.partitions = 1, .delivered_bytes = 64 << 10, .frame_bytes = 4096});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_batch *held[100];
    struct fletch_shuffle_event event = {.kind = FLETCH_EVENT_BATCH};
    struct fletch_error error;
    size_t count = 0;
    bool has_event = false;
    rows_write(&test, writer, 20000);
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    enum fletch_status status = FLETCH_OK;
    while (count < 100) {
        status = fletch_shuffle_reader_next(reader, 0, &event, &has_event, &error);
        if (status != FLETCH_OK)
            break;
        held[count++] = event.batch;
    }
    assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "RESOURCE_EXHAUSTED: what was read is not released");
    assert_contains(error.message, "delivered");
    assert_true(count > 4);
    assert_int_equal(fletch_shuffle_reader_next(reader, 20000000, &event, &has_event, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    while (count > 0)
        fletch_batch_release(test.cache, held[--count]);
    events_take(&test, reader);
    assert_int_equal(shuffle_statistics(&test).rows_read, 20000);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static struct fletch_batch *to_release;

static void release_later(void *context)
{
    (void)context;
    const struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
    fletch_batch_release(NULL, to_release);
}

static void next_goes_on_when_something_is_released(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(
        &(struct shuffle_words){.partitions = 1, .delivered_bytes = 64 << 10, .frame_bytes = 4096});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_shuffle_event event;
    bool has_event;
    struct team team;
    const struct team_role roles[] = {{release_later, NULL}};
    for (int i = 0; i < 2; i++) {
        struct fletch_batch *batch = batch_make(&test, 2000);
        assert_ok(fletch_shuffle_writer_put(writer, 0, batch, 0, NULL));
        fletch_batch_release(test.cache, batch);
    }
    assert_ok(fletch_shuffle_reader_next(reader, 0, &event, &has_event, NULL));
    to_release = event.batch;
    assert_int_equal(fletch_shuffle_reader_next(reader, 0, &event, &has_event, NULL),
                     FLETCH_RESOURCE_EXHAUSTED);
    team_start(&team, roles, 1);
    assert_ok(fletch_shuffle_reader_next(reader, 10 * second_ns, &event, &has_event, NULL));
    assert_int_equal(event.kind, FLETCH_EVENT_BATCH);
    team_join(&team);
    fletch_batch_release(test.cache, event.batch);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void a_batch_larger_than_all_that_may_be_delivered_goes_alone(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(
        &(struct shuffle_words){.partitions = 1, .delivered_bytes = 4096, .frame_bytes = 4096});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    for (int i = 0; i < 2; i++) {
        struct fletch_batch *batch = batch_make(&test, 10000);
        assert_ok(fletch_shuffle_writer_put(writer, 0, batch, 0, NULL));
        fletch_batch_release(test.cache, batch);
    }
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    assert_int_equal(events_take(&test, reader), 2);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

/* ---- the descriptor ---- */

static void the_descriptor_tells_of_frames(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 2});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    int fd = -1;
    assert_ok(fletch_shuffle_reader_open_fd(reader, &fd, NULL));
    assert_int_equal(events_take(&test, reader), 0);
    assert_true(fletch_shuffle_reader_arm(reader));
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&polled, 1, 0), 0);
    rows_write(&test, writer, 100);
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    assert_int_equal(poll(&polled, 1, 0), 1);
    fletch_shuffle_reader_disarm(reader);
    assert_false(fletch_shuffle_reader_arm(reader)); /* there is something */
    events_take(&test, reader);
    assert_false(fletch_shuffle_reader_arm(reader)); /* nothing will come any more */
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void the_descriptor_tells_of_a_cancel(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 2});
    struct fletch_shuffle_reader *reader = reader_open(&test);
    int fd = -1;
    assert_ok(fletch_shuffle_reader_open_fd(reader, &fd, NULL));
    events_take(&test, reader);
    assert_true(fletch_shuffle_reader_arm(reader));
    fletch_shuffle_cancel(test.shuffle, NULL);
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&polled, 1, 0), 1);
    fletch_shuffle_reader_close(reader); /* armed */
    test_shuffle_end(&test);
}

/* ---- sources ---- */

static void a_source_gives_batches_alone(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_batch_source source;
    struct fletch_batch *batch = NULL;
    uint64_t rows = 0;
    rows_write(&test, writer, 500);
    assert_ok(fletch_shuffle_writer_barrier(writer, 1, 0, NULL));
    assert_ok(fletch_shuffle_writer_watermark(writer, 7, 0, NULL));
    rows_write(&test, writer, 500);
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    fletch_shuffle_writer_close(writer);
    assert_ok(fletch_shuffle_reader_source(reader_open(&test), 0, &source, NULL));
    assert_ptr_equal(source.schema, test.schema);
    do {
        assert_ok(source.next(source.context, &batch, NULL));
        rows += batch == NULL ? 0 : (uint64_t)batch->row_count;
        fletch_batch_release(test.cache, batch);
    } while (batch != NULL);
    assert_int_equal(rows, 1000);
    assert_ok(source.next(source.context, &batch, NULL));
    assert_null(batch);
    source.close(source.context);
    test_shuffle_end(&test);
}

static void a_source_that_has_failed_does_not_end(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_batch_source source;
    struct fletch_batch *batch = NULL;
    struct fletch_error error;
    assert_ok(fletch_shuffle_reader_source(reader_open(&test), 0, &source, NULL));
    assert_int_equal(source.next(source.context, &batch, &error), FLETCH_DEADLINE_EXCEEDED);
    fletch_shuffle_writer_abort(writer, "out of luck");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(source.next(source.context, &batch, &error), FLETCH_UNAVAILABLE);
        assert_contains(error.message, "out of luck");
    }
    source.close(source.context);
    fletch_shuffle_writer_close(writer);
    test_shuffle_end(&test);
}

static void a_source_is_one_partition(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){.partitions = 2});
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_batch_source source;
    struct fletch_error error;
    assert_int_equal(fletch_shuffle_reader_source(reader, 0, &source, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "the reader has 2");
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_that_is_not_there_is_refused),
        cmocka_unit_test(a_partition_has_one_reader),
        cmocka_unit_test(statistics_tell_who_reads),
        cmocka_unit_test(nothing_yet_tells_how_far_producers_are),
        cmocka_unit_test(partitions_are_read_in_turn),
        cmocka_unit_test(what_a_reader_left_is_read_by_the_next_in_its_order),
        cmocka_unit_test(what_is_not_released_stops_next_and_nothing_else),
        cmocka_unit_test(next_goes_on_when_something_is_released),
        cmocka_unit_test(a_batch_larger_than_all_that_may_be_delivered_goes_alone),
        cmocka_unit_test(the_descriptor_tells_of_frames),
        cmocka_unit_test(the_descriptor_tells_of_a_cancel),
        cmocka_unit_test(a_source_gives_batches_alone),
        cmocka_unit_test(a_source_that_has_failed_does_not_end),
        cmocka_unit_test(a_source_is_one_partition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
