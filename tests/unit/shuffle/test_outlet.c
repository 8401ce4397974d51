#include <fletching/fletching.h>

#include <string.h>

#include "shuffle/shuffle.h"
#include "support/cmocka_tests.h"
#include "support/ferry.h"
#include "support/team.h"
#include "support/test_disk.h"

/* Replicas of one shuffle in several processes: what writers and readers of one process are
 * promised, those of several are too. */

enum { FRAME = 4096 };

static struct ferry ferry;

static struct fletch_shuffle_writer *writer_at(uint32_t process, uint32_t producer)
{
    return writer_open(&ferry.processes[process].test, producer);
}

static struct fletch_shuffle_reader *reader_at(uint32_t process)
{
    return reader_open(&ferry.processes[process].test);
}

static void write_at(uint32_t process, struct fletch_shuffle_writer *writer, int64_t rows)
{
    rows_write(&ferry.processes[process].test, writer, rows);
    assert_ok(fletch_shuffle_writer_flush(writer, 0, NULL));
}

/* Ends it with everything accepted, and closes it. */
static void finish(struct fletch_shuffle_writer *writer)
{
    ferry_end_writer(&ferry, writer);
    fletch_shuffle_writer_close(writer);
}

static void drain_at(uint32_t process, struct fletch_shuffle_reader *reader)
{
    struct fletch_shuffle_event event;
    struct fletch_error error;
    enum fletch_status status;
    while ((status = event_take(&ferry.processes[process].test, reader, &event, &error)) ==
           FLETCH_OK)
        ferry_go(&ferry);
    if (status != FLETCH_OUT_OF_RANGE)
        fail_msg("%s", error.message);
    fletch_shuffle_reader_close(reader);
}

static void all_rows_must_have_come(void)
{
    struct row_pile written = {0}, read = {0};
    for (uint32_t i = 0; i < ferry.process_count; i++) {
        const struct test_shuffle *test = &ferry.processes[i].test;
        written.rows += test->written.rows;
        written.row_sum += test->written.row_sum;
        read.rows += test->read.rows;
        read.row_sum += test->read.row_sum;
    }
    assert_int_equal(read.rows, written.rows);
    assert_int_equal(read.row_sum, written.row_sum);
}

/* Nothing is left of what went from one to another. */
static void all_must_be_zero(void)
{
    for (uint32_t i = 0; i < ferry.process_count; i++) {
        struct test_shuffle *test = &ferry.processes[i].test;
        struct fletch_exchange_statistics statistics = shuffle_statistics(test);
        assert_int_equal(statistics.bytes_queued, 0);
        assert_int_equal(statistics.bytes_on_disk, 0);
        assert_int_equal(statistics.bytes_charged, 0);
        assert_true(fletch_credit_pool_is_whole(&test->shuffle->credit_pool));
        for (uint32_t p = 0; p < test->partitions; p++)
            assert_true(fletch_credit_is_whole(&test->shuffle->partitions[p].credit));
        assert_int_equal(load_relaxed(&test->shuffle->written.frames_outside), 0);
    }
}

static void rows_of_two_processes_reach_the_partitions_of_both(void **state)
{
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.producers = 2, .sums = FLETCH_SUMS_ROWS}, 2, NULL);
    struct fletch_shuffle_writer *first = writer_at(0, 0), *second = writer_at(1, 1);
    struct fletch_shuffle_reader *left = reader_at(0), *right = reader_at(1);
    for (int i = 0; i < 20; i++) {
        write_at(0, first, 500);
        write_at(1, second, 300);
        ferry_go(&ferry);
    }
    finish(first);
    finish(second);
    drain_at(0, left);
    drain_at(1, right);
    assert_true(ferry.frames > 0);
    all_rows_must_have_come();
    struct fletch_exchange_statistics statistics = shuffle_statistics(&ferry.processes[0].test);
    assert_int_equal(statistics.rows_written, 10000);
    assert_true(statistics.rows_accepted > 0 && statistics.rows_accepted < 10000);
    all_must_be_zero();
    ferry_end(&ferry);
}

/* The next event of a partition's reader that is no batch. */
static struct fletch_shuffle_event next_control(uint32_t process,
                                                struct fletch_shuffle_reader *reader)
{
    struct fletch_shuffle_event event;
    struct fletch_error error;
    do {
        if (event_take(&ferry.processes[process].test, reader, &event, &error) != FLETCH_OK)
            fail_msg("nothing came");
    } while (event.kind == FLETCH_EVENT_BATCH);
    return event;
}

static void a_barrier_aligns_the_producers_of_all_processes(void **state)
{
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.producers = 2, .partitions = 2}, 2, NULL);
    struct fletch_shuffle_writer *first = writer_at(0, 0), *second = writer_at(1, 1);
    struct fletch_shuffle_reader *left = reader_at(0), *right = reader_at(1);
    write_at(0, first, 100);
    assert_int_equal(fletch_shuffle_writer_barrier(first, 1, 0, NULL), FLETCH_DEADLINE_EXCEEDED);
    ferry_go(&ferry);
    assert_ok(fletch_shuffle_writer_barrier(first, 1, 0, NULL));
    write_at(0, first, 100); /* behind it: held in both processes */
    write_at(1, second, 50);
    ferry_go(&ferry);
    (void)events_take(&ferry.processes[0].test, left);
    (void)events_take(&ferry.processes[1].test, right);
    assert_int_equal(ferry.processes[0].test.read.rows + ferry.processes[1].test.read.rows, 150);
    assert_int_equal(fletch_shuffle_writer_barrier(second, 1, 0, NULL), FLETCH_DEADLINE_EXCEEDED);
    ferry_go(&ferry);
    assert_ok(fletch_shuffle_writer_barrier(second, 1, 0, NULL));
    assert_int_equal(next_control(0, left).barrier, 1);
    assert_int_equal(next_control(1, right).barrier, 1);
    assert_int_equal(ferry.processes[0].test.read.rows + ferry.processes[1].test.read.rows, 150);
    finish(first);
    finish(second);
    drain_at(0, left);
    drain_at(1, right);
    all_rows_must_have_come();
    all_must_be_zero();
    ferry_end(&ferry);
}

static void control_comes_out_between_the_frames_that_it_was_sent_between(void **state)
{
    struct fletch_outlet_item item;
    uint64_t barrier = 0, frames[3] = {0};
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.partitions = 2}, 2, NULL);
    struct fletch_shuffle_writer *writer = writer_at(0, 0);
    for (uint64_t id = 1; id <= 2; id++) {
        write_at(0, writer, 100);
        assert_int_equal(fletch_shuffle_writer_barrier(writer, id, 0, NULL),
                         FLETCH_DEADLINE_EXCEEDED);
    }
    write_at(0, writer, 100);
    for (;;) {
        fletch_outlet_take(ferry.links[0].outlet, &item);
        if (item.kind == FLETCH_OUTLET_NOTHING)
            break;
        ferry.links[0].items[ferry.links[0].item_count++] = item;
        if (item.kind == FLETCH_OUTLET_CONTROL) {
            assert_int_equal(item.control->record.barrier, ++barrier);
            assert_int_equal(item.control->record.sequence, barrier);
        } else {
            assert_int_equal(item.frame->barrier, barrier);
            frames[barrier]++;
        }
    }
    assert_int_equal(barrier, 2);
    assert_true(frames[0] > 0 && frames[1] > 0 && frames[2] > 0);
    struct fletch_shuffle_reader *left = reader_at(0), *right = reader_at(1);
    ferry_go(&ferry);
    assert_ok(fletch_shuffle_writer_barrier(writer, 2, 0, NULL));
    finish(writer);
    drain_at(0, left);
    drain_at(1, right);
    all_rows_must_have_come();
    all_must_be_zero();
    ferry_end(&ferry);
}

static void a_watermark_is_the_least_of_all_processes(void **state)
{
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.producers = 2, .partitions = 2}, 2, NULL);
    struct fletch_shuffle_writer *first = writer_at(0, 0), *second = writer_at(1, 1);
    struct fletch_shuffle_reader *right = reader_at(1);
    struct fletch_shuffle_event event;
    assert_int_equal(fletch_shuffle_writer_watermark(first, 30, 0, NULL), FLETCH_DEADLINE_EXCEEDED);
    ferry_go(&ferry);
    assert_ok(fletch_shuffle_writer_watermark(first, 30, 0, NULL)); /* the same call, answered */
    assert_int_equal(event_take(&ferry.processes[1].test, right, &event, NULL),
                     FLETCH_DEADLINE_EXCEEDED);
    assert_int_equal(fletch_shuffle_writer_watermark(second, 20, 0, NULL),
                     FLETCH_DEADLINE_EXCEEDED);
    ferry_go(&ferry);
    event = next_control(1, right);
    assert_int_equal(event.kind, FLETCH_EVENT_WATERMARK);
    assert_int_equal(event.watermark, 20);
    assert_int_equal(fletch_shuffle_writer_idle(second, 0, NULL), FLETCH_DEADLINE_EXCEEDED);
    ferry_go(&ferry);
    assert_int_equal(next_control(1, right).watermark, 30);
    fletch_shuffle_reader_close(right);
    finish(first);
    finish(second);
    ferry_end(&ferry);
}

/* ---- what fails ---- */

static enum fletch_status end_of(struct fletch_shuffle_writer *writer, struct fletch_error *error)
{
    assert_int_equal(fletch_shuffle_writer_end(writer, 0, NULL), FLETCH_DEADLINE_EXCEEDED);
    ferry_go(&ferry);
    return fletch_shuffle_writer_end(writer, 0, error);
}

/* Reads on until there is no more, or what there is fails. */
static enum fletch_status read_on(uint32_t process, struct fletch_shuffle_reader *reader,
                                  struct fletch_error *error)
{
    struct fletch_shuffle_event event;
    enum fletch_status status;
    do {
        status = event_take(&ferry.processes[process].test, reader, &event, error);
    } while (status == FLETCH_OK);
    return status;
}

static void forge_rows(struct fletch_inlet_frame *frame)
{
    frame->rows++;
}

static void an_end_with_other_totals_is_a_loss_for_both(void **state)
{
    struct fletch_error error;
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.partitions = 2}, 2, NULL);
    struct fletch_shuffle_writer *writer = writer_at(0, 0);
    struct fletch_shuffle_reader *left = reader_at(0), *reader = reader_at(1);
    write_at(0, writer, 100);
    ferry.forge = forge_rows;
    assert_int_equal(end_of(writer, &error), FLETCH_DATA_LOSS);
    assert_int_equal(read_on(0, left, &error), FLETCH_UNAVAILABLE);
    fletch_shuffle_reader_close(left);
    assert_non_null(strstr(error.message, "producer 0 was aborted: DATA_LOSS: partition 1 of "));
    assert_int_equal(read_on(1, reader, &error), FLETCH_UNAVAILABLE);
    assert_non_null(strstr(error.message, "PRODUCER_LOST"));
    fletch_shuffle_reader_close(reader);
    fletch_shuffle_writer_close(writer);
    ferry_go(&ferry);
    all_must_be_zero();
    ferry_end(&ferry);
}

/* As one that was damaged on its way. */
static void forge_key_sum(struct fletch_inlet_frame *frame)
{
    frame->key_sum ^= 1;
}

static void forge_total(struct fletch_control_record *record)
{
    if (record->kind == FLETCH_CONTROL_END && record->channel_count > 0)
        ((struct fletch_channel_record *)(uintptr_t)record->channels)[0].totals.key_sum ^= 1;
}

static void a_reader_counts_for_itself(void **state)
{
    struct fletch_error error;
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.partitions = 2, .frame_bytes = 1 << 20}, 2, NULL);
    struct fletch_shuffle_writer *writer = writer_at(0, 0);
    struct fletch_shuffle_reader *reader = reader_at(1);
    ferry.forge = forge_key_sum;
    ferry.forge_control = forge_total;
    write_at(0, writer, 100);
    assert_ok(end_of(writer, &error)); /* both sides of the way say the same */
    assert_int_equal(read_on(1, reader, &error), FLETCH_DATA_LOSS);
    assert_non_null(strstr(error.message, "the sum of keys"));
    fletch_shuffle_reader_close(reader);
    fletch_shuffle_writer_close(writer);
    ferry_end(&ferry);
}

static void an_abort_is_told_in_every_process(void **state)
{
    struct fletch_error error;
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.producers = 2}, 2, NULL);
    struct fletch_shuffle_writer *writer = writer_at(0, 0), *other = writer_at(1, 1);
    struct fletch_shuffle_reader *left = reader_at(0), *right = reader_at(1);
    write_at(0, writer, 100);
    fletch_shuffle_writer_abort(writer, "tired");
    ferry_go(&ferry);
    assert_int_equal(read_on(0, left, &error), FLETCH_UNAVAILABLE);
    assert_int_equal(read_on(1, right, &error), FLETCH_UNAVAILABLE);
    assert_non_null(strstr(error.message, "producer 0 was aborted: tired"));
    assert_int_equal(ferry.processes[1].test.read.rows + ferry.processes[0].test.read.rows, 100);
    /* Who writes in the other process hears of it when he writes on. */
    struct fletch_batch *batch = batch_make(&ferry.processes[1].test, 100);
    enum fletch_status status = FLETCH_OK;
    for (int i = 0; i < 3 && status == FLETCH_OK; i++) {
        status = fletch_shuffle_writer_write(other, batch, 0, &error);
        if (status == FLETCH_OK)
            status = fletch_shuffle_writer_flush(other, 0, &error);
    }
    assert_int_equal(status, FLETCH_UNAVAILABLE);
    fletch_batch_release(ferry.processes[1].test.cache, batch);
    fletch_shuffle_reader_close(left);
    fletch_shuffle_reader_close(right);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_writer_close(other);
    ferry_go(&ferry);
    all_must_be_zero();
    ferry_end(&ferry);
}

static void a_cancel_is_heard_on_the_other_side(void **state)
{
    struct fletch_error error;
    (void)state;
    for (uint32_t by = 0; by < 2; by++) {
        ferry_open(&ferry, &(struct shuffle_words){.producers = 2}, 2, NULL);
        struct fletch_shuffle_writer *writer = writer_at(0, 0);
        struct fletch_shuffle_reader *reader = reader_at(1);
        write_at(0, writer, 1000);
        ferry.is_stopped = true;
        ferry_go(&ferry);
        ferry.is_stopped = false;
        fletch_shuffle_cancel(ferry.processes[by].test.shuffle, "enough");
        ferry_go(&ferry);
        assert_int_equal(fletch_shuffle_writer_flush(writer, 0, &error), FLETCH_CANCELLED);
        assert_non_null(strstr(error.message, "enough"));
        assert_int_equal(read_on(1, reader, &error), FLETCH_CANCELLED);
        assert_non_null(strstr(error.message, "enough"));
        fletch_shuffle_reader_close(reader);
        fletch_shuffle_writer_close(writer);
        ferry_end(&ferry);
    }
}

static void what_the_other_side_refuses_its_writers_hear(void **state)
{
    struct fletch_error error;
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.partitions = 4}, 2, NULL);
    struct fletch_shuffle_writer *writer = writer_at(0, 0);
    write_at(0, writer, 100);
    ferry.is_stopped = true;
    ferry_go(&ferry);
    fletch_outlet_fail(ferry.links[0].outlet, FLETCH_ALL_PARTITIONS, FLETCH_UNAVAILABLE,
                       "LOST: server incarnation 7");
    ferry.links[0].item_count = 0;
    assert_true(fletch_outlet_is_done(ferry.links[0].outlet));
    struct fletch_batch *batch = batch_make(&ferry.processes[0].test, 100);
    assert_ok(fletch_shuffle_writer_write(writer, batch, 0, NULL));
    assert_int_equal(fletch_shuffle_writer_flush(writer, 0, &error), FLETCH_UNAVAILABLE);
    assert_string_equal(error.message, "LOST: server incarnation 7");
    assert_int_equal(fletch_shuffle_writer_end(writer, 0, &error), FLETCH_UNAVAILABLE);
    fletch_batch_release(ferry.processes[0].test.cache, batch);
    fletch_shuffle_writer_close(writer);
    /* The local partitions of the same process were told that it was aborted. */
    struct fletch_shuffle_reader *reader = reader_at(0);
    assert_int_equal(read_on(0, reader, &error), FLETCH_UNAVAILABLE);
    fletch_shuffle_reader_close(reader);
    all_must_be_zero();
    ferry_end(&ferry);
}

static void an_end_that_waits_hears_that_the_other_side_is_lost(void **state)
{
    struct fletch_error error;
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.partitions = 2}, 2, NULL);
    struct fletch_shuffle_writer *writer = writer_at(0, 0);
    ferry.is_stopped = true;
    assert_int_equal(fletch_shuffle_writer_end(writer, 1000, &error), FLETCH_DEADLINE_EXCEEDED);
    assert_int_equal(fletch_shuffle_writer_flush(writer, 0, &error), FLETCH_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, "is ending"));
    fletch_outlet_fail(ferry.links[0].outlet, FLETCH_ALL_PARTITIONS, FLETCH_UNAVAILABLE, "LOST: x");
    assert_int_equal(fletch_shuffle_writer_end(writer, 0, &error), FLETCH_UNAVAILABLE);
    assert_string_equal(error.message, "LOST: x");
    fletch_shuffle_writer_close(writer);
    ferry_end(&ferry);
}

/* Nothing is under way by then, and the session that was lost has gone. */
static void an_end_hears_of_a_loss_that_was_long_ago(void **state)
{
    struct fletch_error error;
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.partitions = 2}, 2, NULL);
    struct fletch_shuffle_writer *writer = writer_at(0, 0);
    ferry.is_stopped = true;
    fletch_outlet_fail(ferry.links[0].outlet, FLETCH_ALL_PARTITIONS, FLETCH_UNAVAILABLE, "LOST: x");
    fletch_outlet_close(ferry.links[0].outlet);
    ferry.links[0].outlet = NULL;
    assert_int_equal(fletch_shuffle_writer_end(writer, 0, &error), FLETCH_UNAVAILABLE);
    assert_string_equal(error.message, "LOST: x");
    fletch_shuffle_writer_close(writer);
    ferry_end(&ferry);
}

/* ---- memory ---- */

static void what_is_not_accepted_holds_its_credit(void **state)
{
    struct fletch_error error;
    (void)state;
    ferry_open(
        &ferry,
        &(struct shuffle_words){.partitions = 2, .frame_bytes = FRAME, .budget_bytes = 1 << 18}, 2,
        NULL);
    struct test_shuffle *test = &ferry.processes[0].test;
    struct fletch_shuffle_writer *writer = writer_at(0, 0);
    struct fletch_shuffle_reader *left = reader_at(0), *right = reader_at(1);
    struct fletch_batch *batch = batch_make(test, 500);
    enum fletch_status status = FLETCH_OK;
    uint64_t before = ferry.frames;
    ferry.is_stopped = true;
    for (int i = 0; i < 1000 && status == FLETCH_OK; i++) {
        status = batch_write(test, writer, batch, &error);
        ferry_go(&ferry);
        (void)events_take(test, left);
    }
    assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.message, "no credit until the timeout"));
    assert_true(shuffle_statistics(test).bytes_charged <= 1 << 18);
    /* Nobody here can move, but the other side can: the deadline is waited for. */
    uint64_t began_ns = fletch_shuffle_now_ns(test->shuffle);
    assert_int_equal(fletch_shuffle_writer_flush(writer, 400000000, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_true(fletch_shuffle_now_ns(test->shuffle) - began_ns >= 400000000);
    ferry.is_stopped = false;
    while (fletch_shuffle_writer_flush(writer, 0, &error) != FLETCH_OK) {
        ferry_go(&ferry);
        (void)events_take(test, left);
        (void)events_take(&ferry.processes[1].test, right);
    }
    assert_true(ferry.frames > before);
    fletch_batch_release(test->cache, batch);
    for (int i = 0; i < 100; i++) {
        ferry_go(&ferry);
        (void)events_take(&ferry.processes[1].test, right);
    }
    finish(writer);
    drain_at(0, left);
    drain_at(1, right);
    all_rows_must_have_come();
    all_must_be_zero();
    ferry_end(&ferry);
}

static void where_nothing_is_outside_it_is_still_seen_that_nothing_can_move(void **state)
{
    struct fletch_error error;
    (void)state;
    ferry_open(&ferry,
               &(struct shuffle_words){.partitions = 2,
                                       .frame_bytes = FRAME,
                                       .budget_bytes = 1 << 18,
                                       .spill_after_ns = 1000000},
               2, NULL);
    struct test_shuffle *test = &ferry.processes[0].test;
    struct fletch_shuffle_writer *writer = writer_at(0, 0);
    struct fletch_batch *batch = batch_make(test, 500);
    enum fletch_status status = FLETCH_OK;
    ferry_go(&ferry); /* each outlet has looked into its partitions */
    for (int i = 0; i < 1000 && status == FLETCH_OK; i++)
        status = fletch_shuffle_writer_put(writer, 0, batch, UINT64_C(60000000000), &error);
    assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.message, "nothing can move"));
    fletch_batch_release(test->cache, batch);
    fletch_shuffle_writer_close(writer);
    ferry_end(&ferry);
}

static void spilled_frames_are_let_out_in_their_order(void **state)
{
    struct test_disk disk;
    (void)state;
    test_disk_make(&disk);
    ferry_open(&ferry,
               &(struct shuffle_words){.partitions = 2,
                                       .frame_bytes = FRAME,
                                       .budget_bytes = 1 << 20,
                                       .spill_after_ns = 1,
                                       .sums = FLETCH_SUMS_ROWS,
                                       .spill_directory = disk.path},
               2, NULL);
    struct test_shuffle *test = &ferry.processes[0].test;
    struct fletch_shuffle_writer *writer = writer_at(0, 0);
    struct fletch_shuffle_reader *left = reader_at(0), *right = reader_at(1);
    struct fletch_batch *batch = batch_make(test, 2000);
    ferry.is_stopped = true;
    for (int i = 0; i < 100; i++) {
        assert_ok(fletch_shuffle_writer_write(writer, batch, UINT64_MAX, NULL));
        test->written.rows += 2000;
        test->written.row_sum += fletch_hash_row_sum(batch);
        (void)events_take(test, left);
    }
    assert_true(shuffle_statistics(test).frames_spilled > 0);
    ferry.is_stopped = false;
    while (fletch_shuffle_writer_flush(writer, 1000000, NULL) != FLETCH_OK) {
        ferry_go(&ferry);
        (void)events_take(test, left);
        (void)events_take(&ferry.processes[1].test, right);
    }
    for (int i = 0; i < 400; i++) {
        ferry_go(&ferry);
        (void)events_take(test, left);
        (void)events_take(&ferry.processes[1].test, right);
    }
    fletch_batch_release(test->cache, batch);
    finish(writer);
    drain_at(0, left);
    drain_at(1, right);
    all_rows_must_have_come();
    all_must_be_zero();
    ferry_end(&ferry);
    test_disk_end(&disk);
}

/* ---- pull ---- */

static const uint32_t homes[] = {0, 1};

static void pulled_rows_stay_until_a_reader_comes(void **state)
{
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.producers = 2, .sums = FLETCH_SUMS_ROWS}, 3, homes);
    struct fletch_shuffle_writer *first = writer_at(0, 0), *second = writer_at(1, 1);
    write_at(0, first, 1000);
    write_at(1, second, 500);
    assert_ok(fletch_shuffle_writer_end(first, 0, NULL)); /* nobody is there to be waited for */
    fletch_shuffle_writer_close(first);
    ferry_go(&ferry);
    assert_int_equal(ferry.frames, 0);
    /* Each partition is another process's, one of them a producer's; one comes late. */
    struct fletch_shuffle_reader *zero = reader_open_one(&ferry.processes[2].test, 0);
    struct fletch_shuffle_reader *one = reader_open_one(&ferry.processes[0].test, 1);
    struct fletch_shuffle_reader *two = reader_open_one(&ferry.processes[2].test, 2);
    ferry_go(&ferry);
    (void)events_take(&ferry.processes[2].test, zero);
    write_at(1, second, 300);
    finish(second);
    struct fletch_shuffle_reader *three = reader_open_one(&ferry.processes[1].test, 3);
    ferry_go(&ferry);
    drain_at(2, zero);
    drain_at(0, one);
    drain_at(2, two);
    drain_at(1, three);
    all_rows_must_have_come();
    all_must_be_zero();
    ferry_end(&ferry);
}

static void pulled_partitions_know_ends_and_aborts_alone(void **state)
{
    struct fletch_error error;
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.producers = 2}, 2, homes);
    struct fletch_shuffle_writer *writer = writer_at(0, 0);
    assert_int_equal(fletch_shuffle_writer_barrier(writer, 1, 0, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, "a barrier of producer 0"));
    assert_int_equal(fletch_shuffle_writer_watermark(writer, 1, 0, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fletch_shuffle_writer_idle(writer, 0, &error), FLETCH_FAILED_PRECONDITION);
    write_at(0, writer, 100);
    fletch_shuffle_writer_abort(writer, "tired");
    fletch_shuffle_writer_close(writer);
    struct fletch_shuffle_reader *reader = reader_open_one(&ferry.processes[1].test, 0);
    ferry_go(&ferry);
    assert_int_equal(read_on(1, reader, &error), FLETCH_UNAVAILABLE);
    assert_non_null(strstr(error.message, "producer 0 was aborted: tired"));
    fletch_shuffle_reader_close(reader);
    ferry_end(&ferry);
}

static void
a_pulled_partition_whose_process_goes_can_be_pulled_again_if_nothing_had_gone(void **state)
{
    struct fletch_error error;
    struct fletch_outlet *outlet = NULL;
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.producers = 2}, 3, homes);
    struct fletch_shuffle_writer *writer = writer_at(0, 0);
    write_at(0, writer, 1000);
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    fletch_shuffle_writer_close(writer);
    ferry.is_stopped = true;
    struct fletch_shuffle_reader *lost = reader_open_one(&ferry.processes[1].test, 0);
    ferry_go(&ferry); /* taken, not accepted */
    fletch_shuffle_reader_close(lost);
    ferry_end_process(&ferry, 1);
    for (uint32_t i = 0; i < ferry.link_count; i++)
        if (ferry.links[i].to == 1) {
            fletch_outlet_close(ferry.links[i].outlet);
            ferry.links[i].outlet = NULL;
        }
    ferry.is_stopped = false;
    struct fletch_shuffle_reader *reader = reader_open_one(&ferry.processes[2].test, 0);
    ferry_go(&ferry);
    (void)events_take(&ferry.processes[2].test, reader);
    assert_true(ferry.processes[2].test.read.rows > 0);
    fletch_shuffle_reader_close(reader);
    /* Now a part has gone. */
    fletch_outlet_close(ferry.links[ferry.link_count - 1].outlet);
    ferry.links[ferry.link_count - 1].outlet = NULL;
    const uint32_t zero = 0;
    const struct fletch_outlet_options options = {
        .partitions = &zero, .partition_count = 1, .sleeper = ferry.processes[0].sleeper};
    enum fletch_status status =
        fletch_outlet_open(ferry.processes[0].test.shuffle, &options, &outlet, &error);
    assert_int_equal(status, FLETCH_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, "CONSUMED: partition 0"));
    ferry_end(&ferry);
}

/* ---- who may do what ---- */

static void partitions_and_producers_of_others_are_refused_by_name(void **state)
{
    struct fletch_error error;
    struct fletch_shuffle_reader *reader = NULL;
    struct fletch_shuffle_writer *writer = NULL;
    const uint32_t one = 1;
    const struct fletch_shuffle_reader_options options = {
        .struct_size = sizeof options, .partitions = &one, .partition_count = 1};
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.partitions = 2}, 2, NULL);
    assert_int_equal(
        fletch_shuffle_reader_open(ferry.processes[0].test.shuffle, &options, &reader, &error),
        FLETCH_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, "belongs to the process at grpc://b:2"));
    ferry_end(&ferry);
    ferry_open(&ferry, &(struct shuffle_words){.partitions = 2, .producers = 2}, 2, homes);
    assert_int_equal(
        fletch_shuffle_writer_open(ferry.processes[0].test.shuffle, 1, NULL, &writer, &error),
        FLETCH_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, "writes in the process at grpc://b:2"));
    ferry_end(&ferry);
}

static _Atomic uint32_t is_over;

static void keep_going(void *unused)
{
    (void)unused;
    while (load_acquire(&is_over) == 0)
        ferry_go(&ferry);
}

/* With the ferry on a thread of its own, so that calls can wait. */
static void producers_that_join_are_known_in_every_process(void **state)
{
    uint32_t added_here = 0, added_there = 0;
    const struct team_role role = {.run = keep_going};
    struct team team;
    (void)state;
    ferry_open(&ferry, &(struct shuffle_words){.producers = 2, .producer_limit = 4}, 2, NULL);
    struct fletch_shuffle_writer *first = writer_at(0, 0), *second = writer_at(1, 1);
    struct fletch_shuffle_reader *left = reader_at(0), *right = reader_at(1);
    store_release(&is_over, 0);
    team_start(&team, &role, 1);
    assert_ok(fletch_shuffle_writer_add_producer(second, &added_there, NULL));
    assert_ok(fletch_shuffle_writer_add_producer(first, &added_here, NULL));
    assert_int_equal(added_here, 2); /* each process has numbers of its own */
    assert_int_equal(added_there, 3);
    assert_int_equal(fletch_shuffle_writer_add_producer(first, &added_here, NULL),
                     FLETCH_RESOURCE_EXHAUSTED);
    struct fletch_shuffle_writer *third = writer_at(0, 2), *fourth = writer_at(1, 3);
    write_at(0, third, 100);
    write_at(1, fourth, 200);
    struct fletch_shuffle_writer *writers[] = {first, second, third, fourth};
    for (int i = 0; i < 4; i++) {
        assert_ok(fletch_shuffle_writer_end(writers[i], FLETCH_DEADLINE_DEFAULT, NULL));
        fletch_shuffle_writer_close(writers[i]);
    }
    store_release(&is_over, 1);
    team_join(&team);
    drain_at(0, left);
    drain_at(1, right);
    all_rows_must_have_come();
    all_must_be_zero();
    ferry_end(&ferry);
}

static void without_media_partitions_of_others_are_refused(void **state)
{
    static const char *const addresses[] = {"grpc://a:1", "grpc://b:2"};
    const struct fletch_placement placement = {
        .struct_size = sizeof placement, .addresses = addresses, .address_count = 2};
    struct test_shuffle test;
    struct fletch_error error;
    (void)state;
    assert_int_equal(
        test_shuffle_try(&(struct shuffle_words){.placement = &placement}, &test, &error),
        FLETCH_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, "no client or server"));
    /* One that owns everything needs nobody. */
    const struct fletch_placement alone = {
        .struct_size = sizeof alone, .addresses = addresses, .address_count = 1};
    test = test_shuffle_make(&(struct shuffle_words){.placement = &alone});
    test_shuffle_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_two_processes_reach_the_partitions_of_both),
        cmocka_unit_test(a_barrier_aligns_the_producers_of_all_processes),
        cmocka_unit_test(control_comes_out_between_the_frames_that_it_was_sent_between),
        cmocka_unit_test(a_watermark_is_the_least_of_all_processes),
        cmocka_unit_test(an_end_with_other_totals_is_a_loss_for_both),
        cmocka_unit_test(a_reader_counts_for_itself),
        cmocka_unit_test(an_abort_is_told_in_every_process),
        cmocka_unit_test(a_cancel_is_heard_on_the_other_side),
        cmocka_unit_test(what_the_other_side_refuses_its_writers_hear),
        cmocka_unit_test(an_end_that_waits_hears_that_the_other_side_is_lost),
        cmocka_unit_test(an_end_hears_of_a_loss_that_was_long_ago),
        cmocka_unit_test(what_is_not_accepted_holds_its_credit),
        cmocka_unit_test(where_nothing_is_outside_it_is_still_seen_that_nothing_can_move),
        cmocka_unit_test(spilled_frames_are_let_out_in_their_order),
        cmocka_unit_test(pulled_rows_stay_until_a_reader_comes),
        cmocka_unit_test(pulled_partitions_know_ends_and_aborts_alone),
        cmocka_unit_test(
            a_pulled_partition_whose_process_goes_can_be_pulled_again_if_nothing_had_gone),
        cmocka_unit_test(partitions_and_producers_of_others_are_refused_by_name),
        cmocka_unit_test(producers_that_join_are_known_in_every_process),
        cmocka_unit_test(without_media_partitions_of_others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
