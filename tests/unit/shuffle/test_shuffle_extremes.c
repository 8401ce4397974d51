#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/hand_arrays.h"
#include "support/random_batches.h"
#include "support/shuffles.h"

/* Shapes at the edges: each keeps its rows and gives every byte back, which test_shuffle_end looks
 * at. One thread; no call waits. */

enum { ROWS_MAX = 4000 };

#define MIB (UINT64_C(1) << 20)

/* Writes a batch, reading for as long as there is no credit for it. */
static void write_through(struct test_shuffle *test, struct fletch_shuffle_writer *writer,
                          struct fletch_shuffle_reader *reader, struct fletch_batch *batch)
{
    struct fletch_error error;
    enum fletch_status status;
    while ((status = batch_write(test, writer, batch, &error)) == FLETCH_RESOURCE_EXHAUSTED)
        if (events_take(test, reader) == 0)
            fail_msg("%s", error.message);
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
}

static void end_through(struct test_shuffle *test, struct fletch_shuffle_writer *writer,
                        struct fletch_shuffle_reader *reader)
{
    struct fletch_error error;
    enum fletch_status status;
    while ((status = fletch_shuffle_writer_end(writer, 0, &error)) == FLETCH_RESOURCE_EXHAUSTED)
        if (events_take(test, reader) == 0)
            fail_msg("%s", error.message);
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
    reader_drain(test, reader);
    piles_must_agree(test);
    assert_int_equal(account_used_bytes(fletch_transport_account(test->transport)), 0);
}

/* What there is to a shape: its shuffle, and batches of so many rows. */
static void keep(const struct shuffle_words *words, int64_t rows, int batches)
{
    struct test_shuffle test = test_shuffle_make(words);
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    for (int i = 0; i < batches; i++) {
        struct fletch_batch *batch = batch_make(&test, rows);
        write_through(&test, writer, reader, batch);
        fletch_batch_release(test.cache, batch);
    }
    end_through(&test, writer, reader);
    assert_int_equal(test.read.rows, rows * batches);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static enum fletch_status import(struct test_shuffle *test, struct ArrowArray *root,
                                 struct fletch_batch **out_batch, struct fletch_error *error)
{
    const struct fletch_import_options options = {.struct_size = sizeof options,
                                                  .cache = test->cache};
    return fletch_batch_import(root, test->schema, &options, out_batch, error);
}

/* ---- keys ---- */

/* A batch "k=l" over memory of the test, imported. */
struct keys {
    int64_t values[ROWS_MAX];
    uint8_t validity[(ROWS_MAX + 7) / 8];
    struct hand_arrays arrays;
};

static struct fletch_batch *keys_import(struct test_shuffle *test, struct keys *keys, bool are_null)
{
    const struct hand_array column = {.length = ROWS_MAX,
                                      .null_count = are_null ? ROWS_MAX : 0,
                                      .buffer_count = 2,
                                      .buffers = {are_null ? keys->validity : NULL, keys->values}};
    struct ArrowArray root = hand_root(&keys->arrays, ROWS_MAX);
    struct fletch_batch *batch = NULL;
    hand_child(&root, hand_array(&keys->arrays, &column));
    struct fletch_error error;
    if (import(test, &root, &batch, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return batch;
}

/* Writes the keys several times; how many rows the fullest partition got of how many. */
static uint64_t fullest_of(struct keys *keys, bool are_null, uint64_t *out_rows)
{
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){
        .schema = "k=l", .partitions = 16, .frame_bytes = 4096, .budget_bytes = MIB});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_batch *batch = keys_import(&test, keys, are_null);
    uint64_t fullest = 0;
    for (int i = 0; i < 100; i++)
        write_through(&test, writer, reader, batch);
    end_through(&test, writer, reader);
    for (uint32_t p = 0; p < 16; p++) {
        struct fletch_partition_statistics found = {.struct_size = sizeof found};
        assert_ok(fletch_shuffle_partition_statistics(test.shuffle, p, &found, NULL));
        fullest = found.rows > fullest ? found.rows : fullest;
    }
    *out_rows = test.read.rows;
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    assert_int_equal(keys->arrays.released, 1);
    return fullest;
}

static void one_partition_may_get_nearly_all_rows(void **state)
{
    (void)state;
    static struct keys keys;
    uint64_t rows = 0;
    for (int64_t i = 0; i < ROWS_MAX; i++)
        keys.values[i] = i % 100 == 0 ? i : -1;
    uint64_t fullest = fullest_of(&keys, false, &rows);
    assert_int_equal(rows, 100 * ROWS_MAX);
    assert_true(fullest >= rows / 100 * 99 && fullest < rows);
}

static void null_is_a_value_of_one_partition(void **state)
{
    (void)state;
    static struct keys keys;
    uint64_t rows = 0;
    for (int64_t i = 0; i < ROWS_MAX; i++)
        keys.values[i] = i; /* which nobody may look at */
    assert_int_equal(fullest_of(&keys, true, &rows), 100 * ROWS_MAX);
    assert_int_equal(rows, 100 * ROWS_MAX);
}

/* ---- numbers ---- */

static void one_partition_gets_all(void **state)
{
    (void)state;
    keep(&(struct shuffle_words){.partitions = 1}, 1000, 20);
}

static void there_may_be_more_partitions_than_rows(void **state)
{
    (void)state;
    keep(&(struct shuffle_words){.partitions = 1000, .frame_bytes = 4096}, 3, 2);
}

static void batches_without_rows_leave_all_partitions_empty(void **state)
{
    (void)state;
    keep(&(struct shuffle_words){.partitions = 3}, 0, 5);
}

static void rows_without_columns_keep_their_count(void **state)
{
    (void)state;
    keep(&(struct shuffle_words){.schema = "", .method = FLETCH_PARTITION_ROUND_ROBIN}, 1001, 3);
}

static void a_batch_may_have_ten_thousand_columns(void **state)
{
    enum { COLUMNS = 10000 };
    (void)state;
    char *text = malloc(COLUMNS * 12);
    size_t bytes = 0;
    for (int i = 0; i < COLUMNS; i++)
        bytes += (size_t)sprintf(text + bytes, "%sc%d=l", i == 0 ? "" : " ", i);
    keep(&(struct shuffle_words){.schema = text, .partitions = 2, .budget_bytes = 256 * MIB}, 20,
         3);
    free(text);
}

/* ---- sizes ---- */

/* One row "v=u" of so many bytes. */
struct long_row {
    int32_t offsets[2];
    char *bytes;
    struct hand_arrays arrays;
};

static struct fletch_batch *row_import(struct test_shuffle *test, struct long_row *row,
                                       size_t bytes)
{
    *row = (struct long_row){.offsets = {0, (int32_t)bytes}, .bytes = malloc(bytes)};
    assert_non_null(row->bytes);
    memset(row->bytes, 'x', bytes);
    const struct hand_array column = {
        .length = 1, .buffer_count = 3, .buffers = {NULL, row->offsets, row->bytes}};
    struct ArrowArray root = hand_root(&row->arrays, 1);
    struct fletch_batch *batch = NULL;
    struct fletch_error error;
    hand_child(&root, hand_array(&row->arrays, &column));
    if (import(test, &root, &batch, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return batch;
}

static void a_string_may_have_100_mb(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(
        &(struct shuffle_words){.schema = "v=u", .partitions = 2, .budget_bytes = 1024 * MIB});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct long_row row;
    struct fletch_batch *batch = row_import(&test, &row, 100000000);
    write_through(&test, writer, reader, batch);
    fletch_batch_release(test.cache, batch);
    end_through(&test, writer, reader);
    assert_int_equal(test.read.rows, 1);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    free(row.bytes);
}

static void a_batch_larger_than_the_budget_is_refused_and_the_next_one_passes(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){
        .schema = "v=u", .partitions = 2, .budget_bytes = MIB, .frame_bytes = 4096});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct long_row row;
    struct fletch_error error;
    struct fletch_batch *batch = row_import(&test, &row, 2 * MIB);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fletch_shuffle_writer_put(writer, 0, batch, 0, &error),
                         FLETCH_RESOURCE_EXHAUSTED);
        assert_contains(error.message, "budget");
    }
    fletch_batch_release(test.cache, batch);
    rows_write(&test, writer, 100);
    end_through(&test, writer, reader);
    assert_int_equal(test.read.rows, 100);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    free(row.bytes);
}

/* The batch is taken, and its row waits for room that will never be there: each call says so, and
 * what is given up gives its bytes back. */
static void a_row_larger_than_the_budget_is_told_by_each_call(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){
        .schema = "v=u", .partitions = 2, .budget_bytes = MIB, .frame_bytes = 4096});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct long_row row;
    struct fletch_error error;
    struct fletch_batch *batch = row_import(&test, &row, 2 * MIB);
    assert_ok(fletch_shuffle_writer_write(writer, batch, 0, NULL));
    fletch_batch_release(test.cache, batch);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fletch_shuffle_writer_end(writer, 0, &error), FLETCH_RESOURCE_EXHAUSTED);
        assert_contains(error.message, "limit");
    }
    fletch_shuffle_writer_abort(writer, NULL);
    assert_int_equal(account_used_bytes(fletch_transport_account(test.transport)), 0);
    fletch_shuffle_writer_close(writer);
    test_shuffle_end(&test);
    free(row.bytes);
}

/* A shuffle of 1 MiB in a transport of 64, and rows of 4 MiB. */
static struct test_shuffle make_small_one(uint32_t producers)
{
    return test_shuffle_make(&(struct shuffle_words){.schema = "v=u",
                                                     .partitions = 2,
                                                     .producers = producers,
                                                     .budget_bytes = MIB,
                                                     .transport_bytes = 64 * MIB,
                                                     .frame_bytes = 4096});
}

enum { ROW_BYTES = 4 << 20, CHARGED_MOST = MIB + ROW_BYTES + ROW_BYTES / 4 };

static void a_frame_larger_than_the_credit_passes_once_alone(void **state)
{
    (void)state;
    struct test_shuffle test = make_small_one(1);
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct long_row row;
    struct fletch_error error;
    struct fletch_batch *batch = row_import(&test, &row, ROW_BYTES);
    assert_ok(batch_write(&test, writer, batch, &error));
    assert_int_equal(shuffle_statistics(&test).frames_sent, 1);
    rows_write(&test, writer, 100); /* those that are not too large need not wait for it */
    assert_ok(batch_write(&test, writer, batch, &error));
    assert_int_equal(fletch_shuffle_writer_flush(writer, 0, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "another one has not been released");
    assert_in_range(shuffle_statistics(&test).bytes_charged, ROW_BYTES, CHARGED_MOST);
    for (int i = 0; i < 5; i++)
        write_through(&test, writer, reader, batch);
    end_through(&test, writer, reader);
    assert_int_equal(test.read.rows, 107);
    assert_in_range(shuffle_statistics(&test).bytes_charged_peak, ROW_BYTES, CHARGED_MOST);
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    free(row.bytes);
}

static void batches_larger_than_the_budget_are_put_one_at_a_time(void **state)
{
    (void)state;
    struct test_shuffle test = make_small_one(1);
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open_one(&test, 1);
    struct long_row row;
    struct fletch_error error;
    struct fletch_batch *batch = row_import(&test, &row, ROW_BYTES);
    test.is_placed_freely = true;
    for (int i = 0; i < 3; i++) {
        assert_ok(fletch_shuffle_writer_put(writer, 1, batch, 0, &error));
        assert_int_equal(fletch_shuffle_writer_put(writer, 1, batch, 0, &error),
                         FLETCH_RESOURCE_EXHAUSTED);
        assert_contains(error.message, "another one has not been released");
        assert_in_range(shuffle_statistics(&test).bytes_charged, ROW_BYTES, CHARGED_MOST);
        assert_int_equal(events_take(&test, reader), 1);
    }
    assert_int_equal(test.read.rows, 3);
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    free(row.bytes);
}

/* All get it, and it is charged once. */
static void a_batch_larger_than_the_budget_is_broadcast_alone(void **state)
{
    (void)state;
    struct test_shuffle test =
        test_shuffle_make(&(struct shuffle_words){.schema = "v=u",
                                                  .method = FLETCH_PARTITION_BROADCAST,
                                                  .partitions = 3,
                                                  .budget_bytes = MIB,
                                                  .transport_bytes = 64 * MIB,
                                                  .frame_bytes = 4096});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct long_row row;
    struct fletch_batch *batch = row_import(&test, &row, ROW_BYTES);
    for (int i = 0; i < 3; i++)
        write_through(&test, writer, reader, batch);
    end_through(&test, writer, reader);
    assert_int_equal(test.read.rows, 9);
    assert_in_range(shuffle_statistics(&test).bytes_charged_peak, ROW_BYTES, CHARGED_MOST);
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    free(row.bytes);
}

/* It would be held until the others come to the barrier, who may have such a row before that. */
static void a_row_behind_a_barrier_leaves_the_way_to_those_before_it(void **state)
{
    (void)state;
    struct test_shuffle test = make_small_one(2);
    struct fletch_shuffle_writer *ahead = writer_open(&test, 0), *behind = writer_open(&test, 1);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct long_row row;
    struct fletch_error error;
    struct fletch_batch *batch = row_import(&test, &row, ROW_BYTES);
    assert_ok(fletch_shuffle_writer_barrier(ahead, 1, 0, &error));
    assert_ok(batch_write(&test, ahead, batch, &error));
    assert_int_equal(fletch_shuffle_writer_flush(ahead, 0, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "barrier");
    assert_ok(batch_write(&test, behind, batch, &error));
    assert_ok(fletch_shuffle_writer_barrier(behind, 1, 0, &error));
    (void)events_take(&test, reader);
    assert_int_equal(test.read.rows, 1);
    assert_ok(fletch_shuffle_writer_end(ahead, 0, &error));
    assert_ok(fletch_shuffle_writer_end(behind, 0, &error));
    reader_drain(&test, reader);
    piles_must_agree(&test);
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(ahead);
    fletch_shuffle_writer_close(behind);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    free(row.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_partition_may_get_nearly_all_rows),
        cmocka_unit_test(null_is_a_value_of_one_partition),
        cmocka_unit_test(one_partition_gets_all),
        cmocka_unit_test(there_may_be_more_partitions_than_rows),
        cmocka_unit_test(batches_without_rows_leave_all_partitions_empty),
        cmocka_unit_test(rows_without_columns_keep_their_count),
        cmocka_unit_test(a_batch_may_have_ten_thousand_columns),
        cmocka_unit_test(a_string_may_have_100_mb),
        cmocka_unit_test(a_batch_larger_than_the_budget_is_refused_and_the_next_one_passes),
        cmocka_unit_test(a_row_larger_than_the_budget_is_told_by_each_call),
        cmocka_unit_test(a_frame_larger_than_the_credit_passes_once_alone),
        cmocka_unit_test(batches_larger_than_the_budget_are_put_one_at_a_time),
        cmocka_unit_test(a_batch_larger_than_the_budget_is_broadcast_alone),
        cmocka_unit_test(a_row_behind_a_barrier_leaves_the_way_to_those_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
