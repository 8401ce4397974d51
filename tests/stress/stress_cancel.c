#include <fletching/fletching.h>

#include <string.h>
#include <time.h>

#include "shuffle/shuffle.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/shuffles.h"
#include "support/team.h"

/* Threads that wait in a shuffle, each for something that does not come, until somebody cancels or
 * a producer is lost: they are told at once, wherever they wait. */

enum { ROUNDS = 20, PAUSE_NS = 30000000, BATCHES = 40, HELD_MOST = BATCHES + 1 };

static const uint64_t patience_ns = UINT64_C(20000000000);

static struct test_arguments arguments;

struct wait {
    struct test_shuffle *test;
    struct fletch_shuffle_writer *writer;
    struct fletch_shuffle_reader *reader;
    struct fletch_batch *batch;
    uint64_t timeout_ns;
    enum fletch_status status;
    struct fletch_shuffle_event event;
    struct fletch_error error;
};

static void pause_for(uint64_t ns)
{
    const struct timespec pause = {.tv_nsec = (long)ns};
    nanosleep(&pause, NULL);
}

/* Starts `run`, gives it time to fall asleep, and does `disturb`. */
static void wait_until(struct wait *wait, void (*run)(void *context),
                       void (*disturb)(struct wait *wait), uint64_t pause_ns)
{
    const struct team_role role = {.run = run, .context = wait};
    struct team team;
    team_start(&team, &role, 1);
    pause_for(pause_ns);
    disturb(wait);
    team_join(&team);
}

static void cancel(struct wait *wait)
{
    fletch_shuffle_cancel(wait->test->shuffle, "enough");
}

static void expect_cancelled(const struct wait *wait)
{
    assert_int_equal(wait->status, FLETCH_CANCELLED);
    assert_contains(wait->error.message, "CANCELLED: shuffle 'test': enough");
}

/* ---- writers ---- */

static void write_until_it_fails(void *context)
{
    struct wait *wait = context;
    do {
        wait->status =
            fletch_shuffle_writer_write(wait->writer, wait->batch, wait->timeout_ns, &wait->error);
    } while (wait->status == FLETCH_OK);
}

/* Nobody reads, and it is not yet told that nothing can move. */
static void cancel_a_writer_without_credit(uint64_t timeout_ns, uint64_t pause_ns)
{
    struct test_shuffle test =
        test_shuffle_make(&(struct shuffle_words){.partitions = 2,
                                                  .frame_bytes = 4096,
                                                  .budget_bytes = 256 << 10,
                                                  .spill_after_ns = patience_ns});
    struct wait wait = {.test = &test,
                        .writer = writer_open(&test, 0),
                        .batch = batch_make(&test, 1000),
                        .timeout_ns = timeout_ns};
    wait_until(&wait, write_until_it_fails, cancel, pause_ns);
    expect_cancelled(&wait);
    fletch_batch_release(test.cache, wait.batch);
    fletch_shuffle_writer_close(wait.writer);
    assert_true(fletch_credit_pool_is_whole(&test.shuffle->credit_pool));
    test_shuffle_end(&test);
}

static void a_writer_that_waits_for_credit_hears_a_cancel(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(arguments.seed);
    for (uint64_t i = 0; i < ROUNDS * arguments.scale; i++)
        cancel_a_writer_without_credit(i % 2 == 0 ? FLETCH_NO_TIMEOUT : patience_ns,
                                       fletch_random_below(&random, PAUSE_NS));
}

/* ---- barriers ---- */

static void send_the_second_barrier(void *context)
{
    struct wait *wait = context;
    wait->status = fletch_shuffle_writer_barrier(wait->writer, 2, wait->timeout_ns, &wait->error);
}

/* One barrier may be in flight, and no reader passes the first. */
static struct test_shuffle make_barriers(struct fletch_shuffle_writer *writers[2], bool all_send)
{
    struct test_shuffle test =
        test_shuffle_make(&(struct shuffle_words){.producers = 2, .barrier_limit = 1});
    for (uint32_t i = 0; i < 2; i++) {
        writers[i] = writer_open(&test, i);
        if (i == 0 || all_send)
            assert_ok(fletch_shuffle_writer_barrier(writers[i], 1, 0, NULL));
    }
    return test;
}

static struct fletch_shuffle_writer *to_abort;

static void lose_a_producer(struct wait *wait)
{
    (void)wait;
    fletch_shuffle_writer_abort(to_abort, "it broke");
}

static void a_barrier_that_waits_for_a_slot_hears_that_a_producer_was_lost(void **state)
{
    (void)state;
    struct fletch_shuffle_writer *writers[2];
    struct test_shuffle test = make_barriers(writers, true);
    struct wait wait = {.test = &test, .writer = writers[0], .timeout_ns = patience_ns};
    to_abort = writers[1];
    wait_until(&wait, send_the_second_barrier, lose_a_producer, PAUSE_NS);
    assert_int_equal(wait.status, FLETCH_UNAVAILABLE);
    assert_contains(wait.error.message, "PRODUCER_LOST");
    assert_contains(wait.error.message, "it broke");
    for (uint32_t i = 0; i < 2; i++)
        fletch_shuffle_writer_close(writers[i]);
    test_shuffle_end(&test);
}

/* Also where it would wait for ever. */
static void a_barrier_that_waits_for_a_slot_hears_a_cancel(void **state)
{
    (void)state;
    struct fletch_shuffle_writer *writers[2];
    struct test_shuffle test = make_barriers(writers, false);
    struct wait wait = {.test = &test, .writer = writers[0], .timeout_ns = FLETCH_NO_TIMEOUT};
    wait_until(&wait, send_the_second_barrier, cancel, PAUSE_NS);
    expect_cancelled(&wait);
    for (uint32_t i = 0; i < 2; i++)
        fletch_shuffle_writer_close(writers[i]);
    test_shuffle_end(&test);
}

/* ---- readers ---- */

/* Takes batches until there is no room for one more. */
static size_t take_all_there_is_room_for(struct fletch_shuffle_reader *reader,
                                         struct fletch_batch **held)
{
    struct fletch_shuffle_event event = {.batch = NULL};
    bool has_event = false;
    size_t count = 0;
    while (fletch_shuffle_reader_next(reader, 0, &event, &has_event, NULL) == FLETCH_OK) {
        assert_int_equal(event.kind, FLETCH_EVENT_BATCH);
        assert_true(count < HELD_MOST);
        held[count++] = event.batch;
    }
    return count;
}

static void read_one(void *context)
{
    struct wait *wait = context;
    bool has_event = false;
    wait->status = fletch_shuffle_reader_next(wait->reader, wait->timeout_ns, &wait->event,
                                              &has_event, &wait->error);
}

/* A reader that holds what it was given, and waits for room. It is woken once, when there is
 * something to tell, and not now and then to look for it. */
static void disturb_a_reader_without_room(struct wait *wait, void (*disturb)(struct wait *wait))
{
    struct test_shuffle *test = wait->test;
    struct fletch_batch *held[HELD_MOST];
    wait->writer = writer_open(test, 0);
    wait->reader = reader_open(test);
    wait->timeout_ns = patience_ns;
    wait->batch = batch_make(test, 500);
    for (int i = 0; i < BATCHES; i++)
        assert_ok(fletch_shuffle_writer_put(wait->writer, 0, wait->batch, 0, NULL));
    size_t count = take_all_there_is_room_for(wait->reader, held);
    uint64_t waits = shuffle_statistics(test).reader_waits;
    wait_until(wait, read_one, disturb, 3 * PAUSE_NS);
    assert_in_range(shuffle_statistics(test).reader_waits - waits, 0, 2);
    while (count > 0)
        fletch_batch_release(test->cache, held[--count]);
    fletch_batch_release(test->cache, wait->batch);
    fletch_shuffle_writer_close(wait->writer);
    fletch_shuffle_reader_close(wait->reader);
}

static const struct shuffle_words little_to_deliver = {
    .partitions = 2, .delivered_bytes = 64 << 10, .frame_bytes = 4096};

static void a_reader_that_waits_for_room_hears_a_cancel(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&little_to_deliver);
    struct wait wait = {.test = &test};
    disturb_a_reader_without_room(&wait, cancel);
    expect_cancelled(&wait);
    test_shuffle_end(&test);
}

static void send_a_watermark(struct wait *wait)
{
    assert_ok(fletch_shuffle_writer_watermark(wait->writer, 5, 0, NULL));
}

/* To another of its partitions, which has no rows. */
static void a_reader_that_waits_for_room_goes_on_with_control(void **state)
{
    (void)state;
    struct test_shuffle test = test_shuffle_make(&little_to_deliver);
    struct wait wait = {.test = &test};
    disturb_a_reader_without_room(&wait, send_a_watermark);
    assert_ok(wait.status);
    assert_int_equal(wait.event.kind, FLETCH_EVENT_WATERMARK);
    assert_int_equal(wait.event.watermark, 5);
    test_shuffle_end(&test);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_writer_that_waits_for_credit_hears_a_cancel),
        cmocka_unit_test(a_barrier_that_waits_for_a_slot_hears_that_a_producer_was_lost),
        cmocka_unit_test(a_barrier_that_waits_for_a_slot_hears_a_cancel),
        cmocka_unit_test(a_reader_that_waits_for_room_hears_a_cancel),
        cmocka_unit_test(a_reader_that_waits_for_room_goes_on_with_control),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
