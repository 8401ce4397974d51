#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arrow/codec_lz4.h"
#include "arrow/codec_zstd.h"
#include "shuffle/shuffle.h"
#include "support/cmocka_tests.h"
#include "support/random_batches.h"
#include "support/schemas.h"
#include "support/shuffles.h"
#include "support/team.h"
#include "support/test_disk.h"

/* What a shuffle promises, a sentence a test: order, ends, barriers and watermarks, answers that
 * must differ, bounded memory, cancel and replay. One thread; no call waits. */

/* ---- what is done and what is heard, in few words ---- */

/* Events as a text: "3" a batch of 3 rows, "|2" barrier 2, "w7" watermark 7, "w+" the last one, "."
 * the end, and the name of what else is answered. */
static void hear(struct test_shuffle *test, struct fletch_shuffle_reader *reader, char *text,
                 size_t text_bytes)
{
    struct fletch_shuffle_event event;
    struct fletch_error error;
    enum fletch_status status;
    text[0] = '\0';
    while ((status = event_take(test, reader, &event, &error)) == FLETCH_OK) {
        char word[32] = ".";
        if (event.kind == FLETCH_EVENT_BATCH)
            snprintf(word, sizeof word, "%llu", (unsigned long long)event.rows);
        else if (event.kind == FLETCH_EVENT_BARRIER)
            snprintf(word, sizeof word, "|%llu", (unsigned long long)event.barrier);
        else if (event.kind == FLETCH_EVENT_WATERMARK && event.watermark == INT64_MAX)
            strcpy(word, "w+");
        else if (event.kind == FLETCH_EVENT_WATERMARK)
            snprintf(word, sizeof word, "w%lld", (long long)event.watermark);
        if (text[0] != '\0')
            strncat(text, " ", text_bytes - strlen(text) - 1);
        strncat(text, word, text_bytes - strlen(text) - 1);
    }
    if (status != FLETCH_OUT_OF_RANGE && status != FLETCH_DEADLINE_EXCEEDED) {
        strncat(text, " ", text_bytes - strlen(text) - 1);
        strncat(text, fletch_status_name(status), text_bytes - strlen(text) - 1);
    }
}

#define expect_heard(test, reader, expected) \
    do { \
        char heard[512]; \
        hear((test), (reader), heard, sizeof heard); \
        assert_string_equal(heard, (expected)); \
    } while (0)

static struct test_shuffle make(struct shuffle_words words)
{
    struct test_shuffle test = test_shuffle_make(&words);
    test.is_placed_freely = true;
    return test;
}

static void put(struct test_shuffle *test, struct fletch_shuffle_writer *writer, uint32_t partition,
                int64_t rows)
{
    struct fletch_batch *batch = batch_make(test, rows);
    struct fletch_error error;
    if (fletch_shuffle_writer_put(writer, partition, batch, 0, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    fletch_batch_release(test->cache, batch);
}

static void end_writer(struct fletch_shuffle_writer *writer)
{
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    fletch_shuffle_writer_close(writer);
}

static enum fletch_partition_state state_of(struct test_shuffle *test, uint32_t partition)
{
    struct fletch_partition_statistics found = {.struct_size = sizeof found};
    assert_ok(fletch_shuffle_partition_statistics(test->shuffle, partition, &found, NULL));
    return found.state;
}

static uint64_t used_of(const struct fletch_account *account)
{
    return account_used_bytes(account);
}

/* ---- order ---- */

static void fifo_for_each_producer_and_partition_control_included(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    put(&test, writer, 0, 1);
    assert_ok(fletch_shuffle_writer_barrier(writer, 1, 0, NULL));
    put(&test, writer, 0, 2);
    assert_ok(fletch_shuffle_writer_watermark(writer, 5, 0, NULL));
    put(&test, writer, 0, 3);
    assert_ok(fletch_shuffle_writer_barrier(writer, 2, 0, NULL));
    end_writer(writer);
    /* The last watermark goes round behind the end, which says the same. */
    expect_heard(&test, reader, "1 |1 2 w5 3 |2 .");
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

/* ---- ends ---- */

static void a_partition_ends_when_every_producer_has_ended(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 2, .producers = 2});
    struct fletch_shuffle_writer *first = writer_open(&test, 0), *second = writer_open(&test, 1);
    struct fletch_shuffle_reader *reader = reader_open_one(&test, 1);
    put(&test, first, 1, 4);
    end_writer(first);
    expect_heard(&test, reader, "4");
    put(&test, second, 1, 5);
    end_writer(second);
    expect_heard(&test, reader, "5 w+ .");
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void an_empty_partition_is_schema_and_end(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 2});
    struct fletch_shuffle_reader *reader = reader_open_one(&test, 0);
    end_writer(writer_open(&test, 0));
    assert_int_equal(state_of(&test, 0), FLETCH_PARTITION_EMPTY);
    expect_heard(&test, reader, "w+ .");
    assert_ptr_equal(fletch_shuffle_schema(test.shuffle), test.schema);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

/* Writes one batch to partition 0 of a shuffle of this level, lets `spoil` loose on what was sent,
 * and returns what the reader is told at the end. */
static struct fletch_error read_spoiled(enum fletch_sum_level level,
                                        void (*spoil)(struct fletch_channel *channel,
                                                      struct fletch_batch *batch))
{
    struct test_shuffle test = make((struct shuffle_words){
        .schema = "k=l! v=l!", .partitions = 1, .producers = 2, .sums = level});
    struct fletch_shuffle_writer *writer = writer_open(&test, 1);
    struct fletch_batch *batch = batch_make(&test, 100);
    struct fletch_shuffle_event event;
    struct fletch_error error = {.status = FLETCH_OK};
    enum fletch_status status = FLETCH_OK;
    assert_ok(fletch_shuffle_writer_put(writer, 0, batch, 0, NULL));
    end_writer(writer);
    end_writer(writer_open(&test, 0));
    spoil(load_acquire(&test.shuffle->partitions[0].channels), batch);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    do {
        status = event_take(&test, reader, &event, &error);
    } while (status == FLETCH_OK && event.kind != FLETCH_EVENT_END);
    error.status = status;
    if (status != FLETCH_OK) {
        assert_int_equal(event_take(&test, reader, &event, NULL), FLETCH_OUT_OF_RANGE);
        assert_int_equal(state_of(&test, 0), FLETCH_PARTITION_LOST);
    }
    fletch_shuffle_reader_close(reader);
    fletch_batch_release(test.cache, batch);
    test_shuffle_end(&test);
    return error;
}

static void spoil_frames(struct fletch_channel *channel, struct fletch_batch *batch)
{
    (void)batch;
    channel->sent.frames = 2;
}

static void spoil_rows(struct fletch_channel *channel, struct fletch_batch *batch)
{
    (void)batch;
    channel->sent.rows = 99;
}

static void spoil_bytes(struct fletch_channel *channel, struct fletch_batch *batch)
{
    (void)batch;
    channel->sent.bytes++;
}

/* A byte of a column, in the batch that lies in the queue. */
static void spoil_column(struct fletch_batch *batch, int column)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)batch->spans[2 * column + 1].data;
    bytes[8 * batch->nodes[column].offset] ^= 1;
}

static void spoil_key(struct fletch_channel *channel, struct fletch_batch *batch)
{
    (void)channel;
    spoil_column(batch, 0);
}

static void spoil_value(struct fletch_channel *channel, struct fletch_batch *batch)
{
    (void)channel;
    spoil_column(batch, 1);
}

static void spoil_nothing(struct fletch_channel *channel, struct fletch_batch *batch)
{
    (void)channel;
    (void)batch;
}

static void the_consumer_fails_with_data_loss_if_its_sums_differ(void **state)
{
    static const struct {
        void (*spoil)(struct fletch_channel *channel, struct fletch_batch *batch);
        const char *told;
    } cases[] = {
        {spoil_frames, "producer 1: frames: 2 sent, 1 received"},
        {spoil_rows, "producer 1: rows: 99 sent, 100 received"},
        {spoil_bytes, "producer 1: bytes: "},
        {spoil_key, "producer 1: the sum of keys: "},
        {spoil_value, "producer 1: the sum of rows: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fletch_error error = read_spoiled(FLETCH_SUMS_ROWS, cases[i].spoil);
        assert_int_equal(error.status, FLETCH_DATA_LOSS);
        assert_contains(error.message, "DATA_LOSS: partition 0 of shuffle 'test', ");
        assert_contains(error.message, cases[i].told);
    }
}

static void each_level_compares_what_it_says(void **state)
{
    (void)state;
    assert_int_equal(read_spoiled(FLETCH_SUMS_KEYS, spoil_key).status, FLETCH_DATA_LOSS);
    assert_int_equal(read_spoiled(FLETCH_SUMS_KEYS, spoil_value).status, FLETCH_OK);
    assert_int_equal(read_spoiled(FLETCH_SUMS_COUNTS, spoil_key).status, FLETCH_OK);
    assert_int_equal(read_spoiled(FLETCH_SUMS_COUNTS, spoil_rows).status, FLETCH_DATA_LOSS);
    assert_int_equal(read_spoiled(FLETCH_SUMS_OFF, spoil_rows).status, FLETCH_OK);
    assert_int_equal(read_spoiled(FLETCH_SUMS_ROWS, spoil_nothing).status, FLETCH_OK);
}

/* What an end says of itself. */
static enum fletch_sum_level verified_by(enum fletch_sum_level level,
                                         enum fletch_partition_method method)
{
    struct test_shuffle test = make((struct shuffle_words){.sums = level, .method = method});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open_one(&test, 0);
    struct fletch_shuffle_event event = {.kind = FLETCH_EVENT_BATCH};
    rows_write(&test, writer, 100);
    end_writer(writer);
    while (event.kind != FLETCH_EVENT_END)
        assert_ok(event_take(&test, reader, &event, NULL));
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    return event.verified;
}

static void what_was_not_verified_is_reported_as_unverified(void **state)
{
    (void)state;
    assert_int_equal(verified_by(FLETCH_SUMS_OFF, FLETCH_PARTITION_HASH), FLETCH_SUMS_OFF);
    assert_int_equal(verified_by(FLETCH_SUMS_DEFAULT, FLETCH_PARTITION_HASH), FLETCH_SUMS_KEYS);
    assert_int_equal(verified_by(FLETCH_SUMS_ROWS, FLETCH_PARTITION_HASH), FLETCH_SUMS_ROWS);
    assert_int_equal(verified_by(FLETCH_SUMS_COUNTS, FLETCH_PARTITION_HASH), FLETCH_SUMS_COUNTS);
    assert_int_equal(verified_by(FLETCH_SUMS_KEYS, FLETCH_PARTITION_ROUND_ROBIN),
                     FLETCH_SUMS_COUNTS);
    assert_int_equal(verified_by(FLETCH_SUMS_ROWS, FLETCH_PARTITION_ROUND_ROBIN), FLETCH_SUMS_ROWS);
}

/* ---- barriers and watermarks ---- */

static void a_channel_that_delivered_a_barrier_is_held_until_all_have(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 1, .producers = 2});
    struct fletch_shuffle_writer *first = writer_open(&test, 0), *second = writer_open(&test, 1);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    put(&test, first, 0, 1);
    assert_ok(fletch_shuffle_writer_barrier(first, 1, 0, NULL));
    put(&test, first, 0, 2);
    put(&test, second, 0, 3);
    expect_heard(&test, reader, "1 3");
    assert_ok(fletch_shuffle_writer_barrier(second, 1, 0, NULL));
    expect_heard(&test, reader, "|1 2");
    end_writer(first);
    end_writer(second);
    expect_heard(&test, reader, "w+ .");
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

/* What is held belongs to the partition, not to its reader. */
static void held_frames_stay_held_for_the_next_reader(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 1, .producers = 2});
    struct fletch_shuffle_writer *first = writer_open(&test, 0), *second = writer_open(&test, 1);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    assert_ok(fletch_shuffle_writer_barrier(first, 1, 0, NULL));
    put(&test, first, 0, 2);
    expect_heard(&test, reader, "");
    fletch_shuffle_reader_close(reader);
    reader = reader_open(&test);
    expect_heard(&test, reader, "");
    assert_ok(fletch_shuffle_writer_barrier(second, 1, 0, NULL));
    expect_heard(&test, reader, "|1 2");
    fletch_shuffle_reader_close(reader);
    end_writer(first);
    end_writer(second);
    test_shuffle_end(&test);
}

static void an_ended_channel_counts_as_aligned(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 1, .producers = 2});
    struct fletch_shuffle_writer *first = writer_open(&test, 0), *second = writer_open(&test, 1);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    assert_ok(fletch_shuffle_writer_barrier(first, 1, 0, NULL));
    put(&test, first, 0, 2);
    put(&test, second, 0, 3);
    end_writer(second);
    expect_heard(&test, reader, "3 |1 2");
    end_writer(first);
    expect_heard(&test, reader, "w+ .");
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void barriers_and_watermarks_come_to_every_partition(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 3});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    assert_ok(fletch_shuffle_writer_barrier(writer, 7, 0, NULL));
    assert_ok(fletch_shuffle_writer_watermark(writer, -4, 0, NULL));
    end_writer(writer);
    for (uint32_t partition = 0; partition < 3; partition++) {
        struct fletch_shuffle_reader *reader = reader_open_one(&test, partition);
        /* The later watermark was noted while the first one was on its way, and goes round. */
        expect_heard(&test, reader, "|7 w-4 .");
        fletch_shuffle_reader_close(reader);
    }
    test_shuffle_end(&test);
}

static void a_watermark_is_the_least_of_those_neither_idle_nor_ended(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 1, .producers = 3});
    struct fletch_shuffle_writer *writers[3];
    struct fletch_shuffle_reader *reader = reader_open(&test);
    for (uint32_t i = 0; i < 3; i++)
        writers[i] = writer_open(&test, i);
    assert_ok(fletch_shuffle_writer_watermark(writers[0], 10, 0, NULL));
    assert_ok(fletch_shuffle_writer_watermark(writers[1], 20, 0, NULL));
    expect_heard(&test, reader, "");
    assert_ok(fletch_shuffle_writer_watermark(writers[2], 30, 0, NULL));
    expect_heard(&test, reader, "w10");
    assert_ok(fletch_shuffle_writer_idle(writers[0], 0, NULL));
    expect_heard(&test, reader, "w20");
    end_writer(writers[1]);
    expect_heard(&test, reader, "w30");
    end_writer(writers[0]);
    end_writer(writers[2]);
    expect_heard(&test, reader, "w+ .");
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void a_regression_is_clamped_and_counted(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    assert_ok(fletch_shuffle_writer_watermark(writer, 10, 0, NULL));
    assert_ok(fletch_shuffle_writer_watermark(writer, 9, 0, NULL));
    expect_heard(&test, reader, "w10");
    assert_int_equal(shuffle_statistics(&test).watermarks_clamped, 1);
    end_writer(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void watermarks_may_be_conflated_and_never_overtake_rows(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    assert_ok(fletch_shuffle_writer_watermark(writer, 1, 0, NULL));
    put(&test, writer, 0, 5);
    assert_ok(fletch_shuffle_writer_watermark(writer, 2, 0, NULL));
    put(&test, writer, 0, 6);
    assert_ok(fletch_shuffle_writer_watermark(writer, 3, 0, NULL));
    expect_heard(&test, reader, "w1 5 6 w3");
    end_writer(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

/* ---- answers that must differ ---- */

static void the_states_of_a_partition_differ(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 2});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    assert_int_equal(state_of(&test, 0), FLETCH_PARTITION_REGISTERED);
    put(&test, writer, 0, 5);
    assert_int_equal(state_of(&test, 0), FLETCH_PARTITION_PRODUCING);
    assert_int_equal(state_of(&test, 1), FLETCH_PARTITION_REGISTERED);
    end_writer(writer);
    assert_int_equal(state_of(&test, 0), FLETCH_PARTITION_COMPLETE);
    assert_int_equal(state_of(&test, 1), FLETCH_PARTITION_EMPTY);
    struct fletch_shuffle_reader *reader = reader_open_one(&test, 0);
    expect_heard(&test, reader, "5 w+ .");
    assert_int_equal(state_of(&test, 0), FLETCH_PARTITION_CONSUMED);
    fletch_shuffle_reader_close(reader);
    fletch_shuffle_cancel(test.shuffle, NULL);
    assert_int_equal(state_of(&test, 0), FLETCH_PARTITION_CANCELLED);
    test_shuffle_end(&test);
}

static void what_was_consumed_is_not_read_again(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_error error;
    put(&test, writer, 0, 5);
    end_writer(writer);
    expect_heard(&test, reader, "5 w+ .");
    fletch_shuffle_reader_close(reader);
    assert_int_equal(fletch_shuffle_reader_open(test.shuffle, NULL, &reader, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "CONSUMED: partition 0 of shuffle 'test'");
    test_shuffle_end(&test);
}

static void a_lost_partition_is_never_an_empty_stream(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 2});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = NULL;
    struct fletch_shuffle_event event;
    struct fletch_error error;
    fletch_shuffle_writer_abort(writer, "it fell");
    assert_int_equal(state_of(&test, 1), FLETCH_PARTITION_LOST);
    reader = reader_open_one(&test, 1);
    assert_int_equal(event_take(&test, reader, &event, &error), FLETCH_UNAVAILABLE);
    assert_contains(error.message, "PRODUCER_LOST: partition 1 of shuffle 'test'");
    assert_contains(error.message, "producer 0 was aborted: it fell");
    fletch_shuffle_reader_close(reader);
    const uint32_t partition = 1;
    const struct fletch_shuffle_reader_options options = {
        .struct_size = sizeof options, .partitions = &partition, .partition_count = 1};
    assert_int_equal(fletch_shuffle_reader_open(test.shuffle, &options, &reader, &error),
                     FLETCH_UNAVAILABLE);
    assert_contains(error.message, "PRODUCER_LOST");
    fletch_shuffle_writer_close(writer);
    test_shuffle_end(&test);
}

/* ---- bounded memory ---- */

static void frames_that_a_reader_has_taken_are_delivered_until_released(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_account *delivered = test.transport->delivered;
    struct fletch_shuffle_event event;
    bool has_event;
    put(&test, writer, 0, 1000);
    uint64_t queued = used_of(test.shuffle->account);
    assert_true(queued > 1000);
    assert_int_equal(used_of(delivered), 0);
    assert_true(shuffle_statistics(&test).bytes_queued > 0);
    assert_ok(fletch_shuffle_reader_next(reader, 0, &event, &has_event, NULL));
    assert_int_equal(used_of(test.shuffle->account) + used_of(delivered), queued);
    assert_true(used_of(delivered) > 1000);
    assert_int_equal(shuffle_statistics(&test).bytes_queued, 0);
    fletch_batch_release(test.cache, event.batch);
    assert_int_equal(used_of(delivered), 0);
    end_writer(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void credit_returns_when_a_frame_is_taken(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    for (int i = 0; i < 5; i++)
        put(&test, writer, 0, 1000);
    assert_false(fletch_credit_is_whole(&test.shuffle->partitions[0].credit));
    assert_int_equal(events_take(&test, reader), 5);
    assert_true(fletch_credit_is_whole(&test.shuffle->partitions[0].credit));
    assert_true(fletch_credit_pool_is_whole(&test.shuffle->credit_pool));
    end_writer(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

/* ---- cancel, crash, replay ---- */

static void every_byte_comes_back_after_a_cancel(void **state)
{
    enum { WITHOUT_READER, READER_THAT_CLOSES, READER_THAT_ASKS, READER_OF_HELD_FRAMES, CASES };
    (void)state;
    for (int which = 0; which < CASES; which++) {
        struct test_shuffle test = make((struct shuffle_words){.partitions = 1, .producers = 2});
        struct fletch_shuffle_writer *writer = writer_open(&test, 0);
        struct fletch_shuffle_reader *reader = which == WITHOUT_READER ? NULL : reader_open(&test);
        struct fletch_shuffle_event event;
        struct fletch_error error;
        if (which == READER_OF_HELD_FRAMES)
            assert_ok(fletch_shuffle_writer_barrier(writer, 1, 0, NULL));
        put(&test, writer, 0, 1000);
        put(&test, writer, 0, 1000);
        if (reader != NULL)
            (void)event_take(&test, reader, &event, NULL);
        fletch_shuffle_cancel(test.shuffle, "no more");
        if (which == READER_THAT_ASKS)
            for (int i = 0; i < 2; i++) {
                assert_int_equal(event_take(&test, reader, &event, &error), FLETCH_CANCELLED);
                assert_contains(error.message, "CANCELLED: shuffle 'test': no more");
            }
        fletch_shuffle_reader_close(which == READER_THAT_ASKS ? NULL : reader);
        fletch_shuffle_writer_close(writer);
        assert_int_equal(used_of(test.shuffle->account), 0);
        assert_true(fletch_credit_is_whole(&test.shuffle->partitions[0].credit));
        assert_true(fletch_credit_pool_is_whole(&test.shuffle->credit_pool));
        fletch_shuffle_reader_close(which == READER_THAT_ASKS ? reader : NULL);
        assert_int_equal(fletch_shuffle_reader_open(test.shuffle, NULL, &reader, &error),
                         FLETCH_CANCELLED);
        test_shuffle_end(&test);
    }
}

/* A put to partition 0 is answered so, and every call after it. */
static void expect_told(struct test_shuffle *test, struct fletch_shuffle_writer *writer,
                        enum fletch_status status, const char *text)
{
    struct fletch_batch *batch = batch_make(test, 6);
    struct fletch_error error;
    assert_int_equal(fletch_shuffle_writer_put(writer, 0, batch, 0, &error), status);
    assert_contains(error.message, text);
    fletch_batch_release(test->cache, batch);
    assert_int_equal(fletch_shuffle_writer_flush(writer, 0, &error), status);
    assert_contains(error.message, text);
    assert_int_equal(fletch_shuffle_writer_end(writer, 0, &error), status);
    assert_false(fletch_shuffle_writer_arm(writer));
}

/* Puts batches to a partition until one waits for credit. */
static void fill_partition(struct test_shuffle *test, struct fletch_shuffle_writer *writer,
                           uint32_t partition)
{
    enum fletch_status status = FLETCH_OK;
    for (int i = 0; i < 10000 && status == FLETCH_OK; i++) {
        struct fletch_batch *batch = batch_make(test, 300);
        status = fletch_shuffle_writer_put(writer, partition, batch, 0, NULL);
        fletch_batch_release(test->cache, batch);
    }
    assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
}

struct waiting_flush {
    struct fletch_shuffle_writer *writer;
    enum fletch_status status;
    struct fletch_error error;
};

static void flush_for_long(void *context)
{
    struct waiting_flush *flush = context;
    flush->status =
        fletch_shuffle_writer_flush(flush->writer, 60 * UINT64_C(1000000000), &flush->error);
}

static void who_waits_for_credit_of_a_lost_partition_is_woken_and_told(void **state)
{
    (void)state;
    struct test_shuffle test =
        make((struct shuffle_words){.partitions = 2,
                                    .producers = 3,
                                    .frame_bytes = 4096,
                                    .budget_bytes = 256 << 10,
                                    .spill_after_ns = 60 * UINT64_C(1000000000)});
    struct fletch_shuffle_writer *first = writer_open(&test, 0), *second = writer_open(&test, 1);
    struct waiting_flush flush = {.writer = second};
    const struct team_role roles[] = {{flush_for_long, &flush}};
    struct team team;
    fill_partition(&test, second, 0);
    team_start(&team, roles, 1);
    while (fletch_credit_waiting(&test.shuffle->partitions[0].credit) == 0)
        continue;
    fletch_shuffle_writer_abort(first, "gone");
    team_join(&team);
    assert_int_equal(flush.status, FLETCH_UNAVAILABLE);
    assert_contains(flush.error.message, "PRODUCER_LOST: partition 0");
    assert_contains(flush.error.message, "gone");
    fletch_shuffle_writer_close(first);
    fletch_shuffle_writer_close(second);
    test_shuffle_end(&test);
}

static void a_lost_producer_is_told_after_its_last_good_frame(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 2, .producers = 2});
    struct fletch_shuffle_writer *first = writer_open(&test, 0), *second = writer_open(&test, 1);
    struct fletch_shuffle_reader *reader = reader_open_one(&test, 0);
    put(&test, first, 0, 4);
    put(&test, second, 0, 5);
    fletch_shuffle_writer_abort(first, NULL);
    expect_heard(&test, reader, "4 5 UNAVAILABLE");
    expect_told(&test, second, FLETCH_UNAVAILABLE, "PRODUCER_LOST: partition 0");
    assert_int_equal(used_of(test.shuffle->account), 0);
    expect_heard(&test, reader, "");
    fletch_shuffle_writer_close(first);
    fletch_shuffle_writer_close(second);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void with_retention_a_new_reader_sees_all_again(void **state)
{
    (void)state;
    struct test_shuffle test = make((struct shuffle_words){
        .partitions = 1, .retention = FLETCH_RETENTION_UNTIL_CLOSE, .sums = FLETCH_SUMS_ROWS});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    put(&test, writer, 0, 1);
    put(&test, writer, 0, 2);
    expect_heard(&test, reader, "1 2");
    assert_true(used_of(test.shuffle->retained) > 0);
    assert_int_equal(used_of(test.transport->delivered), 0);
    fletch_shuffle_reader_close(reader);
    reader = reader_open(&test);
    put(&test, writer, 0, 3);
    end_writer(writer);
    expect_heard(&test, reader, "1 2 3 w+ .");
    fletch_shuffle_reader_close(reader);
    for (int i = 0; i < 3; i++) {
        reader = reader_open(&test);
        expect_heard(&test, reader, "1 2 3 .");
        fletch_shuffle_reader_close(reader);
    }
    assert_int_equal(state_of(&test, 0), FLETCH_PARTITION_COMPLETE);
    assert_int_equal(shuffle_statistics(&test).partitions_ended, 1);
    assert_true(fletch_credit_is_whole(&test.shuffle->partitions[0].credit));
    fletch_shuffle_close(test.shuffle);
    assert_int_equal(used_of(test.shuffle->account), 0);
    test_shuffle_end(&test);
}

static void where_nothing_more_can_be_retained_next_says_so(void **state)
{
    (void)state;
    struct test_shuffle test =
        make((struct shuffle_words){.partitions = 1,
                                    .retention = FLETCH_RETENTION_UNTIL_CLOSE,
                                    .budget_bytes = 256 << 10,
                                    .delivered_bytes = 128 << 10,
                                    .frame_bytes = 4096});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_shuffle_event event;
    struct fletch_error error;
    enum fletch_status status = FLETCH_OK;
    for (int i = 0; i < 100 && status == FLETCH_OK; i++) {
        put(&test, writer, 0, 200);
        status = event_take(&test, reader, &event, &error);
    }
    assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "retained");
    assert_int_equal(event_take(&test, reader, &event, NULL), FLETCH_RESOURCE_EXHAUSTED);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

/* ---- disk ---- */

static char *make_directory(void)
{
    char template[] = "fletching-semantics-XXXXXX";
    char *made = mkdtemp(template);
    assert_non_null(made);
    return strdup(made);
}

static void end_directory(char *directory)
{
    assert_int_equal(rmdir(directory), 0);
    free(directory);
}

/* Nobody reads: what finds no credit goes to disk at once, and comes back in order. */
static void what_there_is_no_room_for_is_spilled_and_read_back_in_order(void **state)
{
    enum { BATCHES = 40 };
    (void)state;
    char *directory = make_directory();
    struct test_shuffle test = make((struct shuffle_words){.partitions = 1,
                                                           .sums = FLETCH_SUMS_ROWS,
                                                           .budget_bytes = 512 << 10,
                                                           .delivered_bytes = 256 << 10,
                                                           .frame_bytes = 4096,
                                                           .spill_directory = directory});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_event event;
    for (int i = 1; i <= BATCHES; i++)
        put(&test, writer, 0, 40 * i);
    end_writer(writer);
    assert_true(shuffle_statistics(&test).frames_spilled > 5);
    assert_true(shuffle_statistics(&test).bytes_on_disk > 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    for (int i = 1; i <= BATCHES; i++) {
        struct fletch_error error;
        if (event_take(&test, reader, &event, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        assert_int_equal(event.rows, 40 * i);
    }
    expect_heard(&test, reader, "w+ .");
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    end_directory(directory);
}

static void what_is_retained_is_spilled_first(void **state)
{
    enum { BATCHES = 40 };
    (void)state;
    char *directory = make_directory();
    struct test_shuffle test =
        make((struct shuffle_words){.partitions = 1,
                                    .retention = FLETCH_RETENTION_UNTIL_CLOSE,
                                    .sums = FLETCH_SUMS_ROWS,
                                    .budget_bytes = 512 << 10,
                                    .delivered_bytes = 256 << 10,
                                    .frame_bytes = 4096,
                                    .spill_directory = directory});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_shuffle_event event;
    struct fletch_error error;
    for (int i = 1; i <= BATCHES; i++) {
        put(&test, writer, 0, 10 * i);
        if (event_take(&test, reader, &event, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        assert_int_equal(event.rows, 10 * i);
    }
    end_writer(writer);
    for (int again = 0; again < 2; again++) {
        fletch_shuffle_reader_close(reader);
        reader = reader_open(&test);
        for (int i = 1; i <= BATCHES; i++) {
            if (event_take(&test, reader, &event, &error) != FLETCH_OK)
                fail_msg("%s", error.message);
            assert_int_equal(event.rows, 10 * i);
        }
    }
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    end_directory(directory);
}

/* Reads, and finds the first byte changed. */
static ssize_t read_damaged(void *context, int fd, const struct iovec *pieces, int count,
                            off_t offset)
{
    ssize_t bytes = fletch_spill_system_io.read(NULL, fd, pieces, count, offset);
    (void)context;
    if (bytes > 0)
        ((uint8_t *)pieces[0].iov_base)[0] ^= 1;
    return bytes;
}

static void a_frame_broken_on_disk_is_located_and_ends_its_partition_alone(void **state)
{
    (void)state;
    struct test_disk disk;
    test_disk_make(&disk);
    disk.io.read = read_damaged;
    struct test_shuffle test = make((struct shuffle_words){.partitions = 2,
                                                           .producers = 2,
                                                           .budget_bytes = 512 << 10,
                                                           .delivered_bytes = 256 << 10,
                                                           .frame_bytes = 4096,
                                                           .spill_directory = disk.path});
    test.transport->spill_io = &disk.io;
    struct fletch_shuffle_writer *writer = writer_open(&test, 1);
    for (int i = 0; i < 40; i++)
        put(&test, writer, 0, 500);
    put(&test, writer, 1, 7);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_shuffle_event event;
    struct fletch_error error;
    uint64_t rows = 0;
    enum fletch_status status;
    while ((status = event_take(&test, reader, &event, &error)) == FLETCH_OK)
        rows += event.partition == 0 ? event.rows : 0;
    assert_int_equal(status, FLETCH_DATA_LOSS);
    assert_contains(error.message, "DATA_LOSS: partition 0");
    assert_contains(error.message, "producer 1");
    assert_contains(error.message, "offset 0");
    assert_true(rows > 0 && rows < 40 * 500); /* those in memory came before it */
    expect_told(&test, writer, FLETCH_DATA_LOSS, "DATA_LOSS: partition 0");
    fletch_shuffle_reader_close(reader);
    assert_int_equal(fletch_shuffle_reader_open(test.shuffle, NULL, &reader, &error),
                     FLETCH_DATA_LOSS);
    assert_contains(error.message, "DATA_LOSS: partition 0");
    assert_int_equal(state_of(&test, 0), FLETCH_PARTITION_LOST);
    fletch_shuffle_writer_close(writer);
    assert_int_equal(used_of(test.shuffle->account), 0);
    assert_true(fletch_credit_pool_is_whole(&test.shuffle->credit_pool));
    test_shuffle_end(&test);
    test_disk_end(&disk);
}

/* The least budget that a refusal names; all writers at once find what they need in that, and what
 * they write goes to disk and comes back. */
static void spill_with_the_least_budget(enum fletch_spill_codec codec)
{
    enum { PRODUCERS = 3 };
    char *directory = make_directory();
    struct shuffle_words words = {.partitions = 2,
                                  .producers = PRODUCERS,
                                  .frame_bytes = 4096,
                                  .budget_bytes = 4096,
                                  .transport_bytes = UINT64_C(64) << 20,
                                  .spill_directory = directory,
                                  .spill_codec = codec};
    struct fletch_shuffle_writer *writers[PRODUCERS];
    struct test_shuffle test;
    struct fletch_error error;
    assert_int_equal(test_shuffle_try(&words, &test, &error), FLETCH_RESOURCE_EXHAUSTED);
    words.budget_bytes = strtoull(strstr(error.message, "minimum of ") + 11, NULL, 10);
    assert_in_range(words.budget_bytes, 4096 * 2 * (2 + PRODUCERS) + 1, UINT64_C(16) << 20);
    test = test_shuffle_make(&words);
    for (uint32_t i = 0; i < PRODUCERS; i++)
        writers[i] = writer_open(&test, i);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        struct fletch_batch *batch = batch_make(&test, 2000);
        assert_ok(batch_write(&test, writers[i], batch, NULL));
        fletch_batch_release(test.cache, batch);
        assert_ok(fletch_shuffle_writer_end(writers[i], UINT64_C(20000000000), NULL));
        fletch_shuffle_writer_close(writers[i]);
    }
    assert_in_range(shuffle_statistics(&test).frames_spilled, 1, UINT64_MAX);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    reader_drain(&test, reader);
    piles_must_agree(&test);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    end_directory(directory);
}

static void a_shuffle_that_is_registered_can_spill(void **state)
{
    (void)state;
    spill_with_the_least_budget(FLETCH_SPILL_PLAIN);
    if (fletch_lz4_exists())
        spill_with_the_least_budget(FLETCH_SPILL_LZ4);
    if (fletch_zstd_exists())
        spill_with_the_least_budget(FLETCH_SPILL_ZSTD);
}

/* ---- schema ---- */

/* Writes a batch of the one schema to a shuffle of the other. */
static void write_as(const char *declared, const char *written, uint32_t strict,
                     enum fletch_status expected)
{
    struct test_shuffle test = test_shuffle_make(
        &(struct shuffle_words){.schema = declared, .partitions = 3, .strict_schema = strict});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_schema *schema = schema_new(written);
    struct fletch_batch *batch = random_batch(&test.random, test.cache, schema, 1000);
    struct fletch_error error;
    assert_int_equal(batch_write(&test, writer, batch, &error), expected);
    if (expected != FLETCH_OK)
        assert_contains(error.message, "k");
    fletch_batch_release(test.cache, batch);
    fletch_schema_release(schema);
    end_writer(writer);
    reader_drain(&test, reader);
    assert_int_equal(test.read.rows, expected == FLETCH_OK ? 1000 : 0);
    piles_must_agree(&test);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void dictionary_and_plain_of_the_same_value_type_are_accepted(void **state)
{
    (void)state;
    write_as("k=u v=l", "k=i<u> v=l", 0, FLETCH_OK);
    write_as("k=i<u> v=l", "k=u v=l", 0, FLETCH_OK);
    write_as("k=u v=l", "k=i<l> v=l", 0, FLETCH_INVALID_ARGUMENT);
}

/* Puts a batch of the one schema to a shuffle of the other, where each row is the same. */
static void put_as(const char *declared, const char *put, uint32_t strict,
                   enum fletch_status expected)
{
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){
        .schema = declared, .partitions = 3, .strict_schema = strict, .sums = FLETCH_SUMS_ROWS});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_schema *schema = schema_new(put);
    struct fletch_batch *batch = random_batch(&test.random, test.cache, schema, 1000);
    struct fletch_error error;
    test.is_placed_freely = true;
    for (uint32_t p = 0; p < 2; p++)
        assert_int_equal(fletch_shuffle_writer_put(writer, p, batch, 0, &error), expected);
    if (expected == FLETCH_OK)
        test.written = (struct row_pile){.rows = 2000, .row_sum = 2 * fletch_hash_row_sum(batch)};
    else
        assert_contains(error.message, "k");
    fletch_batch_release(test.cache, batch);
    fletch_schema_release(schema);
    end_writer(writer);
    reader_drain(&test, reader);
    piles_must_agree(&test);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void batches_that_are_put_may_be_dictionary_or_plain(void **state)
{
    (void)state;
    put_as("k=u v=l", "k=i<u> v=l", 0, FLETCH_OK);
    put_as("k=i<u> v=l", "k=u v=l", 0, FLETCH_OK);
    put_as("k=i<u> v=i<l>", "k=i<u> v=l", 0, FLETCH_OK);
    put_as("k=l v=l", "k=i<l> v=i<l>", 0, FLETCH_OK);
    put_as("k=u v=l", "k=i<l> v=l", 0, FLETCH_INVALID_ARGUMENT);
    put_as("k=u v=l", "k=i<u> v=l", 1, FLETCH_INVALID_ARGUMENT);
}

static void metadata_is_ignored_unless_strict(void **state)
{
    (void)state;
    write_as("k=u v=l", "k=i<u>{unit:m} v=l", 0, FLETCH_OK);
    write_as("k=u{unit:m} v=l", "k=u{unit:s} v=l", 0, FLETCH_OK);
    write_as("k=u{unit:m} v=l", "k=u{unit:s} v=l", 1, FLETCH_INVALID_ARGUMENT);
    write_as("k=u{unit:m} v=l", "k=u{unit:m} v=l", 1, FLETCH_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifo_for_each_producer_and_partition_control_included),
        cmocka_unit_test(a_partition_ends_when_every_producer_has_ended),
        cmocka_unit_test(an_empty_partition_is_schema_and_end),
        cmocka_unit_test(the_consumer_fails_with_data_loss_if_its_sums_differ),
        cmocka_unit_test(each_level_compares_what_it_says),
        cmocka_unit_test(what_was_not_verified_is_reported_as_unverified),
        cmocka_unit_test(a_channel_that_delivered_a_barrier_is_held_until_all_have),
        cmocka_unit_test(held_frames_stay_held_for_the_next_reader),
        cmocka_unit_test(an_ended_channel_counts_as_aligned),
        cmocka_unit_test(barriers_and_watermarks_come_to_every_partition),
        cmocka_unit_test(a_watermark_is_the_least_of_those_neither_idle_nor_ended),
        cmocka_unit_test(a_regression_is_clamped_and_counted),
        cmocka_unit_test(watermarks_may_be_conflated_and_never_overtake_rows),
        cmocka_unit_test(the_states_of_a_partition_differ),
        cmocka_unit_test(what_was_consumed_is_not_read_again),
        cmocka_unit_test(a_lost_partition_is_never_an_empty_stream),
        cmocka_unit_test(frames_that_a_reader_has_taken_are_delivered_until_released),
        cmocka_unit_test(credit_returns_when_a_frame_is_taken),
        cmocka_unit_test(every_byte_comes_back_after_a_cancel),
        cmocka_unit_test(a_lost_producer_is_told_after_its_last_good_frame),
        cmocka_unit_test(who_waits_for_credit_of_a_lost_partition_is_woken_and_told),
        cmocka_unit_test(with_retention_a_new_reader_sees_all_again),
        cmocka_unit_test(where_nothing_more_can_be_retained_next_says_so),
        cmocka_unit_test(what_there_is_no_room_for_is_spilled_and_read_back_in_order),
        cmocka_unit_test(what_is_retained_is_spilled_first),
        cmocka_unit_test(a_frame_broken_on_disk_is_located_and_ends_its_partition_alone),
        cmocka_unit_test(a_shuffle_that_is_registered_can_spill),
        cmocka_unit_test(dictionary_and_plain_of_the_same_value_type_are_accepted),
        cmocka_unit_test(batches_that_are_put_may_be_dictionary_or_plain),
        cmocka_unit_test(metadata_is_ignored_unless_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
