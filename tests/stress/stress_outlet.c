#include <fletching/fletching.h>

#include <string.h>
#include <time.h>

#include "shuffle/shuffle.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/ferry.h"
#include "support/team.h"

/* Writers and readers of two processes, each on a thread of its own, and what takes frames between
 * the processes on another: all rows come, barriers stand where they were sent; or somebody cancels
 * meanwhile, and nothing is left. */

enum { WRITERS = 4, READERS = 2, BATCHES = 60, ROWS = 400, EVERY = 15, ROUNDS = 6 };

static const uint64_t patience_ns = UINT64_C(30000000000);

static struct test_arguments arguments;
static struct ferry ferry;
static _Atomic uint32_t running; /* writers and readers */

struct worker {
    uint32_t process;
    struct fletch_shuffle_writer *writer;
    struct fletch_shuffle_reader *reader;
    struct fletch_batch *batch;
    uint64_t rows;
    uint64_t sum;
    uint64_t barriers;
    enum fletch_status status;
    struct fletch_error error;
};

static void write_all(void *context)
{
    struct worker *worker = context;
    enum fletch_status status = FLETCH_OK;
    for (uint64_t i = 1; i <= BATCHES && status == FLETCH_OK; i++) {
        status =
            fletch_shuffle_writer_write(worker->writer, worker->batch, patience_ns, &worker->error);
        if (status == FLETCH_OK && i % EVERY == 0)
            status = fletch_shuffle_writer_barrier(worker->writer, i / EVERY, patience_ns,
                                                   &worker->error);
    }
    if (status == FLETCH_OK)
        status = fletch_shuffle_writer_end(worker->writer, patience_ns, &worker->error);
    worker->status = status;
    fetch_sub_acq_rel(&running, 1);
}

static void read_all(void *context)
{
    struct worker *worker = context;
    struct fletch_shuffle_event event;
    bool has_event = true;
    while (has_event && worker->status == FLETCH_OK) {
        worker->status = fletch_shuffle_reader_next(worker->reader, patience_ns, &event, &has_event,
                                                    &worker->error);
        if (worker->status != FLETCH_OK || !has_event)
            continue;
        if (event.kind == FLETCH_EVENT_BARRIER)
            worker->barriers++;
        if (event.kind != FLETCH_EVENT_BATCH)
            continue;
        worker->rows += event.rows;
        worker->sum += fletch_hash_row_sum(event.batch);
        fletch_batch_release(NULL, event.batch);
    }
    fetch_sub_acq_rel(&running, 1);
}

static void take_over(void *unused)
{
    (void)unused;
    while (load_acquire(&running) > 0)
        ferry_go(&ferry);
}

static void cancel_soon(void *context)
{
    const uint64_t *wait_ns = context;
    const struct timespec pause = {.tv_nsec = (long)*wait_ns};
    nanosleep(&pause, NULL);
    fletch_shuffle_cancel(ferry.processes[1].test.shuffle, "enough");
}

static void open_workers(struct worker *workers)
{
    for (uint32_t w = 0; w < WRITERS; w++) {
        struct test_shuffle *test = &ferry.processes[w % 2].test;
        workers[w] = (struct worker){
            .process = w % 2, .writer = writer_open(test, w), .batch = batch_make(test, ROWS)};
    }
    for (uint32_t r = 0; r < READERS; r++)
        workers[WRITERS + r] =
            (struct worker){.process = r, .reader = reader_open(&ferry.processes[r].test)};
}

static void close_workers(struct worker *workers)
{
    for (uint32_t i = 0; i < WRITERS + READERS; i++) {
        fletch_shuffle_writer_close(workers[i].writer);
        fletch_shuffle_reader_close(workers[i].reader);
        if (workers[i].batch != NULL)
            fletch_batch_release(ferry.processes[workers[i].process].test.cache, workers[i].batch);
    }
}

static void must_have_come(const struct worker *workers)
{
    uint64_t rows = 0, sum = 0;
    for (uint32_t i = 0; i < WRITERS + READERS; i++)
        if (workers[i].status != FLETCH_OK)
            fail_msg("%u: %s", i, workers[i].error.message);
    for (uint32_t w = 0; w < WRITERS; w++)
        sum += fletch_hash_row_sum(workers[w].batch) * BATCHES;
    for (uint32_t r = WRITERS; r < WRITERS + READERS; r++) {
        rows += workers[r].rows;
        sum -= workers[r].sum;
        /* Each of its two partitions tells each barrier. */
        assert_int_equal(workers[r].barriers, 2 * (BATCHES / EVERY));
    }
    assert_int_equal(rows, WRITERS * BATCHES * ROWS);
    assert_true(sum == 0);
}

static void run_round(uint64_t cancel_ns)
{
    struct worker workers[WRITERS + READERS];
    struct team_role roles[WRITERS + READERS + 2];
    struct team team;
    size_t count = 0;
    ferry_open(&ferry,
               &(struct shuffle_words){.producers = WRITERS,
                                       .frame_bytes = 4096,
                                       .budget_bytes = 512 << 10,
                                       .spill_after_ns = patience_ns},
               2, NULL);
    open_workers(workers);
    store_release(&running, WRITERS + READERS);
    for (uint32_t w = 0; w < WRITERS; w++)
        roles[count++] = (struct team_role){.run = write_all, .context = &workers[w]};
    for (uint32_t r = WRITERS; r < WRITERS + READERS; r++)
        roles[count++] = (struct team_role){.run = read_all, .context = &workers[r]};
    roles[count++] = (struct team_role){.run = take_over};
    if (cancel_ns > 0)
        roles[count++] = (struct team_role){.run = cancel_soon, .context = &cancel_ns};
    team_start(&team, roles, count);
    team_join(&team);
    if (cancel_ns == 0)
        must_have_come(workers);
    for (uint32_t i = 0; i < WRITERS + READERS && cancel_ns > 0; i++)
        assert_true(workers[i].status == FLETCH_OK || workers[i].status == FLETCH_CANCELLED);
    close_workers(workers);
    ferry_end(&ferry);
}

static void all_rows_come_and_barriers_stand_where_they_were_sent(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < ROUNDS * arguments.scale; i++)
        run_round(0);
}

static void whoever_cancels_nothing_is_left(void **state)
{
    struct fletch_random random = fletch_random_from_seed(arguments.seed);
    (void)state;
    for (uint64_t i = 0; i < 4 * ROUNDS * arguments.scale; i++)
        run_round(1 + fletch_random_below(&random, 20000000));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_rows_come_and_barriers_stand_where_they_were_sent),
        cmocka_unit_test(whoever_cancels_nothing_is_left),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
