#include <fletching/fletching.h>

#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "memory/batch.h"
#include "partition/partition_writer.h"

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* What test_scatter.c does not reach with random rows: sizes of frames, large rows, many
 * partitions, dictionaries that change, broadcast, budgets, and how a writer says no. */

struct bench_writer {
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_partition_writer *writer;
    struct fletch_account *account;
};

static struct bench_writer writer_made(const char *words, enum fletch_partition_method method,
                                       uint32_t partitions,
                                       const struct fletch_partition_writer_options *given)
{
    static const uint32_t key = 0;
    bool has_key = method == FLETCH_PARTITION_HASH || method == FLETCH_PARTITION_COLUMN;
    struct fletch_partitioner_options options = {
        .struct_size = sizeof options,
        .method = method,
        .partition_count = partitions,
        .key_columns = &key,
        .key_column_count = has_key,
    };
    struct bench_writer made = {.pool = test_pool_make(), .schema = schema_new(words)};
    struct fletch_partition_writer_options writer = *given;
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_error error;
    writer.struct_size = sizeof writer;
    writer.cache = made.pool.cache;
    assert_ok(fletch_partitioner_create(made.schema, &options, NULL, &partitioner, NULL));
    enum fletch_status status =
        fletch_partition_writer_create(made.schema, partitioner, &writer, &made.writer, &error);
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
    return made;
}

static void writer_end(struct bench_writer *made)
{
    fletch_partition_writer_destroy(made->writer);
    fletch_schema_release(made->schema);
    test_pool_end(&made->pool);
}

static struct fletch_partition_frame next_frame(struct bench_writer *made)
{
    struct fletch_partition_frame frame;
    assert_ok(fletch_partition_writer_next(made->writer, &frame, NULL));
    return frame;
}

static int64_t drop_frames(struct bench_writer *made)
{
    int64_t rows = 0;
    for (struct fletch_partition_frame frame = next_frame(made); frame.batch != NULL;
         frame = next_frame(made)) {
        rows += fletch_batch_row_count(frame.batch);
        fletch_batch_release(made->pool.cache, frame.batch);
    }
    return rows;
}

static struct fletch_batch *batch_made(struct bench_writer *made, uint64_t seed, int64_t rows)
{
    struct fletch_random random = fletch_random_from_seed(seed);
    return random_batch(&random, made->pool.cache, made->schema, rows);
}

/* ---- sizes ---- */

static void frames_are_as_large_as_the_budget_lets_them(void **state)
{
    (void)state;
    static const struct {
        uint64_t budget;
        uint32_t writers, partitions;
        size_t bytes;
    } cases[] = {
        {0, 0, 1, 256 << 10},         {0, 0, 200, 256 << 10},
        {0, 4, 200, 128 << 10}, /* of 167,772 */
        {64 << 20, 2, 16, 256 << 10}, {(64 << 20) - 1, 2, 16, 128 << 10},
        {1 << 20, 1, 65536, 4096},    {1 << 30, 1, 65536, 4096},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fletch_partition_writer_options options = {.budget_bytes = cases[i].budget,
                                                          .writer_count = cases[i].writers};
        struct bench_writer made =
            writer_made("a=l", FLETCH_PARTITION_HASH, cases[i].partitions, &options);
        assert_int_equal(fletch_partition_writer_frame_bytes(made.writer), cases[i].bytes);
        writer_end(&made);
    }
}

static void a_stepwise_writer_rests_where_frames_are_finished(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.frame_bytes = 4 << 10};
    struct bench_writer made = writer_made("a=l!", FLETCH_PARTITION_ROUND_ROBIN, 2, &options);
    struct fletch_batch *batch = batch_made(&made, 1, 30000);
    fletch_partition_writer_go_stepwise(made.writer);
    assert_ok(fletch_partition_writer_push(made.writer, batch, NULL));
    int64_t rows = 0;
    int rests = 0;
    while (fletch_partition_writer_has_rest(made.writer)) {
        int64_t now = drop_frames(&made);
        assert_true(now > 0 && rows + now < 30000);
        rows += now;
        rests++;
        assert_ok(fletch_partition_writer_resume(made.writer, NULL));
    }
    assert_true(rests > 1);
    assert_ok(fletch_partition_writer_flush(made.writer, NULL));
    assert_int_equal(rows + drop_frames(&made), 30000);
    fletch_batch_release(made.pool.cache, batch);
    writer_end(&made);
}

static void full_frames_come_before_a_flush_and_are_full(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.frame_bytes = 64 << 10};
    struct bench_writer made = writer_made("a=l! b=g!", FLETCH_PARTITION_ROUND_ROBIN, 2, &options);
    struct fletch_batch *batch = batch_made(&made, 1, 20000);
    assert_ok(fletch_partition_writer_push(made.writer, batch, NULL));
    struct fletch_partition_frame frame = next_frame(&made);
    assert_non_null(frame.batch);
    uint64_t bytes = fletch_batch_charge_bytes(frame.batch);
    assert_true(bytes > 60000 && bytes < 90000);
    int64_t rows = fletch_batch_row_count(frame.batch);
    assert_true(rows * 16 > 60000 && rows * 16 <= 65536);
    fletch_batch_release(made.pool.cache, frame.batch);
    rows += drop_frames(&made);
    assert_true(rows < 20000);
    assert_ok(fletch_partition_writer_flush_partition(made.writer, 0, NULL));
    frame = next_frame(&made);
    assert_int_equal(frame.partition, 0);
    rows += fletch_batch_row_count(frame.batch);
    fletch_batch_release(made.pool.cache, frame.batch);
    assert_null(next_frame(&made).batch);
    assert_ok(fletch_partition_writer_flush(made.writer, NULL));
    assert_int_equal(rows + drop_frames(&made), 20000);
    fletch_batch_release(made.pool.cache, batch);
    writer_end(&made);
}

static void small_batches_gather_into_one_frame(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.frame_bytes = 1 << 20};
    struct bench_writer made = writer_made("a=l b=u", FLETCH_PARTITION_HASH, 4, &options);
    for (uint64_t i = 0; i < 50; i++) {
        struct fletch_batch *batch = batch_made(&made, i, 3);
        assert_ok(fletch_partition_writer_push(made.writer, batch, NULL));
        fletch_batch_release(made.pool.cache, batch);
        assert_null(next_frame(&made).batch);
    }
    assert_ok(fletch_partition_writer_flush(made.writer, NULL));
    size_t frames = 0;
    int64_t rows = 0;
    uint64_t bytes = 0;
    for (struct fletch_partition_frame frame = next_frame(&made); frame.batch != NULL;
         frame = next_frame(&made), frames++) {
        rows += fletch_batch_row_count(frame.batch);
        bytes += fletch_batch_charge_bytes(frame.batch);
        fletch_batch_release(made.pool.cache, frame.batch);
    }
    assert_int_equal(frames, 4);
    assert_int_equal(rows, 150);
    assert_true(bytes < 64 << 10); /* not four slabs of a megabyte */
    writer_end(&made);
}

/* Batches of one column of strings, all of one length. */
static struct fletch_batch *strings_made(struct bench_writer *made, int64_t rows, size_t length)
{
    size_t bytes = (size_t)rows * length;
    struct fletch_buffer *owners[2] = {buffer_filled(&made->pool, ((size_t)rows + 1) * 4, 0),
                                       buffer_filled(&made->pool, bytes, 'x')};
    for (int64_t i = 0; i <= rows; i++) {
        int32_t end = (int32_t)(i * (int64_t)length);
        memcpy(owners[0]->data + 4 * i, &end, sizeof end);
    }
    struct fletch_batch_node node = {.length = rows};
    struct fletch_batch_span spans[3] = {
        {NULL, 0}, {owners[0]->data, ((size_t)rows + 1) * 4}, {owners[1]->data, bytes}};
    struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(made->schema),
                                       .row_count = rows,
                                       .nodes = &node,
                                       .node_count = 1,
                                       .spans = spans,
                                       .span_count = 3,
                                       .owners = owners,
                                       .owner_count = 2};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(made->pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

static void a_row_larger_than_a_frame_gets_one_of_its_own(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.frame_bytes = 4096};
    struct bench_writer made = writer_made("s=u", FLETCH_PARTITION_HASH, 2, &options);
    struct fletch_batch *small = strings_made(&made, 10, 8);
    struct fletch_batch *large = strings_made(&made, 2, 3 << 20);
    assert_ok(fletch_partition_writer_push(made.writer, small, NULL));
    assert_ok(fletch_partition_writer_push(made.writer, large, NULL));
    assert_ok(fletch_partition_writer_push(made.writer, small, NULL));
    assert_ok(fletch_partition_writer_flush(made.writer, NULL));
    int64_t rows = 0;
    int large_frames = 0;
    for (struct fletch_partition_frame frame = next_frame(&made); frame.batch != NULL;
         frame = next_frame(&made)) {
        assert_ok(fletch_batch_validate(frame.batch, FLETCH_VALIDATION_FULL, NULL));
        rows += frame.batch->row_count;
        if (frame.batch->spans[2].bytes > 1 << 20) {
            large_frames++;
            assert_int_equal(frame.batch->row_count, 1);
            assert_int_equal(frame.batch->spans[2].bytes, 3 << 20);
        }
        fletch_batch_release(made.pool.cache, frame.batch);
    }
    assert_int_equal(rows, 22);
    assert_int_equal(large_frames, 2);
    fletch_batch_release(made.pool.cache, small);
    fletch_batch_release(made.pool.cache, large);
    writer_end(&made);
}

static void frames_follow_the_length_of_strings(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.frame_bytes = 64 << 10};
    struct bench_writer made = writer_made("s=u", FLETCH_PARTITION_ROUND_ROBIN, 1, &options);
    static const size_t lengths[] = {4, 400, 4};
    for (size_t i = 0; i < 3; i++) {
        int64_t rows = 0;
        size_t frames = 0;
        for (int push = 0; push < 20; push++) {
            struct fletch_batch *batch = strings_made(&made, 20000, lengths[i]);
            assert_ok(fletch_partition_writer_push(made.writer, batch, NULL));
            fletch_batch_release(made.pool.cache, batch);
            rows = 0;
            frames = 0;
            for (struct fletch_partition_frame frame = next_frame(&made); frame.batch != NULL;
                 frame = next_frame(&made), frames++) {
                rows += frame.batch->row_count;
                fletch_batch_release(made.pool.cache, frame.batch);
            }
        }
        /* In the end a frame is well used. */
        size_t bytes = (size_t)rows * (lengths[i] + 4);
        if (frames == 0 || bytes / frames < 36 << 10)
            fail_msg("strings of %zu: %zu bytes in %zu frames", lengths[i], bytes, frames);
    }
    assert_ok(fletch_partition_writer_flush(made.writer, NULL));
    drop_frames(&made);
    writer_end(&made);
}

static void many_partitions_fit_into_a_gigabyte(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.budget_bytes = 1 << 30};
    struct bench_writer made = writer_made("a=l! b=u", FLETCH_PARTITION_HASH, 65536, &options);
    struct fletch_account *account =
        account_make(made.pool.account, "a gigabyte", UINT64_C(1) << 30, 0);
    fletch_partition_writer_destroy(made.writer);
    struct fletch_partitioner_options partitioned = {.struct_size = sizeof partitioned,
                                                     .partition_count = 65536,
                                                     .key_columns = &(uint32_t){0},
                                                     .key_column_count = 1};
    struct fletch_partitioner *partitioner = NULL;
    assert_ok(fletch_partitioner_create(made.schema, &partitioned, NULL, &partitioner, NULL));
    options.struct_size = sizeof options;
    options.cache = made.pool.cache;
    options.account = account;
    assert_ok(
        fletch_partition_writer_create(made.schema, partitioner, &options, &made.writer, NULL));
    /* Frames are opened by the first row that needs one. */
    assert_int_equal(account_used_bytes(account), 0);
    int64_t pushed = 0;
    for (uint64_t i = 0; i < 12; i++) {
        struct fletch_batch *batch = batch_made(&made, i, 20000);
        assert_ok(fletch_partition_writer_push(made.writer, batch, NULL));
        if (i == 0)
            assert_true(account_used_bytes(account) <= UINT64_C(20000) * 6000);
        pushed += batch->row_count;
        fletch_batch_release(made.pool.cache, batch);
    }
    assert_true(account_used_bytes(account) <= UINT64_C(1) << 30);
    int64_t rows = drop_frames(&made);
    for (uint32_t p = 0; p < 65536; p++) {
        assert_ok(fletch_partition_writer_flush_partition(made.writer, p, NULL));
        rows += drop_frames(&made);
    }
    assert_int_equal(rows, pushed);
    fletch_partition_writer_destroy(made.writer);
    made.writer = NULL;
    assert_int_equal(account_used_bytes(account), 0);
    fletch_account_close(account);
    writer_end(&made);
}

/* ---- dictionaries ---- */

static void dictionaries_that_change_with_every_batch_are_merged(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.frame_bytes = 1 << 20};
    struct bench_writer made =
        writer_made("k=l d=i<u> e=s<l>", FLETCH_PARTITION_ROUND_ROBIN, 1, &options);
    enum { BATCHES = 12 };
    struct fletch_batch *batches[BATCHES];
    for (uint64_t i = 0; i < BATCHES; i++) {
        batches[i] = batch_made(&made, i, 500);
        assert_ok(fletch_partition_writer_push(made.writer, batches[i], NULL));
    }
    assert_ok(fletch_partition_writer_flush(made.writer, NULL));
    struct fletch_partition_frame frame = next_frame(&made);
    assert_int_equal(frame.batch->row_count, BATCHES * 500);
    assert_ok(fletch_batch_validate(frame.batch, FLETCH_VALIDATION_FULL, NULL));
    for (size_t i = 0; i < BATCHES; i++)
        assert_true(batch_rows_equal(frame.batch, (int64_t)i * 500, batches[i], 0, 500));
    /* A later frame continues the same dictionary: what is there stays where it is. */
    const struct fletch_batch *before = frame.batch->dictionaries[0];
    struct fletch_batch *more = batch_made(&made, 99, 500);
    assert_ok(fletch_partition_writer_push(made.writer, more, NULL));
    assert_ok(fletch_partition_writer_flush(made.writer, NULL));
    struct fletch_partition_frame later = next_frame(&made);
    const struct fletch_batch *after = later.batch->dictionaries[0];
    assert_true(after->row_count >= before->row_count);
    assert_true(batch_rows_equal(after, 0, before, 0, before->row_count));
    /* No value is there twice. */
    for (int64_t i = 0; i < after->row_count; i++)
        for (int64_t j = 0; j < i; j++)
            assert_false(batch_elements_equal((struct batch_element){after, 0, i},
                                              (struct batch_element){after, 0, j}));
    fletch_batch_release(made.pool.cache, frame.batch);
    fletch_batch_release(made.pool.cache, later.batch);
    fletch_batch_release(made.pool.cache, more);
    for (size_t i = 0; i < BATCHES; i++)
        fletch_batch_release(made.pool.cache, batches[i]);
    writer_end(&made);
}

/* ---- broadcast ---- */

static void broadcast_gives_every_partition_the_same_batch(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.frame_bytes = 0};
    struct bench_writer made = writer_made("a=l", FLETCH_PARTITION_BROADCAST, 3, &options);
    struct fletch_batch *batch = batch_made(&made, 1, 10);
    assert_ok(fletch_partition_writer_push(made.writer, batch, NULL));
    struct fletch_error error;
    assert_int_equal(fletch_partition_writer_push(made.writer, batch, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "still goes to partitions 0 to 2");
    for (uint32_t p = 0; p < 3; p++) {
        struct fletch_partition_frame frame = next_frame(&made);
        assert_int_equal(frame.partition, p);
        assert_ptr_equal(frame.batch, batch);
        fletch_batch_release(made.pool.cache, frame.batch);
    }
    assert_null(next_frame(&made).batch);
    assert_ok(fletch_partition_writer_push(made.writer, batch, NULL));
    fletch_batch_release(made.pool.cache, batch);
    writer_end(&made);
}

/* ---- saying no ---- */

/* Makes the writer again, with an account. */
static void charge_writer_to(struct bench_writer *made, struct fletch_account *account)
{
    struct fletch_partitioner_options turns = {
        .struct_size = sizeof turns, .method = FLETCH_PARTITION_ROUND_ROBIN, .partition_count = 3};
    struct fletch_partition_writer_options options = {.struct_size = sizeof options,
                                                      .frame_bytes = 4096,
                                                      .cache = made->pool.cache,
                                                      .account = account};
    struct fletch_partitioner *partitioner = NULL;
    fletch_partition_writer_destroy(made->writer);
    assert_ok(fletch_partitioner_create(made->schema, &turns, NULL, &partitioner, NULL));
    assert_ok(
        fletch_partition_writer_create(made->schema, partitioner, &options, &made->writer, NULL));
}

/* However much of the account the slabs of frames leave. */
static void frames_that_fill_the_budget_can_still_leave(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.frame_bytes = 4096};
    struct bench_writer made = writer_made("a=l! b=g!", FLETCH_PARTITION_ROUND_ROBIN, 3, &options);
    struct fletch_batch *batch = batch_made(&made, 5, 40000);
    for (uint64_t bytes = 40000; bytes < 50000; bytes += 64) {
        struct fletch_account *account = account_make(made.pool.account, "narrow", bytes, 0);
        struct fletch_partition_frame frame;
        charge_writer_to(&made, account);
        assert_int_equal(fletch_partition_writer_push(made.writer, batch, NULL),
                         FLETCH_RESOURCE_EXHAUSTED);
        assert_ok(fletch_partition_writer_next(made.writer, &frame, NULL));
        assert_non_null(frame.batch);
        fletch_batch_release(made.pool.cache, frame.batch);
        fletch_partition_writer_destroy(made.writer);
        made.writer = NULL;
        fletch_account_close(account);
    }
    fletch_batch_release(made.pool.cache, batch);
    writer_end(&made);
}

static void a_frame_leaves(const char *words, const struct fletch_batch_parts *parts)
{
    enum { STEPS = 16, STEP = 64 };
    const uint64_t limit = 1 << 20;
    struct fletch_partition_writer_options options = {.frame_bytes = 4096};
    struct bench_writer made = writer_made(words, FLETCH_PARTITION_ROUND_ROBIN, 3, &options);
    struct fletch_batch *batch = batch_made(&made, 5, 30);
    uint64_t room =
        fletch_buffer_block_bytes(fletch_size_class_of(fletch_batch_block_bytes(parts)));
    for (int i = 0; i < STEPS; i++, room += STEP) {
        struct fletch_account *account = account_make(made.pool.account, "narrow", limit, 0);
        charge_writer_to(&made, account);
        assert_ok(fletch_partition_writer_push(made.writer, batch, NULL));
        assert_ok(fletch_partition_writer_flush(made.writer, NULL));
        uint64_t others = limit - account_used_bytes(account) - room;
        assert_ok(fletch_account_reserve(account, others, 0, NULL));
        struct fletch_partition_frame frame = next_frame(&made);
        assert_int_equal(fletch_batch_row_count(frame.batch), 10);
        assert_ok(fletch_batch_validate(frame.batch, FLETCH_VALIDATION_FULL, NULL));
        assert_true(batch_rows_equal(frame.batch, 1, batch, 3, 1));
        fletch_batch_release(made.pool.cache, frame.batch);
        fletch_account_release(account, others);
        fletch_partition_writer_destroy(made.writer);
        made.writer = NULL;
        fletch_account_close(account);
    }
    fletch_batch_release(made.pool.cache, batch);
    writer_end(&made);
}

/* A frame of few rows moves into a smaller buffer, unless that would take the room of its batch;
 * its dictionary is there already. */
static void a_frame_leaves_if_there_is_room_for_its_batch_alone(void **state)
{
    (void)state;
    struct fletch_batch_parts parts = {.node_count = 2, .span_count = 4, .owner_count = 1};
    a_frame_leaves("a=l! b=g!", &parts);
    parts.dictionary_count = 1;
    a_frame_leaves("a=i<u> b=g!", &parts);
}

/* Nulls need no dictionary; frames of them have an empty one. */
static void rows_without_a_dictionary_get_an_empty_one(void **state)
{
    (void)state;
    enum { ROWS = 8 };
    struct fletch_partition_writer_options options = {.frame_bytes = 4096};
    struct bench_writer made = writer_made("a=i<u>", FLETCH_PARTITION_ROUND_ROBIN, 1, &options);
    struct fletch_buffer *zeros = buffer_filled(&made.pool, ROWS * sizeof(int32_t), 0);
    struct fletch_batch_node node = {.length = ROWS, .null_count = ROWS};
    struct fletch_batch_span spans[2] = {{zeros->data, 1}, {zeros->data, ROWS * sizeof(int32_t)}};
    struct fletch_batch *none = NULL;
    const struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(made.schema),
                                             .row_count = ROWS,
                                             .nodes = &node,
                                             .node_count = 1,
                                             .spans = spans,
                                             .span_count = 2,
                                             .owners = &zeros,
                                             .owner_count = 1,
                                             .dictionaries = &none,
                                             .dictionary_count = 1};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(made.pool.cache, NULL, &parts, &batch, NULL));
    assert_ok(fletch_partition_writer_push(made.writer, batch, NULL));
    assert_ok(fletch_partition_writer_flush(made.writer, NULL));
    struct fletch_partition_frame frame = next_frame(&made);
    assert_ok(fletch_batch_validate(frame.batch, FLETCH_VALIDATION_FULL, NULL));
    assert_non_null(frame.batch->dictionaries[0]);
    fletch_batch_release(made.pool.cache, frame.batch);
    fletch_batch_release(made.pool.cache, batch);
    writer_end(&made);
}

static void a_full_budget_stops_a_push_which_goes_on_later(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.frame_bytes = 4096};
    struct bench_writer made = writer_made("a=l! b=g!", FLETCH_PARTITION_ROUND_ROBIN, 3, &options);
    struct fletch_account *account = account_make(made.pool.account, "narrow", 40000, 0);
    charge_writer_to(&made, account);
    struct fletch_batch *batch = batch_made(&made, 5, 40000);
    struct fletch_error error;
    int stops = 0;
    int64_t rows = 0;
    int64_t next[3] = {0, 1, 2};
    enum fletch_status status = fletch_partition_writer_push(made.writer, batch, &error);
    while (status != FLETCH_OK || rows < 40000) {
        if (status != FLETCH_OK) {
            stops++;
            assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
            assert_contains(error.message, "narrow");
            assert_int_equal(fletch_partition_writer_push(made.writer, batch, NULL),
                             FLETCH_FAILED_PRECONDITION);
            assert_int_equal(fletch_partition_writer_flush(made.writer, NULL),
                             FLETCH_FAILED_PRECONDITION);
        } else {
            assert_ok(fletch_partition_writer_flush(made.writer, NULL));
        }
        int64_t before = rows;
        struct fletch_partition_frame frame;
        /* A frame's batch needs a little room of its own: there is none for the last ones. */
        while (fletch_partition_writer_next(made.writer, &frame, NULL) == FLETCH_OK &&
               frame.batch != NULL) {
            for (int64_t i = 0; i < frame.batch->row_count; i++, next[frame.partition] += 3)
                assert_true(batch_rows_equal(frame.batch, i, batch, next[frame.partition], 1));
            rows += frame.batch->row_count;
            fletch_batch_release(made.pool.cache, frame.batch);
        }
        assert_true(rows > before);
        status = fletch_partition_writer_resume(made.writer, &error);
    }
    assert_true(stops > 5);
    assert_int_equal(rows, 40000);
    fletch_batch_release(made.pool.cache, batch);
    fletch_partition_writer_destroy(made.writer);
    made.writer = NULL;
    fletch_account_close(account);
    writer_end(&made);
}

static void what_a_writer_cannot_take_is_refused(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.frame_bytes = 0};
    struct bench_writer made = writer_made("a=l b=u", FLETCH_PARTITION_HASH, 2, &options);
    struct bench_writer other = writer_made("a=l c=u", FLETCH_PARTITION_HASH, 2, &options);
    struct fletch_batch *batch = batch_made(&other, 1, 5);
    struct fletch_error error;
    assert_int_equal(fletch_partition_writer_push(made.writer, batch, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "c");
    assert_int_equal(fletch_partition_writer_flush_partition(made.writer, 2, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "partition is 2, expected 0 to 1");
    fletch_batch_release(other.pool.cache, batch);
    writer_end(&other);

    struct fletch_partitioner_options partitioned = {.struct_size = sizeof partitioned,
                                                     .method = FLETCH_PARTITION_ROUND_ROBIN,
                                                     .partition_count = 2};
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_partition_writer *writer = NULL;
    assert_ok(fletch_partitioner_create(made.schema, &partitioned, NULL, &partitioner, NULL));
    options.struct_size = sizeof options;
    options.cache = made.pool.cache;
    options.frame_bytes = 4095;
    assert_int_equal(
        fletch_partition_writer_create(made.schema, partitioner, &options, &writer, &error),
        FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "frame_bytes is 4095, expected 4096 to");
    fletch_partitioner_destroy(partitioner);
    writer_end(&made);
}

static void batches_without_columns_keep_their_rows(void **state)
{
    (void)state;
    struct fletch_partition_writer_options options = {.frame_bytes = 0};
    struct bench_writer made = writer_made("", FLETCH_PARTITION_ROUND_ROBIN, 4, &options);
    struct fletch_batch *batch = batch_made(&made, 1, 1001);
    assert_ok(fletch_partition_writer_push(made.writer, batch, NULL));
    assert_ok(fletch_partition_writer_flush(made.writer, NULL));
    assert_int_equal(drop_frames(&made), 1001);
    fletch_batch_release(made.pool.cache, batch);
    writer_end(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_as_large_as_the_budget_lets_them),
        cmocka_unit_test(a_stepwise_writer_rests_where_frames_are_finished),
        cmocka_unit_test(full_frames_come_before_a_flush_and_are_full),
        cmocka_unit_test(small_batches_gather_into_one_frame),
        cmocka_unit_test(a_row_larger_than_a_frame_gets_one_of_its_own),
        cmocka_unit_test(frames_follow_the_length_of_strings),
        cmocka_unit_test(many_partitions_fit_into_a_gigabyte),
        cmocka_unit_test(dictionaries_that_change_with_every_batch_are_merged),
        cmocka_unit_test(broadcast_gives_every_partition_the_same_batch),
        cmocka_unit_test(a_full_budget_stops_a_push_which_goes_on_later),
        cmocka_unit_test(frames_that_fill_the_budget_can_still_leave),
        cmocka_unit_test(a_frame_leaves_if_there_is_room_for_its_batch_alone),
        cmocka_unit_test(rows_without_a_dictionary_get_an_empty_one),
        cmocka_unit_test(what_a_writer_cannot_take_is_refused),
        cmocka_unit_test(batches_without_columns_keep_their_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
