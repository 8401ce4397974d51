#include <fletching/fletching.h>

#include <string.h>

#include "shuffle/shuffle.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/shuffles.h"
#include "support/test_disk.h"

/* Control beside data: it waits neither for credit nor for memory, and what is refused is told by
 * name. A sentence of the semantics a test. */

enum { FRAME = 4096 };

/* Writes until the writer waits for credit. */
static void fill(struct test_shuffle *test, struct fletch_shuffle_writer *writer)
{
    struct fletch_batch *batch = batch_make(test, 500);
    struct fletch_error error;
    enum fletch_status status = FLETCH_OK;
    for (int i = 0; i < 10000 && status == FLETCH_OK; i++)
        status = batch_write(test, writer, batch, &error);
    assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
    fletch_batch_release(test->cache, batch);
}

static void control_never_waits_for_data_s_credit(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){
        .partitions = 2, .producers = 2, .frame_bytes = FRAME, .budget_bytes = 1 << 18});
    struct fletch_shuffle_writer *full = writer_open(&test, 0), *other = writer_open(&test, 1);
    fill(&test, full);
    /* The other one has sent what it has, and is not held up by what that one has not. */
    assert_ok(fletch_shuffle_writer_barrier(other, 1, 0, NULL));
    assert_ok(fletch_shuffle_writer_watermark(other, 7, 0, NULL));
    assert_ok(fletch_shuffle_writer_end(other, 0, NULL));
    fletch_shuffle_writer_abort(full, NULL);
    assert_int_equal(shuffle_statistics(&test).producers_open, 0);
    fletch_shuffle_writer_close(full);
    fletch_shuffle_writer_close(other);
    test_shuffle_end(&test);
}

static void control_needs_no_memory(void **state)
{
    static struct counting_allocator counting;
    struct fletch_shuffle_event event;
    (void)state;
    counting_allocator_start(&counting, 0);
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){
        .partitions = 2, .barrier_limit = 3, .allocator = &counting.allocator});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open_one(&test, 1);
    uint64_t requests = counting.requests;
    for (uint64_t id = 1; id <= 3; id++)
        assert_ok(fletch_shuffle_writer_barrier(writer, id, 0, NULL));
    assert_ok(fletch_shuffle_writer_watermark(writer, 5, 0, NULL));
    assert_ok(fletch_shuffle_writer_idle(writer, 0, NULL));
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    int events = 0;
    while (event_take(&test, reader, &event, NULL) == FLETCH_OK)
        events++;
    assert_int_equal(event.kind, FLETCH_EVENT_END);
    assert_int_equal(events, 5); /* three barriers, a watermark, the end */
    assert_true(counting.requests == requests);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

static void a_channel_without_data_is_never_made(void **state)
{
    (void)state;
    struct test_shuffle test =
        test_shuffle_make(&(struct shuffle_words){.partitions = 3, .producers = 2});
    struct fletch_shuffle_writer *first = writer_open(&test, 0), *second = writer_open(&test, 1);
    struct fletch_batch *batch = batch_make(&test, 10);
    assert_ok(fletch_shuffle_writer_barrier(first, 1, 0, NULL));
    assert_ok(fletch_shuffle_writer_put(first, 1, batch, 0, NULL));
    assert_ok(fletch_shuffle_writer_barrier(second, 1, 0, NULL));
    assert_ok(fletch_shuffle_writer_watermark(second, 1, 0, NULL));
    assert_ok(fletch_shuffle_writer_end(first, 0, NULL));
    assert_ok(fletch_shuffle_writer_end(second, 0, NULL));
    for (int p = 0; p < 3; p++) {
        struct fletch_channel *channel = load_acquire(&test.shuffle->partitions[p].channels);
        assert_int_equal(channel != NULL, p == 1);
        if (channel != NULL)
            assert_true(channel->producer == 0 && channel->next == NULL);
    }
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(first);
    fletch_shuffle_writer_close(second);
    test_shuffle_end(&test);
}

static void broadcast_is_one_buffer_for_all(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){
        .schema = "k=l!", .partitions = 3, .method = FLETCH_PARTITION_BROADCAST});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_batch *batch = batch_make(&test, 10);
    struct fletch_shuffle_event event;
    bool has_event = false;
    assert_ok(batch_write(&test, writer, batch, NULL));
    assert_ok(fletch_shuffle_writer_flush(writer, 0, NULL));
    for (int p = 0; p < 3; p++) {
        assert_ok(fletch_shuffle_reader_next(reader, 0, &event, &has_event, NULL));
        assert_int_equal(event.kind, FLETCH_EVENT_BATCH);
        assert_ptr_equal(event.batch->spans[1].data, batch->spans[1].data);
        fletch_batch_release(test.cache, event.batch);
    }
    fletch_batch_release(test.cache, batch);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

/* With a reader there, that does not read, the disk is used after a while and not at once. */
static void what_makes_no_progress_is_spilled_after_a_while(void **state)
{
    (void)state;
    struct test_disk disk;
    test_disk_make(&disk);
    struct test_shuffle test =
        test_shuffle_make(&(struct shuffle_words){.partitions = 1,
                                                  .frame_bytes = FRAME,
                                                  .budget_bytes = 1 << 18,
                                                  .spill_directory = disk.path,
                                                  .spill_after_ns = 30 * UINT64_C(1000000)});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0);
    struct fletch_shuffle_reader *reader = reader_open(&test);
    fill(&test, writer);
    assert_int_equal(shuffle_statistics(&test).frames_spilled, 0);
    assert_ok(fletch_shuffle_writer_flush(writer, 60 * UINT64_C(1000000000), NULL));
    assert_true(shuffle_statistics(&test).frames_spilled > 0);
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    reader_drain(&test, reader);
    piles_must_agree(&test);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
    test_disk_end(&disk);
}

/* ---- names ---- */

/* "The answer's name stands first in the error's text", since clients merge codes. */
static void expect_named(enum fletch_status status, const struct fletch_error *error)
{
    const char *name = fletch_status_name(status);
    assert_int_not_equal(status, FLETCH_OK);
    if (strncmp(error->message, name, strlen(name)) != 0)
        fail_msg("'%s' does not begin with %s", error->message, name);
}

static void the_answer_s_name_stands_first(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&(struct shuffle_words){
        .partitions = 2, .producers = 2, .producer_limit = 3, .barrier_limit = 1});
    struct fletch_shuffle_writer *writer = writer_open(&test, 0), *other = writer_open(&test, 1);
    struct fletch_shuffle_writer *none = NULL;
    struct fletch_shuffle_reader *reader = reader_open(&test);
    struct fletch_shuffle_event event;
    struct fletch_error error;
    struct fletch_shuffle *found = NULL;
    bool has_event = false;
    uint32_t added = 0;
    expect_named(fletch_shuffle_writer_open(test.shuffle, 1, NULL, &none, &error), &error);
    expect_named(fletch_shuffle_writer_open(test.shuffle, 9, NULL, &none, &error), &error);
    expect_named(fletch_shuffle_reader_next(reader, 0, &event, &has_event, &error), &error);
    expect_named(fletch_shuffle_writer_abort_barrier(writer, 4, &error), &error);
    assert_ok(fletch_shuffle_writer_add_producer(writer, &added, NULL));
    expect_named(fletch_shuffle_writer_add_producer(writer, &added, &error), &error);
    assert_ok(fletch_shuffle_writer_barrier(writer, 5, 0, NULL));
    expect_named(fletch_shuffle_writer_barrier(writer, 6, 0, &error), &error);
    expect_named(fletch_shuffle_writer_barrier(writer, 3, 0, &error), &error);
    assert_ok(fletch_shuffle_writer_end(writer, 0, NULL));
    expect_named(fletch_shuffle_writer_flush(writer, 0, &error), &error);
    assert_int_equal(fletch_shuffle_find(test.transport, (struct fletch_shuffle_name){"no", 2}, 0,
                                         &found, &error),
                     FLETCH_NOT_FOUND);
    assert_true(strncmp(error.message, "UNKNOWN", 7) == 0);
    fletch_shuffle_cancel(test.shuffle, "over");
    expect_named(fletch_shuffle_writer_flush(other, 0, &error), &error);
    expect_named(fletch_shuffle_reader_next(reader, 0, &event, &has_event, &error), &error);
    fletch_shuffle_writer_close(writer);
    fletch_shuffle_writer_close(other);
    fletch_shuffle_reader_close(reader);
    test_shuffle_end(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_never_waits_for_data_s_credit),
        cmocka_unit_test(control_needs_no_memory),
        cmocka_unit_test(a_channel_without_data_is_never_made),
        cmocka_unit_test(broadcast_is_one_buffer_for_all),
        cmocka_unit_test(what_makes_no_progress_is_spilled_after_a_while),
        cmocka_unit_test(the_answer_s_name_stands_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
