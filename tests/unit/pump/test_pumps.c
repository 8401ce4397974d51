#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "support/cmocka_tests.h"
#include "support/random_batches.h"
#include "unit/pump/pump_places.h"

/* Shuffles between transports over sockets of this host. */

#define WAIT_NS UINT64_C(20000000000)

/* A producer on a thread: batches, barriers between them, an end. */
struct producing {
    struct place *place;
    uint32_t producer;
    uint32_t batches;
    int64_t rows;
    uint32_t barriers; /* after each so many batches one; 0: none */
    struct fletch_thread thread;
    struct fletch_error error;
    enum fletch_status status;
};

static void produce(void *context)
{
    struct producing *producing = context;
    struct test_shuffle *test = &producing->place->test;
    struct fletch_random random = fletch_random_from_seed(producing->producer + 1);
    struct fletch_buffer_cache *cache = NULL;
    struct fletch_shuffle_writer *writer = NULL;
    struct fletch_error *error = &producing->error;
    enum fletch_status status =
        fletch_buffer_cache_open(fletch_transport_pool(test->transport), &cache, error);
    if (status == FLETCH_OK)
        status =
            fletch_shuffle_writer_open(test->shuffle, producing->producer, cache, &writer, error);
    for (uint32_t i = 0; i < producing->batches && status == FLETCH_OK; i++) {
        struct fletch_batch *batch = random_batch(&random, cache, test->schema, producing->rows);
        status = fletch_shuffle_writer_write(writer, batch, WAIT_NS, error);
        fletch_batch_release(cache, batch);
        test->written.rows += (uint64_t)producing->rows;
        if (status == FLETCH_OK && producing->barriers != 0 &&
            (i + 1) % producing->barriers == 0)
            status =
                fletch_shuffle_writer_barrier(writer, (i + 1) / producing->barriers, WAIT_NS, error);
    }
    if (status == FLETCH_OK)
        status = fletch_shuffle_writer_end(writer, WAIT_NS, error);
    fletch_shuffle_writer_close(writer);
    fletch_buffer_cache_close(cache);
    producing->status = status;
}

static void start(struct producing *producing)
{
    const struct fletch_thread_options options = {
        .name = "producer", .cpu = FLETCH_ANY_CPU, .run = produce, .context = producing};
    struct fletch_error error;
    assert_ok(fletch_thread_start(&producing->thread, &options, &error));
}

static void finish(struct producing *producing)
{
    fletch_thread_join(&producing->thread);
    if (producing->status != FLETCH_OK)
        fail_msg("producer %u: %s", producing->producer, producing->error.message);
}

/* Of the partitions that a place owns. */
static struct fletch_shuffle_reader *open_own(struct place *place, const uint32_t *partitions,
                                              uint32_t count)
{
    const struct fletch_shuffle_reader_options options = {.struct_size = sizeof options,
                                                          .partitions = partitions,
                                                          .partition_count = count};
    struct fletch_shuffle_reader *reader = NULL;
    struct fletch_error error;
    if (fletch_shuffle_reader_open(place->test.shuffle, &options, &reader, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return reader;
}

/* A consumer on a thread: reads to the end of its partitions. */
struct consuming {
    struct place *place;
    struct fletch_shuffle_reader *reader;
    uint64_t rows;
    uint64_t barriers;
    uint64_t ends;
    struct fletch_thread thread;
    struct fletch_error error;
    enum fletch_status status;
};

static void count_event(struct consuming *consuming, const struct fletch_shuffle_event *event)
{
    if (event->kind == FLETCH_EVENT_BATCH) {
        consuming->rows += (uint64_t)event->batch->row_count;
        fletch_batch_release(consuming->place->test.cache, event->batch);
    }
    consuming->barriers += event->kind == FLETCH_EVENT_BARRIER ? 1 : 0;
    consuming->ends += event->kind == FLETCH_EVENT_END ? 1 : 0;
}

static void consume(void *context)
{
    struct consuming *consuming = context;
    bool has_event = true;
    while (has_event && consuming->status == FLETCH_OK) {
        struct fletch_shuffle_event event;
        consuming->status = fletch_shuffle_reader_next(consuming->reader, WAIT_NS, &event,
                                                       &has_event, &consuming->error);
        if (consuming->status == FLETCH_OK && has_event)
            count_event(consuming, &event);
    }
}

static void start_consuming(struct consuming *consuming, struct place *place,
                            const uint32_t *partitions, uint32_t count)
{
    const struct fletch_thread_options options = {
        .name = "consumer", .cpu = FLETCH_ANY_CPU, .run = consume, .context = consuming};
    struct fletch_error error;
    *consuming =
        (struct consuming){.place = place, .reader = open_own(place, partitions, count)};
    assert_ok(fletch_thread_start(&consuming->thread, &options, &error));
}

static void finish_consuming(struct consuming *consuming)
{
    fletch_thread_join(&consuming->thread);
    if (consuming->status != FLETCH_OK)
        fail_msg("consumer: %s", consuming->error.message);
    fletch_shuffle_reader_close(consuming->reader);
}

static void push(enum fletch_flight_run_mode run_mode)
{
    static const uint32_t mine[2][2] = {{0, 2}, {1, 3}};
    static struct place places[2];
    const struct place_words words = {
        .places = 2, .partitions = 4, .producers = 2, .run_mode = run_mode};
    struct producing producing[2];
    struct consuming consuming[2];
    uint64_t written = 0, read = 0;
    places_start(places, &words);
    for (uint32_t i = 0; i < 2; i++) {
        producing[i] = (struct producing){
            .place = &places[i], .producer = i, .batches = 50, .rows = 1000, .barriers = 10};
        start_consuming(&consuming[i], &places[i], mine[i], 2);
        start(&producing[i]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        finish_consuming(&consuming[i]);
        assert_int_equal(consuming[i].barriers, 2 * 5);
        assert_int_equal(consuming[i].ends, 2);
        read += consuming[i].rows;
        finish(&producing[i]);
        written += places[i].test.written.rows;
    }
    assert_int_equal(read, written);
    for (uint32_t i = 0; i < 2; i++)
        place_end(&places[i]);
}

static void each_sends_to_the_other(void **state)
{
    (void)state;
    push(FLETCH_FLIGHT_ON_WORKER);
    push(FLETCH_FLIGHT_ON_LOOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sends_to_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
