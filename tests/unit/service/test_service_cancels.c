#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "support/cmocka_tests.h"
#include "support/service_scene.h"

/* Puts, gets and whole shuffles that are given up at random moments: whoever it is, every byte
 * comes back and every counter is zero. */

#define MS_NS_MOST 1000000u
#define PATIENCE_NS UINT64_C(20000000000)

enum { CANCELS = 1000, PARTITIONS = 3, PRODUCERS = 2, BATCHES_MOST = 6, ROWS = 3000 };

static struct fletch_error error;
static struct service_scene scene;

static struct fletch_shuffle *make_shuffle(bool retains)
{
    const uint32_t keys[] = {0};
    const struct fletch_partitioner_options partitioner = {.struct_size = sizeof partitioner,
                                                           .partition_count = PARTITIONS,
                                                           .key_columns = keys,
                                                           .key_column_count = 1};
    const struct fletch_shuffle_options options = {
        .struct_size = sizeof options,
        .name = "given up",
        .name_bytes = 8,
        .schema = scene.shuffles.schema,
        .partitioner = &partitioner,
        .producer_count = PRODUCERS,
        .budget_bytes = 1 << 20,
        .retention = retains ? FLETCH_RETENTION_UNTIL_CLOSE : FLETCH_RETENTION_NONE,
    };
    struct fletch_shuffle *shuffle = NULL;
    assert_ok(fletch_shuffle_register(scene.shuffles.transport, &options, &shuffle, &error));
    return shuffle;
}

/* A while of random length, in which calls begin, go on, or end. */
static void dawdle(struct fletch_random *random)
{
    const uint64_t until_ns = fletch_clock_now_ns() + (uint64_t)fletch_random_below(random, 3) *
                                                          fletch_random_below(random, MS_NS_MOST);
    while (fletch_clock_now_ns() < until_ns)
        continue;
}

static void write_some(struct fletch_flight_stream *put, struct fletch_batch *batch,
                       struct fletch_random *random)
{
    const struct fletch_flight_output output = {.batch = batch};
    const uint64_t count = fletch_random_below(random, BATCHES_MOST);
    for (uint64_t i = 0; i < count; i++)
        if (fletch_flight_stream_write(put, 0, &output, &error) != FLETCH_DONE)
            return;
    if (fletch_random_below(random, 2) == 0)
        fletch_flight_stream_done_writing(put);
}

static void read_some(struct fletch_flight_stream *get, struct fletch_random *random)
{
    struct fletch_flight_data data;
    for (uint64_t count = fletch_random_below(random, 3); count > 0; count--)
        if (fletch_flight_stream_read(get, fletch_random_below(random, MS_NS_MOST), &data,
                                      &error) == FLETCH_DONE)
            fletch_batch_release(NULL, data.batch);
}

static void give_up_once(struct fletch_random *random, struct fletch_batch *batch)
{
    struct fletch_shuffle *shuffle = make_shuffle(fletch_random_below(random, 4) == 0);
    struct fletch_flight_stream *puts[PRODUCERS], *gets[PARTITIONS];
    char ticket[64];
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        const int bytes = snprintf(ticket, sizeof ticket, "%u@given up", p);
        gets[p] =
            service_scene_get(&scene, (struct fletch_flight_bytes){ticket, (size_t)bytes}, NULL);
    }
    for (uint32_t i = 0; i < PRODUCERS; i++)
        puts[i] = service_scene_put(&scene, "given up", scene.shuffles.schema);
    for (uint32_t i = 0; i < PRODUCERS; i++)
        write_some(puts[i], batch, random);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        read_some(gets[p], random);
    dawdle(random);
    if (fletch_random_below(random, 3) == 0)
        fletch_shuffle_cancel(shuffle, "given up");
    /* Those that are not over are cancelled. */
    for (uint32_t i = 0; i < PRODUCERS; i++)
        fletch_flight_stream_close(puts[i]);
    dawdle(random);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        fletch_flight_stream_close(gets[p]);
    fletch_shuffle_close(shuffle);
    fletch_shuffle_release(shuffle);
}

/* The loop gives back what messages on their way held a little after it counts their call. */
static void await_nothing(void)
{
    const uint64_t deadline_ns = fletch_clock_deadline_ns(PATIENCE_NS);
    uint64_t charged = 1, shuffles = 0;
    while (charged != 0 || shuffles != 1) {
        charged = account_used_bytes(fletch_transport_account(scene.shuffles.transport));
        shuffles = service_scene_counters(&scene).shuffles_now;
        if (fletch_clock_now_ns() > deadline_ns)
            fail_msg("%llu bytes and %llu shuffles are left", (unsigned long long)charged,
                     (unsigned long long)shuffles);
    }
}

static void nothing_is_left_of_what_was_given_up(void **state)
{
    const struct shuffle_words words = {.transport_bytes = 64 << 20, .budget_bytes = 1 << 20};
    struct fletch_random random = fletch_random_from_seed(20261127);
    (void)state;
    service_scene_begin(&scene, &words, NULL);
    struct fletch_batch *batch = batch_make(&scene.shuffles, ROWS);
    for (uint32_t i = 0; i < CANCELS; i++) {
        give_up_once(&random, batch);
        if (i % 50 != 0)
            continue;
        service_scene_settle(&scene);
        await_nothing();
    }
    fletch_batch_release(NULL, batch);
    service_scene_settle(&scene);
    const struct fletch_shuffle_server_counters found = service_scene_counters(&scene);
    /* A busy machine may give up most of them before the server hears of them. */
    assert_true(found.gets > 0);
    assert_true(found.puts > 0);
    assert_true(found.puts_lost > 0);
    assert_true(found.gets_broken > 0);
    service_scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_left_of_what_was_given_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
