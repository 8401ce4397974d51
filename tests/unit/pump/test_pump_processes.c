#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/random_batches.h"
#include "unit/pump/pump_places.h"

/* Two processes: the child owns all partitions and reads them, the parent writes. */

#define WAIT_NS UINT64_C(20000000000)
enum { BATCHES = 100, ROWS = 1000 };

static const struct place_words words = {.places = 1,
                                         .partitions = 3,
                                         .producers = 1,
                                         .sums = FLETCH_SUMS_ROWS,
                                         .grace_ns = UINT64_C(1500000000),
                                         .frame_bytes = 8192};

struct reader_process {
    pid_t pid;
    int from; /* its location, then how many rows it has read to the end */
    char location[64];
};

static uint64_t read_all(struct place *place)
{
    struct fletch_shuffle_reader *reader;
    struct fletch_error error;
    uint64_t rows = 0;
    bool has_event = true;
    if (fletch_shuffle_reader_open(place->test.shuffle, NULL, &reader, &error) != FLETCH_OK)
        return 0;
    while (has_event) {
        struct fletch_shuffle_event event;
        if (fletch_shuffle_reader_next(reader, WAIT_NS, &event, &has_event, &error) != FLETCH_OK) {
            fprintf(stderr, "reader: %s\n", error.message);
            rows = 0;
            break;
        }
        if (has_event && event.kind == FLETCH_EVENT_BATCH) {
            rows += (uint64_t)event.batch->row_count;
            fletch_batch_release(place->test.cache, event.batch);
        }
    }
    fletch_shuffle_reader_close(reader);
    return rows;
}

static void run_reader(int to)
{
    static struct place place;
    char location[64] = "";
    struct fletch_error error;
    place_start(&place, &words);
    strncpy(location, fletch_flight_server_location(place.server), sizeof location - 1);
    const char *address = location;
    if (place_try_register(&place, &words, 0, &address, &error) != FLETCH_OK ||
        write(to, location, sizeof location) != sizeof location)
        _exit(2);
    uint64_t rows = read_all(&place);
    if (write(to, &rows, sizeof rows) != sizeof rows)
        _exit(3);
    place_end(&place);
    _exit(0);
}

static struct reader_process start_reader(void)
{
    struct reader_process reader;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    reader.pid = fork();
    assert_true(reader.pid >= 0);
    if (reader.pid == 0) {
        close(ends[0]);
        run_reader(ends[1]);
    }
    close(ends[1]);
    reader.from = ends[0];
    assert_int_equal(read(reader.from, reader.location, sizeof reader.location),
                     sizeof reader.location);
    return reader;
}

/* The rows that it has read; 0: it did not come to the end. */
static uint64_t end_reader(struct reader_process *reader, int *out_status)
{
    uint64_t rows = 0;
    if (read(reader->from, &rows, sizeof rows) != sizeof rows)
        rows = 0;
    close(reader->from);
    assert_int_equal(waitpid(reader->pid, out_status, 0), reader->pid);
    return rows;
}

/* Writes all, and sends a signal on the way. */
static enum fletch_status write_all(struct place *place, const struct reader_process *reader,
                                    int number, struct fletch_error *error)
{
    struct fletch_random random = fletch_random_from_seed(5);
    struct fletch_shuffle_writer *writer;
    enum fletch_status status =
        fletch_shuffle_writer_open(place->test.shuffle, 0, NULL, &writer, error);
    assert_ok(status);
    for (int i = 0; i < BATCHES && status == FLETCH_OK; i++) {
        struct fletch_batch *batch =
            random_batch(&random, place->test.cache, place->test.schema, ROWS);
        status = fletch_shuffle_writer_write(writer, batch, WAIT_NS, error);
        fletch_batch_release(place->test.cache, batch);
        if (i == BATCHES / 2 && number != 0)
            (void)kill(reader->pid, number);
        if (number == SIGSTOP && i == BATCHES / 2) {
            (void)usleep(200000);
            (void)kill(reader->pid, SIGCONT);
        }
    }
    if (status == FLETCH_OK)
        status = fletch_shuffle_writer_end(writer, WAIT_NS, error);
    fletch_shuffle_writer_close(writer);
    return status;
}

static void start_writer(struct place *place, const struct reader_process *reader)
{
    const char *address = reader->location;
    struct fletch_error error;
    place_start(place, &words);
    if (place_try_register(place, &words, FLETCH_NO_PROCESS, &address, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
}

static void all_rows_arrive(void **state)
{
    (void)state;
    static const int signals[] = {0, SIGSTOP};
    for (size_t i = 0; i < 2; i++) {
        static struct place place;
        struct reader_process reader = start_reader();
        struct fletch_error error;
        int status;
        start_writer(&place, &reader);
        if (write_all(&place, &reader, signals[i], &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        assert_int_equal(end_reader(&reader, &status), BATCHES * ROWS);
        assert_int_equal(status, 0);
        place_end(&place);
    }
}

static void a_reader_that_was_killed_is_lost(void **state)
{
    (void)state;
    static struct place place;
    struct reader_process reader = start_reader();
    struct fletch_error error;
    int status;
    start_writer(&place, &reader);
    assert_int_equal(write_all(&place, &reader, SIGKILL, &error), FLETCH_UNAVAILABLE);
    assert_contains(error.message, "LOST");
    assert_int_equal(end_reader(&reader, &status), 0);
    assert_true(WIFSIGNALED(status));
    place_end(&place);
}

/* A writer that is gone is lost to its readers, after the grace. */
static void a_writer_that_was_killed_is_lost(void **state)
{
    (void)state;
    struct reader_process reader = start_reader();
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static struct place place;
        struct fletch_error error;
        start_writer(&place, &reader);
        (void)write_all(&place, &(struct reader_process){.pid = getpid()}, SIGKILL, &error);
        _exit(4);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(end_reader(&reader, &status), 0);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_writer_that_was_killed_is_lost),
        cmocka_unit_test(all_rows_arrive),
        cmocka_unit_test(a_reader_that_was_killed_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
